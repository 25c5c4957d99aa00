/* Requests across signals: a list of the ids of a range, and one of them whole.
 *
 *   query/correlations ─ rows of all ids ─┐
 *                                         ├─▶ correlations_make (pure) ─▶ summaries, newest first
 *   query/correlation ── rows of one ─────┘
 *
 * Both are summed up by one function, so that a list says what its details show, for the same range: rows count for the id that they have
 * (query/id_rows.h). They differ for what lies further from the range than QUERY_IDS_MARGIN_NS, and where limits cut.
 *
 * Clocks that are apart: those of one are put right trace by trace, as trace_tree.h says, each by the clock of its own root. Its summary, its traces
 * and its timeline are by right times; rows keep the stored ones, and `skew` is what they are less. A list is by right times as well, for as many
 * rows as CORRELATIONS_MENDED_MAX of traces that need it, the newest first; ids of the others say `clock_skew`.
 *
 * Units: times ns since 1970, durations ns. An error is a span with status 2.
 * Pages: a cursor names the last request given by its first_seen and its id, so ids that come meanwhile move nothing; what got an earlier row
 * meanwhile may come again. Each page reads the range again.
 * Limits: those of query/correlations.h and query/correlation.h; CORRELATIONS_MAX a list, CORRELATION_SERVICES_MAX names of services of one, CORRELATION_CLOCKS_MAX clocks.
 * Owner: the arena of the query. Threads: any, one a query. Errors: as query.h; ERR_NOT_FOUND: nothing has the id.
 */
#pragma once

#include "query/correlation.h"
#include "query/correlations.h"

enum {
    CORRELATIONS_MAX = 1000,
    CORRELATION_SERVICES_MAX = 200,
    CORRELATIONS_CURSOR_MAX = 40,
    CORRELATION_CLOCKS_MAX = 200,
    CORRELATIONS_MENDED_MAX = 100000
};

struct correlation {
    struct str id;
    int64_t first_seen, last_seen; /* the first start and the last end of its rows */
    const struct str *services;    /* by name */
    uint32_t service_count;        /* all of them; listed are CORRELATION_SERVICES_MAX */
    uint32_t traces;
    uint64_t spans, logs, errors;
    struct str root_service,
        root_operation; /* the first span without a parent, else the first span, else the first log record */
    unsigned char root_trace_id[16]; /* zero: of none */
    int64_t longest;                 /* of its spans; 0 without any */
    bool clock_skew;                 /* clocks of its services may be apart, and its times are as they were stored */
};

struct correlations_request {
    struct query_correlations ids;
    struct str service;   /* one of its rows is of it; p NULL: any */
    bool failed;          /* with errors alone */
    int64_t duration_min; /* last_seen - first_seen */
    size_t limit;         /* 1 .. CORRELATIONS_MAX */
    struct str cursor;    /* empty: the first page */
};
struct correlations {
    const struct correlation *correlations; /* by first_seen, the newest first */
    size_t n;
    uint64_t found;                            /* that fulfil the filters, of which the first `limit` are given */
    bool cut;                                  /* older ones, or rows of some, are left out */
    char next_cursor[CORRELATIONS_CURSOR_MAX]; /* empty: no more */
};
err correlations_make(struct arena *a, const struct correlations_request *r, const struct query_correlations_answer *in,
                      struct correlations *out);
/* Makes the times of in's rows the right ones, trace by trace; `apart` stays where that was not done: more than `rows_max` rows. */
err correlations_correct(struct arena *a, struct query_correlations_answer *in, uint32_t rows_max);
err correlations_read(struct query *q, const struct correlations_request *r, struct correlations *out);

/* One thing that happened. */
struct correlation_item {
    bool is_log;
    uint32_t at; /* of the answer's span_rows or log_rows */
};
struct correlation_clock {
    uint32_t trace; /* of the answer's traces */
    struct str service;
    int64_t ahead_ns; /* of the root's; behind if less than 0 */
    uint32_t calls;   /* that told so */
    uint32_t against; /* calls between the same two services that do not fit it */
};
struct correlation_details {
    struct correlation summary;
    struct query_correlation_answer rows;    /* also those of other ids that its traces have: see `mine` */
    const struct correlation_item *timeline; /* its own rows by right times; of equal times spans first */
    size_t item_count;
    const struct query_correlated_trace *traces; /* rows.traces by right times */
    const int64_t *skew;                    /* one a row of rows.rows: its time less this is right; NULL: all are */
    const struct correlation_clock *clocks; /* that are ahead or behind */
    uint32_t clock_count;
    uint64_t clocks_left_out;
};
err correlation_read(struct query *q, const struct query_correlation *r, struct correlation_details *out);
/* Fills traces, skew and clocks out of d->rows, all of which are zero before. */
err correlation_correct(struct arena *a, struct correlation_details *d);
static inline int64_t correlation_skew(const struct correlation_details *d, size_t row) {
    return d->skew ? d->skew[row] : 0;
}
