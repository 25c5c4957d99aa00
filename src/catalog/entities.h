/* The nouns that others join on, as rows: environments, services, changes (commits, deployments, …) and findings. Public.
 *
 *   entities (tenant, kind, key) ─ class, service, environment, state, severity, start, end, title, url, author, extra, first and last seen
 *
 * Which of the fields a kind uses is in entity_kinds; others are empty. A put is an upsert by key: what was there is replaced, but for
 * first_seen; last_seen is its time. What `extra` (JSON: labels of a change, evidence of a finding) means, the catalog does not know.
 *
 * Invariants: (1) a tenant sees its own. (2) a list is newest first by (start, key), and its pages have no gap and no row twice as long as
 * nothing between is put. (3) over the limit of changes and findings the oldest goes; environments and services are refused.
 * Limits: entity_kinds; keys ENTITY_KEY_BYTES of UTF-8 without control characters; a text its own below; extra ENTITY_EXTRA_BYTES.
 * Owner: as catalog.h. Threads: any. Errors: ERR_INVALID, ERR_NOT_FOUND, ERR_LIMIT, those of db.h.
 */
#pragma once

#include "catalog/catalog.h"

enum entity_kind { ENTITY_ENVIRONMENT, ENTITY_SERVICE, ENTITY_CHANGE, ENTITY_FINDING, ENTITY_KINDS };
enum {
    ENTITY_KEY_BYTES = 200,
    ENTITY_NAME_BYTES = 200,  /* class, service, environment, state, severity, author */
    ENTITY_TEXT_BYTES = 1000, /* title, url */
    ENTITY_EXTRA_BYTES = 64 << 10,
    ENTITY_PAGE_MAX = 1000
};

struct entity_kind_row {
    const char *name, *one, *many; /* in the database; in sentences */
    uint32_t count_max;            /* a tenant */
    bool oldest_goes;
};
extern const struct entity_kind_row entity_kinds[ENTITY_KINDS];

struct entity {
    struct str key;
    struct str class;   /* kind of a change or finding; namespace of a service */
    struct str service; /* that it is about; the name of a service without its namespace */
    struct str environment, state, severity, title, url, author, extra;
    int64_t start, end;            /* when it was; end 0: none, or it goes on */
    int64_t first_seen, last_seen; /* set by put */
};

/* `out` (may be NULL) is the row as it is now, its texts e's or the arena's; *out_new: there was none. */
err entity_put(struct catalog *c, struct str tenant, enum entity_kind kind, const struct entity *e, struct arena *a,
               struct entity *out, bool *out_new);
/* An environment or service that was seen at work: a row of it if there is none, else only its last_seen moves. What people said of it stays.
 * One transaction for all; those over the limit are left out, *out_over counts them. */
struct entity_sight {
    struct str key, class, service;
};
err entity_seen(struct catalog *c, struct str tenant, enum entity_kind kind, const struct entity_sight *v, size_t n,
                size_t *out_over);
err entity_get(struct catalog *c, struct str tenant, enum entity_kind kind, struct str key, struct arena *a,
               struct entity *out);
err entity_delete(struct catalog *c, struct str tenant, enum entity_kind kind, struct str key);

/* Empty texts: any. Rows with start_min ≤ start ≤ start_max. */
struct entity_filter {
    struct str class, service, environment, state;
    int64_t start_min, start_max;
    struct str after; /* next of the page before; empty: the first page */
    uint32_t limit;   /* 1 to ENTITY_PAGE_MAX */
};
struct entity_list {
    struct entity *v;
    size_t n;
    struct str next; /* empty: that was the last */
};
/* ERR_INVALID: `after` is none of ours. */
err entity_find(struct catalog *c, struct str tenant, enum entity_kind kind, const struct entity_filter *f,
                struct arena *a, struct entity_list *out);
