/* Requests of the load law: what a fleet of ten services of one shop sends. */
#include <math.h>
#include <stdio.h>

#include "signal/testing.h"

enum { SERVICES = 10, ROWS = 50 };

static void text(struct buf *out, uint32_t field, const char *s) { put_wire_bytes(out, field, str_of(s)); }

static void attribute(struct buf *out, uint32_t field, const char *key, const char *value) {
    AUTO_BUF struct buf any, entry;
    buf_init(&any, MIB);
    buf_init(&entry, MIB);
    text(&any, 1, value);
    text(&entry, 1, key);
    put_wire_bytes(&entry, 2, buf_str(&any));
    put_wire_bytes(out, field, buf_str(&entry));
}

static void attribute_int(struct buf *out, uint32_t field, const char *key, uint64_t value) {
    AUTO_BUF struct buf any, entry;
    buf_init(&any, MIB);
    buf_init(&entry, MIB);
    put_wire_varint(&any, 3, value);
    text(&entry, 1, key);
    put_wire_bytes(&entry, 2, buf_str(&any));
    put_wire_bytes(out, field, buf_str(&entry));
}

#define FORMAT(buffer, ...) (snprintf(buffer, sizeof buffer, __VA_ARGS__), buffer)

static void resource(uint32_t service, uint32_t instance, struct buf *out) {
    static const char *const keys[] = {"host.name",
                                       "k8s.pod.name",
                                       "k8s.namespace.name",
                                       "k8s.node.name",
                                       "cloud.region",
                                       "deployment.environment.name",
                                       "telemetry.sdk.language",
                                       "telemetry.sdk.name",
                                       "os.type"};
    char t[96];
    AUTO_BUF struct buf message;
    buf_init(&message, MIB);
    attribute(&message, 1, "service.name", FORMAT(t, "shop-service-%u", service));
    attribute(&message, 1, "service.version", FORMAT(t, "1.%u.3", service));
    attribute(&message, 1, "service.instance.id",
              FORMAT(t, "6f1c2b9e-7a53-4d1e-9b0a-0000000%05u", service * 16 + instance));
    for (size_t i = 0; i < LENGTH(keys); i++)
        attribute(&message, 1, keys[i], i < 4 ? FORMAT(t, "%s-%u-%u", keys[i], service, instance) : keys[i]);
    put_wire_bytes(out, 1, buf_str(&message));
}

static void scope(struct buf *out) {
    AUTO_BUF struct buf message;
    buf_init(&message, MIB);
    text(&message, 1, "io.opentelemetry.instrumentation.http");
    text(&message, 2, "2.4.0");
    put_wire_bytes(out, 1, buf_str(&message));
}

/* The same numbers for all spans of a trace. */
struct trace {
    uint64_t id[2], span_ids[SERVICES], start;
    uint32_t user, order;
};

static void span_attributes(struct chance *c, const struct trace *t, uint32_t operation, uint32_t service,
                            struct buf *out) {
    char s[160];
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    attribute(out, 9, "http.method", methods[operation % 4]);
    attribute(out, 9, "http.route", FORMAT(s, "/api/v1/resource%u/{id}/items", operation % 60));
    attribute_int(out, 9, "http.status_code", chance_one_in(c, 20) ? 503 : 200);
    attribute(out, 9, "http.target",
              FORMAT(s, "/api/v1/resource%u/%u/items?page=2", operation % 60, chance_below(c, 1000000)));
    attribute(out, 9, "net.peer.ip",
              FORMAT(s, "10.%u.%u.%u", chance_below(c, 2), chance_below(c, 10), chance_below(c, 100)));
    attribute(out, 9, "db.system", "postgresql");
    attribute(out, 9, "db.statement",
              FORMAT(s,
                     "SELECT id, name, price, currency, stock FROM shop.table%u WHERE tenant = $1 AND id = $2 ORDER BY "
                     "id LIMIT 50",
                     operation % 30));
    attribute(out, 9, "user.id", FORMAT(s, "user-%u", t->user));
    attribute(out, 9, "order.id", FORMAT(s, "order-%08x", t->order));
    attribute(out, 9, "thread.name", FORMAT(s, "http-nio-8080-exec-%u", service % 8 + chance_below(c, 8)));
    attribute_int(out, 9, "http.response_content_length", chance_below(c, 100000));
}

static void error_event(uint64_t time, struct buf *out) {
    AUTO_BUF struct buf event, status;
    buf_init(&event, MIB);
    buf_init(&status, MIB);
    put_wire_fixed64(&event, 1, time);
    text(&event, 2, "exception");
    attribute(&event, 3, "exception.type", "java.net.SocketTimeoutException");
    attribute(&event, 3, "exception.message", "upstream timed out after 3000 ms");
    attribute(&event, 3, "exception.stacktrace",
              "java.net.SocketTimeoutException: Read timed out\n\tat "
              "java.net.SocketInputStream.read(SocketInputStream.java:171)"
              "\n\tat shop.checkout.Client.call(Client.java:88)\n\tat shop.checkout.Order.place(Order.java:214)");
    put_wire_bytes(out, 11, buf_str(&event));
    text(&status, 2, "upstream timed out");
    put_wire_varint(&status, 3, 2);
    put_wire_bytes(out, 15, buf_str(&status));
}

static void span(struct chance *c, const struct trace *t, uint32_t service, struct buf *out) {
    char s[64];
    uint32_t operation = service * 24 + chance_below(c, 24);
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE"};
    uint64_t start = t->start + service * 1000000 + chance_below(c, 900000);
    uint64_t duration = 1000 * (uint64_t)exp(7 + chance_below(c, 1000) / 250.0);
    AUTO_BUF struct buf m;
    buf_init(&m, MIB);
    put_wire_bytes(&m, 1, str_span(t->id, 16));
    put_wire_bytes(&m, 2, str_span(&t->span_ids[service], 8));
    if (service) put_wire_bytes(&m, 4, str_span(&t->span_ids[(service - 1) / 2], 8));
    text(&m, 5, FORMAT(s, "%s /api/v1/resource%u/{id}/items", methods[operation % 4], operation % 60));
    put_wire_varint(&m, 6, 2 + service % 2);
    put_wire_fixed64(&m, 7, start);
    put_wire_fixed64(&m, 8, start + duration);
    span_attributes(c, t, operation, service, &m);
    if (chance_one_in(c, 20)) error_event(start + duration / 2, &m);
    put_wire_bytes(out, 2, buf_str(&m));
}

static void log_record(struct chance *c, uint64_t time, uint32_t service, struct buf *out) {
    static const char *const words[] = {"completed", "accepted", "validated", "queued", "forwarded"};
    static const char *const severities[] = {"DEBUG", "INFO", "INFO", "WARN", "ERROR"};
    static const uint32_t numbers[] = {5, 9, 9, 13, 17};
    char s[200];
    uint64_t id[3] = {chance_next(c), chance_next(c), chance_next(c)};
    uint32_t kind = chance_below(c, 5), severity = chance_below(c, 5);
    AUTO_BUF struct buf m, body;
    buf_init(&m, MIB);
    buf_init(&body, MIB);
    put_wire_fixed64(&m, 1, time);
    put_wire_varint(&m, 2, numbers[severity]);
    text(&m, 3, severities[severity]);
    text(&body, 1,
         FORMAT(s, "request %012llx %s for user %u in %u ms by worker %u of pool checkout, no retries left",
                (unsigned long long)id[0] >> 16, words[kind], chance_below(c, 100000), chance_below(c, 3000),
                chance_below(c, 8)));
    put_wire_bytes(&m, 5, buf_str(&body));
    attribute(&m, 6, "code.function", FORMAT(s, "handler_%u", kind * 12 + service));
    attribute(&m, 6, "code.namespace", FORMAT(s, "shop.module%u", kind));
    attribute(&m, 6, "thread.name", FORMAT(s, "http-worker-%u", chance_below(c, 16)));
    attribute_int(&m, 6, "code.lineno", 20 + kind * 17);
    attribute(&m, 6, "logger.name", "shop.Logger");
    put_wire_fixed32(&m, 8, 1);
    put_wire_bytes(&m, 9, str_span(id, 16));
    put_wire_bytes(&m, 10, str_span(id + 2, 8));
    put_wire_fixed64(&m, 11, time + 1000);
    put_wire_bytes(out, 2, buf_str(&m));
}

void load_request(struct chance *c, enum signal signal, struct buf *out) {
    struct trace traces[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        traces[i] = (struct trace){.id = {chance_next(c), chance_next(c)},
                                   .start = 1764000000000000000u + c->state % 3600000000000u,
                                   .user = chance_below(c, 100000),
                                   .order = chance_below(c, UINT32_MAX)};
        for (uint32_t s = 0; s < SERVICES; s++) traces[i].span_ids[s] = chance_next(c);
    }
    for (uint32_t service = 0; service < SERVICES; service++) {
        AUTO_BUF struct buf group, scoped;
        buf_init(&group, MIB);
        buf_init(&scoped, MIB);
        resource(service, chance_below(c, 16), &group);
        scope(&scoped);
        for (uint32_t i = 0; i < ROWS; i++)
            if (signal == SIGNAL_SPANS)
                span(c, &traces[i], service, &scoped);
            else
                log_record(c, traces[0].start + i * 1000, service, &scoped);
        put_wire_bytes(&group, 2, buf_str(&scoped));
        put_wire_bytes(out, 1, buf_str(&group));
    }
}
