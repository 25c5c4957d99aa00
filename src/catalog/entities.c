#include "catalog/entities.h"

#include "base/text.h"
#include "base/vec.h"
#include "catalog/catalog_priv.h"

const struct entity_kind_row entity_kinds[ENTITY_KINDS] = {
    [ENTITY_ENVIRONMENT] = {"environment", "environment", "environments", 1000, false},
    [ENTITY_SERVICE] = {"service", "service", "services", 10000, false},
    [ENTITY_CHANGE] = {"change", "change", "changes", 20000, true},
    [ENTITY_FINDING] = {"finding", "finding", "findings", 20000, true},
};

static const char *const steps[] = {
    "CREATE TABLE entities (tenant TEXT NOT NULL, kind TEXT NOT NULL, key TEXT NOT NULL, class TEXT NOT NULL, "
    "service TEXT NOT NULL, environment TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL, start_ns BIGINT "
    "NOT NULL, end_ns BIGINT NOT NULL, title TEXT NOT NULL, url TEXT NOT NULL, author TEXT NOT NULL, extra TEXT NOT "
    "NULL, first_seen BIGINT NOT NULL, last_seen BIGINT NOT NULL, PRIMARY KEY (tenant, kind, key));"
    "CREATE INDEX entities_by_time ON entities (tenant, kind, start_ns, key);",
};

err entities_open(struct db *db) { return db_migrate(db, "entities", steps, LENGTH(steps)); }

/* ---- what may be put -------------------------------------------------------------------------------------------- */

static err check_text(const char *what, struct str s, size_t max) {
    if (s.n > max) return err_new(ERR_LIMIT, "%s: more than %zu bytes", what, max);
    if (s.n && !utf8_is_valid(s)) return err_new(ERR_INVALID, "%s: no UTF-8", what);
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 127) return err_new(ERR_INVALID, "%s: control characters", what);
    return NULL;
}

static err check_key(struct str key) {
    if (!key.n) return err_new(ERR_INVALID, "id: empty");
    return check_text("id", key, ENTITY_KEY_BYTES);
}

static err check(const struct entity *e) {
    const struct {
        const char *what;
        struct str s;
        size_t max;
    } texts[] = {{"kind", e->class, ENTITY_NAME_BYTES},
                 {"service", e->service, ENTITY_NAME_BYTES},
                 {"environment", e->environment, ENTITY_NAME_BYTES},
                 {"state", e->state, ENTITY_NAME_BYTES},
                 {"severity", e->severity, ENTITY_NAME_BYTES},
                 {"author", e->author, ENTITY_NAME_BYTES},
                 {"title", e->title, ENTITY_TEXT_BYTES},
                 {"url", e->url, ENTITY_TEXT_BYTES}};
    TRY(check_key(e->key));
    for (size_t i = 0; i < LENGTH(texts); i++) TRY(check_text(texts[i].what, texts[i].s, texts[i].max));
    if (e->extra.n > ENTITY_EXTRA_BYTES)
        return err_new(ERR_LIMIT, "labels or evidence of more than %d KiB", ENTITY_EXTRA_BYTES >> 10);
    return e->end && e->end < e->start ? err_new(ERR_INVALID, "end: before the start") : NULL;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

#define COLUMNS                                                                                                        \
    "key, class, service, environment, state, severity, start_ns, end_ns, title, url, author, extra, first_seen, "     \
    "last_seen"
#define COLUMN_TYPES "ttttttiittttii"
enum { COLUMN_COUNT = 14 };

static struct entity entity_of(const struct db_value *c) {
    return (struct entity){.key = c[0].s,
                           .class = c[1].s,
                           .service = c[2].s,
                           .environment = c[3].s,
                           .state = c[4].s,
                           .severity = c[5].s,
                           .start = c[6].i,
                           .end = c[7].i,
                           .title = c[8].s,
                           .url = c[9].s,
                           .author = c[10].s,
                           .extra = c[11].s,
                           .first_seen = c[12].i,
                           .last_seen = c[13].i};
}

/* What a transaction works with. */
struct asking {
    struct catalog *c;
    struct str tenant, key;
    enum entity_kind kind;
    struct arena *a;
    const struct entity *put;
    const struct entity_filter *filter;
    int64_t after_start;
    struct str after_key;
    struct entity *out;
    bool is_new;
    VEC(struct entity) found;
};

static struct db_value kind_value(enum entity_kind k) { return DB_TEXT(str_of(entity_kinds[k].name)); }

static err read_one(struct db_transaction *t, struct asking *q, struct entity *out, bool *out_found) {
    struct db_value row[COLUMN_COUNT];
    TRY(db_one(t, "SELECT " COLUMNS " FROM entities WHERE tenant = ? AND kind = ? AND key = ?", COLUMN_TYPES, q->a, row,
               out_found, DB_TEXT(q->tenant), kind_value(q->kind), DB_TEXT(q->key)));
    if (*out_found) *out = entity_of(row);
    return NULL;
}

static err get(struct db_transaction *t, void *context) {
    struct asking *q = context;
    bool found;
    TRY(read_one(t, q, q->out, &found));
    return found ? NULL : err_new(ERR_NOT_FOUND, "there is no %s of that id", entity_kinds[q->kind].one);
}

err entity_get(struct catalog *c, struct str tenant, enum entity_kind kind, struct str key, struct arena *a,
               struct entity *out) {
    struct asking q = {.c = c, .tenant = tenant, .kind = kind, .key = key, .a = a, .out = out};
    TRY(check_key(key));
    return db_read(c->db, get, &q);
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

/* (3): steps over the rows of the index, of which there are at most as many. */
static err make_room(struct db_transaction *t, const struct asking *q) {
    const struct entity_kind_row *k = &entity_kinds[q->kind];
    struct db_value one;
    bool full;
    TRY(db_one(t, "SELECT start_ns FROM entities WHERE tenant = ? AND kind = ? ORDER BY start_ns LIMIT 1 OFFSET ?", "i",
               NULL, &one, &full, DB_TEXT(q->tenant), kind_value(q->kind), DB_I64((int64_t)k->count_max - 1)));
    if (!full) return NULL;
    if (!k->oldest_goes) return err_new(ERR_LIMIT, "there are %u %s already; delete some first", k->count_max, k->many);
    return db_run(t,
                  "DELETE FROM entities WHERE tenant = ? AND kind = ? AND key = (SELECT key FROM entities WHERE tenant "
                  "= ? AND kind = ? ORDER BY start_ns, key LIMIT 1)",
                  NULL, DB_TEXT(q->tenant), kind_value(q->kind), DB_TEXT(q->tenant), kind_value(q->kind));
}

static err put(struct db_transaction *t, void *context) {
    struct asking *q = context;
    struct entity before, e = *q->put;
    bool found;
    TRY(read_one(t, q, &before, &found));
    if (!found) TRY(make_room(t, q));
    e.last_seen = q->c->wall_ns();
    e.first_seen = found ? before.first_seen : e.last_seen;
    if (q->out) *q->out = e;
    q->is_new = !found;
    return db_run(t,
                  "INSERT INTO entities (tenant, kind, " COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                  "?, ?) ON CONFLICT (tenant, kind, key) DO UPDATE SET class = excluded.class, service = "
                  "excluded.service, environment = excluded.environment, state = excluded.state, severity = "
                  "excluded.severity, start_ns = excluded.start_ns, end_ns = excluded.end_ns, title = excluded.title, "
                  "url = excluded.url, author = excluded.author, extra = excluded.extra, last_seen = "
                  "excluded.last_seen",
                  NULL, DB_TEXT(q->tenant), kind_value(q->kind), DB_TEXT(e.key), DB_TEXT(e.class), DB_TEXT(e.service),
                  DB_TEXT(e.environment), DB_TEXT(e.state), DB_TEXT(e.severity), DB_I64(e.start), DB_I64(e.end),
                  DB_TEXT(e.title), DB_TEXT(e.url), DB_TEXT(e.author), DB_TEXT(e.extra), DB_I64(e.first_seen),
                  DB_I64(e.last_seen));
}

err entity_put(struct catalog *c, struct str tenant, enum entity_kind kind, const struct entity *e, struct arena *a,
               struct entity *out, bool *out_new) {
    struct asking q = {.c = c, .tenant = tenant, .kind = kind, .key = e->key, .a = a, .put = e, .out = out};
    TRY(check(e));
    TRY(db_write(c->db, put, &q));
    if (out_new) *out_new = q.is_new;
    return NULL;
}

struct seeing {
    struct catalog *c;
    struct str tenant;
    enum entity_kind kind;
    const struct entity_sight *v;
    size_t n, over;
};

static err see_one(struct db_transaction *t, struct seeing *s, const struct entity_sight *sight, int64_t now) {
    struct asking q = {.c = s->c, .tenant = s->tenant, .kind = s->kind, .key = sight->key};
    uint64_t changed;
    TRY(db_run(t, "UPDATE entities SET last_seen = ? WHERE tenant = ? AND kind = ? AND key = ?", &changed, DB_I64(now),
               DB_TEXT(s->tenant), kind_value(s->kind), DB_TEXT(sight->key)));
    if (changed) return NULL;
    err e = make_room(t, &q);
    if (e && err_kind(e) == ERR_LIMIT) {
        err_free(e); /* nothing of the database: the transaction goes on */
        s->over++;
        return NULL;
    }
    TRY(e);
    return db_run(t,
                  "INSERT INTO entities (tenant, kind, " COLUMNS
                  ") VALUES (?, ?, ?, ?, ?, '', '', '', ?, 0, '', '', '', "
                  "'', ?, ?)",
                  NULL, DB_TEXT(s->tenant), kind_value(s->kind), DB_TEXT(sight->key), DB_TEXT(sight->class),
                  DB_TEXT(sight->service), DB_I64(now), DB_I64(now), DB_I64(now));
}

static err see(struct db_transaction *t, void *context) {
    struct seeing *s = context;
    int64_t now = s->c->wall_ns();
    s->over = 0;
    for (size_t i = 0; i < s->n; i++) TRY(see_one(t, s, &s->v[i], now));
    return NULL;
}

err entity_seen(struct catalog *c, struct str tenant, enum entity_kind kind, const struct entity_sight *v, size_t n,
                size_t *out_over) {
    struct seeing s = {c, tenant, kind, v, n, 0};
    for (size_t i = 0; i < n; i++) {
        struct entity e = {.key = v[i].key, .class = v[i].class, .service = v[i].service};
        TRY(check(&e));
    }
    TRY(db_write(c->db, see, &s));
    *out_over = s.over;
    return NULL;
}

static err delete_one(struct db_transaction *t, void *context) {
    struct asking *q = context;
    uint64_t changed;
    TRY(db_run(t, "DELETE FROM entities WHERE tenant = ? AND kind = ? AND key = ?", &changed, DB_TEXT(q->tenant),
               kind_value(q->kind), DB_TEXT(q->key)));
    return changed ? NULL : err_new(ERR_NOT_FOUND, "there is no %s of that id", entity_kinds[q->kind].one);
}

err entity_delete(struct catalog *c, struct str tenant, enum entity_kind kind, struct str key) {
    struct asking q = {.c = c, .tenant = tenant, .kind = kind, .key = key};
    TRY(check_key(key));
    return db_write(c->db, delete_one, &q);
}

/* ---- lists ------------------------------------------------------------------------------------------------------ */

/* "START:KEY" of the last row of a page. */
static err read_after(struct asking *q) {
    struct str start;
    q->after_start = INT64_MAX;
    q->after_key = STR("");
    if (!q->filter->after.n) return NULL;
    err e = str_cut(q->filter->after, ':', &start, &q->after_key) ? parse_i64(start, &q->after_start)
                                                                  : err_new(ERR_INVALID, "no colon");
    if (!e) e = check_key(q->after_key);
    if (!e) return NULL;
    err_free(e);
    return err_new(ERR_INVALID, "cursor: it is none of a list of %s", entity_kinds[q->kind].many);
}

static err take_found(void *context, const struct db_value *columns) {
    struct asking *q = context;
    struct entity e = entity_of(columns);
    struct str *texts[] = {&e.key,      &e.class, &e.service, &e.environment, &e.state,
                           &e.severity, &e.title, &e.url,     &e.author,      &e.extra};
    for (size_t i = 0; i < LENGTH(texts); i++) *texts[i] = arena_copy(q->a, *texts[i]);
    *vec_push(&q->found) = e; /* as many as the limit */
    return arena_err(q->a);
}

static err find(struct db_transaction *t, void *context) {
    struct asking *q = context;
    const struct entity_filter *f = q->filter;
    return db_rows(t,
                   "SELECT " COLUMNS " FROM entities WHERE tenant = ? AND kind = ? AND start_ns >= ? AND start_ns <= ? "
                   "AND (? = '' OR class = ?) AND (? = '' OR service = ?) AND (? = '' OR environment = ?) AND (? = '' "
                   "OR state = ?) AND (start_ns < ? OR start_ns = ? AND key < ?) ORDER BY start_ns DESC, key DESC "
                   "LIMIT ?",
                   COLUMN_TYPES, take_found, q, DB_TEXT(q->tenant), kind_value(q->kind), DB_I64(f->start_min),
                   DB_I64(MIN(f->start_max, INT64_MAX - 1)), DB_TEXT(f->class), DB_TEXT(f->class), DB_TEXT(f->service),
                   DB_TEXT(f->service), DB_TEXT(f->environment), DB_TEXT(f->environment), DB_TEXT(f->state),
                   DB_TEXT(f->state), DB_I64(q->after_start), DB_I64(q->after_start), DB_TEXT(q->after_key),
                   DB_I64((int64_t)f->limit + 1));
}

static err give_list(struct asking *q, struct entity_list *out) {
    size_t n = MIN(q->found.n, (size_t)q->filter->limit);
    AUTO_BUF struct buf next;
    buf_init(&next, KIB);
    struct entity *v = arena_array(q->a, struct entity, n);
    if (!v) return arena_err(q->a);
    if (n) memcpy(v, q->found.v, n * sizeof *v);
    if (n < q->found.n) buf_add_fmt(&next, "%lld:" STR_FMT, (long long)v[n - 1].start, STR_ARG(v[n - 1].key));
    *out = (struct entity_list){v, n, next.n ? arena_copy(q->a, buf_str(&next)) : STR("")};
    return out->next.p ? NULL : arena_err(q->a);
}

err entity_find(struct catalog *c, struct str tenant, enum entity_kind kind, const struct entity_filter *f,
                struct arena *a, struct entity_list *out) {
    struct asking q = {.c = c, .tenant = tenant, .kind = kind, .filter = f, .a = a};
    assert(f->limit >= 1 && f->limit <= ENTITY_PAGE_MAX);
    TRY(read_after(&q));
    err e = db_read(c->db, find, &q);
    if (!e) e = give_list(&q, out);
    vec_done(&q.found);
    return err_wrap(e, "listing %s", entity_kinds[kind].many);
}
