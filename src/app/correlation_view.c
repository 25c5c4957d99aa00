/* clew query correlations|correlation|propagation: requests by their id, and where it is lost, as lines. */
#include "app/json_tree.h"
#include "app/view.h"
#include "base/text.h"

enum { SERVICE_COLUMNS = 14, OFFSET_COLUMNS = 10 };

static bool is_true(const struct json_node *of, const char *key) { return json_tree_get(of, key)->type == JSON_TRUE; }

static void put_counted(struct buf *out, const struct json_node *of, const char *key, const char *one) {
    int64_t n = json_tree_number(of, key);
    buf_add_fmt(out, "  %lld %s%s", (long long)n, one, n == 1 ? "" : "s");
}

static void put_errors(struct buf *out, const struct json_node *of, const struct colors *c) {
    if (json_tree_number(of, "error_count") <= 0) return;
    buf_add_text(out, c->red);
    put_counted(out, of, "error_count", "error");
    buf_add_text(out, c->reset);
}

/* Right-aligned. */
static void put_duration(struct buf *out, int64_t ns, int columns) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64);
    put_duration_short(&text, ns);
    buf_add_fmt(out, "%*s%s", columns - MIN(view_columns_of(buf_str(&text)), columns), "", text.p);
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

static void put_summary(struct buf *out, const struct json_node *n, const struct colors *c) {
    struct str operation = json_tree_text(n, "root_operation");
    put_duration(out, json_tree_number(n, "duration_ns"), 10);
    put_counted(out, n, "trace_count", "trace");
    put_counted(out, n, "span_count", "span");
    put_counted(out, n, "log_count", "log");
    buf_add_text(out, "  ");
    put_terminal(out, json_tree_text(n, "root_service"));
    if (operation.n) buf_add_byte(out, ' ');
    put_terminal(out, operation);
    put_errors(out, n, c);
    buf_add_byte(out, '\n');
}

static void put_correlation(struct buf *out, const struct json_node *n, const struct colors *c) {
    view_put_moment(out, json_tree_text(n, "first_seen"));
    view_put_dim(out, "  ", json_tree_text(n, "correlation_id"), c);
    put_summary(out, n, c);
}

err view_correlations(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    return view_list(answer, "correlations", put_correlation, c, out, notes);
}

/* ns from one RFC 3339 time to another; 0 where one is none. */
static int64_t between(struct str from, struct str to) {
    int64_t a = 0, b = 0, ns;
    err e = parse_time(from, 0, &a);
    if (!e) e = parse_time(to, 0, &b);
    bool bad = e || __builtin_sub_overflow(b, a, &ns);
    err_free(e);
    return bad ? 0 : ns;
}

static void put_item(struct buf *out, const struct json_node *n, struct str first, const struct colors *c) {
    bool log = str_equal(json_tree_text(n, "type"), STR("log")), failed = is_true(n, "is_error");
    int64_t offset = between(first, json_tree_text(n, "time"));
    buf_add_text(out, c->dim);
    put_duration(out, MAX(offset, 0), OFFSET_COLUMNS);
    buf_add_fmt(out, "%s", c->reset);
    view_put_name(out, json_tree_text(n, "service"), SERVICE_COLUMNS);
    buf_add_fmt(out, " %s%s ", failed ? c->red : "", log ? "log " : "span");
    put_terminal(out, json_tree_text(n, "description"));
    buf_add_text(out, failed ? c->reset : "");
    if (!log) {
        buf_add_fmt(out, "  %s", c->dim);
        put_duration_short(out, MAX(json_tree_number(n, "duration_ns"), 0));
        buf_add_text(out, c->reset);
    }
    buf_add_byte(out, '\n');
}

err view_correlation(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    AUTO_ARENA struct arena a;
    const struct json_node *tree;
    arena_init(&a, VIEW_BYTES_MAX);
    TRY(json_tree_read(&a, answer, &tree));
    struct str first = json_tree_text(tree, "first_seen");
    put_correlation(out, tree, c);
    for (const struct json_node *n = json_tree_get(tree, "timeline")->first; n; n = n->next) put_item(out, n, first, c);
    int64_t left_out = json_tree_number(tree, "items_left_out");
    if (left_out > 0) buf_add_fmt(notes, "%lld more (--limit)\n", (long long)left_out);
    view_note_partial(notes, tree);
    return NULL;
}

/* ---- where context is lost -------------------------------------------------------------------------------------- */

/* Text of several lines, each behind six blanks. */
static void put_snippet(struct buf *out, struct str text, const struct colors *c) {
    struct str line;
    for (bool more = text.n > 0; more && text.n;) {
        more = str_cut(text, '\n', &line, &text);
        buf_add_fmt(out, "      %s", c->dim);
        put_terminal(out, line);
        buf_add_fmt(out, "%s\n", c->reset);
    }
}

static void put_finding(struct buf *out, const struct json_node *n, const struct colors *c) {
    struct str caller = json_tree_text(n, "caller"), certainty = json_tree_text(n, "certainty");
    const struct json_node *sample = json_tree_get(n, "samples")->first;
    const char *color = str_equal(certainty, STR("certain"))  ? c->red
                        : str_equal(certainty, STR("likely")) ? c->yellow
                                                              : c->dim;
    buf_add_text(out, color);
    put_terminal(out, certainty);
    buf_add_fmt(out, "%s  %s", c->reset, c->bold);
    put_terminal(out, json_tree_text(n, "kind"));
    buf_add_fmt(out, "%s  ", c->reset);
    put_terminal(out, caller);
    if (caller.n) buf_add_text(out, " → ");
    put_terminal(out, json_tree_text(n, "service"));
    buf_add_fmt(out, "  %lld of %lld", (long long)json_tree_number(n, "count"),
                (long long)json_tree_number(n, "of_count"));
    if (sample && json_tree_text(sample, "trace_id").n)
        view_put_dim(out, "  trace ", json_tree_text(sample, "trace_id"), c);
    buf_add_byte(out, '\n');
    for (const struct json_node *a = json_tree_get(n, "advice")->first; a; a = a->next) {
        buf_add_text(out, "    ");
        put_terminal(out, json_tree_text(a, "service"));
        view_put_dim(out, " ", json_tree_text(a, "language"), c);
        buf_add_text(out, ": ");
        put_terminal(out, json_tree_text(a, "title"));
        buf_add_byte(out, '\n');
        put_snippet(out, json_tree_text(a, "snippet"), c);
    }
}

err view_propagation(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    return view_list(answer, "findings", put_finding, c, out, notes);
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static void add_options(struct buf *path, const struct arguments *a) {
    static const struct {
        const char *name;
        enum option option;
    } params[] = {
        {"service", OPTION_SERVICE},
        {"environment", OPTION_ENVIRONMENT},
        {"min_duration", OPTION_MIN_DURATION},
        {"attribute", OPTION_ATTRIBUTE},
        {"start", OPTION_START},
        {"end", OPTION_END},
        {"limit", OPTION_LIMIT},
        {"cursor", OPTION_CURSOR},
    };
    for (size_t i = 0; i < LENGTH(params); i++) command_add_option(path, params[i].name, a, params[i].option);
}

err command_query_correlations(const struct arguments *a) {
    AUTO_BUF struct buf path;
    struct str status = argument_text(a, OPTION_STATUS);
    buf_init(&path, 64 * KIB);
    if (a->given[OPTION_STATUS] && !str_equal(status, STR("error")))
        return err_new(ERR_INVALID, "--status: error alone is asked for here, not \"" STR_FMT "\"", STR_ARG(status));
    buf_add_text(&path, "/api/v1/correlations");
    if (a->position_count) command_add_param(&path, "search", a->positions[0]);
    if (a->given[OPTION_STATUS]) command_add_param(&path, "errors", STR("true"));
    add_options(&path, a);
    return command_ask_and_view_wait(a, &path, view_correlations);
}

err command_query_correlation(const struct arguments *a) {
    AUTO_BUF struct buf path;
    struct str id = a->positions[0];
    buf_init(&path, 64 * KIB);
    if (!id.n) return err_new(ERR_INVALID, "the ID is empty");
    buf_add_text(&path, "/api/v1/correlations/");
    if (str_equal(id, STR(".")) || str_contains(id, STR(".."))) { /* that may be what no path can hold */
        buf_add_byte(&path, '-');
        command_add_param(&path, "id", id);
    } else {
        command_add_encoded(&path, id);
    }
    command_add_param(&path, "details", STR("true"));
    add_options(&path, a);
    return command_ask_and_view_wait(a, &path, view_correlation);
}

err command_query_propagation(const struct arguments *a) {
    AUTO_BUF struct buf path;
    buf_init(&path, 64 * KIB);
    buf_add_text(&path, "/api/v1/propagation");
    add_options(&path, a);
    return command_ask_and_view_wait(a, &path, view_propagation);
}
