/* CPU time a sample from bytes to a blob with the hash of its series: OTLP and remote write of the load law, known series and new ones, labels
 * kept beside the batch or in it.
 * `points_bench [long|NAME]`: 10 s a case in place of one; only that case. Prints one line a case; nothing checks it. */
#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "signal/metrics/points_testing_priv.h"
#include "signal/metrics/snappy.h"
#include "signal/metrics/translate.h"

enum { BODIES = 25, INSTANCES = 4, SAMPLES = 125 * INSTANCES };

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

static err decode_otlp(struct points_decoder *d, struct str body, struct points_result *out) {
    return points_decode_otlp(d, body, &all_times, out);
}
static err decode_json(struct points_decoder *d, struct str body, struct points_result *out) {
    return points_decode_otlp_json(d, body, &all_times, out);
}
static err decode_write_1(struct points_decoder *d, struct str body, struct points_result *out) {
    return points_decode_write(d, 1, body, &all_times, out);
}
static err decode_write_2(struct points_decoder *d, struct str body, struct points_result *out) {
    return points_decode_write(d, 2, body, &all_times, out);
}
static err decode_snappy(struct points_decoder *d, struct str body, struct points_result *out) {
    AUTO_BUF struct buf unpacked;
    buf_init(&unpacked, 16 * MIB);
    err e = snappy_block_read(body, &unpacked);
    return e ? e : points_decode_write(d, 1, buf_str(&unpacked), &all_times, out);
}
static err decode_and_translate(struct points_decoder *d, struct str body, struct points_result *out) {
    struct points_builder to;
    struct points p;
    uint32_t dropped[TRANSLATE_REASONS];
    struct translator *t = translator_new(&translation_default);
    err e = points_decode_otlp(d, body, &all_times, out);
    if (e) return e;
    points_view(out->blob, &p);
    points_builder_init(&to, POINTS_PROMETHEUS);
    translate_points(t, &p, &to, dropped);
    points_builder_done(&to);
    translator_free(t);
    return NULL;
}

static void make_otlp(struct chance *c, uint32_t i, struct buf *out) {
    load_points_request(c, i * INSTANCES, INSTANCES, 1700000000000000000u, out);
}
static void make_json(struct chance *c, uint32_t i, struct buf *out) {
    struct points_decoder *d = points_decoder_new();
    struct points_result r;
    struct points p;
    struct json_writer w;
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    make_otlp(c, i, &body);
    err e = points_decode_otlp(d, buf_str(&body), &all_times, &r);
    assert(!e);
    points_view(r.blob, &p);
    json_writer_init(&w, out);
    points_write_otlp_json(&p, &w);
    batch_unref(r.blob);
    points_decoder_free(d);
}
static void make_write_1(struct chance *c, uint32_t i, struct buf *out) {
    load_write_request(c, i * INSTANCES, INSTANCES, 1700000000000, 1, out);
}
static void make_write_2(struct chance *c, uint32_t i, struct buf *out) {
    load_write_request(c, i * INSTANCES, INSTANCES, 1700000000000, 2, out);
}
static void make_snappy(struct chance *c, uint32_t i, struct buf *out) {
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    make_write_1(c, i, &body);
    snappy_block_write(buf_str(&body), out);
}

struct row {
    const char *name;
    void (*make)(struct chance *c, uint32_t i, struct buf *out);
    err (*decode)(struct points_decoder *d, struct str body, struct points_result *out);
    bool fresh;  /* no series is known */
    bool shares; /* labels of series are kept beside the batch */
};
static const struct row rows[] = {
    {"otlp", make_otlp, decode_otlp, false, true},
    {"otlp, labels in the batch", make_otlp, decode_otlp, false, false},
    {"otlp, series new", make_otlp, decode_otlp, true, true},
    {"remote write 1", make_write_1, decode_write_1, false, true},
    {"remote write 1, labels in it", make_write_1, decode_write_1, false, false},
    {"remote write 1, series new", make_write_1, decode_write_1, true, true},
    {"remote write 1, snappy", make_snappy, decode_snappy, false, true},
    {"remote write 2", make_write_2, decode_write_2, false, true},
    {"otlp json", make_json, decode_json, false, true},
    {"otlp, all translated", make_otlp, decode_and_translate, false, true},
};

static void bench(const struct row *row, double seconds) {
    struct buf bodies[BODIES];
    struct chance c = {1};
    size_t bytes = 0;
    uint64_t samples = 0, blob_bytes = 0;
    for (uint32_t i = 0; i < BODIES; i++) {
        buf_init(&bodies[i], 16 * MIB);
        row->make(&c, i, &bodies[i]);
        bytes += bodies[i].n;
    }
    struct points_decoder *d = points_decoder_new();
    if (row->shares) points_decoder_share(d);
    double start = cpu_seconds(), best = 1e9;
    while (cpu_seconds() - start < seconds) {
        double round = cpu_seconds();
        if (row->fresh) points_decoder_forget(d);
        for (int i = 0; i < BODIES; i++) {
            struct points_result r = {0};
            err e = row->decode(d, buf_str(&bodies[i]), &r);
            if (e) fprintf(stderr, "%s\n", err_text(e));
            err_free(e);
            samples += r.points;
            if (r.blob) blob_bytes += batch_bytes(r.blob).n;
            batch_unref(r.blob);
        }
        round = (cpu_seconds() - round) / (BODIES * SAMPLES) * 1e9;
        if (round < best) best = round;
    }
    printf("%-28s %4zu B a sample  blob %4.0f B a sample  %6.1f ns CPU a sample (best round: %.1f)\n", row->name,
           bytes / BODIES / SAMPLES, (double)blob_bytes / (double)samples,
           (cpu_seconds() - start) / (double)samples * 1e9, best);
    points_decoder_free(d);
    for (int i = 0; i < BODIES; i++) buf_done(&bodies[i]);
}

int main(int argc, char **argv) {
    double seconds = argc > 1 && strcmp(argv[1], "long") == 0 ? 10 : 1;
    const char *only = argc > 1 && seconds == 1 ? argv[1] : NULL;
    for (size_t i = 0; i < LENGTH(rows); i++)
        if (!only || strcmp(only, rows[i].name) == 0) bench(&rows[i], seconds);
    return 0;
}
