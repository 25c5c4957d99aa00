/* The server with threads around it, for TSan: replies from workers while clients come, pipeline, go away and drain. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/budget.h"
#include "net/net.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/thread.h"

enum { WORKERS = 3, CLIENTS = 4, REQUESTS = 400, PIPELINED = 5 };
#define POST "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
static const int64_t second = 1000000000;

static struct {
    struct loop *loop;
    struct http_server *server;
    struct queue *queue;
    struct thread *loop_thread, *workers[WORKERS], *clients[CLIENTS];
    char address[64];
    struct budget budget;
    _Atomic int handled, answered, received, drained, impolite, abandoned;
    bool until_abandoned; /* work goes on until nobody wants it any more */
} t;

static void handler(struct http_request *r) {
    atomic_fetch_add(&t.handled, 1);
    bool taken = queue_push(t.queue, r);
    assert(taken);
    (void)taken;
}

static void work(void *context) {
    (void)context;
    for (struct http_request *r; (r = queue_pop_wait(t.queue));) {
        assert(str_equal(http_body(r), STR("hello")) && http_peer(r).n);
        for (int i = 0; t.until_abandoned && i < 10000 && !http_is_abandoned(r); i++) poll(NULL, 0, 1);
        atomic_fetch_add(&t.abandoned, http_is_abandoned(r));
        char *body = str_dup(STR("answer"));
        atomic_fetch_add(&t.answered, 1);
        http_reply(r, &(struct http_reply){.status = 200, .body = {body, 6}, .body_owned = body});
    }
}

static void run_loop(void *context) {
    (void)context;
    loop_run(t.loop);
}

/* Waits for bytes; false at the end of the connection. Counts answers. */
static bool read_some(int fd, struct buf *in) {
    char bytes[4096];
    size_t n = 0;
    bool end = false;
    poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 10000);
    err e = socket_read(fd, bytes, sizeof bytes, &n, &end);
    bool broken = e != NULL;
    err_free(e);
    buf_add(in, bytes, broken ? 0 : n);
    return !end && !broken;
}

static int count_answers(const struct buf *in) {
    int n = 0;
    for (const char *at = in->p; at && (at = strstr(at, "\r\n\r\nanswer")); at++) n++;
    return n;
}

/* One connection: some pipelined requests, then their answers. False when the server refuses or ended it. */
static bool one_connection(int round) {
    int fd;
    err e = socket_connect_wait(t.address, second, &fd);
    if (e) {
        err_free(e);
        return false;
    }
    AUTO_BUF struct buf in;
    buf_init(&in, MIB);
    bool alive = true, leave_early = round % 7 == 6;
    for (int i = 0; alive && i < 4; i++) {
        size_t n = 0;
        e = socket_write(fd, &(struct socket_piece){POST POST POST POST POST, PIPELINED * strlen(POST)}, 1, &n);
        alive = e == NULL;
        err_free(e);
        if (leave_early) break;
        while (alive && count_answers(&in) < PIPELINED * (i + 1)) alive = read_some(fd, &in);
    }
    atomic_fetch_add(&t.received, count_answers(&in));
    atomic_fetch_add(&t.impolite, leave_early);
    socket_close(fd);
    return alive;
}

static void be_client(void *context) {
    int rounds = *(int *)context;
    for (int i = 0; i < rounds && one_connection(i); i++) {}
}

/* Sends one request and leaves; every other one also sends what nobody will read. */
static void be_leaving_client(void *context) {
    int rounds = *(int *)context;
    for (int i = 0; i < rounds; i++) {
        int fd;
        size_t n = 0;
        const char *text = i % 2 ? POST POST : POST;
        if (socket_connect_wait(t.address, second, &fd)) continue;
        err_free(socket_write(fd, &(struct socket_piece){text, strlen(text)}, 1, &n));
        socket_close(fd);
    }
}

static void begin_with(void (*client)(void *context), int *rounds, bool until_abandoned) {
    memset(&t, 0, sizeof t);
    t.until_abandoned = until_abandoned;
    budget_init(&t.budget, MIB);
    t.queue = queue_new(4096);
    assert_null(loop_new(&t.loop));
    assert_null(http_server_new(
        t.loop, &(struct http_server_options){.handler = handler, .budget = &t.budget, .end_ns = second / 50},
        &t.server));
    assert_null(http_server_listen(t.server, "127.0.0.1:0", NULL, t.address));
    for (int i = 0; i < WORKERS; i++) assert_null(thread_start(&t.workers[i], "worker", 0, work, NULL));
    assert_null(thread_start(&t.loop_thread, "loop", 0, run_loop, NULL));
    for (int i = 0; i < CLIENTS; i++) assert_null(thread_start(&t.clients[i], "client", 0, client, rounds));
}
static void begin(int *rounds) { begin_with(be_client, rounds, false); }

static void join_clients(void) {
    for (int i = 0; i < CLIENTS; i++) thread_join(t.clients[i]);
}

static void join_workers(void) {
    queue_close(t.queue);
    for (int i = 0; i < WORKERS; i++) thread_join(t.workers[i]);
    queue_free(t.queue);
}

static void replies_come_from_any_thread(void **state) {
    (void)state;
    int rounds = REQUESTS / 4 / PIPELINED;
    begin(&rounds);
    join_clients();
    loop_stop(t.loop);
    thread_join(t.loop_thread);
    http_server_free(t.server); /* workers may still be answering those who left early */
    join_workers();
    loop_free(t.loop);
    int polite = (CLIENTS * rounds - t.impolite) * 4 * PIPELINED;
    assert_int_equal(t.received, polite);
    assert_true(t.impolite > 0 && t.handled >= polite);
    assert_int_equal(t.handled, t.answered);
    assert_int_equal(budget_used(&t.budget), 0);
}

static void workers_learn_that_their_clients_have_gone(void **state) {
    (void)state;
    int rounds = 10;
    begin_with(be_leaving_client, &rounds, true);
    join_clients();
    while (t.answered < CLIENTS * rounds) poll(NULL, 0, 1);
    loop_stop(t.loop);
    thread_join(t.loop_thread);
    http_server_free(t.server);
    join_workers();
    assert_int_equal(t.abandoned, t.answered); /* none ran into its 10 s */
    loop_free(t.loop);
    assert_int_equal(budget_used(&t.budget), 0);
}

static void on_drained(void *context) {
    (void)context;
    struct http_server_stats stats;
    http_server_get_stats(t.server, &stats);
    assert(stats.connections == 0 && t.handled == t.answered);
    atomic_store(&t.drained, 1);
    loop_stop(t.loop);
}

static void drain_now(void *context) {
    (void)context;
    http_server_drain(t.server, clock_monotonic_ns() + 10 * second, on_drained, NULL);
}

static void drain_under_load_answers_what_it_took(void **state) {
    (void)state;
    int rounds = 1000000; /* until the server ends it */
    begin(&rounds);
    while (t.handled < REQUESTS) { /* the load is on */
        struct http_server_stats stats;
        http_server_get_stats(t.server, &stats);
        poll(NULL, 0, 1);
    }
    assert_true(loop_post(t.loop, drain_now, NULL));
    join_clients();
    thread_join(t.loop_thread);
    assert_int_equal(t.drained, 1);
    http_server_free(t.server);
    join_workers();
    loop_free(t.loop);
    assert_true(t.received >= REQUESTS / 2);
    assert_int_equal(t.handled, t.answered);
    assert_int_equal(budget_used(&t.budget), 0);
}

int main(void) {
    process_signals_block();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(replies_come_from_any_thread),
        cmocka_unit_test(workers_learn_that_their_clients_have_gone),
        cmocka_unit_test(drain_under_load_answers_what_it_took),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
