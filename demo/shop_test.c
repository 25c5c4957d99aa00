/* The shop in one process, on a clock that does not wait: bodies, faults, what an order leaves behind, a replay by its seed. */
#include "town.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/json.h"
#include "os/clock.h"
#include "os/sim/sim.h"
#include "signal/metrics/points_decode.h"

/* ---- bodies --------------------------------------------------------------------------------------------------------- */

static void reads(const char *body, const char *error) {
    struct shop_order o;
    err e = shop_order_read(str_of(body), &o);
    if (error ? !e || !strstr(err_text(e), error) : e != NULL) fail_msg("%s: %s", body, err_text(e));
    err_free(e);
}

static void orders_are_taken_or_told_why_not(void **state) {
    (void)state;
    AUTO_BUF struct buf many;
    buf_init(&many, MIB);
    reads("{\"customerId\":\"c\",\"items\":[{\"productId\":1,\"quantity\":2,\"x\":[]}],\"more\":{\"a\":[1]}}", NULL);
    reads("{}", NULL);
    reads("", "an object");
    reads("[]", "an object");
    reads("{\"items\":{}}", "items: must be an array");
    reads("{\"items\":[1]}", "items: must be objects");
    reads("{\"items\":[{\"productId\":1}]}", "a productId and a quantity");
    reads("{\"items\":[{\"productId\":0,\"quantity\":1}]}", "out of its range");
    reads("{\"items\":[{\"productId\":1,\"quantity\":99999999}]}", "out of its range");
    reads("{\"items\":[{\"productId\":\"1\",\"quantity\":1}]}", "is none");
    reads("{\"customerId\":5}", "customerId: must be a text");
    reads("{\"a\":[[[[[[[[[[]]]]]]]]]]}", "at byte");
    reads("{} {}", "at byte");
    buf_add_text(&many, "{\"items\":[");
    for (int i = 0; i <= SHOP_ITEMS_MAX; i++) buf_add_fmt(&many, "%s{\"productId\":1,\"quantity\":1}", i ? "," : "");
    buf_add_text(&many, "]}");
    reads(many.p, "more than 20 items");
}

static void faulty(const char *flag, const char *json, const char *error) {
    struct shop_faults a = {.latency_ms = 7}, b = {.latency_ms = 7};
    err e = shop_faults_parse(str_of(flag), &a), f = shop_faults_read(str_of(json), &b);
    if (error && (!e || !f || !strstr(err_text(e), error) || !strstr(err_text(f), error)))
        fail_msg("%s: %s; %s", flag, err_text(e), err_text(f));
    if (!error && (e || f || memcmp(&a, &b, sizeof a) != 0)) fail_msg("%s: %s; %s", flag, err_text(e), err_text(f));
    if (error) assert_true(a.latency_ms == 7 && b.latency_ms == 7); /* untouched */
    err_free(e);
    err_free(f);
}

static void faults_are_read_both_ways(void **state) {
    (void)state;
    faulty("", "{}", NULL);
    faulty("latency_ms=500, errors=0.25,down=payment-service",
           "{\"latency_ms\":500,\"errors\":0.25,\"down\":\"payment-service\"}", NULL);
    faulty("leak_bytes=4096,lock_ms=3,version=2.0", "{\"leak_bytes\":4096,\"lock_ms\":3,\"version\":\"2.0\"}", NULL);
    faulty("latency_ms=-1", "{\"latency_ms\":-1}", "latency_ms: 0 to 60000");
    faulty("latency_ms=x", "{\"latency_ms\":\"x\"}", "latency_ms");
    faulty("errors=2", "{\"errors\":2}", "errors: 0 to 1");
    faulty("errors=nan", "{\"errors\":\"nan\"}", "errors");
    faulty("down=me", "{\"down\":\"me\"}", "no service");
    faulty("leak_bytes=1048577", "{\"leak_bytes\":1048577}", "leak_bytes: 0 to 1048576");
    faulty("fire=1", "{\"fire\":1}", "faults are latency_ms");
}

/* ---- the town ------------------------------------------------------------------------------------------------------- */

static struct {
    struct buf said[EMIT_KINDS]; /* OTLP/JSON, batches one behind the other */
    uint64_t rows[EMIT_KINDS], hash;
    struct town_db db;
    bool keeps;
    struct town *town;
} w;

static void take_wait(void *context, enum emit_kind kind, struct batch_blob *blob) {
    struct json_writer j;
    struct batch rows;
    struct points points;
    struct str bytes = batch_bytes(blob);
    (void)context;
    w.hash = w.hash * 31 + hash_bytes(bytes.p, bytes.n);
    json_writer_init(&j, &w.said[kind]);
    if (kind == EMIT_METRICS) {
        points_view(blob, &points);
        w.rows[kind] += points.n;
        if (w.keeps) points_write_otlp_json(&points, &j);
    } else {
        batch_view(blob, &rows);
        w.rows[kind] += rows.rows;
        if (w.keeps) otlp_write_json(&rows, &j);
    }
    batch_unref(blob);
}

static void open_town(uint64_t seed, double failure_rate) {
    sim_reset(seed);
    w.hash = 0;
    for (int k = 0; k < EMIT_KINDS; k++) {
        buf_init(&w.said[k], 64 * MIB);
        w.rows[k] = 0;
    }
    town_db_make(&w.db);
    assert_null(town_new(
        &(struct town_options){.sink = {take_wait, NULL}, .db = w.db.path, .failure_rate = failure_rate}, &w.town));
}

static void close_town(void) {
    town_free(w.town);
    for (int k = 0; k < EMIT_KINDS; k++) buf_done(&w.said[k]);
    town_db_remove(&w.db);
}

static int ask(enum shop_peer to, const char *method, const char *path, const char *body, const char *part) {
    struct shop_reply answer;
    town_ask_wait(w.town, to,
                  &(struct shop_request){.method = str_of(method),
                                         .path = str_of(path),
                                         .body = str_of(body),
                                         .query = STR(""),
                                         .traceparent = STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                                         .baggage = STR("user=ana"),
                                         .correlation = STR("mine-7")},
                  &answer);
    if (!strstr(answer.body.p ? answer.body.p : "", part)) fail_msg("%s %s: %s", method, path, answer.body.p);
    buf_done(&answer.body);
    return answer.status;
}

static size_t count(enum emit_kind kind, const char *part) {
    size_t n = 0;
    for (const char *p = w.said[kind].p ? w.said[kind].p : ""; (p = strstr(p, part)); p += strlen(part)) n++;
    return n;
}

static const char order[] =
    "{\"customerId\":\"c\",\"items\":[{\"productId\":1,\"quantity\":2},{\"productId\":2,\"quantity\":1}]}";

static void an_order_leaves_one_trace_and_a_link(void **state) {
    (void)state;
    w.keeps = true;
    open_town(1, 0);
    assert_int_equal(ask(SHOP_GATEWAY, "POST", "/api/orders", order, "\"status\":\"completed\",\"totalAmount\":339.97"),
                     201);
    assert_int_equal(ask(SHOP_GATEWAY, "GET", "/api/orders", "", "\"correlationId\":\"mine-7\""), 200);
    town_tell_wait(w.town);
    size_t spans = w.rows[EMIT_SPANS], trace = count(EMIT_SPANS, "\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\"");
    /* What is told later is in another trace; its first span links to the order's. */
    assert_int_equal(count(EMIT_SPANS, "\"links\":[{\"traceId\":\"4bf92f3577b34da6a3ce929d0e0e4736\""), 1);
    assert_int_equal(spans - (trace - 1),
                     7); /* send-notification, HTTP POST, POST /send, send-notification, and three channels */
    assert_int_equal(count(EMIT_SPANS, "{\"key\":\"correlation_id\",\"value\":{\"stringValue\":\"mine-7\"}}"), spans);
    assert_int_equal(count(EMIT_LOGS, "{\"key\":\"correlation_id\",\"value\":{\"stringValue\":\"mine-7\"}}"),
                     w.rows[EMIT_LOGS]);
    assert_int_equal(count(EMIT_LOGS, "\"traceId\":\""), w.rows[EMIT_LOGS]);
    for (int s = 0; s < SHOP_TRAFFIC; s++) {
        char part[100];
        snprintf(part, sizeof part, "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"%s\"}}", shop_names[s]);
        assert_int_not_equal(count(EMIT_SPANS, part), 0);
        assert_int_not_equal(count(EMIT_METRICS, part), 0);
    }
    static const char *const names[] = {"insert order",    "calculate-total",  "check-item-stock", "process-payment",
                                        "db-query-orders", "POST /api/orders", "send-sms"};
    for (size_t i = 0; i < LENGTH(names); i++) assert_int_not_equal(count(EMIT_SPANS, names[i]), 0);
    close_town();
}

static void bad_requests_are_told(void **state) {
    (void)state;
    open_town(2, 0);
    assert_int_equal(ask(SHOP_GATEWAY, "POST", "/api/orders", "{", "Invalid request body"), 400);
    assert_int_equal(ask(SHOP_GATEWAY, "POST", "/api/orders", "{}", "an order has items"), 400);
    assert_int_equal(ask(SHOP_GATEWAY, "PUT", "/api/orders", "", "Method not allowed"), 405);
    assert_int_equal(ask(SHOP_GATEWAY, "GET", "/etc/passwd", "", "Not found"), 404);
    assert_int_equal(ask(SHOP_GATEWAY, "POST", "/faults", "{\"errors\":7}", "errors: 0 to 1"), 400);
    assert_int_equal(
        ask(SHOP_GATEWAY, "POST", "/api/orders", "{\"items\":[{\"productId\":99,\"quantity\":1}]}", "Insufficient"),
        409);
    close_town();
}

static int64_t order_takes(int status) {
    int64_t from = clock_monotonic_ns();
    assert_int_equal(ask(SHOP_GATEWAY, "POST", "/api/orders", order, ""), status);
    return (clock_monotonic_ns() - from) / SHOP_MS;
}

static void faults_do_what_they_say(void **state) {
    (void)state;
    w.keeps = true;
    open_town(3, 0);
    assert_in_range(order_takes(201), 50, 3000);
    assert_int_equal(ask(SHOP_INVENTORY, "POST", "/faults", "{\"latency_ms\":20000}", "20000"), 200);
    assert_in_range(order_takes(201), 20000, 24000);
    assert_int_equal(ask(SHOP_INVENTORY, "POST", "/faults", "{\"errors\":1}", "\"latency_ms\":0"), 200);
    order_takes(409); /* as upstream: any answer but 200 */
    assert_int_equal(ask(SHOP_INVENTORY, "POST", "/faults", "{\"leak_bytes\":4096}", "4096"), 200);
    order_takes(201);
    assert_int_equal(ask(SHOP_INVENTORY, "POST", "/faults", "{}", "\"errors\":0"), 200);
    assert_int_equal(ask(SHOP_ORDER, "POST", "/faults", "{\"down\":\"payment-service\"}", "payment"), 200);
    order_takes(402);
    assert_int_equal(ask(SHOP_ORDER, "POST", "/faults", "{\"down\":\"inventory-service\"}", "inventory"), 200);
    order_takes(503);
    assert_int_equal(ask(SHOP_ORDER, "POST", "/faults", "{\"version\":\"2.0\",\"errors\":1}", "2.0"), 200);
    order_takes(500);
    assert_int_equal(ask(SHOP_ORDER, "GET", "/health", "", "\"version\":\"2.0\""), 200);
    assert_int_equal(ask(SHOP_ORDER, "POST", "/faults", "{}", ""), 200);
    order_takes(201);
    town_tell_wait(w.town);
    assert_int_not_equal(count(EMIT_SPANS, "{\"key\":\"service.version\",\"value\":{\"stringValue\":\"2.0\"}}"), 0);
    assert_int_not_equal(count(EMIT_SPANS, "\"name\":\"exception\""), 0);
    for (int i = 0; i < 3 * SHOP_VERSIONS_MAX; i++) { /* those before have ended */
        char body[40];
        snprintf(body, sizeof body, "{\"version\":\"v%d\"}", i);
        assert_int_equal(ask(SHOP_PAYMENT, "POST", "/faults", body, "version"), 200);
    }
    close_town();
}

static void correlation_ids_are_kept_only_if_they_can_be(void **state) {
    (void)state;
    char large[SHOP_ID_BYTES + 2];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = 0;
    const struct {
        const char *field, *baggage;
        bool kept;
    } cases[] = {{"a b", "", true},   {"", "correlation_id=of%20baggage", true},
                 {"", "", false},     {"a\r\nb: c", "", false},
                 {"\xff", "", false}, {large, "", false}};
    open_town(4, 0);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct shop_reply answer;
        const char *wanted = *cases[i].field ? cases[i].field : "of baggage";
        town_ask_wait(w.town, SHOP_GATEWAY,
                      &(struct shop_request){.method = STR("GET"),
                                             .path = STR("/api/products"),
                                             .query = STR(""),
                                             .body = STR(""),
                                             .baggage = str_of(cases[i].baggage),
                                             .correlation = str_of(cases[i].field)},
                      &answer);
        assert_int_equal(answer.status, 200);
        bool kept = !strcmp(answer.correlation, wanted);
        if (kept != cases[i].kept || (!kept && !str_starts_with(str_of(answer.correlation), STR("shop-"))))
            fail_msg("%zu: %s", i, answer.correlation);
        buf_done(&answer.body);
    }
    close_town();
}

/* ---- time ------------------------------------------------------------------------------------------------------------- */

static uint64_t run_for(uint64_t seed, int64_t minutes, uint64_t *out_spans) {
    w.keeps = false;
    open_town(seed, -1);
    int64_t from = clock_wall_ns();
    town_run_wait(w.town, 2, minutes * 60000 * SHOP_MS);
    assert_true(clock_wall_ns() - from >= (minutes * 60000 - 1000) * SHOP_MS);
    *out_spans = w.rows[EMIT_SPANS];
    uint64_t hash = w.hash;
    close_town();
    return hash;
}

static void a_seed_replays_all_of_it(void **state) {
    (void)state;
    uint64_t spans, again, other, hash = run_for(7, 10, &spans);
    assert_in_range(spans, 3000, 30000);
    assert_true(run_for(7, 10, &again) == hash && again == spans);
    assert_true(run_for(8, 10, &other) != hash);
}

static void what_is_cached_has_its_time(void **state) {
    (void)state;
    struct shop_cache *c = NULL;
    char out[64], key[32];
    sim_reset(1);
    assert_null(shop_cache_new(NULL, &c));
    shop_cache_set_wait(c, "a", "1", 1000);
    assert_true(shop_cache_get_wait(c, "a", out) && !strcmp(out, "1"));
    shop_cache_set_wait(c, "a", "2", 1000);
    assert_true(shop_cache_get_wait(c, "a", out) && !strcmp(out, "2"));
    sim_clock_advance(1000 * SHOP_MS);
    assert_false(shop_cache_get_wait(c, "a", out));
    for (int i = 0; i < 5000; i++) { /* the first to end goes */
        snprintf(key, sizeof key, "k%d", i);
        shop_cache_set_wait(c, key, "x", 1000000 + i);
    }
    assert_false(shop_cache_get_wait(c, "k0", out));
    assert_true(shop_cache_get_wait(c, "k4999", out));
    shop_cache_set_wait(c, "k4999", "", 0);
    assert_false(shop_cache_get_wait(c, "k4999", out));
    shop_cache_free(c);
    err e = shop_cache_new("http://x", &c);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
}

/* shop_test MINUTES: how long that takes, and what comes of it. */
static int run_long(const char *minutes) {
    uint64_t spans;
    run_for(1, strtoll(minutes, NULL, 10), &spans);
    printf("%llu spans\n", (unsigned long long)spans);
    return 0;
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_taken_or_told_why_not),
        cmocka_unit_test(faults_are_read_both_ways),
        cmocka_unit_test(an_order_leaves_one_trace_and_a_link),
        cmocka_unit_test(bad_requests_are_told),
        cmocka_unit_test(faults_do_what_they_say),
        cmocka_unit_test(correlation_ids_are_kept_only_if_they_can_be),
        cmocka_unit_test(a_seed_replays_all_of_it),
        cmocka_unit_test(what_is_cached_has_its_time),
    };
    return argc > 1 ? run_long(argv[1]) : cmocka_run_group_tests(tests, NULL, NULL);
}
