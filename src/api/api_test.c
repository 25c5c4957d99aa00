#include "api/one_stage_testing_priv.h"

#include <stdio.h>

#include "api/origin_priv.h"
#include "net/inflate.h"

/* ---- the OTLP endpoints ----------------------------------------------------------------------------------------- */

/* A request to both ports; the answer must be a google.rpc.Status whose code and text are these. */
static void check_otlp_error(const char *method, const char *path, const char *type, const char *encoding,
                             struct str body, int status, int code, const char *message) {
    for (int port = 0; port < 2; port++) {
        struct buf request;
        buf_init(&request, KIB);
        buf_add_fmt(&request, "%s %s%s", method, port == API_PORT_MAIN ? "/otlp" : "", path);
        int got = stage_send(&stage, (enum api_port)port, request.p, type, encoding, body);
        if (got != status) fail_msg("%s %s: %d: %s", request.p, type ? type : "-", got, stage.body.p);
        assert_string_equal(stage.content_type, "application/x-protobuf");
        assert_int_equal(stage.body.p[0], 1 << 3); /* field 1: the code */
        assert_int_equal(stage.body.p[1], code);
        assert_int_equal(stage.body.p[2], 2 << 3 | 2); /* field 2: the message */
        assert_has(stage.body.p + 3, message);
        buf_done(&request);
    }
}

static void otlp_requests_that_cannot_be_read_get_a_status(void **state) {
    (void)state;
    static const char proto[] = "application/x-protobuf";
    check_otlp_error("POST", "/v1/traces", NULL, NULL, STR(""), 415, 3, "no Content-Type");
    check_otlp_error("POST", "/v1/traces", "", NULL, STR(""), 415, 3, "Content-Type is not taken");
    check_otlp_error("POST", "/v1/logs", "text/plain", NULL, STR("x"), 415, 3, "http/protobuf");
    check_otlp_error("POST", "/v1/logs", "application/x-protobuffer", NULL, STR("x"), 415, 3, "http/protobuf");
    check_otlp_error("POST", "/v1/traces", proto, "br", STR("x"), 415, 3, "Content-Encoding");
    check_otlp_error("POST", "/v1/traces", proto, "deflate", STR("x"), 415, 3, "send gzip or zstd, or none");
    check_otlp_error("POST", "/v1/traces", proto, "gzip, gzip", STR("x"), 415, 3,
                     "a list of Content-Encodings is not taken");
    check_otlp_error("POST", "/v1/traces", proto, "gzip", STR("no gzip"), 400, 3, "damaged");
    check_otlp_error("POST", "/v1/traces", proto, NULL, STR("\x0a\x05garbage"), 400, 3, "");
    check_otlp_error("POST", "/v1/traces", proto, NULL, STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), 400, 3,
                     "");
    check_otlp_error("POST", "/v1/traces", proto, NULL, STR("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), 400, 3,
                     "");
    check_otlp_error("GET", "/v1/traces", NULL, NULL, STR(""), 405, 12, "takes POST");
    assert_string_equal(stage.fields, "Allow: POST\n");
    check_otlp_error("PUT", "/v1/logs", proto, NULL, STR(""), 405, 12, "does not take PUT");
    check_otlp_error("POST", "/v1/metrics", "text/plain", NULL, STR("x"), 415, 3, "http/protobuf");
    check_otlp_error("POST", "/v1/trace", proto, NULL, STR(""), 404, 12, "did you mean");
    check_otlp_error("POST", "/v1/traces?x=1", proto, NULL, STR(""), 400, 3, "unknown parameter 'x'");
}

static void otlp_content_types_may_have_parameters(void **state) {
    (void)state;
    static const char *const types[] = {"application/x-protobuf", "Application/X-Protobuf; charset=utf-8",
                                        " application/x-protobuf ;x=y"};
    for (size_t i = 0; i < LENGTH(types); i++) {
        assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", types[i], "identity", STR("")), 200);
        assert_string_equal(stage.content_type, "application/x-protobuf");
        assert_int_equal(stage.body.n, 0);
    }
}

/* ---- OTLP/JSON ---- */

static void check_json(const char *request, const char *type, const char *encoding, struct str body, int status,
                       const char *answer) {
    int got = stage_send(&stage, API_PORT_OTLP, request, type, encoding, body);
    if (got != status || !strstr(stage_body(&stage), answer))
        fail_msg("%s: %d %s, not %d %s", request, got, stage_body(&stage), status, answer);
    assert_string_equal(stage.content_type, "application/json");
}

static const char json_span[] =
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"5b8efff798038103d269b633813fc60c\","
    "\"spanId\":\"eee19b7ec3c1b174\",\"startTimeUnixNano\":\"1767323045000000000\"}]}]}]}";

static void json_is_answered_in_json(void **state) {
    (void)state;
    static const char json[] = "application/json";
    AUTO_BUF struct buf zipped;
    buf_init(&zipped, MIB);
    assert_null(deflate_gzip(str_of(json_span), &zipped));
    check_json("POST /v1/traces", json, NULL, str_of(json_span), 200, "{}");
    check_json("POST /v1/traces", "Application/JSON; charset=\"utf-8\"", "identity", str_of(json_span), 200, "{}");
    check_json("POST /v1/traces", json, "gzip", buf_str(&zipped), 200, "{}");
    check_json("POST /v1/traces", json, "zstd", STR("\x28\xb5\x2f\xfd\x20\x02\x11\0\0{}"), 200, "{}");
    check_json("POST /v1/traces", json, "gzip, zstd", STR("x"), 415,
               "a list of Content-Encodings is not taken; send gzip or zstd, or none");
    check_json("POST /v1/logs", json, NULL, STR("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{}]}]}]}"), 200,
               "{}");
    assert_int_equal(stage.body.n, 2);
    check_json(
        "POST /v1/traces", json, NULL, STR("{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}]}]}]}"), 200,
        "{\"partialSuccess\":{\"rejectedSpans\":\"1\",\"errorMessage\":\"1: trace id is not 16 bytes or is zero\"}}");
    check_json("POST /v1/logs", json, NULL,
               STR("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"aa\"}]}]}]}"), 200,
               "{\"partialSuccess\":{\"rejectedLogRecords\":\"1\",");
    check_json("POST /v1/traces", json, NULL, STR("{\"resourceSpans\":[{\"schemaUrl\":1}]}"), 400,
               "{\"code\":3,\"message\":\"resourceSpans[0].schemaUrl: expected a string, at byte 31 of 35\"}");
    check_json("POST /v1/traces", json, "br", STR("x"), 415,
               "{\"code\":3,\"message\":\"this Content-Encoding is not taken");
    check_json("POST /v1/traces?x=1", json, NULL, STR("{}"), 400, "{\"code\":3,\"message\":\"");
    check_json("GET /v1/traces", json, NULL, STR(""), 405, "{\"code\":12,\"message\":\"");
    check_json("POST /v1/metrics", json, NULL, STR("{}"), 200, "{}");
}

static void gzip_is_taken(void **state) {
    (void)state;
    struct buf body, zipped;
    buf_init(&body, MIB);
    buf_init(&zipped, MIB);
    stage_put_traces(&body);
    assert_null(deflate_gzip(buf_str(&body), &zipped));
    assert_int_equal(
        stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", "gzip", buf_str(&zipped)), 200);
    buf_done(&body);
    buf_done(&zipped);
}

static void refused_rows_are_told_by_partial_success(void **state) {
    (void)state;
    /* one span without ids: resource_spans { scope_spans { spans { name: "x" } } } */
    assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL,
                                STR("\x0a\x07\x12\x05\x12\x03\x2a\x01x")),
                     200);
    assert_int_equal(stage.body.p[0], 1 << 3 | 2); /* partial_success { rejected_spans: 1, error_message } */
    assert_int_equal(stage.body.p[2], 1 << 3);
    assert_int_equal(stage.body.p[3], 1);
    assert_has(stage.body.p + 4, "1: trace id is not 16 bytes or is zero");
}

static void over_the_budget_senders_are_told_to_come_back(void **state) {
    (void)state;
    struct stage s;
    struct buf body;
    stage_open(&s);
    buf_init(&body, MIB);
    stage_put_traces(&body);
    s.budget.limit_bytes = 1000;
    assert_int_equal(stage_send(&s, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, buf_str(&body)),
                     429);
    assert_string_equal(s.fields, "Retry-After: 2\n");
    assert_int_equal(s.body.p[1], 14); /* UNAVAILABLE */
    assert_int_equal(stage_ask(&s, "GET /api/v1/traces"), 429);
    assert_string_equal(s.fields, "Retry-After: 2\n");
    assert_has(s.body.p, "\"kind\":\"busy\"");
    s.budget.limit_bytes = 1 << 30;
    assert_int_equal(stage_send(&s, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, buf_str(&body)),
                     200);
    buf_done(&body);
    stage_close(&s);
}

/* ---- routes ----------------------------------------------------------------------------------------------------- */

static void check_error(const char *request, int status, const char *part) {
    int got = stage_ask(&stage, request);
    if (got != status) fail_msg("%s: %d: %s", request, got, stage.body.p);
    assert_string_equal(stage.content_type, "application/json");
    assert_has(stage.body.p, "{\"error\":{\"kind\":\"");
    if (!strstr(stage.body.p, part)) fail_msg("%s: %s", request, stage.body.p);
}

static void unknown_paths_name_the_closest_route(void **state) {
    (void)state;
    check_error("GET /api/v1/trace", 404, "did you mean /api/v1/traces?");
    check_error("GET /api/v1/log/query", 404, "did you mean /api/v1/logs/query?");
    check_error("GET /metric", 404, "did you mean /metrics?");
    check_error("GET /no-such-screen-anywhere", 404, "the API is below /api/v1/");
    check_error("GET /api/v1/traces/", 404, "did you mean /api/v1/traces?");
    check_error("GET /a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", 404, "there is no");
    check_error("POST /v1/traces", 404, "did you mean");
    check_error("GET http://127.0.0.1:8080/nothing", 404, "there is no /nothing");
    check_error("GET \\health", 404, "there is no \\\\health");
    assert_int_equal(stage_ask(&stage, "GET http://127.0.0.1:8080"), 200); /* the page */
}

static void wrong_methods_name_the_right_ones(void **state) {
    (void)state;
    check_error("POST /api/v1/traces", 405, "it takes GET, HEAD");
    assert_string_equal(stage.fields, "Allow: GET, HEAD\n");
    check_error("BREW /health", 405, "/health does not take BREW");
    check_error("GET /api/v1/admin/flush", 405, "it takes POST");
    assert_int_equal(stage_ask(&stage, "HEAD /health"), 200);
}

static void literal_segments_win_over_parameters(void **state) {
    (void)state;
    assert_int_equal(stage_ask(&stage, "GET /api/v1/traces/stats?start=0&end=now"), 200);
    assert_has(stage_body(&stage), "\"step_ns\"");
}

static void names_in_paths_may_be_escaped(void **state) {
    (void)state;
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services/a%2Fb%20c/operations"), 200);
    assert_has(stage_body(&stage), "\"service\":\"a/b c\"");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services/a+b/operations"), 200);
    assert_has(stage_body(&stage), "\"service\":\"a+b\"");
    check_error("GET /api/v1/services/a%zz/operations", 400, "broken %-escape");
}

static void bad_parameters_are_told_by_name(void **state) {
    (void)state;
    static const struct {
        const char *request, *part;
    } cases[] = {
        {"GET /api/v1/traces?limt=5", "unknown parameter 'limt'; did you mean 'limit'?"},
        {"GET /api/v1/traces?xyzzy=5", "unknown parameter 'xyzzy'; /api/v1/traces takes: service, environment"},
        {"GET /health?x=1", "/health takes none"},
        {"GET /api/v1/traces?limit=0", "limit: 0 is not within 1 to 1000"},
        {"GET /api/v1/traces?limit=1001", "limit: 1001 is not within 1 to 1000"},
        {"GET /api/v1/traces?limit=ten", "limit: "},
        {"GET /api/v1/traces?limit=1&limit=2", "limit is given twice"},
        {"GET /api/v1/traces?order=oldest", "order: 'oldest' is not one of: newest longest"},
        {"GET /api/v1/traces?status=bad", "status: 'bad' is not one of: unset ok error"},
        {"GET /api/v1/traces?kind=servr", "kind: 'servr' is not one of"},
        {"GET /api/v1/traces?start=yesterday", "start: "},
        {"GET /api/v1/traces?start=now&end=now-1h", "the range ends before it starts"},
        {"GET /api/v1/traces?min_duration=fast", "min_duration: "},
        {"GET /api/v1/traces?min_duration=-5s", "min_duration: "},
        {"GET /api/v1/traces?cursor=abc", "the cursor is not one of ours"},
        {"GET /api/v1/traces?where=a", "where=a: at 2: an operator is missing"},
        {"GET /api/v1/traces?where=a~(", "where=a~(: at 3: "},
        {"GET /api/v1/traces?service=%zz", "service: a broken %-escape"},
        {"GET /api/v1/traces?text=%22open", "text: "},
        {"GET /api/v1/traces/xyz", "'xyz' is not a trace id of 32 hexadecimal digits"},
        {"GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c00", "is not a trace id"},
        {"GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c?format=xml", "format: 'xml' is not one of: json otlp"},
        {"GET /api/v1/traces/stats?start=0&end=now&step=1s", "step gives"},
        {"GET /api/v1/logs/query?severity=loud",
         "severity: 'loud' is not one of: trace debug info warn error fatal, nor 1 to 24"},
        {"GET /api/v1/logs/query?severity=25", "severity: "},
        {"GET /api/v1/logs/query?trace_id=12", "trace_id: '12' is not 32 hexadecimal digits"},
        {"GET /api/v1/logs/query?limit=10001", "limit: 10001 is not within 1 to 10000"},
        {"GET /api/v1/services?counts=maybe", "counts: "},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) check_error(cases[i].request, 400, cases[i].part);
}

static void empty_parameters_are_not_given(void **state) {
    (void)state;
    assert_int_equal(stage_ask(&stage, "GET /api/v1/traces?service=&limit=&where=&&"), 200);
    assert_has(stage_body(&stage), "0af7651916cd43dd8448eb211c80319c");
}

static void thirty_three_conditions_are_too_many(void **state) {
    (void)state;
    struct buf request;
    buf_init(&request, 4 * KIB);
    buf_add_text(&request, "GET /api/v1/traces?where=a%20absent");
    for (int i = 1; i < 32; i++) buf_add_text(&request, "&where=a%20absent");
    assert_int_equal(stage_ask(&stage, request.p), 200);
    buf_add_text(&request, "&where=a%20absent");
    check_error(request.p, 400, "where is given more than 32 times");
    buf_done(&request);
}

static void a_deadline_ends_a_query(void **state) {
    (void)state;
    check_error("GET /api/v1/traces?timeout=1ns", 499, "\"kind\":\"cancelled\"");
}

/* ---- filters through the API ------------------------------------------------------------------------------------ */

static void check_found(const char *query, const char *expected) {
    struct buf request;
    buf_init(&request, 4 * KIB);
    buf_add_fmt(&request, "GET %s", query);
    assert_int_equal(stage_ask(&stage, request.p), 200);
    assert_has(stage_body(&stage), expected);
    buf_done(&request);
}

static void filters_reach_the_query(void **state) {
    (void)state;
    static const char none[] = "{\"traces\":[],", first[] = "\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"",
                      second[] = "{\"traces\":[{\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\"";
    check_found("/api/v1/traces?service=cart", first);
    check_found("/api/v1/traces?service=unknown_service", second);
    check_found("/api/v1/traces?service=cart&operation=GET%20/checkout", none);
    check_found("/api/v1/traces?environment=prod&status=error&kind=client", first);
    check_found("/api/v1/traces?environment=default", second);
    check_found("/api/v1/traces?min_duration=24ms", first);
    check_found("/api/v1/traces?min_duration=24ms&max_duration=24500us", none);
    check_found("/api/v1/traces?where=resource.host.name~web-.*&where=http.status_code=503", first);
    check_found("/api/v1/traces?text=upstream", first);
    check_found("/api/v1/traces?end=now-1m", none);
    check_found("/api/v1/traces?start=now-6s", second);
    check_found("/api/v1/logs/query?where=attempt%3C=3", "card expired");
    check_found("/api/v1/logs/query?mode=count&severity=error", "\"count\":2");
    check_found("/api/v1/logs/query?mode=count&span_id=b7ad6b7169203313", "\"count\":2");
    check_found("/api/v1/logs/query?mode=count&environment=default", "\"count\":0");
}

static void cursors_page_through(void **state) {
    (void)state;
    struct buf request;
    buf_init(&request, 4 * KIB);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/logs/query?limit=2"), 200);
    int pages = 1;
    for (const char *at; (at = strstr(stage_body(&stage), "\"next_cursor\":\"")); pages++) {
        buf_clear(&request);
        buf_add_fmt(&request, "GET /api/v1/logs/query?limit=2&cursor=%.128s", at + 15);
        assert_int_equal(stage_ask(&stage, request.p), 200);
    }
    assert_int_equal(pages, 3);
    assert_has(stage_body(&stage), "checkout started");
    buf_done(&request);
}

/* The values of `key` in the last answer, in order, each behind a blank. */
static void collect(const char *key, struct buf *out) {
    char wanted[32];
    snprintf(wanted, sizeof wanted, "\"%s\":\"", key);
    for (const char *at = stage_body(&stage); (at = strstr(at, wanted));) {
        at += strlen(wanted);
        buf_add_fmt(out, " %.*s", (int)strcspn(at, "\""), at);
    }
}

/* However small its pages, a question's pages together are its answer; a cursor is for its own question alone. */
static void pages_together_are_the_answer(void **state) {
    (void)state;
    static const struct {
        const char *question, *other, *key;
        int limit_max;
    } cases[] = {
        {"/api/v1/traces?order=newest", "/api/v1/traces?order=longest", "start", 3},
        {"/api/v1/traces?order=longest", "/api/v1/traces?order=longest&kind=server", "start", 3},
        {"/api/v1/logs/query?order=newest", "/api/v1/logs/query?order=newest&severity=trace", "body", 6},
        {"/api/v1/logs/query?order=oldest", "/api/v1/logs/query?order=newest", "body", 6},
        {"/api/v1/logs/query?order=oldest&service=cart&where=host.name%20absent", "/api/v1/logs/query?order=oldest",
         "body", 6},
        {"/api/v1/logs/query?order=oldest&severity=info", "/api/v1/logs/query?order=oldest&severity=warn", "body", 6},
    };
    struct buf whole, pages, request;
    buf_init(&whole, MIB);
    buf_init(&pages, MIB);
    buf_init(&request, 4 * KIB);
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (int limit = 1; limit <= cases[i].limit_max; limit++) {
            char cursor[QUERY_CURSOR_MAX] = "";
            buf_clear(&whole);
            buf_clear(&pages);
            buf_clear(&request);
            buf_add_fmt(&request, "GET %s", cases[i].question);
            assert_int_equal(stage_ask(&stage, request.p), 200);
            collect(cases[i].key, &whole);
            for (bool more = true; more;) {
                buf_clear(&request);
                buf_add_fmt(&request, "GET %s&limit=%d&cursor=%s", cases[i].question, limit, cursor);
                assert_int_equal(stage_ask(&stage, request.p), 200);
                collect(cases[i].key, &pages);
                const char *at = strstr(stage_body(&stage), "\"next_cursor\":\"");
                more = at != NULL;
                if (!more) break;
                snprintf(cursor, sizeof cursor, "%.*s", (int)strcspn(at + 15, "\""), at + 15);
                buf_clear(&request);
                buf_add_fmt(&request, "GET %s&cursor=%s", cases[i].other, cursor);
                check_error(request.p, 400, "the cursor belongs to another question");
            }
            if (!str_equal(buf_str(&whole), buf_str(&pages)))
                fail_msg("%s by %d:" STR_FMT "\n not" STR_FMT, cases[i].question, limit, STR_ARG(buf_str(&pages)),
                         STR_ARG(buf_str(&whole)));
        }
    buf_done(&whole);
    buf_done(&pages);
    buf_done(&request);
}

/* Without `end` a search has no end, statistics end now; without `start` it is an hour before either. */
static void ranges_have_their_defaults(void **state) {
    (void)state;
    static const struct {
        const char *request, *part;
    } cases[] = {
        {"/api/v1/logs/query?mode=count", "\"range\":{\"start\":\"2026-01-02T02:04:05Z\",\"end\":null},\"count\":5"},
        {"/api/v1/logs/query?mode=count&end=now-5s", "\"end\":\"2026-01-02T03:04:00Z\"},\"count\":3"},
        {"/api/v1/logs/query?mode=count&start=now-4s", "\"end\":null},\"count\":2"},
        {"/api/v1/logs/query?mode=count&end=now-2h",
         "{\"start\":\"2026-01-02T00:04:05Z\",\"end\":\"2026-01-02T01:04:05Z\"}"},
        {"/api/v1/logs/query?mode=count&start=0&end=0", "\"count\":0"},
        {"/api/v1/logs/query?mode=histogram", "{\"start\":\"2026-01-02T02:04:05Z\",\"end\":\"2026-01-02T03:04:05Z\"}"},
        {"/api/v1/traces/stats", "{\"start\":\"2026-01-02T02:04:05Z\",\"end\":\"2026-01-02T03:04:05Z\"}"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) check_found(cases[i].request, cases[i].part);
}

/* ---- health, metrics, administration ---------------------------------------------------------------------------- */

static void draining_is_not_ready(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s);
    assert_int_equal(stage_ask(&s, "GET /ready"), 200);
    api_drain(s.api, true);
    assert_int_equal(stage_ask(&s, "GET /ready"), 503);
    assert_has(s.body.p, "\"server\":\"draining\"");
    assert_int_equal(stage_ask(&s, "GET /health"), 200);
    assert_int_equal(stage_ask(&s, "GET /api/v1/traces"), 499);
    stage_close(&s);
}

/* Every sample line belongs to a family with HELP and TYPE just before. */
static void metrics_are_prometheus_text(void **state) {
    (void)state;
    assert_int_equal(stage_ask(&stage, "GET /metrics"), 200);
    struct str rest = buf_str(&stage.body), line, family = {"", 0};
    assert_has(stage.body.p, "\nclew_ingest_rows_total{signal=\"spans\"} ");
    assert_has(stage.body.p, "\nclew_ingest_rejected_rows_total{signal=\"spans\",reason=\"bad_trace_id\"} ");
    assert_has(stage.body.p, "\nclew_memory_limit_bytes 1073741824\n");
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        if (str_starts_with(line, STR("# HELP "))) continue;
        struct str name = line;
        if (str_starts_with(line, STR("# TYPE "))) {
            str_cut((struct str){line.p + 7, line.n - 7}, ' ', &family, &name);
            assert_true(str_equal(name, STR("counter")) || str_equal(name, STR("gauge")));
            continue;
        }
        assert_true(str_starts_with(line, family));
        char after = line.p[family.n];
        assert_true(after == ' ' || after == '{');
    }
}

static void administration_says_what_it_needs(void **state) {
    (void)state;
    check_error("POST /api/v1/admin/delete", 400, "say what to delete: trace_id, or both start and end");
    check_error("POST /api/v1/admin/delete?start=0", 400, "say what to delete");
    check_error("POST /api/v1/admin/delete?start=now&end=0", 400, "ends before it starts");
    check_error("POST /api/v1/admin/backup", 400, "to is missing: folder on the server to make");
    check_error("POST /api/v1/admin/backup?to=relative", 400, "absolute path");
    check_error("POST /api/v1/admin/backup?to=/a%00b", 400, "no zero bytes");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 200);
    assert_string_equal(stage_body(&stage), "{\"flushed\":true}");
}

static void deleted_traces_are_gone_at_once(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s);
    stage_fill(&s);
    assert_int_equal(stage_ask(&s, "POST /api/v1/admin/delete?trace_id=0af7651916cd43dd8448eb211c80319c&verify=true"),
                     200);
    assert_has(s.body.p, "\"gone_from_disk\":true");
    assert_int_equal(stage_ask(&s, "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c"), 404);
    assert_int_equal(stage_ask(&s, "GET /api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736"), 200);
    assert_int_equal(stage_ask(&s, "GET /api/v1/logs/query?mode=count"), 200);
    assert_has(s.body.p, "\"count\":2");
    assert_int_equal(stage_ask(&s, "POST /api/v1/admin/delete?signal=logs&start=0&end=now&where=severity.x%20absent"),
                     200);
    assert_int_equal(stage_ask(&s, "GET /api/v1/logs/query?mode=count"), 200);
    assert_has(s.body.p, "\"count\":0");
    assert_int_equal(stage_ask(&s, "GET /api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736"), 200);
    stage_close(&s);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

static void strangers_pages_may_not_ask(void **state) {
    (void)state;
    static const struct {
        const char *host, *origin;
        bool allowed;
        const char *own;
    } cases[] = {
        {NULL, NULL, true},
        {"127.0.0.1:8080", NULL, true},
        {"localhost:8080", "http://localhost:8080", true},
        {"LOCALHOST", NULL, true},
        {"[::1]:8080", "http://[::1]:8080", true},
        {"127.0.0.1:8080", "http://127.0.0.1:8081", false},
        {"127.0.0.1:8080", "http://evil.example", false},
        {"127.0.0.1:8080", "null", false},
        {"evil.example:8080", NULL, false},
        {"127.evil.example", NULL, false},
        {"localhost.evil.example", NULL, false},
        {"evil.example:8080", "http://evil.example:8080", false},
        {"", NULL, false},
        {"clew.example", NULL, true, "other.example,clew.example"},
        {"CLEW.example:8080", "https://clew.example:8080", true, "clew.example"},
        {"127.0.0.1:8080", "https://clew.example", true, "clew.example"}, /* a proxy asks by the address */
        {"[2001:db8::1]:8080", NULL, true, "[2001:db8::1]"},
        {"clew.example", "https://evil.example", false, "clew.example"},
        {"evil.example", "https://clew.example", false, "clew.example"},
        {"clew.example.evil.example", NULL, false, "clew.example"},
        {"evil.clew.example", NULL, false, "clew.example"},
        {"other.example,clew.example", NULL, false, "other.example,clew.example"},
        {"clew.example", "ftp://clew.example", false, "clew.example"},
        {"clew.example", "null", false, "clew.example"},
        {"", NULL, false, "clew.example"},
        {"", NULL, false, ","},
        {"evil.example:8080", NULL, false, "clew.example"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct str host = cases[i].host ? str_of(cases[i].host) : (struct str){NULL, 0};
        struct str origin = cases[i].origin ? str_of(cases[i].origin) : (struct str){NULL, 0};
        struct str own = cases[i].own ? str_of(cases[i].own) : (struct str){NULL, 0};
        if (origin_is_allowed(host, origin, own) != cases[i].allowed)
            fail_msg("Host %s, Origin %s", cases[i].host, cases[i].origin);
    }
}

static void every_route_is_complete(void **state) {
    (void)state;
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *r = &api_routes[i];
        assert_true(r->handler && r->help && *r->help && r->ports);
        for (const struct api_param *p = r->params; p && p->name; p++) {
            assert_non_null(p->help);
            assert_int_equal(p->type == PARAM_CHOICE, p->choices != NULL);
            assert_int_equal(p->type == PARAM_INTEGER, p->max != 0);
            assert_true(p->repeated || p->type != PARAM_WHERE);
            assert_true(!p->repeated || p->type == PARAM_WHERE || p->type == PARAM_TEXT);
            assert_true(p - r->params < API_PARAMS_MAX);
        }
        if (r->answer && !schema_find(r->answer).p) fail_msg("%s: no schema %s", r->path, r->answer);
        if (r->body && !schema_find(r->body).p) fail_msg("%s: no schema %s", r->path, r->body);
        for (size_t k = 0; k < i; k++)
            assert_false(r->method == api_routes[k].method && strcmp(r->path, api_routes[k].path) == 0);
    }
}

static void schemas_are_found_by_name(void **state) {
    (void)state;
    struct str status = schema_find("OtlpStatus"), partial = schema_find("Partial");
    assert_true(str_starts_with(status, STR("{\n")) && str_ends_with(status, STR("}")));
    assert_true(str_contains(partial, STR("boolean")) && !str_contains(partial, STR("OperationStats")));
    assert_null(schema_find("Partia").p);
    assert_null(schema_find("").p);
}

static void the_page_for_people_names_every_route_and_nothing_from_elsewhere(void **state) {
    (void)state;
    assert_int_equal(stage_ask(&stage, "GET /docs"), 200);
    assert_string_equal(stage.content_type, "text/html; charset=utf-8");
    assert_non_null(strstr(stage.fields, "Content-Security-Policy: default-src 'none'"));
    for (size_t i = 0; i < api_route_count; i++) assert_non_null(strstr(stage_body(&stage), api_routes[i].path));
    assert_null(strstr(stage_body(&stage), "<script"));
    assert_null(strstr(stage_body(&stage), "://"));
    assert_int_equal(stage_ask(&stage, "GET /docs.css"), 200);
    assert_string_equal(stage.content_type, "text/css; charset=utf-8");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGE_TEST(otlp_requests_that_cannot_be_read_get_a_status),
        STAGE_TEST(json_is_answered_in_json),
        STAGE_TEST(otlp_content_types_may_have_parameters),
        STAGE_TEST(gzip_is_taken),
        STAGE_TEST(refused_rows_are_told_by_partial_success),
        cmocka_unit_test(over_the_budget_senders_are_told_to_come_back),
        STAGE_TEST(unknown_paths_name_the_closest_route),
        STAGE_TEST(wrong_methods_name_the_right_ones),
        STAGE_TEST(literal_segments_win_over_parameters),
        STAGE_TEST(names_in_paths_may_be_escaped),
        STAGE_TEST(bad_parameters_are_told_by_name),
        STAGE_TEST(empty_parameters_are_not_given),
        STAGE_TEST(thirty_three_conditions_are_too_many),
        STAGE_TEST(a_deadline_ends_a_query),
        STAGE_TEST(filters_reach_the_query),
        STAGE_TEST(cursors_page_through),
        STAGE_TEST(pages_together_are_the_answer),
        STAGE_TEST(ranges_have_their_defaults),
        cmocka_unit_test(draining_is_not_ready),
        STAGE_TEST(metrics_are_prometheus_text),
        STAGE_TEST(administration_says_what_it_needs),
        cmocka_unit_test(deleted_traces_are_gone_at_once),
        cmocka_unit_test(strangers_pages_may_not_ask),
        cmocka_unit_test(every_route_is_complete),
        cmocka_unit_test(schemas_are_found_by_name),
        STAGE_TEST(the_page_for_people_names_every_route_and_nothing_from_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
