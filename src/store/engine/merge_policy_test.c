#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/vec.h"
#include "store/engine/merge_policy_priv.h"

static size_t pick_of_rows(const uint64_t *rows, size_t n, size_t *picked) {
    struct merge_candidate parts[64] = {{0}};
    for (size_t i = 0; i < n; i++) parts[i] = (struct merge_candidate){rows[i], 0, (int64_t)i, (int64_t)i, false};
    return merge_policy_pick(parts, n, 1000, picked);
}

#define assert_picks(count, ...)                                                                                       \
    do {                                                                                                               \
        const uint64_t rows_[] = {__VA_ARGS__};                                                                        \
        size_t picked_[MERGE_PARTS_MAX];                                                                               \
        assert_int_equal(pick_of_rows(rows_, LENGTH(rows_), picked_), count);                                          \
    } while (0)

static void test_picks(void **state) {
    (void)state;
    assert_picks(0, 5);
    assert_picks(0, 5, 5, 5);
    assert_picks(4, 5, 5, 5, 5);
    assert_picks(0, 5, 5, 5, 100000);
    assert_picks(4, 5, 5, 5, 100000, 5);
    assert_picks(8, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5);
    assert_picks(0, 8000000, 8000000, 8000000, 8000000); /* final */
    assert_picks(2, 7000000, 7000000, 7000000, 7000000); /* enough for a final one */
}

static void test_neighbours_in_time_go_first(void **state) {
    (void)state;
    struct merge_candidate parts[12] = {{0}};
    size_t picked[MERGE_PARTS_MAX];
    for (size_t i = 0; i < 12; i++)
        parts[i] = (struct merge_candidate){10, 0, (int64_t)(i < 2 ? i * 100 : 1000 + i), 0, false};
    assert_int_equal(merge_policy_pick(parts, 12, 1000, picked), 8);
    for (size_t i = 0; i < 8; i++) assert_true(picked[i] >= 2);
}

static void test_excluded_are_left_alone(void **state) {
    (void)state;
    struct merge_candidate parts[5] = {{0}};
    size_t picked[MERGE_PARTS_MAX];
    for (size_t i = 0; i < 5; i++) parts[i] = (struct merge_candidate){10, 0, (int64_t)i, 0, i == 2};
    assert_int_equal(merge_policy_pick(parts, 5, 1000, picked), 4);
    for (size_t i = 0; i < 4; i++) assert_int_not_equal(picked[i], 2);
    parts[3].excluded = true;
    assert_int_equal(merge_policy_pick(parts, 5, 1000, picked), 0);
}

static void test_a_merge_stays_within_the_memory(void **state) {
    (void)state;
    struct merge_candidate parts[8] = {{0}};
    size_t picked[MERGE_PARTS_MAX];
    for (size_t i = 0; i < 8; i++) parts[i] = (struct merge_candidate){10, 300, (int64_t)i, 0, false};
    assert_int_equal(merge_policy_pick(parts, 8, 1000, picked), 3);
    assert_int_equal(merge_policy_pick(parts, 8, 10000, picked), 8);
    for (size_t i = 0; i < 8; i++) parts[i].memory = 500; /* the most that a caller offers */
    assert_int_equal(merge_policy_pick(parts, 8, 1000, picked), 2);
}

/* A day of flushes of about one size: how many parts it comes to, and how often a row is written again. */
static void test_a_day_stays_small(void **state) {
    (void)state;
    static const uint64_t flush_rows[] = {1, 100, 5000, 100000, 700000, 9000000};
    for (size_t k = 0; k < LENGTH(flush_rows); k++) {
        VEC(struct merge_candidate) parts = {0};
        uint64_t rewritten = 0, flushed = 0;
        size_t most = 0, picked[MERGE_PARTS_MAX], n;
        for (int i = 0; i < 1440; i++) {
            *vec_push(&parts) = (struct merge_candidate){flush_rows[k], 0, i, i, false};
            flushed += flush_rows[k];
            while ((n = merge_policy_pick(parts.v, parts.n, 1000, picked)) > 0) {
                struct merge_candidate sum = parts.v[picked[0]];
                sum.rows = 0;
                for (size_t j = 0; j < n; j++) {
                    assert_true(parts.v[picked[j]].rows < PART_ROWS_FINAL);
                    sum.rows += parts.v[picked[j]].rows;
                    parts.v[picked[j]].rows = 0;
                }
                rewritten += sum.rows;
                size_t left = 0;
                for (size_t j = 0; j < parts.n; j++)
                    if (parts.v[j].rows) parts.v[left++] = parts.v[j];
                parts.n = left;
                *vec_push(&parts) = sum;
            }
            size_t small = 0;
            for (size_t j = 0; j < parts.n; j++) small += parts.v[j].rows < PART_ROWS_FINAL;
            most = MAX(most, small);
        }
        assert_true(most <= 32);
        assert_true(rewritten <= (flush_rows[k] < 64 ? 32 : 9) * flushed); /* below 64 rows all are one tier */
        vec_done(&parts);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picks),
        cmocka_unit_test(test_neighbours_in_time_go_first),
        cmocka_unit_test(test_excluded_are_left_alone),
        cmocka_unit_test(test_a_merge_stays_within_the_memory),
        cmocka_unit_test(test_a_day_stays_small),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
