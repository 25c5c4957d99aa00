/* What a snapshot holds, without its rows: resources, and keys of attributes. Where deletes hide rows those that are left are read,
 * so that nothing deleted is named: rare and short-lived, since parts are rewritten in the background. */
#include "store/engine/snapshot_priv.h"

#include "signal/batch_build.h"
#include "store/engine/store_engine_priv.h"

enum { NAMES_MEMORY_BYTES = 64 << 20, MASKED_ROWS = 256 };

struct names {
    struct engine_snapshot *sn;
    struct scan_request r; /* its range begins within retention */
    err (*of_part)(struct names *n, struct part *p);
    err (*of_batch)(struct names *n, const struct batch *b);
    struct scan_stats *stats;
    enum scan_next next;
    void (*resource_fn)(void *context, const struct batch *b, uint32_t resource_row);
    key_fn key_fn;
    void *context;
    struct arena *arena;
};

/* Of these rows, which are read whole. */
static err names_of_rows(struct names *n, const struct row_place *places, size_t count) {
    struct batch_builder rows;
    batch_builder_init(&rows, n->sn->signal);
    err e = snapshot_fetch(&n->sn->base, places, count, &rows, n->stats);
    if (!e) {
        struct batch_blob *blob = batch_builder_finish(&rows);
        struct batch view;
        batch_view(blob, &view);
        e = n->of_batch(n, &view);
        batch_unref(blob);
    }
    batch_builder_done(&rows);
    return e;
}

/* Those of the rows that are left, some at a time. */
static err names_masked(struct names *n, uint32_t source, uint32_t group) {
    struct scan_request all = {.time_min = n->r.time_min, .time_max = n->r.time_max};
    struct chunk chunk;
    AUTO_ARENA struct arena scratch;
    arena_init(&scratch, NAMES_MEMORY_BYTES);
    TRY(scan_stopped(&n->r));
    TRY(snapshot_scan_masked(n->sn, source, group, &all, &scratch, &chunk, n->stats));
    for (uint32_t i = 0; i < chunk.n && n->next == SCAN_GO_ON; i += MASKED_ROWS) {
        struct row_place places[MASKED_ROWS];
        uint32_t count = MIN(chunk.n - i, (uint32_t)MASKED_ROWS);
        TRY(scan_stopped(&n->r));
        for (uint32_t k = 0; k < count; k++) places[k] = (struct row_place){source, group, chunk.rows[i + k]};
        TRY(names_of_rows(n, places, count));
    }
    return NULL;
}

static err names_of_part(struct names *n, uint32_t source) {
    TRY(scan_stopped(&n->r));
    const struct part_entry *p = &n->sn->parts->v[source];
    if (p->time_min > n->r.time_max || p->time_max < n->r.time_min) return NULL;
    if (!p->part) {
        snapshot_count_missing(p, n->stats);
        return NULL;
    }
    if (!snapshot_part_is_masked(n->sn, p)) return n->of_part(n, p->part);
    for (uint32_t g = 0; g < part_info(p->part)->groups && n->next == SCAN_GO_ON; g++) TRY(names_masked(n, source, g));
    return NULL;
}

static err names_of_batch(struct names *n, uint32_t source) {
    TRY(scan_stopped(&n->r));
    const struct memory_batch *m = n->sn->batches[source - n->sn->parts->n];
    if (m->view.time_min > n->r.time_max || m->view.time_max < n->r.time_min) return NULL;
    if (snapshot_batch_is_masked(n->sn, m)) return names_masked(n, source, 0);
    return n->of_batch(n, &m->view);
}

static err read_names(struct names *n) {
    uint32_t parts = (uint32_t)n->sn->parts->n, all = parts + (uint32_t)n->sn->batch_count;
    n->r.time_min = MAX(n->r.time_min, n->sn->time_floor);
    for (uint32_t i = 0; i < parts && n->next == SCAN_GO_ON; i++) TRY(names_of_part(n, i));
    for (uint32_t i = parts; i < all && n->next == SCAN_GO_ON; i++) TRY(names_of_batch(n, i));
    return NULL;
}

/* ---- resources -------------------------------------------------------------------------------------------------- */

static err resources_of_batch(struct names *n, const struct batch *b) {
    for (uint32_t i = 0; i < b->set_rows[SET_RESOURCES]; i++) n->resource_fn(n->context, b, i);
    return NULL;
}

static err resources_of_part(struct names *n, struct part *p) { return resources_of_batch(n, part_resources(p)); }

err engine_snapshot_resources(struct snapshot *snapshot, const struct scan_request *r,
                              void (*fn)(void *context, const struct batch *b, uint32_t resource_row), void *context,
                              struct scan_stats *stats) {
    return read_names(&(struct names){.sn = (struct engine_snapshot *)snapshot,
                                      .r = *r,
                                      .of_part = resources_of_part,
                                      .of_batch = resources_of_batch,
                                      .stats = stats,
                                      .resource_fn = fn,
                                      .context = context});
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static err keys_of_batch(struct names *n, const struct batch *b) {
    arena_clear(n->arena);
    return batch_keys(b, n->arena, n->key_fn, n->context, &n->next);
}

static err keys_of_part(struct names *n, struct part *p) {
    return part_keys(p, &n->r, n->arena, n->key_fn, n->context, &n->next, n->stats);
}

err engine_snapshot_keys(struct snapshot *snapshot, const struct scan_request *r, struct arena *a, key_fn fn,
                         void *context, struct scan_stats *stats) {
    return read_names(&(struct names){.sn = (struct engine_snapshot *)snapshot,
                                      .r = *r,
                                      .of_part = keys_of_part,
                                      .of_batch = keys_of_batch,
                                      .stats = stats,
                                      .key_fn = fn,
                                      .context = context,
                                      .arena = a});
}
