/* clew dashboard list, import, export. */
#include <stdio.h>

#include "app/command.h"
#include "app/json_tree.h"
#include "base/arena.h"
#include "base/text.h"

enum { FILE_BYTES_MAX = 16 << 20, ANSWER_BYTES_MAX = 64 << 20 };
#define TIMEOUT_NS ((int64_t)60 * 1000000000)

/* ---- list ---------------------------------------------------------------------------------------------------------- */

static void put_row(struct buf *out, const struct json_node *d) {
    struct str id = json_tree_text(d, "id"), updated = json_tree_text(d, "updated");
    put_terminal(out, id);
    for (size_t n = id.n; n < 18; n++) buf_add_byte(out, ' ');
    buf_add_fmt(out, "%-16.16s  ", updated.n ? updated.p : "ships with clew");
    put_terminal(out, json_tree_text(d, "name"));
    buf_add_byte(out, '\n');
}

err command_dashboard_list(const struct arguments *a) {
    AUTO_ARENA struct arena arena;
    AUTO_BUF struct buf answer = {0}, out;
    const struct json_node *tree = NULL;
    arena_init(&arena, ANSWER_BYTES_MAX);
    buf_init(&out, ANSWER_BYTES_MAX);
    TRY(command_ask_wait(a, "GET", "/api/v1/dashboards", (struct str){0}, &answer));
    if (argument_flag(a, OPTION_JSON)) {
        command_say(STR_FMT, STR_ARG(buf_str(&answer)));
        return NULL;
    }
    TRY(json_tree_read(&arena, buf_str(&answer), &tree));
    for (const struct json_node *d = json_tree_get(tree, "dashboards")->first; d; d = d->next) put_row(&out, d);
    command_print(&out);
    return NULL;
}

/* ---- import -------------------------------------------------------------------------------------------------------- */

static err send_file(const struct arguments *a, struct str body, struct buf *out) {
    struct command_connection to = {0};
    struct http_answer answer = {0};
    const char *fields[5] = {"Content-Type: application/json"};
    AUTO_BUF struct buf path;
    buf_init(&path, 16 * KIB);
    buf_add_text(&path, "/api/v1/dashboards/import");
    command_add_option(&path, "title", a, OPTION_TITLE);
    if (argument_flag(a, OPTION_DRY_RUN)) command_add_param(&path, "dry_run", STR("true"));
    err e = path.full ? err_new(ERR_LIMIT, "--title is too long") : command_connect(a, path.p, &to);
    for (size_t k = 0; !e && to.who.fields[k]; k++) fields[k + 1] = to.who.fields[k];
    if (!e)
        e = command_outcome(
            &to, http_call_wait(to.client, "POST", to.url.p, fields, body, TIMEOUT_NS, ANSWER_BYTES_MAX, &answer),
            &answer);
    command_connection_done(&to);
    if (e)
        buf_done(&answer.body);
    else
        *out = answer.body;
    return e;
}

/* What could not be kept goes to standard error, so that it is seen wherever the id goes. */
static void put_notes(const struct json_node *tree) {
    AUTO_BUF struct buf text;
    int64_t left_out = json_tree_number(tree, "notes_left_out");
    buf_init(&text, ANSWER_BYTES_MAX);
    for (const struct json_node *n = json_tree_get(tree, "notes")->first; n; n = n->next) {
        put_terminal(&text, json_tree_text(n, "path"));
        if (json_tree_text(n, "title").n) {
            buf_add_text(&text, " (");
            put_terminal(&text, json_tree_text(n, "title"));
            buf_add_byte(&text, ')');
        }
        buf_add_text(&text, ": ");
        put_terminal(&text, json_tree_text(n, "what"));
        buf_add_byte(&text, '\n');
    }
    if (text.n) fprintf(stderr, "could not be kept as it was:\n%s", text.p);
    if (left_out) fprintf(stderr, "and %lld more\n", (long long)left_out);
}

err command_dashboard_import(const struct arguments *a) {
    AUTO_ARENA struct arena arena;
    AUTO_BUF struct buf body = {0}, answer = {0}, out;
    const struct json_node *tree = NULL;
    arena_init(&arena, ANSWER_BYTES_MAX);
    buf_init(&out, ANSWER_BYTES_MAX);
    TRY(command_read_file(a->positions[0], FILE_BYTES_MAX, &body));
    TRY(send_file(a, buf_str(&body), &answer));
    if (argument_flag(a, OPTION_JSON)) {
        command_say(STR_FMT, STR_ARG(buf_str(&answer)));
        return NULL;
    }
    TRY(json_tree_read(&arena, buf_str(&answer), &tree));
    put_notes(tree);
    if (argument_flag(a, OPTION_DRY_RUN)) {
        command_say("nothing is kept: --dry-run");
        return NULL;
    }
    buf_add_text(&out, "imported ");
    put_terminal(&out, json_tree_text(tree, "name"));
    buf_add_fmt(&out, " as " STR_FMT "\n", STR_ARG(json_tree_text(tree, "id")));
    command_print(&out);
    return NULL;
}

/* ---- export -------------------------------------------------------------------------------------------------------- */

err command_dashboard_export(const struct arguments *a) {
    AUTO_BUF struct buf path, answer = {0};
    buf_init(&path, 4 * KIB);
    buf_add_text(&path, "/api/v1/dashboards/");
    command_add_encoded(&path, a->positions[0]);
    buf_add_text(&path, argument_flag(a, OPTION_GRAFANA) ? "/export?format=grafana" : "/export");
    if (path.full) return err_new(ERR_INVALID, "an id has at most 64 bytes");
    TRY(command_ask_wait(a, "GET", path.p, (struct str){0}, &answer));
    command_print(&answer);
    return NULL;
}
