/* Whole scrapes, over loopback sockets: what is stored, and what becomes of targets that do not behave. */
#include "ingest/points_testing_priv.h"
#include "ingest/scrape/scrape_priv.h"

#include <libdeflate.h>
#include <poll.h>
#include <sys/resource.h>

#include "base/json.h"
#include "net/inflate.h"
#include "os/clock.h"
#include "os/socket.h"

#define SECOND_NS ((int64_t)1000000000)

/* ---- a target ------------------------------------------------------------------------------------------------------------ */

enum manner {
    MANNER_WHOLE,  /* sends it and closes */
    MANNER_HANG,   /* sends it and then nothing */
    MANNER_REPEAT, /* sends the head, and then the body for ever */
};
struct page {
    enum manner manner;
    const char *head;
    struct str body;
};

static struct {
    int fd;
    char address[64];
    struct thread *thread;
    _Atomic bool ending;
    struct lock lock;
    struct page page;
    char asked[4096]; /* the head of the last request */
} target;

static void ready(int fd, short what) { poll(&(struct pollfd){fd, what, 0}, 1, 20); }

static void send_all(int fd, struct str text) {
    while (text.n && !atomic_load(&target.ending)) {
        size_t n = 0;
        struct socket_piece piece = {text.p, text.n};
        err e = socket_write(fd, &piece, 1, &n);
        if (e) {
            err_free(e);
            return;
        }
        text.p += n;
        text.n -= n;
        if (!n) ready(fd, POLLOUT);
    }
}

/* Until the other side closes; a request's head ends with an empty line. */
static bool read_head(int fd, char *head, size_t size) {
    size_t have = 0, n = 0;
    bool end = false;
    while (!end && !atomic_load(&target.ending) && have + 1 < size) {
        ready(fd, POLLIN);
        err e = socket_read(fd, head + have, size - have - 1, &n, &end);
        if (e) {
            err_free(e);
            return false;
        }
        have += n;
        head[have] = 0;
        if (strstr(head, "\r\n\r\n")) return true;
    }
    return false;
}

static void answer(void *context) {
    int fd = (int)(intptr_t)context;
    char head[sizeof target.asked];
    if (read_head(fd, head, sizeof head)) {
        lock_take(&target.lock);
        struct page page = target.page;
        memcpy(target.asked, head, sizeof head);
        lock_give(&target.lock);
        send_all(fd, str_of(page.head));
        if (page.manner != MANNER_HANG) send_all(fd, page.body);
        char rest[16];
        size_t n;
        bool end = page.manner == MANNER_WHOLE;
        while (!end && !atomic_load(&target.ending)) {
            err e = page.manner == MANNER_REPEAT ? (send_all(fd, page.body), NULL) : NULL;
            if (page.manner != MANNER_REPEAT) ready(fd, POLLIN);
            if (!e) e = socket_read(fd, rest, sizeof rest, &n, &end);
            end |= e != NULL;
            err_free(e);
        }
    }
    socket_close(fd);
}

/* One connection at a time is enough: a scraper asks one target once. */
static void serve(void *context) {
    (void)context;
    while (!atomic_load(&target.ending)) {
        int fd;
        char peer[64];
        ready(target.fd, POLLIN);
        if (socket_accept(target.fd, &fd, peer)) return;
        if (fd >= 0) answer((void *)(intptr_t)fd);
    }
}

static int begin_target(void **state) {
    (void)state;
    lock_init(&target.lock);
    if (socket_listen("127.0.0.1:0", &target.fd, target.address)) return -1;
    return thread_start(&target.thread, "target", 0, serve, NULL) ? -1 : 0;
}

static int end_target(void **state) {
    (void)state;
    atomic_store(&target.ending, true);
    thread_join(target.thread);
    socket_close(target.fd);
    lock_done(&target.lock);
    return 0;
}

#define TEXT_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain; version=0.0.4\r\n"
static void says_with(enum manner manner, const char *head, struct str body) {
    lock_take(&target.lock);
    target.page = (struct page){manner, head, body};
    lock_give(&target.lock);
}
static void says(const char *body) { says_with(MANNER_WHOLE, TEXT_HEAD "\r\n", str_of(body)); }

/* ---- a scraper ------------------------------------------------------------------------------------------------------------ */

static int64_t wall_ns;
static int64_t wall(void) { return wall_ns; }

struct world {
    struct bench b;
    struct scraper *s;
    char path[64];
    struct budget budget; /* the scraper's own: the store makes reserves of its */
};

/* `job` is what stands below job_name: t and its target. */
static void write_file(struct world *w, const char *top, const char *job) {
    FILE *f = fopen(w->path, "w");
    assert_non_null(f);
    fprintf(f,
            "%s\nscrape_configs:\n- job_name: t\n  scrape_interval: 10s\n  scrape_timeout: 1s\n  static_configs: "
            "[{targets: ['%s'], labels: {instance: i}}]\n%s\n",
            top, target.address, job);
    fclose(f);
}

static void open_world(struct world *w, const char *job) {
    wall_ns = NOW_MS * 1000000;
    bench_open(&w->b);
    budget_init(&w->budget, 1 << 30);
    snprintf(w->path, sizeof w->path, "%s.yml", w->b.dir);
    write_file(w, "", job);
    err e = scraper_new(&(struct scraper_options){.path = w->path,
                                                  .ingest = w->b.ingest,
                                                  .store = w->b.store,
                                                  .budget = &w->budget,
                                                  .wall_ns = wall,
                                                  .paused = true},
                        &w->s);
    if (e) fail_msg("%s", err_text(e));
    scraper_turn_wait(w->s, 0); /* pools are there */
    scraper_turn_wait(w->s, 0);
}

static void pump(struct world *w) {
    while (store_pump(w->b.store, 0)) {}
}

static void close_world(struct world *w) {
    pump(w);
    scraper_free(w->s);
    assert_int_equal(budget_used(&w->budget), 0);
    assert_null(path_remove(w->path));
    bench_close(&w->b);
}

static struct scrape_target *first(struct world *w) {
    return w->s->pools.n && w->s->pools.v[0]->targets.n ? w->s->pools.v[0]->targets.v[0] : NULL;
}

/* All targets, once, a second later than before. */
static void scrape(struct world *w) {
    wall_ns += SECOND_NS;
    for (size_t p = 0; p < w->s->pools.n; p++)
        for (size_t i = 0; i < w->s->pools.v[p]->targets.n; i++)
            w->s->pools.v[p]->targets.v[i]->due_ns = clock_monotonic_ns();
    w->s->next_ns = 0;
    uint64_t before = w->s->stats.scrapes;
    int64_t until = clock_monotonic_ns() + 3 * SECOND_NS;
    while (w->s->stats.scrapes == before && clock_monotonic_ns() < until)
        scraper_turn_wait(w->s, clock_monotonic_ns() + SECOND_NS / 100);
    assert_true(w->s->stats.scrapes > before);
    pump(w);
}

/* All that is stored but the durations, times as seconds after NOW. */
static void stands(struct world *w, const char *want) {
    AUTO_BUF struct buf all, got;
    struct str rest, line;
    buf_init(&all, 64 * MIB);
    buf_init(&got, 64 * MIB);
    dump(&w->b, &all);
    for (rest = buf_str(&all); rest.n;) {
        str_cut(rest, '\n', &line, &rest);
        if (str_starts_with(line, STR("scrape_"))) continue;
        for (size_t i = 0; i < line.n; i++) {
            struct str here = {line.p + i, line.n - i};
            if (str_starts_with(here, STR("@17000000")) && here.n >= 14) {
                buf_add_fmt(&got, "@%d", (here.p[9] - '0') * 10 + here.p[10] - '0');
                i += 13;
            } else if (str_starts_with(here, STR("bits:7ff0000000000002"))) {
                buf_add_text(&got, "stale");
                i += 20;
            } else {
                buf_add_byte(&got, line.p[i]);
            }
        }
        buf_add_byte(&got, '\n');
    }
    assert_string_equal(got.p ? got.p : "", want);
}

static void is_down(struct world *w, const char *why) {
    assert_int_equal(first(w)->health, HEALTH_DOWN);
    if (!strstr(first(w)->error, why)) fail_msg("%s, not %s", first(w)->error, why);
}

/* ---- what is stored ---------------------------------------------------------------------------------------------------------- */

static void series_come_stay_and_end(void **state) {
    (void)state;
    struct world w;
    open_world(&w, "");
    says("# TYPE a counter\n# HELP a Of a test.\na{x=\"1\"} 1\na{x=\"2\"} 2\n");
    scrape(&w);
    stands(&w, "a{instance=\"i\",job=\"t\",x=\"1\"} 1@1\na{instance=\"i\",job=\"t\",x=\"2\"} "
               "2@1\nup{instance=\"i\",job=\"t\"} 1@1\n");
    assert_int_equal(w.s->digest.relabelled, 2);
    says(
        "a{x=\"2\"} 3\na{x=\"3\"} 4\na{x=\"2\"} 5\n"); /* one vanishes, one comes, one is said twice: the first counts */
    scrape(&w);
    assert_int_equal(w.s->digest.relabelled, 3); /* what is known costs no relabelling */
    stands(&w, "a{instance=\"i\",job=\"t\",x=\"1\"} 1@1 stale@2\na{instance=\"i\",job=\"t\",x=\"2\"} 2@1 "
               "3@2\na{instance=\"i\",job=\"t\",x=\"3\"} 4@2\nup{instance=\"i\",job=\"t\"} 1@1 1@2\n");
    says("a{x=\"2\"} nonsense\n");
    scrape(&w); /* all of it ends */
    stands(&w, "a{instance=\"i\",job=\"t\",x=\"1\"} 1@1 stale@2\na{instance=\"i\",job=\"t\",x=\"2\"} 2@1 3@2 "
               "stale@3\na{instance=\"i\",job=\"t\",x=\"3\"} 4@2 stale@3\nup{instance=\"i\",job=\"t\"} 1@1 1@2 0@3\n");
    is_down(&w, "line 1");
    says("a{x=\"2\"} 6\n");
    scrape(&w);
    stands(&w, "a{instance=\"i\",job=\"t\",x=\"1\"} 1@1 stale@2\na{instance=\"i\",job=\"t\",x=\"2\"} 2@1 3@2 stale@3 "
               "6@4\na{instance=\"i\",job=\"t\",x=\"3\"} 4@2 stale@3\nup{instance=\"i\",job=\"t\"} 1@1 1@2 0@3 1@4\n");
    assert_int_equal(w.s->digest.relabelled, 3);
    close_world(&w);
}

/* A metric that says to be of another type, or with another help, goes on as it was: what it is called does not change. */
static void types_and_help_may_change(void **state) {
    (void)state;
    struct world w;
    open_world(&w, "");
    says("# TYPE a counter\n# HELP a Of a test.\na 1\n");
    scrape(&w);
    says("# TYPE a gauge\n# HELP a Of another.\na 2\n");
    scrape(&w);
    says("# HELP a A third.\n# TYPE a histogram\na 3\n");
    scrape(&w);
    says("a 4\n");
    scrape(&w);
    stands(&w, "a{instance=\"i\",job=\"t\"} 1@1 2@2 3@3 4@4\nup{instance=\"i\",job=\"t\"} 1@1 1@2 1@3 1@4\n");
    close_world(&w);
}

static void scrapes_tell_of_themselves(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF struct buf all;
    buf_init(&all, MIB);
    open_world(&w, "  metric_relabel_configs: [{source_labels: [__name__], regex: 'b', action: drop}]");
    says("a 1\nb 2\nc 3\n");
    scrape(&w);
    dump(&w.b, &all);
    assert_non_null(strstr(all.p, "scrape_samples_scraped{instance=\"i\",job=\"t\"} 3@"));
    assert_non_null(strstr(all.p, "scrape_samples_post_metric_relabeling{instance=\"i\",job=\"t\"} 2@"));
    assert_non_null(strstr(all.p, "scrape_series_added{instance=\"i\",job=\"t\"} 2@"));
    assert_non_null(strstr(all.p, "scrape_duration_seconds{instance=\"i\",job=\"t\"} 0."));
    assert_null(strstr(all.p, "b{"));
    close_world(&w);
    open_world(&w, ""); /* one that fails tells what was read */
    says("a 1\nb 2\nnonsense\nc 3\n");
    scrape(&w);
    buf_clear(&all);
    dump(&w.b, &all);
    assert_non_null(strstr(all.p, "up{instance=\"i\",job=\"t\"} 0@"));
    assert_non_null(strstr(all.p, "scrape_samples_scraped{instance=\"i\",job=\"t\"} 2@"));
    assert_non_null(strstr(all.p, "scrape_samples_post_metric_relabeling{instance=\"i\",job=\"t\"} 2@"));
    close_world(&w);
}

static void times_of_the_target(void **state) {
    (void)state;
    struct world w;
    open_world(&w, "");
    says("a 1 1700000000500\nb 2\nfar 3 1800000000000\n");
    scrape(&w);
    says("c 1\n"); /* a: its end is not told, since it had a time of its own */
    scrape(&w);
    stands(&w, "a{instance=\"i\",job=\"t\"} 1@0\nb{instance=\"i\",job=\"t\"} 2@1 stale@2\nc{instance=\"i\",job=\"t\"} "
               "1@2\nup{instance=\"i\",job=\"t\"} 1@1 1@2\n");
    close_world(&w);
    open_world(&w, "  honor_timestamps: false");
    says("a 1 1700000000500\nfar 3 1800000000000\n");
    scrape(&w);
    stands(&w,
           "a{instance=\"i\",job=\"t\"} 1@1\nfar{instance=\"i\",job=\"t\"} 3@1\nup{instance=\"i\",job=\"t\"} 1@1\n");
    close_world(&w);
    open_world(&w, "  track_timestamps_staleness: true");
    says("a 1 1700000000500\n");
    scrape(&w);
    says("");
    scrape(&w);
    stands(&w, "a{instance=\"i\",job=\"t\"} 1@0 stale@2\nup{instance=\"i\",job=\"t\"} 1@1 1@2\n");
    close_world(&w);
}

static void labels_of_target_and_sample(void **state) {
    (void)state;
    struct world w;
    const char *body = "a{job=\"x\",instance=\"\"} 1\nb{job=\"x\",exported_job=\"y\"} 2\n";
    open_world(&w, "");
    says(body);
    scrape(&w);
    stands(&w, "a{exported_job=\"x\",instance=\"i\",job=\"t\"} "
               "1@1\nb{exported_exported_job=\"x\",exported_job=\"y\",instance=\"i\",job=\"t\"} "
               "2@1\nup{instance=\"i\",job=\"t\"} 1@1\n");
    close_world(&w);
    open_world(&w, "  honor_labels: true"); /* an empty label of the sample keeps the target's away */
    says(body);
    scrape(&w);
    stands(&w,
           "a{job=\"x\"} 1@1\nb{exported_job=\"y\",instance=\"i\",job=\"x\"} 2@1\nup{instance=\"i\",job=\"t\"} 1@1\n");
    close_world(&w);
}

static void limits_refuse_whole_scrapes(void **state) {
    static const struct {
        const char *job, *why;
    } cases[] = {{"  sample_limit: 1", "sample limit exceeded"},
                 {"  label_limit: 3", "label_limit exceeded (metric: a, number of labels: 4, limit: 3)"},
                 {"  label_name_length_limit: 7", "label_name_length_limit exceeded"},
                 {"  label_value_length_limit: 2", "label_value_length_limit exceeded"},
                 {"  body_size_limit: 10B", "the body is over 10 bytes"},
                 {"  target_limit: 1\n- job_name: u", ""},
                 {"  metric_relabel_configs: [{target_label: __name__, replacement: ''}]", "without a name"}};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct world w;
        if (!*cases[i].why) continue;
        open_world(&w, cases[i].job);
        says("a{x=\"123\"} 1\nb 2\n");
        scrape(&w);
        is_down(&w, cases[i].why);
        stands(&w, "up{instance=\"i\",job=\"t\"} 0@1\n");
        close_world(&w);
    }
}

static void is_modest(const struct world *w) {
    uint64_t peak = atomic_load(&w->budget.peak_bytes);
    if (peak > 16 * MIB) fail_msg("%llu bytes of the budget", (unsigned long long)peak);
}

/* ---- targets that do not behave ------------------------------------------------------------------------------------------------ */

/* New names at each scrape, and all of it refused: what was learned of them must not stay, in the cache or in the budget. */
static void a_scrape_that_fails_leaves_nothing_behind(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    open_world(&w, "  sample_limit: 1000");
    says("a 1\n");
    scrape(&w);
    uint64_t held = 0;
    for (int round = 0; round < 20; round++) {
        buf_clear(&body);
        for (int i = 0; i < 2000; i++) buf_add_fmt(&body, "a{x=\"%d_%d\"} 1\n", round, i);
        buf_add_byte(&body, 0);
        says(body.p);
        scrape(&w);
        is_down(&w, "sample limit exceeded");
        assert_int_equal(first(&w)->series.rows.n, 1);
        assert_int_equal(first(&w)->series.known.n, 1);
        if (round == 1) held = first(&w)->kept_bytes;
    }
    assert_int_equal(first(&w)->kept_bytes, held);
    assert_true(budget_used(&w.budget) >= held &&
                budget_used(&w.budget) <= held + 8 * MIB); /* labels that the decoder keeps */
    says("a 2\n");                                         /* and what was known before is still known */
    scrape(&w);
    assert_int_equal(first(&w)->health, HEALTH_UP);
    assert_int_equal(w.s->digest.relabelled, 1 + 20 * 2000);
    close_world(&w);
}

static void put_job(struct buf *out, const char *name, const char *timeout, int targets) {
    buf_add_fmt(out, "- job_name: %s\n  scrape_interval: 30s\n  scrape_timeout: %s\n  static_configs:\n", name,
                timeout);
    for (int i = 0; i < targets; i++) buf_add_fmt(out, "  - {targets: ['%s'], labels: {i: '%d'}}\n", target.address, i);
    buf_add_byte(out, 0);
    out->n--;
}

static size_t asked(const struct pool *p) {
    size_t n = 0;
    for (size_t i = 0; i < p->targets.n; i++) n += p->targets.v[i]->call != NULL;
    return n;
}

/* Of 40 files 20 may be fetches. 20 targets hang, 5 others wait for a place, and get one when the time of those is over. */
static void places_are_waited_for(void **state) {
    (void)state;
    struct rlimit was, few;
    struct world w;
    AUTO_BUF struct buf jobs;
    buf_init(&jobs, MIB);
    says_with(MANNER_HANG, "", STR(""));
    put_job(&jobs, "hang", "400ms", 20);
    put_job(&jobs, "late", "20s", 5);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    few = (struct rlimit){40, was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    open_world(&w, jobs.p);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    assert_int_equal(w.s->pools.n, 3);
    const struct pool *hang = w.s->pools.v[1], *late = w.s->pools.v[2];
    int64_t now = clock_monotonic_ns();
    for (size_t i = 0; i < 20; i++) hang->targets.v[i]->due_ns = now - SECOND_NS / 5;
    for (size_t i = 0; i < 5; i++) late->targets.v[i]->due_ns = now - SECOND_NS / 10;
    w.s->next_ns = 0;
    scraper_turn_wait(w.s, now + SECOND_NS / 10);
    assert_int_equal(asked(hang), 20);
    assert_int_equal(asked(late), 0);
    assert_int_equal(http_fetcher_busy(w.s->fetcher), 20);
    for (int64_t until = now + 10 * SECOND_NS; asked(late) < 5 && clock_monotonic_ns() < until;)
        scraper_turn_wait(w.s, clock_monotonic_ns() + SECOND_NS / 100);
    assert_int_equal(asked(late), 5);
    for (size_t i = 0; i < 5; i++) assert_int_equal(late->targets.v[i]->health, HEALTH_UNKNOWN);
    for (size_t i = 0; i < 20; i++) assert_non_null(strstr(hang->targets.v[i]->error, "not done after 400 ms"));
    close_world(&w);
}

static void hostile_targets_are_bounded(void **state) {
    static char much[65536];
    static const struct {
        enum manner manner;
        const char *head;
        const char *why;
        bool much;
    } cases[] = {
        {MANNER_HANG, "", "not done after 1000 ms"},
        {MANNER_HANG, TEXT_HEAD "Content-Length: 100\r\n\r\na 1\n", "not done after 1000 ms"},
        {MANNER_WHOLE, TEXT_HEAD "Content-Length: 100\r\n\r\na 1\n", "bytes remaining"},
        {MANNER_REPEAT, TEXT_HEAD "\r\n", "the body is over 1048576 bytes", true},
        {MANNER_REPEAT, TEXT_HEAD "Content-Length: 1073741824\r\n\r\n", "the body is over 1048576 bytes", true},
        {MANNER_REPEAT, TEXT_HEAD "X: ", "head", true},
        {MANNER_WHOLE, "HTTP/1.1 404 No\r\nConnection: close\r\n\r\n", "HTTP status 404"},
        {MANNER_WHOLE, "HTTP/1.1 302 Away\r\nLocation: /again\r\nConnection: close\r\n\r\n", "redirect"},
        {MANNER_WHOLE, "HTTP/1.1 302 Away\r\nLocation: file:///etc/passwd\r\nConnection: close\r\n\r\n", "file"},
        {MANNER_WHOLE, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\na 1\n", "blank Content-Type"},
        {MANNER_WHOLE, "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<html>",
         "unsupported Content-Type"},
        {MANNER_WHOLE, TEXT_HEAD "Content-Encoding: gzip\r\n\r\nno gzip", ""},
        {MANNER_WHOLE, "no HTTP\r\n\r\n", ""},
    };
    (void)state;
    memset(much, 'x', sizeof much);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct world w;
        open_world(&w, "  body_size_limit: 1MB");
        says("a 1\n"); /* the store has what it needs */
        scrape(&w);
        says_with(cases[i].manner, cases[i].head, cases[i].much ? str_span(much, sizeof much) : STR(""));
        int64_t began = clock_monotonic_ns();
        scrape(&w);
        assert_true(clock_monotonic_ns() - began < 3 * SECOND_NS);
        if (first(&w)->health != HEALTH_DOWN) fail_msg("case %zu is up", i);
        if (!strstr(first(&w)->error, cases[i].why) && !(i == 5)) fail_msg("case %zu: %s", i, first(&w)->error);
        stands(&w, "a{instance=\"i\",job=\"t\"} 1@1 stale@2\nup{instance=\"i\",job=\"t\"} 1@1 0@2\n");
        is_modest(&w);
        close_world(&w);
    }
}

static void a_bomb_of_gzip_is_bounded(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, 64 * MIB);
    buf_init(&packed, 64 * MIB);
    for (int i = 0; i < 40 << 20; i += 16) buf_add_text(&plain, "# sixteen bytes\n");
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(9);
    assert_true(buf_reserve(&packed, MIB));
    packed.n = libdeflate_gzip_compress(c, plain.p, plain.n, packed.p, MIB);
    libdeflate_free_compressor(c);
    assert_true(packed.n > 0); /* 40 MiB in less than one */
    open_world(&w, "  body_size_limit: 1MB");
    says("a 1\n");
    scrape(&w);
    says_with(MANNER_WHOLE, TEXT_HEAD "Content-Encoding: gzip\r\n\r\n", buf_str(&packed));
    scrape(&w);
    is_down(&w, "the body is over 1048576 bytes");
    is_modest(&w);
    close_world(&w);
    open_world(&w, ""); /* a small one is taken */
    buf_clear(&packed);
    assert_null(deflate_gzip(STR("a 1\n"), &packed));
    says_with(MANNER_WHOLE, TEXT_HEAD "Content-Encoding: gzip\r\n\r\n", buf_str(&packed));
    scrape(&w);
    stands(&w, "a{instance=\"i\",job=\"t\"} 1@1\nup{instance=\"i\",job=\"t\"} 1@1\n");
    close_world(&w);
}

#define GZIP_HEAD TEXT_HEAD "Content-Encoding: gzip\r\n\r\n"

static void refuses_gzip(const char *head, struct str body, const char *why) {
    struct world w;
    open_world(&w, "");
    says("a 1\n");
    scrape(&w);
    says_with(MANNER_WHOLE, head, body);
    scrape(&w);
    is_down(&w, why);
    close_world(&w);
}

/* Each is delivered whole as HTTP counts, and is not whole as gzip counts: nothing of it may stand as if it were all. */
static void gzip_ends_with_its_trailer(void **state) {
    static const char damaged[] = "damaged or cut short";
    AUTO_BUF struct buf packed;
    struct world w;
    (void)state;
    buf_init(&packed, MIB);
    assert_null(deflate_gzip(STR("a 1\n"), &packed));
    size_t one = packed.n;
    refuses_gzip(GZIP_HEAD, (struct str){packed.p, one - 8}, damaged); /* no trailer */
    refuses_gzip(GZIP_HEAD, (struct str){packed.p, one - 1}, damaged);
    refuses_gzip(GZIP_HEAD, (struct str){packed.p, 10}, damaged);
    refuses_gzip(GZIP_HEAD, STR(""), damaged);
    /* of deflate: a stored block "a 1\n" that is not the last one, and nothing after it, as a flush leaves it */
    refuses_gzip(GZIP_HEAD,
                 STR("\x1f\x8b\x08\0\0\0\0\0\0\x03\0\x04\0\xfb\xff"
                     "a 1\n"),
                 damaged);
    refuses_gzip(TEXT_HEAD "Content-Encoding: br\r\n\r\n", STR("abc"), ""); /* as it is, and that is no sample */
    buf_add_text(&packed, "x");
    refuses_gzip(GZIP_HEAD, buf_str(&packed), damaged);
    packed.n = one;
    assert_null(deflate_gzip(STR("b 2\n"), &packed));
    open_world(&w, "  enable_compression: false\n"); /* two members, not even asked for */
    says_with(MANNER_WHOLE, GZIP_HEAD, buf_str(&packed));
    scrape(&w);
    stands(&w, "a{instance=\"i\",job=\"t\"} 1@1\nb{instance=\"i\",job=\"t\"} 2@1\nup{instance=\"i\",job=\"t\"} 1@1\n");
    close_world(&w);
}

static void names_that_are_not_legacy_fail_where_they_must(void **state) {
    static const char *const bodies[] = {"{\"a.b\"} 1\n", "{\"\xc3\xa9\"} 1\n", "a{\"b.c\"=\"d\"} 1\n",
                                         "a{\"b:c\"=\"d\"} 1\n"};
    struct world w;
    (void)state;
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        open_world(&w, "  metric_name_validation_scheme: legacy\n");
        says(bodies[i]);
        scrape(&w);
        is_down(&w, "invalid metric name or label names");
        close_world(&w);
        open_world(&w, "");
        says(bodies[i]);
        scrape(&w);
        assert_int_equal(first(&w)->health, HEALTH_UP);
        close_world(&w);
    }
    open_world(&w, "  metric_name_validation_scheme: legacy\n"
                   "  metric_relabel_configs: [{source_labels: [__name__], regex: 'a.b', target_label: __name__, "
                   "replacement: ab}]\n");
    says("{\"a.b\"} 1\na:b_1 2\n"); /* looked at after relabelling */
    scrape(&w);
    assert_int_equal(first(&w)->health, HEALTH_UP);
    close_world(&w);
}

static void what_is_asked(void **state) {
    (void)state;
    struct world w;
    open_world(&w,
               "  metrics_path: /m\n  params: {b: ['2', '3'], a: ['x y']}\n  basic_auth: {username: u, password: p}\n");
    says("a 1\n");
    scrape(&w);
    assert_non_null(strstr(target.asked, "GET /m?a=x+y&b=2&b=3 HTTP/1.1\r\n"));
    assert_non_null(strstr(target.asked, "Authorization: Basic dTpw\r\n"));
    assert_non_null(strstr(target.asked, "X-Prometheus-Scrape-Timeout-Seconds: 1\r\n"));
    assert_non_null(strstr(target.asked, "Accept-Encoding: gzip\r\n"));
    assert_non_null(strstr(target.asked, "Accept: application/openmetrics-text;version=1.0.0"));
    assert_non_null(strstr(target.asked, "User-Agent: clew/"));
    close_world(&w);
    open_world(
        &w,
        "  authorization: {type: Token, credentials: abc}\n  enable_compression: false\n  follow_redirects: false\n");
    says_with(MANNER_WHOLE, "HTTP/1.1 302 Away\r\nLocation: /again\r\nConnection: close\r\n\r\n", STR(""));
    scrape(&w);
    is_down(&w, "HTTP status 302");
    assert_non_null(strstr(target.asked, "Authorization: Token abc\r\n"));
    assert_non_null(strstr(target.asked, "Accept-Encoding: identity\r\n"));
    close_world(&w);
}

/* ---- changes ---------------------------------------------------------------------------------------------------------------------- */

static void reload(struct world *w) {
    scraper_reload(w->s);
    for (int i = 0; i < 3; i++) scraper_turn_wait(w->s, 0);
    pump(w);
}

static void a_target_that_goes_ends(void **state) {
    (void)state;
    struct world w;
    open_world(&w, "");
    says("a 1\n");
    scrape(&w);
    wall_ns += SECOND_NS;
    write_file(&w, "", "  relabel_configs: [{source_labels: [instance], regex: i, action: drop}]");
    reload(&w);
    stands(&w, "a{instance=\"i\",job=\"t\"} 1@1 stale@2\nup{instance=\"i\",job=\"t\"} 1@1 stale@2\n");
    assert_int_equal(w.s->stats.targets, 0);
    AUTO_BUF struct buf out;
    struct json_writer j;
    buf_init(&out, MIB);
    json_writer_init(&j, &out);
    scraper_write_targets(w.s, &j, true, true, STR(""));
    assert_non_null(strstr(out.p, "\"activeTargets\":[],\"droppedTargets\":[{\"discoveredLabels\":{\"__address__\":"));
    assert_non_null(strstr(out.p, "\"droppedTargetCounts\":{\"t\":1}"));
    close_world(&w);
}

static void a_reload_keeps_what_is_known(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF struct buf problem;
    buf_init(&problem, MIB);
    open_world(&w, "");
    says("a 1\n");
    scrape(&w);
    struct scrape_target *t = first(&w);
    write_file(&w, "global: {scrape_interval: 20s}", "  honor_timestamps: false");
    reload(&w);
    assert_ptr_equal(first(&w), t);
    scrape(&w);
    assert_int_equal(w.s->digest.relabelled, 1);
    write_file(&w, "", "  metric_relabel_configs: [{target_label: new, replacement: 'yes'}]");
    reload(&w);
    scrape(&w); /* other labels: what was ends */
    stands(&w, "a{instance=\"i\",job=\"t\",new=\"yes\"} 1@3\na{instance=\"i\",job=\"t\"} 1@1 1@2 "
               "stale@3\nup{instance=\"i\",job=\"t\"} 1@1 1@2 1@3\n");
    write_file(&w, "global: [", "");
    reload(&w); /* got bad: what was good stays */
    scraper_put_problem(w.s, &problem);
    assert_non_null(strstr(problem.p, ".yml:"));
    assert_false(w.s->stats.reload_ok);
    assert_int_equal(w.s->stats.targets, 1);
    assert_null(path_remove(w.path));
    reload(&w); /* gone: the same */
    assert_int_equal(w.s->stats.targets, 1);
    write_file(&w, "", "");
    reload(&w);
    assert_true(w.s->stats.reload_ok);
    close_world(&w);
}

static void keep_text(void *context, struct str text) {
    struct buf *out = context;
    buf_add_str(out, text);
    buf_add_byte(out, '\n');
}

static void a_target_that_is_none_is_told(void **state) {
    (void)state;
    struct world w;
    AUTO_BUF struct buf told;
    buf_init(&told, MIB);
    open_world(&w, "");
    scraper_tell_none(w.s, keep_text, &told);
    assert_int_equal(told.n, 0);
    write_file(&w, "", "  relabel_configs: [{target_label: __scrape_timeout__, replacement: 1h}]");
    reload(&w);
    assert_int_equal(w.s->stats.targets, 0);
    scraper_tell_none(w.s, keep_text, &told);
    char expected[256];
    snprintf(expected, sizeof expected,
             "Job t names 1 target that cannot be scraped, first \"%s\": "
             "scrape timeout cannot be greater than scrape interval (\"1h\" > \"10s\")\n",
             target.address);
    buf_add_byte(&told, 0);
    assert_string_equal(told.p, expected);
    write_file(&w, "", "");
    reload(&w); /* it is one again */
    buf_clear(&told);
    scraper_tell_none(w.s, keep_text, &told);
    assert_int_equal(told.n, 0);
    close_world(&w);
}

static void put_file(const char *path, const char *text) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void files_of_targets(void **state) {
    (void)state;
    struct world w;
    char json[96], yml[96], job[256];
    open_world(&w, "");
    snprintf(json, sizeof json, "%s-a.json", w.b.dir);
    snprintf(yml, sizeof yml, "%s-b.yml", w.b.dir);
    snprintf(job, sizeof job,
             "  file_sd_configs: [{files: ['%s-a*.json', '%s']}]\n  relabel_configs: [{source_labels: "
             "[__meta_filepath], target_label: file}]",
             w.b.dir, yml);
    put_file(json, "[\n\t{\"targets\": [\"x:1\", \"x:2\"], \"labels\": {\"env\": \"a\\u00e4\"}}\n]\n");
    put_file(yml, "- targets: [y:1]\n");
    write_file(&w, "", job);
    reload(&w);
    assert_int_equal(w.s->stats.targets, 4);
    const struct {
        const char *json, *yml;
        uint64_t targets;
    } steps[] = {
        {"[{\"targets\": [\"x:1\"]}]", NULL, 3},   /* changed */
        {"[{\"targets\": [\"x:1\", \"x", NULL, 3}, /* half written: the last good list */
        {"", NULL, 3},                             /* not yet written */
        {"[] x", NULL, 3},
        {"\xef\xbb\xbf[]", NULL, 3},
        {"{}", NULL, 3},
        {"- targets: []", NULL, 3}, /* YAML */
        {"[{\"targets\": [1]}]", NULL, 3},
        {"[]", NULL, 2}, /* none */
        {"", "- targets: [y:1, y:2]", 3},
        {NULL, NULL, 3}, /* gone, of a pattern: had none any more; */
    };
    for (size_t i = 0; i < LENGTH(steps); i++) {
        if (steps[i].json) put_file(json, steps[i].json);
        if (!steps[i].json) assert_null(path_remove(json));
        if (steps[i].yml) put_file(yml, steps[i].yml);
        for (int k = 0; k < 3; k++) {
            w.s->discover_ns = 0;
            for (uint32_t d = 0; d < 1; d++) scraper_turn_wait(w.s, clock_monotonic_ns() + SECOND_NS / 2);
        }
        if (w.s->stats.targets != steps[i].targets) fail_msg("step %zu: %d targets", i, (int)w.s->stats.targets);
    }
    assert_int_equal(discovery_files_read(w.s->discovery), 13); /* the one that was half written once, too */
    assert_null(path_remove(yml));                              /* gone, and named in full: kept */
    for (int k = 0; k < 3; k++) scraper_turn_wait(w.s, clock_monotonic_ns() + SECOND_NS / 2);
    assert_int_equal(w.s->stats.targets, 3);
    close_world(&w);
}

static void a_busy_store_is_waited_for(void **state) {
    (void)state;
    struct world w;
    open_world(&w, "");
    says("a 1\n");
    scrape(&w);
    for (int waits = 0; waits < 2; waits++) {
        uint64_t limit = w.b.budget.limit_bytes;
        w.b.budget.limit_bytes = budget_used(&w.b.budget); /* the store can take nothing more */
        says("a 2\n");
        scrape(&w);
        assert_non_null(first(&w)->pending);
        if (waits) w.b.budget.limit_bytes = limit; /* then it can */
        while (first(&w)->pending) scraper_turn_wait(w.s, clock_monotonic_ns() + SECOND_NS / 100);
        w.b.budget.limit_bytes = limit;
        pump(&w);
        assert_int_equal(first(&w)->health, waits ? HEALTH_UP : HEALTH_DOWN);
        assert_int_equal(w.s->stats.dropped_batches, 1);
    }
    stands(&w, "a{instance=\"i\",job=\"t\"} 1@1 2@3\nup{instance=\"i\",job=\"t\"} 1@1 1@3\n");
    close_world(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_come_stay_and_end),
        cmocka_unit_test(types_and_help_may_change),
        cmocka_unit_test(scrapes_tell_of_themselves),
        cmocka_unit_test(times_of_the_target),
        cmocka_unit_test(labels_of_target_and_sample),
        cmocka_unit_test(limits_refuse_whole_scrapes),
        cmocka_unit_test(a_scrape_that_fails_leaves_nothing_behind),
        cmocka_unit_test(places_are_waited_for),
        cmocka_unit_test(hostile_targets_are_bounded),
        cmocka_unit_test(a_bomb_of_gzip_is_bounded),
        cmocka_unit_test(gzip_ends_with_its_trailer),
        cmocka_unit_test(names_that_are_not_legacy_fail_where_they_must),
        cmocka_unit_test(what_is_asked),
        cmocka_unit_test(a_target_that_is_none_is_told),
        cmocka_unit_test(a_target_that_goes_ends),
        cmocka_unit_test(a_reload_keeps_what_is_known),
        cmocka_unit_test(files_of_targets),
        cmocka_unit_test(a_busy_store_is_waited_for),
    };
    return cmocka_run_group_tests(tests, begin_target, end_target);
}
