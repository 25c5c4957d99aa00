/* Everything at once on the real disk: appenders, scanners, flushes, merges, deletes, backups. For TSan; what is counted at
 * the end must be what was acknowledged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "signal/batch_build.h"
#include "store/journal/store_format_priv.h"
#include "signal/metrics/points_decode.h"
#include "store/series.h"

enum { APPENDERS = 2, BATCH_ROWS = 20, BATCH_SERIES = 10 };

struct busy {
    struct store *store;
    atomic_bool stop;
    _Atomic uint64_t acknowledged, waiting, scanned, pulses;
    uint64_t batches; /* per appender */
    _Atomic uint64_t samples, selected;
    _Atomic int numbers; /* of those who append points */
};

static void acknowledged(void *context, err e) {
    struct busy *b = context;
    if (!e) atomic_fetch_add(&b->acknowledged, BATCH_ROWS);
    atomic_fetch_sub(&b->waiting, 1);
    err_free(e);
}

static struct batch_blob *some_rows(void) {
    struct batch_builder b;
    int64_t now = clock_wall_ns();
    batch_builder_init(&b, SIGNAL_SPANS);
    batch_builder_row(&b, SET_RESOURCES);
    batch_builder_row(&b, SET_SCOPES);
    for (uint32_t i = 0; i < BATCH_ROWS; i++) {
        uint64_t id = random_u64();
        batch_builder_row(&b, SET_ROWS);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, i, (uint64_t)(now - (int64_t)(id % 3) * day_ns));
        batch_builder_set_u64(&b, SET_ROWS, FIELD_SPAN_ID, i, id);
        batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, i, (uint64_t[2]){id % 64, 1});
        batch_builder_set_u32(&b, SET_ROWS, FIELD_NAME, i, strings_intern(&b.strings, STR("GET /things")));
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void append_all(void *context) {
    struct busy *b = context;
    for (uint64_t i = 0; i < b->batches;) {
        atomic_fetch_add(&b->waiting, 1);
        err e = store_append(b->store, i % 7 ? STR("default") : STR("other"), some_rows(), acknowledged, b);
        if (!e)
            i++;
        else
            atomic_fetch_sub(&b->waiting, 1);
        err_free(e);
    }
}

/* ---- points ------------------------------------------------------------------------------------------------------------- */

static void points_acknowledged(void *context, err e, const struct points_outcome *o) {
    struct busy *b = context;
    assert_true(!e || !o);
    if (!e) assert_int_equal(o->rejected, 0);
    if (!e) atomic_fetch_add(&b->samples, o->samples);
    atomic_fetch_sub(&b->waiting, 1);
    err_free(e);
}

/* One sample of some series each, of which a tenth are new; labels are beside the batch, as the writer's decoder keeps them. */
static struct batch_blob *some_points(struct points_decoder *d, int number, uint64_t i, int64_t first_ms) {
    static const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct points_result r;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (uint64_t k = 0; k < BATCH_SERIES; k++)
        buf_add_fmt(&text, "things{life=\"%llu\",who=\"%d.%llu\"} %llu %lld\n", (unsigned long long)(k ? i / 50 : i),
                    number, (unsigned long long)k, (unsigned long long)(i % 5),
                    (long long)(first_ms + (int64_t)i * 10));
    err e = points_decode_text(d, POINTS_TEXT, buf_str(&text), &limits, &r);
    assert_null(e);
    if (i % 97 == 0) points_decoder_forget(d);
    return r.blob;
}

static void append_points(void *context) {
    struct busy *b = context;
    int number = atomic_fetch_add(&b->numbers, 1);
    int64_t first_ms = clock_wall_ns() / 1000000 - 3600000;
    struct points_decoder *d = points_decoder_new();
    points_decoder_share(d);
    for (uint64_t i = 0; i < b->batches;) {
        atomic_fetch_add(&b->waiting, 1);
        err e =
            store_append_points(b->store, STR("default"), some_points(d, number, i, first_ms), points_acknowledged, b);
        if (!e)
            i++;
        else
            atomic_fetch_sub(&b->waiting, 1);
        err_free(e);
    }
    points_decoder_free(d);
}

static uint64_t select_once(struct store *s, const char *expression) {
    struct label_matcher m;
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    struct selection *found;
    struct samples got;
    struct arena a;
    uint64_t n = 0;
    arena_init(&a, 256 * MIB);
    assert_null(label_matcher_make(&a, STR("who"), MATCHER_REGEX, str_of(expression), &m));
    struct series_request r = {&m, 1, INT64_MIN, INT64_MAX};
    assert_null(store_series_snapshot(s, STR("default"), &sn));
    assert_null(series_snapshot_select(sn, &r, &a, &stats, &found));
    struct selection_reader *reader = selection_reader_new(found, &stats);
    samples_init(&got, 64 * MIB);
    for (uint32_t i = 0; i < selection_count(found); i++) {
        assert_null(selection_read(reader, i, &got));
        n += got.n;
    }
    assert_int_equal(stats.bad_pages, 0);
    selection_reader_free(reader);
    samples_done(&got);
    selection_free(found);
    series_snapshot_free(sn);
    label_matcher_done(&m);
    arena_done(&a);
    return n;
}

static void select_all(void *context) {
    struct busy *b = context;
    while (!atomic_load(&b->stop)) atomic_fetch_add(&b->selected, select_once(b->store, "[01][.]3"));
}

/* Deletes of series that there are not: heads are sealed for them, files looked at. */
static void delete_series(void *context) {
    struct busy *b = context;
    struct label_matcher m;
    AUTO_ARENA struct arena a;
    arena_init(&a, MIB);
    assert_null(label_matcher_make(&a, STR("who"), MATCHER_REGEX, STR("no.?body"), &m));
    struct series_request r = {&m, 1, INT64_MIN, INT64_MAX};
    for (int i = 0; i < 10 && !atomic_load(&b->stop); i++) {
        uint64_t id;
        err e = store_delete_series(b->store, STR("default"), &r, &id);
        if (e) assert_int_equal(err_kind(e), ERR_BUSY);
        bool asked = !e;
        err_free(e);
        assert_null(store_rewrite_now(b->store));
        assert_true(!asked || store_delete_is_done(b->store, id));
    }
    label_matcher_done(&m);
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

static enum scan_next count_chunk(void *context, const struct chunk *c) {
    *(uint64_t *)context += c->n;
    return SCAN_GO_ON;
}

static uint64_t scan_once(struct store *s, const char *tenant) {
    static const struct column_ref columns[] = {{TARGET_FIELD, FIELD_TIME, {0}}, {TARGET_FIELD, FIELD_NAME, {0}}};
    struct scan_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .columns = columns, .column_count = 2};
    struct scan_stats stats = {0};
    struct snapshot *sn;
    struct arena a;
    uint64_t n = 0;
    arena_init(&a, 64 * MIB);
    assert_null(store_snapshot(s, str_of(tenant), SIGNAL_SPANS, &sn));
    assert_null(snapshot_scan(sn, &r, &a, count_chunk, &n, &stats));
    assert_int_equal(stats.bad_blocks, 0);
    snapshot_free(sn);
    arena_done(&a);
    return n;
}

static void trace_once(struct store *s) {
    struct scan_stats stats = {0};
    struct batch_builder b;
    struct snapshot *sn;
    batch_builder_init(&b, SIGNAL_SPANS);
    assert_null(store_snapshot(s, STR("default"), SIGNAL_SPANS, &sn));
    assert_null(snapshot_trace(sn, (const unsigned char *)(uint64_t[2]){random_u64() % 64, 1}, 1000, &b, &stats));
    snapshot_free(sn);
    batch_builder_done(&b);
}

/* ---- rollups ------------------------------------------------------------------------------------------------------------ */

/* Each span is a call, and one of two ends: some call, some are called by the span before. */
static void roll_up(void *context, const struct batch *b, const uint32_t *rows, uint32_t n, struct rollup_sink *out) {
    struct rollup_key key = {.view = ROLLUP_SPANS};
    (void)context;
    key.texts[ROLLUP_SERVICE] = STR("things");
    uint32_t number = rollup_sink_key(out, &key);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = rows ? rows[i] : i;
        struct rollup_half half = {.is_server = row % 2, .service = STR("things"), .peer = STR("peer")};
        half.call.start_ns = (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row);
        half.call.span_id = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row);
        half.client_span = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row - row % 2);
        rollup_sink_add(out, number, &half.call);
        rollup_sink_half(out, &half);
    }
}

static uint64_t calls_of(struct store *s, const char *tenant) {
    AUTO_ARENA struct arena a;
    struct rollup_request r = {.views = {true}, .time_min = INT64_MIN, .time_max = INT64_MAX};
    struct rollup_rows rows;
    struct scan_stats stats = {0};
    uint64_t calls = 0;
    arena_init(&a, 64 * MIB);
    assert_null(store_rollups(s, str_of(tenant), &r, &a, &rows, &stats));
    assert_int_equal(stats.bad_blocks, 0);
    for (size_t i = 0; i < rows.n; i++) calls += rows.v[i].calls;
    return calls;
}

static void roll_up_all(void *context) {
    struct busy *b = context;
    for (uint64_t before = 0; !atomic_load(&b->stop);) {
        uint64_t calls = calls_of(b->store, "default");
        assert_true(calls >= before && calls % BATCH_ROWS == 0);
        before = calls;
    }
}

static void scan_all(void *context) {
    struct busy *b = context;
    while (!atomic_load(&b->stop)) {
        atomic_fetch_add(&b->scanned, scan_once(b->store, "default"));
        trace_once(b->store);
    }
}

static void work_all(void *context) {
    struct busy *b = context;
    struct store_stats stats;
    for (int i = 0; !atomic_load(&b->stop); i++) {
        if (i % 3 == 0) assert_null(store_flush(b->store));
        if (i % 3 == 1) assert_null(store_merge_all(b->store));
        if (i % 3 == 2) assert_null(store_rewrite_now(b->store));
        store_get_stats(b->store, &stats);
        err_free(store_health(b->store));
        atomic_fetch_add(&b->pulses, store_pulse(b->store));
    }
}

/* Deletes that match no row, so that the count stays known; their masks and rewrites run all the same. */
static void delete_all(void *context) {
    struct busy *b = context;
    AUTO_ARENA struct arena a;
    struct predicate p;
    arena_init(&a, MIB);
    struct column_ref column = {TARGET_FIELD, FIELD_NAME, {0}};
    assert_null(predicate_make(&a, column, OP_EQUAL, STR("no such name"), &p));
    struct delete_request r = {
        .signals = {true, true}, .time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = &p, .predicate_count = 1};
    for (int i = 0; i < 10 && !atomic_load(&b->stop); i++) {
        uint64_t id;
        assert_null(store_delete(b->store, STR("default"), &r, &id));
        assert_null(store_rewrite_now(b->store));
        assert_true(store_delete_is_done(b->store, id));
    }
    predicate_done(&p);
}

static void run_all(struct busy *b, const char *copy) {
    static void (*const others[])(void *) = {scan_all, scan_all,   select_all,    select_all,
                                             work_all, delete_all, delete_series, roll_up_all};
    static void (*const writers[])(void *) = {append_all, append_all, append_points, append_points};
    struct thread *other[LENGTH(others)], *writer[LENGTH(writers)];
    for (size_t i = 0; i < LENGTH(others); i++) assert_null(thread_start(&other[i], "other", 0, others[i], b));
    for (size_t i = 0; i < LENGTH(writers); i++) assert_null(thread_start(&writer[i], "writer", 0, writers[i], b));
    assert_null(store_backup(b->store, copy)); /* of a store that is written */
    for (size_t i = 0; i < LENGTH(writers); i++) thread_join(writer[i]);
    atomic_store(&b->stop, true);
    for (size_t i = 0; i < LENGTH(others); i++) thread_join(other[i]);
}

static err remove_entry(void *context, const char *name, bool is_dir);

static void remove_tree(const char *path) {
    err_free(path_list(path, remove_entry, (void *)(uintptr_t)path));
    err_free(path_remove_dir(path));
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    struct path path = path_make("%.3000s/%.255s", (const char *)context, name);
    if (is_dir)
        remove_tree(path.text);
    else
        err_free(path_remove(path.text));
    return NULL;
}

static void test_all_at_once(void **state) {
    (void)state;
    struct path dir = path_make("store_thread_test.%016llx", (unsigned long long)random_u64());
    struct path copy = path_make("%s.copy", dir.text);
    struct budget budget;
    struct store_options o;
    struct busy b = {.batches = getenv("CLEW_LONG") ? 20000 : 2000};
    budget_init(&budget, 64 * MIB);
    store_options_default(&o);
    o.dir = dir.text;
    o.budget = &budget;
    o.retention_ns = 0;
    o.disk_use_max_percent = 100;
    o.disk_free_min_percent = 0;
    o.flush_bytes = 256 * KIB;
    o.segment_bytes = 256 * KIB;
    o.series.flush_bytes = 2 * MIB;
    o.rollup = (struct rollup_function){.run = roll_up};
    assert_null(store_open(&o, &b.store));
    run_all(&b, copy.text);
    assert_null(store_close(b.store));
    uint64_t expected = APPENDERS * b.batches * BATCH_ROWS;
    assert_int_equal(b.acknowledged, expected);
    assert_int_equal(b.waiting, 0);
    assert_int_equal(b.samples, 2 * b.batches * BATCH_SERIES);
    assert_true(b.pulses > 0);
    for (int i = 0; i < 2; i++) {
        o.dir = i ? copy.text : dir.text;
        assert_null(store_open(&o, &b.store));
        uint64_t samples = select_once(b.store, ".+");
        assert_true(i == 0 ? samples == b.samples : samples <= b.samples && samples % BATCH_SERIES == 0);
        uint64_t rows = scan_once(b.store, "default") + scan_once(b.store, "other");
        assert_int_equal(calls_of(b.store, "default") + calls_of(b.store, "other"), rows);
        if (i == 0)
            assert_int_equal(rows, expected);
        else
            assert_true(rows <= expected && rows % BATCH_ROWS == 0);
        assert_null(store_close(b.store));
        AUTO_BUF struct buf out;
        uint64_t bad;
        buf_init(&out, MIB);
        assert_null(store_check(o.dir, &out, &bad));
        assert_int_equal(bad, 0);
        remove_tree(o.dir);
    }
    assert_int_equal(budget_used(&budget), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_at_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
