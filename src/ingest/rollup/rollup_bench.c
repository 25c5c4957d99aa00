/* CPU time of the function a span, over requests of the load law: `rollup_bench`. The sink does next to nothing. */
#include <stdio.h>
#include <time.h>

#include "ingest/rollup/rollup.h"
#include "signal/otlp.h"
#include "signal/testing.h"

enum { BODIES = 32 };

struct counting_sink {
    struct rollup_sink sink;
    uint64_t keys, calls, halves, parents, ns;
};
static uint32_t count_key(struct rollup_sink *s, const struct rollup_key *key) {
    (void)key;
    return (uint32_t)((struct counting_sink *)s)->keys++;
}
static void count_call(struct rollup_sink *s, uint32_t key, const struct rollup_call *c) {
    struct counting_sink *x = (struct counting_sink *)s;
    x->calls += key < UINT32_MAX;
    x->ns += c->duration_ns;
}
static void count_half(struct rollup_sink *s, const struct rollup_half *h) {
    struct counting_sink *x = (struct counting_sink *)s;
    x->halves++;
    x->ns += h->call.duration_ns;
}

static void count_parent(struct rollup_sink *s, const struct rollup_parent *p) {
    struct counting_sink *x = (struct counting_sink *)s;
    x->parents++;
    x->ns += p->span_id & 1;
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(void) {
    static const struct rollup_sink_functions functions = {count_key, count_call, count_half, count_parent};
    static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 0};
    struct otlp_decoder *d = otlp_decoder_new();
    struct rollup_function f = rollup_of_spans();
    struct counting_sink sink = {.sink = {&functions}};
    struct otlp_result r[BODIES];
    struct chance c = {1};
    double best = 1e9, started = cpu_seconds();
    uint64_t rows = 0;
    for (int i = 0; i < BODIES; i++) {
        AUTO_BUF struct buf body;
        buf_init(&body, 16 * MIB);
        load_request(&c, SIGNAL_SPANS, &body);
        err e = otlp_decode(d, SIGNAL_SPANS, buf_str(&body), &all_times, &r[i]);
        assert(!e && r[i].blob);
    }
    while (cpu_seconds() - started < 1.5) {
        double round = cpu_seconds();
        uint64_t round_rows = 0;
        for (int i = 0; i < BODIES; i++) {
            struct batch b;
            batch_view(r[i].blob, &b);
            f.run(f.context, &b, NULL, b.rows, &sink.sink);
            round_rows += b.rows;
        }
        double ns = (cpu_seconds() - round) * 1e9 / (double)round_rows;
        best = ns < best ? ns : best;
        rows += round_rows;
    }
    printf("rollup function: %.1f ns a span at best, %.1f on average; %.2f keys, %.2f halves and %.2f parents a span\n",
           best, (cpu_seconds() - started) * 1e9 / (double)rows, (double)sink.keys / (double)rows,
           (double)sink.halves / (double)rows, (double)sink.parents / (double)rows);
    for (int i = 0; i < BODIES; i++) batch_unref(r[i].blob);
    otlp_decoder_free(d);
    return sink.ns == 0;
}
