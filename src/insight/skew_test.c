/* Clocks of services that are apart: what calls between them tell, against worlds whose clocks a test sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "insight/trace_tree.h"

enum { MOST = 512, CLIENT = 3, SERVER = 2, PRODUCER = 4, CONSUMER = 5 };
static const int64_t ms = 1000000;
#define BEGIN ((int64_t)1700000000 * 1000000000)

static struct tree_span spans[MOST];
static struct trace_tree t;
static struct arena a;
static uint64_t chance;

static uint32_t below(uint32_t n) {
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((chance >> 33) % n);
}

static void begin(uint32_t services) {
    arena_init(&a, 16 * MIB);
    t = (struct trace_tree){.spans = spans, .service_count = services};
}

/* Times as they were stored, ms after BEGIN. */
static uint32_t add(uint32_t parent, uint32_t service, uint32_t kind, int64_t start_ms, int64_t duration_ms) {
    int64_t start = BEGIN + start_ms * ms;
    assert_true(t.n < MOST);
    spans[t.n] = (struct tree_span){.parent = parent,
                                    .depth = parent == TREE_NONE ? 0 : spans[parent].depth + 1,
                                    .service = service,
                                    .kind = kind,
                                    .stored_start = start,
                                    .start = start,
                                    .duration = duration_ms * ms};
    return t.n++;
}

static void correct(void) {
    err e = trace_tree_correct(&a, &t);
    if (e) fail_msg("%s", err_text(e));
}

static void a_call_that_fits_says_nothing(void **state) {
    (void)state;
    begin(2);
    uint32_t client = add(TREE_NONE, 0, CLIENT, 0, 100);
    add(client, 1, SERVER, 30, 50);
    correct();
    assert_false(t.is_corrected);
    assert_true(t.clocks[1].is_known && t.clocks[1].ahead_ns == 0 && t.clocks[1].calls == 1);
    arena_done(&a);
}

/* Jaeger's midpoint: the server in the middle of the client's time. */
static void one_call_puts_the_server_in_the_middle(void **state) {
    (void)state;
    begin(2);
    uint32_t client = add(TREE_NONE, 0, CLIENT, 0, 100);
    uint32_t server = add(client, 1, SERVER, 123030, 50);
    add(server, 1, 1, 123040, 10);
    correct();
    assert_true(t.is_corrected);
    assert_int_equal(t.clocks[1].ahead_ns, 123005 * ms);
    assert_int_equal(spans[server].start, BEGIN + 25 * ms);
    assert_int_equal(spans[server].stored_start, BEGIN + 123030 * ms);
    assert_int_equal(spans[2].start, BEGIN + 35 * ms); /* all of the service's spans */
    arena_done(&a);
}

static void several_calls_say_it_more_closely(void **state) {
    (void)state;
    begin(2);
    uint32_t root = add(TREE_NONE, 0, SERVER, 0, 400);
    uint32_t one = add(root, 0, CLIENT, 0, 100), two = add(root, 0, CLIENT, 200, 100);
    add(one, 1, SERVER, -5000 + 1, 60);        /* -5039 … -4999 */
    add(two, 1, SERVER, -5000 + 200 + 35, 60); /* -5005 … -4965 */
    correct();
    assert_int_equal(t.clocks[1].ahead_ns, -5002 * ms);
    assert_int_equal(t.clocks[1].calls, 2);
    assert_int_equal(t.clocks[1].against, 0);
    arena_done(&a);
}

/* Work that goes on after its caller has its answer is no clock. */
static void most_calls_decide(void **state) {
    (void)state;
    begin(2);
    uint32_t root = add(TREE_NONE, 0, SERVER, 0, 1000);
    for (int i = 0; i < 4; i++) {
        uint32_t client = add(root, 0, CLIENT, 100 * i, 50);
        add(client, 1, SERVER, 100 * i + (i == 3 ? 45 : 10), 30);
    }
    correct();
    assert_false(t.is_corrected);
    assert_int_equal(t.clocks[1].calls, 3);
    assert_int_equal(t.clocks[1].against, 1);
    arena_done(&a);
}

static void what_is_no_call_says_nothing(void **state) {
    (void)state;
    begin(3);
    uint32_t root = add(TREE_NONE, 0, SERVER, 0, 100);
    uint32_t sent = add(root, 0, PRODUCER, 10, 1);
    add(sent, 1, CONSUMER, 60000, 10); /* a message waits */
    add(root, 2, 1, 90000, 10);
    correct();
    assert_false(t.is_corrected);
    assert_false(t.clocks[1].is_known || t.clocks[2].is_known);
    arena_done(&a);
}

static void less_than_a_millisecond_is_none(void **state) {
    (void)state;
    begin(2);
    uint32_t client = add(TREE_NONE, 0, CLIENT, 10, 10);
    uint32_t server = add(client, 1, SERVER, 10, 9);
    spans[server].stored_start -= ms - 1;
    correct();
    assert_false(t.is_corrected);
    spans[server].stored_start -= 1;
    correct();
    assert_true(t.is_corrected);
    arena_done(&a);
}

/* Its client gave up: it says no more than that it began while the client was there. */
static void a_server_that_worked_longer_counts_alone_only(void **state) {
    (void)state;
    begin(2);
    uint32_t root = add(TREE_NONE, 0, SERVER, 0, 1000);
    uint32_t gave_up = add(root, 0, CLIENT, 0, 100);
    add(gave_up, 1, SERVER, 50, 500);
    correct();
    assert_false(t.is_corrected);
    t.n = 2;
    add(gave_up, 1, SERVER, -7000, 500);
    correct();
    assert_int_equal(t.clocks[1].ahead_ns, -7000 * ms);
    uint32_t client = add(root, 0, CLIENT, 200, 20);
    add(client, 1, SERVER, 205, 10);
    correct();
    assert_false(t.is_corrected);
    arena_done(&a);
}

/* Services with clocks up to ten minutes apart, of which each is called by one other, at random: corrected, every call fits. */
static void clocks_that_are_set_are_found(void **state) {
    (void)state;
    enum { SERVICES = 8 };
    for (chance = 1; chance < 200; chance++) {
        int64_t ahead_ms[SERVICES];
        uint64_t seed = chance;
        begin(SERVICES);
        for (int i = 0; i < SERVICES; i++) ahead_ms[i] = i == 0 ? 0 : (int64_t)below(1200000) - 600000;
        add(TREE_NONE, 0, SERVER, 0, 100000);
        for (uint32_t i = 0; i < 100; i++) {                     /* spans of 100 s, halved with each step */
            uint32_t parent = 2 * below((t.n + 1) / 2), service; /* servers have even numbers */
            const struct tree_span *p = &spans[parent];
            service = 2 * p->service + 1 + below(2);
            if (p->depth > 12 || service >= SERVICES) continue;
            int64_t length = p->duration / ms / 2, at = (p->stored_start - BEGIN) / ms - ahead_ms[p->service];
            at += below((uint32_t)length);
            uint32_t client = add(parent, p->service, CLIENT, at + ahead_ms[p->service], length);
            add(client, service, SERVER, at + length / 4 + ahead_ms[service], length / 2);
        }
        correct();
        for (uint32_t i = 1; i < t.n; i++) {
            const struct tree_span *s = &spans[i], *p = &spans[s->parent];
            assert_true(t.clocks[s->service].is_known);
            assert_int_equal(t.clocks[s->service].against, 0);
            if (s->kind == CLIENT) continue;
            int64_t slack = SKEW_LEAST_NS;
            if (s->start < p->start - slack || s->start + s->duration > p->start + p->duration + slack)
                fail_msg("seed %llu: span %u is outside its caller", (unsigned long long)seed, i);
        }
        chance = seed;
        arena_done(&a);
    }
}

static void hostile_times_stay_in_bounds(void **state) {
    (void)state;
    begin(3);
    uint32_t client = add(TREE_NONE, 0, CLIENT, 0, 0);
    uint32_t server = add(client, 1, SERVER, 0, 0);
    uint32_t other = add(server, 2, SERVER, 0, 0);
    spans[client].stored_start = spans[client].start = 0;
    spans[server].stored_start = spans[server].start = INT64_MAX;
    spans[other].stored_start = spans[other].start = 0;
    spans[other].duration = INT64_MAX;
    correct();
    for (uint32_t i = 0; i < t.n; i++) {
        int64_t end;
        assert_true(spans[i].start >= 0);
        assert_false(__builtin_add_overflow(spans[i].start, spans[i].duration, &end));
    }
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_that_fits_says_nothing),
        cmocka_unit_test(one_call_puts_the_server_in_the_middle),
        cmocka_unit_test(several_calls_say_it_more_closely),
        cmocka_unit_test(most_calls_decide),
        cmocka_unit_test(what_is_no_call_says_nothing),
        cmocka_unit_test(less_than_a_millisecond_is_none),
        cmocka_unit_test(a_server_that_worked_longer_counts_alone_only),
        cmocka_unit_test(clocks_that_are_set_are_found),
        cmocka_unit_test(hostile_times_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
