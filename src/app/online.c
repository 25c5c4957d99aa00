/* The sub-commands that ask a running clew to do something: delete, backup; or how it is: health. */
#include <stdio.h>

#include "app/command.h"
#include "app/json_tree.h"
#include "os/process.h"

/* ---- delete ----------------------------------------------------------------------------------------------------- */

static err build_delete(const struct arguments *a, struct buf *path) {
    bool traces = argument_flag(a, OPTION_TRACES), logs = argument_flag(a, OPTION_LOGS);
    bool by_trace = a->given[OPTION_TRACE] > 0, by_range = a->given[OPTION_START] > 0 && a->given[OPTION_END] > 0;
    if (!by_trace && !by_range)
        return err_new(ERR_INVALID,
                       "say what to delete: --trace ID, or both --start and --end (with --service, --where)");
    buf_add_text(path, "/api/v1/admin/delete");
    command_add_param(path, "signal", traces == logs ? STR("all") : traces ? STR("spans") : STR("logs"));
    command_add_option(path, "trace_id", a, OPTION_TRACE);
    command_add_option(path, "start", a, OPTION_START);
    command_add_option(path, "end", a, OPTION_END);
    command_add_option(path, "where", a, OPTION_WHERE);
    if (a->given[OPTION_SERVICE]) {
        AUTO_BUF struct buf where;
        buf_init(&where, 32 * KIB);
        buf_add_text(&where, "resource.service.name=");
        buf_add_str(&where, argument_text(a, OPTION_SERVICE));
        if (where.full) return err_new(ERR_LIMIT, "--service is too long"); /* a shorter one would be another's */
        command_add_param(path, "where", buf_str(&where));
    }
    if (argument_flag(a, OPTION_PROVE)) command_add_param(path, "verify", STR("true"));
    return path->full ? err_new(ERR_LIMIT, "too many conditions") : NULL;
}

/* Asks on a terminal; elsewhere only --yes will do, since nobody could answer. */
static err confirm(const struct arguments *a) {
    char answer[16] = "";
    if (argument_flag(a, OPTION_YES)) return NULL;
    if (!process_is_terminal(0)) return err_new(ERR_INVALID, "deleting needs --yes where nobody can be asked");
    fputs("Delete these rows for ever? [y/N] ", stderr);
    if (fgets(answer, sizeof answer, stdin) && (answer[0] == 'y' || answer[0] == 'Y')) return NULL;
    return err_new(ERR_CANCELLED, "nothing was deleted");
}

err command_delete(const struct arguments *a) {
    AUTO_BUF struct buf path, answer = {0};
    buf_init(&path, 32 * KIB);
    TRY(build_delete(a, &path));
    TRY(confirm(a));
    command_progress("deleting");
    err e = command_ask_wait(a, "POST", path.p, (struct str){0}, &answer);
    command_progress_end();
    TRY(e);
    if (argument_flag(a, OPTION_JSON))
        command_say(STR_FMT, STR_ARG(buf_str(&answer)));
    else
        command_say("deleted: no answer shows these rows%s", argument_flag(a, OPTION_PROVE)
                                                                 ? ", and no byte of them is left on disk"
                                                                 : "; their bytes go within 24 hours (--verify: now)");
    return NULL;
}

/* ---- backup ----------------------------------------------------------------------------------------------------- */

static void say_backup(const struct arguments *a, struct str answer) {
    AUTO_ARENA struct arena arena;
    const struct json_node *tree;
    arena_init(&arena, MIB);
    err e = json_tree_read(&arena, answer, &tree);
    struct str records = e ? (struct str){0} : json_tree_text(tree, "records");
    err_free(e);
    command_say(STR_FMT " holds everything acknowledged until now; bring it back with: clew restore " STR_FMT
                        " --data DIR",
                STR_ARG(a->positions[0]), STR_ARG(a->positions[0]));
    if (records.n && !str_equal(records, STR("contained"))) command_say("records: " STR_FMT, STR_ARG(records));
}

err command_backup(const struct arguments *a) {
    AUTO_BUF struct buf path, answer = {0};
    buf_init(&path, 32 * KIB);
    buf_add_text(&path, "/api/v1/admin/backup");
    command_add_param(&path, "to", a->positions[0]);
    command_progress("copying to " STR_FMT, STR_ARG(a->positions[0]));
    err e = command_ask_wait(a, "POST", path.p, (struct str){0}, &answer);
    command_progress_end();
    TRY(e);
    if (argument_flag(a, OPTION_JSON))
        command_say(STR_FMT, STR_ARG(buf_str(&answer)));
    else
        say_backup(a, buf_str(&answer));
    return NULL;
}

/* ---- health ----------------------------------------------------------------------------------------------------- */

/* Whatever is wrong, the status is 1: those who start containers know no other. */
err command_health(const struct arguments *a) {
    AUTO_BUF struct buf answer = {0};
    err e = command_ask_wait(a, "GET", "/ready", (struct str){0}, &answer);
    if (e) return err_as(err_wrap(e, "not ready"), ERR_INTERNAL);
    command_say(STR_FMT, STR_ARG(argument_flag(a, OPTION_JSON) ? buf_str(&answer) : STR("ready")));
    return NULL;
}
