/* Bodies in pieces: messages that are answered while more of them come, and clients that do it wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/budget.h"
#include "net/grpc.h"
#include "net/h2_priv.h"
#include "net/h2_wire_test_priv.h"

static const int64_t second = 1000000000;
static struct peer shared;

/* The receiver under test: takes whole gRPC messages, says each back. */
static struct {
    struct http_stream *stream;
    size_t calls, messages, waiting;
    enum http_input last;
    bool stopped; /* takes nothing */
    bool ended;
} seen;

static void end_stream(void) {
    const struct http_field ok = {STR("grpc-status"), STR("0")};
    http_stream_end(take(&seen.stream), &ok, 1);
    seen.ended = true;
}

static size_t echo(void *context, struct str bytes, enum http_input input) {
    size_t taken = 0, n;
    assert_ptr_equal(context, &seen);
    seen.calls++;
    seen.last = input;
    while (!seen.stopped && grpc_message_size((struct str){bytes.p + taken, bytes.n - taken}, &n) &&
           n <= bytes.n - taken) {
        if (http_stream_write(seen.stream, (struct str){bytes.p + taken, n}) != HTTP_STREAM_OK) break;
        taken += n;
        seen.messages++;
    }
    seen.waiting = bytes.n - taken;
    bool done = input == HTTP_INPUT_ENDED && !seen.stopped && seen.waiting < GRPC_PREFIX;
    if (done || input > HTTP_INPUT_ENDED) end_stream();
    return taken;
}

static bool takes_pieces(void *listener, const struct http_request *r) {
    (void)listener;
    return str_starts_with(http_path(r), STR("/pieces"));
}

static void handler(struct http_request *r) {
    if (str_equal(http_path(r), STR("/pieces"))) {
        assert_int_equal(http_body(r).n, 0);
        seen.stream = http_stream_begin(r, &(struct http_reply){.status = 200}, 1000);
        http_stream_receive(seen.stream, echo, &seen);
    } else {
        http_reply(r, &(struct http_reply){.status = 403, .body = STR("whole")});
    }
}

static const struct http_server_options options = {.handler = handler, .takes_pieces = takes_pieces};

/* A body that goes on as the test wants it. */
static struct feed {
    struct str left;
    bool end;
} feed;

static ssize_t feed_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *context) {
    (void)session, (void)id, (void)source, (void)context;
    n = MIN(n, feed.left.n);
    if (n) memcpy(out, feed.left.p, n);
    feed.left = (struct str){feed.left.p + n, feed.left.n - n};
    if (feed.left.n == 0 && feed.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return n || feed.end ? (ssize_t)n : NGHTTP2_ERR_DEFERRED;
}

static int32_t begin(const struct http_server_options *o, const char *path, uint32_t window, bool manual) {
    peer_open(&shared, o, window, manual);
    memset(&seen, 0, sizeof seen);
    feed = (struct feed){0};
    nghttp2_nv nv[] = {PEER_NV(":method", "POST"), PEER_NV(":path", path), PEER_NV(":scheme", "http"),
                       PEER_NV(":authority", "clew.example")};
    nghttp2_data_provider data = {.read_callback = feed_read};
    int32_t id = nghttp2_submit_request(shared.session, NULL, nv, LENGTH(nv), &data, NULL);
    peer_pump(&shared, SIZE_MAX);
    return id;
}

static void send(int32_t id, struct str bytes, bool end, size_t step) {
    feed = (struct feed){bytes, end};
    nghttp2_session_resume_data(shared.session, id);
    peer_pump(&shared, step);
}

static void finish(void) {
    peer_close(&shared);
    assert_int_equal(shared.w.engine.live_requests, 0);
    assert_null(seen.stream);
}

static void put_messages(struct buf *out, size_t n, size_t size) {
    static const char zeros[100000];
    for (size_t i = 0; i < n; i++) grpc_put_message(out, str_span(zeros, size), false);
}

static void each_message_is_answered_before_the_next_is_sent(void **state) {
    (void)state;
    int32_t id = begin(&options, "/pieces", 0, false);
    struct peer_answer *a = peer_answer(&shared, id);
    assert_int_equal(a->status, 200); /* before a byte of the body */
    send(id, STR("\0\0\0\0\2hi"), false, SIZE_MAX);
    assert_int_equal(a->body.n, 7);
    send(id, STR("\0\0\0"), false, SIZE_MAX);
    assert_int_equal(a->body.n, 7);
    send(id, STR("\0\3you"), false, SIZE_MAX);
    assert_memory_equal(a->body.p, "\0\0\0\0\2hi\0\0\0\0\3you", 15);
    assert_false(a->closed);
    send(id, STR(""), true, SIZE_MAX);
    assert_true(a->closed && a->code == 0);
    assert_string_equal(a->trailers.p, "grpc-status: 0\n");
    finish();
}

static void messages_may_be_cut_anywhere(void **state) {
    (void)state;
    AUTO_BUF struct buf messages;
    buf_init(&messages, MIB);
    put_messages(&messages, 20, 30);
    for (size_t step = 1; step < 60; step++) {
        int32_t id = begin(&options, "/pieces", 0, false);
        send(id, buf_str(&messages), true, step);
        assert_int_equal(seen.messages, 20);
        assert_int_equal(peer_answer(&shared, id)->body.n, messages.n);
        assert_true(seen.ended && peer_answer(&shared, id)->closed);
        finish();
    }
}

static void an_end_may_come_with_the_head_or_amid_a_message(void **state) {
    (void)state;
    peer_open(&shared, &options, 0, false);
    memset(&seen, 0, sizeof seen);
    int32_t id = peer_ask(&shared, "POST", "/pieces", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_true(seen.ended && peer_answer(&shared, id)->closed);
    finish();
    id = begin(&options, "/pieces", 0, false);
    send(id, STR("\0\0\0"), true, SIZE_MAX);
    assert_true(seen.ended && seen.waiting == 3 && peer_answer(&shared, id)->closed);
    finish();
}

static void what_is_not_taken_is_bounded_and_hurts_no_neighbour(void **state) {
    (void)state;
    AUTO_BUF struct buf messages;
    struct budget budget;
    buf_init(&messages, 16 * MIB);
    put_messages(&messages, 8000, 500);
    budget_init(&budget, 8 * MIB);
    struct http_server_options o = options;
    o.budget = &budget;
    int32_t id = begin(&o, "/pieces", 0, false);
    seen.stopped = true;
    send(id, buf_str(&messages), true, SIZE_MAX);
    assert_int_equal(seen.waiting, H2_STREAM_WINDOW);
    assert_true(budget_used(&budget) >= H2_STREAM_WINDOW && budget_used(&budget) < 3 * MIB);
    for (int i = 0; i < 10; i++) { /* the connection's window is not shut by it */
        struct str body = {messages.p, 600 * KIB};
        int32_t other = peer_ask(&shared, "POST", "/", NULL, &body);
        peer_pump(&shared, SIZE_MAX);
        assert_int_equal(peer_answer(&shared, other)->status, 403);
    }
    seen.stopped = false;
    wire_wait(&shared.w, second);
    int32_t last = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, last)->status, 403);
    assert_int_equal(seen.messages, 0); /* nothing moved that it would be told of */
    wire_wait(&shared.w, 80 * second);
    assert_int_equal(seen.last, HTTP_INPUT_LATE);
    peer_pump(&shared, SIZE_MAX);
    assert_true(peer_answer(&shared, id)->closed);
    finish();
    assert_int_equal(budget_used(&budget), 0);
}

/* 505 bytes a message, 1,000 may wait, the window is 2,000: it goes on as room comes. */
static void a_receiver_hears_when_there_is_room(void **state) {
    (void)state;
    AUTO_BUF struct buf messages;
    buf_init(&messages, MIB);
    put_messages(&messages, 100, 500);
    int32_t id = begin(&options, "/pieces", 2000, true);
    send(id, buf_str(&messages), true, SIZE_MAX);
    assert_in_range(seen.messages, 4, 7);
    assert_int_equal(seen.last, HTTP_INPUT_ENDED);
    for (int i = 0; i < 200 && !seen.ended; i++) {
        nghttp2_session_consume(shared.session, id, 500);
        peer_pump(&shared, SIZE_MAX);
    }
    assert_int_equal(seen.messages, 100);
    nghttp2_session_consume(shared.session, id, 10000);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->body.n, messages.n);
    assert_true(peer_answer(&shared, id)->closed);
    finish();
}

static void who_never_ends_is_ended(void **state) {
    (void)state;
    int32_t id = begin(&options, "/pieces", 0, false);
    for (int i = 0; i < 3; i++) { /* whole messages keep it open */
        wire_wait(&shared.w, 70 * second);
        send(id, STR("\0\0\0\0\2hi"), false, SIZE_MAX);
    }
    assert_false(seen.ended);
    wire_wait(&shared.w, 70 * second);
    send(id, STR("\0"), false, SIZE_MAX); /* a byte does not */
    wire_wait(&shared.w, 6 * second);
    assert_int_equal(seen.last, HTTP_INPUT_LATE);
    peer_pump(&shared, SIZE_MAX);
    assert_true(peer_answer(&shared, id)->closed);
    finish();
}

static void who_goes_is_heard_of(void **state) {
    (void)state;
    for (int way = 0; way < 4; way++) {
        int32_t id = begin(&options, "/pieces", 0, false);
        send(id, STR("\0\0\0\0\2hi\0"), false, SIZE_MAX);
        if (way == 0) nghttp2_submit_rst_stream(shared.session, 0, id, NGHTTP2_CANCEL);
        if (way == 1) wire_end(&shared.w);
        if (way == 2) connection_close(&shared.w.connection);
        if (way < 2) peer_pump(&shared, SIZE_MAX);
        if (way == 3) {
            wire_enter(&shared.w);
            connection_drain(&shared.w.connection, shared.w.now_ns);
            wire_leave(&shared.w);
            peer_pump(&shared, SIZE_MAX);
            assert_true(peer_answer(&shared, id)->closed);
        }
        assert_int_equal(seen.last, way == 3 ? HTTP_INPUT_BUSY : HTTP_INPUT_GONE);
        assert_true(seen.ended);
        finish();
    }
}

static void over_the_budget_it_ends(void **state) {
    (void)state;
    AUTO_BUF struct buf bytes;
    struct budget budget;
    buf_init(&bytes, 2 * MIB);
    put_messages(&bytes, 10, 100000);
    budget_init(&budget, 400 * KIB);
    struct http_server_options o = options;
    o.budget = &budget;
    int32_t id = begin(&o, "/pieces", 0, false);
    seen.stopped = true;
    send(id, buf_str(&bytes), true, SIZE_MAX);
    assert_int_equal(seen.last, HTTP_INPUT_BUSY);
    assert_true(peer_answer(&shared, id)->closed);
    finish();
    assert_int_equal(budget_used(&budget), 0);
}

static void a_handler_may_refuse_it_at_once(void **state) {
    (void)state;
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, 2 * MIB);
    put_messages(&bytes, 20, 100000);
    int32_t id = begin(&options, "/pieces/refused", 0, false);
    assert_int_equal(peer_answer(&shared, id)->status, 403);
    send(id, buf_str(&bytes), true, SIZE_MAX);
    assert_true(peer_answer(&shared, id)->closed);
    assert_int_equal(peer_answer(&shared, id)->code, 0); /* told, not broken off */
    finish();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_message_is_answered_before_the_next_is_sent),
        cmocka_unit_test(messages_may_be_cut_anywhere),
        cmocka_unit_test(an_end_may_come_with_the_head_or_amid_a_message),
        cmocka_unit_test(what_is_not_taken_is_bounded_and_hurts_no_neighbour),
        cmocka_unit_test(a_receiver_hears_when_there_is_room),
        cmocka_unit_test(who_never_ends_is_ended),
        cmocka_unit_test(who_goes_is_heard_of),
        cmocka_unit_test(over_the_budget_it_ends),
        cmocka_unit_test(a_handler_may_refuse_it_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
