/* Bits: values packed at one width, the ground that ints, codes and texts stand on.
 *
 *   value i of width w stands in bits [i × w, (i + 1) × w) of the bytes, lowest bit first (little endian)
 *
 * Eight values fill exactly w bytes, so the places and shifts of eight values repeat: unpackers work in eights. With AVX2
 * (asked at run time) four values come from two loads, one byte shuffle and one shift; *_plain is the same without.
 * Limits: widths 0..64. Units: `slack` is how many bytes behind the packed ones must be readable.
 * Threads: pure.
 */
#pragma once

#include "base/base.h"

enum { BITS_SLACK = 16 };

static inline uint8_t bits_width(uint64_t v) { return v ? (uint8_t)(64 - __builtin_clzll(v)) : 0; }
static inline uint64_t bits_mask(unsigned width) { return width >= 64 ? UINT64_MAX : (UINT64_C(1) << width) - 1; }
static inline uint64_t bits_bytes(uint64_t n, unsigned width) { return (n * width + 7) / 8; }
static inline uint64_t zigzag(uint64_t v) { return v << 1 ^ (uint64_t)((int64_t)v >> 63); }
static inline uint64_t unzigzag(uint64_t z) { return z >> 1 ^ (0 - (z & 1)); }

static inline uint64_t load_u64(const unsigned char *p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

/* The value at a bit offset; reads nothing at or behind `end`. */
static inline uint64_t bits_get(const unsigned char *packed, const unsigned char *end, uint64_t bit, unsigned width) {
    if (width == 0) return 0;
    const unsigned char *p = packed + (bit >> 3);
    unsigned shift = (unsigned)bit & 7;
    unsigned char near_end[16] = {0};
    if (__builtin_expect(end - p < 9, 0)) {
        memcpy(near_end, p, (size_t)(end - p));
        p = near_end;
    }
    uint64_t v = load_u64(p) >> shift;
    if (shift + width > 64) v |= (uint64_t)p[8] << (64 - shift);
    return v & bits_mask(width);
}

/* Packs n values (each < 2^width) to out, which has room for bits_bytes(n, width) + 8; the rest of the last byte is 0. */
void bits_pack(const uint64_t *v, uint32_t n, unsigned width, unsigned char *out);
/* The same of `width` bits of each from bit `shift` on. */
void bits_pack_field(const uint64_t *v, uint32_t n, unsigned shift, unsigned width, unsigned char *out);
void bits_pack32(const uint32_t *v, uint32_t n, unsigned width, unsigned char *out);

/* out[i] = base + value i; writes whole eights: room for n rounded up to 8; needs BITS_SLACK. */
void bits_unpack(const unsigned char *p, uint32_t n, unsigned width, uint64_t base, uint64_t *out);
void bits_unpack_plain(const unsigned char *p, uint32_t n, unsigned width, uint64_t base, uint64_t *out);
void bits_unpack32(const unsigned char *p, uint32_t n, unsigned width, uint32_t *out);
void bits_unpack32_plain(const unsigned char *p, uint32_t n, unsigned width, uint32_t *out);

/* A number in few bytes: `head` holds how many (0..8). */
static inline uint8_t bytes_of(uint64_t v) { return (uint8_t)((bits_width(v) + 7) / 8); }
static inline uint64_t load_bytes(const unsigned char *p, unsigned bytes) {
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

/* ---- cursor ----------------------------------------------------------------------------------------------------- */

/* Bytes taken one after the other from a slice; after a failure `bad` is set and everything is 0. */
struct cursor {
    const unsigned char *at, *end;
    bool bad;
};

static inline const unsigned char *cursor_skip(struct cursor *c, uint64_t bytes) {
    const unsigned char *at = c->at;
    if (c->bad || bytes > (uint64_t)(c->end - c->at)) {
        c->bad = true;
        return c->end;
    }
    c->at += bytes;
    return at;
}

static inline uint8_t cursor_byte(struct cursor *c, unsigned max) {
    const unsigned char *at = cursor_skip(c, 1);
    if (c->bad || *at > max) {
        c->bad = true;
        return 0;
    }
    return *at;
}

static inline struct cursor cursor_of(struct str s) {
    return (struct cursor){(const unsigned char *)s.p, (const unsigned char *)s.p + s.n, false};
}
static inline struct str cursor_rest(const struct cursor *c) { return str_span(c->at, (size_t)(c->end - c->at)); }

/* LEB128, at most 5 bytes. */
static inline uint32_t cursor_varint(struct cursor *c) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        uint8_t byte = cursor_byte(c, 255);
        v |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            if (v > UINT32_MAX) c->bad = true;
            return c->bad ? 0 : (uint32_t)v;
        }
    }
    c->bad = true;
    return 0;
}

static inline void put_varint(struct buf *out, uint32_t v) {
    for (; v >= 128; v >>= 7) buf_add_byte(out, (char)(v | 128));
    buf_add_byte(out, (char)v);
}
