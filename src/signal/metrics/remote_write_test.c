/* Remote write 1.0 and 2.0 in: what is kept, what is put in order, what is refused with which sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "signal/metrics/points_testing_priv.h"
#include "signal/metrics/snappy.h"

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

/* ---- writing requests by hand ------------------------------------------------------------------------------------------ */

/* Labels as "name=value,name=value" of version 1. */
static void put_labels(struct buf *out, const char *labels) {
    struct str rest = str_of(labels), tail, label, name, value;
    while (rest.n) {
        bool more = str_cut(rest, ',', &label, &tail);
        rest = more ? tail : STR("");
        AUTO_BUF struct buf entry;
        buf_init(&entry, MIB);
        str_cut(label, '=', &name, &value);
        put_wire_bytes(&entry, 1, name);
        put_wire_bytes(&entry, 2, value);
        put_wire_bytes(out, 1, buf_str(&entry));
    }
}

static void put_sample(struct buf *out, uint64_t bits, int64_t time) {
    AUTO_BUF struct buf sample;
    buf_init(&sample, MIB);
    put_wire_fixed64(&sample, 1, bits);
    put_wire_varint(&sample, 2, (uint64_t)time);
    put_wire_bytes(out, 2, buf_str(&sample));
}

static void put_series(struct buf *out, const struct buf *series) { put_wire_bytes(out, 1, buf_str(series)); }

static struct points_result decode(int version, const struct buf *body, struct points *out) {
    struct points_decoder *d = points_decoder_new();
    struct points_result r = {0};
    for (int again = 0; again < 2; again++) { /* a decoder that knows the labels says the same */
        batch_unref(r.blob);
        err e = points_decode_write(d, version, buf_str(body), &all_times, &r);
        if (e) fail_msg("%s", err_text(e));
        if (r.blob) check_points_blob(r.blob);
    }
    if (r.blob) points_view(r.blob, out);
    points_decoder_free(d);
    return r;
}

static void labels_text(const struct points *p, uint32_t id, char out[static 200]) {
    struct str rest = points_string(p, id), name, value;
    size_t n = 0;
    out[0] = 0;
    while (points_label_next(&rest, &name, &value))
        n += (size_t)snprintf(out + n, 200 - n, "%s%.*s=%.*s", n ? "," : "", STR_ARG(name), STR_ARG(value));
}

static void label_sets_are_put_in_order_or_refused(void **state) {
    (void)state;
    static const struct {
        const char *sent, *kept, *first;
    } cases[] = {
        {"__name__=up,job=a", "__name__=up,job=a", ""},
        {"job=a,__name__=up,instance=b", "__name__=up,instance=b,job=a", ""},
        {"__name__=up,empty=,job=a", "__name__=up,job=a", ""},
        {"__name__=http.requests,\xc3\xa4=\xc3\xb6", "__name__=http.requests,\xc3\xa4=\xc3\xb6", ""},
        {"job=a", NULL, "labels that are not allowed: no label __name__, the name of the metric"},
        {"__name__=,job=a", NULL, "labels that are not allowed: no label __name__, the name of the metric"},
        {"", NULL, "labels that are not allowed: no label __name__, the name of the metric"},
        {"__name__=up,a=1,a=2", NULL, "labels that are not allowed: a label name twice"},
        {"a=1,__name__=up,a=1", NULL, "labels that are not allowed: a label name twice"},
        {"__name__=up,=x", NULL, "labels that are not allowed: a label without a name"},
        {"__name__=up,a=\xff", NULL, "labels that are not allowed: a label value that is not UTF-8"},
        {"__name__=up,\xff=a", NULL, "labels that are not allowed: a label name that is not UTF-8"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct points p;
        char text[200];
        AUTO_BUF struct buf body, series;
        buf_init(&body, MIB);
        buf_init(&series, MIB);
        put_labels(&series, cases[i].sent);
        put_sample(&series, 1, 5);
        put_sample(&series, 2, 6);
        put_series(&body, &series);
        struct points_result r = decode(1, &body, &p);
        assert_string_equal(r.first, cases[i].first);
        assert_int_equal(r.rejected[POINTS_BAD_LABELS], cases[i].kept ? 0 : 2);
        assert_int_equal(r.samples, cases[i].kept ? 2 : 0);
        if (cases[i].kept) {
            labels_text(&p, p.series[0].labels, text);
            assert_string_equal(text, cases[i].kept);
        }
        batch_unref(r.blob);
    }
}

/* More label sets than a decoder remembers, in an order that changes, each second one to be put in order: what it knows, knew and never met
 * it says like one that knows nothing. */
static void labels_that_are_forgotten_are_said_like_new_ones(void **state) {
    (void)state;
    enum { LABEL_SETS = 40000, A_REQUEST = 2000, REQUESTS = 3 * LABEL_SETS / A_REQUEST };
    struct points_decoder *knows = points_decoder_new();
    for (uint32_t request = 0; request < REQUESTS; request++) {
        struct points_decoder *new_one = points_decoder_new();
        struct points_result r[2] = {0};
        struct points p[2];
        AUTO_BUF struct buf body, series;
        buf_init(&body, MIB);
        buf_init(&series, MIB);
        for (uint32_t i = 0; i < A_REQUEST; i++) {
            uint32_t step = request < LABEL_SETS / A_REQUEST ? 1 : 7919; /* has no divisor in common with LABEL_SETS */
            uint64_t id = (uint64_t)(request * A_REQUEST + i) * step % LABEL_SETS;
            char labels[60];
            snprintf(labels, sizeof labels, id % 2 ? "job=%llu,__name__=up" : "__name__=up,job=%llu",
                     (unsigned long long)id);
            buf_clear(&series);
            put_labels(&series, labels);
            put_sample(&series, id, 5);
            put_series(&body, &series);
        }
        for (int i = 0; i < 2; i++) {
            assert_null(points_decode_write(i ? new_one : knows, 1, buf_str(&body), &all_times, &r[i]));
            points_view(r[i].blob, &p[i]);
        }
        assert_int_equal(p[0].n, A_REQUEST);
        assert_true(points_equal(&p[0], &p[1]));
        assert_memory_equal(p[0].hashes, p[1].hashes, A_REQUEST * sizeof *p[0].hashes);
        for (int i = 0; i < 2; i++) batch_unref(r[i].blob);
        points_decoder_free(new_one);
    }
    points_decoder_free(knows);
}

static void a_hundred_thousand_labels_are_refused(void **state) {
    (void)state;
    struct points p;
    AUTO_BUF struct buf body, series;
    buf_init(&body, 64 * MIB);
    buf_init(&series, 64 * MIB);
    for (int i = 0; i < 100000; i++) {
        char label[40];
        snprintf(label, sizeof label, "label_%06d=x", i);
        put_labels(&series, label);
    }
    put_sample(&series, 1, 5);
    put_series(&body, &series);
    struct points_result r = decode(1, &body, &p);
    assert_null(r.blob);
    assert_string_equal(r.first, "labels that are not allowed: over 1,024 labels");
}

static void values_are_kept_bit_for_bit(void **state) {
    (void)state;
    static const uint64_t values[] = {STALE_NAN, 0x7ff8000000000001u, 0xfff8dead0000beefu, 0x8000000000000000u, 1};
    struct points p;
    AUTO_BUF struct buf body, series;
    buf_init(&body, MIB);
    buf_init(&series, MIB);
    for (size_t i = 0; i < LENGTH(values); i++) put_sample(&series, values[i], (int64_t)i - 2);
    put_labels(&series, "__name__=up"); /* behind the samples */
    put_series(&body, &series);
    struct points_result r = decode(1, &body, &p);
    assert_int_equal(p.n, LENGTH(values));
    assert_int_equal(p.series_count, 1);
    for (uint32_t i = 0; i < p.n; i++) {
        assert_true(point_value(&p, i) == values[i]);
        assert_int_equal((int64_t)point_time(&p, i), (int64_t)i - 2);
    }
    batch_unref(r.blob);
}

static void metadata_and_exemplars_are_kept(void **state) {
    (void)state;
    struct points p;
    char text[200];
    AUTO_BUF struct buf body, series, part;
    buf_init(&body, MIB);
    buf_init(&series, MIB);
    buf_init(&part, MIB);
    put_wire_varint(&part, 1, METRIC_TYPE_COUNTER);
    put_wire_bytes(&part, 2, STR("requests_total"));
    put_wire_bytes(&part, 4, STR("How many"));
    put_wire_bytes(&part, 5, STR("requests"));
    put_wire_bytes(&body, 3, buf_str(&part));
    buf_clear(&part);
    put_labels(&series, "__name__=requests_total");
    put_labels(&part, "trace_id=abc");
    put_wire_fixed64(&part, 2, 9);
    put_wire_varint(&part, 3, 1234);
    put_wire_bytes(&series, 3, buf_str(&part)); /* no sample at all: as Prometheus sends them */
    put_series(&body, &series);
    struct points_result r = decode(1, &body, &p);
    assert_int_equal(r.exemplars, 1);
    assert_int_equal(r.points, 0);
    assert_int_equal(p.metric_count, 2);
    assert_true(str_equal(points_string(&p, p.metrics[1].name), STR("requests_total")));
    assert_true(str_equal(points_string(&p, p.metrics[1].description), STR("How many")));
    assert_true(str_equal(points_string(&p, p.metrics[1].unit), STR("requests")));
    assert_int_equal(p.metrics[1].kind, METRIC_TYPE_COUNTER);
    labels_text(&p, p.exemplars[0].labels, text);
    assert_string_equal(text, "trace_id=abc");
    assert_true(p.exemplars[0].value == 9 && p.exemplars[0].time == 1234 && p.exemplars[0].point == NO_POINT);
    batch_unref(r.blob);
}

/* ---- native histograms -------------------------------------------------------------------------------------------------- */

struct native {
    uint64_t count, zero;
    int32_t schema;
    int32_t spans[3][2];
    int64_t deltas[4];
    double bounds[3];
    uint32_t span_n, delta_n, bound_n;
    const char *first; /* NULL: taken */
};

static uint64_t zigzag64(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }

static void put_native(struct buf *series, const struct native *n, int version) {
    AUTO_BUF struct buf h, span, packed;
    buf_init(&h, MIB);
    buf_init(&span, MIB);
    buf_init(&packed, MIB);
    put_wire_varint(&h, 1, n->count);
    put_wire_fixed64(&h, 3, 0);
    put_wire_varint(&h, 4, zigzag64(n->schema));
    put_wire_varint(&h, 6, n->zero);
    for (uint32_t i = 0; i < n->span_n; i++) {
        buf_clear(&span);
        put_wire_varint(&span, 1, zigzag64(n->spans[i][0]));
        put_wire_varint(&span, 2, (uint32_t)n->spans[i][1]);
        put_wire_bytes(&h, 11, buf_str(&span));
    }
    for (uint32_t i = 0; i < n->delta_n; i++) put_wire_varint(&h, 12, zigzag64(n->deltas[i]));
    put_wire_varint(&h, 14, 3);
    put_wire_varint(&h, 15, 99);
    if (n->bound_n) put_wire_bytes(&h, 16, str_span(n->bounds, 8 * n->bound_n));
    put_wire_bytes(series, version == 1 ? 4 : 3, buf_str(&h));
}

#define BAD "a histogram that contradicts itself: "
static const struct native natives[] = {
    {.count = 0, .first = NULL},
    {.count = 7, .zero = 1, .spans = {{-3, 2}}, .deltas = {1, 4}, .span_n = 1, .delta_n = 2},
    {.count = 6,
     .schema = -53,
     .spans = {{0, 1}, {1, 1}},
     .deltas = {1, 4},
     .bounds = {1, 2},
     .span_n = 2,
     .delta_n = 2,
     .bound_n = 2},
    {.count = 1, .schema = 8, .spans = {{INT32_MIN, 1}}, .deltas = {1}, .span_n = 1, .delta_n = 1},
    {.count = 1,
     .schema = 9,
     .spans = {{0, 1}},
     .deltas = {1},
     .span_n = 1,
     .delta_n = 1,
     .first = BAD "its schema is not one of -4 to 8, or -53"},
    {.count = 1, .schema = -5, .first = BAD "its schema is not one of -4 to 8, or -53"},
    {.count = 1, .schema = INT32_MIN, .first = BAD "its schema is not one of -4 to 8, or -53"},
    {.count = 1,
     .spans = {{0, 2}},
     .deltas = {1},
     .span_n = 1,
     .delta_n = 1,
     .first = BAD "the spans have not as many buckets as there are"},
    {.count = 1, .deltas = {1}, .delta_n = 1, .first = BAD "the spans have not as many buckets as there are"},
    {.count = 1, .spans = {{0, -1}}, .span_n = 1, .first = BAD "the spans have not as many buckets as there are"},
    {.count = 2,
     .spans = {{0, 1}, {-1, 1}},
     .deltas = {1, 0},
     .span_n = 2,
     .delta_n = 2,
     .first = BAD "a span begins before the one before it ends"},
    {.count = 1,
     .spans = {{INT32_MAX, 1}},
     .deltas = {1},
     .span_n = 1,
     .delta_n = 1,
     .first = BAD "the index of a bucket is over 2^31"},
    {.count = 1,
     .spans = {{0, 2}},
     .deltas = {1, -2},
     .span_n = 1,
     .delta_n = 2,
     .first = BAD "a bucket counts less than nothing"},
    {.count = 2,
     .spans = {{0, 1}},
     .deltas = {1},
     .span_n = 1,
     .delta_n = 1,
     .first = BAD "the buckets do not add up to the count"},
    {.count = 1,
     .zero = UINT64_MAX,
     .spans = {{0, 1}},
     .deltas = {1},
     .span_n = 1,
     .delta_n = 1,
     .first = BAD "the buckets count more than 2^64"},
    {.count = 1,
     .bounds = {1},
     .bound_n = 1,
     .spans = {{0, 1}},
     .deltas = {1},
     .span_n = 1,
     .delta_n = 1,
     .first = BAD "custom bounds in a schema that has none"},
    {.count = 1, .schema = -53, .zero = 1, .first = BAD "custom buckets have no zero bucket and no negative ones"},
    {.count = 0, .schema = -53, .bounds = {2, 1}, .bound_n = 2, .first = BAD "the custom bounds do not rise"},
    {.count = 0,
     .schema = -53,
     .bounds = {1, __builtin_inf()},
     .bound_n = 2,
     .first = BAD "the custom bounds do not rise"},
    {.count = 1,
     .schema = -53,
     .bounds = {1, 2},
     .bound_n = 2,
     .spans = {{3, 1}},
     .deltas = {1},
     .span_n = 1,
     .delta_n = 1,
     .first = BAD "a span ends behind the last custom bucket"},
    {.count = 1,
     .schema = -53,
     .bounds = {1},
     .bound_n = 1,
     .spans = {{-1, 1}},
     .deltas = {1},
     .span_n = 1,
     .delta_n = 1,
     .first = BAD "a span begins before the first custom bucket"},
};

static void native_histograms_hold_together_or_are_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(natives); i++) {
        struct points p;
        AUTO_BUF struct buf body, series;
        buf_init(&body, MIB);
        buf_init(&series, MIB);
        put_labels(&series, "__name__=h");
        put_native(&series, &natives[i], 1);
        put_series(&body, &series);
        struct points_result r = decode(1, &body, &p);
        assert_string_equal(r.first, natives[i].first ? natives[i].first : "");
        assert_int_equal(r.histograms, !natives[i].first);
        assert_int_equal(r.rejected[POINTS_BAD_HISTOGRAM], natives[i].first != NULL);
        if (r.blob) {
            const struct points_histogram *h = &p.histograms[0];
            assert_int_equal(point_kind(&p, 0), POINT_NATIVE);
            assert_int_equal(point_time(&p, 0), 99);
            assert_int_equal(h->count, natives[i].count);
            assert_int_equal(h->scale, natives[i].schema);
            assert_int_equal(h->reset_hint, 3);
            assert_int_equal(h->n[NUMBERS_POSITIVE], natives[i].delta_n);
        }
        batch_unref(r.blob);
    }
}

static void integer_and_float_counts_do_not_mix(void **state) {
    (void)state;
    struct points p;
    AUTO_BUF struct buf body, series, h;
    buf_init(&body, MIB);
    buf_init(&series, MIB);
    buf_init(&h, MIB);
    put_labels(&series, "__name__=h");
    put_wire_fixed64(&h, 2, 0x4000000000000000u);
    put_wire_bytes(&series, 4, buf_str(&h));
    put_wire_varint(&h, 6, 1);
    put_wire_bytes(&series, 4, buf_str(&h));
    put_series(&body, &series);
    struct points_result r = decode(1, &body, &p);
    assert_string_equal(r.first, BAD "integer and float counts in one");
    assert_int_equal(r.histograms, 1);
    assert_true(p.histograms[0].flags & HISTOGRAM_IS_FLOAT);
    batch_unref(r.blob);
}

/* ---- 2.0 ----------------------------------------------------------------------------------------------------------------- */

static void both_versions_of_one_load_are_equal(void **state) {
    (void)state;
    struct points a, b;
    struct chance one = {7}, two = {7};
    AUTO_BUF struct buf first, second;
    buf_init(&first, 16 * MIB);
    buf_init(&second, 16 * MIB);
    load_write_request(&one, 3, 4, 1700000000000, 1, &first);
    load_write_request(&two, 3, 4, 1700000000000, 2, &second);
    struct points_result r1 = decode(1, &first, &a), r2 = decode(2, &second, &b);
    assert_int_equal(a.n, 500);
    assert_true(points_equal(&a, &b));
    for (uint32_t i = 0; i < a.series_count; i++) assert_true(hash128_equal(a.hashes[i], b.hashes[i]));
    batch_unref(r1.blob);
    batch_unref(r2.blob);
}

static void symbols(struct buf *body, uint32_t n, const char *const *texts) {
    for (uint32_t i = 0; i < n; i++) put_wire_bytes(body, 4, str_of(texts[i]));
}

static void version_2_says_starts_and_metadata(void **state) {
    (void)state;
    static const char *const texts[] = {"", "__name__", "h", "help", "seconds"};
    struct points p;
    AUTO_BUF struct buf body, series, part;
    buf_init(&body, MIB);
    buf_init(&series, MIB);
    buf_init(&part, MIB);
    put_wire_bytes(&series, 1, STR("\x01\x02"));
    put_wire_fixed64(&part, 1, 1);
    put_wire_varint(&part, 2, 50);
    put_wire_bytes(&series, 2, buf_str(&part));
    put_wire_varint(&part, 3, 20);
    put_wire_bytes(&series, 2, buf_str(&part));
    put_native(&series, &natives[1], 2);
    buf_clear(&part);
    put_wire_varint(&part, 1, METRIC_TYPE_HISTOGRAM);
    put_wire_varint(&part, 3, 3);
    put_wire_varint(&part, 4, 4);
    put_wire_bytes(&series, 5, buf_str(&part));
    put_wire_varint(&series, 6, 10);
    put_wire_bytes(&body, 5, buf_str(&series));
    symbols(&body, LENGTH(texts), texts); /* behind the series */
    struct points_result r = decode(2, &body, &p);
    assert_int_equal(r.samples, 2);
    assert_int_equal(r.histograms, 1);
    assert_int_equal(point_start(&p, 0), 10);
    assert_int_equal(point_start(&p, 1), 20);
    assert_int_equal(point_start(&p, 2), 10);
    const struct points_metric *m = &p.metrics[p.series[0].metric];
    assert_int_equal(m->kind, METRIC_TYPE_HISTOGRAM);
    assert_true(str_equal(points_string(&p, m->description), STR("help")));
    assert_true(str_equal(points_string(&p, m->unit), STR("seconds")));
    batch_unref(r.blob);
}

static void bad_references_are_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"", "__name__", "up"};
    static const struct {
        const char *refs, *first;
    } cases[] = {
        {"\x01\x02", ""},
        {"\x01\x03", "labels that are not allowed: a reference to a symbol that is not there"},
        {"\x01\x02\x01", "labels that are not allowed: a label name without a value"},
        {"\x01\x02\x01\x02", "labels that are not allowed: a label name twice"},
        {"", "labels that are not allowed: no label __name__, the name of the metric"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct points p;
        AUTO_BUF struct buf body, series;
        buf_init(&body, MIB);
        buf_init(&series, MIB);
        symbols(&body, LENGTH(texts), texts);
        put_wire_bytes(&series, 1, str_of(cases[i].refs));
        put_sample(&series, 1, 2);
        put_wire_bytes(&body, 5, buf_str(&series));
        struct points_result r = decode(2, &body, &p);
        assert_string_equal(r.first, cases[i].first);
        batch_unref(r.blob);
    }
}

/* A long symbol that is said again and again. */
static void references_cannot_blow_up(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    AUTO_BUF struct buf body, series, text, refs, part;
    struct buf *all[] = {&body, &series, &text, &refs, &part};
    for (size_t i = 0; i < LENGTH(all); i++) buf_init(all[i], 64 * MIB);
    for (int i = 0; i < 200000; i++) buf_add_byte(&text, 'x');
    put_wire_bytes(&body, 4, STR(""));
    put_wire_bytes(&body, 4, STR("__name__"));
    put_wire_bytes(&body, 4, buf_str(&text));
    put_wire_bytes(&body, 4, STR("a"));
    size_t symbols_n = body.n;
    for (int i = 0; i < 6; i++) buf_add_text(&refs, "\x01\x02");
    put_wire_bytes(&series, 1, buf_str(&refs));
    put_wire_bytes(&body, 5, buf_str(&series));
    err e = points_decode_write(d, 2, buf_str(&body), &all_times, &r);
    assert_non_null(strstr(err_text(e), "labels of one series over 1 MiB"));
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    body.n = symbols_n;
    for (int i = 0; i < 2000; i++) { /* 400 MB of labels out of 230 KB */
        buf_clear(&series);
        buf_clear(&part);
        put_wire_varint(&part, 2, (uint64_t)i);
        put_wire_bytes(&series, 1, i % 2 ? STR("\x01\x02") : STR("\x01\x02\x03\x02"));
        put_wire_bytes(&series, 2, buf_str(&part));
        put_wire_bytes(&body, 5, buf_str(&series));
    }
    e = points_decode_write(d, 2, buf_str(&body), &all_times, &r);
    assert_null(e); /* two label sets, each kept once */
    assert_true(batch_bytes(r.blob).n < MIB);
    batch_unref(r.blob);
    points_decoder_free(d);
}

static void requests_that_are_none(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    put_wire_bytes(&body, 5, STR("\x0a\x00"));
    err e = points_decode_write(d, 2, buf_str(&body), &all_times, &r);
    assert_non_null(strstr(err_text(e), "the first symbol is not the empty text, at byte 2 of 4"));
    err_free(e);
    e = points_decode_write(d, 2, STR("\x0a\x00"), &all_times, &r);
    assert_non_null(strstr(err_text(e), "a message of remote write 1.0, not 2.0"));
    err_free(e);
    buf_clear(&body);
    put_write_request(2, "up job=a 1@1000\n", &body); /* that 1.0 would skip field by field, and keep nothing */
    e = points_decode_write(d, 1, buf_str(&body), &all_times, &r);
    assert_non_null(strstr(err_text(e), "a message of remote write 2.0, not 1.0"));
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    for (int version = 1; version <= 2; version++) {
        e = points_decode_write(d, version, STR("\x0a\x05xx"), &all_times, &r);
        assert_non_null(e);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
    points_decoder_free(d);
}

static void times_outside_the_limits_are_refused(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct otlp_limits limits = {5000000, 9000000, 77}; /* ns: 5 to 9 ms */
    AUTO_BUF struct buf body, series;
    buf_init(&body, MIB);
    buf_init(&series, MIB);
    put_labels(&series, "__name__=up");
    for (int64_t t = 3; t <= 11; t++) put_sample(&series, 1, t);
    put_sample(&series, 1, INT64_MIN);
    put_sample(&series, 1, INT64_MAX);
    put_series(&body, &series);
    err e = points_decode_write(d, 1, buf_str(&body), &limits, &r);
    assert_null(e);
    assert_int_equal(r.samples, 5);
    assert_int_equal(r.rejected[POINTS_TOO_OLD], 3);
    assert_int_equal(r.rejected[POINTS_TOO_NEW], 3);
    assert_string_equal(r.first, "older than the retention");
    batch_unref(r.blob);
    points_decoder_free(d);
}

/* ---- snappy --------------------------------------------------------------------------------------------------------------- */

static void snappy_blocks_are_unpacked_within_the_limit(void **state) {
    (void)state;
    static const struct {
        struct str block;
        enum err_kind kind;
        const char *text;
    } bad[] = {
        {{"", 0}, ERR_INVALID, "state no length"},
        {{"\xff\xff\xff\xff\xff\xff", 6}, ERR_INVALID, "state no length"},
        {{"\xff\xff\xff\xff\x0f\x00", 6}, ERR_LIMIT, "over the limit of 1000"},
        {{"\xe8\x07\x00", 3}, ERR_INVALID, "cannot hold the 1000 that they state"},
        {{"\x05\x10hell", 6}, ERR_INVALID, "damaged"},
        {{"\xff\x06\x00\x00sNaPpY", 10}, ERR_INVALID, "snappy"}, /* the framing format */
    };
    AUTO_BUF struct buf out, block, again;
    buf_init(&out, 1000);
    for (size_t i = 0; i < LENGTH(bad); i++) {
        err e = snappy_block_read(bad[i].block, &out);
        assert_non_null(e);
        if (err_kind(e) != bad[i].kind || !strstr(err_text(e), bad[i].text)) fail_msg("%zu: %s", i, err_text(e));
        err_free(e);
        assert_int_equal(out.n, 0);
        out.full = false;
    }
    buf_init(&block, MIB);
    buf_init(&again, MIB);
    for (int i = 0; i < 900; i++) buf_add_byte(&again, (char)('a' + i % 7));
    snappy_block_write(buf_str(&again), &block);
    assert_true(block.n < 200);
    err e = snappy_block_read(buf_str(&block), &out);
    assert_null(e);
    assert_true(str_equal(buf_str(&out), buf_str(&again)));
    e = snappy_block_read(buf_str(&block), &out);
    assert_int_equal(err_kind(e), ERR_LIMIT); /* with what is there already */
    err_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(label_sets_are_put_in_order_or_refused),
        cmocka_unit_test(labels_that_are_forgotten_are_said_like_new_ones),
        cmocka_unit_test(a_hundred_thousand_labels_are_refused),
        cmocka_unit_test(values_are_kept_bit_for_bit),
        cmocka_unit_test(metadata_and_exemplars_are_kept),
        cmocka_unit_test(native_histograms_hold_together_or_are_refused),
        cmocka_unit_test(integer_and_float_counts_do_not_mix),
        cmocka_unit_test(both_versions_of_one_load_are_equal),
        cmocka_unit_test(version_2_says_starts_and_metadata),
        cmocka_unit_test(bad_references_are_refused),
        cmocka_unit_test(references_cannot_blow_up),
        cmocka_unit_test(requests_that_are_none),
        cmocka_unit_test(times_outside_the_limits_are_refused),
        cmocka_unit_test(snappy_blocks_are_unpacked_within_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
