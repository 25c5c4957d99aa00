/* The parts of `clew load`: the plan, the senders, the reader-back.
 *
 *   plan (options) ─▶ N senders, each a thread with one connection: make body from a seed → POST → wait → note → next
 *                          └─ sent requests (seed, time, items) ─▶ verify: make each again, ask clew for its rows, compare
 */
#pragma once

#include <stdatomic.h>

#include "app/command.h"
#include "app/load_metrics.h"
#include "app/load_shape.h"
#include "base/vec.h"
#include "os/thread.h"

/* What a request carries; traces and logs are numbered as signals. */
enum load_kind { LOAD_TRACES = SIGNAL_SPANS, LOAD_LOGS = SIGNAL_LOGS, LOAD_METRICS = SIGNALS, LOAD_KINDS };

struct load_plan {
    bool kinds[LOAD_KINDS], shop, stories, gzip, json, grpc;
    enum law_profile profile; /* metrics */
    bool remote_write;        /* metrics: `otlp` is the whole URL of it */
    uint32_t instances;       /* metrics: LAW_SERIES series each */
    bool seeded;              /* requests come from `seed`; else each from chance */
    uint64_t seed;
    struct str otlp; /* URL, without a slash at its end */
    struct http_client_tls tls;
    uint64_t rate;       /* requests a second; 0: flat out */
    uint64_t requests;   /* in all; 0: no end */
    uint32_t items;      /* law: spans or logs a request */
    uint32_t correlated; /* law: one trace, or log record, of so many has a correlation id; 0: none */
    uint32_t items_last; /* law: of the last request (requests > 0) */
    uint32_t connections;
    int64_t time_first, time_step; /* law: of one trace to the next (requests > 0) */
    int64_t stop_ns;               /* monotonic; INT64_MAX: never */
    struct command_credentials who;
};

/* One acknowledged request. */
struct load_sent {
    enum load_kind kind;
    struct shape_request shape;
};

struct load_totals {
    uint64_t requests, items, bytes, retried, rejected, failed;
    int64_t begun_ns, ended_ns; /* monotonic: the first request's start, the last acknowledgement */
    VEC(uint32_t) latency_us;
    VEC(struct load_sent) sent; /* at most LOAD_SENT_MAX */
    char first_failure[256];
};
enum { LOAD_SENT_MAX = 20000, LOAD_LATENCIES_MAX = 20000000 };

/* Sends by plan until it is done or *stop; sets *stop itself when clew cannot be reached from the start. Joins its threads. Totals are
 * added up; the caller ends them with load_totals_done. */
err load_send_wait(const struct load_plan *plan, atomic_bool *stop, struct load_totals *out);
void load_totals_done(struct load_totals *t);
/* The seed of request `number`: of the plan's, or a new one each time. */
uint64_t load_seed_of(const struct load_plan *plan, uint64_t number);
/* What request `number` of a plan is made from. */
struct shape_request load_shape_of(const struct load_plan *plan, uint64_t number, uint64_t seed);
/* The body of a request, as it was sent but for its packing; returns its rows. `metrics` is the caller's maker, of the plan's seed; NULL where
 * the plan sends none. */
uint32_t load_make_body(const struct load_plan *plan, struct law_metrics *metrics, enum load_kind kind,
                        const struct shape_request *shape, struct buf *out);
struct law_metrics *load_metrics_maker(const struct load_plan *plan); /* NULL where the plan sends none */
/* Which instances, and which scrape of them, a request has. */
struct law_scrape load_scrape_of(const struct load_plan *plan, const struct shape_request *shape);
/* Metrics: instances a request, requests a scrape. */
static inline uint32_t load_instances_of(const struct load_plan *plan) {
    return MIN(plan->instances, MAX(1u, plan->items / LAW_SERIES));
}
static inline uint64_t load_scrape_requests(const struct load_plan *plan) {
    return (plan->instances + load_instances_of(plan) - 1) / load_instances_of(plan);
}

struct load_verified {
    uint64_t rows, missing, different, invented, asked;
};
/* Asks clew (a's --server) for the rows of sent requests, at most `asks_max` questions spread evenly over them, until *stop
 * (ERR_CANCELLED). */
err load_verify_wait(const struct arguments *a, const struct load_plan *plan, const struct load_totals *totals,
                     uint64_t asks_max, atomic_bool *stop, struct load_verified *out);
/* The same of metrics; `totals` is put in order. */
err load_verify_metrics_wait(const struct arguments *a, const struct load_plan *plan, struct load_totals *totals,
                             uint64_t asks_max, atomic_bool *stop, struct load_verified *out);
