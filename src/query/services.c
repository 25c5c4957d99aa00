/* Services from resources; with counts, also from rows. */
#include "query/rollups_priv.h"

#include "base/map.h"
#include "base/vec.h"

#include <stdlib.h>

enum { SERVICES_MAX = 100000 };

struct services {
    struct query *q;
    struct strings keys; /* sizes of the first two texts, then name, namespace, environment */
    VEC(struct query_service) v;
    VEC(struct rolled_sum *) sums; /* by service; empty: spans were scanned */
    VEC(struct tally) tallies;     /* by service, of spans that were */
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

enum {
    COLUMN_TIME,
    COLUMN_SERVICE,
    COLUMN_SPACE,
    COLUMN_ENVIRONMENT,
    COLUMN_OLD_ENVIRONMENT,
    COLUMNS_OF_LOGS,
    COLUMN_STATUS = COLUMNS_OF_LOGS,
    COLUMN_DURATION,
    COLUMNS
};

static err count_span(struct services *s, uint32_t at, const struct vector *c, uint32_t i) {
    while (s->tallies.n <= at) *vec_push(&s->tallies) = (struct tally){0};
    return tally_add(s->q, &s->tallies.v[at], (int64_t)c[COLUMN_DURATION].u64[i], c[COLUMN_STATUS].u64[i] == 2);
}

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
        service->logs += s->signal == SIGNAL_LOGS;
        if (s->signal == SIGNAL_SPANS && !s->error) s->error = count_span(s, at, c, i);
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
        [COLUMN_DURATION] = FIELD_COLUMN(FIELD_DURATION),
    };
    struct query_filter all;
    struct matcher m;
    query_filter_init(&all);
    all.time_min = time_min;
    all.time_max = time_max;
    TRY(matcher_make(s->q, s->signal, &all, &m));
    return query_scan(s->q, &m, columns, s->signal == SIGNAL_SPANS ? COLUMNS : COLUMNS_OF_LOGS, on_rows, s);
}

static err add_rolled(struct services *s, const struct rollup_row *row, struct query_services_answer *out) {
    const struct str *t = row->key->texts;
    uint32_t i = service_index(s, t[ROLLUP_SERVICE], t[ROLLUP_NAMESPACE], t[ROLLUP_ENVIRONMENT]);
    if (query_is_folded(row->key)) out->folded += row->calls;
    if (i == SERVICE_NONE) return take(&s->error);
    while (s->sums.n <= i) *vec_push(&s->sums) = NULL;
    s->v.v[i].signals[SIGNAL_SPANS] = true;
    s->v.v[i].last_seen = MAX(s->v.v[i].last_seen, row->last_ns);
    return rolled_sum_add(s->q, &s->sums.v[i], row);
}

/* Spans by whole minutes, where rollups tell of any. */
static err count_rolled(struct services *s, int64_t time_min, int64_t time_max, struct query_services_answer *out) {
    struct rollup_request r = query_rollup_request(s->q, time_min, time_max);
    struct rollup_rows rows;
    r.views[ROLLUP_SPANS] = true;
    r.environment = s->environment;
    r.buckets = r.exemplars = r.by_service = true;
    TRY(query_rollups(s->q, &r, &rows));
    for (size_t i = 0; i < rows.n; i++) {
        TRY(add_rolled(s, &rows.v[i], out));
        if (i % 256 == 255) TRY(query_settle(s->q));
    }
    for (size_t i = 0; i < s->sums.n; i++) s->v.v[i].spans = rolled_sum_read(s->sums.v[i]);
    if (!rows.n) return NULL;
    out->rolled = true;
    out->time_min = r.time_min;
    out->time_max = r.time_max;
    return NULL;
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
    struct query_services_answer made = {.time_min = time_min, .time_max = time_max};
    if (time_min > time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    if (count && query_is_rolled(time_min, time_max)) TRY(count_rolled(s, time_min, time_max, &made));
    for (s->signal = 0; s->signal < SIGNALS; s->signal++) {
        struct snapshot *sn;
        if (made.rolled && s->signal == SIGNAL_SPANS) continue;
        TRY(query_check(s->q));
        TRY(query_snapshot(s->q, s->signal, &sn));
        if (count)
            TRY(count_rows(s, time_min, time_max));
        else
            TRY(snapshot_resources(sn, &range, on_resource, s, &s->q->stats));
        if (s->error) return take(&s->error);
        TRY(query_settle(s->q));
    }
    for (size_t i = 0; i < s->tallies.n; i++) s->v.v[i].spans = tally_stats(&s->tallies.v[i]);
    if (s->full) return err_new(ERR_LIMIT, "more than %d services, or a name of more than 64 KiB", SERVICES_MAX);
    struct query_service *all = arena_array(&s->q->arena, struct query_service, s->v.n + 1);
    if (!all) return arena_err(&s->q->arena);
    if (s->v.n) memcpy(all, s->v.v, s->v.n * sizeof *all);
    qsort(all, s->v.n, sizeof *all, by_name);
    made.services = all;
    made.n = s->v.n;
    *out = made;
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
    vec_done(&s.sums);
    vec_done(&s.tallies);
    return e;
}
