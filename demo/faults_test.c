/* What fails in the shop, measured in its telemetry: the rates that are built in, over thousands of requests; the mix of what customers do; each
 * fault, set while it runs and by flag, and ended. On the simulated clock, by seeds. */
#include "town.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "os/clock.h"
#include "os/sim/sim.h"
#include "signal/metrics/points_decode.h"
#include "signal/otlp.h"

#define SIGMAS 4.5 /* seeds are fixed, so this never fails by chance; a rate that is wrong by a third does */

/* ---- what is counted -------------------------------------------------------------------------------------------------- */

enum { SPAN_SERVER = 2, SPAN_CLIENT = 3, STATUS_ERROR = 2 };

/* Spans of one service and name; with an attribute, or with an error. */
static struct count {
    const char *service, *name, *attribute, *value; /* attribute NULL: no second condition */
    uint64_t all, those, errors;
    double ms, ms_max; /* of all together; the longest */
} counts[] = {
    {"payment-service", "process-payment", "payment_status", "declined"},
    {"payment-service", "process-payment", "slow_payment", "true"},
    {"inventory-service", "check-inventory", "error.type", "unavailable"},
    {"notification-service", "send-email", "error.type", "delivery_failed"},
    {"notification-service", "send-sms", "error.type", "delivery_failed"},
    {"notification-service", "send-push", "error.type", "delivery_failed"},
    {"order-service", "db-query-orders", "slow_query", "true"},
    {"order-service", "HTTP POST", "error.type", "connection_error"},
    {"payment-service", "POST /process", "error.type", "internal_error"},
    {"inventory-service", "POST /check", NULL, NULL},
    {"order-service", "POST /orders", "error.type", "internal_error"},
    {"traffic-generator", "request-list-products", NULL, NULL},
    {"traffic-generator", "request-list-orders", NULL, NULL},
    {"traffic-generator", "request-create-order", NULL, NULL},
    {"traffic-generator", "browse-session", NULL, NULL},
    {"traffic-generator", "generate-request", NULL, NULL},
};
enum {
    PAYMENTS,
    SLOW_PAYMENTS,
    CHECKS,
    EMAILS,
    SMS,
    PUSHES,
    LISTS,
    CALLS,
    PAYMENT_SERVER,
    INVENTORY_SERVER,
    ORDER_SERVER,
    MIX_PRODUCTS,
    MIX_LISTS,
    MIX_ORDERS,
    MIX_BROWSES,
    MIX_SESSIONS
};

static struct {
    struct town *town;
    struct town_db db;
    uint64_t by_version[2], errors_by_version[2]; /* server spans of order-service, 1.0.0 and 1.1.0 */
    double memory_bytes;                          /* of inventory-service, as it was told last */
    double waited_s, waits;                       /* for the lock of payment-service: so far */
    struct buf metric_names;                      /* lines: a service and a name */
    bool keeps_names;
} w;

static void count_span(const struct batch *b, uint32_t row) {
    uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row);
    struct str service = batch_attribute_text(b, SET_RESOURCES, resource, STR("service.name"));
    struct str name = batch_text(b, SET_ROWS, FIELD_NAME, row);
    bool failed = batch_u32(b, SET_ROWS, FIELD_STATUS, row) == STATUS_ERROR;
    double ms = (double)(int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, row) / 1e6;
    for (struct count *c = counts; c < counts + LENGTH(counts); c++) {
        if (!str_equal(service, str_of(c->service)) || !str_equal(name, str_of(c->name))) continue;
        c->all++;
        c->errors += failed;
        c->ms += ms;
        c->ms_max = MAX(c->ms_max, ms);
        c->those +=
            c->attribute && str_equal(batch_attribute_text(b, SET_ROWS, row, str_of(c->attribute)), str_of(c->value));
    }
    if (!str_equal(service, STR("order-service")) || batch_u32(b, SET_ROWS, FIELD_KIND, row) != SPAN_SERVER) return;
    bool is_new = str_equal(batch_attribute_text(b, SET_RESOURCES, resource, STR("service.version")), STR("1.1.0"));
    w.by_version[is_new]++;
    w.errors_by_version[is_new] += failed;
}

static void count_point(const struct points *p, uint32_t i) {
    const struct points_metric *m = &p->metrics[p->series[point_series(p, i)].metric];
    struct str name = points_string(p, m->name), of = points_string(p, p->resources[m->resource].attributes);
    double v;
    uint64_t bits = point_value(p, i);
    memcpy(&v, &bits, sizeof v);
    for (int k = 0; k < SHOP_SERVICES && w.keeps_names; k++)
        if (memmem(of.p, of.n, shop_names[k], strlen(shop_names[k])))
            buf_add_fmt(&w.metric_names, "%s " STR_FMT "\n", shop_names[k], STR_ARG(name));
    bool inventory = memmem(of.p, of.n, "inventory-service", 17), payment = memmem(of.p, of.n, "payment-service", 15);
    if (inventory && str_equal(name, STR("process.memory.usage"))) w.memory_bytes = v;
    if (!payment || !str_equal(name, STR("shop.lock.wait.duration"))) return;
    w.waits = (double)p->histograms[bits].count;
    memcpy(&w.waited_s, &p->histograms[bits].sum, sizeof w.waited_s);
}

static void take_wait(void *context, enum emit_kind kind, struct batch_blob *blob) {
    struct batch rows;
    struct points points;
    (void)context;
    if (kind == EMIT_METRICS) {
        points_view(blob, &points);
        for (uint32_t i = 0; i < points.n; i++) count_point(&points, i);
    } else {
        batch_view(blob, &rows);
        for (uint32_t i = 0; i < rows.rows && kind == EMIT_SPANS; i++) count_span(&rows, i);
    }
    batch_unref(blob);
}

static void forget_counts(void) {
    for (struct count *c = counts; c < counts + LENGTH(counts); c++)
        *c = (struct count){c->service, c->name, c->attribute, c->value};
    memset(w.by_version, 0, sizeof w.by_version);
    memset(w.errors_by_version, 0, sizeof w.errors_by_version);
}

static void open_town(uint64_t seed, double failure_rate, enum shop_peer faulty, const char *faults) {
    struct town_options o = {.sink = {take_wait, NULL}, .failure_rate = failure_rate, .faulty = faulty};
    sim_reset(seed);
    town_db_make(&w.db);
    o.db = w.db.path;
    buf_init(&w.metric_names, MIB);
    assert_null(shop_faults_parse(str_of(faults), &o.faults));
    assert_null(town_new(&o, &w.town));
    forget_counts();
}

static void close_town(void) {
    town_free(w.town);
    town_db_remove(&w.db);
    buf_done(&w.metric_names);
}

/* ---- customers ---------------------------------------------------------------------------------------------------------- */

static const char order[] = "{\"customerId\":\"c\",\"items\":[{\"productId\":3,\"quantity\":1}]}";

static int ask(enum shop_peer to, const char *method, const char *path, const char *body) {
    struct shop_reply answer;
    town_ask_wait(w.town, to,
                  &(struct shop_request){.method = str_of(method), .path = str_of(path), .body = str_of(body)},
                  &answer);
    buf_done(&answer.body);
    return answer.status;
}

static void set_faults(enum shop_peer of, const char *json) { assert_int_equal(ask(of, "POST", "/faults", json), 200); }

/* ---- rates over thousands of requests ------------------------------------------------------------------------------------- */

static void within(const char *what, uint64_t those, uint64_t all, double rate) {
    double mean = (double)all * rate, sigma = sqrt(mean * (1 - rate));
    if (fabs((double)those - mean) > SIGMAS * sigma)
        fail_msg("%s: %llu of %llu, by %.3f it is %.0f, one sigma %.1f", what, (unsigned long long)those,
                 (unsigned long long)all, rate, mean, sigma);
}

static const struct rate {
    const char *what;
    int count;
    double rate;
} rates[] = {{"payments declined", PAYMENTS, 0.05},
             {"slow payments", SLOW_PAYMENTS, 0.1},
             {"stock checks", CHECKS, 0.03},
             {"e-mails", EMAILS, 0.02},
             {"SMS", SMS, 0.05},
             {"pushes", PUSHES, 0},
             {"slow queries", LISTS, 0.1}};

/* Of payments only those that are not declined may be slow. */
static uint64_t trials(const struct rate *r) {
    return counts[r->count].all - (r->count == SLOW_PAYMENTS ? counts[PAYMENTS].those : 0);
}

static void faults_have_their_rates_over_5000_requests(void **state) {
    enum { SEEDS = 3, ORDERS = 5700, ASKED = 5100 };
    uint64_t those[LENGTH(rates)] = {0}, all[LENGTH(rates)] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t answers[600] = {0};
        open_town(seed, -1, SHOP_SERVICES, "");
        for (int i = 0; i < ORDERS; i++) {
            answers[ask(SHOP_GATEWAY, "POST", "/api/orders", order)]++;
            if (i < ASKED) answers[ask(SHOP_GATEWAY, "GET", "/api/orders", "")]++;
            if (i % 100 == 0) town_tell_wait(w.town);
        }
        town_tell_wait(w.town);
        for (size_t i = 0; i < LENGTH(rates); i++) {
            assert_true(trials(&rates[i]) >= 5000);
            within(rates[i].what, counts[rates[i].count].those, trials(&rates[i]), rates[i].rate);
            those[i] += counts[rates[i].count].those;
            all[i] += trials(&rates[i]);
        }
        /* what customers are told is what telemetry shows */
        assert_int_equal(answers[402], counts[PAYMENTS].those);
        assert_int_equal(answers[409], counts[CHECKS].those);
        assert_int_equal(answers[201], counts[PAYMENTS].all - counts[PAYMENTS].those);
        assert_int_equal(answers[201] + answers[402] + answers[409], ORDERS);
        assert_int_equal(answers[200], ASKED);
        close_town();
    }
    for (size_t i = 0; i < LENGTH(rates); i++) {
        within(rates[i].what, those[i], all[i], rates[i].rate);
        print_message("%s: %llu of %llu, %.4f by %.2f\n", rates[i].what, (unsigned long long)those[i],
                      (unsigned long long)all[i], (double)those[i] / (double)all[i], rates[i].rate);
    }
}

/* 20, 10, 10 and 10 parts of what this shop has of the reference's mix: 0.4 and 0.2. */
static void customers_do_what_the_mix_says(void **state) {
    (void)state;
    open_town(5, 0, SHOP_SERVICES, "");
    town_run_wait(w.town, 20, 250000 * SHOP_MS);
    town_settle_wait(w.town);
    town_tell_wait(w.town);
    struct town_stats stats = town_get_stats(w.town);
    uint64_t sessions = counts[MIX_SESSIONS].all, browses = counts[MIX_BROWSES].all;
    assert_int_equal(stats.customers, 5000);
    assert_int_equal(sessions, 5000);
    assert_int_equal(stats.skipped, 0);
    assert_in_range(stats.at_once_max, 5, TOWN_CUSTOMERS_MAX); /* not one after another */
    within("orders", counts[MIX_ORDERS].all, sessions, 0.2);
    within("lists of orders", counts[MIX_LISTS].all, sessions, 0.2);
    within("browsing", browses, sessions, 0.2);
    uint64_t alone = sessions - browses - counts[MIX_ORDERS].all - counts[MIX_LISTS].all;
    double looks = (double)(counts[MIX_PRODUCTS].all - alone) / (double)browses; /* 2 to 5: 3.5, sigma 1.118 */
    assert_true(fabs(looks - 3.5) < SIGMAS * 1.118 / sqrt((double)browses));
    double ms = counts[MIX_BROWSES].ms / (double)browses; /* 2.5 pauses of 100 to 400 ms, and the calls */
    assert_true(ms > 2.5 * 250 - 30 && ms < 2.5 * 250 + 60);
    close_town();
}

static void each_service_tells_its_metrics(void **state) {
    static const struct {
        enum shop_peer from, to;
        const char *name;
    } names[] = {{SHOP_GATEWAY, SHOP_NOTIFICATION, "http.server.request.duration"},
                 {SHOP_GATEWAY, SHOP_NOTIFICATION, "http.server.request.total"},
                 {SHOP_GATEWAY, SHOP_NOTIFICATION, "http.server.active_requests"},
                 {SHOP_GATEWAY, SHOP_GATEWAY, "http.server.error.total"},
                 {SHOP_ORDER, SHOP_ORDER, "db.query.duration"},
                 {SHOP_ORDER, SHOP_ORDER, "db.client.operation.duration"},
                 {SHOP_ORDER, SHOP_ORDER, "orders.created.total"},
                 {SHOP_GATEWAY, SHOP_TRAFFIC, "process.memory.usage"},
                 {SHOP_GATEWAY, SHOP_TRAFFIC, "process.uptime"},
                 {SHOP_GATEWAY, SHOP_TRAFFIC, "shop.queue.length"}};
    (void)state;
    open_town(6, -1, SHOP_GATEWAY, "errors=0.3");
    w.keeps_names = true;
    town_run_wait(w.town, 5, 60000 * SHOP_MS);
    for (size_t i = 0; i < LENGTH(names); i++)
        for (int k = names[i].from; k <= (int)names[i].to; k++) {
            char line[100];
            snprintf(line, sizeof line, "%s %s\n", shop_names[k], names[i].name);
            if (!strstr(w.metric_names.p, line)) fail_msg("no %s", line);
        }
    w.keeps_names = false;
    close_town();
}

/* ---- each fault ------------------------------------------------------------------------------------------------------------ */

enum phase { START, BEFORE, DURING, AFTER }; /* start: nothing was told yet */

static void check_latency(enum phase phase, uint64_t orders) {
    const struct count *c = &counts[PAYMENT_SERVER];
    assert_int_equal(c->all, orders);
    if (!orders) return;
    double ms = c->ms / (double)c->all;
    if (phase == DURING ? ms < 2000 || ms > 3000 : ms > 700) fail_msg("%.0f ms", ms);
}

static void check_errors(enum phase phase, uint64_t orders) {
    const struct count *c = &counts[PAYMENT_SERVER];
    assert_int_equal(c->all, orders);
    within("errors", c->those, c->all, phase == DURING ? 0.5 : 0);
    assert_int_equal(c->errors, c->those);
}

/* It stays: only a new process forgets what was leaked. */
static void check_leak(enum phase phase, uint64_t orders) {
    static double before;
    if (phase == START || phase == BEFORE) town_tell_wait(w.town), before = w.memory_bytes;
    double wanted = phase == START || phase == BEFORE ? before : before + (double)orders * 65536;
    if (fabs(w.memory_bytes - wanted) > 1) fail_msg("%.0f bytes, not %.0f", w.memory_bytes, wanted);
}

/* Orders come faster than the lock is free. */
static void check_lock(enum phase phase, uint64_t orders) {
    static double waited_s, waits;
    if (phase == START) w.waited_s = w.waits = 0;
    const struct count *c = &counts[PAYMENT_SERVER];
    if (phase == DURING) {
        assert_true(w.waits - waits == (double)orders);
        assert_true(w.waited_s - waited_s > 0.5 * 0.4 * (double)orders); /* each behind many others */
        assert_true(c->ms_max > 0.3 * 400 * (double)orders);
    } else {
        assert_true(w.waits == waits || phase != AFTER);
        assert_true(c->ms_max < 2000);
    }
    waited_s = w.waited_s, waits = w.waits;
}

static void check_down(enum phase phase, uint64_t orders) {
    assert_int_equal(counts[CALLS].those, phase == DURING ? orders : 0);
    assert_int_equal(counts[PAYMENT_SERVER].all, phase == DURING ? 0 : orders);
    assert_int_equal(counts[INVENTORY_SERVER].all, orders); /* the other is there */
}

static void check_deploy(enum phase phase, uint64_t orders) {
    bool is_new = phase == DURING;
    assert_int_equal(w.by_version[is_new], orders);
    assert_int_equal(w.by_version[!is_new], 0);
    within("errors of the new version", w.errors_by_version[1], w.by_version[1], 0.4);
    assert_int_equal(w.errors_by_version[0], 0);
}

static const struct fault {
    enum shop_peer of;
    const char *json, *flag;
    void (*check)(enum phase phase, uint64_t orders);
} faults[] = {
    {SHOP_PAYMENT, "{\"latency_ms\":2000}", "latency_ms=2000", check_latency},
    {SHOP_PAYMENT, "{\"errors\":0.5}", "errors=0.5", check_errors},
    {SHOP_INVENTORY, "{\"leak_bytes\":65536}", "leak_bytes=65536", check_leak},
    {SHOP_PAYMENT, "{\"lock_ms\":400}", "lock_ms=400", check_lock},
    {SHOP_ORDER, "{\"down\":\"payment-service\"}", "down=payment-service", check_down},
    {SHOP_ORDER, "{\"version\":\"1.1.0\",\"errors\":0.4}", "version=1.1.0,errors=0.4", check_deploy},
};

/* Orders alone, ten a second. */
static void be_buyer(void *context) {
    struct shop_reply answer;
    (void)context;
    town_serve_wait(w.town, SHOP_GATEWAY,
                    &(struct shop_request){.method = STR("POST"), .path = STR("/api/orders"), .body = str_of(order)},
                    &answer);
    buf_done(&answer.body);
}

static void sell(const struct fault *f, enum phase phase) {
    enum { ORDERS = 200 };
    for (int i = 0; i < ORDERS; i++) {
        sim_task_start(be_buyer, NULL);
        town_pass_wait(100 * SHOP_MS);
    }
    town_settle_wait(w.town);
    town_tell_wait(w.town);
    f->check(phase, ORDERS);
    forget_counts();
}

static void each_fault_is_seen_in_telemetry_until_it_ends(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(faults); i++) {
        const struct fault *f = &faults[i];
        print_message("%s\n", f->flag);
        open_town(10 + i, 0, SHOP_SERVICES, ""); /* while it runs */
        town_tell_wait(w.town);
        sell(f, BEFORE);
        set_faults(f->of, f->json);
        sell(f, DURING);
        set_faults(f->of, "{}");
        sell(f, AFTER);
        close_town();
        open_town(20 + i, 0, f->of, f->flag); /* by flag, from the start */
        f->check(START, 0);
        sell(f, DURING);
        set_faults(f->of, "{}");
        sell(f, AFTER);
        close_town();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(faults_have_their_rates_over_5000_requests),
        cmocka_unit_test(customers_do_what_the_mix_says),
        cmocka_unit_test(each_service_tells_its_metrics),
        cmocka_unit_test(each_fault_is_seen_in_telemetry_until_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
