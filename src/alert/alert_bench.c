/* What an evaluation costs: 1,000 rules over 1,000 series each, in a store on disk, by one thread.
 *
 *   alert_bench DIR [RULES] [SERIES]      DIR is made and left; CPU time of the process, of the second evaluation (the first makes series)
 *
 * Three kinds of rules: alerting ones of which none fires (a threshold over a rate), recording ones that fold (sum by), and recording ones that give back as
 * many series as they read. */
#include <stdio.h>
#include <stdlib.h>

#include "alert/alert_priv.h"
#include "alert/unit.h"
#include "base/budget.h"
#include "ingest/ingest.h"
#include "os/clock.h"

enum { SAMPLES = 21, SCRAPE_MS = 15000 };

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    exit(1);
}

static void fill(struct ingest *in, size_t series, int64_t now_ms) {
    struct samples_out out;
    samples_out_init(&out);
    for (size_t i = 0; i < series; i++) {
        char instance[32], route[32];
        snprintf(instance, sizeof instance, "host-%zu:9100", i);
        snprintf(route, sizeof route, "/r%zu", i % 20);
        struct label l[] = {{METRIC_NAME, STR("hits_total")},
                            {STR("instance"), str_of(instance)},
                            {STR("job"), STR("web")},
                            {STR("route"), str_of(route)}};
        for (int k = 0; k < SAMPLES; k++)
            samples_out_add(&out, (struct labels){l, LENGTH(l)}, now_ms - (SAMPLES - 1 - k) * SCRAPE_MS,
                            (double)k * (double)(i % 7));
    }
    must(alert_append_wait(in, STR("default"), points_builder_finish(&out.b)));
    samples_out_done(&out);
}

static const struct {
    const char *title, *rule; /* %zu: its number */
} kinds[] = {
    {"alerting, none fires", "  - {alert: A%zu, expr: 'rate(hits_total[5m]) > 1e9', for: 5m}\n"},
    {"recording, folded", "  - {record: 'route:hits:%zu', expr: 'sum by (route) (rate(hits_total[5m]))'}\n"},
    {"recording, one for one", "  - {record: 'rate:hits:%zu', expr: 'rate(hits_total[5m])'}\n"},
};

static void measure(struct store *store, struct budget *budget, struct ingest *in, size_t kind, size_t rules,
                    size_t series) {
    struct buf text, problems;
    struct alert_rules *all = mem_new_of(struct alert_rules);
    int64_t now = clock_wall_ns() / 1000000000 * 1000000000, cpu = 0, wall = 0;
    buf_init(&text, 64 * MIB);
    buf_init(&problems, MIB);
    arena_init(&all->a, (size_t)1 << 30);
    buf_add_text(&text, "groups:\n- name: g\n  rules:\n");
    for (size_t i = 0; i < rules; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        buf_add_fmt(&text, kinds[kind].rule, i);
#pragma GCC diagnostic pop
    }
    must(rules_read(buf_str(&text), "bench.yml", &all->a, vec_push(&all->files), &problems));
    struct alert_engine *e = alert_engine_new(&(struct alert_options){
        .store = store, .budget = budget, .append_wait = alert_append_wait, .append_context = in});
    alert_engine_load_wait(e, STR(""), all);
    for (int round = 0; round < 2; round++) {
        int64_t begun = clock_process_cpu_ns(), at = clock_monotonic_ns();
        alert_engine_evaluate_wait(e, 0, now + (int64_t)round * 1000000000);
        cpu = clock_process_cpu_ns() - begun;
        wall = clock_monotonic_ns() - at;
        for (size_t i = 0; i < e->groups.v[0]->n; i++)
            if (e->groups.v[0]->rules[i].error) must(err_new(ERR_INTERNAL, "%s", e->groups.v[0]->rules[i].error));
    }
    printf("%-24s %zu rules x %zu series: %.2f s of CPU, %.2f s\n", kinds[kind].title, rules, series, (double)cpu / 1e9,
           (double)wall / 1e9);
    alert_engine_free(e);
    buf_done(&text);
    buf_done(&problems);
}

int main(int argc, char **argv) {
    struct store_options o;
    struct budget budget;
    struct store *store;
    size_t rules = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000, series = argc > 3 ? strtoul(argv[3], NULL, 10) : 1000;
    if (argc < 2) return fprintf(stderr, "usage: alert_bench DIR [RULES] [SERIES]\n"), 2;
    budget_init(&budget, (uint64_t)2 << 30);
    store_options_default(&o);
    o.dir = argv[1];
    o.budget = &budget;
    o.disk_use_max_percent = 100;
    must(store_open(&o, &store));
    struct ingest *in = ingest_new(&(struct ingest_options){.store = store, .budget = &budget});
    fill(in, series, clock_wall_ns() / 1000000);
    for (size_t k = 0; k < LENGTH(kinds); k++) measure(store, &budget, in, k, rules, series);
    ingest_free(in);
    must(store_close(store));
    return 0;
}
