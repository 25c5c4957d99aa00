#include "api/api_priv.h"

#include "api/ollystack/ollystack_priv.h"
#include "api/origin_priv.h"
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
    *out =
        (struct api_options){.work_threads = 2,
                             .queue_max = 256,
                             .query_memory_bytes = 256 * MIB,
                             .query_timeout_ns = 30 * (int64_t)1000000000,
                             .wall_ns = clock_wall_ns,
                             .correlation_prefix = STR("clew"),
                             .retention = {30 * (int64_t)86400 * 1000000000, 80, 5, "default", "default", "default"}};
}

static struct api *api_make(const struct api_options *options) {
    struct api *api = mem_new_of(struct api);
    api->options = *options;
    if (!api->options.wall_ns) api->options.wall_ns = clock_wall_ns;
    if (!api->options.queue_max) api->options.queue_max = 256;
    if (!api->options.query_memory_bytes) api->options.query_memory_bytes = 256 * MIB;
    if (!api->options.query_timeout_ns) api->options.query_timeout_ns = 30 * (int64_t)1000000000;
    api->started_ns = api->options.wall_ns();
    for (size_t p = 0; p < API_PORTS; p++) api->surfaces[p] = (struct api_surface){api, (enum api_port)p};
    lock_init(&api->watches.lock);
    lock_init(&api->openapi.lock);
    lock_init(&api->docs.lock);
    atomic_store(&api->watches.stores, true);
    api->queue = queue_new(api->options.queue_max);
    api->threads = mem_new_array(struct thread *, options->work_threads + 1);
    return api;
}

static err open_access(struct api *api) {
    const struct api_options *o = &api->options;
    if (o->dir) TRY(audit_open(o->dir, 0, &api->audit));
    TRY(limits_new(o->limits, &api->limits));
    return access_new(o->dir, o->tokens, api->audit, o->wall_ns(), &api->access);
}

static err start_work(struct api *api) {
    for (size_t i = 0; i < api->options.work_threads; i++) {
        TRY_WRAP(thread_start(&api->threads[i], "work", 0, work, api), "starting the work threads");
        api->thread_count++;
    }
    return NULL;
}

err api_new(const struct api_options *options, struct api **out) {
    struct api *api = api_make(options);
    err e = open_access(api);
    if (!e) e = tails_new(api, &api->tails);
    if (!e) e = start_work(api);
    if (e)
        api_free(api);
    else
        *out = api;
    return e;
}

static void text_done(struct api_text *t) {
    buf_done(&t->text);
    lock_done(&t->lock);
}

void api_free(struct api *api) {
    if (!api) return;
    queue_close(api->queue);
    for (size_t i = 0; i < api->thread_count; i++) thread_join(api->threads[i]);
    tails_free(api->tails);
    queue_free(api->queue);
    mem_free(api->threads);
    access_free(api->access);
    limits_free(api->limits);
    audit_close(api->audit);
    lock_done(&api->watches.lock);
    text_done(&api->openapi);
    text_done(&api->docs);
    mem_free(api);
}

bool api_needs_tokens(struct api *api) { return access_is_required(api->access); }
void api_reload_tokens(struct api *api) { access_reload(api->access, api->options.wall_ns()); }

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
    tails_end(api->tails);
    if (cancel) atomic_store(&api->cancel, true);
}

/* ---- from and to the network ------------------------------------------------------------------------------------ */

static struct http_reply http_reply_of(const struct api_reply *reply, struct http_field fields[REPLY_FIELDS_MAX]) {
    return (struct http_reply){.status = reply->status,
                               .content_type = reply->content_type,
                               .body = reply->body,
                               .fields = fields,
                               .field_count = reply_fields(reply, fields),
                               .trailers = reply->trailers,
                               .trailer_count = reply->trailer_count};
}

static void send_reply(void *context, const struct api_reply *reply) {
    struct http_field fields[REPLY_FIELDS_MAX];
    struct http_reply r = http_reply_of(reply, fields);
    http_reply(context, &r);
}

static struct http_stream *send_stream(void *context, const struct api_reply *head, size_t held_max) {
    struct http_field fields[REPLY_FIELDS_MAX];
    struct http_reply r = http_reply_of(head, fields);
    return http_stream_begin(context, &r, held_max);
}

static const struct api_stream_door streams = {send_stream, http_stream_write, http_stream_is_gone, http_stream_end};

static struct credentials credentials_of(const struct http_request *r) {
    static const struct str once[] = {STR("authorization"), STR("x-scope-orgid"), STR("origin")};
    struct credentials c = {.authorization = http_field(r, STR("authorization")),
                            .cookie = http_field(r, STR("cookie")),
                            .org_id = http_field(r, STR("x-scope-orgid")),
                            .host = http_field(r, STR("host")),
                            .origin = http_field(r, STR("origin")),
                            .peer = http_peer(r)};
    for (size_t i = 0; i < LENGTH(once); i++) c.doubled |= http_field_count(r, once[i]) > 1;
    c.unsafe = http_method(r) != HTTP_GET && http_method(r) != HTTP_HEAD;
    return c;
}

bool api_trusts(const struct http_request *r, void *listener) {
    struct api *api = ((const struct api_surface *)listener)->api;
    struct credentials c = credentials_of(r);
    return access_knows(api->access, &c, api->options.wall_ns());
}

static bool is_abandoned(const void *context) { return http_is_abandoned(context); }

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
                                  .is_abandoned = is_abandoned,
                                  .streams = &streams,
                                  .context = r};
    request.has_content_type = request.content_type.p != NULL;
    request.credentials = credentials_of(r);
    request.is_h2 = http_is_h2(r);
    request.accept = http_field(r, STR("accept"));
    request.accept_encoding = http_field(r, STR("accept-encoding"));
    request.if_match = http_field(r, STR("if-match"));
    request.if_none_match = http_field(r, STR("if-none-match"));
    if (surface->api->options.emit) {
        request.traceparent = http_field(r, STR("traceparent"));
        request.tracestate = http_field(r, STR("tracestate"));
    }
    request.request_id = http_field(r, STR("x-request-id"));
    request.upgrade = http_field(r, STR("upgrade"));
    request.connection = http_field(r, STR("connection"));
    request.websocket_key = http_field(r, STR("sec-websocket-key"));
    request.websocket_version = http_field(r, STR("sec-websocket-version"));
    request.is_tls = http_is_tls(r);
    request.body_is_left = http_body_is_left(r);
    request.grpc_encoding = http_field(r, STR("grpc-encoding"));
    request.grpc_timeout = http_field(r, STR("grpc-timeout"));
    api_serve(surface->api, &request);
}

bool api_takes_pieces(void *listener, const struct http_request *r) {
    const struct api_surface *surface = listener;
    struct str path, query;
    str_cut(http_target(r), '?', &path, &query);
    for (size_t i = 0; i < api_route_count; i++) {
        const struct api_route *route = &api_routes[i];
        if (route->takes_pieces && route->ports >> surface->port & 1 && route->method == http_method(r) &&
            str_equal(path, str_of(route->path)))
            return true;
    }
    return false;
}

/* ---- the way of a request --------------------------------------------------------------------------------------- */

/* What is logged meanwhile on this thread belongs to the call's span. The call may be gone when the handler returns. */
static void run_handler(struct api_call *c) {
    struct emit_scope scope;
    emit_scope_enter(&scope, c->api->options.emit, emit_span_context(c->span));
    c->route->handler(c);
    emit_scope_leave(&scope);
}

/* Absolute form, http://host/path → /path. What is neither that nor a path is no route. */
static struct str path_of_absolute(struct str target) {
    struct str rest = target, ignored;
    if (!str_starts_with(target, STR("http://")) && !str_starts_with(target, STR("https://"))) return target;
    for (int slashes = 0; slashes < 3 && rest.n; slashes++)
        if (!str_cut(rest, '/', &ignored, &rest)) rest.n = 0;
    return rest.n ? (struct str){rest.p - 1, rest.n + 1} : STR("/");
}

const char *const api_roots[API_PORTS] = {
    [API_PORT_JAEGER] = "/jaeger", [API_PORT_PROMETHEUS] = "/prometheus", [API_PORT_OLLYSTACK] = "/ollystack"};

static void put_root(struct api_call *c) {
    struct buf path;
    buf_init(&path, 64 * KIB);
    buf_add_fmt(&path, "%s" STR_FMT, api_roots[c->request.port], STR_ARG(c->path));
    c->path = arena_copy(&c->arena, buf_str(&path));
    buf_done(&path);
}

static void take_target(struct api_call *c) {
    if (!str_cut(c->request.target, '?', &c->path, &c->query)) c->query = (struct str){"", 0};
    if (c->path.n == 0 || c->path.p[0] != '/') c->path = path_of_absolute(c->path);
    if (api_roots[c->request.port]) put_root(c);
    olly_take_path(c);
}

static bool page_may_ask(const struct api_call *c) {
    const struct credentials *k = &c->request.credentials;
    if (access_is_required(c->api->access)) return !k->origin.p || origin_is_ours(k->origin, k->host, k->own_hosts);
    return origin_is_allowed(k->host, k->origin, k->own_hosts);
}

/* False: the call has ended. A listed page is told by call_reply that it may read the answer. */
static bool admit_page(struct api_call *c) {
    bool listed = origin_is_listed(c->request.credentials.origin, c->api->options.cors_origins);
    if (listed && c->request.method == HTTP_OPTIONS) {
        call_reply(c, &(struct api_reply){.status = 204});
        return false;
    }
    if (listed || page_may_ask(c)) return true;
    call_fail_as(
        c, 403, 7, ERR_DENIED,
        STR("only programs and pages of this machine may ask: Host must be a loopback name, Origin absent or the same"),
        STR("ask http://127.0.0.1 or http://localhost; for another name of this server, as a proxy's, start clew with "
            "--allow-host NAME"),
        NULL);
    return false;
}

/* What its tenant may take. */
static err take_share(struct api_call *c) {
    struct limits *l = c->api->limits;
    if (c->route->role == ROLE_INGEST)
        return limits_take_ingest(l, call_tenant(c), c->request.body.n, c->now_ns, &c->retry_after_s);
    bool asks = c->route->role == ROLE_READ ||
                (c->route->role > ROLE_READ && c->route->method != HTTP_POST); /* also who changes searches */
    if (!asks || c->route->place != RUN_WORK) return NULL;
    TRY(limits_begin_query(l, call_tenant(c), c->now_ns, &c->retry_after_s));
    c->is_query = true;
    return NULL;
}

static void admit(struct api_call *c) {
    const struct api_route *r = c->route;
    enum access_outcome why =
        access_decide(c->api->access, &c->request.credentials, r->role, r->all_tenants, c->now_ns, &c->caller);
    if (why != ACCESS_ALLOWED) {
        call_fail_access(c, why);
        return;
    }
    if (c->request.body_is_left) {
        call_fail_as(c, 413, 8, ERR_LIMIT, STR("a body of more than 4 KiB needs a token"), STR(""), NULL);
        return;
    }
    err e = take_share(c);
    if (!e) e = params_parse(c);
    if (e)
        call_fail(c, e);
    else if (r->place == RUN_WORK && !c->is_audited)
        call_run_on_work(c, run_handler);
    else
        run_handler(c);
}

static void admit_audited(struct api_call *c) {
    c->is_audited = true;
    admit(c);
}

/* What changes something is written down whatever becomes of it; that waits for the disk, so already the refusal is made on a work thread. */
static bool is_audited(const struct api_route *r) {
    return (r->role >= ROLE_OPERATE && r->method != HTTP_GET) || r->handler == handle_login ||
           r->handler == handle_logout;
}

void api_serve(struct api *api, const struct api_request *request) {
    struct api_call *c = mem_new_of(struct api_call);
    c->api = api;
    c->request = *request;
    c->request.credentials.own_hosts = api->options.allowed_hosts;
    c->now_ns = api->options.wall_ns();
    arena_init(&c->arena, MIB);
    take_target(c);
    if (!olly_admit(c) || !admit_page(c)) return; /* a preflight says nothing: 204 also to pages that may not ask */
    const struct api_route *route = route_find(c);
    if (!route) return; /* c has ended */
    c->route = route;
    trace_begin(c);
    if (is_audited(c->route))
        call_run_on_work(c, admit_audited);
    else
        admit(c);
}
