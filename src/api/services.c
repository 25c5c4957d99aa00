/* How services do, over time and now, as JSON: GET /api/v1/services/timeseries and /api/v1/services/health. */
#include "api/api_priv.h"
#include "insight/health.h"
#include "query/aggregate.h"

/* ---- over time -------------------------------------------------------------------------------------------------- */

static int64_t mean_of(const struct query_span_stats *s) { return s->duration_sum / (int64_t)s->spans; }
static int64_t p50_of(const struct query_span_stats *s) { return s->quantiles[QUERY_P50]; }
static int64_t p95_of(const struct query_span_stats *s) { return s->quantiles[QUERY_P95]; }
static int64_t p99_of(const struct query_span_stats *s) { return s->quantiles[QUERY_P99]; }

static const struct {
    const char *name;
    int64_t (*of)(const struct query_span_stats *s);
} durations[] = {
    {"bucket_mean_ns", mean_of}, {"bucket_p50_ns", p50_of}, {"bucket_p95_ns", p95_of}, {"bucket_p99_ns", p99_of}};

/* Of a bucket without a span, durations are null. */
static err write_line(struct answer *a, const struct query_service_line *s, size_t buckets) {
    struct json_writer *w = &a->w;
    json_object(w);
    json_member(w, "service", str, s->service);
    write_span_stats(w, &s->stats);
    json_key(w, STR("bucket_span_counts"));
    json_array(w);
    for (size_t i = 0; i < buckets; i++) json_u64(w, s->buckets[i].spans);
    json_array_end(w);
    json_key(w, STR("bucket_error_counts"));
    json_array(w);
    for (size_t i = 0; i < buckets; i++) json_u64(w, s->buckets[i].errors);
    json_array_end(w);
    for (size_t k = 0; k < LENGTH(durations); k++) {
        json_key(w, str_of(durations[k].name));
        json_array(w);
        for (size_t i = 0; i < buckets; i++) {
            if (s->buckets[i].spans)
                json_i64(w, durations[k].of(&s->buckets[i]));
            else
                json_null(w);
        }
        json_array_end(w);
    }
    json_object_end(w);
    return answer_settle(a);
}

static err write_timeseries(struct api_call *c, struct query *q, struct answer *a) {
    struct query_service_series r = {.step = call_number(c, "step", 0),
                                     .environment = call_text(c, "environment"),
                                     .service = call_text(c, "service"),
                                     .limit = (size_t)call_number(c, "limit", 50)};
    struct query_service_series_answer found;
    TRY(call_range(c, false, &r.time_min, &r.time_max));
    TRY(query_service_series(q, &r, &found));
    write_range(&a->w, found.time_min, found.time_max);
    json_member(&a->w, "step_ns", i64, found.step);
    json_key(&a->w, STR("bucket_starts"));
    json_array(&a->w);
    for (size_t i = 0; i < found.bucket_count; i++) json_time(&a->w, found.first + (int64_t)i * found.step);
    json_array_end(&a->w);
    json_member(&a->w, "service_count", u64, found.found);
    json_key(&a->w, STR("services"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) TRY(write_line(a, &found.services[i], found.bucket_count));
    json_array_end(&a->w);
    json_member(&a->w, "other_count", u64, found.folded);
    return answer_settle(a);
}

void handle_service_timeseries(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_timeseries(c, &q, &a));
}

/* ---- health ----------------------------------------------------------------------------------------------------- */

static void write_figure(struct json_writer *w, const char *key, enum health_figure figure, double v) {
    json_key(w, str_of(key));
    if (figure == HEALTH_ERROR_RATIO)
        json_f64(w, v);
    else
        json_i64(w, (int64_t)v);
}

static void write_reason(struct json_writer *w, const struct health_reason *r) {
    json_object(w);
    json_member(w, "figure", text, health_figure_names[r->figure]);
    json_member(w, "status", text, health_status_names[r->status]);
    write_figure(w, "value", r->figure, r->value);
    write_figure(w, "limit", r->figure, r->limit);
    json_object_end(w);
}

static void write_health(struct json_writer *w, const struct service_health *s) {
    json_object(w);
    json_member(w, "service", str, s->of->service);
    json_member(w, "namespace", str, s->of->space);
    json_member(w, "environment", str, s->of->environment);
    json_member(w, "status", text, health_status_names[s->health.status]);
    json_key(w, STR("reasons"));
    json_array(w);
    for (uint32_t i = 0; i < s->health.reason_count; i++) write_reason(w, &s->health.reasons[i]);
    json_array_end(w);
    write_span_stats(w, &s->of->stats);
    json_member(w, "last_seen", time, s->of->last_seen);
    json_object_end(w);
}

static void write_limits(struct json_writer *w, const char *status, double errors, int64_t p95_ns) {
    json_key(w, str_of(status));
    json_object(w);
    json_member(w, "error_ratio", f64, errors);
    json_member(w, "p95_ns", i64, p95_ns);
    json_object_end(w);
}

static struct health_limits read_limits(const struct api_call *c) {
    const struct health_limits *usual = &health_limits_default;
    struct health_limits l = *usual;
    if (call_given(c, "degraded_error_percent"))
        l.degraded_errors = (double)call_number(c, "degraded_error_percent", 0) / 100;
    if (call_given(c, "critical_error_percent"))
        l.critical_errors = (double)call_number(c, "critical_error_percent", 0) / 100;
    l.degraded_p95_ns = call_number(c, "degraded_p95", usual->degraded_p95_ns);
    l.critical_p95_ns = call_number(c, "critical_p95", usual->critical_p95_ns);
    return l;
}

static err write_services_health(struct api_call *c, struct query *q, struct answer *a) {
    struct health_limits limits = read_limits(c);
    struct services_health found;
    int64_t start, end;
    TRY(call_range(c, false, &start, &end));
    TRY(health_read(q, start, end, call_text(c, "environment"), call_text(c, "service"), &limits, &found));
    write_range(&a->w, found.time_min, found.time_max);
    json_key(&a->w, STR("limits"));
    json_object(&a->w);
    write_limits(&a->w, "degraded", limits.degraded_errors, limits.degraded_p95_ns);
    write_limits(&a->w, "critical", limits.critical_errors, limits.critical_p95_ns);
    json_object_end(&a->w);
    json_member(&a->w, "healthy_count", u64, found.counts[HEALTH_HEALTHY]);
    json_member(&a->w, "degraded_count", u64, found.counts[HEALTH_DEGRADED]);
    json_member(&a->w, "critical_count", u64, found.counts[HEALTH_CRITICAL]);
    json_key(&a->w, STR("services"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        write_health(&a->w, &found.services[i]);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_member(&a->w, "other_count", u64, found.folded);
    return answer_settle(a);
}

void handle_services_health(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_services_health(c, &q, &a));
}
