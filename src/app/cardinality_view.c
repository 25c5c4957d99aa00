/* clew cardinality: where the series of a running clew are. */
#include <stdio.h>

#include "app/json_tree.h"
#include "app/view.h"
#include "base/text.h"

enum { NAME_COLUMNS = 48, BAR_COLUMNS = 16, LISTED = 10, LISTED_MAX = 10000 };

static uint64_t number(const struct json_node *of, const char *key) {
    return (uint64_t)MAX(json_tree_number(of, key), 0);
}

static void put_counted(struct buf *out, const struct json_node *of, const char *key, const char *what) {
    put_count(out, number(of, key));
    buf_add_fmt(out, " %s", what);
}

/* Series with their share and a bar, then samples and bytes. */
static void put_amounts(struct buf *out, const struct json_node *row, uint64_t all, const struct colors *c) {
    AUTO_BUF struct buf series, size;
    double share = all ? MIN((double)number(row, "series") / (double)all, 1.0) : 0;
    int bar = MIN((int)(share * BAR_COLUMNS + 0.5), (int)BAR_COLUMNS);
    buf_init(&series, 64);
    buf_init(&size, 64);
    put_count(&series, number(row, "series"));
    put_size(&size, number(row, "bytes"));
    buf_add_fmt(out, "%11s %5.1f %% %s", series.p, 100 * share, c->cyan);
    for (int i = 0; i < bar; i++) buf_add_text(out, "█");
    buf_add_fmt(out, "%s%*s %11s ", c->reset, BAR_COLUMNS - bar, "", size.p);
    put_counted(out, row, "samples", "samples");
}

static void put_rows(struct buf *out, const struct json_node *tree, const char *key, const char *title,
                     const struct colors *c) {
    const struct json_node *rows = json_tree_get(tree, key);
    if (!rows->first) return;
    buf_add_fmt(out, "  %s%s%s\n", c->dim, title, c->reset);
    for (const struct json_node *n = rows->first; n; n = n->next) {
        AUTO_BUF struct buf name;
        struct str value = json_tree_text(n, "value");
        buf_init(&name, 256 * KIB);
        buf_add_str(&name, json_tree_text(n, "name"));
        if (value.n) buf_add_fmt(&name, "=" STR_FMT, STR_ARG(value));
        view_put_name(out, buf_str(&name), NAME_COLUMNS);
        put_amounts(out, n, number(tree, "series"), c);
        if (number(n, "values")) {
            buf_add_text(out, ", ");
            put_counted(out, n, "values", number(n, "values") == 1 ? "value" : "values");
        }
        buf_add_byte(out, '\n');
    }
}

err view_cardinality(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    AUTO_ARENA struct arena a;
    const struct json_node *tree;
    arena_init(&a, VIEW_BYTES_MAX);
    TRY(json_tree_read(&a, answer, &tree));
    buf_add_text(out, c->bold);
    put_counted(out, tree, "series", "series");
    buf_add_fmt(out, "%s of ", c->reset);
    put_counted(out, tree, "metrics_found", "metrics, ");
    put_counted(out, tree, "pairs_found", "pairs of ");
    put_counted(out, tree, "labels_found", "labels; ");
    put_counted(out, tree, "samples", "samples in ");
    put_size(out, number(tree, "bytes"));
    buf_add_text(out, " of files and ");
    put_size(out, number(tree, "memory_bytes"));
    buf_add_text(out, " of memory\n");
    put_rows(out, tree, "metrics", "by metric", c);
    put_rows(out, tree, "labels", "by label", c);
    put_rows(out, tree, "pairs", "by label and value", c);
    if (json_tree_get(tree, "partial")->type == JSON_TRUE) {
        buf_add_text(notes, "partial: ");
        put_terminal(notes, json_tree_text(tree, "partial_reason"));
        buf_add_byte(notes, '\n');
    }
    return NULL;
}

err command_cardinality(const struct arguments *a) {
    AUTO_BUF struct buf path, answer = {0}, out = {0}, notes = {0};
    struct colors colors;
    uint64_t limit = LISTED;
    TRY(command_colors(a, &colors));
    if (a->given[OPTION_LIMIT]) TRY(argument_u64(a, OPTION_LIMIT, &limit));
    if (limit < 1 || limit > LISTED_MAX) return err_new(ERR_INVALID, "--limit: from 1 to %d", LISTED_MAX);
    buf_init(&path, 96 * KIB);
    buf_add_fmt(&path, "/api/v1/metrics/cardinality?limit=%llu", (unsigned long long)limit);
    if (a->position_count) command_add_param(&path, "match[]", a->positions[0]);
    command_add_option(&path, "start", a, OPTION_START);
    command_add_option(&path, "end", a, OPTION_END);
    TRY(command_ask_wait(a, "GET", path.p, (struct str){0}, &answer));
    if (argument_flag(a, OPTION_JSON)) {
        command_say(STR_FMT, STR_ARG(buf_str(&answer)));
        return NULL;
    }
    buf_init(&out, 64 << 20);
    buf_init(&notes, 64 * KIB);
    TRY(view_cardinality(buf_str(&answer), &colors, &out, &notes));
    command_print(&out);
    if (notes.n) fputs(notes.p, stderr);
    return NULL;
}
