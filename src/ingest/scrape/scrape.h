/* scrape: asks what the user's prometheus.yml names for its metrics, as Prometheus does, and appends them.
 *
 *   file ─▶ jobs ─▶ discovery ─▶ relabelling ─▶ targets ─ due ─▶ GET ─▶ decode ─▶ labels, limits ─▶ one batch a scrape ─▶ ingest_points
 *            │ static, files, DNS, HTTP           each its own offset     │                            + up, scrape_*, stale markers
 *            └ every 5 s: changed?                                        └ failed: up 0, all series end
 *
 * Invariants: 1. a scrape is one batch: all of its samples, the stale markers of what vanished, and up; or none.
 *             2. a file that got bad changes nothing: what was good stays, and status says so.
 *             3. what a target sends is bounded: time by its timeout, bytes by its body limit and the budget.
 * Threads: `scrape` (HTTP and decoding of all targets) and `discover` (files, DNS, HTTP discovery) are its own; the functions below may be called from any.
 * Limits: SCRAPE_TARGETS_MAX targets; 256 rule_files, 8 Alertmanagers, 64 external labels; SCRAPE_BODY_BYTES_MAX a body where the file sets none; 2^20 samples a scrape.
 * Owner: scraper_free before the ingest goes. Errors: ERR_INVALID of a file with its line. */
#pragma once

#include "base/work.h"
#include "store/series/labels.h"

enum { SCRAPE_TARGETS_MAX = 100000, SCRAPE_BODY_BYTES_MAX = 64 << 20, SCRAPE_FILE_BYTES_MAX = 16 << 20 };

struct budget;
struct ingest;
struct store;
struct json_writer;

/* ---- the file ----------------------------------------------------------------------------------------------------- */

struct scrape_finding {
    int line;
    bool is_fault;   /* Prometheus refuses the file for it; else: clew has not what is asked for there */
    struct str text; /* "prometheus.yml:12: …" */
};
struct scrape_config;
/* Reads a prometheus.yml. ERR_INVALID: nothing can be run of it; else the findings say what is left out. */
err scrape_config_read(const char *path, struct scrape_config **out);
void scrape_config_unref(struct scrape_config *c); /* takes NULL */
size_t scrape_config_jobs(const struct scrape_config *c);
size_t scrape_config_findings(const struct scrape_config *c, const struct scrape_finding **out);

/* What the file says about rules and alerts: the program's matter, not the scraper's. All is the config's. */
enum { SCRAPE_RULE_FILES_MAX = 256, SCRAPE_ALERTMANAGERS_MAX = 8, SCRAPE_EXTERNAL_LABELS_MAX = 64 };
struct scrape_alerting {
    const char *rule_files[SCRAPE_RULE_FILES_MAX]; /* paths and patterns of them */
    size_t rule_file_n;
    struct str urls[SCRAPE_ALERTMANAGERS_MAX]; /* of Alertmanagers, as http://host:9093/prefix */
    size_t url_n;
    struct label labels[SCRAPE_EXTERNAL_LABELS_MAX]; /* external ones, by name */
    uint32_t label_n;
    int64_t interval_ns, query_offset_ns; /* evaluation_interval, rule_query_offset; 0: not said */
};
const struct scrape_alerting *scrape_config_alerting(const struct scrape_config *c);

/* ---- scraping ----------------------------------------------------------------------------------------------------- */

struct scraper;
struct scraper_options {
    const char *path; /* of the file; it must be good when scraping begins */
    struct ingest *ingest;
    struct store *store;
    struct budget *budget;    /* NULL: none */
    int64_t (*wall_ns)(void); /* NULL: clock_wall_ns */
    struct work_watch watch;  /* of scrapes: fields job, instance, samples; tell NULL: nobody */
    bool paused;              /* no threads: a test calls scraper_turn_wait */
};
err scraper_new(const struct scraper_options *options, struct scraper **out);
void scraper_stop(
    struct scraper *s); /* ends its threads, within a second but for a name that is being resolved; takes NULL */
void scraper_free(struct scraper *s);   /* waits for what is on its way to the disk; takes NULL */
void scraper_reload(struct scraper *s); /* looks at the file now */
/* For tests with `paused`: discovers and scrapes what is due until monotonic until_ns. */
void scraper_turn_wait(struct scraper *s, int64_t until_ns);

struct scraper_stats {
    uint64_t scrapes, failed, samples, relabelled,
        dropped_batches;      /* relabelled: series whose labels were not known yet */
    uint64_t refused_samples; /* by the store: limits, times */
    uint64_t targets, memory_bytes;
    uint64_t reloads_failed;
    bool reload_ok;
    int64_t reloaded_ns; /* wall, of the last good one */
};
void scraper_get_stats(struct scraper *s, struct scraper_stats *out);
/* Why the file was not taken, or which faults of it were left out; nothing if there is none. */
void scraper_put_problem(struct scraper *s, struct buf *out);
/* Jobs of which discovery names targets that cannot be made (an address or a time that is none), up to SCRAPE_TOLD_JOBS_MAX: a sentence each. */
enum { SCRAPE_TOLD_JOBS_MAX = 100 };
void scraper_tell_none(struct scraper *s, void (*tell)(void *context, struct str text), void *context);

/* ---- what Prometheus's API says of it ------------------------------------------------------------------------------- */

/* The value of "data" of /api/v1/targets: pool "" is all. */
void scraper_write_targets(struct scraper *s, struct json_writer *w, bool active, bool dropped, struct str pool);
void scraper_write_pools(struct scraper *s, struct json_writer *w);
/* The list of /api/v1/targets/metadata; `matches` says which targets by their labels. limit < 0: all. */
void scraper_write_metadata(struct scraper *s, struct json_writer *w, struct str metric, int64_t limit,
                            bool (*matches)(void *context, struct labels labels), void *context);
