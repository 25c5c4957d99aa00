/* A snapshot of one table: its parts, its memory batches, the deletes over them, and how far back it shows.
 *
 * Sources are numbered: parts first, then batches, oldest first. All of it is immutable: any thread may read, several at once.
 */
#pragma once

#include "store/engine/delete_priv.h"

struct engine_snapshot {
    struct snapshot base;
    enum signal signal;
    int64_t time_floor; /* older rows are past their retention */
    struct part_set *parts;
    struct memory_list *lists[2];
    struct memory_batch **batches;
    size_t batch_count;
    struct delete_set *deletes;
    size_t delete_count;
    const struct delete_entry **of_table; /* those of `deletes` that concern the table */
};

/* snapshot_names.c */
err engine_snapshot_resources(struct snapshot *snapshot, const struct scan_request *r,
                              void (*fn)(void *context, const struct batch *b, uint32_t resource_row), void *context,
                              struct scan_stats *stats);
err engine_snapshot_keys(struct snapshot *snapshot, const struct scan_request *r, struct arena *a, key_fn fn,
                         void *context, struct scan_stats *stats);
/* Deletes of a source, if any: what reading it must leave out. */
bool snapshot_part_is_masked(const struct engine_snapshot *sn, const struct part_entry *p);
bool snapshot_batch_is_masked(const struct engine_snapshot *sn, const struct memory_batch *m);

/* Scans one group (or batch), leaving out deleted rows. `scan` is the part's, opened for the request; NULL for a batch. */
err snapshot_scan_masked(const struct engine_snapshot *sn, uint32_t source, uint32_t group,
                         const struct scan_request *r, struct arena *a, struct chunk *out, struct scan_stats *stats);
/* A part that cannot be opened or read makes the answer partial (7). */
void snapshot_count_missing(const struct part_entry *p, struct scan_stats *stats);
err engine_snapshot_sizes(struct snapshot *snapshot, const struct scan_request *r, const struct size_sink *sink,
                          struct scan_stats *stats);
/* True if a row of a batch is to be seen. */
bool snapshot_shows_row(const struct engine_snapshot *sn, const struct memory_batch *m, uint32_t row);
