/* What the tests of TLS share: a server and OpenSSL's own client, over real sockets on loopback, driven on one thread. Header only. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/connection_priv.h"
#include "net/tls_priv.h"
#include "net/tls_test_priv.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/process.h"

#define GET "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
#define GET_CLOSE "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
static const int64_t ms = 1000000;
static const long year_s = 365 * 86400;

static struct {
    struct made_pair authority, stranger;
    char dir[64], certificate[128], key[128], authorities[128];
    struct tls *tls;
    struct loop *loop;
    struct http_server *server;
    char address[64], plain_address[64];
    int requests;
    bool hold, was_tls;
    struct http_request *held;
    size_t answer_size, body_size;
    char subject[256], names[256];
    bool drained;
} t;

static inline void answer(struct http_request *r) {
    char *body = mem_new(t.answer_size + 3);
    for (size_t i = 0; i < t.answer_size; i++) body[i] = (char)('a' + i % 23);
    memcpy(body + t.answer_size, "ok", 2);
    http_reply(r, &(struct http_reply){.status = 200, .body = {body, t.answer_size + 2}, .body_owned = body});
}

static inline void handler(struct http_request *r) {
    t.requests++;
    t.was_tls = http_is_tls(r);
    t.body_size = http_body(r).n;
    snprintf(t.subject, sizeof t.subject, STR_FMT, STR_ARG(http_client_subject(r)));
    snprintf(t.names, sizeof t.names, STR_FMT, STR_ARG(http_client_names(r)));
    if (t.hold)
        t.held = r;
    else
        answer(r);
}

/* ---- the server's side ------------------------------------------------------------------------------------------ */

static inline void write_pair(const char *names, long valid_s) {
    struct made_pair p = made_pair_new("server", names, valid_s, &t.authority);
    made_write_certificate(t.certificate, &p);
    made_write_key(t.key, &p, NULL);
    assert_int_equal(chmod(t.key, 0600), 0);
    made_pair_free(&p);
}

static inline int begin_all(void **state) {
    (void)state;
    process_signals_block();
    process_open_files_raise();
    snprintf(t.dir, sizeof t.dir, "/tmp/clew-tls-XXXXXX");
    if (!mkdtemp(t.dir)) return -1;
    snprintf(t.certificate, sizeof t.certificate, "%s/server.crt", t.dir);
    snprintf(t.key, sizeof t.key, "%s/server.key", t.dir);
    snprintf(t.authorities, sizeof t.authorities, "%s/ca.crt", t.dir);
    t.authority = made_pair_new("authority", NULL, 10 * year_s, NULL);
    t.stranger = made_pair_new("stranger", NULL, 10 * year_s, NULL);
    made_write_certificate(t.authorities, &t.authority);
    return 0;
}

static inline int end_all(void **state) {
    (void)state;
    unlink(t.certificate), unlink(t.key), unlink(t.authorities);
    made_pair_free(&t.authority);
    made_pair_free(&t.stranger);
    return rmdir(t.dir);
}

static inline struct tls_options files(void) {
    return (struct tls_options){.certificate_file = t.certificate, .key_file = t.key, .protocols = TLS_PROTOCOLS};
}

static inline void begin_with(const struct http_server_options *server, const struct tls_options *o) {
    struct http_server_options options = *server;
    options.handler = handler;
    t.requests = 0;
    t.answer_size = t.body_size = 0;
    t.hold = t.was_tls = t.drained = false;
    assert_null(tls_new(o, &t.tls));
    assert_null(loop_new(&t.loop));
    assert_null(http_server_new(t.loop, &options, &t.server));
    assert_null(http_server_listen_tls(t.server, "127.0.0.1:0", t.tls, NULL, t.address));
    assert_null(http_server_listen(t.server, "127.0.0.1:0", NULL, t.plain_address));
}

static inline void begin(void) {
    write_pair("DNS:localhost,IP:127.0.0.1", year_s);
    struct tls_options o = files();
    begin_with(&(struct http_server_options){.linger_ns = 200 * ms}, &o);
}

static inline void end(void) {
    http_server_free(t.server);
    loop_free(t.loop);
    tls_free(t.tls);
}

static inline struct http_server_stats stats(void) {
    struct http_server_stats s;
    http_server_get_stats(t.server, &s);
    return s;
}

/* ---- the client's side ------------------------------------------------------------------------------------------ */

/* OpenSSL talks to memory; move() carries bytes, at most `step` at once. */
struct client {
    SSL_CTX *context;
    SSL *ssl; /* NULL: plain bytes */
    int fd;
    size_t step;
    struct buf to_send, got; /* plain bytes */
    size_t sent;
    bool ended, reset, failed, stalled; /* stalled: reads nothing */
    int reason;                         /* OpenSSL's, when it failed */
};

static inline void client_open(struct client *c, const char *address) {
    *c = (struct client){.fd = -1, .step = SIZE_MAX};
    buf_init(&c->to_send, 64 * MIB);
    buf_init(&c->got, 64 * MIB);
    assert_null(socket_connect_wait(address, 5000 * ms, &c->fd));
}

static inline struct client client_plain(const char *address) {
    struct client c;
    client_open(&c, address);
    return c;
}

static inline struct client client_tls(int version) {
    struct client c;
    client_open(&c, t.address);
    c.context = SSL_CTX_new(TLS_client_method());
    X509_STORE_add_cert(SSL_CTX_get_cert_store(c.context), t.authority.certificate);
    SSL_CTX_set_verify(c.context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_min_proto_version(c.context, version);
    SSL_CTX_set_max_proto_version(c.context, version);
    c.ssl = SSL_new(c.context);
    SSL_set_bio(c.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_tlsext_host_name(c.ssl, "localhost");
    SSL_set1_host(c.ssl, "localhost");
    SSL_set_connect_state(c.ssl);
    return c;
}

static inline void client_close(struct client *c) {
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    socket_close(c->fd);
    buf_done(&c->to_send);
    buf_done(&c->got);
    ERR_clear_error();
}

static inline void client_say(struct client *c, const char *text) { buf_add_text(&c->to_send, text); }

static inline void send_raw(struct client *c, const void *bytes, size_t n) {
    size_t written = 0;
    err e = socket_write(c->fd, &(struct socket_piece){bytes, n}, 1, &written);
    c->reset |= e != NULL;
    err_free(e);
}

/* What OpenSSL wants out goes to the socket. */
static inline void push(struct client *c) {
    char *p;
    BIO *out = SSL_get_wbio(c->ssl);
    long n = BIO_get_mem_data(out, &p);
    if (n <= 0 || c->reset) return;
    size_t written = 0;
    err e = socket_write(c->fd, &(struct socket_piece){p, MIN((size_t)n, c->step)}, 1, &written);
    c->reset |= e != NULL;
    err_free(e);
    AUTO_FREE char *skipped = mem_new(written + 1);
    BIO_read(out, skipped, (int)written);
}

static inline void pull(struct client *c) {
    char bytes[65536];
    size_t n = 1;
    while (n && !c->ended && !c->reset && !c->stalled) {
        err e = socket_read(c->fd, bytes, MIN(sizeof bytes, c->step), &n, &c->ended);
        c->reset = e != NULL;
        err_free(e);
        if (c->reset) return;
        if (c->ssl)
            BIO_write(SSL_get_rbio(c->ssl), bytes, (int)n);
        else
            buf_add(&c->got, bytes, n);
        if (c->step < sizeof bytes) return;
    }
}

static inline void note_failure(struct client *c, int result) {
    int kind = SSL_get_error(c->ssl, result);
    if (kind != SSL_ERROR_SSL) return;
    if (!c->failed) c->reason = ERR_GET_REASON(ERR_peek_error());
    c->failed = true;
    ERR_clear_error();
}

static inline void move(struct client *c) {
    char bytes[16384];
    pull(c);
    if (!c->ssl) {
        if (c->sent < c->to_send.n) send_raw(c, c->to_send.p + c->sent, c->to_send.n - c->sent);
        c->sent = c->to_send.n;
        return;
    }
    ERR_clear_error();
    if (!c->failed) {
        int n = SSL_do_handshake(c->ssl);
        if (n != 1) note_failure(c, n);
        while (n == 1 && c->sent < c->to_send.n) {
            n = SSL_write(c->ssl, c->to_send.p + c->sent, (int)MIN(c->to_send.n - c->sent, (size_t)16384));
            if (n > 0) c->sent += (size_t)n, n = 1;
        }
        while (!c->stalled && SSL_is_init_finished(c->ssl) && (n = SSL_read(c->ssl, bytes, sizeof bytes)) > 0)
            buf_add(&c->got, bytes, (size_t)n);
        if (n <= 0) note_failure(c, n);
    }
    push(c);
}

/* ---- driving the loop ------------------------------------------------------------------------------------------- */

struct driving {
    struct client *client;
    bool (*until)(struct client *c);
    struct loop_timer tick;
    int64_t deadline_ns;
    bool met;
};

static inline void on_tick(void *context) {
    struct driving *d = context;
    int64_t now = clock_monotonic_ns();
    if (d->client) move(d->client);
    d->met = d->until(d->client);
    if (d->met || now > d->deadline_ns)
        loop_stop(t.loop);
    else
        loop_timer_set(t.loop, &d->tick, now + ms / 20);
}

static inline void drive(struct client *c, bool (*until)(struct client *c)) {
    struct driving d = {.client = c, .until = until, .deadline_ns = clock_monotonic_ns() + 10000 * ms};
    d.tick = (struct loop_timer){.fn = on_tick, .context = &d};
    loop_timer_set(t.loop, &d.tick, 0);
    loop_run(t.loop);
    assert_true(d.met);
}

static inline bool has_answer(struct client *c) { return c->got.n && memmem(c->got.p, c->got.n, "ok", 2); }
static inline bool is_over(struct client *c) { return c->ended || c->reset || c->failed; }
static inline bool is_closed(struct client *c) { return c->ended || c->reset; }
static inline bool is_connected(struct client *c) { return SSL_is_init_finished(c->ssl) && stats().tls_handshakes > 0; }
static inline bool server_has_none(struct client *c) {
    (void)c;
    return stats().connections == 0;
}
static inline bool is_held(struct client *c) {
    (void)c;
    return t.held != NULL;
}

static inline bool answers_held(struct client *c) {
    (void)c;
    answer(take(&t.held));
    return true;
}
/* As another part of the program would, while the loop runs. */
static inline void answer_held(void) { drive(NULL, answers_held); }

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
