/* Help: the commands, and the options of one. Long lists are in groups; an option that is in none stands at the end. */
#include <stdio.h>

#include "app/options.h"

#define O(name) ((option_set)1 << OPTION_##name)

enum { UNGROUPED_MAX = 8 };

static const struct {
    const char *title;
    option_set options;
} groups[] = {
    {"addresses", O(LISTEN) | O(OTLP_HTTP) | O(OTLP_GRPC) | O(JAEGER) | O(PROMETHEUS) | O(OLLYSTACK) | O(COMPAT_PORTS)},
    {"what is kept",
     O(DATA) | O(RETENTION) | O(FLUSH_AGE) | O(DISK_USE_MAX) | O(DISK_FREE_MIN) | O(REDACT) | O(CORRELATION)},
    {"which rows", O(SERVICE) | O(ENVIRONMENT) | O(OPERATION) | O(WHERE) | O(MIN_DURATION) | O(MAX_DURATION) |
                       O(STATUS) | O(SEVERITY) | O(TEXT) | O(TRACE) | O(START) | O(END) | O(TRACES) | O(LOGS) |
                       O(TIME) | O(RANGE) | O(STEP) | O(LIMIT) | O(ORDER) | O(CURSOR) | O(FOLLOW)},
    {"what is sent",
     O(SIGNAL) | O(SHAPE) | O(STORIES) | O(SEED) | O(RATE) | O(COUNT) | O(FOR) | O(CONNECTIONS) | O(ITEMS) | O(OVER)},
    {"how, and where to", O(OTLP) | O(GZIP) | O(ENCODING) | O(GRPC) | O(TO_FILE)},
    {"which clew, and who asks", O(SERVER) | O(TOKEN) | O(TOKEN_FILE) | O(TENANT)},
    {"who may do how much", O(LIMITS) | O(CORS_ORIGIN) | O(ALLOW_HOST)},
    {"TLS", O(TLS_CERT) | O(TLS_KEY) | O(TLS_CLIENT_CA) | O(TLS_CLIENT) | O(PLAIN_TEXT) | O(TLS_CA) | O(INSECURE)},
    {"memory, threads, log", O(MEMORY_LIMIT) | O(WORKERS) | O(LOG_LEVEL) | O(LOG_FORMAT)},
};

void arguments_overview(struct str topic, struct buf *out) {
    if (!topic.n) buf_add_text(out, "clew: traces and logs in, answers out, from one program.\n\n");
    buf_add_fmt(out, "usage: clew " STR_FMT "%sCOMMAND [OPTION ...]\n\n", STR_ARG(topic), topic.n ? " " : "");
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        if (topic.n && (strncmp(c->name, topic.p, topic.n) != 0 || c->name[topic.n] != ' ')) continue;
        buf_add_fmt(out, "  %-13s %-10s %s\n", c->name, c->positions, c->help);
    }
    buf_add_text(out, "\n`clew COMMAND --help` lists a command's options. Each is also CLEW_NAME in the environment: "
                      "--data is CLEW_DATA.\n");
}

static void put_option(struct buf *out, enum option o) {
    const struct option_row *row = option_row(o);
    char head[64];
    snprintf(head, sizeof head, "--%s%s%s", row->name, row->value ? " " : "", row->value ? row->value : "");
    buf_add_fmt(out, "  %-26s %s", head, row->help);
    if (row->fallback && *row->fallback) buf_add_fmt(out, " (%s)", row->fallback);
    buf_add_text(out, "\n");
}

static void put_options(struct buf *out, option_set set) {
    for (int o = 0; o < OPTIONS; o++)
        if (set >> o & 1) put_option(out, (enum option)o);
}

static int count_options(option_set set) {
    return __builtin_popcountll((uint64_t)set) + __builtin_popcountll((uint64_t)(set >> 64));
}

void arguments_help(const struct command *command, struct buf *out) {
    if (!command) {
        arguments_overview(STR(""), out);
        return;
    }
    buf_add_fmt(out, "usage: clew %s%s%s [OPTION ...]\n\n%s\n", command->name, *command->positions ? " " : "",
                command->positions, command->help);
    option_set left = command->options;
    for (size_t g = 0; g < LENGTH(groups) && count_options(command->options) > UNGROUPED_MAX; g++) {
        if (!(left & groups[g].options)) continue;
        buf_add_fmt(out, "\n%s:\n", groups[g].title);
        put_options(out, left & groups[g].options);
        left &= ~groups[g].options;
    }
    if (left) buf_add_text(out, left == command->options ? "\n" : "\nand:\n");
    put_options(out, left);
}
