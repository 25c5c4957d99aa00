/* What the parts of base/text share: a refusal that quotes, digits, room in a buffer, one step of UTF-8.
 * No part of the door; only text.c, time_text.c, utf8.c, json_read.c, json_write.c and log.c include it. */
#pragma once

#include "base/base.h"

/* ERR_INVALID `not <what>: "<s, at most 64 bytes, safe for a terminal>"`. */
err text_invalid(struct str s, const char *what) __attribute__((warn_unused_result, cold));

#define TEXT_DIGITS_OVER SIZE_MAX
/* Reads decimal digits from the start of s; returns how many, or TEXT_DIGITS_OVER when they do not fit 64 bits. */
size_t text_digits(struct str s, uint64_t *out);

/* Room for n bytes at the end of b, or NULL over its maximum; text_used ends what was written there. */
static inline char *text_room(struct buf *b, size_t n) { return buf_reserve(b, n) ? b->p + b->n : NULL; }
static inline void text_used(struct buf *b, char *end) {
    b->n = (size_t)(end - b->p);
    *end = 0;
}

/* One step of UTF-8 at p < end: the bytes of the character, or, negated, of the maximal ill-formed sequence. */
int utf8_step(const unsigned char *p, const unsigned char *end);
/* How many ASCII bytes stand at the start of p[0..n). */
size_t utf8_ascii_run(const char *p, size_t n);
uint32_t utf8_decode(const unsigned char *p, int n); /* of a well-formed character of n bytes */
size_t utf8_encode(uint32_t c, char out[4]);         /* c ≤ U+10FFFF and no surrogate */
