/* topk, bottomk, limitk, limit_ratio, quantile, count_values: aggregations that need all rows of a group at once. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/text.h"
#include "query/promql/aggregate_priv.h"
#include "query/promql/number.h"

/* The rows of the argument, ordered so that those of a group follow each other. */
struct grouped {
    struct table in;
    struct grouping *grouping;
    uint32_t *rows, *starts, group_n; /* rows of group g: rows[starts[g]] … rows[starts[g + 1]) */
};

static err group_table(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct grouped *x) {
    TRY(eval(ev, t, e->args[0], &x->in));
    NEED(x->grouping = arena_new(ev->a, struct grouping));
    TRY(grouping_init(ev, e, x->grouping));
    uint32_t *ids = arena_alloc(ev->a, sizeof *ids * MAX(x->in.n, 1));
    NEED(ids);
    for (size_t r = 0; r < x->in.n; r++) {
        TRY(eval_touch(ev, ROW_TOUCHES));
        TRY(grouping_find(x->grouping, x->in.rows[r].labels, &ids[r]));
    }
    x->group_n = x->grouping->index.n;
    return rows_by_group(ev, ids, x->in.n, x->group_n, &x->rows, &x->starts);
}

/* ---- topk, bottomk ----------------------------------------------------------------------------------------------- */

bool candidate_is_better(const struct candidate *x, const struct candidate *y, int sign) {
    if (x->value == y->value || (isnan(x->value) && isnan(y->value)))
        return promql_labels_compare(x->labels, y->labels) < 0;
    if (isnan(x->value) || isnan(y->value)) return isnan(y->value);
    return sign > 0 ? x->value > y->value : x->value < y->value;
}

void candidates_sift_down(struct candidate *heap, size_t n, size_t i, int sign) {
    for (;;) {
        size_t worst = i, left = 2 * i + 1;
        for (size_t k = left; k < left + 2 && k < n; k++)
            if (candidate_is_better(&heap[worst], &heap[k], sign)) worst = k;
        if (worst == i) return;
        struct candidate swap = heap[i];
        heap[i] = heap[worst];
        heap[worst] = swap;
        i = worst;
    }
}

/* The kept best of n at the front, the worst of them first (a heap). */
static err pick_best(struct evaluator *ev, struct candidate *c, size_t n, size_t kept, int sign) {
    for (size_t i = kept / 2; i-- > 0;) {
        TRY(eval_touch(ev, SIFT_TOUCHES));
        candidates_sift_down(c, kept, i, sign);
    }
    for (size_t i = kept; i < n; i++) {
        TRY(eval_touch(ev, SIFT_TOUCHES));
        if (!candidate_is_better(&c[i], &c[0], sign)) continue;
        c[0] = c[i];
        candidates_sift_down(c, kept, 0, sign);
    }
    return NULL;
}

/* From the best to the worst. */
static err order_best(struct evaluator *ev, struct candidate *c, size_t n, int sign) {
    for (size_t end = n; end > 1; end--) {
        struct candidate worst = c[0];
        TRY(eval_touch(ev, SIFT_TOUCHES));
        c[0] = c[end - 1];
        c[end - 1] = worst;
        candidates_sift_down(c, end - 1, 0, sign);
    }
    return NULL;
}

/* ---- limit_ratio ------------------------------------------------------------------------------------------------- */

/* A number in [0, 1] that a label set always has. */
static double ratio_of(struct labels labels) {
    uint64_t h = 0;
    for (uint32_t i = 0; i < labels.n; i++) {
        h = hash_bytes_seed(labels.v[i].name.p, labels.v[i].name.n, h);
        h = hash_bytes_seed(labels.v[i].value.p, labels.v[i].value.n, h + 1);
    }
    return (double)h / 0x1p64;
}

static double cap_ratio(struct evaluator *ev, const struct promql_node *e, double ratio) {
    if (ratio >= -1 && ratio <= 1) return ratio;
    double capped = ratio > 1 ? 1 : -1;
    AUTO_BUF struct buf b;
    buf_init(&b, 64);
    put_go_general(&b, ratio);
    note(ev, NOTE_WARNING, e->args[1], "ratio value should be between -1 and 1, got %s, capping to %d", b.p,
         (int)capped);
    return capped;
}

static bool is_in_ratio(double at, double ratio) { return ratio >= 0 ? at < ratio || ratio == 1 : at >= 1 + ratio; }

/* ---- choosing rows ----------------------------------------------------------------------------------------------- */

struct choice {
    struct evaluator *ev;
    const struct timeline *t;
    const struct promql_node *e;
    struct grouped x;
    struct candidate *scratch;
    double *ratios;  /* of rows, for limit_ratio */
    uint8_t *chosen; /* of the rows of a group: rows × steps */
    uint32_t *order; /* of an instant: the rows as they are picked */
    size_t ordered;
};

/* The rows of one group at one step: puts those that stay into `scratch`, best first. */
static err choose_at(struct choice *c, const uint32_t *rows, size_t n, size_t i, double parameter, size_t *out_n) {
    enum aggregation op = c->e->aggregation;
    TRY(eval_touch(c->ev, n));
    size_t found = 0, k = op == AGG_LIMIT_RATIO ? n : (size_t)MIN(parameter, (double)n);
    for (size_t r = 0; r < n; r++) {
        const struct row *row = &c->x.in.rows[rows[r]];
        if (row->kinds[i] == PROMQL_ABSENT) continue;
        if (row->kinds[i] == PROMQL_HISTOGRAM && (op == AGG_TOPK || op == AGG_BOTTOMK)) {
            note_histogram_ignored(c->ev, c->e, op);
            continue;
        }
        if (op == AGG_LIMIT_RATIO && !is_in_ratio(c->ratios[rows[r]], parameter)) continue;
        c->scratch[found++] = (struct candidate){row->values[i], (uint32_t)r, row->labels};
    }
    *out_n = MIN(found, k);
    if (op == AGG_LIMIT_RATIO || op == AGG_LIMITK) return NULL;
    int sign = op == AGG_TOPK ? 1 : -1;
    TRY(pick_best(c->ev, c->scratch, found, *out_n, sign));
    return order_best(c->ev, c->scratch, *out_n, sign);
}

static bool takes_any(enum aggregation op, double parameter) {
    return op == AGG_LIMIT_RATIO ? parameter != 0 : parameter >= 1;
}

static err choose_group(struct choice *c, uint32_t g, const double *parameters, struct table *out) {
    const uint32_t *rows = c->x.rows + c->x.starts[g];
    size_t n = c->x.starts[g + 1] - c->x.starts[g], steps = c->t->n, ordered = 0;
    struct evaluator *ev = c->ev;
    uint8_t *chosen = arena_zero(ev->a, n * steps);
    NEED(chosen);
    for (size_t i = 0; i < steps; i++) {
        if (!takes_any(c->e->aggregation, parameters[i])) continue;
        size_t kept = 0;
        TRY(choose_at(c, rows, n, i, parameters[i], &kept));
        for (size_t k = 0; k < kept; k++) chosen[c->scratch[k].row * steps + i] = 1;
        ordered = kept;
    }
    bool instant = steps == 1;
    for (size_t k = 0; k < (instant ? ordered : n); k++) {
        size_t r = instant ? c->scratch[k].row : k;
        struct row row = c->x.in.rows[rows[r]];
        TRY(eval_touch(ev, ROW_TOUCHES + steps));
        for (size_t i = 0; i < steps; i++)
            if (!chosen[r * steps + i]) row.kinds[i] = PROMQL_ABSENT;
        if (!row_is_empty(&row, steps)) TRY(table_push(ev, out, &row));
    }
    return NULL;
}

static err check_parameters(struct choice *c, size_t rows, double *parameters) {
    for (size_t i = 0; i < c->t->n; i++) {
        if (isnan(parameters[i]) && rows)
            return err_new(ERR_INVALID,
                           c->e->aggregation == AGG_LIMIT_RATIO ? "Ratio value is NaN" : "Parameter value is NaN");
        if (c->e->aggregation == AGG_LIMIT_RATIO)
            parameters[i] = cap_ratio(c->ev, c->e, parameters[i]);
        else if (fabs(parameters[i]) >= 0x1p63)
            return err_new(ERR_INVALID, "Scalar value %g overflows int64", parameters[i]);
    }
    return NULL;
}

err aggregate_choose(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    struct choice c = {.ev = ev, .t = t, .e = e};
    double *parameters, *own;
    TRY(eval_scalar(ev, t, e->args[1], &parameters));
    NEED(own = arena_alloc(ev->a, sizeof *own * MAX(t->n, 1)));
    memcpy(own, parameters, sizeof *own * t->n);
    if (t->n > 1 && (e->aggregation == AGG_TOPK || e->aggregation == AGG_BOTTOMK) && top_keeps_few(own, t->n)) {
        size_t rows;
        TRY(aggregate_top(ev, t, e, own, out, &rows));
        return check_parameters(&c, rows, own);
    }
    TRY(group_table(ev, t, e, &c.x));
    TRY(check_parameters(&c, c.x.in.n, own));
    NEED(c.scratch = arena_alloc(ev->a, sizeof *c.scratch * MAX(c.x.in.n, 1)));
    NEED(c.ratios = arena_alloc(ev->a, sizeof *c.ratios * MAX(c.x.in.n, 1)));
    for (size_t r = 0; r < c.x.in.n && e->aggregation == AGG_LIMIT_RATIO; r++)
        c.ratios[r] = ratio_of(c.x.in.rows[r].labels);
    for (uint32_t g = 0; g < c.x.group_n; g++) {
        TRY(eval_check(ev));
        TRY(choose_group(&c, g, own, out));
    }
    return NULL;
}

/* ---- quantile ---------------------------------------------------------------------------------------------------- */

err aggregate_quantile(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    struct grouped x;
    double *q, *scratch;
    TRY(eval_scalar(ev, t, e->args[1], &q));
    TRY(group_table(ev, t, e, &x));
    NEED(scratch = arena_alloc(ev->a, sizeof *scratch * MAX(x.in.n, 1)));
    for (size_t i = 0; i < t->n; i++) note_bad_quantile(ev, e->args[1], q[i]);
    for (uint32_t g = 0; g < x.group_n; g++) {
        struct row row = {0};
        TRY(eval_check(ev));
        TRY(row_prepare(ev, &row, t->n));
        row.labels = x.grouping->index.sets[g];
        for (size_t i = 0; i < t->n; i++) {
            size_t n = 0;
            TRY(eval_touch(ev, x.starts[g + 1] - x.starts[g]));
            for (uint32_t k = x.starts[g]; k < x.starts[g + 1]; k++) {
                const struct row *from = &x.in.rows[x.rows[k]];
                row.drop_name |= from->drop_name;
                if (from->kinds[i] == PROMQL_FLOAT)
                    scratch[n++] = from->values[i];
                else if (from->kinds[i] == PROMQL_HISTOGRAM)
                    note_histogram_ignored(ev, e->args[0], AGG_QUANTILE);
            }
            if (!n) continue;
            row.kinds[i] = PROMQL_FLOAT;
            row.values[i] = quantile_of(q[i], scratch, n);
        }
        if (!row_is_empty(&row, t->n)) TRY(table_push(ev, out, &row));
    }
    return NULL;
}

/* ---- count_values ------------------------------------------------------------------------------------------------ */

struct counted {
    struct evaluator *ev;
    const struct promql_node *e;
    struct grouping *grouping;
    struct table *out;
    size_t steps;
};

static err count_cell(struct counted *c, const struct row *row, size_t i, struct str label) {
    struct evaluator *ev = c->ev;
    AUTO_BUF struct buf b;
    uint32_t g, n;
    TRY(eval_touch(ev, ROW_TOUCHES));
    buf_init(&b, MIB);
    if (row->kinds[i] == PROMQL_FLOAT)
        put_go_plain(&b, row->values[i]);
    else
        native_print(row->histograms[i], &b);
    struct str value = arena_copy(ev->a, buf_str(&b));
    NEED(value.p);
    struct labels with = labels_set(ev->a, row->labels, label, value);
    NEED(with.v);
    labels_project(with, &c->grouping->names, c->grouping->without, c->grouping->scratch, &n);
    g = label_index_add(ev->a, &c->grouping->index, (struct labels){c->grouping->scratch, n});
    if (g == UINT32_MAX) return eval_no_memory(ev);
    if (g == c->out->n) {
        struct row fresh = {.labels = c->grouping->index.sets[g]};
        TRY(row_prepare(ev, &fresh, c->steps));
        TRY(table_push(ev, c->out, &fresh));
        TRY(eval_hold(ev, c->steps));
    }
    struct row *count = &c->out->rows[g];
    if (count->kinds[i] == PROMQL_ABSENT) count->values[i] = 0;
    count->kinds[i] = PROMQL_FLOAT;
    count->values[i]++;
    return NULL;
}

err aggregate_count_values(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                           struct table *out) {
    struct str label = eval_string(e->args[1]);
    struct table in;
    if (!label.n || !utf8_is_valid(label)) {
        AUTO_BUF struct buf b;
        buf_init(&b, 4 * KIB);
        put_go_quoted(&b, label);
        return err_new(ERR_INVALID, "invalid label name %s", b.p);
    }
    TRY(eval(ev, t, e->args[0], &in));
    struct counted c = {.ev = ev, .e = e, .out = out, .steps = t->n};
    struct promql_node grouped = *e;
    if (!e->without) { /* the label of the value is one of those that group */
        NEED(grouped.labels.v = arena_alloc(ev->a, sizeof *grouped.labels.v * (e->labels.n + 1)));
        if (e->labels.n) memcpy(grouped.labels.v, e->labels.v, sizeof *grouped.labels.v * e->labels.n);
        grouped.labels.v[grouped.labels.n++] = label;
    }
    NEED(c.grouping = arena_new(ev->a, struct grouping));
    TRY(grouping_init(ev, &grouped, c.grouping));
    for (size_t r = 0; r < in.n; r++) {
        TRY(eval_check(ev));
        for (size_t i = 0; i < t->n; i++)
            if (in.rows[r].kinds[i] != PROMQL_ABSENT) TRY(count_cell(&c, &in.rows[r], i, label));
    }
    return NULL;
}
