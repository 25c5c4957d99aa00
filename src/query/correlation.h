/* What an id ties together: the rows that came with it, the traces that these are of, and all spans and log records of those traces.
 *
 *   id ─▶ rows that carry it, in the range ─▶ their traces ─▶ all rows of these, whenever they were
 *    ├─ PREFIX-<last 16 hex digits of a trace id> ─▶ traces that end so ──────┤
 *    └─ 32 hex digits ─▶ the trace of that id ────────────────────────────────┘
 *
 * Each row has an id (id_rows.h): its own, its ancestor's, its trace's, else the derived one. So rows of one answer may have several ids: a trace may
 * carry many. `mine` are those whose id is the one asked for; by one of the two forms of a trace id, all rows of such traces, also where an id arrived late.
 *
 * Instead of the correlation id, any attribute may be the id: order.id, user.id. Then nothing is derived, and no form of a trace id is known.
 *
 * Limits: 500 traces, 10,000 rows of each kind: what is over them is left out, traces whose carrying rows are the newest first, and the answer
 * says so. A trace all of whose rows with the id are over them is left out whole, so that counts and lists agree. Memory, deadline, cancellation, errors: as query.h. An id that nothing carries is an empty answer.
 */
#pragma once

#include "query/id_rows.h"

enum { QUERY_CORRELATED_TRACES_MAX = 500, QUERY_CORRELATED_ROWS_MAX = 10000 };

struct query_correlation {
    struct str id;
    int64_t time_min, time_max; /* of rows that carry the id, or are of a trace in a form of its id */
    struct str environment;     /* of the same rows; p NULL: any */
    struct str
        attribute; /* the key of the attribute that is the id, as where_parse_key takes it; empty: the correlation id */
    struct str prefix;           /* of derived ids; empty: there are none */
    size_t traces_max, rows_max; /* 0: as above, which are also the most */
};

struct query_correlated_row {
    uint32_t row;   /* of the batch */
    uint32_t trace; /* of the answer; QUERY_NO_TRACE: of none, or of one that was left out */
    enum query_id_from from;
    struct str id; /* empty: from none, as nothing is derived */
    bool mine;
};
struct query_correlated_trace {
    unsigned char trace_id[16];
    int64_t start, end;           /* of its rows here */
    uint32_t spans, errors, logs; /* rows here */
    uint32_t carrying;            /* of these with the id asked for as their own */
};
struct query_correlation_answer {
    struct batch spans, logs;                                /* a kind without rows has a batch of none */
    const struct query_correlated_row *span_rows, *log_rows; /* by time; equal spans (11) once */
    size_t span_count, log_count;
    const struct query_id_row *rows; /* the same, spans and then logs */
    const struct str *texts;         /* their services and operations are numbers of these */
    uint32_t text_count;
    const struct query_correlated_trace *traces; /* by start */
    size_t trace_count;
    bool traces_cut, spans_cut, logs_cut; /* there is more: the answer is partial */
};
err query_correlation(struct query *q, const struct query_correlation *r, struct query_correlation_answer *out);
/* The column of an attribute that is used as an id. ERR_INVALID: no name of one, or one of an event. */
err query_id_column(struct query *q, struct str attribute, struct column_ref *out);
/* The text of a derived id, or "": there are none. */
struct str query_derived_id(struct query *q, struct str prefix, const unsigned char trace_id[16]);
