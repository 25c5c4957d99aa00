#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct naive {
    uint64_t spans, errors;
    int64_t sum;
};

static struct naive count(const struct world *w, const struct world_filter *f, const struct query_operation *o,
                          int64_t from, int64_t to) {
    struct naive n = {0};
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        if (s->signal != SIGNAL_SPANS || !sample_matches(f, s) || s->time < from || s->time >= to) continue;
        if (o && (s->kind != o->kind || !str_equal(o->name, str_of(s->name)) ||
                  !str_equal(o->service, str_of(sample_service(s)))))
            continue;
        n.spans++;
        n.errors += s->status == 2;
        n.sum += MAX(s->duration, 0);
    }
    return n;
}

static void assert_stats(const struct query_span_stats *s, struct naive n) {
    assert_int_equal(s->spans, n.spans);
    assert_int_equal(s->errors, n.errors);
    assert_true(s->duration_sum == n.sum);
    for (size_t i = 0; i < QUERY_QUANTILES; i++) {
        assert_true(s->quantiles[i] >= s->duration_min && s->quantiles[i] <= s->duration_max);
        assert_true(i == 0 || s->quantiles[i] >= s->quantiles[i - 1]);
    }
}

static uint64_t distinct_traces(const struct world *w, const struct world_filter *f) {
    uint64_t n = 0;
    for (size_t i = 0; i < w->rows.n; i++) {
        bool first = sample_matches(f, &w->rows.v[i]);
        for (size_t k = 0; k < i && first; k++)
            first = !sample_matches(f, &w->rows.v[k]) || memcmp(w->rows.v[i].trace_id, w->rows.v[k].trace_id, 16) != 0;
        n += first;
    }
    return n;
}

/* A service is the sum of its operations, and the services' buckets are those of all. */
static void check_by_service(const struct query_trace_stats_answer *s) {
    for (size_t i = 0; i < s->service_count; i++) {
        const struct query_service_stats *v = &s->services[i];
        uint64_t spans = 0, errors = 0, by_bucket = 0;
        for (size_t k = 0; k < s->top_count; k++) {
            if (!str_equal(s->top[k].service, v->service)) continue;
            spans += s->top[k].stats.spans;
            errors += s->top[k].stats.errors;
        }
        for (size_t b = 0; b < s->bucket_count; b++) by_bucket += v->bucket_spans[b];
        assert_int_equal(v->stats.spans, spans);
        assert_int_equal(v->stats.errors, errors);
        assert_int_equal(by_bucket, spans);
        assert_true(i == 0 || v[-1].stats.spans >= spans);
    }
    for (size_t b = 0; b < s->bucket_count; b++) {
        uint64_t spans = 0, errors = 0;
        for (size_t i = 0; i < s->service_count; i++) {
            spans += s->services[i].bucket_spans[b];
            errors += s->services[i].bucket_errors[b];
        }
        assert_int_equal(spans, s->buckets[b].stats.spans);
        assert_int_equal(errors, s->buckets[b].stats.errors);
    }
}

static void statistics_equal_brute_force(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world w;
        struct query q;
        struct world_filter f;
        struct query_trace_stats r = {.top = 1000, .services = QUERY_SERVICES_MAX};
        struct query_trace_stats_answer s;
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 20 + (uint32_t)seed * 8, 3 + (uint32_t)seed, 1000000000000, 1000000000);
        world_query(&w, &q);
        world_random_filter(&w, &q, SIGNAL_SPANS, &f);
        f.filter.time_min = MAX(f.filter.time_min, 1000000000000);
        f.filter.time_max = MIN(f.filter.time_max, 1001000000000);
        r.filter = f.filter;
        r.step = 7000000;
        ASSERT_OK(query_trace_stats(&q, &r, &s));
        assert_stats(&s.total, count(&w, &f, NULL, INT64_MIN, INT64_MAX));
        assert_int_equal(s.traces, distinct_traces(&w, &f));
        for (size_t i = 0; i < s.bucket_count; i++)
            assert_stats(&s.buckets[i].stats, count(&w, &f, NULL, s.buckets[i].start, s.buckets[i].start + s.step));
        uint64_t spans = 0;
        for (size_t i = 0; i < s.top_count; i++) {
            assert_stats(&s.top[i].stats, count(&w, &f, &s.top[i], INT64_MIN, INT64_MAX));
            spans += s.top[i].stats.spans;
        }
        assert_int_equal(spans, s.total.spans);
        check_by_service(&s);
        query_end(&q);
        assert_int_equal(budget_used(&w.budget), 0);
        world_close(&w);
    }
}

static void operations_equal_brute_force(void **state) {
    (void)state;
    static const char *const services[] = {"cart", "unknown_service", "nobody"};
    for (uint64_t seed = 1; seed <= 15; seed++) {
        struct world w;
        struct query q;
        struct query_operations_answer found;
        struct world_filter f = {0};
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 200, 20, 1000, 1000);
        world_query(&w, &q);
        query_filter_init(&f.filter);
        f.filter.service = str_of(services[seed % 3]);
        ASSERT_OK(query_operations(&q, &f.filter, 1000, &found));
        uint64_t spans = 0;
        for (size_t i = 0; i < found.n; i++) {
            assert_true(str_equal(found.operations[i].service, f.filter.service));
            assert_stats(&found.operations[i].stats, count(&w, &f, &found.operations[i], INT64_MIN, INT64_MAX));
            spans += found.operations[i].stats.spans;
        }
        assert_int_equal(spans, count(&w, &f, NULL, INT64_MIN, INT64_MAX).spans);
        query_end(&q);
        world_close(&w);
    }
}

static bool is_service(const struct query_service *v, const struct sample *s) {
    return str_equal(v->name, str_of(sample_service(s))) && str_equal(v->environment, str_of(sample_environment(s))) &&
           str_equal(v->space, str_of(s->space ? s->space : ""));
}

static void check_services(struct world *w, struct str environment, bool counted) {
    struct query q;
    struct query_services_answer found;
    size_t rows = 0, expected = 0;
    world_query(w, &q);
    ASSERT_OK(query_services(&q, INT64_MIN, INT64_MAX, environment, counted, &found));
    for (size_t i = 0; i < found.n; i++) {
        uint64_t spans = 0, logs = 0, errors = 0;
        for (size_t k = 0; k < w->rows.n; k++) {
            const struct sample *s = &w->rows.v[k];
            if (!is_service(&found.services[i], s)) continue;
            spans += s->signal == SIGNAL_SPANS;
            logs += s->signal == SIGNAL_LOGS;
            errors += s->signal == SIGNAL_SPANS && s->status == 2;
        }
        assert_int_equal(found.services[i].signals[SIGNAL_SPANS], spans > 0);
        assert_int_equal(found.services[i].signals[SIGNAL_LOGS], logs > 0);
        if (counted) {
            assert_int_equal(found.services[i].spans.spans, spans);
            assert_int_equal(found.services[i].logs, logs);
            assert_int_equal(found.services[i].spans.errors, errors);
        }
        rows += spans + logs;
    }
    for (size_t k = 0; k < w->rows.n; k++)
        expected += !environment.p || str_equal(environment, str_of(sample_environment(&w->rows.v[k])));
    assert_int_equal(rows, expected);
    query_end(&q);
}

static void services_equal_brute_force(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world w;
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 60, 20, 1000, 1000);
        world_fill(&w, SIGNAL_LOGS, 60, 20, 1000, 1000);
        for (int counted = 0; counted < 2; counted++) {
            check_services(&w, (struct str){NULL, 0}, counted);
            check_services(&w, STR("default"), counted);
            check_services(&w, STR("prod"), counted);
        }
        world_close(&w);
    }
}

static void groups_beyond_the_limit_are_counted_as_other(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_operations_answer found;
    struct query_filter f;
    world_open(&w, 1);
    static char names[2100][8];
    for (uint32_t i = 0; i < 2100; i++) {
        struct sample s = {
            .signal = SIGNAL_SPANS, .span_id = i + 1, .trace_id = {1}, .service = "cart", .name = names[i], .code = -1};
        memcpy(names[i], "op\0\0\0\0\0", 8);
        names[i][2] = (char)('a' + i % 26);
        names[i][3] = (char)('a' + i / 26 % 26);
        names[i][4] = (char)('a' + i / 676);
        world_add(&w, &s, 1);
    }
    world_query(&w, &q);
    query_filter_init(&f);
    f.service = STR("cart");
    ASSERT_OK(query_operations(&q, &f, 5000, &found));
    assert_int_equal(found.n, 2001);
    assert_true(str_equal(found.operations[0].name, STR("_other")));
    assert_int_equal(found.operations[0].stats.spans, 100);
    query_end(&q);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statistics_equal_brute_force),
        cmocka_unit_test(operations_equal_brute_force),
        cmocka_unit_test(services_equal_brute_force),
        cmocka_unit_test(groups_beyond_the_limit_are_counted_as_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
