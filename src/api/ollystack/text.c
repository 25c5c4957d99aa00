/* Values as Go's encoding/json and Python's isoformat write them. */
#include "api/ollystack/ollystack_priv.h"

#include <math.h>

#include "base/text.h"

/* ---- escapes ---------------------------------------------------------------------------------------------------- */

static bool is_line_end(const char *p, size_t left) { /* U+2028, U+2029 */
    return left >= 3 && (uint8_t)p[0] == 0xe2 && (uint8_t)p[1] == 0x80 && ((uint8_t)p[2] & 0xfe) == 0xa8;
}

bool olly_needs_go_json(struct str json) {
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (c == '<' || c == '>' || c == '&' || is_line_end(json.p + i, json.n - i)) return true;
    }
    return false;
}

/* In JSON that is whole these bytes stand in texts only; `<\/` is our writer's for `</`. */
void olly_put_go_json(struct buf *out, struct str json) {
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (c == '\\' && i + 1 < json.n) {
            if (json.p[i + 1] != '/') buf_add_byte(out, c);
            buf_add_byte(out, json.p[++i]);
        } else if (c == '<' || c == '>' || c == '&') {
            buf_add_text(out, c == '<' ? "\\u003c" : c == '>' ? "\\u003e" : "\\u0026");
        } else if (is_line_end(json.p + i, json.n - i)) {
            buf_add_text(out, ((uint8_t)json.p[i + 2] & 1) ? "\\u2029" : "\\u2028");
            i += 2;
        } else {
            buf_add_byte(out, c);
        }
    }
}

/* ---- times ------------------------------------------------------------------------------------------------------ */

enum { TIME_TEXT = 40, ZONE_TEXT = 6 }; /* ±hh:mm */

/* 2026-11-20T15:40:12, and the ns behind it. */
static struct str time_text(int64_t ns, struct buf *out, int64_t *fraction) {
    int64_t rest = ns % 1000000000;
    if (rest < 0) rest += 1000000000;
    *fraction = rest;
    put_time(out, ns - rest);
    return (struct str){out->p, out->n - 1}; /* without Z */
}

static void write_time(struct json_writer *w, int64_t ns, struct str zone) {
    AUTO_BUF struct buf whole, text;
    int64_t fraction;
    buf_init(&whole, TIME_TEXT);
    buf_init(&text, 2 * TIME_TEXT);
    buf_add_str(&text, time_text(ns, &whole, &fraction));
    if (fraction) {
        buf_add_fmt(&text, ".%09lld", (long long)fraction);
        while (text.p[text.n - 1] == '0') text.n--;
    }
    buf_add_str(&text, zone);
    json_str(w, buf_str(&text));
}

void olly_time(struct json_writer *w, int64_t ns) { write_time(w, ns, STR("Z")); }

/* ±hh:mm at the end of a time that was read, as ns east of Greenwich. */
static int64_t offset_of(struct str zone) {
    int digits[] = {zone.p[1] - '0', zone.p[2] - '0', zone.p[4] - '0', zone.p[5] - '0'};
    int minutes = (digits[0] * 10 + digits[1]) * 60 + digits[2] * 10 + digits[3];
    return (zone.p[0] == '-' ? -minutes : minutes) * 60 * (int64_t)1000000000;
}

void olly_time_as_sent(struct json_writer *w, int64_t ns, struct str sent) {
    int64_t local;
    bool is_utc = sent.n < ZONE_TEXT || sent.p[sent.n - 1] == 'Z' || sent.p[sent.n - 1] == 'z';
    struct str zone = is_utc ? STR("Z") : (struct str){sent.p + sent.n - ZONE_TEXT, ZONE_TEXT};
    int64_t offset = is_utc ? 0 : offset_of(zone);
    if (offset == 0 || __builtin_add_overflow(ns, offset, &local)) /* +00:00 is Z to Go */
        olly_time(w, ns);
    else
        write_time(w, local, zone);
}

void olly_python_time(struct json_writer *w, int64_t ns) {
    AUTO_BUF struct buf whole, text;
    int64_t fraction;
    buf_init(&whole, TIME_TEXT);
    buf_init(&text, 2 * TIME_TEXT);
    buf_add_str(&text, time_text(ns, &whole, &fraction));
    if (fraction / 1000) buf_add_fmt(&text, ".%06lld", (long long)(fraction / 1000));
    json_str(w, buf_str(&text));
}

void olly_key_time(struct json_writer *w, const char *key, int64_t ns) {
    json_key(w, str_of(key));
    olly_time(w, ns);
}

void olly_time_range(struct json_writer *w, int64_t start, int64_t end, int64_t hours) {
    json_key(w, STR("timeRange"));
    json_object(w);
    olly_key_time(w, "end", end);
    json_member(w, "hours", i64, hours);
    olly_key_time(w, "start", start);
    json_object_end(w);
}

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

void olly_f64_2(struct json_writer *w, double v) { json_f64(w, round(v * 100) / 100); }
double olly_ms(double ns) { return ns / 1e6; }
double olly_percent(uint64_t part, uint64_t whole) { return whole ? (double)part * 100 / (double)whole : 0; }
