/* What one span, one line and one measurement cost: CPU ns each, with the batches made and let go. */
#include <stdio.h>

#include "emit/emit.h"
#include "os/clock.h"

enum { ROUNDS = 200000, ATTRIBUTES = 6 };

static void take_wait(void *context, enum emit_kind kind, struct batch_blob *blob) {
    (void)context, (void)kind;
    batch_unref(blob);
}

static void span(struct emit *e, int i) {
    static const char *const keys[ATTRIBUTES] = {"http.request.method",       "http.route", "url.scheme", "server.port",
                                                 "http.response.status_code", "clew.tenant"};
    struct emit_span *s = emit_span_begin(e, STR("GET /api/v1/traces"), EMIT_SERVER, NULL);
    for (int k = 0; k < ATTRIBUTES && emit_span_is_recorded(s); k++)
        emit_span_set(s, k & 1 ? F_TEXT(keys[k], "a text") : F_I64(keys[k], i));
    emit_span_end(s);
}

static void run(const char *name, double ratio, bool quiet) {
    struct emit *e;
    struct emit_stats stats;
    struct emit_options o = {
        .service = "bench", .sink = {take_wait, NULL}, .ratio = ratio, .queue_max = 8192, .batch_ns = 1000000};
    if (emit_new(&o, &e)) return;
    if (quiet) emit_quiet(true);
    int64_t began = clock_process_cpu_ns();
    for (int i = 0; i < ROUNDS; i++) span(e, i);
    if (quiet) emit_quiet(false);
    emit_stop(e);
    emit_get_stats(e, &stats);
    printf("%-22s %6.0f ns a span, %llu of %d dropped\n", name, (double)(clock_process_cpu_ns() - began) / ROUNDS,
           (unsigned long long)stats.dropped[EMIT_SPANS], ROUNDS);
    emit_free(e);
}

int main(void) {
    struct emit *e;
    run("sampled", 1, false);
    run("not sampled", 0, false);
    run("quiet", 1, true);
    if (emit_new(&(struct emit_options){.service = "bench", .sink = {take_wait, NULL}}, &e)) return 1;
    struct emit_series *s = emit_series_of(emit_counter(e, "a", "", ""), NULL, 0);
    int64_t began = clock_thread_cpu_ns();
    for (int i = 0; i < 10 * ROUNDS; i++) emit_measure(s, 1);
    printf("%-22s %6.1f ns\n", "a measurement", (double)(clock_thread_cpu_ns() - began) / (10 * ROUNDS));
    emit_free(e);
    return 0;
}
