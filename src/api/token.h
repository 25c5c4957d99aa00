/* Tokens: who may ask, in which role, of which tenant; and the file that keeps them.
 *
 *   clew_0123456789abcdef_<64 hexadecimal digits>      as it is shown once and presented ever after
 *        id, public       secret: 256 random bits      at rest there is SHA-256 of the secret's digits
 *
 *   role      includes          tenant `NAME`: this one alone
 *   ingest    sending           tenant `*`: any, chosen by X-Scope-OrgID, else `default`; for reading figures, flushing and
 *   read      asking                        backing up without a choice: all
 *   operate   asking, operations
 *   admin     all
 *
 * The file is tokens.json in the data directory, of mode 0600 (docs/formats/tokens.md), replaced whole: written, synced,
 * renamed, its folder synced. A server reads it again when it changed; a file it cannot read changes nothing.
 *
 * Limits: TOKENS_MAX tokens, 1 MiB of file; names and tenants 1 to 63 bytes of [A-Za-z0-9_.-], no dot first.
 * Errors: ERR_INVALID (names the place), ERR_CONFLICT (a name twice; another clew changes the file), ERR_NOT_FOUND.
 * Owner: the caller of a set. Threads: a set belongs to one at a time.
 * Source: FIPS 180-4 (SHA-256), by OpenSSL's libcrypto.
 */
#pragma once

#include "base/json.h"
#include "base/vec.h"

enum api_role { ROLE_ANY, ROLE_INGEST, ROLE_READ, ROLE_OPERATE, ROLE_ADMIN, ROLES };
extern const char *const role_names[ROLES];
bool role_includes(enum api_role has, enum api_role needed);

enum { TOKENS_MAX = 1000, TOKEN_NAME_BYTES = 64, TOKEN_TEXT_BYTES = 5 + 16 + 1 + 64, TOKEN_HASH_BYTES = 32 };

struct token {
    uint64_t id;
    char name[TOKEN_NAME_BYTES], tenant[TOKEN_NAME_BYTES]; /* tenant "*": any */
    enum api_role role;
    int64_t created, expires; /* ns since 1970; expires 0: never */
    int64_t used;             /* last, since the server began; 0: not. Not in the file */
    unsigned char hash[TOKEN_HASH_BYTES];
};

struct tokens {
    VEC(struct token) v;
};
void tokens_done(struct tokens *t);
/* The document of tokens.json. A member that is not known is refused: it may be a restriction. */
err tokens_read(struct str json, struct tokens *out);
void tokens_write(const struct tokens *t, struct buf *out);

/* dir/tokens.json. *out_text (buf_init'ed by the callee, ended by the caller) has its bytes; ERR_NOT_FOUND: there is none. */
err tokens_load(const char *dir, struct buf *out_text);
bool tokens_file_exists(const char *dir);
/* Holds dir/tokens.lock while it loads, changes and replaces the file; makes the folder if it must. */
err tokens_change(const char *dir, err (*change)(void *context, struct tokens *t), void *context);

/* A new token in `t`; its text, which is nowhere else, goes to `out` (not terminated). ERR_CONFLICT if the name is taken. */
err token_new(struct tokens *t, struct str name, enum api_role role, struct str tenant, int64_t now, int64_t expires,
              char out[TOKEN_TEXT_BYTES]);
err token_revoke(struct tokens *t, struct str name);
const struct token *token_named(const struct tokens *t, struct str name); /* NULL: none */
/* Changes for tokens_change: a new token by a struct token_order, and the end of the one that a struct str names. */
struct token_order {
    struct str name, tenant;
    enum api_role role;
    int64_t now, expires; /* 0: never */
    char text[TOKEN_TEXT_BYTES];
    struct token made;
};
err token_make(void *order, struct tokens *t);
err token_end(void *name, struct tokens *t);
/* An order that holds for `duration` from now on ("30d"). */
err token_order_for(struct token_order *o, struct str duration);
/* Members of an object: all but the secret's hash; `text` of a new one, else p NULL. */
void token_put(struct json_writer *w, const struct token *t, struct str text);
/* ERR_INVALID naming the choices. */
err role_parse(struct str text, enum api_role *out);
bool tenant_or_any_is_valid(struct str name);

/* A presented token's id and the hash of its secret; false if it has not the form of one. */
bool token_parse(struct str text, uint64_t *out_id, unsigned char out_hash[TOKEN_HASH_BYTES]);
/* The token of that id and hash, NULL if none. Takes the same time whether the id exists or not. */
const struct token *tokens_find(const struct tokens *t, uint64_t id, const unsigned char hash[TOKEN_HASH_BYTES]);
void token_hash(struct str secret, unsigned char out[TOKEN_HASH_BYTES]);
bool token_bytes_equal(const void *a, const void *b, size_t n); /* in a time that does not depend on them */
