/* A sink that sends what a program says of itself to an OTLP/HTTP endpoint: for programs that are not clew itself.
 *
 *   emit ─▶ otlp_sink_take_wait ─ protobuf ─▶ POST ENDPOINT/v1/{traces,logs,metrics}
 *                                                200: taken    429, 502, 503, 504, no answer: again, later and later    else: dropped
 *
 * While it tries again emit's queues fill, and what does not fit is dropped and counted there: so nothing here grows. Retry-After is heeded up to what is
 * left of retry_ns. Plain and https; fields as "Name: value" may carry a token, which is in no log.
 * Owner: the maker; otlp_sink_free after emit_stop. Threads: take_wait is emit's; the others any.
 * Source: OTLP specification 1.11, OTLP/HTTP. */
#pragma once

#include "emit/emit.h"

struct otlp_sink_options {
    const char *endpoint;      /* "http://127.0.0.1:4318", without a path of a signal */
    const char *const *fields; /* NULL-terminated, outlive it; NULL: none */
    int64_t timeout_ns;        /* of one call; 0: 10 s */
    int64_t retry_ns;          /* how long one batch is tried; 0: 60 s */
    int64_t backoff_ns;        /* before the second try; doubles up to 16 of it; 0: 1 s */
};
struct otlp_sink;
err otlp_sink_new(const struct otlp_sink_options *options, struct otlp_sink **out); /* ERR_INVALID: no http(s) URL */
void otlp_sink_end(struct otlp_sink *s);  /* before emit_stop: from now on each batch is tried once */
void otlp_sink_free(struct otlp_sink *s); /* takes NULL */
void otlp_sink_take_wait(void *sink, enum emit_kind kind, struct batch_blob *blob);

struct otlp_sink_stats {
    uint64_t sent, dropped, retries; /* batches; tries after the first */
};
void otlp_sink_get_stats(struct otlp_sink *s, struct otlp_sink_stats *out);
