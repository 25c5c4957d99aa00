/* Completion for shells and the manual page, out of the tables of commands and options. */
#include "app/manual.h"

#include <stdio.h>

#include "app/command.h"
#include "base/text.h"

static bool has_option(const struct command *c, int o) { return c->options >> o & 1; }

/* "query traces" → query_traces */
static void put_name(struct buf *out, const char *name, char blank) {
    for (; *name; name++) buf_add_byte(out, *name == ' ' ? blank : *name);
}

/* ---- bash ------------------------------------------------------------------------------------------------------- */

static bool value_is(const struct option_row *row, const char *value) {
    return row->value && strcmp(row->value, value) == 0;
}

static const char *position_action(const char *positions) {
    if (strcmp(positions, "FILE") == 0) return "-f";
    if (strcmp(positions, "DIR") == 0 || strcmp(positions, "BACKUP") == 0) return "-d";
    if (strcmp(positions, "SHELL") == 0) return "-W \"bash zsh\"";
    return NULL;
}

static void put_bash_values(struct buf *out) {
    for (int o = 0; o < OPTIONS; o++) {
        const struct option_row *row = option_row((enum option)o);
        if (row->choices)
            buf_add_fmt(out, "    --%s) COMPREPLY=($(compgen -W \"%s\" -- \"$cur\")); return ;;\n", row->name,
                        row->choices);
        else if (value_is(row, "DIR") || value_is(row, "FILE"))
            buf_add_fmt(out, "    --%s) COMPREPLY=($(compgen -%c -- \"$cur\")); return ;;\n", row->name,
                        *row->value == 'D' ? 'd' : 'f');
        else if (row->value)
            buf_add_fmt(out, "    --%s) return ;;\n", row->name);
    }
}

static void put_bash_command(struct buf *out, const struct command *c) {
    buf_add_fmt(out, "    \"%s\")\n        options=\"", c->name);
    for (int o = 0; o < OPTIONS; o++)
        if (has_option(c, o)) buf_add_fmt(out, "--%s ", option_row((enum option)o)->name);
    buf_add_text(out, "--help\"");
    const char *action = position_action(c->positions);
    if (action) buf_add_fmt(out, "\n        positions=($(compgen %s -- \"$cur\"))", action);
    buf_add_text(out, " ;;\n");
}

/* First words of commands, each once; or the second words of those that begin with `first`. */
static void put_words(struct buf *out, const char *first) {
    struct str seen = {NULL, 0};
    for (size_t i = 0; i < command_count; i++) {
        struct str head, tail;
        bool two = str_cut(str_of(commands[i].name), ' ', &head, &tail);
        struct str word = first ? (two && str_equal(head, str_of(first)) ? tail : (struct str){NULL, 0}) : head;
        if (!word.n || str_equal(word, seen)) continue;
        seen = word;
        buf_add_fmt(out, "%s" STR_FMT, out->n && !strchr("\":", out->p[out->n - 1]) ? " " : "", STR_ARG(word));
    }
}

/* fn for each word that commands of two words begin with, once. */
static void each_first_of_two(struct buf *out, void (*fn)(struct buf *, const char *)) {
    char seen[64] = "";
    for (size_t i = 0; i < command_count; i++) {
        struct str head, tail;
        if (!str_cut(str_of(commands[i].name), ' ', &head, &tail) || str_equal(head, str_of(seen))) continue;
        snprintf(seen, sizeof seen, STR_FMT, STR_ARG(head));
        fn(out, seen);
    }
}

static void put_bash_second(struct buf *out, const char *first) {
    buf_add_fmt(out, "    %s) second=\"", first);
    put_words(out, first);
    buf_add_text(out, "\" ;;\n");
}

void manual_bash(struct buf *out) {
    buf_add_text(out,
                 "# clew: completion for bash, made by `clew completion bash`\n_clew() {\n"
                 "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} options= positions=()\n"
                 "    local command=${COMP_WORDS[1]-}\n    COMPREPLY=()\n    if ((COMP_CWORD == 1)); then\n"
                 "        COMPREPLY=($(compgen -W \"");
    put_words(out, NULL);
    buf_add_text(out, " help\" -- \"$cur\"))\n        return\n    fi\n    case $prev in\n");
    put_bash_values(out);
    buf_add_text(out, "    esac\n    local second=\n    case $command in\n");
    each_first_of_two(out, put_bash_second);
    buf_add_text(out,
                 "    esac\n    if [[ -n $second ]] && ((COMP_CWORD == 2)) && [[ $cur != -* ]]; then\n"
                 "        COMPREPLY=($(compgen -W \"$second\" -- \"$cur\"))\n        return\n    fi\n"
                 "    [[ -z $second || \" $second \" != *\" ${COMP_WORDS[2]} \"* ]] || command+=\" ${COMP_WORDS[2]}\"\n"
                 "    case $command in\n");
    for (size_t i = 0; i < command_count; i++) put_bash_command(out, &commands[i]);
    buf_add_text(out, "    esac\n    if [[ $cur == -* || ${#positions[@]} == 0 ]]; then\n"
                      "        COMPREPLY=($(compgen -W \"$options\" -- \"$cur\"))\n    else\n"
                      "        COMPREPLY=(\"${positions[@]}\")\n    fi\n}\ncomplete -F _clew clew\n");
}

/* ---- zsh -------------------------------------------------------------------------------------------------------- */

/* Within '…[…]': brackets, colons and quotes mean something to _arguments. */
static void put_zsh_text(struct buf *out, const char *text) {
    for (; *text; text++) {
        if (*text == '\'') {
            buf_add_text(out, "'\\''");
            continue;
        }
        if (strchr("[]:\\", *text)) buf_add_byte(out, '\\');
        buf_add_byte(out, *text);
    }
}

static void put_zsh_option(struct buf *out, const struct option_row *row) {
    buf_add_fmt(out, " \\\n        '%s--%s%s[", row->repeats ? "*" : "", row->name, row->value ? "=" : "");
    put_zsh_text(out, row->help);
    buf_add_byte(out, ']');
    if (row->value) buf_add_fmt(out, ":%s:", row->value);
    if (row->choices)
        buf_add_fmt(out, "(%s)", row->choices);
    else if (value_is(row, "DIR"))
        buf_add_text(out, "_directories");
    else if (value_is(row, "FILE"))
        buf_add_text(out, "_files");
    buf_add_byte(out, '\'');
}

static void put_zsh_command(struct buf *out, const struct command *c) {
    buf_add_fmt(out, "    '%s')\n        _arguments", c->name);
    for (int o = 0; o < OPTIONS; o++)
        if (has_option(c, o)) put_zsh_option(out, option_row((enum option)o));
    buf_add_text(out, " \\\n        '--help[this text]'");
    const char *action = position_action(c->positions);
    if (*c->positions)
        buf_add_fmt(out, " \\\n        '1:%s:%s'", c->positions,
                    !action            ? ""
                    : action[1] == 'f' ? "_files"
                    : action[1] == 'd' ? "_directories"
                                       : "(bash zsh)");
    buf_add_text(out, " ;;\n");
}

static void put_zsh_entry(struct buf *out, struct str name, const char *help) {
    buf_add_fmt(out, "'" STR_FMT ":", STR_ARG(name));
    put_zsh_text(out, help);
    buf_add_text(out, "' ");
}

static void put_zsh_first(struct buf *out, const char *first) {
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, first) == 0) return; /* it stands in the list by itself */
    buf_add_fmt(out, "'%s:", first);
    put_words(out, first);
    buf_add_text(out, "' ");
}

static void put_zsh_second(struct buf *out, const char *first) {
    buf_add_fmt(out, "    %s) second=(", first);
    for (size_t i = 0; i < command_count; i++) {
        struct str head, tail;
        if (str_cut(str_of(commands[i].name), ' ', &head, &tail) && str_equal(head, str_of(first)))
            put_zsh_entry(out, tail, commands[i].help);
    }
    buf_add_text(out, ") ;;\n");
}

void manual_zsh(struct buf *out) {
    buf_add_text(out, "#compdef clew\n# clew: completion for zsh, made by `clew completion zsh`\n_clew() {\n"
                      "    local -a second commands=(");
    for (size_t i = 0; i < command_count; i++)
        if (!strchr(commands[i].name, ' ')) put_zsh_entry(out, str_of(commands[i].name), commands[i].help);
    each_first_of_two(out, put_zsh_first);
    buf_add_text(out, ")\n    if ((CURRENT == 2)); then\n        _describe command commands\n        return\n    fi\n"
                      "    local command=$words[2]\n    case $command in\n");
    each_first_of_two(out, put_zsh_second);
    buf_add_text(out, "    esac\n    if (($#second && CURRENT == 3)) && [[ $words[3] != -* ]]; then\n"
                      "        _describe command second\n        return\n    fi\n"
                      "    if [[ -n ${(M)second:#${(b)words[3]}:*} ]]; then\n"
                      "        command+=\" $words[3]\"\n        shift words\n        ((CURRENT--))\n    fi\n"
                      "    shift words\n    ((CURRENT--))\n    case $command in\n");
    for (size_t i = 0; i < command_count; i++) put_zsh_command(out, &commands[i]);
    buf_add_text(out, "    esac\n}\n_clew \"$@\"\n");
}

/* ---- the manual page -------------------------------------------------------------------------------------------- */

/* man(7): a backslash and a point or quote at the start of a line are commands; a - is typed by people, so \-. */
static void put_roff(struct buf *out, const char *text) {
    for (bool start = true; *text; text++, start = false) {
        if (start && (*text == '.' || *text == '\'')) buf_add_text(out, "\\&");
        if (*text == '\\')
            buf_add_text(out, "\\e");
        else if (*text == '-')
            buf_add_text(out, "\\-");
        else
            buf_add_byte(out, *text);
    }
}

static void put_roff_option(struct buf *out, const struct option_row *row) {
    buf_add_text(out, ".TP\n.B ");
    buf_add_text(out, "\\-\\-");
    put_roff(out, row->name);
    if (row->value) buf_add_fmt(out, " \\fI%s\\fR", row->value);
    buf_add_byte(out, '\n');
    put_roff(out, row->help);
    if (row->fallback && *row->fallback) {
        buf_add_text(out, " (");
        put_roff(out, row->fallback);
        buf_add_byte(out, ')');
    }
    buf_add_byte(out, '\n');
}

static void put_roff_command(struct buf *out, const struct command *c) {
    buf_add_fmt(out, ".SS clew %s%s%s\n", c->name, *c->positions ? " " : "", c->positions);
    put_roff(out, c->help);
    buf_add_byte(out, '\n');
    for (int o = 0; o < OPTIONS; o++)
        if (has_option(c, o)) put_roff_option(out, option_row((enum option)o));
}

static void put_exit_statuses(struct buf *out) {
    buf_add_text(out, ".SH EXIT STATUS\n.TP\n0\ndone\n");
    for (int k = 0; k < ERR_KINDS; k++) {
        bool first = true;
        for (int before = 0; before < k; before++)
            first = first && err_kind_rows[before].exit_code != err_kind_rows[k].exit_code;
        if (!first) continue;
        buf_add_fmt(out, ".TP\n%d\n", err_kind_rows[k].exit_code);
        const char *comma = "";
        for (int same = k; same < ERR_KINDS; same++) {
            if (err_kind_rows[same].exit_code != err_kind_rows[k].exit_code) continue;
            buf_add_text(out, comma);
            put_name(out, err_kind_rows[same].name, ' ');
            comma = ", ";
        }
        buf_add_byte(out, '\n');
    }
}

void manual_page(struct buf *out) {
    buf_add_text(out,
                 ".TH CLEW 1 \"\" \"clew " CLEW_VERSION "\" \"User commands\"\n.SH NAME\n"
                 "clew \\- traces and logs in, answers out, from one program\n.SH SYNOPSIS\n.B clew\n"
                 ".I COMMAND\n[\\fIOPTION\\fR ...]\n.SH DESCRIPTION\n"
                 "Takes OpenTelemetry over the network, keeps it in a data directory, answers questions about it.\n"
                 ".SH COMMANDS\n");
    for (size_t i = 0; i < command_count; i++) put_roff_command(out, &commands[i]);
    put_exit_statuses(out);
    buf_add_text(out, ".SH ENVIRONMENT\nEvery option is also a variable: \\-\\-data is CLEW_DATA, "
                      "\\-\\-otlp\\-http is CLEW_OTLP_HTTP. A flag wins over the environment.\n");
}

/* ---- the commands ----------------------------------------------------------------------------------------------- */

enum { MANUAL_BYTES_MAX = 1 << 20 };

err command_completion(const struct arguments *a) {
    AUTO_BUF struct buf out;
    buf_init(&out, MANUAL_BYTES_MAX);
    if (str_equal(a->positions[0], STR("bash")))
        manual_bash(&out);
    else if (str_equal(a->positions[0], STR("zsh")))
        manual_zsh(&out);
    else
        return err_new(ERR_INVALID, "completion is there for bash and zsh, not for \"" STR_FMT "\"",
                       STR_ARG(a->positions[0]));
    command_print(&out);
    return NULL;
}

err command_man(const struct arguments *a) {
    (void)a;
    AUTO_BUF struct buf out;
    buf_init(&out, MANUAL_BYTES_MAX);
    manual_page(&out);
    command_print(&out);
    return NULL;
}
