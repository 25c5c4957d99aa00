/* Parameters and bodies as Go reads them: numbers by strconv, texts by ILIKE, objects by encoding/json. */
#include "api/ollystack/ollystack_priv.h"

#include "base/text.h"

enum { HOURS_MAX = 24 * 366, LIKE_MAX = 4096 };

struct str olly_text(const struct api_call *c, const char *name) {
    struct str text = call_text(c, name);
    return text.p ? text : STR("");
}

err olly_integer(const struct api_call *c, const char *name, int64_t otherwise, int64_t *out) {
    struct str text = call_text(c, name);
    if (!text.p) {
        *out = otherwise;
        return NULL;
    }
    err e = parse_i64(text, out);
    if (!e) return NULL;
    err_free(e);
    bool digits = text.n > 0;
    for (size_t i = text.p[0] == '-' || text.p[0] == '+'; i < text.n; i++)
        digits &= text.p[i] >= '0' && text.p[i] <= '9';
    return err_new(ERR_INVALID, "strconv.ParseInt: parsing \"" STR_FMT "\": %s", STR_ARG(text),
                   digits ? "value out of range" : "invalid syntax");
}

int64_t olly_integer_or(const struct api_call *c, const char *name, int64_t absent, int64_t bad) {
    int64_t v;
    err e = olly_integer(c, name, absent, &v);
    if (!e) return v;
    err_free(e);
    return bad;
}

int64_t olly_hours(const struct api_call *c, int64_t otherwise) {
    int64_t hours = olly_integer_or(c, "hours", otherwise, otherwise);
    return hours < 1 ? otherwise : MIN(hours, (int64_t)HOURS_MAX);
}

int64_t olly_time_or(struct str text, int64_t otherwise) {
    int64_t ns;
    if (str_find(text, 'T') < 0) return otherwise; /* a number, or now: not RFC 3339 */
    err e = parse_time(text, 0, &ns);
    if (!e) return ns;
    err_free(e);
    return otherwise;
}

/* Cuts "12", "1.5" or ".5" off. */
static bool cut_number(struct str *text, double *out) {
    size_t i = 0, digits = 0;
    double value = 0, place = 0;
    for (; i < text->n && ((text->p[i] >= '0' && text->p[i] <= '9') || (text->p[i] == '.' && place == 0)); i++) {
        if (text->p[i] == '.') {
            place = 1;
            continue;
        }
        digits++;
        if (place > 0)
            value += (place /= 10) * (text->p[i] - '0');
        else
            value = value * 10 + (text->p[i] - '0');
    }
    *text = (struct str){text->p + i, text->n - i};
    *out = value;
    return digits > 0;
}

int64_t olly_duration_or(struct str text, int64_t otherwise) {
    static const struct {
        struct str text;
        double ns;
    } units[] = {{STR("ns"), 1},   {STR("us"), 1e3}, {STR("\u00b5s"), 1e3}, {STR("\u03bcs"), 1e3},
                 {STR("ms"), 1e6}, {STR("s"), 1e9},  {STR("m"), 60e9},      {STR("h"), 3600e9}};
    double sum = 0, number;
    bool negative = text.n && text.p[0] == '-';
    if (text.n && (negative || text.p[0] == '+')) text = (struct str){text.p + 1, text.n - 1};
    if (str_equal(text, STR("0"))) return 0;
    if (!text.n) return otherwise;
    while (text.n) {
        size_t u = 0;
        if (!cut_number(&text, &number)) return otherwise;
        while (u < LENGTH(units) && !str_starts_with(text, units[u].text)) u++;
        if (u == LENGTH(units)) return otherwise;
        text = (struct str){text.p + units[u].text.n, text.n - units[u].text.n};
        sum += number * units[u].ns;
    }
    if (sum >= 9.2e18) return otherwise;
    return (int64_t)(negative ? -sum : sum);
}

struct str olly_like(struct arena *a, struct str text) {
    AUTO_BUF struct buf out;
    buf_init(&out, LIKE_MAX);
    buf_add_text(&out, "(?is)");
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%' || c == '_') {
            buf_add_text(&out, c == '%' ? ".*" : ".");
            continue;
        }
        if (c == '\\' && i + 1 < text.n) c = text.p[++i]; /* \% is the sign itself */
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c & 0x80;
        if (plain)
            buf_add_byte(&out, c);
        else
            buf_add_fmt(&out, "\\x%02x", (unsigned)(uint8_t)c);
    }
    return out.full ? (struct str){NULL, 0} : arena_copy(a, buf_str(&out));
}

/* ---- bodies ----------------------------------------------------------------------------------------------------- */

static const char *token_name(enum json_token t) {
    switch ((int)t) {
    case JSON_STRING: return "string";
    case JSON_NUMBER: return "number";
    case JSON_TRUE:
    case JSON_FALSE: return "bool";
    case JSON_OBJECT: return "object";
    default: return "array";
    }
}

static err take_member(struct api_call *c, struct json_reader *r, const struct olly_member *m, enum json_token t) {
    static const char *const types[] = {[OLLY_TEXT] = "string", [OLLY_BOOLEAN] = "bool", [OLLY_INTEGER] = "int"};
    if (t == JSON_NULL) return NULL; /* as if it were not there */
    bool good = false;
    int64_t number;
    if (m->type == OLLY_TEXT && t == JSON_STRING) {
        *(struct str *)m->out = arena_copy(&c->arena, r->value);
        good = true;
    } else if (m->type == OLLY_BOOLEAN && (t == JSON_TRUE || t == JSON_FALSE)) {
        *(bool *)m->out = t == JSON_TRUE;
        good = true;
    } else if (m->type == OLLY_INTEGER && t == JSON_NUMBER) {
        err e = parse_i64(r->value, &number);
        good = !e;
        err_free(e);
        if (good) *(int64_t *)m->out = number;
    }
    if (!good)
        return err_new(ERR_INVALID, "json: cannot unmarshal %s into Go struct field .%s of type %s", token_name(t),
                       m->name, types[m->type]);
    if (m->given) *m->given = true;
    return arena_err(&c->arena);
}

static const struct olly_member *member_of(const struct olly_member *members, size_t n, struct str name) {
    for (size_t i = 0; i < n; i++)
        if (str_equal(name, str_of(members[i].name))) return &members[i];
    return NULL;
}

/* The rest of a value whose first token was read. */
static bool skip_rest(struct json_reader *r, enum json_token t) {
    int depth = t == JSON_OBJECT || t == JSON_ARRAY;
    while (depth > 0) {
        t = json_next(r);
        if (t == JSON_ERROR || t == JSON_END) return false;
        if (t == JSON_OBJECT || t == JSON_ARRAY) depth++;
        if (t == JSON_OBJECT_END || t == JSON_ARRAY_END) depth--;
    }
    return t != JSON_ERROR;
}

static err read_members(struct api_call *c, struct json_reader *r, const struct olly_member *members, size_t n) {
    enum json_token t;
    while ((t = json_next(r)) == JSON_KEY) {
        const struct olly_member *m = member_of(members, n, r->value);
        t = json_next(r);
        if (t == JSON_ERROR) break;
        if (m) TRY(take_member(c, r, m, t));
        if (!skip_rest(r, t)) break;
    }
    return r->error ? json_reader_err(r) : NULL;
}

err olly_body(struct api_call *c, const struct olly_member *members, size_t n) {
    struct json_reader r;
    struct str body = str_trim(c->request.body);
    if (!body.n) return err_new(ERR_INVALID, "EOF");
    if (body.n > OLLY_BODY_MAX) return err_new(ERR_LIMIT, "the body has more than %d bytes", OLLY_BODY_MAX);
    json_reader_init(&r, body, OLLY_BODY_DEPTH);
    enum json_token t = json_next(&r);
    err e = t == JSON_OBJECT  ? read_members(c, &r, members, n)
            : t == JSON_ERROR ? json_reader_err(&r)
                              : err_new(ERR_INVALID, "json: cannot unmarshal %s into Go value", token_name(t));
    if (!e && json_next(&r) != JSON_END) e = err_new(ERR_INVALID, "something follows the object");
    json_reader_done(&r);
    return e;
}
