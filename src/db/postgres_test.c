/* What is PostgreSQL's alone: connections that are lost, commits whose answer is lost, kill -9 of the server, time limits, who is alone, what
 * errors say. A real server; the proxy between loses what it is told to. */
#include "db/postgres_testing_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "db/jobs.h"
#include "db/libpq_priv.h"
#include "db/postgres_proxy_priv.h"
#include "os/clock.h"

static const char *const tables[] = {"CREATE TABLE a (id BIGINT PRIMARY KEY, t TEXT)"};
#define MS_NS ((int64_t)1000000)

static char url[300];

static err try_open(struct db_options o, struct db **out) {
    *out = NULL;
    o.wall_ns = test_clock;
    if (!o.path) o.path = url;
    if (!o.open_ms) o.open_ms = 1;
    return db_open(&o, out);
}

static struct db *open_with(struct db_options o) {
    struct db *db;
    o.open_ms = 10000;
    err e = try_open(o, &db);
    if (e) fail_msg("%s", err_text(e));
    assert_null(db_migrate(db, "test", tables, 1));
    return db;
}

static int begin(void **state) {
    if (make_test_dir(state)) return -1;
    test_postgres_start();
    test_postgres_database("records", url);
    return 0;
}

/* The same database, through the proxy. */
static void through_proxy(void) {
    const char *database = strrchr(url, '/');
    char to[300];
    snprintf(to, sizeof to, "postgresql://clew:s3cr3t@127.0.0.1:%d%s?sslmode=disable",
             proxy_start(test_postgres_port()), database);
    memcpy(url, to, sizeof to);
}

static err put(struct db_transaction *t, void *context) {
    return db_run(t, "INSERT INTO a (id) VALUES (?)", NULL, DB_I64(*(int64_t *)context));
}

static void put_row(struct db *db, int64_t id) { assert_null(db_write(db, put, &id)); }

#define cut_others                                                                                                     \
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "            \
    "pg_backend_pid()"

static err count(struct db_transaction *t, void *context) {
    struct db_value n;
    bool found;
    TRY(db_one(t, "SELECT count(*) FROM a", "i", NULL, &n, &found));
    *(int64_t *)context = n.i;
    return NULL;
}

/* -1: it cannot be said now. */
static int64_t count_rows_or(struct db *db) {
    int64_t n = -1;
    err_free(db_read(db, count, &n));
    return n;
}

/* ---- loss ------------------------------------------------------------------------------------------------------- */

static void who_is_idle_does_not_notice(void **state) {
    (void)state;
    struct db *db = open_with((struct db_options){0});
    put_row(db, 1);
    assert_int_equal(count_rows(db), 1);
    for (int64_t id = 2; id < 5; id++) {
        test_postgres_ask(url, cut_others, NULL);
        put_row(db, id);
        test_postgres_ask(url, cut_others, NULL);
        assert_int_equal(count_rows(db), id);
    }
    db_close(db);
}

static err put_and_cut(struct db_transaction *t, void *context) {
    int64_t id = 100;
    TRY(put(t, &id));
    test_postgres_ask(context, cut_others, NULL);
    id = 101;
    err e = put(t, &id);
    assert_true(e && err_kind(e) == ERR_UNAVAILABLE);
    err_free(e); /* passing it over does not help */
    return NULL;
}

static err count_and_cut(struct db_transaction *t, void *context) {
    struct db_value n;
    bool found;
    TRY(db_one(t, "SELECT count(*) FROM a", "i", NULL, &n, &found));
    test_postgres_ask(context, cut_others, NULL);
    return db_one(t, "SELECT count(*) FROM a", "i", NULL, &n, &found);
}

static void what_is_under_way_ends(void **state) {
    (void)state;
    struct db *db = open_with((struct db_options){0});
    for (int64_t i = 1; i <= 3; i++) {
        assert_fails(db_write(db, put_and_cut, url), ERR_UNAVAILABLE, "PostgreSQL has ended");
        put_row(db, i);
        assert_fails(db_read(db, count_and_cut, url), ERR_UNAVAILABLE, "PostgreSQL");
        assert_int_equal(count_rows(db), i);
    }
    db_close(db);
}

static void a_commit_whose_answer_is_lost_is_asked_after(void **state) {
    (void)state;
    through_proxy();
    struct db *db = open_with((struct db_options){0});
    for (int64_t id = 1; id <= 4; id++) {
        proxy_mood = PROXY_CUT_AFTER_COMMIT;
        put_row(db, id); /* it was done, and we know */
        assert_int_equal(count_rows(db), id);
        int64_t never = 100;
        proxy_mood = PROXY_CUT_BEFORE_COMMIT;
        assert_fails(db_write(db, put, &never), ERR_UNAVAILABLE, "committing");
        assert_int_equal(count_rows(db), id);
    }
    db_close(db);
    proxy_stop();
}

static err put_and_kill(struct db_transaction *t, void *context) {
    TRY(put(t, context));
    test_postgres_kill();
    return NULL;
}

static void the_server_is_killed_and_comes_again(void **state) {
    (void)state;
    struct db *db = open_with((struct db_options){.statement_ms = 1000});
    struct jobs *q = NULL;
    struct arena a;
    struct job job, again;
    bool found;
    arena_init(&a, MIB);
    assert_null(jobs_open(db, &(struct jobs_options){.name = "q", .wall_ns = test_clock}, &q));
    assert_null(jobs_push(q, STR("work"), 0));
    assert_null(jobs_take(q, &a, &job, &found));
    assert_true(found);
    for (int64_t id = 1; id <= 2; id++) {
        put_row(db, id);
        int64_t never = 100, from;
        /* Nobody can say what became of it while there is no server: that takes as long as one asks. */
        assert_fails(db_write(db, put_and_kill, &never), ERR_UNAVAILABLE, "");
        from = clock_monotonic_ns();
        assert_fails(db_write(db, put, &never), ERR_UNAVAILABLE, "PostgreSQL");
        assert_fails(db_write(db, put, &never), ERR_UNAVAILABLE, "PostgreSQL");
        assert_true(clock_monotonic_ns() - from < 1000 * MS_NS); /* refused, not waited for */
        test_postgres_start();
        int64_t until = clock_monotonic_ns() + 10000 * MS_NS;
        for (err e; (e = db_write(db, put, &(int64_t){10 + id}));) {
            assert_int_equal(err_kind(e), ERR_UNAVAILABLE);
            assert_true(clock_monotonic_ns() < until);
            err_free(e);
        }
        while (count_rows_or(db) != 2 * id) assert_true(clock_monotonic_ns() < until);
    }
    assert_null(jobs_take(q, &a, &again, &found));
    assert_false(found); /* the lease has outlived it */
    assert_null(jobs_done(q, &job));
    jobs_close(q);
    db_close(db);
    arena_done(&a);
}

/* Whoever opens while the server is starting is let in in the end, whatever it says until then. */
static void who_comes_while_it_starts_waits(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        test_postgres_kill();
        test_postgres_start_only();
        db_close(open_with((struct db_options){0}));
    }
    test_postgres_start();
}

/* ---- time ------------------------------------------------------------------------------------------------------- */

static err sleep_long(struct db_transaction *t, void *context) {
    (void)context;
    return db_run(t, "SELECT pg_sleep(60)", NULL);
}

static void statements_end(void **state) {
    (void)state;
    through_proxy();
    struct db *db = open_with((struct db_options){.statement_ms = 1200});
    assert_fails(db_write(db, sleep_long, NULL), ERR_UNAVAILABLE, "57014");
    put_row(db, 1);
    assert_int_equal(count_rows(db), 1);
    proxy_mood = PROXY_HANG;
    int64_t id = 2;
    assert_fails(db_write(db, put, &id), ERR_UNAVAILABLE, "not answered for 2400 ms");
    proxy_mood = PROXY_PASS;
    put_row(db, 3);
    assert_int_equal(count_rows(db), 2);
    db_close(db);
    proxy_stop();
}

static err write_in_other(struct db_transaction *t, void *context) {
    int64_t id = 1;
    TRY(put(t, &id));
    assert_fails(db_write(context, put, &id), ERR_BUSY, "PostgreSQL");
    return NULL;
}

/* As with a file: one writes, of all processes. */
static void one_writes_at_a_time(void **state) {
    (void)state;
    struct db *db = open_with((struct db_options){0}), *other = open_with((struct db_options){.busy_ms = 100});
    assert_null(db_write(db, write_in_other, other));
    put_row(other, 2);
    assert_int_equal(count_rows(db), 2);
    db_close(other);
    db_close(db);
}

static void who_is_alone_stays_so(void **state) {
    (void)state;
    struct db *db = open_with((struct db_options){.alone = true}), *other;
    assert_fails(try_open((struct db_options){.alone = true, .busy_ms = 50}, &other), ERR_CONFLICT, "another clew");
    /* Its connection is cut, another is quicker: it must not write beside it. */
    test_postgres_ask(url, cut_others, NULL);
    other = open_with((struct db_options){.alone = true});
    int64_t id = 1;
    assert_fails(db_write(db, put, &id), ERR_UNAVAILABLE, "another clew");
    put_row(other, 2);
    db_close(other);
    int64_t until = clock_monotonic_ns() + 10000 * MS_NS;
    for (err e; (e = db_write(db, put, &id)); err_free(e)) assert_true(clock_monotonic_ns() < until);
    assert_int_equal(count_rows(db), 2);
    db_close(db);
}

/* ---- what errors say -------------------------------------------------------------------------------------------- */

static void opens_not(const char *of, enum err_kind kind, const char *part) {
    struct db *db;
    err e = try_open((struct db_options){.path = of}, &db);
    if (e && (strstr(err_text(e), "s3cr3t") || strstr(err_text(e), "pa@ss"))) fail_msg("%s", err_text(e));
    assert_fails(e, kind, part);
}

static void errors_keep_passwords(void **state) {
    (void)state;
    char other[300];
    const char *database = strrchr(url, '/');
    int port = test_postgres_port();
    opens_not("postgresql://clew:s3cr3t@127.0.0.1:port:9/x", ERR_INVALID, "URL");
    opens_not("postgresql://clew:s3cr3t@[::1/x", ERR_INVALID, "URL");
    opens_not("postgresql://clew:s3cr3t%zz@127.0.0.1/x", ERR_INVALID, "URL");
    opens_not("postgres://clew:s3cr3t@127.0.0.1/x?s3cr3t=1", ERR_INVALID, "URL");
    opens_not("postgresql://clew:s3cr3t@127.0.0.1:1/x", ERR_UNAVAILABLE, "PostgreSQL at 127.0.0.1:1, database x");
    snprintf(other, sizeof other, "postgresql://clew:pa%%40ss@127.0.0.1:%d%s", port, database);
    opens_not(other, ERR_INVALID, "password authentication failed");
    snprintf(other, sizeof other, "postgresql://clew:s3cr3t@127.0.0.1:%d/nothere", port);
    opens_not(other, ERR_INVALID, "does not exist");
    snprintf(other, sizeof other, "postgresql://clew:s3cr3t@127.0.0.1:%d%s?sslmode=require", port, database);
    opens_not(other, ERR_UNAVAILABLE, "SSL");
    snprintf(other, sizeof other, "postgresql://s3cr3t:s3cr3t@127.0.0.1:%d%s", port, database);
    opens_not(other, ERR_INVALID, "for user \"***\"");
}

static void databases_that_will_not_do(void **state) {
    (void)state;
    char admin[300], latin[300];
    struct db *db;
    test_postgres_url("postgres", "", admin);
    test_postgres_ask(admin, "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0", NULL);
    test_postgres_url("latin", "", latin);
    assert_fails(try_open((struct db_options){.path = latin}, &db), ERR_INVALID, "ENCODING 'UTF8'");
    test_postgres_ask(admin, "CREATE ROLE reader LOGIN PASSWORD 's3cr3t'", NULL);
    snprintf(admin, sizeof admin, "postgresql://reader:s3cr3t@127.0.0.1:%d%s", test_postgres_port(), strrchr(url, '/'));
    assert_fails(try_open((struct db_options){.path = admin}, &db), ERR_DENIED, "permission denied");
}

static err pass_over(struct db_transaction *t, void *context) {
    (void)context;
    err e = db_run(t, "INSERT INTO nowhere (id) VALUES (1)", NULL);
    assert_non_null(e);
    err_free(e);
    return NULL;
}

static void an_error_that_is_passed_over_is_told(void **state) {
    (void)state;
    struct db *db = open_with((struct db_options){0});
    assert_fails(db_write(db, pass_over, NULL), ERR_INTERNAL, "passed over");
    put_row(db, 1);
    db_close(db);
}

static err add_column(struct db_transaction *t, void *context) {
    (void)context;
    return db_run(t, "ALTER TABLE a ALTER COLUMN t TYPE BIGINT USING NULL", NULL);
}

static err read_t(struct db_transaction *t, void *context) {
    struct db_value v;
    bool found;
    return db_one(t, "SELECT t FROM a", "I", NULL, context ? context : &v, &found);
}

/* Tables are ours alone, and a plan that has become old is made anew. */
static void tables_are_in_a_schema(void **state) {
    (void)state;
    char where[64];
    struct db *db = open_with((struct db_options){0});
    put_row(db, 1);
    test_postgres_ask(url,
                      "SELECT string_agg(schemaname || '.' || tablename, ' ' ORDER BY tablename) FROM pg_tables "
                      "WHERE schemaname NOT LIKE 'pg_%' AND schemaname <> 'information_schema'",
                      where);
    assert_string_equal(where, "clew.a clew.migrations");
    assert_null(db_read(db, read_t, NULL));
    assert_null(db_write(db, add_column, NULL));
    err_free(db_read(db, read_t, NULL)); /* ERR_BUSY */
    assert_null(db_read(db, read_t, NULL));
    db_close(db);
}

#define postgres(test) cmocka_unit_test_setup_teardown(test, begin, remove_test_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        postgres(who_is_idle_does_not_notice),
        postgres(what_is_under_way_ends),
        postgres(a_commit_whose_answer_is_lost_is_asked_after),
        postgres(the_server_is_killed_and_comes_again),
        postgres(who_comes_while_it_starts_waits),
        postgres(statements_end),
        postgres(one_writes_at_a_time),
        postgres(who_is_alone_stays_so),
        postgres(errors_keep_passwords),
        postgres(databases_that_will_not_do),
        postgres(an_error_that_is_passed_over_is_told),
        postgres(tables_are_in_a_schema),
    };
    if (!test_postgres_start()) return 77;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    test_postgres_stop();
    return failed;
}
