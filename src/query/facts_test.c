/* What resources tell of services, over both stores. */
#include "query/facts.h"

#include "query/world_test_priv.h"
#include "signal/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct str any = {NULL, 0};
#define NOON ((int64_t)28800000 * 60 * 1000000000)

static struct world w;
static struct query q;
static struct query_facts_answer found;

static void stored(void *context, err e) {
    ASSERT_OK(e);
    *(bool *)context = true;
}

/* One span at `time` of a resource with these attributes: "key=value key=value". */
static void send(const char *attributes, int64_t time) {
    struct buf body;
    struct str rest = str_of(attributes), one, key, value;
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX, .now = time};
    struct otlp_result result = {0};
    bool done = false;
    buf_init(&body, 1 << 20);
    buf_add_text(&body, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    for (bool more = rest.n > 0, first = true; more; first = false) {
        more = str_cut(rest, ' ', &one, &rest);
        assert_true(str_cut(one, '=', &key, &value));
        buf_add_fmt(&body, "%s{\"key\":\"" STR_FMT "\",\"value\":{\"stringValue\":\"" STR_FMT "\"}}", first ? "" : ",",
                    STR_ARG(key), STR_ARG(value));
    }
    buf_add_fmt(
        &body,
        "]},\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":"
        "\"0123456789abcdef\",\"name\":\"a\",\"startTimeUnixNano\":\"%lld\",\"endTimeUnixNano\":\"%lld\"}]}]}]}",
        (long long)time, (long long)time + 1);
    ASSERT_OK(otlp_decode_json(d, SIGNAL_SPANS, buf_str(&body), &limits, &result));
    ASSERT_OK(store_append(w.store, STR("default"), result.blob, stored, &done));
    while (!done && store_pump(w.store, 0)) continue;
    assert_true(done);
    otlp_decoder_free(d);
    buf_done(&body);
}

static void ask(struct str environment) {
    world_query(&w, &q);
    ASSERT_OK(query_facts(&q, NOON - 1000, NOON + 1000, environment, &found));
}

static void drop(void) {
    query_end(&q);
    world_close(&w);
}

static void facts_are_collected_by_service(void **state) {
    (void)state;
    world_open(&w, 1);
    send("service.name=cart service.version=1.0 telemetry.sdk.language=go service.instance.id=a", NOON);
    send("service.name=cart service.version=1.1 telemetry.sdk.language=go service.instance.id=b", NOON + 1);
    send("service.name=cart service.version=1.0 service.instance.id=a host.name=h", NOON + 2);
    world_shake(&w);
    send("service.name=cart service.namespace=shop k8s.pod.name=p", NOON + 3);
    send("service.name=cart deployment.environment.name=prod host.name=h", NOON + 4);
    send("", NOON + 5);
    send("service.name=far", NOON + (int64_t)72 * 3600 * 1000000000);
    ask(any);
    assert_true(found.n >= 4); /* that which is far may be told, as it may share what is looked at */
    const struct query_service_facts *f = found.services;
    assert_true(str_equal(f[0].environment, STR("default")) && str_equal(f[0].name, STR("cart")) && !f[0].space.n);
    assert_true(str_equal(f[0].language, STR("go")));
    assert_int_equal(f[0].version_count, 2);
    assert_true(str_equal(f[0].versions[0], STR("1.0")) && str_equal(f[0].versions[1], STR("1.1")));
    assert_int_equal(f[0].instances, 2);
    assert_true(f[0].signals[SIGNAL_SPANS] && !f[0].signals[SIGNAL_LOGS]);
    const struct query_service_facts *unknown = &f[found.n - 3];
    assert_true(str_equal(unknown->name, STR("unknown_service")));
    assert_int_equal(unknown->instances, 0);
    assert_true(str_equal(f[found.n - 2].space, STR("shop")));
    assert_int_equal(f[found.n - 2].instances, 1);
    assert_true(str_equal(f[found.n - 1].environment, STR("prod")));
    assert_false(found.instances_cut);
    query_end(&q);
    ask(STR("prod"));
    assert_int_equal(found.n, 1);
    assert_int_equal(found.services[0].instances, 1);
    drop();
}

static void many_versions_are_cut(void **state) {
    (void)state;
    char text[64];
    world_open(&w, 2);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "service.name=a service.version=%d host.name=h%d", i, i % 7);
        send(text, NOON + i);
    }
    ask(any);
    assert_int_equal(found.n, 1);
    assert_int_equal(found.services[0].version_count, QUERY_FACTS_VERSIONS_MAX);
    assert_true(found.services[0].versions_cut);
    assert_int_equal(found.services[0].instances, 7);
    drop();
}

static void a_range_that_ends_before_it_starts_is_refused(void **state) {
    (void)state;
    world_open(&w, 3);
    world_query(&w, &q);
    err e = query_facts(&q, 1, 0, any, &found);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    drop();
}

static void little_memory_ends_it(void **state) {
    (void)state;
    char text[200];
    world_open(&w, 4);
    for (int i = 0; i < 200; i++) {
        snprintf(text, sizeof text, "service.name=service-%d-%0100d host.name=h", i, i);
        send(text, NOON + i);
    }
    world_query(&w, &q);
    q.arena.limit_bytes = 8 << 10;
    err e = query_facts(&q, NOON - 1000, NOON + 1000, any, &found);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    drop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_are_collected_by_service),
        cmocka_unit_test(many_versions_are_cut),
        cmocka_unit_test(a_range_that_ends_before_it_starts_is_refused),
        cmocka_unit_test(little_memory_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
