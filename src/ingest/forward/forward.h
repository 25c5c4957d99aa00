/* forward: what `clew collect` does. Takes OTLP, keeps it on disk, and hands it to another OTLP backend until that has it.
 *
 *   request ─ work: unpack, check, edit ─ commit: queue on disk, one sync a group ─▶ answer
 *                                               └▶ send: batches ─ OTLP ─▶ target; again with backoff, Retry-After and RetryInfo heeded
 *
 * What was answered with success is delivered at least once, also after kill -9 and power cuts, unless the target refuses it for good or denies it (a wrong
 * token or address) until it is older than hold_ns, it gets older than queue_age_ns, or drop_oldest makes room of it: all are counted by reason and logged. What came in goes out equal: a request of
 * protobuf of which nothing was rejected or edited goes byte for byte. Requests of one signal are put together by setting them one behind the
 * other, which in protobuf is one request with all of their rows. Signals wait for themselves alone; order is not promised.
 *
 * Refused: HTTP 429 with Retry-After, gRPC UNAVAILABLE with RetryInfo, while the queue is full, memory is over the budget, or the target takes other signals but not
 * this one, which has half of the queue.
 * Limits: a request 64 MiB unpacked; FORWARD_WAITING_MAX requests between socket and disk; a batch batch_bytes, or one request that is larger;
 * connections × batch in memory on the way out.
 * Owner: the maker. Threads: forward_handle is a net handler; the rest main.
 */
#pragma once

#include "ingest/forward/config.h"
#include "net/client.h"
#include "net/net.h"

enum { FORWARD_FIELDS_MAX = 32, FORWARD_WAITING_MAX = 1024, FORWARD_CONNECTIONS_MAX = 64 };
enum forward_kind { FORWARD_SPANS, FORWARD_LOGS, FORWARD_POINTS, FORWARD_KINDS };
extern const char *const forward_kind_names[FORWARD_KINDS]; /* "traces" */

struct forward_target {
    const char *endpoint; /* "http://127.0.0.1:4318": without a path of a signal; of gRPC the same with its port */
    bool grpc, gzip;
    const char *fields[FORWARD_FIELDS_MAX + 1]; /* "Name: value", ended by NULL */
    struct http_client_tls tls;
    int64_t timeout_ns; /* of one call */
};

struct forward_options {
    const char *dir;
    uint64_t queue_bytes_max;
    int64_t queue_age_ns; /* 0: no limit */
    int64_t hold_ns;      /* how long what the target denies is kept and tried again, from its arrival on */
    bool drop_oldest;
    struct forward_target target;
    uint32_t connections; /* calls under way at once */
    int64_t backoff_ns, backoff_max_ns;
    struct forward_config *config; /* taken over: emptied */
    struct budget *budget;
    uint32_t work_threads;
};
struct forward;
err forward_new(const struct forward_options *options, struct forward **out); /* opens the queue, starts threads */
/* From now on requests, batches and traces are treated by this file (taken over: emptied), and calls have these fields (copied; ended by
 * NULL). What is under way ends as it began; how many decisions on traces are remembered stays as at the start. ERR_INVALID: tail sampling would begin or
 * end, for which a restart is needed; then nothing is changed and the file is still the caller's. Threads: main. */
err forward_reload(struct forward *f, struct forward_config *config, const char *const *fields);
/* Ends: nothing is taken any more (the server was drained before); what is queued is sent until the deadline, the rest stays on disk. */
void forward_stop_wait(struct forward *f, int64_t deadline_monotonic_ns);
void forward_free(struct forward *f); /* after stop; takes NULL */

/* A handler of net/net.h; the listener's context is the forward. Serves /v1/{traces,logs,metrics}, the three gRPC services, /metrics,
 * /health and /ready. */
void forward_handle(struct http_request *r);
void forward_write_metrics(struct forward *f, struct buf *out); /* Prometheus text */
