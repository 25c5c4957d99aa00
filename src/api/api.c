#include "api/api_priv.h"

#include "os/clock.h"

/* ---- the pool of work threads ----------------------------------------------------------------------------------- */

struct job {
    struct api_call *call;
    void (*fn)(struct api_call *call);
};

static void work(void *context) {
    struct api *api = context;
    for (struct job *job; (job = queue_pop_wait(api->queue));) {
        struct job mine = *job;
        mem_free(job);
        mine.fn(mine.call);
    }
}

void call_run_on_work(struct api_call *c, void (*fn)(struct api_call *c)) {
    struct api *api = c->api;
    if (api->thread_count == 0) {
        fn(c);
        return;
    }
    struct job *job = mem_new_of(struct job);
    *job = (struct job){c, fn};
    if (queue_push(api->queue, job)) return;
    mem_free(job);
    atomic_fetch_add(&api->queue_refused, 1);
    call_fail(c, err_new(ERR_BUSY, "%zu requests wait already; try again in a moment", api->options.queue_max));
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

void api_options_default(struct api_options *out) {
    *out = (struct api_options){.work_threads = 2,
                                .queue_max = 256,
                                .query_memory_bytes = 256 * MIB,
                                .query_timeout_ns = 30 * (int64_t)1000000000,
                                .wall_ns = clock_wall_ns};
}

err api_new(const struct api_options *options, struct api **out) {
    struct api *api = mem_new_of(struct api);
    api->options = *options;
    if (!api->options.wall_ns) api->options.wall_ns = clock_wall_ns;
    if (!api->options.queue_max) api->options.queue_max = 256;
    if (!api->options.query_memory_bytes) api->options.query_memory_bytes = 256 * MIB;
    if (!api->options.query_timeout_ns) api->options.query_timeout_ns = 30 * (int64_t)1000000000;
    for (size_t p = 0; p < API_PORTS; p++) api->surfaces[p] = (struct api_surface){api, (enum api_port)p};
    lock_init(&api->watches.lock);
    atomic_store(&api->watches.stores, true);
    api->queue = queue_new(api->options.queue_max);
    api->threads = mem_new_array(struct thread *, options->work_threads + 1);
    for (size_t i = 0; i < options->work_threads; i++) {
        err e = thread_start(&api->threads[i], "work", 0, work, api);
        if (e) {
            api_free(api);
            return err_wrap(e, "starting the work threads");
        }
        api->thread_count++;
    }
    *out = api;
    return NULL;
}

void api_free(struct api *api) {
    if (!api) return;
    queue_close(api->queue);
    for (size_t i = 0; i < api->thread_count; i++) thread_join(api->threads[i]);
    queue_free(api->queue);
    mem_free(api->threads);
    lock_done(&api->watches.lock);
    mem_free(api);
}

void *api_listener(struct api *api, enum api_port port) { return &api->surfaces[port]; }

void api_add_server(struct api *api, struct http_server *server) {
    size_t n = atomic_load(&api->server_count);
    assert(n < API_SERVERS_MAX);
    api->servers[n] = server;
    atomic_store(&api->server_count, n + 1);
}

void api_drain(struct api *api, bool cancel) {
    atomic_store(&api->draining, true);
    watches_end(api);
    if (cancel) atomic_store(&api->cancel, true);
}

/* ---- from and to the network ------------------------------------------------------------------------------------ */

static struct http_reply http_reply_of(const struct api_reply *reply) {
    return (struct http_reply){.status = reply->status,
                               .content_type = reply->content_type,
                               .body = reply->body,
                               .fields = reply->fields,
                               .field_count = reply->field_count,
                               .trailers = reply->trailers,
                               .trailer_count = reply->trailer_count};
}

static void send_reply(void *context, const struct api_reply *reply) {
    struct http_reply r = http_reply_of(reply);
    http_reply(context, &r);
}

static struct http_stream *send_stream(void *context, const struct api_reply *head, size_t held_max) {
    struct http_reply r = http_reply_of(head);
    return http_stream_begin(context, &r, held_max);
}

void api_handle(struct http_request *r) {
    const struct api_surface *surface = http_listener_context(r);
    struct str target = http_target(r);
    struct api_request request = {.port = surface->port,
                                  .method = http_method(r),
                                  .method_text = http_method_text(r),
                                  .target = target,
                                  .content_type = http_field(r, STR("content-type")),
                                  .content_encoding = http_field(r, STR("content-encoding")),
                                  .body = http_body(r),
                                  .reply = send_reply,
                                  .stream = send_stream,
                                  .context = r};
    request.has_content_type = request.content_type.p != NULL;
    request.host = http_field(r, STR("host"));
    request.origin = http_field(r, STR("origin"));
    request.is_h2 = http_is_h2(r);
    request.grpc_encoding = http_field(r, STR("grpc-encoding"));
    request.grpc_timeout = http_field(r, STR("grpc-timeout"));
    api_serve(surface->api, &request);
}

static void run_handler(struct api_call *c) { c->route->handler(c); }

void api_serve(struct api *api, const struct api_request *request) {
    struct api_call *c = mem_new_of(struct api_call);
    c->api = api;
    c->request = *request;
    c->now_ns = api->options.wall_ns();
    arena_init(&c->arena, MIB);
    if (!str_cut(request->target, '?', &c->path, &c->query)) c->query = (struct str){"", 0};
    if (c->path.n == 0 || c->path.p[0] != '/') { /* absolute form: http://host/path */
        struct str rest = c->path;
        for (int slashes = 0; slashes < 3 && rest.n; slashes++)
            if (!str_cut(rest, '/', &c->path, &rest)) rest.n = 0;
        c->path = rest.n ? (struct str){rest.p - 1, rest.n + 1} : STR("/");
    }
    if (!origin_is_allowed(request->host, request->origin)) {
        call_fail_as(c, 403, 7, ERR_DENIED,
                     STR("only programs and pages of this machine may ask: Host must be a loopback name, Origin absent "
                         "or the same"),
                     STR("ask http://127.0.0.1 or http://localhost, also from a proxy"), NULL);
        return;
    }
    const struct api_route *route = route_find(c);
    if (!route) return; /* c has ended */
    c->route = route;
    err e = params_parse(c);
    if (e)
        call_fail(c, e);
    else if (c->route->place == RUN_WORK)
        call_run_on_work(c, run_handler);
    else
        run_handler(c);
}
