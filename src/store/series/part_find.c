/* The row of a label set in a file, by bisecting: rows are in the order of their labels, and numbers of names and values in that of
 * their texts, so that only numbers are compared. */
#include "store/series/part_read_priv.h"

/* A label of the set that is looked for, as this file has it. Mostly the next set has it as well. */
struct wanted {
    struct str name, value;
    uint32_t id, code; /* names.n, 0: the file does not have it */
};

struct search {
    struct series_reader *r;
    const struct wanted *labels; /* ascending, without the metric's name */
    uint32_t n, metric, metric_id;
};

static err find_code(struct series_reader *r, uint32_t name, struct str value, uint32_t *out) {
    TRY(series_reader_open_values(r, name));
    const struct dictionary *d = &r->name[name].values;
    uint32_t at = label_dictionary_seek(d, value, &r->text);
    *out = 0;
    if (at == d->n) return NULL;
    label_dictionary_get(d, at, &r->text);
    if (str_equal(buf_str(&r->text), value)) *out = at + 1;
    return NULL;
}

static err find_label(struct series_reader *r, const struct label *l, struct wanted *w) {
    if (!w->name.p || !str_equal(w->name, l->name)) {
        TRY(series_reader_find_name(r, l->name, &w->id));
        *w = (struct wanted){.name = l->name, .id = w->id};
    }
    if (w->id == r->names.n || (w->value.p && str_equal(w->value, l->value))) return NULL;
    w->value = (struct str){0};
    TRY(find_code(r, w->id, l->value, &w->code));
    w->value = l->value;
    return NULL;
}

/* False: some label is nowhere in the file. */
static err find_labels(struct series_reader *r, struct labels l, bool *out) {
    *out = false;
    TRY(series_reader_open_names(r));
    if (!r->wanted) r->wanted = arena_array(&r->memory, struct wanted, LABELS_MAX);
    if (!r->wanted) return arena_err(&r->memory);
    for (uint32_t i = 0; i < l.n; i++) {
        TRY(find_label(r, &l.v[i], &r->wanted[i]));
        if (r->wanted[i].id == r->names.n || r->wanted[i].code == 0) return NULL;
    }
    *out = true;
    return NULL;
}

/* The number of a row's value of a name that it has. */
static err code_at(struct series_reader *r, uint32_t name, uint32_t row, uint32_t *out) {
    uint64_t code = 0;
    TRY(series_reader_open_column(r, name));
    if (!label_column_get(&r->name[name].column, row, &code) || code == 0 || code > UINT32_MAX)
        return series_page_damaged(r->p, PAGE_COLUMN, name, "a series has a value that is not in the dictionary");
    *out = (uint32_t)code;
    return NULL;
}

/* label_set_compare of a row's labels but the metric's name, and those that are looked for. */
static err compare_others(const struct search *s, const uint32_t *names, uint32_t n, uint32_t row, int *out) {
    uint32_t i = 0, k = 0, code = 0;
    for (;; i++, k++) {
        i += i < n && names[i] == s->metric_id;
        k += k < s->n && k == s->metric;
        *out = (i < n) - (k < s->n);
        if (i == n || k == s->n) return NULL;
        *out = names[i] < s->labels[k].id ? -1 : names[i] > s->labels[k].id;
        if (*out) return NULL;
        TRY(code_at(s->r, names[i], row, &code));
        *out = code < s->labels[k].code ? -1 : code > s->labels[k].code;
        if (*out) return NULL;
    }
}

static err compare_row(const struct search *s, uint32_t row, int *out) {
    struct series_reader *r = s->r;
    uint64_t shape = 0;
    uint32_t code = 0, wanted = s->metric < s->n ? s->labels[s->metric].code : 0;
    if (!label_column_get(&r->shape_of, row, &shape) || shape >= r->shapes)
        return series_page_damaged(r->p, PAGE_SHAPES, 0, "a series has names that are not there");
    const uint32_t *names = r->shape_names + r->shape_first[shape];
    uint32_t n = r->shape_first[shape + 1] - r->shape_first[shape];
    for (uint32_t i = 0; i < n && code == 0; i++)
        if (names[i] == s->metric_id) TRY(code_at(r, names[i], row, &code));
    *out = code < wanted ? -1 : code > wanted;
    return *out ? NULL : compare_others(s, names, n, row, out);
}

err series_reader_find(struct series_reader *r, struct labels l, uint32_t *out_row, bool *out_found) {
    bool everywhere;
    assert(l.n <= LABELS_MAX);
    *out_found = false;
    TRY(find_labels(r, l, &everywhere));
    if (!everywhere) return NULL;
    struct search s = {r, r->wanted, l.n, l.n, r->names.n};
    for (uint32_t i = 0; i < l.n; i++)
        if (str_equal(l.v[i].name, METRIC_NAME)) s.metric = i, s.metric_id = r->wanted[i].id;
    if (s.metric == l.n) TRY(series_reader_find_name(r, METRIC_NAME, &s.metric_id));
    TRY(series_reader_open_shapes(r));
    uint32_t low = 0, high = (uint32_t)r->p->info.series;
    while (low < high && !*out_found) {
        uint32_t middle = low + (high - low) / 2;
        int c = 0;
        TRY(compare_row(&s, middle, &c));
        *out_row = middle;
        *out_found = c == 0;
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}
