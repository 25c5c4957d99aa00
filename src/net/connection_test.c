/* HTTP/1.1 as bytes in, bytes out: framing, limits, refusals, time. No sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/budget.h"
#include "base/text.h"
#include "net/wire_test_priv.h"

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Length: "
#define HOST "Host: a\r\n"

/* What the handler saw last, and how often. */
static struct {
    int requests;
    char path[256], query[256], method[32];
    struct buf body;
    struct http_request *held; /* if hold: not answered yet */
    bool hold;
} seen;

static void copy_text(char *to, size_t size, struct str s) { snprintf(to, size, "%.*s", (int)s.n, s.n ? s.p : ""); }

static void handler(struct http_request *r) {
    seen.requests++;
    copy_text(seen.path, sizeof seen.path, http_path(r));
    copy_text(seen.query, sizeof seen.query, http_query(r));
    copy_text(seen.method, sizeof seen.method, http_method_text(r));
    buf_clear(&seen.body);
    buf_add_str(&seen.body, http_body(r));
    if (seen.hold)
        seen.held = r;
    else
        http_reply(r, &(struct http_reply){.status = 200, .body = STR("ok")});
}

static const struct http_server_options standard = {.handler = handler, .body_max = 1000};

static void begin(void) {
    buf_done(&seen.body);
    memset(&seen, 0, sizeof seen);
    buf_init(&seen.body, 64 * MIB);
}

static int end(void **state) {
    (void)state;
    buf_done(&seen.body);
    return 0;
}

/* "200 100 413": the statuses in what a connection wrote; bodies of our replies never look like a status line. */
static void statuses(const struct buf *out, char text[128]) {
    text[0] = 0;
    size_t n = 0;
    for (const char *at = out->p; at && (at = strstr(at, "HTTP/1.1 ")) && n < 120; at += 9)
        n += (size_t)snprintf(text + n, 128 - n, "%s%.3s", n ? " " : "", at + 9);
}

static void expect_with(const struct http_server_options *o, struct str input, size_t step, const char *want) {
    struct wire w;
    char got[128];
    begin();
    wire_open(&w, o);
    wire_feed(&w, input, step);
    statuses(&w.out, got);
    if (strcmp(got, want) != 0)
        print_message("step %zu, input: %.*s\noutput: %s\n", step, (int)MIN(input.n, (size_t)400), input.p,
                      w.out.p ? w.out.p : "");
    assert_string_equal(got, want);
    wire_close(&w);
    assert_int_equal(w.engine.live_requests, 0);
}

/* The same in one piece, byte by byte, and in threes. */
static void expect(struct str input, const char *want) {
    expect_with(&standard, input, SIZE_MAX, want);
    expect_with(&standard, input, 1, want);
    expect_with(&standard, input, 3, want);
}
#define answers(want, text) expect(STR(text), want)

static void ordinary_requests_are_answered(void **state) {
    (void)state;
    answers("200", "GET / HTTP/1.1\r\n" HOST "\r\n");
    answers("200", "GET / HTTP/1.1\r\nhOsT:a\r\nX:\r\nY: \t v \t\r\n\r\n");
    answers("200", "\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    answers("200", "GET http://a/b?c HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(seen.path, "/b");
    assert_string_equal(seen.query, "c");
    answers("200", "GET http://a?c HTTP/1.1\r\n" HOST "\r\n");
    assert_string_equal(seen.path, "/");
    assert_string_equal(seen.query, "c");
    answers("200", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n");
    answers("200", "POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhello");
    assert_string_equal(seen.body.p, "hello");
    answers("200", "PROPFIND /x HTTP/1.1\r\n" HOST "Content-Length: 000\r\n\r\n");
    assert_string_equal(seen.method, "PROPFIND");
    answers("200", "GET / HTTP/1.1\r\nHost:\r\n\r\n");
    answers("200", "GET / HTTP/1.1\r\nHost: [::1]:80\r\nCookie: \x80\xff\r\n\r\n");
}

static void framing_that_can_be_read_in_two_ways_is_refused(void **state) {
    (void)state;
#define GET "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST
#define NEXT "GET /smuggled HTTP/1.1\r\n" HOST "\r\n"
    answers("400", POST "Content-Length : 3\r\n\r\nabc" NEXT);
    answers("400", POST "Content-Length\t: 3\r\n\r\nabc" NEXT);
    answers("400", POST " Content-Length: 3\r\n\r\nabc" NEXT);
    answers("400", GET "X: a\r\n folded\r\n\r\n" NEXT);
    answers("400", GET "X: a\r\n\tfolded\r\n\r\n" NEXT);
    answers("400", GET "\tX: a\r\n\r\n" NEXT);
    answers("400", "GET / HTTP/1.1\n" HOST "\r\n");
    answers("400", "GET / HTTP/1.1\r\nHost: a\n\r\n");
    answers("400", GET "X: a\nY: b\r\n\r\n");
    answers("400", GET "X: a\rY: b\r\n\r\n");
    answers("400", GET "X: a\r\r\n\r\n");
    answers("400", GET "X: a\r\n\n" NEXT);
    answers("400", GET "\r\r\n" NEXT);
    answers("400", GET "X: a\0b\r\n\r\n");
    answers("400", GET "X: a\x01\r\n\r\n");
    answers("400", GET "X: a\x7f\r\n\r\n");
    answers("400", GET ": a\r\n\r\n");
    answers("400", GET "nocolon\r\n\r\n");
    answers("400", GET "na\x80me: a\r\n\r\n");
    answers("400", GET "na(me: a\r\n\r\n");
    answers("400", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT);
    answers("400", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n" NEXT);
    answers("400", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc");
    answers("400", POST "Content-Length: 3\r\ncontent-length: 4\r\n\r\nabcd");
    answers("400", POST "Content-Length: 3, 3\r\n\r\nabc");
    answers("400", POST "Content-Length: +3\r\n\r\nabc");
    answers("400", POST "Content-Length: -3\r\n\r\nabc");
    answers("400", POST "Content-Length: 0x3\r\n\r\nabc");
    answers("400", POST "Content-Length: 3 4\r\n\r\nabc");
    answers("400", POST "Content-Length:\r\n\r\nabc");
    answers("400", POST "Content-Length: 99999999999999999999999\r\n\r\nabc");
    answers("400", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    answers("400", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n");
    answers("501", POST "Transfer-Encoding: identity\r\n\r\n");
    answers("501", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n");
    answers("501", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    answers("400", POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n");
    answers("501", POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n");
    answers("501", POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n");
    answers("400", POST "Transfer-Encoding: \x0b"
                        "chunked\r\n\r\n0\r\n\r\n");
    answers("400", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assert_int_equal(seen.requests, 0);
}

static void request_lines_are_read_to_the_letter(void **state) {
    (void)state;
    answers("400", "GET /\r\n\r\n");
    answers("400", "GET  / HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET /  HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET / HTTP/1.1 \r\n" HOST "\r\n");
    answers("400", " GET / HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET\t/ HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET /a\x80 HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET /a#b HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET a HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET * HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET ftp://a/b HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "GET / http/1.1\r\n" HOST "\r\n");
    answers("505", "GET / HTTP/1.2\r\n" HOST "\r\n");
    answers("505", "GET / HTTP/0.9\r\n" HOST "\r\n");
    answers("505", "PRI * HTTP/2.0\r\n\r\nMS\r\n\r\n");
    answers("501", "CONNECT a:1 HTTP/1.1\r\n" HOST "\r\n");
    answers("501", "FROB / HTTP/1.1\r\n" HOST "\r\n");
    answers("501", "get / HTTP/1.1\r\n" HOST "\r\n");
    answers("400", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n");
}

static void exactly_one_host_is_required(void **state) {
    (void)state;
    answers("400", "GET / HTTP/1.1\r\n\r\n");
    answers("400", "GET / HTTP/1.1\r\n" HOST HOST "\r\n");
    answers("400", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    answers("400", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n");
    answers("400", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n");
    answers("200", "GET / HTTP/1.0\r\n\r\n");
}

#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
static void chunked_bodies_are_joined(void **state) {
    (void)state;
    answers("200", CHUNKED "3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n");
    assert_string_equal(seen.body.p, "abc0123456789");
    answers("200 200", CHUNKED "0001\r\na\r\n0\r\n\r\n" GET "\r\n");
    answers("200 200", CHUNKED "0\r\n\r\n" CHUNKED "1\r\nx\r\n0\r\n\r\n");
    assert_string_equal(seen.body.p, "x");
}

static void bad_chunks_are_refused(void **state) {
    (void)state;
    answers("400", CHUNKED "\r\n\r\n");
    answers("400", CHUNKED "g\r\n\r\n");
    answers("400", CHUNKED "0x3\r\nabc\r\n0\r\n\r\n");
    answers("400", CHUNKED "-3\r\nabc\r\n0\r\n\r\n");
    answers("400", CHUNKED "3 \r\nabc\r\n0\r\n\r\n");
    answers("400", CHUNKED " 3\r\nabc\r\n0\r\n\r\n");
    answers("400", CHUNKED "3\nabc\r\n0\r\n\r\n");
    answers("400", CHUNKED "3\rabc\r\n0\r\n\r\n");
    answers("400", CHUNKED "3;a\nabc\r\n0\r\n\r\n");
    answers("400", CHUNKED "3;a\rb\r\nabc\r\n0\r\n\r\n");
    answers("400", CHUNKED "3;a\0b\r\nabc\r\n0\r\n\r\n");
    answers("400", CHUNKED "3\r\nabcd\r\n0\r\n\r\n");
    answers("400", CHUNKED "3\r\nab\r\n0\r\n\r\n");
    answers("400", CHUNKED "3\r\nabc\n0\r\n\r\n");
    answers("400", CHUNKED "3\r\nabc0\r\n\r\n");
    answers("400", CHUNKED "0\r\n folded\r\n\r\n");
    answers("400", CHUNKED "0\r\nX: a\n\r\n");
    answers("400", CHUNKED "0\r\n\n");
    answers("400", CHUNKED "10000000000000000\r\n");
    answers("400", CHUNKED "0000000000000000000000000000003\r\nabc\r\n0\r\n\r\n");
    answers("413", CHUNKED "fffffffffffffff\r\n");
    answers("413", CHUNKED "3e9\r\n");
    assert_int_equal(seen.requests, 0);
}

/* The head, then `filler` repeated to at least n bytes, then the tail. */
static void expect_filled(const char *head, const char *filler, size_t n, const char *tail, const char *want) {
    AUTO_BUF struct buf b;
    buf_init(&b, MIB);
    buf_add_text(&b, head);
    for (size_t start = b.n; b.n - start < n;) buf_add_text(&b, filler);
    buf_add_text(&b, tail);
    expect_with(&standard, buf_str(&b), SIZE_MAX, want);
    expect_with(&standard, buf_str(&b), 1000, want);
    expect_with(&standard, buf_str(&b), 1, want);
}

static void heads_have_limits(void **state) {
    (void)state;
    expect_filled("GET /", "a", 48000, " HTTP/1.1\r\n" HOST "\r\n", "200");
    expect_filled("GET /", "a", 49152, " HTTP/1.1\r\n" HOST "\r\n", "414");
    expect_filled("GET /", "a", 50000, "", "414");
    expect_filled("GET /", " ", 50000, " HTTP/1.1\r\n" HOST "\r\n", "414");
    expect_filled(GET "X: ", "a", 61440, "\rY: b\r\n\r\n", "431");
    expect_filled("GET /", "a", 100000, "", "414");
    expect_filled(GET "X: ", "a", 61300, "\r\n\r\n", "200");
    expect_filled(GET "X: ", "a", 61440, "\r\n\r\n", "431");
    expect_filled(GET "X: ", "a", 61440, "", "431");
    expect_filled(GET, "A: b\r\n", 99 * 6, "\r\n", "200");
    expect_filled(GET, "A: b\r\n", 100 * 6, "\r\n", "431");
    expect_filled(CHUNKED "1;", "a", 8000, "\r\nx\r\n0\r\n\r\n", "200");
    expect_filled(CHUNKED "1;", "a", 8193, "\r\nx\r\n0\r\n\r\n", "400");
    expect_filled(CHUNKED, "1;a=bcdefg\r\nx\r\n", 920 * 15, "0\r\n\r\n", "400");
    expect_filled(CHUNKED "0\r\n", "X: aaaaaaaa\r\n", 9000, "\r\n", "400");
}

static struct str say_target(void *listener, struct str target, struct str type, int status, struct str reason,
                             struct buf *out) {
    (void)listener, (void)type, (void)status, (void)reason;
    buf_add_fmt(out, "[" STR_FMT "]", STR_ARG(target));
    return STR("text/plain");
}

/* Whoever words a refusal is told what was asked, as far as it was read. */
static void refusals_know_the_target(void **state) {
    (void)state;
    static const struct http_server_options o = {.handler = handler, .refusal = say_target, .body_max = 1000};
    static const struct {
        const char *input, *want;
    } cases[] = {{"GET /a/../b?x HTTP/1.1\r\n" HOST "\r\n", "[/a/../b?x]"},
                 {"POST /p HTTP/1.1\r\n" HOST "Content-Length: 1001\r\n\r\n", "[/p]"},
                 {"GET /1 HTTP/1.1\r\n" HOST "\r\nGET /2 HTTP/3\r\n\r\n", "[/2]"},
                 {"\r\nGET /3 HTTP/1.1\n", "[/3]"},
                 {"GET\r\n", "[]"}};
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (size_t step = 1; step <= 1000; step += 999) {
            struct wire w;
            begin();
            wire_open(&w, &o);
            wire_feed(&w, str_of(cases[i].input), step);
            if (!strstr(w.out.p, cases[i].want)) fail_msg("case %zu: %s", i, w.out.p);
            wire_close(&w);
        }
}

static void bodies_have_a_limit(void **state) {
    (void)state;
    expect_filled(POST "Content-Length: 1000\r\n\r\n", "a", 1000, GET "\r\n", "200 200");
    answers("413", POST "Content-Length: 1001\r\n\r\n"); /* before a byte of it */
    answers("413", POST "Content-Length: 18446744073709551615\r\n\r\n");
    expect_filled(CHUNKED "3e8\r\n", "a", 1000, "\r\n0\r\n\r\n" GET "\r\n", "200 200");
    expect_filled(CHUNKED, "1\r\na\r\n", 6 * 1001, "0\r\n\r\n", "413");
    answers("417", POST "Content-Length: 3\r\nExpect: the-unexpected\r\n\r\nabc");
    struct http_server_options large = {.handler = handler};
    AUTO_BUF struct buf b;
    buf_init(&b, 4 * MIB);
    buf_add_text(&b, POST
                 "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\nContent-Length: 1048577\r\n\r\n");
    expect_with(&large, buf_str(&b), SIZE_MAX, "413");
}

static void large_bodies_arrive_whole(void **state) {
    (void)state;
    AUTO_BUF struct buf b, body;
    struct http_server_options large = {.handler = handler};
    buf_init(&b, 4 * MIB);
    buf_init(&body, 4 * MIB);
    while (body.n < 300000) buf_add_fmt(&body, "%zu,", body.n);
    for (size_t step = 777; step < 2000000; step *= 13) {
        buf_clear(&b);
        buf_add_fmt(&b, POST "Content-Length: %zu\r\n\r\n", body.n);
        buf_add_str(&b, buf_str(&body));
        buf_add_text(&b, GET "\r\n");
        buf_add_fmt(&b, CHUNKED "%zx\r\n", body.n);
        buf_add_str(&b, buf_str(&body));
        buf_add_text(&b, "\r\n0\r\n\r\n");
        expect_with(&large, buf_str(&b), step, "200 200 200");
        assert_true(str_equal(buf_str(&seen.body), buf_str(&body)));
    }
}

static void what_follows_a_chunked_body_is_the_next_request(void **state) {
    (void)state;
    AUTO_BUF struct buf b;
    char want[128];
    buf_init(&b, MIB);
    buf_add_text(&b, CHUNKED "1\r\na\r\n0\r\n\r\n");
    for (int i = 0; i < 25; i++) buf_add_text(&b, CHUNKED "1\r\na\r\n0\r\n\r\n");
    for (int i = 0; i < 26; i++) snprintf(want + 4 * i, sizeof want - 4 * (size_t)i, "200 ");
    want[103] = 0;
    expect(buf_str(&b), want);
}

static void a_connection_is_kept_or_closed_as_asked(void **state) {
    (void)state;
    answers("200 200 200", GET "\r\n" GET "\r\n" POST "Content-Length: 1\r\n\r\nx");
    answers("200", GET "Connection: close\r\n\r\n" GET "\r\n");
    answers("200", GET "Connection: keep-alive, ClOsE\r\n\r\n" GET "\r\n");
    answers("200", GET "Connection: x\r\nConnection: close\r\n\r\n" GET "\r\n");
    answers("200", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" GET "\r\n");
}

static void waiting_for_100_is_honoured(void **state) {
    (void)state;
    struct wire w;
    begin();
    wire_open(&w, &standard);
    wire_feed(&w, STR(POST "Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n"), SIZE_MAX);
    assert_string_equal(w.out.p, "HTTP/1.1 100 Continue\r\n\r\n");
    wire_feed(&w, STR("abc"), SIZE_MAX);
    assert_string_equal(w.out.p, "HTTP/1.1 100 Continue\r\n\r\n" OK_HEAD "2\r\n\r\nok");
    wire_close(&w);
    expect_with(&standard, STR(POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc"), SIZE_MAX, "200");
    answers("200", "POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    answers("413", POST "Content-Length: 3000\r\nExpect: 100-continue\r\n\r\n");
    answers("200", GET "Expect: 100-continue\r\n\r\n");
}

static void a_head_request_gets_the_head_alone(void **state) {
    (void)state;
    struct wire w;
    begin();
    wire_open(&w, &standard);
    wire_feed(&w, STR("HEAD / HTTP/1.1\r\n" HOST "\r\n" GET "Connection: close\r\n\r\n"), SIZE_MAX);
    assert_string_equal(w.out.p, OK_HEAD "2\r\n\r\n" OK_HEAD "2\r\nConnection: close\r\n\r\nok");
    wire_close(&w);
}

static void expect_path(struct str input, const char *path) {
    expect(input, path ? "200" : "400");
    if (path) assert_string_equal(seen.path, path);
}
#define path_is(path, target) expect_path(STR("GET " target " HTTP/1.1\r\n" HOST "\r\n"), path)

static void paths_are_decoded_and_stay_inside(void **state) {
    (void)state;
    path_is("/a b/c", "/a%20b/c?d=%zz");
    path_is("/a+b", "/a+b");
    path_is("/...", "/...");
    path_is("/a..", "/a..");
    path_is("/%", "/%25");
    path_is(NULL, "/%00");
    path_is(NULL, "/a%2");
    path_is(NULL, "/a%");
    path_is(NULL, "/a%g0");
    path_is(NULL, "/..");
    path_is(NULL, "/a/../b");
    path_is(NULL, "/a/%2e%2E/b");
    path_is(NULL, "/a/..%2fb");
    path_is(NULL, "/a%5c..%5cb");
}

/* ---- parameters ------------------------------------------------------------------------------------------------- */

static struct buf params_text;
static void param_add(void *context, struct str name, struct str value) {
    (void)context;
    buf_add_fmt(&params_text, "[" STR_FMT "=" STR_FMT "]", STR_ARG(name), STR_ARG(value));
}

static void params_handler(struct http_request *r) {
    struct str v = {0};
    http_params_each(r, param_add, NULL);
    if (http_param(r, STR("m"), 1, &v)) buf_add_fmt(&params_text, "second m " STR_FMT, STR_ARG(v));
    assert_false(http_param(r, STR("m"), 2, &v));
    http_reply(r, &(struct http_reply){.status = 204, .body = STR("never sent")});
}

static void expect_params(struct str input, const char *want) {
    struct wire w;
    buf_init(&params_text, MIB);
    wire_open(&w, &(struct http_server_options){.handler = params_handler});
    wire_feed(&w, input, SIZE_MAX);
    assert_string_equal(params_text.p ? params_text.p : "", want);
    assert_string_equal(w.out.p, "HTTP/1.1 204 No Content\r\n\r\n");
    wire_close(&w);
    buf_done(&params_text);
}

static void parameters_come_from_query_and_form(void **state) {
    (void)state;
    expect_params(STR("GET /?a=1&b=%20x+y&&m=1&m=2%26&c&=d&e== HTTP/1.1\r\n" HOST "\r\n"),
                  "[a=1][b= x y][m=1][m=2&][c=][=d][e==]second m 2&");
    expect_params(STR("GET /?a=%zz%2&b=% HTTP/1.1\r\n" HOST "\r\n"), "[a=%zz%2][b=%]");
    expect_params(STR("GET /?%61=1%41 HTTP/1.1\r\n" HOST "\r\n"), "[a=1A]");
    expect_params(
        STR(POST "Content-Type: application/x-www-FORM-urlencoded;charset=x\r\nContent-Length: 7\r\n\r\nm=1&m=+"),
        "[m=1][m= ]second m  ");
    expect_params(STR(POST "Content-Type: text/plain\r\nContent-Length: 7\r\n\r\nm=1&m=+"), "");
    expect_filled("GET /?", "a&", 2000, " HTTP/1.1\r\n" HOST "\r\n", "200");
    expect_filled("GET /?", "a&", 2002, " HTTP/1.1\r\n" HOST "\r\n", "400");
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static const struct http_server_options timed = {.handler = handler,
                                                 .body_max = 100000,
                                                 .head_ns = 1000,
                                                 .idle_ns = 5000,
                                                 .body_ns = 1000000000,
                                                 .write_ns = 1000000000,
                                                 .linger_ns = 700};

static void a_slow_head_is_refused_in_time(void **state) {
    (void)state;
    struct wire w;
    begin();
    wire_open(&w, &timed);
    wire_wait(&w, 4999);
    assert_int_equal(w.connection.state, CONNECTION_IDLE);
    for (int i = 0; i < 5; i++) { /* a byte now and then moves nothing */
        wire_feed(&w, STR("G"), 1);
        assert_int_equal(connection_due_ns(&w.connection), 4999 + 1000);
        wire_wait(&w, 199);
        assert_null(w.out.p);
    }
    wire_wait(&w, 5);
    assert_true(str_starts_with(buf_str(&w.out), STR("HTTP/1.1 408 ")));
    assert_true(str_contains(buf_str(&w.out), STR("Connection: close\r\n")));
    assert_int_equal(w.connection.state, CONNECTION_LINGER);
    assert_true(w.connection.shut && !w.connection.request);
    wire_wait(&w, 700);
    assert_int_equal(w.connection.state, CONNECTION_DEAD);
    wire_close(&w);
}

static void an_idle_connection_goes_quietly(void **state) {
    (void)state;
    struct wire w;
    begin();
    wire_open(&w, &timed);
    wire_feed(&w, STR(GET "\r\n"), SIZE_MAX);
    buf_clear(&w.out);
    wire_wait(&w, 4999);
    assert_int_equal(w.connection.state, CONNECTION_IDLE);
    assert_null(w.connection.request); /* no buffers */
    wire_wait(&w, 1);
    assert_int_equal(w.connection.state, CONNECTION_DEAD);
    assert_int_equal(w.out.n, 0);
    wire_close(&w);
}

static void a_slow_body_is_refused_and_a_steady_one_is_not(void **state) {
    (void)state;
    const int64_t second = 1000000000;
    struct wire w;
    begin();
    wire_open(&w, &timed);
    wire_feed(&w, STR(POST "Content-Length: 90000\r\n\r\n"), SIZE_MAX);
    AUTO_BUF struct buf kib;
    buf_init(&kib, 2000);
    while (kib.n < 1024) buf_add_byte(&kib, 'x');
    for (int i = 0; i < 20; i++) {
        wire_feed(&w, buf_str(&kib), SIZE_MAX);
        wire_wait(&w, second);
        assert_null(w.out.p);
    }
    wire_feed(&w, (struct str){kib.p, 1000}, SIZE_MAX);
    wire_wait(&w, second);
    assert_true(str_starts_with(buf_str(&w.out), STR("HTTP/1.1 408 ")));
    wire_close(&w);
}

static void a_slow_reader_is_cut_off(void **state) {
    (void)state;
    struct wire w;
    begin();
    wire_open(&w, &timed);
    seen.hold = true;
    wire_feed(&w, STR(GET "\r\n"), SIZE_MAX);
    assert_int_equal(connection_due_ns(&w.connection), INT64_MAX); /* a handler takes the time it needs */
    http_reply(seen.held, &(struct http_reply){.status = 200, .body = STR("answer")});
    connection_wrote(&w.connection, 5, 0);
    connection_time_out(&w.connection, 1000000000);
    assert_int_equal(w.connection.state, CONNECTION_DEAD);
    wire_close(&w);
    assert_int_equal(w.engine.live_requests, 0);
}

/* ---- endings ---------------------------------------------------------------------------------------------------- */

static void a_half_closed_connection_gets_its_answer(void **state) {
    (void)state;
    struct wire w;
    begin();
    wire_open(&w, &standard);
    seen.hold = true;
    wire_feed(&w, STR(GET "\r\n" GET "\r\n"), SIZE_MAX);
    wire_end(&w);
    for (int i = 0; i < 2; i++) {
        http_reply(seen.held, &(struct http_reply){.status = 200, .body = STR("late")});
        wire_flush(&w);
    }
    assert_string_equal(w.out.p, OK_HEAD "4\r\n\r\nlate" OK_HEAD "4\r\n\r\nlate");
    assert_int_equal(w.connection.state, CONNECTION_DEAD);
    wire_close(&w);
}

static void a_request_cut_short_is_refused(void **state) {
    (void)state;
    static const char *const inputs[] = {"G", GET, POST "Content-Length: 3\r\n\r\nab", CHUNKED "5\r\nab"};
    for (size_t i = 0; i < LENGTH(inputs); i++) {
        struct wire w;
        begin();
        wire_open(&w, &standard);
        wire_feed(&w, str_of(inputs[i]), SIZE_MAX);
        wire_end(&w);
        assert_true(str_starts_with(buf_str(&w.out), STR("HTTP/1.1 400 ")));
        assert_int_equal(w.connection.state, CONNECTION_DEAD);
        wire_close(&w);
    }
}

static void a_reply_after_the_connection_went_is_dropped(void **state) {
    (void)state;
    struct wire w;
    struct budget budget;
    budget_init(&budget, 1000);
    begin();
    wire_open(&w, &(struct http_server_options){.handler = handler, .budget = &budget});
    seen.hold = true;
    wire_feed(&w, STR(POST "Content-Length: 3\r\n\r\nabc"), 40);
    connection_close(&w.connection);
    assert_true(str_equal(http_body(seen.held), STR("abc")));
    assert_int_equal(budget_used(&budget), 3);
    http_reply(seen.held, &(struct http_reply){.status = 200, .body = STR("gone")});
    assert_int_equal(budget_used(&budget), 0);
    assert_int_equal(w.engine.live_requests, 0);
    wire_close(&w);
}

static void a_socket_that_takes_little_gets_all_in_the_end(void **state) {
    (void)state;
    for (size_t take_max = 1; take_max < 70; take_max += 7) {
        struct wire w;
        begin();
        wire_open(&w, &standard);
        w.write_max = take_max;
        seen.hold = true;
        wire_feed(&w, STR(POST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"), SIZE_MAX);
        wire_feed(&w, STR("abc"), SIZE_MAX);
        char *owned = str_dup(STR("an owned body"));
        http_reply(seen.held, &(struct http_reply){.status = 200, .body = {owned, 13}, .body_owned = owned});
        wire_flush(&w);
        assert_string_equal(w.out.p, "HTTP/1.1 100 Continue\r\n\r\n" OK_HEAD "13\r\n\r\nan owned body");
        wire_close(&w);
    }
}

static bool nobody(const struct http_request *r, void *context) {
    (void)context;
    return http_field(r, STR("x-known")).p != NULL;
}

/* Neither the body's memory nor an invitation to send it: the handler says no, and the connection ends. */
static void large_bodies_of_strangers_are_left(void **state) {
    (void)state;
    static const char *const announced[] = {"Content-Length: 4097", "Transfer-Encoding: chunked",
                                            "Expect: 100-continue\r\nContent-Length: 99999999"};
    const struct http_server_options o = {.handler = handler, .is_trusted = nobody, .body_max = 100 * MIB};
    for (size_t i = 0; i < LENGTH(announced); i++) {
        AUTO_BUF struct buf head;
        struct wire w;
        buf_init(&head, KIB);
        buf_add_fmt(&head, "POST / HTTP/1.1\r\nHost: a\r\n%s\r\n\r\n", announced[i]);
        begin();
        wire_open(&w, &o);
        wire_feed(&w, buf_str(&head), SIZE_MAX);
        buf_add_byte(&w.out, 0);
        assert_true(str_starts_with(str_of(w.out.p), STR("HTTP/1.1 200")));
        assert_non_null(strstr(w.out.p, "Connection: close\r\n"));
        assert_int_equal(w.connection.state, CONNECTION_LINGER);
        wire_close(&w);
        buf_clear(&head);
        buf_add_fmt(&head, "POST / HTTP/1.1\r\nHost: a\r\nX-Known: 1\r\n%s\r\n\r\n", announced[i]);
        wire_open(&w, &o);
        wire_feed(&w, buf_str(&head), SIZE_MAX);
        assert_int_equal(w.connection.state, CONNECTION_BODY);
        wire_close(&w);
    }
    expect_with(&o, STR("POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" HOST "\r\n"), 7,
                "200 200");
}

/* ---- the budget ------------------------------------------------------------------------------------------------- */

static void over_the_budget_is_429_and_small_bodies_keep_the_connection(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 10);
    struct http_server_options o = {.handler = handler, .budget = &budget};
    expect_with(
        &o, STR(POST "Content-Length: 10\r\n\r\n0123456789" POST "Content-Length: 11\r\n\r\n0123456789a" GET "\r\n"),
        SIZE_MAX, "200 429 200");
    expect_with(&o, STR(POST "Content-Length: 11\r\n\r\n0123456789a" GET "\r\n"), 7, "429 200");
    expect_with(&o, STR(POST "Content-Length: 11\r\nExpect: 100-continue\r\n\r\n"), 7, "429");
    expect_with(&o, STR(POST "Content-Length: 1048577\r\n\r\n"), 7, "429");
    expect_with(&o, STR(CHUNKED "1\r\na\r\n0\r\n\r\n"), 7, "429");
    assert_int_equal(budget_used(&budget), 0);
    struct wire w;
    begin();
    wire_open(&w, &o);
    wire_feed(&w, STR(POST "Content-Length: 11\r\n\r\n0123456789a"), SIZE_MAX);
    assert_true(str_contains(buf_str(&w.out), STR("Retry-After: 2\r\n")));
    assert_int_equal(w.engine.refused[4], 1);
    wire_close(&w);
}

static void chunked_bodies_and_long_heads_draw_from_the_budget_as_they_grow(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 100 * 1024);
    struct http_server_options o = {.handler = handler, .budget = &budget};
    AUTO_BUF struct buf b;
    buf_init(&b, MIB);
    buf_add_text(&b, CHUNKED);
    for (int i = 0; i < 200; i++) buf_add_fmt(&b, "400\r\n%01024d\r\n", 0);
    expect_with(&o, buf_str(&b), 5000, "429");
    assert_int_equal(seen.requests, 0);
    assert_int_equal(budget_used(&budget), 0);
    budget_init(&budget, 10000);
    buf_clear(&b);
    buf_add_fmt(&b, GET "X: %020000d\r\n\r\n", 0);
    expect_with(&o, buf_str(&b), 1000, "429");
    budget_init(&budget, 40000);
    expect_with(&o, buf_str(&b), 1000, "200");
    assert_int_equal(budget_used(&budget), 0);
}

/* 64 MiB announced and not sent must not hold 64 MiB; what would not fit is refused before it comes. */
static void a_length_is_only_a_claim(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 10 * MIB);
    struct wire w;
    begin();
    wire_open(&w, &(struct http_server_options){.handler = handler, .budget = &budget});
    wire_feed(&w, STR(POST "Content-Length: 10485760\r\n\r\nabc"), SIZE_MAX);
    assert_int_equal(budget_used(&budget), BODY_AT_ONCE);
    AUTO_FREE char *body = mem_new(10 * MIB);
    wire_feed(&w, (struct str){body, 700000}, SIZE_MAX);
    assert_int_equal(budget_used(&budget), 2 * BODY_AT_ONCE);
    wire_feed(&w, (struct str){body, 10 * MIB - 700003}, 100000);
    assert_int_equal(seen.body.n, 10 * MIB);
    assert_int_equal(budget_used(&budget), 0);
    assert_true(budget.peak_bytes <= 10 * MIB);
    wire_feed(&w, STR(POST "Content-Length: 10485761\r\n\r\n"), SIZE_MAX);
    assert_true(strstr(w.out.p, "HTTP/1.1 429 "));
    wire_close(&w);
    wire_open(&w, &(struct http_server_options){.handler = handler, .budget = &budget});
    wire_feed(&w, STR(POST "Content-Length: 10485760\r\n\r\nabc"), SIZE_MAX);
    budget_take_always(&budget, 9 * MIB); /* meanwhile others took the rest */
    wire_feed(&w, (struct str){body, 2 * MIB}, 100000);
    assert_true(str_starts_with(buf_str(&w.out), STR("HTTP/1.1 429 ")));
    assert_int_equal(budget_used(&budget), 9 * MIB);
    wire_close(&w);
}

static void big_body_buffers_are_used_again(void **state) {
    (void)state;
    struct wire w;
    begin();
    wire_open(&w, &(struct http_server_options){.handler = handler});
    AUTO_BUF struct buf b;
    buf_init(&b, MIB);
    buf_add_fmt(&b, POST "Content-Length: 300000\r\n\r\n%0300000d", 0);
    wire_feed(&w, buf_str(&b), SIZE_MAX);
    assert_int_equal(w.engine.bodies_count, 1);
    char *p = w.engine.bodies[0].p;
    wire_feed(&w, (struct str){b.p, 10000}, SIZE_MAX);
    assert_int_equal(w.engine.bodies_count, 0);
    assert_ptr_equal(w.connection.request->body_buffer, p);
    wire_close(&w);
}

/* ---- anything at all -------------------------------------------------------------------------------------------- */

/* Random damage to good input, cut at random places: the answers do not depend on the cuts. */
static void answers_do_not_depend_on_how_the_bytes_arrive(void **state) {
    (void)state;
    static const struct str good =
        STR(POST "Content-Length: 3\r\n\r\nabc" CHUNKED "3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\n" GET
                 "X: y\r\n\r\n" GET "Connection: close\r\n\r\n");
    uint64_t x = 88172645463325252u;
    for (int round = 0; round < 3000; round++) {
        char input[400], whole[128];
        memcpy(input, good.p, good.n);
        for (int i = 0; i < 2; i++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            input[x % good.n] = "\r\n :;0aF,\x80"[x >> 32 & 7];
        }
        struct wire w;
        begin();
        wire_open(&w, &standard);
        wire_feed(&w, (struct str){input, good.n}, SIZE_MAX);
        statuses(&w.out, whole);
        wire_close(&w);
        expect_with(&standard, (struct str){input, good.n}, 1 + (size_t)(x >> 40) % 9, whole);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ordinary_requests_are_answered),
        cmocka_unit_test(framing_that_can_be_read_in_two_ways_is_refused),
        cmocka_unit_test(request_lines_are_read_to_the_letter),
        cmocka_unit_test(exactly_one_host_is_required),
        cmocka_unit_test(refusals_know_the_target),
        cmocka_unit_test(chunked_bodies_are_joined),
        cmocka_unit_test(bad_chunks_are_refused),
        cmocka_unit_test(heads_have_limits),
        cmocka_unit_test(bodies_have_a_limit),
        cmocka_unit_test(large_bodies_arrive_whole),
        cmocka_unit_test(what_follows_a_chunked_body_is_the_next_request),
        cmocka_unit_test(a_connection_is_kept_or_closed_as_asked),
        cmocka_unit_test(waiting_for_100_is_honoured),
        cmocka_unit_test(a_head_request_gets_the_head_alone),
        cmocka_unit_test(paths_are_decoded_and_stay_inside),
        cmocka_unit_test(parameters_come_from_query_and_form),
        cmocka_unit_test(a_slow_head_is_refused_in_time),
        cmocka_unit_test(an_idle_connection_goes_quietly),
        cmocka_unit_test(a_slow_body_is_refused_and_a_steady_one_is_not),
        cmocka_unit_test(a_slow_reader_is_cut_off),
        cmocka_unit_test(a_half_closed_connection_gets_its_answer),
        cmocka_unit_test(a_request_cut_short_is_refused),
        cmocka_unit_test(a_reply_after_the_connection_went_is_dropped),
        cmocka_unit_test(a_socket_that_takes_little_gets_all_in_the_end),
        cmocka_unit_test(large_bodies_of_strangers_are_left),
        cmocka_unit_test(over_the_budget_is_429_and_small_bodies_keep_the_connection),
        cmocka_unit_test(chunked_bodies_and_long_heads_draw_from_the_budget_as_they_grow),
        cmocka_unit_test(a_length_is_only_a_claim),
        cmocka_unit_test(big_body_buffers_are_used_again),
        cmocka_unit_test(answers_do_not_depend_on_how_the_bytes_arrive),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
