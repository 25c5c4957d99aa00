/* Saved searches: what may be saved, the document, and the calls by role and tenant. */
#include "api/records_testing_priv.h"
#include "api/searches_priv.h"

static struct arena texts;

static int begin(void **state) {
    (void)state;
    arena_init(&texts, 16 * MIB);
    return 0;
}
static int end(void **state) {
    (void)state;
    arena_done(&texts);
    return 0;
}

static void assert_fails(err e, enum err_kind kind, const char *what) {
    if (!e || err_kind(e) != kind) fail_msg("'%s': %s", what, e ? err_text(e) : "taken");
    err_free(e);
}

/* ---- what may be saved ------------------------------------------------------------------------------------------ */

static err check(const char *name, const char *screen, const char *query) {
    return search_check(&(struct search){.name = str_of(name), .screen = str_of(screen), .query = str_of(query)});
}

static void what_is_of_the_page_is_taken(void **state) {
    (void)state;
    static const char *const queries[] = {
        "", "service=cart", "start=now-1h&where=http.status_code%3E%3D500&where=a+exists", "text=%22card+expired%22"};
    static const char *const names[] = {"a",
                                        "Slow checkouts",
                                        "<script>alert(1)</script>",
                                        "\"quoted\" & 'so'",
                                        "bezahlt über Zürich 💳",
                                        "../../etc/passwd"};
    for (size_t i = 0; i < LENGTH(queries); i++) assert_null(check("a", i % 2 ? "traces" : "logs", queries[i]));
    for (size_t i = 0; i < LENGTH(names); i++) assert_null(check(names[i], "traces", ""));
}

static void everything_else_is_refused(void **state) {
    (void)state;
    static const char *const queries[] = {
        "?a=b",  "a",    "a=b&",  "&a=b",  "=b",    "A=b",        "a b=c",
        "a=b c", "a=\n", "a=b#c", "//x=y", "a.b=c", "a=\xc3\xbc", "abcdefghijklmnopqrstuvwxyzabcdefg=1"};
    static const char *const names[] = {"", " a", "a ", "a\nb", "a\x1b[0m", "\xff", "a\x7f"};
    static const char *const screens[] = {"", "trace", "home", "Traces", "javascript:alert(1)", "/traces"};
    for (size_t i = 0; i < LENGTH(queries); i++) assert_fails(check("a", "logs", queries[i]), ERR_INVALID, queries[i]);
    for (size_t i = 0; i < LENGTH(names); i++) assert_fails(check(names[i], "logs", ""), ERR_INVALID, names[i]);
    for (size_t i = 0; i < LENGTH(screens); i++) assert_fails(check("a", screens[i], ""), ERR_INVALID, screens[i]);
    static char longer[64 * KIB];
    memset(longer, 'a', sizeof longer - 1);
    assert_fails(check(longer, "logs", ""), ERR_INVALID, "a long name");
    longer[1] = '=';
    assert_fails(check("a", "logs", longer), ERR_LIMIT, "a long query");
    static char many[4 * 65 + 1];
    for (int i = 0; i < 65; i++) memcpy(many + 4 * i, "a=b&", 4);
    many[4 * 65 - 1] = 0;
    assert_fails(check("a", "logs", many), ERR_LIMIT, "many parameters");
    many[4 * 64 - 1] = 0;
    assert_null(check("a", "logs", many));
}

/* ---- the set and its document ----------------------------------------------------------------------------------- */

static void put(struct searches *s, const char *name, const char *query) {
    struct search one = {
        .name = str_of(name), .screen = STR("traces"), .query = str_of(query), .by = STR("ada"), .saved = STAGE_NOW_NS};
    assert_null(searches_put(s, &one, false));
}

static void a_set_is_by_name_and_survives_its_document(void **state) {
    (void)state;
    struct searches s = {.a = &texts}, again = {.a = &texts};
    AUTO_BUF struct buf out, twice;
    buf_init(&out, MIB);
    buf_init(&twice, MIB);
    put(&s, "m", "a=1");
    put(&s, "z\"<b>", "a=2");
    put(&s, "a", "a=3");
    assert_true(str_equal(s.v.v[0].name, STR("a")) && str_equal(s.v.v[2].name, STR("z\"<b>")));
    struct search same = {.name = STR("m"), .screen = STR("logs"), .query = STR("b=1")};
    assert_fails(searches_put(&s, &same, false), ERR_CONFLICT, "m");
    assert_null(searches_put(&s, &same, true));
    assert_true(str_equal(searches_find(&s, STR("m"))->query, STR("b=1")));
    searches_write(&s, &out);
    assert_null(searches_read(buf_str(&out), &again));
    searches_write(&again, &twice);
    assert_string_equal(out.p, twice.p);
    assert_null(searches_delete(&again, STR("m")));
    assert_fails(searches_delete(&again, STR("m")), ERR_NOT_FOUND, "m");
    assert_int_equal(again.v.n, 2);
    vec_done(&s.v);
    vec_done(&again.v);
}

static void a_set_has_a_thousand(void **state) {
    (void)state;
    struct searches s = {.a = &texts};
    static char names[SEARCHES_MAX + 1][8];
    for (int i = 0; i < SEARCHES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "%d", i * 7919 % SEARCHES_MAX);
        put(&s, names[i], "");
    }
    for (size_t i = 1; i < s.v.n; i++) assert_true(str_compare(s.v.v[i - 1].name, s.v.v[i].name) < 0);
    struct search more = {.name = STR("more"), .screen = STR("logs")};
    assert_fails(searches_put(&s, &more, false), ERR_LIMIT, "more");
    vec_done(&s.v);
}

static void a_document_that_is_none_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        "{\"version\":2,\"searches\":[]}",
        "{\"version\":1}",
        "{\"searches\":[],\"version\":1}",
        "{\"version\":1,\"searches\":[]} x",
        "{\"version\":1,\"searches\":[{}]}",
        "{\"version\":1,\"searches\":{}}",
        "{\"version\":1,\"searches\":[{\"name\":\"a\",\"screen\":\"traces\",\"query\":\"\",\"by\":\"\"}]}",
        "{\"version\":1,\"searches\":[{\"name\":\"a\",\"screen\":\"shell\",\"query\":\"\",\"by\":\"\",\"saved\":\"2026-"
        "01-01T00:00:00Z\"}]}",
        "{\"version\":1,\"searches\":[{\"name\":\"a\",\"name\":\"a\",\"screen\":\"traces\",\"query\":\"\",\"by\":\"\","
        "\"saved\":\"2026-01-01T00:00:00Z\"}]}",
        "{\"version\":1,\"searches\":[{\"name\":\"a\",\"screen\":\"traces\",\"query\":\"\",\"by\":\"\",\"saved\":1}]}",
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct searches s = {.a = &texts};
        assert_fails(searches_read(str_of(bad[i]), &s), ERR_INVALID, bad[i]);
        vec_done(&s.v);
    }
}

/* ---- the calls -------------------------------------------------------------------------------------------------- */

/* With an arena for what is read. */
static int open_calls(void **state) { return begin(state) || open_stage(state); }
static int close_calls(void **state) { return close_stage(state) || end(state); }

static const char slow[] = "{\"screen\":\"traces\",\"query\":\"start=now-1h&service=cart\"}";

static void a_search_is_saved_seen_and_deleted(void **state) {
    (void)state;
    assert_asked(READS_A, "GET /api/v1/searches", NULL, 200, "{\"searches\":[]}");
    assert_asked(OPERATES_A, "PUT /api/v1/searches/slow%20%3Cb%3E", slow, 200, "\"by\":\"operates\"");
    assert_asked(READS_A, "GET /api/v1/searches", NULL, 200, "\"name\":\"slow <b>\"");
    assert_asked(READS_A, "GET /api/v1/searches/slow%20%3Cb%3E", NULL, 200, "start=now-1h&service=cart");
    assert_asked(OPERATES_A, "PUT /api/v1/searches/slow%20%3Cb%3E", slow, 409, "of that name already");
    assert_asked(OPERATES_A, "PUT /api/v1/searches/slow%20%3Cb%3E?replace=true", "{\"screen\":\"logs\",\"query\":\"\"}",
                 200, "logs");
    assert_asked(OPERATES_A, "DELETE /api/v1/searches/slow%20%3Cb%3E", NULL, 200, "{\"deleted\":true}");
    assert_asked(OPERATES_A, "DELETE /api/v1/searches/slow%20%3Cb%3E", NULL, 404, "no search");
    assert_asked(READS_A, "GET /api/v1/searches/slow%20%3Cb%3E", NULL, 404, "no search");
}

static void a_search_is_of_its_tenant(void **state) {
    (void)state;
    assert_asked(OPERATES_A, "PUT /api/v1/searches/mine", slow, 200, "mine");
    assert_asked(OPERATES_B, "GET /api/v1/searches", NULL, 200, "{\"searches\":[]}");
    assert_asked(OPERATES_B, "GET /api/v1/searches/mine", NULL, 404, "no search");
    assert_asked(OPERATES_B, "DELETE /api/v1/searches/mine", NULL, 404, "no search");
    assert_asked(OPERATES_B, "PUT /api/v1/searches/mine", "{\"screen\":\"logs\",\"query\":\"\"}", 200, "logs");
    assert_asked(READS_A, "GET /api/v1/searches/mine", NULL, 200, "traces");
}

static void changing_needs_operate_and_is_written_down(void **state) {
    (void)state;
    char path[128];
    AUTO_BUF struct buf log = {0};
    assert_asked(READS_A, "PUT /api/v1/searches/x", slow, 403, "denied");
    assert_asked(READS_A, "DELETE /api/v1/searches/mine", NULL, 403, "denied");
    assert_asked(OPERATES_A, "PUT /api/v1/searches/kept", slow, 200, "kept");
    snprintf(path, sizeof path, "%s/audit.jsonl", dir);
    assert_null(file_read_all(path, MIB, &log));
    assert_non_null(strstr(log.p, "\"method\":\"PUT\",\"path\":\"/api/v1/searches/kept\""));
}

static void a_wrong_body_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {"{}",
                                      "[]",
                                      "{\"screen\":\"traces\"}",
                                      "{\"screen\":\"traces\",\"query\":\"\",\"name\":\"x\"}",
                                      "{\"screen\":\"home\",\"query\":\"\"}",
                                      "{\"screen\":\"traces\",\"query\":\"?a=b\"}",
                                      "{\"screen\":\"traces\",\"query\":\"\"} ",
                                      "{\"screen\":\"traces\",\"query\":\"\"}x"};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        int status = ask(OPERATES_A, "PUT /api/v1/searches/bad", bad[i]);
        if (i != 6 && status != 400) fail_msg("%s: %d", bad[i], status);
        if (i == 6) assert_int_equal(status, 200); /* a blank behind it is no fault */
    }
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "PUT /api/v1/searches/x", "text/plain", NULL, str_of(slow)),
                     400);
    assert_asked(OPERATES_A, "PUT /api/v1/searches/%0A", slow, 400, "control characters");
}

/* A file that cannot be read is no empty list, and is not written over. */
static void a_damaged_file_is_told(void **state) {
    (void)state;
    char path[128];
    struct file *f;
    snprintf(path, sizeof path, "%s/searches/a.json", dir);
    assert_null(file_open(path, FILE_CREATE_ANY, &f));
    assert_null(file_write(f, "{\"version\":9", 12, 0));
    file_close(f);
    assert_asked(READS_A, "GET /api/v1/searches", NULL, 500, "newer clew");
    assert_asked(OPERATES_A, "PUT /api/v1/searches/new", slow, 500, "newer clew");
    assert_null(strstr(stage_body(&stage), dir)); /* where files are is for the log */
    assert_null(path_remove(path));
}

int main(void) {
    const struct CMUnitTest documents[] = {
        cmocka_unit_test(what_is_of_the_page_is_taken),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(a_set_is_by_name_and_survives_its_document),
        cmocka_unit_test(a_set_has_a_thousand),
        cmocka_unit_test(a_document_that_is_none_is_refused),
    };
    const struct CMUnitTest calls[] = {
        cmocka_unit_test(a_search_is_saved_seen_and_deleted),
        cmocka_unit_test(a_search_is_of_its_tenant),
        cmocka_unit_test(changing_needs_operate_and_is_written_down),
        cmocka_unit_test(a_wrong_body_is_refused),
        cmocka_unit_test(a_damaged_file_is_told),
    };
    int failed = cmocka_run_group_tests(documents, begin, end);
    return failed + cmocka_run_group_tests(calls, open_calls, close_calls);
}
