/* OTLP metrics in and out: what came in goes out, and what is no request harms nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/budget.h"
#include "signal/metrics/points_testing_priv.h"

enum { SEEDS = 300 };
static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

static struct batch_blob *decode(struct points_decoder *d, struct str body, struct points *out) {
    struct points_result r;
    err e = points_decode_otlp(d, body, &all_times, &r);
    if (e) fail_msg("%s", err_text(e));
    assert_non_null(r.blob);
    if (r.first[0]) fail_msg("%s", r.first);
    check_points_blob(r.blob);
    points_view(r.blob, out);
    assert_int_equal(out->n, r.points);
    return r.blob;
}

static void round_trip(struct points_decoder *d, uint64_t seed, bool canonical) {
    struct chance c = {seed};
    struct points first, second;
    AUTO_BUF struct buf body, again;
    buf_init(&body, 16 * MIB);
    buf_init(&again, 16 * MIB);
    random_points_request(&c, canonical, &body);
    struct batch_blob *one = decode(d, buf_str(&body), &first);
    points_encode_otlp(&first, &again);
    assert_false(again.full);
    struct batch_blob *two = decode(d, buf_str(&again), &second);
    assert_true(points_equal(&first, &second));
    assert_int_equal(first.series_count, second.series_count);
    if (canonical) {
        assert_int_equal(again.n, body.n);
        assert_memory_equal(again.p, body.p, body.n);
        for (uint32_t i = 0; i < first.series_count; i++) assert_true(hash128_equal(first.hashes[i], second.hashes[i]));
    }
    batch_unref(one);
    batch_unref(two);
}

static void canonical_requests_come_out_byte_for_byte(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    for (uint64_t seed = 0; seed < SEEDS; seed++) round_trip(d, seed, true);
    points_decoder_free(d);
}

static void fields_in_any_order_say_the_same(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    for (uint64_t seed = 0; seed < SEEDS; seed++) round_trip(d, seed, false);
    points_decoder_free(d);
}

/* The hash of a series is that of its content: the same from the decoder, from a fresh one, and after the log. */
static void a_series_keeps_its_hash(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new(), *fresh = points_decoder_new();
    struct points a, b, c;
    struct batch_blob *opened = NULL;
    AUTO_BUF struct buf first, second;
    buf_init(&first, 16 * MIB);
    buf_init(&second, 16 * MIB);
    struct chance chance = {3};
    load_points_request(&chance, 5, 4, 1700000000000000000u, &first);
    load_points_request(&chance, 5, 4, 1700000015000000000u, &second);
    struct batch_blob *one = decode(d, buf_str(&first), &a), *two = decode(fresh, buf_str(&second), &b);
    batch_unref(decode(d, buf_str(&second), &c));
    err e = points_open(batch_bytes(one), &opened);
    assert_null(e);
    points_view(opened, &c);
    assert_int_equal(a.n, 500);
    assert_int_equal(a.series_count, 500);
    for (uint32_t i = 0; i < 500; i++) {
        assert_true(hash128_equal(a.hashes[i], b.hashes[i]));
        assert_true(hash128_equal(a.hashes[i], c.hashes[i]));
        for (uint32_t j = 0; j < i; j++) assert_false(hash128_equal(a.hashes[i], a.hashes[j]));
    }
    batch_unref(one);
    batch_unref(two);
    batch_unref(opened);
    points_decoder_free(d);
    points_decoder_free(fresh);
}

/* No cut of a request is anything but an error or a shorter request, and a decoder works on after it. */
static void a_cut_request_is_an_error(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct chance c = {11};
    struct points p;
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    random_points_request(&c, true, &body);
    uint32_t errors = 0;
    for (size_t n = 1; n < body.n; n++) {
        struct points_result r;
        AUTO_FREE char *cut = mem_new(n); /* exactly sized: ASan sees one byte too far */
        memcpy(cut, body.p, n);
        err e = points_decode_otlp(d, str_span(cut, n), &all_times, &r);
        if (e) {
            assert_int_equal(err_kind(e), ERR_INVALID);
            errors++;
            err_free(e);
        } else
            batch_unref(r.blob);
    }
    assert_true(errors >= body.n - 4);
    batch_unref(decode(d, buf_str(&body), &p));
    points_decoder_free(d);
}

/* Any byte changed: an error, or a batch that opens. */
static void damaged_requests_never_make_bad_batches(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct chance c = {seed + 50};
        AUTO_BUF struct buf body;
        buf_init(&body, 16 * MIB);
        random_points_request(&c, true, &body);
        for (size_t i = 0; i < body.n; i += 1 + body.n / 300) {
            struct points_result r;
            char was = body.p[i];
            body.p[i] = (char)(was ^ 1 << chance_below(&c, 8));
            err e = points_decode_otlp(d, buf_str(&body), &all_times, &r);
            body.p[i] = was;
            if (!e && r.blob) check_points_blob(r.blob);
            if (!e) batch_unref(r.blob);
            err_free(e);
        }
    }
    points_decoder_free(d);
}

/* ---- one point by hand ---------------------------------------------------------------------------------------------- */

/* A request with one metric whose data is field `kind` of one point. */
static void wrap(uint32_t kind, const struct buf *point, struct buf *out) {
    AUTO_BUF struct buf a, b;
    buf_init(&a, 64 * MIB);
    buf_init(&b, 64 * MIB);
    put_wire_bytes(&a, 1, buf_str(point));
    put_wire_bytes(&b, 1, STR("m"));
    put_wire_bytes(&b, kind, buf_str(&a));
    for (int level = 0; level < 2; level++) {
        buf_clear(&a);
        put_wire_bytes(&a, 2, buf_str(&b));
        buf_clear(&b);
        buf_add_str(&b, buf_str(&a));
    }
    put_wire_bytes(out, 1, buf_str(&b));
}

struct refusal {
    int reason; /* or -1: taken */
    const char *first;
};

static void expect(uint32_t kind, const struct buf *point, struct otlp_limits limits, struct refusal want) {
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    AUTO_BUF struct buf body;
    buf_init(&body, 64 * MIB);
    wrap(kind, point, &body);
    err e = points_decode_otlp(d, buf_str(&body), &limits, &r);
    if (e) fail_msg("%s", err_text(e));
    assert_string_equal(r.first, want.first);
    for (int i = 0; i < POINTS_REASONS; i++) assert_int_equal(r.rejected[i], i == want.reason);
    assert_int_equal(r.points, want.reason < 0);
    assert_true((r.blob != NULL) == (want.reason < 0));
    batch_unref(r.blob);
    points_decoder_free(d);
}

static void put_doubles(struct buf *out, uint32_t field, const double *v, uint32_t n) {
    put_wire_bytes(out, field, str_span(v, n * sizeof *v));
}

#define HISTOGRAM "a histogram that contradicts itself: metric \"m\": "
static void histograms_that_contradict_themselves_are_refused(void **state) {
    (void)state;
    static const uint64_t counts[3] = {1, 2, 3};
    static const double nan = __builtin_nan(""), inf = __builtin_inf();
    const struct {
        uint32_t counts, bounds;
        double values[3];
        struct refusal want;
    } cases[] = {
        {0, 0, {0}, {-1, ""}},
        {1, 0, {0}, {-1, ""}},
        {3, 2, {1, 2}, {-1, ""}},
        {3, 2, {1, inf}, {-1, ""}},
        {3, 3, {1, 2, 3}, {POINTS_BAD_HISTOGRAM, HISTOGRAM "the buckets are not one more than the bounds"}},
        {3, 0, {0}, {POINTS_BAD_HISTOGRAM, HISTOGRAM "the buckets are not one more than the bounds"}},
        {0, 1, {1}, {POINTS_BAD_HISTOGRAM, HISTOGRAM "the buckets are not one more than the bounds"}},
        {3, 2, {2, 1}, {POINTS_BAD_HISTOGRAM, HISTOGRAM "the bounds do not rise"}},
        {3, 2, {1, 1}, {POINTS_BAD_HISTOGRAM, HISTOGRAM "the bounds do not rise"}},
        {3, 2, {1, nan}, {POINTS_BAD_HISTOGRAM, HISTOGRAM "the bounds do not rise"}},
        {2, 1, {nan}, {POINTS_BAD_HISTOGRAM, HISTOGRAM "the bounds do not rise"}},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf point;
        buf_init(&point, MIB);
        put_wire_bytes(&point, 6, str_span(counts, 8 * cases[i].counts));
        put_doubles(&point, 7, cases[i].values, cases[i].bounds);
        expect(9, &point, all_times, cases[i].want);
    }
}

static void put_exponential(struct buf *out, int64_t scale, int32_t offset, uint32_t n) {
    AUTO_BUF struct buf buckets, counts;
    buf_init(&buckets, MIB);
    buf_init(&counts, MIB);
    for (uint32_t i = 0; i < n; i++) buf_add_byte(&counts, 1);
    put_wire_varint(&buckets, 1, (uint32_t)offset << 1 ^ (uint32_t)(offset >> 31));
    put_wire_bytes(&buckets, 2, buf_str(&counts));
    put_wire_varint(out, 6, (uint64_t)scale << 1 ^ (uint64_t)(scale >> 63));
    put_wire_bytes(out, 8, buf_str(&buckets));
}

static void exponential_histograms_at_their_edges(void **state) {
    (void)state;
    const struct {
        int64_t scale;
        int32_t offset;
        uint32_t n;
        struct refusal want;
    } cases[] = {
        {-100, -5, 3, {-1, ""}}, /* kept as it is; what can be translated is for later */
        {INT32_MAX, INT32_MIN, 3, {-1, ""}},
        {0, INT32_MAX - 3, 3, {-1, ""}},
        {0, INT32_MAX - 2, 3, {POINTS_BAD_HISTOGRAM, HISTOGRAM "the index of a bucket is over 2^31"}},
        {0, 0, 65536, {-1, ""}},
        {0, 0, 65537, {POINTS_BAD_HISTOGRAM, HISTOGRAM "over 65,536 buckets"}},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf point;
        buf_init(&point, MIB);
        put_exponential(&point, cases[i].scale, cases[i].offset, cases[i].n);
        expect(10, &point, all_times, cases[i].want);
    }
}

static void put_key_values(struct buf *out, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) put_wire_bytes(out, 7, STR("\x0a\x01k\x12\x02\x18\x07"));
}

static void points_outside_the_limits_are_refused(void **state) {
    (void)state;
    const struct {
        uint64_t time;
        uint32_t labels;
        struct refusal want;
    } cases[] = {
        {999, 0, {POINTS_TOO_OLD, "older than the retention: metric \"m\""}},
        {1000, 0, {-1, ""}},
        {2000, 16384, {-1, ""}},
        {2000, 16385, {POINTS_TOO_MANY, "too many labels: metric \"m\""}},
        {2000, 100000, {POINTS_TOO_MANY, "too many labels: metric \"m\""}},
        {2001, 0, {POINTS_TOO_NEW, "too far in the future: metric \"m\""}},
        {UINT64_MAX, 0, {POINTS_TOO_NEW, "too far in the future: metric \"m\""}},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf point;
        buf_init(&point, 64 * MIB);
        put_wire_fixed64(&point, 3, cases[i].time);
        put_key_values(&point, cases[i].labels);
        expect(5, &point, (struct otlp_limits){1000, 2000, 77}, cases[i].want);
    }
}

/* An attribute nested n deep. */
static void put_nested(struct buf *out, uint32_t n) {
    AUTO_BUF struct buf a, b;
    buf_init(&a, MIB);
    buf_init(&b, MIB);
    for (uint32_t i = 1; i < n; i++) {
        buf_clear(&b);
        put_wire_bytes(&b, 1, buf_str(&a));
        buf_clear(&a);
        put_wire_bytes(&a, 5, buf_str(&b));
    }
    buf_clear(&b);
    put_wire_bytes(&b, 2, buf_str(&a));
    put_wire_bytes(out, 7, buf_str(&b));
}

static void values_nest_at_most_64_deep(void **state) {
    (void)state;
    for (uint32_t depth = 64; depth <= 65; depth++) {
        struct points_decoder *d = points_decoder_new();
        struct points_result r = {0};
        AUTO_BUF struct buf point, body;
        buf_init(&point, MIB);
        buf_init(&body, MIB);
        put_nested(&point, depth);
        wrap(5, &point, &body);
        for (int again = 0; again < 2; again++) { /* what was refused once is not believed the second time */
            err e = points_decode_otlp(d, buf_str(&body), &all_times, &r);
            assert_int_equal(e != NULL, depth > 64);
            if (e) assert_int_equal(err_kind(e), ERR_LIMIT);
            if (!e) batch_unref(r.blob);
            err_free(e);
        }
        points_decoder_free(d);
    }
}

/* Two bytes a point may become sixty of columns: they are drawn for. */
static void columns_are_charged(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct budget budget;
    AUTO_BUF struct buf data, metric, scope, group, body;
    struct buf *all[] = {&data, &metric, &scope, &group, &body};
    for (size_t i = 0; i < LENGTH(all); i++) buf_init(all[i], 16 * MIB);
    for (int i = 0; i < 100000; i++) put_wire_bytes(&data, 1, STR(""));
    put_wire_bytes(&metric, 5, buf_str(&data));
    put_wire_bytes(&scope, 2, buf_str(&metric));
    put_wire_bytes(&group, 2, buf_str(&scope));
    put_wire_bytes(&body, 1, buf_str(&group));
    struct otlp_limits limits = all_times;
    limits.budget = &budget;
    budget_init(&budget, 2 * MIB);
    err e = points_decode_otlp(d, buf_str(&body), &limits, &r);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_BUSY);
    err_free(e);
    points_decoder_forget(d);
    assert_int_equal(budget_used(&budget), 0);
    budget_init(&budget, 64 * MIB);
    e = points_decode_otlp(d, buf_str(&body), &limits, &r);
    assert_null(e);
    assert_int_equal(r.points, 100000);
    points_decoder_forget(d);
    assert_int_equal(budget_used(&budget), 0);
    batch_unref(r.blob);
    points_decoder_free(d);
}

static void an_exemplar_with_a_bad_id_goes_alone(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct points p;
    AUTO_BUF struct buf point, body, exemplar;
    buf_init(&point, MIB);
    buf_init(&body, MIB);
    buf_init(&exemplar, MIB);
    put_wire_bytes(&exemplar, 5, STR("short"));
    put_wire_bytes(&point, 5, buf_str(&exemplar));
    buf_clear(&exemplar);
    put_wire_bytes(&exemplar, 5, STR("0123456789abcdef"));
    put_wire_bytes(&point, 5, buf_str(&exemplar));
    wrap(7, &point, &body);
    err e = points_decode_otlp(d, buf_str(&body), &all_times, &r);
    assert_null(e);
    points_view(r.blob, &p);
    assert_int_equal(r.exemplars_rejected, 1);
    assert_int_equal(p.exemplar_count, 1);
    assert_memory_equal(p.exemplars[0].trace_id, "0123456789abcdef", 16);
    batch_unref(r.blob);
    points_decoder_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_requests_come_out_byte_for_byte),
        cmocka_unit_test(fields_in_any_order_say_the_same),
        cmocka_unit_test(a_series_keeps_its_hash),
        cmocka_unit_test(a_cut_request_is_an_error),
        cmocka_unit_test(damaged_requests_never_make_bad_batches),
        cmocka_unit_test(histograms_that_contradict_themselves_are_refused),
        cmocka_unit_test(exponential_histograms_at_their_edges),
        cmocka_unit_test(points_outside_the_limits_are_refused),
        cmocka_unit_test(values_nest_at_most_64_deep),
        cmocka_unit_test(columns_are_charged),
        cmocka_unit_test(an_exemplar_with_a_bad_id_goes_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
