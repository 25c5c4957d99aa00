/* Answers that are read from the rollups of spans (store/rollup.h) and not counted: in the time that a few thousand rows take, whatever the
 * number of spans, and long after the spans themselves are gone.
 *
 * What differs from a count: ranges are widened to whole minutes (the answer says to which); quantiles are right to 4.4 %; traces are not
 * counted; spans that were sent twice count twice. Operations and edges over the caps of the rollups are counted under `_other`.
 * Of ranges of less than QUERY_ROLLED_MIN_NS, and where there are no rollups at all, spans are counted as ever.
 * Memory, deadline, errors: as query.h.
 */
#pragma once

#include "query/query.h"

#define QUERY_ROLLED_MIN_NS ((int64_t)600 * 1000000000)

/* query_trace_stats and query_operations from rollups where they can tell: a filter of service, environment, operation, status and kind alone, a
 * step of whole minutes. Whether they could is *out_rolled. Of statistics the range of the filter is widened. */
err query_trace_stats_rolled(struct query *q, struct query_trace_stats *r, struct query_trace_stats_answer *out,
                             bool *out_rolled);
err query_operations_rolled(struct query *q, const struct query_filter *f, size_t limit,
                            struct query_operations_answer *out, bool *out_rolled);

/* Services by what their spans come to. */
struct query_service_spans {
    struct str environment, space, service;
    struct query_span_stats stats;
    int64_t last_seen;
};
struct query_service_spans_answer {
    const struct query_service_spans *services; /* by environment, namespace, service */
    size_t n;
    uint64_t folded;            /* spans counted under `_other` */
    int64_t time_min, time_max; /* the whole minutes that were looked at */
};
/* environment p NULL: all. */
err query_service_spans(struct query *q, int64_t time_min, int64_t time_max, struct str environment,
                        struct query_service_spans_answer *out);

/* Who calls whom: both ends of a call, as each measured it. */
struct query_call_edge {
    struct str environment, client_space, client, server_space, server;
    enum rollup_connection connection;
    uint64_t calls, errors;
    int64_t last_seen;
    struct query_span_stats as_client, as_server; /* spans 0: that side is not known */
};
struct query_topology_answer {
    const struct query_call_edge *edges; /* most calls first */
    size_t n;
    uint64_t folded;            /* calls counted under `_other` */
    int64_t time_min, time_max; /* the whole minutes that were looked at */
};
/* environment p NULL: all; service p NULL: all, else one of both ends. Calls without an answer count for their peers a minute later. */
err query_topology(struct query *q, int64_t time_min, int64_t time_max, struct str environment, struct str service,
                   struct query_topology_answer *out);
