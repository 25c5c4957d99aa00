/* kill -9: what was acknowledged is there, and nothing is there by half. A child commits and says so; it is killed at once. */
#include "db/postgres_testing_priv.h"
#include "db/jobs.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/clock.h"

enum { LIVES = 20 };

static struct db *(*open_again)(const char *name) = open_test_db;

static const char *const tables[] = {"CREATE TABLE a (id BIGINT PRIMARY KEY, half BIGINT NOT NULL)"};

struct writing {
    struct jobs *q;
    int64_t id;
};

/* A row, its other half, and a job that names it. */
static err put(struct db_transaction *t, void *context) {
    const struct writing *w = context;
    TRY(db_run(t, "INSERT INTO a (id, half) VALUES (?, 0)", NULL, DB_I64(w->id)));
    TRY(db_run(t, "UPDATE a SET half = 1 WHERE id = ?", NULL, DB_I64(w->id)));
    return jobs_push_in(w->q, t, str_span((const char *)&w->id, sizeof w->id), 0);
}

static struct jobs *open_queue(struct db *db) {
    struct jobs *q = NULL;
    assert_null(jobs_open(db, &(struct jobs_options){.name = "ids", .wall_ns = test_clock}, &q));
    return q;
}

static void child(int acknowledge, int64_t first) {
    struct db *db = open_again("records.db");
    if (db_migrate(db, "crash", tables, 1)) _exit(3);
    struct writing w = {open_queue(db), first};
    for (;; w.id++) {
        if (db_write(db, put, &w)) _exit(3);
        if (write(acknowledge, &w.id, sizeof w.id) != sizeof w.id) _exit(4);
    }
}

/* The last id that a life acknowledged before it was killed. */
static int64_t live(int64_t first, uint64_t acknowledged_at_least) {
    int ends[2], status;
    int64_t id = first - 1;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(ends[0]);
        child(ends[1], first);
    }
    close(ends[1]);
    for (uint64_t i = 0; i < acknowledged_at_least; i++) assert_int_equal(read(ends[0], &id, sizeof id), sizeof id);
    kill(pid, SIGKILL);
    while (read(ends[0], &id, sizeof id) == sizeof id) {} /* what it had said until then */
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return id;
}

static err look(struct db_transaction *t, void *context) {
    struct db_value row[3];
    bool found;
    TRY(db_one(t, "SELECT count(*), coalesce(max(id), 0), CAST(coalesce(sum(half), 0) AS BIGINT) FROM a", "iii", NULL,
               row, &found));
    memcpy(context, row, sizeof row);
    return NULL;
}

/* Its last commit may be there without having been acknowledged. */
static int64_t look_after(int64_t acknowledged) {
    struct db_value row[3];
    struct jobs_counts jobs;
    AUTO_BUF struct buf findings;
    uint64_t bad;
    buf_init(&findings, 64 * KIB);
    if (open_again == open_test_db) {
        assert_null(db_check(test_path("records.db"), &findings, &bad)); /* with the log as the kill left it */
        assert_int_equal(bad, 0);
    }
    struct db *db = open_again("records.db");
    assert_null(db_migrate(db, "crash", tables, 1));
    assert_null(db_read(db, look, row));
    assert_true(row[1].i == acknowledged || row[1].i == acknowledged + 1);
    assert_true(row[0].i == row[1].i && row[2].i == row[1].i);
    struct jobs *q = open_queue(db);
    assert_null(jobs_count(q, &jobs));
    assert_int_equal(jobs.due + jobs.later, row[1].i);
    jobs_close(q);
    db_close(db);
    return row[1].i;
}

static void what_was_acknowledged_survives_kills(void **state) {
    (void)state;
    int64_t last = 0;
    for (int i = 0; i < LIVES; i++) last = look_after(live(last + 1, random_u64() % 40));
    assert_true(last > 0);
}

/* A taker that is killed has a lease, no more. */
static void jobs_of_the_killed_come_again(void **state) {
    (void)state;
    struct arena a;
    struct job job;
    bool found;
    int64_t last = look_after(live(1, 5)), taken = 0;
    arena_init(&a, MIB);
    for (int round = 0; round < 2; round++, test_now += (int64_t)3600 * 1000000000) {
        struct db *db = open_again("records.db");
        struct jobs *q = open_queue(db);
        for (taken = 0;; taken++) {
            int64_t id;
            assert_null(jobs_take(q, &a, &job, &found));
            if (!found) break;
            memcpy(&id, job.body.p, sizeof id);
            assert_int_equal(id, taken + 1);
            if (round) assert_null(jobs_done(q, &job)); /* the first life ends before it is done */
        }
        assert_int_equal(taken, last);
        jobs_close(q);
        db_close(db);
    }
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_acknowledged_survives_kills, make_test_dir, remove_test_dir),
        cmocka_unit_test_setup_teardown(jobs_of_the_killed_come_again, make_test_dir, remove_test_dir),
    };
    int failed = cmocka_run_group_tests_name("sqlite", tests, NULL, NULL);
    open_again = open_postgres_db;
    if (test_postgres_start()) failed += cmocka_run_group_tests_name("postgres", tests, NULL, NULL);
    test_postgres_stop();
    return failed;
}
