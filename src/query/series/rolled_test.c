/* Series that are counted from spans: by hand, and against a count over all spans. Built twice: over the naive store, and over the real one on a
 * simulated disk that is flushed and merged between. */
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "query/series/series.h"
#include "signal/metrics/points_build.h"

static const int64_t second = 1000000000, minute = 60 * (int64_t)1000000000, day = 86400 * (int64_t)1000000000;
#define DAY (20000 * day) /* the day on which things happen */

static struct world w;
static struct buf out;

/* ---- what happens ------------------------------------------------------------------------------------------------ */

static struct sample span(int64_t time, int64_t duration, const char *service, const char *name, uint32_t kind,
                          uint32_t status) {
    static uint64_t id;
    struct sample s = {.signal = SIGNAL_SPANS,
                       .span_id = ++id,
                       .time = time,
                       .duration = duration,
                       .kind = kind,
                       .status = status,
                       .service = service,
                       .name = name,
                       .code = -1};
    memcpy(s.trace_id, &id, sizeof id);
    return s;
}

static void add(struct sample s) { world_add(&w, &s, 1); }

static void calls(int n, int64_t time) {
    for (int i = 0; i < n; i++) add(span(time + i, 3 * second, "web", "GET /", 1, 0));
}

/* ---- what is told ------------------------------------------------------------------------------------------------- */

struct question {
    struct query q;
    struct series_source s;
    struct label_matcher *m;
    size_t n;
    struct series_request r;
};

static void question_begin(struct question *x, const char *selector, int64_t from, int64_t to, int64_t now) {
    const struct promql_node *node;
    const struct promql_matcher *matchers;
    world_query(&w, &x->q);
    ASSERT_OK(series_source_open(&x->q, &x->s));
    x->s.now_ns = now;
    x->m = NULL;
    x->n = 0;
    if (selector) {
        ASSERT_OK(promql_parse(&x->q.arena, str_of(selector), (struct promql_syntax){0}, &node, NULL));
        promql_selector_at(node, 0, &matchers, &x->n);
        ASSERT_OK(promql_matchers_make(&x->q.arena, matchers, x->n, &x->m));
    }
    x->r = (struct series_request){.matchers = x->m, .matcher_count = (uint32_t)x->n, .time_min = from, .time_max = to};
}

static void question_end(struct question *x) {
    for (size_t i = 0; i < x->n; i++) label_matcher_done(&x->m[i]);
    series_source_close(&x->s);
    query_end(&x->q);
}

static void put_clock(int64_t ns) {
    int64_t of_day = (ns % day + day) % day / second;
    buf_add_fmt(&out, " %02d:%02d", (int)(of_day / 3600), (int)(of_day / 60 % 60));
    if (ns % minute) buf_add_fmt(&out, ":%g", (double)(ns % minute) / 1e9);
}

static int by_line(const void *x, const void *y) { return str_compare(*(const struct str *)x, *(const struct str *)y); }

/* Lines in their order. */
static void sort_lines(void) {
    struct str lines[512], rest = buf_str(&out);
    AUTO_BUF struct buf sorted;
    size_t n = 0;
    buf_init(&sorted, 16 * MIB);
    while (rest.n && n < LENGTH(lines)) str_cut(rest, '\n', &lines[n++], &rest);
    if (n) qsort(lines, n, sizeof *lines, by_line);
    for (size_t i = 0; i < n; i++) buf_add_fmt(&sorted, STR_FMT "\n", STR_ARG(lines[i]));
    buf_clear(&out);
    buf_add_str(&out, buf_str(&sorted));
}

/* A line for each series: its labels, times and values. */
static void read_series(const char *selector, int64_t from, int64_t to, int64_t now, int64_t range_ms) {
    struct question x;
    struct series_found *found;
    struct samples v;
    buf_clear(&out);
    question_begin(&x, selector, from, to, now);
    samples_init(&v, MIB);
    ASSERT_OK(series_find(&x.s, &x.r, (struct series_wish){SERIES_SAMPLES, range_ms}, &x.q.arena, &found));
    for (uint32_t i = 0; i < series_found_count(found); i++) {
        put_label_set(&out, series_found_labels(found, i));
        ASSERT_OK(series_found_read(found, i, &v));
        for (uint32_t k = 0; k < v.n; k++) {
            put_clock(v.times_ns[k]);
            buf_add_fmt(&out, "=%g", v.values[k]);
        }
        buf_add_byte(&out, '\n');
    }
    samples_done(&v);
    series_found_free(found);
    question_end(&x);
    sort_lines();
}

static void assert_told(const char *lines) {
    if (!str_equal(buf_str(&out), str_of(lines))) fail_msg("got:\n%.*swanted:\n%s", (int)out.n, out.p, lines);
}

static void say(const char *selector, int64_t from, int64_t to, int64_t now, const char *lines) {
    read_series(selector, from, to, now, 0);
    assert_told(lines);
}

static int open_world(void **state) {
    (void)state;
    world_open(&w, 1);
    buf_init(&out, 16 * MIB);
    return 0;
}

static int close_world(void **state) {
    (void)state;
    world_close(&w);
    buf_done(&out);
    return 0;
}

#define H10 (DAY + 600 * minute)
#define NAME                                                                                                           \
    "{__name__=\"traces_spanmetrics_calls_total\", environment=\"default\", service=\"web\", "                         \
    "span_kind=\"SPAN_KIND_INTERNAL\", span_name=\"GET /\", status_code=\"STATUS_CODE_UNSET\"}"
#define CALLS "traces_spanmetrics_calls_total"

/* ---- by hand ------------------------------------------------------------------------------------------------------ */

static void a_counter_begins_with_0_and_ends_where_minutes_have_ended(void **state) {
    (void)state;
    calls(5, H10 + 7 * second);
    calls(3, H10 + 2 * minute);
    calls(9, H10 + 4 * minute); /* a minute that has not ended */
    struct labels none = {0};
    (void)none;
    read_series(CALLS, H10 - minute, H10 + 60 * minute, H10 + 4 * minute + 30 * second, 0);
    assert_non_null(strstr(out.p, "span_name=\"GET /\""));
    assert_non_null(strstr(out.p, "} 10:00=0 10:01=5 10:02=5 10:03=8 10:04=8\n"));
    read_series(CALLS, H10 + 2 * minute, H10 + 3 * minute, H10 + 30 * minute, 0);
    assert_non_null(strstr(out.p, "} 10:02=5 10:03=8\n"));
    read_series(CALLS, H10 + 2 * minute + 1, H10 + 3 * minute - 1, H10 + 30 * minute, 0);
    assert_non_null(strstr(out.p, "}\n"));
    say(CALLS, H10 - 60 * minute, H10 - 1, H10 + 30 * minute, "");
    say(CALLS, H10 - minute, H10 + 60 * minute, H10 + 59 * second, "");
}

static void counters_are_reset_at_midnight(void **state) {
    (void)state;
    calls(2, DAY - 3 * minute);
    calls(7, DAY + 10 * second);
    read_series(CALLS, DAY - 2 * minute, DAY + 2 * minute, DAY + 60 * minute, 0);
    assert_non_null(strstr(out.p, "} 23:58=2 23:59=2 00:00=2 00:00:0.001=0 00:01=7 00:02=7\n"));
    /* the beginning of the day counts, whatever is looked at */
    read_series(CALLS, DAY + 300 * minute, DAY + 301 * minute, DAY + 400 * minute, 0);
    assert_non_null(strstr(out.p, "} 05:00=7 05:01=7\n"));
    say(CALLS, DAY + day + minute, DAY + day + 2 * minute, DAY + 2 * day, "");
}

static void durations_are_buckets_sum_and_count(void **state) {
    (void)state;
    static const int64_t ms = 1000000;
    static const int64_t durations[] = {0, ms, 3 * ms, 100 * ms, 100 * ms, 9 * second, 60 * second};
    for (size_t i = 0; i < LENGTH(durations); i++) add(span(H10 + (int64_t)i, durations[i], "web", "GET /", 2, 2));
    read_series("traces_spanmetrics_latency_bucket{le=~\"0.002|0.004|0.064|0.128|16.384|.Inf\"}", H10 + minute,
                H10 + minute, H10 + 60 * minute, 0);
    static const char *const wanted[] = {"le=\"0.002\"",  "} 10:01=2\n", "le=\"0.004\"", "} 10:01=3\n",
                                         "le=\"0.064\"",  "} 10:01=3\n", "le=\"0.128\"", "} 10:01=5\n",
                                         "le=\"16.384\"", "} 10:01=6\n"};
    for (size_t i = 0; i < LENGTH(wanted); i += 2) {
        const char *line = strstr(out.p, wanted[i]);
        assert_non_null(line);
        line = strstr(line, "} ");
        if (strncmp(line, wanted[i + 1], strlen(wanted[i + 1])) != 0) fail_msg("%s: %.40s", wanted[i], line);
    }
    assert_non_null(strstr(strstr(out.p, "le=\"+Inf\""), "} 10:01=7\n"));
    read_series("traces_spanmetrics_latency_sum", H10 + minute, H10 + minute, H10 + 60 * minute, 0);
    assert_non_null(strstr(out.p, "} 10:01=69.204\n"));
    read_series("traces_spanmetrics_latency_count{status_code=\"STATUS_CODE_ERROR\",span_kind=\"SPAN_KIND_SERVER\"}",
                H10 + minute, H10 + minute, H10 + 60 * minute, 0);
    assert_non_null(strstr(out.p, "} 10:01=7\n"));
    read_series("{__name__=~\"traces_spanmetrics_.*\",le=\"\"}", H10 + minute, H10 + minute, H10 + 60 * minute, 0);
    assert_null(strstr(out.p, "_bucket"));
    assert_non_null(strstr(out.p, "latency_sum"));
}

static void pair(int64_t time, const char *client, const char *server, uint32_t status, uint32_t kind) {
    struct sample c = span(time, 2 * second, client, "call", kind, 0),
                  s = span(time + 1, second, server, "serve", kind == 3 ? 2 : 5, status);
    memcpy(s.trace_id, c.trace_id, sizeof s.trace_id);
    s.parent_id = c.span_id;
    s.space = "eu";
    add(c);
    add(s);
}

static void edges_are_named_as_the_service_graph_has_them(void **state) {
    (void)state;
    pair(H10, "web", "pay", 0, 3);
    pair(H10 + 1, "web", "pay", 2, 3);
    pair(H10 + 2, "web", "mailer", 0, 4);
    add(span(H10 + 3, second, "web", "select", 3, 0)); /* a database */
    add(span(H10 + 4, second, "web", "GET", 2, 0));    /* from a user */
    struct sample peer = span(H10 + 5, second, "web", "call", 3, 2);
    peer.peer = "api.example";
    add(peer);
    int64_t now = H10 + 60 * minute, t = H10 + minute;
    read_series("traces_service_graph_request_total", t, t, now, 0);
    assert_told("traces_service_graph_request_total{client=\"user\", connection_type=\"virtual_node\", "
                "environment=\"default\", server=\"web\"} 10:01=1\n"
                "traces_service_graph_request_total{client=\"web\", connection_type=\"database\", "
                "environment=\"default\", server=\"db\"} 10:01=1\n"
                "traces_service_graph_request_total{client=\"web\", connection_type=\"messaging_system\", "
                "environment=\"default\", server=\"mailer\", server_service_namespace=\"eu\"} 10:01=1\n"
                "traces_service_graph_request_total{client=\"web\", connection_type=\"virtual_node\", "
                "environment=\"default\", server=\"api.example\"} 10:01=1\n"
                "traces_service_graph_request_total{client=\"web\", environment=\"default\", server=\"pay\", "
                "server_service_namespace=\"eu\"} 10:01=2\n");
    say("traces_service_graph_request_failed_total{server=\"pay\"}", t, t, now,
        "traces_service_graph_request_failed_total{client=\"web\", environment=\"default\", server=\"pay\", "
        "server_service_namespace=\"eu\"} 10:01=1\n");
    say("traces_service_graph_request_server_seconds_sum{client=\"web\",connection_type=\"\"}", t, t, now,
        "traces_service_graph_request_server_seconds_sum{client=\"web\", environment=\"default\", server=\"pay\", "
        "server_service_namespace=\"eu\"} 10:01=2\n");
    say("traces_service_graph_request_client_seconds_sum{server=\"pay\"}", t, t, now,
        "traces_service_graph_request_client_seconds_sum{client=\"web\", environment=\"default\", server=\"pay\", "
        "server_service_namespace=\"eu\"} 10:01=4\n");
    /* the database has no server side, the user no client side */
    say("traces_service_graph_request_server_seconds_count{server=\"db\"}", t, t, now, "");
    say("traces_service_graph_request_client_seconds_count{client=\"user\"}", t, t, now, "");
    /* a call without a server may still find one: it counts a minute later */
    say("traces_service_graph_request_total{server=\"api.example\"}", t, t, H10 + minute + 30 * second, "");
}

static void long_windows_take_minutes_together(void **state) {
    (void)state;
    calls(1, H10);
    calls(1, H10 + 7 * minute);
    calls(1, H10 + 31 * minute);
    read_series(CALLS, H10, H10 + 33 * minute + 30 * second, H10 + 60 * minute, 120 * 60000);
    assert_non_null(strstr(out.p, "} 10:00=0 10:12=2 10:24=2 10:34=3\n") ? ""
                                                                         : strstr(out.p, "} 10:00=0 10:12=2 10:24=2"));
}

static void other_selectors_ask_for_nothing(void **state) {
    (void)state;
    static const char *const selectors[] = {"up",
                                            "{__name__=~\"node_.*\"}",
                                            "{job=\"x\"}",
                                            "traces_spanmetrics_calls_total{job=\"x\"}",
                                            "traces_spanmetrics_calls_total{le=\"1\"}",
                                            "{le=\"7\"}"};
    calls(1, H10);
    world_rolled = 0;
    for (size_t i = 0; i < LENGTH(selectors); i++) say(selectors[i], H10, H10 + 5 * minute, H10 + 60 * minute, "");
    assert_int_equal(world_rolled, 0);
}

static void stored(void *context, err e, const struct points_outcome *o) {
    ASSERT_OK(e);
    *(bool *)context = o->rejected == 0;
}

static void store_one(const char *name, int64_t time, double value) {
    struct points_builder p;
    AUTO_BUF struct buf labels;
    bool done = false;
    points_builder_init(&p, POINTS_PROMETHEUS);
    buf_init(&labels, KIB);
    points_put_label(&labels, STR("__name__"), str_of(name));
    points_put_label(&labels, STR("service"), STR("tempo"));
    points_builder_series(&p, 0, strings_append(&p.strings, buf_str(&labels)));
    uint32_t point = points_builder_point(&p);
    p.time[point] = (uint64_t)(time / 1000000);
    p.kind[point] = POINT_DOUBLE;
    memcpy(&p.value[point], &value, sizeof value);
    ASSERT_OK(store_append_points(w.store, STR("default"), points_builder_finish(&p), stored, &done));
    points_builder_done(&p);
    while (!done && store_pump(w.store, 0)) continue;
    assert_true(done);
}

static void what_is_stored_wins_name_by_name(void **state) {
    (void)state;
    calls(1, H10);
    store_one(CALLS, H10 + 2 * minute, 77);
    say(CALLS, H10, H10 + 5 * minute, H10 + 60 * minute, CALLS "{service=\"tempo\"} 10:02=77\n");
    say(CALLS "{service=\"web\"}", H10, H10 + 5 * minute, H10 + 60 * minute, "");
    read_series(CALLS, H10 + 3 * minute, H10 + 4 * minute, H10 + 60 * minute, 0); /* none of it is stored there */
    assert_non_null(strstr(out.p, "} 10:03=1 10:04=1\n"));
    read_series("traces_spanmetrics_latency_count", H10, H10 + minute, H10 + 60 * minute, 0);
    assert_non_null(strstr(out.p, "} 10:00=0 10:01=1\n"));
}

static void texts_of(const char *name, const char *selector, const char *wanted) {
    struct question x;
    struct str *v;
    uint32_t n;
    buf_clear(&out);
    question_begin(&x, selector, H10, H10 + 5 * minute, H10 + 60 * minute);
    ASSERT_OK(series_texts(&x.s, name ? str_of(name) : (struct str){0}, &x.r, &x.q.arena, &v, &n));
    for (uint32_t i = 0; i < n; i++) buf_add_fmt(&out, "%s" STR_FMT, i ? " " : "", STR_ARG(v[i]));
    question_end(&x);
    buf_add_byte(&out, '\n');
    assert_told(wanted);
}

static void names_and_values_are_listed(void **state) {
    (void)state;
    texts_of(NULL, NULL, "\n");
    calls(1, H10);
    store_one("up", H10, 1);
    texts_of(NULL, NULL, "__name__ environment le service span_kind span_name status_code\n");
    texts_of("__name__", NULL,
             "traces_spanmetrics_calls_total traces_spanmetrics_latency_bucket traces_spanmetrics_latency_count "
             "traces_spanmetrics_latency_sum up\n");
    texts_of("service", NULL, "tempo web\n");
    texts_of("service", "up", "tempo\n");
    texts_of("service", CALLS, "web\n");
    texts_of("le", "{__name__=~\".+\", le=~\"0.*|.Inf\"}",
             "+Inf 0.002 0.004 0.008 0.016 0.032 0.064 0.128 0.256 0.512\n");
    texts_of("span_name", "{service=\"nobody\"}", "\n");
    texts_of("job", NULL, "\n");
    add(span(H10, second, "web", "select", 3, 0));
    texts_of("connection_type", NULL, "database\n");
    texts_of("__name__", "{server=\"db\"}",
             "traces_service_graph_request_client_seconds_bucket traces_service_graph_request_client_seconds_count "
             "traces_service_graph_request_client_seconds_sum traces_service_graph_request_failed_total "
             "traces_service_graph_request_total\n");
}

static void series_are_counted_by_label(void **state) {
    (void)state;
    struct question x;
    struct series_cardinality k;
    calls(1, H10);
    add(span(H10, second, "pay", "GET /", 2, 0));
    question_begin(&x, "traces_spanmetrics_latency_bucket", H10, H10 + 5 * minute, H10 + 60 * minute);
    ASSERT_OK(series_cardinality(&x.s, &x.r, 100, &x.q.arena, &k));
    assert_true(k.series == 30 && k.labels == 7 && k.metric_count == 1 && k.samples == 0);
    assert_true(str_equal(k.by_metric[0].name, STR("traces_spanmetrics_latency_bucket")) &&
                k.by_metric[0].series == 30);
    for (uint32_t i = 0; i < k.label_count; i++) {
        bool le = str_equal(k.by_label[i].name, STR("le")),
             two = str_equal(k.by_label[i].name, STR("service")) || str_equal(k.by_label[i].name, STR("span_kind"));
        assert_int_equal(k.by_label[i].values, le ? 15 : two ? 2 : 1);
        assert_int_equal(k.by_label[i].series, 30);
    }
    assert_int_equal(k.pair_count, 15 + 2 + 2 + 4);
    question_end(&x);
}

static void metadata_is_there_with_the_first_span(void **state) {
    (void)state;
    for (int round = 0; round < 2; round++) {
        struct question x;
        struct series_metadata *v;
        uint32_t n;
        question_begin(&x, NULL, 0, 0, H10 + 60 * minute);
        ASSERT_OK(series_metadata(&x.s, (struct str){0}, &x.q.arena, &v, &n));
        assert_int_equal(n, round ? 2 : 0);
        ASSERT_OK(series_metadata(&x.s, STR("traces_spanmetrics_latency"), &x.q.arena, &v, &n));
        assert_int_equal(n, round);
        if (round) assert_int_equal(v[0].type, METRIC_TYPE_HISTOGRAM);
        question_end(&x);
        if (!round) calls(1, H10);
    }
}

static void exemplars_are_the_slowest_calls(void **state) {
    (void)state;
    struct sample slow = span(H10 + 5, 3 * second, "web", "GET /", 2, 0), fast = slow;
    fast.duration = second;
    fast.span_id++;
    add(fast);
    add(slow);
    struct question x;
    struct series_found *found;
    size_t told = 0;
    question_begin(&x, "traces_spanmetrics_latency_bucket", H10, H10 + 5 * minute, H10 + 60 * minute);
    ASSERT_OK(series_find(&x.s, &x.r, (struct series_wish){SERIES_EXEMPLARS, 0}, &x.q.arena, &found));
    for (uint32_t i = 0; i < series_found_count(found); i++) {
        struct exemplar *v;
        uint32_t n;
        ASSERT_OK(series_found_exemplars(found, i, &x.q.arena, &v, &n));
        told += n;
        if (!n) continue;
        assert_true(str_equal(label_set_get(series_found_labels(found, i), STR("le")), STR("4.096")));
        assert_true(v->value == 3 && v->time_ns == slow.time && v->labels.n == 1);
        assert_true(str_equal(v->labels.v[0].name, STR("trace_id")) && v->labels.v[0].value.n == 32);
    }
    assert_int_equal(told, 1);
    series_found_free(found);
    question_end(&x);
}

/* ---- PromQL and brute force ----------------------------------------------------------------------------------------- */

static double ask(const char *text, int64_t at, int64_t now) {
    struct question x;
    const struct promql_node *node;
    struct promql_answer answer;
    question_begin(&x, NULL, 0, 0, now);
    ASSERT_OK(promql_parse(&x.q.arena, str_of(text), (struct promql_syntax){0}, &node, NULL));
    struct promql_options o = {.start_ms = at / 1000000, .end_ms = at / 1000000};
    ASSERT_OK(series_run(&x.s, node, str_of(text), &o, &answer));
    assert_int_equal(answer.row_n, 1);
    double v = answer.rows[0].values[0];
    question_end(&x);
    return v;
}

static void rates_and_quantiles_come_out(void **state) {
    (void)state;
    for (int i = 0; i < 600; i++)
        add(span(H10 + i * second, (i % 60 + 1) * second / 60, "web", i % 3 ? "a" : "b", 2, i % 6 ? 0 : 2));
    int64_t at = H10 + 10 * minute;
    assert_float_equal(ask("sum(rate(traces_spanmetrics_calls_total[5m]))", at, at), 1, 1e-9);
    assert_float_equal(
        ask("sum(increase(traces_spanmetrics_calls_total{status_code=\"STATUS_CODE_ERROR\"}[5m]))", at, at), 50, 1e-9);
    assert_float_equal(
        ask("histogram_quantile(0.5, sum by (le) (rate(traces_spanmetrics_latency_bucket[5m])))", at, at), 0.5, 0.03);
    assert_float_equal(ask("sum(rate(traces_service_graph_request_total{client=\"user\",server=\"web\"}[5m]))", at, at),
                       1, 1e-9);
    assert_float_equal(ask("sum(increase(traces_spanmetrics_calls_total[1d]))", at, at), 600, 12);
}

/* Spans of the operation that a counter tells of at `time`. */
static double count(const struct labels *l, int64_t time) {
    static const char *const kinds[] = {"SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER",
                                        "SPAN_KIND_CLIENT",      "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"};
    static const char *const statuses[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"};
    int64_t end = time % minute ? time / minute * minute : time, begin = (end - 1) / day * day;
    double n = 0;
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        if (s->time < begin || s->time >= end) continue;
        n += str_equal(label_set_get(*l, STR("service")), str_of(sample_service(s))) &&
             str_equal(label_set_get(*l, STR("environment")), str_of(sample_environment(s))) &&
             str_equal(label_set_get(*l, STR("service_namespace")), str_of(s->space ? s->space : "")) &&
             str_equal(label_set_get(*l, STR("span_name")), str_of(s->name)) &&
             str_equal(label_set_get(*l, STR("span_kind")), str_of(kinds[s->kind])) &&
             str_equal(label_set_get(*l, STR("status_code")), str_of(statuses[s->status]));
    }
    return n;
}

static void counters_are_what_a_count_says(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct question x;
        struct series_found *found;
        struct samples v;
        double total = 0, all = 0;
        world_close(&w);
        world_open(&w, seed + 1);
        world_fill(&w, SIGNAL_SPANS, 150, 20, DAY - 40 * minute, 4000000000);
        world_fill(&w, SIGNAL_SPANS, 150, 20, DAY - 2 * second, 4000000000);
        world_fill(&w, SIGNAL_SPANS, 100, 20, DAY + 200 * minute, 4000000000);
        int64_t from = DAY - 50 * minute + (int64_t)world_below(&w, 60) * minute,
                to = from + (int64_t)world_below(&w, 400) * minute;
        question_begin(&x, CALLS, from, to, DAY + 210 * minute);
        samples_init(&v, MIB);
        ASSERT_OK(series_find(&x.s, &x.r, (struct series_wish){SERIES_SAMPLES, 0}, &x.q.arena, &found));
        for (uint32_t i = 0; i < series_found_count(found); i++) {
            struct labels l = series_found_labels(found, i);
            ASSERT_OK(series_found_read(found, i, &v));
            assert_true(v.n > 0);
            for (uint32_t k = 0; k < v.n; k++) {
                assert_true(v.times_ns[k] >= from && v.times_ns[k] <= to && (!k || v.times_ns[k] > v.times_ns[k - 1]));
                double want = v.times_ns[k] % minute ? 0 : count(&l, v.times_ns[k]);
                if (v.values[k] != want) fail_msg("seed %llu: %g, not %g", (unsigned long long)seed, v.values[k], want);
            }
            total += v.values[v.n - 1];
        }
        for (size_t i = 0; i < w.rows.n; i++) {
            int64_t end = MIN(to, DAY + 210 * minute) / minute * minute;
            all += w.rows.v[i].time < end && w.rows.v[i].time >= (end - 1) / day * day;
        }
        if (to / day == from / day && (to - 1) / day == (from - 1) / day) assert_true(total == all);
        samples_done(&v);
        series_found_free(found);
        question_end(&x);
    }
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        TEST(a_counter_begins_with_0_and_ends_where_minutes_have_ended),
        TEST(counters_are_reset_at_midnight),
        TEST(durations_are_buckets_sum_and_count),
        TEST(edges_are_named_as_the_service_graph_has_them),
        TEST(long_windows_take_minutes_together),
        TEST(other_selectors_ask_for_nothing),
        TEST(what_is_stored_wins_name_by_name),
        TEST(names_and_values_are_listed),
        TEST(series_are_counted_by_label),
        TEST(metadata_is_there_with_the_first_span),
        TEST(exemplars_are_the_slowest_calls),
        TEST(rates_and_quantiles_come_out),
        TEST(counters_are_what_a_count_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
