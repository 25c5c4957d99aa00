/* Tokens by the API: the file of `clew token`, changed by the same code and in force when the answer leaves.
 *
 *  (1) An admin of one tenant sees, makes and ends tokens of that tenant alone; to it another's name is not there. One of `*` that chose
 *      a tenant is held to it, too.
 *  (2) Without tokens the first is an admin of `*`: from then on nobody comes in without one, so it must be able to do all.
 *  (3) Whoever may still administer a tenant stays: the last admin of a tenant (its own, or of `*`) is ended on the machine alone, by
 *      `clew token revoke`. One's own token may be ended; its sessions end with it.
 *  (4) What is decided is decided under the file's lock, on what the file says then.
 */
#include "api/api_priv.h"

enum { ORDER_BYTES_MAX = 4 << 10, ANSWER_BYTES_MAX = 1 << 20 };

static bool is_seen(const struct caller *c, const struct token *t) {
    return caller_is_for_all(c) || strcmp(t->tenant, c->tenant) == 0; /* (1) */
}

static bool is_live(const struct token *t, int64_t now) { return !t->expires || t->expires > now; }

/* Somebody let in because there were no tokens, and now there are: asks again, with one. */
static err check_caller(const struct caller *c, const struct tokens *t) {
    return c->token_id || !t->v.n ? NULL : err_new(ERR_CONFLICT, "tokens were made meanwhile: log in with one");
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
    TRY(check_caller(m->caller, t));
    if (!t->v.n && (o->role != ROLE_ADMIN || !str_equal(o->tenant, STR("*")))) /* (2) */
        return err_new(ERR_INVALID, "the first token is one of role admin and tenant `*`: from then on all need one");
    if (!caller_is_for_all(m->caller) && !str_equal(o->tenant, str_of(m->caller->tenant)))
        return err_new(ERR_DENIED, "an admin of tenant %s makes tokens of that tenant alone", m->caller->tenant);
    return token_make(&m->order, t);
}

static err take_member(struct api_call *c, struct token_order *o, struct str key, struct str value) {
    struct str kept = arena_copy(&c->arena, value); /* the reader's next text takes its place */
    if (!kept.p) return arena_err(&c->arena);
    if (str_equal(key, STR("name"))) {
        o->name = kept;
    } else if (str_equal(key, STR("tenant"))) {
        o->tenant = kept;
    } else if (str_equal(key, STR("role"))) {
        return role_parse(kept, &o->role);
    } else if (str_equal(key, STR("expires_in"))) {
        return err_wrap(token_order_for(o, kept), "expires_in");
    } else {
        return err_new(ERR_INVALID, "\"" STR_FMT "\" is no member of an order for a token", STR_ARG(key));
    }
    return NULL;
}

static err read_members(struct api_call *c, struct json_reader *r, struct token_order *o) {
    char key[16];
    if (json_next(r) != JSON_OBJECT) return err_new(ERR_INVALID, "send {\"name\", \"role\"}");
    for (enum json_token kind; (kind = json_next(r)) != JSON_OBJECT_END;) {
        if (kind != JSON_KEY) return json_reader_err(r);
        struct str name = {key, MIN(r->value.n, sizeof key)};
        memcpy(key, r->value.p, name.n);
        if (json_next(r) != JSON_STRING) return err_new(ERR_INVALID, "a member of the order is no text");
        TRY(take_member(c, o, name, r->value));
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
    for (size_t i = 0; i < t->v.n; i++) {
        const struct token *k = &t->v.v[i];
        bool same = strcmp(k->tenant, "*") == 0 || strcmp(k->tenant, without->tenant) == 0;
        if (k != without && k->role == ROLE_ADMIN && same && is_live(k, now)) return true;
    }
    return false;
}

static err end(void *context, struct tokens *t) {
    struct ending *o = context;
    const struct token *found = token_named(t, o->name);
    TRY(check_caller(o->caller, t));
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
