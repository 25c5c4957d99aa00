/* Series that come and go: SERIES at a time, all replaced every ten minutes of a simulated day. Prints, an hour a line, what is in memory and
 * what a question about the last hour costs; ends with 1 if memory passed its limit or if the last question took over 1.5 times the CPU time
 * of the first.
 * usage: series_churn_bench DIR [SERIES [HOURS [MEMORY_MIB]]] */
#include <stdio.h>
#include <stdlib.h>

#include "base/budget.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "signal/metrics/points_build.h"
#include "store/series.h"

enum { BATCH = 10000, LIFE_S = 600, SCRAPE_S = 60, METRICS = 10, ZONES = 20, WAITING_MAX = 16 };
static const int64_t second_ns = 1000000000;

static int64_t now_ns; /* the simulated time */
static int64_t simulated_wall(void) { return __atomic_load_n(&now_ns, __ATOMIC_RELAXED); }

struct load {
    struct store *store;
    struct lock lock;
    struct signal_flag answered;
    uint32_t waiting;
    uint64_t samples, rejected;
};

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    exit(1);
}

static void done(void *context, err e, const struct points_outcome *o) {
    struct load *l = context;
    must(e);
    lock_take(&l->lock);
    l->samples += o->samples;
    l->rejected += o->rejected;
    l->waiting--;
    flag_wake_one(&l->answered);
    lock_give(&l->lock);
}

/* ---- the load ------------------------------------------------------------------------------------------------------------ */

static uint32_t put_labels(struct points_builder *b, struct buf *scratch, uint64_t life, uint32_t i) {
    char text[64];
    buf_clear(scratch);
    snprintf(text, sizeof text, "requests_%u_total", i % METRICS);
    points_put_label(scratch, STR("__name__"), str_of(text));
    snprintf(text, sizeof text, "10.%u.%u.%u:8080", (unsigned)(life % 250), i / METRICS / 250 % 250, i / METRICS % 250);
    points_put_label(scratch, STR("instance"), str_of(text));
    points_put_label(scratch, STR("job"), STR("shop"));
    snprintf(text, sizeof text, "pod-%llu-%u", (unsigned long long)life, i / METRICS);
    points_put_label(scratch, STR("pod"), str_of(text));
    snprintf(text, sizeof text, "zone-%u", i / METRICS % ZONES);
    points_put_label(scratch, STR("zone"), str_of(text));
    return strings_append(&b->strings, buf_str(scratch));
}

static struct batch_blob *make_batch(struct points_builder *b, struct buf *scratch, uint64_t life, uint32_t first,
                                     uint32_t end, uint32_t scrape) {
    points_builder_clear(b, POINTS_PROMETHEUS);
    for (uint32_t i = first; i < end; i++) {
        double value = (double)((uint64_t)scrape * (i % 97) + i % 13);
        points_builder_series(b, 0, put_labels(b, scratch, life, i));
        uint32_t at = points_builder_point(b);
        b->time[at] = (uint64_t)(now_ns / 1000000);
        b->kind[at] = POINT_DOUBLE;
        memcpy(&b->value[at], &value, 8);
    }
    return points_builder_finish(b);
}

/* Over the budget is no error: the sender waits and tries again. */
static void send(struct load *l, struct batch_blob *blob) {
    lock_take(&l->lock);
    while (l->waiting >= WAITING_MAX) flag_wait(&l->answered, &l->lock);
    l->waiting++;
    lock_give(&l->lock);
    for (;;) {
        err e = store_append_points(l->store, STR("default"), batch_ref(blob), done, l);
        if (!e) break;
        if (err_kind(e) != ERR_BUSY) must(e);
        err_free(e);
        lock_take(&l->lock);
        flag_wait_until(&l->answered, &l->lock, clock_monotonic_ns() + second_ns / 50);
        lock_give(&l->lock);
    }
    batch_unref(blob);
}

static void scrape(struct load *l, struct points_builder *b, struct buf *scratch, uint32_t series, uint64_t life,
                   uint32_t number) {
    for (uint32_t first = 0; first < series; first += BATCH) {
        uint32_t end = first + BATCH < series ? first + BATCH : series;
        send(l, make_batch(b, scratch, life, first, end, number));
    }
}

static void settle(struct load *l) {
    lock_take(&l->lock);
    while (l->waiting) flag_wait(&l->answered, &l->lock);
    lock_give(&l->lock);
}

/* ---- the question -------------------------------------------------------------------------------------------------------- */

/* One metric in one zone over the last hour, every sample of it; CPU ns. */
static int64_t ask(struct load *l, uint64_t *out_series, uint64_t *out_samples) {
    int64_t start = clock_thread_cpu_ns();
    struct label_matcher m[2];
    struct series_stats stats = {0};
    struct series_snapshot *sn;
    struct selection *s;
    struct samples got;
    struct arena a;
    arena_init(&a, 512 * MIB);
    must(label_matcher_make(&a, METRIC_NAME, MATCHER_EQUAL, STR("requests_3_total"), &m[0]));
    must(label_matcher_make(&a, STR("zone"), MATCHER_EQUAL, STR("zone-7"), &m[1]));
    struct series_request r = {m, 2, now_ns - 3600 * second_ns, now_ns};
    must(store_series_snapshot(l->store, STR("default"), &sn));
    must(series_snapshot_select(sn, &r, &a, &stats, &s));
    struct selection_reader *reader = selection_reader_new(s, &stats);
    samples_init(&got, 64 * MIB);
    *out_series = selection_count(s);
    *out_samples = 0;
    for (uint32_t i = 0; i < selection_count(s); i++) {
        must(selection_read(reader, i, &got));
        *out_samples += got.n;
    }
    selection_reader_free(reader);
    samples_done(&got);
    selection_free(s);
    series_snapshot_free(sn);
    arena_done(&a);
    return clock_thread_cpu_ns() - start;
}

static int64_t least_of_three(struct load *l, uint64_t *out_series, uint64_t *out_samples) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < 3; i++) {
        int64_t took = ask(l, out_series, out_samples);
        least = took < least ? took : least;
    }
    return least;
}

/* ---- the day ------------------------------------------------------------------------------------------------------------- */

static uint64_t resident_bytes(void) {
    char text[128] = {0};
    struct file *f;
    size_t n;
    unsigned long long all = 0, resident = 0, shared = 0;
    must(file_open("/proc/self/statm", FILE_READ, &f));
    must(file_read(f, text, sizeof text - 1, 0, &n));
    file_close(f);
    sscanf(text, "%llu %llu %llu", &all, &resident, &shared);
    return (resident - shared) * 4096;
}

struct day {
    uint32_t series, hours;
    int64_t first_ask_ns, last_ask_ns;
    uint64_t resident_max;
};

static void tell_hour(struct load *l, const struct budget *budget, struct day *d, uint32_t hour, int64_t cpu_ns) {
    struct store_stats stats;
    uint64_t series, samples;
    d->last_ask_ns = least_of_three(l, &series, &samples);
    if (hour == 1) d->first_ask_ns = d->last_ask_ns; /* the first hour has too little behind it */
    store_get_stats(l->store, &stats);
    uint64_t resident = resident_bytes();
    d->resident_max = resident > d->resident_max ? resident : d->resident_max;
    printf("%4u h  %8.1f M samples (%llu refused)  %6.0f ns CPU each  budget %5llu peak %5llu  resident %5llu MiB  "
           "head %5llu MiB %8llu series  files %3llu, %6llu MiB, %5.2f B a sample  ask %6.1f ms: %llu series, %llu "
           "samples\n",
           hour + 1, (double)l->samples / 1e6, (unsigned long long)l->rejected, (double)cpu_ns / (double)l->samples,
           (unsigned long long)(budget_used(budget) / MIB), (unsigned long long)(budget->peak_bytes / MIB),
           (unsigned long long)(resident / MIB), (unsigned long long)(stats.head_bytes / MIB),
           (unsigned long long)stats.head_series, (unsigned long long)stats.series_files,
           (unsigned long long)(stats.series_bytes / MIB),
           stats.series_samples ? (double)stats.series_bytes / (double)stats.series_samples : 0,
           (double)d->last_ask_ns / 1e6, (unsigned long long)series, (unsigned long long)samples);
    fflush(stdout);
}

static void run_day(struct load *l, const struct budget *budget, struct day *d) {
    struct points_builder b;
    struct buf scratch;
    points_builder_init(&b, POINTS_PROMETHEUS);
    buf_init(&scratch, MIB);
    int64_t start = clock_process_cpu_ns();
    for (uint32_t hour = 0; hour < d->hours; hour++) {
        for (uint32_t i = 0; i < 3600 / SCRAPE_S; i++) {
            uint64_t life = (uint64_t)(now_ns / second_ns / LIFE_S);
            scrape(l, &b, &scratch, d->series, life, i);
            __atomic_store_n(&now_ns, now_ns + SCRAPE_S * second_ns, __ATOMIC_RELAXED);
        }
        settle(l);
        tell_hour(l, budget, d, hour, clock_process_cpu_ns() - start);
    }
    buf_done(&scratch);
    points_builder_done(&b);
}

static uint64_t number(int argc, char **argv, int i, uint64_t otherwise) {
    uint64_t v = otherwise;
    if (i < argc) must(parse_u64(str_of(argv[i]), &v));
    return v;
}

int main(int argc, char **argv) {
    struct load l = {0};
    struct budget budget;
    struct store_options o;
    if (argc < 2) {
        fprintf(stderr, "usage: series_churn_bench DIR [SERIES [HOURS [MEMORY_MIB]]]\n");
        return 2;
    }
    struct day d = {(uint32_t)number(argc, argv, 2, 1000000), (uint32_t)number(argc, argv, 3, 24), 0, 0, 0};
    now_ns = (clock_wall_ns() / (86400 * second_ns) - 1) * 86400 * second_ns; /* yesterday */
    budget_init(&budget, number(argc, argv, 4, 2048) * MIB);
    store_options_default(&o);
    o.dir = argv[1];
    o.budget = &budget;
    o.wall_ns = simulated_wall;
    lock_init(&l.lock);
    flag_init(&l.answered);
    must(store_open(&o, &l.store));
    run_day(&l, &budget, &d);
    must(store_close(l.store));
    double slower = d.first_ask_ns ? (double)d.last_ask_ns / (double)d.first_ask_ns : 1;
    bool within = budget.peak_bytes <= budget.limit_bytes;
    printf("memory %s its limit of %llu MiB (peak %llu, resident %llu); the last question took %.2f times the first\n",
           within ? "within" : "OVER", (unsigned long long)(budget.limit_bytes / MIB),
           (unsigned long long)(budget.peak_bytes / MIB), (unsigned long long)(d.resident_max / MIB), slower);
    return within && slower <= 1.5 ? 0 : 1;
}
