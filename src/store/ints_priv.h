/* Columns of numbers as bytes: frames of 128 values, bit-packed, any row reached without reading those before it.
 *
 *   ints   uint64 values (signed ones as two's complement): constant, frame of reference, or delta (zigzag) per column,
 *          whichever is smallest
 *   codes  uint32 values below 2^32 packed at one width for the whole column: scanned in place
 *
 * Layout of ints: header {kind, count}, widths (1 byte a frame), bases (8 bytes a frame, themselves packed), packed bits; the
 * column ends with 8 bytes of padding so that readers may load past the last value.
 * Errors: *_open checks everything against the size given and returns ERR_CORRUPT; decoding after that cannot fail.
 * Threads: pure functions. Source: Lemire & Boytsov, "Decoding billions of integers per second through vectorization" (2015).
 */
#pragma once

#include "base/base.h"

enum { FRAME_ROWS = 128 };

struct ints {
    uint8_t kind;
    uint32_t n;
    const unsigned char *widths, *packed;
    const unsigned char *bases;
    const uint32_t *offsets; /* NULL, or where each frame's bits start (built by ints_open into `a` when given) */
    uint64_t constant, minimum;
    uint32_t bytes;
};

void ints_encode(const uint64_t *v, uint32_t n, struct buf *out);
err ints_open(struct str bytes, uint32_t n, struct ints *out); /* bytes may be longer; out->bytes says what was used */
void ints_decode(const struct ints *c, uint32_t first, uint32_t count, uint64_t *out);
uint64_t ints_get(const struct ints *c, uint32_t i);
/* Smallest and largest value of a frame as int64, without unpacking where the kind allows (else false). */
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
/* Row numbers whose code c has bit c of `wanted` set, ascending; returns how many. out has room for n. */
uint32_t codes_select(const struct codes *c, const uint64_t *wanted, uint32_t *out);
uint32_t codes_count(const struct codes *c, const uint64_t *wanted);
