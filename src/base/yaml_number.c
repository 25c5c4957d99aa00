/* Whole numbers as Prometheus's reader of YAML has them: yaml.v2 2.4, resolve.go and decode.go. */
#include "base/text.h"
#include "base/yaml.h"

enum { NUMBER_BYTES_MAX = 64 };

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

err yaml_count(const struct yaml *y, uint64_t *out) {
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
