#include "api/page/page_priv.h"

#include "net/inflate.h"

enum { FILE_MAX = 8 * 1024 * 1024, ENCODINGS_MAX = 32 };
enum { GRAPHS_MAX = 8, LINK_BYTES_MAX = 64 << 10 }; /* as many expressions as the screen has */

/* ---- what the browser says ---------------------------------------------------------------------------------------- */

bool page_etag_matches(struct str list, struct str etag) {
    struct str one;
    for (bool more = list.n > 0; more;) {
        more = str_cut(list, ',', &one, &list);
        one = str_trim(one);
        if (str_equal(one, STR("*"))) return true;
        if (str_starts_with(one, STR("W/"))) one = (struct str){one.p + 2, one.n - 2};
        if (str_equal(one, etag)) return true;
    }
    return false;
}

/* "q=0", "q=0.000": not wanted. */
static bool is_refused(struct str parameters) {
    struct str p = str_trim(parameters);
    if (!str_starts_with(p, STR("q=")) && !str_starts_with(p, STR("Q="))) return false;
    for (size_t i = 2; i < p.n; i++)
        if (p.p[i] != '0' && p.p[i] != '.') return false;
    return true;
}

bool page_takes_gzip(struct str accept) {
    struct str one, name, parameters;
    bool any = false;
    for (int i = 0; accept.n > 0 && i < ENCODINGS_MAX; i++) {
        if (!str_cut(accept, ',', &one, &accept)) accept.n = 0;
        if (!str_cut(one, ';', &name, &parameters)) parameters.n = 0;
        name = str_trim(name);
        if (str_equal_nocase(name, STR("gzip"))) return !is_refused(parameters);
        if (str_equal(name, STR("*"))) any = !is_refused(parameters);
    }
    return any;
}

/* ---- answers ------------------------------------------------------------------------------------------------------ */

static void reply_file(struct api_call *c, const struct page_file *f, struct str caching) {
    struct http_field fields[] = {{STR("Cache-Control"), caching},
                                  {STR("ETag"), str_of(f->etag)},
                                  {STR("Vary"), STR("Accept-Encoding")},
                                  {STR("Content-Encoding"), STR("gzip")}};
    struct api_reply reply = {.status = 200,
                              .content_type = str_of(f->content_type),
                              .body = {(const char *)f->bytes, f->n},
                              .fields = fields,
                              .field_count = LENGTH(fields) - !f->is_gzip};
    AUTO_FREE void *unpacked = NULL;
    if (page_etag_matches(c->request.if_none_match, str_of(f->etag))) {
        reply.status = 304;
        reply.body.n = 0;
        reply.field_count = 3;
    } else if (f->is_gzip && !page_takes_gzip(c->request.accept_encoding)) {
        err e = inflate_body(STR("gzip"), reply.body, FILE_MAX, &reply.body, &unpacked);
        if (e) {
            call_fail(c, e);
            return;
        }
        reply.field_count = 3;
    }
    call_reply(c, &reply);
}

void handle_page(struct api_call *c) { reply_file(c, &page_files[0], STR("no-cache")); }

void handle_page_asset(struct api_call *c) {
    for (size_t i = 1; i < page_file_count; i++)
        if (str_equal(c->path_values[0], str_of(page_files[i].name))) {
            reply_file(c, &page_files[i], STR("public, max-age=31536000, immutable"));
            return;
        }
    call_fail(c, err_new(ERR_NOT_FOUND, "the page has no such file; load it anew"));
}

/* ---- links as Prometheus makes them ------------------------------------------------------------------------------- */

/* "g3.expr" → "expr"; nothing if it is no name of a graph. */
static struct str graph_key(struct str name) {
    size_t i = 1;
    while (i < name.n && name.p[i] >= '0' && name.p[i] <= '9') i++;
    bool is_key = i > 1 && i < name.n && name.p[0] == 'g' && name.p[i] == '.';
    return is_key ? (struct str){name.p + i + 1, name.n - i - 1} : STR("");
}

static bool is_plain_duration(struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if (!((text.p[i] >= '0' && text.p[i] <= '9') || (text.p[i] >= 'a' && text.p[i] <= 'z'))) return false;
    return text.n > 0;
}

/* Values stay escaped as they came: both sides escape alike. The first graph says how all are shown. */
static void put_explore(struct buf *out, struct str query) {
    struct str pair, name, value, range = {0};
    bool table = false;
    int graphs = 0, tabs = 0;
    for (bool more = query.n > 0; more;) {
        more = str_cut(query, '&', &pair, &query);
        str_cut(pair, '=', &name, &value);
        struct str key = graph_key(name);
        if (str_equal(key, STR("expr")) && value.n && graphs < GRAPHS_MAX)
            buf_add_fmt(out, "%squery=" STR_FMT, graphs++ ? "&" : "?", STR_ARG(value));
        else if (str_equal(key, STR("tab")) && !tabs++)
            table = str_equal(value, STR("1")) || str_equal(value, STR("table"));
        else if (str_equal(key, STR("range_input")) && !range.n && is_plain_duration(value))
            range = value;
    }
    if (graphs && range.n) buf_add_fmt(out, "&start=now-" STR_FMT, STR_ARG(range));
    if (graphs && table) buf_add_text(out, "&as=table");
}

/* Relative at the port of the page, so that a proxy may have it below a path. */
void handle_page_graph(struct api_call *c) {
    AUTO_BUF struct buf location;
    buf_init(&location, LINK_BYTES_MAX);
    bool below = str_starts_with(c->path, STR("/prometheus/"));
    if (c->request.port != API_PORT_MAIN && c->api->options.external_url.n)
        buf_add_fmt(&location, STR_FMT "/explore", STR_ARG(c->api->options.external_url));
    else
        buf_add_text(&location, below ? "../explore" : "explore");
    put_explore(&location, c->query);
    if (location.full) {
        call_fail(c, err_new(ERR_LIMIT, "a link of over %d bytes", LINK_BYTES_MAX));
        return;
    }
    struct http_field field = {STR("Location"), buf_str(&location)};
    call_reply(c, &(struct api_reply){.status = 302, .fields = &field, .field_count = 1});
}
