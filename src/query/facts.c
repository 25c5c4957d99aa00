#include "query/facts.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/vec.h"
#include "query/query_priv.h"

enum { KEY_BYTES_MAX = 64 << 10 };

struct collector {
    struct query *q;
    struct strings keys;      /* sizes of the first two texts, then environment, namespace, name */
    struct strings instances; /* number of the service, then its instance */
    VEC(struct query_service_facts) v;
    struct str environment; /* p NULL: all */
    enum signal signal;
    struct arena scratch; /* of one resource */
    struct buf key;
    bool full, instances_cut;
    err error; /* of a callback that cannot return it */
};

static struct str text_of(struct collector *c, const struct batch *b, uint32_t resource, const char *key) {
    return query_resource_text(b, resource, str_of(key), &c->scratch);
}

/* The facts of a service, made if they are new; NULL: no room. */
static struct query_service_facts *facts_of(struct collector *c, const struct query_service_facts *is) {
    size_t sizes[2] = {is->environment.n, is->space.n};
    uint32_t found;
    buf_clear(&c->key);
    buf_add(&c->key, sizes, sizeof sizes);
    buf_add_str(&c->key, is->environment);
    buf_add_str(&c->key, is->space);
    buf_add_str(&c->key, is->name);
    if (!c->key.full && strings_find(&c->keys, buf_str(&c->key), &found)) return &c->v.v[found];
    if (c->key.full || c->v.n == QUERY_FACTS_SERVICES_MAX) {
        c->full = true;
        return NULL;
    }
    c->error = query_charge(c->q, c->key.n + sizeof *c->v.v);
    if (c->error) return NULL;
    strings_intern(&c->keys, buf_str(&c->key));
    struct query_service_facts *made = vec_push(&c->v);
    *made = (struct query_service_facts){.name = query_keep(c->q, is->name),
                                         .space = query_keep(c->q, is->space),
                                         .environment = query_keep(c->q, is->environment)};
    return made;
}

static void add_version(struct collector *c, struct query_service_facts *f, struct str version) {
    if (!version.n) return;
    for (uint32_t i = 0; i < f->version_count; i++)
        if (str_equal(f->versions[i], version)) return;
    if (f->version_count == QUERY_FACTS_VERSIONS_MAX)
        f->versions_cut = true;
    else
        f->versions[f->version_count++] = query_keep(c->q, version);
}

static void add_instance(struct collector *c, struct query_service_facts *f, const struct batch *b, uint32_t resource) {
    static const char *const names[] = {"service.instance.id", "k8s.pod.name", "container.id", "host.name"};
    size_t number = (size_t)(f - c->v.v);
    struct str instance = {"", 0};
    uint32_t found;
    for (size_t i = 0; i < LENGTH(names) && !instance.n; i++) instance = text_of(c, b, resource, names[i]);
    if (!instance.n) return;
    buf_clear(&c->key);
    buf_add(&c->key, &number, sizeof number);
    buf_add_str(&c->key, instance);
    if (!c->key.full && strings_find(&c->instances, buf_str(&c->key), &found)) return;
    if (c->key.full || c->instances.n == QUERY_FACTS_INSTANCES_MAX) {
        c->instances_cut = true;
        return;
    }
    c->error = query_charge(c->q, c->key.n + 3 * sizeof number);
    if (c->error) return;
    strings_intern(&c->instances, buf_str(&c->key));
    f->instances++;
}

static void on_resource(void *context, const struct batch *b, uint32_t resource) {
    struct collector *c = context;
    if (c->error) return;
    arena_clear(&c->scratch);
    struct query_service_facts is = {.environment = query_resource_environment(b, resource, &c->scratch)};
    if (c->environment.p && !str_equal(is.environment, c->environment)) return;
    is.name = query_resource_service(b, resource, &c->scratch);
    is.space = resource_namespace(b, resource, &c->scratch);
    struct query_service_facts *f = facts_of(c, &is);
    if (!f) return;
    f->signals[c->signal] = true;
    if (!f->language.n) f->language = query_keep(c->q, text_of(c, b, resource, "telemetry.sdk.language"));
    add_version(c, f, text_of(c, b, resource, "service.version"));
    add_instance(c, f, b, resource);
}

static int by_text(const void *x, const void *y) { return str_compare(*(const struct str *)x, *(const struct str *)y); }

static int by_key(const void *x, const void *y) {
    const struct query_service_facts *a = x, *b = y;
    int order = str_compare(a->environment, b->environment);
    if (!order) order = str_compare(a->space, b->space);
    return order ? order : str_compare(a->name, b->name);
}

static err collect(struct collector *c, int64_t time_min, int64_t time_max, struct query_facts_answer *out) {
    struct query *q = c->q;
    struct scan_request range = query_range(q, time_min, time_max);
    if (time_min > time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    for (c->signal = 0; c->signal < SIGNALS; c->signal++) {
        struct snapshot *sn;
        TRY(query_check(q));
        TRY(query_snapshot(q, c->signal, &sn));
        TRY(snapshot_resources(sn, &range, on_resource, c, &q->stats));
        if (c->error) return take(&c->error);
        TRY(query_settle(q));
    }
    if (c->full)
        return err_new(ERR_LIMIT, "more than %d services, or a name of more than 64 KiB", QUERY_FACTS_SERVICES_MAX);
    struct query_service_facts *all = arena_array(&q->arena, struct query_service_facts, c->v.n + 1);
    if (!all) return arena_err(&q->arena);
    if (c->v.n) memcpy(all, c->v.v, c->v.n * sizeof *all);
    qsort(all, c->v.n, sizeof *all, by_key);
    for (size_t i = 0; i < c->v.n; i++) qsort(all[i].versions, all[i].version_count, sizeof *all[i].versions, by_text);
    *out = (struct query_facts_answer){all, c->v.n, c->instances_cut};
    return query_settle(q);
}

err query_facts(struct query *q, int64_t time_min, int64_t time_max, struct str environment,
                struct query_facts_answer *out) {
    struct collector c = {.q = q, .environment = environment};
    strings_init(&c.keys);
    strings_init(&c.instances);
    arena_init(&c.scratch, MIB);
    buf_init(&c.key, KEY_BYTES_MAX);
    err e = collect(&c, time_min, time_max, out);
    err_free(c.error);
    strings_done(&c.keys);
    strings_done(&c.instances);
    arena_done(&c.scratch);
    buf_done(&c.key);
    vec_done(&c.v);
    return e;
}
