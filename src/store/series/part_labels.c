/* Labels of a file of series: names, values, label sets, and which rows match. */
#include <roaring/roaring.h>

#include "base/vec.h"
#include "store/series/part_read_priv.h"

/* ---- what is opened when it is first asked for ------------------------------------------------------------------------- */

err series_reader_open_names(struct series_reader *r) {
    struct str bytes;
    if (r->has_names) return NULL;
    TRY(series_page_touch(r->p, PAGE_NAMES, 0, &bytes));
    label_dictionary_open(bytes, r->p->pages[PAGE_NAMES][0].count, &r->names);
    r->name = arena_array(&r->memory, struct open_name, r->names.n + 1);
    if (!r->name) return arena_err(&r->memory);
    r->has_names = true;
    return NULL;
}

static err read_shapes(struct series_reader *r, struct cursor *c, uint32_t shapes) {
    uint64_t room = (uint64_t)(c->end - c->at);
    r->shape_first = arena_array(&r->memory, uint32_t, shapes + 1);
    r->shape_names = arena_array(&r->memory, uint32_t, room + 1);
    if (!r->shape_first || !r->shape_names) return arena_err(&r->memory);
    uint32_t at = 0;
    for (uint32_t s = 0; s < shapes && !c->bad; s++) {
        uint32_t n = cursor_varint(c);
        uint64_t name = 0;
        r->shape_first[s] = at;
        if (n > LABELS_MAX) c->bad = true;
        for (uint32_t k = 0; k < n && !c->bad; k++) {
            uint32_t step = cursor_varint(c);
            name += step;
            if (name >= r->names.n || (k && step == 0)) c->bad = true;
            r->shape_names[at++] = (uint32_t)name;
        }
    }
    r->shape_first[shapes] = at;
    return NULL;
}

err series_reader_open_shapes(struct series_reader *r) {
    struct str bytes;
    if (r->has_shapes) return NULL;
    TRY(series_reader_open_names(r));
    TRY(series_page_touch(r->p, PAGE_SHAPES, 0, &bytes));
    struct cursor c = cursor_of(bytes);
    uint32_t shapes = cursor_varint(&c);
    if (shapes > bytes.n) c.bad = true;
    if (!c.bad) TRY(read_shapes(r, &c, shapes));
    if (c.bad || !label_column_open(cursor_rest(&c), (uint32_t)r->p->info.series, &r->shape_of))
        return series_page_damaged(r->p, PAGE_SHAPES, 0, "its directory is damaged");
    r->shapes = shapes;
    r->has_shapes = true;
    return NULL;
}

err series_reader_open_values(struct series_reader *r, uint32_t name) {
    struct str bytes;
    if (r->name[name].has_values) return NULL;
    TRY(series_page_touch(r->p, PAGE_VALUES, name, &bytes));
    label_dictionary_open(bytes, r->p->pages[PAGE_VALUES][name].count, &r->name[name].values);
    r->name[name].has_values = true;
    return NULL;
}

err series_reader_open_column(struct series_reader *r, uint32_t name) {
    struct str bytes;
    if (r->name[name].has_column) return NULL;
    TRY(series_page_touch(r->p, PAGE_COLUMN, name, &bytes));
    if (!label_column_open(bytes, (uint32_t)r->p->info.series, &r->name[name].column))
        return series_page_damaged(r->p, PAGE_COLUMN, name, "its directory is damaged");
    r->name[name].has_column = true;
    return NULL;
}

err series_reader_find_name(struct series_reader *r, struct str name, uint32_t *out) {
    TRY(series_reader_open_names(r));
    uint32_t at = label_dictionary_seek(&r->names, name, &r->text);
    bool found = false;
    if (at < r->names.n) {
        label_dictionary_get(&r->names, at, &r->text);
        found = str_equal(buf_str(&r->text), name);
    }
    *out = found ? at : r->names.n;
    return NULL;
}

/* ---- label sets -------------------------------------------------------------------------------------------------------- */

void series_reader_keep_texts(struct series_reader *r, struct arena *a) { r->texts = a; }

/* A text that stays: read once, kept. */
static err known_text(struct series_reader *r, const struct dictionary *d, struct str **known, uint32_t i,
                      struct str *out) {
    if (!*known) *known = arena_array(&r->memory, struct str, d->n + 1);
    if (!*known) return arena_err(&r->memory);
    if (!(*known)[i].p) {
        label_dictionary_get(d, i, &r->text);
        struct str text = buf_str(&r->text);
        struct arena *to = r->texts ? r->texts : &r->memory;
        (*known)[i] = arena_copy(to, text.p ? text : STR(""));
        if (!(*known)[i].p) return arena_err(to);
    }
    *out = (*known)[i];
    return NULL;
}

static err value_of(struct series_reader *r, uint32_t name, uint32_t row, struct label *out) {
    struct open_name *n = &r->name[name];
    uint64_t code = 0;
    TRY(series_reader_open_values(r, name));
    TRY(series_reader_open_column(r, name));
    if (!label_column_get(&n->column, row, &code) || code == 0 || code > n->values.n)
        return series_page_damaged(r->p, PAGE_COLUMN, name, "a series has a value that is not in the dictionary");
    TRY(known_text(r, &r->names, &r->name[r->names.n].known, name, &out->name));
    return known_text(r, &n->values, &n->known, (uint32_t)code - 1, &out->value);
}

static err labels_of(struct series_reader *r, uint32_t row, struct arena *a, struct labels *out) {
    uint64_t shape = 0;
    TRY(series_reader_open_shapes(r));
    if (!label_column_get(&r->shape_of, row, &shape) || shape >= r->shapes)
        return series_page_damaged(r->p, PAGE_SHAPES, 0, "a series has names that are not there");
    uint32_t first = r->shape_first[shape], n = r->shape_first[shape + 1] - first;
    struct label *v = arena_alloc(a, sizeof *v * (n + 1));
    if (!v) return arena_err(a);
    for (uint32_t i = 0; i < n; i++) {
        struct label found = {0};
        TRY(value_of(r, r->shape_names[first + i], row, &found));
        v[i].name = r->texts == a ? found.name : arena_copy(a, found.name);
        v[i].value = r->texts == a ? found.value : arena_copy(a, found.value);
        if (!v[i].name.p || !v[i].value.p) return arena_err(a);
    }
    *out = (struct labels){v, n};
    return NULL;
}

err series_reader_labels(struct series_reader *r, uint32_t row, struct arena *a, struct labels *out) {
    assert(row < r->p->info.series);
    return labels_of(r, row, a, out);
}

static err list_texts(const struct dictionary *d, struct buf *text, struct arena *a, struct str **out,
                      uint32_t *out_n) {
    struct str *list = arena_array(a, struct str, d->n + 1);
    if (!list) return arena_err(a);
    for (uint32_t i = 0; i < d->n; i++) {
        label_dictionary_get(d, i, text);
        list[i] = arena_copy(a, buf_str(text));
        if (!list[i].p) return arena_err(a);
    }
    *out = list;
    *out_n = d->n;
    return NULL;
}

err series_reader_label_names(struct series_reader *r, struct arena *a, struct str **out, uint32_t *out_n) {
    TRY(series_reader_open_names(r));
    return list_texts(&r->names, &r->text, a, out, out_n);
}

err series_reader_label_values(struct series_reader *r, struct str name, struct arena *a, struct str **out,
                               uint32_t *out_n) {
    uint32_t at;
    TRY(series_reader_find_name(r, name, &at));
    *out = NULL;
    *out_n = 0;
    if (at == r->names.n) return NULL;
    TRY(series_reader_open_values(r, at));
    return list_texts(&r->name[at].values, &r->text, a, out, out_n);
}

/* ---- matching ---------------------------------------------------------------------------------------------------------- */

/* Postings of one name. */
struct postings {
    struct series_reader *r;
    uint32_t name, values;
    struct column ends;
    struct str data;
};

static err open_postings(struct series_reader *r, uint32_t name, struct postings *out) {
    struct str bytes;
    *out = (struct postings){.r = r, .name = name, .values = r->name[name].values.n};
    TRY(series_page_touch(r->p, PAGE_POSTINGS, name, &bytes));
    struct cursor c = cursor_of(bytes);
    uint32_t size = cursor_varint(&c);
    const unsigned char *places = cursor_skip(&c, size);
    out->data = cursor_rest(&c);
    if (c.bad || !label_column_open(str_span(places, size), out->values + 1, &out->ends))
        return series_page_damaged(r->p, PAGE_POSTINGS, name, "its directory is damaged");
    return NULL;
}

/* Code 0: rows without the label. */
static err read_posting(const struct postings *x, uint32_t code, roaring_bitmap_t **out) {
    uint64_t start = 0, end = 0;
    bool good = (code == 0 || label_column_get(&x->ends, code - 1, &start)) && label_column_get(&x->ends, code, &end) &&
                start <= end && end <= x->data.n;
    *out = good ? posting_read(str_span(x->data.p + start, end - start), (uint32_t)x->r->p->info.series) : NULL;
    return *out ? NULL : series_page_damaged(x->r->p, PAGE_POSTINGS, x->name, "a posting is damaged");
}

typedef VEC(uint32_t) u32_vec;

/* Codes whose value matches the positive form, ascending; 0 is the empty value. */
static void match_codes(struct series_reader *r, const struct label_matcher *m, const struct dictionary *d,
                        u32_vec *out) {
    if (label_matcher_matches_positive(m, (struct str){0})) *vec_push(out) = 0;
    if (m->kind == MATCHER_LITERALS) {
        for (uint32_t i = 0; i < m->literal_count; i++) {
            uint32_t at = label_dictionary_seek(d, m->literals[i], &r->text);
            if (at == d->n || !m->literals[i].n) continue;
            label_dictionary_get(d, at, &r->text);
            if (str_equal(buf_str(&r->text), m->literals[i])) *vec_push(out) = at + 1;
        }
        return;
    }
    for (uint32_t i = m->prefix.n ? label_dictionary_seek(d, m->prefix, &r->text) : 0; i < d->n; i++) {
        label_dictionary_get(d, i, &r->text);
        if (!str_starts_with(buf_str(&r->text), m->prefix)) return;
        if (label_matcher_matches_positive(m, buf_str(&r->text))) *vec_push(out) = i + 1;
    }
}

static err unite(const struct postings *x, const u32_vec *codes, roaring_bitmap_t **out) {
    roaring_bitmap_t **all = mem_new_array(roaring_bitmap_t *, codes->n + 1), *united = NULL;
    uint32_t n = 0;
    err e = NULL;
    for (; n < codes->n && !e; n++) e = read_posting(x, codes->v[n], &all[n]);
    if (!e && n == 1) {
        united = all[0];
        all[0] = NULL;
    } else if (!e) {
        united = roaring_bitmap_or_many(n, (const roaring_bitmap_t **)all);
    }
    for (uint32_t i = 0; i < n; i++)
        if (all[i]) roaring_bitmap_free(all[i]);
    mem_free(all);
    *out = united;
    return e;
}

/* The codes that are not in the list. */
static void invert(u32_vec *codes, uint32_t values) {
    u32_vec others = {0};
    for (uint32_t code = 0, i = 0; code <= values; code++) {
        if (i < codes->n && codes->v[i] == code)
            i++;
        else
            *vec_push(&others) = code;
    }
    vec_done(codes);
    *codes = others;
}

/* Takes from *rows (NULL: all) what the matcher refuses. */
static err narrow(struct series_reader *r, const struct label_matcher *m, roaring_bitmap_t **rows) {
    uint32_t name, all = (uint32_t)r->p->info.series;
    TRY(series_reader_find_name(r, m->name, &name));
    if (name == r->names.n) { /* nobody has it: all or none */
        if (m->matches_empty) return NULL;
        if (*rows) roaring_bitmap_free(*rows);
        *rows = roaring_bitmap_create();
        return NULL;
    }
    struct postings x;
    u32_vec codes = {0};
    roaring_bitmap_t *found = NULL;
    TRY(series_reader_open_values(r, name));
    TRY(open_postings(r, name, &x));
    match_codes(r, m, &r->name[name].values, &codes);
    bool inside = !m->is_negative;
    if (codes.n > x.values / 2 + 1) { /* fewer do not match: those are taken out */
        invert(&codes, x.values);
        inside = !inside;
    }
    err e = unite(&x, &codes, &found);
    vec_done(&codes);
    if (e) return e;
    if (!*rows && inside) {
        *rows = found;
        return NULL;
    }
    if (!*rows) *rows = roaring_bitmap_from_range(0, all, 1);
    (inside ? roaring_bitmap_and_inplace : roaring_bitmap_andnot_inplace)(*rows, found);
    roaring_bitmap_free(found);
    return NULL;
}

err series_reader_select(struct series_reader *r, const struct label_matcher *m, uint32_t matchers, struct arena *a,
                         uint32_t **out_rows, uint32_t *out_n) {
    roaring_bitmap_t *rows = NULL;
    err e = NULL;
    if (matchers > MATCHERS_MAX) return err_new(ERR_LIMIT, "%u matchers, at most %d", matchers, MATCHERS_MAX);
    for (int negative = 0; negative < 2; negative++) /* those that ask for a value first: they leave least */
        for (uint32_t i = 0; i < matchers && !e; i++)
            if (m[i].is_negative == negative && !(rows && roaring_bitmap_is_empty(rows))) e = narrow(r, &m[i], &rows);
    uint32_t n = rows ? (uint32_t)roaring_bitmap_get_cardinality(rows) : (uint32_t)r->p->info.series;
    uint32_t *list = e ? NULL : arena_alloc(a, ((size_t)n + 1) * sizeof *list);
    if (list && rows) roaring_bitmap_to_uint32_array(rows, list);
    for (uint32_t i = 0; list && !rows && i < n; i++) list[i] = i;
    if (rows) roaring_bitmap_free(rows);
    if (!e && !list) e = arena_err(a);
    if (!e) e = label_matchers_err(m, matchers);
    if (e) return e;
    *out_rows = list;
    *out_n = n;
    return NULL;
}
