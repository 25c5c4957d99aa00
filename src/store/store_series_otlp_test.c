/* OpenTelemetry's points in the series table: what becomes of each kind, and deltas that add up over flushes, deletes and crashes. */
#include "store/store_series_testing_priv.h"

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

static void test_native_deltas_add_up(void **state) {
    (void)state;
#define DELTA_NATIVE(time, scale, offset, a, b)                                                                        \
    METRICS("{\"name\":\"size\",\"exponentialHistogram\":{\"aggregationTemporality\":1,\"dataPoints\":[{"              \
            "\"startTimeUnixNano\":\"1000000000\",\"timeUnixNano\":\"" time "000000000\",\"count\":\"3\",\"sum\":5,"   \
            "\"scale\":" scale ",\"zeroCount\":\"0\",\"positive\":{\"offset\":" offset ",\"bucketCounts\":[\"" a       \
            "\",\"" b "\"]}}]}}")
    say_otlp(DELTA_NATIVE("10", "1", "2", "1", "2"));
    say_otlp(DELTA_NATIVE("20", "1", "3", "2", "1"));
    assert_int_equal(outcome.histograms, 1);
    EXPECT("size{job=\"shop\"} 10000:[3 1 2] 20000:[6 1 4 1]\n");
    say_otlp(DELTA_NATIVE("30", "0", "1", "1", "2")); /* coarser: buckets 3..5 of scale 1 are 2, 2 and 3 of scale 0 */
    EXPECT_ALWAYS("size{job=\"shop\"} 10000:[3 1 2] 20000:[6 1 4 1] 30000:[9 6 3]\n");
}

/* Bounds that change with each point: other series each time, each added up by itself. */
static void test_bounds_may_change(void **state) {
    (void)state;
    struct points_builder b;
    points_builder_init(&b, POINTS_OTLP);
    *vec_push(&b.resources) = (struct points_resource){0};
    *vec_push(&b.scopes) = (struct points_scope){0};
    struct points_metric metric = {
        .name = strings_intern(&b.strings, STR("x")), .kind = METRIC_HISTOGRAM, .temporality = TEMPORALITY_DELTA};
    *vec_push(&b.metrics) = metric;
    points_builder_series(&b, 0, 0);
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t at = points_builder_point(&b), bounds = i % 3;
        struct points_histogram h = {.count = 7, .first = (uint32_t)b.numbers.n, .n = {bounds, 0, bounds, 0, 0}};
        for (uint32_t k = 0; k < bounds; k++) *vec_push(&b.numbers) = 1;
        for (uint32_t k = 0; k < bounds; k++) *vec_push(&b.numbers) = bits_of_double(k + 0.5);
        b.kind[at] = POINT_HISTOGRAM;
        b.time[at] = 1000000000ull * (at + 1);
        b.value[at] = b.histograms.n;
        *vec_push(&b.histograms) = h;
    }
    send(points_builder_finish(&b));
    points_builder_done(&b);
    assert_int_equal(outcome.rejected, 0);
    EXPECT_ALWAYS("x_bucket{le=\"+Inf\"} 1000:7 2000:14 3000:21 4000:28 5000:35 6000:42\n"
                  "x_bucket{le=\"0.5\"} 2000:1 3000:2 5000:3 6000:4\nx_bucket{le=\"1.5\"} 3000:2 6000:4\n"
                  "x_count{} 1000:7 2000:14 3000:21 4000:28 5000:35 6000:42\n");
}

/* ---- deltas after flushes and deletes ------------------------------------------------------------------------------- */

static void test_deltas_go_on_after_a_flush(void **state) {
    (void)state;
    say_otlp(DELTA_SUM("1", "10", "5"));
    flush();
    say_otlp(DELTA_SUM("10", "20", "3"));
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 10000:5 20000:8\n");
    flush();
    crash(); /* now the file alone knows */
    say_otlp(DELTA_SUM("20", "30", "1"));
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 10000:5 20000:8 30000:9\n");
    say_otlp(DELTA_SUM("30", "3631", "2")); /* over an hour later: anew */
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 10000:5 20000:8 30000:9 3631000:2\n");
}

/* A record of deltas of n series. */
static void say_many_deltas(uint32_t first, uint32_t n, int64_t second) {
    AUTO_BUF struct buf b;
    buf_init(&b, 16 * MIB);
    buf_add_text(&b, "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"d\",\"sum\":{"
                     "\"aggregationTemporality\":1,\"isMonotonic\":true,\"dataPoints\":[");
    for (uint32_t i = first; i < first + n; i++)
        buf_add_fmt(&b,
                    "%s{\"attributes\":[{\"key\":\"id\",\"value\":{\"stringValue\":\"%u\"}}],"
                    "\"startTimeUnixNano\":\"1000000000\",\"timeUnixNano\":\"%lld000000000\",\"asInt\":\"%u\"}",
                    i == first ? "" : ",", i, (long long)second, i);
    buf_add_text(&b, "]}}]}]}]}");
    say_otlp(b.p);
    assert_int_equal(outcome.rejected, 0);
}

static void test_many_deltas_find_their_files_at_once(void **state) {
    (void)state;
    enum { N = 40000, FILES = 3, FIRST = 10000, ASKED = 15000 };
    for (uint32_t i = 0; i < FILES; i++) { /* each has half of the series of the one before */
        say_many_deltas(i * N / 2, N, 10 + i);
        flush();
    }
    crash();
    clock_t start = clock(); /* the simulated clocks stand still */
    say_many_deltas(FIRST, ASKED, 20);
    clock_t asking = clock() - start;
    start = clock();
    say_many_deltas(FIRST, ASKED, 21); /* all known now */
    clock_t known = clock() - start;
    print_message("%d deltas: %.2f s, then %.2f s\n", ASKED, (double)asking / CLOCKS_PER_SEC,
                  (double)known / CLOCKS_PER_SEC);
    assert_true(asking < 20 * known); /* about 6; 180 when each asked the files anew */
    char *got = answer();
    assert_non_null(strstr(got, "d_total{id=\"10007\"} 10000:10007 20000:20014 21000:30021\n"));
    assert_non_null(strstr(got, "d_total{id=\"20001\"} 10000:20001 11000:40002 20000:60003 21000:80004\n"));
    assert_non_null(strstr(got, "d_total{id=\"79999\"} 12000:79999\n"));
    mem_free(got);
}

static void test_what_deltas_are_added_to_is_charged(void **state) {
    (void)state;
    enum { N = 300 };
    say_many_deltas(0, N, 10);
    say_otlp(DELTA_NATIVE("10", "1", "2", "1", "2"));
    flush();
    say("other 1 30000\n"); /* from the next head on the last one's sums are kept apart */
    const struct known_series *k = &((struct engine *)store)->tables.v[0]->series->known;
    uint64_t bases = (N + 1) * sizeof(struct delta_base) + sizeof(struct histogram);
    assert_true(k->bases_bytes > bases);
    assert_true(k->charged_bytes >= k->bases_bytes + k->n * sizeof *k->v);
    assert_true(budget_used(&budget) >= k->charged_bytes);
    delete_series("__name__", MATCHER_EQUAL, "d_total", 0, 100000);
    say("other 1 40000\n");
    assert_int_equal(k->bases_bytes, 0);
}

/* The newest counts, in whatever file it is; what deletes took does not. */
static void test_deltas_go_on_from_the_newest(void **state) {
    (void)state;
    say_otlp(DELTA_SUM("1", "10", "5"));
    flush();
    say_otlp(DELTA_SUM("10", "20", "3"));
    say("other 1 30000\n");
    flush();
    say("other 2 40000\nhits_total{job=\"shop\"} 4 11000\n"); /* a newer file with an older sample */
    flush();
    crash();
    say_otlp(DELTA_SUM("20", "30", "1"));
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 10000:5 11000:4 20000:8 30000:9\nother{} 30000:1 40000:2\n");
    flush();
    delete_series("job", MATCHER_EQUAL, "shop", 15000, 35000);
    crash();
    say_otlp(DELTA_SUM("30", "40", "2"));
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 10000:5 11000:4 40000:6\nother{} 30000:1 40000:2\n");
}

static void test_deltas_after_a_delete_begin_anew(void **state) {
    (void)state;
    say_otlp(DELTA_SUM("1", "10", "5"));
    delete_series("__name__", MATCHER_EQUAL, "hits_total", 0, 100000);
    say_otlp(DELTA_SUM("10", "20", "3"));
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 20000:3\n");
    flush(); /* what the last head had is known, and the head is empty when the delete comes */
    delete_series("__name__", MATCHER_EQUAL, "hits_total", 0, 100000);
    say_otlp(DELTA_SUM("20", "30", "4"));
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 30000:4\n");
}

static void test_a_target_is_told_whatever_else_is_refused(void **state) {
    (void)state;
    assert_null(store_close(store));
    opts.retention_ns = (int64_t)86400 * 1000000000;
    open_store();
    long long now = clock_wall_ns() / 1000000000;
    struct buf b;
    buf_init(&b, KIB);
    buf_add_fmt(
        &b,
        "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
        "\"shop\"}},{\"key\":\"zone\",\"value\":{\"stringValue\":\"a\"}}]},\"scopeMetrics\":[{\"metrics\":[{\"name\":"
        "\"g\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"%lld000000000\",\"asInt\":\"1\"},"
        "{\"timeUnixNano\":\"%lld000000000\",\"asInt\":\"1\"}]}}]}]}]}",
        now, now + 90000);
    say_otlp(b.p);
    assert_int_equal(outcome.rejected_by[REFUSED_TIME], 1);
    buf_clear(&b);
    buf_add_fmt(&b, "g{job=\"shop\"} %lld000:1\ntarget_info{job=\"shop\", zone=\"a\"} %lld000:1\n", now, now);
    EXPECT(b.p);
    buf_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        SERIES_TEST(test_gauge_and_histogram),
        SERIES_TEST(test_deltas_add_up),
        SERIES_TEST(test_native_deltas_add_up),
        SERIES_TEST(test_bounds_may_change),
        SERIES_TEST(test_deltas_go_on_after_a_flush),
        SERIES_TEST(test_many_deltas_find_their_files_at_once),
        SERIES_TEST(test_what_deltas_are_added_to_is_charged),
        SERIES_TEST(test_deltas_go_on_from_the_newest),
        SERIES_TEST(test_a_target_is_told_whatever_else_is_refused),
        SERIES_TEST(test_deltas_after_a_delete_begin_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
