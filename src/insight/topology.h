/* The map of a system: services, the databases, messaging systems and peers that they call, and who calls whom, of any range, as a graph with
 * places to draw it at.
 *
 *   rollups ─ services, edges ─┐
 *   resources ─ facts ─────────┴─▶ topology_make ─▶ nodes by name, edges between them ─▶ (neighbourhood) ─▶ (places)
 *
 * A node is a service if it sends spans or calls others; else what the connection says that it is. One that is called by one environment's services
 * belongs to that environment. Nodes are in order of environment, namespace, name and kind, so the same services are drawn at the same places
 * whatever their figures are. An edge is a pair of nodes: connections of several kinds between them are added up, and the strongest named.
 *
 * Messages from one service to another are edges to and from the destination that both name; the edge between the two, which rollups have of the same
 * messages, is left out then.
 *
 * A neighbourhood does not go on through peers (`user`, whoever calls without spans) and `_other`: their neighbours have nothing else in common.
 * A database or a messaging system does join those that use it.
 *
 * Units: times ns since 1970, durations ns, places as algo/layout.h. Whole minutes: the answer says which.
 * Limits: TOPOLOGY_NODES_MAX nodes: those with most calls; of a neighbourhood those nearest. The rest is counted in `left_out`.
 * Owner: the arena of the query. Threads: any, one a query. Errors: as query.h.
 */
#pragma once

#include "algo/layout.h"
#include "query/facts.h"
#include "query/rollups.h"

enum { TOPOLOGY_NODES_MAX = 2000, TOPOLOGY_STEPS_MAX = 10 };
enum topology_kind { TOPOLOGY_SERVICE, TOPOLOGY_DATABASE, TOPOLOGY_MESSAGING, TOPOLOGY_PEER, TOPOLOGY_KINDS };
extern const char *const topology_kind_names[TOPOLOGY_KINDS]; /* "service", "database", "messaging", "peer" */

struct topology_node {
    enum topology_kind kind;
    struct str environment, space, name;
    const struct query_service_facts
        *facts;                    /* NULL: its resources are not there (it sends nothing, or they are gone) */
    struct query_span_stats spans; /* all of its own; spans 0: none */
    uint64_t calls_in, errors_in;  /* calls by others, as edges count them */
    uint64_t calls_out, errors_out;
    int64_t last_seen;      /* as a span of its own or an end of an edge */
    uint32_t distance;      /* steps from the focus; 0 without one */
    struct layout_point at; /* if a layout was asked for */
};

/* By the calls that it gets; of one that nobody calls by its own spans: health_of_errors. */
const char *topology_error_status(const struct topology_node *n);

struct topology_edge {
    uint32_t client, server; /* indexes of nodes; equal: it calls itself */
    enum rollup_connection connection;
    uint64_t calls, errors;
    int64_t last_seen;
    struct query_span_stats as_client,
        as_server; /* spans 0: that side is not known. Of several connections that with most calls */
    const struct layout_point *bends;
    uint32_t bend_count;
};

struct topology_request {
    int64_t time_min, time_max;
    struct str environment; /* p NULL: all */
    struct str focus,
        focus_space; /* focus p NULL: all nodes; focus_space p NULL: of any namespace. Nothing is called so: no nodes */
    uint32_t steps;  /* from the focus, 1 .. TOPOLOGY_STEPS_MAX */
    uint32_t nodes_max; /* 1 .. TOPOLOGY_NODES_MAX */
    bool layout;
};

struct topology {
    struct topology_node *nodes;
    uint32_t n;
    struct topology_edge *edges; /* most calls first */
    size_t edge_count;
    uint64_t left_out;          /* nodes */
    uint64_t folded;            /* spans and calls counted under `_other` */
    int64_t time_min, time_max; /* the whole minutes that were looked at */
    float width, height;        /* of the layout */
};

/* What is put together. */
struct topology_input {
    struct query_service_spans_answer spans;
    struct query_topology_answer edges;
    struct query_facts_answer facts;
};
err topology_make(struct arena *a, const struct topology_request *r, const struct topology_input *in,
                  struct topology *out);
err topology_read(struct query *q, const struct topology_request *r, struct topology *out);
