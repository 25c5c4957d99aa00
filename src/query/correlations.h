/* The rows of all ids of a range, for a list of them: what insight/correlation.h sums up.
 *
 *   rows that carry an id, in the range ─▶ ids, traces, pairs of both ─▶ rows of these traces, in the range and QUERY_IDS_MARGIN_NS around it ─▶ each row's id
 *
 * Two scans a signal, of ids, services, names and times alone. A row is given with the id that it has by id_rows.h, if that is listed and its trace
 * carries it in the range: the same rows that query_correlation calls `mine`, but for those further away than the margin, and for what the limits cut.
 *
 * Limits: QUERY_IDS_MAX ids and QUERY_IDS_TRACES_MAX traces: those whose carrying rows are the newest, by row groups; QUERY_IDS_ROWS_MAX rows, again the newest;
 * `cut` says that one was met. Memory, deadline, errors: as query.h.
 */
#pragma once

#include "query/id_rows.h"

enum {
    QUERY_IDS_MAX = 20000,
    QUERY_IDS_TRACES_MAX = 200000,
    QUERY_IDS_ROWS_MAX = 1000000,
    QUERY_IDS_TEXTS_MAX = 50000
};
#define QUERY_IDS_MARGIN_NS ((int64_t)900 * 1000000000)

struct query_correlations {
    int64_t time_min, time_max;             /* of rows that carry an id */
    struct str environment;                 /* of the same rows; p NULL: any */
    struct str attribute;                   /* as of query_correlation */
    struct str search;                      /* the id has this somewhere, ASCII case aside; empty: any */
    bool derived;                           /* also traces without any id, by the derived one */
    struct str prefix;                      /* of derived ids; empty: there are none */
    uint32_t ids_max, traces_max, rows_max; /* 0: as above, which are also the most */
};

struct query_correlations_answer {
    struct query_id_row *rows; /* all with an id that is listed; equal spans (11) once */
    size_t n, n_all;           /* behind them, up to n_all, the other rows of traces that are `apart` */
    bool *apart;               /* by trace: its clocks may be (id_rows.h); NULL: those of none */
    const struct str *ids;     /* those that rows name, and others */
    uint32_t id_count;
    const struct str *texts; /* services and operations; QUERY_IDS_TEXTS_MAX: "_other" */
    uint32_t text_count;
    const unsigned char (*traces)[16];
    uint32_t trace_count;
    bool cut;
};
err query_correlations(struct query *q, const struct query_correlations *r, struct query_correlations_answer *out);
