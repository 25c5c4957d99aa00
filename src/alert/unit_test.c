/* Unit tests of rules over the files of others, where they lie (CLEW_SHARED): what promtool says of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(verdicts_of_promtool)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
