/* Rows from batch to batch, and what it means that two rows are equal. */
#include "signal/batch.h"

#include "signal/batch_priv.h"

/* ---- copy ------------------------------------------------------------------------------------------------------- */

/* Translations from numbers of `from` to numbers of the builder, as number + 1; 0 = not yet. */
static uint32_t *translations(uint32_t **cache, uint32_t count) {
    if (!*cache) *cache = mem_new_array(uint32_t, count);
    return *cache;
}

struct copier {
    struct batch_builder *to;
    const struct batch *from;
    struct batch_copy_cache *cache;
};

static uint32_t copy_string(struct copier *c, uint32_t id, bool unique) {
    uint32_t *known = translations(&c->cache->strings, c->from->string_count);
    if (id == 0) return 0;
    if (!known[id]) {
        struct str text = batch_string(c->from, id);
        known[id] = 1 + (unique ? strings_append(&c->to->strings, text) : strings_intern(&c->to->strings, text));
    }
    return known[id] - 1;
}

static uint32_t copy_key(struct copier *c, uint32_t key) {
    uint32_t *known = translations(&c->cache->keys, c->from->key_count);
    const struct batch_key *k = &c->from->keys[key];
    if (!known[key]) {
        uint32_t to = batch_builder_key(c->to, batch_string(c->from, k->name), (enum value_type)k->type);
        c->to->keys.v[to].unique |= k->unique;
        known[key] = to + 1;
    }
    return known[key] - 1;
}

static uint32_t copy_shape(struct copier *c, uint32_t shape) {
    uint32_t *known = translations(&c->cache->shapes, c->from->shape_count);
    if (shape == 0) return 0;
    if (!known[shape]) {
        uint32_t start = c->from->shape_end[shape - 1], n = c->from->shape_end[shape] - start;
        AUTO_FREE uint32_t *keys = mem_new_array(uint32_t, n);
        for (uint32_t i = 0; i < n; i++) keys[i] = copy_key(c, c->from->shape_keys[start + i]);
        known[shape] = 1 + batch_builder_shape(c->to, keys, n);
    }
    return known[shape] - 1;
}

static void copy_attributes(struct copier *c, enum set s, uint32_t row, uint32_t to_row) {
    struct batch_attributes a = batch_attributes(c->from, s, row);
    if (a.n == 0) return;
    uint32_t shape = copy_shape(c, batch_u32(c->from, s, FIELD_SHAPE, row));
    uint32_t slot = (uint32_t)c->to->slots.n;
    bool shared = s == SET_RESOURCES || s == SET_SCOPES; /* these are looked up by content: always by one id */
    vec_reserve(&c->to->slots, a.n);
    for (uint32_t i = 0; i < a.n; i++) {
        const struct batch_key *key = &c->from->keys[a.keys[i]];
        bool text = key->type == VALUE_STRING || key->type == VALUE_BYTES || key->type == VALUE_ANY;
        *vec_push(&c->to->slots) = text ? copy_string(c, (uint32_t)a.values[i], key->unique && !shared) : a.values[i];
    }
    builder_put_u32(c->to, s, FIELD_SHAPE, to_row, shape);
    builder_put_u32(c->to, s, FIELD_SLOT, to_row, slot);
}

static void copy_field(struct copier *c, enum set s, enum field f, uint32_t row, uint32_t to_row) {
    switch (field_rows[f].type) {
    case FIELD_U32: builder_put_u32(c->to, s, f, to_row, batch_u32(c->from, s, f, row)); return;
    case FIELD_U64:
    case FIELD_ID8: builder_put_u64(c->to, s, f, to_row, batch_u64(c->from, s, f, row)); return;
    case FIELD_ID16: batch_builder_set_id16(c->to, s, f, to_row, batch_id16(c->from, s, f, row)); return;
    case FIELD_STRING:
        builder_put_u32(c->to, s, f, to_row, copy_string(c, batch_u32(c->from, s, f, row), false));
        return;
    }
}

/* A field that means the same in any batch. */
static bool field_is_own(enum signal signal, enum set s, enum field f) {
    return field_in(f, signal, s) && !field_is_structural(f);
}

/* One row of one set: its own fields and attributes. Returns its place. */
static uint32_t copy_row(struct copier *c, enum set s, uint32_t row) {
    uint32_t to_row = builder_add_row(c->to, s);
    for (int f = 0; f < FIELDS; f++)
        if (field_is_own(c->from->signal, s, (enum field)f)) copy_field(c, s, (enum field)f, row, to_row);
    copy_attributes(c, s, row, to_row);
    return to_row;
}

/* ---- resources and scopes by content ----------------------------------------------------------------------------- */

/* The builder's row as a view reads it. Only what the functions below touch is filled in. */
static void view_builder(const struct batch_builder *b, struct batch *out) {
    static const _Alignas(16) unsigned char zero[16];
    *out = (struct batch){.signal = b->signal,
                          .string_end = b->strings.end,
                          .heap = b->strings.heap,
                          .keys = b->keys.v,
                          .shape_end = b->shape_end.v,
                          .shape_keys = b->shape_keys.v ? b->shape_keys.v : (const void *)zero,
                          .slots = b->slots.v ? b->slots.v : (const void *)zero};
    for (int s = SET_RESOURCES; s <= SET_SCOPES; s++)
        for (int f = 0; f < FIELDS; f++)
            out->columns[s][f] = b->sets[s].columns[f] ? (struct batch_column){b->sets[s].columns[f], UINT32_MAX}
                                                       : (struct batch_column){zero, 0};
}

static uint64_t set_row_hash(const struct batch *b, enum set s, uint32_t row, uint64_t h);
static bool set_rows_equal(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b, enum set s);

/* Takes the last row of a set into the index, or finds the equal row that is there already. */
static uint32_t index_content(struct batch_builder *b, const struct batch *view, enum set s, uint32_t row) {
    struct index_table *t = &b->index->contents[s - SET_RESOURCES];
    uint32_t hash = (uint32_t)(set_row_hash(view, s, row, 0) >> 32), at;
    for (at = hash & t->mask; t->slots && t->slots[at]; at = (at + 1) & t->mask) {
        uint32_t other = (uint32_t)t->slots[at] - 1;
        if (t->slots[at] >> 32 == hash && set_rows_equal(view, row, view, other, s)) return other;
    }
    index_add(t, hash, row);
    return row;
}

/* The builder's row for a resource or scope of `from`. */
static uint32_t copy_shared(struct copier *c, uint32_t **cache, enum set s, uint32_t row) {
    struct batch_builder *b = c->to;
    uint32_t *known = translations(cache, c->from->set_rows[s]), *indexed = &b->index->indexed[s - SET_RESOURCES];
    if (known[row]) return known[row] - 1;
    size_t slots = b->slots.n;
    uint32_t new_row = copy_row(c, s, row);
    struct batch view;
    view_builder(b, &view);
    for (; *indexed < new_row; ++*indexed) index_content(b, &view, s, *indexed);
    uint32_t place = index_content(b, &view, s, new_row);
    if (place == new_row) {
        *indexed = new_row + 1;
    } else {
        struct builder_mark mark = batch_builder_mark(b);
        mark.n[s] = new_row;
        mark.slots = slots;
        batch_builder_rewind(b, mark);
    }
    known[row] = place + 1;
    return place;
}

static void copy_children(struct copier *c, enum set s, enum field end, uint32_t row, uint32_t to_row) {
    if (!field_in(end, c->from->signal, SET_ROWS)) return;
    uint32_t first = row ? batch_u32(c->from, SET_ROWS, end, row - 1) : 0,
             behind = batch_u32(c->from, SET_ROWS, end, row);
    if (behind - first > BATCH_ROWS_MAX - c->to->sets[s].n) { /* many requests together may hold more than a batch */
        c->to->overfull = true;
        behind = first;
    }
    for (uint32_t i = first; i < behind; i++) copy_row(c, s, i);
    builder_put_u32(c->to, SET_ROWS, end, to_row, c->to->sets[s].n);
}

void batch_builder_copy(struct batch_builder *b, const struct batch *from, uint32_t row,
                        struct batch_copy_cache *cache) {
    assert(b->signal == from->signal && row < from->rows);
    struct copier c = {b, from, cache};
    uint32_t to_row = copy_row(&c, SET_ROWS, row);
    uint32_t resource = batch_u32(from, SET_ROWS, FIELD_RESOURCE, row);
    uint32_t scope = batch_u32(from, SET_ROWS, FIELD_SCOPE, row);
    builder_put_u32(b, SET_ROWS, FIELD_RESOURCE, to_row, copy_shared(&c, &cache->resources, SET_RESOURCES, resource));
    builder_put_u32(b, SET_ROWS, FIELD_SCOPE, to_row, copy_shared(&c, &cache->scopes, SET_SCOPES, scope));
    copy_children(&c, SET_EVENTS, FIELD_EVENT_END, row, to_row);
    copy_children(&c, SET_LINKS, FIELD_LINK_END, row, to_row);
}

void batch_copy_cache_done(struct batch_copy_cache *cache) {
    mem_free(cache->strings);
    mem_free(cache->keys);
    mem_free(cache->shapes);
    mem_free(cache->resources);
    mem_free(cache->scopes);
    *cache = (struct batch_copy_cache){0};
}

/* ---- equality and hash: both walk the same fields ----------------------------------------------------------------- */

static bool fields_equal(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b, enum set s,
                         enum field f) {
    switch (field_rows[f].type) {
    case FIELD_U32: return batch_u32(a, s, f, row_a) == batch_u32(b, s, f, row_b);
    case FIELD_U64:
    case FIELD_ID8: return batch_u64(a, s, f, row_a) == batch_u64(b, s, f, row_b);
    case FIELD_ID16: return memcmp(batch_id16(a, s, f, row_a), batch_id16(b, s, f, row_b), 16) == 0;
    case FIELD_STRING: return str_equal(batch_text(a, s, f, row_a), batch_text(b, s, f, row_b));
    }
    return false;
}

static uint64_t hash_text(uint64_t h, struct str text) { return hash_keyed(h, hash_fast(text.p, text.n) ^ text.n); }

static uint64_t field_hash(const struct batch *b, enum set s, enum field f, uint32_t row, uint64_t h) {
    switch (field_rows[f].type) {
    case FIELD_U32: return hash_keyed(h, batch_u32(b, s, f, row));
    case FIELD_U64:
    case FIELD_ID8: return hash_keyed(h, batch_u64(b, s, f, row));
    case FIELD_ID16: return hash_keyed(h, hash_fast(batch_id16(b, s, f, row), 16));
    case FIELD_STRING: return hash_text(h, batch_text(b, s, f, row));
    }
    return h;
}

static bool type_is_text(uint8_t type) { return type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY; }

static bool attributes_equal(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b, enum set s) {
    struct batch_attributes x = batch_attributes(a, s, row_a), y = batch_attributes(b, s, row_b);
    if (x.n != y.n) return false;
    for (uint32_t i = 0; i < x.n; i++) {
        const struct batch_key *key_x = &a->keys[x.keys[i]], *key_y = &b->keys[y.keys[i]];
        if (key_x->type != key_y->type || !str_equal(batch_string(a, key_x->name), batch_string(b, key_y->name)))
            return false;
        if (key_x->type == VALUE_EMPTY) continue;
        bool same = type_is_text(key_x->type)
                        ? str_equal(batch_string(a, (uint32_t)x.values[i]), batch_string(b, (uint32_t)y.values[i]))
                        : x.values[i] == y.values[i];
        if (!same) return false;
    }
    return true;
}

static uint64_t attributes_hash(const struct batch *b, enum set s, uint32_t row, uint64_t h) {
    struct batch_attributes a = batch_attributes(b, s, row);
    h = hash_keyed(h, a.n);
    for (uint32_t i = 0; i < a.n; i++) {
        const struct batch_key *key = &b->keys[a.keys[i]];
        h = hash_keyed(hash_text(h, batch_string(b, key->name)), key->type);
        if (key->type == VALUE_EMPTY) continue;
        h = type_is_text(key->type) ? hash_text(h, batch_string(b, (uint32_t)a.values[i])) : hash_keyed(h, a.values[i]);
    }
    return h;
}

static bool set_rows_equal(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b, enum set s) {
    for (int f = 0; f < FIELDS; f++)
        if (field_is_own(a->signal, s, (enum field)f) && !fields_equal(a, row_a, b, row_b, s, (enum field)f))
            return false;
    return attributes_equal(a, row_a, b, row_b, s);
}

static uint64_t set_row_hash(const struct batch *b, enum set s, uint32_t row, uint64_t h) {
    for (int f = 0; f < FIELDS; f++)
        if (field_is_own(b->signal, s, (enum field)f)) h = field_hash(b, s, (enum field)f, row, h);
    return attributes_hash(b, s, row, h);
}

/* The children of a row: [*first, *first + n) of their set. */
static uint32_t children(const struct batch *b, enum field end, uint32_t row, uint32_t *first) {
    *first = row ? batch_u32(b, SET_ROWS, end, row - 1) : 0;
    return batch_u32(b, SET_ROWS, end, row) - *first;
}

static bool children_equal(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b, enum set s,
                           enum field end) {
    uint32_t first_a, first_b, n = children(a, end, row_a, &first_a);
    if (children(b, end, row_b, &first_b) != n) return false;
    for (uint32_t i = 0; i < n; i++)
        if (!set_rows_equal(a, first_a + i, b, first_b + i, s)) return false;
    return true;
}

static uint64_t children_hash(const struct batch *b, enum set s, enum field end, uint32_t row, uint64_t h) {
    uint32_t first, n = children(b, end, row, &first);
    h = hash_keyed(h, n);
    for (uint32_t i = 0; i < n; i++) h = set_row_hash(b, s, first + i, h);
    return h;
}

bool batch_rows_equal(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b) {
    if (a->signal != b->signal || !set_rows_equal(a, row_a, b, row_b, SET_ROWS)) return false;
    static const enum field points[] = {FIELD_RESOURCE, FIELD_SCOPE};
    for (int i = 0; i < 2; i++)
        if (!set_rows_equal(a, batch_u32(a, SET_ROWS, points[i], row_a), b, batch_u32(b, SET_ROWS, points[i], row_b),
                            (enum set)(SET_RESOURCES + i)))
            return false;
    return a->signal != SIGNAL_SPANS || (children_equal(a, row_a, b, row_b, SET_EVENTS, FIELD_EVENT_END) &&
                                         children_equal(a, row_a, b, row_b, SET_LINKS, FIELD_LINK_END));
}

uint64_t batch_row_hash(const struct batch *b, uint32_t row) {
    uint64_t h = set_row_hash(b, SET_ROWS, row, b->signal);
    h = set_row_hash(b, SET_RESOURCES, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), h);
    h = set_row_hash(b, SET_SCOPES, batch_u32(b, SET_ROWS, FIELD_SCOPE, row), h);
    if (b->signal != SIGNAL_SPANS) return h;
    h = children_hash(b, SET_EVENTS, FIELD_EVENT_END, row, h);
    return children_hash(b, SET_LINKS, FIELD_LINK_END, row, h);
}
