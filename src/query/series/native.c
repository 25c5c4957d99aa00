#include "query/series/series.h"

/* Buckets of one side; `first` is the first of h->bucket that is its own. False: no memory. */
static bool side_make(struct arena *a, const struct histogram *h, const struct histogram_span *spans, uint32_t span_n,
                      uint32_t first, uint32_t n, struct native_side *out) {
    uint32_t made = 0;
    int64_t index = 0;
    *out = (struct native_side){.n = n};
    if (n == 0) return true;
    out->index = arena_alloc(a, sizeof *out->index * n);
    out->count = arena_alloc(a, sizeof *out->count * n);
    if (!out->index || !out->count) return false;
    for (uint32_t s = 0; s < span_n; s++) {
        index += spans[s].offset;
        for (uint32_t k = 0; k < spans[s].length && made < n; k++, index++) {
            const union histogram_number *count = &h->bucket[first + made];
            out->index[made] = (int32_t)index;
            out->count[made++] = h->is_float ? count->real : (double)count->integer;
        }
    }
    out->n = made;
    return true;
}

static uint32_t span_buckets(const struct histogram_span *spans, uint32_t n) {
    uint32_t buckets = 0;
    for (uint32_t i = 0; i < n; i++) buckets += spans[i].length;
    return buckets;
}

const struct native *series_native(struct arena *a, const struct histogram *h, const double *bounds) {
    static const enum native_reset resets[RESET_HINTS] = {
        [RESET_YES] = NATIVE_RESET, [RESET_NO] = NATIVE_NOT_RESET, [RESET_GAUGE] = NATIVE_GAUGE};
    struct native *out = arena_new(a, struct native);
    if (!out) return NULL;
    *out = (struct native){.schema = h->schema,
                           .reset = resets[h->reset_hint < RESET_HINTS ? h->reset_hint : RESET_UNKNOWN],
                           .zero_threshold = h->zero_threshold,
                           .zero_count = h->is_float ? h->zero_count.real : (double)h->zero_count.integer,
                           .count = h->is_float ? h->count.real : (double)h->count.integer,
                           .sum = h->sum,
                           .custom = bounds,
                           .custom_n = h->custom_bounds};
    uint32_t positive = MIN(span_buckets(h->spans, h->positive_spans), h->buckets);
    if (!side_make(a, h, h->spans, h->positive_spans, 0, positive, &out->positive)) return NULL;
    const struct histogram_span *negative_spans = h->negative_spans ? h->spans + h->positive_spans : NULL;
    return side_make(a, h, negative_spans, h->negative_spans, positive, h->buckets - positive, &out->negative) ? out
                                                                                                               : NULL;
}
