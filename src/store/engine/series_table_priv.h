/* The series table of one tenant: what is durable in the log and not yet in files, as samples of series.
 *
 *   record ─▶ known series ─▶ head ──seal──▶ sealed heads, oldest first ──flush──▶ files
 *               (by hash)      │
 *                              └ deltas: added to the newest sample of the head, else of what the last head had, else of the store
 *
 * Invariants
 *  - The log settles everything: what a record comes to depends on the records of its head before it, on its own arrival time, on older sources of
 *    the table (deltas), and on nothing else. A head begins where the log says so (RECORD_FRESH), so that a replay has the same heads.
 *    More heads than that, which replay makes when memory is short, only take more: a head without memory of a sample refuses less.
 *    The limits on what is new, by time and by request, do not hold in a replay: it takes what was taken, and what they refused.
 *  - Each head has the records of [first, last], and no other one has them. A delete concerns whole heads: it seals what it concerns.
 *    The log names a series once a head and refers to it then. When a replay makes two of what was one head, what is left of the second keeps
 *    the log of the first.
 *  - While records are between the log and the head (in_flight), nothing is sealed.
 *  - Late samples: a head knows the newest sample of a series only of its own. A sample that is older than that of an earlier head is taken, and
 *    shown where no earlier source has one at its time.
 *
 * Limits: SEALED_MAX heads wait for their flush (none is sealed over it, but by replay); store_options.series.
 * Memory: the head takes it whatever there is, so room for it is kept when a record is admitted. What is only for speed (`known`) or for a limit
 * (`met`) is forgotten when memory is short and no head is left to write: ids are found by labels again, deltas add to what sources have.
 * Threads: head, sealed, numbers and flags are under the engine's lock; samples are appended by the log thread alone, which owns
 * `known`; `texts` has a lock of its own.
 */
#pragma once

#include "store/engine/memory_priv.h"
#include "store/engine/series_said_priv.h"
#include "store/series/select_priv.h"

enum { SEALED_MAX = 8 };

/* ---- what is said about metrics ----------------------------------------------------------------------------------- */

#define METRIC_TEXTS_FILE "metadata"
struct metric_texts;
struct metric_texts *metric_texts_new(struct budget *budget); /* NULL: its memory is nobody's */
void metric_texts_free(struct metric_texts *t);
/* Keeps what is said. Over the limits the names go that were not spoken of for longest. */
void metric_texts_add(struct metric_texts *t, const struct series_metadata *m);
uint64_t metric_texts_dropped(struct metric_texts *t); /* names that went so */
/* The file `metadata` of a table's folder: written anew if something was said since, not durable before the folder is synced. */
err metric_texts_write(struct metric_texts *t, const char *dir);
/* ERR_NOT_FOUND: there is none; ERR_CORRUPT, ERR_INVALID: of a newer format. */
err metric_texts_read(struct metric_texts *t, const char *dir);
/* Calls fn for each saying in the bytes of such a file; fn may be NULL. */
typedef void (*metric_text_fn)(void *context, const struct series_metadata *m);
err metric_texts_scan(struct str bytes, const char *path, metric_text_fn fn, void *context);
err metric_texts_list(struct metric_texts *t, struct str name, struct arena *a, struct series_metadata **out,
                      uint32_t *out_n);

/* ---- known series --------------------------------------------------------------------------------------------------- */

/* The newest sample of a series in what is older than the head. */
struct delta_base {
    bool looked, there;
    struct head_last last; /* a histogram is on the heap */
};

/* What points of one hash become: series of the head. */
struct known {
    struct hash128 hash;
    uint64_t shape;           /* of what is compound: bounds and flags; another one is translated anew */
    uint32_t first, count;    /* ids[first …] */
    uint32_t room;            /* how many there may be from first on */
    struct delta_base *bases; /* of deltas: one a series; else NULL */
    uint32_t said;            /* its number in the log of the head, or POINTS_IN_FULL: it has none */
    bool resolved;            /* false: the ids and the number were those of an earlier head */
};

enum { NO_SERIES = UINT32_MAX }; /* an id: these points become nothing */

struct known_series {
    struct known *v;  /* in the order in which they were met first, which is that in which they come again */
    uint64_t *slots;  /* by hash: high bits of it | number in v + 1; 0: empty */
    uint64_t changes; /* one more when what a series was becomes something else, or is forgotten */
    uint32_t mask, n; /* of slots, of v */
    VEC(uint32_t) ids;
    uint64_t epoch; /* of the head that the ids are of */
    uint64_t bases_bytes, charged_bytes;
};
void known_init(struct known_series *k);
void known_done(struct known_series *k, struct budget *budget);
/* Brings the hash's slot near: maps are large, and lookups of one batch are many. */
static inline void known_prefetch(const struct known_series *k, struct hash128 hash) {
    __builtin_prefetch(&k->slots[(uint32_t)hash.low & k->mask]);
}
struct known *known_find(const struct known_series *k, struct hash128 hash);
/* What there is for the hash, new or the old one without ids; earlier pointers into the map are void. Where there is no memory for a larger map
 * everything else is forgotten. */
struct known *known_put(struct known_series *k, struct hash128 hash, struct budget *budget);
/* A new head: ids are forgotten. Bases of deltas are taken from the old head (NULL: they are forgotten, too). */
void known_turn(struct known_series *k, struct head *old, uint64_t epoch, struct budget *budget);
/* Bases of a slot, none or new ones; old ones go. */
void known_set_bases(struct known_series *k, struct known *one, uint32_t count, bool delta);
/* The base of the i-th series of a slot is the newest sample there is; the histogram is copied. */
void known_set_base(struct known_series *k, struct known *one, uint32_t i, const struct head_last *last);
void known_charge(struct known_series *k, struct budget *budget);

/* Hashes of the series of the head before, if there is a limit on new ones: they are not new. */
struct met_before {
    uint64_t *slots, mask; /* 0: empty */
    bool whole;            /* there was such a head in this life: who is not here is new */
};
void met_before_set(struct met_before *m, struct head *old, struct budget *budget);
uint64_t met_before_bytes(const struct met_before *m);
bool met_before_has(const struct met_before *m, uint64_t hash);
void met_before_done(struct met_before *m, struct budget *budget);

/* ---- the table ------------------------------------------------------------------------------------------------------ */

struct sealed_head {
    struct head *head;
    uint64_t first, last; /* sequences of its records */
    uint64_t log_from;    /* the record that began what their numbers count */
    day_list days;
};

struct series_table {
    struct head_options options;
    struct head *head;
    uint64_t first, last;          /* sequences of its records; 0: it has none */
    uint64_t log_from;             /* up to which the log is needed: the record that began what their numbers count */
    uint64_t sealed_to;            /* the last sequence of the head that was sealed last */
    uint64_t bytes, count;         /* what the head takes of the budget; its series */
    uint64_t beside;               /* the same of `known` and `met` */
    int64_t born_ns, born_wall_ns; /* of its first record */
    VEC(struct sealed_head) sealed;
    uint32_t in_flight;
    bool seal_asked, fresh; /* fresh: the next record begins a head */
    uint64_t epoch;         /* one more at each seal */
    struct head *previous;  /* the head sealed last, until the log thread has seen to its deltas */
    bool forget_bases;      /* a delete came: what the last head had says nothing */
    bool seal_holds, held; /* a delete waits for the seal; after it no record is applied until the delete is in force */
    struct known_series known;
    struct said said, saying; /* what is durable; with what is on its way there. The log thread's, as is: */
    bool refers;              /* `known` is of the head that records go to */
    struct met_before met;
    uint32_t
        texts_failures; /* how often their file could not be written since it last was; under the engine's `work` */
    bool inherited;   /* from when the store was opened, or `met` forgotten: its series are new to this process alone */
    int64_t blind_ns; /* since when, wall time */
    struct metric_texts *texts;
};
struct series_table *series_table_new(const struct store_options *o);
void series_table_free(struct series_table *t, struct budget *budget);
/* A new head takes over from here on, unless the old one has no record. Not while records are in flight. lock held. */
void series_table_seal(struct table *t);
/* The first sequence that what is not in files needs of the log, but for those of a sealed head; 0: there is none. lock held. */
uint64_t series_table_needs(const struct series_table *t, const struct head *flushed);
/* The oldest sealed head is in files: the caller's reference. lock held. */
struct head *series_table_pop(struct series_table *t);
/* Whether the head is to be sealed by its size. lock held. */
static inline bool series_table_is_full(const struct series_table *t, uint64_t bytes_max) {
    uint64_t most = MIN((uint64_t)t->options.series_max * HEAD_IDLE_TIMES, (uint64_t)HEAD_SERIES_MAX) / 2;
    return t->bytes >= bytes_max || (t->count && t->count >= most);
}
/* When the head is to be sealed by its age, on the monotonic clock. lock held. */
int64_t series_table_due_ns(const struct series_table *t, int64_t age_ns);

/* ---- applying ------------------------------------------------------------------------------------------------------- */

struct engine;
struct applier;
struct applier *applier_new(const struct store_options *o);
void applier_free(struct applier *a);
/* Appends what a durable record says to the table's head; m->outcome gets how it fared. The log thread's, or replay's. */
void engine_apply_points(struct engine *s, struct memory_batch *m);
/* All sources of the table but the head, as they are now, for any number of questions. */
struct series_before;
struct series_before *engine_series_before(struct engine *s, struct table *t);
void series_before_free(struct series_before *b); /* takes NULL */
/* The newest sample of exactly these labels since a time, as deletes leave it; a histogram is the caller's to free. Texts of the labels
 * live as long as b does. */
bool series_before_find(struct series_before *b, struct labels l, int64_t since, struct head_last *out);
