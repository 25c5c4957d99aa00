/* The whole way through real sockets and threads over the naive store: small and large bodies, queries from several clients
 * at once, a full queue, draining. */
#include "api/api_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "api/session_priv.h"
#include "api/stage_test_priv.h"
#include "ingest/ingest.h"
#include "ingest/live.h"
#include "net/client.h"
#include "net/inflate.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/socket.h"
#include "signal/batch_build.h"

enum { CLIENTS = 3, ROUNDS = 40 };
static const int64_t second = 1000000000;

static struct {
    struct store *store;
    struct live *live;
    struct ingest *ingest;
    struct api *api;
    struct loop *loop;
    struct http_server *server;
    struct thread *loop_thread;
    struct budget budget;
    char addresses[API_PORTS][64];
    _Atomic int failed;
} t;

static void run_loop(void *context) {
    (void)context;
    loop_run(t.loop);
}

static int begin(void **state) {
    (void)state;
    struct store_options store;
    struct api_options options;
    budget_init(&t.budget, 1 << 30);
    store_options_default(&store);
    store.wall_ns = stage_now;
    t.store = store_model_open(&store);
    t.live = live_new(64, &t.budget);
    t.ingest = ingest_new(
        &(struct ingest_options){.store = t.store, .budget = &t.budget, .live = t.live, .wall_ns = stage_now});
    api_options_default(&options);
    options.store = t.store;
    options.ingest = t.ingest;
    options.live = t.live;
    options.budget = &t.budget;
    options.wall_ns = stage_now;
    struct http_server_options server = {.handler = api_handle,
                                         .refusal = api_refusal,
                                         .is_trusted = api_trusts,
                                         .body_max = 4 * MIB,
                                         .budget = &t.budget};
    if (api_new(&options, &t.api) || loop_new(&t.loop) || http_server_new(t.loop, &server, &t.server)) return -1;
    for (int p = 0; p < API_PORTS; p++)
        if (http_server_listen(t.server, "127.0.0.1:0", api_listener(t.api, (enum api_port)p), t.addresses[p]))
            return -1;
    api_add_server(t.api, t.server);
    return thread_start(&t.loop_thread, "loop", 0, run_loop, NULL) ? -1 : 0;
}

static int end(void **state) {
    (void)state;
    api_drain(t.api, true);
    loop_stop(t.loop);
    thread_join(t.loop_thread);
    api_free(t.api);
    http_server_free(t.server);
    loop_free(t.loop);
    ingest_free(t.ingest);
    live_free(t.live);
    return store_close(t.store) ? -1 : 0;
}

/* Status of one request; the body is the caller's. */
static int ask(struct http_client *client, enum api_port port, const char *method, const char *target,
               const char *field, struct str body, struct http_answer *out) {
    char url[512];
    const char *fields[] = {field, NULL};
    snprintf(url, sizeof url, "http://%s%s", t.addresses[port], target);
    err e = http_call_wait(client, method, url, field ? fields : NULL, body, 20 * second, 16 * MIB, out);
    if (!e) return out->status;
    fail_msg("%s %s: %s", method, target, err_text(e));
    return 0;
}

static int ask_status(struct http_client *client, enum api_port port, const char *method, const char *target,
                      const char *field, struct str body) {
    struct http_answer answer;
    int status = ask(client, port, method, target, field, body, &answer);
    buf_done(&answer.body);
    return status;
}

static void on_stored(void *context, err e) {
    assert(!e);
    (void)e;
    atomic_fetch_add((_Atomic int *)context, 1);
}

static const char protobuf[] = "Content-Type: application/x-protobuf";

static void requests_go_the_whole_way(void **state) {
    (void)state;
    struct http_client *client;
    struct http_answer answer;
    struct buf traces;
    buf_init(&traces, MIB);
    stage_put_traces(&traces);
    assert_null(http_client_new(&client));
    assert_int_equal(ask_status(client, API_PORT_OTLP, "POST", "/v1/traces", protobuf, buf_str(&traces)), 200);
    assert_int_equal(ask_status(client, API_PORT_MAIN, "POST", "/otlp/v1/traces", protobuf, buf_str(&traces)), 200);
    assert_int_equal(ask_status(client, API_PORT_MAIN, "POST", "/v1/traces", protobuf, buf_str(&traces)), 404);
    assert_int_equal(
        ask_status(client, API_PORT_OTLP, "POST", "/v1/traces", "Content-Type: text/plain", buf_str(&traces)), 415);
    assert_int_equal(ask_status(client, API_PORT_OTLP, "GET", "/v1/traces", NULL, STR("")), 405);
    assert_int_equal(ask_status(client, API_PORT_OTLP, "GET", "/health", NULL, STR("")), 200);
    assert_int_equal(
        ask(client, API_PORT_MAIN, "GET", "/api/v1/traces/0af7651916cd43dd8448eb211c80319c", NULL, STR(""), &answer),
        200);
    assert_non_null(strstr(answer.body.p, "\"span_count\":3"));
    buf_done(&answer.body);
    assert_int_equal(ask(client, API_PORT_MAIN, "GET", "/api/v1/services/a%2Fb/operations", NULL, STR(""), &answer),
                     200);
    assert_non_null(strstr(answer.body.p, "\"service\":\"a/b\""));
    buf_done(&answer.body);
    assert_int_equal(ask(client, API_PORT_MAIN, "GET", "/metrics", NULL, STR(""), &answer), 200);
    assert_non_null(strstr(answer.body.p, "clew_http_requests_total "));
    buf_done(&answer.body);
    http_client_free(client);
    buf_done(&traces);
}

/* ---- following logs --------------------------------------------------------------------------------------------- */

enum { FOLLOW_ROUNDS = 6, FOLLOW_RECORDS = 8 };
static _Atomic int followers_done;

struct reading {
    int records, wanted;
};

static bool on_tail_bytes(void *context, struct str bytes) {
    struct reading *r = context;
    for (struct str rest = bytes, line; str_cut(rest, '\n', &line, &rest);)
        r->records += str_starts_with(line, STR("data: {\"id\""));
    return r->records < r->wanted;
}

static void send_log_bodies(void *context) {
    struct http_client *client;
    struct buf logs;
    (void)context;
    buf_init(&logs, MIB);
    stage_put_logs(&logs);
    assert_null(http_client_new(&client));
    while (atomic_load(&followers_done) < CLIENTS)
        ask_status(client, API_PORT_MAIN, "POST", "/otlp/v1/logs", protobuf, buf_str(&logs));
    http_client_free(client);
    buf_done(&logs);
}

static void follow_for_a_while(void *context) {
    (void)context;
    for (int i = 0; i < FOLLOW_ROUNDS; i++) {
        struct reading reading = {.wanted = FOLLOW_RECORDS};
        const struct http_stream_sink sink = {on_tail_bytes, &reading, 20 * second};
        struct http_client *client; /* a new one each time: it goes amid the stream */
        struct http_answer answer;
        char url[256];
        snprintf(url, sizeof url, "http://%s/api/v1/logs/tail?severity=error&limit=3", t.addresses[API_PORT_MAIN]);
        if (http_client_new(&client)) return;
        err e = http_follow_wait(client, url, NULL, &sink, &answer);
        if (e || (answer.status != 200 && answer.status != 429) ||
            (answer.status == 200 && reading.records < FOLLOW_RECORDS))
            atomic_fetch_add(&t.failed, 1);
        if (!e) buf_done(&answer.body);
        err_free(e);
        http_client_free(client);
    }
    atomic_fetch_add(&followers_done, 1);
}

/* Records come while others join and leave, and some are refused since as many as may follow have not been missed so far. */
static void logs_are_followed_while_they_come(void **state) {
    (void)state;
    struct thread *threads[CLIENTS + 1];
    atomic_store(&followers_done, 0);
    for (int i = 0; i < CLIENTS; i++) assert_null(thread_start(&threads[i], "follow", 0, follow_for_a_while, NULL));
    assert_null(thread_start(&threads[CLIENTS], "send", 0, send_log_bodies, NULL));
    for (int i = 0; i <= CLIENTS; i++) thread_join(threads[i]);
    assert_int_equal(atomic_load(&t.failed), 0);
}

/* What the server refuses before any route sees it speaks the port's language all the same. */
static void refusals_of_the_server_have_the_ports_bodies(void **state) {
    (void)state;
    struct http_client *client;
    struct http_answer answer;
    struct buf large;
    buf_init(&large, 8 * MIB);
    assert_true(buf_reserve(&large, 5 * MIB));
    memset(large.p, 0, large.n = 5 * MIB);
    assert_null(http_client_new(&client));
    assert_int_equal(ask(client, API_PORT_OTLP, "POST", "/v1/traces", protobuf, buf_str(&large), &answer), 413);
    assert_string_equal(answer.content_type, "application/x-protobuf");
    assert_memory_equal(answer.body.p, "\x08\x08\x12", 3); /* RESOURCE_EXHAUSTED, and a message */
    buf_done(&answer.body);
    http_client_free(client);
    assert_null(http_client_new(&client));
    assert_int_equal(ask(client, API_PORT_OTLP, "POST", "/v1/traces", "Content-Type: application/json; charset=utf-8",
                         buf_str(&large), &answer),
                     413);
    assert_string_equal(answer.content_type, "application/json");
    assert_non_null(strstr(answer.body.p, "{\"code\":8,\"message\":\""));
    buf_done(&answer.body);
    http_client_free(client);
    assert_null(http_client_new(&client));
    assert_int_equal(ask(client, API_PORT_MAIN, "POST", "/otlp/v1/traces", protobuf, buf_str(&large), &answer), 413);
    assert_string_equal(answer.content_type, "application/x-protobuf"); /* as all below /otlp/ */
    buf_done(&answer.body);
    http_client_free(client);
    static const struct {
        const char *path, *body;
    } cases[] = {{"/api/v1/import", "{\"error\":{\"kind\":\"limit\""},
                 {"/prometheus/api/v1/query", "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\""}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        assert_null(http_client_new(&client));
        assert_int_equal(ask(client, API_PORT_MAIN, "POST", cases[i].path, protobuf, buf_str(&large), &answer), 413);
        assert_string_equal(answer.content_type, "application/json");
        assert_non_null(strstr(answer.body.p, cases[i].body));
        buf_done(&answer.body);
        http_client_free(client);
    }
    buf_done(&large);
}

/* Every encoding, of protobuf and JSON, in a body whose length nobody said. */
static void encodings_are_taken_chunked(void **state) {
    (void)state;
    static const char json[] = "Content-Type: application/json";
    AUTO_BUF struct buf traces, zipped;
    buf_init(&traces, MIB);
    buf_init(&zipped, MIB);
    stage_put_traces(&traces);
    assert_null(deflate_gzip(buf_str(&traces), &zipped));
    const struct {
        const char *type, *encoding;
        struct str body;
    } cases[] = {
        {protobuf, "Content-Encoding: identity", buf_str(&traces)},
        {protobuf, "Content-Encoding: gzip", buf_str(&zipped)},
        {json, "Content-Encoding: zstd", STR("\x28\xb5\x2f\xfd\x20\x14\xa1\0\0{\"resourceSpans\":[]}")},
        {json, "X-Nothing: 1", STR("{\"resourceSpans\":[]}")},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct http_client *client;
        struct http_answer answer;
        char url[512];
        const char *fields[] = {cases[i].type, cases[i].encoding, "Transfer-Encoding: chunked", NULL};
        snprintf(url, sizeof url, "http://%s/v1/traces", t.addresses[API_PORT_OTLP]);
        assert_null(http_client_new(&client));
        assert_null(http_call_wait(client, "POST", url, fields, cases[i].body, 20 * second, MIB, &answer));
        if (answer.status != 200) fail_msg("case %zu: %d %s", i, answer.status, answer.body.p);
        buf_done(&answer.body);
        http_client_free(client);
    }
}

/* A field that no one knows, of `bytes` bytes: a large body that is quickly made and taken. */
static void put_padding(struct buf *out, size_t bytes) {
    assert_true(buf_reserve(out, bytes + 8));
    buf_add_byte(out, (char)(15 << 3 | 2));
    for (size_t v = bytes; v || out->n < 2; v >>= 7) buf_add_byte(out, (char)((v & 0x7f) | (v >= 0x80 ? 0x80 : 0)));
    memset(out->p + out->n, 'x', bytes);
    out->n += bytes;
}

static void large_bodies_are_taken_by_work_threads(void **state) {
    (void)state;
    struct http_client *client;
    struct buf body;
    buf_init(&body, 16 * MIB);
    stage_put_traces(&body);
    put_padding(&body, 2 * MIB);
    assert_null(http_client_new(&client));
    assert_int_equal(ask_status(client, API_PORT_OTLP, "POST", "/v1/traces", protobuf, buf_str(&body)), 200);
    buf_clear(&body);
    put_padding(&body, 5 * MIB);
    struct http_answer answer;
    err e = http_call_wait(client, "POST", "http://", NULL, STR(""), second, KIB,
                           &answer); /* a broken address is an error */
    assert_non_null(e);
    err_free(e);
    assert_int_equal(ask_status(client, API_PORT_OTLP, "POST", "/v1/traces", protobuf, buf_str(&body)), 413);
    http_client_free(client);
    buf_done(&body);
}

static void be_client(void *context) {
    struct http_client *client;
    struct buf traces, logs;
    (void)context;
    static const char *const targets[] = {
        "/api/v1/traces?limit=5",
        "/api/v1/services?counts=true",
        "/api/v1/traces/stats?start=now-1h",
        "/metrics",
        "/api/v1/logs/query?text=payment",
        "/api/v1/services/web/operations",
        "/api/v1/traces/0af7651916cd43dd8448eb211c80319c",
    };
    buf_init(&traces, MIB);
    buf_init(&logs, MIB);
    stage_put_traces(&traces);
    stage_put_logs(&logs);
    if (http_client_new(&client)) {
        atomic_fetch_add(&t.failed, 1);
        return;
    }
    for (int i = 0; i < ROUNDS; i++) {
        int sent = ask_status(client, API_PORT_OTLP, "POST", i % 2 ? "/v1/logs" : "/v1/traces", protobuf,
                              i % 2 ? buf_str(&logs) : buf_str(&traces));
        int got = ask_status(client, API_PORT_MAIN, "GET", targets[(size_t)i % LENGTH(targets)], NULL, STR(""));
        if (sent != 200 || got != 200) atomic_fetch_add(&t.failed, 1);
    }
    http_client_free(client);
    buf_done(&traces);
    buf_done(&logs);
}

static void several_clients_send_and_ask_at_once(void **state) {
    (void)state;
    struct thread *clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) assert_null(thread_start(&clients[i], "client", 0, be_client, NULL));
    for (int i = 0; i < CLIENTS; i++) thread_join(clients[i]);
    assert_int_equal(atomic_load(&t.failed), 0);
}

/* Rows whose texts take an expression its most steps each: a query that would go on until its deadline. */
static void store_costly_rows(int batches) {
    _Atomic int done = 0;
    for (int i = 0; i < batches; i++) {
        struct batch_builder b;
        char text[64];
        memset(text, 'a', sizeof text);
        text[sizeof text - 1] = 'b';
        batch_builder_init(&b, SIGNAL_LOGS);
        uint32_t resource = batch_builder_row(&b, SET_RESOURCES), scope = batch_builder_row(&b, SET_SCOPES);
        uint32_t row = batch_builder_row(&b, SET_ROWS), first = (uint32_t)b.slots.n;
        uint32_t key = batch_builder_key(&b, STR("costly"), VALUE_STRING);
        *vec_push(&b.slots) = strings_intern(&b.strings, str_span(text, sizeof text));
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, (uint64_t)STAGE_NOW_NS);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_RESOURCE, row, resource);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_SCOPE, row, scope);
        batch_builder_attributes(&b, SET_ROWS, row, &key, 1, first);
        assert_null(store_append(t.store, STR("default"), batch_builder_finish(&b), on_stored, &done));
        batch_builder_done(&b);
    }
    assert_int_equal(atomic_load(&done), batches);
}

/* A value of /metrics. */
static long metric(struct http_client *client, const char *name) {
    struct http_answer answer;
    assert_int_equal(ask(client, API_PORT_MAIN, "GET", "/metrics", NULL, STR(""), &answer), 200);
    const char *at = strstr(answer.body.p, name);
    assert_non_null(at);
    long value = strtol(at + strlen(name), NULL, 10);
    buf_done(&answer.body);
    return value;
}

/* Both work threads have a query of many seconds when their clients go, one by a reset, one by closing its side; another is waiting
 * behind them and gets its answer long before they would have ended. */
static void queries_end_when_their_clients_go(void **state) {
    (void)state;
    static const char text[] =
        "GET /api/v1/logs/query?mode=count&start=0&where=costly~%5E(a%2B)%2B%24 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct http_client *client;
    assert_null(http_client_new(&client));
    store_costly_rows(4000);
    for (int reset = 0; reset < 2; reset++) {
        int fds[2];
        for (int i = 0; i < 2; i++) {
            size_t n = 0;
            assert_null(socket_connect_wait(t.addresses[API_PORT_MAIN], 5 * second, &fds[i]));
            assert_null(socket_write(fds[i], &(struct socket_piece){text, strlen(text)}, 1, &n));
        }
        long before = metric(client, "\nclew_query_abandoned_total "),
             requests = metric(client, "\nclew_http_requests_total ");
        assert_true(requests > 0);
        int64_t gone = clock_monotonic_ns();
        for (int i = 0; i < 2; i++) {
            struct linger hard = {.l_onoff = 1};
            if (reset) assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
            socket_close(fds[i]);
        }
        assert_int_equal(ask_status(client, API_PORT_MAIN, "GET", "/api/v1/services", NULL, STR("")), 200);
        while (metric(client, "\nclew_query_abandoned_total ") < before + 2 &&
               clock_monotonic_ns() - gone < 20 * second) {}
        assert_int_equal(metric(client, "\nclew_query_abandoned_total "), before + 2);
        assert_true(clock_monotonic_ns() - gone < 10 * second); /* a second of grace, and a batch under way; not 30 s */
    }
    http_client_free(client);
}

/* Two work threads are held up and one request waits; the next finds the queue full. */
static struct {
    struct lock lock;
    struct signal_flag flag;
    int held, replies, refused;
    bool open;
} gate;

static void hold(struct api_call *c) {
    lock_take(&gate.lock);
    gate.held++;
    flag_wake_all(&gate.flag);
    while (!gate.open) flag_wait(&gate.flag, &gate.lock);
    lock_give(&gate.lock);
    handle_health(c);
}

static void on_reply(void *context, const struct api_reply *reply) {
    (void)context;
    lock_take(&gate.lock);
    gate.replies++;
    gate.refused += reply->status == 429;
    lock_give(&gate.lock);
}

static void a_full_queue_refuses(void **state) {
    (void)state;
    struct api_options options = t.api->options;
    struct api *api;
    options.queue_max = 1;
    lock_init(&gate.lock);
    flag_init(&gate.flag);
    assert_null(api_new(&options, &api));
    for (int i = 0; i < 4; i++) {
        struct api_call *c = mem_new_of(struct api_call);
        c->api = api;
        c->request = (struct api_request){.port = API_PORT_MAIN, .reply = on_reply};
        c->path = STR("/");
        arena_init(&c->arena, MIB);
        call_run_on_work(c, hold);
        lock_take(&gate.lock);
        while (i < 2 && gate.held < i + 1) flag_wait(&gate.flag, &gate.lock);
        lock_give(&gate.lock);
    }
    lock_take(&gate.lock);
    assert_int_equal(gate.refused, 1);
    gate.open = true;
    flag_wake_all(&gate.flag);
    lock_give(&gate.lock);
    api_free(api);
    assert_int_equal(gate.replies, 4);
    assert_int_equal(gate.held, 3);
    flag_done(&gate.flag);
    lock_done(&gate.lock);
}

/* Tokens come and go while others are asked about: each question is judged by the old ones or by the new ones. */
static struct {
    struct access *access;
    char stays[TOKEN_TEXT_BYTES + 8 + 1];
    atomic_bool stop;
    _Atomic int asked, wrong;
} judged;

static void ask_always(void *context) {
    char session[SESSION_TEXT_BYTES];
    struct caller caller;
    struct credentials good = {.authorization = str_of(judged.stays), .peer = STR("192.0.2.1:1")},
                       bad = {.authorization = STR("Bearer x"), .peer = STR("192.0.2.1:2")};
    (void)context;
    while (!atomic_load(&judged.stop)) {
        enum access_outcome yes = access_decide(judged.access, &good, ROLE_READ, false, stage_now(), &caller),
                            no = access_decide(judged.access, &bad, ROLE_READ, false, stage_now(), &caller),
                            in = access_login(judged.access, str_of(judged.stays + 7), good.peer, stage_now(), &caller,
                                              session);
        if (yes != ACCESS_ALLOWED || no == ACCESS_ALLOWED || in != ACCESS_ALLOWED) atomic_fetch_add(&judged.wrong, 1);
        atomic_fetch_add(&judged.asked, 1);
    }
}

static err add_or_remove(void *context, struct tokens *tokens) {
    char text[TOKEN_TEXT_BYTES];
    err e = token_revoke(tokens, STR("goes"));
    (void)context;
    if (!e) return NULL;
    err_free(e);
    return token_new(tokens, STR("goes"), ROLE_ADMIN, STR("*"), 1, 0, text);
}

static err add_stays(void *context, struct tokens *tokens) {
    return token_new(tokens, STR("stays"), ROLE_READ, STR("a"), 1, 0, context);
}

static err remove_file(void *context, const char *name, bool is_dir) {
    char path[512];
    (void)is_dir;
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    return path_remove(path);
}

static void tokens_change_while_they_are_asked_about(void **state) {
    (void)state;
    char dir[] = "/tmp/clew-loopback-XXXXXX";
    struct thread *threads[CLIENTS];
    struct audit *audit;
    assert_non_null(mkdtemp(dir));
    memcpy(judged.stays, "Bearer ", 7);
    assert_null(tokens_change(dir, add_stays, judged.stays + 7));
    assert_null(audit_open(dir, 0, &audit));
    assert_null(access_new(dir, (struct str){0}, audit, stage_now(), &judged.access));
    for (int i = 0; i < CLIENTS; i++) assert_null(thread_start(&threads[i], "asks", 0, ask_always, NULL));
    for (int i = 0; i < ROUNDS || atomic_load(&judged.asked) < ROUNDS; i++) {
        assert_null(tokens_change(dir, add_or_remove, NULL));
        access_reload(judged.access, stage_now());
    }
    atomic_store(&judged.stop, true);
    for (int i = 0; i < CLIENTS; i++) thread_join(threads[i]);
    assert_int_equal(atomic_load(&judged.wrong), 0);
    access_free(judged.access);
    audit_close(audit);
    assert_null(path_list(dir, remove_file, dir));
    assert_null(path_remove_dir(dir));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_go_the_whole_way),
        cmocka_unit_test(refusals_of_the_server_have_the_ports_bodies),
        cmocka_unit_test(encodings_are_taken_chunked),
        cmocka_unit_test(large_bodies_are_taken_by_work_threads),
        cmocka_unit_test(several_clients_send_and_ask_at_once),
        cmocka_unit_test(queries_end_when_their_clients_go),
        cmocka_unit_test(a_full_queue_refuses),
        cmocka_unit_test(tokens_change_while_they_are_asked_about),
        cmocka_unit_test(logs_are_followed_while_they_come), /* the last: it leaves many rows to the naive store */
    };
    return cmocka_run_group_tests(tests, begin, end);
}
