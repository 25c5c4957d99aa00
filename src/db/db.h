/* db: records: rows that are not telemetry, kept by a database that has transactions: SQLite, a file, or PostgreSQL, by its URL.
 *
 *   db_write(db, work, context) ─▶ work(t, context) ─▶ db_run(t, …) db_one(t, …) db_rows(t, …) ─▶ NULL: committed, on disk
 *                                                                                            └▶ an error: nothing happened
 *
 * Invariants:
 * (1) What db_write has answered with NULL is there after kill -9 and after a power cut; of anything else there is nothing, or all of it
 *     (a commit whose answer was an I/O error).
 * (2) A transaction sees one state of the database, and others see it whole or not at all.
 * (3) SQL is a literal of the program with ? for each value: the macros take nothing else. Values are bound, never spliced.
 * (4) Text is UTF-8 without zero bytes, in every engine; other bytes are DB_BYTES.
 * (5) Columns have the type that was asked for; another one is ERR_CORRUPT.
 * (6) A schema is never halfway: all steps that are missing are one transaction. A newer one is refused.
 * (7) A commit that failed because the connection was lost has not happened, unless its error says that nobody knows.
 * (8) After an error of a statement the transaction can only end: work returns that error. (PostgreSQL answers ERR_INTERNAL if not.)
 *
 * SQL: what SQLite and PostgreSQL both know: types BIGINT, DOUBLE PRECISION, TEXT, BYTEA; UPSERT, RETURNING; no functions of time.
 * Limits: a value 16 MiB, 2,600 bytes of it in an index; DB_COLUMNS_MAX columns, DB_VALUES_MAX values a statement; DB_READERS_MAX readings at
 * a time, others wait.
 * Threads: any; one writing at a time, others wait for its end. No transaction inside another of the same thread (asserts).
 * Blocks: on the disk, and for what is said above. With a database elsewhere it will block on that: not for io threads.
 * Errors: ERR_CONFLICT (not unique, a foreign key), ERR_BUSY (locked by another process for longer than busy_ms), ERR_INVALID (a newer
 * schema; text that is none; a CHECK), ERR_LIMIT (too large), ERR_CORRUPT, ERR_UNAVAILABLE (disk full, no connection, too
 * slow), ERR_IO, ERR_INTERNAL (our SQL).
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"

struct db;
struct db_transaction;

enum { DB_COLUMNS_MAX = 16, DB_VALUES_MAX = 16, DB_READERS_MAX = 4, DB_VALUE_BYTES = 16 << 20 };

struct db_options {
    const char *path;      /* of the file, made with mode 0600 if it is not there; or a URL: postgresql://… */
    uint32_t busy_ms;      /* how long one waits for another process that writes; default 2,000 */
    uint32_t statement_ms; /* PostgreSQL: a statement that takes longer is ERR_UNAVAILABLE; default 30,000 */
    uint32_t open_ms; /* PostgreSQL: how long db_open waits for a server that does not answer yet; default 10,000 */
    bool alone;       /* PostgreSQL: ERR_CONFLICT while another has these records open with `alone` */
    int64_t (*wall_ns)(void); /* default clock_wall_ns */
};
err db_open(const struct db_options *options, struct db **out);
void db_close(struct db *db);             /* takes NULL; nobody may be in it */
bool db_is_url(const char *path);         /* else the name of a file */
const char *db_name(const struct db *db); /* where the records are, for sentences: without a password */
bool db_is_file(const struct db *db); /* else they are a server's: db_backup, db_check and db_dump are not for them */

/* Steps 1 to n of a room's schema, each applied once; a step never changes once it was released. The room is a word of the program.
 * ERR_INVALID: the database is further than n, with the sentence that says what to do. */
err db_migrate(struct db *db, const char *room, const char *const *steps, size_t n);

/* ---- values ----------------------------------------------------------------------------------------------------- */

enum db_type { DB_NULL_TYPE, DB_I64_TYPE, DB_F64_TYPE, DB_TEXT_TYPE, DB_BYTES_TYPE };
struct db_value {
    enum db_type type;
    int64_t i;
    double f;
    struct str s; /* of text and bytes */
};
#define DB_NULL ((struct db_value){.type = DB_NULL_TYPE})
#define DB_I64(v) ((struct db_value){.type = DB_I64_TYPE, .i = (v)})
#define DB_F64(v) ((struct db_value){.type = DB_F64_TYPE, .f = (v)})
#define DB_TEXT(v) ((struct db_value){.type = DB_TEXT_TYPE, .s = (v)})
#define DB_BYTES(v) ((struct db_value){.type = DB_BYTES_TYPE, .s = (v)})

/* ---- transactions ----------------------------------------------------------------------------------------------- */

typedef err db_work(struct db_transaction *t, void *context);
/* Commits what work did if it gives NULL, and answers when that is on disk; else nothing happened, and the error is work's. */
err db_write(struct db *db, db_work *work, void *context);
/* The same without changes: those are ERR_INTERNAL. */
err db_read(struct db *db, db_work *work, void *context);

/* ---- statements: only inside of work ---------------------------------------------------------------------------- */

/* db_run(t, "UPDATE a SET b = ? WHERE c = ?", &changed, DB_I64(1), DB_TEXT(name)): out_changed: rows; may be NULL. */
#define db_run(t, sql, out_changed, ...)                                                                               \
    db_run_((t), "" sql, (out_changed), db_values_(__VA_ARGS__), db_count_(__VA_ARGS__))
/* db_rows(t, "SELECT a, b …", "tI", on_row, context, DB_…): on_row gets each row; its texts are borrowed until it returns; it starts no
 * statement. Its first error ends the statement and is the answer. Types: i, f, t (text), b (bytes); capitals may be NULL. */
typedef err db_row(void *context, const struct db_value *columns);
#define db_rows(t, sql, types, on_row, context, ...)                                                                   \
    db_rows_((t), "" sql, (types), (on_row), (context), db_values_(__VA_ARGS__), db_count_(__VA_ARGS__))
/* db_one(t, "SELECT a, b …", "ti", &arena, columns, &found, DB_…): the first row, its texts in the arena. */
#define db_one(t, sql, types, a, out, out_found, ...)                                                                  \
    db_one_((t), "" sql, (types), (a), (out), (out_found), db_values_(__VA_ARGS__), db_count_(__VA_ARGS__))

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* A copy of one state, while work goes on, to a file that must not exist; nothing is left of it after an error. */
err db_backup(struct db *db, const char *to);
/* Reads all of a database that nobody has open and changes nothing. Findings are lines in `out`, *out_bad counts them. */
err db_check(const char *path, struct buf *out, uint64_t *out_bad);
/* What is in it, for people: format, how far the schema of each room is, tables with their rows. Of a -wal or -shm: of its database. */
err db_dump(const char *path, struct buf *out);

/* ---- what the macros are made of -------------------------------------------------------------------------------- */

#define db_values_(...) ((const struct db_value[]){{0}, ##__VA_ARGS__} + 1)
#define db_count_(...) (sizeof((const struct db_value[]){{0}, ##__VA_ARGS__}) / sizeof(struct db_value) - 1)
err db_run_(struct db_transaction *t, const char *sql, uint64_t *out_changed, const struct db_value *values, size_t n);
err db_rows_(struct db_transaction *t, const char *sql, const char *types, db_row *on_row, void *context,
             const struct db_value *values, size_t n);
err db_one_(struct db_transaction *t, const char *sql, const char *types, struct arena *a, struct db_value *out,
            bool *out_found, const struct db_value *values, size_t n);
