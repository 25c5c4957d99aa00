/* Spans of requests, for --self-telemetry, and how long they took. Not of what brings telemetry in, which would double each write; not of what nobody asks as
 * a question: health, the page, figures. */
#include "api/api_priv.h"

#include <stdio.h>

static bool is_traced(const struct api_call *c) {
    const struct api_route *r = c->route;
    return r->role != ROLE_ANY && r->role != ROLE_INGEST && !r->is_stream &&
           !str_ends_with(str_of(r->path), STR("/metrics"));
}

static const char *method_of(const struct api_call *c) {
    switch ((int)c->request.method) {
    case HTTP_POST: return "POST";
    case HTTP_PUT: return "PUT";
    case HTTP_DELETE: return "DELETE";
    case HTTP_HEAD: return "HEAD";
    default: return "GET";
    }
}

void trace_begin(struct api_call *c) {
    struct trace_context parent;
    char name[EMIT_NAME_MAX];
    if (!c->api->options.emit || !is_traced(c)) return;
    bool known = traceparent_read(c->request.traceparent, &parent);
    snprintf(name, sizeof name, "%s %s", method_of(c), c->route->path);
    c->span = emit_span_begin(c->api->options.emit, str_of(name), EMIT_SERVER, known ? &parent : NULL);
    if (known) emit_span_state(c->span, c->request.tracestate);
    c->span_began_ns = clock_monotonic_ns();
}

void trace_query(struct api_call *c) {
    if (c->span && !c->query_span)
        c->query_span = emit_span_begin(c->api->options.emit, STR("query"), EMIT_INTERNAL, emit_span_context(c->span));
}

void trace_end(struct api_call *c, int status) {
    struct emit_span *s = take(&c->span), *query = take(&c->query_span);
    if (!s) return;
    struct log_field all[] = {F_TEXT("http.request.method", method_of(c)), F_TEXT("http.route", c->route->path),
                              F_I64("http.response.status_code", status)};
    emit_span_end(query);
    for (size_t i = 0; i < LENGTH(all); i++) emit_span_set(s, all[i]);
    emit_span_set(s, F_TEXT("url.scheme", c->request.is_tls ? "https" : "http"));
    emit_span_set(s, F_TEXT("network.protocol.version", c->request.is_h2 ? "2" : "1.1"));
    emit_span_set(s, F_STR("clew.tenant", call_tenant(c)));
    if (status >= 500) emit_span_fail(s, "");
    emit_span_end(s);
    emit_measure(emit_series_of(c->api->options.durations, all, LENGTH(all)),
                 (double)(clock_monotonic_ns() - c->span_began_ns) / 1e9);
}
