/* The whole shop in one process: calls are calls of functions, and time is the simulation's, which lets it pass as fast as it can. The same services, the
 * same telemetry; customers are there at once, each a task of os/sim, and what is done later is one, too.
 *
 * Limits: TOWN_CUSTOMERS_MAX at once, who comes then is skipped; TOWN_LATER_MAX things to do later. Owner: the caller. Threads: one. Errors: those of
 * shop_new. Links os_sim alone. */
#pragma once

#include "shop.h"

enum { TOWN_CUSTOMERS_MAX = 256, TOWN_LATER_MAX = 256 };

struct town_options {
    struct emit_sink sink; /* of all services; called by town_tell_wait */
    const char *db;        /* of order-service */
    double failure_rate;   /* less than 0: each service's own */
    enum shop_peer faulty; /* begins with these faults, as by --faults */
    struct shop_faults faults;
};
struct town;
err town_new(const struct town_options *o, struct town **out);
void town_free(struct town *t); /* takes NULL */
/* One request from outside, as a customer or a task of its own would send it. out->body is the caller's. */
void town_serve_wait(struct town *t, enum shop_peer to, const struct shop_request *r, struct shop_reply *out);
/* The same; what follows from it is over then. */
void town_ask_wait(struct town *t, enum shop_peer to, const struct shop_request *r, struct shop_reply *out);
void town_pass_wait(int64_t ns); /* time passes */
/* Customers, `rate` a second, for so long; what services tell is handed on every 10 s. Some are still there then: town_settle_wait. */
void town_run_wait(struct town *t, double rate, int64_t ns);
void town_settle_wait(struct town *t); /* until nobody is there any more */
void town_tell_wait(struct town *t);   /* hands on what waits, and the metrics */
struct town_stats {
    uint64_t customers, skipped; /* since the town began */
    size_t at_once_max;          /* customers */
};
struct town_stats town_get_stats(const struct town *t);

/* A file for order-service in a folder of its own, in memory if that may be. db makes its file on the simulated disk, SQLite opens it on the real one: both
 * have it. After sim_reset. */
struct town_db {
    char dir[48], path[64];
};
void town_db_make(struct town_db *out);
void town_db_remove(const struct town_db *d);
