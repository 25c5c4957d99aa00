#include "store/rollup_model_priv.h"

#include <stdlib.h>

static uint32_t model_key(struct rollup_sink *sink, const struct rollup_key *key) {
    struct rollup_model *m = (struct rollup_model *)sink;
    struct rollup_key *k = vec_push(&m->keys);
    *k = *key;
    for (int i = 0; i < ROLLUP_TEXTS; i++) k->texts[i] = arena_copy(m->a, key->texts[i]);
    return (uint32_t)m->keys.n - 1;
}

static void model_add(struct rollup_sink *sink, uint32_t key, const struct rollup_call *call) {
    struct rollup_model *m = (struct rollup_model *)sink;
    *vec_push(&m->calls) = (struct model_call){m->keys.v[key], *call};
}

static void model_half(struct rollup_sink *sink, const struct rollup_half *half) {
    struct rollup_model *m = (struct rollup_model *)sink;
    struct rollup_half *h = vec_push(&m->halves);
    *h = *half;
    h->environment = arena_copy(m->a, half->environment);
    h->space = arena_copy(m->a, half->space);
    h->service = arena_copy(m->a, half->service);
    h->peer = arena_copy(m->a, half->peer);
}

static void model_parent(struct rollup_sink *sink, const struct rollup_parent *p) {
    struct rollup_half h = {.is_plain = true,
                            .client_span = p->span_id,
                            .environment = p->environment,
                            .space = p->space,
                            .service = p->service,
                            .call.start_ns = p->start_ns};
    memcpy(h.call.trace_id, p->trace_id, sizeof h.call.trace_id);
    model_half(sink, &h);
}

static const struct rollup_sink_functions model_sink = {model_key, model_add, model_half, model_parent};

void rollup_model_init(struct rollup_model *m, struct arena *a) {
    *m = (struct rollup_model){.sink = {&model_sink}, .a = a};
}

void rollup_model_done(struct rollup_model *m) {
    vec_done(&m->keys);
    vec_done(&m->calls);
    vec_done(&m->halves);
}

/* ---- edges ------------------------------------------------------------------------------------------------------ */

/* Halves of one client span together, the client that counts first, then parents, servers last. */
static int by_span(const void *x, const void *y) {
    const struct rollup_half *a = x, *b = y;
    int order = memcmp(a->call.trace_id, b->call.trace_id, 16);
    if (order) return order;
    if (a->client_span != b->client_span) return a->client_span < b->client_span ? -1 : 1;
    if (a->is_server != b->is_server) return a->is_server ? 1 : -1;
    if (!a->is_server && a->is_plain != b->is_plain) return a->is_plain ? 1 : -1;
    if (a->call.start_ns != b->call.start_ns) return a->call.start_ns < b->call.start_ns ? -1 : 1;
    return a->call.duration_ns < b->call.duration_ns ? -1 : a->call.duration_ns > b->call.duration_ns;
}

static void add_edge(struct rollup_model *m, enum rollup_view view, const struct rollup_half *client,
                     struct str server_space, struct str server, struct str environment,
                     enum rollup_connection connection, struct rollup_call call) {
    struct rollup_key key = {.view = (uint8_t)view, .kind = (uint8_t)connection};
    key.texts[ROLLUP_ENVIRONMENT] = environment;
    key.texts[ROLLUP_CLIENT_NAMESPACE] = client->space;
    key.texts[ROLLUP_CLIENT] = client->service;
    key.texts[ROLLUP_SERVER_NAMESPACE] = server_space;
    key.texts[ROLLUP_SERVER] = server;
    *vec_push(&m->calls) = (struct model_call){key, call};
}

static void add_pair(struct rollup_model *m, const struct rollup_half *c, const struct rollup_half *s) {
    enum rollup_connection connection = MAX(c->connection, s->connection);
    struct rollup_call server = s->call, client = c->call;
    server.failed = client.failed = server.failed || client.failed;
    client.start_ns = server.start_ns;
    add_edge(m, ROLLUP_EDGE_SERVER, c, s->space, s->service, s->environment, connection, server);
    add_edge(m, ROLLUP_EDGE_CLIENT, c, s->space, s->service, s->environment, connection, client);
}

/* False: they do not belong together. */
static bool pair(struct rollup_model *m, const struct rollup_half *c, const struct rollup_half *s) {
    bool same_service = str_equal(c->space, s->space) && str_equal(c->service, s->service);
    if ((c->is_plain || s->is_plain) && same_service) return false;
    if (c->is_plain)
        add_edge(m, ROLLUP_EDGE_SERVER, c, s->space, s->service, s->environment, s->connection, s->call);
    else
        add_pair(m, c, s);
    return true;
}

static void pair_all(struct rollup_model *m, int64_t unmatched_before_ns) {
    struct rollup_half *v = m->halves.v;
    size_t n = m->halves.n;
    if (n) qsort(v, n, sizeof *v, by_span);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && memcmp(v[i].call.trace_id, v[end].call.trace_id, 16) == 0 &&
                          v[i].client_span == v[end].client_span;)
            end++;
        bool paired = false;
        for (size_t k = i; k < end && !v[i].is_server; k++)
            if (v[k].is_server) paired |= pair(m, &v[i], &v[k]);
        for (size_t k = i; k < end && !paired; k++) {
            if (!v[k].is_server && v[k].peer.n && v[k].call.start_ns < unmatched_before_ns)
                add_edge(m, ROLLUP_EDGE_CLIENT, &v[k], (struct str){0}, v[k].peer, v[k].environment,
                         MAX(v[k].connection, ROLLUP_TO_PEER), v[k].call);
        }
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static int64_t floor_to(int64_t t, int64_t step) { return t - (t % step + step) % step; }

static bool is_wanted(const struct rollup_request *r, const struct model_call *c) {
    const struct str *t = c->key.texts;
    int64_t minute = floor_to(c->call.start_ns, rollup_minute_ns);
    if (!r->views[c->key.view] || minute < r->time_min || minute > r->time_max) return false;
    if (r->environment.p && !str_equal(t[ROLLUP_ENVIRONMENT], r->environment)) return false;
    for (int end = 0; end <= (c->key.view != ROLLUP_SPANS); end++)
        if ((!r->space.p || str_equal(t[2 * end + 1], r->space)) &&
            (!r->service.p || str_equal(t[2 * end + 2], r->service)))
            return true;
    return false;
}

static int by_key_and_time(const void *x, const void *y) {
    const struct model_call *a = x, *b = y;
    int order = rollup_key_compare(&a->key, &b->key);
    if (order) return order;
    return a->call.start_ns < b->call.start_ns ? -1 : a->call.start_ns > b->call.start_ns;
}

static void count_call(struct rollup_model *m, const struct rollup_request *r, struct rollup_row *row,
                       uint64_t *buckets, const struct rollup_call *c) {
    struct rollup_exemplar e = {.span_id = c->span_id, .duration_ns = c->duration_ns, .start_ns = c->start_ns};
    memcpy(e.trace_id, c->trace_id, sizeof e.trace_id);
    row->calls++;
    row->errors += c->failed;
    row->sum_ns += c->duration_ns;
    row->last_ns = row->calls == 1 ? c->start_ns : MAX(row->last_ns, c->start_ns);
    buckets[rollup_bucket_of(c->duration_ns)]++;
    if (!r->exemplars || (row->exemplar && !rollup_exemplar_is_slower(&e, row->exemplar))) return;
    struct rollup_exemplar *kept = arena_new(m->a, struct rollup_exemplar);
    if (kept) *kept = e;
    row->exemplar = kept;
}

static void end_row(const struct rollup_request *r, struct rollup_row *row, uint64_t *buckets) {
    uint32_t last = ROLLUP_BUCKETS;
    if (!r->buckets) return;
    while (last > 0 && !buckets[last - 1]) last--;
    while (row->bucket_first < last && !buckets[row->bucket_first]) row->bucket_first++;
    row->bucket_count = last - row->bucket_first;
    row->buckets = buckets + row->bucket_first;
}

err rollup_model_answer(struct rollup_model *m, const struct rollup_request *r, struct rollup_rows *out) {
    size_t n = 0;
    pair_all(m, r->unmatched_before_ns);
    for (size_t i = 0; i < m->calls.n; i++)
        if (is_wanted(r, &m->calls.v[i])) {
            m->calls.v[n] = m->calls.v[i];
            m->calls.v[n].key = rollup_key_for(r, &m->calls.v[i].key);
            n++;
        }
    if (n) qsort(m->calls.v, n, sizeof *m->calls.v, by_key_and_time);
    out->v = arena_array(m->a, struct rollup_row, n + 1);
    uint64_t *buckets = NULL;
    for (size_t i = 0; i < n && !m->a->full; i++) {
        const struct model_call *c = &m->calls.v[i];
        int64_t time = r->step_ns ? floor_to(c->call.start_ns, r->step_ns) : r->time_min;
        struct rollup_row *row = out->n ? &out->v[out->n - 1] : NULL;
        if (!row || row->time_ns != time || rollup_key_compare(row->key, &c->key) != 0) {
            if (row) end_row(r, row, buckets);
            struct rollup_key *key = arena_new(m->a, struct rollup_key);
            buckets = arena_array(m->a, uint64_t, ROLLUP_BUCKETS);
            if (!key || !buckets) break;
            *key = c->key;
            row = &out->v[out->n++];
            *row = (struct rollup_row){.key = key, .time_ns = time};
        }
        count_call(m, r, row, buckets, &c->call);
    }
    if (out->n && !m->a->full) end_row(r, &out->v[out->n - 1], buckets);
    return arena_err(m->a);
}
