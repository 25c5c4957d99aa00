/* Batches whose labels stand elsewhere say the same once they have them again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "signal/metrics/points_brief.h"
#include "signal/metrics/points_testing_priv.h"

enum { BASE = 1000, SEEDS = 60 };

static struct batch_blob *random_blob(struct chance *c, bool otlp) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    if (otlp)
        random_points_request(c, true, &body);
    else
        load_write_request(c, 3, 2, 1700000000000, 1, &body);
    err e = otlp ? points_decode_otlp(d, buf_str(&body), &all_times, &r)
                 : points_decode_write(d, 1, buf_str(&body), &all_times, &r);
    if (e) fail_msg("%s", err_text(e));
    points_decoder_free(d);
    return r.blob;
}

/* Who knows the labels: all of a batch, or all but those of every third row. */
struct keeper {
    const struct points *p;
    bool forgetful;
    uint32_t asked;
};

static bool find(void *context, uint32_t number, struct str *out) {
    struct keeper *k = context;
    k->asked++;
    assert_in_range(number, BASE, BASE + k->p->series_count - 1);
    if (k->forgetful && number % 3 == 0) return false;
    *out = points_string(k->p, k->p->series[number - BASE].labels);
    return true;
}

struct written {
    struct batch_blob *blob;
    struct points p;
    uint32_t *numbers, referred;
    struct buf brief;
};

static struct written write(struct chance *c, bool otlp, uint32_t one_in) {
    struct written w = {.blob = random_blob(c, otlp)};
    points_view(w.blob, &w.p);
    w.numbers = mem_new_array(uint32_t, w.p.series_count + 1);
    for (uint32_t i = 0; i < w.p.series_count; i++) {
        bool refers = chance_one_in(c, one_in);
        w.numbers[i] = refers ? BASE + i : POINTS_IN_FULL;
        w.referred += refers;
    }
    buf_init(&w.brief, 64 * MIB);
    points_put_brief(&w.p, w.numbers, &w.brief);
    assert_int_equal(w.brief.n % 8, 0);
    return w;
}

static void done(struct written *w) {
    batch_unref(w->blob);
    mem_free(w->numbers);
    buf_done(&w->brief);
}

static void labels_come_back(void **state) {
    (void)state;
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct chance c = {seed};
        struct written w = write(&c, seed % 2, 1 + seed % 3);
        struct keeper k = {.p = &w.p};
        struct batch_blob *opened;
        struct points p;
        uint32_t *numbers;
        err e = points_open_brief(buf_str(&w.brief), find, &k, &opened, &numbers);
        if (e) fail_msg("%s", err_text(e));
        points_view(opened, &p);
        assert_true(points_equal(&w.p, &p));
        assert_int_equal(k.asked, w.referred);
        assert_memory_equal(numbers, w.numbers, w.p.series_count * sizeof *numbers);
        for (uint32_t i = 0; i < p.series_count; i++) assert_true(hash128_equal(p.hashes[i], w.p.hashes[i]));
        mem_free(numbers);
        batch_unref(opened);
        done(&w);
    }
}

static void rows_in_full_can_be_looked_up(void **state) {
    (void)state;
    struct chance c = {7};
    struct written w = write(&c, false, 2);
    struct points p;
    err e = points_brief_view(buf_str(&w.brief), &p);
    if (e) fail_msg("%s", err_text(e));
    assert_int_equal(p.series_count, w.p.series_count);
    for (uint32_t i = 0; i < p.series_count; i++) {
        struct str labels;
        bool full = w.numbers[i] == POINTS_IN_FULL;
        assert_int_equal(points_brief_labels(&p, i, &labels), full);
        if (full) assert_true(str_equal(labels, points_string(&w.p, w.p.series[i].labels)));
    }
    struct str labels;
    assert_false(points_brief_labels(&p, p.series_count, &labels));
    done(&w);
}

static void nothing_is_left_of_labels_that_are_numbers(void **state) {
    (void)state;
    struct chance c = {11};
    struct written w = write(&c, false, 1);
    assert_int_equal(w.referred, 250);
    assert_true(w.brief.n < 6 * 250 + 512); /* a value; the rest are runs */
    done(&w);
}

static void what_nobody_knows_is_lost_and_told(void **state) {
    (void)state;
    struct chance c = {13};
    struct written w = write(&c, false, 1);
    struct keeper k = {.p = &w.p, .forgetful = true};
    struct batch_blob *opened;
    struct points p;
    uint32_t *numbers;
    err e = points_open_brief(buf_str(&w.brief), find, &k, &opened, &numbers);
    if (e) fail_msg("%s", err_text(e));
    points_view(opened, &p);
    for (uint32_t i = 0; i < p.series_count; i++) {
        bool lost = (BASE + i) % 3 == 0;
        assert_int_equal(numbers[i], lost ? POINTS_LOST : BASE + i);
        assert_int_equal(points_string(&p, p.series[i].labels).n == 0, lost);
    }
    mem_free(numbers);
    batch_unref(opened);
    done(&w);
}

static void who_wants_whole_batches_refuses_them(void **state) {
    (void)state;
    struct chance c = {17};
    struct written w = write(&c, true, 1);
    struct batch_blob *opened;
    err e = points_open(buf_str(&w.brief), &opened);
    assert_int_equal(err_kind(e), ERR_CORRUPT);
    assert_string_equal(err_text(e), "points: labels of its series are elsewhere");
    err_free(e);
    done(&w);
}

static bool find_any(void *context, uint32_t number, struct str *out) {
    (void)context;
    *out = STR("\x0a\x06\x0a\x01y\x12\x01z");
    return number % 2 == 0;
}

static void damage_is_an_error_or_can_be_walked(void **state) {
    (void)state;
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        struct chance c = {seed};
        struct written w = write(&c, seed % 2, 1 + seed / 2 % 2); /* packed, and not */
        for (uint32_t i = 0; i < 200; i++) {
            AUTO_FREE uint64_t *copy = mem_new_array(uint64_t, w.brief.n / 8 + 1);
            struct batch_blob *opened;
            uint32_t *numbers;
            struct points p;
            size_t n = chance_one_in(&c, 8) ? chance_below(&c, (uint32_t)w.brief.n) : w.brief.n;
            memcpy(copy, w.brief.p, n);
            if (n) ((unsigned char *)copy)[chance_below(&c, (uint32_t)n)] ^= (unsigned char)(1 + chance_below(&c, 255));
            err e = points_open_brief(str_span(copy, n), find_any, NULL, &opened, &numbers);
            if (!e) {
                points_view(opened, &p);
                if (p.n <= 10000) walk_points(&p);
                batch_unref(opened);
                mem_free(numbers);
            }
            err_free(e);
        }
        done(&w);
    }
}

/* ---- packed ------------------------------------------------------------------------------------------------------- */

static bool find_one(void *context, uint32_t number, struct str *out) {
    (void)context;
    (void)number;
    *out = STR("\x0a\x0d\x0a\x08__name__\x12\x01z");
    return true;
}

/* A batch of n points of as many series, whose values and times are what `make` says, packed and opened again. */
static size_t check_packed(uint32_t n, void (*make)(struct chance *c, uint32_t i, uint64_t *time, uint64_t *value),
                           uint64_t seed) {
    struct chance c = {seed};
    struct points_builder b;
    struct points p, again;
    struct batch_blob *opened;
    uint32_t *numbers, *mine = mem_new_array(uint32_t, n);
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, 64 * MIB);
    points_builder_init(&b, POINTS_PROMETHEUS);
    uint32_t labels = strings_append(&b.strings, STR("\x0a\x0d\x0a\x08__name__\x12\x01z"));
    for (uint32_t i = 0; i < n; i++) {
        points_builder_series(&b, 0, labels);
        uint32_t at = points_builder_point(&b);
        make(&c, i, &b.time[at], &b.value[at]);
        b.kind[at] = POINT_DOUBLE;
        mine[i] = BASE + (seed % 3 ? i : chance_below(&c, 1 << 20));
    }
    struct batch_blob *blob = points_builder_finish(&b);
    points_view(blob, &p);
    points_put_brief(&p, mine, &bytes);
    err e = points_open_brief(buf_str(&bytes), find_one, NULL, &opened, &numbers);
    if (e) fail_msg("%s", err_text(e));
    points_view(opened, &again);
    assert_int_equal(again.n, n);
    assert_memory_equal(numbers, mine, n * sizeof *numbers);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(point_value(&again, i), point_value(&p, i));
        assert_int_equal(point_time(&again, i), point_time(&p, i));
        assert_int_equal(point_series(&again, i), i);
    }
    mem_free(numbers);
    mem_free(mine);
    batch_unref(opened);
    batch_unref(blob);
    points_builder_done(&b);
    return bytes.n;
}

static uint64_t bits_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static void put_counter(struct chance *c, uint32_t i, uint64_t *time, uint64_t *value) {
    (void)i;
    *time = 1700000000000;
    *value = bits_of(1000 + chance_below(c, 90000));
}
static void put_any(struct chance *c, uint32_t i, uint64_t *time, uint64_t *value) {
    *time = chance_one_in(c, 3) ? 1700000000000u + i / 5 : chance_next(c);
    *value = chance_next(c) >> 8 * chance_below(c, 8);
    if (chance_one_in(c, 2)) *value <<= 8 * chance_below(c, 8);
}
static void put_same(struct chance *c, uint32_t i, uint64_t *time, uint64_t *value) {
    (void)c;
    (void)i;
    *time = 1700000000000;
    *value = bits_of(1);
}

static void packed_numbers_come_back(void **state) {
    (void)state;
    for (uint32_t seed = 0; seed < SEEDS; seed++) {
        check_packed(1 + seed * 7, put_any, seed);
        size_t n = check_packed(1 + seed * 11, put_counter, seed);
        if (seed % 3) assert_true(n < 128 + 5 * (1 + seed * 11)); /* numbers that rise by one are a run */
    }
    assert_true(check_packed(2, put_same, 1) < 120);
    assert_true(check_packed(1 << 17, put_same, 1) > MIB); /* not packed beyond what is unpacked again */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_come_back),
        cmocka_unit_test(rows_in_full_can_be_looked_up),
        cmocka_unit_test(nothing_is_left_of_labels_that_are_numbers),
        cmocka_unit_test(what_nobody_knows_is_lost_and_told),
        cmocka_unit_test(who_wants_whole_batches_refuses_them),
        cmocka_unit_test(damage_is_an_error_or_can_be_walked),
        cmocka_unit_test(packed_numbers_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
