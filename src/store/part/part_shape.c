/* Attributes of a group: a row's shape names its keys; value j of a key belongs to the j-th row (in order) that has it. */
#include "store/part/part_read_priv.h"

enum { GROUP_VALUES_MAX = 1 << 28 };

err group_open_shapes(struct group_reader *r, enum set set) {
    struct set_shapes *s = &r->shapes[set];
    uint32_t n = r->g->set_rows[set];
    if (s->is_open) return NULL;
    struct column c;
    TRY(column_open(r, set, FIELD_SHAPE, &c));
    s->count = c.encoding ? c.count : 1;
    uint32_t *rows = ARENA_ZERO(r->arena, uint32_t, s->count);
    if (c.encoding && c.count == 1) {
        rows[0] = n;
        s->list = column_list_decode(r, &c);
        if (!s->list) return arena_err(r->arena);
    } else if (c.encoding) {
        uint32_t *codes = ARENA_ARRAY(r->arena, uint32_t, n);
        s->list = column_list_decode(r, &c);
        if (!s->list) return arena_err(r->arena);
        numbers_decode(&c.numbers, n, codes);
        for (uint32_t i = 0; i < n; i++) rows[codes[i]]++;
        s->codes = codes;
    } else {
        rows[0] = n;
        s->list = ARENA_ZERO(r->arena, uint32_t, 1); /* shape 0: no keys */
    }
    s->rows = rows;
    uint64_t values = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t keys;
        part_shape(r->part, s->list[i], &keys);
        values += (uint64_t)keys * rows[i];
    }
    if (values > GROUP_VALUES_MAX)
        return err_new(ERR_CORRUPT, "part %s, group %u: %s with too many attributes", r->part->path, r->group,
                       set_names[set]);
    s->is_open = true;
    return NULL;
}

bool shapes_have_key(const struct group_reader *r, enum set set, uint32_t key, uint32_t *out_occurrences) {
    const struct set_shapes *s = &r->shapes[set];
    uint32_t any = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t n, times = 0;
        const uint32_t *keys = part_shape(r->part, s->list[i], &n);
        for (uint32_t k = 0; k < n; k++) times += keys[k] == key;
        out_occurrences[i] = times;
        any |= times;
    }
    return any != 0;
}

uint32_t shapes_count_values(const struct group_reader *r, enum set set, const uint32_t *occurrences) {
    const struct set_shapes *s = &r->shapes[set];
    uint64_t values = 0;
    for (uint32_t i = 0; i < s->count; i++) values += (uint64_t)occurrences[i] * s->rows[i];
    return values > UINT32_MAX ? UINT32_MAX : (uint32_t)values;
}

/* ---- rare keys ---------------------------------------------------------------------------------------------------- */

static bool is_text(const struct part *p, uint32_t key) {
    uint32_t type = p->keys[key].type;
    return type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY;
}

static err read_rest_value(struct group_reader *r, const struct part_block *b, bool text, struct str *rest,
                           struct str *out) {
    uint64_t n = 8;
    if (text) {
        if (rest->n < 4) return part_corrupt(r, b, "cut short");
        n = load_u32(rest->p);
        *rest = str_span(rest->p + 4, rest->n - 4);
    }
    if (rest->n < n) return part_corrupt(r, b, "cut short");
    *out = str_span(rest->p, n);
    *rest = str_span(rest->p + n, rest->n - n);
    return NULL;
}

/* Where the values of each rare key will start, from how many rows have each shape. */
static err place_rest(struct group_reader *r, enum set set, const struct part_block *b, struct rest_values *v) {
    const struct set_shapes *s = &r->shapes[set];
    uint64_t total = 0;
    v->start = ARENA_ZERO(r->arena, uint32_t, r->part->key_count + 1);
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t n;
        const uint32_t *keys = part_shape(r->part, s->list[i], &n);
        for (uint32_t k = 0; k < n; k++) {
            if (!v->rare[keys[k]]) continue;
            v->start[keys[k] + 1] += s->rows[i];
            total += s->rows[i];
        }
    }
    for (uint32_t key = 0; key < r->part->key_count; key++) v->start[key + 1] += v->start[key];
    return total == b->count ? NULL : part_corrupt(r, b, "not as many values as the shapes say");
}

/* Brings the values of all rare keys together by key, in one walk over the rows. */
static err open_rest(struct group_reader *r, enum set set, const struct part_block *b) {
    struct rest_values *v = &r->rest[set];
    const struct set_shapes *s = &r->shapes[set];
    struct column rest;
    if (v->is_open) return NULL;
    TRY(column_open_block(r, b, &rest));
    v->rare = ARENA_ZERO(r->arena, bool, r->part->key_count);
    for (uint32_t i = 0; i < rest.count; i++) v->rare[column_list(&rest, i)] = true;
    TRY(place_rest(r, set, b, v));
    v->values = ARENA_ARRAY(r->arena, struct str, b->count);
    uint32_t *next = ARENA_ARRAY(r->arena, uint32_t, r->part->key_count);
    memcpy(next, v->start, r->part->key_count * sizeof *next);
    struct str bytes = str_span(rest.raw, rest.texts.n);
    for (uint32_t row = 0; row < r->g->set_rows[set]; row++) {
        uint32_t n;
        const uint32_t *keys = part_shape(r->part, s->list[s->codes ? s->codes[row] : 0], &n);
        for (uint32_t k = 0; k < n; k++)
            if (v->rare[keys[k]])
                TRY(read_rest_value(r, b, is_text(r->part, keys[k]), &bytes, &v->values[next[keys[k]]++]));
    }
    v->is_open = true;
    return NULL;
}

static err open_rare_key(struct group_reader *r, enum set set, uint32_t key, struct column *out) {
    const struct part_block *b = group_find_block(r, set, COLUMN_REST, 0);
    if (!b) return NULL;
    TRY(open_rest(r, set, b));
    const struct rest_values *v = &r->rest[set];
    uint32_t first = v->start[key], n = v->start[key + 1] - first;
    if (!v->rare[key]) return NULL;
    if (n != out->n) return part_corrupt(r, b, "not as many values as the shapes say");
    if (is_text(r->part, key)) {
        out->encoding = ENCODING_TEXTS;
        out->texts = (struct texts){.block = b, .n = n, .plain = v->values + first};
        return NULL;
    }
    uint64_t *numbers = ARENA_ARRAY(r->arena, uint64_t, n);
    for (uint32_t i = 0; i < n; i++) numbers[i] = load_u64(v->values[first + i].p);
    out->encoding = ENCODING_REST;
    out->values = numbers;
    return NULL;
}

err group_open_key(struct group_reader *r, enum set set, uint32_t key, uint32_t values, struct column *out) {
    const struct part_block *b = group_find_block(r, set, COLUMN_ATTRIBUTE, key);
    *out = (struct column){.n = values};
    if (!b) return open_rare_key(r, set, key, out);
    if (b->count != values) return part_corrupt(r, b, "not as many values as the shapes say");
    return column_open_block(r, b, out);
}

/* ---- correlation ids ---------------------------------------------------------------------------------------------- */

/* The number of each row's first value of a key. */
static err number_values(struct group_reader *r, const uint32_t *occurrences, const uint32_t **out) {
    const struct set_shapes *s = &r->shapes[SET_ROWS];
    uint32_t n = r->g->set_rows[SET_ROWS], next = 0, *values = ARENA_ARRAY(r->arena, uint32_t, n);
    for (uint32_t row = 0; row < n; row++) {
        uint32_t times = occurrences[s->codes ? s->codes[row] : 0];
        values[row] = times ? next : NO_VALUE;
        next += times;
    }
    *out = values;
    return NULL;
}

err group_open_ids(struct group_reader *r, struct column *out, const uint32_t **out_values) {
    *out_values = NULL;
    TRY(column_open(r, SET_ROWS, FIELD_CORRELATION, out));
    if (out->encoding != ENCODING_ATTRIBUTE) return NULL;
    uint32_t key = out->count;
    TRY(group_open_shapes(r, SET_ROWS));
    uint32_t *occurrences = ARENA_ARRAY(r->arena, uint32_t, r->shapes[SET_ROWS].count);
    shapes_have_key(r, SET_ROWS, key, occurrences);
    TRY(group_open_key(r, SET_ROWS, key, shapes_count_values(r, SET_ROWS, occurrences), out));
    return number_values(r, occurrences, out_values);
}

/* ---- all keys at once --------------------------------------------------------------------------------------------- */

err group_count_keys(struct group_reader *r, enum set set, struct key_counts *out) {
    const struct set_shapes *s = &r->shapes[set];
    *out = (struct key_counts){.values = ARENA_ZERO(r->arena, uint32_t, r->part->key_count)};
    out->keys = ARENA_ARRAY(r->arena, uint32_t, r->part->key_count);
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t n;
        const uint32_t *keys = part_shape(r->part, s->list[i], &n);
        for (uint32_t k = 0; k < n; k++) {
            if (out->values[keys[k]] == 0) out->keys[out->count++] = keys[k];
            out->values[keys[k]] += s->rows[i];
        }
    }
    return NULL;
}

err group_place_keys(struct group_reader *r, enum set set, const struct key_counts *counts, struct key_rows *out) {
    const struct set_shapes *s = &r->shapes[set];
    uint64_t total = 0;
    out->start = ARENA_ARRAY(r->arena, uint32_t, r->part->key_count);
    for (uint32_t i = 0; i < counts->count; i++) {
        out->start[counts->keys[i]] = (uint32_t)total;
        total += counts->values[counts->keys[i]];
    }
    out->rows = ARENA_ARRAY(r->arena, uint32_t, total);
    uint32_t *next = ARENA_ARRAY(r->arena, uint32_t, r->part->key_count);
    memcpy(next, out->start, r->part->key_count * sizeof *next);
    for (uint32_t row = 0; row < r->g->set_rows[set]; row++) {
        uint32_t n;
        const uint32_t *keys = part_shape(r->part, s->list[s->codes ? s->codes[row] : 0], &n);
        for (uint32_t k = 0; k < n; k++) out->rows[next[keys[k]]++] = row;
    }
    return NULL;
}
