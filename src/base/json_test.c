/* The JSON reader and writer. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"

/* ---- writer ----------------------------------------------------------------------------------------------------- */

/* What a lone string is written as. */
static void string_is(const char *expected, struct str s) {
    AUTO_BUF struct buf b = {.max = 1 << 20};
    struct json_writer w;
    json_writer_init(&w, &b);
    json_str(&w, s);
    assert_string_equal(b.p, expected);
}

static void strings_are_escaped(void **state) {
    (void)state;
    string_is("\"\"", STR(""));
    string_is("\"plain text, longer than eight bytes\"", STR("plain text, longer than eight bytes"));
    string_is("\"a\\\"b\\\\c\\nd\\te\\rf\\bg\\fh\"", STR("a\"b\\c\nd\te\rf\bg\fh"));
    string_is("\"\\u0000\\u001f\x7f\"", STR("\0\x1f\x7f"));
    string_is("\"<b><\\/script>a/b<\"", STR("<b></script>a/b<"));
    string_is("\"<\\/\"", STR("</"));
    string_is("\"grün 中 💡 and plain text after\"", STR("grün 中 💡 and plain text after"));
    string_is("\"\xef\xbf\xbd"
              "a\xef\xbf\xbd\"",
              STR("\xff"
                  "a\xe4\xb8"));
    string_is("\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"", STR("\xed\xa0\x80"));
}

static void structure_gets_its_commas(void **state) {
    (void)state;
    AUTO_BUF struct buf b = {.max = 1 << 20};
    struct json_writer w;
    json_writer_init(&w, &b);
    json_object(&w);
    json_member(&w, "a", u64, 1);
    json_key(&w, STR("b"));
    json_array(&w);
    json_i64(&w, -1);
    json_object(&w);
    json_object_end(&w);
    json_array(&w);
    json_array_end(&w);
    json_bool(&w, true);
    json_null(&w);
    json_array_end(&w);
    json_member(&w, "c", text, "x");
    json_member(&w, "d", hex, "\x01\xfe", 2);
    json_member(&w, "e", base64, "hi", 2);
    json_member(&w, "f", time, 1500000000);
    json_member(&w, "g", u64_text, UINT64_MAX);
    json_member(&w, "h", bool, false);
    json_object_end(&w);
    assert_string_equal(b.p, "{\"a\":1,\"b\":[-1,{},[],true,null],\"c\":\"x\",\"d\":\"01fe\",\"e\":\"aGk=\","
                             "\"f\":\"1970-01-01T00:00:01.500Z\",\"g\":\"18446744073709551615\",\"h\":false}");
}

static void doubles_that_json_cannot_say_are_strings(void **state) {
    (void)state;
    AUTO_BUF struct buf b = {.max = 1 << 20};
    struct json_writer w;
    json_writer_init(&w, &b);
    json_array(&w);
    json_f64(&w, NAN);
    json_f64(&w, INFINITY);
    json_f64(&w, -INFINITY);
    json_f64(&w, 0.1);
    json_f64(&w, -0.0);
    json_f64(&w, 1e300);
    json_array_end(&w);
    assert_string_equal(b.p, "[\"NaN\",\"Infinity\",\"-Infinity\",0.1,-0,1e+300]");
}

static void a_full_buffer_stays_within_its_maximum(void **state) {
    (void)state;
    const char *whole = "{\"key\":\"a value with \\\"quotes\\\"\",\"id\":\"3132333435363738\"}";
    for (size_t max = 0; max < strlen(whole) + 3; max++) {
        AUTO_BUF struct buf b = {.max = max};
        struct json_writer w;
        json_writer_init(&w, &b);
        json_object(&w);
        json_member(&w, "key", text, "a value with \"quotes\"");
        json_member(&w, "id", hex, "12345678", 8);
        json_object_end(&w);
        assert_true(b.n <= max);
        assert_int_equal(b.full, max < strlen(whole));
        if (!b.full) assert_string_equal(b.p, whole);
    }
}

static void a_value_in_an_object_needs_a_key(void **state) {
    (void)state;
    AUTO_BUF struct buf b = {.max = 100};
    struct json_writer w;
    json_writer_init(&w, &b);
    json_object(&w);
    json_key(&w, STR("k"));
    assert_true(w.after_key);
    json_null(&w);
    assert_false(w.after_key);
}

/* ---- reader ----------------------------------------------------------------------------------------------------- */

/* Writes what the reader sees: { } [ ] K(name) S(text) N(text) t f n, then $ at the end or !what@byte. */
static void trace(struct buf *out, struct str text, int depth_max) {
    static const char one[] = {'$', '!', '{', '}', '[', ']', 'K', 'S', 'N', 't', 'f', 'n'};
    struct json_reader r;
    json_reader_init(&r, text, depth_max);
    for (enum json_token t = JSON_OBJECT; t != JSON_END && t != JSON_ERROR;) {
        t = json_next(&r);
        buf_add_byte(out, one[t]);
        if (t == JSON_KEY || t == JSON_STRING || t == JSON_NUMBER) buf_add_fmt(out, "(" STR_FMT ")", STR_ARG(r.value));
    }
    err e = json_reader_err(&r);
    if (e) buf_add_text(out, err_text(e));
    err_free(e);
    json_reader_done(&r);
}

static void reads_as(const char *text, const char *expected) {
    size_t n = strlen(text);
    char *exact = malloc(n ? n : 1); /* so that ASan sees a byte too far */
    memcpy(exact, text, n);
    AUTO_BUF struct buf out = {.max = 1 << 20};
    trace(&out, str_span(exact, n), 4);
    free(exact);
    assert_string_equal(out.p, expected);
}

static void values_are_read(void **state) {
    (void)state;
    reads_as("{}", "{}$");
    reads_as(" [ ] ", "[]$");
    reads_as("{\"a\":1,\"b\":[true,false,null,\"x\"]}", "{K(a)N(1)K(b)[tfnS(x)]}$");
    reads_as("\t\r\n-12.5e+3 ", "N(-12.5e+3)$");
    reads_as("\"\"", "S()$");
    reads_as("[0,-0,0.5,1E9,10]", "[N(0)N(-0)N(0.5)N(1E9)N(10)]$");
    reads_as("{\"\":{\"a\":{}}}", "{K(){K(a){}}}$");
    reads_as("[[[[]]]]", "[[[[]]]]$");
}

static void escapes_are_undone(void **state) {
    (void)state;
    reads_as("\"a\\\"b\\\\c\\/d\\n\\t\\r\\b\\f\"", "S(a\"b\\c/d\n\t\r\b\f)$");
    reads_as("\"\\u00e9\\u4E2d\\ud83d\\udca1\"", "S(é中💡)$");
    reads_as("{\"k\\u0031\":\"v\"}", "{K(k1)S(v)}$");
    reads_as("\"plain then \\n escape then plain\"", "S(plain then \n escape then plain)$");
    reads_as("[\"a\\nb\",\"c\",\"\\nd\"]", "[S(a\nb)S(c)S(\nd)]$");
}

static void mistakes_are_named_with_their_place(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "!the text ends too early, at byte 0"},
        {"  ", "!the text ends too early, at byte 2"},
        {"[1,]", "[N(1)!not a value, at byte 3"},
        {"[1 2]", "[N(1)!a comma is missing, at byte 3"},
        {"[1", "[N(1)!the text ends too early, at byte 2"},
        {"{\"a\" 1}", "{!a colon is missing, at byte 5"},
        {"{\"a\":}", "{K(a)!not a value, at byte 5"},
        {"{a:1}", "{!a key is missing, at byte 1"},
        {"{\"a\":1,}", "{K(a)N(1)!a key is missing, at byte 7"},
        {"{,}", "{!a key is missing, at byte 1"},
        {"[}", "[!not a value, at byte 1"},
        {"{]", "{!a key is missing, at byte 1"},
        {"[1}", "[N(1)!a comma is missing, at byte 2"},
        {"1 2", "N(1)!more text after the value, at byte 2"},
        {"{}x", "{}!more text after the value, at byte 2"},
        {"]", "!not a value, at byte 0"},
        {"[[[[[", "[[[[!nested too deep, at byte 4"},
        {"tru", "!not a value, at byte 0"},
        {"trueish", "t!more text after the value, at byte 4"},
        {"01", "!not a number, at byte 2"},
        {"-", "!not a number, at byte 1"},
        {"+1", "!not a value, at byte 0"},
        {"1.", "!a number without digits after its point, at byte 2"},
        {".5", "!not a value, at byte 0"},
        {"1e", "!a number without digits in its exponent, at byte 2"},
        {"NaN", "!not a value, at byte 0"},
        {"'a'", "!not a value, at byte 0"},
        {"\"a", "!the string does not end, at byte 2"},
        {"\"a\\", "!no such escape, at byte 3"},
        {"\"\\x41\"", "!no such escape, at byte 3"},
        {"\"\\u12\"", "!\\u needs four hex digits, at byte 3"},
        {"\"\\u12g4\"", "!\\u needs four hex digits, at byte 3"},
        {"\"\\ud800\"", "!the first half of a surrogate pair stands alone, at byte 7"},
        {"\"\\ud800\\u0041\"", "!the first half of a surrogate pair stands alone, at byte 13"},
        {"\"\\udc00\"", "!the second half of a surrogate pair stands alone, at byte 7"},
        {"\"a\nb\"", "!a control character in a string, at byte 2"},
        {"\"a\xff\"", "!not UTF-8, at byte 2"},
        {"\"\xed\xa0\x80\"", "!not UTF-8, at byte 1"},
        {"// no\n1", "!not a value, at byte 0"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) reads_as(cases[i][0], cases[i][1]);
}

static void a_zero_byte_is_no_end(void **state) {
    (void)state;
    AUTO_BUF struct buf out = {.max = 1000};
    trace(&out, STR("1\0"), 4);
    assert_string_equal(out.p, "N(1)!more text after the value, at byte 1");
    buf_clear(&out);
    trace(&out, STR("\"\\u0000\""), 4);
    assert_string_equal(out.p, "S()$"); /* %.*s ends at the zero byte that was read */
}

static void an_error_stays(void **state) {
    (void)state;
    struct json_reader r;
    json_reader_init(&r, STR("[x]"), 4);
    assert_int_equal(json_next(&r), JSON_ARRAY);
    for (int i = 0; i < 3; i++) assert_int_equal(json_next(&r), JSON_ERROR);
    assert_false(json_skip(&r));
    err e = json_reader_err(&r);
    assert_string_equal(err_text(e), "not a value, at byte 1");
    err_free(e);
    json_reader_done(&r);
}

static void a_value_can_be_skipped_whole(void **state) {
    (void)state;
    struct json_reader r;
    json_reader_init(&r, STR("{\"a\":{\"b\":[1,{\"c\":2}]},\"d\":7,\"e\":[]}"), 8);
    assert_int_equal(json_next(&r), JSON_OBJECT);
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_true(json_skip(&r));
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_true(str_equal(r.value, STR("d")) && json_skip(&r));
    assert_int_equal(json_next(&r), JSON_KEY);
    assert_true(json_skip(&r));
    assert_false(json_skip(&r)); /* only } is left */
    json_reader_done(&r);
    json_reader_init(&r, STR("[[1,2"), 8);
    assert_false(json_skip(&r));
    json_reader_done(&r);
}

static void a_string_has_a_limit(void **state) {
    (void)state;
    size_t n = 16 * MIB + 3;
    char *text = malloc(n);
    memset(text, 'a', n);
    text[0] = text[n - 1] = '"';
    struct json_reader r;
    json_reader_init(&r, str_span(text, n), 4);
    assert_int_equal(json_next(&r), JSON_ERROR);
    assert_string_equal(r.error, "a string over 16 MiB");
    json_reader_done(&r);
    text[1] = '"'; /* of exactly the limit, from here on */
    json_reader_init(&r, str_span(text + 1, n - 1), 4);
    assert_int_equal(json_next(&r), JSON_STRING);
    json_reader_done(&r);
    memcpy(text + 1, "\\n", 2);
    json_reader_init(&r, str_span(text, n), 4);
    assert_int_equal(json_next(&r), JSON_STRING); /* the escape is one byte */
    json_reader_done(&r);
    free(text);
}

static void what_is_written_reads_back(void **state) {
    (void)state;
    static const char alphabet[] = "ab\"\\/<\n\t\x01\x7f\xc3\xa9 ";
    for (uint64_t seed = 0; seed < 3000; seed++) {
        char text[64];
        size_t n = seed % sizeof text;
        for (size_t i = 0; i < n; i++) text[i] = alphabet[hash_u64(seed * 100 + i) % (sizeof alphabet - 1)];
        AUTO_BUF struct buf b = {.max = 1000}, clean = {.max = 1000};
        struct json_writer w;
        json_writer_init(&w, &b);
        json_array(&w);
        json_str(&w, str_span(text, n));
        json_array_end(&w);
        put_utf8_clean(&clean, str_span(text, n));
        struct json_reader r;
        json_reader_init(&r, buf_str(&b), 2);
        assert_int_equal(json_next(&r), JSON_ARRAY);
        assert_int_equal(json_next(&r), JSON_STRING);
        assert_true(str_equal(r.value, buf_str(&clean)));
        assert_int_equal(json_next(&r), JSON_ARRAY_END);
        assert_int_equal(json_next(&r), JSON_END);
        json_reader_done(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strings_are_escaped),
        cmocka_unit_test(structure_gets_its_commas),
        cmocka_unit_test(doubles_that_json_cannot_say_are_strings),
        cmocka_unit_test(a_full_buffer_stays_within_its_maximum),
        cmocka_unit_test(a_value_in_an_object_needs_a_key),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(escapes_are_undone),
        cmocka_unit_test(mistakes_are_named_with_their_place),
        cmocka_unit_test(a_zero_byte_is_no_end),
        cmocka_unit_test(an_error_stays),
        cmocka_unit_test(a_value_can_be_skipped_whole),
        cmocka_unit_test(a_string_has_a_limit),
        cmocka_unit_test(what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
