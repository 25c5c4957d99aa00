/* Blobs of points: what opens can be followed everywhere, and what does not open says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "signal/metrics/points_priv.h"
#include "signal/metrics/points_testing_priv.h"

static struct batch_blob *random_blob(uint64_t seed) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct chance c = {seed};
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    random_points_request(&c, true, &body);
    err e = points_decode_otlp(d, buf_str(&body), &all_times, &r);
    if (e) fail_msg("%s", err_text(e));
    points_decoder_free(d);
    return r.blob;
}

/* A Prometheus batch by hand: two series, the second with a native histogram and an exemplar of its own. */
static struct batch_blob *named_blob(void) {
    struct points_builder b;
    AUTO_BUF struct buf labels;
    buf_init(&labels, MIB);
    points_builder_init(&b, POINTS_PROMETHEUS);
    for (int i = 0; i < 2; i++) {
        buf_clear(&labels);
        points_put_label(&labels, STR("__name__"), i ? STR("b") : STR("a"));
        points_builder_series(&b, 0, strings_append(&b.strings, buf_str(&labels)));
        uint32_t point = points_builder_point(&b);
        b.time[point] = (uint64_t)-5;
        b.kind[point] = i ? POINT_NATIVE : POINT_DOUBLE;
        b.value[point] = i ? 0 : STALE_NAN;
    }
    *vec_push(&b.histograms) =
        (struct points_histogram){.count = 3, .n = {[NUMBERS_POSITIVE] = 1, [NUMBERS_POSITIVE_SPANS] = 1}};
    *vec_push(&b.numbers) = 3;
    *vec_push(&b.numbers) = 1;
    *vec_push(&b.exemplars) = (struct points_exemplar){.series = 1, .point = NO_POINT, .kind = POINT_DOUBLE};
    struct batch_blob *blob = points_builder_finish(&b);
    points_builder_done(&b);
    return blob;
}

static void what_was_built_opens_and_says_the_same(void **state) {
    (void)state;
    struct points p;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct batch_blob *blob = random_blob(seed);
        check_points_blob(blob);
        batch_unref(blob);
    }
    struct batch_blob *blob = named_blob();
    check_points_blob(blob);
    points_view(blob, &p);
    assert_int_equal(p.n, 2);
    assert_int_equal((int64_t)point_time(&p, 1), -5);
    assert_true(point_value(&p, 0) == STALE_NAN);
    assert_int_equal(p.time_min, -5);
    struct str rest = points_string(&p, p.series[1].labels), name, value;
    assert_true(points_label_next(&rest, &name, &value));
    assert_true(str_equal(name, STR("__name__")) && str_equal(value, STR("b")));
    assert_false(points_label_next(&rest, &name, &value));
    batch_unref(blob);
}

static void an_empty_batch_opens(void **state) {
    (void)state;
    struct points_builder b;
    struct points p;
    points_builder_init(&b, POINTS_OTLP);
    struct batch_blob *blob = points_builder_finish(&b);
    check_points_blob(blob);
    points_view(blob, &p);
    assert_int_equal(p.n, 0);
    assert_true(p.time_min == INT64_MAX && p.time_max == INT64_MIN);
    batch_unref(blob);
    points_builder_done(&b);
}

/* Any byte of a blob changed, or its end cut: ERR_CORRUPT with a text, or a batch that can be walked. */
static void damage_is_found_or_harmless(void **state) {
    (void)state;
    uint32_t refused = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        struct chance c = {seed};
        struct batch_blob *blob = seed ? random_blob(seed) : named_blob();
        struct str bytes = batch_bytes(blob);
        AUTO_FREE char *copy = mem_new(bytes.n);
        for (size_t i = 0; i < bytes.n; i += seed ? 1 + bytes.n / 2000 : 1) {
            struct batch_blob *opened = NULL;
            struct points p;
            memcpy(copy, bytes.p, bytes.n);
            copy[i] = (char)(copy[i] ^ 1 << chance_below(&c, 8));
            err e = points_open(str_span(copy, chance_one_in(&c, 10) ? i : bytes.n), &opened);
            if (e) {
                assert_true(err_kind(e) == ERR_CORRUPT || err_kind(e) == ERR_INVALID);
                err_free(e);
                refused++;
                continue;
            }
            points_view(opened, &p);
            walk_points(&p);
            batch_unref(opened);
        }
        batch_unref(blob);
    }
    assert_true(refused > 200);
}

/* ---- one lie at a time ---------------------------------------------------------------------------------------------- */

static void *section(char *bytes, uint32_t id) {
    struct points_header *h = (void *)bytes;
    struct points_section_row *table = (void *)(h + 1);
    for (uint32_t i = 0; i < h->section_count; i++)
        if (table[i].id == id) return bytes + table[i].offset;
    fail_msg("no section %u", id);
    return NULL;
}

#define LIES(text, ...)                                                                                                \
    do {                                                                                                               \
        struct batch_blob *blob_ = named_blob(), *opened_ = NULL;                                                      \
        struct str bytes_ = batch_bytes(blob_);                                                                        \
        AUTO_FREE char *bytes = mem_new(bytes_.n);                                                                     \
        memcpy(bytes, bytes_.p, bytes_.n);                                                                             \
        __VA_ARGS__;                                                                                                   \
        err e_ = points_open(str_span(bytes, bytes_.n), &opened_);                                                     \
        assert_non_null(e_);                                                                                           \
        if (!strstr(err_text(e_), text)) fail_msg("%s: %s", text, err_text(e_));                                       \
        err_free(e_);                                                                                                  \
        batch_unref(blob_);                                                                                            \
    } while (0)

static void every_lie_is_named(void **state) {
    (void)state;
    LIES("no batch of points begins here", bytes[0] = 'X');
    LIES("newer clew", ((struct points_header *)bytes)->version = 2);
    LIES("origin 2", ((struct points_header *)bytes)->origin = 2);
    LIES("values for", ((struct points_header *)bytes)->points = 3);
    LIES("range of times", ((struct points_header *)bytes)->time_max = 6);
    LIES("ends before it starts", ((uint32_t *)section(bytes, POINTS_STRING_END))[1] = 1000);
    LIES("no list of labels", ((char *)section(bytes, POINTS_HEAP))[0] = 7);
    LIES("string 3 of 3", ((struct points_series *)section(bytes, POINTS_SERIES))[0].labels = 3);
    LIES("series 1 has no metric", ((struct points_series *)section(bytes, POINTS_SERIES))[1].metric = 1);
    LIES("series of point 1 falls", ((uint32_t *)section(bytes, POINTS_COLUMN + COLUMN_SERIES))[0] = 1,
         ((uint32_t *)section(bytes, POINTS_COLUMN + COLUMN_SERIES))[1] = 0);
    LIES("point 0 has kind 1", ((uint8_t *)section(bytes, POINTS_COLUMN + COLUMN_KIND))[0] = POINT_INT);
    LIES("no histogram of its own", ((uint64_t *)section(bytes, POINTS_COLUMN + COLUMN_VALUE))[1] = 1);
    LIES("1 histograms for 0 points", ((uint8_t *)section(bytes, POINTS_COLUMN + COLUMN_KIND))[1] = POINT_DOUBLE);
    LIES("has no numbers", ((struct points_histogram *)section(bytes, POINTS_HISTOGRAMS))[0].n[1] = 1);
    LIES("are of no histogram", ((struct points_histogram *)section(bytes, POINTS_HISTOGRAMS))[0].n[0] = 0);
    LIES("histogram 0 is wrong", ((struct points_histogram *)section(bytes, POINTS_HISTOGRAMS))[0].first = 1);
    LIES("exemplar 0 is of no series", ((struct points_exemplar *)section(bytes, POINTS_EXEMPLARS))[0].series = 2);
    LIES("exemplar 0 is of no point", ((struct points_exemplar *)section(bytes, POINTS_EXEMPLARS))[0].point = 0);
}

static void rewinding_leaves_what_was_before(void **state) {
    (void)state;
    struct points_builder b;
    points_builder_init(&b, POINTS_PROMETHEUS);
    points_builder_series(&b, 0, 0);
    points_builder_point(&b);
    struct points_mark mark = points_builder_mark(&b);
    points_builder_series(&b, 0, 0);
    for (int i = 0; i < 1000; i++) {
        uint32_t point = points_builder_point(&b);
        b.time[point] = 9;
    }
    *vec_push(&b.numbers) = 1;
    points_builder_rewind(&b, mark);
    b.kind[0] = POINT_DOUBLE;
    struct batch_blob *blob = points_builder_finish(&b);
    struct points p;
    check_points_blob(blob);
    points_view(blob, &p);
    assert_int_equal(p.n, 1);
    assert_int_equal(p.series_count, 1);
    batch_unref(blob);
    points_builder_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_built_opens_and_says_the_same),
        cmocka_unit_test(an_empty_batch_opens),
        cmocka_unit_test(damage_is_found_or_harmless),
        cmocka_unit_test(every_lie_is_named),
        cmocka_unit_test(rewinding_leaves_what_was_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
