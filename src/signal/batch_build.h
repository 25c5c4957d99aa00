/* Building a batch (batch.h): rows are appended set by set, then batch_builder_finish makes the blob.
 *
 * Limits: those of batch.h. Owner: a builder is its maker's. Threads: it belongs to one. */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "signal/batch.h"

/* One set under construction. Columns of a field that is always 0 cost nothing: they are made on the first other value. */
struct builder_set {
    uint32_t n;
    uint32_t capacity;
    void *columns[FIELDS]; /* NULL: all zero so far, or not of this set */
};

struct batch_builder {
    enum signal signal;
    bool overfull; /* batch_builder_copy left children out that would have been over 2^24 */
    struct builder_set sets[SETS];
    struct strings strings;
    VEC(struct batch_key) keys;
    VEC(uint32_t) shape_end, shape_keys;
    VEC(uint64_t) slots;
    struct builder_index *index; /* keys by (name, type) and shapes by content */
};

void batch_builder_init(struct batch_builder *b, enum signal signal);
void batch_builder_done(struct batch_builder *b);
void batch_builder_clear(struct batch_builder *b);         /* empties, keeps memory */
size_t batch_builder_bytes(const struct batch_builder *b); /* about what the blob will take */

/* Appends one zero row to a set and returns its index; the values are set afterwards, in any order. */
uint32_t batch_builder_row(struct batch_builder *b, enum set s);
void batch_builder_set_u32(struct batch_builder *b, enum set s, enum field f, uint32_t row, uint32_t value);
void batch_builder_set_u64(struct batch_builder *b, enum set s, enum field f, uint32_t row, uint64_t value);
void batch_builder_set_id16(struct batch_builder *b, enum set s, enum field f, uint32_t row, const void *id);
/* Strings: strings_intern / strings_append on b->strings give ids. Keys and shapes: */
uint32_t batch_builder_key(struct batch_builder *b, struct str name, enum value_type type);
uint32_t batch_builder_shape(struct batch_builder *b, const uint32_t *keys, uint32_t n);
/* Attributes of a row: push values to b->slots, then set FIELD_SHAPE and FIELD_SLOT by this. */
void batch_builder_attributes(struct batch_builder *b, enum set s, uint32_t row, const uint32_t *keys, uint32_t n,
                              uint32_t first_slot);
/* Takes back the last row of SET_ROWS with its events, links and slots (marks from batch_builder_mark). */
struct builder_mark {
    uint32_t n[SETS];
    size_t slots;
};
struct builder_mark batch_builder_mark(const struct batch_builder *b);
void batch_builder_rewind(struct batch_builder *b, struct builder_mark mark);

/* Copies row `row` of `from` with its events, links, resource, scope and attributes to the end of b (resources and scopes
 * are deduplicated by content within b). Used by fetch, merge and the naive model. `cache`, zeroed by the caller and
 * one per (b, from) pair, remembers translations; end it with batch_copy_cache_done. */
struct batch_copy_cache {
    uint32_t *strings, *keys, *shapes, *resources, *scopes;
};
void batch_builder_copy(struct batch_builder *b, const struct batch *from, uint32_t row,
                        struct batch_copy_cache *cache);
void batch_copy_cache_done(struct batch_copy_cache *cache);

/* Makes the blob (one reference, the caller's) and leaves the builder empty. Rows always have a resource and a scope: if there
 * is none, an empty one is added. A row without FIELD_EVENT_END or FIELD_LINK_END of its own has no events or links; the last
 * end must be the size of the set. */
struct batch_blob *batch_builder_finish(struct batch_builder *b);
