/* A durable queue: work that must be done, also after kill -9. A table of the database, so that a row and its job can be one commit.
 *
 *   push ─▶ due ──take──▶ leased ──done──▶ gone
 *            ▲             │  │ extend: longer
 *            │             │  └─fail──▶ due again, later and later
 *            └─lease ended─┘             └─ after tries_max takings ─▶ dead, with the reason, until revived or dropped
 *
 * Invariants: (1) what push has acknowledged is taken until done or dead: at least once, so a taker must bear to see a job again.
 * (2) a lease is one taker's: its end gives the job to others, and done, fail and extend of a lease that another holds are refused.
 * (3) a taking counts as a try, so that a job that ends the process is dead some day, too. (4) earliest due first, then as pushed.
 * Times: wall time, as they outlive the process; a clock set back makes leases longer.
 * Limits: a body JOBS_BODY_BYTES; items_max due or leased (over it ERR_BUSY, or with drop_oldest the first one goes); JOBS_DEAD_MAX dead, of
 * which the oldest are dropped; a reason 1 KiB; a name 64 bytes.
 * Owner: the caller closes; the database outlives it. Threads: any. Blocks as db_write does. Errors: those of db.h, and ERR_CONFLICT: the
 * lease is lost.
 */
#pragma once

#include "db/db.h"

struct jobs;

enum { JOBS_BODY_BYTES = 1 << 20, JOBS_DEAD_MAX = 1000, JOBS_REASON_BYTES = 1 << 10, JOBS_NAME_BYTES = 64 };

struct jobs_options {
    const char *name;         /* several queues are in one table */
    int64_t lease_ns;         /* default 1 min */
    uint32_t tries_max;       /* default 8 */
    int64_t backoff_ns;       /* after the first failure; doubled after each further one. Default 1 s */
    int64_t backoff_max_ns;   /* default 1 h */
    uint32_t items_max;       /* default 10,000 */
    bool drop_oldest;         /* a push into a full queue takes the place of the job that was pushed first */
    int64_t (*wall_ns)(void); /* default clock_wall_ns */
};

struct job {
    int64_t id, lease; /* lease: whose it is */
    int64_t pushed, due;
    uint32_t tries; /* with this one */
    struct str body;
};

err jobs_open(struct db *db, const struct jobs_options *options, struct jobs **out);
void jobs_close(struct jobs *q); /* takes NULL */

/* due_ns 0: now. */
err jobs_push(struct jobs *q, struct str body, int64_t due_ns);
/* The same as a part of the caller's transaction. */
err jobs_push_in(struct jobs *q, struct db_transaction *t, struct str body, int64_t due_ns);
/* With drop_oldest: how many others took the place of since it was opened (also those of a transaction that failed then). At once. */
uint64_t jobs_displaced(const struct jobs *q);
/* The first that is due, for lease_ns; *out_found false: none is. The body is the arena's. */
err jobs_take(struct jobs *q, struct arena *a, struct job *out, bool *out_found);
/* Ends all leases, for a queue whose takers are one process's and that has just begun: what the one before held comes again, in its old place. */
err jobs_reclaim(struct jobs *q);
/* Away with all jobs of queues whose names begin with `prefix` and are not among `names`: those that nobody opens any more. */
err jobs_end_others(struct db *db, struct str prefix, const struct str *names, size_t n);
err jobs_extend(struct jobs *q, const struct job *job); /* lease_ns from now on */
err jobs_done(struct jobs *q, const struct job *job);
err jobs_fail(struct jobs *q, const struct job *job, struct str reason); /* longer reasons are cut */

struct jobs_counts {
    uint64_t due, later, dead; /* later: leased, or not due yet */
    int64_t oldest_due;        /* 0: none */
};
err jobs_count(struct jobs *q, struct jobs_counts *out);
/* Dead ones, oldest first; `body` and `reason` borrowed for the call. */
typedef err jobs_on_dead(void *context, const struct job *job, struct str reason);
err jobs_dead(struct jobs *q, jobs_on_dead *on_dead, void *context);
err jobs_revive(struct jobs *q, int64_t id); /* due now, with all its tries. ERR_NOT_FOUND */
err jobs_drop(struct jobs *q, int64_t id);   /* a dead one. ERR_NOT_FOUND */
