/* Redaction of points: what is kept is equal, what goes leaves no byte, whichever way it came in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "signal/metrics/points_rewrite.h"
#include "signal/metrics/points_testing_priv.h"

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

static bool cares_for_all(void *context, enum rewrite_place place, struct str key, enum value_type type) {
    (void)context, (void)place, (void)key, (void)type;
    return true;
}

static enum rewrite_verdict keep(void *context, const struct rewrite_value *v, struct buf *out) {
    (void)v, (void)out;
    ++*(int *)context;
    return REWRITE_KEEP;
}

static enum rewrite_verdict drop(void *context, const struct rewrite_value *v, struct buf *out) {
    (void)v, (void)out;
    ++*(int *)context;
    return REWRITE_DROP;
}

/* Text that says SECRET becomes ***. */
static enum rewrite_verdict mask(void *context, const struct rewrite_value *v, struct buf *out) {
    if (v->type != VALUE_STRING || !str_contains(v->text, STR("SECRET"))) return REWRITE_KEEP;
    ++*(int *)context;
    assert_true(v->final);
    buf_add_text(out, "***");
    return REWRITE_TEXT;
}

typedef enum rewrite_verdict (*judge_fn)(void *context, const struct rewrite_value *value, struct buf *out);

static struct batch_blob *rewrite(judge_fn judge, const struct points *from, struct points *out, int *asked) {
    struct rewriter r;
    rewriter_init(&r);
    *asked = 0;
    r.cares = cares_for_all;
    r.judge = judge;
    r.context = asked;
    struct batch_blob *blob = points_rewrite(&r, from);
    rewriter_done(&r);
    if (!blob) return NULL;
    check_points_blob(blob);
    points_view(blob, out);
    return blob;
}

static void what_is_kept_is_equal(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    int kept = 0;
    for (uint64_t seed = 0; seed < 40; seed++) {
        struct chance c = {seed};
        struct points_result r;
        struct points from, to;
        int asked;
        AUTO_BUF struct buf body;
        buf_init(&body, 16 * MIB);
        random_points_request(&c, true, &body);
        err e = points_decode_otlp(d, buf_str(&body), &all_times, &r);
        assert_null(e);
        points_view(r.blob, &from);
        struct batch_blob *same = rewrite(keep, &from, &to, &asked);
        kept += same == NULL;
        if (same) assert_int_equal(to.n, from.n); /* nested values in an unusual form are written anew */
        batch_unref(same);
        struct batch_blob *bare = rewrite(drop, &from, &to, &asked);
        assert_true((bare != NULL) == (asked > 0));
        for (uint32_t i = 0; bare && i < to.series_count; i++) assert_int_equal(to.series[i].labels, 0);
        for (uint32_t i = 0; bare && i < to.resource_count; i++) assert_int_equal(to.resources[i].attributes, 0);
        batch_unref(bare);
        batch_unref(r.blob);
    }
    assert_true(kept >= 10);
    points_decoder_free(d);
}

static bool has_secret(const struct batch_blob *blob) { return str_contains(batch_bytes(blob), STR("SECRET")); }

static void nothing_of_a_secret_stays(void **state) {
    (void)state;
    static const char body[] =
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"SECRET\"}}]},"
        "\"scopeMetrics\":[{"
        "\"scope\":{\"attributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"SECRET\"}}]},\"metrics\":[{\"name\":"
        "\"m\","
        "\"metadata\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"SECRET\"}}],\"sum\":{\"dataPoints\":["
        "{\"asInt\":1,\"attributes\":[{\"key\":\"a\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"a "
        "SECRET\"},{\"intValue\":7}]}}},"
        "{\"key\":\"b\",\"value\":{\"stringValue\":\"open\"}}],"
        "\"exemplars\":[{\"filteredAttributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":\"SECRET\"}}]}]}]}}]}]}]}";
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct points from, to;
    int asked;
    err e = points_decode_otlp_json(d, str_of(body), &all_times, &r);
    assert_null(e);
    points_view(r.blob, &from);
    assert_true(has_secret(r.blob));
    struct batch_blob *masked = rewrite(mask, &from, &to, &asked);
    assert_non_null(masked);
    assert_int_equal(asked, 4); /* a resource's, a scope's, one of a point, and one that exemplar and metadata share */
    assert_false(has_secret(masked));
    assert_true(str_contains(batch_bytes(masked), STR("open")));
    assert_int_equal(to.n, 1);
    assert_int_equal(to.exemplar_count, 1);
    batch_unref(masked);
    batch_unref(r.blob);
    points_decoder_free(d);
}

/* A value that a later one replaces is not judged, so it may not stay. */
static void what_nobody_judges_leaves_no_byte(void **state) {
    (void)state;
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct points from, to;
    int asked;
    AUTO_BUF struct buf a, b;
    buf_init(&a, MIB);
    buf_init(&b, MIB);
    put_wire_bytes(&a, 1, STR("k"));
    put_wire_bytes(&a, 2, STR("\x0a\x06SECRET"));
    put_wire_bytes(&a, 2, STR("\x0a\x04open"));
    put_wire_bytes(&a, 9, STR("SECRET"));
    put_wire_bytes(&b, 7, buf_str(&a)); /* a KeyValue of a point, */
    static const uint32_t fields[] = {1, 5, 2, 2,
                                      1}; /* which is in a gauge, a metric, a scope group, a resource group */
    for (size_t i = 0; i < LENGTH(fields); i++) {
        buf_clear(&a);
        put_wire_bytes(&a, fields[i], buf_str(&b));
        buf_clear(&b);
        buf_add_str(&b, buf_str(&a));
    }
    err e = points_decode_otlp(d, buf_str(&b), &all_times, &r);
    assert_null(e);
    points_view(r.blob, &from);
    assert_true(has_secret(r.blob));
    struct batch_blob *clean = rewrite(keep, &from, &to, &asked);
    assert_non_null(clean);
    assert_false(has_secret(clean));
    assert_true(str_contains(batch_bytes(clean), STR("open")));
    batch_unref(clean);
    batch_unref(r.blob);
    points_decoder_free(d);
}

static void labels_of_prometheus_are_reached(void **state) {
    (void)state;
    static const char body[] = "SECRET_total{a=\"SECRET\",b=\"open\"} 1\nup{b=\"open\"} 1\n";
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct points from, to;
    int asked;
    err e = points_decode_text(d, POINTS_TEXT, str_of(body), &all_times, &r);
    assert_null(e);
    points_view(r.blob, &from);
    struct batch_blob *masked = rewrite(mask, &from, &to, &asked);
    assert_non_null(masked);
    assert_int_equal(asked, 1);
    struct str rest = points_string(&to, to.series[0].labels), name, value;
    assert_true(points_label_next(&rest, &name, &value) &&
                str_equal(value, STR("SECRET_total"))); /* the metric's name stays */
    assert_true(points_label_next(&rest, &name, &value) && str_equal(value, STR("***")));
    batch_unref(masked);
    struct batch_blob *bare = rewrite(drop, &from, &to, &asked);
    rest = points_string(&to, to.series[1].labels);
    assert_true(points_label_next(&rest, &name, &value) && str_equal(value, STR("up")));
    assert_false(points_label_next(&rest, &name, &value));
    batch_unref(bare);
    assert_null(rewrite(keep, &from, &to, &asked));
    batch_unref(r.blob);
    points_decoder_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_equal),
        cmocka_unit_test(nothing_of_a_secret_stays),
        cmocka_unit_test(what_nobody_judges_leaves_no_byte),
        cmocka_unit_test(labels_of_prometheus_are_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
