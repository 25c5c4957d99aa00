/* Failed spans by what they say against a count by brute force, over both stores. */
#include "query/failures_priv.h"

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

static bool is_in(const struct sample *s, int64_t from, int64_t to) { return s->time >= from && s->time <= to; }

/* The failed row next above row i, through rows that did not fail; its own number if there is none. *out_apart: not its parent. */
static size_t caller_of(size_t i, int64_t from, int64_t to, bool *out_apart) {
    size_t at = i;
    for (size_t steps = 0; steps <= w.rows.n; steps++) {
        const struct sample *s = &w.rows.v[at];
        size_t up = 0;
        while (up < w.rows.n && (w.rows.v[up].span_id != s->parent_id || !is_in(&w.rows.v[up], from, to) ||
                                 memcmp(w.rows.v[up].trace_id, s->trace_id, 16) != 0))
            up++;
        if (up == w.rows.n || up == i) return i;
        *out_apart = steps > 0;
        if (w.rows.v[up].status == 2) return up;
        at = up;
    }
    return i;
}

/* Which row of w.rows began what row i says, and how deep below i; by definition, where every id is one row. Spans of fill_families say nothing but codes. */
struct said {
    size_t origin;
    int height; /* -1: not known yet */
};
static struct said *fold(int64_t from, int64_t to) {
    struct said *v = calloc(w.rows.n, sizeof *v);
    size_t *caller = calloc(w.rows.n, sizeof *caller);
    bool *apart = calloc(w.rows.n, sizeof *apart), *is_near = calloc(w.rows.n, sizeof *is_near);
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        v[i] = (struct said){i, -1};
        caller[i] = s->status == 2 && is_in(s, from, to) ? caller_of(i, from, to, &apart[i]) : i;
        if (caller[i] != i && !apart[i]) is_near[caller[i]] = true;
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < w.rows.n; i++) {
            const struct sample *s = &w.rows.v[i];
            struct said found = {i, 0};
            bool is_open = v[i].height >= 0 || s->status != 2 || s->time < from || s->time > to;
            for (size_t k = 0; k < w.rows.n && !is_open; k++) {
                if (k == i || caller[k] != i || (apart[k] && is_near[i])) continue;
                is_open = v[k].height < 0;
                if (v[k].height + 1 > found.height ||
                    (v[k].height + 1 == found.height && w.rows.v[v[k].origin].time < w.rows.v[found.origin].time))
                    found = (struct said){v[k].origin, v[k].height + 1};
            }
            if (is_open) continue;
            v[i] = found;
            more = true;
        }
    }
    free(caller);
    free(apart);
    free(is_near);
    return v;
}

static int newest_first(const void *x, const void *y) {
    const struct query_failure_sample *a = x, *b = y;
    return a->time > b->time ? -1 : a->time < b->time;
}

/* Its newest traces, each at its newest failed span. */
static void check_samples(const struct query_failure *f, const struct said *said, int64_t from, int64_t to) {
    struct query_failure_sample *v = calloc(w.rows.n + 1, sizeof *v);
    uint32_t n = 0;
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        if (!belongs(s, f) || s->time < from || s->time > to || said[i].origin != i) continue;
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

static void check_group(const struct query_failure *f, const struct said *said, int64_t from, int64_t to) {
    uint64_t count = 0, passed = 0, in_buckets = 0;
    int64_t first = INT64_MAX, last = INT64_MIN;
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        if (s->status != 2 || s->time < from || s->time > to) continue;
        passed += said[i].origin != i && belongs(&w.rows.v[said[i].origin], f);
        if (!belongs(s, f) || said[i].origin != i) continue;
        count++;
        first = MIN(first, s->time);
        last = MAX(last, s->time);
    }
    assert_int_equal(f->count, count);
    assert_int_equal(f->passed_through, passed);
    assert_int_equal(f->first, first);
    assert_int_equal(f->last, last);
    for (int i = 0; i < QUERY_FAILURE_BUCKETS; i++) in_buckets += f->buckets[i];
    assert_int_equal(in_buckets, count);
    check_samples(f, said, from, to);
}

/* Each pair of a group and one that it passed through, against the same count. */
static void check_callers(const struct query_failures_answer *a, const struct said *said, int64_t from, int64_t to) {
    for (size_t i = 0; i < a->n; i++) {
        const struct query_failure *f = &a->failures[i];
        uint64_t sum = 0;
        for (uint32_t c = 0; c < f->caller_count; c++) {
            uint64_t count = 0;
            for (size_t k = 0; k < w.rows.n; k++) {
                const struct sample *s = &w.rows.v[k];
                count += s->time >= from && s->time <= to && said[k].origin != k &&
                         belongs(s, &a->failures[f->callers[c].failure]) && belongs(&w.rows.v[said[k].origin], f);
            }
            assert_int_equal(f->callers[c].count, count);
            assert_true(c == 0 || f->callers[c - 1].count >= count);
            sum += count;
        }
        assert_int_equal(f->passed_through, sum);
    }
}

/* Spans with ids of their own; parents are of the same trace, there or not, above or below: rings among them. */
static void fill_families(uint32_t n) {
    static const char *const services[] = {"web", "order", "pay"};
    static const char *const names[] = {"GET", "charge"};
    for (uint32_t i = 0; i < n; i++) {
        struct sample s = {.signal = SIGNAL_SPANS,
                           .trace_id = {(unsigned char)(1 + world_below(&w, 12))},
                           .span_id = i + 1,
                           .parent_id = world_below(&w, 5) ? world_below(&w, n + 5) : 0,
                           .time = NOON + (int64_t)world_below(&w, 1000000) * 1000 + i,
                           .duration = 1,
                           .kind = 2,
                           .status = world_below(&w, 4) ? 2 : 0,
                           .service = services[world_below(&w, 3)],
                           .name = names[world_below(&w, 2)],
                           .code = world_below(&w, 3) ? -1 : 500};
        if (world_below(&w, 2)) s.parent_id = i; /* often of another trace: then it is missing */
        if (i && s.parent_id == i) memcpy(s.trace_id, w.rows.v[i - 1].trace_id, 16);
        world_add(&w, &s, 1);
        if (i % 20 == 0) world_shake(&w);
    }
}

static void groups_are_those_of_a_count(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct query_filter f;
        struct query_failures_answer found;
        uint64_t failed = 0, grouped = 0, passed = 0;
        world_open(&w, seed);
        fill_families(300);
        world_shake(&w);
        world_query(&w, &q);
        query_filter_init(&f);
        f.time_min = NOON + (int64_t)world_below(&w, 300000000);
        f.time_max = NOON + SPREAD - (int64_t)world_below(&w, 300000000);
        ASSERT_OK(query_failures(&q, &f, &found));
        for (size_t i = 0; i < w.rows.n; i++)
            failed += w.rows.v[i].status == 2 && w.rows.v[i].time >= f.time_min && w.rows.v[i].time <= f.time_max;
        struct said *said = fold(f.time_min, f.time_max);
        for (size_t i = 0; i < found.n; i++) {
            check_group(&found.failures[i], said, f.time_min, f.time_max);
            grouped += found.failures[i].count + found.failures[i].passed_through;
            passed += found.failures[i].passed_through;
        }
        check_callers(&found, said, f.time_min, f.time_max);
        free(said);
        assert_true(passed > 0 && passed < failed);
        assert_true(failed > 0);
        assert_int_equal(found.total, failed);
        assert_int_equal(grouped, failed);
        assert_int_equal(found.other, 0);
        query_end(&q);
        world_close(&w);
    }
}

/* A mistake that passes through five callers is one failure. */
static void a_failure_is_counted_where_it_began(void **state) {
    (void)state;
    static const char *const services[] = {"page", "web", "order", "pay", "bank"};
    struct query_filter f;
    struct query_failures_answer found;
    world_open(&w, 1);
    for (uint32_t i = 0; i < 77; i++) {
        struct sample s[LENGTH(services)];
        for (uint32_t k = 0; k < LENGTH(services); k++)
            s[k] = (struct sample){.signal = SIGNAL_SPANS,
                                   .trace_id = {1, (unsigned char)i},
                                   .span_id = k + 1,
                                   .parent_id = k,
                                   .time = NOON + i,
                                   .duration = 1,
                                   .kind = 2,
                                   .status = 2,
                                   .service = services[k],
                                   .name = "call",
                                   .code = -1};
        world_add(&w, s, LENGTH(services));
    }
    world_query(&w, &q);
    query_filter_init(&f);
    f.time_min = NOON;
    f.time_max = NOON + 100;
    ASSERT_OK(query_failures(&q, &f, &found));
    assert_int_equal(found.total, 77 * LENGTH(services));
    for (size_t i = 0; i < found.n; i++) {
        bool is_bank = str_equal(found.failures[i].service, STR("bank"));
        assert_int_equal(found.failures[i].count, is_bank ? 77 : 0);
        assert_int_equal(found.failures[i].passed_through, is_bank ? 4 * 77 : 0);
        assert_int_equal(found.failures[i].caller_count, is_bank ? 4 : 0);
        if (!is_bank) continue;
        struct batch b;
        bool readable;
        ASSERT_OK(query_failure_span(&q, &found.failures[i].samples[0], &b, &readable));
        assert_true(readable && batch_u64(&b, SET_ROWS, FIELD_SPAN_ID, 0) == LENGTH(services));
        assert_int_equal(batch_u64(&b, SET_ROWS, FIELD_TIME, 0), NOON + 76);
    }
    f.service = STR("order"); /* what it says itself */
    ASSERT_OK(query_failures(&q, &f, &found));
    assert_true(found.n == 1 && found.failures[0].count == 77 && found.failures[0].passed_through == 0);
    query_end(&q);
    world_close(&w);
}

/* What a caller above a span that did not fail says, and whether it is a mistake of its own. */
static void spans_that_did_not_fail_do_not_break_a_chain(void **state) {
    (void)state;
    static const struct {
        int code;
        uint32_t status, between; /* of the span in between */
        const char *message, *error;
        bool is_own;
    } cases[] = {
        {402, 0, 1, "", "", false},
        {402, 1, 1, "", "", false},
        {402, 0, 40, "", "", false},
        {-1, 0, 1, "", "", false},
        {402, 0, 1, "HTTP 402", "", false},
        {402, 0, 1, "Request failed with status code 402", "", false},
        {402, 0, 1, "declined", "", false}, /* what began below says the same */
        {402, 0, 1, "account 14021 is closed", "", true},
        {-1, 0, 1, "gave up after 3 attempts", "", true},
        {-1, 0, 1, "", "timeout", true},
        {-1, 0, 1, "", "CardError", false},
        {-1, 0, 1, "", "402", false},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct sample s[64];
        struct query_filter f;
        struct query_failures_answer found;
        uint32_t n = cases[i].between + 2;
        world_open(&w, 1);
        for (uint32_t k = 0; k < n; k++)
            s[k] = (struct sample){.signal = SIGNAL_SPANS,
                                   .trace_id = {1},
                                   .span_id = k + 1,
                                   .parent_id = k,
                                   .time = NOON + k,
                                   .duration = 1,
                                   .kind = 2,
                                   .status = k == 0 || k == n - 1 ? 2 : cases[i].status,
                                   .service = k ? "pay" : "gate",
                                   .name = "call",
                                   .message = k == 0       ? cases[i].message
                                              : k == n - 1 ? "declined"
                                                           : "",
                                   .error = k == 0       ? cases[i].error
                                            : k == n - 1 ? "CardError"
                                                         : "",
                                   .code = k == 0 ? cases[i].code : -1};
        world_add(&w, s, n);
        world_query(&w, &q);
        query_filter_init(&f);
        f.time_min = NOON;
        f.time_max = NOON + 100;
        ASSERT_OK(query_failures(&q, &f, &found));
        assert_int_equal(found.n, 2);
        for (size_t k = 0; k < found.n; k++) {
            const struct query_failure *of = &found.failures[k];
            bool is_gate = str_equal(of->service, STR("gate"));
            if (of->count != (is_gate ? cases[i].is_own : 1)) fail_msg("case %zu: %d", i, (int)of->count);
            assert_int_equal(of->passed_through, is_gate ? 0 : !cases[i].is_own);
        }
        f.service = STR("gate"); /* what it says itself */
        ASSERT_OK(query_failures(&q, &f, &found));
        assert_true(found.n == 1 && found.failures[0].count == 1);
        assert_int_equal(found.unfolded, 0);
        query_end(&q);
        world_close(&w);
    }
}

/* As many rows as are folded at most: one chain of all, one ring of all, and one caller of all. Nothing recurses, each takes one pass. */
static void the_largest_families_are_folded(void **state) {
    (void)state;
    uint32_t n = QUERY_FAILURES_FOLDED;
    struct failed_row *rows = calloc(n, sizeof *rows);
    uint32_t *origins = calloc(n, sizeof *origins);
    world_open(&w, 1);
    world_query(&w, &q);
    for (int shape = 0; shape < 3; shape++) {
        for (uint32_t i = 0; i < n; i++)
            rows[i] = (struct failed_row){.span_id = i + 1, .parent_id = shape == 2 ? 1 : i, .time = NOON + i};
        if (shape == 1) rows[0].parent_id = n;
        memset(origins, 0xff, n * sizeof *origins); /* nobody is apart */
        ASSERT_OK(failures_fold(&q, NULL, rows, n, origins));
        for (uint32_t i = 0; i < n; i++) {
            uint32_t wanted = shape == 0 ? n - 1 : shape == 1 ? i : i ? i : 1;
            if (origins[i] != wanted) fail_msg("shape %d, row %u: %u, not %u", shape, i, origins[i], wanted);
        }
    }
    query_end(&q);
    assert_int_equal(budget_used(&w.budget), 0);
    world_close(&w);
    free(rows);
    free(origins);
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
        cmocka_unit_test(a_failure_is_counted_where_it_began),
        cmocka_unit_test(spans_that_did_not_fail_do_not_break_a_chain),
        cmocka_unit_test(the_largest_families_are_folded),
        cmocka_unit_test(what_is_over_the_limit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
