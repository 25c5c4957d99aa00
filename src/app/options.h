/* Options and commands of the command line, as tables: parsing, environment, help, completion and the manual come out of them.
 *
 * Every option is also CLEW_NAME in the environment (--otlp-http is CLEW_OTLP_HTTP); a flag wins over the environment, which wins
 * over the default. `--name value` and `--name=value` both work; a flag takes no value. `--` ends options.
 * Two options may have one name if no command takes both. Errors: ERR_INVALID naming the option and the nearest known one.
 * Owner: values borrow from argv and the environment, which live as long as the process.
 */
#pragma once

#include "base/base.h"

enum option {
    OPTION_DATA,
    OPTION_LISTEN,
    OPTION_OTLP_HTTP,
    OPTION_OTLP_GRPC,
    OPTION_JAEGER,
    OPTION_PROMETHEUS,
    OPTION_OLLYSTACK,
    OPTION_ENABLE_FEATURE,
    OPTION_COMPAT_PORTS,
    OPTION_RETENTION,
    OPTION_MEMORY_LIMIT,
    OPTION_FLUSH_AGE,
    OPTION_DISK_USE_MAX,
    OPTION_DISK_FREE_MIN,
    OPTION_WORKERS,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_REDACT,
    OPTION_CORRELATION,
    OPTION_SCRAPE_CONFIG,
    OPTION_SERIES_MAX,
    OPTION_SERIES_LABELS_MAX,
    OPTION_SERIES_NEW_MAX,
    OPTION_LATE_WINDOW,
    OPTION_METRIC_NAMES,
    OPTION_PROMOTE_ATTRIBUTE,
    OPTION_SERVER,
    OPTION_JSON,
    OPTION_COLOR,
    OPTION_OTLP,
    OPTION_SIGNAL,
    OPTION_SHAPE,
    OPTION_INSTANCES,
    OPTION_REMOTE_WRITE,
    OPTION_STORIES,
    OPTION_SEED,
    OPTION_RATE,
    OPTION_COUNT,
    OPTION_FOR,
    OPTION_CONNECTIONS,
    OPTION_ITEMS,
    OPTION_CORRELATED,
    OPTION_GZIP,
    OPTION_ENCODING,
    OPTION_GRPC,
    OPTION_VERIFY,
    OPTION_OVER,
    OPTION_TO_FILE,
    OPTION_IDS,
    OPTION_SERVICE,
    OPTION_ENVIRONMENT,
    OPTION_OPERATION,
    OPTION_WHERE,
    OPTION_MIN_DURATION,
    OPTION_MAX_DURATION,
    OPTION_STATUS,
    OPTION_ROOT,
    OPTION_SEVERITY,
    OPTION_TEXT,
    OPTION_TRACE,
    OPTION_START,
    OPTION_END,
    OPTION_LIMIT,
    OPTION_TIME,
    OPTION_RANGE,
    OPTION_STEP,
    OPTION_ORDER,
    OPTION_CURSOR,
    OPTION_FOLLOW,
    OPTION_BY,
    OPTION_ATTRIBUTE,
    OPTION_ROWS,
    OPTION_YES,
    OPTION_JOB,
    OPTION_INSTANCE,
    OPTION_LABEL,
    OPTION_PROVE,
    OPTION_TRACES,
    OPTION_LOGS,
    OPTION_TOKEN,
    OPTION_TOKEN_FILE,
    OPTION_TENANT,
    OPTION_ROLE,
    OPTION_EXPIRES,
    OPTION_LIMITS,
    OPTION_CORS_ORIGIN,
    OPTION_ALLOW_HOST,
    OPTION_RULES,
    OPTION_INPUT,
    OPTION_SHOW,
    OPTION_RULE_FILES,
    OPTION_ALERTMANAGER,
    OPTION_EXTERNAL_URL,
    OPTION_EXTERNAL_LABEL,
    OPTION_LAST,
    OPTION_TITLE,
    OPTION_DRY_RUN,
    OPTION_GRAFANA,
    OPTION_TLS_CERT,
    OPTION_TLS_KEY,
    OPTION_TLS_CLIENT_CA,
    OPTION_TLS_CLIENT,
    OPTION_PLAIN_TEXT,
    OPTION_TLS_CA,
    OPTION_INSECURE,
    OPTION_HOST_METRICS,
    OPTION_HOST_INTERVAL,
    OPTION_HOST_ROOT,
    OPTION_HOST_INSTANCE,
    OPTION_WATCH,
    OPTION_SELF_TELEMETRY,
    OPTION_DB,
    OPTION_COLLECT_DATA,
    OPTION_COLLECT_LISTEN,
    OPTION_TO,
    OPTION_PROTOCOL,
    OPTION_COMPRESSION,
    OPTION_HEADER,
    OPTION_CONFIG,
    OPTION_QUEUE_MAX,
    OPTION_QUEUE_AGE,
    OPTION_QUEUE_DROP,
    OPTION_HOLD,
    OPTION_TIMEOUT,
    OPTION_CALLS,
    OPTION_HELP,
    OPTIONS
};

enum { OPTION_REPEATS_MAX = 32, ARGUMENTS_MAX = 16 };

struct option_row {
    const char *name;
    const char *value;    /* what help calls the value; NULL: a flag */
    const char *fallback; /* NULL: none */
    const char *help;
    bool repeats;
    const char *choices; /* "auto always never"; NULL: any value */
};
const struct option_row *option_row(enum option o);
void option_environment(enum option o, char out[64]); /* CLEW_… */

struct arguments;

typedef unsigned __int128 option_set; /* bit per enum option */
static_assert(OPTIONS <= 128, "a bit for each option");

struct command {
    const char *name;      /* "query traces" has two words */
    const char *positions; /* "TRACE_ID" as help shows it; "" none */
    int positions_min, positions_max;
    option_set options;
    const char *help;
    err (*run)(const struct arguments *a);
};
extern const struct command commands[];
extern const size_t command_count;

struct arguments {
    const struct command *command;
    struct str topic; /* "query": help was asked for of the commands that begin so */
    struct str values[OPTIONS][OPTION_REPEATS_MAX];
    int given[OPTIONS]; /* how often, by flag or environment */
    bool from_environment[OPTIONS];
    struct str positions[ARGUMENTS_MAX];
    int position_count;
};

/* Parses argv[1..]; help asked for sets given[OPTION_HELP] (command NULL: help of all). */
err arguments_parse(int argc, char **argv, struct arguments *out);
void arguments_help(const struct command *command, struct buf *out); /* NULL: the overview */
void arguments_overview(struct str topic, struct buf *out);          /* of the commands that begin so; "": of all */

bool argument_flag(const struct arguments *a, enum option o);
struct str argument_text(const struct arguments *a, enum option o); /* the default if not given; "" if there is none */
const char *argument_origin(const struct arguments *a, enum option o); /* "flag", "environment" or "default" */
/* Puts where the value came from before e: --listen, or CLEW_LISTEN. */
err argument_blame(const struct arguments *a, enum option o, err e);
err argument_duration(const struct arguments *a, enum option o, int64_t *out_ns);
err argument_u64(const struct arguments *a, enum option o, uint64_t *out);
err argument_size(const struct arguments *a, enum option o, uint64_t *out);
