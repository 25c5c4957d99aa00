/* What a scan asks and gets: predicates, wanted columns, chunks of matching rows. Shared by every implementation of the
 * door (parts, memory tables, the naive model), so that they cannot disagree about what matches.
 *
 *   request: time range + predicates (all must hold) + columns ──▶ chunk, chunk, …  (one a row group, newest group first or oldest)
 *
 * Matching, precisely:
 *  - A target that a row does not have never matches, but for OP_NOT_EQUAL, OP_NOT_MATCH (an absent value differs from any)
 *    and OP_ABSENT.
 *  - An attribute may stand several times or under several types: one value that matches is enough for the positive
 *    operators; for the negative ones no value may match.
 *  - OP_EQUAL compares with the value's text: a string by its bytes; int, double and bool where the predicate's text parses
 *    as that type and the values are equal; bytes and nested values by their display text (value_write_text).
 *  - OP_LESS … compare numbers if the predicate's text is a number and the value int or double (int exactly); strings
 *    compare by bytes if the predicate's text is not a number. Anything else does not match.
 *  - OP_MATCH finds the regular expression anywhere in the value's text (PCRE2 limited to RE2's syntax; UTF-8 not required).
 *  - OP_ENDS: the value's text, a string's or an id's, ends with the text: ids that are made of the end of a trace id.
 *  - OP_WORDS: every term of the text must be found. A word is a run of [A-Za-z0-9_] and bytes ≥ 0x80, compared without
 *    ASCII case. Terms: `word` (an equal word), `begin*` (a word that begins so), `"a phrase"` (these bytes anywhere, ASCII
 *    case folded). Other punctuation outside quotes separates words: `GET /a-b` asks for get, a and b. Different terms may
 *    be found in different texts of the row.
 *
 * Owner: the caller owns requests; chunks and what they point to live until the callback returns.
 */
#pragma once

#include "base/arena.h"
#include "signal/batch.h"

enum target {
    TARGET_FIELD,     /* a field of SET_ROWS */
    TARGET_ATTRIBUTE, /* an attribute of the row itself */
    TARGET_RESOURCE,  /* an attribute of its resource */
    TARGET_SCOPE,     /* an attribute of its scope; key "name" and "version" are the scope's fields */
    TARGET_ANY,       /* of the row, or, if the row has no attribute of that name, of its resource */
    TARGET_EVENT,     /* an attribute of one of its events; key "name" is the event's name */
    TARGET_TEXT,      /* OP_WORDS only. spans: name, status message, string attributes, event names and string event
                         attributes; logs: body (text, or JSON text of other types) and string attributes */
};

enum operator {
    OP_EQUAL, OP_NOT_EQUAL, OP_LESS, OP_LESS_EQUAL, OP_GREATER, OP_GREATER_EQUAL,
    OP_MATCH, OP_NOT_MATCH, OP_EXISTS, OP_ABSENT, OP_WORDS, OP_ENDS
};

/* One column: where it is. Ids as fields compare as lower-case hex text; FIELD_KIND, FIELD_STATUS and FIELD_SEVERITY as numbers. */
struct column_ref {
    enum target target;
    enum field field; /* TARGET_FIELD */
    struct str key;   /* the others */
};

struct predicate {
    struct column_ref column;
    enum operator op;
    struct str text;        /* the value as written; borrowed from the arena */
    bool is_int, is_number, is_bool;
    int64_t integer;        /* is_int */
    double number;          /* is_number */
    bool boolean;           /* is_bool: text is true or false */
    struct regex *regex;    /* OP_MATCH, OP_NOT_MATCH */
    struct words *words;    /* OP_WORDS */
};

/* Fills a predicate: parses numbers, compiles the expression or the words. ERR_INVALID with the position in `text`.
 * Limits: text 4 KiB, 32 terms, regular expressions by pcre2's match and depth limits. All memory is the arena's but the
 * compiled expression: end with predicate_done. */
err predicate_make(struct arena *a, struct column_ref column, enum operator op, struct str text, struct predicate *out);
void predicate_done(struct predicate *p);
void predicate_set_deadline(struct predicate *p, int64_t deadline_ns); /* monotonic: no match of an expression goes on after it */
bool predicate_is_negative(const struct predicate *p); /* OP_NOT_EQUAL, OP_NOT_MATCH, OP_ABSENT */
bool predicate_gave_up(const struct predicate *p);     /* a text went over the limits of matching and counted as none */

/* One value against one predicate, as above; the negative operators are asked in their positive form (the caller negates). */
bool predicate_matches_text(const struct predicate *p, struct str value); /* a string value */
bool predicate_matches_number(const struct predicate *p, int64_t value);
bool predicate_matches_value(const struct predicate *p, const struct batch *b, enum value_type type, uint64_t value);
/* The whole row, by definition: the reference that everything faster must equal. */
bool predicate_matches_row(const struct predicate *p, const struct batch *b, uint32_t row);
/* Words of a text: bit t of the result is set if term t is found in it. */
uint32_t words_find(const struct words *w, struct str text);
uint32_t words_count(const struct words *w); /* terms, 1..32 */

/* A value per selected row of a chunk. */
enum vector_type {
    VECTOR_U64,  /* numbers and ids of 8 bytes: u64[i] */
    VECTOR_ID16, /* id16 + 16 × i */
    VECTOR_TEXT, /* texts[codes[i]]; CODE_ABSENT where the row has no such value; equal texts may have two codes */
};
enum { CODE_ABSENT = UINT32_MAX };
struct vector {
    enum vector_type type;
    const uint64_t *u64;
    const unsigned char *id16;
    const uint32_t *codes;
    const struct str *texts;
    uint32_t text_count;
};

/* Where a row is, within one snapshot. */
struct row_place {
    uint32_t source; /* part or memory batch of the snapshot */
    uint32_t group;  /* row group of the part; 0 for a batch */
    uint32_t row;    /* within the group */
};

struct chunk {
    uint32_t source, group;
    uint32_t n;                    /* rows that match */
    const uint32_t *rows;          /* their numbers within the group, ascending; NULL in a count-only scan */
    const struct vector *columns;  /* one per wanted column, n values each */
    int64_t rest_time_max;         /* newest first: no row of any later chunk is newer; INT64_MIN in the last */
    int64_t rest_time_min;         /* oldest first: none is older; INT64_MAX in the last */
};

enum scan_next { SCAN_GO_ON, SCAN_STOP };
typedef enum scan_next (*chunk_fn)(void *context, const struct chunk *chunk);

/* A key of attributes, of one type, and how many values of it a set has. */
struct key_seen {
    enum set set;
    struct str name;
    enum value_type type;
    uint64_t values; /* of resources and scopes: how many of them have it */
};
typedef enum scan_next (*key_fn)(void *context, const struct key_seen *key);

struct scan_request {
    int64_t time_min, time_max; /* of FIELD_TIME, both included, ns */
    const struct predicate *predicates;
    size_t predicate_count;
    const struct column_ref *columns; /* wanted in chunks; TARGET_TEXT and TARGET_EVENT cannot be wanted */
    size_t column_count;
    bool count_only;       /* chunks have n alone: rows may be counted without being looked at */
    bool oldest_first;     /* groups in order of their oldest row, oldest first */
    int64_t deadline_ns;   /* monotonic; 0: none → ERR_CANCELLED */
    bool (*is_cancelled)(const void *context); /* asked before each group; NULL: never → ERR_CANCELLED */
    const void *cancel_context;
};

struct scan_stats {
    uint64_t groups, groups_pruned, rows_scanned, rows_matched, bytes_read;
    uint64_t bad_blocks;   /* > 0: the answer is partial */
    char bad_text[160];    /* names the first */
};
