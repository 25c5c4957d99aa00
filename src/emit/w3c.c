#include "emit/w3c.h"

#include "base/text.h"

/* ---- traceparent ------------------------------------------------------------------------------------------------- */

/* Lower case alone. */
static int digit_of(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

static bool read_hex(const char *p, unsigned char *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        int high = digit_of(p[2 * i]), low = digit_of(p[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static void write_hex(const unsigned char *in, size_t n, char *out) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[in[i] >> 4];
        out[2 * i + 1] = digits[in[i] & 15];
    }
}

static bool is_zero(const unsigned char *p, size_t n) {
    unsigned char all = 0;
    for (size_t i = 0; i < n; i++) all |= p[i];
    return all == 0;
}

bool traceparent_read(struct str text, struct trace_context *out) {
    struct trace_context c;
    unsigned char version;
    text = str_trim(text);
    if (text.n < TRACEPARENT_BYTES || text.p[2] != '-' || text.p[35] != '-' || text.p[52] != '-') return false;
    if (!read_hex(text.p, &version, 1) || version == 0xff) return false;
    if (text.n > TRACEPARENT_BYTES && (version == 0 || text.p[TRACEPARENT_BYTES] != '-')) return false;
    if (!read_hex(text.p + 3, c.trace_id, 16) || !read_hex(text.p + 36, c.span_id, 8) ||
        !read_hex(text.p + 53, &c.flags, 1))
        return false;
    if (is_zero(c.trace_id, 16) || is_zero(c.span_id, 8)) return false;
    *out = c;
    return true;
}

void traceparent_write(const struct trace_context *c, char out[TRACEPARENT_BYTES + 1]) {
    memcpy(out, "00-", 3);
    write_hex(c->trace_id, 16, out + 3);
    out[35] = '-';
    write_hex(c->span_id, 8, out + 36);
    out[52] = '-';
    write_hex(&c->flags, 1, out + 53);
    out[TRACEPARENT_BYTES] = 0;
}

/* ---- tracestate -------------------------------------------------------------------------------------------------- */

static bool key_is_good(struct str key) {
    if (!key.n || key.n > 256) return false;
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool first = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!first && (i == 0 || !c || !strchr("_-*/@", c))) return false;
    }
    return true;
}

static bool value_is_good(struct str value) {
    if (!value.n || value.n > 256 || value.p[value.n - 1] == ' ') return false;
    for (size_t i = 0; i < value.n; i++)
        if (value.p[i] < ' ' || value.p[i] > '~' || value.p[i] == ',' || value.p[i] == '=') return false;
    return true;
}

static bool has_key(const struct tracestate *s, struct str key) {
    for (uint32_t i = 0; i < s->n; i++)
        if (str_equal(s->v[i].key, key)) return true;
    return false;
}

bool tracestate_read(struct str text, struct tracestate *out) {
    struct str one;
    out->n = 0;
    if (text.n > TRACESTATE_BYTES_MAX) return false;
    for (bool more = true; more;) {
        struct w3c_member m = {0};
        more = str_cut(text, ',', &one, &text);
        one = str_trim(one);
        if (!one.n) continue; /* may stand there */
        if (!str_cut(one, '=', &m.key, &m.value) || !key_is_good(m.key) || !value_is_good(m.value) ||
            has_key(out, m.key) || out->n == TRACESTATE_MAX) {
            out->n = 0;
            return false;
        }
        out->v[out->n++] = m;
    }
    return true;
}

bool tracestate_write(const struct tracestate *s, struct str key, struct str value, struct buf *out) {
    if (!key_is_good(key) || !value_is_good(value)) return false;
    size_t start = out->n;
    buf_add_fmt(out, STR_FMT "=" STR_FMT, STR_ARG(key), STR_ARG(value));
    for (uint32_t i = 0, n = 1; i < s->n && n < TRACESTATE_MAX; i++) {
        const struct w3c_member *m = &s->v[i];
        if (str_equal(m->key, key)) continue;
        if (out->n - start + 2 + m->key.n + m->value.n > TRACESTATE_BYTES_MAX) break;
        buf_add_fmt(out, "," STR_FMT "=" STR_FMT, STR_ARG(m->key), STR_ARG(m->value));
        n++;
    }
    return true;
}

/* ---- baggage ----------------------------------------------------------------------------------------------------- */

/* A token of RFC 9110. */
static bool is_token(struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr("!#$%&'*+-.^_`|~", c))) return false;
    }
    return text.n > 0;
}

/* What may stand in a value as it is. */
static bool is_octet(char c) { return c > ' ' && c <= '~' && !strchr("\",;\\", c); }

static int hex_value(char c) { return c >= 'A' && c <= 'F' ? c - 'A' + 10 : digit_of(c); }

/* %xx that is none stays as it is. */
static struct str decode(struct str text, struct arena *a) {
    AUTO_BUF struct buf bytes, clean;
    buf_init(&bytes, BAGGAGE_BYTES_MAX + 1);
    buf_init(&clean, 4 * BAGGAGE_BYTES_MAX);
    for (size_t i = 0; i < text.n; i++) {
        int high = i + 2 < text.n && text.p[i] == '%' ? hex_value(text.p[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_value(text.p[i + 2]);
        buf_add_byte(&bytes, (char)(low < 0 ? text.p[i] : high << 4 | low));
        if (low >= 0) i += 2;
    }
    put_utf8_clean(&clean, buf_str(&bytes));
    return arena_copy(a, buf_str(&clean));
}

void baggage_read(struct str text, struct arena *a, struct baggage *out) {
    struct str one, pair;
    out->n = 0;
    if (text.n > BAGGAGE_BYTES_MAX) return;
    for (bool more = true; more && out->n < BAGGAGE_MAX;) {
        struct w3c_member m = {0};
        more = str_cut(text, ',', &one, &text);
        if (!str_cut(one, ';', &pair, &m.properties)) m.properties = STR("");
        if (!str_cut(pair, '=', &m.key, &m.value)) continue;
        m.key = str_trim(m.key);
        m.value = str_trim(m.value);
        m.properties = str_trim(m.properties);
        bool good = is_token(m.key);
        for (size_t i = 0; i < m.value.n; i++) good &= is_octet(m.value.p[i]);
        if (!good) continue;
        m.value = decode(m.value, a);
        if (!m.value.p) return; /* the arena is full */
        out->v[out->n++] = m;
    }
}

static void put_encoded(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if (is_octet(text.p[i]) && text.p[i] != '%')
            buf_add_byte(out, text.p[i]);
        else
            buf_add_fmt(out, "%%%02X", (unsigned char)text.p[i]);
}

static bool properties_are_good(struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != ';' && text.p[i] != ' ' && text.p[i] != '\t' && !is_octet(text.p[i])) return false;
    return true;
}

void baggage_write(const struct baggage *b, struct buf *out) {
    size_t start = out->n;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct w3c_member *m = &b->v[i];
        size_t before = out->n;
        if (!is_token(m->key)) continue;
        if (before > start) buf_add_byte(out, ',');
        buf_add_fmt(out, STR_FMT "=", STR_ARG(m->key));
        put_encoded(out, m->value);
        if (m->properties.n && properties_are_good(m->properties))
            buf_add_fmt(out, ";" STR_FMT, STR_ARG(m->properties));
        if (out->full || out->n - start > BAGGAGE_BYTES_MAX) out->n = before;
    }
}
