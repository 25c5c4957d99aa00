#include "net/request_priv.h"

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool percent_decode(struct str s, bool plus_is_blank, char *out, size_t *out_n) {
    bool clean = true;
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '+' && plus_is_blank) c = ' ';
        if (c == '%') {
            int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1, low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;
            if (high >= 0 && low >= 0) {
                c = (char)(high << 4 | low);
                i += 2;
            } else {
                clean = false;
            }
        }
        out[n++] = c;
    }
    *out_n = n;
    return clean;
}

/* ---- the path --------------------------------------------------------------------------------------------------- */

static bool has_parent_segment(struct str path) {
    size_t start = 0;
    for (size_t i = 0; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '/' && path.p[i] != '\\') continue;
        if (i - start == 2 && path.p[start] == '.' && path.p[start + 1] == '.') return true;
        start = i + 1;
    }
    return false;
}

int path_read(struct http_request *r) {
    struct str path = request_piece(r, r->path);
    if (path.n == 0) path = r->path_decoded = STR("/");
    if (str_find(path, '%') >= 0) {
        char *decoded = arena_alloc(&r->memory, path.n);
        r->reason = "the path holds a % that is no escape";
        if (!decoded || !percent_decode(path, false, decoded, &path.n)) return 400;
        path.p = decoded;
        r->path_decoded = path;
    }
    r->reason = "the path holds NUL";
    if (memchr(path.p, 0, path.n)) return 400;
    r->reason = "the path holds \"..\"";
    if (has_parent_segment(path)) return 400;
    r->reason = NULL;
    return 0;
}

/* ---- parameters ------------------------------------------------------------------------------------------------- */

bool request_is_form(const struct http_request *r) {
    const struct str form = STR("application/x-www-form-urlencoded");
    struct str type = http_field(r, STR("content-type"));
    return type.n >= form.n && str_equal_nocase((struct str){type.p, form.n}, form);
}

static struct str form_of(const struct http_request *r) { return request_is_form(r) ? r->body : (struct str){0}; }

/* Cuts the next non-empty pair off; false if there is none. */
static bool pair_next(struct str *rest, struct str *out_pair) {
    while (rest->n) {
        str_cut(*rest, '&', out_pair, rest);
        if (out_pair->n) return true;
    }
    return false;
}

size_t params_count(const struct http_request *r) {
    struct str sources[] = {http_query(r), form_of(r)}, pair;
    size_t n = 0;
    for (size_t i = 0; i < LENGTH(sources); i++)
        while (n <= PARAMS_MAX && pair_next(&sources[i], &pair)) n++;
    return n;
}

/* The text without its escapes: itself where it has none. */
static struct str decoded(struct http_request *r, struct str s) {
    if (!s.n || (!memchr(s.p, '%', s.n) && !memchr(s.p, '+', s.n))) return s;
    char *out = arena_alloc(&r->memory, s.n);
    if (!out) return (struct str){0}; /* not while the arena's limit holds query and form: REQUEST_MEMORY */
    s.n = (percent_decode(s, true, out, &s.n), s.n);
    s.p = out;
    return s;
}

static void params_read(struct http_request *r) {
    if (r->params_read) return;
    r->params_read = true;
    struct str sources[] = {http_query(r), form_of(r)}, pair, name, value;
    size_t n = params_count(r);
    if (n) r->params = arena_array(&r->memory, struct http_field, n);
    if (!r->params) return;
    for (size_t i = 0; i < LENGTH(sources); i++)
        while (r->param_count < PARAMS_MAX && pair_next(&sources[i], &pair)) {
            str_cut(pair, '=', &name, &value);
            r->params[r->param_count++] = (struct http_field){decoded(r, name), decoded(r, value)};
        }
}

bool http_param(struct http_request *r, struct str name, size_t nth, struct str *out) {
    params_read(r);
    for (size_t i = 0; i < r->param_count; i++) {
        if (!str_equal(r->params[i].name, name) || nth--) continue;
        *out = r->params[i].value;
        return true;
    }
    return false;
}

void http_params_each(struct http_request *r, void (*fn)(void *context, struct str name, struct str value),
                      void *context) {
    params_read(r);
    for (size_t i = 0; i < r->param_count; i++) fn(context, r->params[i].name, r->params[i].value);
}
