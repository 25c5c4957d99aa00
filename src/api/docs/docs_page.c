/* The API as a page to read: no scripts, nothing from elsewhere. */
#include "api/api_priv.h"

enum { TEXT_MAX = 4 * 1024 * 1024 };

static void put_html(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
            buf_add_fmt(out, "&#%d;", c);
        else
            buf_add_byte(out, c);
    }
}

/* Help texts mark words of the machine with `, as Markdown does. */
static void put_help(struct buf *out, const char *help) {
    struct str rest = str_of(help), piece;
    bool code = false;
    for (bool more = true; more; code = !code) {
        more = str_cut(rest, '`', &piece, &rest);
        if (code) buf_add_text(out, "<code>");
        put_html(out, piece);
        if (code) buf_add_text(out, "</code>");
    }
}

static void put_anchor(struct buf *out, const struct api_route *r) {
    buf_add_text(out, route_method(r));
    for (const char *p = r->path; *p; p++) buf_add_byte(out, strchr("/{}", *p) ? '-' : *p);
}

static void put_param_row(struct buf *out, const struct api_param *p) {
    buf_add_fmt(out, "<tr><td><code>%s</code>%s%s<td>", p->name, p->required ? " <b>required</b>" : "",
                p->repeated ? " repeatable" : "");
    if (p->type == PARAM_INTEGER)
        buf_add_fmt(out, "%lld to %lld", (long long)p->min, (long long)p->max);
    else
        put_html(out, str_of(p->type == PARAM_CHOICE ? p->choices : param_type_name(p->type)));
    buf_add_text(out, "<td>");
    if (p->initial) put_html(out, str_of(p->initial));
    buf_add_text(out, "<td>");
    put_help(out, p->help);
    buf_add_text(out, "\n");
}

static void put_params(struct buf *out, const struct api_route *r) {
    if (!r->params || !r->params->name) return;
    buf_add_text(out, "<table><thead><tr><th>parameter<th>type<th>default<th>meaning<tbody>\n");
    for (const struct api_param *p = r->params; p->name; p++) put_param_row(out, p);
    buf_add_text(out, "</table>\n");
}

static void put_schema(struct buf *out, const char *what, const char *name) {
    if (!name) return;
    buf_add_fmt(out, "<details><summary>%s: %s</summary><pre>", what, name);
    put_html(out, schema_find(name));
    buf_add_text(out, "</pre></details>\n");
}

static void put_route(struct buf *out, const struct api_route *r) {
    buf_add_text(out, "<section id=\"");
    put_anchor(out, r);
    buf_add_fmt(out, "\"><h3><span class=\"method\">%s</span> <code>%s</code></h3>\n<p>", route_method(r), r->path);
    put_help(out, r->help);
    buf_add_fmt(out, " <span class=\"role\">role: %s%s</span></p>\n", route_role(r),
                r->ports >> API_PORT_MAIN & 1 ? "" : ", on the OTLP port");
    put_params(out, r);
    put_schema(out, "Body", r->body);
    put_schema(out, "Answer", r->answer);
    buf_add_text(out, "</section>\n");
}

/* Calls fn for the routes of one topic after another, each topic where its first route stands. */
static void each_by_topic(struct buf *out, void (*topic)(struct buf *, struct str),
                          void (*fn)(struct buf *, const struct api_route *)) {
    for (size_t i = 0; i < api_route_count; i++) {
        struct str name = route_topic(&api_routes[i]);
        bool first = true;
        for (size_t k = 0; k < i; k++) first = first && !str_equal(route_topic(&api_routes[k]), name);
        if (!first) continue;
        topic(out, name);
        for (size_t k = i; k < api_route_count; k++)
            if (str_equal(route_topic(&api_routes[k]), name)) fn(out, &api_routes[k]);
    }
}

static void put_list_topic(struct buf *out, struct str name) {
    buf_add_fmt(out, "<li class=\"topic\">" STR_FMT "\n", STR_ARG(name));
}

static void put_list_route(struct buf *out, const struct api_route *r) {
    buf_add_text(out, "<li><a href=\"#");
    put_anchor(out, r);
    buf_add_fmt(out, "\"><span class=\"method\">%s</span> %s</a>\n", route_method(r), r->path);
}

static void put_topic(struct buf *out, struct str name) { buf_add_fmt(out, "<h2>" STR_FMT "</h2>\n", STR_ARG(name)); }

void api_put_docs_page(struct buf *out) {
    buf_add_text(out,
                 "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                 "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>clew API</title>\n"
                 "<link rel=\"stylesheet\" href=\"docs.css\">\n<nav aria-label=\"Routes\"><ul>\n");
    each_by_topic(out, put_list_topic, put_list_route);
    buf_add_text(
        out,
        "</ul></nav>\n<main>\n<h1>clew API " CLEW_VERSION "</h1>\n"
        "<p>Times are RFC 3339 in UTC, durations integers of nanoseconds in names that end in <code>_ns</code>, rates "
        "ratios. What a request gets wrong is answered with the status of its kind and "
        "<code>{\"error\":{\"kind\",\"message\",\"hint\"}}</code>. The same for programs: "
        "<a href=\"openapi.json\">openapi.json</a>.</p>\n");
    each_by_topic(out, put_topic, put_route);
    buf_add_text(out, "</main>\n</html>\n");
}

static void answer_text(struct api_call *c, struct str type, struct str body) {
    static const struct http_field policy = {STR("Content-Security-Policy"),
                                             STR("default-src 'none'; style-src 'self'; base-uri 'none'; "
                                                 "form-action 'none'; frame-ancestors 'none'")};
    call_reply(
        c, &(struct api_reply){.status = 200, .content_type = type, .body = body, .fields = &policy, .field_count = 1});
}

struct str text_once(struct api_text *t, void (*put)(struct buf *out)) {
    lock_take(&t->lock);
    if (!t->text.n) {
        buf_init(&t->text, TEXT_MAX);
        put(&t->text);
    }
    lock_give(&t->lock);
    return buf_str(&t->text);
}

void handle_docs(struct api_call *c) {
    answer_text(c, STR("text/html; charset=utf-8"), text_once(&c->api->docs, api_put_docs_page));
}

void handle_docs_style(struct api_call *c) {
    answer_text(c, STR("text/css; charset=utf-8"), (struct str){docs_css, docs_css_n});
}
