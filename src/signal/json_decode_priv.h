/* Reading OTLP/JSON: members of messages in any order, numbers, ids and values in the forms that the specification allows.
 *
 * A function that returns false has left its fault in *fault, at the token that is wrong.
 * Rules: unknown members are passed over, whatever they hold; null is as if it were not there; a known member twice is
 * refused, as protobuf's JSON parsers do; integers may be numbers or strings, whole, and are never rounded.
 * Source: OTLP specification 1.11 (JSON Protobuf Encoding); protobuf guide, "ProtoJSON Format".
 */
#pragma once

#include "base/json.h"
#include "signal/decode_rows_priv.h"

struct json_in {
    struct fault *fault;
    struct otlp_decoder *d; /* NULL where points are read (signal/metrics) */
    struct json_reader r;
    struct buf any;  /* the nested value at hand, as an AnyValue message */
    struct buf name; /* a key that is not among the known ones */
};

/* The members of a message that are read, in the order that exporters write them. */
struct json_names {
    uint32_t n;
    struct str v[17];
};

/* An object under way. */
struct json_object_in {
    const struct json_names *names;
    uint32_t seen, next; /* bit i: member i was there; next: which most likely comes now */
};

enum { NO_MEMBER = -1 };

bool json_fail(struct json_in *in, enum err_kind kind, const char *what); /* at the last token */
bool json_enter(struct json_in *in, enum json_token token);               /* JSON_OBJECT or JSON_ARRAY must come next */
/* The next known member that is not null, its value not yet read; NO_MEMBER at the end of the object or on a fault. */
int json_member_next(struct json_in *in, struct json_object_in *o);
/* Enters the next element, an object; false at the end of the array or on a fault. */
bool json_element_next(struct json_in *in);

bool json_read_text(struct json_in *in, struct wire *out); /* valid until the next token */
bool json_read_integer(struct json_in *in, int64_t min, uint64_t max, const char *expected, uint64_t *out);
bool json_read_enum(struct json_in *in, uint32_t *out);
bool json_read_double(struct json_in *in, uint64_t *out_bits);
bool json_read_bool(struct json_in *in, uint64_t *out);
/* n bytes as hex into `bytes`. Hex of another length is not a fault: *out is then not n bytes long, and the row is judged by that. */
bool json_read_id(struct json_in *in, unsigned char *bytes, size_t n, struct wire *out);
/* An array of KeyValue, each as a message under `tag` (one byte) to the end of in->any; counts them. */
bool json_put_attributes(struct json_in *in, unsigned char tag, uint32_t *out_n);
/* The fault of a body, with its place: "resourceSpans[0].spans: expected …". */
err json_fault_err(const struct fault *f, struct str body);
/* An array of KeyValue. */
bool json_read_attributes(struct json_in *in, struct row_attributes *a);
/* A log's body: text, or an AnyValue message. */
bool json_read_body(struct json_in *in, uint32_t row);
