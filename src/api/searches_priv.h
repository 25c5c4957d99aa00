/* Saved searches: questions that a team gave names, one small document a tenant.
 *
 *   DATA/searches/TENANT.json   replaced whole (document_priv.h), part of backups (store/engine/backup.c); docs/formats/searches.md
 *
 * A search is a screen of the page and the query string of its address, as the screen writes it: a relative range stays relative. The
 * page reads it back by its own codec, so a search leads nowhere but to that screen.
 *
 * Limits: SEARCHES_MAX a tenant; a name 1 to 120 bytes of UTF-8 without control characters or blanks at its ends; a query string
 * 8 KiB of visible ASCII, its parameters [a-z_]{1,32}, at most 64; a document 2 MiB.
 * Errors: ERR_INVALID (names what), ERR_CONFLICT (the name is taken), ERR_NOT_FOUND, ERR_LIMIT.
 * Owner: the caller of a set; texts are the arena's. Threads: a set belongs to one at a time.
 */
#pragma once

#include "base/arena.h"
#include "base/json.h"
#include "base/vec.h"

enum {
    SEARCHES_MAX = 1000,
    SEARCH_NAME_BYTES = 120,
    SEARCH_QUERY_BYTES = 8 << 10,
    SEARCH_PARAMETERS_MAX = 64,
    SEARCHES_FILE_BYTES = 2 << 20
};

struct search {
    struct str name, screen, query;
    struct str by; /* the token's name; "" without tokens */
    int64_t saved; /* ns since 1970 */
};
struct searches {
    VEC(struct search) v; /* by name */
    struct arena *a;
};

/* What may be saved: the same is asked of what a file has. */
err search_check(const struct search *s);
/* The document. A newer version, or a member that is not known, is refused. */
err searches_read(struct str json, struct searches *out);
void searches_write(const struct searches *s, struct buf *out);
const struct search *searches_find(const struct searches *s, struct str name);
err searches_put(struct searches *s, const struct search *one, bool replace);
err searches_delete(struct searches *s, struct str name);

/* The document of a tenant below `dir`; none is an empty set. */
err searches_load(const char *dir, struct str tenant, struct searches *out);
err searches_save(const char *dir, struct str tenant, const struct searches *s);

/* The body of a PUT: {"screen", "query"}. */
err search_read_body(struct str json, struct arena *a, struct search *out);
void search_write(struct json_writer *w, const struct search *s);
