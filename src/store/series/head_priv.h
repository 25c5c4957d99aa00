/* The head: series and samples that are not in parts yet, in memory. What the log has acknowledged comes here; what is sealed leaves
 * it as a whole, and a new head begins.
 *
 *   labels ─▶ hash ─▶ id ─▶ (row set, column)            a row set: the series of one target or resource
 *                                                         ┌ open rows, at most 32: time │ present bits │ a double a column
 *   pair dictionary ─▶ ids, growing lists                 └ stripes: 32 rows encoded by column, immutable
 *
 *   late samples, start times, native histograms, exemplars hang on the series that have them
 *
 * Invariants
 *  1. A series' samples ascend strictly in time over stripes and open rows; what comes late, within the window, goes to the series' own list
 *     and is merged when read. Beyond the window it is refused, and so is another value at a time that has one; the same value again is
 *     taken as said already.
 *  2. Series, pairs, lists of ids, stripes never move and never change once they are counted: a reader copies pointers and counts under
 *     the lock and works without it. Open rows and what hangs on a series are copied under the lock.
 *  3. Nothing is freed before the head is: who holds a reference may read. A head that is being sealed takes no more.
 *  4. Memory is asked of the budget before it is taken; a refused batch has changed nothing. A series over a limit is refused alone.
 *
 * What a reader sees: every sample appended before it asked, of each series some more; no series goes back.
 * Owner: head_ref/head_unref. Threads: one writer at a time (head_series, head_append…); any number of readers.
 * Limits: options; HEAD_SERIES_MAX; LATE_MAX late samples a series; EXEMPLARS_MAX a head.
 * Errors: ERR_BUSY over the budget; ERR_LIMIT by the limits, naming the metric and the label with most series or values.
 */
#pragma once

#include "base/budget.h"
#include "store/series/selection.h"

enum {
    HEAD_ROWS = 32,
    HEAD_COLUMNS = 512,
    HEAD_SERIES_MAX = 1 << 24,
    LATE_MAX = 1024,
    HEAD_IDLE_TIMES = 4, /* so many times series_max a head has, with those that are idle */
    EXEMPLARS_MAX = 1 << 17,
    EXEMPLAR_BYTES_MAX = 4096
};

struct head_options {
    struct budget *budget;
    int64_t late_window_ns; /* how far behind its newest sample a series takes one; 0: none */
    uint32_t series_max; /* in this head; with active_ns: of which something came within so much of series_head_now */
    int64_t active_ns;
    uint32_t labels_max;     /* pairs a series */
    uint32_t new_series_max; /* in any span of churn_ns; 0: no limit */
    int64_t churn_ns;
    bool always; /* memory is taken from the budget, and over it as well: whoever appends has asked before */
};
void series_head_options_default(struct head_options *out);

struct head;
struct head *series_head_new(const struct head_options *options);
struct head *series_head_ref(struct head *h);
void series_head_unref(struct head *h); /* takes NULL */

/* The id of a series, new or known. `set` names those that are sampled together (a hash of target or resource; 0: this one alone is fine
 * as well, it costs memory). `now_ns` is for the limit on new series; INT64_MIN: it does not count. Labels are checked. */
err series_head_add(struct head *h, struct labels l, uint64_t set, int64_t now_ns, uint32_t *out_id);

/* What time it is where samples come in; what they say of themselves does not make a series idle. Never goes back. */
void series_head_now(struct head *h, int64_t now_ns);
/* Those of these series that have no sample are not waited for: they count as idle. */
void series_head_leave(struct head *h, const uint32_t *series, uint32_t n);
/* Goes on counting new series where an earlier head stopped. Neither may be in use by another thread's writer. */
void series_head_churn_from(struct head *h, const struct head *earlier);
/* Hashes of all series, for who asks whether one is known; the caller's to free. */
uint64_t *series_head_hashes(struct head *h, uint32_t *out_n);
/* Whether the head has a series; its id. */
bool series_head_find(struct head *h, struct labels l, uint32_t *out_id);

enum head_verdict {
    SAMPLE_TAKEN,
    SAMPLE_TAKEN_LATE,
    SAMPLE_REPEATED,  /* the same sample is there */
    SAMPLE_CONFLICT,  /* another value is there at this time */
    SAMPLE_TOO_LATE,  /* older than the window */
    SAMPLE_LATE_FULL, /* more late samples than a series may have before it is sealed */
    VERDICTS
};
const char *series_head_verdict_text(enum head_verdict v); /* for the sender: "out of order: older than …" */

/* n samples of known series, in any order; verdicts has room for n. starts_ns may be NULL. ERR_BUSY: none was taken. */
err series_head_append(struct head *h, const uint32_t *series, const int64_t *times_ns, const double *values,
                       const int64_t *starts_ns, uint32_t n, uint8_t *verdicts);
/* One native histogram, checked here (ERR_INVALID). */
err series_head_append_histogram(struct head *h, uint32_t series, int64_t time_ns, const struct histogram *v,
                                 int64_t start_ns, uint8_t *verdict);
/* The same one again is taken as said already. ERR_LIMIT: too large; a full head drops it and counts. */
err series_head_append_exemplar(struct head *h, const struct exemplar *e);

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* Samples in [min, max], appended to an empty *out. */
err series_head_read(struct head *h, uint32_t series, int64_t time_min, int64_t time_max, struct samples *out);
/* The end of a piece of a series from `from` on that is about as large as decoded samples may be, at most time_max. */
int64_t series_head_piece(struct head *h, uint32_t series, int64_t from, int64_t time_max);
/* Ascending ids of the series that match; memory of the arena. */
err series_head_select(struct head *h, const struct label_matcher *m, uint32_t matchers, struct arena *a,
                       uint32_t **out_ids, uint32_t *out_n);
/* The label set, borrowed from the head but for the array, which is the arena's. False: the arena is full. */
bool series_head_labels(struct head *h, uint32_t series, struct arena *a, struct labels *out);
/* The newest sample of a series; false: it has none. The histogram, if it is one, is the head's until the next sample: for the writer. */
struct head_last {
    int64_t time_ns, start_ns;
    double value;
    const struct histogram *histogram; /* NULL: value */
};
bool series_head_last(struct head *h, uint32_t series, struct head_last *out);
/* Times of the first and last sample of a series; false: it has none. */
bool series_head_range(struct head *h, uint32_t series, int64_t *out_min, int64_t *out_max);
/* Names, or values of a name, of any series of the head, in no order; texts are the head's. ERR_LIMIT of the arena. */
err series_head_label_names(struct head *h, struct arena *a, struct str **out, uint32_t *out_n);
err series_head_label_values(struct head *h, struct str name, struct arena *a, struct str **out, uint32_t *out_n);
/* Exemplars of a series with time in [min, max], oldest first; memory of the arena. */
err series_head_exemplars(struct head *h, uint32_t series, int64_t time_min, int64_t time_max, struct arena *a,
                          struct exemplar **out, uint32_t *out_n);

struct head_stats {
    uint32_t series, pairs, names, row_sets;
    uint64_t samples, histograms, late, exemplars, exemplars_dropped, bytes;
    uint64_t charged_bytes;     /* taken of the budget */
    int64_t time_min, time_max; /* min > max: no samples */
};
void series_head_get_stats(struct head *h, struct head_stats *out);

/* Who takes the room: metrics by series, labels by values, pairs by series; each list at most `n`, greatest first. */
struct head_count {
    struct str name, value; /* value: of pairs */
    uint32_t count;
};
struct head_cardinality {
    struct head_count *metrics, *labels, *pairs;
    uint32_t metric_count, label_count, pair_count;
};
err series_head_cardinality(struct head *h, uint32_t n, struct arena *a, struct head_cardinality *out);
