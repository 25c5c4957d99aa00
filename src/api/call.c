/* How a call ends, and what its query is. */
#include "api/api_priv.h"

#include "base/text.h"

static void call_count(struct api_call *c, const struct api_reply *reply) {
    int hundreds = (reply->outcome ? reply->outcome : reply->status) / 100;
    atomic_fetch_add(&c->api->answers[c->request.port][hundreds < 6 ? hundreds : 5], 1);
}

static void call_end(struct api_call *c) {
    arena_done(&c->arena);
    mem_free(c);
}

void call_reply(struct api_call *c, const struct api_reply *reply) {
    call_count(c, reply);
    c->request.reply(c->request.context, reply);
    call_end(c);
}

struct http_stream *call_stream(struct api_call *c, const struct api_reply *head, size_t held_max) {
    call_count(c, head);
    struct http_stream *s = c->request.stream(c->request.context, head, held_max);
    call_end(c);
    return s;
}

bool call_is_otlp(const struct api_call *c) {
    return c->request.port == API_PORT_OTLP || str_starts_with(c->path, STR("/otlp/"));
}

static void put_error_json(struct buf *out, enum err_kind kind, struct str message, struct str hint) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_key(&w, STR("error"));
    json_object(&w);
    json_member(&w, "kind", text, err_kind_rows[kind].name);
    json_member(&w, "message", str, message);
    if (hint.n) json_member(&w, "hint", str, hint);
    json_object_end(&w);
    json_object_end(&w);
}

/* The row of the first kind with that status; 4xx that no kind has are the request's fault. */
static enum err_kind kind_of_status(int status) {
    for (int k = 0; k < ERR_KINDS; k++)
        if (err_kind_rows[k].http == status) return (enum err_kind)k;
    return status < 500 ? ERR_INVALID : ERR_UNAVAILABLE;
}

struct str api_refusal(void *listener, int status, struct str reason, struct buf *out) {
    const struct api_surface *surface = listener;
    enum err_kind kind = kind_of_status(status);
    if (surface->port == API_PORT_OTLP) {
        otlp_write_status(err_kind_rows[kind].grpc, reason, out);
        return STR("application/x-protobuf");
    }
    put_error_json(out, kind, reason, STR(""));
    return STR("application/json");
}

static void fail_with(struct api_call *c, int status, const char *type, struct str body,
                      const struct http_field *field) {
    struct http_field fields[2];
    size_t n = 0;
    if (field) fields[n++] = *field;
    if (status == 429 || status == 503)
        fields[n++] = (struct http_field){STR("Retry-After"), status == 429 ? STR("2") : STR("5")};
    call_reply(c,
               &(struct api_reply){
                   .status = status, .body = body, .fields = fields, .field_count = n, .content_type = str_of(type)});
}

void call_fail_as(struct api_call *c, int status, int grpc_code, enum err_kind kind, struct str message,
                  struct str hint, const struct http_field *field) {
    bool otlp = call_is_otlp(c), grpc = call_is_grpc(c);
    struct buf body, text;
    buf_init(&body, 64 * KIB);
    buf_init(&text, 16 * KIB);
    if (otlp || grpc) {
        put_utf8_clean(&text, message);
        if (hint.n) buf_add_fmt(&text, "; " STR_FMT, STR_ARG(hint));
    }
    if (grpc)
        call_fail_grpc(c, status, grpc_code, buf_str(&text));
    else if (otlp)
        otlp_write_status(grpc_code, buf_str(&text), &body);
    else
        put_error_json(&body, kind, message, hint);
    buf_done(&text);
    if (!grpc) fail_with(c, status, otlp ? "application/x-protobuf" : "application/json", buf_str(&body), field);
    buf_done(&body);
}

void call_fail(struct api_call *c, err e) {
    const struct err_kind_row *row = err_row(e);
    call_fail_as(c, row->http, row->grpc, err_kind(e), str_of(err_text(e)), STR(""), NULL);
    err_free(e);
}

void call_answer_json(struct api_call *c, int status, const struct buf *body) {
    if (body->full) {
        call_fail(c, err_new(ERR_LIMIT, "the answer is larger than %zu MiB; ask for less", body->max / MIB));
        return;
    }
    call_reply(c,
               &(struct api_reply){.status = status, .content_type = STR("application/json"), .body = buf_str(body)});
}

/* ---- questions -------------------------------------------------------------------------------------------------- */

void call_query_begin(struct api_call *c, struct query *q) {
    const struct api_options *o = &c->api->options;
    int64_t timeout = call_number(c, "timeout", o->query_timeout_ns);
    query_begin(q, &(struct query_options){.store = o->store,
                                           .budget = o->budget,
                                           .tenant = STR("default"),
                                           .memory_max_bytes = o->query_memory_bytes,
                                           .cancel = &c->api->cancel,
                                           .timeout_ns = MIN(timeout, o->query_timeout_ns)});
}

err call_range(struct api_call *c, bool open_end, int64_t *out_min, int64_t *out_max) {
    int64_t hour = 3600 * (int64_t)1000000000;
    int64_t end = call_number(c, "end", open_end ? INT64_MAX : c->now_ns);
    int64_t start = call_number(c, "start", MIN(end, c->now_ns) - hour);
    if (start > end) return err_new(ERR_INVALID, "the range ends before it starts: end is before start");
    *out_min = start;
    *out_max = end;
    return NULL;
}

static bool route_has(const struct api_route *r, const char *name) {
    for (const struct api_param *p = r->params; p && p->name; p++)
        if (strcmp(p->name, name) == 0) return true;
    return false;
}

err call_filter(struct api_call *c, struct query *q, bool open_end, struct query_filter *out) {
    query_filter_init(out);
    TRY(call_range(c, open_end, &out->time_min, &out->time_max));
    if (route_has(c->route, "service")) out->service = call_text(c, "service");
    out->environment = call_text(c, "environment");
    if (route_has(c->route, "text")) out->text = call_text(c, "text");
    if (route_has(c->route, "operation")) {
        out->operation = call_text(c, "operation");
        out->status = (int)call_number(c, "status", -1);
        out->kind = (int)call_number(c, "kind", -1);
        out->duration_min = call_number(c, "min_duration", INT64_MIN);
        out->duration_max = call_number(c, "max_duration", INT64_MAX);
    }
    if (route_has(c->route, "severity")) {
        out->severity_min = (int)call_number(c, "severity", 0);
        out->trace_id = call_given(c, "trace_id") ? call_value(c, "trace_id")->bytes : NULL;
        out->span_id = call_given(c, "span_id") ? call_value(c, "span_id")->bytes : NULL;
    }
    for (size_t i = 0; i < c->where_count; i++)
        TRY_WRAP(query_filter_where(q, out, c->wheres[i]), "where=" STR_FMT, STR_ARG(c->wheres[i]));
    return NULL;
}
