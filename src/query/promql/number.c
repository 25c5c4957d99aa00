#include "query/promql/number.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "base/text.h"

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static bool put_special(struct buf *b, double v) {
    if (isnan(v))
        buf_add_text(b, "NaN");
    else if (isinf(v))
        buf_add_text(b, v > 0 ? "+Inf" : "-Inf");
    else if (v == 0)
        buf_add_text(b, signbit(v) ? "-0" : "0");
    else
        return false;
    return true;
}

static void put_zeros(struct buf *b, int n) {
    for (int i = 0; i < n; i++) buf_add_byte(b, '0');
}

static void put_plain_digits(struct buf *b, const char *digits, int n, int point) {
    if (point <= 0) {
        buf_add_text(b, "0.");
        put_zeros(b, -point);
        buf_add(b, digits, (size_t)n);
        return;
    }
    buf_add(b, digits, (size_t)MIN(n, point));
    put_zeros(b, point - n);
    if (n <= point) return;
    buf_add_byte(b, '.');
    buf_add(b, digits + point, (size_t)(n - point));
}

/* Exponents outside of [low, high) are written, with two digits at least. */
static void put_number(struct buf *b, double v, int low, int high) {
    char digits[F64_DIGITS_MAX];
    int point;
    if (put_special(b, v)) return;
    int n = f64_digits(fabs(v), digits, &point);
    if (v < 0) buf_add_byte(b, '-');
    if (point - 1 >= low && point - 1 < high) {
        put_plain_digits(b, digits, n, point);
        return;
    }
    buf_add_byte(b, digits[0]);
    if (n > 1) {
        buf_add_byte(b, '.');
        buf_add(b, digits + 1, (size_t)(n - 1));
    }
    buf_add_fmt(b, "e%c%02d", point < 1 ? '-' : '+', point < 1 ? 1 - point : point - 1);
}

void put_sample_value(struct buf *b, double v) { put_number(b, v, -6, 21); }
void put_go_plain(struct buf *b, double v) { put_number(b, v, -1000, 1000); }
void put_go_general(struct buf *b, double v) { put_number(b, v, -4, 6); }

void put_go_quoted(struct buf *b, struct str text) {
    static const char names[] = "\a\b\f\n\r\t\v\\\"", letters[] = "abfnrtv\\\"";
    buf_add_byte(b, '"');
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        const char *name = c ? strchr(names, c) : NULL;
        size_t n = 1;
        if (c >= 0x80) {
            n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
            if (i + n <= text.n && utf8_is_valid((struct str){text.p + i, n})) {
                buf_add(b, text.p + i, n);
                i += n;
                continue;
            }
        }
        i++;
        if (name)
            buf_add_fmt(b, "\\%c", letters[name - names]);
        else if (c < 0x20 || c >= 0x7f)
            buf_add_fmt(b, "\\x%02x", c);
        else
            buf_add_byte(b, (char)c);
    }
    buf_add_byte(b, '"');
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

static bool parse_based(struct str s, int base, double *out) {
    double v = 0;
    bool digit = false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '_') {
            if (i + 1 == s.n) return false;
            continue;
        }
        int d = digit_of(s.p[i]);
        if (d >= base) return false;
        v = v * base + d;
        digit = true;
    }
    if (digit) *out = v;
    return digit;
}

bool parse_promql_number(struct str s, double *out) {
    if (str_equal_nocase(s, STR("inf")) || str_equal_nocase(s, STR("+inf"))) return *out = INFINITY, true;
    if (str_equal_nocase(s, STR("-inf"))) return *out = -INFINITY, true;
    if (str_equal_nocase(s, STR("nan"))) return *out = NAN, true;
    if (s.n > 1 && s.p[0] == '0') {
        char kind = (char)(s.p[1] | 0x20);
        int base = kind == 'x' ? 16 : kind == 'o' ? 8 : kind == 'b' ? 2 : 0;
        if (base) return parse_based((struct str){s.p + 2, s.n - 2}, base, out);
        if (parse_based(s, 8, out)) return true; /* 0755 */
    }
    char plain[128];
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        bool between = i > 0 && i + 1 < s.n && isdigit((unsigned char)s.p[i - 1]) && isdigit((unsigned char)s.p[i + 1]);
        if (s.p[i] == '_' && between) continue;
        if (s.p[i] == '_' || n + 2 >= sizeof plain) return false;
        if (s.p[i] == '.' && (n == 0 || !isdigit((unsigned char)plain[n - 1]))) plain[n++] = '0'; /* .5 */
        plain[n++] = s.p[i];
        if (s.p[i] == '.' && (i + 1 == s.n || !isdigit((unsigned char)s.p[i + 1]))) plain[n++] = '0'; /* 5. */
    }
    double v;
    err e = parse_f64((struct str){plain, n}, &v);
    if (e) return err_free(e), false;
    *out = v;
    return true;
}

/* ---- durations --------------------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    int64_t ms;
} units[] = {{"y", 31536000000}, {"w", 604800000}, {"d", 86400000}, {"h", 3600000},
             {"m", 60000},       {"s", 1000},      {"ms", 1}};

bool parse_promql_duration(struct str s, int64_t *out_ms) {
    int64_t total = 0;
    size_t i = 0, unit = 0;
    while (i < s.n) {
        size_t from = i;
        while (i < s.n && isdigit((unsigned char)s.p[i])) i++;
        size_t digits = i - from, letters = i;
        while (letters < s.n && isalpha((unsigned char)s.p[letters])) letters++;
        struct str name = {s.p + i, letters - i};
        while (unit < LENGTH(units) && !str_equal(name, str_of(units[unit].name))) unit++;
        uint64_t n = 0;
        err e = digits ? parse_u64((struct str){s.p + from, digits}, &n) : NULL;
        bool good = !e && digits && unit < LENGTH(units);
        err_free(e);
        int64_t part;
        if (!good || n > INT64_MAX / 2 || __builtin_mul_overflow((int64_t)n, units[unit].ms, &part) ||
            __builtin_add_overflow(total, part, &total) || total > INT64_MAX / 1000000)
            return false;
        unit++;
        i = letters;
    }
    if (s.n) *out_ms = total;
    return s.n > 0;
}

void put_promql_duration(struct buf *b, int64_t ms) {
    if (ms == 0) return buf_add_text(b, "0s");
    if (ms < 0) buf_add_byte(b, '-');
    uint64_t rest = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
    for (size_t i = 0; i < LENGTH(units); i++) {
        uint64_t size = (uint64_t)units[i].ms, n = rest / size;
        bool exact_only = i < 3; /* years, weeks and days stand alone or not at all, as Prometheus writes them */
        if (n == 0 || (exact_only && rest % size != 0)) continue;
        buf_add_fmt(b, "%llu%s", (unsigned long long)n, units[i].name);
        rest -= n * size;
    }
}
