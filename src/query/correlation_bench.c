/* What it costs to follow an id: one that 50 traces of 40 spans and 40 log records carry, a derived one, one that a fifth of all rows carry, and one that
 * nothing carries, out of as many rows as asked for, over a day; to list all ids of the newest 100,000 and million rows; and to read the newest for propagation. Of traces: one in a hundred is of a saga; others have an id of their own, or none.
 *
 *   query_correlation_bench DIR [ROWS [ID_BYTES]]      DIR is left behind, and measured again as it is where it exists. Memory not flushed: the newest 1 % of the rows */
#include "query/contexts.h"
#include "query/correlation.h"
#include "query/correlations.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/budget.h"
#include "base/hash.h"
#include "os/clock.h"
#include "signal/batch_build.h"

enum {
    BATCH = 960,
    TRACE_ROWS = 40,
    WOVEN = 8,
    SAGA_TRACES = 50,
    SAGA_EVERY = 100,
    SERVICES = 10,
    KEYS = 8,
    ROUNDS = 7
};
static const int64_t day_start_ns = 1767225600 * (int64_t)1000000000, ms = 1000000; /* 2026-01-01 */
static const int64_t day_ns = 86400 * (int64_t)1000000000;

struct bench {
    uint32_t rows, traces, sagas; /* rows: of each kind */
    int id_digits;                /* of chance, behind an order's number */
};

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

/* ---- rows --------------------------------------------------------------------------------------------------------- */

/* Rows of WOVEN traces take turns, as they do in what arrives. */
struct made_row {
    struct batch_builder *b;
    const struct bench *bench;
    uint32_t i, trace, place; /* place: of the row in its trace */
    uint64_t chance;
    uint32_t keys[KEYS], n;
};

static uint32_t keep(struct made_row *r, bool once, const char *format, ...) __attribute__((format(printf, 3, 4)));
static uint32_t keep(struct made_row *r, bool once, const char *format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    struct str s = {text, MIN((size_t)n, sizeof text - 1)};
    return once ? strings_append(&r->b->strings, s) : strings_intern(&r->b->strings, s);
}

static void put_attribute(struct made_row *r, const char *name, enum value_type type, uint64_t value) {
    r->keys[r->n++] = batch_builder_key(r->b, str_of(name), type);
    *vec_push(&r->b->slots) = value;
}

/* One trace of a hundred is of a saga; of the others those of the first fifth all have one id, and one of seven none. */
static uint32_t id_of(struct made_row *r) {
    const struct bench *x = r->bench;
    if (r->trace % SAGA_EVERY == 0) return keep(r, false, "saga-%u", r->trace / SAGA_EVERY % x->sagas);
    if (r->trace < x->traces / 5) return keep(r, false, "everything");
    if (r->trace % 7 == 0) return 0;
    char digits[257] = "";
    for (int i = 0; i < x->id_digits; i += 16)
        snprintf(digits + i, 17, "%016llx", (unsigned long long)hash_keyed(r->trace, (uint64_t)i));
    return keep(r, false, "order-%u%.*s", r->trace, x->id_digits, digits);
}

static void put_span(struct made_row *r, uint32_t row) {
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    uint64_t parent = hash_u64((uint64_t)r->trace * TRACE_ROWS + r->place / 3) | 1;
    uint32_t route = (uint32_t)(r->chance % 60);
    if (r->place) batch_builder_set_u64(r->b, SET_ROWS, FIELD_PARENT_ID, row, parent);
    batch_builder_set_u64(r->b, SET_ROWS, FIELD_DURATION, row, r->chance >> 40);
    batch_builder_set_u32(r->b, SET_ROWS, FIELD_NAME, row, keep(r, false, "%s /api/v1/%u", methods[route % 4], route));
    put_attribute(r, "http.method", VALUE_STRING, keep(r, false, "%s", methods[route % 4]));
    put_attribute(r, "http.route", VALUE_STRING, keep(r, false, "/api/v1/{id}/%u", route));
    put_attribute(r, "http.status_code", VALUE_INT, r->chance >> 20 & 31 ? 200 : 503);
    put_attribute(r, "http.target", VALUE_STRING, keep(r, true, "/api/v1/%u/%u", r->i * 7919 % 100000, route));
    put_attribute(r, "net.peer.ip", VALUE_STRING, keep(r, false, "10.1.%u.%u", route % 20, r->i * 7 % 25));
    put_attribute(r, "user.id", VALUE_STRING, keep(r, false, "user-%05u", r->trace * 7919 % 100000));
    put_attribute(r, "order.id", VALUE_STRING, keep(r, false, "ord-%016llx", (unsigned long long)hash_u64(r->trace)));
}

static void put_log(struct made_row *r, uint32_t row) {
    batch_builder_set_u32(r->b, SET_ROWS, FIELD_BODY, row,
                          keep(r, true, "handled request %012llx of user-%05u in %u ms",
                               (unsigned long long)r->chance >> 16, r->i * 7919 % 100000, r->i % 983));
    batch_builder_set_u32(r->b, SET_ROWS, FIELD_BODY_TYPE, row, VALUE_STRING);
    batch_builder_set_u32(r->b, SET_ROWS, FIELD_SEVERITY, row, r->chance % 20 ? 9 : 17);
    put_attribute(r, "http.route", VALUE_STRING, keep(r, false, "/api/v1/{id}/%u", (uint32_t)(r->chance % 60)));
    put_attribute(r, "thread.name", VALUE_STRING, keep(r, false, "worker-%02u", (uint32_t)(r->chance >> 8) % 16));
    put_attribute(r, "code.lineno", VALUE_INT, r->chance >> 16 & 255);
}

static void put_row(struct made_row *r) {
    uint32_t row = batch_builder_row(r->b, SET_ROWS), slot = (uint32_t)r->b->slots.n;
    uint64_t id[2] = {hash_u64(r->trace), hash_u64(~(uint64_t)r->trace)};
    int64_t time = day_start_ns + (int64_t)r->i * (day_ns / r->bench->rows);
    batch_builder_set_id16(r->b, SET_ROWS, FIELD_TRACE_ID, row, id);
    batch_builder_set_u64(r->b, SET_ROWS, FIELD_SPAN_ID, row, hash_u64((uint64_t)r->trace * TRACE_ROWS + r->place) | 1);
    batch_builder_set_u64(r->b, SET_ROWS, FIELD_TIME, row, (uint64_t)time);
    batch_builder_set_u32(r->b, SET_ROWS, FIELD_RESOURCE, row, r->place % SERVICES);
    batch_builder_set_u32(r->b, SET_ROWS, FIELD_CORRELATION, row, id_of(r));
    if (r->b->signal == SIGNAL_SPANS)
        put_span(r, row);
    else
        put_log(r, row);
    batch_builder_attributes(r->b, SET_ROWS, row, r->keys, r->n, slot);
}

static void put_resources(struct batch_builder *b) {
    uint32_t key = batch_builder_key(b, STR("service.name"), VALUE_STRING);
    for (uint32_t i = 0; i < SERVICES; i++) {
        char name[32];
        uint32_t row = batch_builder_row(b, SET_RESOURCES), slot = (uint32_t)b->slots.n;
        int n = snprintf(name, sizeof name, "service-%u", i);
        *vec_push(&b->slots) = strings_intern(&b->strings, (struct str){name, (size_t)n});
        batch_builder_attributes(b, SET_RESOURCES, row, &key, 1, slot);
    }
}

static struct batch_blob *make(const struct bench *bench, enum signal signal, uint32_t from, uint32_t n) {
    struct batch_builder b;
    batch_builder_init(&b, signal);
    batch_builder_row(&b, SET_SCOPES);
    put_resources(&b);
    for (uint32_t i = from; i < from + n; i++) {
        uint32_t in_block = i % (WOVEN * TRACE_ROWS);
        struct made_row r = {.b = &b, .bench = bench, .i = i, .chance = hash_u64(i * UINT64_C(5) + signal)};
        r.trace = i / (WOVEN * TRACE_ROWS) * WOVEN + in_block % WOVEN;
        r.place = in_block / WOVEN;
        put_row(&r);
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void fill(const struct bench *x, struct store *s) {
    _Atomic uint64_t done = 0;
    uint64_t sent = 0;
    uint32_t flushed = x->rows / 100 * 99 / BATCH * BATCH;
    for (uint32_t at = 0; at < x->rows; at += BATCH)
        for (int signal = 0; signal < SIGNALS; signal++, sent++) {
            struct batch_blob *blob = make(x, (enum signal)signal, at, MIN((uint32_t)BATCH, x->rows - at));
            must(store_append(s, STR("default"), blob, stored, &done));
            while (sent + 1 > atomic_load(&done) + 64) store_pump(s, 0);
            if ((at && at % (200 * BATCH) == 0) || at == flushed) must(store_flush(s));
            if (at == flushed) must(store_merge_all(s));
        }
    while (atomic_load(&done) < sent) store_pump(s, 0);
}

/* ---- questions ---------------------------------------------------------------------------------------------------- */

/* CPU ms of asking once. */
static double ask(struct store *s, struct str id, const char *attribute, struct query *q,
                  struct query_correlation_answer *out) {
    struct query_correlation r = {
        .id = id, .time_min = INT64_MIN, .time_max = INT64_MAX, .prefix = STR("clew"), .attribute = str_of(attribute)};
    query_begin(q, &(struct query_options){.store = s, .timeout_ns = 600000 * ms});
    int64_t start = clock_thread_cpu_ns();
    must(query_correlation(q, &r, out));
    return (double)(clock_thread_cpu_ns() - start) / 1e6;
}

static void measure(struct store *s, const char *what, struct str id, const char *attribute) {
    double first = 0, best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        struct query q;
        struct query_correlation_answer found;
        double took = ask(s, id, attribute, &q, &found);
        if (i == 0) first = took;
        best = MIN(best, took);
        if (i == ROUNDS - 1)
            printf(
                "%-22s first %8.2f ms, best %8.2f ms: %zu traces, %zu spans, %zu logs%s; %.1f MiB; %llu groups, %llu "
                "of them passed over\n",
                what, first, best, found.trace_count, found.span_count, found.log_count,
                found.traces_cut || found.spans_cut || found.logs_cut ? ", cut" : "",
                (double)(q.arena.used_bytes + q.other_bytes) / MIB, (unsigned long long)q.stats.groups,
                (unsigned long long)q.stats.groups_pruned);
        query_end(&q);
    }
}

/* Each once, as they are asked for: blocks are read for the first time. */
static void measure_sagas(const struct bench *x, struct store *s) {
    double most = 0, sum = 0;
    for (uint32_t i = 0; i < x->sagas; i++) {
        char id[32];
        struct query q;
        struct query_correlation_answer found;
        snprintf(id, sizeof id, "saga-%u", i);
        double took = ask(s, str_of(id), "", &q, &found);
        most = MAX(most, took);
        sum += took;
        query_end(&q);
    }
    printf("%-22s once each: %.2f ms on average, %.2f ms at most\n", "all sagas", sum / x->sagas, most);
}

/* The newest `range_rows` of each kind. */
static void measure_list(struct store *s, const struct bench *x, uint32_t range_rows, const char *search) {
    double best = 1e9;
    range_rows = MIN(range_rows, x->rows);
    for (int i = 0; i < ROUNDS; i++) {
        struct query q;
        struct query_correlations r = {.time_min = day_start_ns + (int64_t)(x->rows - range_rows) * (day_ns / x->rows),
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
    struct bench x = {.rows = (argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000000) / 2};
    x.traces = x.rows / TRACE_ROWS;
    x.sagas = MAX(1u, x.traces / SAGA_EVERY / SAGA_TRACES);
    x.id_digits = argc > 3 ? (int)MIN(MAX(strtoul(argv[3], NULL, 10), 12ul), 256ul) - 12 : 0;
    struct budget budget;
    struct store_options o;
    struct store *s;
    char derived[64], order[32];
    budget_init(&budget, (uint64_t)4 << 30);
    store_options_default(&o);
    o.dir = argv[1];
    o.budget = &budget;
    o.manual = true;
    o.wall_ns = wall;
    bool is_there = access(argv[1], F_OK) == 0;
    int64_t start = clock_process_cpu_ns();
    must(store_open(&o, &s));
    if (!is_there) {
        fill(&x, s);
        printf("%-22s %8.2f s of CPU\n", "made and stored", (double)(clock_process_cpu_ns() - start) / 1e9);
    }
    uint64_t end = __builtin_bswap64(hash_u64(~UINT64_C(7)));
    snprintf(derived, sizeof derived, "clew-%016llx", (unsigned long long)end);
    measure_sagas(&x, s);
    snprintf(order, sizeof order, "ord-%016llx", (unsigned long long)hash_u64(101));
    measure(s, "50 traces", STR("saga-0"), "");
    measure(s, "one trace, derived", str_of(derived), "");
    measure(s, "a million spans", STR("everything"), "");
    measure(s, "none", STR("no such id"), "");
    measure(s, "by an attribute", str_of(order), "order.id");
    measure(s, "none, by an attribute", STR("no such order"), "order.id");
    measure_list(s, &x, 100000, "");
    measure_list(s, &x, 1000000, "");
    measure_list(s, &x, 1000000, "saga");
    measure_contexts(s);
    must(store_close(s));
    return 0;
}
