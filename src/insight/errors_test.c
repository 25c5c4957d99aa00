/* Failed spans put together by fingerprint: what is one mistake, its trend, its samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/analysis.h"
#include "insight/errors.h"

enum { MOST = 32 };
static struct query_failure failures[MOST];
static struct query_failures_answer in;
static struct arena a;
static struct error_groups out;

static void begin(void) {
    arena_init(&a, 16 * MIB);
    in = (struct query_failures_answer){.failures = failures};
}

static struct query_failure *add(const char *environment, const char *service, const char *operation, const char *error,
                                 const char *message, uint64_t count) {
    assert_true(in.n < MOST);
    struct query_failure *f = &failures[in.n++];
    *f = (struct query_failure){.service = str_of(service),
                                .space = STR("shop"),
                                .environment = str_of(environment),
                                .operation = str_of(operation),
                                .error = str_of(error),
                                .message = str_of(message),
                                .kind = 2,
                                .count = count,
                                .first = (int64_t)(1000 - in.n),
                                .last = (int64_t)(1000 + in.n),
                                .sample_count = 1};
    f->samples[0].trace_id[0] = (unsigned char)in.n;
    f->samples[0].time = (int64_t)(1000 + in.n);
    f->buckets[12] = count;
    in.total += count;
    return f;
}

static void make(size_t limit) {
    err e = errors_make(&a, &in, limit, &out);
    if (e) fail_msg("%s", err_text(e));
}

/* Passages of `of` through another failure. */
static void passed(struct query_failure *of, struct query_failure_caller *callers, uint32_t n) {
    of->callers = callers;
    of->caller_count = n;
    for (uint32_t i = 0; i < n; i++) of->passed_through += callers[i].count;
}

static void callers_are_listed_where_the_mistake_is(void **state) {
    (void)state;
    begin();
    struct query_failure *one = add("prod", "pay", "POST", "", "card 1 declined", 3);
    struct query_failure *two = add("test", "pay", "POST", "", "card 2 declined", 2);
    add("prod", "order", "POST /order", "500", "", 0);
    add("prod", "order", "POST /order", "502", "", 0);
    struct query_failure *own = add("prod", "web", "GET /", "500", "", 1); /* one of its own, others passed on */
    struct query_failure_caller of_one[] = {{2, 3}, {4, 1}}, of_two[] = {{3, 1}, {4, 1}};
    passed(one, of_one, 2);
    passed(two, of_two, 2);
    make(10);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.passed_through, 6);
    const struct error_group *g = &out.groups[0];
    assert_int_equal(g->of.count, 5);
    assert_int_equal(g->of.passed_through, 6);
    assert_int_equal(g->callers_found, 2);
    assert_true(str_equal(g->callers[0].service, STR("order")) && g->callers[0].count == 4);
    assert_true(str_equal(g->callers[1].operation, STR("GET /")) && g->callers[1].count == 2);
    assert_int_equal(out.groups[1].of.count, own->count);
    assert_int_equal(out.groups[1].caller_n, 0);
    arena_done(&a);
}

static void of_many_callers_the_most_frequent_are_given(void **state) {
    (void)state;
    static char names[20][8];
    struct query_failure_caller callers[20];
    begin();
    struct query_failure *f = add("prod", "pay", "POST", "", "declined", 100);
    for (uint32_t i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "op%u", i);
        add("prod", "web", names[i], "", "", 0);
        callers[i] = (struct query_failure_caller){i + 1, 1 + i};
    }
    passed(f, callers, 20);
    make(10);
    assert_int_equal(out.groups[0].callers_found, 20);
    assert_int_equal(out.groups[0].caller_n, ERROR_CALLERS_MAX);
    assert_true(str_equal(out.groups[0].callers[0].operation, STR("op19")));
    arena_done(&a);
}

static void messages_that_differ_in_ids_are_one(void **state) {
    (void)state;
    begin();
    add("prod", "pay", "POST /pay", "", "card 4711 of ann@shop.de declined", 2);
    add("prod", "pay", "POST /pay", "", "card 4712 of bob@shop.de declined", 3);
    add("stage", "pay", "POST /pay", "", "card 4713 of bob@shop.de declined", 1);
    add("prod", "pay", "POST /refund", "", "card 4711 of ann@shop.de declined", 1);
    add("prod", "pay", "POST /pay", "timeout", "card 4711 of ann@shop.de declined", 1);
    add("prod", "order", "POST /pay", "", "card 4711 of ann@shop.de declined", 1);
    make(10);
    assert_int_equal(out.n, 4);
    assert_int_equal(out.found, 4);
    assert_int_equal(out.total, 9);
    const struct error_group *g = &out.groups[0];
    assert_int_equal(g->of.count, 6);
    assert_int_equal(g->variants, 3);
    assert_int_equal(g->environments, 2);
    assert_true(str_equal(g->pattern, STR("card <*> of <*> declined")));
    assert_true(str_equal(g->of.message, STR("card 4712 of bob@shop.de declined"))); /* the most frequent */
    assert_true(str_equal(g->of.environment, STR("prod")));
    assert_int_equal(g->of.first, 997);
    assert_int_equal(g->of.last, 1003);
    assert_int_equal(g->of.sample_count, 3);
    for (uint32_t i = 1; i < 3; i++) assert_true(g->of.samples[i - 1].time > g->of.samples[i].time);
    for (size_t i = 1; i < out.n; i++) assert_true(out.groups[i - 1].of.count >= out.groups[i].of.count);
    make(2);
    assert_int_equal(out.n, 2);
    assert_int_equal(out.found, 4);
    arena_done(&a);
}

/* Links hold: over ranges, environments, and releases. */
static void a_fingerprint_is_what_it_was(void **state) {
    (void)state;
    begin();
    add("prod", "pay", "POST /pay", "timeout", "no answer after 30 s", 1);
    make(1);
    assert_string_equal(out.groups[0].fingerprint, "d884d9aeb1c223e5");
    assert_int_equal(strlen(out.groups[0].fingerprint), ERROR_FINGERPRINT_DIGITS);
    arena_done(&a);
    begin();
    add("stage", "pay", "POST /pay", "timeout", "no answer after 45 s", 5);
    make(1);
    assert_string_equal(out.groups[0].fingerprint, "d884d9aeb1c223e5");
    arena_done(&a);
}

static void trends_go_by_the_halves_of_the_range(void **state) {
    (void)state;
    static const struct {
        uint64_t early, late, last;
        enum error_trend trend;
    } cases[] = {{0, 0, 1, ERROR_NEW},        {1, 0, 1, ERROR_STEADY},     {2, 1, 1, ERROR_STEADY},
                 {3, 6, 0, ERROR_INCREASING}, {3, 2, 4, ERROR_INCREASING}, {6, 3, 0, ERROR_DECREASING},
                 {50, 50, 0, ERROR_STEADY},   {9, 0, 0, ERROR_DECREASING}, {0, 9, 0, ERROR_INCREASING}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        begin();
        struct query_failure *f = add("prod", "a", "b", "", "c", cases[i].early + cases[i].late + cases[i].last);
        f->buckets[12] = cases[i].late;
        f->buckets[0] = cases[i].early;
        f->buckets[QUERY_FAILURE_BUCKETS - 1] = cases[i].last;
        make(1);
        if (out.groups[0].trend != cases[i].trend) fail_msg("case %zu: %s", i, error_trend_names[out.groups[0].trend]);
        arena_done(&a);
    }
}

static void samples_are_of_different_traces(void **state) {
    (void)state;
    begin();
    for (int i = 0; i < 8; i++) {
        char *text = calloc(1, 16);
        snprintf(text, 16, "m %d", i);
        struct query_failure *f = add("prod", "a", "b", "", text, 1);
        f->samples[0].trace_id[0] = (unsigned char)(i / 2);
    }
    make(1);
    assert_int_equal(out.n, 1);
    assert_int_equal(out.groups[0].of.sample_count, 4);
    for (uint32_t i = 0; i < 4; i++) assert_int_equal(out.groups[0].of.samples[i].trace_id[0], 3 - i);
    for (int i = 0; i < 8; i++) free((char *)failures[i].message.p);
    arena_done(&a);
}

/* One span is called the same in the inbox and in the analysis of its trace. */
static void an_error_is_called_by_a_name_before_a_number(void **state) {
    (void)state;
    static const struct {
        const char *error, *exception, *name;
    } cases[] = {{"", "", ""},
                 {"402", "", "402"},
                 {"timeout", "", "timeout"},
                 {"", "IOError", "IOError"},
                 {"500", "IOError", "IOError"},
                 {"declined", "CardError", "declined"},
                 {"5xx", "IOError", "5xx"}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct str name = analysis_error_name(str_of(cases[i].error), str_of(cases[i].exception));
        if (!str_equal(name, str_of(cases[i].name))) fail_msg("case %zu", i);
    }
}

static void odd_messages_are_borne(void **state) {
    (void)state;
    static char large[40000];
    begin();
    memset(large, 'x', sizeof large - 1);
    add("", "", "", "", "", 1);
    add("", "", "", "", large, 1);
    add("", "", "", "", "\xff\xfe\x01<script>alert(1)</script>' OR 1=1", 1);
    make(10);
    assert_int_equal(out.n, 3);
    for (size_t i = 0; i < 3; i++) assert_true(out.groups[i].pattern.n <= 512);
    arena_done(&a);
    begin();
    make(10);
    assert_int_equal(out.n, 0);
    arena_done(&a);
    arena_init(&a, 4 * KIB);
    in = (struct query_failures_answer){.failures = failures};
    for (int i = 0; i < MOST; i++) add("e", "s", "o", "", large + i, 1);
    err e = errors_make(&a, &in, 10, &out);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(callers_are_listed_where_the_mistake_is),
        cmocka_unit_test(of_many_callers_the_most_frequent_are_given),
        cmocka_unit_test(messages_that_differ_in_ids_are_one),
        cmocka_unit_test(a_fingerprint_is_what_it_was),
        cmocka_unit_test(trends_go_by_the_halves_of_the_range),
        cmocka_unit_test(samples_are_of_different_traces),
        cmocka_unit_test(an_error_is_called_by_a_name_before_a_number),
        cmocka_unit_test(odd_messages_are_borne),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
