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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_is_taken_where_it_is_named),
        cmocka_unit_test(tags_match_weakly),
        cmocka_unit_test(every_screen_is_the_document),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
