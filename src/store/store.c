/* The door: calls through to the implementation. */
#include "store/store_priv.h"

#include "os/clock.h"
#include "store/journal/store_format_priv.h"

void store_options_default(struct store_options *out) {
    *out = (struct store_options){.retention_ns = (int64_t)30 * 86400 * 1000000000,
                                  .disk_use_max_percent = 80,
                                  .disk_free_min_percent = 5,
                                  .flush_bytes = 128 * MIB,
                                  .flush_age_ns = (int64_t)60 * 1000000000,
                                  .segment_bytes = 64 * MIB,
                                  .wall_ns = clock_wall_ns};
}

void retention_limits(int64_t retention_ns, int64_t now_ns, int64_t *out_min, int64_t *out_max) {
    static const int64_t ahead_ns = (int64_t)86400 * 1000000000;
    *out_min = retention_ns ? now_ns - retention_ns : INT64_MIN;
    *out_max = retention_ns ? now_ns + ahead_ns : INT64_MAX;
}

err store_close(struct store *s) { return s ? s->f->close(s) : NULL; }
void store_abandon(struct store *s) {
    if (s) s->f->abandon(s);
}

bool store_tenant_is_valid(struct str name) { return tenant_is_valid(name); }

err store_append(struct store *s, struct str tenant, struct batch_blob *blob, store_done_fn done, void *context) {
    return s->f->append(s, tenant, blob, done, context);
}

void store_time_limits(struct store *s, int64_t *out_min, int64_t *out_max) { s->f->time_limits(s, out_min, out_max); }

err store_snapshot(struct store *s, struct str tenant, enum signal signal, struct snapshot **out) {
    return s->f->snapshot(s, tenant, signal, out);
}

void snapshot_free(struct snapshot *sn) {
    if (sn) sn->f->free(sn);
}

err snapshot_scan(struct snapshot *sn, const struct scan_request *r, struct arena *a, chunk_fn fn, void *context,
                  struct scan_stats *stats) {
    return sn->f->scan(sn, r, a, fn, context, stats);
}

err snapshot_fetch(struct snapshot *sn, const struct row_place *places, size_t n, struct batch_builder *out,
                   struct scan_stats *stats) {
    return sn->f->fetch(sn, places, n, out, stats);
}

err snapshot_trace(struct snapshot *sn, const unsigned char id[16], size_t limit_rows, struct batch_builder *out,
                   struct scan_stats *stats) {
    return sn->f->trace(sn, id, limit_rows, out, stats);
}

err snapshot_resources(struct snapshot *sn, const struct scan_request *r,
                       void (*fn)(void *context, const struct batch *b, uint32_t resource_row), void *context,
                       struct scan_stats *stats) {
    return sn->f->resources(sn, r, fn, context, stats);
}

err snapshot_keys(struct snapshot *sn, const struct scan_request *r, struct arena *a, key_fn fn, void *context,
                  struct scan_stats *stats) {
    return sn->f->keys(sn, r, a, fn, context, stats);
}

err snapshot_sizes(struct snapshot *sn, const struct scan_request *r, const struct size_sink *sink,
                   struct scan_stats *stats) {
    return sn->f->sizes(sn, r, sink, stats);
}

err store_delete(struct store *s, struct str tenant, const struct delete_request *r, uint64_t *out_id) {
    return s->f->delete_rows(s, tenant, r, out_id);
}

bool store_delete_is_done(struct store *s, uint64_t id) { return s->f->delete_is_done(s, id); }
err store_rewrite_now(struct store *s) { return s->f->rewrite_now(s); }
err store_flush(struct store *s) { return s->f->flush(s, (struct str){0}); }
err store_flush_tenant(struct store *s, struct str tenant) { return s->f->flush(s, tenant); }
err store_merge_all(struct store *s) { return s->f->merge_all(s); }
err store_backup(struct store *s, const char *to) { return s->f->backup(s, (struct str){0}, to); }
err store_backup_tenant(struct store *s, struct str tenant, const char *to) { return s->f->backup(s, tenant, to); }
void store_get_stats(struct store *s, struct store_stats *out) { s->f->get_stats(s, out); }
err store_health(struct store *s) { return s->f->health(s); }
bool store_pulse(struct store *s) { return s->f->pulse(s); }
bool store_pump(struct store *s, int kind) { return s->f->pump(s, kind); }
