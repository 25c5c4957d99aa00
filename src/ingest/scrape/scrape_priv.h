/* What the parts of the room share: targets, what is known of their series, and the samples of one scrape.
 *
 *   discover thread                              scrape thread
 *   sources ─▶ groups ─▶ target_make ─▶ pool ──posted──▶ pools ─▶ targets ─▶ due ─▶ fetch ─▶ digest ─▶ ingest_points
 *
 * Owner: a pool owns its targets; a posted pool is the poster's until the scrape thread takes it. Locks: scraper.lock guards `pools` with all that the API
 * reads (labels, health) and `posted`; the scrape thread alone changes pools, and reads them without it. */
#pragma once

#include "base/budget.h"
#include "ingest/scrape/config_priv.h"
#include "net/fetch.h"
#include "os/stamp.h"
#include "os/thread.h"
#include "signal/metrics/points_build.h"
#include "signal/metrics/points_decode.h"

/* ---- what a target said last ------------------------------------------------------------------------------------------ */

/* Series by the hash of the labels as the target said them, and the labels that they came to. A row is one series as it is stored; several sayings
 * may come to one row. What a scrape did not say goes when more than half is such. */
struct known_series {
    struct hash128 said;
    uint32_t row; /* ROW_DROPPED: relabelling drops it */
    uint32_t seen;
};
struct series_row {
    struct hash128 id; /* of its labels */
    uint32_t text, text_n;
    uint32_t seen;    /* the scrape that stored a sample of it last */
    uint32_t tracked; /* the same, of samples whose end is told by a stale marker */
};
enum { ROW_DROPPED = UINT32_MAX };
struct series_cache {
    VEC(struct known_series) known;
    VEC(struct series_row) rows;
    struct buf texts;
    uint32_t *known_slots, *row_slots; /* index + 1, by hash */
    uint32_t known_mask, row_mask;
    uint32_t scrape;                                /* the number of the scrape under way, from 1 */
    size_t known_before, rows_before, texts_before; /* how much there was when it began */
    uint64_t drawn_bytes;
};
enum { CACHE_TEXT_BYTES_MAX = 1 << 30 };
void series_cache_done(struct series_cache *c, struct budget *budget);
void series_cache_begin(struct series_cache *c);  /* a scrape */
void series_cache_forget(struct series_cache *c); /* which labels sayings come to; rows stay */
struct known_series *series_cache_find(struct series_cache *c, struct hash128 said); /* NULL: not known */
struct known_series *series_cache_add(struct series_cache *c, struct hash128 said, uint32_t row);
uint32_t series_cache_row(struct series_cache *c, struct str labels); /* the row of these labels, new or known */
struct str series_cache_labels(const struct series_cache *c, uint32_t row);
/* After a scrape: lets go what has not been said, and draws from the budget what is held: false: over it, and all was forgotten. One that failed
 * stored nothing: what it added goes, what was known before stays. */
bool series_cache_settle(struct series_cache *c, struct budget *budget, bool failed);
uint64_t series_cache_bytes(const struct series_cache *c);

/* ---- targets ---------------------------------------------------------------------------------------------------------- */

enum target_health { HEALTH_UNKNOWN, HEALTH_UP, HEALTH_DOWN };

/* Labels in one piece of memory. */
struct labels_pack {
    struct label *v; /* sorted by name; texts lie behind */
    uint32_t n;
};
struct labels_pack labels_pack(const struct label *v, size_t n);

/* What targets say about their metrics; shared by those that say the same. */
struct scrape_metadata {
    struct hash128 id;
    uint32_t count;
    uint32_t n; /* bytes: {type u8, three texts with u32 sizes}… */
    char bytes[];
};

struct scraper;
struct pool;
struct scrape_target {
    struct hash128 id; /* of job, labels and URL */
    struct pool *pool;
    struct labels_pack labels, discovered; /* labels: those with __ too; what samples get: from `own` on */
    struct label *own;                     /* labels without __, sorted */
    uint32_t own_n;
    char *url;
    int64_t interval_ns, timeout_ns;
    /* of the scrape thread */
    int64_t due_ns, aligned_wall_ns; /* due: monotonic */
    struct scrape_call *call;        /* being fetched */
    bool gone;                       /* of no pool: ends with its fetch */
    int64_t began_ns, scrape_wall_ns;
    struct series_cache series;
    bool reported; /* up and scrape_* have been stored, and want an end */
    int64_t last_time_ms;
    struct batch_blob *pending; /* the store was busy */
    int64_t pending_until_ns, retry_ns;
    /* what the API says */
    enum target_health health;
    char error[256];
    int64_t last_wall_ns, last_duration_ns;
    uint64_t kept_bytes; /* of `series` */
    struct scrape_metadata *metadata;
};
void target_free(struct scrape_target *t, struct budget *budget);

struct dropped_target {
    struct labels_pack discovered;
};
/* The targets of one job. */
struct pool {
    struct scrape_config *config;
    const struct scrape_job *job;
    VEC(struct scrape_target *) targets;
    VEC(struct dropped_target) dropped;
    uint64_t dropped_n;
    char error[128]; /* of all its targets: over target_limit */
    uint64_t none_n; /* that discovery named and that are no targets */
    char none[256];  /* the first of them, and why */
};
struct pool *pool_new(struct scrape_config *config, const struct scrape_job *job);
void pool_free(struct pool *p, struct budget *budget); /* takes NULL */
/* Adds what a group's target comes to: a target, a dropped one, or nothing (an address or interval that is none: the error says so). */
err pool_add(struct pool *p, const struct label *group, uint32_t group_n, struct str address, struct arena *scratch);
void pool_finish(struct pool *p); /* after all were added: none twice, and the limit */

/* ---- one scrape --------------------------------------------------------------------------------------------------------- */

struct digest {
    struct points_decoder *decoder;
    struct points_builder out;
    struct arena arena; /* of relabelling */
    struct buf labels;
    int64_t time_min_ms, time_max_ms; /* of samples that are taken */
    uint64_t relabelled;
};
struct digest_result {
    uint64_t samples, kept, added; /* in the body; after relabelling; series that are new */
};
void digest_init(struct digest *d);
void digest_done(struct digest *d);
/* Begins a scrape of t at wall time_ms. */
void digest_begin(struct digest *d, struct scrape_target *t);
/* Puts the samples of a body. After an error nothing of it is there, and the result counts what was seen. */
err digest_body(struct digest *d, struct scrape_target *t, int format, struct str body, int64_t time_ms,
                struct store *store, struct budget *budget, struct digest_result *out);
/* Puts stale markers for what was there in the scrape before and is not in this one. */
void digest_ends(struct digest *d, struct scrape_target *t, int64_t time_ms);
struct scrape_report {
    bool up;
    double duration_s;
    struct digest_result result;
};
void digest_report(struct digest *d, struct scrape_target *t, const struct scrape_report *r,
                   int64_t time_ms);                /* NULL: their end */
struct batch_blob *digest_finish(struct digest *d); /* NULL: nothing was put */
/* What the body said about metrics, as the API shows it; *out gets bytes. */
void digest_metadata(const struct points *p, struct buf *out);

/* ---- discovery ------------------------------------------------------------------------------------------------------------ */

struct discovery;
/* `ending` is looked at while it waits for somebody. */
struct discovery *discovery_new(struct scrape_config *config, struct budget *budget, const _Atomic bool *ending);
void discovery_free(struct discovery *d);                 /* takes NULL */
uint64_t discovery_files_read(const struct discovery *d); /* how often one was read so far */
/* Looks at what is due (all, the first time), and gives a new pool for each job of which something changed. When to come again: monotonic. */
int64_t discovery_turn_wait(struct discovery *d, int64_t now_ns, void (*give)(void *context, struct pool *p),
                            void *context);

/* ---- the scraper ------------------------------------------------------------------------------------------------------------ */

struct scraper {
    struct scraper_options options;
    char *path;
    struct http_fetcher *fetcher;
    struct digest digest;
    struct lock lock;
    struct signal_flag wake; /* of the discover thread */
    struct thread *scrape, *discover;
    _Atomic bool ending;
    bool reload; /* under the lock */
    VEC(struct pool *) pools;
    VEC(struct pool *) posted;
    struct scrape_config *posted_config; /* a new one, whose pools are posted with it: all others go */
    struct buf problem;
    struct scraper_stats stats;
    uint32_t under_way; /* batches at the store */
    struct signal_flag landed;
    /* of the scrape thread */
    VEC(struct scrape_target *) leaving; /* gone, and still being fetched */
    VEC(struct scrape_target *) due;     /* of one turn */
    VEC(struct scrape_metadata *) metadata;
    int64_t next_ns;
    /* of the discover thread */
    struct discovery *discovery;
    struct path_stamp stamp;
    int64_t look_ns, discover_ns;
};
void scraper_follow_file_wait(struct scraper *s); /* one turn of the discover thread; scraper_discover.c */
err scraper_open_file(struct scraper *s);         /* the first reading */
int64_t scraper_wall(const struct scraper *s);
