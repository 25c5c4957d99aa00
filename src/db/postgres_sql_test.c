/* What becomes of our SQL on its way to PostgreSQL. */
#include "db/postgres_sql_priv.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void becomes(const char *sql, bool defines, const char *want, size_t places) {
    AUTO_BUF struct buf out;
    size_t n = 99;
    buf_init(&out, 4 * KIB);
    assert_null(postgres_sql(sql, defines, &out, &n));
    assert_string_equal(out.p, want);
    assert_int_equal(n, places);
}

static void places_get_numbers(void **state) {
    (void)state;
    becomes("SELECT a FROM b WHERE c = ? AND d < ?", false, "SELECT a FROM b WHERE c = $1 AND d < $2", 2);
    becomes("SELECT '?', \"a?\", 'it''s ?', ?", false, "SELECT '?', \"a?\", 'it''s ?', $1", 1);
    becomes("SELECT 'never ended ?", false, "SELECT 'never ended ?", 0);
    becomes("?????????? ??", false, "$1$2$3$4$5$6$7$8$9$10 $11$12", 12);
}

static void texts_sort_by_bytes(void **state) {
    (void)state;
    becomes("CREATE TABLE a (t TEXT UNIQUE, TEXTS BIGINT, u TEXT)", true,
            "CREATE TABLE a (t TEXT COLLATE \"C\" UNIQUE, TEXTS BIGINT, u TEXT COLLATE \"C\")", 0);
    becomes("UPDATE a SET t = CAST(i AS TEXT) WHERE t = 'TEXT'", true,
            "UPDATE a SET t = CAST(i AS TEXT) WHERE t = 'TEXT'", 0);
    becomes("SELECT a TEXT", false, "SELECT a TEXT", 0);
}

static void a_long_statement_is_refused(void **state) {
    (void)state;
    AUTO_BUF struct buf out;
    size_t n;
    buf_init(&out, 10);
    err e = postgres_sql("SELECT a FROM b", false, &out, &n);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_get_numbers),
        cmocka_unit_test(texts_sort_by_bytes),
        cmocka_unit_test(a_long_statement_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
