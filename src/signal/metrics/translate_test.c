/* OpenTelemetry points → series, by the examples and rules of the specification (compatibility/prometheus_and_openmetrics.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/text.h"
#include "signal/metrics/points_priv.h"
#include "signal/metrics/points_testing_priv.h"
#include "signal/metrics/translate.h"

/* ---- a batch by hand: one resource, one scope ----------------------------------------------------------------------------- */

static void put_attribute(struct buf *out, const char *key, struct str any) {
    AUTO_BUF struct buf entry;
    buf_init(&entry, MIB);
    put_wire_bytes(&entry, 1, str_of(key));
    put_wire_bytes(&entry, 2, any);
    put_wire_bytes(out, 7, buf_str(&entry));
}

/* "key=value,key=value": values that are digits become integers. */
static uint32_t attributes(struct points_builder *b, const char *text) {
    AUTO_BUF struct buf list;
    struct str rest = str_of(text), tail, pair, key, value;
    buf_init(&list, MIB);
    while (rest.n) {
        AUTO_BUF struct buf any, name;
        buf_init(&any, MIB);
        buf_init(&name, 100);
        bool more = str_cut(rest, ',', &pair, &tail);
        rest = more ? tail : STR("");
        str_cut(pair, '=', &key, &value);
        buf_add_str(&name, key);
        uint64_t number;
        err e = parse_u64(value, &number);
        if (e)
            put_wire_bytes(&any, 1, value);
        else
            put_wire_varint(&any, 3, number);
        err_free(e);
        put_attribute(&list, name.p, buf_str(&any));
    }
    return strings_append(&b->strings, buf_str(&list));
}

static void begin(struct points_builder *b, const char *resource, const char *scope, const char *scope_attributes) {
    points_builder_init(b, POINTS_OTLP);
    *vec_push(&b->resources) = (struct points_resource){.attributes = attributes(b, resource)};
    *vec_push(&b->scopes) = (struct points_scope){.name = strings_intern(&b->strings, str_of(scope)),
                                                  .version = strings_intern(&b->strings, *scope ? STR("1.2") : STR("")),
                                                  .attributes = attributes(b, scope_attributes)};
}

static void metric(struct points_builder *b, enum metric_kind kind, const char *name, const char *unit) {
    *vec_push(&b->metrics) = (struct points_metric){
        .name = strings_intern(&b->strings, str_of(name)),
        .unit = strings_intern(&b->strings, str_of(unit)),
        .description = strings_intern(&b->strings, STR("what it is")),
        .kind = kind,
        .temporality = kind == METRIC_GAUGE || kind == METRIC_SUMMARY ? 0 : TEMPORALITY_CUMULATIVE,
        .monotonic = kind == METRIC_SUM};
}

static uint32_t point(struct points_builder *b, const char *labels, double value) {
    points_builder_series(b, (uint32_t)b->metrics.n - 1, attributes(b, labels));
    uint32_t i = points_builder_point(b);
    b->time[i] = 5000999999;
    b->start[i] = 2000000000;
    b->kind[i] = POINT_DOUBLE;
    b->value[i] = double_bits(value);
    return i;
}

struct lists {
    double bounds[4], values[4];
    uint64_t positive[8], negative[4];
    uint32_t bound_n, value_n, positive_n, negative_n;
};

static void compound(struct points_builder *b, const char *labels, enum point_kind kind, struct points_histogram h,
                     const struct lists *in) {
    struct points_lists lists = {0};
    uint32_t i = point(b, labels, 0);
    for (uint32_t k = 0; k < in->bound_n; k++) points_list_add(&lists, NUMBERS_BOUNDS, double_bits(in->bounds[k]));
    for (uint32_t k = 0; k < in->value_n; k++) points_list_add(&lists, NUMBERS_POSITIVE, double_bits(in->values[k]));
    for (uint32_t k = 0; k < in->positive_n; k++) points_list_add(&lists, NUMBERS_POSITIVE, in->positive[k]);
    for (uint32_t k = 0; k < in->negative_n; k++) points_list_add(&lists, NUMBERS_NEGATIVE, in->negative[k]);
    points_builder_histogram(b, i, kind, &h, &lists);
    points_lists_done(&lists);
}

static void exemplar(struct points_builder *b, double value, const char *labels, bool traced) {
    struct points_exemplar x = {.time = 4000000000,
                                .value = double_bits(value),
                                .labels = attributes(b, labels),
                                .series = (uint32_t)b->series.n - 1,
                                .point = b->n - 1,
                                .kind = POINT_DOUBLE};
    if (traced) {
        memset(x.trace_id, 0xab, 16);
        memset(&x.span_id, 0xcd, 8);
    }
    *vec_push(&b->exemplars) = x;
}

/* ---- what comes out, as text ------------------------------------------------------------------------------------------------- */

static void put_labels(const struct points *p, uint32_t id, struct buf *out) {
    struct str rest = points_string(p, id), name, value;
    const char *separator = "{";
    while (points_label_next(&rest, &name, &value)) {
        buf_add_fmt(out, "%s%.*s=\"%.*s\"", separator, STR_ARG(name), STR_ARG(value));
        separator = ",";
    }
    buf_add_text(out, *separator == '{' ? "{}" : "}");
}

static void put_native(const struct points *p, const struct points_histogram *h, struct buf *out) {
    static const char *const names[NUMBERS] = {"deltas", "negative", "bounds", "spans", "negative_spans"};
    buf_add_fmt(out, "schema %d count %llu sum ", h->scale, (unsigned long long)h->count);
    put_f64(out, bits_double(h->sum));
    if (h->zero_count) buf_add_fmt(out, " zero %llu", (unsigned long long)h->zero_count);
    for (int l = 0; l < NUMBERS; l++) {
        if (h->n[l]) buf_add_fmt(out, " %s", names[l]);
        for (uint32_t i = 0; i < h->n[l]; i++) {
            uint64_t v = histogram_numbers(p, h, l)[i];
            if (l == NUMBERS_BOUNDS)
                buf_add_fmt(out, " %g", bits_double(v));
            else if (l >= NUMBERS_POSITIVE_SPANS)
                buf_add_fmt(out, " %d:%u", (int32_t)(v >> 32), (uint32_t)v);
            else
                buf_add_fmt(out, " %lld", (long long)v);
        }
    }
}

static void put_point(const struct points *p, uint32_t i, struct buf *out) {
    put_labels(p, p->series[point_series(p, i)].labels, out);
    buf_add_byte(out, ' ');
    if (point_kind(p, i) == POINT_NATIVE)
        put_native(p, &p->histograms[point_value(p, i)], out);
    else if (point_value(p, i) == STALE_NAN)
        buf_add_text(out, "stale");
    else
        put_f64(out, bits_double(point_value(p, i)));
    if (point_flags(p, i)) buf_add_fmt(out, " flags %#x", point_flags(p, i));
    buf_add_byte(out, '\n');
    for (uint32_t x = 0; x < p->exemplar_count; x++) {
        if (p->exemplars[x].point != i) continue;
        buf_add_text(out, "  # ");
        put_labels(p, p->exemplars[x].labels, out);
        buf_add_fmt(out, " %g %llu\n", bits_double(p->exemplars[x].value), (unsigned long long)p->exemplars[x].time);
    }
}

static void expect_with(struct points_builder *b, const struct translation *settings, const char *want,
                        const uint32_t want_dropped[TRANSLATE_REASONS]) {
    struct translator *t = translator_new(settings);
    struct points_builder made;
    struct points from, to;
    uint32_t dropped[TRANSLATE_REASONS] = {0};
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    struct batch_blob *blob = points_builder_finish(b);
    check_points_blob(blob);
    points_view(blob, &from);
    points_builder_init(&made, POINTS_PROMETHEUS);
    translate_points(t, &from, &made, dropped);
    struct batch_blob *result = points_builder_finish(&made);
    check_points_blob(result);
    points_view(result, &to);
    buf_add_text(&text, "");
    for (uint32_t i = 0; i < to.n; i++) put_point(&to, i, &text);
    assert_string_equal(text.n ? text.p : "", want);
    for (int r = 0; r < TRANSLATE_REASONS; r++) assert_int_equal(dropped[r], want_dropped ? want_dropped[r] : 0);
    for (uint32_t i = 0; i < to.n; i++)
        if (!strstr(want, "target_info")) {
            assert_int_equal(point_time(&to, i), 5000);
            assert_int_equal(point_start(&to, i), 2000);
        }
    batch_unref(blob);
    batch_unref(result);
    points_builder_done(b);
    points_builder_done(&made);
    translator_free(t);
}

static void expect(struct points_builder *b, const char *want) { expect_with(b, &translation_default, want, NULL); }

/* ---- the rules ------------------------------------------------------------------------------------------------------------------ */

static void resources_and_scopes_become_labels(void **state) {
    (void)state;
    struct points_builder b;
    begin(&b, "service.namespace=shop,service.name=cart,service.instance.id=7,host.name=h1,k8s.pod=p", "lib",
          "mascot=bear");
    metric(&b, METRIC_SUM, "requests", "{request}");
    point(&b, "http.method=GET,code=200,job=mine", 3);
    expect(&b, "{__name__=\"requests_total\",code=\"200\",http_method=\"GET\",instance=\"7\",job=\"shop/cart\","
               "otel_scope_mascot=\"bear\",otel_scope_name=\"lib\",otel_scope_version=\"1.2\"} 3\n"
               "{__name__=\"target_info\",host_name=\"h1\",instance=\"7\",job=\"shop/cart\",k8s_pod=\"p\"} 1\n");
    begin(&b, "host.name=h1,service.namespace=alone", "", "");
    metric(&b, METRIC_GAUGE, "temperature", "Cel");
    point(&b, "", -1.5);
    expect(&b, "{__name__=\"temperature_celsius\"} -1.5\n"); /* nobody whose target_info it could be */
    begin(&b, "service.name=cart", "lib", "");
    metric(&b, METRIC_GAUGE, "usage", "1");
    point(&b, "", 0.5);
    struct translation bare = translation_default;
    bare.scope_labels = false;
    expect_with(&b, &bare, "{__name__=\"usage_ratio\",job=\"cart\"} 0.5\n", NULL);
}

static void keys_that_become_one_are_joined(void **state) {
    (void)state;
    struct points_builder b;
    begin(&b, "cloud.region=eu", "", "");
    metric(&b, METRIC_GAUGE, "m", "");
    point(&b, "foo_bar=3rd,foo.bar=2nd,foo-bar=1st,x=,cloud_region=own", 1);
    struct translation promoting = translation_default;
    struct str names[] = {STR("cloud.region")};
    promoting.promoted = names;
    promoting.promoted_n = 1;
    expect_with(&b, &promoting, "{__name__=\"m\",cloud_region=\"own\",foo_bar=\"1st;2nd;3rd\"} 1\n", NULL);
    begin(&b, "cloud.region=eu", "", "");
    metric(&b, METRIC_GAUGE, "m.a", "");
    point(&b, "foo.bar=2", 1);
    promoting.names = NAMES_UNCHANGED;
    expect_with(&b, &promoting, "{__name__=\"m.a\",cloud.region=\"eu\",foo.bar=\"2\"} 1\n", NULL);
}

static void histograms_become_buckets(void **state) {
    (void)state;
    struct points_builder b;
    struct lists lists = {.bounds = {0.25, 1, 1e21}, .positive = {1, 2, 0, 4}, .bound_n = 3, .positive_n = 4};
    struct points_histogram h = {.count = 7, .sum = double_bits(9.5), .flags = HISTOGRAM_HAS_SUM};
    begin(&b, "", "", "");
    metric(&b, METRIC_HISTOGRAM, "duration", "s");
    compound(&b, "a=b", POINT_HISTOGRAM, h, &lists);
    exemplar(&b, 0.25, "user=u1", true);
    exemplar(&b, 5e22, "", false);
    expect(&b,
           "{__name__=\"duration_seconds_sum\",a=\"b\"} 9.5\n"
           "{__name__=\"duration_seconds_count\",a=\"b\"} 7\n"
           "{__name__=\"duration_seconds_bucket\",a=\"b\",le=\"0.25\"} 1\n"
           "  # {span_id=\"cdcdcdcdcdcdcdcd\",trace_id=\"abababababababababababababababab\",user=\"u1\"} 0.25 4000\n"
           "{__name__=\"duration_seconds_bucket\",a=\"b\",le=\"1\"} 3\n"
           "{__name__=\"duration_seconds_bucket\",a=\"b\",le=\"1000000000000000000000\"} 3\n"
           "{__name__=\"duration_seconds_bucket\",a=\"b\",le=\"+Inf\"} 7\n"
           "  # {} 5e+22 4000\n");
    begin(&b, "", "", "");
    metric(&b, METRIC_HISTOGRAM, "duration", "s");
    h.flags = 0;
    compound(&b, "", POINT_HISTOGRAM, h, &(struct lists){0});
    expect(&b, "{__name__=\"duration_seconds_count\"} 7\n{__name__=\"duration_seconds_bucket\",le=\"+Inf\"} 7\n");
    begin(&b, "", "", "");
    metric(&b, METRIC_HISTOGRAM, "duration", "s");
    h.flags = HISTOGRAM_HAS_SUM;
    compound(&b, "", POINT_HISTOGRAM, h, &lists);
    struct translation custom = translation_default;
    custom.custom_buckets = true;
    expect_with(
        &b, &custom,
        "{__name__=\"duration_seconds\"} schema -53 count 7 sum 9.5 deltas 1 1 -2 4 bounds 0.25 1 1e+21 spans 0:4\n",
        NULL);
}

static void exponential_histograms_become_native(void **state) {
    (void)state;
    static const struct {
        int32_t scale, offset, negative_offset;
        struct lists lists;
        uint64_t count;
        const char *want;
    } cases[] = {
        {0, 1, 0, {.positive = {0, 2}, .positive_n = 2}, 3, "schema 0 count 3 sum 4 zero 1 deltas 2 spans 3:1\n"},
        {3,
         -3,
         5,
         {.positive = {4, 2, 0, 0, 7}, .negative = {1}, .positive_n = 5, .negative_n = 1},
         15,
         "schema 3 count 15 sum 4 zero 1 deltas 4 -2 -2 0 7 negative 1 spans -2:5 negative_spans 6:1\n"},
        {0,
         0,
         0,
         {.positive = {1, 0, 0, 0, 1}, .positive_n = 5},
         3,
         "schema 0 count 3 sum 4 zero 1 deltas 1 0 spans 1:1 3:1\n"},
        {9,
         -3,
         0,
         {.positive = {1, 2, 3, 4}, .positive_n = 4},
         11,
         "schema 8 count 11 sum 4 zero 1 deltas 1 4 -1 spans -1:3\n"},
        {20,
         0,
         0,
         {.positive = {1, 2, 3, 4}, .positive_n = 4},
         11,
         "schema 8 count 11 sum 4 zero 1 deltas 10 spans 1:1\n"},
        {INT32_MAX,
         INT32_MIN,
         0,
         {.positive = {1, 2}, .positive_n = 2},
         4,
         "schema 8 count 4 sum 4 zero 1 deltas 3 spans 0:1\n"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct points_builder b;
        AUTO_BUF struct buf want;
        buf_init(&want, MIB);
        buf_add_fmt(&want, "{__name__=\"size\"} %s", cases[i].want);
        begin(&b, "", "", "");
        metric(&b, METRIC_EXPONENTIAL, "size", "");
        struct points_histogram h = {.count = cases[i].count,
                                     .sum = double_bits(4),
                                     .zero_count = 1,
                                     .scale = cases[i].scale,
                                     .positive_offset = cases[i].offset,
                                     .negative_offset = cases[i].negative_offset,
                                     .flags = HISTOGRAM_HAS_SUM};
        compound(&b, "", POINT_EXPONENTIAL, h, &cases[i].lists);
        expect(&b, want.p);
    }
}

static void summaries_become_quantiles(void **state) {
    (void)state;
    struct points_builder b;
    struct lists lists = {.bounds = {0.5, 0.99, 1}, .values = {1, 2, 3}, .bound_n = 3, .value_n = 3};
    begin(&b, "", "", "");
    metric(&b, METRIC_SUMMARY, "rpc", "ms");
    compound(&b, "", POINT_SUMMARY, (struct points_histogram){.count = 4, .sum = double_bits(8)}, &lists);
    expect(&b,
           "{__name__=\"rpc_milliseconds_sum\"} 8\n{__name__=\"rpc_milliseconds_count\"} 4\n"
           "{__name__=\"rpc_milliseconds\",quantile=\"0.5\"} 1\n{__name__=\"rpc_milliseconds\",quantile=\"0.99\"} 2\n"
           "{__name__=\"rpc_milliseconds\",quantile=\"1\"} 3\n");
}

static void no_recorded_value_becomes_the_stale_marker(void **state) {
    (void)state;
    struct points_builder b;
    struct lists lists = {.bounds = {1}, .positive = {1, 2}, .bound_n = 1, .positive_n = 2};
    begin(&b, "", "", "");
    metric(&b, METRIC_GAUGE, "g", "");
    uint32_t stale = point(&b, "", 5);
    b.flags[stale] = POINT_NO_RECORDED_VALUE;
    uint32_t none = point(&b, "", 5);
    b.flags[none] = POINT_NO_RECORDED_VALUE;
    b.kind[none] = POINT_EMPTY;
    metric(&b, METRIC_HISTOGRAM, "h", "");
    compound(&b, "", POINT_HISTOGRAM, (struct points_histogram){.count = 3}, &lists);
    b.flags[b.n - 1] = POINT_NO_RECORDED_VALUE;
    metric(&b, METRIC_EXPONENTIAL, "e", "");
    compound(&b, "", POINT_EXPONENTIAL, (struct points_histogram){.count = 3, .scale = 2}, &lists);
    b.flags[b.n - 1] = POINT_NO_RECORDED_VALUE;
    expect(&b, "{__name__=\"g\"} stale\n{__name__=\"g\"} stale\n{__name__=\"h_count\"} "
               "stale\n{__name__=\"h_bucket\",le=\"1\"} stale\n"
               "{__name__=\"h_bucket\",le=\"+Inf\"} stale\n{__name__=\"e\"} schema 2 count 0 sum NaN\n");
}

static void what_has_no_translation_is_dropped_and_counted(void **state) {
    (void)state;
    struct points_builder b;
    begin(&b, "", "", "");
    metric(&b, METRIC_SUM, "delta", "");
    b.metrics.v[0].temporality = TEMPORALITY_DELTA;
    point(&b, "", 1);
    metric(&b, METRIC_SUM, "updown", "");
    b.metrics.v[1].temporality = TEMPORALITY_DELTA;
    b.metrics.v[1].monotonic = 0;
    point(&b, "", 1);
    metric(&b, METRIC_EXPONENTIAL, "coarse", "");
    compound(&b, "", POINT_EXPONENTIAL, (struct points_histogram){.scale = -5}, &(struct lists){0});
    compound(&b, "", POINT_EXPONENTIAL, (struct points_histogram){.count = 9}, &(struct lists){0});
    compound(&b, "", POINT_EXPONENTIAL, (struct points_histogram){.count = 9, .flags = HISTOGRAM_HAS_SUM},
             &(struct lists){0});
    metric(&b, METRIC_GAUGE, "empty", "");
    uint32_t empty = point(&b, "", 1);
    b.kind[empty] = POINT_EMPTY;
    metric(&b, METRIC_GAUGE, "\xc3\xa4", "");
    point(&b, "", 1);
    const uint32_t dropped[TRANSLATE_REASONS] = {
        [TRANSLATE_DELTA] = 1,     [TRANSLATE_TEMPORALITY] = 1, [TRANSLATE_SCALE] = 1,  [TRANSLATE_NO_SUM] = 1,
        [TRANSLATE_HISTOGRAM] = 1, [TRANSLATE_NO_VALUE] = 1,    [TRANSLATE_NO_NAME] = 1};
    expect_with(&b, &translation_default, "", dropped);
    begin(&b, "", "", "");
    metric(&b, METRIC_SUM, "delta", "");
    b.metrics.v[0].temporality = TEMPORALITY_DELTA;
    point(&b, "", 1);
    struct translation deltas = translation_default;
    deltas.deltas = true;
    expect_with(&b, &deltas, "{__name__=\"delta_total\"} 1 flags 0x10000\n", NULL);
}

static void long_exemplars_keep_their_ids(void **state) {
    (void)state;
    struct points_builder b;
    AUTO_BUF struct buf labels;
    buf_init(&labels, MIB);
    buf_add_text(&labels, "k=");
    for (int i = 0; i < 120; i++) buf_add_byte(&labels, 'x');
    begin(&b, "", "", "");
    metric(&b, METRIC_SUM, "c", "");
    point(&b, "", 1);
    exemplar(&b, 2, labels.p, true);
    exemplar(&b, 3, labels.p, false);
    AUTO_BUF struct buf want;
    buf_init(&want, MIB);
    buf_add_fmt(&want,
                "{__name__=\"c_total\"} 1\n  # "
                "{span_id=\"cdcdcdcdcdcdcdcd\",trace_id=\"abababababababababababababababab\"} 2 4000\n"
                "  # {k=\"%s\"} 3 4000\n",
                labels.p + 2);
    expect(&b, want.p);
}

/* A resource is said again on each series: a long one may not fill the memory. */
static void what_would_be_too_large_is_dropped(void **state) {
    (void)state;
    struct points_builder b;
    AUTO_BUF struct buf resource;
    buf_init(&resource, MIB);
    buf_add_text(&resource, "service.name=");
    for (int i = 0; i < 300000; i++) buf_add_byte(&resource, 'x');
    begin(&b, resource.p, "", "");
    metric(&b, METRIC_GAUGE, "m", "");
    point(&b, "", 1);
    expect_with(&b, &translation_default, "", (const uint32_t[TRANSLATE_REASONS]){[TRANSLATE_TOO_LARGE] = 1});
}

static void types_and_units_go_into_metadata(void **state) {
    (void)state;
    struct points_builder b, made;
    struct points from, to;
    uint32_t dropped[TRANSLATE_REASONS] = {0};
    struct translator *t = translator_new(&translation_default);
    begin(&b, "", "", "");
    metric(&b, METRIC_SUM, "c", "By/s");
    point(&b, "", 1);
    metric(&b, METRIC_GAUGE, "u", "");
    b.metrics.v[1].metadata = attributes(&b, "prometheus.type=unknown");
    point(&b, "", 1);
    struct batch_blob *blob = points_builder_finish(&b);
    points_view(blob, &from);
    points_builder_init(&made, POINTS_PROMETHEUS);
    translate_points(t, &from, &made, dropped);
    struct batch_blob *result = points_builder_finish(&made);
    points_view(result, &to);
    assert_int_equal(to.metric_count, 3);
    assert_int_equal(to.metrics[1].kind, METRIC_TYPE_COUNTER);
    assert_true(str_equal(points_string(&to, to.metrics[1].name), STR("c_bytes_per_second_total")));
    assert_true(str_equal(points_string(&to, to.metrics[1].unit), STR("bytes_per_second")));
    assert_true(str_equal(points_string(&to, to.metrics[1].description), STR("what it is")));
    assert_int_equal(to.metrics[2].kind, METRIC_TYPE_UNKNOWN);
    batch_unref(blob);
    batch_unref(result);
    points_builder_done(&b);
    points_builder_done(&made);
    translator_free(t);
}

/* Whatever a request says, its translation is a batch that opens. */
static void random_requests_translate(void **state) {
    (void)state;
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    for (uint64_t seed = 0; seed < 120; seed++) {
        struct chance c = {seed};
        struct translation settings = translation_default;
        settings.deltas = seed % 2;
        settings.custom_buckets = seed % 3 == 0;
        settings.names = (enum name_strategy)(seed % NAME_STRATEGIES);
        struct translator *t = translator_new(&settings);
        struct points_decoder *d = points_decoder_new();
        struct points_builder made;
        struct points_result r;
        struct points p;
        uint32_t dropped[TRANSLATE_REASONS] = {0};
        AUTO_BUF struct buf body;
        buf_init(&body, 16 * MIB);
        random_points_request(&c, true, &body);
        err e = points_decode_otlp(d, buf_str(&body), &all_times, &r);
        assert_null(e);
        points_view(r.blob, &p);
        points_builder_init(&made, POINTS_PROMETHEUS);
        translate_points(t, &p, &made, dropped);
        struct batch_blob *result = points_builder_finish(&made);
        check_points_blob(result);
        batch_unref(result);
        batch_unref(r.blob);
        points_builder_done(&made);
        points_decoder_free(d);
        translator_free(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resources_and_scopes_become_labels),
        cmocka_unit_test(keys_that_become_one_are_joined),
        cmocka_unit_test(histograms_become_buckets),
        cmocka_unit_test(exponential_histograms_become_native),
        cmocka_unit_test(summaries_become_quantiles),
        cmocka_unit_test(no_recorded_value_becomes_the_stale_marker),
        cmocka_unit_test(what_has_no_translation_is_dropped_and_counted),
        cmocka_unit_test(long_exemplars_keep_their_ids),
        cmocka_unit_test(what_would_be_too_large_is_dropped),
        cmocka_unit_test(types_and_units_go_into_metadata),
        cmocka_unit_test(random_requests_translate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
