/* Names of metrics, units and labels as prometheus/otlptranslator makes them (metric_namer_test.go, label_namer_test.go), and escaping as
 * prometheus/common does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "signal/metrics/names.h"

#define COUNTER METRIC_SUM, true
#define UPDOWN METRIC_SUM, false
#define GAUGE METRIC_GAUGE, false

static void metrics_are_named_as_prometheus_names_them(void **state) {
    (void)state;
    static const struct {
        enum name_strategy strategy;
        const char *name, *unit;
        uint32_t kind;
        bool monotonic;
        const char *want;
    } cases[] = {
        {NAMES_UNDERSCORE, "plain_name", "", GAUGE, "plain_name"},
        {NAMES_UNDERSCORE, "a@with#special$chars", "", GAUGE, "a_with_special_chars"},
        {NAMES_UNDERSCORE, "a@@##$$b", "", GAUGE, "a_b"},
        {NAMES_UNDERSCORE, "a__b", "", GAUGE, "a__b"},
        {NAMES_UNDERSCORE, "123metric", "", GAUGE, "_123metric"},
        {NAMES_UNDERSCORE, "requests", "s", COUNTER, "requests"},
        {NAMES_UNDERSCORE, "", "", GAUGE, NULL},
        {NAMES_UNDERSCORE, "@#$%", "", GAUGE, NULL},
        {NAMES_UNDERSCORE_SUFFIXES, "requests", "", COUNTER, "requests_total"},
        {NAMES_UNDERSCORE_SUFFIXES, "requests_total", "", COUNTER, "requests_total"},
        {NAMES_UNDERSCORE_SUFFIXES, "total.requests", "", COUNTER, "requests_total"},
        {NAMES_UNDERSCORE_SUFFIXES, "requests", "", UPDOWN, "requests"},
        {NAMES_UNDERSCORE_SUFFIXES, "cpu_usage", "1", GAUGE, "cpu_usage_ratio"},
        {NAMES_UNDERSCORE_SUFFIXES, "cpu_usage_ratio", "1", GAUGE, "cpu_usage_ratio"},
        {NAMES_UNDERSCORE_SUFFIXES, "items", "1", COUNTER, "items_total"},
        {NAMES_UNDERSCORE_SUFFIXES, "response_time", "ms", GAUGE, "response_time_milliseconds"},
        {NAMES_UNDERSCORE_SUFFIXES, "response_time_seconds", "s", GAUGE, "response_time_seconds"},
        {NAMES_UNDERSCORE_SUFFIXES, "memory.usage", "By", GAUGE, "memory_usage_bytes"},
        {NAMES_UNDERSCORE_SUFFIXES, "requests", "1/s", GAUGE, "requests_per_second"},
        {NAMES_UNDERSCORE_SUFFIXES, "requests", "1/s", COUNTER, "requests_per_second_total"},
        {NAMES_UNDERSCORE_SUFFIXES, "throughput", "By/s", GAUGE, "throughput_bytes_per_second"},
        {NAMES_UNDERSCORE_SUFFIXES, "custom", "custom_unit", GAUGE, "custom_custom_unit"},
        {NAMES_UNDERSCORE_SUFFIXES, "custom", "{thing}", GAUGE, "custom"},
        {NAMES_UNDERSCORE_SUFFIXES, "custom", "By/{thing}", GAUGE, "custom_bytes"},
        {NAMES_UNDERSCORE_SUFFIXES, "custom", "1/custom_unit", GAUGE, "custom_per_custom_unit"},
        {NAMES_UNDERSCORE_SUFFIXES, "metric", "By/", GAUGE, "metric_bytes"},
        {NAMES_UNDERSCORE_SUFFIXES, "metric", " By / s ", GAUGE, "metric_bytes_per_second"},
        {NAMES_UNDERSCORE_SUFFIXES, "metric", "/", GAUGE, "metric"},
        {NAMES_UNDERSCORE_SUFFIXES, "a__b__c", "unit__x", GAUGE, "a_b_c_unit_x"},
        {NAMES_UNDERSCORE_SUFFIXES, "custom", "unit@with#special/chars", GAUGE, "custom_unit_with_special_per_chars"},
        {NAMES_UNDERSCORE_SUFFIXES, "@#$%", "", GAUGE, NULL},
        {NAMES_UNDERSCORE_SUFFIXES, "123_requests", "", COUNTER, "_123_requests_total"},
        {NAMES_UNDERSCORE_SUFFIXES, "jvm.gc:time", "s", GAUGE, "jvm_gc:time_seconds"},
        {NAMES_UNDERSCORE_SUFFIXES, "http.server.request.duration", "s", METRIC_HISTOGRAM, false,
         "http_server_request_duration_seconds"},
        {NAMES_UNDERSCORE_SUFFIXES, "request.size", "By", METRIC_EXPONENTIAL, false, "request_size_bytes"},
        {NAMES_UNDERSCORE_SUFFIXES, "cpu", "%", GAUGE, "cpu_percent"},
        {NAMES_UNDERSCORE_SUFFIXES, "renewals", "1/y", GAUGE, "renewals_per_year"},
        {NAMES_UTF8_SUFFIXES, "requ\xc3\xaasts", "", COUNTER, "requ\xc3\xaasts_total"},
        {NAMES_UTF8_SUFFIXES, "requ\xc3\xaasts", "1/s", GAUGE, "requ\xc3\xaasts_per_second"},
        {NAMES_UTF8_SUFFIXES, "requ\xc3\xaasts", "1/s", COUNTER, "requ\xc3\xaasts_per_second_total"},
        {NAMES_UTF8_SUFFIXES, "usag\xc3\xa9", "1", GAUGE, "usag\xc3\xa9_ratio"},
        {NAMES_UTF8_SUFFIXES, "cpu_seconds_total", "s", COUNTER, "cpu_seconds_total"},
        {NAMES_UTF8_SUFFIXES, "cpu_usage_ratio", "1", GAUGE, "cpu_usage_ratio"},
        {NAMES_UTF8_SUFFIXES, "http.duration", "ms", METRIC_HISTOGRAM, false, "http.duration_milliseconds"},
        {NAMES_UTF8_SUFFIXES, "@#$%", "", COUNTER, "@#$%_total"},
        {NAMES_UNCHANGED, "http.requests", "1", COUNTER, "http.requests"},
        {NAMES_UNCHANGED, "http.duration", "ms", METRIC_HISTOGRAM, false, "http.duration"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, MIB);
        bool any = prom_metric_name(cases[i].strategy, str_of(cases[i].name), str_of(cases[i].unit), cases[i].kind,
                                    cases[i].monotonic, &out);
        if (any != (cases[i].want != NULL) || (any && !str_equal(buf_str(&out), str_of(cases[i].want))))
            fail_msg("%s [%s]: %.*s, not %s", cases[i].name, cases[i].unit, STR_ARG(buf_str(&out)), cases[i].want);
    }
}

static void every_unit_has_its_word(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"d", "days"},
                                           {"h", "hours"},
                                           {"min", "minutes"},
                                           {"s", "seconds"},
                                           {"ms", "milliseconds"},
                                           {"us", "microseconds"},
                                           {"ns", "nanoseconds"},
                                           {"By", "bytes"},
                                           {"KiBy", "kibibytes"},
                                           {"MiBy", "mebibytes"},
                                           {"GiBy", "gibibytes"},
                                           {"TiBy", "tibibytes"},
                                           {"KBy", "kilobytes"},
                                           {"MBy", "megabytes"},
                                           {"GBy", "gigabytes"},
                                           {"TBy", "terabytes"},
                                           {"m", "meters"},
                                           {"V", "volts"},
                                           {"A", "amperes"},
                                           {"J", "joules"},
                                           {"W", "watts"},
                                           {"g", "grams"},
                                           {"Cel", "celsius"},
                                           {"Hz", "hertz"},
                                           {"%", "percent"},
                                           {"1", ""},
                                           {"{packet}", ""},
                                           {"", ""},
                                           {"By/s", "bytes_per_second"},
                                           {"1/m", "per_minute"},
                                           {"1/h", "per_hour"},
                                           {"1/d", "per_day"},
                                           {"1/w", "per_week"},
                                           {"1/mo", "per_month"},
                                           {"unit__x", "unit_x"},
                                           {"/", ""}};
    for (size_t i = 0; i < LENGTH(pairs); i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, MIB);
        prom_unit_name(NAMES_UNDERSCORE_SUFFIXES, str_of(pairs[i][0]), &out);
        if (!str_equal(buf_str(&out), str_of(pairs[i][1]))) fail_msg("%s: %.*s", pairs[i][0], STR_ARG(buf_str(&out)));
    }
}

static void labels_are_named_as_prometheus_names_them(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"label:with:colons", "label_with_colons"},
                                           {"CapitalLetters", "CapitalLetters"},
                                           {"a!with&special$)", "a_with_special__"},
                                           {"foreign_\xe5\xad\x97\xe7\xac\xa6", "foreign___"},
                                           {"label.with.dots", "label_with_dots"},
                                           {"123label", "key_123label"},
                                           {"_one", "key_one"},
                                           {"__two", "__two"},
                                           {".dot", "key_dot"},
                                           {"\xe5\xad\x97", "key_"},
                                           {"", ""}};
    for (size_t i = 0; i < LENGTH(pairs); i++)
        for (int utf8 = 0; utf8 < 2; utf8++) {
            AUTO_BUF struct buf out;
            buf_init(&out, MIB);
            prom_label_name(utf8 ? NAMES_UNCHANGED : NAMES_UNDERSCORE_SUFFIXES, str_of(pairs[i][0]), &out);
            if (!str_equal(buf_str(&out), str_of(pairs[i][!utf8])))
                fail_msg("%s: %.*s", pairs[i][0], STR_ARG(buf_str(&out)));
        }
}

static void names_are_escaped_and_back(void **state) {
    (void)state;
    static const char *const cases[][4] = {
        /* name, underscores, dots, values */
        {"no:escaping_required", "no:escaping_required", "no:escaping__required", "no:escaping_required"},
        {"mysystem.prod.west.cpu.load", "mysystem_prod_west_cpu_load", "mysystem_dot_prod_dot_west_dot_cpu_dot_load",
         "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load"},
        {"mysystem.prod.west.cpu.load_total", "mysystem_prod_west_cpu_load_total",
         "mysystem_dot_prod_dot_west_dot_cpu_dot_load__total", "U__mysystem_2e_prod_2e_west_2e_cpu_2e_load__total"},
        {"http.status:sum", "http_status:sum", "http_dot_status:sum", "U__http_2e_status:sum"},
        {"label with \xf0\x9f\x98\xb1", "label_with__", "label__with____", "U__label_20_with_20__1f631_"},
        {"\xe8\x8a\xb1\xe7\x81\xab", "__", "____", "U___82b1__706b_"},
        {"1a", "_a", "__a", "U___31_a"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        for (int scheme = ESCAPE_UNDERSCORES; scheme < NAME_ESCAPINGS; scheme++) {
            AUTO_BUF struct buf out, back;
            buf_init(&out, MIB);
            buf_init(&back, MIB);
            prom_escape_name((enum name_escaping)scheme, str_of(cases[i][0]), &out);
            if (!str_equal(buf_str(&out), str_of(cases[i][scheme])))
                fail_msg("%s as %s: %.*s", cases[i][0], name_escapings[scheme], STR_ARG(buf_str(&out)));
            prom_unescape_name(buf_str(&out), &back);
            if (scheme == ESCAPE_VALUES) assert_true(str_equal(buf_str(&back), str_of(cases[i][0])));
        }
    static const char *const damaged[] = {"U__bad_",      "U__bad_2e",  "U__bad_zz_", "U__bad_110000_",
                                          "U__bad_d800_", "U__bad__2e", "U_",         "plain"};
    for (size_t i = 0; i < LENGTH(damaged); i++) {
        AUTO_BUF struct buf back;
        buf_init(&back, MIB);
        prom_unescape_name(str_of(damaged[i]), &back);
        if (i == 5) assert_true(str_equal(buf_str(&back), STR("bad_2e"))); /* an underscore, then text */
        if (i != 5) assert_true(str_equal(buf_str(&back), str_of(damaged[i])));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_are_named_as_prometheus_names_them),
        cmocka_unit_test(every_unit_has_its_word),
        cmocka_unit_test(labels_are_named_as_prometheus_names_them),
        cmocka_unit_test(names_are_escaped_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
