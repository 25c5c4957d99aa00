/* For the tests of db: a real folder, since SQLite is not simulated, and a clock that stands. */
#pragma once

#include "db/db.h"

extern char test_dir[64];
extern int64_t test_now; /* what the clock of databases and queues says */
int64_t test_clock(void);
int make_test_dir(void **state);
int remove_test_dir(void **state);
const char *test_path(const char *name); /* in it; valid until the call after the next */
struct db *open_test_db(const char *name);
void assert_fails(err e, enum err_kind kind, const char *part);
/* One statement of a test as a transaction: its SQL is a literal here, too. */
#define write_one(db, sql) write_one_((db), "" sql)
err write_one_(struct db *db, const char *sql);
int64_t count_rows(struct db *db); /* of a table `a` */
