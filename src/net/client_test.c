/* The blocking client against our own server on another thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "net/client.h"
#include "net/net.h"
#include "os/loop.h"
#include "os/thread.h"

static const int64_t second = 1000000000;
static struct {
    struct loop *loop;
    struct http_server *server;
    struct thread *thread;
    struct http_client *client;
    char url[128], address[64];
} t;

/* "/stream?N": N pieces, and the end; without N one that stays open until its client goes. */
static struct http_stream *open_stream;
static void stream(struct http_request *r) {
    struct http_stream *s = http_stream_begin(r, &(struct http_reply){.status = 200}, KIB);
    struct str query = http_query(r);
    for (int i = query.n ? query.p[0] - '0' : 1; i > 0; i--) (void)http_stream_write(s, STR("piece "));
    if (query.n)
        http_stream_end(s, NULL, 0);
    else
        open_stream = s;
}

/* Says what it was sent: "POST /path?query type=… body". */
static void echo(struct http_request *r) {
    if (str_equal(http_path(r), STR("/stream"))) {
        stream(r);
        return;
    }
    AUTO_BUF struct buf b;
    buf_init(&b, MIB);
    struct str type = http_field(r, STR("x-type"));
    buf_add_fmt(&b, STR_FMT " " STR_FMT " type=" STR_FMT " " STR_FMT, STR_ARG(http_method_text(r)),
                STR_ARG(http_target(r)), STR_ARG(type), STR_ARG(http_body(r)));
    bool busy = str_equal(http_path(r), STR("/busy"));
    static const struct http_field retry = {STR("Retry-After"), STR("7")};
    http_reply(r, &(struct http_reply){.status = busy ? 429 : 200,
                                       .content_type = STR("text/plain"),
                                       .body = buf_str(&b),
                                       .fields = &retry,
                                       .field_count = busy});
}

static void run_loop(void *context) {
    (void)context;
    loop_run(t.loop);
}

static int serve(const char *address) {
    return loop_new(&t.loop) || http_server_new(t.loop, &(struct http_server_options){.handler = echo}, &t.server) ||
           http_server_listen(t.server, address, NULL, t.address) || thread_start(&t.thread, "loop", 0, run_loop, NULL);
}

static void stop_serving(void) {
    loop_stop(t.loop);
    thread_join(t.thread);
    http_server_free(t.server);
    loop_free(t.loop);
}

static int begin(void **state) {
    (void)state;
    return http_client_new(&t.client) || serve("127.0.0.1:0") ? -1 : 0;
}

static int end(void **state) {
    (void)state;
    http_client_free(t.client);
    stop_serving();
    return 0;
}

static const char *url_of(const char *path) {
    snprintf(t.url, sizeof t.url, "http://%s%s", t.address, path);
    return t.url;
}

static void expect(const char *method, const char *path, struct str body, int status, const char *want) {
    static const char *const fields[] = {"X-Type: a", NULL};
    struct http_answer answer;
    assert_null(http_call_wait(t.client, method, url_of(path), fields, body, 5 * second, MIB, &answer));
    assert_int_equal(answer.status, status);
    assert_string_equal(answer.body.p ? answer.body.p : "", want);
    assert_string_equal(answer.content_type, "text/plain");
    assert_int_equal(answer.retry_after_s, status == 429 ? 7 : -1);
    buf_done(&answer.body);
}

static void every_method_goes_out_as_it_is_named(void **state) {
    (void)state;
    expect("GET", "/a?b=c", STR(""), 200, "GET /a?b=c type=a ");
    expect("POST", "/a", STR("text"), 200, "POST /a type=a text");
    expect("POST", "/a", STR(""), 200, "POST /a type=a ");
    expect("PUT", "/a", STR("x"), 200, "PUT /a type=a x");
    expect("DELETE", "/a", STR(""), 200, "DELETE /a type=a ");
    expect("HEAD", "/a", STR(""), 200, "");
    expect("GET", "/a", STR(""), 200, "GET /a type=a ");
}

static void a_status_is_no_error_and_tells_when_to_retry(void **state) {
    (void)state;
    expect("POST", "/busy", STR("x"), 429, "POST /busy type=a x");
}

static void the_connection_is_kept(void **state) {
    (void)state;
    struct http_server_stats before, after;
    http_server_get_stats(t.server, &before);
    for (int i = 0; i < 10; i++) expect("GET", "/", STR(""), 200, "GET / type=a ");
    http_server_get_stats(t.server, &after);
    assert_true(after.accepted <= before.accepted + 1);
}

/* Another server at the same address, as after a restart that no call fell into. */
static void a_connection_of_http2_that_went_is_begun_anew_as_one(void **state) {
    (void)state;
    struct http_client *before = t.client;
    assert_null(http_client_new(&t.client));
    http_client_use_h2(t.client);
    for (int i = 0; i < 3; i++) {
        char address[sizeof t.address];
        struct http_server_stats stats;
        expect("POST", "/a", STR("x"), 200, "POST /a type=a x");
        expect("POST", "/busy", STR("x"), 429, "POST /busy type=a x");
        http_server_get_stats(t.server, &stats);
        if (i) assert_int_equal(stats.accepted, 2); /* one that is given up unused, and the one */
        stop_serving();
        memcpy(address, t.address, sizeof address);
        assert_int_equal(serve(address), 0);
    }
    http_client_free(t.client);
    t.client = before;
}

static void expect_failure(const char *url, size_t body_max, enum err_kind kind, const char *text) {
    struct http_answer answer = {.status = -5};
    err e = http_call_wait(t.client, "GET", url, NULL, STR(""), 2 * second, body_max, &answer);
    assert_non_null(e);
    assert_int_equal(err_kind(e), kind);
    if (!strstr(err_text(e), text)) fail_msg("\"%s\" is not in \"%s\"", text, err_text(e));
    assert_int_equal(answer.status, -5);
    err_free(e);
}

static void urls_are_shown_without_secrets(void **state) {
    static const char *const all[][2] = {
        {"http://h/x", "http://h/x"},
        {"https://u:p@h:1/x?a=b@c", "https://h:1/x?a=b@c"},
        {"http://u@h", "http://h"},
        {"http://a@b:c@h#d@e", "http://h#d@e"},
        {"http://h?u:p@h", "http://h?u:p@h"},
        {"no url: a@b", "no url: a@b"},
        {"", ""},
    };
    AUTO_BUF struct buf shown;
    (void)state;
    buf_init(&shown, KIB);
    for (size_t i = 0; i < LENGTH(all); i++) assert_string_equal(url_shown(all[i][0], &shown), all[i][1]);
}

static void failures_name_the_url(void **state) {
    (void)state;
    expect_failure("http://127.0.0.1:1/x", 100, ERR_UNAVAILABLE, "GET http://127.0.0.1:1/x: ");
    expect_failure("http://u:secret@127.0.0.1:1/x@y", 100, ERR_UNAVAILABLE, "GET http://127.0.0.1:1/x@y: ");
    expect_failure("file:///etc/passwd", 100, ERR_UNAVAILABLE, "file:///etc/passwd");
    expect_failure(url_of("/long"), 5, ERR_LIMIT, "over 5 bytes");
    expect("GET", "/", STR(""), 200, "GET / type=a ");
}

struct heard {
    struct buf text;
    size_t enough;
};

static bool on_bytes(void *context, struct str bytes) {
    struct heard *h = context;
    buf_add_str(&h->text, bytes);
    return h->text.n < h->enough;
}

static err follow(const char *path, size_t enough, int64_t quiet_ns, struct heard *out, int *out_status) {
    struct http_answer answer = {0};
    *out = (struct heard){.enough = enough};
    buf_init(&out->text, MIB);
    err e =
        http_follow_wait(t.client, url_of(path), NULL, &(struct http_stream_sink){on_bytes, out, quiet_ns}, &answer);
    *out_status = answer.status;
    if (!e && answer.status != 200) assert_non_null(answer.body.p);
    buf_done(&answer.body);
    return e;
}

static void a_stream_comes_as_it_is_written(void **state) {
    (void)state;
    struct heard h;
    int status;
    assert_null(follow("/stream?3", 1000, 20 * second, &h, &status)); /* to its end */
    assert_int_equal(status, 200);
    assert_true(str_equal(buf_str(&h.text), STR("piece piece piece ")));
    buf_done(&h.text);
    assert_null(follow("/busy", 1, 20 * second, &h, &status)); /* refused: the body is the answer's */
    assert_int_equal(status, 429);
    assert_int_equal(h.text.n, 0);
    buf_done(&h.text);
    assert_null(follow("/stream", 6, 20 * second, &h, &status)); /* as much as was wanted */
    assert_int_equal(status, 200);
    buf_done(&h.text);
    http_stream_end(open_stream, NULL, 0);
    err e = follow("/stream", 1000, second / 10, &h, &status); /* and then nothing */
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_UNAVAILABLE);
    assert_non_null(strstr(err_text(e), "nothing came for"));
    assert_int_equal(h.text.n, 6);
    err_free(e);
    buf_done(&h.text);
    http_stream_end(open_stream, NULL, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_method_goes_out_as_it_is_named),
        cmocka_unit_test(a_status_is_no_error_and_tells_when_to_retry),
        cmocka_unit_test(the_connection_is_kept),
        cmocka_unit_test(a_connection_of_http2_that_went_is_begun_anew_as_one),
        cmocka_unit_test(urls_are_shown_without_secrets),
        cmocka_unit_test(failures_name_the_url),
        cmocka_unit_test(a_stream_comes_as_it_is_written),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
