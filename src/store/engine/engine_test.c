/* The engine on the simulated disk where one thing is in its way: what it does then, and what it goes on doing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "os/clock.h"
#include "os/sim/sim.h"
#include "store/engine/store_engine_priv.h"
#include "store/store_testing_priv.h"

static struct store_options options(void) {
    return (struct store_options){.dir = "data",
                                  .disk_use_max_percent = 100,
                                  .flush_bytes = 64 * KIB,
                                  .segment_bytes = 128 * KIB,
                                  .manual = true,
                                  .wall_ns = clock_wall_ns};
}

static void begin(struct world *w, uint64_t seed) {
    struct store_options o = options();
    sim_reset(seed);
    world_init(w, seed, &o);
    assert_non_null(w->real);
}

static void pump_log(struct world *w) {
    while (store_pump(w->real, 0)) {}
}

static void send_some(struct world *w, int batches) {
    for (int i = 0; i < batches; i++) assert_true(world_send(w));
    pump_log(w);
}

static void end(struct world *w) {
    err e = store_close(w->real);
    if (e) fail_msg("close: %s", err_text(e));
    world_done(w);
}

static struct store_stats stats_of(struct world *w) {
    struct store_stats stats;
    store_get_stats(w->real, &stats);
    return stats;
}

/* ---- one part that cannot be written anew ------------------------------------------------------------------------ */

static const struct delete_request one_trace = {.signals = {true, true},
                                                .time_min = INT64_MIN,
                                                .time_max = INT64_MAX,
                                                .by_trace = true,
                                                .trace_id = {0x5a, [15] = 3}};

/* Files in the way of whatever part a table would write next. */
static void block_table(const char *tenant, enum signal signal, bool on) {
    int32_t today = day_of(clock_wall_ns());
    for (int32_t day = today - 5; day <= today; day++)
        for (uint64_t id = 1; id < 100; id++) {
            struct path path = path_part("data", tenant, signal, day, id), aside = path_make("%.300s.aside", path.text);
            struct file *f;
            if (on && path_exists(path.text)) continue;
            if (!on && !path_exists(aside.text)) continue;
            if (on) {
                assert_null(file_open(aside.text, FILE_CREATE, &f));
                file_close(f);
                assert_null(path_link(aside.text, path.text));
            } else {
                assert_null(path_remove(aside.text));
                err_free(path_remove(path.text));
            }
        }
}

static void test_a_part_that_fails_does_not_keep_the_others(void **state) {
    (void)state;
    struct world w;
    uint64_t first, second, id;
    begin(&w, 1);
    send_some(&w, 40);
    assert_null(store_flush(w.real));
    assert_null(store_delete(w.real, STR("default"), &one_trace, &first));
    assert_null(store_delete(w.real, STR("other"), &one_trace, &second));
    assert_null(store_delete(w.model, STR("default"), &one_trace, &id));
    assert_null(store_delete(w.model, STR("other"), &one_trace, &id));
    struct engine *engine = (struct engine *)w.real;
    struct table *blocked = engine->tables.v[0]; /* whose turn is first */
    block_table(blocked->tenant, blocked->signal, true);
    for (int i = 0; i < 40; i++) store_pump(w.real, 2);
    bool other_first = str_equal(str_of(blocked->tenant), STR("other"));
    assert_true(store_delete_is_done(w.real, other_first ? first : second));
    assert_false(store_delete_is_done(w.real, other_first ? second : first));
    world_compare_all(&w);
    block_table(blocked->tenant, blocked->signal, false);
    sim_clock_advance((int64_t)61 * 1000000000);
    while (store_pump(w.real, 2)) {}
    assert_true(store_delete_is_done(w.real, first) && store_delete_is_done(w.real, second));
    world_compare_all(&w);
    end(&w);
}

/* Asked for now, all are tried, and the first error is told. */
static void test_rewrite_now_tries_all(void **state) {
    (void)state;
    struct world w;
    uint64_t first, second, id;
    begin(&w, 2);
    send_some(&w, 40);
    assert_null(store_flush(w.real));
    assert_null(store_delete(w.real, STR("default"), &one_trace, &first));
    assert_null(store_delete(w.real, STR("other"), &one_trace, &second));
    assert_null(store_delete(w.model, STR("default"), &one_trace, &id));
    assert_null(store_delete(w.model, STR("other"), &one_trace, &id));
    struct table *blocked = ((struct engine *)w.real)->tables.v[0];
    bool other_first = str_equal(str_of(blocked->tenant), STR("other"));
    block_table(blocked->tenant, blocked->signal, true);
    err e = store_rewrite_now(w.real);
    assert_non_null(e);
    err_free(e);
    assert_true(store_delete_is_done(w.real, other_first ? first : second));
    block_table(blocked->tenant, blocked->signal, false);
    assert_null(store_rewrite_now(w.real)); /* at once, however short ago it failed */
    assert_true(store_delete_is_done(w.real, first) && store_delete_is_done(w.real, second));
    world_compare_all(&w);
    end(&w);
}

/* ---- a disk that stays short -------------------------------------------------------------------------------------- */

static err remove_entry(void *context, const char *name, bool is_dir) {
    struct path path = path_make("%.3000s/%.255s", (const char *)context, name);
    if (is_dir) return path_list(path.text, remove_entry, path.text);
    return path_remove(path.text);
}

/* Days go for room only as long as that makes room: the links of a backup hold it. */
static void test_drops_in_vain_end(void **state) {
    (void)state;
    struct world w;
    begin(&w, 3);
    for (int i = 0; i < 40; i++) {
        assert_true(world_send(&w));
        pump_log(&w);
    }
    assert_null(store_flush(w.real));
    pump_log(&w);
    assert_null(store_backup(w.real, "copy"));
    store_abandon(w.real);
    w.o.disk_free_min_percent = 50;
    assert_null(store_open(&w.o, &w.real));
    uint64_t parts = stats_of(&w).parts;
    sim_disk_limit(sim_disk_used() + sim_disk_used() / 3);
    assert_true(store_pump(w.real, 3));
    uint64_t left = stats_of(&w).parts;
    assert_true(left < parts && left > 0); /* it takes one to know */
    for (int i = 0; i < 20; i++) {
        assert_false(store_pump(w.real, 3));
        sim_clock_advance((int64_t)10 * 1000000000);
    }
    assert_int_equal(stats_of(&w).parts, left);
    err e = store_health(w.real);
    assert_true(e && err_kind(e) == ERR_UNAVAILABLE);
    assert_true(str_contains(str_of(err_text(e)), STR("freed nothing")));
    err_free(e);
    assert_false(world_send(&w));
    assert_null(path_list("copy", remove_entry, (char[]){"copy"}));
    while (store_pump(w.real, 3)) {}
    assert_true(stats_of(&w).parts <= left);
    e = store_health(w.real); /* there is room, or all closed days had to go after all */
    assert_true(!e || stats_of(&w).parts < left);
    err_free(e);
    sim_disk_limit(0);
    store_pump(w.real, 3);
    assert_null(store_health(w.real));
    end(&w);
}

/* ---- backup ------------------------------------------------------------------------------------------------------- */

static err count_entry(void *context, const char *name, bool is_dir) {
    (void)name, (void)is_dir;
    ++*(int *)context;
    return NULL;
}

static void test_a_failed_backup_leaves_nothing(void **state) {
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n += 3) {
        struct world w;
        int entries = 0;
        begin(&w, 4);
        send_some(&w, 8);
        assert_null(store_flush(w.real));
        send_some(&w, 3);
        sim_fail_at(n, n % 2 ? ERR_UNAVAILABLE : ERR_IO);
        err e = store_backup(w.real, "copy");
        failed = sim_faults() > 0;
        sim_calm();
        if (e) {
            err_free(e);
            err_free(path_list("copy", count_entry, &entries));
            assert_int_equal(entries, 0);
            e = store_backup(w.real, "copy");
        }
        if (e) fail_msg("n = %llu: %s", (unsigned long long)n, err_text(e));
        store_abandon(w.real);
        w.o.dir = "copy";
        assert_null(world_reopen(&w));
        world_compare_all(&w);
        end(&w);
    }
}

/* ---- read-only ---------------------------------------------------------------------------------------------------- */

static void test_flush_and_close_say_that_rows_stay(void **state) {
    (void)state;
    struct world w;
    begin(&w, 5);
    send_some(&w, 2);
    engine_read_only((struct engine *)w.real, "a test");
    err e = store_flush(w.real);
    assert_true(e && err_kind(e) == ERR_UNAVAILABLE);
    assert_true(str_contains(str_of(err_text(e)), STR("read-only until restart: a test")));
    err_free(e);
    e = store_close(w.real);
    assert_true(e && err_kind(e) == ERR_UNAVAILABLE);
    err_free(e);
    assert_null(world_reopen(&w));
    world_compare_all(&w);
    end(&w);
}

/* ---- replay ------------------------------------------------------------------------------------------------------- */

/* A log larger than the memory there is is read within it, whatever happens on the way. */
static void test_a_log_over_the_budget_is_replayed_within_it(void **state) {
    (void)state;
    for (uint64_t cut = 0; cut < 300; cut += 23) {
        struct world w;
        begin(&w, 6);
        store_abandon(w.real);
        w.o.flush_bytes = 256 * MIB;
        assert_null(store_open(&w.o, &w.real));
        send_some(&w, 200);
        uint64_t all = stats_of(&w).memory_bytes;
        store_abandon(w.real);
        budget_init(&w.budget, all / 3);
        w.o.flush_bytes = all / 12;
        if (cut) sim_cut_at(cut);
        err e = store_open(&w.o, &w.real);
        if (e) {
            assert_true(cut > 0);
            err_free(e);
        } else {
            assert_true(cut || stats_of(&w).flushes > 3);
            store_abandon(w.real);
        }
        sim_reboot();
        assert_null(world_reopen(&w));
        assert_true(w.budget.peak_bytes < all / 4 * 3); /* the rest of it is what open parts take */
        world_compare_all(&w);
        end(&w);
    }
}

/* A full disk, on which nothing can be flushed, is no reason not to read. */
static void test_a_log_is_replayed_on_a_full_disk(void **state) {
    (void)state;
    struct world w;
    begin(&w, 7);
    send_some(&w, 100);
    store_abandon(w.real);
    w.o.flush_bytes = 16 * KIB;
    sim_disk_limit(sim_disk_used());
    assert_null(world_reopen(&w));
    world_compare_all(&w);
    sim_disk_limit(0);
    while (store_pump(w.real, 3)) {}
    world_compare_all(&w);
    end(&w);
}

static struct batch_blob *one_row(uint64_t id) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    batch_builder_row(&b, SET_ROWS);
    batch_builder_row(&b, SET_RESOURCES);
    batch_builder_row(&b, SET_SCOPES);
    batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, 0, (uint64_t)clock_wall_ns());
    batch_builder_set_u64(&b, SET_ROWS, FIELD_SPAN_ID, 0, id);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

/* The limit of tables is one of appends: a log that has more is read whole, and so are their parts. */
static void test_more_tables_than_may_be_made_are_read(void **state) {
    (void)state;
    enum { TENANTS = TABLES_MAX + 7 };
    struct world w;
    struct record_log l;
    begin(&w, 8);
    assert_null(store_close(w.real));
    record_log_init(&l, "data/log", 8 * MIB);
    for (uint64_t i = 1; i <= TENANTS; i++) {
        struct path tenant = path_make("t%llu", (unsigned long long)i);
        struct batch_blob *blob = one_row(i);
        struct str bytes = batch_bytes(blob);
        struct log_record r = {i, SIGNAL_SPANS, str_of(tenant.text), bytes, hash_bytes(bytes.p, bytes.n), 0, 0};
        err why = NULL;
        assert_int_equal(record_log_commit(&l, &r, 1, &why), COMMIT_DONE);
        batch_unref(blob);
    }
    record_log_done(&l);
    for (int life = 0; life < 2; life++) {
        assert_null(store_open(&w.o, &w.real));
        assert_int_equal(stats_of(&w).memory_rows[SIGNAL_SPANS] + stats_of(&w).part_rows[SIGNAL_SPANS], TENANTS);
        err e = store_append(w.real, STR("new"), one_row(1), NULL, NULL);
        assert_true(e && err_kind(e) == ERR_LIMIT);
        err_free(e);
        assert_null(store_close(w.real));
    }
    world_done(&w);
}

/* ---- signs of life ------------------------------------------------------------------------------------------------ */

static void test_a_log_thread_that_does_not_go_round_gives_no_sign_of_life(void **state) {
    (void)state;
    struct world w;
    begin(&w, 1);
    pump_log(&w);
    assert_true(store_pulse(w.real)); /* nothing was asked before */
    assert_false(store_pulse(w.real));
    assert_true(world_send(&w)); /* work that waits is no sign either */
    assert_false(store_pulse(w.real));
    pump_log(&w);
    assert_true(store_pulse(w.real));
    store_pump(w.real, 1);
    store_pump(w.real, 2);
    assert_false(store_pulse(w.real)); /* another thread's work */
    pump_log(&w);
    end(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_part_that_fails_does_not_keep_the_others),
        cmocka_unit_test(test_rewrite_now_tries_all),
        cmocka_unit_test(test_drops_in_vain_end),
        cmocka_unit_test(test_a_failed_backup_leaves_nothing),
        cmocka_unit_test(test_flush_and_close_say_that_rows_stay),
        cmocka_unit_test(test_a_log_over_the_budget_is_replayed_within_it),
        cmocka_unit_test(test_a_log_is_replayed_on_a_full_disk),
        cmocka_unit_test(test_more_tables_than_may_be_made_are_read),
        cmocka_unit_test(test_a_log_thread_that_does_not_go_round_gives_no_sign_of_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
