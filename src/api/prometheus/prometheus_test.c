/* Prometheus's API over the stage: answers, byte for byte, of a few series; what is refused, and how it says so. */
#include "api/one_stage_testing_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/protobuf_priv.h"
#include "signal/metrics/snappy.h"

/* Samples each 15 s for 10 minutes until STAGE_NOW: a counter by route, a gauge, one with an odd name; a series that ended. */
static void fill(void) {
    struct buf text;
    buf_init(&text, MIB);
    buf_add_text(&text, "# HELP hits_total Requests.\n# TYPE hits_total counter\n");
    for (int r = 0; r < 2; r++)
        for (int i = 0; i <= 40; i++)
            buf_add_fmt(&text, "hits_total{route=\"/%c\",job=\"web\"} %d %lld\n", 'a' + r, i * 15 * (r + 1),
                        (long long)(STAGE_NOW_NS / 1000000 - (40 - i) * 15000));
    buf_add_text(&text, "# HELP heat_celsius How \\\"warm\\\".\n# TYPE heat_celsius gauge\n");
    buf_add_fmt(&text, "heat_celsius{job=\"web\",instance=\"one\"} 21.5 %lld\n", (long long)(STAGE_NOW_NS / 1000000));
    buf_add_text(&text, "# TYPE old gauge\n");
    buf_add_fmt(&text, "old 1e-7 %lld\n", (long long)(STAGE_NOW_NS / 1000000 - 400000));
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/import", "text/plain", NULL, buf_str(&text)), 200);
    buf_done(&text);
}

static int open_with_series(void **state) {
    open_empty(state);
    fill();
    return 0;
}

static void check(const char *request, int status, const char *body) {
    stage_ask(&stage, request);
    if (stage.status != status || (body && strcmp(stage_body(&stage), body) != 0))
        fail_msg("%s: %d %s\nwanted: %d %s", request, stage.status, stage_body(&stage), status, body ? body : "");
}

#define API "/prometheus/api/v1/"
#define OK(data) "{\"status\":\"success\",\"data\":" data "}"
#define BAD(text) "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"" text "\"}"

static void queries_are_answered(void **state) {
    (void)state;
    static const struct {
        const char *request, *body;
    } cases[] = {
        /* Grafana's health check */
        {"GET " API "query?query=1%2B1&time=4", OK("{\"resultType\":\"scalar\",\"result\":[4,\"2\"]}")},
        {"GET " API "query?query=%22a%5C%22b%22&time=4.5",
         OK("{\"resultType\":\"string\",\"result\":[4.5,\"a\\\"b\"]}")},
        {"GET " API "query?query=heat_celsius",
         OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"heat_celsius\",\"instance\":\"one\","
            "\"job\":\"web\"},\"value\":[1767323045,\"21.5\"]}]}")},
        {"GET " API "query?query=old&time=1767322645.001",
         OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"old\"},\"value\":[1767322645.001,"
            "\"1e-07\"]}]}")},
        {"GET " API "query?query=old", OK("{\"resultType\":\"vector\",\"result\":[]}")},
        {"GET " API "query?query=old&lookback_delta=10m", OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__"
                                                             "name__\":\"old\"},\"value\":[1767323045,\"1e-07\"]}]}")},
        {"GET " API "query?query=round(sum(rate(hits_total[5m])))",
         OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{},\"value\":[1767323045,\"3\"]}]}")},
        {"GET " API "query?query=heat_celsius[1m]",
         OK("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"heat_celsius\",\"instance\":\"one\","
            "\"job\":\"web\"},\"values\":[[1767323045,\"21.5\"]]}]}")},
        {"GET " API "query?query=sum+by+(route)(hits_total)&limit=1",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"route\":\"/a\"},"
         "\"value\":[1767323045,\"600\"]}]},\"warnings\":[\"results truncated due to limit\"]}"},
        {"GET " API "query_range?query=sum(hits_total)&start=1767323000&end=2026-01-02T03:04:05Z&step=15s",
         OK("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1767323000,\"1665\"],[1767323015,"
            "\"1710\"],[1767323030,\"1755\"],[1767323045,\"1800\"]]}]}")},
        {"GET " API "query_range?query=1&start=1&end=2&step=0.5",
         OK("{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},\"values\":[[1,\"1\"],[1.500,\"1\"],[2,\"1\"]]}]}")},
        {"GET " API "query?query=rate(heat_celsius[5m])",
         "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[]}}"},
        {"GET " API "format_query?query=sum(+a+)by(b)", OK("\"sum by (b) (a)\"")},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) check(cases[i].request, 200, cases[i].body);
}

static void wrong_questions_are_told(void **state) {
    (void)state;
    static const struct {
        const char *request, *body;
        int status;
    } cases[] = {
        {"GET " API "query", BAD("invalid parameter \\\"query\\\": 1:1: parse error: no expression found in input"),
         400},
        {"GET " API "query?query=sum(a",
         BAD("invalid parameter \\\"query\\\": 1:6: parse error: unclosed left parenthesis"), 400},
        {"GET " API "query?query=a&time=x",
         BAD("invalid parameter \\\"time\\\": Invalid time value for 'time': cannot parse \\\"x\\\" to a valid "
             "timestamp"),
         400},
        {"GET " API "query?query=a&timeout=-x",
         BAD("invalid parameter \\\"timeout\\\": cannot parse \\\"-x\\\" to a valid duration"), 400},
        {"GET " API "query?query=a&limit=-1", BAD("invalid parameter \\\"limit\\\": limit must be non-negative"), 400},
        {"GET " API "query?query=a&lookback_delta=x",
         BAD("error parsing lookback delta duration: cannot parse \\\"x\\\" to a valid duration"), 400},
        {"GET " API "query_range?query=a&start=2&end=1&step=1",
         BAD("invalid parameter \\\"end\\\": end timestamp must not be before start time"), 400},
        {"GET " API "query_range?query=a&start=1&end=2&step=0",
         BAD("invalid parameter \\\"step\\\": zero or negative query resolution step widths are not accepted. Try a "
             "positive integer"),
         400},
        {"GET " API "query_range?query=a&start=1&end=2&step=0.0001",
         BAD("invalid parameter \\\"step\\\": a step is 1 ms at least"), 400},
        {"GET " API "query_range?query=a&start=0&end=11001&step=1",
         BAD("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
             "(?step=XX)"),
         400},
        {"GET " API "query_range?query=a&start=0&end=31536000&step=0.001",
         BAD("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution "
             "(?step=XX)"),
         400},
        {"GET " API "query_range?query=a[5m]&start=1&end=2&step=1",
         BAD("invalid parameter \\\"query\\\": invalid expression type \\\"range vector\\\" for range query, must be "
             "Scalar "
             "or instant Vector"),
         400},
        {"GET " API "query?query=hits_total+%2B+on()+hits_total",
         "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"", 422},
        {"GET " API "series", BAD("no match[] parameter provided"), 400},
        {"GET " API "series?match[]=%7B%7D",
         BAD("invalid parameter \\\"match[]\\\": match[] must contain at least one non-empty matcher"), 400},
        {"GET " API "metadata?limit=x", BAD("limit must be a number"), 400},
        {"GET " API "query_exemplars?query=a&start=2&end=1", BAD("end timestamp must not be before start timestamp"),
         400},
        {"POST " API "metadata", BAD("/prometheus/api/v1/metadata does not take POST; it takes GET, HEAD"), 405},
        {"DELETE " API "query", BAD("/prometheus/api/v1/query does not take DELETE; it takes GET, HEAD, POST"), 405},
        {"GET " API "nothing", "{\"status\":\"error\",\"errorType\":\"not_found\",\"error\":\"", 404},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        stage_ask(&stage, cases[i].request);
        if (stage.status != cases[i].status || !str_starts_with(buf_str(&stage.body), str_of(cases[i].body)))
            fail_msg("%s: %d %s\nwanted: %d %s", cases[i].request, stage.status, stage_body(&stage), cases[i].status,
                     cases[i].body);
        if (cases[i].status == 405) assert_non_null(strstr(stage.fields, "Allow: GET, HEAD"));
    }
}

static void a_form_is_read_before_the_query_string(void **state) {
    (void)state;
    const char *form = "application/x-www-form-urlencoded; charset=utf-8";
    assert_int_equal(
        stage_send(&stage, API_PORT_MAIN, "POST " API "query?query=2&time=5", form, NULL, STR("query=1%2B1")), 200);
    assert_string_equal(stage_body(&stage), OK("{\"resultType\":\"scalar\",\"result\":[5,\"2\"]}"));
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST " API "series?match[]=old", form, NULL,
                                STR("match[]=heat_celsius&unknown=1&start=0")),
                     200);
    assert_string_equal(stage_body(&stage), OK("[{\"__name__\":\"heat_celsius\",\"instance\":\"one\",\"job\":\"web\"},{"
                                               "\"__name__\":\"old\"}]"));
    assert_int_equal(
        stage_send(&stage, API_PORT_MAIN, "POST " API "query?query=3&time=5", "text/plain", NULL, STR("query=1")), 200);
    assert_string_equal(stage_body(&stage), OK("{\"resultType\":\"scalar\",\"result\":[5,\"3\"]}"));
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST " API "query", form, NULL, STR("query=%zz")), 400);
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST " API "query", "multipart/form-data; boundary=x", NULL,
                                STR("--x\r\nContent-Disposition: form-data; name=\"query\"\r\n\r\n1\r\n--x--\r\n")),
                     400);
    assert_string_equal(stage_body(&stage), BAD("multipart/form-data is not read: send the form as "
                                                "application/x-www-form-urlencoded"));
}

/* What Prometheus's own clients send for "from the beginning" and "to the end". */
static void the_ends_of_time_are_times(void **state) {
    (void)state;
    static const char *const ends[] = {"292277025-08-18T07:12:54.999999999Z",
                                       "%2B292277025-08-18T07:12:54.999999999Z",
                                       "+292277025-08-18T07:12:54.999999999Z",
                                       "9223309901257974",
                                       "9223372036854775.807",
                                       "1e300"};
    static const char *const starts[] = {"-292273086-05-16T16:47:06Z", "-9223309901257974", "-1e300"};
    char request[256];
    for (size_t i = 0; i < LENGTH(ends); i++)
        for (size_t k = 0; k < LENGTH(starts); k++) {
            snprintf(request, sizeof request, "GET " API "labels?start=%s&end=%s", starts[k], ends[i]);
            check(request, 200, OK("[\"__name__\",\"instance\",\"job\",\"route\"]"));
        }
    check("GET " API "query?query=1&time=9223309901257974", 200, NULL);
    check("GET " API "query?query=old%5B5m%5D+offset+-5m&time=-9223309901257974", 200, NULL);
    check("GET " API "labels?end=Inf", 400, NULL);
    check("GET " API "labels?end=NaN", 400, NULL);
}

static void the_own_port_names_its_own_paths(void **state) {
    (void)state;
    assert_int_equal(stage_send(&stage, API_PORT_PROMETHEUS, "POST /api/v1/metadata", "", NULL, STR("")), 405);
    assert_string_equal(stage_body(&stage), BAD("/api/v1/metadata does not take POST; it takes GET, HEAD"));
    assert_int_equal(stage_send(&stage, API_PORT_PROMETHEUS, "GET /api/v1/nothing", "", NULL, STR("")), 404);
    assert_string_equal(stage_body(&stage),
                        "{\"status\":\"error\",\"errorType\":\"not_found\",\"error\":\"there is no /api/v1/nothing\"}");
}

/* Before a route is found, by the target alone: the head was too long, the body too large. */
static void what_the_server_refuses_is_said_as_prometheus_does(void **state) {
    (void)state;
    static const struct {
        enum api_port port;
        const char *target, *body;
    } cases[] = {{API_PORT_MAIN, "/prometheus/api/v1/series?match[]=x", BAD("why")},
                 {API_PORT_PROMETHEUS, "/api/v1/series?match[]=x", BAD("why")},
                 {API_PORT_PROMETHEUS, "", BAD("why")},
                 {API_PORT_MAIN, "/prometheusx", "{\"error\":{\"kind\":\"invalid\",\"message\":\"why\"}}"},
                 {API_PORT_MAIN, "/api/v1/services", "{\"error\":{\"kind\":\"invalid\",\"message\":\"why\"}}"},
                 {API_PORT_MAIN, "/prometheus/api/v1/otlp/v1/metrics", "\x08\x03\x12\x03why"},
                 {API_PORT_PROMETHEUS, "/api/v1/otlp/v1/metrics", "\x08\x03\x12\x03why"}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, 4 * KIB);
        api_refusal(api_listener(stage.api, cases[i].port), str_of(cases[i].target), STR(""), 414, STR("why"), &out);
        assert_string_equal(out.p, cases[i].body);
    }
}

static void names_are_listed(void **state) {
    (void)state;
    static const struct {
        const char *request, *body;
    } cases[] = {
        {"GET " API "labels", OK("[\"__name__\",\"instance\",\"job\",\"route\"]")},
        {"GET " API "labels?match[]=heat_celsius&match[]=old", OK("[\"__name__\",\"instance\",\"job\"]")},
        {"GET " API "labels?start=1&end=2", OK("[]")},
        {"GET " API "label/__name__/values", OK("[\"heat_celsius\",\"hits_total\",\"old\"]")},
        {"GET " API "label/__name__/values?limit=1",
         "{\"status\":\"success\",\"data\":[\"heat_celsius\"],\"warnings\":[\"results truncated due to limit\"]}"},
        {"GET " API "label/U__route/values", OK("[\"/a\",\"/b\"]")},
        {"GET " API "label/U__no_2e_such/values", OK("[]")},
        {"GET " API "label/route/values?match[]=hits_total%7Broute!%3D%22/a%22%7D", OK("[\"/b\"]")},
        {"GET " API "series?match[]=%7Bjob%3D%22web%22%7D&limit=1",
         "{\"status\":\"success\",\"data\":[{\"__name__\":\"heat_celsius\",\"instance\":\"one\",\"job\":\"web\"}],"
         "\"warnings\":[\"results truncated due to limit\"]}"},
        {"GET " API "series?match[]=old&start=1767323000", OK("[]")},
        {"GET " API "metadata?metric=hits_total",
         OK("{\"hits_total\":[{\"type\":\"counter\",\"unit\":\"\",\"help\":\"Requests.\"}]}")},
        {"GET " API "metadata?limit=0", OK("{}")},
        {"GET " API "query_exemplars?query=hits_total&start=1&end=2", OK("[]")},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) check(cases[i].request, 200, cases[i].body);
}

static void what_there_is_none_of_is_empty(void **state) {
    (void)state;
    check("GET " API "targets", 200, OK("{\"activeTargets\":[],\"droppedTargets\":[],\"droppedTargetCounts\":{}}"));
    check("GET " API "targets/metadata", 200, OK("[]"));
    check("GET " API "rules?type=alert", 200, OK("{\"groups\":[]}"));
    check("GET " API "alerts", 200, OK("{\"alerts\":[]}"));
    check("GET " API "status/walreplay", 200, OK("{\"min\":0,\"max\":0,\"current\":0}"));
    stage_ask(&stage, "GET " API "status/buildinfo");
    assert_null(strstr(stage_body(&stage), "features")); /* Grafana would take it for another server */
    stage_ask(&stage, "GET " API "status/tsdb");
    assert_non_null(strstr(stage_body(&stage), "\"seriesCountByMetricName\":[{\"name\":\"hits_total\",\"value\":2}"));
}

static void the_port_serves_it_at_its_root(void **state) {
    (void)state;
    assert_int_equal(stage_send(&stage, API_PORT_PROMETHEUS, "GET /api/v1/query?query=1&time=0", NULL, NULL, STR("")),
                     200);
    assert_string_equal(stage_body(&stage), OK("{\"resultType\":\"scalar\",\"result\":[0,\"1\"]}"));
    assert_int_equal(stage_send(&stage, API_PORT_PROMETHEUS, "GET /-/healthy", NULL, NULL, STR("")), 200);
    assert_int_equal(stage_send(&stage, API_PORT_PROMETHEUS, "GET /-/ready", NULL, NULL, STR("")), 200);
    assert_int_equal(stage_send(&stage, API_PORT_PROMETHEUS, "GET /metrics", NULL, NULL, STR("")), 200);
    assert_int_equal(stage_send(&stage, API_PORT_PROMETHEUS, "GET /api/v1/traces", NULL, NULL, STR("")), 404);
}

static void federation_gives_the_newest_samples(void **state) {
    (void)state;
    check("GET /prometheus/federate?match[]=heat_celsius&match[]=%7B__name__%3D~%22h.*%22%7D&match[]=old", 200,
          "# TYPE heat_celsius untyped\n"
          "heat_celsius{instance=\"one\",job=\"web\"} 21.5 1767323045000\n"
          "# TYPE hits_total untyped\n"
          "hits_total{job=\"web\",route=\"/a\",instance=\"\"} 600 1767323045000\n"
          "hits_total{job=\"web\",route=\"/b\",instance=\"\"} 1200 1767323045000\n");
    check("GET /prometheus/federate", 200, "");
    stage_ask(&stage, "GET /prometheus/federate?match[]=%7B");
    assert_int_equal(stage.status, 400);
}

/* ---- remote read ------------------------------------------------------------------------------------------------ */

static void put_matcher(struct buf *query, const char *name, const char *value) {
    struct buf m;
    buf_init(&m, KIB);
    protobuf_put_bytes(&m, 2, str_of(name));
    protobuf_put_bytes(&m, 3, str_of(value));
    protobuf_put_bytes(query, 3, buf_str(&m));
    buf_done(&m);
}

static void remote_read_gives_samples(void **state) {
    (void)state;
    struct buf query, request, body, answer;
    struct protobuf_field f;
    buf_init(&query, KIB);
    buf_init(&request, KIB);
    buf_init(&body, KIB);
    buf_init(&answer, MIB);
    protobuf_put_number(&query, 1, 0);
    protobuf_put_number(&query, 2, (uint64_t)(STAGE_NOW_NS / 1000000));
    put_matcher(&query, "__name__", "hits_total");
    protobuf_put_bytes(&request, 1, buf_str(&query));
    protobuf_put_number(&request, 2, 1); /* STREAMED_XOR_CHUNKS … */
    protobuf_put_number(&request, 2, 0); /* … or SAMPLES */
    snappy_block_write(buf_str(&request), &body);
    assert_int_equal(
        stage_send(&stage, API_PORT_MAIN, "POST " API "read", "application/x-protobuf", "snappy", buf_str(&body)), 200);
    assert_string_equal(stage.content_type, "application/x-protobuf");
    assert_non_null(strstr(stage.fields, "Content-Encoding: snappy"));
    assert_null(snappy_block_read(buf_str(&stage.body), &answer));
    struct str in = buf_str(&answer);
    assert_true(protobuf_next(&in, &f) && f.number == 1 && in.n == 0); /* one result … */
    in = f.bytes;
    int series = 0, samples = 0;
    while (in.n) {
        assert_true(protobuf_next(&in, &f) && f.number == 1);
        series++;
        for (struct str s = f.bytes; s.n;) {
            assert_true(protobuf_next(&s, &f));
            samples += f.number == 2;
        }
    }
    assert_int_equal(series, 2);
    assert_int_equal(samples, 82);
    buf_clear(&request);
    buf_clear(&body);
    protobuf_put_bytes(&request, 1, buf_str(&query));
    protobuf_put_number(&request, 2, 1);
    snappy_block_write(buf_str(&request), &body);
    assert_int_equal(
        stage_send(&stage, API_PORT_MAIN, "POST " API "read", "application/x-protobuf", "snappy", buf_str(&body)), 400);
    assert_int_equal(
        stage_send(&stage, API_PORT_MAIN, "POST " API "read", "application/x-protobuf", "snappy", STR("\xff\xff")),
        400);
    buf_done(&query);
    buf_done(&request);
    buf_done(&body);
    buf_done(&answer);
}

static void deleted_series_are_gone(void **state) {
    (void)state;
    stage_ask(&stage, "POST " API "admin/tsdb/delete_series");
    assert_int_equal(stage.status, 400);
    check("POST " API "admin/tsdb/delete_series?match[]=hits_total%7Broute%3D%22/a%22%7D", 204, "");
    check(
        "GET " API "query?query=hits_total", 200,
        OK("{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"hits_total\",\"job\":\"web\",\"route\":"
           "\"/b\"},\"value\":[1767323045,\"1200\"]}]}"));
    check("PUT " API "admin/tsdb/clean_tombstones", 204, "");
}

/* Of more series than are looked at in order: no more than the limit. */
static void a_limit_ends_the_search(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 4 * MIB);
    for (int i = 0; i < 15000; i++)
        buf_add_fmt(&text, "many{i=\"%d\"} 1 %lld\n", i, (long long)(STAGE_NOW_NS / 1000000));
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/import", "text/plain", NULL, buf_str(&text)), 200);
    buf_done(&text);
    stage_ask(&stage, "GET " API "series?match[]=many&limit=3");
    assert_int_equal(stage.status, 200);
    assert_non_null(strstr(stage_body(&stage), "results truncated due to limit"));
    int found = 0;
    for (const char *at = stage_body(&stage); (at = strstr(at, "\"many\"")); at++) found++;
    assert_int_equal(found, 3);
    stage_ask(&stage, "GET " API "series?match[]=many&limit=14999");
    assert_non_null(strstr(stage_body(&stage), "results truncated due to limit"));
    stage_ask(&stage, "GET " API "series?match[]=many&limit=15000");
    assert_null(strstr(stage_body(&stage), "results truncated due to limit"));
}

static void a_slow_expression_is_told_as_one(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, 8 * KIB);
    buf_add_text(&text, "slow{v=\"");
    for (int i = 0; i < 5000; i++) buf_add_byte(&text, 'x');
    buf_add_fmt(&text, "yz\"} 1 %lld\n", (long long)(STAGE_NOW_NS / 1000000));
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/import", "text/plain", NULL, buf_str(&text)), 200);
    buf_done(&text);
    check(
        "GET " API "query?query=slow%7Bv%3D~%22(x%7B0,90%7D)%7B0,90%7D%5Bcd%5D%22%7D", 422,
        "{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"label v: the expression takes too long on some "
        "value\"}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_answered),
        cmocka_unit_test(wrong_questions_are_told),
        cmocka_unit_test(a_form_is_read_before_the_query_string),
        cmocka_unit_test(the_ends_of_time_are_times),
        cmocka_unit_test(the_own_port_names_its_own_paths),
        cmocka_unit_test(what_the_server_refuses_is_said_as_prometheus_does),
        cmocka_unit_test(names_are_listed),
        cmocka_unit_test(what_there_is_none_of_is_empty),
        cmocka_unit_test(the_port_serves_it_at_its_root),
        cmocka_unit_test(federation_gives_the_newest_samples),
        cmocka_unit_test(remote_read_gives_samples),
        cmocka_unit_test(deleted_series_are_gone),
        cmocka_unit_test(a_limit_ends_the_search),
        cmocka_unit_test(a_slow_expression_is_told_as_one),
    };
    return cmocka_run_group_tests(tests, open_with_series, close_stage);
}
