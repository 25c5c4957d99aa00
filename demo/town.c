/* All services in one process, on the simulated clock: calls are calls, pauses let the others go on. */
#include "town.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/file.h"
#include "os/sim/sim.h"

enum { NET_MIN_US = 200, NET_MAX_US = 900, IDLE_BYTES = 16 << 20 };

struct town {
    struct shop *shops[SHOP_SERVICES];
    struct place {
        struct town *town;
        enum shop_peer service;
    } places[SHOP_SERVICES];
    struct town_stats stats;
    size_t customers, later; /* there now */
};

static void pause_wait(void *context, int64_t ns) {
    struct lock lock;
    struct signal_flag flag;
    int64_t until = clock_monotonic_ns() + ns;
    (void)context;
    lock_init(&lock);
    flag_init(&flag);
    lock_take(&lock);
    while (flag_wait_until(&flag, &lock, until)) {}
    lock_give(&lock);
    lock_done(&lock);
    flag_done(&flag);
}

static void travel_wait(void) {
    pause_wait(NULL, (NET_MIN_US + (int64_t)(shop_chance() * (NET_MAX_US - NET_MIN_US))) * 1000);
}

/* "Name: value" as a server would have it. */
static struct str field_of(const char *const *fields, struct str name) {
    struct str head, value;
    for (; *fields; fields++)
        if (str_cut(str_of(*fields), ':', &head, &value) && str_equal_nocase(head, name)) return str_trim(value);
    return STR("");
}

static err call_wait(void *context, enum shop_peer to, const char *method, const char *path, const char *const *fields,
                     struct str body, struct shop_reply *out) {
    struct town *t = ((struct place *)context)->town;
    struct shop_request r = {.method = str_of(method),
                             .path = str_of(path),
                             .query = STR(""),
                             .body = body,
                             .traceparent = field_of(fields, STR("traceparent")),
                             .tracestate = field_of(fields, STR("tracestate")),
                             .baggage = field_of(fields, STR("baggage")),
                             .correlation = field_of(fields, STR("X-Correlation-ID"))};
    travel_wait();
    shop_serve_wait(t->shops[to], &r, out);
    travel_wait();
    return NULL;
}

struct job {
    struct town *town;
    struct shop *shop;
    void (*fn)(struct shop *shop, void *context);
    void *context;
};

static void run_job(void *context) {
    struct job *j = context;
    j->fn(j->shop, j->context);
    j->town->later--;
    mem_free(j);
}

static bool later(void *context, void (*fn)(struct shop *shop, void *context), void *fn_context) {
    struct place *p = context;
    if (p->town->later == TOWN_LATER_MAX) return false;
    struct job *j = mem_new_of(struct job);
    *j = (struct job){p->town, p->town->shops[p->service], fn, fn_context};
    p->town->later++;
    sim_task_start(run_job, j);
    return true;
}

/* There is no process for each: what a service leaks comes to what one has that does nothing. */
static void measure(void *context, struct shop_figures *out) {
    const struct place *p = context;
    const struct shop *s = p->town->shops[p->service];
    *out = (struct shop_figures){.memory_bytes = IDLE_BYTES + (s ? s->leaked_bytes : 0)};
}

err town_new(const struct town_options *o, struct town **out) {
    struct town *t = mem_new_of(struct town);
    err e = NULL;
    for (enum shop_peer s = 0; s < SHOP_SERVICES && !e; s++) {
        t->places[s] = (struct place){t, s};
        e = shop_new(&(struct shop_options){.service = s,
                                            .world = {&t->places[s], call_wait, pause_wait, later, NULL, measure},
                                            .sink = o->sink,
                                            .db = o->db,
                                            .failure_rate = o->failure_rate,
                                            .faults = s == o->faulty ? o->faults : (struct shop_faults){0},
                                            .paused_emit = true},
                     &t->shops[s]);
    }
    if (e)
        town_free(t);
    else
        *out = t;
    return e;
}

void town_settle_wait(struct town *t) {
    (void)t;
    while (sim_tasks()) pause_wait(NULL, 10 * SHOP_MS);
}

void town_free(struct town *t) {
    if (!t) return;
    town_settle_wait(t);
    for (int s = 0; s < SHOP_SERVICES; s++) shop_free(t->shops[s]);
    mem_free(t);
}

void town_ask_wait(struct town *t, enum shop_peer to, const struct shop_request *r, struct shop_reply *out) {
    town_serve_wait(t, to, r, out);
    town_settle_wait(t);
}

void town_serve_wait(struct town *t, enum shop_peer to, const struct shop_request *r, struct shop_reply *out) {
    shop_serve_wait(t->shops[to], r, out);
}

void town_pass_wait(int64_t ns) { pause_wait(NULL, ns); }

void town_tell_wait(struct town *t) {
    for (int s = 0; s < SHOP_SERVICES; s++) emit_turn_wait(t->shops[s]->now->emit, true);
}

struct town_stats town_get_stats(const struct town *t) {
    return t->stats;
}

static void be_customer(void *context) {
    struct town *t = context;
    traffic_session_wait(t->shops[SHOP_TRAFFIC]);
    t->customers--;
}

static void send_customer(struct town *t) {
    if (t->customers == TOWN_CUSTOMERS_MAX) {
        t->stats.skipped++;
        return;
    }
    t->stats.customers++;
    t->customers++;
    t->stats.at_once_max = MAX(t->stats.at_once_max, t->customers);
    sim_task_start(be_customer, t);
}

void town_run_wait(struct town *t, double rate, int64_t ns) {
    int64_t begin = clock_monotonic_ns(), next = begin, told = begin;
    while (next - begin < ns) {
        if (next > clock_monotonic_ns()) pause_wait(NULL, next - clock_monotonic_ns());
        send_customer(t);
        next += (int64_t)(1e9 / rate);
        if (clock_monotonic_ns() - told < 10000 * SHOP_MS) continue;
        town_tell_wait(t);
        told = clock_monotonic_ns();
    }
    town_tell_wait(t);
}

void town_db_make(struct town_db *out) {
    const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
    snprintf(out->dir, sizeof out->dir, "%s/clew-shop-XXXXXX", base);
    if (!mkdtemp(out->dir)) abort();
    snprintf(out->path, sizeof out->path, "%s/orders.db", out->dir);
    err_free(path_make_dir("/tmp"));
    err_free(path_make_dir("/dev"));
    err_free(path_make_dir("/dev/shm"));
    err_free(path_make_dir(out->dir));
    fclose(fopen(out->path, "a"));
}

void town_db_remove(const struct town_db *d) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    char path[80];
    for (size_t i = 0; i < LENGTH(ends); i++) {
        snprintf(path, sizeof path, "%s%s", d->path, ends[i]);
        unlink(path);
    }
    rmdir(d->dir);
}
