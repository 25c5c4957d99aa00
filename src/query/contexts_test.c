/* How rows hang together, against the rows that were put in, over both stores. */
#include "query/contexts.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t begin_time = 1000000000000000000, spread = 3600 * (int64_t)1000000000;

static const char *expected_peer(const struct sample *s) {
    return (s->kind == 3 || s->kind == 4) && s->peer ? s->peer : NULL;
}

static bool is_text(const struct query_contexts_answer *found, uint32_t number, const char *text) {
    if (number == QUERY_NO_CONTEXT || !text) return number == QUERY_NO_CONTEXT && !text;
    assert_true(number < found->text_count);
    return str_equal(found->texts[number], str_of(text));
}

static bool is_of(const struct query_contexts_answer *found, const struct query_context_row *row,
                  const struct sample *s) {
    return row->signal == s->signal && row->time == s->time && row->span_id == s->span_id &&
           (s->signal == SIGNAL_LOGS || (row->parent_id == s->parent_id && row->duration == MAX(s->duration, 0) &&
                                         row->kind == s->kind && is_text(found, row->peer, expected_peer(s)))) &&
           is_text(found, row->service, sample_service(s)) && (row->id == QUERY_NO_CONTEXT) == !s->correlation &&
           row->trace < found->trace_count && memcmp(found->traces[row->trace], s->trace_id, 16) == 0;
}

/* Those of the range, spans also of the margin before it; each with what it was sent with. */
static void assert_rows(struct world *w, const struct query_contexts *r, const struct query_contexts_answer *found) {
    size_t n = 0;
    bool *taken = calloc(w->rows.n + 1, sizeof *taken);
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        int64_t min = s->signal == SIGNAL_SPANS ? r->time_min - QUERY_CONTEXTS_MARGIN_NS : r->time_min;
        if (r->environment.p && !str_equal(r->environment, str_of(sample_environment(s)))) continue;
        n += s->time >= min && s->time <= r->time_max;
    }
    assert_int_equal(found->n, n);
    for (size_t i = 0; i < found->n; i++) {
        size_t k = 0;
        while (k < w->rows.n && (taken[k] || !is_of(found, &found->rows[i], &w->rows.v[k]))) k++;
        if (k == w->rows.n) fail_msg("a row that nobody sent");
        taken[k] = true;
        assert_int_equal(found->rows[i].is_judged, found->rows[i].time >= r->time_min);
        assert_int_equal(found->rows[i].signal, i < found->span_count ? SIGNAL_SPANS : SIGNAL_LOGS);
    }
    free(taken);
}

static void rows_are_as_they_were_sent(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct world w;
        struct query q;
        struct query_contexts_answer found;
        struct query_contexts r = {.time_min = begin_time + (seed % 3 ? spread / 2 : 0),
                                   .time_max = begin_time + spread - (seed % 2 ? spread / 4 : 0)};
        struct sample named = {.signal = SIGNAL_SPANS,
                               .trace_id = {7},
                               .span_id = 1,
                               .time = begin_time + spread / 2,
                               .kind = 3,
                               .code = -1,
                               .name = "n",
                               .peer = "pay",
                               .correlation = "order-7"};
        if (seed % 4 == 0) r.environment = STR("prod");
        world_open(&w, seed);
        world_fill(&w, SIGNAL_SPANS, 200, 30, begin_time, spread / 2);
        world_add(&w, &named, 1);
        world_fill(&w, SIGNAL_LOGS, 100, 30, begin_time, spread / 2);
        world_query(&w, &q);
        ASSERT_OK(query_contexts(&q, &r, &found));
        assert_false(found.cut);
        assert_int_equal(found.time_min, r.time_min);
        assert_rows(&w, &r, &found);
        query_end(&q);
        world_close(&w);
    }
}

/* What is older than the rows that were kept is not judged, as its parents and children may be gone. */
static void limits_leave_out_the_oldest(void **state) {
    (void)state;
    enum { BATCHES = 30, ROWS = 20 };
    static const int64_t minute = 60 * (int64_t)1000000000;
    struct world w;
    struct query q;
    struct query_contexts_answer found;
    struct query_contexts r = {.time_min = begin_time, .time_max = INT64_MAX, .rows_max = 105};
    world_open(&w, 2);
    for (int i = 0; i < BATCHES; i++) {
        struct sample rows[ROWS];
        for (int k = 0; k < ROWS; k++)
            rows[k] = (struct sample){.signal = SIGNAL_SPANS,
                                      .trace_id = {1, (unsigned char)i},
                                      .span_id = (uint64_t)k + 1,
                                      .time = begin_time + i * minute + k,
                                      .code = -1,
                                      .name = "n"};
        world_add(&w, rows, ROWS);
    }
    world_query(&w, &q);
    ASSERT_OK(query_contexts(&q, &r, &found));
    assert_true(found.cut);
    assert_int_equal(found.n, 105);
    assert_true(found.time_min > begin_time + 20 * minute && found.time_min < begin_time + BATCHES * minute);
    for (size_t i = 0; i < found.n; i++)
        assert_int_equal(found.rows[i].is_judged, found.rows[i].time >= found.time_min);
    r.time_min = 1, r.time_max = 0;
    err e = query_contexts(&q, &r, &found);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    query_end(&q);
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_as_they_were_sent),
        cmocka_unit_test(limits_leave_out_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
