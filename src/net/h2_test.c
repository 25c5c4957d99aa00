/* HTTP/2 as bytes in, bytes out: streams, limits, windows, floods, time. No sockets; nghttp2 is the client. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/text.h"
#include "base/budget.h"
#include "net/h2_priv.h"
#include "net/h2_wire_test_priv.h"

enum { HELD_MAX = 1024 };
static const int64_t second = 1000000000;

static struct {
    int requests;
    struct buf text; /* "METHOD path?query host=… cookie=…" of the last */
    struct buf body;
    struct str answer; /* instead of the body */
    bool hold;
    struct http_request *held[HELD_MAX];
    size_t held_n;
} seen;

static void answer(struct http_request *r) {
    http_reply(r, &(struct http_reply){.status = 200,
                                       .content_type = STR("text/plain"),
                                       .body = seen.answer.p ? seen.answer : http_body(r)});
}

static void handler(struct http_request *r) {
    seen.requests++;
    buf_clear(&seen.text);
    buf_add_fmt(&seen.text, STR_FMT " " STR_FMT "?" STR_FMT " host=" STR_FMT " cookie=" STR_FMT,
                STR_ARG(http_method_text(r)), STR_ARG(http_path(r)), STR_ARG(http_query(r)),
                STR_ARG(http_field(r, STR("Host"))), STR_ARG(http_field(r, STR("Cookie"))));
    if (!seen.hold)
        answer(r);
    else
        seen.held[seen.held_n++] = r;
}

static const struct http_server_options standard = {.handler = handler, .body_max = 1000};

static void begin(void) {
    buf_done(&seen.text);
    memset(&seen, 0, sizeof seen);
    buf_init(&seen.text, MIB);
}

static int end(void **state) {
    (void)state;
    buf_done(&seen.text);
    return 0;
}

static void open_peer(struct peer *p, const struct http_server_options *o) {
    begin();
    peer_open(p, o, 0, false);
}

static void close_peer(struct peer *p) {
    peer_close(p);
    assert_int_equal(p->w.engine.live_requests, 0);
}

static struct peer shared; /* too large for the stack */

/* ---- requests --------------------------------------------------------------------------------------------------- */

static void a_request_is_answered_however_it_is_cut(void **state) {
    (void)state;
    const char *const fields[] = {"x-y", "z", "cookie", "a=1", "cookie", "b=2", NULL};
    static const size_t steps[] = {SIZE_MAX, 1, 2, 3, 5, 7, 9, 24, 25, 60};
    for (size_t i = 0; i < LENGTH(steps); i++) {
        struct str body = STR("hello, this is a body");
        open_peer(&shared, &standard);
        int32_t id = peer_ask(&shared, "POST", "/a%20b?c=d", fields, &body);
        peer_pump(&shared, steps[i]);
        struct peer_answer *a = peer_answer(&shared, id);
        assert_int_equal(a->status, 200);
        assert_string_equal(seen.text.p, "POST /a b?c=d host=clew.example cookie=a=1; b=2");
        assert_string_equal(a->body.p, "hello, this is a body");
        assert_string_equal(a->head.p, "content-type: text/plain\ncontent-length: 21\n");
        assert_true(a->closed && a->code == 0 && !a->reset);
        close_peer(&shared);
    }
}

static void h2_that_was_agreed_upon_needs_no_guess(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    connection_use_h2(&shared.w.connection, 0);
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, 1);
    assert_int_equal(peer_answer(&shared, id)->status, 200);
    close_peer(&shared);
    open_peer(&shared, &standard);
    connection_use_h2(&shared.w.connection, 0);
    wire_feed(&shared.w, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), SIZE_MAX); /* not what was agreed upon */
    assert_int_equal(seen.requests, 0);
    assert_int_equal(shared.w.connection.state, CONNECTION_DEAD);
    close_peer(&shared);
}

static void what_only_begins_like_the_preface_is_http_1(void **state) {
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {{"PUT / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200"},
                 {"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "HTTP/1.1 505"},
                 {"PRI * HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 400"},
                 {"PR", "HTTP/1.1 400"}};
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (size_t step = 1; step < 30; step++) {
            open_peer(&shared, &standard);
            wire_feed(&shared.w, str_of(cases[i].text), step);
            wire_end(&shared.w);
            if (!str_starts_with(buf_str(&shared.w.out), str_of(cases[i].want)))
                fail_msg("%s: %.*s", cases[i].text, (int)shared.w.out.n, shared.w.out.p);
            close_peer(&shared);
        }
}

static void streams_are_answered_in_any_order_and_later(void **state) {
    (void)state;
    int32_t ids[100];
    struct str bodies[100];
    char texts[100][8];
    open_peer(&shared, &standard);
    seen.hold = true;
    for (int i = 0; i < 100; i++) {
        snprintf(texts[i], sizeof texts[i], "n%d", i);
        bodies[i] = str_of(texts[i]);
        ids[i] = peer_ask(&shared, "POST", "/", NULL, &bodies[i]);
    }
    peer_pump(&shared, 11);
    assert_int_equal(seen.held_n, 100);
    for (size_t i = 0; i < 100; i++) answer(seen.held[i * 37 % 100]);
    peer_pump(&shared, SIZE_MAX);
    for (int i = 0; i < 100; i++) assert_string_equal(peer_answer(&shared, ids[i])->body.p, texts[i]);
    assert_int_equal(shared.w.connection.state, CONNECTION_IDLE);
    close_peer(&shared);
}

static void replies_without_a_body_have_none(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    seen.answer = STR("four");
    int32_t head = peer_ask(&shared, "HEAD", "/", NULL, NULL), empty;
    peer_pump(&shared, SIZE_MAX);
    seen.answer = STR("");
    empty = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_non_null(strstr(peer_answer(&shared, head)->head.p, "content-length: 4\n"));
    assert_int_equal(peer_answer(&shared, head)->body.n, 0);
    assert_non_null(strstr(peer_answer(&shared, empty)->head.p, "content-length: 0\n"));
    assert_true(peer_answer(&shared, empty)->closed);
    close_peer(&shared);
}

static void trailers_follow_the_body(void **state) {
    (void)state;
    static const struct http_field trailers[] = {{STR("grpc-status"), STR("0")}, {STR("x-sum"), STR("17")}};
    open_peer(&shared, &standard);
    seen.hold = true;
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    http_reply(seen.held[0],
               &(struct http_reply){
                   .status = 200, .body = STR("body"), .trailers = trailers, .trailer_count = LENGTH(trailers)});
    peer_pump(&shared, SIZE_MAX);
    struct peer_answer *a = peer_answer(&shared, id);
    assert_string_equal(a->body.p, "body");
    assert_string_equal(a->trailers.p, "grpc-status: 0\nx-sum: 17\n");
    assert_null(a->head.p);
    assert_true(a->closed);
    close_peer(&shared);
}

static void the_client_that_expects_100_gets_it(void **state) {
    (void)state;
    const char *const fields[] = {"expect", "100-continue", NULL};
    struct str body = STR("x");
    open_peer(&shared, &standard);
    int32_t id = peer_ask(&shared, "POST", "/", fields, &body);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(shared.continues, 1);
    assert_int_equal(peer_answer(&shared, id)->status, 200);
    close_peer(&shared);
}

/* ---- heads that are refused ------------------------------------------------------------------------------------- */

static void expect_refusal(const char *method, const char *path, const char *const *fields, int want) {
    static const char text[1001];
    struct str body = {text, sizeof text};
    open_peer(&shared, &standard);
    int32_t id = peer_ask(&shared, method, path, fields, str_equal(str_of(method), STR("POST")) ? &body : NULL), next;
    peer_pump(&shared, SIZE_MAX);
    if (peer_answer(&shared, id)->status != want)
        fail_msg("%s %.60s: %d, not %d", method, path, peer_answer(&shared, id)->status, want);
    assert_int_equal(seen.requests, 0);
    next = peer_ask(&shared, "GET", "/", NULL, NULL); /* the connection is as good as new */
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, next)->status, 200);
    close_peer(&shared);
}

static void bad_heads_are_refused_alone(void **state) {
    (void)state;
    static char long_path[50000], long_value[62000];
    const char *many[2 * 101 + 1] = {0};
    memset(long_path, 'a', sizeof long_path - 1);
    long_path[0] = '/';
    memset(long_value, 'v', sizeof long_value - 1);
    for (size_t i = 0; i < 101; i++) many[2 * i] = "x", many[2 * i + 1] = "y";
    expect_refusal("GET", "/", many, 431);
    expect_refusal("GET", "/", (const char *const[]){"x", long_value, NULL}, 431);
    expect_refusal("GET", long_path, NULL, 414);
    expect_refusal("GET", "/a/../b", NULL, 400);
    expect_refusal("GET", "/a/%2e./b", NULL, 400);
    expect_refusal("GET", "/a%00b", NULL, 400);
    expect_refusal("GET", "/a%zz", NULL, 400);
    expect_refusal("GET", "/", (const char *const[]){"host", "other.example", NULL}, 400);
    expect_refusal("GET", "/", (const char *const[]){"expect", "miracles", NULL}, 417);
    expect_refusal("POST", "/", (const char *const[]){"content-length", "1001", NULL}, 413);
}

static void a_host_that_is_the_authority_is_taken(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    peer_ask(&shared, "GET", "/", (const char *const[]){"host", "CLEW.example", NULL}, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_string_equal(seen.text.p, "GET /? host=clew.example cookie=");
    close_peer(&shared);
}

/* ---- bodies and windows ----------------------------------------------------------------------------------------- */

static char *noise(size_t n) {
    char *p = mem_grow(NULL, n);
    uint32_t x = 1;
    for (size_t i = 0; i < n; i++) p[i] = (char)((x = x * 1664525 + 1013904223) >> 24);
    return p;
}

static void large_bodies_pass_both_ways(void **state) {
    (void)state;
    const size_t n = 9 * MIB + 17;
    AUTO_FREE char *p = noise(n);
    struct budget budget;
    budget_init(&budget, 64 * MIB);
    for (int announced = 0; announced < 2; announced++) {
        const char *const length[] = {"content-length", "9437201", NULL};
        struct str body = {p, n};
        open_peer(&shared, &(struct http_server_options){.handler = handler, .body_max = n, .budget = &budget});
        int32_t id = peer_ask(&shared, "POST", "/", announced ? length : NULL, &body);
        peer_pump(&shared, SIZE_MAX);
        struct peer_answer *a = peer_answer(&shared, id);
        assert_int_equal(a->status, 200);
        assert_int_equal(a->body.n, n);
        assert_memory_equal(a->body.p, p, n);
        close_peer(&shared);
        assert_int_equal(budget_used(&budget), 0);
    }
}

static void a_body_over_the_limit_ends_its_stream_alone(void **state) {
    (void)state;
    AUTO_FREE char *p = noise(MIB);
    struct str body = {p, MIB};
    open_peer(&shared, &standard);
    int32_t id = peer_ask(&shared, "POST", "/", NULL, &body), next;
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->status, 413);
    assert_true(peer_answer(&shared, id)->closed && !peer_answer(&shared, id)->reset); /* it was read over */
    for (int i = 0; i < 20;
         i++) { /* more than the connection's window in all: what is not wanted is given back to it */
        body = (struct str){p, MIB};
        peer_ask(&shared, "POST", "/", NULL, &body);
        peer_pump(&shared, SIZE_MAX);
    }
    next = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, next)->status, 200);
    assert_int_equal(shared.w.engine.refused[4], 21);
    close_peer(&shared);
}

static void who_sends_on_is_answered_and_reset(void **state) {
    (void)state;
    nghttp2_nv nv[] = {PEER_NV(":method", "POST"),           PEER_NV(":path", "/"),
                       PEER_NV(":scheme", "http"),           PEER_NV(":authority", "a"),
                       PEER_NV("content-length", "1000000"), PEER_NV("expect", "100-continue")};
    for (size_t expect = 0; expect < 2; expect++) {
        open_peer(&shared, &standard);
        int32_t id = nghttp2_submit_headers(shared.session, 0, -1, NULL, nv, LENGTH(nv) - 1 + expect, NULL);
        peer_pump(&shared, SIZE_MAX);
        assert_int_equal(peer_answer(&shared, id)->status,
                         expect ? 413 : 0); /* many hear it only once they have sent all */
        wire_wait(&shared.w, 3 * second);
        peer_pump(&shared, SIZE_MAX);
        assert_int_equal(peer_answer(&shared, id)->status, 413);
        assert_true(peer_answer(&shared, id)->reset && peer_answer(&shared, id)->code == NGHTTP2_NO_ERROR);
        assert_int_equal(shared.w.engine.live_requests, 0);
        close_peer(&shared);
    }
}

static void over_the_budget_is_429_and_gRPC_hears_unavailable(void **state) {
    (void)state;
    AUTO_FREE char *p = noise(MIB);
    struct budget budget;
    budget_init(&budget, 256 * KIB);
    const char *const grpc[] = {"content-type", "application/grpc", NULL};
    open_peer(&shared, &(struct http_server_options){.handler = handler, .budget = &budget});
    struct str body = {p, MIB};
    int32_t id = peer_ask(&shared, "POST", "/", NULL, &body);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->status, 429);
    assert_non_null(strstr(peer_answer(&shared, id)->head.p, "retry-after: 2\n"));
    memcpy(p, "\0\0\x10\0\0", 5); /* a message of 1 MiB */
    body = (struct str){p, MIB};
    id = peer_ask(&shared, "POST", "/", grpc, &body);
    peer_pump(&shared, SIZE_MAX);
    struct peer_answer *a = peer_answer(&shared, id);
    assert_int_equal(a->status, 200);
    assert_non_null(strstr(a->head.p, "grpc-status: 14\ngrpc-message: over the memory budget"));
    assert_non_null(strstr(a->head.p, "grpc-status-details-bin: CA4S"));
    close_peer(&shared);
    assert_int_equal(budget_used(&budget), 0);
}

/* A client that asks and does not read would else hold 128 answers a connection, whatever the limit says. */
static void answers_that_wait_for_the_client_are_charged(void **state) {
    (void)state;
    AUTO_FREE char *p = noise(100 * KIB);
    struct budget budget;
    int32_t ids[20];
    budget_init(&budget, MIB);
    begin();
    peer_open(&shared, &(struct http_server_options){.handler = handler, .budget = &budget}, 1, true);
    seen.hold = true;
    for (int i = 0; i < 20; i++) ids[i] = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(seen.held_n, 20);
    for (int i = 0; i < 20; i++) { /* the last ones are small */
        seen.answer = (struct str){p, i < 15 ? 100 * KIB : 2 * KIB};
        answer(seen.held[i]);
    }
    assert_in_range(budget_used(&budget), 800 * KIB, MIB + 10 * KIB);
    peer_pump(&shared, SIZE_MAX);
    for (int i = 0; i < 20; i++) assert_int_equal(peer_answer(&shared, ids[i])->status, i >= 8 && i < 15 ? 429 : 200);
    close_peer(&shared);
    assert_int_equal(budget_used(&budget), 0);
}

static bool nobody(const struct http_request *r, void *context) {
    (void)context;
    return http_field(r, STR("x-known")).p != NULL;
}

static void large_bodies_of_strangers_are_left(void **state) {
    (void)state;
    AUTO_FREE char *p = noise(100 * KIB);
    const char *const known[] = {"x-known", "1", NULL}, *const length[] = {"content-length", "102400", NULL};
    const struct {
        const char *const *fields;
        size_t n;
        bool left;
    } cases[] = {{NULL, 4096, false},
                 {NULL, 4097, true},
                 {NULL, 100 * KIB, true},
                 {length, 100 * KIB, true},
                 {known, 100 * KIB, false}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        open_peer(&shared, &(struct http_server_options){.handler = handler, .is_trusted = nobody});
        seen.hold = true;
        struct str body = {p, cases[i].n};
        int32_t id = peer_ask(&shared, "POST", "/", cases[i].fields, &body);
        peer_pump(&shared, SIZE_MAX);
        assert_int_equal(seen.held_n, 1);
        assert_int_equal(http_body_is_left(seen.held[0]), cases[i].left);
        assert_int_equal(http_body(seen.held[0]).n, cases[i].left ? 0 : cases[i].n);
        answer(seen.held[0]);
        peer_pump(&shared, SIZE_MAX);
        assert_int_equal(peer_answer(&shared, id)->status, 200);
        assert_true(peer_answer(&shared, id)->closed);
        close_peer(&shared);
    }
}

static void a_grpc_message_over_the_limit_is_refused_by_its_prefix(void **state) {
    (void)state;
    const char *const grpc[] = {"content-type", "application/grpc+proto", NULL};
    struct str body = STR("\0\x7f\xff\xff\xff and so on");
    open_peer(&shared, &standard);
    int32_t id = peer_ask(&shared, "POST", "/", grpc, &body);
    peer_pump(&shared, SIZE_MAX);
    assert_non_null(strstr(peer_answer(&shared, id)->head.p, "grpc-status: 8\n"));
    close_peer(&shared);
}

static void memory_of_a_connection_is_charged(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 64 * MIB);
    open_peer(&shared, &(struct http_server_options){.handler = handler, .budget = &budget});
    peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_in_range(budget_used(&budget), 1, 64 * KIB); /* idle */
    seen.hold = true;
    for (int i = 0; i < 128; i++) peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_in_range(budget_used(&budget), 128 * 4096, 128 * 4096 + 256 * KIB);
    for (size_t i = 0; i < seen.held_n; i++) answer(seen.held[i]);
    peer_pump(&shared, SIZE_MAX);
    assert_in_range(budget_used(&budget), 1, 80 * KIB);
    close_peer(&shared);
    assert_int_equal(budget_used(&budget), 0);
    budget_init(&budget, KIB);
    open_peer(&shared, &(struct http_server_options){.handler = handler, .budget = &budget});
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(shared.w.connection.state, CONNECTION_DEAD);
    close_peer(&shared);
}

static void no_more_streams_at_once_than_said(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    seen.hold = true;
    for (int i = 0; i < 200; i++) peer_ask(&shared, "GET", "/", NULL, NULL); /* before it hears of the limit */
    peer_pump(&shared, SIZE_MAX);
    assert_in_range(seen.held_n, 1, H2_STREAMS_MAX);
    for (size_t i = 0; i < seen.held_n; i++) answer(seen.held[i]);
    peer_pump(&shared, SIZE_MAX);
    close_peer(&shared);
}

static void a_client_that_opens_no_window_is_given_up(void **state) {
    (void)state;
    AUTO_FREE char *p = noise(MIB);
    begin();
    peer_open(&shared, &standard, 1000, true);
    seen.answer = (struct str){p, MIB};
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL), next;
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->body.n, 1000);
    wire_wait(&shared.w, 61 * second);
    peer_pump(&shared, SIZE_MAX);
    assert_true(peer_answer(&shared, id)->closed && peer_answer(&shared, id)->code == NGHTTP2_CANCEL);
    assert_int_equal(shared.w.engine.live_requests, 0);
    seen.answer = STR("short");
    next = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_string_equal(peer_answer(&shared, next)->body.p, "short");
    close_peer(&shared);
}

static void a_client_that_does_not_read_is_not_read_from(void **state) {
    (void)state;
    AUTO_FREE char *p = noise(4 * MIB);
    begin();
    peer_open(&shared, &standard, 8 * MIB, false);
    nghttp2_submit_window_update(shared.session, 0, 0, 8 * MIB);
    seen.answer = (struct str){p, 4 * MIB};
    peer_ask(&shared, "GET", "/", NULL, NULL);
    const uint8_t *bytes;
    struct wire *w = &shared.w;
    for (ssize_t n; (n = nghttp2_session_mem_send(shared.session, &bytes)) > 0;) {
        struct room room = connection_room(&w->connection, 0);
        memcpy(room.p, bytes, (size_t)n);
        connection_fed(&w->connection, (size_t)n, 0);
    }
    struct socket_piece pieces[OUT_PIECES];
    assert_int_equal(connection_out(&w->connection, pieces), 1);
    assert_false(connection_wants_input(&w->connection));
    assert_in_range(pieces[0].n, H2_OUT_MAX, H2_OUT_MAX + 17000);
    connection_wrote(&w->connection, 10, 0);
    connection_time_out(&w->connection, 61 * second); /* ten bytes a minute: no */
    assert_int_equal(w->connection.state, CONNECTION_DEAD);
    close_peer(&shared);
}

/* ---- life and time ---------------------------------------------------------------------------------------------- */

static void a_reset_leaves_the_handler_its_request(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    seen.hold = true;
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    nghttp2_submit_rst_stream(shared.session, 0, id, NGHTTP2_CANCEL);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(shared.w.connection.state, CONNECTION_IDLE);
    assert_int_equal(shared.w.engine.live_requests, 1);
    answer(seen.held[0]);
    assert_int_equal(shared.w.engine.live_requests, 0);
    seen.held_n = 0;
    peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    connection_close(&shared.w.connection); /* the same with the whole connection */
    answer(seen.held[0]);
    close_peer(&shared);
}

static void a_body_that_comes_too_slowly_is_408(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    nghttp2_nv nv[] = {PEER_NV(":method", "POST"), PEER_NV(":path", "/"), PEER_NV(":scheme", "http"),
                       PEER_NV(":authority", "a"), PEER_NV("content-length", "900")};
    int32_t id = nghttp2_submit_headers(shared.session, 0, -1, NULL, nv, LENGTH(nv), NULL);
    peer_pump(&shared, SIZE_MAX);
    wire_wait(&shared.w, 9 * second);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->status, 0);
    wire_wait(&shared.w, 2 * second);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->status, 408);
    assert_true(peer_answer(&shared, id)->reset);
    close_peer(&shared);
}

static void half_open_streams_hold_nothing_for_long(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 4 * MIB);
    open_peer(&shared, &(struct http_server_options){.handler = handler, .budget = &budget});
    nghttp2_nv nv[] = {PEER_NV(":method", "POST"), PEER_NV(":path", "/"), PEER_NV(":scheme", "http"),
                       PEER_NV(":authority", "a"), PEER_NV("content-type", "application/grpc")};
    int32_t ids[H2_STREAMS_MAX];
    for (int i = 0; i < H2_STREAMS_MAX; i++)
        ids[i] = nghttp2_submit_headers(shared.session, 0, -1, NULL, nv, LENGTH(nv), NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(shared.w.engine.live_requests, H2_STREAMS_MAX);
    wire_wait(&shared.w, 11 * second);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(shared.w.engine.live_requests, 0);
    assert_int_equal(seen.requests, 0);
    for (int i = 0; i < H2_STREAMS_MAX; i++)
        assert_non_null(strstr(peer_answer(&shared, ids[i])->head.p, "grpc-status: 4\n"));
    peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(seen.requests, 1);
    close_peer(&shared);
    assert_int_equal(budget_used(&budget), 0);
}

static void an_idle_connection_is_told_and_closed(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    wire_wait(&shared.w, 74 * second);
    nghttp2_submit_ping(shared.session, 0, NULL); /* keeps nothing open */
    peer_pump(&shared, SIZE_MAX);
    assert_false(shared.gone);
    wire_wait(&shared.w, 2 * second);
    peer_pump(&shared, SIZE_MAX);
    assert_true(shared.gone && shared.gone_code == NGHTTP2_NO_ERROR);
    assert_int_equal(shared.w.connection.state, CONNECTION_LINGER);
    wire_wait(&shared.w, 3 * second);
    assert_int_equal(shared.w.connection.state, CONNECTION_DEAD);
    close_peer(&shared);
}

static void a_drain_finishes_what_is_open_and_takes_no_more(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    seen.hold = true;
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    connection_drain(&shared.w.connection, 0);
    peer_pump(&shared, SIZE_MAX);
    assert_true(shared.gone && shared.gone_code == NGHTTP2_NO_ERROR);
    assert_int_equal(shared.w.connection.state, CONNECTION_STREAMS);
    answer(seen.held[0]);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->status, 200);
    assert_int_equal(shared.w.connection.state, CONNECTION_LINGER);
    assert_int_equal(seen.requests, 1);
    close_peer(&shared);
}

static void the_clients_end_lets_answers_out(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    seen.hold = true;
    int32_t id = peer_ask(&shared, "GET", "/", NULL, NULL);
    peer_pump(&shared, SIZE_MAX);
    wire_end(&shared.w);
    assert_false(connection_wants_input(&shared.w.connection));
    wire_wait(&shared.w, second / 2);
    assert_false(http_is_abandoned(seen.held[0]));
    wire_wait(&shared.w, second);
    assert_true(http_is_abandoned(seen.held[0])); /* a client that was killed ends like that, too */
    assert_int_equal(connection_due_ns(&shared.w.connection), INT64_MAX);
    answer(seen.held[0]);
    peer_pump(&shared, SIZE_MAX);
    assert_int_equal(peer_answer(&shared, id)->status, 200);
    assert_int_equal(shared.w.connection.state, CONNECTION_DEAD);
    close_peer(&shared);
}

/* ---- floods ----------------------------------------------------------------------------------------------------- */

static void put_frame(struct buf *b, uint8_t type, uint8_t flags, uint32_t id, struct str payload) {
    const char head[] = {(char)(payload.n >> 16), (char)(payload.n >> 8), (char)payload.n, (char)type, (char)flags,
                         (char)(id >> 24),        (char)(id >> 16),       (char)(id >> 8), (char)id};
    buf_add(b, head, sizeof head);
    buf_add_str(b, payload);
}

/* GET / of host a, in HPACK's static table. */
#define GET_HEAD                                                                                                       \
    "\x82\x84\x86\x41\x01"                                                                                             \
    "a"

static void put_flood(struct buf *b, const char *kind, uint32_t i) {
    const struct str get = STR(GET_HEAD);
    uint32_t id = 2 * i + 1;
    if (strcmp(kind, "ping") == 0) {
        put_frame(b, NGHTTP2_PING, 0, 0, STR("12345678"));
    } else if (strcmp(kind, "settings") == 0) {
        put_frame(b, NGHTTP2_SETTINGS, 0, 0, STR(""));
    } else if (strcmp(kind, "priority") == 0) {
        put_frame(b, NGHTTP2_PRIORITY, 0, id, STR("\0\0\0\0\1"));
    } else if (strcmp(kind, "rapid reset") == 0) {
        put_frame(b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id, get);
        put_frame(b, NGHTTP2_RST_STREAM, 0, id, STR("\0\0\0\x08"));
    } else if (strcmp(kind, "make you reset") == 0) { /* a window over 2^31-1: the server resets the stream */
        put_frame(b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id, get);
        put_frame(b, NGHTTP2_WINDOW_UPDATE, 0, id, STR("\x7f\xff\xff\xff"));
    } else if (strcmp(kind, "empty data") == 0) {
        if (i == 0) put_frame(b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, get);
        put_frame(b, NGHTTP2_DATA, 0, 1, STR(""));
    } else if (strcmp(kind, "padding") == 0) {
        if (i == 0) put_frame(b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, get);
        put_frame(b, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, STR("\x03\0\0\0"));
    } else if (strcmp(kind, "continuation") == 0) {
        if (i == 0) put_frame(b, NGHTTP2_HEADERS, 0, 1, get);
        put_frame(b, NGHTTP2_CONTINUATION, 0, 1, STR(""));
    } else { /* header bomb: one long value in the table, then a byte for each time */
        static char bomb[5 + 16000];
        memset(bomb, '\xbe', sizeof bomb);
        AUTO_BUF struct buf head;
        buf_init(&head, MIB);
        buf_add_str(&head, get);
        buf_add(&head, "\x40\x01x\x7f\x91\x1e", 6); /* x: 4,000 bytes */
        for (int k = 0; k < 4000; k++) buf_add_byte(&head, 'v');
        buf_add(&head, bomb, 8000);
        put_frame(b, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id, buf_str(&head));
    }
}

static void expect_flood(const char *kind, bool hold) {
    AUTO_BUF struct buf b;
    struct budget budget;
    buf_init(&b, 64 * MIB);
    budget_init(&budget, 16 * MIB);
    open_peer(&shared, &(struct http_server_options){.handler = handler, .budget = &budget});
    seen.hold = hold;
    buf_add_text(&b, H2_PREFACE);
    put_frame(&b, NGHTTP2_SETTINGS, 0, 0, STR(""));
    for (uint32_t i = 0; i < 1000; i++) put_flood(&b, kind, i);
    shared.w.write_max = 4000;
    wire_feed(&shared.w, buf_str(&b), 4096);
    struct str out = buf_str(&shared.w.out);
    assert_true(out.n > 17);
    struct str last = {NULL, 0};
    for (size_t at = 0; at + 9 <= out.n;) {
        size_t n = (size_t)(uint8_t)out.p[at] << 16 | (size_t)(uint8_t)out.p[at + 1] << 8 | (uint8_t)out.p[at + 2];
        last = (struct str){out.p + at, 9 + n};
        at += 9 + n;
    }
    if (last.p[3] != NGHTTP2_GOAWAY || last.p[16] != NGHTTP2_ENHANCE_YOUR_CALM)
        fail_msg("%s: the last frame is of type %d, code %d; %d requests", kind, last.p[3], last.p[16], seen.requests);
    assert_int_equal(shared.w.connection.state, CONNECTION_LINGER);
    assert_in_range(seen.requests, 0, 600);
    for (size_t i = 0; i < seen.held_n; i++) answer(seen.held[i]);
    close_peer(&shared);
    assert_int_equal(budget_used(&budget), 0);
}

static void floods_are_told_to_calm_down(void **state) {
    (void)state;
    static const char *const kinds[] = {"ping",       "settings", "priority",     "rapid reset", "make you reset",
                                        "empty data", "padding",  "continuation", "header bomb"};
    for (size_t i = 0; i < LENGTH(kinds); i++) {
        expect_flood(kinds[i], false);
        expect_flood(kinds[i], true);
    }
}

static void pings_at_a_human_pace_are_answered(void **state) {
    (void)state;
    open_peer(&shared, &standard);
    seen.hold = true;
    peer_ask(&shared, "GET", "/", NULL, NULL);
    for (int i = 0; i < 2000; i++) {
        nghttp2_submit_ping(shared.session, 0, NULL);
        peer_pump(&shared, SIZE_MAX);
        wire_wait(&shared.w, second / 20);
    }
    assert_false(shared.gone);
    answer(seen.held[0]);
    close_peer(&shared);
}

static void a_head_that_does_not_end_ends_the_connection(void **state) {
    (void)state;
    AUTO_BUF struct buf b;
    buf_init(&b, MIB);
    open_peer(&shared, &standard);
    buf_add_text(&b, H2_PREFACE);
    put_frame(&b, NGHTTP2_SETTINGS, 0, 0, STR(""));
    put_frame(&b, NGHTTP2_HEADERS, 0, 1, STR(GET_HEAD));
    wire_feed(&shared.w, buf_str(&b), SIZE_MAX);
    wire_wait(&shared.w, 11 * second);
    assert_int_equal(shared.w.connection.state, CONNECTION_LINGER);
    close_peer(&shared);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_answered_however_it_is_cut),
        cmocka_unit_test(h2_that_was_agreed_upon_needs_no_guess),
        cmocka_unit_test(what_only_begins_like_the_preface_is_http_1),
        cmocka_unit_test(streams_are_answered_in_any_order_and_later),
        cmocka_unit_test(replies_without_a_body_have_none),
        cmocka_unit_test(trailers_follow_the_body),
        cmocka_unit_test(the_client_that_expects_100_gets_it),
        cmocka_unit_test(bad_heads_are_refused_alone),
        cmocka_unit_test(a_host_that_is_the_authority_is_taken),
        cmocka_unit_test(large_bodies_pass_both_ways),
        cmocka_unit_test(a_body_over_the_limit_ends_its_stream_alone),
        cmocka_unit_test(who_sends_on_is_answered_and_reset),
        cmocka_unit_test(over_the_budget_is_429_and_gRPC_hears_unavailable),
        cmocka_unit_test(answers_that_wait_for_the_client_are_charged),
        cmocka_unit_test(large_bodies_of_strangers_are_left),
        cmocka_unit_test(a_grpc_message_over_the_limit_is_refused_by_its_prefix),
        cmocka_unit_test(memory_of_a_connection_is_charged),
        cmocka_unit_test(no_more_streams_at_once_than_said),
        cmocka_unit_test(a_client_that_opens_no_window_is_given_up),
        cmocka_unit_test(a_client_that_does_not_read_is_not_read_from),
        cmocka_unit_test(a_reset_leaves_the_handler_its_request),
        cmocka_unit_test(a_body_that_comes_too_slowly_is_408),
        cmocka_unit_test(half_open_streams_hold_nothing_for_long),
        cmocka_unit_test(an_idle_connection_is_told_and_closed),
        cmocka_unit_test(a_drain_finishes_what_is_open_and_takes_no_more),
        cmocka_unit_test(the_clients_end_lets_answers_out),
        cmocka_unit_test(floods_are_told_to_calm_down),
        cmocka_unit_test(pings_at_a_human_pace_are_answered),
        cmocka_unit_test(a_head_that_does_not_end_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
