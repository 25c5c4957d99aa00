/* Who calls whom, counted from the spans of a range that fulfil a filter (rollups.h has it of any range, without one): an edge is a span of one
 * service whose parent is of another, whatever their kinds. Memory, deadline, errors: as query.h. */
#pragma once

#include "query/query.h"

/* A caller and whom it calls: spans of one service whose parent is of another. */
struct query_edge {
    struct str parent, child;
    uint64_t calls, errors; /* errors: of the child's spans. A span that was sent twice counts once. */
};
struct query_edges_answer {
    const struct query_edge *edges; /* most calls first */
    size_t n;
    bool cut; /* more than the newest 4 million spans, or 10,000 pairs: the rest is left out */
};
/* Both ends must fulfil the filter, its range included. */
err query_edges(struct query *q, const struct query_filter *f, struct query_edges_answer *out);
