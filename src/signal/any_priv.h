/* AnyValue messages (common.proto): reading one level, checking all levels.
 *
 * Attribute values and bodies that are arrays or maps stay the bytes they came as. They are checked once, where they enter
 * (otlp_decode, batch_open): afterwards readers walk them without looking for errors, and to a bounded depth.
 * A field given twice: the last one wins, also between the members of the value.
 */
#pragma once

#include "signal/wire_priv.h"

enum { ANY_DEPTH_MAX = 64 };
#define ANY_STRING_MAX ((size_t)16 * MIB)

enum any_kind { ANY_EMPTY, ANY_STRING, ANY_BOOL, ANY_INT, ANY_DOUBLE, ANY_ARRAY, ANY_MAP, ANY_BYTES };

struct any {
    enum any_kind kind;
    uint64_t number;   /* bool: 0 or 1; int: int64; double: its bits */
    struct wire bytes; /* string, bytes: content; array, map: the ArrayValue or KeyValueList message */
};

/* One level of an AnyValue message; false if it is malformed (w->p at the place). */
bool any_read(struct wire *w, struct any *out);
/* The next AnyValue of an array, or KeyValue of a map: false at the end, or before it where malformed. */
bool any_next(struct wire *list, struct wire *out);
/* Key and value of a KeyValue message; an absent value is empty. */
bool any_read_key_value(struct wire *w, struct str *out_key, struct wire *out_value);

enum any_fault { ANY_OK, ANY_MALFORMED, ANY_TOO_DEEP, ANY_TOO_LONG };
struct any_check {
    const unsigned char *at; /* of the fault */
    uint32_t invalid_utf8;   /* strings and keys that are not UTF-8 */
};
/* Checks a whole AnyValue message. */
enum any_fault any_check(struct wire w, struct any_check *c);

/* True if the bytes are UTF-8 (RFC 3629); fast for ASCII. */
bool any_utf8_is_valid(const unsigned char *p, size_t n);

/* An AnyValue message as OTLP/JSON: {"stringValue": …} (otlp_json.c). */
struct json_writer;
void any_write_json(struct json_writer *w, struct wire message);

/* ---- writing: content first, then what stands before it ---- */

/* A varint; returns its size. */
size_t any_varint(uint64_t v, unsigned char out[static 10]);
/* Puts tag (one byte) and size before the content that lies from `start` to the end of `out`. */
void any_close(struct buf *out, size_t start, uint32_t tag);
