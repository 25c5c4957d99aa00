/* Summaries of requests from rows that a test writes; and whole ones over a store that has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/correlation.h"

enum { MOST = 64, CART = 0, WEB = 1 };
static const struct str texts[] = {{"cart", sizeof "cart" - 1},
                                   {"web", sizeof "web" - 1},
                                   {"GET /", sizeof "GET /" - 1},
                                   {"POST /", sizeof "POST /" - 1}};
static const struct str ids[] = {{"a", sizeof "a" - 1}, {"b", sizeof "b" - 1}, {"c", sizeof "c" - 1}};
static const unsigned char traces[3][16] = {{1}, {2}, {3}};
static struct query_id_row rows[MOST];
static struct query_correlations_answer in;
static struct correlations_request request;
static struct arena a;
static struct correlations out;

static void begin(void) {
    arena_init(&a, 16 * MIB);
    request = (struct correlations_request){.limit = 10};
    in = (struct query_correlations_answer){
        .rows = rows, .ids = ids, .id_count = 3, .texts = texts, .text_count = 4, .traces = traces, .trace_count = 3};
}

static struct query_id_row *add(uint32_t id, enum signal signal, uint32_t trace, uint32_t service, int64_t time,
                                int64_t duration) {
    assert_true(in.n < MOST);
    rows[in.n] = (struct query_id_row){.time = time,
                                       .duration = duration,
                                       .span_id = in.n + 1,
                                       .parent_id = 99,
                                       .trace = trace,
                                       .id = id,
                                       .service = service,
                                       .operation = 2,
                                       .signal = (uint8_t)signal};
    return &rows[in.n++];
}

static void make(void) {
    err e = correlations_make(&a, &request, &in, &out);
    if (e) fail_msg("%s", err_text(e));
}

static void rows_are_summed_up(void **state) {
    (void)state;
    begin();
    add(0, SIGNAL_LOGS, QUERY_NO_TRACE, CART, 50, 0);
    add(0, SIGNAL_SPANS, 0, CART, 100, 500)->failed = true;
    struct query_id_row *root = add(0, SIGNAL_SPANS, 1, WEB, 110, 20);
    root->parent_id = 0;
    root->operation = 3;
    add(0, SIGNAL_SPANS, 0, CART, 120, 1);
    add(0, SIGNAL_LOGS, 1, WEB, 130, 0);
    add(1, SIGNAL_LOGS, 2, WEB, 200, 0);
    make();
    assert_int_equal(out.n, 2);
    assert_int_equal(out.found, 2);
    const struct correlation *log = &out.correlations[0], *c = &out.correlations[1]; /* the newest first */
    assert_true(str_equal(log->id, STR("b")));
    assert_true(str_equal(log->root_service, STR("web")));
    assert_int_equal(log->root_operation.n, 0);
    assert_int_equal(log->spans, 0);
    assert_int_equal(log->longest, 0);
    assert_true(str_equal(c->id, STR("a")));
    assert_int_equal(c->first_seen, 50);
    assert_int_equal(c->last_seen, 600); /* the end of what ended last, not of what began last */
    assert_int_equal(c->spans, 3);
    assert_int_equal(c->logs, 2);
    assert_int_equal(c->errors, 1);
    assert_int_equal(c->traces, 2); /* 0, 1 and 0 again */
    assert_int_equal(c->longest, 500);
    assert_int_equal(c->service_count, 2);
    assert_true(str_equal(c->services[0], STR("cart")));
    assert_true(str_equal(c->root_service, STR("web")));
    assert_true(str_equal(c->root_operation, STR("POST /")));
    assert_memory_equal(c->root_trace_id, traces[1], 16);
    arena_done(&a);
}

static void filters_are_of_the_whole(void **state) {
    (void)state;
    begin();
    add(0, SIGNAL_SPANS, 0, CART, 100, 50)->failed = true;
    add(1, SIGNAL_SPANS, 1, WEB, 100, 60);
    add(1, SIGNAL_LOGS, 1, CART, 110, 0);
    add(2, SIGNAL_SPANS, 2, WEB, 90, 10);
    make();
    assert_int_equal(out.n, 3);
    assert_true(str_equal(out.correlations[0].id, STR("a"))); /* of one time by the text */
    request.failed = true;
    make();
    assert_int_equal(out.n, 1);
    request.failed = false;
    request.service = STR("cart");
    make();
    assert_int_equal(out.n, 2);
    request.duration_min = 60;
    make();
    assert_int_equal(out.n, 1);
    assert_true(str_equal(out.correlations[0].id, STR("b")));
    request = (struct correlations_request){.limit = 1};
    static const char *const pages[] = {"a", "b", "c"};
    char cursor[CORRELATIONS_CURSOR_MAX] = "";
    for (size_t i = 0; i < LENGTH(pages); i++) { /* of two with one time each comes once */
        request.cursor = str_of(cursor);
        make();
        assert_int_equal(out.n, 1);
        assert_int_equal(out.found, 3);
        assert_true(str_equal(out.correlations[0].id, str_of(pages[i])));
        memcpy(cursor, out.next_cursor, sizeof cursor);
        assert_int_equal(*cursor == 0, i == 2);
    }
    static const char *const bad[] = {"x", "00", "0000000000000000000000000000000g"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        request.cursor = str_of(bad[i]);
        err e = correlations_make(&a, &request, &in, &out);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
    request.cursor = STR("");
    in.n = 0;
    make();
    assert_int_equal(out.n, 0);
    arena_done(&a);
}

static void times_at_their_ends_are_summed_up(void **state) {
    (void)state;
    begin();
    add(0, SIGNAL_SPANS, 0, CART, INT64_MAX - 5, INT64_MAX);
    add(0, SIGNAL_SPANS, 0, CART, 0, 1);
    make();
    assert_int_equal(out.correlations[0].last_seen, INT64_MAX);
    assert_int_equal(out.correlations[0].first_seen, 0);
    arena_done(&a);
    arena_init(&a, 1);
    err e = correlations_make(&a, &request, &in, &out);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    arena_done(&a);
}

static struct query_id_row *add_span(uint32_t trace, uint64_t id, uint64_t parent, uint8_t kind, uint32_t service,
                                     int64_t time, int64_t duration) {
    struct query_id_row *row = add(0, SIGNAL_SPANS, trace, service, time, duration);
    row->span_id = id;
    row->parent_id = parent;
    row->kind = kind;
    return row;
}

/* Two ids, each of a trace whose cart is `hour` ahead; in the second the span that calls is of no id that is listed. */
static void add_apart(bool *apart) {
    const int64_t ms = 1000000, hour = 3600000 * ms;
    begin();
    in.apart = memset(apart, true, 2);
    add_span(0, 1, 0, 3, WEB, 1000 * ms, 100 * ms);
    add_span(0, 2, 1, 2, CART, hour + 1010 * ms, 80 * ms);
    add(0, SIGNAL_LOGS, 0, CART, hour + 1020 * ms, 0);
    add_span(1, 2, 1, 2, CART, hour + 510 * ms, 80 * ms)->id = 1;
    add_span(1, 1, 0, 3, WEB, 500 * ms, 100 * ms);
    in.n_all = in.n--;
}

static void a_list_is_by_right_times(void **state) {
    (void)state;
    const int64_t ms = 1000000;
    bool apart[3] = {false};
    add_apart(apart);
    assert_null(correlations_correct(&a, &in, CORRELATIONS_MENDED_MAX));
    make();
    assert_int_equal(out.n, 2);
    const struct correlation *first = &out.correlations[0], *second = &out.correlations[1];
    assert_true(str_equal(first->id, STR("a")) && str_equal(second->id, STR("b")));
    assert_int_equal(first->first_seen, 1000 * ms);
    assert_int_equal(first->last_seen, 1100 * ms);
    assert_int_equal(second->first_seen, 510 * ms);
    assert_int_equal(second->last_seen, 590 * ms);
    assert_false(first->clock_skew || second->clock_skew);
    arena_done(&a);
}

static void where_there_is_no_room_ids_say_so(void **state) {
    (void)state;
    const int64_t ms = 1000000, hour = 3600000 * ms;
    bool apart[3] = {false};
    add_apart(apart);
    assert_null(correlations_correct(&a, &in, 4)); /* of the newest trace there are 3 rows */
    make();
    assert_true(str_equal(out.correlations[0].id, STR("b")));
    assert_true(out.correlations[0].clock_skew);
    assert_int_equal(out.correlations[0].first_seen, hour + 510 * ms);
    assert_false(out.correlations[1].clock_skew);
    assert_int_equal(out.correlations[1].last_seen, 1100 * ms);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_summed_up),
        cmocka_unit_test(filters_are_of_the_whole),
        cmocka_unit_test(times_at_their_ends_are_summed_up),
        cmocka_unit_test(a_list_is_by_right_times),
        cmocka_unit_test(where_there_is_no_room_ids_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
