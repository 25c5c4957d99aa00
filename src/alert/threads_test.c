/* Loads, looks and evaluations at once, over a store with threads and a database: nothing is torn, and it ends. For TSan above all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alert/records.h"
#include "alert/unit.h"
#include "base/budget.h"
#include "ingest/ingest.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"

enum { LOADS = 40, THREADS = 4 };

static struct {
    char dir[64];
    struct budget budget;
    struct store *store;
    struct ingest *ingest;
    struct db *db;
    struct notifier *notifier;
    struct alert_records *records;
    struct alert_engine *engine;
    struct lock lock;
    struct signal_flag looked;
    _Atomic bool ending;
    _Atomic uint64_t looks, evaluations;
} w;

static void check_ok(err e, const char *what) {
    if (e) fail_msg("%s: %s", what, err_text(e));
}

static void count(void *context, const struct alert_group *const *groups, size_t n) {
    uint64_t all = 0, alerts = 0;
    for (size_t g = 0; g < n; g++) {
        all += groups[g]->iterations;
        for (size_t i = 0; i < groups[g]->n; i++)
            for (size_t k = 0; k < groups[g]->rules[i].alerts.n; k++)
                alerts += groups[g]->rules[i].alerts.v[k]->labels.n + (groups[g]->rules[i].error != NULL);
    }
    *(uint64_t *)context += alerts;
    if (all > atomic_load(&w.evaluations)) atomic_store(&w.evaluations, all);
}

static void look(void *context) {
    uint64_t sum = 0;
    (void)context;
    while (!atomic_load(&w.ending)) {
        alert_engine_look(w.engine, count, &sum);
        atomic_fetch_add(&w.looks, 1);
        lock_take(&w.lock);
        flag_wake_all(&w.looked);
        lock_give(&w.lock);
    }
}

/* Until the looker has seen it. */
static void wait_for(_Atomic uint64_t *what, uint64_t least) {
    lock_take(&w.lock);
    while (atomic_load(what) < least) flag_wait(&w.looked, &w.lock);
    lock_give(&w.lock);
}

static struct alert_rules *rules_of(const char *tenant, const char *path, int step, int groups) {
    struct alert_rules *rules = alert_rules_new();
    AUTO_BUF struct buf text, problems;
    buf_init(&text, MIB);
    buf_init(&problems, MIB);
    buf_add_text(&text, "groups:\n");
    for (int g = 0; g < groups; g++)
        buf_add_fmt(
            &text,
            "- name: g%d\n  interval: 5ms\n  rules:\n  - {record: r%d, expr: vector(%d)}\n  - {alert: A, expr: "
            "r%d > %d, annotations: {v: '{{ $value }}'}}\n  - {alert: B, expr: vector(1), for: 20ms}\n  - {alert: "
            "C, expr: 'r%d * on() group_left() r%d'}\n",
            g, g, step, g, step % 3, g, (g + 1) % groups);
    struct rule_file *file = vec_push(&rules->files);
    check_ok(rules_read(buf_str(&text), path, &rules->a, file, &problems), "rules");
    if (problems.n) fail_msg("%s", problems.p);
    if (*tenant) file->tenant = arena_copy(&rules->a, str_of(tenant));
    file->is_row = *tenant != 0;
    return rules;
}

static void open_world(void) {
    struct store_options options;
    char path[128];
    snprintf(w.dir, sizeof w.dir, "/tmp/clew-rules-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    store_options_default(&options);
    budget_init(&w.budget, 1 << 30);
    options.dir = w.dir;
    options.budget = &w.budget;
    options.disk_use_max_percent = 100;
    options.disk_free_min_percent = 0;
    check_ok(store_open(&options, &w.store), "store");
    w.ingest = ingest_new(&(struct ingest_options){.store = w.store, .budget = &w.budget});
    snprintf(path, sizeof path, "%s/records.db", w.dir);
    check_ok(db_open(&(struct db_options){.path = path}, &w.db), "db");
    struct notifier_options to = {.urls = {STR("http://127.0.0.1:1")}, .url_n = 1, .db = w.db};
    check_ok(notifier_new(&to, &w.notifier), "notifier");
    check_ok(alert_records_open(w.db, w.notifier, &w.records), "records");
    w.engine = alert_engine_new(&(struct alert_options){.store = w.store,
                                                        .budget = &w.budget,
                                                        .append_wait = alert_append_wait,
                                                        .append_context = w.ingest,
                                                        .keeper = alert_records_keeper(w.records),
                                                        .send = notifier_send,
                                                        .send_context = w.notifier});
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (!is_dir) return path_remove(path);
    TRY(path_list(path, remove_entry, path));
    return path_remove_dir(path);
}

static void close_world(void) {
    alert_engine_free(w.engine);
    alert_records_close(w.records);
    notifier_free(w.notifier);
    ingest_free(w.ingest);
    db_close(w.db);
    check_ok(store_close(w.store), "close");
    err_free(path_list(w.dir, remove_entry, w.dir));
    err_free(path_remove_dir(w.dir));
}

static void threads_do_not_meet(void **state) {
    struct thread *looker;
    (void)state;
    lock_init(&w.lock);
    flag_init(&w.looked);
    open_world();
    alert_engine_load_wait(w.engine, STR(""), rules_of("", "files", 0, 3));
    check_ok(alert_engine_start(w.engine, THREADS), "start");
    check_ok(thread_start(&looker, "looker", 0, look, NULL), "thread");
    for (int i = 1; i <= LOADS; i++) {
        char source[16];
        snprintf(source, sizeof source, "t%d/%d", i % 2, i % 5);
        uint64_t before = atomic_load(&w.looks);
        if (i % 7 == 0)
            alert_engine_load_wait(w.engine, str_of(source), NULL);
        else if (i % 4 == 0)
            alert_engine_load_wait(w.engine, STR(""), rules_of("", "files", i / 8, 3));
        else
            alert_engine_load_wait(w.engine, str_of(source), rules_of(i % 2 ? "t1" : "t0", source, i, 1));
        wait_for(&w.looks, before + 3);
    }
    wait_for(&w.evaluations, 20);
    alert_engine_stop(w.engine);
    atomic_store(&w.ending, true);
    thread_join(looker);
    alert_engine_forget_wait(w.engine);
    close_world();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(threads_do_not_meet)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
