/* Attributes of a group: a row's shape names its keys; value j of a key belongs to the j-th row (in order) that has it. */
#include "store/part_read_priv.h"

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

/* Walks the values of all rare keys as the rows have them and keeps those of one. */
static err walk_rest(struct group_reader *r, enum set set, const struct part_block *b, const struct column *rest,
                     uint32_t key, struct column *out) {
    const struct set_shapes *s = &r->shapes[set];
    bool *rare = ARENA_ZERO(r->arena, bool, r->part->key_count);
    for (uint32_t i = 0; i < rest->count; i++) rare[column_list(rest, i)] = true;
    struct str bytes = str_span(rest->raw, rest->texts.n), value;
    uint64_t *numbers = is_text(r->part, key) ? NULL : ARENA_ARRAY(r->arena, uint64_t, out->n);
    struct str *texts = numbers ? NULL : ARENA_ARRAY(r->arena, struct str, out->n);
    uint32_t found = 0;
    for (uint32_t row = 0; row < r->g->set_rows[set]; row++) {
        uint32_t n;
        const uint32_t *keys = part_shape(r->part, s->list[s->codes ? s->codes[row] : 0], &n);
        for (uint32_t k = 0; k < n; k++) {
            if (!rare[keys[k]]) continue;
            TRY(read_rest_value(r, b, is_text(r->part, keys[k]), &bytes, &value));
            if (keys[k] != key) continue;
            if (numbers)
                numbers[found++] = load_u64(value.p);
            else
                texts[found++] = value;
        }
    }
    out->values = numbers;
    out->texts = (struct texts){.n = out->n, .plain = texts};
    out->encoding = numbers ? ENCODING_REST : ENCODING_TEXTS;
    return NULL;
}

static err open_rare_key(struct group_reader *r, enum set set, uint32_t key, struct column *out) {
    const struct part_block *b = group_find_block(r, set, COLUMN_REST, 0);
    if (!b) return NULL;
    struct column rest;
    TRY(column_open_block(r, b, &rest));
    for (uint32_t i = 0; i < rest.count; i++)
        if (column_list(&rest, i) == key) return walk_rest(r, set, b, &rest, key, out);
    return NULL;
}

err group_open_key(struct group_reader *r, enum set set, uint32_t key, uint32_t values, struct column *out) {
    const struct part_block *b = group_find_block(r, set, COLUMN_ATTRIBUTE, key);
    *out = (struct column){.n = values};
    if (!b) return open_rare_key(r, set, key, out);
    if (b->count != values) return part_corrupt(r, b, "not as many values as the shapes say");
    return column_open_block(r, b, out);
}
