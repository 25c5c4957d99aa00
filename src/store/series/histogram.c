#include "store/series/histogram_priv.h"

#include <stdlib.h>

#include "base/hash.h"

size_t histogram_bytes(const struct histogram *h) {
    return (size_t)(h->positive_spans + h->negative_spans) * sizeof *h->spans + h->custom_bounds * sizeof *h->bounds +
           h->buckets * sizeof *h->bucket;
}

static err check_spans(const struct histogram_span *s, uint32_t n, const char *sign, uint64_t *buckets) {
    int64_t index = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (i && s[i].offset < 0) return err_new(ERR_INVALID, "native histogram: %s span %u goes back", sign, i);
        index += s[i].offset + (int64_t)s[i].length;
        if (s[i].length > HISTOGRAM_BUCKETS_MAX || index > INT32_MAX || index < INT32_MIN)
            return err_new(ERR_INVALID, "native histogram: %s span %u is out of range", sign, i);
        *buckets += s[i].length;
    }
    return NULL;
}

static err check_bounds(const struct histogram *h) {
    if (h->schema != SCHEMA_CUSTOM)
        return h->custom_bounds ? err_new(ERR_INVALID, "native histogram: custom bounds with schema %d", h->schema)
                                : NULL;
    if (h->negative_spans) return err_new(ERR_INVALID, "native histogram: negative buckets with custom bounds");
    for (uint32_t i = 0; i < h->custom_bounds; i++)
        if (h->bounds[i] != h->bounds[i] || (i && h->bounds[i] <= h->bounds[i - 1]))
            return err_new(ERR_INVALID, "native histogram: custom bound %u is not above the one before", i);
    int64_t end = 0;
    for (uint32_t i = 0; i < h->positive_spans; i++) {
        end += h->spans[i].offset;
        if (end < 0) return err_new(ERR_INVALID, "native histogram: a bucket below the first");
        end += h->spans[i].length;
    }
    if (end > (int64_t)h->custom_bounds + 1) return err_new(ERR_INVALID, "native histogram: more buckets than bounds");
    return NULL;
}

err histogram_check(const struct histogram *h) {
    uint64_t buckets = 0;
    if (h->schema != SCHEMA_CUSTOM && (h->schema < SCHEMA_MIN || h->schema > SCHEMA_MAX))
        return err_new(ERR_INVALID, "native histogram: schema %d is not known", h->schema);
    if (h->reset_hint >= RESET_HINTS) return err_new(ERR_INVALID, "native histogram: reset hint %u", h->reset_hint);
    if (MAX(MAX(h->positive_spans, h->negative_spans), MAX(h->custom_bounds, h->buckets)) > HISTOGRAM_BUCKETS_MAX)
        return err_new(ERR_LIMIT, "native histogram: over %d buckets, spans or bounds", HISTOGRAM_BUCKETS_MAX);
    TRY(check_spans(h->spans, h->positive_spans, "positive", &buckets));
    TRY(check_spans(h->spans + h->positive_spans, h->negative_spans, "negative", &buckets));
    if (buckets != h->buckets)
        return err_new(ERR_INVALID, "native histogram: %u counts for spans of %llu buckets", h->buckets,
                       (unsigned long long)buckets);
    if (!(h->zero_threshold >= 0)) return err_new(ERR_INVALID, "native histogram: the zero threshold is not positive");
    return check_bounds(h);
}

static bool same_bytes(const void *a, const void *b, size_t n) { return n == 0 || memcmp(a, b, n) == 0; }

/* Whether two have the same form: everything but numbers that change from sample to sample. */
static bool same_layout(const struct histogram *a, const struct histogram *b) {
    return a->schema == b->schema && a->reset_hint == b->reset_hint && a->positive_spans == b->positive_spans &&
           a->negative_spans == b->negative_spans && a->custom_bounds == b->custom_bounds && a->buckets == b->buckets &&
           bits_of_double(a->zero_threshold) == bits_of_double(b->zero_threshold) &&
           same_bytes(a->spans, b->spans, (a->positive_spans + a->negative_spans) * sizeof *a->spans) &&
           same_bytes(a->bounds, b->bounds, a->custom_bounds * sizeof *a->bounds);
}

bool histogram_equal(const struct histogram *a, const struct histogram *b) {
    return a->is_float == b->is_float && same_layout(a, b) && a->count.integer == b->count.integer &&
           a->zero_count.integer == b->zero_count.integer && bits_of_double(a->sum) == bits_of_double(b->sum) &&
           same_bytes(a->bucket, b->bucket, a->buckets * sizeof *a->bucket);
}

uint64_t histogram_hash(const struct histogram *h) {
    const uint64_t numbers[] = {(uint64_t)h->is_float << 32 | h->reset_hint,
                                (uint64_t)(uint32_t)h->schema << 32 | h->custom_bounds,
                                (uint64_t)h->positive_spans << 32 | h->negative_spans,
                                bits_of_double(h->zero_threshold),
                                h->count.integer,
                                h->zero_count.integer,
                                bits_of_double(h->sum),
                                hash_fast(h->spans, (h->positive_spans + h->negative_spans) * sizeof *h->spans),
                                hash_fast(h->bounds, h->custom_bounds * sizeof *h->bounds),
                                hash_fast(h->bucket, h->buckets * sizeof *h->bucket)};
    return hash_fast(numbers, sizeof numbers);
}

bool histogram_copy(struct arena *a, const struct histogram *h, struct histogram *out) {
    uint32_t spans = h->positive_spans + h->negative_spans;
    char *p = arena_alloc(a, histogram_bytes(h) + 1);
    if (!p) return false;
    *out = *h;
    out->bucket = memcpy(p, h->buckets ? (const void *)h->bucket : "", h->buckets * sizeof *h->bucket);
    p += h->buckets * sizeof *h->bucket;
    out->bounds = memcpy(p, h->custom_bounds ? (const void *)h->bounds : "", h->custom_bounds * sizeof *h->bounds);
    p += h->custom_bounds * sizeof *h->bounds;
    out->spans = memcpy(p, spans ? (const void *)h->spans : "", spans * sizeof *h->spans);
    return true;
}

struct histogram *histogram_on_heap(const struct histogram *h) {
    struct histogram *copy = mem_new(sizeof *copy + histogram_bytes(h) + 1);
    char *p = (char *)(copy + 1);
    uint32_t spans = h->positive_spans + h->negative_spans;
    *copy = *h;
    copy->bucket = memcpy(p, h->buckets ? (const void *)h->bucket : "", h->buckets * sizeof *h->bucket);
    p += h->buckets * sizeof *h->bucket;
    copy->bounds = memcpy(p, h->custom_bounds ? (const void *)h->bounds : "", h->custom_bounds * sizeof *h->bounds);
    p += h->custom_bounds * sizeof *h->bounds;
    copy->spans = memcpy(p, spans ? (const void *)h->spans : "", spans * sizeof *h->spans);
    return copy;
}

/* ---- layouts and their columns ---------------------------------------------------------------------------------- */

/* A bucket of any layout: (schema, sign, index) as one number that sorts. */
static uint64_t column_key(int32_t schema, bool negative, int64_t index) {
    return (uint64_t)(uint8_t)(schema - SCHEMA_CUSTOM) << 40 | (uint64_t)negative << 39 | (uint64_t)(index - INT32_MIN);
}

struct layouts {
    uint32_t n, columns;
    struct histogram form[HISTOGRAM_SAMPLES_MAX];  /* numbers unset */
    uint32_t first_key[HISTOGRAM_SAMPLES_MAX + 1]; /* of form i in column_of */
    uint64_t *keys;                                /* sorted, distinct: one a column */
    uint32_t *column_of;                           /* for each bucket of each form, its column */
};

static int compare_keys(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t list_keys(const struct histogram *h, uint64_t *out) {
    uint32_t n = 0;
    int64_t index = 0;
    for (uint32_t s = 0; s < h->positive_spans + h->negative_spans; s++) {
        if (s == h->positive_spans) index = 0;
        index += h->spans[s].offset;
        for (uint32_t i = 0; i < h->spans[s].length; i++)
            out[n++] = column_key(h->schema, s >= h->positive_spans, index++);
    }
    return n;
}

/* Finds the columns of all forms; memory is the caller's to free. */
static void layouts_finish(struct layouts *l) {
    uint32_t all = 0, n = 0;
    for (uint32_t i = 0; i < l->n; i++) all += l->form[i].buckets;
    uint64_t *keys = mem_new_array(uint64_t, all + 1);
    l->keys = mem_new_array(uint64_t, all + 1);
    l->column_of = mem_new_array(uint32_t, all + 1);
    for (uint32_t i = 0; i < l->n; i++) {
        l->first_key[i] = n;
        n += list_keys(&l->form[i], keys + n);
    }
    l->first_key[l->n] = n;
    memcpy(l->keys, keys, n * sizeof *keys);
    qsort(l->keys, n, sizeof *keys, compare_keys);
    l->columns = 0;
    for (uint32_t i = 0; i < n; i++)
        if (i == 0 || l->keys[i] != l->keys[i - 1]) l->keys[l->columns++] = l->keys[i];
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t *found = bsearch(&keys[i], l->keys, l->columns, sizeof *keys, compare_keys);
        l->column_of[i] = (uint32_t)(found - l->keys);
    }
    mem_free(keys);
}

static void layouts_done(struct layouts *l) {
    mem_free(l->keys);
    mem_free(l->column_of);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void put_layout(const struct histogram *h, struct buf *out) {
    buf_add_byte(out, (char)h->reset_hint);
    put_signed(out, h->schema);
    buf_add(out, &h->zero_threshold, 8);
    put_varint(out, h->positive_spans);
    put_varint(out, h->negative_spans);
    put_varint(out, h->custom_bounds);
    for (uint32_t i = 0; i < h->positive_spans + h->negative_spans; i++) {
        put_signed(out, h->spans[i].offset);
        put_varint(out, h->spans[i].length);
    }
    buf_add(out, h->bounds, h->custom_bounds * sizeof *h->bounds);
}

static void put_numbers(const union histogram_number *v, uint32_t n, bool is_float, enum effort effort,
                        struct buf *out) {
    if (n == 0) return;
    if (is_float)
        values_encode(&v->real, n, effort, out);
    else
        frames_encode((const int64_t *)&v->integer, n, effort, out);
}

static uint32_t find_layout(struct layouts *l, const struct histogram *h) {
    for (uint32_t i = l->n; i-- > 0;)
        if (same_layout(&l->form[i], h)) return i;
    l->form[l->n] = *h;
    return l->n++;
}

static void put_columns(const struct layouts *l, const struct histogram *h, const int64_t *layout, uint32_t n,
                        enum effort effort, struct buf *out) {
    union histogram_number *numbers = mem_new_array(union histogram_number, (size_t)(l->columns + 1) * n);
    uint32_t *counts = mem_new_array(uint32_t, l->columns + 1);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t b = 0; b < h[i].buckets; b++) {
            uint32_t column = l->column_of[l->first_key[layout[i]] + b];
            numbers[(size_t)column * n + counts[column]++] = h[i].bucket[b];
        }
    for (uint32_t c = 0; c < l->columns; c++) put_numbers(numbers + (size_t)c * n, counts[c], h->is_float, effort, out);
    mem_free(numbers);
    mem_free(counts);
}

void histograms_encode(const struct histogram *h, uint32_t n, enum effort effort, struct buf *out) {
    assert(n > 0 && n <= HISTOGRAM_SAMPLES_MAX);
    struct layouts l;
    int64_t layout[HISTOGRAM_SAMPLES_MAX];
    double sums[HISTOGRAM_SAMPLES_MAX];
    union histogram_number counts[HISTOGRAM_SAMPLES_MAX], zero_counts[HISTOGRAM_SAMPLES_MAX];
    l.n = 0;
    for (uint32_t i = 0; i < n; i++) {
        layout[i] = find_layout(&l, &h[i]);
        sums[i] = h[i].sum;
        counts[i] = h[i].count;
        zero_counts[i] = h[i].zero_count;
    }
    layouts_finish(&l);
    buf_add_byte(out, h->is_float);
    put_varint(out, l.n);
    for (uint32_t i = 0; i < l.n; i++) put_layout(&l.form[i], out);
    frames_encode(layout, n, EFFORT_FULL, out);
    values_encode(sums, n, effort, out);
    put_numbers(counts, n, h->is_float, effort, out);
    put_numbers(zero_counts, n, h->is_float, effort, out);
    put_columns(&l, h, layout, n, effort, out);
    layouts_done(&l);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reader {
    struct cursor c;
    struct arena *arena;
    bool is_float;
    struct layouts layouts;
    int64_t layout[HISTOGRAM_SAMPLES_MAX];
};

static err damaged(void) { return err_new(ERR_CORRUPT, "a chunk of native histograms is damaged"); }

static err read_layout(struct reader *r, struct histogram *h) {
    struct cursor *c = &r->c;
    *h = (struct histogram){.is_float = r->is_float, .reset_hint = cursor_byte(c, RESET_HINTS - 1)};
    int64_t schema = cursor_signed(c);
    const unsigned char *threshold = cursor_skip(c, 8);
    if (c->bad || schema != (int8_t)schema) return damaged();
    h->schema = (int32_t)schema;
    memcpy(&h->zero_threshold, threshold, 8);
    h->positive_spans = cursor_varint(c);
    h->negative_spans = cursor_varint(c);
    h->custom_bounds = cursor_varint(c);
    if (c->bad || MAX(MAX(h->positive_spans, h->negative_spans), h->custom_bounds) > HISTOGRAM_BUCKETS_MAX)
        return damaged();
    uint32_t spans = h->positive_spans + h->negative_spans;
    struct histogram_span *s = arena_array(r->arena, struct histogram_span, spans + 1);
    double *bounds = arena_array(r->arena, double, h->custom_bounds + 1);
    if (!s || !bounds) return arena_err(r->arena);
    for (uint32_t i = 0; i < spans; i++) {
        int64_t offset = cursor_signed(c);
        s[i] = (struct histogram_span){(int32_t)offset, cursor_varint(c)};
        if (c->bad || offset != (int32_t)offset || s[i].length > HISTOGRAM_BUCKETS_MAX) return damaged();
        h->buckets += s[i].length;
    }
    const unsigned char *raw = cursor_skip(c, h->custom_bounds * sizeof *bounds);
    if (c->bad) return damaged();
    memcpy(bounds, raw, h->custom_bounds * sizeof *bounds);
    h->spans = s;
    h->bounds = bounds;
    return err_as(histogram_check(h), ERR_CORRUPT);
}

static void read_numbers(struct reader *r, uint32_t n, union histogram_number *out) {
    if (n == 0) return;
    if (r->is_float)
        values_read(&r->c, n, 0, n, &out->real);
    else
        frames_decode(&r->c, n, 0, n, (int64_t *)&out->integer);
}

static err read_columns(struct reader *r, uint32_t n, struct histogram *out, union histogram_number *buckets) {
    struct layouts *l = &r->layouts;
    union histogram_number numbers[HISTOGRAM_SAMPLES_MAX];
    uint32_t *rows_of = mem_new_array(uint32_t, l->columns + 1); /* rows of each column, then where its values go */
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t b = 0; b < out[i].buckets; b++) rows_of[l->column_of[l->first_key[r->layout[i]] + b]]++;
    /* values by column to a matrix, then bucket by bucket from there */
    size_t all = 0;
    for (uint32_t c = 0; c < l->columns; c++) {
        uint32_t rows = rows_of[c];
        rows_of[c] = (uint32_t)all;
        read_numbers(r, rows, numbers);
        if (r->c.bad) break;
        memcpy(buckets + all, numbers, rows * sizeof *numbers);
        all += rows;
    }
    union histogram_number *own = arena_array(r->arena, union histogram_number, all + 1);
    for (uint32_t i = 0; i < n && own && !r->c.bad; i++) {
        out[i].bucket = own;
        for (uint32_t b = 0; b < out[i].buckets; b++)
            *own++ = buckets[rows_of[l->column_of[l->first_key[r->layout[i]] + b]]++];
    }
    mem_free(rows_of);
    if (r->c.bad) return damaged();
    return own ? NULL : arena_err(r->arena);
}

static err read_rows(struct reader *r, uint32_t n, struct histogram *out) {
    double sums[HISTOGRAM_SAMPLES_MAX];
    union histogram_number counts[HISTOGRAM_SAMPLES_MAX], zero_counts[HISTOGRAM_SAMPLES_MAX];
    uint64_t buckets = 0;
    frames_decode(&r->c, n, 0, n, r->layout);
    values_read(&r->c, n, 0, n, sums);
    read_numbers(r, n, counts);
    read_numbers(r, n, zero_counts);
    if (r->c.bad) return damaged();
    for (uint32_t i = 0; i < n; i++) {
        if ((uint64_t)r->layout[i] >= r->layouts.n) return damaged();
        out[i] = r->layouts.form[r->layout[i]];
        out[i].sum = sums[i];
        out[i].count = counts[i];
        out[i].zero_count = zero_counts[i];
        buckets += out[i].buckets;
    }
    union histogram_number *by_column = mem_new_array(union histogram_number, buckets + 1);
    err e = read_columns(r, n, out, by_column);
    mem_free(by_column);
    return e;
}

err histograms_decode(struct str bytes, uint32_t n, struct arena *a, struct histogram *out) {
    assert(n > 0 && n <= HISTOGRAM_SAMPLES_MAX);
    struct reader r = {.c = cursor_of(bytes), .arena = a};
    r.is_float = cursor_byte(&r.c, 1);
    uint32_t layouts = cursor_varint(&r.c);
    if (r.c.bad || layouts == 0 || layouts > n) return damaged();
    for (; r.layouts.n < layouts; r.layouts.n++) TRY(read_layout(&r, &r.layouts.form[r.layouts.n]));
    layouts_finish(&r.layouts);
    err e = read_rows(&r, n, out);
    layouts_done(&r.layouts);
    return e;
}
