/* The builder of points, and the blob they become. */
#include "signal/batch_priv.h"
#include "signal/metrics/labels_kept_priv.h"
#include "signal/metrics/points_priv.h"

void points_builder_init(struct points_builder *b, enum points_origin origin) {
    *b = (struct points_builder){0};
    strings_init(&b->strings);
    points_builder_clear(b, origin);
}

static void let_pages_go(struct points_builder *b) {
    for (size_t i = 0; i < b->pages.n; i++) label_page_unref(b->pages.v[i]);
    b->pages.n = b->kept_bytes = 0;
}

void points_builder_done(struct points_builder *b) {
    let_pages_go(b);
    vec_done(&b->kept);
    vec_done(&b->pages);
    mem_free(b->series_of);
    mem_free(b->time);
    mem_free(b->start);
    mem_free(b->value);
    mem_free(b->flags);
    mem_free(b->kind);
    vec_done(&b->resources);
    vec_done(&b->scopes);
    vec_done(&b->metrics);
    vec_done(&b->series);
    vec_done(&b->hashes);
    vec_done(&b->histograms);
    vec_done(&b->numbers);
    vec_done(&b->exemplars);
    strings_done(&b->strings);
    *b = (struct points_builder){0};
}

void points_builder_clear(struct points_builder *b, enum points_origin origin) {
    b->origin = origin;
    points_builder_rewind(b, (struct points_mark){0});
    let_pages_go(b);
    strings_clear(&b->strings);
    strings_intern(&b->strings, STR(""));
    if (origin == POINTS_PROMETHEUS) *vec_push(&b->metrics) = (struct points_metric){0};
}

size_t points_builder_bytes(const struct points_builder *b) {
    return sizeof(struct points_header) + POINTS_SECTIONS * sizeof(struct points_section_row) + b->n * (size_t)33 +
           b->resources.n * sizeof(struct points_resource) + b->scopes.n * sizeof(struct points_scope) +
           b->metrics.n * sizeof(struct points_metric) +
           b->series.n * (sizeof(struct points_series) + sizeof(struct hash128)) + b->kept.n * sizeof *b->kept.v +
           b->histograms.n * sizeof(struct points_histogram) + b->numbers.n * 8 +
           b->exemplars.n * sizeof(struct points_exemplar) + b->strings.heap_size + 4 * (size_t)b->strings.n;
}

void points_builder_grow(struct points_builder *b) {
    uint32_t capacity = b->capacity ? b->capacity * 2 : 256;
    assert(b->n < POINTS_ROWS_MAX);
    b->series_of = mem_grow(b->series_of, capacity * sizeof *b->series_of);
    b->time = mem_grow(b->time, capacity * sizeof *b->time);
    b->start = mem_grow(b->start, capacity * sizeof *b->start);
    b->value = mem_grow(b->value, capacity * sizeof *b->value);
    b->flags = mem_grow(b->flags, capacity * sizeof *b->flags);
    b->kind = mem_grow(b->kind, capacity * sizeof *b->kind);
    b->capacity = capacity;
}

void points_put_label(struct buf *out, struct str name, struct str value) {
    size_t start = out->n;
    buf_add_str(out, name);
    any_close(out, start, WIRE_TAG(1, WIRE_BYTES));
    size_t text = out->n;
    buf_add_str(out, value);
    any_close(out, text, WIRE_TAG(2, WIRE_BYTES));
    any_close(out, start, WIRE_TAG(1, WIRE_BYTES));
}

struct points_mark points_builder_mark(const struct points_builder *b) {
    return (struct points_mark){b->n,        b->resources.n,  b->scopes.n,  b->metrics.n,  b->series.n,
                                b->hashes.n, b->histograms.n, b->numbers.n, b->exemplars.n};
}

void points_builder_rewind(struct points_builder *b, struct points_mark mark) {
    b->n = mark.n;
    b->resources.n = mark.resources;
    b->scopes.n = mark.scopes;
    b->metrics.n = mark.metrics;
    b->series.n = mark.series;
    b->kept.n = MIN(b->kept.n, mark.series);
    b->hashes.n = mark.hashes;
    b->histograms.n = mark.histograms;
    b->numbers.n = mark.numbers;
    b->exemplars.n = mark.exemplars;
}

/* ---- histograms --------------------------------------------------------------------------------------------------- */

void points_lists_clear(struct points_lists *l) {
    for (int i = 0; i < NUMBERS; i++) vec_clear(&l->v[i]);
    l->too_many = false;
}

void points_lists_done(struct points_lists *l) {
    for (int i = 0; i < NUMBERS; i++) vec_done(&l->v[i]);
}

void points_builder_histogram(struct points_builder *b, uint32_t point, enum point_kind kind,
                              struct points_histogram *h, const struct points_lists *l) {
    h->first = (uint32_t)b->numbers.n;
    for (int i = 0; i < NUMBERS; i++) {
        h->n[i] = (uint32_t)l->v[i].n;
        vec_reserve(&b->numbers, h->n[i]);
        if (h->n[i]) memcpy(b->numbers.v + b->numbers.n, l->v[i].v, 8 * l->v[i].n);
        b->numbers.n += h->n[i];
    }
    b->kind[point] = (uint8_t)kind;
    b->value[point] = b->histograms.n;
    *vec_push(&b->histograms) = *h;
}

/* ---- the blob ------------------------------------------------------------------------------------------------------ */

const uint8_t points_element_sizes[POINTS_SECTIONS] = {
    [POINTS_STRING_END] = 4,
    [POINTS_HEAP] = 1,
    [POINTS_RESOURCES] = sizeof(struct points_resource),
    [POINTS_SCOPES] = sizeof(struct points_scope),
    [POINTS_METRICS] = sizeof(struct points_metric),
    [POINTS_SERIES] = sizeof(struct points_series),
    [POINTS_HISTOGRAMS] = sizeof(struct points_histogram),
    [POINTS_NUMBERS] = 8,
    [POINTS_EXEMPLARS] = sizeof(struct points_exemplar),
    [POINTS_COLUMN + COLUMN_SERIES] = 4,
    [POINTS_COLUMN + COLUMN_TIME] = 8,
    [POINTS_COLUMN + COLUMN_START] = 8,
    [POINTS_COLUMN + COLUMN_VALUE] = 8,
    [POINTS_COLUMN + COLUMN_FLAGS] = 4,
    [POINTS_COLUMN + COLUMN_KIND] = 1,
};

struct plan {
    const void *from[POINTS_SECTIONS];
    struct points_section_row rows[POINTS_SECTIONS];
    uint32_t n;
};

static void plan_add(struct plan *p, int id, const void *from, size_t count) {
    if (count == 0) return;
    uint32_t size = points_element_sizes[id];
    assert(count * size <= POINTS_BYTES_MAX);
    p->from[p->n] = from;
    p->rows[p->n++] =
        (struct points_section_row){.id = (uint32_t)id, .size_bytes = (uint32_t)(count * size), .element_size = size};
}

/* One value for all points takes one place; zero for all takes none. */
static void plan_column(struct plan *p, enum points_column c, const void *column, size_t n) {
    static const unsigned char zero[8];
    size_t size = points_element_sizes[POINTS_COLUMN + c];
    const char *at = column;
    if (n == 0) return;
    bool constant = memcmp(at, at + size, (n - 1) * size) == 0;
    if (constant && memcmp(at, zero, size) == 0) return;
    plan_add(p, POINTS_COLUMN + (int)c, column, constant ? 1 : n);
}

static void plan_make(struct plan *p, const struct points_builder *b) {
    p->n = 0;
    plan_add(p, POINTS_STRING_END, b->strings.end, b->strings.n);
    plan_add(p, POINTS_HEAP, b->strings.heap, b->strings.heap_size);
    plan_add(p, POINTS_RESOURCES, b->resources.v, b->resources.n);
    plan_add(p, POINTS_SCOPES, b->scopes.v, b->scopes.n);
    plan_add(p, POINTS_METRICS, b->metrics.v, b->metrics.n);
    plan_add(p, POINTS_SERIES, b->series.v, b->series.n);
    plan_add(p, POINTS_HISTOGRAMS, b->histograms.v, b->histograms.n);
    plan_add(p, POINTS_NUMBERS, b->numbers.v, b->numbers.n);
    plan_add(p, POINTS_EXEMPLARS, b->exemplars.v, b->exemplars.n);
    plan_column(p, COLUMN_SERIES, b->series_of, b->n);
    plan_column(p, COLUMN_TIME, b->time, b->n);
    plan_column(p, COLUMN_START, b->start, b->n);
    plan_column(p, COLUMN_VALUE, b->value, b->n);
    plan_column(p, COLUMN_FLAGS, b->flags, b->n);
    plan_column(p, COLUMN_KIND, b->kind, b->n);
}

static struct batch_blob *plan_write(struct plan *p, const struct points_header *header, size_t series, bool kept) {
    size_t size = sizeof *header + p->n * sizeof *p->rows;
    for (uint32_t i = 0; i < p->n; i++) {
        size = align8(size);
        p->rows[i].offset = (uint32_t)size;
        size += p->rows[i].size_bytes;
        assert(size <= POINTS_BYTES_MAX);
    }
    size = align8(size);
    struct batch_blob *blob = points_blob_new(size, series, kept);
    struct points_header *h = (struct points_header *)blob->bytes;
    *h = *header;
    h->section_count = p->n;
    h->size_bytes = (uint32_t)size;
    memcpy(h + 1, p->rows, p->n * sizeof *p->rows);
    for (uint32_t i = 0; i < p->n; i++) {
        const struct points_section_row *t = &p->rows[i];
        memcpy(blob->bytes + t->offset, p->from[i], t->size_bytes);
        memset(blob->bytes + t->offset + t->size_bytes, 0, align8(t->size_bytes) - t->size_bytes);
    }
    return blob;
}

/* Times of OTLP from 2^63 on count as the maximum. */
static void time_range(const struct points_builder *b, int64_t *out_min, int64_t *out_max) {
    int64_t low = INT64_MAX, high = INT64_MIN;
    bool unsigned_times = b->origin == POINTS_OTLP;
    for (uint32_t i = 0; i < b->n; i++) {
        int64_t t = unsigned_times && b->time[i] > INT64_MAX ? INT64_MAX : (int64_t)b->time[i];
        low = MIN(low, t);
        high = MAX(high, t);
    }
    *out_min = low;
    *out_max = high;
}

/* What is not in the bytes goes over to the blob. */
static void hand_over_kept(struct points_builder *b, struct batch_blob *blob) {
    assert(b->kept.n == b->series.n);
    struct points_pages *pages = mem_grow(NULL, sizeof *pages + b->pages.n * sizeof *pages->v);
    *pages = (struct points_pages){.n = (uint32_t)b->pages.n, .bytes = b->kept_bytes};
    if (pages->n) memcpy(pages->v, b->pages.v, pages->n * sizeof *pages->v);
    b->pages.n = 0;
    memcpy(points_blob_kept(blob, b->series.n), b->kept.v, b->kept.n * sizeof *b->kept.v);
    blob->pages = pages;
}

struct batch_blob *points_builder_finish(struct points_builder *b) {
    struct points_header header = {
        .magic = POINTS_MAGIC, .version = POINTS_VERSION, .origin = (uint8_t)b->origin, .points = b->n};
    struct plan plan;
    struct points view;
    time_range(b, &header.time_min, &header.time_max);
    plan_make(&plan, b);
    struct batch_blob *blob = plan_write(&plan, &header, b->series.n, b->kept.n > 0);
    if (b->kept.n) hand_over_kept(b, blob);
    if (b->hashes.n == b->series.n) {
        if (b->hashes.n) memcpy(points_blob_hashes(blob), b->hashes.v, b->hashes.n * sizeof *b->hashes.v);
    } else {
        points_view_bytes(blob->bytes, &view);
        points_hash_all(&view, points_blob_hashes(blob));
    }
    points_builder_clear(b, b->origin);
    return blob;
}
