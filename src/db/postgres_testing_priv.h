/* For tests: a PostgreSQL of their own, from Debian's package, on loopback in a temporary folder; as user postgres if we are root, which it
 * does not bear. It ends with the test's process. Where the package is not there, tests say so and are skipped. */
#pragma once

#include "db/db_testing_priv.h"

bool test_postgres_start(
    void); /* false: the package is not there, said on standard error. Once a process; started again after a kill */
void test_postgres_start_only(void); /* after a kill: does not wait until it answers */
void test_postgres_stop(void);
void test_postgres_kill(void); /* kill -9; waits until all of its processes have gone */
int test_postgres_port(void);
void test_postgres_url(const char *database, const char *more, char out[300]); /* more: "?sslmode=…" or "" */
/* The database of that name in this test (made if it is not there), and its URL. */
void test_postgres_database(const char *name, char out_url[300]);
struct db *open_postgres_db(const char *name);
/* One statement by another client, in a database of that URL; the first value of its answer. */
void test_postgres_ask(const char *url, const char *sql, char out[64]);
