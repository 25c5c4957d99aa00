/* Inside the part reader: what its files share.
 *
 *   part_read.c    file → struct part (header, footer, directory, dictionaries)   part_trace.c   trace id → rows
 *   part_block.c   one block: checksum, and its first touch's full check          part_fetch.c   rows → builder
 *   part_column.c  block → struct column → values                                 part_scan.c    predicates → rows
 *   part_shape.c   which rows have a key, and where its values stand              part_check.c   every block; as text
 *
 * Invariant: whatever a struct column points to was checked when its block was first touched, so that reading values needs no
 * checks: codes are below their counts, counts add up, rows are below n. What two blocks must agree on (attribute values and
 * shapes) is checked where they meet.
 */
#pragma once

#include <stdatomic.h>

#include "os/file.h"
#include "store/column/hash_index_priv.h"
#include "store/column/ints_priv.h"
#include "store/part/part_format_priv.h"
#include "store/part/part_priv.h"
#include "store/column/text_priv.h"

struct part_key {
    uint32_t name; /* string code */
    uint32_t type; /* enum value_type */
};

struct part_strings {
    uint32_t n;
    const uint32_t *end; /* of the file, or of part.ends */
    char *heap;
};

struct part {
    atomic_uint refs;
    atomic_bool doomed;
    char *path;
    bool is_file; /* mapped from path; else bytes of the caller */
    struct str map;
    bool trust_checksums; /* fuzzing: a wrong checksum is no error */
    struct part_info info;
    const struct part_group *groups;
    const struct part_block *blocks;
    uint32_t block_count;
    _Atomic uint64_t *checked; /* a bit per block */
    struct part_strings strings, skeletons;
    const struct part_key *keys;
    uint32_t key_count, shape_count;
    const uint32_t *shape_end; /* shape s: shape_keys[shape_end[s - 1] .. shape_end[s]) */
    const uint32_t *shape_keys;
    char *sections[SECTIONS]; /* what had to be decompressed */
    uint64_t section_bytes[SECTIONS];
    struct budget *budget; /* NULL: not charged */
    uint64_t charged_bytes;
    uint32_t *ends[SECTIONS]; /* of strings and shapes that are compressed */
    uint64_t ends_bytes;
    size_t entities_bytes;
    struct batch entities; /* in place */
    struct hash_index traces;
};

/* As part_open, of bytes that stay the caller's and at their place (8-byte aligned). */
err part_open_bytes(struct str bytes, bool trust_checksums, struct part **out);

static inline struct str part_string(const struct part_strings *s, uint32_t code) {
    uint32_t start = code ? s->end[code - 1] : 0;
    return (struct str){s->heap + start, s->end[code] - start};
}
static inline const uint32_t *part_shape(const struct part *p, uint32_t shape, uint32_t *out_n) {
    uint32_t start = shape ? p->shape_end[shape - 1] : 0;
    *out_n = p->shape_end[shape] - start;
    return p->shape_keys + start;
}

/* ---- one group ---------------------------------------------------------------------------------------------------- */

/* Codes, packed or as ints. */
struct numbers {
    bool packed;
    union {
        struct codes codes;
        struct ints ints;
    };
};

struct texts {
    const struct part_block *block;
    uint32_t n;
    struct text_block *split;
    const struct str *plain; /* where not split */
};

/* An opened column of n values. encoding 0: no block, all values zero. */
struct column {
    uint8_t encoding;
    uint32_t n, count;        /* count: of the list, the ids, the runs, the escapes; ATTRIBUTE: the part key */
    struct numbers numbers;   /* the values, or codes */
    struct ints list;         /* part codes; bases of runs; rows of escapes */
    const unsigned char *raw; /* ids, or 8-byte values */
    const uint32_t *run_end;  /* RUNS: row behind each run (arena) */
    struct texts texts;
    const uint64_t *values; /* REST: numbers; or NULL and texts.plain */
};

struct set_shapes {
    bool is_open;
    uint32_t count;        /* distinct shapes of the set's rows */
    const uint32_t *list;  /* their part codes */
    const uint32_t *codes; /* per row: index into list; NULL: all 0 */
    const uint32_t *rows;  /* per shape: how many rows */
};

/* Values of a set's rare keys, brought together by key: those of key k are values[start[k] .. start[k + 1]). */
struct rest_values {
    bool is_open;
    bool *rare; /* per part key */
    uint32_t *start;
    struct str *values;
};

struct group_reader {
    struct part *part;
    uint32_t group;
    const struct part_group *g;
    const struct part_block *blocks;
    struct arena *arena;
    struct scan_stats *stats;
    struct set_shapes shapes[3];
    struct rest_values rest[3];
    struct column traces, times, spans; /* what other columns lean on, opened when asked */
    bool has_traces, has_times, has_spans;
    const uint32_t *child_rows[3]; /* of events and links: the row each belongs to */
};

void group_reader_init(struct group_reader *r, struct part *p, uint32_t group, struct arena *a,
                       struct scan_stats *stats);
/* Ends a call on a group: a corrupt block is counted and named in the stats and the call succeeds with nothing (7). Other errors
 * are passed on. *out_bad tells. */
err group_reader_end(struct group_reader *r, err e, bool *out_bad);

/* part_block.c */
const struct part_block *group_find_block(const struct group_reader *r, enum set set, uint8_t field, uint32_t key);
/* The block's bytes, checksum and all else checked; ERR_CORRUPT names it. */
err group_check_block(struct group_reader *r, const struct part_block *b, struct str *out);
err part_corrupt(const struct group_reader *r, const struct part_block *b, const char *why)
    __attribute__((warn_unused_result));
err part_unzip(struct arena *a, struct str bytes, uint64_t raw_size, struct str *out);

void part_block_name(const struct part *p, const struct part_block *b,
                     struct buf *out); /* "duration", "http.route (string)" */

extern const char *const part_section_names[SECTIONS];

/* part_column.c */
err column_parse(struct group_reader *r, const struct part_block *b, struct str bytes, struct column *out);
err column_open_block(struct group_reader *r, const struct part_block *b, struct column *out);
err column_open(struct group_reader *r, enum set set, uint8_t field, struct column *out);
err group_open_traces(struct group_reader *r);
err group_open_children(struct group_reader *r, enum set set);
/* Value i as a number: of times, ids of 8 bytes, counts. `set` and `field` say what it is. */
err column_decode(struct group_reader *r, enum set set, uint8_t field, const struct column *c, uint64_t *out);
/* The same for some values only. */
err column_decode_some(struct group_reader *r, enum set set, uint8_t field, const struct column *c,
                       const uint32_t *rows, uint32_t n, uint64_t *out);
uint32_t numbers_get(const struct numbers *c, uint32_t i);
void numbers_decode(const struct numbers *c, uint32_t n, uint32_t *out); /* the first n */
/* Number i of the column is number i & mask of the result for strings: codes[i] into texts. */
const unsigned char *column_id16(const struct column *c, uint32_t i);
static inline uint32_t column_list(const struct column *c, uint32_t i) { return (uint32_t)ints_get(&c->list, i); }
uint32_t *column_list_decode(struct group_reader *r, const struct column *c); /* NULL: arena full */
err text_problem(const struct group_reader *r, const struct texts *t, err e);
err texts_get_some(struct group_reader *r, const struct texts *t, const uint32_t *which, uint32_t n, struct str *out);
err column_entities(struct group_reader *r, const struct column *c, const uint32_t *rows, uint32_t n, uint32_t *out);
/* Texts of some values, ascending or not: out_codes[i] into *out_texts (arena), equal texts mostly under one code. */
err column_texts(struct group_reader *r, const struct column *c, const uint32_t *rows, uint32_t n, uint32_t *out_codes,
                 const struct str **out_texts, uint32_t *out_text_count);

/* part_shape.c */
err group_open_shapes(struct group_reader *r, enum set set);
/* How often each of the set's shapes has the key; false: none has. */
bool shapes_have_key(const struct group_reader *r, enum set set, uint32_t key, uint32_t *out_occurrences);
uint32_t shapes_count_values(const struct group_reader *r, enum set set, const uint32_t *occurrences);
/* The keys that rows of the set have, and how many values each. */
struct key_counts {
    uint32_t *values; /* per part key */
    uint32_t *keys, count;
};
err group_count_keys(struct group_reader *r, enum set set, struct key_counts *out);
/* The row of each value of every key: value j of key k is of rows[start[k] + j]. */
struct key_rows {
    uint32_t *start, *rows;
};
err group_place_keys(struct group_reader *r, enum set set, const struct key_counts *counts, struct key_rows *out);
/* The column of a key that `values` values of the set have, wherever it stands. */
err group_open_key(struct group_reader *r, enum set set, uint32_t key, uint32_t values, struct column *out);

/* The column that has the texts of the rows' correlation ids. *out_values NULL: its value i is row i's; else that of a row is number
 * out_values[row], NO_VALUE where it has none (arena). */
enum { NO_VALUE = UINT32_MAX };
err group_open_ids(struct group_reader *r, struct column *out, const uint32_t **out_values);

#define ARENA_ARRAY(arena, type, count)                                                                                \
    ({                                                                                                                 \
        type *array_ = arena_alloc((arena), sizeof(type) * ((size_t)(count) + 1));                                     \
        if (!array_) return arena_err(arena);                                                                          \
        array_;                                                                                                        \
    })
#define ARENA_ZERO(arena, type, count)                                                                                 \
    ({                                                                                                                 \
        type *array_ = arena_zero((arena), sizeof(type) * ((size_t)(count) + 1));                                      \
        if (!array_) return arena_err(arena);                                                                          \
        array_;                                                                                                        \
    })

static inline bool bit_is_set(const uint64_t *bits, uint32_t i) { return bits[i / 64] >> i % 64 & 1; }
static inline void bit_set(uint64_t *bits, uint32_t i) { bits[i / 64] |= 1ull << i % 64; }
static inline size_t bit_words(uint32_t n) { return ((size_t)n + 63) / 64; }
