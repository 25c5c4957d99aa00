/* catalog: the records that people keep: dashboards and groups of rules, one document each, of a tenant.
 *
 *   documents (tenant, kind, id) ─ name, body (JSON as it came), revision, who and when
 *
 * What a dashboard or a rule means, it does not know: who puts a document says by `check` whether its body is one, and its name.
 *
 * Invariants: (1) a revision is named by its tag, and no two revisions of an id have had the same one, also not across a delete.
 * (2) a put or delete that expects a tag changes nothing unless that is the revision that is there. (3) a name is one document's, within
 * tenant and kind. (4) a tenant sees its own. (5) deleting keeps nothing: no history, no mark; bytes are overwritten with zeros when
 * SQLite next writes its log back, at the latest at the end of the process.
 * Limits: by kind, in catalog_kinds: documents and bytes a tenant, bytes a body; ids CATALOG_ID_BYTES of [A-Za-z0-9_.-]; names
 * CATALOG_NAME_BYTES of UTF-8 without control characters or blanks at the ends.
 * Owner: the caller frees; the database outlives it. Threads: any. Blocks as db does.
 * Errors: ERR_INVALID, ERR_CONFLICT (the name or the id is taken; the revision is another one), ERR_NOT_FOUND, ERR_LIMIT, those of db.h.
 */
#pragma once

#include "db/db.h"

struct catalog;

enum catalog_kind { CATALOG_DASHBOARD, CATALOG_RULES, CATALOG_KINDS };
enum { CATALOG_ID_BYTES = 64, CATALOG_NAME_BYTES = 200, CATALOG_BY_BYTES = 64 };

struct catalog_kind_row {
    const char *name, *one, *many; /* in the database; in sentences */
    uint32_t count_max;            /* a tenant */
    uint32_t body_bytes_max;
    uint64_t bytes_max; /* of all bodies of a tenant */
};
extern const struct catalog_kind_row catalog_kinds[CATALOG_KINDS];

struct catalog_document {
    struct str id, name;
    int64_t version;  /* 1, 2, … */
    int64_t revision; /* chance: what its tag is made of */
    int64_t created, updated;
    struct str created_by, updated_by; /* tokens' names; empty without */
    uint64_t bytes;                    /* of the body */
    struct str body;                   /* p NULL in lists */
};                                     /* The tag of its revision: 16 hex digits, for an ETag. */
void catalog_tag(const struct catalog_document *d, char out[17]);

err catalog_new(struct db *db, int64_t (*wall_ns)(void), struct catalog **out); /* wall_ns NULL: clock_wall_ns */
void catalog_free(struct catalog *c);                                           /* takes NULL */

/* Documents of a kind whose names contain `search` (ASCII letters without regard to case; empty: all), by name. Texts are the arena's. */
struct catalog_list {
    struct catalog_document *v;
    size_t n;
};
err catalog_find(struct catalog *c, struct str tenant, enum catalog_kind kind, struct str search, struct arena *a,
                 struct catalog_list *out);
err catalog_get(struct catalog *c, struct str tenant, enum catalog_kind kind, struct str id, struct arena *a,
                struct catalog_document *out);

/* What a put or delete finds: anything; nothing; the revision of that tag; or any revision. */
struct catalog_expect {
    enum { CATALOG_ANY, CATALOG_NONE, CATALOG_TAG, CATALOG_SOME } what;
    struct str tag;
};
/* Says whether the body is a document of its kind, and its name (slices of the body, or of the arena). */
typedef err catalog_check(void *context, struct str body, struct arena *a, struct str *out_name);
struct catalog_order {
    struct str tenant, id, body, by;
    enum catalog_kind kind;
    struct catalog_expect expect;
    catalog_check *check;
    void *check_context;
};
/* *out_stale: it is ERR_CONFLICT because of `expect`. `out` without body; its texts are the order's or the arena's. */
err catalog_put(struct catalog *c, const struct catalog_order *o, struct arena *a, struct catalog_document *out,
                bool *out_stale);
/* ERR_NOT_FOUND if there is none. */
err catalog_delete(struct catalog *c, struct str tenant, enum catalog_kind kind, struct str id,
                   const struct catalog_expect *expect, bool *out_stale);
/* An id that nobody has: 16 hex digits. */
void catalog_make_id(char out[17]);

/* Every document of a kind, of all tenants, with its body; borrowed for the call. For who works on all of them: rules, copies. */
typedef err catalog_each_fn(void *context, struct str tenant, const struct catalog_document *d);
err catalog_each(struct catalog *c, enum catalog_kind kind, catalog_each_fn *fn, void *context);
/* The same without bodies: for who looks what has changed. */
err catalog_each_head(struct catalog *c, enum catalog_kind kind, catalog_each_fn *fn, void *context);

/* Where the records are if that is no file of the data directory: "PostgreSQL at …". NULL: a file. */
const char *catalog_elsewhere(const struct catalog *c);
/* A copy of the records: of all (not where they are elsewhere: ERR_INVALID), or (p not NULL) of one tenant's documents and nothing else. `to` must not exist. */
err catalog_backup(struct catalog *c, struct str tenant, const char *to);
