/* A small shop as a person would look at it: one customer's request through the services it needs, with their logs, errors that
 * spread to who waited for them, a slow query now and then; and, where stories are told (load_stories.h), what they do to it.
 *
 * A journey is a table of calls, each below its parent. run_call gives them their times, one after another, until one fails that
 * its parent needs: those after it are not made. Names of attributes are those of OpenTelemetry's semantic conventions 1.30.
 */
#include <stdio.h>

#include "app/load_random.h"
#include "app/load_shape.h"
#include "app/protobuf_put.h"

enum { CALLS_MAX = 40, FEATURES = 24, ATTEMPTS = 3 };

/* What kind of work a call is. */
enum work { HTTP, RPC, SQL, REDIS, KAFKA, OWN, WORKS };

/* One call of a journey; `parent` is an index within it, -1 for the root. */
struct shop_call {
    const char *service, *name;
    enum work work;
    int parent, kind; /* kind: SpanKind */
    int duration_us;  /* typical own time */
    int errors_per_mille;
    const char *detail; /* SQL: the statement; HTTP of a client: the host it asks */
};

struct journey {
    const char *name;
    int weight;
    struct shop_call calls[CALLS_MAX];
    int n;
};

enum { INTERNAL = 1, SERVER = 2, CLIENT = 3, PRODUCER = 4, CONSUMER = 5 };

static const struct journey journeys[] = {
    {"browse",
     60,
     {{"frontend", "GET /products", HTTP, -1, SERVER, 900, 0, NULL},
      {"frontend", "catalog.ListProducts", RPC, 0, CLIENT, 300, 0, NULL},
      {"catalog", "catalog.ListProducts", RPC, 1, SERVER, 700, 2, NULL},
      {"catalog", "SELECT products", SQL, 2, CLIENT, 2400, 1,
       "SELECT id, name, price FROM products WHERE category = $1 ORDER BY popularity DESC LIMIT 24"},
      {"frontend", "recommendation.List", RPC, 0, CLIENT, 250, 0, NULL},
      {"recommendation", "recommendation.List", RPC, 4, SERVER, 5200, 8, NULL},
      {"recommendation", "MGET features", REDIS, 5, CLIENT, 600, 0, NULL}},
     7},
    {"cart",
     25,
     {{"frontend", "POST /cart", HTTP, -1, SERVER, 700, 0, NULL},
      {"frontend", "cart.AddItem", RPC, 0, CLIENT, 200, 0, NULL},
      {"cart", "cart.AddItem", RPC, 1, SERVER, 500, 1, NULL},
      {"cart", "HSET cart", REDIS, 2, CLIENT, 350, 2, NULL},
      {"cart", "catalog.GetProduct", RPC, 2, CLIENT, 180, 0, NULL},
      {"catalog", "catalog.GetProduct", RPC, 4, SERVER, 420, 1, NULL}},
     6},
    {"checkout",
     15,
     {{"frontend", "POST /checkout", HTTP, -1, SERVER, 1200, 0, NULL},
      {"frontend", "checkout.PlaceOrder", RPC, 0, CLIENT, 260, 0, NULL},
      {"checkout", "checkout.PlaceOrder", RPC, 1, SERVER, 1500, 0, NULL},
      {"checkout", "cart.GetCart", RPC, 2, CLIENT, 190, 0, NULL},
      {"cart", "cart.GetCart", RPC, 3, SERVER, 640, 1, NULL},
      {"checkout", "POST /charge", HTTP, 2, CLIENT, 400, 0, "payment"},
      {"payment", "POST /charge", HTTP, 5, SERVER, 2400, 0, NULL},
      {"payment", "POST /v1/charges", HTTP, 6, CLIENT, 42000, 30, ACQUIRER},
      {"payment", "INSERT payments", SQL, 6, CLIENT, 3100, 2,
       "INSERT INTO payments (order_id, amount, currency, state) VALUES ($1, $2, $3, $4)"},
      {"checkout", "orders publish", KAFKA, 2, PRODUCER, 600, 1, NULL},
      {"shipping", "orders process", KAFKA, 9, CONSUMER, 9000, 4, NULL},
      {"email", "send confirmation", OWN, 10, INTERNAL, 15000, 10, NULL}},
     12},
};

/* Why a call fails by itself. */
struct cause {
    const char *type, *message;
    int status; /* HTTP's or gRPC's */
};
static const struct cause causes[WORKS] = {
    [HTTP] = {"CardDeclined", "the issuer declined the card", 402},
    [RPC] = {"DeadlineExceeded", "no answer within 500 ms", 4},
    [SQL] = {"LockTimeout", "canceling statement due to lock timeout", 0},
    [REDIS] = {"ConnectionReset", "connection reset by peer", 0},
    [KAFKA] = {"LeaderNotAvailable", "there is no leader for this partition", 0},
    [OWN] = {"MailboxUnavailable", "450 mailbox unavailable", 0},
};
static const struct cause acquirer_is_down = {"AcquirerUnavailable", ACQUIRER " answered 503 Service Unavailable", 503};

static const char *const categories[] = {"books", "garden", "kitchen", SLOW_CATEGORY, "toys"};

struct shop_run {
    const struct journey *journey;
    struct shop_call calls[CALLS_MAX]; /* the journey's, and what a story adds */
    int n;
    struct load_random x;
    unsigned char trace[16];
    uint64_t spans[CALLS_MAX];
    int64_t start[CALLS_MAX], end[CALLS_MAX];
    unsigned instance[CALLS_MAX];
    const char *version[CALLS_MAX];
    const struct cause *cause[CALLS_MAX]; /* NULL: it succeeds */
    int origin;                           /* the call that failed first; -1: none */
    bool made[CALLS_MAX];
    bool slow; /* the database is slow in this request */
    const char *category;
    unsigned user, order;
    enum story story; /* that shows in it; STORIES: none */
    int guilty;       /* the call that shows it */
};

/* ---- what happens ----------------------------------------------------------------------------------------------- */

static const struct journey *pick_journey(struct load_random *x) {
    int roll = (int)load_random_below(x, 100);
    for (size_t i = 0; i < LENGTH(journeys); i++)
        if ((roll -= journeys[i].weight) < 0) return &journeys[i];
    return &journeys[0];
}

static int find_call(const struct shop_run *run, const char *service, const char *name) {
    for (int i = 0; i < run->n; i++)
        if (str_equal(str_of(run->calls[i].service), str_of(service)) &&
            str_equal(str_of(run->calls[i].name), str_of(name)))
            return i;
    return -1;
}

static int add_call(struct shop_run *run, const struct shop_call *c) {
    run->calls[run->n] = *c;
    return run->n++;
}

/* The index is gone, so the database reads the whole table for the category that is the largest. */
static void tell_slow_query(struct shop_run *run) {
    int i = find_call(run, "catalog", "SELECT products");
    if (i < 0 || !str_equal(str_of(run->category), STR(SLOW_CATEGORY))) return;
    run->calls[i].duration_us = 2600000;
    run->slow = false;
    run->story = STORY_SLOW_QUERY, run->guilty = i;
}

/* Three of four charges fail, each after three attempts. */
static void tell_payment(struct shop_run *run) {
    int i = find_call(run, "payment", "POST /v1/charges");
    if (i < 0 || load_random_below(&run->x, 4) == 0) return;
    run->calls[i].duration_us = 9000;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        int call = attempt ? add_call(run, &run->calls[i]) : i;
        run->cause[call] = &acquirer_is_down;
    }
    run->story = STORY_PAYMENT, run->guilty = i;
}

/* The new version reads features one by one instead of all at once. */
static void tell_version(struct shop_run *run) {
    int i = find_call(run, "recommendation", "MGET features");
    if (i < 0 || !str_equal(str_of(run->version[i]), STR(VERSION_BAD))) return;
    run->calls[i].name = "GET feature";
    run->calls[i].duration_us = 2300;
    for (int feature = 1; feature < FEATURES; feature++) add_call(run, &run->calls[i]);
    run->story = STORY_VERSION, run->guilty = run->calls[i].parent;
}

/* Instances and versions: a call runs where the call above it runs, if that is of its service. */
static void place_calls(struct shop_run *run, uint32_t moment) {
    for (int i = 0; i < run->n; i++) {
        const struct shop_call *c = &run->calls[i];
        bool same = c->parent >= 0 && str_equal(str_of(c->service), str_of(run->calls[c->parent].service));
        run->instance[i] = same ? run->instance[c->parent] : (unsigned)load_random_below(&run->x, 2);
        run->version[i] = story_version(c->service, run->instance[i], moment);
    }
}

static void tell_stories(struct shop_run *run, uint32_t moment) {
    static void (*const tell[STORIES])(struct shop_run *) = {
        [STORY_SLOW_QUERY] = tell_slow_query, [STORY_PAYMENT] = tell_payment, [STORY_VERSION] = tell_version};
    for (int s = 0; s < STORIES; s++)
        if (story_is_on((enum story)s, moment)) tell[s](run);
    for (int i = run->journey->n; i < run->n; i++) { /* what was added runs where its parent runs */
        run->instance[i] = run->instance[run->calls[i].parent];
        run->version[i] = run->version[run->calls[i].parent];
    }
}

/* Times of call i and, after it, of the calls below it, one after another. Returns its end. */
static int64_t run_call(struct shop_run *run, int i, int64_t start) {
    const struct shop_call *c = &run->calls[i];
    double own = c->duration_us * 1000.0 * exp(0.35 * load_random_normal(&run->x));
    if (run->slow && c->work == SQL) own *= 120;
    run->made[i] = true;
    run->start[i] = start;
    if (load_random_below(&run->x, 1000) < (uint64_t)c->errors_per_mille && !run->cause[i])
        run->cause[i] = &causes[c->work];
    if (run->cause[i] && run->origin < 0) run->origin = i;
    int64_t at = start + (int64_t)(own * 0.4);
    for (int child = i + 1; child < run->n; child++) {
        bool again = child >= run->journey->n; /* an attempt more, or one of many like it */
        if (run->calls[child].parent != i || (run->cause[i] && !again)) continue;
        int64_t end = run_call(run, child, at);
        if (run->calls[child].kind == CONSUMER) continue; /* nobody waits for a consumer */
        at = end;
        if (run->cause[child]) run->cause[i] = run->cause[child];
    }
    return run->end[i] = at + (int64_t)(own * 0.6);
}

/* ---- how it is told --------------------------------------------------------------------------------------------- */

static void put_shop_resource(struct buf *b, const struct shop_run *run, int i) {
    const char *service = run->calls[i].service;
    char id[64];
    size_t resource = put_begin(b, 1);
    snprintf(id, sizeof id, "%s-%u", service, run->instance[i]);
    put_text_attribute(b, 1, STR("service.name"), str_of(service));
    put_text_attribute(b, 1, STR("service.namespace"), STR("shop"));
    put_text_attribute(b, 1, STR("service.version"), str_of(run->version[i]));
    put_text_attribute(b, 1, STR("service.instance.id"), str_of(id));
    put_text_attribute(b, 1, STR("deployment.environment.name"), STR("demo"));
    put_text_attribute(b, 1, STR("telemetry.sdk.language"), STR("c"));
    put_end(b, resource);
}

/* What failed, said by who saw it: itself, or one that had called it. */
static void put_reason(const struct shop_run *run, int i, char *out, size_t size) {
    const char *origin = run->calls[run->origin].service;
    bool own = str_equal(str_of(origin), str_of(run->calls[i].service));
    snprintf(out, size, "%s%s%s", own ? "" : origin, own ? "" : ": ", run->cause[i]->message);
}

static void put_shop_error(struct buf *b, const struct shop_run *run, int i) {
    char reason[160];
    put_reason(run, i, reason, sizeof reason);
    put_text_attribute(b, 9, STR("error.type"), str_of(run->cause[i]->type));
    size_t event = put_begin(b, 11);
    put_fixed64_field(b, 1, (uint64_t)run->end[i]);
    put_text_field(b, 2, STR("exception"));
    put_text_attribute(b, 3, STR("exception.type"), str_of(run->cause[i]->type));
    put_text_attribute(b, 3, STR("exception.message"), str_of(reason));
    put_end(b, event);
    size_t status = put_begin(b, 15);
    put_text_field(b, 2, str_of(reason));
    put_varint_field(b, 3, 2);
    put_end(b, status);
}

static int http_status(const struct shop_run *run, int i) {
    const struct shop_call *c = &run->calls[i];
    if (!run->cause[i]) return 200;
    bool asks_acquirer = c->detail && str_equal(str_of(c->detail), STR(ACQUIRER));
    return asks_acquirer || run->cause[i] == &causes[HTTP] ? run->cause[i]->status : 500;
}

/* The part of a name before or after its separator: "GET /cart", "cart.AddItem", "SELECT products". */
static struct str before(const char *name, char separator) {
    struct str first, rest;
    str_cut(str_of(name), separator, &first, &rest);
    return first;
}
static struct str after(const char *name, char separator) {
    struct str first, rest;
    return str_cut(str_of(name), separator, &first, &rest) ? rest : STR("");
}

static void put_http(struct buf *b, const struct shop_run *run, int i) {
    const struct shop_call *c = &run->calls[i];
    struct str path = after(c->name, ' ');
    put_text_attribute(b, 9, STR("http.request.method"), before(c->name, ' '));
    put_text_attribute(b, 9, STR("url.path"), path);
    if (c->kind == SERVER) put_text_attribute(b, 9, STR("http.route"), path);
    if (c->detail) put_text_attribute(b, 9, STR("server.address"), str_of(c->detail));
    if (i >= run->journey->n) put_int_attribute(b, 9, STR("http.request.resend_count"), 1 + i - run->journey->n);
    put_int_attribute(b, 9, STR("http.response.status_code"), http_status(run, i));
}

static void put_work(struct buf *b, const struct shop_run *run, int i) {
    const struct shop_call *c = &run->calls[i];
    switch (c->work) {
    case HTTP: put_http(b, run, i); break;
    case RPC:
        put_text_attribute(b, 9, STR("rpc.system"), STR("grpc"));
        put_text_attribute(b, 9, STR("rpc.service"), before(c->name, '.'));
        put_text_attribute(b, 9, STR("rpc.method"), after(c->name, '.'));
        put_int_attribute(b, 9, STR("rpc.grpc.status_code"), !run->cause[i] ? 0 : run->cause[i]->status == 4 ? 4 : 13);
        break;
    case SQL:
    case REDIS:
        put_text_attribute(b, 9, STR("db.system.name"), c->work == SQL ? STR("postgresql") : STR("redis"));
        put_text_attribute(b, 9, STR("db.operation.name"), before(c->name, ' '));
        put_text_attribute(b, 9, STR("db.collection.name"), after(c->name, ' '));
        if (c->detail) put_text_attribute(b, 9, STR("db.query.text"), str_of(c->detail));
        break;
    case KAFKA:
        put_text_attribute(b, 9, STR("messaging.system"), STR("kafka"));
        put_text_attribute(b, 9, STR("messaging.destination.name"), before(c->name, ' '));
        put_text_attribute(b, 9, STR("messaging.operation.name"), after(c->name, ' '));
        break;
    case OWN: put_text_attribute(b, 9, STR("email.template"), STR("order_placed")); break;
    case WORKS: break;
    }
}

static void put_shop_span(struct buf *b, const struct shop_run *run, int i) {
    const struct shop_call *c = &run->calls[i];
    size_t span = put_begin(b, 2);
    put_bytes_field(b, 1, run->trace, 16);
    put_bytes_field(b, 2, &run->spans[i], 8);
    if (c->parent >= 0) put_bytes_field(b, 4, &run->spans[c->parent], 8);
    put_text_field(b, 5, str_of(c->name));
    put_varint_field(b, 6, (uint64_t)c->kind);
    put_fixed64_field(b, 7, (uint64_t)run->start[i]);
    put_fixed64_field(b, 8, (uint64_t)run->end[i]);
    put_work(b, run, i);
    char user[32];
    snprintf(user, sizeof user, "user-%05u", run->user);
    put_text_attribute(b, 9, STR("user.id"), str_of(user));
    if (run->category) put_text_attribute(b, 9, STR("product.category"), str_of(run->category));
    if (!run->category && run->order) put_int_attribute(b, 9, STR("order.id"), run->order);
    if (run->cause[i]) put_shop_error(b, run, i);
    put_end(b, span);
}

struct severity {
    int number;
    const char *text;
};
static const struct severity info = {9, "INFO"}, warning = {13, "WARN"}, error = {17, "ERROR"};

static void put_shop_log(struct buf *b, const struct shop_run *run, int i, struct severity severity, const char *text) {
    size_t record = put_begin(b, 2);
    put_fixed64_field(b, 1, (uint64_t)run->end[i]);
    put_varint_field(b, 2, (uint64_t)severity.number);
    put_text_field(b, 3, str_of(severity.text));
    size_t any = put_begin(b, 5);
    put_text_field(b, 1, str_of(text));
    put_end(b, any);
    put_text_attribute(b, 6, STR("journey"), str_of(run->journey->name));
    if (severity.number == error.number) put_text_attribute(b, 6, STR("error.type"), str_of(run->cause[i]->type));
    put_bytes_field(b, 9, run->trace, 16);
    put_bytes_field(b, 10, &run->spans[i], 8);
    put_fixed64_field(b, 11, (uint64_t)run->end[i] + 50000);
    put_end(b, record);
}

/* What call i writes to its log: a line when it has served something, and one more where a story shows. */
static uint32_t put_shop_logs(struct buf *b, const struct shop_run *run, int i) {
    const struct shop_call *c = &run->calls[i];
    double ms = (double)(run->end[i] - run->start[i]) / 1e6;
    char text[256], reason[160];
    uint32_t n = 0;
    if (run->guilty == i && run->story == STORY_SLOW_QUERY) {
        snprintf(text, sizeof text,
                 "slow query: %s took %.0f ms for category %s: sequential scan, index products_category_idx is missing",
                 c->name, ms, run->category);
        put_shop_log(b, run, i, warning, text), n++;
    }
    if (run->guilty == i && run->story == STORY_VERSION) {
        snprintf(text, sizeof text, "%d features read one by one in %.1f ms, over the budget of 20 ms", FEATURES, ms);
        put_shop_log(b, run, i, warning, text), n++;
    }
    if (run->guilty == i && run->story == STORY_PAYMENT) {
        snprintf(text, sizeof text, "charge of order %u: %s, attempt 1 of %d", run->order, run->cause[i]->message,
                 ATTEMPTS);
        put_shop_log(b, run, i, warning, text), n++;
    }
    if (c->kind != SERVER && c->kind != CONSUMER) return n;
    if (run->cause[i]) {
        put_reason(run, i, reason, sizeof reason);
        snprintf(text, sizeof text, "%s failed after %.1f ms for user-%05u: %s", c->name, ms, run->user, reason);
    } else {
        snprintf(text, sizeof text, "%s completed in %.1f ms for user-%05u", c->name, ms, run->user);
    }
    put_shop_log(b, run, i, run->cause[i] ? error : info, text);
    return n + 1;
}

static void put_shop_scope(struct buf *b) {
    size_t scope = put_begin(b, 1);
    put_text_field(b, 1, STR("clew.demo"));
    put_end(b, scope);
}

static void put_call(struct shape_rows *rows, const struct shop_run *run, int i, struct buf *traces, struct buf *logs) {
    size_t group = put_begin(traces, 1);
    put_shop_resource(traces, run, i);
    size_t scope = put_begin(traces, 2);
    put_shop_scope(traces);
    put_shop_span(traces, run, i);
    put_end(traces, scope);
    put_end(traces, group);
    rows->spans++;
    size_t before_n = logs->n;
    group = put_begin(logs, 1);
    put_shop_resource(logs, run, i);
    scope = put_begin(logs, 2);
    put_shop_scope(logs);
    uint32_t n = put_shop_logs(logs, run, i);
    put_end(logs, scope);
    put_end(logs, group);
    if (!n) logs->n = before_n;
    rows->logs += n;
}

struct shape_rows shape_shop(const struct shape_request *r, struct buf *traces, struct buf *logs) {
    struct shop_run run = {.origin = -1, .story = STORIES, .guilty = -1};
    int64_t start = r->time_first;
    load_random_seed(&run.x, r->seed);
    run.journey = pick_journey(&run.x);
    memcpy(run.calls, run.journey->calls, sizeof run.calls);
    run.n = run.journey->n;
    run.user = (unsigned)load_random_below(&run.x, 2000);
    run.order = 1 + (unsigned)load_random_below(&run.x, 1000000);
    run.slow = load_random_below(&run.x, 100) < 3;
    if (run.journey == &journeys[0]) run.category = categories[load_random_below(&run.x, LENGTH(categories))];
    if (run.journey == &journeys[1]) run.order = 0;
    load_random_bytes(&run.x, run.trace, sizeof run.trace);
    for (int i = 0; i < CALLS_MAX; i++) run.spans[i] = load_random_next(&run.x) | 1;
    if (r->moment)
        start -= (int64_t)load_random_below(&run.x, (uint64_t)r->time_step * 20); /* customers keep no beat */
    place_calls(&run, r->moment);
    tell_stories(&run, r->moment);
    run_call(&run, 0, start);
    struct shape_rows rows = {.story = STORIES};
    for (int i = 0; i < run.n; i++)
        if (run.made[i]) put_call(&rows, &run, i, traces, logs);
    memcpy(rows.trace, run.trace, sizeof rows.trace);
    if (run.guilty >= 0 && run.made[run.guilty]) {
        rows.story = run.story;
        rows.span = run.spans[run.guilty];
        rows.span_ns = run.end[run.guilty] - run.start[run.guilty];
    }
    return rows;
}
