/* Answers of the whole API for one small fixed data set, byte for byte. UPDATE=1 writes them anew: the change is then seen
 * in review. */
#include "api/stage_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *file, *request;
    int status;
} cases[] = {
    {"services", "GET /api/v1/services", 200},
    {"services_counts", "GET /api/v1/services?counts=true&environment=prod", 200},
    {"operations", "GET /api/v1/services/web/operations", 200},
    {"operations_unknown", "GET /api/v1/services/unknown_service/operations?environment=default", 200},
    {"traces", "GET /api/v1/traces", 200},
    {"traces_page", "GET /api/v1/traces?limit=1&order=longest", 200},
    {"traces_where", "GET /api/v1/traces?service=web&where=http.status_code%3E%3D500&where=event.exception.type+exists",
     200},
    {"traces_none", "GET /api/v1/traces?min_duration=1h", 200},
    {"trace", "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c", 200},
    {"trace_parent_missing", "GET /api/v1/traces/4BF92F3577B34DA6A3CE929D0E0E4736", 200},
    {"trace_otlp", "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c?format=otlp", 200},
    {"trace_columns", "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c/columns", 200},
    {"trace_columns_parent_missing", "GET /api/v1/traces/4bf92f3577b34da6a3ce929d0e0e4736/columns", 200},
    {"trace_spans", "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c/spans?where=http.status_code%3E%3D500", 200},
    {"trace_spans_none", "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c/spans?text=nowhere", 200},
    {"trace_span", "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c/spans/b7ad6b7169203312", 200},
    {"trace_span_unknown", "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c/spans/00000000000000ff", 404},
    {"trace_span_odd", "GET /api/v1/traces/0af7651916cd43dd8448eb211c80319c/spans/b7ad", 400},
    {"trace_unknown", "GET /api/v1/traces/00000000000000000000000000000001", 404},
    {"stats", "GET /api/v1/traces/stats?start=now-15s&end=now&step=10s", 200},
    {"stats_services", "GET /api/v1/traces/stats?start=now-15s&end=now&step=10s&top=0&services=1", 200},
    {"stats_by", "GET /api/v1/traces/stats?start=now-15s&end=now&step=10s&top=0&by=http.status_code&groups=1", 200},
    {"stats_by_kind", "GET /api/v1/traces/stats?start=now-15s&end=now&step=10s&top=0&by=kind", 200},
    {"stats_before", "GET /api/v1/traces/stats?start=now-5s&end=now&step=5s&top=0&services=1&compare=before", 200},
    {"error_by", "GET /api/v1/traces/stats?by=a+b", 400},
    {"logs", "GET /api/v1/logs/query", 200},
    {"logs_page", "GET /api/v1/logs/query?limit=2&order=oldest", 200},
    {"logs_filtered", "GET /api/v1/logs/query?severity=warn&text=payment&trace_id=0af7651916cd43dd8448eb211c80319c",
     200},
    {"logs_count", "GET /api/v1/logs/query?mode=count&start=0&end=now", 200},
    {"logs_histogram", "GET /api/v1/logs/query?mode=histogram&start=now-10s&end=now&step=5s", 200},
    {"logs_by", "GET /api/v1/logs/query?mode=count&start=0&end=now&by=severity&groups=2", 200},
    {"logs_by_time", "GET /api/v1/logs/query?mode=histogram&start=now-10s&end=now&step=5s&by=attempt", 200},
    {"logs_before", "GET /api/v1/logs/query?mode=histogram&start=now-5s&end=now&step=5s&compare=before", 200},
    {"logs_count_before", "GET /api/v1/logs/query?mode=count&start=now-5s&end=now&compare=before", 200},
    {"logs_before_none", "GET /api/v1/logs/query?mode=count&start=0&end=now&compare=before", 200},
    {"logs_one", "GET /api/v1/logs/query?id=1767323042000000000-1ebc4b48316f42c0", 200},
    {"logs_one_gone", "GET /api/v1/logs/query?id=1767323042000000000-1ebc4b48316f42c1", 200},
    {"error_log_id", "GET /api/v1/logs/query?id=12-xy", 400},
    {"logs_otlp", "GET /api/v1/logs/query?format=otlp&limit=1", 200},
    {"attributes", "GET /api/v1/attributes", 200},
    {"attributes_logs", "GET /api/v1/attributes?signal=logs&prefix=resource.&limit=2", 200},
    {"attributes_none", "GET /api/v1/attributes?prefix=no.such", 200},
    {"attribute_values", "GET /api/v1/attributes/http.status_code/values", 200},
    {"attribute_values_service", "GET /api/v1/attributes/resource.service.name/values?signal=logs&prefix=C", 200},
    {"attribute_values_field", "GET /api/v1/attributes/field.name/values?service=web", 200},
    {"attribute_values_bad_field", "GET /api/v1/attributes/field.nme/values", 400},
    {"attribute_values_bad_key", "GET /api/v1/attributes/a%3D1/values", 400},
    {"attribute_values_event", "GET /api/v1/attributes/event.exception.type/values", 400},
    {"cardinality_none", "GET /api/v1/metrics/cardinality?drop=job", 200},
    {"cardinality_selector", "GET /api/v1/metrics/cardinality?match[]=up%7Bjob%3D%22x%22", 400},
    {"cardinality_drop", "GET /api/v1/metrics/cardinality?drop=__name__", 400},
    {"errors", "GET /api/v1/errors?limit=3", 200},
    {"errors_none", "GET /api/v1/errors?service=nobody", 200},
    {"errors_nobody", "GET /api/v1/errors?fingerprint=0123456789abcdef", 200},
    {"errors_limit", "GET /api/v1/errors?limit=0", 400},
    {"correlations_none", "GET /api/v1/correlations", 200},
    {"correlations", "GET /api/v1/correlations?derived=true", 200},
    {"correlations_attribute", "GET /api/v1/correlations?attribute=http.status_code&errors=true&search=50", 200},
    {"correlations_bad_attribute", "GET /api/v1/correlations?attribute=event.exception.type", 400},
    {"correlation", "GET /api/v1/correlations/clew-8448eb211c80319c", 200},
    {"correlation_details", "GET /api/v1/correlations/0af7651916cd43dd8448eb211c80319c?details=true&limit=1", 200},
    {"correlation_traces", "GET /api/v1/correlations/clew-8448eb211c80319c/traces", 200},
    {"correlation_logs", "GET /api/v1/correlations/clew-8448eb211c80319c/logs", 200},
    {"correlation_timeline", "GET /api/v1/correlations/clew-8448eb211c80319c/timeline", 200},
    {"correlation_flow", "GET /api/v1/correlations/clew-8448eb211c80319c/flow", 200},
    {"correlation_flow_operations", "GET /api/v1/correlations/clew-8448eb211c80319c/flow?nodes=operation", 200},
    {"correlation_metrics", "GET /api/v1/correlations/clew-8448eb211c80319c/metrics", 200},
    {"correlation_unknown", "GET /api/v1/correlations/no%2Fsuch%20id/traces", 404},
    {"propagation", "GET /api/v1/propagation", 200},
    {"propagation_none", "GET /api/v1/propagation?service=nobody", 200},
    {"topology_services", "GET /api/v1/topology/services", 200},
    {"topology_edges", "GET /api/v1/topology/edges", 200},
    {"topology_graph", "GET /api/v1/topology/graph", 200},
    {"topology_graph_nobody", "GET /api/v1/topology/graph?focus=nobody", 200},
    {"topology_graph_steps", "GET /api/v1/topology/graph?focus=a&steps=11", 400},
    {"dashboards_none", "GET /api/v1/dashboards", 200},
    {"changes_none", "GET /api/v1/changes", 200},
    {"findings_none", "GET /api/v1/findings?state=open", 200},
    {"environments_none", "GET /api/v1/environments", 200},
    {"searches_none", "GET /api/v1/searches", 200},
    {"jaeger_services", "GET /jaeger/api/services", 200},
    {"jaeger_service_operations", "GET /jaeger/api/services/web/operations", 200},
    {"jaeger_operations", "GET /jaeger/api/operations?service=web&spanKind=client", 200},
    {"jaeger_traces",
     "GET "
     "/jaeger/api/traces?service=cart&tags=%7B%22error%22%3A%22true%22%7D&start=1767323000000000&end=1767323045000000&"
     "minDuration=1ms&lookback=1h&limit=20",
     200},
    {"jaeger_traces_none", "GET /jaeger/api/traces?service=web&tag=no.such%3Athing", 200},
    {"jaeger_traces_by_id", "GET /jaeger/api/traces?traceID=4bf92f3577b34da6a3ce929d0e0e4736&traceID=1", 200},
    {"jaeger_trace_unknown", "GET /jaeger/api/traces/abc", 404},
    {"jaeger_bad_tags", "GET /jaeger/api/traces?service=web&tags=%7B%22a%22%3A1%7D", 400},
    {"jaeger_no_service", "GET /jaeger/api/traces", 400},
    {"jaeger_dependencies", "GET /jaeger/api/dependencies?endTs=1767323045000&lookback=3600000", 200},
    {"jaeger_v3_services", "GET /jaeger/api/v3/services", 200},
    {"jaeger_v3_operations", "GET /jaeger/api/v3/operations?service=web&span_kind=server", 200},
    {"jaeger_v3_traces",
     "GET /jaeger/api/v3/traces?query.service_name=cart&query.start_time_min=2026-01-02T03:00:00Z&query.start_time_max="
     "2026-01-02T03:04:05.000000001Z&query.attributes=%7B%22span.kind%22%3A%22client%22%7D",
     404},
    {"jaeger_v3_summaries",
     "GET /jaeger/api/v3/trace-summaries?query.serviceName=web&query.startTimeMin=2026-01-02T03:00:00Z&"
     "query.startTimeMax=2026-01-02T03:04:05Z&query.searchDepth=1",
     200},
    {"jaeger_v3_trace", "GET /jaeger/api/v3/traces/4bf92f3577b34da6a3ce929d0e0e4736", 200},
    {"jaeger_v3_trace_unknown", "GET /jaeger/api/v3/traces/1", 404},
    {"jaeger_v3_no_range", "GET /jaeger/api/v3/traces?query.service_name=web", 400},
    {"jaeger_v3_dependencies",
     "GET /jaeger/api/v3/dependencies?startTime=2026-01-02T03:00:00Z&endTime=2026-01-02T03:04:05Z", 200},
    {"storage", "GET /api/v1/admin/storage?signal=logs&limit=10&distinct=true", 200},
    {"retention", "GET /api/v1/admin/retention", 200},
    {"tokens_none", "GET /api/v1/admin/tokens", 200},
    {"health", "GET /health", 200},
    {"ready", "GET /ready", 200},
    {"error_parameter", "GET /api/v1/traces?servise=web", 400},
    {"error_where", "GET /api/v1/traces?where=a+%3D%3D+b", 400},
    {"error_path", "GET /api/v1/trace", 404},
    {"error_method", "POST /api/v1/traces", 405},
};

static char *path_of(const char *name, const char *suffix) {
    struct buf path;
    buf_init(&path, 4 * KIB);
    buf_add_fmt(&path, "%s/%s.%s", getenv("GOLDEN_DIR") ? getenv("GOLDEN_DIR") : GOLDEN_DIR, name, suffix);
    return path.p;
}

static void check_file(const char *name, const char *suffix, struct str text) {
    char *path = path_of(name, suffix);
    if (getenv("UPDATE")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
        fclose(f);
    }
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing: run with UPDATE=1", path);
    char *want = mem_new(text.n + 2);
    size_t n = fread(want, 1, text.n + 1, f);
    fclose(f);
    if (!str_equal((struct str){want, n}, text)) fail_msg("%s differs:\n" STR_FMT, path, STR_ARG(text));
    mem_free(want);
    mem_free(path);
}

/* Line breaks after each value of the outer two levels, so that a change is a line in review. */
static void put_pretty(struct buf *out, struct str json) {
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i];
        if (c == '"' && (i == 0 || json.p[i - 1] != '\\')) quoted = !quoted;
        if (!quoted && (c == '}' || c == ']')) depth--;
        buf_add_byte(out, c);
        if (!quoted && (c == '{' || c == '[')) depth++;
        if (!quoted && c == ',' && depth <= 3) buf_add_byte(out, '\n');
    }
    buf_add_byte(out, '\n');
}

/* A cursor holds hashes, which another build may make otherwise. */
static void hide_cursors(struct buf *text) {
    static const char key[] = "\"next_cursor\":\"";
    for (char *at = text->p; (at = strstr(at, key));) {
        at += sizeof key - 1;
        char *end = strchr(at, '"');
        assert_non_null(end);
        memmove(at, end, strlen(end) + 1);
        text->n -= (size_t)(end - at);
    }
}

static void answers_are_what_they_were(void **state) {
    (void)state;
    struct stage s;
    struct buf text;
    stage_open(&s);
    stage_fill(&s);
    buf_init(&text, MIB);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        assert_int_equal(stage_ask(&s, cases[i].request), cases[i].status);
        buf_clear(&text);
        buf_add_fmt(&text, "%s\n%d %s\n%s\n", cases[i].request, s.status, s.content_type, s.fields);
        put_pretty(&text, buf_str(&s.body));
        hide_cursors(&text);
        check_file(cases[i].file, "json", buf_str(&text));
    }
    buf_done(&text);
    stage_close(&s);
}

static void the_routes_are_documented(void **state) {
    (void)state;
    struct buf text;
    buf_init(&text, MIB);
    buf_add_text(&text,
                 "# Routes and their parameters\n\nMade from the table in `src/api/routes.c` by its test: `UPDATE=1`. "
                 "Examples and rules are in [api.md](api.md).\n\n");
    api_put_routes(&text);
    check_file("../../../docs/api-routes", "md", buf_str(&text));
    buf_done(&text);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_what_they_were),
        cmocka_unit_test(the_routes_are_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
