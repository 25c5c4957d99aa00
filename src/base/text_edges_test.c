/* Numbers, times, durations, sizes and UTF-8 at their edges, and against plain evaluations. */
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
#include "base/text_priv.h"

static bool refused(err e) {
    if (e) assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    return e != NULL;
}

/* ---- durations ---------------------------------------------------------------------------------------------------- */

static void durations_reach_the_last_nanosecond(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns; /* -1: refused */
    } cases[] = {
        {"9223372036854775807ns", INT64_MAX},
        {"9223372036854775808ns", -1},
        {"9223372036854775807ns1ns", -1},
        {"106751d23h47m16s854ms775us807ns", INT64_MAX},
        {"106751d23h47m16s854ms775us808ns", -1},
        {"292y", 292ll * 365 * 86400000000000},
        {"293y", -1},
        {"9223372036.854775807s", INT64_MAX},
        {"9223372036.854775808s", -1},
        {"0.000000001s", 1},
        {"0.0000000001s", -1}, /* ten digits */
        {"0.999999999ns", 0},
        {"1.999999999us", 1999},
        {"0.5y", 365ll * 43200000000000},
        {"1s1s1s", 3000000000},
        {"1ms1s", 1001000000},
        {"00001s", 1000000000},
        {"1.s", -1},
        {".5s", -1},
        {"0ns", 0},
        {"00", -1},
        {"0.0", -1},
        {"1h 30m", -1},
        {"1H", -1},
        {"1min", -1},
        {"\xce\xbcs", -1},
        {"5\xc2\xb5s", 5000},
        {"5\xce\xbcs", 5000},
        {"5\xc2s", -1},
        {"1s\n", -1},
        {"18446744073709551616s", -1},
        {"18446744073709551615ns", -1},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int64_t ns = -7;
        bool bad = refused(parse_duration(str_of(cases[i].text), &ns));
        if (bad != (cases[i].ns < 0) || ns != (bad ? -7 : cases[i].ns))
            fail_msg("%s: %lld", cases[i].text, (long long)ns);
    }
    int64_t ns;
    assert_true(refused(parse_duration(STR("1s\0"), &ns)));
}

static void exact_durations_say_everything(void **state) {
    (void)state;
    static const int64_t edges[] = {
        0, 1, 999, 1000, 1001, 999999, 59999999999, 60000000000, 86399999999999, 86400000000000, INT64_MAX};
    for (size_t i = 0; i < LENGTH(edges) + 5000; i++) {
        AUTO_BUF struct buf b = {.max = 100};
        int64_t ns = i < LENGTH(edges) ? edges[i] : (int64_t)(hash_u64(i) >> 1 >> i % 60), back = -1;
        put_duration_exact(&b, ns);
        assert_false(refused(parse_duration(buf_str(&b), &back)));
        assert_true(back == ns);
    }
}

/* The short form is for people: three digits of the largest unit below it, cut, never rounded up to the next unit. */
static void short_durations_change_units_at_their_edges(void **state) {
    (void)state;
    static const struct {
        int64_t ns;
        const char *text;
    } cases[] = {
        {0, "0s"},
        {1, "1ns"},
        {999, "999ns"},
        {1000, "1\xc2\xb5s"},
        {1001, "1\xc2\xb5s"},
        {1010, "1.01\xc2\xb5s"},
        {999999, "999\xc2\xb5s"},
        {1000000, "1ms"},
        {999999999, "999ms"},
        {1000000000, "1s"},
        {59999999999, "59.9s"},
        {60000000000, "1m0s"},
        {3599999999999, "59m59s"},
        {3600000000000, "1h0m"},
        {86400000000000, "24h0m"},
        {172799999999999, "47h59m"},
        {172800000000000, "2d0h"},
        {INT64_MAX, "106751d23h"},
        {-1, "-1ns"},
        {-1500000, "-1.5ms"},
        {INT64_MIN, "-106751d23h"},
        {1100, "1.1\xc2\xb5s"},
        {12345, "12.3\xc2\xb5s"},
        {123456, "123\xc2\xb5s"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf b = {.max = 100};
        put_duration_short(&b, cases[i].ns);
        assert_string_equal(b.p, cases[i].text);
    }
}

/* ---- times -------------------------------------------------------------------------------------------------------- */

/* The clock face against a plain walk over days: every leap rule of four centuries. */
static void every_day_is_the_one_after_the_day_before(void **state) {
    (void)state;
    static const int days_of[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year = 1970, month = 1, day = 1;
    for (int64_t n = 0; n < 106750; n++) {
        AUTO_BUF struct buf b = {.max = 40};
        char want[48];
        int64_t back;
        snprintf(want, sizeof want, "%04d-%02d-%02dT12:34:56Z", year, month, day);
        put_time(&b, (n * 86400 + 45296) * 1000000000);
        assert_string_equal(b.p, want);
        if (n % 16 == 0) {
            assert_false(refused(parse_time(buf_str(&b), 0, &back)));
            assert_true(back == (n * 86400 + 45296) * 1000000000);
        }
        bool leap = (year % 4 == 0 && year % 100) || year % 400 == 0;
        if (++day > days_of[month - 1] + (month == 2 && leap)) day = 1, month++;
        if (month > 12) month = 1, year++;
    }
}

static void numbers_are_times_by_their_digits(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ns;
        bool bad;
    } cases[] = {
        {"9223372036", 9223372036000000000, false},
        {"9223372037", INT64_MAX, false},
        {"9223372036.854775807", INT64_MAX, false},
        {"9223372036.854775808", INT64_MAX, false},
        {"99999999999", INT64_MAX, false},           /* 11 digits: seconds */
        {"100000000000", 100000000000000000, false}, /* 12 digits: ms */
        {"99999999999999", INT64_MAX, false},
        {"9223372036854", 9223372036854000000, false},
        {"100000000000000", 100000000000000000, false}, /* 15: us */
        {"99999999999999999", INT64_MAX, false},
        {"100000000000000000", 100000000000000000, false}, /* 18: ns */
        {"9223372036854775807", INT64_MAX, false},
        {"-9223372036854775807", -INT64_MAX, false},
        {"-1", -1000000000, false},
        {"-0", 0, false},
        {"--1", 0, true},
        {"+1", 0, true},
        {"1.", 0, true},
        {"1.0000000001", 0, true},
        {"0.000000001", 1, false},
        {"1 ", 0, true},
        {"", 0, true},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int64_t ns = 77;
        bool bad = refused(parse_time(str_of(cases[i].text), 0, &ns));
        if (bad != cases[i].bad || ns != (bad ? 77 : cases[i].ns)) fail_msg("%s: %lld", cases[i].text, (long long)ns);
    }
}

static void relative_times_stop_at_the_ends_of_time(void **state) {
    (void)state;
    static const struct {
        int64_t now;
        const char *text;
        int64_t ns;
        bool bad;
    } cases[] = {
        {INT64_MAX, "now", INT64_MAX, false},
        {INT64_MAX, "now+0", INT64_MAX, false},
        {INT64_MAX, "now+1ns", INT64_MAX, false},
        {INT64_MIN, "now-1ns", INT64_MIN, false},
        {INT64_MIN, "now+9223372036854775807ns", -1, false},
        {0, "now-9223372036854775807ns", -INT64_MAX, false},
        {-1, "now-9223372036854775807ns", INT64_MIN, false},
        {5, "now--1ns", 0, true},
        {5, "NOW", 0, true},
        {5, "now-1", 0, true},
        {5, "now-5ns", 0, false},
        {5, "now-1.5h", 5 - 5400000000000, false},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int64_t ns = 77;
        bool bad = refused(parse_time(str_of(cases[i].text), cases[i].now, &ns));
        if (bad != cases[i].bad || ns != (bad ? 77 : cases[i].ns)) fail_msg("%s: %lld", cases[i].text, (long long)ns);
    }
}

/* A good time with any byte replaced by any other, or cut anywhere: a time or an error, and no byte outside is read. */
static void any_text_is_a_time_or_an_error(void **state) {
    (void)state;
    static const char *const good[] = {"2024-02-29T23:59:60.123456789+23:59", "1795568523.25", "now-1h30m",
                                       "1h1.5m3us"};
    for (size_t g = 0; g < LENGTH(good); g++)
        for (size_t at = 0; at <= strlen(good[g]); at++)
            for (int c = 0; c < 256; c += c < 128 ? 1 : 37) {
                size_t n = c ? strlen(good[g]) : at;
                AUTO_FREE char *exact = mem_new(n ? n : 1);
                int64_t ns;
                memcpy(exact, good[g], n);
                if (c && at < n) exact[at] = (char)c;
                (void)refused(parse_time(str_span(exact, n), 0, &ns));
                (void)refused(parse_duration(str_span(exact, n), &ns));
            }
}

/* ---- numbers ------------------------------------------------------------------------------------------------------ */

static void whole_numbers_end_where_their_type_ends(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool u64, i64;
    } cases[] = {
        {"0", 1, 1},
        {"-0", 0, 1},
        {"9223372036854775807", 1, 1},
        {"9223372036854775808", 1, 0},
        {"-9223372036854775808", 0, 1},
        {"-9223372036854775809", 0, 0},
        {"18446744073709551615", 1, 0},
        {"18446744073709551616", 0, 0},
        {"00000000000000000000000000000001", 1, 1},
        {"-", 0, 0},
        {"", 0, 0},
        {"1.0", 0, 0},
        {"1e3", 0, 0},
        {"0x1", 0, 0},
        {"1_000", 0, 0},
        {"\xd9\xa1", 0, 0},
        {"--1", 0, 0},
        {"- 1", 0, 0},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint64_t u;
        int64_t s;
        if (refused(parse_u64(str_of(cases[i].text), &u)) == cases[i].u64) fail_msg("u64 %s", cases[i].text);
        if (refused(parse_i64(str_of(cases[i].text), &s)) == cases[i].i64) fail_msg("i64 %s", cases[i].text);
        if (cases[i].u64) assert_true(u == strtoull(cases[i].text, NULL, 10));
        if (cases[i].i64) assert_true(s == strtoll(cases[i].text, NULL, 10));
    }
}

static void sizes_end_where_their_type_ends(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
        bool bad;
    } cases[] = {
        {"18446744073709551615", UINT64_MAX, false},
        {"8388607TiB", 8388607ull << 40, false},
        {"8388608TiB", 0, true},
        {"0", 0, false},
        {"0.5", 0, false},
        {"1.5K", 1536, false},
        {"1.5KB", 1500, false},
        {" 1K", 0, true},
        {"1 K", 1024, false},
        {"1K ", 1024, false},
        {"1kib", 1024, false},
        {"1KiBs", 0, true},
        {"1.5.5K", 0, true},
        {".K", 0, true},
        {".5K", 512, false},
        {"K", 0, true},
        {"1e3K", 0, true},
        {"-1", 0, true},
        {"+1", 0, true},
        {"nan", 0, true},
        {"infK", 0, true},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        uint64_t bytes = 77;
        bool bad = refused(parse_size(str_of(cases[i].text), &bytes));
        if (bad != cases[i].bad || bytes != (bad ? 77 : cases[i].bytes))
            fail_msg("%s: %llu", cases[i].text, (unsigned long long)bytes);
    }
}

static void hex_reads_what_hex_writes(void **state) {
    (void)state;
    for (size_t n = 0; n < 40; n++) {
        unsigned char bytes[40], back[41];
        AUTO_BUF struct buf b = {.max = 100};
        for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)hash_u64(n * 50 + i);
        put_hex(&b, bytes, n);
        assert_int_equal(b.n, 2 * n);
        back[n] = 0x5a;
        assert_false(refused(parse_hex(buf_str(&b), back, n)));
        if (n) assert_memory_equal(bytes, back, n);
        assert_int_equal(back[n], 0x5a);
        assert_true(refused(parse_hex(buf_str(&b), back, n + 1)));
        if (n) assert_true(refused(parse_hex(buf_str(&b), back, n - 1)));
        if (n) assert_true(refused(parse_hex((struct str){b.p, b.n - 1}, back, n)));
    }
    for (int c = 1; c < 256; c++) {
        char text[] = {'0', (char)c};
        unsigned char out;
        bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        assert_int_equal(refused(parse_hex(str_span(text, 2), &out, 1)), !digit);
    }
}

/* ---- UTF-8 -------------------------------------------------------------------------------------------------------- */

static void every_character_is_encoded_and_decoded(void **state) {
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        if (c >= 0xd800 && c < 0xe000) continue;
        size_t n = utf8_encode(c, text);
        assert_int_equal(n, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        const unsigned char *p = (const unsigned char *)text;
        assert_int_equal(utf8_step(p, p + n), (int)n);
        assert_int_equal(utf8_decode(p, (int)n), c);
        for (size_t cut = 1; cut < n; cut++)
            assert_int_equal(utf8_step(p, p + cut), -(int)cut); /* one maximal subpart */
    }
}

/* By table 3-7 of Unicode. */
static bool plain_is_valid(const unsigned char *p, size_t n) {
    static const struct {
        unsigned char first, last, second_min, second_max;
        size_t n;
    } rows[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    for (size_t i = 0; i < n;) {
        size_t row = 0;
        while (row < LENGTH(rows) && !(p[i] >= rows[row].first && p[i] <= rows[row].last)) row++;
        if (row == LENGTH(rows) || rows[row].n > n - i) return false;
        if (rows[row].n > 1 && (p[i + 1] < rows[row].second_min || p[i + 1] > rows[row].second_max)) return false;
        for (size_t k = 2; k < rows[row].n; k++)
            if ((p[i + k] & 0xc0) != 0x80) return false;
        i += rows[row].n;
    }
    return true;
}

static void validity_is_that_of_the_table(void **state) {
    (void)state;
    static const unsigned char edges[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf,
                                          0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    enum { N = LENGTH(edges) };
    uint32_t valid = 0;
    for (uint32_t i = 0; i < N * N * N * N; i++) {
        unsigned char text[4] = {edges[i % N], edges[i / N % N], edges[i / N / N % N], edges[i / N / N / N]};
        bool want = plain_is_valid(text, 4);
        if (utf8_is_valid(str_span(text, 4)) != want)
            fail_msg("%02x %02x %02x %02x", text[0], text[1], text[2], text[3]);
        valid += want;
    }
    assert_true(valid > 500);
}

/* Cleaning changes nothing that is valid, and twice is as once. */
static void cleaning_twice_is_cleaning_once(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 4000; seed++) {
        unsigned char bytes[32];
        size_t n = seed % sizeof bytes;
        for (size_t i = 0; i < n; i++) bytes[i] = (unsigned char)(hash_u64(seed * 40 + i) | (seed % 3 ? 0x80 : 0));
        AUTO_BUF struct buf once = {.max = 1000}, twice = {.max = 1000};
        put_utf8_clean(&once, str_span(bytes, n));
        put_utf8_clean(&twice, buf_str(&once));
        assert_true(str_equal(buf_str(&once), buf_str(&twice)) && utf8_is_valid(buf_str(&once)));
        assert_int_equal(str_equal(buf_str(&once), str_span(bytes, n)), plain_is_valid(bytes, n));
    }
}

/* The digits read back as the value; none fewer do, but at powers of two where the nearest of fewer need not be within the interval. */
static void check_digits(double v) {
    char digits[F64_DIGITS_MAX], text[64], least[64];
    int point, n = f64_digits(v, digits, &point), fewest = 1;
    snprintf(text, sizeof text, "0.%.*se%d", n, digits, point);
    if (strtod(text, NULL) != v) fail_msg("%.17g is not %s", v, text);
    for (; fewest < 17; fewest++) {
        snprintf(least, sizeof least, "%.*e", fewest - 1, v);
        if (strtod(least, NULL) == v) break;
    }
    if (n > fewest) fail_msg("%.17g has %d digits in %s, %d do", v, n, text, fewest);
    snprintf(least, sizeof least, "%.16e", v);
    if (n == 17 && memcmp(least + 2, digits + 1, 16) != 0) fail_msg("%.17g is not nearest in %s", v, text);
}

static void doubles_have_their_shortest_digits(void **state) {
    (void)state;
    uint64_t x = 88172645463325252u, bits;
    for (int i = 0; i < 200000; i++) {
        double v;
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        bits = x & 0x7fffffffffffffff;
        memcpy(&v, &bits, sizeof v);
        if (i % 3 == 1) v = (double)(x % 1000000007) / (double)(1 + x % 99991);
        if (i % 3 == 2) v = (double)(x >> 11);
        if (v > 0 && isfinite(v)) check_digits(v);
    }
    for (int e = -1074; e < 1024; e++) check_digits(ldexp(1, e));
    check_digits(1.7976931348623157e308);
    check_digits(9007199254740992.0);
    check_digits(5e-324);
    check_digits(0.3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_reach_the_last_nanosecond),
        cmocka_unit_test(exact_durations_say_everything),
        cmocka_unit_test(short_durations_change_units_at_their_edges),
        cmocka_unit_test(every_day_is_the_one_after_the_day_before),
        cmocka_unit_test(numbers_are_times_by_their_digits),
        cmocka_unit_test(relative_times_stop_at_the_ends_of_time),
        cmocka_unit_test(any_text_is_a_time_or_an_error),
        cmocka_unit_test(whole_numbers_end_where_their_type_ends),
        cmocka_unit_test(sizes_end_where_their_type_ends),
        cmocka_unit_test(hex_reads_what_hex_writes),
        cmocka_unit_test(every_character_is_encoded_and_decoded),
        cmocka_unit_test(validity_is_that_of_the_table),
        cmocka_unit_test(cleaning_twice_is_cleaning_once),
        cmocka_unit_test(doubles_have_their_shortest_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
