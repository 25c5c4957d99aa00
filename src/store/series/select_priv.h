/* Heads and parts as one: what a query reads, and what a flush or a merge writes.
 *
 *   sources, oldest first ──select──▶ series, each with where it is in every source ──read──▶ samples, merged by time
 *                         └──write──▶ one file: series by labels, late samples merged in, deletes applied
 *
 * Where two sources have a sample at the same time the earlier source wins (samples.h).
 * Owner: the caller keeps the sources alive and frees readers, then the selection. Threads: a selection does not change once it is made and may
 * be shared; a reader of it belongs to one thread. Limits: the arena given; SOURCES_MAX.
 */
#pragma once

#include "store/series/part_priv.h"

enum { SOURCES_MAX = 4096 };

/* Samples of the series that match with time in [min, max] are gone. */
struct series_delete {
    const struct label_matcher *matchers;
    uint32_t matcher_count;
    int64_t time_min, time_max;
};

/* A head or a part, and what is gone of it. */
struct series_source {
    struct head *head;
    struct series_part *part;
    const struct series_delete *deletes;
    uint32_t delete_count;
};

/* The series that match, distinct, in no order; none that only has samples outside of the range, or deleted ones, by what is known without
 * reading any. Labels are the arena's and the heads'. Deletes are matched here, not when samples are read: selections are shared by threads. */
err series_select(const struct series_source *sources, uint32_t source_count, const struct label_matcher *m,
                  uint32_t matchers, int64_t time_min, int64_t time_max, struct arena *a, struct series_stats *stats,
                  struct selection **out);
/* The same with bounds: ends as soon as there are `limit` series (0: all; which ones is not said), and when `check` says so, which is asked now
 * and then. */
struct select_bounds {
    uint32_t limit;
    err (*check)(void *context); /* may be NULL */
    void *context;
};
err series_select_bounded(const struct series_source *sources, uint32_t source_count, const struct label_matcher *m,
                          uint32_t matchers, int64_t time_min, int64_t time_max, const struct select_bounds *bounds,
                          struct arena *a, struct series_stats *stats, struct selection **out);
/* Of series i of a selection out of one source: its number there. */
uint32_t selection_place(const struct selection *s, uint32_t i);
/* Names (name.p NULL) or values of a name, of all series of what overlaps the range, ascending, distinct. With matchers: of those
 * that match. Memory of the arena. */
err series_label_texts(const struct series_source *sources, uint32_t source_count, struct str name,
                       const struct label_matcher *m, uint32_t matchers, int64_t time_min, int64_t time_max,
                       struct arena *a, struct series_stats *stats, struct str **out, uint32_t *out_n);

/* A file of all that the sources have in [min, max] but for the deletes. ERR_NOT_FOUND and no file: nothing is left. A damaged page of a source is an
 * error: nothing may be lost in silence. */
err series_write(const char *path, uint64_t id, const struct series_source *sources, uint32_t source_count,
                 int64_t time_min, int64_t time_max, struct series_info *out);
/* Ids of all series of a head in the order of their labels; the caller's to free. */
uint32_t *series_head_sorted(struct head *h, uint32_t *out_n);
