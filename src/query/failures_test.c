/* Failed spans by what they say against a count by brute force, over both stores. */
#include "query/failures.h"

#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOON ((int64_t)28800000 * 60 * 1000000000)
#define SPREAD ((int64_t)1000000000)

static struct world w;
static struct query q;

static bool is(const char *text, struct str expected) { return str_equal(str_of(text ? text : ""), expected); }

static const char *environment_text(const struct sample *s) {
    if (s->environment && *s->environment) return s->environment;
    return s->old_environment && *s->old_environment ? s->old_environment : "default";
}

static bool belongs(const struct sample *s, const struct query_failure *f) {
    char code[16] = "";
    if (s->signal != SIGNAL_SPANS || s->status != 2 || s->kind != f->kind) return false;
    if (!is(s->service && *s->service ? s->service : "unknown_service", f->service) || !is(s->space, f->space))
        return false;
    if (s->code >= 0) snprintf(code, sizeof code, "%d", s->code);
    return is(environment_text(s), f->environment) && is(s->name, f->operation) && is(code, f->error);
}

static int newest_first(const void *x, const void *y) {
    const struct query_failure_sample *a = x, *b = y;
    return a->time > b->time ? -1 : a->time < b->time;
}

/* Its newest traces, each at its newest failed span. */
static void check_samples(const struct query_failure *f, int64_t from, int64_t to) {
    struct query_failure_sample *v = calloc(w.rows.n + 1, sizeof *v);
    uint32_t n = 0;
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        if (!belongs(s, f) || s->time < from || s->time > to) continue;
        uint32_t k = 0;
        while (k < n && memcmp(v[k].trace_id, s->trace_id, 16) != 0) k++;
        if (k == n) memcpy(v[n++].trace_id, s->trace_id, 16);
        if (v[k].time < s->time) v[k].time = s->time;
    }
    qsort(v, n, sizeof *v, newest_first);
    assert_int_equal(f->sample_count, MIN(n, (uint32_t)QUERY_FAILURE_SAMPLES));
    for (uint32_t i = 0; i < f->sample_count; i++) assert_int_equal(f->samples[i].time, v[i].time);
    free(v);
}

static void check_group(const struct query_failure *f, int64_t from, int64_t to) {
    uint64_t count = 0, in_buckets = 0;
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        if (!belongs(s, f) || s->time < from || s->time > to) continue;
        count++;
        first = MIN(first, s->time);
        last = MAX(last, s->time);
    }
    assert_int_equal(f->count, count);
    assert_int_equal(f->first, first);
    assert_int_equal(f->last, last);
    for (int i = 0; i < QUERY_FAILURE_BUCKETS; i++) in_buckets += f->buckets[i];
    assert_int_equal(in_buckets, count);
    check_samples(f, from, to);
}

static void groups_are_those_of_a_count(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct query_filter f;
        struct query_failures_answer found;
        uint64_t failed = 0, grouped = 0;
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 400, 60, NOON, SPREAD);
        world_shake(&w);
        world_query(&w, &q);
        query_filter_init(&f);
        f.time_min = NOON + (int64_t)world_below(&w, 300000000);
        f.time_max = NOON + SPREAD - (int64_t)world_below(&w, 300000000);
        ASSERT_OK(query_failures(&q, &f, &found));
        for (size_t i = 0; i < w.rows.n; i++)
            failed += w.rows.v[i].status == 2 && w.rows.v[i].time >= f.time_min && w.rows.v[i].time <= f.time_max;
        for (size_t i = 0; i < found.n; i++) {
            check_group(&found.failures[i], f.time_min, f.time_max);
            grouped += found.failures[i].count;
        }
        assert_true(failed > 0);
        assert_int_equal(found.total, failed);
        assert_int_equal(grouped, failed);
        assert_int_equal(found.other, 0);
        query_end(&q);
        world_close(&w);
    }
}

static void what_is_over_the_limit_is_counted(void **state) {
    (void)state;
    enum { OVER = 40 };
    static char names[QUERY_FAILURES_MAX + OVER][12];
    struct query_filter f;
    struct query_failures_answer found;
    world_open(&w, 1);
    for (int i = 0; i < QUERY_FAILURES_MAX + OVER; i++) {
        struct sample s = {.signal = SIGNAL_SPANS,
                           .trace_id = {1},
                           .span_id = 1,
                           .time = NOON,
                           .duration = 1,
                           .kind = 2,
                           .status = 2,
                           .service = "a",
                           .code = -1};
        snprintf(names[i], sizeof names[i], "op%d", i);
        s.name = names[i];
        world_add(&w, &s, 1);
    }
    world_query(&w, &q);
    query_filter_init(&f);
    f.time_min = NOON - 10;
    f.time_max = NOON + 10;
    ASSERT_OK(query_failures(&q, &f, &found));
    assert_int_equal(found.n, QUERY_FAILURES_MAX);
    assert_int_equal(found.total, QUERY_FAILURES_MAX + OVER);
    assert_int_equal(found.other, OVER);
    f.service = STR("b");
    ASSERT_OK(query_failures(&q, &f, &found));
    assert_int_equal(found.total, 0);
    f.time_max = NOON - 11;
    err e = query_failures(&q, &f, &found);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    query_end(&q);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_those_of_a_count),
        cmocka_unit_test(what_is_over_the_limit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
