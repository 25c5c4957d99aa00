/* What metrics are said to be: kept, bounded, charged, and never in the way of samples. */
#include "store/store_series_testing_priv.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        SERIES_TEST(test_metadata_is_kept),
        SERIES_TEST(test_long_words_do_not_hold_a_flush_up),
        SERIES_TEST(test_new_metrics_are_kept_when_there_are_many),
        SERIES_TEST(test_metadata_is_charged),
        SERIES_TEST(test_metadata_that_cannot_be_written_does_not_hold_samples_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
