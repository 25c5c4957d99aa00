/* How much HTTP costs: a server and its clients on loopback, each on a thread of its own.
 *
 *   net_bench [seconds]     tiny GETs, pipelined GETs, POSTs of 300 KB, in plain text and by TLS 1.3, and handshakes: CPU time of
 *                           the server's thread a request; and what of it is ours, without the kernel
 */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "base/text.h"
#include "net/tls_test_priv.h"
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
    SSL_CTX *client_tls; /* NULL: plain text */
    struct tls *server_tls;
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
    SSL *ssl;
    size_t unsent; /* of the requests of this turn */
    int unanswered;
};

static void client_send(struct client *c) {
    size_t total = bench.request.n, n;
    while (c->unsent) {
        size_t at = (total - c->unsent % total) % total;
        if (!c->ssl)
            must(socket_write(c->fd, &(struct socket_piece){bench.request.p + at, total - at}, 1, &n));
        else if (!SSL_write_ex(c->ssl, bench.request.p + at, total - at, &n))
            return;
        c->unsent -= n;
        if (n < total - at) break;
    }
}

static uint64_t client_receive(struct client *c) {
    char bytes[65536];
    size_t n;
    bool end;
    if (!c->ssl)
        must(socket_read(c->fd, bytes, sizeof bytes, &n, &end));
    else if (!SSL_read_ex(c->ssl, bytes, sizeof bytes, &n))
        return 0;
    int answers = 0;
    for (char *at = bytes; (at = memmem(at, (size_t)(bytes + n - at), "\r\n\r\nok", 6)); at++) answers++;
    c->unanswered -= answers;
    return (uint64_t)answers;
}

static void client_connect(struct client *c) {
    must(socket_connect_wait(bench.address, 1000000000, &c->fd));
    if (!bench.client_tls) return;
    c->ssl = SSL_new(bench.client_tls);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set_mode(c->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    while (SSL_connect(c->ssl) != 1) poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, 1000);
}

static void client_close(struct client *c) {
    SSL_free(c->ssl);
    socket_close(c->fd);
}

static void handshakes_run(void) {
    for (; clock_monotonic_ns() < bench.until_ns; bench.requests++) {
        struct client c = {0};
        client_connect(&c);
        client_close(&c);
    }
}

static void clients_run(void) {
    struct client clients[CONNECTIONS] = {0};
    struct pollfd polled[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) client_connect(&clients[i]);
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
    for (int i = 0; i < CONNECTIONS; i++) client_close(&clients[i]);
}

/* request.n 0: handshakes alone. */
static void measure(const char *name, struct str request, int pipelined, double seconds) {
    struct http_server *server;
    struct thread *thread;
    must(loop_new(&bench.loop));
    must(http_server_new(bench.loop, &(struct http_server_options){.handler = handler}, &server));
    struct tls *tls = bench.client_tls ? bench.server_tls : NULL;
    must(http_server_listen_tls(server, "127.0.0.1:0", tls, NULL, bench.address));
    bench.request = request;
    bench.pipelined = pipelined;
    bench.requests = 0;
    int64_t start = clock_monotonic_ns();
    bench.until_ns = start + (int64_t)(seconds * 1e9);
    must(thread_start(&thread, "loop", 0, run_loop, NULL));
    (request.n ? clients_run : handshakes_run)();
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

static void make_tls(void) {
    char certificate[] = "/tmp/clew-bench-XXXXXX", key[] = "/tmp/clew-bench-XXXXXX";
    struct made_pair pair = made_pair_new("bench", "DNS:localhost", 86400 * 90, NULL);
    if (mkstemp(certificate) < 0 || mkstemp(key) < 0) abort();
    made_write_certificate(certificate, &pair);
    made_write_key(key, &pair, NULL);
    must(tls_new(&(struct tls_options){.certificate_file = certificate, .key_file = key, .protocols = TLS_PROTOCOLS},
                 &bench.server_tls));
    unlink(certificate), unlink(key);
    made_pair_free(&pair);
}

static void measure_sockets(struct str get, struct str post, double seconds) {
    const char *how = bench.client_tls ? "TLS" : "plain";
    char name[3][32];
    snprintf(name[0], sizeof name[0], "%s: tiny GET", how);
    snprintf(name[1], sizeof name[1], "%s: GET, 16 pipelined", how);
    snprintf(name[2], sizeof name[2], "%s: POST of 300 KB", how);
    measure(name[0], get, 1, seconds);
    measure(name[1], get, 16, seconds);
    measure(name[2], post, 1, seconds);
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
    make_tls();
    measure_sockets(get, buf_str(&post), seconds);
    bench.client_tls = SSL_CTX_new(TLS_client_method());
    measure_sockets(get, buf_str(&post), seconds);
    measure("TLS 1.3 handshake", STR(""), 0, seconds);
    SSL_CTX_set_max_proto_version(bench.client_tls, TLS1_2_VERSION);
    measure("TLS 1.2 handshake", STR(""), 0, seconds);
    SSL_CTX_free(bench.client_tls);
    tls_free(bench.server_tls);
    measure_without_sockets("tiny GET, no socket", get, 1000000);
    measure_without_sockets("POST, no socket", buf_str(&post), 10000);
    buf_done(&post);
    return 0;
}
