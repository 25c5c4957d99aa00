/* Edges against brute force: random trees of spans, some with parents that never arrive. */
#include "query/edges.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char *const services[] = {"web", "cart", "payment", NULL};

/* Spans of `traces` trees; ids are unique within a trace, a parent is an older span of it, none, or one that is not there. */
static void grow_trees(struct world *w, uint32_t n, uint32_t traces) {
    struct sample *rows = mem_new_array(struct sample, n);
    for (uint32_t i = 0; i < n; i++) {
        rows[i] = (struct sample){.signal = SIGNAL_SPANS,
                                  .span_id = i + 1,
                                  .time = 1000000000000 + world_below(w, 1000),
                                  .duration = 1,
                                  .status = world_below(w, 4) == 0 ? 2 : 0,
                                  .code = -1,
                                  .name = "work",
                                  .service = services[world_below(w, LENGTH(services))],
                                  .environment = world_below(w, 2) ? "prod" : NULL};
        rows[i].trace_id[0] = (unsigned char)(i % traces + 1);
        uint32_t choice = world_below(w, 8);
        if (choice == 0) continue;
        rows[i].parent_id = choice == 1   ? 1000000 + i
                            : i >= traces ? i % traces + 1 + traces * world_below(w, i / traces)
                                          : 0;
    }
    for (uint32_t i = 0; i < n; i += 40) {
        world_add(w, rows + i, MIN(40, n - i));
        world_shake(w);
    }
    mem_free(rows);
}

static const struct sample *parent_of(const struct world *w, const struct world_filter *f, const struct sample *s) {
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *p = &w->rows.v[i];
        if (p->span_id == s->parent_id && memcmp(p->trace_id, s->trace_id, 16) == 0 && sample_matches(f, p)) return p;
    }
    return NULL;
}

static void assert_edge(const struct world *w, const struct world_filter *f, const struct query_edge *e) {
    uint64_t calls = 0, errors = 0;
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i], *p = sample_matches(f, s) && s->parent_id ? parent_of(w, f, s) : NULL;
        if (!p || !str_equal(str_of(sample_service(p)), e->parent) || !str_equal(str_of(sample_service(s)), e->child))
            continue;
        calls++;
        errors += s->status == 2;
    }
    assert_int_equal(e->calls, calls);
    assert_int_equal(e->errors, errors);
    assert_true(calls > 0);
}

static uint64_t calls_between_services(const struct world *w, const struct world_filter *f) {
    uint64_t n = 0;
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i], *p = sample_matches(f, s) && s->parent_id ? parent_of(w, f, s) : NULL;
        n += p && strcmp(sample_service(p), sample_service(s)) != 0;
    }
    return n;
}

static void edges_equal_brute_force(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        struct query q;
        struct world_filter f = {0};
        struct query_edges_answer found;
        world_open(&w, seed);
        grow_trees(&w, 20 + (uint32_t)seed * 7, 1 + (uint32_t)seed % 5);
        world_query(&w, &q);
        query_filter_init(&f.filter);
        f.filter.time_min = 1000000000000;
        f.filter.time_max = 1000000000000 + (seed % 3 ? 1000 : 500);
        if (seed % 4 == 0) f.filter.environment = STR("prod");
        ASSERT_OK(query_edges(&q, &f.filter, &found));
        uint64_t calls = 0;
        for (size_t i = 0; i < found.n; i++) {
            assert_edge(&w, &f, &found.edges[i]);
            assert_true(i == 0 || found.edges[i - 1].calls >= found.edges[i].calls);
            calls += found.edges[i].calls;
        }
        assert_int_equal(calls, calls_between_services(&w, &f));
        assert_false(found.cut);
        query_end(&q);
        world_close(&w);
    }
}

static void a_span_that_was_sent_again_counts_once(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_filter f;
    struct query_edges_answer found;
    struct sample rows[3] = {
        {.signal = SIGNAL_SPANS, .trace_id = {1}, .span_id = 1, .time = 5, .code = -1, .name = "a", .service = "web"},
        {.signal = SIGNAL_SPANS,
         .trace_id = {1},
         .span_id = 2,
         .parent_id = 1,
         .time = 6,
         .code = -1,
         .name = "b",
         .service = "cart"}};
    rows[2] = rows[1];
    world_open(&w, 1);
    world_add(&w, rows, LENGTH(rows));
    world_query(&w, &q);
    query_filter_init(&f);
    ASSERT_OK(query_edges(&q, &f, &found));
    assert_int_equal(found.n, 1);
    assert_int_equal(found.edges[0].calls, 1);
    query_end(&q);
    world_close(&w);
}

static void without_spans_there_are_no_edges(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_filter f;
    struct query_edges_answer found;
    world_open(&w, 1);
    world_query(&w, &q);
    query_filter_init(&f);
    ASSERT_OK(query_edges(&q, &f, &found));
    assert_int_equal(found.n, 0);
    query_end(&q);
    world_close(&w);
}

static void too_little_memory_is_said_before_it_is_taken(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_filter f;
    struct query_edges_answer found;
    world_open(&w, 7);
    grow_trees(&w, 4000, 3);
    world_query(&w, &q);
    q.options.memory_max_bytes = 100 * KIB; /* 4,000 spans want 256 KiB of map */
    query_filter_init(&f);
    err e = query_edges(&q, &f, &found);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    assert_int_equal(found.n, 0);
    query_end(&q);
    assert_int_equal(budget_used(&w.budget), 0);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_equal_brute_force),
        cmocka_unit_test(a_span_that_was_sent_again_counts_once),
        cmocka_unit_test(without_spans_there_are_no_edges),
        cmocka_unit_test(too_little_memory_is_said_before_it_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
