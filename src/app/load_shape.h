/* What `clew load` sends: OTLP request bodies, made from a seed.
 *
 *   law   the load that figures are quoted for: a request is 10 ResourceSpans of 50 spans (50 traces of 10 spans, one a
 *         service), or 10 ResourceLogs of 50 records; 606 B a span and 325 B a log on the wire
 *   shop  one customer's request at a time through a small shop, with its logs, errors and a slow query now and then; and
 *         with what stories (load_stories.h) do to it
 *
 * The same seed and times give the same body, so that --verify can make it again instead of keeping it. Ids come from the
 * seed's generator (xoshiro256**, seeded from the system): nothing repeats that a compressor could use.
 * Threads: pure. Units: times ns since 1970.
 */
#pragma once

#include "app/load_stories.h"
#include "base/base.h"
#include "signal/field.h"

struct shape_request {
    uint64_t seed, number; /* number: of the request in its plan */
    int64_t time_first,
        time_step;       /* law: trace i of the request starts at time_first + i × time_step; shop: at time_first */
    uint32_t items;      /* law: spans or logs, a multiple of 10 */
    uint32_t correlated; /* law: one trace, or log record, of so many has an attribute correlation_id; 0: none */
    uint32_t
        moment; /* shop: how much of the time that tells stories has passed, from 1 to STORY_END; 0: none are told */
};

/* Each appends one request's body to `out`. */
void shape_law_traces(const struct shape_request *r, struct buf *out);
void shape_law_logs(const struct shape_request *r, struct buf *out);
/* One shop request: spans to `traces`, its log records to `logs`. `story`: which of them shows in it, and in which span. */
struct shape_rows {
    uint32_t spans, logs;
    unsigned char trace[16];
    enum story story; /* STORIES: none */
    uint64_t span;    /* as its bytes lie in memory */
    int64_t span_ns;
};
struct shape_rows shape_shop(const struct shape_request *r, struct buf *traces, struct buf *logs);
