/* Sessions of the page: a token for a cookie, and its end. */
#include "api/api_priv.h"

#include <stdio.h>

#include "api/session_priv.h"

/* {"token": "clew_…"} and nothing else. Of a longer text one byte more than a token has, so that it fits none. */
static err read_token(struct str body, char bytes[TOKEN_TEXT_BYTES + 1], struct str *out) {
    struct json_reader r;
    json_reader_init(&r, body, 4);
    bool good = json_next(&r) == JSON_OBJECT && json_next(&r) == JSON_KEY && str_equal(r.value, STR("token")) &&
                json_next(&r) == JSON_STRING;
    size_t n = good ? MIN(r.value.n, (size_t)TOKEN_TEXT_BYTES + 1) : 0;
    if (n) memcpy(bytes, r.value.p, n);
    good = good && json_next(&r) == JSON_OBJECT_END && json_next(&r) == JSON_END;
    json_reader_done(&r);
    if (!good) return err_new(ERR_INVALID, "send {\"token\": \"clew_…\"}");
    *out = (struct str){bytes, n};
    return NULL;
}

static void reply_session(struct api_call *c, struct str cookie_value, const char *age, const struct buf *body) {
    char cookie[256];
    snprintf(cookie, sizeof cookie, "%s=" STR_FMT "; Path=/; HttpOnly; SameSite=Strict; Max-Age=%s%s", session_cookie,
             STR_ARG(cookie_value), age, c->request.is_tls ? "; Secure" : "");
    struct http_field field = {STR("Set-Cookie"), str_of(cookie)};
    call_reply(c, &(struct api_reply){.status = 200,
                                      .content_type = STR("application/json"),
                                      .body = buf_str(body),
                                      .fields = &field,
                                      .field_count = 1});
}

static void answer_login(struct api_call *c, const char *cookie) {
    struct buf body;
    struct json_writer w;
    buf_init(&body, 4 * KIB);
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "name", text, c->caller.name);
    json_member(&w, "role", text, role_names[c->caller.role]);
    json_member(&w, "tenant", text, c->caller.any_tenant ? "*" : c->caller.tenant);
    json_object_end(&w);
    reply_session(c, (struct str){cookie, SESSION_TEXT_BYTES}, "43200", &body);
    buf_done(&body);
}
static_assert(SESSION_HOURS * 3600 == 43200, "as the cookie says");

void handle_login(struct api_call *c) {
    char bytes[TOKEN_TEXT_BYTES + 1], cookie[SESSION_TEXT_BYTES];
    struct str token;
    if (!access_is_required(c->api->access)) {
        call_fail(c, err_new(ERR_CONFLICT, "there are no tokens: everything is open to this machine"));
        return;
    }
    err e = call_body_is_json(c);
    if (!e) e = read_token(c->request.body, bytes, &token);
    if (e) {
        call_fail(c, e);
        return;
    }
    enum access_outcome why =
        access_login(c->api->access, token, c->request.credentials.peer, c->now_ns, &c->caller, cookie);
    if (why != ACCESS_ALLOWED)
        call_fail_access(c, why);
    else
        answer_login(c, cookie);
}

void handle_logout(struct api_call *c) {
    const struct credentials *who = &c->request.credentials;
    struct buf body;
    struct json_writer w;
    bool ended;
    enum access_outcome why = access_logout(c->api->access, who, c->now_ns, &ended);
    if (why != ACCESS_ALLOWED) {
        call_fail_access(c, why);
        return;
    }
    c->is_audited = ended; /* else nothing happened */
    buf_init(&body, KIB);
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "logged_out", bool, ended);
    json_object_end(&w);
    reply_session(c, STR(""), "0", &body);
    buf_done(&body);
}
