/* What an engine of db does; db.c does the rest: who may write, types, migrations. A connection is used by one thread at a time. */
#pragma once

#include "db/db.h"

struct db_connection;

struct db_statement {
    const char *sql, *types; /* types NULL: no rows are wanted */
    const struct db_value *values;
    size_t value_count;
    db_row *on_row;
    void *context;
};

struct db_engine {
    /* Where it is, for sentences: without a password. On the heap. */
    err (*name)(const struct db_options *o, char **out);
    /* The first connection is the writer's: it makes the database. */
    err (*connect)(const struct db_options *o, bool writes, struct db_connection **out);
    void (*disconnect)(struct db_connection *c); /* takes NULL */
    err (*begin)(struct db_connection *c);
    err (*commit)(struct db_connection *c);    /* after an error the transaction has ended as well */
    void (*rollback)(struct db_connection *c); /* nothing to do if the engine did it already */
    err (*run)(struct db_connection *c, const struct db_statement *s, uint64_t *out_changed);
    err (*script)(struct db_connection *c, const char *sql); /* several statements without values: a step of a schema */
    err (*backup)(struct db_connection *c, const char *to);
    bool is_file;
};
extern const struct db_engine db_sqlite, db_postgres;

/* Whether a column is what `type` (of db_rows) says. */
bool db_type_fits(char type, enum db_type is);
