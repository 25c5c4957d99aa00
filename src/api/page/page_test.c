/* What the browser says of encodings and tags, and the answers to it: with the page or, as most builds of tests, without. */
#include "api/page/page_priv.h"
#include "api/stage_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void gzip_is_taken_where_it_is_named(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool taken;
    } cases[] = {{"", false},
                 {"gzip", true},
                 {"deflate, gzip;q=0.5, br", true},
                 {"br", false},
                 {"GZIP", true},
                 {"gzip;q=0", false},
                 {"gzip; q=0.000, *", false},
                 {"*", true},
                 {"*;q=0, gzip", true},
                 {"*;q=0", false},
                 {"identity", false},
                 {",,;", false},
                 {"gzip;q=0.001", true},
                 {"x-gzip", false},
                 {" gzip ", true},
                 {"gzipped", false}};
    for (size_t i = 0; i < LENGTH(cases); i++)
        if (page_takes_gzip(str_of(cases[i].text)) != cases[i].taken) fail_msg("%s", cases[i].text);
    assert_false(page_takes_gzip((struct str){NULL, 0}));
}

static void tags_match_weakly(void **state) {
    (void)state;
    static const struct {
        const char *list;
        bool matches;
    } cases[] = {{"\"a\"", true}, {"W/\"a\"", true}, {"\"b\", \"a\"", true}, {"*", true}, {"\"b\"", false},
                 {"a", false},    {"", false},       {"\"A\"", false}};
    for (size_t i = 0; i < LENGTH(cases); i++)
        if (page_etag_matches(str_of(cases[i].list), STR("\"a\"")) != cases[i].matches) fail_msg("%s", cases[i].list);
    assert_false(page_etag_matches((struct str){NULL, 0}, STR("\"a\"")));
}

static void every_screen_is_the_document(void **state) {
    (void)state;
    static const char *const screens[] = {"GET /",
                                          "GET /traces?service=a&any=thing",
                                          "GET /logs",
                                          "GET /start",
                                          "GET /settings?section=tokens",
                                          "GET /login?to=%2Ftraces",
                                          "GET /trace/0af7651916cd43dd8448eb211c80319c"};
    struct stage s;
    stage_open(&s);
    for (size_t i = 0; i < LENGTH(screens); i++) {
        assert_int_equal(stage_ask(&s, screens[i]), 200);
        assert_string_equal(s.content_type, "text/html; charset=utf-8");
        assert_non_null(strstr(s.fields, "Cache-Control: no-cache\nETag: \""));
        assert_null(strstr(s.fields, "Content-Encoding"));
        assert_non_null(strstr(stage_body(&s), "<title>clew</title>"));
    }
    assert_int_equal(stage_ask(&s, "GET /assets/index.html"), 404);
    assert_int_equal(stage_ask(&s, "GET /nowhere"), 404);
    stage_close(&s);
}

static void leads_to(struct stage *s, enum api_port port, const char *request, const char *location) {
    char want[512];
    snprintf(want, sizeof want, "Location: %s\n", location);
    assert_int_equal(stage_send(s, port, request, NULL, NULL, STR("")), 302);
    if (!strstr(s->fields, want)) fail_msg("%s: %s, not %s", request, s->fields, want);
}

static void links_of_prometheus_lead_to_the_metrics(void **state) {
    (void)state;
    struct stage s;
    stage_open(&s);
    leads_to(&s, API_PORT_MAIN, "GET /graph?g0.expr=up%20%3D%3D%200&g0.tab=1",
             "explore?query=up%20%3D%3D%200&as=table");
    leads_to(&s, API_PORT_MAIN, "GET /prometheus/graph?g0.expr=up+%2B+1&g0.tab=0", "../explore?query=up+%2B+1");
    leads_to(&s, API_PORT_MAIN, "GET /graph?g0.expr=a&g0.tab=0&g0.range_input=6h&g1.expr=b&g1.tab=1&x=y",
             "explore?query=a&query=b&start=now-6h");
    leads_to(&s, API_PORT_MAIN, "GET /graph", "explore");
    leads_to(&s, API_PORT_MAIN, "GET /graph?g0.expr=&g.expr=a&expr=b&gx.expr=c&g0.range_input=1%26", "explore");
    leads_to(&s, API_PORT_PROMETHEUS, "GET /graph?g0.expr=a", "../explore?query=a");
    s.api->options.external_url = STR("http://clew.example/below");
    leads_to(&s, API_PORT_PROMETHEUS, "GET /graph?g0.expr=a", "http://clew.example/below/explore?query=a");
    leads_to(&s, API_PORT_MAIN, "GET /graph?g0.expr=a", "explore?query=a");
    stage_close(&s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_is_taken_where_it_is_named),
        cmocka_unit_test(tags_match_weakly),
        cmocka_unit_test(every_screen_is_the_document),
        cmocka_unit_test(links_of_prometheus_lead_to_the_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
