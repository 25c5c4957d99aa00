/* What it costs to follow an id: one that 50 traces of 40 spans and 40 log records carry, one of a single trace, a derived one, and one that
 * nothing carries, out of as many rows as asked for; and to list all ids of a range, of 100,000 and of a million rows in it;
 * and to read the newest rows for propagation.
 *
 *   query_correlation_bench DIR [ROWS]      DIR must not exist; it is left behind. Memory not flushed: the newest 1 % of the rows */
#include "query/contexts.h"
#include "query/correlation.h"
#include "query/correlations.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/budget.h"
#include "base/hash.h"
#include "os/clock.h"
#include "signal/batch_build.h"

enum { BATCH = 1000, TRACE_ROWS = 40, SAGA_TRACES = 50, ROUNDS = 7 };
static const int64_t day_start_ns = 1767225600 * (int64_t)1000000000, ms = 1000000; /* 2026-01-01 */

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    exit(1);
}

static int64_t wall(void) { return day_start_ns + 86400000 * ms; }

static void stored(void *context, err e) {
    must(e);
    atomic_fetch_add((_Atomic uint64_t *)context, 1);
}

static void put_row(struct batch_builder *b, uint32_t i, uint32_t rows, uint32_t key) {
    char text[64];
    uint32_t row = batch_builder_row(b, SET_ROWS), trace = i / TRACE_ROWS, slot = (uint32_t)b->slots.n;
    uint64_t id[2] = {hash_u64(trace), hash_u64(~(uint64_t)trace)};
    bool saga = trace % (rows / TRACE_ROWS / SAGA_TRACES) == 0;
    int n = snprintf(text, sizeof text, saga ? "the saga" : "order-%u", trace);
    uint32_t correlation = strings_intern(&b->strings, (struct str){text, (size_t)n});
    batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, id);
    batch_builder_set_u64(b, SET_ROWS, FIELD_SPAN_ID, row, hash_u64(i * UINT64_C(3)) | 1);
    batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, (uint64_t)(day_start_ns + (int64_t)i * ms / 100));
    batch_builder_set_u32(b, SET_ROWS, FIELD_RESOURCE, row, 0);
    batch_builder_set_u32(b, SET_ROWS, FIELD_SCOPE, row, 0);
    if (trace % 7) batch_builder_set_u32(b, SET_ROWS, FIELD_CORRELATION, row, correlation);
    if (trace % 7 == 0 && saga) batch_builder_set_u32(b, SET_ROWS, FIELD_CORRELATION, row, correlation);
    n = snprintf(text, sizeof text, "handled request %u of user %u in %u ms", i, i * 7919 % 100000, i % 983);
    uint32_t words = strings_append(&b->strings, (struct str){text, (size_t)n});
    if (b->signal == SIGNAL_SPANS) {
        if (i % TRACE_ROWS)
            batch_builder_set_u64(b, SET_ROWS, FIELD_PARENT_ID, row, hash_u64((i - 1) * UINT64_C(3)) | 1);
        batch_builder_set_u64(b, SET_ROWS, FIELD_DURATION, row, 1000000);
        batch_builder_set_u32(b, SET_ROWS, FIELD_NAME, row, strings_intern(&b->strings, STR("GET /orders")));
    } else {
        batch_builder_set_u32(b, SET_ROWS, FIELD_BODY, row, words);
        batch_builder_set_u32(b, SET_ROWS, FIELD_BODY_TYPE, row, VALUE_STRING);
    }
    *vec_push(&b->slots) = words;
    batch_builder_attributes(b, SET_ROWS, row, &key, 1, slot);
}

static struct batch_blob *make(enum signal signal, uint32_t from, uint32_t n, uint32_t rows) {
    struct batch_builder b;
    batch_builder_init(&b, signal);
    batch_builder_row(&b, SET_SCOPES);
    batch_builder_row(&b, SET_RESOURCES);
    uint32_t key = batch_builder_key(&b, STR("message"), VALUE_STRING);
    for (uint32_t i = from; i < from + n; i++) put_row(&b, i, rows, key);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void fill(struct store *s, uint32_t rows) {
    _Atomic uint64_t done = 0;
    uint64_t sent = 0;
    uint32_t flushed = rows / 100 * 99 / BATCH * BATCH;
    for (uint32_t at = 0; at < rows; at += BATCH)
        for (int signal = 0; signal < SIGNALS; signal++, sent++) {
            must(store_append(s, STR("default"), make((enum signal)signal, at, MIN((uint32_t)BATCH, rows - at), rows),
                              stored, &done));
            while (sent + 1 > atomic_load(&done) + 64) store_pump(s, 0);
            if ((at && at % 200000 == 0) || at == flushed) must(store_flush(s));
            if (at == flushed) must(store_merge_all(s));
        }
    while (atomic_load(&done) < sent) store_pump(s, 0);
}

static void measure(struct store *s, const char *what, struct str id, const char *attribute) {
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        struct query q;
        struct query_correlation r = {.id = id,
                                      .time_min = INT64_MIN,
                                      .time_max = INT64_MAX,
                                      .prefix = STR("clew"),
                                      .attribute = str_of(attribute)};
        struct query_correlation_answer found;
        query_begin(&q, &(struct query_options){.store = s, .timeout_ns = 600000 * ms});
        int64_t start = clock_thread_cpu_ns();
        must(query_correlation(&q, &r, &found));
        double took = (double)(clock_thread_cpu_ns() - start) / 1e6;
        if (i == 0) printf("%-22s first %8.2f ms, ", what, took);
        best = MIN(best, took);
        if (i == ROUNDS - 1)
            printf("best %8.2f ms: %zu traces, %zu spans, %zu logs; %llu groups, %llu of them passed over\n", best,
                   found.trace_count, found.span_count, found.log_count, (unsigned long long)q.stats.groups,
                   (unsigned long long)q.stats.groups_pruned);
        query_end(&q);
    }
}

/* The newest `range_rows` of each kind. */
static void measure_list(struct store *s, uint32_t rows, uint32_t range_rows, const char *search) {
    double best = 1e9;
    range_rows = MIN(range_rows, rows);
    for (int i = 0; i < ROUNDS; i++) {
        struct query q;
        struct query_correlations r = {.time_min = day_start_ns + (int64_t)(rows - range_rows) * ms / 100,
                                       .time_max = INT64_MAX - QUERY_IDS_MARGIN_NS,
                                       .search = str_of(search)};
        struct query_correlations_answer found;
        query_begin(&q, &(struct query_options){.store = s, .timeout_ns = 600000 * ms});
        int64_t start = clock_thread_cpu_ns();
        must(query_correlations(&q, &r, &found));
        double took = (double)(clock_thread_cpu_ns() - start) / 1e6;
        if (i == 0) printf("list of %8u, '%s'  first %8.2f ms, ", range_rows, search, took);
        best = MIN(best, took);
        if (i == ROUNDS - 1)
            printf("best %8.2f ms: %u ids, %u traces, %zu rows%s; %zu MiB\n", best, found.id_count, found.trace_count,
                   found.n, found.cut ? ", cut" : "", q.arena.used_bytes / MIB);
        query_end(&q);
    }
}

static void measure_contexts(struct store *s) {
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        struct query q;
        struct query_contexts r = {.time_min = INT64_MIN, .time_max = INT64_MAX};
        struct query_contexts_answer found;
        query_begin(&q, &(struct query_options){.store = s, .timeout_ns = 600000 * ms});
        int64_t start = clock_thread_cpu_ns();
        must(query_contexts(&q, &r, &found));
        best = MIN(best, (double)(clock_thread_cpu_ns() - start) / 1e6);
        if (i == ROUNDS - 1)
            printf("contexts               best %8.2f ms: %zu rows%s; %zu MiB\n", best, found.n,
                   found.cut ? ", cut" : "", q.arena.used_bytes / MIB);
        query_end(&q);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    uint32_t rows = (argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000000) / 2;
    struct budget budget;
    struct store_options o;
    struct store *s;
    char derived[64];
    budget_init(&budget, (uint64_t)4 << 30);
    store_options_default(&o);
    o.dir = argv[1];
    o.budget = &budget;
    o.manual = true;
    o.wall_ns = wall;
    must(store_open(&o, &s));
    fill(s, rows);
    uint64_t end = __builtin_bswap64(hash_u64(~UINT64_C(7)));
    snprintf(derived, sizeof derived, "clew-%016llx", (unsigned long long)end);
    measure(s, "50 traces", STR("the saga"), "");
    measure(s, "one trace", STR("order-101"), "");
    measure(s, "one trace, derived", str_of(derived), "");
    measure(s, "none", STR("no such id"), "");
    measure(s, "by an attribute", STR("handled request 4711 of user 6409 in 779 ms"), "message");
    measure(s, "none, by an attribute", STR("no such text"), "message");
    measure_list(s, rows, 100000, "");
    measure_list(s, rows, 1000000, "");
    measure_list(s, rows, 1000000, "saga");
    measure_contexts(s);
    must(store_close(s));
    return 0;
}
