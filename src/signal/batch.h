/* The batch: rows of one signal in memory, column by column, in one contiguous blob that is also the log record.
 *
 *   builder ── batch_builder_finish ──▶ blob (bytes) ── batch_view ──▶ struct batch (pointers into the blob)
 *
 *   set × field   → column: n values of 4, 8 or 16 bytes, or one value for all rows (mask 0)
 *   strings       → string_end[], heap            string id 0 is always the empty string
 *   keys          → {name, value type}            attribute columns: a key is (name, type)
 *   shapes        → ordered list of keys          row i of a set has the keys of shape(i), in the order they were sent
 *   slots         → uint64 each                   row i's values are slots[slot(i)], slots[slot(i) + 1], … one per key
 *
 * So what came in goes out again: order, duplicates and types of attributes are kept. Shape 0 has no keys.
 * A string may stand under two ids (columns of unique-looking text are not deduplicated): compare bytes, not ids, across
 * columns. Rows of equal resource share a resource row within one batch where the sender grouped them.
 *
 * Slots are not shared between rows: all rows together have at most as many attributes as there are slots.
 *
 * Limits: rows, events, links ≤ 2^24 each; heap < 4 GiB; a blob < 2 GiB.
 * Owner: a blob is reference-counted and immutable (batch_ref / batch_unref); a builder is its maker's. Threads: blobs are
 * shared freely; a builder belongs to one thread.
 * Errors: batch_open checks everything an index could break and returns ERR_CORRUPT naming what.
 */
#pragma once

#include "base/base.h"
#include "signal/field.h"

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct batch_column {
    const void *p;
    uint32_t mask; /* value of row i at index i & mask: all ones, or 0 for a constant (an absent field is constant 0) */
};

struct batch_key {
    uint32_t name;  /* string id */
    uint8_t type;   /* enum value_type */
    uint8_t unique; /* 1: values looked unique and were not deduplicated */
    uint16_t reserved;
};

struct batch {
    struct batch_blob *blob; /* what the pointers point into; not counted here */
    enum signal signal;
    uint32_t rows; /* = set_rows[SET_ROWS] */
    uint32_t set_rows[SETS];
    struct batch_column columns[SETS][FIELDS];
    uint32_t string_count, key_count, shape_count, slot_count;
    const uint32_t *string_end;
    const char *heap;
    const struct batch_key *keys;
    const uint32_t *shape_end;  /* shape s: shape_keys[s ? shape_end[s-1] : 0 .. shape_end[s]) */
    const uint32_t *shape_keys; /* key indexes */
    const uint64_t *slots;
    int64_t time_min, time_max; /* of FIELD_TIME over rows, as int64 (times from 2^63 on count as the maximum) */
};

static inline uint32_t batch_u32(const struct batch *b, enum set s, enum field f, uint32_t row) {
    const struct batch_column *c = &b->columns[s][f];
    return ((const uint32_t *)c->p)[row & c->mask];
}
static inline uint64_t batch_u64(const struct batch *b, enum set s, enum field f, uint32_t row) {
    const struct batch_column *c = &b->columns[s][f];
    return ((const uint64_t *)c->p)[row & c->mask];
}
static inline const unsigned char *batch_id16(const struct batch *b, enum set s, enum field f, uint32_t row) {
    const struct batch_column *c = &b->columns[s][f];
    return (const unsigned char *)c->p + 16 * (size_t)(row & c->mask);
}
static inline struct str batch_string(const struct batch *b, uint32_t id) {
    uint32_t start = id ? b->string_end[id - 1] : 0;
    return (struct str){b->heap + start, b->string_end[id] - start};
}
static inline struct str batch_text(const struct batch *b, enum set s, enum field f, uint32_t row) {
    return batch_string(b, batch_u32(b, s, f, row));
}
/* The attributes of one row: keys (indexes into b->keys), values, count. */
struct batch_attributes {
    const uint32_t *keys;
    const uint64_t *values;
    uint32_t n;
};
static inline struct batch_attributes batch_attributes(const struct batch *b, enum set s, uint32_t row) {
    uint32_t shape = batch_u32(b, s, FIELD_SHAPE, row), start = shape ? b->shape_end[shape - 1] : 0;
    return (struct batch_attributes){b->shape_keys + start, b->slots + batch_u32(b, s, FIELD_SLOT, row),
                                     b->shape_end[shape] - start};
}
/* The first attribute of that name, any type; false if the row has none. */
bool batch_find_attribute(const struct batch *b, enum set s, uint32_t row, struct str name, enum value_type *out_type,
                          uint64_t *out_value);
/* The text of a string attribute, or "" if the row has no such attribute of type string. */
struct str batch_attribute_text(const struct batch *b, enum set s, uint32_t row, struct str name);

struct batch_builder; /* batch_build.h */
struct batch_blob;    /* counted bytes */
struct batch_blob *batch_ref(struct batch_blob *blob);
void batch_unref(struct batch_blob *blob); /* takes NULL; from any thread */
struct str batch_bytes(const struct batch_blob *blob);
/* Copies bytes from outside (a log record) into a blob and checks them whole. */
err batch_open(struct str bytes, struct batch_blob **out);
/* The same without a copy: a view, with no blob, of bytes that stay where they are, at a multiple of 8. */
err batch_open_in_place(struct str bytes, struct batch *out);
/* Fills the view of a blob that batch_open or batch_builder_finish made; cheap (no allocation). */
void batch_view(struct batch_blob *blob, struct batch *out);

/* True if rows a and b (of two batches) say the same: every field, attribute in order, event, link, resource and scope. */
bool batch_rows_equal(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b);
/* A hash of everything batch_rows_equal compares; equal rows hash alike. */
uint64_t batch_row_hash(const struct batch *b, uint32_t row);
