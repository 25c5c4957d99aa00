/* Inside the part scan: what a request's predicates are for one part, and how one is asked of a group.
 *
 *   part_scan.c         order of predicates, pruning, chunks     part_scan_values.c  one column against one predicate
 *   part_scan_words.c   OP_WORDS over all texts of the rows      part_vector.c       wanted columns of matching rows
 *
 * Answers are bitmaps: of rows (bit i: row i), or of a column's values where a key has not one per row.
 */
#pragma once

#include "store/part/part_read_priv.h"
#include "store/part/part_write_priv.h"

/* A predicate and what is known of it for the whole part. */
struct plan {
    const struct predicate *p;
    bool negative;
    int cost;       /* cheap first */
    uint32_t *keys; /* part keys of that name */
    uint32_t key_count;
    uint64_t *entities; /* RESOURCE, SCOPE, ANY: resources or scopes that match, negation not applied */
    bool all_entities, no_entity;
    uint8_t *string_known; /* per part string: STRING_… (made when first needed) */
    bool has_id;           /* the text is an id of id_bytes bytes in hex */
    bool has_end;          /* OP_ENDS with the last 8 bytes of a trace id, in hex */
    unsigned char id[16];
    uint32_t *words_found; /* OP_WORDS, per part string: terms it has (made when first needed) */
    const struct words
        *words; /* OP_WORDS: those asked; OP_EQUAL: the words of the text, which an equal one must have */
    enum { EQUAL_UNKNOWN, EQUAL_HAS_WORDS, EQUAL_HAS_NONE } equal;
    struct text_match text_match; /* of words */
    bool has_text_match;
};

enum { STRING_UNKNOWN, STRING_DIFFERS, STRING_MATCHES };

/* A wanted column and what is known of it for the whole part. */
struct want {
    const struct column_ref *column;
    uint32_t *keys;
    uint32_t key_count;
    struct str *entity_texts; /* per resource or scope; p NULL: absent */
};

struct part_scan {
    struct part *part;
    const struct scan_request *request;
    struct arena *arena;
    struct plan *plans; /* by cost */
    size_t plan_count;
    struct want *wants;
    bool has_groups; /* the index of traces says which groups alone can match */
    uint32_t *groups, group_count;
};

/* Part keys with the name, into memory of the arena. */
err part_keys_named(struct part *p, struct arena *a, struct str name, uint32_t **out_keys, uint32_t *out_count);

/* part_scan_values.c. `out` has bit_words(c->n) zeroed words; sets the bits of the values that match, positively.
 * is_field: a string that is empty does not exist. */
err plan_match_texts(struct part_scan *s, struct plan *plan, struct group_reader *r, const struct column *c,
                     bool is_field, enum value_type type, uint64_t *out);
err plan_match_numbers(struct plan *plan, struct group_reader *r, enum set set, uint8_t field, const struct column *c,
                       enum value_type type, uint64_t *out);
err plan_match_ids(struct plan *plan, struct group_reader *r, enum field field, const struct column *c, uint64_t *out);
/* Bits of a key's values → bits of the rows that have one of them. */
void values_to_rows(const struct group_reader *r, enum set set, const uint32_t *occurrences, const uint64_t *values,
                    uint64_t *out_rows);
/* Rows of the set that have the key at all. */
void rows_with_key(const struct group_reader *r, enum set set, const uint32_t *occurrences, uint64_t *out_rows);
bool bits_are_empty(const uint64_t *bits, uint32_t n);
/* A batch of one string (id 0), for functions that take values of a batch. */
struct one_string {
    struct batch b;
    uint32_t end;
};
const struct batch *one_string(struct one_string *s, struct str text);

/* What the skeletons of the part say about plan->words. */
err plan_open_text_match(struct part_scan *s, struct plan *plan);
/* The terms that some text of a block has or may have. */
uint32_t plan_possible_terms(const struct plan *plan, const struct text_block *t);

/* part_scan_words.c: rows that have all the words. *out_count: if count_only and counters alone tell. */
err plan_match_words(struct part_scan *s, struct plan *plan, struct group_reader *r, const uint64_t *candidates,
                     uint64_t *out);

/* part_vector.c: the columns wanted, of the rows. */
err part_want_open(struct part_scan *s);
err part_fill_vectors(struct part_scan *s, struct group_reader *r, const uint32_t *rows, uint32_t n,
                      const struct vector **out);
