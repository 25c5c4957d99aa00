/* The commands that ask a running clew, in real processes: their JSON, what they draw on a terminal, what a hostile answer may do to
 * one, and a load that finds out when rows are lost, changed or invented. */
#include "app/program_test_priv.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/protobuf_put.h"
#include "base/text.h"
#include "net/client.h"
#include "os/clock.h"
#include "os/file.h"

/* Sends a small load and gives one of its trace ids. */
static const char *load_some(const struct served *s) {
    static char id[33];
    AUTO_BUF struct buf ids;
    const char *file = in_folder("ids");
    buf_init(&ids, MIB);
    CHECK(0, " 0 missing, 0 different, 0 invented", "", "load", "--otlp", s->otlp, "--server", s->api, "--count", "50",
          "--items", "50", "--signal", "both", "--verify", "--ids", file, "--over", "10m", "--connections", "1");
    read_bytes(file, &ids);
    assert_true(ids.n >= 33);
    snprintf(id, sizeof id, "%.32s", ids.p);
    return id;
}

static void check_output(int status, const char *fields, const char *const *words) {
    struct program p;
    program_start(&p, OUTPUT_PIPES, words);
    program_wait(&p);
    program_check(&p, status, NULL, NULL);
    check_json(buf_str(&p.out), fields);
    program_done(&p);
}
#define JSON(status, fields, ...) check_output(status, fields, (const char *const[]){__VA_ARGS__, "--json", NULL})

static void json_is_one_value_with_the_documented_fields(void **state) {
    (void)state;
    struct served s;
    served_start(&s, "data");
    const char *id = load_some(&s), *server = s.api, *backup = in_folder("backup"), *again = in_folder("again");
    check_json(buf_str(&s.program.out), "ready api otlp_http start_ms");
    JSON(0, "version", "version");
    JSON(0,
         "items requests bytes seconds items_per_second connections retried rejected failed latency_ms.p50 "
         "latency_ms.p90 latency_ms.p99 latency_ms.max verified.traces verified.rows verified.missing "
         "verified.different verified.invented",
         "load", "--otlp", s.otlp, "--server", server, "--count", "10", "--items", "10", "--verify");
    JSON(0,
         "stories.0.name stories.0.what stories.0.traces stories.0.links.services stories.0.links.trace "
         "stories.0.links.traces stories.0.links.logs",
         "load", "--otlp", s.otlp, "--server", server, "--shape", "shop", "--stories", "--seed", "1", "--count", "300");
    JSON(0, "trace_id root.service root.operation start duration_ns span_count error_count spans.0.name spans.0.depth",
         "trace", id, "--server", server);
    JSON(0, "traces.0.trace_id traces.0.root.service traces.0.duration_ns next_cursor partial", "query", "traces",
         "--limit", "1", "--server", server);
    JSON(0, "logs.0.body logs.0.time logs.0.severity logs.0.attributes", "query", "logs", "--limit", "1", "--server",
         server);
    JSON(0, "backup", "backup", backup, "--server", server);
    JSON(0, "id gone_from_disk", "delete", "--trace", id, "--yes", "--verify", "--server", server);
    CHECK(3, "", "clew: ", "trace", id, "--server", server);
    CHECK(5, "", "is not empty", "backup", backup, "--server", server);
    CHECK(2, "", "absolute path", "backup", "relative", "--server", server);
    CHECK(5, "", "is in use by a clew process", "check", "--data", in_folder("data"));
    served_stop(&s);
    JSON(0, "bad parts rows bytes log_segments log_bytes findings", "check", "--data", in_folder("data"));
    JSON(0, "restored", "restore", backup, "--data", again);
    CHECK(5, "", "is not empty", "restore", backup, "--data", again);
    JSON(0, "file lines.0", "dump", in_folder("again/manifest"));
    CHECK(0, "manifest, format ", "", "dump", in_folder("again/manifest"));
}

/* One call of JSON; Its status, and the answer in `out`. */
static int call(const char *server, const char *method, const char *path, const char *body, struct buf *out) {
    static const char *const fields[] = {"Content-Type: application/json", NULL};
    char url[256];
    struct http_client *client = NULL;
    struct http_answer answer = {0};
    snprintf(url, sizeof url, "%s%s", server, path);
    assert_null(http_client_new(&client));
    assert_null(http_call_wait(client, method, url, fields, str_of(body), (int64_t)20 * 1000000000, MIB, &answer));
    buf_clear(out);
    buf_add_str(out, buf_str(&answer.body));
    buf_done(&answer.body);
    http_client_free(client);
    return answer.status;
}

static void assert_serves(const char *data, const char *path, const char *part) {
    struct served s;
    AUTO_BUF struct buf answer;
    buf_init(&answer, MIB);
    served_start(&s, data);
    assert_int_equal(call(s.api, "GET", path, "", &answer), 200);
    if (!strstr(answer.p, part)) fail_msg("%s: no %s in %s", data, part, answer.p);
    served_stop(&s);
}

/* Through kill -9, backup, restore of a backup and of the folder that was killed; damage is found before a restore. */
static void records_are_kept_copied_and_checked(void **state) {
    (void)state;
    struct served s;
    AUTO_BUF struct buf answer;
    buf_init(&answer, MIB);
    served_start(&s, "data");
    assert_int_equal(
        call(s.api, "PUT", "/api/v1/dashboards/home", "{\"title\":\"Of the backup\",\"panels\":[]}", &answer), 200);
    CHECK(0, "bring it back with", "", "backup", in_folder("backup"), "--server", s.api);
    assert_int_equal(call(s.api, "POST", "/api/v1/dashboards", "{\"title\":\"After it\",\"panels\":[]}", &answer), 200);
    kill(s.program.pid, SIGKILL);
    program_wait(&s.program);
    program_done(&s.program);
    CHECK(0, "everything reads as it was written", "", "check", "--data", in_folder("data"));
    CHECK(0, "is now a data directory", "", "restore", in_folder("backup"), "--data", in_folder("again"));
    CHECK(0, "is now a data directory", "", "restore", in_folder("data"), "--data", in_folder("killed"));
    assert_serves("again", "/api/v1/dashboards", "\"Of the backup\"");
    assert_serves("again", "/api/v1/dashboards?search=after", "{\"dashboards\":[]}");
    assert_serves("killed", "/api/v1/dashboards", "\"After it\"");
    assert_serves("data", "/api/v1/dashboards", "\"After it\"");
    static const char damage[] =
        "this is no database, and it is longer than the head of one, which has one hundred bytes: "
        "so it says so at once";
    write_text(in_folder("backup/records.db"), damage, sizeof damage);
    CHECK(9, "records.db", "1 bad place", "check", "--data", in_folder("backup"));
    CHECK(9, "", "the records of the backup are damaged", "restore", in_folder("backup"), "--data", in_folder("third"));
    assert_int_equal(entries_of(in_folder("third")), 0);
    write_text(in_folder("data/records.db"), damage, sizeof damage);
    CHECK(9, "", "bring ", "serve", "--data", in_folder("data"), "--listen", "127.0.0.1:0", "--otlp-http", "",
          "--otlp-grpc", "");
}

static void questions_have_answers_and_wrong_ones_a_reason(void **state) {
    (void)state;
    struct served s;
    served_start(&s, "data");
    load_some(&s);
    static const struct {
        const char *words[9];
        int status;
        const char *out, *error;
    } cases[] = {
        {{"query", "traces", "--limit", "2"}, 0, " spans  ", "more: the same with --cursor "},
        {{"query", "traces", "--service", "absent"}, 0, "", "nothing matches; the range is"},
        {{"query", "traces", "--start", "0", "--end", "9999-12-31T23:59:59Z"}, 0, " spans  ", NULL},
        {{"query", "logs", "--end", "9999-12-31T23:59:59Z"}, 0, "trace=", NULL},
        {{"query", "logs", "--start", "9999-12-31T23:59:59Z"}, 0, "", "nothing matches"},
        {{"query", "logs", "--end", "0001-01-01T00:00:00Z"}, 0, "", "nothing matches"},
        {{"query", "traces", "--start", "now", "--end", "now-1h"}, 2, "", "end is before start"},
        {{"query", "traces", "--start", "soon"}, 2, "", "start: not a time"},
        {{"query", "traces", "--limit", "0"}, 2, "", "limit"},
        {{"query", "traces", "--order", "oldest"}, 2, "", "order"},
        {{"query", "traces", "--status", "broken"}, 2, "", "status"},
        {{"query", "traces", "--min-duration", "1"}, 2, "", "min_duration: not a duration"},
        {{"query", "traces", "--cursor", "00ff"}, 2, "", "cursor"},
        {{"query", "traces", "--root", "--by", "service"}, 2, "", "take one of them"},
        {{"query", "traces", "--where", "=="}, 2, "", "where"},
        {{"query", "logs", "--severity", "loud"}, 2, "", "severity"},
        {{"query", "logs", "--trace", "123"}, 2, "", "trace_id"},
        {{"query", "logs", "--text", "\"open"}, 2, "", "text"},
        {{"trace", "ffffffffffffffffffffffffffffffff"}, 3, "", "clew: "},
        {{"delete", "--trace", "1", "--yes"}, 2, "", "trace_id"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        const char *words[12] = {NULL};
        int n = 0;
        for (; cases[i].words[n]; n++) words[n] = cases[i].words[n];
        words[n++] = "--server";
        words[n] = s.api;
        check_run(cases[i].status, cases[i].out, cases[i].error, words);
    }
    served_stop(&s);
}

/* ---- on a terminal ---------------------------------------------------------------------------------------------- */

static void colors_and_progress_are_for_terminals(void **state) {
    (void)state;
    static const char red[] = "\x1b[31m", cyan[] = "\x1b[36m";
    struct fake f = {.act = FAKE_OK,
                     .text = "{\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"start\":\"2026-11-25T01:02:03Z\","
                             "\"duration_ns\":5,\"span_count\":1,\"error_count\":1,\"spans\":[{\"depth\":0,\"service\":"
                             "\"s\",\"name\":\"n\",\"start\":\"2026-11-25T01:02:03Z\",\"duration_ns\":5,\"status\":{"
                             "\"code\":\"error\",\"message\":\"m\"}}]}"};
    fake_start(&f);
    static const struct {
        enum program_output output;
        const char *color, *no_color;
        bool colored;
    } cases[] = {
        {OUTPUT_PIPES, "auto", NULL, false},   {OUTPUT_PIPES, "always", NULL, true},
        {OUTPUT_TERMINAL, "auto", NULL, true}, {OUTPUT_TERMINAL, "never", NULL, false},
        {OUTPUT_TERMINAL, "auto", "1", false}, {OUTPUT_TERMINAL, "always", "1", true},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct program p;
        if (cases[i].no_color) setenv("NO_COLOR", cases[i].no_color, 1);
        START(&p, cases[i].output, "trace", "0af7651916cd43dd8448eb211c80319c", "--server", f.url, "--color",
              cases[i].color);
        program_wait(&p);
        unsetenv("NO_COLOR");
        program_check(&p, 0, cases[i].colored ? red : "1 span", NULL);
        assert_int_equal(strstr(p.out.p, "\x1b[") != NULL, cases[i].colored);
        assert_null(strstr(p.out.p, cyan)); /* its only bar is an error's */
        program_done(&p);
    }
    fake_stop(&f);
    struct program p;
    START(&p, OUTPUT_TERMINAL, "load", "--count", "20000", "--to-file", in_folder("bodies"));
    program_wait(&p);
    program_check(&p, 0, "writing: ", NULL);
    assert_non_null(strstr(p.out.p, "\r\x1b[K")); /* and the line is cleared before the result */
    program_done(&p);
    CHECK(0, "wrote 20,000 spans", "", "load", "--count", "20000", "--to-file", in_folder("bodies"));
}

/* Whatever a server says, no control character but the ends of lines reaches the terminal (4). */
static void a_hostile_server_cannot_write_to_the_terminal(void **state) {
    (void)state;
#define EVIL "\\u001b]0;owned\\u0007\\u009b31m\\u202e\\r"
    static const struct {
        const char *words[2], *text;
    } cases[] = {
        {{"trace", "0af7651916cd43dd8448eb211c80319c"},
         "{\"trace_id\":\"" EVIL "\",\"start\":\"2026-11-25T01:02:03Z\",\"duration_ns\":5,\"root\":{\"service\":\"" EVIL
         "\",\"operation\":\"" EVIL "\"},\"partial\":true,\"partial_reason\":\"" EVIL
         "\",\"spans\":[{\"depth\":0,\"service\":\"" EVIL "\",\"name\":\"" EVIL
         "\",\"start\":\"2026-11-25T01:02:03Z\",\"duration_ns\":5,\"status\":{\"code\":\"error\",\"message\":\"" EVIL
         "\"}}]}"},
        {{"query", "traces"},
         "{\"traces\":[{\"trace_id\":\"" EVIL "\",\"start\":\"" EVIL "T" EVIL "\",\"root\":{\"service\":\"" EVIL
         "\",\"operation\":\"" EVIL "\"}},{\"start\":\"" EVIL "\"}],\"next_cursor\":\"" EVIL "\",\"partial\":true,"
         "\"partial_reason\":\"" EVIL "\"}"},
        {{"query", "logs"},
         "{\"logs\":[{\"time\":\"" EVIL "T" EVIL "\",\"severity\":\"" EVIL "\",\"service\":\"" EVIL
         "\",\"body\":\"" EVIL "\",\"trace_id\":\"" EVIL "\"},{\"body\":{\"" EVIL "\":[\"" EVIL "\"]}}]}"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct fake f = {.act = FAKE_OK, .text = cases[i].text};
        struct program p;
        fake_start(&f);
        RUN(&p, cases[i].words[0], cases[i].words[1], "--server", f.url, "--color", "never");
        program_check(&p, 0, "\\x1b]0;owned", NULL);
        for (size_t k = 0; k < p.out.n + p.err.n; k++) {
            unsigned char c = (unsigned char)(k < p.out.n ? p.out.p[k] : p.err.p[k - p.out.n]);
            if ((c < ' ' && c != '\n') || c == 0x7f) fail_msg("byte %02x in: %s%s", c, p.out.p, p.err.p);
        }
        assert_null(strstr(p.out.p, "\xc2\x9b"));     /* CSI as one character */
        assert_null(strstr(p.out.p, "\xe2\x80\xae")); /* right-to-left override */
        program_done(&p);
        fake_stop(&f);
    }
}

static void answers_that_are_none_end_in_a_sentence(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int status;
        const char *error;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2, "the server's answer: the text ends too early"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 0, "nothing matches"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"traces\"", 2, "the server's answer"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", 2, "the server's answer"},
        {"HTTP/1.1 404 No\r\nContent-Length: 6\r\n\r\n<html>", 3, "the server answered 404"},
        {"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", 1, "the server answered 500"},
        {"HTTP/1.1 500 No\r\nContent-Length: 43\r\n\r\n{\"error\":{\"kind\":\"corrupt\",\"message\":\"m\"}}\n", 9,
         "clew: m\n"},
        {"HTTP/1.1 429 No\r\nContent-Length: 40\r\n\r\n{\"error\":{\"message\":\"m\\u001b\",\"hint\":\"h\"}}\n", 7,
         "m\\x1b\n  h"},
        {"garbage\r\n\r\n", 8, "no answer from"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct fake f = {.act = FAKE_STATUS, .text = cases[i].text};
        fake_start(&f);
        CHECK(cases[i].status, "", cases[i].error, "query", "traces", "--server", f.url);
        fake_stop(&f);
    }
}

/* ---- odd traces ------------------------------------------------------------------------------------------------- */

struct odd_span {
    uint64_t id, parent;
    int64_t after_ns, duration_ns;
    const char *name;
};

static void put_odd_trace(struct buf *body, const struct odd_span *spans, size_t n, unsigned char fill) {
    unsigned char id[16];
    int64_t now_ns = clock_wall_ns();
    memset(id, fill, sizeof id);
    size_t group = put_begin(body, 1), scope = put_begin(body, 2);
    for (size_t i = 0; i < n; i++) {
        size_t span = put_begin(body, 2);
        put_bytes_field(body, 1, id, 16);
        put_bytes_field(body, 2, &spans[i].id, 8);
        if (spans[i].parent) put_bytes_field(body, 4, &spans[i].parent, 8);
        put_text_field(body, 5, str_of(spans[i].name));
        put_fixed64_field(body, 7, (uint64_t)(now_ns + spans[i].after_ns));
        put_fixed64_field(body, 8, (uint64_t)(now_ns + spans[i].after_ns + spans[i].duration_ns));
        put_end(body, span);
    }
    put_end(body, scope);
    put_end(body, group);
}

/* Every span of a trace that is no tree is drawn once: parents missing, of itself, in a ring; clocks that run apart. */
static void traces_that_are_no_trees_are_drawn_whole(void **state) {
    (void)state;
    enum { SECOND = 1000000000 };
    static const struct {
        struct odd_span spans[5];
        size_t n;
        const char *head;
    } cases[] = {
        {{{1, 0, 0, SECOND, "root"}, {2, 99, 5, 10, "orphan"}, {3, 2, 6, 1, "its child"}},
         3,
         "3 spans, 1 parent is missing"},
        {{{1, 1, 0, SECOND, "own parent"}}, 1, "1 span"},
        {{{1, 2, 0, SECOND, "ring a"}, {2, 1, 5, 10, "ring b"}, {3, 2, 6, 1, "below"}}, 3, "3 spans"},
        {{{1, 0, 0, 5, "root"},
          {2, 1, -60 * (int64_t)SECOND, SECOND, "early"},
          {3, 1, 60 * (int64_t)SECOND, 0, "late"}},
         3,
         "3 spans"},
        {{{1, 0, 0, 0, "zero"}, {2, 1, 0, 0, "nothing"}}, 2, "0s, 2 spans"},
        {{{1, 0, 0, -5, "ends before"}, {2, 1, 0, 10, "normal"}}, 2, "2 spans"},
        {{{1, 0, 0, 5, "twin a"}, {2, 0, 0, 5, "twin b"}}, 2, "2 spans"},
        {{{1, 0, 0, 5, "same id"}, {1, 0, 7, 5, "same id again"}}, 2, "2 spans"},
    };
    struct served s;
    served_start(&s, "data");
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf body;
        struct program p;
        char id[33];
        buf_init(&body, MIB);
        put_odd_trace(&body, cases[i].spans, cases[i].n, (unsigned char)(17 * (i + 1)));
        post(s.otlp, "/v1/traces", buf_str(&body));
        for (int k = 0; k < 16; k++) snprintf(id + 2 * k, 3, "%02x", (unsigned)(17 * (i + 1)) & 0xff);
        RUN(&p, "trace", id, "--server", s.api);
        program_check(&p, 0, cases[i].head, "");
        for (size_t k = 0; k < cases[i].n; k++) program_check(&p, 0, cases[i].spans[k].name, "");
        size_t lines = 0;
        for (size_t k = 0; k < p.out.n; k++) lines += p.out.p[k] == '\n';
        if (lines != 3 + cases[i].n) fail_msg("case %zu: %zu lines:\n%s", i, lines, p.out.p);
        program_done(&p);
    }
    served_stop(&s);
}

static err dump_entry(void *context, const char *name, bool is_dir) {
    char path[512];
    struct program p;
    int *dumped = context;
    assert_false(is_dir);
    snprintf(path, sizeof path, "%s/%s", in_folder("data/tenants/default/spans"), name);
    RUN(&p, "dump", path, "--rows", "100");
    program_check(&p, 0, "1 rows", "");
    for (size_t i = 0; i < p.out.n; i++)
        if ((unsigned char)p.out.p[i] < ' ' && p.out.p[i] != '\n') fail_msg("byte %02x in: %s", p.out.p[i], p.out.p);
    program_done(&p);
    ++*dumped;
    return NULL;
}

/* What senders wrote into names is printed by dump as text, too. */
static void dump_prints_no_control_characters(void **state) {
    (void)state;
    static const struct odd_span span = {1, 0, 0, 5, "\x1b]0;owned\x07\r\x1b[31m"};
    struct served s;
    AUTO_BUF struct buf body;
    int dumped = 0;
    served_start(&s, "data");
    buf_init(&body, MIB);
    put_odd_trace(&body, &span, 1, 0x11);
    post(s.otlp, "/v1/traces", buf_str(&body));
    served_stop(&s);
    assert_null(path_list(in_folder("data/tenants/default/spans"), dump_entry, &dumped));
    assert_int_equal(dumped, 1);
}

/* ---- load ------------------------------------------------------------------------------------------------------- */

static void load_finds_rows_that_are_lost_changed_or_invented(void **state) {
    (void)state;
    static const struct {
        enum fake_act act;
        const char *signal, *from_text, *to_text, *out;
    } cases[] = {
        {FAKE_OK, "traces", NULL, NULL, "read back 10 rows of 1 traces: 10 missing, 0 different, 0 invented"},
        {FAKE_CHANGE, "traces", "frontend", "frontemd", "0 missing, 1 different, 0 invented"},
        {FAKE_CHANGE, "traces", "http.route", "http.rouTe", "0 missing, 1 different, 0 invented"},
        {FAKE_CHANGE, "logs", "http.route", "http.rouTe", "0 missing, 1 different, 0 invented"},
        {FAKE_TWICE, "logs", "http.route", "http.rouTe", "0 missing, 0 different, 10 invented"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct served s;
        char name[16];
        snprintf(name, sizeof name, "data%zu", i);
        served_start(&s, name);
        struct fake f = {.act = cases[i].act,
                         .text = "",
                         .to = s.otlp,
                         .from_text = cases[i].from_text,
                         .to_text = cases[i].to_text};
        fake_start(&f);
        CHECK(9, cases[i].out, "what came back is not what was sent", "load", "--otlp", f.url, "--server", s.api,
              "--signal", cases[i].signal, "--count", "10", "--items", "10", "--connections", "1", "--verify", "--over",
              "1m");
        assert_true(atomic_load(&f.requests) > 0);
        fake_stop(&f);
        served_stop(&s);
    }
}

static int64_t number_after(const struct buf *text, const char *name) {
    const char *at = strstr(text->p, name);
    assert_non_null(at);
    return (int64_t)strtod(at + strlen(name), NULL);
}

static void a_rate_is_kept_and_a_count_is_exact(void **state) {
    (void)state;
    struct served s;
    struct program p;
    served_start(&s, "data");
    RUN(&p, "load", "--otlp", s.otlp, "--rate", "50", "--for", "2s", "--items", "10", "--json");
    program_check(&p, 0, "\"failed\":0", NULL);
    int64_t requests = number_after(&p.out, "\"requests\":");
    if (requests < 75 || requests > 101) fail_msg("%lld requests at 50 a second for 2 s", (long long)requests);
    assert_in_range(number_after(&p.out, "\"seconds\":"), 1, 3);
    program_done(&p);
    RUN(&p, "load", "--otlp", s.otlp, "--server", s.api, "--count", "1230", "--items", "100", "--connections", "7",
        "--gzip", "--verify", "--json", "--over", "10m");
    program_check(&p, 0, "\"items\":1230,\"requests\":13,", NULL);
    program_check(&p, 0, "\"traces\":123,\"rows\":1230,\"missing\":0,\"different\":0,\"invented\":0", NULL);
    int64_t p50 = number_after(&p.out, "\"p50\":"), p90 = number_after(&p.out, "\"p90\":"),
            p99 = number_after(&p.out, "\"p99\":"), most = number_after(&p.out, "\"max\":");
    assert_true(0 <= p50 && p50 <= p90 && p90 <= p99 && p99 <= most);
    program_done(&p);
    served_stop(&s);
}

/* Ids of acknowledged traces: all there, each once, as long as the load was. */
static void ids_are_unique(void **state) {
    (void)state;
    struct served s;
    AUTO_BUF struct buf ids;
    served_start(&s, "data");
    CHECK(0, "sent      3,000 spans", "", "load", "--otlp", s.otlp, "--count", "3000", "--items", "100", "--ids",
          in_folder("ids"));
    served_stop(&s);
    buf_init(&ids, MIB);
    read_bytes(in_folder("ids"), &ids);
    assert_int_equal(ids.n, 300 * 33);
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < i; k++) assert_memory_not_equal(ids.p + i * 33, ids.p + k * 33, 32);
}

static void refusals_are_counted_and_throttling_is_waited_out(void **state) {
    (void)state;
    struct fake f = {.act = FAKE_STATUS, .text = "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"};
    fake_start(&f);
    CHECK(8, "", "nothing was acknowledged (--otlp): the server answered 400", "load", "--otlp", f.url, "--count", "10",
          "--connections", "1");
    fake_stop(&f);
    struct fake busy = {.act = FAKE_STATUS, .text = "HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"};
    struct program p;
    fake_start(&busy);
    RUN(&p, "load", "--otlp", busy.url, "--for", "1s", "--connections", "1", "--count", "10");
    assert_true(p.status == 0 || p.status == 8);
    assert_true(atomic_load(&busy.requests) >= 1 && atomic_load(&busy.requests) < 700);
    program_done(&p);
    fake_stop(&busy);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(records_are_kept_copied_and_checked),
        TEST(json_is_one_value_with_the_documented_fields),
        TEST(questions_have_answers_and_wrong_ones_a_reason),
        TEST(colors_and_progress_are_for_terminals),
        TEST(a_hostile_server_cannot_write_to_the_terminal),
        TEST(answers_that_are_none_end_in_a_sentence),
        TEST(traces_that_are_no_trees_are_drawn_whole),
        TEST(dump_prints_no_control_characters),
        TEST(load_finds_rows_that_are_lost_changed_or_invented),
        TEST(a_rate_is_kept_and_a_count_is_exact),
        TEST(ids_are_unique),
        TEST(refusals_are_counted_and_throttling_is_waited_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
