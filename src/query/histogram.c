#include "query/histogram_priv.h"

void histogram_count(struct histogram *h, int64_t value) {
    if (value < 0) value = 0;
    if (h->n == 0 || value < h->min) h->min = value;
    if (h->n == 0 || value > h->max) h->max = value;
    h->n++;
    if (__builtin_add_overflow(h->sum, value, &h->sum)) h->sum = INT64_MAX;
    h->counts[histogram_bucket(value)]++;
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    if (from->n == 0) return;
    into->min = into->n == 0 ? from->min : MIN(into->min, from->min);
    into->max = into->n == 0 ? from->max : MAX(into->max, from->max);
    into->n += from->n;
    if (__builtin_add_overflow(into->sum, from->sum, &into->sum)) into->sum = INT64_MAX;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) into->counts[i] += from->counts[i];
}

static int64_t bucket_middle(uint32_t bucket) {
    uint32_t part = bucket >> HISTOGRAM_SUB_BITS, sub = bucket & ((1u << HISTOGRAM_SUB_BITS) - 1);
    if (part == 0) return bucket;
    uint32_t shift = part - 1;
    uint64_t low = ((uint64_t)(1u << HISTOGRAM_SUB_BITS) + sub) << shift;
    return (int64_t)(low + (((uint64_t)1 << shift) - 1) / 2);
}

int64_t histogram_quantile(const struct histogram *h, double quantile) {
    if (h->n == 0) return 0;
    uint64_t rank = (uint64_t)(quantile * (double)h->n + 0.999999); /* 1-based: the nearest-rank definition */
    if (rank < 1) rank = 1;
    if (rank > h->n) rank = h->n;
    if (rank == h->n) return h->max;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->counts[i];
        if (seen < rank) continue;
        int64_t v = bucket_middle(i);
        return v < h->min ? h->min : v > h->max ? h->max : v;
    }
    return h->max;
}
