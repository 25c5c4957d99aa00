/* The scraper's own threads beside askers, reloads and a store with threads: nothing is torn, and it ends within a second. For TSan above all. */
#include "ingest/points_testing_priv.h"
#include "ingest/scrape/scrape.h"

#include <poll.h>

#include "base/json.h"
#include "net/net.h"
#include "os/clock.h"
#include "os/loop.h"
#include "os/thread.h"

#define SECOND_NS ((int64_t)1000000000)
enum { TARGETS = 40 };

static struct {
    struct bench b;
    struct loop *loop;
    struct http_server *server;
    struct thread *io, *asker;
    struct scraper *scraper;
    char address[64], path[64];
    _Atomic bool ending;
    _Atomic uint64_t asked;
} t;

/* Every eighth answer is a failure. */
static void on_request(struct http_request *r) {
    uint64_t n = atomic_fetch_add(&t.asked, 1);
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    for (uint64_t i = 0; i < 50; i++)
        buf_add_fmt(&body, "# HELP a%llu Of a test.\na%llu{n=\"%llu\"} 1\n", (unsigned long long)i,
                    (unsigned long long)i, (unsigned long long)(n % 3));
    http_reply(r, &(struct http_reply){.status = n % 8 ? 200 : 500,
                                       .content_type = STR("text/plain; version=0.0.4"),
                                       .body = buf_str(&body)});
}

static void run_loop(void *context) {
    (void)context;
    loop_run(t.loop);
}

static bool all(void *context, struct labels labels) {
    (void)context;
    return labels.n > 0;
}

/* What the API asks, all the time. */
static void ask(void *context) {
    (void)context;
    while (!atomic_load(&t.ending)) {
        AUTO_BUF struct buf out;
        struct json_writer w;
        struct scraper_stats stats;
        buf_init(&out, 64 * MIB);
        json_writer_init(&w, &out);
        json_array(&w);
        scraper_write_targets(t.scraper, &w, true, true, STR(""));
        scraper_write_pools(t.scraper, &w);
        scraper_write_metadata(t.scraper, &w, STR(""), -1, all, NULL);
        json_array_end(&w);
        scraper_get_stats(t.scraper, &stats);
        scraper_put_problem(t.scraper, &out);
    }
}

static void write_file(int step) {
    FILE *f = fopen(t.path, "w");
    assert_non_null(f);
    fprintf(f,
            "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n- job_name: t%d\n  "
            "static_configs: [{targets: ['%s'], labels: {step: '%d'}}]\n- job_name: many\n  static_configs:\n",
            step % 2, t.address, step);
    for (int i = 0; i < TARGETS; i++) fprintf(f, "  - {targets: ['%s'], labels: {i: '%d'}}\n", t.address, i + step);
    fprintf(f, "%s", step == 3 ? "[" : "");
    fclose(f);
}

static void threads_do_not_meet(void **state) {
    (void)state;
    struct store_options options;
    bench_options(&options);
    options.wall_ns = NULL;
    options.manual = false;
    t.b = (struct bench){.dir = "/tmp/clew-ingest-XXXXXX"}; /* open_with sets limits while the store's threads run */
    assert_non_null(mkdtemp(t.b.dir));
    budget_init(&t.b.budget, 1 << 30);
    options.dir = t.b.dir;
    options.budget = &t.b.budget;
    assert_null(store_open(&options, &t.b.store));
    t.b.ingest = ingest_new(&(struct ingest_options){.store = t.b.store, .budget = &t.b.budget});
    snprintf(t.path, sizeof t.path, "%s.yml", t.b.dir);
    assert_null(loop_new(&t.loop));
    assert_null(http_server_new(t.loop, &(struct http_server_options){.handler = on_request}, &t.server));
    assert_null(http_server_listen(t.server, "127.0.0.1:0", NULL, t.address));
    assert_null(thread_start(&t.io, "io", 0, run_loop, NULL));
    write_file(0);
    assert_null(scraper_new(
        &(struct scraper_options){.path = t.path, .ingest = t.b.ingest, .store = t.b.store, .budget = &t.b.budget},
        &t.scraper));
    assert_null(thread_start(&t.asker, "asker", 0, ask, NULL));
    for (int step = 1; step < 6; step++) {
        uint64_t until = atomic_load(&t.asked) + 2 * TARGETS;
        int64_t late = clock_monotonic_ns() + 20 * SECOND_NS;
        while (atomic_load(&t.asked) < until && clock_monotonic_ns() < late) poll(NULL, 0, 5);
        write_file(step);
        scraper_reload(t.scraper);
    }
    struct scraper_stats stats;
    scraper_get_stats(t.scraper, &stats);
    assert_true(stats.scrapes > 4 * TARGETS);
    assert_int_equal(stats.dropped_batches, 0);
    int64_t began = clock_monotonic_ns();
    atomic_store(&t.ending, true);
    thread_join(t.asker);
    scraper_free(t.scraper);
    assert_true(clock_monotonic_ns() - began < 5 * SECOND_NS); /* a second, where nothing watches */
    loop_stop(t.loop);
    thread_join(t.io);
    http_server_free(t.server);
    loop_free(t.loop);
    assert_null(path_remove(t.path));
    ingest_free(t.b.ingest);
    assert_null(store_close(t.b.store));
    assert_int_equal(budget_used(&t.b.budget), 0);
    assert_null(path_list(t.b.dir, remove_entry, t.b.dir));
    assert_null(path_remove_dir(t.b.dir));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_do_not_meet)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
