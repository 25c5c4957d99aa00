#include "app/options.h"

#include <stdio.h>

#include "base/text.h"
#include "os/process.h"

static const struct option_row rows[OPTIONS] = {
    [OPTION_DATA] = {"data", "DIR", "data", "data directory"},
    [OPTION_LISTEN] = {"listen", "ADDR:PORT", "127.0.0.1:8080", "API address; port 0 picks a free one"},
    [OPTION_OTLP_HTTP] = {"otlp-http", "ADDR:PORT", "127.0.0.1:4318", "OTLP/HTTP address"},
    [OPTION_OTLP_GRPC] = {"otlp-grpc", "ADDR:PORT", "127.0.0.1:4317", "OTLP/gRPC address"},
    [OPTION_JAEGER] = {"jaeger", "ADDR:PORT", NULL,
                       "also serve Jaeger's API at the root of this address (its usual one is 127.0.0.1:16686)"},
    [OPTION_PROMETHEUS] = {"prometheus", "ADDR:PORT", NULL,
                           "also serve Prometheus's API at the root of this address (its usual one is 127.0.0.1:9090)"},
    [OPTION_OLLYSTACK] = {"ollystack", "ADDR:PORT", NULL,
                          "also serve OllyStack's API at the root of this address (its usual one is 127.0.0.1:8090)"},
    [OPTION_COMPAT_PORTS] = {"compat-ports", NULL, NULL,
                             "also serve each foreign API at its usual port, on the host of --listen (Jaeger: 16686, "
                             "Prometheus: 9090, OllyStack: 8090)"},
    [OPTION_ENABLE_FEATURE] = {"enable-feature", "NAME", NULL,
                               "PromQL that Prometheus has behind this flag: promql-experimental-functions, "
                               "promql-duration-expr, promql-delayed-name-removal, type-and-unit-labels; may be "
                               "repeated",
                               true},
    [OPTION_RETENTION] = {"retention", "DURATION", "30d", "how long telemetry is kept; 0 keeps for ever"},
    [OPTION_MEMORY_LIMIT] = {"memory-limit", "SIZE", "",
                             "budget of memory tables, queries and merges; default half of the "
                             "memory, at most 4 GiB"},
    [OPTION_FLUSH_AGE] = {"flush-age", "DURATION", "60s", "age at which a memory table becomes a part"},
    [OPTION_DISK_USE_MAX] = {"disk-use-max", "PERCENT", "80", "of the file system, for clew's own files"},
    [OPTION_DISK_FREE_MIN] = {"disk-free-min", "PERCENT", "5", "of the file system that stays free"},
    [OPTION_WORKERS] = {"workers", "N", "", "threads for queries; default the cores, at least 2"},
    [OPTION_LOG_LEVEL] = {"log-level", "LEVEL", "info", "debug, info, warn or error",
                          .choices = "debug info warn error"},
    [OPTION_LOG_FORMAT] = {"log-format", "FORMAT", "logfmt", "logfmt or json", .choices = "logfmt json"},
    [OPTION_REDACT] = {"redact", "FILE", NULL, "rules for what is dropped, masked or hashed before it is kept"},
    [OPTION_CORRELATION] = {"correlation", "FILE", NULL,
                            "where ids that tie requests together are looked for (docs/formats/correlation.md)"},
    [OPTION_SCRAPE_CONFIG] = {"scrape-config", "FILE", NULL,
                              "scrape what this prometheus.yml names (docs/scraping.md); read again when it changes"},
    [OPTION_SERIES_MAX] = {"series-max", "N", "5000000", "series of metrics that a tenant may have in use"},
    [OPTION_SERIES_LABELS_MAX] = {"series-labels-max", "N", "64", "labels of one series"},
    [OPTION_SERIES_NEW_MAX] = {"series-new-max", "N", "0", "new series of a tenant in ten minutes; 0 is no limit"},
    [OPTION_LATE_WINDOW] = {"late-window", "DURATION", "30m",
                            "how far behind the newest sample of its series one may come; 0 takes none late"},
    [OPTION_METRIC_NAMES] = {"metric-names", "STRATEGY", "UnderscoreEscapingWithSuffixes",
                             "how OpenTelemetry's metrics are called, as Prometheus' otlp.translation_strategy: "
                             "UnderscoreEscapingWithSuffixes, UnderscoreEscapingWithoutSuffixes, "
                             "NoUTF8EscapingWithSuffixes or NoTranslation",
                             .choices = "UnderscoreEscapingWithSuffixes UnderscoreEscapingWithoutSuffixes "
                                        "NoUTF8EscapingWithSuffixes NoTranslation"},
    [OPTION_PROMOTE_ATTRIBUTE] = {"promote-attribute", "KEY", NULL,
                                  "a resource attribute that becomes a label of all series of OTLP; may be repeated",
                                  true},
    [OPTION_DB] = {"db", "URL", NULL,
                   "keep dashboards, rules and states of alerts in PostgreSQL, as postgresql://user@host/database, not "
                   "in a file of --data; a password rather by CLEW_DB or PGPASSWORD (docs/records.md)"},
    [OPTION_SELF_TELEMETRY] =
        {"self-telemetry", "WHETHER", "off",
         "on or off: clew's own spans, log records and durations of requests into itself, as service clew",
         .choices = "on off"},
    [OPTION_HOST_METRICS] = {"host-metrics", "WHETHER", "on",
                             "on or off: figures of this machine, its containers and clew itself, as metrics",
                             .choices = "on off"},
    [OPTION_HOST_INTERVAL] = {"host-interval", "DURATION", "15s", "how often they, and watched services, are read"},
    [OPTION_HOST_ROOT] = {"host-root", "DIR", "/", "below it /proc, /sys and /etc of the machine to tell of"},
    [OPTION_HOST_INSTANCE] = {"host-instance", "NAME", "", "what its label `instance` says; default its name"},
    [OPTION_WATCH] = {"watch", "SERVICE", NULL,
                      "a service to read figures from: nginx=URL of its stub_status, redis=HOST:PORT, "
                      "postgres=USER@HOST:PORT/DATABASE; passwords by ?password_file=FILE or CLEW_REDIS_PASSWORD, "
                      "CLEW_POSTGRES_PASSWORD; may be repeated",
                      true},
    [OPTION_SERVER] = {"server", "URL", "http://127.0.0.1:8080", "the clew to ask"},
    [OPTION_JSON] = {"json", NULL, NULL, "print JSON"},
    [OPTION_COLOR] = {"color", "WHEN", "auto", "auto, always or never", .choices = "auto always never"},
    [OPTION_OTLP] = {"otlp", "URL", "http://127.0.0.1:4318", "where to send OTLP"},
    [OPTION_SIGNAL] = {"signal", "SIGNAL", "traces", "traces, logs, both or metrics",
                       .choices = "traces logs both metrics"},
    [OPTION_SHAPE] =
        {"shape", "SHAPE", "law",
         "law (the benchmark's), shop (a small shop, as a person would look at it); of metrics: law, node (a "
         "node exporter's), buckets (histograms)",
         .choices = "law shop node buckets"},
    [OPTION_INSTANCES] = {"instances", "N", "100", "metrics: instances, each of 125 series, a sample every 15 s"},
    [OPTION_REMOTE_WRITE] = {"remote-write", "URL", NULL,
                             "metrics: send Prometheus remote write 1.0 to this URL, not OTLP"},
    [OPTION_STORIES] = {"stories", NULL, NULL,
                        "shop: let things go wrong in the time of --over, and print where the page shows it"},
    [OPTION_SEED] = {"seed", "N", NULL, "make the same requests, but for their times, as any time with this seed"},
    [OPTION_RATE] = {"rate", "N", "0", "requests a second in all; 0 is flat out"},
    [OPTION_COUNT] = {"count", "N", "0",
                      "spans or logs to send (shop: customers); 0 sends until --for ends or you interrupt"},
    [OPTION_FOR] = {"for", "DURATION", "0", "how long to send; 0 is for ever"},
    [OPTION_CONNECTIONS] = {"connections", "N", "4", "connections, each a closed loop"},
    [OPTION_ITEMS] = {"items", "N", "500",
                      "spans, logs or samples a request, a multiple of 10; samples: of whole instances"},
    [OPTION_CORRELATED] = {"correlated", "N", "0",
                           "law: one trace, or log record, of N has a correlation id of its own; 0 is none"},
    [OPTION_GZIP] = {"gzip", NULL, NULL, "compress bodies"},
    [OPTION_ENCODING] = {"encoding", "ENCODING", "protobuf", "of requests: protobuf or json",
                         .choices = "protobuf json"},
    [OPTION_GRPC] = {"grpc", NULL, NULL, "speak OTLP/gRPC to --otlp"},
    [OPTION_VERIFY] = {"verify", NULL, NULL, "read everything back and compare"},
    [OPTION_OVER] = {"over", "DURATION", "1h", "spread times over this long, ending now (with --count)"},
    [OPTION_TO_FILE] = {"to-file", "FILE", NULL,
                        "write the bodies one after another to a file instead of sending them"},
    [OPTION_IDS] = {"ids", "FILE", NULL, "write the trace ids of acknowledged requests to a file, one a line"},
    [OPTION_SERVICE] = {"service", "NAME", NULL, "service.name"},
    [OPTION_ENVIRONMENT] = {"environment", "NAME", NULL, "deployment.environment.name"},
    [OPTION_OPERATION] = {"operation", "NAME", NULL, "span name"},
    [OPTION_WHERE] = {"where", "FILTER", NULL, "attribute filter, as 'http.status_code>=500'; may be repeated", true},
    [OPTION_MIN_DURATION] = {"min-duration", "DURATION", NULL, "spans at least this long"},
    [OPTION_MAX_DURATION] = {"max-duration", "DURATION", NULL, "spans at most this long"},
    [OPTION_STATUS] = {"status", "STATUS", NULL, "error, ok or unset", .choices = "error ok unset"},
    [OPTION_ROOT] = {"root", NULL, NULL, "only spans without a parent: traces that begin with what is asked for"},
    [OPTION_SEVERITY] = {"severity", "LEVEL", NULL, "at least: trace, debug, info, warn, error or fatal",
                         .choices = "trace debug info warn error fatal"},
    [OPTION_TEXT] = {"text", "WORDS", NULL, "words, begin*, \"a phrase\""},
    [OPTION_TRACE] = {"trace", "ID", NULL, "trace id, 32 hex digits"},
    [OPTION_START] = {"start", "TIME", NULL, "from: RFC 3339, unix time, or now-15m"},
    [OPTION_END] = {"end", "TIME", NULL, "until: the same"},
    [OPTION_LIMIT] = {"limit", "N", NULL, "how many at most"},
    [OPTION_TIME] = {"time", "TIME", NULL, "when: RFC 3339, unix time, or now-15m; by default now"},
    [OPTION_RANGE] = {"range", "DURATION", NULL, "not at one time but over the time before it, as a chart"},
    [OPTION_STEP] = {"step", "DURATION", NULL, "between the points of --range; by default about 240 of them"},
    [OPTION_ORDER] = {"order", "ORDER", NULL, "newest or longest (traces); newest or oldest (logs)",
                      .choices = "newest longest oldest"},
    [OPTION_CURSOR] = {"cursor", "CURSOR", NULL, "go on where the answer before ended"},
    [OPTION_FOLLOW] = {"follow", NULL, NULL, "the newest --limit records, and then new ones as they come"},
    [OPTION_BY] = {"by", "KEY", NULL,
                   "count by a field (service, operation, severity) or an attribute; --limit values"},
    [OPTION_ATTRIBUTE] = {"attribute", "KEY", NULL, "this attribute is the id, as order.id, not the correlation id"},
    [OPTION_ROWS] = {"rows", "N", "10", "rows to print at most"},
    [OPTION_PROVE] = {"verify", NULL, NULL, "erase the bytes now, not within 24 hours, and prove that none is left"},
    [OPTION_YES] = {"yes", NULL, NULL, "do not ask"},
    [OPTION_JOB] = {"job", "NAME", NULL, "the label job of all samples, whatever the text says"},
    [OPTION_INSTANCE] = {"instance", "NAME", NULL, "the label instance, the same"},
    [OPTION_LABEL] = {"label", "NAME=VALUE", NULL, "any other label, the same; may be repeated", true},
    [OPTION_TRACES] = {"traces", NULL, NULL, "of spans only"},
    [OPTION_LOGS] = {"logs", NULL, NULL, "of logs only"},
    [OPTION_TOKEN] = {"token", "TOKEN", NULL, "the token to ask with; others may see it here, so rather CLEW_TOKEN"},
    [OPTION_TOKEN_FILE] = {"token-file", "FILE", NULL, "a file with the token"},
    [OPTION_TENANT] = {"tenant", "NAME", NULL, "the tenant; `*` is any (token new), default `default`"},
    [OPTION_ROLE] = {"role", "ROLE", NULL, "ingest, read, operate (and read) or admin (all)",
                     .choices = "ingest read operate admin"},
    [OPTION_EXPIRES] = {"expires", "DURATION", NULL, "from now; without it the token holds until it is revoked"},
    [OPTION_LIMITS] = {"limits", "FILE", NULL, "JSON: what tenants may send and ask at once (docs/formats/limits.md)"},
    [OPTION_CORS_ORIGIN] = {"cors-origin", "ORIGIN", NULL,
                            "pages of this origin may ask, as 'https://grafana.example'; may be repeated", true},
    [OPTION_ALLOW_HOST] = {"allow-host", "NAME", NULL,
                           "a name that clew is reached by, as a proxy's 'clew.example'; may be repeated", true},
    [OPTION_RULES] = {"rules", "FILE", NULL, "rules of redaction (docs/redaction.md)"},
    [OPTION_INPUT] = {"input", "FILE", NULL, "OTLP/JSON to look at instead of a data directory"},
    [OPTION_SHOW] = {"show", NULL, NULL, "show what would be hidden"},
    [OPTION_RULE_FILES] =
        {"rules", "GLOB", NULL,
         "rules of Prometheus to evaluate, as 'rules/*.yml'; read again when they change; may be repeated", true},
    [OPTION_ALERTMANAGER] = {"alertmanager", "URL", NULL,
                             "tell this Alertmanager of alerts, as 'http://127.0.0.1:9093'; may be repeated", true},
    [OPTION_EXTERNAL_URL] = {"external-url", "URL", NULL, "what alerts link to; default the address of --listen"},
    [OPTION_EXTERNAL_LABEL] =
        {"external-label", "NAME=VALUE", NULL,
         "a label on every alert that Alertmanagers are told, and $externalLabels in templates; may "
         "be repeated",
         true},
    [OPTION_LAST] = {"last", "DURATION", "7d", "how far back"},
    [OPTION_TITLE] = {"title", "TITLE", NULL, "its title, instead of the one that it has"},
    [OPTION_DRY_RUN] = {"dry-run", NULL, NULL, "keep nothing: only say what could not be kept"},
    [OPTION_GRAFANA] = {"grafana", NULL, NULL, "as Grafana takes it"},
    [OPTION_TLS_CERT] = {"tls-cert", "FILE", NULL,
                         "own TLS certificate with its chain, PEM (serve: LISTENER=FILE for one listener)", true},
    [OPTION_TLS_KEY] = {"tls-key", "FILE", NULL, "its key, PEM (serve: LISTENER=FILE for one listener)", true},
    [OPTION_TLS_CLIENT_CA] = {"tls-client-ca", "FILE", NULL,
                              "ask clients for certificates of these authorities (LISTENER=FILE for one listener)",
                              true},
    [OPTION_TLS_CLIENT] = {"tls-client", "HOW", "require", "require a client's certificate, or request it",
                           .choices = "require request"},
    [OPTION_PLAIN_TEXT] = {"plain-text", "LISTENER", NULL,
                           "no TLS on it, wherever it can be reached from: listen, otlp-http, otlp-grpc, jaeger, "
                           "prometheus, ollystack or all",
                           true},
    [OPTION_TLS_CA] = {"tls-ca", "FILE", NULL, "for https, trust these authorities, PEM, not the system's"},
    [OPTION_INSECURE] = {"insecure", NULL, NULL, "for https, believe any certificate for any host"},
    [OPTION_COLLECT_DATA] = {"data", "DIR", "collect-data", "folder of the queue"},
    [OPTION_COLLECT_LISTEN] = {"listen", "ADDR:PORT", "127.0.0.1:8888", "address of /metrics, /health and /ready"},
    [OPTION_TO] = {"to", "URL", NULL, "the OTLP backend, as http://127.0.0.1:4318, without a path of a signal"},
    [OPTION_PROTOCOL] = {"protocol", "PROTOCOL", "http", "http (OTLP/HTTP, protobuf) or grpc", .choices = "http grpc"},
    [OPTION_COMPRESSION] = {"compression", "HOW", "gzip", "of what is sent: gzip or none", .choices = "gzip none"},
    [OPTION_HEADER] = {"header", "NAME: VALUE", NULL,
                       "a header field (gRPC: metadata) of what is sent; may be repeated", true},
    [OPTION_CONFIG] = {"config", "FILE", NULL, "what is done with telemetry on its way (docs/collect.md)"},
    [OPTION_QUEUE_MAX] = {"queue-max", "SIZE", "1GiB", "of what waits on disk"},
    [OPTION_QUEUE_AGE] = {"queue-age", "DURATION", "0", "what waits for longer is dropped; 0: nothing is"},
    [OPTION_QUEUE_DROP] = {"queue-drop", "WHAT", "none",
                           "none: a full queue refuses; oldest: it drops what has waited longest",
                           .choices = "none oldest"},
    [OPTION_HOLD] =
        {"hold", "DURATION", "24h",
         "how long what the backend denies (401, 403, 404, 405, 3xx) is kept and tried again; 0: not at all"},
    [OPTION_TIMEOUT] = {"timeout", "DURATION", "10s", "of one call to the backend"},
    [OPTION_CALLS] = {"connections", "N", "4", "calls to the backend at once"},
    [OPTION_HELP] = {"help", NULL, NULL, "this text"},
};

/* ---- finding ---------------------------------------------------------------------------------------------------- */

/* Edits from a to b (Levenshtein), for "did you mean"; long words count as far. */
static int distance(struct str a, struct str b) {
    int row[64];
    if (a.n >= LENGTH(row) || b.n >= LENGTH(row)) return 99;
    for (size_t j = 0; j <= b.n; j++) row[j] = (int)j;
    for (size_t i = 1; i <= a.n; i++) {
        int diagonal = row[0]++;
        for (size_t j = 1; j <= b.n; j++) {
            int change = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.n];
}

/* Edits from which on a name is another one: a third of a short word would be any word. */
static int far_from(struct str name) { return MIN(4, (int)MIN(name.n, 8u) / 2 + 1); }

static err unknown_option(const struct command *c, struct str name) {
    const char *nearest = NULL;
    int best = far_from(name);
    for (int o = 0; o < OPTIONS; o++) {
        int d = c->options >> o & 1 ? distance(name, str_of(rows[o].name)) : 99;
        if (d < best) best = d, nearest = rows[o].name;
    }
    return err_new(ERR_INVALID, "clew %s has no option --" STR_FMT "%s%s%s", c->name, STR_ARG(name),
                   nearest ? "; did you mean --" : "", nearest ? nearest : "", nearest ? "?" : "");
}

static const struct command *find_command(int argc, char **argv, int *out_words) {
    for (size_t i = 0; i < command_count; i++) {
        struct str rest = str_of(commands[i].name), word;
        int words = 0;
        bool more = true, same = true;
        while (more && same) {
            more = str_cut(rest, ' ', &word, &rest);
            same = words + 1 < argc && str_equal(word, str_of(argv[words + 1]));
            words++;
        }
        if (same) {
            *out_words = words;
            return &commands[i];
        }
    }
    return NULL;
}

/* A word that begins commands of two words: which? */
static err half_command(struct str word) {
    AUTO_BUF struct buf list;
    buf_init(&list, 4 * KIB);
    for (size_t i = 0; i < command_count; i++) {
        struct str head, rest;
        if (str_cut(str_of(commands[i].name), ' ', &head, &rest) && str_equal(head, word))
            buf_add_fmt(&list, "%s`clew %s`", list.n ? " or " : "", commands[i].name);
    }
    return list.n ? err_new(ERR_INVALID, "clew " STR_FMT " what? %s", STR_ARG(word), list.p) : NULL;
}

static err unknown_command(struct str first, struct str second) {
    TRY(half_command(first));
    AUTO_BUF struct buf both;
    buf_init(&both, 4 * KIB);
    buf_add_fmt(&both, STR_FMT " " STR_FMT, STR_ARG(first), STR_ARG(second));
    const char *nearest = NULL;
    int best = far_from(first);
    for (size_t i = 0; i < command_count; i++) {
        int d = distance(strchr(commands[i].name, ' ') ? buf_str(&both) : first, str_of(commands[i].name));
        if (d < best) best = d, nearest = commands[i].name;
    }
    return err_new(ERR_INVALID, "there is no command \"" STR_FMT "\"; %s%s%s`clew --help` lists them", STR_ARG(first),
                   nearest ? "did you mean \"" : "", nearest ? nearest : "", nearest ? "\"? " : "");
}

/* ---- parsing ---------------------------------------------------------------------------------------------------- */

static err add_value(struct arguments *a, enum option o, struct str value) {
    if (!rows[o].repeats) a->given[o] = 0;
    if (a->given[o] == OPTION_REPEATS_MAX)
        return err_new(ERR_LIMIT, "--%s more than %d times", rows[o].name, OPTION_REPEATS_MAX);
    a->values[o][a->given[o]++] = value;
    return NULL;
}

const struct option_row *option_row(enum option o) { return &rows[o]; }

void option_environment(enum option o, char out[64]) {
    int n = snprintf(out, 64, "CLEW_%s", rows[o].name);
    for (int i = 5; i < n; i++)
        out[i] = out[i] == '-' ? '_' : (char)(out[i] >= 'a' && out[i] <= 'z' ? out[i] - 32 : out[i]);
}

static err read_environment(struct arguments *a) {
    for (int o = 0; o < OPTIONS; o++) {
        char name[64];
        option_environment((enum option)o, name);
        const char *value = a->command->options >> o & 1 ? process_env(name) : NULL;
        if (!value) continue;
        a->from_environment[o] = true;
        if (rows[o].value) {
            TRY(add_value(a, (enum option)o, str_of(value)));
            continue;
        }
        bool on;
        TRY_WRAP(parse_bool(str_of(value), &on), "%s", name);
        if (on) a->given[o] = 1;
    }
    return NULL;
}

static err parse_option(struct arguments *a, struct str text, int argc, char **argv, int *i, bool seen[OPTIONS]) {
    struct str name, value;
    bool attached = str_cut(text, '=', &name, &value);
    for (int o = 0; o < OPTIONS; o++) {
        if (!str_equal(name, str_of(rows[o].name)) || (!(a->command->options >> o & 1) && o != OPTION_HELP)) continue;
        if (!seen[o]) a->given[o] = 0, a->from_environment[o] = false; /* a flag wins over the environment */
        seen[o] = true;
        if (!rows[o].value) {
            if (attached) return err_new(ERR_INVALID, "--%s takes no value", rows[o].name);
            a->given[o] = 1;
            return NULL;
        }
        if (!attached && *i + 1 >= argc)
            return err_new(ERR_INVALID, "--%s needs a value: %s", rows[o].name, rows[o].value);
        return add_value(a, (enum option)o, attached ? value : str_of(argv[++*i]));
    }
    return unknown_option(a->command, name);
}

static err check_positions(const struct arguments *a) {
    const struct command *c = a->command;
    if (a->position_count >= c->positions_min || a->given[OPTION_HELP]) return NULL;
    return err_new(ERR_INVALID, "clew %s needs %s; `clew %s --help` explains", c->name, c->positions, c->name);
}

/* Everything after the command's words. */
static err parse_rest(struct arguments *a, int argc, char **argv, int first) {
    bool seen[OPTIONS] = {false}, only_positions = false;
    for (int i = first; i < argc; i++) {
        struct str arg = str_of(argv[i]);
        if (!only_positions && str_equal(arg, STR("--"))) {
            only_positions = true;
        } else if (!only_positions && str_equal(arg, STR("-h"))) {
            a->given[OPTION_HELP] = 1;
        } else if (!only_positions && str_starts_with(arg, STR("--"))) {
            TRY(parse_option(a, (struct str){arg.p + 2, arg.n - 2}, argc, argv, &i, seen));
        } else if (a->position_count == a->command->positions_max) {
            return err_new(ERR_INVALID, "clew %s does not take \"%s\"", a->command->name, argv[i]);
        } else {
            a->positions[a->position_count++] = arg;
        }
    }
    return NULL;
}

static bool asks_for_help(struct str word) {
    return str_equal(word, STR("--help")) || str_equal(word, STR("-h")) || str_equal(word, STR("help"));
}

static bool begins_commands(struct str word) {
    err e = half_command(word);
    bool begins = e != NULL;
    err_free(e);
    return begins;
}

err arguments_parse(int argc, char **argv, struct arguments *out) {
    static char version[] = "version";
    memset(out, 0, sizeof *out);
    if (argc < 2 || asks_for_help(str_of(argv[1]))) { /* clew help COMMAND is clew COMMAND --help */
        out->given[OPTION_HELP] = 1;
        if (argc < 3 || argv[2][0] == '-') return NULL;
        argc--, argv++;
    }
    struct str first = str_of(argv[1]), second = argc > 2 ? str_of(argv[2]) : STR("");
    if (str_equal(first, STR("--version"))) argv[1] = version;
    int words = 0;
    out->command = find_command(argc, argv, &words);
    if (out->command && out->given[OPTION_HELP]) return NULL;
    if (!out->command && (out->given[OPTION_HELP] || asks_for_help(second)) && begins_commands(first)) {
        out->given[OPTION_HELP] = 1;
        out->topic = first;
        return NULL;
    }
    if (!out->command) return unknown_command(first, second);
    TRY(read_environment(out));
    TRY(parse_rest(out, argc, argv, words + 1));
    return check_positions(out);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

bool argument_flag(const struct arguments *a, enum option o) { return a->given[o] > 0; }

struct str argument_text(const struct arguments *a, enum option o) {
    return a->given[o] ? a->values[o][a->given[o] - 1] : str_of(rows[o].fallback ? rows[o].fallback : "");
}

const char *argument_origin(const struct arguments *a, enum option o) {
    return !a->given[o] ? "default" : a->from_environment[o] ? "environment" : "flag";
}

err argument_blame(const struct arguments *a, enum option o, err e) {
    char name[64];
    if (!a->from_environment[o]) return err_wrap(e, "--%s", rows[o].name);
    option_environment(o, name);
    return err_wrap(e, "%s", name);
}

err argument_duration(const struct arguments *a, enum option o, int64_t *out_ns) {
    err e = parse_duration(argument_text(a, o), out_ns);
    return argument_blame(a, o, e || *out_ns >= 0 ? e : err_new(ERR_INVALID, "must not be negative"));
}

err argument_u64(const struct arguments *a, enum option o, uint64_t *out) {
    return argument_blame(a, o, parse_u64(argument_text(a, o), out));
}

err argument_size(const struct arguments *a, enum option o, uint64_t *out) {
    return argument_blame(a, o, parse_size(argument_text(a, o), out));
}
