/* The queue: order, leases, failures, dead ones; on a clock that the test moves. */
#include "db/jobs.h"
#include "db/db_testing_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND_NS ((int64_t)1000000000)

static struct db *db;
static struct jobs *q;
static struct arena arena;

static struct jobs *open_queue(const char *name, uint32_t items_max) {
    struct jobs *out = NULL;
    assert_null(jobs_open(db,
                          &(struct jobs_options){.name = name,
                                                 .lease_ns = 10 * SECOND_NS,
                                                 .tries_max = 3,
                                                 .backoff_max_ns = 3 * SECOND_NS / 2,
                                                 .items_max = items_max,
                                                 .wall_ns = test_clock},
                          &out));
    return out;
}

static int begin(void **state) {
    int r = make_test_dir(state);
    arena_init(&arena, 16 * MIB);
    db = open_test_db("records.db");
    q = open_queue("send", 0);
    return r;
}

static int end(void **state) {
    jobs_close(q);
    db_close(db);
    arena_done(&arena);
    return remove_test_dir(state);
}

static void push(const char *body, int64_t in_s) {
    assert_null(jobs_push(q, str_of(body), test_now + in_s * SECOND_NS));
}

static struct job take_one(const char *body) {
    struct job job = {0};
    bool found = false;
    assert_null(jobs_take(q, &arena, &job, &found));
    if (found != (body != NULL) || (body && !str_equal(job.body, str_of(body))))
        fail_msg("wanted %s, took " STR_FMT, body ? body : "nothing", STR_ARG(found ? job.body : STR("nothing")));
    return job;
}

static void the_earliest_due_comes_first(void **state) {
    (void)state;
    push("b", 5);
    push("c", 5);
    push("a", 1);
    push("d", 6);
    take_one(NULL);
    test_now += SECOND_NS;
    take_one("a");
    take_one(NULL);
    test_now += 5 * SECOND_NS;
    take_one("b");
    take_one("c"); /* as pushed */
    take_one("d");
    assert_null(jobs_push(q, STR(""), 0)); /* now */
    take_one("");
}

static void a_new_process_takes_what_the_one_before_held(void **state) {
    (void)state;
    push("a", 0);
    test_now += SECOND_NS;
    push("b", 0);
    struct job held = take_one("a");
    assert_null(jobs_reclaim(q));
    take_one("a"); /* before b */
    take_one("b");
    err e = jobs_done(q, &held);
    assert_int_equal(err_kind(e), ERR_CONFLICT);
    err_free(e);
}

static void a_full_queue_may_drop_its_oldest(void **state) {
    struct jobs *small = NULL, *other = NULL;
    (void)state;
    assert_null(jobs_open(
        db, &(struct jobs_options){.name = "to-x", .items_max = 2, .drop_oldest = true, .wall_ns = test_clock},
        &small));
    assert_null(jobs_open(db, &(struct jobs_options){.name = "to-y", .wall_ns = test_clock}, &other));
    for (char c = '1'; c <= '4'; c++) assert_null(jobs_push(small, (struct str){&c, 1}, 0));
    assert_null(jobs_push(other, STR("y"), 0));
    push("a", 0);
    assert_int_equal(jobs_displaced(small), 2);
    assert_int_equal(jobs_displaced(other), 0);
    struct job job;
    bool found;
    assert_null(jobs_take(small, &arena, &job, &found));
    assert_true(found && str_equal(job.body, STR("3")));
    assert_null(jobs_end_others(db, STR("to-"), &STR("to-x"), 1));
    assert_null(jobs_take(other, &arena, &job, &found));
    assert_false(found);
    assert_null(jobs_take(small, &arena, &job, &found));
    assert_true(found && str_equal(job.body, STR("4")));
    take_one("a"); /* of another prefix */
    jobs_close(small);
    jobs_close(other);
}

static void a_lease_is_one_takers(void **state) {
    (void)state;
    push("a", 0);
    struct job first = take_one("a");
    assert_int_equal(first.tries, 1);
    take_one(NULL);
    test_now += 9 * SECOND_NS;
    assert_null(jobs_extend(q, &first));
    test_now += 9 * SECOND_NS;
    take_one(NULL);
    test_now += SECOND_NS;
    struct job second = take_one("a"); /* the lease has ended */
    assert_int_equal(second.tries, 2);
    assert_fails(jobs_done(q, &first), ERR_CONFLICT, "lease");
    assert_fails(jobs_fail(q, &first, STR("late")), ERR_CONFLICT, "lease");
    assert_fails(jobs_extend(q, &first), ERR_CONFLICT, "lease");
    test_now += 20 * SECOND_NS;
    assert_null(jobs_done(q, &second)); /* late, but nobody else took it */
    assert_fails(jobs_done(q, &second), ERR_CONFLICT, "lease");
    take_one(NULL);
}

struct dead {
    int64_t id;
    size_t n;
    char reason[64];
};

static err on_dead(void *context, const struct job *job, struct str reason) {
    struct dead *d = context;
    if (d->n++) return NULL;
    d->id = job->id;
    snprintf(d->reason, sizeof d->reason, STR_FMT "|" STR_FMT, STR_ARG(job->body), STR_ARG(reason));
    return NULL;
}

static struct dead dead_ones(void) {
    struct dead d = {0};
    assert_null(jobs_dead(q, on_dead, &d));
    return d;
}

static void who_fails_comes_later_and_dies(void **state) {
    (void)state;
    static const int64_t waits_ms[] = {1000, 1500}; /* 1 s, then 2 s, but at most 1.5 s */
    push("a", 0);
    for (size_t i = 0; i < LENGTH(waits_ms); i++) {
        struct job job = take_one("a");
        assert_null(jobs_fail(q, &job, STR("no answer")));
        test_now += waits_ms[i] * 1000000 - 1;
        take_one(NULL);
        test_now += 1;
    }
    struct job last = take_one("a");
    assert_null(jobs_fail(q, &last, STR("still\0none\xff")));
    test_now += 3600 * SECOND_NS;
    take_one(NULL);
    struct dead d = dead_ones();
    assert_int_equal(d.n, 1);
    assert_non_null(strstr(d.reason, "a|still"));
    assert_null(jobs_revive(q, d.id));
    assert_fails(jobs_revive(q, d.id), ERR_NOT_FOUND, "dead");
    assert_fails(jobs_drop(q, d.id), ERR_NOT_FOUND, "dead");
    assert_int_equal(take_one("a").tries, 1);
}

static void whose_takers_end_dies_too(void **state) {
    (void)state;
    push("poison", 0);
    for (int i = 0; i < 3; i++) {
        take_one("poison");
        test_now += 10 * SECOND_NS;
    }
    push("b", 0);
    take_one("b");
    struct dead d = dead_ones();
    assert_string_equal(d.reason, "poison|its takers did not come back");
    struct jobs_counts c;
    assert_null(jobs_count(q, &c));
    assert_true(c.dead == 1 && c.due == 0 && c.later == 1);
    assert_null(jobs_drop(q, d.id));
    assert_int_equal(dead_ones().n, 0);
}

static void a_queue_is_bounded(void **state) {
    (void)state;
    struct jobs *small = open_queue("small", 3);
    struct jobs_counts c;
    for (int i = 0; i < 3; i++) assert_null(jobs_push(small, STR("x"), 0));
    assert_fails(jobs_push(small, STR("x"), 0), ERR_BUSY, "3 jobs wait");
    push("x", 0); /* the other has its own count */
    char *large = mem_new(JOBS_BODY_BYTES + 1);
    assert_fails(jobs_push(q, str_span(large, JOBS_BODY_BYTES + 1), 0), ERR_LIMIT, "KiB");
    assert_null(jobs_push(q, str_span(large, JOBS_BODY_BYTES), 0));
    mem_free(large);
    test_now += SECOND_NS;
    assert_null(jobs_count(small, &c));
    assert_true(c.due == 3 && c.later == 0 && c.oldest_due == test_now - SECOND_NS);
    jobs_close(small);
}

static err bury_many(struct db_transaction *t, void *context) {
    (void)context;
    return db_run(
        t,
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) INSERT INTO jobs (id, "
        "name, dead, due, lease, tries, pushed, reason, body) SELECT 1000000 + i, 'send', 1, i, 0, 3, 0, '', ? "
        "FROM n",
        NULL, DB_BYTES(STR("old")));
}

static void the_oldest_dead_go_first(void **state) {
    (void)state;
    assert_null(db_write(db, bury_many, NULL));
    assert_int_equal(dead_ones().id, 1000001);
    push("a", 0);
    for (int i = 0; i < 3; i++) {
        struct job job = take_one("a");
        assert_null(jobs_fail(q, &job, STR("no")));
        test_now += 2 * SECOND_NS;
    }
    struct dead d = dead_ones();
    assert_int_equal(d.n, JOBS_DEAD_MAX);
    assert_int_equal(d.id, 1000002);
}

static err push_and_fail(struct db_transaction *t, void *context) {
    (void)context;
    TRY(jobs_push_in(q, t, STR("half"), 0));
    return err_new(ERR_CANCELLED, "no");
}

static err push_with_a_row(struct db_transaction *t, void *context) {
    (void)context;
    return jobs_push_in(q, t, STR("whole"), 0);
}

static void a_job_is_part_of_its_transaction(void **state) {
    (void)state;
    assert_fails(db_write(db, push_and_fail, NULL), ERR_CANCELLED, "no");
    take_one(NULL);
    assert_null(db_write(db, push_with_a_row, NULL));
    take_one("whole");
}

#define on_queue(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        on_queue(the_earliest_due_comes_first),
        on_queue(a_new_process_takes_what_the_one_before_held),
        on_queue(a_full_queue_may_drop_its_oldest),
        on_queue(a_lease_is_one_takers),
        on_queue(who_fails_comes_later_and_dies),
        on_queue(whose_takers_end_dies_too),
        on_queue(a_queue_is_bounded),
        on_queue(the_oldest_dead_go_first),
        on_queue(a_job_is_part_of_its_transaction),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
