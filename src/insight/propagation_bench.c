/* What it costs to look for lost context in as many rows as are looked at, and to draw the path of the largest request.
 *
 *   insight_propagation_bench */
#include <stdio.h>
#include <stdlib.h>

#include "insight/flow.h"
#include "insight/propagation.h"
#include "os/clock.h"

enum { SERVICES = 50, ROUNDS = 5, CLIENT = 3, SERVER = 2 };
static const int64_t ms = 1000000;

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    exit(1);
}

static struct str *name_services(void) {
    static char names[SERVICES][16];
    static struct str texts[SERVICES];
    for (int i = 0; i < SERVICES; i++) {
        snprintf(names[i], sizeof names[i], "service-%d", i);
        texts[i] = str_of(names[i]);
    }
    return texts;
}

/* Traces of a client span and, two times of three, its server span: else that is in a trace of its own. */
static void measure_propagation(void) {
    static const struct query_facts_answer facts = {0};
    uint32_t n = QUERY_CONTEXTS_ROWS_MAX;
    struct query_context_row *rows = calloc(2 * (size_t)n, sizeof *rows);
    unsigned char(*traces)[16] = calloc(n, sizeof *traces);
    for (uint32_t i = 0; i < n; i++) {
        bool server = i % 2, lost = i / 2 % 3 == 0;
        memcpy(traces[i], &i, sizeof i);
        rows[i] = (struct query_context_row){.time = i / 2 * ms + server,
                                             .duration = (100 - 50 * server) * ms,
                                             .span_id = i + 1,
                                             .parent_id = server && !lost ? i : 0,
                                             .trace = server && !lost ? i - 1 : i,
                                             .id = i % 5 ? QUERY_NO_CONTEXT : i,
                                             .service = (i / 2 + server) % SERVICES,
                                             .peer = server ? QUERY_NO_CONTEXT : (i / 2 + 1) % SERVICES,
                                             .kind = server ? SERVER : CLIENT,
                                             .is_judged = true};
        rows[n + i] = rows[i];
        rows[n + i].signal = SIGNAL_LOGS;
    }
    struct query_contexts_answer in = {.rows = rows,
                                       .n = 2 * (size_t)n,
                                       .span_count = n,
                                       .texts = name_services(),
                                       .text_count = SERVICES,
                                       .traces = (const unsigned char(*)[16])traces,
                                       .trace_count = n};
    double best = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        struct arena a;
        struct propagation out;
        arena_init(&a, 256 * MIB);
        int64_t start = clock_thread_cpu_ns();
        must(propagation_make(&a, &in, &facts, &out));
        best = MIN(best, (double)(clock_thread_cpu_ns() - start) / 1e6);
        if (i == ROUNDS - 1)
            printf("propagation of %u spans and log records: best %.1f ms, %zu findings, %zu MiB\n", n, best,
                   out.finding_count, a.used_bytes / MIB);
        arena_done(&a);
    }
    free(rows);
    free(traces);
}

/* As many traces as an id may have, which nothing but the id joins. */
static void measure_flow(void) {
    uint32_t n = QUERY_CORRELATED_ROWS_MAX;
    struct query_id_row *rows = calloc(n, sizeof *rows);
    bool *mine = calloc(n, sizeof *mine);
    struct flow_peer *peers = calloc(n, sizeof *peers);
    for (uint32_t i = 0; i < n; i++) {
        mine[i] = true;
        rows[i] = (struct query_id_row){.time = i,
                                        .span_id = i + 1,
                                        .parent_id =
                                            i >= QUERY_CORRELATED_TRACES_MAX ? i - QUERY_CORRELATED_TRACES_MAX + 1 : 0,
                                        .trace = i % QUERY_CORRELATED_TRACES_MAX,
                                        .service = i / 7 % SERVICES,
                                        .operation = i % SERVICES,
                                        .kind = SERVER};
    }
    struct flow_input in = {.rows = rows,
                            .n = n,
                            .mine = mine,
                            .peers = peers,
                            .texts = name_services(),
                            .trace_count = QUERY_CORRELATED_TRACES_MAX};
    for (int by_operation = 0; by_operation < 2; by_operation++) {
        double best = 1e9;
        for (int i = 0; i < ROUNDS; i++) {
            struct arena a;
            struct flow out;
            arena_init(&a, 256 * MIB);
            int64_t start = clock_thread_cpu_ns();
            must(flow_make(&a, &(struct flow_request){by_operation, FLOW_NODES_MAX}, &in, &out));
            best = MIN(best, (double)(clock_thread_cpu_ns() - start) / 1e6);
            if (i == ROUNDS - 1)
                printf("flow of %u spans: best %.1f ms, %u nodes, %zu edges\n", n, best, out.n, out.edge_count);
            arena_done(&a);
        }
    }
    free(rows);
    free(mine);
    free(peers);
}

int main(void) {
    measure_propagation();
    measure_flow();
    return 0;
}
