/* The exporter against a server on loopback that answers as a list says. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "emit/otlp_sink.h"
#include "os/clock.h"
#include "os/socket.h"
#include "os/thread.h"
#include "signal/otlp.h"

#define MS ((int64_t)1000000)

static struct {
    int fd;
    char address[64], url[96];
    struct thread *thread;
    _Atomic bool ending;
    const char *const *answers; /* heads behind "HTTP/1.1 "; the last one stays */
    _Atomic int asked;
    char path[64];
    struct buf body;
} server;

static void ready(int fd, short what) { poll(&(struct pollfd){fd, what, 0}, 1, 20); }

/* A head and as much as it says. */
static bool read_request(int fd, struct buf *in) {
    for (size_t want = 0; !atomic_load(&server.ending);) {
        char piece[4096], *head;
        size_t n = 0;
        bool end = false;
        ready(fd, POLLIN);
        if (socket_read(fd, piece, sizeof piece, &n, &end) || end) return false;
        buf_add(in, piece, n);
        buf_add_byte(in, 0);
        in->n--;
        head = strstr(in->p, "\r\n\r\n");
        const char *length = strstr(in->p, "Content-Length: ");
        if (head) want = (size_t)(head + 4 - in->p) + (length ? (size_t)strtoul(length + 16, NULL, 10) : 0);
        if (head && in->n >= want) {
            sscanf(in->p, "POST %63s", server.path);
            buf_clear(&server.body);
            buf_add(&server.body, head + 4, in->n - (size_t)(head + 4 - in->p));
            return true;
        }
    }
    return false;
}

static void serve(void *context) {
    (void)context;
    while (!atomic_load(&server.ending)) {
        char peer[64];
        int fd = -1;
        ready(server.fd, POLLIN);
        if (socket_accept(server.fd, &fd, peer) || fd < 0) continue;
        AUTO_BUF struct buf in, out;
        buf_init(&in, MIB);
        buf_init(&out, MIB);
        if (read_request(fd, &in)) {
            int i = atomic_fetch_add(&server.asked, 1);
            const char *answer = server.answers[0];
            for (int k = 0; k <= i && server.answers[k]; k++) answer = server.answers[k];
            buf_add_fmt(&out, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", answer);
            size_t n;
            err_free(socket_write(fd, &(struct socket_piece){out.p, out.n}, 1, &n));
        }
        socket_close(fd);
    }
}

static int begin(void **state) {
    (void)state;
    buf_init(&server.body, MIB);
    if (socket_listen("127.0.0.1:0", &server.fd, server.address)) return -1;
    snprintf(server.url, sizeof server.url, "http://%s/", server.address);
    return thread_start(&server.thread, "server", 0, serve, NULL) ? -1 : 0;
}

static int end(void **state) {
    (void)state;
    atomic_store(&server.ending, true);
    thread_join(server.thread);
    socket_close(server.fd);
    buf_done(&server.body);
    return 0;
}

/* One span through an emit and the sink. */
static struct otlp_sink_stats send_one(struct otlp_sink_options o, const char *const *answers, bool ended) {
    struct otlp_sink *s;
    struct emit *e;
    struct otlp_sink_stats stats;
    server.answers = answers;
    atomic_store(&server.asked, 0);
    if (!o.endpoint) o.endpoint = server.url;
    assert_null(otlp_sink_new(&o, &s));
    assert_null(emit_new(
        &(struct emit_options){.service = "shop", .ratio = 1, .paused = true, .sink = {otlp_sink_take_wait, s}}, &e));
    if (ended) otlp_sink_end(s);
    emit_span_end(emit_span_begin(e, STR("hello"), EMIT_INTERNAL, NULL));
    emit_turn_wait(e, false);
    otlp_sink_get_stats(s, &stats);
    emit_free(e);
    otlp_sink_free(s);
    return stats;
}

static void batches_arrive(void **state) {
    const char *const answers[] = {"200 OK", NULL};
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result r = {0};
    (void)state;
    struct otlp_sink_stats stats = send_one((struct otlp_sink_options){0}, answers, false);
    assert_int_equal(stats.sent, 1);
    assert_string_equal(server.path, "/v1/traces");
    assert_null(otlp_decode(d, SIGNAL_SPANS, buf_str(&server.body),
                            &(struct otlp_limits){.time_min = INT64_MIN, .time_max = INT64_MAX, .now = 1}, &r));
    assert_int_equal(r.rows, 1);
    batch_unref(r.blob);
    otlp_decoder_free(d);
}

static void it_is_tried_again(void **state) {
    const char *const later[] = {"503 No", "429 No\r\nRetry-After: 0", "502 No", "200 OK", NULL},
                      *const bad[] = {"400 No", NULL}, *const never[] = {"503 No", NULL},
                      *const far[] = {"503 No\r\nRetry-After: 100", "200 OK", NULL};
    struct otlp_sink_options o = {.backoff_ns = 2 * MS, .retry_ns = 5000 * MS};
    (void)state;
    struct otlp_sink_stats stats = send_one(o, later, false);
    assert_int_equal(stats.sent, 1);
    assert_int_equal(stats.retries, 3);
    assert_int_equal(atomic_load(&server.asked), 4);
    stats = send_one(o, bad, false); /* will not get better */
    assert_int_equal(stats.dropped, 1);
    assert_int_equal(atomic_load(&server.asked), 1);
    o.retry_ns = 60 * MS;
    stats = send_one(o, never, false);
    assert_int_equal(stats.dropped, 1);
    assert_in_range(atomic_load(&server.asked), 2, 12);
    stats = send_one(o, far, false); /* after its time */
    assert_int_equal(stats.dropped, 1);
    assert_int_equal(atomic_load(&server.asked), 1);
    o.retry_ns = 5000 * MS;
    stats = send_one(o, never, true); /* it ends: once */
    assert_int_equal(atomic_load(&server.asked), 1);
    o.endpoint = "http://127.0.0.1:1";
    o.retry_ns = 30 * MS;
    stats = send_one(o, never, false);
    assert_int_equal(stats.dropped, 1);
    assert_true(stats.retries > 0);
}

static void endpoints_are_urls(void **state) {
    struct otlp_sink *s;
    (void)state;
    err e = otlp_sink_new(&(struct otlp_sink_options){.endpoint = "localhost:4318"}, &s);
    assert_non_null(e);
    assert_non_null(strstr(err_text(e), "http://127.0.0.1:4318"));
    err_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(batches_arrive), cmocka_unit_test(it_is_tried_again),
                                       cmocka_unit_test(endpoints_are_urls)};
    return cmocka_run_group_tests(tests, begin, end);
}
