/* TLS between a server and OpenSSL's own client: what works, certificates of clients, files. */
#include "net/tls_talk_test_priv.h"

/* ---- what works ------------------------------------------------------------------------------------------------- */

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
        cmocka_unit_test(handlers_know_a_verified_client),
        cmocka_unit_test(clients_without_a_good_certificate_are_refused),
        cmocka_unit_test(a_changed_pair_is_taken_and_a_broken_one_is_not),
        cmocka_unit_test(bad_files_are_named_at_the_start),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
