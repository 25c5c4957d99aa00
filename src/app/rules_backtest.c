/* clew rules backtest: when alerts would have fired; a running clew says it, group by group. */
#include <stdio.h>

#include "alert/alert.h"
#include "alert/group_text.h"
#include "app/command.h"
#include "app/json_tree.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"

enum { SHOWN_MAX = 20 };

struct backtest {
    const struct arguments *a;
    int64_t start_ns, end_ns;
    struct buf out;
    const struct rule_file *file;
    size_t group; /* the next one */
};

static void put_labels(struct buf *out, const struct json_node *labels) {
    const char *before = "{";
    for (const struct json_node *l = labels ? labels->first : NULL; l; l = l->next) {
        buf_add_text(out, before);
        put_terminal(out, l->key);
        buf_add_text(out, "=\"");
        put_terminal(out, l->text);
        buf_add_byte(out, '"');
        before = ", ";
    }
    buf_add_text(out, *before == ',' ? "}" : "{}");
}

static struct str text_of(const struct json_node *n, const char *key) {
    const struct json_node *v = json_tree_get(n, key);
    return v ? v->text : STR("");
}

static void put_seconds(struct buf *out, struct str time) {
    put_terminal(out, (struct str){time.p, MIN(time.n, (size_t)19)});
    buf_add_byte(out, 'Z');
}

static void say_firing(struct backtest *b, const struct json_node *f) {
    struct str end = text_of(f, "end");
    buf_add_text(&b->out, "  ");
    put_seconds(&b->out, text_of(f, "start"));
    buf_add_text(&b->out, " to ");
    if (end.n >= 19)
        put_seconds(&b->out, end);
    else
        buf_add_text(&b->out, "now");
    buf_add_text(&b->out, "  ");
    put_labels(&b->out, json_tree_get(f, "labels"));
    buf_add_byte(&b->out, '\n');
}

static void say_rule(struct backtest *b, const struct rule_group *g, const struct rule *rule,
                     const struct json_node *answer) {
    struct str error = text_of(answer, "error"), count = text_of(answer, "count");
    uint64_t n = 0, shown = 0;
    buf_add_fmt(&b->out, STR_FMT " (" STR_FMT ":%d, group " STR_FMT "): ", STR_ARG(rule->name), STR_ARG(g->file),
                rule->line, STR_ARG(g->name));
    if (error.n) {
        buf_add_text(&b->out, "cannot be tested: ");
        put_terminal(&b->out, error);
        buf_add_byte(&b->out, '\n');
        return;
    }
    err_free(parse_u64(count, &n));
    buf_add_fmt(&b->out, "would have fired %llu time%s%s\n", (unsigned long long)n, n == 1 ? "" : "s", n ? ":" : "");
    const struct json_node *reads = json_tree_get(answer, "reads_recorded");
    if (reads && reads->type == JSON_TRUE)
        buf_add_text(&b->out,
                     "  it reads what rules of its group record: what was recorded then counts, and where nothing "
                     "was it does not fire\n");
    const struct json_node *firings = json_tree_get(answer, "firings");
    for (const struct json_node *f = firings ? firings->first : NULL; f && shown < SHOWN_MAX; f = f->next, shown++)
        say_firing(b, f);
    if (n > shown) buf_add_fmt(&b->out, "  … and %llu more\n", (unsigned long long)(n - shown));
}

static err ask(struct backtest *b, struct str group, struct buf *answer) {
    AUTO_BUF struct buf path, body, text;
    struct json_writer w;
    buf_init(&path, KIB);
    buf_init(&text, group.n + 64);
    buf_init(&body, 8 * group.n + KIB);
    buf_add_text(&text, "{\"groups\":[");
    buf_add_str(&text, group);
    buf_add_text(&text, "]}");
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "text", str, buf_str(&text));
    json_object_end(&w);
    buf_add_fmt(&path, "/api/v1/rules/backtest?start=%lld&end=%lld", (long long)b->start_ns, (long long)b->end_ns);
    return command_ask_wait(b->a, "POST", path.p, buf_str(&body), answer);
}

static err test_group(void *context, struct str name, struct str json) {
    struct backtest *b = context;
    AUTO_BUF struct buf answer = {0};
    AUTO_ARENA struct arena a;
    const struct json_node *root;
    const struct rule_group *g = &b->file->groups[b->group++];
    bool any = false;
    for (size_t i = 0; i < g->n; i++) any |= g->rules[i].is_alert;
    if (!any) return NULL;
    arena_init(&a, (size_t)1 << 30);
    TRY_WRAP(ask(b, json, &answer), "group " STR_FMT, STR_ARG(name));
    TRY(json_tree_read(&a, buf_str(&answer), &root));
    const struct json_node *rules = json_tree_get(root, "rules"), *r = rules ? rules->first : NULL;
    for (size_t i = 0; i < g->n && r; i++) {
        if (!g->rules[i].is_alert) continue;
        say_rule(b, g, &g->rules[i], r);
        r = r->next;
    }
    return NULL;
}

static err test_file(struct backtest *b, const char *path) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf text = {0}, problems;
    struct rule_file file;
    arena_init(&a, (size_t)1 << 30);
    buf_init(&problems, MIB);
    TRY(file_read_all(path, RULE_FILE_BYTES_MAX, &text));
    TRY(rules_read(buf_str(&text), path, &a, &file, &problems));
    if (problems.n) return err_new(ERR_INVALID, "%.*s", (int)MIN(problems.n - 1, (size_t)900), problems.p);
    b->file = &file;
    return rule_groups_json(buf_str(&text), &a, test_group, b);
}

err command_rules_backtest(const struct arguments *a) {
    struct backtest b = {.a = a, .end_ns = clock_wall_ns()};
    AUTO_FREE char *path = str_dup(a->positions[0]);
    int64_t last_ns;
    TRY(argument_duration(a, OPTION_LAST, &last_ns));
    b.start_ns = b.end_ns - MIN(last_ns, b.end_ns);
    buf_init(&b.out, 64 * MIB);
    err e = test_file(&b, path);
    if (!e) command_print(&b.out);
    buf_done(&b.out);
    return e;
}
