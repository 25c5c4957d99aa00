/* Where in a text an id may stand: entries of baggage and trace state, members of JSON and of maps. */
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "ingest/correlate/correlate_priv.h"

/* ---- what was found ----------------------------------------------------------------------------------------------- */

void correlate_found_init(struct correlate_found *f) {
    *f = (struct correlate_found){.rank = UINT32_MAX};
    buf_init(&f->id, CORRELATE_ID_BYTES_MAX + 1);
    buf_init(&f->other, CORRELATE_LIST_BYTES_MAX + 1);
}

void correlate_found_done(struct correlate_found *f) {
    buf_done(&f->id);
    buf_done(&f->other);
}

void correlate_found_clear(struct correlate_found *f) {
    buf_clear(&f->id);
    f->rank = UINT32_MAX;
    f->too_long = 0;
}

void correlate_take(struct correlate_found *f, uint32_t rank, struct str text) {
    if (!text.n || rank >= f->rank || correlate_is_masked(text)) return;
    if (text.n > CORRELATE_ID_BYTES_MAX) {
        f->too_long++;
        return;
    }
    buf_clear(&f->id);
    buf_add_str(&f->id, text);
    f->rank = rank;
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

uint32_t correlate_find_name(const struct correlate_names *names, struct str name) {
    for (uint32_t i = 0; i < names->n; i++)
        if (str_equal(names->v[i], name)) return i;
    return names->n;
}

static char folded(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c == '_' ? '-' : c; }

static bool folded_equal(struct str a, struct str b) {
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (folded(a.p[i]) != folded(b.p[i])) return false;
    return true;
}

bool correlate_is_header(struct str attribute, struct str header) {
    static const struct str prefix = STR("http.request.header.");
    if (attribute.n == header.n) return folded_equal(attribute, header);
    if (attribute.n != prefix.n + header.n || memcmp(attribute.p, prefix.p, prefix.n) != 0) return false;
    return folded_equal((struct str){attribute.p + prefix.n, header.n}, header);
}

/* ---- baggage and trace state -------------------------------------------------------------------------------------- */

static struct str trimmed(struct str s) {
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t')) s.n--;
    return s;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A % that no two digits follow stands for itself. */
static void decode_percent(struct str s, struct buf *out) {
    buf_clear(out);
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;
        if (low >= 0) {
            buf_add_byte(out, (char)(high << 4 | low));
            i += 2;
        } else {
            buf_add_byte(out, s.p[i]);
        }
    }
}

/* The entries that end within the limit. */
static struct str within_limit(struct str list) {
    if (list.n <= CORRELATE_LIST_BYTES_MAX) return list;
    list.n = CORRELATE_LIST_BYTES_MAX;
    while (list.n && list.p[list.n - 1] != ',') list.n--;
    return list;
}

void correlate_in_list(const struct correlate_names *keys, struct str text, bool baggage, struct correlate_found *out) {
    struct str rest = within_limit(text);
    while (rest.n) {
        struct str entry = rest, key, value, without;
        if (str_cut(rest, ',', &entry, &without))
            rest = without;
        else
            rest.n = 0;
        if (baggage && str_cut(entry, ';', &without, &value)) entry = without; /* its properties go */
        if (!str_cut(entry, '=', &key, &value)) continue;
        uint32_t rank = correlate_find_name(keys, trimmed(key));
        if (rank == keys->n) continue;
        decode_percent(trimmed(value), &out->other);
        correlate_take(out, rank, buf_str(&out->other));
    }
}

/* ---- bodies ------------------------------------------------------------------------------------------------------- */

/* A text that is read as JSON, as little of it as tells where keys stand: strings, and what opens and ends. A body is looked at by each
 * log that has one, so this costs a few ns a string where a parser of JSON takes a hundred. */
struct json_walk {
    const struct correlate_rules *rules;
    struct correlate_found *out;
    const char *p, *end;
    uint32_t depth;
    uint64_t in_array; /* bit d: depth d + 1 is an array */
    bool wants_key;    /* the next string at this depth is a key, if it is an object */
    uint32_t rank;     /* of the key whose value comes next; that of no name: it is none of those */
};

enum { WALK_DEPTH_MAX = 64 };

bool correlate_may_be_json(struct str text) {
    size_t i = 0;
    while (i < text.n && (text.p[i] == ' ' || text.p[i] == '\t' || text.p[i] == '\n' || text.p[i] == '\r')) i++;
    return i < text.n && text.p[i] == '{';
}

/* Members of this depth are looked at. */
static bool is_open(const struct json_walk *w) {
    return w->depth == 1 || (w->rules->body_nested && w->depth <= CORRELATE_DEPTH_MAX && !w->in_array);
}

/* From behind a quote to the one that ends the string; false: none does. */
static bool read_text(struct json_walk *w, struct str *out, bool *out_escaped) {
    const char *start = w->p, *quote;
    *out_escaped = false;
    while ((quote = memchr(w->p, '"', (size_t)(w->end - w->p)))) {
        const char *before = quote;
        while (before > start && before[-1] == '\\') before--;
        w->p = quote + 1;
        if ((quote - before) % 2) continue; /* the quote is escaped */
        *out = (struct str){start, (size_t)(quote - start)};
        *out_escaped = memchr(start, '\\', out->n) != NULL;
        return true;
    }
    return false;
}

static void take_text(struct json_walk *w, struct str text, bool escaped) {
    if (!escaped) {
        correlate_take(w->out, w->rank, text);
        return;
    }
    struct json_reader r;
    json_reader_init(&r, (struct str){text.p - 1, text.n + 2}, 1);
    if (json_next(&r) == JSON_STRING) correlate_take(w->out, w->rank, r.value);
    json_reader_done(&r);
}

static bool walk_text(struct json_walk *w) {
    struct str text;
    bool escaped;
    if (!read_text(w, &text, &escaped)) return false;
    if (!is_open(w)) return true;
    uint32_t none = w->rules->body_keys.n;
    if (w->wants_key)
        w->rank = escaped ? none : correlate_find_name(&w->rules->body_keys, text);
    else if (w->rank < none)
        take_text(w, text, escaped);
    if (!w->wants_key) w->rank = none;
    w->wants_key = false;
    return true;
}

/* A whole number that is the value of a key, if those count. */
static void walk_number(struct json_walk *w) {
    const char *start = w->p - 1;
    while (w->p < w->end &&
           ((*w->p >= '0' && *w->p <= '9') || *w->p == '.' || (*w->p | 0x20) == 'e' || *w->p == '+' || *w->p == '-'))
        w->p++;
    struct str number = {start, (size_t)(w->p - start)};
    bool whole = number.p[number.n - 1] != '-';
    for (size_t i = 1; i < number.n; i++) whole &= number.p[i] >= '0' && number.p[i] <= '9';
    if (whole && w->rules->numbers && w->rank < w->rules->body_keys.n && is_open(w))
        correlate_take(w->out, w->rank, number);
}

static bool walk_into(struct json_walk *w, bool array) {
    if (w->depth == WALK_DEPTH_MAX) return false;
    w->in_array |= (uint64_t)array << w->depth;
    w->depth++;
    w->wants_key = !array;
    w->rank = w->rules->body_keys.n;
    return true;
}

static bool walk_out(struct json_walk *w) {
    w->depth--;
    w->in_array &= ~(UINT64_C(1) << w->depth);
    return w->depth > 0;
}

static bool walk_byte(struct json_walk *w, char c) {
    switch (c) {
    case '"': return walk_text(w);
    case '{':
    case '[': return walk_into(w, c == '[');
    case '}':
    case ']': return walk_out(w);
    case ',':
        w->wants_key = !(w->in_array >> (w->depth - 1) & 1);
        w->rank = w->rules->body_keys.n;
        return true;
    default:
        if (c == '-' || (c >= '0' && c <= '9')) walk_number(w);
        return true;
    }
}

void correlate_in_json(const struct correlate_rules *rules, struct str text, struct correlate_found *out) {
    struct json_walk w = {.rules = rules, .out = out, .p = text.p, .end = text.p + text.n};
    while (w.p < w.end && *w.p != '{') w.p++;
    if (w.p == w.end) return;
    w.p++;
    if (!walk_into(&w, false)) return;
    while (w.p < w.end && out->rank != 0)
        if (!walk_byte(&w, *w.p++)) return;
}

static void take_part(const struct correlate_rules *rules, uint32_t rank, const struct value_part *part,
                      struct correlate_found *out) {
    char digits[24];
    if (part->type == VALUE_STRING) correlate_take(out, rank, part->text);
    if (part->type != VALUE_INT || !rules->numbers) return;
    int n = snprintf(digits, sizeof digits, "%lld", (long long)(int64_t)part->number);
    correlate_take(out, rank, (struct str){digits, (size_t)n});
}

void correlate_in_map(const struct correlate_rules *rules, struct str message, struct correlate_found *out) {
    struct value_list levels[CORRELATE_DEPTH_MAX];
    struct value_part part;
    struct str key;
    int depth = 0;
    if (!value_list_open(message, &levels[0]) || !levels[0].is_map) return;
    while (depth >= 0 && out->rank != 0) {
        if (!value_list_next(&levels[depth], &key, &part)) {
            depth--;
            continue;
        }
        uint32_t rank = correlate_find_name(&rules->body_keys, key);
        if (rank < rules->body_keys.n) take_part(rules, rank, &part, out);
        if (part.type == VALUE_ANY && rules->body_nested && depth + 1 < CORRELATE_DEPTH_MAX &&
            value_list_open(part.text, &levels[depth + 1]) && levels[depth + 1].is_map)
            depth++;
    }
}
