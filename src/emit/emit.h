/* emit: what a program of ours says about itself: spans, metrics and log records, handed on in batches.
 *
 *   emit_span_begin … _end ─▶ bounded queue ─┐                                            ┌▶ clew: ingest (app)
 *   log_warn(…) ─ listener ─▶ bounded queue ─┼─ thread `emit` ─▶ batches ─▶ sink.take_wait ┤
 *   emit_measure ─▶ series, read each interval┘                                            └▶ others: an OTLP exporter (otlp_sink.h)
 *
 * Invariants:
 * (1) Nobody who tells waits for the sink: a full queue drops, and counts what it dropped.
 * (2) Recursion: what a thread does while it is quiet makes no spans and no log records. The sink's thread always is, and who works for what emit has sent
 *     makes itself so (emit_quiet): telemetry about telemetry would never end.
 * (3) A span belongs to one thread at a time; its children may be anywhere.
 * (4) Sampling: the parent decides; of a trace that begins here a share of `ratio`, by its id, so that all programs decide alike.
 * (5) Attributes are log_field values (base/log.h); keys, units and names of instruments are literals of the program.
 *
 * Limits: queues of queue_max; a span EMIT_ATTRIBUTES_MAX attributes, EMIT_EVENTS_MAX events, EMIT_LINKS_MAX links, 8 KiB of texts, a text EMIT_TEXT_MAX; an instrument
 * EMIT_SERIES_MAX series, what is more is one with otel.metric.overflow; what is left out of a span is counted in it.
 * Owner: the maker; emit_free when nobody calls any more. Threads: any, where not said otherwise. All functions take a NULL emit, span or series, and do nothing.
 * Source: OpenTelemetry specification 1.49, trace, metrics and logs SDK. */
#pragma once

#include "base/log.h"
#include "emit/w3c.h"
#include "signal/batch.h"

enum {
    EMIT_ATTRIBUTES_MAX = 32,
    EMIT_EVENTS_MAX = 8,
    EMIT_LINKS_MAX = 4,
    EMIT_TEXT_MAX = 1024,
    EMIT_NAME_MAX = 128,
    EMIT_SERIES_MAX = 1000,
    EMIT_BOUNDS_MAX = 32
};

enum emit_kind { EMIT_SPANS, EMIT_LOGS, EMIT_METRICS, EMIT_KINDS }; /* of metrics the batch is a batch of points */
extern const char *const emit_kind_names[EMIT_KINDS];

struct emit_sink {
    /* Takes over the blob's reference. On the thread `emit`, which may wait here: meanwhile the queues fill. */
    void (*take_wait)(void *context, enum emit_kind kind, struct batch_blob *blob);
    void *context;
};

struct emit_options {
    const char *service, *version, *instance; /* instance NULL: a random one */
    const struct log_field *resource;         /* more attributes of the resource; copied */
    size_t resource_count;
    struct emit_sink sink;
    double ratio;             /* of traces that begin here: 0 none, 1 all */
    int64_t batch_ns;         /* how long spans and log records wait for others; 0: 1 s */
    int64_t metrics_ns;       /* 0: 15 s */
    uint32_t queue_max;       /* spans, and log records; 0: 2,048 */
    int64_t (*wall_ns)(void); /* NULL: clock_wall_ns */
    bool paused;              /* no thread: a test calls emit_turn_wait */
    /* Before each reading of the metrics, on the thread that reads them: what is measured only then (an observable instrument). NULL: nothing. */
    void (*observe)(void *context);
    void *observe_context;
};
struct emit;
err emit_new(const struct emit_options *options, struct emit **out);
void emit_stop(struct emit *e); /* hands on what is queued, and a last reading of the metrics, and ends the thread */
void emit_free(struct emit *e); /* emit_stop first */
/* Hands on what is queued, and with `metrics` all series. For tests, when paused. */
void emit_turn_wait(struct emit *e, bool metrics);

struct emit_stats {
    uint64_t told[EMIT_KINDS], dropped[EMIT_KINDS]; /* spans, log records, points */
    uint64_t unsampled;                             /* spans */
};
void emit_get_stats(struct emit *e, struct emit_stats *out);

/* This thread says nothing until as many calls with false. */
void emit_quiet(bool begin);
bool emit_is_quiet(void);

/* ---- spans ------------------------------------------------------------------------------------------------------- */

enum emit_span_kind { EMIT_INTERNAL = 1, EMIT_SERVER, EMIT_CLIENT, EMIT_PRODUCER, EMIT_CONSUMER };
struct emit_span;
/* parent NULL: the span that this thread is in, else a new trace. NULL: the thread is quiet. The name is copied, cut at EMIT_NAME_MAX. */
struct emit_span *emit_span_begin(struct emit *e, struct str name, enum emit_span_kind kind,
                                  const struct trace_context *parent);
void emit_span_end(struct emit_span *s); /* it is gone */
/* For one whose length is known already: it ended now and began that long ago. */
void emit_span_end_after(struct emit_span *s, int64_t took_ns);
bool emit_span_is_recorded(const struct emit_span *s); /* else attributes need not be made */
void emit_span_name(struct emit_span *s, struct str name);
void emit_span_set(struct emit_span *s, struct log_field attribute); /* the last one of a key counts */
void emit_span_event(struct emit_span *s, const char *name, const struct log_field *attributes, size_t n);
void emit_span_link(struct emit_span *s, const struct trace_context *to); /* to what it came of, in another trace */
void emit_span_fail(struct emit_span *s, const char *why);                /* its status; "": no words */
void emit_span_state(struct emit_span *s, struct str tracestate);         /* what came with the parent */
/* What a child, or another program, gets as its parent; NULL: none. */
const struct trace_context *emit_span_context(const struct emit_span *s);
/* Between these, children and log records of this thread belong to it. They nest. */
void emit_span_enter(struct emit_span *s);
void emit_span_leave(struct emit_span *s);
/* The same for a span that may end meanwhile, here or on another thread: what it is is copied. context NULL: nothing. The scope is the caller's until it is left. */
struct emit_scope {
    struct emit *e;
    struct trace_context context;
    struct emit_scope *before; /* that the thread was in */
};
void emit_scope_enter(struct emit_scope *scope, struct emit *e, const struct trace_context *context);
void emit_scope_leave(struct emit_scope *scope);

/* ---- metrics: cumulative ------------------------------------------------------------------------------------------ */

struct emit_instrument;
struct emit_series;
struct emit_instrument *emit_counter(struct emit *e, const char *name, const char *unit, const char *help);
struct emit_instrument *emit_up_down(struct emit *e, const char *name, const char *unit, const char *help);
struct emit_instrument *emit_gauge(struct emit *e, const char *name, const char *unit, const char *help);
/* Bounds rise; at most EMIT_BOUNDS_MAX. */
struct emit_instrument *emit_histogram(struct emit *e, const char *name, const char *unit, const char *help,
                                       const double *bounds, size_t n);
/* The series of these attributes, made when they are met first; lives as long as the emit. Takes a lock: keep it where it is needed often. */
struct emit_series *emit_series_of(struct emit_instrument *i, const struct log_field *attributes, size_t n);
/* Counter: adds (less than 0: nothing); up-down: adds; gauge: is now; histogram: one more. Without a lock. NaN: nothing. */
void emit_measure(struct emit_series *s, double value);

/* ---- log records --------------------------------------------------------------------------------------------------- */

/* From now on what base/log writes is a record, too, with the span of its thread. One emit of a program; emit_free ends it. */
void emit_listen_to_log(struct emit *e);
/* One record of the program's own, with the span that this thread is in; not written anywhere else. The message is copied. */
void emit_log(struct emit *e, enum log_level level, struct str message, const struct log_field *fields, size_t n);
