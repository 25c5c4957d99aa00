/* What goes in comes out as batches, as OTLP/JSON says it; limits, sampling, quiet threads, many threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "emit/emit.h"
#include "os/clock.h"
#include "os/thread.h"
#include "signal/metrics/points_decode.h"

static struct {
    struct buf said[EMIT_KINDS]; /* OTLP/JSON, batches one behind the other */
    uint64_t rows[EMIT_KINDS];
    struct emit *talks; /* it makes spans and lines while it takes */
    struct lock lock;
    struct signal_flag free;
    bool stuck; /* waits; under the lock */
} sink;

static void take_wait(void *context, enum emit_kind kind, struct batch_blob *blob) {
    struct json_writer w;
    struct batch rows;
    struct points points;
    (void)context;
    lock_take(&sink.lock);
    while (sink.stuck) flag_wait(&sink.free, &sink.lock);
    lock_give(&sink.lock);
    if (sink.talks) {
        struct emit_span *s = emit_span_begin(sink.talks, STR("of the sink"), EMIT_INTERNAL, NULL);
        assert_null(s);
        log_warn("of the sink");
        emit_span_end(s);
    }
    json_writer_init(&w, &sink.said[kind]);
    if (kind == EMIT_METRICS) {
        points_view(blob, &points);
        struct str bytes = batch_bytes(blob);
        struct batch_blob *again; /* as from outside: everything is checked */
        err e = points_open(bytes, &again);
        if (e) fail_msg("%s", err_text(e));
        batch_unref(again);
        points_write_otlp_json(&points, &w);
        sink.rows[kind] += points.n;
    } else {
        batch_view(blob, &rows);
        struct batch_blob *again;
        err e = batch_open(batch_bytes(blob), &again);
        if (e) fail_msg("%s", err_text(e));
        batch_unref(again);
        otlp_write_json(&rows, &w);
        sink.rows[kind] += rows.rows;
    }
    batch_unref(blob);
}

static void sink_is_stuck(bool stuck) {
    lock_take(&sink.lock);
    sink.stuck = stuck;
    flag_wake_all(&sink.free);
    lock_give(&sink.lock);
}

static int64_t now_ns = 1700000000 * (int64_t)1000000000;
static int64_t wall(void) { return now_ns; }

static struct emit *open_with(struct emit_options o) {
    struct emit *e = NULL;
    for (int k = 0; k < EMIT_KINDS; k++) {
        buf_done(&sink.said[k]);
        buf_init(&sink.said[k], 64 * MIB);
        sink.rows[k] = 0;
    }
    o.service = "shop";
    o.version = "1.2";
    o.instance = "i";
    o.sink.take_wait = take_wait;
    o.wall_ns = wall;
    err why = emit_new(&o, &e);
    if (why) fail_msg("%s", err_text(why));
    return e;
}
static struct emit *open_paused(void) { return open_with((struct emit_options){.ratio = 1, .paused = true}); }

static const char *said(enum emit_kind kind) {
    buf_add_byte(&sink.said[kind], 0);
    sink.said[kind].n--;
    return sink.said[kind].p;
}
static void says(enum emit_kind kind, const char *part) {
    if (!strstr(said(kind), part)) fail_msg("%s: not in %s", part, said(kind));
}
static void says_not(enum emit_kind kind, const char *part) {
    if (strstr(said(kind), part)) fail_msg("%s: in %s", part, said(kind));
}

/* ---- spans ------------------------------------------------------------------------------------------------------- */

static void spans_are_what_they_were_told(void **state) {
    struct emit *e = open_paused();
    struct trace_context far;
    char text[TRACEPARENT_BYTES + 1];
    (void)state;
    assert_true(traceparent_read(STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &far));
    struct emit_span *server = emit_span_begin(e, STR("GET /cart"), EMIT_SERVER, &far);
    emit_span_state(server, STR("rojo=1,congo=2"));
    emit_span_set(server, F_TEXT("http.route", "/wrong"));
    emit_span_set(server, F_TEXT("http.route", "/cart/{id}"));
    emit_span_set(server, F_I64("http.response.status_code", 500));
    emit_span_set(server, F_F64("share", 0.5));
    emit_span_set(server, F_DURATION("waited", 77));
    emit_span_set(server, F_STR("bad", str_span("a\xff"
                                                "b",
                                                3)));
    emit_span_event(server, "retry", (struct log_field[]){F_U64("n", 3), F_TEXT("why", "late")}, 2);
    emit_span_link(server, &(struct trace_context){{1, 2, 3}, {4, 5}, 1});
    emit_span_fail(server, "no stock");
    emit_span_enter(server);
    struct emit_span *client = emit_span_begin(e, STR("SELECT"), EMIT_CLIENT, NULL);
    assert_memory_equal(emit_span_context(client)->trace_id, far.trace_id, 16);
    traceparent_write(emit_span_context(client), text);
    assert_memory_equal(text, "00-4bf92f3577b34da6a3ce929d0e0e4736-", 36);
    emit_span_end_after(client, 1000000);
    emit_span_leave(server);
    struct emit_span *other = emit_span_begin(e, STR("another trace"), EMIT_INTERNAL, NULL);
    assert_memory_not_equal(emit_span_context(other)->trace_id, far.trace_id, 16);
    emit_span_end(other);
    emit_span_end(server);
    emit_turn_wait(e, true);
    assert_int_equal(sink.rows[EMIT_SPANS], 3);
    says(EMIT_SPANS, "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"shop\"}}");
    says(EMIT_SPANS, "\"name\":\"GET /cart\",\"kind\":2");
    says(EMIT_SPANS, "\"parentSpanId\":\"00f067aa0ba902b7\"");
    says(EMIT_SPANS, "\"traceState\":\"rojo=1,congo=2\"");
    says(EMIT_SPANS, "{\"key\":\"http.route\",\"value\":{\"stringValue\":\"/cart/{id}\"}}");
    says_not(EMIT_SPANS, "/wrong");
    says(EMIT_SPANS, "{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"500\"}}");
    says(EMIT_SPANS, "{\"key\":\"share\",\"value\":{\"doubleValue\":0.5}}");
    says(EMIT_SPANS, "{\"key\":\"waited_ns\",\"value\":{\"intValue\":\"77\"}}");
    says(EMIT_SPANS, "\"stringValue\":\"a\xef\xbf\xbd"
                     "b\"");
    says(EMIT_SPANS,
         "\"name\":\"retry\",\"attributes\":[{\"key\":\"n\",\"value\":{\"intValue\":\"3\"}},{\"key\":\"why\"");
    says(EMIT_SPANS, "\"links\":[{\"traceId\":\"01020300000000000000000000000000\",\"spanId\":\"0405000000000000\"");
    says(EMIT_SPANS, "\"status\":{\"message\":\"no stock\",\"code\":2}");
    says(EMIT_SPANS, "\"startTimeUnixNano\":\"1699999999999000000\",\"endTimeUnixNano\":\"1700000000000000000\"");
    emit_free(e);
}

static void what_is_too_much_is_left_out_and_counted(void **state) {
    static const char *const keys[] = {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9",
                                       "b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9",
                                       "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9",
                                       "d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9"};
    struct emit *e = open_paused();
    AUTO_BUF struct buf text;
    (void)state;
    buf_init(&text, MIB);
    for (int i = 0; i < 5000; i++) buf_add_text(&text, "\xc3\xa4");
    struct emit_span *s = emit_span_begin(e, buf_str(&text), EMIT_INTERNAL, NULL);
    for (size_t i = 0; i < LENGTH(keys); i++) emit_span_set(s, F_I64(keys[i], 1));
    for (int i = 0; i < 20; i++) emit_span_event(s, "again", NULL, 0);
    for (int i = 0; i < 7; i++) emit_span_link(s, emit_span_context(s));
    emit_span_fail(s, text.p ? (buf_add_byte(&text, 0), text.p) : "");
    emit_span_state(s, STR("not a state"));
    emit_span_end(s);
    s = emit_span_begin(e, STR("texts"), EMIT_INTERNAL, NULL);
    for (int i = 0; i < 12; i++) emit_span_set(s, F_STR(keys[i], buf_str(&text))); /* 1 KiB each, of 8 */
    emit_span_end(s);
    emit_turn_wait(e, false);
    says(EMIT_SPANS, "\"droppedAttributesCount\":8");
    says(EMIT_SPANS, "\"droppedEventsCount\":12");
    says(EMIT_SPANS, "\"droppedLinksCount\":3");
    says(EMIT_SPANS, "\"droppedAttributesCount\":4");
    says_not(EMIT_SPANS, "traceState");
    emit_free(e);
}

static void a_full_queue_drops_and_counts(void **state) {
    struct emit *e = open_with((struct emit_options){.ratio = 1, .paused = true, .queue_max = 10});
    struct emit_stats stats;
    (void)state;
    for (int i = 0; i < 25; i++) emit_span_end(emit_span_begin(e, STR("x"), EMIT_INTERNAL, NULL));
    emit_turn_wait(e, false);
    emit_span_end(emit_span_begin(e, STR("x"), EMIT_INTERNAL, NULL));
    emit_turn_wait(e, false);
    emit_get_stats(e, &stats);
    assert_int_equal(sink.rows[EMIT_SPANS], 11);
    assert_int_equal(stats.told[EMIT_SPANS], 11);
    assert_int_equal(stats.dropped[EMIT_SPANS], 15);
    emit_free(e);
}

static void sampling(void **state) {
    struct trace_context yes, no;
    struct emit_stats stats;
    (void)state;
    assert_true(traceparent_read(STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &yes));
    no = yes;
    no.flags = 0;
    struct emit *e = open_with((struct emit_options){.ratio = 0, .paused = true});
    struct emit_span *root = emit_span_begin(e, STR("no"), EMIT_SERVER, NULL);
    assert_non_null(root); /* children and other programs get to know that it is not */
    assert_false(emit_span_is_recorded(root));
    assert_int_equal(emit_span_context(root)->flags, 0);
    emit_span_set(root, F_I64("a", 1));
    emit_span_enter(root);
    emit_span_end(emit_span_begin(e, STR("no"), EMIT_INTERNAL, NULL));
    emit_span_end(emit_span_begin(e, STR("yes"), EMIT_INTERNAL, &yes)); /* the parent decides */
    emit_span_leave(root);
    emit_span_end(root);
    emit_turn_wait(e, false);
    assert_int_equal(sink.rows[EMIT_SPANS], 1);
    says(EMIT_SPANS, "\"name\":\"yes\"");
    emit_get_stats(e, &stats);
    assert_int_equal(stats.unsampled, 2);
    emit_free(e);
    e = open_with((struct emit_options){.ratio = 1, .paused = true});
    emit_span_end(emit_span_begin(e, STR("no"), EMIT_INTERNAL, &no));
    emit_turn_wait(e, false);
    assert_int_equal(sink.rows[EMIT_SPANS], 0);
    emit_free(e);
    e = open_with((struct emit_options){.ratio = 0.25, .paused = true, .queue_max = 100000});
    for (int i = 0; i < 20000; i++) emit_span_end(emit_span_begin(e, STR("x"), EMIT_INTERNAL, NULL));
    emit_turn_wait(e, false);
    assert_in_range(sink.rows[EMIT_SPANS], 4600, 5400); /* 5,000 by 61 */
    emit_free(e);
}

static void quiet_threads_say_nothing(void **state) {
    struct emit *e = open_paused();
    (void)state;
    emit_listen_to_log(e);
    sink.talks = e;
    emit_quiet(true);
    emit_quiet(true);
    emit_quiet(false);
    assert_null(emit_span_begin(e, STR("quiet"), EMIT_INTERNAL, NULL));
    log_warn("quiet");
    emit_quiet(false);
    log_warn("loud");
    emit_span_end(emit_span_begin(e, STR("loud"), EMIT_INTERNAL, NULL));
    for (int i = 0; i < 5; i++) emit_turn_wait(e, false); /* the sink talks each time: nothing of it comes back */
    sink.talks = NULL;
    assert_int_equal(sink.rows[EMIT_SPANS], 1);
    assert_int_equal(sink.rows[EMIT_LOGS], 1);
    emit_free(e);
    assert_null(emit_span_begin(NULL, STR("none"), EMIT_INTERNAL, NULL));
    emit_span_end(NULL);
    emit_measure(emit_series_of(emit_counter(NULL, "a", "", ""), NULL, 0), 1);
}

/* What a thread is in may end meanwhile: lines still name it, and children are its own, until it is left. */
static void a_scope_outlives_its_span(void **state) {
    struct emit *e = open_paused();
    struct emit_scope scope, none;
    struct trace_context far;
    (void)state;
    emit_listen_to_log(e);
    assert_true(traceparent_read(STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"), &far));
    struct emit_span *server = emit_span_begin(e, STR("call"), EMIT_SERVER, &far);
    emit_scope_enter(&none, NULL, NULL); /* a call that is not traced */
    emit_scope_enter(&scope, e, emit_span_context(server));
    emit_span_end(server);
    emit_turn_wait(e, false); /* and is gone */
    log_info("late");
    emit_span_end(emit_span_begin(e, STR("child"), EMIT_INTERNAL, NULL));
    emit_scope_leave(&scope);
    emit_scope_leave(&none);
    log_info("outside");
    emit_turn_wait(e, false);
    says(EMIT_LOGS, "4bf92f3577b34da6a3ce929d0e0e4736");
    says(EMIT_SPANS, "\"name\":\"child\"");
    says(EMIT_SPANS, "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_int_equal(sink.rows[EMIT_LOGS], 2);
    emit_free(e);
}

/* ---- log records --------------------------------------------------------------------------------------------------- */

static void lines_are_records(void **state) {
    struct emit *e = open_paused();
    (void)state;
    emit_listen_to_log(e);
    struct emit_span *s = emit_span_begin(e, STR("work"), EMIT_INTERNAL, NULL);
    emit_span_enter(s);
    log_error("no disk", F_TEXT("path", "/x"), F_U64("bytes", UINT64_MAX), F_DURATION("after", 5));
    emit_span_leave(s);
    log_info("outside");
    emit_log(e, LOG_WARN, STR("its own"), (struct log_field[]){F_I64("orders", 1)}, 1);
    log_debug("not written");
    emit_span_end(s);
    emit_turn_wait(e, false);
    assert_int_equal(sink.rows[EMIT_LOGS], 3);
    says(EMIT_LOGS, "\"severityNumber\":17,\"severityText\":\"ERROR\",\"body\":{\"stringValue\":\"no disk\"}");
    says(EMIT_LOGS, "\"body\":{\"stringValue\":\"its own\"},\"attributes\":[{\"key\":\"orders\"");
    says(EMIT_LOGS, "{\"key\":\"path\",\"value\":{\"stringValue\":\"/x\"}},{\"key\":\"bytes\",\"value\":{\"intValue\":"
                    "\"9223372036854775807\"}},{\"key\":\"after_ns\"");
    says(EMIT_LOGS, "\"traceId\":\"");
    const char *id = strstr(said(EMIT_SPANS), "\"traceId\":\"");
    AUTO_FREE char *same = str_dup(str_span(id, 11 + 32));
    says(EMIT_LOGS, same);
    emit_free(e);
    log_info("after the end"); /* nobody listens */
}

/* ---- metrics ------------------------------------------------------------------------------------------------------- */

static void series_are_cumulative(void **state) {
    static const double bounds[] = {0.1, 1, 10};
    struct emit *e = open_paused();
    (void)state;
    struct emit_instrument *counter = emit_counter(e, "orders", "{order}", "Orders."),
                           *up_down = emit_up_down(e, "carts", "", ""), *gauge = emit_gauge(e, "heat", "Cel", ""),
                           *histogram = emit_histogram(e, "took", "s", "How long.", bounds, LENGTH(bounds));
    struct log_field ab[] = {F_TEXT("a", "1"), F_I64("b", 2)}, ba[] = {F_I64("b", 2), F_TEXT("a", "1")};
    struct emit_series *s = emit_series_of(counter, ab, 2);
    assert_ptr_equal(s, emit_series_of(counter, ba, 2)); /* in any order */
    assert_ptr_not_equal(s, emit_series_of(counter, ab, 1));
    assert_ptr_equal(emit_series_of(counter, NULL, 0), emit_series_of(counter, NULL, 0));
    emit_measure(s, 2);
    emit_measure(s, -1);
    emit_measure(s, 0.0 / 0.0);
    emit_measure(s, 3);
    emit_measure(emit_series_of(up_down, NULL, 0), 5);
    emit_measure(emit_series_of(up_down, NULL, 0), -7);
    emit_measure(emit_series_of(gauge, NULL, 0), 1);
    emit_measure(emit_series_of(gauge, NULL, 0), 36.5);
    for (int i = 0; i < 3; i++) emit_measure(emit_series_of(histogram, ab, 1), i == 2 ? 100 : 0.1);
    emit_turn_wait(e, true);
    assert_int_equal(sink.rows[EMIT_METRICS], 4);
    says(EMIT_METRICS, "\"name\":\"orders\",\"description\":\"Orders.\",\"unit\":\"{order}\",\"sum\":");
    says(EMIT_METRICS, "\"isMonotonic\":true");
    says(EMIT_METRICS,
         "{\"key\":\"a\",\"value\":{\"stringValue\":\"1\"}},{\"key\":\"b\",\"value\":{\"intValue\":\"2\"}}");
    says(EMIT_METRICS, "\"asDouble\":5");
    says(EMIT_METRICS, "\"asDouble\":-2");
    says(EMIT_METRICS, "\"asDouble\":36.5");
    says(EMIT_METRICS,
         "\"count\":\"3\",\"sum\":100.2,\"bucketCounts\":[\"2\",\"0\",\"0\",\"1\"],\"explicitBounds\":[0.1,1,10]");
    says(EMIT_METRICS, "\"startTimeUnixNano\":\"1700000000000000000\"");
    buf_clear(&sink.said[EMIT_METRICS]);
    emit_measure(s, 4);
    emit_turn_wait(e, true);
    says(EMIT_METRICS, "\"asDouble\":9"); /* all since the start */
    emit_free(e);
}

static struct emit_series *measured;
static void observe(void *context) { emit_measure(measured, ++*(int *)context); }

static void what_is_observed_is_measured_before_each_reading(void **state) {
    int times = 0;
    struct emit *e =
        open_with((struct emit_options){.paused = true, .ratio = 1, .observe = observe, .observe_context = &times});
    (void)state;
    measured = emit_series_of(emit_gauge(e, "depth", "1", ""), NULL, 0);
    emit_turn_wait(e, false);
    assert_int_equal(times, 0);
    emit_turn_wait(e, true);
    says(EMIT_METRICS, "\"asDouble\":1");
    emit_stop(e);
    says(EMIT_METRICS, "\"asDouble\":2"); /* the last reading, too */
    emit_free(e);
    assert_int_equal(times, 2);
}

static void series_have_an_end(void **state) {
    struct emit *e = open_paused();
    (void)state;
    struct emit_instrument *counter = emit_counter(e, "users", "", "");
    for (int i = 0; i < 5000; i++) emit_measure(emit_series_of(counter, &F_I64("id", i), 1), 1);
    emit_turn_wait(e, true);
    assert_int_equal(sink.rows[EMIT_METRICS], EMIT_SERIES_MAX + 1);
    says(EMIT_METRICS, "otel.metric.overflow");
    says(EMIT_METRICS, "\"asDouble\":4000");
    emit_free(e);
}

/* ---- threads ------------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 5000 };
struct worker {
    struct emit *e;
    struct emit_instrument *counter, *histogram;
};

static void work(void *context) {
    struct worker *w = context;
    for (int i = 0; i < ROUNDS; i++) {
        struct emit_span *s = emit_span_begin(w->e, STR("work"), EMIT_INTERNAL, NULL);
        emit_span_enter(s);
        emit_span_set(s, F_I64("i", i));
        emit_measure(emit_series_of(w->counter, &F_I64("k", i % 7), 1), 1);
        emit_measure(emit_series_of(w->histogram, NULL, 0), i);
        if (i % 1000 == 0) log_info("working");
        emit_span_leave(s);
        emit_span_end(s);
    }
}

static void many_threads_lose_nothing_uncounted(void **state) {
    static const double bounds[] = {100, 1000};
    struct emit *e = open_with((struct emit_options){.ratio = 1, .batch_ns = 2000000, .metrics_ns = 3000000});
    struct worker w = {e, emit_counter(e, "a", "", ""), emit_histogram(e, "b", "", "", bounds, 2)};
    struct thread *threads[THREADS];
    struct emit_stats stats;
    (void)state;
    emit_listen_to_log(e);
    sink_is_stuck(true); /* it hangs at first: nobody waits for it */
    for (int i = 0; i < THREADS; i++) assert_null(thread_start(&threads[i], "worker", 0, work, &w));
    for (int i = 0; i < THREADS; i++) thread_join(threads[i]);
    sink_is_stuck(false);
    emit_stop(e);
    emit_get_stats(e, &stats);
    assert_int_equal(stats.told[EMIT_SPANS] + stats.dropped[EMIT_SPANS], THREADS * ROUNDS);
    assert_int_equal(stats.told[EMIT_SPANS], sink.rows[EMIT_SPANS]);
    assert_true(stats.dropped[EMIT_SPANS] > 0);
    assert_int_equal(stats.told[EMIT_LOGS] + stats.dropped[EMIT_LOGS], THREADS * ROUNDS / 1000);
    says(EMIT_METRICS, "\"count\":\"20000\"");
    assert_null(emit_span_begin(NULL, STR(""), EMIT_INTERNAL, NULL));
    emit_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_what_they_were_told),
        cmocka_unit_test(what_is_too_much_is_left_out_and_counted),
        cmocka_unit_test(a_full_queue_drops_and_counts),
        cmocka_unit_test(sampling),
        cmocka_unit_test(quiet_threads_say_nothing),
        cmocka_unit_test(a_scope_outlives_its_span),
        cmocka_unit_test(lines_are_records),
        cmocka_unit_test(series_are_cumulative),
        cmocka_unit_test(what_is_observed_is_measured_before_each_reading),
        cmocka_unit_test(series_have_an_end),
        cmocka_unit_test(many_threads_lose_nothing_uncounted),
    };
    lock_init(&sink.lock);
    flag_init(&sink.free);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (int k = 0; k < EMIT_KINDS; k++) buf_done(&sink.said[k]);
    return failed;
}
