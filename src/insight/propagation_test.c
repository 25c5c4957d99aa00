/* Where context is lost, from rows that a test writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/propagation.h"

enum { MOST = 30000, INTERNAL = 1, SERVER = 2, CLIENT = 3, PRODUCER = 4, CONSUMER = 5 };
enum { WEB, PAY, MAIL, HOST, QUEUE, TEXTS };
static const struct str texts[TEXTS] = {
    {"web", 3}, {"pay", 3}, {"mail", 4}, {"pay.default.svc:8080", 20}, {"orders", 6}};
static const int64_t ms = 1000000, noon = 1000000000000000;
static struct query_context_row rows[MOST];
static unsigned char traces[MOST][16];
static struct query_contexts_answer in;
static struct query_service_facts facts[2];
static struct query_facts_answer told;
static struct arena a;
static struct propagation out;

static void begin(void) {
    arena_init(&a, 64 * MIB);
    for (uint32_t i = 0; i < MOST; i++) memcpy(traces[i], &i, sizeof i);
    in = (struct query_contexts_answer){.rows = rows,
                                        .texts = texts,
                                        .text_count = TEXTS,
                                        .traces = (const unsigned char(*)[16])traces,
                                        .trace_count = MOST};
    facts[0] = (struct query_service_facts){.name = STR("pay"), .language = STR("go")};
    told = (struct query_facts_answer){.services = facts, .n = 1};
}

/* Spans come before log records; span ids are numbers of rows, from 1 on. Times: ms after noon. */
static struct query_context_row *span(uint32_t trace, uint64_t parent, uint32_t service, uint8_t kind, int64_t time,
                                      int64_t duration) {
    assert_true(in.n < MOST && in.n == in.span_count);
    rows[in.n] = (struct query_context_row){.time = noon + time * ms,
                                            .duration = duration * ms,
                                            .span_id = in.n + 1,
                                            .parent_id = parent,
                                            .trace = trace,
                                            .id = QUERY_NO_CONTEXT,
                                            .service = service,
                                            .peer = QUERY_NO_CONTEXT,
                                            .kind = kind,
                                            .is_judged = true};
    in.span_count++;
    return &rows[in.n++];
}

static struct query_context_row *record(uint32_t trace, uint32_t service) {
    rows[in.n] = (struct query_context_row){.time = noon,
                                            .trace = trace,
                                            .id = QUERY_NO_CONTEXT,
                                            .service = service,
                                            .peer = QUERY_NO_CONTEXT,
                                            .signal = SIGNAL_LOGS,
                                            .is_judged = true};
    return &rows[in.n++];
}

static void make(void) {
    err e = propagation_make(&a, &in, &told, &out);
    if (e) fail_msg("%s", err_text(e));
}

static const struct propagation_finding *find(enum propagation_kind kind, const char *service) {
    for (size_t i = 0; i < out.finding_count; i++)
        if (out.findings[i].kind == kind && str_equal(out.findings[i].service, str_of(service)))
            return &out.findings[i];
    return NULL;
}

static const struct propagation_finding *found(enum propagation_kind kind, const char *service, uint64_t count,
                                               uint64_t of, enum propagation_certainty certainty) {
    const struct propagation_finding *f = find(kind, service);
    if (!f) fail_msg("no %s of %s", propagation_kind_names[kind], service);
    assert_int_equal(f->count, count);
    assert_int_equal(f->of, of);
    assert_int_equal(f->certainty, certainty);
    return f;
}

static void what_is_whole_is_no_finding(void **state) {
    (void)state;
    begin();
    span(1, 0, WEB, SERVER, 0, 100);
    span(1, 1, WEB, CLIENT, 10, 50)->peer = PAY;
    span(1, 2, PAY, SERVER, 12, 40);
    span(2, 0, PAY, SERVER, 15, 10); /* of somebody else: while the call ran, but that has its answer */
    span(3, 99, MAIL, SERVER, 20, 10);
    span(3, 99, MAIL, SERVER, 40, 10);              /* one caller outside */
    span(4, 0, WEB, CLIENT, 500, 10)->peer = QUEUE; /* calls what sends nothing */
    record(1, WEB);
    make();
    assert_int_equal(out.finding_count, 0);
    assert_int_equal(out.spans, 7);
    assert_int_equal(out.n, 3);
    assert_true(str_equal(out.services[0].name, STR("mail")));
    assert_int_equal(out.services[0].outside_parents, 2);
    assert_true(str_equal(out.services[1].language, STR("go")));
    arena_done(&a);
}

/* Calls that name whom they call, by its name or its host's; paired one to one, within the call's time. */
static void calls_without_an_answer_are_paired_by_time(void **state) {
    (void)state;
    begin();
    for (uint32_t i = 0; i < 8; i++) {
        span(10 + i, 0, WEB, CLIENT, 1000 * i, 50)->peer = i % 2 ? PAY : HOST;
        if (i < 4) span(20 + i, 0, PAY, SERVER, 1000 * i + 5, 40);
        if (i == 4) span(30, 0, PAY, SERVER, 1000 * i + 5, 400); /* longer than its call: not that */
        if (i == 5) span(31, 0, PAY, SERVER, 1000 * i + 500, 1); /* later */
        if (i == 6) span(32, 0, PAY, INTERNAL, 1000 * i + 5, 1); /* nobody calls that */
        if (i == 7) span(10 + i, in.n, PAY, SERVER, 1000 * i + 5, 1);
    }
    make();
    const struct propagation_finding *f = found(PROPAGATION_LOST_TRACE, "pay", 4, 8, PROPAGATION_LIKELY);
    assert_true(str_equal(f->caller, STR("web")));
    assert_true(str_equal(f->language, STR("go")));
    assert_int_equal(f->caller_language.n, 0);
    assert_int_equal(f->sample_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_memory_equal(f->samples[i].trace_id, traces[10 + i], 16);
        assert_memory_equal(f->samples[i].other_trace_id, traces[20 + i], 16);
    }
    assert_int_equal(out.finding_count, 1);
    struct propagation_advice advice[PROPAGATION_ADVICE_MAX];
    assert_int_equal(propagation_advise(f, advice), 2);
    assert_string_equal(advice[0].language, "other");
    assert_string_equal(advice[1].language, "go");
    assert_non_null(strstr(advice[1].snippet, "otelhttp"));
    arena_done(&a);
}

/* With one correlation id on both sides nobody has to be named, and it is certain. */
static void one_id_on_both_sides_is_proof(void **state) {
    (void)state;
    begin();
    span(1, 0, WEB, SERVER, 0, 100)->id = 7;
    span(1, 1, WEB, CLIENT, 10, 50);
    span(2, 0, PAY, SERVER, 12, 40)->id = 7;
    span(3, 0, MAIL, SERVER, 12, 40)->id = 8;
    make();
    found(PROPAGATION_LOST_TRACE, "pay", 1, 1, PROPAGATION_CERTAIN);
    assert_null(find(PROPAGATION_LOST_TRACE, "mail"));
    rows[2].id = 9;
    make();
    assert_null(find(PROPAGATION_LOST_TRACE, "pay"));
    rows[1].peer = PAY;
    make();
    found(PROPAGATION_LOST_TRACE, "pay", 1, 1, PROPAGATION_POSSIBLE);
    arena_done(&a);
}

/* Ids of both sides, and the name, tell where clocks do not; a root that nobody can have called so is none. */
static void clocks_that_are_apart_hide_nothing_with_an_id(void **state) {
    (void)state;
    for (int64_t ahead = -600000; ahead <= 600000; ahead += 400000) {
        begin();
        for (uint32_t i = 0; i < 4; i++) {
            span(10 + i, 0, WEB, SERVER, 1000 * i, 100)->id = i / 2; /* two calls of an id */
            span(10 + i, in.n, WEB, CLIENT, 1000 * i + 10, 50)->peer = HOST;
            span(20 + i, 0, PAY, SERVER, ahead + 1000 * i + 15, 40)->id = i / 2;
        }
        make();
        const struct propagation_finding *f = found(PROPAGATION_LOST_TRACE, "pay", 4, 4, PROPAGATION_LIKELY);
        for (uint32_t i = 0; i < 4; i++) {
            assert_memory_equal(f->samples[i].trace_id, traces[10 + i], 16);
            assert_memory_equal(f->samples[i].other_trace_id, traces[20 + i], 16);
        }
        for (uint32_t i = 0; i < 4; i++) rows[3 * i + 2].duration = 60 * ms * 2; /* longer than the call */
        make();
        assert_null(find(PROPAGATION_LOST_TRACE, "pay"));
        for (uint32_t i = 0; i < 4; i++) rows[3 * i + 2].duration = 40 * ms, rows[3 * i + 1].peer = QUERY_NO_CONTEXT;
        make(); /* who says not whom he calls may have begun anything */
        assert_null(find(PROPAGATION_LOST_TRACE, "pay"));
        for (uint32_t i = 0; i < 4; i++) rows[3 * i + 1].peer = HOST, rows[3 * i + 2].id = 7;
        make();
        assert_null(find(PROPAGATION_LOST_TRACE, "pay"));
        arena_done(&a);
    }
}

/* Without ids: calls that are answered tell of the clock, and then the time does. */
static void clocks_are_known_by_what_is_answered(void **state) {
    (void)state;
    for (int64_t ahead = -200000; ahead <= 200000; ahead += 100000) {
        begin();
        for (uint32_t i = 0; i < 12; i++) {
            bool lost = i % 4 == 0;
            span(10 + i, 0, WEB, CLIENT, 1000 * i, 50)->peer = PAY;
            span(lost ? 100 + i : 10 + i, lost ? 0 : in.n, PAY, SERVER, ahead + 1000 * i + 5 + i % 3, 40);
            span(200 + i, 0, PAY, SERVER, ahead + 1000 * i + 500, 40); /* of somebody else */
        }
        make();
        const struct propagation_finding *f = found(PROPAGATION_LOST_TRACE, "pay", 3, 12, PROPAGATION_LIKELY);
        for (uint32_t i = 0; i < 3; i++) assert_memory_equal(f->samples[i].other_trace_id, traces[100 + 4 * i], 16);
        assert_int_equal(out.finding_count, 1);
        arena_done(&a);
    }
}

/* One slow answer among many is no clock. */
static void a_server_that_goes_on_is_no_clock(void **state) {
    (void)state;
    begin();
    for (uint32_t i = 0; i < 5; i++) {
        span(10 + i, 0, WEB, CLIENT, 1000 * i, 50)->peer = PAY;
        span(10 + i, in.n, PAY, SERVER, 1000 * i + 5, i < 3 ? 40 : 5000);
    }
    span(30, 0, WEB, CLIENT, 9000, 50)->peer = PAY;
    span(31, 0, PAY, SERVER, 9005, 40);
    make();
    found(PROPAGATION_LOST_TRACE, "pay", 1, 6, PROPAGATION_POSSIBLE);
    arena_done(&a);
}

static void messages_are_paired_with_who_takes_them(void **state) {
    (void)state;
    begin();
    span(1, 0, WEB, PRODUCER, 0, 1)->id = 7;
    span(2, 0, MAIL, CONSUMER, 60000, 40)->id = 7;
    make();
    assert_true(found(PROPAGATION_LOST_TRACE, "mail", 1, 1, PROPAGATION_CERTAIN)->by_message);
    rows[1].time += 600000 * ms;
    make();
    assert_null(find(PROPAGATION_LOST_TRACE, "mail"));
    arena_done(&a);
}

static void parents_that_should_be_here_are_missed(void **state) {
    (void)state;
    begin();
    span(1, 0, WEB, SERVER, 0, 100);
    span(1, 77, PAY, SERVER, 10, 50); /* the trace has a beginning */
    span(2, 88, PAY, SERVER, 10, 50);
    span(2, 89, PAY, SERVER, 10, 50); /* two different ones */
    span(3, 90, PAY, SERVER, 10, 50); /* one outside */
    span(4, 91, PAY, SERVER, 10, 50)->is_judged = false;
    make();
    const struct propagation_finding *f = found(PROPAGATION_MISSING_PARENT, "pay", 3, 4, PROPAGATION_LIKELY);
    assert_int_equal(f->sample_count, 2); /* of different traces */
    assert_int_equal(f->samples[0].other_span_id, 77);
    assert_int_equal(out.services[0].outside_parents, 1);
    assert_int_equal(out.services[0].spans, 4);
    arena_done(&a);
}

static void ids_are_dropped_at_a_call(void **state) {
    (void)state;
    begin();
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t root = in.n + 1;
        span(i, 0, WEB, SERVER, 0, 100)->id = i < 3 ? i : QUERY_NO_CONTEXT;
        span(i, root, PAY, SERVER, 10, 50);
        span(i, root + 1, PAY, INTERNAL, 10, 50)->id = i == 0 ? 0 : QUERY_NO_CONTEXT; /* on any of its spans */
    }
    record(0, PAY);
    record(0, PAY)->id = 0;
    record(1, PAY); /* its spans have none either */
    record(QUERY_NO_CONTEXT, PAY);
    make();
    assert_true(str_equal(found(PROPAGATION_LOST_ID, "pay", 2, 3, PROPAGATION_CERTAIN)->caller, STR("web")));
    found(PROPAGATION_LOG_WITHOUT_ID, "pay", 1, 2, PROPAGATION_CERTAIN);
    found(PROPAGATION_LOG_WITHOUT_TRACE, "pay", 1, 4, PROPAGATION_CERTAIN);
    in.span_count = 0, in.rows += 12, in.n = 4; /* of a service without spans nobody expects traces */
    make();
    assert_null(find(PROPAGATION_LOG_WITHOUT_TRACE, "pay"));
    arena_done(&a);
}

/* Rings, equal spans, rows without ids, a thousand calls at one moment. */
static void odd_rows_end(void **state) {
    (void)state;
    begin();
    span(1, 2, WEB, SERVER, 0, 1);
    span(1, 1, PAY, SERVER, 0, 1);
    span(1, 3, PAY, SERVER, 0, 1); /* its own parent */
    span(QUERY_NO_CONTEXT, 5, PAY, CLIENT, 0, INT64_MAX / ms);
    span(QUERY_NO_CONTEXT, 0, MAIL, SERVER, 0, 1)->span_id = 0;
    for (uint32_t i = 0; i < 9000; i++) span(10 + i, 0, WEB, CLIENT, 0, 10)->peer = PAY;
    for (uint32_t i = 0; i < 9000; i++) span(10000 + i, 0, PAY, SERVER, 1, 5);
    span(10, 0, WEB, CLIENT, 0, 10)->span_id = 6; /* sent twice */
    make();
    found(PROPAGATION_LOST_TRACE, "pay", 9000, 9001, PROPAGATION_LIKELY);
    in.n = in.span_count = 0;
    make();
    assert_int_equal(out.n + out.finding_count, 0);
    arena_done(&a);
    arena_init(&a, 4 * KIB);
    in.n = in.span_count = 9000;
    err e = propagation_make(&a, &in, &told, &out);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    arena_done(&a);
}

static void every_finding_has_advice_in_every_language(void **state) {
    (void)state;
    static const char *const languages[] = {"nodejs", "webjs", "python", "java", "go", "dotnet", "erlang", ""};
    for (int kind = 0; kind < PROPAGATION_KINDS; kind++)
        for (size_t i = 0; i < LENGTH(languages); i++) {
            struct propagation_advice advice[PROPAGATION_ADVICE_MAX];
            struct propagation_finding f = {.kind = (enum propagation_kind)kind,
                                            .language = str_of(languages[i]),
                                            .caller_language = STR("python")};
            uint32_t n = propagation_advise(&f, advice);
            assert_true(n > 0);
            for (uint32_t k = 0; k < n; k++) {
                assert_true(strlen(advice[k].title) > 10 && strlen(advice[k].snippet) > 40);
                assert_true(advice[k].snippet[strlen(advice[k].snippet) - 1] == '\n');
            }
            assert_true((i > 5) == (strcmp(advice[n - 1].language, "other") == 0));
        }
}

/* Parents end after their children, so they come later: what happened just now is not told, and is once they had their time. */
static void traces_under_way_are_not_counted(void **state) {
    (void)state;
    static const struct {
        int64_t now_ms;
        bool is_told;
    } cases[] = {{140, false}, {30139, false}, {30140, true}, {3600000, true}, {-600000, true}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        begin();
        span(1, 0, WEB, SERVER, 0, 100);
        span(1, 98, PAY, SERVER, 20, 10);
        span(1, 98, PAY, SERVER, 40, 100); /* the last of the trace ends at 140 */
        in.now_ns = noon + cases[i].now_ms * ms;
        make();
        assert_int_equal(find(PROPAGATION_MISSING_PARENT, "pay") != NULL, cases[i].is_told);
        assert_int_equal(out.spans, 3);
        arena_done(&a);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_whole_is_no_finding),
        cmocka_unit_test(traces_under_way_are_not_counted),
        cmocka_unit_test(calls_without_an_answer_are_paired_by_time),
        cmocka_unit_test(one_id_on_both_sides_is_proof),
        cmocka_unit_test(clocks_that_are_apart_hide_nothing_with_an_id),
        cmocka_unit_test(clocks_are_known_by_what_is_answered),
        cmocka_unit_test(a_server_that_goes_on_is_no_clock),
        cmocka_unit_test(messages_are_paired_with_who_takes_them),
        cmocka_unit_test(parents_that_should_be_here_are_missed),
        cmocka_unit_test(ids_are_dropped_at_a_call),
        cmocka_unit_test(odd_rows_end),
        cmocka_unit_test(every_finding_has_advice_in_every_language),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
