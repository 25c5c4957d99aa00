/* What a table takes: its parts and memory batches, one after another. */
#include "store/engine/snapshot_priv.h"

#include "store/engine/store_engine_priv.h"

static bool is_wanted(int64_t time_min, int64_t time_max, const struct scan_request *r) {
    return time_min <= r->time_max && time_max >= r->time_min;
}

/* A damaged part is told by its size, and counted (7). */
static err tell_part(const struct part_entry *p, const struct scan_request *r, const struct size_sink *sink,
                     struct scan_stats *stats) {
    struct size_part told = {p->id, p->time_min, p->time_max, p->rows, p->bytes, 0};
    if (p->part) told.groups = part_info(p->part)->groups;
    if (sink->part) sink->part(sink->context, &told);
    if (!p->part) {
        snapshot_count_missing(p, stats);
        return NULL;
    }
    err e = sink->piece ? part_piece_sizes(p->part, sink) : NULL;
    if (e) {
        snapshot_count_missing(p, stats);
        err_free(e);
    }
    return sink->resource ? part_resource_sizes(p->part, r, sink, stats) : NULL;
}

static void tell_batch(const struct memory_batch *m, const struct size_sink *sink) {
    const struct batch *b = &m->view;
    if (sink->part) sink->part(sink->context, &(struct size_part){0, b->time_min, b->time_max, b->rows, m->bytes, 0});
    if (sink->resource) batch_resource_sizes(b, m->bytes, sink);
}

err engine_snapshot_sizes(struct snapshot *snapshot, const struct scan_request *r, const struct size_sink *sink,
                          struct scan_stats *stats) {
    struct engine_snapshot *sn = (struct engine_snapshot *)snapshot;
    for (size_t i = 0; i < sn->parts->n; i++) {
        const struct part_entry *p = &sn->parts->v[i];
        TRY(scan_stopped(r));
        if (is_wanted(p->time_min, p->time_max, r)) TRY(tell_part(p, r, sink, stats));
    }
    for (size_t i = 0; i < sn->batch_count; i++)
        if (is_wanted(sn->batches[i]->view.time_min, sn->batches[i]->view.time_max, r))
            tell_batch(sn->batches[i], sink);
    return NULL;
}
