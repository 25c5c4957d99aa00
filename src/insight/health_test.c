/* What makes a service degraded or critical: figures at, over and far over their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/health.h"

static struct health judge(uint64_t spans, uint64_t errors, int64_t p95_ms) {
    struct query_span_stats s = {.spans = spans, .errors = errors};
    s.quantiles[QUERY_P95] = p95_ms * 1000000;
    return health_judge(&s, &health_limits_default);
}

static void limits_are_gone_over_not_reached(void **state) {
    (void)state;
    static const struct {
        uint64_t spans, errors;
        int64_t p95_ms;
        enum health_status status;
        uint32_t reasons;
    } cases[] = {
        {0, 0, 0, HEALTH_HEALTHY, 0},      {100, 0, 10, HEALTH_HEALTHY, 0},    {100, 1, 500, HEALTH_HEALTHY, 0},
        {100, 2, 10, HEALTH_DEGRADED, 1},  {100, 5, 10, HEALTH_DEGRADED, 1},   {100, 6, 10, HEALTH_CRITICAL, 1},
        {100, 0, 501, HEALTH_DEGRADED, 1}, {100, 0, 1000, HEALTH_DEGRADED, 1}, {100, 0, 1001, HEALTH_CRITICAL, 1},
        {100, 2, 501, HEALTH_DEGRADED, 2}, {100, 6, 2000, HEALTH_CRITICAL, 2}, {1, 1, 10, HEALTH_CRITICAL, 1}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct health h = judge(cases[i].spans, cases[i].errors, cases[i].p95_ms);
        assert_int_equal(h.status, cases[i].status);
        assert_int_equal(h.reason_count, cases[i].reasons);
        assert_true(h.reason_count == 0 || h.reasons[0].status == h.status);
    }
}

static void reasons_have_the_figure_and_the_limit(void **state) {
    (void)state;
    struct health h = judge(200, 8, 1500);
    assert_int_equal(h.reasons[0].figure, HEALTH_P95);
    assert_true(h.reasons[0].value == 1.5e9 && h.reasons[0].limit == 1e9);
    assert_int_equal(h.reasons[1].figure, HEALTH_ERROR_RATIO);
    assert_int_equal(h.reasons[1].status, HEALTH_DEGRADED);
    assert_true(h.reasons[1].value == 0.04 && h.reasons[1].limit == 0.01);
}

static void limits_are_the_askers(void **state) {
    (void)state;
    struct query_span_stats s = {.spans = 10, .errors = 5};
    struct health_limits mild = {1, 1, INT64_MAX, INT64_MAX}, strict = {0, 0.4, 0, 0};
    assert_int_equal(health_judge(&s, &mild).status, HEALTH_HEALTHY);
    assert_int_equal(health_judge(&s, &strict).status, HEALTH_CRITICAL);
}

static void failures_alone_go_by_the_same_limits(void **state) {
    (void)state;
    assert_string_equal(health_of_errors(0, 0), "unknown");
    assert_string_equal(health_of_errors(100, 1), "healthy");
    assert_string_equal(health_of_errors(100, 2), "degraded");
    assert_string_equal(health_of_errors(1000, 50), "degraded");
    assert_string_equal(health_of_errors(1000, 51), "critical");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_are_gone_over_not_reached),
        cmocka_unit_test(reasons_have_the_figure_and_the_limit),
        cmocka_unit_test(limits_are_the_askers),
        cmocka_unit_test(failures_alone_go_by_the_same_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
