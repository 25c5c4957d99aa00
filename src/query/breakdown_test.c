#include "query/breakdown.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { VALUES_MAX = 64, STEP = 7000000 };
static const int64_t from = 1000000000000, spread = 1000000000;

/* The value of a row for each kind of key, by definition. NULL: it has none. */
static const char *value_of(const struct sample *s, const char *by, char room[16]) {
    if (strcmp(by, "service") == 0) return sample_service(s);
    if (strcmp(by, "environment") == 0) return sample_environment(s);
    if (strcmp(by, "operation") == 0 || strcmp(by, "body") == 0) return s->name;
    if (strstr(by, "namespace")) return s->space;
    unsigned n = strcmp(by, "status") == 0     ? s->status
                 : strcmp(by, "kind") == 0     ? s->kind
                 : strcmp(by, "severity") == 0 ? (unsigned)severity_class(s->severity)
                                               : (unsigned)s->code;
    if (strstr(by, "code") && s->code < 0) return NULL;
    snprintf(room, 16, "%u", n);
    return room;
}

struct naive {
    char value[32];
    uint64_t rows, errors, bucket_rows[200], bucket_errors[200];
    int64_t sum;
};

static void naive_add(struct naive *n, const struct sample *s) {
    bool failed = s->signal == SIGNAL_SPANS ? s->status == 2 : s->severity >= 17 && s->severity <= 24;
    size_t bucket = (size_t)(s->time / STEP - from / STEP);
    n->rows++;
    n->errors += failed;
    n->bucket_rows[bucket]++;
    n->bucket_errors[bucket] += failed;
    if (s->signal == SIGNAL_SPANS) n->sum += MAX(s->duration, 0);
}

static void assert_group(const struct query_group *g, const struct naive *n, size_t first, size_t buckets) {
    assert_int_equal(g->stats.spans, n->rows);
    assert_int_equal(g->stats.errors, n->errors);
    assert_true(g->stats.duration_sum == n->sum);
    assert_true((g->bucket_rows != NULL) == (n->rows > 0));
    for (size_t b = 0; b < buckets && g->bucket_rows; b++) {
        assert_int_equal(g->bucket_rows[b], n->bucket_rows[first + b]);
        assert_int_equal(g->bucket_errors[b], n->bucket_errors[first + b]);
    }
}

struct model {
    struct naive values[VALUES_MAX], without, other;
    size_t n;
};

static void model_fill(struct model *m, const struct world *w, const struct world_filter *f, enum signal signal,
                       const char *by) {
    memset(m, 0, sizeof *m);
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        char room[16];
        if (s->signal != signal || !sample_matches(f, s)) continue;
        const char *value = value_of(s, by, room);
        size_t k = 0;
        while (value && k < m->n && strcmp(m->values[k].value, value) != 0) k++;
        assert_true(k < VALUES_MAX);
        if (value && k == m->n) snprintf(m->values[m->n++].value, sizeof m->values->value, "%s", value);
        naive_add(value ? &m->values[k] : &m->without, s);
    }
}

/* What was not listed goes to other, and none of it is larger than what was. */
static void check(struct model *m, const struct query_breakdown_answer *a, bool is_number, size_t top, size_t first) {
    bool listed[VALUES_MAX] = {false};
    assert_int_equal(a->values, m->n);
    assert_false(a->values_cut);
    assert_int_equal(a->n, MIN(top, m->n));
    for (size_t i = 0; i < a->n; i++) {
        char text[32];
        const struct query_group *g = &a->groups[i];
        snprintf(text, sizeof text, is_number ? "%llu" : "%.0llu", (unsigned long long)g->values[0].number);
        struct str value = is_number ? str_of(text) : g->values[0].text;
        size_t k = 0;
        while (k < m->n && !str_equal(value, str_of(m->values[k].value))) k++;
        assert_true(k < m->n && !listed[k]);
        listed[k] = true;
        assert_group(g, &m->values[k], first, a->bucket_count);
        assert_true(i == 0 || g[-1].stats.spans >= g->stats.spans);
    }
    for (size_t k = 0; k < m->n; k++) {
        if (listed[k]) continue;
        m->other.rows += m->values[k].rows;
        m->other.errors += m->values[k].errors;
        m->other.sum += m->values[k].sum;
        for (size_t b = 0; b < LENGTH(m->other.bucket_rows); b++) {
            m->other.bucket_rows[b] += m->values[k].bucket_rows[b];
            m->other.bucket_errors[b] += m->values[k].bucket_errors[b];
        }
        assert_true(a->n == 0 || m->values[k].rows <= a->groups[a->n - 1].stats.spans);
    }
    assert_group(&a->other, &m->other, first, a->bucket_count);
    assert_group(&a->without, &m->without, first, a->bucket_count);
}

static void check_one(struct world *w, enum signal signal, const char *by, size_t top) {
    static struct model m; /* too large for a stack */
    struct query q;
    struct world_filter f;
    struct query_breakdown r = {.signal = signal, .by_count = 1, .top = top, .trend = true, .step = STEP};
    struct query_breakdown_answer a;
    world_query(w, &q);
    world_random_filter(w, &q, signal, &f);
    f.filter.time_min = MAX(f.filter.time_min, from);
    f.filter.time_max = MIN(f.filter.time_max, from + spread);
    r.filter = f.filter;
    ASSERT_OK(query_by_parse(&q, signal, str_of(by), &r.by[0]));
    ASSERT_OK(query_breakdown(&q, &r, &a));
    model_fill(&m, w, &f, signal, by);
    check(&m, &a, r.by[0].is_number, top, (size_t)(f.filter.time_min / STEP - from / STEP));
    query_end(&q);
    assert_int_equal(budget_used(&w->budget), 0);
}

static void groups_equal_brute_force(void **state) {
    (void)state;
    static const char *const of_spans[] = {"service",
                                           "environment",
                                           "operation",
                                           "status",
                                           "kind",
                                           "http.status_code",
                                           "span.http.status_code",
                                           "resource.service.namespace"};
    static const char *const of_logs[] = {"service",  "environment",          "body",
                                          "severity", "log.http.status_code", "\"service.namespace\""};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 20 + (uint32_t)seed * 6, 3 + (uint32_t)seed, from, spread);
        world_fill(&w, SIGNAL_LOGS, 20 + (uint32_t)seed * 6, 3 + (uint32_t)seed, from, spread);
        for (size_t i = 0; i < LENGTH(of_spans); i++) check_one(&w, SIGNAL_SPANS, of_spans[i], 1 + world_below(&w, 5));
        for (size_t i = 0; i < LENGTH(of_logs); i++) check_one(&w, SIGNAL_LOGS, of_logs[i], world_below(&w, 6));
        world_close(&w);
    }
}

/* The largest comes last, when many small ones are known already. */
static void a_group_is_whole_however_late_it_shows(void **state) {
    (void)state;
    enum { SMALL = 3000, LARGE = 500 };
    static char names[SMALL][12];
    struct world w;
    struct query q;
    struct query_breakdown r = {.signal = SIGNAL_LOGS, .by_count = 1, .top = 1};
    struct query_breakdown_answer a;
    world_open(&w, 1);
    for (uint32_t i = 0; i < SMALL + LARGE; i++) {
        struct sample s = {.signal = SIGNAL_LOGS, .time = 1 + (SMALL + LARGE - i), .code = -1, .name = "large"};
        if (i < SMALL) {
            snprintf(names[i], sizeof names[i], "small %u", i);
            s.name = names[i];
        }
        world_add(&w, &s, 1);
    }
    world_query(&w, &q);
    query_filter_init(&r.filter);
    ASSERT_OK(query_by_parse(&q, SIGNAL_LOGS, STR("body"), &r.by[0]));
    ASSERT_OK(query_breakdown(&q, &r, &a));
    assert_int_equal(a.n, 1);
    assert_true(str_equal(a.groups[0].values[0].text, STR("large")));
    assert_int_equal(a.groups[0].stats.spans, LARGE);
    assert_null(a.groups[0].bucket_rows);
    assert_int_equal(a.other.stats.spans, SMALL);
    assert_int_equal(a.values, SMALL + 1);
    query_end(&q);
    assert_int_equal(budget_used(&w.budget), 0);
    world_close(&w);
}

static void a_key_is_a_field_an_attribute_or_a_mistake(void **state) {
    (void)state;
    static const struct {
        const char *key, *error; /* NULL: none */
    } cases[] = {{"service", NULL},
                 {"\"service\"", NULL},
                 {"resource.host.name", NULL},
                 {"scope.name", NULL},
                 {"", "at 1: the name"},
                 {"a b", "at 3: there"},
                 {"a=1", "at 2: there"},
                 {"event.name", "a span has many events"},
                 {"\"a", "at 1: the quote"}};
    struct world w;
    struct query q;
    struct query_by by;
    world_open(&w, 1);
    world_query(&w, &q);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        err e = query_by_parse(&q, SIGNAL_SPANS, str_of(cases[i].key), &by);
        assert_true((e == NULL) == (cases[i].error == NULL));
        if (e) assert_non_null(strstr(err_text(e), cases[i].error));
        err_free(e);
    }
    ASSERT_OK(query_by_parse(&q, SIGNAL_SPANS, STR("severity"), &by)); /* of logs alone: here an attribute */
    assert_int_equal(by.columns[0].target, TARGET_ANY);
    query_end(&q);
    world_close(&w);
}

static void the_range_before_touches_and_keeps_steps(void **state) {
    (void)state;
    for (int64_t step = 1; step < 40; step++)
        for (int64_t length = 1; length < 90; length++) {
            int64_t min = 1000, max = 1000 + length, back = 0;
            assert_true(query_range_before(&min, &max, step, &back));
            assert_int_equal(back % step, 0);
            assert_true(back >= length && back < length + step);
            assert_int_equal(min, 1000 - back);
            assert_true(max < 1000 && max >= 1000 + length - back - 1);
        }
    int64_t min = 50, max = 200, back = 7;
    assert_false(query_range_before(&min, &max, 1, &back));
    min = INT64_MIN, max = INT64_MAX;
    assert_false(query_range_before(&min, &max, INT64_MAX, &back));
    min = 1, max = INT64_MAX;
    assert_false(query_range_before(&min, &max, INT64_MAX, &back));
    assert_int_equal(back, 7);
}

static void the_name_of_a_record_is_of_its_content(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_logs r = {.order = QUERY_OLDEST, .limit = 1000};
    struct query_logs_answer found;
    uint64_t names[2][200];
    world_open(&w, 5);
    world_fill(&w, SIGNAL_LOGS, 200, 20, from, spread);
    for (int turn = 0; turn < 2; turn++) {
        world_query(&w, &q);
        query_filter_init(&r.filter);
        ASSERT_OK(query_logs(&q, &r, &found));
        assert_int_equal(found.n, 200);
        for (size_t i = 0; i < found.n; i++) names[turn][i] = query_log_identity(&found.batch, found.rows[i]);
        for (size_t i = 0; i < found.n; i++)
            for (size_t k = 0; k < i; k++)
                assert_int_equal(names[turn][i] == names[turn][k],
                                 batch_rows_equal(&found.batch, found.rows[i], &found.batch, found.rows[k]));
        query_end(&q);
        for (int i = 0; i < 20; i++) world_shake(&w);
    }
    for (size_t i = 0; i < 200; i++) { /* rows of one time may stand otherwise */
        bool again = false;
        for (size_t k = 0; k < 200 && !again; k++) again = names[0][i] == names[1][k];
        assert_true(again);
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_equal_brute_force),
        cmocka_unit_test(a_group_is_whole_however_late_it_shows),
        cmocka_unit_test(a_key_is_a_field_an_attribute_or_a_mistake),
        cmocka_unit_test(the_range_before_touches_and_keeps_steps),
        cmocka_unit_test(the_name_of_a_record_is_of_its_content),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
