/* The map of services: who they are, who calls whom, and both as a graph with places, as JSON. */
#include "api/api_priv.h"
#include "insight/health.h"
#include "insight/topology.h"

static const char *const connection_names[] = {
    [ROLLUP_DIRECT] = "direct",
    [ROLLUP_TO_PEER] = "virtual_node",
    [ROLLUP_DATABASE] = "database",
    [ROLLUP_MESSAGING] = "messaging_system",
};

/* ---- edges ------------------------------------------------------------------------------------------------------ */

static void write_end(struct json_writer *w, const char *key, struct str service, struct str space) {
    json_key(w, str_of(key));
    json_object(w);
    json_member(w, "service", str, service);
    json_member(w, "namespace", str, space);
    json_object_end(w);
}

static void write_side(struct json_writer *w, const char *key, const struct query_span_stats *s) {
    json_key(w, str_of(key));
    write_duration(w, s);
}

static void write_edge(struct json_writer *w, const struct query_call_edge *e) {
    json_object(w);
    json_member(w, "environment", str, e->environment);
    write_end(w, "client", e->client, e->client_space);
    write_end(w, "server", e->server, e->server_space);
    json_member(w, "connection", text, connection_names[e->connection < LENGTH(connection_names) ? e->connection : 0]);
    json_member(w, "call_count", u64, e->calls);
    json_member(w, "error_count", u64, e->errors);
    json_member(w, "error_ratio", f64, e->calls ? (double)e->errors / (double)e->calls : 0);
    json_member(w, "error_status", text, health_of_errors(e->calls, e->errors));
    write_side(w, "client_duration", &e->as_client);
    write_side(w, "server_duration", &e->as_server);
    json_member(w, "last_seen", time, e->last_seen);
    json_object_end(w);
}

static err write_topology_edges(struct api_call *c, struct query *q, struct answer *a) {
    struct query_topology_answer found;
    int64_t start, end;
    TRY(call_range(c, true, &start, &end));
    TRY(query_topology(q, start, end, call_text(c, "environment"), call_text(c, "service"), &found));
    write_range(&a->w, found.time_min, found.time_max);
    json_key(&a->w, STR("edges"));
    json_array(&a->w);
    for (size_t i = 0; i < found.n; i++) {
        write_edge(&a->w, &found.edges[i]);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_member(&a->w, "other_count", u64, found.folded);
    return answer_settle(a);
}

void handle_topology_edges(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_topology_edges(c, &q, &a));
}

/* ---- the graph -------------------------------------------------------------------------------------------------- */

static void write_facts(struct json_writer *w, const struct query_service_facts *f) {
    json_key(w, STR("language"));
    if (f && f->language.n)
        json_str(w, f->language);
    else
        json_null(w);
    json_key(w, STR("versions"));
    json_array(w);
    for (uint32_t i = 0; f && i < f->version_count; i++) json_str(w, f->versions[i]);
    json_array_end(w);
    json_member(w, "versions_truncated", bool, f && f->versions_cut);
    json_member(w, "instance_count", u64, f ? f->instances : 0);
}

static void write_traffic(struct json_writer *w, const char *calls, const char *errors, uint64_t n, uint64_t failed) {
    json_key(w, str_of(calls));
    json_u64(w, n);
    json_key(w, str_of(errors));
    json_u64(w, failed);
}

static void write_node_fields(struct json_writer *w, const struct topology_node *n) {
    json_member(w, "kind", text, topology_kind_names[n->kind]);
    json_member(w, "environment", str, n->environment);
    json_member(w, "namespace", str, n->space);
    json_member(w, "name", str, n->name);
    write_facts(w, n->facts);
    write_span_stats(w, &n->spans);
    write_traffic(w, "calls_in", "errors_in", n->calls_in, n->errors_in);
    write_traffic(w, "calls_out", "errors_out", n->calls_out, n->errors_out);
    json_member(w, "error_status", text, topology_error_status(n));
    json_member(w, "last_seen", time, n->last_seen);
}

static void write_node(struct json_writer *w, const struct topology_node *n, bool focused) {
    json_object(w);
    write_node_fields(w, n);
    if (focused) json_member(w, "distance", u64, n->distance);
    json_member(w, "x", f64, (double)n->at.x);
    json_member(w, "y", f64, (double)n->at.y);
    json_object_end(w);
}

static void write_graph_edge(struct json_writer *w, const struct topology_edge *e) {
    json_object(w);
    json_member(w, "client", u64, e->client);
    json_member(w, "server", u64, e->server);
    json_member(w, "connection", text, connection_names[e->connection < LENGTH(connection_names) ? e->connection : 0]);
    json_member(w, "call_count", u64, e->calls);
    json_member(w, "error_count", u64, e->errors);
    json_member(w, "error_ratio", f64, e->calls ? (double)e->errors / (double)e->calls : 0);
    json_member(w, "error_status", text, health_of_errors(e->calls, e->errors));
    write_side(w, "client_duration", &e->as_client);
    write_side(w, "server_duration", &e->as_server);
    json_member(w, "last_seen", time, e->last_seen);
    write_bends(w, e->bends, e->bend_count);
    json_object_end(w);
}

static err read_graph(struct api_call *c, struct query *q, struct topology_request *r, struct topology *out) {
    TRY(call_range(c, true, &r->time_min, &r->time_max));
    r->environment = call_text(c, "environment");
    r->nodes_max = (uint32_t)call_number(c, "limit", 500);
    return topology_read(q, r, out);
}

static void write_graph_end(struct answer *a, const struct topology *t) {
    json_member(&a->w, "left_out", u64, t->left_out);
    json_member(&a->w, "other_count", u64, t->folded);
}

static err write_graph(struct api_call *c, struct query *q, struct answer *a) {
    struct topology_request r = {.focus = call_text(c, "focus"),
                                 .focus_space = call_text(c, "namespace"),
                                 .steps = (uint32_t)call_number(c, "steps", 2),
                                 .layout = true};
    struct topology t;
    TRY(read_graph(c, q, &r, &t));
    write_range(&a->w, t.time_min, t.time_max);
    json_key(&a->w, STR("nodes"));
    json_array(&a->w);
    for (uint32_t i = 0; i < t.n; i++) {
        write_node(&a->w, &t.nodes[i], r.focus.p != NULL);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_key(&a->w, STR("edges"));
    json_array(&a->w);
    for (size_t i = 0; i < t.edge_count; i++) {
        write_graph_edge(&a->w, &t.edges[i]);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    json_member(&a->w, "width", f64, (double)t.width);
    json_member(&a->w, "height", f64, (double)t.height);
    write_graph_end(a, &t);
    return answer_settle(a);
}

void handle_topology_graph(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_graph(c, &q, &a));
}

/* ---- services --------------------------------------------------------------------------------------------------- */

static err write_topology_services(struct api_call *c, struct query *q, struct answer *a) {
    struct topology_request r = {0};
    struct topology t;
    TRY(read_graph(c, q, &r, &t));
    write_range(&a->w, t.time_min, t.time_max);
    json_key(&a->w, STR("services"));
    json_array(&a->w);
    for (uint32_t i = 0; i < t.n; i++) {
        json_object(&a->w);
        write_node_fields(&a->w, &t.nodes[i]);
        json_object_end(&a->w);
        if (i % 64 == 63) TRY(answer_settle(a));
    }
    json_array_end(&a->w);
    write_graph_end(a, &t);
    return answer_settle(a);
}

void handle_topology_services(struct api_call *c) {
    struct query q;
    struct answer a;
    call_query_begin(c, &q);
    answer_begin(&a, &q);
    answer_end(c, &a, write_topology_services(c, &q, &a));
}
