/* What a follower picks out of a batch is what the same filter finds once the batch is stored. */
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void picks_are_what_the_filter_finds(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world w;
        struct query q, all;
        struct world_filter f;
        struct query_logs everything = {.order = QUERY_NEWEST, .limit = QUERY_LOGS_MAX};
        struct query_logs_answer found;
        struct query_follow *follow;
        static uint32_t rows[QUERY_LOGS_MAX];
        uint32_t n;
        uint64_t count;
        world_open(&w, seed);
        world_fill(&w, SIGNAL_LOGS, 300, 5, 1000000000000, 1000000000);
        world_query(&w, &all);
        query_filter_init(&everything.filter);
        ASSERT_OK(query_logs(&all, &everything, &found));
        world_query(&w, &q);
        world_random_filter(&w, &q, SIGNAL_LOGS, &f);
        ASSERT_OK(query_follow_make(&q, SIGNAL_LOGS, &f.filter, &follow));
        for (int again = 0; again < 2; again++) ASSERT_OK(query_follow_pick(follow, &found.batch, rows, &n));
        ASSERT_OK(query_log_count(&q, &f.filter, &count));
        assert_int_equal(n, count);
        for (uint32_t i = 1; i < n; i++) assert_true(rows[i] > rows[i - 1]);
        query_end(&q);
        query_end(&all);
        world_close(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(picks_are_what_the_filter_finds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
