/* Reading rollups: files, and what lists in memory come to. */
#include <stdlib.h>

#include "store/engine/rollup_engine_priv.h"
#include "store/engine/snapshot_priv.h"

enum { MEMORY_LEAST = 1 << 20 };

struct rollup_view_of { /* what is there, at one moment */
    struct part_set *parts;
    struct memory_list *lists[2];
    struct delete_set *deletes;
    struct rollup_names *names;
    char tenant[TENANT_BYTES];
};

static void hold(struct engine *s, struct str tenant, struct rollup_view_of *v) {
    *v = (struct rollup_view_of){0};
    lock_take(&s->lock);
    struct table *spans = engine_table(s, tenant, SIGNAL_SPANS, false);
    struct table *t = engine_table(s, tenant, TABLE_ROLLUPS, spans != NULL);
    v->deletes = delete_set_ref(s->deletes);
    if (t) {
        memcpy(v->tenant, t->tenant, sizeof v->tenant);
        v->parts = part_set_ref(t->parts);
        v->names = t->names;
    }
    if (spans) {
        v->lists[0] = memory_list_ref(spans->flushing);
        v->lists[1] = memory_list_ref(spans->active);
    }
    lock_give(&s->lock);
}

static void let_go(struct rollup_view_of *v) {
    part_set_unref(v->parts);
    for (int i = 0; i < 2; i++) memory_list_unref(v->lists[i]);
    delete_set_unref(v->deletes);
}

static bool wants_edges(const struct rollup_request *r) {
    return r->views[ROLLUP_EDGE_SERVER] || r->views[ROLLUP_EDGE_CLIENT];
}

static err read_files(const struct rollup_view_of *v, const struct rollup_request *r, struct tally *t,
                      struct scan_stats *stats) {
    for (size_t i = 0; i < v->parts->n; i++) {
        const struct part_entry *p = &v->parts->v[i];
        if (!p->rollup)
            snapshot_count_missing(p, stats);
        else if (!rollup_is_halves(p) && p->time_min <= r->time_max && p->time_max >= r->time_min)
            TRY(rollup_file_read(p->rollup, r, t, stats));
    }
    return NULL;
}

/* Keys that are asked for, of a tally whose keys are all there are. */
static void add_wanted(struct tally *t, const struct tally *from, const struct rollup_request *r) {
    AUTO_FREE uint32_t *keys = mem_new_array(uint32_t, from->keys.n + 1); /* + 2; 0: not yet asked, 1: not wanted */
    AUTO_ARENA struct arena a;
    arena_init(&a, SIZE_MAX);
    for (size_t i = 0; i < from->rows.n; i++) {
        const struct tally_row *row = &from->rows.v[i];
        struct rollup_key key;
        if (row->time_ns < r->time_min || row->time_ns > r->time_max) continue;
        if (!keys[row->key]) {
            struct str bytes = strings_get(&from->keys, row->key);
            bool wanted = rollup_key_read(bytes, &a, &key) && rollup_key_is_wanted(r, &key);
            keys[row->key] = wanted ? tally_key_for(t, r, &key) + 2 : 1;
            arena_clear(&a);
        }
        if (keys[row->key] > 1) tally_add_row(t, keys[row->key] - 2, row);
    }
}

/* Lists grow, and are paired by whoever asks: until they are let go they stay as they are. */
static void hold_lists(struct engine *s, struct rollup_view_of *v, bool edges) {
    for (int i = 0; i < 2; i++) {
        if (!v->lists[i]) continue;
        lock_take(&v->lists[i]->live.lock);
        engine_live_update(s, v->tenant, v->lists[i], v->deletes, v->names);
        if (!edges) continue;
        tally_parent_filter(&v->lists[i]->live.tally); /* which read_halves asks for: charged with the rest */
        engine_live_pair(s, v->lists[i]);
    }
}

static void let_lists_go(struct rollup_view_of *v) {
    for (int i = 2; i-- > 0;)
        if (v->lists[i]) lock_give(&v->lists[i]->live.lock);
}

/* Of files those halves that may find one in the lists. */
static err read_halves(const struct rollup_view_of *v, const struct rollup_request *r, struct tally *edges,
                       struct scan_stats *stats) {
    struct half_filter filter;
    size_t n = 0;
    err e = NULL;
    for (int i = 0; i < 2; i++)
        if (v->lists[i]) n += v->lists[i]->live.tally.clients.n + v->lists[i]->live.tally.servers.n;
    half_filter_init(&filter, n, r->unmatched_before_ns);
    for (int i = 0; i < 2; i++)
        if (v->lists[i]) half_filter_add(&filter, &v->lists[i]->live.tally);
    for (size_t i = 0; i < v->parts->n && !e; i++) {
        const struct part_entry *p = &v->parts->v[i];
        if (p->rollup && rollup_is_halves(p)) e = rollup_file_read_halves(p->rollup, &filter, edges, stats);
    }
    half_filter_done(&filter);
    return e ? e : tally_draw(edges);
}

static err pair_halves(const struct rollup_view_of *v, const struct rollup_request *r, struct tally *edges,
                       struct scan_stats *stats) {
    TRY(read_halves(v, r, edges, stats));
    for (int i = 0; i < 2; i++) {
        if (!v->lists[i]) continue;
        tally_add_open_halves(edges, &v->lists[i]->live.tally, 0);
        tally_pair(edges);
        tally_pair_with(edges, &v->lists[i]->live.tally);
        TRY(tally_draw(edges));
    }
    tally_pair_parents(edges);
    if (v->lists[0]) tally_pair_with_parents(edges, &v->lists[0]->live.tally); /* of children in the other */
    tally_count_unmatched(edges, r->unmatched_before_ns);
    return NULL;
}

/* Rows go to `t`; halves, and what they come to, to `edges`, as they have to be told apart by keys afterwards. */
static err read_lists(struct engine *s, struct rollup_view_of *v, const struct rollup_request *r, struct tally *t,
                      struct tally *edges, struct scan_stats *stats) {
    err e = NULL;
    hold_lists(s, v, wants_edges(r));
    for (int i = 0; i < 2; i++)
        if (v->lists[i]) add_wanted(t, &v->lists[i]->live.tally, r);
    if (wants_edges(r)) e = pair_halves(v, r, edges, stats);
    let_lists_go(v);
    TRY(e);
    add_wanted(t, edges, r);
    TRY(tally_draw(edges));
    return tally_draw(t);
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static int by_key_and_time(const void *x, const void *y) {
    const struct rollup_row *a = x, *b = y;
    int order = a->key == b->key ? 0 : rollup_key_compare(a->key, b->key);
    if (order) return order;
    return a->time_ns < b->time_ns ? -1 : a->time_ns > b->time_ns;
}

static err copy_keys(const struct tally *t, struct arena *a, struct rollup_key **out) {
    struct rollup_key *keys = arena_array(a, struct rollup_key, t->keys.n + 1);
    for (uint32_t i = 0; i < t->keys.n && keys; i++) {
        struct str bytes = arena_copy(a, strings_get(&t->keys, i));
        if (!bytes.p || !rollup_key_read(bytes, a, &keys[i])) break;
    }
    *out = keys;
    return arena_err(a);
}

static err copy_row(const struct tally_row *from, const struct rollup_key *key, const struct rollup_request *r,
                    struct arena *a, struct rollup_row *to) {
    *to = (struct rollup_row){.key = key,
                              .time_ns = from->time_ns,
                              .calls = from->calls,
                              .errors = from->errors,
                              .sum_ns = from->sum_ns,
                              .last_ns = from->last_ns};
    uint32_t first = 0, end = from->bucket_count;
    while (first < end && !from->buckets[first]) first++;
    while (end > first && !from->buckets[end - 1]) end--;
    if (r->buckets) {
        uint64_t *v = arena_array(a, uint64_t, end - first + 1);
        if (v && end > first) memcpy(v, from->buckets + first, (end - first) * sizeof *v);
        to->buckets = v;
        to->bucket_first = from->bucket_first + first;
        to->bucket_count = end - first;
    }
    if (r->exemplars && from->has_exemplar) {
        struct rollup_exemplar *e = arena_new(a, struct rollup_exemplar);
        if (e) *e = from->exemplar;
        to->exemplar = e;
    }
    return arena_err(a);
}

static err answer(const struct tally *t, const struct rollup_request *r, struct arena *a, struct rollup_rows *out) {
    struct rollup_key *keys;
    TRY(copy_keys(t, a, &keys));
    out->v = arena_array(a, struct rollup_row, t->rows.n + 1);
    TRY(arena_err(a));
    for (size_t i = 0; i < t->rows.n; i++)
        if (t->rows.v[i].calls) TRY(copy_row(&t->rows.v[i], &keys[t->rows.v[i].key], r, a, &out->v[out->n++]));
    if (out->n) qsort(out->v, out->n, sizeof *out->v, by_key_and_time);
    return NULL;
}

static err read_all(struct engine *s, struct rollup_view_of *v, const struct rollup_request *r, int64_t start_ns,
                    struct arena *a, struct rollup_rows *out, struct scan_stats *stats) {
    struct tally t, edges;
    tally_init(&t, NULL, r->step_ns);
    tally_init(&edges, v->names, rollup_minute_ns);
    t.start_ns = start_ns;
    t.buckets = r->buckets;
    t.exemplars = r->exemplars;
    t.budget = edges.budget = s->o.budget;
    t.limit_bytes = edges.limit_bytes = MAX(a->limit_bytes, (size_t)MEMORY_LEAST);
    err e = read_files(v, r, &t, stats);
    if (!e) e = read_lists(s, v, r, &t, &edges, stats);
    if (!e) e = arena_err(&t.memory);
    if (!e) e = answer(&t, r, a, out);
    tally_done(&t);
    tally_done(&edges);
    return e;
}

err engine_rollups(struct store *store, struct str tenant, const struct rollup_request *request, struct arena *a,
                   struct rollup_rows *out, struct scan_stats *stats) {
    struct engine *s = (struct engine *)store;
    struct rollup_view_of v;
    struct rollup_request r = *request;
    int64_t oldest, newest;
    if (!s->o.rollup.run) return NULL;
    retention_limits(s->o.rollup_retention_ns, s->o.wall_ns(), &oldest, &newest);
    r.time_min = MAX(r.time_min, oldest);
    if (r.time_min > r.time_max) return NULL;
    hold(s, tenant, &v);
    err e = v.parts ? read_all(s, &v, &r, request->time_min, a, out, stats) : NULL;
    let_go(&v);
    return e;
}
