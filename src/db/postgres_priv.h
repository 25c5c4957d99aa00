/* A connection to PostgreSQL: what postgres.c (life, transactions) and postgres_run.c (statements) share. Used by one thread at a time.
 *
 * Invariants: (1) no wait is without end: the server has statement_timeout and lock_timeout, we wait a little longer, the kernel
 * gives up unacknowledged bytes after 10 s. (2) a connection that was lost within a transaction stays lost (`lost`) until that has ended:
 * no statement of it is run on another connection. (3) a password is in no text that leaves this room. */
#pragma once

#include "db/db_priv.h"
#include "db/libpq_priv.h"

enum { STATEMENTS_MAX = 24, SQL_BYTES_MAX = 64 << 10, MESSAGE_BYTES_MAX = 400 };

struct db_connection {
    PGconn *pg; /* NULL: there is none now */
    const struct db_options *o;
    bool writes, lost;
    uint32_t failures;    /* tries in a row that gave no connection */
    int64_t next_try_ns;  /* monotonic: not before */
    char transaction[24]; /* its number at the server, while it writes; "" */
    uint64_t uses, names;
    struct kept {
        const char *sql; /* a literal: its address and the types of its values say which */
        char types[DB_VALUES_MAX + 1];
        uint64_t name, used; /* name: of the statement at the server, s1, s2, … */
    } kept[STATEMENTS_MAX];
};

/* The error of an answer, or (result NULL) of the connection: lost. */
err postgres_fail(struct db_connection *c, const PGresult *result);
/* The next answer of what was sent, NULL at the end of them; sets lost. */
err postgres_answer(struct db_connection *c, PGresult **out);
/* One or several statements without values; out_tag (may be NULL) is the word of the last one, as COMMIT or ROLLBACK; out_value that of its
 * first column in its first row, or "". */
err postgres_command(struct db_connection *c, const char *sql, char out_tag[16], char out_value[64]);
err postgres_run(struct db_connection *c, const struct db_statement *order, uint64_t *out_changed);
err postgres_script(struct db_connection *c, const char *sql);
/* Text of libpq or the server for an error of ours: one line, clean, cut, without the password of the URL. */
void postgres_message(const struct db_connection *c, const char *text, struct buf *out);
