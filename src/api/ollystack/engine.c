/* The AI engine's questions that need no AI: the health of services and their course. What needs one is refused with 503 until it is there. */
#include "api/ollystack/ollystack_priv.h"

#include <stdlib.h>

#include "base/text.h"
#include "insight/health.h"
#include "query/aggregate.h"
#include "query/rollups.h"

static const int64_t minute_ns = 60 * (int64_t)1000000000;
enum { WINDOW_MAX = 60 * 24 * 31, BUCKETS_MAX = QUERY_BUCKETS_MAX, SERVICES_MAX = QUERY_SERVICES_MAX };

void handle_olly_ai_absent(struct api_call *c) {
    olly_fail(c, 503,
              STR("the AI engine is not there yet: clew answers /services/health and /services/metrics/timeseries"));
}

/* ---- parameters ------------------------------------------------------------------------------------------------- */

/* FastAPI's answer to a query that it cannot read. */
static void fail_integer(struct api_call *c, const char *name, struct str input) {
    AUTO_BUF struct buf body;
    struct json_writer w;
    buf_init(&body, 64 * KIB);
    json_writer_init(&w, &body);
    json_object(&w);
    json_key(&w, STR("detail"));
    json_array(&w);
    json_object(&w);
    json_member(&w, "type", text, "int_parsing");
    json_key(&w, STR("loc"));
    json_array(&w);
    json_text(&w, "query");
    json_text(&w, name);
    json_array_end(&w);
    json_member(&w, "msg", text, "Input should be a valid integer, unable to parse string as an integer");
    json_member(&w, "input", str, input);
    json_object_end(&w);
    json_array_end(&w);
    json_object_end(&w);
    olly_answer_text(c, 422, buf_str(&body));
}

/* True if the parameters can be read; else the call has ended. */
static bool check_integers(struct api_call *c, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int64_t v;
        err e = olly_integer(c, names[i], 0, &v);
        if (!e) continue;
        err_free(e);
        fail_integer(c, names[i], call_text(c, names[i]));
        return false;
    }
    return true;
}

/* Minutes, 1 .. `most`. */
static int64_t minutes(const struct olly *o, const char *name, int64_t otherwise, int64_t most) {
    int64_t v = olly_integer_or(o->c, name, otherwise, otherwise);
    return v < 1 ? 1 : MIN(v, most);
}

static void write_stamp(struct olly *o) {
    json_key(o->w, STR("timestamp"));
    olly_python_time(o->w, o->c->now_ns);
}

/* ---- health ----------------------------------------------------------------------------------------------------- */

static void write_f64_2(struct json_writer *w, const char *key, double v) {
    json_key(w, str_of(key));
    olly_f64_2(w, v);
}

static double mean_ms(const struct query_span_stats *s) {
    return s->spans ? olly_ms((double)s->duration_sum / (double)s->spans) : 0;
}

/* Of the contract, §8: those of clew itself are stricter. */
static const struct health_limits limits = {.degraded_errors = 0.05,
                                            .critical_errors = 0.1,
                                            .degraded_p95_ns = 500 * (int64_t)1000000,
                                            .critical_p95_ns = 1000 * (int64_t)1000000};

static void write_health(struct json_writer *w, const struct query_service_stats *v) {
    const struct query_span_stats *s = &v->stats;
    double rate = olly_percent(s->errors, s->spans), p95 = olly_ms((double)s->quantiles[QUERY_P95]);
    json_object(w);
    json_member(w, "service", str, v->service);
    json_member(w, "status", text, health_status_names[health_judge(s, &limits).status]);
    json_key(w, STR("metrics"));
    json_object(w);
    json_member(w, "total_requests", u64, s->spans);
    json_member(w, "errors", u64, s->errors);
    write_f64_2(w, "error_rate", rate);
    write_f64_2(w, "avg_latency_ms", mean_ms(s));
    write_f64_2(w, "p95_latency_ms", p95);
    write_f64_2(w, "p99_latency_ms", olly_ms((double)s->quantiles[QUERY_P99]));
    json_object_end(w);
    json_object_end(w);
}

static err read_services(struct olly *o, int64_t window, struct str service, struct query_trace_stats_answer *out) {
    struct query_trace_stats r = {.step = window * minute_ns, .services = SERVICES_MAX};
    bool rolled;
    query_filter_init(&r.filter);
    r.filter.time_max = o->c->now_ns;
    r.filter.time_min = o->c->now_ns - window * minute_ns;
    if (service.n) r.filter.service = service;
    TRY(query_trace_stats_rolled(&o->q, &r, out, &rolled));
    return rolled ? NULL : query_trace_stats(&o->q, &r, out);
}

static err fill_health(struct olly *o) {
    struct query_trace_stats_answer found;
    int64_t window = minutes(o, "window_minutes", 5, WINDOW_MAX);
    TRY(read_services(o, window, STR(""), &found));
    json_key(o->w, STR("services"));
    json_array(o->w);
    for (size_t i = 0; i < found.service_count; i++)
        if (found.services[i].stats.spans) write_health(o->w, &found.services[i]);
    json_array_end(o->w);
    json_member(o->w, "window_minutes", i64, window);
    write_stamp(o);
    return NULL;
}

void handle_olly_ai_health(struct api_call *c) {
    static const char *const names[] = {"window_minutes"};
    if (check_integers(c, names, LENGTH(names))) olly_answer(c, fill_health);
}

/* ---- the course of services --------------------------------------------------------------------------------------- */

/* A parallel array of what each bucket that has spans comes to. */
typedef double (*figure_fn)(const struct query_span_stats *s);
static double p50_of(const struct query_span_stats *s) { return olly_ms((double)s->quantiles[QUERY_P50]); }
static double p95_of(const struct query_span_stats *s) { return olly_ms((double)s->quantiles[QUERY_P95]); }
static double p99_of(const struct query_span_stats *s) { return olly_ms((double)s->quantiles[QUERY_P99]); }
static double requests_of(const struct query_span_stats *s) { return (double)s->spans; }
static double errors_of(const struct query_span_stats *s) { return (double)s->errors; }

static void write_course(struct json_writer *w, const struct query_service_line *v,
                         const struct query_service_series_answer *a) {
    static const struct {
        const char *name;
        figure_fn figure;
    } rows[] = {{"requests", requests_of}, {"errors", errors_of}, {"avg_latency_ms", mean_ms},
                {"p50_ms", p50_of},        {"p95_ms", p95_of},    {"p99_ms", p99_of}};
    json_object(w);
    json_key(w, STR("timestamps"));
    json_array(w);
    for (size_t k = 0; k < a->bucket_count; k++)
        if (v->buckets[k].spans) olly_python_time(w, a->first + (int64_t)k * a->step);
    json_array_end(w);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        json_key(w, str_of(rows[i].name));
        json_array(w);
        for (size_t k = 0; k < a->bucket_count; k++)
            if (v->buckets[k].spans) olly_f64_2(w, rows[i].figure(&v->buckets[k]));
        json_array_end(w);
    }
    json_object_end(w);
}

static int by_service(const void *x, const void *y) {
    return str_compare(((const struct query_service_line *)x)->service,
                       ((const struct query_service_line *)y)->service);
}

static err fill_timeseries(struct olly *o) {
    struct query_service_series_answer found;
    int64_t window = minutes(o, "window_minutes", 60, WINDOW_MAX), bucket = minutes(o, "bucket_minutes", 1, window);
    bucket = MAX(bucket, window / (BUCKETS_MAX - 2) + 1);
    struct query_service_series r = {.time_min = o->c->now_ns - window * minute_ns,
                                     .time_max = o->c->now_ns,
                                     .step = bucket * minute_ns,
                                     .limit = SERVICES_MAX};
    if (olly_text(o->c, "service").n) r.service = olly_text(o->c, "service");
    TRY(query_service_series(&o->q, &r, &found));
    struct query_service_line *v = arena_array(&o->q.arena, struct query_service_line, found.n + 1);
    if (!v) return arena_err(&o->q.arena);
    if (found.n) memcpy(v, found.services, found.n * sizeof *v);
    qsort(v, found.n, sizeof *v, by_service);
    if (found.found > found.n) olly_cut(o, "only the 200 services with most spans are given");
    json_key(o->w, STR("services"));
    json_object(o->w);
    for (size_t i = 0; i < found.n; i++) {
        json_key(o->w, v[i].service);
        write_course(o->w, &v[i], &found);
        TRY(answer_settle(&o->a));
    }
    json_object_end(o->w);
    json_member(o->w, "window_minutes", i64, window);
    json_member(o->w, "bucket_minutes", i64, bucket);
    write_stamp(o);
    return NULL;
}

void handle_olly_ai_timeseries(struct api_call *c) {
    static const char *const names[] = {"window_minutes", "bucket_minutes"};
    if (check_integers(c, names, LENGTH(names))) olly_answer(c, fill_timeseries);
}
