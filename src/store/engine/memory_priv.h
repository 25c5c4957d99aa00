/* Memory tables: what is durable in the log and not yet in parts, as lists of whole batches.
 *
 *   table   active list ──swap──▶ flushing list ──part written, manifest edit──▶ gone
 *
 * Invariants: a list grows at its end only, under the engine's small lock; batches of a list have rising sequences, and all
 * of the flushing list are below those of the active one. Batches are counted by the lists that have them; snapshots hold lists.
 * Limits: a table's lists and pending batches touch at most DAYS_MAX days (10); memory is the budget's (9).
 */
#pragma once

#include "base/budget.h"
#include "base/vec.h"
#include "store/part/part_priv.h"
#include "store/rollup/file_priv.h"
#include "store/series/part_priv.h"
#include "store/journal/store_format_priv.h"
#include "store/series.h"
#include "store/store_priv.h"

enum { DAYS_MAX = 64, TRACE_FILTER_BITS = 2048 };

struct table;

typedef VEC(int32_t) day_list;
/* False: the day is not there and there are `max` already. */
bool day_list_add(day_list *days, int32_t day, size_t max);

/* A batch of rows, or of points (view.signal TABLE_SERIES; of the view then only blob and rows count). */
struct memory_batch {
    atomic_uint refs;
    struct memory_batch *next; /* in the queue of pending ones */
    struct batch view;         /* of the blob, which it owns a reference of */
    struct points points;
    uint64_t sequence, bytes, blob_check;
    struct budget *budget;
    day_list days;
    uint64_t traces[TRACE_FILTER_BITS / 64]; /* Bloom filter: a lookup by trace passes most batches by */
    struct table *table;
    store_done_fn done; /* of rows */
    store_points_fn points_done;
    void *context;
    int64_t arrived_ns; /* of points, as are these */
    uint8_t flags;      /* RECORD_… */
    uint64_t began;     /* RECORD_SAYS: the sequence of the record that began its head */
    bool names;         /* some of its rows are known and have had no number so far */
    uint32_t *said;     /* RECORD_SAYS: the number of each series row (series_said_priv.h) */
    uint32_t *
        ids; /* for each series row the series of the head that its numbers go to, while `known` is as it was; NO_SERIES: it is to be asked */
    uint64_t known_changes;
    struct points_outcome *outcome;
    struct head_stats head; /* after it */
    uint64_t beside;        /* what is kept for speed, after it */
};
/* Takes over the reference of the blob. The bytes must have been taken from the budget. */
struct memory_batch *memory_batch_new(struct batch_blob *blob, struct budget *budget);
void memory_batch_unref(struct memory_batch *m); /* the last one gives back to the budget; takes NULL */
bool memory_batch_may_have_trace(const struct memory_batch *m, const unsigned char id[16]);
uint64_t memory_batch_bytes(const struct batch_blob *blob);
/* The same of points. Its bytes are an estimate of what they will take in the head, which takes them when this gives them back. */
struct memory_batch *memory_points_new(struct batch_blob *blob, struct budget *budget);
uint64_t memory_points_bytes(const struct batch_blob *blob);
static inline bool memory_batch_is_points(const struct memory_batch *m) { return m->view.signal == TABLE_SERIES; }

/* What the first `batches` of a list of spans come to, as far as somebody asked. */
struct live_rollup {
    struct lock lock;
    struct tally tally; /* while `made` */
    bool made;
    size_t batches;
    uint64_t deletes_applied;
    _Atomic uint64_t charged_bytes; /* who decides what to flush looks at it without the lock */
    struct budget *budget;
};

struct memory_list {
    atomic_uint refs;
    struct memory_batch **v;
    size_t n, capacity;
    uint64_t bytes, rows;
    int64_t born_ns; /* monotonic, of the first batch */
    day_list days;
    struct live_rollup live;
};
/* With what was counted of it. */
static inline uint64_t memory_list_bytes(const struct memory_list *l) {
    return l->bytes + atomic_load(&l->live.charged_bytes);
}
struct memory_list *memory_list_new(void);
struct memory_list *memory_list_ref(struct memory_list *l);
void memory_list_unref(struct memory_list *l); /* takes NULL */
void live_rollup_clear(struct live_rollup *l); /* its lock held, or nobody else has it */
/* Takes over a reference of the batch. */
void memory_list_push(struct memory_list *l, struct memory_batch *m, int64_t monotonic_ns);
/* How many of the first batches, at least one, can be written with about so much memory. */
size_t memory_list_fit(const struct memory_list *l, uint64_t work_bytes);
/* Two new lists, of the first n batches and of the others. */
void memory_list_split(const struct memory_list *l, size_t n, struct memory_list **out_first,
                       struct memory_list **out_rest);

/* ---- parts and tables ------------------------------------------------------------------------------------------- */

/* One live part, file of series or of rollups, as the manifest names it; none of them is set if its file cannot be opened (7). */
struct part_entry {
    struct part *part;
    struct series_part *series; /* of a table of series, in its place */
    struct rollup_file *rollup; /* of rollups */
    uint64_t age;
    uint64_t id, rows, bytes, deletes_applied;
    int32_t day;
    int64_t time_min, time_max;
    bool damaged;     /* cannot be merged or rewritten */
    int64_t retry_ns; /* monotonic: after a failed merge or rewrite not before this */
};

/* Immutable but for `rests`; a table's live parts. */
struct part_set {
    atomic_uint refs;
    size_t n;
    bool rests; /* nothing of it is to be merged; under the engine's `work` */
    struct part_entry v[];
};
/* Of what an entry holds, a part or a file of series. */
void part_entry_ref(const struct part_entry *p);
void part_entry_unref(struct part_entry *p);
void part_entry_doom(const struct part_entry *p);
void part_entry_describe(struct part_entry *p,
                         const struct series_info *info); /* of a file of series: rows are samples */
const char *part_entry_path(const struct part_entry *p);
static inline bool part_entry_is_open(const struct part_entry *p) { return p->part || p->series || p->rollup; }
struct part_set *part_set_ref(struct part_set *set);
void part_set_unref(struct part_set *set);
/* A new set: the old one without some ids, with some entries (whose references it takes over). */
struct part_set *part_set_change(const struct part_set *old, const uint64_t *removed, size_t removed_count,
                                 const struct part_entry *added, size_t added_count);
struct part_set *part_set_empty(void);

/* A day of which there were spans and no rollups at start. */
struct uncounted_day {
    int32_t day;
    uint32_t failures;
    int64_t retry_ns; /* monotonic: not before this */
};

struct series_table;
struct table {
    char tenant[TENANT_BYTES];
    enum signal signal;
    struct part_set *parts;
    struct memory_list *active, *flushing; /* flushing: NULL, or being made parts */
    day_list days;                         /* of active and of pending batches */
    bool dir_durable;                      /* its folder's entry and those above; under the engine's `work` */
    bool flush_now;                        /* its days are full */
    int64_t retry_ns;                      /* monotonic: after a failed flush not before this */
    uint32_t flush_failures;               /* since the last flush that did not fail */
    char flush_why[160];                   /* of the last one */
    struct series_table *series;           /* of TABLE_SERIES, whose lists stay empty */
    struct rollup_names *names;            /* of TABLE_ROLLUPS, whose lists stay empty, too */
    VEC(struct uncounted_day) uncounted;   /* under the engine's `work` */
};
struct table *table_new(struct str tenant, enum signal signal);
void table_free(struct table *t, struct budget *budget);
/* The first log record of the table that is not in parts, but for those of a list or head; 0: there is none. Engine's lock held. */
uint64_t table_needs(const struct table *t, const void *flushed);
bool table_holds_log(const struct table *t);
