/* clew analyze ID: what one trace tells, in a terminal.
 *
 *   Failed: 15 spans of 2 services in 900ms, …
 *
 *   critical path
 *      47%  424ms  web GET /
 *   cause
 *     ✗ pay POST /pay  Timeout: bank did not answer
 */
#include "app/json_tree.h"
#include "app/view.h"
#include "base/text.h"

enum { CHAIN_SHOWN = 12 };

struct explained {
    struct colors colors;
    struct buf *out;
};

static void put_heading(struct explained *x, const char *text) {
    buf_add_fmt(x->out, "\n%s%s%s\n", x->colors.bold, text, x->colors.reset);
}

/* SERVICE OPERATION */
static void put_place(struct explained *x, const struct json_node *of) {
    put_terminal(x->out, json_tree_text(of, "service"));
    buf_add_byte(x->out, ' ');
    put_terminal(x->out, json_tree_text(of, "operation"));
}

static void put_column_duration(struct explained *x, int64_t ns) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64);
    put_duration_short(&text, ns);
    buf_add_fmt(x->out, "%*s%s  ", MAX(8 - view_columns_of(buf_str(&text)), 0), "", text.p);
}

static int64_t percent_of(int64_t part, int64_t whole) {
    return whole > 0 ? (int64_t)(100.0 * (double)part / (double)whole + 0.5) : 0;
}

/* Steps of one percent and more, in the order of the waterfall. */
static void put_path(struct explained *x, const struct json_node *path) {
    int64_t whole = json_tree_number(path, "duration_ns"), steps = json_tree_number(path, "step_count");
    put_heading(x, "critical path");
    for (const struct json_node *s = json_tree_get(path, "steps")->first; s; s = s->next) {
        int64_t self = json_tree_number(s, "self_time_ns"), percent = percent_of(self, whole);
        if (percent < 1) continue;
        steps--;
        buf_add_fmt(x->out, "  %3lld%%", (long long)percent);
        put_column_duration(x, self);
        put_place(x, s);
        buf_add_byte(x->out, '\n');
    }
    if (steps > 0) buf_add_fmt(x->out, "  and %lld of less than 1%% each\n", (long long)steps);
}

static void put_says(struct explained *x, const struct json_node *s) {
    struct str type = json_tree_text(s, "error_type"), message = json_tree_text(s, "message");
    if (!type.n && !message.n) return;
    buf_add_fmt(x->out, "  %s", x->colors.red);
    put_terminal(x->out, type);
    if (type.n && message.n) buf_add_text(x->out, ": ");
    put_terminal(x->out, message);
    buf_add_text(x->out, x->colors.reset);
}

static void put_cause(struct explained *x, const struct json_node *cause) {
    int shown = 0;
    if (cause->type != JSON_OBJECT) return;
    put_heading(x, "cause, and what it passed through");
    for (const struct json_node *s = json_tree_get(cause, "chain")->first; s && shown < CHAIN_SHOWN; s = s->next) {
        bool failed = str_equal(json_tree_text(s, "status"), STR("error"));
        buf_add_fmt(x->out, "  %s%s%s ", failed ? x->colors.red : "", failed ? "✗" : " ", x->colors.reset);
        put_place(x, s);
        put_says(x, s);
        buf_add_byte(x->out, '\n');
        shown++;
    }
}

static void put_slow(struct explained *x, const struct json_node *slow) {
    const struct json_node *s = json_tree_get(slow, "spans")->first;
    if (s) put_heading(x, "slower than usual");
    for (; s; s = s->next) {
        buf_add_text(x->out, "  ");
        put_column_duration(x, json_tree_number(s, "duration_ns"));
        put_place(x, s);
        buf_add_text(x->out, ", p95 of the day before ");
        put_duration_short(x->out, json_tree_number(s, "usual_p95_ns"));
        buf_add_fmt(x->out, " of %lld\n", (long long)json_tree_number(s, "usual_count"));
    }
}

static void put_repeats(struct explained *x, const struct json_node *repeats) {
    const struct json_node *r = json_tree_get(repeats, "calls")->first;
    if (r) put_heading(x, "again and again");
    for (; r; r = r->next) {
        buf_add_fmt(x->out, "  %6lld times  ", (long long)json_tree_number(r, "count"));
        put_place(x, json_tree_get(r, "first"));
        buf_add_text(x->out, ", called by ");
        put_place(x, json_tree_get(r, "parent"));
        buf_add_byte(x->out, '\n');
    }
}

static void put_gaps(struct explained *x, const struct json_node *gaps) {
    const struct json_node *g = json_tree_get(gaps, "stretches")->first;
    if (g) put_heading(x, "no child ran");
    for (; g; g = g->next) {
        buf_add_text(x->out, "  ");
        put_column_duration(x, json_tree_number(g, "duration_ns"));
        put_place(x, g);
        buf_add_byte(x->out, '\n');
    }
}

err view_analysis(struct str answer, const struct colors *c, struct buf *out) {
    AUTO_ARENA struct arena arena;
    const struct json_node *of = NULL;
    struct explained x = {.colors = *c, .out = out};
    arena_init(&arena, VIEW_BYTES_MAX);
    TRY(json_tree_read(&arena, answer, &of));
    put_terminal(out, json_tree_text(of, "summary"));
    buf_add_byte(out, '\n');
    if (json_tree_get(of, "truncated")->type == JSON_TRUE)
        buf_add_text(out, "The trace has more spans than were looked at.\n");
    view_put_clocks(out, of, c);
    put_path(&x, json_tree_get(of, "critical_path"));
    put_cause(&x, json_tree_get(of, "root_cause"));
    put_slow(&x, json_tree_get(of, "slow"));
    put_repeats(&x, json_tree_get(of, "repeats"));
    put_gaps(&x, json_tree_get(of, "gaps"));
    return NULL;
}

err command_analyze(const struct arguments *a) {
    AUTO_BUF struct buf path, answer = {0}, out;
    struct colors colors;
    buf_init(&path, 4 * KIB);
    buf_init(&out, VIEW_BYTES_MAX);
    TRY(command_colors(a, &colors));
    TRY(view_check_trace_id(a->positions[0]));
    buf_add_fmt(&path, "/api/v1/traces/" STR_FMT "/analysis", STR_ARG(a->positions[0]));
    TRY(command_ask_wait(a, "GET", path.p, (struct str){0}, &answer));
    if (argument_flag(a, OPTION_JSON)) {
        buf_add_byte(&answer, '\n');
        command_print(&answer);
        return NULL;
    }
    TRY(view_analysis(buf_str(&answer), &colors, &out));
    command_print(&out);
    return NULL;
}
