/* Ids that arrive: where they are found, in which order, what is passed over, and that nothing else of a batch changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "ingest/correlate/correlate_priv.h"
#include "signal/otlp_edit.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"
#include "signal/testing.h"

static struct batch_blob *decode(enum signal signal, struct str json) {
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result result = {0};
    err e = otlp_decode_json(d, signal, json, &all_times, &result);
    if (e) fail_msg("%s in %.*s", err_text(e), (int)json.n, json.p);
    otlp_decoder_free(d);
    assert_non_null(result.blob);
    return result.blob;
}

static struct correlate_rules *make_rules(const char *yaml) {
    struct correlate_rules *rules = NULL;
    if (!yaml) return correlate_rules_new();
    err e = correlate_rules_parse(str_of(yaml), "rules.yaml", &rules);
    if (e) fail_msg("%s", err_text(e));
    return rules;
}

/* The ids of all rows, joined; what is sent out is the same as before. */
static void assert_ids(const char *yaml, const struct batch *from, const char *expected,
                       struct correlate_counts *counts) {
    struct correlate_rules *rules = make_rules(yaml);
    AUTO_BUF struct buf ids, before, after;
    struct buf *all[] = {&ids, &before, &after};
    struct batch to = *from;
    struct batch_blob *opened = NULL;
    for (size_t i = 0; i < LENGTH(all); i++) buf_init(all[i], 4 * MIB);
    struct batch_blob *lifted = correlate_rows(rules, from, counts);
    if (lifted) {
        err e = batch_open(batch_bytes(lifted), &opened);
        if (e) fail_msg("%s", err_text(e));
        batch_view(opened, &to);
    }
    for (uint32_t i = 0; i < to.rows; i++) {
        if (i) buf_add_byte(&ids, '|');
        buf_add_str(&ids, batch_text(&to, SET_ROWS, FIELD_CORRELATION, i));
    }
    if (!str_equal(buf_str(&ids), str_of(expected))) fail_msg("'%.*s' instead of '%s'", (int)ids.n, ids.p, expected);
    otlp_encode(from, &before);
    otlp_encode(&to, &after);
    assert_true(str_equal(buf_str(&before), buf_str(&after)));
    batch_unref(opened);
    batch_unref(lifted);
    correlate_rules_free(rules);
}

/* One span or log record with such resource and row members; it has that id, or none, from there. */
static void one(enum signal signal, const char *yaml, const char *resource, const char *row, const char *expected,
                enum correlate_source source) {
    AUTO_BUF struct buf json;
    struct correlate_counts counts = {0};
    struct batch b;
    buf_init(&json, 4 * MIB);
    bool spans = signal == SIGNAL_SPANS;
    buf_add_fmt(&json, "{\"%s\":[{\"resource\":{\"attributes\":[%s]},\"%s\":[{\"%s\":[{%s%s%s}]}]}]}",
                spans ? "resourceSpans" : "resourceLogs", resource, spans ? "scopeSpans" : "scopeLogs",
                spans ? "spans" : "logRecords",
                spans ? "\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\""
                      : "\"severityNumber\":9",
                *row ? "," : "", row);
    struct batch_blob *blob = decode(signal, buf_str(&json));
    batch_view(blob, &b);
    assert_ids(yaml, &b, expected, &counts);
    for (int i = 0; i < CORRELATE_SOURCES; i++)
        if (counts.lifted[i] != (*expected && i == (int)source))
            fail_msg("%s: %d of %s", row, (int)counts.lifted[i], correlate_source_names[i]);
    batch_unref(blob);
}
#define SPAN(resource, row, expected, source) one(SIGNAL_SPANS, NULL, resource, row, expected, source)
#define LOG(resource, row, expected, source) one(SIGNAL_LOGS, NULL, resource, row, expected, source)
#define TEXT(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define INT(key, value) "{\"key\":\"" key "\",\"value\":{\"intValue\":\"" value "\"}}"
#define LIST(key, items) "{\"key\":\"" key "\",\"value\":{\"arrayValue\":{\"values\":[" items "]}}}"
#define ITEM(value) "{\"stringValue\":\"" value "\"}"
#define WITH(list) "\"attributes\":[" list "]"
#define BODY(text) "\"body\":{\"stringValue\":\"" text "\"}"
#define MAP(list) "\"body\":{\"kvlistValue\":{\"values\":[" list "]}}"

static void ids_are_found_where_senders_put_them(void **state) {
    (void)state;
    SPAN(TEXT("correlation_id", "r-1"), "", "r-1", CORRELATE_RESOURCE);
    LOG(TEXT("correlation_id", "r-1"), "", "r-1", CORRELATE_RESOURCE);
    SPAN("", WITH(TEXT("a", "b") "," TEXT("correlation_id", "s-1")), "s-1", CORRELATE_ATTRIBUTE);
    SPAN("", WITH(TEXT("correlation.id", "s-1")), "s-1", CORRELATE_ATTRIBUTE);
    LOG("", WITH(TEXT("correlationId", "s-1")), "s-1", CORRELATE_ATTRIBUTE);
    SPAN("", WITH(TEXT("baggage", "a=b, correlation_id = x%20%2Cy ;p=1;q , c=d")), "x ,y", CORRELATE_BAGGAGE);
    SPAN("", WITH(LIST("http.request.header.baggage", ITEM("a=b") "," ITEM("correlation_id=z"))), "z",
         CORRELATE_BAGGAGE);
    LOG("", WITH(TEXT("Baggage", "correlation_id=z")), "z", CORRELATE_BAGGAGE);
    SPAN("", "\"traceState\":\"v=1, correlation_id=t%2D1 ,w=2\"", "t-1", CORRELATE_TRACESTATE);
    SPAN("", "\"traceState\":\"correlation_id=a;b\"", "a;b", CORRELATE_TRACESTATE);
    LOG("", BODY("{\\\"m\\\":\\\"paid\\\",\\\"requestId\\\":\\\"q-9\\\"}"), "q-9", CORRELATE_BODY);
    LOG("", BODY(" \\n\\t{\\\"correlation_id\\\":\\\"q\\\\u00e4\\\"}"), "q\xc3\xa4", CORRELATE_BODY);
    LOG("", MAP(TEXT("m", "paid") "," TEXT("correlationId", "k-1")), "k-1", CORRELATE_BODY);
    SPAN("", WITH(LIST("http.request.header.x-correlation-id", ITEM("h-1") "," ITEM("h-2"))), "h-1", CORRELATE_HEADER);
    SPAN("", WITH(TEXT("http.request.header.x_request_id", "h-1")), "h-1", CORRELATE_HEADER);
    LOG("", WITH(TEXT("X-Correlation-ID", "h-1")), "h-1", CORRELATE_HEADER);
    LOG("", WITH(LIST("Request_Id", ITEM("") "," ITEM("h-2"))), "h-2", CORRELATE_HEADER);
}

static void what_is_no_id_is_none(void **state) {
    (void)state;
    SPAN("", WITH(TEXT("a", "b")), "", 0);
    SPAN("", WITH(TEXT("Correlation_Id_", "x") "," TEXT("x-correlation-ids", "y")), "", 0);
    SPAN("", WITH(TEXT("correlation_id", "[redacted]") "," TEXT("baggage", "correlation_id=[redacted]")), "", 0);
    SPAN("", WITH(INT("correlation_id", "7") "," INT("x-request-id", "7")), "", 0);
    SPAN("", WITH(LIST("correlation_id", ITEM("x"))), "", 0); /* an attribute of that name is a text */
    SPAN("", WITH(LIST("x-request-id", "{\"intValue\":\"3\"}")), "", 0);
    SPAN("", WITH(TEXT("baggage", "correlation_id, correlation_id=,=x,correlation_ids=y")), "", 0);
    SPAN("", WITH(LIST("baggage", "{\"intValue\":\"3\"}")), "", 0);
    LOG("", BODY("correlation_id: x"), "", 0);
    LOG("", BODY("{\\\"a\\\":{\\\"correlation_id\\\":\\\"x\\\"}}"), "", 0);
    LOG("", BODY("{\\\"a\\\":[{\\\"correlation_id\\\":\\\"x\\\"}]}"), "", 0);
    LOG("", BODY("[{\\\"correlation_id\\\":\\\"x\\\"}]"), "", 0);
    LOG("", BODY("{\\\"correlation_id\\\":7}"), "", 0);
    LOG("", BODY("{\\\"correlation_id\\\":null,\\\"request_id\\\":[\\\"x\\\"],\\\"b\\\":\\\"x\\\"}"), "", 0);
    LOG("", BODY("{\\\"a\\\":\\\"correlation_id\\\"}"), "", 0);
    LOG("", BODY("{\\\"a\\\":\\\"correlation_id\\\",\\\"b\\\":\\\"x\\\"}"), "", 0);
    LOG("", BODY("{\\\"a\\\":[\\\"correlation_id\\\",\\\"x\\\"]}"), "", 0);
    LOG("", BODY("{\\\"correlation_id\\\":[\\\"x\\\"]}"), "", 0);
    LOG("", BODY("{\\\"correlation_id\\\":{\\\"x\\\":\\\"y\\\"}}"), "", 0);
    LOG("", BODY("{\\\"correlation_id\\\":\\\"bad \\\\q escape\\\"}"), "", 0);
    LOG("", BODY("{\\\"a\\\":\\\"\\\\\\\",\\\\\\\"correlation_id\\\\\\\":\\\\\\\"x\\\"}"), "", 0);
    LOG("", BODY("{\\\"correlation_id"), "", 0);
    LOG("", BODY("{}{\\\"correlation_id\\\":\\\"x\\\"}"), "", 0);
    LOG("", MAP("{\"key\":\"a\",\"value\":{\"kvlistValue\":{\"values\":[" TEXT("correlation_id", "x") "]}}}"), "", 0);
    LOG("", "\"body\":{\"arrayValue\":{\"values\":[" ITEM("correlation_id") "]}}", "", 0);
    LOG("", "\"body\":{\"intValue\":\"5\"}", "", 0);
}

/* Each source before the next, names in the order of their list, and an empty text counts as none. */
static void the_first_text_that_is_not_empty_wins(void **state) {
    (void)state;
    static const char all[] =
        WITH(TEXT("X-Request-Id", "header") "," TEXT("baggage", "correlation_id=baggage") "," TEXT(
            "correlation_id", "own")) ",\"traceState\":\"correlation_id=state\"";
    SPAN(TEXT("correlation_id", "resource"), all, "resource", CORRELATE_RESOURCE);
    SPAN(TEXT("correlation_id", ""), all, "own", CORRELATE_ATTRIBUTE);
    SPAN("",
         WITH(TEXT("X-Request-Id", "header") "," TEXT("baggage", "correlation_id=baggage") "," TEXT(
             "correlation_id", "")) ",\"traceState\":\"correlation_id=state\"",
         "baggage", CORRELATE_BAGGAGE);
    SPAN("",
         WITH(TEXT("X-Request-Id", "header") "," TEXT("baggage",
                                                      "correlation_id=")) ",\"traceState\":\"correlation_id=state\"",
         "state", CORRELATE_TRACESTATE);
    SPAN("", WITH(TEXT("X-Request-Id", "header")) ",\"traceState\":\"correlation_id=\"", "header", CORRELATE_HEADER);
    LOG("", WITH(TEXT("X-Request-Id", "header")) "," BODY("{\\\"requestId\\\":\\\"body\\\"}"), "body", CORRELATE_BODY);
    LOG("", WITH(TEXT("X-Request-Id", "header")) "," BODY("{\\\"requestId\\\":\\\"\\\"}"), "header", CORRELATE_HEADER);
    SPAN("", WITH(TEXT("correlationId", "third") "," TEXT("correlation.id", "second")), "second", CORRELATE_ATTRIBUTE);
    SPAN("", WITH(TEXT("correlation_id", "") "," TEXT("correlation_id", "again")), "again", CORRELATE_ATTRIBUTE);
    SPAN("", WITH(TEXT("request-id", "fourth") "," TEXT("x-request-id", "second")), "second", CORRELATE_HEADER);
    LOG("", BODY("{\\\"requestId\\\":\\\"fourth\\\",\\\"correlationId\\\":\\\"second\\\"}"), "second", CORRELATE_BODY);
    LOG("", BODY("{\\\"requestId\\\":\\\"kept\\\",broken"), "kept", CORRELATE_BODY); /* up to where it breaks */
    LOG("", MAP(TEXT("requestId", "fourth") "," TEXT("correlationId", "second")), "second", CORRELATE_BODY);
}

static void rules_say_where_to_look(void **state) {
    (void)state;
    static const char own[] = "correlation: {attributes: [order.id], baggage_keys: order, body_keys: [trace.req], "
                              "headers: [X-Order], prefix: shop}";
    one(SIGNAL_SPANS, own, "", WITH(TEXT("correlation_id", "x")), "", 0);
    one(SIGNAL_SPANS, own, "", WITH(TEXT("order.id", "o")), "o", CORRELATE_ATTRIBUTE);
    one(SIGNAL_SPANS, own, "", WITH(TEXT("baggage", "order=o")), "o", CORRELATE_BAGGAGE);
    one(SIGNAL_LOGS, own, "", BODY("{\\\"trace.req\\\":\\\"o\\\"}"), "o", CORRELATE_BODY);
    one(SIGNAL_LOGS, own, "", WITH(TEXT("http.request.header.x-order", "o")), "o", CORRELATE_HEADER);
    one(SIGNAL_LOGS, "correlation: {enabled: false}", TEXT("correlation_id", "r"), WITH(TEXT("correlation_id", "x")),
        "", 0);
    static const char numbers[] = "correlation: {numbers: true}";
    one(SIGNAL_SPANS, numbers, "", WITH(INT("correlation_id", "-7")), "-7", CORRELATE_ATTRIBUTE);
    one(SIGNAL_LOGS, numbers, "", BODY("{\\\"request_id\\\":1.5,\\\"requestId\\\":12}"), "12", CORRELATE_BODY);
    one(SIGNAL_LOGS, numbers, "", MAP(INT("request_id", "12")), "12", CORRELATE_BODY);
    static const char nested[] = "correlation: {body_nested: true}";
    one(SIGNAL_LOGS, nested, "", BODY("{\\\"a\\\":[1],\\\"b\\\":{\\\"c\\\":{\\\"requestId\\\":\\\"in\\\"}}}"), "in",
        CORRELATE_BODY);
    one(SIGNAL_LOGS, nested, "",
        MAP("{\"key\":\"a\",\"value\":{\"kvlistValue\":{\"values\":[" TEXT("request_id", "in") "]}}}"), "in",
        CORRELATE_BODY);
    one(SIGNAL_LOGS, "correlation: {body_keys: []}", "", BODY("{\\\"requestId\\\":\\\"x\\\"}"), "", 0);
    struct correlate_rules *rules = make_rules(own);
    assert_string_equal(correlate_prefix(rules), "shop");
    assert_true(correlate_derives(rules));
    correlate_rules_free(rules);
}

static void refuses(const char *yaml, const char *why) {
    struct correlate_rules *rules = NULL;
    err e = correlate_rules_parse(str_of(yaml), "c.yaml", &rules);
    if (!e) fail_msg("taken: %s", yaml);
    if (!strstr(err_text(e), why)) fail_msg("'%s' is not about '%s'", err_text(e), why);
    err_free(e);
}

static void a_wrong_file_is_refused_with_its_line(void **state) {
    (void)state;
    refuses("", "c.yaml:1: expected \"correlation:\"");
    refuses("correlation: []", "expected \"correlation:\"");
    refuses("correlation: {}\nredact: []", "c.yaml:2: expected correlation");
    refuses("correlation:\n  header: [x]", "c.yaml:2: expected enabled, attributes");
    refuses("correlation:\n  derive: maybe", "c.yaml:2");
    refuses("correlation:\n  headers: [a, '']", "c.yaml:2: expected a name of 1 to 128");
    refuses("correlation:\n  headers: {a: b}", "c.yaml:2: expected a list");
    refuses("correlation:\n  headers: [a, b, a]", "twice");
    refuses("correlation:\n  headers: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]", "more than 16 names");
    refuses("correlation:\n  prefix: 'a b'", "c.yaml:2: prefix");
    refuses("correlation:\n  prefix: ''", "c.yaml:2: prefix");
    refuses("correlation: [", "c.yaml:2: not YAML");
}

/* ---- sizes -------------------------------------------------------------------------------------------------------- */

static char *repeated(const char *before, char c, size_t n, const char *after) {
    size_t a = strlen(before), b = strlen(after);
    char *text = mem_new(a + n + b + 1);
    memcpy(text, before, a);
    memset(text + a, c, n);
    memcpy(text + a + n, after, b);
    return text;
}

static void counted(enum signal signal, const char *row, const char *expected, uint64_t too_long, uint64_t too_large) {
    struct correlate_counts counts = {0};
    struct batch b;
    bool spans = signal == SIGNAL_SPANS;
    AUTO_BUF struct buf json;
    buf_init(&json, 4 * MIB);
    buf_add_fmt(&json, "{\"%s\":[{\"%s\":[{\"%s\":[{%s%s}]}]}]}", spans ? "resourceSpans" : "resourceLogs",
                spans ? "scopeSpans" : "scopeLogs", spans ? "spans" : "logRecords",
                spans ? "\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\"," : "", row);
    struct batch_blob *blob = decode(signal, buf_str(&json));
    batch_view(blob, &b);
    assert_ids(NULL, &b, expected, &counts);
    assert_int_equal(counts.too_long, too_long);
    assert_int_equal(counts.bodies_too_large, too_large);
    batch_unref(blob);
}

static void texts_over_the_limits_are_passed_over_and_counted(void **state) {
    (void)state;
    AUTO_FREE char *fits =
        repeated("\"attributes\":[{\"key\":\"correlation_id\",\"value\":{\"stringValue\":\"", 'x', 256, "\"}}]");
    AUTO_FREE char *id = repeated("", 'x', 256, "");
    AUTO_FREE char *long_id = repeated("\"attributes\":[{\"key\":\"correlation_id\",\"value\":{\"stringValue\":\"", 'x',
                                       257, "\"}}," TEXT("x-request-id", "next") "]");
    AUTO_FREE char *long_entry = repeated(
        "\"attributes\":[{\"key\":\"baggage\",\"value\":{\"stringValue\":\"correlation_id=", 'x', 300, "\"}}]");
    AUTO_FREE char *late_entry = repeated("\"attributes\":[{\"key\":\"baggage\",\"value\":{\"stringValue\":\"a=", 'x',
                                          8190, ",correlation_id=late\"}}]");
    AUTO_FREE char *cut_entry = repeated("\"attributes\":[{\"key\":\"baggage\",\"value\":{\"stringValue\":\"a=", 'x',
                                         8170, ",correlation_id=cut in the middle\"}}]");
    AUTO_FREE char *body =
        repeated("\"body\":{\"stringValue\":\"{\\\"requestId\\\":\\\"x\\\",\\\"a\\\":\\\"", 'x', 65536, "\\\"}\"}");
    counted(SIGNAL_SPANS, fits, id, 0, 0);
    counted(SIGNAL_SPANS, long_id, "next", 1, 0);
    counted(SIGNAL_SPANS, long_entry, "", 1, 0);
    counted(SIGNAL_SPANS, late_entry, "", 0, 0);
    counted(SIGNAL_SPANS, cut_entry, "", 0, 0);
    counted(SIGNAL_LOGS, body, "", 0, 1);
}

static void ids_may_be_any_bytes(void **state) {
    (void)state;
    static const struct str ids[] = {STR("'; DROP TABLE spans; --"), STR("<script>"), STR("../../etc"),
                                     STR("\xff\xfe\0x"), STR("a\nlevel=error msg=x")};
    for (size_t i = 0; i < LENGTH(ids); i++) {
        struct batch_builder b;
        struct batch from, to;
        struct correlate_counts counts = {0};
        batch_builder_init(&b, SIGNAL_SPANS);
        uint32_t row = batch_builder_row(&b, SET_ROWS),
                 key = batch_builder_key(&b, STR("correlation_id"), VALUE_STRING);
        *vec_push(&b.slots) = strings_intern(&b.strings, ids[i]);
        batch_builder_attributes(&b, SET_ROWS, row, &key, 1, 0);
        struct batch_blob *blob = batch_builder_finish(&b);
        batch_view(blob, &from);
        struct correlate_rules *rules = correlate_rules_new();
        struct batch_blob *lifted = correlate_rows(rules, &from, &counts);
        batch_view(lifted, &to);
        assert_true(str_equal(batch_text(&to, SET_ROWS, FIELD_CORRELATION, 0), ids[i]));
        assert_int_equal(to.string_count, from.string_count); /* the attribute's own text is referred to */
        batch_unref(lifted);
        batch_unref(blob);
        batch_builder_done(&b);
        correlate_rules_free(rules);
    }
}

/* ---- against a row by row search ---------------------------------------------------------------------------------- */

static struct str naive_text(const struct batch *b, enum set s, uint32_t row, const char *const *names) {
    for (; *names; names++) {
        struct batch_attributes a = batch_attributes(b, s, row);
        for (uint32_t i = 0; i < a.n; i++) {
            const struct batch_key *k = &b->keys[a.keys[i]];
            struct str text = k->type == VALUE_STRING ? batch_string(b, (uint32_t)a.values[i]) : STR("");
            if (str_equal(batch_string(b, k->name), str_of(*names)) && text.n) return text;
        }
    }
    return STR("");
}

static void random_batches_are_as_a_search_row_by_row_says(void **state) {
    (void)state;
    static const char yaml[] = "correlation: {attributes: [x, user.id], headers: [], baggage_keys: [], body_keys: []}";
    static const char *const names[] = {"x", "user.id", NULL};
    uint32_t rows = 0, with = 0;
    struct correlate_rules *rules = make_rules(yaml);
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct chance c = {seed};
        struct batch_builder builder;
        struct correlate_counts counts = {0};
        struct batch from, to;
        struct batch_blob *opened = NULL;
        batch_builder_init(&builder, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS);
        random_batch(&c, &builder, 1 + (uint32_t)seed); /* some have ids already: they are forgotten */
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, &from);
        struct batch_blob *lifted = correlate_rows(rules, &from, &counts);
        err e = lifted ? batch_open(batch_bytes(lifted), &opened) : NULL;
        if (e) fail_msg("%s", err_text(e));
        to = from;
        if (opened) batch_view(opened, &to);
        struct batch_blob *own = batch_ref(blob);
        correlate_batch(rules, &own, &(struct correlate_counts){0});
        assert_true(str_equal(batch_bytes(own), batch_bytes(lifted ? lifted : blob)));
        batch_unref(own);
        for (uint32_t row = 0; row < to.rows; row++) {
            struct str want = naive_text(&from, SET_RESOURCES, batch_u32(&from, SET_ROWS, FIELD_RESOURCE, row), names);
            if (!want.n) want = naive_text(&from, SET_ROWS, row, names);
            assert_true(str_equal(batch_text(&to, SET_ROWS, FIELD_CORRELATION, row), want));
            rows++;
            with += want.n > 0;
        }
        batch_unref(opened);
        batch_unref(lifted);
        batch_unref(blob);
        batch_builder_done(&builder);
    }
    assert_true(with > rows / 4 && with < rows);
    correlate_rules_free(rules);
}

static void texts_say(const char *resource_key, const char *own_key, const char *own, const char *wanted,
                      enum correlate_source source) {
    struct correlate_rules *rules = correlate_rules_new();
    struct correlate_counts counts = {0};
    struct otlp_text r = {str_of(resource_key), STR("of the resource")}, o = {str_of(own_key), str_of(own)};
    AUTO_BUF struct buf id;
    buf_init(&id, KIB);
    bool found = correlate_texts(rules, &r, 1, &o, 1, &counts, &id);
    if (found != (*wanted != 0) || !str_equal(buf_str(&id), str_of(wanted)))
        fail_msg("%s, %s: " STR_FMT, resource_key, own_key, STR_ARG(buf_str(&id)));
    if (found) assert_int_equal(counts.lifted[source], 1);
    correlate_rules_free(rules);
}

static void ids_of_what_is_no_row_are_found_in_the_same_order(void **state) {
    (void)state;
    char long_id[300];
    memset(long_id, 'x', sizeof long_id - 1);
    long_id[sizeof long_id - 1] = 0;
    texts_say("correlationId", "correlation_id", "own", "of the resource", CORRELATE_RESOURCE);
    texts_say("service.name", "correlation_id", "own", "own", CORRELATE_ATTRIBUTE);
    texts_say("x-request-id", "baggage", "a=1,correlation_id=o%2D7;p=2", "o-7", CORRELATE_BAGGAGE);
    texts_say("service.name", "http.request.header.X_Request_ID", "h", "h", CORRELATE_HEADER);
    texts_say("service.name", "correlation_id", long_id, "", CORRELATE_SOURCES);
    texts_say("service.name", "user.id", "u", "", CORRELATE_SOURCES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_of_what_is_no_row_are_found_in_the_same_order),
        cmocka_unit_test(ids_are_found_where_senders_put_them),
        cmocka_unit_test(what_is_no_id_is_none),
        cmocka_unit_test(the_first_text_that_is_not_empty_wins),
        cmocka_unit_test(rules_say_where_to_look),
        cmocka_unit_test(a_wrong_file_is_refused_with_its_line),
        cmocka_unit_test(texts_over_the_limits_are_passed_over_and_counted),
        cmocka_unit_test(ids_may_be_any_bytes),
        cmocka_unit_test(random_batches_are_as_a_search_row_by_row_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
