/* Rollups in the engine: made at flush, read with what is not yet flushed, merged, counted anew after deletes (8).
 *
 *   rollup_live.c      what lists in memory come to, kept up to date by who asks
 *   rollup_flush.c     files of a flush: one a day, and one of the halves that wait, in place of the last one
 *   rollup_merge.c     fewer files of a day
 *   rollup_recount.c   hours that a delete has touched
 *   rollup_snapshot.c  reading
 *
 * A table of rollups has files alone: one of halves at most, and of rows any number. Locks: a list's `live.lock` comes before the engine's `lock`.
 */
#pragma once

#include "store/engine/merge_policy_priv.h"
#include "store/engine/store_engine_priv.h"

enum { ROLLUP_HALVES_MAX = 1 << 16 };
static const int64_t rollup_waits_ns = (int64_t)3600 * 1000000000; /* halves for each other, from their arrival */

static inline bool rollup_is_halves(const struct part_entry *p) { return p->rollup && p->rollup->info.rows == 0; }

/* What a list comes to under these deletes, as of now. live.lock held. */
void engine_live_update(struct engine *s, const char *tenant, struct memory_list *l, const struct delete_set *deletes,
                        struct rollup_names *names);
/* Then its edges whose parents are no clients: only who reads edges pays for them. live.lock held. */
void engine_live_pair(struct engine *s, struct memory_list *l);

/* A file of rollups that is written and open, as an entry. ERR_NOT_FOUND: nothing was put. */
err engine_rollup_finish(struct engine *s, struct rollup_writer *w, const char *path, struct part_entry *p);
/* The bit of an edit that brings or takes files of rollups. */
void engine_put_rollup(const struct table *t, const struct part_entry *p, struct buf *edit);

/* The file of halves there is, counted, and its halves to `t`; no file: the entry is empty. */
err engine_read_halves(struct engine *s, const struct table *rollups, struct tally *t, struct part_entry *out);

/* Hours that files have rows of, ascending; and all of one of them to a new file. */
void rollup_hours_of(const struct part_entry *const *files, size_t n, hour_list *out);
err rollup_write_hour(const struct part_entry *const *files, size_t n, int64_t hour, struct rollup_writer *w);

/* Whether a delete of spans has come since the hours of a file were counted. */
bool rollup_is_under(const struct delete_entry *d, const struct table *t, const struct part_entry *p);

struct rollup_flush {
    struct table *table; /* of rollups */
    VEC(struct part_entry) made;
    uint64_t removed[1]; /* the last file of halves */
    size_t removed_count;
    struct part_entry old; /* that file, counted */
};
err engine_rollup_flush(struct engine *s, struct table *spans, struct memory_list *list,
                        const struct delete_set *deletes, struct rollup_flush *out);
void engine_rollup_flush_done(struct rollup_flush *f);
