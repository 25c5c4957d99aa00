#include "ingest/host/host.h"

#include "base/log.h"
#include "ingest/host/containers_priv.h"
#include "ingest/host/node_priv.h"
#include "ingest/host/source_priv.h"
#include "ingest/host/watch_priv.h"
#include "os/clock.h"

enum { OWN_BYTES_MAX = 4 << 20 };

/* One service, on a thread of its own: one that hangs holds up no other. */
struct watched {
    struct host *host;
    struct watch *watch;
    struct source source;
    struct expo expo;
    struct thread *thread;
};

struct host {
    struct host_options options;
    char *root, *tenant, *instance;
    struct node node;
    struct containers containers;
    struct buf own;
    struct source node_source, container_source, own_source;
    struct watched watched[HOST_WATCHES_MAX];
    size_t watched_count;
    struct thread *thread; /* of the machine */
    struct lock lock;      /* of `ending` */
    struct signal_flag ended;
    bool ending;
};

/* ---- rounds ---------------------------------------------------------------------------------------------------------- */

static void machine_round_wait(void *context) {
    struct host *h = context;
    int64_t now = h->options.wall_ns();
    if (h->options.machine) {
        expo_clear(&h->node.expo);
        node_collect_wait(&h->node, now);
        source_send(&h->node_source, buf_str(&h->node.expo.out), now);
        expo_clear(&h->containers.expo);
        containers_collect(&h->containers, now);
        source_send(&h->container_source, buf_str(&h->containers.expo.out), now);
    }
    if (h->options.put_own) {
        buf_clear(&h->own);
        h->options.put_own(h->options.own_context, &h->own);
        source_send(&h->own_source, buf_str(&h->own), now);
    }
}

static void watch_round_wait(void *context) {
    struct watched *w = context;
    int64_t now = w->host->options.wall_ns();
    expo_clear(&w->expo);
    watch_collect_wait(w->watch, &w->expo);
    source_send(&w->source, buf_str(&w->expo.out), now);
}

static bool is_ending(struct host *h, int64_t until) {
    lock_take(&h->lock);
    while (!h->ending && flag_wait_until(&h->ended, &h->lock, until)) continue;
    bool ending = h->ending;
    lock_give(&h->lock);
    return ending;
}

/* A round that took longer than the interval leaves the next out. */
static void run(struct host *h, void (*round_wait)(void *context), void *context) {
    int64_t due = clock_monotonic_ns();
    while (!is_ending(h, due)) {
        round_wait(context);
        int64_t now = clock_monotonic_ns();
        do due += h->options.interval_ns;
        while (due <= now);
    }
}

static void run_machine(void *context) { run(context, machine_round_wait, context); }
static void run_watch(void *context) { run(((struct watched *)context)->host, watch_round_wait, context); }

/* ---- beginning and end -------------------------------------------------------------------------------------------------- */

/* The name that the host has for itself. */
static char *name_of_host(struct tree *t) {
    struct str text;
    bool there = tree_read(t, &text, "proc/sys/kernel/hostname") && str_trim(text).n;
    return str_dup(there ? str_trim(text) : STR("localhost"));
}

/* Those before it of the same service would have the same series. */
static bool is_watched(struct watch *const *watches, size_t n, const struct watch *w) {
    for (size_t i = 0; i < n; i++)
        if (str_equal(watch_job(watches[i]), watch_job(w)) && str_equal(watch_instance(watches[i]), watch_instance(w)))
            return true;
    return false;
}

err host_check_watches(const struct str *watches, size_t n) {
    struct watch *made[HOST_WATCHES_MAX] = {0};
    err e = n > HOST_WATCHES_MAX ? err_new(ERR_INVALID, "at most %d services are watched", HOST_WATCHES_MAX) : NULL;
    for (size_t i = 0; !e && i < n; i++) {
        e = watch_new(watches[i], &made[i]);
        if (!e && is_watched(made, i, made[i]))
            e = err_new(ERR_INVALID, STR_FMT " at " STR_FMT " is watched twice", STR_ARG(watch_job(made[i])),
                        STR_ARG(watch_instance(made[i])));
    }
    for (size_t i = 0; i < HOST_WATCHES_MAX; i++) watch_free(made[i]);
    return e;
}

static err start_watches(struct host *h) {
    TRY(host_check_watches(h->options.watches, h->options.watch_count));
    for (size_t i = 0; i < h->options.watch_count; i++) {
        struct watched *w = &h->watched[i];
        w->host = h;
        TRY(watch_new(h->options.watches[i], &w->watch));
        h->watched_count++;
        expo_init(&w->expo);
        source_init(&w->source, h->options.ingest, str_of(h->tenant), watch_job(w->watch), watch_instance(w->watch));
        TRY(thread_start(&w->thread, "host watch", 0, run_watch, w));
    }
    return NULL;
}

static err start(struct host *h) {
    TRY(start_watches(h));
    h->options.watches = NULL;
    bool anything = h->options.machine || h->options.put_own;
    return anything ? thread_start(&h->thread, "host", 0, run_machine, h) : NULL;
}

err host_new(const struct host_options *options, struct host **out) {
    struct host *h = mem_new_of(struct host);
    h->options = *options;
    if (!h->options.wall_ns) h->options.wall_ns = clock_wall_ns;
    if (!h->options.cgroups_max) h->options.cgroups_max = HOST_CGROUPS_MAX;
    lock_init(&h->lock);
    flag_init(&h->ended);
    h->root = str_dup(str_of(options->root));
    node_init(&h->node, h->root, mounts_new(file_system_read_wait, MOUNT_WAIT_NS));
    containers_init(&h->containers, h->root, h->options.cgroups_max);
    buf_init(&h->own, OWN_BYTES_MAX);
    h->tenant = str_dup(options->tenant);
    h->instance = options->instance ? str_dup(str_of(options->instance)) : name_of_host(&h->node.tree);
    struct str tenant = str_of(h->tenant), instance = str_of(h->instance);
    source_init(&h->node_source, options->ingest, tenant, STR("node"), instance);
    source_init(&h->container_source, options->ingest, tenant, STR("cadvisor"), instance);
    source_init(&h->own_source, options->ingest, tenant, STR("clew"), instance);
    err e = start(h);
    if (e)
        host_free(h);
    else
        *out = h;
    return e;
}

void host_free(struct host *h) {
    if (!h) return;
    lock_take(&h->lock);
    h->ending = true;
    flag_wake_all(&h->ended);
    lock_give(&h->lock);
    thread_join(h->thread);
    source_done(&h->node_source);
    source_done(&h->container_source);
    source_done(&h->own_source);
    for (size_t i = 0; i < h->watched_count; i++) {
        thread_join(h->watched[i].thread);
        source_done(&h->watched[i].source);
        expo_done(&h->watched[i].expo);
        watch_free(h->watched[i].watch);
    }
    node_done(&h->node);
    containers_done(&h->containers);
    buf_done(&h->own);
    lock_done(&h->lock);
    flag_done(&h->ended);
    mem_free(h->root);
    mem_free(h->tenant);
    mem_free(h->instance);
    mem_free(h);
}
