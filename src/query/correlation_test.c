/* What an id ties together, against brute force: random trees of spans with logs, ids on some rows, parents that never arrive, rings. */
#include "query/correlation.h"
#include "query/correlations.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TRACES_MAX = 12 };

static const int64_t begin_time = 1000000000000;
static const char *const ids[] = {"order-7", "batch job", "clew-0000000000000003", "x"};

static struct sample make_row(struct world *w, enum signal signal, uint32_t i, uint32_t traces) {
    struct sample s = {.signal = signal,
                       .span_id = i + 1,
                       .time = begin_time + i * 7 % 1000 * 10 + world_below(w, 5),
                       .observed = i,
                       .duration = world_below(w, 50),
                       .status = world_below(w, 4) == 0 ? 2 : 0,
                       .code = -1,
                       .name = "work",
                       .service = world_below(w, 2) ? "web" : "cart"};
    uint32_t trace = world_below(w, traces);
    if (signal == SIGNAL_SPANS || world_below(w, 4)) s.trace_id[15] = (unsigned char)(trace + 1);
    if (s.trace_id[15] && world_below(w, 2)) s.trace_id[0] = 9; /* two traces end alike */
    if (world_below(w, 4) == 0 && trace % 3) s.correlation = ids[world_below(w, LENGTH(ids))];
    if (world_below(w, 3) == 0) s.environment = "test";
    if (world_below(w, 5) == 0) s.peer = ids[world_below(w, 2)];
    if (signal == SIGNAL_LOGS) s.span_id = world_below(w, 3) ? world_below(w, i + 1) + 1 : 0;
    if (signal == SIGNAL_SPANS && world_below(w, 6))
        s.parent_id = world_below(w, i + 5) + 1; /* older, later, itself, none */
    return s;
}

static void grow(struct world *w, uint32_t n, uint32_t traces) {
    for (int signal = 0; signal < SIGNALS; signal++) {
        struct sample *rows = mem_new_array(struct sample, n);
        for (uint32_t i = 0; i < n; i++)
            rows[i] = i > 4 && signal == SIGNAL_SPANS && world_below(w, 10) == 0
                          ? rows[i - 1 - world_below(w, 3)]
                          : make_row(w, (enum signal)signal, i, traces);
        for (uint32_t i = 0; i < n; i += 30) {
            world_add(w, rows + i, MIN(30, n - i));
            world_shake(w);
        }
        mem_free(rows);
    }
}

/* ---- by definition ------------------------------------------------------------------------------------------------- */

static bool has_trace(const struct sample *s) {
    static const unsigned char zero[16];
    return memcmp(s->trace_id, zero, 16) != 0;
}
static bool same_trace(const struct sample *a, const struct sample *b) {
    return has_trace(a) && memcmp(a->trace_id, b->trace_id, 16) == 0;
}
static bool by_peer; /* the attribute peer.service is the id */
static const char *own(const struct sample *s) { return by_peer ? s->peer : s->correlation; }
static bool carries(const struct sample *s, struct str id) { return own(s) && str_equal(str_of(own(s)), id); }

static void derived_id(const struct sample *s, char out[64]) {
    int n = snprintf(out, 64, "clew-");
    for (int i = 8; i < 16; i++) n += snprintf(out + n, 64 - (size_t)n, "%02x", s->trace_id[i]);
}

/* Whether the row leads to its trace. */
static bool leads(const struct sample *s, const struct query_correlation *r) {
    char derived[64];
    derived_id(s, derived);
    if (s->time < r->time_min || s->time > r->time_max) return false;
    if (r->environment.p && !str_equal(r->environment, str_of(sample_environment(s)))) return false;
    return carries(s, r->id) || (has_trace(s) && !by_peer && str_equal(str_of(derived), r->id));
}

static bool is_wanted(const struct world *w, const struct sample *s, const struct query_correlation *r) {
    if (carries(s, r->id) && leads(s, r)) return true;
    for (size_t i = 0; i < w->rows.n; i++)
        if (same_trace(s, &w->rows.v[i]) && leads(&w->rows.v[i], r)) return true;
    return false;
}

static const struct sample *naive_span(const struct world *w, const struct sample *of, uint64_t span_id) {
    const struct sample *best = NULL;
    for (size_t i = 0; span_id && i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        if (s->signal != SIGNAL_SPANS || !same_trace(s, of) || s->span_id != span_id) continue;
        if (!best || s->time < best->time) best = s;
    }
    return best;
}

static bool is_earlier(const struct sample *a, const struct sample *b) {
    if (a->time != b->time) return a->time < b->time;
    return a->signal != b->signal ? a->signal < b->signal : strcmp(own(a), own(b)) < 0;
}

static const char *naive_id(const struct world *w, const struct sample *s, char derived[64]) {
    const struct sample *at = s, *earliest = NULL;
    if (own(s)) return own(s);
    if (!has_trace(s)) return "";
    if (s->signal == SIGNAL_LOGS) at = naive_span(w, s, s->span_id);
    for (int steps = 0; at && steps < 2000; steps++) {
        if (own(at)) return own(at);
        at = naive_span(w, at, at->parent_id);
    }
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *x = &w->rows.v[i];
        if (own(x) && same_trace(x, s) && (!earliest || is_earlier(x, earliest))) earliest = x;
    }
    if (earliest) return own(earliest);
    derived_id(s, derived);
    return by_peer ? "" : derived;
}

/* The sample behind a row of the answer. */
static const struct sample *sample_of(const struct world *w, const struct batch *b, uint32_t row) {
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        if (s->signal == b->signal && s->span_id == batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row) &&
            s->time == (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row) &&
            (s->signal == SIGNAL_SPANS || (uint64_t)s->observed == batch_u64(b, SET_ROWS, FIELD_OBSERVED, row)) &&
            memcmp(s->trace_id, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), 16) == 0)
            return s;
    }
    fail_msg("a row that nobody stored");
    return NULL;
}

static bool is_again(const struct world *w, size_t i) {
    for (size_t j = 0; j < i; j++) {
        const struct sample *a = &w->rows.v[i], *b = &w->rows.v[j];
        if (a->signal == b->signal && a->span_id == b->span_id && a->time == b->time && same_trace(a, b)) return true;
    }
    return false;
}

static void assert_rows(const struct world *w, const struct query_correlation *r, const struct batch *b,
                        const struct query_correlated_row *rows, size_t n,
                        const struct query_correlation_answer *found) {
    size_t want = 0;
    for (size_t i = 0; i < w->rows.n; i++) {
        const struct sample *s = &w->rows.v[i];
        if (s->signal != b->signal || !is_wanted(w, s, r)) continue;
        want += s->signal == SIGNAL_LOGS || !is_again(w, i);
    }
    if (n != want) fail_msg("%zu rows of %s instead of %zu", n, signal_names[b->signal], want);
    for (size_t i = 0; i < n; i++) {
        char derived[64];
        const struct sample *s = sample_of(w, b, rows[i].row);
        const char *id = naive_id(w, s, derived);
        assert_true(is_wanted(w, s, r));
        char end[64];
        derived_id(s, end);
        bool by_form = !by_peer && has_trace(s) && str_equal(str_of(end), r->id);
        assert_int_equal(rows[i].mine, by_form || str_equal(str_of(id), r->id));
        if (!str_equal(rows[i].id, str_of(id))) fail_msg("'%.*s' instead of '%s'", (int)rows[i].id.n, rows[i].id.p, id);
        assert_true(!i || batch_u64(b, SET_ROWS, FIELD_TIME, rows[i - 1].row) <=
                              batch_u64(b, SET_ROWS, FIELD_TIME, rows[i].row));
        assert_int_equal(has_trace(s), rows[i].trace != UINT32_MAX);
        if (has_trace(s)) assert_memory_equal(found->traces[rows[i].trace].trace_id, s->trace_id, 16);
    }
}

static void answers_equal_brute_force(void **state) {
    (void)state;
    size_t rows = 0, empty = 0;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct world w;
        world_open(&w, seed);
        grow(&w, 20 + (uint32_t)seed * 5, 1 + (uint32_t)seed % TRACES_MAX);
        for (size_t i = 0; i <= LENGTH(ids); i++) {
            struct query q;
            struct query_correlation_answer found;
            struct query_correlation r = {.id = i < LENGTH(ids) ? str_of(ids[i]) : STR("clew-0000000000000001"),
                                          .time_min = seed % 2 ? INT64_MIN : begin_time + 2000,
                                          .time_max = seed % 4 < 2 ? INT64_MAX : begin_time + 5000,
                                          .prefix = STR("clew")};
            by_peer = seed % 5 == 4;
            if (by_peer) r.attribute = STR("peer.service");
            if (seed % 3 == 1) r.environment = STR("test");
            world_query(&w, &q);
            ASSERT_OK(query_correlation(&q, &r, &found));
            assert_false(found.traces_cut || found.spans_cut || found.logs_cut);
            assert_rows(&w, &r, &found.spans, found.span_rows, found.span_count, &found);
            assert_rows(&w, &r, &found.logs, found.log_rows, found.log_count, &found);
            rows += found.span_count + found.log_count;
            empty += found.span_count + found.log_count == 0;
            query_end(&q);
        }
        world_close(&w);
    }
    by_peer = false;
    assert_true(rows > 1000 && empty < 100);
}

/* ---- lists --------------------------------------------------------------------------------------------------------- */

struct counted {
    uint64_t rows[SIGNALS], errors;
};

/* Rows that have the id, in traces that carry it in the range. */
static struct counted naive_count(const struct world *w, const struct query_correlation *r) {
    struct counted c = {0};
    for (size_t i = 0; i < w->rows.n; i++) {
        char derived[64];
        const struct sample *s = &w->rows.v[i];
        if (!str_equal(str_of(naive_id(w, s, derived)), r->id) || !is_wanted(w, s, r)) continue;
        if (s->signal == SIGNAL_SPANS && is_again(w, i)) continue;
        c.rows[s->signal]++;
        c.errors += s->signal == SIGNAL_SPANS && s->status == 2;
    }
    return c;
}

static struct counted listed_count(const struct query_correlations_answer *list, struct str id) {
    struct counted c = {0};
    for (size_t i = 0; i < list->n; i++) {
        const struct query_id_row *row = &list->rows[i];
        if (!str_equal(list->ids[row->id], id)) continue;
        c.rows[row->signal]++;
        c.errors += row->failed;
        assert_true(row->trace == QUERY_NO_TRACE || row->trace < list->trace_count);
        assert_true(str_equal(list->texts[row->service], STR("web")) ||
                    str_equal(list->texts[row->service], STR("cart")));
    }
    return c;
}

static struct counted detailed_count(struct world *w, const struct query_correlation *r) {
    struct query q;
    struct counted c = {0};
    struct query_correlation_answer found;
    world_query(w, &q);
    ASSERT_OK(query_correlation(&q, r, &found));
    for (size_t i = 0; i < found.span_count; i++) {
        c.rows[SIGNAL_SPANS] += found.span_rows[i].mine;
        c.errors += found.span_rows[i].mine && found.rows[i].failed;
    }
    for (size_t i = 0; i < found.log_count; i++) c.rows[SIGNAL_LOGS] += found.log_rows[i].mine;
    query_end(&q);
    return c;
}

static void assert_counts(struct counted a, struct counted b, const char *what, struct str id) {
    if (memcmp(&a, &b, sizeof a) != 0)
        fail_msg("%s %.*s: %d spans, %d logs, %d errors; %d, %d, %d", what, (int)id.n, id.p, (int)a.rows[0],
                 (int)a.rows[1], (int)a.errors, (int)b.rows[0], (int)b.rows[1], (int)b.errors);
}

static void assert_list(struct world *w, const struct query_correlations *r) {
    struct query q;
    struct query_correlations_answer list;
    struct query_correlation one = {.time_min = r->time_min,
                                    .time_max = r->time_max,
                                    .environment = r->environment,
                                    .attribute = r->attribute,
                                    .prefix = r->prefix};
    uint64_t known = 0;
    world_query(w, &q);
    ASSERT_OK(query_correlations(&q, r, &list));
    assert_false(list.cut);
    for (size_t i = 0; i < LENGTH(ids); i++) {
        one.id = str_of(ids[i]);
        if (i == 2) continue; /* in the form of a derived one: as such it finds more */
        bool searched = !r->search.n || i == 0;
        struct counted naive = naive_count(w, &one), found = listed_count(&list, one.id);
        if (!searched) naive = (struct counted){0};
        assert_counts(found, naive, "listed", one.id);
        if (searched) assert_counts(detailed_count(w, &one), naive, "shown", one.id);
        known += found.rows[SIGNAL_SPANS] + found.rows[SIGNAL_LOGS];
    }
    for (size_t i = 0; i < list.n; i++) /* nothing is listed that was not asked for */
        if (str_starts_with(list.ids[list.rows[i].id], STR("clew-")))
            known++;
        else if (r->search.n)
            assert_true(str_equal(list.ids[list.rows[i].id], STR("order-7")));
    assert_int_equal(known, list.n);
    query_end(&q);
}

static void lists_agree_with_what_they_lead_to(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct world w;
        world_open(&w, seed);
        grow(&w, 20 + (uint32_t)seed * 5, 1 + (uint32_t)seed % TRACES_MAX);
        for (int i = 0; i < 16; i++) {
            struct query_correlations r = {.time_min = i & 1 ? INT64_MIN : begin_time + 2000,
                                           .time_max = i & 2 ? INT64_MAX : begin_time + 5000,
                                           .prefix = STR("clew")};
            by_peer = i & 4 && seed % 2;
            r.derived = i & 4 && !by_peer;
            if (by_peer) r.attribute = STR("peer.service");
            if (i & 8) r.search = STR("DER-");
            if (seed % 3 == 1) r.environment = STR("test");
            assert_list(&w, &r);
        }
        world_close(&w);
    }
    by_peer = false;
}

/* A trace without any id is listed by the one that is derived of it, and found by it. */
static void traces_without_an_id_are_listed_when_asked(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_correlations_answer list;
    struct sample rows[12];
    world_open(&w, 4);
    for (uint32_t i = 0; i < LENGTH(rows); i++) {
        rows[i] = (struct sample){.signal = SIGNAL_SPANS,
                                  .span_id = i + 1,
                                  .time = begin_time + i,
                                  .code = -1,
                                  .name = "n",
                                  .correlation = i == 0 ? "own" : NULL,
                                  .service = "web"};
        rows[i].trace_id[15] = (unsigned char)(i / 3 + 1);
    }
    world_add(&w, rows, LENGTH(rows));
    struct query_correlations r = {.time_min = begin_time, .time_max = begin_time + 100, .prefix = STR("clew")};
    for (int derived = 0; derived < 2; derived++) {
        r.derived = derived;
        world_query(&w, &q);
        ASSERT_OK(query_correlations(&q, &r, &list));
        assert_int_equal(list.n, derived ? 12 : 3);
        assert_int_equal(listed_count(&list, STR("clew-0000000000000002")).rows[0], derived ? 3 : 0);
        query_end(&q);
    }
    r.search = STR("0003");
    world_query(&w, &q);
    ASSERT_OK(query_correlations(&q, &r, &list));
    assert_int_equal(list.n, 3);
    query_end(&q);
    struct query_correlation one = {.id = STR("00000000000000000000000000000003"), .time_max = INT64_MAX};
    assert_int_equal(detailed_count(&w, &one).rows[0], 3); /* a trace id leads there, too */
    one.attribute = STR("order.id");
    assert_int_equal(detailed_count(&w, &one).rows[0], 0);
    world_close(&w);
}

/* ---- limits -------------------------------------------------------------------------------------------------------- */

static void what_is_over_a_limit_is_left_out_and_said(void **state) {
    (void)state;
    struct world w;
    struct query q;
    struct query_correlation_answer found;
    struct sample rows[60];
    world_open(&w, 3);
    for (uint32_t i = 0; i < LENGTH(rows); i++) {
        rows[i] = (struct sample){.signal = SIGNAL_SPANS,
                                  .span_id = i + 1,
                                  .time = begin_time + i,
                                  .code = -1,
                                  .name = "n",
                                  .correlation = "all"};
        rows[i].trace_id[3] = (unsigned char)(i / 3 + 1);
    }
    world_add(&w, rows, LENGTH(rows));
    struct query_correlation r = {.id = STR("all"), .time_min = INT64_MIN, .time_max = INT64_MAX, .traces_max = 5};
    world_query(&w, &q);
    ASSERT_OK(query_correlation(&q, &r, &found));
    assert_true(found.traces_cut && !found.spans_cut);
    assert_int_equal(found.trace_count, 5);
    assert_int_equal(found.span_count, LENGTH(rows)); /* they carry it, whatever their trace */
    query_end(&q);
    r.rows_max = 7;
    world_query(&w, &q);
    ASSERT_OK(query_correlation(&q, &r, &found));
    assert_true(found.traces_cut && found.spans_cut);
    assert_int_equal(found.span_count, 7);
    query_end(&q);
    r = (struct query_correlation){.id = STR("none"), .time_min = INT64_MIN, .time_max = INT64_MAX};
    world_query(&w, &q);
    ASSERT_OK(query_correlation(&q, &r, &found));
    assert_int_equal(found.span_count + found.log_count + found.trace_count, 0);
    query_end(&q);
    struct query_correlations list = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    for (int i = 0; i < 4; i++) {
        struct query_correlations_answer listed;
        list.traces_max = i == 1 ? 5 : 0;
        list.rows_max = i == 2 ? 7 : 0;
        list.ids_max = i == 3 ? 1 : 0;
        world_query(&w, &q);
        ASSERT_OK(query_correlations(&q, &list, &listed));
        assert_int_equal(listed.cut, i == 1 || i == 2);
        assert_int_equal(listed.n, i == 1 ? 15 : i == 2 ? 7 : LENGTH(rows));
        for (size_t k = 0; k < listed.n; k++) assert_true(i == 0 || i == 3 || listed.rows[k].time > begin_time + 40);
        query_end(&q);
    }
    world_close(&w);
}

static void refused(struct world *w, const struct query_correlation *r, bool cancelled, enum err_kind kind) {
    atomic_bool flag = cancelled;
    struct query q;
    struct query_correlation_answer found;
    world_query(w, &q);
    q.options.cancel = &flag;
    err e = query_correlation(&q, r, &found);
    assert_non_null(e);
    assert_int_equal(err_kind(e), kind);
    err_free(e);
    query_end(&q);
}

static void bad_questions_and_cancelled_ones_end(void **state) {
    (void)state;
    struct world w;
    struct query_correlation r = {.id = STR("order-7"), .time_min = INT64_MIN, .time_max = INT64_MAX};
    world_open(&w, 5);
    grow(&w, 100, 3);
    refused(&w, &r, true, ERR_CANCELLED);
    r.time_max = -1, r.time_min = 1;
    refused(&w, &r, false, ERR_INVALID);
    refused(&w, &(struct query_correlation){.time_max = 1}, false, ERR_INVALID);
    char long_id[QUERY_ID_BYTES_MAX + 2];
    memset(long_id, 'a', sizeof long_id);
    refused(&w, &(struct query_correlation){.id = {long_id, sizeof long_id}, .time_max = 1}, false, ERR_INVALID);
    static const char *const attributes[] = {"event.name", "a b", "\"", "=", ""};
    for (size_t i = 0; i < LENGTH(attributes); i++) {
        r = (struct query_correlation){.id = STR("x"), .time_max = 1, .attribute = str_of(attributes[i])};
        if (r.attribute.n) refused(&w, &r, false, ERR_INVALID);
    }
    world_close(&w);
}

/* The field in the search language, and the attribute of the same name beside it. */
static void conditions_name_the_id(void **state) {
    (void)state;
    static const struct {
        const char *where;
        uint64_t logs;
    } cases[] = {{"correlation_id = a", 2},       {"correlation_id exists", 3}, {"correlation_id absent", 1},
                 {"correlation_id ~ ^[ab]$", 3},  {"correlation_id != a", 2},   {"log.correlation_id exists", 0},
                 {"\"correlation_id\" exists", 0}};
    struct world w;
    struct sample rows[4];
    static const char *const given[] = {"a", "b", NULL, "a"};
    world_open(&w, 8);
    for (uint32_t i = 0; i < 4; i++)
        rows[i] = (struct sample){
            .signal = SIGNAL_LOGS, .time = begin_time + i, .code = -1, .name = "n", .correlation = given[i]};
    world_add(&w, rows, 4);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct query q;
        struct query_filter f;
        uint64_t n;
        world_query(&w, &q);
        query_filter_init(&f);
        ASSERT_OK(query_filter_where(&q, &f, str_of(cases[i].where)));
        ASSERT_OK(query_log_count(&q, &f, &n));
        if (n != cases[i].logs) fail_msg("%s: %d", cases[i].where, (int)n);
        query_end(&q);
    }
    world_close(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_equal_brute_force),
        cmocka_unit_test(lists_agree_with_what_they_lead_to),
        cmocka_unit_test(traces_without_an_id_are_listed_when_asked),
        cmocka_unit_test(what_is_over_a_limit_is_left_out_and_said),
        cmocka_unit_test(bad_questions_and_cancelled_ones_end),
        cmocka_unit_test(conditions_name_the_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
