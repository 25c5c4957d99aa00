/* The terms of a words predicate (OP_WORDS in store/scan.h), for those who answer it without reading every text. */
#pragma once

#include "store/scan.h"

enum { WORDS_TERMS_MAX = 32 };

enum word_kind {
    WORD_WHOLE,  /* an equal word */
    WORD_PREFIX, /* a word that begins so */
    WORD_PHRASE, /* these bytes anywhere */
};

struct word_term {
    enum word_kind kind;
    struct str text; /* ASCII letters folded to lower case */
    bool has_digit;
};

struct words {
    uint32_t n;
    struct word_term terms[WORDS_TERMS_MAX];
};

/* Parses a search text; ERR_INVALID (no term, unclosed quote) or ERR_LIMIT (terms). Memory is the arena's. */
err words_parse(struct arena *a, struct str text, struct words **out);
static inline unsigned char word_fold(unsigned char c) { return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c; }
bool word_equals(const struct word_term *t, struct str word);     /* WHOLE and PREFIX against one word of a text */

/* Finds folded bytes in time that grows with the text alone, whatever the bytes (Knuth, Morris and Pratt 1977). Slower than looking
 * for a first and a last byte, so it is for texts where that was tried too often in vain. */
enum { WORD_BYTES_MAX = 4096 };
struct word_finder {
    struct str folded;
    uint16_t back[WORD_BYTES_MAX]; /* how many bytes of the beginning still fit when the one behind [i] does not */
};
void word_finder_init(struct word_finder *f, struct str folded);
size_t word_finder_next(const struct word_finder *f, struct str text, size_t from); /* text.n: nowhere */

bool word_phrase_in(const struct word_term *t, struct str text);  /* PHRASE against a whole text */
