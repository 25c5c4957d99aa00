/* Decoded samples of one series: what every reader of this room fills and every writer takes.
 *
 * Units and shapes: n rows in strictly ascending time; times int64 ns; values[i] is the sample unless histograms (not NULL) has one
 * at i; starts_ns (not NULL) is when the counter began, 0 where nobody said.
 * Facts: may_fall false, no value is NaN or less than the one before; may_nan false, none is NaN; true, nobody knows. They are of floats.
 * times_id: equal, not 0, in two reads of one process: equal times; series that were sampled together mostly have the same.
 * Merging: where two sources have the same time the one that was asked first wins; a sample never changes once it was acknowledged.
 * Owner: the caller, who reuses one object for many series; histograms live in its arena until samples_clear.
 */
#pragma once

#include "store/series/histogram.h"

/* A series is written in pieces of about so much: a histogram weighs as many floats. */
enum { PIECE_WEIGHT = 1 << 16, PIECE_HISTOGRAM = 512 };

struct samples {
    uint32_t n, capacity;
    int64_t *times_ns;
    double *values;
    int64_t *starts_ns;
    const struct histogram **histograms;
    uint64_t times_id;
    bool may_fall, may_nan;
    struct arena arena;
};

void samples_init(struct samples *s, size_t histogram_bytes_max);
void samples_done(struct samples *s);
void samples_clear(struct samples *s); /* keeps memory */
void samples_reserve(struct samples *s, uint32_t more);
/* A number for the times: the one that the reader knew, else made of them. Never 0 but for no rows. */
uint64_t samples_times_id(struct samples *s);
/* Counts `count` float rows that were written behind the last one; flags are those of values_flags. */
void samples_take_rows(struct samples *s, uint32_t count, uint8_t flags);
/* What is already there keeps its place: the caller appends in ascending time. A histogram is copied. False: the arena is full. */
void samples_add(struct samples *s, int64_t time_ns, double value, int64_t start_ns);
bool samples_add_histogram(struct samples *s, int64_t time_ns, const struct histogram *h, int64_t start_ns);
/* Rows [first, first + count) of another. False: the arena is full. */
bool samples_add_rows(struct samples *s, const struct samples *from, uint32_t first, uint32_t count);
/* Both ascending; `later` fills what s does not have. `scratch` is overwritten. False: the arena is full. */
bool samples_merge(struct samples *s, const struct samples *later, struct samples *scratch);
/* Keeps rows with time in [min, max]. */
void samples_trim(struct samples *s, int64_t time_min, int64_t time_max);
/* Drops rows with time in [min, max]. */
void samples_drop(struct samples *s, int64_t time_min, int64_t time_max);
void samples_make_starts(struct samples *s);     /* starts_ns is there from now on */
void samples_make_histograms(struct samples *s); /* histograms is there from now on */
static inline const struct histogram *samples_histogram(const struct samples *s, uint32_t i) {
    return s->histograms ? s->histograms[i] : NULL;
}
static inline int64_t samples_start(const struct samples *s, uint32_t i) { return s->starts_ns ? s->starts_ns[i] : 0; }
