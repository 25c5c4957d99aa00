/* Spans that have ends of edges, and what a store and its model say they come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signal/batch_build.h"
#include "store/journal/store_format_priv.h"
#include "store/store_testing_priv.h"

/* ---- spans ------------------------------------------------------------------------------------------------------ */

/* Ids come in groups of sixteen, which are a trace: 0 calls 2, 1 sends to 3, 4 and 5, 6 calls nobody that is known, 7 is called by one that is not. From 8 on
 * kinds do not say who calls: 8 is the parent of servers 9 and 14 and of 10 and 11, 12 calls 13, which is no server, 15 is one of its own service's 9.
 * Ids that are six apart are of one service: 14 of 8, 15 of 9, 6, whose parent is 0. */
enum {
    GROUP = 16,
    CALLS = 0,
    SENDS,
    IS_CALLED,
    ALONE = 6,
    LOST,
    PARENT,
    SERVER_OF_PARENT,
    CHILD_OF_PARENT,
    GRANDCHILD,
    CALLS_PLAIN,
    CHILD_OF_CLIENT,
    OWN_SERVER,
    OWN_OF_SERVER
};
/* The parent of each, in its group; -1: none. */
static const int8_t parents[GROUP] = {-1,    -1,          CALLS,  SENDS,           SENDS,  SENDS,
                                      CALLS, -1,          -1,     PARENT,          PARENT, CHILD_OF_PARENT,
                                      -1,    CALLS_PLAIN, PARENT, SERVER_OF_PARENT};

/* One of the next 48 ids, so that those of a trace come in any order and in different batches. */
static uint64_t next_id(struct world *w) {
    static const size_t n = LENGTH(((struct world *)0)->ids);
    size_t at = chance_below(&w->chance, (uint32_t)n);
    for (size_t i = 0; i < n; i++)
        if (!w->ids[i]) w->ids[i] = ++w->next_id + 1000000;
    uint64_t id = w->ids[at];
    w->ids[at] = ++w->next_id + 1000000;
    return id;
}

void world_rollup_row(struct world *w, struct batch_builder *b, uint32_t row) {
    uint64_t id = next_id(w), group = id / GROUP, parent = 0;
    unsigned char trace[16] = {0x5a, [15] = (unsigned char)(1 + group % 12)};
    if (parents[id % GROUP] >= 0) parent = group * GROUP + (uint64_t)parents[id % GROUP];
    if (id % GROUP == LOST) parent = 77;
    int64_t time = w->rollups_ns - (int64_t)(group % 3) * day_ns - (int64_t)(group % 60) * 60000000000 -
                   (int64_t)chance_below(&w->chance, 90000) * 1000000;
    batch_builder_set_u64(b, SET_ROWS, FIELD_SPAN_ID, row, id);
    batch_builder_set_u64(b, SET_ROWS, FIELD_PARENT_ID, row, parent);
    batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, trace);
    batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, (uint64_t)time);
    batch_builder_set_u64(
        b, SET_ROWS, FIELD_DURATION, row,
        chance_one_in(&w->chance, 9) ? 0 : chance_next(&w->chance) >> (24 + chance_below(&w->chance, 40)));
    batch_builder_set_u32(b, SET_ROWS, FIELD_STATUS, row, chance_below(&w->chance, 3));
}

static bool is_server(uint64_t kind) {
    return (kind >= IS_CALLED && kind <= LOST && kind != ALONE) || kind == SERVER_OF_PARENT || kind == OWN_SERVER ||
           kind == OWN_OF_SERVER;
}

static void roll_up_edges(struct rollup_half *half, uint64_t id, uint64_t parent, struct rollup_sink *out) {
    uint64_t kind = id % GROUP;
    bool is_client = kind == CALLS || kind == SENDS || kind == ALONE || kind == CALLS_PLAIN;
    half->is_server = is_server(kind);
    half->is_remembered = kind == SENDS;
    half->connection = kind == SENDS ? ROLLUP_MESSAGING : ROLLUP_DIRECT;
    half->client_span = half->is_server ? parent : id;
    if (is_client || half->is_server) rollup_sink_half(out, half);
    if (!is_client)
        rollup_sink_parent(out, &(struct rollup_parent){half->environment, half->space, half->service,
                                                        half->call.trace_id, id, half->call.start_ns});
    if (half->is_server || !parent) return;
    half->is_server = half->is_plain = true;
    half->is_remembered = false;
    half->connection = ROLLUP_DIRECT;
    half->client_span = parent;
    half->peer = STR("");
    rollup_sink_half(out, half);
}

static void roll_up(const struct batch *b, uint32_t row, struct rollup_sink *out) {
    static const struct str services[] = {STR("shop"), STR("cart\0\0x"), STR("")};
    static const struct str names[] = {STR("a"), STR("b\xff"), STR("GET /x"), STR("\0"), STR("c")};
    uint64_t id = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row), kind = id % GROUP;
    uint32_t status = batch_u32(b, SET_ROWS, FIELD_STATUS, row);
    struct rollup_call call = {.start_ns = (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row),
                               .duration_ns = MIN(batch_u64(b, SET_ROWS, FIELD_DURATION, row), ROLLUP_DURATION_MAX_NS),
                               .failed = status == 2,
                               .span_id = id};
    struct rollup_half half = {
        .environment = STR("default"), .space = services[id / 3 % 2], .service = services[id % 3]};
    struct rollup_key key = {.view = ROLLUP_SPANS, .kind = (uint8_t)kind, .status = (uint8_t)status};
    memcpy(call.trace_id, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), 16);
    key.texts[ROLLUP_ENVIRONMENT] = half.environment;
    key.texts[ROLLUP_NAMESPACE] = half.space;
    key.texts[ROLLUP_SERVICE] = half.service;
    key.texts[ROLLUP_OPERATION] = names[id % 5];
    rollup_sink_add(out, rollup_sink_key(out, &key), &call);
    half.call = call;
    if (kind == ALONE || kind == CALLS || kind == CALLS_PLAIN) half.peer = names[id % 2];
    roll_up_edges(&half, id, batch_u64(b, SET_ROWS, FIELD_PARENT_ID, row), out);
}

static void roll_up_all(void *context, const struct batch *b, const uint32_t *rows, uint32_t n,
                        struct rollup_sink *out) {
    (void)context;
    for (uint32_t i = 0; i < n; i++)
        if (batch_u64(b, SET_ROWS, FIELD_SPAN_ID, rows ? rows[i] : i) > 1000000) roll_up(b, rows ? rows[i] : i, out);
}

const struct rollup_function world_rollup_function = {.run = roll_up_all};

/* ---- questions -------------------------------------------------------------------------------------------------- */

static void ask(struct store *s, int tenant, const struct rollup_request *r, struct arena *a, struct rollup_rows *out) {
    struct scan_stats stats = {0};
    err e = store_rollups(s, str_of(world_tenants[tenant]), r, a, out, &stats);
    if (e) fail_msg("rollups: %s", err_text(e));
    assert_int_equal(stats.bad_blocks, 0);
}

static void tell_row(const char *whose, const struct rollup_row *r) {
    if (!r) {
        print_message("%s: none\n", whose);
        return;
    }
    print_message("%s: view %u kind %u status %u", whose, r->key->view, r->key->kind, r->key->status);
    for (int i = 0; i < ROLLUP_TEXTS; i++) print_message(" | " STR_FMT, STR_ARG(r->key->texts[i]));
    print_message(" at %lld: %llu calls, %llu errors, %llu ns, last %lld\n", (long long)r->time_ns,
                  (unsigned long long)r->calls, (unsigned long long)r->errors, (unsigned long long)r->sum_ns,
                  (long long)r->last_ns);
}

static bool same_exemplar(const struct rollup_exemplar *a, const struct rollup_exemplar *b) {
    if (!a || !b) return a == b;
    return memcmp(a->trace_id, b->trace_id, 16) == 0 && a->span_id == b->span_id && a->duration_ns == b->duration_ns &&
           a->start_ns == b->start_ns;
}

static bool same_row(const struct rollup_row *a, const struct rollup_row *b) {
    return rollup_key_compare(a->key, b->key) == 0 && a->time_ns == b->time_ns && a->calls == b->calls &&
           a->errors == b->errors && a->sum_ns == b->sum_ns && a->last_ns == b->last_ns &&
           a->bucket_first == b->bucket_first && a->bucket_count == b->bucket_count &&
           (!a->bucket_count || memcmp(a->buckets, b->buckets, a->bucket_count * sizeof *a->buckets) == 0) &&
           (a->key->view != ROLLUP_SPANS || same_exemplar(a->exemplar, b->exemplar)); /* halves out of files are none */
}

static void compare(struct world *w, int tenant, const struct rollup_request *r) {
    AUTO_ARENA struct arena a, b;
    struct rollup_rows real, model;
    arena_init(&a, 256 * MIB);
    arena_init(&b, 256 * MIB);
    ask(w->real, tenant, r, &a, &real);
    ask(w->model, tenant, r, &b, &model);
    for (size_t i = 0; i < MAX(real.n, model.n); i++) {
        const struct rollup_row *x = i < real.n ? &real.v[i] : NULL, *y = i < model.n ? &model.v[i] : NULL;
        if (x && y && same_row(x, y)) continue;
        tell_row("store", x);
        tell_row("model", y);
        fail_msg("row %zu of %zu and %zu differs: step %lld, from %lld to %lld, unmatched before %lld", i, real.n,
                 model.n, (long long)r->step_ns, (long long)r->time_min, (long long)r->time_max,
                 (long long)r->unmatched_before_ns);
    }
}

void world_compare_rollups(struct world *w, int tenant, bool everything) {
    static const int64_t steps[] = {0, 60000000000, 3600000000000, 300000000000, 86400000000000};
    struct store_stats stats;
    struct rollup_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .unmatched_before_ns = INT64_MAX};
    store_get_stats(w->real, &stats);
    if (stats.deletes_pending) return; /* the hours that it touches are counted anew later */
    r.step_ns = steps[everything ? 1 : chance_below(&w->chance, LENGTH(steps))];
    for (int v = 0; v < ROLLUP_VIEWS; v++) r.views[v] = everything || !chance_one_in(&w->chance, 3);
    r.buckets = everything || chance_one_in(&w->chance, 2);
    r.exemplars = everything || chance_one_in(&w->chance, 2);
    r.by_service = !everything && chance_one_in(&w->chance, 3);
    if (r.by_service && chance_one_in(&w->chance, 2)) /* edges have no rows by service */
        r.views[ROLLUP_EDGE_SERVER] = r.views[ROLLUP_EDGE_CLIENT] = false;
    if (!everything) {
        if (chance_one_in(&w->chance, 2))
            r.time_min = w->rollups_ns - (int64_t)chance_below(&w->chance, 4 * 1440) * 60000000000;
        if (chance_one_in(&w->chance, 2))
            r.time_max = w->rollups_ns - (int64_t)chance_below(&w->chance, 4 * 1440) * 60000000000;
        if (chance_one_in(&w->chance, 3)) r.service = STR("shop");
        if (chance_one_in(&w->chance, 4)) r.space = STR("cart\0\0x");
        if (chance_one_in(&w->chance, 3))
            r.unmatched_before_ns = w->rollups_ns - (int64_t)chance_below(&w->chance, 90) * 60000000000;
    }
    compare(w, tenant, &r);
}
