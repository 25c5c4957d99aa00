/* The log says a series once a head, and refers to it then: nothing that was said is lost by that, and what is lost takes nothing else with it. */
#include "signal/metrics/points_build.h"
#include "store/store_series_testing_priv.h"

enum { SERIES = 100 };

/* One sample each of NAME{a="0…"} at a time. */
static void say_all(const char *name, int first, int end, int time_ms) {
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (int i = first; i < end; i++)
        buf_add_fmt(&text, "%s{a=\"%d\",of=\"a series with a name that is as long as they are\"} %d %d\n", name, i,
                    i + time_ms, time_ms);
    say(text.p);
    assert_int_equal(outcome.rejected, 0);
}

static uint64_t logged_by(const char *name, int first, int end, int time_ms) {
    uint64_t before = stats_now().bytes_logged;
    say_all(name, first, end, time_ms);
    return stats_now().bytes_logged - before;
}

/* Whatever is there now is there after a crash. */
static void expect_it_stays(void) {
    AUTO_FREE char *before = answer();
    crash();
    AUTO_FREE char *after = answer();
    assert_string_equal(after, before);
}

static uint32_t lines_with(const char *what) {
    AUTO_FREE char *all = answer();
    uint32_t n = 0;
    for (const char *at = all; (at = strstr(at, what)); at++) n++;
    return n;
}

static void flip(const char *segment, uint64_t at) {
    store_abandon(store);
    assert_null(sim_flip_bit(segment, at, 3));
    open_store();
}

static void test_what_was_said_is_referred_to(void **state) {
    (void)state;
    uint64_t whole = logged_by("m", 0, SERIES, 1000);
    assert_true(logged_by("m", 0, SERIES, 2000) < 512 + 6 * SERIES); /* packed: not much more than values */
    assert_true(whole > 60 * SERIES);
    expect_it_stays();
    assert_true(logged_by("m", 0, SERIES, 2500) >= whole); /* what an earlier process said may not be durable */
    assert_true(logged_by("m", 0, SERIES, 3000) < whole / 3);
    assert_true(logged_by("m", 0, SERIES + 30, 4000) < whole / 3 * 2);
    expect_it_stays();
    assert_int_equal(lines_with("1000:") + lines_with("2000:") + lines_with("3000:") + lines_with("4000:"),
                     4 * SERIES + 30);
    flush();
    assert_int_equal(stats_now().log_bytes, 0);
    assert_true(logged_by("m", 0, SERIES, 5000) >= whole); /* another head */
    assert_true(logged_by("m", 0, SERIES, 6000) < whole / 3);
    expect_it_stays();
    assert_int_equal(lines_with("6000:"), SERIES);
}

static void test_most_are_new_then_all_are_said(void **state) {
    (void)state;
    uint64_t whole = logged_by("m", 0, SERIES, 1000);
    assert_true(logged_by("m", SERIES - 10, 2 * SERIES - 10, 2000) >= whole);
    assert_true(logged_by("m", SERIES - 10, 2 * SERIES - 10, 3000) < whole / 3);
    expect_it_stays();
    assert_int_equal(lines_with("3000:"), SERIES);
}

/* Deltas; bounds that change make others of the same series. */
static void say_histograms(int time_s, int bound) {
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    buf_add_text(&text, "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"lat\",\"histogram\":{"
                        "\"aggregationTemporality\":1,\"dataPoints\":[");
    for (int i = 0; i < SERIES; i++) {
        buf_add_fmt(&text,
                    "%s{\"attributes\":[{\"key\":\"a\",\"value\":{\"intValue\":%d}}],\"timeUnixNano\":\"%d000000000\","
                    "\"count\":\"6\",\"sum\":12,\"explicitBounds\":[1,%d],\"bucketCounts\":[\"1\",\"2\",\"3\"]}",
                    i ? "," : "", i, time_s, bound);
    }
    buf_add_text(&text, "]}}]}]}]}");
    say_otlp(text.p);
    assert_int_equal(outcome.rejected, 0);
}

static void test_of_opentelemetry(void **state) {
    (void)state;
    for (int i = 1; i < 8; i++) {
        say_histograms(i, i < 4 ? 2 : 3);
        expect_it_stays();
    }
    assert_int_equal(lines_with("lat_count{"), SERIES);
    assert_int_equal(lines_with("7000:42\n"), 2 * SERIES); /* counts and those below infinity; other sums are 84 */
}

static void say_to_other(const char *text) {
    struct points_result r;
    assert_null(points_decode_text(decoder, POINTS_TEXT, str_of(text), &limits, &r));
    assert_null(store_append_points(store, STR("other"), r.blob, keep_outcome, NULL));
    while (store_pump(store, 0)) {}
}

/* Ten large series and the twenty that came before them. */
static void say_large(int number, int time_ms) {
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (int i = 10 * number; i < 10 * number + 30; i++) {
        buf_add_fmt(&text, "m{a=\"%d-", i);
        for (int k = 0; k < 1600; k++) buf_add_text(&text, "0123456789");
        buf_add_fmt(&text, "\"} 1 %d\n", time_ms);
    }
    say(text.p);
    assert_int_equal(outcome.rejected, 0);
}

/* A replay makes more heads of one, and writes them; what is left refers to what was said in the first, which the log keeps. */
static void test_what_is_left_of_a_head_keeps_its_log(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) say_large(i, 1000 * i);
    opts.series.flush_bytes = 3 * MIB;
    crash();
    assert_true(stats_now().series_files > 0);
    assert_true(stats_now().head_samples > 0);
    say_to_other("flush 1 1000\n");
    assert_null(store_flush_tenant(store, STR("other"))); /* segments that nobody needs go */
    while (store_pump(store, 0)) {}
    say_large(19, 100000);
    expect_it_stays();
    assert_int_equal(stats_now().bad_blocks, 0);
    assert_int_equal(lines_with(" 100000:1"), 30);
    flush();
    assert_int_equal(stats_now().log_bytes, 0);
    expect_it_stays();
}

static void test_after_a_failed_sync_it_is_all_in_the_log(void **state) {
    (void)state;
    say_all("m", 0, SERIES, 1000);
    say_all("m", 0, SERIES, 2000);
    sim_fail_sync(1);
    struct points_result r;
    bool refused = false;
    assert_null(points_decode_text(decoder, POINTS_TEXT, STR("n{of=\"nobody\"} 4 4000\n"), &limits, &r));
    assert_null(store_append_points(store, STR("default"), r.blob, expect_refusal, &refused));
    while (store_pump(store, 0)) {}
    assert_true(refused);
    say_all("m", 0, SERIES, 3000);
    say_all("n", 0, SERIES, 3000);
    say_all("n", 0, SERIES, 4000);
    expect_it_stays();
    assert_int_equal(lines_with("m{"), SERIES);
    assert_int_equal(lines_with("n{"), SERIES);
    assert_int_equal(stats_now().bad_blocks, 0);
}

static void test_what_referred_to_damage_is_told(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    uint64_t bad;
    buf_init(&text, MIB);
    say_all("m", 0, SERIES, 1000);
    say_all("m", 0, SERIES + 20, 2000);
    say_all("m", SERIES, SERIES + 20, 3000);
    flip("data/log/00000001.log", 4096 + 1000);
    assert_int_equal(lines_with("m{"), 20);
    assert_int_equal(lines_with("2000:"), 20);
    assert_int_equal(lines_with("3000:"), 20);
    assert_true(stats_now().bad_blocks >= 2);
    store_abandon(store);
    assert_null(store_check("data", &text, &bad));
    buf_add_byte(&text, 0);
    assert_non_null(strstr(text.p, "record 2 refers to 100 series that the log does not name"));
    open_store();
    say_all("m", 0, SERIES, 4000); /* they are said again */
    expect_it_stays();
    assert_int_equal(lines_with("4000:"), SERIES);
}

/* The record that began a head is lost: its numbers are not those of the head before. */
static void test_numbers_of_one_head_are_not_those_of_another(void **state) {
    (void)state;
    say_all("old", 0, SERIES, 1000);
    say_all("old", 0, SERIES, 2000);
    say_to_other("it{holds=\"the log\"} 4 4000\n");
    assert_null(store_flush_tenant(store, STR("default")));
    while (store_pump(store, 0)) {}
    uint64_t at = 4096 + stats_now().bytes_logged + 500;
    say_all("new", 0, SERIES, 3000);
    say_all("new", 0, SERIES, 4000);
    flip("data/log/00000001.log", at);
    assert_int_equal(lines_with("old{"), SERIES);
    assert_int_equal(lines_with("000:"), 2 * SERIES);
    assert_int_equal(lines_with("new{"), 0);
    assert_true(stats_now().bad_blocks >= 2);
}

/* A kill leaves in the system's cache what was written and not synced; who reads it must not build on it, as a power cut takes it. */
static void test_nothing_refers_to_what_is_not_durable(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct points_result r;
        bool refused = false;
        store_abandon(store);
        sim_reset(seed);
        open_store();
        say("first 1 500\n");
        AUTO_BUF struct buf text;
        buf_init(&text, MIB);
        for (int i = 0; i < SERIES; i++)
            buf_add_fmt(&text, "m{a=\"%d\",of=\"a series with a name that is as long as they are\"} 1 1000\n", i);
        assert_null(points_decode_text(decoder, POINTS_TEXT, buf_str(&text), &limits, &r));
        sim_cut_at(2); /* between the write of the commit and its sync */
        assert_null(store_append_points(store, STR("default"), r.blob, expect_refusal, &refused));
        while (store_pump(store, 0)) {}
        assert_true(refused);
        store_abandon(store);
        sim_restart();
        open_store();
        say_all("m", 0, SERIES, 2000);
        crash();
        assert_int_equal(lines_with(" 2000:"), SERIES);
    }
}

/* ---- labels that are not in the batch ---------------------------------------------------------------------------------- */

/* A request whose labels are beside it, of series NAME{…} with values of so many bytes. */
static struct batch_blob *beside(const char *name, int n, int value_bytes, int time_ms) {
    struct points_result r;
    struct points p;
    AUTO_BUF struct buf text;
    buf_init(&text, 16 * MIB);
    for (int i = 0; i < n; i++) buf_add_fmt(&text, "%s{a=\"%0*d\"} %d %d\n", name, value_bytes, i, i, time_ms);
    assert_null(points_decode_text(decoder, POINTS_TEXT, buf_str(&text), &limits, &r));
    points_view(r.blob, &p);
    assert_true(p.kept_bytes > (size_t)n * (size_t)value_bytes);
    return r.blob;
}

enum { NOTHING_CHANGES, SEALED, FORGOTTEN, ANOTHER_TENANT, CHANGES };

/* Whatever is forgotten between a decoder that knows the labels and the head, by the decoder and by the store. */
static void test_labels_are_there_whoever_forgets(void **state) {
    (void)state;
    for (int change = 0; change < CHANGES; change++) {
        struct engine *s = (struct engine *)store;
        const char *name = (const char *[]){"a", "b", "c", "d"}[change];
        for (int t = 1; t <= 2; t++) send(beside(name, SERIES, 60, 1000 * t));
        struct batch_blob *blob = beside(name, SERIES, 60, 3000);
        points_decoder_forget(decoder);
        lock_take(&s->lock);
        if (change == SEALED) engine_seal_now(s, engine_table(s, STR("default"), TABLE_SERIES, false));
        if (change == FORGOTTEN) s->forget_known = true;
        lock_give(&s->lock);
        assert_null(store_append_points(store, change == ANOTHER_TENANT ? STR("other") : STR("default"), blob,
                                        keep_outcome, NULL));
        while (store_pump(store, 0)) {}
        assert_int_equal(outcome.samples, SERIES);
        expect_it_stays();
        assert_int_equal(lines_with(" 3000:"), SERIES * (change == ANOTHER_TENANT ? change : change + 1));
        assert_int_equal(lines_with(" 1000:"), SERIES * (change + 1));
    }
    flush();
    expect_it_stays();
    assert_int_equal(stats_now().bad_blocks, 0);
}

/* In full they take more than the batch: one record more than what is left of a segment, one more than a segment. */
static void test_labels_said_in_full_fit_into_segments(void **state) {
    (void)state;
    store_points_fn keep = keep_outcome;
    for (int i = 0; i < 3; i++) {
        struct batch_blob *blob = beside((const char *[]){"x", "y", "z"}[i], i == 1 ? 1200 : 500, 300, 1000);
        assert_null(store_append_points(store, STR("default"), blob, keep, NULL));
    }
    points_decoder_forget(decoder);
    while (store_pump(store, 0)) {}
    assert_true(stats_now().bytes_logged > 2200 * 300);
    expect_it_stays();
    assert_int_equal(lines_with(" 1000:"), 2200);
    assert_int_equal(stats_now().bad_blocks, 0);
}

/* A head that was not written, and one whose first record is lost: what comes next is of neither's numbers but its own. */
static void test_a_head_without_its_first_record_is_one(void **state) {
    (void)state;
    struct table *t;
    say_all("old", 0, SERIES, 1000);
    t = engine_table((struct engine *)store, STR("default"), TABLE_SERIES, false);
    lock_take(&((struct engine *)store)->lock);
    engine_seal_now((struct engine *)store, t); /* its flush does not come */
    lock_give(&((struct engine *)store)->lock);
    uint64_t at = 4096 + stats_now().bytes_logged + 200;
    say_all("filler", 0, 1, 2000);
    say_all("new", 0, SERIES, 2000);
    flip("data/log/00000001.log", at);
    assert_int_equal(lines_with("filler{"), 0);
    assert_int_equal(lines_with("new{"), SERIES);
    say_all("old", 0, SERIES, 3000);
    say_all("old", 0, SERIES, 4000);
    expect_it_stays();
    assert_int_equal(lines_with(" 1000:"), SERIES);
    assert_int_equal(lines_with(" 4000:"), SERIES);
    for (int i = 1; i < SERIES; i += 7) {
        char line[160];
        snprintf(line, sizeof line,
                 "old{a=\"%d\", of=\"a series with a name that is as long as they are\"} 1000:%d 3000:%d 4000:%d\n", i,
                 i + 1000, i + 3000, i + 4000);
        assert_int_equal(lines_with(line), 1);
    }
}

/* Rows may repeat a series: a replay has its labels once, as the request had. */
static void test_rows_that_repeat_a_series_have_its_labels_once(void **state) {
    (void)state;
    enum { ROWS = 2000, LABEL = 16000 };
    AUTO_FREE char *large = mem_new(LABEL + 1);
    memset(large, 'x', LABEL);
    for (int round = 0; round < 3; round++) {
        struct points_builder b;
        AUTO_BUF struct buf labels;
        buf_init(&labels, MIB);
        points_builder_init(&b, POINTS_PROMETHEUS);
        points_put_label(&labels, STR("__name__"), STR("m"));
        for (int i = 0; i < 40; i++) {
            char name[8];
            snprintf(name, sizeof name, "a%02d", i);
            points_put_label(&labels, str_of(name), str_of(large));
        }
        uint32_t text = strings_append(&b.strings, buf_str(&labels));
        for (int i = 0; i < ROWS; i++) {
            points_builder_series(&b, 0, text);
            uint32_t at = points_builder_point(&b);
            b.kind[at] = POINT_DOUBLE;
            b.time[at] = (uint64_t)(1000 + round * ROWS + i);
        }
        send(points_builder_finish(&b));
        points_builder_done(&b);
        assert_int_equal(outcome.samples, ROWS);
    }
    assert_true(stats_now().bytes_logged < 2 * MIB);
    crash();
    assert_int_equal(stats_now().head_samples, 3 * ROWS);
    assert_true(budget.peak_bytes < 64 * MIB);
}

static void test_a_segment_alone_as_text(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    assert_null(store_close(store));
    opts.segment_bytes = 64 * KIB;
    open_store();
    int i = 0;
    while (stats_now().log_bytes <= 64 * KIB) say_all("m", 0, SERIES, 1000 * ++i);
    assert_null(store_dump("data/log/00000001.log", 150, &text));
    assert_non_null(strstr(text.p, "100 points of 100 series, arrived"));
    assert_non_null(strstr(text.p, "  2000 ms __name__=m a=0 "));
    buf_clear(&text);
    say_all("m", 0, SERIES, 1000 * ++i);
    assert_null(store_dump("data/log/00000002.log", 0, &text));
    assert_non_null(strstr(text.p, "100 points of 100 series, 100 of them named in earlier segments, arrived"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_what_was_said_is_referred_to, begin, end),
        cmocka_unit_test_setup_teardown(test_most_are_new_then_all_are_said, begin, end),
        cmocka_unit_test_setup_teardown(test_of_opentelemetry, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_left_of_a_head_keeps_its_log, begin, end),
        cmocka_unit_test_setup_teardown(test_after_a_failed_sync_it_is_all_in_the_log, begin, end),
        cmocka_unit_test_setup_teardown(test_what_referred_to_damage_is_told, begin, end),
        cmocka_unit_test_setup_teardown(test_numbers_of_one_head_are_not_those_of_another, begin, end),
        cmocka_unit_test_setup_teardown(test_nothing_refers_to_what_is_not_durable, begin, end),
        cmocka_unit_test_setup_teardown(test_labels_are_there_whoever_forgets, begin, end),
        cmocka_unit_test_setup_teardown(test_labels_said_in_full_fit_into_segments, begin, end),
        cmocka_unit_test_setup_teardown(test_a_head_without_its_first_record_is_one, begin, end),
        cmocka_unit_test_setup_teardown(test_rows_that_repeat_a_series_have_its_labels_once, begin, end),
        cmocka_unit_test_setup_teardown(test_a_segment_alone_as_text, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
