#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* One trace, by brute force. */
struct naive {
    unsigned char id[16];
    int64_t key, start, end;
    uint32_t spans, errors, matched;
};

static bool seen_before(const struct world *w, size_t i) {
    const struct sample *s = &w->rows.v[i];
    for (size_t k = 0; k < i; k++) {
        const struct sample *t = &w->rows.v[k];
        if (t->signal == s->signal && memcmp(t->trace_id, s->trace_id, 16) == 0 && t->span_id == s->span_id &&
            t->time == s->time)
            return true;
    }
    return false;
}

static int by_key(const void *x, const void *y) {
    const struct naive *a = x, *b = y;
    if (a->key != b->key) return a->key > b->key ? -1 : 1;
    return memcmp(a->id, b->id, 16);
}

typedef VEC(struct naive) naives;

static struct naive *naive_of(naives *all, const unsigned char *id) {
    for (size_t i = 0; i < all->n; i++)
        if (memcmp(all->v[i].id, id, 16) == 0) return &all->v[i];
    struct naive *n = vec_push(all);
    *n = (struct naive){.key = INT64_MIN, .start = INT64_MAX, .end = INT64_MIN};
    memcpy(n->id, id, 16);
    return n;
}

static naives naive_traces(const struct world *w, const struct world_filter *f, enum query_order order) {
    naives all = {0};
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        if (seen_before(w, i)) continue;
        struct naive *n = naive_of(&all, s->trace_id);
        n->spans++;
        n->errors += s->status == 2;
        n->start = MIN(n->start, s->time);
        n->end = MAX(n->end, s->time + MAX(s->duration, 0));
        if (!sample_matches(f, s)) continue;
        n->matched++;
        n->key = MAX(n->key, order == QUERY_LONGEST ? s->duration : s->time);
    }
    size_t kept = 0;
    for (size_t i = 0; i < all.n; i++)
        if (all.v[i].matched) all.v[kept++] = all.v[i];
    all.n = kept;
    if (kept) qsort(all.v, kept, sizeof *all.v, by_key);
    return all;
}

static void check_summary(const struct query_trace_summary *t, const struct naive *n) {
    assert_memory_equal(t->trace_id, n->id, 16);
    assert_int_equal(t->spans, n->spans);
    assert_int_equal(t->errors, n->errors);
    assert_int_equal(t->matched, n->matched);
    assert_true(t->start == n->start && t->duration == n->end - n->start);
    uint32_t spans = 0, errors = 0;
    for (size_t i = 0; i < t->service_count; i++) {
        spans += t->services[i].spans;
        errors += t->services[i].errors;
        assert_true(i == 0 || t->services[i - 1].spans >= t->services[i].spans);
    }
    assert_int_equal(spans, n->spans);
    assert_int_equal(errors, n->errors);
}

/* Equal rows with differing content (another status) make the duplicate that is shown a matter of order; so worlds of this
 * test repeat rows whole, and ids collide only by chance: those are told apart here. */
static bool has_unequal_twins(const struct world *w) {
    for (size_t i = 0; i < w->rows.n; i++)
        for (size_t k = 0; k < i; k++) {
            const struct sample *a = &w->rows.v[i], *b = &w->rows.v[k];
            if (a->span_id == b->span_id && a->time == b->time && memcmp(a, b, sizeof *a) != 0) return true;
        }
    return false;
}

static void check_pages(struct world *w, size_t limit) {
    char cursor[QUERY_CURSOR_MAX] = "";
    struct world_filter f;
    struct query q;
    world_query(w, &q);
    world_random_filter(w, &q, SIGNAL_SPANS, &f);
    f.filter.is_root = world_below(w, 4) == 0;
    enum query_order order = world_below(w, 2) ? QUERY_NEWEST : QUERY_LONGEST;
    naives expected = naive_traces(w, &f, order);
    for (size_t at = 0; at < expected.n || at == 0;) {
        struct query_traces_answer found;
        world_shake(w);
        struct query_traces r = {.filter = f.filter, .order = order, .limit = limit, .cursor = str_of(cursor)};
        ASSERT_OK(query_traces(&q, &r, &found));
        assert_true(found.n == MIN(limit, expected.n - at));
        for (size_t i = 0; i < found.n; i++) check_summary(&found.traces[i], &expected.v[at + i]);
        at += found.n;
        memcpy(cursor, found.next_cursor, sizeof cursor);
        if (at < expected.n) assert_true(*cursor != 0);
        if (!*cursor) break;
    }
    vec_done(&expected);
    query_end(&q);
}

static void pages_give_the_traces_that_brute_force_finds(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world w;
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 20 + (uint32_t)seed * 5, 3 + (uint32_t)seed, 1000000000000,
                   seed % 3 ? 100000 : 40);
        if (!has_unequal_twins(&w))
            for (size_t limit = 1; limit <= 7; limit += 2) check_pages(&w, limit);
        assert_int_equal(budget_used(&w.budget), 0);
        world_close(&w);
    }
}

static void page(struct world *w, enum query_order order, char *cursor, size_t limit, unsigned char (*out)[16],
                 size_t *out_n) {
    struct query q;
    struct query_traces_answer found;
    struct query_traces r = {.order = order, .limit = limit, .cursor = str_of(cursor)};
    query_filter_init(&r.filter);
    world_query(w, &q);
    ASSERT_OK(query_traces(&q, &r, &found));
    for (size_t i = 0; i < found.n; i++) memcpy(out[i], found.traces[i].trace_id, 16);
    *out_n = found.n;
    memcpy(cursor, found.next_cursor, QUERY_CURSOR_MAX);
    query_end(&q);
}

static void new_rows_neither_repeat_nor_hide_traces_of_later_pages(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct world w;
        unsigned char ids[64][16];
        char cursor[QUERY_CURSOR_MAX] = "";
        size_t n = 0, got;
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 100, 20, 1000000, 100000);
        struct world_filter all = {0};
        query_filter_init(&all.filter);
        naives expected = naive_traces(&w, &all, QUERY_NEWEST);
        do {
            page(&w, QUERY_NEWEST, cursor, 3, ids + n, &got);
            n += got;
            world_fill(&w, SIGNAL_SPANS, 30, 20, 2000000, 1000); /* newer spans, of the same traces too */
        } while (*cursor);
        assert_int_equal(n, expected.n);
        for (size_t i = 0; i < n; i++) assert_memory_equal(ids[i], expected.v[i].id, 16);
        vec_done(&expected);
        world_close(&w);
    }
}

static void a_cursor_of_another_question_is_refused(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_traces_answer found;
    char cursor[QUERY_CURSOR_MAX] = "";
    unsigned char ids[2][16];
    size_t n;
    world_open(&w, 1);
    world_fill(&w, SIGNAL_SPANS, 50, 20, 1000000, 100000);
    page(&w, QUERY_NEWEST, cursor, 2, ids, &n);
    world_query(&w, &q);
    struct query_traces r = {.order = QUERY_LONGEST, .limit = 2, .cursor = str_of(cursor)};
    query_filter_init(&r.filter);
    err e = query_traces(&q, &r, &found);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    r.order = QUERY_NEWEST;
    cursor[20] = cursor[20] == '1' ? '2' : '1';
    e = query_traces(&q, &r, &found);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    query_end(&q);
    world_close(&w);
}

static void limits_end_a_query_with_their_error(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_traces_answer found;
    struct query_traces r = {.order = QUERY_NEWEST, .limit = 2};
    atomic_bool cancel = true;
    world_open(&w, 1);
    world_fill(&w, SIGNAL_SPANS, 500, 20, 1000000, 100000);
    query_filter_init(&r.filter);
    static const struct {
        size_t memory;
        int64_t timeout;
        uint64_t budget;
        bool cancel;
        enum err_kind kind;
    } cases[] = {
#ifndef WORLD_ENGINE /* the simulated clock stands still */
        {0, 1, 1 << 30, false, ERR_CANCELLED},
#endif
        {0, 0, 1 << 30, true, ERR_CANCELLED},
        {0, 0, 1 << 16, false, ERR_BUSY},
        {2000, 0, 1 << 30, false, ERR_LIMIT},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        budget_init(&w.budget, cases[i].budget);
        query_begin(&q, &(struct query_options){.store = w.store,
                                                .budget = &w.budget,
                                                .timeout_ns = cases[i].timeout,
                                                .memory_max_bytes = cases[i].memory,
                                                .cancel = cases[i].cancel ? &cancel : NULL});
        err e = query_traces(&q, &r, &found);
        if (!e) fail_msg("case %zu gave no error", i);
        if (err_kind(e) != cases[i].kind) fail_msg("case %zu: %s", i, err_text(e));
        err_free(e);
        query_end(&q);
        assert_int_equal(budget_used(&w.budget), 0);
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_give_the_traces_that_brute_force_finds),
        cmocka_unit_test(new_rows_neither_repeat_nor_hide_traces_of_later_pages),
        cmocka_unit_test(a_cursor_of_another_question_is_refused),
        cmocka_unit_test(limits_end_a_query_with_their_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
