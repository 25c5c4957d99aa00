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

/* Calls visit for each rare value in the order the rows have them: place of its key in the block's list, and bytes. */
static err walk_rest(struct group_reader *r, enum set set, const struct part_block *b, const struct column *rest,
                     void (*visit)(struct set_rest *all, uint32_t place, struct str value)) {
    const struct set_shapes *s = &r->shapes[set];
    struct set_rest *all = &r->rest[set];
    struct str bytes = str_span(rest->raw, rest->texts.n), value = {0};
    for (uint32_t row = 0; row < r->g->set_rows[set]; row++) {
        uint32_t n;
        const uint32_t *keys = part_shape(r->part, s->list[s->codes ? s->codes[row] : 0], &n);
        for (uint32_t k = 0; k < n; k++) {
            if (all->places[keys[k]] == 0) continue;
            TRY(read_rest_value(r, b, is_text(r->part, keys[k]), &bytes, &value));
            visit(all, all->places[keys[k]] - 1, value);
        }
    }
    return NULL;
}

static void count_rest(struct set_rest *all, uint32_t place, struct str value) {
    (void)value;
    all->end[place]++;
}

static void keep_rest(struct set_rest *all, uint32_t place, struct str value) { all->values[all->end[place]++] = value; }

/* Sorts the values of all rare keys by key, once for a group: asking for each of 10,000 keys must not walk them each time. */
static err open_rest(struct group_reader *r, enum set set, const struct part_block *b) {
    struct set_rest *all = &r->rest[set];
    struct column rest;
    if (all->is_open) return NULL;
    TRY(column_open_block(r, b, &rest));
    all->places = ARENA_ZERO(r->arena, uint32_t, r->part->key_count);
    all->end = ARENA_ZERO(r->arena, uint32_t, rest.count + 1);
    for (uint32_t i = 0; i < rest.count; i++) all->places[column_list(&rest, i)] = i + 1;
    TRY(walk_rest(r, set, b, &rest, count_rest));
    uint32_t sum = 0;
    for (uint32_t i = 0; i < rest.count; i++) {
        uint32_t n = all->end[i];
        all->end[i] = sum;
        sum += n;
    }
    all->values = ARENA_ARRAY(r->arena, struct str, sum);
    TRY(walk_rest(r, set, b, &rest, keep_rest));
    all->is_open = true;
    return NULL;
}

static err open_rare_key(struct group_reader *r, enum set set, uint32_t key, struct column *out) {
    const struct part_block *b = group_find_block(r, set, COLUMN_REST, 0);
    if (!b) return NULL;
    TRY(open_rest(r, set, b));
    const struct set_rest *all = &r->rest[set];
    if (all->places[key] == 0) return NULL;
    uint32_t place = all->places[key] - 1, first = place ? all->end[place - 1] : 0;
    if (all->end[place] - first != out->n) return part_corrupt(r, b, "not as many values as the shapes say");
    if (is_text(r->part, key)) {
        out->texts = (struct texts){.n = out->n, .plain = all->values + first};
        out->encoding = ENCODING_TEXTS;
        return NULL;
    }
    uint64_t *numbers = ARENA_ARRAY(r->arena, uint64_t, out->n);
    for (uint32_t i = 0; i < out->n; i++) numbers[i] = load_u64(all->values[first + i].p);
    out->values = numbers;
    out->encoding = ENCODING_REST;
    return NULL;
}

err group_open_key(struct group_reader *r, enum set set, uint32_t key, uint32_t values, struct column *out) {
    const struct part_block *b = group_find_block(r, set, COLUMN_ATTRIBUTE, key);
    *out = (struct column){.n = values};
    if (!b) return open_rare_key(r, set, key, out);
    if (b->count != values) return part_corrupt(r, b, "not as many values as the shapes say");
    return column_open_block(r, b, out);
}
