#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const unsigned char trace_id[16] = {9, 8, 7};

struct row {
    uint64_t id, parent;
    int64_t start, duration;
};

static void add_rows(struct world *w, const struct row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct sample s = {.signal = SIGNAL_SPANS,
                           .span_id = rows[i].id,
                           .parent_id = rows[i].parent,
                           .time = rows[i].start,
                           .duration = rows[i].duration,
                           .service = "cart",
                           .name = "op",
                           .code = -1};
        memcpy(s.trace_id, trace_id, 16);
        world_add(w, &s, 1);
    }
}

/* Expected, one span a line: "id depth self". */
struct line {
    uint64_t id;
    uint32_t depth;
    int64_t self;
    bool missing;
};

static void check_tree(const struct row *rows, size_t n, const struct line *lines, size_t line_count) {
    struct world w;
    struct query q;
    struct query_trace_answer t;
    world_open(&w, 1);
    add_rows(&w, rows, n);
    world_query(&w, &q);
    ASSERT_OK(query_trace(&q, trace_id, &t));
    assert_int_equal(t.n, line_count);
    assert_int_equal(t.duplicates, n - line_count);
    for (size_t i = 0; i < line_count; i++) {
        assert_int_equal(batch_u64(&t.batch, SET_ROWS, FIELD_SPAN_ID, t.spans[i].row), lines[i].id);
        assert_int_equal(t.spans[i].depth, lines[i].depth);
        assert_int_equal(t.spans[i].self_time, lines[i].self);
        assert_int_equal(t.spans[i].parent_missing, lines[i].missing);
    }
    query_end(&q);
    world_close(&w);
}
#define CHECK_TREE(rows, ...)                                                                                          \
    do {                                                                                                               \
        static const struct line lines_[] = {__VA_ARGS__};                                                             \
        check_tree(rows, LENGTH(rows), lines_, LENGTH(lines_));                                                        \
    } while (0)

static void children_follow_their_parents_by_start(void **state) {
    (void)state;
    static const struct row rows[] = {{3, 1, 50, 10}, {2, 1, 20, 10}, {4, 2, 22, 5}, {1, 0, 0, 100}};
    CHECK_TREE(rows, {1, 0, 80, false}, {2, 1, 5, false}, {4, 2, 5, false}, {3, 1, 10, false});
}

static void self_time_is_what_no_child_covers(void **state) {
    (void)state;
    /* children overlap, one begins before and one ends after the parent */
    static const struct row rows[] = {{1, 0, 100, 100}, {2, 1, 90, 20}, {3, 1, 105, 20}, {4, 1, 190, 50}};
    CHECK_TREE(rows, {1, 0, 65, false}, {2, 1, 20, false}, {3, 1, 20, false}, {4, 1, 50, false});
}

static void negative_durations_count_as_none(void **state) {
    (void)state;
    static const struct row rows[] = {{1, 0, 100, -7}, {2, 1, 90, 20}};
    CHECK_TREE(rows, {1, 0, 0, false}, {2, 1, 20, false});
}

static void equal_spans_are_shown_once(void **state) {
    (void)state;
    static const struct row rows[] = {{1, 0, 0, 10}, {1, 0, 0, 10}, {2, 1, 1, 2}, {1, 0, 0, 10}, {2, 1, 1, 2}};
    CHECK_TREE(rows, {1, 0, 8, false}, {2, 1, 2, false});
}

static void one_id_at_two_times_is_two_spans(void **state) {
    (void)state;
    static const struct row rows[] = {{1, 0, 0, 10}, {1, 0, 50, 10}, {2, 1, 51, 2}};
    CHECK_TREE(rows, {1, 0, 10, false}, {2, 1, 2, false}, {1, 0, 10, false});
}

static void spans_without_their_parents_are_roots(void **state) {
    (void)state;
    static const struct row rows[] = {{5, 77, 10, 5}, {6, 5, 11, 2}, {7, 77, 30, 1}, {8, 78, 40, 1}};
    CHECK_TREE(rows, {5, 0, 3, true}, {6, 1, 2, false}, {7, 0, 1, true}, {8, 0, 1, true});
    struct world w;
    struct query q;
    struct query_trace_answer t;
    world_open(&w, 1);
    add_rows(&w, rows, LENGTH(rows));
    world_query(&w, &q);
    ASSERT_OK(query_trace(&q, trace_id, &t));
    assert_int_equal(t.missing_count, 2);
    assert_true(t.missing[0] == 77 && t.missing[1] == 78);
    assert_true(t.summary.root_missing);
    query_end(&q);
    world_close(&w);
}

static void rings_are_entered_at_their_earliest_span(void **state) {
    (void)state;
    static const struct row ring[] = {{1, 3, 10, 4}, {2, 1, 11, 1}, {3, 2, 12, 1}, {4, 3, 13, 1}};
    CHECK_TREE(ring, {1, 0, 3, false}, {2, 1, 1, false}, {3, 2, 1, false}, {4, 3, 1, false});
    static const struct row self[] = {{1, 1, 10, 4}, {2, 1, 11, 1}};
    CHECK_TREE(self, {1, 0, 3, false}, {2, 1, 1, false});
}

static void a_trace_that_is_not_there_is_not_found(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_trace_answer t;
    world_open(&w, 1);
    world_query(&w, &q);
    err e = query_trace(&q, trace_id, &t);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_NOT_FOUND);
    err_free(e);
    query_end(&q);
    world_close(&w);
}

/* Whatever the links: every span once, below a parent that came before, siblings by start. */
static void check_shape(const struct query_trace_answer *t) {
    uint32_t *path = mem_new_array(uint32_t, t->n + 1);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct query_span *s = &t->spans[i];
        assert_true(i == 0 || s->depth <= t->spans[i - 1].depth + 1);
        assert_true(i > 0 || s->depth == 0);
        path[s->depth] = i;
        if (s->depth > 0)
            assert_true(batch_u64(&t->batch, SET_ROWS, FIELD_PARENT_ID, s->row) ==
                        batch_u64(&t->batch, SET_ROWS, FIELD_SPAN_ID, t->spans[path[s->depth - 1]].row));
        int64_t duration = (int64_t)batch_u64(&t->batch, SET_ROWS, FIELD_DURATION, s->row);
        assert_true(s->self_time >= 0 && s->self_time <= MAX(duration, 0));
    }
    mem_free(path);
}

static void random_traces_keep_their_shape(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world w;
        struct query q;
        struct query_trace_answer t;
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 1 + (uint32_t)seed * 3, 1, 1000000, seed % 2 ? 10 : 100000);
        world_query(&w, &q);
        ASSERT_OK(query_trace(&q, w.rows.v[0].trace_id, &t));
        assert_int_equal(t.n + t.duplicates, w.rows.n);
        check_shape(&t);
        query_end(&q);
        assert_int_equal(budget_used(&w.budget), 0);
        world_close(&w);
    }
}

static void a_chain_of_twenty_thousand_spans_is_no_recursion(void **state) {
    (void)state;
    enum { N = 20000 };
    struct world w;
    struct query q;
    struct query_trace_answer t;
    world_open(&w, 1);
    struct sample *rows = mem_new_array(struct sample, N);
    for (uint32_t i = 0; i < N; i++) {
        rows[i] = (struct sample){.signal = SIGNAL_SPANS,
                                  .span_id = i + 1,
                                  .parent_id = i,
                                  .time = 1000 + i,
                                  .duration = N - i,
                                  .service = "cart",
                                  .name = "op",
                                  .code = -1};
        memcpy(rows[i].trace_id, trace_id, 16);
    }
    world_add(&w, rows, N);
    world_query(&w, &q);
    ASSERT_OK(query_trace(&q, trace_id, &t));
    assert_int_equal(t.n, N);
    assert_int_equal(t.spans[N - 1].depth, N - 1);
    query_end(&q);
    mem_free(rows);
    world_close(&w);
}

static void a_trace_that_the_memory_does_not_hold_is_cut(void **state) {
    (void)state;
    enum { N = 20000 };
    struct world w;
    struct query q;
    struct query_trace_answer t;
    world_open(&w, 1);
    struct sample *rows = mem_new_array(struct sample, N);
    for (uint32_t i = 0; i < N; i++) {
        rows[i] = (struct sample){
            .signal = SIGNAL_SPANS, .span_id = i + 1, .time = 1000 + i, .service = "cart", .name = "op", .code = -1};
        memcpy(rows[i].trace_id, trace_id, 16);
    }
    world_add(&w, rows, N);
    query_begin(&q, &(struct query_options){.store = w.store, .budget = &w.budget, .memory_max_bytes = 2 * MIB});
    ASSERT_OK(query_trace(&q, trace_id, &t));
    assert_true(t.cut);
    assert_true(t.n > 128 && t.n < N);
    query_end(&q);
    world_query(&w, &q);
    ASSERT_OK(query_trace(&q, trace_id, &t));
    assert_false(t.cut);
    assert_int_equal(t.n, N);
    query_end(&q);
    assert_int_equal(budget_used(&w.budget), 0);
    mem_free(rows);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_follow_their_parents_by_start),
        cmocka_unit_test(self_time_is_what_no_child_covers),
        cmocka_unit_test(negative_durations_count_as_none),
        cmocka_unit_test(equal_spans_are_shown_once),
        cmocka_unit_test(one_id_at_two_times_is_two_spans),
        cmocka_unit_test(spans_without_their_parents_are_roots),
        cmocka_unit_test(rings_are_entered_at_their_earliest_span),
        cmocka_unit_test(a_trace_that_is_not_there_is_not_found),
        cmocka_unit_test(random_traces_keep_their_shape),
        cmocka_unit_test(a_chain_of_twenty_thousand_spans_is_no_recursion),
        cmocka_unit_test(a_trace_that_the_memory_does_not_hold_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
