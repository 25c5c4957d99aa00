#include "query/rollups_priv.h"

#include <math.h>
#include <stdlib.h>

#include "base/map.h"
#include "base/vec.h"
#include "os/clock.h"

static int64_t floor_minute(int64_t t) { return t - t % rollup_minute_ns; }

void query_whole_minutes(int64_t *time_min, int64_t *time_max) {
    /* one that ends as a minute begins has nothing of it: ranges side by side count each minute once */
    int64_t last = MAX(*time_max - (*time_max > *time_min), 0);
    *time_min = floor_minute(MAX(*time_min, 0));
    if (last < INT64_MAX - 2 * rollup_minute_ns) *time_max = floor_minute(last) + rollup_minute_ns - 1;
}

bool query_is_rolled(int64_t time_min, int64_t time_max) {
    return time_max > 0 && time_max - MAX(time_min, 0) >= QUERY_ROLLED_MIN_NS;
}

bool query_is_folded(const struct rollup_key *key) {
    for (int i = ROLLUP_CLIENT_NAMESPACE; i < ROLLUP_TEXTS; i++)
        if (str_equal(key->texts[i], STR(ROLLUP_OTHER))) return true;
    return false;
}

struct rollup_request query_rollup_request(const struct query *q, int64_t time_min, int64_t time_max) {
    query_whole_minutes(&time_min, &time_max);
    return (struct rollup_request){.time_min = time_min,
                                   .time_max = time_max,
                                   .unmatched_before_ns = floor_minute(clock_wall_ns()) - rollup_minute_ns,
                                   .deadline_ns = q->deadline_ns,
                                   .is_cancelled = query_is_cancelled,
                                   .cancel_context = q};
}

err query_rollups(struct query *q, const struct rollup_request *r, struct rollup_rows *out) {
    TRY(query_check(q));
    TRY(store_rollups(q->options.store, q->options.tenant, r, &q->arena, out, &q->stats));
    return query_settle(q);
}

/* ---- sums ------------------------------------------------------------------------------------------------------- */

err rolled_sum_add(struct query *q, struct rolled_sum **sum, const struct rollup_row *row) {
    if (!*sum) *sum = arena_new(&q->arena, struct rolled_sum);
    struct rolled_sum *s = *sum;
    if (!s) return arena_err(&q->arena);
    s->calls += row->calls;
    s->errors += row->errors;
    if (__builtin_add_overflow(s->sum_ns, row->sum_ns, &s->sum_ns)) s->sum_ns = UINT64_MAX;
    s->last_ns = MAX(s->last_ns, row->last_ns);
    if (row->exemplar) s->max_ns = MAX(s->max_ns, row->exemplar->duration_ns);
    if (row->buckets)
        for (uint32_t i = 0; i < row->bucket_count; i++) s->buckets[row->bucket_first + i] += row->buckets[i];
    return NULL;
}

/* The middle of a bucket. */
static int64_t middle(uint32_t bucket) {
    return bucket < 2 ? (int64_t)bucket : (int64_t)(rollup_bucket_upper_ns(bucket) * exp2(-1.0 / 16));
}

/* As histogram_quantile: the nearest rank. */
static int64_t quantile(const struct rolled_sum *s, double share, int64_t max) {
    uint64_t rank = (uint64_t)(share * (double)s->calls + 0.999999), seen = 0;
    if (rank >= s->calls) return max;
    for (uint32_t i = 0; i < ROLLUP_BUCKETS; i++) {
        seen += s->buckets[i];
        if (seen >= MAX(rank, 1u)) return MIN(middle(i), max);
    }
    return max;
}

struct query_span_stats rolled_sum_read(const struct rolled_sum *s) {
    static const double quantiles[QUERY_QUANTILES] = {0.5, 0.9, 0.95, 0.99};
    if (!s || !s->calls) return (struct query_span_stats){0};
    uint32_t first = 0, last = ROLLUP_BUCKETS - 1;
    while (first < last && !s->buckets[first]) first++;
    while (last > first && !s->buckets[last]) last--;
    struct query_span_stats out = {.spans = s->calls,
                                   .errors = s->errors,
                                   .duration_sum = (int64_t)MIN(s->sum_ns, (uint64_t)INT64_MAX),
                                   .duration_max = s->max_ns ? (int64_t)s->max_ns : middle(last)};
    out.duration_min = MIN(middle(first), out.duration_max);
    for (size_t i = 0; i < QUERY_QUANTILES; i++) out.quantiles[i] = quantile(s, quantiles[i], out.duration_max);
    return out;
}

/* ---- statistics ------------------------------------------------------------------------------------------------- */

bool query_rollups_can_tell(const struct query_filter *f) {
    return query_is_rolled(f->time_min, f->time_max) && !f->where_count && !f->text.n && !f->trace_id && !f->span_id &&
           f->duration_min == INT64_MIN && f->duration_max == INT64_MAX;
}

static bool key_passes(const struct query_filter *f, const struct rollup_key *k) {
    return (!f->operation.p || str_equal(f->operation, k->texts[ROLLUP_OPERATION])) &&
           (f->kind < 0 || f->kind == k->kind) && (f->status < 0 || f->status == k->status);
}

err query_rollups_of_spans(struct query *q, const struct query_filter *f, int64_t step, struct rollup_rows *out) {
    struct rollup_request r = query_rollup_request(q, f->time_min, f->time_max);
    size_t n = 0;
    r.views[ROLLUP_SPANS] = true;
    r.environment = f->environment;
    r.service = f->service;
    r.step_ns = step;
    r.buckets = r.exemplars = true;
    TRY(query_rollups(q, &r, out));
    for (size_t i = 0; i < out->n; i++)
        if (key_passes(f, out->v[i].key)) out->v[n++] = out->v[i];
    out->n = n;
    return NULL;
}

/* Something that is counted by a text: a service, or an operation of one. */
struct named {
    struct str service, operation;
    uint32_t kind;
    struct rolled_sum *sum;
    uint64_t *spans, *errors; /* by bucket; NULL: not wanted */
};
struct nameds {
    struct query *q;
    struct strings names;
    VEC(struct named) v;
};

static struct named *find_named(struct nameds *x, struct str service, struct str operation, uint32_t kind) {
    AUTO_BUF struct buf key;
    uint32_t found;
    buf_init(&key, 64 * KIB);
    buf_add(&key, &kind, sizeof kind);
    buf_add(&key, &service.n, sizeof service.n);
    buf_add_str(&key, service);
    buf_add_str(&key, operation);
    if (strings_find(&x->names, buf_str(&key), &found)) return &x->v.v[found];
    strings_intern(&x->names, buf_str(&key));
    struct named *n = vec_push(&x->v);
    *n = (struct named){.service = service, .operation = operation, .kind = kind};
    return n;
}

static void nameds_done(struct nameds *x) {
    strings_done(&x->names);
    vec_done(&x->v);
}

static int by_calls(const void *x, const void *y) {
    const struct named *a = x, *b = y;
    if (a->sum->calls != b->sum->calls) return a->sum->calls > b->sum->calls ? -1 : 1;
    int order = str_compare(a->service, b->service);
    if (order == 0) order = str_compare(a->operation, b->operation);
    return order ? order : a->kind < b->kind ? -1 : a->kind > b->kind;
}

static err count_operations(struct nameds *x, const struct rollup_rows *rows) {
    for (size_t i = 0; i < rows->n; i++) {
        const struct rollup_key *k = rows->v[i].key;
        struct named *n = find_named(x, k->texts[ROLLUP_SERVICE], k->texts[ROLLUP_OPERATION], k->kind);
        TRY(rolled_sum_add(x->q, &n->sum, &rows->v[i]));
        if (i % 256 == 255) TRY(query_settle(x->q));
    }
    if (x->v.n) qsort(x->v.v, x->v.n, sizeof *x->v.v, by_calls);
    return NULL;
}

static err list_operations(struct query *q, const struct rollup_rows *rows, size_t limit,
                           const struct query_operation **out, size_t *out_n) {
    struct nameds x = {.q = q};
    strings_init(&x.names);
    err e = limit ? count_operations(&x, rows) : NULL;
    size_t n = MIN(x.v.n, limit);
    struct query_operation *all = arena_array(&q->arena, struct query_operation, n + 1);
    for (size_t i = 0; all && !e && i < n; i++)
        all[i] = (struct query_operation){x.v.v[i].service, x.v.v[i].operation, x.v.v[i].kind,
                                          rolled_sum_read(x.v.v[i].sum)};
    nameds_done(&x);
    if (!e) e = arena_err(&q->arena);
    *out = all;
    *out_n = n;
    return e;
}

err query_operations_rolled(struct query *q, const struct query_filter *f, size_t limit,
                            struct query_operations_answer *out, bool *out_rolled) {
    struct rollup_rows rows;
    *out_rolled = false;
    if (!query_rollups_can_tell(f)) return NULL;
    TRY(query_rollups_of_spans(q, f, 0, &rows));
    *out_rolled = rows.n > 0;
    return rows.n ? list_operations(q, &rows, limit, &out->operations, &out->n) : NULL;
}

/* All services while they are counted; those with most spans are shown. */
static err count_service(struct nameds *x, const struct rollup_row *row, size_t bucket, size_t buckets) {
    struct named *n = find_named(x, row->key->texts[ROLLUP_SERVICE], STR(""), 0);
    if (!n->spans) {
        n->spans = arena_array(&x->q->arena, uint64_t, 2 * buckets);
        if (!n->spans) return arena_err(&x->q->arena);
        n->errors = n->spans + buckets;
    }
    n->spans[bucket] += row->calls;
    n->errors[bucket] += row->errors;
    return rolled_sum_add(x->q, &n->sum, row);
}

static void fold_service(struct named *into, const struct named *from, size_t buckets) {
    struct rolled_sum *a = into->sum, *b = from->sum;
    a->calls += b->calls;
    a->errors += b->errors;
    if (__builtin_add_overflow(a->sum_ns, b->sum_ns, &a->sum_ns)) a->sum_ns = UINT64_MAX;
    a->max_ns = MAX(a->max_ns, b->max_ns);
    for (size_t i = 0; i < ROLLUP_BUCKETS; i++) a->buckets[i] += b->buckets[i];
    for (size_t i = 0; i < buckets; i++) {
        into->spans[i] += from->spans[i];
        into->errors[i] += from->errors[i];
    }
}

static err list_services(struct nameds *x, size_t limit, size_t buckets, struct query_trace_stats_answer *out) {
    struct named *v = x->v.v;
    size_t n = MIN(x->v.n, (size_t)QUERY_SERVICES_MAX + 1);
    struct query_service_stats *all = arena_array(&x->q->arena, struct query_service_stats, n + 1);
    if (!all) return arena_err(&x->q->arena);
    if (x->v.n) qsort(v, x->v.n, sizeof *v, by_calls);
    for (size_t i = n; i < x->v.n; i++) fold_service(&v[n - 1], &v[i], buckets);
    if (n > QUERY_SERVICES_MAX) v[n - 1].service = STR(ROLLUP_OTHER);
    for (size_t i = 0; i < n; i++)
        all[i] = (struct query_service_stats){v[i].service, rolled_sum_read(v[i].sum), v[i].spans, v[i].errors};
    out->services = all;
    out->service_count = MIN(n, limit);
    return NULL;
}

struct statistics {
    struct query *q;
    struct bucketing bucketing;
    struct rolled_sum *total, **buckets;
    struct nameds services;
};

static err count_row(struct statistics *s, const struct rollup_row *row, bool services) {
    size_t bucket = bucketing_index(&s->bucketing, MAX(row->time_ns, s->bucketing.first));
    bucket = MIN(bucket, s->bucketing.n - 1);
    TRY(rolled_sum_add(s->q, &s->total, row));
    TRY(rolled_sum_add(s->q, &s->buckets[bucket], row));
    return services ? count_service(&s->services, row, bucket, s->bucketing.n) : NULL;
}

static err read_statistics(struct statistics *s, const struct query_trace_stats *r, const struct rollup_rows *rows,
                           struct query_trace_stats_answer *out) {
    struct query_bucket *buckets = arena_array(&s->q->arena, struct query_bucket, s->bucketing.n);
    s->buckets = arena_array(&s->q->arena, struct rolled_sum *, s->bucketing.n);
    if (!buckets || !s->buckets) return arena_err(&s->q->arena);
    for (size_t i = 0; i < rows->n; i++) {
        TRY(count_row(s, &rows->v[i], r->services > 0));
        if (i % 256 == 255) TRY(query_settle(s->q));
    }
    for (size_t i = 0; i < s->bucketing.n; i++)
        buckets[i] =
            (struct query_bucket){s->bucketing.first + (int64_t)i * s->bucketing.step, rolled_sum_read(s->buckets[i])};
    *out = (struct query_trace_stats_answer){.total = rolled_sum_read(s->total),
                                             .step = s->bucketing.step,
                                             .buckets = buckets,
                                             .bucket_count = s->bucketing.n};
    if (r->services) TRY(list_services(&s->services, r->services, s->bucketing.n, out));
    return list_operations(s->q, rows, r->top, &out->top, &out->top_count);
}

err query_trace_stats_rolled(struct query *q, struct query_trace_stats *r, struct query_trace_stats_answer *out,
                             bool *out_rolled) {
    struct statistics s = {.q = q, .services = {.q = q}};
    struct rollup_rows rows;
    struct query_filter *f = &r->filter;
    *out_rolled = false;
    TRY(bucketing_make(f->time_min, f->time_max, r->step, &s.bucketing));
    if (!query_rollups_can_tell(f) || s.bucketing.step % rollup_minute_ns) return NULL;
    TRY(query_rollups_of_spans(q, f, s.bucketing.step, &rows));
    if (!rows.n) return NULL;
    strings_init(&s.services.names);
    err e = read_statistics(&s, r, &rows, out);
    nameds_done(&s.services);
    if (!e) e = query_settle(q);
    if (e) return e;
    query_whole_minutes(&f->time_min, &f->time_max);
    *out_rolled = true;
    return NULL;
}

/* ---- edges ------------------------------------------------------------------------------------------------------ */

static int by_edge_calls(const void *x, const void *y) {
    const struct query_call_edge *a = x, *b = y;
    if (a->calls != b->calls) return a->calls > b->calls ? -1 : 1;
    const struct str *s = &a->environment, *t = &b->environment; /* five texts, one after the other */
    for (int i = 0; i < ROLLUP_TEXTS; i++) {
        int order = str_compare(s[i], t[i]);
        if (order) return order;
    }
    return a->connection < b->connection ? -1 : a->connection > b->connection;
}

static struct query_call_edge edge_of(const struct rollup_key *k) {
    return (struct query_call_edge){.environment = k->texts[ROLLUP_ENVIRONMENT],
                                    .client_space = k->texts[ROLLUP_CLIENT_NAMESPACE],
                                    .client = k->texts[ROLLUP_CLIENT],
                                    .server_space = k->texts[ROLLUP_SERVER_NAMESPACE],
                                    .server = k->texts[ROLLUP_SERVER],
                                    .connection = (enum rollup_connection)k->kind};
}

static int compare_edges(const struct rollup_key *x, const struct rollup_key *y) {
    struct rollup_key a = *x, b = *y;
    a.view = b.view = 0;
    return rollup_key_compare(&a, &b);
}

static err read_side(struct query *q, const struct rollup_row *row, struct query_call_edge *e,
                     struct query_span_stats *out) {
    struct rolled_sum *sum = NULL;
    TRY(rolled_sum_add(q, &sum, row));
    *out = rolled_sum_read(sum);
    e->calls = MAX(e->calls, row->calls);
    e->errors = MAX(e->errors, row->errors);
    e->last_seen = MAX(e->last_seen, row->last_ns);
    return NULL;
}

/* Rows are by key, all of servers first: two ascending runs. */
static err join_sides(struct query *q, const struct rollup_rows *rows, struct query_call_edge *out, size_t *out_n) {
    size_t servers = 0, i = 0, k, n = 0;
    while (servers < rows->n && rows->v[servers].key->view == ROLLUP_EDGE_SERVER) servers++;
    for (k = servers; i < servers || k < rows->n;) {
        int order = i == servers ? 1 : k == rows->n ? -1 : compare_edges(rows->v[i].key, rows->v[k].key);
        struct query_call_edge *e = &out[n++];
        *e = edge_of(rows->v[order <= 0 ? i : k].key);
        if (order <= 0) TRY(read_side(q, &rows->v[i++], e, &e->as_server));
        if (order >= 0) TRY(read_side(q, &rows->v[k++], e, &e->as_client));
    }
    *out_n = n;
    return query_settle(q);
}

static bool is_same_service(const struct query_service_spans *s, const struct rollup_key *k) {
    return str_equal(s->service, k->texts[ROLLUP_SERVICE]) && str_equal(s->space, k->texts[ROLLUP_NAMESPACE]) &&
           str_equal(s->environment, k->texts[ROLLUP_ENVIRONMENT]);
}

/* Rows are by key: those of a service follow each other. */
static err sum_services(struct query *q, const struct rollup_rows *rows, struct query_service_spans_answer *made) {
    struct query_service_spans *all = arena_array(&q->arena, struct query_service_spans, rows->n + 1), *last = NULL;
    struct rolled_sum *sum = NULL;
    if (!all) return arena_err(&q->arena);
    for (size_t i = 0; i < rows->n; i++) {
        const struct rollup_row *row = &rows->v[i];
        if (query_is_folded(row->key)) made->folded += row->calls;
        if (!last || !is_same_service(last, row->key)) {
            if (sum) memset(sum, 0, sizeof *sum);
            last = &all[made->n++];
            *last = (struct query_service_spans){.environment = row->key->texts[ROLLUP_ENVIRONMENT],
                                                 .space = row->key->texts[ROLLUP_NAMESPACE],
                                                 .service = row->key->texts[ROLLUP_SERVICE]};
        }
        TRY(rolled_sum_add(q, &sum, row));
        last->stats = rolled_sum_read(sum);
        last->last_seen = MAX(last->last_seen, row->last_ns);
        if (i % 256 == 255) TRY(query_settle(q));
    }
    made->services = all;
    return query_settle(q);
}

err query_service_spans(struct query *q, int64_t time_min, int64_t time_max, struct str environment,
                        struct query_service_spans_answer *out) {
    if (time_min > time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    struct rollup_request r = query_rollup_request(q, time_min, time_max);
    struct query_service_spans_answer made = {.time_min = r.time_min, .time_max = r.time_max};
    struct rollup_rows rows;
    r.views[ROLLUP_SPANS] = true;
    r.environment = environment;
    r.buckets = r.exemplars = r.by_service = true;
    TRY(query_rollups(q, &r, &rows));
    TRY(sum_services(q, &rows, &made));
    *out = made;
    return NULL;
}

err query_topology(struct query *q, int64_t time_min, int64_t time_max, struct str environment, struct str service,
                   struct query_topology_answer *out) {
    if (time_min > time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    struct rollup_request r = query_rollup_request(q, time_min, time_max);
    struct rollup_rows rows;
    r.views[ROLLUP_EDGE_SERVER] = r.views[ROLLUP_EDGE_CLIENT] = true;
    r.environment = environment;
    r.service = service;
    r.buckets = r.exemplars = true;
    TRY(query_rollups(q, &r, &rows));
    struct query_call_edge *all = arena_array(&q->arena, struct query_call_edge, rows.n + 1);
    struct query_topology_answer made = {.edges = all, .time_min = r.time_min, .time_max = r.time_max};
    if (!all) return arena_err(&q->arena);
    TRY(join_sides(q, &rows, all, &made.n));
    if (made.n) qsort(all, made.n, sizeof *all, by_edge_calls);
    for (size_t i = 0; i < made.n; i++)
        if (str_equal(all[i].client, STR(ROLLUP_OTHER)) || str_equal(all[i].server, STR(ROLLUP_OTHER)))
            made.folded += all[i].calls;
    *out = made;
    return NULL;
}
