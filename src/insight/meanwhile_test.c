/* The window of a request's metrics. What is read in it the tests of api/correlations.c look at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/meanwhile.h"

static const int64_t second = 1000000000, minute = 60 * (int64_t)1000000000,
                     noon = 29000000 * (60 * (int64_t)1000000000);

static void the_window_is_around_the_request(void **state) {
    (void)state;
    static const struct {
        int64_t duration, now_after; /* s; now: after its end */
        int64_t before, after, step; /* minutes */
    } cases[] = {
        {0, 100000, 5, 1, 1},        /* at least five minutes before it and one after it */
        {120, 100000, 20, 4, 1},     /* ten times, and once */
        {120, 30, 20, 3, 1},         /* not after now, but for the step that holds it */
        {3600, 100000, 360, 120, 8}, /* at most six hours before it */
        {86400, 100000, 360, 1500, 31},
        {86400, 0, 360, 1440, 30},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct correlation c = {.first_seen = noon, .last_seen = noon + cases[i].duration * second};
        int64_t start, end, step;
        meanwhile_window(&c, c.last_seen + cases[i].now_after * second, &start, &end, &step);
        assert_int_equal(step, cases[i].step * minute);
        assert_int_equal(start, noon - cases[i].before * minute);
        assert_int_equal((end - start) % step, 0);
        assert_true(end >= noon + cases[i].after * minute - minute && end < noon + cases[i].after * minute + step);
        assert_true((end - start) / step <= MEANWHILE_STEPS + 1);
    }
}

/* Requests at the ends of time, and a clock that stands before them. */
static void any_request_has_a_window(void **state) {
    (void)state;
    static const int64_t times[] = {0, 1, 1000000000, INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < LENGTH(times); i++)
        for (size_t k = i; k < LENGTH(times); k++)
            for (size_t n = 0; n < LENGTH(times); n++) {
                struct correlation c = {.first_seen = times[i], .last_seen = times[k]};
                int64_t start, end, step;
                meanwhile_window(&c, times[n], &start, &end, &step);
                assert_true(start >= 0 && end >= start && step >= minute && step % minute == 0);
                assert_true((end - start) / step <= MEANWHILE_STEPS + 1);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_window_is_around_the_request),
        cmocka_unit_test(any_request_has_a_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
