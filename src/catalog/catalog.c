#include "catalog/catalog_priv.h"

#include <stdio.h>

#include "base/text.h"
#include "base/vec.h"
#include "os/clock.h"
#include "os/file.h"

const struct catalog_kind_row catalog_kinds[CATALOG_KINDS] = {
    [CATALOG_DASHBOARD] = {"dashboard", "dashboard", "dashboards", 1000, 5 << 20, 64 << 20},
    [CATALOG_RULES] = {"rules", "group of rules", "groups of rules", 2000, 1 << 20, 64 << 20},
};

static const char *const steps[] = {
    "CREATE TABLE documents (tenant TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, version "
    "BIGINT "
    "NOT NULL, revision BIGINT NOT NULL, created BIGINT NOT NULL, created_by TEXT NOT NULL, updated BIGINT NOT NULL, "
    "updated_by "
    "TEXT NOT NULL, bytes BIGINT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant, kind, id));"
    "CREATE UNIQUE INDEX documents_by_name ON documents (tenant, kind, name);"
    "CREATE INDEX documents_sizes ON documents (tenant, kind, id, bytes);", /* so that check_room reads no bodies */
};

err catalog_new(struct db *db, int64_t (*wall_ns)(void), struct catalog **out) {
    TRY(db_migrate(db, "catalog", steps, LENGTH(steps)));
    TRY(entities_open(db));
    struct catalog *c = mem_new_of(struct catalog);
    *c = (struct catalog){db, wall_ns ? wall_ns : clock_wall_ns};
    *out = c;
    return NULL;
}

void catalog_free(struct catalog *c) { mem_free(c); }

static struct db_value kind_value(enum catalog_kind k) { return DB_TEXT(str_of(catalog_kinds[k].name)); }

/* ---- what may be put -------------------------------------------------------------------------------------------- */

static err check_id(struct str id) {
    bool good = id.n > 0 && id.n <= CATALOG_ID_BYTES && id.p[0] != '.';
    for (size_t i = 0; i < id.n; i++)
        good &= (id.p[i] >= 'a' && id.p[i] <= 'z') || (id.p[i] >= 'A' && id.p[i] <= 'Z') ||
                (id.p[i] >= '0' && id.p[i] <= '9') || id.p[i] == '_' || id.p[i] == '-' || id.p[i] == '.';
    return good
               ? NULL
               : err_new(ERR_INVALID, "an id is 1 to %d of A-Z a-z 0-9 _ - . and begins with no dot", CATALOG_ID_BYTES);
}

static err check_name(enum catalog_kind kind, struct str name) {
    const char *one = catalog_kinds[kind].one;
    if (name.n == 0 || name.n > CATALOG_NAME_BYTES)
        return err_new(ERR_INVALID, "the name of a %s has 1 to %d bytes", one, CATALOG_NAME_BYTES);
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 127)
            return err_new(ERR_INVALID, "the name of a %s has no control characters", one);
    if (!utf8_is_valid(name)) return err_new(ERR_INVALID, "the name of a %s is UTF-8", one);
    if (str_trim(name).n != name.n)
        return err_new(ERR_INVALID, "the name of a %s neither begins nor ends with a blank", one);
    return NULL;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* In the order of COLUMNS; texts are those of `c`. */
#define COLUMNS "id, name, version, revision, created, created_by, updated, updated_by, bytes"
#define COLUMN_TYPES "ttiiititi"
enum { COLUMN_COUNT = 9 };

static void put_hex16(char out[17], int64_t n) { snprintf(out, 17, "%016llx", (unsigned long long)n); }
void catalog_tag(const struct catalog_document *d, char out[17]) { put_hex16(out, d->revision); }
void catalog_make_id(char out[17]) { put_hex16(out, (int64_t)random_u64()); }

static struct catalog_document document_of(const struct db_value *c) {
    return (struct catalog_document){.id = c[0].s,
                                     .name = c[1].s,
                                     .version = c[2].i,
                                     .revision = c[3].i,
                                     .created = c[4].i,
                                     .created_by = c[5].s,
                                     .updated = c[6].i,
                                     .updated_by = c[7].s,
                                     .bytes = (uint64_t)c[8].i};
}

/* What a transaction works with. */
struct asking {
    struct catalog *c;
    struct str tenant, id, search;
    enum catalog_kind kind;
    struct arena *a;
    VEC(struct catalog_document) found;
    struct catalog_document *out;
    catalog_each_fn *fn;
    void *context;
};

/* ASCII letters alone, so that each engine finds the same. */
static bool contains_nocase(struct str s, struct str part) {
    for (size_t i = 0; i + part.n <= s.n; i++)
        if (str_equal_nocase((struct str){s.p + i, part.n}, part)) return true;
    return false;
}

static err take_found(void *context, const struct db_value *columns) {
    struct asking *q = context;
    struct catalog_document d = document_of(columns);
    if (!contains_nocase(d.name, q->search)) return NULL;
    d.id = arena_copy(q->a, d.id);
    d.name = arena_copy(q->a, d.name);
    d.created_by = arena_copy(q->a, d.created_by);
    d.updated_by = arena_copy(q->a, d.updated_by);
    *vec_push(&q->found) = d; /* as many as count_max */
    return arena_err(q->a);
}

static err find(struct db_transaction *t, void *context) {
    struct asking *q = context;
    return db_rows(t, "SELECT " COLUMNS " FROM documents WHERE tenant = ? AND kind = ? ORDER BY name", COLUMN_TYPES,
                   take_found, q, DB_TEXT(q->tenant), kind_value(q->kind));
}

err catalog_find(struct catalog *c, struct str tenant, enum catalog_kind kind, struct str search, struct arena *a,
                 struct catalog_list *out) {
    struct asking q = {.c = c, .tenant = tenant, .kind = kind, .search = search, .a = a};
    struct catalog_document *v = NULL;
    err e = db_read(c->db, find, &q);
    if (!e) v = arena_array(a, struct catalog_document, q.found.n);
    if (!e && !v) e = arena_err(a);
    if (!e) {
        if (q.found.n) memcpy(v, q.found.v, q.found.n * sizeof *v);
        *out = (struct catalog_list){v, q.found.n};
    }
    vec_done(&q.found);
    return err_wrap(e, "listing %s", catalog_kinds[kind].many);
}

static err no_such(enum catalog_kind kind) {
    return err_new(ERR_NOT_FOUND, "there is no %s of that id", catalog_kinds[kind].one);
}

static err get(struct db_transaction *t, void *context) {
    struct asking *q = context;
    struct db_value row[COLUMN_COUNT + 1];
    bool found;
    TRY(db_one(t, "SELECT " COLUMNS ", body FROM documents WHERE tenant = ? AND kind = ? AND id = ?", COLUMN_TYPES "t",
               q->a, row, &found, DB_TEXT(q->tenant), kind_value(q->kind), DB_TEXT(q->id)));
    if (!found) return no_such(q->kind);
    *q->out = document_of(row);
    q->out->body = row[COLUMN_COUNT].s;
    return NULL;
}

err catalog_get(struct catalog *c, struct str tenant, enum catalog_kind kind, struct str id, struct arena *a,
                struct catalog_document *out) {
    struct asking q = {.c = c, .tenant = tenant, .kind = kind, .id = id, .a = a, .out = out};
    TRY(check_id(id));
    return db_read(c->db, get, &q);
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

struct change {
    struct catalog *c;
    const struct catalog_order *o;
    struct str name;
    struct arena *a;
    struct catalog_document *out;
    bool stale;
};

/* The revision that is there, if there is one. */
static err find_current(struct db_transaction *t, const struct change *c, struct catalog_document *out,
                        bool *out_found) {
    struct db_value row[COLUMN_COUNT];
    const struct catalog_order *o = c->o;
    TRY(db_one(t, "SELECT " COLUMNS " FROM documents WHERE tenant = ? AND kind = ? AND id = ?", COLUMN_TYPES, c->a, row,
               out_found, DB_TEXT(o->tenant), kind_value(o->kind), DB_TEXT(o->id)));
    *out = *out_found ? document_of(row) : (struct catalog_document){0};
    return NULL;
}

/* (2) */
static err check_expected(struct change *c, const struct catalog_document *current, bool there) {
    const struct catalog_expect *x = &c->o->expect;
    const char *one = catalog_kinds[c->o->kind].one;
    char tag[17];
    catalog_tag(current, tag);
    c->stale = (x->what == CATALOG_NONE && there) || (x->what == CATALOG_SOME && !there) ||
               (x->what == CATALOG_TAG && !(there && str_equal(x->tag, str_of(tag))));
    if (!c->stale) return NULL;
    if (!there) return err_new(ERR_CONFLICT, "there is no %s of that id any more", one);
    return x->what == CATALOG_NONE
               ? err_new(ERR_CONFLICT, "there is a %s of that id already", one)
               : err_new(ERR_CONFLICT, "the %s has been changed since it was read: it is version %lld now, by " STR_FMT,
                         one, (long long)current->version,
                         STR_ARG(current->updated_by.n ? current->updated_by : STR("somebody")));
}

static err check_name_is_free(struct db_transaction *t, const struct change *c) {
    struct db_value id;
    bool found;
    TRY(db_one(t, "SELECT id FROM documents WHERE tenant = ? AND kind = ? AND name = ? AND id <> ?", "t", c->a, &id,
               &found, DB_TEXT(c->o->tenant), kind_value(c->o->kind), DB_TEXT(c->name), DB_TEXT(c->o->id)));
    return found ? err_new(ERR_CONFLICT, "there is a %s of that name already: " STR_FMT, catalog_kinds[c->o->kind].one,
                           STR_ARG(id.s))
                 : NULL;
}

static err check_room(struct db_transaction *t, const struct change *c) {
    const struct catalog_kind_row *k = &catalog_kinds[c->o->kind];
    struct db_value row[2];
    bool found;
    TRY(db_one(
        t,
        "SELECT count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT) FROM documents WHERE tenant = ? AND kind = ? AND "
        "id <> ?",
        "ii", NULL, row, &found, DB_TEXT(c->o->tenant), kind_value(c->o->kind), DB_TEXT(c->o->id)));
    if (row[0].i >= k->count_max)
        return err_new(ERR_LIMIT, "there are %u %s already; delete some first", k->count_max, k->many);
    if ((uint64_t)row[1].i + c->o->body.n > k->bytes_max)
        return err_new(ERR_LIMIT, "the %s take more than %llu MiB; delete some first", k->many,
                       (unsigned long long)(k->bytes_max / MIB));
    return NULL;
}

static err write_document(struct db_transaction *t, struct str tenant, enum catalog_kind kind,
                          const struct catalog_document *d) {
    return db_run(
        t,
        "INSERT INTO documents (tenant, kind, id, name, version, revision, created, created_by, updated, "
        "updated_by, bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, kind, id) DO "
        "UPDATE SET name = excluded.name, version = excluded.version, revision = excluded.revision, updated = "
        "excluded.updated, updated_by = excluded.updated_by, bytes = excluded.bytes, body = excluded.body",
        NULL, DB_TEXT(tenant), kind_value(kind), DB_TEXT(d->id), DB_TEXT(d->name), DB_I64(d->version),
        DB_I64(d->revision), DB_I64(d->created), DB_TEXT(d->created_by), DB_I64(d->updated), DB_TEXT(d->updated_by),
        DB_I64((int64_t)d->body.n), DB_TEXT(d->body));
}

static err put(struct db_transaction *t, void *context) {
    struct change *c = context;
    const struct catalog_order *o = c->o;
    struct catalog_document current;
    bool there;
    int64_t now = c->c->wall_ns();
    TRY(find_current(t, c, &current, &there));
    TRY(check_expected(c, &current, there));
    TRY(check_name_is_free(t, c));
    TRY(check_room(t, c));
    *c->out = (struct catalog_document){.id = o->id,
                                        .name = c->name,
                                        .version = current.version + 1,
                                        .revision = (int64_t)random_u64(),
                                        .created = there ? current.created : now,
                                        .created_by = there ? current.created_by : o->by,
                                        .updated = now,
                                        .updated_by = o->by,
                                        .bytes = o->body.n,
                                        .body = o->body};
    return write_document(t, o->tenant, o->kind, c->out);
}

err catalog_put(struct catalog *c, const struct catalog_order *o, struct arena *a, struct catalog_document *out,
                bool *out_stale) {
    const struct catalog_kind_row *k = &catalog_kinds[o->kind];
    struct catalog_document put_one;
    struct change change = {.c = c, .o = o, .a = a, .out = &put_one};
    *out_stale = false;
    TRY(check_id(o->id));
    if (o->by.n > CATALOG_BY_BYTES) return err_new(ERR_INVALID, "by: no token's name");
    if (o->body.n > k->body_bytes_max)
        return err_new(ERR_LIMIT, "a %s of more than %u MiB", k->one, k->body_bytes_max >> 20);
    TRY(o->check(o->check_context, o->body, a, &change.name));
    TRY(check_name(o->kind, change.name));
    err e = db_write(c->db, put, &change);
    *out_stale = change.stale;
    if (!e) *out = put_one;
    return e;
}

static err delete_one(struct db_transaction *t, void *context) {
    struct change *c = context;
    struct catalog_document current;
    bool there;
    TRY(find_current(t, c, &current, &there));
    if (!there) return no_such(c->o->kind);
    TRY(check_expected(c, &current, there));
    return db_run(t, "DELETE FROM documents WHERE tenant = ? AND kind = ? AND id = ?", NULL, DB_TEXT(c->o->tenant),
                  kind_value(c->o->kind), DB_TEXT(c->o->id));
}

err catalog_delete(struct catalog *c, struct str tenant, enum catalog_kind kind, struct str id,
                   const struct catalog_expect *expect, bool *out_stale) {
    AUTO_ARENA struct arena a;
    struct catalog_order o = {.tenant = tenant, .id = id, .kind = kind, .expect = *expect};
    struct change change = {.c = c, .o = &o, .a = &a};
    arena_init(&a, 64 * KIB);
    *out_stale = false;
    TRY(check_id(id));
    err e = db_write(c->db, delete_one, &change);
    *out_stale = change.stale;
    return e;
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static err give_each(void *context, const struct db_value *columns) {
    struct asking *q = context;
    struct catalog_document d = document_of(columns);
    d.body = columns[COLUMN_COUNT].s;
    return q->fn(q->context, columns[COLUMN_COUNT + 1].s, &d);
}

static err each(struct db_transaction *t, void *context) {
    struct asking *q = context;
    return db_rows(t, "SELECT " COLUMNS ", body, tenant FROM documents WHERE kind = ? ORDER BY tenant, name",
                   COLUMN_TYPES "tt", give_each, q, kind_value(q->kind));
}

err catalog_each(struct catalog *c, enum catalog_kind kind, catalog_each_fn *fn, void *context) {
    struct asking q = {.c = c, .kind = kind, .fn = fn, .context = context};
    return db_read(c->db, each, &q);
}

static err give_head(void *context, const struct db_value *columns) {
    struct asking *q = context;
    struct catalog_document d = document_of(columns);
    return q->fn(q->context, columns[COLUMN_COUNT].s, &d);
}

static err each_head(struct db_transaction *t, void *context) {
    struct asking *q = context;
    return db_rows(t, "SELECT " COLUMNS ", tenant FROM documents WHERE kind = ? ORDER BY tenant, name",
                   COLUMN_TYPES "t", give_head, q, kind_value(q->kind));
}

err catalog_each_head(struct catalog *c, enum catalog_kind kind, catalog_each_fn *fn, void *context) {
    struct asking q = {.c = c, .kind = kind, .fn = fn, .context = context};
    return db_read(c->db, each_head, &q);
}

/* ---- copies ----------------------------------------------------------------------------------------------------- */

struct copying {
    struct catalog *from;
    struct str tenant;
    enum catalog_kind kind;
    struct db_transaction *to;
};

static err copy_document(void *context, struct str tenant, const struct catalog_document *d) {
    struct copying *c = context;
    return str_equal(tenant, c->tenant) ? write_document(c->to, tenant, c->kind, d) : NULL;
}

static err copy_documents(struct db_transaction *t, void *context) {
    struct copying *c = context;
    c->to = t;
    for (c->kind = 0; c->kind < CATALOG_KINDS; c->kind++) TRY(catalog_each(c->from, c->kind, copy_document, c));
    return NULL;
}

const char *catalog_elsewhere(const struct catalog *c) { return db_is_file(c->db) ? NULL : db_name(c->db); }

/* What is not known to be the tenant's is not in it. */
static err copy_tenant(struct catalog *c, struct str tenant, const char *to) {
    struct copying copying = {.from = c, .tenant = tenant};
    struct catalog *catalog = NULL;
    struct db *db = NULL;
    TRY(db_open(&(struct db_options){.path = to, .wall_ns = c->wall_ns}, &db));
    err e = catalog_new(db, c->wall_ns, &catalog);
    if (!e) e = db_write(db, copy_documents, &copying);
    catalog_free(catalog);
    db_close(db); /* nothing of it is in a log then */
    return e;
}

err catalog_backup(struct catalog *c, struct str tenant, const char *to) {
    if (!tenant.p) return db_backup(c->db, to);
    if (path_exists(to)) return err_new(ERR_CONFLICT, "%s exists", to);
    return err_wrap(copy_tenant(c, tenant, to), "copying the records of one tenant to %s", to);
}
