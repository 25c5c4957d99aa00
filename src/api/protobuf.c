#include "api/protobuf_priv.h"

enum { FIELD_MAX = (1 << 29) - 1 };

static bool take_varint(struct str *in, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; in->n && shift < 64; shift += 7) {
        uint8_t c = (uint8_t)in->p[0];
        *in = (struct str){in->p + 1, in->n - 1};
        *out |= (uint64_t)(c & 127) << shift;
        if (c < 128) return true;
    }
    return false;
}

bool protobuf_next(struct str *in, struct protobuf_field *out) {
    uint64_t tag, n = 0;
    if (!take_varint(in, &tag) || tag >> 3 == 0 || tag >> 3 > FIELD_MAX) return false;
    *out = (struct protobuf_field){.number = (uint32_t)(tag >> 3), .has_bytes = (tag & 7) == 2};
    switch (tag & 7) {
    case 0: return take_varint(in, &out->value);
    case 1: n = 8; break;
    case 2:
        if (!take_varint(in, &n)) return false;
        break;
    case 5: n = 4; break;
    default: return false;
    }
    if (n > in->n) return false;
    out->bytes = (struct str){in->p, (size_t)n};
    *in = (struct str){in->p + n, in->n - (size_t)n};
    return true;
}

static void put_varint(struct buf *out, uint64_t v) {
    for (; v > 127; v >>= 7) buf_add_byte(out, (char)(v | 128));
    buf_add_byte(out, (char)v);
}

void protobuf_put_number(struct buf *out, uint32_t field, uint64_t v) {
    put_varint(out, field << 3);
    put_varint(out, v);
}

void protobuf_put_packed_signed(struct buf *out, int64_t v) { put_varint(out, (uint64_t)v << 1 ^ (uint64_t)(v >> 63)); }

void protobuf_put_signed(struct buf *out, uint32_t field, int64_t v) {
    put_varint(out, field << 3);
    protobuf_put_packed_signed(out, v);
}

void protobuf_put_double(struct buf *out, uint32_t field, double v) {
    put_varint(out, field << 3 | 1);
    buf_add(out, (const char *)&v, sizeof v);
}

void protobuf_put_bytes(struct buf *out, uint32_t field, struct str bytes) {
    put_varint(out, field << 3 | 2);
    put_varint(out, bytes.n);
    buf_add_str(out, bytes);
}
