/* How answers begin and end, and what a path says about who is asked: the API server, written in Go, or the AI engine, in Python. */
#include "api/ollystack/ollystack_priv.h"

#include <stdio.h>

#include "os/clock.h"

enum { REQUEST_ID_MAX = 128, UUID_TEXT = 36 };

static const struct str root = STR("/ollystack/"), ai_root = STR("/ollystack/ai/");

/* ---- paths ------------------------------------------------------------------------------------------------------ */

bool olly_has_path(const struct api_call *c) { return str_starts_with(c->path, root); }

void olly_take_path(struct api_call *c) {
    if (!str_starts_with(c->path, ai_root)) return;
    size_t behind = ai_root.n - 1;
    AUTO_BUF struct buf path;
    buf_init(&path, 64 * KIB);
    buf_add(&path, root.p, root.n - 1);
    buf_add(&path, c->path.p + behind, c->path.n - behind);
    struct str text = arena_copy(&c->arena, buf_str(&path));
    if (!text.p) return;
    c->path = text;
    c->is_ai = true;
}

bool olly_is_otlp(enum api_port port, struct str path) {
    return str_starts_with(path, STR("/ollystack/v1/")) ||
           (port == API_PORT_OLLYSTACK && str_starts_with(path, STR("/v1/")));
}

bool olly_is_ai(enum api_port port, struct str target) {
    return str_starts_with(target, ai_root) || (port == API_PORT_OLLYSTACK && str_starts_with(target, STR("/ai/")));
}

static bool is_of_engine(const struct api_route *r) {
    return r && (r->handler == handle_olly_ai_health || r->handler == handle_olly_ai_timeseries ||
                 r->handler == handle_olly_ai_absent);
}

bool olly_speaks_ai(const struct api_call *c) { return c->is_ai || is_of_engine(c->route); }

struct str olly_content_type(const struct api_call *c) {
    return olly_speaks_ai(c) ? STR("application/json") : STR("application/json; charset=utf-8");
}

bool olly_admit(struct api_call *c) {
    if (c->request.method != HTTP_OPTIONS || !olly_has_path(c)) return true;
    call_reply(c, &(struct api_reply){.status = 204});
    return false;
}

struct str olly_request_id(struct api_call *c) {
    unsigned char b[16];
    char text[UUID_TEXT + 1];
    struct str sent = c->request.request_id;
    if (sent.n > 0 && sent.n <= REQUEST_ID_MAX) return sent;
    random_bytes(b, sizeof b);
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* RFC 9562: version 4, variant 10 */
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    struct str made = arena_copy(&c->arena, (struct str){text, UUID_TEXT});
    return made.p ? made : STR("00000000-0000-4000-8000-000000000000"); /* no memory for one */
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static void put_error(struct buf *out, bool ai, struct str message, struct str id) {
    AUTO_BUF struct buf json;
    struct json_writer w;
    buf_init(&json, 64 * KIB);
    json_writer_init(&w, &json);
    json_object(&w);
    if (id.p) json_member(&w, "correlationId", str, id);
    json_key(&w, ai ? STR("detail") : STR("error"));
    json_str(&w, message);
    json_object_end(&w);
    if (ai)
        buf_add_str(out, buf_str(&json));
    else
        olly_put_go_json(out, buf_str(&json));
}

void olly_put_error(struct buf *out, bool ai, struct str message) {
    put_error(out, ai, message, (struct str){NULL, 0});
}

const char *olly_refusal(const struct api_call *c, enum access_outcome why, const char *message) {
    struct str sent = c->request.credentials.authorization;
    if (why == ACCESS_NOBODY && !sent.p) return "missing authorization header";
    if (why != ACCESS_NOBODY && why != ACCESS_BAD_TOKEN && why != ACCESS_EXPIRED) return message;
    bool known = str_starts_with(sent, STR("Bearer ")) || str_starts_with(sent, STR("Basic ")) || !sent.p;
    return known ? "invalid token" : "invalid authorization header";
}

void olly_fail(struct api_call *c, int status, struct str message) {
    AUTO_BUF struct buf body;
    buf_init(&body, 64 * KIB);
    olly_put_error(&body, olly_speaks_ai(c), message);
    call_reply(c, &(struct api_reply){.status = status, .content_type = olly_content_type(c), .body = buf_str(&body)});
}

void olly_fail_route(struct api_call *c, const struct api_route *near) {
    static const struct http_field allow = {STR("Allow"), STR("GET, HEAD, POST")};
    bool ai = c->is_ai || is_of_engine(near);
    struct api_reply reply = {.status = 404, .content_type = STR("text/plain"), .body = STR("404 page not found")};
    if (ai)
        reply = (struct api_reply){
            .status = 404, .content_type = STR("application/json"), .body = STR("{\"detail\":\"Not Found\"}")};
    if (ai && near) { /* Go's router knows no 405 */
        reply.status = 405;
        reply.body = STR("{\"detail\":\"Method Not Allowed\"}");
        reply.fields = &allow;
        reply.field_count = 1;
    }
    call_reply(c, &reply);
}

void olly_redirect(struct api_call *c) {
    bool get = c->request.method == HTTP_GET || c->request.method == HTTP_HEAD;
    struct str path, query, target = c->request.target;
    bool has_query = str_cut(target, '?', &path, &query);
    while (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    AUTO_BUF struct buf location;
    buf_init(&location, 64 * KIB);
    buf_add_str(&location, path);
    if (has_query) buf_add_fmt(&location, "?" STR_FMT, STR_ARG(query));
    struct http_field field = {STR("Location"), buf_str(&location)};
    call_reply(c, &(struct api_reply){.status = get && !c->is_ai ? 301 : 307, .fields = &field, .field_count = 1});
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

void olly_cut(struct olly *o, const char *why) {
    for (size_t i = 0; i < o->cut_n; i++)
        if (strcmp(o->cuts[i], why) == 0) return;
    if (o->cut_n < OLLY_CUTS_MAX) o->cuts[o->cut_n++] = why;
}

/* Only where there is something to say: clients upstream know no such member. */
static void write_partial(struct olly *o) {
    struct json_writer *w = o->w;
    if (o->q.stats.bad_blocks > 0) olly_cut(o, o->q.stats.bad_text);
    if (query_gave_up(&o->q)) olly_cut(o, "a trace was too large, or a text too long to look at");
    if (o->cut_n == 0) return;
    json_member(w, "partial", bool, true);
    json_key(w, STR("partialReasons"));
    json_array(w);
    for (size_t i = 0; i < o->cut_n; i++) json_text(w, o->cuts[i]);
    json_array_end(w);
}

static void fail_lost(struct olly *o, err e) {
    AUTO_BUF struct buf body;
    buf_init(&body, 64 * KIB);
    put_error(&body, false, str_of(err_text(e)), o->lost_id);
    err_free(e);
    call_reply(o->c,
               &(struct api_reply){.status = 404, .content_type = olly_content_type(o->c), .body = buf_str(&body)});
}

static void reply_go(struct olly *o, struct buf *escaped) {
    struct str body = buf_str(&o->a.body);
    bool go = !olly_speaks_ai(o->c) && olly_needs_go_json(body);
    if (go) olly_put_go_json(escaped, body);
    call_reply(o->c, &(struct api_reply){.status = o->status,
                                         .content_type = olly_content_type(o->c),
                                         .body = go ? buf_str(escaped) : body});
}

void olly_answer(struct api_call *c, olly_fill *fill) {
    struct olly o = {.c = c, .status = 200};
    AUTO_BUF struct buf escaped;
    call_query_begin(c, &o.q);
    answer_begin(&o.a, &o.q);
    o.w = &o.a.w;
    buf_init(&escaped, 6 * o.q.options.memory_max_bytes); /* what a body can become at most */
    err e = fill(&o);
    if (!e) {
        write_partial(&o);
        json_object_end(o.w);
        e = answer_settle(&o.a);
    }
    if (!e) e = query_charge(&o.q, olly_needs_go_json(buf_str(&o.a.body)) ? o.a.body.n * 2 : 0);
    query_end(&o.q);
    if (e && o.lost_id.p && err_kind(e) == ERR_NOT_FOUND)
        fail_lost(&o, e);
    else if (e)
        call_fail(c, e);
    else
        reply_go(&o, &escaped);
    buf_done(&o.a.body);
}

void olly_answer_text(struct api_call *c, int status, struct str json) {
    call_reply(c, &(struct api_reply){.status = status, .content_type = olly_content_type(c), .body = json});
}
