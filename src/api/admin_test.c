/* Administration by the API: tokens made and ended, whose figures are shown to whom. */
#include "api/stage_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "os/file.h"

/* ---- a stage with a folder -------------------------------------------------------------------------------------- */

static struct stage stage;
static char dir[64], authorization[256];

static err remove_file(void *context, const char *name, bool is_dir) {
    char path[512];
    (void)context, (void)is_dir;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path_remove(path);
}

static int open_stage(void **state) {
    (void)state;
    stage_later_ns = 0;
    snprintf(dir, sizeof dir, "/tmp/clew-admin-XXXXXX");
    assert_non_null(mkdtemp(dir));
    stage_open_as(&stage, dir, NULL, NULL);
    return 0;
}

static int close_stage(void **state) {
    (void)state;
    stage_close(&stage);
    assert_null(path_list(dir, remove_file, NULL));
    assert_null(path_remove_dir(dir));
    return 0;
}

static void be(const char *token) {
    stage.credentials = (struct credentials){.host = STR("127.0.0.1:8080"), .peer = STR("127.0.0.1:4711")};
    if (!token) return;
    snprintf(authorization, sizeof authorization, "Bearer %s", token);
    stage.credentials.authorization = str_of(authorization);
}

static int order(const char *json) {
    return stage_send(&stage, API_PORT_MAIN, "POST /api/v1/admin/tokens", "application/json", NULL, str_of(json));
}

static int revoke(const char *name) {
    char request[128];
    snprintf(request, sizeof request, "POST /api/v1/admin/tokens/%s/revoke", name);
    return stage_ask(&stage, request);
}

static bool says(const char *part) { return strstr(stage_body(&stage), part) != NULL; }
static void assert_says(const char *part) {
    if (!says(part)) fail_msg("'%s' is not in: %s", part, stage_body(&stage));
}

/* The secret of the answer to an order. */
static void take_token(char out[TOKEN_TEXT_BYTES + 1]) {
    const char *at = strstr(stage_body(&stage), "\"token\":\"");
    assert_non_null(at);
    memcpy(out, at + 9, TOKEN_TEXT_BYTES);
    out[TOKEN_TEXT_BYTES] = 0;
}

static void make(const char *json, char out[TOKEN_TEXT_BYTES + 1]) {
    if (order(json) != 200) fail_msg("%s: %s", json, stage_body(&stage));
    take_token(out);
}

/* Logs in with a token; from then on asks with the session's cookie alone. */
static void log_in(const char *token, char cookie[128]) {
    char body[256];
    snprintf(body, sizeof body, "{\"token\":\"%s\"}", token);
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/login", "application/json", NULL, str_of(body)),
                     200);
    assert_non_null(strstr(stage.fields, "HttpOnly; SameSite=Strict"));
    const char *at = strstr(stage.fields, "clew_session=");
    snprintf(cookie, 128, "%.*s", (int)strcspn(at, ";"), at);
    stage.credentials.cookie = str_of(cookie);
}

/* ---- tokens ----------------------------------------------------------------------------------------------------- */

static void the_first_token_is_an_admin_of_all_and_closes_the_door(void **state) {
    (void)state;
    char root[TOKEN_TEXT_BYTES + 1];
    be(NULL);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/tokens"), 200);
    assert_string_equal(stage_body(&stage), "{\"tokens\":[],\"source\":\"file\",\"required\":false,\"tenant\":\"*\"}");
    static const char *const too_little[] = {
        "{\"name\":\"a\",\"role\":\"read\",\"tenant\":\"*\"}",
        "{\"name\":\"a\",\"role\":\"admin\",\"tenant\":\"shop\"}",
        "{\"name\":\"a\",\"role\":\"admin\"}", /* of the tenant default */
    };
    for (size_t i = 0; i < LENGTH(too_little); i++) {
        assert_int_equal(order(too_little[i]), 400);
        assert_says("the first token is one of role admin and tenant `*`");
    }
    assert_int_equal(order("{\"name\":\"a\",\"role\":\"admin\",\"tenant\":\"*\",\"expires_in\":\"1h\"}"), 400);
    assert_says("the first token does not expire");
    assert_false(api_needs_tokens(stage.api));
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    assert_true(api_needs_tokens(stage.api)); /* at once: nothing was read again in between */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    be(root);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/tokens"), 200);
    assert_says(
        "\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\",\"created\":\"2026-01-02T03:04:05Z\",\"expires\":null,"
        "\"last_used\":\"2026-01-02T03:04:05Z\",\"is_own\":true,\"is_expired\":false}]");
    assert_false(says(root + 22)); /* the secret is nowhere again, nor is its hash */
    assert_false(says("sha256"));
}

static void orders_are_checked(void **state) {
    (void)state;
    static const struct {
        const char *json;
        int status;
        const char *text;
    } cases[] = {
        {"", 400, "send {"},
        {"[]", 400, "send {"},
        {"{\"name\":\"x\"}", 400, "at least"},
        {"{\"role\":\"read\"}", 400, "at least"},
        {"{\"name\":\"x\",\"role\":\"root\"}", 400, "a role is ingest, read, operate or admin"},
        {"{\"name\":\"x\",\"role\":\"any\"}", 400, "a role is ingest, read, operate or admin"},
        {"{\"name\":\"../x\",\"role\":\"read\"}", 400, "a token's name is"},
        {"{\"name\":\"x\",\"role\":\"read\",\"tenant\":\".x\"}", 400, "a tenant is"},
        {"{\"name\":\"x\",\"role\":\"read\",\"expires_in\":\"0\"}", 400, "expires_in: longer than 0"},
        {"{\"name\":\"x\",\"role\":\"read\",\"expires_in\":\"soon\"}", 400, "expires_in"},
        {"{\"name\":\"x\",\"role\":\"read\",\"expires_in\":\"9999999d\"}", 400, "expires_in"},
        {"{\"name\":\"x\",\"role\":\"read\",\"colour\":\"red\"}", 400, "\\\"colour\\\" is no member"},
        {"{\"role\":\"read\",\"name\":\"x\",\"role\":\"admin\"}", 400, "\\\"role\\\" stands twice"},
        {"{\"name\":\"x\",\"role\":1}", 400, "a member of the order is no text"},
        {"{\"name\":\"x\",\"role\":\"read\"} {}", 400, "something follows the order"},
        {"{\"name\":\"x\",\"role\":\"read\"", 400, "at byte"},
        {"{\"name\":\"root\",\"role\":\"read\"}", 409, "there is a token root already"},
    };
    char root[TOKEN_TEXT_BYTES + 1];
    be(NULL);
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    be(root);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int status = order(cases[i].json);
        if (status != cases[i].status) fail_msg("%s: %d: %s", cases[i].json, status, stage_body(&stage));
        assert_says(cases[i].text);
    }
    static char large[8 * 1024];
    memset(large, ' ', sizeof large - 1);
    assert_int_equal(order(large), 413);
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/admin/tokens", "text/plain", NULL,
                                STR("{\"name\":\"x\",\"role\":\"read\"}")),
                     400);
    assert_says("send Content-Type: application/json");
    make("{\"name\":\"x\",\"role\":\"read\",\"expires_in\":\"1h\"}", root);
    assert_says("\"tenant\":\"default\",\"created\":\"2026-01-02T03:04:05Z\",\"expires\":\"2026-01-02T04:04:05Z\"");
}

static void a_revoked_token_and_its_session_end_at_once(void **state) {
    (void)state;
    char root[TOKEN_TEXT_BYTES + 1], reader[TOKEN_TEXT_BYTES + 1], cookie[128];
    be(NULL);
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    be(root);
    make("{\"name\":\"reader\",\"role\":\"read\"}", reader);
    be(NULL);
    log_in(reader, cookie);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/tokens"), 403);
    be(root);
    assert_int_equal(revoke("nobody"), 404);
    assert_int_equal(revoke("reader"), 200);
    assert_string_equal(stage_body(&stage), "{\"revoked\":true}");
    assert_int_equal(revoke("reader"), 404);
    be(reader);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    be(NULL);
    stage.credentials.cookie = str_of(cookie);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
}

static void somebody_who_may_administer_stays(void **state) {
    (void)state;
    char root[TOKEN_TEXT_BYTES + 1], second[TOKEN_TEXT_BYTES + 1], shop[TOKEN_TEXT_BYTES + 1];
    be(NULL);
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    be(root);
    assert_int_equal(revoke("root"), 409);
    assert_says("root is the last admin of tenant *");
    make("{\"name\":\"shop\",\"role\":\"admin\",\"tenant\":\"shop\"}", shop);
    make("{\"name\":\"short\",\"role\":\"admin\",\"tenant\":\"*\",\"expires_in\":\"1h\"}", second);
    assert_int_equal(revoke("root"), 409); /* short will have ended before the day is over */
    assert_int_equal(revoke("shop"), 200); /* root may administer shop, too */
    make("{\"name\":\"shop\",\"role\":\"admin\",\"tenant\":\"shop\"}", shop);
    stage_later_ns = 2 * 3600 * (int64_t)1000000000;
    assert_int_equal(revoke("root"), 409);  /* short has expired */
    assert_int_equal(revoke("short"), 200); /* which is nobody's loss */
    make("{\"name\":\"second\",\"role\":\"admin\",\"tenant\":\"*\"}", second);
    assert_int_equal(revoke("root"), 200); /* one's own, and not the last */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 401);
    be(second);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/services"), 200);
}

static void an_admin_of_a_tenant_has_its_tokens_alone(void **state) {
    (void)state;
    char root[TOKEN_TEXT_BYTES + 1], shop[TOKEN_TEXT_BYTES + 1], other[TOKEN_TEXT_BYTES + 1];
    be(NULL);
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    be(root);
    make("{\"name\":\"shop\",\"role\":\"admin\",\"tenant\":\"shop\"}", shop);
    make("{\"name\":\"other\",\"role\":\"read\",\"tenant\":\"other\"}", other);
    be(shop);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/tokens"), 200);
    assert_says("\"name\":\"shop\"");
    assert_says("\"required\":true,\"tenant\":\"shop\"}");
    assert_false(says("root") || says("other"));
    assert_int_equal(revoke("other"), 404); /* as if it were not there */
    assert_int_equal(revoke("root"), 404);
    assert_int_equal(order("{\"name\":\"x\",\"role\":\"read\",\"tenant\":\"other\"}"), 403);
    assert_int_equal(order("{\"name\":\"x\",\"role\":\"read\",\"tenant\":\"*\"}"), 403);
    assert_int_equal(order("{\"name\":\"other\",\"role\":\"read\"}"), 409);
    assert_says("this name cannot be taken");
    assert_false(says("other"));
    make("{\"name\":\"shop-reader\",\"role\":\"read\"}", other);
    assert_says("\"tenant\":\"shop\"");
    assert_int_equal(revoke("shop-reader"), 200);
    be(root); /* having chosen a tenant, it is held to it */
    stage.credentials.org_id = STR("other");
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/tokens"), 200);
    assert_says("\"name\":\"other\"");
    assert_false(says("\"name\":\"shop\"") || says("root"));
    assert_int_equal(revoke("shop"), 404);
    assert_int_equal(order("{\"name\":\"x\",\"role\":\"read\",\"tenant\":\"shop\"}"), 403);
}

/* Revoked on the machine, and the server has not read the file again. */
static void a_revoked_admin_makes_no_token_in_the_meantime(void **state) {
    (void)state;
    char root[TOKEN_TEXT_BYTES + 1], evil[TOKEN_TEXT_BYTES + 1];
    struct str name = STR("evil");
    be(NULL);
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    be(root);
    make("{\"name\":\"evil\",\"role\":\"admin\",\"tenant\":\"*\"}", evil);
    be(evil);
    assert_null(tokens_change(dir, token_end, &name));
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/tokens"), 200); /* still in force */
    assert_int_equal(order("{\"name\":\"backdoor\",\"role\":\"admin\",\"tenant\":\"*\"}"), 403);
    assert_says("this token was revoked");
    assert_int_equal(revoke("root"), 403);
}

static void one_tenant_does_not_take_all_places(void **state) {
    (void)state;
    char root[TOKEN_TEXT_BYTES + 1], shop[TOKEN_TEXT_BYTES + 1], json[96];
    be(NULL);
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    be(root);
    make("{\"name\":\"shop\",\"role\":\"admin\",\"tenant\":\"shop\"}", shop);
    be(shop);
    for (int i = 1; i < 200; i++) {
        snprintf(json, sizeof json, "{\"name\":\"t%d\",\"role\":\"read\"}", i);
        assert_int_equal(order(json), 200);
    }
    assert_int_equal(order("{\"name\":\"more\",\"role\":\"read\"}"), 413);
    assert_says("tenant shop has 200 tokens already");
    be(root);
    assert_int_equal(order("{\"name\":\"more\",\"role\":\"read\",\"tenant\":\"shop\"}"), 200);
}

static void a_cookie_alone_changes_nothing(void **state) {
    (void)state;
    char root[TOKEN_TEXT_BYTES + 1], cookie[128];
    static const char new_token[] = "{\"name\":\"x\",\"role\":\"read\"}";
    be(NULL);
    stage.credentials.unsafe = true;
    stage.credentials.origin = STR("http://evil.example");
    assert_int_equal(order("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}"), 403); /* also without tokens */
    be(NULL);
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    log_in(root, cookie);
    stage.credentials.unsafe = true;
    assert_int_equal(order(new_token), 403);
    assert_int_equal(revoke("root"), 403);
    stage.credentials.origin = STR("http://evil.example");
    assert_int_equal(order(new_token), 403);
    stage.credentials.origin = STR("http://127.0.0.1:8080");
    assert_int_equal(order(new_token), 200);
}

static void tokens_of_the_environment_are_changed_there(void **state) {
    (void)state;
    char text[TOKEN_TEXT_BYTES + 1] = "";
    struct tokens t = {0};
    AUTO_BUF struct buf document;
    static struct stage fixed;
    buf_init(&document, 16 * KIB);
    assert_null(token_new(&t, STR("root"), ROLE_ADMIN, STR("*"), STAGE_NOW_NS, 0, text));
    tokens_write(&t, &document);
    tokens_done(&t);
    stage_open_as(&fixed, NULL, document.p, NULL);
    fixed.credentials.host = STR("127.0.0.1:8080");
    snprintf(authorization, sizeof authorization, "Bearer %s", text);
    fixed.credentials.authorization = str_of(authorization);
    assert_int_equal(stage_ask(&fixed, "GET /api/v1/admin/tokens"), 200);
    assert_non_null(strstr(stage_body(&fixed), "\"source\":\"environment\""));
    assert_int_equal(stage_ask(&fixed, "POST /api/v1/admin/tokens/root/revoke"), 409);
    assert_non_null(strstr(stage_body(&fixed), "CLEW_TOKENS"));
    stage_close(&fixed);
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static void a_tenant_sees_no_figure_of_the_whole(void **state) {
    (void)state;
    static const char *const wholes[] = {"\"memory\":{", "\"disk\":{",  "\"store\":{",  "\"http\":{",
                                         "\"access\":{", "last_backup", "\"waiting\":", "\"bodies\":"};
    char root[TOKEN_TEXT_BYTES + 1], shop[TOKEN_TEXT_BYTES + 1];
    be(NULL);
    stage_fill(&stage);
    make("{\"name\":\"root\",\"role\":\"admin\",\"tenant\":\"*\"}", root);
    be(root);
    make("{\"name\":\"shop\",\"role\":\"operate\",\"tenant\":\"shop\"}", shop);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/status"), 200);
    assert_says("\"tenant\":\"*\"");
    for (size_t i = 0; i < LENGTH(wholes); i++) assert_says(wholes[i]);
    assert_says("\"tenants\":[{\"tenant\":\"default\"");
    stage.credentials.org_id = STR("shop"); /* chosen: as shop sees it */
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/status"), 200);
    for (size_t i = 0; i < LENGTH(wholes); i++) assert_false(says(wholes[i]));
    be(shop);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/status"), 200);
    assert_says("\"tenant\":\"shop\",\"status\":\"ready\"");
    assert_says("{\"signal\":\"spans\",\"rows\":0,\"refused_rows\":{}}");
    for (size_t i = 0; i < LENGTH(wholes); i++) assert_false(says(wholes[i]));
    assert_false(says("default"));
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/storage"), 200);
    assert_says("\"tenant\":\"shop\"");
    assert_false(says("\"service\":\"web\""));
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/retention"), 200);
    assert_false(says("2026-01-0"));
    be(root);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/storage"), 200);
    assert_says("\"service\":\"web\",\"rows\":0,\"bytes\":0,\"memory_rows\":");
}

static void a_long_name_does_not_end_the_count(void **state) {
    (void)state;
    AUTO_BUF struct buf body;
    be(NULL);
    buf_init(&body, MIB);
    buf_add_text(
        &body,
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":\"");
    for (int i = 0; i < 70000; i++) buf_add_byte(&body, 'n');
    buf_add_text(&body, "\"}}]},\"scopeSpans\":[{\"spans\":[{\"traceId\":\"0af7651916cd43dd8448eb211c80319c\","
                        "\"spanId\":\"b7ad6b7169203331\","
                        "\"name\":\"x\",\"startTimeUnixNano\":\"1767323045000000000\",\"endTimeUnixNano\":"
                        "\"1767323045000000001\"}]}]}]}");
    assert_int_equal(stage_send(&stage, API_PORT_OTLP, "POST /v1/traces", "application/json", NULL, buf_str(&body)),
                     200);
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/storage"), 200);
    assert_says("nnnn\",\"rows\":0,\"bytes\":0,\"memory_rows\":1");
}

#define STAGE_TEST(name) cmocka_unit_test_setup_teardown(name, open_stage, close_stage)

int main(void) {
    const struct CMUnitTest tests[] = {
        STAGE_TEST(the_first_token_is_an_admin_of_all_and_closes_the_door),
        STAGE_TEST(orders_are_checked),
        STAGE_TEST(a_revoked_token_and_its_session_end_at_once),
        STAGE_TEST(somebody_who_may_administer_stays),
        STAGE_TEST(an_admin_of_a_tenant_has_its_tokens_alone),
        STAGE_TEST(a_revoked_admin_makes_no_token_in_the_meantime),
        STAGE_TEST(one_tenant_does_not_take_all_places),
        STAGE_TEST(a_cookie_alone_changes_nothing),
        STAGE_TEST(a_long_name_does_not_end_the_count),
        cmocka_unit_test(tokens_of_the_environment_are_changed_there),
        STAGE_TEST(a_tenant_sees_no_figure_of_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
