/* Metrics of the crash test: requests of new series, one sample each, and of a delta counter that each sender keeps for ever.
 *
 *   a request: `items` gauges crash_state{instance="SEED", n="0".."items - 1"}, an exponential histogram, and `delta` more for
 *   crash_work_total{instance="sender-N"}
 *
 * So a request is there whole or not at all, and the counter is the sum of the requests that are there: over kills, restarts, flushes, merges.
 * Values are functions of the seed. Errors: none; the caller says what differs.
 */
#pragma once

#include "base/base.h"

struct crash_metrics {
    uint64_t seed;
    uint32_t items, sender, delta;
    int64_t time_ns, counter_ns; /* of all but the counter; of the counter, rising. Whole milliseconds */
};
void crash_metrics_put(const struct crash_metrics *m, struct buf *out);
/* The question for a request's series; for a sender's counter. */
void crash_metrics_put_query(const struct crash_metrics *m, struct buf *out);
void crash_metrics_put_counter_query(uint32_t sender, struct buf *out);
/* How many of a request's series an answer (JSON of Prometheus) has, each with its value and once; *out_other: of what it has besides. */
uint32_t crash_metrics_count(const struct crash_metrics *m, struct str answer, uint32_t *out_other);
/* The value of a counter in an answer; 0 where it has none. */
double crash_metrics_counter(struct str answer);
