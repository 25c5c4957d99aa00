/* The sum of two native histograms of integer counts: deltas of a counter added up. */
#include <stdlib.h>

#include "store/series/histogram.h"

enum { GAP_FILLED_MAX = 2 };

struct bucket {
    int64_t index;
    uint64_t count;
};

/* The buckets of one sign, ascending. */
struct side {
    struct bucket *v;
    uint32_t n;
};

/* Buckets with something in them, `down` schemas lower; those that become one are added up. */
static bool put_side(const struct histogram *h, bool negative, int down, struct arena *a, struct side *out) {
    uint32_t first = negative ? h->positive_spans : 0, end = negative ? first + h->negative_spans : h->positive_spans;
    uint32_t bucket = 0;
    int64_t index = 0;
    for (uint32_t s = 0; s < first; s++) bucket += h->spans[s].length;
    out->n = 0;
    out->v = arena_array(a, struct bucket, h->buckets + 1);
    if (!out->v) return false;
    for (uint32_t s = first; s < end; s++) {
        index += h->spans[s].offset;
        for (uint32_t i = 0; i < h->spans[s].length; i++, index++, bucket++) {
            uint64_t count = h->bucket[bucket].integer;
            int64_t at = down ? ((index - 1) >> down) + 1 : index; /* a bucket is counted by its upper bound */
            if (count == 0) continue;
            if (out->n && out->v[out->n - 1].index == at)
                out->v[out->n - 1].count += count;
            else
                out->v[out->n++] = (struct bucket){at, count};
        }
    }
    return true;
}

static bool add_sides(const struct side *x, const struct side *y, struct arena *a, struct side *out) {
    uint32_t i = 0, j = 0;
    out->n = 0;
    out->v = arena_array(a, struct bucket, x->n + y->n + 1);
    if (!out->v) return false;
    while (i < x->n || j < y->n) {
        bool first = j == y->n || (i < x->n && x->v[i].index <= y->v[j].index);
        struct bucket b = first ? x->v[i++] : y->v[j++];
        if (out->n && out->v[out->n - 1].index == b.index)
            out->v[out->n - 1].count += b.count;
        else
            out->v[out->n++] = b;
    }
    return true;
}

/* 2^(index × 2^-schema): where a bucket ends. */
static double upper_bound(int64_t index, int32_t schema) {
    return __builtin_exp2((double)index * __builtin_exp2(-schema));
}

/* The buckets that lie below the threshold, in whole or in part, count as zero. The threshold grows to the end of the last. */
static uint64_t take_zeros(struct side *s, int32_t schema, double *threshold) {
    uint64_t zeros = 0;
    uint32_t n = 0;
    while (n < s->n && upper_bound(s->v[n].index - 1, schema) < *threshold) {
        double end = upper_bound(s->v[n].index, schema);
        *threshold = end > *threshold ? end : *threshold;
        zeros += s->v[n++].count;
    }
    s->v += n;
    s->n -= n;
    return zeros;
}

/* Spans and counts of a side behind those that are there. */
static void put_spans(const struct side *s, struct histogram_span *spans, uint32_t *spans_n,
                      union histogram_number *counts, uint32_t *counts_n) {
    int64_t next = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        int64_t gap = s->v[i].index - next;
        if (i == 0 || gap > GAP_FILLED_MAX)
            spans[(*spans_n)++] = (struct histogram_span){(int32_t)gap, 0};
        else
            for (; gap > 0; gap--, spans[*spans_n - 1].length++) counts[(*counts_n)++].integer = 0;
        spans[*spans_n - 1].length++;
        counts[(*counts_n)++].integer = s->v[i].count;
        next = s->v[i].index + 1;
    }
}

static bool same_kind(const struct histogram *x, const struct histogram *y) {
    bool custom = x->schema == SCHEMA_CUSTOM;
    if (x->is_float || y->is_float || custom != (y->schema == SCHEMA_CUSTOM)) return false;
    return !custom ||
           (x->custom_bounds == y->custom_bounds &&
            (x->custom_bounds == 0 || memcmp(x->bounds, y->bounds, x->custom_bounds * sizeof *x->bounds) == 0));
}

struct sum {
    struct side positive, negative;
    double threshold;
    uint64_t zeros;
};

/* At one schema. */
static bool add_at(const struct histogram *x, const struct histogram *y, int32_t schema, struct arena *a,
                   struct sum *out) {
    struct side sides[4];
    int down[2] = {x->schema - schema, y->schema - schema};
    double before;
    if (!put_side(x, false, down[0], a, &sides[0]) || !put_side(y, false, down[1], a, &sides[1]) ||
        !put_side(x, true, down[0], a, &sides[2]) || !put_side(y, true, down[1], a, &sides[3]))
        return false;
    *out = (struct sum){.threshold = MAX(x->zero_threshold, y->zero_threshold)};
    if (x->zero_threshold != y->zero_threshold) do {
            before = out->threshold;
            for (int i = 0; i < 4; i++) out->zeros += take_zeros(&sides[i], schema, &out->threshold);
        } while (out->threshold > before);
    return add_sides(&sides[0], &sides[1], a, &out->positive) && add_sides(&sides[2], &sides[3], a, &out->negative);
}

/* Counts with their filled gaps; two spans are at least as far apart as a filled gap is long. */
static uint32_t counts_bound(const struct sum *s) { return (s->positive.n + s->negative.n) * (GAP_FILLED_MAX + 1); }

static bool put_sum(const struct sum *s, struct arena *a, struct histogram *out) {
    struct histogram_span *spans = arena_array(a, struct histogram_span, s->positive.n + s->negative.n + 1);
    union histogram_number *counts = arena_array(a, union histogram_number, counts_bound(s) + 1);
    if (!spans || !counts) return false;
    out->positive_spans = out->buckets = 0;
    put_spans(&s->positive, spans, &out->positive_spans, counts, &out->buckets);
    uint32_t all = out->positive_spans;
    put_spans(&s->negative, spans, &all, counts, &out->buckets);
    out->negative_spans = all - out->positive_spans;
    out->spans = spans;
    out->bucket = counts;
    return true;
}

bool histogram_add(const struct histogram *x, const struct histogram *y, struct arena *a, struct histogram *out) {
    bool custom = x->schema == SCHEMA_CUSTOM;
    struct sum s;
    if (!same_kind(x, y)) return false;
    *out = *x;
    out->count.integer = x->count.integer + y->count.integer;
    out->sum = x->sum + y->sum;
    out->reset_hint = RESET_UNKNOWN;
    for (int32_t schema = MIN(x->schema, y->schema); custom || schema >= SCHEMA_MIN; schema--) {
        if (!add_at(x, y, schema, a, &s)) return false;
        out->schema = schema;
        out->zero_threshold = s.threshold;
        out->zero_count.integer = x->zero_count.integer + y->zero_count.integer + s.zeros;
        if (!put_sum(&s, a, out)) return false;
        if (out->buckets <= HISTOGRAM_BUCKETS_MAX) return true;
        if (custom) return false;
    }
    return false;
}
