/* PromQL over the store against the same samples in plain arrays: random series, late and repeated samples, samples in one ms, deletes, written to
 * files and merged in between. (What the evaluator makes of arrays is held by promql/property_test.c.) Built twice: over the naive
 * store, and over the real one on a simulated disk. A seed replays; CLEW_LONG=1 runs more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "base/budget.h"
#include "query/promql/memory_test_priv.h"
#include "query/series/parallel_priv.h"
#include "signal/metrics/points_decode.h"
#ifdef WORLD_ENGINE
#include "os/sim/sim.h"
#endif

enum { SERIES = 10, SAMPLES_MAX = 600, START_MS = -1800000, END_MS = 7200000, STEP_MS = 15000 };

struct world_series {
    char name[16], labels[96];
    size_t n;
    int64_t ns[SAMPLES_MAX];
    double v[SAMPLES_MAX];
    int64_t newest_ns;
};

static struct {
    uint64_t chance;
    struct budget budget;
    struct store *store;
    struct points_decoder *decoder;
    struct world_series series[SERIES];
} world;

static uint32_t below(uint32_t n) {
    world.chance = world.chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((world.chance >> 33) % n);
}

static void check_ok(err e, const char *what) {
    if (e) fail_msg("%s: %s", what, err_text(e));
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

static void open_world(uint64_t seed) {
    struct store_options o;
    memset(&world, 0, sizeof world);
    world.chance = seed * 7919 + 1;
    budget_init(&world.budget, 256 * MIB);
    store_options_default(&o);
    o.retention_ns = 0;
    o.budget = &world.budget;
    o.series.late_window_ns = 7200 * (int64_t)1000000000 * 4;
    world.decoder = points_decoder_new();
#ifdef WORLD_ENGINE
    sim_reset(seed);
    o.dir = "/data";
    o.manual = true;
    o.disk_use_max_percent = 100;
    check_ok(store_open(&o, &world.store), "open");
#else
    world.store = store_model_open(&o);
#endif
    for (int i = 0; i < SERIES; i++) {
        struct world_series *s = &world.series[i];
        snprintf(s->name, sizeof s->name, "%s", i % 3 == 0 ? "load" : i % 3 == 1 ? "hits_total" : "bytes_total");
        snprintf(s->labels, sizeof s->labels, "job=\"%c\",i=\"%d\"", 'a' + i % 2, i);
        s->newest_ns = INT64_MIN;
    }
}

static void close_world(void) {
    check_ok(store_close(world.store), "close");
    points_decoder_free(world.decoder);
}

static void shake(void) {
#ifdef WORLD_ENGINE
    if (below(3) == 0) check_ok(store_flush(world.store), "flush");
    if (below(5) == 0) check_ok(store_merge_all(world.store), "merge");
#endif
}

static void on_append(void *context, err e, const struct points_outcome *o) {
    struct points_outcome *out = context;
    check_ok(e, "append");
    *out = *o;
}

static void say(const struct buf *text) {
    static const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct points_result r;
    struct points_outcome outcome = {0};
    if (!text->n) return;
    check_ok(points_decode_text(world.decoder, POINTS_TEXT, buf_str(text), &limits, &r), "decode");
    check_ok(store_append_points(world.store, STR("default"), r.blob, on_append, &outcome), "append");
#ifdef WORLD_ENGINE
    while (store_pump(world.store, 0)) {}
#endif
    if (outcome.rejected) fail_msg("%llu rejected: %s", (unsigned long long)outcome.rejected, outcome.message);
}

/* ---- what happens ------------------------------------------------------------------------------------------------ */

/* Where a sample of that time is or belongs. */
static size_t place_of(const struct world_series *s, int64_t ns) {
    size_t i = 0;
    while (i < s->n && s->ns[i] < ns) i++;
    return i;
}

static double next_value(const struct world_series *s, size_t at) {
    if (s->name[0] == 'l') return below(25) == 0 ? (below(2) ? NAN : INFINITY) : (double)below(2000) / 8 - 100;
    double before = at ? s->v[at - 1] : 1000;
    return below(30) == 0 ? below(5) : before + below(50);
}

/* A new sample, or one that is there once more. */
static void add_sample(struct world_series *s, int64_t ms, struct buf *text) {
    int64_t ns = ms * 1000000;
    size_t at = place_of(s, ns);
    bool is_there = at < s->n && s->ns[at] == ns;
    double v = is_there ? s->v[at] : next_value(s, at);
    if (!is_there) {
        if (s->n == SAMPLES_MAX) return;
        memmove(s->ns + at + 1, s->ns + at, (s->n - at) * sizeof *s->ns);
        memmove(s->v + at + 1, s->v + at, (s->n - at) * sizeof *s->v);
        s->ns[at] = ns;
        s->v[at] = v;
        s->n++;
    }
    s->newest_ns = MAX(s->newest_ns, ns);
    buf_add_fmt(text, "%s{%s} ", s->name, s->labels);
    if (isnan(v))
        buf_add_text(text, "NaN");
    else if (isinf(v))
        buf_add_text(text, "+Inf");
    else
        buf_add_fmt(text, "%.17g", v);
    buf_add_fmt(text, " %lld\n", (long long)ms);
}

/* A span of time of some series, from its start on, or shuffled. */
static void append_some(int64_t from_ms, int64_t to_ms) {
    struct buf text;
    buf_init(&text, 4 * MIB);
    for (int i = 0; i < SERIES; i++) {
        if (below(8) == 0) continue; /* a gap */
        bool late = below(6) == 0;
        uint32_t jitter = i % 4 == 0 ? 0 : 900;
        for (int64_t ms = from_ms; ms < to_ms; ms += STEP_MS) {
            int64_t at =
                late ? from_ms + (int64_t)below((uint32_t)(to_ms - from_ms)) : ms + (jitter ? below(jitter) : 0);
            if (below(20)) add_sample(&world.series[i], at, &text);
        }
    }
    say(&text);
    buf_done(&text);
}

static void repeat_some(void) {
    struct buf text;
    buf_init(&text, MIB);
    struct world_series *s = &world.series[below(SERIES)];
    for (int k = 0; k < 20 && s->n; k++) add_sample(s, s->ns[below((uint32_t)s->n)] / 1000000, &text);
    say(&text);
    buf_done(&text);
}

static void delete_some(void) {
    struct arena a;
    struct label_matcher m;
    char job[2] = {(char)('a' + below(2)), 0};
    uint64_t id;
    int64_t from_ms = START_MS + (int64_t)below(END_MS - START_MS), to_ms = from_ms + below(900000);
    arena_init(&a, MIB);
    check_ok(label_matcher_make(&a, STR("job"), MATCHER_EQUAL, str_of(job), &m), "matcher");
    struct series_request r = {&m, 1, from_ms * 1000000, to_ms * 1000000};
    check_ok(store_delete_series(world.store, STR("default"), &r, &id), "delete");
#ifdef WORLD_ENGINE
    while (store_pump(world.store, 0)) {}
#endif
    for (int i = 0; i < SERIES; i++) {
        struct world_series *s = &world.series[i];
        size_t kept = 0;
        if ('a' + i % 2 != job[0]) continue;
        for (size_t k = 0; k < s->n; k++) {
            if (s->ns[k] >= r.time_min && s->ns[k] <= r.time_max) continue;
            s->ns[kept] = s->ns[k];
            s->v[kept++] = s->v[k];
        }
        s->n = kept;
    }
    label_matcher_done(&m);
    arena_done(&a);
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static const char *const expressions[] = {
    "load",
    "load offset 7m",
    "{__name__=~\"(hits|bytes)_total\", job!=\"b\"}",
    "{i=~\"[1-5]\"}",
    "hits_total[5m]",
    "rate(hits_total[5m])",
    "sum by (job) (rate(bytes_total[10m]))",
    "increase(hits_total{i=\"1\"}[1h])",
    "irate(bytes_total[2m])",
    "resets(hits_total[30m])",
    "changes(load[20m])",
    "avg_over_time(load{i!~\"0|3\"}[10m])",
    "max by (job) (max_over_time(load[5m:1m]))",
    "count_over_time({job=\"a\"}[3m])",
    "stddev_over_time(load[15m])",
    "quantile_over_time(0.7, load[8m])",
    "topk(2, hits_total)",
    "sum(hits_total) / ignoring(job) group_left () count(hits_total)",
    "hits_total and on (i) load",
    "absent(load{i=\"9\"})",
    "deriv(bytes_total[10m])",
    "timestamp(hits_total)",
    "last_over_time(load[1h] @ 3600)",
    "count({__name__!=\"\"}) by (__name__)",
};

/* The world as arrays of ms: of samples in one ms the last. */
static void fill_memory(struct memory *m) {
    memory_init(m);
    for (int i = 0; i < SERIES; i++) {
        const struct world_series *s = &world.series[i];
        char number[8], job[2] = {(char)('a' + i % 2), 0};
        snprintf(number, sizeof number, "%d", i);
        struct label labels[] = {
            {STR("__name__"), str_of(s->name)}, {STR("job"), str_of(job)}, {STR("i"), str_of(number)}};
        if (!s->n) continue;
        struct memory_series *out = memory_series(m, labels, LENGTH(labels));
        for (size_t k = 0; k < s->n; k++) memory_add(out, series_floor_ms(s->ns[k]), s->v[k]);
    }
    memory_seal(m);
}

static bool same_number(double x, double y) {
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    return x == y || fabs(x - y) <= 1e-12 * fmax(fabs(x), fabs(y));
}

static void check_row(const struct promql_answer *a, const struct promql_row *x, const struct promql_row *y,
                      const char *what) {
    for (size_t i = 0; i < a->step_n; i++) {
        if (x->kinds[i] != y->kinds[i]) fail_msg("%s: step %zu is %d, not %d", what, i, x->kinds[i], y->kinds[i]);
        if (x->kinds[i] == PROMQL_FLOAT && !same_number(x->values[i], y->values[i]))
            fail_msg("%s: step %zu is %.17g, not %.17g", what, i, x->values[i], y->values[i]);
    }
}

static void check_points(const struct promql_points *x, const struct promql_points *y, const char *what) {
    assert_int_equal(x->n, y->n);
    for (size_t i = 0; i < x->n; i++)
        if (x->times[i] != y->times[i] || !same_number(x->values[i], y->values[i]))
            fail_msg("%s: point %zu is %.17g at %lld", what, i, x->values[i], (long long)x->times[i]);
}

/* Each series of the one is in the other; the order is the source's. */
static void check_same(const struct promql_answer *a, const struct promql_answer *b, const char *what) {
    if (a->row_n != b->row_n || a->point_n != b->point_n)
        fail_msg("%s: %zu rows and %zu series, not %zu and %zu", what, a->row_n, a->point_n, b->row_n, b->point_n);
    for (size_t i = 0; i < a->row_n; i++) {
        size_t k = 0;
        while (k < b->row_n && !label_set_equal(a->rows[i].labels, b->rows[k].labels)) k++;
        if (k == b->row_n) fail_msg("%s: a row that should not be there", what);
        check_row(a, &a->rows[i], &b->rows[k], what);
    }
    for (size_t i = 0; i < a->point_n; i++) {
        size_t k = 0;
        while (k < b->point_n && !label_set_equal(a->points[i].labels, b->points[k].labels)) k++;
        if (k == b->point_n) fail_msg("%s: a series that should not be there", what);
        check_points(&a->points[i], &b->points[k], what);
    }
}

/* On the simulated disk there are no threads: one slice after the other. */
static void ask_slices(struct series_source *s, const struct promql_node *e, struct str text,
                       const struct promql_options *o, const struct promql_answer *want) {
    struct promql_answer got;
    check_ok(series_run_in_slices(s, e, text, o, 2 + below(3), &got), text.p);
    check_same(&got, want, text.p);
    check_ok(series_run(s, e, text, o, &got), text.p);
    check_same(&got, want, text.p);
}

static void ask_one(struct series_source *s, struct memory *m, const char *text, const struct promql_options *o) {
    struct arena *a = &s->q->arena;
    const struct promql_node *e;
    struct promql_answer got, want;
    struct promql_options plain = *o;
    char what[256];
    plain.check = NULL;
    snprintf(what, sizeof what, "%s from %lld to %lld step %lld", text, (long long)o->start_ms, (long long)o->end_ms,
             (long long)o->step_ms);
    check_ok(promql_parse(a, str_of(text), (struct promql_syntax){0}, &e, NULL), text);
    err failed = promql_run(a, &s->source, e, str_of(text), o, &got);
    err wanted = promql_run(a, &m->source, e, str_of(text), &plain, &want);
    if (!failed != !wanted) fail_msg("%s: %s, not %s", what, err_text(failed), err_text(wanted));
    if (!failed) check_same(&got, &want, what);
    if (!failed && got.step_n > 4 && promql_is_sliceable(e)) ask_slices(s, e, str_of(text), o, &want);
    err_free(failed);
    err_free(wanted);
}

static size_t ask_all(void) {
    struct memory m;
    struct query q;
    struct series_source s;
    size_t asked = 0;
    fill_memory(&m);
    query_begin(&q, &(struct query_options){.store = world.store, .tenant = STR("default"), .budget = &world.budget});
    check_ok(series_source_open(&q, &s), "snapshot");
    for (size_t i = 0; i < LENGTH(expressions); i++) {
        int64_t at = START_MS + (int64_t)below(END_MS - START_MS);
        struct promql_options o = {.start_ms = at, .end_ms = at, .check = series_source_step, .context = &s};
        ask_one(&s, &m, expressions[i], &o);
        if (strchr(expressions[i], '[') && !strchr(expressions[i], '(')) continue; /* no range of ranges */
        o.end_ms = at + (int64_t)below(3600000);
        o.step_ms = 1 + (int64_t)below(60000) * 10;
        ask_one(&s, &m, expressions[i], &o);
        asked += 2;
    }
    assert_int_equal(s.stats.bad_pages, 0);
    assert_int_equal(series_source_warning(&s).n, 0);
    series_source_close(&s);
    query_end(&q);
    memory_done(&m);
    return asked;
}

static void answers_are_those_of_arrays(void **state) {
    (void)state;
    size_t asked = 0;
    for (uint64_t seed = 1; seed <= (getenv("CLEW_LONG") ? 200 : 6); seed++) {
        open_world(seed);
        for (int64_t from = START_MS; from < END_MS; from += 1200000) {
            append_some(from, from + 1200000);
            if (below(3) == 0) repeat_some();
            if (below(3) == 0) delete_some();
            shake();
            if (below(2) == 0) asked += ask_all();
        }
        asked += ask_all();
        close_world();
        if (budget_used(&world.budget)) fail_msg("seed %llu: budget not given back", (unsigned long long)seed);
    }
    print_message("%zu questions\n", asked);
}

/* ---- what ends a question ---------------------------------------------------------------------------------------- */

static err run_with(struct query_options options, const char *text) {
    struct query q;
    struct series_source s;
    const struct promql_node *e;
    struct promql_answer got;
    options.store = world.store;
    options.tenant = STR("default");
    options.budget = &world.budget;
    query_begin(&q, &options);
    check_ok(series_source_open(&q, &s), "snapshot");
    struct promql_options o = {
        .start_ms = START_MS, .end_ms = END_MS, .step_ms = 15000, .check = series_source_step, .context = &s};
    check_ok(promql_parse(&q.arena, str_of(text), (struct promql_syntax){0}, &e, NULL), text);
    err failed = promql_run(&q.arena, &s.source, e, str_of(text), &o, &got);
    series_source_close(&s);
    query_end(&q);
    return failed;
}

static void check_ends(struct query_options options, const char *text, enum err_kind kind) {
    err e = run_with(options, text);
    if (!e) fail_msg("%s: answered", text);
    if (err_kind(e) != kind) fail_msg("%s: %s", text, err_text(e));
    err_free(e);
    assert_int_equal(budget_used(&world.budget), 0);
}

static void questions_end_at_their_limits(void **state) {
    (void)state;
    open_world(99);
    for (int64_t from = START_MS; from < END_MS; from += 1200000) append_some(from, from + 1200000);
    uint64_t held = budget_used(&world.budget);
    world.budget.used_bytes -= held; /* what the store holds is not the questions' */
    atomic_bool cancel = true;
    check_ends((struct query_options){.cancel = &cancel}, "rate(hits_total[5m])", ERR_CANCELLED);
#ifndef WORLD_ENGINE /* whose clock stands still */
    check_ends((struct query_options){.timeout_ns = 1}, "rate(hits_total[5m])", ERR_CANCELLED);
#endif
    check_ends((struct query_options){.memory_max_bytes = 64 * KIB}, "{__name__!=\"\"}", ERR_LIMIT);
    uint64_t limit = world.budget.limit_bytes;
    world.budget.limit_bytes = 256 * KIB;
    check_ends((struct query_options){0}, "{__name__!=\"\"}", ERR_BUSY);
    bool answered = false;
    for (uint64_t most = 64 * KIB; !answered; most += most / 4) { /* of any size: never over it, and nothing is kept */
        world.budget.limit_bytes = most;
        world.budget.peak_bytes = 0;
        err e = run_with((struct query_options){0}, "{__name__!=\"\"}");
        if (e && err_kind(e) != ERR_BUSY) fail_msg("%llu bytes: %s", (unsigned long long)most, err_text(e));
        answered = !e;
        err_free(e);
        assert_int_equal(budget_used(&world.budget), 0);
        assert_true(atomic_load(&world.budget.peak_bytes) <= most && most < 64 * MIB);
    }
    world.budget.limit_bytes = limit;
    check_ok(run_with((struct query_options){0}, "{__name__!=\"\"}"), "without limits");
    world.budget.used_bytes += held;
    close_world();
}

#ifdef WORLD_ENGINE
/* How many samples are counted, and whether the question is told that some are missing. */
static double count_all(bool *out_warned) {
    struct query q;
    struct series_source s;
    const struct promql_node *e;
    struct promql_answer got;
    struct str text = STR("sum(count_over_time({job!=\"\"}[1d]))");
    query_begin(&q, &(struct query_options){.store = world.store, .tenant = STR("default"), .budget = &world.budget});
    check_ok(series_source_open(&q, &s), "snapshot");
    struct promql_options o = {.start_ms = END_MS, .end_ms = END_MS, .check = series_source_step, .context = &s};
    check_ok(promql_parse(&q.arena, text, (struct promql_syntax){0}, &e, NULL), "parse");
    check_ok(promql_run(&q.arena, &s.source, e, text, &o, &got), "run"); /* damage is no failure */
    double n = got.row_n ? got.rows[0].values[0] : 0;
    struct str warning = series_source_warning(&s);
    *out_warned = warning.n > 0;
    if (warning.n) assert_true(str_starts_with(warning, STR("the answer is partial: ")));
    series_source_close(&s);
    query_end(&q);
    return n;
}

static void what_is_damaged_is_told(void **state) {
    (void)state;
    size_t told = 0;
    for (uint64_t at = 64; at < 6000; at += 211) {
        struct store_options o;
        bool warned;
        open_world(at);
        for (int64_t from = 0; from < 3600000; from += 1200000) append_some(from, from + 1200000);
        check_ok(store_flush(world.store), "flush");
        double whole = count_all(&warned);
        assert_false(warned);
        check_ok(store_close(world.store), "close");
        check_ok(sim_flip_bit("/data/tenants/default/series/19700101-0000000001.part", at, at % 8), "flip");
        store_options_default(&o);
        o.retention_ns = 0;
        o.budget = &world.budget;
        o.dir = "/data";
        o.manual = true;
        o.disk_use_max_percent = 100;
        check_ok(store_open(&o, &world.store), "open");
        double left = count_all(&warned);
        if (left != whole && !warned)
            fail_msg("a bit flipped at %llu: %g samples of %g, silently", (unsigned long long)at, left, whole);
        told += warned;
        close_world();
    }
    assert_true(told > 5);
}
#endif

static void times_are_whole_milliseconds(void **state) {
    (void)state;
    assert_int_equal(series_floor_ms(1999999), 1);
    assert_int_equal(series_floor_ms(-1), -1);
    assert_int_equal(series_floor_ms(-1000000), -1);
    assert_int_equal(series_floor_ms(-1000001), -2);
    assert_int_equal(series_range_min_ns(-2), -2000000);
    assert_int_equal(series_range_max_ns(-2), -1000001);
    assert_int_equal(series_range_max_ns(3), 3999999);
    assert_true(series_range_min_ns(INT64_MIN / 2) == INT64_MIN && series_range_max_ns(INT64_MAX / 2) == INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_those_of_arrays),
        cmocka_unit_test(questions_end_at_their_limits),
#ifdef WORLD_ENGINE
        cmocka_unit_test(what_is_damaged_is_told),
#endif
        cmocka_unit_test(times_are_whole_milliseconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
