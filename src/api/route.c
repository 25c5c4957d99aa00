/* Which route a path is, and what to say when it is none. */
#include "api/ollystack/ollystack_priv.h"

enum { SEGMENTS_MAX = 12, METHOD_SHOWN_MAX = 32 };

struct segments {
    struct str v[SEGMENTS_MAX];
    size_t n;
};

/* "/a/b" → a, b. A path with too many segments, or that does not start with '/', has none. */
static struct segments split(struct str path) {
    struct segments s = {.n = 0};
    struct str rest = path;
    if (rest.n == 0 || rest.p[0] != '/') return s;
    rest = (struct str){rest.p + 1, rest.n - 1};
    for (bool more = true; more;) {
        if (s.n == SEGMENTS_MAX) return (struct segments){.n = 0};
        more = str_cut(rest, '/', &s.v[s.n++], &rest);
    }
    return s;
}

static bool is_param(struct str segment) { return segment.n > 2 && segment.p[0] == '{'; }

/* How well a path fits: 0 not at all; else one bit a literal segment, the first one highest, plus one. Each request asks this of each
 * route: most differ in their first bytes. */
static uint32_t fit(const char *pattern, struct str path) {
    const char *at = path.p, *end = path.p + path.n;
    uint32_t score = 0;
    while (*pattern) {
        if (at == end || *at++ != *pattern++) return 0; /* the '/' before a segment */
        const char *segment = at;
        bool literal = *pattern != '{';
        if (literal) {
            while (*pattern && *pattern != '/')
                if (at == end || *at++ != *pattern++) return 0;
        } else {
            pattern += strcspn(pattern, "/");
            while (at < end && *at != '/') at++;
            if (at == segment) return 0;
        }
        score = score << 1 | literal;
    }
    return at == end ? score + 1 : 0;
}

static err take_path_values(struct api_call *c, const struct segments *pattern, const struct segments *path) {
    size_t n = 0;
    for (size_t i = 0; i < path->n; i++) {
        if (!is_param(pattern->v[i])) continue;
        assert(n < API_PATH_VALUES_MAX);
        TRY(call_decode(&c->arena, path->v[i], false, &c->path_values[n++]));
    }
    return NULL;
}

static bool method_is(const struct api_route *r, enum http_method method) {
    return r->method == method || (r->method == HTTP_GET && method == HTTP_HEAD);
}

static const char *method_name(enum http_method method) {
    switch ((int)method) {
    case HTTP_POST: return "POST";
    case HTTP_PUT: return "PUT";
    case HTTP_DELETE: return "DELETE";
    default: return "GET";
    }
}

/* A path of the table as it is asked for at this port. */
static struct str at_port(const struct api_call *c, struct str path) {
    const char *root = api_roots[c->request.port];
    if (!root || !str_starts_with(path, str_of(root))) return path;
    return (struct str){path.p + strlen(root), path.n - strlen(root)};
}

static void fail_not_found(struct api_call *c) {
    const char *paths[256];
    size_t n = 0;
    for (size_t i = 0; i < api_route_count && n < LENGTH(paths); i++)
        if (api_routes[i].ports >> c->request.port & 1) paths[n++] = api_routes[i].path;
    const char *near = nearest_name(c->path, paths, n);
    struct buf message, hint;
    buf_init(&message, 16 * KIB);
    buf_init(&hint, KIB);
    buf_add_fmt(&message, "there is no " STR_FMT, STR_ARG(at_port(c, c->path)));
    if (near) buf_add_fmt(&hint, "did you mean " STR_FMT "?", STR_ARG(at_port(c, str_of(near))));
    if (!near)
        buf_add_text(&hint, c->request.port == API_PORT_OTLP
                                ? "this port takes POST /v1/traces, /v1/logs and /v1/metrics"
                                : "the API is below /api/v1/, OTLP below /otlp/v1/; /docs lists all");
    call_fail_as(c, 404, 12, ERR_NOT_FOUND, buf_str(&message), buf_str(&hint), NULL);
    buf_done(&message);
    buf_done(&hint);
}

static void fail_method(struct api_call *c, const struct api_route *const *found, size_t n) {
    struct buf allow, message;
    buf_init(&allow, KIB);
    buf_init(&message, KIB);
    for (size_t i = 0; i < n; i++) {
        buf_add_fmt(&allow, "%s%s", i ? ", " : "", method_name(found[i]->method));
        if (found[i]->method == HTTP_GET) buf_add_text(&allow, ", HEAD");
    }
    struct str method = {c->request.method_text.p, MIN(c->request.method_text.n, (size_t)METHOD_SHOWN_MAX)};
    buf_add_fmt(&message, STR_FMT " does not take " STR_FMT "; it takes %s",
                STR_ARG(at_port(c, str_of(found[0]->path))), STR_ARG(method), allow.p);
    struct http_field field = {STR("Allow"), buf_str(&allow)};
    call_fail_as(c, 405, 12, ERR_INVALID, buf_str(&message), STR(""), &field);
    buf_done(&allow);
    buf_done(&message);
}

/* OllyStack's: a slash too many is redirected, as Go's router does. */
static void fail_olly(struct api_call *c, const struct api_route *near) {
    struct str bare = {c->path.p, c->path.n - 1};
    bool known = false;
    for (size_t i = 0; i < api_route_count && !near && c->path.p[bare.n] == '/'; i++)
        known |= (api_routes[i].ports >> c->request.port & 1) && fit(api_routes[i].path, bare) > 0;
    if (known)
        olly_redirect(c);
    else
        olly_fail_route(c, near);
}

/* As Prometheus answers before it looks at the path; whether a page may ask is the CORS fields' matter. */
static bool is_prometheus_preflight(const struct api_call *c) {
    return c->request.method == HTTP_OPTIONS && str_starts_with(c->path, STR("/prometheus/api/v1/"));
}

/* The route without parameters that was asked for last at each port: senders ask for one again and again. */
static _Atomic(const struct api_route *) asked_last[API_PORTS];

static const struct api_route *route_again(const struct api_call *c) {
    const struct api_route *r = atomic_load_explicit(&asked_last[c->request.port], memory_order_relaxed);
    return r && method_is(r, c->request.method) && str_equal(str_of(r->path), c->path) ? r : NULL;
}

const struct api_route *route_find(struct api_call *c) {
    const struct api_route *found[4], *best = route_again(c);
    if (best) return best;
    size_t n = 0;
    uint32_t best_fit = 0;
    for (size_t i = 0; i < api_route_count; i++) {
        if (!(api_routes[i].ports >> c->request.port & 1)) continue;
        uint32_t f = fit(api_routes[i].path, c->path);
        if (f == 0 || f < best_fit) continue;
        if (f > best_fit) {
            n = 0;
            best = NULL;
        }
        best_fit = f;
        if (n < LENGTH(found)) found[n++] = &api_routes[i];
        if (method_is(&api_routes[i], c->request.method)) best = &api_routes[i];
    }
    if (!best && is_prometheus_preflight(c)) {
        call_reply(c, &(struct api_reply){.status = 204});
        return NULL;
    }
    if (!best && olly_has_path(c)) {
        fail_olly(c, n ? found[0] : NULL);
        return NULL;
    }
    if (n == 0) {
        fail_not_found(c);
        return NULL;
    }
    if (!best) {
        fail_method(c, found, n);
        return NULL;
    }
    if (!strchr(best->path, '{')) {
        atomic_store_explicit(&asked_last[c->request.port], best, memory_order_relaxed);
        return best;
    }
    struct segments pattern = split(str_of(best->path)), path = split(c->path);
    err e = take_path_values(c, &pattern, &path);
    if (!e) return best;
    call_fail(c, e);
    return NULL;
}

/* ---- documentation ---------------------------------------------------------------------------------------------- */

static const char *const type_names[] = {
    [PARAM_TEXT] = "text",
    [PARAM_INTEGER] = "integer",
    [PARAM_BOOLEAN] = "true or false",
    [PARAM_TIME] = "time",
    [PARAM_DURATION] = "duration",
    [PARAM_CHOICE] = "choice",
    [PARAM_TRACE_ID] = "32 hex digits",
    [PARAM_SPAN_ID] = "16 hex digits",
    [PARAM_SEVERITY] = "severity",
    [PARAM_WHERE] = "condition",
};
const char *param_type_name(enum api_param_type type) { return type_names[type]; }

static void put_param(struct buf *out, const struct api_param *p) {
    buf_add_fmt(out, "| `%s` | %s", p->name, type_names[p->type]);
    if (p->type == PARAM_INTEGER) buf_add_fmt(out, " %lld to %lld", (long long)p->min, (long long)p->max);
    if (p->type == PARAM_CHOICE) buf_add_fmt(out, ": %s", p->choices);
    buf_add_fmt(out, "%s | %s | %s |\n", p->repeated ? ", repeatable" : "",
                p->required  ? "required"
                : p->initial ? p->initial
                             : "",
                p->help);
}

const char *route_method(const struct api_route *r) { return method_name(r->method); }
const char *route_role(const struct api_route *r) { return role_names[r->role]; }

struct str route_topic(const struct api_route *r) {
    struct segments s = split(str_of(r->path));
    if (r->ports >> API_PORT_OTLP & 1 && r->role == ROLE_INGEST) return STR("otlp");
    if (str_starts_with(s.v[0], STR("grpc."))) return STR("grpc");
    if (str_equal(s.v[0], STR("api")) && r->role == ROLE_ANY) return STR("session");
    if (s.n > 2 && str_equal(s.v[0], STR("api"))) return s.v[2];
    return s.n > 1 ? s.v[0] : STR("server");
}

void api_put_routes(struct buf *out) {
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *r = &api_routes[i];
        const char *ports = r->ports >> API_PORT_JAEGER & 1       ? "main port, and at the root of --jaeger"
                            : r->ports >> API_PORT_OLLYSTACK & 1  ? "main port, and at the root of --ollystack"
                            : r->ports >> API_PORT_PROMETHEUS & 1 ? "main port, and at the root of --prometheus"
                            : r->ports == 3                       ? "both ports"
                            : r->ports == 1                       ? "main port"
                                                                  : "OTLP port";
        buf_add_fmt(out, "%s### %s %s\n\n%s (%s, role %s%s)\n", i ? "\n" : "", method_name(r->method), r->path, r->help,
                    ports, role_names[r->role], r->all_tenants ? ", only of tenant `*`" : "");
        if (!r->params || !r->params->name) continue;
        buf_add_text(out, "\n| parameter | type | default | meaning |\n|---|---|---|---|\n");
        for (const struct api_param *p = r->params; p->name; p++) put_param(out, p);
    }
}
