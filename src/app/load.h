/* The parts of `clew load`: the plan, the senders, the reader-back.
 *
 *   plan (options) ─▶ N senders, each a thread with one connection: make body from a seed → POST → wait → note → next
 *                          └─ sent requests (seed, time, items) ─▶ verify: make each again, ask clew for its rows, compare
 */
#pragma once

#include <stdatomic.h>

#include "app/command.h"
#include "app/load_shape.h"
#include "base/vec.h"
#include "os/thread.h"

struct load_plan {
    bool signals[SIGNALS], shop, stories, gzip, json, grpc;
    bool seeded; /* requests come from `seed`; else each from chance */
    uint64_t seed;
    struct str otlp; /* URL, without a slash at its end */
    struct http_client_tls tls;
    uint64_t rate;       /* requests a second; 0: flat out */
    uint64_t requests;   /* in all; 0: no end */
    uint32_t items;      /* law: spans or logs a request */
    uint32_t items_last; /* law: of the last request (requests > 0) */
    uint32_t connections;
    int64_t time_first, time_step; /* law: of one trace to the next (requests > 0) */
    int64_t stop_ns;               /* monotonic; INT64_MAX: never */
    struct command_credentials who;
};

/* One acknowledged request. */
struct load_sent {
    enum signal signal;
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
/* The body of a request, as it was sent; returns its rows. */
uint32_t load_make_body(const struct load_plan *plan, enum signal signal, const struct shape_request *shape,
                        struct buf *out);

struct load_verified {
    uint64_t rows, missing, different, invented, asked;
};
/* Asks clew (a's --server) for the rows of sent requests, at most `asks_max` questions spread evenly over them, until *stop
 * (ERR_CANCELLED). */
err load_verify_wait(const struct arguments *a, const struct load_plan *plan, const struct load_totals *totals,
                     uint64_t asks_max, atomic_bool *stop, struct load_verified *out);
