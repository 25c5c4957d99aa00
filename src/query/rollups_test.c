/* Answers from rollups against brute force over the spans of the same whole minutes. */
#include "query/rollups.h"

#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t minute = 60 * (int64_t)1000000000;
#define NOON ((int64_t)28800000 * 60 * 1000000000)

static struct world w;
static struct query q;

/* Spans in nine runs of 1 s, ten minutes apart, within the minute. */
static void fill(uint64_t seed) {
    world_open(&w, seed);
    for (int i = 0; i < 9; i++)
        world_fill(&w, SIGNAL_SPANS, 30, 20, NOON + 10 * i * minute + (int64_t)world_below(&w, 59) * 1000000000,
                   1000000000);
    world_fill(&w, SIGNAL_LOGS, 30, 20, NOON, 1000000000);
    world_query(&w, &q);
}

static void drop(void) {
    query_end(&q);
    world_close(&w);
}

static bool in_minutes(const struct sample *s, int64_t from, int64_t to) {
    return s->signal == SIGNAL_SPANS && s->time >= from / minute * minute && s->time < to / minute * minute + minute;
}

/* Ranges of ten minutes and more, at any ns. */
static void choose_range(int64_t *from, int64_t *to) {
    *from = NOON - 5 * minute + (int64_t)world_below(&w, 50) * minute + (int64_t)world_below(&w, 1000);
    *to = *from + 10 * minute + (int64_t)world_below(&w, 60) * minute + (int64_t)world_below(&w, 1000000000);
}

static int by_value(const void *x, const void *y) {
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return a < b ? -1 : a > b;
}

/* `ok` says which spans. */
static void check(const struct query_span_stats *got, bool (*ok)(const struct sample *s, const void *context),
                  const void *context, int64_t from, int64_t to) {
    static const double shares[QUERY_QUANTILES] = {0.5, 0.9, 0.95, 0.99};
    AUTO_FREE int64_t *v = mem_new_array(int64_t, w.rows.n + 1);
    size_t n = 0;
    uint64_t errors = 0;
    int64_t sum = 0;
    for (size_t i = 0; i < w.rows.n; i++) {
        const struct sample *s = &w.rows.v[i];
        if (!in_minutes(s, from, to) || !ok(s, context)) continue;
        v[n++] = MAX(s->duration, 0);
        sum += v[n - 1];
        errors += s->status == 2;
    }
    assert_int_equal(got->spans, n);
    assert_int_equal(got->errors, errors);
    assert_int_equal(got->duration_sum, sum);
    if (!n) return;
    qsort(v, n, sizeof *v, by_value);
    assert_int_equal(got->duration_max, v[n - 1]);
    for (int i = 0; i < QUERY_QUANTILES; i++) {
        size_t rank = (size_t)(shares[i] * (double)n + 0.999999);
        double want = (double)v[MIN(MAX(rank, 1u), n) - 1];
        if ((double)got->quantiles[i] < want / 1.0443 - 1 || (double)got->quantiles[i] > want * 1.0443 + 1)
            fail_msg("quantile %g: %lld, not %g", shares[i], (long long)got->quantiles[i], want);
    }
}

static bool any(const struct sample *s, const void *context) {
    (void)s, (void)context;
    return true;
}
static bool of_service(const struct sample *s, const void *context) {
    const struct query_service *v = context;
    return str_equal(v->name, str_of(sample_service(s))) && str_equal(v->environment, str_of(sample_environment(s))) &&
           str_equal(v->space, str_of(s->space ? s->space : ""));
}
static bool of_name(const struct sample *s, const void *context) {
    return str_equal(*(const struct str *)context, str_of(sample_service(s)));
}
static bool of_operation(const struct sample *s, const void *context) {
    const struct query_operation *o = context;
    return str_equal(o->service, str_of(sample_service(s))) && str_equal(o->name, str_of(s->name)) &&
           o->kind == s->kind;
}

static void services_are_those_of_a_count(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct query_services_answer found;
        int64_t from, to;
        uint64_t spans = 0, all = 0;
        fill(seed);
        choose_range(&from, &to);
        ASSERT_OK(query_services(&q, from, to, (struct str){NULL, 0}, true, &found));
        assert_true(!found.rolled ||
                    (found.time_min == from / minute * minute && found.time_max % minute == minute - 1));
        for (size_t i = 0; found.rolled && i < found.n; i++) {
            check(&found.services[i].spans, of_service, &found.services[i], from, to);
            spans += found.services[i].spans.spans;
        }
        for (size_t i = 0; i < w.rows.n; i++) all += in_minutes(&w.rows.v[i], from, to);
        assert_int_equal(found.rolled, all > 0);
        assert_int_equal(spans, all);
        drop();
    }
}

static void short_ranges_are_counted_to_the_nanosecond(void **state) {
    (void)state;
    struct query_services_answer found;
    uint64_t spans = 0, all = 0;
    fill(3);
    int64_t from = w.rows.v[5].time, to = from + 5 * minute;
    ASSERT_OK(query_services(&q, from, to, (struct str){NULL, 0}, true, &found));
    assert_false(found.rolled);
    for (size_t i = 0; i < found.n; i++) spans += found.services[i].spans.spans;
    for (size_t i = 0; i < w.rows.n; i++)
        all += w.rows.v[i].signal == SIGNAL_SPANS && w.rows.v[i].time >= from && w.rows.v[i].time <= to;
    assert_int_equal(spans, all);
    drop();
}

static void statistics_are_those_of_a_count(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct query_trace_stats r = {.top = 1000, .services = 200, .step = seed % 2 ? 5 * minute : 0};
        struct query_trace_stats_answer found;
        int64_t from, to;
        bool rolled;
        uint64_t buckets = 0, operations = 0;
        fill(seed);
        choose_range(&from, &to);
        to += 60 * minute; /* so that the step is of whole minutes */
        query_filter_init(&r.filter);
        r.filter.time_min = from;
        r.filter.time_max = to;
        ASSERT_OK(query_trace_stats_rolled(&q, &r, &found, &rolled));
        if (!rolled) {
            drop();
            continue;
        }
        assert_int_equal(r.filter.time_min, from / minute * minute);
        check(&found.total, any, NULL, from, to);
        for (size_t i = 0; i < found.bucket_count; i++) buckets += found.buckets[i].stats.spans;
        for (size_t i = 0; i < found.service_count; i++) {
            uint64_t sum = 0;
            check(&found.services[i].stats, of_name, &found.services[i].service, from, to);
            for (size_t k = 0; k < found.bucket_count; k++) sum += found.services[i].bucket_spans[k];
            assert_int_equal(sum, found.services[i].stats.spans);
        }
        for (size_t i = 0; i < found.top_count; i++) {
            check(&found.top[i].stats, of_operation, &found.top[i], from, to);
            operations += found.top[i].stats.spans;
        }
        assert_int_equal(buckets, found.total.spans);
        assert_int_equal(operations, found.total.spans);
        drop();
    }
}

static bool filtered(const struct sample *s, const void *context) { return sample_matches(context, s); }

static void filters_of_keys_are_answered_and_others_are_not(void **state) {
    (void)state;
    unsigned told = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct world_filter f;
        struct query_trace_stats r = {.step = 10 * minute};
        struct query_trace_stats_answer found;
        bool rolled;
        fill(seed);
        world_random_filter(&w, &q, SIGNAL_SPANS, &f);
        r.filter = f.filter;
        r.filter.time_min = f.filter.time_min = NOON;
        r.filter.time_max = f.filter.time_max = NOON + 100 * minute - 1;
        ASSERT_OK(query_trace_stats_rolled(&q, &r, &found, &rolled));
        if (f.where || f.filter.duration_min != INT64_MIN || f.filter.duration_max != INT64_MAX) assert_false(rolled);
        if (rolled) check(&found.total, filtered, &f, NOON, NOON + 100 * minute - 1);
        told += rolled;
        drop();
    }
    assert_true(told > 5);
}

static void operations_are_those_of_a_count(void **state) {
    (void)state;
    struct query_filter f;
    struct query_operations_answer found;
    bool rolled;
    fill(5);
    query_filter_init(&f);
    f.service = STR("cart");
    f.time_min = NOON;
    f.time_max = NOON + 90 * minute;
    ASSERT_OK(query_operations_rolled(&q, &f, 100, &found, &rolled));
    assert_true(rolled && found.n > 0);
    for (size_t i = 0; i < found.n; i++)
        check(&found.operations[i].stats, of_operation, &found.operations[i], f.time_min, f.time_max);
    f.time_max = f.time_min + minute;
    ASSERT_OK(query_operations_rolled(&q, &f, 100, &found, &rolled));
    assert_false(rolled);
    drop();
}

static void add_call(uint64_t id, const char *client, const char *server, uint32_t status, int64_t time) {
    struct sample s[2] = {{.signal = SIGNAL_SPANS,
                           .span_id = 1,
                           .time = time,
                           .duration = 3000,
                           .kind = 3,
                           .service = client,
                           .name = "call",
                           .code = -1},
                          {.signal = SIGNAL_SPANS,
                           .span_id = 2,
                           .parent_id = 1,
                           .time = time,
                           .duration = 1000,
                           .kind = 2,
                           .status = status,
                           .service = server,
                           .name = "serve",
                           .code = -1}};
    for (int i = 0; i < 2; i++) memcpy(s[i].trace_id, &id, sizeof id);
    world_add(&w, s, 2);
}

static bool is_of(const struct sample *s, const void *context) {
    const struct query_service_spans *of = context;
    const char *environment = s->environment && *s->environment           ? s->environment
                              : s->old_environment && *s->old_environment ? s->old_environment
                                                                          : "default";
    return str_equal(str_of(s->service && *s->service ? s->service : "unknown_service"), of->service) &&
           str_equal(str_of(s->space ? s->space : ""), of->space) && str_equal(str_of(environment), of->environment);
}

static void services_come_to_what_their_spans_do(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct query_service_spans_answer found;
        int64_t from, to;
        uint64_t spans = 0;
        fill(seed);
        choose_range(&from, &to);
        ASSERT_OK(query_service_spans(&q, from, to, (struct str){NULL, 0}, &found));
        for (size_t i = 0; i < found.n; i++) {
            const struct query_service_spans *s = &found.services[i];
            check(&s->stats, is_of, s, from, to);
            spans += s->stats.spans;
            assert_true(s->last_seen >= found.time_min && s->last_seen <= found.time_max);
            if (i == 0) continue;
            int order = str_compare(s[-1].environment, s->environment);
            if (!order) order = str_compare(s[-1].space, s->space);
            assert_true((order ? order : str_compare(s[-1].service, s->service)) < 0);
        }
        for (size_t i = 0; i < w.rows.n; i++) spans -= in_minutes(&w.rows.v[i], from, to);
        assert_int_equal(spans, 0);
        assert_int_equal(found.folded, 0);
        drop();
    }
}

static void edges_have_both_sides(void **state) {
    (void)state;
    struct query_topology_answer found;
    world_open(&w, 1);
    world_query(&w, &q);
    for (uint64_t i = 0; i < 5; i++) add_call(i + 1, "web", "pay", i == 4 ? 2 : 0, NOON + (int64_t)i * minute);
    add_call(9, "web", "_other", 0, NOON);
    struct sample database = {.signal = SIGNAL_SPANS,
                              .trace_id = {7},
                              .span_id = 7,
                              .time = NOON,
                              .duration = 5,
                              .kind = 3,
                              .service = "pay",
                              .name = "select",
                              .code = -1,
                              .environment = "prod"};
    world_add(&w, &database, 1);
    ASSERT_OK(query_topology(&q, NOON + 1, NOON + 4 * minute + 1, (struct str){NULL, 0}, (struct str){NULL, 0}, &found));
    assert_int_equal(found.n, 3);
    assert_int_equal(found.folded, 1);
    assert_int_equal(found.time_min, NOON);
    assert_true(str_equal(found.edges[0].client, STR("web")) && str_equal(found.edges[0].server, STR("pay")));
    assert_int_equal(found.edges[0].calls, 5);
    assert_int_equal(found.edges[0].errors, 1);
    assert_int_equal(found.edges[0].connection, ROLLUP_DIRECT);
    assert_int_equal(found.edges[0].as_client.duration_sum, 15000);
    assert_int_equal(found.edges[0].as_server.duration_sum, 5000);
    assert_int_equal(found.edges[0].last_seen, NOON + 4 * minute);
    ASSERT_OK(query_topology(&q, NOON, NOON, STR("prod"), (struct str){NULL, 0}, &found));
    assert_int_equal(found.n, 1);
    assert_true(found.edges[0].connection == ROLLUP_DATABASE && str_equal(found.edges[0].server, STR("db")));
    assert_int_equal(found.edges[0].as_server.spans, 0);
    assert_int_equal(found.edges[0].as_client.spans, 1);
    ASSERT_OK(query_topology(&q, NOON, NOON, (struct str){NULL, 0}, STR("pay"), &found));
    assert_int_equal(found.n, 2);
    ASSERT_OK(query_topology(&q, 0, NOON - 1, (struct str){NULL, 0}, (struct str){NULL, 0}, &found));
    assert_int_equal(found.n, 0);
    err e = query_topology(&q, 1, 0, (struct str){NULL, 0}, (struct str){NULL, 0}, &found);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    drop();
}

/* Trees of random kinds over services that are not all instrumented alike, in batches and flushes of their own. A client has one child at most, as
 * the second may come too late for it; rows come in any order. */
static void grow_calls(uint32_t n) {
    static const char *const names[] = {"web", "cart", "pay", "ship", NULL};
    struct sample *rows = mem_new_array(struct sample, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t parent = i && world_below(&w, 8) ? world_below(&w, i) : 0;
        rows[i] = (struct sample){.signal = SIGNAL_SPANS,
                                  .span_id = i + 1,
                                  .time = NOON + (int64_t)world_below(&w, 600) * 1000000000,
                                  .duration = 1 + world_below(&w, 1000),
                                  .kind = world_below(&w, 6),
                                  .status = world_below(&w, 4) == 0 ? 2 : 0,
                                  .code = -1,
                                  .name = world_below(&w, 5) ? "work" : "select",
                                  .service = names[world_below(&w, LENGTH(names))],
                                  .space = world_below(&w, 4) ? NULL : "eu"};
        rows[i].trace_id[0] = 1;
        if (i == 0 || parent == i) continue;
        bool is_taken = false;
        for (uint32_t k = 0; k < i && rows[parent].kind == 3; k++) is_taken |= rows[k].parent_id == parent + 1;
        rows[i].parent_id = is_taken ? 1000000 + i : parent + 1;
    }
    for (uint32_t i = n; i > 1; i--) {
        uint32_t other = world_below(&w, i);
        struct sample row = rows[i - 1];
        rows[i - 1] = rows[other];
        rows[other] = row;
    }
    for (uint32_t i = 0; i < n; i += 30) {
        world_add(&w, rows + i, MIN(30, n - i));
        world_shake(&w);
    }
    mem_free(rows);
}

static bool is_text(struct str a, const char *b) { return str_equal(a, str_of(b ? b : "")); }

static bool is_half_that_calls(const struct sample *s) {
    return s->kind == 4 || (s->kind == 3 && strcmp(s->name, "select") != 0);
}

/* What one span whose parent is there comes to, by the rule. */
static bool is_call(const struct sample *parent, const struct sample *s) {
    bool is_same = strcmp(sample_service(parent), sample_service(s)) == 0 &&
                   is_text(str_of(parent->space ? parent->space : ""), s->space);
    return !is_same || (is_half_that_calls(parent) && (s->kind == 2 || s->kind == 5));
}

struct naive_edge {
    uint64_t calls, errors, as_client;
    int64_t served_ns;
};

/* Calls from one service to another of which spans are there. */
static void count_naively(const struct query_call_edge *e, struct naive_edge *out) {
    *out = (struct naive_edge){0};
    for (size_t i = 0; i < w.rows.n; i++)
        for (size_t k = 0; k < w.rows.n; k++) {
            const struct sample *p = &w.rows.v[k], *s = &w.rows.v[i];
            if (s->parent_id != p->span_id || !is_call(p, s)) continue;
            bool calls = is_half_that_calls(p), messages = s->kind == 5 || p->kind == 4;
            if (!str_equal(e->client, str_of(sample_service(p))) || !str_equal(e->server, str_of(sample_service(s))) ||
                !is_text(e->client_space, p->space) || !is_text(e->server_space, s->space) ||
                messages != (e->connection == ROLLUP_MESSAGING))
                continue;
            out->calls++;
            out->errors += s->status == 2 || (calls && p->status == 2);
            out->as_client += calls;
            out->served_ns += s->duration;
        }
}

/* Whatever the kinds and wherever the flushes: each call once, as both ends saw it or as the called one did. */
static void edges_are_those_of_a_count(void **state) {
    (void)state;
    const struct str any = {NULL, 0};
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct query_topology_answer found;
        uint64_t calls = 0, all = 0, alone = 0;
        world_open(&w, seed);
        grow_calls(40 + 10 * (uint32_t)seed);
        world_query(&w, &q);
        ASSERT_OK(query_topology(&q, NOON, NOON + 20 * minute, any, any, &found));
        for (size_t i = 0; i < found.n; i++) {
            const struct query_call_edge *e = &found.edges[i];
            struct naive_edge naive;
            if (e->connection == ROLLUP_TO_PEER || e->connection == ROLLUP_DATABASE) continue;
            count_naively(e, &naive);
            assert_int_equal(e->as_server.spans, naive.calls);
            assert_int_equal(e->as_client.spans, naive.as_client);
            assert_int_equal(e->as_server.duration_sum, naive.served_ns);
            assert_int_equal(e->errors, naive.errors);
            calls += e->calls;
            alone += e->calls - naive.as_client;
        }
        for (size_t i = 0; i < w.rows.n; i++)
            for (size_t k = 0; k < w.rows.n; k++)
                all += w.rows.v[i].parent_id == w.rows.v[k].span_id && is_call(&w.rows.v[k], &w.rows.v[i]);
        assert_int_equal(calls, all);
        assert_true(alone > 5);
        drop();
    }
}

static void what_is_folded_is_told(void **state) {
    (void)state;
    struct query_services_answer found;
    world_open(&w, 1);
    world_query(&w, &q);
    struct sample s = {.signal = SIGNAL_SPANS,
                       .trace_id = {7},
                       .span_id = 7,
                       .time = NOON,
                       .duration = 5,
                       .service = "pay",
                       .name = "_other",
                       .code = -1};
    world_add(&w, &s, 1);
    s.name = "own";
    world_add(&w, &s, 1);
    ASSERT_OK(query_services(&q, NOON, NOON + 60 * minute, (struct str){NULL, 0}, true, &found));
    assert_true(found.rolled && found.n == 1 && found.services[0].spans.spans == 2);
    assert_int_equal(found.folded, 1);
    drop();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_are_those_of_a_count),
        cmocka_unit_test(short_ranges_are_counted_to_the_nanosecond),
        cmocka_unit_test(statistics_are_those_of_a_count),
        cmocka_unit_test(filters_of_keys_are_answered_and_others_are_not),
        cmocka_unit_test(operations_are_those_of_a_count),
        cmocka_unit_test(services_come_to_what_their_spans_do),
        cmocka_unit_test(edges_have_both_sides),
        cmocka_unit_test(edges_are_those_of_a_count),
        cmocka_unit_test(what_is_folded_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
