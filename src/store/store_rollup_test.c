/* Rollups of the engine on the simulated disk against the naive count over all spans: flushes, merges, late spans, deletes, kills, power cuts, failing
 * calls. A seed replays exactly; CLEW_LONG=1 runs many more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/sim/sim.h"
#include "signal/batch_build.h"
#include "signal/testing.h"
#include "store/rollup/tally_priv.h"
#include "store/store_testing_priv.h"

static uint64_t rounds(uint64_t quick, uint64_t all) { return getenv("CLEW_LONG") ? all : quick; }

static struct store_options options(void) {
    return (struct store_options){.dir = "data",
                                  .disk_use_max_percent = 100,
                                  .flush_bytes = 64 * KIB,
                                  .segment_bytes = 128 * KIB,
                                  .manual = true,
                                  .wall_ns = clock_wall_ns,
                                  .rollup = world_rollup_function};
}

static void begin(struct world *w, uint64_t seed) {
    struct store_options o = options();
    sim_reset(seed);
    world_init(w, seed, &o);
    w->rollups = true;
    w->rollups_ns = clock_wall_ns();
}

static void pump_log(struct world *w) {
    sim_clock_advance(1000000);
    while (store_pump(w->real, 0)) {}
}

static void live(struct world *w) {
    switch (chance_below(&w->chance, 12)) {
    case 0:
    case 1:
    case 2:
    case 3: world_send(w); break;
    case 4:
    case 5:
    case 6: store_pump(w->real, 0); break;
    case 7: store_pump(w->real, 1); break;
    case 8:
    case 9: store_pump(w->real, 2); break;
    case 10: sim_clock_advance((int64_t)chance_below(&w->chance, 10) * 1000000000); break;
    default:
        if (chance_one_in(&w->chance, 4)) world_delete(w);
    }
}

static void check_clean(void) {
    AUTO_BUF struct buf out;
    uint64_t bad = 0;
    buf_init(&out, MIB);
    err e = store_check("data", &out, &bad);
    if (e) fail_msg("check: %s", err_text(e));
    if (bad) fail_msg("check: %s", out.p);
}

static void settle_deletes(struct world *w) {
    err e = store_rewrite_now(w->real);
    if (e) fail_msg("rewrite: %s", err_text(e));
    struct store_stats stats;
    store_get_stats(w->real, &stats);
    assert_int_equal(stats.deletes_pending, 0);
}

static void close_clean(struct world *w) {
    err e = store_close(w->real);
    if (e) fail_msg("close: %s", err_text(e));
    w->real = NULL;
    check_clean();
}

static void test_model_agrees(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(15, 1000); seed++) {
        struct world w;
        begin(&w, seed);
        for (int i = 0; i < 200; i++) {
            live(&w);
            if (i % 5 == 0) world_compare_query(&w);
        }
        pump_log(&w);
        world_compare_all(&w);
        settle_deletes(&w);
        world_compare_all(&w);
        close_clean(&w);
        assert_null(world_reopen(&w));
        world_compare_all(&w);
        while (store_pump(w.real, 2)) {}
        world_compare_all(&w);
        close_clean(&w);
        world_done(&w);
    }
}

static void test_kills_and_power_cuts(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(3, 500); seed++) {
        struct world w;
        begin(&w, seed);
        for (int life = 0; life < 50; life++) {
            uint64_t steps = chance_below(&w.chance, 40);
            for (uint64_t i = 0; i < steps; i++) live(&w);
            store_abandon(w.real);
            if (chance_one_in(&w.chance, 3))
                sim_restart();
            else
                sim_reboot();
            err e = world_reopen(&w);
            if (e) fail_msg("seed %llu: reopen: %s", (unsigned long long)seed, err_text(e));
            world_compare_all(&w);
        }
        settle_deletes(&w);
        world_compare_all(&w);
        close_clean(&w);
        world_done(&w);
    }
}

/* ---- a server that is deleted ------------------------------------------------------------------------------------- */

enum { CLIENT_SPAN = 1600000, SERVER_SPAN = CLIENT_SPAN + 2 }; /* as store_rollup_support_test.c numbers them */

static void is_durable(void *context, err e) {
    (void)context;
    assert_null(e);
}

static void send_span(struct world *w, uint64_t id, uint64_t parent, int64_t time_ns) {
    struct store *stores[2] = {w->real, w->model};
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    random_batch(&w->chance, &b, 1);
    batch_builder_set_u64(&b, SET_ROWS, FIELD_SPAN_ID, 0, id);
    batch_builder_set_u64(&b, SET_ROWS, FIELD_PARENT_ID, 0, parent);
    batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, 0, (const unsigned char *)"0123456789abcdef");
    batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, 0, (uint64_t)time_ns);
    struct batch_blob *blob = batch_builder_finish(&b);
    for (int i = 0; i < 2; i++) assert_null(store_append(stores[i], STR("default"), batch_ref(blob), is_durable, NULL));
    batch_unref(blob);
    batch_builder_done(&b);
    pump_log(w);
}

static void delete_at(struct world *w, int64_t time_ns) {
    struct delete_request r = {.signals = {true}, .time_min = time_ns, .time_max = time_ns};
    uint64_t id;
    assert_null(store_delete(w->real, STR("default"), &r, &id));
    assert_null(store_delete(w->model, STR("default"), &r, &id));
    settle_deletes(w);
}

/* Calls of edges as clients saw them: of peers, and of services; the model says the same. */
static void edges_are(struct world *w, int64_t unmatched_before_ns, uint64_t to_peers, uint64_t to_services) {
    struct rollup_request r = {
        .views = {[ROLLUP_EDGE_CLIENT] = true}, .time_max = INT64_MAX, .unmatched_before_ns = unmatched_before_ns};
    struct store *stores[2] = {w->real, w->model};
    for (int i = 0; i < 2; i++) {
        struct scan_stats stats = {0};
        struct rollup_rows rows = {0};
        uint64_t calls[2] = {0};
        AUTO_ARENA struct arena a;
        arena_init(&a, MIB);
        assert_null(store_rollups(stores[i], STR("default"), &r, &a, &rows, &stats));
        for (size_t k = 0; k < rows.n; k++) calls[rows.v[k].key->kind != ROLLUP_TO_PEER] += rows.v[k].calls;
        assert_int_equal(calls[0], to_peers);
        assert_int_equal(calls[1], to_services);
    }
}

/* Its client waits again, as if no server had come, and another may come; in the file of halves that there was, or in one of its own. */
static void test_a_client_waits_again(void **state) {
    (void)state;
    for (int other = 0; other < 2; other++) {
        struct world w;
        begin(&w, 5);
        int64_t client_ns = w.rollups_ns - 600000000000, server_ns = client_ns + 1000000;
        send_span(&w, CLIENT_SPAN, 0, client_ns);
        assert_null(store_flush(w.real));
        send_span(&w, SERVER_SPAN, CLIENT_SPAN, server_ns);
        if (other) send_span(&w, CLIENT_SPAN + 16, 0, client_ns);
        assert_null(store_flush(w.real));
        edges_are(&w, client_ns, 0, 1);
        edges_are(&w, INT64_MAX, (uint64_t)other, 1);
        delete_at(&w, server_ns);
        edges_are(&w, client_ns, 0, 0);
        edges_are(&w, client_ns + 1, 1 + (uint64_t)other, 0);
        store_abandon(w.real);
        sim_reboot();
        assert_null(world_reopen(&w));
        edges_are(&w, client_ns, 0, 0);
        send_span(&w, SERVER_SPAN, CLIENT_SPAN, server_ns + 1);
        edges_are(&w, INT64_MAX, (uint64_t)other, 1);
        assert_null(store_flush(w.real));
        edges_are(&w, INT64_MAX, (uint64_t)other, 1);
        delete_at(&w, client_ns); /* which is of both */
        edges_are(&w, INT64_MAX, 0, 0);
        close_clean(&w);
        world_done(&w);
    }
}

/* Every call of the recount fails once, or is the last one: the client is of the old edge or waits, and in the end it waits. */
static bool wait_again_with_a_fault(uint64_t n, int how) {
    struct world w;
    begin(&w, 5);
    int64_t client_ns = w.rollups_ns - 600000000000, server_ns = client_ns + 1000000;
    struct delete_request r = {.signals = {true}, .time_min = server_ns, .time_max = server_ns};
    uint64_t id;
    send_span(&w, CLIENT_SPAN, 0, client_ns);
    assert_null(store_flush(w.real));
    send_span(&w, SERVER_SPAN, CLIENT_SPAN, server_ns);
    send_span(&w, CLIENT_SPAN + 16, 0, client_ns);
    assert_null(store_flush(w.real));
    assert_null(store_delete(w.real, STR("default"), &r, &id));
    assert_null(store_delete(w.model, STR("default"), &r, &id));
    if (how == 0) sim_cut_at(n);
    if (how > 0) sim_fail_at(n, how == 1 ? ERR_IO : ERR_UNAVAILABLE);
    err_free(store_rewrite_now(w.real));
    bool broke = sim_faults() > 0;
    store_abandon(w.real);
    sim_reboot();
    assert_null(world_reopen(&w));
    settle_deletes(&w);
    edges_are(&w, client_ns, 0, 0);
    edges_are(&w, INT64_MAX, 2, 0);
    send_span(&w, SERVER_SPAN, CLIENT_SPAN, server_ns + 1);
    edges_are(&w, INT64_MAX, 1, 1);
    close_clean(&w);
    world_done(&w);
    return broke;
}

static void test_a_client_waits_again_whatever_fails(void **state) {
    (void)state;
    for (int how = 0; how < 3; how++)
        for (uint64_t n = 1 + (uint64_t)how; wait_again_with_a_fault(n, how); n += rounds(3, 1)) {}
}

/* One that began long ago waits for nobody. */
static void test_an_old_client_does_not_wait_again(void **state) {
    (void)state;
    struct world w;
    begin(&w, 5);
    int64_t client_ns = w.rollups_ns - 3 * (int64_t)3600 * 1000000000;
    send_span(&w, CLIENT_SPAN, 0, client_ns);
    assert_null(store_flush(w.real));
    send_span(&w, SERVER_SPAN, CLIENT_SPAN, client_ns + 1);
    assert_null(store_flush(w.real));
    delete_at(&w, client_ns + 1);
    edges_are(&w, INT64_MAX, 1, 0);
    send_span(&w, SERVER_SPAN, CLIENT_SPAN, client_ns + 2);
    struct rollup_request r = {
        .views = {[ROLLUP_EDGE_CLIENT] = true}, .time_max = INT64_MAX, .unmatched_before_ns = INT64_MAX};
    struct scan_stats stats = {0};
    struct rollup_rows rows = {0};
    AUTO_ARENA struct arena a;
    arena_init(&a, MIB);
    assert_null(store_rollups(w.real, STR("default"), &r, &a, &rows, &stats));
    assert_int_equal(rows.n, 1);
    assert_int_equal(rows.v[0].key->kind, ROLLUP_TO_PEER);
    close_clean(&w);
    world_done(&w);
}

/* ---- days that were never counted --------------------------------------------------------------------------------- */

/* A folder of a clew that kept no rollups, opened by one that does. */
static void begin_without_rollups(struct world *w, uint64_t seed) {
    begin(w, seed);
    store_abandon(w->real);
    w->o.rollup.run = NULL;
    assert_null(store_open(&w->o, &w->real));
    for (int i = 0; i < 40; i++) {
        world_send(w);
        pump_log(w);
        if (i % 9 == 0) store_pump(w->real, 1);
    }
    assert_null(store_close(w->real));
    w->o.rollup = world_rollup_function;
    assert_null(world_reopen(w));
}

/* Its days are counted in the background, and what comes meanwhile is in none twice. */
static void test_old_days_are_counted(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(10, 300); seed++) {
        struct world w;
        begin_without_rollups(&w, seed);
        memset(w.ids, 0, sizeof w.ids); /* halves of old days do not wait */
        w.next_id += 16;
        for (int i = 0; i < 8; i++) world_send(&w);
        pump_log(&w);
        if (seed % 2) assert_null(store_flush(w.real));
        while (store_pump(w.real, 2)) {}
        world_compare_all(&w);
        close_clean(&w);
        assert_null(world_reopen(&w));
        world_compare_all(&w);
        close_clean(&w);
        world_done(&w);
    }
}

/* Counting that fails at its n-th call is tried again after a minute, without a restart; days that did not fail do not wait for it. */
static bool count_with_a_fault(uint64_t n, enum err_kind kind) {
    struct world w;
    struct store_stats stats;
    begin_without_rollups(&w, 5);
    sim_fail_at(n, kind);
    while (store_pump(w.real, 2)) {}
    bool broke = sim_faults() > 0;
    store_get_stats(w.real, &stats);
    sim_clock_advance((int64_t)61 * 1000000000);
    while (!stats.read_only && store_pump(w.real, 2)) {}
    if (!stats.read_only) world_compare_rollups(&w, 0, true);
    store_abandon(w.real);
    world_done(&w);
    return broke;
}

static void test_counting_that_fails_is_tried_again(void **state) {
    (void)state;
    for (int kind = 0; kind < 2; kind++)
        for (uint64_t n = 1; count_with_a_fault(n, kind ? ERR_UNAVAILABLE : ERR_IO); n += rounds(3, 1)) {}
}

/* ---- memory ------------------------------------------------------------------------------------------------------ */

static err ask_all(struct world *w, size_t memory, size_t *out_rows) {
    struct rollup_request r = {.time_max = INT64_MAX, .step_ns = rollup_minute_ns, .buckets = true, .exemplars = true};
    struct scan_stats stats = {0};
    struct rollup_rows rows;
    AUTO_ARENA struct arena a;
    arena_init(&a, memory);
    for (int v = 0; v < ROLLUP_VIEWS; v++) r.views[v] = true;
    err e = store_rollups(w->real, STR("default"), &r, &a, &rows, &stats);
    *out_rows = rows.n;
    return e;
}

/* What a question adds up is drawn from the budget while it does, files and memory alike, and refused over it. */
static void test_a_question_draws_from_the_budget(void **state) {
    (void)state;
    struct world w;
    size_t rows;
    begin(&w, 11);
    for (int i = 0; i < 60; i++) {
        world_send(&w);
        pump_log(&w);
        if (i == 30) assert_null(store_flush(w.real));
    }
    for (int flushed = 0; flushed < 2; flushed++) {
        assert_null(ask_all(&w, 64 * MIB, &rows)); /* what is in memory is looked at */
        uint64_t used = budget_used(&w.budget), limit = w.budget.limit_bytes;
        atomic_store(&w.budget.peak_bytes, used);
        assert_null(ask_all(&w, 64 * MIB, &rows));
        assert_true(rows > 50);
        assert_true(w.budget.peak_bytes >= used + rows * sizeof(struct rollup_row));
        assert_int_equal(budget_used(&w.budget), used);
        w.budget.limit_bytes = used + rows * sizeof(struct rollup_row);
        err e = ask_all(&w, 64 * MIB, &rows);
        assert_int_equal(err_kind(e), ERR_BUSY);
        err_free(e);
        assert_int_equal(budget_used(&w.budget), used);
        w.budget.limit_bytes = limit;
        assert_null(ask_all(&w, 64 * MIB, &rows));
        assert_null(store_flush(w.real));
    }
    close_clean(&w);
    world_done(&w);
}

/* All hours of a day that are counted anew stand in memory until its file is written: they are drawn from the budget as long. */
static void test_counting_draws_from_the_budget(void **state) {
    (void)state;
    struct world w;
    size_t rows;
    begin_without_rollups(&w, 6);
    uint64_t used = budget_used(&w.budget);
    atomic_store(&w.budget.peak_bytes, used);
    while (store_pump(w.real, 2)) {}
    uint64_t peak = w.budget.peak_bytes;
    assert_null(ask_all(&w, 64 * MIB, &rows));
    assert_true(peak >=
                used + rows * sizeof(struct tally_row)); /* of three days, each twice: as counted, and gathered */
    assert_true(budget_used(&w.budget) <= used);
    close_clean(&w);
    world_done(&w);
}

/* A short life with flushes, merges and a delete, cut or broken at its n-th call. */
static void broken_life(uint64_t n, int how, bool *out_broke) {
    struct world w;
    begin(&w, 3);
    for (int i = 0; i < 4; i++) world_send(&w);
    pump_log(&w);
    if (how == 0) sim_cut_at(n);
    if (how > 0) sim_fail_at(n, how == 1 ? ERR_IO : ERR_UNAVAILABLE);
    for (int turn = 0; turn < 6; turn++) {
        for (int i = 0; i < 3; i++) world_send(&w);
        pump_log(&w);
        store_pump(w.real, 1);
        if (turn == 3) world_delete(&w);
    }
    while (store_pump(w.real, 2)) {}
    err_free(store_rewrite_now(w.real));
    *out_broke = sim_faults() > 0;
    struct store_stats stats;
    store_get_stats(w.real, &stats);
    w.lenient = stats.read_only;
    store_abandon(w.real);
    sim_reboot();
    err e = world_reopen(&w);
    if (e) fail_msg("call %llu: reopen: %s", (unsigned long long)n, err_text(e));
    store_get_stats(w.real, &stats);
    err_free(store_rewrite_now(w.real));
    if (!*out_broke || how > 0) world_compare_rollups(&w, 0, true);
    close_clean(&w);
    world_done(&w);
}

static void test_broken_at_every_call(void **state) {
    (void)state;
    uint64_t step = rounds(23, 1);
    for (int how = 0; how < 3; how++) {
        bool broke = true;
        for (uint64_t n = 1 + (uint64_t)how; broke; n += step) broken_life(n, how, &broke);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_agrees),
        cmocka_unit_test(test_kills_and_power_cuts),
        cmocka_unit_test(test_a_client_waits_again),
        cmocka_unit_test(test_a_client_waits_again_whatever_fails),
        cmocka_unit_test(test_an_old_client_does_not_wait_again),
        cmocka_unit_test(test_old_days_are_counted),
        cmocka_unit_test(test_counting_that_fails_is_tried_again),
        cmocka_unit_test(test_a_question_draws_from_the_budget),
        cmocka_unit_test(test_counting_draws_from_the_budget),
        cmocka_unit_test(test_broken_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
