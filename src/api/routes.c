/* The table of routes. A row here is everything that a route needs: parsing, refusals and documentation come out of it. */
#include "api/api_priv.h"

const char kind_choices[] = "unspecified internal server client producer consumer"; /* in order of their numbers */
const char status_choices[] = "unset ok error";

#define RANGE_PARAMS                                                                                                   \
    {.name = "start",                                                                                                  \
     .type = PARAM_TIME,                                                                                               \
     .help = "from this time on; RFC 3339, unix time, `now-15m`; by default an hour before `end`"},                    \
    {                                                                                                                  \
        .name = "end", .type = PARAM_TIME, .help = "up to this time; by default now, in searches without limit"        \
    }
#define TIMEOUT_PARAM                                                                                                  \
    { .name = "timeout", .type = PARAM_DURATION, .help = "give up after this; at most 30s" }
#define ENVIRONMENT_PARAM                                                                                              \
    { .name = "environment", .type = PARAM_TEXT, .help = "deployment environment; `default` is where none was sent" }
#define WHERE_PARAM                                                                                                    \
    {                                                                                                                  \
        .name = "where", .type = PARAM_WHERE, .repeated = true,                                                        \
        .help = "`KEY OP VALUE`, OP one of = != > >= < <= ~ !~, or `KEY exists`, `KEY absent`; prefixes resource. "    \
                "span. log. scope. event."                                                                             \
    }
#define TEXT_PARAM(what)                                                                                               \
    { .name = "text", .type = PARAM_TEXT, .help = "words that must all be found in " what "; `begin*`, `\"a phrase\"`" }
#define SPAN_FILTER_PARAMS                                                                                             \
    {.name = "service", .type = PARAM_TEXT, .help = "service.name of the span's resource"}, ENVIRONMENT_PARAM,         \
        {.name = "operation", .type = PARAM_TEXT, .help = "name of the span"},                                         \
        {.name = "kind", .type = PARAM_CHOICE, .choices = kind_choices, .help = "kind of the span"},                   \
        {.name = "status", .type = PARAM_CHOICE, .choices = status_choices, .help = "status of the span"},             \
        {.name = "min_duration", .type = PARAM_DURATION, .help = "of the span: `250ms`, `1h30m`"},                     \
        {.name = "max_duration", .type = PARAM_DURATION, .help = "of the span"},                                       \
        TEXT_PARAM("the span's name, status message, attributes and events"), WHERE_PARAM, RANGE_PARAMS, TIMEOUT_PARAM

static const struct api_param traces_params[] = {
    SPAN_FILTER_PARAMS,
    {.name = "order",
     .type = PARAM_CHOICE,
     .choices = "newest longest",
     .initial = "newest",
     .help = "by the newest start or by the longest duration of a matching span"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = QUERY_TRACES_MAX,
     .initial = "20",
     .help = "traces a page"},
    {.name = "cursor", .type = PARAM_TEXT, .help = "`next_cursor` of the page before; it keeps that page's range"},
    {0},
};
static const struct api_param trace_stats_params[] = {
    SPAN_FILTER_PARAMS,
    {.name = "step", .type = PARAM_DURATION, .help = "width of a time bucket; by default about 60 buckets"},
    {.name = "top", .type = PARAM_INTEGER, .min = 0, .max = 1000, .initial = "20", .help = "operations listed"},
    {0},
};
static const struct api_param trace_params[] = {
    {.name = "format",
     .type = PARAM_CHOICE,
     .choices = "json otlp protobuf",
     .initial = "json",
     .help = "`otlp`: OTLP/JSON, `protobuf`: OTLP protobuf, both as it came in"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param services_params[] = {
    ENVIRONMENT_PARAM,
    RANGE_PARAMS,
    {.name = "counts", .type = PARAM_BOOLEAN, .initial = "false", .help = "count rows too; looks at all of the range"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param operations_params[] = {
    ENVIRONMENT_PARAM,
    RANGE_PARAMS,
    {.name = "kind", .type = PARAM_CHOICE, .choices = kind_choices, .help = "kind of the span"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = 2000,
     .initial = "200",
     .help = "operations, most calls first"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param logs_params[] = {
    {.name = "service", .type = PARAM_TEXT, .help = "service.name of the record's resource"},
    ENVIRONMENT_PARAM,
    {.name = "severity", .type = PARAM_SEVERITY, .help = "at least: trace debug info warn error fatal, or 1 to 24"},
    TEXT_PARAM("the body and the attributes"),
    {.name = "trace_id", .type = PARAM_TRACE_ID, .help = "records of this trace"},
    {.name = "span_id", .type = PARAM_SPAN_ID, .help = "records of this span"},
    WHERE_PARAM,
    RANGE_PARAMS,
    TIMEOUT_PARAM,
    {.name = "mode",
     .type = PARAM_CHOICE,
     .choices = "rows count histogram",
     .initial = "rows",
     .help = "the records, how many they are, or how many by time and severity"},
    {.name = "order", .type = PARAM_CHOICE, .choices = "newest oldest", .initial = "newest", .help = "first (rows)"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = QUERY_LOGS_MAX,
     .initial = "100",
     .help = "records a page (rows)"},
    {.name = "cursor",
     .type = PARAM_TEXT,
     .help = "`next_cursor` of the page before; it keeps that page's range (rows)"},
    {.name = "step", .type = PARAM_DURATION, .help = "width of a time bucket; by default about 60 buckets (histogram)"},
    {.name = "format",
     .type = PARAM_CHOICE,
     .choices = "json otlp protobuf",
     .initial = "json",
     .help = "`otlp`: OTLP/JSON, `protobuf`: OTLP protobuf, both as it came in (rows)"},
    {0},
};
static const struct api_param delete_params[] = {
    {.name = "signal", .type = PARAM_CHOICE, .choices = "spans logs all", .initial = "all", .help = "what to delete"},
    {.name = "trace_id",
     .type = PARAM_TRACE_ID,
     .help = "rows of this trace; else `start` and `end` must both be given"},
    WHERE_PARAM,
    {.name = "start", .type = PARAM_TIME, .help = "from this time on"},
    {.name = "end", .type = PARAM_TIME, .help = "up to this time"},
    {.name = "verify",
     .type = PARAM_BOOLEAN,
     .initial = "false",
     .help = "rewrite parts now and answer when no byte is left, instead of within 24 h"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param backup_params[] = {
    {.name = "to", .type = PARAM_TEXT, .required = true, .help = "folder on the server to make; must not exist"},
    {0},
};

enum { MAIN = 1 << API_PORT_MAIN, OTLP = 1 << API_PORT_OTLP };

const struct api_route api_routes[] = {
    {HTTP_POST, "/v1/traces", ROLE_INGEST, OTLP, RUN_HERE, handle_otlp_traces, NULL,
     "Takes spans: OTLP protobuf, plain or gzip."},
    {HTTP_POST, "/v1/logs", ROLE_INGEST, OTLP, RUN_HERE, handle_otlp_logs, NULL,
     "Takes log records: OTLP protobuf, plain or gzip."},
    {HTTP_POST, "/v1/metrics", ROLE_INGEST, OTLP, RUN_HERE, handle_otlp_metrics, NULL, "Refused with 404 for now."},
    {HTTP_POST, "/otlp/v1/traces", ROLE_INGEST, MAIN, RUN_HERE, handle_otlp_traces, NULL, "The same on the main port."},
    {HTTP_POST, "/otlp/v1/logs", ROLE_INGEST, MAIN, RUN_HERE, handle_otlp_logs, NULL, "The same on the main port."},
    {HTTP_POST, "/otlp/v1/metrics", ROLE_INGEST, MAIN, RUN_HERE, handle_otlp_metrics, NULL,
     "Refused with 404 for now."},
    {HTTP_POST, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", ROLE_INGEST, MAIN | OTLP, RUN_HERE,
     handle_grpc_traces, NULL, "Takes spans: OTLP/gRPC, plain or gzip."},
    {HTTP_POST, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", ROLE_INGEST, MAIN | OTLP, RUN_HERE,
     handle_grpc_logs, NULL, "Takes log records: OTLP/gRPC, plain or gzip."},
    {HTTP_POST, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", ROLE_INGEST, MAIN | OTLP, RUN_HERE,
     handle_grpc_metrics, NULL, "Refused with UNIMPLEMENTED for now."},
    {HTTP_POST, "/grpc.health.v1.Health/Check", ROLE_ANY, MAIN | OTLP, RUN_HERE, handle_grpc_health_check, NULL,
     "gRPC's health check."},
    {HTTP_POST, "/grpc.health.v1.Health/Watch", ROLE_ANY, MAIN | OTLP, RUN_HERE, handle_grpc_health_watch, NULL,
     "The same as a stream: now, and when it changes."},
    {HTTP_GET, "/api/v1/services", ROLE_READ, MAIN, RUN_WORK, handle_services, services_params, "Who sends telemetry."},
    {HTTP_GET, "/api/v1/services/{service}/operations", ROLE_READ, MAIN, RUN_WORK, handle_operations, operations_params,
     "What a service does: span names with calls, errors and durations."},
    {HTTP_GET, "/api/v1/traces", ROLE_READ, MAIN, RUN_WORK, handle_traces, traces_params,
     "Traces with at least one span that fulfils all conditions."},
    {HTTP_GET, "/api/v1/traces/stats", ROLE_READ, MAIN, RUN_WORK, handle_trace_stats, trace_stats_params,
     "Counts, errors and durations of the spans that fulfil all conditions: in all, by time, by operation."},
    {HTTP_GET, "/api/v1/traces/{trace_id}", ROLE_READ, MAIN, RUN_WORK, handle_trace, trace_params,
     "One trace, parents before children."},
    {HTTP_GET, "/api/v1/logs/query", ROLE_READ, MAIN, RUN_WORK, handle_logs, logs_params,
     "Log records that fulfil all conditions."},
    {HTTP_GET, "/health", ROLE_ANY, MAIN | OTLP, RUN_HERE, handle_health, NULL, "200 while the process runs."},
    {HTTP_GET, "/ready", ROLE_ANY, MAIN | OTLP, RUN_HERE, handle_ready, NULL, "200 if it takes and answers, else 503."},
    {HTTP_GET, "/metrics", ROLE_READ, MAIN, RUN_HERE, handle_metrics, NULL,
     "Figures about itself, as Prometheus text."},
    {HTTP_POST, "/api/v1/admin/flush", ROLE_OPERATE, MAIN, RUN_WORK, handle_flush, NULL,
     "Writes what is in memory to parts now."},
    {HTTP_POST, "/api/v1/admin/delete", ROLE_ADMIN, MAIN, RUN_WORK, handle_delete, delete_params,
     "Deletes rows: from answers at once, from bytes within 24 h."},
    {HTTP_POST, "/api/v1/admin/backup", ROLE_ADMIN, MAIN, RUN_WORK, handle_backup, backup_params,
     "Makes a copy that opens as a data folder."},
};
const size_t api_route_count = LENGTH(api_routes);
