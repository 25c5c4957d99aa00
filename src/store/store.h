/* The store: telemetry at rest. Takes batches, keeps them through kill -9 and power cuts, answers from them at once.
 *
 *   append ─▶ log (one, group commit) ─▶ memory table ─flush─▶ part ─merge─▶ part ─retention, delete─▶ gone
 *                                             └──────── snapshot: scan, fetch, trace ────────┘
 *
 * Invariants are those of DESIGN.md §4, cited in the code by number:
 *  (1) one log a data directory; its thread is the only writer and the only caller of sync
 *  (2) acknowledged, and visible, only after the record is durable
 *  (3) live parts are what the manifest says; a flush or a merge is one durable manifest record
 *  (4) a log segment goes when every table has flushed past it
 *  (5) a failed sync is never retried on the same file
 *  (6) folders are synced after create and rename
 *  (7) every block carries a checksum; a bad one is named, skipped and counted, and the answer says that it is partial
 *  (9) memory comes from one budget, over which append refuses (ERR_BUSY)
 *  (8) rollups are made at flush, in the same manifest record, and counted anew after a delete (rollup.h)
 * (10) at most 64 days hold memory tables
 * (11) equal (trace, span id, start) rows are shown once in trace views
 * (12) every file starts with magic, version and required-feature bits
 *
 * Data directory: LOCK, manifest, log/NNNN.log, tenants/NAME/{spans,logs,series,rollups}/DAY-ID.part (docs/formats/).
 *
 * Threads: every function may be called from any thread but where it says otherwise. store_open starts the log thread and
 * the back thread unless options.manual: then nothing runs by itself, and store_pump does one step (simulation).
 * Errors: ERR_BUSY (budget), ERR_UNAVAILABLE (disk full, read-only after two failed syncs, closing), ERR_CONFLICT (another
 * process has the directory), ERR_INVALID (a newer format: the text says what to do), ERR_CORRUPT, ERR_IO.
 * A second implementation, store_model_open, keeps everything in memory in the simplest way: the oracle of the tests.
 */
#pragma once

#include "base/work.h"
#include "store/rollup.h"
#include "store/sizes.h"

struct budget;

struct store;
struct snapshot;

struct translation; /* signal/metrics/translate.h */

/* Of the series table, a tenant each. 0 is the default but where it says otherwise. */
struct series_options {
    const struct translation *translation; /* of OTLP; default translation_default with deltas; borrowed */
    uint32_t series_max;                   /* with a sample in the last five minutes; default 5,000,000 */
    uint32_t labels_max;                   /* a series; default 64 */
    uint32_t new_series_max;               /* in any span of churn_ns; 0: no limit */
    int64_t churn_ns;                      /* default 10 min */
    uint32_t request_series_max; /* new ones in one request, as all others wait until it is applied; default 262,144 */
    int64_t late_window_ns;      /* how far behind its newest sample a series takes one; default 30 min, -1: none */
    uint64_t flush_bytes;        /* a head of this size is written; default a quarter of the budget */
    int64_t flush_age_ns;        /* and at each multiple of this; default 2 h */
    uint64_t log_bytes;          /* or when it holds so much of the log; default 1 GiB */
};

/* What others keep in the data directory, put into a copy before it is a whole one. tenant p NULL: of all. */
struct store_beside {
    err (*copy)(void *context, struct str tenant, const char *to);
    void *context;
};
#define STORE_RECORDS_FILE                                                                                             \
    "records.db" /* a database that catalog keeps, with -wal beside it while it is open or after a kill */

struct store_options {
    const char *dir;
    struct budget *budget;          /* must be there; the model needs none */
    int64_t retention_ns;           /* 0: for ever */
    uint32_t disk_use_max_percent;  /* of the file system, default 80 */
    uint32_t disk_free_min_percent; /* default 5 */
    uint64_t flush_bytes;           /* a memory table of this size is flushed; default 128 MiB */
    int64_t flush_age_ns;           /* or of this age; default 60 s */
    uint64_t segment_bytes;         /* default 64 MiB */
    bool manual;                    /* no threads: store_pump drives */
    int64_t (*wall_ns)(void);       /* default clock_wall_ns; retention and the future limit follow it */
    struct series_options series;
    struct store_beside beside;    /* copy NULL: nothing */
    struct rollup_function rollup; /* run NULL: no rollups are kept */
    int64_t rollup_retention_ns;   /* 0: for ever; default 400 days */
    struct work_watch watch;       /* of flushes and merges: fields tenant and table; tell NULL: nobody */
};

void store_options_default(struct store_options *out);
/* Opens or creates the directory and replays the log. Blocks while it does. */
err store_open(const struct store_options *options, struct store **out);
/* The naive model behind the same door: no files, no threads, no budget; appends are acknowledged at once. */
struct store *store_model_open(const struct store_options *options);
/* Flushes all memory tables, ends the threads, leaves nothing to replay. Takes NULL. No other call may be running. An error (a full
 * disk, read-only): what is not in parts is in the log, for the next open; the store is closed all the same. */
err store_close(struct store *s);
/* Ends without flushing, as a crash would but for the process: tests only. */
void store_abandon(struct store *s);

/* A tenant's name is 1 to 63 bytes of [A-Za-z0-9_.-] and begins with no dot. */
bool store_tenant_is_valid(struct str name);

/* Takes over one reference of the blob. Later, from the log thread (or within store_pump), calls done(context, e): NULL
 * means durable and visible; else nothing of it is kept and e is the callee's. Returns an error at once, without calling
 * done and having dropped the reference, when refused: ERR_BUSY, ERR_UNAVAILABLE, ERR_LIMIT (10), ERR_INVALID (tenant name). */
typedef void (*store_done_fn)(void *context, err e);
err store_append(struct store *s, struct str tenant, struct batch_blob *blob, store_done_fn done, void *context)
    __attribute__((warn_unused_result));
/* The times that are taken now (10), for otlp_limits. */
void store_time_limits(struct store *s, int64_t *out_min, int64_t *out_max);

/* What is visible now of one tenant's table; stays as it is until freed. An unknown tenant is an empty snapshot. */
err store_snapshot(struct store *s, struct str tenant, enum signal signal, struct snapshot **out);
void snapshot_free(struct snapshot *sn); /* takes NULL */
/* Chunks of matching rows, groups in order of their newest row, newest first. `stats` is added to, also on an error. Scratch
 * memory is the arena's (per chunk reset by the scan). */
err snapshot_scan(struct snapshot *sn, const struct scan_request *r, struct arena *a, chunk_fn fn, void *context,
                  struct scan_stats *stats);
/* Appends whole rows to a builder of that signal, in the order given. A row in a bad block is left out and counted. */
err snapshot_fetch(struct snapshot *sn, const struct row_place *places, size_t n, struct batch_builder *out,
                   struct scan_stats *stats);
/* All rows of a trace, unordered, duplicates included; limit_rows > 0 stops there. */
err snapshot_trace(struct snapshot *sn, const unsigned char id[16], size_t limit_rows, struct batch_builder *out,
                   struct scan_stats *stats);
/* Calls fn for each distinct resource row of what overlaps the range (a resource may come several times). Of the request: range,
 * deadline and cancellation, here and in the next two. */
err snapshot_resources(struct snapshot *sn, const struct scan_request *r,
                       void (*fn)(void *context, const struct batch *b, uint32_t resource_row), void *context,
                       struct scan_stats *stats);
/* Calls fn for the keys of attributes of what overlaps the range, without a look at rows where none is hidden by a delete: a key may
 * come several times, and its values are those of whole row groups and batches, so at least those of the range. SET_LINKS is
 * left out. `a` is scratch. SCAN_STOP ends it. */
err snapshot_keys(struct snapshot *sn, const struct scan_request *r, struct arena *a, key_fn fn, void *context,
                  struct scan_stats *stats);

/* What the table takes (sizes.h). */
err snapshot_sizes(struct snapshot *sn, const struct scan_request *r, const struct size_sink *sink,
                   struct scan_stats *stats);

/* Deletes: rows of the range that match the predicates (none = all), from reads at once, from bytes by rewriting parts in the
 * background within 24 h. Durable when it returns. Blocks for a disk sync. *out_id names it. An error that leaves the store
 * read-only (a manifest that could not be written) tells nothing: the delete may hold from the next open on. After any other error
 * it never holds. */
struct delete_request {
    bool signals[SIGNALS];
    int64_t time_min, time_max;
    bool by_trace;
    unsigned char trace_id[16];
    const struct predicate *predicates; /* kept as text in the manifest */
    size_t predicate_count;
};
err store_delete(struct store *s, struct str tenant, const struct delete_request *r, uint64_t *out_id);
bool store_delete_is_done(struct store *s, uint64_t id); /* no byte of it is left in any part */
err store_rewrite_now(struct store *s);                  /* does the outstanding rewrites now; blocks */

/* Memory tables to parts, now; blocks. ERR_UNAVAILABLE: read-only, and rows are left that only the log has. */
err store_flush(struct store *s);
err store_flush_tenant(struct store *s, struct str tenant); /* the same for one */
err store_merge_all(struct store *s); /* merges until nothing is left to merge; blocks (bench, tests) */
/* A copy that opens as a data directory: hard links of parts (copies, on another file system), manifest and log tail. `to` must not
 * exist or be empty, and is so again after an error. Blocks; work goes on meanwhile. One at a time. */
err store_backup(struct store *s, const char *to);
/* The same of one tenant: flushes it and copies its parts alone. ERR_UNAVAILABLE if nothing can be flushed. */
err store_backup_tenant(struct store *s, struct str tenant, const char *to);

struct store_stats {
    uint64_t rows_appended[SIGNALS], batches_appended, commits, syncs_failed, bytes_logged;
    uint64_t parts, part_bytes, part_rows[SIGNALS], groups, log_bytes, memory_rows[SIGNALS], memory_bytes;
    uint64_t points_appended, points_rejected, samples_appended; /* of series */
    uint64_t series_files, series_bytes, series_samples;         /* at rest */
    uint64_t head_series, head_samples, head_bytes;              /* in memory */
    uint64_t rollup_files, rollup_bytes, rollup_rows;
    uint64_t flushes_failed, tables_failing;                     /* failing: again and again, now */
    uint64_t metadata_dropped;  /* names of metrics whose metadata went, as there were too many */
    uint64_t metadata_failures; /* flushes without it, as its file could not be written */
    uint64_t flushes, merges, rows_merged, parts_dropped, deletes_pending, bad_blocks, replayed_records;
    bool read_only, disk_full;
    char why[160]; /* of the last two */
};
void store_get_stats(struct store *s, struct store_stats *out);
/* A sign of life: false while the log thread has not gone round since the call before, as when it hangs; then asks anew. */
bool store_pulse(struct store *s);
err store_health(struct store *s); /* NULL: takes writes; else the reason (the caller's) */

/* One step of work under options.manual: kind 0 the log thread's, 1 a flush, 2 a merge or rewrite, 3 retention and disk
 * check. False: there was nothing to do. */
bool store_pump(struct store *s, int kind);

/* ---- offline tools ---------------------------------------------------------------------------------------------- */

/* Checks a directory that no process has open: manifest, log, every block of every part. Findings are written to `out` as
 * lines; *out_bad counts them. */
err store_check(const char *dir, struct buf *out, uint64_t *out_bad);
/* The same, which counts what it looks at and calls `tell` (may be NULL) after each part: for a progress line and a summary. */
struct store_checked {
    uint64_t parts, parts_all, rows, bytes; /* rows and bytes: of parts looked at, as the manifest says */
    uint64_t segments, log_bytes;
    void (*tell)(const struct store_checked *so_far);
};
err store_check_counted(const char *dir, struct buf *out, uint64_t *out_bad, struct store_checked *counts);
/* Any file of a data directory as text: header, directory, blocks, and rows up to `rows_max`. */
err store_dump(const char *path, uint64_t rows_max, struct buf *out);
/* Makes a backup the data directory `to`, which must not exist or be empty; checks it first. */
err store_restore(const char *from, const char *to);
