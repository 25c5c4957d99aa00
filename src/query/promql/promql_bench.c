/* What the evaluator costs over series that lie in memory: sum by (route) (rate(x[5m])) and its kin over an hour.
 *
 *   promql_bench [SERIES] [ROUNDS]      10,000 and 5; the best round counts, in CPU time of this thread */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "query/promql/source.h"

enum { STEPS = 241, SCRAPE_MS = 15000, ROUTES = 50, PAIRS = 4 };

struct series_in_memory {
    struct promql_source source;
    struct labels *labels;
    size_t n, samples;
    int64_t *times;
    double *values; /* n × samples */
    int64_t min_ms, max_ms;
    bool shared; /* timestamps: told that all series have the same */
};

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    exit(1);
}

static err bench_read(struct promql_set *set, size_t i, struct promql_samples *out) {
    struct series_in_memory *m = set->state;
    size_t low = 0, high = m->samples;
    while (low < high && m->times[low] < m->min_ms) low++;
    while (high > low && m->times[high - 1] > m->max_ms) high--;
    *out = (struct promql_samples){.times = m->times + low,
                                   .values = m->values + i * m->samples + low,
                                   .n = high - low,
                                   .times_id = m->shared,
                                   .without_stale = true,
                                   .without_resets = i % 100 != 0};
    return NULL;
}

static err bench_select(struct promql_source *source, const struct promql_selection *q, struct arena *a,
                        struct promql_set *out) {
    struct series_in_memory *m = (struct series_in_memory *)source;
    (void)a;
    m->min_ms = q->min_ms;
    m->max_ms = q->max_ms;
    *out = (struct promql_set){.series = m->labels, .n = m->n, .read = bench_read, .state = m};
    return NULL;
}

static struct str text(const char *prefix, size_t i) {
    char *p = mem_new(32);
    return (struct str){p, (size_t)snprintf(p, 32, "%s%zu", prefix, i)};
}

/* Counters that began long ago and rise by something between 0 and 255 each scrape; one in a hundred is reset once. */
static void fill(struct series_in_memory *m, size_t n) {
    uint64_t x = 88172645463325252ull;
    m->n = n;
    m->samples = (3600 + 300) * 1000 / SCRAPE_MS + 1;
    m->labels = mem_new_array(struct labels, n);
    m->times = mem_new_array(int64_t, m->samples);
    m->values = mem_new_array(double, n * m->samples);
    for (size_t k = 0; k < m->samples; k++) m->times[k] = (int64_t)k * SCRAPE_MS + 7;
    for (size_t i = 0; i < n; i++) {
        struct label *v = mem_new_array(struct label, PAIRS);
        v[0] = (struct label){STR("__name__"), STR("x")};
        v[1] = (struct label){STR("instance"), text("host-", i)};
        v[2] = (struct label){STR("job"), STR("api")};
        v[3] = (struct label){STR("route"), text("/route/", i % ROUTES)};
        m->labels[i] = (struct labels){v, PAIRS};
        double at = (double)(i * 7919 % 1000000) + 1e6; /* they began long ago */
        for (size_t k = 0; k < m->samples; k++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            at = i % 100 == 0 && k == m->samples / 2 ? 0 : at + (double)(x & 255);
            m->values[i * m->samples + k] = at;
        }
    }
}

static double cpu_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void measure(struct series_in_memory *m, const char *query, bool instant, int rounds) {
    double best = 1e300;
    size_t rows = 0;
    for (int r = 0; r < rounds; r++) {
        struct arena a;
        struct promql_answer answer;
        const struct promql_node *e;
        struct promql_options o = {.start_ms = 300000, .end_ms = 3900000, .step_ms = 15000, .samples_max = 1000000000};
        if (instant) o.start_ms = o.end_ms, o.step_ms = 0;
        arena_init(&a, 2048 * MIB);
        double start = cpu_ms();
        must(promql_parse(&a, str_of(query), (struct promql_syntax){0}, &e, NULL));
        must(promql_run(&a, &m->source, e, str_of(query), &o, &answer));
        double took = cpu_ms() - start;
        rows = answer.row_n;
        best = took < best ? took : best;
        arena_done(&a);
    }
    double windows = (double)m->n * (instant ? 1 : STEPS);
    printf("%-46s %-8s %9.2f ms %8.2f ns per window %6zu rows\n", query, instant ? "instant" : "1 h", best,
           best * 1e6 / windows, rows);
}

int main(int argc, char **argv) {
    static const char *const queries[] = {
        "sum by (route) (rate(x[5m]))", "sum by (route) (x)",        "max by (route) (max_over_time(x[5m]))",
        "topk(10, rate(x[5m]))",        "sum(rate(x[5m])) / sum(x)", "x > 100"};
    struct series_in_memory m = {.source = {bench_select}};
    fill(&m, argc > 1 ? (size_t)strtoul(argv[1], NULL, 10) : 10000);
    int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5;
    printf("every series with a clock of its own:\n");
    measure(&m, queries[0], false, rounds);
    m.shared = true;
    printf("all series with the same timestamps:\n");
    for (size_t i = 0; i < LENGTH(queries); i++) {
        measure(&m, queries[i], false, rounds);
        measure(&m, queries[i], true, rounds);
    }
    return 0;
}
