/* Series in the world of the engine's tests: points of all kinds, and every answer about them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signal/metrics/points_decode.h"
#include "store/journal/store_format_priv.h"
#include "store/store_testing_priv.h"

enum { SERIES_BYTES = 64 << 20 };

/* ---- points of Prometheus --------------------------------------------------------------------------------------------- */

static uint32_t put_labels(struct points_builder *b, const char *name, const char *label, const char *value) {
    AUTO_BUF struct buf labels;
    buf_init(&labels, KIB);
    points_put_label(&labels, STR("__name__"), str_of(name));
    points_put_label(&labels, str_of(label), str_of(value));
    return strings_append(&b->strings, buf_str(&labels));
}

static uint64_t any_value(struct world *w) {
    static const double values[] = {0, 1, -0.0, 2.5, 1e300, __builtin_inf()};
    if (chance_one_in(&w->chance, 12)) return STALE_BITS;
    return bits_of_double(chance_one_in(&w->chance, 2) ? (double)chance_below(&w->chance, 1000)
                                                       : values[chance_below(&w->chance, LENGTH(values))]);
}

static void put_native(struct world *w, struct points_builder *b, uint32_t point) {
    uint64_t counts[3], all = 0;
    for (int i = 0; i < 3; i++) all += counts[i] = chance_below(&w->chance, 5);
    struct points_histogram h = {.count = all,
                                 .sum = bits_of_double((double)all),
                                 .zero_threshold = bits_of_double(0.001),
                                 .scale = (int32_t)chance_below(&w->chance, 3),
                                 .flags = HISTOGRAM_HAS_SUM,
                                 .first = (uint32_t)b->numbers.n,
                                 .n = {3, 0, 0, 1, 0}};
    for (int i = 0; i < 3; i++) *vec_push(&b->numbers) = i ? counts[i] - counts[i - 1] : counts[i];
    *vec_push(&b->numbers) = (uint64_t)chance_below(&w->chance, 4) << 32 | 3;
    b->kind[point] = POINT_NATIVE;
    b->value[point] = b->histograms.n;
    *vec_push(&b->histograms) = h;
}

static void put_exemplar(struct world *w, struct points_builder *b, uint32_t point) {
    AUTO_BUF struct buf labels;
    buf_init(&labels, KIB);
    points_put_label(&labels, STR("trace_id"), chance_one_in(&w->chance, 2) ? STR("aa") : STR("bb"));
    *vec_push(&b->exemplars) = (struct points_exemplar){.time = b->time[point],
                                                        .value = bits_of_double(chance_below(&w->chance, 3)),
                                                        .labels = strings_append(&b->strings, buf_str(&labels)),
                                                        .series = (uint32_t)b->series.n - 1,
                                                        .point = NO_POINT,
                                                        .kind = POINT_DOUBLE};
}

/* Mostly around now, now and then of another day; the same time may come again with another value. */
static int64_t any_time_ms(struct world *w) {
    int64_t ms = w->o.wall_ns() / 1000000 - (int64_t)chance_below(&w->chance, 60) * 1000;
    if (chance_one_in(&w->chance, 8)) ms -= (int64_t)chance_below(&w->chance, 3) * 86400000;
    return ms;
}

static void put_series(struct world *w, struct points_builder *b, bool native) {
    static const char *const names[] = {"m0", "m1", "m2"}, *const values[] = {"0", "1", "2", "3"};
    uint32_t k = chance_below(&w->chance, 4), points = 1 + chance_below(&w->chance, 4);
    points_builder_series(b, 0, put_labels(b, native ? "n" : names[chance_below(&w->chance, 3)], "a", values[k]));
    for (uint32_t i = 0; i < points; i++) {
        uint32_t point = points_builder_point(b);
        b->time[point] = (uint64_t)any_time_ms(w);
        b->start[point] = chance_one_in(&w->chance, 4) ? b->time[point] - 1000 * chance_below(&w->chance, 3) : 0;
        b->kind[point] = POINT_DOUBLE;
        b->value[point] = any_value(w);
        if (native) put_native(w, b, point);
        if (chance_one_in(&w->chance, 6)) put_exemplar(w, b, point);
    }
}

static void put_saying(struct world *w, struct points_builder *b) {
    static const struct str helps[] = {STR(""), STR("one"), STR("another")};
    struct points_metric m = {.kind = 1 + chance_below(&w->chance, 2)};
    m.name = strings_intern(&b->strings, STR("m0"));
    m.description = strings_intern(&b->strings, helps[chance_below(&w->chance, 3)]);
    *vec_push(&b->metrics) = m;
}

static struct batch_blob *prometheus_points(struct world *w, uint64_t number) {
    struct points_builder b;
    struct path id = path_make("%llu", (unsigned long long)number);
    points_builder_init(&b, POINTS_PROMETHEUS);
    points_builder_series(&b, 0, put_labels(&b, "sent", "id", id.text));
    uint32_t point = points_builder_point(&b);
    b.time[point] = (uint64_t)(w->o.wall_ns() / 1000000);
    b.kind[point] = POINT_DOUBLE;
    for (uint32_t n = 1 + chance_below(&w->chance, 8); n > 0; n--) put_series(w, &b, chance_one_in(&w->chance, 5));
    if (chance_one_in(&w->chance, 3)) put_saying(w, &b);
    struct batch_blob *blob = points_builder_finish(&b);
    points_builder_done(&b);
    return blob;
}

/* ---- points of OpenTelemetry ------------------------------------------------------------------------------------------- */

static void put_point(struct world *w, struct buf *b, const char *value) {
    int64_t now = w->points_ns;
    buf_add_fmt(
        b,
        "\"dataPoints\":[{\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\":\"%u\"}}],\"timeUnixNano\":\"%lld\","
        "\"startTimeUnixNano\":\"%lld\",%s}]",
        chance_below(&w->chance, 3), (long long)now, (long long)(now - 10000000000), value);
}

static void put_metric(struct world *w, struct buf *b) {
    uint32_t x = chance_below(&w->chance, 9), temporality = 1 + chance_below(&w->chance, 2);
    const char *how = temporality == 1 ? "delta" : "cumulative";
    struct path value = path_make("\"asInt\":\"%u\"", x);
    struct path exemplar =
        path_make(",\"exemplars\":[{\"timeUnixNano\":\"%lld\",\"asInt\":\"2\"}]", (long long)w->points_ns);
    switch (chance_below(&w->chance, 4)) {
    case 0: buf_add_text(b, "{\"name\":\"g\",\"unit\":\"s\",\"gauge\":{"); break;
    case 1:
        buf_add_fmt(b, "{\"name\":\"hits.%s\",\"sum\":{\"aggregationTemporality\":%u,\"isMonotonic\":true,", how,
                    temporality);
        break;
    case 2:
        value =
            path_make("\"count\":\"%u\",\"sum\":%u,\"explicitBounds\":[1,5],\"bucketCounts\":[\"%u\",\"1\",\"2\"]%s",
                      x + 3, x, x, chance_one_in(&w->chance, 3) ? exemplar.text : "");
        buf_add_fmt(b, "{\"name\":\"lat.%s\",\"histogram\":{\"aggregationTemporality\":%u,", how, temporality);
        break;
    default:
        value = path_make(
            "\"count\":\"%u\",\"sum\":%u,\"scale\":%u,\"zeroCount\":\"1\",\"positive\":{\"offset\":%u,\"bucketCounts\":"
            "[\"%u\",\"0\",\"0\",\"0\",\"2\"]}",
            x + 3, x, chance_below(&w->chance, 3), x, x);
        buf_add_fmt(b, "{\"name\":\"size.%s\",\"exponentialHistogram\":{\"aggregationTemporality\":%u,", how,
                    temporality);
    }
    put_point(w, b, value.text);
    buf_add_text(b, "}}");
}

/* The same points with the labels of their series kept by the decoder, which forgets them now and then. */
static struct batch_blob *labels_beside(struct world *w, struct batch_blob *blob) {
    static const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct points p;
    struct points_result r;
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    points_view(blob, &p);
    points_encode_otlp(&p, &body);
    batch_unref(blob);
    err e = points_decode_otlp(w->decoder, buf_str(&body), &limits, &r);
    if (e) fail_msg("%s", err_text(e));
    points_view(r.blob, &p);
    assert_true(p.kept_bytes > 0);
    if (w->points_ns / 1000000 % 7 == 0) points_decoder_forget(w->decoder);
    return r.blob;
}

static struct batch_blob *otlp_points(struct world *w, uint64_t number) {
    static const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    AUTO_BUF struct buf b;
    struct points_result r;
    w->points_ns = MAX(w->points_ns + 1000000, w->o.wall_ns()); /* never twice: of two points a later head takes both */
    buf_init(&b, MIB);
    buf_add_fmt(
        &b,
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
        "\"shop\"}},{\"key\":\"host\",\"value\":{\"stringValue\":\"h%u\"}}]},\"scopeMetrics\":[{\"metrics\":["
        "{\"name\":\"sent\",\"gauge\":{\"dataPoints\":[{\"attributes\":[{\"key\":\"id\",\"value\":{\"intValue\":"
        "\"%llu\"}}],\"timeUnixNano\":\"%lld\",\"asInt\":\"0\"}]}}",
        chance_below(&w->chance, 2), (unsigned long long)number, (long long)w->points_ns);
    for (uint32_t n = 1 + chance_below(&w->chance, 6); n > 0; n--) {
        buf_add_byte(&b, ',');
        put_metric(w, &b);
    }
    buf_add_text(&b, "]}]}]}");
    err e = points_decode_otlp_json(w->decoder, buf_str(&b), &limits, &r);
    if (e) fail_msg("%s", err_text(e));
    return labels_beside(w, r.blob);
}

struct batch_blob *world_points(struct world *w, uint64_t number) {
    return chance_one_in(&w->chance, 2) ? otlp_points(w, number) : prometheus_points(w, number);
}

/* ---- asking ---------------------------------------------------------------------------------------------------------------- */

struct series_answer {
    struct arena arena;
    struct series_snapshot *snapshot;
    struct selection *selection;
    struct selection_reader *reader;
    struct series_stats stats;
};

static void ask_open(struct store *s, int tenant, const struct series_request *r, struct series_answer *out) {
    *out = (struct series_answer){0};
    arena_init(&out->arena, SERIES_BYTES);
    assert_null(store_series_snapshot(s, str_of(world_tenants[tenant]), &out->snapshot));
    err e = series_snapshot_select(out->snapshot, r, &out->arena, &out->stats, &out->selection);
    if (e) fail_msg("select: %s", err_text(e));
    out->reader = selection_reader_new(out->selection, &out->stats);
}

static void ask_close(struct series_answer *a) {
    assert_int_equal(a->stats.bad_pages, 0);
    selection_reader_free(a->reader);
    selection_free(a->selection);
    series_snapshot_free(a->snapshot);
    arena_done(&a->arena);
}

bool world_has_points(struct world *w, int tenant, uint64_t number) {
    struct path id = path_make("%llu", (unsigned long long)number);
    struct label_matcher m[2];
    struct series_answer a;
    struct arena memory;
    arena_init(&memory, MIB);
    assert_null(label_matcher_make(&memory, METRIC_NAME, MATCHER_EQUAL, STR("sent"), &m[0]));
    assert_null(label_matcher_make(&memory, STR("id"), MATCHER_EQUAL, str_of(id.text), &m[1]));
    struct series_request r = {m, 2, INT64_MIN, INT64_MAX};
    ask_open(w->real, tenant, &r, &a);
    bool found = selection_count(a.selection) > 0;
    ask_close(&a);
    arena_done(&memory);
    return found;
}

static void fail_series(struct labels l, const char *what, const struct samples *x, const struct samples *y) {
    struct buf text;
    buf_init(&text, MIB);
    put_label_set(&text, l);
    for (int k = 0; k < 2; k++) {
        const struct samples *s = k ? y : x;
        buf_add_text(&text, k ? "\n model:" : "\n real:");
        for (uint32_t i = 0; i < s->n; i++)
            buf_add_fmt(&text, " %lld:%g%s/%lld", (long long)(s->times_ns[i] / 1000000), s->values[i],
                        samples_histogram(s, i) ? "h" : "", (long long)(samples_start(s, i) / 1000000));
    }
    fail_msg("%s: %s", what, text.p);
}

static void compare_samples(struct labels l, const struct samples *x, const struct samples *y) {
    if (x->n != y->n) fail_series(l, "the number of samples differs", x, y);
    for (uint32_t i = 0; i < x->n; i++) {
        const struct histogram *h = samples_histogram(x, i), *g = samples_histogram(y, i);
        bool same = x->times_ns[i] == y->times_ns[i] && samples_start(x, i) == samples_start(y, i) && !h == !g;
        same &= h ? g && histogram_equal(h, g) : bits_of_double(x->values[i]) == bits_of_double(y->values[i]);
        if (!same) fail_series(l, "samples differ", x, y);
    }
}

static void fail_exemplars(struct labels l, const struct exemplar *x, uint32_t n, const struct exemplar *y,
                           uint32_t m) {
    struct buf text;
    buf_init(&text, MIB);
    put_label_set(&text, l);
    for (uint32_t i = 0; i < n + m; i++) {
        const struct exemplar *e = i < n ? &x[i] : &y[i - n];
        buf_add_fmt(&text, "\n %s: %lld %g ", i < n ? "real" : "model", (long long)(e->time_ns / 1000000), e->value);
        put_label_set(&text, e->labels);
    }
    fail_msg("exemplars differ: %s", text.p);
}

static void compare_exemplars(struct series_answer *real, uint32_t i, struct series_answer *model, uint32_t k) {
    struct exemplar *x, *y;
    uint32_t n, m;
    assert_null(selection_exemplars(real->reader, i, &real->arena, &x, &n));
    assert_null(selection_exemplars(model->reader, k, &model->arena, &y, &m));
    if (n != m) fail_exemplars(selection_labels(real->selection, i), x, n, y, m);
    for (uint32_t e = 0; e < n; e++) {
        assert_true(x[e].time_ns == y[e].time_ns && bits_of_double(x[e].value) == bits_of_double(y[e].value));
        assert_true(label_set_equal(x[e].labels, y[e].labels));
    }
}

static bool find_labels(const struct series_answer *a, struct labels l, uint32_t *out) {
    for (*out = 0; *out < selection_count(a->selection); ++*out)
        if (label_set_equal(selection_labels(a->selection, *out), l)) return true;
    return false;
}

/* Series without a sample in the range may be among those of the store. */
static void compare_selections(struct series_answer *real, struct series_answer *model) {
    struct samples x, y;
    uint32_t found = 0, at;
    samples_init(&x, SERIES_BYTES);
    samples_init(&y, SERIES_BYTES);
    for (uint32_t i = 0; i < selection_count(real->selection); i++) {
        struct labels l = selection_labels(real->selection, i);
        assert_null(selection_read(real->reader, i, &x));
        if (!find_labels(model, l, &at)) {
            if (x.n) fail_series(l, "the model does not have it", &x, &x);
            continue;
        }
        assert_null(selection_read(model->reader, at, &y));
        compare_samples(l, &x, &y);
        if (x.n) compare_exemplars(real, i, model, at);
        found++;
    }
    for (uint32_t i = 0; i < selection_count(model->selection) && found < selection_count(model->selection); i++)
        if (!find_labels(real, selection_labels(model->selection, i), &at)) {
            assert_null(selection_read(model->reader, i, &y));
            fail_series(selection_labels(model->selection, i), "it is missing", &y, &y);
        }
    samples_done(&x);
    samples_done(&y);
}

static bool has_text(const struct str *list, uint32_t n, struct str text) {
    for (uint32_t i = 0; i < n; i++)
        if (str_equal(list[i], text)) return true;
    return false;
}

/* Of deleted series and old files more may be told. */
static void compare_texts(struct world *w, struct series_answer *real, struct series_answer *model, struct str name) {
    struct series_request all = {NULL, 0, INT64_MIN, INT64_MAX};
    struct str *x, *y;
    uint32_t n, m;
    assert_null(series_snapshot_texts(real->snapshot, name, &all, &real->arena, &real->stats, &x, &n));
    assert_null(series_snapshot_texts(model->snapshot, name, &all, &model->arena, &model->stats, &y, &m));
    for (uint32_t i = 0; i < m; i++)
        if (!has_text(x, n, y[i])) fail_msg("the label or value " STR_FMT " is missing", STR_ARG(y[i]));
    if (!w->series_deletes && !w->o.retention_ns) assert_int_equal(n, m);
}

static bool has_saying(const struct series_metadata *list, uint32_t n, const struct series_metadata *m) {
    for (uint32_t i = 0; i < n; i++)
        if (str_equal(list[i].name, m->name) && str_equal(list[i].help, m->help) && str_equal(list[i].unit, m->unit) &&
            list[i].type == m->type)
            return true;
    return false;
}

static void compare_metadata(struct series_answer *real, struct series_answer *model) {
    struct series_metadata *x, *y;
    uint32_t n, m;
    assert_null(series_snapshot_metadata(real->snapshot, (struct str){0}, &real->arena, &x, &n));
    assert_null(series_snapshot_metadata(model->snapshot, (struct str){0}, &model->arena, &y, &m));
    assert_int_equal(n, m);
    for (uint32_t i = 0; i < m; i++) assert_true(has_saying(x, n, &y[i]));
}

/* Counts of the largest; those of equal size in any order. */
static void compare_counts(struct world *w, struct series_answer *real, struct series_answer *model) {
    struct series_request all = {NULL, 0, INT64_MIN, INT64_MAX};
    struct series_cardinality x, y;
    if (w->series_deletes || w->o.retention_ns) return;
    assert_null(series_snapshot_cardinality(real->snapshot, &all, 5, &real->arena, &real->stats, &x));
    assert_null(series_snapshot_cardinality(model->snapshot, &all, 5, &model->arena, &model->stats, &y));
    assert_true(x.series == y.series && x.labels == y.labels && x.pairs == y.pairs);
    assert_true(x.metric_count == y.metric_count && x.pair_count == y.pair_count);
    for (uint32_t i = 0; i < x.metric_count; i++) assert_int_equal(x.by_metric[i].series, y.by_metric[i].series);
    for (uint32_t i = 0; i < x.pair_count; i++) assert_int_equal(x.by_pair[i].series, y.by_pair[i].series);
}

static const struct {
    const char *name;
    enum label_matcher_op op;
    const char *text;
} asked[] = {
    {"a", MATCHER_EQUAL, "1"},         {"a", MATCHER_REGEX, "1|2"},    {"__name__", MATCHER_REGEX, "m.*"},
    {"a", MATCHER_NOT_EQUAL, "0"},     {"k", MATCHER_REGEX, "[0-1]"},  {"__name__", MATCHER_EQUAL, "lat_delta_bucket"},
    {"le", MATCHER_NOT_REGEX, "5|.n"}, {"job", MATCHER_EQUAL, "shop"}, {"k", MATCHER_NOT_REGEX, ".+"},
};

static uint32_t random_matchers(struct world *w, struct arena *a, uint32_t least, struct label_matcher out[3]) {
    uint32_t n = least + chance_below(&w->chance, 3 - least);
    for (uint32_t i = 0; i < n; i++) {
        size_t k = chance_below(&w->chance, LENGTH(asked));
        assert_null(label_matcher_make(a, str_of(asked[k].name), asked[k].op, str_of(asked[k].text), &out[i]));
    }
    return n;
}

static void random_span(struct world *w, int64_t *out_min, int64_t *out_max) {
    int64_t now = w->o.wall_ns();
    *out_min = INT64_MIN;
    *out_max = INT64_MAX;
    if (chance_one_in(&w->chance, 2)) *out_min = now - (int64_t)chance_below(&w->chance, 4000) * 100000000;
    if (chance_one_in(&w->chance, 3)) *out_max = now - (int64_t)chance_below(&w->chance, 4000) * 100000000;
    if (*out_max < *out_min) *out_max = INT64_MAX;
}

void world_compare_series(struct world *w, int tenant, bool everything) {
    struct series_answer real, model;
    struct label_matcher m[3];
    struct arena a;
    struct series_request r = {m, 0, INT64_MIN, INT64_MAX};
    arena_init(&a, MIB);
    if (!everything) {
        r.matcher_count = random_matchers(w, &a, 0, m);
        random_span(w, &r.time_min, &r.time_max);
    }
    ask_open(w->real, tenant, &r, &real);
    ask_open(w->model, tenant, &r, &model);
    compare_selections(&real, &model);
    if (everything) {
        compare_texts(w, &real, &model, (struct str){0});
        compare_texts(w, &real, &model, STR("__name__"));
        compare_texts(w, &real, &model, STR("a"));
        compare_metadata(&real, &model);
        compare_counts(w, &real, &model);
    }
    ask_close(&real);
    ask_close(&model);
    for (uint32_t i = 0; i < r.matcher_count; i++) label_matcher_done(&m[i]);
    arena_done(&a);
}

/* Never of the series by which a batch is known. */
uint64_t world_delete_series(struct world *w) {
    struct label_matcher m[4];
    struct arena a;
    struct series_request r = {m, 0, INT64_MIN, INT64_MAX};
    int tenant = chance_one_in(&w->chance, 4);
    uint64_t id = 0, model_id;
    arena_init(&a, MIB);
    r.matcher_count = random_matchers(w, &a, 1, m);
    assert_null(label_matcher_make(&a, METRIC_NAME, MATCHER_NOT_EQUAL, STR("sent"), &m[r.matcher_count++]));
    random_span(w, &r.time_min, &r.time_max);
    w->series_deletes++;
    err e = store_delete_series(w->real, str_of(world_tenants[tenant]), &r, &id);
    if (!e)
        assert_null(store_delete_series(w->model, str_of(world_tenants[tenant]), &r, &model_id));
    else
        id = 0;
    err_free(e);
    for (uint32_t i = 0; i < r.matcher_count; i++) label_matcher_done(&m[i]);
    arena_done(&a);
    return id;
}
