/* Decoding, case by case: where each field goes, what is refused row by row, what is refused whole; and the answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/budget.h"
#include "base/json.h"
#include "signal/otlp.h"
#include "signal/testing.h"

#define TRACE "0123456789abcdef"
#define SPAN "ABCDEFGH"

/* ---- making requests: each helper wraps what `out` holds, inside out ---- */

static void wrap(struct buf *out, uint32_t field) {
    AUTO_BUF struct buf inner;
    buf_init(&inner, 64 * MIB);
    buf_add_str(&inner, buf_str(out));
    buf_clear(out);
    put_wire_bytes(out, field, buf_str(&inner));
}

/* One row in one scope in one resource. */
static void request_of(struct buf *row) {
    wrap(row, 2);
    wrap(row, 2);
    wrap(row, 1);
}

static void put_ids(struct buf *row) {
    put_wire_bytes(row, 1, STR(TRACE));
    put_wire_bytes(row, 2, STR(SPAN));
}

static void put_attribute(struct buf *out, uint32_t field, const char *key, const char *value) {
    AUTO_BUF struct buf entry;
    buf_init(&entry, MIB);
    put_wire_bytes(&entry, 1, str_of(value));
    wrap(&entry, 2);
    AUTO_BUF struct buf whole;
    buf_init(&whole, MIB);
    put_wire_bytes(&whole, 1, str_of(key));
    buf_add_str(&whole, buf_str(&entry));
    put_wire_bytes(out, field, buf_str(&whole));
}

static const struct otlp_limits limits = {.time_min = 100, .time_max = 1000, .now = 500};

static struct otlp_result decode_ok(enum signal signal, const struct buf *body, struct batch *out) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result r = {0};
    err e = otlp_decode(d, signal, buf_str(body), &limits, &r);
    if (e) fail_msg("%s", err_text(e));
    if (r.blob) batch_view(r.blob, out);
    otlp_decoder_free(d);
    return r;
}

static void fails(enum signal signal, struct str body, enum err_kind kind, const char *text) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result r = {.rows = 99};
    err e = otlp_decode(d, signal, body, &limits, &r);
    if (!e) fail_msg("decoded, but should say '%s'", text);
    if (err_kind(e) != kind || !strstr(err_text(e), text)) fail_msg("'%s' is not '%s'", err_text(e), text);
    assert_int_equal(r.rows, 99); /* untouched */
    err_free(e);
    otlp_decoder_free(d);
}

#define NEW_BUF(name)                                                                                                  \
    AUTO_BUF struct buf name;                                                                                          \
    buf_init(&name, 64 * MIB)

/* ---- where fields go ---- */

static void a_span_goes_into_its_columns(void **state) {
    (void)state;
    NEW_BUF(span);
    NEW_BUF(part);
    struct batch b;
    put_ids(&span);
    put_wire_bytes(&span, 3, STR("k=v"));
    put_wire_bytes(&span, 4, STR("PARENTID"));
    put_wire_bytes(&span, 5, STR("GET /"));
    put_wire_varint(&span, 6, 2);
    put_wire_fixed64(&span, 7, 200);
    put_wire_fixed64(&span, 8, 180); /* ends before it starts: kept */
    put_attribute(&span, 9, "http.route", "/");
    put_wire_varint(&span, 10, 3);
    put_wire_fixed64(&part, 1, 190);
    put_wire_bytes(&part, 2, STR("exception"));
    put_attribute(&part, 3, "exception.type", "E");
    put_wire_bytes(&span, 11, buf_str(&part));
    put_attribute(&span, 9, "late", "behind an event");
    buf_clear(&part);
    put_ids(&part);
    put_wire_fixed32(&part, 6, 0x101);
    put_wire_bytes(&span, 13, buf_str(&part));
    buf_clear(&part);
    put_wire_bytes(&part, 2, STR("broken"));
    put_wire_varint(&part, 3, 2);
    put_wire_bytes(&span, 15, buf_str(&part));
    put_wire_fixed32(&span, 16, 0x301);
    request_of(&span);
    struct otlp_result r = decode_ok(SIGNAL_SPANS, &span, &b);
    assert_int_equal(r.rows, 1);
    assert_memory_equal(batch_id16(&b, SET_ROWS, FIELD_TRACE_ID, 0), TRACE, 16);
    uint64_t id = batch_u64(&b, SET_ROWS, FIELD_PARENT_ID, 0);
    assert_memory_equal(&id, "PARENTID", 8);
    assert_true(str_equal(batch_text(&b, SET_ROWS, FIELD_NAME, 0), STR("GET /")));
    assert_true(str_equal(batch_text(&b, SET_ROWS, FIELD_TRACE_STATE, 0), STR("k=v")));
    assert_true(str_equal(batch_text(&b, SET_ROWS, FIELD_STATUS_MESSAGE, 0), STR("broken")));
    assert_int_equal(batch_u32(&b, SET_ROWS, FIELD_KIND, 0), 2);
    assert_int_equal(batch_u32(&b, SET_ROWS, FIELD_STATUS, 0), 2);
    assert_int_equal(batch_u32(&b, SET_ROWS, FIELD_FLAGS, 0), 0x301);
    assert_int_equal(batch_u64(&b, SET_ROWS, FIELD_TIME, 0), 200);
    assert_int_equal((int64_t)batch_u64(&b, SET_ROWS, FIELD_DURATION, 0), -20);
    assert_int_equal(batch_attributes(&b, SET_ROWS, 0).n, 2);
    assert_true(str_equal(batch_attribute_text(&b, SET_ROWS, 0, STR("late")), STR("behind an event")));
    assert_int_equal(b.set_rows[SET_EVENTS], 1);
    assert_true(str_equal(batch_attribute_text(&b, SET_EVENTS, 0, STR("exception.type")), STR("E")));
    assert_int_equal(batch_u64(&b, SET_EVENTS, FIELD_TIME, 0), 190);
    assert_int_equal(batch_u32(&b, SET_LINKS, FIELD_FLAGS, 0), 0x101);
    batch_unref(r.blob);
}

static void a_log_without_times_gets_one(void **state) {
    (void)state;
    const struct {
        uint64_t time, observed, want;
        uint32_t absent;
    } cases[] = {{300, 400, 300, 0}, {0, 400, 400, 1}, {0, 0, 500, 1}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        NEW_BUF(log);
        struct batch b;
        if (cases[i].time) put_wire_fixed64(&log, 1, cases[i].time);
        if (cases[i].observed) put_wire_fixed64(&log, 11, cases[i].observed);
        request_of(&log);
        struct otlp_result r = decode_ok(SIGNAL_LOGS, &log, &b);
        assert_int_equal(batch_u64(&b, SET_ROWS, FIELD_TIME, 0), cases[i].want);
        assert_int_equal(batch_u32(&b, SET_ROWS, FIELD_TIME_ABSENT, 0), cases[i].absent);
        assert_int_equal(batch_u64(&b, SET_ROWS, FIELD_OBSERVED, 0), cases[i].observed);
        batch_unref(r.blob);
    }
}

static void bodies_of_any_type_are_kept(void **state) {
    (void)state;
    const struct {
        struct str any;
        enum value_type type;
        const char *json;
    } cases[] = {
        {STR("\x0a\x02hi"), VALUE_STRING, "\"hi\""},
        {STR(""), VALUE_EMPTY, "null"},
        {STR("\x0a\x00"), VALUE_STRING, "\"\""},
        {STR("\x18\x07"), VALUE_ANY, "7"},
        {STR("\x10\x01"), VALUE_ANY, "true"},
        {STR("\x3a\x01\x00"), VALUE_ANY, "\"AA==\""},
        {STR("\x2a\x06\x0a\x04\x0a\x02hi"), VALUE_ANY, "[\"hi\"]"},
        {STR("\x32\x0b\x0a\x09\x0a\x03key\x12\x02\x18\x05"), VALUE_ANY, "{\"key\":5}"},
        {STR("\x0a\x02hi\x18\x07"), VALUE_ANY, "7"}, /* two members: the last one */
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        NEW_BUF(log);
        NEW_BUF(json);
        struct batch b;
        struct json_writer w;
        put_wire_fixed64(&log, 1, 300);
        put_wire_bytes(&log, 5, cases[i].any);
        request_of(&log);
        struct otlp_result r = decode_ok(SIGNAL_LOGS, &log, &b);
        enum value_type type = (enum value_type)batch_u32(&b, SET_ROWS, FIELD_BODY_TYPE, 0);
        assert_int_equal(type, cases[i].type);
        json_writer_init(&w, &json);
        value_write_json(&b, type, batch_u32(&b, SET_ROWS, FIELD_BODY, 0), &w);
        assert_string_equal(json.p, cases[i].json);
        batch_unref(r.blob);
    }
}

static void a_resource_behind_its_spans_is_theirs(void **state) {
    (void)state;
    NEW_BUF(group);
    NEW_BUF(resource);
    struct batch b;
    put_ids(&group);
    put_wire_fixed64(&group, 7, 200);
    wrap(&group, 2);
    wrap(&group, 2);
    put_wire_bytes(&group, 3, STR("https://schema"));
    put_attribute(&resource, 1, "service.name", "shop");
    put_wire_bytes(&group, 1, buf_str(&resource));
    buf_clear(&resource);
    put_attribute(&resource, 1, "host.name", "two pieces are one resource");
    put_wire_bytes(&group, 1, buf_str(&resource));
    wrap(&group, 1);
    struct otlp_result r = decode_ok(SIGNAL_SPANS, &group, &b);
    uint32_t row = batch_u32(&b, SET_ROWS, FIELD_RESOURCE, 0);
    assert_int_equal(batch_attributes(&b, SET_RESOURCES, row).n, 2);
    assert_true(str_equal(batch_attribute_text(&b, SET_RESOURCES, row, STR("service.name")), STR("shop")));
    assert_true(str_equal(batch_text(&b, SET_RESOURCES, FIELD_SCHEMA_URL, row), STR("https://schema")));
    batch_unref(r.blob);
}

static void the_last_of_a_repeated_scalar_wins(void **state) {
    (void)state;
    NEW_BUF(span);
    struct batch b;
    put_wire_bytes(&span, 1, STR("short"));
    put_ids(&span);
    put_wire_bytes(&span, 5, STR("first"));
    put_wire_bytes(&span, 5, STR(""));
    put_wire_varint(&span, 6, 3);
    put_wire_varint(&span, 6, 1);
    put_wire_fixed64(&span, 7, 200);
    request_of(&span);
    struct otlp_result r = decode_ok(SIGNAL_SPANS, &span, &b);
    assert_int_equal(batch_text(&b, SET_ROWS, FIELD_NAME, 0).n, 0);
    assert_int_equal(batch_u32(&b, SET_ROWS, FIELD_KIND, 0), 1);
    batch_unref(r.blob);
}

/* ---- refused rows ---- */

/* A span with these ids and start beside a good one: refused for `reason`, or taken if that is OTLP_REASONS. */
static void span_is(struct str trace, struct str id, struct str parent, uint64_t start, enum otlp_reason reason) {
    NEW_BUF(spans);
    NEW_BUF(bad);
    NEW_BUF(good);
    struct batch b;
    put_ids(&good);
    put_wire_fixed64(&good, 7, 300);
    put_attribute(&good, 9, "good", "one");
    put_wire_bytes(&bad, 1, trace);
    put_wire_bytes(&bad, 2, id);
    put_wire_bytes(&bad, 4, parent);
    put_wire_fixed64(&bad, 7, start);
    put_attribute(&bad, 9, "bad", "one");
    put_wire_bytes(&bad, 11, STR(""));
    put_wire_bytes(&spans, 2, buf_str(&good));
    put_wire_bytes(&spans, 2, buf_str(&bad));
    put_wire_bytes(&spans, 2, buf_str(&good));
    wrap(&spans, 2);
    wrap(&spans, 1);
    struct otlp_result r = decode_ok(SIGNAL_SPANS, &spans, &b);
    uint32_t refused = reason < OTLP_REASONS;
    assert_int_equal(r.rows, 3 - refused);
    for (uint32_t i = 0; i < OTLP_REASONS; i++) assert_int_equal(r.rejected[i], refused && i == reason);
    assert_true(str_equal(batch_attribute_text(&b, SET_ROWS, 0, STR("good")), STR("one")));
    assert_true(str_equal(batch_attribute_text(&b, SET_ROWS, 2 - refused, STR("good")), STR("one")));
    assert_int_equal(b.set_rows[SET_EVENTS], 1 - refused);
    batch_unref(r.blob);
}

static void spans_with_bad_ids_are_refused(void **state) {
    (void)state;
    const struct str trace = STR(TRACE), span = STR(SPAN), none = STR(""),
                     zeros = STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    const struct str zero8 = {zeros.p, 8}, seven = {span.p, 7}, nine = {trace.p, 9}, fifteen = {trace.p, 15};
    span_is(trace, span, none, 300, OTLP_REASONS);
    span_is(trace, span, zero8, 300, OTLP_REASONS);
    span_is(trace, span, span, 300, OTLP_REASONS);
    span_is(none, span, none, 300, OTLP_BAD_TRACE_ID);
    span_is(zeros, span, none, 300, OTLP_BAD_TRACE_ID);
    span_is(fifteen, span, none, 300, OTLP_BAD_TRACE_ID);
    span_is(trace, none, none, 300, OTLP_BAD_SPAN_ID);
    span_is(trace, zero8, none, 300, OTLP_BAD_SPAN_ID);
    span_is(trace, seven, none, 300, OTLP_BAD_SPAN_ID);
    span_is(trace, nine, none, 300, OTLP_BAD_SPAN_ID);
    span_is(trace, span, seven, 300, OTLP_BAD_SPAN_ID);
}

static void spans_outside_the_times_are_refused(void **state) {
    (void)state;
    span_is(STR(TRACE), STR(SPAN), STR(""), 100, OTLP_REASONS);
    span_is(STR(TRACE), STR(SPAN), STR(""), 1000, OTLP_REASONS);
    span_is(STR(TRACE), STR(SPAN), STR(""), 99, OTLP_TOO_OLD);
    span_is(STR(TRACE), STR(SPAN), STR(""), 0, OTLP_TOO_OLD);
    span_is(STR(TRACE), STR(SPAN), STR(""), 1001, OTLP_TOO_NEW);
    span_is(STR(TRACE), STR(SPAN), STR(""), 1ull << 63, OTLP_TOO_NEW);
}

static void a_link_with_a_bad_id_refuses_its_span(void **state) {
    (void)state;
    const struct {
        struct str trace, span;
        int reason;
    } cases[] = {
        {STR(TRACE), STR(SPAN), -1},
        {STR(""), STR(""), -1},
        {STR("short"), STR(SPAN), OTLP_BAD_TRACE_ID},
        {STR(TRACE), STR("short"), OTLP_BAD_SPAN_ID},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        NEW_BUF(span);
        NEW_BUF(link);
        struct batch b;
        put_ids(&span);
        put_wire_fixed64(&span, 7, 300);
        put_wire_bytes(&link, 1, cases[i].trace);
        put_wire_bytes(&link, 2, cases[i].span);
        put_wire_bytes(&span, 13, buf_str(&link));
        request_of(&span);
        struct otlp_result r = decode_ok(SIGNAL_SPANS, &span, &b);
        assert_int_equal(r.rows, cases[i].reason < 0);
        if (cases[i].reason >= 0)
            assert_int_equal(r.rejected[cases[i].reason], 1);
        else
            batch_unref(r.blob);
        if (cases[i].reason >= 0) assert_null(r.blob);
    }
}

static void logs_need_no_ids_but_refuse_wrong_ones(void **state) {
    (void)state;
    const struct {
        struct str trace, span;
        int reason;
    } cases[] = {
        {STR(""), STR(""), -1},
        {STR(TRACE), STR(SPAN), -1},
        {STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), STR("\0\0\0\0\0\0\0\0"), -1},
        {STR("0123"), STR(""), OTLP_BAD_TRACE_ID},
        {STR(TRACE), STR("0123"), OTLP_BAD_SPAN_ID},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        NEW_BUF(log);
        struct batch b;
        put_wire_fixed64(&log, 1, 300);
        put_wire_bytes(&log, 9, cases[i].trace);
        put_wire_bytes(&log, 10, cases[i].span);
        request_of(&log);
        struct otlp_result r = decode_ok(SIGNAL_LOGS, &log, &b);
        assert_int_equal(r.rows, cases[i].reason < 0);
        if (cases[i].reason >= 0) assert_int_equal(r.rejected[cases[i].reason], 1);
        batch_unref(r.blob);
    }
}

static void a_row_may_have_16384_attributes(void **state) {
    (void)state;
    for (uint32_t extra = 0; extra < 2; extra++) {
        NEW_BUF(span);
        struct batch b;
        char key[24];
        put_ids(&span);
        put_wire_fixed64(&span, 7, 300);
        for (uint32_t i = 0; i < 16384 + extra; i++) {
            snprintf(key, sizeof key, "key.%u", i % 6000); /* more names than a decoder remembers */
            put_attribute(&span, 9, key, "v");
        }
        request_of(&span);
        struct otlp_result r = decode_ok(SIGNAL_SPANS, &span, &b);
        assert_int_equal(r.rows, 1 - extra);
        assert_int_equal(r.rejected[OTLP_TOO_MANY], extra);
        if (!extra) assert_int_equal(batch_attributes(&b, SET_ROWS, 0).n, 16384);
        batch_unref(r.blob);
    }
}

static void text_that_is_not_utf8_is_kept_and_counted(void **state) {
    (void)state;
    NEW_BUF(span);
    struct batch b;
    put_ids(&span);
    put_wire_fixed64(&span, 7, 300);
    put_wire_bytes(&span, 5, STR("caf\xe9"));
    put_attribute(&span, 9, "caf\xc3\xa9", "long enough for the fast path \xc3\x28");
    put_attribute(&span, 9, "bad\xff", "fine");
    request_of(&span);
    struct otlp_result r = decode_ok(SIGNAL_SPANS, &span, &b);
    assert_int_equal(r.invalid_utf8, 3);
    assert_true(str_equal(batch_text(&b, SET_ROWS, FIELD_NAME, 0), STR("caf\xe9")));
    batch_unref(r.blob);
}

static void an_empty_request_is_a_success(void **state) {
    (void)state;
    static const struct str bodies[] = {STR(""), STR("\x0a\x00"), STR("\x0a\x04\x12\x02\x0a\x00"), STR("\x7a\x03xyz")};
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        NEW_BUF(body);
        struct batch b;
        buf_add_str(&body, bodies[i]);
        struct otlp_result r = decode_ok(SIGNAL_LOGS, &body, &b);
        assert_true(r.rows == 0 && !r.blob);
    }
}

static void groups_without_rows_leave_nothing(void **state) {
    (void)state;
    NEW_BUF(body);
    NEW_BUF(log);
    struct batch b;
    put_wire_fixed64(&log, 1, 300);
    request_of(&log);
    for (int i = 0; i < 50; i++) put_wire_bytes(&body, 1, STR("\x0a\x0c\x0a\x0a\x0a\x01k\x12\x05\x0a\x03xyz\x12\x00"));
    buf_add_str(&body, buf_str(&log));
    struct otlp_result r = decode_ok(SIGNAL_LOGS, &body, &b);
    assert_int_equal(b.set_rows[SET_RESOURCES], 1);
    assert_int_equal(b.set_rows[SET_SCOPES], 1);
    assert_int_equal(b.slot_count, 0);
    batch_unref(r.blob);
}

/* ---- refused whole ---- */

static void garbage_is_an_error_with_its_place(void **state) {
    (void)state;
    const struct {
        struct str body;
        const char *text;
    } cases[] = {
        {STR("\x0a"), "at byte 1 of 1"},                                        /* no length */
        {STR("\x0a\x05hi"), "at byte 1 of 4"},                                  /* cut */
        {STR("\x00\x01"), "at byte 0"},                                         /* field number 0 */
        {STR("\x0b\x0c"), "at byte 1 of 2"},                                    /* a group begins */
        {STR("\x0c"), "at byte 1 of 1"},                                        /* a group ends */
        {STR("\x0e"), "at byte 1 of 1"},                                        /* wire type 6 */
        {STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "at byte 1"}, /* 11 bytes of varint */
        {STR("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "at byte 1"},     /* 65 bits */
        {STR("\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), "at byte 1"},     /* 2^63 bytes */
        {STR("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "at byte 1"},     /* 2^64 - 1 */
        {STR("\xfa\xff\xff\xff\xff\x7f\x00"), "at byte 0"},                     /* a tag over 32 bits */
        {STR("\x0a\x02\x12\x05"), "at byte 3 of 4"},                            /* a scope longer than its group */
        {STR("{\"resourceSpans\":[]}"), "not a valid protobuf message, at byte"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        fails(SIGNAL_SPANS, cases[i].body, ERR_INVALID, cases[i].text);
        fails(SIGNAL_LOGS, cases[i].body, ERR_INVALID, cases[i].text);
    }
}

/* A log record whose body is an array in an array …, `levels` messages deep. */
static void nested_body(struct buf *log, int levels) {
    for (int i = 0; i < levels - 1; i++) {
        wrap(log, 1);
        wrap(log, 5);
    }
    wrap(log, 5);
    put_wire_fixed64(log, 1, 300);
    request_of(log);
}

static void values_nest_64_deep(void **state) {
    (void)state;
    NEW_BUF(deep);
    NEW_BUF(deeper);
    NEW_BUF(json);
    struct batch b;
    struct json_writer w;
    nested_body(&deep, 64);
    struct otlp_result r = decode_ok(SIGNAL_LOGS, &deep, &b);
    assert_int_equal(r.rows, 1);
    json_writer_init(&w, &json);
    otlp_write_json(&b, &w); /* four levels of JSON for each */
    assert_true(json.n > 64 * 20 && w.depth == 0);
    batch_unref(r.blob);
    nested_body(&deeper, 65);
    fails(SIGNAL_LOGS, buf_str(&deeper), ERR_LIMIT, "nested deeper than 64, at byte");
    buf_clear(&deeper);
    nested_body(&deeper, 5000);
    fails(SIGNAL_LOGS, buf_str(&deeper), ERR_LIMIT, "nested deeper than 64, at byte");
}

static void a_string_over_16_mib_is_over_the_limit(void **state) {
    (void)state;
    NEW_BUF(log);
    size_t n = 16 * MIB + 1;
    AUTO_FREE char *big = mem_new(n);
    memset(big, 'x', n);
    put_wire_bytes(&log, 1, str_span(big, n));
    wrap(&log, 5);
    request_of(&log);
    fails(SIGNAL_LOGS, buf_str(&log), ERR_LIMIT, "a string over 16 MiB, at byte");
}

static void over_a_million_rows_is_over_the_limit(void **state) {
    (void)state;
    NEW_BUF(logs);
    for (uint32_t i = 0; i <= 1u << 20; i++) put_wire_bytes(&logs, 2, STR(""));
    wrap(&logs, 2);
    wrap(&logs, 1);
    fails(SIGNAL_LOGS, buf_str(&logs), ERR_LIMIT, "over 2^20 rows");
}

/* Texts that cancel the hash's own constant: without a secret they share one place of every table, and 50,000 of them would
 * take seconds here, a larger request hours. */
static void texts_made_to_collide_do_not(void **state) {
    (void)state;
    NEW_BUF(logs);
    uint64_t text[2] = {0, 0xe7037ed1a0b428dbu};
    for (; text[0] < 50000; text[0]++) {
        char log[20] = "\x2a\x12\x0a\x10";
        memcpy(log + 4, text, 16);
        put_wire_bytes(&logs, 2, str_span(log, sizeof log));
    }
    wrap(&logs, 2);
    wrap(&logs, 1);
    struct batch b;
    struct otlp_result r = decode_ok(SIGNAL_LOGS, &logs, &b);
    assert_int_equal(r.rows, 50000);
    batch_unref(r.blob);
}

/* Events of two bytes each become rows of twenty. */
static void columns_that_outgrow_their_body_draw_from_the_budget(void **state) {
    (void)state;
    NEW_BUF(span);
    put_ids(&span);
    put_wire_fixed64(&span, 7, 500);
    put_wire_bytes(&span, 11,
                   STR("\x09"
                       "12345678")); /* a time, so that there is a column */
    for (uint32_t i = 0; i < 1u << 18; i++) put_wire_bytes(&span, 11, STR(""));
    request_of(&span);
    struct budget budget;
    struct otlp_limits drawing = limits;
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result r = {.rows = 99};
    drawing.budget = &budget;
    drawing.granted_bytes = 2 * span.n;
    budget_init(&budget, MIB);
    err e = otlp_decode(d, SIGNAL_SPANS, buf_str(&span), &drawing, &r);
    assert_true(e && err_kind(e) == ERR_BUSY && r.rows == 99);
    err_free(e);
    assert_int_equal(budget_used(&budget), 0);
    budget_init(&budget, 64 * MIB);
    assert_null(otlp_decode(d, SIGNAL_SPANS, buf_str(&span), &drawing, &r));
    assert_int_equal(r.rows, 1);
    assert_int_equal(budget_used(&budget), 0);
    assert_true(atomic_load(&budget.peak_bytes) > MIB);
    batch_unref(r.blob);
    for (int round = 0; round < 2; round++) { /* columns that are warm grow no more, and are drawn for all the same */
        budget_init(&budget, 64 * MIB);
        assert_null(otlp_decode(d, SIGNAL_SPANS, buf_str(&span), &drawing, &r));
        assert_true(atomic_load(&budget.peak_bytes) > MIB && budget_used(&budget) == 0);
        batch_unref(r.blob);
        budget_init(&budget, MIB);
        e = otlp_decode(d, SIGNAL_SPANS, buf_str(&span), &drawing, &r);
        assert_true(e && err_kind(e) == ERR_BUSY && budget_used(&budget) == 0);
        err_free(e);
    }
    otlp_decoder_free(d);
}

/* ---- answers ---- */

static void answers_are_protobuf(void **state) {
    (void)state;
    NEW_BUF(out);
    otlp_write_response(SIGNAL_SPANS, 0, STR(""), &out);
    assert_int_equal(out.n, 0);
    otlp_write_response(SIGNAL_LOGS, 300, STR("too old"), &out);
    assert_true(str_equal(buf_str(&out), STR("\x0a\x0c\x08\xac\x02\x12\x07too old")));
    uint64_t rejected = 7;
    struct str message;
    assert_true(otlp_read_response(buf_str(&out), &rejected, &message));
    assert_true(rejected == 300 && str_equal(message, STR("too old")));
    for (size_t n = 1; n < out.n; n++) assert_false(otlp_read_response((struct str){out.p, n}, &rejected, &message));
    assert_true(otlp_read_response(STR(""), &rejected, &message));
    assert_true(rejected == 0 && message.n == 0);
    buf_clear(&out);
    otlp_write_status(3, STR("bad"), &out);
    assert_true(str_equal(buf_str(&out), STR("\x08\x03\x12\x03"
                                             "bad")));
    buf_clear(&out);
    otlp_put_any_string(&out, STR(""));
    otlp_put_any_int(&out, -1);
    assert_true(str_equal(buf_str(&out), STR("\x0a\x00\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")));
}

static void every_reason_has_a_text(void **state) {
    (void)state;
    for (int i = 0; i < OTLP_REASONS; i++) assert_non_null(otlp_reason_texts[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_goes_into_its_columns),
        cmocka_unit_test(a_log_without_times_gets_one),
        cmocka_unit_test(bodies_of_any_type_are_kept),
        cmocka_unit_test(a_resource_behind_its_spans_is_theirs),
        cmocka_unit_test(the_last_of_a_repeated_scalar_wins),
        cmocka_unit_test(spans_with_bad_ids_are_refused),
        cmocka_unit_test(spans_outside_the_times_are_refused),
        cmocka_unit_test(a_link_with_a_bad_id_refuses_its_span),
        cmocka_unit_test(logs_need_no_ids_but_refuse_wrong_ones),
        cmocka_unit_test(a_row_may_have_16384_attributes),
        cmocka_unit_test(text_that_is_not_utf8_is_kept_and_counted),
        cmocka_unit_test(an_empty_request_is_a_success),
        cmocka_unit_test(groups_without_rows_leave_nothing),
        cmocka_unit_test(garbage_is_an_error_with_its_place),
        cmocka_unit_test(values_nest_64_deep),
        cmocka_unit_test(a_string_over_16_mib_is_over_the_limit),
        cmocka_unit_test(over_a_million_rows_is_over_the_limit),
        cmocka_unit_test(texts_made_to_collide_do_not),
        cmocka_unit_test(columns_that_outgrow_their_body_draw_from_the_budget),
        cmocka_unit_test(answers_are_protobuf),
        cmocka_unit_test(every_reason_has_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
