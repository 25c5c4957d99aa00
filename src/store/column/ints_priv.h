/* Columns of numbers as bytes: frames of 128 values, bit-packed, any row reached without reading those before it.
 *
 *   ints   uint64 values (signed ones as two's complement): constant, frames of reference, delta frames, or a dictionary of at
 *          most 256 values, whichever is smallest for the column
 *   codes  uint32 values packed at one width for the whole column: scanned in place
 *
 *   ints:  kind and minimum │ widths, 1 byte a frame │ bases, packed │ steps, packed (delta) │ packed bits
 *   codes: width, 1 byte │ packed bits
 *
 * Bytes: docs/formats/columns.md. There is no padding: readers never load behind the last byte.
 * Limits: n below 2^32; nothing is allocated. A row beyond n is a caller's mistake and not checked.
 * Errors: *_open checks everything against the size given and returns ERR_CORRUPT; decoding after that cannot fail. But codes
 * are not compared with the dictionary they point into: call codes_are_below once before using codes from a file as indexes.
 * Threads: pure functions. Source: Lemire & Boytsov, "Decoding billions of integers per second through vectorization" (2015).
 */
#pragma once

#include "base/base.h"

enum { FRAME_ROWS = 128 };

enum ints_kind { INTS_CONSTANT, INTS_FRAMES, INTS_DELTA, INTS_DICTIONARY, INTS_KINDS };

struct ints {
    uint8_t kind;                    /* enum ints_kind */
    uint8_t base_width, step_width;  /* bits of a frame's base and of its smallest step (delta) */
    uint8_t value_bytes, code_width; /* dictionary */
    uint32_t n, count;               /* rows; dictionary values */
    const unsigned char *widths, *bases, *steps, *packed, *end; /* bases: or the dictionary */
    uint64_t minimum, step_minimum; /* minimum: of the bases, of the dictionary; or the constant */
    uint32_t bytes;                 /* that the column takes of those given */
};

void ints_encode(const uint64_t *v, uint32_t n, struct buf *out);
err ints_open(struct str bytes, uint32_t n, struct ints *out); /* bytes may be longer; out->bytes says what was used */
void ints_decode(const struct ints *c, uint32_t first, uint32_t count, uint64_t *out);
uint64_t ints_get(const struct ints *c, uint32_t i);
/* Rows whose value is `value`, ascending; returns how many. out has room for n. */
uint32_t ints_find(const struct ints *c, uint64_t value, uint32_t *out);
/* All values are below the limit, unsigned. Frames whose bounds tell are not unpacked. */
bool ints_are_below(const struct ints *c, uint64_t limit);
/* Bounds, as int64, of the values of a frame, without unpacking it: not always tight. False: the kind knows none. */
bool ints_frame_range(const struct ints *c, uint32_t frame, int64_t *out_min, int64_t *out_max);

struct codes {
    uint32_t n;
    uint8_t width; /* bits, 0..32 */
    const unsigned char *packed;
    uint32_t bytes;
};
void codes_encode(const uint32_t *v, uint32_t n, struct buf *out);
err codes_open(struct str bytes, uint32_t n, struct codes *out);
void codes_decode(const struct codes *c, uint32_t first, uint32_t count, uint32_t *out);
uint32_t codes_get(const struct codes *c, uint32_t i);
/* Whether every code is < limit: once for codes from a file, before they index a table of `limit` rows. */
bool codes_are_below(const struct codes *c, uint32_t limit);
/* Row numbers whose code c has bit c of `wanted` set, ascending; returns how many. out has room for n. wanted has a bit for
 * every value of the width (codes_wanted_words of them), so that no code can point behind it. */
uint32_t codes_select(const struct codes *c, const uint64_t *wanted, uint32_t *out);
uint32_t codes_count(const struct codes *c, const uint64_t *wanted);
uint32_t codes_select_plain(const struct codes *c, const uint64_t *wanted, uint32_t *out); /* without SIMD, for tests */
bool codes_only_wanted(const uint64_t *wanted, size_t words, uint32_t *out); /* whether it is one code, and which */
static inline size_t codes_wanted_words(const struct codes *c) {
    return c->width <= 6 ? 1 : (size_t)1 << (c->width - 6);
}
