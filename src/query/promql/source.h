/* Where PromQL's series come from: whoever stores them implements struct promql_source.
 *
 *   select(matchers, time range, hints) ─▶ a set: the labels of its series ─ read(i) ─▶ arrays of times and values
 *
 * read() is asked once a series and in order, so decoding is as lazy as the source likes: it needs the chunks that overlap the
 * selection's range and no others. Arrays are valid until the next read of the same set.
 * Series that share their timestamps (targets of a scrape) give them the same times_id and then have equal arrays: windows are
 * planned once for all of them. 0: not shared. Staleness markers are values with the bits PROMQL_STALE, or histograms whose
 * sum has them.
 * Times are int64 milliseconds, ascending, no two equal within floats or within histograms.
 */
#pragma once

#include "query/promql/promql.h"
#include "store/series/matcher.h"

#define PROMQL_STALE 0x7ff0000000000002ULL
static inline bool promql_is_stale(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits == PROMQL_STALE;
}

/* A matcher as it is written; label_matcher_make makes one that can be asked. */
struct promql_matcher {
    enum label_matcher_op op;
    struct str name, value;
    uint32_t start, end; /* bytes of the text, for mistakes in it */
};
/* Of all of them, in memory of the arena, each to be ended with label_matcher_done; on an error none has to. */
err promql_matchers_make(struct arena *a, const struct promql_matcher *matchers, size_t n, struct label_matcher **out);

struct promql_selection {
    struct label_matcher *matchers; /* whoever asks ends them, after select */
    size_t matcher_n;
    int64_t min_ms, max_ms; /* samples in [min, max] are needed, no others */
    /* Hints: they may be ignored. */
    int64_t step_ms, range_ms; /* range 0: an instant selector */
    struct str function;       /* what the samples go into: rate, sum; empty: nothing in particular */
};

struct promql_samples {
    const int64_t *times;
    const double *values;
    size_t n;
    uint64_t times_id;
    bool without_stale;  /* known: no value is a marker; false: not known */
    bool without_resets; /* known: no value is NaN, or less than the one before; false: not known */
    const int64_t *histogram_times;
    const struct native *const *histograms;
    size_t histogram_n;
};

struct promql_set {
    const struct labels *series; /* no two equal */
    size_t n;
    const struct str *warnings;
    size_t warning_n;
    err (*read)(struct promql_set *set, size_t i, struct promql_samples *out);
    void (*done)(struct promql_set *set); /* may be NULL */
    void *state;
};

struct promql_source {
    /* `a` lives as long as the set, and longer. */
    err (*select)(struct promql_source *source, const struct promql_selection *selection, struct arena *a,
                  struct promql_set *out);
};
