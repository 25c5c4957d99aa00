/* gRPC over HTTP/2: what of it is not HTTP. Messages in bodies, deadlines, and how an outcome is said.
 *
 *   body of a unary request    compressed u8, size u32 big-endian, message
 *   its answer                 the same, then trailers: grpc-status, grpc-message
 *   an error                   no body; both stand in the head ("Trailers-Only")
 *
 * HTTP's status is 200 whatever the outcome; only what is no gRPC at all gets another one. A client that shall retry is told when:
 * grpc-status-details-bin holds a google.rpc.Status with a RetryInfo.
 *
 * Limits: messages as the caller says; grpc-timeout 8 digits; a status message 1 KiB, the rest is cut.
 * Errors: as codes with a reason in static text. Source: gRPC over HTTP2 (PROTOCOL-HTTP2.md), statuscodes.md, compression.md;
 * google/rpc/{status,error_details}.proto.
 */
#pragma once

#include "net/net.h"

enum grpc_code {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_UNKNOWN = 2,
    GRPC_INVALID_ARGUMENT = 3,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_NOT_FOUND = 5,
    GRPC_PERMISSION_DENIED = 7,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNIMPLEMENTED = 12,
    GRPC_INTERNAL = 13,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_UNAUTHENTICATED = 16,
};

/* "application/grpc", "application/grpc+proto", with parameters; not grpc-web. */
bool grpc_type_is_taken(struct str content_type);
bool grpc_is_request(const struct http_request *r); /* by Content-Type */

struct grpc_message {
    struct str bytes;
    struct str encoding; /* of bytes: "gzip", or "" */
};
/* The one message of a unary request; `encoding` is the field grpc-encoding. GRPC_OK, or the code to answer with: a size that is not
 * the body's or a stray flag INTERNAL, none or two messages UNIMPLEMENTED (so statuscodes.md), an encoding that is not taken
 * UNIMPLEMENTED, over max_bytes RESOURCE_EXHAUSTED. */
enum grpc_code grpc_read_unary(struct str body, struct str encoding, size_t max_bytes, struct grpc_message *out,
                               const char **out_reason);
/* What a message takes with its prefix; false while the prefix is not whole. */
bool grpc_message_size(struct str bytes, size_t *out);
enum { GRPC_PREFIX = 5 };
void grpc_put_message(struct buf *out, struct str message, bool compressed); /* with its prefix */

/* "100m": nanoseconds, at most 100,000,000 hours' worth cut to 292 years. False: not of that form. */
bool grpc_timeout_read(struct str text, int64_t *out_ns);

enum { GRPC_STATUS_FIELDS_MAX = 4, GRPC_MESSAGE_MAX = 1024 };
struct grpc_status {
    struct http_field fields[GRPC_STATUS_FIELDS_MAX]; /* for a head or for trailers; they point into text */
    size_t count;
    struct buf text;
};
/* retry_ns > 0: with a RetryInfo. End with grpc_status_done. */
void grpc_status_init(struct grpc_status *s, enum grpc_code code, struct str message, int64_t retry_ns);
void grpc_status_done(struct grpc_status *s);
/* What encodings are taken, for whoever sent another. */
void grpc_status_add_encodings(struct grpc_status *s);

/* What grpc-status-details-bin says of when to come again: the delay of its RetryInfo. False: it says nothing, or cannot be read. */
bool grpc_retry_read(struct str details, int64_t *out_ns);

enum grpc_code grpc_code_of_http(int status);
/* net's own: writes the answer in place of a handler. */
void grpc_reply_refusal(struct http_request *r, int status, struct str reason);
