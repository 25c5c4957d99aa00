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
                                  .wall_ns = clock_wall_ns,
                                  .rollup_retention_ns = (int64_t)400 * 86400 * 1000000000};
}

static const struct translation translation_with_deltas = {
    .names = NAMES_UNDERSCORE_SUFFIXES, .scope_labels = true, .target_info = true, .deltas = true};

void series_options_fill(struct series_options *o, uint64_t budget_bytes) {
    static const int64_t minute_ns = (int64_t)60 * 1000000000;
    if (!o->translation) o->translation = &translation_with_deltas;
    if (!o->series_max) o->series_max = 5000000;
    if (!o->labels_max) o->labels_max = 64;
    if (!o->request_series_max) o->request_series_max = 1 << 18;
    if (!o->churn_ns) o->churn_ns = 10 * minute_ns;
    if (!o->late_window_ns) o->late_window_ns = 30 * minute_ns;
    if (!o->flush_bytes) o->flush_bytes = budget_bytes / 4;
    if (!o->flush_age_ns) o->flush_age_ns = 120 * minute_ns;
    if (!o->log_bytes) o->log_bytes = (uint64_t)1 << 30;
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

/* ---- series ------------------------------------------------------------------------------------------------------ */

err store_append_points(struct store *s, struct str tenant, struct batch_blob *blob, store_points_fn done,
                        void *context) {
    return s->f->append_points(s, tenant, blob, done, context);
}

err store_series_snapshot(struct store *s, struct str tenant, struct series_snapshot **out) {
    return s->f->series_snapshot(s, tenant, out);
}

void series_snapshot_free(struct series_snapshot *sn) {
    if (sn) sn->f->free(sn);
}

err series_snapshot_select(struct series_snapshot *sn, const struct series_request *r, struct arena *a,
                           struct series_stats *stats, struct selection **out) {
    return sn->f->select(sn, r, a, stats, out);
}

err series_snapshot_texts(struct series_snapshot *sn, struct str name, const struct series_request *r, struct arena *a,
                          struct series_stats *stats, struct str **out, uint32_t *out_n) {
    return sn->f->texts(sn, name, r, a, stats, out, out_n);
}

err series_snapshot_metadata(struct series_snapshot *sn, struct str name, struct arena *a, struct series_metadata **out,
                             uint32_t *out_n) {
    return sn->f->metadata(sn, name, a, out, out_n);
}

err series_snapshot_cardinality(struct series_snapshot *sn, const struct series_request *r, uint32_t n, struct arena *a,
                                struct series_stats *stats, struct series_cardinality *out) {
    return sn->f->cardinality(sn, r, n, a, stats, out);
}

err store_delete_series(struct store *s, struct str tenant, const struct series_request *r, uint64_t *out_id) {
    return s->f->delete_series(s, tenant, r, out_id);
}

/* ---- snapshots of events ------------------------------------------------------------------------------------------- */

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
