/* Attributes as columns: a row's shape says which keys it has; the values of each key stand packed, without gaps, in row order. */
#include <stdlib.h>

#include "store/column/ints_priv.h"
#include "store/part/part_write_priv.h"

static bool holds_string(enum value_type type) {
    return type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY;
}

static enum value_type key_type(const struct part_writer *w, uint32_t key) {
    return (enum value_type)load_u32(strings_get(&w->keys, key).p + 4);
}

/* How many rows have each shape, and from that how many values each key will get: room is made once. */
static void count_values(struct part_writer *w, enum set set, const struct row_ref *rows, uint32_t n) {
    vec_clear(&w->touched_shapes);
    while (w->shape_rows.n < w->shapes.n) *vec_push(&w->shape_rows) = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct part_source *s = &w->sources[rows[i].batch];
        uint32_t shape = s->shapes[batch_u32(s->b, set, FIELD_SHAPE, rows[i].row)] - 1;
        if (w->shape_rows.v[shape]++ == 0) *vec_push(&w->touched_shapes) = shape;
    }
    for (size_t i = 0; i < w->touched_shapes.n; i++) {
        uint32_t shape = w->touched_shapes.v[i];
        struct str keys = strings_get(&w->shapes, shape);
        for (size_t k = 0; k < keys.n; k += 4) {
            uint32_t key = load_u32(keys.p + k);
            struct attribute_column *c = &w->key_memory.v[key].column;
            if (c->n == 0) *vec_push(&w->touched_keys) = key;
            c->n += w->shape_rows.v[shape];
        }
        w->shape_rows.v[shape] = 0;
    }
    for (size_t i = 0; i < w->touched_keys.n; i++) {
        struct attribute_column *c = &w->key_memory.v[w->touched_keys.v[i]].column;
        if (c->n > c->capacity) {
            mem_free(c->v);
            c->capacity = c->n + c->n / 4;
            c->v = mem_grow(NULL, c->capacity * sizeof *c->v);
        }
        w->key_cursors.v[w->touched_keys.v[i]] = c->v;
    }
}

enum { AHEAD = 8 };

static void prefetch_slots(const struct part_writer *w, enum set set, struct row_ref row) {
    const struct batch *b = w->sources[row.batch].b;
    const uint64_t *slots = b->slots + batch_u32(b, set, FIELD_SLOT, row.row);
    __builtin_prefetch(slots);
    __builtin_prefetch(slots + 8);
}

/* Distributes the values of all rows to the columns of their keys: strings as references, numbers as they are. */
static void scatter(struct part_writer *w, enum set set, const struct row_ref *rows, uint32_t n) {
    uint64_t **cursors = w->key_cursors.v;
    const uint64_t *masks = w->key_masks.v;
    for (uint32_t i = 0; i < n; i++) {
        const struct part_source *s = &w->sources[rows[i].batch];
        struct batch_attributes a = batch_attributes(s->b, set, rows[i].row);
        uint64_t batch = (uint64_t)rows[i].batch << 32;
        if (i + AHEAD < n) prefetch_slots(w, set, rows[i + AHEAD]);
        for (uint32_t j = 0; j < a.n; j++) {
            uint32_t key = s->keys[a.keys[j]] - 1;
            *cursors[key]++ = a.values[j] | (batch & masks[key]);
        }
    }
}

static uint8_t encode_column(struct part_writer *w, enum set set, uint32_t key) {
    struct key_memory *m = &w->key_memory.v[key];
    enum value_type type = key_type(w, key);
    part_writer_room(w, m->column.n);
    if (holds_string(type))
        return encode_strings(w, &m->memory[set], m->column.v, m->column.n, type == VALUE_STRING, &w->bytes);
    if (type == VALUE_EMPTY) return 0;
    return encode_numbers(w, m->column.v, m->column.n, &w->bytes);
}

struct key_count {
    uint32_t n, key;
};

static int most_first(const void *a, const void *b) {
    const struct key_count *x = a, *y = b;
    return x->n != y->n ? (x->n < y->n) - (x->n > y->n) : (x->key > y->key) - (x->key < y->key);
}

/* Marks keys that are too rare for a block of their own; returns how many. */
static uint32_t choose_rest(struct part_writer *w) {
    uint32_t n = (uint32_t)w->touched_keys.n, rest = 0;
    if (n <= PART_KEYS_FREQUENT) return 0;
    AUTO_FREE struct key_count *counts = mem_new_array(struct key_count, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t key = w->touched_keys.v[i];
        counts[i] = (struct key_count){w->key_memory.v[key].column.n, key};
    }
    qsort(counts, n, sizeof *counts, most_first);
    for (uint32_t i = PART_KEYS_FREQUENT; i < n; i++) {
        if (counts[i].n >= PART_KEY_ROWS_MIN) continue;
        w->key_memory.v[counts[i].key].rest = true;
        rest++;
    }
    return rest;
}

/* Values of rare keys one after another as the rows have them: numbers as 8 bytes, strings as size and bytes. */
static void encode_rest(struct part_writer *w, enum set set, const struct row_ref *rows, uint32_t n, uint32_t rest) {
    size_t start = w->bytes.n;
    uint32_t keys = 0, values = 0;
    part_writer_room(w, rest);
    for (size_t i = 0; i < w->touched_keys.n; i++)
        if (w->key_memory.v[w->touched_keys.v[i]].rest) w->list[keys++] = w->touched_keys.v[i];
    put_code_list(w, w->list, keys, &w->bytes);
    buf_clear(&w->scratch);
    for (uint32_t i = 0; i < n; i++) {
        struct part_source *s = &w->sources[rows[i].batch];
        struct batch_attributes a = batch_attributes(s->b, set, rows[i].row);
        for (uint32_t j = 0; j < a.n; j++) {
            if (!w->key_memory.v[s->keys[a.keys[j]] - 1].rest) continue;
            values++;
            if (!holds_string((enum value_type)s->b->keys[a.keys[j]].type)) {
                buf_add(&w->scratch, &a.values[j], 8);
                continue;
            }
            struct str text = batch_string(s->b, (uint32_t)a.values[j]);
            put_u32(&w->scratch, (uint32_t)text.n);
            buf_add_str(&w->scratch, text);
        }
    }
    put_rest_bytes(w, &w->bytes, buf_str(&w->scratch));
    part_add_block(w, set, COLUMN_REST, 0, ENCODING_REST, values, start);
}

bool part_gather_attributes(struct part_writer *w, enum set set, const struct row_ref *rows, uint32_t n) {
    vec_clear(&w->touched_keys);
    count_values(w, set, rows, n);
    if (!w->touched_keys.n) return false;
    scatter(w, set, rows, n);
    return true;
}

void encode_attributes(struct part_writer *w, enum set set, const struct row_ref *rows, uint32_t n) {
    uint32_t rest = choose_rest(w);
    if (rest) encode_rest(w, set, rows, n, rest);
    for (size_t i = 0; i < w->touched_keys.n; i++) {
        uint32_t key = w->touched_keys.v[i], count = w->key_memory.v[key].column.n;
        size_t start = w->bytes.n;
        if (!w->key_memory.v[key].rest)
            part_add_block(w, set, COLUMN_ATTRIBUTE, key, encode_column(w, set, key), count, start);
        w->key_memory.v[key].rest = false;
        w->key_memory.v[key].column.n = 0;
    }
}

/* ---- correlation ids ---------------------------------------------------------------------------------------------- */

/* The key of an attribute of the row that is the text `id`. */
static bool find_key(const struct part_writer *w, struct row_ref row, uint32_t id, uint32_t *out) {
    const struct part_source *s = &w->sources[row.batch];
    struct batch_attributes a = batch_attributes(s->b, SET_ROWS, row.row);
    for (uint32_t i = 0; i < a.n; i++) {
        *out = s->keys[a.keys[i]] - 1;
        if (s->b->keys[a.keys[i]].type == VALUE_STRING && a.values[i] == id) return true;
    }
    return false;
}

/* Per part shape that the rows have: how often it has the key. */
static void count_key(struct part_writer *w, uint32_t key) {
    while (w->shape_rows.n < w->shapes.n) *vec_push(&w->shape_rows) = 0;
    for (size_t i = 0; i < w->touched_shapes.n; i++) {
        struct str keys = strings_get(&w->shapes, w->touched_shapes.v[i]);
        for (size_t k = 0; k < keys.n; k += 4) w->shape_rows.v[w->touched_shapes.v[i]] += load_u32(keys.p + k) == key;
    }
}

static bool is_key_of_ids(const struct part_writer *w, const struct row_ref *rows, const uint64_t *ids, uint32_t n,
                          uint32_t key) {
    const uint64_t *value = w->key_memory.v[key].column.v;
    for (uint32_t i = 0; i < n; i++) {
        const struct part_source *s = &w->sources[rows[i].batch];
        uint32_t shape = s->shapes[batch_u32(s->b, SET_ROWS, FIELD_SHAPE, rows[i].row)] - 1;
        uint32_t times = w->shape_rows.v[shape];
        if (times ? times > 1 || *value++ != ids[i] : (uint32_t)ids[i] != 0) return false;
    }
    return true;
}

bool part_key_of_ids(struct part_writer *w, const struct row_ref *rows, const uint64_t *ids, uint32_t n,
                     uint32_t *out_key) {
    uint32_t first = 0;
    while (first < n && !(uint32_t)ids[first]) first++;
    if (first == n || !find_key(w, rows[first], (uint32_t)ids[first], out_key)) return false;
    if (w->touched_keys.n > PART_KEYS_FREQUENT && w->key_memory.v[*out_key].column.n < PART_KEY_ROWS_MIN) return false;
    count_key(w, *out_key);
    bool is = is_key_of_ids(w, rows, ids, n, *out_key);
    for (size_t i = 0; i < w->touched_shapes.n; i++) w->shape_rows.v[w->touched_shapes.v[i]] = 0;
    return is;
}
