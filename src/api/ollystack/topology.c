/* The map of the last hour: /topology/services, /edges, /graph. Both of a graph's halves come from the same range, and an edge whose ends are not
 * both among the services is left out: the page's drawing throws at one. */
#include "api/ollystack/ollystack_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "query/rollups.h"

static const int64_t hour_ns = 3600 * (int64_t)1000000000;
enum { HOUR_S = 3600 };

struct node {
    struct str name;
    struct query_span_stats stats; /* quantiles: of the environment with most spans */
    uint64_t most;
};
struct edge {
    struct str source, target;
    struct query_span_stats stats; /* of the callee's spans */
    uint64_t calls, errors, most;
};
struct map {
    struct node *nodes; /* by name */
    size_t n;
    struct edge *edges; /* most calls first */
    size_t edge_n;
};

/* ---- figures ---------------------------------------------------------------------------------------------------- */

/* Services of one name in several environments and namespaces are one here. */
static void add_stats(struct query_span_stats *to, uint64_t *most, const struct query_span_stats *s) {
    if (s->spans > *most) {
        memcpy(to->quantiles, s->quantiles, sizeof to->quantiles);
        *most = s->spans;
    }
    to->spans += s->spans;
    to->errors += s->errors;
    to->duration_sum += s->duration_sum;
}

static int by_name(const void *x, const void *y) {
    return str_compare(((const struct node *)x)->name, ((const struct node *)y)->name);
}

static err add_nodes(struct olly *o, const struct query_service_spans_answer *found, struct map *m) {
    struct strings names;
    m->nodes = arena_array(&o->q.arena, struct node, found->n + 1);
    if (!m->nodes) return arena_err(&o->q.arena);
    strings_init(&names);
    for (size_t i = 0; i < found->n; i++) {
        struct node *n = &m->nodes[strings_intern(&names, found->services[i].service)];
        n->name = found->services[i].service;
        add_stats(&n->stats, &n->most, &found->services[i].stats);
    }
    m->n = names.n;
    strings_done(&names);
    qsort(m->nodes, m->n, sizeof *m->nodes, by_name);
    return NULL;
}

static bool is_node(const struct map *m, struct str name) {
    struct node key = {.name = name};
    return m->n && bsearch(&key, m->nodes, m->n, sizeof key, by_name);
}

static int most_first(const void *x, const void *y) {
    const struct edge *a = x, *b = y;
    if (a->calls != b->calls) return a->calls > b->calls ? -1 : 1;
    int order = str_compare(a->source, b->source);
    return order ? order : str_compare(a->target, b->target);
}

static err add_edges(struct olly *o, const struct query_topology_answer *found, struct map *m) {
    AUTO_BUF struct buf key;
    struct strings pairs;
    m->edges = arena_array(&o->q.arena, struct edge, found->n + 1);
    buf_init(&key, MIB);
    if (!m->edges) return arena_err(&o->q.arena);
    strings_init(&pairs);
    for (size_t i = 0; i < found->n; i++) {
        const struct query_call_edge *e = &found->edges[i];
        const struct query_span_stats *s = e->as_server.spans ? &e->as_server : &e->as_client;
        if (str_equal(e->client, e->server) || !is_node(m, e->client) || !is_node(m, e->server)) continue;
        buf_clear(&key);
        buf_add_str(&key, e->client);
        buf_add_byte(&key, 0);
        buf_add_str(&key, e->server);
        struct edge *to = &m->edges[strings_intern(&pairs, buf_str(&key))];
        to->source = e->client;
        to->target = e->server;
        to->calls += e->calls;
        to->errors += e->errors;
        add_stats(&to->stats, &to->most, s);
    }
    m->edge_n = pairs.n;
    strings_done(&pairs);
    qsort(m->edges, m->edge_n, sizeof *m->edges, most_first);
    return NULL;
}

static err read_map(struct olly *o, struct map *m) {
    struct query_service_spans_answer services;
    struct query_topology_answer edges;
    const struct str any = {NULL, 0};
    int64_t end = o->c->now_ns, start = end - hour_ns;
    TRY(query_service_spans(&o->q, start, end, any, &services));
    TRY(query_topology(&o->q, start, end, any, any, &edges));
    if (services.folded || edges.folded) olly_cut(o, "there are more services and calls than are told apart: _other");
    TRY(add_nodes(o, &services, m));
    return add_edges(o, &edges, m);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* The first of these words in a name says what it is. */
static const char *type_of(struct str name) {
    static const struct {
        const char *type, *words[8];
    } types[] = {{"database", {"postgres", "mysql", "redis", "clickhouse", "db", "database"}},
                 {"queue", {"kafka", "rabbitmq", "queue", "mq"}},
                 {"gateway", {"gateway", "ingress"}},
                 {"client", {"generator", "client", "traffic"}}};
    char lower[256];
    size_t n = MIN(name.n, sizeof lower);
    for (size_t i = 0; i < n; i++)
        lower[i] = (char)(name.p[i] >= 'A' && name.p[i] <= 'Z' ? name.p[i] | 0x20 : name.p[i]);
    for (size_t t = 0; t < LENGTH(types); t++)
        for (size_t k = 0; k < LENGTH(types[t].words) && types[t].words[k]; k++)
            if (str_contains((struct str){lower, n}, str_of(types[t].words[k]))) return types[t].type;
    return "service";
}

static void write_ms(struct json_writer *w, const char *key, double ns) {
    json_key(w, str_of(key));
    olly_f64_2(w, olly_ms(ns));
}

static double mean(const struct query_span_stats *s) {
    return s->spans ? (double)s->duration_sum / (double)s->spans : 0;
}

static void write_node(struct json_writer *w, const struct node *n) {
    const struct query_span_stats *s = &n->stats;
    json_object(w);
    json_member(w, "name", str, n->name);
    json_member(w, "type", text, type_of(n->name));
    write_ms(w, "avgLatency", mean(s));
    write_ms(w, "p50Latency", (double)s->quantiles[QUERY_P50]);
    write_ms(w, "p95Latency", (double)s->quantiles[QUERY_P95]);
    write_ms(w, "p99Latency", (double)s->quantiles[QUERY_P99]);
    json_key(w, STR("errorRate"));
    olly_f64_2(w, olly_percent(s->errors, s->spans));
    json_key(w, STR("requestRate"));
    olly_f64_2(w, (double)s->spans / HOUR_S);
    json_member(w, "totalSpans", u64, s->spans);
    json_object_end(w);
}

static void write_edge(struct json_writer *w, const struct edge *e) {
    json_object(w);
    json_member(w, "source", str, e->source);
    json_member(w, "target", str, e->target);
    json_member(w, "requestCount", u64, e->calls);
    json_key(w, STR("errorRate"));
    olly_f64_2(w, olly_percent(e->errors, e->calls));
    write_ms(w, "avgLatency", mean(&e->stats));
    write_ms(w, "p95Latency", (double)e->stats.quantiles[QUERY_P95]);
    json_object_end(w);
}

static err fill_services(struct olly *o) {
    struct query_services_answer found;
    struct str last = {NULL, 0};
    TRY(query_services(&o->q, 0, INT64_MAX, last, false, &found));
    json_key(o->w, STR("services"));
    json_array(o->w);
    for (size_t i = 0; i < found.n; i++) {
        if (!found.services[i].signals[SIGNAL_SPANS] || (last.p && str_equal(last, found.services[i].name))) continue;
        last = found.services[i].name;
        json_object(o->w);
        json_member(o->w, "name", str, last);
        json_object_end(o->w);
    }
    json_array_end(o->w);
    return NULL;
}
void handle_olly_services(struct api_call *c) { olly_answer(c, fill_services); }

static err fill_edges(struct olly *o) {
    struct map m;
    TRY(read_map(o, &m));
    json_key(o->w, STR("edges"));
    json_array(o->w);
    for (size_t i = 0; i < m.edge_n; i++) write_edge(o->w, &m.edges[i]);
    json_array_end(o->w);
    return NULL;
}
void handle_olly_edges(struct api_call *c) { olly_answer(c, fill_edges); }

static int by_ends(const void *x, const void *y) {
    const struct edge *a = x, *b = y;
    int order = str_compare(a->source, b->source);
    return order ? order : str_compare(a->target, b->target);
}

static err fill_graph(struct olly *o) {
    AUTO_BUF struct buf key;
    struct map m;
    buf_init(&key, MIB);
    TRY(read_map(o, &m));
    json_key(o->w, STR("edges"));
    json_object(o->w);
    qsort(m.edges, m.edge_n, sizeof *m.edges, by_ends);
    for (size_t i = 0; i < m.edge_n; i++) {
        buf_clear(&key);
        buf_add_fmt(&key, STR_FMT "->" STR_FMT, STR_ARG(m.edges[i].source), STR_ARG(m.edges[i].target));
        json_key(o->w, buf_str(&key));
        write_edge(o->w, &m.edges[i]);
    }
    json_object_end(o->w);
    json_key(o->w, STR("services"));
    json_object(o->w);
    for (size_t i = 0; i < m.n; i++) {
        json_key(o->w, m.nodes[i].name);
        write_node(o->w, &m.nodes[i]);
    }
    json_object_end(o->w);
    return NULL;
}
void handle_olly_graph(struct api_call *c) { olly_answer(c, fill_graph); }
