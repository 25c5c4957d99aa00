#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text_priv.h"

enum { QUOTE_MAX = 64, F64_TEXT_MAX = 1024 };

err text_invalid(struct str s, const char *what) {
    AUTO_BUF struct buf quoted = {.max = QUOTE_MAX * 8};
    put_terminal(&quoted, (struct str){s.p, MIN(s.n, QUOTE_MAX)});
    return err_new(ERR_INVALID, "not %s: \"" STR_FMT "%s\"", what, STR_ARG(buf_str(&quoted)),
                   s.n > QUOTE_MAX ? "…" : "");
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

size_t text_digits(struct str s, uint64_t *out) {
    size_t i = 0;
    *out = 0;
    for (; i < s.n && s.p[i] >= '0' && s.p[i] <= '9'; i++)
        if (__builtin_mul_overflow(*out, (uint64_t)10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(s.p[i] - '0'), out))
            return TEXT_DIGITS_OVER;
    return i;
}

err parse_u64(struct str s, uint64_t *out) {
    uint64_t v;
    size_t n = text_digits(s, &v);
    if (n == TEXT_DIGITS_OVER) return text_invalid(s, "a number below 2^64");
    if (n == 0 || n != s.n) return text_invalid(s, "a whole number");
    *out = v;
    return NULL;
}

err parse_i64(struct str s, int64_t *out) {
    bool negative = s.n && s.p[0] == '-';
    struct str digits = negative ? (struct str){s.p + 1, s.n - 1} : s;
    uint64_t v, most = (uint64_t)INT64_MAX + negative;
    size_t n = text_digits(digits, &v);
    if (n == TEXT_DIGITS_OVER || (n == digits.n && v > most)) return text_invalid(s, "a number of 64 bits");
    if (n == 0 || n != digits.n) return text_invalid(s, "a whole number");
    *out = (int64_t)(negative ? -v : v);
    return NULL;
}

static size_t skip_digits(struct str s, size_t i) {
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') i++;
    return i;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or after the point. */
static bool is_decimal(struct str s) {
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0, from = i;
    i = skip_digits(s, i);
    size_t digits = i - from;
    if (i < s.n && s.p[i] == '.') {
        from = ++i;
        i = skip_digits(s, i);
        digits += i - from;
    }
    if (!digits) return false;
    if (i < s.n && (s.p[i] | 0x20) == 'e') {
        i++;
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+')) i++;
        from = i;
        i = skip_digits(s, i);
        if (i == from) return false;
    }
    return i == s.n;
}

err parse_f64(struct str s, double *out) {
    char text[F64_TEXT_MAX + 1];
    if (s.n > F64_TEXT_MAX || !is_decimal(s)) return text_invalid(s, "a number");
    memcpy(text, s.p, s.n);
    text[s.n] = 0;
    double v = strtod(text, NULL); /* clew never calls setlocale: the point is a point */
    if (isinf(v)) return text_invalid(s, "a number that a double can hold");
    *out = v;
    return NULL;
}

/* The value of a hex digit; 0xff for all else. */
static uint8_t hex_value(char c) {
    if (c >= '0' && c <= '9') return (uint8_t)(c - '0');
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? (uint8_t)(c - 'a' + 10) : 0xff;
}

err parse_hex(struct str s, void *out, size_t bytes) {
    bool good = s.n % 2 == 0 && s.n / 2 == bytes;
    for (size_t i = 0; good && i < s.n; i++) good = hex_value(s.p[i]) != 0xff;
    if (!good) {
        char what[64];
        snprintf(what, sizeof what, "%zu hex digits", 2 * bytes);
        return text_invalid(s, what);
    }
    for (size_t i = 0; i < bytes; i++)
        ((uint8_t *)out)[i] = (uint8_t)(hex_value(s.p[2 * i]) << 4 | hex_value(s.p[2 * i + 1]));
    return NULL;
}

err parse_size(struct str s, uint64_t *out_bytes) {
    static const struct {
        struct str name;
        double bytes;
    } units[] = {{STR(""), 1},         {STR("B"), 1},        {STR("K"), 0x1p10},   {STR("KiB"), 0x1p10},
                 {STR("KB"), 1e3},     {STR("M"), 0x1p20},   {STR("MiB"), 0x1p20}, {STR("MB"), 1e6},
                 {STR("G"), 0x1p30},   {STR("GiB"), 0x1p30}, {STR("GB"), 1e9},     {STR("T"), 0x1p40},
                 {STR("TiB"), 0x1p40}, {STR("TB"), 1e12}};
    uint64_t whole;
    if (s.n && text_digits(s, &whole) == s.n) return parse_u64(s, out_bytes);
    size_t i = 0;
    while (i < s.n && (s.p[i] == '.' || (s.p[i] >= '0' && s.p[i] <= '9'))) i++;
    struct str unit = str_trim((struct str){s.p + i, s.n - i});
    double v;
    err e = parse_f64((struct str){s.p, i}, &v);
    for (size_t u = 0; !e && u < LENGTH(units); u++) {
        if (!str_equal_nocase(unit, units[u].name)) continue;
        if (v * units[u].bytes >= 0x1p63) break;
        *out_bytes = (uint64_t)(v * units[u].bytes);
        return NULL;
    }
    err_free(e);
    return text_invalid(s, "a size such as 512, 64KiB or 1.5GiB");
}

err parse_bool(struct str s, bool *out) {
    static const struct str words[] = {STR("false"), STR("true"), STR("0"),   STR("1"),
                                       STR("no"),    STR("yes"),  STR("off"), STR("on")};
    for (size_t i = 0; i < LENGTH(words); i++)
        if (str_equal(s, words[i])) {
            *out = i % 2;
            return NULL;
        }
    return text_invalid(s, "true or false");
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

void put_hex(struct buf *b, const void *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = bytes;
    char *to = n <= SIZE_MAX / 2 ? text_room(b, 2 * n) : text_room(b, n);
    if (!to) return;
    for (size_t i = 0; i < n; i++) {
        *to++ = digits[from[i] >> 4];
        *to++ = digits[from[i] & 15];
    }
    text_used(b, to);
}

void put_base64(struct buf *b, const void *bytes, size_t n) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *from = bytes;
    char *to = text_room(b, n <= SIZE_MAX / 2 ? (n + 2) / 3 * 4 : n);
    if (!to) return;
    for (; n >= 3; from += 3, n -= 3) {
        uint32_t v = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        *to++ = digits[v >> 6 & 63];
        *to++ = digits[v & 63];
    }
    if (n) {
        uint32_t v = (uint32_t)from[0] << 16 | (n == 2 ? (uint32_t)from[1] << 8 : 0);
        *to++ = digits[v >> 18];
        *to++ = digits[v >> 12 & 63];
        *to++ = n == 2 ? digits[v >> 6 & 63] : '=';
        *to++ = '=';
    }
    text_used(b, to);
}

static const char two_digits[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
                                 "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
                                 "8081828384858687888990919293949596979899";

/* Writes v before `end`; returns where it starts. */
static char *digits_before(char *end, uint64_t v) {
    while (v >= 100) {
        end -= 2;
        memcpy(end, two_digits + v % 100 * 2, 2);
        v /= 100;
    }
    if (v < 10) {
        *--end = (char)('0' + v);
        return end;
    }
    end -= 2;
    memcpy(end, two_digits + v * 2, 2);
    return end;
}

void put_u64(struct buf *b, uint64_t v) {
    char text[20], *end = text + sizeof text, *at = digits_before(end, v);
    buf_add(b, at, (size_t)(end - at));
}

void put_i64(struct buf *b, int64_t v) {
    char text[21], *end = text + sizeof text, *at = digits_before(end, v < 0 ? -(uint64_t)v : (uint64_t)v);
    if (v < 0) *--at = '-';
    buf_add(b, at, (size_t)(end - at));
}

static const double powers_of_ten[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};

/* Most numbers of telemetry have few decimals: v is m / 10^k with m < 2^53, and that division is exactly rounded, so the
 * text "m with k decimals" reads back as v. The least such k gives the fewest digits. False: no such k. */
static bool put_short_decimal(struct buf *b, double v) {
    double a = fabs(v);
    if (a >= 1e15 || a < 1e-5) return false;
    for (int k = 0; k < (int)LENGTH(powers_of_ten); k++) {
        double m = a * powers_of_ten[k];
        if (m >= 0x1p53) return false;
        m = rint(m);
        if (m / powers_of_ten[k] != a) continue;
        char text[40], *end = text + sizeof text, *at = end;
        uint64_t digits = (uint64_t)m;
        for (int i = 0; i < k; i++, digits /= 10) *--at = (char)('0' + digits % 10);
        if (k) *--at = '.';
        at = digits_before(at, digits);
        if (v < 0) *--at = '-';
        buf_add(b, at, (size_t)(end - at));
        return true;
    }
    return false;
}

static void put_with_exponent(struct buf *b, const char *digits, int n, int exponent) {
    buf_add(b, digits, 1);
    if (n > 1) buf_add_byte(b, '.');
    buf_add(b, digits + 1, (size_t)n - 1);
    buf_add_fmt(b, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
}

static void put_with_point(struct buf *b, const char *digits, int n, int point) {
    static const char zeros[] = "00000000000000000000000000000000";
    if (point <= 0) {
        buf_add_text(b, "0.");
        buf_add(b, zeros, (size_t)-point);
        buf_add(b, digits, (size_t)n);
        return;
    }
    buf_add(b, digits, (size_t)MIN(n, point));
    if (point > n) buf_add(b, zeros, (size_t)(point - n));
    if (n <= point) return;
    buf_add_byte(b, '.');
    buf_add(b, digits + point, (size_t)(n - point));
}

void put_f64(struct buf *b, double v) {
    if (isnan(v)) return buf_add_text(b, "NaN");
    if (isinf(v)) return buf_add_text(b, v > 0 ? "+Inf" : "-Inf");
    if (v == 0) return buf_add_text(b, signbit(v) ? "-0" : "0");
    if (put_short_decimal(b, v)) return;
    char digits[F64_DIGITS_MAX];
    int point, n = f64_digits(fabs(v), digits, &point);
    if (v < 0) buf_add_byte(b, '-');
    if (point - 1 < -4 || point - 1 >= MAX(n, 15)) /* as %.15g */
        put_with_exponent(b, digits, n, point - 1);
    else
        put_with_point(b, digits, n, point);
}

void put_size(struct buf *b, uint64_t bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t unit = 0;
    while (v >= 1023.95 && unit + 1 < LENGTH(units)) v /= 1024, unit++;
    buf_add_fmt(b, "%.*f %s", unit && v < 99.95 ? 1 : 0, v, units[unit]);
}

void put_count(struct buf *b, uint64_t n) {
    char text[20], *end = text + sizeof text, *at = digits_before(end, n);
    for (; at < end; at++) {
        buf_add_byte(b, *at);
        if (end - at > 1 && (end - at) % 3 == 1) buf_add_byte(b, ',');
    }
}
