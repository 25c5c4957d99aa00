/* Services from resources; with counts, also from rows. */
#include "query/query_priv.h"

#include "base/map.h"
#include "base/vec.h"

#include <stdlib.h>

enum { SERVICES_MAX = 100000 };

struct services {
    struct query *q;
    struct strings keys; /* sizes of the first two texts, then name, namespace, environment */
    VEC(struct query_service) v;
    struct code_cache *cache;
    enum signal signal;
    struct str environment; /* p NULL: all */
    struct arena scratch;   /* of one resource */
    bool full;              /* some service was left out */
    err error;              /* of a callback that cannot return it */
};

enum { SERVICE_NONE = UINT32_MAX };

static uint32_t service_index(struct services *s, struct str name, struct str space, struct str environment) {
    struct buf key;
    uint32_t found;
    size_t sizes[2] = {name.n, space.n};
    buf_init(&key, 64 * MIB);
    buf_add(&key, sizes, sizeof sizes);
    buf_add_str(&key, name);
    buf_add_str(&key, space);
    buf_add_str(&key, environment);
    if (!strings_find(&s->keys, buf_str(&key), &found)) {
        found = SERVICE_NONE;
        bool fits = s->v.n < SERVICES_MAX && key.n <= 64 * KIB;
        s->full = s->full || !fits;
        if (fits && !s->error) s->error = query_charge(s->q, key.n + sizeof(struct query_service));
        if (fits && !s->error) {
            found = strings_intern(&s->keys, buf_str(&key));
            *vec_push(&s->v) = (struct query_service){.name = query_keep(s->q, name),
                                                      .space = query_keep(s->q, space),
                                                      .environment = query_keep(s->q, environment)};
        }
    }
    buf_done(&key);
    return found;
}

static void on_resource(void *context, const struct batch *b, uint32_t resource) {
    struct services *s = context;
    arena_clear(&s->scratch);
    struct str environment = query_resource_environment(b, resource, &s->scratch);
    if (s->environment.p && !str_equal(environment, s->environment)) return;
    uint32_t i = service_index(s, query_resource_service(b, resource, &s->scratch),
                               resource_namespace(b, resource, &s->scratch), environment);
    if (i != SERVICE_NONE) s->v.v[i].signals[s->signal] = true;
}

enum { COLUMN_TIME, COLUMN_SERVICE, COLUMN_SPACE, COLUMN_ENVIRONMENT, COLUMN_OLD_ENVIRONMENT, COLUMN_STATUS, COLUMNS };

static uint32_t service_of_row(struct services *s, const struct vector *c, uint32_t i) {
    uint32_t codes[CODE_CACHE_CODES] = {c[COLUMN_SERVICE].codes[i], c[COLUMN_SPACE].codes[i],
                                        c[COLUMN_ENVIRONMENT].codes[i], c[COLUMN_OLD_ENVIRONMENT].codes[i]};
    uint32_t found, slot;
    if (code_cache_find(s->cache, codes, &found, &slot)) return found;
    struct str environment =
        environment_of(vector_text(&c[COLUMN_ENVIRONMENT], i), vector_text(&c[COLUMN_OLD_ENVIRONMENT], i));
    found = s->environment.p && !str_equal(environment, s->environment)
                ? SERVICE_NONE
                : service_index(s, service_or_unknown(vector_text(&c[COLUMN_SERVICE], i)),
                                vector_text(&c[COLUMN_SPACE], i), environment);
    code_cache_set(s->cache, slot, codes, found);
    return found;
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct services *s = context;
    const struct vector *c = rows->chunk->columns;
    code_cache_start(s->cache);
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k), at = service_of_row(s, c, i);
        if (at == SERVICE_NONE) continue;
        struct query_service *service = &s->v.v[at];
        service->signals[s->signal] = true;
        service->last_seen = MAX(service->last_seen, time_of(c[COLUMN_TIME].u64[i]));
        service->spans += s->signal == SIGNAL_SPANS;
        service->logs += s->signal == SIGNAL_LOGS;
        service->errors += s->signal == SIGNAL_SPANS && c[COLUMN_STATUS].u64[i] == 2;
    }
    *out_error = take(&s->error);
    return SCAN_GO_ON;
}

static err count_rows(struct services *s, int64_t time_min, int64_t time_max) {
    static const struct column_ref columns[COLUMNS] = {
        [COLUMN_TIME] = FIELD_COLUMN(FIELD_TIME),
        [COLUMN_SERVICE] = RESOURCE_COLUMN("service.name"),
        [COLUMN_SPACE] = RESOURCE_COLUMN("service.namespace"),
        [COLUMN_ENVIRONMENT] = RESOURCE_COLUMN("deployment.environment.name"),
        [COLUMN_OLD_ENVIRONMENT] = RESOURCE_COLUMN("deployment.environment"),
        [COLUMN_STATUS] = FIELD_COLUMN(FIELD_STATUS),
    };
    struct query_filter all;
    struct matcher m;
    query_filter_init(&all);
    all.time_min = time_min;
    all.time_max = time_max;
    TRY(matcher_make(s->q, s->signal, &all, &m));
    return query_scan(s->q, &m, columns, s->signal == SIGNAL_SPANS ? COLUMNS : COLUMN_STATUS, on_rows, s);
}

static int by_name(const void *x, const void *y) {
    const struct query_service *a = x, *b = y;
    int order = str_compare(a->name, b->name);
    if (order == 0) order = str_compare(a->space, b->space);
    return order ? order : str_compare(a->environment, b->environment);
}

static err collect(struct services *s, int64_t time_min, int64_t time_max, bool count,
                   struct query_services_answer *out) {
    struct scan_request range = query_range(s->q, time_min, time_max);
    if (time_min > time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    for (s->signal = 0; s->signal < SIGNALS; s->signal++) {
        struct snapshot *sn;
        TRY(query_check(s->q));
        TRY(query_snapshot(s->q, s->signal, &sn));
        if (count)
            TRY(count_rows(s, time_min, time_max));
        else
            TRY(snapshot_resources(sn, &range, on_resource, s, &s->q->stats));
        if (s->error) return take(&s->error);
        TRY(query_settle(s->q));
    }
    if (s->full) return err_new(ERR_LIMIT, "more than %d services, or a name of more than 64 KiB", SERVICES_MAX);
    struct query_service *all = arena_array(&s->q->arena, struct query_service, s->v.n + 1);
    if (!all) return arena_err(&s->q->arena);
    if (s->v.n) memcpy(all, s->v.v, s->v.n * sizeof *all);
    qsort(all, s->v.n, sizeof *all, by_name);
    *out = (struct query_services_answer){all, s->v.n};
    return query_settle(s->q);
}

err query_services(struct query *q, int64_t time_min, int64_t time_max, struct str environment, bool count,
                   struct query_services_answer *out) {
    struct services s = {.q = q, .environment = environment, .cache = arena_new(&q->arena, struct code_cache)};
    if (!s.cache) return arena_err(&q->arena);
    strings_init(&s.keys);
    arena_init(&s.scratch, q->options.memory_max_bytes);
    err e = collect(&s, time_min, time_max, count, out);
    err_free(s.error);
    arena_done(&s.scratch);
    strings_done(&s.keys);
    vec_done(&s.v);
    return e;
}
