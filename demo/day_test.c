/* A time of the shop, with faults in it, into the real ingest and store: all on the simulated clock and disk, in one process. Nothing that was told is
 * missing, and the same seed gives the same. day_test MINUTES: how long that takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/hash.h"
#include "base/text.h"
#include "ingest/ingest.h"
#include "os/clock.h"
#include "os/sim/sim.h"
#include "store/store.h"
#include "town.h"

#define MINUTE_NS (60000 * SHOP_MS)

static struct {
    struct budget budget;
    struct store *store;
    struct ingest *ingest;
    struct town *town;
    uint64_t told[EMIT_KINDS], landed, failed, batches;
    struct town_db db;
} w;

static void on_landed(void *context, err e, const struct ingest_outcome *outcome) {
    (void)context;
    if (e || outcome->rejected) w.failed++;
    if (!e) w.landed += outcome->taken;
    err_free(e);
}

static void pump(int kinds) {
    for (bool more = true; more;) {
        more = false;
        for (int kind = 0; kind < kinds; kind++) more |= store_pump(w.store, kind);
    }
}

static void take_wait(void *context, enum emit_kind kind, struct batch_blob *blob) {
    static const enum ingest_kind kinds[EMIT_KINDS] = {
        [EMIT_SPANS] = INGEST_SPANS, [EMIT_LOGS] = INGEST_LOGS, [EMIT_METRICS] = INGEST_METRICS};
    struct batch rows;
    struct points points;
    (void)context;
    if (kind == EMIT_METRICS)
        points_view(blob, &points), w.told[kind] += points.n;
    else
        batch_view(blob, &rows), w.told[kind] += rows.rows;
    err e = kind == EMIT_METRICS ? ingest_points(w.ingest, STR("default"), INGEST_COLLECTED, blob, on_landed, NULL)
                                 : ingest_rows(w.ingest, STR("default"), kinds[kind], blob, on_landed, NULL);
    if (e) fail_msg("%s", err_text(e));
    pump(++w.batches % 100 ? 1 : 4);
}

static void open_all(uint64_t seed) {
    struct store_options o;
    sim_reset(seed);
    memset(w.told, 0, sizeof w.told);
    w.landed = w.failed = w.batches = 0;
    budget_init(&w.budget, (uint64_t)1 << 30);
    store_options_default(&o);
    o.dir = "/data";
    o.manual = true;
    o.segment_bytes = MIB; /* the simulated disk copies what it syncs */
    o.budget = &w.budget;
    assert_null(store_open(&o, &w.store));
    w.ingest = ingest_new(&(struct ingest_options){.store = w.store, .budget = &w.budget});
    town_db_make(&w.db);
    assert_null(
        town_new(&(struct town_options){.sink = {take_wait, NULL}, .db = w.db.path, .failure_rate = -1}, &w.town));
}

static void close_all(void) {
    town_free(w.town);
    pump(4);
    ingest_free(w.ingest);
    assert_null(store_close(w.store));
    town_db_remove(&w.db);
}

static void set_faults(enum shop_peer of, const char *faults) {
    struct shop_reply answer;
    town_ask_wait(w.town, of,
                  &(struct shop_request){.method = STR("POST"), .path = STR("/faults"), .body = str_of(faults)},
                  &answer);
    assert_int_equal(answer.status, 200);
    buf_done(&answer.body);
}

/* What goes wrong in a time of ten parts. */
static const struct trouble {
    enum shop_peer of;
    const char *faults;
} troubles[10] = {[2] = {SHOP_PAYMENT, "{\"latency_ms\":800}"},
                  [3] = {SHOP_PAYMENT, "{}"},
                  [5] = {SHOP_ORDER, "{\"version\":\"1.1.0\",\"errors\":0.4}"},
                  [6] = {SHOP_ORDER, "{}"},
                  [8] = {SHOP_ORDER, "{\"down\":\"inventory-service\"}"}};

static void run(int64_t ns) {
    for (size_t i = 0; i < LENGTH(troubles); i++) {
        if (troubles[i].faults) set_faults(troubles[i].of, troubles[i].faults);
        town_run_wait(w.town, 2, ns / (int64_t)LENGTH(troubles));
    }
}

static void tell_all(uint64_t out[3]) {
    struct ingest_stats in;
    struct store_stats stats;
    pump(4);
    ingest_get_stats(w.ingest, &in);
    store_get_stats(w.store, &stats);
    out[0] = in.rows[INGEST_SPANS];
    out[1] = in.rows[INGEST_LOGS];
    out[2] = stats.samples_appended;
}

static void all_that_is_told_is_stored(void **state) {
    (void)state;
    uint64_t stored[3], again[3];
    for (int life = 0; life < 2; life++) {
        open_all(11);
        run(5 * MINUTE_NS);
        tell_all(life ? again : stored);
        assert_int_equal(w.failed, 0);
        assert_int_equal(w.landed, w.told[EMIT_SPANS] + w.told[EMIT_LOGS] + w.told[EMIT_METRICS]);
        close_all();
    }
    assert_in_range(stored[0], 2000, 20000);
    assert_in_range(stored[1], 200, 20000);
    assert_true(stored[2] > 1000);
    assert_memory_equal(stored, again, sizeof stored);
}

static int run_long(const char *minutes) {
    uint64_t n, stored[3];
    if (parse_u64(str_of(minutes), &n)) return 2;
    open_all(1);
    run((int64_t)n * MINUTE_NS);
    tell_all(stored);
    printf("%llu spans, %llu log records, %llu samples\n", (unsigned long long)stored[0], (unsigned long long)stored[1],
           (unsigned long long)stored[2]);
    close_all();
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(all_that_is_told_is_stored)};
    hash_seed(1, 2);
    return argc > 1 ? run_long(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
