/* Tail sampling: spans of a trace are held until there is enough of it to decide, then all are kept or dropped.
 *
 *   add ─▶ decided lately? ─ yes ─▶ kept or dropped at once
 *             └ no ─▶ held by trace ─ wait after its first span, a fifth of it after its root, or no room ─▶ decided, remembered
 *
 * Kept: with a span of status error (keep_errors); from its first start to its last end at least slow_ns; else by the highest rate of the services
 * that have a span in it, or the general one, by a hash of its id: all collectors decide alike, and again alike after a restart.
 *
 * Invariants: (1) a trace that is held has holds of its own on the records that its spans came in; who is given its spans, or told that they
 * are dropped, releases them. (2) At most traces_max traces, and bytes_max of their spans, are held: the oldest is decided with what is there.
 * (3) The last decisions are remembered, four times the traces_max it was made with.
 * Owner: the maker. Threads: one.
 */
#pragma once

#include "ingest/forward/config.h"

struct sampler_spans {
    struct buf request; /* an ExportTraceServiceRequest; empty where they are dropped */
    uint32_t rows;
    uint64_t *records; /* sequences, each held once */
    size_t record_count;
};
void sampler_spans_done(struct sampler_spans *s);

struct sampler_sink {
    void (*hold)(void *context, uint64_t record);
    /* The spans are the callee's from then on. */
    void (*decided)(void *context, bool kept, struct sampler_spans *spans);
    void *context;
};

struct sampler;
struct sampler *sampler_new(const struct forward_sampling *config, const struct sampler_sink *sink);
/* Other rules, which outlive it, for what is decided from now on; what is held is due when it was. How many decisions are remembered stays. */
void sampler_set(struct sampler *s, const struct forward_sampling *config);
void sampler_free(struct sampler *s); /* what is held is dropped without a word: its records come again */
/* Spans of a record; false: it is no request (what of it could be read is held). */
bool sampler_add(struct sampler *s, struct str request, uint64_t record, int64_t now_ns);
void sampler_run(struct sampler *s, int64_t now_ns); /* decides what is due; INT64_MAX: all */
int64_t sampler_next_due(const struct sampler *s);   /* INT64_MAX: nothing is held */

struct sampler_counts {
    uint64_t traces, bytes;                      /* held */
    uint64_t kept_error, kept_slow, kept_rate;   /* traces */
    uint64_t dropped, early;                     /* early: decided for want of room */
    uint64_t rows_kept, rows_dropped, rows_late; /* late: of these, after the decision */
};
void sampler_get_counts(const struct sampler *s, struct sampler_counts *out);
