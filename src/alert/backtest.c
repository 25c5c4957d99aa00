#include "alert/backtest.h"

#include <stdlib.h>

#include "alert/alert_priv.h"
#include "base/map.h"

#define SECOND_NS ((int64_t)1000000000)

err backtest_steps(const struct rule_group *g, int64_t *start_ns, int64_t *end_ns, int64_t *out_step_ns) {
    int64_t step = g->interval_ns ? g->interval_ns : ALERT_INTERVAL_NS;
    if (*start_ns < 0 || *end_ns > INT64_MAX / 2) return err_new(ERR_INVALID, "a range after 1970 and in this century");
    if (*start_ns >= *end_ns) return err_new(ERR_INVALID, "the range is empty: start must be before end");
    int64_t least = (*end_ns - *start_ns) / (BACKTEST_STEPS_MAX - 2);
    if (step < least) step = (least / SECOND_NS + 1) * SECOND_NS;
    *start_ns = (*start_ns + step - 1) / step * step;
    *end_ns = *end_ns / step * step;
    *out_step_ns = step;
    return *start_ns <= *end_ns ? NULL : err_new(ERR_INVALID, "the range is shorter than the group's interval");
}

bool rule_reads_recorded(const struct rule_group *g, size_t i) {
    struct strings names;
    strings_init(&names);
    for (size_t k = 0; k < i; k++)
        if (!g->rules[k].is_alert) strings_intern(&names, g->rules[k].name);
    bool reads = names.n && expr_may_read(g->rules[i].expr, &names);
    strings_done(&names);
    return reads;
}

/* ---- the life of a row ------------------------------------------------------------------------------------------- */

struct lives {
    const struct rule *rule;
    const struct backtest *range;
    struct arena *a;
    struct backtest_firing *v; /* NULL: they are counted only */
    size_t n, max;
    uint64_t count;
    uint8_t *fires; /* at each step: some row does */
};

static void end_firing(struct lives *l, struct labels labels, int64_t active, int64_t start, int64_t end,
                       bool goes_on) {
    l->count++;
    if (l->v && l->n < l->max) l->v[l->n++] = (struct backtest_firing){labels, active, start, end, goes_on};
}

/* As evaluate.c has it. */
static void live(struct lives *l, const struct promql_row *row, size_t steps, struct labels labels) {
    const struct backtest *b = l->range;
    int64_t active = 0, fired = 0, kept = 0, at = b->start_ns;
    bool pending = false, firing = false, keeping = false;
    for (size_t i = 0; i < steps; i++, at += b->step_ns) {
        if (row->kinds[i] != PROMQL_ABSENT) {
            keeping = false;
            if (!pending && !firing) pending = true, active = at;
            if (!firing && at - active >= l->rule->for_ns) firing = true, pending = false, fired = at;
        } else {
            if (firing && !keeping) keeping = true, kept = at;
            bool held = firing && at - kept < l->rule->keep_firing_ns;
            if (firing && !held) end_firing(l, labels, active, fired, at, false);
            if (!held) pending = firing = keeping = false;
        }
        if (firing) l->fires[i] = 1;
    }
    if (firing) end_firing(l, labels, active, fired, b->end_ns, true);
}

static struct labels labels_of(struct arena *a, const struct rule *rule, const struct promql_row *row) {
    struct label *set = arena_array(a, struct label, rule->labels.n + 1);
    uint32_t n = 0;
    if (!set) return (struct labels){0};
    for (uint32_t i = 0; i < rule->labels.n; i++)
        if (!str_contains(rule->labels.v[i].value, STR("{{"))) set[n++] = rule->labels.v[i];
    return labels_with(a, row->labels, set, n);
}

static err live_all(struct lives *l, const struct promql_answer *answer) {
    for (size_t i = 0; i < answer->row_n; i++) {
        struct labels labels = {0};
        if (l->v) labels = labels_of(l->a, l->rule, &answer->rows[i]);
        if (l->v && !labels.v) return arena_err(l->a);
        live(l, &answer->rows[i], answer->step_n, labels);
    }
    return NULL;
}

static int by_start(const void *x, const void *y) {
    const struct backtest_firing *a = x, *b = y;
    if (a->start_ns != b->start_ns) return a->start_ns < b->start_ns ? -1 : 1;
    return promql_labels_compare(a->labels, b->labels);
}

err rule_backtest(const struct rule_group *g, const struct rule *rule, struct series_source *source,
                  struct backtest *out) {
    struct arena *a = &source->q->arena;
    int64_t offset_ms = g->query_offset_ns > 0 ? g->query_offset_ns / 1000000 : 0;
    struct promql_options o = {.start_ms = out->start_ns / 1000000 - offset_ms,
                               .end_ms = out->end_ns / 1000000 - offset_ms,
                               .step_ms = MAX(out->step_ns / 1000000, 1),
                               .check = series_source_step,
                               .check_work = series_source_check,
                               .context = source};
    struct promql_answer *answer = arena_new(a, struct promql_answer);
    struct lives l = {.rule = rule, .range = out, .a = a};
    if (!answer) return arena_err(a);
    if (promql_type_of(rule->expr) != PROMQL_VECTOR && promql_type_of(rule->expr) != PROMQL_SCALAR)
        return err_new(ERR_INVALID, "rule result is not a vector or scalar");
    TRY(series_run(source, rule->expr, rule->text, &o, answer));
    l.fires = arena_zero(a, answer->step_n + 1);
    if (!l.fires) return arena_err(a);
    TRY(live_all(&l, answer));
    l.max = MIN(l.count, (uint64_t)BACKTEST_FOUND_MAX);
    l.v = arena_array(a, struct backtest_firing, l.max + 1);
    if (!l.v) return arena_err(a);
    l.count = 0;
    TRY(live_all(&l, answer));
    qsort(l.v, l.n, sizeof *l.v, by_start);
    out->count = l.count;
    out->n = MIN(l.n, (size_t)BACKTEST_FIRINGS_MAX);
    out->v = l.v + (l.n - out->n);
    for (size_t i = 0; i + 1 < answer->step_n; i++) out->firing_ns += l.fires[i] ? (uint64_t)out->step_ns : 0;
    return NULL;
}
