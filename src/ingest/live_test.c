/* Followers: each gets what concerns it, in order; who is slow loses batches and is told; nothing is leaked. */
#include "ingest/live.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>

#include <cmocka.h>

#include "os/thread.h"
#include "signal/batch_build.h"

static struct batch_blob *logs(uint32_t rows) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_LOGS);
    for (uint32_t i = 0; i < rows; i++)
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, batch_builder_row(&b, SET_ROWS), i + 1);
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void count_wakes(void *context) { atomic_fetch_add((atomic_int *)context, 1); }

static struct live_reader *follow(struct live *l, const char *tenant, enum signal signal, size_t bytes,
                                  atomic_int *wakes) {
    struct live_reader *r = NULL;
    err e = live_open(l, &(struct live_options){str_of(tenant), signal, bytes, count_wakes, wakes}, &r);
    if (e) fail_msg("%s", err_text(e));
    return r;
}

static void publish(struct live *l, const char *tenant, uint32_t rows) {
    struct batch_blob *blob = logs(rows);
    live_publish(l, str_of(tenant), SIGNAL_LOGS, blob);
    batch_unref(blob);
}

/* Rows of the next batch; 0: none. */
static uint32_t take_rows(struct live_reader *r, uint64_t *out_lost) {
    struct batch b = {0};
    struct batch_blob *blob = live_take(r, out_lost);
    if (blob) batch_view(blob, &b);
    batch_unref(blob);
    return b.rows;
}

static void readers_get_their_tenant_and_signal_in_order(void **state) {
    (void)state;
    atomic_int wakes[3] = {0};
    uint64_t lost;
    struct live *l = live_new(8, NULL);
    assert_false(live_is_followed(l, STR("a"), SIGNAL_LOGS));
    struct live_reader *a = follow(l, "a", SIGNAL_LOGS, 0, &wakes[0]), *b = follow(l, "b", SIGNAL_LOGS, 0, &wakes[1]),
                       *spans = follow(l, "a", SIGNAL_SPANS, 0, &wakes[2]);
    assert_true(live_is_followed(l, STR("a"), SIGNAL_LOGS) && live_is_followed(l, STR("a"), SIGNAL_SPANS));
    assert_false(live_is_followed(l, STR("b"), SIGNAL_SPANS) || live_is_followed(l, STR("A"), SIGNAL_LOGS));
    publish(l, "a", 1);
    publish(l, "b", 2);
    publish(l, "a", 3);
    publish(l, "ab", 4);
    assert_int_equal(take_rows(a, &lost), 1);
    assert_int_equal(take_rows(a, &lost), 3);
    assert_int_equal(take_rows(a, &lost), 0);
    assert_int_equal(take_rows(b, &lost), 2);
    assert_int_equal(take_rows(spans, &lost), 0);
    assert_int_equal(lost, 0);
    assert_int_equal(wakes[0], 1); /* once for a queue that was empty */
    publish(l, "a", 5);
    assert_int_equal(wakes[0], 2);
    assert_int_equal(wakes[1], 1);
    assert_int_equal(wakes[2], 0);
    live_close(a); /* with a batch left */
    live_close(spans);
    live_close(b);
    live_free(l);
}

static void who_is_slow_loses_and_is_told(void **state) {
    (void)state;
    atomic_int wakes = 0;
    uint64_t lost;
    struct live_stats stats;
    struct live *l = live_new(8, NULL);
    struct live_reader *r = follow(l, "a", SIGNAL_LOGS, 0, &wakes);
    for (uint32_t i = 0; i < 300; i++) publish(l, "a", 2);
    assert_int_equal(take_rows(r, &lost), 2);
    assert_int_equal(lost, 2 * (300 - 256));
    assert_int_equal(take_rows(r, &lost), 2);
    assert_int_equal(lost, 0); /* told once */
    live_get_stats(l, &stats);
    assert_int_equal(stats.readers, 1);
    assert_int_equal(stats.lost_rows, 88);
    live_close(r);
    r = follow(l, "a", SIGNAL_LOGS, 1, &wakes); /* no batch is that small */
    publish(l, "a", 7);
    assert_int_equal(take_rows(r, &lost), 0);
    assert_int_equal(lost, 7);
    live_close(r);
    live_free(l);
}

static void waiting_batches_are_the_budgets(void **state) {
    (void)state;
    atomic_int wakes = 0;
    uint64_t lost;
    struct budget budget;
    struct batch_blob *blob = logs(1);
    size_t bytes = batch_bytes(blob).n;
    batch_unref(blob);
    budget_init(&budget, 2 * bytes + bytes / 2);
    struct live *l = live_new(8, &budget);
    struct live_reader *r = follow(l, "a", SIGNAL_LOGS, 0, &wakes);
    for (int i = 0; i < 5; i++) publish(l, "a", 1);
    assert_int_equal(budget_used(&budget), 2 * bytes);
    assert_int_equal(take_rows(r, &lost), 1);
    assert_int_equal(lost, 3);
    assert_int_equal(budget_used(&budget), bytes);
    live_close(r);
    assert_int_equal(budget_used(&budget), 0);
    live_free(l);
}

static void readers_are_few(void **state) {
    (void)state;
    atomic_int wakes = 0;
    struct live *l = live_new(1, NULL);
    struct live_reader *r = follow(l, "a", SIGNAL_LOGS, 0, &wakes), *second = NULL;
    err e = live_open(l, &(struct live_options){STR("a"), SIGNAL_LOGS, 0, count_wakes, &wakes}, &second);
    assert_int_equal(err_kind(e), ERR_BUSY);
    err_free(e);
    assert_null(second);
    live_close(r);
    live_close(follow(l, "a", SIGNAL_LOGS, 0, &wakes));
    live_free(l);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

enum { ROUNDS = 2000 };

static void publish_many(void *context) {
    for (int i = 0; i < ROUNDS; i++) publish(context, "a", 1);
}

static void come_and_go(void *context) {
    struct live *l = context;
    atomic_int wakes = 0;
    for (int i = 0; i < ROUNDS / 4; i++) {
        uint64_t lost;
        struct live_reader *r = follow(l, "a", SIGNAL_LOGS, 0, &wakes);
        take_rows(r, &lost);
        live_close(r);
    }
}

static void readers_come_and_go_while_batches_are_published(void **state) {
    (void)state;
    atomic_int wakes = 0;
    struct thread *threads[3];
    struct live *l = live_new(8, NULL);
    struct live_reader *r = follow(l, "a", SIGNAL_LOGS, 0, &wakes);
    void (*const work[])(void *) = {publish_many, publish_many, come_and_go};
    for (int i = 0; i < 3; i++) assert_null(thread_start(&threads[i], "test", 0, work[i], l));
    for (int i = 0; i < 3; i++) thread_join(threads[i]);
    uint64_t lost, rows = 0, all_lost = 0;
    for (uint32_t n; (n = take_rows(r, &lost)) || lost;) {
        rows += n;
        all_lost += lost;
    }
    assert_int_equal(rows + all_lost, 2 * ROUNDS); /* every row was given, or told as lost */
    live_close(r);
    live_free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_get_their_tenant_and_signal_in_order),
        cmocka_unit_test(who_is_slow_loses_and_is_told),
        cmocka_unit_test(waiting_batches_are_the_budgets),
        cmocka_unit_test(readers_are_few),
        cmocka_unit_test(readers_come_and_go_while_batches_are_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
