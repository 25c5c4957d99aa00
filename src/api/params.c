/* Parameters of a query string, by a route's table. */
#include "api/api_priv.h"

#include "base/text.h"

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

err call_decode(struct arena *a, struct str text, bool plus, struct str *out) {
    char *p = arena_alloc(a, text.n + 1);
    if (!p) return arena_err(a);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '+' && plus) {
            c = ' ';
        } else if (c == '%') {
            int high = i + 2 < text.n ? hex_digit(text.p[i + 1]) : -1,
                low = i + 2 < text.n ? hex_digit(text.p[i + 2]) : -1;
            if (high < 0 || low < 0) return err_new(ERR_INVALID, "a broken %%-escape in '" STR_FMT "'", STR_ARG(text));
            c = (char)(high * 16 + low);
            i += 2;
        }
        p[n++] = c;
    }
    *out = (struct str){p, n};
    return NULL;
}

/* ---- suggestions ------------------------------------------------------------------------------------------------ */

enum { NEAR_MAX = 64 };

static size_t edits(struct str a, struct str b) {
    size_t row[NEAR_MAX + 1];
    if (a.n > NEAR_MAX || b.n > NEAR_MAX) return SIZE_MAX;
    for (size_t j = 0; j <= b.n; j++) row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t replaced = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            row[j] = MIN(replaced, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.n];
}

const char *nearest_name(struct str name, const char *const *names, size_t n) {
    const char *best = NULL;
    size_t least = name.n / 2 + 1; /* more than half of it changed is no slip */
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(names[i]);
        if (MAX(length, name.n) - MIN(length, name.n) >= least) continue;
        size_t distance = edits(name, str_of(names[i]));
        if (distance >= least) continue;
        least = distance;
        best = names[i];
    }
    return best;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

/* The index of `text` in "a b c", or -1. */
static int choice_index(const char *choices, struct str text) {
    struct str rest = str_of(choices), head;
    for (int i = 0;; i++) {
        bool more = str_cut(rest, ' ', &head, &rest);
        if (str_equal_nocase(head, text)) return i;
        if (!more) return -1;
    }
}

static err parse_choice(const struct api_param *p, struct str text, int64_t *out) {
    int i = choice_index(p->choices, text);
    if (i < 0) return err_new(ERR_INVALID, "'" STR_FMT "' is not one of: %s", STR_ARG(text), p->choices);
    *out = i;
    return NULL;
}

/* A class name means its lowest number; a number is taken as it is. */
static err parse_severity(struct str text, int64_t *out) {
    for (int i = 1; i < SEVERITY_CLASSES; i++)
        if (str_equal_nocase(text, str_of(severity_class_names[i]))) {
            *out = (i - 1) * 4 + 1;
            return NULL;
        }
    int64_t number;
    err e = parse_i64(text, &number);
    if (!e && number >= 1 && number <= 24) {
        *out = number;
        return NULL;
    }
    err_free(e);
    return err_new(ERR_INVALID, "'" STR_FMT "' is not one of: trace debug info warn error fatal, nor 1 to 24",
                   STR_ARG(text));
}

static err parse_integer(const struct api_param *p, struct str text, int64_t *out) {
    int64_t number;
    TRY(parse_i64(text, &number));
    if (number < p->min || number > p->max)
        return err_new(ERR_INVALID, "%lld is not within %lld to %lld", (long long)number, (long long)p->min,
                       (long long)p->max);
    *out = number;
    return NULL;
}

static err parse_id(struct str text, size_t bytes, unsigned char *out) {
    err e = parse_hex(text, out, bytes);
    if (!e) return NULL;
    err_free(e);
    return err_new(ERR_INVALID, "'" STR_FMT "' is not %zu hexadecimal digits", STR_ARG(text), 2 * bytes);
}

static err parse_value(struct api_call *c, const struct api_param *p, struct str text, struct api_value *out) {
    bool yes = false;
    out->given = true;
    out->text = text;
    switch (p->type) {
    case PARAM_TEXT:
    case PARAM_WHERE: return NULL;
    case PARAM_INTEGER: return parse_integer(p, text, &out->number);
    case PARAM_BOOLEAN: TRY(parse_bool(text, &yes)); break;
    case PARAM_TIME: return parse_time(text, c->now_ns, &out->number);
    case PARAM_DURATION:
        TRY(parse_duration(text, &out->number));
        return out->number < 0 ? err_new(ERR_INVALID, "a duration is not negative") : NULL;
    case PARAM_CHOICE: return parse_choice(p, text, &out->number);
    case PARAM_TRACE_ID: return parse_id(text, 16, out->bytes);
    case PARAM_SPAN_ID: return parse_id(text, 8, out->bytes);
    case PARAM_SEVERITY: return parse_severity(text, &out->number);
    }
    out->number = yes;
    return NULL;
}

/* ---- the query string ------------------------------------------------------------------------------------------- */

static err refuse_unknown(const struct api_route *r, struct str name) {
    const char *names[API_PARAMS_MAX];
    size_t n = 0;
    for (const struct api_param *p = r->params; p && p->name; p++) names[n++] = p->name;
    const char *near = nearest_name(name, names, n);
    if (near) return err_new(ERR_INVALID, "unknown parameter '" STR_FMT "'; did you mean '%s'?", STR_ARG(name), near);
    if (n == 0) return err_new(ERR_INVALID, "unknown parameter '" STR_FMT "'; %s takes none", STR_ARG(name), r->path);
    struct buf list;
    buf_init(&list, KIB);
    for (size_t i = 0; i < n; i++) buf_add_fmt(&list, "%s%s", i ? ", " : "", names[i]);
    err e = err_new(ERR_INVALID, "unknown parameter '" STR_FMT "'; %s takes: %s", STR_ARG(name), r->path, list.p);
    buf_done(&list);
    return e;
}

static err take_param(struct api_call *c, struct str name, struct str value) {
    size_t i = 0;
    const struct api_param *p = c->route->params;
    while (p && p[i].name && !str_equal(name, str_of(p[i].name))) i++;
    if (!p || !p[i].name) return c->route->lenient ? NULL : refuse_unknown(c->route, name);
    if (value.n == 0) return NULL; /* an empty form field is not given */
    if (p[i].repeated) {
        size_t most = p[i].type == PARAM_WHERE ? QUERY_WHERE_MAX : API_REPEATS_MAX;
        if (c->where_count == most) return err_new(ERR_INVALID, "%s is given more than %zu times", p[i].name, most);
        c->where_of[c->where_count] = (uint8_t)i;
        c->wheres[c->where_count++] = value;
        return NULL;
    }
    if (c->values[i].given && c->route->lenient) return NULL; /* the first counts */
    if (c->values[i].given) return err_new(ERR_INVALID, "%s is given twice", p[i].name);
    return err_wrap(parse_value(c, &p[i], value, &c->values[i]), "%s", p[i].name);
}

static err take_defaults(struct api_call *c) {
    const struct api_param *p = c->route->params;
    for (size_t i = 0; p && p[i].name; i++) {
        assert(i < API_PARAMS_MAX);
        if (c->values[i].given) continue;
        if (p[i].required) return err_new(ERR_INVALID, "%s is missing: %s", p[i].name, p[i].help);
        if (p[i].initial) TRY(parse_value(c, &p[i], str_of(p[i].initial), &c->values[i]));
    }
    return NULL;
}

static err take_pairs(struct api_call *c, struct str text) {
    struct str rest = text, pair, name, value;
    for (bool more = rest.n > 0; more;) {
        more = str_cut(rest, '&', &pair, &rest);
        if (pair.n == 0) continue;
        if (!str_cut(pair, '=', &name, &value)) value = (struct str){"", 0};
        TRY(call_decode(&c->arena, name, true, &name));
        TRY_WRAP(call_decode(&c->arena, value, true, &value), STR_FMT, STR_ARG(name));
        TRY(take_param(c, name, value));
    }
    return NULL;
}

static bool is_of_type(struct str content_type, struct str type) {
    struct str head, rest;
    str_cut(content_type, ';', &head, &rest);
    return str_equal_nocase(str_trim(head), type);
}

static err take_form(struct api_call *c) {
    struct str type = c->request.content_type;
    if (is_of_type(type, STR("multipart/form-data")))
        return err_new(ERR_INVALID,
                       "multipart/form-data is not read: send the form as application/x-www-form-urlencoded");
    return is_of_type(type, STR("application/x-www-form-urlencoded")) ? take_pairs(c, c->request.body) : NULL;
}

err params_parse(struct api_call *c) {
    if (c->route->takes_form) TRY(take_form(c));
    TRY(take_pairs(c, c->query));
    return take_defaults(c);
}

err call_body_is_json(const struct api_call *c) {
    if (is_of_type(c->request.content_type, STR("application/json"))) return NULL;
    return err_new(ERR_INVALID, "send Content-Type: application/json");
}

const struct api_value *call_value(const struct api_call *c, const char *name) {
    const struct api_param *p = c->route->params;
    for (size_t i = 0; p && p[i].name; i++)
        if (strcmp(p[i].name, name) == 0) return &c->values[i];
    assert(false); /* the route has no such parameter */
    return &c->values[0];
}

bool call_given(const struct api_call *c, const char *name) { return call_value(c, name)->given; }

struct str call_text(const struct api_call *c, const char *name) {
    const struct api_value *v = call_value(c, name);
    return v->given ? v->text : (struct str){NULL, 0};
}

int64_t call_number(const struct api_call *c, const char *name, int64_t otherwise) {
    const struct api_value *v = call_value(c, name);
    return v->given ? v->number : otherwise;
}
