/* Statistics of spans: over all, by time bucket, by operation. One scan fills all of them. */
#include "query/query_priv.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"
#include "query/histogram_priv.h"

#include <stdlib.h>

enum { GROUPS_MAX = 2000, TRACES_MAX = 4000000, GROUP_OTHER = GROUPS_MAX, SERVICE_OTHER = QUERY_SERVICES_MAX };

/* Groups by (service, operation, kind): texts in one dictionary, "service \0 name \0 kind". */
struct groups {
    struct strings names;
    struct tally tallies[GROUPS_MAX + 1];
    struct code_cache cache;
};

/* By service, if that was asked for: one histogram over all time, and plain counts by bucket. */
struct by_service {
    struct strings names;
    uint32_t of_group[GROUPS_MAX + 1]; /* index of its service plus 1; 0: not looked up */
    struct tally tallies[QUERY_SERVICES_MAX + 1];
    uint64_t *spans[QUERY_SERVICES_MAX + 1], *errors[QUERY_SERVICES_MAX + 1]; /* by bucket; NULL: no span yet */
};

/* Distinct trace ids, by 64 bits of hash: 4 million at most, so one in 2 million such counts is short by one. */
struct id_set {
    uint64_t *slots;
    size_t n, capacity;
    bool cut;
};

struct stats {
    struct query *q;
    struct tally total;
    struct tally *buckets; /* NULL: none */
    struct bucketing bucketing;
    struct groups *groups;
    struct by_service *services; /* NULL: not asked for */
    struct id_set *traces;       /* NULL: not counted */
};

err tally_add(struct query *q, struct tally *t, int64_t duration, bool failed) {
    if (!t->histogram) {
        t->histogram = arena_new(&q->arena, struct histogram);
        if (!t->histogram) return arena_err(&q->arena);
    }
    histogram_count(t->histogram, duration);
    t->errors += failed;
    return NULL;
}

struct query_span_stats tally_stats(const struct tally *t) {
    static const double quantiles[QUERY_QUANTILES] = {0.5, 0.9, 0.95, 0.99};
    struct query_span_stats s = {.errors = t->errors};
    if (!t->histogram) return s;
    s.spans = t->histogram->n;
    s.duration_sum = t->histogram->sum;
    s.duration_min = t->histogram->min;
    s.duration_max = t->histogram->max;
    for (size_t i = 0; i < QUERY_QUANTILES; i++) s.quantiles[i] = histogram_quantile(t->histogram, quantiles[i]);
    return s;
}

/* Charges first: while it grows there are two tables. */
static err id_set_grow(struct id_set *s, struct query *q) {
    size_t capacity = s->capacity ? s->capacity * 2 : 1024;
    TRY(query_charge(q, capacity * sizeof(uint64_t)));
    uint64_t *slots = mem_new_array(uint64_t, capacity);
    for (size_t i = 0; i < s->capacity; i++) {
        if (!s->slots[i]) continue;
        size_t at = s->slots[i] & (capacity - 1);
        while (slots[at]) at = (at + 1) & (capacity - 1);
        slots[at] = s->slots[i];
    }
    mem_free(s->slots);
    query_discharge(q, s->capacity * sizeof(uint64_t));
    s->slots = slots;
    s->capacity = capacity;
    return NULL;
}

static err id_set_add(struct id_set *s, struct query *q, const unsigned char *id) {
    if (s->n * 2 >= s->capacity) TRY(id_set_grow(s, q));
    uint64_t h = hash_fast(id, 16) | 1; /* 0 is free */
    size_t at = h & (s->capacity - 1);
    while (s->slots[at] && s->slots[at] != h) at = (at + 1) & (s->capacity - 1);
    if (s->slots[at]) return NULL;
    if (s->n == TRACES_MAX) {
        s->cut = true;
        return NULL;
    }
    s->slots[at] = h;
    s->n++;
    return NULL;
}

/* ---- groups ----------------------------------------------------------------------------------------------------- */

enum { COLUMN_SERVICE, COLUMN_NAME, COLUMN_KIND, COLUMN_STATUS, COLUMN_DURATION, COLUMN_TIME, COLUMN_TRACE, COLUMNS };
static const struct column_ref stats_columns[COLUMNS] = {
    [COLUMN_SERVICE] = RESOURCE_COLUMN("service.name"), [COLUMN_NAME] = FIELD_COLUMN(FIELD_NAME),
    [COLUMN_KIND] = FIELD_COLUMN(FIELD_KIND),           [COLUMN_STATUS] = FIELD_COLUMN(FIELD_STATUS),
    [COLUMN_DURATION] = FIELD_COLUMN(FIELD_DURATION),   [COLUMN_TIME] = FIELD_COLUMN(FIELD_TIME),
    [COLUMN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),
};

static err group_by_text(struct query *q, struct groups *g, struct str service, struct str name, uint32_t kind,
                         uint32_t *out) {
    struct buf key;
    err e = NULL;
    buf_init(&key, 64 * MIB);
    buf_add(&key, &kind, sizeof kind);
    buf_add(&key, &service.n, sizeof service.n);
    buf_add_str(&key, service);
    buf_add_str(&key, name);
    if (!strings_find(&g->names, buf_str(&key), out)) {
        *out = GROUP_OTHER;
        if (g->names.n < GROUPS_MAX && key.n < 64 * KIB) {
            e = query_charge(q, key.n);
            if (!e) *out = strings_intern(&g->names, buf_str(&key));
        }
    }
    buf_done(&key);
    return e;
}

static err group_of(struct query *q, struct groups *g, const struct chunk *chunk, uint32_t i, uint32_t *out) {
    const struct vector *c = chunk->columns;
    uint32_t kind = (uint32_t)c[COLUMN_KIND].u64[i], slot;
    uint32_t codes[CODE_CACHE_CODES] = {c[COLUMN_SERVICE].codes[i], c[COLUMN_NAME].codes[i], kind};
    if (code_cache_find(&g->cache, codes, out, &slot)) return NULL;
    struct str service = service_or_unknown(vector_text(&c[COLUMN_SERVICE], i));
    TRY(group_by_text(q, g, service, vector_text(&c[COLUMN_NAME], i), kind, out));
    code_cache_set(&g->cache, slot, codes, *out);
    return NULL;
}

static void group_read(const struct groups *g, uint32_t group, struct query *q, struct query_operation *out) {
    *out = (struct query_operation){.service = STR("_other"), .name = STR("_other")};
    if (group != GROUP_OTHER) {
        struct str key = strings_get(&g->names, group);
        size_t n;
        memcpy(&out->kind, key.p, sizeof out->kind);
        memcpy(&n, key.p + sizeof out->kind, sizeof n);
        const char *text = key.p + sizeof out->kind + sizeof n;
        out->service = query_keep(q, (struct str){text, n});
        out->name = query_keep(q, (struct str){text + n, (size_t)(key.p + key.n - text) - n});
    }
    out->stats = tally_stats(&g->tallies[group]);
}

static int by_spans(const void *x, const void *y) {
    const struct query_operation *a = x, *b = y;
    if (a->stats.spans != b->stats.spans) return a->stats.spans > b->stats.spans ? -1 : 1;
    int order = str_compare(a->service, b->service);
    if (order == 0) order = str_compare(a->name, b->name);
    return order ? order : a->kind < b->kind ? -1 : a->kind > b->kind;
}

static err groups_read(struct query *q, struct groups *g, size_t limit, const struct query_operation **out,
                       size_t *out_n) {
    struct query_operation *all = arena_array(&q->arena, struct query_operation, g->names.n + 1);
    if (!all) return arena_err(&q->arena);
    size_t n = 0;
    for (uint32_t i = 0; i < g->names.n; i++) group_read(g, i, q, &all[n++]);
    if (g->tallies[GROUP_OTHER].histogram) group_read(g, GROUP_OTHER, q, &all[n++]);
    TRY(query_settle(q));
    qsort(all, n, sizeof *all, by_spans);
    *out = all;
    *out_n = MIN(n, limit);
    return NULL;
}

/* ---- services --------------------------------------------------------------------------------------------------- */

static struct str group_service(const struct groups *g, uint32_t group) {
    struct str key = strings_get(&g->names, group);
    size_t n;
    memcpy(&n, key.p + sizeof(uint32_t), sizeof n);
    return (struct str){key.p + sizeof(uint32_t) + sizeof n, n};
}

static err service_of_group(struct stats *s, uint32_t group, uint32_t *out) {
    struct by_service *v = s->services;
    if (v->of_group[group] == 0) {
        uint32_t service = SERVICE_OTHER;
        if (group != GROUP_OTHER && !strings_find(&v->names, group_service(s->groups, group), &service)) {
            struct str name = group_service(s->groups, group);
            TRY(query_charge(s->q, name.n));
            service = v->names.n < QUERY_SERVICES_MAX ? strings_intern(&v->names, name) : SERVICE_OTHER;
        }
        v->of_group[group] = service + 1;
    }
    *out = v->of_group[group] - 1;
    return NULL;
}

static err service_add(struct stats *s, uint32_t group, size_t bucket, int64_t duration, bool failed) {
    struct by_service *v = s->services;
    uint32_t service;
    TRY(service_of_group(s, group, &service));
    if (!v->spans[service]) {
        uint64_t *counts = arena_array(&s->q->arena, uint64_t, 2 * s->bucketing.n);
        if (!counts) return arena_err(&s->q->arena);
        v->spans[service] = counts;
        v->errors[service] = counts + s->bucketing.n;
    }
    TRY(tally_add(s->q, &v->tallies[service], duration, failed));
    if (bucket >= s->bucketing.n) return NULL;
    v->spans[service][bucket]++;
    v->errors[service][bucket] += failed;
    return NULL;
}

static int by_service_spans(const void *x, const void *y) {
    const struct query_service_stats *a = x, *b = y;
    if (a->stats.spans != b->stats.spans) return a->stats.spans > b->stats.spans ? -1 : 1;
    return str_compare(a->service, b->service);
}

static err services_read(struct stats *s, size_t limit, struct query_trace_stats_answer *out) {
    struct by_service *v = s->services;
    if (!v) return NULL;
    struct query_service_stats *all = arena_array(&s->q->arena, struct query_service_stats, v->names.n + 1);
    if (!all) return arena_err(&s->q->arena);
    size_t n = 0;
    for (uint32_t i = 0; i <= SERVICE_OTHER; i++) {
        if (!v->spans[i]) continue;
        struct str name = i == SERVICE_OTHER ? STR("_other") : query_keep(s->q, strings_get(&v->names, i));
        all[n++] = (struct query_service_stats){name, tally_stats(&v->tallies[i]), v->spans[i], v->errors[i]};
    }
    TRY(query_settle(s->q));
    qsort(all, n, sizeof *all, by_service_spans);
    out->services = all;
    out->service_count = MIN(n, limit);
    return NULL;
}

/* ---- scan ------------------------------------------------------------------------------------------------------- */

static err add_row(struct stats *s, const struct chunk *chunk, uint32_t i) {
    const struct vector *c = chunk->columns;
    int64_t duration = (int64_t)c[COLUMN_DURATION].u64[i];
    bool failed = c[COLUMN_STATUS].u64[i] == 2;
    uint32_t group;
    TRY(group_of(s->q, s->groups, chunk, i, &group));
    TRY(tally_add(s->q, &s->groups->tallies[group], duration, failed));
    if (!s->traces) return NULL;
    TRY(tally_add(s->q, &s->total, duration, failed));
    size_t bucket = bucketing_index(&s->bucketing, time_of(c[COLUMN_TIME].u64[i]));
    if (bucket < s->bucketing.n) TRY(tally_add(s->q, &s->buckets[bucket], duration, failed));
    if (s->services) TRY(service_add(s, group, bucket, duration, failed));
    return id_set_add(s->traces, s->q, c[COLUMN_TRACE].id16 + 16 * (size_t)i);
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct stats *s = context;
    code_cache_start(&s->groups->cache);
    for (uint32_t k = 0; k < rows->n && !*out_error; k++) *out_error = add_row(s, rows->chunk, picked_at(rows, k));
    return SCAN_GO_ON;
}

static err groups_new(struct query *q, struct groups **out) {
    *out = arena_new(&q->arena, struct groups);
    if (!*out) return arena_err(&q->arena);
    strings_init(&(*out)->names);
    return NULL;
}

static err services_new(struct query *q, struct by_service **out) {
    *out = arena_new(&q->arena, struct by_service);
    if (!*out) return arena_err(&q->arena);
    strings_init(&(*out)->names);
    return NULL;
}

static err read_stats(struct stats *s, const struct query_trace_stats *r, struct query_trace_stats_answer *out) {
    struct query_bucket *buckets = arena_array(&s->q->arena, struct query_bucket, s->bucketing.n);
    if (!buckets) return arena_err(&s->q->arena);
    for (size_t i = 0; i < s->bucketing.n; i++)
        buckets[i] =
            (struct query_bucket){s->bucketing.first + (int64_t)i * s->bucketing.step, tally_stats(&s->buckets[i])};
    out->total = tally_stats(&s->total);
    out->traces = s->traces->n;
    out->traces_cut = s->traces->cut;
    out->step = s->bucketing.step;
    out->buckets = buckets;
    out->bucket_count = s->bucketing.n;
    TRY(services_read(s, r->services, out));
    return groups_read(s->q, s->groups, r->top, &out->top, &out->top_count);
}

err query_trace_stats(struct query *q, const struct query_trace_stats *r, struct query_trace_stats_answer *out) {
    struct matcher m;
    struct id_set traces = {0};
    struct stats s = {.q = q, .traces = &traces};
    TRY(bucketing_make(r->filter.time_min, r->filter.time_max, r->step, &s.bucketing));
    TRY(matcher_make(q, SIGNAL_SPANS, &r->filter, &m));
    s.buckets = arena_array(&q->arena, struct tally, s.bucketing.n);
    if (!s.buckets) return arena_err(&q->arena);
    TRY(groups_new(q, &s.groups));
    if (r->services) TRY(services_new(q, &s.services));
    struct query_trace_stats_answer made = {0};
    err e = query_scan(q, &m, stats_columns, COLUMNS, on_rows, &s);
    if (!e) e = read_stats(&s, r, &made);
    strings_done(&s.groups->names);
    if (s.services) strings_done(&s.services->names);
    mem_free(traces.slots);
    if (!e) *out = made;
    return e;
}

err query_operations(struct query *q, const struct query_filter *f, size_t limit, struct query_operations_answer *out) {
    struct matcher m;
    struct stats s = {.q = q};
    TRY(matcher_make(q, SIGNAL_SPANS, f, &m));
    TRY(groups_new(q, &s.groups));
    struct query_operations_answer made = {0};
    err e = query_scan(q, &m, stats_columns, COLUMN_TIME, on_rows, &s);
    if (!e) e = groups_read(q, s.groups, limit, &made.operations, &made.n);
    strings_done(&s.groups->names);
    if (!e) *out = made;
    return e;
}
