/* What spans come to, by hand and by brute force. */
#include "ingest/rollup/rollup.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "ingest/rollup/rollup_testing_priv.h"
#include "os/clock.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"
#include "signal/testing.h"

enum { INTERNAL = 1, SERVER, CLIENT, PRODUCER, CONSUMER };

struct span {
    uint32_t kind, status;
    uint64_t id, parent;
    const char *name, *attributes; /* "a=b c=d" */
    int64_t duration;
};

/* "a=b c=#5": texts, and numbers behind #. */
static void add_attributes(struct batch_builder *b, enum set set, uint32_t row, const char *text) {
    uint32_t keys[16], n = 0, first = (uint32_t)b->slots.n;
    struct str rest = str_of(text), pair, name, value;
    while (rest.n) {
        str_cut(rest, ' ', &pair, &rest);
        assert_true(str_cut(pair, '=', &name, &value) && n < LENGTH(keys));
        bool number = str_starts_with(value, STR("#"));
        keys[n++] = batch_builder_key(b, name, number ? VALUE_INT : VALUE_STRING);
        *vec_push(&b->slots) = number ? (uint64_t)(value.p[1] - '0') : strings_intern(&b->strings, value);
    }
    batch_builder_attributes(b, set, row, keys, n, first);
}

static struct batch_blob *batch_of(const char *resource, const struct span *spans, size_t n) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    uint32_t scope = batch_builder_row(&b, SET_SCOPES), r = batch_builder_row(&b, SET_RESOURCES);
    add_attributes(&b, SET_RESOURCES, r, resource);
    for (size_t i = 0; i < n; i++) {
        uint32_t row = batch_builder_row(&b, SET_ROWS);
        batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, row, "0123456789abcdef");
        batch_builder_set_u64(&b, SET_ROWS, FIELD_SPAN_ID, row, spans[i].id);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_PARENT_ID, row, spans[i].parent);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, 100);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_DURATION, row, (uint64_t)spans[i].duration);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_KIND, row, spans[i].kind);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_STATUS, row, spans[i].status);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_RESOURCE, row, r);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_SCOPE, row, scope);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_NAME, row, strings_intern(&b.strings, str_of(spans[i].name)));
        add_attributes(&b, SET_ROWS, row, spans[i].attributes ? spans[i].attributes : "");
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void run_on(const struct batch *b, const uint32_t *rows, uint32_t n, struct written_sink *w) {
    struct rollup_function f = rollup_of_spans();
    f.run(f.context, b, rows, n, &w->sink);
}

static void comes_to(const char *resource, struct span span, const char *lines) {
    AUTO_BUF struct buf text;
    struct written_sink w;
    struct batch b;
    struct batch_blob *blob = batch_of(resource, &span, 1);
    buf_init(&text, MIB);
    batch_view(blob, &b);
    written_init(&w, &text);
    run_on(&b, NULL, 1, &w);
    if (!str_equal(buf_str(&text), str_of(lines))) fail_msg("got:\n%.*swanted:\n%s", (int)text.n, text.p, lines);
    written_done(&w);
    batch_unref(blob);
}

static const char web[] = "service.name=web service.namespace=eu deployment.environment.name=prod";

static void a_span_is_a_call_of_its_operation(void **state) {
    (void)state;
    comes_to(web, (struct span){INTERNAL, 0, 1, 0, "work", NULL, 5},
             "spans prod|eu|web|work| 1 0 100+5\n"
             "parent 1 prod|eu|web\n");
    comes_to(web, (struct span){INTERNAL, 2, 1, 0, "work", NULL, 5},
             "spans prod|eu|web|work| 1 2 100+5 failed\n"
             "parent 1 prod|eu|web\n");
    comes_to("", (struct span){0, 1, 1, 0, "", NULL, 5},
             "spans default||unknown_service|| 0 1 100+5\n"
             "parent 1 default||unknown_service\n");
    comes_to("deployment.environment=old service.name=", (struct span){0, 0, 1, 0, "x", NULL, 5},
             "spans old||unknown_service|x| 0 0 100+5\n"
             "parent 1 old||unknown_service\n");
    comes_to("deployment.environment.name= deployment.environment=old service.name=#7",
             (struct span){0, 0, 1, 0, "x", NULL, 5},
             "spans old||7|x| 0 0 100+5\n"
             "parent 1 old||7\n");
}

static void numbers_that_nobody_knows_are_none(void **state) {
    (void)state;
    comes_to(web, (struct span){77, 9, 1, 0, "x", NULL, -1},
             "spans prod|eu|web|x| 0 0 100+0\n"
             "parent 1 prod|eu|web\n");
    comes_to(web, (struct span){1, 0, 1, 0, "x", NULL, INT64_MAX},
             "spans prod|eu|web|x| 1 0 100+1125899906842624\n"
             "parent 1 prod|eu|web\n");
    comes_to(web, (struct span){1, 0, 1, 0, "x", NULL, INT64_MIN},
             "spans prod|eu|web|x| 1 0 100+0\n"
             "parent 1 prod|eu|web\n");
}

static void calls_and_the_called_are_halves(void **state) {
    (void)state;
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0xb, "get", "server.address=pay peer.service=payments", 5},
             "spans prod|eu|web|get| 3 0 100+5\n"
             "caller prod|eu|web 0 of a peer=payments 100+5\n"
             "plain called prod|eu|web 0 of b peer= 100+5\n");
    comes_to(web, (struct span){CLIENT, 2, 0xa, 0, "get", "net.peer.name=old rpc.service=Pay http.host=h", 5},
             "spans prod|eu|web|get| 3 2 100+5 failed\n"
             "caller prod|eu|web 0 of a peer=old 100+5 failed\n");
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0, "get", "peer.service= rpc.service=Pay", 5},
             "spans prod|eu|web|get| 3 0 100+5\n"
             "caller prod|eu|web 0 of a peer=Pay 100+5\n");
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0, "get", "peer.service=#1", 5},
             "spans prod|eu|web|get| 3 0 100+5\n"
             "caller prod|eu|web 0 of a peer= 100+5\n");
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0, "ask", "messaging.system=nats", 5},
             "spans prod|eu|web|ask| 3 0 100+5\n"
             "caller prod|eu|web 3 of a peer=nats 100+5\n");
    comes_to(web,
             (struct span){PRODUCER, 0, 0xa, 0, "send", "messaging.system=kafka messaging.destination.name=orders", 5},
             "spans prod|eu|web|send| 4 0 100+5\n"
             "client prod|eu|web||orders 3 0 100+5\n"
             "caller remembered prod|eu|web 3 of a peer= 100+5\n");
    comes_to(web, (struct span){PRODUCER, 2, 0xa, 0, "send", "messaging.system=kafka server.address=broker", 5},
             "spans prod|eu|web|send| 4 2 100+5 failed\n"
             "client prod|eu|web||kafka 3 0 100+5 failed\n"
             "caller remembered prod|eu|web 3 of a peer= 100+5 failed\n");
    comes_to(web, (struct span){PRODUCER, 0, 0xa, 0, "send", "server.address=broker", 5},
             "spans prod|eu|web|send| 4 0 100+5\n"
             "caller remembered prod|eu|web 3 of a peer=broker 100+5\n");
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0, "send", "messaging.system=nats messaging.destination=jobs", 5},
             "spans prod|eu|web|send| 3 0 100+5\n"
             "client prod|eu|web||jobs 3 0 100+5\n"
             "caller prod|eu|web 3 of a peer= 100+5\n");
    comes_to(web, (struct span){SERVER, 0, 0xa, 0xb, "GET", "peer.service=x", 5},
             "spans prod|eu|web|GET| 2 0 100+5\n"
             "parent a prod|eu|web\n"
             "called prod|eu|web 0 of b peer= 100+5\n");
    comes_to(web, (struct span){CONSUMER, 0, 0xa, 0xb, "take", "messaging.system=kafka", 5},
             "spans prod|eu|web|take| 5 0 100+5\n"
             "parent a prod|eu|web\n"
             "server prod||kafka|eu|web 3 0 100+5\n"
             "called prod|eu|web 3 of b peer= 100+5\n");
    comes_to(web, (struct span){CONSUMER, 0, 0xa, 0xb, "take", "server.address=broker", 5},
             "spans prod|eu|web|take| 5 0 100+5\n"
             "parent a prod|eu|web\n"
             "called prod|eu|web 3 of b peer= 100+5\n");
}

/* Spans of two services, of which the first has two resources. */
static struct batch_blob *mixed_batch(void) {
    static const char *const resources[] = {"service.name=a", "service.name=b",
                                            "service.name=a deployment.environment.name=prod"};
    static const struct {
        uint32_t resource, kind;
        uint64_t id, parent;
    } spans[] = {{0, SERVER, 1, 0}, {0, INTERNAL, 2, 1}, {2, INTERNAL, 3, 1}, {1, INTERNAL, 4, 2},
                 {1, CLIENT, 5, 4}, {1, 0, 6, 9},        {1, PRODUCER, 7, 3}, {0, INTERNAL, 8, 5}};
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
    uint32_t scope = batch_builder_row(&b, SET_SCOPES);
    for (size_t i = 0; i < LENGTH(resources); i++)
        add_attributes(&b, SET_RESOURCES, batch_builder_row(&b, SET_RESOURCES), resources[i]);
    for (size_t i = 0; i < LENGTH(spans); i++) {
        uint32_t row = batch_builder_row(&b, SET_ROWS);
        batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, row, i == 7 ? "another trace.." : "0123456789abcdef");
        batch_builder_set_u64(&b, SET_ROWS, FIELD_SPAN_ID, row, spans[i].id);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_PARENT_ID, row, spans[i].parent);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_KIND, row, spans[i].kind);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_RESOURCE, row, spans[i].resource);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_SCOPE, row, scope);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_NAME, row, strings_intern(&b.strings, STR("n")));
        add_attributes(&b, SET_ROWS, row, "");
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

/* A span whose parent is of its own service and in its batch is nobody's half; whatever the resources, and only in its own trace. */
static void children_of_their_own_service_look_for_nobody(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    struct written_sink w;
    struct batch b;
    struct batch_blob *blob = mixed_batch();
    buf_init(&text, MIB);
    batch_view(blob, &b);
    written_init(&w, &text);
    run_on(&b, NULL, b.rows, &w);
    assert_int_equal(w.plain, 4);
    static const char *const called[] = {"plain called default||b 0 of 2 ", "plain called default||b 0 of 9 ",
                                         "plain called default||b 0 of 3 ", "plain called default||a 0 of 5 "};
    for (size_t i = 0; i < LENGTH(called); i++) assert_true(str_contains(buf_str(&text), str_of(called[i])));
    assert_int_equal(w.parents, 6); /* all but CLIENT and PRODUCER */
    written_done(&w);
    batch_unref(blob);
}

/* A hundred thousand spans of one id, or of ids that stand in one place of the table, take no longer than others. */
static void chosen_ids_take_no_time(void **state) {
    (void)state;
    enum { ROWS = 100000 };
    AUTO_FREE struct span *spans = mem_new_array(struct span, ROWS);
    for (int how = 0; how < 2; how++) {
        struct written_sink w;
        struct batch b;
        for (uint64_t i = 0; i < ROWS; i++) /* times the inverse of the multiplier: the product's high bits are 0 */
            spans[i] = (struct span){INTERNAL, 0, how ? (i + 1) * UINT64_C(0xf1de83e19937733d) : 7, 8, "n", NULL, 1};
        struct batch_blob *blob = batch_of(web, spans, ROWS);
        batch_view(blob, &b);
        written_init(&w, NULL);
        int64_t began = clock_process_cpu_ns();
        run_on(&b, NULL, b.rows, &w);
        assert_true(clock_process_cpu_ns() - began <
                    (int64_t)5 * 1000000000); /* minutes, were all of them walked through */
        assert_int_equal(w.plain, ROWS);
        written_done(&w);
        batch_unref(blob);
    }
}

static void databases_and_roots_are_edges_at_once(void **state) {
    (void)state;
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0xb, "select", "db.system.name=postgresql db.namespace=orders", 5},
             "spans prod|eu|web|select| 3 0 100+5\n"
             "client prod|eu|web||postgresql:orders 2 0 100+5\n"
             "parent a prod|eu|web\n"
             "plain called prod|eu|web 0 of b peer= 100+5\n");
    comes_to(web, (struct span){CLIENT, 2, 0xa, 0, "q", "db.system=mysql db.name=shop server.address=db1", 5},
             "spans prod|eu|web|q| 3 2 100+5 failed\n"
             "client prod|eu|web||mysql:shop 2 0 100+5 failed\n"
             "parent a prod|eu|web\n");
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0, "q", "db.system=redis server.address=cache", 5},
             "spans prod|eu|web|q| 3 0 100+5\n"
             "client prod|eu|web||redis:cache 2 0 100+5\n"
             "parent a prod|eu|web\n");
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0, "q", "db.system=redis", 5},
             "spans prod|eu|web|q| 3 0 100+5\n"
             "client prod|eu|web||redis 2 0 100+5\n"
             "parent a prod|eu|web\n");
    comes_to(web, (struct span){CLIENT, 0, 0xa, 0, "q", "db.system=redis peer.service=sessions db.name=0", 5},
             "spans prod|eu|web|q| 3 0 100+5\n"
             "client prod|eu|web||sessions 2 0 100+5\n"
             "parent a prod|eu|web\n");
    comes_to(web, (struct span){SERVER, 0, 0xa, 0, "GET", NULL, 5},
             "spans prod|eu|web|GET| 2 0 100+5\n"
             "parent a prod|eu|web\n"
             "server prod||user|eu|web 1 0 100+5\n");
    comes_to(web, (struct span){CONSUMER, 0, 0xa, 0, "take", "messaging.system=kafka messaging.destination=q", 5},
             "spans prod|eu|web|take| 5 0 100+5\n"
             "parent a prod|eu|web\n"
             "server prod||q|eu|web 3 0 100+5\n");
    comes_to(web, (struct span){CONSUMER, 0, 0xa, 0, "take", NULL, 5},
             "spans prod|eu|web|take| 5 0 100+5\n"
             "parent a prod|eu|web\n"
             "server prod||user|eu|web 1 0 100+5\n");
}

static void long_texts_are_cut_between_characters(void **state) {
    (void)state;
    char name[2 * ROLLUP_TEXT_MAX + 1];
    for (size_t before = 0; before < 4; before++) {
        memset(name, 'a', before);
        for (size_t i = before; i + 3 < sizeof name; i += 3) memcpy(name + i, "€", 4);
        struct batch b;
        struct batch_blob *blob = batch_of("service.name=s", &(struct span){.id = 1, .name = name}, 1);
        struct written_sink w;
        written_init(&w, NULL);
        batch_view(blob, &b);
        run_on(&b, NULL, 1, &w);
        assert_true(utf8_is_valid(buf_str(&w.keys)));
        assert_in_range(w.keys.n, ROLLUP_TEXT_MAX, ROLLUP_TEXT_MAX + 40);
        written_done(&w);
        batch_unref(blob);
    }
}

/* A key is asked for once, whatever the number of spans. */
static void equal_spans_ask_once(void **state) {
    (void)state;
    struct span spans[600];
    struct written_sink w;
    struct batch b;
    for (size_t i = 0; i < LENGTH(spans); i++)
        spans[i] = (struct span){
            i % 2 ? CLIENT : SERVER, 0, i + 1, 0, i % 3 ? "a" : "b", i % 2 ? "db.system=redis db.name=x" : NULL, 1};
    struct batch_blob *blob = batch_of(web, spans, LENGTH(spans));
    batch_view(blob, &b);
    written_init(&w, NULL);
    run_on(&b, NULL, b.rows, &w);
    assert_int_equal(w.keys_asked, 4 + 2);
    assert_int_equal(w.calls[ROLLUP_SPANS], LENGTH(spans));
    assert_int_equal(w.calls[ROLLUP_EDGE_SERVER], LENGTH(spans) / 2);
    assert_int_equal(w.calls[ROLLUP_EDGE_CLIENT], LENGTH(spans) / 2);
    written_done(&w);
    batch_unref(blob);
}

/* Any batch: a call a span; of any half of its rows the same lines as of all. */
static void hostile_batches_count_each_span_once(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct chance c = {seed};
        struct batch_builder builder;
        struct batch b;
        struct written_sink all, parts;
        AUTO_BUF struct buf whole, halves;
        AUTO_FREE uint32_t *rows = NULL;
        buf_init(&whole, 256 * MIB);
        buf_init(&halves, 256 * MIB);
        batch_builder_init(&builder, SIGNAL_SPANS);
        random_batch(&c, &builder, 1 + (uint32_t)seed);
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_builder_done(&builder);
        batch_view(blob, &b);
        written_init(&all, &whole);
        written_init(&parts, &halves);
        run_on(&b, NULL, b.rows, &all);
        rows = mem_new_array(uint32_t, b.rows + 1);
        for (uint32_t i = 0; i < b.rows; i++) rows[i] = i;
        uint32_t cut = chance_below(&c, b.rows + 1);
        run_on(&b, rows, cut, &parts);
        run_on(&b, rows + cut, b.rows - cut, &parts);
        assert_int_equal(all.calls[ROLLUP_SPANS], b.rows);
        assert_true(str_equal(buf_str(&whole), buf_str(&halves)));
        written_done(&all);
        written_done(&parts);
        batch_unref(blob);
    }
}

static void logs_come_to_nothing(void **state) {
    (void)state;
    struct chance c = {7};
    struct batch_builder builder;
    struct batch b;
    struct written_sink w;
    batch_builder_init(&builder, SIGNAL_LOGS);
    random_batch(&c, &builder, 20);
    struct batch_blob *blob = batch_builder_finish(&builder);
    batch_builder_done(&builder);
    batch_view(blob, &b);
    written_init(&w, NULL);
    run_on(&b, NULL, b.rows, &w);
    assert_int_equal(w.calls[ROLLUP_SPANS] + w.halves + w.keys_asked, 0);
    written_done(&w);
    batch_unref(blob);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_span_is_a_call_of_its_operation),
        cmocka_unit_test(numbers_that_nobody_knows_are_none),
        cmocka_unit_test(calls_and_the_called_are_halves),
        cmocka_unit_test(children_of_their_own_service_look_for_nobody),
        cmocka_unit_test(chosen_ids_take_no_time),
        cmocka_unit_test(databases_and_roots_are_edges_at_once),
        cmocka_unit_test(long_texts_are_cut_between_characters),
        cmocka_unit_test(equal_spans_ask_once),
        cmocka_unit_test(hostile_batches_count_each_span_once),
        cmocka_unit_test(logs_come_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
