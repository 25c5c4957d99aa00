/* Statements: prepared at the server once a connection, values and columns in binary, rows one by one as they come.
 * PostgreSQL 15: chapter 34 (libpq), appendix A (codes of errors). */
#include "db/postgres_priv.h"
#include "db/postgres_sql_priv.h"

#include <stdio.h>

#include "base/text.h"
#include "os/clock.h"
#include "os/socket.h"

enum {
    TYPE_BOOL = 16,
    TYPE_BYTEA,
    TYPE_NAME = 19,
    TYPE_I64,
    TYPE_I16,
    TYPE_I32 = 23,
    TYPE_TEXT = 25,
    TYPE_F32 = 700,
    TYPE_F64,
    TYPE_VARCHAR = 1043
};

/* ---- errors ----------------------------------------------------------------------------------------------------- */

static const struct {
    const char *code; /* or the class that it begins with; the first that fits */
    enum err_kind kind;
} codes[] = {
    {"23505", ERR_CONFLICT},    {"23503", ERR_CONFLICT},    {"23001", ERR_CONFLICT}, {"23P01", ERR_CONFLICT},
    {"23", ERR_INVALID},        {"40", ERR_BUSY},           {"55P03", ERR_BUSY},     {"0A000", ERR_BUSY},
    {"57014", ERR_UNAVAILABLE}, {"25006", ERR_UNAVAILABLE}, {"08", ERR_UNAVAILABLE}, {"57", ERR_UNAVAILABLE},
    {"53", ERR_UNAVAILABLE},    {"22021", ERR_INVALID},     {"22P05", ERR_INVALID},  {"54", ERR_LIMIT},
    {"28", ERR_DENIED},         {"42501", ERR_DENIED},      {"58", ERR_IO},          {"XX001", ERR_CORRUPT},
    {"XX002", ERR_CORRUPT},
};

static enum err_kind kind_of(const char *code) {
    for (size_t i = 0; i < LENGTH(codes); i++)
        if (str_starts_with(str_of(code), str_of(codes[i].code))) return codes[i].kind;
    return ERR_INTERNAL;
}

static err lost(struct db_connection *c) {
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    postgres_message(c, libpq.error_message(c->pg), &text);
    c->lost = true;
    return err_new(ERR_UNAVAILABLE, "the connection to PostgreSQL has ended: %s", text.p ? text.p : "without a word");
}

err postgres_fail(struct db_connection *c, const PGresult *result) {
    const char *code = result ? libpq.error_field(result, PG_DIAG_SQLSTATE) : NULL;
    const char *message = result ? libpq.error_field(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    if (!code || libpq.status(c->pg) == CONNECTION_BAD) {
        err e = code && kind_of(code) == ERR_UNAVAILABLE ? NULL : lost(c);
        c->lost = true;
        if (e) return e;
    }
    if (!strcmp(code, "25006") && !c->writes) return err_new(ERR_INTERNAL, "a reading does not write");
    if (!strcmp(code, "25P02")) return err_new(ERR_INTERNAL, "a statement after one that failed, in one transaction");
    postgres_message(c, message ? message : "an error without a text", &text);
    return err_new(kind_of(code), "PostgreSQL: %s (%s)", text.p ? text.p : "", code);
}

/* ---- answers ---------------------------------------------------------------------------------------------------- */

err postgres_answer(struct db_connection *c, PGresult **out) {
    int64_t ms = c->o->statement_ms + MIN(c->o->statement_ms, 5000u), until = clock_monotonic_ns() + ms * 1000000;
    while (libpq.is_busy(c->pg)) {
        if (!socket_ready_wait(libpq.socket(c->pg), false, until)) {
            c->lost = true;
            return err_new(ERR_UNAVAILABLE, "PostgreSQL has not answered for %lld ms", (long long)ms);
        }
        if (!libpq.consume_input(c->pg)) return lost(c);
    }
    *out = libpq.get_result(c->pg);
    return NULL;
}

static bool is_good(const PGresult *r) {
    ExecStatusType s = libpq.result_status(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK || s == PGRES_SINGLE_TUPLE || s == PGRES_EMPTY_QUERY;
}

typedef err on_answer(struct db_connection *c, void *context, const PGresult *r);

/* All answers to what was sent, as the protocol wants, also after an error: the first one counts. */
static err take_answers(struct db_connection *c, bool sent, on_answer *on, void *context) {
    err e = sent ? NULL : lost(c);
    while (!c->lost) {
        PGresult *r = NULL;
        err broken = postgres_answer(c, &r);
        if (broken) {
            err_free(e); /* whatever it was: its transaction is gone */
            return broken;
        }
        if (!r) break;
        if (!e) e = is_good(r) ? on ? on(c, context, r) : NULL : postgres_fail(c, r);
        libpq.clear(r);
    }
    return e;
}

struct command {
    char *tag, *value;
};

static err note_command(struct db_connection *c, void *context, const PGresult *r) {
    const struct command *k = context;
    (void)c;
    if (k->tag) snprintf(k->tag, 16, "%s", libpq.command_status((PGresult *)(uintptr_t)r));
    if (k->value && libpq.fields(r) > 0)
        snprintf(k->value, 64, "%s", libpq.tuples(r) > 0 && !libpq.is_null(r, 0, 0) ? libpq.value(r, 0, 0) : "");
    return NULL;
}

err postgres_command(struct db_connection *c, const char *sql, char out_tag[16], char out_value[64]) {
    struct command k = {out_tag, out_value};
    if (out_value) *out_value = 0;
    return take_answers(c, libpq.send_query(c->pg, sql), note_command, &k);
}

err postgres_script(struct db_connection *c, const char *sql) {
    AUTO_BUF struct buf text;
    size_t places;
    buf_init(&text, SQL_BYTES_MAX);
    TRY(postgres_sql(sql, true, &text, &places));
    return postgres_command(c, text.p ? text.p : "", NULL, NULL);
}

/* ---- preparing -------------------------------------------------------------------------------------------------- */

static Oid type_of(enum db_type type) {
    static const Oid types[] = {
        [DB_I64_TYPE] = TYPE_I64, [DB_F64_TYPE] = TYPE_F64, [DB_TEXT_TYPE] = TYPE_TEXT, [DB_BYTES_TYPE] = TYPE_BYTEA};
    return types[type]; /* 0 of NULL: the server finds it */
}

static err forget(struct db_connection *c, struct kept *k) {
    char sql[64];
    if (!k->sql) return NULL;
    snprintf(sql, sizeof sql, "DEALLOCATE s%llu", (unsigned long long)k->name);
    k->sql = NULL;
    k->used = 0;
    return postgres_command(c, sql, NULL, NULL);
}

static err prepare_in(struct db_connection *c, struct kept *place, const struct db_statement *s, const char *types) {
    AUTO_BUF struct buf text;
    Oid oids[DB_VALUES_MAX];
    char name[32];
    size_t places;
    bool defines = str_starts_with(str_of(s->sql), STR("CREATE TABLE"));
    buf_init(&text, SQL_BYTES_MAX);
    TRY(postgres_sql(s->sql, defines, &text, &places));
    if (places != s->value_count) return err_new(ERR_INTERNAL, "%zu values for %zu places", s->value_count, places);
    TRY(forget(c, place));
    for (size_t i = 0; i < places; i++) oids[i] = type_of(s->values[i].type);
    snprintf(name, sizeof name, "s%llu", (unsigned long long)++c->names);
    TRY(take_answers(c, libpq.send_prepare(c->pg, name, text.p ? text.p : "", (int)places, oids), NULL, NULL));
    *place = (struct kept){.sql = s->sql, .name = c->names, .used = ++c->uses};
    memcpy(place->types, types, sizeof place->types);
    return NULL;
}

/* Prepared, or prepared now in the place of the one that was not used for longest. */
static err prepare(struct db_connection *c, const struct db_statement *s, struct kept **out) {
    char types[DB_VALUES_MAX + 1] = {0};
    struct kept *place = &c->kept[0];
    for (size_t i = 0; i < s->value_count; i++) types[i] = (char)('0' + (int)s->values[i].type);
    for (size_t i = 0; i < STATEMENTS_MAX; i++) {
        struct kept *k = &c->kept[i];
        if (k->sql == s->sql && !strcmp(k->types, types)) {
            k->used = ++c->uses;
            *out = k;
            return NULL;
        }
        if (k->used < place->used) place = k;
    }
    TRY(prepare_in(c, place, s, types));
    *out = place;
    return NULL;
}

/* ---- values and columns ----------------------------------------------------------------------------------------- */

static void put_be64(unsigned char out[8], uint64_t v) {
    for (int i = 0; i < 8; i++) out[i] = (unsigned char)(v >> (56 - 8 * i));
}

static uint64_t be_at(const char *p, size_t n) {
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) v = v << 8 | (unsigned char)p[i];
    return v;
}

struct bound {
    unsigned char numbers[DB_VALUES_MAX][8];
    const char *values[DB_VALUES_MAX];
    int lengths[DB_VALUES_MAX], formats[DB_VALUES_MAX];
};

static void bind_value(struct bound *b, size_t i, const struct db_value *v) {
    uint64_t bits = (uint64_t)v->i;
    b->formats[i] = 1; /* binary */
    if (v->type == DB_NULL_TYPE) return;
    if (v->type == DB_F64_TYPE) memcpy(&bits, &v->f, sizeof bits);
    if (v->type == DB_TEXT_TYPE || v->type == DB_BYTES_TYPE) {
        b->values[i] = v->s.n ? v->s.p : "";
        b->lengths[i] = (int)v->s.n;
        return;
    }
    put_be64(b->numbers[i], bits);
    b->values[i] = (const char *)b->numbers[i];
    b->lengths[i] = 8;
}

static struct db_value float_of(uint64_t bits, bool is_double) {
    uint32_t half = (uint32_t)bits;
    double d;
    float f;
    memcpy(&d, &bits, sizeof d);
    memcpy(&f, &half, sizeof f);
    return DB_F64(is_double ? d : (double)f);
}

/* False: a type that is none of ours. */
static bool column(const PGresult *r, int at, struct db_value *out) {
    const char *p = libpq.value(r, 0, at);
    size_t n = (size_t)libpq.length(r, 0, at);
    if (libpq.is_null(r, 0, at)) {
        *out = DB_NULL;
        return true;
    }
    switch (libpq.field_type(r, at)) {
    case TYPE_BOOL: *out = DB_I64(n == 1 && *p); return n == 1;
    case TYPE_I16: *out = DB_I64((int16_t)be_at(p, 2)); return n == 2;
    case TYPE_I32: *out = DB_I64((int32_t)be_at(p, 4)); return n == 4;
    case TYPE_I64: *out = DB_I64((int64_t)be_at(p, 8)); return n == 8;
    case TYPE_F32: *out = float_of(be_at(p, 4), false); return n == 4;
    case TYPE_F64: *out = float_of(be_at(p, 8), true); return n == 8;
    case TYPE_NAME:
    case TYPE_VARCHAR:
    case TYPE_TEXT: *out = DB_TEXT(str_span(p, n)); return true;
    case TYPE_BYTEA: *out = DB_BYTES(str_span(p, n)); return true;
    default: return false;
    }
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

struct running {
    const struct db_statement *order;
    uint64_t changed;
};

static err give_row(const struct db_statement *order, const PGresult *r) {
    struct db_value columns[DB_COLUMNS_MAX];
    for (int i = 0; order->types[i]; i++) {
        if (!column(r, i, &columns[i]))
            return err_new(ERR_INTERNAL, "column %s has type %u of PostgreSQL: it wants a CAST", libpq.field_name(r, i),
                           libpq.field_type(r, i));
        if (!db_type_fits(order->types[i], columns[i].type))
            return err_new(ERR_CORRUPT, "column %s has another type than it must", libpq.field_name(r, i));
    }
    return order->on_row(order->context, columns);
}

static err on_result(struct db_connection *c, void *context, const PGresult *r) {
    struct running *run = context;
    uint64_t changed = 0;
    (void)c;
    if (run->order->types && libpq.fields(r) != (int)strlen(run->order->types))
        return err_new(ERR_INTERNAL, "%d columns, and types for %zu", libpq.fields(r), strlen(run->order->types));
    if (libpq.result_status(r) == PGRES_SINGLE_TUPLE)
        return run->order->types && *run->order->types ? give_row(run->order, r) : NULL;
    const char *text = libpq.command_tuples((PGresult *)(uintptr_t)r);
    if (*text) TRY(parse_u64(str_of(text), &changed));
    run->changed = changed;
    return NULL;
}

/* A plan that a changed table has made old is prepared anew the next time. */
static void forget_old_plan(struct db_connection *c, struct kept *k, err e) {
    if (!e || !strstr(err_text(e), "(0A000)")) return;
    k->sql = NULL;
    k->used = 0;
    (void)c;
}

err postgres_run(struct db_connection *c, const struct db_statement *order, uint64_t *out_changed) {
    struct running running = {order, 0};
    struct bound b = {0};
    struct kept *k;
    char name[32];
    if (c->lost) return err_new(ERR_UNAVAILABLE, "the connection to PostgreSQL has ended within this transaction");
    TRY(prepare(c, order, &k));
    for (size_t i = 0; i < order->value_count; i++) bind_value(&b, i, &order->values[i]);
    snprintf(name, sizeof name, "s%llu", (unsigned long long)k->name);
    bool sent = libpq.send_prepared(c->pg, name, (int)order->value_count, b.values, b.lengths, b.formats, 1);
    if (sent) libpq.single_row_mode(c->pg);
    err e = take_answers(c, sent, on_result, &running);
    forget_old_plan(c, k, e);
    if (!e) *out_changed = running.changed;
    return e;
}
