/* Nested values: what a message says, what is refused and where, and every value as JSON and text, at its edges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "signal/any_priv.h"
#include "base/json.h"
#include "signal/otlp.h"
#include "signal/testing.h"

/* ---- messages ----------------------------------------------------------------------------------------------------- */

/* One AnyValue message as JSON; NULL: refused by the check. */
static void any_is(struct str message, const char *want) {
    AUTO_FREE char *exact = mem_new(message.n ? message.n : 1);
    struct any_check c = {0};
    if (message.n) memcpy(exact, message.p, message.n);
    enum any_fault fault = any_check(wire_of(str_span(exact, message.n)), &c);
    if (!want) {
        if (fault == ANY_OK) fail_msg("%zu bytes from %02x on were taken", message.n, (unsigned char)message.p[0]);
        assert_true(c.at >= (unsigned char *)exact && c.at <= (unsigned char *)exact + message.n);
        return;
    }
    assert_int_equal(fault, ANY_OK);
    struct batch_builder builder;
    struct batch b;
    AUTO_BUF struct buf json;
    struct json_writer w;
    buf_init(&json, MIB);
    batch_builder_init(&builder, SIGNAL_LOGS);
    uint32_t id = strings_append(&builder.strings, str_span(exact, message.n));
    struct batch_blob *blob = batch_builder_finish(&builder);
    batch_view(blob, &b);
    json_writer_init(&w, &json);
    value_write_json(&b, VALUE_ANY, id, &w);
    assert_string_equal(json.p, want);
    assert_int_equal(w.depth, 0);
    batch_unref(blob);
    batch_builder_done(&builder);
}
#define ANY(bytes, want) any_is(STR(bytes), want)

static void every_kind_of_value_is_read(void **state) {
    (void)state;
    ANY("", "null");
    ANY("\x0a\x00", "\"\"");
    ANY("\x0a\x01x", "\"x\"");
    ANY("\x0a\x02\xc3\xa9", "\"\xc3\xa9\"");
    ANY("\x0a\x01\xff", "\"\xef\xbf\xbd\"");
    ANY("\x0a\x02\x00\"", "\"\\u0000\\\"\"");
    ANY("\x10\x00", "false");
    ANY("\x10\x01", "true");
    ANY("\x10\x02", "true"); /* any number but 0 */
    ANY("\x18\x00", "0");
    ANY("\x18\x7f", "127");
    ANY("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "-1");
    ANY("\x18\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "9223372036854775807");
    ANY("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", "-9223372036854775808");
    ANY("\x21\x00\x00\x00\x00\x00\x00\xe0\x3f", "0.5");
    ANY("\x21\x00\x00\x00\x00\x00\x00\x00\x80", "-0");
    ANY("\x21\x00\x00\x00\x00\x00\x00\xf8\x7f", "\"NaN\"");
    ANY("\x21\x00\x00\x00\x00\x00\x00\xf0\x7f", "\"Infinity\"");
    ANY("\x21\x00\x00\x00\x00\x00\x00\xf0\xff", "\"-Infinity\"");
    ANY("\x3a\x00", "\"\"");
    ANY("\x3a\x01\x00", "\"AA==\"");
    ANY("\x3a\x02\xff\xff", "\"//8=\"");
    ANY("\x3a\x03"
        "abc",
        "\"YWJj\"");
    ANY("\x2a\x00", "[]");
    ANY("\x2a\x02\x0a\x00", "[null]");
    ANY("\x2a\x04\x0a\x02\x18\x05", "[5]");
    ANY("\x2a\x08\x0a\x02\x18\x05\x0a\x02\x10\x01", "[5,true]");
    ANY("\x32\x00", "{}");
    ANY("\x32\x02\x0a\x00", "{\"\":null}");
    ANY("\x32\x05\x0a\x03\x0a\x01k", "{\"k\":null}");
    ANY("\x32\x09\x0a\x07\x0a\x01k\x12\x02\x18\x05", "{\"k\":5}");
    ANY("\x32\x09\x0a\x07\x12\x02\x18\x05\x0a\x01k", "{\"k\":5}"); /* value before key */
    ANY("\x32\x14\x0a\x07\x0a\x01k\x12\x02\x18\x05\x0a\x09\x0a\x01k\x12\x04\x0a\x02hi",
        "{\"k\":5,\"k\":\"hi\"}"); /* kept as sent */
}

static void the_last_of_several_wins(void **state) {
    (void)state;
    ANY("\x18\x05\x18\x06", "6");
    ANY("\x18\x05\x0a\x01x", "\"x\"");
    ANY("\x2a\x02\x0a\x00\x18\x07", "7");
    ANY("\x18\x07\x2a\x00", "[]");
    ANY("\x32\x0d\x0a\x0b\x0a\x01k\x12\x02\x18\x05\x12\x02\x18\x06", "{\"k\":6}");
    ANY("\x32\x08\x0a\x06\x0a\x01k\x0a\x01l", "{\"l\":null}");
}

/* Fields that are not known, of every wire type, and known ones of another type, are passed over. */
static void unknown_fields_are_passed(void **state) {
    (void)state;
    ANY("\x40\x05\x18\x07", "7");                             /* field 8, varint */
    ANY("\x41\x01\x02\x03\x04\x05\x06\x07\x08\x18\x07", "7"); /* fixed64 */
    ANY("\x42\x02zz\x18\x07", "7");                           /* bytes */
    ANY("\x45\x01\x02\x03\x04\x18\x07", "7");                 /* fixed32 */
    ANY("\xf8\xff\xff\xff\x0f\x01\x18\x07", "7");             /* the highest number a field has */
    ANY("\x08\x05\x18\x07", "7");                             /* string_value as a varint */
    ANY("\x1a\x01x\x18\x07", "7");                            /* int_value as bytes */
    ANY("\x2a\x07\x10\x01\x0a\x00\x12\x01z", "[null]");       /* within an array */
}

static void what_is_no_message_is_refused(void **state) {
    (void)state;
    ANY("\x0a", NULL);
    ANY("\x0a\x02x", NULL);
    ANY("\x18", NULL);
    ANY("\x18\x80", NULL);
    ANY("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", NULL); /* over 64 bits */
    ANY("\x18\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", NULL);
    ANY("\x21\x00\x00\x00\x00\x00\x00\x00", NULL);
    ANY("\x00\x01", NULL); /* field 0 */
    ANY("\x0b", NULL);     /* groups */
    ANY("\x0c", NULL);
    ANY("\x0e", NULL); /* wire types that are none */
    ANY("\x0f", NULL);
    ANY("\xff\xff\xff\xff\x1f\x01", NULL); /* a tag over 32 bits */
    ANY("\x2a\x01\x0a", NULL);
    ANY("\x2a\x03\x0a\x02\x18", NULL);
    ANY("\x2a\x04\x0a\x02\x18\x80", NULL);
    ANY("\x32\x03\x0a\x01\x0a", NULL);
    ANY("\x32\x06\x0a\x04\x12\x02\x18\x80", NULL);
    ANY("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", NULL); /* a length of 2^64 - 1 */
    ANY("\x0a\x80\x80\x80\x80\x08", NULL);
}

/* ---- depth -------------------------------------------------------------------------------------------------------- */

static void nest(struct buf *out, int levels, bool map) {
    buf_clear(out);
    for (int i = 0; i < levels; i++) {
        AUTO_BUF struct buf inner, entry;
        buf_init(&inner, MIB);
        buf_init(&entry, MIB);
        put_wire_bytes(&entry, map ? 2 : 1, buf_str(out));
        if (map) put_wire_bytes(&inner, 1, buf_str(&entry));
        buf_clear(out);
        put_wire_bytes(out, map ? 6 : 5, buf_str(map ? &inner : &entry));
    }
}

static void values_nest_64_deep_and_no_deeper(void **state) {
    (void)state;
    for (int map = 0; map < 2; map++)
        for (int levels = 0; levels < 70; levels++) {
            AUTO_BUF struct buf b;
            struct any_check c = {0};
            buf_init(&b, MIB);
            nest(&b, levels, map);
            assert_int_equal(any_check(wire_of(buf_str(&b)), &c), levels + 1 > ANY_DEPTH_MAX ? ANY_TOO_DEEP : ANY_OK);
        }
}

/* ---- any bytes ---------------------------------------------------------------------------------------------------- */

static void check_and_write(struct str message, uint32_t *opened, uint32_t *refused) {
    AUTO_FREE char *exact = mem_new(message.n ? message.n : 1);
    struct any_check c = {0};
    if (message.n) memcpy(exact, message.p, message.n);
    bool ok = any_check(wire_of(str_span(exact, message.n)), &c) == ANY_OK;
    *(ok ? opened : refused) += 1;
    if (!ok) return;
    uint32_t end[2] = {0, (uint32_t)message.n};
    struct batch b = {.string_count = 2, .string_end = end, .heap = exact};
    AUTO_BUF struct buf json;
    struct json_writer w;
    struct json_reader r;
    enum json_token t;
    buf_init(&json, 4 * MIB);
    json_writer_init(&w, &json);
    value_write_json(&b, VALUE_ANY, 1, &w);
    json_reader_init(&r, buf_str(&json), JSON_DEPTH_MAX);
    while ((t = json_next(&r)) != JSON_END && t != JSON_ERROR) {}
    assert_int_equal(t, JSON_END); /* what passes the check is JSON, whole */
    json_reader_done(&r);
}

static void cut_and_changed_messages_are_refused_or_whole(void **state) {
    (void)state;
    uint32_t opened = 0, refused = 0;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct chance c = {seed};
        AUTO_BUF struct buf b;
        buf_init(&b, MIB);
        while (b.n < 30) random_any(&c, 4, &b);
        size_t size = MIN(b.n, (size_t)200);
        for (size_t n = 0; n <= size; n++) check_and_write(str_span(b.p, n), &opened, &refused);
        for (size_t at = 0; at < size; at++)
            for (int flip = 1; flip < 256; flip = flip * 5 + 2) {
                b.p[at] = (char)(b.p[at] ^ flip);
                check_and_write(buf_str(&b), &opened, &refused);
                b.p[at] = (char)(b.p[at] ^ flip);
            }
    }
    assert_true(opened > 1000 && refused > 1000);
}

static void text_that_is_not_utf8_is_counted(void **state) {
    (void)state;
    static const struct {
        struct str message;
        uint32_t invalid;
    } cases[] = {
        {{"\x0a\x01x", 3}, 0},
        {{"\x0a\x01\xff", 3}, 1},
        {{"\x3a\x01\xff", 3}, 0}, /* bytes may be anything */
        {{"\x2a\x0a\x0a\x03\x0a\x01\xff\x0a\x03\x0a\x01\xfe", 12}, 2},
        {{"\x32\x0a\x0a\x08\x0a\x01\xff\x12\x03\x0a\x01\xfe", 12}, 2}, /* key and value */
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct any_check c = {0};
        assert_int_equal(any_check(wire_of(cases[i].message), &c), ANY_OK);
        assert_int_equal(c.invalid_utf8, cases[i].invalid);
    }
    for (size_t at = 0; at < 20; at++) { /* wherever the byte stands among eight at a time */
        unsigned char text[20];
        memset(text, 'a', sizeof text);
        assert_true(any_utf8_is_valid(text, sizeof text));
        text[at] = 0x80;
        assert_false(any_utf8_is_valid(text, sizeof text));
        assert_true(any_utf8_is_valid(text, at));
    }
}

/* ---- attribute values --------------------------------------------------------------------------------------------- */

static uint64_t bits_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* As text and as JSON; strings by their bytes. */
static void value_is(enum value_type type, uint64_t value, struct str bytes, const char *text, const char *json) {
    uint32_t end[2] = {0, (uint32_t)bytes.n};
    struct batch b = {.string_count = 2, .string_end = end, .heap = bytes.p ? bytes.p : ""};
    AUTO_BUF struct buf out, written;
    struct json_writer w;
    buf_init(&out, KIB);
    buf_init(&written, KIB);
    buf_add_text(&out, "");
    if (bytes.p) value = 1;
    value_write_text(&b, type, value, &out);
    json_writer_init(&w, &written);
    value_write_json(&b, type, value, &w);
    assert_true(str_equal(buf_str(&out), str_of(text)));
    assert_string_equal(written.p, json);
}

static void values_at_their_edges_have_a_text(void **state) {
    (void)state;
    static const struct {
        uint64_t v;
        const char *text;
    } ints[] = {
        {0, "0"}, {(uint64_t)-1, "-1"}, {INT64_MAX, "9223372036854775807"}, {1ull << 63, "-9223372036854775808"}};
    for (size_t i = 0; i < LENGTH(ints); i++)
        value_is(VALUE_INT, ints[i].v, (struct str){0}, ints[i].text, ints[i].text);
    static const struct {
        double v;
        const char *text, *json;
    } doubles[] = {{0, "0", "0"},
                   {-0.0, "-0", "-0"},
                   {1, "1", "1"},
                   {0.1, "0.1", "0.1"},
                   {1e21, "1e+21", "1e+21"},
                   {5e-324, "5e-324", "5e-324"},
                   {1.7976931348623157e308, "1.7976931348623157e+308", "1.7976931348623157e+308"},
                   {NAN, "NaN", "\"NaN\""},
                   {INFINITY, "+Inf", "\"Infinity\""},
                   {-INFINITY, "-Inf", "\"-Infinity\""}};
    for (size_t i = 0; i < LENGTH(doubles); i++)
        value_is(VALUE_DOUBLE, bits_of(doubles[i].v), (struct str){0}, doubles[i].text, doubles[i].json);
    value_is(VALUE_BOOL, 0, (struct str){0}, "false", "false");
    value_is(VALUE_BOOL, 1, (struct str){0}, "true", "true");
    value_is(VALUE_EMPTY, 0, (struct str){0}, "", "null");
    value_is(VALUE_EMPTY, 99, (struct str){0}, "", "null"); /* its slot means nothing */
    value_is(VALUE_STRING, 0, STR(""), "", "\"\"");
    value_is(VALUE_STRING, 0, STR("</a>"), "</a>", "\"<\\/a>\"");
    value_is(VALUE_STRING, 0, STR("\xff"), "\xff", "\"\xef\xbf\xbd\"");
    value_is(VALUE_BYTES, 0, STR(""), "", "\"\"");
    value_is(VALUE_BYTES, 0, STR("a"), "YQ==", "\"YQ==\"");
    value_is(VALUE_BYTES, 0, STR("ab"), "YWI=", "\"YWI=\"");
    value_is(VALUE_BYTES, 0, STR("abc"), "YWJj", "\"YWJj\"");
    value_is(VALUE_ANY, 0, STR("\x2a\x00"), "[]", "[]");
    value_is(VALUE_ANY, 0, STR(""), "null", "null");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(the_last_of_several_wins),
        cmocka_unit_test(unknown_fields_are_passed),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(values_nest_64_deep_and_no_deeper),
        cmocka_unit_test(cut_and_changed_messages_are_refused_or_whole),
        cmocka_unit_test(text_that_is_not_utf8_is_counted),
        cmocka_unit_test(values_at_their_edges_have_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
