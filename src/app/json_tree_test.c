/* The tree that views read answers from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/json_tree.h"

static const struct json_node *read_tree(struct arena *a, const char *text) {
    const struct json_node *tree = NULL;
    assert_null(json_tree_read(a, str_of(text), &tree));
    assert_non_null(tree);
    return tree;
}

static void members_are_found_by_key(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    arena_init(&a, MIB);
    const struct json_node *t =
        read_tree(&a, "{\"a\":\"x\\n\",\"b\":{\"c\":-7},\"d\":[1,[2],{\"e\":true}],\"f\":null}");
    assert_true(str_equal(json_tree_text(t, "a"), STR("x\n")));
    assert_int_equal(json_tree_number(json_tree_get(t, "b"), "c"), -7);
    const struct json_node *list = json_tree_get(t, "d");
    assert_int_equal(list->type, JSON_ARRAY);
    assert_true(str_equal(list->first->text, STR("1")));
    assert_int_equal(list->first->next->type, JSON_ARRAY);
    assert_int_equal(json_tree_get(list->first->next->next, "e")->type, JSON_TRUE);
    assert_null(list->first->next->next->next);
    assert_int_equal(json_tree_get(t, "f")->type, JSON_NULL);
}

static void what_is_missing_reads_as_empty(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    arena_init(&a, MIB);
    const struct json_node *t = read_tree(&a, "{\"a\":[]}");
    const struct json_node *gone = json_tree_get(json_tree_get(t, "x"), "y");
    assert_non_null(gone);
    assert_null(gone->first);
    assert_true(str_equal(json_tree_text(t, "x"), STR("")));
    assert_int_equal(json_tree_number(t, "a"), 0);
    assert_null(json_tree_get(t, "a")->first);
    assert_int_equal(read_tree(&a, "[]")->type, JSON_ARRAY);
}

static void broken_or_endless_answers_are_errors(void **state) {
    (void)state;
    static const char *const texts[] = {"", "{", "{\"a\":}", "[1,]", "{\"a\":1}x"};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        AUTO_ARENA struct arena a;
        const struct json_node *tree;
        arena_init(&a, MIB);
        err e = json_tree_read(&a, str_of(texts[i]), &tree);
        if (!e) fail_msg("taken: %s", texts[i]);
        err_free(e);
    }
    char deep[400];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    AUTO_ARENA struct arena a;
    const struct json_node *tree;
    arena_init(&a, MIB);
    err e = json_tree_read(&a, str_of(deep), &tree);
    assert_non_null(e);
    err_free(e);
}

static void a_tree_over_the_arenas_limit_is_an_error(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf text;
    const struct json_node *tree;
    arena_init(&a, 64 * KIB);
    buf_init(&text, MIB);
    buf_add_byte(&text, '[');
    for (int i = 0; i < 10000; i++) buf_add_text(&text, "1,");
    buf_add_text(&text, "1]");
    err e = json_tree_read(&a, buf_str(&text), &tree);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_found_by_key),
        cmocka_unit_test(what_is_missing_reads_as_empty),
        cmocka_unit_test(broken_or_endless_answers_are_errors),
        cmocka_unit_test(a_tree_over_the_arenas_limit_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
