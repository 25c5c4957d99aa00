/* The engine on the simulated disk: whatever fails, and wherever the power goes, what was acknowledged is there, and nothing
 * else is. Every seed replays exactly; CLEW_LONG=1 runs many more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/sim/sim.h"
#include "store/store_testing_priv.h"

static uint64_t rounds(uint64_t quick, uint64_t all) { return getenv("CLEW_LONG") ? all : quick; }

static struct store_options options(int64_t retention_days) {
    return (struct store_options){
        .dir = "data",
        .retention_ns = retention_days * 86400 * 1000000000,
        .disk_use_max_percent = 100,
        .flush_bytes = 64 * KIB,
        .segment_bytes = 128 * KIB,
        .manual = true,
        .wall_ns = clock_wall_ns,
        .series = {.late_window_ns = (int64_t)100 * 86400 * 1000000000, .flush_bytes = 512 * KIB}};
}

static void pump_log(struct world *w) {
    sim_clock_advance(1000000);
    while (store_pump(w->real, 0)) {}
}

/* One random thing that a store lives through. */
static void live(struct world *w) {
    switch (chance_below(&w->chance, 12)) {
    case 0:
    case 1:
    case 2:
    case 3: world_send(w); break;
    case 4:
    case 5:
    case 6: store_pump(w->real, 0); break;
    case 7:
    case 8: store_pump(w->real, 1); break;
    case 9: store_pump(w->real, 2); break;
    case 10: store_pump(w->real, 3); break;
    default:
        if (chance_one_in(&w->chance, 3))
            world_delete(w);
        else
            sim_clock_advance((int64_t)chance_below(&w->chance, 40000) * 1000000000);
    }
}

static void close_clean(struct world *w) {
    err e = store_close(w->real);
    if (e) fail_msg("close: %s", err_text(e));
    w->real = NULL;
}

static void check_clean(const char *dir) {
    AUTO_BUF struct buf out;
    uint64_t bad = 0;
    buf_init(&out, MIB);
    err e = store_check(dir, &out, &bad);
    if (e) fail_msg("check: %s", err_text(e));
    if (bad) fail_msg("check: %s", out.p);
}

static void test_model_agrees(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(12, 400); seed++) {
        struct world w;
        struct store_options o = options(seed % 3 ? 0 : 2);
        sim_reset(seed);
        world_init(&w, seed, &o);
        w.series = true;
        for (int i = 0; i < 120; i++) {
            live(&w);
            if (i % 10 == 0) world_compare_query(&w);
        }
        pump_log(&w);
        world_compare_all(&w);
        close_clean(&w);
        check_clean("data");
        assert_null(world_reopen(&w));
        world_compare_all(&w);
        close_clean(&w);
        world_done(&w);
    }
}

static void test_power_cuts_between_steps(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(12, 600); seed++) {
        struct world w;
        struct store_options o = options(0);
        sim_reset(seed);
        world_init(&w, seed, &o);
        w.series = true;
        for (int life = 0; life < 4; life++) {
            uint64_t steps = chance_below(&w.chance, 60);
            for (uint64_t i = 0; i < steps; i++) live(&w);
            store_abandon(w.real);
            if (chance_one_in(&w.chance, 4))
                sim_restart();
            else
                sim_reboot();
            check_clean("data");
            err e = world_reopen(&w);
            if (e) fail_msg("seed %llu: reopen: %s", (unsigned long long)seed, err_text(e));
            world_compare_all(&w);
        }
        close_clean(&w);
        world_done(&w);
    }
}

/* A fixed life of every kind of work, short enough to be broken at each of its calls. Deletes: test_broken_delete. */
static void short_life(struct world *w) {
    for (int turn = 0; turn < 4; turn++) {
        for (int i = 0; i < 3; i++) {
            world_send(w);
            if (i) pump_log(w);
        }
        pump_log(w);
        store_pump(w->real, 1);
        store_pump(w->real, 1);
        pump_log(w);
    }
    while (store_pump(w->real, 2)) {}
    store_pump(w->real, 3);
    world_send(w);
    pump_log(w);
}

static bool is_read_only(struct store *s) {
    struct store_stats stats;
    store_get_stats(s, &stats);
    return stats.read_only;
}

/* Whatever happened, the next life has all that was acknowledged. */
static void next_life(struct world *w, uint64_t n) {
    if (w->real) store_abandon(w->real);
    sim_reboot();
    err e = world_reopen(w);
    if (e) fail_msg("n = %llu: reopen: %s", (unsigned long long)n, err_text(e));
    world_compare_all(w);
    world_send(w);
    pump_log(w);
    world_compare_all(w);
    close_clean(w);
    check_clean("data");
    world_done(w);
}

/* The power goes at the n-th call, for every n: opening included. */
static void test_power_cut_at_every_call(void **state) {
    (void)state;
    uint64_t step = rounds(5, 1);
    for (uint64_t seed = 1; seed <= rounds(1, 10); seed++)
        for (uint64_t n = 1;; n += step) {
            struct world w;
            struct store_options o = options(0);
            sim_reset(seed * 1000 + n);
            sim_cut_at(n);
            world_init(&w, seed, &o);
            w.series = true;
            if (w.real) short_life(&w);
            bool cut = sim_faults() > 0;
            w.lenient = w.real && is_read_only(w.real); /* a refusal that the power cut let nobody hear */
            next_life(&w, n);
            if (!cut) break;
        }
}

/* In a quick run each of the tests takes other calls. */
static void fail_at_every_call(enum err_kind kind, bool also_cut, uint64_t first) {
    uint64_t step = rounds(5, 1);
    for (uint64_t seed = 1; seed <= rounds(1, 5); seed++)
        for (uint64_t n = rounds(first, 1);; n += step) {
            struct world w;
            struct store_options o = options(0);
            sim_reset(seed * 1000 + n);
            sim_fail_at(n, kind);
            world_init(&w, seed, &o);
            w.series = true;
            if (!w.real) assert_null(world_reopen(&w));
            short_life(&w);
            bool failed = sim_faults() > 0;
            w.lenient = is_read_only(w.real);
            world_compare_all(&w);
            if (!also_cut) {
                err_free(store_close(w.real));
                w.real = NULL;
            }
            next_life(&w, n);
            if (!failed) break;
        }
}

static void test_every_call_fails_once(void **state) {
    (void)state;
    fail_at_every_call(ERR_IO, true, 2);
}

static void test_disk_is_full_at_every_call(void **state) {
    (void)state;
    fail_at_every_call(ERR_UNAVAILABLE, true, 3);
}

static void test_every_call_fails_once_then_close(void **state) {
    (void)state;
    fail_at_every_call(ERR_IO, false, 4);
}

static void test_first_failed_sync_logs_again(void **state) {
    (void)state;
    struct world w;
    struct store_options o = options(0);
    struct store_stats stats;
    sim_reset(7);
    world_init(&w, 7, &o);
    w.series = true;
    for (int i = 0; i < 5; i++) {
        world_send(&w);
        pump_log(&w);
    }
    sim_fail_sync(1);
    world_send(&w);
    pump_log(&w);
    assert_int_equal(w.refused, 1);
    store_get_stats(w.real, &stats);
    assert_int_equal(stats.syncs_failed, 1);
    assert_false(stats.read_only);
    world_send(&w);
    pump_log(&w);
    assert_int_equal(w.acknowledged, 6);
    next_life(&w, 0);
}

static void test_second_failed_sync_is_read_only(void **state) {
    (void)state;
    struct world w;
    struct store_options o = options(0);
    sim_reset(8);
    world_init(&w, 8, &o);
    w.series = true;
    for (int i = 0; i < 2; i++) {
        world_send(&w);
        pump_log(&w);
        sim_fail_sync(1);
        world_send(&w);
        pump_log(&w);
    }
    assert_true(is_read_only(w.real));
    assert_false(world_send(&w));
    world_compare_all(&w); /* reads go on */
    w.lenient = true;
    next_life(&w, 0);
}

static void test_full_disk_refuses_and_recovers(void **state) {
    (void)state;
    struct world w;
    struct store_options o = options(0);
    struct store_stats stats;
    sim_reset(9);
    world_init(&w, 9, &o);
    w.series = true;
    sim_disk_limit(sim_disk_used() + 200 * KIB);
    for (int i = 0; i < 200 && w.refused == 0; i++) {
        world_send(&w);
        pump_log(&w);
    }
    assert_true(w.refused > 0);
    store_get_stats(w.real, &stats);
    assert_true(stats.disk_full && !stats.read_only);
    err why = store_health(w.real);
    assert_int_equal(err_kind(why), ERR_UNAVAILABLE);
    err_free(why);
    world_compare_all(&w);
    sim_disk_limit(0);
    assert_true(store_pump(w.real, 3));
    uint64_t before = w.acknowledged;
    assert_true(world_send(&w));
    pump_log(&w);
    assert_int_equal(w.acknowledged, before + 1);
    next_life(&w, 0);
}

static void test_short_disk_drops_oldest_days(void **state) {
    (void)state;
    struct world w;
    struct store_options o = options(0);
    struct store_stats before, after;
    sim_reset(10);
    world_init(&w, 10, &o);
    for (int i = 0; i < 30; i++) world_send(&w);
    pump_log(&w);
    assert_null(store_flush(w.real));
    pump_log(&w);
    store_get_stats(w.real, &before);
    assert_false(store_pump(w.real, 3));
    store_abandon(w.real);
    w.o.disk_free_min_percent = 50;
    assert_null(store_open(&w.o, &w.real));
    sim_disk_limit(sim_disk_used() + sim_disk_used() / 3);
    assert_true(store_pump(w.real, 3));
    store_get_stats(w.real, &after);
    assert_true(after.parts < before.parts && after.parts > 0);
    while (store_pump(w.real, 3)) {}
    store_get_stats(w.real, &after);
    sim_disk_limit(0);
    close_clean(&w);
    check_clean("data");
    while (w.sent.n) vec_clear(&w.sent);
    world_done(&w);
}

/* ---- damage (7) ------------------------------------------------------------------------------------------------- */

struct find {
    const char *suffix;
    char dir[64], path[256];
};

static err find_file(void *context, const char *name, bool is_dir) {
    struct find *f = context;
    if (!is_dir && str_ends_with(str_of(name), str_of(f->suffix)) && !f->path[0])
        snprintf(f->path, sizeof f->path, "%s/%.100s", f->dir, name);
    return NULL;
}

static const char *first_file(struct find *f, const char *dir, const char *suffix) {
    *f = (struct find){.suffix = suffix};
    snprintf(f->dir, sizeof f->dir, "%s", dir);
    assert_null(path_list(dir, find_file, f));
    assert_true(f->path[0]);
    return f->path;
}

static enum scan_next count_chunk(void *context, const struct chunk *c) {
    *(uint64_t *)context += c->n;
    return SCAN_GO_ON;
}

/* Rows that a scan finds now, and whether it says that some are missing. */
static uint64_t count_rows(struct store *s, enum signal signal, bool *out_partial) {
    struct scan_request r = {
        .time_min = INT64_MIN,
        .time_max = INT64_MAX,
        .columns = (struct column_ref[]){{TARGET_FIELD, FIELD_TIME, {0}}, {TARGET_FIELD, FIELD_NAME, {0}}},
        .column_count = 2};
    struct scan_stats stats = {0};
    struct snapshot *sn;
    struct arena scratch;
    uint64_t n = 0;
    arena_init(&scratch, 64 * MIB);
    assert_null(store_snapshot(s, STR("default"), signal, &sn));
    err e = snapshot_scan(sn, &r, &scratch, count_chunk, &n, &stats);
    if (e) fail_msg("scan: %s", err_text(e));
    snapshot_free(sn);
    arena_done(&scratch);
    *out_partial = stats.bad_blocks > 0;
    return n;
}

/* A delete that fails, or is cut, at its n-th call holds or does not; one that was confirmed holds. */
static void break_delete(uint64_t n, bool cut, bool *out_broke) {
    struct delete_request one_trace = {.signals = {true, true},
                                       .time_min = INT64_MIN,
                                       .time_max = INT64_MAX,
                                       .by_trace = true,
                                       .trace_id = {0x5a, [15] = 3}};
    struct world w;
    struct store_options o = options(0);
    uint64_t id, before, after;
    bool partial;
    sim_reset(n);
    world_init(&w, 5, &o);
    for (int i = 0; i < 12; i++) {
        world_send(&w);
        pump_log(&w);
        if (i == 6) assert_null(store_flush(w.real));
    }
    before = count_rows(w.real, SIGNAL_SPANS, &partial);
    if (cut)
        sim_cut_at(n);
    else
        sim_fail_at(n, n % 2 ? ERR_IO : ERR_UNAVAILABLE);
    err e = store_delete(w.real, STR("default"), &one_trace, &id);
    bool confirmed = !e;
    err_free(e);
    err_free(store_rewrite_now(w.real));
    *out_broke = sim_faults() > 0;
    store_abandon(w.real);
    sim_reboot();
    assert_null(store_open(&w.o, &w.real));
    after = count_rows(w.real, SIGNAL_SPANS, &partial);
    assert_true(!partial && (after < before || !confirmed));
    if (after < before) assert_null(store_delete(w.model, STR("default"), &one_trace, &id));
    world_compare_all(&w);
    assert_null(store_rewrite_now(w.real));
    world_compare_all(&w);
    close_clean(&w);
    check_clean("data");
    world_done(&w);
}

static void test_broken_delete(void **state) {
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        bool broke = true;
        for (uint64_t n = 1; broke; n++) break_delete(n, cut, &broke);
    }
}

static uint64_t size_of(const char *path) {
    struct file *f;
    uint64_t size;
    assert_null(file_open(path, FILE_READ, &f));
    assert_null(file_size(f, &size));
    file_close(f);
    return size;
}

static void test_flipped_bit_in_a_part(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(40, 2000); seed++) {
        struct world w;
        struct find f;
        struct store_options o = options(0);
        bool partial;
        sim_reset(seed);
        world_init(&w, 1, &o);
        for (int i = 0; i < 12; i++) world_send(&w);
        pump_log(&w);
        close_clean(&w);
        assert_null(world_reopen(&w));
        uint64_t whole = count_rows(w.real, SIGNAL_SPANS, &partial);
        close_clean(&w);
        const char *path = first_file(&f, "data/tenants/default/spans", ".part");
        uint64_t size = size_of(path), at = chance_next(&(struct chance){seed * 77}) % size;
        assert_null(sim_flip_bit(path, at, seed % 8));
        AUTO_BUF struct buf out;
        uint64_t bad = 0;
        buf_init(&out, MIB);
        assert_null(store_check("data", &out, &bad));
        err e = store_open(&w.o, &w.real);
        if (e) fail_msg("flip at %llu: open: %s", (unsigned long long)at, err_text(e));
        uint64_t left = count_rows(w.real, SIGNAL_SPANS, &partial);
        if (left != whole && !partial) fail_msg("flip at %llu: rows are missing silently", (unsigned long long)at);
        if (left != whole && !bad) fail_msg("flip at %llu: check finds nothing", (unsigned long long)at);
        store_abandon(w.real);
        world_done(&w);
    }
}

static void test_flipped_bit_in_the_log(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(40, 2000); seed++) {
        struct world w;
        struct find f;
        struct store_options o = options(0);
        bool partial;
        sim_reset(seed);
        world_init(&w, 2, &o);
        for (int i = 0; i < 6; i++) {
            world_send(&w);
            pump_log(&w);
        }
        uint64_t whole = count_rows(w.real, SIGNAL_SPANS, &partial) + count_rows(w.real, SIGNAL_LOGS, &partial);
        store_abandon(w.real);
        const char *path = first_file(&f, "data/log", ".log");
        assert_null(sim_flip_bit(path, chance_next(&(struct chance){seed * 77}) % (48 * KIB), seed % 8));
        assert_null(store_open(&w.o, &w.real));
        uint64_t left = count_rows(w.real, SIGNAL_SPANS, &partial) + count_rows(w.real, SIGNAL_LOGS, &partial);
        struct store_stats stats;
        store_get_stats(w.real, &stats);
        assert_true(left == whole || (left < whole && stats.bad_blocks > 0)); /* the last commit's rows, too */
        store_abandon(w.real);
        world_done(&w);
    }
}

static void test_flipped_bit_in_the_manifest(void **state) {
    (void)state;
    for (uint64_t at = 0; at < 600; at += 1 + at % 3) {
        struct world w;
        struct store_options o = options(0);
        sim_reset(at);
        world_init(&w, 3, &o);
        w.series = true;
        for (int i = 0; i < 3; i++) world_send(&w);
        pump_log(&w);
        assert_null(store_flush(w.real));
        store_abandon(w.real);
        assert_null(sim_flip_bit("data/manifest", at, at % 8));
        err e = world_reopen(&w);
        if (at < 64)
            assert_true(!e || err_kind(e) == ERR_CORRUPT || err_kind(e) == ERR_INVALID);
        else if (e)
            fail_msg("flip at %llu: %s", (unsigned long long)at, err_text(e));
        if (!e) {
            world_compare_all(&w); /* each edit stands twice: nothing is lost */
            store_abandon(w.real);
        }
        err_free(e);
        while (w.sent.n) world_settle(&w);
        world_done(&w);
    }
}

static void test_idle_store_has_no_log(void **state) {
    (void)state;
    struct world w;
    struct store_options o = options(0);
    struct store_stats stats;
    sim_reset(11);
    world_init(&w, 11, &o);
    w.series = true;
    for (int i = 0; i < 60; i++) {
        world_send(&w);
        pump_log(&w);
    }
    store_get_stats(w.real, &stats);
    assert_true(stats.log_bytes > 0);
    assert_null(store_flush(w.real));
    pump_log(&w);
    store_get_stats(w.real, &stats);
    assert_int_equal(stats.log_bytes, 0);
    assert_int_equal(stats.head_samples, 0);
    assert_true(stats.memory_bytes < 64 * KIB); /* what the next deltas are added to */
    close_clean(&w);
    assert_null(world_reopen(&w));
    store_get_stats(w.real, &stats);
    assert_int_equal(stats.replayed_records, 0);
    world_compare_all(&w);
    close_clean(&w);
    world_done(&w);
}

static void test_deletes_leave_no_byte(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(6, 100); seed++) {
        struct world w;
        struct store_options o = options(0);
        uint64_t ids[4];
        sim_reset(seed);
        world_init(&w, seed, &o);
        w.series = true;
        for (int i = 0; i < 4; i++) {
            for (int k = 0; k < 6; k++) world_send(&w);
            pump_log(&w);
            store_pump(w.real, 1);
            ids[i] = world_delete(&w);
            assert_true(ids[i]);
            world_compare_all(&w); /* at once */
        }
        if (seed % 2) {
            store_abandon(w.real);
            sim_reboot();
            assert_null(world_reopen(&w));
            world_compare_all(&w);
        }
        assert_null(store_rewrite_now(w.real));
        for (int i = 0; i < 4; i++) assert_true(store_delete_is_done(w.real, ids[i]));
        world_compare_all(&w);
        close_clean(&w);
        check_clean("data");
        assert_null(world_reopen(&w));
        world_compare_all(&w);
        close_clean(&w);
        world_done(&w);
    }
}

static void test_backup_and_restore(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= rounds(6, 100); seed++) {
        struct world w;
        struct store_options o = options(0);
        sim_reset(seed);
        world_init(&w, seed, &o);
        w.series = true;
        for (int i = 0; i < 80; i++) live(&w);
        pump_log(&w);
        err e = store_backup(w.real, "copy");
        if (e) fail_msg("backup: %s", err_text(e));
        store_abandon(w.real); /* what follows reads the copy */
        sim_reboot();
        check_clean("copy");
        e = store_restore("copy", "again");
        if (e) fail_msg("restore: %s", err_text(e));
        w.o.dir = "again";
        assert_null(world_reopen(&w));
        world_compare_all(&w);
        e = store_restore("copy", "again");
        assert_int_equal(err_kind(e), ERR_CONFLICT);
        err_free(e);
        close_clean(&w);
        world_done(&w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_agrees),
        cmocka_unit_test(test_power_cuts_between_steps),
        cmocka_unit_test(test_power_cut_at_every_call),
        cmocka_unit_test(test_every_call_fails_once),
        cmocka_unit_test(test_every_call_fails_once_then_close),
        cmocka_unit_test(test_disk_is_full_at_every_call),
        cmocka_unit_test(test_first_failed_sync_logs_again),
        cmocka_unit_test(test_second_failed_sync_is_read_only),
        cmocka_unit_test(test_full_disk_refuses_and_recovers),
        cmocka_unit_test(test_short_disk_drops_oldest_days),
        cmocka_unit_test(test_broken_delete),
        cmocka_unit_test(test_flipped_bit_in_a_part),
        cmocka_unit_test(test_flipped_bit_in_the_log),
        cmocka_unit_test(test_flipped_bit_in_the_manifest),
        cmocka_unit_test(test_idle_store_has_no_log),
        cmocka_unit_test(test_deletes_leave_no_byte),
        cmocka_unit_test(test_backup_and_restore),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
