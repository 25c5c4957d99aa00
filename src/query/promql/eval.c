#include <math.h>
#include <stdlib.h>

#include "query/promql/whole_priv.h"

/* ---- memory and limits ------------------------------------------------------------------------------------------- */

static err too_many_samples(void) {
    return err_new(ERR_LIMIT, "query processing would load too many samples into memory in query execution");
}

err eval_no_memory(struct evaluator *ev) {
    err e = arena_err(ev->a);
    return e ? e : err_new(ERR_INTERNAL, "no memory, and the arena is not full");
}

err eval_check(struct evaluator *ev) {
    TRY(arena_err(ev->a));
    return ev->options->check ? ev->options->check(ev->options->context) : NULL;
}

err eval_check_work(struct evaluator *ev) {
    const struct promql_options *o = ev->options;
    ev->touched = 0;
    if (!o->check_work) return eval_check(ev);
    TRY(arena_err(ev->a));
    return o->check_work(o->context);
}

err eval_hold(struct evaluator *ev, uint64_t cells) {
    ev->held += cells;
    return ev->held > ev->samples_max ? too_many_samples() : NULL;
}

err eval_seen(struct evaluator *ev, uint64_t samples) {
    ev->samples += samples;
    return ev->held + samples > ev->samples_max ? too_many_samples() : NULL;
}

/* ---- order ------------------------------------------------------------------------------------------------------- */

enum { SORTED_AT_ONCE = 1024, COMPARE_TOUCHES = 16 };

/* Two ascending runs that follow each other, [from, middle) and [middle, end), into `to`. */
static err merge_runs(struct evaluator *ev, const char *in, char *to, size_t from, size_t middle, size_t end,
                      size_t size, int (*order)(const void *, const void *)) {
    for (size_t i = from, k = middle, at = from; at < end; at++) {
        TRY(eval_touch(ev, COMPARE_TOUCHES));
        bool first = k == end || (i < middle && order(in + i * size, in + k * size) <= 0);
        memcpy(to + at * size, in + (first ? i++ : k++) * size, size);
    }
    return NULL;
}

err eval_sort(struct evaluator *ev, void *items, size_t n, size_t size, int (*order)(const void *, const void *)) {
    for (size_t at = 0; at < n; at += SORTED_AT_ONCE) {
        TRY(eval_touch(ev, (uint64_t)SORTED_AT_ONCE * COMPARE_TOUCHES));
        qsort((char *)items + at * size, MIN(n - at, (size_t)SORTED_AT_ONCE), size, order);
    }
    if (n <= SORTED_AT_ONCE) return NULL;
    char *in = items, *to = arena_alloc(ev->a, n * size);
    NEED(to);
    for (size_t run = SORTED_AT_ONCE; run < n; run *= 2) {
        for (size_t from = 0; from < n; from += 2 * run)
            TRY(merge_runs(ev, in, to, from, MIN(from + run, n), MIN(from + 2 * run, n), size, order));
        char *kept = in;
        in = to;
        to = kept;
    }
    if (in != (char *)items) memcpy(items, in, n * size);
    return NULL;
}

/* ---- rows and tables --------------------------------------------------------------------------------------------- */

err row_prepare(struct evaluator *ev, struct row *row, size_t steps) {
    if (!row->kinds || row->taken) {
        NEED(row->kinds = arena_alloc(ev->a, MAX(steps, 1)));
        NEED(row->values = arena_alloc(ev->a, sizeof *row->values * MAX(steps, 1)));
        row->taken = false;
    }
    memset(row->kinds, PROMQL_ABSENT, steps);
    row->histograms = NULL;
    return NULL;
}

err row_histograms(struct evaluator *ev, struct row *row, size_t steps) {
    if (!row->histograms) NEED(row->histograms = arena_zero(ev->a, sizeof(*row->histograms) * MAX(steps, 1)));
    return NULL;
}

bool row_is_empty(const struct row *row, size_t steps) {
    uint8_t any = 0;
    for (size_t i = 0; i < steps; i++) any |= row->kinds[i];
    return !any;
}

bool row_is_floats(const struct row *row, size_t steps) {
    uint8_t other = 0;
    for (size_t i = 0; i < steps; i++) other |= row->kinds[i] ^ PROMQL_FLOAT;
    return !other;
}

err row_drop_name(struct evaluator *ev, struct row *row) {
    if (ev->options->delayed_name_removal)
        row->drop_name = true;
    else
        row->labels = labels_without_metadata(ev->a, row->labels);
    return NULL;
}

struct str row_name(const struct row *row) {
    return label_set_get(row->labels, METRIC_NAME);
}

err table_push(struct evaluator *ev, struct table *t, const struct row *row) {
    if (t->n == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 16;
        struct row *rows = arena_alloc(ev->a, sizeof *rows * capacity);
        NEED(rows);
        if (t->n) memcpy(rows, t->rows, sizeof *rows * t->n);
        t->rows = rows;
        t->capacity = capacity;
    }
    t->rows[t->n] = *row;
    t->rows[t->n++].taken = false;
    return NULL;
}

static err merge_row(struct evaluator *ev, struct row *to, const struct row *from, size_t steps) {
    TRY(eval_touch(ev, steps));
    for (size_t i = 0; i < steps; i++) {
        if (from->kinds[i] == PROMQL_ABSENT) continue;
        if (to->kinds[i] != PROMQL_ABSENT)
            return err_new(ERR_INVALID, "vector cannot contain metrics with the same labelset");
        to->kinds[i] = from->kinds[i];
        to->values[i] = from->values[i];
        if (from->kinds[i] != PROMQL_HISTOGRAM) continue;
        TRY(row_histograms(ev, to, steps));
        to->histograms[i] = from->histograms[i];
    }
    return NULL;
}

err table_merge(struct evaluator *ev, struct table *t, size_t steps) {
    struct label_index index = {0};
    size_t n = 0;
    if (t->n < 2) return NULL;
    for (size_t i = 0; i < t->n; i++) {
        TRY(eval_touch(ev, ROW_TOUCHES));
        uint32_t id = label_index_add(ev->a, &index, t->rows[i].labels);
        if (id == UINT32_MAX) return eval_no_memory(ev);
        if (id == n)
            t->rows[n++] = t->rows[i];
        else
            TRY(merge_row(ev, &t->rows[id], &t->rows[i], steps));
    }
    t->n = n;
    return NULL;
}

err rows_by_group(struct evaluator *ev, const uint32_t *ids, size_t n, uint32_t groups, uint32_t **out_rows,
                  uint32_t **out_starts) {
    uint32_t *starts = arena_zero(ev->a, sizeof *starts * (groups + 2)),
             *rows = arena_alloc(ev->a, sizeof *rows * MAX(n, 1));
    if (!starts || !rows) return eval_no_memory(ev);
    for (size_t r = 0; r < n; r++) starts[ids[r] + 2]++;
    for (uint32_t g = 0; g < groups; g++) starts[g + 2] += starts[g + 1]; /* now starts[g + 1] is where g begins … */
    for (size_t r = 0; r < n; r++) rows[starts[ids[r] + 1]++] = (uint32_t)r; /* … and now where it ends */
    *out_rows = rows;
    *out_starts = starts;
    return NULL;
}

/* ---- sinks that keep --------------------------------------------------------------------------------------------- */

static err keep_take(struct sink *s, struct row *row) {
    struct keep_sink *sink = (struct keep_sink *)s;
    TRY(table_push(sink->ev, sink->table, row));
    row->taken = true;
    return eval_hold(sink->ev, sink->steps);
}

struct keep_sink keep_sink(struct evaluator *ev, struct table *table, size_t steps) {
    return (struct keep_sink){.sink = {keep_take}, .ev = ev, .table = table, .steps = steps};
}

/* ---- what does not change from step to step ---------------------------------------------------------------------- */

const struct promql_node *strip_parens(const struct promql_node *e) {
    while (e->kind == NODE_PAREN) e = e->args[0];
    return e;
}

static bool is_invariant(const struct promql_node *e) {
    if (e->kind == NODE_VECTOR || e->kind == NODE_MATRIX || e->kind == NODE_SUBQUERY) return e->at != AT_NONE;
    if (e->kind == NODE_CALL && e->function->step_bound) return false;
    for (uint32_t i = 0; i < e->arg_n; i++)
        if (!is_invariant(e->args[i])) return false;
    return true;
}

static err broadcast_row(struct evaluator *ev, struct row *row, size_t steps) {
    struct row wide = *row;
    TRY(eval_touch(ev, ROW_TOUCHES + steps));
    wide.kinds = NULL;
    TRY(row_prepare(ev, &wide, steps));
    memset(wide.kinds, row->kinds[0], steps);
    if (row->kinds[0] == PROMQL_HISTOGRAM) TRY(row_histograms(ev, &wide, steps));
    for (size_t i = 0; i < steps; i++) {
        wide.values[i] = row->values[0];
        if (row->kinds[0] == PROMQL_HISTOGRAM) wide.histograms[i] = row->histograms[0];
    }
    *row = wide;
    return eval_hold(ev, steps);
}

static err eval_once(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    struct timeline one = {.start = t->start, .step = t->step, .n = 1};
    TRY(eval(ev, &one, e, out));
    for (size_t i = 0; i < out->n; i++) TRY(broadcast_row(ev, &out->rows[i], t->n));
    if (!out->scalar) return NULL;
    double *wide = arena_alloc(ev->a, sizeof *wide * t->n);
    NEED(wide);
    for (size_t i = 0; i < t->n; i++) wide[i] = out->scalar[0];
    out->scalar = wide;
    return NULL;
}

/* ---- calls ------------------------------------------------------------------------------------------------------- */

struct range_call {
    struct windowed w; /* first: series_each fills it */
    struct sink *sink;
    struct row row;
    size_t steps;
};

static err call_visit(struct windowed *w, void *context) {
    struct range_call *call = context;
    struct evaluator *ev = w->ev;
    bool drop = call->row.drop_name;
    TRY(row_prepare(ev, &call->row, call->steps));
    call->row.labels = w->labels;
    TRY(w->call->function->range(w));
    if (row_is_empty(&call->row, call->steps)) return NULL;
    if (!w->call->function->keeps_name) TRY(row_drop_name(ev, &call->row));
    TRY(call->sink->give(call->sink, &call->row));
    call->row.drop_name = w->range->kind == NODE_SUBQUERY ? drop : false;
    return NULL;
}

static const struct promql_node *range_argument(const struct promql_node *e) {
    for (uint32_t i = 0; i < e->arg_n; i++)
        if (promql_type_of(e->args[i]) == PROMQL_MATRIX) return strip_parens(e->args[i]);
    return NULL;
}

static err range_call_each(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                           struct sink *sink) {
    struct range_call *call = arena_new(ev->a, struct range_call);
    NEED(call);
    call->sink = sink;
    call->steps = t->n;
    call->w = (struct windowed){.ev = ev, .t = t, .call = e, .range = range_argument(e), .out = &call->row};
    size_t k = 0;
    for (uint32_t i = 0; i < e->arg_n; i++)
        if (promql_type_of(e->args[i]) == PROMQL_SCALAR) TRY(eval_scalar(ev, t, e->args[i], &call->w.parameters[k++]));
    return series_each(ev, t, call->w.range, str_of(e->function->name), call_visit, call);
}

/* Functions from value to value: histograms fall out of those of floats, and the other way round. */
static err map_call(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    const struct function_row *f = e->function;
    size_t n = 0;
    TRY(eval(ev, t, e->args[0], out));
    uint8_t wanted = f->native ? PROMQL_HISTOGRAM : PROMQL_FLOAT;
    for (size_t r = 0; r < out->n; r++) {
        struct row row = out->rows[r], from = row;
        TRY(eval_touch(ev, ROW_TOUCHES + (f->native ? HISTOGRAM_TOUCHES : 8) * t->n));
        row.kinds = NULL;
        TRY(row_prepare(ev, &row, t->n));
        for (size_t i = 0; i < t->n; i++) {
            if (from.kinds[i] != wanted) continue;
            row.kinds[i] = PROMQL_FLOAT;
            if (f->native)
                row.values[i] = f->native(from.histograms[i]);
            else if (f->math)
                row.values[i] = f->math(from.values[i]);
            else
                row.values[i] = f->date(fabs(from.values[i]) < 0x1p63 ? (int64_t)from.values[i] : INT64_MIN);
        }
        if (row_is_empty(&row, t->n)) continue;
        TRY(row_drop_name(ev, &row));
        out->rows[n++] = row;
    }
    out->n = n;
    return ev->options->delayed_name_removal ? NULL : table_merge(ev, out, t->n);
}

static err date_of_step(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                        struct table *out) {
    struct row row = {0};
    TRY(row_prepare(ev, &row, t->n));
    for (size_t i = 0; i < t->n; i++) {
        int64_t ms = step_time(t, i);
        row.kinds[i] = PROMQL_FLOAT;
        row.values[i] = e->function->date(ms / 1000);
    }
    return table_push(ev, out, &row);
}

/* Whether two series that a selector takes can have the same labels once their names are gone. */
static bool may_collide(const struct promql_node *range) {
    const struct promql_node *selector = range->kind == NODE_MATRIX ? range->args[0] : range;
    for (uint32_t i = 0; i < selector->matcher_n; i++)
        if (selector->matchers[i].op == MATCHER_EQUAL && str_equal(selector->matchers[i].name, METRIC_NAME))
            return false;
    return true;
}

static bool is_streamed(const struct evaluator *ev, const struct promql_node *e) {
    if (e->kind == NODE_VECTOR) return true;
    if (e->kind != NODE_CALL || !e->function->range) return false;
    return ev->options->delayed_name_removal || !may_collide(range_argument(e));
}

static err eval_call(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    const struct function_row *f = e->function;
    if (f->whole) return f->whole(ev, t, e, out);
    if (f->range) {
        struct keep_sink sink = keep_sink(ev, out, t->n);
        TRY(range_call_each(ev, t, e, &sink.sink));
        if (ev->options->delayed_name_removal || f->keeps_name) return NULL;
        return table_merge(ev, out, t->n);
    }
    if (e->arg_n == 0) return date_of_step(ev, t, e, out);
    return map_call(ev, t, e, out);
}

/* ---- nodes ------------------------------------------------------------------------------------------------------- */

static err eval_unary(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    TRY(eval(ev, t, e->args[0], out));
    if (e->op == OP_ADD) return NULL;
    if (out->scalar) {
        double *negated = arena_alloc(ev->a, sizeof *negated * t->n);
        NEED(negated);
        for (size_t i = 0; i < t->n; i++) negated[i] = -out->scalar[i];
        out->scalar = negated;
        return NULL;
    }
    for (size_t r = 0; r < out->n; r++) {
        struct row *row = &out->rows[r];
        TRY(eval_touch(ev, ROW_TOUCHES + (row->histograms ? HISTOGRAM_TOUCHES : 1) * t->n));
        for (size_t i = 0; i < t->n; i++) {
            row->values[i] = -row->values[i];
            if (row->kinds[i] != PROMQL_HISTOGRAM) continue;
            struct native *h = native_copy(ev->a, row->histograms[i]);
            NEED(h);
            native_multiply(h, -1);
            row->histograms[i] = h;
        }
        TRY(row_drop_name(ev, row));
    }
    return ev->options->delayed_name_removal ? NULL : table_merge(ev, out, t->n);
}

static err fill_scalar(struct evaluator *ev, const struct timeline *t, double v, struct table *out) {
    NEED(out->scalar = arena_alloc(ev->a, sizeof *out->scalar * MAX(t->n, 1)));
    for (size_t i = 0; i < t->n; i++) out->scalar[i] = v;
    return NULL;
}

err eval(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    *out = (struct table){0};
    e = strip_parens(e);
    TRY(eval_check(ev));
    if (e->kind == NODE_NUMBER) return fill_scalar(ev, t, e->number, out);
    if (e->kind == NODE_STRING) return out->text = e->text, NULL;
    if (t->n > 1 && is_invariant(e)) return eval_once(ev, t, e, out);
    switch (e->kind) {
    case NODE_VECTOR: {
        struct keep_sink sink = keep_sink(ev, out, t->n);
        return selector_each(ev, t, e, false, &sink.sink);
    }
    case NODE_CALL: return eval_call(ev, t, e, out);
    case NODE_AGGREGATE: return eval_aggregate(ev, t, e, out);
    case NODE_BINARY: return eval_binary(ev, t, e, out);
    case NODE_UNARY: return eval_unary(ev, t, e, out);
    case NODE_NUMBER:
    case NODE_STRING:
    case NODE_MATRIX:
    case NODE_SUBQUERY:
    case NODE_PAREN: break;
    }
    return err_new(ERR_INTERNAL, "a range vector is evaluated by itself");
}

err eval_each(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct sink *sink) {
    struct table table;
    e = strip_parens(e);
    if (is_streamed(ev, e) && !(t->n > 1 && is_invariant(e)))
        return e->kind == NODE_VECTOR ? selector_each(ev, t, e, false, sink) : range_call_each(ev, t, e, sink);
    TRY(eval(ev, t, e, &table));
    for (size_t i = 0; i < table.n; i++) {
        TRY(eval_touch(ev, ROW_TOUCHES));
        TRY(sink->give(sink, &table.rows[i]));
    }
    return NULL;
}

err eval_scalar(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, double **out) {
    struct table table;
    TRY(eval(ev, t, e, &table));
    *out = table.scalar;
    return NULL;
}

struct str eval_string(const struct promql_node *e) {
    return strip_parens(e)->text;
}

/* ---- a run ------------------------------------------------------------------------------------------------------- */

static int order_of_rows(const void *x, const void *y) {
    return promql_labels_compare(((const struct promql_row *)x)->labels, ((const struct promql_row *)y)->labels);
}

static err drop_waiting_names(struct evaluator *ev, struct table *table, size_t steps) {
    bool any = false;
    for (size_t i = 0; i < table->n; i++) {
        if (!table->rows[i].drop_name) continue;
        any = true;
        table->rows[i].labels = labels_without_metadata(ev->a, table->rows[i].labels);
    }
    return any ? table_merge(ev, table, steps) : NULL;
}

static err answer_rows(struct evaluator *ev, const struct timeline *t, struct table *table, struct promql_answer *out) {
    if (table->scalar) {
        struct row row = {0};
        TRY(row_prepare(ev, &row, t->n));
        memset(row.kinds, PROMQL_FLOAT, t->n);
        row.values = table->scalar;
        TRY(table_push(ev, table, &row));
    }
    TRY(drop_waiting_names(ev, table, t->n));
    NEED(out->rows = arena_alloc(ev->a, sizeof *out->rows * MAX(table->n, 1)));
    for (size_t i = 0; i < table->n; i++) {
        const struct row *row = &table->rows[i];
        TRY(eval_touch(ev, ROW_TOUCHES));
        if (row_is_empty(row, t->n)) continue;
        out->rows[out->row_n++] = (struct promql_row){
            .labels = row->labels, .kinds = row->kinds, .values = row->values, .histograms = row->histograms};
    }
    if (!ev->options->step_ms) return NULL;
    return eval_sort(ev, out->rows, out->row_n, sizeof *out->rows, order_of_rows);
}

static err run(struct evaluator *ev, const struct promql_node *e, struct promql_answer *out) {
    const struct promql_options *o = ev->options;
    struct timeline t = {.start = o->start_ms, .step = o->step_ms, .n = 1};
    const int64_t far = 4000000000000000000; /* so that no sum of times, offsets and ranges leaves int64 */
    if (o->step_ms < 0) return err_new(ERR_INVALID, "zero or negative query resolution step widths are not accepted");
    if (o->start_ms < -far || o->end_ms > far) return err_new(ERR_INVALID, "the time range is out of bounds");
    if (o->end_ms < o->start_ms) return err_new(ERR_INVALID, "end timestamp must not be before start time");
    if (o->step_ms) t.n = (size_t)((uint64_t)(o->end_ms - o->start_ms) / (uint64_t)o->step_ms) + 1;
    if (t.n > ev->samples_max) return too_many_samples();
    if (o->slice_n) t.start += (int64_t)o->slice_first * o->step_ms, t.n = o->slice_n;
    out->type = promql_type_of(e);
    out->start_ms = t.start;
    out->step_ms = o->step_ms;
    out->step_n = t.n;
    if (o->count_samples) {
        NEED(ev->counts = arena_zero(ev->a, sizeof *ev->counts * t.n));
        ev->count_n = t.n;
    }
    if (o->step_ms && out->type != PROMQL_SCALAR && out->type != PROMQL_VECTOR)
        return err_new(ERR_INVALID, "invalid expression type \"%s\" for range query, must be Scalar or instant Vector",
                       out->type == PROMQL_STRING ? "string" : "range vector");
    if (out->type == PROMQL_MATRIX) return range_points(ev, &t, strip_parens(e), out);
    struct table table;
    TRY(eval(ev, &t, e, &table));
    out->text = table.text;
    return out->type == PROMQL_STRING ? NULL : answer_rows(ev, &t, &table, out);
}

err promql_run(struct arena *a, struct promql_source *source, const struct promql_node *e, struct str text,
               const struct promql_options *options, struct promql_answer *out) {
    struct evaluator *ev = arena_new(a, struct evaluator);
    if (!ev) return arena_err(a);
    *ev = (struct evaluator){.a = a, .source = source, .options = options, .text = text};
    ev->lookback = options->lookback_ms ? options->lookback_ms : 300000;
    ev->samples_max = options->samples_max ? options->samples_max : PROMQL_SAMPLES_MAX;
    *out = (struct promql_answer){0};
    err failed = run(ev, e, out);
    if (!failed) failed = arena_err(a);
    out->warnings = ev->warnings;
    out->warning_n = ev->warning_n;
    out->infos = ev->infos;
    out->info_n = ev->info_n;
    out->samples = ev->samples;
    out->step_samples = ev->counts;
    return failed;
}
