/* clew trace ID: a waterfall in the terminal.
 *
 *     service name            ▕▇▇▇▇▇▇▇▇▇▇▇▇▇▏  12.3ms
 *     ├ service name          ▕  ▇▇▇▇▇      ▏  4.31ms
 *   ✗ └ service name          ▕        ▇▇▇▇ ▏  3.02ms
 *         what its status says
 */
#include <stdio.h>

#include "app/json_tree.h"
#include "app/view.h"
#include "base/text.h"
#include "base/vec.h"
#include "os/process.h"

enum { DURATION_COLUMNS = 10, MARGIN = 2, EDGES = 2, LEVELS_MAX = 64 };

struct view_span {
    const struct json_node *node;
    int level;
    bool last; /* of its siblings */
};

struct view {
    struct colors colors;
    int label_columns, bar_columns, levels;
    int64_t start_ns, duration_ns;
    bool corrected; /* clocks were apart: drawn are corrected times */
    VEC(struct view_span) spans;
    bool more[LEVELS_MAX + 1]; /* by level: siblings follow, so the rail goes on */
    struct buf *out;
};

/* The character at s.p[*i], which is UTF-8; moves *i past it and returns its columns: 0 for marks that join the one before, 2 for
 * wide ones. Source: Unicode 15 EastAsianWidth, the large blocks only. */
static int next_columns(struct str s, size_t *i) {
    static const struct {
        uint32_t first, last;
        int columns;
    } ranges[] = {
        {0x0300, 0x036f, 0},   {0x1100, 0x115f, 2},   {0x200b, 0x200f, 0},   {0x2e80, 0xa4cf, 2},
        {0xac00, 0xd7a3, 2},   {0xf900, 0xfaff, 2},   {0xfe00, 0xfe0f, 0},   {0xfe30, 0xfe6f, 2},
        {0xff01, 0xff60, 2},   {0xffe0, 0xffe6, 2},   {0x1f300, 0x1f64f, 2}, {0x1f680, 0x1f6ff, 2},
        {0x1f900, 0x1f9ff, 2}, {0x1fa70, 0x1faff, 2}, {0x20000, 0x3fffd, 2},
    };
    unsigned char lead = (unsigned char)s.p[(*i)++];
    uint32_t c = lead < 0xc0 ? lead : lead < 0xe0 ? lead & 0x1f : lead < 0xf0 ? lead & 0x0f : lead & 0x07;
    for (; *i < s.n && ((unsigned char)s.p[*i] & 0xc0) == 0x80; ++*i) c = c << 6 | ((unsigned char)s.p[*i] & 0x3f);
    for (size_t k = 0; k < LENGTH(ranges); k++)
        if (c >= ranges[k].first && c <= ranges[k].last) return ranges[k].columns;
    return 1;
}

int view_columns_of(struct str s) {
    int n = 0;
    for (size_t i = 0; i < s.n;) n += next_columns(s, &i);
    return n;
}

void view_put_name(struct buf *out, struct str name, int columns) {
    AUTO_BUF struct buf safe;
    buf_init(&safe, 256 * KIB);
    put_terminal(&safe, (struct str){name.p, MIN(name.n, (size_t)400)});
    struct str shown = buf_str(&safe);
    bool cut = view_columns_of(shown) > columns;
    while (shown.n && view_columns_of(shown) > columns - cut) {
        shown.n--;
        while (shown.n && ((unsigned char)shown.p[shown.n] & 0xc0) == 0x80) shown.n--;
    }
    int room = columns - cut - view_columns_of(shown);
    buf_add_fmt(out, "  " STR_FMT "%s%*s ", STR_ARG(shown), cut ? "…" : "", MAX(room, 0), "");
}

/* Text cut or padded to a width. */
static void put_column(struct buf *out, struct str s, int width) {
    int columns = view_columns_of(s);
    if (columns > width) {
        size_t end = 0, next = 0;
        for (columns = 1; next < s.n; end = next) {
            int more = next_columns(s, &next);
            if (columns + more > width) break;
            columns += more;
        }
        buf_add(out, s.p, end);
        buf_add_text(out, "…");
    } else {
        buf_add_str(out, s);
    }
    for (; columns < width; columns++) buf_add_byte(out, ' ');
}

/* ---- spans ------------------------------------------------------------------------------------------------------ */

/* Stored, less what its clock is ahead; none: the trace's start. */
static int64_t start_of(const struct view *v, const struct json_node *span) {
    int64_t start_ns = v->start_ns, corrected;
    err_free(parse_time(json_tree_text(span, "start"), 0, &start_ns));
    return __builtin_sub_overflow(start_ns, json_tree_number(span, "skew_ns"), &corrected) ? start_ns : corrected;
}

/* Where the trace begins and how long it is by corrected clocks. */
static void correct(struct view *v, const struct json_node *trace) {
    int64_t from = INT64_MAX, to = INT64_MIN, end;
    if (!json_tree_get(trace, "clocks")->first) return;
    for (const struct json_node *s = json_tree_get(trace, "spans")->first; s; s = s->next) {
        int64_t start = start_of(v, s);
        if (__builtin_add_overflow(start, MAX(json_tree_number(s, "duration_ns"), 0), &end)) end = INT64_MAX;
        from = MIN(from, start);
        to = MAX(to, end);
    }
    if (from > to || __builtin_sub_overflow(to, from, &end)) return;
    v->corrected = true;
    v->start_ns = from;
    v->duration_ns = end;
}

/* Spans come depth first, so a span is the last of its siblings if no later one of its level comes before one of a lower level:
 * read backwards, that is known when it is met. Levels too deep to draw are drawn at the deepest. */
static void read_spans(struct view *v, const struct json_node *trace) {
    bool seen[LEVELS_MAX + 1] = {false};
    for (const struct json_node *s = json_tree_get(trace, "spans")->first; s; s = s->next) {
        int64_t depth = json_tree_number(s, "depth");
        *vec_push(&v->spans) = (struct view_span){s, (int)MAX(0, MIN(depth, v->levels)), false};
    }
    for (size_t i = v->spans.n; i-- > 0;) {
        struct view_span *s = &v->spans.v[i];
        s->last = !seen[s->level];
        seen[s->level] = true;
        for (int level = s->level + 1; level <= v->levels; level++) seen[level] = false;
    }
}

/* The rails of levels 1 to `level` - 1, which belong to ancestors. */
static void put_rails(struct view *v, struct buf *out, int level) {
    for (int l = 1; l < level; l++) buf_add_text(out, v->more[l] ? "│ " : "  ");
}

static void put_label(struct view *v, const struct view_span *s, bool error) {
    AUTO_BUF struct buf label;
    buf_init(&label, 64 * KIB);
    v->more[s->level] = !s->last;
    put_rails(v, &label, s->level);
    if (s->level) buf_add_text(&label, s->last ? "└ " : "├ ");
    put_terminal(&label, json_tree_text(s->node, "service"));
    buf_add_byte(&label, ' ');
    put_terminal(&label, json_tree_text(s->node, "name"));
    if (error) buf_add_text(v->out, v->colors.red);
    buf_add_text(v->out, error ? "✗ " : "  ");
    put_column(v->out, buf_str(&label), v->label_columns);
    if (error) buf_add_text(v->out, v->colors.reset);
}

static int column_of(const struct view *v, int64_t time_ns) {
    if (v->duration_ns <= 0) return 0;
    int64_t since_ns; /* times are the sender's: anything */
    if (__builtin_sub_overflow(time_ns, v->start_ns, &since_ns))
        since_ns = time_ns < v->start_ns ? INT64_MIN : INT64_MAX;
    double part = (double)since_ns / (double)v->duration_ns;
    return (int)(MAX(0.0, MIN(part, 1.0)) * v->bar_columns);
}

static void put_bar(struct view *v, int64_t start_ns, int64_t duration_ns, bool error) {
    int from = MIN(column_of(v, start_ns), v->bar_columns - 1);
    int to = MAX(from + 1, column_of(v, start_ns > INT64_MAX - duration_ns ? INT64_MAX : start_ns + duration_ns));
    buf_add_text(v->out, "▕");
    for (int i = 0; i < from; i++) buf_add_byte(v->out, ' ');
    buf_add_text(v->out, error ? v->colors.red : v->colors.cyan);
    for (int i = from; i < to; i++) buf_add_text(v->out, to - from == 1 ? "▌" : "█");
    buf_add_text(v->out, v->colors.reset);
    for (int i = to; i < v->bar_columns; i++) buf_add_byte(v->out, ' ');
    buf_add_text(v->out, "▏");
}

/* What the status says, on a line of its own under the name. */
static void put_message(struct view *v, const struct view_span *s, struct str message) {
    AUTO_BUF struct buf rails, text;
    buf_init(&rails, 64 * KIB);
    buf_init(&text, 64 * KIB);
    put_rails(v, &rails, s->level + (s->level > 0));
    buf_add_text(&rails, "    ");
    put_terminal(&text, message);
    int room = MARGIN + v->label_columns + v->bar_columns + EDGES + DURATION_COLUMNS - MARGIN -
               view_columns_of(buf_str(&rails));
    buf_add_fmt(v->out, "  %s%s", rails.p, v->colors.red);
    put_column(v->out, buf_str(&text), MIN(room, view_columns_of(buf_str(&text))));
    buf_add_fmt(v->out, "%s\n", v->colors.reset);
}

static void put_span(struct view *v, const struct view_span *s) {
    int64_t start_ns = start_of(v, s->node), duration_ns = MAX(json_tree_number(s->node, "duration_ns"), 0);
    const struct json_node *status = json_tree_get(s->node, "status");
    bool error = str_equal(json_tree_text(status, "code"), STR("error"));
    put_label(v, s, error);
    put_bar(v, start_ns, duration_ns, error);
    AUTO_BUF struct buf duration;
    buf_init(&duration, 64);
    put_duration_short(&duration, duration_ns);
    buf_add_fmt(v->out, "%*s%s\n", MAX(DURATION_COLUMNS - view_columns_of(buf_str(&duration)), 0), "", duration.p);
    struct str message = json_tree_text(status, "message");
    if (message.n) put_message(v, s, message);
}

/* ---- head ------------------------------------------------------------------------------------------------------- */

void view_put_clocks(struct buf *out, const struct json_node *trace, const struct colors *c) {
    for (const struct json_node *n = json_tree_get(trace, "clocks")->first; n; n = n->next) {
        int64_t ahead = json_tree_number(n, "ahead_ns");
        buf_add_fmt(out, "%sthe clock of ", c->yellow);
        put_terminal(out, json_tree_text(n, "service"));
        buf_add_text(out, " is ");
        put_duration_short(out, ahead < -INT64_MAX ? INT64_MAX : ahead < 0 ? -ahead : ahead);
        buf_add_fmt(out, " %s: corrected%s\n", ahead > 0 ? "ahead" : "behind", c->reset);
    }
}

static void put_head(struct view *v, const struct json_node *trace) {
    const struct json_node *root = json_tree_get(trace, "root");
    int64_t spans = json_tree_number(trace, "span_count"), errors = json_tree_number(trace, "error_count"), missing = 0;
    buf_add_text(v->out, v->colors.bold);
    put_terminal(v->out, json_tree_text(root, "service"));
    buf_add_byte(v->out, ' ');
    put_terminal(v->out, json_tree_text(root, "operation"));
    buf_add_fmt(v->out, "%s  trace ", v->colors.reset);
    put_terminal(v->out, json_tree_text(trace, "trace_id"));
    buf_add_byte(v->out, '\n');
    put_terminal(v->out, json_tree_text(trace, "start"));
    buf_add_text(v->out, ", ");
    put_duration_short(v->out, v->duration_ns);
    buf_add_fmt(v->out, ", %lld span%s", (long long)spans, spans == 1 ? "" : "s");
    if (errors) buf_add_fmt(v->out, ", %s%lld with errors%s", v->colors.red, (long long)errors, v->colors.reset);
    for (const struct json_node *n = json_tree_get(trace, "missing_parents")->first; n; n = n->next) missing++;
    if (missing) buf_add_fmt(v->out, ", %lld parent%s missing", (long long)missing, missing == 1 ? " is" : "s are");
    if (json_tree_get(trace, "truncated")->type == JSON_TRUE) buf_add_text(v->out, ", the rest is left out");
    if (json_tree_get(trace, "partial")->type == JSON_TRUE) {
        buf_add_fmt(v->out, "\n%spartial: ", v->colors.yellow);
        put_terminal(v->out, json_tree_text(trace, "partial_reason"));
        buf_add_text(v->out, v->colors.reset);
    }
    buf_add_text(v->out, "\n");
    if (v->corrected) view_put_clocks(v->out, trace, &v->colors);
    buf_add_text(v->out, "\n");
}

err view_trace(struct str answer, int columns, const struct colors *c, struct buf *out) {
    AUTO_ARENA struct arena arena;
    const struct json_node *trace = NULL;
    struct view v = {.colors = *c, .out = out};
    int room = MAX(VIEW_COLUMNS_MIN, MIN(columns, VIEW_COLUMNS_MAX)) - MARGIN - EDGES - DURATION_COLUMNS;
    arena_init(&arena, VIEW_BYTES_MAX);
    TRY(json_tree_read(&arena, answer, &trace));
    v.label_columns = room * 55 / 100;
    v.bar_columns = room - v.label_columns;
    v.levels = MIN(v.label_columns / 4, LEVELS_MAX); /* half of the label stays for the name */
    v.duration_ns = json_tree_number(trace, "duration_ns");
    TRY(parse_time(json_tree_text(trace, "start"), 0, &v.start_ns));
    correct(&v, trace);
    put_head(&v, trace);
    read_spans(&v, trace);
    for (size_t i = 0; i < v.spans.n; i++) put_span(&v, &v.spans.v[i]);
    vec_done(&v.spans);
    return NULL;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

err view_check_trace_id(struct str id) {
    unsigned char bytes[16];
    err e = parse_hex(id, bytes, sizeof bytes);
    if (!e) return NULL;
    err_free(e);
    return err_new(ERR_INVALID, "\"" STR_FMT "\" is no trace id: 32 hex digits; `clew query traces` finds some",
                   STR_ARG(id));
}

err command_trace(const struct arguments *a) {
    AUTO_BUF struct buf path, answer = {0}, out;
    struct colors colors;
    buf_init(&path, 4 * KIB);
    buf_init(&out, VIEW_BYTES_MAX);
    TRY(command_colors(a, &colors));
    TRY(view_check_trace_id(a->positions[0]));
    buf_add_text(&path, "/api/v1/traces/");
    buf_add_str(&path, a->positions[0]);
    TRY(command_ask_wait(a, "GET", path.p, (struct str){0}, &answer));
    if (argument_flag(a, OPTION_JSON)) {
        buf_add_byte(&answer, '\n');
        command_print(&answer);
        return NULL;
    }
    TRY(view_trace(buf_str(&answer), process_is_terminal(1) ? process_terminal_columns(1) : 120, &colors, &out));
    command_print(&out);
    return NULL;
}
