#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/text.h"
#include "store/journal/store_format_priv.h"
#include "signal/metrics/points_decode.h"
#include "store/store_testing_priv.h"

const char *const world_tenants[2] = {"default", "other"};

/* ---- batches ---------------------------------------------------------------------------------------------------- */

static void set_row(struct world *w, struct batch_builder *b, uint32_t row, int64_t time) {
    unsigned char trace[16] = {0x5a, [15] = (unsigned char)(1 + chance_below(&w->chance, 12))};
    batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, (uint64_t)time);
    batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, trace);
    batch_builder_set_u64(b, SET_ROWS, FIELD_SPAN_ID, row, ++w->next_id); /* no two rows are equal */
}

struct batch_blob *world_batch(struct world *w, enum signal signal, uint32_t rows, int days) {
    struct batch_builder b;
    int64_t now = w->o.wall_ns(), base = now - (int64_t)chance_below(&w->chance, (uint32_t)days) * day_ns;
    bool scattered = chance_one_in(&w->chance, 4);
    batch_builder_init(&b, signal);
    random_batch(&w->chance, &b, rows);
    for (uint32_t i = 0; i < rows; i++) {
        int64_t time = base - (int64_t)chance_below(&w->chance, 1000) * 1000000;
        if (scattered) time -= (int64_t)chance_below(&w->chance, (uint32_t)days) * day_ns;
        set_row(w, &b, i, time);
        if (w->rollups && signal == SIGNAL_SPANS) world_rollup_row(w, &b, i);
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void forget(struct world *w, struct sent *s) {
    for (size_t i = 0; i < w->sent.n; i++)
        if (w->sent.v[i] == s) w->sent.v[i] = w->sent.v[--w->sent.n];
    batch_unref(s->blob);
    mem_free(s);
}

static void tell_model(struct world *w, const struct sent *s) {
    struct str tenant = str_of(world_tenants[s->tenant]);
    err e = s->points ? store_append_points(w->model, tenant, batch_ref(s->blob), NULL, NULL)
                      : store_append(w->model, tenant, batch_ref(s->blob), NULL, NULL);
    assert_null(e);
    w->acknowledged++;
}

static void sent_done(void *context, err e) {
    struct sent *s = context;
    s->state = e ? SENT_REFUSED : SENT_ACKNOWLEDGED;
    if (e) {
        s->world->refused++;
        err_free(e);
        return; /* kept, to see that it does not come back */
    }
    tell_model(s->world, s);
    forget(s->world, s);
}

static void points_done(void *context, err e, const struct points_outcome *o) {
    struct sent *s = context;
    assert_true(e ? !o : o != NULL);
    sent_done(s, e);
}

static err send(struct world *w, struct sent *s) {
    struct str tenant = str_of(world_tenants[s->tenant]);
    if (s->points) return store_append_points(w->real, tenant, batch_ref(s->blob), points_done, s);
    return store_append(w->real, tenant, batch_ref(s->blob), sent_done, s);
}

bool world_send(struct world *w) {
    struct sent *s = mem_new_of(struct sent);
    enum signal signal = (enum signal)chance_below(&w->chance, SIGNALS);
    *s = (struct sent){.world = w, .tenant = chance_one_in(&w->chance, 4), .number = ++w->sent_count};
    s->points = w->series && chance_one_in(&w->chance, 2);
    s->blob = s->points ? world_points(w, s->number) : world_batch(w, signal, 1 + chance_below(&w->chance, 40), 3);
    *vec_push(&w->sent) = s;
    err e = send(w, s);
    if (!e) return true;
    s->state = SENT_REFUSED;
    w->refused++;
    err_free(e);
    return false;
}

/* ---- queries ---------------------------------------------------------------------------------------------------- */

static const struct {
    struct column_ref column;
    enum operator op;
    const char *text;
} conditions[] = {
    {{TARGET_ATTRIBUTE, 0, {"http.method", 11}}, OP_EXISTS, ""},
    {{TARGET_ATTRIBUTE, 0, {"x", 1}}, OP_ABSENT, ""},
    {{TARGET_RESOURCE, 0, {"a.b", 3}}, OP_EXISTS, ""},
    {{TARGET_ANY, 0, {"user.id", 7}}, OP_NOT_EQUAL, "a"},
    {{TARGET_SCOPE, 0, {"name", 4}}, OP_MATCH, "a"},
    {{TARGET_FIELD, FIELD_NAME, {0}}, OP_MATCH, "^[ab]+$"},
    {{TARGET_FIELD, FIELD_SPAN_ID, {0}}, OP_NOT_EQUAL, "0100000000000000"},
    {{TARGET_FIELD, FIELD_FLAGS, {0}}, OP_LESS, "1000000"},
    {{TARGET_FIELD, FIELD_TRACE_ID, {0}}, OP_EQUAL, "5a000000000000000000000000000003"},
    {{TARGET_ATTRIBUTE, 0, {"http.route", 10}}, OP_GREATER_EQUAL, "5"},
    {{TARGET_TEXT, 0, {0}}, OP_WORDS, "a*"},
};

static const struct column_ref wanted[] = {
    {TARGET_FIELD, FIELD_TIME, {0}},      {TARGET_FIELD, FIELD_TRACE_ID, {0}},       {TARGET_FIELD, FIELD_NAME, {0}},
    {TARGET_FIELD, FIELD_FLAGS, {0}},     {TARGET_ATTRIBUTE, 0, {"http.route", 10}}, {TARGET_ANY, 0, {"x", 1}},
    {TARGET_RESOURCE, 0, {"user.id", 7}},
};

struct answer {
    struct snapshot *snapshot;
    enum signal signal;
    const struct scan_request *request;
    VEC(uint64_t) hashes; /* of each row with its wanted columns */
    uint64_t counted;
    int64_t rest_time_max, rest_time_min;
    struct scan_stats stats;
};

static uint64_t value_hash(const struct vector *v, uint32_t i) {
    switch (v->type) {
    case VECTOR_U64: return hash_u64(v->u64[i]);
    case VECTOR_ID16: return hash_bytes(v->id16 + 16 * (size_t)i, 16);
    case VECTOR_TEXT:
        if (v->codes[i] == CODE_ABSENT) return 7;
        return hash_bytes(v->texts[v->codes[i]].p, v->texts[v->codes[i]].n);
    }
    return 0;
}

static int64_t time_of(const struct batch *b, uint32_t row) { return (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row); }

static enum scan_next take_chunk(void *context, const struct chunk *c) {
    struct answer *a = context;
    struct batch_builder b;
    a->counted += c->n;
    if (a->request->count_only) return SCAN_GO_ON;
    struct row_place *places = mem_new_array(struct row_place, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        assert_true(i == 0 || c->rows[i] > c->rows[i - 1]);
        places[i] = (struct row_place){c->source, c->group, c->rows[i]};
    }
    batch_builder_init(&b, a->signal);
    assert_null(snapshot_fetch(a->snapshot, places, c->n, &b, &a->stats));
    mem_free(places);
    struct batch_blob *blob = batch_builder_finish(&b);
    struct batch view;
    batch_view(blob, &view);
    assert_int_equal(view.rows, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        uint64_t h = batch_row_hash(&view, i);
        assert_true(a->request->oldest_first ? time_of(&view, i) >= a->rest_time_min
                                             : time_of(&view, i) <= a->rest_time_max);
        for (size_t k = 0; k < a->request->column_count; k++) h = hash_mix(h, value_hash(&c->columns[k], i));
        *vec_push(&a->hashes) = h;
    }
    a->rest_time_max = c->rest_time_max;
    a->rest_time_min = c->rest_time_min;
    batch_unref(blob);
    batch_builder_done(&b);
    return SCAN_GO_ON;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void ask(struct store *s, const char *tenant, enum signal signal, const struct scan_request *r,
                struct answer *out) {
    struct arena scratch;
    *out = (struct answer){.signal = signal, .request = r, .rest_time_max = INT64_MAX, .rest_time_min = INT64_MIN};
    arena_init(&scratch, 64 * MIB);
    assert_null(store_snapshot(s, str_of(tenant), signal, &out->snapshot));
    err e = snapshot_scan(out->snapshot, r, &scratch, take_chunk, out, &out->stats);
    if (e) fail_msg("scan: %s", err_text(e));
    assert_int_equal(out->stats.bad_blocks, 0);
    snapshot_free(out->snapshot);
    arena_done(&scratch);
    if (out->hashes.n) qsort(out->hashes.v, out->hashes.n, sizeof(uint64_t), by_value);
}

static void compare(struct world *w, int tenant, enum signal signal, const struct scan_request *r) {
    struct answer real, model;
    ask(w->real, world_tenants[tenant], signal, r, &real);
    ask(w->model, world_tenants[tenant], signal, r, &model);
    assert_int_equal(real.counted, model.counted);
    assert_int_equal(real.hashes.n, model.hashes.n);
    for (size_t i = 0; i < real.hashes.n; i++) {
        if (real.hashes.v[i] == model.hashes.v[i]) continue;
        fail_msg("%s/%s: rows differ (%zu conditions, %zu columns)", world_tenants[tenant], signal_names[signal],
                 r->predicate_count, r->column_count);
    }
    vec_done(&real.hashes);
    vec_done(&model.hashes);
}

static void random_range(struct world *w, int64_t *out_min, int64_t *out_max) {
    int64_t now = w->o.wall_ns();
    *out_min = INT64_MIN;
    *out_max = INT64_MAX;
    if (chance_one_in(&w->chance, 2)) *out_min = now - (int64_t)chance_below(&w->chance, 4000) * 100000000000;
    if (chance_one_in(&w->chance, 3)) *out_max = now - (int64_t)chance_below(&w->chance, 4000) * 100000000000;
    if (*out_max < *out_min) *out_max = INT64_MAX;
}

static size_t random_conditions(struct world *w, struct arena *a, struct predicate *out, size_t max) {
    size_t n = chance_below(&w->chance, (uint32_t)max + 1);
    for (size_t i = 0; i < n; i++) {
        size_t k = chance_below(&w->chance, LENGTH(conditions));
        err e = predicate_make(a, conditions[k].column, conditions[k].op, str_of(conditions[k].text), &out[i]);
        if (e) fail_msg("predicate: %s", err_text(e));
    }
    return n;
}

static void compare_trace(struct world *w) {
    unsigned char id[16] = {0x5a, [15] = (unsigned char)(1 + chance_below(&w->chance, 13))};
    enum signal signal = (enum signal)chance_below(&w->chance, SIGNALS);
    int tenant = chance_one_in(&w->chance, 4);
    struct store *stores[2] = {w->real, w->model};
    VEC(uint64_t) hashes[2] = {{0}, {0}};
    for (int k = 0; k < 2; k++) {
        struct snapshot *sn;
        struct batch_builder b;
        struct batch view;
        struct scan_stats stats = {0};
        batch_builder_init(&b, signal);
        assert_null(store_snapshot(stores[k], str_of(world_tenants[tenant]), signal, &sn));
        assert_null(snapshot_trace(sn, id, 0, &b, &stats));
        snapshot_free(sn);
        struct batch_blob *blob = batch_builder_finish(&b);
        batch_view(blob, &view);
        for (uint32_t i = 0; i < view.rows; i++) *vec_push(&hashes[k]) = batch_row_hash(&view, i);
        if (hashes[k].n) qsort(hashes[k].v, hashes[k].n, sizeof(uint64_t), by_value);
        batch_unref(blob);
        batch_builder_done(&b);
    }
    assert_int_equal(hashes[0].n, hashes[1].n);
    if (hashes[0].n) assert_memory_equal(hashes[0].v, hashes[1].v, hashes[0].n * sizeof(uint64_t));
    vec_done(&hashes[0]);
    vec_done(&hashes[1]);
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

struct keys_seen {
    struct strings keys; /* set, type, name */
    VEC(uint64_t) values;
};

static enum scan_next take_key(void *context, const struct key_seen *k) {
    struct keys_seen *seen = context;
    struct buf key;
    buf_init(&key, 64 * KIB);
    buf_add_byte(&key, (char)k->set);
    buf_add_byte(&key, (char)k->type);
    buf_add_str(&key, k->name);
    uint32_t at = strings_intern(&seen->keys, buf_str(&key));
    buf_done(&key);
    if (at == seen->values.n) *vec_push(&seen->values) = 0;
    seen->values.v[at] += k->values;
    assert_true(k->values > 0);
    return SCAN_GO_ON;
}

static void ask_keys(struct store *s, const char *tenant, enum signal signal, int64_t time_min, int64_t time_max,
                     struct keys_seen *out) {
    struct snapshot *sn;
    struct scan_stats stats = {0};
    struct scan_request range = {.time_min = time_min, .time_max = time_max};
    AUTO_ARENA struct arena scratch;
    *out = (struct keys_seen){0};
    arena_init(&scratch, 64 * MIB);
    strings_init(&out->keys);
    assert_null(store_snapshot(s, str_of(tenant), signal, &sn));
    assert_null(snapshot_keys(sn, &range, &scratch, take_key, out, &stats));
    assert_int_equal(stats.bad_blocks, 0);
    snapshot_free(sn);
}

static void keys_seen_done(struct keys_seen *k) {
    strings_done(&k->keys);
    vec_done(&k->values);
}

/* Every key that a row of the range has is there, with at least as many values; over all time what rows and events have is exact. */
static void compare_keys(struct world *w, int tenant, enum signal signal, int64_t time_min, int64_t time_max) {
    struct keys_seen real, model;
    bool exact = time_min == INT64_MIN && time_max == INT64_MAX && w->o.retention_ns == 0;
    ask_keys(w->real, world_tenants[tenant], signal, time_min, time_max, &real);
    ask_keys(w->model, world_tenants[tenant], signal, time_min, time_max, &model);
    for (uint32_t i = 0; i < model.keys.n; i++) {
        struct str key = strings_get(&model.keys, i);
        bool counted = key.p[0] == SET_ROWS || key.p[0] == SET_EVENTS;
        uint32_t at;
        if (!strings_find(&real.keys, key, &at)) fail_msg("the key " STR_FMT " is missing", (int)key.n - 2, key.p + 2);
        if (counted) assert_true(real.values.v[at] >= model.values.v[i]);
        if (counted && exact) assert_int_equal(real.values.v[at], model.values.v[i]);
    }
    for (uint32_t i = 0; i < real.keys.n && exact; i++) {
        struct str key = strings_get(&real.keys, i);
        uint32_t at;
        if (key.p[0] == SET_ROWS || key.p[0] == SET_EVENTS) assert_true(strings_find(&model.keys, key, &at));
    }
    keys_seen_done(&real);
    keys_seen_done(&model);
}

void world_compare_query(struct world *w) {
    struct arena memory;
    struct predicate predicates[3];
    struct scan_request r = {.predicates = predicates,
                             .columns = wanted,
                             .column_count = chance_below(&w->chance, LENGTH(wanted) + 1),
                             .count_only = chance_one_in(&w->chance, 4)};
    arena_init(&memory, 4 * MIB);
    r.oldest_first = r.column_count % 2;
    random_range(w, &r.time_min, &r.time_max);
    r.predicate_count = random_conditions(w, &memory, predicates, LENGTH(predicates));
    compare(w, chance_one_in(&w->chance, 4), (enum signal)chance_below(&w->chance, SIGNALS), &r);
    compare_keys(w, r.oldest_first, (enum signal)r.count_only, r.time_min, r.time_max);
    for (size_t i = 0; i < r.predicate_count; i++) predicate_done(&predicates[i]);
    arena_done(&memory);
    compare_trace(w);
    if (w->series) world_compare_series(w, chance_one_in(&w->chance, 4), false);
    if (w->rollups) world_compare_rollups(w, chance_one_in(&w->chance, 4), false);
}

static const struct scan_request everything = {.time_min = INT64_MIN, .time_max = INT64_MAX};

void world_compare_all(struct world *w) {
    for (int tenant = 0; tenant < 2 && w->series; tenant++) world_compare_series(w, tenant, true);
    for (int tenant = 0; tenant < 2 && w->rollups; tenant++) world_compare_rollups(w, tenant, true);
    for (int tenant = 0; tenant < 2; tenant++)
        for (int signal = 0; signal < SIGNALS; signal++) {
            compare(w, tenant, (enum signal)signal, &everything);
            compare_keys(w, tenant, (enum signal)signal, INT64_MIN, INT64_MAX);
        }
}

/* ---- deletes ---------------------------------------------------------------------------------------------------- */

uint64_t world_delete(struct world *w) {
    struct arena memory;
    struct predicate predicates[2];
    struct delete_request r = {.signals = {true, chance_one_in(&w->chance, 2)}, .predicates = predicates};
    const char *tenant = world_tenants[chance_one_in(&w->chance, 4)];
    uint64_t id = 0, model_id;
    if (w->series && chance_one_in(&w->chance, 2)) return world_delete_series(w);
    arena_init(&memory, 4 * MIB);
    random_range(w, &r.time_min, &r.time_max);
    r.by_trace = chance_one_in(&w->chance, 2);
    r.trace_id[0] = 0x5a;
    r.trace_id[15] = (unsigned char)(1 + chance_below(&w->chance, 12));
    r.predicate_count = random_conditions(w, &memory, predicates, LENGTH(predicates));
    if (!r.by_trace && r.predicate_count == 0) r.time_max = r.time_min; /* not everything */
    err e = store_delete(w->real, str_of(tenant), &r, &id);
    if (!e)
        assert_null(store_delete(w->model, str_of(tenant), &r, &model_id));
    else
        id = 0;
    err_free(e);
    for (size_t i = 0; i < r.predicate_count; i++) predicate_done(&predicates[i]);
    arena_done(&memory);
    return id;
}

/* ---- life and death --------------------------------------------------------------------------------------------- */

void world_init(struct world *w, uint64_t seed, const struct store_options *o) {
    *w = (struct world){.chance = {seed}, .o = *o, .decoder = points_decoder_new()};
    points_decoder_share(w->decoder);
    budget_init(&w->budget, 256 * MIB);
    w->o.budget = &w->budget;
    w->model = store_model_open(&w->o);
    err e = store_open(&w->o, &w->real);
    if (e) {
        w->real = NULL;
        err_free(e);
    }
}

void world_done(struct world *w) {
    while (w->sent.n) forget(w, w->sent.v[w->sent.n - 1]);
    vec_done(&w->sent);
    points_decoder_free(w->decoder);
    assert_null(store_close(w->model));
    assert_int_equal(budget_used(&w->budget), 0);
}

static bool has_hash(const struct answer *a, uint64_t h) {
    return a->hashes.n && bsearch(&h, a->hashes.v, a->hashes.n, sizeof h, by_value);
}

/* Is the batch there? All of it or nothing: anything between fails later, when all is compared. */
static bool is_there(struct world *w, const struct sent *s) {
    struct batch view;
    struct answer all;
    bool found = false;
    if (s->points) return world_has_points(w, s->tenant, s->number);
    batch_view(s->blob, &view);
    ask(w->real, world_tenants[s->tenant], view.signal, &everything, &all);
    for (uint32_t i = 0; i < view.rows; i++) found |= has_hash(&all, batch_row_hash(&view, i));
    vec_done(&all.hashes);
    return found;
}

void world_settle(struct world *w) {
    while (w->sent.n) {
        struct sent *s = w->sent.v[0]; /* the first: of samples at one time it counts */
        for (size_t i = 1; i < w->sent.n; i++)
            if (w->sent.v[i]->number < s->number) s = w->sent.v[i];
        if (is_there(w, s)) {
            if (s->state == SENT_REFUSED && !w->lenient) fail_msg("a refused batch came back");
            tell_model(w, s);
        }
        forget(w, s);
    }
}

err world_reopen(struct world *w) {
    TRY(store_open(&w->o, &w->real));
    world_settle(w);
    return NULL;
}
