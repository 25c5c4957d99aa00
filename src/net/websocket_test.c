/* WebSockets: the handshake, frames however they are cut, what is refused, and every way in which one ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/budget.h"
#include "net/websocket_test_priv.h"

static const int64_t second = 1000000000;
enum { TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FINAL = 0x80, MASKED = 0x80 };

static const struct http_server_options options = {.handler = echo_handler};

/* ---- frames ----------------------------------------------------------------------------------------------------- */

static void put_frame(struct buf *out, int first, bool masked, struct str payload) {
    static const char mask[4] = {1, 2, 3, 4};
    buf_add_byte(out, (char)first);
    if (payload.n < 126) {
        buf_add_byte(out, (char)((masked ? MASKED : 0) | (int)payload.n));
    } else {
        buf_add_byte(out, (char)((masked ? MASKED : 0) | 126));
        buf_add_byte(out, (char)(payload.n >> 8));
        buf_add_byte(out, (char)payload.n);
    }
    if (masked) buf_add(out, mask, sizeof mask);
    for (size_t i = 0; i < payload.n; i++) buf_add_byte(out, (char)(payload.p[i] ^ (masked ? mask[i % 4] : 0)));
}

static void feed_frame(struct wire *w, int first, const char *payload, size_t step) {
    AUTO_BUF struct buf frame;
    buf_init(&frame, 64 * KIB);
    put_frame(&frame, first, true, str_of(payload));
    wire_feed(w, buf_str(&frame), step);
}

/* What came out since the last look is this frame of the server's, and no more. */
static void expect_frame(struct wire *w, int first, const char *payload, size_t n) {
    AUTO_BUF struct buf frame;
    buf_init(&frame, 64 * KIB);
    put_frame(&frame, first, false, (struct str){payload, n});
    if (!str_equal(buf_str(&w->out), buf_str(&frame)))
        fail_msg("%zu bytes beginning with %02x, not %zu with %02x", w->out.n, w->out.n ? (uint8_t)w->out.p[0] : 0,
                 frame.n, first);
    buf_clear(&w->out);
}

static void expect_close(struct wire *w, int code) {
    const char payload[] = {(char)(code >> 8), (char)code};
    assert_true(w->out.n >= 4 && (uint8_t)w->out.p[0] == (FINAL | CLOSE));
    assert_memory_equal(w->out.p + 2, payload, 2);
    buf_clear(&w->out);
}

static void open_socket(struct wire *w) {
    echo = (struct echo){0};
    wire_open(w, &options);
    wire_feed(w, echo_head, SIZE_MAX);
    buf_clear(&w->out);
}

/* It ended once, and nothing of it is left. */
static void done(struct wire *w) {
    wire_close(w);
    assert_int_equal(echo.ends, 1);
    assert_int_equal(w->engine.live_requests, 0);
}

/* ---- the handshake ---------------------------------------------------------------------------------------------- */

static void a_key_is_accepted(void **state) {
    (void)state;
    char accept[WEBSOCKET_ACCEPT + 1];
    assert_true(websocket_accept(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept)); /* RFC 6455 §1.3 */
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    static const char *const bad[] = {"",
                                      "dGhlIHNhbXBsZSBub25jZQ",
                                      "dGhlIHNhbXBsZSBub25jZQ=",
                                      "dGhlIHNhbXBsZSBub25jZ===",
                                      "dGhlIHNhbXBsZSBub25jZQ==dGhl",
                                      "!GhlIHNhbXBsZSBub25jZQ==",
                                      "dGhlIHNhbXBsZSBub25jZWQh"};
    for (size_t i = 0; i < LENGTH(bad); i++)
        if (websocket_accept(str_of(bad[i]), accept)) fail_msg("'%s' was taken", bad[i]);
}

static void an_upgrade_is_answered_with_101_alone(void **state) {
    (void)state;
    struct wire w;
    echo = (struct echo){0};
    wire_open(&w, &options);
    wire_feed(&w, echo_head, 7);
    buf_add_byte(&w.out, 0);
    assert_string_equal(w.out.p, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                 "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    done(&w);
}

static void an_old_client_gets_what_it_asks_for(void **state) {
    (void)state;
    struct wire w;
    AUTO_BUF struct buf head;
    buf_init(&head, KIB);
    buf_add_str(&head, echo_head);
    memcpy(strstr(head.p, "HTTP/1.1"), "HTTP/1.0", 8);
    echo = (struct echo){0};
    wire_open(&w, &options);
    wire_feed(&w, buf_str(&head), SIZE_MAX);
    assert_memory_equal(w.out.p, "HTTP/1.1 101 ", 13);
    buf_clear(&w.out);
    feed_frame(&w, FINAL | TEXT, "old", SIZE_MAX);
    expect_frame(&w, FINAL | TEXT, "old", 3);
    done(&w);
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

static void messages_come_however_they_are_cut(void **state) {
    (void)state;
    static const size_t steps[] = {1, 2, 3, 5, SIZE_MAX};
    for (size_t i = 0; i < LENGTH(steps); i++) {
        struct wire w;
        open_socket(&w);
        feed_frame(&w, FINAL | TEXT, "{\"type\":\"subscribe\"}", steps[i]);
        expect_frame(&w, FINAL | TEXT, "{\"type\":\"subscribe\"}", 20);
        feed_frame(&w, TEXT, "in ", steps[i]); /* fragments, and a ping between them */
        feed_frame(&w, FINAL | PING, "there?", steps[i]);
        expect_frame(&w, FINAL | PONG, "there?", 6);
        feed_frame(&w, FINAL | 0, "pieces", steps[i]);
        expect_frame(&w, FINAL | TEXT, "in pieces", 9);
        assert_int_equal(echo.messages, 2);
        done(&w);
    }
}

static void a_frame_may_come_with_the_head(void **state) {
    (void)state;
    struct wire w;
    AUTO_BUF struct buf both;
    buf_init(&both, 64 * KIB);
    buf_add_str(&both, echo_head);
    put_frame(&both, FINAL | TEXT, true, STR("early"));
    echo = (struct echo){0};
    wire_open(&w, &options);
    wire_feed(&w, buf_str(&both), SIZE_MAX);
    assert_int_equal(echo.messages, 1);
    assert_memory_equal(w.out.p + w.out.n - 5, "early", 5);
    done(&w);
}

static void a_long_head_leaves_room_for_frames(void **state) {
    (void)state;
    struct wire w;
    AUTO_BUF struct buf head;
    buf_init(&head, 64 * KIB);
    buf_add(&head, echo_head.p, echo_head.n - 2);
    buf_add_text(&head, "Cookie: ");
    while (head.n < 3900) buf_add_byte(&head, 'x');
    buf_add_text(&head, "\r\n\r\n");
    echo = (struct echo){0};
    wire_open(&w, &options);
    wire_feed(&w, buf_str(&head), SIZE_MAX);
    buf_clear(&w.out);
    char text[ECHO_MAX + 1];
    memset(text, 'y', ECHO_MAX);
    text[ECHO_MAX] = 0;
    feed_frame(&w, FINAL | TEXT, text, SIZE_MAX);
    expect_frame(&w, FINAL | TEXT, text, ECHO_MAX);
    done(&w);
}

/* ---- what is refused -------------------------------------------------------------------------------------------- */

static void bad_frames_close(void **state) {
    (void)state;
    char longer[ECHO_MAX + 2];
    memset(longer, 'z', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    const struct {
        int first;
        bool masked;
        const char *payload;
        int code;
    } cases[] = {
        {FINAL | TEXT, false, "not masked", 1002}, {FINAL | 0x40 | TEXT, true, "a reserved bit", 1002},
        {FINAL | 3, true, "no opcode", 1002},      {FINAL | 0, true, "nothing to go on with", 1002},
        {FINAL | TEXT, true, "\xc3\x28", 1007},    {FINAL | TEXT, true, longer, 1009},
        {FINAL | BINARY, true, longer, 1009},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct wire w;
        AUTO_BUF struct buf frame;
        buf_init(&frame, 64 * KIB);
        open_socket(&w);
        put_frame(&frame, cases[i].first, cases[i].masked, str_of(cases[i].payload));
        wire_feed(&w, buf_str(&frame), SIZE_MAX);
        if (w.out.n < 4) fail_msg("%s: not closed", cases[i].payload);
        expect_close(&w, cases[i].code);
        assert_int_equal(echo.messages, 0);
        assert_int_equal(echo.ends, 1);
        assert_int_equal(w.connection.state, CONNECTION_LINGER);
        done(&w);
    }
}

static void a_flood_of_pings_that_nobody_reads_the_answers_of_ends(void **state) {
    (void)state;
    struct wire w;
    struct budget budget;
    AUTO_BUF struct buf pings;
    buf_init(&pings, MIB);
    budget_init(&budget, 64 * MIB);
    echo = (struct echo){0};
    wire_open(&w, &(struct http_server_options){.handler = echo_handler, .budget = &budget});
    wire_feed(&w, echo_head, SIZE_MAX);
    put_frame(&pings, FINAL | PING, true,
              STR("0123456789012345678901234567890123456789012345678901234567890123456789"));
    size_t sent = 0;
    while (!echo.ends && sent++ < 100000) { /* as wire_feed, but nothing is written */
        struct room room = connection_room(&w.connection, 0);
        size_t n = MIN(room.n, pings.n);
        memcpy(room.p, pings.p, n);
        wire_enter(&w);
        connection_fed(&w.connection, n, 0);
        if (n < pings.n) break;
    }
    wire_leave(&w);
    assert_int_equal(echo.ends, 1);
    assert_in_range(sent, 100, 3000); /* what is held, and the queue */
    done(&w);
    assert_int_equal(budget_used(&budget), 0);
}

/* ---- ends ------------------------------------------------------------------------------------------------------- */

static void a_close_is_answered(void **state) {
    (void)state;
    struct wire w;
    open_socket(&w);
    feed_frame(&w, FINAL | CLOSE, "\x03\xe8 bye", SIZE_MAX);
    expect_close(&w, 1000);
    assert_int_equal(echo.ends, 1);
    assert_int_equal(w.connection.state, CONNECTION_LINGER); /* until the client closes */
    wire_end(&w);
    assert_int_equal(w.connection.state, CONNECTION_DEAD);
    done(&w);
}

static void a_client_that_goes_ends_it(void **state) {
    (void)state;
    struct wire w;
    open_socket(&w);
    wire_end(&w);
    assert_int_equal(echo.ends, 1);
    done(&w);
    open_socket(&w); /* and in the middle of a frame, by a reset */
    wire_feed(&w, STR("\x81\xfe\x01"), SIZE_MAX);
    done(&w);
}

static void silence_is_asked_after_and_then_ends(void **state) {
    (void)state;
    struct wire w;
    open_socket(&w);
    wire_wait(&w, 37 * second);
    assert_int_equal(w.out.n, 0);
    wire_wait(&w, second); /* half of 75 s */
    expect_frame(&w, FINAL | PING, "", 0);
    wire_wait(&w, 30 * second);
    feed_frame(&w, FINAL | PONG, "", SIZE_MAX);
    wire_wait(&w, 38 * second);
    expect_frame(&w, FINAL | PING, "", 0);
    wire_wait(&w, 36 * second);
    assert_int_equal(echo.ends, 0);
    wire_wait(&w, 2 * second);
    expect_close(&w, 1001);
    assert_int_equal(echo.ends, 1);
    done(&w);
}

static void a_server_that_drains_ends_it(void **state) {
    (void)state;
    struct wire w;
    open_socket(&w);
    wire_enter(&w);
    connection_drain(&w.connection, 0);
    wire_leave(&w);
    wire_flush(&w);
    expect_close(&w, 1001);
    done(&w);
}

static void over_the_budget_it_does_not_begin(void **state) {
    (void)state;
    struct wire w;
    struct budget budget;
    budget_init(&budget, 100);
    echo = (struct echo){0};
    wire_open(&w, &(struct http_server_options){.handler = echo_handler, .budget = &budget});
    wire_feed(&w, echo_head, SIZE_MAX);
    done(&w);
    assert_int_equal(budget_used(&budget), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_accepted),
        cmocka_unit_test(an_upgrade_is_answered_with_101_alone),
        cmocka_unit_test(an_old_client_gets_what_it_asks_for),
        cmocka_unit_test(messages_come_however_they_are_cut),
        cmocka_unit_test(a_frame_may_come_with_the_head),
        cmocka_unit_test(a_long_head_leaves_room_for_frames),
        cmocka_unit_test(bad_frames_close),
        cmocka_unit_test(a_flood_of_pings_that_nobody_reads_the_answers_of_ends),
        cmocka_unit_test(a_close_is_answered),
        cmocka_unit_test(a_client_that_goes_ends_it),
        cmocka_unit_test(silence_is_asked_after_and_then_ends),
        cmocka_unit_test(a_server_that_drains_ends_it),
        cmocka_unit_test(over_the_budget_it_does_not_begin),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
