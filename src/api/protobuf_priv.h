/* The little of protobuf that gRPC's own services and remote read need, hostile bytes included: fields read one by one, and written. Source: protobuf
 * encoding guide. */
#pragma once

#include "base/base.h"

struct protobuf_field {
    uint32_t number;
    bool has_bytes;   /* of wire type 2 */
    struct str bytes; /* borrowed; of a fixed number its bytes */
    uint64_t value;   /* of wire type 0 */
};
/* The next field of a message, which is cut off `in`; in->n must not be 0. False: no protobuf (also groups, and numbers that are none). */
bool protobuf_next(struct str *in, struct protobuf_field *out);

void protobuf_put_number(struct buf *out, uint32_t field, uint64_t v);
void protobuf_put_signed(struct buf *out, uint32_t field, int64_t v); /* as sint32 and sint64 */
void protobuf_put_packed_signed(struct buf *out, int64_t v);          /* one of a packed field */
void protobuf_put_double(struct buf *out, uint32_t field, double v);
void protobuf_put_bytes(struct buf *out, uint32_t field, struct str bytes);
