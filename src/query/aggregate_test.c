/* Rates, errors and durations by service and operation, from rollups and by a scan, against brute force; services over time; groups by several keys. */
#include "query/aggregate.h"

#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t minute = 60 * (int64_t)1000000000;
#define NOON ((int64_t)28800000 * 60 * 1000000000)
#define NO_TEXT ((struct str){NULL, 0})

static struct world w;
static struct query q;

static void fill(uint64_t seed) {
    world_open(&w, seed);
    for (int i = 0; i < 9; i++)
        world_fill(&w, SIGNAL_SPANS, 30, 20, NOON + 10 * i * minute + (int64_t)world_below(&w, 59) * 1000000000,
                   1000000000);
    world_query(&w, &q);
}

static void drop(void) {
    query_end(&q);
    assert_int_equal(budget_used(&w.budget), 0);
    world_close(&w);
}

static int by_value(const void *x, const void *y) {
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

struct wanted {
    struct world_filter f; /* its range: of what is looked at */
    struct str service, operation;
};

static bool is_wanted(const struct wanted *c, const struct sample *s) {
    return s->signal == SIGNAL_SPANS && sample_matches(&c->f, s) &&
           (!c->service.p || str_equal(c->service, str_of(sample_service(s)))) &&
           (!c->operation.p || str_equal(c->operation, str_of(s->name)));
}

/* `exact`: to 1.6 %, with the least duration; else as rollups tell. */
static void check(const struct query_span_stats *got, const struct wanted *c, bool exact) {
    static const double shares[QUERY_QUANTILES] = {0.5, 0.9, 0.95, 0.99};
    AUTO_FREE int64_t *v = mem_new_array(int64_t, w.rows.n + 1);
    size_t n = 0;
    uint64_t errors = 0;
    int64_t sum = 0;
    for (size_t i = 0; i < w.rows.n; i++) {
        if (!is_wanted(c, &w.rows.v[i])) continue;
        v[n++] = MAX(w.rows.v[i].duration, 0);
        sum += v[n - 1];
        errors += w.rows.v[i].status == 2;
    }
    assert_int_equal(got->spans, n);
    assert_int_equal(got->errors, errors);
    assert_int_equal(got->duration_sum, sum);
    if (!n) return;
    qsort(v, n, sizeof *v, by_value);
    assert_int_equal(got->duration_max, v[n - 1]);
    if (exact) assert_int_equal(got->duration_min, v[0]);
    for (int i = 0; i < QUERY_QUANTILES; i++) {
        size_t rank = (size_t)(shares[i] * (double)n + 0.999999);
        double want = (double)v[MIN(MAX(rank, 1u), n) - 1], off = exact ? 1.016 : 1.0443;
        if ((double)got->quantiles[i] < want / off - 1 || (double)got->quantiles[i] > want * off + 1)
            fail_msg("quantile %g: %lld, not %g", shares[i], (long long)got->quantiles[i], want);
    }
}

/* Distinct pairs of a service and an operation, of those that are grouped by. */
static size_t count_rows(const struct wanted *all, bool service, bool operation) {
    size_t n = 0;
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        bool known = !is_wanted(all, s);
        for (size_t k = 0; k < i && !known; k++)
            known = is_wanted(all, &w.rows.v[k]) &&
                    (!service || strcmp(sample_service(&w.rows.v[k]), sample_service(s)) == 0) &&
                    (!operation || strcmp(w.rows.v[k].name, s->name) == 0);
        n += !known;
    }
    return n;
}

static void check_aggregate(const struct query_aggregate *r, struct wanted *all, struct query_aggregate_answer *a) {
    uint64_t rows = 0;
    all->f.filter.time_min = a->time_min;
    all->f.filter.time_max = a->time_max;
    check(&a->total, all, !a->rolled);
    assert_int_equal(a->found, count_rows(all, r->by_service, r->by_operation));
    assert_int_equal(a->n, MIN(a->found, r->limit));
    assert_false(a->found_cut);
    for (size_t i = 0; i < a->n; i++) {
        struct wanted one = *all;
        one.service = a->rows[i].service;
        one.operation = a->rows[i].operation;
        assert_true((one.service.p != NULL) == r->by_service && (one.operation.p != NULL) == r->by_operation);
        assert_true(a->rows[i].stats.spans > 0);
        assert_true(i == 0 || a->rows[i - 1].stats.spans >= a->rows[i].stats.spans);
        check(&a->rows[i].stats, &one, !a->rolled);
        rows += a->rows[i].stats.spans;
    }
    assert_int_equal(rows + a->other.spans, a->total.spans);
}

/* Every other time with a filter that keys hold, so that rollups tell; else with any. */
static void aggregates_are_those_of_a_count(void **state) {
    (void)state;
    unsigned rolled = 0, counted = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct query_aggregate r = {.by_service = seed % 3 != 0, .by_operation = seed % 3 != 1, .rollups = seed % 4};
        struct query_aggregate_answer a;
        struct wanted all = {.service = NO_TEXT};
        fill(seed);
        world_random_filter(&w, &q, SIGNAL_SPANS, &all.f);
        r.limit = 1 + world_below(&w, 12);
        r.filter = all.f.filter;
        r.filter.time_min = NOON - 5 * minute + (int64_t)world_below(&w, 50) * minute + 7;
        r.filter.time_max = r.filter.time_min + (int64_t)(1 + world_below(&w, 60)) * minute;
        ASSERT_OK(query_aggregate(&q, &r, &a));
        if (a.rolled)
            assert_true(r.rollups && a.time_min % minute == 0 && a.time_max % minute == minute - 1);
        else
            assert_true(a.time_min == r.filter.time_min && a.time_max == r.filter.time_max);
        check_aggregate(&r, &all, &a);
        rolled += a.rolled;
        counted += !a.rolled && a.n > 0;
        drop();
    }
    assert_true(rolled > 5 && counted > 5);
}

static void services_over_time_are_those_of_a_count(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct query_service_series r = {.limit = 1 + world_below(&w, 5), .step = (int64_t)(seed % 4) * 5 * minute};
        struct query_service_series_answer a;
        fill(seed);
        r.time_min = NOON + (int64_t)world_below(&w, 30) * minute + 5;
        r.time_max = r.time_min + (int64_t)world_below(&w, 70) * minute;
        r.environment = seed % 5 == 0 ? STR("prod") : NO_TEXT;
        r.service = seed % 7 == 0 ? STR("cart") : NO_TEXT;
        ASSERT_OK(query_service_series(&q, &r, &a));
        struct wanted of = {.operation = NO_TEXT};
        query_filter_init(&of.f.filter);
        of.f.filter.environment = r.environment;
        of.service = r.service;
        of.f.filter.time_min = a.time_min;
        of.f.filter.time_max = a.time_max;
        assert_int_equal(a.found, count_rows(&of, true, false));
        assert_int_equal(a.n, MIN(a.found, r.limit));
        assert_true(a.step % minute == 0 && a.first <= a.time_min && a.first + a.step > a.time_min);
        for (size_t i = 0; i < a.n; i++) {
            of.service = a.services[i].service;
            of.f.filter.time_min = a.time_min;
            of.f.filter.time_max = a.time_max;
            check(&a.services[i].stats, &of, false);
            for (size_t b = 0; b < a.bucket_count; b++) {
                of.f.filter.time_min = MAX(a.first + (int64_t)b * a.step, a.time_min);
                of.f.filter.time_max = MIN(a.first + (int64_t)(b + 1) * a.step - 1, a.time_max);
                check(&a.services[i].buckets[b], &of, false);
            }
        }
        drop();
    }
}

static void steps_are_whole_minutes(void **state) {
    (void)state;
    struct query_service_series r = {.limit = 10, .time_min = NOON, .time_max = NOON + 5 * minute, .step = 1000000000};
    struct query_service_series_answer a;
    fill(1);
    err e = query_service_series(&q, &r, &a);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    r.step = 0; /* chosen: five minutes would be 60 buckets of 5 s */
    ASSERT_OK(query_service_series(&q, &r, &a));
    assert_int_equal(a.step, minute);
    assert_int_equal(a.bucket_count, 5); // the sixth minute begins as the range ends
    r.time_max = NOON - 1;
    e = query_service_series(&q, &r, &a);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    drop();
}

/* ---- several keys ----------------------------------------------------------------------------------------------- */

/* By definition: "" and a missing one are told apart by `absent`. */
static struct query_group_value value_of(const struct sample *s, const char *key) {
    static char codes[8][16];
    static unsigned turn;
    if (strcmp(key, "service") == 0) return (struct query_group_value){.text = str_of(sample_service(s))};
    if (strcmp(key, "environment") == 0) return (struct query_group_value){.text = str_of(sample_environment(s))};
    if (strcmp(key, "operation") == 0) return (struct query_group_value){.text = str_of(s->name)};
    if (strcmp(key, "status") == 0) return (struct query_group_value){.number = s->status};
    if (strcmp(key, "kind") == 0) return (struct query_group_value){.number = s->kind};
    if (strcmp(key, "peer.service") == 0 || s->code < 0) return (struct query_group_value){.absent = true};
    char *code = codes[turn++ % 8];
    snprintf(code, sizeof *codes, "%d", s->code);
    return (struct query_group_value){.text = str_of(code)};
}

static bool is_of_group(const struct sample *s, const struct query_group *g, const char *const *keys, size_t n) {
    for (size_t k = 0; k < n; k++) {
        struct query_group_value v = value_of(s, keys[k]);
        if (v.absent != g->values[k].absent || v.number != g->values[k].number || !str_equal(v.text, g->values[k].text))
            return false;
    }
    return true;
}

static void check_group(const struct query_group *g, const struct world_filter *f, const char *const *keys, size_t n) {
    uint64_t rows = 0, errors = 0, traces = 0;
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        if (!sample_matches(f, s) || !is_of_group(s, g, keys, n)) continue;
        bool known = false;
        for (size_t k = 0; k < i && !known; k++)
            known = sample_matches(f, &w.rows.v[k]) && is_of_group(&w.rows.v[k], g, keys, n) &&
                    memcmp(w.rows.v[k].trace_id, s->trace_id, 16) == 0;
        rows++;
        errors += s->status == 2;
        traces += !known;
    }
    assert_int_equal(g->stats.spans, rows);
    assert_int_equal(g->stats.errors, errors);
    assert_int_equal(g->sample_count, MIN(traces, (uint64_t)QUERY_GROUP_SAMPLES));
    for (uint32_t a = 0; a < g->sample_count; a++) {
        bool found = false;
        for (uint32_t b = 0; b < a; b++) assert_memory_not_equal(g->samples[a], g->samples[b], 16);
        for (size_t i = 0; i < w.rows.n && !found; i++)
            found = sample_matches(f, &w.rows.v[i]) && is_of_group(&w.rows.v[i], g, keys, n) &&
                    memcmp(w.rows.v[i].trace_id, g->samples[a], 16) == 0;
        assert_true(found);
    }
}

static void groups_of_several_keys_are_those_of_a_count(void **state) {
    (void)state;
    static const char *const names[] = {"service", "operation",        "environment", "status",
                                        "kind",    "http.status_code", "peer.service"};
    for (uint64_t seed = 1; seed <= 50; seed++) {
        const char *keys[QUERY_KEYS_MAX];
        struct query_breakdown r = {.signal = SIGNAL_SPANS, .with_absent = true, .samples = true};
        struct query_breakdown_answer a;
        struct world_filter f;
        uint64_t rows = 0, all = 0;
        fill(seed);
        world_random_filter(&w, &q, SIGNAL_SPANS, &f);
        r.filter = f.filter;
        r.top = 1 + world_below(&w, 30);
        r.by_count = 1 + world_below(&w, QUERY_KEYS_MAX);
        for (size_t k = 0; k < r.by_count; k++) {
            keys[k] = names[world_below(&w, LENGTH(names))];
            ASSERT_OK(query_by_parse(&q, SIGNAL_SPANS, str_of(keys[k]), &r.by[k]));
        }
        ASSERT_OK(query_breakdown(&q, &r, &a));
        assert_int_equal(a.n, MIN(a.values, r.top));
        for (size_t i = 0; i < a.n; i++) {
            check_group(&a.groups[i], &f, keys, r.by_count);
            assert_true(i == 0 || a.groups[i - 1].stats.spans >= a.groups[i].stats.spans);
            rows += a.groups[i].stats.spans;
        }
        for (size_t i = 0; i < w.rows.n; i++) all += sample_matches(&f, &w.rows.v[i]);
        assert_int_equal(rows + a.other.stats.spans, all);
        assert_int_equal(a.total.spans, all);
        assert_int_equal(a.without.stats.spans, 0);
        drop();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(aggregates_are_those_of_a_count),
        cmocka_unit_test(services_over_time_are_those_of_a_count),
        cmocka_unit_test(steps_are_whole_minutes),
        cmocka_unit_test(groups_of_several_keys_are_those_of_a_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
