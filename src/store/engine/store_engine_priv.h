/* The engine: the implementation of the door that keeps its data on disk.
 *
 *   store_open.c    open, replay, close         store_append.c  the way in and the log thread's step
 *   store_flush.c   memory tables → parts       store_merge.c   merges, rewrites for deletes
 *   store_delete.c  deletes                     retention.c     by age, by size, full disk
 *   store_back.c    the back thread, pump       snapshot.c      reading;  snapshot_mask.c  deletes at read
 *   series_….c      the series table (series_table_priv.h); what its log says once (series_said_priv.h)
 *   rollup_….c     rollups (rollup_engine_priv.h)
 *   backup.c  check.c  dump.c                   tools
 *
 * Locks, taken in this order:
 *   copying   held through a backup: one at a time
 *   work      held through a flush, merge, rewrite or drop: one of them at a time
 *   editing   the manifest: held through its sync, and until what it says is in the tables
 *   lock      the small one: tables, lists, sets, the queue of pending batches, flags, figures; never held over a call to os
 * The record_log belongs to the log thread; what others need of it is copied to `segments` under `lock`.
 */
#pragma once

#include "os/thread.h"
#include "store/engine/delete_priv.h"
#include "store/journal/log_priv.h"
#include "store/journal/manifest_priv.h"
#include "store/engine/memory_priv.h"
#include "store/engine/series_table_priv.h"

/* TABLES_MAX: over it no append makes a new one; what is on disk is always opened. */
enum { PENDING_MAX = 4096, TABLES_MAX = 3072 };

typedef VEC(struct log_record) record_list;

struct segments_view {
    VEC(struct log_segment) closed;
    uint64_t open_number;     /* of the segment being written, or of the next */
    uint64_t open_used_bytes; /* durable; 0: none is open */
    uint64_t disk_bytes;
};

/* The last day that was dropped because the disk had too little left. */
struct size_drop {
    uint64_t bytes;                   /* of its parts; 0: there was none since the disk last had room */
    uint64_t own_before, free_before; /* bytes of our files, and free ones of the file system */
};

struct engine {
    struct store base;
    struct store_options o;
    char *dir, *log_dir;
    int64_t opened_wall_ns;
    struct file *lock_file;
    /* Of the budget, held from open to close: what a flush or a merge (one at a time) may take. So the flush that gives memory back
     * never has to ask for it. */
    uint64_t work_bytes;

    struct lock copying, work, editing, lock;
    struct signal_flag log_wake, back_wake, sealed; /* sealed: a head was, or nothing is in flight any more */
    struct thread *log_thread, *back_thread;

    /* under lock */
    VEC(struct table *) tables;
    struct delete_set *deletes;
    struct memory_batch *pending, **pending_end;
    size_t pending_count; /* also those the log thread has taken and not yet answered */
    struct {
        size_t size;      /* requests of the last commit, and those that had come when it ended */
        size_t awaited;   /* so many are waited for; 0: the log thread waits for any */
        int64_t ended_ns; /* monotonic */
        int64_t took_ns;  /* the log thread's */
    } group;
    uint64_t visible_sequence;
    struct segments_view segments;
    uint64_t retire_below; /* segments below that number may go */
    bool check_idle;       /* a flush has emptied a table */
    bool turn_heads;       /* a head was sealed: the log thread holds the old one */
    bool forget_known;     /* memory is short: the log thread forgets what series keep for speed */
    uint64_t wanted_bytes; /* the most that was refused since the back thread looked for what to flush */
    bool backup_running;   /* it copies the log: no segment may go meanwhile */
    bool replaying;        /* at open: segments not yet read are all needed */
    bool pulse_asked;      /* the log thread shall show that it goes round */
    bool closing, stop_log, stop_back, read_only, disk_full;
    char why[160];
    struct store_stats stats; /* those that are counted, not looked up */

    /* the log thread's */
    struct record_log log;
    VEC(struct memory_batch *) taken;
    record_list records;
    struct buf brief;        /* the bytes of records that refer to others */
    struct applier *applier; /* of points */
    int log_failures;
    uint64_t retired_below;

    struct manifest manifest; /* under editing */

    /* under work */
    int64_t retention_due_ns;
    struct size_drop last_drop;
    int64_t small_due_ns; /* what is small is not flushed for want of memory before this */
    int64_t jobs_due_ns;  /* merges and rewrites wait until then after one that failed; its parts longer */
};

/* store_append.c */
err engine_append(struct store *s, struct str tenant, struct batch_blob *blob, store_done_fn done, void *context);
err engine_append_points(struct store *s, struct str tenant, struct batch_blob *blob, store_points_fn done,
                         void *context);
bool engine_log_step(struct engine *s); /* false: there was nothing to do */
void engine_log_thread(void *engine);
void engine_segments_publish(struct engine *s); /* by whoever owns the log now */
struct table *engine_table(struct engine *s, struct str tenant, enum signal signal, bool make); /* lock held; NULL */
void engine_make_visible(struct engine *s, struct memory_batch *m, int64_t monotonic_ns);       /* lock held */
void engine_read_only(struct engine *s, const char *why);
void engine_disk_full(struct engine *s, const char *why);
err engine_refusal(const struct engine *s); /* lock held; NULL: writes are taken */

/* series_apply.c: the log thread, or replay, lets go of heads that were sealed, and of what memory is too short for. False: there was nothing. */
bool engine_turn_heads(struct engine *s);

/* series_said.c: gives the series of the first n taken records of points their numbers, and those records their bytes. */
void engine_say(struct engine *s, size_t n);
void engine_said(struct engine *s, size_t n); /* they are durable and in the head */

/* series_relog.c */
/* Appends the records of points that are visible and in no file, or said what those refer to, out of the segments they were made durable in,
 * which stay mapped. */
err engine_relog_points(struct engine *s, segment_mappings *segments, record_list *out);

/* store_flush.c: work held. */
err engine_flush_table(struct engine *s, struct table *t, bool *out_did);
void engine_tell(const struct engine *s, const char *name, const struct table *t, int64_t began_ns,
                 err e); /* options.watch; e stays the caller's */
struct table *engine_flush_due(struct engine *s, int64_t monotonic_ns, bool any, int64_t *out_next_ns);
bool engine_is_pressed(const struct engine *s); /* over half of what is not for flushes and merges is used */
err engine_flush_all(struct engine *s);
err engine_flush_tenant(struct engine *s, struct str tenant); /* work held; p NULL: all */
err engine_flush(struct store *s, struct str tenant);
err engine_flush_series(struct engine *s, struct table *t, bool *out_did);
err engine_sync_table_dir(struct engine *s, struct table *t);
uint64_t engine_next_part_id(struct engine *s);
/* Parts added, log covered: by a list of batches or a head. */
void engine_put_flush_edit(struct engine *s, const struct table *t, const struct part_entry *made, size_t n,
                           uint64_t covered_to, const void *flushed, struct buf *edit);
/* Parts of a flush that came to nothing. */
void engine_discard_parts(struct engine *s, const struct table *t, struct part_entry *made, size_t n);
void engine_flush_failed(struct engine *s, struct table *t, err e);
/* Appends an edit and, if it is durable, puts a changed part set in the table's place; else read-only if need be. */
err engine_edit_parts(struct engine *s, struct table *t, struct str edit, const uint64_t *removed, size_t removed_count,
                      const struct part_entry *added, size_t added_count, bool flushed);
/* The same of several tables at once, of which the first was flushed or not. */
struct parts_change {
    struct table *table;
    const uint64_t *removed;
    size_t removed_count;
    const struct part_entry *added;
    size_t added_count;
};
err engine_edit_tables(struct engine *s, const struct parts_change *changes, size_t n, struct str edit, bool flushed);
struct manifest_part engine_part_row(const struct table *t, const struct part_entry *p);

/* store_failing.c: flushes that fail again and again. */
void engine_note_failure(struct engine *s, struct table *t, const char *why); /* when to try again, too */
/* What waits of such a table takes a share of the memory, and no more: then the tenant is refused, not the others. lock held. */
err engine_refuse_failing(const struct engine *s, const struct table *t);
void engine_add_failing(const struct table *t, struct store_stats *out); /* lock held */

/* store_merge.c: work held. */
bool engine_merge_step(struct engine *s);                 /* false: nothing to merge */
bool engine_rewrite_step(struct engine *s, err *out_why); /* false: no part holds deleted rows that can be rewritten */
err engine_merge_all(struct store *s);
err engine_rewrite_now(struct store *s);

/* store_delete.c */
err engine_delete(struct store *s, struct str tenant, const struct delete_request *r, uint64_t *out_id);
/* What is asked for as the manifest has it: into the manifest, and in force. Of series: their heads are sealed. */
err engine_delete_add(struct engine *s, struct manifest_delete *m, struct table *series);
bool engine_delete_is_done(struct store *s, uint64_t id);
void engine_finish_deletes(struct engine *s); /* work held */

/* retention.c: work held. */
bool engine_retention_step(struct engine *s); /* false: nothing went and nothing changed */

/* store_back.c */
void engine_back_thread(void *engine);
bool engine_pump(struct store *s, int kind);

/* snapshot.c, backup.c */
err engine_snapshot(struct store *s, struct str tenant, enum signal signal, struct snapshot **out);
/* series_delete.c */
/* A new head takes over; the log thread sees to what the old one knew, and lets go of it. lock held, nothing in flight. */
void engine_seal_now(struct engine *s, struct table *t);
/* Seals the head of a table, after what is in flight. lock held; waits. ERR_BUSY: too many heads wait to be written. */
err engine_seal(struct engine *s, struct table *t);
/* Before a record is applied: a delete that has sealed the table's head is in force, or came to nothing. Waits for its sync. */
void engine_await_delete(struct engine *s, const struct series_table *t);
err engine_delete_series(struct store *s, struct str tenant, const struct series_request *r, uint64_t *out_id);

err engine_series_snapshot(struct store *s, struct str tenant, struct series_snapshot **out);
err engine_backup(struct store *s, struct str tenant, const char *to);

/* rollup_….c (rollup_engine_priv.h) */
void engine_rollup_open(struct engine *s); /* names of what is kept, at start */
/* Whether rollups of a tenant are yet to be counted anew for deletes of its spans, which must stay until then. */
bool engine_rollup_waits(struct engine *s, const char *tenant);
bool engine_rollup_step(struct engine *s, err *out_why); /* work held; false: nothing is to be counted anew */
err engine_rollup_merge(struct engine *s, const struct part_set *parts, const size_t *picked, size_t n, struct table *t,
                        const char *path, struct part_entry *made);
err engine_rollups(struct store *s, struct str tenant, const struct rollup_request *r, struct arena *a,
                   struct rollup_rows *out, struct scan_stats *stats);

/* store_open.c */
extern const struct store_functions engine_functions;
err engine_replay(struct engine *s);
err engine_series_open(struct engine *s, const char *path, struct series_part **out);
err engine_part_open(struct engine *s, const char *path, struct part **out); /* its memory is the budget's */
