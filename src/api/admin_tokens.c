/* Tokens by the API: the file of `clew token`, changed by the same code and in force when the answer leaves.
 *
 *  (1) An admin of one tenant sees, makes and ends tokens of that tenant alone; to it another's name is not there. One of `*` that chose
 *      a tenant is held to it, too.
 *  (2) Without tokens the first is an admin of `*`: from then on nobody comes in without one, so it must be able to do all.
 *  (3) Whoever may still administer a tenant stays: the last admin of a tenant (its own, or of `*`) is ended on the machine alone, by
 *      `clew token revoke`. One's own token may be ended; its sessions end with it.
 *  (4) What is decided is decided under the file's lock, on what the file says then, also of the caller's own token.
 *  (5) An admin of one tenant makes at most 200 tokens, and leaves 100 places to `*`.
 */
#include "api/api_priv.h"

enum { ORDER_BYTES_MAX = 4 << 10, ANSWER_BYTES_MAX = 1 << 20, OWN_MAX = 200, TOKENS_KEPT = 100 };
static const int64_t day_ns = 86400 * (int64_t)1000000000;

static bool is_seen(const struct caller *c, const struct token *t) {
    return caller_is_for_all(c) || strcmp(t->tenant, c->tenant) == 0; /* (1) */
}

static bool is_live(const struct token *t, int64_t now) { return !t->expires || t->expires > now; }

/* (4) Somebody let in because there were no tokens, and now there are; or by a token that is revoked and not yet out of force. */
static err check_caller(const struct caller *c, const struct tokens *t, int64_t now) {
    if (!c->token_id) return t->v.n ? err_new(ERR_CONFLICT, "tokens were made meanwhile: log in with one") : NULL;
    for (size_t i = 0; i < t->v.n; i++) {
        const struct token *k = &t->v.v[i];
        bool same = strcmp(k->tenant, c->any_tenant ? "*" : c->tenant) == 0;
        if (k->id == c->token_id && k->role == ROLE_ADMIN && same && is_live(k, now)) return NULL;
    }
    return err_new(ERR_DENIED, "this token was revoked");
}

/* One tenant does not take the places of all others, nor those of whoever administers the whole. */
static err check_room(const struct caller *c, const struct tokens *t) {
    size_t own = 0;
    if (caller_is_for_all(c)) return NULL;
    for (size_t i = 0; i < t->v.n; i++) own += is_seen(c, &t->v.v[i]);
    if (own >= OWN_MAX) return err_new(ERR_LIMIT, "tenant %s has %d tokens already: revoke some", c->tenant, OWN_MAX);
    return t->v.n < TOKENS_MAX - TOKENS_KEPT
               ? NULL
               : err_new(ERR_LIMIT, "there are too many tokens: ask who administers clew");
}

/* ---- list ------------------------------------------------------------------------------------------------------- */

static void write_seen(struct json_writer *w, const struct api_call *c, const struct token *t) {
    json_object(w);
    token_put(w, t, (struct str){NULL, 0});
    json_key(w, STR("last_used"));
    if (t->used)
        json_time(w, t->used);
    else
        json_null(w);
    json_member(w, "is_own", bool, t->id == c->caller.token_id);
    json_member(w, "is_expired", bool, !is_live(t, c->now_ns));
    json_object_end(w);
}

void handle_tokens(struct api_call *c) {
    struct tokens tokens;
    struct buf body;
    struct json_writer w;
    access_get_tokens(c->api->access, &tokens);
    buf_init(&body, ANSWER_BYTES_MAX);
    json_writer_init(&w, &body);
    json_object(&w);
    json_key(&w, STR("tokens"));
    json_array(&w);
    for (size_t i = 0; i < tokens.v.n; i++)
        if (is_seen(&c->caller, &tokens.v.v[i])) write_seen(&w, c, &tokens.v.v[i]);
    json_array_end(&w);
    json_member(&w, "source", text, access_source(c->api->access));
    json_member(&w, "required", bool, access_is_required(c->api->access));
    json_member(&w, "tenant", text, caller_is_for_all(&c->caller) ? "*" : c->caller.tenant);
    json_object_end(&w);
    tokens_done(&tokens);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}

/* ---- make ------------------------------------------------------------------------------------------------------- */

struct making {
    struct token_order order;
    const struct caller *caller;
};

static err make(void *context, struct tokens *t) {
    struct making *m = context;
    const struct token_order *o = &m->order;
    TRY(check_caller(m->caller, t, o->now));
    TRY(check_room(m->caller, t));
    if (!t->v.n && o->expires)
        return err_new(ERR_INVALID, "the first token does not expire: once it had, nobody could come in");
    if (!t->v.n && (o->role != ROLE_ADMIN || !str_equal(o->tenant, STR("*")))) /* (2) */
        return err_new(ERR_INVALID, "the first token is one of role admin and tenant `*`: from then on all need one");
    if (!caller_is_for_all(m->caller) && !str_equal(o->tenant, str_of(m->caller->tenant)))
        return err_new(ERR_DENIED, "an admin of tenant %s makes tokens of that tenant alone", m->caller->tenant);
    const struct token *same = token_named(t, o->name);
    if (same && !is_seen(m->caller, same)) return err_new(ERR_CONFLICT, "this name cannot be taken"); /* (1) */
    return token_make(&m->order, t);
}

/* `given`: bit i, the i-th name was there. */
static err take_member(struct api_call *c, struct token_order *o, unsigned *given, struct str key, struct str value) {
    static const char *const names[] = {"name", "tenant", "role", "expires_in"};
    size_t i = 0;
    struct str kept = arena_copy(&c->arena, value); /* the reader's next text takes its place */
    if (!kept.p) return arena_err(&c->arena);
    while (i < LENGTH(names) && !str_equal(key, str_of(names[i]))) i++;
    if (i == LENGTH(names))
        return err_new(ERR_INVALID, "\"" STR_FMT "\" is no member of an order for a token", STR_ARG(key));
    if (*given >> i & 1) return err_new(ERR_INVALID, "\"%s\" stands twice", names[i]);
    *given |= 1u << i;
    if (i == 2) return role_parse(kept, &o->role);
    if (i == 3) return err_wrap(token_order_for(o, kept), "expires_in");
    *(i == 0 ? &o->name : &o->tenant) = kept;
    return NULL;
}

static err read_members(struct api_call *c, struct json_reader *r, struct token_order *o) {
    char key[16];
    unsigned given = 0;
    if (json_next(r) != JSON_OBJECT) return err_new(ERR_INVALID, "send {\"name\", \"role\"}");
    for (enum json_token kind; (kind = json_next(r)) != JSON_OBJECT_END;) {
        if (kind != JSON_KEY) return json_reader_err(r);
        struct str name = {key, MIN(r->value.n, sizeof key)};
        memcpy(key, r->value.p, name.n);
        if (json_next(r) != JSON_STRING) return err_new(ERR_INVALID, "a member of the order is no text");
        TRY(take_member(c, o, &given, name, r->value));
    }
    return json_next(r) == JSON_END ? NULL : err_new(ERR_INVALID, "something follows the order");
}

static err read_order(struct api_call *c, struct token_order *o) {
    struct json_reader r;
    if (!otlp_is_json(c->request.content_type)) return err_new(ERR_INVALID, "send Content-Type: application/json");
    if (c->request.body.n > ORDER_BYTES_MAX) return err_new(ERR_LIMIT, "an order for a token has at most 4 KiB");
    json_reader_init(&r, c->request.body, 4);
    err e = read_members(c, &r, o);
    json_reader_done(&r);
    TRY(e);
    if (!o->name.n || !o->role)
        return err_new(ERR_INVALID, "an order has at least \"name\" and \"role\": ingest, read, operate or admin");
    if (!o->tenant.n) o->tenant = str_of(c->caller.tenant);
    return NULL;
}

void handle_token_make(struct api_call *c) {
    struct making m = {.order = {.now = c->now_ns}, .caller = &c->caller};
    err e = read_order(c, &m.order);
    if (!e) e = access_change(c->api->access, make, &m, c->now_ns);
    if (e) {
        call_fail(c, e);
        return;
    }
    struct buf body;
    struct json_writer w;
    buf_init(&body, ANSWER_BYTES_MAX);
    json_writer_init(&w, &body);
    json_object(&w);
    token_put(&w, &m.order.made, (struct str){m.order.text, TOKEN_TEXT_BYTES});
    json_object_end(&w);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}

/* ---- revoke ----------------------------------------------------------------------------------------------------- */

struct ending {
    struct str name;
    const struct caller *caller;
    int64_t now;
};

static bool leaves_an_admin(const struct tokens *t, const struct token *without, int64_t now) {
    for (size_t i = 0; i < t->v.n; i++) { /* one that ends within a day is no admin to rely on */
        const struct token *k = &t->v.v[i];
        bool same = strcmp(k->tenant, "*") == 0 || strcmp(k->tenant, without->tenant) == 0;
        if (k != without && k->role == ROLE_ADMIN && same && is_live(k, now + day_ns)) return true;
    }
    return false;
}

static err end(void *context, struct tokens *t) {
    struct ending *o = context;
    const struct token *found = token_named(t, o->name);
    TRY(check_caller(o->caller, t, o->now));
    if (!found || !is_seen(o->caller, found))
        return err_new(ERR_NOT_FOUND, "there is no token " STR_FMT, STR_ARG(o->name));
    if (found->role == ROLE_ADMIN && is_live(found, o->now) && !leaves_an_admin(t, found, o->now)) /* (3) */
        return err_new(ERR_CONFLICT,
                       "%s is the last admin of tenant %s: make another first, or end it on the server's machine with "
                       "`clew token revoke`",
                       found->name, found->tenant);
    return token_end(&o->name, t);
}

void handle_token_revoke(struct api_call *c) {
    struct ending o = {c->path_values[0], &c->caller, c->now_ns};
    err e = access_change(c->api->access, end, &o, c->now_ns);
    if (e) {
        call_fail(c, e);
        return;
    }
    struct buf body;
    struct json_writer w;
    buf_init(&body, KIB);
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "revoked", bool, true);
    json_object_end(&w);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}
