/* Halves and parents that are many, of few spans or of keys that somebody chose: what that takes. The clock is the real one: on the simulated
 * system, where rollup_file_test is, no time passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "os/clock.h"
#include "store/rollup/tally_testing_priv.h"

static bool always(void *context, int64_t time_ns) {
    (void)context, (void)time_ns;
    return true;
}

/* Of 65,536 that wait and 500,000 that were counted and wait for nobody: those whose spans are gone go, soon. */
static void test_halves_of_deleted_spans_are_forgotten(void **state) {
    (void)state;
    struct tally waiting, counted;
    tally_init(&waiting, NULL, rollup_minute_ns);
    tally_init(&counted, NULL, rollup_minute_ns);
    arrive(&counted, true, 0, 500000, 1);
    arrive(&waiting, true, 499000, 65536, 1);
    int64_t began = clock_process_cpu_ns();
    tally_keep_halves(&waiting, &counted, always, NULL);
    assert_int_equal(waiting.servers.n, 1000);
    assert_true(clock_process_cpu_ns() - began <
                (int64_t)20 * 1000000000); /* minutes, where each is looked for among all */
    tally_done(&waiting);
    tally_done(&counted);
}

/* A hundred thousand of each side, of one client span or of keys that somebody chose to be alike where a table would look. */
static void test_many_clients_of_one_span_take_no_time(void **state) {
    (void)state;
    enum { HALVES = 100000, TURNS = 10 };
    for (int how = 0; how < 2; how++) {
        struct tally t;
        tally_init(&t, NULL, rollup_minute_ns);
        int64_t began = clock_process_cpu_ns();
        for (int turn = 0; turn < TURNS; turn++) {
            for (uint64_t i = 0; i < HALVES / TURNS; i++) {
                uint64_t n = (uint64_t)turn * (HALVES / TURNS) + i;
                for (int side = 0; side < 2; side++) {
                    add_half(&t, side == 1, 7, side ? STR("shop") : STR("web"));
                    if (how && side) t.servers.v[t.servers.n - 1].key = n << 32;
                    if (how && !side) t.clients.v[t.clients.n - 1].key = n << 32;
                }
            }
            tally_pair(&t);
        }
        assert_true(clock_process_cpu_ns() - began <
                    (int64_t)1000000000); /* minutes, were all of them walked through */
        assert_int_equal(t.servers.n, 0);
        assert_int_equal(t.clients.n, HALVES);
        for (size_t i = 0; i < t.clients.n; i++) assert_true(t.clients.v[i].is_matched);
        assert_int_equal(t.rows.n, 2);
        assert_int_equal(t.rows.v[0].calls, HALVES);
        tally_done(&t);
    }
}

/* A job whose span ends last: its children wait, all for one. */
static void test_many_children_of_one_parent_are_found_soon(void **state) {
    (void)state;
    enum { CHILDREN = 300000 };
    struct tally t;
    tally_init(&t, NULL, rollup_minute_ns);
    for (uint64_t i = 0; i < CHILDREN; i++) add_plain(&t, 7, STR("pay"));
    int64_t began = clock_process_cpu_ns();
    for (int turn = 0; turn < 20; turn++) {
        add_parent(&t, 1000, STR("web"));
        tally_pair(&t);
        tally_pair_parents(&t);
    }
    for (uint64_t i = 0; i < CHILDREN; i++) add_parent(&t, 7, i ? STR("other") : STR("web")); /* sent again and again */
    tally_pair_parents(&t);
    assert_int_equal(all_calls(&t), CHILDREN);
    assert_int_equal(t.rows.n, 1);
    assert_int_equal(t.servers.n, 0);
    assert_true(clock_process_cpu_ns() - began < (int64_t)20 * 1000000000); /* hours, were each compared with all */
    tally_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_halves_of_deleted_spans_are_forgotten),
        cmocka_unit_test(test_many_clients_of_one_span_take_no_time),
        cmocka_unit_test(test_many_children_of_one_parent_are_found_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
