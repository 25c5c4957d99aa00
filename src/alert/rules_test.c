/* Rule files: mistakes with their lines; and the verdicts that promtool gave over files of others, where they lie (CLEW_SHARED). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "alert/rules.h"
#include "os/file.h"

static struct {
    struct arena a;
    struct rule_file file;
    struct buf problems;
} got;

static void read_rules(const char *text) {
    err e = rules_read(str_of(text), "r.yml", &got.a, &got.file, &got.problems);
    if (e) fail_msg("%s", err_text(e));
}

static int begin(void **state) {
    (void)state;
    arena_init(&got.a, 512 * MIB);
    buf_init(&got.problems, MIB);
    return 0;
}
static int end(void **state) {
    (void)state;
    arena_done(&got.a);
    buf_done(&got.problems);
    return 0;
}

#define GROUP "groups:\n- name: g\n  rules:\n"

static void what_is_read(void **state) {
    (void)state;
    read_rules(
        "groups:\n- name: g\n  interval: 15s\n  limit: 7\n  query_offset: 1m\n  labels: {team: a, kind: b}\n  rules:\n"
        "  - record: x:y\n    expr: sum(x)\n    labels: {kind: c}\n"
        "  - alert: A\n    expr: up == 0\n    for: 1h30m\n    keep_firing_for: 5m\n    annotations: {summary: \"{{ "
        "$value }}\"}\n");
    assert_int_equal(got.problems.n, 0);
    assert_int_equal(got.file.n, 1);
    const struct rule_group *g = &got.file.groups[0];
    assert_int_equal(g->interval_ns, 15000000000);
    assert_int_equal(g->query_offset_ns, 60000000000);
    assert_int_equal(g->limit, 7);
    assert_int_equal(g->n, 2);
    assert_true(str_equal(label_set_get(g->rules[0].labels, STR("kind")), STR("c")));
    assert_true(str_equal(label_set_get(g->rules[0].labels, STR("team")), STR("a")));
    assert_true(str_equal(label_set_get(g->rules[1].labels, STR("kind")), STR("b")));
    assert_true(g->rules[1].is_alert && !g->rules[0].is_alert);
    assert_int_equal(g->rules[1].for_ns, 5400000000000);
    assert_int_equal(g->rules[1].keep_firing_ns, 300000000000);
}

static void limits_are_numbers_of_yaml(void **state) {
    static const struct {
        const char *text;
        uint64_t want;
    } cases[] = {{"0x10", 16}, {"017", 15}, {"1.0", 1}, {"1_000", 1000}, {"-1", 0}, {"'5'", 5}};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char text[64];
        snprintf(text, sizeof text, "groups:\n- name: g\n  limit: %s\n", cases[i].text);
        buf_clear(&got.problems);
        read_rules(text);
        assert_int_equal(got.problems.n, 0);
        assert_int_equal(got.file.groups[0].limit, cases[i].want);
    }
}

static void mistakes_have_lines(void **state) {
    static const struct {
        const char *text, *problem;
    } cases[] = {
        {GROUP "  - record: a\n    expr: sum(\n",
         "r.yml:5: group \"g\", rule 1, \"a\": could not parse expression: 1:5:"},
        {GROUP "  - record: a\n    expr: |\n      sum(x)\n      + rate(x)\n",
         "r.yml:7: group \"g\", rule 1, \"a\": could not parse"},
        {GROUP "  - record: a\n", "field 'expr' must be set in rule"},
        {GROUP "  - expr: a\n", "one of 'record' or 'alert' must be set"},
        {GROUP "  - record: a\n    alert: b\n    expr: a\n",
         "r.yml:4: group \"g\", rule 1, \"a\": only one of 'record' and 'alert' must be set"},
        {GROUP "  - record: a\n    expr: a\n    for: 5m\n",
         "r.yml:6: group \"g\", rule 1, \"a\": invalid field 'for' in recording rule"},
        {GROUP "  - record: a\n    expr: a\n    keep_firing_for: 5m\n",
         "invalid field 'keep_firing_for' in recording rule"},
        {GROUP "  - record: a\n    expr: a\n    annotations: {x: y}\n",
         "invalid field 'annotations' in recording rule"},
        {GROUP "  - record: a{b=\"c\"}\n    expr: a\n",
         "braces present in the recording rule name; should it be in expr?: a{b"},
        {GROUP "  - alert: a\n    expr: a\n    for: 5\n", "r.yml:6: for: not a valid duration string: \"5\""},
        {GROUP "  - alert: a\n    expr: a\n    for: 1m1h\n", "not a valid duration string"},
        {GROUP "  - alert: a\n    expr: a\n    labels: {__name__: x}\n", "invalid label name: __name__"},
        {GROUP "  - alert: a\n    expr: a\n    annotations:\n      x: y\n      s: '{{ $x }}'\n",
         "r.yml:8: group \"g\", rule 1, \"a\": annotation \"s\": template: __alert_a:1: undefined variable \"$x\""},
        {GROUP "  - alert: a\n    expr: a\n    annotation: {x: y}\n", "r.yml:6: field annotation not found in a rule"},
        {"groups:\n- name: g\n- name: g\n", "r.yml:3: groupname: \"g\" is repeated in the same file"},
        {"groups:\n- rules: []\n", "Groupname must not be empty"},
        {"groups:\n- name: g\n  labels: {__name__: b}\n", "group \"g\": invalid label name: __name__"},
        {"groups:\n- name: g\n  interval: fast\n", "r.yml:3: interval: not a valid duration string: \"fast\""},
        {"groups:\n- name: g\n  limit: many\n", "r.yml:3: limit: expected a whole number"},
        {"rules: []\n", "r.yml:1: field rules not found in a file of rules"},
        {"groups: 5\n", "r.yml:1: groups: expected a list"},
        {"groups:\n  - [\n", "r.yml:"},
        {"- a\n", "r.yml:1: expected a map with groups"},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        buf_clear(&got.problems);
        read_rules(cases[i].text);
        if (!got.problems.n || !str_contains(buf_str(&got.problems), str_of(cases[i].problem)))
            fail_msg("%s\nsaid: %s\nnot: %s", cases[i].text, got.problems.n ? got.problems.p : "nothing",
                     cases[i].problem);
    }
}

static void every_mistake_is_told(void **state) {
    (void)state;
    read_rules(GROUP
               "  - record: a\n    expr: (\n  - record: b\n    expr: )\n  - alert: c\n    expr: 1\n    color: red\n");
    size_t lines = 0;
    for (size_t i = 0; i < got.problems.n; i++) lines += got.problems.p[i] == '\n';
    assert_int_equal(lines, 3);
}

static void files_without_rules(void **state) {
    static const char *const texts[] = {"", "groups:\n", "groups: []\n", "groups:\n- name: g\n",
                                        "groups:\n- null\n- ~\n", "groups:\n- name: g\n  rules:\n  - null\n  - ~\n",
                                        "# nothing\n---\n---\nrules: x\n"};
    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) {
        read_rules(texts[i]);
        if (got.problems.n) fail_msg("%s: %s", texts[i], got.problems.p);
        assert_int_equal(got.file.rules, 0);
    }
}

static void duplicates(void **state) {
    (void)state;
    read_rules(GROUP "  - {record: a, expr: x}\n  - {record: a, expr: y}\n  - {record: a, expr: z}\n  - {record: a, "
                     "expr: z, labels: {l: m}}\n");
    AUTO_BUF struct buf told;
    buf_init(&told, KIB);
    assert_int_equal(rules_duplicates(&got.file, &told), 1);
    assert_string_equal(told.p, "a {}\n");
}

/* ---- promtool's verdicts ----------------------------------------------------------------------------------------- */

/* What promtool 2.42 said (oracle-promtool-2.42.json, check_rules), but where 3.5 differs, which is said then. */
static const struct {
    const char *file;
    bool good;
    const char *difference;
} verdicts[] = {
    {"promtool/rules-bad.yml", false},
    {"promtool/rules.yml", true},
    {"promtool/rules_duplicates.yml", true},
    {"promtool/rules_extrafields.yml", false},
    {"promtool/rules_large.yml", true},
    {"promtool/rules_run.yml", false},
    {"promtool/rules_run_extrafields.yml", false},
    {"promtool/rules_run_fuzzy.yml", false},
    {"promtool/rules_run_no_fuzzy.yml", false},
    {"rulefmt/bad_expr.bad.yaml", false},
    {"rulefmt/bad_field.bad.yaml", false},
    {"rulefmt/duplicate_grp.bad.yaml", false},
    {"rulefmt/invalid_label_name.bad.yaml", false},
    {"rulefmt/invalid_record_name.bad.yaml", false},
    {"rulefmt/legacy_validation_annotation.bad.yaml", true,
     "names are those of UTF-8 by default since 3.0; the file asks for the old ones by an option of the program"},
    {"rulefmt/legacy_validation_annotation.good.yaml", true},
    {"rulefmt/no_rec_alert.bad.yaml", false},
    {"rulefmt/noexpr.bad.yaml", false},
    {"rulefmt/record_and_alert.bad.yaml", false},
    {"rulefmt/record_and_for.bad.yaml", false},
    {"rulefmt/record_and_keep_firing_for.bad.yaml", false},
    {"rulefmt/test.yaml", true},
    {"rulefmt/test_aliases.yaml", true},
    {"rulefmt/utf-8_annotation.good.yaml", true, "names of UTF-8, as 3.0 and newer take"},
    {"rulefmt/utf-8_lname.good.yaml", true, "names of UTF-8, as 3.0 and newer take"},
    {"rules-fixtures/alert_rule.yaml", true},
    {"rules-fixtures/alert_rule1.yaml", true},
    {"rules-fixtures/invalid_rules.yaml", false},
    {"rules-fixtures/rules.yaml", true},
    {"rules-fixtures/rules1.yaml", true},
    {"rules-fixtures/rules2.yaml", true},
    {"rules-fixtures/rules2_copy.yaml", true},
    {"rules-fixtures/rules_chain.yaml", true},
    {"rules-fixtures/rules_dependencies.yaml", true},
    {"rules-fixtures/rules_indeterminates.yaml", true},
    {"rules-fixtures/rules_multi_doc.yaml", true},
    {"rules-fixtures/rules_multiple.yaml", true},
    {"rules-fixtures/rules_multiple_dependents_on_base.yaml", true},
    {"rules-fixtures/rules_multiple_groups.yaml", true},
    {"rules-fixtures/rules_multiple_independent.yaml", true},
};

static const char *shared(void) {
    static char path[4096];
    const char *named = getenv("CLEW_SHARED");
    snprintf(path, sizeof path, "%s/data/alerting/prometheus", named ? named : "../shared");
    return path;
}

static void verdicts_of_promtool(void **state) {
    size_t skipped = 0, differ = 0;
    (void)state;
    for (size_t i = 0; i < LENGTH(verdicts); i++) {
        char path[4300];
        struct buf text;
        struct arena a;
        snprintf(path, sizeof path, "%s/%s", shared(), verdicts[i].file);
        err e = file_read_all(path, RULE_FILE_BYTES_MAX, &text);
        if (e) {
            skipped++;
            err_free(e);
            continue;
        }
        arena_init(&a, (size_t)1 << 30);
        buf_clear(&got.problems);
        e = rules_read(buf_str(&text), path, &a, &got.file, &got.problems);
        if (e) fail_msg("%s: %s", path, err_text(e));
        if ((got.problems.n == 0) != verdicts[i].good)
            fail_msg("%s: promtool takes it: %s; here: %s", path, verdicts[i].good ? "yes" : "no",
                     got.problems.n ? got.problems.p : "taken");
        differ += verdicts[i].difference != NULL;
        arena_done(&a);
        buf_done(&text);
    }
    if (skipped) print_message("%zu files are not there (CLEW_SHARED): skipped\n", skipped);
    assert_int_equal(differ, skipped == LENGTH(verdicts) ? 0 : 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_read, begin, end),
        cmocka_unit_test_setup_teardown(limits_are_numbers_of_yaml, begin, end),
        cmocka_unit_test_setup_teardown(mistakes_have_lines, begin, end),
        cmocka_unit_test_setup_teardown(every_mistake_is_told, begin, end),
        cmocka_unit_test_setup_teardown(files_without_rules, begin, end),
        cmocka_unit_test_setup_teardown(duplicates, begin, end),
        cmocka_unit_test_setup_teardown(verdicts_of_promtool, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
