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

/* ---- files of series -------------------------------------------------------------------------------------------------- */

static size_t pick_series(const uint64_t *rows, size_t n, bool closed, size_t *first) {
    struct merge_candidate files[64] = {{0}};
    for (size_t i = 0; i < n; i++) files[i] = (struct merge_candidate){.rows = rows[i], .excluded = rows[i] == 0};
    *first = 99;
    return series_merge_pick(files, n, closed, first);
}

/* 0 rows: excluded. */
#define assert_picks_series(want_first, want_count, closed, ...)                                                       \
    do {                                                                                                               \
        const uint64_t rows_[] = {__VA_ARGS__};                                                                        \
        size_t first_;                                                                                                 \
        assert_int_equal(pick_series(rows_, LENGTH(rows_), closed, &first_), want_count);                              \
        if ((want_count) > 0) assert_int_equal(first_, want_first);                                                    \
    } while (0)

static void test_runs_of_series(void **state) {
    (void)state;
    assert_picks_series(0, 0, false, 100, 100, 100);
    assert_picks_series(0, 4, false, 100, 100, 100, 100);
    assert_picks_series(0, 0, false, 1000, 100, 100, 100);      /* the large one would be rewritten for little */
    assert_picks_series(1, 4, false, 1000, 100, 100, 100, 100); /* neighbours alone */
    assert_picks_series(0, 0, false, 100, 100, 1000, 100, 100);
    assert_picks_series(0, 0, false, 100, 100, 0, 100, 100); /* none is passed over */
    struct merge_candidate far[4] = {{0}};
    size_t first;
    for (int i = 0; i < 4; i++)
        far[i] = (struct merge_candidate){
            .rows = 100, .time_min = i * SERIES_SPAN_NS / 3, .time_max = i * SERIES_SPAN_NS / 3 + 1};
    assert_int_equal(series_merge_pick(far, 4, false, &first), 0); /* they span a moment too much */
    assert_int_equal(series_merge_pick(far, 4, true, &first), 4);
    far[3].time_max = far[3].time_min;
    assert_int_equal(series_merge_pick(far, 4, false, &first), 4);
    far[0].memory = SERIES_BYTES_FINAL;
    assert_int_equal(series_merge_pick(far, 4, true, &first), 4);
    far[1].memory = 1;
    assert_int_equal(series_merge_pick(far, 4, true, &first), 3);
    assert_int_equal(first, 1);
    assert_picks_series(0, 2, true, 100, 100);
    assert_picks_series(0, 3, true, 800, 400, 800);
    assert_picks_series(0, 0, true, 1000, 10);
    assert_picks_series(0, 0, true, 1000);
    assert_picks_series(0, 0, true, 300000000, 200000000);
}

/* A day of flushes: how often a sample is rewritten, and how many files are left. */
static void test_a_day_of_series_comes_to_rest(void **state) {
    (void)state;
    struct merge_candidate files[400] = {{0}};
    uint64_t flushed = 0, rewritten = 0;
    size_t n = 0, first, most = 0;
    for (int i = 0; i <= 300; i++) {
        if (i < 300) files[n++].rows = 1000 + (uint64_t)i * 7 % 300;
        if (i < 300) flushed += files[n - 1].rows;
        for (size_t count; (count = series_merge_pick(files, n, i == 300, &first)) > 0;) {
            uint64_t sum = 0;
            for (size_t k = first; k < first + count; k++) sum += files[k].rows;
            rewritten += sum;
            files[first].rows = sum;
            memmove(&files[first + 1], &files[first + count], (n - first - count) * sizeof *files);
            n -= count - 1;
        }
        most = MAX(most, n);
    }
    assert_true(rewritten < 8 * flushed);
    assert_true(most <= 20);
    assert_true(n <= 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_picks),
        cmocka_unit_test(test_neighbours_in_time_go_first),
        cmocka_unit_test(test_excluded_are_left_alone),
        cmocka_unit_test(test_a_merge_stays_within_the_memory),
        cmocka_unit_test(test_a_day_stays_small),
        cmocka_unit_test(test_runs_of_series),
        cmocka_unit_test(test_a_day_of_series_comes_to_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
