#include "query/histogram_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 11;
}

static void buckets_ascend_and_cover_every_duration(void **state) {
    (void)state;
    uint32_t last = 0;
    for (int bit = 0; bit < 63; bit++)
        for (uint64_t add = 0; add < 64; add++) {
            uint64_t v = ((uint64_t)1 << bit) + (uint64_t)((__uint128_t)add << bit >> 6);
            if (v > INT64_MAX) break;
            uint32_t bucket = histogram_bucket((int64_t)v);
            assert_true(bucket >= last && bucket < HISTOGRAM_BUCKETS);
            last = bucket;
        }
    assert_int_equal(histogram_bucket(INT64_MAX), HISTOGRAM_BUCKETS - 1);
    assert_int_equal(histogram_bucket(-5), 0);
}

static int ascending(const void *a, const void *b) {
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Against the nearest rank of the sorted values. */
static void check_quantiles(uint64_t seed, size_t n, int shift_max) {
    static const double quantiles[] = {0, 0.01, 0.5, 0.9, 0.95, 0.99, 1};
    struct histogram *h = mem_new_of(struct histogram);
    int64_t *v = mem_new_array(int64_t, n);
    for (size_t i = 0; i < n; i++) {
        v[i] = (int64_t)(next_random(&seed) >> (next_random(&seed) % (uint64_t)shift_max));
        histogram_count(h, v[i]);
    }
    qsort(v, n, sizeof *v, ascending);
    for (size_t i = 0; i < LENGTH(quantiles); i++) {
        size_t rank = (size_t)(quantiles[i] * (double)n + 0.999999);
        double exact = (double)v[MIN(MAX(rank, (size_t)1), n) - 1], got = (double)histogram_quantile(h, quantiles[i]);
        assert_true(got >= exact - exact / 60 - 1 && got <= exact + exact / 60 + 1);
    }
    assert_int_equal(h->min, v[0]);
    assert_int_equal(h->max, v[n - 1]);
    mem_free(v);
    mem_free(h);
}

static void quantiles_are_right_to_one_sixtieth(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) check_quantiles(seed, 1 + seed * 37, (int)seed * 2);
}

static void an_empty_histogram_answers_zero(void **state) {
    (void)state;
    struct histogram *h = mem_new_of(struct histogram);
    assert_int_equal(histogram_quantile(h, 0.5), 0);
    mem_free(h);
}

static void the_sum_saturates(void **state) {
    (void)state;
    struct histogram *h = mem_new_of(struct histogram);
    histogram_count(h, INT64_MAX);
    histogram_count(h, INT64_MAX);
    assert_true(h->sum == INT64_MAX);
    assert_true(histogram_quantile(h, 1) == INT64_MAX);
    mem_free(h);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buckets_ascend_and_cover_every_duration),
        cmocka_unit_test(quantiles_are_right_to_one_sixtieth),
        cmocka_unit_test(an_empty_histogram_answers_zero),
        cmocka_unit_test(the_sum_saturates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
