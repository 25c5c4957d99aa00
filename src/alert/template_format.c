/* printf of templates: the verbs of Go's fmt that numbers, texts, truth values and times take.
 *
 *   %[flags][width][.precision][[n]]verb    width and precision may be *, and [n] says which argument is next
 *
 * Of floats %b is not here, of labels and times there is what %v, %s, %q and %x say. A width or precision beyond TEMPLATE_OUT_MAX is over that limit. */
#include "alert/template_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "query/promql/number.h"

enum { NUMBER_MAX = 1000000, FLOAT_PRECISION_MAX = 1100, DIGITS_MAX = 2048 };

struct verb {
    bool minus, plus, sharp, space, zero;
    int width, precision; /* -1: not given */
    uint32_t letter;      /* 0: none */
};

struct format {
    struct str text;
    size_t at;
    const struct value *args; /* behind the format */
    size_t arg_n, next;
    bool bad_index, reordered;
    struct buf *out;
};

/* ---- reading ----------------------------------------------------------------------------------------------------- */

static char here(const struct format *f) { return f->at < f->text.n ? f->text.p[f->at] : 0; }

/* -1: there is none. */
static int read_number(struct format *f) {
    int n = 0;
    size_t start = f->at;
    for (; here(f) >= '0' && here(f) <= '9'; f->at++) n = MIN(n * 10 + (here(f) - '0'), NUMBER_MAX);
    return f->at == start ? -1 : n;
}

/* [n]; true: there was one. */
static bool read_index(struct format *f) {
    if (here(f) != '[') return false;
    f->reordered = true;
    ptrdiff_t close = str_find((struct str){f->text.p + f->at, f->text.n - f->at}, ']');
    size_t end = f->at + (close < 0 ? 1 : (size_t)close + 1);
    f->at++;
    int n = close < 0 ? -1 : read_number(f);
    bool good = n >= 1 && f->at + 1 == end && (size_t)n <= f->arg_n;
    f->at = end;
    if (good)
        f->next = (size_t)n - 1;
    else
        f->bad_index = true;
    return good;
}

/* The argument of *; false: it is no number that a width can be. */
static bool take_star(struct format *f, int *out) {
    f->at++;
    if (f->next >= f->arg_n) return false;
    const struct value *v = &f->args[f->next++];
    bool good = v->kind == VALUE_INT && v->integer <= NUMBER_MAX && v->integer >= -NUMBER_MAX;
    if (good) *out = (int)v->integer;
    return good;
}

static void read_flags(struct format *f, struct verb *v) {
    for (;; f->at++) {
        switch (here(f)) {
        case '-': v->minus = true; break;
        case '+': v->plus = true; break;
        case '#': v->sharp = true; break;
        case ' ': v->space = true; break;
        case '0': v->zero = true; break;
        default: return;
        }
    }
}

static void read_width(struct format *f, struct verb *v, bool *indexed) {
    if (here(f) != '*') {
        v->width = read_number(f);
        if (*indexed && v->width >= 0) f->bad_index = true;
        return;
    }
    int width = 0;
    bool good = take_star(f, &width);
    if (!good) buf_add_text(f->out, "%!(BADWIDTH)");
    v->minus |= width < 0;
    v->width = good ? abs(width) : -1;
    *indexed = false;
}

static void read_precision(struct format *f, struct verb *v, bool *indexed) {
    if (here(f) != '.') return;
    f->at++;
    if (*indexed) f->bad_index = true;
    *indexed = read_index(f);
    if (here(f) != '*') {
        v->precision = read_number(f);
        if (v->precision < 0) v->precision = 0;
        return;
    }
    int precision = -1;
    bool good = take_star(f, &precision);
    if (!good || precision < 0) buf_add_text(f->out, "%!(BADPREC)");
    v->precision = good && precision >= 0 ? precision : -1;
    *indexed = false;
}

/* Behind %; at the end behind the verb's letter. */
static struct verb read_verb(struct format *f) {
    struct verb v = {.width = -1, .precision = -1};
    f->bad_index = false;
    read_flags(f, &v);
    bool indexed = read_index(f);
    read_width(f, &v, &indexed);
    read_precision(f, &v, &indexed);
    if (!indexed) read_index(f);
    if (v.minus) v.zero = false;
    if (f->at < f->text.n) f->at += rune_read(f->text, f->at, &v.letter);
    if (v.letter == 'v') v.plus = false; /* +v is about structs */
    return v;
}

/* ---- writing ----------------------------------------------------------------------------------------------------- */

static size_t runes(struct str s) {
    size_t n = 0;
    uint32_t c;
    for (size_t i = 0; i < s.n; n++) i += rune_read(s, i, &c);
    return n;
}

static void put_repeated(struct buf *out, char c, size_t n) {
    for (size_t i = 0; i < n && !out->full; i++) buf_add_byte(out, c);
}

static void put_padded(struct buf *out, const struct verb *v, struct str s, bool zeros) {
    size_t n = runes(s), gap = v->width > 0 && (size_t)v->width > n ? (size_t)v->width - n : 0;
    if (!v->minus) put_repeated(out, zeros ? '0' : ' ', gap);
    buf_add_str(out, s);
    if (v->minus) put_repeated(out, ' ', gap);
}

/* Digits behind their sign: zeros go between the two. */
static void put_signed(struct buf *out, const struct verb *v, const char *sign, struct str digits, bool zeros) {
    size_t n = strlen(sign) + digits.n, gap = v->width > 0 && (size_t)v->width > n ? (size_t)v->width - n : 0;
    if (!zeros && !v->minus) put_repeated(out, ' ', gap);
    buf_add_text(out, sign);
    if (zeros && !v->minus) put_repeated(out, '0', gap);
    buf_add_str(out, digits);
    if (v->minus) put_repeated(out, ' ', gap);
}

static const char *sign_of(const struct verb *v, bool negative) {
    return negative ? "-" : v->plus ? "+" : v->space ? " " : "";
}

/* 0x1.8p+00: exponents have two digits at least. */
static void put_hex_float(struct buf *b, const char *digits, bool upper) {
    const char *p = strchr(digits, upper ? 'P' : 'p');
    size_t n = p ? (size_t)(p - digits) + 2 : strlen(digits);
    buf_add(b, digits, n);
    if (p && strlen(digits + n) < 2) buf_add_byte(b, '0');
    buf_add_text(b, digits + n);
}

static bool put_float(struct buf *out, const struct verb *v, double x) {
    char format[16], digits[DIGITS_MAX];
    AUTO_BUF struct buf text;
    buf_init(&text, DIGITS_MAX + 8);
    char letter = v->letter == 'v' ? 'g' : v->letter == 'F' ? 'f' : v->letter < 0x80 ? (char)v->letter : 0;
    if (!letter || !strchr("eEfgGxX", letter)) return false;
    bool hex = (letter | 32) == 'x', shortest = (letter | 32) == 'g' && v->precision < 0 && !v->sharp;
    if (!isfinite(x)) {
        const char *sign = isnan(x) ? sign_of(v, false) : x < 0 ? "-" : v->space && !v->plus ? " " : "+";
        put_signed(out, v, sign, isnan(x) ? STR("NaN") : STR("Inf"), false);
        return true;
    }
    if (shortest) {
        put_go_general(&text, fabs(x));
        for (size_t i = 0; letter == 'G' && i < text.n; i++)
            if (text.p[i] == 'e') text.p[i] = 'E';
    } else {
        bool exact = hex && v->precision < 0;
        snprintf(format, sizeof format, "%%%s%s%c", v->sharp && !hex ? "#" : "", exact ? "" : ".*",
                 letter == 'x'   ? 'a'
                 : letter == 'X' ? 'A'
                                 : letter);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        if (exact)
            snprintf(digits, sizeof digits, format, fabs(x));
        else
            snprintf(digits, sizeof digits, format, v->precision < 0 ? 6 : MIN(v->precision, FLOAT_PRECISION_MAX),
                     fabs(x));
#pragma GCC diagnostic pop
        if (hex)
            put_hex_float(&text, digits, letter == 'X');
        else
            buf_add_text(&text, digits);
    }
    put_signed(out, v, sign_of(v, signbit(x)), buf_str(&text), v->zero);
    return true;
}

static void put_character(struct buf *out, const struct verb *v, int64_t x) {
    AUTO_BUF struct buf text;
    uint32_t c = x < 0 || x > 0x10ffff ? RUNE_BAD : (uint32_t)x;
    buf_init(&text, 64);
    if (v->letter == 'c') {
        put_rune(&text, c);
    } else if (v->letter == 'q') {
        buf_add_byte(&text, '\'');
        if (c == '\'' || c == '\\')
            buf_add_byte(&text, '\\'), buf_add_byte(&text, (char)c);
        else if (c && c < 0x80 && strchr("\a\b\f\n\r\t\v", (int)c))
            buf_add_byte(&text, '\\'), buf_add_byte(&text, "abtnvfr"[c - 7]);
        else if (c < 0x20 || c == 0x7f)
            buf_add_fmt(&text, "\\x%02x", c);
        else if (!rune_prints(c) || (v->plus && c >= 0x80))
            buf_add_fmt(&text, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
        else
            put_rune(&text, c);
        buf_add_byte(&text, '\'');
    } else {
        buf_add_fmt(&text, "U+%0*llX", MIN(MAX(v->precision, 4), 32), (unsigned long long)x);
        if (v->sharp && x >= 0 && x <= 0x10ffff && rune_prints(c))
            buf_add_text(&text, " '"), put_rune(&text, c), buf_add_byte(&text, '\'');
    }
    put_padded(out, v, buf_str(&text), v->zero && v->letter != 'U');
}

static bool put_integer(struct buf *out, const struct verb *v, int64_t x) {
    char digits[65];
    size_t n = sizeof digits;
    uint64_t size = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    unsigned base = 10;
    switch (v->letter) {
    case 'd':
    case 'v': break;
    case 'b': base = 2; break;
    case 'o':
    case 'O': base = 8; break;
    case 'x':
    case 'X': base = 16; break;
    case 'c':
    case 'q':
    case 'U': return put_character(out, v, x), true;
    default: return false;
    }
    if (v->precision == 0 && size == 0) return put_repeated(out, ' ', (size_t)MAX(v->width, 0)), true;
    for (uint64_t rest = size; n == sizeof digits || rest; rest /= base)
        digits[--n] = (v->letter == 'X' ? "0123456789ABCDEF" : "0123456789abcdef")[rest % base];
    AUTO_BUF struct buf text;
    buf_init(&text, TEMPLATE_OUT_MAX);
    const char *prefix = v->letter == 'O'      ? "0o"
                         : !v->sharp           ? ""
                         : base == 2           ? "0b"
                         : base == 8 && x != 0 ? "0"
                         : v->letter == 'x'    ? "0x"
                         : v->letter == 'X'    ? "0X"
                                               : "";
    const char *sign = sign_of(v, x < 0);
    size_t digit_n = sizeof digits - n, wanted = v->precision > 0 ? (size_t)v->precision : 0;
    if (v->precision < 0 && v->zero && v->width > 0) wanted = (size_t)v->width - (sign[0] != 0);
    buf_add_text(&text, sign);
    buf_add_text(&text, prefix);
    if (wanted > digit_n) put_repeated(&text, '0', wanted - digit_n);
    buf_add(&text, digits + n, digit_n);
    out->full |= text.full;
    put_padded(out, v, buf_str(&text), false);
    return true;
}

/* Of n runes the first. */
static struct str cut_short(struct str s, int runes_max) {
    size_t n = 0;
    uint32_t c;
    for (int seen = 0; n < s.n && seen < runes_max; seen++) n += rune_read(s, n, &c);
    return (struct str){s.p, n};
}

static void put_hex_text(struct buf *b, const struct verb *v, struct str s) {
    if (v->precision >= 0) s.n = MIN(s.n, (size_t)v->precision);
    for (size_t i = 0; i < s.n; i++) {
        if (i && v->space) buf_add_byte(b, ' ');
        if (v->sharp && (v->space || !i)) buf_add_text(b, v->letter == 'x' ? "0x" : "0X");
        buf_add_fmt(b, v->letter == 'x' ? "%02x" : "%02X", (unsigned)(unsigned char)s.p[i]);
    }
}

/* Characters over 0x7f as \u. */
static void put_ascii_quoted(struct buf *b, struct str s) {
    AUTO_BUF struct buf quoted;
    buf_init(&quoted, 8 * (size_t)TEMPLATE_OUT_MAX);
    put_go_quoted(&quoted, s);
    struct str q = buf_str(&quoted);
    uint32_t c;
    for (size_t i = 0; i < q.n;) {
        i += rune_read(q, i, &c);
        if (c < 0x80)
            buf_add_byte(b, (char)c);
        else
            buf_add_fmt(b, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
    }
}

static bool fits_raw(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '`' || s.p[i] == 0x7f || ((unsigned char)s.p[i] < ' ' && s.p[i] != '\t')) return false;
    return utf8_is_valid(s);
}

static bool put_text(struct buf *out, const struct verb *v, struct str s) {
    AUTO_BUF struct buf text;
    buf_init(&text, 8 * (size_t)TEMPLATE_OUT_MAX);
    bool hex = (v->letter | 32) == 'x';
    if (v->precision >= 0 && !hex) s = cut_short(s, v->precision);
    switch (v->letter) {
    case 's':
    case 'v':
        if (v->letter == 's' || !v->sharp)
            buf_add_str(&text, s);
        else
            put_go_quoted(&text, s);
        break;
    case 'q':
        if (v->sharp && fits_raw(s))
            buf_add_fmt(&text, "`" STR_FMT "`", STR_ARG(s));
        else if (v->plus)
            put_ascii_quoted(&text, s);
        else
            put_go_quoted(&text, s);
        break;
    case 'x':
    case 'X': put_hex_text(&text, v, s); break;
    default: return false;
    }
    put_padded(out, v, text.n ? buf_str(&text) : STR(""), v->zero);
    return true;
}

static void put_labels(struct buf *out, const struct verb *v, struct labels l) {
    buf_add_text(out, "map[");
    for (uint32_t i = 0; i < l.n && !out->full; i++) {
        if (i) buf_add_byte(out, ' ');
        put_text(out, v, l.v[i].name);
        buf_add_byte(out, ':');
        put_text(out, v, l.v[i].value);
    }
    buf_add_byte(out, ']');
}

/* ---- one verb ---------------------------------------------------------------------------------------------------- */

static bool takes_text(uint32_t letter) { return letter && letter < 0x80 && strchr("svqxX", (int)letter); }

static bool put_verb(struct buf *out, const struct verb *v, const struct value *x) {
    const struct verb plain = {.width = v->width, .precision = v->precision, .minus = v->minus, .letter = 's'};
    if (v->letter == 'T') return put_text(out, &plain, str_of(value_type(x)));
    switch (x->kind) {
    case VALUE_FLOAT: return put_float(out, v, x->number);
    case VALUE_INT: return put_integer(out, v, x->integer);
    case VALUE_STRING: return put_text(out, v, x->text);
    case VALUE_BOOL:
        if (v->letter != 't' && v->letter != 'v') return false;
        put_padded(out, v, x->boolean ? STR("true") : STR("false"), v->zero);
        return true;
    case VALUE_NIL:
        if (v->letter != 'v') return false;
        put_padded(out, v, STR("<nil>"), v->zero);
        return true;
    case VALUE_MONTH:
    case VALUE_WEEKDAY:
        if (!takes_text(v->letter)) return put_integer(out, v, x->integer);
        return put_text(out, v, str_of(template_name_of(x)));
    case VALUE_LABELS: return takes_text(v->letter) && (put_labels(out, v, x->labels), true);
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

/* int=1, or <nil>. */
static void put_typed(struct buf *out, const struct verb *v, const struct value *x) {
    struct verb as = *v;
    as.letter = 'v';
    if (x->kind == VALUE_NIL) return buf_add_text(out, "<nil>");
    buf_add_fmt(out, "%s=", value_type(x));
    put_verb(out, &as, x);
}

static void run_verb(struct format *f) {
    const struct verb v = read_verb(f);
    AUTO_BUF struct buf letter;
    buf_init(&letter, 8);
    put_rune(&letter, v.letter);
    if (!v.letter)
        buf_add_text(f->out, "%!(NOVERB)");
    else if (v.letter == '%')
        buf_add_byte(f->out, '%');
    else if (f->bad_index)
        buf_add_fmt(f->out, "%%!" STR_FMT "(BADINDEX)", STR_ARG(buf_str(&letter)));
    else if (f->next >= f->arg_n)
        buf_add_fmt(f->out, "%%!" STR_FMT "(MISSING)", STR_ARG(buf_str(&letter)));
    else if (put_verb(f->out, &v, &f->args[f->next++]))
        return;
    else {
        buf_add_fmt(f->out, "%%!" STR_FMT "(", STR_ARG(buf_str(&letter)));
        put_typed(f->out, &v, &f->args[f->next - 1]);
        buf_add_byte(f->out, ')');
    }
}

err template_format(struct run *r, const struct value *args, size_t n, struct buf *out) {
    static const struct verb plain = {.width = -1, .precision = -1};
    if (args[0].kind != VALUE_STRING)
        return err_new(ERR_INVALID, "wrong type for value; expected string; got %s", value_type(&args[0]));
    struct format f = {.text = args[0].text, .args = args + 1, .arg_n = n - 1, .out = out};
    while (f.at < f.text.n) {
        if (f.text.p[f.at++] != '%') {
            buf_add_byte(out, f.text.p[f.at - 1]);
            continue;
        }
        run_verb(&f);
        if (++r->steps > TEMPLATE_STEPS_MAX || out->full)
            return err_new(ERR_LIMIT, "over %d bytes of text or %d steps", TEMPLATE_OUT_MAX, TEMPLATE_STEPS_MAX);
    }
    if (f.reordered || f.next >= f.arg_n) return NULL;
    buf_add_text(out, "%!(EXTRA ");
    for (size_t i = f.next; i < f.arg_n; i++) {
        if (i > f.next) buf_add_text(out, ", ");
        put_typed(out, &plain, &f.args[i]);
    }
    buf_add_byte(out, ')');
    return NULL;
}
