/* CPU time of decoding a request into a blob, per row: `otlp_bench [long]`. Prints one line a signal and encoding. */
#include <stdio.h>
#include <time.h>

#include "signal/otlp.h"
#include "base/json.h"
#include "signal/testing.h"

enum { BODIES = 32 };

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The same rows as OTLP/JSON. */
static void to_json(enum signal signal, struct buf *body) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_limits limits = {INT64_MIN, INT64_MAX, 0};
    struct otlp_result r;
    struct batch b;
    struct json_writer w;
    err e = otlp_decode(d, signal, buf_str(body), &limits, &r);
    assert(!e && r.blob);
    batch_view(r.blob, &b);
    buf_clear(body);
    json_writer_init(&w, body);
    otlp_write_json(&b, &w);
    batch_unref(r.blob);
    otlp_decoder_free(d);
}

static void bench(enum signal signal, bool json, double seconds) {
    err (*decode)(struct otlp_decoder *, enum signal, struct str, const struct otlp_limits *, struct otlp_result *) =
        json ? otlp_decode_json : otlp_decode;
    struct buf bodies[BODIES];
    struct chance c = {signal};
    size_t bytes = 0;
    for (int i = 0; i < BODIES; i++) {
        buf_init(&bodies[i], 16 * MIB);
        load_request(&c, signal, &bodies[i]);
        if (json) to_json(signal, &bodies[i]);
        bytes += bodies[i].n;
    }
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_limits limits = {INT64_MIN, INT64_MAX, 0};
    uint64_t rows = 0, blob_bytes = 0;
    double start = cpu_seconds(), best = 1e9;
    while (cpu_seconds() - start < seconds) {
        double round = cpu_seconds();
        uint64_t round_rows = 0;
        for (int i = 0; i < BODIES; i++) {
            struct otlp_result r;
            err e = decode(d, signal, buf_str(&bodies[i]), &limits, &r);
            if (e) {
                fprintf(stderr, "%s\n", err_text(e));
                err_free(e);
                break;
            }
            round_rows += r.rows;
            blob_bytes += batch_bytes(r.blob).n;
            batch_unref(r.blob);
        }
        round = (cpu_seconds() - round) / (double)round_rows * 1e9;
        if (round < best) best = round;
        rows += round_rows;
    }
    printf("%-5s %-8s %4zu B a row  blob %3.0f B a row  %6.1f ns CPU a row (best of 16,000: %.1f)\n",
           signal_names[signal], json ? "json" : "protobuf", bytes / BODIES / 500, (double)blob_bytes / (double)rows,
           (cpu_seconds() - start) / (double)rows * 1e9, best);
    otlp_decoder_free(d);
    for (int i = 0; i < BODIES; i++) buf_done(&bodies[i]);
}

int main(int argc, char **argv) {
    double seconds = argc > 1 && strcmp(argv[1], "long") == 0 ? 10 : 1;
    for (int s = 0; s < SIGNALS; s++) {
        bench((enum signal)s, false, seconds);
        bench((enum signal)s, true, seconds);
    }
    return 0;
}
