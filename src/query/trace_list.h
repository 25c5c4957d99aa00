/* The newest traces of a filter as rows, from one scan of a few columns: what statistics over thousands of traces need, for a tenth of what whole
 * traces cost (query_traces).
 *
 *   scan, newest row groups first ─▶ twice as many traces as wanted ─▶ their other spans, QUERY_LIST_MARGIN_NS further back ─▶ the newest by start
 *
 * A row is of the spans alone that fulfil the filter, which may all be of the middle of a trace. Its root: the earliest span without a parent, else the earliest
 * span. Spans that were sent twice count twice. Of traces that are longer than the margin the start may be missed.
 * Limits: QUERY_LIST_MAX rows. Memory, deadline, errors: as query.h.
 */
#pragma once

#include "query/query.h"

enum { QUERY_LIST_MAX = 100000 };
#define QUERY_LIST_MARGIN_NS ((int64_t)900 * 1000000000)

struct query_trace_row {
    unsigned char trace_id[16];
    struct str root_service, root_name;
    int64_t start, longest; /* of its earliest span; the duration of its longest, 0 at least */
    uint64_t spans, errors;
};
struct query_trace_list {
    const struct query_trace_row *rows; /* newest first; of equal starts by id */
    size_t n;
    bool cut; /* there are more */
};
/* limit: 1 .. QUERY_LIST_MAX. */
err query_trace_list(struct query *q, const struct query_filter *f, size_t limit, struct query_trace_list *out);
