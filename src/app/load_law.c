#include "app/load_shape.h"

#include <math.h>
#include <stdio.h>

#include "app/load_random.h"
#include "app/protobuf_put.h"

enum { SERVICES = 10, INSTANCES = 16, ROUTES = 6, METHODS = 4, DEPTH = 4 };

static const char *const services[SERVICES] = {"frontend", "cart",     "checkout", "payment",        "shipping",
                                               "catalog",  "currency", "email",    "recommendation", "advertising"};
static const char *const languages[] = {"go", "java", "nodejs", "python", "dotnet"};
static const char *const methods[METHODS] = {"GET", "POST", "PUT", "DELETE"};
static const char *const databases[] = {"postgresql", "redis", "mysql", "mongodb"};
static const int statuses[] = {200, 200, 200, 200, 200, 200, 201, 204, 304, 404};
static const int error_statuses[] = {500, 502, 503, 504};

#define TEXT(name, size, ...)                                                                                          \
    char name##_text[size];                                                                                            \
    struct str name = {name##_text, (size_t)snprintf(name##_text, sizeof name##_text, __VA_ARGS__)}

/* ---- resource --------------------------------------------------------------------------------------------------- */

static void put_resource(struct buf *b, int service, unsigned instance) {
    size_t resource = put_begin(b, 1);
    TEXT(version, 16, "2.%d.%u", service, instance % 3);
    TEXT(id, 64, "%s-7d9f8b6c5d-%04x%u", services[service], instance * 2654435761u >> 16, instance);
    TEXT(host, 64, "ip-10-4-%u-%u.internal", instance, 17 * (unsigned)service + 3);
    TEXT(node, 64, "node-pool-a-%02u", instance);
    put_text_attribute(b, 1, STR("service.name"), str_of(services[service]));
    put_text_attribute(b, 1, STR("service.version"), version);
    put_text_attribute(b, 1, STR("service.instance.id"), id);
    put_text_attribute(b, 1, STR("host.name"), host);
    put_text_attribute(b, 1, STR("k8s.pod.name"), id);
    put_text_attribute(b, 1, STR("k8s.namespace.name"), STR("shop-production"));
    put_text_attribute(b, 1, STR("k8s.node.name"), node);
    put_text_attribute(b, 1, STR("cloud.region"), instance % 2 ? STR("eu-west-1") : STR("eu-central-1"));
    put_text_attribute(b, 1, STR("deployment.environment.name"), STR("production"));
    put_text_attribute(b, 1, STR("telemetry.sdk.language"), str_of(languages[service % (int)LENGTH(languages)]));
    put_text_attribute(b, 1, STR("telemetry.sdk.name"), STR("opentelemetry"));
    put_text_attribute(b, 1, STR("os.type"), STR("linux"));
    put_end(b, resource);
}

/* ---- traces ----------------------------------------------------------------------------------------------------- */

/* What the spans of one trace share. */
struct law_trace {
    unsigned char id[16];
    uint64_t spans[SERVICES];
    int64_t start[SERVICES], duration[SERVICES];
    uint64_t user, order;
};

/* Parents within a trace: service s hangs below PARENT[s], a tree of depth 4. */
static const int parent_of[SERVICES] = {-1, 0, 0, 2, 2, 1, 3, 2, 0, 8};

static void make_trace(struct load_random *x, struct law_trace *t, int64_t start) {
    load_random_bytes(x, t->id, sizeof t->id);
    t->user = load_random_below(x, 100000);
    t->order = load_random_next(x) >> 20;
    for (int s = 0; s < SERVICES; s++) {
        int parent = parent_of[s];
        t->spans[s] = load_random_next(x) | 1;
        t->duration[s] = (int64_t)(1e6 * exp(1.0 + 0.8 * load_random_normal(x)));
        t->start[s] = parent < 0 ? start : t->start[parent] + 20000 + (int64_t)load_random_below(x, 400000);
    }
}

/* An id of its own, drawn from a random number that is there anyway: with and without ids all else is the same. */
static void put_correlation(struct buf *b, const struct shape_request *r, int field, uint64_t random) {
    if (!r->correlated || random / 2 % r->correlated) return;
    TEXT(id, 32, "req-%016llx", (unsigned long long)(random * 0x9e3779b97f4a7c15u));
    put_text_attribute(b, field, STR("correlation_id"), id);
}

static void put_route(char *out, size_t size, int service, unsigned route) {
    static const char *const nouns[ROUTES] = {"items", "orders", "quotes", "sessions", "reviews", "offers"};
    snprintf(out, size, "/api/v1/%s/{id}/%s", services[service], nouns[route]);
}

static void put_span_attributes(struct buf *b, struct load_random *x, const struct law_trace *t, int service,
                                int error) {
    static const char *const nouns[ROUTES] = {"items", "orders", "quotes", "sessions", "reviews", "offers"};
    unsigned route_number = (unsigned)load_random_below(x, ROUTES), method = (unsigned)load_random_below(x, METHODS);
    char route[64];
    put_route(route, sizeof route, service, route_number);
    TEXT(name, 96, "%s %s", methods[method], route);
    TEXT(target, 96, "/api/v1/%s/%u/%s", services[service], (unsigned)load_random_below(x, 100000),
         nouns[route_number]);
    TEXT(ip, 32, "10.%u.%u.%u", (unsigned)load_random_below(x, 4), (unsigned)load_random_below(x, 20),
         (unsigned)load_random_below(x, 25));
    TEXT(statement, 192,
         "SELECT %s_%u, total, currency, created_at, updated_at FROM %s WHERE tenant_id = $1 AND %s_id = $2 LIMIT 1",
         nouns[route_number], (unsigned)load_random_below(x, 4), services[service], nouns[route_number]);
    TEXT(user, 32, "user-%05u", (unsigned)t->user);
    TEXT(order, 32, "ord-%011llx", (unsigned long long)t->order);
    TEXT(thread, 32, "http-nio-8080-exec-%u", (unsigned)load_random_below(x, 16));
    int status = error ? error_statuses[load_random_below(x, LENGTH(error_statuses))]
                       : statuses[load_random_below(x, LENGTH(statuses))];
    put_text_field(b, 5, name);
    put_text_attribute(b, 9, STR("http.method"), str_of(methods[method]));
    put_text_attribute(b, 9, STR("http.route"), str_of(route));
    put_int_attribute(b, 9, STR("http.status_code"), status);
    put_text_attribute(b, 9, STR("http.target"), target);
    put_text_attribute(b, 9, STR("net.peer.ip"), ip);
    put_text_attribute(b, 9, STR("db.system"), str_of(databases[service % (int)LENGTH(databases)]));
    put_text_attribute(b, 9, STR("db.statement"), statement);
    put_text_attribute(b, 9, STR("user.id"), user);
    put_text_attribute(b, 9, STR("order.id"), order);
    put_text_attribute(b, 9, STR("thread.name"), thread);
    put_int_attribute(b, 9, STR("http.response_content_length"), (int64_t)load_random_below(x, 1 << 20));
}

static void put_exception(struct buf *b, struct load_random *x, const struct law_trace *t, int service) {
    unsigned line = (unsigned)load_random_below(x, 400);
    TEXT(stack, 512,
         "java.io.IOException: upstream timed out\n\tat shop.%s.Client.call(Client.java:%u)\n\tat "
         "shop.%s.Handler.handle(Handler.java:88)\n\tat shop.http.Router.dispatch(Router.java:131)\n\tat "
         "java.base/java.lang.Thread.run(Thread.java:1583)",
         services[service], line, services[service]);
    size_t event = put_begin(b, 11);
    put_fixed64_field(b, 1, (uint64_t)(t->start[service] + t->duration[service]));
    put_text_field(b, 2, STR("exception"));
    put_text_attribute(b, 3, STR("exception.type"), STR("java.io.IOException"));
    put_text_attribute(b, 3, STR("exception.message"), STR("upstream timed out"));
    put_text_attribute(b, 3, STR("exception.stacktrace"), stack);
    put_end(b, event);
}

static void put_span(struct buf *b, struct load_random *x, const struct shape_request *r, const struct law_trace *t,
                     int service) {
    int error = load_random_below(x, 100) < 5;
    size_t span = put_begin(b, 2);
    put_bytes_field(b, 1, t->id, 16);
    put_bytes_field(b, 2, &t->spans[service], 8);
    if (parent_of[service] >= 0) put_bytes_field(b, 4, &t->spans[parent_of[service]], 8);
    put_varint_field(b, 6, service ? 2 : 3);
    put_fixed64_field(b, 7, (uint64_t)t->start[service]);
    put_fixed64_field(b, 8, (uint64_t)(t->start[service] + t->duration[service]));
    put_span_attributes(b, x, t, service, error);
    put_correlation(b, r, 9, t->spans[0]);
    if (error) {
        put_exception(b, x, t, service);
        size_t status = put_begin(b, 15);
        put_text_field(b, 2, STR("upstream timed out"));
        put_varint_field(b, 3, 2);
        put_end(b, status);
    }
    put_fixed32_field(b, 16, 0x101);
    put_end(b, span);
}

static void put_scope(struct buf *b) {
    size_t scope = put_begin(b, 1);
    put_text_field(b, 1, STR("shop.instrumentation"));
    put_text_field(b, 2, STR("1.4.0"));
    put_end(b, scope);
}

void shape_law_traces(const struct shape_request *r, struct buf *out) {
    struct load_random x;
    load_random_seed(&x, r->seed);
    uint32_t traces = r->items / SERVICES;
    struct law_trace *all = mem_new_array(struct law_trace, traces);
    for (uint32_t i = 0; i < traces; i++) make_trace(&x, &all[i], r->time_first + i * r->time_step);
    for (int service = 0; service < SERVICES; service++) {
        size_t group = put_begin(out, 1);
        put_resource(out, service, (unsigned)load_random_below(&x, INSTANCES));
        size_t scope = put_begin(out, 2);
        put_scope(out);
        for (uint32_t i = 0; i < traces; i++) put_span(out, &x, r, &all[i], service);
        put_end(out, scope);
        put_end(out, group);
    }
    mem_free(all);
}

/* ---- logs ------------------------------------------------------------------------------------------------------- */

static const struct severity {
    const char *text;
    int number;
} severities[] = {{"DEBUG", 5}, {"INFO", 9}, {"INFO", 9}, {"INFO", 9}, {"WARN", 13}, {"ERROR", 17}};

static void put_body(struct buf *b, struct load_random *x, unsigned shape) {
    char request[16];
    snprintf(request, sizeof request, "%012llx", (unsigned long long)(load_random_next(x) >> 16));
    unsigned n = (unsigned)load_random_below(x, 5000), user = (unsigned)load_random_below(x, 100000);
    bool rare = load_random_below(x, 150000) == 0;
    char text[256];
    static const char *const formats[5] = {
        "request %s completed in %u ms for user-%05u with status ok",
        "cache miss for key session:%s after %u us, asking the origin for user-%05u",
        "connection to upstream %s retried %u times on behalf of user-%05u",
        "payment %s authorised, amount %u cents, account user-%05u, risk low",
        "queue consumer %s is %u messages behind, last seen user-%05u",
    };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, formats[shape], request, n, user);
#pragma GCC diagnostic pop
    size_t any = put_begin(b, 5);
    size_t used = strlen(text);
    if (rare) snprintf(text + used, sizeof text - used, " quetzalcoatlus");
    put_text_field(b, 1, str_of(text));
    put_end(b, any);
}

static void put_log(struct buf *b, struct load_random *x, const struct shape_request *r, int service, int64_t time) {
    const struct severity *severity = &severities[load_random_below(x, LENGTH(severities))];
    unsigned char id[16];
    uint64_t span = load_random_next(x) | 1;
    load_random_bytes(x, id, sizeof id);
    unsigned route_number = (unsigned)load_random_below(x, ROUTES);
    char route[64];
    put_route(route, sizeof route, service, route_number);
    TEXT(thread, 32, "worker-%02u", (unsigned)load_random_below(x, 16));
    size_t record = put_begin(b, 2);
    put_fixed64_field(b, 1, (uint64_t)time);
    put_varint_field(b, 2, (uint64_t)severity->number);
    put_text_field(b, 3, str_of(severity->text));
    put_body(b, x, (unsigned)load_random_below(x, 5));
    put_text_attribute(b, 6, STR("http.route"), str_of(route));
    put_text_attribute(b, 6, STR("thread.name"), thread);
    put_text_attribute(b, 6, STR("code.function"), str_of(methods[route_number % METHODS]));
    put_int_attribute(b, 6, STR("code.lineno"), 40 + 7 * route_number);
    put_text_attribute(b, 6, STR("logger.name"), STR("com.example.shop.http.RequestLogger"));
    put_correlation(b, r, 6, span);
    put_fixed32_field(b, 8, 1);
    put_bytes_field(b, 9, id, sizeof id);
    put_bytes_field(b, 10, &span, 8);
    put_fixed64_field(b, 11, (uint64_t)time + 1000 + load_random_below(x, 100000));
    put_end(b, record);
}

void shape_law_logs(const struct shape_request *r, struct buf *out) {
    struct load_random x;
    load_random_seed(&x, r->seed);
    uint32_t records = r->items / SERVICES;
    for (int service = 0; service < SERVICES; service++) {
        size_t group = put_begin(out, 1);
        put_resource(out, service, (unsigned)load_random_below(&x, INSTANCES));
        size_t scope = put_begin(out, 2);
        put_scope(out);
        for (uint32_t i = 0; i < records; i++) {
            int64_t jitter = (int64_t)load_random_below(&x, 200000);
            put_log(out, &x, r, service, r->time_first + (i * SERVICES + service) * r->time_step / SERVICES + jitter);
        }
        put_end(out, scope);
        put_end(out, group);
    }
}
