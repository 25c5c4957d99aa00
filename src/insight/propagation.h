/* Where context is lost: which services break traces, at which call, how often, how sure that is, and what mends it.
 *
 *   query/contexts (rows) ─┐
 *   query/facts (language) ┴─▶ propagation_make (pure) ─▶ services, findings: the most frequent first ─▶ advice by language
 *
 * What is looked for, of the spans and log records of the range:
 *  - lost_trace     a call A → B of which B knows nothing: A's client or producer span has no child, and meanwhile B began a trace of its own. Paired by
 *                   time, one to one; A says by name that it calls B (peer.service, server.address, destination), or both have one correlation id.
 *                   B's clock is taken to be ahead of A's by what most of its answered calls say, if they do not fit otherwise. What is left then, names B and
 *                   has B's id is paired in order, whatever their clocks say, up to PROPAGATION_CLOCK_NS; that the ids are one proves nothing there.
 *  - missing_parent spans whose parent is not stored, though their trace has a beginning, or several such parents. A trace all of whose spans hang
 *                   below one parent outside was begun by a caller who sends nothing here: that is no loss. A trace of which a span ended less than
 *                   PROPAGATION_UNDER_WAY_NS before now is under way: its parents end, and come, after their children. It is not counted so far.
 *  - lost_id        calls A → B in one trace, where A's spans of the trace came with a correlation id and none of B's.
 *  - log_without_trace  log records without a trace id, of a service that sends spans.
 *  - log_without_id     log records of a trace whose spans of the same service came with an id, without one.
 * Of lost traces by message and of missing parents the samples are looked at: where all consumers have span links, or all parents are stored after all,
 * there is no finding.
 * certain: measured, or both sides have one id. likely: half and more of what was unanswered, three at least. possible: the rest; late or sampled spans look alike.
 *
 * Units: times ns. Limits: query/contexts.h; PROPAGATION_FINDINGS_MAX, PROPAGATION_SAMPLES of one. Owner: the arena. Threads: any, one a query.
 * Errors: as query.h.
 */
#pragma once

#include "query/contexts.h"
#include "query/facts.h"

enum { PROPAGATION_FINDINGS_MAX = 1000, PROPAGATION_SAMPLES = 5 };
#define PROPAGATION_SKEW_NS                                                                                            \
    ((int64_t)50 * 1000000) /* clocks of two services differ by this at most, where nothing says otherwise */
#define PROPAGATION_CLOCK_NS ((int64_t)3600 * 1000000000)
#define PROPAGATION_UNDER_WAY_NS ((int64_t)30 * 1000000000)
#define PROPAGATION_QUEUE_NS ((int64_t)300 * 1000000000) /* a message waits no longer, to be paired */

enum propagation_kind {
    PROPAGATION_LOST_TRACE,
    PROPAGATION_MISSING_PARENT,
    PROPAGATION_LOST_ID,
    PROPAGATION_LOG_WITHOUT_TRACE,
    PROPAGATION_LOG_WITHOUT_ID,
    PROPAGATION_KINDS
};
enum propagation_certainty { PROPAGATION_POSSIBLE, PROPAGATION_LIKELY, PROPAGATION_CERTAIN, PROPAGATION_CERTAINTIES };
extern const char *const propagation_kind_names[PROPAGATION_KINDS]; /* "lost_trace" */
extern const char *const propagation_certainty_names[PROPAGATION_CERTAINTIES];

struct propagation_sample {
    unsigned char trace_id[16];       /* of the caller, or of the row */
    unsigned char other_trace_id[16]; /* lost_trace: that which B began; else zero */
    uint64_t other_span_id;           /* lost_trace: with which it began; missing_parent: that is missing */
    uint64_t span_id;                 /* of the row; of log records 0 if they have none */
};
struct propagation_finding {
    enum propagation_kind kind;
    enum propagation_certainty certainty;
    struct str caller;                    /* p NULL: it is no call */
    struct str service;                   /* whose rows lack it */
    struct str caller_language, language; /* "": not told */
    bool by_message;                      /* of lost traces: the caller is a producer */
    uint64_t count, of;                   /* rows or calls that lack it, of all */
    struct propagation_sample samples[PROPAGATION_SAMPLES];
    uint32_t sample_count;
};
struct propagation_service {
    struct str name, language; /* language "": not told */
    uint64_t spans, roots, outside_parents, missing_parents, spans_with_id;
    uint64_t logs, logs_without_trace, logs_with_id;
};
struct propagation {
    const struct propagation_service *services; /* by name */
    uint32_t n;
    const struct propagation_finding *findings; /* most sure, then most frequent first */
    size_t finding_count;
    uint64_t spans, logs; /* judged */
    int64_t time_min, time_max;
    bool cut; /* older rows, or findings, are left out */
};
err propagation_make(struct arena *a, const struct query_contexts_answer *in, const struct query_facts_answer *facts,
                     struct propagation *out);
err propagation_read(struct query *q, const struct query_contexts *r, struct propagation *out);

/* What mends a finding, in the language of one side of it. */
struct propagation_advice {
    struct str service;
    const char *language, *title, *snippet; /* language: "javascript", "other" … */
};
enum { PROPAGATION_ADVICE_MAX = 2 };
/* How many. */
uint32_t propagation_advise(const struct propagation_finding *f, struct propagation_advice out[PROPAGATION_ADVICE_MAX]);
