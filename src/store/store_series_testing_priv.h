/* What the tests of the series table share: a store on the simulated disk, what is said to it in the text format and in OTLP/JSON, and all that it
 * answers as text. Header only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>
#include "base/budget.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/sim/sim.h"
#include "signal/metrics/points_decode.h"
#include "store/engine/store_engine_priv.h"

static struct budget budget;
static struct store_options opts;
static struct store *store;
static struct points_decoder *decoder;
static struct points_outcome outcome;

static inline void open_store(void) {
    err e = store_open(&opts, &store);
    if (e) fail_msg("open: %s", err_text(e));
}

static inline int begin(void **state) {
    (void)state;
    sim_reset(1);
    budget_init(&budget, 64 * MIB);
    store_options_default(&opts);
    opts.dir = "data";
    opts.budget = &budget;
    opts.retention_ns = 0;
    opts.disk_use_max_percent = 100;
    opts.manual = true;
    opts.segment_bytes = 256 * KIB;
    decoder = points_decoder_new();
    points_decoder_share(decoder);
    open_store();
    return 0;
}

static inline int end(void **state) {
    (void)state;
    err e = store ? store_close(store) : NULL;
    if (e) fail_msg("close: %s", err_text(e));
    points_decoder_free(decoder);
    store = NULL;
    if (budget_used(&budget))
        fail_msg("%llu bytes of the budget are not given back", (unsigned long long)budget_used(&budget));
    return 0;
}

static inline void crash(void) {
    store_abandon(store);
    sim_reboot();
    open_store();
}

static inline void keep_outcome(void *context, err e, const struct points_outcome *o) {
    (void)context;
    if (e) fail_msg("append: %s", err_text(e));
    outcome = *o;
}

/* Sets the bool that is its context. */
static inline void expect_refusal(void *context, err e, const struct points_outcome *o) {
    assert_true(e && !o);
    err_free(e);
    *(bool *)context = true;
}

static inline void send(struct batch_blob *blob) {
    outcome = (struct points_outcome){0};
    assert_non_null(blob);
    err e = store_append_points(store, STR("default"), blob, keep_outcome, NULL);
    if (e) fail_msg("append: %s", err_text(e));
    while (store_pump(store, 0)) {}
}

static const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};

/* Lines of the text format; times in ms. */
static inline void say(const char *text) {
    struct points_result r;
    err e = points_decode_text(decoder, POINTS_TEXT, str_of(text), &limits, &r);
    if (e) fail_msg("%s", err_text(e));
    send(r.blob);
}

#define RESOURCE "\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]}"
#define METRICS(m) "{\"resourceMetrics\":[{" RESOURCE ",\"scopeMetrics\":[{\"metrics\":[" m "]}]}]}"
#define DELTA_SUM(start, time, v)                                                                                      \
    METRICS("{\"name\":\"hits\",\"sum\":{\"aggregationTemporality\":1,\"isMonotonic\":true,\"dataPoints\":["           \
            "{\"startTimeUnixNano\":\"" start "000000000\",\"timeUnixNano\":\"" time "000000000\",\"asInt\":\"" v      \
            "\"}]}}")

static inline void say_otlp(const char *json) {
    struct points_result r;
    err e = points_decode_otlp_json(decoder, str_of(json), &limits, &r);
    if (e) fail_msg("%s", err_text(e));
    send(r.blob);
}

static inline int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* All series, one a line, in order: name{labels} time:value … */
static inline char *answer(void) {
    struct series_request r = {NULL, 0, INT64_MIN, INT64_MAX};
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    struct selection *s;
    struct samples got;
    struct arena a;
    arena_init(&a, 64 * MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_select(sn, &r, &a, &stats, &s));
    struct selection_reader *reader = selection_reader_new(s, &stats);
    samples_init(&got, 64 * MIB);
    uint32_t n = selection_count(s);
    char **lines = mem_new_array(char *, n + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct buf b;
        buf_init(&b, MIB);
        put_label_set(&b, selection_labels(s, i));
        assert_null(selection_read(reader, i, &got));
        for (uint32_t k = 0; k < got.n; k++) {
            const struct histogram *h = samples_histogram(&got, k);
            buf_add_fmt(&b, " %lld:", (long long)(got.times_ns[k] / 1000000));
            if (h) buf_add_fmt(&b, "[%llu", (unsigned long long)h->count.integer);
            if (h)
                for (uint32_t j = 0; j < h->buckets; j++)
                    buf_add_fmt(&b, " %llu", (unsigned long long)h->bucket[j].integer);
            if (h)
                buf_add_text(&b, "]");
            else if (value_is_stale(got.values[k]))
                buf_add_text(&b, "stale");
            else
                put_f64(&b, got.values[k]);
        }
        lines[i] = b.p;
    }
    assert_int_equal(stats.bad_pages, 0);
    qsort(lines, n, sizeof *lines, compare_lines);
    struct buf all;
    buf_init(&all, 16 * MIB);
    buf_add_text(&all, "");
    for (uint32_t i = 0; i < n; i++) {
        buf_add_text(&all, lines[i]);
        buf_add_byte(&all, '\n');
        mem_free(lines[i]);
    }
    mem_free(lines);
    selection_reader_free(reader);
    samples_done(&got);
    selection_free(s);
    series_snapshot_free(sn);
    arena_done(&a);
    return all.p;
}

static inline void expect_at(const char *want, int line) {
    char *got = answer();
    if (strcmp(got, want) != 0) fail_msg("line %d: got\n%swant\n%s", line, got, want);
    mem_free(got);
}
#define EXPECT(want) expect_at(want, __LINE__)

/* The same now and after a crash. */
static inline void expect_always(const char *want, int line) {
    expect_at(want, line);
    crash();
    expect_at(want, line);
}
#define EXPECT_ALWAYS(want) expect_always(want, __LINE__)

static inline struct store_stats stats_now(void) {
    struct store_stats stats;
    store_get_stats(store, &stats);
    return stats;
}

static inline void flush(void) {
    err e = store_flush(store);
    if (e) fail_msg("flush: %s", err_text(e));
    while (store_pump(store, 0)) {}
}

static inline void fail_flush(const char *what) {
    err e = store_flush_tenant(store, STR("default"));
    assert_non_null(e);
    if (!strstr(err_text(e), what)) fail_msg("%s", err_text(e));
    err_free(e);
}

static inline uint64_t delete_series(const char *label, enum label_matcher_op op, const char *value, int64_t from_ms,
                                     int64_t to_ms) {
    struct label_matcher m;
    struct arena a;
    uint64_t id = 0;
    arena_init(&a, MIB);
    assert_null(label_matcher_make(&a, str_of(label), op, str_of(value), &m));
    struct series_request r = {&m, 1, from_ms * 1000000, to_ms * 1000000};
    err e = store_delete_series(store, STR("default"), &r, &id);
    if (e) fail_msg("delete: %s", err_text(e));
    label_matcher_done(&m);
    arena_done(&a);
    return id;
}

static inline char *metadata(void) {
    struct series_snapshot *sn;
    struct series_metadata *m;
    uint32_t n;
    struct arena a;
    struct buf out;
    buf_init(&out, MIB);
    buf_add_text(&out, "");
    arena_init(&a, MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_metadata(sn, (struct str){0}, &a, &m, &n));
    for (uint32_t i = 0; i < n; i++)
        buf_add_fmt(&out, STR_FMT "/%d/" STR_FMT "\n", STR_ARG(m[i].name), (int)m[i].type, STR_ARG(m[i].help));
    series_snapshot_free(sn);
    arena_done(&a);
    return out.p;
}

static inline void expect_metadata(const char *want) {
    char *got = metadata();
    assert_string_equal(got, want);
    mem_free(got);
}

static inline void fill(void) {
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (int i = 0; i < 300; i++)
        buf_add_fmt(&text, "m{a=\"%d\",b=\"%d\"} %d %d\n", i % 7, i % 3, i * i % 1000, 1000 * (1 + i / 21));
    buf_add_text(&text, "# TYPE m gauge\n");
    say(text.p);
}

/* All samples that are answered now, and whether the answer says that some are missing. */
static inline uint64_t count_samples(bool *out_partial) {
    struct series_request r = {NULL, 0, INT64_MIN, INT64_MAX};
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    struct selection *s;
    struct samples got;
    struct arena a;
    uint64_t n = 0;
    arena_init(&a, 64 * MIB);
    assert_null(store_series_snapshot(store, STR("default"), &sn));
    assert_null(series_snapshot_select(sn, &r, &a, &stats, &s));
    struct selection_reader *reader = selection_reader_new(s, &stats);
    samples_init(&got, 64 * MIB);
    for (uint32_t i = 0; i < selection_count(s); i++) {
        assert_null(selection_read(reader, i, &got));
        n += got.n;
    }
    selection_reader_free(reader);
    samples_done(&got);
    selection_free(s);
    series_snapshot_free(sn);
    arena_done(&a);
    *out_partial = stats.bad_pages > 0;
    return n;
}

#define SERIES_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
