/* Traces as rows, and what an attribute is in each of them, against brute force over random spans. */
#include "query/trace_list.h"
#include "query/trace_values.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { WORLDS = 12, SPANS = 400, TRACES = 60 };
static const int64_t began = 1000000000000, spread = 1000;

static struct world_filter all; /* takes every span */

static void open_filled(struct world *w, uint64_t seed) {
    world_open(w, seed);
    for (int i = 0; i < 8; i++) {
        world_fill(w, SIGNAL_SPANS, SPANS / 8, TRACES, began, spread);
        world_shake(w);
    }
}

static bool is_inside(const struct sample *s, const unsigned char *id, const struct world_filter *f) {
    return s->signal == SIGNAL_SPANS && sample_matches(f, s) && (!id || memcmp(s->trace_id, id, 16) == 0);
}

static void check_row(const struct world *w, const struct query_trace_row *r, const struct world_filter *f) {
    uint64_t spans = 0, errors = 0;
    int64_t start = INT64_MAX, longest = 0, root_start = INT64_MAX;
    bool has_root = false, named = false;
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        if (!is_inside(s, r->trace_id, f)) continue;
        spans++;
        errors += s->status == 2;
        start = MIN(start, s->time);
        longest = MAX(longest, s->duration);
        bool root = s->parent_id == 0;
        if ((root && !has_root) || (root == has_root && s->time < root_start)) root_start = s->time;
        has_root |= root;
    }
    for (size_t i = 0; i < w->rows.n; i++) { /* of equal starts any may be the root */
        const struct sample *s = &w->rows.v[i];
        if (!is_inside(s, r->trace_id, f) || s->time != root_start || (s->parent_id == 0) != has_root) continue;
        named |= str_equal(r->root_service, str_of(sample_service(s))) && str_equal(r->root_name, str_of(s->name));
    }
    assert_int_equal(r->spans, spans);
    assert_int_equal(r->errors, errors);
    assert_int_equal(r->start, start);
    assert_int_equal(r->longest, longest);
    assert_true(named);
}

static size_t count_traces(const struct world *w, const struct world_filter *f) {
    size_t n = 0;
    for (size_t i = 0; i < w->rows.n; i++) {
        size_t k = 0;
        if (!is_inside(&w->rows.v[i], NULL, f)) continue;
        while (k < i && !is_inside(&w->rows.v[k], w->rows.v[i].trace_id, f)) k++;
        n += k == i;
    }
    return n;
}

static void rows_are_those_of_brute_force(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        struct world w;
        open_filled(&w, seed);
        for (int ask = 0; ask < 6; ask++) {
            struct query q;
            struct query_trace_list list;
            struct world_filter filter, *f = &filter;
            size_t limit = ask ? 1 + world_below(&w, TRACES) : 1000;
            world_query(&w, &q);
            world_random_filter(&w, &q, SIGNAL_SPANS, f);
            ASSERT_OK(query_trace_list(&q, &filter.filter, limit, &list));
            size_t there = count_traces(&w, f);
            assert_int_equal(list.n, MIN(there, limit));
            assert_int_equal(list.cut, there > limit);
            for (size_t i = 0; i < list.n; i++) {
                check_row(&w, &list.rows[i], f);
                if (i) assert_true(list.rows[i - 1].start >= list.rows[i].start);
            }
            query_end(&q);
        }
        world_close(&w);
    }
}

static void the_newest_are_given(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_trace_list list;
    world_open(&w, 1);
    for (int64_t t = 0; t < 200; t++) { /* a trace a minute, its children an hour of lines later than its root */
        struct sample rows[2] = {0};
        for (int i = 0; i < 2; i++) {
            rows[i] = (struct sample){.signal = SIGNAL_SPANS,
                                      .span_id = (uint64_t)i + 1,
                                      .parent_id = (uint64_t)i,
                                      .code = -1,
                                      .time = began + t * 60000000000 + i * 1000,
                                      .duration = 5,
                                      .name = i ? "child" : "root",
                                      .service = "web"};
            rows[i].trace_id[0] = (unsigned char)(t + 1);
            world_add(&w, &rows[i], 1);
        }
        if (t % 10 == 0) world_shake(&w);
    }
    world_query(&w, &q);
    ASSERT_OK(query_trace_list(&q, &all.filter, 10, &list));
    assert_int_equal(list.n, 10);
    assert_true(list.cut);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(list.rows[i].trace_id[0], 200 - i);
        assert_int_equal(list.rows[i].spans, 2);
        assert_true(str_equal(list.rows[i].root_name, STR("root")));
    }
    err e = query_trace_list(&q, &all.filter, 0, &list);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    query_end(&q);
    world_close(&w);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static void check_value(const struct world *w, const unsigned char *id, struct str value) {
    int64_t first = INT64_MAX;
    bool right = false;
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        if (is_inside(s, id, &all) && s->peer) first = MIN(first, s->time);
    }
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        right |= is_inside(s, id, &all) && s->peer && s->time == first && str_equal(value, str_of(s->peer));
    }
    if (first == INT64_MAX)
        assert_null(value.p);
    else
        assert_true(right);
}

static void values_are_of_the_earliest_span_that_has_one(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= WORLDS; seed++) {
        struct world w;
        struct query q;
        struct query_trace_list list;
        struct str values[1000];
        unsigned char ids[1000][16];
        open_filled(&w, seed);
        world_query(&w, &q);
        ASSERT_OK(query_trace_list(&q, &all.filter, 1000, &list));
        for (size_t i = 0; i < list.n; i++) memcpy(ids[i], list.rows[i].trace_id, 16);
        const struct column_ref peer = {.target = TARGET_ANY, .key = STR("peer.service")};
        ASSERT_OK(query_trace_values(&q, &all.filter, peer, ids[0], list.n, values));
        for (size_t i = 0; i < list.n; i++) check_value(&w, ids[i], values[i]);
        memcpy(ids[1], ids[0], 16);
        err e = query_trace_values(&q, &all.filter, peer, ids[0], 2, values);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
        query_end(&q);
        world_close(&w);
    }
}

int main(void) {
    query_filter_init(&all.filter);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_those_of_brute_force),
        cmocka_unit_test(the_newest_are_given),
        cmocka_unit_test(values_are_of_the_earliest_span_that_has_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
