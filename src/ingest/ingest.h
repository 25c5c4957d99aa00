/* ingest: the way in. One request body in, one answer out when its rows are durable. The only caller of store_append.
 *
 *   body ─ inflate ─ decode into columns ─▶ batch ─ redact ─ store_append ─▶ … durable … ─▶ done(outcome)
 *             └── memory of both drawn from the budget first ──┘
 *
 * What a sender gets to know is the outcome: how many rows were taken, how many were refused for which reason (partial
 * success), and a sentence that says so. A body that is no protobuf or JSON, or over a limit, is one error; nothing of it is taken.
 *
 * Limits: a body 64 MiB, before and after decompression; about three times its size while it is decoded, from the budget, and what
 * its columns take beyond that.
 * Threads: ingest_body may be called from any, and works on the caller's; decoders are kept in a pool, as many as were
 * ever busy at once. `done` runs on the caller's thread before ingest_body returns, or later on the store's log thread:
 * it must not block.
 * Errors (of done): ERR_INVALID (not protobuf or JSON, unknown encoding), ERR_LIMIT (413), ERR_BUSY (429: over the budget),
 * ERR_UNAVAILABLE (503: disk full, closing).
 */
#pragma once

#include "ingest/redact.h"
#include "signal/otlp.h"

struct budget;
struct store;

struct ingest;

struct ingest_options {
    struct store *store;
    struct budget *budget;             /* NULL: none */
    struct live *live;                 /* gets what became durable; NULL: nobody follows */
    size_t body_max_bytes;             /* after decompression; 0: 64 MiB */
    int64_t (*wall_ns)(void);          /* NULL: clock_wall_ns; the time of logs that were sent without */
    const struct redact_rules *redact; /* NULL: none; outlives the ingest */
    unsigned char redact_secret[REDACT_SECRET_BYTES];
};
struct ingest *ingest_new(const struct ingest_options *options);
void ingest_free(struct ingest *in); /* no body may be under way; takes NULL */

struct ingest_outcome {
    uint64_t taken, rejected; /* rows */
    uint32_t rejected_by[OTLP_REASONS];
    uint32_t invalid_utf8; /* strings taken as they are, though no UTF-8 */
    char message[512];     /* why rows were refused, or a warning; empty: nothing to say */
};

/* Called exactly once a body. `e` is the callee's; outcome is NULL when there is an error, else lives until it returns. */
typedef void (*ingest_done_fn)(void *context, err e, const struct ingest_outcome *outcome);

struct ingest_request {
    struct str tenant;
    enum signal signal;
    enum otlp_format format;
    struct str encoding; /* Content-Encoding; "" for none */
    struct str body;
};
/* The request is not looked at any more once this returned. */
void ingest_body(struct ingest *in, const struct ingest_request *request, ingest_done_fn done, void *context);

/* The same for a thread that must not work long: false, with nothing done and `done` not called, if the body is over 1 MiB, before
 * or after decompression (2 KiB of gzip may be 2 MiB), or there are rules of redaction, whose patterns may take 2 s. */
bool ingest_body_if_small(struct ingest *in, const struct ingest_request *request, ingest_done_fn done, void *context);

/* Counted since the start. */
struct ingest_stats {
    uint64_t bodies[SIGNALS], bytes[SIGNALS]; /* bytes: after decompression */
    uint64_t rows[SIGNALS];                   /* durable */
    uint64_t rejected[SIGNALS][OTLP_REASONS];
    uint64_t failed[SIGNALS][ERR_KINDS]; /* bodies that ended in an error */
    uint64_t invalid_utf8[SIGNALS];
    struct redact_counts redacted;
};
void ingest_get_stats(struct ingest *in, struct ingest_stats *out);
