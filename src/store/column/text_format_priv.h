/* What the rooms of text columns share: the split, slot columns, and their numbers. Bytes: docs/formats/columns.md.
 *
 *   text_split.c   text → skeleton + tokens          text_slot.c   one slot's tokens ⇄ bytes
 *   text_encode.c  texts → block                     text_read.c     block → texts
 *   text_words.c   which texts have a word
 *
 * Invariants: (1) a token is a maximal run of word characters with a digit in it; skeletons hold no digit; so a word of a
 * text stands whole in the skeleton or whole in a slot. (2) A text with a zero byte is never split, so a zero byte in a
 * skeleton is a slot. (3) Row i's value stands in its skeleton's slot columns at the number of earlier rows of the same
 * skeleton.
 */
#pragma once

#include "base/map.h"
#include "store/column/ints_priv.h"
#include "store/match/words_priv.h"

enum {
    TEXT_FORMAT = 1,
    TEXT_SLOTS_MAX = 64, /* of a skeleton */
    TEXT_SKELETON_BYTES_MAX = 4096,
    TEXT_TOKEN_BYTES_MAX = 128,
    TEXT_SKELETONS_MAX = 4096,   /* of a group */
    TEXT_ROWS_MIN = 4,           /* a skeleton with fewer rows in the group goes to the fallback */
    TEXT_PAGE_BYTES = 64 * 1024, /* a fallback page is full from here on */
    TEXT_BYTES_MAX = 16 * 1024 * 1024,
};

/* ---- split ------------------------------------------------------------------------------------------------------ */

struct text_split {
    char skeleton[TEXT_SKELETON_BYTES_MAX + 32]; /* the copier writes 16 bytes at a time */
    uint32_t skeleton_size;
    uint32_t tokens;
    struct str token[TEXT_SLOTS_MAX]; /* in the text */
};
/* False: the text is not to be split (a zero byte, or a limit passed). */
bool text_split(struct str text, struct text_split *out);

/* ---- slot columns ----------------------------------------------------------------------------------------------- */

enum slot_kind {
    SLOT_NUMBER,     /* ints, as decimal or hex digits */
    SLOT_HEX,        /* hex digits of one width over 16, two a byte */
    SLOT_STRINGS,    /* lengths and bytes, zstd if smaller */
    SLOT_DICTIONARY, /* a nested column of distinct tokens, and codes */
    SLOT_KINDS
};
enum slot_radix { RADIX_DECIMAL, RADIX_HEX_LOWER, RADIX_HEX_UPPER, RADIXES };
enum slot_width {
    WIDTH_CANONICAL, /* no leading zeros */
    WIDTH_FIXED,     /* all tokens have as many digits */
    WIDTH_COLUMN,    /* a column of digit counts */
    WIDTHS
};
/* First byte of a column. */
enum { HEAD_RADIX_SHIFT = 2, HEAD_WIDTH_SHIFT = 4, HEAD_AFFIX = 64 };
enum {
    DECIMAL_DIGITS_MAX = 19,
    HEX_DIGITS_MAX = 16,
    SLOT_TOKEN_BYTES_MAX = 3 * TEXT_TOKEN_BYTES_MAX + 32, /* a token of a bad file: prefix, digits, suffix */
};

struct slot_encoder;
struct slot_encoder *slot_encoder_new(void);
void slot_encoder_free(struct slot_encoder *e);
/* n ≥ 1 tokens, each of 1..TEXT_TOKEN_BYTES_MAX bytes. */
void slot_encode(struct slot_encoder *e, const struct str *tokens, uint32_t n, struct buf *out);
/* Level 1. Appends nothing and returns false if that would not be smaller. */
struct ZSTD_CCtx_s;
bool text_compress(struct ZSTD_CCtx_s *zstd, struct str raw, struct buf *out);

struct slot {
    uint8_t kind, radix, width_mode, fixed_width;
    uint32_t n, count;           /* tokens; dictionary entries */
    uint32_t longest;            /* no token has more bytes */
    struct str prefix, suffix;   /* around the digits of each token */
    struct ints values, widths;  /* NUMBER */
    const unsigned char *packed; /* HEX */
    struct codes codes;          /* DICTIONARY */
    const uint32_t *end;         /* STRINGS, DICTIONARY: where each (distinct) token ends in heap */
    const char *heap;
    uint32_t bytes; /* that the column takes of those given */
};
err slot_open(struct arena *a, struct str bytes, uint32_t n, struct slot *out);
/* Token i (i < n), of at most `longest` bytes; returns its size. */
uint32_t slot_get(const struct slot *c, uint32_t i, char *out);
/* The same where the caller has unpacked the value of a NUMBER already. */
uint32_t slot_put_number(const struct slot *c, uint32_t i, uint64_t value, char *out);
/* Tokens that equal (WHOLE) or begin with (PREFIX) the term, ascending; out has room for n. */
uint32_t slot_find(const struct slot *c, const struct word_term *t, uint32_t *out);

/* ---- texts in one heap ------------------------------------------------------------------------------------------ */

/* found[i] |= the terms (of those in `terms`) that text i of the heap has; end[i] is where it ends. */
void texts_find_words(const struct words *w, uint32_t terms, const char *heap, const uint32_t *end, uint32_t n,
                      uint32_t *found);
