/* SQLite: a file beside its -wal and -shm. WAL with synchronous=FULL: a commit is one append to the log and one sync of it; readers go on
 * meanwhile. https://sqlite.org/wal.html, https://sqlite.org/pragma.html (3.40)
 *
 * It opens files itself, past os/file.h: the simulated disk cannot hold it, so tests of db have real files. */
#include "db/db_priv.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/log.h"
#include "base/text.h"
#include "os/file.h"

enum {
    STATEMENTS_MAX = 24,         /* kept prepared a connection */
    APPLICATION_ID = 0x636c6577, /* "clew", in the head of the file */
    FORMAT_VERSION = 1,          /* of the file as a whole: what every room's migrations stand on */
    FINDINGS_MAX = 100
};

/* Small caches: records are few, and an idle clew shall stay small. What is deleted is overwritten with zeros. */
#define PRAGMAS                                                                                                        \
    "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY;"               \
    "PRAGMA secure_delete=ON; PRAGMA wal_autocheckpoint=1000; PRAGMA journal_size_limit=4194304;"                      \
    "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"

struct db_connection {
    sqlite3 *db;
    bool writes;
    uint64_t uses;
    struct kept {
        const char *sql; /* a literal: its address says which */
        sqlite3_stmt *statement;
        uint64_t used;
    } kept[STATEMENTS_MAX];
};

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static enum err_kind kind_of(int code) {
    switch (code) { /* extended codes first */
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
    case SQLITE_CONSTRAINT_ROWID:
    case SQLITE_CONSTRAINT_FOREIGNKEY: return ERR_CONFLICT;
    }
    switch (code & 0xff) {
    case SQLITE_CONSTRAINT: return ERR_INVALID;
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return ERR_BUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return ERR_CORRUPT;
    case SQLITE_FULL: return ERR_UNAVAILABLE;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_PROTOCOL: return ERR_IO;
    case SQLITE_READONLY: return ERR_IO;
    case SQLITE_TOOBIG:
    case SQLITE_NOMEM: return ERR_LIMIT;
    case SQLITE_INTERRUPT: return ERR_CANCELLED;
    default: return ERR_INTERNAL;
    }
}

static err fail(sqlite3 *db, const char *what) {
    return err_new(kind_of(sqlite3_extended_errcode(db)), "%s: %s", what, sqlite3_errmsg(db));
}

static err script(sqlite3 *db, const char *sql) {
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? NULL : fail(db, "SQLite");
}

/* ---- connections ------------------------------------------------------------------------------------------------ */

static err pragma_number(sqlite3 *db, const char *sql, int64_t *out) {
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) != SQLITE_OK) return fail(db, "SQLite");
    bool row = sqlite3_step(s) == SQLITE_ROW;
    if (row) *out = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    return row ? NULL : fail(db, "SQLite");
}

/* An empty file becomes ours; one that is somebody else's, or newer, is left alone. The log comes first: in it the claim is one sync. */
static err claim(sqlite3 *db) {
    int64_t id, version, schema;
    TRY(pragma_number(db, "PRAGMA application_id", &id));
    TRY(pragma_number(db, "PRAGMA user_version", &version));
    TRY(pragma_number(db, "PRAGMA schema_version", &schema));
    bool is_empty = id == 0 && schema == 0 && version == 0;
    if (!is_empty && id != APPLICATION_ID) return err_new(ERR_INVALID, "it is a database, but none of clew");
    if (version > FORMAT_VERSION)
        return err_new(
            ERR_INVALID,
            "a newer clew has written it (format %lld, this one knows %d); start that clew again, or restore a "
            "backup from before it",
            (long long)version, FORMAT_VERSION);
    TRY(script(db, "PRAGMA journal_mode=WAL"));
    if (!is_empty) return NULL;
    return script(db, "BEGIN IMMEDIATE; PRAGMA application_id=0x636c6577; PRAGMA user_version=1; COMMIT");
}

/* SQLite would make it readable by whoever the umask lets. Its -wal and -shm get the mode of the file. Its entry becomes durable when SQLite
 * syncs the folder for its first journal. */
static err make_file(const char *path) {
    struct file *f;
    err e = file_open(path, FILE_CREATE, &f);
    if (!e) file_close(f);
    if (!e || err_kind(e) != ERR_CONFLICT) return e;
    err_free(e); /* it is there */
    return NULL;
}

static void disconnect(struct db_connection *c) {
    if (!c) return;
    for (size_t i = 0; i < STATEMENTS_MAX; i++) sqlite3_finalize(c->kept[i].statement);
    if (sqlite3_close(c->db) != SQLITE_OK)
        log_error("the records do not close", F_TEXT("error", sqlite3_errmsg(c->db)));
    mem_free(c);
}

/* As root SQLite gives -wal and -shm to the owner of the file, which we are; what the unit of systemd does not allow is not even tried. */
static int no_chown(int fd, uid_t user, gid_t group) {
    (void)fd, (void)user, (void)group;
    return 0;
}

static err open_file(const char *path, int flags, uint32_t busy_ms, sqlite3 **out) {
    static atomic_bool asked;
    sqlite3_vfs *system = atomic_exchange(&asked, true) ? NULL : sqlite3_vfs_find("unix");
    if (system) system->xSetSystemCall(system, "fchown", (sqlite3_syscall_ptr)no_chown);
    if (sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK)
        return *out ? fail(*out, "SQLite") : err_new(ERR_LIMIT, "SQLite has no memory");
    sqlite3_busy_timeout(*out, (int)busy_ms);
    sqlite3_db_config(*out, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_limit(*out, SQLITE_LIMIT_LENGTH, DB_VALUE_BYTES + 64 * 1024);
    sqlite3_limit(*out, SQLITE_LIMIT_ATTACHED, 0);
    return script(*out, PRAGMAS);
}

static err set_up(struct db_connection *c, const struct db_options *o) {
    TRY(open_file(o->path, SQLITE_OPEN_READWRITE, o->busy_ms, &c->db));
    return c->writes ? claim(c->db) : script(c->db, "PRAGMA query_only=ON");
}

static err connect_to(const struct db_options *o, bool writes, struct db_connection **out) {
    assert(sqlite3_threadsafe());
    if (writes) TRY(make_file(o->path));
    struct db_connection *c = mem_new_of(struct db_connection);
    c->writes = writes;
    err e = set_up(c, o);
    if (e)
        disconnect(c);
    else
        *out = c;
    return e;
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

/* Prepared, or prepared now in the place of the one that was not used for longest. */
static err prepare(struct db_connection *c, const char *sql, sqlite3_stmt **out) {
    struct kept *place = &c->kept[0];
    for (size_t i = 0; i < STATEMENTS_MAX; i++) {
        struct kept *k = &c->kept[i];
        if (k->sql == sql) {
            k->used = ++c->uses;
            *out = k->statement;
            return NULL;
        }
        if (k->used < place->used) place = k;
    }
    sqlite3_stmt *fresh = NULL;
    const char *tail;
    if (sqlite3_prepare_v3(c->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &fresh, &tail) != SQLITE_OK)
        return fail(c->db, "preparing a statement");
    if (*tail || !fresh) {
        sqlite3_finalize(fresh);
        return err_new(ERR_INTERNAL, "one statement at a time");
    }
    sqlite3_finalize(place->statement);
    *place = (struct kept){sql, fresh, ++c->uses};
    *out = fresh;
    return NULL;
}

static int bind_value(sqlite3_stmt *s, int at, const struct db_value *v) {
    switch (v->type) {
    case DB_I64_TYPE: return sqlite3_bind_int64(s, at, v->i);
    case DB_F64_TYPE: return sqlite3_bind_double(s, at, v->f);
    case DB_TEXT_TYPE: return sqlite3_bind_text64(s, at, v->s.n ? v->s.p : "", v->s.n, SQLITE_STATIC, SQLITE_UTF8);
    case DB_BYTES_TYPE: return sqlite3_bind_blob64(s, at, v->s.n ? v->s.p : "", v->s.n, SQLITE_STATIC);
    case DB_NULL_TYPE: break;
    }
    return sqlite3_bind_null(s, at);
}

static struct db_value column(sqlite3_stmt *s, int at) {
    switch (sqlite3_column_type(s, at)) {
    case SQLITE_INTEGER: return DB_I64(sqlite3_column_int64(s, at));
    case SQLITE_FLOAT: return DB_F64(sqlite3_column_double(s, at));
    case SQLITE_TEXT: {
        const unsigned char *p = sqlite3_column_text(s, at);
        return DB_TEXT(str_span(p ? (const char *)p : "", (size_t)sqlite3_column_bytes(s, at)));
    }
    case SQLITE_BLOB: {
        const void *p = sqlite3_column_blob(s, at);
        return DB_BYTES(str_span(p ? p : "", (size_t)sqlite3_column_bytes(s, at)));
    }
    default: return DB_NULL;
    }
}

static err give_row(sqlite3_stmt *s, const struct db_statement *order) {
    struct db_value columns[DB_COLUMNS_MAX];
    size_t n = order->types ? strlen(order->types) : 0;
    for (size_t i = 0; i < n; i++) {
        columns[i] = column(s, (int)i);
        if (!db_type_fits(order->types[i], columns[i].type))
            return err_new(ERR_CORRUPT, "column %s has another type than it must", sqlite3_column_name(s, (int)i));
    }
    return n ? order->on_row(order->context, columns) : NULL;
}

static err step_all(struct db_connection *c, sqlite3_stmt *s, const struct db_statement *order) {
    for (;;) {
        int code = sqlite3_step(s);
        if (code == SQLITE_DONE) return NULL;
        if (code == SQLITE_READONLY && !c->writes) return err_new(ERR_INTERNAL, "a reading does not write");
        if (code != SQLITE_ROW) return fail(c->db, "SQLite");
        TRY(give_row(s, order));
    }
}

static err run(struct db_connection *c, const struct db_statement *order, uint64_t *out_changed) {
    sqlite3_stmt *s = NULL;
    TRY(prepare(c, order->sql, &s));
    if (sqlite3_bind_parameter_count(s) != (int)order->value_count)
        return err_new(ERR_INTERNAL, "%zu values for %d places", order->value_count, sqlite3_bind_parameter_count(s));
    if (order->types && sqlite3_column_count(s) != (int)strlen(order->types))
        return err_new(ERR_INTERNAL, "%d columns, and types for %zu", sqlite3_column_count(s), strlen(order->types));
    err e = NULL;
    for (size_t i = 0; i < order->value_count && !e; i++)
        if (bind_value(s, (int)i + 1, &order->values[i]) != SQLITE_OK) e = fail(c->db, "binding a value");
    if (!e) e = step_all(c, s, order);
    if (!e) *out_changed = (uint64_t)sqlite3_changes64(c->db);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return e;
}

static err run_script(struct db_connection *c, const char *sql) { return script(c->db, sql); }

/* ---- transactions ----------------------------------------------------------------------------------------------- */

/* A file that was deleted or replaced under us takes commits, too: nobody would find them again. */
static err is_in_place(struct db_connection *c) {
    int moved = 0;
    sqlite3_file_control(c->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved);
    if (!moved) return NULL;
    return err_new(ERR_UNAVAILABLE,
                   "%s was deleted, moved or replaced while clew has it open: put it back, or start clew anew",
                   sqlite3_db_filename(c->db, "main"));
}

/* IMMEDIATE: who will write waits here, not in the middle. */
static err begin(struct db_connection *c) {
    if (c->writes) TRY(is_in_place(c));
    return script(c->db, c->writes ? "BEGIN IMMEDIATE" : "BEGIN");
}

static void rollback(struct db_connection *c) {
    if (sqlite3_get_autocommit(c->db)) return;
    if (sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
        log_error("a transaction cannot be rolled back", F_TEXT("error", sqlite3_errmsg(c->db)));
}

static err commit(struct db_connection *c) {
    err e = script(c->db, "COMMIT");
    if (e) rollback(c);
    return err_wrap(e, "committing");
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

/* All pages in one step: a reading of one state, which writers do not wait for. */
static err copy_pages(sqlite3 *from, sqlite3 *to) {
    sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
    if (!b) return fail(to, "SQLite");
    int code = sqlite3_backup_step(b, -1);
    sqlite3_backup_finish(b);
    return code == SQLITE_DONE ? NULL : code == SQLITE_OK ? err_new(ERR_BUSY, "SQLite: locked") : fail(to, "SQLite");
}

static err backup(struct db_connection *c, const char *to) {
    struct file *f;
    sqlite3 *copy = NULL;
    TRY(file_open(to, FILE_CREATE, &f));
    file_close(f);
    err e = open_file(to, SQLITE_OPEN_READWRITE, 0, &copy);
    if (!e) e = copy_pages(c->db, copy);
    sqlite3_close(copy);
    if (e) err_free(path_remove(to));
    return e;
}

static void put_uri(struct buf *out, const char *path, bool immutable) {
    buf_add_text(out, "file:");
    for (const char *p = path; *p; p++)
        if (strchr("%?#", *p))
            buf_add_fmt(out, "%%%02x", (unsigned char)*p);
        else
            buf_add_byte(out, *p);
    buf_add_text(out, immutable ? "?immutable=1" : "?mode=ro");
}

/* Without a log nothing is written, not even locks: a backup may lie on a medium that takes nothing. */
static err open_to_check(const char *path, sqlite3 **out) {
    AUTO_BUF struct buf log, uri;
    buf_init(&log, 8 * KIB);
    buf_init(&uri, 16 * KIB);
    buf_add_fmt(&log, "%s-wal", path);
    put_uri(&uri, path, !path_exists(log.p));
    if (log.full || uri.full) return err_new(ERR_INVALID, "the path is too long");
    if (!path_exists(path)) return err_new(ERR_NOT_FOUND, "%s: no such file", path);
    return open_file(uri.p, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, 0, out);
}

struct findings {
    const char *path;
    struct buf *out;
    uint64_t bad;
};

static void find(struct findings *f, const char *what) {
    f->bad++;
    buf_add_fmt(f->out, "%s: %s\n", f->path, what);
}

static int on_finding(void *context, int columns, char **texts, char **names) {
    struct findings *f = context;
    (void)names;
    if (columns == 1 && texts[0] && strcmp(texts[0], "ok") != 0) find(f, texts[0]);
    if (columns != 1) find(f, "a row refers to one that is not there");
    return f->bad >= FINDINGS_MAX;
}

static err check_open(sqlite3 *db, struct findings *f) {
    int64_t id;
    TRY(pragma_number(db, "PRAGMA application_id", &id));
    if (id != APPLICATION_ID) find(f, "it is a database, but none of clew");
    if (sqlite3_exec(db, "PRAGMA integrity_check(100)", on_finding, f, NULL) != SQLITE_OK && f->bad < FINDINGS_MAX)
        return fail(db, "SQLite");
    if (sqlite3_exec(db, "PRAGMA foreign_key_check", on_finding, f, NULL) != SQLITE_OK && f->bad < FINDINGS_MAX)
        return fail(db, "SQLite");
    return NULL;
}

/* Our statements are right: what SQLite cannot make of a file is the file's fault. */
static err blame_file(err e) { return e && err_kind(e) == ERR_INTERNAL ? err_as(e, ERR_CORRUPT) : e; }

err db_check(const char *path, struct buf *out, uint64_t *out_bad) {
    struct findings f = {path, out, 0};
    sqlite3 *db = NULL;
    err e = open_to_check(path, &db);
    if (!e) e = check_open(db, &f);
    sqlite3_close(db);
    e = blame_file(e);
    if (e && err_kind(e) == ERR_CORRUPT) {
        find(&f, err_text(e));
        err_free(e);
        e = NULL;
    }
    *out_bad = f.bad;
    return err_wrap(e, "checking %s", path);
}

/* ---- for people ------------------------------------------------------------------------------------------------- */

static int put_room(void *context, int columns, char **texts, char **names) {
    (void)names;
    if (columns == 2 && texts[0] && texts[1]) buf_add_fmt(context, "schema of %s: step %s\n", texts[0], texts[1]);
    return 0;
}

struct dump {
    sqlite3 *db;
    struct buf *out;
};

static int put_table(void *context, int columns, char **texts, char **names) {
    struct dump *d = context;
    int64_t rows = 0;
    (void)names;
    if (columns != 2 || !texts[0]) return 0;
    char *sql = sqlite3_mprintf("SELECT count(*) FROM \"%w\"", texts[0]);
    err e = sql ? pragma_number(d->db, sql, &rows) : err_new(ERR_LIMIT, "SQLite has no memory");
    sqlite3_free(sql);
    buf_add_text(d->out, "table ");
    put_terminal(d->out, str_of(texts[0]));
    if (e)
        buf_add_fmt(d->out, ": %s\n", err_text(e));
    else
        buf_add_fmt(d->out, ": %lld row%s\n", (long long)rows, rows == 1 ? "" : "s");
    err_free(e);
    return 0;
}

static err dump_open(sqlite3 *db, struct buf *out) {
    int64_t id, version;
    struct dump d = {db, out};
    TRY(pragma_number(db, "PRAGMA application_id", &id));
    if (id != APPLICATION_ID) return err_new(ERR_CORRUPT, "it is a database, but none of clew");
    TRY(pragma_number(db, "PRAGMA user_version", &version));
    buf_add_fmt(out, "records, a database of SQLite, format %lld\n", (long long)version);
    if (sqlite3_exec(db, "SELECT room, max(number) FROM migrations GROUP BY room", put_room, out, NULL) != SQLITE_OK)
        return fail(db, "SQLite");
    if (sqlite3_exec(db, "SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name", put_table, &d,
                     NULL) != SQLITE_OK)
        return fail(db, "SQLite");
    return NULL;
}

err db_dump(const char *path, struct buf *out) {
    struct str name = str_of(path);
    sqlite3 *db = NULL;
    if (str_ends_with(name, STR("-wal")) || str_ends_with(name, STR("-shm"))) name.n -= 4;
    AUTO_FREE char *database = str_dup(name);
    err e = open_to_check(database, &db);
    if (!e) e = dump_open(db, out);
    sqlite3_close(db);
    return blame_file(e);
}

static err name_of(const struct db_options *o, char **out) {
    *out = str_dup(str_of(o->path));
    return NULL;
}

const struct db_engine db_sqlite = {name_of,  connect_to, disconnect, begin,  commit,
                                    rollback, run,        run_script, backup, true};
