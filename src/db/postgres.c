/* PostgreSQL: connections, what makes one a session of ours, transactions, and what becomes of them when a connection is lost.
 *
 *   begin ──▶ is there a connection? ──no──▶ connect (after a pause that doubles) ──▶ settings ──▶ the lock of who is alone
 *     │                                        └─ refused: ERR_UNAVAILABLE, nothing has happened
 *     ├─ writing: BEGIN, the lock of who writes, the transaction's number
 *     └─ reading: BEGIN REPEATABLE READ, READ ONLY
 *   commit ──▶ COMMIT ──lost──▶ connect anew, ask by the number: committed: NULL; else ERR_UNAVAILABLE and nothing happened
 *
 * One writes at a time, of all processes, as with a file: by an advisory lock that ends with the transaction. Tables are in the schema
 * `clew`, so that nothing of others has their names.
 * PostgreSQL 15: chapters 13 (isolation, advisory locks), 20 (settings), 34 (libpq); pg_xact_status in 9.27. */
#include "db/postgres_priv.h"

#include <stdio.h>

#include "base/log.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/thread.h"

enum {
    VERSION_MIN = 130000 /* pg_current_xact_id */,
    PAUSE_MAX_MS = 5000,
    OUTCOME_MS = 10000, /* how long one asks what became of a commit, but no longer than a statement may take */
    IDLE_LOSS_MS = 1000
};
#define MS_NS ((int64_t)1000000)
/* Two keys of advisory locks, "clew" and "clex", each with that of the schema beside it. */
#define LOCK_ALONE "(1668048247, hashtext(current_schema()))"
#define LOCK_WRITER "(1668048248, hashtext(current_schema()))"

/* ---- texts ------------------------------------------------------------------------------------------------------ */

/* Of the URL: options that libpq understands in it. NULL: it is none. Its own message would repeat the URL, with the password. */
static PQconninfoOption *parse(const char *url) {
    char *message = NULL;
    PQconninfoOption *options = libpq.conninfo_parse(url, &message);
    libpq.freemem(message);
    return options;
}

static const char *option_of(const PQconninfoOption *options, const char *name) {
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        if (!strcmp(o->keyword, name)) return o->val && *o->val ? o->val : NULL;
    return NULL;
}

static err name_of(const struct db_options *o, char **out) {
    AUTO_BUF struct buf name;
    buf_init(&name, KIB);
    TRY(libpq_open());
    PQconninfoOption *options = parse(o->path);
    const char *host = option_of(options, "host"), *port = option_of(options, "port");
    const char *database = option_of(options, "dbname");
    bool good = options && (!port || strspn(port, "0123456789,") == strlen(port));
    if (!good) {
        libpq.conninfo_free(options);
        return err_new(ERR_INVALID, "the URL of the records is as postgresql://user@host:5432/database?sslmode="
                                    "verify-full, with %%XX for what is special in a password");
    }
    buf_add_text(&name, "PostgreSQL at ");
    put_terminal(&name, host ? str_of(host) : STR("its usual place"));
    if (port) buf_add_fmt(&name, ":%.20s", port);
    buf_add_text(&name, ", database ");
    put_terminal(&name, database ? str_of(database) : STR("of the user's name"));
    libpq.conninfo_free(options);
    *out = str_dup(name.full ? STR("PostgreSQL") : buf_str(&name));
    return NULL;
}

/* Appends s without `secret`. */
static void put_without(struct buf *out, struct str s, struct str secret) {
    for (size_t i = 0; i < s.n; i++) {
        if (secret.n && s.n - i >= secret.n && !memcmp(s.p + i, secret.p, secret.n)) {
            buf_add_text(out, "***");
            i += secret.n - 1;
        } else {
            buf_add_byte(out, s.p[i] == '\n' || s.p[i] == '\t' ? ' ' : s.p[i]);
        }
    }
}

void postgres_message(const struct db_connection *c, const char *text, struct buf *out) {
    AUTO_BUF struct buf bare;
    PQconninfoOption *options = parse(c->o->path);
    const char *password = option_of(options, "password"), *key = option_of(options, "sslpassword");
    buf_init(&bare, 8 * KIB);
    put_without(&bare, str_trim(str_of(text)), str_of(password ? password : key));
    libpq.conninfo_free(options);
    struct str s = bare.p ? buf_str(&bare) : STR("");
    put_terminal(out, (struct str){s.p, MIN(s.n, (size_t)MESSAGE_BYTES_MAX)});
}

static void ignore_notice(void *context, const char *message) { (void)context, (void)message; }

/* ---- connections ------------------------------------------------------------------------------------------------ */

static void drop(struct db_connection *c) {
    if (c->pg) libpq.finish(c->pg);
    c->pg = NULL;
    c->lost = false;
    memset(c->kept, 0, sizeof c->kept);
}

/* What is before `dbname` the URL may say otherwise. No Kerberos unless it is asked for: its library looks at files of the user. */
static const char *const keywords[] = {
    "connect_timeout",     "fallback_application_name", "gssencmode", "tcp_user_timeout", "keepalives_idle",
    "keepalives_interval", "keepalives_count",          "dbname",     "client_encoding",  NULL};
static const char *const settings[] = {"5", "clew", "disable", "10000", "10", "5", "3", NULL, "UTF8", NULL};

static void with_url(const struct db_connection *c, const char *values[LENGTH(settings)]) {
    for (size_t i = 0; i < LENGTH(settings); i++)
        values[i] = keywords[i] && !strcmp(keywords[i], "dbname") ? c->o->path : settings[i];
}

/* A server that answers but does not let us in wants its settings mended, or ours: ERR_INVALID. */
static err connect_socket(struct db_connection *c) {
    const char *values[LENGTH(settings)];
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    with_url(c, values);
    c->pg = libpq.connect(keywords, values, 1);
    if (c->pg && libpq.status(c->pg) == CONNECTION_OK) return NULL;
    postgres_message(c, c->pg ? libpq.error_message(c->pg) : "no memory", &text);
    drop(c);
    PGPing ping = libpq.ping(keywords, values, 1);
    return err_new(ping == PQPING_OK ? ERR_INVALID : ERR_UNAVAILABLE, "PostgreSQL: %s", text.p ? text.p : "no answer");
}

static err check_server(struct db_connection *c) {
    const char *encoding = libpq.parameter_status(c->pg, "server_encoding");
    int version = libpq.server_version(c->pg);
    if (version < VERSION_MIN)
        return err_new(ERR_INVALID, "PostgreSQL %d is too old: 13 or newer is needed", version / 10000);
    if (!encoding || strcmp(encoding, "UTF8") != 0)
        return err_new(ERR_INVALID, "the database has the encoding %.20s: make one with ENCODING 'UTF8'",
                       encoding ? encoding : "of nobody knows what");
    return NULL;
}

/* A role may have weaker settings: durability is our promise, so is that nothing waits for ever. */
static err set_up(struct db_connection *c) {
    char sql[800], there[64];
    libpq.set_notice_processor(c->pg, ignore_notice, NULL);
    snprintf(sql, sizeof sql,
             "SET statement_timeout = %u; SET lock_timeout = %u; SET idle_in_transaction_session_timeout = 300000;"
             "SET standard_conforming_strings = on; SET search_path = clew; SET default_transaction_deferrable = off;"
             "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3;"
             "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
             c->o->statement_ms, c->o->busy_ms);
    TRY(postgres_command(c, sql, NULL, NULL));
    if (!c->writes) return NULL;
    TRY(check_server(c));
    TRY(postgres_command(c, "SELECT to_regnamespace('clew')", NULL, there));
    return *there ? NULL : postgres_command(c, "CREATE SCHEMA IF NOT EXISTS clew", NULL, NULL);
}

/* For the life of the session. A clew that was killed holds it until the server has seen its end. */
static err be_alone(struct db_connection *c) {
    if (!c->writes || !c->o->alone) return NULL;
    err e = postgres_command(c, "SELECT pg_advisory_lock" LOCK_ALONE, NULL, NULL);
    if (e && err_kind(e) == ERR_BUSY) {
        err_free(e);
        return err_new(ERR_CONFLICT, "another clew has these records open");
    }
    return e;
}

static err connect_session(struct db_connection *c) {
    err e = connect_socket(c);
    if (!e) e = set_up(c);
    if (e) drop(c);
    return e;
}

/* A pause that doubles, with chance in it, so that many do not come at once. */
static void note_failure(struct db_connection *c) {
    int64_t ms = MIN((int64_t)100 << MIN(c->failures, 10u), (int64_t)PAUSE_MAX_MS);
    c->failures++;
    c->next_try_ns = clock_monotonic_ns() + ms * MS_NS / 2 + (int64_t)(random_u64() % (uint64_t)(ms * MS_NS / 2));
}

static err try_connect(struct db_connection *c) {
    err e = connect_session(c);
    if (!e) e = be_alone(c);
    if (!e) {
        if (c->failures) log_info("connected to the records again", F_U64("tries", c->failures));
        c->failures = 0;
        return NULL;
    }
    drop(c);
    note_failure(c);
    return e;
}

/* Once it has been open, whatever keeps us out may pass. */
static err ensure(struct db_connection *c) {
    if (c->pg && !c->lost && libpq.status(c->pg) == CONNECTION_OK) return NULL;
    drop(c);
    if (clock_monotonic_ns() < c->next_try_ns)
        return err_new(ERR_UNAVAILABLE,
                       "PostgreSQL, which has the records, is not there; it is tried again in a moment");
    return err_as(try_connect(c), ERR_UNAVAILABLE);
}

static void pause_until(int64_t monotonic_ns) {
    struct lock lock;
    struct signal_flag flag;
    lock_init(&lock);
    flag_init(&flag);
    lock_take(&lock);
    while (flag_wait_until(&flag, &lock, monotonic_ns)) {}
    lock_give(&lock);
    lock_done(&lock);
    flag_done(&flag);
}

static void disconnect(struct db_connection *c) {
    if (!c) return;
    drop(c);
    mem_free(c);
}

static void warn_of_fsync(struct db_connection *c) {
    char value[64];
    err e = postgres_command(c, "SHOW fsync", NULL, value);
    if (!e && !strcmp(value, "off"))
        log_warn("the PostgreSQL of the records has fsync off: a power cut may take what was acknowledged");
    err_free(e);
}

/* Readers connect when they begin. The writer does now; a server that is just starting is waited for. Refused is who was so twice: the first
 * time the server may have become ready between the refusal and the look at it. */
static err connect_to(const struct db_options *o, bool writes, struct db_connection **out) {
    TRY(libpq_open());
    struct db_connection *c = mem_new_of(struct db_connection);
    int64_t until = clock_monotonic_ns() + o->open_ms * MS_NS;
    bool was_refused = false;
    err e = NULL;
    c->o = o;
    c->writes = writes;
    while (writes && (e = try_connect(c))) {
        bool refused = err_kind(e) != ERR_UNAVAILABLE && err_kind(e) != ERR_CONFLICT && err_kind(e) != ERR_BUSY;
        if ((refused && was_refused) || c->next_try_ns >= until) break;
        was_refused = refused;
        err_free(e);
        pause_until(c->next_try_ns);
    }
    if (e) {
        disconnect(c);
        return e;
    }
    if (writes) warn_of_fsync(c);
    *out = c;
    return NULL;
}

/* ---- transactions ----------------------------------------------------------------------------------------------- */

/* Nothing to do if there is none. A connection that cannot even do this is of no use. */
static void rollback(struct db_connection *c) {
    c->transaction[0] = 0;
    if (!c->pg) return;
    if (c->lost) {
        drop(c);
        return;
    }
    if (libpq.transaction_status(c->pg) == PQTRANS_IDLE) return;
    err e = postgres_command(c, "ROLLBACK", NULL, NULL);
    if (e) drop(c);
    err_free(e);
}

static err start(struct db_connection *c) {
    char number[64] = "";
    err e = c->writes ? postgres_command(
                            c,
                            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SELECT pg_advisory_xact_lock" LOCK_WRITER
                            "; SELECT pg_current_xact_id()",
                            NULL, number)
                      : postgres_command(c, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, NULL);
    snprintf(c->transaction, sizeof c->transaction, "%.23s", number);
    return e;
}

/* A connection that was lost while nobody used it: nothing was under way, so another one will do. A server that is silent is not asked twice. */
static err begin(struct db_connection *c) {
    for (int tries = 0;; tries++) {
        TRY(ensure(c));
        int64_t from = clock_monotonic_ns();
        err e = start(c);
        bool again = e && c->lost && tries == 0 && clock_monotonic_ns() - from < IDLE_LOSS_MS * MS_NS;
        if (!e) return NULL;
        rollback(c);
        if (!again) return e;
        err_free(e);
    }
}

/* On a connection of its own: the one that the commit was sent on is lost. */
static err ask_status(struct db_connection *c, const char *transaction, char out[64]) {
    char sql[100];
    if (!c->pg || c->lost) {
        drop(c);
        TRY(connect_session(c));
    }
    snprintf(sql, sizeof sql, "SELECT pg_xact_status('%.23s'::xid8)", transaction);
    return postgres_command(c, sql, NULL, out);
}

/* e: of a commit whose answer was lost. Not for ever: then nobody knows, and it says so. */
static err outcome(struct db_connection *c, err e) {
    int64_t until = clock_monotonic_ns() + MIN(c->o->statement_ms, (uint32_t)OUTCOME_MS) * MS_NS;
    char transaction[24], status[64];
    memcpy(transaction, c->transaction, sizeof transaction);
    do {
        err no_answer = ask_status(c, transaction, status);
        if (!no_answer && strcmp(status, "in progress") != 0) {
            if ((no_answer = be_alone(c))) drop(c); /* the next one to begin says why */
            err_free(no_answer);
            if (!strcmp(status, "aborted")) return e;
            if (strcmp(status, "committed") != 0) break;
            err_free(e);
            return NULL;
        }
        err_free(no_answer);
        pause_until(clock_monotonic_ns() + 100 * MS_NS);
    } while (clock_monotonic_ns() < until);
    drop(c);
    return err_wrap(e, "whether this was committed is not known");
}

static err commit(struct db_connection *c) {
    char tag[16] = "";
    err e = c->lost ? err_new(ERR_UNAVAILABLE, "the connection to PostgreSQL has ended within this transaction")
                    : postgres_command(c, "COMMIT", tag, NULL);
    bool answer_lost = e && c->lost && *c->transaction;
    if (!e && strcmp(tag, "COMMIT") != 0)
        e = err_new(ERR_INTERNAL, "an error of a statement was passed over: PostgreSQL has rolled back");
    if (answer_lost) e = outcome(c, e);
    if (e) rollback(c);
    c->transaction[0] = 0;
    return err_wrap(e, "committing");
}

static err backup(struct db_connection *c, const char *to) {
    (void)c;
    return err_new(ERR_INVALID, "the records are in PostgreSQL and not copied to %s: its own pg_dump does that", to);
}

const struct db_engine db_postgres = {name_of,  connect_to,   disconnect,      begin,  commit,
                                      rollback, postgres_run, postgres_script, backup, false};
