/* Metrics of OTLP on their way in: what becomes samples, what is refused and how that is told. */
#include "ingest/points_testing_priv.h"

/* One metric of OTLP/JSON; what is refused of its points. */
static void send_json_metric(struct bench *b, const char *metric) {
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    buf_add_fmt(&body, "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[%s]}]}]}", metric);
    send(b, INGEST_OTLP_JSON, "", buf_str(&body));
    if (b->failed) fail_msg("%s: %s", metric, b->text);
}

#define AT "\"timeUnixNano\":\"" NOW "000000\","
static void what_cannot_be_a_series_is_told_by_reason(void **state) {
    (void)state;
    static const struct {
        const char *metric;
        enum ingest_reason reason;
        uint64_t refused;
    } cases[] = {
        {"{\"name\":\"m\",\"sum\":{\"dataPoints\":[{" AT "\"asInt\":1},{" AT "\"asInt\":1}]}}",
         REASON_TRANSLATION + TRANSLATE_TEMPORALITY, 2},
        {"{\"name\":\"m\",\"sum\":{\"aggregationTemporality\":7,\"dataPoints\":[{" AT "\"asInt\":1}]}}",
         REASON_TRANSLATION + TRANSLATE_TEMPORALITY, 1},
        {"{\"name\":\"m\",\"gauge\":{\"dataPoints\":[{" AT "\"flags\":0}]}}", REASON_TRANSLATION + TRANSLATE_NO_VALUE,
         1},
        {"{\"name\":\"m\",\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
         "\"count\":1,\"scale\":-5,\"sum\":1,\"positive\":{\"bucketCounts\":[1]}}]}}",
         REASON_TRANSLATION + TRANSLATE_SCALE, 1},
        {"{\"name\":\"m\",\"exponentialHistogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
         "\"count\":1,\"scale\":0,\"positive\":{\"bucketCounts\":[1]}}]}}",
         REASON_TRANSLATION + TRANSLATE_NO_SUM, 1},
        {"{\"name\":\"m\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
         "\"count\":1,\"sum\":1,\"explicitBounds\":[2,1],\"bucketCounts\":[1,0,0]}]}}",
         REASON_BAD_HISTOGRAM, 1},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct bench b;
        struct ingest_stats s;
        bench_open(&b);
        send_json_metric(&b, cases[i].metric);
        assert_int_equal(b.outcome.taken, 0);
        assert_int_equal(b.outcome.rejected, cases[i].refused);
        if (b.outcome.rejected_by[cases[i].reason] != cases[i].refused) fail_msg("case %zu: %s", i, b.text);
        if (!strstr(b.text, *ingest_reasons[cases[i].reason].text)) fail_msg("case %zu: %s", i, b.text);
        ingest_get_stats(b.ingest, &s);
        assert_int_equal(s.rejected[INGEST_METRICS][cases[i].reason], cases[i].refused);
        stored(&b, "");
        bench_close(&b);
    }
}

/* Summaries, the stale marker of what was not recorded, and points that are told to be a conflict. */
static void points_of_otlp_become_samples_or_conflicts(void **state) {
    (void)state;
    struct bench b;
    bench_open(&b);
    send_json_metric(&b, "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" AT
                         "\"count\":\"3\",\"sum\":4.5,\"quantileValues\":"
                         "[{\"quantile\":0.5,\"value\":1},{\"quantile\":1,\"value\":2}]}]}}");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 4);
    send_json_metric(&b, "{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" AT "\"flags\":1}]}}");
    fared(&b, 1, 0, "");
    send_json_metric(&b, "{\"name\":\"g\",\"gauge\":{\"dataPoints\":[{" AT "\"asDouble\":1}]}}");
    assert_int_equal(b.outcome.rejected_by[REASON_CONFLICT], 1);
    stored(&b, "g bits:7ff0000000000002@" NOW "\ns_count 3@" NOW "\ns_sum 4.5@" NOW "\ns{quantile=\"0.5\"} 1@" NOW
               "\ns{quantile=\"1\"} 2@" NOW "\n");
    bench_close(&b);
}

static void a_refusal_names_whose_point_it_was(void **state) {
    (void)state;
    static const struct {
        const char *metric, *message;
    } cases[] = {
        {"{\"name\":\"a.b\",\"gauge\":{\"dataPoints\":[{" AT "\"flags\":0},{" AT "\"flags\":0}]}}",
         "2: a point without a value; metric \"a.b\""},
        {"{\"name\":\"\",\"sum\":{\"aggregationTemporality\":2,\"isMonotonic\":true,\"dataPoints\":[{" AT
         "\"asInt\":1}]}}",
         "1: a metric without a name; metric \"\""},
        {"{\"unit\":\"s\",\"gauge\":{\"dataPoints\":[{" AT "\"asInt\":1}]}}",
         "1: a metric without a name; metric \"\""},
        {"{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
         "\"count\":1,\"explicitBounds\":[1],\"bucketCounts\":[1]}]}}",
         "1: a histogram that contradicts itself; metric \"h\": the buckets are not one more than the bounds"},
        {"{\"name\":\"m\",\"gauge\":{\"dataPoints\":[{\"timeUnixNano\":\"5\",\"asInt\":1}]}}",
         "1: older than the retention; metric \"m\""},
    };
    struct bench b;
    AUTO_BUF struct buf body;
    buf_init(&body, MIB);
    bench_open(&b);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        send_json_metric(&b, cases[i].metric);
        assert_string_equal(b.text, cases[i].message);
    }
    put_otlp_gauge(&body, "shop", "queue.length", 5, 3);
    send(&b, INGEST_OTLP, "", buf_str(&body));
    fared(&b, 0, 1, "1: older than the retention; metric \"queue.length\" of service \"shop\"");
    stored(&b, "");
    bench_close(&b);
}

#define LATER "\"timeUnixNano\":\"1700000010000000000\","
/* Collectors send such a point without counts, often without bounds and sum. */
static void a_histogram_without_a_recorded_value_ends_all_of_its_series(void **state) {
    (void)state;
    static const char *const ends[] = {"\"flags\":1", "\"flags\":1,\"explicitBounds\":[1,2]",
                                       "\"flags\":1,\"explicitBounds\":[1,2],\"bucketCounts\":[0,0,0],\"sum\":0"};
    for (size_t i = 0; i < LENGTH(ends); i++) {
        struct bench b;
        AUTO_BUF struct buf text;
        buf_init(&text, MIB);
        bench_open(&b);
        send_json_metric(&b, "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
                             "\"count\":3,\"sum\":4,\"explicitBounds\":[1,2],\"bucketCounts\":[1,1,1]}]}}");
        fared(&b, 1, 0, "");
        buf_add_fmt(&text,
                    "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" LATER "%s}]}}",
                    ends[i]);
        send_json_metric(&b, text.p);
        fared(&b, 1, 0, "");
        assert_int_equal(b.outcome.samples, 5);
#define ENDED "@" NOW " bits:7ff0000000000002@1700000010000\n"
        stored(&b, "h_bucket{le=\"+Inf\"} 3" ENDED "h_bucket{le=\"1\"} 1" ENDED "h_bucket{le=\"2\"} 2" ENDED
                   "h_count 3" ENDED "h_sum 4" ENDED);
        bench_close(&b);
    }
    struct bench b;
    bench_open(&b); /* one that nobody knows says what it can */
    send_json_metric(&b, "{\"name\":\"h\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[{" AT
                         "\"flags\":1,\"explicitBounds\":[1]}]}}");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 3);
    send_json_metric(&b, "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" AT
                         "\"count\":3,\"sum\":4.5,\"quantileValues\":[{\"quantile\":0.5,\"value\":1}]}]}}");
    send_json_metric(&b, "{\"name\":\"s\",\"summary\":{\"dataPoints\":[{" LATER "\"flags\":1}]}}");
    fared(&b, 1, 0, "");
    assert_int_equal(b.outcome.samples, 3);
    bench_close(&b);
}

static void a_bad_delta_does_not_spoil_its_sum(void **state) {
    (void)state;
    static const struct {
        const char *value;
        bool bad;
    } deltas[] = {{"5", false}, {"\"NaN\"", true}, {"-3", true}, {"\"Infinity\"", true}, {"\"-Infinity\"", true},
                  {"0", false}, {"2", false}};
    struct bench b;
    struct store_options options;
    bench_options(&options);
    struct translation translation = translation_default;
    translation.deltas = true;
    options.series.translation = &translation;
    open_with(&b, &options, 1 << 30, 0, NULL);
    for (size_t i = 0; i < LENGTH(deltas); i++) {
        AUTO_BUF struct buf text;
        buf_init(&text, MIB);
        buf_add_fmt(&text,
                    "{\"name\":\"c\",\"sum\":{\"aggregationTemporality\":1,\"isMonotonic\":true,\"dataPoints\":[{"
                    "\"timeUnixNano\":\"170000000%zu000000000\",\"asDouble\":%s}]}}",
                    i, deltas[i].value);
        send_json_metric(&b, text.p);
        fared(&b, !deltas[i].bad, deltas[i].bad,
              deltas[i].bad ? "1: a delta of a counter that is negative or not a finite number; metric \"c\"" : "");
        assert_int_equal(b.outcome.rejected_by[REASON_TRANSLATION + TRANSLATE_BAD_VALUE], deltas[i].bad);
    }
    stored(&b, "c_total 5@1700000000000 5@1700000005000 7@1700000006000\n");
    bench_close(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_a_series_is_told_by_reason),
        cmocka_unit_test(points_of_otlp_become_samples_or_conflicts),
        cmocka_unit_test(a_refusal_names_whose_point_it_was),
        cmocka_unit_test(a_histogram_without_a_recorded_value_ends_all_of_its_series),
        cmocka_unit_test(a_bad_delta_does_not_spoil_its_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
