#include <math.h>

#include "base/json.h"
#include "base/text.h"
#include "base/text_priv.h"

enum { IN_ARRAY = 0, IN_OBJECT = 1, HAS_MEMBER = 2 };

void json_writer_init(struct json_writer *w, struct buf *out) {
    w->out = out;
    w->depth = 0;
    w->after_key = false;
}

/* ---- structure -------------------------------------------------------------------------------------------------- */

static void comma(struct json_writer *w) {
    uint8_t *top = &w->stack[w->depth - 1];
    if (*top & HAS_MEMBER) buf_add_byte(w->out, ',');
    *top |= HAS_MEMBER;
}

/* Every value comes through here: after a key nothing is missing, in an array perhaps a comma. */
static void before_value(struct json_writer *w) {
    if (w->after_key) {
        w->after_key = false;
        return;
    }
    if (w->depth == 0) return;
    assert(!(w->stack[w->depth - 1] & IN_OBJECT) && "a value in an object needs a key");
    comma(w);
}

static void open_bracket(struct json_writer *w, uint8_t kind, char bracket) {
    before_value(w);
    assert(w->depth < JSON_DEPTH_MAX);
    w->stack[w->depth++] = kind;
    buf_add_byte(w->out, bracket);
}

static void close_bracket(struct json_writer *w, uint8_t kind, char bracket) {
    assert(w->depth > 0 && !w->after_key && (w->stack[w->depth - 1] & IN_OBJECT) == kind);
    w->depth--;
    buf_add_byte(w->out, bracket);
}

void json_object(struct json_writer *w) { open_bracket(w, IN_OBJECT, '{'); }
void json_object_end(struct json_writer *w) { close_bracket(w, IN_OBJECT, '}'); }
void json_array(struct json_writer *w) { open_bracket(w, IN_ARRAY, '['); }
void json_array_end(struct json_writer *w) { close_bracket(w, IN_ARRAY, ']'); }

/* ---- strings ---------------------------------------------------------------------------------------------------- */

/* What a byte needs inside a string: 0 nothing; a letter: \letter; the rest by name. */
enum { CONTROL = 1, HIGH = 2, LESS = 3 };
static const uint8_t needs[256] = {
    [0 ... 7] = CONTROL, ['\b'] = 'b',          ['\t'] = 't', ['\n'] = 'n', [11] = CONTROL, ['\f'] = 'f',
    ['\r'] = 'r',        [14 ... 31] = CONTROL, ['"'] = '"',  ['<'] = LESS, ['\\'] = '\\',  [0x80 ... 0xff] = HIGH,
};

/* The high bit of each byte of the word that `needs` marks, by arithmetic on all eight at once; bytes above a marked one
 * may be marked falsely, which only costs a look into the table. */
static uint64_t words_needs(uint64_t x) {
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\'), less = x ^ (ones * '<');
    return ((x - ones * 0x20) | (quote - ones) | (slash - ones) | (less - ones) | x) & highs;
}

/* How many bytes at p need nothing. */
static size_t plain_run(const unsigned char *p, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        if (words_needs(word)) break;
    }
    while (i < n && !needs[p[i]]) i++;
    return i;
}

static void put_escape(struct buf *b, uint8_t need, unsigned char c) {
    static const char digits[] = "0123456789abcdef";
    char text[6] = {'\\', (char)need, '0', '0', digits[c >> 4], digits[c & 15]};
    if (need == CONTROL) text[1] = 'u';
    buf_add(b, text, need == CONTROL ? 6 : 2);
}

/* The slow path: at p, the first byte that needs something. Runs that need nothing are copied in one piece. */
static void put_escaped(struct buf *b, const unsigned char *run, const unsigned char *p, const unsigned char *end) {
    while (p < end) {
        uint8_t need = needs[*p];
        int n = need == HIGH ? utf8_step(p, end) : 1;
        if (need == LESS && p + 1 < end && p[1] == '/') { /* < stays in the run, / gets its \ */
            buf_add(b, run, (size_t)(p + 1 - run));
            buf_add(b, "\\/", 2);
            run = p += 2;
        } else if (!need || need == LESS || (need == HIGH && n > 0)) {
            p += n;
        } else {
            buf_add(b, run, (size_t)(p - run));
            if (need == HIGH)
                buf_add(b, "\xef\xbf\xbd", 3);
            else
                put_escape(b, need, *p);
            run = p += n > 0 ? n : -n;
        }
        p += plain_run(p, (size_t)(end - p));
    }
    buf_add(b, run, (size_t)(p - run));
}

static void put_string(struct buf *b, struct str s) {
    const unsigned char *p = (const unsigned char *)s.p;
    size_t plain = plain_run(p, s.n);
    char *to = plain == s.n && s.n < SIZE_MAX - 2 ? text_room(b, s.n + 2) : NULL;
    if (to) {
        *to++ = '"';
        if (s.n) memcpy(to, s.p, s.n);
        to[s.n] = '"';
        text_used(b, to + s.n + 1);
        return;
    }
    buf_add_byte(b, '"');
    put_escaped(b, p, p + plain, p + s.n);
    buf_add_byte(b, '"');
}

void json_key(struct json_writer *w, struct str key) {
    assert(w->depth > 0 && (w->stack[w->depth - 1] & IN_OBJECT) && !w->after_key && "a key stands in an object");
    comma(w);
    put_string(w->out, key);
    buf_add_byte(w->out, ':');
    w->after_key = true;
}

void json_str(struct json_writer *w, struct str text) {
    before_value(w);
    put_string(w->out, text);
}

void json_text(struct json_writer *w, const char *text) { json_str(w, str_of(text)); }

/* ---- other values ----------------------------------------------------------------------------------------------- */

void json_u64(struct json_writer *w, uint64_t v) {
    before_value(w);
    put_u64(w->out, v);
}

void json_i64(struct json_writer *w, int64_t v) {
    before_value(w);
    put_i64(w->out, v);
}

void json_f64(struct json_writer *w, double v) {
    if (isnan(v)) return json_str(w, STR("NaN"));
    if (isinf(v)) return json_str(w, v > 0 ? STR("Infinity") : STR("-Infinity"));
    before_value(w);
    put_f64(w->out, v);
}

static void put_word(struct json_writer *w, struct str word) {
    before_value(w);
    buf_add_str(w->out, word);
}

void json_bool(struct json_writer *w, bool v) { put_word(w, v ? STR("true") : STR("false")); }
void json_null(struct json_writer *w) { put_word(w, STR("null")); }

static void quote(struct json_writer *w) { buf_add_byte(w->out, '"'); }

void json_hex(struct json_writer *w, const void *bytes, size_t n) {
    before_value(w);
    quote(w);
    put_hex(w->out, bytes, n);
    quote(w);
}

void json_base64(struct json_writer *w, const void *bytes, size_t n) {
    before_value(w);
    quote(w);
    put_base64(w->out, bytes, n);
    quote(w);
}

void json_time(struct json_writer *w, int64_t ns) {
    before_value(w);
    quote(w);
    put_time(w->out, ns);
    quote(w);
}

void json_u64_text(struct json_writer *w, uint64_t v) {
    before_value(w);
    quote(w);
    put_u64(w->out, v);
    quote(w);
}

void json_raw(struct json_writer *w, struct str json) {
    before_value(w);
    buf_add_str(w->out, json);
}
