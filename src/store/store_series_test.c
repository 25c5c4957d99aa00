/* The series table by the door, on the simulated disk: what is said comes out, whatever happens in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/sim/sim.h"
#include "signal/metrics/points_decode.h"
#include "store/series.h"

static struct budget budget;
static struct store_options opts;
static struct store *store;
static struct points_decoder *decoder;
static struct points_outcome outcome;

static void open_store(void) {
    err e = store_open(&opts, &store);
    if (e) fail_msg("open: %s", err_text(e));
}

static int begin(void **state) {
    (void)state;
    sim_reset(1);
    budget_init(&budget, 64 * MIB);
    store_options_default(&opts);
    opts.dir = "data";
    opts.budget = &budget;
    opts.retention_ns = 0;
    opts.disk_use_max_percent = 100;
    opts.manual = true;
    opts.segment_bytes = 256 * KIB;
    decoder = points_decoder_new();
    open_store();
    return 0;
}

static int end(void **state) {
    (void)state;
    err e = store ? store_close(store) : NULL;
    if (e) fail_msg("close: %s", err_text(e));
    points_decoder_free(decoder);
    store = NULL;
    if (budget_used(&budget))
        fail_msg("%llu bytes of the budget are not given back", (unsigned long long)budget_used(&budget));
    return 0;
}

static void crash(void) {
    store_abandon(store);
    sim_reboot();
    open_store();
}

static void keep_outcome(void *context, err e, const struct points_outcome *o) {
    (void)context;
    if (e) fail_msg("append: %s", err_text(e));
    outcome = *o;
}

static void send(struct batch_blob *blob) {
    outcome = (struct points_outcome){0};
    assert_non_null(blob);
    err e = store_append_points(store, STR("default"), blob, keep_outcome, NULL);
    if (e) fail_msg("append: %s", err_text(e));
    while (store_pump(store, 0)) {}
}

static const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};

/* Lines of the text format; times in ms. */
static void say(const char *text) {
    struct points_result r;
    err e = points_decode_text(decoder, POINTS_TEXT, str_of(text), &limits, &r);
    if (e) fail_msg("%s", err_text(e));
    send(r.blob);
}

static void say_otlp(const char *json) {
    struct points_result r;
    err e = points_decode_otlp_json(decoder, str_of(json), &limits, &r);
    if (e) fail_msg("%s", err_text(e));
    send(r.blob);
}

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* All series, one a line, in order: name{labels} time:value … */
static char *answer(void) {
    struct series_request r = {NULL, 0, INT64_MIN, INT64_MAX};
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    struct selection *s;
    struct samples got;
    struct arena a;
    arena_init(&a, 64 * MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_select(sn, &r, &a, &stats, &s));
    struct selection_reader *reader = selection_reader_new(s, &stats);
    samples_init(&got, 64 * MIB);
    uint32_t n = selection_count(s);
    char **lines = mem_new_array(char *, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct buf b;
        buf_init(&b, MIB);
        put_label_set(&b, selection_labels(s, i));
        assert_null(selection_read(reader, i, &got));
        for (uint32_t k = 0; k < got.n; k++) {
            const struct histogram *h = samples_histogram(&got, k);
            buf_add_fmt(&b, " %lld:", (long long)(got.times_ns[k] / 1000000));
            if (h) buf_add_fmt(&b, "[%llu", (unsigned long long)h->count.integer);
            if (h)
                for (uint32_t j = 0; j < h->buckets; j++)
                    buf_add_fmt(&b, " %llu", (unsigned long long)h->bucket[j].integer);
            if (h)
                buf_add_text(&b, "]");
            else if (value_is_stale(got.values[k]))
                buf_add_text(&b, "stale");
            else
                put_f64(&b, got.values[k]);
        }
        lines[i] = b.p;
    }
    assert_int_equal(stats.bad_pages, 0);
    qsort(lines, n, sizeof *lines, compare_lines);
    struct buf all;
    buf_init(&all, 16 * MIB);
    buf_add_text(&all, "");
    for (uint32_t i = 0; i < n; i++) {
        buf_add_text(&all, lines[i]);
        buf_add_byte(&all, '\n');
        mem_free(lines[i]);
    }
    mem_free(lines);
    selection_reader_free(reader);
    samples_done(&got);
    selection_free(s);
    series_snapshot_free(sn);
    arena_done(&a);
    return all.p;
}

static void expect_at(const char *want, int line) {
    char *got = answer();
    if (strcmp(got, want) != 0) fail_msg("line %d: got\n%swant\n%s", line, got, want);
    mem_free(got);
}
#define EXPECT(want) expect_at(want, __LINE__)

/* The same now and after a crash. */
static void expect_always(const char *want, int line) {
    expect_at(want, line);
    crash();
    expect_at(want, line);
}
#define EXPECT_ALWAYS(want) expect_always(want, __LINE__)

/* ---- samples --------------------------------------------------------------------------------------------------------- */

static void test_samples_come_out(void **state) {
    (void)state;
    say("# TYPE up gauge\nup{job=\"a\"} 1 1000\nup{job=\"b\"} 0 1000\nup{job=\"a\"} 1 2000\n");
    assert_int_equal(outcome.points, 3);
    assert_int_equal(outcome.samples, 3);
    assert_int_equal(outcome.rejected, 0);
    say("up{job=\"a\"} 0.5 3000\n");
    EXPECT_ALWAYS("up{job=\"a\"} 1000:1 2000:1 3000:0.5\nup{job=\"b\"} 1000:0\n");
}

static void test_refusals_say_why(void **state) {
    (void)state;
    say("m 1 10000000\n");
    say("m 2 10000000\nm 1 10000000\nm 3 1000\nm 4 9999000\n");
    assert_int_equal(outcome.points, 4);
    assert_int_equal(outcome.rejected, 2);
    assert_int_equal(outcome.rejected_by[REFUSED_CONFLICT], 1);
    assert_int_equal(outcome.rejected_by[REFUSED_TOO_LATE], 1);
    assert_int_equal(outcome.samples, 2);
    assert_string_equal(outcome.message, "m{}: duplicate sample: another value is there at this time");
    EXPECT_ALWAYS("m{} 9999000:4 10000000:1\n");
}

/* ---- OpenTelemetry --------------------------------------------------------------------------------------------------- */

#define RESOURCE "\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]}"
#define METRICS(m) "{\"resourceMetrics\":[{" RESOURCE ",\"scopeMetrics\":[{\"metrics\":[" m "]}]}]}"
#define DELTA_SUM(start, time, v)                                                                                      \
    METRICS("{\"name\":\"hits\",\"sum\":{\"aggregationTemporality\":1,\"isMonotonic\":true,\"dataPoints\":["           \
            "{\"startTimeUnixNano\":\"" start "000000000\",\"timeUnixNano\":\"" time "000000000\",\"asInt\":\"" v      \
            "\"}]}}")

static void test_gauge_and_histogram(void **state) {
    (void)state;
    const char *json =
        METRICS("{\"name\":\"temp\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"5000000000\",\"asDouble\":21.5}]}},"
                "{\"name\":\"lat\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{\"timeUnixNano\":"
                "\"5000000000\","
                "\"count\":\"6\",\"sum\":12,\"explicitBounds\":[1,2],\"bucketCounts\":[\"1\",\"2\",\"3\"]}]}}");
    say_otlp(json);
    assert_int_equal(outcome.points, 2);
    assert_int_equal(outcome.samples, 6);
    say_otlp(json); /* known now, and said already */
    assert_int_equal(outcome.rejected, 0);
    EXPECT_ALWAYS("lat_bucket{job=\"shop\", le=\"+Inf\"} 5000:6\nlat_bucket{job=\"shop\", le=\"1\"} 5000:1\n"
                  "lat_bucket{job=\"shop\", le=\"2\"} 5000:3\nlat_count{job=\"shop\"} 5000:6\n"
                  "lat_sum{job=\"shop\"} 5000:12\ntemp{job=\"shop\"} 5000:21.5\n");
}

static void test_deltas_add_up(void **state) {
    (void)state;
    say_otlp(DELTA_SUM("1", "10", "5"));
    say_otlp(DELTA_SUM("10", "20", "3"));
    assert_int_equal(outcome.rejected, 0);
    say_otlp(DELTA_SUM("10", "20", "3"));
    assert_int_equal(outcome.rejected_by[REFUSED_CONFLICT], 1);
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 10000:5 20000:8\n");
    say_otlp(DELTA_SUM("20", "30", "1"));
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 10000:5 20000:8 30000:9\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples_come_out, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals_say_why, begin, end),
        cmocka_unit_test_setup_teardown(test_gauge_and_histogram, begin, end),
        cmocka_unit_test_setup_teardown(test_deltas_add_up, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
