/* ingest: the way in. One request body in, one answer out when its rows are durable. The only caller of store_append and
 * store_append_points.
 *
 *   body ─ unpack ─ decode into columns ─▶ batch ─ redact ─ correlate ─ store_append[_points] ─▶ … durable … ─▶ done(outcome)
 *             └── memory of both drawn from the budget first ──┘
 *
 * What a sender gets to know is the outcome: how many rows were taken, how many were refused for which reason (partial
 * success), and a sentence that says so. A body that is no protobuf, JSON or text of its format, or over a limit, is one error; nothing of it
 * is taken. A row of metrics is a point: a sample, a histogram, a summary; some are refused only where they are put beside what is there.
 *
 * Limits: a body 64 MiB, before and after decompression; about three times its size while it is decoded, from the budget, and what
 * its columns take beyond that.
 * Threads: ingest_body may be called from any, and works on the caller's; decoders are kept in a pool, as many as were
 * ever busy at once. `done` runs on the caller's thread before ingest_body returns, or later on the store's log thread:
 * it must not block.
 * Errors (of done): ERR_INVALID (not of its format, unknown encoding), ERR_LIMIT (413), ERR_BUSY (429: over the budget),
 * ERR_UNAVAILABLE (503: disk full, closing).
 */
#pragma once

#include "ingest/correlate/correlate.h"
#include "ingest/redact.h"
#include "signal/metrics/points_decode.h"
#include "signal/metrics/translate.h"

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
    const struct correlate_rules *correlate; /* NULL: no ids are lifted; outlives the ingest */
};
struct ingest *ingest_new(const struct ingest_options *options);
void ingest_free(struct ingest *in); /* no body may be under way; takes NULL */

/* What a body is of: the signals whose rows have fields, by their numbers, and metrics. */
enum ingest_kind { INGEST_SPANS = SIGNAL_SPANS, INGEST_LOGS = SIGNAL_LOGS, INGEST_METRICS = SIGNALS, INGEST_KINDS };
extern const char *const ingest_kind_names[INGEST_KINDS]; /* "spans", "logs", "metrics" */

/* How it is written; what is not OTLP is of metrics. */
enum ingest_format {
    INGEST_OTLP,
    INGEST_OTLP_JSON,
    INGEST_WRITE_1, /* prometheus.WriteRequest */
    INGEST_WRITE_2, /* io.prometheus.write.v2.Request */
    INGEST_TEXT,    /* the text format, as scraped */
    INGEST_OPENMETRICS
};

/* Why rows are refused. */
enum ingest_reason {
    REASON_BAD_TRACE_ID, /* to REASON_TOO_MANY: as enum otlp_reason */
    REASON_BAD_SPAN_ID,
    REASON_TOO_OLD,
    REASON_TOO_NEW,
    REASON_TOO_MANY,
    REASON_TOO_MANY_LABELS,
    REASON_BAD_LABELS,
    REASON_BAD_HISTOGRAM,
    REASON_TOO_LATE,
    REASON_CONFLICT,
    REASON_OVER_LIMIT,
    REASON_OUT_OF_RANGE,
    REASON_TRANSLATION, /* + enum translate_reason */
    INGEST_REASONS = REASON_TRANSLATION + TRANSLATE_REASONS
};
struct ingest_reason_row {
    const char *name;        /* "too_old" */
    const char *const *text; /* "older than the retention" */
    uint8_t kinds;           /* bit per kind of which rows can be refused for it */
};
extern const struct ingest_reason_row ingest_reasons[INGEST_REASONS];

struct ingest_outcome {
    uint64_t taken, rejected;                /* rows */
    uint64_t samples, histograms, exemplars; /* of metrics: what is stored now, if it was before or not */
    uint64_t rejected_by[INGEST_REASONS];
    uint32_t exemplars_rejected;
    uint32_t invalid_utf8; /* strings taken as they are, though no UTF-8 */
    char message[512];     /* why rows were refused, or a warning; empty: nothing to say */
};

/* Called exactly once a body. `e` is the callee's; outcome is NULL when there is an error, else lives until it returns. */
typedef void (*ingest_done_fn)(void *context, err e, const struct ingest_outcome *outcome);

struct ingest_request {
    struct str tenant;
    enum ingest_kind kind;
    enum ingest_format format;
    struct str encoding; /* Content-Encoding; "" for none; also "snappy": its block format, as remote write has it */
    struct str body;
    const struct points_label *labels; /* of a text: what every sample gets */
    uint32_t label_count;
};
/* The request is not looked at any more once this returned. */
void ingest_body(struct ingest *in, const struct ingest_request *request, ingest_done_fn done, void *context);

/* The same for a thread that must not work long: false, with nothing done and `done` not called, if the body is over 1 MiB, before
 * or after decompression (2 KiB of gzip may be 2 MiB), or there are rules of redaction, whose patterns may take 2 s. */
bool ingest_body_if_small(struct ingest *in, const struct ingest_request *request, ingest_done_fn done, void *context);

/* Where points come from that are in a batch already: rules of redaction concern what came from outside, once. */
enum ingest_source {
    INGEST_COLLECTED, /* of a scrape, or of the machine */
    INGEST_DERIVED,   /* made of what is stored: its texts were redacted when they came */
};
/* The same for such points. Takes over a reference. An error at once: refused (ERR_BUSY: try again), and `done` is not called; else `done` as
 * above. */
err ingest_points(struct ingest *in, struct str tenant, enum ingest_source source, struct batch_blob *blob,
                  ingest_done_fn done, void *context) __attribute__((warn_unused_result));

/* The same for spans or log records that are in a batch already. */
err ingest_rows(struct ingest *in, struct str tenant, enum ingest_kind kind, struct batch_blob *blob,
                ingest_done_fn done, void *context) __attribute__((warn_unused_result));

/* Counted since the start. */
struct ingest_stats {
    uint64_t bodies[INGEST_KINDS], bytes[INGEST_KINDS]; /* bytes: after decompression */
    uint64_t rows[INGEST_KINDS];                        /* durable */
    uint64_t rejected[INGEST_KINDS][INGEST_REASONS];
    uint64_t failed[INGEST_KINDS][ERR_KINDS]; /* bodies that ended in an error */
    uint64_t invalid_utf8[INGEST_KINDS];
    uint64_t samples, histograms, exemplars, exemplars_rejected; /* of metrics */
    struct redact_counts redacted;
    struct correlate_counts correlated; /* of bodies whose rows became durable */
};
void ingest_get_stats(struct ingest *in, struct ingest_stats *out);
