/* sum, avg, count, min, max, group, stddev, stdvar: rows fold into their group's row as they come. */
#include <math.h>

#include "query/promql/aggregate_priv.h"

enum { SEEN_FLOAT = 1, SEEN_HISTOGRAM = 2, INCOMPATIBLE = 4, MOVING_MEAN = 8 };

/* Of a group, over the steps. What `value`, `c` and `mean` hold is the aggregation's. */
struct group {
    struct labels labels;
    bool drop_name;
    uint8_t *state;
    double *value, *c, *mean, *count;
    struct native **histograms;
};

struct aggregate_sink {
    struct sink sink;
    struct evaluator *ev;
    const struct promql_node *e;
    struct grouping grouping;
    struct group *groups;
    uint32_t capacity;
    size_t steps;
};

/* ---- grouping ---------------------------------------------------------------------------------------------------- */

err grouping_init(struct evaluator *ev, const struct promql_node *e, struct grouping *g) {
    *g = (struct grouping){.ev = ev, .without = e->without};
    return names_sort(ev->a, &e->labels, &g->names) ? NULL : eval_no_memory(ev);
}

err grouping_find(struct grouping *g, struct labels labels, uint32_t *out) {
    uint32_t n;
    labels_project(labels, &g->names, g->without, g->scratch, &n);
    *out = label_index_add(g->ev->a, &g->index, (struct labels){g->scratch, n});
    return *out == UINT32_MAX ? eval_no_memory(g->ev) : NULL;
}

static err group_new(struct aggregate_sink *s, struct group *g, struct labels labels) {
    struct evaluator *ev = s->ev;
    enum aggregation op = s->e->aggregation;
    size_t n = MAX(s->steps, 1);
    *g = (struct group){.labels = labels};
    NEED(g->state = arena_zero(ev->a, n));
    NEED(g->value = arena_zero(ev->a, sizeof *g->value * n));
    if (op == AGG_SUM || op == AGG_AVG) NEED(g->c = arena_zero(ev->a, sizeof *g->c * n));
    if (op == AGG_AVG || op == AGG_STDDEV || op == AGG_STDVAR) {
        NEED(g->mean = arena_zero(ev->a, sizeof *g->mean * n));
        NEED(g->count = arena_zero(ev->a, sizeof *g->count * n));
    }
    return eval_hold(ev, s->steps);
}

static err group_of(struct aggregate_sink *s, struct labels labels, struct group **out) {
    struct evaluator *ev = s->ev;
    uint32_t i;
    TRY(grouping_find(&s->grouping, labels, &i));
    if (i == s->capacity) {
        struct group *more = arena_alloc(ev->a, sizeof *more * MAX(s->capacity * 2, 16));
        NEED(more);
        if (i) memcpy(more, s->groups, sizeof *more * i);
        s->groups = more;
        s->capacity = MAX(s->capacity * 2, 16);
    }
    *out = &s->groups[i];
    if (i + 1 > s->grouping.made) {
        s->grouping.made = i + 1;
        return group_new(s, *out, s->grouping.index.sets[i]);
    }
    return NULL;
}

/* ---- folding floats ---------------------------------------------------------------------------------------------- */

static void fold_sum(struct group *g, size_t i, double v) {
    if (!(g->state[i] & SEEN_FLOAT))
        g->value[i] = v;
    else
        kahan_add(v, &g->value[i], &g->c[i]);
}

static void fold_avg(struct group *g, size_t i, double v) {
    double n = ++g->count[i];
    if (n == 1) {
        g->value[i] = v;
        return;
    }
    if (!(g->state[i] & MOVING_MEAN)) {
        double sum = g->value[i], c = g->c[i];
        kahan_add(v, &sum, &c);
        if (!isinf(sum)) {
            g->value[i] = sum, g->c[i] = c;
            return;
        }
        g->state[i] |= MOVING_MEAN;
        g->mean[i] = g->value[i] / (n - 1);
        g->c[i] /= n - 1;
    }
    double q = (n - 1) / n;
    g->mean[i] *= q, g->c[i] *= q;
    kahan_add(v / n, &g->mean[i], &g->c[i]);
}

static void fold_min(struct group *g, size_t i, double v) {
    if (!(g->state[i] & SEEN_FLOAT) || g->value[i] > v || isnan(g->value[i])) g->value[i] = v;
}

static void fold_max(struct group *g, size_t i, double v) {
    if (!(g->state[i] & SEEN_FLOAT) || g->value[i] < v || isnan(g->value[i])) g->value[i] = v;
}

static void fold_variance(struct group *g, size_t i, double v) {
    double n = ++g->count[i];
    if (n == 1) {
        g->mean[i] = v;
        g->value[i] = isfinite(v) ? 0 : NAN;
        return;
    }
    double delta = v - g->mean[i];
    g->mean[i] += delta / n;
    g->value[i] += delta * (v - g->mean[i]);
}

static void fold_count(struct group *g, size_t i, double v) {
    (void)v;
    g->value[i]++;
}

static void fold_group(struct group *g, size_t i, double v) {
    (void)v;
    g->value[i] = 1;
}

/* The usual row: all its cells are floats, so that the loop has no branches. The error of each sum is the one that kahan_add finds,
 * found without asking which of the two is larger (Knuth's two-sum). */
static void fold_sum_of_floats(struct group *g, const double *restrict v, size_t n) {
    double *restrict sum = g->value, *restrict c = g->c;
    for (size_t i = 0; i < n; i++) {
        double total = sum[i] + v[i], part = total - sum[i];
        c[i] += (sum[i] - (total - part)) + (v[i] - part);
        sum[i] = total;
    }
    for (size_t i = 0; i < n; i++) g->state[i] |= SEEN_FLOAT;
}

/* ---- folding histograms ------------------------------------------------------------------------------------------ */

static err fold_histogram(struct aggregate_sink *s, struct group *g, size_t i, const struct row *row) {
    struct evaluator *ev = s->ev;
    if (!g->histograms) NEED(g->histograms = arena_zero(ev->a, sizeof *g->histograms * MAX(s->steps, 1)));
    if (g->state[i] & INCOMPATIBLE) return NULL;
    g->state[i] |= SEEN_HISTOGRAM;
    if (g->count) g->count[i]++;
    if (!g->histograms[i]) {
        NEED(g->histograms[i] = native_copy(ev->a, row->histograms[i]));
        return NULL;
    }
    enum native_added added = native_add(ev->a, g->histograms[i], row->histograms[i], 1);
    if (added == NATIVE_NO_MEMORY) return eval_no_memory(ev);
    if (added == NATIVE_ADDED) return NULL;
    g->state[i] |= INCOMPATIBLE;
    note_mixed_histograms(ev, s->e->args[0], row_name(row), added);
    return NULL;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

enum histogram_rule { HISTOGRAMS_ADD, HISTOGRAMS_COUNT, HISTOGRAMS_IGNORED };

static const struct {
    void (*fold)(struct group *g, size_t i, double v);
    enum histogram_rule histograms;
} folds[AGGREGATIONS] = {
    [AGG_SUM] = {fold_sum, HISTOGRAMS_ADD},
    [AGG_AVG] = {fold_avg, HISTOGRAMS_ADD},
    [AGG_COUNT] = {fold_count, HISTOGRAMS_COUNT},
    [AGG_GROUP] = {fold_group, HISTOGRAMS_COUNT},
    [AGG_MIN] = {fold_min, HISTOGRAMS_IGNORED},
    [AGG_MAX] = {fold_max, HISTOGRAMS_IGNORED},
    [AGG_STDDEV] = {fold_variance, HISTOGRAMS_IGNORED},
    [AGG_STDVAR] = {fold_variance, HISTOGRAMS_IGNORED},
};

void note_histogram_ignored(struct evaluator *ev, const struct promql_node *at, enum aggregation op) {
    note(ev, NOTE_INFO, at, "ignored histogram in %s aggregation", aggregation_rows[op].name);
}

static err aggregate_take(struct sink *sink, struct row *row) {
    struct aggregate_sink *s = (struct aggregate_sink *)sink;
    enum aggregation op = s->e->aggregation;
    struct group *g = NULL;
    TRY(eval_touch(s->ev, ROW_TOUCHES + (row->histograms ? HISTOGRAM_TOUCHES : 1) * s->steps));
    TRY(group_of(s, row->labels, &g));
    g->drop_name |= row->drop_name;
    if (op == AGG_SUM && row_is_floats(row, s->steps)) return fold_sum_of_floats(g, row->values, s->steps), NULL;
    for (size_t i = 0; i < s->steps; i++) {
        bool histogram = row->kinds[i] == PROMQL_HISTOGRAM;
        if (row->kinds[i] == PROMQL_ABSENT) continue;
        if (histogram && folds[op].histograms == HISTOGRAMS_IGNORED) {
            note_histogram_ignored(s->ev, s->e->args[0], op);
        } else if (histogram && folds[op].histograms == HISTOGRAMS_ADD) {
            TRY(fold_histogram(s, g, i, row));
        } else {
            folds[op].fold(g, i, row->values[i]);
            g->state[i] |= SEEN_FLOAT;
        }
    }
    return NULL;
}

static double finish_float(enum aggregation op, const struct group *g, size_t i) {
    double v = g->value[i];
    if (op == AGG_SUM) return isinf(v) ? v : v + g->c[i];
    if (op == AGG_STDVAR) return v / g->count[i];
    if (op == AGG_STDDEV) return sqrt(v / g->count[i]);
    if (op != AGG_AVG) return v;
    return g->state[i] & MOVING_MEAN ? g->mean[i] + g->c[i] : v / g->count[i] + g->c[i] / g->count[i];
}

static err finish_group(struct aggregate_sink *s, const struct group *g, struct table *out) {
    struct row row = {0};
    TRY(eval_touch(s->ev, ROW_TOUCHES + (g->histograms ? HISTOGRAM_TOUCHES : 1) * s->steps));
    TRY(row_prepare(s->ev, &row, s->steps));
    row.labels = g->labels;
    row.drop_name = g->drop_name;
    for (size_t i = 0; i < s->steps; i++) {
        uint8_t state = g->state[i];
        if ((state & SEEN_FLOAT) && (state & SEEN_HISTOGRAM)) {
            note(s->ev, NOTE_WARNING, s->e->args[0], "encountered a mix of histograms and floats for aggregation");
        } else if (state & SEEN_FLOAT) {
            row.kinds[i] = PROMQL_FLOAT;
            row.values[i] = finish_float(s->e->aggregation, g, i);
        } else if ((state & SEEN_HISTOGRAM) && !(state & INCOMPATIBLE)) {
            TRY(row_histograms(s->ev, &row, s->steps));
            if (s->e->aggregation == AGG_AVG) native_divide(g->histograms[i], g->count[i]);
            native_compact(g->histograms[i]);
            row.kinds[i] = PROMQL_HISTOGRAM;
            row.histograms[i] = g->histograms[i];
        }
    }
    return row_is_empty(&row, s->steps) ? NULL : table_push(s->ev, out, &row);
}

err eval_aggregate(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    if (e->aggregation == AGG_QUANTILE) return aggregate_quantile(ev, t, e, out);
    if (e->aggregation == AGG_COUNT_VALUES) return aggregate_count_values(ev, t, e, out);
    if (!folds[e->aggregation].fold) return aggregate_choose(ev, t, e, out);
    struct aggregate_sink *s = arena_new(ev->a, struct aggregate_sink);
    NEED(s);
    *s = (struct aggregate_sink){.sink = {aggregate_take}, .ev = ev, .e = e, .steps = t->n};
    TRY(grouping_init(ev, e, &s->grouping));
    TRY(eval_each(ev, t, e->args[0], &s->sink));
    for (uint32_t i = 0; i < s->grouping.index.n; i++) TRY(finish_group(s, &s->groups[i], out));
    return NULL;
}
