/* clew query traces|logs: answers as lines. */
#include <stdio.h>

#include "app/json_tree.h"
#include "app/view.h"
#include "base/text.h"

enum { SERVICE_COLUMNS = 14, SEVERITY_COLUMNS = 5 };

static void add_filters(struct buf *path, const struct arguments *a) {
    static const struct {
        const char *name;
        enum option option;
    } params[] = {
        {"service", OPTION_SERVICE},
        {"environment", OPTION_ENVIRONMENT},
        {"operation", OPTION_OPERATION},
        {"where", OPTION_WHERE},
        {"min_duration", OPTION_MIN_DURATION},
        {"max_duration", OPTION_MAX_DURATION},
        {"status", OPTION_STATUS},
        {"severity", OPTION_SEVERITY},
        {"text", OPTION_TEXT},
        {"trace_id", OPTION_TRACE},
        {"start", OPTION_START},
        {"end", OPTION_END},
        {"by", OPTION_BY},
        {"order", OPTION_ORDER},
        {"cursor", OPTION_CURSOR},
    };
    for (size_t i = 0; i < LENGTH(params); i++) command_add_option(path, params[i].name, a, params[i].option);
    command_add_option(path, a->given[OPTION_BY] ? "groups" : "limit", a, OPTION_LIMIT);
}

/* ---- drawing ---------------------------------------------------------------------------------------------------- */

void view_put_moment(struct buf *out, struct str time) {
    AUTO_BUF struct buf safe;
    struct str date, clock;
    buf_init(&safe, 4 * KIB);
    put_terminal(&safe, (struct str){time.p, MIN(time.n, (size_t)40)});
    if (!str_cut(buf_str(&safe), 'T', &date, &clock)) {
        buf_add_str(out, buf_str(&safe));
        return;
    }
    while (str_ends_with(clock, STR("Z"))) clock.n--;
    buf_add_fmt(out, STR_FMT " %-12.*s", STR_ARG(date), (int)MIN(clock.n, (size_t)12), clock.p);
}

void view_put_dim(struct buf *out, const char *before, struct str text, const struct colors *c) {
    buf_add_fmt(out, "%s%s", before, c->dim);
    put_terminal(out, text);
    buf_add_text(out, c->reset);
}

/* The order of --order longest is by matching spans: theirs is told where the trace's is another. */
static void put_longest_match(struct buf *out, const struct json_node *t, const struct colors *c) {
    const struct json_node *longest = json_tree_get(t, "matched_duration_ns");
    int64_t duration = json_tree_number(t, "matched_duration_ns");
    if (longest->type != JSON_NUMBER || duration == json_tree_number(t, "duration_ns")) return;
    buf_add_fmt(out, "  %slongest match ", c->dim);
    put_duration_short(out, duration);
    buf_add_text(out, c->reset);
}

static void put_trace(struct buf *out, const struct json_node *t, const struct colors *c) {
    const struct json_node *root = json_tree_get(t, "root");
    int64_t errors = json_tree_number(t, "error_count");
    AUTO_BUF struct buf duration;
    buf_init(&duration, 64);
    put_duration_short(&duration, json_tree_number(t, "duration_ns"));
    view_put_moment(out, json_tree_text(t, "start"));
    int64_t spans = json_tree_number(t, "span_count");
    view_put_dim(out, "  ", json_tree_text(t, "trace_id"), c);
    buf_add_fmt(out, "  %*s%s  %4lld span%s  ", (int)(9 - MIN(view_columns_of(buf_str(&duration)), 9)), "", duration.p,
                (long long)spans, spans == 1 ? " " : "s");
    put_terminal(out, json_tree_text(root, "service"));
    buf_add_byte(out, ' ');
    put_terminal(out, json_tree_text(root, "operation"));
    put_longest_match(out, t, c);
    if (errors) buf_add_fmt(out, "  %s%lld error%s%s", c->red, (long long)errors, errors == 1 ? "" : "s", c->reset);
    buf_add_byte(out, '\n');
}

static const char *severity_color(struct str severity, const struct colors *c) {
    if (str_equal(severity, STR("error")) || str_equal(severity, STR("fatal"))) return c->red;
    return str_equal(severity, STR("warn")) ? c->yellow : "";
}

/* A body that is no string is shown as the JSON it is. */
static void put_json(struct json_writer *w, const struct json_node *n) {
    switch ((int)n->type) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        (n->type == JSON_OBJECT ? json_object : json_array)(w);
        for (const struct json_node *child = n->first; child; child = child->next) {
            if (n->type == JSON_OBJECT) json_key(w, child->key);
            put_json(w, child);
        }
        (n->type == JSON_OBJECT ? json_object_end : json_array_end)(w);
        break;
    case JSON_STRING: json_str(w, n->text); break;
    case JSON_NUMBER: {
        double v = 0;
        err_free(parse_f64(n->text, &v));
        json_f64(w, v);
        break;
    }
    case JSON_TRUE:
    case JSON_FALSE: json_bool(w, n->type == JSON_TRUE); break;
    default: json_null(w); break;
    }
}

static void put_padded(struct buf *out, struct str text, int columns) {
    AUTO_BUF struct buf safe;
    buf_init(&safe, 64 * KIB);
    put_terminal(&safe, text);
    buf_add_str(out, buf_str(&safe));
    buf_add_fmt(out, "%*s", MAX(columns - view_columns_of(buf_str(&safe)), 0), "");
}

static void put_log(struct buf *out, const struct json_node *r, const struct colors *c) {
    struct str severity = json_tree_text(r, "severity");
    const struct json_node *body = json_tree_get(r, "body");
    view_put_moment(out, json_tree_text(r, "time"));
    buf_add_fmt(out, "  %s", severity_color(severity, c));
    put_padded(out, severity, SEVERITY_COLUMNS);
    buf_add_fmt(out, "%s  ", c->reset);
    put_padded(out, json_tree_text(r, "service"), SERVICE_COLUMNS);
    buf_add_text(out, "  ");
    if (body->type == JSON_STRING) {
        put_terminal(out, body->text);
    } else {
        AUTO_BUF struct buf text;
        struct json_writer w;
        buf_init(&text, 16 * MIB);
        json_writer_init(&w, &text);
        put_json(&w, body);
        put_terminal(out, buf_str(&text));
    }
    struct str trace = json_tree_text(r, "trace_id");
    if (trace.n) view_put_dim(out, "  trace=", trace, c);
    buf_add_byte(out, '\n');
}

static void put_count_of(struct buf *out, const struct json_node *n, const struct colors *c) {
    buf_add_fmt(out, "%s%10lld%s  ", c->dim, (long long)json_tree_number(n, "count"), c->reset);
}

/* As a condition has the name: what is of the row itself stands without a prefix. */
static void put_attribute(struct buf *out, const struct json_node *a, const struct colors *c) {
    struct str place = json_tree_text(a, "place");
    bool of_row = str_equal(place, STR("span")) || str_equal(place, STR("log"));
    put_count_of(out, a, c);
    if (!of_row) {
        put_terminal(out, place);
        buf_add_byte(out, '.');
    }
    put_terminal(out, json_tree_text(a, "key"));
    const char *before = "  ";
    for (const struct json_node *t = json_tree_get(a, "types")->first; t; t = t->next, before = " ")
        view_put_dim(out, before, t->text, c);
    buf_add_byte(out, '\n');
}

static void put_value(struct buf *out, const struct json_node *v, const struct colors *c) {
    put_count_of(out, v, c);
    struct str value = json_tree_text(v, "value");
    put_terminal(out, value.n ? value : STR("\"\""));
    buf_add_byte(out, '\n');
}

static void note_nothing(struct buf *notes) {
    buf_add_text(notes, "nothing matches; the range is the hour until now unless --start and --end say otherwise\n");
}

void view_note_partial(struct buf *notes, const struct json_node *tree) {
    if (json_tree_get(tree, "partial")->type != JSON_TRUE) return;
    buf_add_text(notes, "partial: ");
    put_terminal(notes, json_tree_text(tree, "partial_reason"));
    buf_add_byte(notes, '\n');
}

err view_list(struct str answer, const char *list,
              void (*put)(struct buf *, const struct json_node *, const struct colors *), const struct colors *c,
              struct buf *out, struct buf *notes) {
    AUTO_ARENA struct arena arena;
    const struct json_node *tree = NULL;
    arena_init(&arena, VIEW_BYTES_MAX);
    TRY(json_tree_read(&arena, answer, &tree));
    const struct json_node *first = json_tree_get(tree, list)->first;
    for (const struct json_node *n = first; n; n = n->next) put(out, n, c);
    if (!first) note_nothing(notes);
    view_note_partial(notes, tree);
    if (json_tree_get(tree, "sampled")->type == JSON_TRUE)
        buf_add_fmt(notes, "counted in the newest %lld rows\n", (long long)json_tree_number(tree, "row_count"));
    struct str cursor = json_tree_text(tree, "next_cursor");
    if (cursor.n) {
        buf_add_text(notes, "more: the same with --cursor ");
        put_terminal(notes, cursor);
        buf_add_byte(notes, '\n');
    }
    return NULL;
}

err view_traces(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    return view_list(answer, "traces", put_trace, c, out, notes);
}

err view_attributes(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    return view_list(answer, "attributes", put_attribute, c, out, notes);
}

err view_values(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    return view_list(answer, "values", put_value, c, out, notes);
}

err view_log(struct str record, const struct colors *c, struct buf *out) {
    AUTO_ARENA struct arena arena;
    const struct json_node *tree = NULL;
    arena_init(&arena, VIEW_BYTES_MAX);
    TRY(json_tree_read(&arena, record, &tree));
    put_log(out, tree, c);
    return NULL;
}

err view_logs(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    return view_list(answer, "logs", put_log, c, out, notes);
}

/* ---- groups ----------------------------------------------------------------------------------------------------- */

static void put_group(struct buf *out, const struct json_node *g, struct str value, const struct colors *c) {
    const struct json_node *duration = json_tree_get(g, "duration");
    bool spans = json_tree_get(g, "span_count")->type == JSON_NUMBER;
    int64_t rows = json_tree_number(g, spans ? "span_count" : "count"), errors = json_tree_number(g, "error_count");
    buf_add_fmt(out, "%12lld  %s%9lld  %5.1f%%%s", (long long)rows, errors ? c->red : "", (long long)errors,
                rows ? 100.0 * (double)errors / (double)rows : 0.0, errors ? c->reset : "");
    static const char *const quantiles[] = {"p50_ns", "p95_ns"};
    for (size_t i = 0; spans && i < LENGTH(quantiles); i++) {
        AUTO_BUF struct buf text;
        buf_init(&text, 64);
        put_duration_short(&text, json_tree_number(duration, quantiles[i]));
        buf_add_fmt(out, "  %*s" STR_FMT, MAX(9 - view_columns_of(buf_str(&text)), 0), "", STR_ARG(buf_str(&text)));
    }
    buf_add_text(out, "  ");
    put_terminal(out, value);
    buf_add_byte(out, '\n');
}

/* The listed ones, and what is in none of them under names that no value has: in brackets. */
static void put_groups(struct buf *out, const struct json_node *tree, const struct colors *c) {
    const struct json_node *first = json_tree_get(tree, "groups")->first, *other = json_tree_get(tree, "other"),
                           *without = json_tree_get(tree, "without");
    const struct json_node *any = first ? first : without;
    bool spans = json_tree_get(any, "span_count")->type == JSON_NUMBER;
    buf_add_fmt(out, "%s%12s  %9s  %6s%s  ", c->dim, spans ? "spans" : "records", "errors", "ratio",
                spans ? "        p50        p95" : "");
    put_terminal(out, json_tree_text(tree, "by"));
    buf_add_fmt(out, "%s\n", c->reset);
    for (const struct json_node *g = first; g; g = g->next) put_group(out, g, json_tree_text(g, "value"), c);
    if (other->type == JSON_OBJECT) put_group(out, other, STR("(other values)"), c);
    if (without->type == JSON_OBJECT) put_group(out, without, STR("(without)"), c);
}

err view_groups(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    AUTO_ARENA struct arena arena;
    const struct json_node *tree = NULL;
    arena_init(&arena, VIEW_BYTES_MAX);
    TRY(json_tree_read(&arena, answer, &tree));
    if (json_tree_get(tree, "groups")->first || json_tree_get(tree, "without")->type == JSON_OBJECT)
        put_groups(out, tree, c);
    else
        note_nothing(notes);
    bool least = json_tree_get(tree, "value_count_is_least")->type == JSON_TRUE;
    buf_add_fmt(notes, "%s%lld distinct values\n", least ? "at least " : "",
                (long long)json_tree_number(tree, "value_count"));
    view_note_partial(notes, tree);
    return NULL;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

err command_ask_and_view_wait(const struct arguments *a, const struct buf *path, view_fn view) {
    AUTO_BUF struct buf answer = {0}, out, notes;
    struct colors colors;
    buf_init(&out, VIEW_BYTES_MAX);
    buf_init(&notes, 64 * KIB);
    TRY(command_colors(a, &colors));
    TRY(command_ask_wait(a, "GET", path->p, (struct str){0}, &answer));
    if (argument_flag(a, OPTION_JSON)) {
        buf_add_byte(&answer, '\n');
        command_print(&answer);
        return NULL;
    }
    TRY(view(buf_str(&answer), &colors, &out, &notes));
    command_print(&out);
    if (notes.n) fputs(notes.p, stderr);
    return NULL;
}

static err query_wait(const struct arguments *a, const char *route, view_fn view) {
    AUTO_BUF struct buf path;
    buf_init(&path, 64 * KIB);
    buf_add_text(&path, route);
    add_filters(&path, a);
    return command_ask_and_view_wait(a, &path, view);
}

static void add_signal(struct buf *path, const struct arguments *a) {
    command_add_param(path, "signal", argument_flag(a, OPTION_LOGS) ? STR("logs") : STR("spans"));
    add_filters(path, a);
}

err command_query_attributes(const struct arguments *a) {
    AUTO_BUF struct buf path;
    buf_init(&path, 64 * KIB);
    buf_add_text(&path, "/api/v1/attributes");
    add_signal(&path, a);
    if (a->position_count) command_add_param(&path, "prefix", a->positions[0]);
    return command_ask_and_view_wait(a, &path, view_attributes);
}

err command_query_values(const struct arguments *a) {
    AUTO_BUF struct buf path;
    buf_init(&path, 64 * KIB);
    buf_add_text(&path, "/api/v1/attributes/");
    command_add_encoded(&path, a->positions[0]);
    buf_add_text(&path, "/values");
    add_signal(&path, a);
    return command_ask_and_view_wait(a, &path, view_values);
}

err command_query_traces(const struct arguments *a) {
    bool root = argument_flag(a, OPTION_ROOT);
    if (root && a->given[OPTION_BY])
        return err_new(ERR_INVALID, "--root finds traces, --by counts spans: take one of them");
    if (a->given[OPTION_BY]) return query_wait(a, "/api/v1/traces/stats?top=0", view_groups);
    return query_wait(a, root ? "/api/v1/traces?root=true" : "/api/v1/traces", view_traces);
}

err command_query_logs(const struct arguments *a) {
    if (argument_flag(a, OPTION_FOLLOW) && a->given[OPTION_BY])
        return err_new(ERR_INVALID, "--by counts what is there, --follow shows what comes: take one of them");
    if (argument_flag(a, OPTION_FOLLOW)) return command_follow_logs(a);
    if (a->given[OPTION_BY]) return query_wait(a, "/api/v1/logs/query?mode=count", view_groups);
    return query_wait(a, "/api/v1/logs/query", view_logs);
}
