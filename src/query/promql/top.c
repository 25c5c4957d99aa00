/* topk and bottomk over a range: rows are compared as they come, and only what is among the best of a step is kept.
 *
 *   row ─▶ its group ─▶ each step: below the worst that is kept? most cells end here ─▶ a heap of the step, its worst first
 *   end: what is in heaps, by row and step ─▶ one row each
 *
 * A group's heaps grow with its rows, up to the parameter, so that many groups of few rows take little. */
#include <math.h>

#include "query/promql/aggregate_priv.h"

enum { TOP_MAX = 64, TOP_LANES = 8 };

struct top_group {
    struct candidate *heaps; /* steps × size */
    uint32_t *n;
    double *
        bounds; /* of each step: sign × the worst value kept, once the heap is full; what is below it is none of the best */
    uint32_t size, rows;
};

struct top_row {
    struct labels labels;
    bool drop_name;
};

struct top {
    struct sink sink;
    struct evaluator *ev;
    const struct promql_node *e;
    struct grouping grouping;
    struct top_group *groups;
    uint32_t group_capacity;
    struct top_row *rows; /* those that were among the best when they came */
    uint32_t row_n, row_capacity;
    uint32_t *kept; /* how many each step keeps */
    uint32_t kept_most;
    size_t steps, taken;
    int sign;
};

/* ---- groups ------------------------------------------------------------------------------------------------------ */

/* Room for twice as many candidates a step, up to what any step keeps. */
static err group_grow(struct top *s, struct top_group *g) {
    struct evaluator *ev = s->ev;
    uint32_t size = MIN(MAX(g->size * 2, 1), s->kept_most);
    struct candidate *heaps = arena_alloc(ev->a, sizeof *heaps * s->steps * size);
    NEED(heaps);
    TRY(eval_hold(ev, s->steps * (size - g->size)));
    TRY(eval_touch(ev, s->steps));
    for (size_t i = 0; i < s->steps && g->size; i++)
        memcpy(heaps + i * size, g->heaps + i * g->size, sizeof *heaps * g->n[i]);
    g->heaps = heaps;
    g->size = size;
    return NULL;
}

static err group_of(struct top *s, struct labels labels, struct top_group **out) {
    struct evaluator *ev = s->ev;
    uint32_t i;
    TRY(grouping_find(&s->grouping, labels, &i));
    if (i == s->group_capacity) {
        uint32_t capacity = MAX(i * 2, 4);
        struct top_group *more = arena_alloc(ev->a, sizeof *more * capacity);
        NEED(more);
        if (i) memcpy(more, s->groups, sizeof *more * i);
        s->groups = more;
        s->group_capacity = capacity;
    }
    *out = &s->groups[i];
    if (i < s->grouping.made) return NULL;
    s->grouping.made = i + 1;
    struct top_group *g = *out;
    *g = (struct top_group){0};
    NEED(g->n = arena_zero(ev->a, sizeof *g->n * s->steps));
    NEED(g->bounds = arena_alloc(ev->a, sizeof *g->bounds * s->steps));
    for (size_t k = 0; k < s->steps; k++) g->bounds[k] = s->kept[k] ? -INFINITY : INFINITY;
    return eval_hold(ev, s->steps);
}

/* ---- rows as they come ------------------------------------------------------------------------------------------- */

/* The candidate of a row that stays for the first time: its labels outlive the row. */
static err keep_row(struct top *s, const struct row *row, struct candidate *c) {
    struct evaluator *ev = s->ev;
    if (s->row_n == s->row_capacity) {
        uint32_t capacity = MAX(s->row_capacity * 2, 64);
        struct top_row *more = arena_alloc(ev->a, sizeof *more * capacity);
        NEED(more);
        if (s->row_n) memcpy(more, s->rows, sizeof *more * s->row_n);
        s->rows = more;
        s->row_capacity = capacity;
    }
    struct label *v = arena_alloc(ev->a, sizeof *v * MAX(row->labels.n, 1));
    NEED(v);
    if (row->labels.n) memcpy(v, row->labels.v, sizeof *v * row->labels.n);
    c->labels = (struct labels){v, row->labels.n};
    s->rows[s->row_n++] = (struct top_row){c->labels, row->drop_name};
    return NULL;
}

static void place(struct top *s, struct top_group *g, size_t i, const struct candidate *c) {
    struct candidate *heap = g->heaps + i * g->size;
    if (g->n[i] == s->kept[i]) {
        heap[0] = *c;
        candidates_sift_down(heap, s->kept[i], 0, s->sign);
    } else {
        size_t at = g->n[i]++;
        heap[at] = *c;
        for (size_t up = (at - 1) / 2; at > 0 && candidate_is_better(&heap[up], &heap[at], s->sign);
             at = up, up = (at - 1) / 2) {
            struct candidate swap = heap[up];
            heap[up] = heap[at];
            heap[at] = swap;
        }
    }
    if (g->n[i] == s->kept[i]) g->bounds[i] = s->sign * heap[0].value;
}

/* One cell that may be among the best of its step. */
static err take_cell(struct top *s, struct top_group *g, const struct row *row, size_t i, struct candidate *c) {
    if (row->kinds[i] == PROMQL_ABSENT || !s->kept[i]) return NULL;
    TRY(eval_touch(s->ev, ROW_TOUCHES));
    if (row->kinds[i] == PROMQL_HISTOGRAM) return note_histogram_ignored(s->ev, s->e, s->e->aggregation), NULL;
    c->value = row->values[i];
    if (g->n[i] == s->kept[i] && !candidate_is_better(c, &g->heaps[i * g->size], s->sign)) return NULL;
    if (c->row == s->row_n) TRY(keep_row(s, row, c));
    place(s, g, i, c);
    return NULL;
}

static bool all_below(const double *v, const double *bounds, double sign) {
    int any = 0; /* a NaN is below nothing */
    for (int k = 0; k < TOP_LANES; k++) any |= !(v[k] * sign < bounds[k]);
    return !any;
}

static err top_take(struct sink *sink, struct row *row) {
    struct top *s = (struct top *)sink;
    struct top_group *g = NULL;
    s->taken++;
    TRY(eval_touch(s->ev, ROW_TOUCHES + s->steps));
    if (!s->kept_most) return NULL;
    TRY(group_of(s, row->labels, &g));
    if (g->rows++ == g->size && g->size < s->kept_most) TRY(group_grow(s, g));
    bool floats = row_is_floats(row, s->steps);
    struct candidate c = {.row = s->row_n, .labels = row->labels};
    for (size_t i = 0; i < s->steps;) {
        size_t end = MIN(i + TOP_LANES, s->steps);
        if (floats && end == i + TOP_LANES && all_below(row->values + i, g->bounds + i, s->sign)) {
            i = end;
            continue;
        }
        for (; i < end; i++)
            if (row->kinds[i] != PROMQL_FLOAT || !(row->values[i] * s->sign < g->bounds[i]))
                TRY(take_cell(s, g, row, i, &c));
    }
    return NULL;
}

/* ---- the answer -------------------------------------------------------------------------------------------------- */

struct pick {
    uint32_t row, step;
    double value;
};

static int order_of_picks(const void *x, const void *y) {
    const struct pick *a = x, *b = y;
    if (a->row != b->row) return a->row < b->row ? -1 : 1;
    return (a->step > b->step) - (a->step < b->step);
}

static err finish(struct top *s, struct table *out) {
    struct evaluator *ev = s->ev;
    size_t n = 0, at = 0;
    for (uint32_t g = 0; g < s->grouping.index.n; g++)
        for (size_t i = 0; i < s->steps; i++) n += s->groups[g].n[i];
    struct pick *picks = arena_alloc(ev->a, sizeof *picks * MAX(n, 1));
    NEED(picks);
    for (uint32_t g = 0; g < s->grouping.index.n; g++) {
        const struct top_group *group = &s->groups[g];
        TRY(eval_touch(ev, s->steps * group->size));
        for (size_t i = 0; i < s->steps; i++)
            for (uint32_t k = 0; k < group->n[i]; k++) {
                const struct candidate *c = &group->heaps[i * group->size + k];
                picks[at++] = (struct pick){c->row, (uint32_t)i, c->value};
            }
    }
    TRY(eval_sort(ev, picks, n, sizeof *picks, order_of_picks));
    for (at = 0; at < n;) {
        const struct top_row *from = &s->rows[picks[at].row];
        struct row row = {0};
        TRY(eval_touch(ev, ROW_TOUCHES + s->steps));
        TRY(eval_hold(ev, s->steps));
        TRY(row_prepare(ev, &row, s->steps));
        row.labels = from->labels;
        row.drop_name = from->drop_name;
        for (uint32_t r = picks[at].row; at < n && picks[at].row == r; at++) {
            row.kinds[picks[at].step] = PROMQL_FLOAT;
            row.values[picks[at].step] = picks[at].value;
        }
        TRY(table_push(ev, out, &row));
    }
    return NULL;
}

bool top_keeps_few(const double *parameters, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (parameters[i] > TOP_MAX) return false;
    return true;
}

err aggregate_top(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, const double *parameters,
                  struct table *out, size_t *out_rows) {
    struct top *s = arena_new(ev->a, struct top);
    NEED(s);
    *s = (struct top){.sink = {top_take}, .ev = ev, .e = e, .steps = t->n, .sign = e->aggregation == AGG_TOPK ? 1 : -1};
    NEED(s->kept = arena_zero(ev->a, sizeof *s->kept * t->n));
    for (size_t i = 0; i < t->n; i++) {
        if (parameters[i] >= 1) s->kept[i] = (uint32_t)parameters[i];
        s->kept_most = MAX(s->kept_most, s->kept[i]);
    }
    TRY(grouping_init(ev, e, &s->grouping));
    TRY(eval_each(ev, t, e->args[0], &s->sink));
    *out_rows = s->taken;
    return finish(s, out);
}
