/* Some spans of a trace against brute force; the bare tree against the whole one. */
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 24 };

static void fill(struct world *w, uint64_t seed) {
    world_open(w, seed);
    world_fill(w, SIGNAL_SPANS, 20 + (uint32_t)seed * 5, 1 + (uint32_t)seed % 4, 1000000, seed % 2 ? 10 : 100000);
}

static bool is_of(const struct sample *s, const unsigned char trace_id[16]) {
    return memcmp(s->trace_id, trace_id, 16) == 0;
}

static int by_id(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

/* Ids of the trace's rows that fulfil the filter, each once, ascending. */
static size_t brute_force(const struct world *w, const struct world_filter *f, const unsigned char trace_id[16],
                          uint64_t *out) {
    size_t n = 0, distinct = 0;
    for (size_t i = 0; i < w->rows.n; i++)
        if (is_of(&w->rows.v[i], trace_id) && sample_matches(f, &w->rows.v[i])) out[n++] = w->rows.v[i].span_id;
    qsort(out, n, sizeof *out, by_id);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || out[i] != out[i - 1]) out[distinct++] = out[i];
    return distinct;
}

static void spans_found_equal_brute_force(void **state) {
    (void)state;
    size_t found_any = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world w;
        fill(&w, seed);
        for (int turn = 0; turn < 6; turn++) {
            struct query q;
            struct world_filter f;
            struct query_span_ids ids;
            uint64_t want[512];
            const unsigned char *trace_id = w.rows.v[world_below(&w, (uint32_t)w.rows.n)].trace_id;
            world_query(&w, &q);
            world_random_filter(&w, &q, SIGNAL_SPANS, &f);
            f.filter.trace_id = trace_id;
            ASSERT_OK(query_trace_find(&q, &f.filter, &ids));
            assert_int_equal(ids.n, brute_force(&w, &f, trace_id, want));
            assert_memory_equal(ids.ids, want, ids.n * sizeof *want);
            assert_false(ids.cut);
            found_any += ids.n;
            query_end(&q);
            world_shake(&w);
        }
        assert_int_equal(budget_used(&w.budget), 0);
        world_close(&w);
    }
    assert_true(found_any > SEEDS);
}

/* How many starts a trace's spans of one id have. */
static uint32_t starts_of(const struct world *w, const struct sample *of) {
    uint32_t n = 0;
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        bool known = s->span_id != of->span_id || !is_of(s, of->trace_id);
        for (size_t k = 0; k < i && !known; k++)
            known =
                w->rows.v[k].span_id == s->span_id && is_of(&w->rows.v[k], s->trace_id) && w->rows.v[k].time == s->time;
        n += !known;
    }
    return n;
}

static void a_span_is_found_by_its_id(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world w;
        fill(&w, seed);
        for (int turn = 0; turn < 6; turn++) {
            struct query q;
            struct query_spans found;
            const struct sample *s = &w.rows.v[world_below(&w, (uint32_t)w.rows.n)];
            if (s->span_id == 0) continue; /* no id: nothing to ask for */
            world_query(&w, &q);
            ASSERT_OK(query_trace_span(&q, s->trace_id, (const unsigned char *)&s->span_id, &found));
            assert_int_equal(found.n, starts_of(&w, s));
            for (uint32_t i = 0; i < found.n; i++) {
                assert_true(batch_u64(&found.batch, SET_ROWS, FIELD_SPAN_ID, found.rows[i]) == s->span_id);
                assert_true(i == 0 || batch_u64(&found.batch, SET_ROWS, FIELD_TIME, found.rows[i]) >
                                          batch_u64(&found.batch, SET_ROWS, FIELD_TIME, found.rows[i - 1]));
            }
            query_end(&q);
            world_shake(&w);
        }
        assert_int_equal(budget_used(&w.budget), 0);
        world_close(&w);
    }
}

static void a_span_that_is_not_there_is_not_found(void **state) {
    (void)state;
    static const unsigned char nowhere[16] = {255, 1}, no_span[8] = {255, 2};
    struct world w;
    struct query q;
    struct query_spans found;
    fill(&w, 3);
    const unsigned char *traces[] = {nowhere, w.rows.v[0].trace_id};
    for (size_t i = 0; i < LENGTH(traces); i++) {
        world_query(&w, &q);
        err e = query_trace_span(&q, traces[i], no_span, &found);
        assert_non_null(e);
        assert_int_equal(err_kind(e), ERR_NOT_FOUND);
        err_free(e);
        query_end(&q);
    }
    world_close(&w);
}

static struct str name_of(const struct query_trace_answer *t, size_t i) {
    return batch_text(&t->batch, SET_ROWS, FIELD_NAME, t->spans[i].row);
}

static void check_same(const struct query_trace_answer *a, const struct query_trace_answer *b) {
    static const enum field numbers[] = {FIELD_SPAN_ID, FIELD_PARENT_ID, FIELD_TIME, FIELD_DURATION};
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->duplicates, b->duplicates);
    assert_int_equal(a->missing_count, b->missing_count);
    assert_int_equal(a->summary.errors, b->summary.errors);
    assert_true(a->summary.start == b->summary.start && a->summary.duration == b->summary.duration);
    assert_true(str_equal(a->summary.root_service, b->summary.root_service));
    assert_true(str_equal(a->summary.root_name, b->summary.root_name));
    for (size_t i = 0; i < a->n; i++) {
        const struct query_span *x = &a->spans[i], *y = &b->spans[i];
        for (size_t f = 0; f < LENGTH(numbers); f++)
            assert_true(batch_u64(&a->batch, SET_ROWS, numbers[f], x->row) ==
                        batch_u64(&b->batch, SET_ROWS, numbers[f], y->row));
        assert_int_equal(x->depth, y->depth);
        assert_int_equal(x->self_time, y->self_time);
        assert_int_equal(x->parent_missing, y->parent_missing);
        assert_true(str_equal(x->service, y->service));
        assert_true(str_equal(name_of(a, i), name_of(b, i)));
        assert_int_equal(batch_u32(&a->batch, SET_ROWS, FIELD_KIND, x->row),
                         batch_u32(&b->batch, SET_ROWS, FIELD_KIND, y->row));
        assert_int_equal(batch_u32(&a->batch, SET_ROWS, FIELD_STATUS, x->row),
                         batch_u32(&b->batch, SET_ROWS, FIELD_STATUS, y->row));
    }
}

/* One trace without equal spans (11), which may differ in all else. Some parents are missing, some are in rings. */
static void fill_unique(struct world *w, uint64_t seed) {
    static const char *const services[] = {"cart", "pay", NULL}, *const names[] = {"GET /", "", "op", "a longer name"};
    uint32_t n = 1 + (uint32_t)seed * 6;
    world_open(w, seed);
    for (uint32_t i = 0; i < n; i++) {
        struct sample s = {.signal = SIGNAL_SPANS,
                           .trace_id = {7},
                           .span_id = 1 + world_below(w, n),
                           .parent_id = world_below(w, n + 4),
                           .time = 1000000 + i + world_below(w, 3) * 1000,
                           .duration = (int64_t)world_below(w, 500) - 5,
                           .kind = world_below(w, 6),
                           .status = world_below(w, 3),
                           .service = services[world_below(w, 3)],
                           .name = names[world_below(w, 4)],
                           .code = -1};
        world_add(w, &s, 1);
        if (world_below(w, 20) == 0) world_shake(w);
    }
}

static void a_bare_trace_is_the_same_tree(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct world w;
        struct query whole, bare;
        struct query_trace_answer a, b;
        fill_unique(&w, seed);
        world_query(&w, &whole);
        world_query(&w, &bare);
        ASSERT_OK(query_trace(&whole, w.rows.v[0].trace_id, &a));
        ASSERT_OK(query_trace_bare(&bare, w.rows.v[0].trace_id, &b));
        check_same(&a, &b);
        query_end(&bare);
        query_end(&whole);
        assert_int_equal(budget_used(&w.budget), 0);
        world_close(&w);
    }
}

static void what_a_bare_trace_has_no_room_for_is_its_end(void **state) {
    (void)state;
    enum { N = 30000 };
    struct world w;
    struct query q;
    struct query_trace_answer t;
    world_open(&w, 1);
    struct sample *rows = mem_new_array(struct sample, N);
    for (uint32_t i = 0; i < N; i++)
        rows[i] = (struct sample){.signal = SIGNAL_SPANS,
                                  .trace_id = {4, 2},
                                  .span_id = i + 1,
                                  .time = 1000 + i,
                                  .service = i % 2 ? "cart" : NULL,
                                  .name = "op",
                                  .code = -1};
    for (size_t i = 0; i < N; i += N / 6) world_add(&w, rows + i, N / 6); /* a scan holds one of them at a time */
    query_begin(&q, &(struct query_options){.store = w.store, .budget = &w.budget, .memory_max_bytes = 4 * MIB});
    ASSERT_OK(query_trace_bare(&q, rows[0].trace_id, &t));
    assert_true(t.cut);
    assert_true(t.n > 1000 && t.n < N);
    assert_int_equal(batch_u64(&t.batch, SET_ROWS, FIELD_SPAN_ID, t.spans[0].row), 1);
    query_end(&q);
    world_query(&w, &q);
    ASSERT_OK(query_trace_bare(&q, rows[0].trace_id, &t));
    assert_false(t.cut);
    assert_int_equal(t.n, N);
    assert_true(str_equal(t.spans[0].service, STR("unknown_service")));
    assert_true(str_equal(t.spans[1].service, STR("cart")));
    query_end(&q);
    assert_int_equal(budget_used(&w.budget), 0);
    mem_free(rows);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_found_equal_brute_force),
        cmocka_unit_test(a_span_is_found_by_its_id),
        cmocka_unit_test(a_span_that_is_not_there_is_not_found),
        cmocka_unit_test(a_bare_trace_is_the_same_tree),
        cmocka_unit_test(what_a_bare_trace_has_no_room_for_is_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
