/* The series table by the door, on the simulated disk: what is said comes out, whatever happens in between. */
#include "store/store_series_testing_priv.h"

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

/* ---- files ----------------------------------------------------------------------------------------------------------- */

static void test_heads_become_files(void **state) {
    (void)state;
    say("m{a=\"1\"} 1 1000\nm{a=\"2\"} 2 1000\n");
    flush();
    assert_int_equal(stats_now().series_files, 1);
    assert_int_equal(stats_now().log_bytes, 0);
    say("m{a=\"1\"} 3 2000\nm{a=\"3\"} 4 2000\n");
    EXPECT_ALWAYS("m{a=\"1\"} 1000:1 2000:3\nm{a=\"2\"} 1000:2\nm{a=\"3\"} 2000:4\n");
    flush();
    assert_int_equal(stats_now().series_files, 2);
    assert_int_equal(stats_now().head_samples, 0);
    EXPECT_ALWAYS("m{a=\"1\"} 1000:1 2000:3\nm{a=\"2\"} 1000:2\nm{a=\"3\"} 2000:4\n");
    assert_int_equal(stats_now().replayed_records, 0);
    assert_null(store_merge_all(store));
    assert_int_equal(stats_now().series_files, 1);
    EXPECT_ALWAYS("m{a=\"1\"} 1000:1 2000:3\nm{a=\"2\"} 1000:2\nm{a=\"3\"} 2000:4\n");
}

static void test_a_file_a_day(void **state) {
    (void)state;
    say("m 1 1000\nm 2 86400000\nm 3 172800000\nm 4 172801000\nn 5 -1\n");
    flush();
    assert_int_equal(stats_now().series_files, 4);
    EXPECT_ALWAYS("m{} 1000:1 86400000:2 172800000:3 172801000:4\nn{} -1:5\n");
}

static void test_what_was_acknowledged_first_stays(void **state) {
    (void)state;
    say("m 1 10000\n");
    flush();
    say("m 2 10000\nm 7 5000\n"); /* the head does not know the file's newest sample */
    EXPECT_ALWAYS("m{} 5000:7 10000:1\n");
    flush();
    say("m 3 10000\nm 8 5000\nm 9 6000\n");
    flush();
    say("m 4 10000\n");
    flush();
    EXPECT_ALWAYS("m{} 5000:7 6000:9 10000:1\n");
    assert_null(store_merge_all(store));
    assert_int_equal(stats_now().series_files, 1);
    EXPECT_ALWAYS("m{} 5000:7 6000:9 10000:1\n");
}

static void test_heads_begin_where_the_log_says(void **state) {
    (void)state;
    say("m 1 10000000\n");
    sim_fail_at(1, ERR_UNAVAILABLE); /* the head is sealed, but its file is not written */
    err e = store_flush(store);
    assert_non_null(e);
    err_free(e);
    assert_true(store_pump(store, 3));
    say("m 2 1000\n"); /* far too late for the first head: taken by the second */
    assert_int_equal(outcome.rejected, 0);
    EXPECT_ALWAYS("m{} 1000:2 10000000:1\n");
    crash();
    flush();
    EXPECT_ALWAYS("m{} 1000:2 10000000:1\n");
}

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

/* ---- deletes --------------------------------------------------------------------------------------------------------- */

static uint64_t delete_series(const char *label, enum label_matcher_op op, const char *value, int64_t from_ms,
                              int64_t to_ms) {
    struct label_matcher m;
    struct arena a;
    uint64_t id = 0;
    arena_init(&a, MIB);
    assert_null(label_matcher_make(&a, str_of(label), op, str_of(value), &m));
    struct series_request r = {&m, 1, from_ms * 1000000, to_ms * 1000000};
    err e = store_delete_series(store, STR("default"), &r, &id);
    if (e) fail_msg("delete: %s", err_text(e));
    label_matcher_done(&m);
    arena_done(&a);
    return id;
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
    assert_true(k->charged_bytes >= k->bases_bytes + (k->mask + 1) * sizeof *k->slots);
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

static void test_deletes_concern_what_was_there(void **state) {
    (void)state;
    say("m{a=\"1\"} 1 1000\nm{a=\"1\"} 2 2000\nm{a=\"2\"} 3 1000\n");
    flush();
    say("m{a=\"1\"} 4 3000\nm{a=\"2\"} 5 3000\n");
    uint64_t id = delete_series("a", MATCHER_REGEX, "1|x.*y", 1500, 5000);
    EXPECT("m{a=\"1\"} 1000:1\nm{a=\"2\"} 1000:3 3000:5\n");
    say("m{a=\"1\"} 6 4000\nm{a=\"1\"} 7 3000\n"); /* in the range, but later */
    assert_int_equal(outcome.rejected, 0);
    EXPECT_ALWAYS("m{a=\"1\"} 1000:1 3000:7 4000:6\nm{a=\"2\"} 1000:3 3000:5\n");
    assert_false(store_delete_is_done(store, id));
    assert_null(store_rewrite_now(store));
    assert_true(store_delete_is_done(store, id));
    EXPECT_ALWAYS("m{a=\"1\"} 1000:1 3000:7 4000:6\nm{a=\"2\"} 1000:3 3000:5\n");
}

static void test_a_delete_right_before_a_crash(void **state) {
    (void)state;
    say("m 1 1000\n");
    delete_series("__name__", MATCHER_EQUAL, "m", 0, 10000);
    crash();
    EXPECT("");
    say("m 2 2000\n");
    EXPECT_ALWAYS("m{} 2000:2\n");
    assert_null(store_rewrite_now(store));
    EXPECT_ALWAYS("m{} 2000:2\n");
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

static void test_sealed_heads_give_their_memory_back(void **state) {
    (void)state;
    uint64_t before = budget_used(&budget);
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (int i = 0; i < 3000; i++) buf_add_fmt(&text, "m{a=\"%d\"} 1 1000\n", i);
    say(text.p);
    assert_true(budget_used(&budget) > before + 2 * MIB);
    flush();
    assert_true(budget_used(&budget) < before + 64 * KIB); /* without another record */
}

/* ---- what else is kept ----------------------------------------------------------------------------------------------- */

static char *metadata(void) {
    struct series_snapshot *sn;
    struct series_metadata *m;
    uint32_t n;
    struct arena a;
    struct buf out;
    buf_init(&out, MIB);
    buf_add_text(&out, "");
    arena_init(&a, MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_metadata(sn, (struct str){0}, &a, &m, &n));
    for (uint32_t i = 0; i < n; i++)
        buf_add_fmt(&out, STR_FMT "/%d/" STR_FMT "\n", STR_ARG(m[i].name), (int)m[i].type, STR_ARG(m[i].help));
    series_snapshot_free(sn);
    arena_done(&a);
    return out.p;
}

static void expect_metadata(const char *want) {
    char *got = metadata();
    assert_string_equal(got, want);
    mem_free(got);
}

static void test_metadata_is_kept(void **state) {
    (void)state;
    say("# HELP m what it is\n# TYPE m counter\nm 1 1000\n");
    crash();
    expect_metadata("m/1/what it is\n");
    flush();
    crash();
    assert_int_equal(stats_now().replayed_records, 0);
    expect_metadata("m/1/what it is\n");
    say("# HELP m what it is now\n# TYPE m counter\nm 2 2000\n# HELP a first\n# TYPE a gauge\na 1 2000\n");
    expect_metadata("a/2/first\nm/1/what it is now\nm/1/what it is\n");
    AUTO_BUF struct buf text;
    uint64_t bad = 0;
    buf_init(&text, MIB);
    flush();
    assert_null(store_dump("data/tenants/default/series/metadata", 10, &text));
    assert_non_null(strstr(text.p, "m: counter: what it is now\n"));
    assert_null(store_close(store));
    store = NULL;
    assert_null(store_check("data", &text, &bad));
    assert_int_equal(bad, 0);
    assert_null(sim_flip_bit("data/tenants/default/series/metadata", 70, 1));
    assert_null(store_check("data", &text, &bad));
    assert_int_equal(bad, 1);
    open_store(); /* said anew by whoever sends */
    expect_metadata("");
}

/* One sample, and what is said about metrics [first, end), in the same words. */
static void say_much(uint32_t first, uint32_t end, struct str words) {
    struct points_builder b;
    points_builder_init(&b, POINTS_PROMETHEUS);
    AUTO_BUF struct buf labels;
    buf_init(&labels, KIB);
    points_put_label(&labels, STR("__name__"), STR("m"));
    points_builder_series(&b, 0, strings_append(&b.strings, buf_str(&labels)));
    uint32_t at = points_builder_point(&b);
    b.time[at] = 1000 + first;
    b.kind[at] = POINT_DOUBLE;
    for (uint32_t i = first; i < end; i++) {
        struct path name = path_make("metric_%u", i);
        struct points_metric m = {.kind = METRIC_TYPE_GAUGE};
        m.name = strings_intern(&b.strings, str_of(name.text));
        m.description = strings_intern(&b.strings, words);
        *vec_push(&b.metrics) = m;
    }
    send(points_builder_finish(&b));
    points_builder_done(&b);
}

static bool is_said(const char *name, struct str help) {
    struct series_snapshot *sn;
    struct series_metadata *m;
    uint32_t n;
    struct arena a;
    arena_init(&a, MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_metadata(sn, str_of(name), &a, &m, &n));
    bool said = n == 1 && str_equal(m[0].help, help);
    series_snapshot_free(sn);
    arena_done(&a);
    return said;
}

/* Many metrics of the same long words: little in memory, much in the file. */
static void test_long_words_do_not_hold_a_flush_up(void **state) {
    (void)state;
    AUTO_BUF struct buf words;
    buf_init(&words, 8 * KIB);
    while (words.n < 4096) buf_add_byte(&words, 'h');
    for (uint32_t i = 0; i < 18000; i += 1000) say_much(i, i + 1000, buf_str(&words));
    flush();
    assert_int_equal(stats_now().log_bytes, 0);
    assert_true(stats_now().metadata_dropped >= 15000);
    assert_true(stats_now().metadata_dropped < 17000);
    crash();
    assert_true(is_said("metric_17999", buf_str(&words)));
    assert_true(is_said("metric_17000", buf_str(&words)));
    assert_false(is_said("metric_0", buf_str(&words)));
}

/* The names that nobody speaks of go, those that are spoken of stay. */
static void test_new_metrics_are_kept_when_there_are_many(void **state) {
    (void)state;
    for (uint32_t i = 0; i < 70000; i += 10000) {
        say_much(0, 10, STR("w"));
        say_much(i + 10, i + 10010, STR("w"));
    }
    assert_true(is_said("metric_70009", STR("w")));
    assert_true(is_said("metric_9", STR("w")));
    assert_false(is_said("metric_11", STR("w")));
    uint64_t dropped = stats_now().metadata_dropped;
    assert_true(dropped > 10000 && dropped < 20000);
    for (uint32_t i = 60000; i < 70000; i += 1000) say_much(i, i + 1000, STR("w")); /* again: nothing more goes */
    assert_int_equal(stats_now().metadata_dropped, dropped);
    flush();
    crash();
    assert_true(is_said("metric_70009", STR("w")));
}

static void test_metadata_is_charged(void **state) {
    (void)state;
    say_much(0, 20000, STR("w"));
    flush();
    assert_true(budget_used(&budget) > ((struct engine *)store)->work_bytes + MIB);
}

static void test_metadata_that_cannot_be_written_does_not_hold_samples_up(void **state) {
    (void)state;
    say("m 1 1000\n");
    flush();
    assert_null(path_make_dir("data/tenants/default/series/metadata.tmp")); /* in the way */
    say("# HELP m what it is\nm 2 2000\n");
    fail_flush("metadata.tmp");
    fail_flush("metadata.tmp");
    flush();
    assert_int_equal(stats_now().metadata_failures, 1);
    assert_int_equal(stats_now().flushes_failed, 2);
    EXPECT_ALWAYS("m{} 1000:1 2000:2\n");
    assert_null(path_remove_dir("data/tenants/default/series/metadata.tmp"));
    say("# HELP m what it is\nm 3 3000\n");
    flush();
    crash();
    expect_metadata("m/0/what it is\n");
}

/* Between the seal that a delete asks for and the delete itself no record is applied: a replay has both before it. */
static void test_a_seal_for_a_delete_holds_what_comes(void **state) {
    (void)state;
    struct engine *s = (struct engine *)store;
    say_otlp(DELTA_SUM("1", "10", "5"));
    lock_take(&s->lock);
    struct table *t = engine_table(s, STR("default"), TABLE_SERIES, false);
    t->series->seal_holds = true;
    engine_seal_now(s, t); /* as the log thread does */
    assert_true(t->series->forget_bases);
    assert_true(t->series->held);
    lock_give(&s->lock);
    delete_series("__name__", MATCHER_EQUAL, "hits_total", 0, 100000);
    assert_false(t->series->held);
    say_otlp(DELTA_SUM("10", "20", "3"));
    EXPECT_ALWAYS("hits_total{job=\"shop\"} 20000:3\n");
}

static void test_files_and_log_as_text(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    say("m{a=\"1\"} 1.5 1000\n");
    say_otlp(DELTA_SUM("1", "10", "5"));
    assert_null(store_dump("data/log/00000001.log", 10, &text));
    assert_non_null(strstr(text.p, "record 1: default/series, "));
    assert_non_null(strstr(text.p, "1 points of 1 series, the first of a head, arrived "));
    assert_non_null(strstr(text.p, "  1000 ms __name__=m a=1\n"));
    assert_non_null(strstr(text.p, "1 points of 1 series, OpenTelemetry's, arrived "));
    assert_non_null(strstr(text.p, "\"asInt\":\"5\""));
    flush();
    say("m{a=\"1\"} 2 2000\n");
    buf_clear(&text);
    assert_null(store_dump("data/log/00000002.log", 0, &text));
    assert_non_null(strstr(text.p, ", the first of a head, arrived "));
    buf_clear(&text);
    assert_null(store_dump("data/tenants/default/series/19700101-0000000001.part", 10, &text));
    assert_non_null(strstr(text.p, "file of series, id 1, format 1: 2 series, 2 samples in 2 chunks"));
    assert_non_null(strstr(text.p, "m{a=\"1\"}\n  1970-01-01T00:00:01Z 1.5\n"));
    buf_clear(&text);
    assert_null(store_dump("data/manifest", 0, &text));
    assert_non_null(strstr(text.p, "add tenants/default/series/19700101-0000000001.part: 2 rows"));
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

static void test_limits_name_offenders(void **state) {
    (void)state;
    assert_null(store_close(store));
    opts.series.series_max = 3;
    opts.series.labels_max = 3;
    open_store();
    say("m{a=\"1\"} 1 1000\nm{a=\"2\"} 1 1000\nm{a=\"3\"} 1 1000\nm{a=\"4\"} 1 1000\nm{a=\"1\"} 2 2000\n");
    assert_int_equal(outcome.rejected_by[REFUSED_OVER_LIMIT], 1);
    assert_int_equal(outcome.rejected, 1);
    assert_non_null(strstr(outcome.message,
                           "m{a=\"4\"}: over 3 series: most are of metric m (3), the label with most values is a (3)"));
    say("m{a=\"1\",b=\"2\",c=\"3\"} 1 1000\n");
    assert_int_equal(outcome.rejected_by[REFUSED_OVER_LIMIT], 1);
    EXPECT_ALWAYS("m{a=\"1\"} 1000:1 2000:2\nm{a=\"2\"} 1000:1\nm{a=\"3\"} 1000:1\n");
}

static err select_with(struct series_request r, struct arena *a, uint32_t *out_n) {
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    struct selection *s = NULL;
    r.time_min = INT64_MIN, r.time_max = INT64_MAX;
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    err e = series_snapshot_select(sn, &r, a, &stats, &s);
    if (!e) *out_n = selection_count(s);
    if (!e) selection_free(s);
    series_snapshot_free(sn);
    return e;
}

static err count_down(void *context) {
    int *left = context;
    return (*left)-- > 0 ? NULL : err_new(ERR_CANCELLED, "it was cancelled");
}

/* In memory, then in a file: a limit of series, an asker, a budget, each ends a selection. */
static void test_selections_have_bounds(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, MIB);
    for (int i = 0; i < 5000; i++) buf_add_fmt(&text, "m{a=\"%d\"} 1 1000\n", i);
    say(text.p);
    buf_done(&text);
    for (int round = 0; round < 2; round++) {
        AUTO_ARENA struct arena a;
        struct budget small;
        uint32_t n = 0;
        int left = 2;
        arena_init(&a, 64 * MIB);
        assert_null(select_with((struct series_request){0}, &a, &n));
        assert_int_equal(n, 5000);
        assert_null(select_with((struct series_request){.limit = 7}, &a, &n));
        assert_int_equal(n, 7);
        err e = select_with((struct series_request){.check = count_down, .check_context = &left}, &a, &n);
        assert_int_equal(err_kind(e), ERR_CANCELLED);
        err_free(e);
        bool answered = false;
        for (uint64_t most = 64 * KIB; !answered; most += most / 2) {
            struct arena drawn;
            arena_init(&drawn, 64 * MIB);
            budget_init(&small, most);
            drawn.budget = &small;
            e = select_with((struct series_request){0}, &drawn, &n);
            answered = !e;
            assert_true(!e || err_kind(e) == ERR_BUSY);
            err_free(e);
            arena_done(&drawn);
            assert_int_equal(budget_used(&small), 0);
            assert_true(most < 64 * MIB);
        }
        assert_true(atomic_load(&small.peak_bytes) > 5000 * 60); /* labels, and what the selection keeps beside them */
        assert_null(store_flush(store));
    }
}

static void test_a_request_makes_so_many_series(void **state) {
    (void)state;
    assert_null(store_close(store));
    opts.series.request_series_max = 3;
    open_store();
    say("m{a=\"1\"} 1 1000\nm{a=\"2\"} 1 1000\nm{a=\"3\"} 1 1000\nm{a=\"4\"} 1 1000\nm{a=\"1\"} 2 2000\n");
    assert_int_equal(outcome.rejected_by[REFUSED_OVER_LIMIT], 1);
    assert_string_equal(outcome.message, "m{a=\"4\"}: over 3 new series in one request: send smaller ones");
    say("m{a=\"4\"} 1 2000\nm{a=\"5\"} 1 2000\nm{a=\"6\"} 1 2000\nm{a=\"7\"} 1 2000\nm{a=\"1\"} 3 3000\n");
    assert_int_equal(outcome.rejected, 1);
    EXPECT("m{a=\"1\"} 1000:1 2000:2 3000:3\nm{a=\"2\"} 1000:1\nm{a=\"3\"} 1000:1\nm{a=\"4\"} 2000:1\n"
           "m{a=\"5\"} 2000:1\nm{a=\"6\"} 2000:1\n");
}

static void test_a_request_over_the_memory_is_a_limit(void **state) {
    (void)state;
    struct points_builder b;
    points_builder_init(&b, POINTS_PROMETHEUS);
    points_builder_series(&b, 0, 0);
    for (uint32_t i = 0; i < 700000; i++) {
        uint32_t at = points_builder_point(&b);
        b.kind[at] = POINT_DOUBLE;
    }
    err e = store_append_points(store, STR("default"), points_builder_finish(&b), keep_outcome, NULL);
    assert_true(e && err_kind(e) == ERR_LIMIT);
    err_free(e);
    points_builder_done(&b);
    say("m 1 1000\n"); /* nothing of it is left */
    EXPECT("m{} 1000:1\n");
}

static void test_new_series_are_limited_by_time(void **state) {
    (void)state;
    assert_null(store_close(store));
    opts.series.new_series_max = 2;
    opts.series.churn_ns = (int64_t)60 * 1000000000;
    open_store();
    say("m{a=\"1\"} 1 1000\nm{a=\"2\"} 1 1000\nm{a=\"3\"} 1 1000\n");
    assert_int_equal(outcome.rejected_by[REFUSED_OVER_LIMIT], 1);
    flush();
    say("m{a=\"1\"} 1 2000\nm{a=\"2\"} 1 2000\nm{a=\"3\"} 1 2000\n"); /* the first two are not new */
    assert_int_equal(outcome.rejected_by[REFUSED_OVER_LIMIT], 1);
    sim_clock_advance((int64_t)61 * 1000000000);
    say("m{a=\"3\"} 1 3000\n");
    assert_int_equal(outcome.rejected, 0);
}

static void test_retention_drops_files(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    int64_t now_ms = clock_wall_ns() / 1000000, day_ms = 86400000;
    buf_add_fmt(&text, "m 1 %lld\nm 2 %lld\n", (long long)(now_ms - day_ms), (long long)now_ms);
    say(text.p);
    flush();
    assert_int_equal(stats_now().series_files, 2);
    assert_null(store_close(store));
    opts.retention_ns = (int64_t)86400 * 1000000000 * 3 / 2;
    open_store();
    sim_clock_advance((int64_t)86400 * 1000000000 * 3 / 4);
    char *got = answer();
    assert_null(strstr(got, ":1 ")); /* hidden before it is gone */
    mem_free(got);
    while (store_pump(store, 3)) {}
    assert_int_equal(stats_now().series_files, 1);
    say(text.p); /* the older one is refused now */
    assert_int_equal(outcome.rejected_by[REFUSED_TIME], 1);
}

static void expect_refusal(void *context, err e, const struct points_outcome *o) {
    assert_true(e && !o);
    err_free(e);
    *(bool *)context = true;
}

static void test_failed_sync_logs_again(void **state) {
    (void)state;
    say("m 1 1000\n");
    flush();
    say("m 2 2000\n");
    say("m 3 3000\n");
    struct points_result r;
    assert_null(points_decode_text(decoder, POINTS_TEXT, STR("m 4 4000\n"), &limits, &r));
    sim_fail_sync(1);
    bool refused = false;
    assert_null(store_append_points(store, STR("default"), r.blob, expect_refusal, &refused));
    while (store_pump(store, 0)) {}
    assert_true(refused);
    assert_false(stats_now().read_only);
    say("m 5 5000\n");
    EXPECT_ALWAYS("m{} 1000:1 2000:2 3000:3 5000:5\n");
}

static char *texts(const char *name) {
    struct series_request r = {NULL, 0, INT64_MIN, INT64_MAX};
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    struct str *list;
    uint32_t n;
    struct arena a;
    struct buf out;
    buf_init(&out, MIB);
    buf_add_text(&out, "");
    arena_init(&a, 16 * MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_texts(sn, str_of(name), &r, &a, &stats, &list, &n));
    for (uint32_t i = 0; i < n; i++) buf_add_fmt(&out, STR_FMT " ", STR_ARG(list[i]));
    series_snapshot_free(sn);
    arena_done(&a);
    return out.p;
}

static void expect_texts(const char *name, const char *want) {
    char *got = texts(name);
    assert_string_equal(got, want);
    mem_free(got);
}

static void test_names_values_and_counts(void **state) {
    (void)state;
    say("m{a=\"1\"} 1 1000\nm{a=\"2\"} 2 1000\n");
    flush();
    say("m{a=\"1\"} 3 2000\nn{b=\"x\"} 4 2000\n");
    expect_texts(NULL, "__name__ a b ");
    expect_texts("__name__", "m n ");
    expect_texts("a", "1 2 ");
    struct series_request r = {NULL, 0, INT64_MIN, INT64_MAX};
    struct series_stats stats = {0};
    struct series_cardinality c;
    struct series_snapshot *sn;
    struct arena a;
    arena_init(&a, 16 * MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_cardinality(sn, &r, 2, &a, &stats, &c));
    assert_int_equal(c.series, 3);
    assert_int_equal(c.labels, 3);
    assert_int_equal(c.pairs, 5);
    assert_int_equal(c.samples, 4);
    assert_int_equal(c.time_min, 1000000000);
    assert_int_equal(c.metric_count, 2);
    assert_true(str_equal(c.by_metric[0].name, STR("m")) && c.by_metric[0].series == 2 && c.by_metric[0].samples == 2);
    assert_true(str_equal(c.by_label[1].name, STR("a")) && c.by_label[1].values == 2);
    assert_true(c.by_metric[0].bytes == c.file_bytes && c.file_bytes > 0);
    series_snapshot_free(sn);
    arena_done(&a);
    delete_series("a", MATCHER_EQUAL, "2", 0, 5000);
    expect_texts("a", "1 ");
}

static void test_backup_has_everything(void **state) {
    (void)state;
    say("# TYPE m counter\nm 1 1000\n");
    flush();
    say("m 2 2000\n");
    assert_null(store_backup(store, "copy"));
    assert_null(store_backup_tenant(store, STR("default"), "one"));
    for (int i = 0; i < 2; i++) {
        assert_null(store_close(store));
        err e = store_restore(i ? "one" : "copy", i ? "again1" : "again0");
        if (e) fail_msg("%s", err_text(e));
        opts.dir = i ? "again1" : "again0";
        open_store();
        EXPECT_ALWAYS("m{} 1000:1 2000:2\n");
        expect_metadata("m/1/\n");
    }
}

/* ---- when heads are written ----------------------------------------------------------------------------------------- */

/* Nanoseconds from now until the back thread would write the head; 0: now. */
static int64_t due_in(void) {
    int64_t now = clock_monotonic_ns(), next = 0;
    return engine_flush_due((struct engine *)store, now, false, &next) ? 0 : next == INT64_MAX ? next : next - now;
}

static void test_heads_are_written_at_whole_hours(void **state) {
    (void)state;
    static const int64_t hour_ns = (int64_t)3600 * 1000000000;
    assert_true(due_in() == INT64_MAX);
    say("m 1 1000\n");
    int64_t in = due_in();
    assert_true(in > 0 && (clock_wall_ns() + in) % (2 * hour_ns) == 0);
    sim_clock_advance(in - 1);
    assert_int_equal(due_in(), 1);
    sim_clock_advance(1);
    assert_int_equal(due_in(), 0);
    flush();
    assert_true(due_in() == INT64_MAX);
}

static void test_heads_are_written_by_size_and_log(void **state) {
    (void)state;
    for (int how = 0; how < 2; how++) {
        assert_null(store_close(store));
        opts.series =
            how ? (struct series_options){.log_bytes = 10000} : (struct series_options){.flush_bytes = 3 * MIB};
        open_store();
        say("m 1 1000\n");
        assert_true(due_in() > 0);
        for (int i = 0; due_in(); i++) {
            AUTO_BUF struct buf text;
            buf_init(&text, MIB);
            for (int k = 0; k < 100; k++) buf_add_fmt(&text, "m{a=\"%d.%d.%d\"} 1 1000\n", how, i, k);
            say(text.p);
            assert_true(i < 1000);
        }
    }
}

/* ---- damage and failing calls --------------------------------------------------------------------------------------- */

static void fill(void) {
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (int i = 0; i < 300; i++)
        buf_add_fmt(&text, "m{a=\"%d\",b=\"%d\"} %d %d\n", i % 7, i % 3, i * i % 1000, 1000 * (1 + i / 21));
    buf_add_text(&text, "# TYPE m gauge\n");
    say(text.p);
}

/* All samples that are answered now, and whether the answer says that some are missing. */
static uint64_t count_samples(bool *out_partial) {
    struct series_request r = {NULL, 0, INT64_MIN, INT64_MAX};
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    struct selection *s;
    struct samples got;
    struct arena a;
    uint64_t n = 0;
    arena_init(&a, 64 * MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_select(sn, &r, &a, &stats, &s));
    struct selection_reader *reader = selection_reader_new(s, &stats);
    samples_init(&got, 64 * MIB);
    for (uint32_t i = 0; i < selection_count(s); i++) {
        assert_null(selection_read(reader, i, &got));
        n += got.n;
    }
    selection_reader_free(reader);
    samples_done(&got);
    selection_free(s);
    series_snapshot_free(sn);
    arena_done(&a);
    *out_partial = stats.bad_pages > 0;
    return n;
}

static uint64_t check(void) {
    AUTO_BUF struct buf out;
    uint64_t bad = 0;
    buf_init(&out, MIB);
    assert_null(store_check("data", &out, &bad));
    return bad;
}

static void test_a_flipped_bit_in_a_file_is_told(void **state) {
    (void)state;
    static const char path[] = "data/tenants/default/series/19700101-0000000001.part";
    bool partial;
    for (uint64_t at = 0;; at += getenv("CLEW_LONG") ? 1 : 37) {
        if (at) begin(NULL);
        fill();
        uint64_t whole = count_samples(&partial);
        assert_null(store_close(store));
        store = NULL;
        err e = sim_flip_bit(path, at, at % 8);
        bool past = e != NULL;
        err_free(e);
        uint64_t bad = past ? 0 : check(); /* of a byte between two pages there is nothing to tell */
        open_store();
        uint64_t left = count_samples(&partial);
        if (left != whole && !partial) fail_msg("flip at %llu: samples are missing silently", (unsigned long long)at);
        if (left != whole && !bad) fail_msg("flip at %llu: check finds nothing", (unsigned long long)at);
        if (past) assert_true(left == whole && !partial);
        say("m{a=\"new\"} 1 1000\n"); /* writing goes on */
        flush();
        err_free(store_merge_all(store)); /* nothing is lost by merging what is damaged */
        assert_true(count_samples(&partial) == left + 1);
        if (past) return;
        end(NULL);
    }
}

static void test_a_flipped_bit_in_the_log_is_told(void **state) {
    (void)state;
    bool partial;
    uint64_t step = getenv("CLEW_LONG") ? 1 : 97;
    for (uint64_t at = 4096; at < 12000; at += step) {
        if (at > 4096) begin(NULL);
        say("m 1 1000\n");
        fill();
        say("m 2 2000\nm 3 3000\n");
        uint64_t whole = count_samples(&partial);
        store_abandon(store);
        assert_null(sim_flip_bit("data/log/00000001.log", at, at % 8));
        open_store();
        uint64_t left = count_samples(&partial);
        assert_true(left == whole || (left < whole && stats_now().bad_blocks > 0));
        if (at + step < 12000) end(NULL);
    }
}

/* A delete that fails, or is cut, at its n-th call holds or does not; one that was confirmed holds. */
static bool break_delete(uint64_t n, bool cut) {
    struct label_matcher m;
    struct arena a;
    bool partial;
    uint64_t id;
    arena_init(&a, MIB);
    fill();
    flush();
    say("m{a=\"1\"} 5 60000\n");
    uint64_t before = count_samples(&partial);
    if (cut)
        sim_cut_at(n);
    else
        sim_fail_at(n, n % 2 ? ERR_IO : ERR_UNAVAILABLE);
    assert_null(label_matcher_make(&a, STR("a"), MATCHER_EQUAL, STR("1"), &m));
    struct series_request r = {&m, 1, 0, INT64_MAX};
    err e = store_delete_series(store, STR("default"), &r, &id);
    bool confirmed = !e;
    err_free(e);
    err_free(store_rewrite_now(store));
    bool broke = sim_faults() > 0;
    crash();
    uint64_t after = count_samples(&partial);
    assert_true(!partial && (after == before || after == before - 44)); /* all of it or nothing */
    assert_true(after < before || !confirmed);
    assert_null(store_rewrite_now(store));
    assert_int_equal(count_samples(&partial), after);
    label_matcher_done(&m);
    arena_done(&a);
    return broke;
}

static void test_deletes_hold_or_do_not(void **state) {
    (void)state;
    for (int cut = 0; cut < 2; cut++)
        for (uint64_t n = 1;; n++) {
            if (cut || n > 1) begin(NULL);
            bool broke = break_delete(n, cut);
            if (cut && !broke) return;
            end(NULL);
            if (!broke) break;
        }
}

static void test_a_short_disk_drops_the_oldest_days(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    int64_t now_ms = clock_wall_ns() / 1000000;
    bool partial;
    buf_init(&text, MIB);
    for (int day = 3; day >= 0; day--)
        for (int i = 0; i < 50; i++)
            buf_add_fmt(&text, "m{a=\"%d\"} 1 %lld\n", i, (long long)(now_ms - (int64_t)day * 86400000));
    say(text.p);
    assert_null(store_close(store));
    opts.disk_free_min_percent = 50;
    open_store();
    assert_int_equal(stats_now().series_files, 4);
    sim_disk_limit(sim_disk_used() + sim_disk_used() / 2);
    assert_true(store_pump(store, 3));
    assert_true(stats_now().series_files < 4);
    while (store_pump(store, 3)) {}
    sim_disk_limit(0);
    assert_true(count_samples(&partial) >= 50 && !partial); /* today stays */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_samples_come_out, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals_say_why, begin, end),
        cmocka_unit_test_setup_teardown(test_gauge_and_histogram, begin, end),
        cmocka_unit_test_setup_teardown(test_deltas_add_up, begin, end),
        cmocka_unit_test_setup_teardown(test_native_deltas_add_up, begin, end),
        cmocka_unit_test_setup_teardown(test_bounds_may_change, begin, end),
        cmocka_unit_test_setup_teardown(test_heads_become_files, begin, end),
        cmocka_unit_test_setup_teardown(test_a_file_a_day, begin, end),
        cmocka_unit_test_setup_teardown(test_what_was_acknowledged_first_stays, begin, end),
        cmocka_unit_test_setup_teardown(test_heads_begin_where_the_log_says, begin, end),
        cmocka_unit_test_setup_teardown(test_deltas_go_on_after_a_flush, begin, end),
        cmocka_unit_test_setup_teardown(test_many_deltas_find_their_files_at_once, begin, end),
        cmocka_unit_test_setup_teardown(test_what_deltas_are_added_to_is_charged, begin, end),
        cmocka_unit_test_setup_teardown(test_deltas_go_on_from_the_newest, begin, end),
        cmocka_unit_test_setup_teardown(test_a_target_is_told_whatever_else_is_refused, begin, end),
        cmocka_unit_test_setup_teardown(test_deletes_concern_what_was_there, begin, end),
        cmocka_unit_test_setup_teardown(test_a_delete_right_before_a_crash, begin, end),
        cmocka_unit_test_setup_teardown(test_deltas_after_a_delete_begin_anew, begin, end),
        cmocka_unit_test_setup_teardown(test_sealed_heads_give_their_memory_back, begin, end),
        cmocka_unit_test_setup_teardown(test_metadata_is_kept, begin, end),
        cmocka_unit_test_setup_teardown(test_long_words_do_not_hold_a_flush_up, begin, end),
        cmocka_unit_test_setup_teardown(test_new_metrics_are_kept_when_there_are_many, begin, end),
        cmocka_unit_test_setup_teardown(test_metadata_is_charged, begin, end),
        cmocka_unit_test_setup_teardown(test_files_and_log_as_text, begin, end),
        cmocka_unit_test_setup_teardown(test_limits_name_offenders, begin, end),
        cmocka_unit_test_setup_teardown(test_selections_have_bounds, begin, end),
        cmocka_unit_test_setup_teardown(test_a_request_makes_so_many_series, begin, end),
        cmocka_unit_test_setup_teardown(test_a_request_over_the_memory_is_a_limit, begin, end),
        cmocka_unit_test_setup_teardown(test_new_series_are_limited_by_time, begin, end),
        cmocka_unit_test_setup_teardown(test_retention_drops_files, begin, end),
        cmocka_unit_test_setup_teardown(test_failed_sync_logs_again, begin, end),
        cmocka_unit_test_setup_teardown(test_names_values_and_counts, begin, end),
        cmocka_unit_test_setup_teardown(test_backup_has_everything, begin, end),
        cmocka_unit_test_setup_teardown(test_heads_are_written_at_whole_hours, begin, end),
        cmocka_unit_test_setup_teardown(test_heads_are_written_by_size_and_log, begin, end),
        cmocka_unit_test_setup_teardown(test_a_flipped_bit_in_a_file_is_told, begin, end),
        cmocka_unit_test_setup_teardown(test_a_flipped_bit_in_the_log_is_told, begin, end),
        cmocka_unit_test_setup_teardown(test_deletes_hold_or_do_not, begin, end),
        cmocka_unit_test_setup_teardown(test_a_short_disk_drops_the_oldest_days, begin, end),
        cmocka_unit_test_setup_teardown(test_metadata_that_cannot_be_written_does_not_hold_samples_up, begin, end),
        cmocka_unit_test_setup_teardown(test_a_seal_for_a_delete_holds_what_comes, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
