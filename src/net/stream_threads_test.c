/* Answers in pieces with threads around them, for TSan: writers that are too fast, readers that leave, a server that goes first. */
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "net/net.h"
#include "base/budget.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/thread.h"
#include <stdatomic.h>

enum { WRITERS = 3, READERS = 4, ROUNDS = 30, PIECES = 400, PIECE = 100, LEAVE_AFTER = 5000 };
static const int64_t second = 1000000000;

static struct {
    struct loop *loop;
    struct http_server *server;
    struct queue *queue;
    struct thread *loop_thread, *writers[WRITERS], *readers[READERS];
    char address[64];
    struct budget budget;
    _Atomic int whole, left, ended;
} t;

static void handler(struct http_request *r) {
    bool taken = queue_push(t.queue, r);
    assert(taken);
    (void)taken;
}

/* All pieces, as fast as they are taken. */
static void write_pieces(struct http_request *r) {
    char piece[PIECE];
    memset(piece, 'p', sizeof piece);
    struct http_stream *s = http_stream_begin(r, &(struct http_reply){.status = 200}, 2000);
    enum http_stream_state state = HTTP_STREAM_OK;
    for (int i = 0; i < PIECES && state != HTTP_STREAM_GONE;) {
        state = http_stream_write(s, str_span(piece, sizeof piece));
        i += state == HTTP_STREAM_OK;
        assert(http_stream_held(s) <= 2000);
        if (state == HTTP_STREAM_SLOW) poll(NULL, 0, 1);
    }
    http_stream_end(s, &(struct http_field){STR("x-end"), STR("1")}, 1);
    atomic_fetch_add(&t.ended, 1);
}

static void be_writer(void *context) {
    (void)context;
    for (struct http_request *r; (r = queue_pop_wait(t.queue));) write_pieces(r);
}

static void run_loop(void *context) {
    (void)context;
    loop_run(t.loop);
}

/* ---- readers ---------------------------------------------------------------------------------------------------- */

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t n, void *context) {
    (void)session, (void)flags, (void)id, (void)data;
    *(size_t *)context += n;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context) {
    (void)id, (void)context;
    return code ? 0 : nghttp2_session_terminate_session(session, 0);
}

static void write_all(int fd, struct str bytes) {
    while (bytes.n) {
        size_t n = 0;
        err e = socket_write(fd, &(struct socket_piece){bytes.p, bytes.n}, 1, &n);
        if (e) {
            err_free(e);
            return;
        }
        bytes = (struct str){bytes.p + n, bytes.n - n};
    }
}

static size_t read_some(int fd, char *out, size_t max) {
    size_t n = 0;
    bool end = false;
    poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000);
    err e = socket_read(fd, out, max, &n, &end);
    if (e) n = 0;
    err_free(e);
    return n;
}

static size_t read_h2(int fd, size_t enough) {
    nghttp2_session_callbacks *c;
    nghttp2_session *session;
    size_t got = 0;
    nghttp2_session_callbacks_new(&c);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_close);
    nghttp2_session_client_new(&session, c, &got);
    nghttp2_session_callbacks_del(c);
    nghttp2_submit_settings(session, 0, NULL, 0);
#define NV(name, value) {(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), 0}
    nghttp2_nv nv[] = {NV(":method", "GET"), NV(":path", "/"), NV(":scheme", "http"), NV(":authority", "a")};
    nghttp2_submit_request(session, NULL, nv, 4, NULL, NULL);
    char bytes[3000];
    for (size_t n = 1; n && got < enough;) {
        const uint8_t *out;
        for (ssize_t k; (k = nghttp2_session_mem_send(session, &out)) > 0;) write_all(fd, str_span(out, (size_t)k));
        if (!nghttp2_session_want_read(session)) break;
        n = read_some(fd, bytes, sizeof bytes);
        if (nghttp2_session_mem_recv(session, (const uint8_t *)bytes, n) < 0) break;
    }
    nghttp2_session_del(session);
    return got;
}

/* Counts the bytes of pieces. */
static size_t read_h1(int fd, size_t enough) {
    char bytes[3000];
    size_t got = 0;
    write_all(fd, STR("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    for (size_t n = 1; n && got < enough;) {
        n = read_some(fd, bytes, sizeof bytes);
        for (size_t i = 0; i < n; i++) got += bytes[i] == 'p';
    }
    return got;
}

static void be_reader(void *context) {
    bool h2 = *(bool *)context;
    for (int i = 0; i < ROUNDS; i++) {
        int fd;
        bool leave = i % 3 == 2;
        err e = socket_connect_wait(t.address, second, &fd);
        if (e) { /* the server is gone */
            err_free(e);
            return;
        }
        size_t got = (h2 ? read_h2 : read_h1)(fd, leave ? LEAVE_AFTER : SIZE_MAX);
        socket_close(fd);
        atomic_fetch_add(&t.whole, got >= (size_t)PIECES * PIECE); /* the head may hold a p, too */
        atomic_fetch_add(&t.left, leave);
    }
}

static void begin_server(void) {
    memset(&t, 0, sizeof t);
    budget_init(&t.budget, 16 * MIB);
    t.queue = queue_new(4096);
    assert_null(loop_new(&t.loop));
    assert_null(
        http_server_new(t.loop, &(struct http_server_options){.handler = handler, .budget = &t.budget}, &t.server));
    assert_null(http_server_listen(t.server, "127.0.0.1:0", NULL, t.address));
    assert_null(thread_start(&t.loop_thread, "loop", 0, run_loop, NULL));
}

static void begin(void) {
    static bool versions[READERS] = {false, true, false, true};
    begin_server();
    for (int i = 0; i < WRITERS; i++) assert_null(thread_start(&t.writers[i], "writer", 0, be_writer, NULL));
    for (int i = 0; i < READERS; i++) assert_null(thread_start(&t.readers[i], "reader", 0, be_reader, &versions[i]));
}

static void end(void) {
    loop_stop(t.loop);
    thread_join(t.loop_thread);
    http_server_free(t.server); /* writers may still be writing */
    queue_close(t.queue);
    for (int i = 0; i < WRITERS; i++) thread_join(t.writers[i]);
    for (int i = 0; i < READERS; i++) thread_join(t.readers[i]);
    queue_free(t.queue);
    loop_free(t.loop);
    assert_int_equal(budget_used(&t.budget), 0);
}

static void fast_writers_and_readers_that_leave(void **state) {
    (void)state;
    begin();
    for (int i = 0; i < READERS; i++) thread_join(take(&t.readers[i]));
    end();
    assert_int_equal(t.whole + t.left, READERS * ROUNDS);
    assert_int_equal(t.ended, READERS * ROUNDS);
}

static void the_server_goes_first(void **state) {
    (void)state;
    begin();
    while (t.ended < 10) poll(NULL, 0, 1);
    end();
}

static void a_stream_may_begin_when_the_server_is_gone(void **state) {
    (void)state;
    int fd;
    begin_server();
    assert_null(socket_connect_wait(t.address, second, &fd));
    write_all(fd, STR("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    struct http_request *r = queue_pop_wait(t.queue);
    loop_stop(t.loop);
    thread_join(t.loop_thread);
    http_server_free(t.server);
    write_pieces(r); /* hears that nobody reads */
    assert_int_equal(t.ended, 1);
    queue_free(t.queue);
    loop_free(t.loop);
    socket_close(fd);
    assert_int_equal(budget_used(&t.budget), 0);
}

int main(void) {
    process_signals_block();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_writers_and_readers_that_leave),
        cmocka_unit_test(the_server_goes_first),
        cmocka_unit_test(a_stream_may_begin_when_the_server_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
