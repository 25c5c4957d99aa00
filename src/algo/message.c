#include "algo/message.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
static bool is_word(char c) { return is_digit(c) || is_letter(c) || c == '_'; }
static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
static bool is_local(char c) { return is_word(c) || c == '.' || c == '%' || c == '+' || c == '-'; }

/* Each says how many bytes at the start of s are of its kind; 0: none. */
typedef size_t (*kind_fn)(struct str s);

static size_t run_of(struct str s, bool (*is)(char)) {
    size_t n = 0;
    while (n < s.n && is(s.p[n])) n++;
    return n;
}

static struct str after(struct str s, size_t n) { return (struct str){s.p + n, s.n - n}; }

/* A pattern of digits: d a decimal, h a hexadecimal one, T a T or a blank; all else is itself. */
static size_t as_pattern(struct str s, const char *pattern) {
    size_t n = strlen(pattern);
    if (s.n < n) return 0;
    for (size_t i = 0; i < n; i++) {
        char c = s.p[i], p = pattern[i];
        bool fits = p == 'd' ? is_digit(c) : p == 'h' ? is_hex(c) : p == 'T' ? c == 'T' || c == ' ' : c == p;
        if (!fits) return 0;
    }
    return n;
}

static size_t uuid(struct str s) { return as_pattern(s, "hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh"); }
static size_t number(struct str s) { return run_of(s, is_digit); }

/* With a fraction and a zone, if they are there. */
static size_t date(struct str s) {
    size_t n = as_pattern(s, "dddd-dd-ddTdd:dd:dd"), digits = 0;
    if (!n) return 0;
    if (n < s.n && (s.p[n] == '.' || s.p[n] == ',')) digits = run_of(after(s, n + 1), is_digit);
    if (digits) n += 1 + digits;
    struct str zone = after(s, n);
    if (zone.n && zone.p[0] == 'Z') return n + 1;
    if (zone.n && (zone.p[0] == '+' || zone.p[0] == '-')) {
        size_t hours = as_pattern(after(zone, 1), "dd:dd");
        if (!hours) hours = as_pattern(after(zone, 1), "dddd");
        if (hours) return n + 1 + hours;
    }
    return n;
}

static size_t long_hex(struct str s) {
    size_t n = run_of(s, is_hex);
    return n >= 24 ? n : 0;
}

static size_t address(struct str s) {
    size_t n = 0;
    for (int part = 0; part < 4; part++) {
        if (part && (n == s.n || s.p[n++] != '.')) return 0;
        size_t digits = run_of(after(s, n), is_digit);
        if (digits < 1 || digits > 3) return 0;
        n += digits;
    }
    return n;
}

static bool is_domain(char c) { return is_digit(c) || is_letter(c) || c == '.' || c == '-'; }

/* …@a.b: the domain ends with a dot and two letters or more. */
static size_t mail(struct str s) {
    size_t local = run_of(s, is_local);
    if (!local || local == s.n || s.p[local] != '@') return 0;
    size_t domain = run_of(after(s, local + 1), is_domain), letters = 0;
    while (domain) { /* what comes after the address may look like more of it: "a@b.de." */
        const char *p = s.p + local + 1;
        for (letters = 0; letters < domain && is_letter(p[domain - 1 - letters]);) letters++;
        if (letters >= 2 && letters + 1 < domain && p[domain - 1 - letters] == '.') return local + 1 + domain;
        domain -= MAX(letters, (size_t)1);
    }
    return 0;
}

static const kind_fn kinds[] = {uuid, long_hex, address, mail, date, number};

/* What is replaced at s + i; 0: nothing. An e-mail address begins where a run of its bytes does: what follows that run is the same from
 * within, so that a long run is looked at once. */
static size_t variable(struct str s, size_t i) {
    struct str rest = {s.p + i, s.n - i};
    if (i && is_word(s.p[i - 1])) return 0;
    for (size_t k = 0; k < LENGTH(kinds); k++) {
        if (kinds[k] == mail && i && is_local(s.p[i - 1])) continue;
        size_t n = kinds[k](rest);
        if (n && (n == rest.n || !is_word(rest.p[n]))) return n;
    }
    return 0;
}

static const struct str mark = {"<*>", 3};

/* One mark after another, with blanks between them, is the same one. */
static void put_mark(struct buf *out, size_t start) {
    size_t n = out->n;
    while (n > start && is_blank(out->p[n - 1])) n--;
    if (n >= start + mark.n && memcmp(out->p + n - mark.n, mark.p, mark.n) == 0)
        out->n = n;
    else
        buf_add_str(out, mark);
}

void message_normalise(struct str message, struct buf *out) {
    size_t start = out->n, n;
    struct str s = str_trim(message);
    for (size_t i = 0; i < s.n && !out->full; i += n) {
        n = variable(s, i);
        if (n)
            put_mark(out, start);
        else
            buf_add_byte(out, s.p[i + n++]);
    }
    if (out->p) out->p[out->n] = 0;
}
