/* What is behind the door: one table of functions for each implementation (store.c calls through it). */
#pragma once

#include "store/rollup.h"
#include "store/series.h"

struct store_functions {
    err (*close)(struct store *s);
    void (*abandon)(struct store *s);
    err (*append)(struct store *s, struct str tenant, struct batch_blob *blob, store_done_fn done, void *context);
    err (*append_points)(struct store *s, struct str tenant, struct batch_blob *blob, store_points_fn done,
                         void *context);
    void (*time_limits)(struct store *s, int64_t *out_min, int64_t *out_max);
    err (*snapshot)(struct store *s, struct str tenant, enum signal signal, struct snapshot **out);
    err (*series_snapshot)(struct store *s, struct str tenant, struct series_snapshot **out);
    err (*delete_series)(struct store *s, struct str tenant, const struct series_request *r, uint64_t *out_id);
    err (*rollups)(struct store *s, struct str tenant, const struct rollup_request *r, struct arena *a,
                   struct rollup_rows *out, struct scan_stats *stats);
    err (*delete_rows)(struct store *s, struct str tenant, const struct delete_request *r, uint64_t *out_id);
    bool (*delete_is_done)(struct store *s, uint64_t id);
    err (*rewrite_now)(struct store *s);
    err (*flush)(struct store *s, struct str tenant); /* p NULL: all */
    err (*merge_all)(struct store *s);
    err (*backup)(struct store *s, struct str tenant, const char *to); /* p NULL: all */
    void (*get_stats)(struct store *s, struct store_stats *out);
    err (*health)(struct store *s);
    bool (*pulse)(struct store *s);
    bool (*pump)(struct store *s, int kind);
};

struct store {
    const struct store_functions *f;
};

struct snapshot_functions {
    void (*free)(struct snapshot *sn);
    err (*scan)(struct snapshot *sn, const struct scan_request *r, struct arena *a, chunk_fn fn, void *context,
                struct scan_stats *stats);
    err (*fetch)(struct snapshot *sn, const struct row_place *places, size_t n, struct batch_builder *out,
                 struct scan_stats *stats);
    err (*trace)(struct snapshot *sn, const unsigned char id[16], size_t limit_rows, struct batch_builder *out,
                 struct scan_stats *stats);
    err (*resources)(struct snapshot *sn, const struct scan_request *r,
                     void (*fn)(void *context, const struct batch *b, uint32_t resource_row), void *context,
                     struct scan_stats *stats);
    err (*keys)(struct snapshot *sn, const struct scan_request *r, struct arena *a, key_fn fn, void *context,
                struct scan_stats *stats);
    err (*sizes)(struct snapshot *sn, const struct scan_request *r, const struct size_sink *sink,
                 struct scan_stats *stats);
};

struct snapshot {
    const struct snapshot_functions *f;
};

struct series_snapshot_functions {
    void (*free)(struct series_snapshot *sn);
    err (*select)(struct series_snapshot *sn, const struct series_request *r, struct arena *a,
                  struct series_stats *stats, struct selection **out);
    err (*texts)(struct series_snapshot *sn, struct str name, const struct series_request *r, struct arena *a,
                 struct series_stats *stats, struct str **out, uint32_t *out_n);
    err (*metadata)(struct series_snapshot *sn, struct str name, struct arena *a, struct series_metadata **out,
                    uint32_t *out_n);
    err (*cardinality)(struct series_snapshot *sn, const struct series_request *r, uint32_t n, struct arena *a,
                       struct series_stats *stats, struct series_cardinality *out);
};

struct series_snapshot {
    const struct series_snapshot_functions *f;
};

/* Puts defaults where options say 0. `budget_bytes`: of which a head has its share. */
void series_options_fill(struct series_options *o, uint64_t budget_bytes);

/* The times that are taken at `now` (10): retention 0 takes all. */
void retention_limits(int64_t retention_ns, int64_t now_ns, int64_t *out_min, int64_t *out_max);
