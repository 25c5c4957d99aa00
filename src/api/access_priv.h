/* Who asks, and whether they may: from a request's fields to a caller with a role and a tenant, or a refusal.
 *
 *   request ─ Authorization (Bearer, Basic) ─┬─ token ─┬─ role ≥ the route's? ─ X-Scope-OrgID: may it? ─▶ caller
 *            └ Cookie ─ session ─ CSRF ──────┘         └──▶ refusal (a row of access_refusals)
 *
 *  (1) A token is never taken from a query string, and never written to a log.
 *  (2) Without tokens everything is allowed to this machine (origin.c); once there were tokens it never is again until a restart,
 *      also when the file goes or cannot be read: then the last good tokens hold, or none.
 *  (3) A cookie alone does not let change anything: unsafe methods need an Origin equal to Host.
 *  (4) Two Authorization fields, or two of X-Scope-OrgID, are refused: whoever stands before clew may have judged the other one.
 *  (5) The caller's tenant is what store, ingest, query and limits are asked with; nothing else of a request names one.
 *
 * Limits: PEERS_MAX peers' failures are remembered; a peer may fail THROTTLE_BURST times at once and then once a second: more
 * of its failures get 429. A valid token is never held up by others' failures from the same address.
 * Threads: any. Source: RFC 6750 (Bearer), RFC 7617 (Basic).
 */
#pragma once

#include "api/audit_priv.h"
#include "api/token.h"

struct access;

struct caller {
    char name[TOKEN_NAME_BYTES], tenant[TOKEN_NAME_BYTES]; /* of the token; what it works on */
    enum api_role role;
    bool any_tenant;    /* of a token of `*`, or this machine without tokens */
    bool tenant_chosen; /* by X-Scope-OrgID */
    uint64_t token_id;  /* 0: none */
    int64_t expires;    /* 0: never */
};
/* Whether a caller asks for all tenants: it may, and chose none. */
static inline bool caller_is_for_all(const struct caller *c) { return c->any_tenant && !c->tenant_chosen; }

/* What of a request says who asks; slices with p NULL were not sent. */
struct credentials {
    struct str authorization, cookie, org_id, host, origin, peer;
    struct str own_hosts; /* api_options.allowed_hosts */
    bool doubled;         /* Authorization, X-Scope-OrgID or Origin came twice */
    bool unsafe;          /* the method may change something */
};

enum access_outcome {
    ACCESS_ALLOWED,
    ACCESS_NOBODY,     /* 401 no credentials */
    ACCESS_BAD_TOKEN,  /* 401 */
    ACCESS_EXPIRED,    /* 401 */
    ACCESS_DOUBLED,    /* 400 */
    ACCESS_BAD_TENANT, /* 400 not a tenant's name */
    ACCESS_ROLE,       /* 403 */
    ACCESS_TENANT,     /* 403 forged */
    ACCESS_NOT_ALL,    /* 403 the route is for tokens of `*` */
    ACCESS_FORGERY,    /* 403 a cookie without Origin */
    ACCESS_THROTTLED,  /* 429 */
    ACCESS_OUTCOMES
};
struct access_refusal {
    const char *name; /* in /metrics */
    int status, grpc;
    const char *message, *hint;
};
extern const struct access_refusal access_refusals[ACCESS_OUTCOMES];

/* dir NULL: no file. json p NULL: from dir/tokens.json. Fails if what is there cannot be read. */
err access_new(const char *dir, struct str json, struct audit *audit, int64_t now, struct access **out);
void access_free(struct access *a); /* takes NULL */
/* Reads the file again; tells the audit log what changed. Does nothing when tokens came as text. */
void access_reload(struct access *a, int64_t now);
/* Changes the file by tokens_change; what it then says is in force when this returns. Waits for the disk. */
err access_change(struct access *a, err (*change)(void *context, struct tokens *t), void *context, int64_t now);
/* Where tokens are, in a word: "file", "environment", or "none" if there is no folder. */
const char *access_source(const struct access *a);
/* A copy of those in force, with when each was last used. */
void access_get_tokens(struct access *a, struct tokens *out);
bool access_is_required(struct access *a);
/* Whether these are the credentials of anybody, or none are needed: before a body is read. Counts nothing. */
bool access_knows(struct access *a, const struct credentials *c, int64_t now);

enum access_outcome access_decide(struct access *a, const struct credentials *c, enum api_role needed, bool needs_all,
                                  int64_t now, struct caller *out);
/* A token for a session. cookie: SESSION_TEXT_BYTES. */
enum access_outcome access_login(struct access *a, struct str token, struct str peer, int64_t now, struct caller *out,
                                 char *cookie);
/* Ends the cookie's session, if there is one: *out_ended. */
enum access_outcome access_logout(struct access *a, const struct credentials *c, int64_t now, bool *out_ended);

struct access_counts {
    uint64_t refused[ACCESS_OUTCOMES];
    uint64_t tokens, sessions;
    bool required;
};
void access_get_counts(struct access *a, int64_t now, struct access_counts *out);

/* The token in an Authorization field's value: Bearer's, or Basic's password, in `scratch`. False: another scheme, or broken. */
enum { AUTHORIZATION_BYTES_MAX = 1024 };
bool authorization_read(struct str value, char scratch[AUTHORIZATION_BYTES_MAX], struct str *out_token);
