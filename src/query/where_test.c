#include "query/query.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct good {
    const char *text;
    enum target target;
    const char *key;
    enum operator op;
    const char *value;
};

static void conditions_are_read(void **state) {
    (void)state;
    static const struct good cases[] = {
        {"http.status_code=503", TARGET_ANY, "http.status_code", OP_EQUAL, "503"},
        {"  a  !=  b  ", TARGET_ANY, "a", OP_NOT_EQUAL, "b"},
        {"a>1", TARGET_ANY, "a", OP_GREATER, "1"},
        {"a>=1", TARGET_ANY, "a", OP_GREATER_EQUAL, "1"},
        {"a<1.5", TARGET_ANY, "a", OP_LESS, "1.5"},
        {"a<= x y ", TARGET_ANY, "a", OP_LESS_EQUAL, "x y"},
        {"resource.host.name~web-.*", TARGET_RESOURCE, "host.name", OP_MATCH, "web-.*"},
        {"span.a!~b|c", TARGET_ATTRIBUTE, "a", OP_NOT_MATCH, "b|c"},
        {"log.a=1", TARGET_ATTRIBUTE, "a", OP_EQUAL, "1"},
        {"scope.name=io", TARGET_SCOPE, "name", OP_EQUAL, "io"},
        {"event.exception.type exists", TARGET_EVENT, "exception.type", OP_EXISTS, ""},
        {"order.id absent", TARGET_ANY, "order.id", OP_ABSENT, ""},
        {"\"resource.x\"=1", TARGET_ANY, "resource.x", OP_EQUAL, "1"},
        {"resource.\"a b\" = \"c \\\" d\\\\\"", TARGET_RESOURCE, "a b", OP_EQUAL, "c \" d\\"},
        {"a=", TARGET_ANY, "a", OP_EQUAL, ""},
        {"a=\"\"", TARGET_ANY, "a", OP_EQUAL, ""},
        {"a=b=c", TARGET_ANY, "a", OP_EQUAL, "b=c"},
        {"a=\"==\"", TARGET_ANY, "a", OP_EQUAL, "=="},
        {"exists exists", TARGET_ANY, "exists", OP_EXISTS, ""},
        {"schl\xc3\xbcssel=wert", TARGET_ANY, "schl\xc3\xbcssel", OP_EQUAL, "wert"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct arena a;
        struct predicate p = {0};
        arena_init(&a, MIB);
        err e = where_parse(&a, str_of(cases[i].text), &p);
        if (e) fail_msg("%s: %s", cases[i].text, err_text(e));
        assert_int_equal(p.column.target, cases[i].target);
        assert_int_equal(p.op, cases[i].op);
        assert_true(str_equal(p.column.key, str_of(cases[i].key)));
        assert_true(str_equal(p.text, str_of(cases[i].value)));
        predicate_done(&p);
        arena_done(&a);
    }
}

static void mistakes_are_told_with_their_place(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "at 1: the name of an attribute is missing"},
        {"=5", "at 1: the name of an attribute is missing"},
        {"resource.=5", "at 1: the name of an attribute is missing"},
        {"a", "at 2: an operator is missing: = != > >= < <= ~ !~ exists absent"},
        {"a ! b", "at 3: an operator is missing: = != > >= < <= ~ !~ exists absent"},
        {"order.id exits", "at 10: an operator is missing: = != > >= < <= ~ !~ exists absent"},
        {"a == b", "at 3: == is not an operator; write one ="},
        {"a =~ b", "at 3: =~ is not an operator; write ~ alone"},
        {"\"a=1", "at 1: the quote has no end"},
        {"a=\"b", "at 3: the quote has no end"},
        {"a=\"b\\\"", "at 3: the quote has no end"},
        {"a=\"b\\n\"", "at 5: only \\\" and \\\\ are escapes here"},
        {"a=\"b\" c", "at 7: there is more after the quoted value"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct arena a;
        struct predicate p = {0};
        arena_init(&a, MIB);
        err e = where_parse(&a, str_of(cases[i].text), &p);
        if (!e) fail_msg("%s: taken", cases[i].text);
        assert_int_equal(err_kind(e), ERR_INVALID);
        assert_string_equal(err_text(e), cases[i].error);
        err_free(e);
        arena_done(&a);
    }
}

static void a_broken_expression_is_told(void **state) {
    (void)state;
    struct arena a;
    struct predicate p = {0};
    arena_init(&a, MIB);
    err e = where_parse(&a, STR("a ~ (b"), &p);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_INVALID);
    assert_true(str_starts_with(str_of(err_text(e)), STR("at 5: ")));
    err_free(e);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conditions_are_read),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(a_broken_expression_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
