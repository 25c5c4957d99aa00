/* What all services of the shop do alike: the way in, the way out, what they tell, faults. */
#include "shop.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "base/text.h"
#include "db/db.h"
#include "os/clock.h"

const char *const shop_names[SHOP_SERVICES] = {[SHOP_GATEWAY] = "api-gateway",
                                               [SHOP_ORDER] = "order-service",
                                               [SHOP_PAYMENT] = "payment-service",
                                               [SHOP_INVENTORY] = "inventory-service",
                                               [SHOP_NOTIFICATION] = "notification-service",
                                               [SHOP_TRAFFIC] = "traffic-generator"};

bool shop_name_read(struct str name, enum shop_peer *out) {
    for (enum shop_peer p = 0; p < SHOP_SERVICES; p++) {
        if (!str_equal(name, str_of(shop_names[p]))) continue;
        *out = p;
        return true;
    }
    return false;
}

double shop_chance(void) { return (double)(random_u64() >> 11) / 9007199254740992.0; }
void shop_make_id(char out[17]) { snprintf(out, 17, "%016llx", (unsigned long long)random_u64()); }

/* ---- life --------------------------------------------------------------------------------------------------------- */

static const struct shop_route no_routes[] = {{0}};
static const struct shop_route *const routes[SHOP_SERVICES] = {
    [SHOP_GATEWAY] = gateway_routes,           [SHOP_ORDER] = order_routes,
    [SHOP_PAYMENT] = payment_routes,           [SHOP_INVENTORY] = inventory_routes,
    [SHOP_NOTIFICATION] = notification_routes, [SHOP_TRAFFIC] = no_routes};

err shop_new(const struct shop_options *options, struct shop **out) {
    struct shop *s = mem_new_of(struct shop);
    s->options = *options;
    if (!s->options.environment) s->options.environment = "production";
    if (!s->options.version) s->options.version = "1.0.0";
    s->routes = routes[options->service];
    s->faults = options->faults;
    lock_init(&s->lock);
    err e = shop_telemetry_deploy(s, *s->faults.version ? s->faults.version : s->options.version);
    if (!e && options->service == SHOP_ORDER) e = order_open(s);
    if (!e) e = shop_cache_new(options->cache, &s->cache);
    if (e)
        shop_free(s);
    else
        *out = s;
    return e;
}

void shop_free(struct shop *s) {
    if (!s) return;
    for (size_t i = 0; i < s->version_count; i++) shop_telemetry_free(s->versions[i]);
    for (size_t i = 0; i < s->leak_count; i++) mem_free(s->leaked[i]);
    shop_cache_free(s->cache);
    db_close(s->db);
    lock_done(&s->lock);
    mem_free(s);
}

/* ---- telling -------------------------------------------------------------------------------------------------------- */

static void put_field(struct json_writer *w, const struct log_field *f) {
    json_key(w, str_of(f->key));
    switch (f->type) {
    case LOG_FIELD_STR: json_str(w, f->s); break;
    case LOG_FIELD_I64: json_i64(w, f->i); break;
    case LOG_FIELD_U64: json_u64(w, f->u); break;
    case LOG_FIELD_F64: json_f64(w, f->f); break;
    case LOG_FIELD_DURATION: json_i64(w, f->i); break;
    }
}

/* One line of JSON, and a record with the span that it was said in. */
void shop_say(struct shop_call *c, enum log_level level, const char *message, const struct log_field *fields,
              size_t n) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    struct log_field all[16] = {F_TEXT("correlation_id", c->correlation)};
    AUTO_BUF struct buf line;
    struct json_writer w;
    assert(n < LENGTH(all) - 1);
    for (size_t i = 0; i < n; i++) all[i + 1] = fields[i];
    buf_init(&line, 16 * KIB);
    json_writer_init(&w, &line);
    json_object(&w);
    json_member(&w, "timestamp", time, clock_wall_ns());
    json_member(&w, "level", text, levels[level]);
    json_member(&w, "service", text, shop_names[c->shop->options.service]);
    json_member(&w, "correlation_id", text, c->correlation);
    json_member(&w, "message", text, message);
    for (size_t i = 0; i < n; i++) put_field(&w, &fields[i]);
    json_object_end(&w);
    buf_add_byte(&line, '\n');
    const struct shop_world *world = &c->shop->options.world;
    if (world->say && !line.full) world->say(world->context, buf_str(&line));
    struct emit_span *in = c->inner ? c->inner : c->span;
    emit_span_enter(in);
    emit_log(c->telemetry->emit, level, str_of(message), all, n + 1);
    emit_span_leave(in);
}

struct emit_span *shop_span_begin(struct shop_call *c, const char *name) {
    struct emit_span *parent = c->inner ? c->inner : c->span;
    struct emit_span *s = emit_span_begin(c->telemetry->emit, str_of(name), EMIT_INTERNAL, emit_span_context(parent));
    emit_span_set(s, F_TEXT("correlation_id", c->correlation));
    emit_span_set(s, F_TEXT("operation", name));
    c->inner = s;
    return s;
}

void shop_span_end(struct shop_call *c, struct emit_span *s, struct emit_span *before) {
    emit_span_end(s);
    c->inner = before;
}

void shop_span_fail(struct emit_span *s, const char *type, const char *why) {
    struct log_field fields[] = {F_TEXT("exception.type", type), F_TEXT("exception.message", why)};
    emit_span_event(s, "exception", fields, LENGTH(fields));
    emit_span_set(s, F_TEXT("error.type", type));
    emit_span_fail(s, why);
}

void shop_take_wait(struct shop_call *c, int64_t from_ms, int64_t to_ms) {
    const struct shop_world *w = &c->shop->options.world;
    w->pause_wait(w->context,
                  (int64_t)((double)(from_ms + (int64_t)(shop_chance() * (double)(to_ms - from_ms))) * 1e6));
}

double shop_failure_rate(const struct shop_call *c, double own) {
    return c->shop->options.failure_rate >= 0 ? c->shop->options.failure_rate : own;
}

/* ---- answers -------------------------------------------------------------------------------------------------------- */

void shop_answer(struct shop_call *c, int status, const char *format, ...) {
    char text[2048];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    c->reply->status = status;
    buf_clear(&c->reply->body);
    buf_add_text(&c->reply->body, text);
}

void shop_answer_error(struct shop_call *c, int status, const char *message) {
    struct json_writer w;
    c->reply->status = status;
    buf_clear(&c->reply->body);
    json_writer_init(&w, &c->reply->body);
    json_object(&w);
    json_member(&w, "error", text, message);
    json_member(&w, "correlationId", text, c->correlation);
    json_object_end(&w);
}

bool shop_body(struct shop_call *c, struct shop_order *out) {
    err e = shop_order_read(c->request->body, out);
    if (!e) {
        if (*out->correlation) memcpy(c->correlation, out->correlation, sizeof c->correlation);
        return true;
    }
    shop_log(c, LOG_WARN, "Invalid request body", F_ERR(e));
    shop_answer_error(c, 400, "Invalid request body");
    err_free(e);
    return false;
}

/* ---- the way out ------------------------------------------------------------------------------------------------------ */

struct heads {
    char traceparent[80], correlation[SHOP_ID_BYTES + 32];
    struct buf baggage;
    const char *fields[6];
};

/* What must go along: the trace, the baggage with the correlation id in it, and that id in a field of its own. */
static void make_heads(const struct shop_call *c, const struct emit_span *client, struct heads *h) {
    AUTO_ARENA struct arena a;
    struct baggage in, *out;
    char text[TRACEPARENT_BYTES + 1] = "";
    size_t n = 0;
    arena_init(&a, 256 * KIB);
    out = arena_new(&a, struct baggage);
    buf_init(&h->baggage, BAGGAGE_BYTES_MAX + 64);
    if (emit_span_context(client)) traceparent_write(emit_span_context(client), text);
    snprintf(h->traceparent, sizeof h->traceparent, "traceparent: %s", text);
    snprintf(h->correlation, sizeof h->correlation, "X-Correlation-ID: %s", c->correlation);
    baggage_read(c->baggage, &a, &in);
    out->v[out->n++] = (struct w3c_member){.key = STR("correlation_id"), .value = str_of(c->correlation)};
    for (uint32_t i = 0; i < in.n && out->n < BAGGAGE_MAX; i++)
        if (!str_equal(in.v[i].key, STR("correlation_id"))) out->v[out->n++] = in.v[i];
    buf_add_text(&h->baggage, "baggage: ");
    baggage_write(out, &h->baggage);
    if (*text) h->fields[n++] = h->traceparent;
    h->fields[n++] = h->baggage.p;
    h->fields[n++] = h->correlation;
    h->fields[n++] = "Content-Type: application/json";
    h->fields[n] = NULL;
}

static bool is_down(struct shop *s, enum shop_peer to) {
    lock_take(&s->lock);
    bool down = !strcmp(s->faults.down, shop_names[to]);
    lock_give(&s->lock);
    return down;
}

void shop_call_wait(struct shop_call *c, enum shop_peer to, const char *method, const char *path, struct str body,
                    struct shop_reply *out) {
    char name[64];
    struct heads h;
    const struct shop_world *w = &c->shop->options.world;
    struct emit_span *parent = c->inner ? c->inner : c->span;
    snprintf(name, sizeof name, "HTTP %s", method);
    struct emit_span *client =
        emit_span_begin(c->telemetry->emit, str_of(name), EMIT_CLIENT, emit_span_context(parent));
    emit_span_set(client, F_TEXT("correlation_id", c->correlation));
    emit_span_set(client, F_TEXT("http.request.method", method));
    emit_span_set(client, F_TEXT("url.path", path));
    emit_span_set(client, F_TEXT("peer.service", shop_names[to]));
    emit_span_set(client, F_TEXT("server.address", shop_names[to]));
    make_heads(c, client, &h);
    *out = (struct shop_reply){0};
    err e = is_down(c->shop, to) ? err_new(ERR_UNAVAILABLE, "connection refused")
                                 : w->call_wait(w->context, to, method, path, h.fields, body, out);
    if (e) {
        out->status = 0;
        shop_span_fail(client, "connection_error", err_text(e));
        shop_log(c, LOG_ERROR, "Call failed", F_TEXT("peer", shop_names[to]), F_ERR(e));
    } else {
        emit_span_set(client, F_I64("http.response.status_code", out->status));
        if (out->status >= 400) emit_span_fail(client, "");
    }
    err_free(e);
    emit_span_end(client);
    buf_done(&h.baggage);
}

/* ---- faults --------------------------------------------------------------------------------------------------------- */

static void answer_faults(struct shop_call *c, const struct shop_faults *f) {
    c->reply->status = 200;
    buf_clear(&c->reply->body);
    shop_faults_write(f, &c->reply->body);
}

static void set_faults(struct shop_call *c) {
    struct shop *s = c->shop;
    struct shop_faults f;
    err e = shop_faults_read(c->request->body, &f);
    if (!e) e = shop_telemetry_deploy(s, *f.version ? f.version : s->options.version);
    if (e) {
        shop_answer_error(c, 400, err_text(e));
        err_free(e);
        return;
    }
    lock_take(&s->lock);
    s->faults = f;
    lock_give(&s->lock);
    answer_faults(c, &f);
}

static void get_faults(struct shop_call *c) {
    lock_take(&c->shop->lock);
    struct shop_faults f = c->shop->faults;
    lock_give(&c->shop->lock);
    answer_faults(c, &f);
}

static void leak(struct shop *s, int64_t n) {
    char *p = mem_new((size_t)n);
    memset(p, 0x5a, (size_t)n);
    lock_take(&s->lock);
    bool kept = s->leak_count < LENGTH(s->leaked);
    if (kept) s->leaked[s->leak_count++] = p, s->leaked_bytes += (uint64_t)n;
    lock_give(&s->lock);
    if (!kept) mem_free(p);
}

/* As a lock that one request holds at a time, first come, first served; the others wait in line. */
static void hold_lock_wait(struct shop_call *c, int64_t ns) {
    struct shop *s = c->shop;
    const struct shop_world *w = &s->options.world;
    const struct shop_runtime *r = &c->telemetry->runtime;
    lock_take(&s->lock);
    int64_t now = clock_monotonic_ns(), from = MAX(now, s->lock_free_ns);
    s->lock_free_ns = from + ns;
    lock_give(&s->lock);
    emit_measure(r->lock_waiting, 1);
    if (from > now) w->pause_wait(w->context, from - now);
    emit_measure(r->lock_waiting, -1);
    emit_measure(r->lock_wait, (double)(from - now) / 1e9);
    w->pause_wait(w->context, ns);
}

/* False: the fault has answered. */
static bool suffer_wait(struct shop_call *c) {
    struct shop *s = c->shop;
    const struct shop_world *w = &s->options.world;
    lock_take(&s->lock);
    struct shop_faults f = s->faults;
    lock_give(&s->lock);
    if (f.leak_bytes) leak(s, f.leak_bytes);
    if (f.lock_ms) hold_lock_wait(c, f.lock_ms * SHOP_MS);
    if (f.latency_ms) w->pause_wait(w->context, f.latency_ms * SHOP_MS);
    if (shop_chance() >= f.errors) return true;
    shop_span_fail(c->span, "internal_error", "Internal server error");
    shop_log(c, LOG_ERROR, "Internal server error", F_STR("path", c->request->path));
    shop_answer_error(c, 500, "Internal server error");
    return false;
}

/* ---- the way in ------------------------------------------------------------------------------------------------------- */

static bool path_fits(const char *pattern, struct str path) {
    struct str p = str_of(pattern);
    if (p.n && p.p[p.n - 1] == '*') return str_starts_with(path, (struct str){p.p, p.n - 1});
    return str_equal(p, path);
}

static const struct shop_route *find_route(const struct shop *s, const struct shop_request *r, bool *out_path) {
    *out_path = false;
    for (const struct shop_route *route = s->routes; route->path; route++) {
        if (!path_fits(route->path, r->path)) continue;
        *out_path = true;
        if (str_equal(r->method, str_of(route->method))) return route;
    }
    return NULL;
}

/* In the field of its own, else in the baggage, else made. Control characters would be fields of their own further on. */
static void find_correlation(struct shop_call *c) {
    AUTO_ARENA struct arena a;
    struct baggage b;
    struct str id = c->request->correlation;
    arena_init(&a, 256 * KIB);
    baggage_read(c->request->baggage, &a, &b);
    for (uint32_t i = 0; !id.n && i < b.n; i++)
        if (str_equal(b.v[i].key, STR("correlation_id"))) id = b.v[i].value;
    bool good = id.n > 0 && id.n <= SHOP_ID_BYTES && utf8_is_valid(id);
    for (size_t i = 0; i < id.n && good; i++) good = (unsigned char)id.p[i] >= ' ' && id.p[i] != 127;
    if (good)
        snprintf(c->correlation, sizeof c->correlation, STR_FMT, STR_ARG(id));
    else
        snprintf(c->correlation, sizeof c->correlation, "shop-%016llx", (unsigned long long)random_u64());
}

static void begin_span(struct shop_call *c, const char *route) {
    const struct shop_request *r = c->request;
    struct trace_context parent;
    char name[128];
    bool has = traceparent_read(r->traceparent, &parent);
    snprintf(name, sizeof name, STR_FMT " %s", STR_ARG(r->method), route);
    c->span = emit_span_begin(c->telemetry->emit, str_of(name), EMIT_SERVER, has ? &parent : NULL);
    if (has) emit_span_state(c->span, r->tracestate);
    emit_span_set(c->span, F_STR("http.request.method", r->method));
    emit_span_set(c->span, F_TEXT("http.route", route));
    emit_span_set(c->span, F_STR("url.path", r->path));
}

static void end_span(struct shop_call *c, const char *route, int64_t began_ns) {
    struct shop_telemetry *t = c->telemetry;
    int status = c->reply->status;
    double ms = (double)(clock_monotonic_ns() - began_ns) / 1e6;
    struct log_field labels[] = {F_STR("http.request.method", c->request->method), F_TEXT("http.route", route),
                                 F_I64("http.response.status_code", status)};
    emit_span_set(c->span, F_TEXT("correlation_id", c->correlation));
    emit_span_set(c->span, F_I64("http.response.status_code", status));
    if (status >= 500) emit_span_fail(c->span, "");
    emit_measure(emit_series_of(t->duration, labels, LENGTH(labels)), ms);
    emit_measure(emit_series_of(t->requests, labels, LENGTH(labels)), 1);
    if (status >= 500) emit_measure(emit_series_of(t->errors, labels, LENGTH(labels)), 1);
    emit_measure(t->active_now, -1);
    emit_span_end(c->span);
}

static void serve_route_wait(struct shop_call *c, const struct shop_route *route, bool path_known) {
    int64_t began_ns = clock_monotonic_ns();
    const char *path = route ? route->path : "*";
    find_correlation(c);
    emit_measure(c->telemetry->active_now, 1);
    begin_span(c, path);
    if (!route)
        shop_answer_error(c, path_known ? 405 : 404, path_known ? "Method not allowed" : "Not found");
    else if (suffer_wait(c))
        route->handler(c);
    if (!c->reply->status) shop_answer_error(c, 500, "no answer");
    snprintf(c->reply->correlation, sizeof c->reply->correlation, "%s", c->correlation);
    end_span(c, path, began_ns);
}

/* What a service answers of itself; true: that was it. */
static bool answer_self(struct shop_call *c) {
    const struct shop_request *r = c->request;
    if (str_equal(r->path, STR("/health"))) {
        shop_answer(c, 200, "{\"status\":\"healthy\",\"service\":\"%s\",\"version\":\"%s\"}",
                    shop_names[c->shop->options.service], c->telemetry->version);
        return true;
    }
    if (!str_equal(r->path, STR("/faults"))) return false;
    if (str_equal(r->method, STR("POST")))
        set_faults(c);
    else
        get_faults(c);
    return true;
}

void shop_serve_wait(struct shop *s, const struct shop_request *r, struct shop_reply *out) {
    struct shop_call c = {
        .shop = s, .telemetry = shop_telemetry_take(s), .request = r, .reply = out, .baggage = r->baggage};
    bool path_known;
    *out = (struct shop_reply){0};
    buf_init(&out->body, MIB);
    if (!answer_self(&c)) {
        const struct shop_route *route = find_route(s, r, &path_known);
        serve_route_wait(&c, route, path_known);
    }
    shop_telemetry_give(c.telemetry);
}

void shop_call_begin(struct shop *s, struct shop_call *c, const char *name, enum emit_span_kind kind,
                     const char *correlation) {
    static const struct shop_request none;
    *c = (struct shop_call){.shop = s, .telemetry = shop_telemetry_take(s), .request = &none};
    snprintf(c->correlation, sizeof c->correlation, "%s", correlation);
    /* A trace of its own, whatever this thread does. */
    c->span = emit_span_begin(c->telemetry->emit, str_of(name), kind, NULL);
    emit_span_set(c->span, F_TEXT("correlation_id", c->correlation));
}

void shop_call_end(struct shop_call *c) {
    emit_span_end(c->span);
    shop_telemetry_give(c->telemetry);
}
