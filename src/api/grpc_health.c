/* grpc.health.v1.Health: Check, and Watch, which streams. What Watch hears of: storing that begins to fail or works again, as seen by
 * who sends; the drain, which ends it. Source: grpc/health/v1/health.proto. */
#include "net/grpc.h"

#include "api/api_priv.h"
#include "api/protobuf_priv.h"

enum { WATCH_HELD_MAX = 4096 };
enum serving { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static bool service_is_known(struct str name) {
    if (name.n == 0) return true; /* the whole server */
    for (size_t i = 0; i < api_route_count; i++) {
        struct str path = str_of(api_routes[i].path), service, method;
        path = (struct str){path.p + 1, path.n - 1};
        if (str_cut(path, '/', &service, &method) && str_equal(service, name) && str_find(service, '.') > 0)
            return true;
    }
    return false;
}

/* ---- HealthCheckRequest {service 1}, HealthCheckResponse {status 1} -------------------------------------------------- */

/* The last field 1 of bytes; others are skipped. False: no protobuf. */
static bool read_service(struct str message, struct str *out) {
    struct protobuf_field f;
    *out = STR("");
    while (message.n) {
        if (!protobuf_next(&message, &f)) return false;
        if (f.number == 1 && f.has_bytes) *out = f.bytes;
    }
    return true;
}

static struct str status_message(enum serving status, char out[2]) {
    out[0] = 1 << 3;
    out[1] = (char)status;
    return (struct str){out, 2};
}

/* Reads the request; false: the call has ended. */
static bool take_service(struct api_call *c, struct str *out) {
    if (!call_take_message(c)) return false;
    if (c->request.content_encoding.n == 0 && read_service(c->request.body, out)) return true;
    call_fail_as(c, 400, GRPC_INVALID_ARGUMENT, ERR_INVALID, STR("not a HealthCheckRequest"),
                 STR("send it without gzip"), NULL);
    return false;
}

static enum serving status_now(struct api *api) {
    err e = store_health(api->options.store);
    bool well = !e && !atomic_load(&api->draining);
    err_free(e);
    return well ? SERVING : NOT_SERVING;
}

void handle_grpc_health_check(struct api_call *c) {
    struct str service;
    char bytes[2];
    if (!take_service(c, &service)) return;
    if (service_is_known(service))
        call_answer_grpc(c, status_message(status_now(c->api), bytes));
    else
        call_fail_as(c, 404, GRPC_NOT_FOUND, ERR_NOT_FOUND, STR("no service of that name is here"), STR(""), NULL);
}

/* ---- watching --------------------------------------------------------------------------------------------------- */

static void watch_write(struct http_stream *s, enum serving status) {
    struct buf message;
    char bytes[2];
    buf_init(&message, 64);
    grpc_put_message(&message, status_message(status, bytes), false);
    (void)http_stream_write(s,
                            buf_str(&message)); /* slow: it will hear the next change; gone: found by watches_sweep */
    buf_done(&message);
}

static void watch_end(struct http_stream *s, enum grpc_code code, struct str why) {
    struct grpc_status status;
    grpc_status_init(&status, code, why, 0);
    http_stream_end(s, status.fields, status.count);
    grpc_status_done(&status);
}

static void watches_sweep(struct api_watches *w) { /* lock held */
    for (size_t i = 0; i < w->n;) {
        if (!http_stream_is_gone(w->v[i].stream)) {
            i++;
            continue;
        }
        http_stream_end(w->v[i].stream, NULL, 0);
        w->v[i] = w->v[--w->n];
    }
}

/* Joins those who hear of changes; false: too many, or there will be none. */
static bool watch_join(struct api *api, struct http_stream *s, bool known) {
    struct api_watches *w = &api->watches;
    lock_take(&w->lock);
    watches_sweep(w);
    bool room = w->n < API_WATCHES_MAX && !w->closed;
    if (room) {
        watch_write(s, known ? status_now(api) : SERVICE_UNKNOWN);
        w->v[w->n++] = (struct api_watch){s, known};
    }
    lock_give(&w->lock);
    return room;
}

void handle_grpc_health_watch(struct api_call *c) {
    struct str service;
    struct api *api = c->api;
    if (!take_service(c, &service)) return;
    bool known = service_is_known(service);
    struct http_stream *s =
        call_stream(c, &(struct api_reply){.status = 200, .content_type = STR("application/grpc")}, WATCH_HELD_MAX);
    if (!watch_join(api, s, known)) watch_end(s, GRPC_UNAVAILABLE, STR("too many watch already, or clew is stopping"));
}

void health_note(struct api *api, bool stores) {
    enum serving status = stores ? SERVING : NOT_SERVING;
    if (atomic_exchange(&api->watches.stores, stores) == stores) return;
    lock_take(&api->watches.lock);
    for (size_t i = 0; i < api->watches.n; i++)
        if (api->watches.v[i].known) watch_write(api->watches.v[i].stream, status);
    lock_give(&api->watches.lock);
}

void watches_end(struct api *api) {
    struct api_watches *w = &api->watches;
    lock_take(&w->lock);
    w->closed = true;
    for (size_t i = 0; i < w->n; i++) {
        if (w->v[i].known) watch_write(w->v[i].stream, NOT_SERVING);
        watch_end(w->v[i].stream, GRPC_UNAVAILABLE, STR("clew is stopping"));
    }
    w->n = 0;
    lock_give(&w->lock);
}
