#include "query/promql/native.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { LOWEST = -40, HIGHEST = 40, SPAN = HIGHEST - LOWEST };

static uint64_t random_state = 7;
static uint32_t chance(uint32_t n) {
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}

/* Nothing in the zero bucket. */
static void random_side(struct arena *a, struct native_side *s, int32_t schema, double threshold) {
    *s = (struct native_side){.index = arena_array(a, int32_t, SPAN), .count = arena_array(a, double, SPAN)};
    for (int32_t i = LOWEST; i < HIGHEST; i++) {
        if (chance(4) || exp2((i - 1) / (double)(1 << schema)) < threshold) continue;
        s->index[s->n] = i;
        s->count[s->n++] = chance(3) ? 1 + chance(9) : 0;
    }
}

static double side_total(const struct native_side *s) {
    double total = 0;
    for (uint32_t i = 0; i < s->n; i++) total += s->count[i];
    return total;
}

static struct native *random_native(struct arena *a) {
    struct native *h = arena_new(a, struct native);
    h->schema = (int32_t)chance(4);
    h->zero_threshold = chance(2) ? 0.001 : chance(2) ? 0.3 : 0;
    h->zero_count = chance(5);
    random_side(a, &h->positive, h->schema, h->zero_threshold);
    random_side(a, &h->negative, h->schema, h->zero_threshold);
    h->sum = chance(1000);
    h->count = h->zero_count + side_total(&h->positive) + side_total(&h->negative);
    return h;
}

/* The count in (0, 2^k] of the positive side, the zero bucket aside: powers of two are bounds of every schema. */
static double counted_up_to(const struct native *h, double bound) {
    double total = 0;
    struct native_walk w = native_walk(h, false);
    for (struct native_bucket b; native_next(&w, &b);)
        if (b.upper <= bound) total += b.count;
    return total;
}

static void sums_count_what_both_counted(void **state) {
    (void)state;
    for (int round = 0; round < 500; round++) {
        struct arena a;
        arena_init(&a, 4 * MIB);
        struct native *x = random_native(&a), *y = random_native(&a), *sum = native_copy(&a, x);
        assert_null(native_fault(x));
        assert_int_equal(native_add(&a, sum, y, 1), NATIVE_ADDED);
        assert_null(native_fault(sum));
        assert_true(sum->schema == MIN(x->schema, y->schema));
        assert_true(sum->zero_threshold >= fmax(x->zero_threshold, y->zero_threshold));
        assert_true(sum->count == x->count + y->count);
        assert_true(sum->zero_count + side_total(&sum->positive) + side_total(&sum->negative) == sum->count);
        for (double bound = 1; bound <= 1024; bound *= 2)
            assert_true(counted_up_to(sum, bound) == counted_up_to(x, bound) + counted_up_to(y, bound));
        /* and less the one again, it is the other at their common shape */
        assert_int_equal(native_add(&a, sum, y, -1), NATIVE_ADDED);
        for (double bound = 1; bound <= 1024; bound *= 2)
            assert_true(counted_up_to(sum, bound) == counted_up_to(x, bound));
        assert_true(sum->count == x->count);
        arena_done(&a);
    }
}

static void a_counter_that_only_grows_was_not_reset(void **state) {
    (void)state;
    for (int round = 0; round < 500; round++) {
        struct arena a;
        arena_init(&a, 4 * MIB);
        struct native *x = random_native(&a), *y = random_native(&a), *later = native_copy(&a, x);
        y->schema = x->schema, y->zero_threshold = x->zero_threshold;
        assert_int_equal(native_add(&a, later, y, 1), NATIVE_ADDED);
        assert_false(native_was_reset(&a, later, x));
        struct native *coarser = native_copy(&a, later);
        assert_true(native_reduce(&a, coarser, 0));
        assert_false(native_was_reset(&a, coarser, x));
        for (uint32_t i = 0; i < later->positive.n; i++) {
            struct native *fell = native_copy(&a, later);
            uint32_t k = 0;
            while (k < x->positive.n && x->positive.index[k] < fell->positive.index[i]) k++;
            double before =
                k < x->positive.n && x->positive.index[k] == fell->positive.index[i] ? x->positive.count[k] : 0;
            if (before == 0 || exp2((fell->positive.index[i] - 1) / (double)(1 << x->schema)) < x->zero_threshold)
                continue;
            fell->positive.count[i] = before - 1;
            assert_true(native_was_reset(&a, fell, x));
        }
        later->reset = NATIVE_RESET;
        assert_true(native_was_reset(&a, later, x));
        x->reset = NATIVE_NOT_RESET;
        assert_false(native_was_reset(&a, x, later));
        arena_done(&a);
    }
}

static void buckets_are_where_their_schema_says(void **state) {
    (void)state;
    static const double custom[] = {-1, 5, 10};
    static const struct {
        int32_t schema, index;
        double lower, upper;
    } cases[] = {{0, 0, 0.5, 1},
                 {0, 1, 1, 2},
                 {0, 2, 2, 4},
                 {1, 1, 1, M_SQRT2},
                 {-1, 1, 1, 4},
                 {-4, 1, 1, 65536},
                 {3, 8, 1.8340080864093424, 2},
                 {8, 256, 1.9945921121709402, 2},
                 {-53, 0, -INFINITY, -1},
                 {-53, 1, -1, 5},
                 {-53, 3, 10, INFINITY}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        double one = 1;
        int32_t index = cases[i].index;
        struct native h = {.schema = cases[i].schema, .positive = {.n = 1, .index = &index, .count = &one}};
        if (h.schema == NATIVE_CUSTOM_SCHEMA) h.custom = custom, h.custom_n = LENGTH(custom);
        struct native_walk w = native_walk(&h, false);
        struct native_bucket b;
        assert_null(native_fault(&h));
        assert_true(native_next(&w, &b));
        assert_true(b.lower == cases[i].lower || fabs(b.lower / cases[i].lower - 1) < 1e-10);
        assert_true(b.upper == cases[i].upper || fabs(b.upper / cases[i].upper - 1) < 1e-10);
        assert_false(native_next(&w, &b));
    }
}

static void what_cannot_be_added_says_so(void **state) {
    (void)state;
    static const double two[] = {1, 2}, three[] = {1, 2, 3};
    struct arena a;
    arena_init(&a, MIB);
    struct native exponential = {.schema = 0}, x = {.schema = NATIVE_CUSTOM_SCHEMA, .custom = two, .custom_n = 2},
                  y = {.schema = NATIVE_CUSTOM_SCHEMA, .custom = three, .custom_n = 3};
    assert_int_equal(native_add(&a, native_copy(&a, &x), &exponential, 1), NATIVE_MIXED_SCHEMAS);
    assert_int_equal(native_add(&a, native_copy(&a, &x), &y, 1), NATIVE_MIXED_BOUNDS);
    assert_int_equal(native_add(&a, native_copy(&a, &x), &x, 1), NATIVE_ADDED);
    arena_done(&a);
}

static void lies_are_found(void **state) {
    (void)state;
    static const double falling[] = {2, 1}, rising[] = {1, 2};
    static int32_t twice[] = {1, 1}, far[] = {0, 3};
    static double counts[] = {1, 1};
    struct native_side same = {.n = 2, .index = twice, .count = counts},
                       outside = {.n = 2, .index = far, .count = counts};
    const struct native cases[] = {{.schema = 9},
                                   {.schema = -5},
                                   {.schema = 0, .zero_threshold = -1},
                                   {.schema = 0, .zero_threshold = NAN},
                                   {.schema = 0, .positive = same},
                                   {.schema = 0, .custom = rising, .custom_n = 2},
                                   {.schema = -53, .custom = falling, .custom_n = 2},
                                   {.schema = -53, .custom = rising, .custom_n = 2, .positive = outside},
                                   {.schema = -53, .custom = rising, .custom_n = 2, .zero_count = 1},
                                   {.schema = 0, .positive = {.n = NATIVE_BUCKETS_MAX + 1}}};
    for (size_t i = 0; i < LENGTH(cases); i++) assert_non_null(native_fault(&cases[i]));
}

static void a_zero_bucket_grows_over_what_it_cuts(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    int32_t index[] = {0, 1};
    double count[] = {3, 4}; /* (0.5, 1] and (1, 2] */
    struct native x = {
        .schema = 0, .zero_threshold = 0.001, .count = 7, .positive = {.n = 2, .index = index, .count = count}};
    struct native y = {.schema = 0, .zero_threshold = 0.7, .zero_count = 5, .count = 5}, *sum = native_copy(&a, &x);
    assert_int_equal(native_add(&a, sum, &y, 1), NATIVE_ADDED);
    assert_true(sum->zero_threshold == 1 && sum->zero_count == 8 && sum->positive.n == 1 &&
                sum->positive.count[0] == 4);
    assert_true(x.positive.n == 2 && x.positive.count[0] == 3);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_count_what_both_counted),
        cmocka_unit_test(a_counter_that_only_grows_was_not_reset),
        cmocka_unit_test(buckets_are_where_their_schema_says),
        cmocka_unit_test(what_cannot_be_added_says_so),
        cmocka_unit_test(lies_are_found),
        cmocka_unit_test(a_zero_bucket_grows_over_what_it_cuts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
