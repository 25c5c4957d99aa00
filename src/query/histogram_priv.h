/* A log-linear histogram of durations: 32 buckets a power of two, so a quantile is right to 1/64.
 *
 *   value   0 1 … 31 | 32 33 … 63 | 64 66 … 126 | 128 132 … | …
 *   bucket  exact      exact        width 2       width 4
 *
 * Units: ns; negative values count as 0. Memory: 7.5 KiB each, given zeroed by the caller. Source: as HdrHistogram.
 */
#pragma once

#include "base/base.h"

enum { HISTOGRAM_SUB_BITS = 5, HISTOGRAM_BUCKETS = (63 - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS };

struct histogram {
    uint64_t n;
    int64_t min, max, sum; /* sum saturates */
    uint32_t counts[HISTOGRAM_BUCKETS];
};

static inline uint32_t histogram_bucket(int64_t value) {
    uint64_t v = value < 0 ? 0 : (uint64_t)value;
    if (v < 1u << HISTOGRAM_SUB_BITS) return (uint32_t)v;
    uint32_t exponent = 63 - (uint32_t)__builtin_clzll(v);
    uint32_t shift = exponent - HISTOGRAM_SUB_BITS;
    return ((shift + 1) << HISTOGRAM_SUB_BITS) + ((uint32_t)(v >> shift) & ((1u << HISTOGRAM_SUB_BITS) - 1));
}
void histogram_count(struct histogram *h, int64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value that a share `quantile` (0..1) of all values is not above, as the middle of its bucket; 0 if empty. */
int64_t histogram_quantile(const struct histogram *h, double quantile);
