/* Answers in pieces, over both versions of HTTP: order, bounds, ends, time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "base/budget.h"
#include "net/h2_priv.h"
#include "net/h2_wire_test_priv.h"

enum { HELD_MAX = 1000 };
static const int64_t second = 1000000000;
static const struct str get = STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

static struct http_request *asked;
static struct peer shared; /* too large for the stack */

static void handler(struct http_request *r) { asked = r; }

/* Begins from within the handler, with a first piece. */
static struct http_stream *begun;
static void begin_at_once(struct http_request *r) {
    begun = http_stream_begin(r, &(struct http_reply){.status = 200}, HELD_MAX);
    assert_int_equal(http_stream_write(begun, STR("first")), HTTP_STREAM_OK);
}

static const struct http_server_options later = {.handler = handler}, at_once = {.handler = begin_at_once};

static struct http_stream *begin_stream(void) {
    return http_stream_begin(asked, &(struct http_reply){.status = 200, .content_type = STR("text/event-stream")},
                             HELD_MAX);
}

static void expect_out(struct wire *w, const char *want) {
    wire_flush(w);
    buf_add_byte(&w->out, 0);
    const char *body = strstr(w->out.p, "\r\n\r\n");
    assert_string_equal(body ? body + 4 : w->out.p, want);
    w->out.n--;
}

static void done(struct wire *w) {
    wire_close(w);
    assert_int_equal(w->engine.live_requests, 0);
}

/* ---- HTTP/1.1 --------------------------------------------------------------------------------------------------- */

static void pieces_are_chunks_and_the_connection_goes_on(void **state) {
    (void)state;
    struct wire w;
    wire_open(&w, &later);
    wire_feed(&w, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\n\r\n"), SIZE_MAX);
    struct http_stream *s = begin_stream();
    expect_out(&w, "");
    assert_non_null(strstr(w.out.p, "Transfer-Encoding: chunked\r\n"));
    assert_null(strstr(w.out.p, "Content-Length"));
    assert_int_equal(http_stream_write(s, STR("one")), HTTP_STREAM_OK);
    expect_out(&w, "3\r\none\r\n");
    assert_int_equal(http_stream_write(s, STR("")), HTTP_STREAM_OK);
    assert_int_equal(http_stream_write(s, STR("two, and more")), HTTP_STREAM_OK);
    assert_int_equal(http_stream_write(s, STR("!")), HTTP_STREAM_OK);
    http_stream_end(s, NULL, 0);
    expect_out(&w, "3\r\none\r\nd\r\ntwo, and more\r\n1\r\n!\r\n0\r\n\r\n");
    buf_clear(&w.out);
    assert_true(str_equal(http_path(asked), STR("/next"))); /* what was pipelined */
    http_reply(asked, &(struct http_reply){.status = 200, .body = STR("ok")});
    expect_out(&w, "ok");
    done(&w);
}

static void a_stream_may_begin_inside_the_handler(void **state) {
    (void)state;
    struct wire w;
    wire_open(&w, &at_once);
    wire_feed(&w, get, 5);
    expect_out(&w, "5\r\nfirst\r\n");
    http_stream_end(begun, NULL, 0);
    expect_out(&w, "5\r\nfirst\r\n0\r\n\r\n");
    done(&w);
}

static void http_1_0_gets_it_as_it_is(void **state) {
    (void)state;
    struct wire w;
    wire_open(&w, &later);
    wire_feed(&w, STR("GET / HTTP/1.0\r\n\r\n"), SIZE_MAX);
    struct http_stream *s = begin_stream();
    http_stream_write(s, STR("one"));
    http_stream_write(s, STR("two"));
    expect_out(&w, "onetwo");
    assert_null(strstr(w.out.p, "chunked"));
    http_stream_end(s, NULL, 0);
    expect_out(&w, "onetwo");
    assert_int_equal(w.connection.state, CONNECTION_DEAD);
    done(&w);
}

static void head_is_told_the_head_alone(void **state) {
    (void)state;
    struct wire w;
    wire_open(&w, &later);
    wire_feed(&w, STR("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), SIZE_MAX);
    struct http_stream *s = begin_stream();
    assert_int_equal(http_stream_write(s, STR("one")), HTTP_STREAM_GONE);
    http_stream_end(s, NULL, 0);
    expect_out(&w, "");
    assert_int_equal(w.connection.state, CONNECTION_IDLE);
    done(&w);
}

static void a_slow_reader_is_held_to_its_bound(void **state) {
    (void)state;
    struct budget budget;
    struct wire w;
    char piece[100] = {0};
    budget_init(&budget, 3000);
    wire_open(&w, &(struct http_server_options){.handler = handler, .budget = &budget});
    wire_feed(&w, get, SIZE_MAX);
    struct http_stream *s = begin_stream();
    for (int i = 0; i < 10; i++) assert_int_equal(http_stream_write(s, str_span(piece, 100)), HTTP_STREAM_OK);
    assert_int_equal(http_stream_write(s, STR("x")), HTTP_STREAM_SLOW);
    assert_int_equal(http_stream_held(s), 1000);
    assert_int_equal(budget_used(&budget), 1000);
    wire_flush(&w); /* it reads */
    assert_int_equal(http_stream_held(s), 0);
    assert_int_equal(budget_used(&budget), 0);
    budget.limit_bytes = 10;
    assert_int_equal(http_stream_write(s, STR("over the budget")), HTTP_STREAM_SLOW);
    http_stream_write(s, STR("left here"));
    connection_close(&w.connection);
    http_stream_end(s, NULL, 0);
    assert_int_equal(budget_used(&budget), 0);
    done(&w);
}

static void who_went_away_is_gone(void **state) {
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct wire w;
        wire_open(&w, &later);
        wire_feed(&w, get, SIZE_MAX);
        if (way == 0) connection_close(&w.connection); /* before it began */
        struct http_stream *s = begin_stream();
        if (way != 1) wire_flush(&w);
        if (way == 1) connection_close(&w.connection);
        if (way == 2) wire_end(&w); /* it hung up its side */
        if (way == 3) atomic_store(&w.engine.draining, true);
        assert_true(http_stream_is_gone(s));
        assert_int_equal(http_stream_write(s, STR("x")), HTTP_STREAM_GONE);
        http_stream_end(s, NULL, 0);
        done(&w);
    }
}

static void silence_is_no_slowness(void **state) {
    (void)state;
    struct wire w;
    wire_open(&w, &later);
    wire_feed(&w, get, SIZE_MAX);
    struct http_stream *s = begin_stream();
    wire_flush(&w);
    wire_wait(&w, 10000 * second);
    assert_int_equal(http_stream_write(s, STR("still here")), HTTP_STREAM_OK);
    expect_out(&w, "a\r\nstill here\r\n");
    http_stream_end(s, NULL, 0);
    wire_flush(&w);
    done(&w);
}

static void who_reads_nothing_is_closed(void **state) {
    (void)state;
    struct wire w;
    wire_open(&w, &later);
    wire_feed(&w, get, SIZE_MAX);
    struct http_stream *s = begin_stream();
    connection_time_out(&w.connection, 59 * second);
    assert_false(http_stream_is_gone(s));
    connection_time_out(&w.connection, 61 * second); /* not even the head was read */
    assert_true(http_stream_is_gone(s));
    http_stream_end(s, NULL, 0);
    done(&w);
}

/* ---- HTTP/2 ----------------------------------------------------------------------------------------------------- */

static void pieces_are_data_and_trailers_follow(void **state) {
    (void)state;
    static const struct http_field trailers[] = {{STR("grpc-status"), STR("0")}};
    memset(&shared, 0, sizeof shared);
    peer_open(&shared, &later, 0, false);
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL), other;
    peer_pump(&shared, SIZE_MAX);
    struct http_stream *s = begin_stream();
    struct peer_answer *a = peer_answer(&shared, id);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(a->status, 200);
    http_stream_write(s, STR("one "));
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(a->body.n, 4);
    other = peer_ask(&shared, "GET", "/", NULL, NULL); /* beside it */
    peer_pump(&shared, SIZE_MAX);
    http_reply(asked, &(struct http_reply){.status = 204});
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, other)->status, 204);
    wire_wait(&shared.w, 10000 * second); /* silence is no slowness */
    http_stream_write(s, STR("two"));
    http_stream_end(s, trailers, 1);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(a->body.n, 7);
    assert_memory_equal(a->body.p, "one two", 7);
    assert_string_equal(a->trailers.p, "grpc-status: 0\n");
    assert_true(a->closed && a->code == 0);
    peer_close(&shared);
    assert_int_equal(shared.w.engine.live_requests, 0);
}

static void a_stream_of_h2_may_begin_inside_the_handler_and_end_without_a_piece(void **state) {
    (void)state;
    peer_open(&shared, &at_once, 0, false);
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    http_stream_end(begun, NULL, 0);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->body.n, 5);
    assert_true(peer_answer(&shared, id)->closed);
    peer_close(&shared);
    peer_open(&shared, &later, 0, false);
    id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    http_stream_end(begin_stream(), NULL, 0);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->status, 200);
    assert_true(peer_answer(&shared, id)->closed);
    peer_close(&shared);
    assert_int_equal(shared.w.engine.live_requests, 0);
}

static void a_reader_of_h2_without_a_window_is_slow_then_gone(void **state) {
    (void)state;
    char piece[500] = {0};
    peer_open(&shared, &later, 100, true);
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    struct http_stream *s = begin_stream();
    assert_int_equal(http_stream_write(s, str_span(piece, 500)), HTTP_STREAM_OK);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(http_stream_held(s), 400);
    assert_int_equal(http_stream_write(s, str_span(piece, 500)), HTTP_STREAM_OK);
    assert_int_equal(http_stream_write(s, str_span(piece, 500)), HTTP_STREAM_SLOW);
    wire_wait(&shared.w, 61 * second);
    peer_pump(&shared, SIZE_MAX);
    assert_true(peer_answer(&shared, id)->closed);
    assert_int_equal(http_stream_write(s, STR("x")), HTTP_STREAM_GONE);
    http_stream_end(s, NULL, 0);
    peer_close(&shared);
    assert_int_equal(shared.w.engine.live_requests, 0);
}

static void a_reset_stream_is_gone(void **state) {
    (void)state;
    peer_open(&shared, &later, 0, false);
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    struct http_stream *s = begin_stream();
    peer_pump(&shared, SIZE_MAX);
    nghttp2_submit_rst_stream(shared.session, 0, id, NGHTTP2_CANCEL);
    peer_pump(&shared, SIZE_MAX);
    assert_true(http_stream_is_gone(s));
    assert_int_equal(shared.w.connection.state, CONNECTION_IDLE);
    http_stream_end(s, NULL, 0);
    peer_close(&shared);
    assert_int_equal(shared.w.engine.live_requests, 0);
}

static void who_ends_its_side_of_h2_is_gone(void **state) {
    (void)state;
    for (int early = 0; early < 2; early++) {
        peer_open(&shared, &later, 0, false);
        peer_ask(&shared, "GET", "/", NULL, NULL);
        peer_pump(&shared, SIZE_MAX);
        if (early) wire_end(&shared.w);
        struct http_stream *s = begin_stream();
        peer_pump(&shared, SIZE_MAX);
        if (!early) wire_end(&shared.w);
        assert_true(http_stream_is_gone(s));
        assert_int_equal(shared.w.connection.state, CONNECTION_DEAD);
        http_stream_end(s, NULL, 0);
        peer_close(&shared);
        assert_int_equal(shared.w.engine.live_requests, 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_chunks_and_the_connection_goes_on),
        cmocka_unit_test(a_stream_may_begin_inside_the_handler),
        cmocka_unit_test(http_1_0_gets_it_as_it_is),
        cmocka_unit_test(head_is_told_the_head_alone),
        cmocka_unit_test(a_slow_reader_is_held_to_its_bound),
        cmocka_unit_test(who_went_away_is_gone),
        cmocka_unit_test(silence_is_no_slowness),
        cmocka_unit_test(who_reads_nothing_is_closed),
        cmocka_unit_test(pieces_are_data_and_trailers_follow),
        cmocka_unit_test(a_stream_of_h2_may_begin_inside_the_handler_and_end_without_a_piece),
        cmocka_unit_test(a_reader_of_h2_without_a_window_is_slow_then_gone),
        cmocka_unit_test(a_reset_stream_is_gone),
        cmocka_unit_test(who_ends_its_side_of_h2_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
