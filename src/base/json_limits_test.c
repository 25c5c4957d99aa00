/* JSON at its limits: depth, every escape, the grammar of numbers, every cut and every changed byte, doubles of any bits. */
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
#include "base/text_priv.h"

/* Reads to the end or an error, from memory of exactly that size; *out_tokens: how many. */
static enum json_token read_all(struct str text, int depth, uint32_t *out_tokens) {
    AUTO_FREE char *exact = mem_new(text.n ? text.n : 1);
    struct json_reader r;
    enum json_token t;
    uint32_t n = 0;
    if (text.n) memcpy(exact, text.p, text.n);
    json_reader_init(&r, str_span(exact, text.n), depth);
    for (n = 0; (t = json_next(&r)) != JSON_END && t != JSON_ERROR; n++) {
        if (t == JSON_KEY || t == JSON_STRING) assert_true(utf8_is_valid(r.value));
        assert_true(r.at <= text.n && r.depth <= depth && r.depth >= 0);
    }
    err e = json_reader_err(&r);
    assert_int_equal(e != NULL, t == JSON_ERROR);
    if (e) assert_true(err_kind(e) == ERR_INVALID && strstr(err_text(e), ", at byte "));
    err_free(e);
    json_reader_done(&r);
    if (out_tokens) *out_tokens = n;
    return t;
}

/* ---- depth -------------------------------------------------------------------------------------------------------- */

static void nest(struct buf *out, int depth, int kind) {
    for (int i = 0; i < depth; i++) buf_add_text(out, kind == 0 || (kind == 2 && i % 2) ? "[" : "{\"k\":");
    buf_add_text(out, "1");
    for (int i = depth - 1; i >= 0; i--) buf_add_text(out, kind == 0 || (kind == 2 && i % 2) ? "]" : "}");
}

static void depth_is_exactly_as_given(void **state) {
    (void)state;
    static const int depths[] = {1, 2, 7, 8, 63, 64, 65, 319, 320};
    for (size_t i = 0; i < LENGTH(depths); i++)
        for (int kind = 0; kind < 3; kind++) {
            AUTO_BUF struct buf fits, over;
            buf_init(&fits, MIB);
            buf_init(&over, MIB);
            nest(&fits, depths[i], kind);
            nest(&over, depths[i] + 1, kind);
            assert_int_equal(read_all(buf_str(&fits), depths[i], NULL), JSON_END);
            assert_int_equal(read_all(buf_str(&over), depths[i], NULL), JSON_ERROR);
            if (depths[i] > 1) assert_int_equal(read_all(buf_str(&fits), depths[i] - 1, NULL), JSON_ERROR);
        }
}

static void a_million_brackets_are_one_error(void **state) {
    (void)state;
    AUTO_FREE char *text = mem_new(MIB);
    static const char *const openers[] = {"[", "{\"\":", "[[[{\"a\":"};
    for (size_t i = 0; i < LENGTH(openers); i++) {
        for (size_t k = 0; k < MIB; k++) text[k] = openers[i][k % strlen(openers[i])];
        assert_int_equal(read_all(str_span(text, MIB), JSON_DEPTH_MAX, NULL), JSON_ERROR);
    }
}

/* What is skipped is what would have been read. */
static void skipping_ends_where_reading_ends(void **state) {
    (void)state;
    static const char *const values[] = {
        "1", "\"a\\n\"", "null", "[]", "{}", "[1,[2,{\"a\":[3]}],\"]\"]", "{\"}\":{\"a\":\"{\"}}", "-0.5e3"};
    for (size_t i = 0; i < LENGTH(values); i++)
        for (size_t k = 0; k < LENGTH(values); k++) {
            AUTO_BUF struct buf text;
            struct json_reader r;
            buf_init(&text, KIB);
            buf_add_fmt(&text, "[%s ,\n%s, 7]", values[i], values[k]);
            json_reader_init(&r, buf_str(&text), 16);
            assert_int_equal(json_next(&r), JSON_ARRAY);
            assert_true(json_skip(&r) && json_skip(&r));
            assert_int_equal(json_next(&r), JSON_NUMBER);
            assert_true(str_equal(r.value, STR("7")));
            assert_int_equal(json_next(&r), JSON_ARRAY_END);
            assert_int_equal(json_next(&r), JSON_END);
            json_reader_done(&r);
        }
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

static void numbers_follow_the_grammar(void **state) {
    (void)state;
    static const char *const good[] = {"0",
                                       "-0",
                                       "1",
                                       "-1",
                                       "10",
                                       "0.0",
                                       "-0.0e0",
                                       "1e1",
                                       "1E+1",
                                       "1e-1",
                                       "123456789012345678901234567890",
                                       "1e99999",
                                       "0.00000000000000000000000001",
                                       "1.5E-300"};
    static const char *const bad[] = {"00",   "-",  "-a",       "--1",       "+1",  ".1",    "1.",
                                      "1.e1", "1e", "1e+",      "1e1.5",     "0x1", "1_000", "01.5",
                                      "-01",  "1a", "Infinity", "-Infinity", "NaN", "1,",    "\xef\xbc\x91"};
    for (size_t i = 0; i < LENGTH(good); i++) {
        struct json_reader r;
        json_reader_init(&r, str_of(good[i]), 1);
        assert_int_equal(json_next(&r), JSON_NUMBER);
        assert_true(str_equal(r.value, str_of(good[i]))); /* as written */
        assert_int_equal(json_next(&r), JSON_END);
        json_reader_done(&r);
    }
    for (size_t i = 0; i < LENGTH(bad); i++)
        if (read_all(str_of(bad[i]), 1, NULL) != JSON_ERROR) fail_msg("%s is no number", bad[i]);
}

/* A double of any bits is written as what strtod and the reader read back. */
static void any_double_reads_back(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint64_t bits = hash_u64(seed);
        double v, back;
        char text[64];
        AUTO_BUF struct buf b = {.max = 100};
        struct json_writer w;
        if (seed % 4 == 1) bits &= ~0x7ff0000000000000u;                            /* below the normal ones */
        if (seed % 4 == 2) bits = (bits & 63) << 46 | (0x3ffull + bits % 64) << 52; /* few bits */
        memcpy(&v, &bits, sizeof v);
        json_writer_init(&w, &b);
        json_f64(&w, v);
        if (isnan(v) || isinf(v)) {
            assert_int_equal(b.p[0], '"');
            continue;
        }
        assert_int_equal(read_all(buf_str(&b), 1, NULL), JSON_END);
        snprintf(text, sizeof text, "%s", b.p);
        back = strtod(text, NULL);
        assert_memory_equal(&back, &v, sizeof v);
    }
}

static void whole_numbers_at_their_edges(void **state) {
    (void)state;
    static const int64_t edges[] = {0, 1, -1, 9, 10, 99, 100, INT64_MAX, INT64_MIN, 1ll << 53, -(1ll << 53) - 1};
    for (size_t i = 0; i < LENGTH(edges); i++) {
        AUTO_BUF struct buf b = {.max = 200};
        struct json_writer w;
        char want[100];
        json_writer_init(&w, &b);
        json_array(&w);
        json_i64(&w, edges[i]);
        json_u64(&w, (uint64_t)edges[i]);
        json_u64_text(&w, (uint64_t)edges[i]);
        json_array_end(&w);
        snprintf(want, sizeof want, "[%lld,%llu,\"%llu\"]", (long long)edges[i], (unsigned long long)edges[i],
                 (unsigned long long)edges[i]);
        assert_string_equal(b.p, want);
    }
}

/* ---- strings ------------------------------------------------------------------------------------------------------ */

/* Every code point as an escape is the character; every surrogate alone is an error. */
static void every_escape_is_its_character(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c += c < 0x3000 || (c >= 0xd700 && c < 0xe100) ? 1 : 251) {
        char text[32], want[4];
        struct json_reader r;
        bool surrogate = c >= 0xd800 && c < 0xe000;
        if (c < 0x10000)
            snprintf(text, sizeof text, c & 1 ? "\"\\u%04x\"" : "\"\\u%04X\"", c);
        else
            snprintf(text, sizeof text, "\"\\u%04x\\u%04X\"", 0xd800 + ((c - 0x10000) >> 10),
                     0xdc00 + ((c - 0x10000) & 0x3ff));
        json_reader_init(&r, str_of(text), 1);
        assert_int_equal(json_next(&r), surrogate ? JSON_ERROR : JSON_STRING);
        if (!surrogate) assert_true(str_equal(r.value, str_span(want, utf8_encode(c, want))));
        json_reader_done(&r);
    }
}

/* Every byte by itself in a string: printable ASCII is itself, control characters and lone high bytes are errors. */
static void every_byte_in_a_string(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        char text[] = {'"', (char)c, '"'};
        enum json_token want = c < 0x20 || c >= 0x80 || c == '"' || c == '\\' ? JSON_ERROR : JSON_END;
        assert_int_equal(read_all(str_span(text, 3), 1, NULL), want);
        char escape[] = {'"', '\\', (char)c, '"'};
        bool known = c && strchr("\"\\/bfnrt", c);
        assert_int_equal(read_all(str_span(escape, 4), 1, NULL), known ? JSON_END : JSON_ERROR);
    }
}

/* What the writer makes of any bytes the reader takes, in pieces of any size before the maximum. */
static void any_bytes_are_written_as_json(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        char bytes[40];
        size_t n = seed % sizeof bytes;
        for (size_t i = 0; i < n; i++) bytes[i] = (char)hash_u64(seed * 64 + i);
        AUTO_BUF struct buf b = {.max = 1000}, clean = {.max = 1000};
        struct json_writer w;
        struct json_reader r;
        json_writer_init(&w, &b);
        json_object(&w);
        json_key(&w, str_span(bytes, n));
        json_str(&w, str_span(bytes, n));
        json_object_end(&w);
        put_utf8_clean(&clean, str_span(bytes, n));
        json_reader_init(&r, buf_str(&b), 1);
        assert_int_equal(json_next(&r), JSON_OBJECT);
        assert_int_equal(json_next(&r), JSON_KEY);
        assert_true(str_equal(r.value, buf_str(&clean)));
        assert_int_equal(json_next(&r), JSON_STRING);
        assert_true(str_equal(r.value, buf_str(&clean)));
        assert_int_equal(json_next(&r), JSON_OBJECT_END);
        assert_int_equal(json_next(&r), JSON_END);
        assert_false(str_contains(buf_str(&b), STR("</")));
        json_reader_done(&r);
    }
}

/* ---- damage ------------------------------------------------------------------------------------------------------- */

static const char document[] = " {\"a\\u00e9\\ud83d\\udca1\" : [1, -2.5e+3, true, false, null, \"x\\\"y\xc3\xa9\"], "
                               "\"b\": {\"c\": []}, \"\": \"\"}\n";

static void every_cut_is_an_error(void **state) {
    (void)state;
    uint32_t all, tokens;
    assert_int_equal(read_all(str_of(document), 4, &all), JSON_END);
    for (size_t n = 0; n + 2 < sizeof document - 1; n++) {
        assert_int_equal(read_all(str_span(document, n), 4, &tokens), JSON_ERROR);
        assert_true(tokens < all);
    }
}

static void every_changed_byte_is_read_or_refused(void **state) {
    (void)state;
    char text[sizeof document];
    uint32_t taken = 0, refused = 0;
    memcpy(text, document, sizeof text);
    for (size_t at = 0; at < sizeof document - 1; at++) {
        for (int c = 0; c < 256; c++) {
            text[at] = (char)c;
            *(read_all(str_span(text, sizeof document - 1), 4, NULL) == JSON_END ? &taken : &refused) += 1;
        }
        text[at] = document[at];
    }
    assert_true(taken > 500 && refused > 5000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(depth_is_exactly_as_given),
        cmocka_unit_test(a_million_brackets_are_one_error),
        cmocka_unit_test(skipping_ends_where_reading_ends),
        cmocka_unit_test(numbers_follow_the_grammar),
        cmocka_unit_test(any_double_reads_back),
        cmocka_unit_test(whole_numbers_at_their_edges),
        cmocka_unit_test(every_escape_is_its_character),
        cmocka_unit_test(every_byte_in_a_string),
        cmocka_unit_test(any_bytes_are_written_as_json),
        cmocka_unit_test(every_cut_is_an_error),
        cmocka_unit_test(every_changed_byte_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
