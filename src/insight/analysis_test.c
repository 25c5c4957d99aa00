/* What a trace tells, on trees that a test writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/analysis.h"

enum { MOST = 100000 };
static struct tree_span spans[MOST];
static struct str services[16];
static struct tree_clock clocks[16];
static struct tree_call calls[64];
static struct analysis_usual usual[64];
static struct trace_tree t;
static struct arena a;
static struct analysis out;

static void begin(void) {
    arena_init(&a, 64 * MIB);
    memset(usual, 0, sizeof usual);
    memset(clocks, 0, sizeof clocks);
    t = (struct trace_tree){.spans = spans, .services = services, .clocks = clocks, .calls = calls};
}

/* Times in ms; spans come in the order of the tree. */
static uint32_t add(uint32_t parent, const char *service, const char *operation, int64_t start, int64_t end,
                    bool failed) {
    uint32_t s = 0, c = 0;
    while (s < t.service_count && !str_equal(services[s], str_of(service))) s++;
    if (s == t.service_count) services[t.service_count++] = str_of(service);
    while (c < t.call_count && !(calls[c].service == s && str_equal(calls[c].operation, str_of(operation)))) c++;
    if (c == t.call_count) calls[t.call_count++] = (struct tree_call){s, str_of(operation)};
    spans[t.n] = (struct tree_span){.id = t.n + 1,
                                    .parent = parent,
                                    .depth = parent == TREE_NONE ? 0 : spans[parent].depth + 1,
                                    .service = s,
                                    .call = c,
                                    .failed = failed,
                                    .start = start * 1000000,
                                    .duration = (end - start) * 1000000};
    return t.n++;
}

static void make(void) {
    err e = analysis_make(&a, &t, usual, &out);
    if (e) fail_msg("%s", err_text(e));
}

static int64_t path_ms(uint32_t span) {
    for (size_t i = 0; i < out.path_n; i++)
        if (out.path[i].span == span) return out.path[i].self_ns / 1000000;
    return 0;
}

static const struct analysis_service *service_of(const char *name) {
    for (size_t i = 0; i < out.service_n; i++)
        if (str_equal(services[out.services[i].service], str_of(name))) return &out.services[i];
    return NULL;
}

/*   web  ├──────────────────────────────────────────────────┤ 0 … 100
 *   a      ├──────────┤ 5 … 30      b ├─────────────┤ 40 … 80
 *   c         ├────────────┤ 10 … 38       d ├───┤ 50 … 60      e: 82 … 130, after its caller */
static void the_path_is_what_was_waited_for(void **state) {
    (void)state;
    begin();
    uint32_t web = add(TREE_NONE, "web", "GET", 0, 100, false);
    uint32_t first = add(web, "a", "one", 5, 30, false);
    uint32_t c = add(web, "c", "three", 10, 38, false);
    uint32_t b = add(web, "b", "two", 40, 80, false);
    uint32_t d = add(b, "d", "four", 50, 60, false);
    make();
    assert_int_equal(path_ms(b), 30);
    assert_int_equal(path_ms(d), 10);
    assert_int_equal(path_ms(c), 28);
    assert_int_equal(path_ms(first), 0); /* it ended after c began: c did not wait for it */
    assert_int_equal(path_ms(web), 10 + 2 + 20);
    assert_int_equal(out.path_found, 4);
    uint32_t e = add(web, "e", "late", 82, 130, false);
    make();
    assert_int_equal(path_ms(e), 18); /* no more than the root waited */
    assert_int_equal(path_ms(web), 10 + 2 + 2);
    assert_int_equal(out.duration, 130 * 1000000);
    arena_done(&a);
}

static void services_have_self_total_and_path(void **state) {
    (void)state;
    begin();
    uint32_t web = add(TREE_NONE, "web", "GET", 0, 100, true);
    uint32_t call = add(web, "web", "call", 10, 60, true);
    add(call, "db", "select", 20, 40, true);
    add(call, "db", "insert", 30, 50, false);
    make();
    const struct analysis_service *s = service_of("web"), *db = service_of("db");
    assert_int_equal(s->spans, 2);
    assert_int_equal(s->errors, 2);
    assert_int_equal(s->self_ns, (50 + 20) * 1000000);
    assert_int_equal(s->total_ns, 100 * 1000000);
    assert_int_equal(s->path_ns, 80 * 1000000); /* insert from 30 to 50: select did not end before it */
    assert_int_equal(db->self_ns, 40 * 1000000);
    assert_int_equal(db->total_ns, 30 * 1000000);
    assert_int_equal(db->path_ns, 20 * 1000000);
    assert_int_equal(out.errors, 3);
    arena_done(&a);
}

static void the_cause_is_the_deepest_failure_that_got_up(void **state) {
    (void)state;
    begin();
    uint32_t web = add(TREE_NONE, "web", "GET", 0, 100, true);
    uint32_t fine = add(web, "cache", "get", 0, 10, false);
    uint32_t miss = add(fine, "cache", "miss", 1, 9, true); /* deep, but who asked went on */
    add(miss, "cache", "look", 2, 3, false);
    uint32_t pay = add(web, "pay", "POST", 20, 90, true);
    uint32_t charge = add(pay, "bank", "charge", 30, 80, true);
    make();
    assert_int_equal(out.cause, charge);
    assert_int_equal(out.origins, 2);
    assert_int_equal(out.chain_n, 3);
    assert_true(out.chain[0] == charge && out.chain[1] == pay && out.chain[2] == web);
    assert_non_null(strstr(out.summary.p, "The deepest failure is bank: charge; 1 other failure began elsewhere."));
    arena_done(&a);
}

static void without_a_failure_there_is_no_cause(void **state) {
    (void)state;
    begin();
    add(TREE_NONE, "web", "GET", 0, 100, false);
    make();
    assert_int_equal(out.cause, TREE_NONE);
    assert_int_equal(out.chain_n, 0);
    assert_string_equal(out.summary.p,
                        "Without errors: 1 span of 1 service in 100ms. 100% of the critical path is web: GET.");
    arena_done(&a);
}

static void slow_is_over_the_usual_p95(void **state) {
    (void)state;
    begin();
    uint32_t web = add(TREE_NONE, "web", "GET", 0, 100, false);
    uint32_t db = add(web, "db", "select", 0, 50, false);
    add(web, "db", "rare", 50, 90, false);
    usual[spans[web].call] = (struct analysis_usual){20, 99 * 1000000};
    usual[spans[db].call] = (struct analysis_usual){1000, 10 * 1000000};
    usual[spans[2].call] = (struct analysis_usual){19, 1}; /* of too few */
    make();
    assert_int_equal(out.compared, 2);
    assert_int_equal(out.slow_found, 2);
    assert_int_equal(out.slow[0].span, db);
    assert_int_equal(out.slow[1].span, web);
    usual[spans[web].call].p95_ns = 100 * 1000000;
    make();
    assert_int_equal(out.slow_found, 1);
    arena_done(&a);
}

static void the_same_call_ten_times_is_a_repeat(void **state) {
    (void)state;
    begin();
    uint32_t web = add(TREE_NONE, "web", "GET", 0, 1000, false);
    for (int i = 0; i < 9; i++) add(web, "db", "select item", 10 * i, 10 * i + 5, false);
    add(web, "db", "select order", 100, 105, false);
    make();
    assert_int_equal(out.repeat_found, 0);
    add(web, "db", "select item", 110, 117, false);
    make();
    assert_int_equal(out.repeat_found, 1);
    assert_int_equal(out.repeats[0].count, 10);
    assert_int_equal(out.repeats[0].parent, web);
    assert_int_equal(out.repeats[0].first, 1);
    assert_int_equal(out.repeats[0].total_ns, 52 * 1000000);
    assert_non_null(strstr(out.summary.p, "web: GET calls db: select item 10 times."));
    arena_done(&a);
}

static void gaps_are_where_no_child_ran(void **state) {
    (void)state;
    begin();
    uint32_t web = add(TREE_NONE, "web", "GET", 0, 100, false);
    add(web, "a", "x", 5, 30, false);
    add(web, "a", "y", 20, 40, false);
    add(web, "a", "z", 70, 95, false);
    make();
    assert_int_equal(out.gap_found, 1); /* those of 5 ms are less than a tenth */
    assert_int_equal(out.gaps[0].span, web);
    assert_int_equal(out.gaps[0].start, 40 * 1000000);
    assert_int_equal(out.gaps[0].duration, 30 * 1000000);
    arena_done(&a);
}

static void clocks_are_told_of(void **state) {
    (void)state;
    begin();
    add(TREE_NONE, "web", "GET", 0, 100, false);
    clocks[0].ahead_ns = 5;
    make();
    assert_non_null(strstr(out.summary.p, "1 clock is ahead or behind, which is corrected here."));
    arena_done(&a);
}

/* A chain of 100,000 spans, all failed, and times that add up to more than there are ns. */
static void a_large_trace_stays_within_its_limits(void **state) {
    (void)state;
    begin();
    uint32_t above = TREE_NONE;
    for (uint32_t i = 0; i < MOST; i++) above = add(above, "deep", i % 2 ? "a" : "b", 0, 1000, true);
    for (uint32_t i = 0; i < MOST; i++) spans[i].duration = INT64_MAX - 1;
    make();
    assert_int_equal(out.cause, MOST - 1);
    assert_int_equal(out.chain_n, ANALYSIS_CHAIN_MAX);
    assert_true(out.chain_cut);
    assert_int_equal(out.path_found, 1);
    assert_true(out.services[0].self_ns == INT64_MAX - 1 && out.services[0].total_ns == INT64_MAX - 1);
    arena_done(&a);
    begin();
    add(TREE_NONE, "wide", "root", 0, 1000, false);
    for (uint32_t i = 1; i < MOST; i++) add(0, "wide", i % 2 ? "a" : "b", i % 1000, i % 1000 + 1, false);
    for (uint32_t i = 1; i < MOST; i++) usual[spans[i].call] = (struct analysis_usual){100, 1};
    make();
    assert_int_equal(out.slow_found, MOST - 1);
    assert_int_equal(out.slow_n, ANALYSIS_LIST_MAX);
    assert_true(out.path_n <= ANALYSIS_PATH_MAX && out.path_found == 1000);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_is_what_was_waited_for),
        cmocka_unit_test(services_have_self_total_and_path),
        cmocka_unit_test(the_cause_is_the_deepest_failure_that_got_up),
        cmocka_unit_test(without_a_failure_there_is_no_cause),
        cmocka_unit_test(slow_is_over_the_usual_p95),
        cmocka_unit_test(the_same_call_ten_times_is_a_repeat),
        cmocka_unit_test(gaps_are_where_no_child_ran),
        cmocka_unit_test(clocks_are_told_of),
        cmocka_unit_test(a_large_trace_stays_within_its_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
