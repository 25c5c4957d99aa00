#include "ingest/host/tree_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "os/file.h"

void tree_init(struct tree *t, const char *root) {
    *t = (struct tree){.root = strcmp(root, "/") == 0 ? "" : root};
    buf_init(&t->file, TREE_FILE_BYTES_MAX + 1);
}

void tree_done(struct tree *t) { buf_done(&t->file); }

__attribute__((format(printf, 2, 0))) static bool path_of(struct tree *t, const char *format, va_list ap) {
    int head = snprintf(t->path, sizeof t->path, "%s/", t->root);
    if (head < 0 || (size_t)head >= sizeof t->path) return false;
    int n = vsnprintf(t->path + head, sizeof t->path - (size_t)head, format, ap);
    return n >= 0 && (size_t)(head + n) < sizeof t->path;
}

bool tree_path(struct tree *t, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    bool good = path_of(t, format, ap);
    va_end(ap);
    return good;
}

/* Files of the kernel say no size, or a wrong one: read until their end. */
static bool read_file(struct tree *t, struct str *out) {
    struct file *f;
    buf_clear(&t->file);
    buf_reserve(&t->file, TREE_FILE_BYTES_MAX);
    err e = file_open(t->path, FILE_READ, &f);
    if (!e) {
        e = file_read(f, t->file.p, TREE_FILE_BYTES_MAX, 0, &t->file.n);
        file_close(f);
    }
    bool good = e == NULL;
    err_free(e);
    if (!good) return false;
    size_t n = t->file.n;
    if (n == TREE_FILE_BYTES_MAX)
        while (n && t->file.p[n - 1] != '\n') n--;
    *out = str_span(t->file.p, n);
    return true;
}

bool tree_read(struct tree *t, struct str *out, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    bool good = path_of(t, format, ap);
    va_end(ap);
    return good && read_file(t, out);
}

bool tree_number(struct tree *t, double *out, const char *format, ...) {
    struct str text;
    va_list ap;
    va_start(ap, format);
    bool good = path_of(t, format, ap);
    va_end(ap);
    return good && read_file(t, &text) && word_number(str_trim(text), out);
}

/* ---- lines and words ----------------------------------------------------------------------------------------------- */

bool take_line(struct str *text, struct str *out) {
    if (!text->n) return false;
    if (!str_cut(*text, '\n', out, text)) *text = (struct str){0};
    return true;
}

bool take_word(struct str *line, struct str *out) {
    *line = str_trim(*line);
    size_t n = 0;
    while (n < line->n && line->p[n] != ' ' && line->p[n] != '\t') n++;
    *out = str_span(line->p, n);
    *line = str_span(line->p + n, line->n - n);
    return n > 0;
}

static int digit_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* By hand, as it is done some thousand times a round: digits, at most one point. */
bool word_number(struct str word, double *out) {
    double value = 0, unit = 1;
    bool negative = word.n && word.p[0] == '-', hex = str_starts_with(word, STR("0x")), point = false;
    size_t at = hex ? 2 : negative;
    if (word.n <= at || word.n > 64) return false;
    uint64_t whole = 0;
    for (; at < word.n; at++) {
        if (word.p[at] == '.' && !hex && !point && at + 1 < word.n) {
            point = true;
            continue;
        }
        int digit = digit_of(word.p[at]), base = hex ? 16 : 10;
        if (digit >= base || whole > (UINT64_MAX - 15) / (unsigned)base) return false;
        whole = whole * (unsigned)base + (unsigned)digit;
        if (point) unit *= 10;
    }
    value = (double)whole / unit;
    *out = negative ? -value : value;
    return true;
}

bool take_number(struct str *line, double *out) {
    struct str word;
    return take_word(line, &word) && word_number(word, out);
}

bool field_number(struct str text, const char *key, double *out) {
    struct str line, word;
    while (take_line(&text, &line))
        if (take_word(&line, &word) && str_equal(word, str_of(key))) return take_number(&line, out);
    return false;
}

/* ---- the text format ------------------------------------------------------------------------------------------------- */

void expo_init(struct expo *e) {
    *e = (struct expo){0};
    buf_init(&e->out, EXPO_BYTES_MAX);
}

void expo_done(struct expo *e) { buf_done(&e->out); }

void expo_clear(struct expo *e) {
    buf_clear(&e->out);
    e->labels = false;
}

void expo_family(struct expo *e, const char *type, const char *help, const char *format, ...) {
    va_list ap;
    va_start(ap, format);
    vsnprintf(e->name, sizeof e->name, format, ap);
    va_end(ap);
    for (char *c = e->name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9'))) *c = '_';
    e->type = type;
    e->help = help;
    e->begun = false;
}

/* Its head stands before the first sample: a family without any says nothing. */
static void begin(struct expo *e) {
    if (e->begun) return;
    if (*e->help) buf_add_fmt(&e->out, "# HELP %s %s\n", e->name, e->help);
    buf_add_fmt(&e->out, "# TYPE %s %s\n", e->name, e->type);
    e->begun = true;
}

static void put_escaped(struct buf *out, struct str value) {
    struct buf clean;
    buf_init(&clean, 4 * EXPO_LABEL_BYTES_MAX);
    put_utf8_clean(&clean, str_span(value.p, MIN(value.n, (size_t)EXPO_LABEL_BYTES_MAX)));
    for (size_t i = 0; i < clean.n; i++) {
        char c = clean.p[i];
        if (c == '\\' || c == '"' || c == '\n') buf_add_byte(out, '\\');
        buf_add_byte(out, (char)(c == '\n' ? 'n' : c));
    }
    buf_done(&clean);
}

void expo_label(struct expo *e, const char *key, struct str value) {
    begin(e);
    if (!e->labels) buf_add_text(&e->out, e->name);
    buf_add_byte(&e->out, e->labels ? ',' : '{');
    buf_add_text(&e->out, key);
    buf_add(&e->out, "=\"", 2);
    put_escaped(&e->out, value);
    buf_add_byte(&e->out, '"');
    e->labels = true;
}

void expo_value(struct expo *e, double v) {
    begin(e);
    if (e->labels)
        buf_add_byte(&e->out, '}');
    else
        buf_add_text(&e->out, e->name);
    e->labels = false;
    buf_add_byte(&e->out, ' ');
    put_f64(&e->out, v);
    buf_add_byte(&e->out, '\n');
}
