/* What fires and what is resolved, told to Alertmanagers: POST URL/api/v2/alerts.
 *
 *   records.h ─ notifier_push_in ─▶ a queue of db each Alertmanager ─▶ its thread: a row, up to 64 alerts, at once;
 *   notifier_send ────▶ memory ────────────────────────────────────┘   again after 0.5 s, ×1.5 … 60 s, under its lease
 *
 * Invariants: (1) a row is there until its Alertmanager has answered 2xx, or with what is no 429 and no 5xx (then it is dropped, and counted), or
 * NOTIFY_QUEUE_MAX later ones have come, or it is older than NOTIFY_OLD_NS and failed again: what goes on firing, or was resolved in the last 15
 * minutes, is said anew by the engine each minute. (2) rows of an Alertmanager go in the order in which they were pushed, also after a kill.
 * (3) a kill between the answer and the end of the row sends it twice: an Alertmanager takes the same alert again.
 * Memory is for what could not be written (notifier_send): NOTIFY_HELD_MAX alerts, the oldest are dropped, and a kill loses them.
 * Alerts of a tenant other than `default` have the label tenant, so that nobody speaks for others.
 * Limits: NOTIFY_TARGETS_MAX; an alert 1 MiB. Threads: any. Source: Prometheus 3.5, notifier; Alertmanager's API v2.
 */
#pragma once

#include "alert/alert.h"
#include "db/jobs.h"

enum { NOTIFY_TARGETS_MAX = 8, NOTIFY_HELD_MAX = 10000, NOTIFY_BATCH_MAX = 64, NOTIFY_QUEUE_MAX = 2000 };
#define NOTIFY_OLD_NS ((int64_t)900 * 1000000000)

struct notifier_options {
    struct str urls[NOTIFY_TARGETS_MAX]; /* http://host:9093; borrowed, as all texts here */
    size_t url_n;
    struct labels external_labels; /* on every alert that has not a label of the name */
    struct str external_url;
    struct db *db;            /* outlives it */
    int64_t (*wall_ns)(void); /* NULL: clock_wall_ns */
};
struct notifier;
/* Rows of Alertmanagers that are not among `urls` go. */
err notifier_new(const struct notifier_options *options, struct notifier **out);
err notifier_end_rows(struct db *db);   /* there is no Alertmanager: no row is left */
void notifier_free(struct notifier *n); /* sends what waits once more, for 2 s at most; rows stay. Takes NULL */
/* Notices into each queue, as a part of the caller's transaction; once it is committed: notifier_wake. */
err notifier_push_in(struct notifier *n, struct db_transaction *t, const struct alert_notice *notices, size_t count);
void notifier_wake(struct notifier *n);
/* alert_options.send, with the notifier as context. */
void notifier_send(void *notifier, const struct alert_notice *notices, size_t n);

struct notifier_stats {
    uint64_t sent, dropped; /* alerts */
    uint64_t failures;      /* calls that are tried again */
    uint64_t displaced;     /* rows that later ones took the place of */
    uint64_t queued;        /* rows, and alerts in memory */
};
err notifier_get_stats(struct notifier *n, size_t target, struct notifier_stats *out); /* reads the database */
/* The same at once; rows that are queued are those of the last time that one was sent, or could not be. */
void notifier_look(struct notifier *n, size_t target, struct notifier_stats *out);
size_t notifier_count(const struct notifier *n);
struct str notifier_url(const struct notifier *n, size_t target); /* with the path, without a password */
