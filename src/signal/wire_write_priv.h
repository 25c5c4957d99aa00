/* Writing protobuf's wire format in one pass: a message is written in place behind one byte for its size; one that turns out longer than
 * 127 bytes is moved up to make room, which costs less than computing sizes first. */
#pragma once

#include "signal/wire_priv.h"

static inline size_t varint_bytes(uint64_t v, char out[10]) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) out[n++] = (char)(v | 0x80);
    out[n++] = (char)v;
    return n;
}

static inline void put_varint(struct buf *out, uint64_t v) {
    char bytes[10];
    buf_add(out, bytes, varint_bytes(v, bytes));
}

static inline void put_tag(struct buf *out, uint32_t field, enum wire_type type) {
    put_varint(out, WIRE_TAG(field, type));
}

static inline void put_bytes_always(struct buf *out, uint32_t field, struct str bytes) {
    put_tag(out, field, WIRE_BYTES);
    put_varint(out, bytes.n);
    buf_add_str(out, bytes);
}

static inline void put_bytes(struct buf *out, uint32_t field, struct str bytes) {
    if (bytes.n) put_bytes_always(out, field, bytes);
}

static inline void put_number(struct buf *out, uint32_t field, uint64_t v) {
    if (!v) return;
    put_tag(out, field, WIRE_VARINT);
    put_varint(out, v);
}

static inline void put_fixed64_always(struct buf *out, uint32_t field, uint64_t v) {
    put_tag(out, field, WIRE_FIXED64);
    buf_add(out, &v, 8);
}

static inline void put_fixed64(struct buf *out, uint32_t field, uint64_t v) {
    if (v) put_fixed64_always(out, field, v);
}

static inline void put_fixed32(struct buf *out, uint32_t field, uint32_t v) {
    if (!v) return;
    put_tag(out, field, WIRE_FIXED32);
    buf_add(out, &v, 4);
}

/* Begins a message; returns where its content starts. */
static inline size_t open_message(struct buf *out, uint32_t field) {
    put_tag(out, field, WIRE_BYTES);
    buf_add_byte(out, 0);
    return out->n;
}

static inline void close_message(struct buf *out, size_t start) {
    char size[10];
    if (out->full) return;
    size_t n = out->n - start, size_n = varint_bytes(n, size);
    if (!buf_reserve(out, size_n - 1)) return;
    if (size_n > 1) memmove(out->p + start + size_n - 1, out->p + start, n);
    memcpy(out->p + start - 1, size, size_n);
    out->n += size_n - 1;
    out->p[out->n] = 0;
}

/* Takes back a message in which nothing was written. */
static inline void close_message_if_any(struct buf *out, size_t start, size_t before) {
    if (out->full) return;
    if (out->n != start) {
        close_message(out, start);
        return;
    }
    out->n = before;
    out->p[before] = 0;
}
