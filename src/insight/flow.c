#include "insight/flow.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"

enum { NONE = UINT32_MAX, KIND_CLIENT = 3, KIND_PRODUCER = 4, NAME_BYTES_MAX = 1024 };

const char *const flow_join_names[FLOW_JOINS] = {
    [FLOW_CALL] = "call", [FLOW_LINK] = "link", [FLOW_SAME_ID] = "same_id"};

struct maker {
    struct arena *a;
    const struct flow_request *r;
    const struct flow_input *in;
    struct strings node_keys, edge_keys;
    VEC(struct flow_node) nodes;
    VEC(struct flow_edge) edges;
    struct buf key;
    uint32_t *slots; /* (trace, span id) → row + 1 */
    size_t mask;
    bool *is_answered; /* rows: a span of another service has it as its parent */
    bool *is_joined;   /* traces: by a link to another one */
    uint64_t left_out;
};

/* ---- spans ------------------------------------------------------------------------------------------------------ */

static size_t slot_of(const struct maker *m, uint32_t trace, uint64_t span) {
    size_t at = hash_keyed(trace, span) & m->mask;
    for (; m->slots[at]; at = (at + 1) & m->mask) {
        const struct query_id_row *row = &m->in->rows[m->slots[at] - 1];
        if (row->trace == trace && row->span_id == span) break;
    }
    return at;
}

static uint32_t find_span(const struct maker *m, uint32_t trace, uint64_t span) {
    if (!span || trace == QUERY_NO_TRACE) return NONE;
    uint32_t found = m->slots[slot_of(m, trace, span)];
    return found ? found - 1 : NONE;
}

static err index_spans(struct maker *m) {
    m->mask = 16;
    while (m->mask < 2 * m->in->n) m->mask *= 2;
    m->slots = arena_zero(m->a, m->mask * sizeof *m->slots);
    m->is_answered = arena_array(m->a, bool, m->in->n + 1);
    m->is_joined = arena_array(m->a, bool, (size_t)m->in->trace_count + 1);
    if (!m->slots || !m->is_answered || !m->is_joined) return arena_err(m->a);
    m->mask--;
    for (uint32_t i = 0; i < m->in->n; i++) { /* by time: the earlier of an id counts */
        size_t at = slot_of(m, m->in->rows[i].trace, m->in->rows[i].span_id);
        if (!m->slots[at]) m->slots[at] = i + 1;
    }
    return NULL;
}

/* ---- nodes and edges -------------------------------------------------------------------------------------------- */

/* NONE: there are as many as may be. */
static uint32_t node(struct maker *m, enum topology_kind kind, struct str service, struct str operation, int64_t time) {
    size_t head[3] = {kind, service.n, operation.p ? 1 : 0};
    uint32_t found;
    buf_clear(&m->key);
    buf_add(&m->key, head, sizeof head);
    buf_add_str(&m->key, service);
    buf_add_str(&m->key, operation);
    if (strings_find(&m->node_keys, buf_str(&m->key), &found)) return found;
    if (m->nodes.n >= m->r->nodes_max) return NONE;
    *vec_push(&m->nodes) =
        (struct flow_node){.kind = kind, .service = service, .operation = operation, .first_seen = time};
    return strings_intern(&m->node_keys, buf_str(&m->key));
}

static uint32_t node_of(struct maker *m, uint32_t row) {
    const struct query_id_row *r = &m->in->rows[row];
    struct str operation = m->r->by_operation ? m->in->texts[r->operation] : (struct str){NULL, 0};
    return node(m, TOPOLOGY_SERVICE, m->in->texts[r->service], operation, r->time);
}

/* A call of the row that goes from one node to another. */
static void add_edge(struct maker *m, uint32_t from, uint32_t to, enum flow_join join, const struct query_id_row *row,
                     bool failed) {
    uint32_t key[3] = {from, to, join}, at;
    struct str text = {(const char *)key, sizeof key};
    if (from == NONE || to == NONE || from == to) return;
    if (!strings_find(&m->edge_keys, text, &at)) {
        at = strings_intern(&m->edge_keys, text);
        *vec_push(&m->edges) = (struct flow_edge){.from = from, .to = to, .join = join, .first_seen = row->time};
    }
    struct flow_edge *e = &m->edges.v[at];
    e->calls++;
    e->errors += failed;
    if (__builtin_add_overflow(e->duration_sum, row->duration, &e->duration_sum)) e->duration_sum = INT64_MAX;
    e->duration_max = MAX(e->duration_max, row->duration);
    e->first_seen = MIN(e->first_seen, row->time);
}

static void enter(struct flow_node *n, const struct query_id_row *row, bool failed) {
    n->calls++;
    n->call_errors += failed;
    if (__builtin_add_overflow(n->duration_sum, row->duration, &n->duration_sum)) n->duration_sum = INT64_MAX;
    n->duration_max = MAX(n->duration_max, row->duration);
}

/* Of a call between services either side may say that it failed. */
static bool call_failed(const struct maker *m, uint32_t parent, uint32_t i) {
    const struct query_id_row *row = &m->in->rows[i], *caller = parent == NONE ? row : &m->in->rows[parent];
    if (row->failed || caller->service == row->service) return row->failed;
    return caller->failed && (caller->kind == KIND_CLIENT || caller->kind == KIND_PRODUCER);
}

static void add_span(struct maker *m, uint32_t i) {
    const struct query_id_row *row = &m->in->rows[i];
    uint32_t parent = find_span(m, row->trace, row->parent_id);
    if (parent == i) parent = NONE;
    uint32_t caller = parent == NONE ? NONE : node_of(m, parent), own = node_of(m, i);
    if (parent != NONE && m->in->rows[parent].service != row->service) m->is_answered[parent] = true;
    if (own == NONE) {
        m->left_out++;
        return;
    }
    m->nodes.v[own].spans++;
    m->nodes.v[own].errors += row->failed;
    m->nodes.v[own].first_seen = MIN(m->nodes.v[own].first_seen, row->time);
    if (caller == own) return;
    bool failed = call_failed(m, parent, i);
    enter(&m->nodes.v[own], row, failed);
    add_edge(m, caller, own, FLOW_CALL, row, failed);
}

static void add_peer(struct maker *m, uint32_t i) {
    const struct query_id_row *row = &m->in->rows[i];
    const struct flow_peer *peer = &m->in->peers[i];
    if ((row->kind != KIND_CLIENT && row->kind != KIND_PRODUCER) || !peer->name.n || m->is_answered[i]) return;
    uint32_t to = node(m, peer->kind, peer->name, (struct str){NULL, 0}, row->time);
    if (to == NONE) return;
    enter(&m->nodes.v[to], row, row->failed);
    add_edge(m, node_of(m, i), to, FLOW_CALL, row, row->failed);
}

static void add_link(struct maker *m, const struct flow_link *link) {
    const struct query_id_row *row = &m->in->rows[link->span];
    uint32_t from = find_span(m, link->trace, link->span_id);
    if (from == NONE || !m->in->mine[link->span]) return;
    if (row->trace != QUERY_NO_TRACE && link->trace != row->trace) m->is_joined[row->trace] = true;
    add_edge(m, node_of(m, from), node_of(m, link->span), FLOW_LINK, row, row->failed);
}

/* ---- traces that nothing joins ---------------------------------------------------------------------------------- */

static bool is_running(const struct query_id_row *row, int64_t time) { return time - row->time <= row->duration; }

/* The span of another trace that may have begun this one; NONE: it is the first. Rows are by time. */
static uint32_t find_cause(const struct maker *m, uint32_t root) {
    const struct query_id_row *rows = m->in->rows;
    uint32_t last = NONE;
    for (uint32_t i = root; i-- > 0;) {
        if (!m->in->mine[i] || rows[i].trace == rows[root].trace) continue;
        if (is_running(&rows[i], rows[root].time)) return i;
        if (last == NONE) last = i;
    }
    return last;
}

static void join_traces(struct maker *m) {
    for (uint32_t i = 0; i < m->in->n; i++) {
        const struct query_id_row *row = &m->in->rows[i];
        if (!m->in->mine[i] || row->trace == QUERY_NO_TRACE || m->is_joined[row->trace]) continue;
        m->is_joined[row->trace] = true; /* its first span: once */
        uint32_t cause = find_cause(m, i);
        if (cause != NONE) add_edge(m, node_of(m, cause), node_of(m, i), FLOW_SAME_ID, row, row->failed);
    }
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static int by_first_seen(const void *x, const void *y) {
    const struct flow_edge *a = x, *b = y;
    if (a->first_seen != b->first_seen) return a->first_seen < b->first_seen ? -1 : 1;
    if (a->from != b->from) return a->from < b->from ? -1 : 1;
    if (a->to != b->to) return a->to < b->to ? -1 : 1;
    return (int)a->join - (int)b->join;
}

static int nodes_by_first_seen(const void *x, const void *y, void *nodes) {
    const struct flow_node *a = (const struct flow_node *)nodes + *(const uint32_t *)x,
                           *b = (const struct flow_node *)nodes + *(const uint32_t *)y;
    if (a->first_seen != b->first_seen) return a->first_seen < b->first_seen ? -1 : 1;
    int order = str_compare(a->service, b->service);
    if (!order) order = str_compare(a->operation, b->operation);
    return order ? order : (int)a->kind - (int)b->kind;
}

static err order_nodes(struct maker *m, struct flow *f) {
    uint32_t n = (uint32_t)m->nodes.n, *order = arena_array(m->a, uint32_t, n + 1),
             *place = arena_array(m->a, uint32_t, n + 1);
    f->nodes = arena_array(m->a, struct flow_node, n + 1);
    f->edges = arena_array(m->a, struct flow_edge, m->edges.n + 1);
    if (!order || !place || !f->nodes || !f->edges) return arena_err(m->a);
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    if (n) qsort_r(order, n, sizeof *order, nodes_by_first_seen, m->nodes.v);
    for (uint32_t i = 0; i < n; i++) {
        f->nodes[i] = m->nodes.v[order[i]];
        place[order[i]] = i;
    }
    for (size_t i = 0; i < m->edges.n; i++) {
        f->edges[i] = m->edges.v[i];
        f->edges[i].from = place[f->edges[i].from];
        f->edges[i].to = place[f->edges[i].to];
    }
    f->n = n;
    f->edge_count = m->edges.n;
    if (f->edge_count) qsort(f->edges, f->edge_count, sizeof *f->edges, by_first_seen);
    return NULL;
}

static err place(struct maker *m, struct flow *f) {
    struct layout_edge *edges = arena_array(m->a, struct layout_edge, f->edge_count + 1);
    struct layout drawn;
    if (!edges) return arena_err(m->a);
    for (size_t i = 0; i < f->edge_count; i++) edges[i] = (struct layout_edge){f->edges[i].from, f->edges[i].to};
    TRY(layout_layered(m->a, f->n, edges, f->edge_count, &drawn));
    for (uint32_t i = 0; i < f->n; i++) f->nodes[i].at = drawn.nodes[i];
    for (size_t i = 0; i < f->edge_count; i++) {
        uint32_t first = i ? drawn.bend_end[i - 1] : 0;
        f->edges[i].bends = drawn.bends + first;
        f->edges[i].bend_count = drawn.bend_end[i] - first;
    }
    f->width = drawn.width;
    f->height = drawn.height;
    return NULL;
}

static err make(struct maker *m, struct flow *out) {
    const struct flow_input *in = m->in;
    struct flow f = {0};
    TRY(index_spans(m));
    for (uint32_t i = 0; i < in->n; i++)
        if (in->mine[i]) add_span(m, i);
    for (uint32_t i = 0; i < in->n; i++)
        if (in->mine[i]) add_peer(m, i);
    for (size_t i = 0; i < in->link_count; i++) add_link(m, &in->links[i]);
    join_traces(m);
    TRY(order_nodes(m, &f));
    TRY(place(m, &f));
    f.left_out = m->left_out;
    *out = f;
    return NULL;
}

err flow_make(struct arena *a, const struct flow_request *r, const struct flow_input *in, struct flow *out) {
    struct maker m = {.a = a, .r = r, .in = in};
    strings_init(&m.node_keys);
    strings_init(&m.edge_keys);
    buf_init(&m.key, SIZE_MAX / 2); /* of texts that are in memory */
    err e = make(&m, out);
    strings_done(&m.node_keys);
    strings_done(&m.edge_keys);
    vec_done(&m.nodes);
    vec_done(&m.edges);
    buf_done(&m.key);
    return e;
}

/* ---- from rows -------------------------------------------------------------------------------------------------- */

static struct str first_text(const struct batch *b, uint32_t row, const char *const *names) {
    for (; *names; names++) {
        struct str text = batch_attribute_text(b, SET_ROWS, row, str_of(*names));
        if (text.n) return (struct str){text.p, MIN(text.n, (size_t)NAME_BYTES_MAX)};
    }
    return STR("");
}

/* As ingest/rollup names them for the map. */
static struct flow_peer peer_of(struct query *q, const struct batch *b, uint32_t row) {
    static const char *const systems[] = {"db.system.name", "db.system", NULL};
    static const char *const databases[] = {"db.namespace", "db.name", "server.address", "net.peer.name", NULL};
    static const char *const queues[] = {"messaging.destination.name", "messaging.destination", "messaging.system",
                                         NULL};
    static const char *const peers[] = {"server.address", "net.peer.name", "http.host", "rpc.service", NULL};
    struct str peer = first_text(b, row, (const char *const[]){"peer.service", NULL}),
               system = first_text(b, row, systems), queue = first_text(b, row, queues);
    if (system.n && !peer.n) {
        AUTO_BUF struct buf name;
        struct str database = first_text(b, row, databases);
        buf_init(&name, 4 * KIB);
        buf_add_str(&name, system);
        if (database.n) buf_add_byte(&name, ':');
        buf_add_str(&name, database);
        struct str copy = arena_copy(&q->arena, buf_str(&name));
        return (struct flow_peer){TOPOLOGY_DATABASE, copy.p ? copy : STR("")};
    }
    if (system.n) return (struct flow_peer){TOPOLOGY_DATABASE, peer};
    if (queue.n) return (struct flow_peer){TOPOLOGY_MESSAGING, peer.n ? peer : queue};
    return (struct flow_peer){TOPOLOGY_PEER, peer.n ? peer : first_text(b, row, peers)};
}

/* Links of spans of this id, as far as they lead to traces that are here; NULL: the arena is full. */
static struct flow_link *links_of(struct query *q, const struct query_correlation_answer *rows, const uint32_t *order,
                                  size_t *out_n) {
    const struct batch *b = &rows->spans;
    struct flow_link *links = arena_array(&q->arena, struct flow_link, (size_t)b->set_rows[SET_LINKS] + 1);
    struct strings traces; /* a trace's number is its place in the answer */
    size_t n = 0;
    strings_init(&traces);
    for (uint32_t i = 0; i < rows->trace_count; i++) strings_intern(&traces, str_span(rows->traces[i].trace_id, 16));
    for (uint32_t i = 0; links && i < rows->span_count; i++) {
        const struct query_correlated_row *of = &rows->span_rows[order[i]];
        uint32_t row = of->row, from = row ? batch_u32(b, SET_ROWS, FIELD_LINK_END, row - 1) : 0;
        for (uint32_t k = from; of->mine && k < batch_u32(b, SET_ROWS, FIELD_LINK_END, row); k++) {
            struct flow_link link = {.span = i, .span_id = batch_u64(b, SET_LINKS, FIELD_SPAN_ID, k)};
            struct str trace = str_span(batch_id16(b, SET_LINKS, FIELD_TRACE_ID, k), 16);
            if (strings_find(&traces, trace, &link.trace)) links[n++] = link;
        }
    }
    strings_done(&traces);
    *out_n = n;
    return links;
}

/* Rows by right times, where clocks are apart. `order`: of places, the row that stands there. NULL: the arena is full. */
static int by_time(const void *x, const void *y, void *rows) {
    uint32_t i = *(const uint32_t *)x, k = *(const uint32_t *)y;
    const struct query_id_row *a = (const struct query_id_row *)rows + i, *b = (const struct query_id_row *)rows + k;
    return a->time != b->time ? (a->time < b->time ? -1 : 1) : (i > k) - (i < k);
}

static const struct query_id_row *order_rows(struct arena *a, const struct correlation_details *of, uint32_t *order) {
    size_t n = of->rows.span_count;
    struct query_id_row *right = arena_array(a, struct query_id_row, n + 1),
                        *sorted = arena_array(a, struct query_id_row, n + 1);
    if (!right || !sorted) return NULL;
    for (uint32_t i = 0; i < n; i++) {
        order[i] = i;
        right[i] = of->rows.rows[i];
        right[i].time -= correlation_skew(of, i);
    }
    if (!of->skew) return of->rows.rows;
    if (n) qsort_r(order, n, sizeof *order, by_time, right);
    for (size_t i = 0; i < n; i++) sorted[i] = right[order[i]];
    return sorted;
}

err flow_read(struct query *q, const struct flow_request *r, const struct correlation_details *of, struct flow *out) {
    const struct query_correlation_answer *rows = &of->rows;
    bool *mine = arena_array(&q->arena, bool, rows->span_count + 1);
    struct flow_peer *peers = arena_array(&q->arena, struct flow_peer, rows->span_count + 1);
    uint32_t *order = arena_array(&q->arena, uint32_t, rows->span_count + 1);
    struct flow_input in = {.n = rows->span_count,
                            .mine = mine,
                            .peers = peers,
                            .texts = rows->texts,
                            .trace_count = (uint32_t)rows->trace_count};
    if (!mine || !peers || !order) return arena_err(&q->arena);
    in.rows = order_rows(&q->arena, of, order);
    if (!in.rows) return arena_err(&q->arena);
    for (size_t i = 0; i < rows->span_count; i++) {
        const struct query_correlated_row *row = &rows->span_rows[order[i]];
        uint8_t kind = in.rows[i].kind;
        mine[i] = row->mine;
        if (kind == KIND_CLIENT || kind == KIND_PRODUCER) peers[i] = peer_of(q, &rows->spans, row->row);
    }
    in.links = links_of(q, rows, order, &in.link_count);
    if (!in.links) return arena_err(&q->arena);
    TRY(flow_make(&q->arena, r, &in, out));
    return query_charge(q, 0);
}
