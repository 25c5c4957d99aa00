/* clew rules backtest: when alerts would have fired, by range queries over the past. */
#include <stdio.h>

#include "alert/alert.h"
#include "app/command.h"
#include "app/json_tree.h"
#include "base/text.h"
#include "os/clock.h"

enum { STEPS_MAX = 10000, SHOWN_MAX = 20 };

struct backtest {
    const struct arguments *a;
    int64_t start_ns, end_ns, step_ns;
    struct buf out;
    const struct rule *rule;
    uint64_t fired;
};

/* ---- one series -------------------------------------------------------------------------------------------------- */

static void put_labels(struct buf *out, const struct json_node *metric) {
    const char *before = "{";
    for (const struct json_node *l = metric->first; l; l = l->next) {
        if (str_equal(l->key, STR("__name__"))) continue;
        buf_add_text(out, before);
        put_terminal(out, l->key);
        buf_add_text(out, "=\"");
        put_terminal(out, l->text);
        buf_add_byte(out, '"');
        before = ", ";
    }
    buf_add_text(out, *before == ',' ? "}" : "{}");
}

static void say(struct backtest *b, const struct json_node *series, int64_t from_ns, int64_t to_ns) {
    if (b->fired++ >= SHOWN_MAX) return;
    buf_add_text(&b->out, "  ");
    put_time(&b->out, from_ns);
    buf_add_text(&b->out, " to ");
    if (to_ns < b->end_ns)
        put_time(&b->out, to_ns);
    else
        buf_add_text(&b->out, "now");
    buf_add_text(&b->out, "  ");
    put_labels(&b->out, json_tree_get(series, "metric"));
    buf_add_byte(&b->out, '\n');
}

/* The life of one alert over its present times: as the engine has it (alert/evaluate.c). */
static void live(struct backtest *b, const struct json_node *series) {
    int64_t active = 0, fired = 0, kept = 0;
    const struct json_node *pair = json_tree_get(series, "values")->first;
    for (int64_t at = b->start_ns; at <= b->end_ns; at += b->step_ns) {
        double seconds = 0;
        if (pair) err_free(parse_f64(pair->first->text, &seconds));
        bool there = pair && (int64_t)(seconds * 1000) == at / 1000000;
        if (there) {
            pair = pair->next;
            kept = 0;
            if (!active) active = at;
            if (!fired && at - active >= b->rule->for_ns) fired = at;
            continue;
        }
        if (fired && b->rule->keep_firing_ns > 0) {
            if (!kept) kept = at;
            if (at - kept < b->rule->keep_firing_ns) continue;
        }
        if (fired) say(b, series, fired, at);
        active = fired = kept = 0;
    }
    if (fired) say(b, series, fired, b->end_ns);
}

/* ---- one rule ---------------------------------------------------------------------------------------------------- */

static err ask(struct backtest *b, struct buf *answer) {
    AUTO_BUF struct buf path;
    buf_init(&path, 256 * KIB);
    buf_add_text(&path, "/prometheus/api/v1/query_range?query=");
    command_add_encoded(&path, b->rule->text);
    buf_add_fmt(&path, "&start=%.3f&end=%.3f&step=%.3f", (double)b->start_ns / 1e9, (double)b->end_ns / 1e9,
                (double)b->step_ns / 1e9);
    return command_ask_wait(b->a, "GET", path.p, (struct str){0}, answer);
}

static err test_rule(struct backtest *b, const struct rule_group *g, struct str path) {
    AUTO_BUF struct buf answer = {0}, times = {0};
    AUTO_ARENA struct arena a;
    const struct json_node *root;
    arena_init(&a, (size_t)1 << 30);
    TRY_WRAP(ask(b, &answer), STR_FMT, STR_ARG(b->rule->name));
    TRY(json_tree_read(&a, buf_str(&answer), &root));
    buf_init(&times, MIB);
    b->fired = 0;
    struct buf head = b->out; /* what is before */
    b->out = times;
    const struct json_node *result = json_tree_get(json_tree_get(root, "data"), "result");
    for (const struct json_node *s = result->first; s; s = s->next) live(b, s);
    times = b->out;
    b->out = head;
    buf_add_fmt(&b->out, STR_FMT " (" STR_FMT ":%d, group " STR_FMT "): would have fired %llu time%s%s\n",
                STR_ARG(b->rule->name), STR_ARG(path), b->rule->line, STR_ARG(g->name), (unsigned long long)b->fired,
                b->fired == 1 ? "" : "s", b->fired ? ":" : "");
    buf_add_str(&b->out, times.n ? buf_str(&times) : STR(""));
    if (b->fired > SHOWN_MAX) buf_add_fmt(&b->out, "  … and %llu more\n", (unsigned long long)b->fired - SHOWN_MAX);
    return NULL;
}

static err test_group(struct backtest *b, const struct rule_group *g, int64_t last_ns, struct str path) {
    int64_t now = clock_wall_ns();
    b->step_ns =
        MAX(g->interval_ns ? g->interval_ns : ALERT_INTERVAL_NS, last_ns / STEPS_MAX / 1000000000 * 1000000000);
    b->end_ns = now / b->step_ns * b->step_ns;
    b->start_ns = b->end_ns - last_ns / b->step_ns * b->step_ns;
    for (size_t i = 0; i < g->n; i++) {
        b->rule = &g->rules[i];
        if (b->rule->is_alert) TRY(test_rule(b, g, path));
    }
    return NULL;
}

err command_rules_backtest(const struct arguments *a) {
    struct backtest b = {.a = a};
    struct alert_rules *rules = NULL;
    AUTO_BUF struct buf problems;
    AUTO_FREE char *path = str_dup(a->positions[0]);
    const char *pattern = path;
    int64_t last_ns;
    buf_init(&problems, MIB);
    TRY(argument_duration(a, OPTION_LAST, &last_ns));
    TRY(alert_rules_read(&pattern, 1, &rules, &problems));
    if (problems.n) return err_new(ERR_INVALID, "%.*s", (int)MIN(problems.n - 1, (size_t)900), problems.p);
    buf_init(&b.out, 64 * MIB);
    err e = NULL;
    for (size_t f = 0; f < rules->files.n && !e; f++)
        for (size_t g = 0; g < rules->files.v[f].n && !e; g++)
            e = test_group(&b, &rules->files.v[f].groups[g], last_ns, rules->files.v[f].groups[g].file);
    if (!e) command_print(&b.out);
    buf_done(&b.out);
    alert_rules_free(rules);
    return e;
}
