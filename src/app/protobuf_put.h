/* Writing protobuf fields into a buffer: what the load generator needs of it. A sub-message is begun, filled and ended; its
 * length is put before it when it ends. Source: protobuf encoding guide. */
#pragma once

#include "base/base.h"

static inline size_t make_varint(unsigned char out[10], uint64_t v) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) out[n++] = (unsigned char)(v | 0x80);
    out[n++] = (unsigned char)v;
    return n;
}
static inline void put_varint(struct buf *b, uint64_t v) {
    unsigned char bytes[10];
    buf_add(b, bytes, make_varint(bytes, v));
}
static inline void put_bytes_field(struct buf *b, uint32_t field, const void *p, size_t n) {
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    buf_add(b, p, n);
}
static inline void put_text_field(struct buf *b, uint32_t field, struct str s) { put_bytes_field(b, field, s.p, s.n); }
static inline void put_varint_field(struct buf *b, uint32_t field, uint64_t v) {
    put_varint(b, field << 3);
    put_varint(b, v);
}
static inline void put_fixed64_field(struct buf *b, uint32_t field, uint64_t v) {
    put_varint(b, field << 3 | 1);
    buf_add(b, &v, 8);
}
static inline void put_fixed32_field(struct buf *b, uint32_t field, uint32_t v) {
    put_varint(b, field << 3 | 5);
    buf_add(b, &v, 4);
}
/* begin gives where the content starts; end puts the length there. */
static inline size_t put_begin(struct buf *b, uint32_t field) {
    put_varint(b, field << 3 | 2);
    return b->n;
}
static inline void put_end(struct buf *b, size_t start) {
    unsigned char length[10];
    size_t n = b->n - start, length_size = make_varint(length, n);
    if (!buf_reserve(b, length_size)) return;
    memmove(b->p + start + length_size, b->p + start, n);
    memcpy(b->p + start, length, length_size);
    b->n += length_size;
}
static inline void put_text_attribute(struct buf *b, uint32_t field, struct str key, struct str value) {
    size_t attribute = put_begin(b, field);
    put_text_field(b, 1, key);
    size_t any = put_begin(b, 2);
    put_text_field(b, 1, value);
    put_end(b, any);
    put_end(b, attribute);
}
static inline void put_int_attribute(struct buf *b, uint32_t field, struct str key, int64_t value) {
    size_t attribute = put_begin(b, field);
    put_text_field(b, 1, key);
    size_t any = put_begin(b, 2);
    put_varint_field(b, 3, (uint64_t)value);
    put_end(b, any);
    put_end(b, attribute);
}
