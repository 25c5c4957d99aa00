/* The whole shop in one process: calls are calls of functions, and time is os's, which os/sim lets pass as fast as it can. The same services, the same
 * telemetry; customers come one after another, and what is done later is done before the next one comes.
 *
 * Limits: TOWN_LATER_MAX things to do later. Owner: the caller. Threads: one. Errors: those of shop_new. */
#pragma once

#include "shop.h"

enum { TOWN_LATER_MAX = 64 };

struct town_options {
    struct emit_sink sink; /* of all services; called by town_tell_wait */
    const char *db;        /* of order-service */
    double failure_rate;   /* less than 0: each service's own */
};
struct town;
err town_new(const struct town_options *o, struct town **out);
void town_free(struct town *t); /* takes NULL */
/* One request from outside. out->body is the caller's. */
void town_ask_wait(struct town *t, enum shop_peer to, const struct shop_request *r, struct shop_reply *out);
/* Customers, `rate` a second, for so long; what services tell is handed on every 10 s. */
void town_run_wait(struct town *t, double rate, int64_t ns);
void town_tell_wait(struct town *t); /* hands on what waits, and the metrics */
