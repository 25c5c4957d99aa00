/* OTLP/gRPC over the real handlers: what is taken, what is refused, and in which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "api/stage_test_priv.h"
#include "net/grpc.h"
#include "net/inflate.h"

static const char traces[] = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
static const char logs[] = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

static void put_call(struct buf *out, bool gzip, void (*put)(struct buf *out)) {
    struct buf plain, packed;
    buf_init(&plain, MIB);
    buf_init(&packed, MIB);
    put(&plain);
    if (gzip) assert_null(deflate_gzip(buf_str(&plain), &packed));
    grpc_put_message(out, gzip ? buf_str(&packed) : buf_str(&plain), gzip);
    buf_done(&plain);
    buf_done(&packed);
}

static void what_is_sent_by_grpc_is_what_http_would_have_stored(void **state) {
    (void)state;
    struct buf by_http, call;
    buf_init(&by_http, MIB);
    buf_init(&call, MIB);
    for (int way = 0; way < 3; way++) { /* HTTP, gRPC, gRPC with gzip */
        struct stage s;
        stage_open(&s);
        if (way == 0) {
            stage_fill(&s);
        } else {
            buf_clear(&call);
            put_call(&call, way == 2, stage_put_traces);
            assert_int_equal(stage_call(&s, traces, "gzip", "10S", buf_str(&call)), GRPC_OK);
            assert_string_equal(s.fields, "trailer grpc-status: 0\n");
            assert_string_equal(s.content_type, "application/grpc");
            buf_clear(&call);
            put_call(&call, way == 2, stage_put_logs);
            assert_int_equal(stage_call(&s, logs, "gzip", "", buf_str(&call)), GRPC_OK);
        }
        for (int q = 0; q < 2; q++) {
            static const char *const asked[] = {"GET /api/v1/traces?start=now-1d",
                                                "GET /api/v1/logs/query?start=now-1d"};
            assert_int_equal(stage_ask(&s, asked[q]), 200);
            if (way == 0)
                buf_add_str(&by_http, buf_str(&s.body));
            else
                assert_true(str_contains(buf_str(&by_http), buf_str(&s.body)));
        }
        stage_close(&s);
    }
    assert_true(by_http.n > 1000);
    buf_done(&by_http);
    buf_done(&call);
}

static void partial_success_comes_in_the_message(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s);
    /* ResourceSpans {ScopeSpans {Span without ids}} */
    assert_int_equal(stage_call(&s, traces, "", "", STR("\0\0\0\0\x06\x0a\x04\x12\x02\x12\0")), GRPC_OK);
    assert_true(s.body.n > 5 && s.body.p[5] == 0x0a); /* partial_success */
    stage_close(&s);
}

static void expect(struct stage *s, const char *path, const char *encoding, const char *timeout, struct str body,
                   int want, const char *message) {
    int code = stage_call(s, path, encoding, timeout, body);
    if (code != want || !strstr(s->fields, message)) fail_msg("%s: %d, not %d: %s", path, code, want, s->fields);
    assert_int_equal(s->body.n, 0);
}

static void refusals_are_said_in_grpcs_words(void **state) {
    (void)state;
    const struct str empty = STR("\0\0\0\0\0");
    struct stage s;
    stage_open(&s);
    expect(&s, "/opentelemetry.proto.collector.trace.v1.TraceService/Import", "", "", empty, GRPC_UNIMPLEMENTED,
           "there is no");
    expect(&s, traces, "", "", STR("\0\0\0\0\2zz"), GRPC_INVALID_ARGUMENT, "not a valid protobuf");
    expect(&s, traces, "gzip", "", STR("\1\0\0\0\2zz"), GRPC_INVALID_ARGUMENT, "compressed data");
    expect(&s, traces, "snappy", "", empty, GRPC_UNIMPLEMENTED, "grpc-accept-encoding: identity,gzip");
    expect(&s, traces, "", "", STR("\0\0\0\0\1"), GRPC_INTERNAL, "shorter than its prefix");
    expect(&s, traces, "", "", STR("\0\0\0\0\0\0\0\0\0\0"), GRPC_UNIMPLEMENTED, "more than one message");
    expect(&s, traces, "", "", STR(""), GRPC_UNIMPLEMENTED, "without a message");
    expect(&s, traces, "", "soon", empty, GRPC_INVALID_ARGUMENT, "grpc-timeout");
    expect(&s, traces, "", "0n", empty, GRPC_DEADLINE_EXCEEDED, "deadline");
    stage_close(&s);
}

static void throttled_calls_hear_when_to_come_again(void **state) {
    (void)state;
    struct stage s;
    struct buf call;
    buf_init(&call, MIB);
    stage_open(&s);
    put_call(&call, false, stage_put_traces);
    s.budget.limit_bytes = 1;
    expect(&s, traces, "", "", buf_str(&call), GRPC_UNAVAILABLE, "grpc-status-details-bin: CA4S");
    s.budget.limit_bytes = 1 << 30;
    assert_int_equal(stage_call(&s, traces, "", "", buf_str(&call)), GRPC_OK);
    stage_close(&s);
    buf_done(&call);
}

static void health_is_checked_by_service(void **state) {
    (void)state;
    static const char check[] = "/grpc.health.v1.Health/Check";
    struct stage s;
    stage_open(&s);
    assert_int_equal(stage_call(&s, check, "", "", STR("\0\0\0\0\0")), GRPC_OK);
    assert_memory_equal(s.body.p, "\0\0\0\0\2\x08\1", 7); /* SERVING */
    assert_int_equal(stage_call(&s, check, "", "", STR("\0\0\0\0\x17\x0a\x15grpc.health.v1.Health")), GRPC_OK);
    expect(&s, check, "", "", STR("\0\0\0\0\6\x0a\4nope"), GRPC_NOT_FOUND, "no service");
    expect(&s, check, "", "", STR("\0\0\0\0\3\x0a\4n"), GRPC_INVALID_ARGUMENT, "HealthCheckRequest");
    expect(&s, check, "", "", STR("\0\0\0\0\1\x80"), GRPC_INVALID_ARGUMENT, "HealthCheckRequest");
    assert_int_equal(stage_call(&s, check, "", "", STR("\0\0\0\0\4\x10\1\x0a\0")), GRPC_OK); /* an unknown field */
    api_drain(s.api, false);
    assert_int_equal(stage_call(&s, check, "", "", STR("\0\0\0\0\0")), GRPC_OK);
    assert_memory_equal(s.body.p, "\0\0\0\0\2\x08\2", 7); /* NOT_SERVING */
    stage_close(&s);
}

/* What a plain HTTP client gets there. */
static void other_protocols_are_told_in_http(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s);
    char request[128];
    snprintf(request, sizeof request, "POST %s", traces);
    assert_int_equal(stage_send(&s, API_PORT_MAIN, request, "application/grpc", "", STR("")), 505);
    assert_non_null(strstr(stage_body(&s), "gRPC needs HTTP/2"));
    snprintf(request, sizeof request, "GET %s", traces);
    assert_int_equal(stage_send(&s, API_PORT_MAIN, request, NULL, NULL, STR("")), 405);
    stage_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_by_grpc_is_what_http_would_have_stored),
        cmocka_unit_test(partial_success_comes_in_the_message),
        cmocka_unit_test(refusals_are_said_in_grpcs_words),
        cmocka_unit_test(throttled_calls_hear_when_to_come_again),
        cmocka_unit_test(health_is_checked_by_service),
        cmocka_unit_test(other_protocols_are_told_in_http),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
