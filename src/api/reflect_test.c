/* Reflection: what is said of the services here is what the route table has, and every question gets its answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "api/api.h"
#include "api/descriptor_priv.h"
#include "api/protobuf_priv.h"
#include "api/reflect_priv.h"
#include "net/grpc.h"

static struct buf out;

/* The n-th field of that number; p NULL if there is none. */
static struct str nth(struct str message, uint32_t number, size_t n) {
    struct protobuf_field f;
    while (message.n) {
        assert_true(protobuf_next(&message, &f));
        if (f.number == number && f.has_bytes && n-- == 0) return f.bytes;
    }
    return (struct str){0};
}

/* Asks for `name` by one of the questions; the answer is in `out`. */
static struct str ask(uint32_t question, struct str name) {
    struct buf request;
    buf_init(&request, MIB);
    protobuf_put_bytes(&request, question, name);
    buf_clear(&out);
    assert_true(reflect_answer(buf_str(&request), &out));
    assert_true(str_equal(nth(buf_str(&out), 2, 0), buf_str(&request)));
    buf_done(&request);
    return buf_str(&out);
}

static void expect_error(uint32_t question, struct str name, enum grpc_code code) {
    struct str error = nth(ask(question, name), 7, 0);
    assert_true(error.n > 2);
    assert_int_equal(error.p[0], 8);
    assert_int_equal(error.p[1], code);
    assert_true(nth(error, 2, 0).n > 0);
}

static bool symbol_is_there(struct str name, bool service) {
    for (size_t i = 0; i < descriptor_symbol_count; i++)
        if (str_equal(descriptor_symbols[i].name, name) && descriptor_symbols[i].is_service == service) return true;
    return false;
}

static void every_route_of_grpc_is_described_and_no_other(void **state) {
    (void)state;
    size_t methods = 0, services = 0;
    for (size_t i = 0; i < api_route_count; i++) {
        struct str path = str_of(api_routes[i].path), service, method;
        path = (struct str){path.p + 1, path.n - 1};
        if (!str_cut(path, '/', &service, &method) || str_find(service, '.') <= 0) continue;
        AUTO_BUF struct buf name;
        buf_init(&name, KIB);
        buf_add_fmt(&name, STR_FMT "." STR_FMT, STR_ARG(service), STR_ARG(method));
        assert_true(symbol_is_there(service, true));
        assert_true(symbol_is_there(buf_str(&name), false));
        methods++;
    }
    for (size_t i = 0; i < descriptor_symbol_count; i++) {
        services += descriptor_symbols[i].is_service;
        if (i) assert_true(str_compare(descriptor_symbols[i - 1].name, descriptor_symbols[i].name) < 0);
    }
    assert_int_equal(methods, 7);
    assert_int_equal(services, 6);
}

static void services_are_listed(void **state) {
    (void)state;
    struct str list = nth(ask(7, STR("*")), 6, 0);
    static const char *const want[] = {
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "opentelemetry.proto.collector.logs.v1.LogsService",
        "opentelemetry.proto.collector.metrics.v1.MetricsService",
        "opentelemetry.proto.collector.trace.v1.TraceService",
    };
    for (size_t i = 0; i < LENGTH(want); i++) assert_true(str_equal(nth(nth(list, 1, i), 1, 0), str_of(want[i])));
    assert_null(nth(list, 1, LENGTH(want)).p);
}

/* google.protobuf.FileDescriptorProto, by hand. */
static void a_descriptor_says_what_its_file_says(void **state) {
    (void)state;
    static const struct str health =
        STR("\x0a\x1bgrpc/health/v1/health.proto\x12\x0egrpc.health.v1"
            "\x32\xae\x01\x0a\x06Health"
            "\x12P\x0a\x05"
            "Check\x12\""
            ".grpc.health.v1.HealthCheckRequest\x1a\x23.grpc.health.v1.HealthCheckResponse"
            "\x12R\x0a\x05Watch\x12\""
            ".grpc.health.v1.HealthCheckRequest\x1a\x23.grpc.health.v1.HealthCheckResponse\x30\x01"
            "\"%\x0a\x12HealthCheckRequest\x12\x0f\x0a\x07service\x18\x01 \x01(\x09"
            "\"\xa9\x01\x0a\x13HealthCheckResponse"
            "\"O\x0a\x0dServingStatus\x12\x0b\x0a\x07UNKNOWN\x10\0\x12\x0b\x0a\x07SERVING\x10\x01"
            "\x12\x0f\x0a\x0bNOT_SERVING\x10\x02\x12\x13\x0a\x0fSERVICE_UNKNOWN\x10\x03"
            "\x12"
            "A\x0a\x06status\x18\x01 \x01(\x0e\x32\x31.grpc.health.v1.HealthCheckResponse.ServingStatus"
            "\x62\x06proto3");
    struct str files = nth(ask(3, STR("grpc/health/v1/health.proto")), 4, 0), got = nth(files, 1, 0);
    assert_int_equal(got.n, health.n);
    assert_memory_equal(got.p, health.p, health.n);
    assert_null(nth(files, 1, 1).p);
}

static void a_file_comes_with_what_it_imports(void **state) {
    (void)state;
    static const struct str asked[] = {STR("opentelemetry.proto.collector.trace.v1.TraceService"),
                                       STR("opentelemetry.proto.collector.trace.v1.TraceService.Export"),
                                       STR("opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest")};
    static const struct str want[] = {STR("opentelemetry/proto/collector/trace/v1/trace_service.proto"),
                                      STR("opentelemetry/proto/common/v1/common.proto"),
                                      STR("opentelemetry/proto/resource/v1/resource.proto"),
                                      STR("opentelemetry/proto/trace/v1/trace.proto")};
    for (size_t i = 0; i < LENGTH(asked); i++) {
        struct str files = nth(ask(4, asked[i]), 4, 0);
        for (size_t k = 0; k < LENGTH(want); k++) assert_true(str_equal(nth(nth(files, 1, k), 1, 0), want[k]));
        assert_null(nth(files, 1, LENGTH(want)).p);
    }
    assert_non_null(nth(ask(4, STR("opentelemetry.proto.trace.v1.Span.SpanKind")), 4, 0).p);
}

static void what_is_not_here_is_an_error_of_its_message(void **state) {
    (void)state;
    expect_error(3, STR("google/protobuf/any.proto"), GRPC_NOT_FOUND);
    expect_error(3, STR(""), GRPC_NOT_FOUND);
    expect_error(4, STR("grpc.health.v1"), GRPC_NOT_FOUND);
    expect_error(4, STR("grpc.health.v1.Health/Check"), GRPC_NOT_FOUND);
    expect_error(5, STR("\x0a\1x\x10\1"), GRPC_NOT_FOUND);
    expect_error(6, STR("opentelemetry.proto.trace.v1.Span"), GRPC_NOT_FOUND);
    expect_error(9, STR("a question of a later version"), GRPC_INVALID_ARGUMENT);
}

static void the_last_question_of_a_message_holds(void **state) {
    (void)state;
    buf_clear(&out);
    assert_true(reflect_answer(STR("\x3a\1*\x22\1x\x0a\4host"), &out));
    assert_non_null(nth(buf_str(&out), 7, 0).p);
    assert_true(str_equal(nth(buf_str(&out), 1, 0), STR("host")));
    buf_clear(&out);
    assert_true(reflect_answer(STR(""), &out)); /* asks nothing */
    assert_non_null(nth(buf_str(&out), 7, 0).p);
}

static void what_is_no_request_is_refused(void **state) {
    (void)state;
    static const struct str bad[] = {STR("\x3a"),
                                     STR("\x3a\5*"),
                                     STR("\x38\1"), /* a number where text is due */
                                     STR("\x08\1"),
                                     STR("\x3b"),
                                     STR("\x02\0"),
                                     STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"),
                                     STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")};
    for (size_t i = 0; i < LENGTH(bad); i++) assert_false(reflect_answer(bad[i], &out));
}

static void answers_stay_below_their_limit(void **state) {
    (void)state;
    size_t most = 0;
    for (size_t i = 0; i < descriptor_symbol_count; i++) most = MAX(most, ask(4, descriptor_symbols[i].name).n);
    for (size_t i = 0; i < descriptor_count; i++) most = MAX(most, ask(3, descriptors[i].name).n);
    assert_in_range(most, 4000, REFLECT_ANSWER_MAX - 2 * REFLECT_MESSAGE_MAX - 100);
}

static int begin(void **state) {
    (void)state;
    buf_init(&out, MIB);
    return 0;
}

static int end(void **state) {
    (void)state;
    buf_done(&out);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_of_grpc_is_described_and_no_other),
        cmocka_unit_test(services_are_listed),
        cmocka_unit_test(a_descriptor_says_what_its_file_says),
        cmocka_unit_test(a_file_comes_with_what_it_imports),
        cmocka_unit_test(what_is_not_here_is_an_error_of_its_message),
        cmocka_unit_test(the_last_question_of_a_message_holds),
        cmocka_unit_test(what_is_no_request_is_refused),
        cmocka_unit_test(answers_stay_below_their_limit),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
