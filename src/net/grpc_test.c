/* gRPC's own framing: messages, deadlines, statuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "net/grpc.h"

static void expect_message(struct str body, const char *encoding, enum grpc_code want, const char *want_encoding) {
    struct grpc_message m = {0};
    const char *reason = NULL;
    enum grpc_code code = grpc_read_unary(body, str_of(encoding), 100, &m, &reason);
    if (code != want) fail_msg("%zu bytes, %s: %d, not %d (%s)", body.n, encoding, code, want, reason ? reason : "");
    if (code == GRPC_OK)
        assert_true(str_equal(m.encoding, str_of(want_encoding)));
    else
        assert_non_null(reason);
}

static void messages_are_read_or_refused_by_their_prefix(void **state) {
    (void)state;
    expect_message(STR("\0\0\0\0\0"), "", GRPC_OK, "");
    expect_message(STR("\0\0\0\0\3abc"), "", GRPC_OK, "");
    expect_message(STR("\0\0\0\0\3abc"), "identity", GRPC_OK, "");
    expect_message(STR("\0\0\0\0\3abc"), "gzip", GRPC_OK, "");
    expect_message(STR("\1\0\0\0\3abc"), "GZIP", GRPC_OK, "gzip");
    expect_message(STR("\1\0\0\0\3abc"), "", GRPC_INTERNAL, "");
    expect_message(STR("\1\0\0\0\3abc"), "identity", GRPC_INTERNAL, "");
    expect_message(STR("\2\0\0\0\3abc"), "gzip", GRPC_INTERNAL, "");
    expect_message(STR("\1\0\0\0\3abc"), "snappy", GRPC_UNIMPLEMENTED, "");
    expect_message(STR("\0\0\0\0\3abc"), "zstd", GRPC_UNIMPLEMENTED, "");
    expect_message(STR(""), "", GRPC_UNIMPLEMENTED, "");
    expect_message(STR("\0\0\0\0"), "", GRPC_INTERNAL, "");
    expect_message(STR("\0\0\0\0\4abc"), "", GRPC_INTERNAL, "");
    expect_message(STR("\0\0\0\0\2abc"), "", GRPC_UNIMPLEMENTED, "");
    expect_message(STR("\0\0\0\0\1a\0\0\0\0\1b"), "", GRPC_UNIMPLEMENTED, "");
    expect_message(STR("\0\0\0\0\145abc"), "", GRPC_RESOURCE_EXHAUSTED, "");
    expect_message(STR("\0\xff\xff\xff\xff"
                       "abc"),
                   "", GRPC_RESOURCE_EXHAUSTED, "");
}

static void a_message_that_was_put_is_read(void **state) {
    (void)state;
    AUTO_BUF struct buf b;
    struct grpc_message m;
    const char *reason;
    char text[70000] = {1};
    buf_init(&b, MIB);
    grpc_put_message(&b, str_span(text, sizeof text), false);
    assert_int_equal(grpc_read_unary(buf_str(&b), STR(""), MIB, &m, &reason), GRPC_OK);
    assert_true(str_equal(m.bytes, str_span(text, sizeof text)));
}

static void content_types_are_told_apart(void **state) {
    (void)state;
    static const char *const taken[] = {"application/grpc", "APPLICATION/gRPC+PROTO", "application/grpc; charset=utf-8",
                                        "application/grpc+proto;x=y", "application/grpc "};
    static const char *const others[] = {"",
                                         "application/grp",
                                         "application/grpc-web",
                                         "application/grpc+json",
                                         "application/grpc+protos",
                                         "application/grpcx",
                                         "application/json"};
    for (size_t i = 0; i < LENGTH(taken); i++) assert_true(grpc_type_is_taken(str_of(taken[i])));
    for (size_t i = 0; i < LENGTH(others); i++) assert_false(grpc_type_is_taken(str_of(others[i])));
}

static void timeouts_have_up_to_eight_digits_and_a_unit(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } good[] = {{"1n", 1},          {"10u", 10000},          {"100m", 100000000},
                {"3S", 3000000000}, {"2M", 120000000000},    {"1H", 3600000000000},
                {"0S", 0},          {"99999999H", INT64_MAX}};
    static const char *const bad[] = {"",           "S",   "1",   "1s",  "-1S", "1.5S",
                                      "123456789S", " 1S", "1 S", "1S ", "+1S", "0x1S"};
    for (size_t i = 0; i < LENGTH(good); i++) {
        int64_t ns = -1;
        assert_true(grpc_timeout_read(str_of(good[i].text), &ns));
        assert_int_equal(ns, good[i].ns);
    }
    for (size_t i = 0; i < LENGTH(bad); i++) {
        int64_t ns = -1;
        assert_false(grpc_timeout_read(str_of(bad[i]), &ns));
        assert_int_equal(ns, -1);
    }
}

static void statuses_are_percent_encoded_and_say_when_to_retry(void **state) {
    (void)state;
    struct grpc_status s;
    grpc_status_init(&s, GRPC_OK, STR(""), 0);
    assert_int_equal(s.count, 1);
    assert_true(str_equal(s.fields[0].value, STR("0")));
    grpc_status_done(&s);
    grpc_status_init(&s, GRPC_UNAVAILABLE, STR("50% \xc3\xa9\r\n~"), 2500000000);
    grpc_status_add_encodings(&s);
    assert_int_equal(s.count, 4);
    assert_true(str_equal(s.fields[0].value, STR("14")));
    assert_true(str_equal(s.fields[1].value, STR("50%25 %C3%A9%0D%0A~")));
    /* {code: 14, message, details: [Any of RetryInfo {retry_delay {seconds: 2, nanos: 500000000}}]} as protobuf encodes it */
    assert_true(
        str_equal(s.fields[2].value,
                  STR("CA4SCTUwJSDDqQ0Kfho2Cih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgoKCAgCEIDKte4B")));
    grpc_status_done(&s);
}

static void a_long_message_is_cut(void **state) {
    (void)state;
    struct grpc_status s;
    char text[5000];
    memset(text, '\n', sizeof text);
    grpc_status_init(&s, GRPC_INTERNAL, str_span(text, sizeof text), 1);
    assert_int_equal(s.fields[1].value.n, 3 * GRPC_MESSAGE_MAX);
    assert_true(s.fields[0].value.p[0] == '1' && s.fields[0].value.p[1] == '3'); /* nothing moved */
    grpc_status_done(&s);
}

/* What one side writes the other reads; what cannot be read says nothing. */
static void a_retry_info_is_read_as_it_was_written(void **state) {
    (void)state;
    static const int64_t delays[] = {1, 999999999, 1000000000, 2500000000, 3600000000000};
    int64_t ns = 0;
    for (size_t i = 0; i < LENGTH(delays); i++) {
        struct grpc_status s;
        grpc_status_init(&s, GRPC_UNAVAILABLE, STR("busy"), delays[i]);
        assert_true(grpc_retry_read(s.fields[s.count - 1].value, &ns));
        assert_int_equal(ns, delays[i]);
        grpc_status_done(&s);
    }
    /* of grpc-js' making, padded: {code 14, message "later", details [{RetryInfo {2 s}}]} */
    assert_true(
        grpc_retry_read(STR("CA4SBWxhdGVyGjAKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SBAoCCAI="), &ns));
    assert_int_equal(ns, 2000000000);
    static const struct str bad[] = {
        STR(""), STR("CA4"), STR("!!"), STR("CA4SBWxhdGVyGjAKKHR5cGU"), STR("//////8="),
        /* another type; a negative delay */
        STR("GgwKBGEvYi5jEgQKAggC"),
        STR("GjoKKHR5cGUuZ29vZ2xlYXBpcy5jb20vZ29vZ2xlLnJwYy5SZXRyeUluZm8SDgoMCP///////////wE=")};
    for (size_t i = 0; i < LENGTH(bad); i++) assert_false(grpc_retry_read(bad[i], &ns));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read_or_refused_by_their_prefix),
        cmocka_unit_test(a_message_that_was_put_is_read),
        cmocka_unit_test(content_types_are_told_apart),
        cmocka_unit_test(timeouts_have_up_to_eight_digits_and_a_unit),
        cmocka_unit_test(statuses_are_percent_encoded_and_say_when_to_retry),
        cmocka_unit_test(a_retry_info_is_read_as_it_was_written),
        cmocka_unit_test(a_long_message_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
