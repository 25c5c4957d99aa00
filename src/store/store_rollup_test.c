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
        cmocka_unit_test(test_old_days_are_counted),
        cmocka_unit_test(test_counting_that_fails_is_tried_again),
        cmocka_unit_test(test_a_question_draws_from_the_budget),
        cmocka_unit_test(test_counting_draws_from_the_budget),
        cmocka_unit_test(test_broken_at_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
