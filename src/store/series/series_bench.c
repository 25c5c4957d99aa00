/* Prints bytes and ns a sample of the codecs by class of series, and of real series: series_bench [FOLDER WITH NAB's CSV FILES]. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/series/shapes_testing_priv.h"
#include "store/series/times_priv.h"

enum { CHUNK = 480, CHUNKS = 200, ROUNDS = 5 };

static double v[CHUNKS][CHUNK], out[CHUNK];

struct figures {
    double bytes, encode_ns, decode_ns;
};

static struct figures measure(enum effort effort, uint32_t chunks, uint32_t n) {
    struct figures f = {0};
    size_t *ends = mem_new_array(size_t, chunks + 1);
    struct buf b;
    buf_init(&b, 64 * MIB);
    for (int round = 0; round < ROUNDS; round++) {
        buf_clear(&b);
        int64_t start = clock_thread_cpu_ns();
        for (uint32_t i = 0; i < chunks; i++) {
            values_encode(v[i], n, effort, &b);
            ends[i + 1] = b.n;
        }
        int64_t middle = clock_thread_cpu_ns();
        for (uint32_t i = 0; i < chunks; i++)
            if (values_decode(str_span(b.p + ends[i], ends[i + 1] - ends[i]), n, 0, n, out)) abort();
        int64_t end = clock_thread_cpu_ns();
        if (round == 0 || (double)(middle - start) < f.encode_ns) f.encode_ns = (double)(middle - start);
        if (round == 0 || (double)(end - middle) < f.decode_ns) f.decode_ns = (double)(end - middle);
    }
    double samples = (double)chunks * n;
    f = (struct figures){(double)b.n / samples, f.encode_ns / samples, f.decode_ns / samples};
    buf_done(&b);
    mem_free(ends);
    return f;
}

static void print(const char *name, struct figures full, struct figures cheap) {
    printf("%-20s %6.3f B  encode %5.1f  decode %5.2f ns   cheap %6.3f B  encode %5.1f  decode %5.2f ns\n", name,
           full.bytes, full.encode_ns, full.decode_ns, cheap.bytes, cheap.encode_ns, cheap.decode_ns);
}

static struct figures mean(const struct figures *f, const double *weights, size_t n) {
    struct figures m = {0};
    for (size_t i = 0; i < n; i++) {
        m.bytes += f[i].bytes * weights[i];
        m.encode_ns += f[i].encode_ns * weights[i];
        m.decode_ns += f[i].decode_ns * weights[i];
    }
    return m;
}

static void bench_classes(void) {
    struct figures full[SHAPES_ALL], cheap[SHAPES_ALL];
    for (int shape = 0; shape < SHAPES_ALL; shape++) {
        for (uint32_t i = 0; i < CHUNKS; i++) shape_fill((enum shape)shape, i + 1, v[i], CHUNK);
        full[shape] = measure(EFFORT_FULL, CHUNKS, CHUNK);
        cheap[shape] = measure(EFFORT_CHEAP, CHUNKS, CHUNK);
        print(shape_names[shape], full[shape], cheap[shape]);
    }
    /* the load law: 100 counters to 25 gauges, a third of each kind */
    static const double otlp[] = {0.8, 0.2 / 3, 0.2 / 3, 0.2 / 3};
    print("= otlp law", mean(full, otlp, 4), mean(cheap, otlp, 4));
    /* node-exporter-like: counter, CPU, bytes, gauge, pages, sparse, constant, noise, sum */
    static const double node[] = {0.2, 0.2, 0.12, 0.12, 0.08, 0.12, 0.12, 0.02, 0.02};
    print("= node-like", mean(full + SHAPE_COUNTER, node, 9), mean(cheap + SHAPE_COUNTER, node, 9));
    for (uint32_t i = 0; i < CHUNKS; i++) shape_fill(SHAPE_OTLP_COUNTER, i + 1, v[i], 32);
    print("otlp counter, 32", measure(EFFORT_FULL, CHUNKS, 32), measure(EFFORT_CHEAP, CHUNKS, 32));
}

static void bench_times(uint32_t jitter_ms) {
    int64_t t[CHUNK], back[SERIES_SAMPLES_MAX];
    uint32_t n;
    struct buf b;
    buf_init(&b, MIB);
    shape_times(3, jitter_ms, t, CHUNK);
    times_encode(t, CHUNK, &b);
    int64_t start = clock_thread_cpu_ns();
    for (int i = 0; i < 1000; i++)
        if (times_decode(buf_str(&b), back, &n)) abort();
    printf("times, jitter %u ms    %.3f B a sample and vector, decode %.2f ns\n", jitter_ms, (double)b.n / CHUNK,
           (double)(clock_thread_cpu_ns() - start) / 1000 / CHUNK);
    buf_done(&b);
}

/* ---- real series ------------------------------------------------------------------------------------------------ */

static size_t real_bytes, real_samples;

static void add_values(struct str text) {
    double row[CHUNK];
    uint32_t n = 0;
    struct str line, time, number;
    AUTO_BUF struct buf b;
    buf_init(&b, 64 * MIB);
    while (text.n) {
        if (!str_cut(text, '\n', &line, &text)) text.n = 0;
        err e = str_cut(str_trim(line), ',', &time, &number) ? parse_f64(number, &row[n]) : NULL;
        if (number.n && !e && ++n == CHUNK) {
            values_encode(row, n, EFFORT_FULL, &b);
            real_samples += n;
            n = 0;
        }
        err_free(e);
    }
    if (n) values_encode(row, n, EFFORT_FULL, &b);
    real_samples += n;
    real_bytes += b.n;
}

static err add_entry(void *context, const char *name, bool is_dir) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (is_dir) return path_list(path, add_entry, path);
    if (!str_ends_with(str_of(name), STR(".csv"))) return NULL;
    struct buf text;
    TRY(file_read_all(path, 64 * MIB, &text));
    add_values(buf_str(&text));
    buf_done(&text);
    return NULL;
}

int main(int argc, char **argv) {
    bench_classes();
    bench_times(0);
    bench_times(5);
    err e = argc > 1 ? path_list(argv[1], add_entry, argv[1]) : NULL;
    if (e) fprintf(stderr, "series_bench: %s\n", err_text(e));
    if (real_samples)
        printf("real series: %zu samples, %.3f B a sample\n", real_samples, (double)real_bytes / (double)real_samples);
    err_free(e);
    return 0;
}
