/* OTLP/JSON of metrics in and out: the published example, all that OTLP has, members in any order, and what is refused where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/json.h"
#include "signal/metrics/points_testing_priv.h"

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

static struct batch_blob *from_json(struct points_decoder *d, struct str body, struct points *out) {
    struct points_result r;
    err e = points_decode_otlp_json(d, body, &all_times, &r);
    if (e) fail_msg("%s", err_text(e));
    assert_string_equal(r.first, "");
    assert_non_null(r.blob);
    check_points_blob(r.blob);
    points_view(r.blob, out);
    return r.blob;
}

static void to_json(const struct points *p, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    points_write_otlp_json(p, &w);
}

static bool has_nan(const struct points *p) {
    for (uint32_t i = 0; i < p->n; i++)
        if (point_kind(p, i) == POINT_DOUBLE && (point_value(p, i) << 1) > 0xffe0000000000000u) return true;
    for (uint32_t i = 0; i < p->exemplar_count; i++)
        if (p->exemplars[i].kind == POINT_DOUBLE && (p->exemplars[i].value << 1) > 0xffe0000000000000u) return true;
    for (uint32_t i = 0; i < p->number_count; i++) /* of summaries; elsewhere it excludes more than it must */
        if (p->numbers[i] << 1 > 0xffe0000000000000u) return true;
    for (uint32_t i = 0; i < p->histogram_count; i++) {
        const struct points_histogram *h = &p->histograms[i];
        const uint64_t bits[] = {h->sum, h->min, h->max, h->zero_threshold};
        for (size_t k = 0; k < LENGTH(bits); k++)
            if (bits[k] << 1 > 0xffe0000000000000u) return true;
    }
    return false;
}

/* Random requests: by JSON they say what they said by protobuf, but for the bits of NaN and text that is not UTF-8. */
static void json_says_what_protobuf_says(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    uint32_t compared = 0;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct chance c = {seed};
        struct points_result r;
        struct points first, second, third;
        AUTO_BUF struct buf body, text, again;
        buf_init(&body, 16 * MIB);
        buf_init(&text, 16 * MIB);
        buf_init(&again, 16 * MIB);
        random_points_request(&c, true, &body);
        err e = points_decode_otlp(d, buf_str(&body), &all_times, &r);
        assert_null(e);
        points_view(r.blob, &first);
        to_json(&first, &text);
        struct batch_blob *two = from_json(d, buf_str(&text), &second);
        to_json(&second, &again);
        assert_int_equal(text.n, again.n);
        assert_memory_equal(text.p, again.p, text.n);
        struct batch_blob *three = from_json(d, buf_str(&again), &third);
        if (!has_nan(&second)) assert_true(points_equal(&second, &third));
        bool exact = !has_nan(&first) && !r.invalid_utf8 && !str_contains(buf_str(&text), STR("\xef\xbf\xbd"));
        if (exact) assert_true(points_equal(&first, &second));
        compared += exact;
        batch_unref(r.blob);
        batch_unref(two);
        batch_unref(three);
    }
    assert_true(compared >= 5);
    points_decoder_free(d);
}

static bool read_shared(const char *name, struct buf *out) {
    char path[600], block[4096];
    const char *root = getenv("CLEW_ROOT");
    snprintf(path, sizeof path, "%s/../shared/data/otlp/%s", root ? root : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) buf_add(out, block, n);
    fclose(f);
    return true;
}

static void the_published_example_comes_out_equal(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct points a, b, c;
    AUTO_BUF struct buf body, text, bytes;
    buf_init(&body, MIB);
    buf_init(&text, MIB);
    buf_init(&bytes, MIB);
    if (!read_shared("metrics.json", &body)) {
        points_decoder_free(d);
        skip();
    }
    struct batch_blob *one = from_json(d, buf_str(&body), &a);
    assert_int_equal(a.n, 4);
    assert_int_equal(a.metric_count, 4);
    points_encode_otlp(&a, &bytes);
    err e = points_decode_otlp(d, buf_str(&bytes), &all_times, &r);
    assert_null(e);
    points_view(r.blob, &b);
    assert_true(points_equal(&a, &b));
    to_json(&b, &text);
    struct batch_blob *three = from_json(d, buf_str(&text), &c);
    assert_true(points_equal(&a, &c));
    assert_int_equal(point_kind(&a, 2), POINT_HISTOGRAM);
    assert_int_equal(a.histograms[1].positive_offset, 1);
    assert_int_equal(a.histograms[1].n[NUMBERS_POSITIVE], 2);
    batch_unref(one);
    batch_unref(r.blob);
    batch_unref(three);
    points_decoder_free(d);
}

/* What stands last in the bytes is known of all before it. */
static void members_may_come_in_any_order(void **state) {
    (void)state;
    static const char first[] = "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":{"
                                "\"intValue\":\"1\"}}]},\"schemaUrl\":\"u\",\"scopeMetrics\":[{"
                                "\"scope\":{\"name\":\"s\"},\"metrics\":[{\"name\":\"m\",\"unit\":\"s\",\"sum\":{"
                                "\"aggregationTemporality\":2,\"isMonotonic\":true,"
                                "\"dataPoints\":[{\"timeUnixNano\":\"5\",\"asInt\":\"-7\",\"attributes\":[{\"key\":"
                                "\"k\",\"value\":{}}],\"exemplars\":[{\"asDouble\":1.5}]}]}}]}]}]}";
    static const char last[] = "{\"x\":[1],\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"sum\":{"
                               "\"dataPoints\":[{\"exemplars\":[{\"asDouble\":\"1.5\"}],"
                               "\"attributes\":[{\"value\":{},\"key\":\"k\"}],\"asInt\":-7,\"timeUnixNano\":5,"
                               "\"flags\":null}],\"isMonotonic\":true,\"aggregationTemporality\":2},"
                               "\"unit\":\"s\",\"name\":\"m\"}],\"scope\":{\"name\":\"s\"}}],\"schemaUrl\":\"u\","
                               "\"resource\":{\"attributes\":[{\"value\":{\"intValue\":1},\"key\":\"a\"}]}}]}";
    struct points_decoder *d = points_decoder_new();
    struct points a, b;
    struct batch_blob *one = from_json(d, str_of(first), &a), *two = from_json(d, str_of(last), &b);
    assert_true(points_equal(&a, &b));
    assert_true(hash128_equal(a.hashes[0], b.hashes[0]));
    assert_int_equal(point_kind(&a, 0), POINT_INT);
    assert_int_equal((int64_t)point_value(&a, 0), -7);
    assert_int_equal(a.exemplar_count, 1);
    batch_unref(one);
    batch_unref(two);
    points_decoder_free(d);
}

#define POINT(members)                                                                                                 \
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":{\"dataPoints\":[{" members "}]}}]}]}]}"
#define HISTOGRAM(members)                                                                                             \
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"histogram\":{\"dataPoints\":[{" members "}]}}]}]}]}"
#define AT "resourceMetrics[0].scopeMetrics[0].metrics[0]."

static void errors_name_the_place(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "the text ends too early"},
        {"[]", "expected an object"},
        {"{}x", "more text after the value"},
        {POINT("\"asDouble\":\"one\""), AT "gauge.dataPoints[0].asDouble: expected a number"},
        {POINT("\"asInt\":1.5"), AT "gauge.dataPoints[0].asInt: expected a signed 64-bit integer"},
        {POINT("\"asInt\":\"9223372036854775808\""), AT "gauge.dataPoints[0].asInt: expected a signed 64-bit integer"},
        {POINT("\"timeUnixNano\":-1"), AT "gauge.dataPoints[0].timeUnixNano: expected an unsigned 64-bit integer"},
        {POINT("\"flags\":4294967296"), AT "gauge.dataPoints[0].flags: expected an unsigned 32-bit integer"},
        {POINT("\"exemplars\":[{\"traceId\":\"AAAAAAAAAAAAAAAAAAAAAA==\"}]"),
         AT "gauge.dataPoints[0].exemplars[0].traceId: expected 32 hex digits"},
        {POINT("\"attributes\":{}"), AT "gauge.dataPoints[0].attributes: expected an array"},
        {POINT("\"asDouble\":1,\"asDouble\":2"),
         AT "gauge.dataPoints[0].asDouble: expected one member of that name, not two"},
        {HISTOGRAM("\"bucketCounts\":[\"1\",-1]"),
         AT "histogram.dataPoints[0].bucketCounts[1]: expected an unsigned 64-bit integer"},
        {HISTOGRAM("\"bucketCounts\":[1,]"), AT "histogram.dataPoints[0].bucketCounts"},
        {HISTOGRAM("\"bucketCounts\":[1"), AT "histogram.dataPoints[0].bucketCounts"},
        {HISTOGRAM("\"explicitBounds\":[\"x\"]"), AT "histogram.dataPoints[0].explicitBounds[0]: expected a number"},
        {"{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"gauge\":{},\"sum\":{}}]}]}]}",
         AT "sum: expected one kind of data, not two"},
        {"{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"sum\":{\"aggregationTemporality\":\"CUMULATIVE\"}}]"
         "}]}]}",
         AT "sum.aggregationTemporality: expected an integer"},
    };
    struct points_decoder *d = points_decoder_new();
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct points_result r;
        size_t n = strlen(cases[i][0]);
        AUTO_FREE char *exact = mem_new(n + !n);
        memcpy(exact, cases[i][0], n);
        err e = points_decode_otlp_json(d, str_span(exact, n), &all_times, &r);
        assert_non_null(e);
        if (!strstr(err_text(e), cases[i][1])) fail_msg("%s: %s", cases[i][0], err_text(e));
        err_free(e);
    }
    points_decoder_free(d);
}

static void refused_points_leave_nothing(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    err e = points_decode_otlp_json(
        d, STR(HISTOGRAM("\"bucketCounts\":[1,2],\"explicitBounds\":[],\"exemplars\":[{}]")), &all_times, &r);
    assert_null(e);
    assert_null(r.blob);
    assert_int_equal(r.rejected[POINTS_BAD_HISTOGRAM], 1);
    e = points_decode_otlp_json(d, STR(POINT("\"exemplars\":[{\"traceId\":\"abcd\"},{\"spanId\":\"\"}]")), &all_times,
                                &r);
    assert_null(e);
    assert_int_equal(r.points, 1);
    assert_int_equal(r.exemplars, 1);
    assert_int_equal(r.exemplars_rejected, 1);
    batch_unref(r.blob);
    e = points_decode_otlp_json(d, STR("{}"), &all_times, &r);
    assert_null(e);
    assert_null(r.blob);
    points_decoder_free(d);
}

static void partial_success_names_data_points(void **state) {
    (void)state;
    struct json_writer w;
    AUTO_BUF struct buf out;
    buf_init(&out, MIB);
    json_writer_init(&w, &out);
    otlp_write_partial_json(STR("rejectedDataPoints"), 3, STR("too old"), &w);
    assert_string_equal(out.p, "{\"partialSuccess\":{\"rejectedDataPoints\":\"3\",\"errorMessage\":\"too old\"}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_says_what_protobuf_says),  cmocka_unit_test(the_published_example_comes_out_equal),
        cmocka_unit_test(members_may_come_in_any_order), cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(refused_points_leave_nothing),  cmocka_unit_test(partial_success_names_data_points),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
