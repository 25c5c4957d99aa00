#include "app/serve_seen.h"

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "base/vec.h"
#include "catalog/entities.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "query/query.h"

enum { KNOWN_MAX = 16384 };
#define SECOND_NS ((int64_t)1000000000)
#define FIRST_NS (5 * SECOND_NS)
#define EACH_NS (60 * SECOND_NS)
#define RANGE_NS (600 * SECOND_NS)
#define AGAIN_NS (3600 * SECOND_NS)

struct serve_seen {
    struct store *store;
    struct catalog *catalog;
    struct budget *budget;
    char *dir;
    struct lock lock;
    struct signal_flag flag;
    bool ending;
    struct thread *thread;
    /* What was told: by the hash of tenant, kind and key, and when. A collision leaves one out until the hour is over. */
    struct known {
        uint64_t hash;
        int64_t at_ns;
    } known[KNOWN_MAX];
};

/* ---- what is new -------------------------------------------------------------------------------------------------- */

struct finding {
    struct serve_seen *s;
    struct str tenant;
    VEC(struct entity_sight) v[ENTITY_KINDS];
};

static bool is_told(struct serve_seen *s, struct str tenant, enum entity_kind kind, struct str key) {
    uint64_t hash = hash_bytes(tenant.p, tenant.n) * 31 + hash_bytes(key.p, key.n) * 7 + (uint64_t)kind;
    struct known *k = &s->known[hash % KNOWN_MAX];
    int64_t now = clock_monotonic_ns();
    if (k->hash == hash && k->at_ns && now - k->at_ns < AGAIN_NS) return true;
    *k = (struct known){hash, now};
    return false;
}

static bool may_be_key(struct str key) {
    bool good = key.n > 0 && key.n <= ENTITY_KEY_BYTES && utf8_is_valid(key);
    for (size_t i = 0; i < key.n && good; i++) good = (unsigned char)key.p[i] >= ' ' && key.p[i] != 127;
    return good;
}

static void add(struct finding *f, enum entity_kind kind, struct entity_sight sight) {
    if (!may_be_key(sight.key)) return;
    for (size_t i = 0; i < f->v[kind].n; i++)
        if (str_equal(f->v[kind].v[i].key, sight.key)) return;
    if (!is_told(f->s, f->tenant, kind, sight.key)) *vec_push(&f->v[kind]) = sight;
}

/* NAMESPACE/NAME, or NAME alone. */
static struct str key_of(struct arena *a, const struct query_service *s) {
    AUTO_BUF struct buf key;
    buf_init(&key, 4 * KIB);
    if (s->space.n) buf_add_fmt(&key, STR_FMT "/", STR_ARG(s->space));
    buf_add_str(&key, s->name);
    return key.n && !key.full ? arena_copy(a, buf_str(&key)) : STR("");
}

static err find(struct finding *f, struct query *q) {
    struct query_services_answer found;
    int64_t now = clock_wall_ns();
    TRY(query_services(q, now - RANGE_NS, now, (struct str){0}, false, &found));
    for (size_t i = 0; i < found.n; i++) {
        const struct query_service *s = &found.services[i];
        add(f, ENTITY_ENVIRONMENT, (struct entity_sight){s->environment, STR(""), STR("")});
        add(f, ENTITY_SERVICE, (struct entity_sight){key_of(&q->arena, s), s->space, s->name});
    }
    return NULL;
}

/* ---- telling ------------------------------------------------------------------------------------------------------ */

/* What could not be told is as if it were new the next time. */
static void forget(struct serve_seen *s) { memset(s->known, 0, sizeof s->known); }

static err tell(struct finding *f) {
    static const enum entity_kind kinds[] = {ENTITY_ENVIRONMENT, ENTITY_SERVICE};
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        size_t over = 0, n = f->v[kinds[i]].n;
        if (n) TRY(entity_seen(f->s->catalog, f->tenant, kinds[i], f->v[kinds[i]].v, n, &over));
        if (over)
            log_warn("the catalog takes no more", F_TEXT("of", entity_kinds[kinds[i]].many), F_STR("tenant", f->tenant),
                     F_U64("left_out", over));
    }
    return NULL;
}

static void look_at(struct serve_seen *s, struct str tenant) {
    struct query q;
    struct finding f = {.s = s, .tenant = tenant};
    query_begin(&q, &(struct query_options){.store = s->store, .tenant = tenant, .budget = s->budget});
    err e = find(&f, &q);
    if (!e) e = tell(&f);
    if (e) {
        forget(s);
        log_warn("services at work are not noted", F_STR("tenant", tenant), F_ERR(e));
        err_free(e);
    }
    for (int k = 0; k < ENTITY_KINDS; k++) vec_done(&f.v[k]);
    query_end(&q);
}

struct tenants {
    struct serve_seen *s;
    size_t n;
};

static err on_tenant(void *context, const char *name, bool is_dir) {
    struct tenants *t = context;
    bool good = is_dir && store_tenant_is_valid(str_of(name)) && strcmp(name, "default") != 0;
    if (good && t->n++ < SEEN_TENANTS_MAX) look_at(t->s, str_of(name));
    return NULL;
}

static void look(struct serve_seen *s) {
    AUTO_BUF struct buf path;
    struct tenants t = {s, 0};
    buf_init(&path, 8 * KIB);
    buf_add_fmt(&path, "%s/tenants", s->dir);
    look_at(s, STR("default"));
    err_free(path_list(path.p, on_tenant, &t)); /* the folders of others are there from their first flush on */
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static void run(void *context) {
    struct serve_seen *s = context;
    int64_t each = FIRST_NS, next = clock_monotonic_ns() + each;
    lock_take(&s->lock);
    while (!s->ending) {
        if (flag_wait_until(&s->flag, &s->lock, next)) continue;
        lock_give(&s->lock);
        look(s);
        each = MIN(2 * each, EACH_NS); /* a new clew is looked at by people */
        next = clock_monotonic_ns() + each;
        lock_take(&s->lock);
    }
    lock_give(&s->lock);
}

err serve_seen_start(struct store *store, struct catalog *catalog, struct budget *budget, const char *dir,
                     struct serve_seen **out) {
    struct serve_seen *s = *out = mem_new_of(struct serve_seen);
    s->store = store;
    s->catalog = catalog;
    s->budget = budget;
    s->dir = str_dup(str_of(dir));
    lock_init(&s->lock);
    flag_init(&s->flag);
    return thread_start(&s->thread, "catalog", 10, run, s);
}

void serve_seen_stop(struct serve_seen *s) {
    if (!s) return;
    lock_take(&s->lock);
    s->ending = true;
    flag_wake_all(&s->flag);
    lock_give(&s->lock);
    thread_join(s->thread);
    lock_done(&s->lock);
    flag_done(&s->flag);
    mem_free(s->dir);
    mem_free(s);
}
