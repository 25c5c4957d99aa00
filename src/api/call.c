/* How a call ends, and what its query is. */
#include "api/api_priv.h"

#include <stdio.h>

#include "api/jaeger/jaeger_priv.h"
#include "api/origin_priv.h"
#include "api/prometheus/prometheus_priv.h"
#include "base/text.h"
#include "signal/otlp.h"

/* Of the query string: what the route's table has. A value that no parameter has may be a secret in the wrong place. */
static size_t audit_parameters(struct api_call *c, struct audit_parameter *out, size_t max) {
    struct str rest = c->query, pair, name, value;
    size_t n = 0;
    for (bool more = rest.n > 0; more && n < max;) {
        more = str_cut(rest, '&', &pair, &rest);
        if (!str_cut(pair, '=', &name, &value)) value = STR("");
        const struct api_param *p = c->route->params;
        while (p && p->name && !str_equal(name, str_of(p->name))) p++;
        err e = p && p->name ? call_decode(&c->arena, value, true, &value) : NULL;
        out[n++] = p && p->name ? (struct audit_parameter){str_of(p->name), e ? STR("not decoded") : value}
                                : (struct audit_parameter){STR("unknown"), STR("not kept")};
        err_free(e);
    }
    return n;
}

static void audit_call(struct api_call *c, int status) {
    struct audit_parameter parameters[API_PARAMS_MAX];
    audit_write(c->api->audit,
                &(struct audit_record){.time = c->now_ns,
                                       .action = "call",
                                       .token = str_of(c->caller.name),
                                       .tenant = caller_is_for_all(&c->caller) ? STR("*") : call_tenant(c),
                                       .peer = c->request.credentials.peer,
                                       .method = c->request.method_text,
                                       .path = c->path,
                                       .parameters = parameters,
                                       .parameter_count = audit_parameters(c, parameters, LENGTH(parameters)),
                                       .status = status,
                                       .stranger = c->caller.role == ROLE_ANY});
}

/* What the end of every call does; `out` is the reply with what all replies have. */
static void call_settle(struct api_call *c, const struct api_reply *reply, struct api_reply *out) {
    int status = reply->outcome ? reply->outcome : reply->status, hundreds = status / 100;
    atomic_fetch_add(&c->api->answers[c->request.port][hundreds < 6 ? hundreds : 5], 1);
    if (c->is_query) limits_end_query(c->api->limits, call_tenant(c));
    if (c->is_audited) audit_call(c, status);
    trace_end(c, status);
    *out = *reply;
    out->is_tls = c->request.is_tls;
    if (origin_is_listed(c->request.credentials.origin, c->api->options.cors_origins))
        out->cors_origin = c->request.credentials.origin;
}

static void call_end(struct api_call *c) {
    arena_done(&c->arena);
    mem_free(c);
}

void call_reply(struct api_call *c, const struct api_reply *reply) {
    struct api_reply whole;
    call_settle(c, reply, &whole);
    c->request.reply(c->request.context, &whole);
    call_end(c);
}

struct http_stream *call_stream(struct api_call *c, const struct api_reply *head, size_t held_max) {
    struct api_reply whole;
    call_settle(c, head, &whole);
    struct http_stream *s = c->request.streams->begin(c->request.context, &whole, held_max);
    call_end(c);
    return s;
}

/* Below `part` of Prometheus's API, which stands at the root of its own port. */
static bool is_of_prometheus(enum api_port port, struct str path, struct str part) {
    const struct str root = STR("/prometheus");
    if (str_starts_with(path, root))
        path = (struct str){path.p + root.n, path.n - root.n};
    else if (port != API_PORT_PROMETHEUS)
        return false;
    return str_starts_with(path, part);
}

static bool is_otlp(enum api_port port, struct str path) {
    return port == API_PORT_OTLP || str_starts_with(path, STR("/otlp/")) ||
           is_of_prometheus(port, path, STR("/api/v1/otlp/"));
}

bool call_is_otlp(const struct api_call *c) { return is_otlp(c->request.port, c->path); }

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

struct str api_refusal(void *listener, struct str target, struct str content_type, int status, struct str reason,
                       struct buf *out) {
    const struct api_surface *surface = listener;
    enum err_kind kind = kind_of_status(status);
    if (is_otlp(surface->port, target)) {
        bool json = otlp_is_json(content_type);
        otlp_put_status(json, err_kind_rows[kind].grpc, reason, out);
        return otlp_content_type(json);
    }
    if (surface->port == API_PORT_PROMETHEUS || is_of_prometheus(surface->port, target, STR("/")))
        prometheus_put_error(out, status, reason);
    else
        put_error_json(out, kind, reason, STR(""));
    return STR("application/json");
}

uint32_t call_retry_s(const struct api_call *c, int status) {
    return c->retry_after_s ? c->retry_after_s : status == 429 ? 2 : 5;
}

static void fail_with(struct api_call *c, int status, struct str type, struct str body,
                      const struct http_field *field) {
    struct http_field fields[2];
    char seconds[16];
    size_t n = 0;
    if (field) fields[n++] = *field;
    if (status == 429 || status == 503) {
        snprintf(seconds, sizeof seconds, "%u", call_retry_s(c, status));
        fields[n++] = (struct http_field){STR("Retry-After"), str_of(seconds)};
    }
    call_reply(c, &(struct api_reply){
                      .status = status, .body = body, .fields = fields, .field_count = n, .content_type = type});
}

void call_fail_as(struct api_call *c, int status, int grpc_code, enum err_kind kind, struct str message,
                  struct str hint, const struct http_field *field) {
    bool grpc = call_is_grpc(c), otlp = call_is_otlp(c) && !grpc, json = otlp_is_json(c->request.content_type);
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
        otlp_put_status(json, grpc_code, buf_str(&text), &body);
    else if (str_starts_with(c->path, STR("/jaeger/")))
        jaeger_put_error(&body, c->path, status, message);
    else if (str_starts_with(c->path, STR("/prometheus/")))
        prometheus_put_error(&body, status, message);
    else
        put_error_json(&body, kind, message, hint);
    buf_done(&text);
    if (!grpc) fail_with(c, status, otlp_content_type(!otlp || json), buf_str(&body), field);
    buf_done(&body);
}

void call_fail(struct api_call *c, err e) {
    bool gone = c->request.is_abandoned && c->request.is_abandoned(c->request.context);
    if (gone && err_kind(e) == ERR_CANCELLED) atomic_fetch_add(&c->api->abandoned, 1);
    const struct err_kind_row *row = err_row(e);
    call_fail_as(c, row->http, row->grpc, err_kind(e), str_of(err_text(e)), STR(""), NULL);
    err_free(e);
}

void call_fail_access(struct api_call *c, enum access_outcome why) {
    static const struct http_field challenge = {STR("WWW-Authenticate"), STR("Bearer realm=\"clew\"")},
                                   invalid = {STR("WWW-Authenticate"),
                                              STR("Bearer realm=\"clew\", error=\"invalid_token\"")};
    const struct access_refusal *r = &access_refusals[why];
    enum err_kind kind = r->status == 400 ? ERR_INVALID : r->status == 429 ? ERR_BUSY : ERR_DENIED;
    const struct http_field *field = r->status != 401 ? NULL : why == ACCESS_NOBODY ? &challenge : &invalid;
    call_fail_as(c, r->status, r->grpc, kind, str_of(r->message), str_of(r->hint), field);
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

static bool route_has(const struct api_route *r, const char *name) {
    for (const struct api_param *p = r->params; p && p->name; p++)
        if (strcmp(p->name, name) == 0) return true;
    return false;
}

void call_query_begin(struct api_call *c, struct query *q) {
    const struct api_options *o = &c->api->options;
    bool own = route_has(c->route, "timeout") && !c->route->lenient; /* other surfaces mean it otherwise */
    trace_query(c);
    int64_t timeout = own ? call_number(c, "timeout", o->query_timeout_ns) : o->query_timeout_ns;
    query_begin(q, &(struct query_options){.store = o->store,
                                           .budget = o->budget,
                                           .tenant = call_tenant(c),
                                           .memory_max_bytes = o->query_memory_bytes,
                                           .cancel = &c->api->cancel,
                                           .is_abandoned = c->request.is_abandoned,
                                           .asker = c->request.context,
                                           .timeout_ns = MIN(timeout, o->query_timeout_ns)});
}

err call_range(struct api_call *c, bool open_end, int64_t *out_min, int64_t *out_max) {
    int64_t hour = 3600 * (int64_t)1000000000;
    int64_t end = call_number(c, "end", open_end ? INT64_MAX : c->now_ns);
    int64_t start = call_number(c, "start", MAX(MIN(end, c->now_ns), INT64_MIN + hour) - hour);
    if (start > end) return err_new(ERR_INVALID, "the range ends before it starts: end is before start");
    *out_min = start;
    *out_max = end;
    return NULL;
}

err call_filter(struct api_call *c, struct query *q, bool open_end, struct query_filter *out) {
    query_filter_init(out);
    if (route_has(c->route, "end")) TRY(call_range(c, open_end, &out->time_min, &out->time_max));
    if (route_has(c->route, "service")) out->service = call_text(c, "service");
    out->environment = call_text(c, "environment");
    if (route_has(c->route, "text")) out->text = call_text(c, "text");
    if (route_has(c->route, "operation")) {
        out->operation = call_text(c, "operation");
        out->kind = (int)call_number(c, "kind", -1);
    }
    if (route_has(c->route, "min_duration")) {
        out->status = (int)call_number(c, "status", -1);
        out->duration_min = call_number(c, "min_duration", INT64_MIN);
        out->duration_max = call_number(c, "max_duration", INT64_MAX);
    }
    if (route_has(c->route, "severity")) {
        out->severity_min = (int)call_number(c, "severity", 0);
        out->trace_id = call_given(c, "trace_id") ? call_value(c, "trace_id")->bytes : NULL;
        out->span_id = call_given(c, "span_id") ? call_value(c, "span_id")->bytes : NULL;
    }
    for (size_t i = 0; i < c->where_count; i++)
        if (c->route->params[c->where_of[i]].type == PARAM_WHERE)
            TRY_WRAP(query_filter_where(q, out, c->wheres[i]), "where=" STR_FMT, STR_ARG(c->wheres[i]));
    return NULL;
}
