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
