/* OTLP: Export{Trace,Logs}ServiceRequest as protobuf or JSON → batch, and batch → protobuf and JSON again.
 *
 * Decoding is one pass, straight into a builder's columns: no message tree, no allocation per row; resource and scope are
 * resolved once per group; the shape and the strings of the row before predict those of the next. Unknown fields are skipped.
 *
 * Refused rows are left out and counted with the first reason of each kind (partial success): ids of a wrong length or all
 * zero (spans), times outside `limits`. Strings that are not UTF-8 are kept as they are and counted; output shows U+FFFD.
 * A body that is not protobuf or JSON, or over a limit of counts or depth, is one ERR_INVALID or ERR_LIMIT naming the byte offset,
 * and nothing of it is taken.
 *
 * JSON: members in any order, lowerCamelCase, unknown ones passed over, null as absent, a known one twice refused; ids as hex in either
 * case; enumerations as integers; 64-bit integers as numbers or strings, whole and exact; NaN and infinities as strings; bytes in
 * either base64 alphabet, padded or not. Errors name the place: "resourceSpans[0].scopeSpans[2].spans[5].traceId: expected …".
 * An id that is hex of a wrong length refuses its row, as in protobuf; one that is no hex (base64) refuses the body.
 *
 * A body of a few MiB may hold 2^20 events or links of two bytes each, so columns are charged as they grow: ERR_BUSY.
 * Limits: AnyValue nesting 64; attributes of one row 16,384; of one request 2^20 rows, 2^20 events, 2^20 links, 2^24
 * attributes; a string 16 MiB; a body as `net` allows, at most 512 MiB.
 * Owner and threads: a decoder belongs to one thread and is reused; its builder's memory stays warm.
 * Source: opentelemetry-proto 1.11 (trace.proto, logs.proto, common.proto, resource.proto, collector services); OTLP
 * specification 1.11, JSON encoding.
 */
#pragma once

#include "signal/batch.h"

struct budget;
struct json_writer;

struct otlp_limits {
    int64_t time_min, time_max; /* rows outside are refused, ns; INT64_MIN / INT64_MAX: no limit */
    int64_t now;                /* arrival, ns: the time of a log record that was sent without any */
    struct budget
        *budget; /* columns that grow past `granted_bytes` draw from it until otlp_decode returns; NULL: none */
    uint64_t granted_bytes; /* what the caller has drawn for them already */
};

enum otlp_reason {
    OTLP_BAD_TRACE_ID, /* not 16 bytes, or zero on a span */
    OTLP_BAD_SPAN_ID,  /* not 8 bytes, or zero on a span; parent and link ids too */
    OTLP_TOO_OLD,      /* before limits.time_min */
    OTLP_TOO_NEW,      /* after limits.time_max */
    OTLP_TOO_MANY,     /* attributes of one row */
    OTLP_REASONS
};
extern const char *const otlp_reason_texts[OTLP_REASONS];

struct otlp_result {
    struct batch_blob *blob; /* NULL if no row was taken; the caller's reference */
    uint32_t rows;           /* taken */
    uint32_t rejected[OTLP_REASONS];
    uint32_t invalid_utf8; /* strings and keys, taken as they are; equal ones may count once */
};

struct otlp_decoder;
struct otlp_decoder *otlp_decoder_new(void);
void otlp_decoder_free(struct otlp_decoder *d);
/* On an error `out` is untouched. */
err otlp_decode(struct otlp_decoder *d, enum signal signal, struct str body, const struct otlp_limits *limits,
                struct otlp_result *out);
err otlp_decode_json(struct otlp_decoder *d, enum signal signal, struct str body, const struct otlp_limits *limits,
                     struct otlp_result *out);

/* Export…ServiceRequest bytes of all rows (ResourceSpans and ScopeSpans grouped in row order). */
void otlp_encode(const struct batch *b, struct buf *out);
/* The same as OTLP/JSON ({"resourceSpans":[…]} or {"resourceLogs":[…]}): hex ids, 64-bit numbers as strings. */
void otlp_write_json(const struct batch *b, struct json_writer *out);

/* Export…ServiceResponse: empty ({} in JSON) for full success, else partial_success {rejected, message}. */
void otlp_write_response(enum signal signal, uint64_t rejected, struct str message, struct buf *out);
void otlp_write_response_json(enum signal signal, uint64_t rejected, struct str message, struct json_writer *out);
/* The same with another name for the count: "rejectedDataPoints" of metrics. As protobuf all signals' responses are alike. */
void otlp_write_partial_json(struct str member, uint64_t rejected, struct str message, struct json_writer *out);
/* Reads one of any signal: how many rows were rejected, and why (borrowed). False: it is none. */
bool otlp_read_response(struct str response, uint64_t *out_rejected, struct str *out_message);
/* google.rpc.Status {code, message}. */
void otlp_write_status(int grpc_code, struct str message, struct buf *out);
void otlp_write_status_json(int grpc_code, struct str message, struct json_writer *out);

/* ---- values ----------------------------------------------------------------------------------------------------- */

/* One attribute value or body as plain JSON: strings, numbers, booleans, null, arrays and objects; bytes as base64;
 * NaN and infinities as strings. `value` is a slot of batch b. */
void value_write_json(const struct batch *b, enum value_type type, uint64_t value, struct json_writer *out);
/* The same as display text, without quotes around a string. */
void value_write_text(const struct batch *b, enum value_type type, uint64_t value, struct buf *out);
/* The same of an AnyValue message, checked when it came in. */
void value_message_text(struct str message, struct buf *out);
/* Builds AnyValue bytes of plain values, for the generator and tests. */
void otlp_put_any_string(struct buf *out, struct str text);
void otlp_put_any_int(struct buf *out, int64_t value);
