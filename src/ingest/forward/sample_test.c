/* Tail sampling by hand-made requests: what is kept and why, late spans, bounds, and that every hold on a record is given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ingest/forward/sample_priv.h"
#include "signal/otlp.h"

#define SECOND ((int64_t)1000000000)
enum { RECORDS = 4096 };

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static void put_size(struct buf *b, uint64_t v) {
    for (; v > 127; v >>= 7) buf_add_byte(b, (char)(v | 128));
    buf_add_byte(b, (char)v);
}

static void put(struct buf *b, uint32_t field, struct str bytes) {
    put_size(b, field << 3 | 2);
    put_size(b, bytes.n);
    buf_add_str(b, bytes);
}

static void put_fixed(struct buf *b, uint32_t field, uint64_t v) {
    put_size(b, field << 3 | 1);
    buf_add(b, &v, 8);
}

struct span {
    uint64_t trace;
    int64_t start_ns, end_ns;
    bool child, error;
    const char *service;
};

static void put_span(struct buf *out, const struct span *s) {
    unsigned char id[16] = {1};
    AUTO_BUF struct buf span, scope, group, attribute, any;
    buf_init(&span, KIB), buf_init(&scope, KIB), buf_init(&group, KIB), buf_init(&attribute, KIB), buf_init(&any, KIB);
    memcpy(id + 8, &s->trace, 8);
    put(&span, 1, str_span(id, 16));
    put(&span, 2, str_span(id, 8));
    if (s->child) put(&span, 4, str_span(id + 8, 8));
    put(&span, 5, STR("work"));
    put_fixed(&span, 7, (uint64_t)s->start_ns);
    put_fixed(&span, 8, (uint64_t)s->end_ns);
    put(&span, 15, s->error ? STR("\x18\x02") : STR("\x18\x01"));
    put(&scope, 2, buf_str(&span));
    otlp_put_any_string(&any, str_of(s->service ? s->service : "shop"));
    put(&attribute, 1, STR("service.name"));
    put(&attribute, 2, buf_str(&any));
    AUTO_BUF struct buf resource;
    buf_init(&resource, KIB);
    put(&resource, 1, buf_str(&attribute));
    put(&group, 1, buf_str(&resource));
    put(&group, 2, buf_str(&scope));
    put(out, 1, buf_str(&group));
}

/* ---- the world around it ----------------------------------------------------------------------------------------- */

static struct {
    struct sampler *s;
    int holds[RECORDS];
    uint64_t kept_rows, dropped_rows, next_record, kept_times;
    struct buf kept;
} world;

static void hold(void *context, uint64_t record) {
    (void)context;
    world.holds[record]++;
}

static void decided(void *context, bool kept, struct sampler_spans *spans) {
    (void)context;
    for (size_t i = 0; i < spans->record_count; i++) {
        world.holds[spans->records[i]]--;
        assert_true(world.holds[spans->records[i]] >= 0);
    }
    *(kept ? &world.kept_rows : &world.dropped_rows) += spans->rows;
    world.kept_times += kept;
    if (kept) buf_add_str(&world.kept, buf_str(&spans->request));
    sampler_spans_done(spans);
}

static void begin(const struct forward_sampling *c) {
    memset(&world, 0, sizeof world);
    buf_init(&world.kept, 64 * MIB);
    world.s = sampler_new(c, &(struct sampler_sink){hold, decided, NULL});
}

/* All is decided, nothing is held, and what was kept is OTLP with as many spans as were said. */
static void end(void) {
    struct otlp_result r = {0};
    struct sampler_counts c;
    sampler_run(world.s, INT64_MAX);
    sampler_get_counts(world.s, &c);
    assert_int_equal(c.traces, 0);
    assert_int_equal(c.bytes, 0);
    assert_int_equal(c.rows_kept, world.kept_rows);
    for (size_t i = 0; i < RECORDS; i++) assert_int_equal(world.holds[i], 0);
    if (world.kept_rows) {
        const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
        struct otlp_decoder *d = otlp_decoder_new();
        assert_null(otlp_decode(d, SIGNAL_SPANS, buf_str(&world.kept), &limits, &r));
        assert_int_equal(r.rows, world.kept_rows);
        batch_unref(r.blob);
        otlp_decoder_free(d);
    }
    sampler_free(world.s);
    buf_done(&world.kept);
}

static void add(int64_t now, const struct span *spans, size_t n) {
    AUTO_BUF struct buf request;
    buf_init(&request, MIB);
    for (size_t i = 0; i < n; i++) put_span(&request, &spans[i]);
    assert_true(sampler_add(world.s, buf_str(&request), world.next_record++, now));
    sampler_run(world.s, now);
}
#define ADD(now, ...) add(now, (struct span[]){__VA_ARGS__}, LENGTH(((struct span[]){__VA_ARGS__})))

static const struct forward_sampling none = {
    .on = true, .wait_ns = 10 * SECOND, .traces_max = 1000, .bytes_max = 64 * MIB, .keep_errors = true};

/* ---- what is kept ------------------------------------------------------------------------------------------------ */

static void errors_and_slow_traces_are_kept_whole(void **state) {
    (void)state;
    struct forward_sampling c = none;
    struct sampler_counts counts;
    c.slow_ns = 2 * SECOND;
    begin(&c);
    ADD(0, {.trace = 1, .child = true}, {.trace = 2, .child = true, .end_ns = SECOND}, {.trace = 3, .child = true});
    ADD(SECOND, {.trace = 1, .child = true, .error = true},
        {.trace = 2, .child = true, .start_ns = SECOND, .end_ns = 2 * SECOND});
    sampler_run(world.s, 9 * SECOND);
    assert_int_equal(world.kept_rows + world.dropped_rows, 0);
    sampler_run(world.s, 10 * SECOND);
    assert_int_equal(world.kept_rows, 4);
    assert_int_equal(world.dropped_rows, 1);
    sampler_get_counts(world.s, &counts);
    assert_int_equal(counts.kept_error, 1);
    assert_int_equal(counts.kept_slow, 1);
    assert_int_equal(counts.dropped, 1);
    end();
}

static void a_root_hastens_the_decision(void **state) {
    (void)state;
    begin(&none);
    ADD(0, {.trace = 1, .child = true}, {.trace = 2, .child = true});
    ADD(SECOND, {.trace = 2, .error = true});
    assert_int_equal(sampler_next_due(world.s), 3 * SECOND);
    sampler_run(world.s, 3 * SECOND);
    assert_int_equal(world.kept_rows, 2);
    assert_int_equal(world.dropped_rows, 0);
    assert_int_equal(sampler_next_due(world.s), 10 * SECOND);
    end();
}

static void late_spans_follow_the_decision(void **state) {
    (void)state;
    struct sampler_counts counts;
    begin(&none);
    ADD(0, {.trace = 1, .error = true}, {.trace = 2});
    sampler_run(world.s, 10 * SECOND);
    ADD(11 * SECOND, {.trace = 1, .child = true}, {.trace = 2, .child = true, .error = true},
        {.trace = 1, .child = true});
    assert_int_equal(world.kept_rows, 3); /* without waiting */
    sampler_get_counts(world.s, &counts);
    assert_int_equal(counts.rows_late, 3);
    assert_int_equal(counts.rows_dropped, 2);
    end();
}

/* Each of the last 4 * traces_max, and none before them. */
static void as_many_decisions_are_remembered_as_is_said(void **state) {
    enum { TRACES = 5000, GROUP = 500 };
    (void)state;
    struct span group[GROUP];
    struct sampler_counts counts;
    struct forward_sampling c = none;
    begin(&c);
    for (uint64_t late = 0; late < 2; late++)
        for (uint64_t i = late * 1000; i < TRACES; i += GROUP) {
            for (uint64_t k = 0; k < GROUP; k++) /* every other has an error: it is kept, and so is what comes late */
                group[k] = (struct span){.trace = i + k + 1, .child = true, .error = (i + k) % 2 == late};
            add(0, group, GROUP);
            sampler_run(world.s, INT64_MAX);
        }
    sampler_get_counts(world.s, &counts);
    assert_int_equal(counts.rows_late, 4000);
    assert_int_equal(counts.kept_error, TRACES / 2);
    assert_int_equal(counts.rows_kept, TRACES / 2 + 2000);
    ADD(0, {.trace = 1000, .child = true}); /* forgotten: decided anew */
    end();
    assert_int_equal(world.dropped_rows, TRACES / 2 + 1);
}

static void rates_are_met_by_trace_and_by_service(void **state) {
    (void)state;
    struct forward_sampling c = none;
    c.rate = 0.25;
    c.traces_max = 100000;
    c.services[c.service_count++] = (struct forward_service){STR("checkout"), 1};
    c.services[c.service_count++] = (struct forward_service){STR("health"), 0};
    begin(&c);
    for (uint64_t i = 0; i < 4000; i++) ADD(0, {.trace = i}, {.trace = i, .child = true});
    sampler_run(world.s, INT64_MAX);
    double share = (double)world.kept_rows / 8000;
    assert_true(share > 0.22 && share < 0.28); /* 4,000 times 1 in 4: 4 standard deviations are 0.027 */
    uint64_t before = world.kept_times;
    ADD(1, {.trace = 9001, .service = "checkout"}, {.trace = 9001, .child = true, .service = "health"});
    ADD(1, {.trace = 9002, .service = "health"});
    sampler_run(world.s, INT64_MAX);
    assert_int_equal(world.kept_times, before + 1);
    end();
}

/* Another process decides the same. */
static void a_decision_does_not_depend_on_who_decides(void **state) {
    (void)state;
    struct forward_sampling c = none;
    uint64_t kept[2];
    c.rate = 0.5;
    c.traces_max = 4000;
    for (int i = 0; i < 2; i++) {
        begin(&c);
        for (uint64_t t = 0; t < 500; t++) ADD(0, {.trace = i ? 499 - t : t});
        sampler_run(world.s, INT64_MAX);
        kept[i] = world.kept_rows;
        end();
    }
    assert_int_equal(kept[0], kept[1]);
}

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

static void more_traces_than_fit_are_decided_early(void **state) {
    (void)state;
    struct forward_sampling c = none;
    struct sampler_counts counts;
    c.traces_max = 10;
    begin(&c);
    for (uint64_t t = 0; t < 100; t++) {
        ADD(0, {.trace = t, .child = true, .error = t % 2 == 0});
        sampler_get_counts(world.s, &counts);
        assert_true(counts.traces <= 10);
    }
    assert_int_equal(counts.early, 90);
    assert_int_equal(world.kept_rows, 45);
    end();
}

static void their_bytes_are_bounded(void **state) {
    (void)state;
    struct forward_sampling c = none;
    struct sampler_counts counts;
    c.bytes_max = 256 * KIB;
    c.rate = 1;
    begin(&c);
    for (uint64_t i = 0; i < 4000; i++) { /* one trace that never ends among others */
        ADD(0, {.trace = 7, .child = true}, {.trace = 1000 + i, .child = true});
        sampler_get_counts(world.s, &counts);
        assert_true(counts.bytes <= c.bytes_max);
    }
    assert_true(counts.early > 0);
    sampler_run(world.s, INT64_MAX);
    assert_int_equal(world.kept_rows, 8000);
    end();
}

static void bytes_that_are_no_request_are_told(void **state) {
    (void)state;
    begin(&none);
    assert_false(sampler_add(world.s, STR("\x0a\x7fxx"), 1, 0));
    assert_true(sampler_add(world.s, STR(""), 2, 0));
    end();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_and_slow_traces_are_kept_whole),
        cmocka_unit_test(a_root_hastens_the_decision),
        cmocka_unit_test(late_spans_follow_the_decision),
        cmocka_unit_test(as_many_decisions_are_remembered_as_is_said),
        cmocka_unit_test(rates_are_met_by_trace_and_by_service),
        cmocka_unit_test(a_decision_does_not_depend_on_who_decides),
        cmocka_unit_test(more_traces_than_fit_are_decided_early),
        cmocka_unit_test(their_bytes_are_bounded),
        cmocka_unit_test(bytes_that_are_no_request_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
