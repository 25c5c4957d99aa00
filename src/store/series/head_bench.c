/* Prints what the head and a sealed file of series cost: memory a series, ns and bytes a sample, ns and bytes of the index.
 * head_bench [SERIES [SAMPLES]], a scrape every 15 s; counters and gauges of the load law; files go to the current folder. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "store/series/select_priv.h"

enum { SET = 125, PODS = 5000 };

static double seconds_since(int64_t start) { return (double)(clock_thread_cpu_ns() - start) / 1e9; }

/* Eight labels as a cluster has them; a set of 125 series is one pod. */
static struct labels labels_of(uint32_t i, char text[8][48], struct label *v) {
    static const char *const names[] = {"__name__", "code",      "container", "instance",
                                        "job",      "namespace", "pod",       "route"};
    uint32_t pod = i / SET, at = i % SET;
    snprintf(text[0], sizeof text[0], at < 100 ? "http_requests_total" : "process_gauge_%u", at);
    snprintf(text[1], sizeof text[1], "%u", (const uint32_t[]){200, 201, 404, 500, 503}[at % 5]);
    snprintf(text[2], sizeof text[2], "container-%u", pod % 40);
    snprintf(text[3], sizeof text[3], "10.%u.%u.%u:8080", pod >> 16, pod >> 8 & 255, pod & 255);
    snprintf(text[4], sizeof text[4], "job-%u", pod % 100);
    snprintf(text[5], sizeof text[5], "namespace-%u", pod % 50);
    snprintf(text[6], sizeof text[6], "pod-%u-%08x", pod % PODS, (unsigned)hash_u64(pod));
    snprintf(text[7], sizeof text[7], "/api/v1/things/%u", at / 5);
    for (int k = 0; k < 8; k++) v[k] = (struct label){str_of(names[k]), str_of(text[k])};
    return (struct labels){v, 8};
}

static uint64_t dice = 1;
static uint32_t below(uint32_t n) {
    dice = dice * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((dice >> 33) % n);
}

static double next_value(double before, uint32_t at) {
    if (at < 100) return before + below(100);
    if (at < 109) return before + (double)below(21) - 10;
    if (at < 117) return (double)below(100) / 100;
    return below(100) ? before : below(5);
}

static void check(err e) {
    if (!e) return;
    fprintf(stderr, "head_bench: %s\n", err_text(e));
    exit(1);
}

static void ask(const struct series_source *source, const char *what, const struct label_matcher *m, uint32_t n) {
    enum { ROUNDS = 20 };
    struct series_stats stats = {0};
    struct series_reader *r = source->part ? series_reader_new(source->part, &stats) : NULL;
    uint32_t *rows, found = 0;
    int64_t start = 0;
    for (int round = -1; round < ROUNDS; round++) {
        struct arena a;
        arena_init(&a, 256 * MIB);
        if (round == 0) start = clock_thread_cpu_ns(); /* the first looks at pages */
        check(r ? series_reader_select(r, m, n, &a, &rows, &found)
                : series_head_select(source->head, m, n, &a, &rows, &found));
        arena_done(&a);
    }
    printf("  %-44s %8u series  %9.1f us\n", what, found, seconds_since(start) / ROUNDS * 1e6);
    series_reader_free(r);
}

static void ask_all(const struct series_source *source) {
    struct arena a;
    struct label_matcher m[8];
    arena_init(&a, 64 * MIB);
    check(label_matcher_make(&a, METRIC_NAME, MATCHER_EQUAL, STR("http_requests_total"), &m[0]));
    check(label_matcher_make(&a, STR("job"), MATCHER_EQUAL, STR("job-7"), &m[1]));
    check(label_matcher_make(&a, STR("code"), MATCHER_NOT_EQUAL, STR("200"), &m[2]));
    check(label_matcher_make(&a, STR("pod"), MATCHER_REGEX, STR("pod-1[0-9]+-[0-9a-f]*[02468ace]"), &m[3]));
    check(label_matcher_make(&a, STR("pod"), MATCHER_REGEX, STR("pod-12.*"), &m[4]));
    check(label_matcher_make(&a, STR("namespace"), MATCHER_EQUAL, STR("namespace-3"), &m[5]));
    ask(source, "name, job, code!=", m, 3);
    ask(source, "pod by expression", m + 3, 1);
    ask(source, "pod by prefix", m + 4, 1);
    struct label_matcher two[] = {m[0], m[5]};
    ask(source, "name, namespace", two, 2);
    ask(source, "name", m, 1);
    for (int i = 0; i < 6; i++) label_matcher_done(&m[i]);
    arena_done(&a);
}

static void read_all(const struct series_source *source, uint64_t samples) {
    struct series_stats stats = {0};
    struct selection *s;
    struct samples got;
    struct arena a;
    uint64_t n = 0;
    arena_init(&a, (size_t)4096 * MIB);
    int64_t start = clock_thread_cpu_ns();
    check(series_select(source, 1, NULL, 0, INT64_MIN, INT64_MAX, &a, &stats, &s));
    double selected = seconds_since(start);
    struct selection_reader *r = selection_reader_new(s, &stats);
    samples_init(&got, 64 * MIB);
    start = clock_thread_cpu_ns();
    for (uint32_t i = 0; i < selection_count(s); i++) {
        check(selection_read(r, i, &got));
        n += got.n;
    }
    double read = seconds_since(start);
    if (n != samples) check(err_new(ERR_INTERNAL, "%llu samples read", (unsigned long long)n));
    printf("  select all with labels %.0f ns a series, read %.2f ns a sample\n", selected * 1e9 / selection_count(s),
           read * 1e9 / (double)n);
    samples_done(&got);
    selection_reader_free(r);
    selection_free(s);
    arena_done(&a);
}

static struct head *fill(uint32_t series, uint32_t samples) {
    struct head_options o;
    char text[8][48];
    struct label v[8];
    series_head_options_default(&o);
    o.series_max = HEAD_SERIES_MAX;
    struct head *h = series_head_new(&o);
    uint32_t *ids = mem_new_array(uint32_t, series);
    double *values = mem_new_array(double, series);
    int64_t times[SET], start = clock_thread_cpu_ns();
    uint8_t verdicts[SET];
    for (uint32_t i = 0; i < series; i++) check(series_head_add(h, labels_of(i, text, v), i / SET, 0, &ids[i]));
    double registered = seconds_since(start);
    start = clock_thread_cpu_ns();
    for (uint32_t i = 0; i < series; i++) labels_of(i, text, v);
    registered -= seconds_since(start);
    struct head_stats stats;
    series_head_get_stats(h, &stats);
    printf("head: %u series: register %.0f ns, %.0f bytes a series\n", series, registered * 1e9 / series,
           (double)stats.bytes / series);
    double appending = 0;
    for (uint32_t k = 0; k < samples; k++) {
        for (uint32_t i = 0; i < series; i++) values[i] = next_value(values[i], i % SET);
        for (uint32_t i = 0; i < SET; i++) times[i] = INT64_C(1790000000000000000) + k * INT64_C(15000000000);
        start = clock_thread_cpu_ns();
        for (uint32_t first = 0; first < series; first += SET)
            check(series_head_append(h, ids + first, times, values + first, NULL, MIN((uint32_t)SET, series - first),
                                     verdicts));
        appending += seconds_since(start);
    }
    series_head_get_stats(h, &stats);
    printf("head: %u samples each: append %.1f ns a sample, %.0f bytes a series in all (resident %llu MiB)\n", samples,
           appending * 1e9 / series / samples, (double)stats.bytes / series,
           (unsigned long long)(process_resident_bytes() >> 20));
    mem_free(ids);
    mem_free(values);
    return h;
}

int main(int argc, char **argv) {
    uint64_t numbers[] = {100000, 480};
    for (int i = 1; i < MIN(argc, 3); i++) check(parse_u64(str_of(argv[i]), &numbers[i - 1]));
    uint32_t series = (uint32_t)numbers[0], samples = (uint32_t)numbers[1];
    struct series_info info, merged;
    struct series_source source = {.head = fill(series, samples)};
    ask_all(&source);
    read_all(&source, (uint64_t)series * samples);
    err_free(path_remove("head_bench.series"));
    err_free(path_remove("head_bench.merged"));
    int64_t start = clock_thread_cpu_ns();
    check(series_write("head_bench.series", 1, &source, 1, INT64_MIN, INT64_MAX, &info));
    double sealed = seconds_since(start);
    printf("file: seal %.1f ns a sample, %.0f ns a series; %.4f bytes a sample, %llu bytes\n",
           sealed * 1e9 / (double)info.samples, sealed * 1e9 / (double)info.series,
           (double)info.bytes / (double)info.samples, (unsigned long long)info.bytes);
    series_head_unref(source.head);
    source.head = NULL;
    check(series_part_open("head_bench.series", &source.part));
    ask_all(&source);
    read_all(&source, info.samples);
    start = clock_thread_cpu_ns();
    check(series_write("head_bench.merged", 2, &source, 1, INT64_MIN, INT64_MAX, &merged));
    printf("merge: %.1f ns a sample, %.4f bytes a sample\n", seconds_since(start) * 1e9 / (double)merged.samples,
           (double)merged.bytes / (double)merged.samples);
    series_part_unref(source.part);
    check(path_remove("head_bench.series"));
    check(path_remove("head_bench.merged"));
    return 0;
}
