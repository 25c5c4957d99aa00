#include "insight/health.h"

#include <stdlib.h>

const char *const health_status_names[HEALTH_STATUSES] = {
    [HEALTH_HEALTHY] = "healthy", [HEALTH_DEGRADED] = "degraded", [HEALTH_CRITICAL] = "critical"};
const char *const health_figure_names[HEALTH_FIGURES] = {[HEALTH_ERROR_RATIO] = "error_ratio", [HEALTH_P95] = "p95_ns"};
const struct health_limits health_limits_default = {.degraded_errors = HEALTH_DEGRADED_ERROR_PERCENT / 100.0,
                                                    .critical_errors = HEALTH_CRITICAL_ERROR_PERCENT / 100.0,
                                                    .degraded_p95_ns = 500 * (int64_t)1000000,
                                                    .critical_p95_ns = 1000 * (int64_t)1000000};

static void look_at(struct health *h, enum health_figure figure, double value, double degraded, double critical) {
    struct health_reason reason = {.figure = figure, .status = HEALTH_HEALTHY, .value = value};
    if (value > critical) {
        reason.status = HEALTH_CRITICAL;
        reason.limit = critical;
    } else if (value > degraded) {
        reason.status = HEALTH_DEGRADED;
        reason.limit = degraded;
    } else {
        return;
    }
    uint32_t at = h->reason_count++;
    for (; at > 0 && h->reasons[at - 1].status < reason.status; at--) h->reasons[at] = h->reasons[at - 1];
    h->reasons[at] = reason;
    h->status = MAX(h->status, reason.status);
}

struct health health_judge(const struct query_span_stats *s, const struct health_limits *limits) {
    struct health h = {.status = HEALTH_HEALTHY};
    if (!s->spans) return h;
    look_at(&h, HEALTH_ERROR_RATIO, (double)s->errors / (double)s->spans, limits->degraded_errors,
            limits->critical_errors);
    look_at(&h, HEALTH_P95, (double)s->quantiles[QUERY_P95], (double)limits->degraded_p95_ns,
            (double)limits->critical_p95_ns);
    return h;
}

const char *health_of_errors(uint64_t calls, uint64_t errors) {
    struct query_span_stats s = {.spans = calls, .errors = errors}; /* of no duration */
    return calls ? health_status_names[health_judge(&s, &health_limits_default).status] : "unknown";
}

static int worst_first(const void *x, const void *y) {
    const struct service_health *a = x, *b = y;
    if (a->health.status != b->health.status) return a->health.status > b->health.status ? -1 : 1;
    if (a->of->stats.spans != b->of->stats.spans) return a->of->stats.spans > b->of->stats.spans ? -1 : 1;
    return (a->of > b->of) - (a->of < b->of); /* by environment, namespace, name */
}

err health_read(struct query *q, int64_t time_min, int64_t time_max, struct str environment, struct str service,
                const struct health_limits *limits, struct services_health *out) {
    struct query_service_spans_answer found;
    TRY(query_service_spans(q, time_min, time_max, environment, &found));
    struct services_health made = {.folded = found.folded, .time_min = found.time_min, .time_max = found.time_max};
    made.services = arena_array(&q->arena, struct service_health, found.n + 1);
    if (!made.services) return arena_err(&q->arena);
    for (size_t i = 0; i < found.n; i++) {
        const struct query_service_spans *of = &found.services[i];
        if (!of->stats.spans || (service.p && !str_equal(service, of->service))) continue;
        struct service_health *s = &made.services[made.n++];
        *s = (struct service_health){of, health_judge(&of->stats, limits)};
        made.counts[s->health.status]++;
    }
    if (made.n) qsort(made.services, made.n, sizeof *made.services, worst_first);
    *out = made;
    return NULL;
}
