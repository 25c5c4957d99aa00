/* Inside the part writer: what its files share.
 *
 *   part_write.c       rows of batches → groups → file            part_order.c       which rows, in which order
 *   part_group.c       one group: fields and child sets           part_columns.c     numbers, ids, strings → block bytes
 *   part_attributes.c  attribute columns                          part_dictionary.c  batch ids → part codes; sections
 *
 * A reference to a value of a batch is one number: batch << 32 | string id (or row).
 */
#pragma once

#include "base/hash.h"
#include "base/vec.h"
#include "os/file.h"
#include "signal/batch_build.h"
#include "store/column/hash_index_priv.h"
#include "store/part/part_format_priv.h"
#include "store/part/part_priv.h"
#include "store/column/text_priv.h"

/* What a string of a batch is in the part, and in the column being encoded: one cache line has both. */
struct string_memory {
    uint32_t code; /* + 1; 0: not asked yet */
    uint32_t seen; /* + 1; zero between uses: scratch of encode_strings */
};

/* One input batch with what its ids are in the part: each array holds code + 1, or 0 where not yet asked. */
struct part_source {
    const struct batch *b;
    struct string_memory *strings;
    uint32_t *keys, *shapes, *entities[2]; /* entities: resources, scopes */
    struct batch_copy_cache cache;
    bool in_set; /* is among writer.batches */
};

struct row_ref {
    uint32_t batch, row;
};

/* What the writer remembers of one column from group to group. */
struct column_memory {
    bool own; /* values seldom come again: they stay in their group */
    uint32_t groups;
    enum { REPEATS_UNKNOWN, REPEATS_SELDOM, REPEATS_OFTEN } repeats; /* of values that no batch repeats */
    struct text_encoder *texts;
};

struct attribute_column {
    uint64_t *v; /* numbers, or references to strings */
    uint32_t n, capacity;
};

struct key_memory {
    struct column_memory memory[3]; /* by set */
    struct attribute_column column; /* of the set being written */
    bool rest;
};

struct part_writer {
    const char *path;
    struct file *file;
    enum signal signal;
    uint64_t id, offset;
    uint64_t memory_bytes;
    uint64_t section_bytes_max; /* PART_SECTION_BYTES_MAX, but in tests */

    struct part_source *sources;
    uint32_t source_count;

    struct strings strings, keys, shapes, skeletons;
    struct batch_builder entities; /* resources and scopes */
    struct column_memory fields[SETS][FIELDS];
    VEC(struct key_memory) key_memory;

    VEC(struct part_group) groups;
    VEC(struct part_block) blocks;
    VEC(struct hash_index_entry) traces; /* and correlation ids */
    uint32_t features;                   /* required of a reader, by what was written so far */
    struct buf bytes;                    /* of the group being made */
    struct buf scratch, scratch2;
    struct ZSTD_CCtx_s *zstd;

    /* scratch arrays with room for the largest set of the group */
    uint32_t capacity;
    uint64_t *numbers, *times, *child_times, *span_ids;
    uint64_t *refs, *distinct, *wide; /* wide: of the encoders alone */
    uint32_t distinct_count;          /* of the last column of strings; 0: they were not numbered */
    uint32_t *codes, *list, *remap;
    unsigned char *ids;
    struct str *texts;
    uint32_t *local; /* per part string: local code + 1, zero between uses */
    uint32_t local_capacity;
    VEC(uint32_t) touched_keys;
    VEC(uint64_t *) key_cursors; /* per part key: where its next value goes */
    VEC(uint64_t) key_masks;     /* per part key: all ones if its values are strings */
    VEC(uint32_t) shape_rows;    /* per part shape, zero between uses */
    VEC(uint32_t) touched_shapes;
    VEC(uint32_t) batches; /* that the rows of the set being written are of */
    VEC(struct row_ref) children;
    uint32_t runs; /* of the trace ids of the group: 0 = no trace ids */
    uint32_t *run_rows;
};

err part_writer_init(struct part_writer *w, const char *path, enum signal signal, uint64_t id, uint64_t memory_bytes);
/* Limits that follow from the memory: of rows as they are in batches, by the mean; of events and links of a group of more than
 * one row; of strings in the part's dictionary, beyond which they stay in their groups. */
static inline uint64_t writer_group_bytes(const struct part_writer *w) { return MIN(w->memory_bytes / 8, 16 * MIB); }
static inline uint64_t writer_group_children(const struct part_writer *w) { return w->memory_bytes / 512; }
static inline uint64_t writer_dictionary_bytes(const struct part_writer *w) { return w->memory_bytes / 4; }
static inline uint64_t writer_dictionary_strings(const struct part_writer *w) { return w->memory_bytes / 128; }
void part_writer_done(struct part_writer *w); /* closes; removes the file unless finished */
/* Makes room in the scratch arrays for n values. */
void part_writer_room(struct part_writer *w, uint32_t n);
void part_writer_sources(struct part_writer *w, const struct batch *batches, size_t count);
void part_writer_sources_done(struct part_writer *w);
err part_writer_add_group(struct part_writer *w, const struct row_ref *rows, uint32_t n);
err part_writer_flush_group(struct part_writer *w, struct part_group *g, uint32_t first_block);
err part_writer_finish(struct part_writer *w, struct part_info *out);
/* All rows that the filters leave, ordered and cut into groups. ERR_NOT_FOUND: none. */
err part_writer_add_batches(struct part_writer *w, const struct batch *batches, size_t count, int64_t time_min,
                            int64_t time_max, const struct row_filter *drop);

/* part_order.c */
typedef VEC(struct row_ref) row_refs;
void part_order_rows(const struct batch *batches, size_t count, int64_t time_min, int64_t time_max,
                     const struct row_filter *drop, row_refs *out);

/* part_dictionary.c */
uint32_t part_string_code(struct part_writer *w, struct part_source *s, uint32_t id);
uint32_t part_key_code(struct part_writer *w, struct part_source *s, uint32_t key);
uint32_t part_key_intern(struct part_writer *w, struct str name, enum value_type type);
uint32_t part_shape_code(struct part_writer *w, struct part_source *s, uint32_t shape);
uint32_t part_shape_intern(struct part_writer *w, const uint32_t *keys, uint32_t n);
/* The code of a resource or scope, by content. */
uint32_t part_entity_code(struct part_writer *w, struct part_source *s, enum set set, uint32_t row);
/* A row that says nothing but its resource and scope, as a batch of its own. Points into itself: do not copy. */
struct bare_row {
    struct batch b;
    uint32_t resource, scope;
};
void bare_row_init(struct bare_row *row, const struct batch *from);
/* Adds a resource and a scope of a batch to a builder, unless it has equal ones, and tells their rows there. */
void part_copy_entities(struct batch_builder *to, const struct batch *from, struct batch_copy_cache *cache,
                        uint32_t resource, uint32_t scope, uint32_t *out_resource, uint32_t *out_scope);
err part_write_sections(struct part_writer *w, struct part_footer *footer);

/* part_columns.c: each appends a block's bytes to `out` and returns its encoding; 0: all zero, no block needed. */
uint8_t encode_numbers(struct part_writer *w, const uint64_t *v, uint32_t n, struct buf *out);
uint8_t encode_strings(struct part_writer *w, struct column_memory *memory, const uint64_t *refs, uint32_t n,
                       bool is_text, struct buf *out);
void put_code_list(struct part_writer *w, const uint32_t *list, uint32_t count, struct buf *out);
static inline void part_index_id(struct part_writer *w, struct str id) {
    if (id.n) *vec_push(&w->traces) = (struct hash_index_entry){hash_bytes(id.p, id.n), (uint32_t)w->groups.n};
}
/* Texts into the index, each distinct one once: the numbered ones of the last column, or (else) those that differ from the one before. */
void part_index_ids(struct part_writer *w, const uint64_t *refs, uint32_t n, bool numbered);
/* Replaces codes of a part-wide dictionary by local ones + list: shapes, resources, scopes. */
uint8_t encode_part_codes(struct part_writer *w, uint32_t *codes, uint32_t n, uint32_t dictionary_count,
                          struct buf *out);
uint8_t encode_ids(struct part_writer *w, const unsigned char *ids, uint32_t n, bool are_traces, struct buf *out);
uint8_t encode_raw8(const uint64_t *v, uint32_t n, struct buf *out);
uint8_t encode_run_times(struct part_writer *w, const uint64_t *v, uint32_t n, struct buf *out);
uint8_t encode_parents(struct part_writer *w, const uint64_t *parents, const uint64_t *spans, uint32_t n,
                       struct buf *out);
void put_u32(struct buf *out, uint32_t v);
void put_rest_bytes(struct part_writer *w, struct buf *out, struct str raw); /* raw size, zstd frame */
void put_zstd(struct part_writer *w, struct buf *out, struct str raw, int level);

/* part_group.c */
void part_add_block(struct part_writer *w, enum set set, uint8_t field, uint32_t key, uint8_t encoding, uint32_t count,
                    size_t start);
/* part_attributes.c: brings the values of the rows' attributes together by key; then writes a block a key. */
bool part_gather_attributes(struct part_writer *w, enum set set, const struct row_ref *rows, uint32_t n);
void encode_attributes(struct part_writer *w, enum set set, const struct row_ref *rows, uint32_t n);
/* The key, among those that are gathered, of the attribute that `ids` are: of each row its text, empty where a row has none. False: there is none such. */
bool part_key_of_ids(struct part_writer *w, const struct row_ref *rows, const uint64_t *ids, uint32_t n,
                     uint32_t *out_key);
