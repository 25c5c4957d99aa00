/* YAML as a tree: what a file says, where it says it, and what it may not do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "base/yaml.h"

static struct arena arena;

static int begin(void **state) {
    (void)state;
    arena_init(&arena, 64 * MIB);
    return 0;
}
static int end(void **state) {
    (void)state;
    arena_done(&arena);
    return 0;
}

static struct yaml *read(const char *text) {
    struct yaml *y;
    err e = yaml_read(str_of(text), "f.yml", &arena, &y);
    if (e) fail_msg("%s", err_text(e));
    return y;
}

static void expect_err(const char *text, const char *want) {
    struct yaml *y;
    err e = yaml_read(str_of(text), "f.yml", &arena, &y);
    if (!e) fail_msg("taken: %s", text);
    if (!strstr(err_text(e), want)) fail_msg("got \"%s\", want \"%s\"", err_text(e), want);
    err_free(e);
}

static void expect_text(const struct yaml *y, const char *want) {
    struct str text = {0};
    assert_non_null(y);
    assert_null(yaml_text(y, &text));
    if (!str_equal(text, str_of(want))) fail_msg("got \"" STR_FMT "\", want \"%s\"", STR_ARG(text), want);
    assert_int_equal(text.p[text.n], 0);
}

/* Sanitizers see what is lost. */
static void single_quotes_are_kept_whole(void **state) {
    (void)state;
    struct yaml *y = read("a: 'it''s'\nb: ['x''y''''', '', 'abc']\n? 'k''e' # c\n: !!str 'ü''ä'\n"
                          "c: 'two\n  lines''s'\nd: &x 'e''e'\ne: *x\n"
                          "f: ''''''''''''''''''''''''''''''''''''''''''''''''''''''''''''\n");
    expect_text(yaml_get(y, "a"), "it's");
    struct yaml *b = yaml_get(y, "b");
    expect_text(b->items[0], "x'y''");
    expect_text(b->items[1], "");
    expect_text(b->items[2], "abc");
    assert_true(b->items[1]->quoted && !yaml_is_null(b->items[1]));
    expect_text(yaml_get(y, "k'e"), "ü'ä");
    expect_text(yaml_get(y, "c"), "two lines's");
    expect_text(yaml_get(y, "d"), "e'e");
    expect_text(yaml_get(y, "e"), "e'e");
    expect_text(yaml_get(y, "f"), "'''''''''''''''''''''''''''''");
    expect_text(read("\xef\xbb\xbf'r''r'"), "r'r");
}

static void trees_are_what_the_file_says(void **state) {
    (void)state;
    struct yaml *y =
        read("# of\na: 1\nb:\n  - x\n  - 'y z'\n  - {c: \"d\\n\", e: }\nt: |\n  two\n  lines\nf: [1, 2]\n");
    assert_int_equal(y->kind, YAML_MAP);
    assert_int_equal(y->n, 4);
    expect_text(y->keys[1], "b");
    assert_int_equal(y->keys[1]->line, 3);
    expect_text(yaml_get(y, "a"), "1");
    assert_int_equal(yaml_get(y, "a")->line, 2);
    struct yaml *b = yaml_get(y, "b");
    assert_int_equal(b->kind, YAML_LIST);
    assert_int_equal(b->n, 3);
    assert_false(b->items[0]->quoted);
    assert_true(b->items[1]->quoted);
    expect_text(b->items[1], "y z");
    expect_text(yaml_get(b->items[2], "c"), "d\n");
    assert_true(yaml_is_null(yaml_get(b->items[2], "e")));
    assert_int_equal(yaml_get(b->items[2], "c")->line, 6);
    expect_text(yaml_get(y, "t"), "two\nlines\n");
    assert_int_equal(yaml_get(y, "f")->n, 2);
    assert_null(yaml_get(y, "g"));
    assert_null(yaml_get(b, "a"));
    assert_null(yaml_get(NULL, "a"));
}

static void nothing_is_an_empty_map(void **state) {
    (void)state;
    static const char *const texts[] = {"", "\n\n", "# nothing\n", "---\n"};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        struct yaml *y = read(texts[i]);
        assert_true(y->kind == YAML_MAP || yaml_is_null(y));
        assert_int_equal(y->n, 0);
    }
}

static void aliases_are_what_they_mean(void **state) {
    (void)state;
    struct yaml *y =
        read("base: &b {x: 1, y: 2}\nmore: &m {z: 3, y: 9}\nuse: *b\nown:\n  y: 5\n  <<: *b\ntwo:\n  <<: [*b, *m]\n");
    expect_text(yaml_get(yaml_get(y, "use"), "x"), "1");
    struct yaml *own = yaml_get(y, "own"), *two = yaml_get(y, "two");
    assert_int_equal(own->n, 2);
    expect_text(yaml_get(own, "y"), "5");
    expect_text(yaml_get(own, "x"), "1");
    assert_int_equal(two->n, 3);
    expect_text(yaml_get(two, "y"), "2");
    expect_text(yaml_get(two, "z"), "3");
}

static void values_are_what_they_must_be(void **state) {
    (void)state;
    struct yaml *y = read("t: true\nf: false\nq: 'true'\nn: 12\nm: -1\nd: 1h30m\nl: [1]\nz: ~\n");
    bool b = false;
    uint64_t n = 7;
    int64_t ns = 0;
    assert_null(yaml_bool(yaml_get(y, "t"), &b));
    assert_true(b);
    assert_null(yaml_bool(yaml_get(y, "f"), &b));
    assert_false(b);
    assert_null(yaml_u64(yaml_get(y, "z"), &n));
    assert_null(yaml_u64(NULL, &n));
    assert_int_equal(n, 7);
    assert_null(yaml_u64(yaml_get(y, "n"), &n));
    assert_int_equal(n, 12);
    assert_null(yaml_duration(yaml_get(y, "d"), &ns));
    assert_true(ns == (int64_t)5400 * 1000000000);
    err bad[] = {yaml_bool(yaml_get(y, "q"), &b), yaml_u64(yaml_get(y, "m"), &n), yaml_duration(yaml_get(y, "t"), &ns),
                 yaml_bool(yaml_get(y, "l"), &b)};
    static const char *const where[] = {"f.yml:3: ", "f.yml:5: ", "f.yml:1: ", "f.yml:7: "};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        assert_non_null(bad[i]);
        assert_int_equal(strncmp(err_text(bad[i]), where[i], strlen(where[i])), 0);
        err_free(bad[i]);
    }
    err e = yaml_only(y, (const char *const[]){"t", "f", "q", NULL});
    assert_string_equal(err_text(e), "f.yml:4: unknown key \"n\"");
    err_free(e);
}

static void what_is_wrong_has_a_line(void **state) {
    (void)state;
    expect_err("a: 1\nb: [1, 2\n", "f.yml:");
    expect_err("a: 1\na: 2\n", "f.yml:2: not YAML");
    expect_err("a: *nothing\n", "f.yml:1: ");
    expect_err("a: 1\n%YAML 1.1\n", "f.yml:2: a directive of YAML is not taken");
    expect_err("a: 1\nb: \xff\n", "f.yml:2: not UTF-8 text");
    expect_err("? [1]\n: 2\n", "f.yml:1: a key is text");
    expect_err("a:\n  <<: 1\n", "<<: expected a map");
}

static void files_that_double_themselves_are_refused(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    buf_add_text(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        buf_add_fmt(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++) buf_add_fmt(&text, "*a%d, ", i - 1);
        buf_add_text(&text, "]\n");
    }
    buf_add_byte(&text, 0);
    struct yaml *y;
    arena_done(&arena);
    arena_init(&arena, 512 * MIB);
    err e = yaml_read(str_of(text.p), "f.yml", &arena, &y);
    assert_non_null(e);
    assert_non_null(strstr(err_text(e), "too many values"));
    err_free(e);
    arena_done(&arena);
    arena_init(&arena, MIB);
    e = yaml_read(str_of(text.p), "f.yml", &arena, &y);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
}

/* What libfyaml would take gigabytes for is refused before it begins. */
static void tokens_are_counted_first(void **state) {
    static const struct {
        const char *unit, *want;
        size_t n;
    } cases[] = {{"1,", "test.yml:1: too many values", YAML_NODES_MAX + 1},
                 {"- x\n", "test.yml:1048578: too many values", YAML_NODES_MAX + 1},
                 {"[", "test.yml:1: nested too deep", 70000},
                 {"{", "test.yml:1: nested too deep", 70000}};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf text;
        struct arena a;
        struct yaml *y;
        buf_init(&text, YAML_BYTES_MAX);
        arena_init(&a, MIB);
        for (size_t k = 0; k < cases[i].n; k++) buf_add_text(&text, cases[i].unit);
        err e = yaml_read(buf_str(&text), "test.yml", &a, &y);
        assert_non_null(e);
        assert_string_equal(err_text(e), cases[i].want);
        err_free(e);
        arena_done(&a);
    }
}

static void depth_is_limited(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (int i = 0; i < YAML_DEPTH_MAX + 2; i++) buf_add_byte(&text, '[');
    for (int i = 0; i < YAML_DEPTH_MAX + 2; i++) buf_add_byte(&text, ']');
    buf_add_byte(&text, 0);
    expect_err(text.p, ":1: ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(single_quotes_are_kept_whole, begin, end),
        cmocka_unit_test_setup_teardown(trees_are_what_the_file_says, begin, end),
        cmocka_unit_test_setup_teardown(nothing_is_an_empty_map, begin, end),
        cmocka_unit_test_setup_teardown(aliases_are_what_they_mean, begin, end),
        cmocka_unit_test_setup_teardown(values_are_what_they_must_be, begin, end),
        cmocka_unit_test_setup_teardown(what_is_wrong_has_a_line, begin, end),
        cmocka_unit_test_setup_teardown(files_that_double_themselves_are_refused, begin, end),
        cmocka_unit_test(tokens_are_counted_first),
        cmocka_unit_test_setup_teardown(depth_is_limited, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
