/* The path of a request as a graph, from spans that a test writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/flow.h"

enum { MOST = 4000, INTERNAL = 1, SERVER = 2, CLIENT = 3, PRODUCER = 4, CONSUMER = 5 };
enum { GATEWAY, ORDER, PAY, MAIL, OP_A, OP_B, TEXTS };
static const struct str texts[TEXTS] = {
    {"gateway", sizeof "gateway" - 1}, {"order", sizeof "order" - 1}, {"pay", sizeof "pay" - 1},
    {"mail", sizeof "mail" - 1},       {"a", sizeof "a" - 1},         {"b", sizeof "b" - 1}};
static struct query_id_row rows[MOST];
static bool mine[MOST];
static struct flow_peer peers[MOST];
static struct flow_link links[8];
static struct flow_input in;
static struct arena a;
static struct flow f;

static void begin(void) {
    arena_init(&a, 64 * MIB);
    in = (struct flow_input){.rows = rows, .mine = mine, .peers = peers, .links = links, .texts = texts};
}

/* Spans come by time: span ids are their numbers, from 1 on. */
static struct query_id_row *add(uint32_t trace, uint64_t parent, uint32_t service, uint8_t kind, int64_t time,
                                int64_t duration) {
    assert_true(in.n < MOST);
    mine[in.n] = true;
    peers[in.n] = (struct flow_peer){0};
    rows[in.n] = (struct query_id_row){.time = time,
                                       .duration = duration,
                                       .span_id = in.n + 1,
                                       .parent_id = parent,
                                       .trace = trace,
                                       .service = service,
                                       .operation = OP_A,
                                       .kind = kind};
    in.trace_count = MAX(in.trace_count, trace + 1);
    return &rows[in.n++];
}

static void make(bool by_operation, uint32_t nodes_max) {
    struct flow_request r = {by_operation, nodes_max};
    err e = flow_make(&a, &r, &in, &f);
    if (e) fail_msg("%s", err_text(e));
}

static uint32_t find(const char *name) {
    for (uint32_t i = 0; i < f.n; i++)
        if (str_equal(f.nodes[i].service, str_of(name))) return i;
    fail_msg("no node %s", name);
    return 0;
}

static const struct flow_edge *edge(const char *from, const char *to) {
    uint32_t x = find(from), y = find(to);
    for (size_t i = 0; i < f.edge_count; i++)
        if (f.edges[i].from == x && f.edges[i].to == y) return &f.edges[i];
    fail_msg("no edge %s → %s", from, to);
    return NULL;
}

static void calls_are_counted_between_services(void **state) {
    (void)state;
    begin();
    add(0, 0, GATEWAY, SERVER, 100, 100);
    add(0, 1, GATEWAY, CLIENT, 110, 80);
    add(0, 2, ORDER, SERVER, 115, 70);
    add(0, 3, ORDER, INTERNAL, 116, 10);
    add(0, 3, ORDER, CLIENT, 120, 20);
    add(0, 5, PAY, SERVER, 125, 10)->failed = true;
    add(0, 3, ORDER, CLIENT, 150, 20);
    add(0, 7, PAY, SERVER, 155, 14);
    peers[4] = peers[6] = (struct flow_peer){TOPOLOGY_PEER, STR("pay:8080")}; /* it answered: no peer of its own */
    make(false, 10);
    assert_int_equal(f.n, 3);
    assert_int_equal(f.edge_count, 2);
    assert_int_equal(find("gateway"), 0); /* in order of their first span */
    assert_int_equal(find("pay"), 2);
    const struct flow_node *order = &f.nodes[find("order")], *pay = &f.nodes[find("pay")];
    assert_int_equal(order->spans, 4);
    assert_int_equal(order->calls, 1); /* its own children do not enter it */
    assert_int_equal(order->duration_max, 70);
    assert_int_equal(pay->calls, 2);
    assert_int_equal(pay->call_errors, 1);
    assert_int_equal(pay->duration_sum, 24);
    assert_int_equal(f.nodes[0].calls, 1); /* from outside */
    const struct flow_edge *e = edge("order", "pay");
    assert_int_equal(e->calls, 2);
    assert_int_equal(e->errors, 1);
    assert_int_equal(e->duration_max, 14);
    assert_int_equal(e->first_seen, 125);
    assert_int_equal(e->join, FLOW_CALL);
    assert_true(f.nodes[0].at.x < order->at.x && order->at.x < pay->at.x);
    arena_done(&a);
}

static void what_no_span_answered_is_a_peer(void **state) {
    (void)state;
    begin();
    add(0, 0, ORDER, SERVER, 100, 100);
    add(0, 1, ORDER, CLIENT, 110, 5);
    add(0, 1, ORDER, CLIENT, 120, 7)->failed = true;
    add(0, 1, ORDER, PRODUCER, 130, 1);
    add(0, 1, ORDER, INTERNAL, 140, 1);
    for (int i = 1; i < 5; i++)
        peers[i] =
            (struct flow_peer){i < 3 ? TOPOLOGY_DATABASE : TOPOLOGY_MESSAGING, i < 3 ? STR("redis") : STR("orders")};
    make(false, 10);
    assert_int_equal(f.n, 3);
    assert_int_equal(f.nodes[find("redis")].kind, TOPOLOGY_DATABASE);
    assert_int_equal(f.nodes[find("redis")].spans, 0);
    assert_int_equal(f.nodes[find("redis")].calls, 2);
    assert_int_equal(edge("order", "redis")->errors, 1);
    assert_int_equal(f.nodes[find("orders")].calls, 1); /* an internal span calls nobody */
    arena_done(&a);
}

static void operations_are_nodes_when_asked(void **state) {
    (void)state;
    begin();
    add(0, 0, ORDER, SERVER, 100, 100);
    add(0, 1, ORDER, INTERNAL, 110, 50)->operation = OP_B;
    add(0, 2, ORDER, INTERNAL, 120, 10);
    make(true, 10);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.edge_count, 2); /* there and back: a ring that can be drawn */
    assert_int_equal(f.nodes[0].calls, 2);
    make(false, 10);
    assert_int_equal(f.n, 1);
    assert_int_equal(f.edge_count, 0);
    assert_null(f.nodes[0].operation.p);
    arena_done(&a);
}

/* Another trace: joined by a link, by what ran when it began, by what was before it. */
static void traces_are_joined(void **state) {
    (void)state;
    begin();
    add(0, 0, GATEWAY, SERVER, 100, 100);
    add(0, 1, ORDER, SERVER, 110, 50);
    add(0, 2, PAY, SERVER, 120, 5);
    add(1, 0, MAIL, SERVER, 140, 500); /* while gateway and order ran: order's began last */
    make(false, 10);
    assert_int_equal(edge("order", "mail")->join, FLOW_SAME_ID);
    assert_int_equal(f.edge_count, 3);
    rows[3].time = 1000; /* after all: the one that began last */
    make(false, 10);
    assert_int_equal(edge("pay", "mail")->join, FLOW_SAME_ID);
    links[0] = (struct flow_link){.span = 3, .trace = 0, .span_id = 1};
    links[1] = (struct flow_link){.span = 3, .trace = 0, .span_id = 99}; /* not here */
    links[2] = (struct flow_link){.span = 0, .trace = 0, .span_id = 1};  /* to itself */
    in.link_count = 3;
    make(false, 10);
    assert_int_equal(edge("gateway", "mail")->join, FLOW_LINK);
    assert_int_equal(f.edge_count, 3);
    arena_done(&a);
}

/* A batch that serves many requests: one of them shows who called it, and nothing of the others. */
static void spans_of_other_ids_count_nowhere(void **state) {
    (void)state;
    begin();
    add(0, 0, GATEWAY, SERVER, 100, 100);
    add(0, 1, ORDER, SERVER, 110, 5);
    add(0, 1, PAY, SERVER, 120, 5);
    mine[0] = mine[2] = false;
    make(false, 10);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.nodes[find("gateway")].spans, 0);
    assert_int_equal(edge("gateway", "order")->calls, 1);
    arena_done(&a);
}

static void odd_trees_end(void **state) {
    (void)state;
    begin();
    add(0, 1, ORDER, SERVER, 100, INT64_MAX); /* its own parent */
    add(0, 3, PAY, SERVER, 110, INT64_MAX);   /* a ring of two */
    add(0, 2, MAIL, SERVER, 120, INT64_MAX);
    add(0, 77, GATEWAY, SERVER, INT64_MAX, INT64_MAX); /* a parent that never came */
    add(QUERY_NO_TRACE, 1, PAY, SERVER, INT64_MAX, 1); /* of no trace */
    rows[4].span_id = 0;
    make(false, 10);
    assert_int_equal(f.n, 4);
    assert_int_equal(edge("pay", "mail")->calls, 1);
    assert_int_equal(edge("mail", "pay")->calls, 1);
    assert_int_equal(f.nodes[find("mail")].duration_sum, INT64_MAX);
    arena_done(&a);
    begin();
    make(false, 10);
    assert_int_equal(f.n + f.edge_count, 0);
    arena_done(&a);
}

static void what_is_over_the_limit_is_counted(void **state) {
    (void)state;
    begin();
    for (uint32_t i = 0; i < MOST; i++) add(i % 500, 0, i % 4, SERVER, i, 10);
    make(false, 2);
    assert_int_equal(f.n, 2);
    assert_int_equal(f.left_out, MOST / 2);
    for (size_t i = 0; i < f.edge_count; i++) assert_true(f.edges[i].from < 2 && f.edges[i].to < 2);
    arena_done(&a);
    arena_init(&a, 8 * KIB);
    struct flow_request r = {false, 10};
    err e = flow_make(&a, &r, &in, &f);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    arena_done(&a);
}

/* The client gave up, or did not like the answer, of which the server knows nothing. */
static void a_call_failed_if_either_side_failed(void **state) {
    (void)state;
    for (int by_operation = 0; by_operation < 2; by_operation++) {
        begin();
        add(0, 0, GATEWAY, SERVER, 100, 100)->failed = true; /* no side of a call to order or pay */
        add(0, 1, GATEWAY, CLIENT, 110, 20)->failed = true;
        add(0, 2, ORDER, SERVER, 115, 10);
        add(0, 1, GATEWAY, CLIENT, 140, 20)->failed = true;
        add(0, 4, ORDER, SERVER, 145, 10)->failed = true;
        add(0, 1, GATEWAY, CLIENT, 170, 20);
        add(0, 6, ORDER, SERVER, 175, 10);
        add(0, 1, PAY, SERVER, 190, 5);
        make(by_operation, 100);
        const struct flow_edge *e = edge("gateway", "order");
        assert_int_equal(e->calls, 3);
        assert_int_equal(e->errors, 2);
        assert_int_equal(f.nodes[find("order")].call_errors, 2);
        assert_int_equal(f.nodes[find("order")].errors, 1);
        assert_int_equal(edge("gateway", "pay")->errors, 0);
        arena_done(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_are_counted_between_services),
        cmocka_unit_test(a_call_failed_if_either_side_failed),
        cmocka_unit_test(what_no_span_answered_is_a_peer),
        cmocka_unit_test(operations_are_nodes_when_asked),
        cmocka_unit_test(traces_are_joined),
        cmocka_unit_test(spans_of_other_ids_count_nowhere),
        cmocka_unit_test(odd_trees_end),
        cmocka_unit_test(what_is_over_the_limit_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
