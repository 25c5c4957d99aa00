/* What the asking commands say to the server and make of its answer: every option's parameter, the question before a deletion, each
 * kind of error, and lists line by line. A fake stands in for the server: what it was asked is what counts. */
#include "app/program_test_priv.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ID "0af7651916cd43dd8448eb211c80319c"

/* ---- questions -------------------------------------------------------------------------------------------------- */

static const struct {
    const char *words[12], *line;
} questions[] = {
    {{"trace", ID}, "GET /api/v1/traces/" ID " HTTP/1.1"},
    {{"query", "traces"}, "GET /api/v1/traces HTTP/1.1"},
    {{"query", "logs"}, "GET /api/v1/logs/query HTTP/1.1"},
    {{"query", "traces", "--service", "web"}, "GET /api/v1/traces?service=web HTTP/1.1"},
    {{"query", "traces", "--environment", "prod"}, "GET /api/v1/traces?environment=prod HTTP/1.1"},
    {{"query", "traces", "--operation", "GET /a b"}, "GET /api/v1/traces?operation=GET%20%2Fa%20b HTTP/1.1"},
    {{"query", "traces", "--min-duration", "1ms"}, "GET /api/v1/traces?min_duration=1ms HTTP/1.1"},
    {{"query", "traces", "--max-duration", "2s"}, "GET /api/v1/traces?max_duration=2s HTTP/1.1"},
    {{"query", "traces", "--status", "error"}, "GET /api/v1/traces?status=error HTTP/1.1"},
    {{"query", "traces", "--root", "--service", "web"}, "GET /api/v1/traces?root=true&service=web HTTP/1.1"},
    {{"query", "traces", "--order", "longest"}, "GET /api/v1/traces?order=longest HTTP/1.1"},
    {{"query", "traces", "--cursor", "00ff"}, "GET /api/v1/traces?cursor=00ff HTTP/1.1"},
    {{"query", "traces", "--where", "a>=1", "--where", "b~c&d"},
     "GET /api/v1/traces?where=a%3E%3D1&where=b~c%26d HTTP/1.1"},
    {{"query", "traces", "--text", "\"a\" b*"}, "GET /api/v1/traces?text=%22a%22%20b%2A HTTP/1.1"},
    {{"query", "traces", "--start", "now-1h", "--end", "now+1h", "--limit", "5"},
     "GET /api/v1/traces?start=now-1h&end=now%2B1h&limit=5 HTTP/1.1"},
    {{"query", "traces", "--service", "gr\xc3\xbcn#?%"}, "GET /api/v1/traces?service=gr%C3%BCn%23%3F%25 HTTP/1.1"},
    {{"query", "traces", "--service", "a\r\nHost: b"}, "GET /api/v1/traces?service=a%0D%0AHost%3A%20b HTTP/1.1"},
    {{"query", "traces", "--service="}, "GET /api/v1/traces?service= HTTP/1.1"},
    {{"query", "logs", "--severity", "warn", "--trace", ID},
     "GET /api/v1/logs/query?severity=warn&trace_id=" ID " HTTP/1.1"},
    {{"query", "logs", "--by", "user.id", "--limit", "5", "--service", "web"},
     "GET /api/v1/logs/query?mode=count&service=web&by=user.id&groups=5 HTTP/1.1"},
    {{"query", "traces", "--by", "operation"}, "GET /api/v1/traces/stats?top=0&by=operation HTTP/1.1"},
    {{"query", "correlations"}, "GET /api/v1/correlations HTTP/1.1"},
    {{"query", "correlations", "a/b", "--status", "error", "--min-duration", "1s", "--limit", "5"},
     "GET /api/v1/correlations?search=a%2Fb&errors=true&min_duration=1s&limit=5 HTTP/1.1"},
    {{"query", "correlations", "--attribute", "order.id", "--service", "web", "--start", "now-1d"},
     "GET /api/v1/correlations?service=web&attribute=order.id&start=now-1d HTTP/1.1"},
    {{"query", "correlation", "a/b c?", "--environment", "prod"},
     "GET /api/v1/correlations/a%2Fb%20c%3F?details=true&environment=prod HTTP/1.1"},
    {{"query", "correlation", "../x"}, "GET /api/v1/correlations/-?id=..%2Fx&details=true HTTP/1.1"},
    {{"query", "correlation", "."}, "GET /api/v1/correlations/-?id=.&details=true HTTP/1.1"},
    {{"query", "propagation", "--service", "web"}, "GET /api/v1/propagation?service=web HTTP/1.1"},
    {{"query", "logs", "--follow"}, "GET /api/v1/logs/tail?limit=100 HTTP/1.1"},
    {{"query", "logs", "--follow", "--service", "web", "--limit", "5", "--start", "now-1d"},
     "GET /api/v1/logs/tail?service=web&limit=5&start=now-1d HTTP/1.1"},
    {{"backup", "/var/b 1"}, "POST /api/v1/admin/backup?to=%2Fvar%2Fb%201 HTTP/1.1"},
    {{"delete", "--yes", "--trace", ID}, "POST /api/v1/admin/delete?signal=all&trace_id=" ID " HTTP/1.1"},
    {{"delete", "--yes", "--trace", ID, "--traces"}, "POST /api/v1/admin/delete?signal=spans&trace_id=" ID " HTTP/1.1"},
    {{"delete", "--yes", "--trace", ID, "--logs"}, "POST /api/v1/admin/delete?signal=logs&trace_id=" ID " HTTP/1.1"},
    {{"delete", "--yes", "--trace", ID, "--logs", "--traces"},
     "POST /api/v1/admin/delete?signal=all&trace_id=" ID " HTTP/1.1"},
    {{"delete", "--yes", "--trace", ID, "--verify"},
     "POST /api/v1/admin/delete?signal=all&trace_id=" ID "&verify=true HTTP/1.1"},
    {{"delete", "--yes", "--start", "1", "--end", "2", "--service", "a=b", "--where", "c<3"},
     "POST /api/v1/admin/delete?signal=all&start=1&end=2&where=c%3C3&where=resource.service.name%3Da%3Db HTTP/1.1"},
};

static void options_reach_the_server_as_parameters(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(questions); i++) {
        struct fake f = {.act = FAKE_STATUS, .text = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"};
        const char *words[16] = {NULL};
        int n = 0;
        fake_start(&f);
        for (; questions[i].words[n]; n++) words[n] = questions[i].words[n];
        words[n++] = "--server";
        words[n] = f.url;
        check_run(3, "", "clew: the server answered 404\n", words);
        fake_stop(&f);
        assert_string_equal(f.line, questions[i].line);
        assert_int_equal(atomic_load(&f.requests), 1);
    }
}

/* A slash at the end of --server, and a path in it (a proxy's), are kept apart from the question's. */
static void servers_may_stand_behind_a_path(void **state) {
    (void)state;
    static const char *const ends[][2] = {{"", ""}, {"/", ""}, {"///", ""}, {"/clew", "/clew"}, {"/clew/", "/clew"}};
    for (size_t i = 0; i < LENGTH(ends); i++) {
        struct fake f = {.act = FAKE_OK, .text = "{}"};
        char server[128], line[128];
        fake_start(&f);
        snprintf(server, sizeof server, "%s%s", f.url, ends[i][0]);
        snprintf(line, sizeof line, "GET %s/api/v1/traces HTTP/1.1", ends[i][1]);
        CHECK(0, "", "nothing matches", "query", "traces", "--server", server);
        fake_stop(&f);
        assert_string_equal(f.line, line);
    }
}

static void questions_have_a_longest(void **state) {
    (void)state;
    char *text = mem_new(70001);
    memset(text, 'x', 70000);
    struct fake f = {.act = FAKE_OK, .text = "{}"};
    fake_start(&f);
    CHECK(6, "", "the question is longer than 64 KiB", "query", "traces", "--service", text, "--server", f.url);
    CHECK(6, "", "--service is too long", "delete", "--yes", "--start", "0", "--end", "1", "--service", text,
          "--server", f.url);
    text[9000] = 0; /* as it is sent for a deletion it must be whole */
    CHECK(0, "deleted: ", "", "delete", "--yes", "--start", "0", "--end", "1", "--service", text, "--server", f.url);
    text[3000] = 0;
    CHECK(2, "", "--otlp: over 480 bytes", "load", "--otlp", text);
    fake_stop(&f);
    assert_int_equal(atomic_load(&f.requests), 1);
    assert_non_null(strstr(f.line, "&where=resource.service.name%3Dxxx"));
    mem_free(text);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

/* Every kind of error the server names ends with the status of its kind, whatever the status of HTTP. */
static void each_kind_of_error_has_its_exit_status(void **state) {
    (void)state;
    for (int k = 0; k < ERR_KINDS; k++) {
        char body[128], text[256];
        struct fake f = {.act = FAKE_STATUS, .text = text};
        snprintf(body, sizeof body, "{\"error\":{\"kind\":\"%s\",\"message\":\"it is %s\",\"hint\":\"do this\"}}",
                 err_kind_rows[k].name, err_kind_rows[k].name);
        snprintf(text, sizeof text, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n\r\n%s", err_kind_rows[k].http,
                 strlen(body), body);
        fake_start(&f);
        snprintf(body, sizeof body, "clew: it is %s\n  do this\n", err_kind_rows[k].name);
        CHECK(err_kind_rows[k].exit_code, "", body, "query", "logs", "--server", f.url);
        fake_stop(&f);
    }
}

static void lists_have_a_line_for_each_row(void **state) {
    (void)state;
    static const struct {
        const char *what, *answer, *out;
    } cases[] = {
        {"traces",
         "{\"traces\":[{\"trace_id\":\"" ID "\",\"start\":\"2026-11-25T01:02:03.004005006Z\",\"duration_ns\":1,"
         "\"span_count\":1,\"error_count\":0,\"root\":{\"service\":\"s\",\"operation\":\"o\"}}]}",
         "2026-11-25 01:02:03.004  " ID "        1ns     1 span   s o\n"},
        {"traces",
         "{\"traces\":[{\"trace_id\":\"" ID "\",\"start\":\"2026-11-25T01:02:03Z\",\"duration_ns\":90000000000,"
         "\"span_count\":12345,\"error_count\":2,\"root\":{\"service\":\"s\",\"operation\":\"o\"}}]}",
         "2026-11-25 01:02:03      " ID "      1m30s  12345 spans  s o  2 errors\n"},
        {"traces", "{\"traces\":[{},{}]}", NULL},
        {"logs",
         "{\"logs\":[{\"time\":\"2026-11-25T01:02:03.5Z\",\"severity\":\"warn\",\"service\":\"s\",\"body\":\"b\"}]}",
         "2026-11-25 01:02:03.5    warn   s               b\n"},
        {"logs",
         "{\"logs\":[{\"body\":null},{\"body\":1.5},{\"body\":true},{\"body\":[1,{\"a\":\"b\"}]},{\"body\":\"\"}]}",
         "[1,{\"a\":\"b\"}]\n"},
        {"logs", "{\"logs\":[{\"body\":\"two\\nlines\"}]}", "two\\x0alines\n"},
        {"logs", "{\"logs\":[{\"trace_id\":\"" ID "\",\"body\":\"b\"}]}", "b  trace=" ID "\n"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct fake f = {.act = FAKE_OK, .text = cases[i].answer};
        fake_start(&f);
        CHECK(0, cases[i].out, "", "query", cases[i].what, "--server", f.url);
        fake_stop(&f);
    }
}

/* --json gives what the server said, byte for byte, and a line's end. */
static void json_is_passed_through(void **state) {
    (void)state;
    static const char *const words[][5] = {
        {"query", "traces"}, {"query", "logs"}, {"trace", ID}, {"backup", "/b"}, {"delete", "--yes", "--trace", ID}};
    for (size_t i = 0; i < LENGTH(words); i++) {
        struct fake f = {.act = FAKE_OK, .text = "{\"any\":[1,2,\"\\u001b\"],\"thing\":null}"};
        const char *all[8] = {NULL};
        struct program p;
        int n = 0;
        fake_start(&f);
        for (; n < 5 && words[i][n]; n++) all[n] = words[i][n];
        all[n++] = "--json";
        all[n++] = "--server";
        all[n] = f.url;
        program_start(&p, OUTPUT_PIPES, all);
        program_wait(&p);
        program_check(&p, 0, NULL, "");
        assert_string_equal(p.out.p, "{\"any\":[1,2,\"\\u001b\"],\"thing\":null}\n");
        program_done(&p);
        fake_stop(&f);
    }
}

/* ---- asking before a deletion ----------------------------------------------------------------------------------- */

static void a_deletion_is_asked_for_on_a_terminal(void **state) {
    (void)state;
    static const struct {
        const char *typed;
        int status, requests;
        const char *out;
    } cases[] = {
        {"y\n", 0, 1, "deleted: no answer shows these rows; their bytes go within 24 hours"},
        {"Yes\n", 0, 1, "deleted: "},
        {"n\n", 11, 0, "clew: nothing was deleted"},
        {"\n", 11, 0, "clew: nothing was deleted"},
        {"sure, why not, this is a long answer\n", 11, 0, "clew: nothing was deleted"},
        {"\x04", 11, 0, "clew: nothing was deleted"}, /* the end of the input */
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct fake f = {.act = FAKE_OK, .text = "{\"id\":1}"};
        struct program p;
        fake_start(&f);
        START(&p, OUTPUT_TERMINAL, "delete", "--trace", ID, "--server", f.url);
        program_read_until(&p, "Delete these rows for ever? [y/N] ");
        assert_int_equal(write(p.fds[0], cases[i].typed, strlen(cases[i].typed)), strlen(cases[i].typed));
        program_wait(&p);
        program_check(&p, cases[i].status, cases[i].out, NULL);
        assert_int_equal(atomic_load(&f.requests), cases[i].requests);
        program_done(&p);
        fake_stop(&f);
    }
}

/* ---- load ------------------------------------------------------------------------------------------------------- */

static void what_a_load_is_answered_is_counted(void **state) {
    (void)state;
    static const struct {
        const char *answer;
        int status;
        const char *out, *error;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0, "refused   0 rows, 0 requests tried again, 0 failed\n", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n\x0a\x02\x08\x03", 0, "refused   6 rows, ", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x0a\x03\x08\x80\x01", 0, "refused   256 rows, ", ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n???", 0, "refused   0 rows, ", ""},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 8, "", "the server answered 500"},
        {"HTTP/1.1 302 No\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", 8, "",
         "the server answered 302"},
        {"nonsense\r\n\r\n", 8, "", "nothing was acknowledged (--otlp): "},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct fake f = {.act = FAKE_STATUS, .text = cases[i].answer};
        fake_start(&f);
        CHECK(cases[i].status, cases[i].out, cases[i].error, "load", "--otlp", f.url, "--count", "20", "--items", "10",
              "--connections", "1");
        fake_stop(&f);
        assert_string_equal(f.line, "POST /v1/traces HTTP/1.1");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(options_reach_the_server_as_parameters),
        TEST(servers_may_stand_behind_a_path),
        TEST(questions_have_a_longest),
        TEST(each_kind_of_error_has_its_exit_status),
        TEST(lists_have_a_line_for_each_row),
        TEST(json_is_passed_through),
        TEST(a_deletion_is_asked_for_on_a_terminal),
        TEST(what_a_load_is_answered_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
