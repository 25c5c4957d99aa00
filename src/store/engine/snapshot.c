/* Reading the engine: parts and memory batches as one table. */
#include "store/engine/snapshot_priv.h"

#include <stdio.h>

#include "base/text.h"
#include "signal/batch_build.h"
#include "store/engine/store_engine_priv.h"

/* ---- making and freeing ----------------------------------------------------------------------------------------- */

static const struct snapshot_functions engine_snapshot_functions;

/* lock held */
static void hold_table(struct engine_snapshot *sn, struct table *t) {
    sn->parts = part_set_ref(t->parts);
    sn->lists[0] = memory_list_ref(t->flushing);
    sn->lists[1] = memory_list_ref(t->active);
    size_t n = (t->flushing ? t->flushing->n : 0) + t->active->n;
    sn->batches = n ? mem_new_array(struct memory_batch *, n) : NULL;
    for (int i = 0; i < 2; i++) {
        if (!sn->lists[i] || !sn->lists[i]->n) continue;
        memcpy(sn->batches + sn->batch_count, sn->lists[i]->v, sn->lists[i]->n * sizeof *sn->batches);
        sn->batch_count += sn->lists[i]->n;
    }
}

static void choose_deletes(struct engine_snapshot *sn, const char *tenant) {
    if (sn->deletes->n == 0) return;
    sn->of_table = mem_new_array(const struct delete_entry *, sn->deletes->n);
    for (size_t i = 0; i < sn->deletes->n; i++)
        if (delete_is_of(sn->deletes->v[i], tenant, sn->signal)) sn->of_table[sn->delete_count++] = sn->deletes->v[i];
}

err engine_snapshot(struct store *store, struct str tenant, enum signal signal, struct snapshot **out) {
    struct engine *s = (struct engine *)store;
    struct engine_snapshot *sn = mem_new_of(struct engine_snapshot);
    int64_t newest;
    sn->base.f = &engine_snapshot_functions;
    sn->signal = signal;
    retention_limits(s->o.retention_ns, s->o.wall_ns(), &sn->time_floor, &newest);
    lock_take(&s->lock);
    struct table *t = engine_table(s, tenant, signal, false);
    sn->deletes = delete_set_ref(s->deletes);
    if (t)
        hold_table(sn, t);
    else
        sn->parts = part_set_empty();
    lock_give(&s->lock);
    if (t) choose_deletes(sn, t->tenant);
    *out = &sn->base;
    return NULL;
}

static void engine_snapshot_free(struct snapshot *snapshot) {
    struct engine_snapshot *sn = (struct engine_snapshot *)snapshot;
    part_set_unref(sn->parts);
    memory_list_unref(sn->lists[0]);
    memory_list_unref(sn->lists[1]);
    delete_set_unref(sn->deletes);
    mem_free(sn->of_table);
    mem_free(sn->batches);
    mem_free(sn);
}

/* ---- the order of a scan ---------------------------------------------------------------------------------------- */

/* key: time_max, or time_min turned round when the oldest come first; it bounds what is to come. */
struct group_ref {
    int64_t key;
    uint32_t source, group;
};

/* A heap of groups, greatest key first; ties by source, then group, so that a scan is the same every time. */
struct group_heap {
    VEC(struct group_ref) refs;
};

static bool comes_before(const struct group_ref *a, const struct group_ref *b) {
    if (a->key != b->key) return a->key > b->key;
    return a->source != b->source ? a->source < b->source : a->group < b->group;
}

static void sift_down(struct group_ref *v, size_t n, size_t i) {
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && comes_before(&v[child + 1], &v[child])) child++;
        if (!comes_before(&v[child], &v[i])) return;
        struct group_ref swap = v[i];
        v[i] = v[child];
        v[child] = swap;
    }
}

static void heap_make(struct group_heap *h) {
    for (size_t i = h->refs.n / 2; i-- > 0;) sift_down(h->refs.v, h->refs.n, i);
}

static struct group_ref heap_pop(struct group_heap *h) {
    struct group_ref first = h->refs.v[0];
    h->refs.v[0] = h->refs.v[--h->refs.n];
    sift_down(h->refs.v, h->refs.n, 0);
    return first;
}

static bool overlaps(int64_t time_min, int64_t time_max, const struct scan_request *r) {
    return time_min <= r->time_max && time_max >= r->time_min;
}

/* Its own inverse, over all of int64. */
static int64_t turned(int64_t time) { return -1 - time; }

static int64_t group_key(const struct scan_request *r, int64_t time_min, int64_t time_max) {
    return r->oldest_first ? turned(time_min) : time_max;
}

/* A part that cannot be opened makes the answer partial (7). */
void snapshot_count_missing(const struct part_entry *p, struct scan_stats *stats) {
    if (stats->bad_blocks++ == 0)
        snprintf(stats->bad_text, sizeof stats->bad_text, "part %llu cannot be opened", (unsigned long long)p->id);
}

/* The trace that rows must be of; false: of any. */
static bool wanted_trace(const struct scan_request *r, unsigned char out[16]) {
    for (size_t i = 0; i < r->predicate_count; i++) {
        const struct predicate *p = &r->predicates[i];
        if (p->column.target != TARGET_FIELD || p->column.field != FIELD_TRACE_ID || p->op != OP_EQUAL) continue;
        err e = parse_hex(p->text, out, 16);
        err_free(e);
        if (!e) return true;
    }
    return false;
}

/* Scans of parts, opened when their first group comes, or when groups are collected by an id. */
struct part_scans {
    struct arena memory;
    struct opened {
        struct part_scan *scan;
        bool open, may_match;
    } * v;
};

static err open_scan(const struct engine_snapshot *sn, struct part_scans *scans, size_t source,
                     const struct scan_request *r, struct opened **out) {
    struct opened *o = *out = &scans->v[source];
    if (o->open) return NULL;
    TRY(part_scan_open(sn->parts->v[source].part, r, &scans->memory, &o->scan, &o->may_match));
    o->open = true;
    return NULL;
}

static void collect_group(struct part *p, size_t source, uint32_t group, const struct scan_request *r,
                          struct group_heap *h) {
    int64_t from, to;
    uint32_t rows;
    part_group_range(p, group, &from, &to, &rows);
    if (overlaps(from, to, r))
        *vec_push(&h->refs) = (struct group_ref){group_key(r, from, to), (uint32_t)source, group};
}

/* Of a part only the groups that its index names, where the request asks for such an id: the others are passed over unseen. */
static err collect_indexed(const struct engine_snapshot *sn, struct part_scans *scans, size_t source,
                           const struct scan_request *r, struct group_heap *h, struct scan_stats *stats) {
    struct part *p = sn->parts->v[source].part;
    const uint32_t *groups = NULL;
    uint32_t all = part_info(p)->groups, n = 0;
    struct opened *o;
    size_t before = h->refs.n;
    TRY(open_scan(sn, scans, source, r, &o));
    bool known = part_scan_groups(o->scan, &groups, &n);
    for (uint32_t i = 0; o->may_match && i < (known ? n : all); i++)
        if (!known || groups[i] < all) collect_group(p, source, known ? groups[i] : i, r, h);
    stats->groups += all - (h->refs.n - before);
    stats->groups_pruned += all - (h->refs.n - before);
    return NULL;
}

static err collect_part(const struct engine_snapshot *sn, struct part_scans *scans, size_t source,
                        const struct scan_request *r, struct group_heap *h, struct scan_stats *stats) {
    const struct part_entry *p = &sn->parts->v[source];
    if (!p->part) snapshot_count_missing(p, stats);
    if (p->part && scan_is_indexed(r)) return collect_indexed(sn, scans, source, r, h, stats);
    uint32_t groups = p->part ? part_info(p->part)->groups : 0;
    for (uint32_t g = 0; g < groups; g++) collect_group(p->part, source, g, r, h);
    return NULL;
}

static err collect_groups(const struct engine_snapshot *sn, struct part_scans *scans, const struct scan_request *r,
                          struct group_heap *h, struct scan_stats *stats) {
    unsigned char trace[16];
    bool of_trace = wanted_trace(r, trace);
    for (size_t i = 0; i < sn->parts->n; i++)
        if (overlaps(sn->parts->v[i].time_min, sn->parts->v[i].time_max, r))
            TRY(collect_part(sn, scans, i, r, h, stats));
    for (size_t i = 0; i < sn->batch_count; i++) {
        const struct batch *b = &sn->batches[i]->view;
        if (of_trace && !memory_batch_may_have_trace(sn->batches[i], trace)) continue;
        if (overlaps(b->time_min, b->time_max, r))
            *vec_push(&h->refs) =
                (struct group_ref){group_key(r, b->time_min, b->time_max), (uint32_t)(sn->parts->n + i), 0};
    }
    heap_make(h);
    return NULL;
}

/* ---- scan ------------------------------------------------------------------------------------------------------- */

static err scan_part(const struct engine_snapshot *sn, struct part_scans *scans, const struct group_ref *g,
                     const struct scan_request *r, struct arena *a, struct chunk *out, struct scan_stats *stats) {
    struct opened *o;
    TRY(open_scan(sn, scans, g->source, r, &o));
    if (o->may_match) return part_scan_group(o->scan, g->group, a, out, stats);
    stats->groups_pruned++;
    return NULL;
}

static err scan_group(const struct engine_snapshot *sn, struct part_scans *scans, const struct group_ref *g,
                      const struct scan_request *r, struct arena *a, struct chunk *out, struct scan_stats *stats) {
    bool is_part = g->source < sn->parts->n;
    *out = (struct chunk){0};
    if (sn->delete_count) {
        const struct part_entry *p = is_part ? &sn->parts->v[g->source] : NULL;
        bool masked =
            p ? snapshot_part_is_masked(sn, p) : snapshot_batch_is_masked(sn, sn->batches[g->source - sn->parts->n]);
        if (masked) return snapshot_scan_masked(sn, g->source, g->group, r, a, out, stats);
    }
    if (is_part) return scan_part(sn, scans, g, r, a, out, stats);
    return batch_scan(&sn->batches[g->source - sn->parts->n]->view, r, a, out, stats);
}

static void set_rest(struct chunk *chunk, const struct group_heap *h, const struct scan_request *r) {
    chunk->rest_time_max = INT64_MIN;
    chunk->rest_time_min = INT64_MAX;
    if (h->refs.n == 0) return;
    if (r->oldest_first)
        chunk->rest_time_min = MAX(turned(h->refs.v[0].key), r->time_min);
    else
        chunk->rest_time_max = MIN(h->refs.v[0].key, r->time_max);
}

static err scan_groups(const struct engine_snapshot *sn, struct part_scans *scans, struct group_heap *h,
                       const struct scan_request *r, struct arena *a, chunk_fn fn, void *context,
                       struct scan_stats *stats) {
    while (h->refs.n > 0) {
        struct group_ref g = heap_pop(h);
        struct chunk chunk;
        TRY(scan_stopped(r));
        arena_clear(a);
        TRY(scan_group(sn, scans, &g, r, a, &chunk, stats));
        if (chunk.n == 0) continue;
        chunk.source = g.source;
        chunk.group = g.group;
        set_rest(&chunk, h, r);
        if (fn(context, &chunk) == SCAN_STOP) return NULL;
    }
    return NULL;
}

static err engine_snapshot_scan(struct snapshot *snapshot, const struct scan_request *request, struct arena *a,
                                chunk_fn fn, void *context, struct scan_stats *stats) {
    struct engine_snapshot *sn = (struct engine_snapshot *)snapshot;
    struct scan_request r = *request;
    struct group_heap heap = {0};
    struct part_scans scans = {0};
    r.time_min = MAX(r.time_min, sn->time_floor);
    if (r.time_min > r.time_max) return NULL;
    arena_init(&scans.memory, a->limit_bytes);
    scans.v = mem_new_array(struct opened, sn->parts->n + 1);
    err e = collect_groups(sn, &scans, &r, &heap, stats);
    if (!e) e = scan_groups(sn, &scans, &heap, &r, a, fn, context, stats);
    arena_done(&scans.memory);
    mem_free(scans.v);
    vec_done(&heap.refs);
    return e;
}

/* ---- fetch ------------------------------------------------------------------------------------------------------ */

enum { FETCH_ROWS_MAX = 4096 };

/* How many places from the first on are of one group. */
static size_t run_of_places(const struct row_place *places, size_t n) {
    size_t i = 1;
    while (i < n && i < FETCH_ROWS_MAX && places[i].source == places[0].source && places[i].group == places[0].group)
        i++;
    return i;
}

static err fetch_run(struct engine_snapshot *sn, const struct row_place *places, size_t n,
                     struct batch_copy_cache *caches, struct batch_builder *out, struct scan_stats *stats) {
    uint32_t rows[FETCH_ROWS_MAX];
    size_t source = places[0].source;
    if (source < sn->parts->n) {
        for (size_t i = 0; i < n; i++) rows[i] = places[i].row;
        return part_fetch(sn->parts->v[source].part, places[0].group, rows, n, out, stats);
    }
    source -= sn->parts->n;
    for (size_t i = 0; i < n; i++) batch_builder_copy(out, &sn->batches[source]->view, places[i].row, &caches[source]);
    return NULL;
}

static err engine_snapshot_fetch(struct snapshot *snapshot, const struct row_place *places, size_t n,
                                 struct batch_builder *out, struct scan_stats *stats) {
    struct engine_snapshot *sn = (struct engine_snapshot *)snapshot;
    AUTO_FREE struct batch_copy_cache *caches = mem_new_array(struct batch_copy_cache, sn->batch_count + 1);
    err e = NULL;
    for (size_t i = 0, run; i < n && !e; i += run) {
        run = run_of_places(places + i, n - i);
        e = fetch_run(sn, places + i, run, caches, out, stats);
    }
    for (size_t i = 0; i < sn->batch_count; i++) batch_copy_cache_done(&caches[i]);
    return e;
}

/* ---- trace ------------------------------------------------------------------------------------------------------ */

enum { TRACE_MEMORY_BYTES = 64 << 20 };

struct trace_read {
    struct engine_snapshot *sn;
    const unsigned char *id;
    size_t limit;
    struct batch_builder *out;
    struct scan_stats *stats;
    uint32_t source;
    struct predicate is_trace; /* for groups where rows may be hidden */
    struct arena memory;
};

static size_t trace_room(const struct trace_read *t) {
    size_t have = t->out->sets[SET_ROWS].n;
    if (t->limit == 0) return SIZE_MAX;
    return have < t->limit ? t->limit - have : 0;
}

static err trace_fetch(struct trace_read *t, uint32_t group, const uint32_t *rows, size_t n) {
    n = MIN(n, trace_room(t));
    return n ? part_fetch(t->sn->parts->v[t->source].part, group, rows, n, t->out, t->stats) : NULL;
}

/* Some rows of the group may be deleted or too old: asks for the trace's as a scan does. */
static err trace_masked(struct trace_read *t, uint32_t group) {
    struct scan_request r = {
        .time_min = t->sn->time_floor, .time_max = INT64_MAX, .predicates = &t->is_trace, .predicate_count = 1};
    struct chunk chunk;
    AUTO_ARENA struct arena scratch;
    arena_init(&scratch, TRACE_MEMORY_BYTES);
    TRY(snapshot_scan_masked(t->sn, t->source, group, &r, &scratch, &chunk, t->stats));
    return trace_fetch(t, group, chunk.rows, chunk.n);
}

static err trace_group(void *context, uint32_t group, const uint32_t *rows, size_t n) {
    struct trace_read *t = context;
    const struct part_entry *p = &t->sn->parts->v[t->source];
    if (p->time_min < t->sn->time_floor || snapshot_part_is_masked(t->sn, p)) return trace_masked(t, group);
    return trace_fetch(t, group, rows, n);
}

static void trace_batch(struct trace_read *t, const struct memory_batch *m) {
    const struct batch *b = &m->view;
    struct batch_copy_cache cache = {0};
    uint64_t want[2], have[2];
    if (!memory_batch_may_have_trace(m, t->id)) return;
    memcpy(want, t->id, 16);
    for (uint32_t i = 0; i < b->rows && trace_room(t); i++) {
        memcpy(have, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, i), 16);
        if (have[0] == want[0] && have[1] == want[1] && snapshot_shows_row(t->sn, m, i))
            batch_builder_copy(t->out, b, i, &cache);
    }
    batch_copy_cache_done(&cache);
}

static err trace_parts(struct trace_read *t) {
    AUTO_ARENA struct arena scratch;
    arena_init(&scratch, TRACE_MEMORY_BYTES);
    for (size_t i = 0; i < t->sn->parts->n && trace_room(t); i++) {
        struct part_entry *p = &t->sn->parts->v[i];
        t->source = (uint32_t)i;
        if (!p->part)
            snapshot_count_missing(p, t->stats);
        else if (p->time_max >= t->sn->time_floor)
            TRY(part_find_trace(p->part, t->id, &scratch, trace_group, t, t->stats));
        arena_clear(&scratch);
    }
    return NULL;
}

static err engine_snapshot_trace(struct snapshot *snapshot, const unsigned char id[16], size_t limit_rows,
                                 struct batch_builder *out, struct scan_stats *stats) {
    struct trace_read t = {
        .sn = (struct engine_snapshot *)snapshot, .id = id, .limit = limit_rows, .out = out, .stats = stats};
    AUTO_BUF struct buf hex;
    buf_init(&hex, 64);
    put_hex(&hex, id, 16);
    arena_init(&t.memory, MIB);
    if (limit_rows) t.limit += out->sets[SET_ROWS].n;
    struct column_ref column = {.target = TARGET_FIELD, .field = FIELD_TRACE_ID};
    err e = predicate_make(&t.memory, column, OP_EQUAL, buf_str(&hex), &t.is_trace);
    if (!e) {
        e = trace_parts(&t);
        for (size_t i = t.sn->batch_count; i-- > 0 && !e && trace_room(&t);) trace_batch(&t, t.sn->batches[i]);
        predicate_done(&t.is_trace);
    }
    arena_done(&t.memory);
    return e;
}

static const struct snapshot_functions engine_snapshot_functions = {
    .free = engine_snapshot_free,
    .scan = engine_snapshot_scan,
    .fetch = engine_snapshot_fetch,
    .trace = engine_snapshot_trace,
    .resources = engine_snapshot_resources,
    .keys = engine_snapshot_keys,
    .sizes = engine_snapshot_sizes,
};
