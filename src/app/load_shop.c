/* A small shop as a person would look at it: one customer's request through the services it needs, with their logs, errors
 * that spread to the caller, a slow query now and then, and a new version of one service half of the time. */
#include <stdio.h>

#include "app/load_random.h"
#include "app/load_shape.h"
#include "app/protobuf_put.h"

enum { CALLS_MAX = 16 };

/* One step of a story; `parent` is an index within the story, -1 for the root. */
struct shop_call {
    const char *service, *name, *kind_key, *kind_value; /* one attribute that says what kind of work it is */
    int parent, kind;                                   /* kind: SpanKind */
    int duration_us;                                    /* typical own time */
    int errors_per_mille;
};

struct shop_story {
    const char *name;
    int weight;
    struct shop_call calls[CALLS_MAX];
    int n;
};

enum { INTERNAL = 1, SERVER = 2, CLIENT = 3, PRODUCER = 4, CONSUMER = 5 };

static const struct shop_story stories[] = {
    {"browse",
     60,
     {{"frontend", "GET /products", "http.request.method", "GET", -1, SERVER, 900, 0},
      {"frontend", "catalog.ListProducts", "rpc.system", "grpc", 0, CLIENT, 300, 0},
      {"catalog", "catalog.ListProducts", "rpc.system", "grpc", 1, SERVER, 700, 2},
      {"catalog", "SELECT products", "db.system", "postgresql", 2, CLIENT, 2400, 1},
      {"frontend", "recommendation.List", "rpc.system", "grpc", 0, CLIENT, 250, 0},
      {"recommendation", "recommendation.List", "rpc.system", "grpc", 4, SERVER, 5200, 8}},
     6},
    {"cart",
     25,
     {{"frontend", "POST /cart", "http.request.method", "POST", -1, SERVER, 700, 0},
      {"frontend", "cart.AddItem", "rpc.system", "grpc", 0, CLIENT, 200, 0},
      {"cart", "cart.AddItem", "rpc.system", "grpc", 1, SERVER, 500, 1},
      {"cart", "HSET cart", "db.system", "redis", 2, CLIENT, 350, 2},
      {"cart", "catalog.GetProduct", "rpc.system", "grpc", 2, CLIENT, 180, 0},
      {"catalog", "catalog.GetProduct", "rpc.system", "grpc", 4, SERVER, 420, 1}},
     6},
    {"checkout",
     15,
     {{"frontend", "POST /checkout", "http.request.method", "POST", -1, SERVER, 1200, 0},
      {"frontend", "checkout.PlaceOrder", "rpc.system", "grpc", 0, CLIENT, 260, 0},
      {"checkout", "checkout.PlaceOrder", "rpc.system", "grpc", 1, SERVER, 1500, 0},
      {"checkout", "cart.GetCart", "rpc.system", "grpc", 2, CLIENT, 190, 0},
      {"cart", "cart.GetCart", "rpc.system", "grpc", 3, SERVER, 640, 1},
      {"checkout", "POST /charge", "http.request.method", "POST", 2, CLIENT, 400, 0},
      {"payment", "POST /charge", "http.request.method", "POST", 5, SERVER, 42000, 30},
      {"payment", "INSERT payments", "db.system", "postgresql", 6, CLIENT, 3100, 2},
      {"checkout", "orders publish", "messaging.system", "kafka", 2, PRODUCER, 600, 1},
      {"shipping", "orders process", "messaging.system", "kafka", 8, CONSUMER, 9000, 4},
      {"email", "send confirmation", "email.template", "order_placed", 9, INTERNAL, 15000, 10}},
     11},
};

struct shop_run {
    const struct shop_story *story;
    struct load_random x;
    unsigned char trace[16];
    uint64_t spans[CALLS_MAX];
    int64_t start[CALLS_MAX], end[CALLS_MAX];
    bool error[CALLS_MAX];
    bool slow; /* the database is slow in this request */
    unsigned user, order;
};

static const struct shop_story *pick_story(struct load_random *x) {
    int roll = (int)load_random_below(x, 100);
    for (size_t i = 0; i < LENGTH(stories); i++)
        if ((roll -= stories[i].weight) < 0) return &stories[i];
    return &stories[0];
}

/* Times of call i and, after it, of the calls below it, one after another. Returns its end. */
static int64_t run_call(struct shop_run *run, int i, int64_t start) {
    const struct shop_call *c = &run->story->calls[i];
    double own = c->duration_us * 1000.0 * exp(0.35 * load_random_normal(&run->x));
    if (run->slow && str_equal(str_of(c->kind_value), STR("postgresql"))) own *= 120;
    run->start[i] = start;
    run->error[i] = load_random_below(&run->x, 1000) < (uint64_t)c->errors_per_mille;
    int64_t at = start + (int64_t)(own * 0.4);
    for (int child = i + 1; child < run->story->n; child++) {
        if (run->story->calls[child].parent != i) continue;
        int64_t end = run_call(run, child, at);
        if (run->story->calls[child].kind != CONSUMER) at = end; /* nobody waits for a consumer */
        run->error[i] |= run->error[child] && run->story->calls[child].kind != CONSUMER;
    }
    return run->end[i] = at + (int64_t)(own * 0.6);
}

static void put_shop_resource(struct buf *b, const char *service, unsigned instance) {
    char id[64];
    size_t resource = put_begin(b, 1);
    snprintf(id, sizeof id, "%s-%u", service, instance);
    put_text_attribute(b, 1, STR("service.name"), str_of(service));
    put_text_attribute(b, 1, STR("service.namespace"), STR("shop"));
    bool canary = str_equal(str_of(service), STR("payment")) && instance == 1;
    put_text_attribute(b, 1, STR("service.version"), canary ? STR("1.5.0") : STR("1.4.2"));
    put_text_attribute(b, 1, STR("service.instance.id"), str_of(id));
    put_text_attribute(b, 1, STR("deployment.environment.name"), STR("demo"));
    put_text_attribute(b, 1, STR("telemetry.sdk.language"), STR("c"));
    put_end(b, resource);
}

static void put_shop_error(struct buf *b, const struct shop_run *run, int i) {
    size_t event = put_begin(b, 11);
    put_fixed64_field(b, 1, (uint64_t)run->end[i]);
    put_text_field(b, 2, STR("exception"));
    put_text_attribute(b, 3, STR("exception.type"), STR("UpstreamError"));
    put_text_attribute(b, 3, STR("exception.message"), STR("the call did not succeed"));
    put_end(b, event);
    size_t status = put_begin(b, 15);
    put_text_field(b, 2, STR("the call did not succeed"));
    put_varint_field(b, 3, 2);
    put_end(b, status);
}

static void put_shop_span(struct buf *b, struct shop_run *run, int i) {
    const struct shop_call *c = &run->story->calls[i];
    size_t span = put_begin(b, 2);
    put_bytes_field(b, 1, run->trace, 16);
    put_bytes_field(b, 2, &run->spans[i], 8);
    if (c->parent >= 0) put_bytes_field(b, 4, &run->spans[c->parent], 8);
    put_text_field(b, 5, str_of(c->name));
    put_varint_field(b, 6, (uint64_t)c->kind);
    put_fixed64_field(b, 7, (uint64_t)run->start[i]);
    put_fixed64_field(b, 8, (uint64_t)run->end[i]);
    put_text_attribute(b, 9, str_of(c->kind_key), str_of(c->kind_value));
    char user[32];
    snprintf(user, sizeof user, "user-%05u", run->user);
    put_text_attribute(b, 9, STR("user.id"), str_of(user));
    if (c->kind == SERVER && str_equal(str_of(c->kind_key), STR("http.request.method")))
        put_int_attribute(b, 9, STR("http.response.status_code"), run->error[i] ? 500 : 200);
    if (str_equal(str_of(run->story->name), STR("checkout"))) put_int_attribute(b, 9, STR("order.id"), run->order);
    if (run->error[i]) put_shop_error(b, run, i);
    put_end(b, span);
}

static void put_shop_log(struct buf *b, const struct shop_run *run, int i) {
    const struct shop_call *c = &run->story->calls[i];
    char text[192];
    double ms = (double)(run->end[i] - run->start[i]) / 1e6;
    if (run->error[i])
        snprintf(text, sizeof text, "%s failed after %.1f ms for user-%05u: the call did not succeed", c->name, ms,
                 run->user);
    else
        snprintf(text, sizeof text, "%s completed in %.1f ms for user-%05u", c->name, ms, run->user);
    size_t record = put_begin(b, 2);
    put_fixed64_field(b, 1, (uint64_t)run->end[i]);
    put_varint_field(b, 2, run->error[i] ? 17 : 9);
    put_text_field(b, 3, run->error[i] ? STR("ERROR") : STR("INFO"));
    size_t any = put_begin(b, 5);
    put_text_field(b, 1, str_of(text));
    put_end(b, any);
    put_text_attribute(b, 6, STR("story"), str_of(run->story->name));
    put_bytes_field(b, 9, run->trace, 16);
    put_bytes_field(b, 10, &run->spans[i], 8);
    put_fixed64_field(b, 11, (uint64_t)run->end[i] + 50000);
    put_end(b, record);
}

static void put_shop_scope(struct buf *b) {
    size_t scope = put_begin(b, 1);
    put_text_field(b, 1, STR("clew.demo"));
    put_end(b, scope);
}

struct shape_rows shape_shop(const struct shape_request *r, struct buf *traces, struct buf *logs) {
    struct shop_run run = {0};
    load_random_seed(&run.x, r->seed);
    run.story = pick_story(&run.x);
    run.user = (unsigned)load_random_below(&run.x, 2000);
    run.order = (unsigned)load_random_below(&run.x, 1000000);
    run.slow = load_random_below(&run.x, 100) < 3;
    load_random_bytes(&run.x, run.trace, sizeof run.trace);
    for (int i = 0; i < run.story->n; i++) run.spans[i] = load_random_next(&run.x) | 1;
    run_call(&run, 0, r->time_first);
    struct shape_rows rows = {0};
    for (int i = 0; i < run.story->n; i++) {
        const struct shop_call *c = &run.story->calls[i];
        unsigned instance = (unsigned)load_random_below(&run.x, 2);
        size_t group = put_begin(traces, 1);
        put_shop_resource(traces, c->service, instance);
        size_t scope = put_begin(traces, 2);
        put_shop_scope(traces);
        put_shop_span(traces, &run, i);
        put_end(traces, scope);
        put_end(traces, group);
        rows.spans++;
        if (c->kind != SERVER && c->kind != CONSUMER) continue;
        group = put_begin(logs, 1);
        put_shop_resource(logs, c->service, instance);
        scope = put_begin(logs, 2);
        put_shop_scope(logs);
        put_shop_log(logs, &run, i);
        put_end(logs, scope);
        put_end(logs, group);
        rows.logs++;
    }
    return rows;
}
