/* printf of templates: the verbs of Go's fmt that numbers, texts and truth values take. */
#include "alert/template_priv.h"

#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "query/promql/number.h"

enum { WIDTH_MAX = 1000 };

struct verb {
    bool minus, plus, sharp, space, zero;
    int width, precision; /* -1: not given */
    char letter;
};

static size_t read_number(struct str f, size_t i, int *out) {
    int n = 0;
    for (; i < f.n && f.p[i] >= '0' && f.p[i] <= '9'; i++) n = MIN(n * 10 + (f.p[i] - '0'), WIDTH_MAX);
    *out = n;
    return i;
}

/* Behind %; where the verb's letter is. */
static size_t read_verb(struct str f, size_t i, struct verb *v) {
    *v = (struct verb){.width = -1, .precision = -1};
    for (;; i++) {
        char c = i < f.n ? f.p[i] : 0;
        if (c == '-')
            v->minus = true;
        else if (c == '+')
            v->plus = true;
        else if (c == '#')
            v->sharp = true;
        else if (c == ' ')
            v->space = true;
        else if (c == '0')
            v->zero = true;
        else
            break;
    }
    if (i < f.n && f.p[i] >= '1' && f.p[i] <= '9') i = read_number(f, i, &v->width);
    if (i < f.n && f.p[i] == '.') i = read_number(f, i + 1, &v->precision);
    v->letter = i < f.n ? f.p[i] : 0;
    return i;
}

static size_t runes(struct str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

static void put_padded(struct buf *out, const struct verb *v, struct str s, bool zeros) {
    size_t n = runes(s), gap = v->width > 0 && (size_t)v->width > n ? (size_t)v->width - n : 0;
    bool sign = zeros && gap && s.n && strchr("+-", s.p[0]);
    if (sign) buf_add_byte(out, s.p[0]), s.p++, s.n--;
    for (size_t i = 0; i < gap && !v->minus; i++) buf_add_byte(out, zeros ? '0' : ' ');
    buf_add_str(out, s);
    for (size_t i = 0; i < gap && v->minus; i++) buf_add_byte(out, ' ');
}

static bool put_float(struct buf *out, const struct verb *v, double x) {
    char format[16], digits[512];
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    char letter = v->letter == 'v' ? 'g' : v->letter == 'F' ? 'f' : v->letter;
    if (!letter || !strchr("eEfgG", letter)) return false;
    if (!isfinite(x)) {
        put_padded(out, v, isnan(x) ? STR("NaN") : x > 0 ? STR("+Inf") : STR("-Inf"), false);
        return true;
    }
    if (letter == 'g' && v->precision < 0) {
        if (v->plus && !signbit(x)) buf_add_byte(&text, '+');
        put_go_general(&text, x);
    } else {
        snprintf(format, sizeof format, "%%%s%s.*%c", v->plus ? "+" : v->space ? " " : "", v->sharp ? "#" : "", letter);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(digits, sizeof digits, format, v->precision < 0 ? 6 : MIN(v->precision, 100), x);
#pragma GCC diagnostic pop
        buf_add_text(&text, digits);
    }
    put_padded(out, v, buf_str(&text), v->zero && !v->minus);
    return true;
}

static bool put_integer(struct buf *out, const struct verb *v, int64_t x) {
    AUTO_BUF struct buf text;
    buf_init(&text, 256);
    uint64_t size = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    if (v->letter == 'c') {
        if (size >= 0x80) return false;
        buf_add_byte(&text, (char)size);
        put_padded(out, v, buf_str(&text), false);
        return true;
    }
    if (x < 0 || v->plus) buf_add_byte(&text, x < 0 ? '-' : '+');
    switch (v->letter) {
    case 'd':
    case 'v': put_u64(&text, size); break;
    case 'x': buf_add_fmt(&text, v->sharp ? "0x%llx" : "%llx", (unsigned long long)size); break;
    case 'X': buf_add_fmt(&text, v->sharp ? "0X%llX" : "%llX", (unsigned long long)size); break;
    case 'o': buf_add_fmt(&text, "%llo", (unsigned long long)size); break;
    case 'b':
        for (int bit = size ? 63 - __builtin_clzll(size) : 0; bit >= 0; bit--)
            buf_add_byte(&text, size >> bit & 1 ? '1' : '0');
        break;
    default: return false;
    }
    put_padded(out, v, buf_str(&text), v->zero && !v->minus);
    return true;
}

static bool put_text(struct buf *out, const struct verb *v, struct str s) {
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * (size_t)TEMPLATE_OUT_MAX);
    if (v->precision >= 0 && v->letter != 'x') {
        size_t n = 0, seen = 0;
        for (; n < s.n; n++)
            if (((unsigned char)s.p[n] & 0xc0) != 0x80 && seen++ == (size_t)v->precision) break;
        s.n = n;
    }
    switch (v->letter) {
    case 's':
    case 'v': buf_add_str(&text, s); break;
    case 'q': put_go_quoted(&text, s); break;
    case 'x': put_hex(&text, s.p, s.n); break;
    default: return false;
    }
    put_padded(out, v, text.n ? buf_str(&text) : STR(""), v->zero && !v->minus);
    return true;
}

static bool put_verb(struct buf *out, const struct verb *v, const struct value *x) {
    switch (x->kind) {
    case VALUE_FLOAT: return put_float(out, v, x->number);
    case VALUE_INT: return put_integer(out, v, x->integer);
    case VALUE_STRING: return put_text(out, v, x->text);
    case VALUE_BOOL:
        if (v->letter != 't' && v->letter != 'v') return false;
        put_padded(out, v, x->boolean ? STR("true") : STR("false"), false);
        return true;
    case VALUE_NIL:
        if (v->letter != 'v') return false;
        put_padded(out, v, STR("<nil>"), false);
        return true;
    case VALUE_LABELS:
    case VALUE_SAMPLE:
    case VALUE_SAMPLES:
    case VALUE_ARGS:
    case VALUE_TIME:
    case VALUE_ROOT: break;
    }
    AUTO_BUF struct buf text;
    buf_init(&text, TEMPLATE_OUT_MAX);
    value_print(x, &text);
    return put_text(out, v, text.n ? buf_str(&text) : STR(""));
}

err template_format(struct run *r, const struct value *args, size_t n, struct buf *out) {
    size_t next = 1;
    (void)r;
    if (args[0].kind != VALUE_STRING)
        return err_new(ERR_INVALID, "wrong type for value; expected string; got %s", value_type(&args[0]));
    struct str f = args[0].text;
    for (size_t i = 0; i < f.n; i++) {
        struct verb v;
        if (f.p[i] != '%') {
            buf_add_byte(out, f.p[i]);
            continue;
        }
        i = read_verb(f, i + 1, &v);
        if (!v.letter) {
            buf_add_text(out, "%!(NOVERB)");
        } else if (v.letter == '%') {
            buf_add_byte(out, '%');
        } else if (next >= n) {
            buf_add_fmt(out, "%%!%c(MISSING)", v.letter);
        } else {
            const struct value *x = &args[next++];
            if (put_verb(out, &v, x)) continue;
            buf_add_fmt(out, "%%!%c(%s=", v.letter, value_type(x));
            value_print(x, out);
            buf_add_byte(out, ')');
        }
    }
    if (next < n) buf_add_text(out, "%!(EXTRA ");
    for (size_t i = next; i < n; i++) {
        buf_add_fmt(out, "%s%s=", i > next ? ", " : "", value_type(&args[i]));
        value_print(&args[i], out);
    }
    if (next < n) buf_add_byte(out, ')');
    return NULL;
}
