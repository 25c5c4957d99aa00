/* Buckets of time and the code cache. */
#include "query/query_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"

static const int64_t second = 1000000000;

/* Whatever the range and the step: every time of it has its bucket, and the two ends have the first and the last. */
static void check_buckets(int64_t time_min, int64_t time_max, int64_t step) {
    struct bucketing b;
    err e = bucketing_make(time_min, time_max, step, &b);
    if (e) fail_msg("%lld to %lld by %lld: %s", (long long)time_min, (long long)time_max, (long long)step, err_text(e));
    int64_t from = MAX(time_min, (int64_t)0), to = MAX(time_max, from);
    assert_true(b.n >= 1 && b.n <= QUERY_BUCKETS_MAX && b.step > 0 && b.first >= 0);
    assert_true(b.first % b.step == 0 && b.first <= from && from - b.first < b.step);
    assert_int_equal(bucketing_index(&b, from), 0);
    assert_int_equal(bucketing_index(&b, to), b.n - 1);
    uint64_t span = (uint64_t)to - (uint64_t)from;
    for (uint64_t i = 1; i < 20; i++) {
        int64_t time = from + (int64_t)(span / 20 * i);
        size_t at = bucketing_index(&b, time);
        assert_true(at < b.n);
        int64_t start = b.first + (int64_t)at * b.step;
        assert_true(start <= time && time - start < b.step);
    }
    if (step) assert_true(b.step == step);
}

static void every_time_has_its_bucket(void **state) {
    (void)state;
    static const int64_t edges[] = {INT64_MIN, -1, 0, 1, 999999, 1767225600000000000, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < LENGTH(edges); i++)
        for (size_t k = i; k < LENGTH(edges); k++) check_buckets(edges[i], edges[k], 0);
    for (uint64_t seed = 0; seed < 3000; seed++) {
        int64_t from = (int64_t)(hash_u64(seed) >> (1 + hash_u64(seed + 7) % 60));
        int64_t range = (int64_t)(hash_u64(seed + 9) >> (1 + hash_u64(seed + 8) % 60));
        int64_t to = from > INT64_MAX - range ? INT64_MAX : from + range;
        check_buckets(from, to, 0);
        int64_t step = MAX((to - from) / (int64_t)(1 + hash_u64(seed + 3) % 900), (int64_t)1000000);
        if ((to / step) - (from / step) < QUERY_BUCKETS_MAX) check_buckets(from, to, step);
    }
}

static void chosen_steps_make_about_sixty_buckets(void **state) {
    (void)state;
    for (int64_t range = 60 * second; range < (int64_t)3650 * 86400 * second; range += range / 7) {
        struct bucketing b;
        assert_null(bucketing_make(second, second + range, 0, &b));
        if (b.n < 10 || b.n > 62) fail_msg("%lld s: %zu buckets", (long long)(range / second), b.n);
    }
}

/* The step that a refusal names works. */
static void a_refusal_names_a_step_that_works(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        struct bucketing b;
        int64_t from = (int64_t)(hash_u64(seed) >> 3), range = (int64_t)(hash_u64(seed + 1) >> (3 + seed % 20));
        err e = bucketing_make(from, from + range, 1000000, &b);
        if (!e) continue;
        assert_int_equal(err_kind(e), ERR_INVALID);
        const char *at = strstr(err_text(e), "at least ");
        assert_non_null(at);
        int64_t step = strtoll(at + strlen("at least "), NULL, 10) * second;
        err_free(e);
        check_buckets(from, from + range, step);
    }
    struct bucketing b;
    err e = bucketing_make(0, second, 999999, &b);
    assert_true(e && err_kind(e) == ERR_INVALID);
    err_free(e);
}

static void the_code_cache_knows_what_it_was_told_last(void **state) {
    (void)state;
    static struct code_cache cache;
    enum { KEYS = 5000 };
    memset(&cache, 0, sizeof cache);
    for (int round = 0; round < 3; round++) {
        code_cache_start(&cache);
        uint32_t found = 0;
        for (uint32_t i = 0; i < KEYS; i++) { /* nothing of the round before */
            uint32_t codes[CODE_CACHE_CODES] = {i, i % 7, i % 3}, group, slot;
            assert_false(code_cache_find(&cache, codes, &group, &slot));
            code_cache_set(&cache, slot, codes, i * 2);
            assert_true(code_cache_find(&cache, codes, &group, &slot) && group == i * 2);
        }
        for (uint32_t i = 0; i < KEYS; i++) { /* what was pushed out is not known; what is known is right */
            uint32_t codes[CODE_CACHE_CODES] = {i, i % 7, i % 3}, group, slot;
            if (!code_cache_find(&cache, codes, &group, &slot)) continue;
            assert_int_equal(group, i * 2);
            found++;
        }
        assert_true(found > CODE_CACHE_SLOTS / 2 && found <= CODE_CACHE_SLOTS);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_time_has_its_bucket),
        cmocka_unit_test(chosen_steps_make_about_sixty_buckets),
        cmocka_unit_test(a_refusal_names_a_step_that_works),
        cmocka_unit_test(the_code_cache_knows_what_it_was_told_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
