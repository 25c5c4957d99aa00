#include "insight/topology.h"

#include <stdlib.h>

#include "base/map.h"
#include "insight/health.h"

const char *const topology_kind_names[TOPOLOGY_KINDS] = {
    [TOPOLOGY_SERVICE] = "service",
    [TOPOLOGY_DATABASE] = "database",
    [TOPOLOGY_MESSAGING] = "messaging",
    [TOPOLOGY_PEER] = "peer",
};

const char *topology_error_status(const struct topology_node *n) {
    return n->calls_in ? health_of_errors(n->calls_in, n->errors_in)
                       : health_of_errors(n->spans.spans, n->spans.errors);
}

struct maker {
    struct arena *a;
    const struct topology_request *r;
    struct topology t; /* nodes as they were met, then by name */
    struct strings
        keys; /* sizes of the first two texts, then environment, namespace, name, of services and then others */
    struct buf key;
};

/* ---- nodes ------------------------------------------------------------------------------------------------------ */

/* A name of one kind: a database may be called as a service is. */
static struct topology_node *node(struct maker *m, enum topology_kind kind, struct str environment, struct str space,
                                  struct str name) {
    size_t sizes[3] = {environment.n, space.n, kind == TOPOLOGY_SERVICE ? 0 : 1};
    buf_clear(&m->key);
    buf_add(&m->key, sizes, sizeof sizes);
    buf_add_str(&m->key, environment);
    buf_add_str(&m->key, space);
    buf_add_str(&m->key, name);
    uint32_t known = m->keys.n, id = strings_intern(&m->keys, buf_str(&m->key));
    if (id == known)
        m->t.nodes[m->t.n++] =
            (struct topology_node){.kind = kind, .environment = environment, .space = space, .name = name};
    return &m->t.nodes[id];
}

static bool is_service(struct maker *m, struct str environment, struct str space, struct str name) {
    size_t sizes[3] = {environment.n, space.n, 0};
    uint32_t id;
    buf_clear(&m->key);
    buf_add(&m->key, sizes, sizeof sizes);
    buf_add_str(&m->key, environment);
    buf_add_str(&m->key, space);
    buf_add_str(&m->key, name);
    return strings_find(&m->keys, buf_str(&m->key), &id);
}

static void add_services(struct maker *m, const struct topology_input *in) {
    for (size_t i = 0; i < in->spans.n; i++) {
        const struct query_service_spans *s = &in->spans.services[i];
        struct topology_node *n = node(m, TOPOLOGY_SERVICE, s->environment, s->space, s->service);
        n->spans = s->stats;
        n->last_seen = s->last_seen;
    }
    for (size_t i = 0; i < in->edges.n; i++) { /* a caller is one, though its own spans be gone */
        const struct query_call_edge *e = &in->edges.edges[i];
        bool has_client = e->as_client.spans || e->connection == ROLLUP_DIRECT; /* its span may be no client's */
        if (has_client) node(m, TOPOLOGY_SERVICE, e->environment, e->client_space, e->client);
        if (e->as_server.spans) node(m, TOPOLOGY_SERVICE, e->environment, e->server_space, e->server);
    }
    for (size_t i = 0; i < in->facts.n; i++) { /* of what is not on the map, as it sends only logs, nothing is shown */
        const struct query_service_facts *f = &in->facts.services[i];
        if (is_service(m, f->environment, f->space, f->name))
            node(m, TOPOLOGY_SERVICE, f->environment, f->space, f->name)->facts = f;
    }
}

static enum topology_kind kind_of(enum rollup_connection connection) {
    switch (connection) {
    case ROLLUP_DATABASE: return TOPOLOGY_DATABASE;
    case ROLLUP_MESSAGING: return TOPOLOGY_MESSAGING;
    case ROLLUP_DIRECT:
    case ROLLUP_TO_PEER: break;
    }
    return TOPOLOGY_PEER;
}

static struct topology_node *end_of(struct maker *m, const struct query_call_edge *e, bool is_server) {
    struct str space = is_server ? e->server_space : e->client_space, name = is_server ? e->server : e->client;
    bool service = is_service(m, e->environment, space, name);
    struct topology_node *n = node(m, service ? TOPOLOGY_SERVICE : kind_of(e->connection), e->environment, space, name);
    if (n->kind > TOPOLOGY_SERVICE) n->kind = MIN(n->kind, kind_of(e->connection));
    n->last_seen = MAX(n->last_seen, e->last_seen);
    return n;
}

/* ---- edges ------------------------------------------------------------------------------------------------------ */

static void add_edges(struct maker *m, const struct topology_input *in) {
    for (size_t i = 0; i < in->edges.n; i++) {
        const struct query_call_edge *e = &in->edges.edges[i];
        uint32_t client = (uint32_t)(end_of(m, e, false) - m->t.nodes);
        uint32_t server = (uint32_t)(end_of(m, e, true) - m->t.nodes);
        m->t.edges[m->t.edge_count++] = (struct topology_edge){.client = client,
                                                               .server = server,
                                                               .connection = e->connection,
                                                               .calls = e->calls,
                                                               .errors = e->errors,
                                                               .last_seen = e->last_seen,
                                                               .as_client = e->as_client,
                                                               .as_server = e->as_server};
    }
}

static int by_pair(const void *x, const void *y) { /* of a pair, that with most calls first */
    const struct topology_edge *a = x, *b = y;
    if (a->client != b->client) return a->client < b->client ? -1 : 1;
    if (a->server != b->server) return a->server < b->server ? -1 : 1;
    if (a->calls != b->calls) return a->calls > b->calls ? -1 : 1;
    return a->connection < b->connection ? -1 : a->connection > b->connection;
}

static int by_calls(const void *x, const void *y) {
    const struct topology_edge *a = x, *b = y;
    if (a->calls != b->calls) return a->calls > b->calls ? -1 : 1;
    return by_pair(x, y);
}

static bool is_messaging(const struct maker *m, const struct topology_edge *e, enum topology_kind server) {
    return e->connection == ROLLUP_MESSAGING && e->client != e->server && m->t.nodes[e->server].kind == server;
}

/* Messages that are drawn by way of their destination are not drawn from service to service as well: edges are by pair, `first` where those of a
 * client begin. */
static err drop_told_twice(struct maker *m, const uint32_t *first) {
    struct topology *t = &m->t;
    uint32_t *reached =
        arena_array(m->a, uint32_t, t->n + 1); /* by a destination, from the client whose number + 1 this is */
    size_t n = 0;
    if (!reached) return arena_err(m->a);
    for (uint32_t c = 0; c < t->n; c++) {
        for (uint32_t i = first[c]; i < first[c + 1]; i++) {
            if (!is_messaging(m, &t->edges[i], TOPOLOGY_MESSAGING)) continue;
            uint32_t to = t->edges[i].server;
            for (uint32_t k = first[to]; k < first[to + 1]; k++)
                if (t->edges[k].connection == ROLLUP_MESSAGING) reached[t->edges[k].server] = c + 1;
        }
        for (uint32_t i = first[c]; i < first[c + 1]; i++)
            if (is_messaging(m, &t->edges[i], TOPOLOGY_SERVICE) && reached[t->edges[i].server] == c + 1)
                t->edges[i].calls = 0;
    }
    for (size_t i = 0; i < t->edge_count; i++)
        if (t->edges[i].calls) t->edges[n++] = t->edges[i];
    t->edge_count = n;
    return NULL;
}

static err order_edges(struct maker *m) {
    struct topology *t = &m->t;
    uint32_t *first = arena_array(m->a, uint32_t, t->n + 2);
    if (!first) return arena_err(m->a);
    if (t->edge_count) qsort(t->edges, t->edge_count, sizeof *t->edges, by_pair);
    for (size_t i = 0; i < t->edge_count; i++) first[t->edges[i].client + 1]++;
    for (uint32_t c = 0; c < t->n; c++) first[c + 1] += first[c];
    return drop_told_twice(m, first);
}

static void count_traffic(struct topology *t) {
    for (size_t i = 0; i < t->edge_count; i++) {
        const struct topology_edge *e = &t->edges[i];
        if (e->client == e->server) continue;
        t->nodes[e->client].calls_out += e->calls;
        t->nodes[e->client].errors_out += e->errors;
        t->nodes[e->server].calls_in += e->calls;
        t->nodes[e->server].errors_in += e->errors;
    }
}

static void join_pairs(struct topology *t) {
    size_t n = 0;
    for (size_t i = 0; i < t->edge_count; i++) {
        struct topology_edge *e = &t->edges[i], *last = n ? &t->edges[n - 1] : NULL;
        if (!last || last->client != e->client || last->server != e->server) {
            t->edges[n++] = *e;
            continue;
        }
        last->calls += e->calls;
        last->errors += e->errors;
        last->last_seen = MAX(last->last_seen, e->last_seen);
        last->connection = MAX(last->connection, e->connection);
    }
    t->edge_count = n;
}

/* ---- which nodes, and in which order ------------------------------------------------------------------------------ */

static int by_name(const void *x, const void *y) {
    const struct topology_node *a = *(const struct topology_node *const *)x,
                               *b = *(const struct topology_node *const *)y;
    int order = str_compare(a->environment, b->environment);
    if (!order) order = str_compare(a->space, b->space);
    if (!order) order = str_compare(a->name, b->name);
    return order ? order : (int)a->kind - (int)b->kind;
}

static int by_traffic(const void *x, const void *y) {
    const struct topology_node *a = *(const struct topology_node *const *)x,
                               *b = *(const struct topology_node *const *)y;
    uint64_t of_a = a->calls_in + a->calls_out, of_b = b->calls_in + b->calls_out;
    if (of_a != of_b) return of_a > of_b ? -1 : 1;
    if (a->spans.spans != b->spans.spans) return a->spans.spans > b->spans.spans ? -1 : 1;
    return by_name(x, y);
}

/* Nodes become those that `list` names, in its order; edges with an end that is not kept go. */
static err renumber(struct maker *m, struct topology_node **list, uint32_t n) {
    struct topology *t = &m->t;
    struct topology_node *nodes = arena_array(m->a, struct topology_node, n + 1);
    uint32_t *now = arena_array(m->a, uint32_t, t->n + 1);
    size_t kept = 0;
    if (!nodes || !now) return arena_err(m->a);
    memset(now, 0xff, t->n * sizeof *now);
    for (uint32_t i = 0; i < n; i++) {
        now[list[i] - t->nodes] = i;
        nodes[i] = *list[i];
    }
    for (size_t i = 0; i < t->edge_count; i++) {
        struct topology_edge e = t->edges[i];
        e.client = now[e.client];
        e.server = now[e.server];
        if (e.client != UINT32_MAX && e.server != UINT32_MAX) t->edges[kept++] = e;
    }
    t->left_out += t->n - n;
    t->nodes = nodes;
    t->n = n;
    t->edge_count = kept;
    return NULL;
}

/* NULL: the arena is full; the same of layout_edges. */
static struct topology_node **list_nodes(struct maker *m) {
    struct topology_node **list = arena_array(m->a, struct topology_node *, m->t.n + 1);
    for (uint32_t i = 0; list && i < m->t.n; i++) list[i] = &m->t.nodes[i];
    return list;
}

static err keep_busiest(struct maker *m) {
    struct topology_node **list = list_nodes(m);
    uint32_t n = MIN(m->t.n, m->r->nodes_max);
    if (!list) return arena_err(m->a);
    if (n < m->t.n) qsort(list, m->t.n, sizeof *list, by_traffic);
    if (n) qsort(list, n, sizeof *list, by_name);
    return renumber(m, list, n);
}

/* Of a name services come first; false: nothing is called so. */
static bool find_focus(const struct maker *m, uint32_t *out) {
    const struct topology_request *r = m->r;
    for (uint32_t i = 0; i < m->t.n; i++) {
        const struct topology_node *n = &m->t.nodes[i];
        if (!str_equal(n->name, r->focus) || (r->focus_space.p && !str_equal(n->space, r->focus_space))) continue;
        *out = i;
        return true;
    }
    return false;
}

static struct layout_edge *layout_edges(struct maker *m) {
    struct layout_edge *edges = arena_array(m->a, struct layout_edge, m->t.edge_count + 1);
    for (size_t i = 0; edges && i < m->t.edge_count; i++)
        edges[i] = (struct layout_edge){m->t.edges[i].client, m->t.edges[i].server};
    return edges;
}

/* What many call or are called by that have nothing else in common: callers without spans, peers outside, what did not fit in. */
static bool *pseudo_nodes(struct maker *m) {
    bool *are = arena_array(m->a, bool, m->t.n + 1);
    for (uint32_t i = 0; are && i < m->t.n; i++)
        are[i] = m->t.nodes[i].kind == TOPOLOGY_PEER || str_equal(m->t.nodes[i].name, STR("_other"));
    return are;
}

static err keep_nearest(struct maker *m) {
    struct topology_node **list = list_nodes(m);
    struct layout_edge *edges = layout_edges(m);
    const bool *kept, *ends = pseudo_nodes(m);
    const uint32_t *distance;
    uint32_t focus, n = 0;
    if (!list || !edges || !ends) return arena_err(m->a);
    if (!find_focus(m, &focus)) return renumber(m, list, 0);
    TRY(layout_neighbourhood(m->a, m->t.n, edges, m->t.edge_count, ends, focus, m->r->steps, m->r->nodes_max, &kept,
                             &distance));
    for (uint32_t i = 0; i < m->t.n; i++) {
        if (!kept[i]) continue;
        m->t.nodes[i].distance = distance[i];
        list[n++] = &m->t.nodes[i];
    }
    return renumber(m, list, n);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static err place(struct maker *m) {
    struct topology *t = &m->t;
    struct layout_edge *edges = layout_edges(m);
    struct layout drawn;
    if (!edges) return arena_err(m->a);
    TRY(layout_layered(m->a, t->n, edges, t->edge_count, &drawn));
    for (uint32_t i = 0; i < t->n; i++) t->nodes[i].at = drawn.nodes[i];
    for (size_t i = 0; i < t->edge_count; i++) {
        uint32_t first = i ? drawn.bend_end[i - 1] : 0;
        t->edges[i].bends = drawn.bends + first;
        t->edges[i].bend_count = drawn.bend_end[i] - first;
    }
    t->width = drawn.width;
    t->height = drawn.height;
    return NULL;
}

static err make(struct maker *m, const struct topology_input *in) {
    struct topology *t = &m->t;
    t->nodes = arena_array(m->a, struct topology_node, in->spans.n + 4 * in->edges.n + 1);
    t->edges = arena_array(m->a, struct topology_edge, in->edges.n + 1);
    if (!t->nodes || !t->edges) return arena_err(m->a);
    add_services(m, in);
    add_edges(m, in);
    TRY(order_edges(m));
    count_traffic(t);
    join_pairs(t);
    if (m->r->focus.p) { /* found among all by name, then those near it are kept */
        struct topology_node **list = list_nodes(m);
        if (!list) return arena_err(m->a);
        if (t->n) qsort(list, t->n, sizeof *list, by_name);
        TRY(renumber(m, list, t->n));
        TRY(keep_nearest(m));
    } else
        TRY(keep_busiest(m));
    if (t->edge_count) qsort(t->edges, t->edge_count, sizeof *t->edges, by_calls);
    return m->r->layout ? place(m) : NULL;
}

err topology_make(struct arena *a, const struct topology_request *r, const struct topology_input *in,
                  struct topology *out) {
    struct maker m = {.a = a, .r = r};
    strings_init(&m.keys);
    buf_init(&m.key, SIZE_MAX / 2); /* of texts that are in memory */
    err e = make(&m, in);
    strings_done(&m.keys);
    buf_done(&m.key);
    if (e) return e;
    m.t.folded = in->spans.folded + in->edges.folded;
    m.t.time_min = in->edges.time_min;
    m.t.time_max = in->edges.time_max;
    *out = m.t;
    return NULL;
}

err topology_read(struct query *q, const struct topology_request *r, struct topology *out) {
    static const struct str any = {NULL, 0};
    struct topology_input in;
    TRY(query_service_spans(q, r->time_min, r->time_max, r->environment, &in.spans));
    TRY(query_topology(q, r->time_min, r->time_max, r->environment, any, &in.edges));
    TRY(query_facts(q, r->time_min, r->time_max, r->environment, &in.facts));
    return topology_make(&q->arena, r, &in, out);
}
