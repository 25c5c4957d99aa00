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
    assert_int_equal(yaml_get(y, "t")->line, 8);
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
    expect_err("\xef\xbb\xbf%TAG ! a\n", "f.yml:1: a directive of YAML is not taken");
    expect_err("a: 1\r%TAG ! a\n", "f.yml:1: a directive of YAML is not taken");
    expect_err("a: 1\xe2\x80\xa8%TAG ! a\n", "f.yml:1: a directive of YAML is not taken");
    expect_err("a: \x01\n", "f.yml:1: not YAML: control characters are not allowed");
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
    assert_true(arena.used_bytes <= MIB); /* an alias is no copy */
    err_free(e);
    arena_done(&arena);
    arena_init(&arena, KIB);
    e = yaml_read(str_of(text.p), "f.yml", &arena, &y);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
}

static void aliases_count_as_what_they_mean(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, 2 * MIB);
    buf_add_text(&text, "a: &a '");
    for (size_t i = 0; i < MIB; i++) buf_add_byte(&text, 'x');
    buf_add_text(&text, "'\nb: [");
    for (int i = 0; i < 16; i++) buf_add_text(&text, "*a, ");
    buf_add_text(&text, "]\n");
    buf_add_byte(&text, 0);
    expect_err(text.p, "f.yml:2: too much text, that of aliases included");
    expect_err("a: &a [1, *a]\n", "f.yml:1: an alias of what it stands in");
    expect_err("a: &a {b: &b {c: *a}}\n", "f.yml:1: an alias of what it stands in");
    struct yaml *y = read("a: &x 1\nb: *x\nc: &x 2\nd: *x\ne: &y [&y 3, *y]\nf: *y\n");
    expect_text(yaml_get(y, "b"), "1");
    expect_text(yaml_get(y, "d"), "2");
    expect_text(yaml_get(y, "e")->items[1], "3");
    expect_text(yaml_get(y, "f"), "3");
}

/* Each alias is one deeper than what it means. */
static void depth_is_limited_through_aliases(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    buf_add_text(&text, "- &a0 [x]\n");
    for (int i = 1; i < YAML_DEPTH_MAX + 2; i++) buf_add_fmt(&text, "- &a%d [*a%d]\n", i, i - 1);
    buf_add_byte(&text, 0);
    expect_err(text.p, ": nested too deep");
}

static void anchors_are_limited(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (int i = 0; i < YAML_ANCHORS_MAX; i++) buf_add_fmt(&text, "- &a%d %d\n", i, i);
    buf_add_fmt(&text, "- *a%d\n", YAML_ANCHORS_MAX / 2);
    size_t good = text.n;
    buf_add_byte(&text, 0);
    struct yaml *y = read(text.p);
    assert_int_equal(y->n, YAML_ANCHORS_MAX + 1);
    expect_text(y->items[YAML_ANCHORS_MAX], "5000");
    text.n = good;
    buf_add_text(&text, "- &one_more x\n");
    buf_add_byte(&text, 0);
    expect_err(text.p, "f.yml:10002: too many anchors");
}

/* Of many keys, too, the first that comes again is named, and the order is the file's. */
static void many_keys_keep_their_order(void **state) {
    (void)state;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    for (int i = 5000; i > 0; i--) buf_add_fmt(&text, "k%d: %d\n", i, i);
    size_t good = text.n;
    buf_add_byte(&text, 0);
    struct yaml *y = read(text.p);
    assert_int_equal(y->n, 5000);
    expect_text(y->keys[0], "k5000");
    expect_text(y->keys[4999], "k1");
    expect_text(yaml_get(y, "k77"), "77");
    text.n = good;
    buf_add_text(&text, "k3: again\nk4000: again\n");
    buf_add_byte(&text, 0);
    expect_err(text.p, "f.yml:5001: not YAML: duplicate key");
}

static struct yaml *read_json(const char *text) {
    struct yaml *y;
    err e = yaml_read_json(str_of(text), "f.json", &arena, &y);
    if (e) fail_msg("%s", err_text(e));
    return y;
}

static void json_is_a_tree_too(void **state) {
    (void)state;
    struct yaml *y = read_json("{\"a\": [1, \"x\\ty\",\n true, null, {}],\n \"b\": 1, \"b\": \"2\"}\n");
    assert_int_equal(y->kind, YAML_MAP);
    assert_int_equal(y->n, 2);
    struct yaml *a = yaml_get(y, "a");
    assert_int_equal(a->n, 5);
    expect_text(a->items[0], "1");
    assert_false(a->items[0]->quoted);
    expect_text(a->items[1], "x\ty");
    assert_true(a->items[1]->quoted);
    assert_int_equal(a->items[2]->line, 2);
    assert_true(yaml_is_null(a->items[3]));
    assert_true(a->items[4]->kind == YAML_MAP && a->items[4]->n == 0);
    expect_text(yaml_get(y, "b"), "2");
}

static void what_is_no_json_is_refused(void **state) {
    static const struct {
        const char *text, *want;
    } cases[] = {{"", "f.json:1: not JSON: "},
                 {" \n", "f.json:"},
                 {"[]x", "f.json:1: not JSON: "},
                 {"[]\n\n[]", "f.json:3: not JSON: "},
                 {"\xef\xbb\xbf[]", "f.json:1: "},
                 {"[1,]", "f.json:1: "},
                 {"[a]", "f.json:1: "},
                 {"['a']", "f.json:1: "},
                 {"[] # x", "f.json:1: "},
                 {"{\"a\": 1", "f.json:1: "},
                 {"- a", "f.json:1: "},
                 {"\n\n{\n", "f.json:"}};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct yaml *y;
        err e = yaml_read_json(str_of(cases[i].text), "f.json", &arena, &y);
        if (!e) fail_msg("taken: %s", cases[i].text);
        if (!strstr(err_text(e), cases[i].want)) fail_msg("got \"%s\", want \"%s\"", err_text(e), cases[i].want);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
}

/* What a reader would take gigabytes for is refused at the limit. */
static void values_are_counted(void **state) {
    static const struct {
        const char *unit, *want;
        size_t n;
    } cases[] = {{"[1,", "test.yml:1: nested too deep", YAML_NODES_MAX},
                 {"- x\n", "test.yml:1048576: too many values, those of aliases included", YAML_NODES_MAX + 1},
                 {"[", "test.yml:1: nested too deep", 70000},
                 {"{", "test.yml:1: nested too deep", 70000}};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf text;
        struct arena a;
        struct yaml *y;
        buf_init(&text, YAML_BYTES_MAX);
        arena_init(&a, 256 * MIB);
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
        cmocka_unit_test_setup_teardown(aliases_count_as_what_they_mean, begin, end),
        cmocka_unit_test_setup_teardown(depth_is_limited_through_aliases, begin, end),
        cmocka_unit_test_setup_teardown(anchors_are_limited, begin, end),
        cmocka_unit_test_setup_teardown(many_keys_keep_their_order, begin, end),
        cmocka_unit_test_setup_teardown(json_is_a_tree_too, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_json_is_refused, begin, end),
        cmocka_unit_test(values_are_counted),
        cmocka_unit_test_setup_teardown(depth_is_limited, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
