/* The series table over damage and failing calls, and what deletes leave. */
#include "store/store_series_testing_priv.h"

/* ---- deletes --------------------------------------------------------------------------------------------------------- */

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

/* ---- damage and failing calls --------------------------------------------------------------------------------------- */

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

int main(void) {
    const struct CMUnitTest tests[] = {
        SERIES_TEST(test_deletes_concern_what_was_there),
        SERIES_TEST(test_a_delete_right_before_a_crash),
        SERIES_TEST(test_failed_sync_logs_again),
        SERIES_TEST(test_a_flipped_bit_in_a_file_is_told),
        SERIES_TEST(test_a_flipped_bit_in_the_log_is_told),
        SERIES_TEST(test_deletes_hold_or_do_not),
        SERIES_TEST(test_a_seal_for_a_delete_holds_what_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
