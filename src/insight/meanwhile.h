/* What the metrics of a request's services did while it ran: few charts a service, each by a query in PromQL that a reader can go on with, and
 * the exemplars that name one of the request's traces (label trace_id) or its id (correlation_id).
 *
 *   services of the request ─▶ traces_spanmetrics_* of each: calls, errors, 95th percentile ───────────┐
 *            │                 (counted from rollups: query/series/series.h)                            ├─▶ promql over the window
 *            └─▶ names of series of service_name="x", else job="x", else job=~"NAMESPACE/x" ─ by type ──┘
 *
 * The window begins ten times the request's duration before it, 5 minutes at least and 6 hours at most, and ends as long as it took after it, a
 * minute to an hour; never after now. A counter is shown as its rate, a histogram by its 95th percentile, anything else as it is.
 * Charts without a sample are left out.
 *
 * Units: times ns, values as the query has them, NaN where there is none. Limits: MEANWHILE_… below; `cut` says that one was met.
 * Owner: what the answer points to is its query's, and its source's until meanwhile_done. Threads: any, one a query. Errors: as query/series/series.h.
 */
#pragma once

#include "insight/correlation.h"
#include "query/series/series.h"

enum { MEANWHILE_SERVICES_MAX = 10, MEANWHILE_NAMES_MAX = 12, MEANWHILE_ROWS_MAX = 5, MEANWHILE_STEPS = 60 };
enum { MEANWHILE_EXEMPLARS_MAX = 100, MEANWHILE_EXEMPLAR_SERIES_MAX = 2000 };

struct meanwhile_chart {
    struct str service, metric, query;
    const struct promql_row *rows; /* of promql.h, over the steps */
    size_t n;                      /* at most MEANWHILE_ROWS_MAX */
};
struct meanwhile_exemplar {
    struct str service;
    struct labels series, labels; /* labels: of the exemplar itself */
    double value;
    int64_t time;
    unsigned char trace_id[16]; /* of the request; zero: it names the id alone */
};
struct meanwhile {
    int64_t start, end, step; /* of the charts: end - start is a multiple of step */
    size_t step_n;
    const struct meanwhile_chart *charts; /* by service, in the order of the summary; its spans' first */
    size_t chart_count;
    const struct meanwhile_exemplar *exemplars; /* by service, then series */
    size_t exemplar_count;
    bool cut;
    struct series_source source;
};
/* now: wall time. After an error, too, meanwhile_done is due. */
err meanwhile_read(struct query *q, const struct correlation_details *of, int64_t now, struct meanwhile *out);
void meanwhile_done(struct meanwhile *m);
/* The window of a request, in whole minutes. */
void meanwhile_window(const struct correlation *c, int64_t now, int64_t *out_start, int64_t *out_end,
                      int64_t *out_step);
