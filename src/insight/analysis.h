/* What one trace tells: where its time went, what failed first, what was slower than usual, what was done again and again, where nothing happened.
 *
 *   query_trace ─▶ trace_tree ─┐
 *   rollups of the day before ─┴─▶ analysis_make (pure) ─▶ path, services, cause, slow, repeats, gaps ─▶ summary
 *
 * Times are corrected ones (trace_tree.h). Children count while they lie within their parent.
 *
 * Critical path: from the end of the root backwards: the child that ended last, then the one that ended last before that one began, and so on; each
 * the same way within the time that it was waited for. What is left of a span there is its self time on the path; together they are the root's duration.
 * Cause: of the failed spans without a failed span below them the one with most failed ancestors, then the deepest, then the first to end.
 * Slow: longer than the p95 of the same service and operation, environment included, over the day before the trace, if that saw ANALYSIS_USUAL_LEAST spans. One
 * in twenty is, on any day: those are first that exceed it by most.
 * Repeats: one parent called the same operation of the same service ANALYSIS_REPEATS_LEAST times or more.
 * Gaps: stretches of a parent, of a tenth of the trace and 1 ms at least, in which no child of it ran.
 *
 * Units: ns. Limits: the enum; what is over them is counted. Owner: the arena. Threads: any, one a query. Errors: as query.h.
 */
#pragma once

#include "insight/trace_tree.h"
#include "query/aggregate.h"

enum {
    ANALYSIS_PATH_MAX = 100,
    ANALYSIS_SERVICES_MAX = 200,
    ANALYSIS_COMPARED_MAX = 32, /* services whose usual figures are read: those with most spans */
    ANALYSIS_CHAIN_MAX = 64,
    ANALYSIS_LIST_MAX = 20, /* slow, repeats, gaps */
    ANALYSIS_REPEATS_LEAST = 10,
    ANALYSIS_USUAL_LEAST = 20
};
#define ANALYSIS_GAP_LEAST_NS ((int64_t)1000000)

/* Spans are indexes of the tree. */
struct analysis_step {
    uint32_t span;
    int64_t self_ns; /* on the path */
};
struct analysis_service {
    uint32_t service, spans, errors;
    int64_t self_ns, path_ns; /* self time in all, and on the critical path */
    int64_t total_ns;         /* while at least one of its spans ran */
};
/* What a call is usually like; spans 0: not known. */
struct analysis_usual {
    uint64_t spans;
    int64_t p95_ns;
};
struct analysis_slow {
    uint32_t span;
    struct analysis_usual usual;
};
struct analysis_repeat {
    uint32_t parent, call, count;
    uint32_t first; /* the first of them */
    int64_t total_ns;
};
struct analysis_gap {
    uint32_t span;
    int64_t start, duration;
};

struct analysis {
    int64_t start, duration; /* of the whole trace, corrected */
    uint32_t errors;
    const struct analysis_step *path; /* those with most self time, in the order of the tree */
    size_t path_n;
    uint64_t path_found;
    const struct analysis_service *services; /* most self time first */
    size_t service_n;
    uint32_t cause, origins; /* TREE_NONE; failed spans without a failed one below */
    const uint32_t *chain;   /* from the cause to its root */
    size_t chain_n;
    bool chain_cut;
    uint64_t compared;                /* spans whose usual is known */
    const struct analysis_slow *slow; /* the most over usual first */
    size_t slow_n;
    uint64_t slow_found;
    const struct analysis_repeat *repeats; /* most calls first */
    size_t repeat_n;
    uint64_t repeat_found;
    const struct analysis_gap *gaps; /* longest first */
    size_t gap_n;
    uint64_t gap_found;
    struct str summary;
};

/* usual: one for each of t->calls; NULL: none is known. */
err analysis_make(struct arena *a, const struct trace_tree *t, const struct analysis_usual *usual,
                  struct analysis *out);

/* What a failed span says of itself. */
struct analysis_error {
    struct str type, message; /* as analysis_error_name says; the status message, else the exception's. May be "" */
};
/* Of error.type or a status code, and the type of its exception: a name before a number, else what is there. */
struct str analysis_error_name(struct str error, struct str exception);
/* Of its last exception alone: the one that got out. */
struct analysis_error analysis_exception_of(const struct batch *b, uint32_t row, struct arena *a);
struct analysis_error analysis_error_of(const struct batch *b, uint32_t row, struct arena *a);

struct trace_analysis {
    struct query_trace_answer trace;
    struct trace_tree tree;
    struct analysis of;
    int64_t usual_min, usual_max; /* the day before */
    uint32_t not_compared;        /* services beyond ANALYSIS_COMPARED_MAX */
};
err analysis_read(struct query *q, const unsigned char trace_id[16], struct trace_analysis *out);
