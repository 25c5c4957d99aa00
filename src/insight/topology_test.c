/* The map made of what rollups and resources tell. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/topology.h"

enum { EDGES_MAX = 600, SERVICES_MAX = 400 };

struct input {
    struct query_call_edge edges[EDGES_MAX];
    struct query_service_spans services[SERVICES_MAX];
    struct query_service_facts facts[SERVICES_MAX];
    struct topology_input in;
    struct arena a;
    struct topology t;
};

static struct input *blank(void) {
    struct input *x = calloc(1, sizeof *x);
    arena_init(&x->a, 64 * MIB);
    x->in.edges.edges = x->edges;
    x->in.spans.services = x->services;
    x->in.facts.services = x->facts;
    return x;
}

static void end(struct input *x) {
    arena_done(&x->a);
    free(x);
}

static struct query_span_stats spans(uint64_t n) { return (struct query_span_stats){.spans = n, .duration_sum = 10}; }

static void service(struct input *x, const char *environment, const char *name, uint64_t n) {
    assert_true(x->in.spans.n < SERVICES_MAX);
    x->services[x->in.spans.n++] = (struct query_service_spans){.environment = str_of(environment),
                                                                .space = STR(""),
                                                                .service = str_of(name),
                                                                .stats = spans(n),
                                                                .last_seen = 100};
}

/* Sides: c, s or cs. */
static void edge(struct input *x, const char *environment, const char *client, const char *server,
                 enum rollup_connection connection, const char *sides, uint64_t calls, uint64_t errors) {
    assert_true(x->in.edges.n < EDGES_MAX);
    x->edges[x->in.edges.n++] =
        (struct query_call_edge){.environment = str_of(environment),
                                 .client_space = STR(""),
                                 .client = str_of(client),
                                 .server_space = STR(""),
                                 .server = str_of(server),
                                 .connection = connection,
                                 .calls = calls,
                                 .errors = errors,
                                 .last_seen = 200,
                                 .as_client = spans(str_contains(str_of(sides), STR("c")) ? calls : 0),
                                 .as_server = spans(str_contains(str_of(sides), STR("s")) ? calls : 0)};
}

static void make(struct input *x, struct topology_request r) {
    if (!r.nodes_max) r.nodes_max = TOPOLOGY_NODES_MAX;
    if (!r.steps) r.steps = 2;
    err e = topology_make(&x->a, &r, &x->in, &x->t);
    if (e) fail_msg("%s", err_text(e));
}

static uint32_t at(const struct input *x, const char *name, enum topology_kind kind) {
    for (uint32_t i = 0; i < x->t.n; i++)
        if (str_equal(x->t.nodes[i].name, str_of(name)) && x->t.nodes[i].kind == kind) return i;
    fail_msg("no %s called %s", topology_kind_names[kind], name);
    return 0;
}

static const struct topology_edge *between(const struct input *x, uint32_t client, uint32_t server) {
    for (size_t i = 0; i < x->t.edge_count; i++)
        if (x->t.edges[i].client == client && x->t.edges[i].server == server) return &x->t.edges[i];
    fail_msg("no edge %u to %u", client, server);
    return NULL;
}

static struct input *shop(void) {
    struct input *x = blank();
    service(x, "prod", "gateway", 1000);
    service(x, "prod", "order", 800);
    service(x, "prod", "payment", 300);
    edge(x, "prod", "gateway", "order", ROLLUP_DIRECT, "cs", 400, 4);
    edge(x, "prod", "order", "payment", ROLLUP_DIRECT, "cs", 200, 10);
    edge(x, "prod", "order", "orders", ROLLUP_DATABASE, "c", 600, 0);
    edge(x, "prod", "order", "mails", ROLLUP_MESSAGING, "c", 50, 0);
    edge(x, "prod", "payment", "bank.example", ROLLUP_TO_PEER, "c", 200, 9);
    edge(x, "prod", "user", "gateway", ROLLUP_TO_PEER, "s", 500, 5);
    x->facts[x->in.facts.n++] = (struct query_service_facts){.environment = STR("prod"),
                                                             .space = STR(""),
                                                             .name = STR("order"),
                                                             .language = STR("go"),
                                                             .versions = {STR("1.0"), STR("1.1")},
                                                             .version_count = 2,
                                                             .instances = 3};
    x->facts[x->in.facts.n++] =
        (struct query_service_facts){.environment = STR("prod"), .space = STR(""), .name = STR("only-logs")};
    return x;
}

static void a_shop_is_a_map(void **state) {
    (void)state;
    struct input *x = shop();
    make(x, (struct topology_request){.layout = true});
    assert_int_equal(x->t.n, 7); /* not what sends only logs */
    assert_int_equal(x->t.edge_count, 6);
    const struct topology_node *order = &x->t.nodes[at(x, "order", TOPOLOGY_SERVICE)];
    assert_int_equal(order->calls_in, 400);
    assert_int_equal(order->errors_in, 4);
    assert_int_equal(order->calls_out, 850);
    assert_int_equal(order->errors_out, 10);
    assert_int_equal(order->spans.spans, 800);
    assert_int_equal(order->last_seen, 200);
    assert_int_equal(order->facts->instances, 3);
    assert_null(x->t.nodes[at(x, "payment", TOPOLOGY_SERVICE)].facts);
    assert_int_equal(x->t.nodes[at(x, "orders", TOPOLOGY_DATABASE)].spans.spans, 0);
    at(x, "mails", TOPOLOGY_MESSAGING);
    at(x, "bank.example", TOPOLOGY_PEER);
    at(x, "user", TOPOLOGY_PEER);
    for (size_t i = 0; i < x->t.edge_count; i++) {
        const struct topology_edge *e = &x->t.edges[i];
        assert_true(x->t.nodes[e->client].at.x < x->t.nodes[e->server].at.x);
        assert_true(i == 0 || e->calls <= e[-1].calls);
    }
    assert_true(x->t.width == 4);
    end(x);
}

/* A caller without a client span is a service all the same, though its own spans be gone; who only stands for a caller is none. */
static void a_caller_that_was_not_measured_is_a_service(void **state) {
    (void)state;
    struct input *x = blank();
    service(x, "prod", "b", 5);
    edge(x, "prod", "a", "b", ROLLUP_DIRECT, "s", 5, 1);
    edge(x, "prod", "user", "b", ROLLUP_TO_PEER, "s", 2, 0);
    make(x, (struct topology_request){0});
    assert_int_equal(x->t.n, 3);
    assert_int_equal(x->t.nodes[at(x, "a", TOPOLOGY_SERVICE)].calls_out, 5);
    assert_int_equal(x->t.nodes[at(x, "user", TOPOLOGY_PEER)].calls_out, 2);
    assert_int_equal(x->t.nodes[at(x, "b", TOPOLOGY_SERVICE)].calls_in, 7);
    end(x);
}

static void connections_of_a_pair_are_one_edge(void **state) {
    (void)state;
    struct input *x = blank();
    service(x, "prod", "a", 1);
    service(x, "prod", "b", 1);
    edge(x, "prod", "a", "b", ROLLUP_DIRECT, "cs", 7, 1);
    edge(x, "prod", "a", "b", ROLLUP_MESSAGING, "cs", 3, 2);
    edge(x, "prod", "b", "a", ROLLUP_DIRECT, "cs", 2, 0);
    edge(x, "prod", "a", "a", ROLLUP_DIRECT, "cs", 9, 9);
    make(x, (struct topology_request){.layout = true});
    assert_int_equal(x->t.n, 2);
    assert_int_equal(x->t.edge_count, 3);
    const struct topology_edge *e = between(x, 0, 1);
    assert_int_equal(e->calls, 10);
    assert_int_equal(e->errors, 3);
    assert_int_equal(e->connection, ROLLUP_MESSAGING);
    assert_int_equal(e->as_client.spans, 7);
    assert_int_equal(x->t.nodes[0].calls_in, 2); /* its calls to itself are an edge, and no traffic */
    assert_int_equal(between(x, 0, 0)->calls, 9);
    end(x);
}

static void a_database_may_be_called_as_a_service(void **state) {
    (void)state;
    struct input *x = blank();
    service(x, "prod", "a", 1);
    edge(x, "prod", "a", "redis", ROLLUP_DATABASE, "c", 5, 0);
    edge(x, "prod", "a", "cache", ROLLUP_DATABASE, "c", 5, 0);
    service(x, "prod", "redis", 4); /* it sends spans of its own: that is it */
    service(x, "stage", "cache", 4);
    make(x, (struct topology_request){0});
    assert_int_equal(x->t.n, 4);
    assert_int_equal(x->t.nodes[at(x, "redis", TOPOLOGY_SERVICE)].calls_in, 5);
    assert_int_equal(x->t.nodes[at(x, "cache", TOPOLOGY_DATABASE)].calls_in, 5);
    assert_int_equal(x->t.nodes[at(x, "cache", TOPOLOGY_SERVICE)].calls_in, 0);
    end(x);
}

static void environments_are_apart(void **state) {
    (void)state;
    struct input *x = blank();
    edge(x, "prod", "a", "b", ROLLUP_DIRECT, "cs", 5, 0);
    edge(x, "stage", "a", "b", ROLLUP_DIRECT, "cs", 6, 0);
    make(x, (struct topology_request){0});
    assert_int_equal(x->t.n, 4);
    assert_int_equal(x->t.edge_count, 2);
    end(x);
}

static void a_focus_shows_what_is_near(void **state) {
    (void)state;
    struct input *x = shop();
    make(x, (struct topology_request){.focus = STR("payment"), .steps = 1, .layout = true});
    assert_int_equal(x->t.n, 3);
    assert_int_equal(x->t.left_out, 4);
    assert_int_equal(x->t.edge_count, 2);
    assert_int_equal(x->t.nodes[at(x, "payment", TOPOLOGY_SERVICE)].distance, 0);
    assert_int_equal(x->t.nodes[at(x, "order", TOPOLOGY_SERVICE)].distance, 1);
    assert_int_equal(x->t.nodes[at(x, "order", TOPOLOGY_SERVICE)].calls_out, 850); /* of all, also of those not shown */
    make(x, (struct topology_request){.focus = STR("nobody"), .layout = true});
    assert_int_equal(x->t.n, 0);
    assert_int_equal(x->t.edge_count, 0);
    assert_int_equal(x->t.left_out, 7);
    make(x, (struct topology_request){.focus = STR("order"), .focus_space = STR("shop")});
    assert_int_equal(x->t.n, 0);
    make(x, (struct topology_request){.focus = STR("order"), .focus_space = STR("")});
    assert_int_equal(x->t.n, 7);
    end(x);
}

static struct input *many(uint32_t n) {
    static char names[SERVICES_MAX][16];
    struct input *x = blank();
    for (uint32_t i = 0; i < n; i++) {
        snprintf(names[i], sizeof names[i], "s%03u", i);
        service(x, "prod", names[i], 10);
    }
    for (uint32_t i = 1; i < n; i++)
        edge(x, "prod", names[(i * 7 + 3) % i], names[i], ROLLUP_DIRECT, "cs", 1 + i % 50, 0);
    return x;
}

static void the_busiest_are_kept(void **state) {
    (void)state;
    struct input *x = many(300);
    make(x, (struct topology_request){.nodes_max = 40, .layout = true});
    assert_int_equal(x->t.n, 40);
    assert_int_equal(x->t.left_out, 260);
    struct input *all = many(300);
    make(all, (struct topology_request){0});
    uint64_t least = UINT64_MAX, more = 0;
    for (uint32_t i = 0; i < 40; i++) least = MIN(least, x->t.nodes[i].calls_in + x->t.nodes[i].calls_out);
    for (uint32_t i = 0; i < 300; i++) more += all->t.nodes[i].calls_in + all->t.nodes[i].calls_out > least;
    assert_true(more <= 40);
    for (uint32_t i = 1; i < 40; i++) assert_true(str_compare(x->t.nodes[i - 1].name, x->t.nodes[i].name) < 0);
    end(x);
    end(all);
}

/* What is drawn depends on who is there, not on how much they do or in which order they are told. */
static void figures_move_nobody(void **state) {
    (void)state;
    struct input *x = many(120), *y = many(120);
    for (size_t i = 0; i < y->in.edges.n; i++) {
        y->edges[i].calls = 1000 - i;
        y->edges[i].last_seen = 7;
    }
    for (size_t i = 0; i < y->in.spans.n / 2; i++) {
        struct query_service_spans s = y->services[i];
        y->services[i] = y->services[y->in.spans.n - 1 - i];
        y->services[y->in.spans.n - 1 - i] = s;
    }
    make(x, (struct topology_request){.layout = true});
    make(y, (struct topology_request){.layout = true});
    for (uint32_t i = 0; i < 120; i++) {
        assert_true(str_equal(x->t.nodes[i].name, y->t.nodes[i].name));
        assert_true(x->t.nodes[i].at.x == y->t.nodes[i].at.x && x->t.nodes[i].at.y == y->t.nodes[i].at.y);
    }
    end(x);
    end(y);
}

static void nothing_is_a_map_of_nothing(void **state) {
    (void)state;
    struct input *x = blank();
    make(x, (struct topology_request){.layout = true});
    assert_int_equal(x->t.n, 0);
    assert_int_equal(x->t.edge_count, 0);
    end(x);
}

static void a_small_arena_ends_it(void **state) {
    (void)state;
    struct input *x = many(100);
    struct topology_request r = {.nodes_max = 50, .layout = true};
    size_t refused = 0;
    for (size_t bytes = 1 << 10; bytes < 16 << 20; bytes += bytes / 6) {
        struct arena a;
        arena_init(&a, bytes);
        err e = topology_make(&a, &r, &x->in, &x->t);
        assert_true(!e || err_kind(e) == ERR_LIMIT);
        refused += e != NULL;
        err_free(e);
        arena_done(&a);
    }
    assert_true(refused > 3);
    end(x);
}

/* Through whoever calls without spans everything would be near everything. */
static void a_neighbourhood_ends_at_pseudo_nodes(void **state) {
    (void)state;
    static const char *const far[] = {"other-0", "other-1", "other-2", "other-3"};
    struct input *x = shop();
    for (size_t i = 0; i < LENGTH(far); i++) {
        service(x, "prod", far[i], 10);
        edge(x, "prod", "user", far[i], ROLLUP_TO_PEER, "s", 5, 0);
        edge(x, "prod", far[i], "bank.example", ROLLUP_TO_PEER, "c", 5, 0);
    }
    service(x, "prod", "stock", 10);
    edge(x, "prod", "stock", "orders", ROLLUP_DATABASE, "c", 5, 0);
    make(x, (struct topology_request){.focus = STR("order"), .steps = 10});
    assert_int_equal(x->t.n, 8); /* the shop, and stock by the database that both use */
    at(x, "stock", TOPOLOGY_SERVICE);
    assert_int_equal(x->t.nodes[at(x, "user", TOPOLOGY_PEER)].distance, 2);
    make(x, (struct topology_request){.focus = STR("user"), .steps = 1});
    assert_int_equal(x->t.n, 2 + LENGTH(far)); /* it is asked for itself */
    end(x);
}

static void messages_go_by_way_of_their_destination(void **state) {
    (void)state;
    struct input *x = blank();
    service(x, "prod", "order", 100);
    service(x, "prod", "mail", 100);
    service(x, "prod", "audit", 100);
    edge(x, "prod", "order", "mails", ROLLUP_MESSAGING, "c", 100, 4);
    edge(x, "prod", "mails", "mail", ROLLUP_MESSAGING, "s", 95, 19);
    edge(x, "prod", "order", "mail", ROLLUP_MESSAGING, "cs", 90, 18); /* the same messages */
    edge(x, "prod", "order", "mail", ROLLUP_DIRECT, "cs", 10, 1);     /* no messages */
    edge(x, "prod", "order", "audit", ROLLUP_MESSAGING, "cs", 7, 0);  /* by a destination that nobody names */
    make(x, (struct topology_request){.layout = true});
    uint32_t order = at(x, "order", TOPOLOGY_SERVICE), mail = at(x, "mail", TOPOLOGY_SERVICE),
             mails = at(x, "mails", TOPOLOGY_MESSAGING), audit = at(x, "audit", TOPOLOGY_SERVICE);
    assert_int_equal(x->t.edge_count, 4);
    assert_int_equal(between(x, order, mail)->calls, 10);
    assert_int_equal(between(x, order, mail)->connection, ROLLUP_DIRECT);
    assert_int_equal(between(x, order, audit)->calls, 7);
    const struct topology_node *n = &x->t.nodes[mails];
    assert_int_equal(n->calls_in, 100);
    assert_int_equal(n->errors_in, 4);
    assert_int_equal(n->calls_out, 95);
    assert_int_equal(n->errors_out, 19);
    assert_string_equal(topology_error_status(n), "degraded"); /* by what is published to it */
    assert_int_equal(x->t.nodes[mail].calls_in, 95 + 10);      /* each once */
    assert_int_equal(x->t.nodes[order].calls_out, 100 + 10 + 7);
    assert_string_equal(topology_error_status(&x->t.nodes[mail]), "critical");
    end(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shop_is_a_map),
        cmocka_unit_test(messages_go_by_way_of_their_destination),
        cmocka_unit_test(a_neighbourhood_ends_at_pseudo_nodes),
        cmocka_unit_test(a_caller_that_was_not_measured_is_a_service),
        cmocka_unit_test(connections_of_a_pair_are_one_edge),
        cmocka_unit_test(a_database_may_be_called_as_a_service),
        cmocka_unit_test(environments_are_apart),
        cmocka_unit_test(a_focus_shows_what_is_near),
        cmocka_unit_test(the_busiest_are_kept),
        cmocka_unit_test(figures_move_nobody),
        cmocka_unit_test(nothing_is_a_map_of_nothing),
        cmocka_unit_test(a_small_arena_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
