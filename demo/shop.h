/* The sample shop: five services that sell things to a traffic generator, made to be watched, and to fail in ways that can be told.
 *
 *   traffic-generator ─▶ api-gateway ─▶ order-service ─┬▶ inventory-service (cache)
 *                                          (database)  ├▶ payment-service
 *                                                      └▶ notification-service, later, in a trace of its own that links to the order's
 *
 * A service is a table of routes over one way in (shop_serve) and one way out (shop_call_wait). How a call travels, how one waits and what is
 * done later is the world's: real processes with HTTP and threads (main.c), or all in one process on a clock that a test moves. Nothing here asks for
 * time, chance or sockets but through os.
 *
 * Limits: a body SHOP_BODY_BYTES, SHOP_ITEMS_MAX items, texts of 64 bytes, a correlation id 256 bytes.
 * Threads: shop_serve from as many as the world has; handlers share only what is behind `lock`. Functions that wait end in _wait.
 * Errors: of a handler: the answer's status and the span; err values only where something of the program itself fails. */
#pragma once

#include "base/arena.h"
#include "emit/emit.h"
#include "os/thread.h"

struct db;
struct shop;

enum {
    SHOP_BODY_BYTES = 64 << 10,
    SHOP_ITEMS_MAX = 20,
    SHOP_ID_BYTES = 256,
    SHOP_ROUTES_MAX = 8,
    SHOP_VERSIONS_MAX = 8
};
#define SHOP_MS ((int64_t)1000000)

enum shop_peer {
    SHOP_GATEWAY,
    SHOP_ORDER,
    SHOP_PAYMENT,
    SHOP_INVENTORY,
    SHOP_NOTIFICATION,
    SHOP_TRAFFIC,
    SHOP_SERVICES
};
extern const char *const shop_names[SHOP_SERVICES];
bool shop_name_read(struct str name, enum shop_peer *out);

/* ---- what goes between them --------------------------------------------------------------------------------------- */

/* What bodies have: members that a service does not know are skipped. Texts are cut at 63 bytes. */
struct shop_order {
    char customer[64], order[64], type[64], transaction[64];
    char correlation[SHOP_ID_BYTES + 1];
    double amount;
    struct shop_item {
        int64_t product, quantity;
    } items[SHOP_ITEMS_MAX];
    size_t item_count;
};
err shop_order_read(struct str body, struct shop_order *out); /* ERR_INVALID, ERR_LIMIT */
void shop_order_write(const struct shop_order *o, struct buf *out);

struct shop_request {
    struct str method, path, query, body;
    struct str traceparent, tracestate, baggage, correlation; /* fields of the head; empty: not sent */
};
struct shop_reply {
    int status;
    struct buf body; /* JSON */
    char correlation[SHOP_ID_BYTES + 1];
};

/* One request on its way through a service: what handlers get. */
struct shop_call {
    struct shop *shop;
    struct shop_telemetry *telemetry; /* of the version that took it */
    const struct shop_request *request;
    struct shop_reply *reply;
    struct emit_span *span;  /* the server's */
    struct emit_span *inner; /* the handler's, whose children are what it does next */
    char correlation[SHOP_ID_BYTES + 1];
    struct str baggage; /* to hand on */
};

/* ---- the world ------------------------------------------------------------------------------------------------------ */

/* What a process knows of itself; 0: not known. */
struct shop_figures {
    int64_t cpu_user_ns, cpu_system_ns;
    uint64_t memory_bytes, open_files;
    uint64_t queued; /* requests and other work that wait for a thread */
};
struct shop_world {
    void *context;
    /* `fields` are "Name: value" lines, ended by NULL. ERR_UNAVAILABLE: nobody answers. out->body is the caller's. */
    err (*call_wait)(void *context, enum shop_peer to, const char *method, const char *path, const char *const *fields,
                     struct str body, struct shop_reply *out);
    void (*pause_wait)(void *context, int64_t ns);
    /* Some time soon, on a thread of its own kind; false: there is too much to do. */
    bool (*later)(void *context, void (*fn)(struct shop *shop, void *context), void *fn_context);
    void (*say)(void *context, struct str line);              /* a line of the log */
    void (*measure)(void *context, struct shop_figures *out); /* of the process, for its metrics; NULL: there is none */
};

/* ---- faults --------------------------------------------------------------------------------------------------------- */

/* Set by --fault and POST /faults; all zero: none. */
struct shop_faults {
    int64_t latency_ms; /* more, for each request */
    double errors;      /* this share of requests is answered with 500 */
    int64_t leak_bytes; /* that each request leaves behind */
    int64_t lock_ms;    /* each request holds one lock of all for so long */
    char down[64];      /* calls to this service fail */
    char version[32];   /* a bad deploy is a new version, and one of the above */
};
/* "latency_ms=500,errors=0.3,down=payment-service,version=1.1.0", or the same as a JSON object; what is not named is none. */
err shop_faults_parse(struct str text, struct shop_faults *out);
err shop_faults_read(struct str json, struct shop_faults *out);
void shop_faults_write(const struct shop_faults *f, struct buf *out);

/* ---- a service ------------------------------------------------------------------------------------------------------ */

typedef void shop_handler(struct shop_call *c);
struct shop_route {
    const char *method, *path; /* a path that ends in * takes all below it */
    shop_handler *handler;
};

/* What a version tells of itself (telemetry.c); a deploy is a new one of these, as of a new process. It ends when its last call has. */
struct shop_telemetry {
    struct emit *emit;
    struct shop *shop;
    char version[32];
    size_t calls; /* under way; of shop->lock, as is_over */
    bool is_over; /* another one came */
    struct emit_instrument *duration, *requests, *errors, *active, *db_duration, *db_client, *orders;
    struct emit_series *active_now;
    struct shop_runtime { /* of the process, and of the lock that lock_ms holds */
        struct emit_series *cpu_user, *cpu_system, *memory, *open_files, *queued, *uptime, *lock_waiting, *lock_wait;
        struct shop_figures told, began;
        int64_t began_ns;
    } runtime;
};
err shop_telemetry_deploy(struct shop *s, const char *version); /* nothing where that one is there */
struct shop_telemetry *shop_telemetry_take(struct shop *s);     /* for a call, until it is given back */
void shop_telemetry_give(struct shop_telemetry *t);
void shop_telemetry_free(struct shop_telemetry *t); /* after its last word */

struct shop_options {
    enum shop_peer service;
    struct shop_world world;
    struct emit_sink sink;
    const char *environment, *version; /* default production, 1.0.0 */
    const char *db;                    /* of order-service: a file, or postgresql://… */
    const char *cache;                 /* redis://host:port; NULL: in the process */
    double failure_rate;               /* less than 0: the service's own */
    struct shop_faults faults;
    int64_t metrics_ns; /* how often metrics are told; 0: 15 s */
    bool paused_emit;   /* a test turns it */
};

struct shop {
    struct shop_options options;
    const struct shop_route *routes;
    struct lock lock; /* of what follows */
    struct shop_faults faults;
    struct shop_telemetry *versions[SHOP_VERSIONS_MAX], *now;
    size_t version_count;
    int64_t lock_free_ns; /* when the lock that lock_ms holds is free again: first come, first served */
    char *leaked[4096];
    size_t leak_count;
    uint64_t leaked_bytes;
    struct db *db;
    struct shop_cache *cache;
};
err shop_new(const struct shop_options *options, struct shop **out);
void shop_free(struct shop *s); /* nobody serves any more; hands on what is queued */
/* From a request to its answer, whatever it is. out->body is the caller's, initialised here. */
void shop_serve_wait(struct shop *s, const struct shop_request *r, struct shop_reply *out);

/* ---- for handlers ----------------------------------------------------------------------------------------------------- */

double shop_chance(void);                                                 /* from 0 to less than 1 */
void shop_take_wait(struct shop_call *c, int64_t from_ms, int64_t to_ms); /* works for so long */
double shop_failure_rate(const struct shop_call *c, double own);
/* An inner span with correlation_id and operation; what follows until the end is its child. */
struct emit_span *shop_span_begin(struct shop_call *c, const char *name);
void shop_span_end(struct shop_call *c, struct emit_span *s, struct emit_span *before);
/* Exception event and status. */
void shop_span_fail(struct emit_span *s, const char *type, const char *why);
void shop_say(struct shop_call *c, enum log_level level, const char *message, const struct log_field *fields, size_t n);
#define shop_log(c, level, message, ...)                                                                               \
    shop_say((c), (level), (message), (const struct log_field[]){{0}, ##__VA_ARGS__} + 1,                              \
             LENGTH(((const struct log_field[]){{0}, ##__VA_ARGS__})) - 1)
/* Calls a service with a client span and all that must go along. Nobody answers: out->status 0. out->body is the caller's. */
void shop_call_wait(struct shop_call *c, enum shop_peer to, const char *method, const char *path, struct str body,
                    struct shop_reply *out);
void shop_answer(struct shop_call *c, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void shop_answer_error(struct shop_call *c, int status, const char *message);
bool shop_body(struct shop_call *c, struct shop_order *out); /* false: answered with 400; its correlation id wins */
/* A call without a request: what a service does by itself. */
void shop_call_begin(struct shop *s, struct shop_call *c, const char *name, enum emit_span_kind kind,
                     const char *correlation);
void shop_call_end(struct shop_call *c);
void shop_make_id(char out[17]);

extern const struct shop_route gateway_routes[], order_routes[], payment_routes[], inventory_routes[],
    notification_routes[];
err order_open(struct shop *s); /* its tables */
/* One session of a customer, by the mix of scenarios. */
void traffic_session_wait(struct shop *s);
void traffic_stats(uint64_t *out_sent, uint64_t *out_failed);

/* A cache of texts that live for a time: in the process, or a Redis. Threads: any. Values: at most 4 KiB. */
struct shop_cache;
err shop_cache_new(const char *url, struct shop_cache **out);
void shop_cache_free(struct shop_cache *c);
bool shop_cache_get_wait(struct shop_cache *c, const char *key, char out[64]); /* false: not there, or no answer */
void shop_cache_set_wait(struct shop_cache *c, const char *key, const char *value, int64_t ttl_ms);
