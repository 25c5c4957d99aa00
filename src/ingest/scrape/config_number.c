/* Numbers of a prometheus.yml, as Prometheus's readers have them: yaml.v2 2.4 (resolve.go, decode.go) and alecthomas/units (bytes.go). */
#include "base/text.h"
#include "base/yaml.h"
#include "ingest/scrape/config_priv.h"

enum { NUMBER_BYTES_MAX = 64 };

/* ---- counts ------------------------------------------------------------------------------------------------------------ */

static bool is_digit_of(char c, uint64_t base, uint64_t *out) {
    char lower = (char)(c | 32);
    bool letter = lower >= 'a' && lower <= 'f';
    *out = letter ? (uint64_t)(lower - 'a') + 10 : (uint64_t)(unsigned char)c - '0';
    return (letter || (c >= '0' && c <= '9')) && *out < base;
}

static bool read_digits(struct str text, uint64_t base, uint64_t *out) {
    uint64_t sum = 0, digit;
    if (!text.n) return false;
    for (size_t i = 0; i < text.n; i++)
        if (!is_digit_of(text.p[i], base, &digit) || __builtin_mul_overflow(sum, base, &sum) ||
            __builtin_add_overflow(sum, digit, &sum))
            return false;
    *out = sum;
    return true;
}

/* 10, 0x10, 0o17, 017, 0b11. */
static bool read_whole(struct str text, uint64_t *out) {
    static const struct {
        struct str prefix;
        uint64_t base;
    } bases[] = {{STR("0x"), 16}, {STR("0X"), 16}, {STR("0o"), 8}, {STR("0O"), 8}, {STR("0b"), 2}, {STR("0B"), 2}};
    for (size_t i = 0; i < LENGTH(bases); i++)
        if (str_starts_with(text, bases[i].prefix))
            return read_digits((struct str){text.p + 2, text.n - 2}, bases[i].base, out);
    return read_digits(text, text.n > 1 && text.p[0] == '0' ? 8 : 10, out);
}

/* 1.0, .5, 1e3: what is behind the point is cut. */
static bool read_cut(struct str text, uint64_t *out) {
    double v;
    for (size_t i = 0; i < text.n; i++)
        if (!strchr("0123456789.eE+-", text.p[i]) || !text.p[i]) return false;
    err e = parse_f64(text, &v);
    bool good = !e && v >= 0 && v < 0x1p64;
    err_free(e);
    if (good) *out = (uint64_t)v;
    return good;
}

err scrape_u64(const struct yaml *y, uint64_t *out) {
    char plain[NUMBER_BYTES_MAX];
    struct str text = {0}, number = {plain, 0};
    if (yaml_is_null(y)) return NULL;
    TRY(yaml_text(y, &text));
    bool good = !y->quoted && text.n < sizeof plain;
    for (size_t i = 0; good && i < text.n; i++)
        if (text.p[i] != '_') plain[number.n++] = text.p[i];
    if (number.n && plain[0] == '+') number = (struct str){plain + 1, number.n - 1};
    good = good && number.n && (read_whole(number, out) || read_cut(number, out));
    return good ? NULL : yaml_err(y, "expected a whole number, not \"" STR_FMT "\"", STR_ARG(text));
}

/* ---- sizes ------------------------------------------------------------------------------------------------------------- */

/* B, KB, KiB, …: all are powers of 1024. What of the text is not of it stays in *rest. */
static bool read_unit(struct str *rest, double *out) {
    static const char units[] = "KMGTPE";
    size_t n = 0;
    *out = 1;
    const char *unit = rest->n ? memchr(units, rest->p[0], LENGTH(units) - 1) : NULL;
    if (unit) {
        for (const char *u = units; u <= unit; u++) *out *= 1024;
        n++;
        n += n < rest->n && rest->p[n] == 'i';
    }
    if (n >= rest->n || rest->p[n] != 'B') return false;
    *rest = (struct str){rest->p + n + 1, rest->n - n - 1};
    return true;
}

/* 1.5MB, 1GB512MB. */
static bool read_sizes(struct str text, double *out) {
    double sum = 0, v, unit;
    while (text.n) {
        size_t n = 0;
        while (n < text.n && ((text.p[n] >= '0' && text.p[n] <= '9') || text.p[n] == '.')) n++;
        err e = parse_f64((struct str){text.p, n}, &v);
        bool good = !e;
        err_free(e);
        text = (struct str){text.p + n, text.n - n};
        if (!good || !read_unit(&text, &unit)) return false;
        sum += v * unit;
    }
    *out = sum;
    return sum < 0x1p63;
}

err scrape_size(const struct yaml *y, uint64_t *out) {
    struct str text = {0};
    double v = 0;
    if (yaml_is_null(y)) return NULL;
    TRY(yaml_text(y, &text));
    bool none = str_equal(text, STR("0"));
    if (!none && !str_ends_with(text, STR("B")))
        return yaml_err(y, "body_size_limit: missing unit in \"" STR_FMT "\"", STR_ARG(text));
    if (!none && (text.n >= NUMBER_BYTES_MAX || !read_sizes(text, &v)))
        return yaml_err(y, "body_size_limit: \"" STR_FMT "\" is no size", STR_ARG(text));
    *out = (uint64_t)v;
    return NULL;
}
