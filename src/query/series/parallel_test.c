/* Questions in slices while samples are appended, flushed and merged, on the real disk: for TSan. What was there before is answered as by one
 * run; whatever ends a question ends all of its slices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/budget.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "query/query_priv.h"
#include "query/series/parallel_priv.h"
#include "signal/metrics/points_build.h"

enum { SERIES = 80, STEP_S = 30, HOURS = 10, ASKERS = 2, BATCH_STEPS = 40 };

struct busy {
    struct store *store;
    struct budget budget, of_questions;
    atomic_bool stop;
    _Atomic int waiting;
    _Atomic int64_t at_s; /* what is appended next */
    _Atomic uint64_t asked;
    double *want; /* over the steps: the answer of one run */
    size_t steps;
};

static void check_ok(err e, const char *what) {
    if (e) fail_msg("%s: %s", what, err_text(e));
}

/* ---- samples ----------------------------------------------------------------------------------------------------- */

static void taken(void *context, err e, const struct points_outcome *o) {
    struct busy *b = context;
    check_ok(e, "append");
    assert_int_equal(o->rejected, 0);
    atomic_fetch_sub(&b->waiting, 1);
}

static struct batch_blob *some_points(int64_t from_s) {
    struct points_builder p;
    AUTO_BUF struct buf labels;
    points_builder_init(&p, POINTS_PROMETHEUS);
    buf_init(&labels, KIB);
    for (int i = 0; i < SERIES; i++) {
        char who[16];
        snprintf(who, sizeof who, "%d", i);
        buf_clear(&labels);
        points_put_label(&labels, STR("__name__"), STR("things_total"));
        points_put_label(&labels, STR("job"), i % 3 ? STR("a") : STR("b"));
        points_put_label(&labels, STR("who"), str_of(who));
        points_builder_series(&p, 0, strings_append(&p.strings, buf_str(&labels)));
        for (int k = 0; k < BATCH_STEPS; k++) {
            uint32_t point = points_builder_point(&p);
            p.time[point] = (uint64_t)((from_s + k * STEP_S) * 1000);
            p.kind[point] = POINT_DOUBLE;
            double v = (double)(from_s + k * STEP_S) / 7 * (i + 1);
            memcpy(&p.value[point], &v, sizeof v);
        }
    }
    struct batch_blob *blob = points_builder_finish(&p);
    points_builder_done(&p);
    return blob;
}

static void append_more(struct busy *b) {
    int64_t from_s = atomic_load(&b->at_s);
    atomic_fetch_add(&b->waiting, 1);
    err e = store_append_points(b->store, STR("default"), some_points(from_s), taken, b);
    if (e)
        atomic_fetch_sub(&b->waiting, 1);
    else
        atomic_store(&b->at_s, from_s + BATCH_STEPS * STEP_S);
    err_free(e);
}

static void append_all(void *context) {
    struct busy *b = context;
    while (!atomic_load(&b->stop)) append_more(b);
}

static void work_all(void *context) {
    struct busy *b = context;
    for (int i = 0; !atomic_load(&b->stop); i++)
        check_ok(i % 2 ? store_merge_all(b->store) : store_flush(b->store), "flush or merge");
}

/* ---- questions --------------------------------------------------------------------------------------------------- */

static const struct promql_options options = {.start_ms = 0, .end_ms = (int64_t)HOURS * 3600000 - 1, .step_ms = 10000};

struct question {
    struct query q;
    struct series_source s;
    const struct promql_node *e;
    struct str text;
    struct promql_answer got;
};

static void question_begin(struct question *x, struct busy *b, struct query_options o, struct str text) {
    o.store = b->store;
    o.budget = &b->of_questions;
    query_begin(&x->q, &o);
    x->text = text;
    check_ok(series_source_open(&x->q, &x->s), "snapshot");
    check_ok(promql_parse(&x->q.arena, text, (struct promql_syntax){0}, &x->e, NULL), text.p);
}

static void question_end(struct question *x) {
    series_source_close(&x->s);
    query_end(&x->q);
}

static struct str sum_of_rates(void) { return STR("sum by (job) (rate(things_total{who!~\"[78]\"}[5m]))"); }

static void check_values(const struct busy *b, const struct promql_answer *a) {
    assert_int_equal(a->row_n, 2);
    assert_int_equal(a->step_n, b->steps);
    for (size_t i = 0; i < b->steps; i++) {
        double v = a->rows[0].kinds[i] == PROMQL_FLOAT ? a->rows[0].values[i] : 0;
        if (memcmp(&v, &b->want[i], sizeof v) != 0) fail_msg("step %zu: %.17g, not %.17g", i, v, b->want[i]);
    }
}

/* As a question is asked: long loops check, too. */
static void ask_once(struct busy *b, size_t slices) {
    struct question x;
    struct promql_options checked = options;
    question_begin(&x, b, (struct query_options){0}, sum_of_rates());
    checked.check = series_source_step;
    checked.check_work = series_source_check;
    checked.context = &x.s;
    check_ok(series_run_in_slices(&x.s, x.e, x.text, &checked, slices, &x.got), "slices");
    check_values(b, &x.got);
    assert_int_equal(x.s.stats.bad_pages, 0);
    question_end(&x);
    atomic_fetch_add(&b->asked, 1);
}

static void ask_all(void *context) {
    struct busy *b = context;
    for (size_t i = 0; i < (getenv("CLEW_LONG") ? 200 : 6); i++) ask_once(b, 2 + i % 3);
}

static void learn_answer(struct busy *b) {
    struct question x;
    question_begin(&x, b, (struct query_options){0}, sum_of_rates());
    check_ok(promql_run(&x.q.arena, &x.s.source, x.e, x.text, &options, &x.got), "one run");
    b->steps = x.got.step_n;
    b->want = mem_new_array(double, b->steps);
    for (size_t i = 0; i < b->steps; i++)
        if (x.got.rows[0].kinds[i] == PROMQL_FLOAT) b->want[i] = x.got.rows[0].values[i];
    question_end(&x);
}

/* ---- what ends them ---------------------------------------------------------------------------------------------- */

static void check_ends(struct busy *b, struct query_options o, struct str text, enum err_kind kind, const char *says) {
    struct question x;
    question_begin(&x, b, o, text);
    err e = series_run_in_slices(&x.s, x.e, x.text, &options, 3, &x.got);
    if (!e || err_kind(e) != kind || !strstr(err_text(e), says)) fail_msg("%s: %s", text.p, err_text(e));
    err_free(e);
    question_end(&x);
    assert_int_equal(budget_used(&b->of_questions), 0);
}

static bool has_gone(const void *asker) { return *(const bool *)asker; }

static void says_what_one_run_says(struct busy *b, struct str text) {
    struct question x;
    question_begin(&x, b, (struct query_options){0}, text);
    err one = promql_run(&x.q.arena, &x.s.source, x.e, x.text, &options, &x.got);
    err slices = series_run_in_slices(&x.s, x.e, x.text, &options, 3, &x.got);
    assert_int_equal(err_kind(one), ERR_INVALID);
    assert_string_equal(err_text(slices), err_text(one));
    err_free(one);
    err_free(slices);
    question_end(&x);
}

static void whatever_ends_one_ends_all(struct busy *b) {
    atomic_bool cancel = true;
    bool gone = true;
    check_ends(b, (struct query_options){.cancel = &cancel}, sum_of_rates(), ERR_CANCELLED, "was cancelled");
    check_ends(b, (struct query_options){.is_abandoned = has_gone, .asker = &gone}, sum_of_rates(), ERR_CANCELLED,
               "client has gone");
    check_ends(b, (struct query_options){.timeout_ns = 1}, sum_of_rates(), ERR_CANCELLED, "took longer than its 0 ms");
    check_ends(b, (struct query_options){.memory_max_bytes = 64 * KIB}, sum_of_rates(), ERR_LIMIT, "memory");
    says_what_one_run_says(b, STR("things_total * on (job) group_left () things_total"));
    says_what_one_run_says(b, STR("label_replace(things_total, \"who\", \"\", \"who\", \".+\")"));
}

/* Shares that are too small: the whole is asked, and there is room for it. */
static void a_share_may_be_too_small(struct busy *b) {
    struct question x;
    struct promql_options tight = options;
    tight.samples_max = 8500; /* two groups of 3,600 steps, a series of 1,200 samples */
    question_begin(&x, b, (struct query_options){0}, sum_of_rates());
    check_ok(series_run_in_slices(&x.s, x.e, x.text, &tight, 4, &x.got), "tight");
    check_values(b, &x.got);
    question_end(&x);
    tight.samples_max = 1000;
    question_begin(&x, b, (struct query_options){0}, sum_of_rates());
    err e = series_run_in_slices(&x.s, x.e, x.text, &tight, 4, &x.got);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    question_end(&x);
}

/* ---- the store --------------------------------------------------------------------------------------------------- */

static err remove_entry(void *context, const char *name, bool is_dir);

static void remove_tree(const char *path) {
    err_free(path_list(path, remove_entry, (void *)(uintptr_t)path));
    err_free(path_remove_dir(path));
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    char path[4096];
    snprintf(path, sizeof path, "%.3000s/%.255s", (const char *)context, name);
    if (is_dir)
        remove_tree(path);
    else
        err_free(path_remove(path));
    return NULL;
}

static void run_all(struct busy *b) {
    struct thread *asker[ASKERS], *writer, *worker;
    check_ok(thread_start(&writer, "writer", 0, append_all, b), "thread");
    check_ok(thread_start(&worker, "worker", 0, work_all, b), "thread");
    for (size_t i = 0; i < ASKERS; i++) check_ok(thread_start(&asker[i], "asker", 0, ask_all, b), "thread");
    for (size_t i = 0; i < ASKERS; i++) thread_join(asker[i]);
    atomic_store(&b->stop, true);
    thread_join(writer);
    thread_join(worker);
}

static void slices_beside_appends(void **state) {
    (void)state;
    char dir[64];
    snprintf(dir, sizeof dir, "parallel_test.%016llx", (unsigned long long)random_u64());
    struct store_options o;
    struct busy b = {.asked = 0};
    budget_init(&b.budget, 512 * MIB);
    budget_init(&b.of_questions, 512 * MIB);
    store_options_default(&o);
    o.dir = dir;
    o.budget = &b.budget;
    o.retention_ns = 0;
    o.disk_use_max_percent = 100;
    o.disk_free_min_percent = 0;
    o.series.flush_bytes = 2 * MIB;
    check_ok(store_open(&o, &b.store), "open");
    while (atomic_load(&b.at_s) < (int64_t)HOURS * 3600) append_more(&b);
    check_ok(store_flush(b.store), "flush"); /* and with it all that was appended */
    while (atomic_load(&b.waiting)) check_ok(store_flush(b.store), "flush");
    learn_answer(&b);
    whatever_ends_one_ends_all(&b);
    a_share_may_be_too_small(&b);
    run_all(&b);
    assert_true(b.asked >= ASKERS * 6);
    check_ok(store_close(b.store), "close");
    mem_free(b.want);
    remove_tree(dir);
    assert_int_equal(budget_used(&b.budget), 0);
    assert_int_equal(budget_used(&b.of_questions), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(slices_beside_appends)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
