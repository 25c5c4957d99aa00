/* How spans and log records hang together, for who asks where context is lost: ids, parents, services, whom a span says it calls. What
 * insight/propagation.h is made out of.
 *
 * Spans are read from QUERY_CONTEXTS_MARGIN_NS before the range on, so that parents of those in it are there; `is_judged` are those in it.
 * Limits: QUERY_CONTEXTS_ROWS_MAX rows of each signal, the newest by row groups, QUERY_CONTEXTS_TEXTS_MAX texts: then `cut`; `time_min` says from when on
 * all rows are there. Memory, deadline, errors: as query.h.
 */
#pragma once

#include "query/query.h"

enum { QUERY_CONTEXTS_ROWS_MAX = 300000, QUERY_CONTEXTS_TEXTS_MAX = 50000, QUERY_NO_CONTEXT = UINT32_MAX };
#define QUERY_CONTEXTS_MARGIN_NS ((int64_t)300 * 1000000000)

struct query_context_row {
    int64_t time, duration;
    uint64_t span_id, parent_id;
    uint32_t trace; /* number; QUERY_NO_CONTEXT: none */
    uint32_t id;    /* the number of the correlation id that came with it; QUERY_NO_CONTEXT: none */
    uint32_t service,
        peer; /* numbers of texts; peer: of client and producer spans, but for those to databases; QUERY_NO_CONTEXT: not named */
    uint8_t signal, kind;
    bool is_judged;
};
struct query_contexts {
    int64_t time_min, time_max;
    struct str environment; /* p NULL: all */
    uint32_t rows_max;      /* 0: as above, which are also the most */
    int64_t now_ns;         /* handed on: who asks is told what is still under way by it; 0: nothing is */
};
struct query_contexts_answer {
    const struct query_context_row *rows; /* spans, then log records; equal spans (11) may stand twice */
    size_t n, span_count;
    const struct str *texts;
    uint32_t text_count;
    const unsigned char (*traces)[16];
    uint32_t trace_count;
    int64_t time_min, time_max; /* judged */
    int64_t now_ns;
    bool cut;
};
err query_contexts(struct query *q, const struct query_contexts *r, struct query_contexts_answer *out);
