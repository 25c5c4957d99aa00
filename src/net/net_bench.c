/* How much HTTP costs: a server and its clients on loopback, each on a thread of its own.
 *
 *   net_bench [seconds]     tiny GETs, pipelined GETs, POSTs of 300 KB: CPU time of the server's thread a request; and what of
 *                           it is ours, without the kernel
 */
#include <poll.h>
#include <stdio.h>

#include "base/text.h"
#include "net/wire_test_priv.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/thread.h"

enum { CONNECTIONS = 4 };

static struct {
    struct loop *loop;
    char address[64];
    int64_t until_ns;
    struct str request;
    int pipelined;
    int64_t server_cpu_ns;
    uint64_t requests;
} bench;

static void handler(struct http_request *r) {
    http_reply(r, &(struct http_reply){.status = 200, .content_type = STR("text/plain"), .body = STR("ok")});
}

static void run_loop(void *context) {
    (void)context;
    int64_t start = clock_thread_cpu_ns();
    loop_run(bench.loop);
    bench.server_cpu_ns = clock_thread_cpu_ns() - start;
}

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "net_bench: %s\n", err_text(e));
    __builtin_trap();
}

struct client {
    int fd;
    size_t unsent; /* of the requests of this turn */
    int unanswered;
};

static void client_send(struct client *c) {
    size_t total = bench.request.n, n;
    while (c->unsent) {
        size_t at = (total - c->unsent % total) % total;
        must(socket_write(c->fd, &(struct socket_piece){bench.request.p + at, total - at}, 1, &n));
        c->unsent -= n;
        if (n < total - at) break;
    }
}

static uint64_t client_receive(struct client *c) {
    char bytes[65536];
    size_t n;
    bool end;
    must(socket_read(c->fd, bytes, sizeof bytes, &n, &end));
    int answers = 0;
    for (char *at = bytes; (at = memmem(at, (size_t)(bytes + n - at), "\r\n\r\nok", 6)); at++) answers++;
    c->unanswered -= answers;
    return (uint64_t)answers;
}

static void clients_run(void) {
    struct client clients[CONNECTIONS] = {0};
    struct pollfd polled[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) must(socket_connect_wait(bench.address, 1000000000, &clients[i].fd));
    while (clock_monotonic_ns() < bench.until_ns) {
        for (int i = 0; i < CONNECTIONS; i++) {
            struct client *c = &clients[i];
            if (c->unanswered == 0) {
                c->unanswered = bench.pipelined;
                c->unsent = bench.request.n * (size_t)bench.pipelined;
            }
            client_send(c);
            polled[i] = (struct pollfd){.fd = c->fd, .events = (short)(POLLIN | (c->unsent ? POLLOUT : 0))};
        }
        poll(polled, CONNECTIONS, 1000);
        for (int i = 0; i < CONNECTIONS; i++)
            if (polled[i].revents & POLLIN) bench.requests += client_receive(&clients[i]);
    }
    for (int i = 0; i < CONNECTIONS; i++) socket_close(clients[i].fd);
}

static void measure(const char *name, struct str request, int pipelined, double seconds) {
    struct http_server *server;
    struct thread *thread;
    must(loop_new(&bench.loop));
    must(http_server_new(bench.loop, &(struct http_server_options){.handler = handler}, &server));
    must(http_server_listen(server, "127.0.0.1:0", NULL, bench.address));
    bench.request = request;
    bench.pipelined = pipelined;
    bench.requests = 0;
    int64_t start = clock_monotonic_ns();
    bench.until_ns = start + (int64_t)(seconds * 1e9);
    must(thread_start(&thread, "loop", 0, run_loop, NULL));
    clients_run();
    double wall = (double)(clock_monotonic_ns() - start) / 1e9, n = (double)bench.requests;
    loop_stop(bench.loop);
    thread_join(thread);
    http_server_free(server);
    loop_free(bench.loop);
    printf("%-22s %10.0f requests/s %9.1f MB/s %8.2f us CPU a request\n", name, n / wall,
           n * (double)request.n / wall / 1e6, (double)bench.server_cpu_ns / 1e3 / n);
}

static void measure_without_sockets(const char *name, struct str request, int n) {
    struct wire w;
    wire_open(&w, &(struct http_server_options){.handler = handler});
    w.engine.dated = true;
    int64_t start = clock_thread_cpu_ns();
    for (int i = 0; i < n; i++) {
        wire_feed(&w, request, SIZE_MAX);
        buf_clear(&w.out);
    }
    printf("%-22s %67.2f us CPU a request\n", name, (double)(clock_thread_cpu_ns() - start) / 1e3 / n);
    wire_close(&w);
}

int main(int argc, char **argv) {
    process_signals_block();
    double seconds = 2;
    if (argc > 1) must(parse_f64(str_of(argv[1]), &seconds));
    struct buf post;
    buf_init(&post, MIB);
    buf_add_fmt(&post,
                "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
                "User-Agent: bench\r\nContent-Length: 300000\r\n\r\n%0300000d",
                0);
    const struct str get = STR("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");
    measure("tiny GET", get, 1, seconds);
    measure("tiny GET, 16 pipelined", get, 16, seconds);
    measure("POST of 300 KB", buf_str(&post), 1, seconds);
    measure_without_sockets("tiny GET, no socket", get, 1000000);
    measure_without_sockets("POST, no socket", buf_str(&post), 10000);
    buf_done(&post);
    return 0;
}
