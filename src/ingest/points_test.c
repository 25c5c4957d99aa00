/* Metrics on their way in: every format, times and values, and what is redacted. */
#include "ingest/points_testing_priv.h"

#include "net/inflate.h"
#include "signal/metrics/points_build.h"

/* ---- formats ---------------------------------------------------------------------------------------------------- */

static void every_format_comes_to_series(void **state) {
    (void)state;
    struct bench b;
    AUTO_BUF struct buf body, packed;
    buf_init(&body, MIB);
    buf_init(&packed, MIB);
    bench_open(&b);
    put_otlp_gauge(&body, "shop", "queue.length", (uint64_t)NOW_MS * 1000000, 3);
    send(&b, INGEST_OTLP, "", buf_str(&body));
    fared(&b, 1, 0, "");
    assert_null(deflate_gzip(buf_str(&body), &packed));
    send(&b, INGEST_OTLP, "gzip", buf_str(&packed)); /* said again: taken */
    fared(&b, 1, 0, "");
    send(
        &b, INGEST_OTLP_JSON, "",
        STR("{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
            "\"till\"}}]},\"scopeMetrics\":[{\"metrics\":[{\"name\":\"paid\",\"sum\":{\"aggregationTemporality\":2,"
            "\"isMonotonic\":true,\"dataPoints\":[{\"timeUnixNano\":\"" NOW "000000\",\"asInt\":\"7\"}]}}]}]}]}"));
    fared(&b, 1, 0, "");
    send_write(&b, 1, "one job=a 1@" NOW "\n");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 1);
    send_write(&b, 2, "two job=a 2@" NOW "\n");
    fared(&b, 1, 0, "");
    send_text(&b, "three{job=\"a\"} 3\n");
    fared(&b, 1, 0, "");
    send(&b, INGEST_OPENMETRICS, "", STR("four{job=\"a\"} 4 1700000000\n# EOF\n"));
    fared(&b, 1, 0, "");
    stored(&b, "four{job=\"a\"} 4@" NOW "\none{job=\"a\"} 1@" NOW "\npaid_total{job=\"till\"} 7@" NOW
               "\nqueue_length{job=\"shop\"} 3@" NOW "\nthree{job=\"a\"} 3@" NOW "\ntwo{job=\"a\"} 2@" NOW "\n");
    struct ingest_stats s;
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.bodies[INGEST_METRICS], 7);
    assert_int_equal(s.rows[INGEST_METRICS], 7);
    assert_int_equal(s.rows[INGEST_SPANS], 0);
    assert_int_equal(s.samples, 7);
    bench_close(&b);
}

static void nothing_is_a_success(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send(&b, INGEST_OTLP, "", STR(""));
    fared(&b, 0, 0, "");
    send(&b, INGEST_OTLP_JSON, "", STR("{}"));
    fared(&b, 0, 0, "");
    send_write(&b, 1, "");
    fared(&b, 0, 0, "");
    send_write(&b, 2, "");
    fared(&b, 0, 0, "");
    send_text(&b, "");
    fared(&b, 0, 0, "");
    send(&b, INGEST_OPENMETRICS, "", STR("# EOF\n"));
    fared(&b, 0, 0, "");
    stored(&b, "");
    bench_close(&b);
}

static void labels_of_an_import_are_put_on_all(void **state) {
    (void)state;
    struct bench b;
    const struct points_label labels[] = {{STR("job"), STR("cron")}, {STR("env"), STR("prod")}};
    bench_open(&b);
    ingest_body(b.ingest,
                &(struct ingest_request){.tenant = STR("default"),
                                         .kind = INGEST_METRICS,
                                         .format = INGEST_TEXT,
                                         .body = STR("ran 1\nran{job=\"other\",x=\"y\"} 2\n"),
                                         .labels = labels,
                                         .label_count = 2},
                on_done, &b);
    while (store_pump(b.store, 0)) {}
    fared(&b, 2, 0, "");
    stored(&b, "ran{env=\"prod\",job=\"cron\",x=\"y\"} 2@" NOW "\nran{env=\"prod\",job=\"cron\"} 1@" NOW "\n");
    bench_close(&b);
}

/* ---- times and values ------------------------------------------------------------------------------------------- */

static void duplicates_and_conflicts_are_told_apart(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send_write(&b, 1, "m a=1 1@" NOW "\n");
    send_write(&b, 1, "m a=1 1@" NOW "\n");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 1);
    send_write(&b, 1, "m a=1 2@" NOW "\nm a=2 5@" NOW "\n");
    assert_int_equal(b.outcome.taken, 1);
    assert_int_equal(b.outcome.rejected, 1);
    assert_int_equal(b.outcome.samples, 1);
    assert_int_equal(b.outcome.rejected_by[REASON_CONFLICT], 1);
    assert_true(str_starts_with(str_of(b.text), STR("1: ")));
    stored(&b, "m{a=\"1\"} 1@" NOW "\nm{a=\"2\"} 5@" NOW "\n");
    bench_close(&b);
}

static void samples_out_of_order_are_taken_within_the_window(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send_write(&b, 1, "m 3@1699999999000 1@1699999997000 2@1699999998000\n");
    fared(&b, 3, 0, "");
    send_write(&b, 2, "m 0@1699999990000\n");
    fared(&b, 1, 0, "");
    send_write(&b, 2, "m 9@1699990000000 4@" NOW "\n"); /* nearly three hours behind */
    assert_int_equal(b.outcome.taken, 1);
    assert_int_equal(b.outcome.rejected_by[REASON_TOO_LATE], 1);
    stored(&b, "m 0@1699999990000 1@1699999997000 2@1699999998000 3@1699999999000 4@" NOW "\n");
    bench_close(&b);
}

static void times_outside_the_retention_are_refused(void **state) {
    (void)state;
    struct bench b;
    struct ingest_stats s;
    bench_open(&b);
    send_write(&b, 1, "m 1@0 1@-1 1@1900000000000 1@-9223372036854775808 1@9223372036854775807 5@" NOW "\n");
    fared(&b, 1, 5, "3: older than the retention; 2: too far in the future");
    send_text(&b, "m 1 -5\nm{a=\"1\"} 1 9223372036854775807\n");
    fared(&b, 0, 2, "1: older than the retention; 1: too far in the future");
    stored(&b, "m 5@" NOW "\n");
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.rejected[INGEST_METRICS][REASON_TOO_OLD], 4);
    assert_int_equal(s.rejected[INGEST_METRICS][REASON_TOO_NEW], 3);
    bench_close(&b);
}

/* Retention 0 takes 1970 and what was before; a time that nanoseconds cannot say is refused, not wrapped. */
static void times_of_any_age_are_taken_without_retention(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    bench_options(&options);
    options.retention_ns = 0;
    open_with(&b, &options, 1 << 30, 0, NULL);
    send_write(&b, 1, "m a=1 1@0\nm a=2 2@-1\nm a=3 3@-62135596800000\nm a=4 4@-9223372036854775808\n");
    assert_false(b.failed);
    assert_int_equal(b.outcome.rejected + b.outcome.taken, 4);
    assert_int_equal(b.outcome.taken, 2);
    stored(&b, "m{a=\"1\"} 1@0\nm{a=\"2\"} 2@-1\n");
    bench_close(&b);
}

/* The second that was a leap second, 2016-12-31T23:59:60Z: unix time counts it twice, so both its samples are at one time. */
static void a_leap_second_is_a_time_twice(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    bench_options(&options);
    options.retention_ns = 0;
    open_with(&b, &options, 1 << 30, 0, NULL);
    send_write(&b, 1, "m 1@1483228799500 2@1483228800500\n");
    fared(&b, 2, 0, "");
    send_write(&b, 1, "m 3@1483228800500 4@1483228801000\n");
    assert_int_equal(b.outcome.taken, 1);
    assert_int_equal(b.outcome.rejected_by[REASON_CONFLICT], 1);
    stored(&b, "m 1@1483228799500 2@1483228800500 4@1483228801000\n");
    bench_close(&b);
}

static void nan_payloads_and_infinities_are_kept(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send_write(&b, 1,
               "m a=1 bits:7ff0000000000002@1699999999000 bits:7ff8000000000001@" NOW "\n"
               "m a=2 bits:fff8dead0000beef@" NOW "\nm a=3 inf@" NOW "\nm a=4 -inf@" NOW "\nm a=5 -0@" NOW "\n");
    fared(&b, 6, 0, "");
    send_write(&b, 2, "m a=2 bits:fff8dead0000beef@" NOW "\n"); /* the same: said already */
    fared(&b, 1, 0, "");
    stored(&b, "m{a=\"1\"} bits:7ff0000000000002@1699999999000 bits:7ff8000000000001@" NOW "\n"
               "m{a=\"2\"} bits:fff8dead0000beef@" NOW "\nm{a=\"3\"} +Inf@" NOW "\nm{a=\"4\"} -Inf@" NOW
               "\nm{a=\"5\"} -0@" NOW "\n");
    bench_close(&b);
}

static void text_is_taken_whole_or_not_at_all(void **state) {
    (void)state;
    struct bench b;
    struct ingest_stats s;
    bench_open(&b);
    send_text(&b, "ok 1\nup{a=\"b\" 1\n");
    failed(&b, ERR_INVALID, "line 2, column 10: expected , or }");
    send(&b, INGEST_OPENMETRICS, "", STR("ok 1\n"));
    failed(&b, ERR_INVALID, "# EOF");
    stored(&b, "");
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.failed[INGEST_METRICS][ERR_INVALID], 2);
    bench_close(&b);
}

/* ---- redaction -------------------------------------------------------------------------------------------------- */

static void rules_reach_labels_before_the_log(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    struct redact_rules *rules;
    struct ingest_stats s;
    assert_null(redact_rules_parse(STR("redact:\n  - do: mask\n    key: user*\n    in: [point]\n"
                                       "  - do: drop\n    key: card\n"),
                                   "test", &rules));
    bench_options(&options);
    open_with(&b, &options, 1 << 30, 0, rules);
    send_write(&b, 1, "m user=ann card=4111 x=1 1@" NOW "\n");
    fared(&b, 1, 0, "");
    stored(&b, "m{user=\"[redacted]\",x=\"1\"} 1@" NOW "\n");
    ingest_get_stats(b.ingest, &s);
    assert_int_equal(s.redacted.changed[0], 1);
    assert_int_equal(s.redacted.changed[1], 1);
    struct ingest_request request = {.tenant = STR("default"), .kind = INGEST_METRICS, .format = INGEST_TEXT};
    assert_false(ingest_body_if_small(b.ingest, &request, on_done, &b)); /* patterns may take long */
    bench_close(&b);
    redact_rules_free(rules);
}

static struct batch_blob *one_point(const char *name) {
    struct points_builder b;
    AUTO_BUF struct buf labels;
    buf_init(&labels, KIB);
    points_builder_init(&b, POINTS_PROMETHEUS);
    points_put_label(&labels, STR("__name__"), str_of(name));
    points_put_label(&labels, STR("user"), STR("ann"));
    points_builder_series(&b, 0, strings_append(&b.strings, buf_str(&labels)));
    uint32_t at = points_builder_point(&b);
    b.time[at] = NOW_MS;
    b.kind[at] = POINT_DOUBLE;
    struct batch_blob *blob = points_builder_finish(&b);
    points_builder_done(&b);
    return blob;
}

/* What was made of stored series has their texts as rules left them: to hash a hash would part them. */
static void rules_reach_points_of_a_batch_once(void **state) {
    (void)state;
    struct bench b;
    struct store_options options;
    struct redact_rules *rules;
    assert_null(redact_rules_parse(STR("redact:\n  - do: mask\n    key: user\n"), "test", &rules));
    bench_options(&options);
    open_with(&b, &options, 1 << 30, 0, rules);
    assert_null(ingest_points(b.ingest, STR("default"), INGEST_COLLECTED, one_point("scraped"), on_done, &b));
    assert_null(ingest_points(b.ingest, STR("default"), INGEST_DERIVED, one_point("recorded"), on_done, &b));
    while (store_pump(b.store, 0)) {}
    assert_int_equal(b.calls, 2);
    stored(&b, "recorded{user=\"ann\"} 0@" NOW "\nscraped{user=\"[redacted]\"} 0@" NOW "\n");
    bench_close(&b);
    redact_rules_free(rules);
}

static void every_reason_has_a_name_and_a_text(void **state) {
    (void)state;
    for (int i = 0; i < INGEST_REASONS; i++) {
        assert_non_null(ingest_reasons[i].name);
        assert_non_null(*ingest_reasons[i].text);
        assert_true(ingest_reasons[i].kinds);
        for (int k = 0; k < i; k++) assert_string_not_equal(ingest_reasons[i].name, ingest_reasons[k].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_comes_to_series),
        cmocka_unit_test(nothing_is_a_success),
        cmocka_unit_test(labels_of_an_import_are_put_on_all),
        cmocka_unit_test(duplicates_and_conflicts_are_told_apart),
        cmocka_unit_test(samples_out_of_order_are_taken_within_the_window),
        cmocka_unit_test(times_outside_the_retention_are_refused),
        cmocka_unit_test(times_of_any_age_are_taken_without_retention),
        cmocka_unit_test(a_leap_second_is_a_time_twice),
        cmocka_unit_test(nan_payloads_and_infinities_are_kept),
        cmocka_unit_test(text_is_taken_whole_or_not_at_all),
        cmocka_unit_test(rules_reach_labels_before_the_log),
        cmocka_unit_test(rules_reach_points_of_a_batch_once),
        cmocka_unit_test(every_reason_has_a_name_and_a_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
