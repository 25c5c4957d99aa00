/* The table of routes. A row here is everything that a route needs: parsing, refusals and documentation come out of it. */
#include "api/jaeger/jaeger_priv.h"
#include "api/ollystack/ollystack_priv.h"
#include "api/prometheus/prometheus_priv.h"
#include "insight/correlation.h"
#include "insight/errors.h"
#include "insight/flow.h"
#include "insight/health.h"
#include "insight/propagation.h"
#include "insight/topology.h"
#include "query/storage.h"

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
#define BREAKDOWN_PARAMS(fields, when)                                                                                 \
    {.name = "by",                                                                                                     \
     .type = PARAM_TEXT,                                                                                               \
     .help = "group by this" when ": " fields ", or the key of an attribute as in `where`"},                           \
        {.name = "groups",                                                                                             \
         .type = PARAM_INTEGER,                                                                                        \
         .min = 1,                                                                                                     \
         .max = QUERY_GROUPS_MAX,                                                                                      \
         .initial = "10",                                                                                              \
         .help = "groups listed; all others are one"},                                                                 \
    {                                                                                                                  \
        .name = "compare", .type = PARAM_CHOICE, .choices = "none before", .initial = "none",                          \
        .help = "`before`: also the period before, of the same length" when                                            \
    }
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
    {.name = "root",
     .type = PARAM_BOOLEAN,
     .initial = "false",
     .help = "only spans without a parent count: traces that begin with what is asked for"},
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
#define ROLLUPS_PARAM                                                                                                  \
    {                                                                                                                  \
        .name = "rollups", .type = PARAM_BOOLEAN, .initial = "false",                                                  \
        .help =                                                                                                        \
            "read the rollups of minutes and count no spans, where they can tell: ranges of ten minutes and more, "    \
            "widened to whole minutes, without conditions on attributes"                                               \
    }
static const struct api_param trace_stats_params[] = {
    SPAN_FILTER_PARAMS,
    {.name = "step", .type = PARAM_DURATION, .help = "width of a time bucket; by default about 60 buckets"},
    {.name = "top", .type = PARAM_INTEGER, .min = 0, .max = 1000, .initial = "20", .help = "operations listed"},
    {.name = "services",
     .type = PARAM_INTEGER,
     .min = 0,
     .max = QUERY_SERVICES_MAX,
     .initial = "0",
     .help = "services listed, each with its counts by bucket; 0: do not count by service"},
    ROLLUPS_PARAM,
    BREAKDOWN_PARAMS("`service`, `environment`, `operation`, `status`, `kind`", ""),
    {0},
};
static const struct api_param trace_aggregate_params[] = {
    SPAN_FILTER_PARAMS,
    {.name = "by",
     .type = PARAM_CHOICE,
     .choices = "service,operation service operation",
     .initial = "service,operation",
     .help = "what a row is of"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = QUERY_GROUPS_MAX,
     .initial = "100",
     .help = "rows, most spans first; all others are one"},
    {.name = "rollups",
     .type = PARAM_BOOLEAN,
     .initial = "true",
     .help = "read the rollups of minutes where they can tell: ranges of ten minutes and more, widened to whole "
             "minutes, without conditions on attributes, text and duration; `false`: count the spans"},
    {0},
};
static const struct api_param trace_groups_params[] = {
    SPAN_FILTER_PARAMS,
    {.name = "by",
     .type = PARAM_TEXT,
     .repeated = true,
     .help = "group by this, up to four times: `service`, `environment`, `operation`, `status`, `kind`, or the key of "
             "an attribute as in `where`; by default `service`"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = QUERY_GROUPS_MAX,
     .initial = "50",
     .help = "groups, most spans first; all others are one"},
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
static const struct api_param trace_columns_params[] = {TIMEOUT_PARAM, {0}};
static const struct api_param trace_find_params[] = {
    TEXT_PARAM("the span's name, status message, attributes and events"),
    WHERE_PARAM,
    ENVIRONMENT_PARAM,
    TIMEOUT_PARAM,
    {0}};
static const struct api_param services_params[] = {
    ENVIRONMENT_PARAM,
    RANGE_PARAMS,
    {.name = "counts",
     .type = PARAM_BOOLEAN,
     .initial = "false",
     .help = "count too: spans by the rollups of whole minutes where the range has ten of them, logs one by one"},
    TIMEOUT_PARAM,
    {0},
};
#define SERVICE_PARAM                                                                                                  \
    { .name = "service", .type = PARAM_TEXT, .help = "that service alone" }
static const struct api_param service_timeseries_params[] = {
    SERVICE_PARAM,
    ENVIRONMENT_PARAM,
    RANGE_PARAMS,
    {.name = "step",
     .type = PARAM_DURATION,
     .help = "width of a time bucket, whole minutes; by default about 60 buckets"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = QUERY_SERVICES_MAX,
     .initial = "50",
     .help = "services, most spans first"},
    TIMEOUT_PARAM,
    {0},
};
#define PERCENT_PARAM(named, usual) PERCENT_PARAM_OF(named, usual)
#define PERCENT_PARAM_OF(named, usual)                                                                                 \
    {                                                                                                                  \
        .name = named, .type = PARAM_INTEGER, .min = 0, .max = 100, .initial = #usual,                                 \
        .help = "if more of its spans than this failed, in percent"                                                    \
    }
static const struct api_param services_health_params[] = {
    SERVICE_PARAM,
    ENVIRONMENT_PARAM,
    RANGE_PARAMS,
    PERCENT_PARAM("degraded_error_percent", HEALTH_DEGRADED_ERROR_PERCENT),
    PERCENT_PARAM("critical_error_percent", HEALTH_CRITICAL_ERROR_PERCENT),
    {.name = "degraded_p95",
     .type = PARAM_DURATION,
     .initial = "500ms",
     .help = "if the p95 of its spans is over this"},
    {.name = "critical_p95", .type = PARAM_DURATION, .initial = "1s", .help = "if the p95 of its spans is over this"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param edges_params[] = {ENVIRONMENT_PARAM,
                                                {.name = "service", .type = PARAM_TEXT, .help = "one of both ends"},
                                                RANGE_PARAMS,
                                                TIMEOUT_PARAM,
                                                {0}};
#define CORRELATION_ATTRIBUTE_PARAM                                                                                    \
    {                                                                                                                  \
        .name = "attribute", .type = PARAM_TEXT,                                                                       \
        .help = "this attribute is the id, in place of the correlation id: `order.id`; a key as in `where`"            \
    }
static const struct api_param correlations_params[] = {
    {.name = "service", .type = PARAM_TEXT, .help = "ids with a span or log record of this service"},
    ENVIRONMENT_PARAM,
    {.name = "errors", .type = PARAM_BOOLEAN, .initial = "false", .help = "ids with failed spans alone"},
    {.name = "search", .type = PARAM_TEXT, .help = "the id has this somewhere, upper or lower case"},
    CORRELATION_ATTRIBUTE_PARAM,
    {.name = "min_duration", .type = PARAM_DURATION, .help = "from the first start to the last end: `250ms`, `1h30m`"},
    {.name = "derived",
     .type = PARAM_BOOLEAN,
     .initial = "false",
     .help = "also traces to which no id came, by the one that is derived of their trace id"},
    RANGE_PARAMS,
    {.name = "limit", .type = PARAM_INTEGER, .min = 1, .max = CORRELATIONS_MAX, .initial = "50", .help = "ids a page"},
    {.name = "cursor", .type = PARAM_TEXT, .help = "`next_cursor` of the page before"},
    TIMEOUT_PARAM,
    {0},
};
#define CORRELATION_PARAMS                                                                                             \
    {.name = "id",                                                                                                     \
     .type = PARAM_TEXT,                                                                                               \
     .help = "the id, in place of that in the path, which may be any text then: for ids that no path can hold, "       \
             "`..` and `a/../b`"},                                                                                     \
        {.name = "environment",                                                                                        \
         .type = PARAM_TEXT,                                                                                           \
         .help = "of the rows that carry the id; `default` is where none was sent"},                                   \
        CORRELATION_ATTRIBUTE_PARAM,                                                                                   \
        {.name = "start",                                                                                              \
         .type = PARAM_TIME,                                                                                           \
         .help = "rows that carry the id from this time on; by default all that are stored"},                          \
        {.name = "end", .type = PARAM_TIME, .help = "up to this time; by default without limit"}, TIMEOUT_PARAM
#define CORRELATION_ROWS_PARAMS(what)                                                                                  \
    CORRELATION_PARAMS, {                                                                                              \
        .name = "limit", .type = PARAM_INTEGER, .min = 1, .max = QUERY_CORRELATED_ROWS_MAX, .initial = "1000",         \
        .help = what " given, by time"                                                                                 \
    }
#define WHOLE_PARAM                                                                                                    \
    {                                                                                                                  \
        .name = "whole", .type = PARAM_BOOLEAN, .initial = "false",                                                    \
        .help = "also what has another id in the traces of this one"                                                   \
    }
static const struct api_param correlation_params[] = {
    CORRELATION_ROWS_PARAMS("with details: spans, log records, items, as many of each"),
    {.name = "details",
     .type = PARAM_BOOLEAN,
     .initial = "false",
     .help = "with `traces`, `spans`, `logs` and `timeline`"},
    {0},
};
static const struct api_param correlation_traces_params[] = {CORRELATION_ROWS_PARAMS("spans"), WHOLE_PARAM, {0}};
static const struct api_param correlation_logs_params[] = {CORRELATION_ROWS_PARAMS("log records"), WHOLE_PARAM, {0}};
static const struct api_param correlation_timeline_params[] = {CORRELATION_ROWS_PARAMS("items"), {0}};
static const struct api_param correlation_metrics_params[] = {CORRELATION_PARAMS, {0}};
static const struct api_param correlation_flow_params[] = {
    CORRELATION_PARAMS,
    {.name = "nodes",
     .type = PARAM_CHOICE,
     .choices = "service operation",
     .initial = "service",
     .help = "what a node is"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = FLOW_NODES_MAX,
     .initial = "100",
     .help = "nodes given: the first ones"},
    {0},
};
static const struct api_param propagation_params[] = {
    {.name = "service", .type = PARAM_TEXT, .help = "findings about this service, as either side of a call"},
    ENVIRONMENT_PARAM,
    RANGE_PARAMS,
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = PROPAGATION_FINDINGS_MAX,
     .initial = "100",
     .help = "findings given"},
    TIMEOUT_PARAM,
    {0},
};
#define ERRORS_PARAMS                                                                                                  \
    {.name = "service", .type = PARAM_TEXT, .help = "service.name of the span's resource"}, ENVIRONMENT_PARAM,         \
        {.name = "operation", .type = PARAM_TEXT, .help = "name of the span"},                                         \
        {.name = "kind", .type = PARAM_CHOICE, .choices = kind_choices, .help = "kind of the span"},                   \
        TEXT_PARAM("the span's name, status message, attributes and events"), WHERE_PARAM, RANGE_PARAMS, TIMEOUT_PARAM
static const struct api_param errors_params[] = {
    ERRORS_PARAMS,
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = ERROR_GROUPS_MAX,
     .initial = "100",
     .help = "groups given"},
    {.name = "fingerprint", .type = PARAM_TEXT, .help = "that group alone"},
    {0},
};
#define TOPOLOGY_PARAMS                                                                                                \
    ENVIRONMENT_PARAM, RANGE_PARAMS, TIMEOUT_PARAM, {                                                                  \
        .name = "limit", .type = PARAM_INTEGER, .min = 1, .max = TOPOLOGY_NODES_MAX, .initial = "500",                 \
        .help = "nodes given: those with most calls, of a neighbourhood the nearest"                                   \
    }
static const struct api_param topology_services_params[] = {TOPOLOGY_PARAMS, {0}};
static const struct api_param topology_graph_params[] = {
    TOPOLOGY_PARAMS,
    {.name = "focus", .type = PARAM_TEXT, .help = "the name of a node: it and what is near it"},
    {.name = "namespace", .type = PARAM_TEXT, .help = "the namespace of `focus`"},
    {.name = "steps",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = TOPOLOGY_STEPS_MAX,
     .initial = "2",
     .help = "how far from `focus`, along calls in either direction"},
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
    ROLLUPS_PARAM,
    TIMEOUT_PARAM,
    {0},
};
#define LOG_FILTER_PARAMS                                                                                              \
    {.name = "service", .type = PARAM_TEXT, .help = "service.name of the record's resource"}, ENVIRONMENT_PARAM,       \
        {.name = "severity",                                                                                           \
         .type = PARAM_SEVERITY,                                                                                       \
         .help = "at least: trace debug info warn error fatal, or 1 to 24"},                                           \
        TEXT_PARAM("the body and the attributes"),                                                                     \
        {.name = "trace_id", .type = PARAM_TRACE_ID, .help = "records of this trace"},                                 \
        {.name = "span_id", .type = PARAM_SPAN_ID, .help = "records of this span"}, WHERE_PARAM
static const struct api_param logs_tail_params[] = {
    LOG_FILTER_PARAMS,
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 0,
     .max = QUERY_LOGS_MAX,
     .initial = "0",
     .help = "this many of the newest records come first, oldest first"},
    {.name = "start", .type = PARAM_TIME, .help = "those from this time on; by default of the last hour"},
    {0},
};
static const struct api_param logs_params[] = {
    LOG_FILTER_PARAMS,
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
    {.name = "id", .type = PARAM_TEXT, .help = "`id` of a record: that one alone, whenever it was (rows)"},
    BREAKDOWN_PARAMS("`service`, `environment`, `severity`, `body`, `event_name`", " (count, histogram)"),
    {0},
};
#define SIGNAL_PARAM                                                                                                   \
    { .name = "signal", .type = PARAM_CHOICE, .choices = "spans logs", .initial = "spans", .help = "of which rows" }
static const struct api_param attributes_params[] = {
    SIGNAL_PARAM,
    {.name = "prefix",
     .type = PARAM_TEXT,
     .help = "the name, or a part of it behind a dot or an underscore, begins so; with resource. span. log. scope. "
             "event. before it only there"},
    RANGE_PARAMS,
    {.name = "limit", .type = PARAM_INTEGER, .min = 1, .max = 1000, .initial = "100", .help = "names, the best first"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param attribute_values_params[] = {
    SIGNAL_PARAM,
    {.name = "prefix", .type = PARAM_TEXT, .help = "the value begins so, without regard to case"},
    {.name = "service", .type = PARAM_TEXT, .help = "only rows of this service"},
    ENVIRONMENT_PARAM,
    RANGE_PARAMS,
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = 1000,
     .initial = "50",
     .help = "values, the most frequent first"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param import_params[] = {
    {.name = "job", .type = PARAM_TEXT, .help = "the label `job` of all samples, whatever the text says"},
    {.name = "instance", .type = PARAM_TEXT, .help = "the label `instance`, the same"},
    {.name = "label", .type = PARAM_TEXT, .repeated = true, .help = "`NAME=VALUE`: any other label, the same"},
    {0},
};
static const struct api_param cardinality_params[] = {
    {.name = "match[]", .type = PARAM_TEXT, .help = "a selector of series: `up{job=\"x\"}`; by default all"},
    {.name = "start", .type = PARAM_TIME, .help = "series with samples from this time on; by default all"},
    {.name = "end", .type = PARAM_TIME, .help = "series with samples up to this time"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = 10000,
     .initial = "100",
     .help = "metrics, labels and pairs listed, most series first"},
    {.name = "drop", .type = PARAM_TEXT, .help = "a label: how many series would be left without it"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param search_put_params[] = {
    {.name = "replace",
     .type = PARAM_BOOLEAN,
     .initial = "false",
     .help = "also if there is one of that name: the last writer wins"},
    {0},
};
static const struct api_param records_params[] = {
    {.name = "search", .type = PARAM_TEXT, .help = "only those whose names contain this, ASCII letters in either case"},
    {0},
};
#define PAGE_PARAMS                                                                                                    \
    {.name = "limit", .type = PARAM_INTEGER, .min = 1, .max = 1000, .initial = "100", .help = "rows of a page"}, {     \
        .name = "cursor", .type = PARAM_TEXT, .help = "`next_cursor` of the page before"                               \
    }
#define DATED_PARAMS(kinds)                                                                                            \
    {.name = "kind", .type = PARAM_TEXT, .help = "of this kind" kinds},                                                \
        {.name = "service", .type = PARAM_TEXT, .help = "about this service"},                                         \
        {.name = "environment", .type = PARAM_TEXT, .help = "in this deployment environment"},                         \
        {.name = "start", .type = PARAM_TIME, .help = "that began at this time or later; by default all"},             \
        {.name = "end", .type = PARAM_TIME, .help = "that began at this time or before"}, PAGE_PARAMS
static const struct api_param entities_params[] = {PAGE_PARAMS, {0}};
static const struct api_param changes_params[] = {
    DATED_PARAMS(": `commit`, `pull_request`, `deployment`, `config` or `flag`"), {0}};
static const struct api_param findings_params[] = {
    DATED_PARAMS(""), {.name = "state", .type = PARAM_TEXT, .help = "`open`, `acknowledged` or `resolved`"}, {0}};
static const struct api_param backtest_params[] = {
    {.name = "start",
     .type = PARAM_TIME,
     .help = "from this time on; RFC 3339, unix time, `now-30d`; by default a week before `end`"},
    {.name = "end", .type = PARAM_TIME, .help = "up to this time; by default now"},
    {0},
};
static const struct api_param dashboard_import_params[] = {
    {.name = "title", .type = PARAM_TEXT, .help = "its title, instead of the one that it has"},
    {.name = "dry_run",
     .type = PARAM_BOOLEAN,
     .initial = "false",
     .help = "keep nothing: answer with the body and what could not be kept as it was"},
    {0},
};
static const struct api_param dashboard_export_params[] = {
    {.name = "format", .type = PARAM_CHOICE, .choices = "clew grafana", .initial = "clew", .help = "whose JSON"},
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
static const struct api_param storage_params[] = {
    {.name = "signal", .type = PARAM_CHOICE, .choices = "spans logs all", .initial = "all", .help = "of which"},
    {.name = "start", .type = PARAM_TIME, .help = "parts with rows from this time on; by default all"},
    {.name = "end", .type = PARAM_TIME, .help = "parts with rows up to this time"},
    {.name = "limit",
     .type = PARAM_INTEGER,
     .min = 1,
     .max = QUERY_STORAGE_MAX,
     .initial = "50",
     .help = "columns and services listed of a signal, most bytes first"},
    {.name = "distinct",
     .type = PARAM_BOOLEAN,
     .initial = "false",
     .help = "estimate how many values of each column differ, in the newest 65536 rows"},
    TIMEOUT_PARAM,
    {0},
};
static const struct api_param retention_params[] = {TIMEOUT_PARAM, {0}};
static const struct api_param backup_params[] = {
    {.name = "to", .type = PARAM_TEXT, .required = true, .help = "folder on the server to make; must not exist"},
    {0},
};

/* Jaeger's names and units. */
#define JAEGER_INTEGER(named, most, text)                                                                              \
    { .name = named, .type = PARAM_INTEGER, .min = 0, .max = most, .help = text }
#define BOTH(name_today, name_older, kind, text)                                                                       \
    {.name = name_today, .type = kind, .help = text}, { .name = name_older, .type = kind, .help = "older spelling" }
#define MICROS_MAX (INT64_MAX / 1000)
#define MILLIS_MAX (INT64_MAX / 1000000)
static const struct api_param jaeger_traces_params[] = {
    {.name = "service", .type = PARAM_TEXT, .help = "required, but with traceID"},
    {.name = "operation", .type = PARAM_TEXT, .help = "name of the span"},
    {.name = "tags",
     .type = PARAM_TEXT,
     .help = "attributes as JSON: `{\"http.status_code\":\"500\",\"error\":\"true\"}`"},
    {.name = "tag", .type = PARAM_TEXT, .repeated = true, .help = "`key:value`, or `key` for any value"},
    {.name = "traceID", .type = PARAM_TEXT, .repeated = true, .help = "these traces, instead of a search"},
    {.name = "minDuration", .type = PARAM_DURATION, .help = "of a span: `1.2s`, `100ms`, `500us`"},
    {.name = "maxDuration", .type = PARAM_DURATION, .help = "of a span"},
    JAEGER_INTEGER("start", MICROS_MAX, "microseconds since 1970; by default two days before `end`"),
    JAEGER_INTEGER("end", MICROS_MAX, "microseconds since 1970; by default now"),
    {.name = "limit", .type = PARAM_INTEGER, .min = 1, .max = QUERY_TRACES_MAX, .initial = "100", .help = "traces"},
    {0},
};
static const struct api_param jaeger_operations_params[] = {
    {.name = "service", .type = PARAM_TEXT, .help = "required"},
    {.name = "spanKind", .type = PARAM_TEXT, .help = "server, client, …"},
    {0},
};
static const struct api_param jaeger_v3_operations_params[] = {
    {.name = "service", .type = PARAM_TEXT, .help = "required"},
    BOTH("spanKind", "span_kind", PARAM_TEXT, "server, client, …"),
    {0},
};
static const struct api_param jaeger_dependencies_params[] = {
    {.name = "endTs",
     .type = PARAM_INTEGER,
     .min = 0,
     .max = MILLIS_MAX,
     .required = true,
     .help = "milliseconds since 1970"},
    JAEGER_INTEGER("lookback", MILLIS_MAX, "milliseconds; by default a day"),
    {0},
};
static const struct api_param jaeger_v3_dependencies_params[] = {
    {.name = "startTime", .type = PARAM_TIME, .required = true, .help = "from this time on"},
    {.name = "endTime", .type = PARAM_TIME, .required = true, .help = "up to this time"},
    {0},
};
static const struct api_param jaeger_v3_search_params[] = {
    BOTH("query.serviceName", "query.service_name", PARAM_TEXT, "service.name"),
    BOTH("query.operationName", "query.operation_name", PARAM_TEXT, "name of the span"),
    BOTH("query.startTimeMin", "query.start_time_min", PARAM_TIME, "required"),
    BOTH("query.startTimeMax", "query.start_time_max", PARAM_TIME, "required"),
    BOTH("query.durationMin", "query.duration_min", PARAM_DURATION, "of a span"),
    BOTH("query.durationMax", "query.duration_max", PARAM_DURATION, "of a span"),
    JAEGER_INTEGER("query.searchDepth", QUERY_TRACES_MAX, "traces, by default 100"),
    JAEGER_INTEGER("query.search_depth", QUERY_TRACES_MAX, "older spelling"),
    JAEGER_INTEGER("query.num_traces", QUERY_TRACES_MAX, "oldest spelling"),
    {.name = "query.attributes", .type = PARAM_TEXT, .help = "attributes as JSON"},
    {0},
};

/* Prometheus's, all of them text: handlers read them as Prometheus does, with its messages. */
#define PROMETHEUS_PARAM(named, text)                                                                                  \
    { .name = named, .type = PARAM_TEXT, .help = text }
#define QUERY_PARAM PROMETHEUS_PARAM("query", "an expression in PromQL")
#define START_PARAM PROMETHEUS_PARAM("start", "seconds since 1970 or RFC 3339; by default without bound")
#define END_PARAM PROMETHEUS_PARAM("end", "the same")
#define LIMIT_PARAM PROMETHEUS_PARAM("limit", "how many at most, with a warning if there are more; 0: all")
#define MATCH_PARAM                                                                                                    \
    { .name = "match[]", .type = PARAM_TEXT, .repeated = true, .help = "a series selector: `up{job=\"x\"}`" }
#define ENGINE_PARAMS                                                                                                  \
    PROMETHEUS_PARAM("timeout", "of the evaluation: seconds or 1m30s"),                                                \
        PROMETHEUS_PARAM("lookback_delta", "how old a sample may be: seconds or 5m"),                                  \
        PROMETHEUS_PARAM("stats", "`true` or `all`: what the evaluation took")
static const struct api_param prometheus_query_params[] = {
    QUERY_PARAM,
    PROMETHEUS_PARAM("time", "when: seconds since 1970 or RFC 3339; by default now"),
    LIMIT_PARAM,
    ENGINE_PARAMS,
    {0}};
static const struct api_param prometheus_range_params[] = {
    QUERY_PARAM,
    PROMETHEUS_PARAM("start", "the first step: seconds since 1970 or RFC 3339"),
    PROMETHEUS_PARAM("end", "the last step at most"),
    PROMETHEUS_PARAM("step", "between steps: seconds or 15s; at most 11,000 steps"),
    LIMIT_PARAM,
    ENGINE_PARAMS,
    {0}};
static const struct api_param prometheus_exemplars_params[] = {QUERY_PARAM, START_PARAM, END_PARAM, {0}};
static const struct api_param prometheus_text_params[] = {QUERY_PARAM, {0}};
static const struct api_param prometheus_series_params[] = {MATCH_PARAM, START_PARAM, END_PARAM, LIMIT_PARAM, {0}};
static const struct api_param prometheus_delete_params[] = {MATCH_PARAM, START_PARAM, END_PARAM, {0}};
static const struct api_param prometheus_rules_params[] = {
    PROMETHEUS_PARAM("type", "`alert` or `record`: these alone"),
    {.name = "rule_name[]", .type = PARAM_TEXT, .repeated = true, .help = "rules of this name"},
    {.name = "rule_group[]", .type = PARAM_TEXT, .repeated = true, .help = "rules of this group"},
    {.name = "file[]", .type = PARAM_TEXT, .repeated = true, .help = "rules of this file"},
    MATCH_PARAM,
    PROMETHEUS_PARAM("exclude_alerts", "`true`: rules without their alerts"),
    PROMETHEUS_PARAM("group_limit", "groups at most; the answer has a token for those that follow"),
    PROMETHEUS_PARAM("group_next_token", "goes on behind an answer with group_limit"),
    {0}};
static const struct api_param prometheus_federate_params[] = {MATCH_PARAM, {0}};
static const struct api_param prometheus_metadata_params[] = {
    PROMETHEUS_PARAM("metric", "of this metric only"),
    PROMETHEUS_PARAM("limit", "metrics at most"),
    PROMETHEUS_PARAM("limit_per_metric", "entries of a metric at most"),
    {0}};
static const struct api_param prometheus_targets_params[] = {
    PROMETHEUS_PARAM("state", "active, dropped or any, which is the default"),
    PROMETHEUS_PARAM("scrapePool", "of this job only"),
    {0}};
static const struct api_param prometheus_targets_metadata_params[] = {
    PROMETHEUS_PARAM("match_target", "a selector that labels of targets are matched by: `{job=\"x\"}`"),
    PROMETHEUS_PARAM("metric", "of this metric only"),
    PROMETHEUS_PARAM("limit", "entries at most"),
    {0}};
static const struct api_param prometheus_tsdb_params[] = {
    PROMETHEUS_PARAM("limit", "entries of each list, by default 10"), {0}};
#undef QUERY_PARAM
#undef START_PARAM
#undef END_PARAM
#undef LIMIT_PARAM
#undef MATCH_PARAM
#undef ENGINE_PARAMS

/* OllyStack's, all of them text: read as Go and FastAPI read them. */
#define OLLY_PARAM(named, text)                                                                                        \
    { .name = named, .type = PARAM_TEXT, .help = text }
#define OLLY_MS_RANGE                                                                                                  \
    OLLY_PARAM("start", "milliseconds since 1970; by default an hour before `end`"),                                   \
        OLLY_PARAM("end", "milliseconds since 1970; by default now")
#define OLLY_RANGE                                                                                                     \
    OLLY_PARAM("start", "RFC 3339; by default an hour ago"), OLLY_PARAM("end", "RFC 3339; by default now")
#define OLLY_HOURS OLLY_PARAM("hours", "how far back; by default 24")
static const struct api_param olly_traces_params[] = {
    OLLY_PARAM("service", "only its spans"),      OLLY_PARAM("minDuration", "of a span, as Go writes it: `100ms`"),
    OLLY_PARAM("status", "`error` or `ok`"),      OLLY_MS_RANGE,
    OLLY_PARAM("limit", "traces, by default 20"), {0}};
static const struct api_param olly_service_params[] = {OLLY_PARAM("service", "only its spans"), {0}};
static const struct api_param olly_fingerprints_params[] = {
    OLLY_HOURS, OLLY_PARAM("limit", "groups, by default 100"), {0}};
static const struct api_param olly_aggregate_params[] = {
    OLLY_HOURS, OLLY_PARAM("groupBy", "`service,operation`, `service` or `operation`"), {0}};
static const struct api_param olly_group_params[] = {
    OLLY_HOURS,
    OLLY_PARAM("limit", "groups, by default 50"),
    OLLY_PARAM("groupBy", "service, operation, status or keys of attributes, with commas between; by default service"),
    OLLY_PARAM("service", "only its spans"),
    {0}};
static const struct api_param olly_search_params[] = {
    OLLY_PARAM("query", "words that must be found in a span; required"),
    OLLY_MS_RANGE,
    OLLY_PARAM("limit", "traces, by default 100"),
    {0}};
static const struct api_param olly_logs_params[] = {
    OLLY_PARAM("query", "a part of the body, in either case; % and _ as in SQL's LIKE"),
    OLLY_PARAM("limit", "records, by default 100"),
    OLLY_PARAM("timeRange", "`15m`, `1h`, `6h`, `24h` or `7d`"),
    OLLY_PARAM("service", "of this service"),
    OLLY_PARAM("severity", "levels with commas between"),
    {0}};
static const struct api_param olly_metrics_params[] = {OLLY_PARAM("query", "a part of the name; required"), {0}};
static const struct api_param olly_metrics_range_params[] = {
    OLLY_PARAM("query", "a part of the name; required"), OLLY_RANGE, {0}};
static const struct api_param olly_correlations_params[] = {
    OLLY_PARAM("service", "that a span is of"),
    OLLY_PARAM("hasErrors", "`true`: only those with failed spans"),
    OLLY_PARAM("limit", "correlations, by default 50"),
    OLLY_RANGE,
    {0}};
#define OLLY_ID_PARAM OLLY_PARAM("id", "in place of that in the path: for ids that no path can hold, as `..`")
static const struct api_param olly_correlation_params[] = {
    OLLY_PARAM("details", "`true`: with spans, logs and the timeline"), OLLY_ID_PARAM, {0}};
static const struct api_param olly_correlation_part_params[] = {OLLY_ID_PARAM, {0}};
static const struct api_param olly_window_params[] = {OLLY_PARAM("window_minutes", "by default 5"), {0}};
static const struct api_param olly_timeseries_params[] = {OLLY_PARAM("service", "of this service"),
                                                          OLLY_PARAM("window_minutes", "by default 60"),
                                                          OLLY_PARAM("bucket_minutes", "by default 1"),
                                                          {0}};

enum {
    MAIN = 1 << API_PORT_MAIN,
    OTLP = 1 << API_PORT_OTLP,
    JAEGER = MAIN | 1 << API_PORT_JAEGER,
    PROMETHEUS = MAIN | 1 << API_PORT_PROMETHEUS,
    OLLYSTACK = MAIN | 1 << API_PORT_OLLYSTACK
};

#define JAEGER_ROUTE(path, handler, params, help, answer)                                                              \
    { HTTP_GET, "/jaeger/api/" path, ROLE_READ, JAEGER, RUN_WORK, handler, params, help, answer, .lenient = true }

#define PROMETHEUS_ROUTE(method, path, role, where, handler, params, help, answer, ...)                                \
    {                                                                                                                  \
        method, "/prometheus" path, role, PROMETHEUS, where, handler, params, help, answer,                            \
            .lenient = true, .takes_form = method != HTTP_GET, ##__VA_ARGS__                                           \
    }
#define PROMETHEUS_ASK(path, handler, params, help, answer)                                                            \
    PROMETHEUS_ROUTE(HTTP_GET, "/api/v1/" path, ROLE_READ, RUN_WORK, handler, params, help, answer)
#define PROMETHEUS_ASK_BOTH(path, handler, params, help, answer)                                                       \
    PROMETHEUS_ASK(path, handler, params, help, answer),                                                               \
        PROMETHEUS_ROUTE(HTTP_POST, "/api/v1/" path, ROLE_READ, RUN_WORK, handler, params, "The same by a form.",      \
                         answer)
#define PROMETHEUS_STATE(path, handler, help, answer)                                                                  \
    PROMETHEUS_ROUTE(HTTP_GET, "/api/v1/" path, ROLE_READ, RUN_HERE, handler, NULL, help, answer)
#define PROMETHEUS_DO(path, handler, params, help)                                                                     \
    PROMETHEUS_ROUTE(HTTP_POST, "/api/v1/admin/tsdb/" path, ROLE_ADMIN, RUN_WORK, handler, params, help, "Nothing"),   \
        PROMETHEUS_ROUTE(HTTP_PUT, "/api/v1/admin/tsdb/" path, ROLE_ADMIN, RUN_WORK, handler, params, "The same.",     \
                         "Nothing")

#define OLLY_ROUTE(method, path, role, where, handler, params, help, answer, ...)                                      \
    { method, "/ollystack" path, role, OLLYSTACK, where, handler, params, help, answer, .lenient = true, ##__VA_ARGS__ }
#define OLLY_ASK(path, handler, params, help, answer)                                                                  \
    OLLY_ROUTE(HTTP_GET, "/api/v1/" path, ROLE_READ, RUN_WORK, handler, params, help, answer)
#define OLLY_POST(path, handler, help, answer, takes)                                                                  \
    OLLY_ROUTE(HTTP_POST, "/api/v1/" path, ROLE_READ, RUN_WORK, handler, NULL, help, answer, .body = takes)
#define OLLY_AI(method, path)                                                                                          \
    OLLY_ROUTE(method, "/api/v1/" path, ROLE_READ, RUN_WORK, handle_olly_ai_absent, NULL,                              \
               "503: the AI engine is not there yet.", "OllyAny")
#define OLLY_RECORD_ROUTES(path, list_type, one, type)                                                                 \
    OLLY_ASK(path, handle_olly_records, NULL, "None: nothing is kept here.", list_type),                               \
        OLLY_ROUTE(HTTP_POST, "/api/v1/" path, ROLE_OPERATE, RUN_WORK, handle_olly_record_make, NULL,                  \
                   "Answers 201 with what was sent; nothing is kept.", type, .body = type),                            \
        OLLY_ASK(path "/{id}", handle_olly_record, NULL, "404: there is no " one ".", type),                           \
        OLLY_ROUTE(HTTP_PUT, "/api/v1/" path "/{id}", ROLE_OPERATE, RUN_WORK, handle_olly_record_put, NULL,            \
                   "Answers with what was sent; nothing is kept.", type, .body = type),                                \
        OLLY_ROUTE(HTTP_DELETE, "/api/v1/" path "/{id}", ROLE_OPERATE, RUN_WORK, handle_olly_record_delete, NULL,      \
                   "Nothing to delete.", "Nothing")

/* One document for all screens: the script in it reads the path. What is behind `?` is the screen's. */
#define PAGE_ROUTE(path, help)                                                                                         \
    { HTTP_GET, path, ROLE_ANY, MAIN, RUN_HERE, handle_page, NULL, help, .lenient = true }

#define RECORD_ROUTES(path, many, one, list_type, type, body_type)                                                     \
    {HTTP_GET, path, ROLE_READ, MAIN, RUN_WORK, handle_records, records_params, many " of the tenant, by name.",       \
     list_type},                                                                                                       \
        {HTTP_POST,    path,                                                                                           \
         ROLE_OPERATE, MAIN,                                                                                           \
         RUN_WORK,     handle_record_make,                                                                             \
         NULL,         "Keeps a new " one ", under an id that is made for it.",                                        \
         type,         body_type},                                                                                     \
        {HTTP_GET, path "/{id}", ROLE_READ, MAIN, RUN_WORK, handle_record, NULL, "One " one ", with its ETag.", type}, \
        {HTTP_PUT,                                                                                                     \
         path "/{id}",                                                                                                 \
         ROLE_OPERATE,                                                                                                 \
         MAIN,                                                                                                         \
         RUN_WORK,                                                                                                     \
         handle_record_put,                                                                                            \
         NULL,                                                                                                         \
         "Keeps a " one " under this id: a new one, or with If-Match in place of the revision of that ETag.",          \
         type,                                                                                                         \
         body_type},                                                                                                   \
    {                                                                                                                  \
        HTTP_DELETE, path "/{id}", ROLE_OPERATE, MAIN, RUN_WORK, handle_record_delete, NULL,                           \
            "Deletes a " one "; with If-Match only that revision.", "RecordDeleted"                                    \
    }
#define ENTITY_ROUTES(path, params, many, one, list_type, type, body_type)                                             \
    {HTTP_GET, path, ROLE_READ, MAIN, RUN_WORK, handle_entities, params, many " of the tenant, newest first.",         \
     list_type},                                                                                                       \
        {HTTP_GET, path "/{id}", ROLE_READ, MAIN, RUN_WORK, handle_entity, NULL, "One " one ".", type},                \
        {HTTP_PUT, path "/{id}",      ROLE_OPERATE, MAIN,                                                              \
         RUN_WORK, handle_entity_put, NULL,         "Keeps a " one " under this id, in place of what was there.",      \
         type,     body_type},                                                                                         \
    {                                                                                                                  \
        HTTP_DELETE, path "/{id}", ROLE_OPERATE, MAIN, RUN_WORK, handle_entity_delete, NULL, "Deletes a " one ".",     \
            "RecordDeleted"                                                                                            \
    }
#define ENTITY_MAKE_ROUTE(path, one, type, body_type)                                                                  \
    {                                                                                                                  \
        HTTP_POST, path, ROLE_OPERATE, MAIN, RUN_WORK, handle_entity_make, NULL,                                       \
            "Keeps a new " one ", under an id that is made for it.", type, body_type                                   \
    }
const struct api_route api_routes[] = {
    {HTTP_POST, "/v1/traces", ROLE_INGEST, OTLP, RUN_HERE, handle_otlp_traces, NULL,
     "Takes spans: OTLP protobuf or JSON; plain, gzip or zstd.", "OtlpAnswer", "OtlpRequest"},
    {HTTP_POST, "/v1/logs", ROLE_INGEST, OTLP, RUN_HERE, handle_otlp_logs, NULL,
     "Takes log records: OTLP protobuf or JSON; plain, gzip or zstd.", "OtlpAnswer", "OtlpRequest"},
    {HTTP_POST, "/v1/metrics", ROLE_INGEST, OTLP, RUN_HERE, handle_otlp_metrics, NULL,
     "Takes metric points: OTLP protobuf or JSON; plain, gzip or zstd.", "OtlpAnswer", "OtlpRequest"},
    {HTTP_POST, "/otlp/v1/traces", ROLE_INGEST, MAIN, RUN_HERE, handle_otlp_traces, NULL, "The same on the main port.",
     "OtlpAnswer", "OtlpRequest"},
    {HTTP_POST, "/otlp/v1/logs", ROLE_INGEST, MAIN, RUN_HERE, handle_otlp_logs, NULL, "The same on the main port.",
     "OtlpAnswer", "OtlpRequest"},
    {HTTP_POST, "/otlp/v1/metrics", ROLE_INGEST, MAIN, RUN_HERE, handle_otlp_metrics, NULL,
     "The same on the main port.", "OtlpAnswer", "OtlpRequest"},
    {HTTP_POST, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", ROLE_INGEST, MAIN | OTLP, RUN_HERE,
     handle_grpc_traces, NULL, "Takes spans: OTLP/gRPC, plain or gzip.", "GrpcMessage", "GrpcMessage"},
    {HTTP_POST, "/opentelemetry.proto.collector.logs.v1.LogsService/Export", ROLE_INGEST, MAIN | OTLP, RUN_HERE,
     handle_grpc_logs, NULL, "Takes log records: OTLP/gRPC, plain or gzip.", "GrpcMessage", "GrpcMessage"},
    {HTTP_POST, "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", ROLE_INGEST, MAIN | OTLP, RUN_HERE,
     handle_grpc_metrics, NULL, "Takes metric points: OTLP/gRPC, plain or gzip.", "GrpcMessage", "GrpcMessage"},
    {HTTP_POST, "/grpc.health.v1.Health/Check", ROLE_ANY, MAIN | OTLP, RUN_HERE, handle_grpc_health_check, NULL,
     "gRPC's health check.", "GrpcMessage", "GrpcMessage"},
    {HTTP_POST, "/grpc.health.v1.Health/Watch", ROLE_ANY, MAIN | OTLP, RUN_HERE, handle_grpc_health_watch, NULL,
     "The same as a stream: now, and when it changes.", "GrpcMessage", "GrpcMessage"},
    {HTTP_POST, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", ROLE_ANY, MAIN | OTLP, RUN_HERE,
     handle_grpc_reflection, NULL, "What the gRPC services here take and answer: descriptors, as a stream.",
     "GrpcMessage", "GrpcMessage", .takes_pieces = true},
    {HTTP_POST, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", ROLE_ANY, MAIN | OTLP, RUN_HERE,
     handle_grpc_reflection, NULL, "The same by its older name.", "GrpcMessage", "GrpcMessage", .takes_pieces = true},
    {HTTP_POST, "/prometheus/api/v1/write", ROLE_INGEST, PROMETHEUS, RUN_HERE, handle_write, NULL,
     "Takes samples, native histograms, exemplars and metadata: Prometheus remote write 1.0 and 2.0, in snappy.",
     "Nothing", "RemoteWrite", .lenient = true},
    {HTTP_POST, "/prometheus/api/v1/otlp/v1/metrics", ROLE_INGEST, PROMETHEUS, RUN_HERE, handle_otlp_metrics, NULL,
     "Takes metric points as /v1/metrics does, where Prometheus does.", "OtlpAnswer", "OtlpRequest", .lenient = true},
    {HTTP_POST, "/api/v1/import", ROLE_INGEST, MAIN, RUN_HERE, handle_import, import_params,
     "Takes samples as they are scraped: the text format or OpenMetrics; plain, gzip or zstd. All of the text or, with "
     "line and column, nothing.",
     "Imported", "Exposition"},
    {HTTP_GET, "/api/v1/services", ROLE_READ, MAIN, RUN_WORK, handle_services, services_params, "Who sends telemetry.",
     "Services"},
    {HTTP_GET, "/api/v1/services/timeseries", ROLE_READ, MAIN, RUN_WORK, handle_service_timeseries,
     service_timeseries_params, "Services over time: spans, errors and durations by step, from rollups.",
     "ServiceTimeseries"},
    {HTTP_GET, "/api/v1/services/health", ROLE_READ, MAIN, RUN_WORK, handle_services_health, services_health_params,
     "Which services are healthy, degraded or critical, by the share of failed spans and the p95, and why.",
     "ServicesHealth"},
    {HTTP_GET, "/api/v1/services/{service}/operations", ROLE_READ, MAIN, RUN_WORK, handle_operations, operations_params,
     "What a service does: span names with calls, errors and durations.", "Operations"},
    {HTTP_GET, "/api/v1/errors", ROLE_READ, MAIN, RUN_WORK, handle_errors, errors_params,
     "Failed spans as the few mistakes that they are: by fingerprint, most failures first.", "Errors"},
    {HTTP_GET, "/api/v1/correlations", ROLE_READ, MAIN, RUN_WORK, handle_correlations, correlations_params,
     "Requests by their correlation id, or any attribute: what has it, where it began, what failed. The newest first.",
     "Correlations"},
    {HTTP_GET, "/api/v1/correlations/{correlation_id}", ROLE_READ, MAIN, RUN_WORK, handle_correlation,
     correlation_params, "One request. The id may also be that of a trace, or the one that is derived of it.",
     "CorrelationDetails"},
    {HTTP_GET, "/api/v1/correlations/{correlation_id}/traces", ROLE_READ, MAIN, RUN_WORK, handle_correlation_traces,
     correlation_traces_params, "Its traces and their spans.", "CorrelationTraces"},
    {HTTP_GET, "/api/v1/correlations/{correlation_id}/logs", ROLE_READ, MAIN, RUN_WORK, handle_correlation_logs,
     correlation_logs_params, "Its log records.", "CorrelationLogs"},
    {HTTP_GET, "/api/v1/correlations/{correlation_id}/timeline", ROLE_READ, MAIN, RUN_WORK, handle_correlation_timeline,
     correlation_timeline_params, "Its spans and log records by time.", "CorrelationTimeline"},
    {HTTP_GET, "/api/v1/correlations/{correlation_id}/flow", ROLE_READ, MAIN, RUN_WORK, handle_correlation_flow,
     correlation_flow_params, "Its path as a graph: who called whom, in order, with places to draw it at.",
     "CorrelationFlow"},
    {HTTP_GET, "/api/v1/correlations/{correlation_id}/metrics", ROLE_READ, MAIN, RUN_WORK, handle_correlation_metrics,
     correlation_metrics_params,
     "What the metrics of its services did meanwhile, with the PromQL of each, and exemplars that name its traces.",
     "CorrelationMetrics"},
    {HTTP_GET, "/api/v1/propagation", ROLE_READ, MAIN, RUN_WORK, handle_propagation, propagation_params,
     "Where context is lost: broken traces, calls that drop the correlation id, log records without a trace; and what "
     "mends each.",
     "Propagation"},
    {HTTP_GET, "/api/v1/topology/services", ROLE_READ, MAIN, RUN_WORK, handle_topology_services,
     topology_services_params, "Services, databases, messaging systems and peers, with what is known of them.",
     "TopologyServices"},
    {HTTP_GET, "/api/v1/topology/edges", ROLE_READ, MAIN, RUN_WORK, handle_topology_edges, edges_params,
     "Who calls whom, as both ends measured it: services, databases, messaging systems, and peers that send nothing.",
     "TopologyEdges"},
    {HTTP_GET, "/api/v1/topology/graph", ROLE_READ, MAIN, RUN_WORK, handle_topology_graph, topology_graph_params,
     "Both as a graph, with places to draw it at: layers from left to right, callers before whom they call.",
     "TopologyGraph"},
    {HTTP_GET, "/api/v1/traces", ROLE_READ, MAIN, RUN_WORK, handle_traces, traces_params,
     "Traces with at least one span that fulfils all conditions.", "Traces"},
    {HTTP_GET, "/api/v1/traces/stats", ROLE_READ, MAIN, RUN_WORK, handle_trace_stats, trace_stats_params,
     "Counts, errors and durations of the spans that fulfil all conditions: in all, by time, by operation.",
     "TraceStats"},
    {HTTP_GET, "/api/v1/traces/aggregate", ROLE_READ, MAIN, RUN_WORK, handle_trace_aggregate, trace_aggregate_params,
     "Rate, errors and durations of the spans that fulfil all conditions, by service and operation.", "TraceAggregate"},
    {HTTP_GET, "/api/v1/traces/groups", ROLE_READ, MAIN, RUN_WORK, handle_trace_groups, trace_groups_params,
     "The same by up to four keys, with sample traces.", "TraceGroups"},
    {HTTP_GET, "/api/v1/traces/{trace_id}", ROLE_READ, MAIN, RUN_WORK, handle_trace, trace_params,
     "One trace, parents before children.", "Trace"},
    {HTTP_GET, "/api/v1/traces/{trace_id}/analysis", ROLE_READ, MAIN, RUN_WORK, handle_trace_analysis,
     trace_columns_params,
     "What a trace tells: its critical path, what failed first, what was slower than usual, what was done again and "
     "again, where nothing happened.",
     "TraceAnalysis"},
    {HTTP_GET, "/api/v1/traces/{trace_id}/columns", ROLE_READ, MAIN, RUN_WORK, handle_trace_columns,
     trace_columns_params, "All spans of a trace as columns, without attributes, events and links.", "TraceColumns"},
    {HTTP_GET, "/api/v1/traces/{trace_id}/spans", ROLE_READ, MAIN, RUN_WORK, handle_trace_find, trace_find_params,
     "Which spans of a trace fulfil all conditions.", "TraceSpans"},
    {HTTP_GET, "/api/v1/traces/{trace_id}/spans/{span_id}", ROLE_READ, MAIN, RUN_WORK, handle_trace_span,
     trace_columns_params, "One span with all that it says.", "SpanDetails"},
    {HTTP_GET, "/api/v1/logs/query", ROLE_READ, MAIN, RUN_WORK, handle_logs, logs_params,
     "Log records that fulfil all conditions.", "Logs"},
    {HTTP_GET, "/api/v1/logs/tail", ROLE_READ, MAIN, RUN_WORK, handle_logs_tail, logs_tail_params,
     "Log records that fulfil all conditions, as they come: server-sent events `log`, `lost` and `end`.",
     "LogTailRecord", .is_stream = true},
    {HTTP_GET, "/api/v1/attributes", ROLE_READ, MAIN, RUN_WORK, handle_attributes, attributes_params,
     "Names of attributes, with types and how often they are there; from directories, without a look at rows.",
     "AttributeNames"},
    {HTTP_GET, "/api/v1/attributes/{key}/values", ROLE_READ, MAIN, RUN_WORK, handle_attribute_values,
     attribute_values_params,
     "The most frequent values of one attribute in the newest rows of the range; the key as in a condition, or "
     "field.name and the like for a field of text.",
     "AttributeValues"},
    {HTTP_GET, "/api/v1/metrics/cardinality", ROLE_READ, MAIN, RUN_WORK, handle_cardinality, cardinality_params,
     "Where the series are: by metric, label and pair, with samples and bytes; what would be saved without a label.",
     "Cardinality"},
    {HTTP_GET, "/api/v1/searches", ROLE_READ, MAIN, RUN_WORK, handle_searches, NULL,
     "Saved searches of the tenant, by name.", "Searches"},
    {HTTP_GET, "/api/v1/searches/{name}", ROLE_READ, MAIN, RUN_WORK, handle_search, NULL, "One saved search.",
     "Search"},
    {HTTP_PUT, "/api/v1/searches/{name}", ROLE_OPERATE, MAIN, RUN_WORK, handle_search_put, search_put_params,
     "Saves a search for all of the tenant.", "Search", "SearchBody"},
    {HTTP_DELETE, "/api/v1/searches/{name}", ROLE_OPERATE, MAIN, RUN_WORK, handle_search_delete, NULL,
     "Deletes a saved search.", "SearchDeleted"},
    {HTTP_POST, "/api/v1/dashboards/import", ROLE_OPERATE, MAIN, RUN_WORK, handle_dashboard_import,
     dashboard_import_params, "Keeps a dashboard of Grafana, or one that was exported; says what it could not keep.",
     "DashboardImported", "DashboardForeign"},
    {HTTP_GET, "/api/v1/dashboards/{id}/export", ROLE_READ, MAIN, RUN_WORK, handle_dashboard_export,
     dashboard_export_params, "The body of a dashboard, as clew or Grafana takes it.", "DashboardForeign"},
    RECORD_ROUTES("/api/v1/dashboards", "Dashboards", "dashboard", "Dashboards", "Dashboard", "DashboardBody"),
    ENTITY_ROUTES("/api/v1/environments", entities_params, "Environments", "environment", "Environments", "Environment",
                  "EnvironmentBody"),
    ENTITY_ROUTES("/api/v1/catalog/services", entities_params, "What is known about services", "service",
                  "CatalogServices", "CatalogService", "CatalogServiceBody"),
    ENTITY_ROUTES("/api/v1/changes", changes_params, "Commits, deployments and other changes", "change", "Changes",
                  "Change", "ChangeBody"),
    ENTITY_MAKE_ROUTE("/api/v1/changes", "change", "Change", "ChangeBody"),
    ENTITY_ROUTES("/api/v1/findings", findings_params, "Findings", "finding", "Findings", "Finding", "FindingBody"),
    ENTITY_MAKE_ROUTE("/api/v1/findings", "finding", "Finding", "FindingBody"),
    RECORD_ROUTES("/api/v1/rules", "Groups of rules", "group of rules", "RuleGroups", "RuleGroup", "RuleGroupBody"),
    {HTTP_POST, "/api/v1/rules/check", ROLE_READ, MAIN, RUN_WORK, handle_rules_check, NULL,
     "Reads a file of rules: what is wrong with it, by line, or its groups as they can be kept.", "RulesChecked",
     "RulesText"},
    {HTTP_POST, "/api/v1/rules/backtest", ROLE_READ, MAIN, RUN_WORK, handle_rules_backtest, backtest_params,
     "When the alerts of a file of rules would have fired.", "Backtest", "RulesText"},
    {HTTP_GET, "/api/v1/rules-file", ROLE_READ, MAIN, RUN_WORK, handle_rules_file, NULL,
     "All groups of rules of the tenant that are kept, as a file of rules.", "RulesFile"},
    {HTTP_GET, "/api/v1/rules/{id}/file", ROLE_READ, MAIN, RUN_WORK, handle_rules_group_file, NULL,
     "One group of rules as a file of rules.", "RulesFile"},
    {HTTP_GET, "/health", ROLE_ANY, MAIN | OTLP, RUN_HERE, handle_health, NULL, "200 while the process runs.",
     "Health"},
    {HTTP_GET, "/ready", ROLE_ANY, MAIN | OTLP, RUN_HERE, handle_ready, NULL, "200 if it takes and answers, else 503.",
     "Ready"},
    {HTTP_GET, "/metrics", ROLE_READ, MAIN, RUN_HERE, handle_metrics, NULL,
     "Figures about itself, as Prometheus text."},
    {HTTP_GET, "/api/v1/admin/status", ROLE_OPERATE, MAIN, RUN_WORK, handle_status, NULL,
     "How it is: readiness, memory, disk, what was taken and refused; of one tenant only its own figures.",
     "AdminStatus"},
    {HTTP_GET, "/api/v1/admin/storage", ROLE_OPERATE, MAIN, RUN_WORK, handle_storage, storage_params,
     "What telemetry takes at rest: by signal, day, column and service.", "Storage"},
    {HTTP_GET, "/api/v1/admin/retention", ROLE_OPERATE, MAIN, RUN_WORK, handle_retention, retention_params,
     "How long telemetry stays, by which setting, and what would go at 7, 14 and 30 days.", "Retention"},
    {HTTP_GET, "/api/v1/admin/tokens", ROLE_ADMIN, MAIN, RUN_WORK, handle_tokens, NULL,
     "The tokens that the caller may administer, without their secrets.", "Tokens"},
    {HTTP_POST, "/api/v1/admin/tokens", ROLE_ADMIN, MAIN, RUN_WORK, handle_token_make, NULL,
     "Makes a token; the answer shows it this once.", "TokenMade", "TokenOrder"},
    {HTTP_POST, "/api/v1/admin/tokens/{token_name}/revoke", ROLE_ADMIN, MAIN, RUN_WORK, handle_token_revoke, NULL,
     "Ends a token and its sessions at once.", "TokenRevoked"},
    {HTTP_POST, "/api/v1/admin/flush", ROLE_OPERATE, MAIN, RUN_WORK, handle_flush, NULL,
     "Writes what is in memory to parts now: of the caller's tenant, or of all.", "Flushed"},
    {HTTP_POST, "/api/v1/admin/delete", ROLE_ADMIN, MAIN, RUN_WORK, handle_delete, delete_params,
     "Deletes rows: from answers at once, from bytes within 24 h.", "Deleted"},
    {HTTP_POST, "/api/v1/admin/backup", ROLE_ADMIN, MAIN, RUN_WORK, handle_backup, backup_params,
     "Makes a copy that opens as a data folder: of all tenants, or of the one that X-Scope-OrgID names.", "Backup",
     .all_tenants = true},
    {HTTP_POST, "/api/v1/login", ROLE_ANY, MAIN, RUN_WORK, handle_login, NULL,
     "Takes {\"token\"} as application/json and sets the cookie of the page's session.", "Session", "Login"},
    {HTTP_POST, "/api/v1/logout", ROLE_ANY, MAIN, RUN_WORK, handle_logout, NULL, "Ends the session of the cookie.",
     "LoggedOut"},
    JAEGER_ROUTE("services", handle_jaeger_services, NULL, "Names of services.", "JaegerNames"),
    JAEGER_ROUTE("services/{service}/operations", handle_jaeger_service_operations, NULL, "Names of its spans.",
                 "JaegerNames"),
    JAEGER_ROUTE("operations", handle_jaeger_operations, jaeger_operations_params, "Names and kinds of its spans.",
                 "JaegerOperations"),
    JAEGER_ROUTE("traces", handle_jaeger_traces, jaeger_traces_params, "Whole traces, newest first.", "JaegerTraces"),
    JAEGER_ROUTE("traces/{trace_id}", handle_jaeger_trace, NULL, "One trace; its id may have fewer digits.",
                 "JaegerTraces"),
    JAEGER_ROUTE("dependencies", handle_jaeger_dependencies, jaeger_dependencies_params,
                 "Which service calls which, how often.", "JaegerDependencies"),
    JAEGER_ROUTE("v3/services", handle_jaeger_v3_services, NULL, "Names of services.", "JaegerV3Services"),
    JAEGER_ROUTE("v3/operations", handle_jaeger_v3_operations, jaeger_v3_operations_params,
                 "Names and kinds of its spans.", "JaegerV3Operations"),
    JAEGER_ROUTE("v3/traces", handle_jaeger_v3_traces, jaeger_v3_search_params, "Whole traces, as OTLP/JSON.",
                 "JaegerV3Traces"),
    JAEGER_ROUTE("v3/traces/{trace_id}", handle_jaeger_v3_trace, NULL, "One trace, as OTLP/JSON.", "JaegerV3Traces"),
    JAEGER_ROUTE("v3/trace-summaries", handle_jaeger_v3_summaries, jaeger_v3_search_params, "Traces without spans.",
                 "JaegerV3Summaries"),
    JAEGER_ROUTE("v3/dependencies", handle_jaeger_v3_dependencies, jaeger_v3_dependencies_params,
                 "Which service calls which, how often.", "JaegerV3Dependencies"),
    PROMETHEUS_ASK_BOTH("query", handle_prometheus_query, prometheus_query_params, "Evaluates PromQL at one time.",
                        "PrometheusQuery"),
    PROMETHEUS_ASK_BOTH("query_range", handle_prometheus_query_range, prometheus_range_params,
                        "Evaluates PromQL at each step of a range.", "PrometheusQuery"),
    PROMETHEUS_ASK_BOTH("query_exemplars", handle_prometheus_exemplars, prometheus_exemplars_params,
                        "Exemplars of the series that an expression asks for.", "PrometheusExemplars"),
    PROMETHEUS_ASK_BOTH("format_query", handle_prometheus_format, prometheus_text_params,
                        "The expression, broken into lines.", "PrometheusText"),
    PROMETHEUS_ASK_BOTH("parse_query", handle_prometheus_parse, prometheus_text_params, "The expression as a tree.",
                        "PrometheusObject"),
    PROMETHEUS_ASK_BOTH("series", handle_prometheus_series, prometheus_series_params, "Label sets of series.",
                        "PrometheusSeries"),
    PROMETHEUS_ASK_BOTH("labels", handle_prometheus_labels, prometheus_series_params, "Names of labels.",
                        "PrometheusNames"),
    PROMETHEUS_ASK("label/{label_name}/values", handle_prometheus_label_values, prometheus_series_params,
                   "Values of a label; a name that is not plain is escaped, as U__a_2e_b for a.b.", "PrometheusNames"),
    PROMETHEUS_ASK("metadata", handle_prometheus_metadata, prometheus_metadata_params,
                   "Types, units and help of metrics.", "PrometheusMetadata"),
    PROMETHEUS_ASK("status/tsdb", handle_prometheus_tsdb, prometheus_tsdb_params, "Where the series are.",
                   "PrometheusObject"),
    PROMETHEUS_STATE("status/config", handle_prometheus_config, "No configuration file: clew is set by options.",
                     "PrometheusObject"),
    PROMETHEUS_STATE("status/flags", handle_prometheus_flags, "Settings, by Prometheus's names.", "PrometheusObject"),
    PROMETHEUS_STATE("status/runtimeinfo", handle_prometheus_runtime, "The process.", "PrometheusObject"),
    PROMETHEUS_STATE("status/buildinfo", handle_prometheus_build, "The version of Prometheus whose API this is.",
                     "PrometheusObject"),
    PROMETHEUS_STATE("status/walreplay", handle_prometheus_wal, "Done before it listens.", "PrometheusObject"),
    PROMETHEUS_ASK("targets", handle_prometheus_targets, prometheus_targets_params,
                   "What --scrape-config names, and how its scrapes went.", "PrometheusObject"),
    PROMETHEUS_ASK("targets/metadata", handle_prometheus_targets_metadata, prometheus_targets_metadata_params,
                   "What targets say about their metrics.", "PrometheusSeries"),
    PROMETHEUS_ASK("scrape_pools", handle_prometheus_pools, NULL, "Names of the jobs that are scraped.",
                   "PrometheusObject"),
    PROMETHEUS_ASK("alertmanagers", handle_prometheus_alertmanagers, NULL,
                   "Who is told of alerts (`serve --alertmanager`).", "PrometheusObject"),
    PROMETHEUS_ASK("alerts", handle_prometheus_alerts, NULL, "Alerts that are pending or firing.", "PrometheusObject"),
    PROMETHEUS_ASK("rules", handle_prometheus_rules, prometheus_rules_params,
                   "Rules (`serve --rules`), how they are, and their alerts.", "PrometheusObject"),
    PROMETHEUS_ROUTE(HTTP_POST, "/-/reload", ROLE_OPERATE, RUN_WORK, handle_reload, NULL,
                     "Reads files of rules and of scraping again, as SIGHUP does; 500 says what is wrong with them.",
                     NULL, .all_tenants = true),
    PROMETHEUS_ROUTE(HTTP_PUT, "/-/reload", ROLE_OPERATE, RUN_WORK, handle_reload, NULL, "The same.", NULL,
                     .all_tenants = true),
    PROMETHEUS_ASK("notifications", handle_prometheus_notifications, NULL,
                   "What is wrong with the file of --scrape-config, while it is: that it was not taken, or what of it; "
                   "and jobs with targets that cannot be made.",
                   "PrometheusSeries"),
    PROMETHEUS_DO("delete_series", handle_prometheus_delete, prometheus_delete_params,
                  "Deletes samples of series: from answers at once, from bytes within 24 h."),
    PROMETHEUS_DO("clean_tombstones", handle_prometheus_clean, NULL,
                  "Nothing to do: bytes of deleted samples go by themselves."),
    {HTTP_POST, "/prometheus/api/v1/read", ROLE_READ, PROMETHEUS, RUN_WORK, handle_prometheus_read, NULL,
     "Remote read: samples of series, in snappy.", "RemoteRead", "RemoteRead", .lenient = true},
    PROMETHEUS_ROUTE(HTTP_GET, "/federate", ROLE_READ, RUN_WORK, handle_prometheus_federate, prometheus_federate_params,
                     "The newest samples of series: text, or OpenMetrics by Accept.", NULL),
    PROMETHEUS_ROUTE(HTTP_GET, "/metrics", ROLE_READ, RUN_HERE, handle_metrics, NULL,
                     "Figures of clew about itself, where Prometheus has its own.", NULL),
    PROMETHEUS_ROUTE(HTTP_GET, "/-/healthy", ROLE_ANY, RUN_HERE, handle_prometheus_healthy, NULL,
                     "200 while the process runs.", NULL),
    PROMETHEUS_ROUTE(HTTP_GET, "/-/ready", ROLE_ANY, RUN_HERE, handle_prometheus_ready, NULL,
                     "200 if it takes and answers, else 503.", NULL),
    OLLY_ROUTE(HTTP_GET, "/health", ROLE_ANY, RUN_HERE, handle_olly_health, NULL, "200 while the process runs.",
               "OllyHealth"),
    OLLY_ROUTE(HTTP_GET, "/ready", ROLE_ANY, RUN_HERE, handle_olly_ready, NULL,
               "200 if it takes and answers, else 503.", "OllyReady"),
    OLLY_ROUTE(HTTP_POST, "/v1/traces", ROLE_INGEST, RUN_HERE, handle_otlp_traces, NULL,
               "Takes spans of the page itself: OTLP JSON or protobuf.", "OtlpAnswer", .body = "OtlpRequest"),
    OLLY_ROUTE(HTTP_GET, "/ws", ROLE_READ, RUN_HERE, handle_olly_socket, NULL,
               "A WebSocket that takes subscriptions; nothing is published.", NULL),
    OLLY_ASK("traces", handle_olly_traces, olly_traces_params, "The newest traces.", "OllyTraces"),
    OLLY_ASK("traces/stats", handle_olly_stats, olly_service_params, "What the traces of a day come to.", "OllyStats"),
    OLLY_ASK("traces/errors/patterns", handle_olly_patterns, NULL, "Failed traces of a day by service and operation.",
             "OllyPatterns"),
    OLLY_ASK("traces/errors/fingerprints", handle_olly_fingerprints, olly_fingerprints_params,
             "Failed traces by what they say.", "OllyFingerprints"),
    OLLY_ASK("traces/aggregate", handle_olly_aggregate, olly_aggregate_params,
             "Requests, errors and durations by service and operation.", "OllyAggregate"),
    OLLY_ASK("traces/group", handle_olly_group, olly_group_params, "Traces by fields and attributes.", "OllyGroups"),
    OLLY_ASK("traces/search", handle_olly_search, olly_search_params, "Traces that have words in them.", "OllySearch"),
    OLLY_ASK("traces/{trace_id}", handle_olly_trace, NULL, "One trace, as the page draws it: times in µs.",
             "OllyTrace"),
    OLLY_ASK("traces/{trace_id}/spans", handle_olly_spans, NULL, "Its spans, with times as text.", "OllySpans"),
    OLLY_ASK("traces/{trace_id}/analyze", handle_olly_analyze, NULL, "What its spans come to.", "OllyAnalysis"),
    OLLY_ASK("logs/query", handle_olly_logs, olly_logs_params, "Log records, newest first.", "OllyLogs"),
    OLLY_ASK("logs/labels", handle_olly_log_labels, NULL, "Names of services that log.", "OllyLabels"),
    OLLY_ROUTE(HTTP_GET, "/api/v1/logs/tail", ROLE_READ, RUN_HERE, handle_olly_socket, NULL,
               "A WebSocket that sends nothing.", NULL),
    OLLY_ASK("metrics/query", handle_olly_metrics, olly_metrics_params, "Samples of gauges of the last hour.",
             "OllyMetrics"),
    OLLY_ASK("metrics/query_range", handle_olly_metrics_range, olly_metrics_range_params, "Samples of gauges.",
             "OllyMetrics"),
    OLLY_ASK("metrics/labels", handle_olly_metric_labels, NULL, "Names of metrics, the first 100.", "OllyLabels"),
    OLLY_ASK("metrics/label/{label_name}/values", handle_olly_metric_values, NULL, "None, as upstream.", "OllyAny"),
    OLLY_ASK("metrics/series", handle_olly_metric_series, NULL, "None, as upstream.", "OllyAny"),
    OLLY_ASK("topology/services", handle_olly_services, NULL, "Names of services.", "OllyServices"),
    OLLY_ASK("topology/edges", handle_olly_edges, NULL, "Who calls whom, of the last hour.", "OllyEdges"),
    OLLY_ASK("topology/graph", handle_olly_graph, NULL, "The map of the last hour.", "OllyGraph"),
    OLLY_ASK("correlate", handle_olly_correlations, olly_correlations_params, "Correlations, newest first.",
             "OllyCorrelations"),
    OLLY_ROUTE(HTTP_POST, "/api/v1/correlate/search", ROLE_READ, RUN_WORK, handle_olly_correlation_search,
               olly_correlations_params, "The same by a body, of the last day by default.", "OllyCorrelations",
               .body = "OllyCorrelationSearch"),
    OLLY_ASK("correlate/{correlation_id}", handle_olly_correlation, olly_correlation_params,
             "What an id, or a trace, ties together.", "OllyCorrelation"),
    OLLY_ASK("correlate/{correlation_id}/traces", handle_olly_correlation_traces, olly_correlation_part_params,
             "Its spans.", "OllyCorrelationTraces"),
    OLLY_ASK("correlate/{correlation_id}/logs", handle_olly_correlation_logs, olly_correlation_part_params,
             "Its log records.", "OllyCorrelationLogs"),
    OLLY_ASK("correlate/{correlation_id}/timeline", handle_olly_correlation_timeline, olly_correlation_part_params,
             "Both, by time.", "OllyTimeline"),
    OLLY_RECORD_ROUTES("alerts", "OllyAlerts", "alert", "OllyAlert"),
    OLLY_RECORD_ROUTES("dashboards", "OllyDashboards", "dashboard", "OllyDashboard"),
    OLLY_POST("query", handle_olly_query, "null, as upstream.", "OllyAny", "OllyQuestion"),
    OLLY_POST("ai/ask", handle_olly_ask, "null, as upstream.", "OllyAny", "OllyQuestion"),
    OLLY_POST("ai/analyze", handle_olly_ask, "null, as upstream.", "OllyAny", "OllyQuestion"),
    OLLY_ASK("ai/suggestions", handle_olly_suggestions, NULL, "None, as upstream.", "OllyAny"),
    OLLY_ASK("services/health", handle_olly_ai_health, olly_window_params, "How services are.", "OllyServiceHealth"),
    OLLY_ASK("services/metrics/timeseries", handle_olly_ai_timeseries, olly_timeseries_params,
             "Figures of services over time.", "OllyTimeseries"),
    OLLY_AI(HTTP_GET, "insights"),
    OLLY_AI(HTTP_GET, "trends"),
    OLLY_AI(HTTP_POST, "anomalies/detect"),
    OLLY_AI(HTTP_POST, "analyze"),
    OLLY_AI(HTTP_POST, "rca"),
    OLLY_AI(HTTP_POST, "rca/enhanced"),
    OLLY_AI(HTTP_POST, "causal/analyze"),
    OLLY_AI(HTTP_POST, "alerts/predict"),
    OLLY_AI(HTTP_POST, "nlq"),
    OLLY_AI(HTTP_POST, "chat"),
    PAGE_ROUTE("/", "The page: its home."),
    PAGE_ROUTE("/traces", "The page: searching traces."),
    PAGE_ROUTE("/trace/{trace_id}", "The page: one trace."),
    PAGE_ROUTE("/compare", "The page: two traces beside each other."),
    PAGE_ROUTE("/correlations", "The page: requests by their ids."),
    PAGE_ROUTE("/propagation", "The page: who drops the context."),
    PAGE_ROUTE("/logs", "The page: logs."),
    PAGE_ROUTE("/explore", "The page: metrics."),
    PAGE_ROUTE("/targets", "The page: what is scraped."),
    PAGE_ROUTE("/map", "The page: who calls whom."),
    PAGE_ROUTE("/errors", "The page: what fails."),
    PAGE_ROUTE("/service", "The page: one service."),
    PAGE_ROUTE("/rules", "The page: rules and alerts."),
    PAGE_ROUTE("/dashboards", "The page: the list of dashboards."),
    PAGE_ROUTE("/dashboard/{id}", "The page: one dashboard."),
    PAGE_ROUTE("/cardinality", "The page: where the series are."),
    PAGE_ROUTE("/start", "The page: how to send."),
    PAGE_ROUTE("/settings", "The page: tokens, retention, storage, health."),
    PAGE_ROUTE("/login", "The page: taking a token for a session."),
    {HTTP_GET, "/graph", ROLE_ANY, MAIN, RUN_HERE, handle_page_graph, NULL,
     "To the page's metrics, from a link as Prometheus makes them (g0.expr, g0.tab, g0.range_input).", .lenient = true},
    PROMETHEUS_ROUTE(HTTP_GET, "/graph", ROLE_ANY, RUN_HERE, handle_page_graph, NULL,
                     "The same; at the port of Prometheus with --external-url before it.", NULL),
    {HTTP_GET, "/assets/{name}", ROLE_ANY, MAIN, RUN_HERE, handle_page_asset, NULL, "A file of the page."},
    {HTTP_GET, "/openapi.json", ROLE_ANY, MAIN, RUN_HERE, handle_openapi, NULL, "This API as an OpenAPI 3.1 document.",
     "OpenApi"},
    {HTTP_GET, "/docs", ROLE_ANY, MAIN, RUN_HERE, handle_docs, NULL, "This API as a page to read."},
    {HTTP_GET, "/docs.css", ROLE_ANY, MAIN, RUN_HERE, handle_docs_style, NULL, "The looks of that page."},
};
const size_t api_route_count = LENGTH(api_routes);
