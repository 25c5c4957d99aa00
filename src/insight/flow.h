/* The path of one request as a graph: which service called which, how often, how long it took, what failed; over all traces of its id.
 *
 *   spans of the id ─ parents ─▶ calls ──────────┐
 *   span links ─────────────────▶ links ─────────┼─▶ nodes in order of their first span, edges ─▶ places (algo/layout.h)
 *   traces that nothing else joins ▶ same_id ────┘
 *
 * A node is a service, or one of its operations; or what a client or producer span names as its peer, if no span answered it: a database, a
 * messaging system, a peer, called as on the map (topology.h). A call enters a node: its span's parent is in another node, or it has none here.
 * It failed if its span did, or the client's or producer's above it in another service, as on the map.
 * Spans of other ids count nowhere, but one that called a span of this id is a node, so that a request is not cut off from its caller.
 * A trace that neither a parent nor a link joins to the rest hangs, by `same_id`, at the span of an earlier trace that began last before it and was running
 * then, else that began last: a guess by time, not measured.
 *
 * Units: times ns since 1970, durations ns; places as algo/layout.h. Durations are of the spans that enter.
 * Limits: FLOW_NODES_MAX nodes, the first ones; the rest is counted in `left_out`. Time: about traces × spans.
 * Owner: the arena. Threads: any. Errors: ERR_LIMIT (the arena).
 */
#pragma once

#include "algo/layout.h"
#include "insight/correlation.h"
#include "insight/topology.h"

enum { FLOW_NODES_MAX = 500 };
enum flow_join { FLOW_CALL, FLOW_LINK, FLOW_SAME_ID, FLOW_JOINS };
extern const char *const flow_join_names[FLOW_JOINS]; /* "call", "link", "same_id" */

struct flow_node {
    enum topology_kind kind;
    struct str service;   /* or what the peer is called */
    struct str operation; /* p NULL: a service, or a peer */
    uint64_t calls, call_errors;
    int64_t duration_sum, duration_max;
    uint64_t spans, errors; /* all of its own; 0: a peer, or a caller of another id */
    int64_t first_seen;
    struct layout_point at;
};
struct flow_edge {
    uint32_t from, to; /* nodes */
    enum flow_join join;
    uint64_t calls, errors;
    int64_t duration_sum, duration_max;
    int64_t first_seen;
    const struct layout_point *bends;
    uint32_t bend_count;
};
struct flow {
    struct flow_node *nodes; /* by first_seen */
    uint32_t n;
    struct flow_edge *edges; /* by first_seen */
    size_t edge_count;
    uint64_t left_out; /* spans without a node */
    float width, height;
};

/* What it is made of: spans by time, with what is known of each beside it. */
struct flow_peer {
    enum topology_kind kind;
    struct str name; /* empty: none */
};
struct flow_link { /* of span `span` of the rows to another one, of any trace here */
    uint32_t span, trace;
    uint64_t span_id;
};
struct flow_input {
    const struct query_id_row *rows;
    size_t n;
    const bool *mine;              /* one a row */
    const struct flow_peer *peers; /* one a row */
    const struct flow_link *links;
    size_t link_count;
    const struct str *texts;
    uint32_t trace_count;
};
struct flow_request {
    bool by_operation;
    uint32_t nodes_max; /* 1 .. FLOW_NODES_MAX */
};
err flow_make(struct arena *a, const struct flow_request *r, const struct flow_input *in, struct flow *out);
err flow_read(struct query *q, const struct flow_request *r, const struct correlation_details *of, struct flow *out);
