#include "api/access_priv.h"

#include <openssl/evp.h>

#include "api/origin_priv.h"
#include "api/session_priv.h"
#include "base/hash.h"
#include "base/log.h"
#include "os/thread.h"
#include "store/store.h"

enum { PEERS_MAX = 4096, THROTTLE_BURST = 20 };
static const int64_t second_ns = 1000000000;

const struct access_refusal access_refusals[ACCESS_OUTCOMES] = {
    [ACCESS_NOBODY] = {"nobody", 401, 16, "this needs a token",
                       "send `Authorization: Bearer TOKEN` (the command line: CLEW_TOKEN); `clew token new NAME --role "
                       "ROLE` makes one"},
    [ACCESS_BAD_TOKEN] = {"bad_token", 401, 16, "this token is not known", "it may have been revoked"},
    [ACCESS_EXPIRED] = {"expired", 401, 16, "this token has expired", "`clew token new` makes another"},
    [ACCESS_DOUBLED] = {"doubled", 400, 3, "Authorization, X-Scope-OrgID or Origin was sent twice", ""},
    [ACCESS_BAD_TENANT] = {"bad_tenant", 400, 3, "X-Scope-OrgID is not a tenant's name",
                           "1 to 63 of [A-Za-z0-9_.-], no dot first"},
    [ACCESS_ROLE] = {"role", 403, 7, "the role of this token does not allow that", ""},
    [ACCESS_TENANT] = {"tenant", 403, 7, "this token is of another tenant than X-Scope-OrgID says", ""},
    [ACCESS_NOT_ALL] = {"not_all", 403, 7, "only a token of tenant `*` may do that", ""},
    [ACCESS_FORGERY] = {"forgery", 403, 7,
                        "with a cookie this needs an Origin equal to Host, or listed by --allow-host", ""},
    [ACCESS_THROTTLED] = {"throttled", 429, 14, "too many refused tokens from this address; wait a moment", ""},
};

struct peer {
    uint64_t hash;
    double failures_left;
    int64_t seen_at;
};

struct access {
    char *dir;           /* NULL: tokens came as text, or there is no folder */
    bool from_text;      /* CLEW_TOKENS */
    struct lock reading; /* of `text` and `missing`; held while the file is read or changed, before `lock` */
    struct audit *audit;
    struct lock lock; /* of what follows */
    struct tokens tokens;
    bool required;
    struct sessions sessions;
    struct peer peers[PEERS_MAX];
    uint64_t refused[ACCESS_OUTCOMES];
    struct buf text; /* of the file as last read */
    bool missing;    /* the file was gone then */
};

/* ---- the file --------------------------------------------------------------------------------------------------- */

static const struct token *find_id(const struct tokens *t, uint64_t id) {
    for (size_t i = 0; i < t->v.n; i++)
        if (t->v.v[i].id == id) return &t->v.v[i];
    return NULL;
}

static void tell(struct access *a, const char *action, const struct token *t, int64_t now) {
    audit_write(a->audit, &(struct audit_record){
                              .time = now, .action = action, .token = str_of(t->name), .tenant = str_of(t->tenant)});
}

static void tell_changes(struct access *a, const struct tokens *before, const struct tokens *after, int64_t now) {
    for (size_t i = 0; i < before->v.n; i++)
        if (!find_id(after, before->v.v[i].id)) tell(a, "token_removed", &before->v.v[i], now);
    for (size_t i = 0; i < after->v.n; i++)
        if (!find_id(before, after->v.v[i].id)) tell(a, "token_added", &after->v.v[i], now);
}

static void put_in_force(struct access *a, struct tokens *fresh, int64_t now) {
    lock_take(&a->lock);
    for (size_t i = 0; i < fresh->v.n; i++) {
        const struct token *same = find_id(&a->tokens, fresh->v.v[i].id);
        if (same) fresh->v.v[i].used = same->used;
    }
    struct tokens before = a->tokens;
    a->tokens = *fresh;
    a->required = true;
    lock_give(&a->lock);
    tell_changes(a, &before, fresh, now);
    tokens_done(&before);
}

/* The text is kept also when it is no document, so that each mistake is told once. */
static err take_text(struct access *a, struct str text, int64_t now) {
    struct tokens fresh;
    buf_clear(&a->text);
    buf_add_str(&a->text, text);
    a->missing = false;
    TRY(tokens_read(text, &fresh));
    put_in_force(a, &fresh, now);
    return NULL;
}

static err load(struct access *a, int64_t now) {
    AUTO_BUF struct buf text = {0};
    err e = tokens_load(a->dir, &text);
    if (!e) {
        bool same = !a->missing && str_equal(buf_str(&text), buf_str(&a->text));
        return same ? NULL : err_wrap(take_text(a, buf_str(&text), now), "%s/tokens.json", a->dir);
    }
    if (err_kind(e) != ERR_NOT_FOUND) return e;
    err_free(e);
    if (a->missing) return NULL;
    a->missing = true;
    if (!access_is_required(a)) return NULL;
    put_in_force(a, &(struct tokens){0}, now);
    return err_new(ERR_NOT_FOUND, "%s/tokens.json is gone: no token is valid until it is back", a->dir);
}

void access_reload(struct access *a, int64_t now) {
    if (!a->dir) return;
    lock_take(&a->reading);
    err e = load(a, now);
    lock_give(&a->reading);
    if (e) log_error("tokens are not read", F_ERR(e));
    err_free(e);
}

err access_change(struct access *a, err (*change)(void *context, struct tokens *t), void *context, int64_t now) {
    if (!a->dir)
        return err_new(ERR_CONFLICT, a->from_text
                                         ? "the tokens are those of CLEW_TOKENS: change them there, and restart"
                                         : "there is no data directory to keep tokens in");
    lock_take(&a->reading);
    err e = tokens_change(a->dir, change, context);
    err read = e ? NULL : load(a, now); /* changed all the same: it is in force when the file can be read */
    lock_give(&a->reading);
    if (read) log_error("tokens are not read", F_ERR(read));
    err_free(read);
    return e;
}

const char *access_source(const struct access *a) { return a->dir ? "file" : a->from_text ? "environment" : "none"; }

void access_get_tokens(struct access *a, struct tokens *out) {
    *out = (struct tokens){0};
    lock_take(&a->lock);
    vec_reserve(&out->v, a->tokens.v.n);
    if (a->tokens.v.n) memcpy(out->v.v, a->tokens.v.v, a->tokens.v.n * sizeof *out->v.v);
    out->v.n = a->tokens.v.n;
    lock_give(&a->lock);
}

/* Every token in force at the start, so that what was changed while no server ran shows between two starts. */
static void tell_start(struct access *a, int64_t now) {
    AUTO_BUF struct buf names;
    buf_init(&names, AUDIT_TEXT_BYTES);
    for (size_t i = 0; i < a->tokens.v.n; i++) buf_add_fmt(&names, "%s%s", i ? " " : "", a->tokens.v.v[i].name);
    struct audit_parameter names_of = {STR("names"), buf_str(&names)};
    audit_write(a->audit, &(struct audit_record){.time = now,
                                                 .action = "tokens_in_force",
                                                 .parameters = &names_of,
                                                 .parameter_count = a->tokens.v.n > 0});
}

err access_new(const char *dir, struct str json, struct audit *audit, int64_t now, struct access **out) {
    struct access *a = mem_new_of(struct access);
    lock_init(&a->lock);
    lock_init(&a->reading);
    buf_init(&a->text, 2 * MIB);
    err e = NULL;
    a->from_text = json.p;
    if (json.p) {
        e = err_wrap(take_text(a, json, now), "CLEW_TOKENS");
    } else if (dir) {
        a->dir = str_dup(str_of(dir));
        e = load(a, now);
    }
    if (e) {
        access_free(a);
        return e;
    }
    a->audit = audit;
    if (a->required) tell_start(a, now);
    *out = a;
    return NULL;
}

void access_free(struct access *a) {
    if (!a) return;
    tokens_done(&a->tokens);
    buf_done(&a->text);
    lock_done(&a->lock);
    lock_done(&a->reading);
    mem_free(a->dir);
    mem_free(a);
}

bool access_is_required(struct access *a) {
    lock_take(&a->lock);
    bool required = a->required;
    lock_give(&a->lock);
    return required;
}

/* ---- what was presented ----------------------------------------------------------------------------------------- */

/* Base64 by libcrypto, which skips blanks before and after; a credential with any has been tampered with, and fits no token. */
static bool read_basic(struct str encoded, char scratch[AUTHORIZATION_BYTES_MAX], struct str *out_token) {
    struct str user;
    if (encoded.n == 0 || encoded.n % 4 || encoded.n > AUTHORIZATION_BYTES_MAX) return false;
    int n = EVP_DecodeBlock((unsigned char *)scratch, (const unsigned char *)encoded.p, (int)encoded.n);
    if (n < 0) return false;
    for (size_t pads = 0; pads < 2 && n > 0 && encoded.p[encoded.n - 1 - pads] == '='; pads++) n--;
    return str_cut((struct str){scratch, (size_t)n}, ':', &user, out_token); /* a password may have colons */
}

bool authorization_read(struct str value, char scratch[AUTHORIZATION_BYTES_MAX], struct str *out_token) {
    struct str scheme, rest;
    if (value.n > AUTHORIZATION_BYTES_MAX || !str_cut(value, ' ', &scheme, &rest)) return false;
    rest = str_trim(rest);
    if (str_equal_nocase(scheme, STR("basic"))) return read_basic(rest, scratch, out_token);
    *out_token = rest;
    return str_equal_nocase(scheme, STR("bearer"));
}

static void become(struct caller *out, const struct token *t) {
    *out = (struct caller){.role = t->role, .token_id = t->id, .expires = t->expires};
    memcpy(out->name, t->name, sizeof out->name);
    out->any_tenant = strcmp(t->tenant, "*") == 0;
    memcpy(out->tenant, out->any_tenant ? "default" : t->tenant,
           out->any_tenant ? sizeof "default" : sizeof out->tenant);
}

/* lock held */
static enum access_outcome judge(struct access *a, const struct token *t, int64_t now, struct caller *out) {
    if (!t) return ACCESS_BAD_TOKEN;
    become(out, t);
    if (t->expires && t->expires <= now) return ACCESS_EXPIRED;
    a->tokens.v.v[t - a->tokens.v.v].used = now;
    return ACCESS_ALLOWED;
}

/* The hash is made outside the lock. */
static enum access_outcome by_token(struct access *a, struct str text, int64_t now, struct caller *out) {
    uint64_t id;
    unsigned char hash[TOKEN_HASH_BYTES];
    if (!token_parse(text, &id, hash)) return ACCESS_BAD_TOKEN;
    lock_take(&a->lock);
    enum access_outcome outcome = judge(a, tokens_find(&a->tokens, id, hash), now, out);
    lock_give(&a->lock);
    return outcome;
}

static enum access_outcome by_session(struct access *a, struct str text, int64_t now, struct caller *out) {
    lock_take(&a->lock);
    const struct session *one = session_find(&a->sessions, text, now);
    const struct token *t = one ? find_id(&a->tokens, one->token_id) : NULL;
    enum access_outcome outcome = t ? judge(a, t, now, out) : ACCESS_NOBODY; /* an ended session is no guess */
    lock_give(&a->lock);
    return outcome;
}

static bool is_same_origin(const struct credentials *c) {
    return c->origin.p && origin_is_ours(c->origin, c->host, c->own_hosts);
}

static enum access_outcome authenticate(struct access *a, const struct credentials *c, int64_t now,
                                        struct caller *out) {
    char scratch[AUTHORIZATION_BYTES_MAX];
    struct str token, session = session_of_cookie(c->cookie);
    if (c->authorization.p)
        return authorization_read(c->authorization, scratch, &token) ? by_token(a, token, now, out) : ACCESS_BAD_TOKEN;
    if (!session.n) return ACCESS_NOBODY;
    enum access_outcome outcome = by_session(a, session, now, out);
    return outcome == ACCESS_ALLOWED && c->unsafe && !is_same_origin(c) ? ACCESS_FORGERY : outcome; /* (3) */
}

bool access_knows(struct access *a, const struct credentials *c, int64_t now) {
    struct caller caller;
    return !access_is_required(a) || authenticate(a, c, now, &caller) == ACCESS_ALLOWED;
}

/* ---- failures --------------------------------------------------------------------------------------------------- */

/* "127.0.0.1:4711", "[::1]:4711" → the address: the port changes with each connection. */
static struct str address_of(struct str peer) {
    size_t n = peer.n;
    while (n > 0 && peer.p[n - 1] != ':') n--;
    return n > 0 ? (struct str){peer.p, n - 1} : peer;
}

/* A place is shared by peers whose hashes meet; the newer one begins anew. lock held */
static bool has_failed_too_often(struct access *a, struct str peer, int64_t now) {
    struct str address = address_of(peer);
    uint64_t hash = hash_fast(address.p, address.n);
    struct peer *p = &a->peers[hash % PEERS_MAX];
    if (p->hash != hash || p->seen_at == 0) *p = (struct peer){hash, THROTTLE_BURST, now};
    double seconds = now > p->seen_at ? (double)(now - p->seen_at) / (double)second_ns : 0;
    p->failures_left = MIN(p->failures_left + seconds, (double)THROTTLE_BURST);
    p->seen_at = now;
    if (p->failures_left < 1) return true;
    p->failures_left--;
    return false;
}

/* Counts a refusal, and turns one too many of wrong tokens into ACCESS_THROTTLED. */
static enum access_outcome count(struct access *a, struct str peer, enum access_outcome outcome, int64_t now) {
    if (outcome == ACCESS_ALLOWED) return outcome;
    lock_take(&a->lock);
    bool guess = outcome == ACCESS_BAD_TOKEN || outcome == ACCESS_EXPIRED;
    if (guess && has_failed_too_often(a, peer, now)) outcome = ACCESS_THROTTLED;
    a->refused[outcome]++;
    lock_give(&a->lock);
    return outcome;
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

static enum access_outcome choose_tenant(const struct credentials *c, struct caller *out) {
    if (!c->org_id.p) return ACCESS_ALLOWED;
    if (!store_tenant_is_valid(c->org_id)) return ACCESS_BAD_TENANT;
    if (!out->any_tenant) return str_equal(c->org_id, str_of(out->tenant)) ? ACCESS_ALLOWED : ACCESS_TENANT;
    out->tenant_chosen = true;
    memcpy(out->tenant, c->org_id.p, c->org_id.n);
    out->tenant[c->org_id.n] = 0;
    return ACCESS_ALLOWED;
}

static enum access_outcome decide(struct access *a, const struct credentials *c, enum api_role needed, bool needs_all,
                                  int64_t now, struct caller *out) {
    static const struct caller this_machine = {"", "default", ROLE_ADMIN, .any_tenant = true};
    enum access_outcome outcome = ACCESS_ALLOWED;
    *out = (struct caller){0};
    if (needed == ROLE_ANY) return ACCESS_ALLOWED;
    if (c->doubled) return ACCESS_DOUBLED;
    if (access_is_required(a))
        outcome = authenticate(a, c, now, out);
    else
        *out = this_machine;
    if (outcome != ACCESS_ALLOWED) return outcome;
    if (!role_includes(out->role, needed)) return ACCESS_ROLE;
    outcome = choose_tenant(c, out);
    return outcome == ACCESS_ALLOWED && needs_all && !out->any_tenant ? ACCESS_NOT_ALL : outcome;
}

enum access_outcome access_decide(struct access *a, const struct credentials *c, enum api_role needed, bool needs_all,
                                  int64_t now, struct caller *out) {
    return count(a, c->peer, decide(a, c, needed, needs_all, now, out), now);
}

enum access_outcome access_login(struct access *a, struct str token, struct str peer, int64_t now, struct caller *out,
                                 char *cookie) {
    *out = (struct caller){0};
    enum access_outcome outcome = by_token(a, token, now, out);
    if (outcome != ACCESS_ALLOWED) return count(a, peer, outcome, now);
    lock_take(&a->lock);
    session_begin(&a->sessions, out->token_id, now, out->expires, cookie);
    lock_give(&a->lock);
    return ACCESS_ALLOWED;
}

enum access_outcome access_logout(struct access *a, const struct credentials *c, int64_t now, bool *out_ended) {
    bool same_origin = is_same_origin(c);
    lock_take(&a->lock);
    struct session *one = session_find(&a->sessions, session_of_cookie(c->cookie), now);
    if (one && same_origin) session_end(one);
    *out_ended = one && same_origin;
    lock_give(&a->lock);
    return count(a, c->peer, one && !same_origin ? ACCESS_FORGERY : ACCESS_ALLOWED, now);
}

void access_get_counts(struct access *a, int64_t now, struct access_counts *out) {
    lock_take(&a->lock);
    memcpy(out->refused, a->refused, sizeof out->refused);
    out->tokens = a->tokens.v.n;
    out->sessions = session_count(&a->sessions, now);
    out->required = a->required;
    lock_give(&a->lock);
}
