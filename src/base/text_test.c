/* Numbers, times, durations, sizes and UTF-8 as text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/hash.h"
#include "base/text.h"

/* Ends e and says whether it was a refusal. */
static bool refused(err e) {
    bool yes = e && err_kind(e) == ERR_INVALID;
    err_free(e);
    return yes;
}

/* What `put` writes, compared. */
#define writes(expected, put, ...)                                                                                     \
    do {                                                                                                               \
        struct buf b_;                                                                                                 \
        buf_init(&b_, 1 << 20);                                                                                        \
        put(&b_, __VA_ARGS__);                                                                                         \
        assert_string_equal(b_.p ? b_.p : "", expected);                                                               \
        buf_done(&b_);                                                                                                 \
    } while (0)

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static void whole_numbers_are_read_whole(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool good;
        uint64_t v;
    } cases[] = {{"0", true, 0},
                 {"007", true, 7},
                 {"18446744073709551615", true, UINT64_MAX},
                 {"18446744073709551616", false, 0},
                 {"99999999999999999999", false, 0},
                 {"", false, 0},
                 {"-1", false, 0},
                 {"+1", false, 0},
                 {" 1", false, 0},
                 {"1 ", false, 0},
                 {"0x10", false, 0}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint64_t v = 99;
        assert_int_equal(!refused(parse_u64(str_of(cases[i].text), &v)), cases[i].good);
        assert_true(v == (cases[i].good ? cases[i].v : 99));
    }
}

static void signed_numbers_reach_both_ends(void **state) {
    (void)state;
    int64_t v = 5;
    assert_false(refused(parse_i64(STR("-9223372036854775808"), &v)));
    assert_true(v == INT64_MIN);
    assert_false(refused(parse_i64(STR("9223372036854775807"), &v)));
    assert_true(v == INT64_MAX);
    assert_true(refused(parse_i64(STR("9223372036854775808"), &v)));
    assert_true(refused(parse_i64(STR("-9223372036854775809"), &v)));
    assert_true(refused(parse_i64(STR("-"), &v)) && refused(parse_i64(STR("--1"), &v)));
    assert_true(v == INT64_MAX);
}

static void whole_numbers_round_trip(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        uint64_t v = hash_u64(seed) >> seed % 64, back = 0;
        int64_t s = (int64_t)v * (seed & 1 ? 1 : -1), s_back = 0;
        struct buf b;
        buf_init(&b, 100);
        put_u64(&b, v);
        assert_false(refused(parse_u64(buf_str(&b), &back)));
        buf_clear(&b);
        put_i64(&b, s);
        assert_false(refused(parse_i64(buf_str(&b), &s_back)));
        assert_true(back == v && s_back == s);
        buf_done(&b);
    }
    writes("-9223372036854775808", put_i64, INT64_MIN);
    writes("18446744073709551615", put_u64, UINT64_MAX);
    writes("100", put_u64, 100);
}

static void doubles_are_read_as_decimals_only(void **state) {
    (void)state;
    static const char *const good[] = {"0", "-0", "1", "+1.5", ".5", "5.", "1e3", "1E-3", "1.25e+2", "4.9e-324"};
    static const char *const bad[] = {"",    ".",   "e5",   "1e",    "1e+", "0x1p3", "nan",
                                      "inf", "1,5", "1.5.", "1e999", " 1",  "--1"};
    double v = 7;
    for (size_t i = 0; i < LENGTH(bad); i++) assert_true(refused(parse_f64(str_of(bad[i]), &v)) && v == 7);
    for (size_t i = 0; i < LENGTH(good); i++) {
        assert_false(refused(parse_f64(str_of(good[i]), &v)));
        assert_true(v == strtod(good[i], NULL));
    }
    char longer[2000];
    memset(longer, '1', sizeof longer);
    assert_true(refused(parse_f64(str_span(longer, sizeof longer), &v)));
}

static void doubles_are_written_short(void **state) {
    (void)state;
    writes("0.1", put_f64, 0.1);
    writes("-2.5", put_f64, -2.5);
    writes("123456789", put_f64, 123456789.0);
    writes("1e+21", put_f64, 1e21);
    writes("0.30000000000000004", put_f64, 0.1 + 0.2);
    writes("5e-324", put_f64, 5e-324);
    writes("-0", put_f64, -0.0);
    writes("0.000123", put_f64, 0.000123);
    writes("NaN", put_f64, NAN);
    writes("+Inf", put_f64, INFINITY);
    writes("-Inf", put_f64, -INFINITY);
}

static size_t shortest_by_trying(double v) {
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*e", digits - 1, v);
        if (strtod(text, NULL) == v) return (size_t)digits;
    }
    return 18;
}

static void doubles_round_trip_with_the_fewest_digits(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed < 20000; seed++) {
        uint64_t bits = hash_u64(seed);
        double v, back = 0;
        memcpy(&v, &bits, 8);
        if (seed % 3 == 1) v = (double)(bits >> 40) / 1000;
        if (seed % 3 == 2) v = (double)(bits >> 12) * 1e-9;
        if (!isfinite(v)) continue;
        AUTO_BUF struct buf b = {.max = 100};
        put_f64(&b, v);
        assert_false(refused(parse_f64(buf_str(&b), &back)));
        assert_true(back == v);
        size_t digits = 0, zeros = 0;
        bool leading = true;
        for (size_t i = 0; i < b.n && b.p[i] != 'e'; i++) {
            if (b.p[i] < '0' || b.p[i] > '9') continue;
            if (b.p[i] != '0') leading = false;
            zeros = b.p[i] == '0' && !leading ? zeros + 1 : 0;
            digits += !leading;
        }
        assert_true(digits - zeros <= MAX(shortest_by_trying(v), (size_t)15));
    }
}

static void hex_is_exact(void **state) {
    (void)state;
    unsigned char out[4] = {9, 9, 9, 9};
    assert_true(refused(parse_hex(STR("0011223"), out, 4)) && refused(parse_hex(STR("001122334"), out, 4)));
    assert_true(refused(parse_hex(STR("0011223g"), out, 4)) && refused(parse_hex(STR(""), out, 4)) && out[0] == 9);
    assert_false(refused(parse_hex(STR("00aBFf7f"), out, 4)));
    assert_memory_equal(out, "\x00\xab\xff\x7f", 4);
    writes("00abff7f", put_hex, out, 4);
    writes("", put_hex, out, 0);
    unsigned char all[256];
    for (int i = 0; i < 256; i++) all[i] = (unsigned char)i;
    AUTO_BUF struct buf b = {.max = 600};
    put_hex(&b, all, 256);
    unsigned char back[256];
    assert_false(refused(parse_hex(buf_str(&b), back, 256)));
    assert_memory_equal(all, back, 256);
}

static void base64_matches_the_rfc(void **state) {
    (void)state; /* RFC 4648, section 10 */
    writes("", put_base64, "", 0);
    writes("Zg==", put_base64, "f", 1);
    writes("Zm8=", put_base64, "fo", 2);
    writes("Zm9v", put_base64, "foo", 3);
    writes("Zm9vYmFy", put_base64, "foobar", 6);
    writes("+/8=", put_base64, "\xfb\xff", 2);
}

static void sizes_know_both_kinds_of_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes; /* 0: refused */
    } cases[] = {{"512", 512},
                 {"64KiB", 65536},
                 {"1MB", 1000000},
                 {"2G", (uint64_t)2 << 30},
                 {"1.5GiB", 1610612736},
                 {"3 MiB", 3145728},
                 {"4kb", 4000},
                 {"1T", (uint64_t)1 << 40},
                 {"7B", 7},
                 {"", 0},
                 {"x", 0},
                 {"1XB", 0},
                 {"-1K", 0},
                 {"1e3", 0},
                 {"99999999999T", 0},
                 {"18446744073709551616", 0},
                 {"18446744073709551615", UINT64_MAX}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint64_t v = 0;
        assert_int_equal(refused(parse_size(str_of(cases[i].text), &v)), cases[i].bytes == 0);
        assert_true(v == cases[i].bytes);
    }
    writes("0 B", put_size, 0);
    writes("1023 B", put_size, 1023);
    writes("1.4 MiB", put_size, 1468006);
    writes("1.0 MiB", put_size, 1048575);
    writes("120 KiB", put_size, 122880);
    writes("16.0 EiB", put_size, UINT64_MAX);
    writes("1,234,567", put_count, 1234567);
    writes("999", put_count, 999);
    writes("1,000", put_count, 1000);
}

static void booleans_have_eight_words(void **state) {
    (void)state;
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < LENGTH(words); i++) {
        bool v = !(i % 2);
        assert_false(refused(parse_bool(str_of(words[i]), &v)));
        assert_int_equal(v, i % 2);
    }
    bool v = true;
    assert_true(refused(parse_bool(STR("True"), &v)) && refused(parse_bool(STR(""), &v)) && v);
}

static void a_refusal_quotes_what_it_refused(void **state) {
    (void)state;
    uint64_t v;
    err e = parse_u64(STR("12\x1b[31mx"), &v);
    assert_string_equal(err_text(e), "not a whole number: \"12\\x1b[31mx\"");
    err_free(e);
    char longer[3000];
    memset(longer, '\x01', sizeof longer);
    e = parse_u64(str_span(longer, sizeof longer), &v);
    assert_non_null(strstr(err_text(e), "…"));
    err_free(e);
}

/* ---- times ------------------------------------------------------------------------------------------------------ */

static void times_are_read_in_every_form(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {{"1970-01-01T00:00:00Z", 0},
                 {"2026-11-25T01:02:03.000000004Z", 1795568523000000004},
                 {"2026-11-25t01:02:03.5z", 1795568523500000000},
                 {"2026-11-25 03:02:03+02:00", 1795568523000000000},
                 {"2026-11-24T20:32:03-04:30", 1795568523000000000},
                 {"2016-12-31T23:59:60Z", 1483228800000000000},
                 {"2024-02-29T00:00:00Z", 1709164800000000000},
                 {"1969-12-31T23:59:59.999999999Z", -1},
                 {"1677-09-21T00:12:43.145224192Z", INT64_MIN},
                 {"2262-04-11T23:47:16.854775807Z", INT64_MAX},
                 {"1795568523", 1795568523000000000},
                 {"1795568523.25", 1795568523250000000},
                 {"1795568523123", 1795568523123000000},
                 {"1795568523123456", 1795568523123456000},
                 {"1795568523123456789", 1795568523123456789},
                 {"0", 0},
                 {"-1.5", -1500000000},
                 {"now", 1000000000000000},
                 {"now-15m", 1000000000000000 - 900000000000},
                 {"now+1h30m", 1000000000000000 + 5400000000000}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int64_t ns = 42;
        assert_false(refused(parse_time(str_of(cases[i].text), 1000000000000000, &ns)));
        assert_true(ns == cases[i].ns);
    }
}

/* The years of which int64 nanoseconds know nothing, "for ever" and "since ever" in other tools. */
static void times_out_of_range_are_the_nearest_end(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
    } cases[] = {{"9999-12-31T23:59:59Z", INT64_MAX},
                 {"9999-12-31T23:59:59.999999999-23:59", INT64_MAX},
                 {"2262-04-11T23:47:16.854775808Z", INT64_MAX},
                 {"2262-04-11T23:47:16.854775806Z", INT64_MAX - 1},
                 {"0001-01-01T00:00:00Z", INT64_MIN},
                 {"1677-09-21T00:12:43.145224191Z", INT64_MIN},
                 {"99999999999", INT64_MAX},
                 {"-99999999999.5", INT64_MIN},
                 {"99999999999999", INT64_MAX},
                 {"99999999999999999", INT64_MAX},
                 {"9223372036854775807", INT64_MAX},
                 {"9223372036854775808", INT64_MAX},
                 {"18446744073709551615", INT64_MAX},
                 {"-9223372036854775808", INT64_MIN},
                 {"now+250y", INT64_MAX}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int64_t ns = 42;
        assert_false(refused(parse_time(str_of(cases[i].text), 1795568523000000000, &ns)));
        if (ns != cases[i].ns) fail_msg("%s is %lld", cases[i].text, (long long)ns);
    }
}

static void wrong_times_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "2026-11-25",
                                      "2026-11-25T01:02:03",
                                      "2026-11-25T01:02Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2026-11-31T00:00:00Z",
                                      "2026-11-25T24:00:00Z",
                                      "2026-11-25T00:60:00Z",
                                      "2026-11-25T00:00:61Z",
                                      "2026-11-25T00:00:00.Z",
                                      "2026-11-25T00:00:00.1234567890Z",
                                      "2026-11-25T00:00:00+24:00",
                                      "2026-11-25T00:00:00+0100",
                                      "2026-11-25T00:00:00Zx",
                                      "18446744073709551616",
                                      "1795568523123.5",
                                      "now-",
                                      "now 1h",
                                      "now-1",
                                      "nowhere",
                                      "yesterday",
                                      "-",
                                      "1e9",
                                      "now+9999y"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        int64_t ns = 42;
        assert_true(refused(parse_time(str_of(bad[i]), INT64_MAX / 2, &ns)));
        assert_true(ns == 42);
    }
}

static void times_round_trip(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        int64_t ns = (int64_t)hash_u64(seed), back = 0;
        if (seed % 4 == 1) ns -= ns % 1000;
        if (seed % 4 == 2) ns -= ns % 1000000;
        if (seed % 4 == 3) ns -= ns % 1000000000;
        AUTO_BUF struct buf b = {.max = 100};
        put_time(&b, ns);
        assert_false(refused(parse_time(buf_str(&b), 0, &back)));
        assert_true(back == ns);
    }
    writes("2026-11-25T01:02:03.000000004Z", put_time, 1795568523000000004);
    writes("2026-11-25T01:02:03.120Z", put_time, 1795568523120000000);
    writes("2026-11-25T01:02:03.000120Z", put_time, 1795568523000120000);
    writes("2026-11-25T01:02:03Z", put_time, 1795568523000000000);
    writes("1677-09-21T00:12:43.145224192Z", put_time, INT64_MIN);
}

static void days_follow_each_other(void **state) {
    (void)state;
    char before[32] = "1677-09-21";
    for (int64_t day = -106750; day < 106750; day++) {
        AUTO_BUF struct buf b = {.max = 100};
        put_time(&b, day * 86400000000000);
        assert_true(memcmp(before, b.p, 10) < 0);
        memcpy(before, b.p, 10);
    }
}

static void durations_are_sums_of_units(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1: refused */
    } cases[] = {{"0", 0},
                 {"0s", 0},
                 {"250ms", 250000000},
                 {"1h30m", 5400000000000},
                 {"5s", 5000000000},
                 {"2d", 172800000000000},
                 {"1w", 604800000000000},
                 {"1y", 31536000000000000},
                 {"3us", 3000},
                 {"3µs", 3000},
                 {"7ns", 7},
                 {"1.5s", 1500000000},
                 {"0.5ns", 0},
                 {"1m1ms", 60001000000},
                 {"", -1},
                 {"5", -1},
                 {"s", -1},
                 {"-5s", -1},
                 {"+5s", -1},
                 {"5x", -1},
                 {"5 s", -1},
                 {"1.s", -1},
                 {"300y", -1},
                 {"200y100y", -1},
                 {"5sec", -1},
                 {"99999999999999999999s", -1}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int64_t ns = -1;
        assert_int_equal(refused(parse_duration(str_of(cases[i].text), &ns)), cases[i].ns < 0);
        assert_true(ns == cases[i].ns);
    }
}

static void exact_durations_round_trip(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        int64_t ns = (int64_t)(hash_u64(seed) >> (1 + seed % 60)), back = -1;
        if (seed % 2) ns -= ns % 1000000000;
        AUTO_BUF struct buf b = {.max = 100};
        put_duration_exact(&b, ns);
        assert_false(refused(parse_duration(buf_str(&b), &back)));
        assert_true(back == ns);
    }
    writes("1h30m", put_duration_exact, 5400000000000);
    writes("30d", put_duration_exact, 2592000000000000);
}

static void short_durations_are_for_people(void **state) {
    (void)state;
    writes("0s", put_duration_short, 0);
    writes("7ns", put_duration_short, 7);
    writes("830µs", put_duration_short, 830400);
    writes("1.25ms", put_duration_short, 1250000);
    writes("1.05ms", put_duration_short, 1050000);
    writes("2.1s", put_duration_short, 2100000000);
    writes("12.5s", put_duration_short, 12540000000);
    writes("3m12s", put_duration_short, 192000000000);
    writes("1h5m", put_duration_short, 3900000000000);
    writes("47h59m", put_duration_short, 172799000000000);
    writes("3d4h", put_duration_short, 273600000000000);
    writes("-1ms", put_duration_short, -1000000);
    writes("-106751d23h", put_duration_short, INT64_MIN);
}

/* ---- UTF-8 ------------------------------------------------------------------------------------------------------ */

static void ill_formed_sequences_become_one_replacement_each(void **state) {
    (void)state; /* Unicode 15, tables 3-8 to 3-11 */
    writes("a\xef\xbf\xbd"
           "b",
           put_utf8_clean,
           STR("a\x80"
               "b"));
    writes("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
           "A",
           put_utf8_clean,
           STR("\xc0\xaf\xe0\x80"
               "A"));
    writes("\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd", put_utf8_clean, STR("\xed\xa0\x80"));
    writes("\xef\xbf\xbd\xef\xbf\xbd"
           "A",
           put_utf8_clean,
           STR("\xe1\x80\xe2"
               "A"));
    writes("\xef\xbf\xbd"
           "z",
           put_utf8_clean,
           STR("\xf0\x9f\x92"
               "z"));
    writes("\xef\xbf\xbd", put_utf8_clean, STR("\xf0\x9f\x92"));
    writes("grün 中 💡", put_utf8_clean, STR("grün 中 💡"));
    writes("", put_utf8_clean, STR(""));
}

static void utf8_is_told_apart_from_bytes(void **state) {
    (void)state;
    static const char *const good[] = {
        "", "plain ascii of more than eight bytes", "é", "中", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc1\x81",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "12345678\xc3",
                                      "a\xe4\xb8"};
    for (size_t i = 0; i < LENGTH(good); i++) assert_true(utf8_is_valid(str_of(good[i])));
    for (size_t i = 0; i < LENGTH(bad); i++) assert_false(utf8_is_valid(str_of(bad[i])));
}

static void cleaned_bytes_are_always_utf8(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 5000; seed++) {
        unsigned char bytes[40];
        size_t n = seed % sizeof bytes;
        for (size_t i = 0; i < n; i++) {
            uint64_t r = hash_u64(seed * 64 + i);
            bytes[i] = r & 1 ? (unsigned char)(0x80 | r >> 8) : (unsigned char)(r >> 8);
        }
        AUTO_BUF struct buf b = {.max = 400}, again = {.max = 400};
        put_utf8_clean(&b, str_span(bytes, n));
        assert_true(utf8_is_valid(buf_str(&b)));
        put_utf8_clean(&again, buf_str(&b));
        assert_true(str_equal(buf_str(&again), buf_str(&b)));
        if (utf8_is_valid(str_span(bytes, n))) assert_true(str_equal(buf_str(&b), str_span(bytes, n)));
    }
}

static void a_terminal_gets_nothing_to_obey(void **state) {
    (void)state;
    writes("a\\x1b[31m\\x0a\\x7f", put_terminal, STR("a\x1b[31m\n\x7f"));
    writes("\\u{0085}\\u{202e}x", put_terminal,
           STR("\xc2\x85\xe2\x80\xae"
               "x"));
    writes("\xef\xbf\xbd ü", put_terminal, STR("\xff ü"));
}

static void words_are_letters_digits_underscores_and_high_bytes(void **state) {
    (void)state;
    for (int c = 0; c < 256; c++) {
        bool word = c >= 0x80 || (c && strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_", c));
        assert_int_equal(word_char((unsigned char)c), word);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_read_whole),
        cmocka_unit_test(signed_numbers_reach_both_ends),
        cmocka_unit_test(whole_numbers_round_trip),
        cmocka_unit_test(doubles_are_read_as_decimals_only),
        cmocka_unit_test(doubles_are_written_short),
        cmocka_unit_test(doubles_round_trip_with_the_fewest_digits),
        cmocka_unit_test(hex_is_exact),
        cmocka_unit_test(base64_matches_the_rfc),
        cmocka_unit_test(sizes_know_both_kinds_of_units),
        cmocka_unit_test(booleans_have_eight_words),
        cmocka_unit_test(a_refusal_quotes_what_it_refused),
        cmocka_unit_test(times_are_read_in_every_form),
        cmocka_unit_test(times_out_of_range_are_the_nearest_end),
        cmocka_unit_test(wrong_times_are_refused),
        cmocka_unit_test(times_round_trip),
        cmocka_unit_test(days_follow_each_other),
        cmocka_unit_test(durations_are_sums_of_units),
        cmocka_unit_test(exact_durations_round_trip),
        cmocka_unit_test(short_durations_are_for_people),
        cmocka_unit_test(ill_formed_sequences_become_one_replacement_each),
        cmocka_unit_test(utf8_is_told_apart_from_bytes),
        cmocka_unit_test(cleaned_bytes_are_always_utf8),
        cmocka_unit_test(a_terminal_gets_nothing_to_obey),
        cmocka_unit_test(words_are_letters_digits_underscores_and_high_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
