#include "signal/testing.h"

#include "signal/any_priv.h"
#include "signal/batch_priv.h"

uint64_t chance_next(struct chance *c) {
    c->state += 0x9e3779b97f4a7c15u;
    return hash_u64(c->state);
}

/* ---- nested values ------------------------------------------------------------------------------------------------ */

static void put_varint(struct buf *out, uint64_t v) {
    for (; v >= 0x80; v >>= 7) buf_add_byte(out, (char)(v | 0x80));
    buf_add_byte(out, (char)v);
}

void put_wire_varint(struct buf *out, uint32_t field, uint64_t v) {
    put_varint(out, WIRE_TAG(field, WIRE_VARINT));
    put_varint(out, v);
}

void put_wire_fixed64(struct buf *out, uint32_t field, uint64_t v) {
    put_varint(out, WIRE_TAG(field, WIRE_FIXED64));
    buf_add(out, &v, 8);
}

void put_wire_fixed32(struct buf *out, uint32_t field, uint32_t v) {
    put_varint(out, WIRE_TAG(field, WIRE_FIXED32));
    buf_add(out, &v, 4);
}

void put_wire_bytes(struct buf *out, uint32_t field, struct str bytes) {
    put_varint(out, WIRE_TAG(field, WIRE_BYTES));
    put_varint(out, bytes.n);
    buf_add_str(out, bytes);
}

static void random_list(struct chance *c, int depth, bool map, struct buf *out) {
    AUTO_BUF struct buf list, item, entry;
    buf_init(&list, MIB);
    buf_init(&item, MIB);
    buf_init(&entry, MIB);
    for (uint32_t n = chance_below(c, 4); n > 0; n--) {
        buf_clear(&item);
        buf_clear(&entry);
        random_any(c, depth - 1, &item);
        put_wire_bytes(&entry, 1, str_span("key.of.map", chance_below(c, 10)));
        put_wire_bytes(&entry, 2, buf_str(&item));
        put_wire_bytes(&list, 1, map ? buf_str(&entry) : buf_str(&item));
    }
    put_wire_bytes(out, map ? 6 : 5, buf_str(&list));
}

void random_any(struct chance *c, int depth, struct buf *out) {
    uint64_t number = chance_next(c);
    switch (chance_below(c, depth > 0 ? 8 : 6)) {
    case 0: return;
    case 1: put_wire_bytes(out, 1, str_span("text \xc3\xa4 of a value", chance_below(c, 18))); return;
    case 2: put_wire_varint(out, 2, number & 1); return;
    case 3: put_wire_varint(out, 3, number >> chance_below(c, 64)); return;
    case 4: put_wire_fixed64(out, 4, number); return;
    case 5: put_wire_bytes(out, 7, str_span(&number, number & 7)); return;
    default: random_list(c, depth, chance_one_in(c, 2), out);
    }
}

/* ---- batches ------------------------------------------------------------------------------------------------------ */

static uint32_t random_string(struct chance *c, struct batch_builder *b) {
    char text[64];
    uint32_t n = chance_below(c, 40);
    for (uint32_t i = 0; i < n; i++) text[i] = (char)('a' + chance_below(c, 3));
    struct str s = {text, chance_one_in(c, 2) ? MIN(n, 2u) : n};
    return chance_one_in(c, 8) ? strings_append(&b->strings, s) : strings_intern(&b->strings, s);
}

static uint32_t random_nested(struct chance *c, struct batch_builder *b) {
    AUTO_BUF struct buf any;
    buf_init(&any, MIB);
    random_list(c, 3, chance_one_in(c, 2), &any);
    return strings_intern(&b->strings, buf_str(&any));
}

static void random_attributes(struct chance *c, struct batch_builder *b, enum set s, uint32_t row) {
    static const char *const names[] = {"", "http.method", "http.route", "user.id", "a.b", "x"};
    uint32_t keys[8], n = chance_below(c, LENGTH(keys)), slot = (uint32_t)b->slots.n;
    for (uint32_t i = 0; i < n; i++) {
        enum value_type type = (enum value_type)chance_below(c, VALUE_TYPES);
        keys[i] = batch_builder_key(b, str_of(names[chance_below(c, LENGTH(names))]), type);
        uint64_t value = chance_next(c);
        if (type == VALUE_STRING || type == VALUE_BYTES) value = random_string(c, b);
        if (type == VALUE_ANY) value = random_nested(c, b);
        if (type == VALUE_BOOL) value &= 1;
        *vec_push(&b->slots) = value;
    }
    batch_builder_attributes(b, s, row, keys, n, slot);
}

static void random_field(struct chance *c, struct batch_builder *b, enum set s, enum field f, uint32_t row) {
    unsigned char id[16];
    uint64_t v = chance_one_in(c, 3) ? 0 : chance_next(c) >> chance_below(c, 60);
    memcpy(id, &v, 8);
    memcpy(id + 8, &v, 8);
    switch (field_rows[f].type) {
    case FIELD_U32: batch_builder_set_u32(b, s, f, row, (uint32_t)v); return;
    case FIELD_U64:
    case FIELD_ID8: batch_builder_set_u64(b, s, f, row, v); return;
    case FIELD_ID16: batch_builder_set_id16(b, s, f, row, id); return;
    case FIELD_STRING: batch_builder_set_u32(b, s, f, row, random_string(c, b)); return;
    }
}

static uint32_t random_row(struct chance *c, struct batch_builder *b, enum set s) {
    uint32_t row = batch_builder_row(b, s);
    for (int f = 0; f < FIELDS; f++)
        if (!field_is_structural((enum field)f) && field_in((enum field)f, b->signal, s) && !chance_one_in(c, 4))
            random_field(c, b, s, (enum field)f, row);
    random_attributes(c, b, s, row);
    return row;
}

static void random_body(struct chance *c, struct batch_builder *b, uint32_t row) {
    static const enum value_type types[] = {VALUE_EMPTY, VALUE_STRING, VALUE_ANY};
    enum value_type type = types[chance_below(c, LENGTH(types))];
    uint32_t body = type == VALUE_ANY ? random_nested(c, b) : type == VALUE_STRING ? random_string(c, b) : 0;
    batch_builder_set_u32(b, SET_ROWS, FIELD_BODY, row, body);
    batch_builder_set_u32(b, SET_ROWS, FIELD_BODY_TYPE, row, type);
}

static void random_children(struct chance *c, struct batch_builder *b, enum set s, enum field end, uint32_t row) {
    for (uint32_t n = chance_one_in(c, 3) ? chance_below(c, 4) : 0; n > 0; n--) random_row(c, b, s);
    batch_builder_set_u32(b, SET_ROWS, end, row, b->sets[s].n);
}

void random_batch(struct chance *c, struct batch_builder *b, uint32_t rows) {
    for (uint32_t i = 0; i < rows; i++) {
        uint32_t row = random_row(c, b, SET_ROWS);
        if (i == 0 || chance_one_in(c, 5)) random_row(c, b, SET_RESOURCES);
        if (i == 0 || chance_one_in(c, 5)) random_row(c, b, SET_SCOPES);
        batch_builder_set_u32(b, SET_ROWS, FIELD_RESOURCE, row, chance_below(c, b->sets[SET_RESOURCES].n));
        batch_builder_set_u32(b, SET_ROWS, FIELD_SCOPE, row, chance_below(c, b->sets[SET_SCOPES].n));
        if (b->signal == SIGNAL_LOGS) {
            random_body(c, b, row);
        } else {
            random_children(c, b, SET_EVENTS, FIELD_EVENT_END, row);
            random_children(c, b, SET_LINKS, FIELD_LINK_END, row);
        }
    }
}

/* ---- walking ------------------------------------------------------------------------------------------------------ */

static uint64_t walk_text(struct str s) {
    uint64_t sum = s.n;
    for (size_t i = 0; i < s.n; i++) sum += (unsigned char)s.p[i];
    return sum;
}

static uint64_t walk_any(struct wire w, int depth) {
    struct any value;
    struct wire item;
    assert(depth <= ANY_DEPTH_MAX && any_read(&w, &value));
    uint64_t sum = value.number + (uint64_t)value.kind;
    if (value.kind == ANY_STRING || value.kind == ANY_BYTES) sum += walk_text(wire_str(&value.bytes));
    while (value.kind == ANY_ARRAY && any_next(&value.bytes, &item)) sum += walk_any(item, depth + 1);
    while (value.kind == ANY_MAP && any_next(&value.bytes, &item)) {
        struct str key;
        struct wire entry = item;
        assert(any_read_key_value(&entry, &key, &item));
        sum += walk_text(key) + walk_any(item, depth + 1);
    }
    return sum;
}

static uint64_t walk_attributes(const struct batch *b, enum set s, uint32_t row) {
    struct batch_attributes a = batch_attributes(b, s, row);
    uint64_t sum = a.n;
    for (uint32_t i = 0; i < a.n; i++) {
        const struct batch_key *key = &b->keys[a.keys[i]];
        sum += walk_text(batch_string(b, key->name));
        if (key->type == VALUE_STRING || key->type == VALUE_BYTES)
            sum += walk_text(batch_string(b, (uint32_t)a.values[i]));
        else if (key->type == VALUE_ANY)
            sum += walk_any(wire_of(batch_string(b, (uint32_t)a.values[i])), 1);
        else
            sum += a.values[i];
    }
    return sum;
}

static uint64_t walk_field(const struct batch *b, enum set s, enum field f, uint32_t row) {
    switch (field_rows[f].type) {
    case FIELD_U32: return batch_u32(b, s, f, row);
    case FIELD_U64:
    case FIELD_ID8: return batch_u64(b, s, f, row);
    case FIELD_ID16: return walk_text(str_span(batch_id16(b, s, f, row), 16));
    case FIELD_STRING: return walk_text(batch_text(b, s, f, row));
    }
    return 0;
}

uint64_t walk_batch(const struct batch *b) {
    uint64_t sum = 0;
    for (int s = 0; s < SETS; s++)
        for (uint32_t row = 0; row < b->set_rows[s]; row++) {
            for (int f = 0; f < FIELDS; f++) sum += walk_field(b, (enum set)s, (enum field)f, row);
            sum += walk_attributes(b, (enum set)s, row);
        }
    for (uint32_t row = 0; row < b->rows; row++) {
        sum += batch_row_hash(b, row);
        if (batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row) == VALUE_ANY)
            sum += walk_any(wire_of(batch_text(b, SET_ROWS, FIELD_BODY, row)), 1);
    }
    return sum;
}

void assert_batches_equal(const struct batch *a, const struct batch *b) {
    assert(a->rows == b->rows);
    for (uint32_t row = 0; row < a->rows; row++) {
        assert(batch_rows_equal(a, row, b, row));
        assert(batch_row_hash(a, row) == batch_row_hash(b, row));
    }
}
