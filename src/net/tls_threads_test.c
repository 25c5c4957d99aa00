/* TLS with threads around it, for TSan, and the command line's client as the other end: replies from workers, certificates that
 * change under load, and what the client says about certificates it does not believe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/client.h"
#include "net/net.h"
#include "net/tls_test_priv.h"
#include "os/loop.h"
#include "os/process.h"
#include "os/thread.h"
#include <stdatomic.h>

enum { WORKERS = 2, CLIENTS = 3, REQUESTS = 60, RELOADS = 12 };
static const int64_t second = 1000000000;

static struct {
    struct made_pair authority;
    char dir[64], certificate[128], key[128], authorities[128], url[128], plain_url[128];
    struct tls *tls;
    struct loop *loop;
    struct http_server *server;
    struct queue *queue;
    struct thread *loop_thread, *workers[WORKERS], *clients[CLIENTS];
    _Atomic int answered, failed;
} t;

static void handler(struct http_request *r) {
    bool taken = queue_push(t.queue, r);
    assert(taken);
    (void)taken;
}

/* Says who asked. */
static void work(void *context) {
    (void)context;
    for (struct http_request *r; (r = queue_pop_wait(t.queue));) {
        AUTO_BUF struct buf body;
        buf_init(&body, KIB);
        buf_add_fmt(&body, "%s:" STR_FMT ":" STR_FMT, http_is_tls(r) ? "tls" : "plain", STR_ARG(http_client_subject(r)),
                    STR_ARG(http_client_names(r)));
        http_reply(r, &(struct http_reply){.status = 200, .body = buf_str(&body)});
    }
}

static void run_loop(void *context) {
    (void)context;
    loop_run(t.loop);
}

static void write_pair(const char *certificate, const char *key, const char *name, const char *names, long valid_s) {
    struct made_pair p = made_pair_new(name, names, valid_s, &t.authority);
    made_write_certificate(certificate, &p);
    made_write_key(key, &p, NULL);
    chmod(key, 0600);
    made_pair_free(&p);
}

static void begin(const char *names, long valid_s, bool client_certificates) {
    char address[64];
    write_pair(t.certificate, t.key, "server", names, valid_s);
    struct tls_options o = {.certificate_file = t.certificate,
                            .key_file = t.key,
                            .client_ca_file = client_certificates ? t.authorities : NULL,
                            .client_required = client_certificates,
                            .protocols = TLS_PROTOCOLS};
    t.answered = t.failed = 0;
    t.queue = queue_new(4096);
    assert_null(tls_new(&o, &t.tls));
    assert_null(loop_new(&t.loop));
    assert_null(http_server_new(t.loop, &(struct http_server_options){.handler = handler}, &t.server));
    assert_null(http_server_listen_tls(t.server, "127.0.0.1:0", t.tls, NULL, address));
    snprintf(t.url, sizeof t.url, "https://%s/x", address);
    assert_null(http_server_listen(t.server, "127.0.0.1:0", NULL, address));
    snprintf(t.plain_url, sizeof t.plain_url, "https://%s/x", address);
    for (int i = 0; i < WORKERS; i++) assert_null(thread_start(&t.workers[i], "worker", 0, work, NULL));
    assert_null(thread_start(&t.loop_thread, "loop", 0, run_loop, NULL));
}

static void end(void) {
    loop_stop(t.loop);
    thread_join(t.loop_thread);
    queue_close(t.queue);
    for (int i = 0; i < WORKERS; i++) thread_join(t.workers[i]);
    http_server_free(t.server);
    loop_free(t.loop);
    tls_free(t.tls);
    queue_free(t.queue);
}

static int begin_all(void **state) {
    (void)state;
    process_signals_block();
    snprintf(t.dir, sizeof t.dir, "/tmp/clew-tls-XXXXXX");
    if (!mkdtemp(t.dir)) return -1;
    snprintf(t.certificate, sizeof t.certificate, "%s/server.crt", t.dir);
    snprintf(t.key, sizeof t.key, "%s/server.key", t.dir);
    snprintf(t.authorities, sizeof t.authorities, "%s/ca.crt", t.dir);
    t.authority = made_pair_new("authority", NULL, 86400, NULL);
    made_write_certificate(t.authorities, &t.authority);
    return 0;
}

static int end_all(void **state) {
    (void)state;
    unlink(t.certificate), unlink(t.key), unlink(t.authorities);
    made_pair_free(&t.authority);
    return rmdir(t.dir);
}

/* ---- under load ------------------------------------------------------------------------------------------------- */

/* A new connection every third request, so that handshakes meet every certificate. */
static void be_client(void *context) {
    (void)context;
    struct http_client *client = NULL;
    for (int i = 0; i < REQUESTS; i++) {
        struct http_answer answer = {0};
        err e = client ? NULL : http_client_new(&client);
        if (!e) {
            http_client_trust(client, &(struct http_client_tls){.ca_file = t.authorities});
            e = http_call_wait(client, "POST", t.url, NULL, STR("hello"), 10 * second, MIB, &answer);
        }
        if (e) fprintf(stderr, "%s\n", err_text(e));
        bool good = !e && answer.status == 200 && str_equal(buf_str(&answer.body), STR("tls::"));
        atomic_fetch_add(good ? &t.answered : &t.failed, 1);
        err_free(e);
        buf_done(&answer.body);
        if (i % 3 == 2) http_client_free(take(&client));
    }
    http_client_free(client);
}

static void refresh(void *context) {
    (void)context;
    tls_refresh(t.tls);
}

static void certificates_change_under_load_and_no_request_fails(void **state) {
    (void)state;
    begin("IP:127.0.0.1", 86400, false);
    for (int i = 0; i < CLIENTS; i++) assert_null(thread_start(&t.clients[i], "client", 0, be_client, NULL));
    for (int i = 0; i < RELOADS; i++) {
        while (t.answered + t.failed < CLIENTS * REQUESTS * (i + 1) / (RELOADS + 1)) {
            struct http_server_stats stats;
            http_server_get_stats(t.server, &stats);
        }
        if (i % 3 == 2) { /* a broken pair, now and then: key and certificate do not fit */
            struct made_pair p = made_pair_new("other", "IP:127.0.0.1", 86400, &t.authority);
            made_write_key(t.key, &p, NULL);
            made_pair_free(&p);
        } else {
            write_pair(t.certificate, t.key, "server", "IP:127.0.0.1", 86400);
        }
        assert_true(loop_post(t.loop, refresh, NULL));
    }
    for (int i = 0; i < CLIENTS; i++) thread_join(t.clients[i]);
    assert_int_equal(t.failed, 0);
    assert_int_equal(t.answered, CLIENTS * REQUESTS);
    end();
}

/* ---- what the client believes ----------------------------------------------------------------------------------- */

static void check_call(const struct http_client_tls *tls, const char *url, const char *want) {
    struct http_client *client;
    struct http_answer answer = {0};
    assert_null(http_client_new(&client));
    http_client_trust(client, tls);
    err e = http_call_wait(client, "GET", url, NULL, STR(""), 10 * second, MIB, &answer);
    const char *said = e ? err_text(e) : answer.body.p;
    if (!strstr(said, want)) fail_msg("\"%s\" does not say \"%s\"", said, want);
    err_free(e);
    buf_done(&answer.body);
    http_client_free(client);
}

static void the_client_says_what_is_wrong_with_a_certificate(void **state) {
    (void)state;
    struct http_client_tls trusting = {.ca_file = t.authorities}, ignorant = {0}, careless = {.insecure = true},
                           lost = {.ca_file = "/nowhere/ca.crt"};
    begin("DNS:clew.example,IP:127.0.0.1", 86400, false);
    check_call(&trusting, t.url, "tls::");
    check_call(&careless, t.url, "tls::");
    check_call(&ignorant, t.url,
               "unable to get local issuer certificate; the certificate: subject CN=server,O=clew tests; "
               "names DNS:clew.example IP:127.0.0.1; issuer CN=authority,O=clew tests; valid ");
    check_call(&ignorant, t.url, "--tls-ca FILE");
    check_call(&lost, t.url, "/nowhere/ca.crt");
    check_call(&trusting, t.plain_url, "try http://");
    end();
    begin("DNS:clew.example", 86400, false);
    check_call(&trusting, t.url, "127.0.0.1");
    check_call(&trusting, t.url, "names DNS:clew.example; issuer");
    check_call(&careless, t.url, "tls::");
    end();
    begin("IP:127.0.0.1", -3600, false);
    check_call(&trusting, t.url, "certificate has expired; the certificate: subject CN=server");
    end();
}

static void the_client_shows_its_own_certificate(void **state) {
    (void)state;
    char certificate[160], key[160];
    snprintf(certificate, sizeof certificate, "%s/client.crt", t.dir);
    snprintf(key, sizeof key, "%s/client.key", t.dir);
    begin("IP:127.0.0.1", 86400, true);
    write_pair(certificate, key, "agent", "DNS:agent.example", 86400);
    struct http_client_tls with = {.ca_file = t.authorities, .certificate_file = certificate, .key_file = key},
                           without = {.ca_file = t.authorities};
    check_call(&with, t.url, "tls:CN=agent,O=clew tests:DNS:agent.example");
    check_call(&without, t.url, "certificate required");
    with.key_file = t.authorities;
    check_call(&with, t.url, "ca.crt");
    unlink(certificate), unlink(key);
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificates_change_under_load_and_no_request_fails),
        cmocka_unit_test(the_client_says_what_is_wrong_with_a_certificate),
        cmocka_unit_test(the_client_shows_its_own_certificate),
    };
    return cmocka_run_group_tests(tests, begin_all, end_all);
}
