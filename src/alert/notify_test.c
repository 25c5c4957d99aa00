/* Alertmanagers that take, fail, refuse, hang and go; rows between two lives. Real sockets on loopback, a real database. */
#include "alert/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/net.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/thread.h"

#define SECOND_NS ((int64_t)1000000000)
enum { HEARD_MAX = 64 };

static struct {
    char dir[64], address[64];
    struct db *db;
    struct notifier *n;
    struct loop *loop;
    struct http_server *server;
    struct thread *io;
    struct lock lock;
    struct signal_flag flag;
    char *heard[HEARD_MAX]; /* bodies, in the order of their arrival */
    size_t n_heard;
    int statuses[HEARD_MAX]; /* what the i-th call gets; 0: 200; -1: nothing, ever */
    struct http_request *held[HEARD_MAX];
    size_t n_held;
} w;

static void check_ok(err e, const char *what) {
    if (e) fail_msg("%s: %s", what, err_text(e));
}

static void on_request(struct http_request *r) {
    lock_take(&w.lock);
    assert_in_range(w.n_heard, 0, HEARD_MAX - 1);
    int status = w.statuses[w.n_heard];
    w.heard[w.n_heard++] = str_dup(http_body(r));
    if (status < 0) w.held[w.n_held++] = r;
    flag_wake_all(&w.flag);
    lock_give(&w.lock);
    if (status >= 0) http_reply(r, &(struct http_reply){.status = status ? status : 200});
}

static void run_loop(void *context) {
    (void)context;
    loop_run(w.loop);
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    char path[4096];
    (void)is_dir;
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    return path_remove(path);
}

static void open_db(void) {
    char path[128];
    snprintf(path, sizeof path, "%s/records.db", w.dir);
    check_ok(db_open(&(struct db_options){.path = path}, &w.db), "db");
}

static int begin(void **state) {
    (void)state;
    memset(&w, 0, sizeof w);
    snprintf(w.dir, sizeof w.dir, "/tmp/clew-notify-XXXXXX");
    if (!mkdtemp(w.dir)) return -1;
    lock_init(&w.lock);
    flag_init(&w.flag);
    open_db();
    check_ok(loop_new(&w.loop), "loop");
    check_ok(http_server_new(w.loop, &(struct http_server_options){.handler = on_request}, &w.server), "server");
    check_ok(http_server_listen(w.server, "127.0.0.1:0", NULL, w.address), "listen");
    check_ok(thread_start(&w.io, "io", 0, run_loop, NULL), "thread");
    return 0;
}

static void reply_held(void *context) {
    (void)context;
    for (size_t i = 0; i < w.n_held; i++) http_reply(w.held[i], &(struct http_reply){.status = 200});
    loop_stop(w.loop);
}

static int end(void **state) {
    (void)state;
    notifier_free(w.n);
    loop_post(w.loop, reply_held, NULL);
    thread_join(w.io);
    http_server_free(w.server);
    loop_free(w.loop);
    db_close(w.db);
    for (size_t i = 0; i < w.n_heard; i++) mem_free(w.heard[i]);
    flag_done(&w.flag);
    lock_done(&w.lock);
    err_free(path_list(w.dir, remove_entry, w.dir));
    err_free(path_remove_dir(w.dir));
    return 0;
}

/* `to`: an address. */
static void open_notifier(const char *to) {
    static char url[128];
    struct label external[] = {{STR("cluster"), STR("eu")}, {STR("severity"), STR("none")}};
    static struct label kept[2];
    memcpy(kept, external, sizeof kept);
    snprintf(url, sizeof url, "http://%s/", to);
    struct notifier_options o = {.urls = {str_of(url)},
                                 .url_n = 1,
                                 .external_labels = {kept, 2},
                                 .external_url = STR("http://clew"),
                                 .db = w.db};
    check_ok(notifier_new(&o, &w.n), "notifier");
}

/* A life that ends without a word. */
static void kill_it(void) {
    notifier_free(take(&w.n));
    db_close(take(&w.db));
    open_db();
}

static struct alert_notice notice(const char *name, const char *tenant) {
    static struct label labels[8][2];
    static int at;
    struct label *l = labels[at++ % 8];
    l[0] = (struct label){STR("alertname"), str_of(name)};
    l[1] = (struct label){STR("severity"), STR("page")};
    return (struct alert_notice){.labels = {l, 2},
                                 .starts_ns = 1767323045 * SECOND_NS,
                                 .ends_ns = 1767323285 * SECOND_NS,
                                 .expr = STR("up == 0"),
                                 .tenant = str_of(tenant)};
}

struct pushing {
    const struct alert_notice *v;
    size_t n;
    bool fail;
};
static err push_in(struct db_transaction *t, void *context) {
    struct pushing *p = context;
    TRY(notifier_push_in(w.n, t, p->v, p->n));
    return p->fail ? err_new(ERR_INTERNAL, "no") : NULL;
}
static void push_many(const struct alert_notice *v, size_t n) {
    check_ok(db_write(w.db, push_in, &(struct pushing){v, n, false}), "push");
    notifier_wake(w.n);
}
static void push(const char *name) {
    struct alert_notice x = notice(name, "default");
    push_many(&x, 1);
}

/* Until so many calls came; fails after half a minute. */
static void wait_heard(size_t n) {
    int64_t until = clock_monotonic_ns() + 30 * SECOND_NS;
    lock_take(&w.lock);
    while (w.n_heard < n && flag_wait_until(&w.flag, &w.lock, until)) continue;
    size_t heard = w.n_heard;
    lock_give(&w.lock);
    if (heard < n) fail_msg("%zu calls of %zu", heard, n);
}

static void assert_heard(size_t i, const char *part) {
    if (!strstr(w.heard[i], part)) fail_msg("call %zu has no %s: %s", i, part, w.heard[i]);
}

static void rest(void) {
    struct lock lock;
    struct signal_flag flag;
    lock_init(&lock), flag_init(&flag);
    lock_take(&lock);
    flag_wait_until(&flag, &lock, clock_monotonic_ns() + 10000000);
    lock_give(&lock);
    flag_done(&flag), lock_done(&lock);
}

static void settle_all(uint64_t sent, uint64_t dropped) {
    struct notifier_stats s = {0};
    for (int i = 0; i < 3000; i++) {
        check_ok(notifier_get_stats(w.n, 0, &s), "stats");
        struct notifier_stats seen;
        notifier_look(w.n, 0, &seen);
        bool same = seen.sent == s.sent && seen.dropped == s.dropped && seen.queued == 0;
        if (s.sent == sent && s.dropped == dropped && !s.queued && same) return;
        rest();
    }
    fail_msg("sent %llu, dropped %llu, %llu wait", (unsigned long long)s.sent, (unsigned long long)s.dropped,
             (unsigned long long)s.queued);
}

/* ---- what it says ------------------------------------------------------------------------------------------------- */

static void labels_of_the_outside_and_of_tenants(void **state) {
    (void)state;
    struct alert_notice v[] = {notice("A", "default"), notice("B", "b")};
    struct label own[] = {{STR("alertname"), STR("C")}, {STR("cluster"), STR("mine")}, {STR("tenant"), STR("default")}};
    struct alert_notice c = notice("C", "c");
    c.labels = (struct labels){own, 3};
    open_notifier(w.address);
    push_many(v, 2);
    wait_heard(1);
    push_many(&c, 1);
    wait_heard(2);
    assert_heard(0, "{\"labels\":{\"alertname\":\"A\",\"severity\":\"page\",\"cluster\":\"eu\"},\"annotations\":{}");
    assert_heard(0, "{\"alertname\":\"B\",\"severity\":\"page\",\"tenant\":\"b\",\"cluster\":\"eu\"}");
    assert_heard(1, "{\"alertname\":\"C\",\"cluster\":\"mine\",\"tenant\":\"c\",\"severity\":\"none\"}");
    assert_heard(0, "\"startsAt\":\"2026-01-02T03:04:05Z\",\"endsAt\":\"2026-01-02T03:08:05Z\"");
    assert_heard(0, "\"generatorURL\":\"http://clew/graph?g0.expr=up%20%3D%3D%200&g0.tab=1\"");
    settle_all(3, 0);
}

static void many_at_once_are_rows_of_64(void **state) {
    struct alert_notice v[150];
    (void)state;
    for (size_t i = 0; i < LENGTH(v); i++) v[i] = notice("A", "default");
    open_notifier(w.address);
    push_many(v, LENGTH(v));
    wait_heard(3);
    settle_all(150, 0);
    assert_int_equal(w.n_heard, 3);
}

/* ---- what may go wrong -------------------------------------------------------------------------------------------- */

static void failures_come_again_and_refusals_do_not(void **state) {
    (void)state;
    w.statuses[0] = 503, w.statuses[1] = 429, w.statuses[3] = 400;
    open_notifier(w.address);
    push("A");
    wait_heard(1);
    push("B"); /* waits its turn */
    push("C");
    wait_heard(5);
    static const char *const order[] = {"\"A\"", "\"A\"", "\"A\"", "\"B\"", "\"C\""};
    for (size_t i = 0; i < LENGTH(order); i++) assert_heard(i, order[i]);
    settle_all(2, 1);
}

static void a_transaction_that_fails_says_nothing(void **state) {
    struct alert_notice x = notice("Never", "default");
    (void)state;
    open_notifier(w.address);
    err e = db_write(w.db, push_in, &(struct pushing){&x, 1, true});
    assert_non_null(e);
    err_free(e);
    push("A");
    wait_heard(1);
    settle_all(1, 0);
    assert_heard(0, "\"A\"");
}

static void a_kill_loses_nothing_and_keeps_the_order(void **state) {
    (void)state;
    for (size_t i = 0; i < 40; i++) w.statuses[i] = 503;
    open_notifier(w.address);
    push("A"), push("B"), push("C");
    wait_heard(1);
    kill_it(); /* with A under a lease */
    size_t before = w.n_heard;
    memset(w.statuses, 0, sizeof w.statuses);
    open_notifier(w.address);
    wait_heard(before + 3);
    settle_all(3, 0);
    assert_heard(before, "\"A\""), assert_heard(before + 1, "\"B\""), assert_heard(before + 2, "\"C\"");
}

static void rows_of_who_is_gone_go(void **state) {
    (void)state;
    struct notifier_stats s;
    open_notifier("127.0.0.1:1"); /* nobody is there */
    push("A");
    kill_it();
    open_notifier(w.address);
    check_ok(notifier_get_stats(w.n, 0, &s), "stats");
    assert_int_equal(s.queued, 0);
    kill_it();
    open_notifier("127.0.0.1:1");
    check_ok(notifier_get_stats(w.n, 0, &s), "stats");
    assert_int_equal(s.queued, 0);
    push("B");
    kill_it();
    check_ok(notifier_end_rows(w.db), "end");
    open_notifier("127.0.0.1:1");
    check_ok(notifier_get_stats(w.n, 0, &s), "stats");
    assert_int_equal(s.queued, 0);
}

static void one_that_hangs_does_not_hold_up_the_end(void **state) {
    (void)state;
    w.statuses[0] = -1;
    open_notifier(w.address);
    push("A");
    wait_heard(1);
    int64_t begun = clock_monotonic_ns();
    kill_it();
    assert_in_range(clock_monotonic_ns() - begun, 0, 8 * SECOND_NS); /* not the 10 s of a call */
    open_notifier(w.address);
    wait_heard(2);
    assert_heard(1, "\"A\"");
}

static void without_a_disk_it_goes_by_memory(void **state) {
    struct alert_notice v[] = {notice("A", "default"), notice("B", "default")};
    (void)state;
    w.statuses[0] = 503;
    open_notifier(w.address);
    notifier_send(w.n, v, 2);
    wait_heard(2);
    assert_heard(1, "\"A\""), assert_heard(1, "\"B\"");
    settle_all(2, 0);
}

static void a_full_queue_drops_the_oldest(void **state) {
    struct notifier_stats s;
    (void)state;
    open_notifier("127.0.0.1:1");
    struct alert_notice x = notice("A", "default");
    for (int i = 0; i < NOTIFY_QUEUE_MAX + 5; i++)
        check_ok(db_write(w.db, push_in, &(struct pushing){&x, 1, false}), "push");
    check_ok(notifier_get_stats(w.n, 0, &s), "stats");
    assert_int_equal(s.queued, NOTIFY_QUEUE_MAX);
    assert_int_equal(s.displaced, 5);
}

/* What waits is seen without asking the database: after each call that failed. */
static void figures_are_there_at_once(void **state) {
    struct notifier_stats s = {0};
    (void)state;
    open_notifier("127.0.0.1:1"); /* nobody is there */
    push("A");
    push("B");
    int64_t until = clock_monotonic_ns() + 30 * SECOND_NS;
    while ((s.queued != 2 || !s.failures) && clock_monotonic_ns() < until) {
        notifier_look(w.n, 0, &s);
        rest();
    }
    assert_int_equal(s.queued, 2);
    assert_int_equal(s.sent + s.dropped, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(figures_are_there_at_once),
        TEST(labels_of_the_outside_and_of_tenants),
        TEST(many_at_once_are_rows_of_64),
        TEST(failures_come_again_and_refusals_do_not),
        TEST(a_transaction_that_fails_says_nothing),
        TEST(a_kill_loses_nothing_and_keeps_the_order),
        TEST(rows_of_who_is_gone_go),
        TEST(one_that_hangs_does_not_hold_up_the_end),
        TEST(without_a_disk_it_goes_by_memory),
        TEST(a_full_queue_drops_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
