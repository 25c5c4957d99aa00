#include "base/json.h"

#include "base/text_priv.h"

static const size_t string_max = 16 * MIB;

/* What may come next. */
enum state {
    WANT_VALUE,       /* at the start, after a colon, after a comma in an array */
    WANT_FIRST_VALUE, /* after [ : or ] */
    WANT_KEY,         /* after a comma in an object */
    WANT_FIRST_KEY,   /* after { : or } */
    AFTER_VALUE,      /* a comma or the end of what is open; at depth 0 the end of the text */
    FAILED
};

void json_reader_init(struct json_reader *r, struct str text, int depth_max) {
    *r = (struct json_reader){.text = text, .depth_max = MIN(depth_max, (int)JSON_DEPTH_MAX), .state = WANT_VALUE};
    buf_init(&r->scratch, string_max);
}

void json_reader_done(struct json_reader *r) { buf_done(&r->scratch); }

static enum json_token fail(struct json_reader *r, const char *what) {
    if (r->state != FAILED) r->error = what;
    r->state = FAILED;
    return JSON_ERROR;
}

err json_reader_err(struct json_reader *r) {
    return r->error ? err_new(ERR_INVALID, "%s, at byte %zu", r->error, r->at) : NULL;
}

static void skip_blanks(struct json_reader *r) {
    while (r->at < r->text.n) {
        char c = r->text.p[r->at];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return;
        r->at++;
    }
}

/* The next byte, or 0 at the end (a zero byte is no token either). */
static char peek(const struct json_reader *r) { return r->at < r->text.n ? r->text.p[r->at] : 0; }

/* ---- strings ---------------------------------------------------------------------------------------------------- */

static bool read_hex4(struct json_reader *r, uint32_t *out) {
    if (r->text.n - r->at < 4) return false;
    *out = 0;
    for (int i = 0; i < 4; i++) {
        char c = r->text.p[r->at + (size_t)i], low = (char)(c | 0x20);
        if (c >= '0' && c <= '9')
            *out = *out << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            *out = *out << 4 | (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    r->at += 4;
    return true;
}

/* After \u: four digits, and the second half of a surrogate pair. */
static bool read_unicode(struct json_reader *r) {
    uint32_t c, second;
    if (!read_hex4(r, &c)) return fail(r, "\\u needs four hex digits"), false;
    if (c >= 0xdc00 && c < 0xe000) return fail(r, "the second half of a surrogate pair stands alone"), false;
    if (c >= 0xd800 && c < 0xdc00) {
        bool pair = r->text.n - r->at >= 2 && r->text.p[r->at] == '\\' && r->text.p[r->at + 1] == 'u';
        if (pair) r->at += 2;
        if (!pair || !read_hex4(r, &second) || second < 0xdc00 || second >= 0xe000)
            return fail(r, "the first half of a surrogate pair stands alone"), false;
        c = 0x10000 + ((c - 0xd800) << 10) + (second - 0xdc00);
    }
    char text[4];
    buf_add(&r->scratch, text, utf8_encode(c, text));
    return true;
}

/* At a backslash. */
static bool read_escape(struct json_reader *r) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    r->at++;
    char c = peek(r);
    r->at += r->at < r->text.n;
    if (c == 'u') return read_unicode(r);
    const char *at = c ? strchr(names, c) : NULL;
    if (!at) return fail(r, "no such escape"), false;
    buf_add_byte(&r->scratch, values[at - names]);
    return true;
}

/* How many of the next bytes, in steps of eight, are plain ASCII: no quote, backslash or control character. */
static size_t plain_ascii(const unsigned char *p, size_t n) {
    static const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    size_t i = 0;
    for (uint64_t word; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, 8);
        uint64_t quote = word ^ ones * '"', backslash = word ^ ones * '\\';
        if (((word | (word - ones * 0x20) | (quote - ones) | (backslash - ones)) & highs) != 0) break;
    }
    return i;
}

/* Goes over bytes that stand for themselves; false: they are not UTF-8 or a control character. */
static bool pass_plain(struct json_reader *r) {
    const unsigned char *p = (const unsigned char *)r->text.p + r->at;
    const unsigned char *end = (const unsigned char *)r->text.p + r->text.n;
    p += plain_ascii(p, (size_t)(end - p));
    while (p < end && *p != '"' && *p != '\\') {
        int n = *p < 0x80 ? 1 : utf8_step(p, end);
        if (*p < 0x20 || n < 0) {
            r->at = (size_t)(p - (const unsigned char *)r->text.p);
            return fail(r, n < 0 ? "not UTF-8" : "a control character in a string"), false;
        }
        p += n;
    }
    r->at = (size_t)(p - (const unsigned char *)r->text.p);
    return true;
}

/* At a quote. A string without escapes is a slice of the text itself; only others are copied. */
static bool read_string(struct json_reader *r) {
    size_t run = ++r->at;
    buf_clear(&r->scratch);
    r->value = (struct str){0};
    for (bool copied = false;; copied = true) {
        if (!pass_plain(r)) return false;
        struct str plain = {r->text.p + run, r->at - run};
        if (r->at == r->text.n) return fail(r, "the string does not end"), false;
        bool ends = r->text.p[r->at] == '"';
        if (ends && !copied)
            r->value = plain;
        else
            buf_add_str(&r->scratch, plain);
        if (!ends && !read_escape(r)) return false;
        if (r->scratch.full || r->value.n > string_max) return fail(r, "a string over 16 MiB"), false;
        run = r->at;
        if (!ends) continue;
        if (copied) r->value = buf_str(&r->scratch);
        r->at++;
        return true;
    }
}

/* ---- numbers and words ------------------------------------------------------------------------------------------ */

static size_t pass_digits(struct json_reader *r) {
    size_t from = r->at;
    while (peek(r) >= '0' && peek(r) <= '9') r->at++;
    return r->at - from;
}

static enum json_token read_number(struct json_reader *r) {
    size_t from = r->at;
    if (peek(r) == '-') r->at++;
    bool zero = peek(r) == '0';
    size_t digits = pass_digits(r);
    if (!digits || (zero && digits > 1)) return fail(r, "not a number");
    if (peek(r) == '.') {
        r->at++;
        if (!pass_digits(r)) return fail(r, "a number without digits after its point");
    }
    if ((peek(r) | 0x20) == 'e') {
        r->at++;
        if (peek(r) == '+' || peek(r) == '-') r->at++;
        if (!pass_digits(r)) return fail(r, "a number without digits in its exponent");
    }
    r->value = (struct str){r->text.p + from, r->at - from};
    r->state = AFTER_VALUE;
    return JSON_NUMBER;
}

static enum json_token read_word(struct json_reader *r, struct str word, enum json_token token) {
    if (!str_starts_with((struct str){r->text.p + r->at, r->text.n - r->at}, word)) return fail(r, "not a value");
    r->at += word.n;
    r->state = AFTER_VALUE;
    return token;
}

/* ---- structure -------------------------------------------------------------------------------------------------- */

static enum json_token open_container(struct json_reader *r, char bracket) {
    if (r->depth >= r->depth_max) return fail(r, "nested too deep");
    r->stack[r->depth++] = (uint8_t)bracket;
    r->at++;
    r->state = bracket == '{' ? WANT_FIRST_KEY : WANT_FIRST_VALUE;
    return bracket == '{' ? JSON_OBJECT : JSON_ARRAY;
}

static enum json_token close_container(struct json_reader *r) {
    r->at++;
    r->state = AFTER_VALUE;
    return r->stack[--r->depth] == '{' ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static enum json_token read_value(struct json_reader *r) {
    switch (peek(r)) {
    case '{':
    case '[': return open_container(r, peek(r));
    case '"':
        if (!read_string(r)) return JSON_ERROR;
        r->state = AFTER_VALUE;
        return JSON_STRING;
    case 't': return read_word(r, STR("true"), JSON_TRUE);
    case 'f': return read_word(r, STR("false"), JSON_FALSE);
    case 'n': return read_word(r, STR("null"), JSON_NULL);
    case '-':
    case '0' ... '9': return read_number(r);
    default: return fail(r, r->at < r->text.n ? "not a value" : "the text ends too early");
    }
}

static enum json_token read_key(struct json_reader *r) {
    if (peek(r) != '"') return fail(r, "a key is missing");
    if (!read_string(r)) return JSON_ERROR;
    skip_blanks(r);
    if (peek(r) != ':') return fail(r, "a colon is missing");
    r->at++;
    r->state = WANT_VALUE;
    return JSON_KEY;
}

enum json_token json_next(struct json_reader *r) {
    if (r->state == FAILED) return JSON_ERROR;
    skip_blanks(r);
    char c = peek(r), in = r->depth ? (char)r->stack[r->depth - 1] : 0;
    if (r->state == AFTER_VALUE) {
        if (r->depth == 0) return r->at == r->text.n ? JSON_END : fail(r, "more text after the value");
        r->token = r->at;
        if (c == (in == '{' ? '}' : ']')) return close_container(r);
        if (c != ',') return fail(r, r->at < r->text.n ? "a comma is missing" : "the text ends too early");
        r->at++;
        skip_blanks(r);
        r->state = in == '{' ? WANT_KEY : WANT_VALUE;
    }
    r->token = r->at;
    if (r->state == WANT_FIRST_KEY && c == '}') return close_container(r);
    if (r->state == WANT_FIRST_VALUE && c == ']') return close_container(r);
    return r->state == WANT_KEY || r->state == WANT_FIRST_KEY ? read_key(r) : read_value(r);
}

size_t json_plain_bytes(const struct json_reader *r, size_t at) {
    const unsigned char *p = (const unsigned char *)r->text.p + at, *end = (const unsigned char *)r->text.p + r->text.n;
    const unsigned char *q = p + plain_ascii(p, (size_t)(end - p));
    while (q < end && *q >= 0x20 && *q < 0x80 && *q != '"' && *q != '\\') q++;
    return (size_t)(q - p);
}

void json_jump(struct json_reader *r, size_t at) {
    assert(r->state == WANT_VALUE || r->state == WANT_FIRST_VALUE || r->state == AFTER_VALUE);
    r->at = at;
    r->state = AFTER_VALUE;
}

bool json_skip(struct json_reader *r) {
    int depth = 0;
    do {
        switch (json_next(r)) {
        case JSON_OBJECT:
        case JSON_ARRAY: depth++; break;
        case JSON_OBJECT_END:
        case JSON_ARRAY_END:
            if (depth-- == 0) return fail(r, "a value is missing"), false;
            break;
        case JSON_END:
        case JSON_ERROR: return fail(r, "a value is missing"), false;
        case JSON_KEY: /* a member of what is being skipped; a key before anything was opened is not a value */
            if (depth == 0) return fail(r, "a value is missing"), false;
            break;
        case JSON_STRING:
        case JSON_NUMBER:
        case JSON_TRUE:
        case JSON_FALSE:
        case JSON_NULL: break;
        }
    } while (depth > 0);
    return true;
}
