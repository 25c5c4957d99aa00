/* Labels of a file of series: dictionaries, columns and postings out of what the rows brought. */
#include <stdlib.h>

#include "store/series/part_write_priv.h"

enum { PAGE_MAX = INT32_MAX };

void series_writer_add_labels(struct series_writer *w, struct labels l) {
    uint32_t shape[LABELS_MAX];
    for (uint32_t i = 0; i < l.n; i++) {
        shape[i] = strings_intern(&w->names, l.v[i].name);
        if (shape[i] == w->by_name.n) {
            *vec_push(&w->by_name) = mem_new_of(struct name_rows);
            strings_init(&w->by_name.v[shape[i]]->values);
        }
        struct name_rows *n = w->by_name.v[shape[i]];
        *vec_push(&n->rows) = (uint32_t)w->info.series;
        *vec_push(&n->codes) = strings_intern(&n->values, l.v[i].value);
    }
    *vec_push(&w->row_shapes) = strings_intern(&w->shapes, str_span(shape, l.n * sizeof *shape));
}

/* ---- order ------------------------------------------------------------------------------------------------------------ */

struct ranked {
    struct str text;
    uint32_t id;
};

static int compare_ranked(const void *a, const void *b) {
    return str_compare(((const struct ranked *)a)->text, ((const struct ranked *)b)->text);
}

/* The texts in order, and for each id its place: both the caller's to free. */
static void rank(const struct strings *s, struct ranked **out_sorted, uint32_t **out_rank) {
    struct ranked *sorted = mem_new_array(struct ranked, s->n + 1);
    uint32_t *place = mem_new_array(uint32_t, s->n + 1);
    for (uint32_t i = 0; i < s->n; i++) sorted[i] = (struct ranked){strings_get(s, i), i};
    qsort(sorted, s->n, sizeof *sorted, compare_ranked);
    for (uint32_t i = 0; i < s->n; i++) place[sorted[i].id] = i;
    *out_sorted = sorted;
    *out_rank = place;
}

static err put_dictionary(struct series_writer *w, enum page_kind kind, const struct ranked *sorted, uint32_t n) {
    AUTO_BUF struct buf page;
    struct str *texts = mem_new_array(struct str, n + 1);
    buf_init(&page, PAGE_MAX);
    for (uint32_t i = 0; i < n; i++) texts[i] = sorted[i].text;
    label_dictionary_encode(texts, n, &page);
    mem_free(texts);
    if (page.full) return err_new(ERR_LIMIT, "a dictionary of label values is too large");
    return series_writer_put_page(w, kind, buf_str(&page), n, 0);
}

/* ---- one name --------------------------------------------------------------------------------------------------------- */

/* A name that few rows have: its runs, without a number for every row. */
static void put_sparse(const struct name_rows *n, const uint32_t *place, uint32_t rows, struct buf *out) {
    uint32_t *ends = mem_new_array(uint32_t, 2 * n->rows.n + 1), *values = mem_new_array(uint32_t, 2 * n->rows.n + 1),
             runs = 0, at = 0;
    for (size_t i = 0; i < n->rows.n; i++) {
        if (n->rows.v[i] > at) ends[runs] = n->rows.v[i], values[runs++] = 0;
        ends[runs] = at = n->rows.v[i] + 1;
        values[runs++] = place[n->codes.v[i]] + 1;
    }
    if (at < rows) ends[runs] = rows, values[runs++] = 0;
    label_column_encode_runs(ends, values, runs, out);
    mem_free(ends);
    mem_free(values);
}

static void put_dense(const struct name_rows *n, const uint32_t *place, uint32_t rows, struct buf *out) {
    uint64_t *v = mem_new_array(uint64_t, rows);
    for (size_t i = 0; i < n->rows.n; i++) v[n->rows.v[i]] = place[n->codes.v[i]] + 1;
    label_column_encode(v, rows, out);
    mem_free(v);
}

static err put_column(struct series_writer *w, const struct name_rows *n, const uint32_t *place) {
    AUTO_BUF struct buf page;
    uint32_t rows = (uint32_t)w->info.series;
    buf_init(&page, PAGE_MAX);
    (n->rows.n < rows / 32 ? put_sparse : put_dense)(n, place, rows, &page);
    if (page.full) return err_new(ERR_LIMIT, "a column of labels is too large");
    return series_writer_put_page(w, PAGE_COLUMN, buf_str(&page), rows, 0);
}

/* Rows by value: counting sort, which keeps them ascending. */
static uint32_t *sort_rows(const struct name_rows *n, const uint32_t *place, uint32_t *starts) {
    uint32_t *rows = mem_new_array(uint32_t, n->rows.n + 1);
    memset(starts, 0, (n->values.n + 2) * sizeof *starts);
    for (size_t i = 0; i < n->rows.n; i++) starts[place[n->codes.v[i]] + 2]++;
    for (uint32_t v = 2; v < n->values.n + 2; v++) starts[v] += starts[v - 1];
    for (size_t i = 0; i < n->rows.n; i++) rows[starts[place[n->codes.v[i]] + 1]++] = n->rows.v[i];
    return rows;
}

static err put_postings(struct series_writer *w, const struct name_rows *n, const uint32_t *place) {
    AUTO_BUF struct buf page, data;
    uint32_t values = n->values.n, *starts = mem_new_array(uint32_t, values + 2), *rows = sort_rows(n, place, starts);
    uint64_t *ends = mem_new_array(uint64_t, values + 1);
    buf_init(&page, PAGE_MAX);
    buf_init(&data, PAGE_MAX);
    posting_encode_rest(n->rows.v, (uint32_t)n->rows.n, (uint32_t)w->info.series, &data);
    ends[0] = data.n;
    for (uint32_t v = 0; v < values; v++) {
        posting_encode(rows + starts[v], starts[v + 1] - starts[v], &data);
        ends[v + 1] = data.n;
    }
    AUTO_BUF struct buf places;
    buf_init(&places, PAGE_MAX);
    label_column_encode(ends, values + 1, &places);
    put_varint(&page, (uint32_t)places.n);
    buf_add_str(&page, buf_str(&places));
    buf_add_str(&page, buf_str(&data));
    mem_free(starts);
    mem_free(rows);
    mem_free(ends);
    if (page.full || data.full) return err_new(ERR_LIMIT, "postings of a label are too large");
    return series_writer_put_page(w, PAGE_POSTINGS, buf_str(&page), values, 0);
}

static err put_name(struct series_writer *w, const struct name_rows *n) {
    struct ranked *sorted;
    uint32_t *place;
    rank(&n->values, &sorted, &place);
    err e = put_dictionary(w, PAGE_VALUES, sorted, n->values.n);
    if (!e) e = put_postings(w, n, place);
    if (!e) e = put_column(w, n, place);
    mem_free(sorted);
    mem_free(place);
    return e;
}

static err put_shapes(struct series_writer *w, const uint32_t *place) {
    AUTO_BUF struct buf page;
    buf_init(&page, PAGE_MAX);
    put_varint(&page, w->shapes.n);
    for (uint32_t i = 0; i < w->shapes.n; i++) {
        struct str shape = strings_get(&w->shapes, i);
        uint32_t n = (uint32_t)(shape.n / sizeof(uint32_t)), before = 0, name;
        put_varint(&page, n);
        for (uint32_t k = 0; k < n; k++) {
            memcpy(&name, shape.p + k * sizeof name, sizeof name);
            put_varint(&page, place[name] - before);
            before = place[name];
        }
    }
    label_column_encode(w->row_shapes.v, (uint32_t)w->info.series, &page);
    if (page.full) return err_new(ERR_LIMIT, "too many sets of label names");
    return series_writer_put_page(w, PAGE_SHAPES, buf_str(&page), w->shapes.n, 0);
}

err series_writer_put_labels(struct series_writer *w) {
    struct ranked *sorted;
    uint32_t *place;
    if (w->names.n > NAMES_LIMIT) return err_new(ERR_LIMIT, "over %d label names", NAMES_LIMIT);
    rank(&w->names, &sorted, &place);
    err e = put_dictionary(w, PAGE_NAMES, sorted, w->names.n);
    if (!e) e = put_shapes(w, place);
    for (uint32_t i = 0; i < w->names.n && !e; i++) e = put_name(w, w->by_name.v[sorted[i].id]);
    mem_free(sorted);
    mem_free(place);
    return e;
}
