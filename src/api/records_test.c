/* Dashboards and groups of rules: the shape of a body, revisions, and the calls by role and tenant. */
#include "api/records_priv.h"
#include "api/records_testing_priv.h"

/* ---- shapes ----------------------------------------------------------------------------------------------------- */

static void assert_shape(enum catalog_kind kind, const char *body, const char *name_or_error) {
    AUTO_ARENA struct arena a;
    struct str name;
    arena_init(&a, MIB);
    err e = record_check(kind, str_of(body), &a, &name);
    const char *is = e ? err_text(e) : name.p;
    if (strcmp(is, name_or_error) != 0) fail_msg("%s: %s, not %s", body, is, name_or_error);
    err_free(e);
}

static void a_body_has_its_shape(void **state) {
    (void)state;
    static const struct {
        const char *body, *name_or_error;
    } dashboards[] = {
        {"{\"title\":\"A\",\"panels\":[]}", "A"},
        {" {\"panels\":[],\"time\":{\"start\":\"now-1h\"},\"title\":\"\\u00fc <b>\",\"variables\":[]} ",
         "\xc3\xbc <b>"},
        {"", "the text ends too early, at byte 0"},
        {"[]", "the body: must be an object, at byte 0"},
        {"{}", "title: is missing, at byte 0"},
        {"{\"title\":\"A\"}", "panels: is missing, at byte 0"},
        {"{\"title\":1,\"panels\":[]}", "title: must be a text, at byte 9"},
        {"{\"title\":\"A\",\"panels\":{}}", "panels: must be an array, at byte 22"},
        {"{\"title\":\"A\",\"panels\":[[]]}", "panels[0]: must be an object, at byte 23"},
        {"{\"title\":\"A\",\"panels\":[],\"time\":\"now\"}", "time: must be an object, at byte 32"},
        {"{\"title\":\"A\",\"panels\":[],\"variables\":null}", "variables: must be an array, at byte 37"},
        {"{\"title\":\"A\",\"title\":\"B\",\"panels\":[]}", "title: stands twice, at byte 21"},
    };
    static const struct {
        const char *body, *name_or_error;
    } rules[] = {
        {"{\"name\":\"g\",\"rules\":[]}", "g"},
        {"{\"name\":\"g\",\"interval\":\"1m30s\",\"rules\":[{\"alert\":\"Down\",\"expr\":\"up == 0\"}],\"limit\":3}",
         "g"},
        {"{\"rules\":[]}", "name: is missing"},
        {"{\"name\":\"g\"}", "rules: is missing"},
        {"{\"name\":\"g\",\"interval\":60,\"rules\":[]}", "interval: must be a text, at byte 23"},
        {"{\"name\":\"g\",\"rules\":[\"up\"]}", "rules: an array of objects, at byte 21"},
    };
    for (size_t i = 0; i < LENGTH(dashboards); i++)
        assert_shape(CATALOG_DASHBOARD, dashboards[i].body, dashboards[i].name_or_error);
    for (size_t i = 0; i < LENGTH(rules); i++) assert_shape(CATALOG_RULES, rules[i].body, rules[i].name_or_error);
}

static void assert_refused(enum catalog_kind kind, const char *body, enum err_kind wanted, const char *part) {
    AUTO_ARENA struct arena a;
    struct str name;
    arena_init(&a, MIB);
    err e = record_check(kind, str_of(body), &a, &name);
    if (!e || err_kind(e) != wanted || !strstr(err_text(e), part))
        fail_msg("%.60s: %s, wanted %s", body, e ? err_text(e) : "taken", part);
    err_free(e);
}

static void a_body_is_bounded(void **state) {
    (void)state;
    AUTO_BUF struct buf deep;
    buf_init(&deep, MIB);
    buf_add_text(&deep, "{\"name\":\"A\",\"rules\":[],\"x\":");
    for (int i = 0; i < RECORD_DEPTH; i++) buf_add_byte(&deep, '[');
    for (int i = 0; i < RECORD_DEPTH; i++) buf_add_byte(&deep, ']');
    buf_add_byte(&deep, '}');
    assert_refused(CATALOG_RULES, deep.p, ERR_INVALID, "at byte");
    /* every beginning of a good body is told as what it is */
    static const char good[] = "{\"title\":\"A\",\"panels\":[],\"tags\":[\"a\"],\"description\":\"\\u00fc\"}";
    for (size_t i = 0; i + 1 < sizeof good - 1; i++) {
        AUTO_FREE char *part = str_dup(str_span(good, i));
        assert_refused(CATALOG_DASHBOARD, part, ERR_INVALID, "at byte");
    }
    assert_refused(CATALOG_DASHBOARD, "{\"title\":\"A\",\"panels\":[]} x", ERR_INVALID, "at byte");
    assert_refused(CATALOG_DASHBOARD, "{\"title\":\"A\",\"panels\":[],\"\xff\":1}", ERR_INVALID, "at byte");
    assert_refused(CATALOG_RULES, "{\"name\":\"g\",\"interval\":\"often\",\"rules\":[]}", ERR_INVALID, "interval: ");
}

/* ---- the calls -------------------------------------------------------------------------------------------------- */

static const char home[] = "{\"title\":\"Home\",\"description\":\"<\\/"
                           "b>\",\"panels\":[{\"id\":1,\"kind\":\"logs\",\"x\":0,\"y\":0,\"w\":12,\"h\":8}]}";
static const char group[] = "{\"name\":\"g\",\"interval\":\"1m\",\"rules\":[{\"record\":\"a:b\",\"expr\":\"sum(b)\"}]}";

static void a_dashboard_is_kept_seen_and_deleted(void **state) {
    (void)state;
    char request[64], id[17];
    assert_asked(READS_A, "GET /api/v1/dashboards?search=home", NULL, 200, "{\"dashboards\":[]}");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/home", home, 200, "\"name\":\"Home\",\"version\":1,");
    assert_null(strstr(stage_body(&stage), "\"body\""));
    assert_asked(READS_A, "GET /api/v1/dashboards/home", NULL, 200,
                 "\"created_by\":\"operates\",\"updated\":\"2026-01-02T03:04:05Z\"");
    assert_non_null(strstr(stage_body(&stage), home)); /* as it came */
    stage.if_none_match = etag;
    assert_int_equal(ask(READS_A, "GET /api/v1/dashboards/home", NULL), 304);
    assert_int_equal(stage.body.n, 0);
    stage.if_none_match = "\"0000000000000000\"";
    assert_asked(READS_A, "GET /api/v1/dashboards/home", NULL, 200, home);
    stage.if_none_match = NULL;
    assert_asked(OPERATES_A, "POST /api/v1/dashboards", "{\"title\":\"Made\",\"panels\":[]}", 200, "{\"id\":\"");
    snprintf(id, sizeof id, "%.16s", strstr(stage_body(&stage), "\"id\":\"") + 6);
    assert_asked(READS_A, "GET /api/v1/dashboards?search=MA", NULL, 200, "{\"dashboards\":[{\"id\":\"");
    assert_null(strstr(stage_body(&stage), "Home"));
    snprintf(request, sizeof request, "DELETE /api/v1/dashboards/%s", id);
    assert_asked(OPERATES_A, request, NULL, 200, "{\"deleted\":true}");
    assert_asked(OPERATES_A, request, NULL, 404, "no dashboard");
    memcpy(request, "GET   ", 6);
    snprintf(request, sizeof request, "GET /api/v1/dashboards/%s", id);
    assert_asked(READS_A, request, NULL, 404, "no dashboard");
}

static void a_change_says_of_which_revision(void **state) {
    (void)state;
    char first[24];
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/r", "{\"title\":\"R\",\"panels\":[]}", 200, "\"version\":1");
    memcpy(first, etag, sizeof first);
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/r", "{\"title\":\"R\",\"panels\":[]}", 409, "send If-Match");
    stage.if_match = first;
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/r", "{\"title\":\"R2\",\"panels\":[]}", 200, "\"version\":2");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/r", "{\"title\":\"R3\",\"panels\":[]}", 412, "version 2 now");
    assert_asked(OPERATES_A, "DELETE /api/v1/dashboards/r", NULL, 412, "version 2 now");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/none", "{\"title\":\"N\",\"panels\":[]}", 412, "any more");
    stage.if_match = "*";
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/r", "{\"title\":\"R3\",\"panels\":[]}", 200, "\"version\":3");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/none", "{\"title\":\"N\",\"panels\":[]}", 412, "any more");
    static const char *const bad[] = {"R", "W/\"abc\"", "\"a\", \"b\"", "", "\""};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        stage.if_match = bad[i];
        assert_asked(OPERATES_A, "PUT /api/v1/dashboards/r", "{\"title\":\"R4\",\"panels\":[]}", 400,
                     "If-Match: one ETag");
    }
    stage.if_match = NULL;
    stage.if_none_match = "*";
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/r", "{\"title\":\"R4\",\"panels\":[]}", 412, "already");
    stage.if_match = "*";
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/r", "{\"title\":\"R4\",\"panels\":[]}", 400, "together");
    stage.if_match = stage.if_none_match = NULL;
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/other", "{\"title\":\"R3\",\"panels\":[]}", 409,
                 "of that name already: r");
    assert_asked(OPERATES_A, "DELETE /api/v1/dashboards/r", NULL, 200, "true");
}

static void a_record_is_of_its_tenant(void **state) {
    (void)state;
    assert_asked(OPERATES_A, "PUT /api/v1/rules/mine", group, 200, "\"name\":\"g\"");
    assert_asked(OPERATES_B, "GET /api/v1/rules", NULL, 200, "{\"rules\":[]}");
    assert_asked(OPERATES_B, "GET /api/v1/rules/mine", NULL, 404, "no group of rules");
    assert_asked(OPERATES_B, "DELETE /api/v1/rules/mine", NULL, 404, "no group of rules");
    assert_asked(OPERATES_B, "PUT /api/v1/rules/mine", group, 200, "\"created_by\":\"other\"");
    assert_asked(READS_A, "GET /api/v1/rules/mine", NULL, 200, "\"created_by\":\"operates\"");
    assert_asked(READS_A, "GET /api/v1/dashboards/mine", NULL, 404, "no dashboard");
}

static void those_that_ship_are_seen_and_not_changed(void **state) {
    (void)state;
    assert_asked(READS_A, "GET /api/v1/dashboards?search=HOST", NULL, 200,
                 "{\"dashboards\":[{\"id\":\"clew.host\",\"name\":\"Host\",\"version\":1,");
    assert_non_null(strstr(stage_body(&stage), "\"shipped\":true"));
    assert_null(strstr(stage_body(&stage), "\"created\""));
    assert_asked(READS_A, "GET /api/v1/dashboards/clew.host", NULL, 200, "\"body\":{\n  \"title\": \"Host\"");
    stage.if_none_match = etag;
    assert_int_equal(ask(READS_A, "GET /api/v1/dashboards/clew.host", NULL), 304);
    stage.if_none_match = NULL;
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/clew.host", home, 403, "keep a copy under another id");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/clew.mine", home, 403, "keep a copy under another id");
    assert_asked(OPERATES_A, "DELETE /api/v1/dashboards/clew.host", NULL, 403, "keep a copy under another id");
    assert_asked(READS_A, "GET /api/v1/dashboards/clew.none", NULL, 404, "no dashboard");
    assert_asked(READS_A, "GET /api/v1/rules/clew.host", NULL, 404, "no group of rules");
}

static const char grafana[] = "{\"dashboard\":{\"title\":\"From "
                              "<b>Grafana\",\"schemaVersion\":39,\"panels\":[{\"type\":\"stat\",\"title\":\"Up\","
                              "\"targets\":[{\"expr\":\"sum(up)\"}]},"
                              "{\"type\":\"piechart\",\"title\":\"Pie\"}]}}";

static void a_dashboard_of_grafana_is_imported_and_exported(void **state) {
    (void)state;
    char request[96], id[17];
    assert_asked(READS_A, "POST /api/v1/dashboards/import", grafana, 403, "denied");
    assert_asked(OPERATES_A, "POST /api/v1/dashboards/import?dry_run=true", grafana, 200,
                 "{\"notes\":[{\"path\":\"panels[1]\",\"title\":\"Pie\",\"what\":\"a panel of the kind piechart");
    assert_non_null(strstr(stage_body(&stage), "\"body\":{\"title\":\"From <b>Grafana\""));
    assert_asked(READS_A, "GET /api/v1/dashboards?search=grafana", NULL, 200, "{\"dashboards\":[]}");
    assert_asked(OPERATES_A, "POST /api/v1/dashboards/import", grafana, 200, "{\"id\":\"");
    assert_non_null(strstr(stage_body(&stage), "\"name\":\"From <b>Grafana\",\"version\":1"));
    assert_non_null(strstr(stage_body(&stage), "\"notes_left_out\":0"));
    snprintf(id, sizeof id, "%.16s", strstr(stage_body(&stage), "\"id\":\"") + 6);
    assert_asked(OPERATES_A, "POST /api/v1/dashboards/import", grafana, 409, "say title=");
    assert_asked(OPERATES_A, "POST /api/v1/dashboards/import?title=Another", grafana, 200, "\"name\":\"Another\"");
    snprintf(request, sizeof request, "GET /api/v1/dashboards/%s/export", id);
    assert_asked(READS_A, request, NULL, 200, "{\"title\":\"From <b>Grafana\",");
    snprintf(request, sizeof request, "GET /api/v1/dashboards/%s/export?format=grafana", id);
    assert_asked(READS_A, request, NULL, 200, "\"schemaVersion\": 39");
    assert_asked(OPERATES_B, request, NULL, 404, "no dashboard");
    assert_asked(READS_A, "GET /api/v1/dashboards/clew.host/export?format=grafana", NULL, 200,
                 "\"uid\": \"clew.host\"");
    assert_asked(OPERATES_A, "POST /api/v1/dashboards/import", "{\"rows\":[1]}", 200,
                 "\"name\":\"Imported dashboard\"");
    assert_asked(OPERATES_A, "POST /api/v1/dashboards/import", "{\"a\":1}", 400, "neither panels nor rows");
    assert_asked(OPERATES_A, "POST /api/v1/dashboards/import", "{", 400, "at byte");
}

static void changing_needs_operate_and_is_written_down(void **state) {
    (void)state;
    char path[128];
    AUTO_BUF struct buf log = {0};
    assert_asked(READS_A, "PUT /api/v1/dashboards/x", home, 403, "denied");
    assert_asked(READS_A, "POST /api/v1/rules", group, 403, "denied");
    assert_asked(READS_A, "DELETE /api/v1/rules/mine", NULL, 403, "denied");
    snprintf(path, sizeof path, "%s/audit.jsonl", dir);
    assert_null(file_read_all(path, MIB, &log));
    assert_non_null(strstr(log.p, "\"method\":\"PUT\",\"path\":\"/api/v1/rules/mine\""));
    assert_non_null(strstr(log.p, "\"method\":\"POST\",\"path\":\"/api/v1/rules\",\"status\":403"));
}

static void a_wrong_body_is_refused(void **state) {
    (void)state;
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/bad", "{\"title\":\"A\",\"panels\":[}", 400, "at byte 23");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/bad", "{\"title\":\" A\",\"panels\":[]}", 400, "blank");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/bad", "{\"title\":\"A\\u0000\",\"panels\":[]}", 400, "control");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/b%20d", home, 400, "an id is");
    assert_asked(OPERATES_A, "GET /api/v1/dashboards/%2e%2e%2fx", NULL, 400, "an id is");
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "PUT /api/v1/dashboards/x", "text/plain", NULL, str_of(home)),
                     400);
    AUTO_BUF struct buf large;
    buf_init(&large, 8 * MIB);
    buf_add_text(&large, "{\"title\":\"Large\",\"panels\":[]}");
    while (large.n < 5 << 20) buf_add_byte(&large, ' ');
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/large", large.p, 200, "\"bytes\":5242880");
    assert_asked(READS_A, "GET /api/v1/dashboards/large", NULL, 200, large.p);
    buf_add_byte(&large, ' ');
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/larger", large.p, 413, "5 MiB");
}

static int changes;
static err refuse_rules(void *context, struct str tenant, struct str id, struct str body) {
    return str_contains(body, STR("sum(b)")) ? err_new(ERR_INVALID, "rules[0].expr: %s of " STR_FMT "/" STR_FMT,
                                                       (const char *)context, STR_ARG(tenant), STR_ARG(id))
                                             : NULL;
}
static void note_change(void *context) {
    (void)context;
    changes++;
}

static void rules_are_checked_by_who_knows_them(void **state) {
    (void)state;
    stage.api->options.check_rules = refuse_rules;
    stage.api->options.rules_changed = note_change;
    stage.api->options.rules_context = (void *)(uintptr_t) "no metric b";
    assert_asked(OPERATES_A, "PUT /api/v1/rules/new", group, 400, "rules[0].expr: no metric b of a/new");
    assert_int_equal(changes, 0);
    assert_asked(OPERATES_A, "PUT /api/v1/rules/new", "{\"name\":\"fine\",\"rules\":[]}", 200, "fine");
    assert_asked(OPERATES_A, "PUT /api/v1/dashboards/sum", "{\"title\":\"sum(b)\",\"panels\":[]}", 200, "sum(b)");
    assert_int_equal(changes, 1); /* a dashboard is none */
    assert_asked(OPERATES_A, "DELETE /api/v1/rules/new", NULL, 200, "deleted");
    assert_asked(OPERATES_A, "DELETE /api/v1/rules/new", NULL, 404, "no group of rules");
    assert_int_equal(changes, 2);
    stage.api->options.check_rules = NULL;
    stage.api->options.rules_changed = NULL;
}

static void without_a_folder_nothing_is_kept(void **state) {
    (void)state;
    struct stage bare;
    stage_open(&bare);
    assert_int_equal(stage_ask(&bare, "GET /api/v1/rules"), 200);
    assert_int_equal(stage_ask(&bare, "GET /api/v1/rules/x"), 404);
    assert_int_equal(stage_send(&bare, API_PORT_MAIN, "PUT /api/v1/rules/x", "application/json", NULL, str_of(group)),
                     503);
    stage_close(&bare);
}

int main(void) {
    const struct CMUnitTest shapes[] = {cmocka_unit_test(a_body_has_its_shape), cmocka_unit_test(a_body_is_bounded),
                                        cmocka_unit_test(without_a_folder_nothing_is_kept)};
    const struct CMUnitTest calls[] = {
        cmocka_unit_test(a_dashboard_is_kept_seen_and_deleted),
        cmocka_unit_test(a_change_says_of_which_revision),
        cmocka_unit_test(a_record_is_of_its_tenant),
        cmocka_unit_test(changing_needs_operate_and_is_written_down),
        cmocka_unit_test(a_wrong_body_is_refused),
        cmocka_unit_test(rules_are_checked_by_who_knows_them),
        cmocka_unit_test(those_that_ship_are_seen_and_not_changed),
        cmocka_unit_test(a_dashboard_of_grafana_is_imported_and_exported),
    };
    int failed = cmocka_run_group_tests(shapes, NULL, NULL);
    return failed + cmocka_run_group_tests(calls, open_stage, close_stage);
}
