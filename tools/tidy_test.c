/* Each rule of tidy fires where it must, and only there. A tree here is a few strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "tidy.h"

#define TOP "/* What it is.\n * More. */\n"

/* A small tree that breaks nothing: modules low and high, a door each, one further header of low. */
static const char *const good_files[][2] = {
    {"src/FLOORS", "# module floor may include\nlow 0\nbeside 0\nhigh 1 low\nquery 2 low\n"},
    {"src/low/README.md",
     "# low\nAlso `more.h`. See [high](../high/README.md#top), [low](.), [web](https://example.com).\n"},
    {"src/high/README.md", "# high\n"},
    {"src/meson.build", "['low/low.c', 'low/x.c', 'low/in/a.c', 'low/in/b.c', 'high/high.c', 'high/x.c', 'other/x.c', 'query/query.c']\n"
                       "foreach name : ['high/high']\n"},
    {"src/low/low.h", TOP "void low_run(void);\n"},
    {"src/low/more.h", TOP "int more;\n"},
    {"src/low/low_priv.h", "/* private */\nint hidden;\n"},
    {"src/low/low.c", "#include \"low/low.h\"\n#include \"low/low_priv.h\"\nvoid low_run(void) {}\n"},
    {"src/high/high.h", TOP "void high_run(void);\n"},
    {"src/high/high.c", "#include \"high/high.h\"\n#include \"low/low.h\"\n#include \"low/more.h\"\n"},
    {"src/high/high_test.c", "int main(void) { malloc(1); }\n"},
};

/* The good tree with these files more, or instead, must give exactly this report: path, text, …, NULL. */
static void reports(const char *expected, ...) {
    struct tree t = {0};
    struct report r = {.out = {.max = 1 << 20}};
    va_list ap;
    va_start(ap, expected);
    for (const char *path; (path = va_arg(ap, const char *));) tree_add(&t, path, str_of(va_arg(ap, const char *)));
    va_end(ap);
    for (size_t i = 0; i < LENGTH(good_files); i++)
        if (!tree_find(&t, good_files[i][0])) tree_add(&t, good_files[i][0], str_of(good_files[i][1]));
    tidy_check(&t, &r);
    assert_string_equal(r.out.p ? r.out.p : "", expected);
    assert_int_equal(r.broken > 0, *expected != 0);
    assert_true(r.held > 10);
    buf_done(&r.out);
    tree_done(&t);
}

/* The same for one source file of the module high. */
static void source_reports(const char *text, const char *expected) { reports(expected, "src/high/x.c", text, NULL); }

static void a_good_tree_is_left_alone(void **state) {
    (void)state;
    reports("", NULL);
}

static void floors_are_held(void **state) {
    (void)state;
    source_reports("#include \"query/q.h\"\n", "src/high/x.c:1: floors: query is not on a lower floor than high\n");
    source_reports("#include \"beside/b.h\"\n",
                   "src/high/x.c:1: floors: src/FLOORS does not let high include beside\n");
    source_reports("#include \"new/a.h\"\n", "src/high/x.c:1: floors: \"new/a.h\" is of no module of src/FLOORS\n");
    source_reports("#include <stdio.h>\n#include \"high/high.h\"\n", "");
    reports("src/low/x.c:2: floors: beside is not on a lower floor than low\n", "src/low/x.c",
            "\n#include \"beside/b.h\"\n", NULL);
    reports("src/other/x.c:1: floors: module other has no row in src/FLOORS\n", "src/other/x.c", "int x;\n", NULL);
}

static void rooms_have_floors(void **state) {
    (void)state;
    static const char floors[] = "low 0\nhigh 1 low\nlow/in 0\nlow/on 1 in\n";
    reports("src/low/in/a.c:2: rooms: src/FLOORS does not let room low/in include low/on/on_priv.h\n"
            "src/low/in/b.c:1: rooms: room low/in or low/new has no row in src/FLOORS\n",
            "src/FLOORS", floors, "src/low/on/on_priv.h", "/* on */\n#include \"low/in/in_priv.h\"\n",
            "src/low/in/in_priv.h", "/* in */\n#include \"low/low_priv.h\"\n", "src/low/in/a.c",
            "#include \"low/in/in_priv.h\"\n#include \"low/on/on_priv.h\"\n", "src/low/in/b.c",
            "#include \"low/new/new_priv.h\"\n", "src/low/new/new_priv.h", "/* new */\n", NULL);
}

static void private_headers_stay_private(void **state) {
    (void)state;
    source_reports("#include \"low/low_priv.h\"\n",
                   "src/high/x.c:1: private-header: low/low_priv.h is private to low; use its door\n");
    reports("", "src/low/testing_priv.h", "/* x */\n", "src/high/high_test.c", "#include \"low/testing_priv.h\"\n",
            NULL);
    reports("src/high/x.c:1: private-header: low/testing_priv.h is private to low; use its door\n",
            "src/low/testing_priv.h", "/* x */\n", "src/high/x.c", "#include \"low/testing_priv.h\"\n", NULL);
}

static void public_headers_are_named_in_the_readme(void **state) {
    (void)state;
    reports("src/low/more.h:1: public-header: other modules include it: name more.h in src/low/README.md, or make it "
            "private\n",
            "src/low/README.md", "# low\n", NULL);
}

static void calls_have_a_home(void **state) {
    (void)state;
    source_reports("void f(void) { strcpy(a, b); }\n",
                   "src/high/x.c:1: banned-call: strcpy: it does not know the size; use struct buf or snprintf\n");
    source_reports("int f(void) {\n    return time (NULL);\n}\n",
                   "src/high/x.c:2: banned-call: time: time and chance come through os/clock.h\n");
    source_reports("void f(void) { p = malloc(1); }\n",
                   "src/high/x.c:1: banned-call: malloc: use mem_new, struct buf, VEC or an arena\n");
    source_reports(
        "void f(void) { printf(\"x\"); }\n",
        "src/high/x.c:1: banned-call: printf: only app speaks to a terminal; return an error or use base/log.h\n");
    source_reports("/* strcpy(a, b) */ // time(0)\nconst char *s = \"malloc(1) \\\" free(1)\"; char c = '\"';\n", "");
    source_reports("void f(void) { file->read(1); file.write(2); my_open(3); int time = open; }\n", "");
    reports("tests/x.c:1: dead-file: no meson.build names it; add or remove it\n", "tests/x.c",
            "void f(void) { open(1); }\n", NULL);
    reports("src/high/high_test.c:1: banned-call: sleep: nothing sleeps; time is simulated in tests\n",
            "src/high/high_test.c", "void f(void) { sleep(1); }\n", NULL);
}

static void those_who_answer_do_not_wait(void **state) {
    (void)state;
    static const char text[] = "void f(void) { flag_wait(1); }\nvoid g(void) { a_wait(2); }\n";
    source_reports(text, "");
    reports("src/query/query.c:1: wait: calls of …_wait, which belong on other threads: 2, at most 0\n",
            "src/query/query.c", text, NULL);
    reports("", "src/query/query.c", text, "tools/tidy.allow", "wait src/query/query.c 2\n", NULL);
}

/* `before`, n lines of body, `after`. */
static char *long_text(const char *before, int n, const char *after) {
    struct buf b = {.max = 1 << 20};
    buf_add_text(&b, before);
    for (int i = 0; i < n; i++) buf_add_text(&b, "    x();\n");
    buf_add_text(&b, after);
    return b.p;
}

static void functions_are_short(void **state) {
    (void)state;
    AUTO_FREE char *fits = long_text("int a;\n\nstatic void\nlonger(int x) {\n", 67, "}\nvoid g(void) {}\n");
    AUTO_FREE char *over = long_text("int a;\n\nstatic void\nlonger(int x) {\n", 68, "}\nvoid g(void) {}\n");
    AUTO_FREE char *table = long_text("#define B {\nint t[] = {\n", 100, "};\n");
    source_reports(fits, "");
    source_reports(table, "");
    source_reports(over, "src/high/x.c:3: function: lines of longer: 71, at most 70\n");
    reports("", "src/high/x.c", over, "tools/tidy.allow", "# why\nfunction src/high/x.c:longer 71\n", NULL);
    reports("src/high/x.c:3: function: lines of longer: 71, tools/tidy.allow has 70; it may only shrink\n",
            "src/high/x.c", over, "tools/tidy.allow", "function src/high/x.c:longer 70\n", NULL);
    reports("src/high/x.c:3: function: lines of longer: 71 now; lower or drop its entry (72) in tools/tidy.allow\n",
            "src/high/x.c", over, "tools/tidy.allow", "function src/high/x.c:longer 72\n", NULL);
    reports("src/high/x.c:3: function: lines of longer: 70 now; lower or drop its entry (72) in tools/tidy.allow\n",
            "src/high/x.c", fits, "tools/tidy.allow", "function src/high/x.c:longer 72\n", NULL);
    reports("tools/tidy.allow:1: allow-list: drop this entry: its subject is gone\n", "src/high/x.c", fits,
            "tools/tidy.allow", "function src/high/x.c:gone 72\n", NULL);
}

static void files_and_doors_are_short(void **state) {
    (void)state;
    AUTO_FREE char *file = long_text("", 1201, ""), *door = long_text(TOP, 299, "");
    source_reports(file, "src/high/x.c:1: file: lines of this file: 1201, at most 1200\n");
    reports("src/high/high.h:1: door: lines of this door: 301, at most 300\n", "src/high/high.h", door, NULL);
}

static void headers_start_with_a_comment(void **state) {
    (void)state;
    static const char finding[] = "src/high/high.h:1: header-comment: start with a comment of 2 lines or more: what, "
                                  "invariants, limits, threads, errors\n";
    reports(finding, "src/high/high.h", "#pragma once\n", NULL);
    reports(finding, "src/high/high.h", "/* One line. */\n#pragma once\n", NULL);
}

static void files_that_nobody_uses_are_found(void **state) {
    (void)state;
    reports("src/high/dead.c:1: dead-file: no meson.build names it; add or remove it\n", "src/high/dead.c", "int x;\n",
            NULL);
    reports("src/high/dead_test.c:1: dead-file: no meson.build names it; add or remove it\n", "src/high/dead_test.c",
            "int x;\n", NULL);
    reports("src/high/dead.h:1: dead-file: nobody includes it; remove it\n", "src/high/dead.h", TOP, NULL);
}

static void links_lead_somewhere(void **state) {
    (void)state;
    reports("docs/a.md:2: link: the link to b.md leads nowhere\n", "docs/a.md", "# a\nsee [b](b.md) and [c](#c)\n",
            NULL);
    reports("docs/a.md:1: link: the link to ../../x leads nowhere\n", "docs/a.md", "[x](../../x)\n", NULL);
    reports("docs/a.md:1: link: the link to b.png leads nowhere\ndocs/a.md:2: link: the link to c.png leads nowhere\n",
            "docs/a.md", "<source srcset=\"b.png\">\n<img alt=\"x\" src=\"c.png\">\n", NULL);
    reports("", "docs/a.md", "[f](../src/FLOORS) [d](../src/low) [d](../src/low/) `[x](y)`\n```\n[x](y)\n```\n", NULL);
}

static void paths_of_a_machine_are_found(void **state) {
    (void)state;
    reports("docs/a.md:2: machine-path: a path of one machine (/ro"
            "ot/)\n",
            "docs/a.md",
            "# a\ncd /ro"
            "ot/clew\n",
            NULL);
    reports("", "docs/a.md",
            "https://example.com/ho"
            "me/x and src/ro"
            "ot/y\n",
            NULL);
}

static void blanks_are_found(void **state) {
    (void)state;
    reports("docs/a.md:1: blanks: blanks at the end of the line\ndocs/a.md:2: blanks: a tab; indent with spaces\n"
            "docs/a.md:3: blanks: the last line does not end\n",
            "docs/a.md", "a \nb\tc\nd", NULL);
}

static void the_table_measures_the_tree(void **state) {
    (void)state;
    struct tree t = {0};
    AUTO_BUF struct buf out = {.max = 1 << 20};
    AUTO_FREE char *longer = long_text("#include \"low/low.h\"\nvoid f(void) {\n", 98, "}\nvoid g(void) {}\n");
    tree_add(&t, "src/FLOORS", STR("# x\nlow 0\nlow/room 0\nlow/other 0\n"));
    tree_add(&t, "src/low/low.h", STR("/* a\n * b */\nvoid f(void);\nint x; // c\n"));
    tree_add(&t, "src/low/room/a.c", STR("int a;\n"));
    tree_add(&t, "src/low/low.c", str_of(longer));
    tree_add(&t, "src/low/low_test.c", str_of(longer));
    tidy_table(&t, &out);
    assert_non_null(
        strstr(out.p, "low              107      2    100 / 100      50.0 %         1         75 %        0.95\n"));
    assert_non_null(
        strstr(out.p, "low/room           1      0      0 / 0         0.0 %         0          0 %        0.00\n"));
    assert_non_null(
        strstr(out.p, "low/other          0      0      0 / 0         0.0 %         0          0 %        0.00\n"));
    tree_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_tree_is_left_alone),
        cmocka_unit_test(floors_are_held),
        cmocka_unit_test(rooms_have_floors),
        cmocka_unit_test(private_headers_stay_private),
        cmocka_unit_test(public_headers_are_named_in_the_readme),
        cmocka_unit_test(calls_have_a_home),
        cmocka_unit_test(those_who_answer_do_not_wait),
        cmocka_unit_test(functions_are_short),
        cmocka_unit_test(files_and_doors_are_short),
        cmocka_unit_test(headers_start_with_a_comment),
        cmocka_unit_test(files_that_nobody_uses_are_found),
        cmocka_unit_test(links_lead_somewhere),
        cmocka_unit_test(paths_of_a_machine_are_found),
        cmocka_unit_test(blanks_are_found),
        cmocka_unit_test(the_table_measures_the_tree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
