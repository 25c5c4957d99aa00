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

int main(void) {
    const struct CMUnitTest tests[] = {
        SERIES_TEST(test_samples_come_out),
        SERIES_TEST(test_refusals_say_why),
        SERIES_TEST(test_heads_become_files),
        SERIES_TEST(test_a_file_a_day),
        SERIES_TEST(test_what_was_acknowledged_first_stays),
        SERIES_TEST(test_heads_begin_where_the_log_says),
        SERIES_TEST(test_sealed_heads_give_their_memory_back),
        SERIES_TEST(test_files_and_log_as_text),
        SERIES_TEST(test_retention_drops_files),
        SERIES_TEST(test_names_values_and_counts),
        SERIES_TEST(test_backup_has_everything),
        SERIES_TEST(test_heads_are_written_at_whole_hours),
        SERIES_TEST(test_heads_are_written_by_size_and_log),
        SERIES_TEST(test_a_short_disk_drops_the_oldest_days),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
