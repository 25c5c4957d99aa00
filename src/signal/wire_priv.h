/* Reading protobuf's wire format, hostile bytes included: tags, varints, lengths, skipping.
 *
 * A reader {p, end} never passes its end; a function that returns false leaves p at the offending byte, which is the offset
 * that errors name. Refused: varints over 10 bytes or 64 bits, field number 0, groups (wire types 3 and 4), lengths past
 * the end. Source: protobuf encoding guide, "Protocol Buffers Wire Format".
 */
#pragma once

#include "base/base.h"

struct wire {
    const unsigned char *p, *end;
};

/* For what only pays when the reader stays in registers; clang would not inline it by itself. */
#define HOT_INLINE static inline __attribute__((always_inline))

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };
/* A tag as it stands in the bytes: field number and type in one, so that a switch over tags checks both. */
#define WIRE_TAG(field, type) ((uint32_t)(field) << 3 | (type))

static inline struct wire wire_of(struct str s) {
    const unsigned char *p = (const unsigned char *)s.p;
    return (struct wire){p, p ? p + s.n : p};
}
static inline size_t wire_left(const struct wire *w) { return (size_t)(w->end - w->p); }
static inline struct str wire_str(const struct wire *w) { return str_span(w->p, wire_left(w)); }

static inline bool wire_varint_long(struct wire *w, uint64_t *out) {
    uint64_t v = 0;
    const unsigned char *p = w->p;
    for (unsigned shift = 0; shift < 70 && p < w->end; shift += 7) {
        unsigned char c = *p++;
        if (shift == 63 && c > 1) return false;
        v |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            w->p = p;
            *out = v;
            return true;
        }
    }
    return false;
}

HOT_INLINE bool wire_varint(struct wire *w, uint64_t *out) {
    if (__builtin_expect(w->end - w->p >= 2, 1)) {
        unsigned a = w->p[0], b = w->p[1];
        if (a < 0x80) {
            *out = a;
            w->p += 1;
            return true;
        }
        if (b < 0x80) {
            *out = (a & 0x7f) | b << 7;
            w->p += 2;
            return true;
        }
    }
    return wire_varint_long(w, out);
}

HOT_INLINE bool wire_tag(struct wire *w, uint32_t *out) {
    const unsigned char *start = w->p;
    uint64_t v;
    if (wire_varint(w, &v) && v <= UINT32_MAX && v >= 8) {
        *out = (uint32_t)v;
        return true;
    }
    w->p = start;
    return false;
}

/* A length and that many bytes, which become the reader *out. */
HOT_INLINE bool wire_bytes(struct wire *w, struct wire *out) {
    const unsigned char *start = w->p;
    uint64_t n;
    if (wire_varint(w, &n) && n <= wire_left(w)) {
        *out = (struct wire){w->p, w->p + n};
        w->p += n;
        return true;
    }
    w->p = start;
    return false;
}

HOT_INLINE bool wire_fixed64(struct wire *w, uint64_t *out) {
    if (wire_left(w) < 8) return false;
    memcpy(out, w->p, 8);
    w->p += 8;
    return true;
}

HOT_INLINE bool wire_fixed32(struct wire *w, uint32_t *out) {
    if (wire_left(w) < 4) return false;
    memcpy(out, w->p, 4);
    w->p += 4;
    return true;
}

/* Passes the value that follows `tag`, whatever field it is. */
static inline bool wire_skip(struct wire *w, uint32_t tag) {
    uint64_t number;
    uint32_t word;
    struct wire bytes;
    switch (tag & 7) {
    case WIRE_VARINT: return wire_varint(w, &number);
    case WIRE_FIXED64: return wire_fixed64(w, &number);
    case WIRE_BYTES: return wire_bytes(w, &bytes);
    case WIRE_FIXED32: return wire_fixed32(w, &word);
    default: return false;
    }
}
