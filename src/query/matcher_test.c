/* A filter three ways: as a scan, by definition on whole rows, and by brute force. */
#include "query/query_priv.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* All logs as one batch. */
static void load_logs(struct query *q, struct query_logs_answer *out) {
    struct query_logs r = {.order = QUERY_OLDEST, .limit = QUERY_LOGS_MAX};
    query_filter_init(&r.filter);
    ASSERT_OK(query_logs(q, &r, out));
}

static size_t matched_by_definition(const struct matcher *m, const struct query_logs_answer *logs, struct arena *a) {
    size_t n = 0;
    for (size_t i = 0; i < logs->n; i++) n += matcher_matches_row(m, &logs->batch, logs->rows[i], a);
    return n;
}

static size_t matched_by_force(const struct world *w, const struct world_filter *f) {
    size_t n = 0;
    for (size_t i = 0; i < w->rows.n; i++) n += w->rows.v[i].signal == SIGNAL_LOGS && sample_matches(f, &w->rows.v[i]);
    return n;
}

static void three_ways_agree(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;
        struct query q;
        struct query_logs_answer logs;
        AUTO_ARENA struct arena a;
        arena_init(&a, 16 * MIB);
        world_open(&w, seed);
        world_fill(&w, SIGNAL_LOGS, 250, 6, 1000, 200);
        world_query(&w, &q);
        load_logs(&q, &logs);
        assert_int_equal(logs.n, w.rows.n);
        for (int i = 0; i < 25; i++) {
            struct world_filter f;
            struct matcher m;
            uint64_t scanned;
            world_random_filter(&w, &q, SIGNAL_LOGS, &f);
            ASSERT_OK(query_log_count(&q, &f.filter, &scanned));
            ASSERT_OK(matcher_make(&q, SIGNAL_LOGS, &f.filter, &m));
            assert_int_equal(scanned, matched_by_force(&w, &f));
            assert_int_equal(matched_by_definition(&m, &logs, &a), scanned);
        }
        query_end(&q);
        assert_int_equal(budget_used(&w.budget), 0);
        world_close(&w);
    }
}

/* ---- one condition at a time ------------------------------------------------------------------------------------ */

static const struct sample rows[] = {
    {.signal = SIGNAL_LOGS,
     .time = 10,
     .severity = 9,
     .service = "cart",
     .environment = "prod",
     .name = "paid",
     .code = 200,
     .trace_id = {1},
     .span_id = 5},
    {.signal = SIGNAL_LOGS,
     .time = 20,
     .severity = 17,
     .service = "",
     .environment = "",
     .old_environment = "test",
     .name = "refused by the bank",
     .code = 503,
     .trace_id = {2},
     .span_id = 6},
    {.signal = SIGNAL_LOGS, .time = 30, .severity = 0, .name = "", .space = "eu", .code = -1},
    {.signal = SIGNAL_LOGS,
     .time = 40,
     .severity = 24,
     .service = "unknown_service",
     .environment = "default",
     .old_environment = "prod",
     .name = "bank",
     .code = 501},
};

static const unsigned char trace_2[16] = {2}, span_5[8] = {5};

static void expect(struct world *w, void (*set)(struct query_filter *f), const char *where, const char *expected) {
    struct query q;
    struct query_logs r = {.order = QUERY_OLDEST, .limit = 10};
    struct query_logs_answer found;
    char got[8] = "";
    query_filter_init(&r.filter);
    world_query(w, &q);
    if (set) set(&r.filter);
    if (where) ASSERT_OK(query_filter_where(&q, &r.filter, str_of(where)));
    ASSERT_OK(query_logs(&q, &r, &found));
    for (size_t i = 0; i < found.n; i++)
        got[i] = (char)('0' + batch_u64(&found.batch, SET_ROWS, FIELD_TIME, found.rows[i]) / 10);
    if (strcmp(got, expected) != 0) fail_msg("%s: rows %s, not %s", where ? where : "filter", got, expected);
    query_end(&q);
}

static void set_service(struct query_filter *f) { f->service = STR("cart"); }
static void set_no_service(struct query_filter *f) { f->service = STR("unknown_service"); }
static void set_other_service(struct query_filter *f) { f->service = STR("car"); }
static void set_environment(struct query_filter *f) { f->environment = STR("prod"); }
static void set_old_environment(struct query_filter *f) { f->environment = STR("test"); }
static void set_no_environment(struct query_filter *f) { f->environment = STR("default"); }
static void set_severity(struct query_filter *f) { f->severity_min = 17; }
static void set_trace(struct query_filter *f) { f->trace_id = trace_2; }
static void set_span(struct query_filter *f) { f->span_id = span_5; }
static void set_text(struct query_filter *f) { f->text = STR("BANK"); }
static void set_phrase(struct query_filter *f) { f->text = STR("\"by the\" ref*"); }
static void set_from(struct query_filter *f) { f->time_min = 20; }
static void set_to(struct query_filter *f) { f->time_max = 20; }
static void set_moment(struct query_filter *f) { f->time_min = f->time_max = 30; }

static void each_condition_does_what_it_says(void **state) {
    (void)state;
    struct world w;
    world_open(&w, 3);
    for (size_t i = 0; i < LENGTH(rows); i++) {
        world_add(&w, &rows[i], 1);
        world_shake(&w);
    }
    static const struct {
        void (*set)(struct query_filter *f);
        const char *where, *expected;
    } cases[] = {
        {NULL, NULL, "1234"},
        {set_service, NULL, "1"},
        {set_no_service, NULL, "234"}, /* absent, empty, and said in so many words */
        {set_other_service, NULL, ""},
        {set_environment, NULL, "1"}, /* the newer name wins over the older */
        {set_old_environment, NULL, "2"},
        {set_no_environment, NULL, "34"},
        {set_severity, NULL, "24"},
        {set_trace, NULL, "2"},
        {set_span, NULL, "1"},
        {set_text, NULL, "24"},
        {set_phrase, NULL, "2"},
        {set_from, NULL, "234"},
        {set_to, NULL, "12"},
        {set_moment, NULL, "3"},
        {NULL, "http.status_code=200", "1"},
        {NULL, "http.status_code!=200", "234"},
        {NULL, "http.status_code=503", "2"}, /* a text of digits */
        {NULL, "http.status_code>100", "1"}, /* numbers alone are compared as numbers */
        {NULL, "http.status_code>=200", "1"},
        {NULL, "http.status_code<200", ""},
        {NULL, "http.status_code~^50", "24"},
        {NULL, "http.status_code!~^50", "13"},
        {NULL, "http.status_code exists", "124"},
        {NULL, "http.status_code absent", "3"},
        {NULL, "resource.http.status_code exists", ""},
        {NULL, "log.http.status_code exists", "124"},
        {NULL, "service.namespace=eu", "3"}, /* of the row, else of its resource */
        {NULL, "log.service.namespace=eu", ""},
        {NULL, "resource.service.namespace exists", "3"},
        {set_no_service, "http.status_code exists", "24"},
        {set_no_environment, "service.namespace absent", "4"},
        {set_severity, "http.status_code=501", "4"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) expect(&w, cases[i].set, cases[i].where, cases[i].expected);
    world_close(&w);
}

static void a_filter_that_cannot_be_is_refused(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct matcher m;
    struct query_filter f;
    world_open(&w, 1);
    world_query(&w, &q);
    query_filter_init(&f);
    f.time_min = 6, f.time_max = 5;
    for (enum signal signal = 0; signal < SIGNALS; signal++) {
        err e = matcher_make(&q, signal, &f, &m);
        assert_true(e && err_kind(e) == ERR_INVALID && strstr(err_text(e), "ends before it starts"));
        err_free(e);
    }
    query_filter_init(&f);
    f.text = STR("\"without end");
    err e = matcher_make(&q, SIGNAL_LOGS, &f, &m);
    assert_true(e && err_kind(e) == ERR_INVALID && strstr(err_text(e), "text"));
    err_free(e);
    query_filter_init(&f);
    for (int i = 0; i < QUERY_WHERE_MAX; i++) ASSERT_OK(query_filter_where(&q, &f, STR("a=1")));
    e = query_filter_where(&q, &f, STR("a=1"));
    assert_true(e && err_kind(e) == ERR_LIMIT && f.where_count == QUERY_WHERE_MAX);
    err_free(e);
    f.service = f.environment = f.operation = f.text = STR("x"); /* the most conditions there can be at once */
    f.status = f.kind = 1;
    f.is_root = true;
    f.duration_min = f.duration_max = 5;
    ASSERT_OK(matcher_make(&q, SIGNAL_SPANS, &f, &m));
    f.severity_min = 5;
    f.trace_id = trace_2;
    f.span_id = span_5;
    ASSERT_OK(matcher_make(&q, SIGNAL_LOGS, &f, &m));
    query_end(&q);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_ways_agree),
        cmocka_unit_test(each_condition_does_what_it_says),
        cmocka_unit_test(a_filter_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
