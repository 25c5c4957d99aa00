/* Native histograms: exponential (schema −4..8) and custom buckets (schema −53), integer or float, and chunks of them.
 *
 *   chunk: layouts (distinct forms) │ layout of each row │ sums │ counts │ zero counts │ one column a bucket
 *
 * Samples of one series mostly have the same buckets, so a bucket is a column of numbers over time and packs as a counter does. A bucket
 * that comes or goes makes a new layout; its column has the rows whose layouts have it.
 *
 * Invariants: what decodes is what was encoded: spans as they were cut, every bit of sums, counts, bounds, the reset hint. Integer
 * bucket counts are absolute; Prometheus's deltas are their differences, wrapping. One chunk is all integer or all float.
 * Limits: HISTOGRAM_BUCKETS_MAX buckets, spans and bounds each, HISTOGRAM_SAMPLES_MAX a chunk. Bytes: docs/formats/series.md.
 * Errors: histogram_check is ERR_INVALID for what no sender may send; decoding ERR_CORRUPT, or ERR_LIMIT of the arena. Threads: pure.
 * Source: Prometheus 3.5, model/histogram (spans, schemas, reset hints); OpenTelemetry, metrics data model (exponential histograms).
 */
#pragma once

#include "base/arena.h"
#include "store/series/values_priv.h"

enum {
    HISTOGRAM_BUCKETS_MAX = 1024,
    HISTOGRAM_SAMPLES_MAX = 128,
    SCHEMA_MIN = -4,
    SCHEMA_MAX = 8,
    SCHEMA_CUSTOM = -53
};

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
/* A copy whose arrays are the arena's; false: it is full. */
bool histogram_copy(struct arena *a, const struct histogram *h, struct histogram *out);
size_t histogram_bytes(const struct histogram *h); /* of its arrays */

/* n in 1..HISTOGRAM_SAMPLES_MAX checked histograms, all integer or all float. */
void histograms_encode(const struct histogram *h, uint32_t n, enum effort effort, struct buf *out);
/* All n of a chunk, with arrays of the arena. */
err histograms_decode(struct str bytes, uint32_t n, struct arena *a, struct histogram *out);
