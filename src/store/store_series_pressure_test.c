/* The series table when memory is short, and when something cannot be written. */
#include "store/store_series_testing_priv.h"

/* ---- memory that is short ---------------------------------------------------------------------------------------------- */

static struct batch_blob *blob_of(const char *text) {
    struct points_result r;
    assert_null(points_decode_text(decoder, POINTS_TEXT, str_of(text), &limits, &r));
    return r.blob;
}

/* What the back thread would do, if anything is due. */
static void due_step(void) {
    struct engine *s = (struct engine *)store;
    bool did;
    lock_take(&s->work);
    struct table *t = engine_flush_due(s, clock_monotonic_ns(), false, NULL);
    if (t) assert_null(engine_flush_table(s, t, &did));
    lock_give(&s->work);
}

/* How often it was refused until it was taken: each time the back and the log thread do what is due. At most `tries`. */
static int send_until_taken(const char *tenant, const char *text, int tries) {
    for (int refused = 0; refused < tries; refused++) {
        err e = store_append_points(store, str_of(tenant), blob_of(text), keep_outcome, NULL);
        if (!e) {
            while (store_pump(store, 0)) {}
            return refused;
        }
        assert_int_equal(err_kind(e), ERR_BUSY);
        assert_non_null(strstr(err_text(e), "try again"));
        err_free(e);
        sim_clock_advance((int64_t)1100 * 1000000);
        due_step();
        while (store_pump(store, 0)) {}
    }
    fail_msg("refused %d times: it would be for ever", tries);
    return tries;
}

/* The series that come, each once, would take several times the memory there is. */
static void test_more_series_than_memory_are_taken(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    int refused = 0;
    buf_init(&text, 16 * MIB);
    for (int batch = 0; batch < 200; batch++) {
        buf_clear(&text);
        for (int i = 0; i < 4000; i++)
            buf_add_fmt(&text, "m{a=\"%d\",pod=\"a-pod-%d\"} 1 %d\n", i, batch, 1000 + batch);
        refused += send_until_taken("default", text.p, 10);
    }
    assert_true(refused > 2);
    assert_true(budget.peak_bytes <= budget.limit_bytes);
    send_until_taken("default", "m{a=\"one\"} 1 1000\n", 10);
    flush();
    assert_true(budget_used(&budget) < budget.limit_bytes / 4 + MIB); /* the share of flushes and merges */
}

/* Each has one series: no head of theirs is large. */
static void test_many_tenants_do_not_hold_the_memory(void **state) {
    (void)state;
    char tenant[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(tenant, sizeof tenant, "t%d", i);
        send_until_taken(tenant, "m 1 1000\n", 10);
    }
    assert_true(budget.peak_bytes <= budget.limit_bytes);
}

/* Half of the memory is in use, which is no pressure, and the request needs more than the other half. */
static void test_a_large_request_makes_room(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, 32 * MIB);
    for (int i = 0; i < 30000; i++) buf_add_fmt(&text, "small{a=\"%d\"} 1 1000\n", i);
    send_until_taken("default", text.p, 1);
    buf_clear(&text);
    for (int i = 0; i < 45000; i++) buf_add_fmt(&text, "large{a=\"%d\"} 1 1000\n", i);
    send_until_taken("default", text.p, 4);
}

/* Deltas of a head that was written are remembered for the next; that is not to keep others out, and is counted. */
static void test_what_is_known_is_forgotten_for_memory(void **state) {
    (void)state;
    struct store_stats stats;
    AUTO_BUF struct buf text;
    buf_init(&text, 16 * MIB);
    buf_add_text(
        &text,
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"d\",\"sum\":{\"aggregationTemporality\":1,"
        "\"isMonotonic\":true,\"dataPoints\":[");
    for (int i = 0; i < 20000; i++)
        buf_add_fmt(
            &text,
            "%s{\"attributes\":[{\"key\":\"a\",\"value\":{\"intValue\":%d}}],\"timeUnixNano\":1000000000,\"asInt\":1}",
            i ? "," : "", i);
    buf_add_text(&text, "]}}]}]}]}");
    say_otlp(text.p);
    assert_int_equal(outcome.rejected, 0);
    flush();
    store_get_stats(store, &stats);
    assert_true(stats.memory_bytes > 2 * MIB);
    uint64_t all = budget.limit_bytes;
    budget.limit_bytes = 20 * MIB; /* of it 16 are for flushes and merges */
    send_until_taken("default", "m 1 1000\n", 4);
    budget.limit_bytes = all;
    assert_true(((struct engine *)store)->tables.v[0]->series->beside < 64 * KIB);
    say_otlp(
        "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"d\",\"sum\":{\"aggregationTemporality\":1,"
        "\"isMonotonic\":true,\"dataPoints\":[{\"attributes\":[{\"key\":\"a\",\"value\":{\"intValue\":7}}],"
        "\"timeUnixNano\":2000000000,\"asInt\":5}]}}]}]}]}");
    AUTO_FREE char *got = answer();
    assert_non_null(strstr(got, "d_total{a=\"7\"} 1000:1 2000:6\n")); /* found in the file again */
}

/* ---- what cannot be written -------------------------------------------------------------------------------------------- */

static void count_refusal(void *context, err e, const struct points_outcome *o) {
    (void)o;
    assert_null(e);
    ++*(int *)context;
}

static err send_many(const char *tenant, int round, int *taken) {
    AUTO_BUF struct buf text;
    struct points_result r;
    buf_init(&text, MIB);
    for (int i = 0; i < 2000; i++) buf_add_fmt(&text, "m{a=\"%d-%d\"} 1 1000\n", round, i);
    assert_null(points_decode_text(decoder, POINTS_TEXT, buf_str(&text), &limits, &r));
    err e = store_append_points(store, str_of(tenant), r.blob, count_refusal, taken);
    while (store_pump(store, 0)) {}
    return e;
}

/* A tenant's table that cannot be written: told, refused once it holds its share, and no trouble of others. */
static void test_a_flush_that_fails_is_told_and_bounded(void **state) {
    (void)state;
    struct file *in_the_way;
    int taken = 0, rounds = 0;
    err e = NULL;
    assert_null(path_make_dir("data/tenants"));
    assert_null(file_open("data/tenants/default", FILE_CREATE, &in_the_way));
    file_close(in_the_way);
    for (; !e && rounds < 100; rounds++) {
        e = send_many("default", rounds, &taken);
        if (!e) fail_flush("tenants/default");
    }
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_BUSY);
    assert_non_null(strstr(err_text(e), "MiB of the tenant's series wait to be written, which fails: "));
    err_free(e);
    assert_true(rounds > 3);
    assert_true(budget_used(&budget) - ((struct engine *)store)->work_bytes < budget.limit_bytes / 4);
    assert_int_equal(stats_now().tables_failing, 1);
    assert_true(stats_now().flushes_failed >= 3);
    assert_null(send_many("other", 0, &taken));
    assert_null(store_flush_tenant(store, STR("other")));
    assert_null(path_remove("data/tenants/default"));
    flush();
    assert_int_equal(stats_now().tables_failing, 0);
    assert_null(send_many("default", rounds, &taken));
    assert_int_equal(taken, rounds + 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_more_series_than_memory_are_taken, begin, end),
        cmocka_unit_test_setup_teardown(test_many_tenants_do_not_hold_the_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_a_large_request_makes_room, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_known_is_forgotten_for_memory, begin, end),
        cmocka_unit_test_setup_teardown(test_a_flush_that_fails_is_told_and_bounded, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
