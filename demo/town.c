#include "town.h"

#include <stdio.h>

#include "os/clock.h"

enum { NET_MIN_US = 200, NET_MAX_US = 900 };

struct town {
    struct shop *shops[SHOP_SERVICES];
    struct place {
        struct town *town;
        enum shop_peer service;
    } places[SHOP_SERVICES];
    struct {
        struct shop *shop;
        void (*fn)(struct shop *shop, void *context);
        void *context;
    } later[TOWN_LATER_MAX];
    size_t later_count;
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

static bool later(void *context, void (*fn)(struct shop *shop, void *context), void *fn_context) {
    struct place *p = context;
    struct town *t = p->town;
    if (t->later_count == TOWN_LATER_MAX) return false;
    t->later[t->later_count].shop = t->shops[p->service];
    t->later[t->later_count].fn = fn;
    t->later[t->later_count++].context = fn_context;
    return true;
}

err town_new(const struct town_options *o, struct town **out) {
    struct town *t = mem_new_of(struct town);
    err e = NULL;
    for (enum shop_peer s = 0; s < SHOP_SERVICES && !e; s++) {
        t->places[s] = (struct place){t, s};
        e = shop_new(&(struct shop_options){.service = s,
                                            .world = {&t->places[s], call_wait, pause_wait, later, NULL},
                                            .sink = o->sink,
                                            .db = o->db,
                                            .failure_rate = o->failure_rate,
                                            .paused_emit = true},
                     &t->shops[s]);
    }
    if (e)
        town_free(t);
    else
        *out = t;
    return e;
}

static void do_later(struct town *t) {
    for (size_t i = 0; i < t->later_count; i++) t->later[i].fn(t->later[i].shop, t->later[i].context);
    t->later_count = 0;
}

void town_free(struct town *t) {
    if (!t) return;
    do_later(t);
    for (int s = 0; s < SHOP_SERVICES; s++) shop_free(t->shops[s]);
    mem_free(t);
}

void town_ask_wait(struct town *t, enum shop_peer to, const struct shop_request *r, struct shop_reply *out) {
    shop_serve_wait(t->shops[to], r, out);
    do_later(t);
}

void town_tell_wait(struct town *t) {
    for (int s = 0; s < SHOP_SERVICES; s++) emit_turn_wait(t->shops[s]->now->emit, true);
}

void town_run_wait(struct town *t, double rate, int64_t ns) {
    int64_t begin = clock_monotonic_ns(), next = begin, told = begin;
    while (next - begin < ns) {
        if (next > clock_monotonic_ns()) pause_wait(NULL, next - clock_monotonic_ns());
        traffic_session_wait(t->shops[SHOP_TRAFFIC]);
        do_later(t);
        next += (int64_t)(1e9 / rate);
        if (clock_monotonic_ns() - told < 10000 * SHOP_MS) continue;
        town_tell_wait(t);
        told = clock_monotonic_ns();
    }
    town_tell_wait(t);
}
