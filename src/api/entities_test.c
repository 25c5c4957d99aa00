/* Environments, services, changes and findings: bodies, and the calls by role and tenant. */
#include "api/entities_priv.h"
#include "api/records_testing_priv.h"

/* ---- bodies ----------------------------------------------------------------------------------------------------- */

static void assert_read(enum entity_kind kind, const char *body, const char *json_or_error) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf out;
    struct entity e = {.key = STR("k")};
    struct json_writer w;
    arena_init(&a, MIB);
    buf_init(&out, MIB);
    err bad = entity_read(kind, str_of(body), STAGE_NOW_NS, &a, &e);
    json_writer_init(&w, &out);
    if (!bad) entity_write(&w, kind, &e);
    const char *is = bad ? err_text(bad) : out.p;
    if (!strstr(is, json_or_error)) fail_msg("%s: %s, not %s", body, is, json_or_error);
    err_free(bad);
}

static void bodies_are_taken_or_told_why_not(void **state) {
    (void)state;
    static const struct {
        enum entity_kind kind;
        const char *body, *json_or_error;
    } cases[] = {
        {ENTITY_CHANGE, "{\"kind\":\"commit\"}",
         "{\"id\":\"k\",\"kind\":\"commit\",\"time\":\"2026-01-02T03:04:05Z\",\"service\":\"\",\"environment\":\"\","
         "\"title\":\"\",\"url\":\"\",\"author\":\"\",\"labels\":{},"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"time\":\"now-1h\",\"labels\":{ \"a\" : \"\\u00fc\" }}",
         "\"time\":\"2026-01-02T02:04:05Z\""},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"labels\":{ \"a\" : \"\\u00fc\" }}", "\"labels\":{ \"a\" : \"\\u00fc\" }"},
        {ENTITY_CHANGE, "{}", "kind: is missing"},
        {ENTITY_CHANGE, "{\"kind\":\"deploy\"}", "kind: one of commit pull_request deployment"},
        {ENTITY_CHANGE, "{\"kind\":7}", "kind: must be a text, at byte 8"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"kind\":\"flag\"}", "kind: stands twice, at byte 15"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"id\":\"x\"}", "id: no member of a change"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"time\":5}", "time: must be a time"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"time\":\"soon\"}", "time: "},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"url\":\"javascript:alert(1)\"}", "url: begins with https://"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"labels\":[]}", "labels: must be an object of texts, at byte 24"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"labels\":{\"a\":1}}", "labels: must be an object of texts, at byte 29"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\",\"labels\":{\"\":\"\"}}", "labels: a name of 1 to 200"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\"} x", "at byte 16"},
        {ENTITY_CHANGE, "{\"kind\":\"flag\"", "ends too early"},
        {ENTITY_CHANGE, "[]", "the body: must be an object, at byte 0"},
        {ENTITY_FINDING, "{\"kind\":\"x\",\"title\":\"t\"}",
         "\"severity\":\"info\",\"state\":\"open\",\"start\":\"2026-01-02T03:04:05Z\",\"end\":null,"},
        {ENTITY_FINDING, "{\"kind\":\"x\"}", "title: is missing"},
        {ENTITY_FINDING, "{\"kind\":\"x\",\"title\":\"t\",\"evidence\":[{\"language\":\"promql\",\"query\":\"up\"}]}",
         "\"evidence\":[{\"language\":\"promql\",\"query\":\"up\"}]"},
        {ENTITY_FINDING, "{\"kind\":\"x\",\"title\":\"t\",\"evidence\":[{\"query\":\"up\"}]}",
         "a language and a query"},
        {ENTITY_FINDING, "{\"kind\":\"x\",\"title\":\"t\",\"evidence\":[{\"query\":\"up\",\"query\":\"\"}]}",
         "each once"},
        {ENTITY_FINDING, "{\"kind\":\"x\",\"title\":\"t\",\"evidence\":[\"up\"]}", "must be an array of queries"},
        {ENTITY_FINDING, "{\"kind\":\"x\",\"title\":\"t\",\"severity\":\"bad\"}", "severity: one of info"},
        {ENTITY_ENVIRONMENT, "{}", "{\"id\":\"k\",\"title\":\"\",\"url\":\"\",\"owner\":\"\",\"labels\":{},"},
        {ENTITY_SERVICE, "{\"namespace\":\"shop\",\"service\":\"cart\"}",
         "\"namespace\":\"shop\",\"service\":\"cart\""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) assert_read(cases[i].kind, cases[i].body, cases[i].json_or_error);
}

static void labels_and_evidence_are_bounded(void **state) {
    (void)state;
    AUTO_BUF struct buf labels, evidence;
    buf_init(&labels, MIB);
    buf_init(&evidence, MIB);
    buf_add_text(&labels, "{\"kind\":\"flag\",\"labels\":{");
    buf_add_text(&evidence, "{\"kind\":\"x\",\"title\":\"t\",\"evidence\":[");
    for (int i = 0; i <= ENTITY_LABELS_MAX; i++) buf_add_fmt(&labels, "%s\"a%d\":\"\"", i ? "," : "", i);
    for (int i = 0; i <= ENTITY_EVIDENCE_MAX; i++)
        buf_add_fmt(&evidence, "%s{\"language\":\"\",\"query\":\"\"}", i ? "," : "");
    buf_add_text(&labels, "}}");
    buf_add_text(&evidence, "]}");
    assert_read(ENTITY_CHANGE, labels.p, "labels: more than 64");
    assert_read(ENTITY_FINDING, evidence.p, "evidence: more than 50");
}

/* ---- the calls -------------------------------------------------------------------------------------------------- */

static void rows_are_kept_listed_and_deleted(void **state) {
    (void)state;
    assert_asked(OPERATES_A, "PUT /api/v1/changes/refs%2Fv1.2", "{\"kind\":\"deployment\",\"service\":\"cart\"}", 200,
                 "\"first_seen\":\"2026-01-02T03:04:05Z\"");
    assert_asked(OPERATES_A, "PUT /api/v1/changes/refs%2Fv1.2", "{\"kind\":\"deployment\",\"service\":\"web\"}", 200,
                 "\"service\":\"web\"");
    assert_asked(OPERATES_A, "POST /api/v1/changes", "{\"kind\":\"flag\",\"time\":\"now-1h\"}", 200,
                 "\"kind\":\"flag\"");
    assert_asked(READS_A, "GET /api/v1/changes?limit=1", NULL, 200,
                 "\"next_cursor\":\"1767323045000000000:refs/v1.2\"");
    assert_asked(READS_A, "GET /api/v1/changes?limit=1&cursor=1767323045000000000:refs%2Fv1.2", NULL, 200,
                 "\"next_cursor\":null");
    assert_asked(READS_A, "GET /api/v1/changes?service=cart", NULL, 200, "{\"changes\":[],\"next_cursor\":null}");
    assert_asked(READS_A, "GET /api/v1/changes?kind=flag&end=now-30m", NULL, 200, "\"kind\":\"flag\"");
    assert_asked(READS_A, "GET /api/v1/changes/refs%2Fv1.2", NULL, 200, "{\"id\":\"refs/v1.2\",");
    assert_asked(OPERATES_A, "POST /api/v1/findings", "{\"kind\":\"x\",\"title\":\"slow\",\"service\":\"web\"}", 200,
                 "\"open\"");
    assert_asked(READS_A, "GET /api/v1/findings?state=open&service=web", NULL, 200, "\"title\":\"slow\"");
    assert_asked(READS_A, "GET /api/v1/findings?state=resolved", NULL, 200, "{\"findings\":[],");
    assert_asked(OPERATES_A, "PUT /api/v1/environments/prod", "{\"owner\":\"ops\"}", 200, "\"owner\":\"ops\"");
    assert_asked(READS_A, "GET /api/v1/environments", NULL, 200, "{\"environments\":[{\"id\":\"prod\",");
    assert_asked(OPERATES_A, "PUT /api/v1/catalog/services/cart", "{\"owner\":\"team a\"}", 200,
                 "\"owner\":\"team a\"");
    assert_asked(READS_A, "GET /api/v1/catalog/services/cart", NULL, 200, "\"team a\"");
    assert_asked(OPERATES_A, "DELETE /api/v1/changes/refs%2Fv1.2", NULL, 200, "{\"deleted\":true}");
    assert_asked(OPERATES_A, "DELETE /api/v1/changes/refs%2Fv1.2", NULL, 404, "no change");
}

static void roles_and_tenants_hold(void **state) {
    (void)state;
    static const char body[] = "{\"kind\":\"flag\"}";
    assert_asked(READS_A, "PUT /api/v1/changes/x", body, 403, "role of this token");
    assert_asked(INGESTS_A, "POST /api/v1/changes", body, 403, "role of this token");
    assert_asked(INGESTS_A, "GET /api/v1/changes", NULL, 403, "role of this token");
    assert_asked(OPERATES_A, "PUT /api/v1/changes/x", body, 200, "flag");
    assert_asked(OPERATES_B, "GET /api/v1/changes/x", NULL, 404, "no change");
    assert_asked(OPERATES_B, "DELETE /api/v1/changes/x", NULL, 404, "no change");
    assert_asked(OPERATES_B, "GET /api/v1/changes", NULL, 200, "{\"changes\":[],");
    assert_asked(OPERATES_A, "PUT /api/v1/changes/x", "{}", 400, "kind: is missing");
    assert_asked(OPERATES_A, "PUT /api/v1/changes/a%0Ab", body, 400, "id: control");
    assert_asked(OPERATES_A, "PUT /api/v1/changes/a%ff", body, 400, "UTF-8");
    assert_asked(READS_A, "GET /api/v1/changes?cursor=x", NULL, 400, "cursor");
    assert_asked(READS_A, "GET /api/v1/changes?limit=1001", NULL, 400, "limit");
    assert_asked(READS_A, "GET /api/v1/findings?nme=1", NULL, 400, "nme");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_are_taken_or_told_why_not),
        cmocka_unit_test(labels_and_evidence_are_bounded),
        on_stage(rows_are_kept_listed_and_deleted),
        on_stage(roles_and_tenants_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
