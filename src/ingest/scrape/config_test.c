/* What a prometheus.yml is taken for: what is there of it, and what is named. */
#include "ingest/scrape/config_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"
#include "base/yaml.h"

#define JOB "scrape_configs:\n- job_name: a\n"

static struct scrape_config *read_good(const char *text) {
    struct scrape_config *c;
    err e = scrape_config_parse(str_of(text), "/etc/p.yml", &c);
    if (e) fail_msg("%s: %s", text, err_text(e));
    return c;
}

/* Jobs that are there, and findings, each on a line: "fault " or "left " and the text without its file. */
static void check(const char *text, const char *want) {
    AUTO_BUF struct buf got;
    buf_init(&got, MIB);
    struct scrape_config *c = read_good(text);
    for (uint32_t i = 0; i < c->job_n; i++) buf_add_fmt(&got, "%s" STR_FMT, i ? " " : "", STR_ARG(c->jobs[i].name));
    for (size_t i = 0; i < c->findings.n; i++) {
        struct str what = c->findings.v[i].text;
        if (str_starts_with(what, STR("/etc/p.yml:"))) what.p += 11, what.n -= 11;
        buf_add_fmt(&got, "\n%s " STR_FMT, c->findings.v[i].is_fault ? "fault" : "left", STR_ARG(what));
    }
    scrape_config_unref(c);
    if (strcmp(got.p ? got.p : "", want) != 0) fail_msg("%s:\n%s\nnot:\n%s", text, got.p ? got.p : "", want);
}

static void refuse(const char *text, const char *want) {
    struct scrape_config *c;
    err e = scrape_config_parse(str_of(text), "/etc/p.yml", &c);
    if (!e) fail_msg("%s: taken", text);
    if (!strstr(err_text(e), want)) fail_msg("%s: %s, not %s", text, err_text(e), want);
    err_free(e);
}

static void defaults_are_prometheus(void **state) {
    (void)state;
    struct scrape_config *c = read_good(JOB);
    const struct scrape_job *j = c->jobs;
    assert_int_equal(j->interval_ns, (int64_t)60 * 1000000000);
    assert_int_equal(j->timeout_ns, (int64_t)10 * 1000000000);
    assert_string_equal(j->path, "/metrics");
    assert_string_equal(j->scheme, "http");
    assert_true(j->honor_timestamps && j->gzip && j->http.follow_redirects);
    assert_false(j->honor_labels || j->track_timestamps_staleness || j->http.insecure);
    assert_true(strstr(j->accept, "application/openmetrics-text;version=1.0.0") != NULL);
    scrape_config_unref(c);
    c = read_good("global: {scrape_interval: 5s, sample_limit: 7, body_size_limit: 15MB}\n" JOB
                  "- job_name: b\n  scrape_interval: 2m30s\n  sample_limit: 9\n");
    assert_int_equal(c->jobs[0].timeout_ns, (int64_t)5 * 1000000000);
    assert_int_equal(c->jobs[1].interval_ns, (int64_t)150 * 1000000000);
    assert_int_equal(c->jobs[1].timeout_ns, (int64_t)5 * 1000000000);
    assert_int_equal(c->jobs[0].samples_max, 7);
    assert_int_equal(c->jobs[1].samples_max, 9);
    assert_int_equal(c->jobs[0].body_bytes_max, 15 << 20);
    scrape_config_unref(c);
    check("", "");
    check("rule_files: [x]\nalerting: {}\nremote_write: []\nstorage: {}\ntracing: {}\notlp: {}\n" JOB, "a");
}

static void faults_leave_the_rest(void **state) {
    (void)state;
    check("scrape_configs:\n- job_name: a\n- job_name: a\n- {job_name: b}\n",
          "a b\nfault 3: found multiple scrape configs with job name \"a\"");
    check(JOB "  scrape_interval: 1s\n  scrape_timeout: 2s\n- job_name: b\n",
          "b\nfault 2: scrape timeout greater than scrape interval for scrape config with job name \"a\"");
    check("scrape_configs: [{honor_labels: true}]", "\nfault 1: job_name is empty");
    check(JOB "  colour: red\n- job_name: b\n", "b\nfault 3: field colour not found in a scrape config");
    check(JOB "  scrape_interval: 1.5s\n", "\nfault 3: not a valid duration string: \"1.5s\"");
    check(JOB "  scrape_interval: 1s1m\n", "\nfault 3: not a valid duration string: \"1s1m\"");
    check(JOB "  body_size_limit: 100\n", "\nfault 3: body_size_limit: missing unit in \"100\"");
    check(JOB "  relabel_configs: [{action: drop, regex: '('}]\n",
          "\nfault 3: regular expression: missing closing parenthesis at byte 1");
    check(JOB "  static_configs: [{targets: ['http://x:1/m']}]\n",
          "\nfault 2: \"http://x:1/m\" is not a valid hostname");
    check(JOB "  static_configs: [{target: [x]}]\n", "\nfault 3: unknown key \"target\"");
    check(JOB "  static_configs: [{targets: [x], labels: {'': b}}]\n", "\nfault 3: \"\" is not a valid label name");
    check(JOB "  file_sd_configs: [{files: [a.txt]}]\n",
          "\nfault 3: path name \"a.txt\" is not valid for file discovery");
    check(JOB "  file_sd_configs: [{files: []}]\n",
          "\nfault 3: file service discovery config must contain at least one path name");
    check(JOB "  dns_sd_configs: [{names: [x], type: A}]\n",
          "\nfault 3: a port is required in DNS-SD configs for all record types except SRV");
    check(JOB "  dns_sd_configs: [{names: [x], type: TXT}]\n", "\nfault 3: invalid DNS-SD records type TXT");
    check(JOB "  http_sd_configs: [{url: 'ftp://x'}]\n", "\nfault 3: URL scheme must be 'http' or 'https'");
    check(JOB "  scrape_protocols: [a]\n", "\nfault 3: unknown scrape protocol \"a\"");
}

static void ways_to_authenticate_exclude_each_other(void **state) {
    (void)state;
    check(JOB "  bearer_token: x\n  bearer_token_file: y\n",
          "\nfault 2: at most one of bearer_token & bearer_token_file must be configured");
    check(JOB "  bearer_token: x\n  basic_auth: {username: u}\n",
          "\nfault 2: at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
    check(JOB "  authorization: {type: Basic}\n",
          "\nfault 3: authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
    check(JOB "  authorization: {credentials: a}\n  basic_auth: {username: u}\n",
          "\nfault 2: at most one of basic_auth, oauth2 & authorization must be configured");
    check(JOB "  basic_auth: {username: u, password: p, password_file: f}\n",
          "\nfault 3: at most one of basic_auth password & password_file must be configured");
    check(JOB "  tls_config: {cert_file: a}\n",
          "\nfault 3: exactly one of key or key_file must be configured when a client certificate is configured");
    check(JOB "  oauth2: {client_id: x}\n", "\nfault 3: oauth2: clew has it not");
    struct scrape_config *c =
        read_good(JOB "  authorization: {credentials_file: token}\n  tls_config: {ca_file: /ca.pem}\n");
    assert_string_equal(c->jobs[0].http.credentials_file, "/etc/token");
    assert_string_equal(c->jobs[0].http.ca_file, "/ca.pem");
    assert_string_equal(c->jobs[0].http.auth_type, "Bearer");
    scrape_config_unref(c);
}

static void what_is_not_there_is_named(void **state) {
    (void)state;
    check(JOB "  kubernetes_sd_configs: [{role: pod}]\n  static_configs: [{targets: [x]}]\n",
          "a\nleft 3: kubernetes_sd_configs: clew has not this discovery; the job's other targets are scraped");
    check(JOB "  convert_classic_histograms_to_nhcb: true\n",
          "a\nleft 3: convert_classic_histograms_to_nhcb: not acted on: clew scrapes text, where classic histograms "
          "are series");
    check(JOB "  convert_classic_histograms_to_nhcb: false\n", "a");
    check(JOB "  scrape_failure_log_file: f\n", "a\nleft 3: scrape_failure_log_file: not written: failures are what "
                                                "/api/v1/targets and the log at level debug tell");
    check(JOB "  native_histogram_bucket_limit: 9\n",
          "a\nleft 3: native_histogram_bucket_limit: not acted on: clew scrapes text, which has no native histograms");
    check("scrape_config_files: [x.yml]\n" JOB,
          "a\nleft 1: scrape_config_files: not read: put their jobs into scrape_configs");
    check("global: {convert_classic_histograms_to_nhcb: true, scrape_failure_log_file: f}\n" JOB,
          "a\nleft 1: convert_classic_histograms_to_nhcb: not acted on: clew scrapes text, where classic histograms "
          "are series\nleft 1: scrape_failure_log_file: not written: failures are what /api/v1/targets and the log at "
          "level debug tell");
}

static void rules_and_alerting_are_read(void **state) {
    (void)state;
    struct scrape_config *c =
        read_good("global: {external_labels: {b: x, a: y, none: ''}, evaluation_interval: 5s, rule_query_offset: 1m}\n"
                  "rule_files: [a.yml, /b/*.yml]\n"
                  "alerting: {alertmanagers: [{scheme: https, path_prefix: am/, static_configs: [{targets: ['x:1', "
                  "'y:2']}]}, {static_configs: [{targets: [z]}]}]}\n" JOB);
    const struct scrape_alerting *a = scrape_config_alerting(c);
    assert_int_equal(c->findings.n, 0);
    assert_int_equal(a->rule_file_n, 2);
    assert_string_equal(a->rule_files[0], "/etc/a.yml");
    assert_string_equal(a->rule_files[1], "/b/*.yml");
    assert_int_equal(a->url_n, 3);
    assert_string_equal(a->urls[0].p, "https://x:1/am");
    assert_string_equal(a->urls[1].p, "https://y:2/am");
    assert_string_equal(a->urls[2].p, "http://z");
    assert_int_equal(a->label_n, 2);
    assert_true(str_equal(a->labels[0].name, STR("a")) && str_equal(a->labels[1].value, STR("x")));
    assert_int_equal(a->interval_ns, (int64_t)5000000000);
    assert_int_equal(a->query_offset_ns, (int64_t)60000000000);
    scrape_config_unref(c);
    check("alerting: {alert_relabel_configs: [{action: drop}]}\n" JOB,
          "a\nleft 1: alert_relabel_configs: not acted on: alerts go out as their rules make them");
    check("alerting: {alertmanagers: [{basic_auth: {username: u}, static_configs: [{targets: [x]}]}]}\n" JOB,
          "a\nleft 1: basic_auth: clew has it not for Alertmanagers; these are not told");
    check("alerting: {alertmanagers: [{dns_sd_configs: [{names: [x]}]}]}\n" JOB,
          "a\nleft 1: Alertmanagers of static_configs alone are told");
    setenv("CLEW_TEST_ZONE", "eu", 1);
    unsetenv("CLEW_TEST_NONE");
    c = read_good(
        "global: {external_labels: {a: 'x-${CLEW_TEST_ZONE}-$CLEW_TEST_ZONE.$$9$', b: '${CLEW_TEST_ZONE'}}\n" JOB);
    a = scrape_config_alerting(c);
    assert_true(str_equal(a->labels[0].value, STR("x-eu-eu.$9$")));
    assert_true(str_equal(a->labels[1].value, STR("${CLEW_TEST_ZONE")));
    scrape_config_unref(c);
    check("global: {external_labels: {a: '${CLEW_TEST_NONE}'}}\n" JOB,
          "a\nleft 1: external_labels: an environment variable that is empty");
    refuse("rule_files: {a: b}", "rule_files: expected a list");
    refuse("rule_files: ['']", "a path that is none");
    refuse("alerting: {alertmanager: []}", "unknown key \"alertmanager\"");
    refuse("alerting: {alertmanagers: [{scheme: ftp}]}", "unsupported scheme");
    refuse("alerting: {alertmanagers: [{api_version: v1}]}", "one of [v2] but got v1");
    refuse("alerting: {alertmanagers: [{static_configs: [{targets: ['http://x']}]}]}", "is not a valid hostname");
}

static void names_are(const char *text, bool legacy, const char *escaping) {
    struct scrape_config *c = read_good(text);
    char part[64];
    snprintf(part, sizeof part, "text;version=1.0.0;escaping=%s;q=0.5,", escaping);
    assert_int_equal(c->jobs[0].legacy_names, legacy);
    if (!strstr(c->jobs[0].accept, part)) fail_msg("%s: %s", text, c->jobs[0].accept);
    assert_null(strstr(c->jobs[0].accept, "0.0.4;escaping"));
    assert_int_equal(c->findings.n, 0);
    scrape_config_unref(c);
}

static void names_are_validated_and_escaped(void **state) {
    (void)state;
    names_are(JOB, false, "allow-utf-8");
    names_are(JOB "  metric_name_validation_scheme: legacy\n", true, "underscores");
    names_are(JOB "  metric_name_escaping_scheme: dots\n", false, "dots");
    names_are(JOB "  metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: values\n", true, "values");
    names_are("global: {metric_name_validation_scheme: legacy}\n" JOB, true, "underscores");
    names_are("global: {metric_name_validation_scheme: legacy}\n" JOB "  metric_name_validation_scheme: utf8\n", false,
              "allow-utf-8");
    names_are("global: {metric_name_escaping_scheme: underscores}\n" JOB, false, "underscores");
    names_are("global: {metric_name_validation_scheme: ''}\n" JOB "  scrape_protocols: [OpenMetricsText1.0.0]\n", false,
              "allow-utf-8");
    check(JOB "  metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: allow-utf-8\n",
          "\nfault 2: utf8 metric names requested but validation scheme is not set to UTF8");
    check(JOB "  metric_name_validation_scheme: utf9\n", "\nfault 3: unknown metric_name_validation_scheme \"utf9\"");
    refuse("global: {metric_name_escaping_scheme: none}", "unknown metric_name_escaping_scheme \"none\"");
}

static void files_that_are_none(void **state) {
    (void)state;
    refuse("a: [", "/etc/p.yml:");
    refuse("- a", "expected a map");
    refuse("scrape_config: []", "/etc/p.yml:1: unknown key \"scrape_config\"");
    refuse("global: {scrape_interval: 1s, scrape_timeout: 2s}", "global scrape timeout greater than scrape interval");
    refuse("global: {colour: red}", "unknown key \"colour\"");
    refuse("scrape_configs: {}", "expected a list");
}

typedef err read_number(const struct yaml *y, uint64_t *out);

static bool takes(read_number *read, const char *text, uint64_t *out) {
    AUTO_ARENA struct arena a;
    struct yaml *y;
    arena_init(&a, MIB);
    assert_null(yaml_read(str_of(text), "n.yml", &a, &y));
    err e = read(y, out);
    bool taken = !e;
    err_free(e);
    return taken;
}

static void expect_number(read_number *read, const char *text, uint64_t want) {
    uint64_t got = 42;
    if (!takes(read, text, &got)) fail_msg("%s: refused", text);
    if (got != want) fail_msg("%s: %llu", text, (unsigned long long)got);
}

static void expect_no_number(read_number *read, const char *text) {
    uint64_t got = 42;
    if (takes(read, text, &got)) fail_msg("%s: taken", text);
    assert_int_equal(got, 42);
}

/* What yaml.v2 and units take, and what not. */
static void numbers_are_those_of_prometheus(void **state) {
    static const struct {
        const char *text;
        uint64_t want;
    } counts[] = {{"10", 10},    {"0x10", 16},    {"0X1f", 31}, {"017", 15}, {"0o17", 15},
                  {"0b101", 5},  {"1_000", 1000}, {"1.0", 1},   {"1.9", 1},  {".5e1", 5},
                  {"1e3", 1000}, {"+7", 7},       {"08", 8},    {"0", 0},    {"18446744073709551615", UINT64_MAX}},
      sizes[] = {{"15MB", 15 << 20}, {"1.5MB", 3 << 19},        {"0", 0},      {"7B", 7},
                 {"1KiB", 1024},     {"1GB512MB", 1536u << 20}, {".5KB", 512}, {"2GiB", (uint64_t)2 << 30}};
    static const char *const no_counts[] = {"-1", "x", "0x", "0xg", "'5'", "1e30", "1 0", "_", "nan", "0b12"},
                             *const no_sizes[] = {"1.5", "MB", "1.5.5MB", "9EB", "1mB", "-1MB", "1MB5", "iB", "1iB"};
    (void)state;
    for (size_t i = 0; i < LENGTH(counts); i++) expect_number(yaml_count, counts[i].text, counts[i].want);
    for (size_t i = 0; i < LENGTH(sizes); i++) expect_number(scrape_size, sizes[i].text, sizes[i].want);
    for (size_t i = 0; i < LENGTH(no_counts); i++) expect_no_number(yaml_count, no_counts[i]);
    for (size_t i = 0; i < LENGTH(no_sizes); i++) expect_no_number(scrape_size, no_sizes[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults_are_prometheus),
                                       cmocka_unit_test(faults_leave_the_rest),
                                       cmocka_unit_test(ways_to_authenticate_exclude_each_other),
                                       cmocka_unit_test(what_is_not_there_is_named),
                                       cmocka_unit_test(rules_and_alerting_are_read),
                                       cmocka_unit_test(names_are_validated_and_escaped),
                                       cmocka_unit_test(files_that_are_none),
                                       cmocka_unit_test(numbers_are_those_of_prometheus)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
