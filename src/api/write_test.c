/* Metrics by every route that takes them: content negotiation, statuses and what is said of them, what of a body is kept. */
#include "api/one_stage_testing_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "net/grpc.h"
#include "net/inflate.h"
#include "signal/metrics/snappy.h"
#include "signal/testing.h"
#include "store/series.h"

#define NOW "1767323045000" /* STAGE_NOW_NS in ms */
#define LATER "1767323046000"

/* How many series there are, and samples in them. */
static void stored(uint32_t series, uint64_t count) {
    struct series_snapshot *snapshot;
    struct selection *selection;
    struct series_stats stats = {0};
    struct samples samples;
    AUTO_ARENA struct arena arena;
    const struct series_request all = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    uint64_t n = 0;
    arena_init(&arena, 64 * MIB);
    samples_init(&samples, MIB);
    assert_null(store_series_snapshot(stage.store, STR("default"), &snapshot));
    assert_null(series_snapshot_select(snapshot, &all, &arena, &stats, &selection));
    struct selection_reader *reader = selection_reader_new(selection, &stats);
    assert_int_equal(selection_count(selection), series);
    for (uint32_t i = 0; i < selection_count(selection); i++) {
        assert_null(selection_read(reader, i, &samples));
        n += samples.n;
    }
    assert_int_equal(n, count);
    selection_reader_free(reader);
    selection_free(selection);
    series_snapshot_free(snapshot);
    samples_done(&samples);
}

/* ---- remote write ----------------------------------------------------------------------------------------------- */

#define WRITE_1 "application/x-protobuf;proto=prometheus.WriteRequest"
#define WRITE_2 "application/x-protobuf;proto=io.prometheus.write.v2.Request"

static int write_as(const char *type, const char *encoding, struct str body) {
    return stage_send(&stage, API_PORT_MAIN, "POST /prometheus/api/v1/write", type, encoding, body);
}

/* Lines of put_write_request. */
static int write_lines(int version, const char *type, const char *encoding, const char *lines) {
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, 64 * MIB);
    buf_init(&packed, 64 * MIB);
    put_write_request(version, lines, &plain);
    snappy_block_write(buf_str(&plain), &packed);
    return write_as(type, encoding, buf_str(&packed));
}

static void both_versions_are_told_by_content_type(void **state) {
    (void)state;
    static const struct {
        int version, status;
        const char *type, *encoding;
    } cases[] = {
        {1, 204, "application/x-protobuf", "snappy"},
        {1, 204, WRITE_1, "snappy"},
        {1, 204, "application/x-protobuf; proto=prometheus.WriteRequest", "Snappy"},
        {1, 204, "Application/X-Protobuf ; charset=utf-8 ; proto=\"prometheus.WriteRequest\"", "snappy"},
        {1, 204, NULL, NULL}, /* as senders did before they said */
        {1, 204, "", ""},
        {2, 204, WRITE_2, "snappy"},
        {2, 204, "application/x-protobuf; proto=io.prometheus.write.v2.Request", ""},
        {1, 400, WRITE_2, "snappy"},
        {1, 415, "application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy"},
        {1, 415, "application/x-protobuf;proto=", "snappy"},
        {1, 415, "application/json", "snappy"},
        {1, 415, "text/plain", "snappy"},
        {1, 415, WRITE_1, "gzip"},
        {1, 415, WRITE_1, "zstd"},
        {1, 415, WRITE_1, "identity"},
        {1, 415, WRITE_1, "snappy, gzip"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int status = write_lines(cases[i].version, cases[i].type, cases[i].encoding, "m a=1 1@" NOW "\n");
        if (status != cases[i].status) fail_msg("case %zu: %d: %s", i, status, stage_body(&stage));
        if (status != 204) assert_string_equal(stage.content_type, "text/plain; charset=utf-8");
        if (status == 204) assert_int_equal(stage.body.n, 0);
    }
    stored(1, 1);
}

static void what_was_written_is_counted_for_version_2(void **state) {
    (void)state;
    static const char none[] = "X-Prometheus-Remote-Write-Samples-Written: 0\n"
                               "X-Prometheus-Remote-Write-Histograms-Written: 0\n"
                               "X-Prometheus-Remote-Write-Exemplars-Written: 0\n";
    assert_int_equal(write_lines(2, WRITE_2, "snappy", "m a=1 1@" NOW " 2@" LATER "\nm a=2 3@" NOW "\n"), 204);
    assert_string_equal(stage.fields, "X-Prometheus-Remote-Write-Samples-Written: 3\n"
                                      "X-Prometheus-Remote-Write-Histograms-Written: 0\n"
                                      "X-Prometheus-Remote-Write-Exemplars-Written: 0\n");
    /* half of it is good: it is kept, and counted, and not asked for again */
    assert_int_equal(write_lines(2, WRITE_2, "snappy", "m a=1 9@" NOW "\nm a=3 4@" NOW "\n"), 400);
    assert_has(stage.fields, "X-Prometheus-Remote-Write-Samples-Written: 1\n");
    stored(3, 4);
    assert_int_equal(write_as(WRITE_2, "snappy", STR("garbage")), 400);
    assert_string_equal(stage.fields, none);
    assert_int_equal(write_lines(1, WRITE_1, "snappy", "m a=4 1@" NOW "\n"), 204);
    assert_string_equal(stage.fields, "");
}

/* TimeSeries with an exemplar and a native histogram beside its samples, of version 2. */
static void put_all_kinds(struct buf *out) {
    static const char *const symbols[] = {"", "__name__", "h", "trace_id", "abc"};
    AUTO_BUF struct buf series, histogram, span, exemplar, metadata;
    struct buf *const parts[] = {&series, &histogram, &span, &exemplar, &metadata};
    for (size_t i = 0; i < LENGTH(parts); i++) buf_init(parts[i], MIB);
    for (size_t i = 0; i < LENGTH(symbols); i++) put_wire_bytes(out, 4, str_of(symbols[i]));
    put_wire_bytes(&series, 1, STR("\1\2"));
    put_wire_varint(&span, 2, 1);
    put_wire_varint(&histogram, 1, 2);
    put_wire_fixed64(&histogram, 3, 0x4000000000000000);
    put_wire_bytes(&histogram, 11, buf_str(&span));
    put_wire_bytes(&histogram, 12, STR("\4"));
    put_wire_varint(&histogram, 15, 1767323045000);
    put_wire_bytes(&series, 3, buf_str(&histogram));
    put_wire_bytes(&exemplar, 1, STR("\3\4"));
    put_wire_fixed64(&exemplar, 2, 0x3ff0000000000000);
    put_wire_varint(&exemplar, 3, 1767323045000);
    put_wire_bytes(&series, 4, buf_str(&exemplar));
    put_wire_varint(&metadata, 1, 3); /* a histogram */
    put_wire_bytes(&series, 5, buf_str(&metadata));
    put_wire_bytes(out, 5, buf_str(&series));
}

static void histograms_and_exemplars_are_written_and_counted(void **state) {
    (void)state;
    AUTO_BUF struct buf plain, packed;
    buf_init(&plain, MIB);
    buf_init(&packed, MIB);
    put_all_kinds(&plain);
    snappy_block_write(buf_str(&plain), &packed);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(write_as(WRITE_2, "snappy", buf_str(&packed)), 204);
        assert_string_equal(stage.fields, "X-Prometheus-Remote-Write-Samples-Written: 0\n"
                                          "X-Prometheus-Remote-Write-Histograms-Written: 1\n"
                                          "X-Prometheus-Remote-Write-Exemplars-Written: 1\n");
    }
    stored(1, 1);
}

static void refusals_say_why_in_one_line(void **state) {
    (void)state;
    static const struct {
        const char *lines, *said;
    } cases[] = {
        {"m x=1 1@" NOW "\nm x=1 2@" NOW "\n", "1: "},
        {"m x=2 1@1\n", "1: older than the retention"},
        {"m x=2 1@1999999999999\n", "1: too far in the future"},
        {"m x=2 x=3 1@" NOW "\n", "1: labels that are not allowed; a label name twice"},
        {" x=2 1@" NOW "\n", "1: labels that are not allowed; no label __name__"},
        {"m x=\xff 1@" NOW "\n", "not UTF-8"},
    };
    for (int version = 1; version <= 2; version++)
        for (size_t i = 0; i < LENGTH(cases); i++) {
            assert_int_equal(write_lines(version, version == 1 ? WRITE_1 : WRITE_2, "snappy", cases[i].lines), 400);
            assert_has(stage_body(&stage), cases[i].said);
            assert_ptr_equal(strchr(stage_body(&stage), '\n'), stage_body(&stage) + stage.body.n - 1);
        }
}

static void bodies_that_are_none_are_refused_whole(void **state) {
    (void)state;
    AUTO_BUF struct buf plain;
    buf_init(&plain, MIB);
    put_write_request(1, "m a=1 1@" NOW "\n", &plain);
    assert_int_equal(write_as(WRITE_1, "snappy", STR("")), 400);
    assert_int_equal(write_as(WRITE_1, "snappy", buf_str(&plain)), 400);
    assert_int_equal(write_as(WRITE_1, "snappy", STR("\xff\xff\xff\xff\x0f\0")), 413); /* states 4 GiB */
    assert_int_equal(write_as(WRITE_1, "snappy", STR("\x80\x80\x80\x10\0")), 400);     /* 32 MiB in no bytes */
    stored(0, 0);
}

static void a_full_budget_is_told_to_come_again(void **state) {
    (void)state;
    stage.budget.limit_bytes = 100;
    assert_int_equal(write_lines(2, WRITE_2, "snappy", "m a=1 1@" NOW "\n"), 429);
    assert_has(stage.fields, "Retry-After: 2\n");
    assert_has(stage.fields, "X-Prometheus-Remote-Write-Samples-Written: 0\n");
    assert_int_equal(stage_send(&stage, API_PORT_MAIN, "POST /api/v1/import", "text/plain", NULL, STR("m 1\n")), 429);
    assert_has(stage.fields, "Retry-After: 2\n");
    stage.budget.limit_bytes = 1 << 30;
    assert_int_equal(write_lines(2, WRITE_2, "snappy", "m a=1 1@" NOW "\n"), 204);
    stored(1, 1);
}

static void wrong_methods_are_405_and_not_404(void **state) {
    (void)state;
    assert_int_equal(stage_ask(&stage, "GET /prometheus/api/v1/write"), 405);
    assert_has(stage.fields, "Allow: POST\n");
    assert_int_equal(stage_ask(&stage, "PUT /api/v1/import"), 405);
    assert_int_equal(stage_ask(&stage, "GET /prometheus/api/v1/otlp/v1/metrics"), 405);
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static int import_as(const char *query, const char *type, const char *encoding, struct str body) {
    AUTO_BUF struct buf request;
    buf_init(&request, 64 * KIB);
    buf_add_fmt(&request, "POST /api/v1/import%s", query);
    return stage_send(&stage, API_PORT_MAIN, request.p, type, encoding, body);
}

static void text_is_imported_by_its_type(void **state) {
    (void)state;
    static const struct {
        const char *type, *encoding, *body;
        int status;
    } cases[] = {
        {"text/plain; version=0.0.4", NULL, "m{a=\"1\"} 1\n", 200},
        {"text/plain;version=1.0.0;charset=utf-8", "identity", "{\"m.n\",a=\"1\"} 1\n", 200},
        {"text/plain", NULL, "# no samples\n", 200},
        {NULL, NULL, "m{a=\"2\"} 1\n", 200},
        {"application/x-www-form-urlencoded", NULL, "m{a=\"3\"} 1\n", 200},
        {"application/openmetrics-text; version=1.0.0; charset=utf-8", NULL, "m{a=\"4\"} 1\n# EOF\n", 200},
        {"application/openmetrics-text; version=0.0.1", NULL, "m{a=\"5\"} 1 1767323045.5\n# EOF\n", 200},
        {"application/openmetrics-text", NULL, "m{a=\"6\"} 1\n", 400}, /* cut off */
        {"application/openmetrics-text; version=2.0.0", NULL, "# EOF\n", 415},
        {"text/plain; version=0.0.5", NULL, "m 1\n", 415},
        {"application/json", NULL, "{}", 415},
        {"text/plain", "snappy", "m 1\n", 415},
        {"text/plain", "gzip", "m 1\n", 400},
        {"text/plain", NULL, "m 1\nm{ 2\n", 400},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int status = import_as("", cases[i].type, cases[i].encoding, str_of(cases[i].body));
        if (status != cases[i].status) fail_msg("case %zu: %d: %s", i, status, stage_body(&stage));
        assert_string_equal(stage.content_type, "application/json");
    }
    assert_has(stage_body(&stage), "line 2, column 4");
    stored(6, 6);
    assert_int_equal(import_as("", "text/plain", NULL, STR("m{a=\"1\"} 2 " NOW "\nm{a=\"9\"} 2 17\n")), 200);
    assert_has(stage_body(&stage),
               "{\"taken\":0,\"rejected\":2,\"exemplars\":0,\"message\":\"1: older than the retention; ");
}

static void labels_come_from_parameters(void **state) {
    (void)state;
    assert_int_equal(import_as("?job=cron&instance=a%3A1&label=env%3Dprod&label=x.y=%C3%A4%3D", NULL, NULL,
                               STR("m{job=\"other\"} 1\n")),
                     200);
    assert_string_equal(stage_body(&stage), "{\"taken\":1,\"rejected\":0,\"exemplars\":0}");
    assert_int_equal(import_as("?label=env", NULL, NULL, STR("m 1\n")), 400);
    assert_has(stage_body(&stage), "label=env=prod");
    assert_int_equal(import_as("?label=__name__=x", NULL, NULL, STR("m 1\n")), 400);
    assert_int_equal(import_as("?label=%3Dx", NULL, NULL, STR("m 1\n")), 400);
    assert_int_equal(import_as("?label=a%FF=x", NULL, NULL, STR("m 1\n")), 400);
    assert_int_equal(import_as("?job=a&label=job=b", NULL, NULL, STR("m 1\n")), 400);
    assert_has(stage_body(&stage), "given twice");
    assert_int_equal(import_as("?jobs=a", NULL, NULL, STR("m 1\n")), 400);
    assert_has(stage_body(&stage), "did you mean 'job'?");
    stored(1, 1);
}

/* ---- OTLP ------------------------------------------------------------------------------------------------------- */

static const char json_metrics[] =
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\",\"gauge\":{\"dataPoints\":["
    "{\"timeUnixNano\":\"" NOW "000000\",\"asDouble\":1.5}]}}]}]}]}";
static const char json_refused[] =
    "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\",\"gauge\":{\"dataPoints\":["
    "{\"timeUnixNano\":\"1000000\",\"asDouble\":1.5},{\"timeUnixNano\":\"" NOW "000000\",\"asDouble\":1.5}]}}]}]}]}";

static void otlp_is_taken_on_every_path(void **state) {
    (void)state;
    static const struct {
        enum api_port port;
        const char *request;
    } paths[] = {{API_PORT_OTLP, "POST /v1/metrics"},
                 {API_PORT_MAIN, "POST /otlp/v1/metrics"},
                 {API_PORT_MAIN, "POST /prometheus/api/v1/otlp/v1/metrics"}};
    for (size_t i = 0; i < LENGTH(paths); i++) {
        static const char json[] = "application/json";
        assert_int_equal(stage_send(&stage, paths[i].port, paths[i].request, json, NULL, str_of(json_metrics)), 200);
        assert_string_equal(stage_body(&stage), "{}");
        assert_int_equal(stage_send(&stage, paths[i].port, paths[i].request, json, NULL, str_of(json_refused)), 200);
        assert_string_equal(stage_body(&stage),
                            "{\"partialSuccess\":{\"rejectedDataPoints\":\"1\",\"errorMessage\":\"1: "
                            "older than the retention; metric \\\"m\\\"\"}}");
        assert_int_equal(stage_send(&stage, paths[i].port, paths[i].request, json, NULL, STR("{")), 400);
        assert_has(stage_body(&stage), "{\"code\":3,\"message\":\"");
        assert_int_equal(stage_send(&stage, paths[i].port, paths[i].request, "text/plain", NULL, STR("")), 415);
        assert_int_equal(stage_body(&stage)[1], 3); /* google.rpc.Status: INVALID_ARGUMENT */
        assert_int_equal(
            stage_send(&stage, paths[i].port, paths[i].request, "application/x-protobuf", NULL, STR("\x0a\x05garbage")),
            400);
        assert_string_equal(stage.content_type, "application/x-protobuf");
    }
    stored(1, 1);
}

static void grpc_takes_metrics_too(void **state) {
    (void)state;
    static const char export[] = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    AUTO_BUF struct buf plain, packed, call;
    buf_init(&plain, MIB);
    buf_init(&packed, MIB);
    buf_init(&call, MIB);
    /* ResourceMetrics {ScopeMetrics {Metric {name, gauge {point {time, value}}}}}, and one of 1970 */
    AUTO_BUF struct buf point, gauge, metric, scope, resource;
    struct buf *const parts[] = {&point, &gauge, &metric, &scope, &resource};
    for (size_t i = 0; i < LENGTH(parts); i++) buf_init(parts[i], MIB);
    for (int old = 0; old < 2; old++) {
        buf_clear(&point);
        put_wire_fixed64(&point, 3, old ? 1 : (uint64_t)STAGE_NOW_NS);
        put_wire_fixed64(&point, 4, 0x3ff8000000000000);
        put_wire_bytes(&gauge, 1, buf_str(&point));
    }
    put_wire_bytes(&metric, 1, STR("m"));
    put_wire_bytes(&metric, 5, buf_str(&gauge));
    put_wire_bytes(&scope, 2, buf_str(&metric));
    put_wire_bytes(&resource, 2, buf_str(&scope));
    put_wire_bytes(&plain, 1, buf_str(&resource));
    assert_null(deflate_gzip(buf_str(&plain), &packed));
    for (int gzip = 0; gzip < 2; gzip++) {
        buf_clear(&call);
        grpc_put_message(&call, gzip ? buf_str(&packed) : buf_str(&plain), gzip);
        assert_int_equal(stage_call(&stage, export, "gzip", "10S", buf_str(&call)), GRPC_OK);
        assert_string_equal(stage.fields, "trailer grpc-status: 0\n");
        assert_int_equal(stage.body.p[5], 1 << 3 | 2); /* partial_success */
        assert_int_equal(stage.body.p[8], 1);          /* rejected_data_points */
        assert_has(stage.body.p + 9, "1: older than the retention");
    }
    assert_int_equal(stage_call(&stage, export, "", "", STR("\0\0\0\0\2zz")), GRPC_INVALID_ARGUMENT);
    assert_int_equal(stage_call(&stage, export, "", "", STR("\0\0\0\0\0")), GRPC_OK);
    stored(1, 1);
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static void figures_count_metrics(void **state) {
    (void)state;
    assert_int_equal(write_lines(1, WRITE_1, "snappy", "m a=1 1@" NOW "\nm a=1 2@" NOW "\nm a=2 1@" NOW "\n"), 400);
    assert_int_equal(stage_ask(&stage, "GET /metrics"), 200);
    assert_has(stage_body(&stage), "clew_ingest_rows_total{signal=\"metrics\"} 2\n");
    assert_has(stage_body(&stage), "clew_ingest_samples_total 2\n");
    assert_has(stage_body(&stage), "clew_ingest_rejected_rows_total{signal=\"metrics\",reason=\"conflict\"} 1\n");
    assert_has(stage_body(&stage), "clew_tenant_rows_total{tenant=\"default\",signal=\"metrics\"} 2\n");
    assert_has(stage_body(&stage), "clew_tenant_rejected_rows_total{tenant=\"default\",signal=\"metrics\"} 1\n");
    assert_null(strstr(stage_body(&stage), "signal=\"spans\",reason=\"conflict\""));
    assert_int_equal(stage_ask(&stage, "GET /api/v1/admin/status"), 200);
    assert_has(stage_body(&stage), "{\"signal\":\"metrics\",\"rows\":2,");
    assert_has(stage_body(&stage), "\"conflict\":1");
}

/* What clew says of itself is what it takes in. */
static void its_own_figures_can_be_imported(void **state) {
    (void)state;
    assert_int_equal(stage_ask(&stage, "GET /metrics"), 200);
    AUTO_FREE char *text = str_dup(buf_str(&stage.body));
    assert_int_equal(import_as("?job=clew", "text/plain; version=0.0.4", NULL, str_of(text)), 200);
    assert_has(stage_body(&stage), "\"rejected\":0");
}

static void the_limits_of_a_tenant_hold_for_metrics(void **state) {
    (void)state;
    stage_close(&stage);
    stage_open_as(&stage, NULL, NULL, "{\"default\":{\"requests_per_second\":1}}");
    assert_int_equal(write_lines(1, WRITE_1, "snappy", "m a=1 1@" NOW "\n"), 204);
    assert_int_equal(write_lines(1, WRITE_1, "snappy", "m a=2 1@" NOW "\n"), 429);
    assert_has(stage.fields, "Retry-After: ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        EMPTY_TEST(both_versions_are_told_by_content_type),
        EMPTY_TEST(what_was_written_is_counted_for_version_2),
        EMPTY_TEST(histograms_and_exemplars_are_written_and_counted),
        EMPTY_TEST(refusals_say_why_in_one_line),
        EMPTY_TEST(bodies_that_are_none_are_refused_whole),
        EMPTY_TEST(a_full_budget_is_told_to_come_again),
        EMPTY_TEST(wrong_methods_are_405_and_not_404),
        EMPTY_TEST(text_is_imported_by_its_type),
        EMPTY_TEST(labels_come_from_parameters),
        EMPTY_TEST(otlp_is_taken_on_every_path),
        EMPTY_TEST(grpc_takes_metrics_too),
        EMPTY_TEST(figures_count_metrics),
        EMPTY_TEST(its_own_figures_can_be_imported),
        EMPTY_TEST(the_limits_of_a_tenant_hold_for_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
