#include "db/jobs.h"

#include <stdatomic.h>

#include "base/text.h"
#include "os/clock.h"

#define SECOND_NS ((int64_t)1000000000)

struct jobs {
    struct db *db;
    struct jobs_options options;
    struct str name;
    _Atomic uint64_t displaced;
};

/* due: when it may be taken, so the end of its lease as well. dead: 1, due is when it died. */
static const char *const steps[] = {
    "CREATE TABLE jobs (id BIGINT PRIMARY KEY, name TEXT NOT NULL, dead BIGINT NOT NULL, due BIGINT NOT NULL, lease "
    "BIGINT "
    "NOT NULL, tries BIGINT NOT NULL, pushed BIGINT NOT NULL, reason TEXT NOT NULL, body BYTEA NOT NULL);"
    "CREATE INDEX jobs_by_due ON jobs (name, dead, due, id);",
};

err jobs_open(struct db *db, const struct jobs_options *options, struct jobs **out) {
    assert(strlen(options->name) <= JOBS_NAME_BYTES);
    TRY(db_migrate(db, "jobs", steps, LENGTH(steps)));
    struct jobs *q = mem_new_of(struct jobs);
    q->db = db;
    q->options = *options;
    q->options.name = str_dup(str_of(options->name));
    q->name = str_of(q->options.name);
    if (!q->options.lease_ns) q->options.lease_ns = 60 * SECOND_NS;
    if (!q->options.tries_max) q->options.tries_max = 8;
    if (!q->options.backoff_ns) q->options.backoff_ns = SECOND_NS;
    if (!q->options.backoff_max_ns) q->options.backoff_max_ns = 3600 * SECOND_NS;
    if (!q->options.items_max) q->options.items_max = 10000;
    if (!q->options.wall_ns) q->options.wall_ns = clock_wall_ns;
    *out = q;
    return NULL;
}

void jobs_close(struct jobs *q) {
    if (!q) return;
    mem_free((char *)(uintptr_t)q->options.name);
    mem_free(q);
}

/* What a transaction on a queue works with. */
struct order {
    struct jobs *q;
    struct str body; /* or the reason */
    int64_t due, id;
    const struct job *job;
    struct arena *a;
    struct job *out;
    bool *out_found;
    int64_t now;
};

static struct order order_of(struct jobs *q) { return (struct order){.q = q, .now = q->options.wall_ns()}; }

/* ---- push ------------------------------------------------------------------------------------------------------- */

err jobs_push_in(struct jobs *q, struct db_transaction *t, struct str body, int64_t due_ns) {
    struct db_value one;
    bool full;
    int64_t now = q->options.wall_ns();
    if (body.n > JOBS_BODY_BYTES) return err_new(ERR_LIMIT, "a job of more than %d KiB", JOBS_BODY_BYTES >> 10);
    /* Steps over as many as there are: few, as a rule. */
    TRY(db_one(t, "SELECT dead FROM jobs WHERE name = ? AND dead = 0 LIMIT 1 OFFSET ?", "i", NULL, &one, &full,
               DB_TEXT(q->name), DB_I64((int64_t)q->options.items_max - 1)));
    if (full && !q->options.drop_oldest)
        return err_new(ERR_BUSY, "%u jobs wait in %s already", q->options.items_max, q->options.name);
    if (full) {
        TRY(db_run(t,
                   "DELETE FROM jobs WHERE id = (SELECT id FROM jobs WHERE name = ? AND dead = 0 ORDER BY id LIMIT 1)",
                   NULL, DB_TEXT(q->name)));
        atomic_fetch_add(&q->displaced, 1);
    }
    return db_run(
        t,
        "INSERT INTO jobs (id, name, dead, due, lease, tries, pushed, reason, body) SELECT coalesce(max(id), 0) "
        "+ 1, ?, 0, ?, 0, 0, ?, '', ? FROM jobs",
        NULL, DB_TEXT(q->name), DB_I64(due_ns ? due_ns : now), DB_I64(now), DB_BYTES(body));
}

uint64_t jobs_displaced(const struct jobs *q) { return atomic_load(&q->displaced); }

static err push(struct db_transaction *t, void *context) {
    struct order *o = context;
    return jobs_push_in(o->q, t, o->body, o->due);
}

err jobs_push(struct jobs *q, struct str body, int64_t due_ns) {
    struct order o = order_of(q);
    o.body = body;
    o.due = due_ns;
    return err_wrap(db_write(q->db, push, &o), "queue %s", q->options.name);
}

/* ---- dead ------------------------------------------------------------------------------------------------------- */

/* Also those over JOBS_DEAD_MAX go. */
static err bury(struct db_transaction *t, const struct order *o, int64_t id, struct str reason) {
    TRY(db_run(t, "UPDATE jobs SET dead = 1, due = ?, lease = 0, reason = ? WHERE id = ?", NULL, DB_I64(o->now),
               DB_TEXT(reason), DB_I64(id)));
    return db_run(t,
                  "DELETE FROM jobs WHERE id IN (SELECT id FROM jobs WHERE name = ? AND dead = 1 ORDER BY due DESC, id "
                  "DESC LIMIT 1000000 OFFSET ?)",
                  NULL, DB_TEXT(o->q->name), DB_I64(JOBS_DEAD_MAX));
}

/* ---- take ------------------------------------------------------------------------------------------------------- */

/* `due <= ?` stands twice for engines where two take at once: the second sees that the first was there. */
static err take_first(struct db_transaction *t, const struct order *o, struct db_value out[5], bool *out_found) {
    const struct jobs_options *k = &o->q->options;
    int64_t lease = (int64_t)(random_u64() >> 1) | 1;
    TRY(db_one(
        t,
        "UPDATE jobs SET due = ?, lease = ?, tries = tries + 1 WHERE due <= ? AND id = (SELECT id FROM jobs WHERE "
        "name = ? AND dead = 0 AND due <= ? ORDER BY due, id LIMIT 1) RETURNING id, tries, pushed, body, due",
        "iiibi", o->a, out, out_found, DB_I64(o->now + k->lease_ns), DB_I64(lease), DB_I64(o->now), DB_TEXT(o->q->name),
        DB_I64(o->now)));
    if (*out_found)
        *o->out = (struct job){.id = out[0].i,
                               .lease = lease,
                               .tries = (uint32_t)out[1].i,
                               .pushed = out[2].i,
                               .body = out[3].s,
                               .due = out[4].i};
    return NULL;
}

/* One whose takers never came back, often enough, is dead (3). */
static err take_job(struct db_transaction *t, void *context) {
    struct order *o = context;
    for (;;) {
        struct db_value row[5];
        TRY(take_first(t, o, row, o->out_found));
        if (!*o->out_found || o->out->tries <= o->q->options.tries_max) return NULL;
        TRY(bury(t, o, o->out->id, STR("its takers did not come back")));
    }
}

err jobs_take(struct jobs *q, struct arena *a, struct job *out, bool *out_found) {
    struct job job;
    bool found = false;
    struct order o = order_of(q);
    o.a = a;
    o.out = &job;
    o.out_found = &found;
    TRY_WRAP(db_write(q->db, take_job, &o), "queue %s", q->options.name);
    if (found) *out = job;
    *out_found = found;
    return NULL;
}

static err reclaim(struct db_transaction *t, void *context) {
    struct order *o = context;
    return db_run(t, "UPDATE jobs SET due = pushed, lease = 0 WHERE name = ? AND dead = 0 AND lease <> 0", NULL,
                  DB_TEXT(o->q->name));
}

err jobs_reclaim(struct jobs *q) {
    struct order o = order_of(q);
    return err_wrap(db_write(q->db, reclaim, &o), "queue %s", q->options.name);
}

struct others {
    struct str prefix;
    const struct str *names;
    size_t n;
    struct buf found; /* names, each ended by a zero */
};

static err note_other(void *context, const struct db_value *c) {
    struct others *o = context;
    for (size_t i = 0; i < o->n; i++)
        if (str_equal(c[0].s, o->names[i])) return NULL;
    if (str_starts_with(c[0].s, o->prefix)) buf_add(&o->found, c[0].s.p, c[0].s.n), buf_add_byte(&o->found, 0);
    return NULL;
}

static err end_others(struct db_transaction *t, void *context) {
    struct others *o = context;
    TRY(db_rows(t, "SELECT DISTINCT name FROM jobs", "t", note_other, o));
    for (size_t at = 0; at < o->found.n; at += strlen(o->found.p + at) + 1)
        TRY(db_run(t, "DELETE FROM jobs WHERE name = ?", NULL, DB_TEXT(str_of(o->found.p + at))));
    return NULL;
}

err jobs_end_others(struct db *db, struct str prefix, const struct str *names, size_t n) {
    struct others o = {prefix, names, n, {0}};
    TRY(db_migrate(db, "jobs", steps, LENGTH(steps)));
    buf_init(&o.found, MIB);
    err e = db_write(db, end_others, &o);
    buf_done(&o.found);
    return e;
}

/* ---- what becomes of it ----------------------------------------------------------------------------------------- */

static err held(uint64_t changed) {
    return changed ? NULL : err_new(ERR_CONFLICT, "the lease of this job has ended, and it is another's or gone");
}

static err extend(struct db_transaction *t, void *context) {
    struct order *o = context;
    uint64_t changed;
    TRY(db_run(t, "UPDATE jobs SET due = ? WHERE id = ? AND lease = ?", &changed,
               DB_I64(o->now + o->q->options.lease_ns), DB_I64(o->job->id), DB_I64(o->job->lease)));
    return held(changed);
}

static err finish(struct db_transaction *t, void *context) {
    struct order *o = context;
    uint64_t changed;
    TRY(db_run(t, "DELETE FROM jobs WHERE id = ? AND lease = ?", &changed, DB_I64(o->job->id), DB_I64(o->job->lease)));
    return held(changed);
}

static int64_t backoff(const struct jobs_options *o, uint32_t tries) {
    int64_t ns = o->backoff_ns;
    for (uint32_t i = 1; i < tries && ns < o->backoff_max_ns; i++) ns *= 2;
    return MIN(ns, o->backoff_max_ns);
}

static err fail(struct db_transaction *t, void *context) {
    struct order *o = context;
    uint64_t changed;
    bool last = o->job->tries >= o->q->options.tries_max;
    TRY(db_run(t, "UPDATE jobs SET due = ?, lease = 0, reason = ? WHERE id = ? AND lease = ?", &changed,
               DB_I64(o->now + backoff(&o->q->options, o->job->tries)), DB_TEXT(o->body), DB_I64(o->job->id),
               DB_I64(o->job->lease)));
    TRY(held(changed));
    return last ? bury(t, o, o->job->id, o->body) : NULL;
}

static err change(struct jobs *q, db_work *work, const struct job *job, struct str reason) {
    struct order o = order_of(q);
    o.job = job;
    o.body = reason;
    return err_wrap(db_write(q->db, work, &o), "queue %s", q->options.name);
}

err jobs_extend(struct jobs *q, const struct job *job) { return change(q, extend, job, STR("")); }
err jobs_done(struct jobs *q, const struct job *job) { return change(q, finish, job, STR("")); }

err jobs_fail(struct jobs *q, const struct job *job, struct str reason) {
    AUTO_BUF struct buf clean;
    buf_init(&clean, 8 * JOBS_REASON_BYTES);
    put_terminal(&clean, (struct str){reason.p, MIN(reason.n, (size_t)JOBS_REASON_BYTES)}); /* no zero bytes, UTF-8 */
    return change(q, fail, job, clean.p ? buf_str(&clean) : STR(""));
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

struct looking {
    struct jobs *q;
    struct jobs_counts *counts;
    jobs_on_dead *on_dead;
    void *context;
};

static err count(struct db_transaction *t, void *context) {
    struct looking *l = context;
    struct db_value row[3];
    struct jobs *q = l->q;
    bool found;
    int64_t now = q->options.wall_ns();
    TRY(db_one(t, "SELECT count(*), coalesce(min(due), 0) FROM jobs WHERE name = ? AND dead = 0 AND due <= ?", "ii",
               NULL, row, &found, DB_TEXT(q->name), DB_I64(now)));
    l->counts->due = (uint64_t)row[0].i;
    l->counts->oldest_due = row[1].i;
    TRY(db_one(t, "SELECT count(*) FROM jobs WHERE name = ? AND dead = 0 AND due > ?", "i", NULL, row, &found,
               DB_TEXT(q->name), DB_I64(now)));
    l->counts->later = (uint64_t)row[0].i;
    TRY(db_one(t, "SELECT count(*) FROM jobs WHERE name = ? AND dead = 1", "i", NULL, row, &found, DB_TEXT(q->name)));
    l->counts->dead = (uint64_t)row[0].i;
    return NULL;
}

err jobs_count(struct jobs *q, struct jobs_counts *out) {
    struct jobs_counts counts = {0};
    TRY_WRAP(db_read(q->db, count, &(struct looking){.q = q, .counts = &counts}), "queue %s", q->options.name);
    *out = counts;
    return NULL;
}

static err on_dead(void *context, const struct db_value *c) {
    struct looking *l = context;
    struct job job = {.id = c[0].i, .pushed = c[1].i, .due = c[2].i, .tries = (uint32_t)c[3].i, .body = c[5].s};
    return l->on_dead(l->context, &job, c[4].s);
}

static err read_dead(struct db_transaction *t, void *context) {
    struct looking *l = context;
    return db_rows(t,
                   "SELECT id, pushed, due, tries, reason, body FROM jobs WHERE name = ? AND dead = 1 ORDER BY due, id",
                   "iiiitb", on_dead, l, DB_TEXT(l->q->name));
}

err jobs_dead(struct jobs *q, jobs_on_dead *each, void *context) {
    struct looking l = {.q = q, .on_dead = each, .context = context};
    return err_wrap(db_read(q->db, read_dead, &l), "queue %s", q->options.name);
}

static err revive(struct db_transaction *t, void *context) {
    struct order *o = context;
    uint64_t changed;
    TRY(db_run(t, "UPDATE jobs SET dead = 0, due = ?, tries = 0 WHERE id = ? AND name = ? AND dead = 1", &changed,
               DB_I64(o->now), DB_I64(o->id), DB_TEXT(o->q->name)));
    return changed ? NULL : err_new(ERR_NOT_FOUND, "there is no dead job of that number");
}

static err drop(struct db_transaction *t, void *context) {
    struct order *o = context;
    uint64_t changed;
    TRY(db_run(t, "DELETE FROM jobs WHERE id = ? AND name = ? AND dead = 1", &changed, DB_I64(o->id),
               DB_TEXT(o->q->name)));
    return changed ? NULL : err_new(ERR_NOT_FOUND, "there is no dead job of that number");
}

static err change_dead(struct jobs *q, db_work *work, int64_t id) {
    struct order o = order_of(q);
    o.id = id;
    return err_wrap(db_write(q->db, work, &o), "queue %s", q->options.name);
}

err jobs_revive(struct jobs *q, int64_t id) { return change_dead(q, revive, id); }
err jobs_drop(struct jobs *q, int64_t id) { return change_dead(q, drop, id); }
