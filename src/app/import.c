/* clew import metrics: samples as they are scraped, from a file or standard input, in pieces that the server takes whole or not at all.
 *
 *   lines │ lines │ lines         a piece ends with a line; what # TYPE, # HELP and # UNIT said last is said again in the next
 */
#include <stdio.h>

#include "app/command.h"
#include "app/json_tree.h"
#include "base/arena.h"
#include "base/text.h"

/* A line has at least four bytes, so that a piece has fewer samples than a request may. */
enum { PIECE_BYTES = 3 << 20, INPUT_BYTES_MAX = 1 << 30, ANSWER_BYTES = 1 << 20 };
#define PIECE_TIMEOUT_NS ((int64_t)120 * 1000000000)

struct import {
    struct command_connection to;
    const char *fields[5]; /* ended by NULL */
    bool open_metrics;
    struct str rest;     /* of the input */
    struct str metadata; /* the lines that the last family began with */
    size_t line;         /* where `rest` begins; the first is 1 */
    struct buf body;
    uint64_t taken, rejected, exemplars;
    char message[512]; /* of the first piece of which something was rejected */
};

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static err read_input(struct str name, struct buf *out) {
    if (!str_equal(name, STR("-"))) return command_read_file(name, INPUT_BYTES_MAX, out);
    char some[64 * KIB];
    buf_init(out, INPUT_BYTES_MAX);
    for (size_t n; (n = fread(some, 1, sizeof some, stdin)) > 0;) buf_add(out, some, n);
    if (ferror(stdin)) return err_new(ERR_IO, "standard input cannot be read");
    return out->full ? err_new(ERR_LIMIT, "standard input is over 1 GiB: import it in parts") : NULL;
}

/* OpenMetrics ends with # EOF; the text format has times in milliseconds, so that one must not be taken for the other. */
static bool is_open_metrics(struct str input) { return str_ends_with(str_trim(input), STR("\n# EOF")); }

static struct str take_line(struct str *rest) {
    const char *end = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    size_t n = end ? (size_t)(end - rest->p) + 1 : rest->n;
    struct str line = {rest->p, n};
    *rest = (struct str){rest->p + n, rest->n - n};
    return line;
}

/* The next piece, to i->body; *out_line: where it begins. */
static void next_piece(struct import *i, size_t *out_line) {
    bool in_metadata = false;
    *out_line = i->line;
    buf_clear(&i->body);
    buf_add_str(&i->body, i->metadata);
    while (i->rest.n && i->body.n < PIECE_BYTES) {
        struct str line = take_line(&i->rest);
        bool metadata = line.p[0] == '#';
        if (metadata && !in_metadata) i->metadata = (struct str){line.p, 0};
        if (metadata) i->metadata.n += line.n;
        in_metadata = metadata;
        i->line++;
        buf_add_str(&i->body, line);
    }
    if (i->open_metrics && i->rest.n) buf_add_text(&i->body, "# EOF\n");
}

/* ---- sending ---------------------------------------------------------------------------------------------------- */

static err read_counts(struct import *i, struct str answer) {
    AUTO_ARENA struct arena arena;
    const struct json_node *tree = NULL;
    arena_init(&arena, ANSWER_BYTES);
    TRY(json_tree_read(&arena, answer, &tree));
    i->taken += (uint64_t)json_tree_number(tree, "taken");
    i->rejected += (uint64_t)json_tree_number(tree, "rejected");
    i->exemplars += (uint64_t)json_tree_number(tree, "exemplars");
    struct str message = json_tree_text(tree, "message");
    if (!i->message[0] && message.n) snprintf(i->message, sizeof i->message, STR_FMT, STR_ARG(message));
    return NULL;
}

static err send_piece(struct import *i) {
    struct http_answer answer = {0};
    err e = http_call_wait(i->to.client, "POST", i->to.url.p, i->fields, buf_str(&i->body), PIECE_TIMEOUT_NS,
                           ANSWER_BYTES, &answer);
    e = command_outcome(&i->to, e, &answer);
    if (!e) e = read_counts(i, buf_str(&answer.body));
    buf_done(&answer.body);
    return e;
}

static err send_all(struct import *i, struct str input) {
    i->rest = input;
    i->line = 1;
    while (i->rest.n) {
        size_t line, said_again = 0;
        for (size_t k = 0; k < i->metadata.n; k++) said_again += i->metadata.p[k] == '\n';
        next_piece(i, &line);
        if (i->body.full) return err_new(ERR_LIMIT, "line %zu is longer than a request may be", i->line - 1);
        err e = send_piece(i);
        if (e && line > 1)
            return err_wrap(e, "in the piece from line %zu on (its line %zu), after %llu samples were taken", line,
                            said_again + 1, (unsigned long long)i->taken);
        TRY(e);
        command_progress("imported %llu samples", (unsigned long long)i->taken);
    }
    return NULL;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static err tell(const struct arguments *a, const struct import *i) {
    if (argument_flag(a, OPTION_JSON))
        command_say("{\"taken\":%llu,\"rejected\":%llu,\"exemplars\":%llu}", (unsigned long long)i->taken,
                    (unsigned long long)i->rejected, (unsigned long long)i->exemplars);
    else
        command_say("imported %llu samples and %llu exemplars", (unsigned long long)i->taken,
                    (unsigned long long)i->exemplars);
    if (!i->rejected) return NULL;
    AUTO_BUF struct buf why;
    buf_init(&why, 4 * KIB);
    put_terminal(&why, str_of(i->message));
    return err_new(ERR_INVALID, "%llu samples were rejected: %s", (unsigned long long)i->rejected, why.n ? why.p : "");
}

static err connect_to(struct import *i, const struct arguments *a) {
    AUTO_BUF struct buf path;
    size_t n = 0;
    buf_init(&path, 32 * KIB);
    buf_add_text(&path, "/api/v1/import");
    command_add_option(&path, "job", a, OPTION_JOB);
    command_add_option(&path, "instance", a, OPTION_INSTANCE);
    command_add_option(&path, "label", a, OPTION_LABEL);
    if (path.full) return err_new(ERR_LIMIT, "too many labels");
    TRY(command_connect(a, path.p, &i->to));
    i->fields[n++] = i->open_metrics ? "Content-Type: application/openmetrics-text; version=1.0.0"
                                     : "Content-Type: text/plain; version=0.0.4";
    for (size_t k = 0; i->to.who.fields[k]; k++) i->fields[n++] = i->to.who.fields[k];
    return NULL;
}

err command_import_metrics(const struct arguments *a) {
    struct import i = {.line = 1};
    AUTO_BUF struct buf input = {0};
    TRY(read_input(a->positions[0], &input));
    i.open_metrics = is_open_metrics(buf_str(&input));
    buf_init(&i.body, 60 * MIB);
    err e = connect_to(&i, a);
    if (!e) e = send_all(&i, buf_str(&input));
    command_progress_end();
    if (!e) e = tell(a, &i);
    command_connection_done(&i.to);
    buf_done(&i.body);
    return e;
}
