/* clew query promql: PromQL's answers as lines, or as charts over a range. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/chart.h"
#include "app/json_tree.h"
#include "app/view.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/process.h"

enum { VALUE_COLUMNS = 14, SERIES_DEFAULT = 10, ROWS_ALONE = 12, ROWS_AMONG = 4, STEPS_WANTED = 240 };

/* ---- labels and values ------------------------------------------------------------------------------------------ */

/* name{a="b"}, as PromQL writes it. */
static void put_labels(struct buf *out, const struct json_node *metric, const struct colors *c) {
    struct str name = json_tree_text(metric, "__name__");
    const char *before = "{";
    buf_add_text(out, c->bold);
    put_terminal(out, name);
    buf_add_text(out, c->reset);
    for (const struct json_node *l = metric->first; l; l = l->next) {
        if (str_equal(l->key, STR("__name__"))) continue;
        buf_add_text(out, before);
        put_terminal(out, l->key);
        buf_add_text(out, "=\"");
        put_terminal(out, l->text);
        buf_add_byte(out, '"');
        before = ", ";
    }
    if (*before == ',')
        buf_add_byte(out, '}');
    else if (!name.n)
        buf_add_text(out, "{}");
}

static double number_of(struct str text) {
    double v = NAN;
    if (str_equal(text, STR("+Inf"))) return INFINITY;
    if (str_equal(text, STR("-Inf"))) return -INFINITY;
    err_free(parse_f64(text, &v));
    return v;
}

static void put_histogram(struct buf *out, const struct json_node *h) {
    buf_add_text(out, "{count:");
    put_terminal(out, json_tree_text(h, "count"));
    buf_add_text(out, ", sum:");
    put_terminal(out, json_tree_text(h, "sum"));
    buf_add_byte(out, '}');
}

/* The second of a pair [time, value]. */
static const struct json_node *value_of(const struct json_node *pair) {
    static const struct json_node none = {.type = JSON_NULL};
    return pair->first && pair->first->next ? pair->first->next : &none;
}

static void put_value(struct buf *out, const struct json_node *value) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * KIB);
    if (value->type == JSON_OBJECT)
        put_histogram(&text, value);
    else
        put_terminal(&text, value->text);
    buf_add_fmt(out, "%*s" STR_FMT, MAX(VALUE_COLUMNS - view_columns_of(buf_str(&text)), 0), "",
                STR_ARG(buf_str(&text)));
}

static void put_sample(struct buf *out, const struct json_node *s, const struct colors *c) {
    const struct json_node *pair = json_tree_get(s, "value");
    put_value(out, value_of(pair->first ? pair : json_tree_get(s, "histogram")));
    buf_add_text(out, "  ");
    put_labels(out, json_tree_get(s, "metric"), c);
    buf_add_byte(out, '\n');
}

/* What a range selector gives: each series with its samples below. */
static void put_points(struct buf *out, const struct json_node *s, const struct colors *c) {
    static const char *const lists[] = {"values", "histograms"};
    put_labels(out, json_tree_get(s, "metric"), c);
    buf_add_byte(out, '\n');
    for (size_t i = 0; i < LENGTH(lists); i++)
        for (const struct json_node *p = json_tree_get(s, lists[i])->first; p; p = p->next) {
            put_value(out, value_of(p));
            buf_add_fmt(out, "  %s@", c->dim);
            put_terminal(out, p->first ? p->first->text : STR(""));
            buf_add_fmt(out, "%s\n", c->reset);
        }
}

/* ---- charts ----------------------------------------------------------------------------------------------------- */

static size_t count_nodes(const struct json_node *first) {
    size_t n = 0;
    for (; first; first = first->next) n++;
    return n;
}

/* Reads "values" of a series; memory of the arena. */
static size_t read_points(struct arena *a, const struct json_node *s, struct chart_point **out) {
    const struct json_node *first = json_tree_get(s, "values")->first;
    size_t n = 0;
    *out = arena_array(a, struct chart_point, count_nodes(first) + 1);
    for (const struct json_node *p = first; *out && p; p = p->next)
        (*out)[n++] =
            (struct chart_point){number_of(p->first ? p->first->text : STR("")), number_of(value_of(p)->text)};
    return n;
}

static void put_summary(struct buf *out, const struct chart_point *p, size_t n, const struct colors *c) {
    double low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(p[i].value)) continue;
        low = fmin(low, p[i].value);
        high = fmax(high, p[i].value);
    }
    buf_add_fmt(out, "  %s", c->dim);
    if (low <= high) buf_add_fmt(out, "min %.4g  max %.4g  ", low, high);
    buf_add_fmt(out, "last %.4g%s\n", p[n - 1].value, c->reset);
}

static void put_series(struct buf *out, struct arena *a, const struct json_node *s, const struct chart_frame *f,
                       const struct colors *c) {
    struct chart_point *points;
    size_t n = read_points(a, s, &points), histograms = count_nodes(json_tree_get(s, "histograms")->first);
    put_labels(out, json_tree_get(s, "metric"), c);
    if (n)
        put_summary(out, points, n, c);
    else
        buf_add_byte(out, '\n');
    if (n && !chart_put(out, f, points, n)) buf_add_fmt(out, "%*s no finite value\n", CHART_GUTTER, "");
    if (histograms)
        buf_add_fmt(out, "%*s%zu native histograms; histogram_quantile() makes numbers of them\n", CHART_GUTTER, "",
                    histograms);
}

static void put_charts(struct buf *out, struct buf *notes, struct arena *a, const struct json_node *result,
                       const struct view_chart *how, const struct colors *c) {
    size_t n = count_nodes(result->first), shown = 0;
    struct chart_frame f = {.start = how->start, .end = how->end, .columns = how->columns, .braille = how->braille};
    f.rows = n == 1 ? ROWS_ALONE : ROWS_AMONG;
    for (const struct json_node *s = result->first; s && shown < how->series_max; s = s->next, shown++)
        put_series(out, a, s, &f, c);
    if (n) chart_put_times(out, &f);
    if (n > shown) buf_add_fmt(notes, "%zu more series; --limit N shows more, topk() the largest\n", n - shown);
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

static void put_notes(struct buf *notes, const struct json_node *tree, const char *list, const char *title) {
    for (const struct json_node *n = json_tree_get(tree, list)->first; n; n = n->next) {
        buf_add_fmt(notes, "%s: ", title);
        put_terminal(notes, n->text);
        buf_add_byte(notes, '\n');
    }
}

err view_promql(struct str answer, const struct view_chart *how, const struct colors *c, struct buf *out,
                struct buf *notes) {
    AUTO_ARENA struct arena arena;
    const struct json_node *tree = NULL;
    arena_init(&arena, VIEW_BYTES_MAX);
    TRY(json_tree_read(&arena, answer, &tree));
    const struct json_node *data = json_tree_get(tree, "data"), *result = json_tree_get(data, "result");
    struct str type = json_tree_text(data, "resultType");
    bool single = str_equal(type, STR("scalar")) || str_equal(type, STR("string"));
    if (single) {
        put_value(out, value_of(result));
        buf_add_byte(out, '\n');
    } else if (how->charts) {
        put_charts(out, notes, &arena, result, how, c);
    } else {
        for (const struct json_node *s = result->first; s; s = s->next)
            (str_equal(type, STR("vector")) ? put_sample : put_points)(out, s, c);
    }
    if (!single && !result->first) buf_add_text(notes, "no series has a sample there\n");
    put_notes(notes, tree, "warnings", "warning");
    put_notes(notes, tree, "infos", "info");
    return NULL;
}

/* Reads digits at *i; 0 if there are none. */
static size_t read_place(struct str s, size_t *i) {
    size_t n = 0;
    for (; *i < s.n && s.p[*i] >= '0' && s.p[*i] <= '9' && n < 1000000; ++*i) n = n * 10 + (size_t)(s.p[*i] - '0');
    return n;
}

/* LINE:COLUMN before ": parse error"; false: the message has no place. */
static bool find_place(struct str message, size_t *out_line, size_t *out_column) {
    for (size_t i = 0; i < message.n; i++) {
        size_t at = i, line = read_place(message, &at);
        if (!line || at >= message.n || message.p[at] != ':') continue;
        at++;
        size_t column = read_place(message, &at);
        if (column && str_starts_with((struct str){message.p + at, message.n - at}, STR(": parse error"))) {
            *out_line = line;
            *out_column = column;
            return true;
        }
    }
    return false;
}

void view_promql_caret(struct str expression, struct str message, struct buf *out) {
    size_t line, column;
    struct str rest = expression, text = expression;
    if (!find_place(message, &line, &column)) return;
    for (bool more = true; line && more; line--) more = str_cut(rest, '\n', &text, &rest);
    if (line) return;
    struct str before = {text.p, MIN(column - 1, text.n)};
    AUTO_BUF struct buf shown;
    buf_init(&shown, 64 * KIB);
    put_terminal(&shown, before);
    int columns = view_columns_of(buf_str(&shown));
    buf_add_text(out, "\n  ");
    put_terminal(out, text);
    buf_add_fmt(out, "\n  %*s^", columns, "");
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

struct question {
    int64_t end_ns, range_ns, step_ns; /* range 0: an instant */
};

static err read_time(const struct arguments *a, struct question *q) {
    int64_t now = clock_wall_ns();
    q->end_ns = now;
    if (!a->given[OPTION_TIME]) return NULL;
    return argument_blame(a, OPTION_TIME, parse_time(argument_text(a, OPTION_TIME), now, &q->end_ns));
}

/* A step that gives about as many points as a terminal has dots, whole seconds. */
static int64_t step_for(int64_t range_ns) {
    int64_t second = 1000000000, step = (range_ns / STEPS_WANTED + second - 1) / second * second;
    return MAX(step, second);
}

static err read_question(const struct arguments *a, struct question *q) {
    *q = (struct question){0};
    TRY(read_time(a, q));
    if (a->given[OPTION_STEP] && !a->given[OPTION_RANGE])
        return err_new(ERR_INVALID, "--step goes with --range, as --range 1h --step 15s");
    if (!a->given[OPTION_RANGE]) return NULL;
    TRY(argument_duration(a, OPTION_RANGE, &q->range_ns));
    if (q->range_ns < 1000000) return argument_blame(a, OPTION_RANGE, err_new(ERR_INVALID, "is less than 1ms"));
    q->step_ns = step_for(q->range_ns);
    if (a->given[OPTION_STEP]) TRY(argument_duration(a, OPTION_STEP, &q->step_ns));
    if (q->step_ns < 1000000) return argument_blame(a, OPTION_STEP, err_new(ERR_INVALID, "is less than 1ms"));
    return NULL;
}

static void add_seconds(struct buf *path, const char *name, int64_t ns) {
    char text[40];
    int64_t ms = ns / 1000000;
    snprintf(text, sizeof text, "%s%lld.%03lld", ms < 0 ? "-" : "", (long long)llabs(ms / 1000),
             (long long)llabs(ms % 1000));
    command_add_param(path, name, str_of(text));
}

static err ask_wait(const struct arguments *a, const struct question *q, struct buf *out) {
    AUTO_BUF struct buf path;
    buf_init(&path, 256 * KIB);
    buf_add_text(&path, q->range_ns ? "/prometheus/api/v1/query_range" : "/prometheus/api/v1/query");
    command_add_param(&path, "query", a->positions[0]);
    if (q->range_ns) {
        add_seconds(&path, "start", q->end_ns - q->range_ns);
        add_seconds(&path, "end", q->end_ns);
        add_seconds(&path, "step", q->step_ns);
    } else {
        add_seconds(&path, "time", q->end_ns);
    }
    if (a->given[OPTION_LIMIT]) command_add_param(&path, "limit", argument_text(a, OPTION_LIMIT));
    err e = command_ask_wait(a, "GET", path.p, (struct str){0}, out);
    if (!e) return NULL;
    AUTO_BUF struct buf caret;
    buf_init(&caret, 4 * KIB);
    view_promql_caret(a->positions[0], str_of(err_text(e)), &caret);
    if (!caret.n) return e;
    err told = err_new(err_kind(e), "%s%s", err_text(e), caret.p);
    err_free(e);
    return told;
}

err command_query_promql(const struct arguments *a) {
    AUTO_BUF struct buf answer = {0}, out, notes;
    struct colors colors;
    struct question q;
    uint64_t limit = SERIES_DEFAULT;
    buf_init(&out, VIEW_BYTES_MAX);
    buf_init(&notes, 64 * KIB);
    TRY(command_colors(a, &colors));
    TRY(read_question(a, &q));
    if (a->given[OPTION_LIMIT]) TRY(argument_u64(a, OPTION_LIMIT, &limit));
    TRY(ask_wait(a, &q, &answer));
    if (argument_flag(a, OPTION_JSON)) {
        buf_add_byte(&answer, '\n');
        command_print(&answer);
        return NULL;
    }
    struct view_chart how = {.charts = q.range_ns > 0,
                             .start = (double)(q.end_ns - q.range_ns) / 1e9,
                             .end = (double)q.end_ns / 1e9,
                             .columns = process_is_terminal(1) ? process_terminal_columns(1) : 100,
                             .series_max = limit};
    how.braille = chart_locale_is_utf8(process_env("LC_ALL"), process_env("LC_CTYPE"), process_env("LANG"));
    TRY(view_promql(buf_str(&answer), &how, &colors, &out, &notes));
    command_print(&out);
    if (notes.n) fputs(notes.p, stderr);
    return NULL;
}
