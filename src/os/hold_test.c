/* Calls that are put off are made once each, in order, at the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/hold.h"
#include "os/thread.h"

static int made[2 * HOLD_MAX], n;

static void make(void *argument) { made[n++] = *(int *)argument; }

static void outside_they_are_made_at_once(void **state) {
    (void)state;
    int one = 1;
    n = 0;
    hold_call(make, &one);
    assert_int_equal(n, 1);
}

static void inside_they_wait_for_the_end(void **state) {
    (void)state;
    int values[3] = {4, 5, 6};
    n = 0;
    hold_begin();
    hold_call(make, &values[0]);
    hold_begin();
    hold_call(make, &values[1]);
    hold_end();
    hold_call(make, &values[2]);
    assert_int_equal(n, 0);
    hold_end();
    assert_int_equal(n, 3);
    for (int i = 0; i < 3; i++) assert_int_equal(made[i], values[i]);
    hold_begin();
    hold_end();
    assert_int_equal(n, 3);
}

static void over_the_limit_they_are_made_at_once(void **state) {
    (void)state;
    int value = 7;
    n = 0;
    hold_begin();
    for (int i = 0; i < HOLD_MAX + 5; i++) hold_call(make, &value);
    assert_int_equal(n, 5);
    hold_end();
    assert_int_equal(n, HOLD_MAX + 5);
}

static void call_in_thread(void *argument) { hold_call(make, argument); }

static void a_thread_holds_its_own(void **state) {
    (void)state;
    int value = 8;
    struct thread *t;
    n = 0;
    hold_begin();
    assert_null(thread_start(&t, "other", 0, call_in_thread, &value));
    thread_join(t);
    assert_int_equal(n, 1);
    hold_end();
    assert_int_equal(n, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outside_they_are_made_at_once),
        cmocka_unit_test(inside_they_wait_for_the_end),
        cmocka_unit_test(over_the_limit_they_are_made_at_once),
        cmocka_unit_test(a_thread_holds_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
