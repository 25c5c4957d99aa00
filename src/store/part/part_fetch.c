/* Whole rows of a group back into a builder, column by column: equal to what was written. */
#include <stdlib.h>

#include "store/part/part_read_priv.h"
#include "store/part/part_write_priv.h"

enum { FETCH_BYTES_MAX = 1 << 30 };

struct fetch {
    struct group_reader r;
    struct batch_builder *out;
    uint32_t *keys;               /* per part key: the builder's + 1 */
    uint32_t *resources, *scopes; /* per part code: the builder's row + 1 */
    struct batch_copy_cache cache;
};

/* ---- fields ------------------------------------------------------------------------------------------------------- */

static err intern_texts(struct fetch *f, bool unique, const struct str *texts, uint32_t n, uint32_t **out) {
    uint32_t *ids = ARENA_ARRAY(f->r.arena, uint32_t, n);
    struct strings *s = &f->out->strings;
    for (uint32_t i = 0; i < n; i++)
        ids[i] = unique && texts[i].n ? strings_append(s, texts[i]) : strings_intern(s, texts[i]);
    *out = ids;
    return NULL;
}

/* The builder's string ids of the values at `rows`. */
static err fetch_strings(struct fetch *f, const struct column *c, const uint32_t *rows, uint32_t n, uint32_t *codes,
                         uint32_t **out_ids) {
    const struct str *texts;
    uint32_t count = 0;
    TRY(column_texts(&f->r, c, rows, n, codes, &texts, &count));
    return intern_texts(f, c->encoding == ENCODING_TEXTS, texts, count, out_ids);
}

static err fetch_entities(struct fetch *f, enum field field, const struct column *c, const uint32_t *rows, uint32_t n,
                          uint32_t first) {
    uint32_t *known = field == FIELD_RESOURCE ? f->resources : f->scopes;
    uint32_t *codes = ARENA_ARRAY(f->r.arena, uint32_t, n);
    TRY(column_entities(&f->r, c, rows, n, codes));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t code = codes[i];
        if (!known[code]) {
            uint32_t resource, scope;
            part_copy_entities(f->out, &f->r.part->entities, &f->cache, field == FIELD_RESOURCE ? code : 0,
                               field == FIELD_SCOPE ? code : 0, &resource, &scope);
            known[code] = (field == FIELD_RESOURCE ? resource : scope) + 1;
        }
        batch_builder_set_u32(f->out, SET_ROWS, field, first + i, known[code] - 1);
    }
    return NULL;
}

static err fetch_numbers(struct fetch *f, enum set set, enum field field, const struct column *c, const uint32_t *rows,
                         uint32_t n, uint32_t first) {
    uint64_t *v = ARENA_ARRAY(f->r.arena, uint64_t, n);
    TRY(column_decode_some(&f->r, set, (uint8_t)field, c, rows, n, v));
    bool wide = field_rows[field].type != FIELD_U32;
    for (uint32_t i = 0; i < n; i++)
        if (wide)
            batch_builder_set_u64(f->out, set, field, first + i, v[i]);
        else
            batch_builder_set_u32(f->out, set, field, first + i, (uint32_t)v[i]);
    return NULL;
}

/* Correlation ids, wherever they stand. */
static err fetch_ids(struct fetch *f, const uint32_t *rows, uint32_t n, uint32_t first) {
    struct column c;
    const uint32_t *values;
    TRY(group_open_ids(&f->r, &c, &values));
    if (!c.encoding) return NULL;
    uint32_t *codes = ARENA_ARRAY(f->r.arena, uint32_t, n), *numbers = ARENA_ARRAY(f->r.arena, uint32_t, n);
    uint32_t *to = ARENA_ARRAY(f->r.arena, uint32_t, n), *ids = NULL, count = 0;
    for (uint32_t i = 0; i < n; i++) {
        numbers[count] = values ? values[rows[i]] : rows[i];
        to[count] = first + i;
        count += numbers[count] != NO_VALUE;
    }
    if (count) TRY(fetch_strings(f, &c, numbers, count, codes, &ids));
    for (uint32_t i = 0; i < count; i++)
        batch_builder_set_u32(f->out, SET_ROWS, FIELD_CORRELATION, to[i], ids[codes[i]]);
    return NULL;
}

static err fetch_field(struct fetch *f, enum set set, enum field field, const uint32_t *rows, uint32_t n,
                       uint32_t first) {
    struct column c;
    if (field == FIELD_CORRELATION) return fetch_ids(f, rows, n, first);
    TRY(column_open(&f->r, set, (uint8_t)field, &c));
    if (field == FIELD_RESOURCE || field == FIELD_SCOPE) return fetch_entities(f, field, &c, rows, n, first);
    if (!c.encoding) return NULL;
    if (field_rows[field].type == FIELD_ID16) {
        for (uint32_t i = 0; i < n; i++)
            batch_builder_set_id16(f->out, set, field, first + i, column_id16(&c, rows[i]));
        return NULL;
    }
    if (field_rows[field].type != FIELD_STRING) return fetch_numbers(f, set, field, &c, rows, n, first);
    uint32_t *codes = ARENA_ARRAY(f->r.arena, uint32_t, n), *ids = NULL;
    TRY(fetch_strings(f, &c, rows, n, codes, &ids));
    for (uint32_t i = 0; i < n; i++) batch_builder_set_u32(f->out, set, field, first + i, ids[codes[i]]);
    return NULL;
}

/* ---- attributes --------------------------------------------------------------------------------------------------- */

/* One value to fetch: value `index` of key `key` (a number among the wanted ones) goes to slot `slot`. */
struct wanted_value {
    uint32_t key, index, slot;
};

struct attribute_fetch {
    struct fetch *f;
    enum set set;
    uint32_t *key_number; /* per part key: number among the wanted + 1 */
    uint32_t *keys;       /* the wanted ones' part keys */
    uint32_t key_count;
    uint32_t *counters; /* per wanted key: values in the rows before the current one */
    uint64_t *totals;   /* per wanted key: values in all rows of the group */
    uint32_t *skipped;  /* per shape: rows of it since the last wanted row */
    struct wanted_value *values;
    uint32_t value_count;
};

static uint32_t shape_of(const struct set_shapes *s, uint32_t row) { return s->codes ? s->codes[row] : 0; }

/* Keys of the rows' shapes are wanted; totals of their values are what the columns must have. */
static err choose_keys(struct attribute_fetch *a, const uint32_t *rows, uint32_t n, uint32_t *out_values) {
    struct group_reader *r = &a->f->r;
    const struct set_shapes *s = &r->shapes[a->set];
    bool *seen = ARENA_ZERO(r->arena, bool, s->count);
    uint64_t values = 0;
    a->key_number = ARENA_ZERO(r->arena, uint32_t, r->part->key_count);
    a->keys = ARENA_ARRAY(r->arena, uint32_t, r->part->key_count);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t shape = shape_of(s, rows[i]), count;
        const uint32_t *keys = part_shape(r->part, s->list[shape], &count);
        values += count;
        if (seen[shape]) continue;
        seen[shape] = true;
        for (uint32_t k = 0; k < count; k++) {
            if (a->key_number[keys[k]]) continue;
            a->keys[a->key_count] = keys[k];
            a->key_number[keys[k]] = ++a->key_count;
        }
    }
    if (values > UINT32_MAX / 16) return err_new(ERR_LIMIT, "too many attributes to fetch at once");
    a->totals = ARENA_ZERO(r->arena, uint64_t, a->key_count);
    for (uint32_t i = 0; i < s->count; i++) {
        uint32_t count;
        const uint32_t *keys = part_shape(r->part, s->list[i], &count);
        for (uint32_t k = 0; k < count; k++)
            if (a->key_number[keys[k]]) a->totals[a->key_number[keys[k]] - 1] += s->rows[i];
    }
    *out_values = (uint32_t)values;
    return NULL;
}

static void count_shape(struct attribute_fetch *a, uint32_t shape, uint32_t rows) {
    uint32_t n;
    const uint32_t *keys = part_shape(a->f->r.part, a->f->r.shapes[a->set].list[shape], &n);
    for (uint32_t k = 0; k < n; k++)
        if (a->key_number[keys[k]]) a->counters[a->key_number[keys[k]] - 1] += rows;
}

/* Counts the values of the rows [from, to): by shape where there are more rows than shapes. */
static void skip_rows(struct attribute_fetch *a, uint32_t from, uint32_t to) {
    const struct set_shapes *s = &a->f->r.shapes[a->set];
    if (to - from <= s->count) {
        for (uint32_t row = from; row < to; row++) count_shape(a, shape_of(s, row), 1);
        return;
    }
    for (uint32_t row = from; row < to; row++) a->skipped[shape_of(s, row)]++;
    for (uint32_t i = 0; i < s->count; i++) {
        if (a->skipped[i]) count_shape(a, i, a->skipped[i]);
        a->skipped[i] = 0;
    }
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* row << 32 | position among the wanted, ascending. */
static err sort_rows(struct arena *arena, const uint32_t *rows, uint32_t n, uint64_t **out) {
    uint64_t *order = ARENA_ARRAY(arena, uint64_t, n);
    bool sorted = true;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = (uint64_t)rows[i] << 32 | i;
        sorted = sorted && (i == 0 || rows[i - 1] <= rows[i]);
    }
    if (!sorted) qsort(order, n, sizeof *order, compare_u64);
    *out = order;
    return NULL;
}

/* Where the values of the wanted rows stand in the columns of their keys. */
static err place_values(struct attribute_fetch *a, const uint32_t *rows, uint32_t n, const uint32_t *slots) {
    struct group_reader *r = &a->f->r;
    const struct set_shapes *s = &r->shapes[a->set];
    uint64_t *order = NULL;
    uint32_t at = 0, last_first = 0;
    TRY(sort_rows(r->arena, rows, n, &order));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = (uint32_t)(order[i] >> 32), slot = slots[(uint32_t)order[i]], count;
        const uint32_t *keys = part_shape(r->part, s->list[shape_of(s, row)], &count);
        if (i && row + 1 == at) { /* the same row again */
            for (uint32_t k = 0; k < count; k++) {
                struct wanted_value v = a->values[last_first + k];
                v.slot = slot + k;
                a->values[a->value_count++] = v;
            }
            continue;
        }
        skip_rows(a, at, row);
        last_first = a->value_count;
        for (uint32_t k = 0; k < count; k++) {
            uint32_t key = a->key_number[keys[k]] - 1;
            a->values[a->value_count++] = (struct wanted_value){key, a->counters[key]++, slot + k};
        }
        at = row + 1;
    }
    return NULL;
}

/* The wanted values of one key, by their indexes, into their slots. */
static err fetch_key(struct attribute_fetch *a, uint32_t number, const struct wanted_value *values, uint32_t n) {
    struct group_reader *r = &a->f->r;
    uint32_t key = a->keys[number], type = r->part->keys[key].type;
    uint64_t *to = a->f->out->slots.v;
    struct column c;
    if (a->totals[number] > UINT32_MAX) return err_new(ERR_CORRUPT, "too many values");
    TRY(group_open_key(r, a->set, key, (uint32_t)a->totals[number], &c));
    uint32_t *indexes = ARENA_ARRAY(r->arena, uint32_t, n);
    for (uint32_t i = 0; i < n; i++) indexes[i] = values[i].index;
    if (type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY) {
        uint32_t *codes = ARENA_ARRAY(r->arena, uint32_t, n), *ids = NULL;
        TRY(fetch_strings(a->f, &c, indexes, n, codes, &ids));
        for (uint32_t i = 0; i < n; i++) to[values[i].slot] = ids[codes[i]];
        return NULL;
    }
    uint64_t *v = ARENA_ARRAY(r->arena, uint64_t, n);
    TRY(column_decode_some(r, a->set, COLUMN_ATTRIBUTE, &c, indexes, n, v));
    for (uint32_t i = 0; i < n; i++) to[values[i].slot] = type == VALUE_BOOL ? v[i] != 0 : v[i];
    return NULL;
}

/* Brings the values of each key together. */
static err fetch_keys(struct attribute_fetch *a) {
    struct arena *arena = a->f->r.arena;
    uint32_t *start = ARENA_ZERO(arena, uint32_t, a->key_count + 1);
    struct wanted_value *by_key = ARENA_ARRAY(arena, struct wanted_value, a->value_count);
    for (uint32_t i = 0; i < a->value_count; i++) start[a->values[i].key + 1]++;
    for (uint32_t i = 0; i < a->key_count; i++) start[i + 1] += start[i];
    for (uint32_t i = 0; i < a->value_count; i++) by_key[start[a->values[i].key]++] = a->values[i];
    for (uint32_t i = 0, first = 0; i < a->key_count; i++) {
        TRY(fetch_key(a, i, by_key + first, start[i] - first));
        first = start[i];
    }
    return NULL;
}

static uint32_t builder_key(struct fetch *f, uint32_t key) {
    const struct part_key *k = &f->r.part->keys[key];
    if (!f->keys[key])
        f->keys[key] =
            batch_builder_key(f->out, part_string(&f->r.part->strings, k->name), (enum value_type)k->type) + 1;
    return f->keys[key] - 1;
}

static err builder_shape(struct attribute_fetch *a, uint32_t shape, uint32_t *out) {
    struct group_reader *r = &a->f->r;
    uint32_t n;
    const uint32_t *keys = part_shape(r->part, r->shapes[a->set].list[shape], &n);
    uint32_t *translated = ARENA_ARRAY(r->arena, uint32_t, n);
    for (uint32_t k = 0; k < n; k++) translated[k] = builder_key(a->f, keys[k]);
    *out = batch_builder_shape(a->f->out, translated, n);
    return NULL;
}

/* Gives the new rows their shapes and, one after another, their slots. */
static err reserve_slots(struct attribute_fetch *a, const uint32_t *rows, uint32_t n, uint32_t first,
                         uint32_t *out_slots) {
    struct group_reader *r = &a->f->r;
    struct batch_builder *b = a->f->out;
    const struct set_shapes *s = &r->shapes[a->set];
    uint32_t *shapes = ARENA_ZERO(r->arena, uint32_t, s->count); /* the builder's + 1 */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t shape = shape_of(s, rows[i]), count;
        part_shape(r->part, s->list[shape], &count);
        if (!shapes[shape]) {
            TRY(builder_shape(a, shape, &shapes[shape]));
            shapes[shape]++;
        }
        out_slots[i] = (uint32_t)b->slots.n;
        batch_builder_set_u32(b, a->set, FIELD_SHAPE, first + i, shapes[shape] - 1);
        if (count) batch_builder_set_u32(b, a->set, FIELD_SLOT, first + i, out_slots[i]);
        vec_reserve(&b->slots, count);
        if (count) memset(b->slots.v + b->slots.n, 0, count * sizeof *b->slots.v);
        b->slots.n += count;
    }
    return NULL;
}

static err fetch_attributes(struct fetch *f, enum set set, const uint32_t *rows, uint32_t n, uint32_t first) {
    struct attribute_fetch a = {.f = f, .set = set};
    struct arena *arena = f->r.arena;
    uint32_t values = 0;
    TRY(group_open_shapes(&f->r, set));
    TRY(choose_keys(&a, rows, n, &values));
    if (!values) return NULL;
    uint32_t *slots = ARENA_ARRAY(arena, uint32_t, n);
    a.counters = ARENA_ZERO(arena, uint32_t, a.key_count);
    a.skipped = ARENA_ZERO(arena, uint32_t, f->r.shapes[set].count);
    a.values = ARENA_ARRAY(arena, struct wanted_value, values);
    TRY(reserve_slots(&a, rows, n, first, slots));
    TRY(place_values(&a, rows, n, slots));
    return fetch_keys(&a);
}

/* ---- sets --------------------------------------------------------------------------------------------------------- */

static err fetch_set(struct fetch *f, enum set set, const uint32_t *rows, uint32_t n) {
    uint32_t first = f->out->sets[set].n;
    for (uint32_t i = 0; i < n; i++) batch_builder_row(f->out, set);
    for (int field = 0; field < FIELDS; field++) {
        if (!field_in((enum field)field, f->r.part->info.signal, set) || field == FIELD_SHAPE || field == FIELD_SLOT ||
            field == FIELD_EVENT_END || field == FIELD_LINK_END)
            continue;
        TRY(fetch_field(f, set, (enum field)field, rows, n, first));
    }
    return fetch_attributes(f, set, rows, n, first);
}

static err fetch_children(struct fetch *f, enum set set, const uint32_t *rows, uint32_t n, uint32_t first) {
    enum field field = set == SET_EVENTS ? FIELD_EVENT_END : FIELD_LINK_END;
    uint32_t all = 0, count = 0;
    struct column c;
    if (!f->r.g->set_rows[set]) return NULL;
    TRY(column_open(&f->r, SET_ROWS, (uint8_t)field, &c));
    for (uint32_t i = 0; i < n; i++) all = MAX(all, rows[i] + 1);
    uint64_t *ends = ARENA_ARRAY(f->r.arena, uint64_t, all + 1); /* ends[i + 1]: behind the children of row i */
    if (!c.encoding) return part_corrupt(&f->r, f->r.blocks, "children without counts");
    ints_decode(&c.numbers.ints, 0, all, ends + 1);
    ends[0] = 0;
    for (uint32_t i = 0; i < all; i++) ends[i + 1] += ends[i];
    for (uint32_t i = 0; i < n; i++) count += (uint32_t)(ends[rows[i] + 1] - ends[rows[i]]);
    if (count > PART_FETCH_CHILDREN_MAX - MIN(f->out->sets[set].n, (uint32_t)PART_FETCH_CHILDREN_MAX))
        return err_new(ERR_LIMIT, "more than 2^24 events or links in one answer");
    uint32_t *children = ARENA_ARRAY(f->r.arena, uint32_t, count), base = f->out->sets[set].n;
    count = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (uint64_t child = ends[rows[i]]; child < ends[rows[i] + 1]; child++) children[count++] = (uint32_t)child;
        batch_builder_set_u32(f->out, SET_ROWS, field, first + i, base + count);
    }
    return count ? fetch_set(f, set, children, count) : NULL;
}

static err fetch_rows(struct fetch *f, const uint32_t *rows, uint32_t n) {
    const struct part *p = f->r.part;
    uint32_t first = f->out->sets[SET_ROWS].n;
    f->keys = ARENA_ZERO(f->r.arena, uint32_t, p->key_count);
    f->resources = ARENA_ZERO(f->r.arena, uint32_t, p->entities.set_rows[SET_RESOURCES]);
    f->scopes = ARENA_ZERO(f->r.arena, uint32_t, p->entities.set_rows[SET_SCOPES]);
    TRY(fetch_set(f, SET_ROWS, rows, n));
    if (p->info.signal != SIGNAL_SPANS) return NULL;
    TRY(fetch_children(f, SET_EVENTS, rows, n, first));
    return fetch_children(f, SET_LINKS, rows, n, first);
}

err part_fetch(struct part *p, uint32_t group, const uint32_t *rows, size_t n, struct batch_builder *out,
               struct scan_stats *stats) {
    AUTO_ARENA struct arena arena;
    arena_init(&arena, FETCH_BYTES_MAX);
    if (n == 0) return NULL;
    struct fetch f = {.out = out};
    group_reader_init(&f.r, p, group, &arena, stats);
    struct builder_mark mark = batch_builder_mark(out);
    bool bad;
    err e = fetch_rows(&f, rows, (uint32_t)n);
    batch_copy_cache_done(&f.cache);
    e = group_reader_end(&f.r, e, &bad);
    if (e || bad) batch_builder_rewind(out, mark);
    return e;
}
