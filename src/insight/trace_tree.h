/* One trace as an array that can be computed on, with the clocks of its services put right.
 *
 *   query_trace ─ trace_tree_make ─▶ spans: parent, service, call, times │ clocks: how far each is ahead ─▶ corrected starts
 *
 * A span that serves a call lies within the span that calls, if one clock measured both. Services have a clock each, so a call tells by how
 * much the server's may be ahead of the client's:
 *
 *        caller  ├────────────────────────┤          ahead is at least  end of server − end of caller,
 *        server          ├──────────┤ ───▶           and at most        start of server − start of caller
 *
 * Of all calls between two services, in either direction, the figure that most of them allow is taken: 0 if it is one of them, else the middle. (Of one
 * call that is the midpoint rule of Jaeger's adjuster.) Calls whose server worked longer than its caller count only where no other does, and
 * are then moved no farther than that they begin while their caller is there. Less than SKEW_LEAST_NS is taken for 0: many SDKs measure milliseconds. From the clock of the root the figures are added up along
 * calls; a service that no call ties to it has no figure.
 *
 * Invariants: (1) spans are in the order of the query's answer: parents before children. (2) Stored times are never changed: a corrected start is the
 * stored one less what its clock is ahead. (3) Nothing recurses.
 * Units: ns. Limits: those of query_trace (100,000 spans). Owner: the arena, the answer's memory. Threads: any. Errors: ERR_LIMIT.
 */
#pragma once

#include "base/arena.h"
#include "query/query.h"

enum { TREE_NONE = UINT32_MAX };
#define SKEW_LEAST_NS ((int64_t)1000000)

struct tree_span {
    uint64_t id;
    uint32_t parent; /* index; TREE_NONE of a root, of one whose parent is missing, and where a ring was cut */
    uint32_t depth, service, call, kind;
    bool failed;
    int64_t stored_start, start, duration; /* start: corrected */
};
/* An operation of a service. */
struct tree_call {
    uint32_t service;
    struct str operation;
};
struct tree_clock {
    bool is_known;    /* 0 may be known, too */
    int64_t ahead_ns; /* of the root's; behind if less than 0 */
    uint32_t calls;   /* that told so */
    uint32_t against; /* calls between the same two services that do not fit it */
};
struct trace_tree {
    struct tree_span *spans;
    uint32_t n;
    uint32_t root; /* whose clock is the measure: the first without a parent, else the first */
    struct str *services;
    struct tree_clock *clocks; /* by service */
    uint32_t service_count;
    struct tree_call *calls;
    uint32_t call_count;
    bool is_corrected; /* a clock is ahead or behind */
};

/* Of an answer with at least one span. */
err trace_tree_make(struct arena *a, const struct query_trace_answer *t, struct trace_tree *out);
/* Fills t->clocks, t->is_corrected and the starts of its spans. */
err trace_tree_correct(struct arena *a, struct trace_tree *t);
