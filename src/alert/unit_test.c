/* Unit tests of rules over the files of others, where they lie (CLEW_SHARED): what promtool says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "alert/unit.h"
#include "os/file.h"

/* promtool's verdicts: 2.42 as recorded (oracle-promtool-2.42.json), but for what only 3.x knows, where it is what its own tests expect. */
static const struct {
    const char *file;
    bool good;
    const char *says, *difference;
} cases[] = {
    {"promtool/at-modifier-test.yml", true},
    {"promtool/bad-rules-error-test.yml", false,
     "rule: joined, time: 0s, err: found duplicate series for the match group {a=\"1\"}"},
    {"promtool/bad-rules-syntax-test.yml", false,
     "group \"bad-syntax\", rule 1, \"x\": could not parse expression: 1:7: parse error: unexpected end of input"},
    {"promtool/negative-offset-test.yml", true},
    {"promtool/no-test-group-interval.yml", true, NULL,
     "2.42 puts all samples at one time when no interval is given; mended in 2.43"},
    {"promtool/start-time-test.yml", true, NULL, "start_timestamp is of 3.x"},
    {"promtool/unittest.yml", true, NULL, "histograms in unit tests are of 2.48 and newer"},
    {"promtool/long-period.yml", true},
    {"promtool/failing.yml", false,
     "    name: Failing test,\n    alertname: Test, time: 0s, \n        exp:[\n            0:\n              "
     "Labels:{alertname=\"Test\"}\n"
     "              Annotations:{}\n            ], \n        got:[]\n"},
    {"promtool/bad-input-series.yml", false, "unexpected"},
    {"promtool/bad-promql.yml", false,
     "expr: \"join_1 + on(a) join_2\", time: 0s, err: found duplicate series for the match group {a=\"1\"}"},
    {"promtool/rules_run.yml", false,
     "  FAILED:\n    expr: \"test\", time: 0s,\n        exp: {__name__=\"test\"} 1E+00\n        got: "
     "{__name__=\"test\"} 0E+00"},
    {"promtool/rules_run_extrafields.yml", false, "field namespace not found in a group"},
    {"promtool/rules_run_fuzzy.yml", false, "FAILED:\n    expr: \"test_low\"", "fuzzy_compare is of 3.x"},
    {"promtool/rules_run_no_fuzzy.yml", false, "expr: ", "fuzzy_compare is of 3.x"},
};

static void verdicts_of_promtool(void **state) {
    const char *named = getenv("CLEW_SHARED");
    size_t skipped = 0, differ = 0;
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        char path[4300];
        bool good;
        AUTO_BUF struct buf out;
        buf_init(&out, 16 * MIB);
        snprintf(path, sizeof path, "%s/data/alerting/prometheus/%s", named ? named : "../shared", cases[i].file);
        if (!path_exists(path)) {
            skipped++;
            continue;
        }
        err e = rules_unit_test(path, &out, &good);
        if (e) fail_msg("%s: %s", path, err_text(e));
        if (good != cases[i].good) fail_msg("%s: promtool: %s; here:\n%s", path, cases[i].good ? "good" : "bad", out.p);
        if (cases[i].says && !strstr(out.p, cases[i].says))
            fail_msg("%s:\nsays  %s\nnot   %s", path, out.p, cases[i].says);
        differ += cases[i].difference != NULL;
    }
    if (skipped) print_message("%zu files are not there (CLEW_SHARED): skipped\n", skipped);
    assert_int_equal(differ, skipped == LENGTH(cases) ? 0 : 5);
}

/* The text of a file of unit tests; false: it fails. */
static bool passes(const char *text, struct buf *out) {
    char path[64];
    bool good;
    snprintf(path, sizeof path, "/tmp/clew-unit-test-%d.yml", (int)getpid());
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    err e = rules_unit_test(path, out, &good);
    unlink(path);
    if (e) fail_msg("%s", err_text(e));
    return good;
}

/* As promtool 2.42 has it. */
static void values_of_series(void **state) {
    static const struct {
        const char *values;
        bool good;
    } rows[] = {{"1x3", true},    {"1+1x2", true},    {"_x3", true},      {"_", true},     {"stale", true},
                {"-1x2", true},   {"1 +1x3", true},   {"inf", true},      {"1+1x0", true}, {"-inf+1x2", true},
                {"0x3", true},    {"1x2 3", true},    {"1x3.5", false},   {"1+1", false},  {"_x3.5", false},
                {"1x-2", false},  {"1-1", false},     {"stalex2", false}, {"1+x3", false}, {"1x", false},
                {"NaNx2", false}, {"1+-1x2", false},  {"1--1x2", false},  {"__", false},   {"1+1x3.0", false},
                {"1x1e1", false}, {"1+infx2", false}, {"1+1x2x3", false}, {"1X3", false},  {"1,2", false}};
    (void)state;
    for (size_t i = 0; i < LENGTH(rows); i++) {
        AUTO_BUF struct buf text, out;
        buf_init(&text, KIB);
        buf_init(&out, MIB);
        buf_add_fmt(&text, "tests:\n- input_series:\n  - {series: a, values: \"%s\"}\n", rows[i].values);
        if (passes(text.p, &out) != rows[i].good) fail_msg("%s: %s", rows[i].values, out.p);
    }
}

static void patterns_without_files_are_told(void **state) {
    AUTO_BUF struct buf out;
    (void)state;
    buf_init(&out, MIB);
    assert_true(passes("rule_files: [\"none*.yml\", no-such-file.yml]\ntests: []\n", &out));
    assert_non_null(strstr(out.p, "  WARNING: no file match pattern /tmp/none*.yml\n"
                                  "  WARNING: no file match pattern /tmp/no-such-file.yml\n  SUCCESS\n"));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts_of_promtool), cmocka_unit_test(values_of_series),
                                       cmocka_unit_test(patterns_without_files_are_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
