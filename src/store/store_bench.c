/* Figures of the engine: appends from some threads, commits, flush, replay. Prints; checks nothing.
 * usage: store_bench DIR [BATCHES [THREADS]] */
#include <stdio.h>
#include <stdlib.h>

#include "base/budget.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "signal/otlp.h"
#include "signal/testing_priv.h"
#include "store/store.h"

enum { SHAPES = 64 };

struct sender {
    struct store *store;
    struct batch_blob *const *blobs;
    struct thread *thread;
    struct lock lock;
    struct signal_flag answered;
    uint64_t batches;
    bool waiting;
    int64_t cpu_ns, latency_ns;
};

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    exit(1);
}

static void done(void *context, err e) {
    struct sender *s = context;
    must(e);
    lock_take(&s->lock);
    s->waiting = false;
    flag_wake_one(&s->answered);
    lock_give(&s->lock);
}

/* A closed loop, as a connection is. */
static void send_all(void *context) {
    struct sender *s = context;
    for (uint64_t i = 0; i < s->batches; i++) {
        int64_t start = clock_monotonic_ns();
        s->waiting = true;
        must(store_append(s->store, STR("default"), batch_ref(s->blobs[i % SHAPES]), done, s));
        lock_take(&s->lock);
        while (s->waiting) flag_wait(&s->answered, &s->lock);
        lock_give(&s->lock);
        s->latency_ns += clock_monotonic_ns() - start;
    }
    s->cpu_ns = clock_thread_cpu_ns();
}

static struct batch_blob *make_blob(struct otlp_decoder *d, struct chance *c) {
    struct otlp_limits all = {INT64_MIN, INT64_MAX};
    struct otlp_result result;
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    load_request(c, SIGNAL_SPANS, &body);
    must(otlp_decode(d, SIGNAL_SPANS, buf_str(&body), &all, &result));
    return result.blob;
}

static void run(const struct store_options *o, struct batch_blob *const *blobs, uint64_t batches, int threads) {
    struct sender *senders = mem_new_array(struct sender, threads);
    struct store_stats stats;
    struct store *s;
    must(store_open(o, &s));
    int64_t wall = clock_monotonic_ns(), cpu = clock_process_cpu_ns();
    for (int i = 0; i < threads; i++) {
        senders[i].store = s;
        senders[i].blobs = blobs;
        senders[i].batches = batches / (uint64_t)threads;
        lock_init(&senders[i].lock);
        flag_init(&senders[i].answered);
        must(thread_start(&senders[i].thread, "send", 0, send_all, &senders[i]));
    }
    int64_t latency = 0;
    for (int i = 0; i < threads; i++) {
        thread_join(senders[i].thread);
        latency += senders[i].latency_ns;
    }
    wall = clock_monotonic_ns() - wall;
    cpu = clock_process_cpu_ns() - cpu;
    store_get_stats(s, &stats);
    double n = (double)stats.batches_appended;
    printf("append: %d threads, %.0f batches of 500: %.1f us CPU and %.1f us wall a batch, latency %.0f us, %.0f "
           "commits/s of "
           "%.1f batches, %.0f MB/s\n",
           threads, n, (double)cpu / 1e3 / n, (double)wall / 1e3 / n, (double)latency / 1e3 / n,
           (double)stats.commits / ((double)wall / 1e9), n / (double)stats.commits,
           (double)stats.bytes_logged / 1e6 / ((double)wall / 1e9));
    store_abandon(s); /* leaves it to replay */
    wall = clock_monotonic_ns();
    must(store_open(o, &s));
    wall = clock_monotonic_ns() - wall;
    printf("replay: %.0f MB in %.0f ms: %.0f MB/s\n", (double)stats.bytes_logged / 1e6, (double)wall / 1e6,
           (double)stats.bytes_logged / 1e6 / ((double)wall / 1e9));
    wall = clock_monotonic_ns();
    must(store_flush(s));
    wall = clock_monotonic_ns() - wall;
    store_get_stats(s, &stats);
    printf("flush: %.2f us a span, %.1f bytes a span, log left: %llu bytes\n",
           (double)wall / 1e3 / (double)MAX(stats.part_rows[SIGNAL_SPANS], 1),
           (double)stats.part_bytes / (double)MAX(stats.part_rows[SIGNAL_SPANS], 1),
           (unsigned long long)stats.log_bytes);
    must(store_close(s));
    mem_free(senders);
}

int main(int argc, char **argv) {
    struct chance chance = {random_u64()};
    struct batch_blob *blobs[SHAPES];
    struct otlp_decoder *d = otlp_decoder_new();
    struct budget budget;
    struct store_options o;
    uint64_t batches = 1000, threads = 4;
    if (argc < 2) return 2;
    if (argc > 2) must(parse_u64(str_of(argv[2]), &batches));
    if (argc > 3) must(parse_u64(str_of(argv[3]), &threads));
    for (int i = 0; i < SHAPES; i++) blobs[i] = make_blob(d, &chance);
    budget_init(&budget, (uint64_t)4096 * MIB);
    store_options_default(&o);
    o.dir = argv[1];
    o.budget = &budget;
    o.retention_ns = 0;
    o.disk_free_min_percent = 0;
    o.flush_bytes = (uint64_t)4096 * MIB; /* appends alone are measured, flushes after them */
    run(&o, blobs, batches, (int)threads);
    for (int i = 0; i < SHAPES; i++) batch_unref(blobs[i]);
    otlp_decoder_free(d);
    return 0;
}
