/* Limits of the series table: of series, of new ones, of a request, of a selection. */
#include "store/store_series_testing_priv.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
        SERIES_TEST(test_limits_name_offenders),          SERIES_TEST(test_selections_have_bounds),
        SERIES_TEST(test_a_request_makes_so_many_series), SERIES_TEST(test_a_request_over_the_memory_is_a_limit),
        SERIES_TEST(test_new_series_are_limited_by_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
