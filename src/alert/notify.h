/* What fires and what is resolved, told to Alertmanagers: POST URL/api/v2/alerts.
 *
 *   notifier_send ─▶ a queue each Alertmanager ─▶ its thread: 64 at once; again after 0.5 s, ×1.5 … 60 s
 *
 * A queue that is full drops the oldest. Again: what did not arrive, 429 and 5xx; another status drops what was sent. An alert that goes on firing comes again by
 * itself (resend), so nothing is kept over a restart.
 * Limits: NOTIFY_TARGETS_MAX, NOTIFY_QUEUE_MAX alerts each. Threads: any. Source: Prometheus 3.5, notifier; Alertmanager's API v2.
 */
#pragma once

#include "alert/alert.h"

enum { NOTIFY_TARGETS_MAX = 8, NOTIFY_QUEUE_MAX = 10000, NOTIFY_BATCH_MAX = 64 };

struct notifier_options {
    struct str urls[NOTIFY_TARGETS_MAX]; /* http://host:9093; borrowed, as all texts here */
    size_t url_n;
    struct labels external_labels; /* on every alert that has not a label of the name */
    struct str external_url;
};
struct notifier;
err notifier_new(const struct notifier_options *options, struct notifier **out);
void notifier_free(struct notifier *n); /* tries once more what is queued, for 2 s at most. Takes NULL */
/* alert_options.send, with the notifier as context. */
void notifier_send(void *notifier, const struct alert_notice *notices, size_t n);

struct notifier_stats {
    uint64_t sent, dropped, failures, queued; /* failures: calls that are tried again */
};
void notifier_get_stats(struct notifier *n, size_t target, struct notifier_stats *out);
size_t notifier_count(const struct notifier *n);
struct str notifier_url(const struct notifier *n, size_t target); /* with the path */
