/* How services are: healthy, degraded or critical, with the figures that say so.
 *
 *   rollups ─ query_service_spans ─▶ figures by service ─▶ health_judge (pure) ─▶ status, reasons
 *
 * A service is critical if the share of its failed spans is over `critical_errors`, or the p95 of its spans' durations over `critical_p95_ns`; else
 * degraded if over those of degraded; else healthy. By default (health_limits_default) critical is over 5 % or 1 s, degraded over 1 % or 500 ms: the one
 * set of limits of clew, that maps, lists and the page go by as well, with errors alone (health_of_errors).
 * Every figure that is over a limit is a reason; a p95 is right to 4.4 % (query/rollups.h). Spans are of all kinds; equal names of one environment and
 * namespace are one service. A service without a span in the range is not listed.
 *
 * Owner: the arena of the query. Threads: any, one a query. Errors: as query.h.
 */
#pragma once

#include "query/rollups.h"

enum health_status { HEALTH_HEALTHY, HEALTH_DEGRADED, HEALTH_CRITICAL, HEALTH_STATUSES };
extern const char *const health_status_names[HEALTH_STATUSES];
enum health_figure { HEALTH_ERROR_RATIO, HEALTH_P95, HEALTH_FIGURES };
extern const char *const health_figure_names[HEALTH_FIGURES]; /* "error_ratio", "p95_ns" */

/* Of the default limits, as text of documents, too. */
#define HEALTH_DEGRADED_ERROR_PERCENT 1
#define HEALTH_CRITICAL_ERROR_PERCENT 5

struct health_limits {
    double degraded_errors, critical_errors; /* ratios, 0 .. 1 */
    int64_t degraded_p95_ns, critical_p95_ns;
};
extern const struct health_limits health_limits_default;

/* A figure that is over a limit: ratios, or ns as a whole number. */
struct health_reason {
    enum health_figure figure;
    enum health_status status; /* what the figure alone would make it */
    double value, limit;
};
struct health {
    enum health_status status;
    struct health_reason reasons[HEALTH_FIGURES]; /* the worst first */
    uint32_t reason_count;
};
/* Of spans 0: healthy. */
struct health health_judge(const struct query_span_stats *s, const struct health_limits *limits);

/* What failures alone make of calls, by the default limits; of no calls "unknown". */
const char *health_of_errors(uint64_t calls, uint64_t errors);

struct service_health {
    const struct query_service_spans *of;
    struct health health;
};
struct services_health {
    struct service_health *services; /* the worst first, then most spans */
    size_t n;
    uint64_t counts[HEALTH_STATUSES]; /* services */
    uint64_t folded;                  /* spans counted under `_other` */
    int64_t time_min, time_max;       /* whole minutes */
};
/* environment, service p NULL: all. */
err health_read(struct query *q, int64_t time_min, int64_t time_max, struct str environment, struct str service,
                const struct health_limits *limits, struct services_health *out);
