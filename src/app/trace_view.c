/* clew trace ID: a waterfall in the terminal.
 *
 *   ├─ service name            ▕   ▇▇▇▇▇▇      ▏ 12.3ms
 */
#include <stdio.h>

#include "app/command.h"
#include "app/json_tree.h"
#include "base/text.h"
#include "os/process.h"

enum { ANSWER_TREE_MAX = 1 << 30, WIDTH_MIN = 60, WIDTH_MAX = 200, DURATION_WIDTH = 10 };

struct view {
    struct colors colors;
    int label_width, bar_width;
    int64_t start_ns, duration_ns;
    struct buf out;
};

/* Columns that text takes: one a character; wide East Asian characters count as one, so their bars may stand askew. */
static int columns_of(struct str s) {
    int n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
    return n;
}

/* Text cut or padded to a width. */
static void put_column(struct buf *out, struct str s, int width) {
    int columns = columns_of(s);
    if (columns <= width) {
        buf_add_str(out, s);
        for (; columns < width; columns++) buf_add_byte(out, ' ');
        return;
    }
    size_t end = 0;
    for (int left = width - 1; end < s.n; end++)
        if (((unsigned char)s.p[end] & 0xc0) != 0x80 && left-- == 0) break;
    buf_add(out, s.p, end);
    buf_add_text(out, "…");
}

static void put_label(struct view *v, const struct json_node *span, bool error) {
    AUTO_BUF struct buf label;
    int64_t depth = json_tree_number(span, "depth");
    buf_init(&label, 64 * KIB);
    for (int64_t i = 0; i < MIN(depth, 40); i++) buf_add_text(&label, i + 1 == depth ? "└ " : "  ");
    put_terminal(&label, json_tree_text(span, "service"));
    buf_add_byte(&label, ' ');
    put_terminal(&label, json_tree_text(span, "name"));
    if (error) buf_add_text(&v->out, v->colors.red);
    buf_add_text(&v->out, error ? "✗ " : "  ");
    put_column(&v->out, buf_str(&label), v->label_width);
    buf_add_text(&v->out, v->colors.reset);
}

static void put_bar(struct view *v, int64_t start_ns, int64_t duration_ns, bool error) {
    double scale = v->duration_ns > 0 ? (double)v->bar_width / (double)v->duration_ns : 0;
    int from = (int)((double)(start_ns - v->start_ns) * scale), to = (int)((double)(start_ns - v->start_ns + duration_ns) * scale);
    from = MAX(0, MIN(from, v->bar_width - 1));
    to = MAX(from + 1, MIN(to, v->bar_width));
    buf_add_text(&v->out, "▕");
    buf_add_text(&v->out, error ? v->colors.red : v->colors.cyan);
    for (int i = 0; i < v->bar_width; i++) buf_add_text(&v->out, i >= from && i < to ? (to - from == 1 ? "▏" : "█") : " ");
    buf_add_text(&v->out, v->colors.reset);
    buf_add_text(&v->out, "▏");
}

static err put_span(struct view *v, const struct json_node *span) {
    int64_t start_ns, duration_ns = json_tree_number(span, "duration_ns");
    const struct json_node *status = json_tree_get(span, "status");
    bool error = str_equal(json_tree_text(status, "code"), STR("error"));
    TRY(parse_time(json_tree_text(span, "start"), 0, &start_ns));
    put_label(v, span, error);
    put_bar(v, start_ns, duration_ns, error);
    AUTO_BUF struct buf duration;
    buf_init(&duration, 64);
    put_duration_short(&duration, duration_ns);
    for (int i = columns_of(buf_str(&duration)); i < DURATION_WIDTH; i++) buf_add_byte(&v->out, ' ');
    buf_add_str(&v->out, buf_str(&duration));
    struct str message = json_tree_text(status, "message");
    if (message.n) {
        buf_add_fmt(&v->out, " %s", v->colors.red);
        put_terminal(&v->out, message);
        buf_add_text(&v->out, v->colors.reset);
    }
    buf_add_byte(&v->out, '\n');
    return NULL;
}

static void put_head(struct view *v, const struct json_node *trace) {
    const struct json_node *root = json_tree_get(trace, "root");
    int64_t errors = json_tree_number(trace, "error_count"), missing = 0;
    buf_add_text(&v->out, v->colors.bold);
    put_terminal(&v->out, json_tree_text(root, "service"));
    buf_add_byte(&v->out, ' ');
    put_terminal(&v->out, json_tree_text(root, "operation"));
    buf_add_fmt(&v->out, "%s  trace %.*s\n%.*s, ", v->colors.reset, STR_ARG(json_tree_text(trace, "trace_id")),
                STR_ARG(json_tree_text(trace, "start")));
    put_duration_short(&v->out, v->duration_ns);
    buf_add_fmt(&v->out, ", %lld spans", (long long)json_tree_number(trace, "span_count"));
    if (errors) buf_add_fmt(&v->out, ", %s%lld with errors%s", v->colors.red, (long long)errors, v->colors.reset);
    for (const struct json_node *n = json_tree_get(trace, "missing_parents")->first; n; n = n->next) missing++;
    if (missing) buf_add_fmt(&v->out, ", %lld parents are missing", (long long)missing);
    if (json_tree_get(trace, "truncated")->type == JSON_TRUE) buf_add_text(&v->out, ", the rest is left out");
    if (json_tree_get(trace, "partial")->type == JSON_TRUE)
        buf_add_fmt(&v->out, "\n%spartial: %.*s%s", v->colors.yellow, STR_ARG(json_tree_text(trace, "partial_reason")), v->colors.reset);
    buf_add_text(&v->out, "\n\n");
}

static err show(const struct arguments *a, struct str answer) {
    AUTO_ARENA struct arena arena;
    const struct json_node *trace = NULL;
    struct view v = {0};
    int width = process_is_terminal(1) ? MAX(WIDTH_MIN, MIN(process_terminal_columns(1), WIDTH_MAX)) : 120;
    arena_init(&arena, ANSWER_TREE_MAX);
    TRY(command_colors(a, &v.colors));
    TRY(json_tree_read(&arena, answer, &trace));
    v.label_width = (width - DURATION_WIDTH - 4) * 55 / 100;
    v.bar_width = width - DURATION_WIDTH - 4 - v.label_width;
    v.duration_ns = json_tree_number(trace, "duration_ns");
    TRY(parse_time(json_tree_text(trace, "start"), 0, &v.start_ns));
    buf_init(&v.out, ANSWER_TREE_MAX);
    put_head(&v, trace);
    err e = NULL;
    for (const struct json_node *s = json_tree_get(trace, "spans")->first; s && !e; s = s->next) e = put_span(&v, s);
    if (!e) command_print(&v.out);
    buf_done(&v.out);
    return e;
}

err command_trace(const struct arguments *a) {
    AUTO_BUF struct buf path, answer = {0};
    buf_init(&path, 4 * KIB);
    for (size_t i = 0; i < a->positions[0].n; i++)
        if (!((a->positions[0].p[i] | 0x20) >= 'a' && (a->positions[0].p[i] | 0x20) <= 'f') &&
            !(a->positions[0].p[i] >= '0' && a->positions[0].p[i] <= '9'))
            return err_new(ERR_INVALID, "\"" STR_FMT "\" is no trace id: 32 hex digits", STR_ARG(a->positions[0]));
    buf_add_text(&path, "/api/v1/traces/");
    buf_add_str(&path, a->positions[0]);
    TRY(command_ask_wait(a, "GET", path.p, (struct str){0}, &answer));
    if (!argument_flag(a, OPTION_JSON)) return show(a, buf_str(&answer));
    buf_add_byte(&answer, '\n');
    command_print(&answer);
    return NULL;
}
