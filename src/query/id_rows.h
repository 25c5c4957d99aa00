/* Rows as what ids are made out of: spans and log records with their place in a trace and the id that each has, or takes.
 *
 *   own id, else that of the nearest ancestor among the spans that has one (a log record: of its span), else that of the trace's earliest row
 *   that has one; of equal times spans count before log records, then the lesser text. What is derived of a trace is its caller's affair.
 *
 * Traces, ids, services and operations are numbers of lists that stand beside the rows. Times and durations: ns.
 * Two spans of a trace with one span id are told apart by nobody who names it as a parent: the earlier counts. Rings of parents end where they
 * were entered.
 */
#pragma once

#include "query/query.h"

enum query_id_from { QUERY_ID_NONE, QUERY_ID_OWN, QUERY_ID_ANCESTOR, QUERY_ID_TRACE, QUERY_ID_DERIVED, QUERY_ID_FROMS };
enum { QUERY_NO_TRACE = UINT32_MAX, QUERY_NO_ID = UINT32_MAX, QUERY_ID_BYTES_MAX = 1024 /* a longer value is no id */ };

struct query_id_row {
    int64_t time, duration;      /* duration: of spans; 0 if it is negative */
    uint64_t span_id, parent_id; /* a log record's: the span that it is of, 0 */
    uint32_t trace;              /* QUERY_NO_TRACE: of none */
    uint32_t id;                 /* its own; once resolved, what it takes; QUERY_NO_ID: none */
    uint32_t service, operation; /* operation: of spans */
    uint8_t signal, kind, from;
    bool failed; /* a span with status 2 */
};

/* What one clock can be off by itself. */
#define QUERY_CLOCK_LEAST_NS ((int64_t)1000000)

/* Fills id and from of rows that have none; texts[id] are compared. QUERY_NO_ID stays where the whole trace has none. `traces`: how many.
 * `apart`, of a bool a trace, NULL: not asked for: set where a SERVER's span is not within that of another service that it serves, give or take
 * QUERY_CLOCK_LEAST_NS. Of a trace without such a call clocks are taken for equal (insight/trace_tree.h). */
err query_id_rows_resolve(struct query *q, struct query_id_row *rows, size_t n, uint32_t traces,
                          const struct str *texts, bool *apart);
