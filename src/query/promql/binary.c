/* Binary operators: scalars, a vector with a scalar, two vectors by their labels, sets. */
#include <math.h>

#include "query/promql/eval_priv.h"

struct cell {
    uint8_t kind;
    double value;
    const struct native *histogram;
};

static struct cell cell_at(const struct row *row, size_t i) {
    uint8_t kind = row->kinds[i];
    return (struct cell){kind, row->values[i], kind == PROMQL_HISTOGRAM ? row->histograms[i] : NULL};
}

struct binary {
    struct evaluator *ev;
    const struct timeline *t;
    const struct promql_node *e;
    struct table left, right;
    double *scratch; /* over the steps */
};

/* ---- one pair of cells ------------------------------------------------------------------------------------------- */

double apply_scalar_op(enum binary_op op, double x, double y) {
    switch (op) {
    case OP_ADD: return x + y;
    case OP_SUB: return x - y;
    case OP_MUL: return x * y;
    case OP_DIV: return x / y;
    case OP_MOD: return fmod(x, y);
    case OP_POW: return pow(x, y);
    case OP_ATAN2: return atan2(x, y);
    case OP_EQUAL: return x == y;
    case OP_NOT_EQUAL: return x != y;
    case OP_LESS: return x < y;
    case OP_LESS_EQUAL: return x <= y;
    case OP_GREATER: return x > y;
    case OP_GREATER_EQUAL: return x >= y;
    case OP_NONE:
    case OP_OR:
    case OP_AND:
    case OP_UNLESS:
    case OPS: break;
    }
    return NAN;
}

/* The same for arrays: the usual rows, which have a float at every step. */
static void apply_arrays(enum binary_op op, const double *restrict x, const double *restrict y, double *restrict out,
                         size_t n) {
    if (op == OP_ADD)
        for (size_t i = 0; i < n; i++) out[i] = x[i] + y[i];
    else if (op == OP_SUB)
        for (size_t i = 0; i < n; i++) out[i] = x[i] - y[i];
    else if (op == OP_MUL)
        for (size_t i = 0; i < n; i++) out[i] = x[i] * y[i];
    else if (op == OP_DIV)
        for (size_t i = 0; i < n; i++) out[i] = x[i] / y[i];
    else if (op == OP_GREATER)
        for (size_t i = 0; i < n; i++) out[i] = x[i] > y[i];
    else if (op == OP_LESS)
        for (size_t i = 0; i < n; i++) out[i] = x[i] < y[i];
    else
        for (size_t i = 0; i < n; i++) out[i] = apply_scalar_op(op, x[i], y[i]);
}

static void note_types(const struct binary *b, bool left_histogram, bool right_histogram) {
    const char *op = op_rows[b->e->op].name;
    note(b->ev, NOTE_INFO, b->e, "incompatible sample types encountered for binary operator \"%s\": %s %s %s", op,
         left_histogram ? "histogram" : "float", op, right_histogram ? "histogram" : "float");
}

/* A histogram with a number: scaled; out->kind absent where that means nothing. */
static err scale_histogram(const struct binary *b, const struct cell *x, const struct cell *y, struct cell *out) {
    struct evaluator *ev = b->ev;
    bool left = x->kind == PROMQL_HISTOGRAM;
    if (b->e->op != OP_MUL && !(b->e->op == OP_DIV && left)) return note_types(b, left, !left), NULL;
    struct native *h = native_copy(ev->a, left ? x->histogram : y->histogram);
    NEED(h);
    if (b->e->op == OP_MUL)
        native_multiply(h, left ? y->value : x->value);
    else
        native_divide(h, y->value);
    native_compact(h);
    *out = (struct cell){.kind = PROMQL_HISTOGRAM, .histogram = h};
    return NULL;
}

static err two_histograms(const struct binary *b, const struct cell *x, const struct cell *y, struct cell *out,
                          bool *out_keep) {
    struct evaluator *ev = b->ev;
    enum binary_op op = b->e->op;
    if (op == OP_EQUAL || op == OP_NOT_EQUAL) {
        *out = *x;
        *out_keep = native_equal(x->histogram, y->histogram) == (op == OP_EQUAL);
        return NULL;
    }
    if (op != OP_ADD && op != OP_SUB) return note_types(b, true, true), NULL;
    struct native *h = native_copy(ev->a, x->histogram);
    NEED(h);
    enum native_added added = native_add(ev->a, h, y->histogram, op == OP_ADD ? 1 : -1);
    if (added == NATIVE_NO_MEMORY) return eval_no_memory(ev);
    if (added != NATIVE_ADDED)
        return note(ev, NOTE_WARNING, b->e, "incompatible bucket layout encountered for binary operator %s",
                    op_rows[op].name),
               NULL;
    if (op == OP_SUB) h->reset = NATIVE_GAUGE;
    native_compact(h);
    *out = (struct cell){.kind = PROMQL_HISTOGRAM, .histogram = h};
    return NULL;
}

/* out->kind absent: there is no result, and a note says why. *out_keep: what a comparison says. */
static err apply_cells(const struct binary *b, const struct cell *x, const struct cell *y, struct cell *out,
                       bool *out_keep) {
    enum binary_op op = b->e->op;
    *out = (struct cell){.kind = PROMQL_ABSENT};
    *out_keep = true;
    if (x->kind == PROMQL_HISTOGRAM && y->kind == PROMQL_HISTOGRAM) return two_histograms(b, x, y, out, out_keep);
    if (x->kind == PROMQL_HISTOGRAM || y->kind == PROMQL_HISTOGRAM) return scale_histogram(b, x, y, out);
    double v = apply_scalar_op(op, x->value, y->value);
    *out = (struct cell){.kind = PROMQL_FLOAT, .value = op_rows[op].comparison ? x->value : v};
    if (op_rows[op].comparison) *out_keep = v != 0;
    return NULL;
}

static err put_cell(struct evaluator *ev, struct row *row, size_t i, const struct cell *c, size_t steps) {
    row->kinds[i] = c->kind;
    row->values[i] = c->value;
    if (c->kind != PROMQL_HISTOGRAM) return NULL;
    TRY(row_histograms(ev, row, steps));
    row->histograms[i] = c->histogram;
    return NULL;
}

/* ---- with a scalar ----------------------------------------------------------------------------------------------- */

static void scalar_floats(struct binary *b, const double *scalar, bool swapped, struct row *row) {
    bool filters = op_rows[b->e->op].comparison && !b->e->bool_modifier;
    size_t n = b->t->n;
    apply_arrays(b->e->op, swapped ? scalar : row->values, swapped ? row->values : scalar, b->scratch, n);
    if (!filters) memcpy(row->values, b->scratch, sizeof *b->scratch * n);
    for (size_t i = 0; i < n && filters; i++) row->kinds[i] = b->scratch[i] != 0 ? PROMQL_FLOAT : PROMQL_ABSENT;
}

/* In place: the rows of an operand are nobody else's. */
static err scalar_row(struct binary *b, const double *scalar, bool swapped, struct row *row) {
    bool comparison = op_rows[b->e->op].comparison;
    if (row_is_floats(row, b->t->n)) return scalar_floats(b, scalar, swapped, row), NULL;
    for (size_t i = 0; i < b->t->n; i++) {
        struct cell vector = cell_at(row, i), number = {.kind = PROMQL_FLOAT, .value = scalar[i]}, c;
        bool keep;
        if (vector.kind == PROMQL_ABSENT) continue;
        TRY(apply_cells(b, swapped ? &number : &vector, swapped ? &vector : &number, &c, &keep));
        if (c.kind != PROMQL_ABSENT && comparison) {
            if (b->e->bool_modifier)
                c = (struct cell){.kind = PROMQL_FLOAT, .value = keep};
            else
                c = keep ? vector
                         : (struct cell){.kind = PROMQL_ABSENT}; /* the vector's value, on whichever side it stands */
        }
        TRY(put_cell(b->ev, row, i, &c, b->t->n));
    }
    return NULL;
}

static err vector_scalar(struct binary *b, struct table *out) {
    bool swapped = b->left.scalar != NULL;
    const struct table *vector = swapped ? &b->right : &b->left;
    const double *scalar = swapped ? b->left.scalar : b->right.scalar;
    bool drops = !op_rows[b->e->op].comparison || b->e->bool_modifier;
    for (size_t r = 0; r < vector->n; r++) {
        struct row row = vector->rows[r];
        TRY(eval_touch(b->ev, (row.histograms ? HISTOGRAM_TOUCHES : 1) * b->t->n));
        TRY(scalar_row(b, scalar, swapped, &row));
        if (row_is_empty(&row, b->t->n)) continue;
        if (drops) TRY(row_drop_name(b->ev, &row));
        TRY(table_push(b->ev, out, &row));
    }
    return b->ev->options->delayed_name_removal || !drops ? NULL : table_merge(b->ev, out, b->t->n);
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

/* Rows by what they match on. */
struct side {
    uint32_t *ids, *rows, *starts; /* rows of id g: rows[starts[g]] … rows[starts[g + 1]) */
};
struct matching {
    struct label_index index;
    struct side left, right;
    uint8_t *left_any, *right_any; /* over the steps: whether that side has anything */
    uint32_t n;
};

static err side_ids(struct binary *b, const struct table *in, struct matching *m, struct side *s) {
    struct evaluator *ev = b->ev;
    struct label scratch[PROJECTED_LABELS_MAX];
    struct names names;
    if (!names_sort(ev->a, &b->e->labels, &names)) return eval_no_memory(ev);
    NEED(s->ids = arena_alloc(ev->a, sizeof *s->ids * MAX(in->n, 1)));
    for (size_t r = 0; r < in->n; r++) {
        uint32_t n;
        TRY(eval_touch(ev, ROW_TOUCHES));
        labels_project(in->rows[r].labels, &names, !b->e->on, scratch, &n);
        s->ids[r] = label_index_add(ev->a, &m->index, (struct labels){scratch, n});
        if (s->ids[r] == UINT32_MAX) return eval_no_memory(ev);
    }
    return NULL;
}

static err presence_of(struct evaluator *ev, const struct table *in, size_t steps, uint8_t **out) {
    NEED(*out = arena_zero(ev->a, MAX(steps, 1)));
    for (size_t r = 0; r < in->n; r++) {
        TRY(eval_touch(ev, steps));
        for (size_t i = 0; i < steps; i++) (*out)[i] |= in->rows[r].kinds[i];
    }
    return NULL;
}

static err match_rows(struct binary *b, struct matching *m) {
    TRY(side_ids(b, &b->left, m, &m->left));
    TRY(side_ids(b, &b->right, m, &m->right));
    m->n = m->index.n;
    TRY(rows_by_group(b->ev, m->left.ids, b->left.n, m->n, &m->left.rows, &m->left.starts));
    TRY(rows_by_group(b->ev, m->right.ids, b->right.n, m->n, &m->right.rows, &m->right.starts));
    TRY(presence_of(b->ev, &b->left, b->t->n, &m->left_any));
    return presence_of(b->ev, &b->right, b->t->n, &m->right_any);
}

/* ---- sets -------------------------------------------------------------------------------------------------------- */

/* Whether a side has a cell of each group, step by step. */
static err group_presence(struct binary *b, const struct table *in, const struct side *s, uint32_t g,
                          uint8_t *present) {
    memset(present, 0, b->t->n);
    for (uint32_t k = s->starts[g]; k < s->starts[g + 1]; k++)
        for (size_t i = 0; i < b->t->n; i++) present[i] |= in->rows[s->rows[k]].kinds[i];
    return eval_check(b->ev);
}

/* Takes the cells of the group's rows out where `present` is what it is. */
static void mask_group(const struct binary *b, struct table *in, const struct side *s, uint32_t g,
                       const uint8_t *present, bool where) {
    for (uint32_t k = s->starts[g]; k < s->starts[g + 1]; k++)
        for (size_t i = 0; i < b->t->n; i++)
            if ((present[i] != 0) == where) in->rows[s->rows[k]].kinds[i] = PROMQL_ABSENT;
}

static err push_filled(struct binary *b, const struct table *in, struct table *out) {
    for (size_t r = 0; r < in->n; r++)
        if (!row_is_empty(&in->rows[r], b->t->n)) TRY(table_push(b->ev, out, &in->rows[r]));
    return NULL;
}

static err set_operation(struct binary *b, struct table *out) {
    struct matching m = {.n = 0};
    struct evaluator *ev = b->ev;
    enum binary_op op = b->e->op;
    uint8_t *present = arena_alloc(ev->a, MAX(b->t->n, 1));
    NEED(present);
    TRY(match_rows(b, &m));
    for (uint32_t g = 0; g < m.n; g++) {
        if (op == OP_OR) {
            TRY(group_presence(b, &b->left, &m.left, g, present));
            mask_group(b, &b->right, &m.right, g, present, true);
        } else {
            TRY(group_presence(b, &b->right, &m.right, g, present));
            mask_group(b, &b->left, &m.left, g, present, op == OP_UNLESS);
        }
    }
    TRY(push_filled(b, &b->left, out));
    if (op == OP_OR) TRY(push_filled(b, &b->right, out));
    return op == OP_OR ? table_merge(ev, out, b->t->n) : NULL;
}

/* ---- vector with vector ------------------------------------------------------------------------------------------ */

/* many with one: of one-to-one the left side is the many. */
struct pairing {
    struct binary *b;
    struct matching m;
    const struct table *many_in, *one_in;
    const struct side *many, *one;
    const uint8_t *many_any;
    bool swapped;     /* the many side is the right one */
    uint8_t *taken;   /* one-to-one: steps at which this group has a result */
    uint32_t *one_at; /* over the steps: the row of the one side, + 1 */
};

static err duplicate_on_one_side(struct pairing *p, uint32_t g, uint32_t x, uint32_t y) {
    AUTO_BUF struct buf b;
    buf_init(&b, 3 * 1024);
    buf_add_text(&b, "found duplicate series for the match group ");
    promql_labels_print(p->m.index.sets[g], &b);
    buf_add_fmt(&b, " on the %s hand-side of the operation: [", p->swapped ? "left" : "right");
    promql_labels_print(p->one_in->rows[x].labels, &b);
    buf_add_text(&b, ", ");
    promql_labels_print(p->one_in->rows[y].labels, &b);
    buf_add_text(&b, "];many-to-many matching not allowed: matching labels must be unique on one side");
    return err_new(ERR_INVALID, "%s",
                   b.full ? "found duplicate series for the match group: many-to-many matching not allowed" : b.p);
}

/* Which row of the one side is there, step by step; two at once are an error where the other side has anything at all. */
static err find_one(struct pairing *p, uint32_t g) {
    memset(p->one_at, 0, sizeof *p->one_at * p->b->t->n);
    for (uint32_t k = p->one->starts[g]; k < p->one->starts[g + 1]; k++) {
        uint32_t r = p->one->rows[k];
        TRY(eval_touch(p->b->ev, p->b->t->n));
        for (size_t i = 0; i < p->b->t->n; i++) {
            if (p->one_in->rows[r].kinds[i] == PROMQL_ABSENT || !p->many_any[i]) continue;
            if (p->one_at[i]) return duplicate_on_one_side(p, g, r, p->one_at[i] - 1);
            p->one_at[i] = r + 1;
        }
    }
    return NULL;
}

static err result_labels(struct pairing *p, const struct row *many, const struct row *one, struct row *out) {
    const struct promql_node *e = p->b->e;
    struct evaluator *ev = p->b->ev;
    bool drops = !op_rows[e->op].comparison || e->bool_modifier;
    struct labels labels = many->labels;
    out->drop_name = false;
    if (!op_rows[e->op].comparison || (e->bool_modifier && !ev->options->delayed_name_removal))
        labels = labels_without_metadata(ev->a, labels);
    else if (drops)
        out->drop_name = true;
    else
        out->drop_name = many->drop_name;
    if (e->cardinality == ONE_TO_ONE) {
        struct label scratch[PROJECTED_LABELS_MAX];
        struct names names;
        uint32_t n = 0;
        if (!names_sort(ev->a, &e->labels, &names)) return eval_no_memory(ev);
        for (uint32_t i = 0; i < labels.n && n < PROJECTED_LABELS_MAX; i++) {
            bool listed = false;
            for (uint32_t k = 0; k < names.n; k++) listed |= str_equal(names.v[k], labels.v[i].name);
            if (listed == e->on) scratch[n++] = labels.v[i];
        }
        struct label *v = arena_alloc(ev->a, sizeof *v * MAX(n, 1));
        NEED(v);
        memcpy(v, scratch, sizeof *v * n);
        labels = (struct labels){v, n};
    }
    for (uint32_t k = 0; k < e->include.n; k++) {
        labels = labels_set(ev->a, labels, e->include.v[k], label_set_get(one->labels, e->include.v[k]));
        NEED(labels.v);
    }
    out->labels = labels;
    return NULL;
}

/* Two rows with a float at every step, of which neither side has another in this group. */
static void pair_floats(struct pairing *p, const struct row *many, const struct row *one, struct row *row) {
    const struct binary *b = p->b;
    const double *x = p->swapped ? one->values : many->values, *y = p->swapped ? many->values : one->values;
    bool filters = op_rows[b->e->op].comparison && !b->e->bool_modifier;
    apply_arrays(b->e->op, x, y, filters ? b->scratch : row->values, b->t->n);
    memset(row->kinds, PROMQL_FLOAT, b->t->n);
    for (size_t i = 0; i < b->t->n && filters; i++) {
        row->kinds[i] = b->scratch[i] != 0 ? PROMQL_FLOAT : PROMQL_ABSENT;
        row->values[i] = x[i];
    }
}

static bool is_single(const struct side *s, uint32_t g) { return s->starts[g + 1] - s->starts[g] == 1; }

/* The cells where both rows are there. */
static err pair_row(struct pairing *p, const struct row *many, uint32_t one, struct row *row) {
    const struct promql_node *e = p->b->e;
    bool comparison = op_rows[e->op].comparison;
    const struct row *other = &p->one_in->rows[one];
    for (size_t i = 0; i < p->b->t->n; i++) {
        struct cell x = cell_at(many, i), y, c;
        bool keep;
        if (x.kind == PROMQL_ABSENT || p->one_at[i] != one + 1) continue;
        y = cell_at(other, i);
        TRY(apply_cells(p->b, p->swapped ? &y : &x, p->swapped ? &x : &y, &c, &keep));
        bool filtered = !keep && !e->bool_modifier; /* … does not count: of many that match, one may be left */
        if (c.kind == PROMQL_ABSENT || filtered) continue;
        if (e->cardinality == ONE_TO_ONE && p->taken[i]++)
            return err_new(
                ERR_INVALID,
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
        if (comparison && e->bool_modifier) c = (struct cell){.kind = PROMQL_FLOAT, .value = keep};
        TRY(put_cell(p->b->ev, row, i, &c, p->b->t->n));
    }
    return NULL;
}

static err pair_many(struct pairing *p, uint32_t g, const struct row *many, struct table *out) {
    struct evaluator *ev = p->b->ev;
    for (uint32_t k = p->one->starts[g]; k < p->one->starts[g + 1]; k++) {
        struct row row = {0};
        TRY(eval_touch(ev, ROW_TOUCHES + p->b->t->n));
        TRY(row_prepare(ev, &row, p->b->t->n));
        const struct row *one = &p->one_in->rows[p->one->rows[k]];
        bool simple = is_single(p->many, g) && is_single(p->one, g) && row_is_floats(many, p->b->t->n) &&
                      row_is_floats(one, p->b->t->n);
        if (simple)
            pair_floats(p, many, one, &row);
        else
            TRY(pair_row(p, many, p->one->rows[k], &row));
        if (row_is_empty(&row, p->b->t->n)) continue;
        TRY(result_labels(p, many, one, &row));
        TRY(table_push(ev, out, &row));
        TRY(eval_hold(ev, p->b->t->n));
    }
    return eval_check(ev);
}

static err merge_group(struct pairing *p, struct table *group, struct table *out) {
    err e = table_merge(p->b->ev, group, p->b->t->n);
    if (e && err_kind(e) == ERR_INVALID) {
        err_free(e);
        return err_new(ERR_INVALID, "multiple matches for labels: grouping labels must ensure unique matches");
    }
    TRY(e);
    for (size_t r = 0; r < group->n; r++) TRY(table_push(p->b->ev, out, &group->rows[r]));
    return NULL;
}

static err vector_vector(struct binary *b, struct table *out) {
    struct pairing *p = arena_new(b->ev->a, struct pairing);
    struct evaluator *ev = b->ev;
    NEED(p);
    *p = (struct pairing){.b = b, .swapped = b->e->cardinality == ONE_TO_MANY};
    TRY(match_rows(b, &p->m));
    p->many_in = p->swapped ? &b->right : &b->left, p->one_in = p->swapped ? &b->left : &b->right;
    p->many = p->swapped ? &p->m.right : &p->m.left, p->one = p->swapped ? &p->m.left : &p->m.right;
    p->many_any = p->swapped ? p->m.right_any : p->m.left_any;
    NEED(p->taken = arena_alloc(ev->a, MAX(b->t->n, 1)));
    NEED(p->one_at = arena_alloc(ev->a, sizeof *p->one_at * MAX(b->t->n, 1)));
    for (uint32_t g = 0; g < p->m.n; g++) {
        struct table group = {0};
        TRY(find_one(p, g));
        memset(p->taken, 0, b->t->n);
        for (uint32_t k = p->many->starts[g]; k < p->many->starts[g + 1]; k++)
            TRY(pair_many(p, g, &p->many_in->rows[p->many->rows[k]], &group));
        TRY(merge_group(p, &group, out));
    }
    return table_merge(ev, out, b->t->n);
}

/* ---- the operator ------------------------------------------------------------------------------------------------ */

err eval_binary(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    struct binary b = {.ev = ev, .t = t, .e = e};
    TRY(eval(ev, t, e->args[0], &b.left));
    TRY(eval(ev, t, e->args[1], &b.right));
    NEED(b.scratch = arena_alloc(ev->a, sizeof *b.scratch * MAX(t->n, 1)));
    if (b.left.scalar && b.right.scalar) {
        NEED(out->scalar = arena_alloc(ev->a, sizeof *out->scalar * MAX(t->n, 1)));
        for (size_t i = 0; i < t->n; i++) out->scalar[i] = apply_scalar_op(e->op, b.left.scalar[i], b.right.scalar[i]);
        return NULL;
    }
    if (b.left.scalar || b.right.scalar) return vector_scalar(&b, out);
    return op_rows[e->op].set ? set_operation(&b, out) : vector_vector(&b, out);
}
