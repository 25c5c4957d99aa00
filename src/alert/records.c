#include "alert/records.h"

struct alert_records {
    struct db *db;
    struct notifier *notifier;
};

static const char *const steps[] = {
    "CREATE TABLE alert_states (name BYTEA NOT NULL, part BIGINT NOT NULL, body BYTEA NOT NULL, PRIMARY KEY (name, "
    "part));",
};

err alert_records_open(struct db *db, struct notifier *notifier, struct alert_records **out) {
    TRY(db_migrate(db, "alert", steps, LENGTH(steps)));
    struct alert_records *r = mem_new_of(struct alert_records);
    *r = (struct alert_records){db, notifier};
    *out = r;
    return NULL;
}

void alert_records_close(struct alert_records *r) { mem_free(r); }

/* ---- saving ------------------------------------------------------------------------------------------------------ */

struct saving {
    struct alert_records *r;
    const struct alert_kept *kept;
    size_t n;
    const struct alert_notice *notices;
    size_t notice_n;
};

static err save_text(struct db_transaction *t, const struct alert_kept *k) {
    int64_t part = 0;
    for (size_t at = 0; at < k->text.n; at += RECORDS_PART_BYTES)
        TRY(db_run(
            t,
            "INSERT INTO alert_states (name, part, body) VALUES (?, ?, ?) ON CONFLICT (name, part) DO UPDATE SET "
            "body = excluded.body",
            NULL, DB_BYTES(k->name), DB_I64(part++),
            DB_BYTES(((struct str){k->text.p + at, MIN(k->text.n - at, (size_t)RECORDS_PART_BYTES)}))));
    return db_run(t, "DELETE FROM alert_states WHERE name = ? AND part >= ?", NULL, DB_BYTES(k->name), DB_I64(part));
}

static err save_all(struct db_transaction *t, void *context) {
    struct saving *s = context;
    for (size_t i = 0; i < s->n; i++) TRY(save_text(t, &s->kept[i]));
    return s->r->notifier ? notifier_push_in(s->r->notifier, t, s->notices, s->notice_n) : NULL;
}

static err save(void *context, const struct alert_kept *kept, size_t n, const struct alert_notice *notices,
                size_t notice_n) {
    struct saving s = {context, kept, n, notices, notice_n};
    if (!n && !s.r->notifier) return NULL;
    TRY(db_write(s.r->db, save_all, &s));
    if (notice_n && s.r->notifier) notifier_wake(s.r->notifier);
    return NULL;
}

/* ---- reading ----------------------------------------------------------------------------------------------------- */

struct loading {
    struct str name;
    struct buf *out;
    void (*found)(void *x, struct str name);
    void *x;
};

static err add_part(void *context, const struct db_value *c) {
    struct loading *l = context;
    buf_add_str(l->out, c[0].s);
    return l->out->full ? err_new(ERR_LIMIT, "what is kept is too large") : NULL;
}

static err load_parts(struct db_transaction *t, void *context) {
    struct loading *l = context;
    return db_rows(t, "SELECT body FROM alert_states WHERE name = ? ORDER BY part", "b", add_part, l,
                   DB_BYTES(l->name));
}

static err load(void *context, struct str name, struct buf *out) {
    const struct alert_records *r = context;
    return db_read(r->db, load_parts, &(struct loading){.name = name, .out = out});
}

static err give_name(void *context, const struct db_value *c) {
    struct loading *l = context;
    l->found(l->x, c[0].s);
    return NULL;
}

static err list_names(struct db_transaction *t, void *context) {
    return db_rows(t, "SELECT name FROM alert_states WHERE part = 0 ORDER BY name", "b", give_name, context);
}

static err list(void *context, void (*found)(void *x, struct str name), void *x) {
    const struct alert_records *r = context;
    return db_read(r->db, list_names, &(struct loading){.found = found, .x = x});
}

struct alert_keeper alert_records_keeper(struct alert_records *r) {
    return (struct alert_keeper){r, save, load, list};
}
