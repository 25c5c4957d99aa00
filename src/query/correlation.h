/* What an id ties together: the rows that came with it, the traces that these are of, and all spans and log records of those traces.
 *
 *   id ─▶ rows that carry it, in the range ─▶ their traces ─▶ all rows of these, whenever they were
 *    └─ PREFIX-<last 16 hex digits of a trace id> ─▶ traces that end so ──────┘
 *
 * Each row has an id: its own, else that of its nearest ancestor among the spans that has one (a log record: its span's), else that of the
 * trace's earliest row that has one, else the derived one. So rows of one answer may have several ids: a trace may carry many. An id in
 * the derived form also finds its trace when an id arrived there late.
 *
 * Limits: 500 traces, 10,000 rows of each kind: what is over them is left out, traces whose carrying rows are the newest first, and the answer
 * says so. Memory, deadline, cancellation, errors: as query.h. An id that nothing carries is an empty answer.
 */
#pragma once

#include "query/query.h"

enum { QUERY_CORRELATED_TRACES_MAX = 500, QUERY_CORRELATED_ROWS_MAX = 10000 };

struct query_correlation {
    struct str id;
    int64_t time_min, time_max;  /* of rows that carry the id, or are of a trace in the derived form */
    struct str prefix;           /* of derived ids; empty: there are none */
    size_t traces_max, rows_max; /* 0: as above, which are also the most */
};

enum query_id_from { QUERY_ID_NONE, QUERY_ID_OWN, QUERY_ID_ANCESTOR, QUERY_ID_TRACE, QUERY_ID_DERIVED };

struct query_correlated_row {
    uint32_t row;   /* of the batch */
    uint32_t trace; /* of the answer; UINT32_MAX: of none, or of one that was left out */
    enum query_id_from from;
    struct str id; /* empty: from none, as nothing is derived */
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
    const struct query_correlated_trace *traces; /* by start */
    size_t trace_count;
    bool traces_cut, spans_cut, logs_cut; /* there is more: the answer is partial */
};
err query_correlation(struct query *q, const struct query_correlation *r, struct query_correlation_answer *out);
