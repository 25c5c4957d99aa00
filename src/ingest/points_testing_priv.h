/* What the tests of metrics on their way in share: one way in with a store behind it, and all that is stored as text. Header only. */
#pragma once

#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "base/text.h"
#include "os/file.h"
#include "signal/metrics/snappy.h"
#include "signal/testing.h"
#include "store/series.h"

/* 2023-11-14 22:13:20 UTC */
#define NOW_MS 1700000000000ll
#define NOW "1700000000000"
static inline int64_t fixed_now(void) { return NOW_MS * 1000000; }

/* ---- one way in ------------------------------------------------------------------------------------------------- */

/* A real store in a folder of its own, whose log is written when the test says so. */
struct bench {
    char dir[32];
    struct store *store;
    struct budget budget;
    uint64_t base_bytes; /* of the budget: what the store holds for its own work */
    struct ingest *ingest;
    int calls;
    bool failed;
    enum err_kind kind;
    char text[512];
    struct ingest_outcome outcome;
};

static inline void open_with(struct bench *b, const struct store_options *options, uint64_t budget, size_t body_max,
                             const struct redact_rules *rules) {
    struct store_options mine = *options;
    *b = (struct bench){.dir = "/tmp/clew-ingest-XXXXXX"};
    assert_non_null(mkdtemp(b->dir));
    budget_init(&b->budget, 1 << 30);
    mine.dir = b->dir;
    mine.budget = &b->budget;
    err e = store_open(&mine, &b->store);
    if (e) fail_msg("%s", err_text(e));
    b->base_bytes = budget_used(&b->budget);
    b->budget.limit_bytes = b->base_bytes + budget;
    atomic_store(&b->budget.peak_bytes, b->base_bytes);
    b->ingest = ingest_new(&(struct ingest_options){
        .store = b->store, .budget = &b->budget, .body_max_bytes = body_max, .wall_ns = fixed_now, .redact = rules});
}

static inline void bench_options(struct store_options *out) {
    store_options_default(out);
    out->wall_ns = fixed_now;
    out->manual = true;
    out->segment_bytes = MIB;
    out->disk_use_max_percent = 100;
    out->disk_free_min_percent = 0;
}

static inline void bench_open(struct bench *b) {
    struct store_options options;
    bench_options(&options);
    open_with(b, &options, 1 << 30, 0, NULL);
}

static inline err remove_entry(void *context, const char *name, bool is_dir) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (!is_dir) return path_remove(path);
    TRY(path_list(path, remove_entry, path));
    return path_remove_dir(path);
}

static inline void bench_close(struct bench *b) {
    ingest_free(b->ingest);
    b->budget.limit_bytes = 1 << 30;
    err e = store_close(b->store);
    if (!e) e = path_list(b->dir, remove_entry, b->dir);
    if (!e) e = path_remove_dir(b->dir);
    if (e) fail_msg("%s", err_text(e));
    assert_int_equal(budget_used(&b->budget), 0);
}

static inline void on_done(void *context, err e, const struct ingest_outcome *outcome) {
    struct bench *b = context;
    b->calls++;
    b->failed = e != NULL;
    b->outcome = (struct ingest_outcome){0};
    snprintf(b->text, sizeof b->text, "%s", e ? err_text(e) : outcome->message);
    if (e)
        b->kind = err_kind(e);
    else
        b->outcome = *outcome;
    err_free(e);
}

static inline void send(struct bench *b, enum ingest_format format, const char *encoding, struct str body) {
    int before = b->calls;
    AUTO_FREE char *exact = mem_new(body.n + !body.n); /* ASan sees one byte too far */
    if (body.n) memcpy(exact, body.p, body.n);
    struct ingest_request request = {.tenant = STR("default"),
                                     .kind = INGEST_METRICS,
                                     .format = format,
                                     .encoding = str_of(encoding),
                                     .body = {exact, body.n}};
    ingest_body(b->ingest, &request, on_done, b);
    while (store_pump(b->store, 0)) {}
    assert_int_equal(b->calls, before + 1);
}

static inline void send_text(struct bench *b, const char *text) { send(b, INGEST_TEXT, "", str_of(text)); }

/* Lines of put_write_request. */
static inline void send_write(struct bench *b, int version, const char *lines) {
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, 64 * MIB);
    buf_init(&packed, 64 * MIB);
    put_write_request(version, lines, &plain);
    snappy_block_write(buf_str(&plain), &packed);
    send(b, version == 1 ? INGEST_WRITE_1 : INGEST_WRITE_2, "snappy", buf_str(&packed));
}

static inline void put_otlp_gauge(struct buf *out, const char *service, const char *name, uint64_t time_ns,
                                  double value) {
    AUTO_BUF struct buf any, entry, resource, point, gauge, metric, scope, all;
    struct buf *const parts[] = {&any, &entry, &resource, &point, &gauge, &metric, &scope, &all};
    uint64_t bits;
    for (size_t i = 0; i < LENGTH(parts); i++) buf_init(parts[i], MIB);
    memcpy(&bits, &value, 8);
    put_wire_bytes(&any, 1, str_of(service));
    put_wire_bytes(&entry, 1, STR("service.name"));
    put_wire_bytes(&entry, 2, buf_str(&any));
    put_wire_bytes(&resource, 1, buf_str(&entry));
    put_wire_fixed64(&point, 3, time_ns);
    put_wire_fixed64(&point, 4, bits);
    put_wire_bytes(&gauge, 1, buf_str(&point));
    put_wire_bytes(&metric, 1, str_of(name));
    put_wire_bytes(&metric, 5, buf_str(&gauge));
    put_wire_bytes(&scope, 2, buf_str(&metric));
    put_wire_bytes(&all, 1, buf_str(&resource));
    put_wire_bytes(&all, 2, buf_str(&scope));
    put_wire_bytes(out, 1, buf_str(&all));
}

static inline void put_repeated(struct buf *out, char c, size_t n) {
    for (size_t i = 0; i < n; i++) buf_add_byte(out, c);
}

/* ---- what is stored --------------------------------------------------------------------------------------------- */

struct line {
    char *text;
};

static inline int compare_lines(const void *a, const void *b) {
    return strcmp(((const struct line *)a)->text, ((const struct line *)b)->text);
}

static inline void put_sample(const struct samples *s, uint32_t i, struct buf *out) {
    const struct histogram *h = samples_histogram(s, i);
    buf_add_byte(out, ' ');
    if (h)
        buf_add_text(out, "histogram");
    else if (s->values[i] != s->values[i]) {
        uint64_t bits;
        memcpy(&bits, &s->values[i], 8);
        buf_add_fmt(out, "bits:%016llx", (unsigned long long)bits);
    } else
        put_f64(out, s->values[i]);
    buf_add_fmt(out, "@%lld", (long long)(s->times_ns[i] / 1000000));
}

static inline void put_labels(struct labels l, struct buf *out) {
    const char *separator = "{";
    buf_add_str(out, label_set_get(l, METRIC_NAME));
    for (uint32_t i = 0; i < l.n; i++) {
        if (str_equal(l.v[i].name, METRIC_NAME)) continue;
        buf_add_fmt(out, "%s" STR_FMT "=\"" STR_FMT "\"", separator, STR_ARG(l.v[i].name), STR_ARG(l.v[i].value));
        separator = ",";
    }
    if (*separator == ',') buf_add_byte(out, '}');
}

/* All series of the tenant, a line each, ascending: name{label="value"} value@ms … */
static inline void dump(struct bench *b, struct buf *out) {
    struct series_snapshot *snapshot;
    struct selection *selection;
    struct series_stats stats = {0};
    AUTO_ARENA struct arena arena;
    struct samples samples;
    const struct series_request all = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    arena_init(&arena, 64 * MIB);
    samples_init(&samples, MIB);
    assert_null(store_series_snapshot(b->store, STR("default"), &snapshot));
    assert_null(series_snapshot_select(snapshot, &all, &arena, &stats, &selection));
    uint32_t n = selection_count(selection);
    struct line *lines = mem_new_array(struct line, n + 1);
    struct selection_reader *reader = selection_reader_new(selection, &stats);
    for (uint32_t i = 0; i < n; i++) {
        struct buf line;
        buf_init(&line, MIB);
        put_labels(selection_labels(selection, i), &line);
        assert_null(selection_read(reader, i, &samples));
        for (uint32_t k = 0; k < samples.n; k++) put_sample(&samples, k, &line);
        lines[i].text = str_dup(buf_str(&line));
        buf_done(&line);
    }
    qsort(lines, n, sizeof *lines, compare_lines);
    for (uint32_t i = 0; i < n; i++) {
        buf_add_fmt(out, "%s\n", lines[i].text);
        mem_free(lines[i].text);
    }
    mem_free(lines);
    selection_reader_free(reader);
    selection_free(selection);
    series_snapshot_free(snapshot);
    samples_done(&samples);
}

static inline void stored(struct bench *b, const char *want) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    dump(b, &text);
    assert_string_equal(text.n ? text.p : "", want);
}

static inline void fared(const struct bench *b, uint64_t taken, uint64_t rejected, const char *message) {
    if (b->failed) fail_msg("%s", b->text);
    assert_string_equal(b->text, message);
    assert_int_equal(b->outcome.taken, taken);
    assert_int_equal(b->outcome.rejected, rejected);
}

static inline void failed(const struct bench *b, enum err_kind kind, const char *text) {
    assert_true(b->failed);
    assert_string_equal(err_kind_rows[b->kind].name, err_kind_rows[kind].name);
    if (!strstr(b->text, text)) fail_msg("%s: not in: %s", text, b->text);
}
