/* The way out of `clew collect`: one OTLP request to the target, by HTTP or gRPC, and what its answer means.
 *
 *   delivered   2xx, or grpc-status 0; rows that a partial success rejects are counted, never sent again
 *   again       429, 502, 503, 504; CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS, and RESOURCE_EXHAUSTED with a
 *               RetryInfo; no answer, or none that is one. Not before Retry-After or RetryInfo say
 *   denied      401, 403, 404, 405, redirects; UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, UNIMPLEMENTED: a wrong token or address, which someone mends
 *   refused     every other status: sent again it would be refused again
 *
 * Limits: an answer's body 4 MiB, a longer one is no answer; FORWARD_FIELDS_MAX header fields.
 * Owner: the maker. Threads: one an out: it is one connection. Source: OTLP specification 1.11, "OTLP/gRPC" and "OTLP/HTTP", Failures.
 */
#pragma once

#include "ingest/forward/forward.h"

enum out_outcome { OUT_DELIVERED, OUT_AGAIN, OUT_DENIED, OUT_REFUSED };
struct out_result {
    enum out_outcome outcome;
    uint64_t rejected; /* rows, of a partial success */
    int64_t retry_ns;  /* not before so long; -1: not said */
    char reason[24];   /* "429", "grpc_14", "network" */
    char message[400]; /* for a person */
};

struct out;
err out_new(const struct forward_target *target, struct out **out); /* the target outlives it */
void out_free(struct out *o);                                       /* takes NULL */
/* Other header fields, ended by NULL, from the next call on; they outlive it. */
void out_set_fields(struct out *o, const char *const *fields);
/* Calls end soon, and are to be tried again, once `asked` says so. */
void out_end_if(struct out *o, bool (*asked)(void *context), void *context);
void out_send_wait(struct out *o, enum forward_kind kind, struct str body, struct out_result *out);
