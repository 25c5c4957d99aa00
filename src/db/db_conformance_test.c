/* What every engine of db must do. One line in `engines` and an engine is held to all of it. */
#include "db/postgres_testing_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "os/file.h"
#include "os/thread.h"

static bool always(void) { return true; }

static const struct {
    const char *name;
    struct db *(*open)(const char *name); /* the same name gives the same database again */
    bool (*is_here)(void);
    bool copies;
} engines[] = {{"sqlite", open_test_db, always, true}, {"postgres", open_postgres_db, test_postgres_start, false}};
static size_t engine;

static const char *const tables[] = {
    "CREATE TABLE a (id BIGINT PRIMARY KEY, i BIGINT, f DOUBLE PRECISION, t TEXT UNIQUE, b BYTEA);"
    "CREATE TABLE child (a BIGINT NOT NULL REFERENCES a (id)); CREATE TABLE large (t TEXT NOT NULL)",
    "CREATE TABLE pair (id BIGINT PRIMARY KEY, n BIGINT NOT NULL CHECK (n >= 0));"
    "INSERT INTO pair (id, n) VALUES (1, 500), (2, 500)",
};

static struct db *open_db(void) {
    struct db *db = engines[engine].open("records.db");
    assert_null(db_migrate(db, "test", tables, LENGTH(tables)));
    return db;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

struct row {
    int64_t id;
    struct db_value in[4], out[4];
    struct arena a;
};

static err put_row(struct db_transaction *t, void *context) {
    struct row *r = context;
    return db_run(t, "INSERT INTO a (id, i, f, t, b) VALUES (?, ?, ?, ?, ?)", NULL, DB_I64(r->id), r->in[0], r->in[1],
                  r->in[2], r->in[3]);
}

static err get_row(struct db_transaction *t, void *context) {
    struct row *r = context;
    bool found;
    TRY(db_one(t, "SELECT i, f, t, b FROM a WHERE id = ?", "IFTB", &r->a, r->out, &found, DB_I64(r->id)));
    return found ? NULL : err_new(ERR_NOT_FOUND, "row %lld", (long long)r->id);
}

static void assert_comes_back(struct db *db, int64_t id, int64_t i, double f, struct str t, struct str b) {
    struct row r = {.id = id, .in = {DB_I64(i), DB_F64(f), DB_TEXT(t), DB_BYTES(b)}};
    arena_init(&r.a, 32 * MIB);
    assert_null(db_write(db, put_row, &r));
    assert_null(db_read(db, get_row, &r));
    assert_true(r.out[0].type == DB_I64_TYPE && r.out[0].i == i);
    assert_true(r.out[1].type == DB_F64_TYPE && r.out[1].f == f);
    assert_true(r.out[2].type == DB_TEXT_TYPE && str_equal(r.out[2].s, t));
    assert_true(r.out[3].type == DB_BYTES_TYPE && str_equal(r.out[3].s, b));
    arena_done(&r.a);
}

static void values_come_back(void **state) {
    (void)state;
    struct db *db = open_db();
    char *large = mem_new(5 * MIB);
    memset(large, 'x', 5 * MIB);
    assert_comes_back(db, 1, INT64_MIN, 5e-324, STR(""), STR(""));
    assert_comes_back(db, 2, INT64_MAX, -1.7976931348623157e308, STR("bezahlt über Zürich 💳"), STR("a\0b\xff"));
    assert_comes_back(db, 3, 0, 0.1, STR("'; DROP TABLE a; -- ? $1 \"%s\" \\"), STR("'); DROP TABLE a; --"));
    assert_comes_back(db, 4, -1, 1e15, str_span(large, 2000), str_span(large, 5 * MIB));
    struct row none = {.id = 5};
    assert_null(db_write(db, put_row, &none));
    assert_null(db_read(db, get_row, &none));
    for (int i = 0; i < 4; i++) assert_true(none.out[i].type == DB_NULL_TYPE);
    assert_int_equal(count_rows(db), 5);
    mem_free(large);
    db_close(db);
}

static err put_large(struct db_transaction *t, void *context) {
    return db_run(t, "INSERT INTO large (t) VALUES (?)", NULL, DB_TEXT(*(struct str *)context));
}

static err get_large(struct db_transaction *t, void *context) {
    struct row *r = context;
    bool found;
    return db_one(t, "SELECT t FROM large", "t", &r->a, r->out, &found);
}

/* Not in an index: PostgreSQL takes 2,700 bytes there. */
static void large_texts_come_back(void **state) {
    (void)state;
    struct db *db = open_db();
    struct row r = {0};
    char *large = mem_new(DB_VALUE_BYTES);
    struct str text = str_span(large, DB_VALUE_BYTES);
    memset(large, 'x', DB_VALUE_BYTES);
    arena_init(&r.a, 32 * MIB);
    assert_null(db_write(db, put_large, &text));
    assert_null(db_read(db, get_large, &r));
    assert_true(str_equal(r.out[0].s, text));
    arena_done(&r.a);
    mem_free(large);
    db_close(db);
}

static void what_is_no_text_is_refused(void **state) {
    (void)state;
    struct db *db = open_db();
    static const struct str bad[] = {STR("a\0b"), STR("\xff"), STR("\xed\xa0\x80"), STR("a\xc3")};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct row r = {.id = 1, .in = {DB_NULL, DB_NULL, DB_TEXT(bad[i]), DB_NULL}};
        assert_fails(db_write(db, put_row, &r), ERR_INVALID, "UTF-8");
    }
    struct row r = {.id = 1};
    char *large = mem_new(DB_VALUE_BYTES + 1);
    r.in[3] = DB_BYTES(str_span(large, DB_VALUE_BYTES + 1));
    assert_fails(db_write(db, put_row, &r), ERR_LIMIT, "16 MiB");
    assert_int_equal(count_rows(db), 0);
    mem_free(large);
    db_close(db);
}

static err read_wrong_type(struct db_transaction *t, void *context) {
    struct db_value v;
    bool found;
    (void)context;
    return db_one(t, "SELECT i FROM a", "t", NULL, &v, &found);
}

static err read_null(struct db_transaction *t, void *context) {
    struct db_value v;
    bool found;
    (void)context;
    return db_one(t, "SELECT t FROM a", "t", NULL, &v, &found);
}

static void a_column_of_another_type_is_corrupt(void **state) {
    (void)state;
    struct db *db = open_db();
    struct row r = {.id = 1, .in = {DB_I64(1)}};
    assert_null(db_write(db, put_row, &r));
    assert_fails(db_read(db, read_wrong_type, NULL), ERR_CORRUPT, "type");
    assert_fails(db_read(db, read_null, NULL), ERR_CORRUPT, "type");
    db_close(db);
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

static err two_values_for_one_place(struct db_transaction *t, void *context) {
    (void)context;
    return db_run(t, "DELETE FROM a WHERE id = ?", NULL, DB_I64(1), DB_I64(2));
}

static err two_statements(struct db_transaction *t, void *context) {
    (void)context;
    return db_run(t, "DELETE FROM a; DELETE FROM child", NULL);
}

static void mistakes_are_told(void **state) {
    (void)state;
    struct db *db = open_db();
    assert_fails(db_write(db, two_values_for_one_place, NULL), ERR_INTERNAL, "");
    assert_fails(db_write(db, two_statements, NULL), ERR_INTERNAL, "");
    assert_fails(write_one(db, "INSERT INTO nowhere VALUES (1)"), ERR_INTERNAL, "");
    assert_null(write_one(db, "DELETE FROM a"));
    db_close(db);
}

static err upsert(struct db_transaction *t, void *context) {
    struct db_value v[2];
    bool found;
    uint64_t changed;
    (void)context;
    for (int64_t i = 1; i <= 3; i++)
        TRY(db_run(t, "INSERT INTO a (id, i) VALUES (7, ?) ON CONFLICT (id) DO UPDATE SET i = excluded.i + a.i", NULL,
                   DB_I64(i)));
    TRY(db_one(t, "UPDATE a SET i = i * 2 WHERE id = ? RETURNING id, i", "ii", NULL, v, &found, DB_I64(7)));
    /* (1, then 2 + 1, then 3 + 3) × 2 */
    assert_true(found && v[0].i == 7 && v[1].i == 12);
    TRY(db_one(t, "UPDATE a SET i = 0 WHERE id = 8 RETURNING id, i", "ii", NULL, v, &found));
    assert_false(found);
    TRY(db_run(t, "UPDATE a SET i = 0", &changed));
    assert_int_equal(changed, 1);
    TRY(db_run(t, "DELETE FROM a WHERE id = 8", &changed));
    assert_int_equal(changed, 0);
    return NULL;
}

static void rows_are_put_over_and_returned(void **state) {
    (void)state;
    struct db *db = open_db();
    assert_null(db_write(db, upsert, NULL));
    db_close(db);
}

struct listing {
    int64_t sum;
    size_t rows, stop_at;
};

static err add_row(void *context, const struct db_value *c) {
    struct listing *l = context;
    if (++l->rows == l->stop_at) return err_new(ERR_CANCELLED, "enough");
    l->sum = l->sum * 10 + c[0].i;
    return NULL;
}

static err list(struct db_transaction *t, void *context) {
    return db_rows(t, "SELECT id FROM a WHERE id < ? ORDER BY id DESC", "i", add_row, context, DB_I64(9));
}

static void rows_come_in_order_until_somebody_stops(void **state) {
    (void)state;
    struct db *db = open_db();
    for (int64_t i = 1; i <= 9; i++) {
        struct row r = {.id = i};
        assert_null(db_write(db, put_row, &r));
    }
    struct listing l = {0}, stopped = {.stop_at = 3};
    assert_null(db_read(db, list, &l));
    assert_int_equal(l.sum, 87654321);
    assert_fails(db_read(db, list, &stopped), ERR_CANCELLED, "enough");
    assert_int_equal(stopped.sum, 87);
    l = (struct listing){0};
    assert_null(db_read(db, list, &l)); /* and the statement is as new */
    assert_int_equal(l.sum, 87654321);
    db_close(db);
}

struct texts {
    char all[64];
};

static err add_text(void *context, const struct db_value *c) {
    struct texts *x = context;
    snprintf(x->all + strlen(x->all), sizeof x->all - strlen(x->all), STR_FMT " ", STR_ARG(c[0].s));
    return NULL;
}

static err list_texts(struct db_transaction *t, void *context) {
    return db_rows(t, "SELECT t FROM a WHERE t < ? ORDER BY t", "t", add_text, context, DB_TEXT(STR("~~")));
}

static void texts_sort_by_their_bytes(void **state) {
    (void)state;
    static const struct str texts[] = {STR("b"), STR("B"), STR("_"), STR("a-b"), STR("ab"),
                                       STR("Z"), STR("1"), STR("a"), STR("~~")};
    struct db *db = open_db();
    struct texts x = {0};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct row r = {.id = (int64_t)i, .in = {DB_NULL, DB_NULL, DB_TEXT(texts[i]), DB_NULL}};
        assert_null(db_write(db, put_row, &r));
    }
    assert_null(db_read(db, list_texts, &x));
    assert_string_equal(x.all, "1 B Z _ a a-b ab b ");
    db_close(db);
}

/* More statements than are kept prepared, with values that are there and not, in one transaction. */
static err put_variants(struct db_transaction *t, void *context) {
    int64_t *id = context;
    const struct db_value some[4] = {DB_I64(7), DB_F64(0.5), DB_TEXT(STR("x")), DB_BYTES(STR("y"))};
    for (unsigned mask = 0; mask < 16; mask++) {
        struct row r = {.id = ++*id};
        for (unsigned i = 0; i < 4; i++) r.in[i] = mask >> i & 1 ? some[i] : DB_NULL;
        TRY(db_run(t, "DELETE FROM a WHERE t = ?", NULL, DB_TEXT(STR("x"))));
        TRY(put_row(t, &r));
        TRY(db_run(t, "UPDATE a SET i = ?, f = ?, b = ? WHERE id = ?", NULL, r.in[0], r.in[1], r.in[3], DB_I64(r.id)));
    }
    return NULL;
}

static void values_may_be_there_or_not(void **state) {
    (void)state;
    int64_t id = 0;
    struct db *db = open_db();
    for (int i = 0; i < 3; i++) assert_null(db_write(db, put_variants, &id));
    assert_int_equal(count_rows(db), 3 * 8 + 1);
    db_close(db);
}

/* ---- transactions ----------------------------------------------------------------------------------------------- */

static err put_two_and_fail(struct db_transaction *t, void *context) {
    struct row r = {.id = 1}, s = {.id = 2};
    (void)context;
    TRY(put_row(t, &r));
    TRY(put_row(t, &s));
    return err_new(ERR_CANCELLED, "changed its mind");
}

static err put_same_twice(struct db_transaction *t, void *context) {
    struct row r = {.id = 3};
    (void)context;
    TRY(put_row(t, &r));
    return put_row(t, &r);
}

static void what_fails_has_not_happened(void **state) {
    (void)state;
    struct db *db = open_db();
    assert_fails(db_write(db, put_two_and_fail, NULL), ERR_CANCELLED, "mind");
    assert_fails(db_write(db, put_same_twice, NULL), ERR_CONFLICT, "");
    assert_int_equal(count_rows(db), 0);
    struct row r = {.id = 1, .in = {DB_NULL, DB_NULL, DB_TEXT(STR("same")), DB_NULL}};
    assert_null(db_write(db, put_row, &r));
    r.id = 2;
    assert_fails(db_write(db, put_row, &r), ERR_CONFLICT, "");
    assert_fails(write_one(db, "INSERT INTO child (a) VALUES (99)"), ERR_CONFLICT, "");
    assert_null(write_one(db, "INSERT INTO child (a) VALUES (1)"));
    assert_fails(write_one(db, "DELETE FROM a"), ERR_CONFLICT, "");
    assert_fails(write_one(db, "UPDATE pair SET n = -1"), ERR_INVALID, "");
    assert_fails(db_read(db, put_same_twice, NULL), ERR_INTERNAL, "does not write");
    assert_int_equal(count_rows(db), 1);
    db_close(db);
    db = open_db();
    assert_int_equal(count_rows(db), 1);
    db_close(db);
}

static void write_beside(void *context) {
    struct row r = {.id = 50};
    assert_null(db_write(context, put_row, &r));
}

struct looking {
    struct db *db;
    int64_t first, second;
};

static err look_twice(struct db_transaction *t, void *context) {
    struct looking *l = context;
    struct db_value n;
    struct thread *thread;
    bool found;
    TRY(db_one(t, "SELECT count(*) FROM a", "i", NULL, &n, &found));
    l->first = n.i;
    TRY(thread_start(&thread, "writer", 0, write_beside, l->db)); /* does not wait for us */
    thread_join(thread);
    TRY(db_one(t, "SELECT count(*) FROM a", "i", NULL, &n, &found));
    l->second = n.i;
    return NULL;
}

static void a_reading_sees_one_state(void **state) {
    (void)state;
    struct db *db = open_db();
    struct looking l = {.db = db};
    assert_null(db_read(db, look_twice, &l));
    assert_true(l.first == 0 && l.second == 0);
    assert_int_equal(count_rows(db), 1);
    db_close(db);
}

/* ---- threads ---------------------------------------------------------------------------------------------------- */

enum { MOVES = 40, MOVERS = 3, LOOKERS = DB_READERS_MAX + 2 };

static err move(struct db_transaction *t, void *context) {
    int64_t n = *(int64_t *)context;
    TRY(db_run(t, "UPDATE pair SET n = n - ? WHERE id = 1", NULL, DB_I64(n)));
    return db_run(t, "UPDATE pair SET n = n + ? WHERE id = 2", NULL, DB_I64(n));
}

static err sum(struct db_transaction *t, void *context) {
    struct db_value n;
    bool found;
    (void)context;
    TRY(db_one(t, "SELECT CAST(sum(n) AS BIGINT) FROM pair", "i", NULL, &n, &found));
    return n.i == 1000 ? NULL : err_new(ERR_CORRUPT, "the sum is %lld", (long long)n.i);
}

static void move_often(void *context) {
    for (int64_t i = 0; i < MOVES; i++) {
        int64_t n = i % 2 ? -3 : 4;
        assert_null(db_write(context, move, &n));
    }
}

static void look_often(void *context) {
    for (int i = 0; i < MOVES; i++) assert_null(db_read(context, sum, NULL));
}

static void copy_often(void *context) {
    char to[100];
    for (int i = 0; i < 5; i++) {
        snprintf(to, sizeof to, "%s/copy%d.db", test_dir, i);
        assert_null(db_backup(context, to));
    }
}

static void threads_see_whole_transactions(void **state) {
    (void)state;
    struct db *db = open_db();
    struct thread *threads[MOVERS + LOOKERS + 1];
    size_t count = LENGTH(threads) - !engines[engine].copies;
    for (size_t i = 0; i < count; i++)
        assert_null(thread_start(&threads[i], "test", 0,
                                 i < MOVERS             ? move_often
                                 : i < MOVERS + LOOKERS ? look_often
                                                        : copy_often,
                                 db));
    for (size_t i = 0; i < count; i++) thread_join(threads[i]);
    int64_t nothing = 0;
    assert_null(db_write(db, move, &nothing));
    db_close(db);
    for (int i = 0; i < 5 && engines[engine].copies; i++) { /* copies are of one state each */
        char name[32];
        snprintf(name, sizeof name, "copy%d.db", i);
        db = engines[engine].open(name);
        assert_null(db_read(db, sum, NULL));
        db_close(db);
    }
}

/* ---- migrations ------------------------------------------------------------------------------------------------- */

static err count_migrations(struct db_transaction *t, void *context) {
    struct db_value n;
    bool found;
    TRY(db_one(t, "SELECT count(*) FROM migrations", "i", NULL, &n, &found));
    *(int64_t *)context = n.i;
    return NULL;
}

static void steps_are_applied_once_and_together(void **state) {
    (void)state;
    static const char *const steps[] = {"CREATE TABLE m (id BIGINT PRIMARY KEY); INSERT INTO m (id) VALUES (1)",
                                        "INSERT INTO m (id) VALUES (2)", "INSERT INTO m (id) VALUES (2)",
                                        "INSERT INTO m (id) VALUES (4)"};
    int64_t n;
    struct db *db = open_db();
    assert_null(db_migrate(db, "m", steps, 2));
    assert_null(db_migrate(db, "m", steps, 2)); /* again: nothing */
    const char *bad[] = {steps[0], steps[1], steps[3], steps[2]};
    assert_fails(db_migrate(db, "m", bad, 4), ERR_CONFLICT, "step 4"); /* so 3 is not there either */
    assert_null(db_read(db, count_migrations, &n));
    assert_int_equal(n, 2 + 2);
    db_close(db);
    db = open_db();
    const char *good[] = {steps[0], steps[1], steps[3]};
    assert_null(db_migrate(db, "m", good, 3));
    assert_fails(db_migrate(db, "m", steps, 2), ERR_INVALID, "start that clew again, or restore a backup");
    assert_null(db_migrate(db, "test", tables, LENGTH(tables))); /* rooms do not see each other */
    db_close(db);
}

/* ---- copies ----------------------------------------------------------------------------------------------------- */

static void a_copy_is_a_database(void **state) {
    (void)state;
    struct db *db = open_db();
    struct row r = {.id = 1};
    assert_null(db_write(db, put_row, &r));
    assert_true(db_is_file(db) == engines[engine].copies);
    if (!engines[engine].copies) {
        assert_fails(db_backup(db, test_path("copy.db")), ERR_INVALID, "pg_dump");
        assert_false(path_exists(test_path("copy.db")));
        db_close(db);
        return;
    }
    assert_null(db_backup(db, test_path("copy.db")));
    assert_fails(db_backup(db, test_path("copy.db")), ERR_CONFLICT, "copy.db");
    assert_fails(db_backup(db, test_path("no/copy.db")), ERR_NOT_FOUND, "no/copy.db");
    r.id = 2;
    assert_null(db_write(db, put_row, &r));
    db_close(db);
    struct db *copy = engines[engine].open("copy.db");
    assert_null(db_migrate(copy, "test", tables, LENGTH(tables)));
    assert_int_equal(count_rows(copy), 1);
    db_close(copy);
}

#define conforms(test) cmocka_unit_test_setup_teardown(test, make_test_dir, remove_test_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        conforms(values_come_back),
        conforms(large_texts_come_back),
        conforms(what_is_no_text_is_refused),
        conforms(a_column_of_another_type_is_corrupt),
        conforms(mistakes_are_told),
        conforms(rows_are_put_over_and_returned),
        conforms(texts_sort_by_their_bytes),
        conforms(values_may_be_there_or_not),
        conforms(rows_come_in_order_until_somebody_stops),
        conforms(what_fails_has_not_happened),
        conforms(a_reading_sees_one_state),
        conforms(threads_see_whole_transactions),
        conforms(steps_are_applied_once_and_together),
        conforms(a_copy_is_a_database),
    };
    int failed = 0;
    for (engine = 0; engine < LENGTH(engines); engine++)
        if (engines[engine].is_here())
            failed += _cmocka_run_group_tests(engines[engine].name, tests, LENGTH(tests), NULL, NULL);
    test_postgres_stop();
    return failed;
}
