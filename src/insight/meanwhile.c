#include "insight/meanwhile.h"

#include <math.h>

#include "base/text.h"
#include "base/vec.h"
#include "query/promql/number.h"

static const int64_t second_ns = 1000000000, minute_ns = 60 * (int64_t)1000000000, ms_ns = 1000000;
enum { TEXT_BYTES_MAX = 64 << 10, RATE_SECONDS_MIN = 120 };

struct reader {
    struct query *q;
    const struct correlation_details *of;
    struct meanwhile *m;
    struct strings traces; /* in hexadecimal digits; a trace's number is its place in the details */
    VEC(struct meanwhile_chart) charts;
    VEC(struct meanwhile_exemplar) exemplars;
    struct str service;
    struct buf text; /* of a query */
    uint32_t exemplar_series;
};

/* ---- the window ------------------------------------------------------------------------------------------------- */

static int64_t clamp(int64_t v, int64_t least, int64_t most) { return v < least ? least : v > most ? most : v; }

void meanwhile_window(const struct correlation *c, int64_t now, int64_t *out_start, int64_t *out_end,
                      int64_t *out_step) {
    int64_t latest = INT64_MAX / 2, hour = 60 * minute_ns; /* in the year 2116, so that sums hold */
    int64_t first = MIN(c->first_seen, latest), last = MIN(c->last_seen, latest), duration = last - first;
    int64_t before = clamp(duration > hour ? 6 * hour : 10 * duration, 5 * minute_ns, 6 * hour);
    int64_t start = MAX(first - before, (int64_t)0);
    int64_t end = MAX(MIN(last + clamp(duration, minute_ns, hour), now), start);
    int64_t step = ((end - start) / MEANWHILE_STEPS + minute_ns - 1) / minute_ns * minute_ns;
    *out_step = MAX(step, minute_ns);
    *out_start = start / minute_ns * minute_ns;
    *out_end = *out_start + (end - *out_start + *out_step - 1) / *out_step * *out_step;
}

/* ---- charts ----------------------------------------------------------------------------------------------------- */

static bool has_value(const struct promql_row *row, size_t steps) {
    for (size_t i = 0; i < steps; i++)
        if (row->kinds[i] == PROMQL_FLOAT && !isnan(row->values[i])) return true;
    return false;
}

/* The query in r->text. */
static err add_chart(struct reader *r, struct str metric) {
    struct meanwhile *m = r->m;
    struct promql_answer *found = arena_new(&r->q->arena, struct promql_answer);
    struct str text = arena_copy(&r->q->arena, buf_str(&r->text));
    struct promql_options options = {.start_ms = m->start / ms_ns,
                                     .end_ms = m->end / ms_ns,
                                     .step_ms = m->step / ms_ns,
                                     .check = series_source_step,
                                     .check_work = series_source_check,
                                     .context = &m->source};
    const struct promql_node *e;
    if (!found || !text.p) return arena_err(&r->q->arena);
    TRY(promql_parse(&r->q->arena, text, (struct promql_syntax){0}, &e, NULL));
    TRY(promql_run(&r->q->arena, &m->source.source, e, text, &options, found));
    struct promql_row *rows = arena_array(&r->q->arena, struct promql_row, MEANWHILE_ROWS_MAX);
    size_t n = 0;
    if (!rows) return arena_err(&r->q->arena);
    for (size_t i = 0; i < found->row_n; i++) {
        if (!has_value(&found->rows[i], found->step_n)) continue;
        if (n == MEANWHILE_ROWS_MAX) {
            m->cut = true;
            break;
        }
        rows[n++] = found->rows[i];
    }
    m->step_n = found->step_n;
    if (n) *vec_push(&r->charts) = (struct meanwhile_chart){r->service, metric, text, rows, n};
    return query_charge(r->q, 0);
}

static int64_t rate_seconds(const struct reader *r) { return MAX(r->m->step / second_ns, (int64_t)RATE_SECONDS_MIN); }

/* name{selector} */
static void put_selector(struct buf *out, struct str name, struct str selector) {
    bool plain = !(name.p[0] >= '0' && name.p[0] <= '9');
    for (size_t i = 0; i < name.n; i++)
        plain &= (name.p[i] == ':' || word_char((unsigned char)name.p[i])) && (unsigned char)name.p[i] < 0x80;
    if (plain) buf_add_str(out, name);
    buf_add_byte(out, '{');
    if (!plain) put_go_quoted(out, name);
    if (!plain) buf_add_text(out, ", ");
    buf_add_str(out, selector);
    buf_add_byte(out, '}');
}

/* What a metric is asked by. */
enum shape { SHAPE_PLAIN, SHAPE_RATE, SHAPE_BUCKETS, SHAPE_NATIVE };

static err add_metric(struct reader *r, struct str metric, struct str name, struct str selector, enum shape shape) {
    static const char *const before[] = {[SHAPE_PLAIN] = "avg(",
                                         [SHAPE_RATE] = "sum(rate(",
                                         [SHAPE_BUCKETS] = "histogram_quantile(0.95, sum by (le) (rate(",
                                         [SHAPE_NATIVE] = "histogram_quantile(0.95, sum(rate("};
    static const char *const after[] = {
        [SHAPE_PLAIN] = ")", [SHAPE_RATE] = "))", [SHAPE_BUCKETS] = ")))", [SHAPE_NATIVE] = ")))"};
    buf_clear(&r->text);
    buf_add_text(&r->text, before[shape]);
    put_selector(&r->text, name, selector);
    if (shape != SHAPE_PLAIN) {
        buf_add_byte(&r->text, '[');
        put_promql_duration(&r->text, rate_seconds(r) * 1000);
        buf_add_byte(&r->text, ']');
    }
    buf_add_text(&r->text, after[shape]);
    if (r->text.full) return NULL; /* nobody's name has so many bytes */
    return add_chart(r, metric);
}

/* ---- what there is of a service --------------------------------------------------------------------------------- */

/* The series of a selector, as series/series.h asks for them. The matchers are to be ended. */
static err make_request(struct reader *r, struct str selector, struct series_request *out,
                        struct label_matcher **out_v) {
    AUTO_BUF struct buf text;
    const struct promql_node *e;
    const struct promql_matcher *matchers;
    size_t n;
    buf_init(&text, TEXT_BYTES_MAX);
    buf_add_byte(&text, '{');
    buf_add_str(&text, selector);
    buf_add_byte(&text, '}');
    TRY(promql_parse(&r->q->arena, buf_str(&text), (struct promql_syntax){0}, &e, NULL));
    if (!promql_selector_at(e, 0, &matchers, &n)) return err_new(ERR_INTERNAL, "no selector in its own text");
    TRY(promql_matchers_make(&r->q->arena, matchers, n, out_v));
    label_matchers_set_deadline(*out_v, (uint32_t)n, r->q->deadline_ns);
    *out = (struct series_request){.matchers = *out_v,
                                   .matcher_count = (uint32_t)n,
                                   .time_min = r->m->start,
                                   .time_max = r->m->end,
                                   .check = series_source_check,
                                   .check_context = &r->m->source};
    return NULL;
}

static void end_request(const struct series_request *request, struct label_matcher *v) {
    for (uint32_t i = 0; i < request->matcher_count; i++) label_matcher_done(&v[i]);
}

static err list_names(struct reader *r, struct str selector, struct str **out, uint32_t *out_n) {
    struct series_request request;
    struct label_matcher *v;
    TRY(make_request(r, selector, &request, &v));
    err e = series_texts(&r->m->source, METRIC_NAME, &request, &r->q->arena, out, out_n);
    end_request(&request, v);
    return e;
}

static bool cut_end(struct str *name, const char *end) {
    size_t n = strlen(end);
    if (name->n <= n || memcmp(name->p + name->n - n, end, n) != 0) return false;
    name->n -= n;
    return true;
}

/* How a metric is shown; false: by another name of the same, or not at all. */
static bool read_shape(struct reader *r, struct str name, struct str *metric, enum shape *out) {
    struct series_metadata *said;
    uint32_t n;
    struct str base = name;
    *metric = name;
    if (str_starts_with(name, STR("traces_s")) || str_starts_with(name, STR("scrape_"))) return false;
    if (str_equal(name, STR("target_info"))) return false;
    if (cut_end(&base, "_bucket")) {
        *metric = base;
        *out = SHAPE_BUCKETS;
        return true;
    }
    if (cut_end(&base, "_sum") || cut_end(&base, "_count")) return false;
    *out = cut_end(&base, "_total") ? SHAPE_RATE : SHAPE_PLAIN;
    err e = series_metadata(&r->m->source, name, &r->q->arena, &said, &n);
    if (e || !n) {
        err_free(e);
        return true;
    }
    if (said[0].type == METRIC_TYPE_COUNTER) *out = SHAPE_RATE;
    if (said[0].type == METRIC_TYPE_HISTOGRAM) *out = SHAPE_NATIVE;
    return said[0].type != METRIC_TYPE_INFO;
}

static err add_own_metrics(struct reader *r, struct str selector, const struct str *names, uint32_t n) {
    uint32_t shown = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct str metric;
        enum shape shape;
        if (!read_shape(r, names[i], &metric, &shape)) continue;
        if (shown++ == MEANWHILE_NAMES_MAX) {
            r->m->cut = true;
            break;
        }
        TRY(add_metric(r, metric, names[i], selector, shape));
    }
    return NULL;
}

/* ---- exemplars -------------------------------------------------------------------------------------------------- */

static err add_exemplars_of(struct reader *r, struct series_found *found, uint32_t i) {
    struct exemplar *v;
    uint32_t n, trace;
    TRY(series_source_step(&r->m->source));
    TRY(series_found_exemplars(found, i, &r->q->arena, &v, &n));
    for (uint32_t k = 0; k < n; k++) {
        bool by_trace = strings_find(&r->traces, label_set_get(v[k].labels, STR("trace_id")), &trace);
        if (!by_trace && !str_equal(label_set_get(v[k].labels, STR("correlation_id")), r->of->summary.id)) continue;
        if (r->exemplars.n == MEANWHILE_EXEMPLARS_MAX) {
            r->m->cut = true;
            break;
        }
        struct meanwhile_exemplar *x = vec_push(&r->exemplars);
        *x = (struct meanwhile_exemplar){.service = r->service,
                                         .series = series_found_labels(found, i),
                                         .labels = v[k].labels,
                                         .value = v[k].value,
                                         .time = v[k].time_ns};
        if (by_trace) memcpy(x->trace_id, r->of->rows.traces[trace].trace_id, sizeof x->trace_id);
    }
    return NULL;
}

static err add_exemplars(struct reader *r, struct str selector) {
    struct series_request request;
    struct label_matcher *v;
    struct series_found *found = NULL;
    TRY(make_request(r, selector, &request, &v));
    err e = series_find(&r->m->source, &request, (struct series_wish){SERIES_EXEMPLARS, 0}, &r->q->arena, &found);
    uint32_t n = e ? 0 : series_found_count(found);
    for (uint32_t i = 0; i < n && !e; i++) {
        if (r->exemplar_series++ == MEANWHILE_EXEMPLAR_SERIES_MAX) r->m->cut = true;
        if (r->exemplar_series > MEANWHILE_EXEMPLAR_SERIES_MAX) break;
        e = add_exemplars_of(r, found, i);
    }
    series_found_free(found);
    end_request(&request, v);
    return e;
}

/* ---- a service -------------------------------------------------------------------------------------------------- */

static void put_pattern(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        if (strchr("\\.+*?()|[]{}^$", text.p[i]) && text.p[i]) buf_add_byte(out, '\\');
        buf_add_byte(out, text.p[i]);
    }
}

/* `label="service"`; in the arena, p NULL: it is full, or the text too long. */
static struct str select_by(struct reader *r, const char *label, bool below_namespace) {
    AUTO_BUF struct buf text, pattern;
    buf_init(&text, TEXT_BYTES_MAX);
    buf_init(&pattern, TEXT_BYTES_MAX);
    if (below_namespace) buf_add_text(&pattern, "[^/]+/");
    if (below_namespace)
        put_pattern(&pattern, r->service);
    else
        buf_add_str(&pattern, r->service);
    buf_add_text(&text, label);
    buf_add_text(&text, below_namespace ? "=~" : "=");
    put_go_quoted(&text, buf_str(&pattern));
    return text.full || pattern.full ? (struct str){NULL, 0} : arena_copy(&r->q->arena, buf_str(&text));
}

static err add_spans(struct reader *r) {
    static const struct str calls = {"traces_spanmetrics_calls_total", 30},
                            latency = {"traces_spanmetrics_latency_bucket", 33};
    AUTO_BUF struct buf failed;
    struct str selector = select_by(r, "service", false);
    buf_init(&failed, TEXT_BYTES_MAX);
    if (!selector.p) return arena_err(&r->q->arena);
    buf_add_fmt(&failed, STR_FMT ", status_code=\"STATUS_CODE_ERROR\"", STR_ARG(selector));
    if (failed.full) return NULL;
    TRY(add_metric(r, STR("calls"), calls, selector, SHAPE_RATE));
    TRY(add_metric(r, STR("errors"), calls, buf_str(&failed), SHAPE_RATE));
    TRY(add_metric(r, STR("p95"), latency, selector, SHAPE_BUCKETS));
    return add_exemplars(r, selector);
}

static err add_service(struct reader *r) {
    static const struct {
        const char *label;
        bool below_namespace;
    } ways[] = {{"service_name", false}, {"job", false}, {"job", true}};
    TRY(add_spans(r));
    for (size_t i = 0; i < LENGTH(ways); i++) {
        struct str selector = select_by(r, ways[i].label, ways[i].below_namespace), *names;
        uint32_t n;
        if (!selector.p) return arena_err(&r->q->arena);
        TRY(list_names(r, selector, &names, &n));
        if (!n) continue;
        TRY(add_own_metrics(r, selector, names, n));
        return add_exemplars(r, selector);
    }
    return NULL;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static err give(struct reader *r) {
    struct meanwhile *m = r->m;
    struct meanwhile_chart *charts = arena_array(&r->q->arena, struct meanwhile_chart, r->charts.n + 1);
    struct meanwhile_exemplar *exemplars = arena_array(&r->q->arena, struct meanwhile_exemplar, r->exemplars.n + 1);
    if (!charts || !exemplars) return arena_err(&r->q->arena);
    if (r->charts.n) memcpy(charts, r->charts.v, r->charts.n * sizeof *charts);
    if (r->exemplars.n) memcpy(exemplars, r->exemplars.v, r->exemplars.n * sizeof *exemplars);
    m->charts = charts;
    m->chart_count = r->charts.n;
    m->exemplars = exemplars;
    m->exemplar_count = r->exemplars.n;
    return query_charge(r->q, 0);
}

static err read_services(struct reader *r) {
    const struct correlation *c = &r->of->summary;
    uint32_t services = MIN(c->service_count, (uint32_t)MEANWHILE_SERVICES_MAX);
    r->m->cut = c->service_count > services;
    for (size_t i = 0; i < r->of->rows.trace_count; i++) {
        buf_clear(&r->text);
        put_hex(&r->text, r->of->rows.traces[i].trace_id, 16);
        strings_intern(&r->traces, buf_str(&r->text));
    }
    for (uint32_t i = 0; i < services; i++) {
        r->service = c->services[i];
        if (utf8_is_valid(r->service) && r->service.n) TRY(add_service(r)); /* labels are UTF-8 */
    }
    return give(r);
}

err meanwhile_read(struct query *q, const struct correlation_details *of, int64_t now, struct meanwhile *out) {
    struct reader r = {.q = q, .of = of, .m = out};
    *out = (struct meanwhile){0};
    meanwhile_window(&of->summary, now, &out->start, &out->end, &out->step);
    TRY(series_source_open(q, &out->source));
    out->source.now_ns = now;
    strings_init(&r.traces);
    buf_init(&r.text, TEXT_BYTES_MAX);
    err e = read_services(&r);
    strings_done(&r.traces);
    buf_done(&r.text);
    vec_done(&r.charts);
    vec_done(&r.exemplars);
    return e;
}

void meanwhile_done(struct meanwhile *m) { series_source_close(&m->source); }
