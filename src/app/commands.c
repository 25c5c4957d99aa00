/* The sub-commands of clew, as a table. */
#include <stdio.h>

#include "app/command.h"

#define O(name) ((option_set)1 << OPTION_##name)
#define ASKING                                                                                                         \
    (O(SERVER) | O(JSON) | O(TOKEN) | O(TOKEN_FILE) | O(TENANT) | O(TLS_CA) | O(TLS_CERT) | O(TLS_KEY) | O(INSECURE))
#define FILTERS (O(SERVICE) | O(ENVIRONMENT) | O(WHERE) | O(TEXT) | O(START) | O(END) | O(LIMIT) | O(ORDER) | O(CURSOR))

const struct command commands[] = {
    {"serve", "", 0, 0,
     O(DATA) | O(LISTEN) | O(OTLP_HTTP) | O(OTLP_GRPC) | O(JAEGER) | O(PROMETHEUS) | O(OLLYSTACK) | O(ENABLE_FEATURE) |
         O(COMPAT_PORTS) | O(RETENTION) | O(MEMORY_LIMIT) | O(FLUSH_AGE) | O(DISK_USE_MAX) | O(DISK_FREE_MIN) |
         O(WORKERS) | O(LOG_LEVEL) | O(LOG_FORMAT) | O(REDACT) | O(CORRELATION) | O(SCRAPE_CONFIG) | O(JSON) |
         O(LIMITS) | O(CORS_ORIGIN) | O(ALLOW_HOST) | O(TLS_CERT) | O(TLS_KEY) | O(TLS_CLIENT_CA) | O(TLS_CLIENT) |
         O(PLAIN_TEXT) | O(SERIES_MAX) | O(SERIES_LABELS_MAX) | O(SERIES_NEW_MAX) | O(LATE_WINDOW) | O(METRIC_NAMES) |
         O(PROMOTE_ATTRIBUTE) | O(HOST_METRICS) | O(HOST_INTERVAL) | O(HOST_ROOT) | O(HOST_INSTANCE) | O(WATCH) |
         O(RULE_FILES) | O(ALERTMANAGER) | O(EXTERNAL_URL) | O(EXTERNAL_LABEL) | O(SELF_TELEMETRY) | O(DB),
     "take in telemetry and answer questions", command_serve},
    {"collect", "", 0, 0,
     O(TO) | O(PROTOCOL) | O(COMPRESSION) | O(HEADER) | O(TOKEN) | O(TOKEN_FILE) | O(TENANT) | O(TLS_CA) | O(INSECURE) |
         O(TIMEOUT) | O(CALLS) | O(CONFIG) | O(COLLECT_DATA) | O(QUEUE_MAX) | O(QUEUE_AGE) | O(QUEUE_DROP) | O(HOLD) |
         O(COLLECT_LISTEN) | O(OTLP_HTTP) | O(OTLP_GRPC) | O(TLS_CERT) | O(TLS_KEY) | O(TLS_CLIENT_CA) | O(TLS_CLIENT) |
         O(PLAIN_TEXT) | O(MEMORY_LIMIT) | O(LOG_LEVEL) | O(LOG_FORMAT) | O(JSON),
     "take in OTLP, keep it on disk, hand it to another OTLP backend", command_collect},
    {"load", "", 0, 0,
     ASKING | O(OTLP) | O(SIGNAL) | O(SHAPE) | O(INSTANCES) | O(REMOTE_WRITE) | O(STORIES) | O(SEED) | O(RATE) |
         O(COUNT) | O(FOR) | O(CONNECTIONS) | O(ITEMS) | O(CORRELATED) | O(GZIP) | O(ENCODING) | O(GRPC) | O(VERIFY) |
         O(OVER) | O(TO_FILE) | O(IDS),
     "send generated telemetry, measure, and read it back", command_load},
    {"trace", "TRACE_ID", 1, 1, ASKING | O(COLOR), "one trace as a waterfall", command_trace},
    {"analyze", "TRACE_ID", 1, 1, ASKING | O(COLOR),
     "what one trace tells: critical path, cause of its failure, what was slow, repeated or idle", command_analyze},
    {"query traces", "", 0, 0,
     ASKING | O(COLOR) | FILTERS | O(OPERATION) | O(MIN_DURATION) | O(MAX_DURATION) | O(STATUS) | O(ROOT) | O(BY),
     "find traces", command_query_traces},
    {"query logs", "", 0, 0, ASKING | O(COLOR) | FILTERS | O(SEVERITY) | O(TRACE) | O(FOLLOW) | O(BY),
     "find log records", command_query_logs},
    {"query promql", "EXPR", 1, 1, ASKING | O(COLOR) | O(TIME) | O(RANGE) | O(STEP) | O(LIMIT),
     "evaluate PromQL now, at a time, or over a range as a chart", command_query_promql},
    {"query attributes", "PREFIX", 0, 1, ASKING | O(COLOR) | O(LOGS) | O(START) | O(END) | O(LIMIT),
     "names of attributes, of spans or (--logs) of logs", command_query_attributes},
    {"query values", "KEY", 1, 1,
     ASKING | O(COLOR) | O(LOGS) | O(SERVICE) | O(ENVIRONMENT) | O(START) | O(END) | O(LIMIT),
     "the most frequent values of one attribute", command_query_values},
    {"query correlations", "TEXT", 0, 1,
     ASKING | O(COLOR) | O(SERVICE) | O(ENVIRONMENT) | O(STATUS) | O(MIN_DURATION) | O(ATTRIBUTE) | O(START) | O(END) |
         O(LIMIT) | O(CURSOR),
     "requests by their correlation id, the newest first; those whose id has TEXT in it", command_query_correlations},
    {"query correlation", "ID", 1, 1, ASKING | O(COLOR) | O(ENVIRONMENT) | O(ATTRIBUTE) | O(START) | O(END) | O(LIMIT),
     "one request: its spans and log records by time", command_query_correlation},
    {"query propagation", "", 0, 0, ASKING | O(COLOR) | O(SERVICE) | O(ENVIRONMENT) | O(START) | O(END) | O(LIMIT),
     "which services lose the trace or the correlation id, where, and what mends it", command_query_propagation},
    {"import metrics", "FILE", 1, 1, ASKING | O(JOB) | O(INSTANCE) | O(LABEL),
     "send samples as they are scraped (Prometheus text, OpenMetrics) from a file, or `-`", command_import_metrics},
    {"delete", "", 0, 0,
     ASKING | O(TRACE) | O(START) | O(END) | O(SERVICE) | O(WHERE) | O(TRACES) | O(LOGS) | O(PROVE) | O(YES),
     "delete telemetry by trace, range or filter", command_delete},
    {"token new", "NAME", 1, 1, O(DATA) | O(ROLE) | O(TENANT) | O(EXPIRES) | O(JSON), "make a token; prints it once",
     command_token_new},
    {"token list", "", 0, 0, O(DATA) | O(JSON), "the tokens, without their secrets", command_token_list},
    {"token revoke", "NAME", 1, 1, O(DATA) | O(JSON), "end a token; a running clew knows within a second",
     command_token_revoke},
    {"storage", "", 0, 0, ASKING | O(DATA) | O(COLOR) | O(TRACES) | O(LOGS) | O(START) | O(END) | O(LIMIT),
     "what telemetry takes on disk, by column and service; with --data of files that no clew runs on", command_storage},
    {"cardinality", "SELECTOR", 0, 1, ASKING | O(COLOR) | O(START) | O(END) | O(LIMIT),
     "where the series are: by metric, label and value; of all, or of those that a selector takes",
     command_cardinality},
    {"health", "", 0, 0, ASKING, "is a running clew ready? status 0 or 1, for health checks", command_health},
    {"backup", "DIR", 1, 1, ASKING, "copy the data directory of a running clew", command_backup},
    {"restore", "BACKUP", 1, 1, O(DATA) | O(JSON), "make a backup the data directory", command_restore},
    {"scrape check", "FILE", 1, 1, O(JSON), "check what a prometheus.yml says about scraping", command_scrape_check},
    {"rules check", "FILE...", 1, ARGUMENTS_MAX, 0, "check files of rules as `promtool check rules` does",
     command_rules_check},
    {"rules test", "FILE...", 1, ARGUMENTS_MAX, 0, "run unit tests of rules as `promtool test rules` does",
     command_rules_test},
    {"rules backtest", "FILE", 1, 1, ASKING | O(LAST), "when alerts would have fired over the past of a running clew",
     command_rules_backtest},
    {"dashboard list", "", 0, 0, ASKING, "the dashboards, also those that ship with clew", command_dashboard_list},
    {"dashboard import", "FILE", 1, 1, ASKING | O(TITLE) | O(DRY_RUN),
     "keep a dashboard of Grafana, or one that was exported; says what could not be kept as it was",
     command_dashboard_import},
    {"dashboard export", "ID", 1, 1, ASKING | O(GRAFANA), "print a dashboard as JSON", command_dashboard_export},
    {"check redact", "", 0, 0, O(RULES) | O(DATA) | O(INPUT) | O(SHOW) | O(LIMIT) | O(JSON),
     "show what rules of redaction would change", command_check_redact},
    {"check", "", 0, 0, O(DATA) | O(JSON), "check every block of a data directory", command_check},
    {"dump", "FILE", 1, 1, O(ROWS) | O(JSON), "print any file of a data directory", command_dump},
    {"completion", "SHELL", 1, 1, 0, "print completion for bash or zsh", command_completion},
    {"man", "", 0, 0, 0, "print the manual page: `clew man | man -l -`", command_man},
    {"version", "", 0, 0, O(JSON), "print the version", command_version},
};
const size_t command_count = LENGTH(commands);

err command_version(const struct arguments *a) {
    command_say(argument_flag(a, OPTION_JSON) ? "{\"version\":\"%s\"}" : "clew %s", CLEW_VERSION);
    return NULL;
}
