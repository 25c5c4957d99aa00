/* Requests by their id over the API: a story of several traces and logs, ids of any kind, one that is everywhere; and where context is lost. */
#include "api/stage_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct stage stage;
static struct buf body;

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static void begin_spans(const char *service) {
    buf_clear(&body);
    buf_add_fmt(
        &body,
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
        "\"%s\"}}]},\"scopeSpans\":[{\"spans\":[",
        service);
}

/* Times: ms before now. `more`: members of the span, NULL: none. */
static void put_span(int trace, int span, int parent, int kind, const char *name, int64_t start_ms, int64_t ms,
                     const char *more) {
    int64_t start = STAGE_NOW_NS - start_ms * 1000000;
    if (body.p[body.n - 1] == '}') buf_add_byte(&body, ',');
    buf_add_fmt(&body, "{\"traceId\":\"%032x\",\"spanId\":\"%016x\",", trace, span);
    if (parent) buf_add_fmt(&body, "\"parentSpanId\":\"%016x\",", parent);
    buf_add_fmt(&body, "\"name\":\"%s\",\"kind\":%d,\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\"%s%s}",
                name, kind, (long long)start, (long long)(start + ms * 1000000), more ? "," : "", more ? more : "");
}

static void send(const char *path, const char *end) {
    char request[64];
    buf_add_text(&body, end);
    assert_false(body.full);
    snprintf(request, sizeof request, "POST %s", path);
    int status = stage_send(&stage, API_PORT_OTLP, request, "application/json", NULL, buf_str(&body));
    if (status != 200 || strstr(stage_body(&stage), "errorMessage")) fail_msg("%d %s", status, stage_body(&stage));
}
static void send_spans(void) { send("/v1/traces", "]}]}]}"); }

#define ID(id) "\"attributes\":[{\"key\":\"correlation_id\",\"value\":{\"stringValue\":\"" id "\"}}]"
#define FAILED "\"status\":{\"code\":2,\"message\":\"declined\"}"

static void send_log(const char *service, const char *text, int trace) {
    buf_clear(&body);
    buf_add_fmt(
        &body,
        "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
        "\"%s\"}}]},\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"%lld\",\"severityNumber\":17,\"body\":{"
        "\"stringValue\":\"%s\"}",
        service, (long long)(STAGE_NOW_NS - 930 * 1000000), text);
    if (trace) buf_add_fmt(&body, ",\"traceId\":\"%032x\"", trace);
    send("/v1/logs", "}]}]}]}");
}

/* A shop's order: one trace from gateway to payment, with the id on one span; a mail in a trace of its own; logs with the id in their text. */
static void send_order(void) {
    begin_spans("gateway");
    put_span(1, 1, 0, 2, "POST /orders", 1000, 100, NULL);
    put_span(1, 2, 1, 3, "HTTP POST", 990, 80, ID("order-7"));
    send_spans();
    begin_spans("order");
    put_span(1, 3, 2, 2, "create", 985, 70, NULL);
    put_span(1, 4, 3, 3, "HTTP POST", 980, 20, FAILED);
    send_spans();
    begin_spans("pay");
    put_span(1, 5, 4, 2, "charge", 978, 15, FAILED);
    send_spans();
    begin_spans("mail");
    put_span(2, 6, 0, 2, "send", 950, 400, ID("order-7"));
    send_spans();
    send_log("pay", "{\\\"correlation_id\\\":\\\"order-7\\\",\\\"message\\\":\\\"declined\\\"}", 0);
    send_log("order", "no id in here", 1);
    begin_spans("other");
    put_span(3, 7, 0, 2, "alone", 900, 1, ID("order-8"));
    send_spans();
}

static void open(void) {
    stage_open(&stage);
    buf_init(&body, 16 * MIB);
}
static void close(void) {
    buf_done(&body);
    stage_close(&stage);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void has(const char *request, const char *part) {
    if (!strstr(stage_body(&stage), part)) fail_msg("%s: no '%s' in %s", request, part, stage_body(&stage));
}

static void answers(const char *request, int status, const char *const *parts) {
    int is = stage_ask(&stage, request);
    if (is != status) fail_msg("%s: %d %s", request, is, stage_body(&stage));
    for (; *parts; parts++) has(request, *parts);
}
#define ANSWERS(request, status, ...) answers(request, status, (const char *const[]){__VA_ARGS__, NULL})

static const char *const order_parts[] = {"\"correlation_id\":\"order-7\"",
                                          "\"duration_ns\":450000000",
                                          "\"services\":[\"gateway\",\"mail\",\"order\",\"pay\"]",
                                          "\"trace_count\":2",
                                          "\"span_count\":6",
                                          "\"log_count\":2",
                                          "\"error_count\":2",
                                          "\"has_errors\":true",
                                          "\"root_service\":\"gateway\"",
                                          "\"root_operation\":\"POST /orders\"",
                                          "\"max_duration_ns\":400000000",
                                          "\"partial\":false",
                                          NULL};

static void a_request_is_whole_whoever_passed_its_id_on(void **state) {
    (void)state;
    open();
    send_order();
    answers("GET /api/v1/correlations?errors=true", 200, order_parts);
    has("list", "\"correlation_count\":1,");
    answers("GET /api/v1/correlations/order-7", 200, order_parts);
    ANSWERS("GET /api/v1/correlations", 200, "\"correlation_count\":2,", "order-8");
    ANSWERS("GET /api/v1/correlations?search=ORDER-8", 200, "\"correlation_count\":1,", "order-8");
    ANSWERS("GET /api/v1/correlations?service=pay", 200, "\"correlation_count\":1,", "order-7");
    ANSWERS("GET /api/v1/correlations?min_duration=451ms", 200, "\"correlation_count\":0,");
    ANSWERS("GET /api/v1/correlations?environment=prod", 200, "\"correlation_count\":0,");
    ANSWERS("GET /api/v1/correlations/order-7/traces", 200, "\"correlation_from\":\"own\"",
            "\"correlation_from\":\"ancestor\"", "\"correlation_from\":\"trace\"", "\"message\":\"declined\"",
            "\"carrying_count\":1");
    ANSWERS("GET /api/v1/correlations/order-7/logs", 200, "no id in here", "\"correlation_from\":\"trace\"");
    ANSWERS("GET /api/v1/correlations/order-7/timeline?limit=3", 200, "\"items_left_out\":5");
    ANSWERS("GET /api/v1/correlations/order-7/flow", 200, "\"join\":\"same_id\"", "\"join\":\"call\"", "\"width\":2,");
    ANSWERS("GET /api/v1/correlations/00000000000000000000000000000003", 200, "\"span_count\":1,");
    ANSWERS("GET /api/v1/correlations/clew-0000000000000003", 200, "\"span_count\":1,");
    ANSWERS("GET /api/v1/correlations/order-7?environment=prod", 404, "not_found");
    ANSWERS("GET /api/v1/correlations/order-7?start=now-500ms", 404, "not_found");
    ANSWERS("GET /api/v1/correlations/order-7?attribute=order.id", 404, "not_found");
    ANSWERS("GET /api/v1/correlations/order-7?attribute=correlation_id", 200, "\"span_count\":6,");
    close();
}

/* k2's clock is 5 min ahead, k3's 4 min behind: what came first is told by who called whom. */
static void clocks_that_are_apart_are_put_right(void **state) {
    (void)state;
    enum { AHEAD = 300000, BEHIND = -240000 };
    open();
    begin_spans("k1");
    put_span(1, 1, 0, 2, "GET /", 1000, 100, ID("skewed"));
    put_span(1, 2, 1, 3, "to k2", 990, 80, NULL);
    send_spans();
    begin_spans("k2");
    put_span(1, 3, 2, 2, "work", 980 - AHEAD, 60, NULL);
    put_span(1, 4, 3, 3, "to k3", 970 - AHEAD, 40, NULL);
    send_spans();
    begin_spans("k3");
    put_span(1, 5, 4, 2, "deep", 960 - BEHIND, 20, NULL);
    send_spans();
    ANSWERS("GET /api/v1/correlations/skewed", 200, "\"duration_ns\":100000000,",
            "\"service\":\"k2\",\"ahead_ns\":300000000000,\"call_count\":1,\"against_count\":0}",
            "\"service\":\"k3\",\"ahead_ns\":-240000000000,", "\"clocks_left_out\":0");
    ANSWERS("GET /api/v1/correlations/skewed/traces", 200, "\"duration_ns\":100000000,\"span_count\":5",
            "\"skew_ns\":300000000000,", "\"skew_ns\":-240000000000,");
    ANSWERS("GET /api/v1/correlations/skewed/timeline", 200, "\"ahead_ns\":300000000000");
    static const char *const order[] = {"\"GET /\"", "\"to k2\"", "\"work\"", "\"to k3\"", "\"deep\""};
    const char *at = strstr(stage_body(&stage), "\"timeline\":");
    for (size_t i = 0; at && i < LENGTH(order); i++) at = strstr(at, order[i]);
    if (!at) fail_msg("not in the order of calls: %s", stage_body(&stage));
    ANSWERS("GET /api/v1/correlations/skewed/flow", 200, "\"clocks\":[{");
    at = strstr(stage_body(&stage), "\"edges\":");
    static const char *const edges[] = {"\"client\":0,\"server\":1,", "\"client\":1,\"server\":2,"};
    for (size_t i = 0; at && i < LENGTH(edges); i++) at = strstr(at, edges[i]);
    if (!at) fail_msg("k1 calls k2 first: %s", stage_body(&stage));
    close();
}

/* Any attribute: it ties what the correlation id does not. */
static void any_attribute_is_an_id(void **state) {
    (void)state;
    static const char *const requests[] = {"GET /api/v1/correlations?attribute=user.id&service=cart",
                                           "GET /api/v1/correlations/42/traces?attribute=user.id",
                                           "GET /api/v1/correlations/42/timeline?attribute=span.user.id"};
    open();
    begin_spans("web");
    put_span(1, 1, 0, 2, "GET /", 1000, 10, "\"attributes\":[{\"key\":\"user.id\",\"value\":{\"intValue\":\"42\"}}]");
    send_spans();
    begin_spans("cart");
    put_span(1, 2, 1, 2, "add", 995, 1, NULL);
    put_span(2, 3, 0, 2, "later", 500, 1, "\"attributes\":[{\"key\":\"user.id\",\"value\":{\"stringValue\":\"42\"}}]");
    put_span(3, 4, 0, 2, "another", 400, 1,
             "\"attributes\":[{\"key\":\"user.id\",\"value\":{\"stringValue\":\"43\"}}]");
    send_spans();
    ANSWERS(requests[0], 200, "\"correlation_count\":2,", "\"correlation_id\":\"42\"", "\"span_count\":3,",
            "\"trace_count\":2");
    ANSWERS(requests[1], 200, "\"correlation_id\":\"42\"", "\"later\"", "\"add\"");
    ANSWERS(requests[2], 200, "\"later\"");
    assert_null(strstr(stage_body(&stage), "another"));
    close();
}

/* Ids as paths have them: whatever they are, the answer is JSON and no error of ours. */
static void ids_of_any_kind_are_found_or_not(void **state) {
    (void)state;
    static const char *const ids[] = {"%2F..%2F..%2Fetc%2Fpasswd",
                                      "%27%20OR%201%3D1%20--",
                                      "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
                                      "%00",
                                      "%ff%fe",
                                      "%25",
                                      "a%0d%0aX%3A%20y",
                                      ".",
                                      "..",
                                      "+",
                                      "%E2%80%AE",
                                      "clew-",
                                      "clew-00000000000000zz",
                                      "a.b%2Fc",
                                      "traces"};
    static const char *const below[] = {"", "/traces", "/logs", "/timeline", "/flow"};
    static char request[16000], long_id[10001];
    open();
    send_order();
    begin_spans("odd");
    put_span(9, 9, 0, 2, "odd", 100, 1, ID("a.b/c"));
    put_span(10, 10, 0, 2, "odd", 100, 1, ID("<script>alert(1)</script>"));
    send_spans();
    for (size_t i = 0; i < LENGTH(ids); i++)
        for (size_t k = 0; k < LENGTH(below); k++) {
            bool known = strcmp(ids[i], "a.b%2Fc") == 0 || strstr(ids[i], "script");
            snprintf(request, sizeof request, "GET /api/v1/correlations/%s%s", ids[i], below[k]);
            int status = stage_ask(&stage, request);
            if (status != (known ? 200 : 404)) fail_msg("%s: %d %s", request, status, stage_body(&stage));
            assert_string_equal(stage.content_type, "application/json");
            assert_null(strstr(stage_body(&stage), "</script>"));
        }
    memset(long_id, 'a', sizeof long_id - 1);
    snprintf(request, sizeof request, "GET /api/v1/correlations/%s", long_id);
    ANSWERS(request, 400, "longer than 1024 bytes");
    snprintf(request, sizeof request, "GET /api/v1/correlations?search=%s", long_id);
    ANSWERS(request, 400, "longer than 1024 bytes");
    snprintf(request, sizeof request, "GET /api/v1/correlations?attribute=%s", long_id);
    ANSWERS(request, 200, "\"correlation_count\":0,");
    ANSWERS("GET /api/v1/correlations/", 404, "there is no");
    ANSWERS("GET /api/v1/correlations/x?attribute=%22", 400, "attribute=");
    ANSWERS("GET /api/v1/correlations?attribute=a+b", 400, "attribute=");
    close();
}

/* A field of bytes around what is in `of`, of less than 128 bytes. */
static void wrap(struct buf *of, char tag) {
    char bytes[128];
    size_t n = of->n;
    assert_true(n < sizeof bytes);
    memcpy(bytes, of->p, n);
    buf_clear(of);
    buf_add_byte(of, tag);
    buf_add_byte(of, (char)n);
    buf_add(of, bytes, n);
}

/* One span as protobuf, which lets an id be any bytes. */
static void send_span_with_bytes(struct str id) {
    AUTO_BUF struct buf span, attribute;
    uint64_t start = (uint64_t)STAGE_NOW_NS - 100000000, end = start + 1000000;
    buf_init(&span, KIB);
    buf_init(&attribute, KIB);
    buf_add_str(&attribute, id);
    wrap(&attribute, 0x0a); /* AnyValue.string_value */
    wrap(&attribute, 0x12); /* KeyValue.value */
    buf_add_text(&span, "\x0a\x0e"
                        "correlation_id");
    buf_add(&span, attribute.p, attribute.n);
    wrap(&span, 0x4a); /* Span.attributes, before its other fields: their order is free */
    buf_add_text(&span, "\x0a\x10"
                        "0123456789abcdef"
                        "\x12\x08"
                        "01234567"
                        "\x2a\x03"
                        "odd"
                        "\x39");
    buf_add(&span, &start, sizeof start);
    buf_add_byte(&span, 0x41);
    buf_add(&span, &end, sizeof end);
    wrap(&span, 0x12); /* ScopeSpans.spans */
    wrap(&span, 0x12); /* ResourceSpans.scope_spans */
    wrap(&span, 0x0a);
    int status = stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, buf_str(&span));
    if (status != 200) fail_msg("%d %s", status, stage_body(&stage));
}

/* What no path can hold is asked for by a parameter; what JSON cannot hold is listed with a form that opens it. */
static void ids_that_no_path_or_json_can_hold_are_opened(void **state) {
    (void)state;
    static const char *const ids[] = {"..", ".", "..%2F..%2Fetc%2Fpasswd", "%20"};
    static const char *const below[] = {"", "/traces", "/logs", "/timeline", "/flow", "/metrics"};
    char request[256];
    open();
    begin_spans("odd");
    put_span(11, 11, 0, 2, "odd", 100, 1, ID(".."));
    put_span(12, 12, 0, 2, "odd", 100, 1, ID("."));
    put_span(13, 13, 0, 2, "odd", 100, 1, ID("../../etc/passwd"));
    put_span(14, 14, 0, 2, "odd", 100, 1, ID(" "));
    send_spans();
    send_span_with_bytes(STR("bad\xff\xfe\x80id"));
    for (size_t i = 0; i < LENGTH(ids); i++)
        for (size_t k = 0; k < LENGTH(below); k++) {
            snprintf(request, sizeof request, "GET /api/v1/correlations/-%s?id=%s", below[k], ids[i]);
            ANSWERS(request, 200, "\"correlation_id\":\"");
        }
    ANSWERS("GET /api/v1/correlations/-?id=..", 200, "\"correlation_id\":\"..\",\"first_seen\"", "\"span_count\":1,");
    ANSWERS("GET /api/v1/correlations/..?id=-", 404, "not_found");
    ANSWERS("GET /api/v1/correlations/..?id=", 200, "\"correlation_id\":\"..\""); /* not given */
    ANSWERS("GET /api/v1/correlations", 200, "\"correlation_id_encoded\":\"bad%FF%FE%80id\"");
    ANSWERS("GET /api/v1/correlations/bad%FF%FE%80id", 200, "\"correlation_id_encoded\":\"bad%FF%FE%80id\"");
    ANSWERS("GET /api/v1/traces/30313233343536373839616263646566/columns", 200,
            "\"correlation_ids_encoded\":[\"bad%FF%FE%80id\"]");
    ANSWERS("GET /api/v1/correlations/-/traces?id=bad%FF%FE%80id", 200, "\"span_id\":\"3031323334353637\"");
    ANSWERS("GET /ollystack/api/v1/correlate", 200, "\"correlationIdEncoded\":\"bad%FF%FE%80id\"");
    ANSWERS("GET /ollystack/api/v1/correlate/-?id=..", 200, "\"correlationId\":\"..\"", "\"spanCount\":1,");
    ANSWERS("GET /ollystack/api/v1/correlate/-/traces?id=..", 200, "\"count\":1");
    close();
}

/* More than is shown of one: the answer says so, and a list counts it all the same. */
static void one_id_may_be_everywhere(void **state) {
    (void)state;
    open();
    for (int i = 0; i < 12000;) {
        begin_spans("busy");
        for (int end = i + 3000; i < end; i++) put_span(1 + i / 20, 1 + i, 0, 2, "work", 5000, 1, ID("all"));
        send_spans();
    }
    ANSWERS("GET /api/v1/correlations", 200, "\"span_count\":12000,", "\"trace_count\":600,", "\"partial\":false");
    ANSWERS("GET /api/v1/correlations/all", 200, "\"span_count\":10000,", "\"partial\":true",
            "more than 500 traces, 10000 spans");
    ANSWERS("GET /api/v1/correlations/all/flow", 200, "\"partial\":true");
    ANSWERS("GET /api/v1/correlations/all?details=true&limit=2", 200, "\"spans_left_out\":9998");
    close();
}

static uint64_t number_after(const char *request, const char *name) {
    const char *at;
    int status = stage_ask(&stage, request);
    if (status != 200 || !(at = strstr(stage_body(&stage), name))) fail_msg("%s: %d %s", request, status, name);
    return strtoull(at + strlen(name), NULL, 10);
}

/* Of traces over the limit, rows that carry the id are there: the answer says just that. */
static void more_traces_than_are_looked_at_are_told(void **state) {
    (void)state;
    open();
    begin_spans("batch");
    for (int i = 0; i < 510; i++) put_span(7000 + i, 7000 + i, 0, 2, "job", 900000 - i, 1, ID("wide"));
    send_spans();
    ANSWERS("GET /api/v1/correlations/wide", 200, "\"trace_count\":500,", "\"span_count\":510,", "\"partial\":true",
            "of those beyond, only the rows that carry the id themselves are counted");
    close();
}

/* Over the limit all answers leave the same out: traces as counted are those listed, log records in either API. */
static void what_is_left_out_is_left_out_everywhere(void **state) {
    (void)state;
    open();
    for (int i = 0; i < 660; i++) {
        if (i % 110 == 0) begin_spans("bulk");
        put_span(1 + i, 20 * i + 1, 0, 2, "root", 5000 - i, 10, ID("big"));
        for (int k = 2; k <= 20; k++) put_span(1 + i, 20 * i + k, 20 * i + 1, 1, "kid", 4999 - i, 1, NULL);
        if (i % 110 == 109) send_spans();
    }
    for (int i = 0; i < 660; i++) send_log("bulk", "in it", 1 + i);
    uint64_t traces = number_after("GET /api/v1/correlations/big", "\"trace_count\":"), listed = 0;
    uint64_t logs = number_after("GET /api/v1/correlations/big", "\"log_count\":");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/correlations/big/traces"), 200);
    for (const char *at = stage_body(&stage); (at = strstr(at, "\"carrying_count\":")); at++) listed++;
    assert_int_equal(listed, traces);
    assert_int_equal(number_after("GET /ollystack/api/v1/correlate/big", "\"logCount\":"), logs);
    close();
}

/* Days from the first span to the last, parents in a ring, parents that never came. */
static void odd_requests_are_shown(void **state) {
    (void)state;
    open();
    begin_spans("slow");
    put_span(1, 1, 0, 2, "begins", 3 * 86400000LL, 1000, ID("saga"));
    put_span(1, 2, 1, 2, "ends", 1000, 500, NULL);
    put_span(2, 3, 4, 2, "ring", 900, 1, ID("saga"));
    put_span(2, 4, 3, 2, "ring", 900, 1, NULL);
    put_span(2, 5, 5, 2, "itself", 900, 1, NULL);
    put_span(2, 6, 77, 2, "lost", 900, 1, NULL);
    send_spans();
    ANSWERS("GET /api/v1/correlations/saga", 200, "\"span_count\":6,", "\"duration_ns\":259199500000000",
            "\"root_operation\":\"begins\"");
    ANSWERS("GET /api/v1/correlations?start=now-4d", 200, "\"span_count\":6,");
    ANSWERS("GET /api/v1/correlations/saga?start=now-1h", 200,
            "\"span_count\":4,"); /* what carries it there, and its traces */
    ANSWERS("GET /api/v1/correlations?start=now-1h", 200, "\"span_count\":4,");
    ANSWERS("GET /api/v1/correlations/saga/flow?nodes=operation", 200, "\"spans_left_out\":0");
    close();
}

/* Charts of what its services' metrics did, and the sample that names its trace; another service's and another trace's are not there. */
static void metrics_are_those_of_its_services(void **state) {
    (void)state;
    long long end = STAGE_NOW_NS / 1000000000;
    stage_rolls = true;
    open();
    send_order();
    begin_spans("mail");
    for (int i = 1; i < 6; i++) put_span(50 + i, 50 + i, 0, 2, "send", 60000 * i + 1000, 20, NULL);
    send_spans();
    buf_clear(&body);
    buf_add_text(&body, "# TYPE hits counter\n# TYPE heat gauge\n# TYPE took histogram\n");
    for (int i = 0; i <= 20; i++)
        buf_add_fmt(&body, "hits_total{job=\"shop/pay\"} %d %lld\n", i * 30, end - (20 - i) * 15);
    for (int i = 0; i <= 20; i++) buf_add_fmt(&body, "heat{job=\"shop/pay\"} 7 %lld\n", end - (20 - i) * 15);
    for (int i = 0; i <= 20; i++) buf_add_fmt(&body, "heat{job=\"pay.x\"} 9 %lld\n", end - (20 - i) * 15);
    for (int i = 0; i <= 20; i++)
        buf_add_fmt(&body, "took_bucket{service_name=\"gateway\",le=\"1\"} %d %lld\n", i, end - (20 - i) * 15);
    for (int i = 0; i <= 20; i++)
        buf_add_fmt(&body,
                    "took_bucket{service_name=\"gateway\",le=\"+Inf\"} %d %lld # {trace_id=\"%032x\"} 0.5 %lld\n", i,
                    end - (20 - i) * 15, i == 19 ? 1 : 9, end - (20 - i) * 15);
    buf_add_fmt(&body,
                "took_bucket{service_name=\"gateway\",le=\"9\"} 1 %lld # {correlation_id=\"order-7\"} 0.25 %lld\n",
                end - 60, end - 60);
    buf_add_text(&body, "# EOF\n");
    int status =
        stage_send(&stage, API_PORT_MAIN, "POST /api/v1/import", "application/openmetrics-text", NULL, buf_str(&body));
    if (status != 200) fail_msg("%d %s", status, stage_body(&stage));
    ANSWERS("GET /api/v1/correlations/order-7/metrics", 200, "\"step_ns\":60000000000,",
            "\"query\":\"sum(rate(hits_total{job=~\\\"[^/]+/pay\\\"}[2m]))\"", "\"query\":\"avg(heat{job=~",
            "\"query\":\"histogram_quantile(0.95, sum by (le) (rate(took_bucket{service_name=\\\"gateway\\\"}[2m])))\"",
            "\"query\":\"sum(rate(traces_spanmetrics_calls_total{service=\\\"mail\\\"}[2m]))\"", "\"metric\":\"p95\"",
            "\"exemplars\":[{\"service\":\"gateway\"", "\"value\":0.5", "\"value\":0.25",
            "00000000000000000000000000000001");
    assert_null(strstr(stage_body(&stage), "\"other\""));
    assert_null(strstr(stage_body(&stage), "00000000000000000000000000000009"));
    assert_null(strstr(stage_body(&stage), "9,9"));
    ANSWERS("GET /api/v1/correlations/no/metrics", 404, "not_found");
    close();
    stage_rolls = false;
}

/* Names of services are text of others: they stay in their quotes. */
static void services_of_any_name_are_asked_for(void **state) {
    (void)state;
    static const char *const names[] = {"a\\\"} or up{x=\\\"", "(", "\\\\", "a\\nb", "\xc3\xbc", "{}", ".*"};
    open();
    for (size_t i = 0; i < LENGTH(names); i++) {
        begin_spans(names[i]);
        put_span(1, (int)i + 1, 0, 2, "x", 900, 1, ID("odd"));
        send_spans();
    }
    buf_clear(&body);
    buf_add_fmt(&body, "up{job=\"a\"} 1 %lld\n", (long long)(STAGE_NOW_NS / 1000000));
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/import", "text/plain", NULL, buf_str(&body)), 200);
    ANSWERS("GET /api/v1/correlations/odd/metrics", 200, "\"charts\":[],");
    close();
}

/* ---- where context is lost -------------------------------------------------------------------------------------- */

#define PEER(name) "\"attributes\":[{\"key\":\"peer.service\",\"value\":{\"stringValue\":\"" name "\"}}]"
#define LINK "\"links\":[{\"traceId\":\"000000000000000000000000000000aa\",\"spanId\":\"00000000000000aa\"}]"

static void lost_context_is_told_with_what_mends_it(void **state) {
    (void)state;
    static const char finding[] =
        "\"kind\":\"lost_trace\",\"certainty\":\"likely\",\"caller\":\"front\",\"service\":\"back\","
        "\"count\":4,\"of_count\":4,\"ratio\":1,";
    open();
    begin_spans("front");
    for (int i = 0; i < 4; i++) put_span(100 + i, 100 + i, 0, 3, "GET", 5000 + 100 * i, 50, PEER("back"));
    send_spans();
    begin_spans("back\"}},{\"key\":\"telemetry.sdk.language\",\"value\":{\"stringValue\":\"nodejs");
    for (int i = 0; i < 4; i++) put_span(200 + i, 200 + i, 0, 2, "GET", 4990 + 100 * i, 30, NULL);
    send_spans();
    ANSWERS("GET /api/v1/propagation", 200, finding, "\"language\":\"javascript\"", "propagation.extract(",
            "\"trace_id\":\"00000000000000000000000000000064\"",
            "\"other_trace_id\":\"000000000000000000000000000000c8\"", "\"finding_count\":1,");
    ANSWERS("GET /api/v1/propagation?service=front", 200, finding, "\"finding_count\":1,");
    ANSWERS("GET /api/v1/propagation?service=nobody", 200, "\"findings\":[],", "\"finding_count\":0,");
    ANSWERS("GET /api/v1/propagation?environment=prod", 200, "\"span_count\":0,");
    close();
}

/* What looks lost and is not: a consumer that links to whom it serves, a parent that began long before its child. */
static void what_is_there_after_all_is_not_told(void **state) {
    (void)state;
    for (int linked = 0; linked < 2; linked++) {
        open();
        begin_spans("front");
        put_span(100, 100, 0, 4, "publish", 5000, 1, ID("order-7"));
        send_spans();
        begin_spans("worker");
        put_span(200, 200, 0, 5, "process", 4000, 1, linked ? ID("order-7") "," LINK : ID("order-7"));
        send_spans();
        ANSWERS("GET /api/v1/propagation", 200,
                linked ? "\"finding_count\":0," : "\"kind\":\"lost_trace\",\"certainty\":\"certain\"");
        close();
    }
    for (int stored = 0; stored < 2; stored++) {
        open();
        begin_spans("batch");
        if (stored) put_span(100, 100, 0, 1, "job", 2 * 3600000, 7200000, NULL);
        if (stored) put_span(100, 104, 100, 1, "part", 2 * 3600000, 7200000, NULL);
        put_span(100, 101, 100, 1, "step", 42000, 1, NULL);
        put_span(100, 102, 104, 1, "step", 41000, 1, NULL);
        send_spans();
        ANSWERS("GET /api/v1/propagation", 200,
                stored ? "\"finding_count\":0," : "\"kind\":\"missing_parent\",\"certainty\":\"possible\"");
        begin_spans("batch");
        put_span(100, 103, 104, 1, "step", 1000, 1, NULL); /* the trace goes on */
        send_spans();
        ANSWERS("GET /api/v1/propagation", 200, "\"finding_count\":0,");
        close();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_whole_whoever_passed_its_id_on),
        cmocka_unit_test(clocks_that_are_apart_are_put_right),
        cmocka_unit_test(any_attribute_is_an_id),
        cmocka_unit_test(ids_of_any_kind_are_found_or_not),
        cmocka_unit_test(ids_that_no_path_or_json_can_hold_are_opened),
        cmocka_unit_test(one_id_may_be_everywhere),
        cmocka_unit_test(more_traces_than_are_looked_at_are_told),
        cmocka_unit_test(what_is_left_out_is_left_out_everywhere),
        cmocka_unit_test(odd_requests_are_shown),
        cmocka_unit_test(metrics_are_those_of_its_services),
        cmocka_unit_test(services_of_any_name_are_asked_for),
        cmocka_unit_test(lost_context_is_told_with_what_mends_it),
        cmocka_unit_test(what_is_there_after_all_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
