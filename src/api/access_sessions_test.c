/* Guessing, sessions of pages, tokens that change while clew runs, and what is written down of all that. */
#include "api/audit_priv.h"
#include "api/session_priv.h"
#include "api/access_testing_priv.h"

#include "os/file.h"

/* ---- failures and sessions ------------------------------------------------------------------------------------------- */

static void guessing_is_slowed_down(void **state) {
    (void)state;
    int refused = 0;
    be("Bearer ", "guess");
    stage.credentials.peer = STR("192.0.2.1:1");
    for (int i = 0; i < 100; i++) {
        stage.credentials.peer = i % 2 ? STR("192.0.2.1:1") : STR("192.0.2.1:65535"); /* the port does not matter */
        refused += stage_ask(&stage, "GET /api/v1/services") == 429;
    }
    assert_int_equal(refused, 80);
    assert_has(stage.fields, "Retry-After: ");
    stage.credentials.peer = STR("192.0.2.2:1"); /* others are not meant */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    be_token(ROLE_READ, TENANT_A); /* nor is a good token from there */
    stage.credentials.peer = STR("192.0.2.1:1");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    be("Bearer ", "guess");
    stage.credentials.peer = STR("192.0.2.1:1");
    stage_later_ns = 3 * (int64_t)1000000000;
    refused = 0;
    for (int i = 0; i < 10; i++) refused += stage_ask(&stage, "GET /api/v1/services") == 429;
    assert_int_equal(refused, 7);
}

static int log_in(const char *text, char cookie[128]) {
    AUTO_BUF struct buf body;
    buf_init(&body, 64 * KIB);
    buf_add_fmt(&body, "{\"token\":\"%s\"}", text);
    int status = stage_send(&stage, API_PORT_MAIN, "POST /api/v1/login", "application/json", NULL, buf_str(&body));
    const char *at = strstr(stage.fields, "clew_session=");
    if (at) snprintf(cookie, 128, "%.*s", (int)strcspn(at, ";"), at);
    return status;
}

static void be_cookie(const char *cookie) {
    be("", NULL);
    stage.credentials.cookie = str_of(cookie);
}

static bool is_known(void) { return access_knows(stage.api->access, &stage.credentials, STAGE_NOW_NS); }

static void who_is_known_may_send_large_bodies(void **state) {
    (void)state;
    be("", NULL);
    assert_false(is_known());
    be("Bearer ", "guess");
    assert_false(is_known());
    be("Bearer ", expired);
    assert_false(is_known());
    be_token(ROLE_INGEST, TENANT_A);
    assert_true(is_known());
    be("", NULL);
    stage.body_is_left = true;
    assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, STR("")),
                     401);
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 401);
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/login", "application/json", NULL, STR("")), 413);
    be_token(ROLE_INGEST,
             TENANT_A); /* a token that came into force meanwhile: nothing was read, so nothing is stored */
    assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/x-protobuf", NULL, STR("")),
                     413);
}

static void pages_log_in_and_out(void **state) {
    (void)state;
    char cookie[128] = "", another[160];
    be("", NULL);
    assert_int_equal(log_in("clew_wrong", cookie), 401);
    assert_int_equal(log_in(expired, cookie), 401);
    snprintf(another, sizeof another, "%s\\u0000", token[ROLE_ADMIN][TENANT_A]);
    assert_int_equal(log_in(another, cookie), 401);
    assert_string_equal(cookie, "");
    assert_int_equal(log_in(token[ROLE_ADMIN][TENANT_A], cookie), 200);
    assert_has(stage.fields, "; Path=/; HttpOnly; SameSite=Strict; Max-Age=43200\n");
    assert_has(stage.body.p, "{\"name\":\"admin-0\",\"role\":\"admin\",\"tenant\":\"a\"}");
    assert_null(strstr(cookie, token[ROLE_ADMIN][TENANT_A] + 22));
    be_cookie(cookie);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    snprintf(another, sizeof another, "theme=dark; %s ;x=y", cookie);
    be_cookie(another);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    be_cookie(cookie);
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403); /* no Origin */
    assert_has(stage.body.p, "Origin equal to Host");
    stage.credentials.origin = STR("https://evil.example");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403);
    assert_int_equal(stage_ask(&stage, "POST /api/v1/logout"), 403);
    stage.credentials.origin = STR("http://clew.example:8080");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 200);
    stage.api->options.allowed_hosts = STR("page.example");
    stage.credentials.origin = STR("https://page.example");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 200);
    stage.api->options.allowed_hosts = (struct str){NULL, 0};
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403);
    choose("b");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 403);
    be_cookie(cookie);
    assert_int_equal(stage_ask(&stage, "POST /api/v1/logout"), 403);
    stage.credentials.origin = STR("http://clew.example:8080");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/logout"), 200);
    assert_has(stage.fields, "clew_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    stage.is_tls = true;
    be("", NULL);
    assert_int_equal(log_in(token[ROLE_READ][TENANT_A], cookie), 200);
    assert_has(stage.fields, "; Secure");
    stage_later_ns = (int64_t)12 * 3600 * 1000000000;
    be_cookie(cookie);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
}

static void a_listed_page_has_no_cookie_rights(void **state) {
    (void)state;
    char cookie[128];
    stage.api->options.cors_origins = STR("https://listed.example");
    be("", NULL);
    assert_int_equal(log_in(token[ROLE_ADMIN][TENANT_A], cookie), 200);
    be_cookie(cookie);
    stage.credentials.origin = STR("https://listed.example");
    assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 403);
}

static void logins_take_json_alone(void **state) {
    (void)state;
    static const struct {
        const char *type, *body;
    } bad[] = {
        {"text/plain", "{\"token\":\"x\"}"},
        {"application/x-www-form-urlencoded", "token=x"},
        {NULL, "{\"token\":\"x\"}"},
        {"application/json", ""},
        {"application/json", "{\"token\":1}"},
        {"application/json", "{\"token\":\"x\",\"a\":1}"},
        {"application/json", "[\"x\"]"},
        {"application/json", "{\"token\":\"x\"}}"},
        {"application/json", "{\"user\":\"x\"}"},
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        be("", NULL);
        int status = stage_send(&stage, API_PORT_MAIN, "POST /api/v1/login", bad[i].type, NULL, str_of(bad[i].body));
        if (status != 400) fail_msg("%s: %d", bad[i].body, status);
    }
}

static void sessions_are_bounded(void **state) {
    (void)state;
    static char cookies[SESSIONS_OF_TOKEN_MAX + 1][128];
    for (int i = 0; i <= SESSIONS_OF_TOKEN_MAX; i++) {
        stage_later_ns = i;
        be("", NULL);
        assert_int_equal(log_in(token[ROLE_READ][TENANT_A], cookies[i]), 200);
    }
    be_cookie(cookies[0]); /* the oldest made room */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    be_cookie(cookies[1]);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
}

/* ---- tokens are read again, calls are written down -------------------------------------------------------------- */

static err add_admin(void *context, struct tokens *t) {
    TRY(token_new(t, STR("fresh"), ROLE_ADMIN, STR("*"), STAGE_NOW_NS, 0, context));
    return NULL;
}
static err remove_admin(void *context, struct tokens *t) {
    (void)context;
    return token_revoke(t, STR("fresh"));
}

static char dir[64];
static err remove_file(void *context, const char *name, bool is_dir) {
    char path[512];
    (void)context, (void)is_dir;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path_remove(path);
}

static void write_tokens(const char *text) {
    char path[128];
    struct file *f;
    snprintf(path, sizeof path, "%s/tokens.json", dir);
    assert_null(file_open(path, FILE_CREATE_ANY, &f));
    assert_null(file_write(f, text, strlen(text), 0));
    file_close(f);
}

static int ask_as(const char *text) {
    be("Bearer ", text);
    stage.credentials.host = STR("127.0.0.1:8080");
    return stage_ask(&stage, "POST /api/v1/admin/flush");
}

/* Open at first; closed from the first token on, whatever becomes of the file. */
static void tokens_are_read_again(void **state) {
    (void)state;
    char fresh[TOKEN_TEXT_BYTES + 1] = "", cookie[128], path[128];
    stage_later_ns = 0;
    snprintf(dir, sizeof dir, "/tmp/clew-access-XXXXXX");
    assert_non_null(mkdtemp(dir));
    stage_open_as(&stage, dir, NULL, NULL);
    assert_false(api_needs_tokens(stage.api));
    assert_int_equal(ask_as("anything"), 200);
    assert_int_equal(log_in("x", cookie), 409);
    assert_null(tokens_change(dir, add_admin, fresh));
    api_reload_tokens(stage.api);
    assert_true(api_needs_tokens(stage.api));
    assert_int_equal(ask_as("anything"), 401);
    assert_int_equal(ask_as(fresh), 200);
    assert_int_equal(log_in(fresh, cookie), 200);
    write_tokens("{\"version\":1,");
    api_reload_tokens(stage.api);
    assert_int_equal(ask_as(fresh), 200); /* damaged: the last good ones hold */
    snprintf(path, sizeof path, "%s/tokens.json", dir);
    assert_null(path_remove(path));
    api_reload_tokens(stage.api);
    assert_int_equal(ask_as(fresh), 401); /* gone: nobody */
    assert_int_equal(ask_as(NULL), 401);
    char again[TOKEN_TEXT_BYTES + 1] = "";
    assert_null(tokens_change(dir, add_admin, again));
    api_reload_tokens(stage.api);
    assert_int_equal(ask_as(again), 200);
    assert_int_equal(log_in(again, cookie), 200);
    assert_null(tokens_change(dir, remove_admin, NULL));
    api_reload_tokens(stage.api);
    assert_int_equal(ask_as(again), 401);
    be_cookie(cookie); /* the session ends with its token */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    stage_close(&stage);
    struct api *api;
    struct api_options options = {.dir = dir, .wall_ns = stage_now};
    write_tokens("{");
    err e = api_new(&options, &api); /* no start with tokens that cannot be read */
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
    assert_null(path_list(dir, remove_file, NULL));
    assert_null(path_remove_dir(dir));
}

static void administration_is_written_down(void **state) {
    (void)state;
    char fresh[TOKEN_TEXT_BYTES + 1] = "", cookie[128], path[128];
    struct file *f;
    struct buf text;
    snprintf(dir, sizeof dir, "/tmp/clew-access-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_null(tokens_change(dir, add_admin, fresh));
    stage_open_as(&stage, dir, NULL, NULL);
    assert_int_equal(ask_as(fresh), 200);
    assert_int_equal(ask_as("guess"), 401);
    be("Bearer ", fresh);
    choose("shop");
    stage_ask(&stage, "POST /api/v1/admin/delete?start=0&end=now&where=a%3D%22%0A%7B%7D&secret=hunter2&verify=true");
    stage_ask(&stage, "GET /api/v1/services");
    be("", NULL);
    log_in(fresh, cookie);
    log_in("wrong", cookie);
    assert_null(tokens_change(dir, remove_admin, NULL));
    api_reload_tokens(stage.api);
    stage_close(&stage);
    snprintf(path, sizeof path, "%s/audit.jsonl", dir);
    buf_init(&text, MIB);
    buf_reserve(&text, 512 * KIB);
    assert_null(file_open(path, FILE_READ, &f));
    assert_null(file_read(f, text.p, 512 * KIB, 0, &text.n));
    text.p[text.n] = 0;
    file_close(f);
    static const char *const lines[] = {
        "\"action\":\"tokens_in_force\",\"parameters\":{\"names\":\"fresh\"}}\n",
        "\"action\":\"call\",\"token\":\"fresh\",\"tenant\":\"*\",\"peer\":",
        "\"path\":\"/api/v1/admin/flush\",\"status\":200}\n",
        "\"path\":\"/api/v1/admin/flush\",\"status\":401}\n",
        "\"token\":\"fresh\",\"tenant\":\"shop\",",
        "\"where\":\"a=\\\"\\n{}\",\"unknown\":\"not kept\",\"verify\":\"true\"},\"status\":400}\n",
        "\"path\":\"/api/v1/login\",\"status\":200}\n",
        "\"path\":\"/api/v1/login\",\"status\":401}\n",
        "\"action\":\"token_removed\",\"token\":\"fresh\",\"tenant\":\"*\"}\n",
    };
    const char *at = text.p;
    for (size_t i = 0; i < LENGTH(lines); i++) {
        const char *found = strstr(at, lines[i]);
        if (!found) fail_msg("'%s' is not in, or too early in: %s", lines[i], text.p);
        at = found;
    }
    assert_null(strstr(text.p, fresh + 22));
    assert_null(strstr(text.p, "hunter2"));
    assert_null(strstr(text.p, "services"));
    buf_done(&text);
    assert_null(path_list(dir, remove_file, NULL));
    assert_null(path_remove_dir(dir));
}

/* Else a hundred thousand of them turn the files over, and what counts is gone. */
static void strangers_do_not_fill_the_audit_log(void **state) {
    (void)state;
    char fresh[TOKEN_TEXT_BYTES + 1] = "";
    uint64_t before, written, failed, suppressed;
    snprintf(dir, sizeof dir, "/tmp/clew-access-XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_null(tokens_change(dir, add_admin, fresh));
    stage_open_as(&stage, dir, NULL, NULL);
    audit_get_counts(stage.api->audit, &before, &failed, &suppressed);
    for (int i = 0; i < 100; i++) {
        be("", NULL);
        assert_int_equal(stage_ask(&stage, "POST /api/v1/logout"), 200);
        assert_int_equal(stage_ask(&stage, "POST /api/v1/login"), 400);
        stage.credentials.doubled = true;
        assert_int_equal(stage_ask(&stage, "POST /api/v1/admin/flush"), 400);
    }
    audit_get_counts(stage.api->audit, &written, &failed, &suppressed);
    assert_int_equal(written - before, AUDIT_REFUSALS_A_MINUTE);
    assert_int_equal(suppressed, 200 - AUDIT_REFUSALS_A_MINUTE);
    stage_close(&stage);
    assert_null(path_list(dir, remove_file, NULL));
    assert_null(path_remove_dir(dir));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        ACCESS_TEST(guessing_is_slowed_down),
        ACCESS_TEST(who_is_known_may_send_large_bodies),
        ACCESS_TEST(pages_log_in_and_out),
        ACCESS_TEST(a_listed_page_has_no_cookie_rights),
        ACCESS_TEST(logins_take_json_alone),
        ACCESS_TEST(sessions_are_bounded),
        cmocka_unit_test(tokens_are_read_again),
        cmocka_unit_test(administration_is_written_down),
        cmocka_unit_test(strangers_do_not_fill_the_audit_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
