/* TLS that is refused, broken or cut off: old versions, garbage, slow and too many handshakes, and a server that stops. */
#include "net/tls_talk_test_priv.h"

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

int main(void) {
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
