/* What a sample is: a double with all its bits, or a native histogram: exponential (schema −4..8) or of custom buckets (schema −53),
 * integer or float.
 *
 * Invariants: integer bucket counts are absolute; Prometheus's deltas are their differences, wrapping. Spans stay as they were cut.
 * Limits: HISTOGRAM_BUCKETS_MAX buckets, spans and bounds each. Errors: histogram_check is ERR_INVALID for what no sender may send.
 * Threads: pure.
 * Source: Prometheus 3.5, model/histogram (spans, schemas, reset hints); OpenTelemetry, metrics data model (exponential histograms).
 */
#pragma once

#include "base/arena.h"

enum { HISTOGRAM_BUCKETS_MAX = 1024, SCHEMA_MIN = -4, SCHEMA_MAX = 8, SCHEMA_CUSTOM = -53 };

/* The value by which Prometheus says that a series has ended, and what it makes of any other NaN. */
#define STALE_BITS UINT64_C(0x7ff0000000000002)

static inline uint64_t bits_of_double(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static inline double double_of_bits(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
static inline bool value_is_stale(double v) { return bits_of_double(v) == STALE_BITS; }

enum reset_hint { RESET_UNKNOWN, RESET_YES, RESET_NO, RESET_GAUGE, RESET_HINTS };

/* A run of buckets; `offset` is the distance to the run before, of the first the index itself. */
struct histogram_span {
    int32_t offset;
    uint32_t length;
};

/* A count: `real` in float histograms. */
union histogram_number {
    uint64_t integer;
    double real;
};

/* Everything pointed to is borrowed. Buckets: those of the positive spans, then those of the negative ones, absolute counts. */
struct histogram {
    bool is_float;
    uint8_t reset_hint; /* enum reset_hint */
    int32_t schema;
    double zero_threshold, sum;
    union histogram_number count, zero_count;
    uint32_t positive_spans, negative_spans, custom_bounds, buckets;
    const struct histogram_span *spans; /* positive, then negative */
    const double *bounds;               /* upper ones, of SCHEMA_CUSTOM */
    const union histogram_number *bucket;
};

/* Shape, limits and order of spans and bounds. Not whether counts add up: Prometheus takes sums that do not, after a stale marker. */
err histogram_check(const struct histogram *h);
static inline bool histogram_is_stale(const struct histogram *h) { return value_is_stale(h->sum); }
bool histogram_equal(const struct histogram *a, const struct histogram *b); /* by every bit */
uint64_t histogram_hash(const struct histogram *h); /* of every bit, under the process's secret */
/* The sum of two histograms of integers, at the lower of their schemas, or one at which it has not too many buckets; zero thresholds are
 * brought to the wider. False: they have different bounds, are of floats, or the arena is full. Memory of the arena and, of bounds, of x. */
bool histogram_add(const struct histogram *x, const struct histogram *y, struct arena *a, struct histogram *out);
/* A copy whose arrays are the arena's; false: it is full. */
bool histogram_copy(struct arena *a, const struct histogram *h, struct histogram *out);
struct histogram *histogram_on_heap(const struct histogram *h); /* a copy in one piece; mem_free */
size_t histogram_bytes(const struct histogram *h);              /* of its arrays */
