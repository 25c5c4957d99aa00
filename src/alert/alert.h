/* alert: rules evaluated on their schedule, recording and alerting, as Prometheus 3.5 does it.
 *
 *   rule files ─ rules.h ─▶ groups ─┬─ due ─▶ each rule in order ─ query/series ─▶ rows ─┬─ record ─▶ samples ─┐
 *                                   │                                                     └─ alert ─▶ states ───┼─ append (app: ingest)
 *       rows ─ /api/v1/rules ─▶ ──┘   └◀── keeper: all states, and what is sent, after each evaluation ◀────┴─ (records.h, notify.h)
 *
 *            row            for passed             no row                 15 min
 *   nothing ────▶ pending ────────────▶ firing ──────────────▶ inactive ─────▶ gone
 *                    └── no row ─▶ gone    └◀─ keep_firing_for holds
 *
 * Invariants: (1) what a rule writes is visible before a later rule of its group that may read it is evaluated; (2) one group is evaluated by one thread at
 * a time; (3) a rule that fails changes no state of its own and writes nothing; (4) after an evaluation the keeper gets the states and what is to be sent, both or
 * neither; (5) a restart from it goes on as if it had not been, but that time in which nobody looked does not count for `for`; (6) a group reads and writes its
 * tenant's data alone; (7) an alert that was firing and whose rule is no more is resolved, also if that happened while clew was away.
 *
 * Times are int64 ns of the wall clock; samples stand at whole ms. Limits: alert_options; alerts of a rule ALERTS_MAX. Threads: any, where not said
 * otherwise. Errors of a rule are its lastError. Source: Prometheus 3.5, its folder rules.
 */
#pragma once

#include <stdatomic.h>

#include "alert/rules.h"
#include "base/vec.h"
#include "base/work.h"
#include "store/store.h"

enum { ALERTS_MAX = 100000, ALERT_SERIES_KEPT_MAX = 50000, ALERT_THREADS_MAX = 16 };
#define ALERT_INTERVAL_NS ((int64_t)60 * 1000000000)
#define ALERT_RESEND_NS ((int64_t)60 * 1000000000)
#define ALERT_RETENTION_NS ((int64_t)900 * 1000000000) /* of resolved ones */

/* ---- rules that belong together ---------------------------------------------------------------------------------- */

struct alert_rules {
    struct arena a;
    VEC(struct rule_file) files;
    size_t rules;
};
/* Rules that are read one by one: for alert_engine_load_wait. */
struct alert_rules *alert_rules_new(void);
/* All files of the patterns. Mistakes are lines of `problems`, and then *out is not set. */
err alert_rules_read(const char *const *patterns, size_t n, struct alert_rules **out, struct buf *problems);
void alert_rules_free(struct alert_rules *r); /* takes NULL */

/* ---- the engine -------------------------------------------------------------------------------------------------- */

/* What goes to an Alertmanager. */
struct alert_notice {
    struct labels labels, annotations;
    int64_t starts_ns, ends_ns;
    struct str expr, tenant;
};

/* Who keeps states over a restart: two texts a group, its alerts and (name KEY, 0x1f, "series"; when they change) the series that its recording rules
 * wrote, which must end when they vanish; of groups with more than ALERT_SERIES_KEPT_MAX not. */
struct alert_kept {
    struct str name, text; /* any bytes but zero; an empty text: nothing is kept any more */
};
struct alert_keeper {
    void *context;
    /* All of it or nothing; notices are what it must send some time. */
    err (*save)(void *context, const struct alert_kept *kept, size_t n, const struct alert_notice *notices,
                size_t notice_n);
    err (*load)(void *context, struct str name, struct buf *out); /* nothing kept: out stays empty */
    /* Names of all that is kept; `found` calls none of these. */
    err (*list)(void *context, void (*found)(void *x, struct str name), void *x);
};

struct alert_options {
    struct store *store;
    struct str tenant; /* of rules that name none; default "default" */
    struct budget *budget;
    /* Takes over the blob's reference and returns when its samples are visible. */
    err (*append_wait)(void *context, struct str tenant, struct batch_blob *blob);
    void *append_context;
    struct alert_keeper keeper; /* without functions: none */
    /* Notices that no keeper has taken: there is none, or it failed. NULL: nobody is told. */
    void (*send)(void *context, const struct alert_notice *notices, size_t n);
    void *send_context;
    struct labels external_labels;
    struct str external_url;
    int64_t interval_ns, query_offset_ns, resend_ns; /* 0: the defaults above */
    int64_t query_timeout_ns;                        /* 0: 30 s */
    size_t query_memory_bytes;                       /* 0: 256 MiB */
    int64_t (*wall_ns)(void);                        /* NULL: clock_wall_ns */
    struct work_watch watch; /* of evaluations of a group: fields group, rules, failed; tell NULL: nobody */
};

struct alert_engine;
struct alert_engine *alert_engine_new(const struct alert_options *options);
void alert_engine_free(struct alert_engine *e); /* ends threads; rules and states go. Takes NULL */
/* From now on the rules of this source are these, which are the engine's; NULL: there are none. A source is what is read at once: all files, or a
 * row. States of rules that stay (group, name and labels equal) stay; what was firing and is no more is resolved. Groups that are others or gone are
 * cancelled, those that are equal are waited for; other sources run on. One load at a time. */
void alert_engine_load_wait(struct alert_engine *e, struct str source, struct alert_rules *rules);
/* Once all sources are loaded: ends what is kept of groups that are no more (7). */
void alert_engine_forget_wait(struct alert_engine *e);
/* Evaluates the groups that are due on the calling thread. When the next one is (INT64_MAX: there is none). */
int64_t alert_engine_step_wait(struct alert_engine *e);
/* One group at a time, whatever the schedule says; group counts over all files. */
void alert_engine_evaluate_wait(struct alert_engine *e, size_t group, int64_t ts_ns);
/* Threads that step. */
err alert_engine_start(struct alert_engine *e, size_t threads);
void alert_engine_stop(
    struct alert_engine *e); /* queries that run are cancelled: their rules fail, and so change nothing */

/* ---- looking ----------------------------------------------------------------------------------------------------- */

enum alert_state { ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING };
extern const char *const alert_state_names[3];

struct alert {
    struct labels labels, annotations; /* own memory */
    struct label_set_hash hash;
    enum alert_state state;
    double value;
    int64_t active_ns, fired_ns, resolved_ns, keep_since_ns, sent_ns, until_ns; /* 0: not */
};

enum rule_health { RULE_UNKNOWN, RULE_OK, RULE_ERR };
extern const char *const rule_health_names[3];

struct alert_rule {
    const struct rule *def;
    VEC(struct alert *) alerts;
    struct series_set *written; /* the series of the last evaluation */
    enum rule_health health;
    char *error; /* NULL: none */
    int64_t evaluated_ns, took_ns;
    bool reads_before; /* it may read what earlier rules of its group write */
};

struct alert_group {
    const struct rule_group *def;
    const char *source;
    const char *tenant;
    const char *problem; /* why nothing of it is evaluated; NULL: it is */
    struct alert_rule *rules;
    size_t n;
    int64_t interval_ns, offset_ns, next_ns, at_ns; /* offset: of queries; at: what the last evaluation was for */
    int64_t evaluated_ns, took_ns;
    uint64_t iterations, missed;
    char *key;           /* of the keeper */
    bool running;        /* a thread is in it */
    bool leaving;        /* it is being replaced, and does not begin any more */
    bool kept;           /* the keeper has states */
    bool series_changed; /* of recording rules, since the keeper got them */
    int64_t restored_ns; /* what the states that were restored were for; 0: none were */
    atomic_bool cancel;  /* of its queries */
};

enum alert_state alert_rule_state(const struct alert_rule *r); /* the highest of its alerts' */
/* Calls fn with all groups, by source, and as they stand there; nothing changes while it runs. */
void alert_engine_look(struct alert_engine *e,
                       void (*fn)(void *context, const struct alert_group *const *groups, size_t n), void *context);
