/* TLS over real sockets on loopback, all on one thread, with OpenSSL's own client at the other end. */
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

static void answer(struct http_request *r) {
    char *body = mem_new(t.answer_size + 3);
    for (size_t i = 0; i < t.answer_size; i++) body[i] = (char)('a' + i % 23);
    memcpy(body + t.answer_size, "ok", 2);
    http_reply(r, &(struct http_reply){.status = 200, .body = {body, t.answer_size + 2}, .body_owned = body});
}

static void handler(struct http_request *r) {
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

static void write_pair(const char *names, long valid_s) {
    struct made_pair p = made_pair_new("server", names, valid_s, &t.authority);
    made_write_certificate(t.certificate, &p);
    made_write_key(t.key, &p, NULL);
    assert_int_equal(chmod(t.key, 0600), 0);
    made_pair_free(&p);
}

static int begin_all(void **state) {
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

static int end_all(void **state) {
    (void)state;
    unlink(t.certificate), unlink(t.key), unlink(t.authorities);
    made_pair_free(&t.authority);
    made_pair_free(&t.stranger);
    return rmdir(t.dir);
}

static struct tls_options files(void) {
    return (struct tls_options){.certificate_file = t.certificate, .key_file = t.key, .protocols = TLS_PROTOCOLS};
}

static void begin_with(const struct http_server_options *server, const struct tls_options *o) {
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

static void begin(void) {
    write_pair("DNS:localhost,IP:127.0.0.1", year_s);
    struct tls_options o = files();
    begin_with(&(struct http_server_options){.linger_ns = 200 * ms}, &o);
}

static void end(void) {
    http_server_free(t.server);
    loop_free(t.loop);
    tls_free(t.tls);
}

static struct http_server_stats stats(void) {
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

static void client_open(struct client *c, const char *address) {
    *c = (struct client){.fd = -1, .step = SIZE_MAX};
    buf_init(&c->to_send, 64 * MIB);
    buf_init(&c->got, 64 * MIB);
    assert_null(socket_connect_wait(address, 5000 * ms, &c->fd));
}

static struct client client_plain(const char *address) {
    struct client c;
    client_open(&c, address);
    return c;
}

static struct client client_tls(int version) {
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

static void client_close(struct client *c) {
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    socket_close(c->fd);
    buf_done(&c->to_send);
    buf_done(&c->got);
    ERR_clear_error();
}

static void client_say(struct client *c, const char *text) { buf_add_text(&c->to_send, text); }

static void send_raw(struct client *c, const void *bytes, size_t n) {
    size_t written = 0;
    err e = socket_write(c->fd, &(struct socket_piece){bytes, n}, 1, &written);
    c->reset |= e != NULL;
    err_free(e);
}

/* What OpenSSL wants out goes to the socket. */
static void push(struct client *c) {
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

static void pull(struct client *c) {
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

static void note_failure(struct client *c, int result) {
    int kind = SSL_get_error(c->ssl, result);
    if (kind != SSL_ERROR_SSL) return;
    if (!c->failed) c->reason = ERR_GET_REASON(ERR_peek_error());
    c->failed = true;
    ERR_clear_error();
}

static void move(struct client *c) {
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

static void on_tick(void *context) {
    struct driving *d = context;
    int64_t now = clock_monotonic_ns();
    if (d->client) move(d->client);
    d->met = d->until(d->client);
    if (d->met || now > d->deadline_ns)
        loop_stop(t.loop);
    else
        loop_timer_set(t.loop, &d->tick, now + ms / 20);
}

static void drive(struct client *c, bool (*until)(struct client *c)) {
    struct driving d = {.client = c, .until = until, .deadline_ns = clock_monotonic_ns() + 10000 * ms};
    d.tick = (struct loop_timer){.fn = on_tick, .context = &d};
    loop_timer_set(t.loop, &d.tick, 0);
    loop_run(t.loop);
    assert_true(d.met);
}

static bool has_answer(struct client *c) { return c->got.n && memmem(c->got.p, c->got.n, "ok", 2); }
static bool is_over(struct client *c) { return c->ended || c->reset || c->failed; }
static bool is_closed(struct client *c) { return c->ended || c->reset; }
static bool is_connected(struct client *c) { return SSL_is_init_finished(c->ssl) && stats().tls_handshakes > 0; }
static bool server_has_none(struct client *c) {
    (void)c;
    return stats().connections == 0;
}
static bool is_held(struct client *c) {
    (void)c;
    return t.held != NULL;
}

static bool answers_held(struct client *c) {
    (void)c;
    answer(take(&t.held));
    return true;
}
/* As another part of the program would, while the loop runs. */
static void answer_held(void) { drive(NULL, answers_held); }

/* ---- what works ------------------------------------------------------------------------------------------------- */

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

static void requests_are_answered_by_both_versions(void **state) {
    (void)state;
    begin();
    for (size_t i = 0; i < LENGTH(versions); i++) {
        struct client c = client_tls(versions[i]);
        SSL_set_alpn_protos(c.ssl, (const unsigned char *)"\3ftp\x8http/1.1", 13);
        client_say(&c, GET);
        drive(&c, has_answer);
        const unsigned char *protocol;
        unsigned n;
        SSL_get0_alpn_selected(c.ssl, &protocol, &n);
        assert_int_equal(n, 8);
        assert_memory_equal(protocol, "http/1.1", 8);
        assert_int_equal(SSL_version(c.ssl), versions[i]);
        assert_true(t.was_tls);
        assert_string_equal(t.subject, "");
        buf_clear(&c.got);
        client_say(&c, GET GET GET);
        drive(&c, has_answer);
        client_close(&c);
    }
    assert_int_equal(t.requests, 8);
    assert_int_equal(stats().tls_handshakes, 2);
    assert_int_equal(stats().tls_failures, 0);
    assert_true(stats().tls_expires_s > clock_wall_ns() / 1000000000 + year_s - 3600);
    end();
}

static bool has_all(struct client *c) { return c->got.n >= t.answer_size && has_answer(c); }

static void check_large(size_t step, size_t size, int version) {
    begin();
    t.answer_size = size;
    struct client c = client_tls(version);
    c.step = step;
    buf_add_fmt(&c.to_send, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n%0*d", size, (int)size, 0);
    client_say(&c, GET);
    drive(&c, has_all);
    assert_int_equal(t.body_size, t.requests == 1 ? size : 0);
    const char *body = (const char *)memmem(c.got.p, c.got.n, "\r\n\r\n", 4) + 4;
    for (size_t i = 0; i < size; i++)
        if (body[i] != (char)('a' + i % 23)) fail_msg("byte %zu differs", i);
    client_close(&c);
    end();
}

static void large_bodies_and_answers_arrive_whole(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 16383, 16384, 16385, 300000, 9 * MIB};
    for (size_t i = 0; i < LENGTH(sizes); i++) check_large(SIZE_MAX, MAX(sizes[i], (size_t)1), versions[i % 2]);
}

static void bytes_cut_in_every_way_make_no_difference(void **state) {
    (void)state;
    const size_t steps[] = {1, 3, 7, 100};
    for (size_t i = 0; i < LENGTH(steps); i++) check_large(steps[i], 500, versions[i % 2]);
    check_large(4096, 100000, TLS1_3_VERSION);
}

static void answers_from_elsewhere_find_their_way_and_pipelined_requests_go_on(void **state) {
    (void)state;
    begin();
    t.hold = true;
    t.held = NULL;
    struct client c = client_tls(TLS1_3_VERSION);
    client_say(&c, GET GET GET); /* one record: the second and third are inside OpenSSL when the first is answered */
    for (int i = 0; i < 3; i++) {
        drive(&c, is_held);
        buf_clear(&c.got);
        answer_held();
        drive(&c, has_answer);
    }
    assert_int_equal(t.requests, 3);
    client_close(&c);
    end();
}

static bool is_stuck(struct client *c) { return c->stalled && t.requests == 1; }

static void a_slow_reader_gets_all_and_a_goodbye(void **state) {
    (void)state;
    begin();
    t.answer_size = 20 * MIB; /* more than the sockets hold */
    struct client c = client_tls(TLS1_3_VERSION);
    drive(&c, is_connected);
    c.stalled = true;
    client_say(&c, GET_CLOSE);
    drive(&c, is_stuck);
    c.stalled = false;
    drive(&c, is_closed);
    assert_true(has_all(&c));
    assert_int_equal(SSL_get_shutdown(c.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    drive(NULL, server_has_none);
    client_close(&c);
    end();
}

static void key_updates_do_no_harm(void **state) {
    (void)state;
    begin();
    struct client c = client_tls(TLS1_3_VERSION);
    drive(&c, is_connected);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        SSL_do_handshake(c.ssl);
    }
    client_say(&c, GET);
    drive(&c, has_answer);
    client_close(&c);
    end();
}

static void nothing_is_resumed(void **state) {
    (void)state;
    begin();
    SSL_SESSION *session = NULL;
    for (int i = 0; i < 4; i++) {
        struct client c = client_tls(versions[i / 2]);
        if (i % 2) SSL_set_session(c.ssl, session);
        client_say(&c, GET);
        drive(&c, has_answer);
        assert_false(SSL_session_reused(c.ssl));
        SSL_SESSION_free(session);
        session = SSL_get1_session(c.ssl);
        assert_false(SSL_SESSION_has_ticket(session));
        client_close(&c);
    }
    SSL_SESSION_free(session);
    end();
}

/* ---- bad input -------------------------------------------------------------------------------------------------- */

static void old_versions_and_weak_suites_are_refused(void **state) {
    (void)state;
    begin();
    const int old[] = {TLS1_VERSION, TLS1_1_VERSION};
    for (size_t i = 0; i < LENGTH(old); i++) {
        struct client c = client_tls(old[i]);
        SSL_set_security_level(c.ssl, 0);
        drive(&c, is_over);
        assert_int_equal(c.reason, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
        client_close(&c);
    }
    const char *const weak[] = {"AES128-SHA", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-SHA",
                                "DHE-RSA-AES128-GCM-SHA256"};
    for (size_t i = 0; i < LENGTH(weak); i++) {
        struct client c = client_tls(TLS1_2_VERSION);
        assert_int_equal(SSL_set_cipher_list(c.ssl, weak[i]), 1);
        drive(&c, is_over);
        assert_true(c.failed);
        client_close(&c);
    }
    assert_int_equal(stats().tls_failures, 6);
    assert_int_equal(t.requests, 0);
    end();
}

/* A hello of TLS 1.2 that offers RC4 alone, which OpenSSL 3 can no longer say. */
static const unsigned char rc4_hello[] = {0x16, 3,  1,  0,  45, 1,  0,  0,  41, 3,  3,  1,  2,  3,  4,  5,  6,
                                          7,    8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
                                          24,   25, 26, 27, 28, 29, 30, 31, 32, 0,  0,  2,  0,  5,  1,  0};

static void rc4_is_refused_by_an_alert(void **state) {
    (void)state;
    begin();
    struct client c = client_plain(t.address);
    send_raw(&c, rc4_hello, sizeof rc4_hello);
    drive(&c, is_closed);
    assert_true(c.got.n >= 7);
    assert_int_equal(c.got.p[0], 21); /* alert */
    assert_int_equal(c.got.p[5], 2);  /* fatal */
    assert_int_equal(c.got.p[6], 40); /* handshake_failure */
    client_close(&c);
    end();
}

static void a_client_of_another_protocol_is_refused(void **state) {
    (void)state;
    begin();
    struct client c = client_tls(TLS1_3_VERSION);
    SSL_set_alpn_protos(c.ssl, (const unsigned char *)"\3ftp", 4);
    drive(&c, is_over);
    assert_int_equal(c.reason, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    client_close(&c);
    end();
}

static void plain_http_is_told_that_the_port_speaks_tls(void **state) {
    (void)state;
    begin();
    const char *const heads[] = {GET, "DELETE /x HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS * HTTP/1.1\r\n",
                                 "POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nunfinishe",
                                 "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"};
    for (size_t i = 0; i < LENGTH(heads); i++) {
        struct client c = client_plain(t.address);
        client_say(&c, heads[i]);
        drive(&c, is_closed);
        assert_false(c.reset);
        assert_memory_equal(c.got.p, "HTTP/1.1 400 Bad Request\r\n", 26);
        assert_non_null(strstr(c.got.p, "\r\n\r\nthis port speaks TLS: ask with https://\n"));
        client_close(&c);
    }
    assert_int_equal(t.requests, 0);
    assert_int_equal(stats().tls_failures, LENGTH(heads));
    end();
}

static void tls_on_a_plain_port_is_closed_without_an_answer(void **state) {
    (void)state;
    begin();
    struct client c = client_plain(t.plain_address);
    send_raw(&c, rc4_hello, sizeof rc4_hello);
    drive(&c, is_closed);
    assert_int_equal(c.got.n, 0);
    client_close(&c);
    c = client_plain(t.plain_address); /* later it is a bad request as any other */
    client_say(&c, GET);
    drive(&c, has_answer);
    send_raw(&c, rc4_hello, sizeof rc4_hello);
    drive(&c, is_closed);
    assert_non_null(strstr(c.got.p, "okHTTP/1.1 400 "));
    client_close(&c);
    end();
}

static void garbage_and_oversized_records_end_the_connection(void **state) {
    (void)state;
    begin();
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {{"\0\0\0\0\0\0\0\0", 8},
               {"\x16\x03\x01\xff\xff", 5},
               {"\x17\x03\x03\x00\x05hello", 10},
               {"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10 an SSL 2 hello that is long enough to be whole", 59},
               {"\x16\x03\x01\x00\x00", 5},
               {"\x16\x09\x01\x00\x05\x01\x00\x00\x01\x00", 10},
               {"\xff\xff\xff\xff\xff\xff", 6},
               {"\x15\x03\x01\x00\x02\x02\x28", 7}};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct client c = client_plain(t.address);
        send_raw(&c, bad[i].bytes, bad[i].n);
        if (i == 4) /* empty records, one after the other */
            for (int n = 0; n < 64; n++) send_raw(&c, bad[i].bytes, bad[i].n);
        drive(&c, is_closed);
        client_close(&c);
    }
    assert_int_equal(stats().tls_failures, LENGTH(bad));
    end();
}

static void damaged_records_after_the_handshake_end_the_connection(void **state) {
    (void)state;
    static const char oversized[] = "\x17\x03\x03\xff\xff",
                      forged[] = "\x17\x03\x03\x00\x20 not the right key of this session";
    const struct str bad[] = {{oversized, 5}, {forged, 37}};
    for (size_t i = 0; i < LENGTH(bad) * 2; i++) {
        begin();
        struct client c = client_tls(versions[i % 2]);
        drive(&c, is_connected);
        send_raw(&c, bad[i / 2].p, bad[i / 2].n);
        drive(&c, is_closed);
        assert_int_equal(t.requests, 0);
        client_close(&c);
        end();
    }
}

static void half_and_slow_handshakes_run_out_of_time(void **state) {
    (void)state;
    write_pair("DNS:localhost", year_s);
    struct tls_options o = files();
    begin_with(&(struct http_server_options){.handshake_ns = 30 * ms}, &o);
    struct client silent = client_plain(t.address), half = client_plain(t.address), slow = client_tls(TLS1_3_VERSION);
    send_raw(&half, rc4_hello, 20);
    slow.step = 1; /* a byte a tick, and an answer is not read meanwhile */
    slow.stalled = true;
    drive(&silent, is_closed);
    drive(&half, is_closed);
    drive(&slow, is_closed);
    assert_int_equal(silent.got.n + half.got.n, 0);
    assert_int_equal(stats().tls_failures, 3);
    assert_int_equal(stats().connections, 0);
    client_close(&silent);
    client_close(&half);
    client_close(&slow);
    end();
}

static void of_too_many_handshakes_the_oldest_goes(void **state) {
    (void)state;
    begin();
    enum { MANY = 1024 };
    struct client *half = mem_new_array(struct client, MANY);
    for (int i = 0; i < MANY; i++) {
        half[i] = client_plain(t.address);
        send_raw(&half[i], rc4_hello, 20);
    }
    struct client c = client_tls(TLS1_3_VERSION);
    client_say(&c, GET);
    drive(&c, has_answer);
    drive(&half[0], is_closed);
    assert_int_equal(stats().tls_failures, 1);
    assert_int_equal(stats().connections, MANY);
    for (int i = 0; i < MANY; i++) client_close(&half[i]);
    mem_free(half);
    client_close(&c);
    end();
}

static bool has_failed_or_answer(struct client *c) { return is_over(c) || has_answer(c); }

static void renegotiation_is_refused(void **state) {
    (void)state;
    begin();
    struct client c = client_tls(TLS1_2_VERSION);
    drive(&c, is_connected);
    assert_int_equal(SSL_renegotiate(c.ssl), 1);
    client_say(&c, GET);
    drive(&c, has_failed_or_answer);
    assert_int_equal(c.reason, SSL_R_NO_RENEGOTIATION);
    assert_int_equal(stats().tls_handshakes, 1);
    client_close(&c);
    end();
}

static void a_body_cut_off_without_goodbye_reaches_no_handler(void **state) {
    (void)state;
    begin();
    for (size_t i = 0; i < 2 * LENGTH(versions); i++) {
        struct client c = client_tls(versions[i % 2]);
        drive(&c, is_connected);
        client_say(&c, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        move(&c);
        if (i / 2) { /* with goodbye: half-closed in the middle of a request, which is answered so */
            SSL_shutdown(c.ssl);
            drive(&c, is_over);
            assert_memory_equal(c.got.p, "HTTP/1.1 400 ", 13);
        }
        client_close(&c);
        drive(NULL, server_has_none);
    }
    assert_int_equal(t.requests, 0);
    end();
}

static void a_client_that_said_goodbye_still_gets_its_answer(void **state) {
    (void)state;
    begin();
    t.hold = true;
    t.held = NULL;
    struct client c = client_tls(TLS1_3_VERSION);
    client_say(&c, GET);
    drive(&c, is_held);
    SSL_shutdown(c.ssl);
    move(&c);
    answer_held();
    drive(&c, has_answer);
    drive(&c, is_closed);
    client_close(&c);
    end();
}

static void one_too_many_is_told_so_by_tls(void **state) {
    (void)state;
    write_pair("DNS:localhost", year_s);
    struct tls_options o = files();
    begin_with(&(struct http_server_options){.connections_max = 1}, &o);
    t.hold = true;
    t.held = NULL;
    struct client first = client_tls(TLS1_3_VERSION), second = client_tls(TLS1_3_VERSION);
    client_say(&first, GET);
    drive(&first, is_held);
    client_say(&second, GET);
    drive(&second, is_over);
    assert_memory_equal(second.got.p, "HTTP/1.1 503 ", 13);
    answer_held();
    drive(&first, has_answer);
    client_close(&first);
    client_close(&second);
    end();
}

static void on_drained(void *context) {
    (void)context;
    t.drained = true;
}
static bool is_drained(struct client *c) {
    (void)c;
    return t.drained;
}

static void draining_waits_for_answers_but_not_for_handshakes(void **state) {
    (void)state;
    begin();
    t.hold = true;
    t.held = NULL;
    struct client half = client_plain(t.address), c = client_tls(TLS1_3_VERSION);
    send_raw(&half, rc4_hello, 20);
    client_say(&c, GET);
    drive(&c, is_held);
    http_server_drain(t.server, clock_monotonic_ns() + 5000 * ms, on_drained, NULL);
    drive(&half, is_closed);
    assert_false(t.drained);
    answer_held();
    drive(&c, is_closed);
    assert_true(has_answer(&c));
    drive(NULL, is_drained);
    client_close(&half);
    client_close(&c);
    end();
}

/* ---- certificates of clients ------------------------------------------------------------------------------------ */

static struct client client_with(const char *name, const char *names, long valid_s, const struct made_pair *issuer,
                                 int version) {
    struct client c = client_tls(version);
    struct made_pair p = made_pair_new(name, names, valid_s, issuer);
    assert_int_equal(SSL_use_certificate(c.ssl, p.certificate), 1);
    assert_int_equal(SSL_use_PrivateKey(c.ssl, p.key), 1);
    made_pair_free(&p);
    return c;
}

static void handlers_know_a_verified_client(void **state) {
    (void)state;
    write_pair("DNS:localhost", year_s);
    struct tls_options o = files();
    o.client_ca_file = t.authorities;
    o.client_required = true;
    begin_with(&(struct http_server_options){0}, &o);
    for (size_t i = 0; i < LENGTH(versions); i++) {
        struct client c = client_with("agent, \"7\"\n",
                                      "DNS:agent-7.example,URI:spiffe://example/agent,IP:10.0.0.1,IP:fe80::1,DNS:a b",
                                      year_s, &t.authority, versions[i]);
        client_say(&c, GET GET);
        drive(&c, has_answer);
        assert_string_equal(t.subject, "CN=agent\\, \\\"7\\\"\\0A,O=clew tests");
        assert_string_equal(t.names,
                            "DNS:agent-7.example URI:spiffe://example/agent IP:10.0.0.1 IP:fe80:0:0:0:0:0:0:1");
        client_close(&c);
    }
    struct client held = client_with("held", "DNS:h", year_s, &t.authority, TLS1_3_VERSION);
    t.hold = true;
    t.held = NULL;
    client_say(&held, GET);
    drive(&held, is_held);
    const struct linger reset = {.l_onoff = 1};
    setsockopt(held.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    client_close(&held); /* the request outlives its connection, and knows still */
    drive(NULL, server_has_none);
    assert_true(str_equal(http_client_names(t.held), STR("DNS:h")));
    answer_held();
    end();
}

static void check_refused(struct client c) {
    client_say(&c, GET);
    drive(&c, is_over);
    assert_true(c.failed || c.reset || c.ended);
    assert_int_equal(c.got.n, 0);
    client_close(&c);
}

static void clients_without_a_good_certificate_are_refused(void **state) {
    (void)state;
    write_pair("DNS:localhost", year_s);
    struct tls_options o = files();
    o.client_ca_file = t.authorities;
    for (int required = 0; required < 2; required++) {
        o.client_required = required;
        begin_with(&(struct http_server_options){0}, &o);
        for (size_t i = 0; i < LENGTH(versions); i++) {
            check_refused(client_with("a", "DNS:a", year_s, &t.stranger, versions[i]));
            check_refused(client_with("a", "DNS:a", year_s, NULL, versions[i]));
            check_refused(client_with("a", "DNS:a", -60, &t.authority, versions[i]));
            if (required) check_refused(client_tls(versions[i]));
        }
        assert_int_equal(t.requests, 0);
        if (!required) {
            struct client c = client_tls(TLS1_3_VERSION);
            client_say(&c, GET);
            drive(&c, has_answer);
            assert_string_equal(t.subject, "");
            client_close(&c);
        }
        end();
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* The name in the certificate that the server shows now. */
static void check_shown(const char *name) {
    struct client c = client_tls(TLS1_3_VERSION);
    SSL_set1_host(c.ssl, name);
    client_say(&c, GET);
    drive(&c, has_answer);
    client_close(&c);
}

static void a_changed_pair_is_taken_and_a_broken_one_is_not(void **state) {
    (void)state;
    begin();
    struct client old = client_tls(TLS1_3_VERSION);
    client_say(&old, GET);
    drive(&old, has_answer);
    write_pair("DNS:new.example", 20 * 86400);
    tls_refresh(t.tls);
    check_shown("new.example");
    assert_true(tls_expires_s(t.tls) < clock_wall_ns() / 1000000000 + 21 * 86400);
    FILE *f = fopen(t.certificate, "wb"); /* cut short, as a copy under way would be */
    fputs("-----BEGIN CERTIFICATE-----\nMIIB", f);
    fclose(f);
    tls_refresh(t.tls);
    check_shown("new.example");
    unlink(t.certificate);
    tls_refresh(t.tls);
    check_shown("new.example");
    made_write_certificate(t.certificate, &t.stranger); /* of another key */
    tls_refresh(t.tls);
    check_shown("new.example");
    write_pair("DNS:newer.example", year_s);
    tls_refresh(t.tls);
    check_shown("newer.example");
    buf_clear(&old.got);
    client_say(&old, GET);
    drive(&old, has_answer);
    client_close(&old);
    end();
}

static void check_error(const struct tls_options *o, const char *want) {
    struct tls *tls = NULL;
    err e = tls_new(o, &tls);
    assert_non_null(e);
    if (!strstr(err_text(e), want)) fail_msg("\"%s\" does not say \"%s\"", err_text(e), want);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
}

static void bad_files_are_named_at_the_start(void **state) {
    (void)state;
    write_pair("DNS:localhost", year_s);
    struct tls_options o = files();
    o.certificate_file = "/nowhere/server.crt";
    check_error(&o, "/nowhere/server.crt");
    o = files();
    o.certificate_file = t.key;
    check_error(&o, "holds no certificate");
    o = files();
    o.key_file = t.certificate;
    check_error(&o, "holds no private key");
    o = files();
    o.client_ca_file = t.key;
    check_error(&o, "server.key holds no certificate");
    o = files();
    o.key_file = "/dev/null";
    check_error(&o, "/dev/null holds no private key");
    made_write_certificate(t.certificate, &t.authority);
    o = files();
    check_error(&o, "key values mismatch");
    write_pair("DNS:localhost", year_s);
    struct made_pair p = made_pair_new("locked", "DNS:a", year_s, &t.authority);
    made_write_key(t.key, &p, "secret");
    made_pair_free(&p);
    check_error(&o, "without a passphrase");
    FILE *f = fopen(t.key, "wb");
    for (int i = 0; i < 1100; i++) fprintf(f, "%01024d", 0);
    fclose(f);
    check_error(&o, "is larger than 1048576 bytes");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_answered_by_both_versions),
        cmocka_unit_test(large_bodies_and_answers_arrive_whole),
        cmocka_unit_test(bytes_cut_in_every_way_make_no_difference),
        cmocka_unit_test(answers_from_elsewhere_find_their_way_and_pipelined_requests_go_on),
        cmocka_unit_test(a_slow_reader_gets_all_and_a_goodbye),
        cmocka_unit_test(key_updates_do_no_harm),
        cmocka_unit_test(nothing_is_resumed),
        cmocka_unit_test(old_versions_and_weak_suites_are_refused),
        cmocka_unit_test(rc4_is_refused_by_an_alert),
        cmocka_unit_test(a_client_of_another_protocol_is_refused),
        cmocka_unit_test(plain_http_is_told_that_the_port_speaks_tls),
        cmocka_unit_test(tls_on_a_plain_port_is_closed_without_an_answer),
        cmocka_unit_test(garbage_and_oversized_records_end_the_connection),
        cmocka_unit_test(damaged_records_after_the_handshake_end_the_connection),
        cmocka_unit_test(half_and_slow_handshakes_run_out_of_time),
        cmocka_unit_test(of_too_many_handshakes_the_oldest_goes),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(a_body_cut_off_without_goodbye_reaches_no_handler),
        cmocka_unit_test(a_client_that_said_goodbye_still_gets_its_answer),
        cmocka_unit_test(one_too_many_is_told_so_by_tls),
        cmocka_unit_test(draining_waits_for_answers_but_not_for_handshakes),
        cmocka_unit_test(handlers_know_a_verified_client),
        cmocka_unit_test(clients_without_a_good_certificate_are_refused),
        cmocka_unit_test(a_changed_pair_is_taken_and_a_broken_one_is_not),
        cmocka_unit_test(bad_files_are_named_at_the_start),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
