/* What all engines share: one writer, a few readers, transactions, types, migrations. */
#include "db/db_priv.h"

#include "base/text.h"
#include "os/clock.h"
#include "os/thread.h"

struct db {
    const struct db_engine *engine;
    struct db_options options;
    char *name;          /* for sentences */
    struct lock writing; /* of the writer's connection, for as long as it writes */
    struct db_connection *writer;
    struct lock lock; /* of what follows */
    struct signal_flag reader_is_free;
    struct db_connection *idle[DB_READERS_MAX];
    size_t idle_count, reader_count;
};

struct db_transaction {
    struct db *db;
    struct db_connection *connection;
};

/* ---- life ------------------------------------------------------------------------------------------------------- */

bool db_is_url(const char *path) {
    return str_starts_with(str_of(path), STR("postgresql://")) || str_starts_with(str_of(path), STR("postgres://"));
}

err db_open(const struct db_options *options, struct db **out) {
    const struct db_engine *engine = db_is_url(options->path) ? &db_postgres : &db_sqlite;
    char *name;
    TRY(engine->name(options, &name));
    struct db *db = mem_new_of(struct db);
    db->engine = engine;
    db->name = name;
    db->options = *options;
    db->options.path = str_dup(str_of(options->path));
    if (!db->options.busy_ms) db->options.busy_ms = 2000;
    if (!db->options.statement_ms) db->options.statement_ms = 30000;
    if (!db->options.open_ms) db->options.open_ms = 10000;
    if (!db->options.wall_ns) db->options.wall_ns = clock_wall_ns;
    lock_init(&db->writing);
    lock_init(&db->lock);
    flag_init(&db->reader_is_free);
    err e = db->engine->connect(&db->options, true, &db->writer);
    e = err_wrap(e, "opening %s", name);
    if (e)
        db_close(db);
    else
        *out = db;
    return e;
}

const char *db_name(const struct db *db) { return db->name; }
bool db_is_file(const struct db *db) { return db->engine->is_file; }

void db_close(struct db *db) {
    if (!db) return;
    assert(db->idle_count == db->reader_count);
    for (size_t i = 0; i < db->idle_count; i++) db->engine->disconnect(db->idle[i]);
    db->engine->disconnect(db->writer); /* last: it settles the files */
    lock_done(&db->writing);
    lock_done(&db->lock);
    flag_done(&db->reader_is_free);
    mem_free((char *)(uintptr_t)db->options.path);
    mem_free(db->name);
    mem_free(db);
}

/* ---- transactions ----------------------------------------------------------------------------------------------- */

static _Thread_local const struct db
    *inside; /* a second transaction of this thread would wait for the first for ever */

static err run_transaction(struct db *db, struct db_connection *c, bool writes, db_work *work, void *context) {
    struct db_transaction t = {db, c};
    TRY(db->engine->begin(c));
    err e = work(&t, context);
    if (!e && writes) return db->engine->commit(c);
    db->engine->rollback(c);
    return e;
}

err db_write(struct db *db, db_work *work, void *context) {
    const struct db *around = inside;
    assert(inside != db);
    lock_take(&db->writing);
    inside = db;
    err e = run_transaction(db, db->writer, true, work, context);
    inside = around;
    lock_give(&db->writing);
    return e;
}

static void give_reader(struct db *db, struct db_connection *c) {
    lock_take(&db->lock);
    if (c)
        db->idle[db->idle_count++] = c;
    else
        db->reader_count--; /* it could not be had: others may try */
    flag_wake_one(&db->reader_is_free);
    lock_give(&db->lock);
}

static err take_reader(struct db *db, struct db_connection **out) {
    *out = NULL;
    lock_take(&db->lock);
    while (!db->idle_count && db->reader_count == DB_READERS_MAX) flag_wait(&db->reader_is_free, &db->lock);
    if (db->idle_count)
        *out = db->idle[--db->idle_count];
    else
        db->reader_count++;
    lock_give(&db->lock);
    err e = *out ? NULL : db->engine->connect(&db->options, false, out);
    if (e) give_reader(db, NULL);
    return e;
}

err db_read(struct db *db, db_work *work, void *context) {
    struct db_connection *c;
    const struct db *around = inside;
    assert(inside != db);
    TRY(take_reader(db, &c));
    inside = db;
    err e = run_transaction(db, c, false, work, context);
    inside = around;
    give_reader(db, c);
    return e;
}

err db_backup(struct db *db, const char *to) {
    struct db_connection *c;
    TRY(take_reader(db, &c));
    err e = db->engine->backup(c, to);
    give_reader(db, c);
    return err_wrap(e, "copying the records to %s", to);
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

bool db_type_fits(char type, enum db_type is) {
    static const char letters[] = {
        [DB_I64_TYPE] = 'i', [DB_F64_TYPE] = 'f', [DB_TEXT_TYPE] = 't', [DB_BYTES_TYPE] = 'b'};
    bool may_be_null = type >= 'A' && type <= 'Z';
    return is == DB_NULL_TYPE ? may_be_null : letters[is] == (may_be_null ? type + ('a' - 'A') : type);
}

/* (4) */
static err check_values(const struct db_value *v, size_t n) {
    assert(n <= DB_VALUES_MAX);
    for (size_t i = 0; i < n; i++) {
        bool text = v[i].type == DB_TEXT_TYPE;
        if (!text && v[i].type != DB_BYTES_TYPE) continue;
        if (v[i].s.n > DB_VALUE_BYTES) return err_new(ERR_LIMIT, "a value of more than %d MiB", DB_VALUE_BYTES >> 20);
        if (text && v[i].s.n && (memchr(v[i].s.p, 0, v[i].s.n) || !utf8_is_valid(v[i].s)))
            return err_new(ERR_INVALID, "a text has zero bytes or is no UTF-8");
    }
    return NULL;
}

static err run(struct db_transaction *t, const struct db_statement *s, uint64_t *out_changed) {
    uint64_t changed = 0;
    TRY(check_values(s->values, s->value_count));
    TRY(t->db->engine->run(t->connection, s, &changed));
    if (out_changed) *out_changed = changed;
    return NULL;
}

err db_run_(struct db_transaction *t, const char *sql, uint64_t *out_changed, const struct db_value *values, size_t n) {
    return run(t, &(struct db_statement){.sql = sql, .values = values, .value_count = n}, out_changed);
}

err db_rows_(struct db_transaction *t, const char *sql, const char *types, db_row *on_row, void *context,
             const struct db_value *values, size_t n) {
    assert(strlen(types) <= DB_COLUMNS_MAX);
    return run(t, &(struct db_statement){sql, types, values, n, on_row, context}, NULL);
}

struct one {
    struct arena *a;
    struct db_value *out;
    size_t columns;
    bool found;
};

static err take_one(void *context, const struct db_value *columns) {
    struct one *one = context;
    if (one->found) return NULL;
    one->found = true;
    for (size_t i = 0; i < one->columns; i++) {
        one->out[i] = columns[i];
        if (columns[i].type != DB_TEXT_TYPE && columns[i].type != DB_BYTES_TYPE) continue;
        one->out[i].s = arena_copy(one->a, columns[i].s);
        if (!one->out[i].s.p) return arena_err(one->a);
    }
    return NULL;
}

err db_one_(struct db_transaction *t, const char *sql, const char *types, struct arena *a, struct db_value *out,
            bool *out_found, const struct db_value *values, size_t n) {
    struct one one = {a, out, strlen(types), false};
    TRY(db_rows_(t, sql, types, take_one, &one, values, n));
    *out_found = one.found;
    return NULL;
}

/* ---- migrations ------------------------------------------------------------------------------------------------- */

struct migrating {
    struct db *db;
    const char *room;
    const char *const *steps;
    size_t n;
};

static err apply_step(struct db_transaction *t, const struct migrating *m, size_t number) {
    TRY_WRAP(m->db->engine->script(t->connection, m->steps[number - 1]), "step %zu", number);
    return db_run(t, "INSERT INTO migrations (room, number, applied) VALUES (?, ?, ?)", NULL, DB_TEXT(str_of(m->room)),
                  DB_I64((int64_t)number), DB_I64(m->db->options.wall_ns()));
}

static err migrate(struct db_transaction *t, void *context) {
    const struct migrating *m = context;
    struct db_value at;
    bool found;
    TRY(db_run(t,
               "CREATE TABLE IF NOT EXISTS migrations (room TEXT NOT NULL, number BIGINT NOT NULL, applied BIGINT NOT "
               "NULL, PRIMARY KEY (room, number))",
               NULL));
    TRY(db_one(t, "SELECT coalesce(max(number), 0) FROM migrations WHERE room = ?", "i", NULL, &at, &found,
               DB_TEXT(str_of(m->room))));
    if (at.i > (int64_t)m->n)
        return err_new(ERR_INVALID,
                       "a newer clew has written here: step %lld, and this one knows %zu; start that clew again, or "
                       "restore a backup from before it",
                       (long long)at.i, m->n);
    for (size_t number = (size_t)at.i + 1; number <= m->n; number++) TRY(apply_step(t, m, number));
    return NULL;
}

err db_migrate(struct db *db, const char *room, const char *const *steps, size_t n) {
    struct migrating m = {db, room, steps, n};
    return err_wrap(db_write(db, migrate, &m), "the schema of %s in %s", room, db->name);
}
