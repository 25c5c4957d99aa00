#include "db/db_testing_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/file.h"

char test_dir[64];
int64_t test_now;
int64_t test_clock(void) { return test_now; }

int make_test_dir(void **state) {
    (void)state;
    test_now = (int64_t)1767323045 * 1000000000;
    snprintf(test_dir, sizeof test_dir, "/tmp/clew-db-XXXXXX");
    return mkdtemp(test_dir) ? 0 : -1;
}

static err remove_entry(void *context, const char *name, bool is_dir) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (!is_dir) return path_remove(path);
    TRY(path_list(path, remove_entry, path));
    return path_remove_dir(path);
}

int remove_test_dir(void **state) {
    (void)state;
    err_free(path_list(test_dir, remove_entry, test_dir));
    err_free(path_remove_dir(test_dir));
    return 0;
}

const char *test_path(const char *name) {
    static char paths[2][200];
    static int at;
    at = !at;
    snprintf(paths[at], sizeof paths[at], "%s/%s", test_dir, name);
    return paths[at];
}

struct db *open_test_db(const char *name) {
    struct db *db = NULL;
    assert_null(db_open(&(struct db_options){.path = test_path(name), .wall_ns = test_clock}, &db));
    return db;
}

void assert_fails(err e, enum err_kind kind, const char *part) {
    if (!e || err_kind(e) != kind || !strstr(err_text(e), part))
        fail_msg("wanted %s with '%s': %s: %s", err_kind_rows[kind].name, part, e ? err_row(e)->name : "none",
                 err_text(e));
    err_free(e);
}

static err run_one(struct db_transaction *t, void *context) { return db_run_(t, context, NULL, NULL, 0); }
err write_one_(struct db *db, const char *sql) { return db_write(db, run_one, (void *)(uintptr_t)sql); }

static err count(struct db_transaction *t, void *context) {
    struct db_value n;
    bool found;
    TRY(db_one(t, "SELECT count(*) FROM a", "i", NULL, &n, &found));
    *(int64_t *)context = n.i;
    return NULL;
}

int64_t count_rows(struct db *db) {
    int64_t n = -1;
    assert_null(db_read(db, count, &n));
    return n;
}
