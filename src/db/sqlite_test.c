/* What is SQLite's alone: its files, their modes, other processes, damage, a disk that fails at every call. */
#include "db/db_testing_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "os/file.h"
#include "os/stamp.h"

static const char *const tables[] = {"CREATE TABLE a (id BIGINT PRIMARY KEY, t TEXT);"
                                     "CREATE TABLE c (a BIGINT NOT NULL REFERENCES a (id))"};

static struct db *open_with_table(void) {
    struct db *db = open_test_db("records.db");
    assert_null(db_migrate(db, "test", tables, 1));
    return db;
}

/* As another program would. */
static sqlite3 *open_raw(const char *name) {
    sqlite3 *raw;
    assert_int_equal(sqlite3_open(test_path(name), &raw), SQLITE_OK);
    return raw;
}

static void run_raw(const char *name, const char *sql) {
    sqlite3 *raw = open_raw(name);
    if (sqlite3_exec(raw, sql, NULL, NULL, NULL) != SQLITE_OK) fail_msg("%s: %s", sql, sqlite3_errmsg(raw));
    sqlite3_close(raw);
}

static err try_open(const char *name) {
    struct db *db = NULL;
    err e = db_open(&(struct db_options){.path = test_path(name), .wall_ns = test_clock}, &db);
    db_close(db);
    return e;
}

static void files_are_the_owners(void **state) {
    (void)state;
    static const char *const names[] = {"records.db", "records.db-wal", "records.db-shm"};
    struct path_stamp stamp;
    struct db *db = open_with_table();
    for (size_t i = 0; i < LENGTH(names); i++) {
        assert_null(path_stamp_read(test_path(names[i]), &stamp));
        assert_int_equal(stamp.mode, 0600);
    }
    assert_null(db_backup(db, test_path("copy.db")));
    assert_null(path_stamp_read(test_path("copy.db"), &stamp));
    assert_int_equal(stamp.mode, 0600);
    db_close(db);
    assert_false(path_exists(test_path("records.db-wal")));
}

static void another_process_makes_it_busy(void **state) {
    (void)state;
    struct db *db = NULL;
    db_close(open_with_table());
    assert_null(db_open(&(struct db_options){.path = test_path("records.db"), .busy_ms = 1}, &db));
    sqlite3 *raw = open_raw("records.db");
    assert_int_equal(sqlite3_exec(raw, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_fails(write_one(db, "INSERT INTO a (id) VALUES (1)"), ERR_BUSY, "locked");
    assert_int_equal(count_rows(db), 0); /* readers go on */
    sqlite3_close(raw);
    assert_null(write_one(db, "INSERT INTO a (id) VALUES (1)"));
    db_close(db);
}

static void put_file(const char *name, const void *bytes, size_t n, uint64_t at, enum file_mode mode) {
    AUTO_CLOSE struct file *f = NULL;
    assert_null(file_open(test_path(name), mode, &f));
    assert_null(file_write(f, bytes, n, at));
}

/* What nobody could find again is not acknowledged. */
static void a_file_that_was_taken_away_is_not_written(void **state) {
    (void)state;
    struct db *db = open_with_table();
    assert_null(write_one(db, "INSERT INTO a (id) VALUES (1)"));
    assert_null(path_rename(test_path("records.db"), test_path("away.db")));
    assert_fails(write_one(db, "INSERT INTO a (id) VALUES (2)"), ERR_UNAVAILABLE, "records.db was deleted");
    put_file("records.db", "another", 7, 0, FILE_CREATE);
    assert_fails(write_one(db, "INSERT INTO a (id) VALUES (3)"), ERR_UNAVAILABLE, "replaced");
    assert_null(path_remove(test_path("records.db")));
    assert_null(path_rename(test_path("away.db"), test_path("records.db")));
    assert_null(write_one(db, "INSERT INTO a (id) VALUES (4)"));
    assert_int_equal(count_rows(db), 2);
    db_close(db);
}

static void what_is_not_ours_is_left_alone(void **state) {
    (void)state;
    run_raw("other.db", "CREATE TABLE theirs (a)");
    assert_fails(try_open("other.db"), ERR_INVALID, "none of clew");
    db_close(open_with_table());
    run_raw("records.db", "PRAGMA user_version = 2");
    assert_fails(try_open("records.db"), ERR_INVALID, "start that clew again, or restore a backup");
    put_file("text.db",
             "this is a text that is longer than a head of SQLite, which takes one hundred bytes of a file, so", 96, 0,
             FILE_CREATE);
    assert_fails(try_open("text.db"), ERR_CORRUPT, "text.db");
    assert_fails(try_open("no/records.db"), ERR_NOT_FOUND, "no/records.db");
}

static uint64_t check(const char *name, const char *part) {
    AUTO_BUF struct buf findings;
    uint64_t bad = 0;
    buf_init(&findings, 64 * KIB);
    assert_null(db_check(test_path(name), &findings, &bad));
    if (part && !strstr(bad ? findings.p : "", part)) fail_msg("wanted '%s': %s", part, bad ? findings.p : "nothing");
    return bad;
}

static void check_finds_damage_and_changes_nothing(void **state) {
    (void)state;
    struct path_stamp before, after;
    struct db *db = open_with_table();
    for (int i = 0; i < 300; i++)
        assert_null(write_one(db, "INSERT INTO a (id, t) SELECT coalesce(max(id), 0) + 1, hex(zeroblob(100)) FROM a"));
    db_close(db);
    assert_null(path_stamp_read(test_path("records.db"), &before));
    assert_int_equal(check("records.db", NULL), 0);
    assert_null(path_stamp_read(test_path("records.db"), &after));
    assert_true(path_stamp_equal(&before, &after));
    assert_false(path_exists(test_path("records.db-shm")));
    run_raw("records.db", "PRAGMA foreign_keys=OFF; INSERT INTO c VALUES (99999)");
    assert_int_equal(check("records.db", "a row refers to one that is not there"), 1);
    put_file("records.db", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 4096 * 5 + 4, FILE_WRITE);
    assert_true(check("records.db", "records.db: ") > 1);
    put_file("records.db", "no database", 11, 0, FILE_WRITE);
    assert_int_equal(check("records.db", "not a database"), 1);
    AUTO_BUF struct buf none;
    uint64_t bad;
    buf_init(&none, KIB);
    assert_fails(db_check(test_path("nowhere.db"), &none, &bad), ERR_NOT_FOUND, "no such file");
    run_raw("odd ?#%.db", "PRAGMA application_id=0x636c6577; CREATE TABLE a (id)");
    assert_int_equal(check("odd ?#%.db", NULL), 0);
}

static err read_all(struct db_transaction *t, void *context) {
    struct db_value n;
    bool found;
    (void)context;
    return db_one(t, "SELECT count(t) FROM a WHERE t <> 'y'", "i", NULL, &n, &found);
}

static void a_dump_says_what_is_in_it(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    struct db *db = open_with_table();
    assert_null(write_one(db, "INSERT INTO a (id, t) VALUES (1, 'x')"));
    assert_null(db_dump(test_path("records.db-wal"), &text)); /* what only the log has is in it */
    assert_string_equal(text.p, "records, a database of SQLite, format 1\nschema of test: step 1\ntable a: 1 row\n"
                                "table c: 0 rows\ntable migrations: 1 row\n");
    db_close(db);
    assert_fails(db_dump(test_path("nowhere.db"), &text), ERR_NOT_FOUND, "no such file");
    put_file("text.db",
             "this is a text that is longer than a head of SQLite, which takes one hundred bytes of a file, so", 96, 0,
             FILE_CREATE);
    assert_fails(db_dump(test_path("text.db"), &text), ERR_CORRUPT, "not a database");
    put_file("records.db", "", 0, 0, FILE_CREATE_ANY);
    assert_fails(db_dump(test_path("records.db"), &text), ERR_CORRUPT, "none of clew");
}

/* Any byte of the heads, and some of all others: looking ends with what is wrong, not with a mistake of ours. */
static void damage_anywhere_is_the_files_fault(void **state) {
    (void)state;
    AUTO_BUF struct buf good = {0}, text;
    uint64_t bad, seen = 0;
    db_close(open_with_table());
    assert_null(file_read_all(test_path("records.db"), MIB, &good));
    buf_init(&text, MIB);
    for (size_t at = 0; at < good.n; at += at < 200 ? 1 : 37) {
        for (int bit = 0; bit < 8; bit += 3) {
            char flipped = (char)(good.p[at] ^ 1 << bit);
            put_file("records.db", &flipped, 1, at, FILE_WRITE);
            err e = db_check(test_path("records.db"), &text, &bad);
            if (e) fail_msg("byte %zu, bit %d: %s", at, bit, err_text(e));
            seen += bad > 0;
            e = db_dump(test_path("records.db"), &text);
            if (e && err_kind(e) != ERR_CORRUPT) fail_msg("byte %zu, bit %d: %s", at, bit, err_text(e));
            err_free(e);
            buf_clear(&text);
        }
        put_file("records.db", good.p + at, 1, at, FILE_WRITE);
    }
    assert_true(seen > 50);
    assert_int_equal(check("records.db", NULL), 0);
}

static void damage_under_way_is_corrupt(void **state) {
    (void)state;
    struct db *db = open_with_table();
    for (int i = 0; i < 300; i++)
        assert_null(write_one(db, "INSERT INTO a (id, t) SELECT coalesce(max(id), 0) + 1, hex(zeroblob(100)) FROM a"));
    db_close(db);
    for (uint64_t page = 10; page < 15; page++)
        put_file("records.db", "\xff\xff\xff\xff\xff\xff\xff\xff", 8, 4096 * page, FILE_WRITE);
    db = open_test_db("records.db");
    assert_fails(db_read(db, read_all, NULL), ERR_CORRUPT, "malformed");
    db_close(db);
    run_raw("records.db", "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET rootpage=999 WHERE name='a'");
    assert_fails(try_open("records.db"), ERR_CORRUPT, "records.db");
}

/* ---- a disk that fails ------------------------------------------------------------------------------------------ */

/* SQLite's files through our hands: the n-th write, sync or truncation fails, and all after it. */
static struct {
    sqlite3_vfs vfs, *real;
    sqlite3_io_methods methods;
    uint64_t calls, syncs, fail_from; /* 0: never */
} disk;

struct disk_file {
    sqlite3_file base;
    sqlite3_file *real;
};
static sqlite3_file *real_of(sqlite3_file *f) { return ((struct disk_file *)f)->real; }
static bool fails(void) { return ++disk.calls >= disk.fail_from && disk.fail_from; }

static int disk_close(sqlite3_file *f) { return real_of(f)->pMethods->xClose(real_of(f)); }
static int disk_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) {
    return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}
static int disk_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at) {
    if (!fails()) return real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
    if (disk.calls % 2) real_of(f)->pMethods->xWrite(real_of(f), p, n / 2, at); /* torn */
    return disk.calls % 3 ? SQLITE_IOERR_WRITE : SQLITE_FULL;
}
static int disk_truncate(sqlite3_file *f, sqlite3_int64 n) {
    return fails() ? SQLITE_IOERR_TRUNCATE : real_of(f)->pMethods->xTruncate(real_of(f), n);
}
static int disk_sync(sqlite3_file *f, int flags) {
    disk.syncs++;
    return fails() ? SQLITE_IOERR_FSYNC : real_of(f)->pMethods->xSync(real_of(f), flags);
}
static int disk_size(sqlite3_file *f, sqlite3_int64 *out) { return real_of(f)->pMethods->xFileSize(real_of(f), out); }
static int disk_lock(sqlite3_file *f, int k) { return real_of(f)->pMethods->xLock(real_of(f), k); }
static int disk_unlock(sqlite3_file *f, int k) { return real_of(f)->pMethods->xUnlock(real_of(f), k); }
static int disk_reserved(sqlite3_file *f, int *out) {
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}
static int disk_control(sqlite3_file *f, int op, void *p) {
    return real_of(f)->pMethods->xFileControl(real_of(f), op, p);
}
static int disk_sector(sqlite3_file *f) { return real_of(f)->pMethods->xSectorSize(real_of(f)); }
static int disk_traits(sqlite3_file *f) { return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f)); }
static int disk_shm_map(sqlite3_file *f, int page, int n, int extend, void volatile **out) {
    return real_of(f)->pMethods->xShmMap(real_of(f), page, n, extend, out);
}
static int disk_shm_lock(sqlite3_file *f, int at, int n, int flags) {
    return real_of(f)->pMethods->xShmLock(real_of(f), at, n, flags);
}
static void disk_shm_barrier(sqlite3_file *f) { real_of(f)->pMethods->xShmBarrier(real_of(f)); }
static int disk_shm_unmap(sqlite3_file *f, int gone) { return real_of(f)->pMethods->xShmUnmap(real_of(f), gone); }

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out) {
    struct disk_file *d = (struct disk_file *)f;
    (void)vfs;
    d->real = (sqlite3_file *)(d + 1);
    int code = disk.real->xOpen(disk.real, name, d->real, flags, out);
    f->pMethods = d->real->pMethods ? &disk.methods : NULL;
    return code;
}

static void disk_install(void) {
    disk.real = sqlite3_vfs_find(NULL);
    disk.vfs = *disk.real;
    disk.vfs.zName = "failing";
    disk.vfs.szOsFile += (int)sizeof(struct disk_file);
    disk.vfs.xOpen = disk_open;
    disk.methods =
        (sqlite3_io_methods){2,           disk_close,   disk_read,     disk_write,       disk_truncate,  disk_sync,
                             disk_size,   disk_lock,    disk_unlock,   disk_reserved,    disk_control,   disk_sector,
                             disk_traits, disk_shm_map, disk_shm_lock, disk_shm_barrier, disk_shm_unmap, NULL,
                             NULL};
    assert_int_equal(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

/* Commits until the disk fails; how many were acknowledged. An error is one of a disk. */
static int64_t write_until(struct db *db, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        err e = write_one(db, "INSERT INTO a (id, t) SELECT coalesce(max(id), 0) + 1, hex(randomblob(3000)) FROM a");
        if (!e) continue;
        if (err_kind(e) != ERR_IO && err_kind(e) != ERR_UNAVAILABLE) fail_msg("%s: %s", err_row(e)->name, err_text(e));
        err_free(e);
        return i;
    }
    return n;
}

enum { COMMITS = 30, CALLS_MAX = 2000 };

static bool survives(uint64_t fail_from) {
    int64_t acknowledged = 0;
    struct db *db = NULL;
    disk.calls = 0;
    disk.fail_from = fail_from;
    err e = db_open(&(struct db_options){.path = test_path("records.db"), .wall_ns = test_clock}, &db);
    if (!e) e = db_migrate(db, "test", tables, 1);
    if (!e) acknowledged = write_until(db, COMMITS);
    bool failed = e || acknowledged < COMMITS;
    if (!e && failed) { /* the same process, after the disk is well again */
        disk.fail_from = 0;
        int64_t there = count_rows(db);
        assert_true(there == acknowledged || there == acknowledged + 1);
        assert_int_equal(write_until(db, 1), 1);
        assert_int_equal(count_rows(db), there + 1);
        acknowledged = there + 1;
    }
    err_free(e);
    db_close(db);
    disk.fail_from = 0;
    db = open_with_table();
    int64_t there = count_rows(db);
    assert_true(there == acknowledged);
    db_close(db);
    assert_int_equal(check("records.db", NULL), 0);
    assert_null(path_remove(test_path("records.db")));
    return failed;
}

/* An answer means the disk has it: with a sync only now and then this would count fewer. */
static void each_commit_is_synced(void **state) {
    (void)state;
    disk_install();
    struct db *db = open_with_table();
    disk.syncs = disk.fail_from = 0;
    assert_int_equal(write_until(db, 20), 20);
    assert_true(disk.syncs >= 20);
    db_close(db);
    sqlite3_vfs_unregister(&disk.vfs);
}

static void every_call_of_the_disk_may_fail(void **state) {
    (void)state;
    disk_install();
    uint64_t n = 1;
    while (n < CALLS_MAX && survives(n)) n += n < 60 ? 1 : 7;
    assert_true(n > 100 && n < CALLS_MAX);
    sqlite3_vfs_unregister(&disk.vfs);
}

#define on_files(test) cmocka_unit_test_setup_teardown(test, make_test_dir, remove_test_dir)

int main(void) {
    const struct CMUnitTest tests[] = {
        on_files(files_are_the_owners),
        on_files(another_process_makes_it_busy),
        on_files(a_file_that_was_taken_away_is_not_written),
        on_files(what_is_not_ours_is_left_alone),
        on_files(check_finds_damage_and_changes_nothing),
        on_files(a_dump_says_what_is_in_it),
        on_files(damage_anywhere_is_the_files_fault),
        on_files(damage_under_way_is_corrupt),
        on_files(each_commit_is_synced),
        on_files(every_call_of_the_disk_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
