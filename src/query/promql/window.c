#include <stdlib.h>

#include "query/promql/eval_priv.h"

/* ---- windows of a timestamp vector ------------------------------------------------------------------------------- */

enum { PLANS = 64 };

struct plan {
    uint64_t id;
    struct windows windows;
    bool planned;
};

/* One range vector over one timeline: its windows for each timestamp vector that it meets, and memory that series share. */
struct range_job {
    struct evaluator *ev;
    const struct timeline *t;
    const struct promql_node *range;
    int64_t width, *ends; /* ends: of the window of each step */
    struct plan plans[PLANS];
    struct windows own, own_histograms;
    int64_t *times;
    double *values;
    int64_t *histogram_times;
    const struct native **histograms;
    size_t capacity, histogram_capacity;
};

int64_t at_time(const struct evaluator *ev, const struct promql_node *e, int64_t step_ms) {
    int64_t at = e->at == AT_TIME    ? e->at_ms
                 : e->at == AT_START ? ev->options->start_ms
                 : e->at == AT_END   ? ev->options->end_ms
                                     : step_ms;
    return at - e->offset_ms;
}

static bool windows_alloc(struct arena *a, struct windows *w, size_t steps) {
    if (!w->low) w->low = arena_alloc(a, sizeof *w->low * MAX(steps, 1));
    if (!w->high) w->high = arena_alloc(a, sizeof *w->high * MAX(steps, 1));
    return w->low && w->high;
}

/* Both ends of the window only move on, as the steps do. True if any window has a sample. */
static bool plan_windows(const struct range_job *job, const int64_t *times, size_t n, struct windows *w) {
    uint32_t low = 0, high = 0;
    bool any = false;
    for (size_t i = 0; i < job->t->n; i++) {
        int64_t end = job->ends[i], start = end - job->width;
        while (high < n && times[high] <= end) high++;
        while (low < high && times[low] <= start) low++;
        w->low[i] = low;
        w->high[i] = high;
        any |= low < high;
    }
    return any;
}

static err job_new(struct evaluator *ev, const struct timeline *t, const struct promql_node *range, int64_t width,
                   struct range_job **out) {
    struct range_job *job = arena_new(ev->a, struct range_job);
    NEED(job);
    *job = (struct range_job){.ev = ev, .t = t, .range = range, .width = width};
    NEED(job->ends = arena_alloc(ev->a, sizeof *job->ends * MAX(t->n, 1)));
    for (size_t i = 0; i < t->n; i++) job->ends[i] = at_time(ev, range, step_time(t, i));
    *out = job;
    return NULL;
}

static bool any_window(const struct windows *w, size_t steps) {
    uint32_t any = 0;
    for (size_t i = 0; i < steps; i++) any |= w->high[i] - w->low[i];
    return any;
}

static err job_windows(struct range_job *job, const int64_t *times, size_t n, uint64_t id, struct windows **out,
                       bool *out_any) {
    struct evaluator *ev = job->ev;
    if (!id) {
        if (!windows_alloc(ev->a, &job->own, job->t->n)) return eval_no_memory(ev);
        *out = &job->own;
        job->own.extrapolated = false;
        *out_any = plan_windows(job, times, n, &job->own);
        return NULL;
    }
    struct plan *plan = &job->plans[id % PLANS];
    *out = &plan->windows;
    if (!plan->planned || plan->id != id) {
        if (!windows_alloc(ev->a, &plan->windows, job->t->n)) return eval_no_memory(ev);
        plan_windows(job, times, n, &plan->windows);
        plan->windows.extrapolated = false;
        plan->id = id;
        plan->planned = true;
    }
    *out_any = any_window(&plan->windows, job->t->n);
    return NULL;
}

/* ---- samples without staleness markers --------------------------------------------------------------------------- */

static bool any_stale(const double *values, size_t n) {
    uint64_t stale = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t bits;
        memcpy(&bits, values + i, sizeof bits);
        stale |= bits == PROMQL_STALE;
    }
    return stale;
}

static err job_reserve(struct range_job *job, size_t n, size_t histogram_n) {
    struct evaluator *ev = job->ev;
    if (n > job->capacity) {
        job->capacity = n + n / 2;
        NEED(job->times = arena_alloc(ev->a, sizeof *job->times * job->capacity));
        NEED(job->values = arena_alloc(ev->a, sizeof *job->values * job->capacity));
    }
    if (histogram_n > job->histogram_capacity) {
        job->histogram_capacity = histogram_n + histogram_n / 2;
        NEED(job->histogram_times = arena_alloc(ev->a, sizeof *job->histogram_times * job->histogram_capacity));
        NEED(job->histograms = arena_alloc(ev->a, sizeof(*job->histograms) * job->histogram_capacity));
    }
    return NULL;
}

static err job_without_stale(struct range_job *job, struct promql_samples *s) {
    bool stale = !s->without_stale && any_stale(s->values, s->n), stale_histograms = false;
    for (size_t i = 0; i < s->histogram_n; i++) stale_histograms |= promql_is_stale(s->histograms[i]->sum);
    if (!stale && !stale_histograms) return NULL;
    TRY(job_reserve(job, s->n, s->histogram_n));
    if (stale) {
        size_t n = 0;
        for (size_t i = 0; i < s->n; i++) {
            if (promql_is_stale(s->values[i])) continue;
            job->times[n] = s->times[i];
            job->values[n++] = s->values[i];
        }
        s->times = job->times, s->values = job->values, s->n = n, s->times_id = 0;
    }
    if (stale_histograms) {
        size_t n = 0;
        for (size_t i = 0; i < s->histogram_n; i++) {
            if (promql_is_stale(s->histograms[i]->sum)) continue;
            job->histogram_times[n] = s->histogram_times[i];
            job->histograms[n++] = s->histograms[i];
        }
        s->histogram_times = job->histogram_times, s->histograms = job->histograms, s->histogram_n = n;
    }
    return NULL;
}

/* What each window holds; a part that is worked out once counts for all steps. */
static void count_windows(struct evaluator *ev, const struct timeline *t, const struct windows *w) {
    if (!ev->counts || ev->uncounted || !w) return;
    for (size_t i = 0; i < ev->count_n; i++) {
        size_t step = t->n == ev->count_n ? i : 0;
        ev->counts[i] += w->high[step] - w->low[step];
    }
}

static void count_cells(struct evaluator *ev, const struct timeline *t, const struct row *row) {
    if (!ev->counts || ev->uncounted) return;
    for (size_t i = 0; i < ev->count_n; i++) ev->counts[i] += row->kinds[t->n == ev->count_n ? i : 0] != PROMQL_ABSENT;
}

static err job_visit(struct range_job *job, struct windowed *w, struct promql_samples *s, windowed_fn visit,
                     void *context) {
    bool any = false, any_histogram = false;
    TRY(job_without_stale(job, s));
    TRY(job_windows(job, s->times, s->n, s->times_id, &w->windows, &any));
    w->histogram_windows = NULL;
    if (s->histogram_n) {
        if (!windows_alloc(job->ev->a, &job->own_histograms, job->t->n)) return eval_no_memory(job->ev);
        any_histogram = plan_windows(job, s->histogram_times, s->histogram_n, &job->own_histograms);
        w->histogram_windows = &job->own_histograms;
    }
    if (!any && !any_histogram) return NULL;
    count_windows(job->ev, job->t, w->windows);
    count_windows(job->ev, job->t, w->histogram_windows);
    w->without_resets = s->without_resets && s->without_stale; /* a marker may have stood between two */
    w->times = s->times, w->values = s->values, w->n = s->n;
    w->histogram_times = s->histogram_times, w->histograms = s->histograms, w->histogram_n = s->histogram_n;
    return visit(w, context);
}

/* ---- series of a selector ---------------------------------------------------------------------------------------- */

err select_series(struct evaluator *ev, const struct promql_node *vector, struct promql_selection selection,
                  struct promql_set *set) {
    *set = (struct promql_set){0};
    TRY(promql_matchers_make(ev->a, vector->matchers, vector->matcher_n, &selection.matchers));
    selection.matcher_n = vector->matcher_n;
    err e = ev->source->select(ev->source, &selection, ev->a, set);
    for (uint32_t i = 0; i < vector->matcher_n; i++) label_matcher_done(&selection.matchers[i]);
    for (size_t i = 0; !e && i < set->warning_n; i++) {
        bool known = ev->warning_n == NOTES_MAX;
        for (size_t k = 0; k < ev->warning_n; k++) known |= str_equal(ev->warnings[k], set->warnings[i]);
        struct str kept = known ? (struct str){0} : arena_copy(ev->a, set->warnings[i]);
        if (kept.p) ev->warnings[ev->warning_n++] = kept;
    }
    return e;
}

static void set_done(struct promql_set *set) {
    if (set->done) set->done(set);
}

static err set_read(struct evaluator *ev, struct promql_set *set, size_t i, struct promql_samples *s) {
    *s = (struct promql_samples){0};
    TRY(eval_check(ev));
    TRY(set->read(set, i, s));
    return eval_seen(ev, s->n + s->histogram_n);
}

static struct promql_selection range_of(const struct evaluator *ev, const struct timeline *t,
                                        const struct promql_node *e, int64_t width) {
    int64_t first = at_time(ev, e, t->start), last = at_time(ev, e, step_time(t, t->n - 1));
    return (struct promql_selection){
        .min_ms = first - width + 1, .max_ms = last, .step_ms = t->step, .range_ms = width};
}

static err matrix_each(struct range_job *job, struct windowed *w, struct str function, windowed_fn visit,
                       void *context) {
    struct evaluator *ev = job->ev;
    struct promql_set set;
    struct promql_selection selection = range_of(ev, job->t, job->range, job->width);
    selection.function = function;
    TRY(select_series(ev, job->range->args[0], selection, &set));
    err e = NULL;
    for (size_t i = 0; !e && i < set.n; i++) {
        struct promql_samples s;
        e = set_read(ev, &set, i, &s);
        w->labels = set.series[i];
        if (!e) e = job_visit(job, w, &s, visit, context);
    }
    set_done(&set);
    return e;
}

/* ---- subqueries -------------------------------------------------------------------------------------------------- */

enum { SUBQUERY_STEP_MS = 60000 };

static int64_t floor_to(int64_t v, int64_t step) { return v / step * step - (v % step < 0 ? step : 0); }

static err inner_timeline(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                          struct timeline *out) {
    int64_t step = e->step_ms ? e->step_ms : SUBQUERY_STEP_MS;
    int64_t first = at_time(ev, e, t->start) - e->range_ms, last = at_time(ev, e, step_time(t, t->n - 1));
    int64_t start = floor_to(first, step) + step; /* the first multiple behind the open end */
    *out = (struct timeline){.start = start, .step = step, .n = 0};
    if (last < start) return NULL;
    uint64_t n = (uint64_t)(last - start) / (uint64_t)step + 1;
    if (n > ev->samples_max)
        return err_new(ERR_LIMIT, "query processing would load too many samples into memory in query execution");
    out->n = n;
    return NULL;
}

/* A sample may be asked for at many steps of a subquery, or at none, so what it says about a reset before it says nothing here. */
static const struct native *without_reset(struct arena *a, const struct native *h) {
    if (h->reset != NATIVE_RESET && h->reset != NATIVE_NOT_RESET) return h;
    struct native *copy = arena_alloc(a, sizeof *copy);
    if (!copy) return NULL;
    *copy = *h;
    copy->reset = NATIVE_RESET_UNKNOWN;
    copy->positive.capacity = copy->negative.capacity = 0;
    return copy;
}

/* The present cells of a row, as samples. */
static err row_samples(struct range_job *job, const struct timeline *inner, const struct row *row,
                       struct promql_samples *s) {
    *s = (struct promql_samples){0};
    TRY(job_reserve(job, inner->n, row->histograms ? inner->n : 0));
    for (size_t i = 0; i < inner->n; i++) {
        if (row->kinds[i] == PROMQL_FLOAT) {
            job->times[s->n] = step_time(inner, i);
            job->values[s->n++] = row->values[i];
        } else if (row->kinds[i] == PROMQL_HISTOGRAM) {
            job->histogram_times[s->histogram_n] = step_time(inner, i);
            job->histograms[s->histogram_n] = without_reset(job->ev->a, row->histograms[i]);
            if (!job->histograms[s->histogram_n++]) return eval_no_memory(job->ev);
        }
    }
    s->times = job->times, s->values = job->values;
    s->histogram_times = job->histogram_times, s->histograms = job->histograms;
    s->times_id = s->n == inner->n; /* all of them have the same times */
    return NULL;
}

static err subquery_each(struct range_job *job, struct windowed *w, windowed_fn visit, void *context) {
    struct evaluator *ev = job->ev;
    struct timeline inner;
    struct table table = {0};
    TRY(inner_timeline(ev, job->t, job->range, &inner));
    if (inner.n == 0) return NULL;
    ev->uncounted++;
    TRY(eval(ev, &inner, job->range->args[0], &table));
    ev->uncounted--;
    for (size_t i = 0; i < table.n; i++) {
        struct promql_samples s;
        TRY(eval_check(ev));
        TRY(eval_touch(ev, inner.n));
        TRY(row_samples(job, &inner, &table.rows[i], &s));
        w->labels = table.rows[i].labels;
        w->out->drop_name = table.rows[i].drop_name;
        TRY(job_visit(job, w, &s, visit, context));
    }
    return NULL;
}

err series_each(struct evaluator *ev, const struct timeline *t, const struct promql_node *range, struct str function,
                windowed_fn visit, void *context) {
    struct range_job *job;
    struct windowed *w = context; /* whoever visits has it first in its context */
    TRY(job_new(ev, t, range, range->range_ms, &job));
    w->ends = job->ends;
    if (range->kind == NODE_SUBQUERY) return subquery_each(job, w, visit, context);
    return matrix_each(job, w, function, visit, context);
}

/* ---- instant selectors ------------------------------------------------------------------------------------------- */

/* The usual series: floats only. */
static void last_floats(size_t steps, const struct promql_samples *s, const struct windows *w, struct row *row) {
    const uint32_t *low = w->low, *high = w->high;
    const double *values = s->values;
    for (size_t i = 0; i < steps; i++) {
        size_t last = high[i] - (high[i] > 0); /* in bounds even where the window is empty */
        double v = values[last];
        row->values[i] = v;
        row->kinds[i] = low[i] < high[i] && !promql_is_stale(v);
    }
}

/* The last sample of each window, unless it says that the series ended. */
static err last_of_windows(struct evaluator *ev, const struct timeline *t, const struct promql_samples *s,
                           const struct windows *floats, const struct windows *histograms, bool times,
                           struct row *row) {
    for (size_t i = 0; i < t->n; i++) {
        size_t f = floats->high[i] - 1, h = histograms ? histograms->high[i] - 1 : 0;
        bool is_float = floats->low[i] < floats->high[i],
             is_histogram = histograms && histograms->low[i] < histograms->high[i];
        if (is_float && is_histogram) {
            is_float = s->times[f] > s->histogram_times[h];
            is_histogram = !is_float;
        }
        if (is_float && !promql_is_stale(s->values[f])) {
            row->kinds[i] = PROMQL_FLOAT;
            row->values[i] = times ? (double)s->times[f] / 1000 : s->values[f];
        } else if (is_histogram && !promql_is_stale(s->histograms[h]->sum)) {
            row->kinds[i] = times ? PROMQL_FLOAT : PROMQL_HISTOGRAM;
            row->values[i] = (double)s->histogram_times[h] / 1000;
            if (!times) {
                TRY(row_histograms(ev, row, t->n));
                row->histograms[i] = native_copy(ev->a, s->histograms[h]);
                NEED(row->histograms[i]);
            }
        }
    }
    return NULL;
}

static err selector_row(struct range_job *job, struct promql_samples *s, bool times, struct row *row) {
    struct windows *windows;
    bool any = false, any_histogram = false;
    TRY(job_windows(job, s->times, s->n, s->times_id, &windows, &any));
    if (s->histogram_n) {
        if (!windows_alloc(job->ev->a, &job->own_histograms, job->t->n)) return eval_no_memory(job->ev);
        any_histogram = plan_windows(job, s->histogram_times, s->histogram_n, &job->own_histograms);
    }
    if (!any && !any_histogram) return NULL;
    if (!any_histogram && !times) return last_floats(job->t->n, s, windows, row), NULL;
    return last_of_windows(job->ev, job->t, s, windows, any_histogram ? &job->own_histograms : NULL, times, row);
}

err selector_each(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, bool times,
                  struct sink *sink) {
    struct range_job *job;
    struct promql_set set;
    struct row row = {0};
    TRY(job_new(ev, t, e, ev->lookback, &job));
    struct promql_selection selection = range_of(ev, t, e, ev->lookback);
    selection.range_ms = 0;
    TRY(select_series(ev, e, selection, &set));
    err failed = NULL;
    for (size_t i = 0; !failed && i < set.n; i++) {
        struct promql_samples s;
        failed = set_read(ev, &set, i, &s);
        if (!failed) failed = row_prepare(ev, &row, t->n);
        row.labels = set.series[i];
        row.drop_name = false;
        if (!failed) failed = selector_row(job, &s, times, &row);
        if (failed || row_is_empty(&row, t->n)) continue;
        count_cells(ev, t, &row);
        failed = sink->give(sink, &row);
    }
    set_done(&set);
    return failed;
}

/* ---- a range as an answer ---------------------------------------------------------------------------------------- */

struct points_visit {
    struct windowed w;
    struct row row;
    struct promql_answer *out;
    size_t capacity;
};

static err keep_points(struct windowed *w, void *context) {
    struct points_visit *v = context;
    struct evaluator *ev = w->ev;
    struct promql_answer *out = v->out;
    size_t low = w->windows->low[0], n = w->windows->high[0] - low;
    size_t histogram_low = w->histogram_windows ? w->histogram_windows->low[0] : 0;
    size_t histogram_n = w->histogram_windows ? w->histogram_windows->high[0] - histogram_low : 0;
    if (out->point_n == v->capacity) {
        size_t capacity = v->capacity ? v->capacity * 2 : 16;
        struct promql_points *more = arena_alloc(ev->a, sizeof *more * capacity);
        NEED(more);
        if (out->point_n) memcpy(more, out->points, sizeof *more * out->point_n);
        out->points = more;
        v->capacity = capacity;
    }
    int64_t *times = arena_alloc(ev->a, sizeof *times * MAX(n, 1)),
            *histogram_times = arena_alloc(ev->a, sizeof *times * MAX(histogram_n, 1));
    double *values = arena_alloc(ev->a, sizeof *values * MAX(n, 1));
    const struct native **histograms = arena_alloc(ev->a, sizeof(*histograms) * MAX(histogram_n, 1));
    if (!times || !histogram_times || !values || !histograms) return eval_no_memory(ev);
    if (n) memcpy(times, w->times + low, sizeof *times * n), memcpy(values, w->values + low, sizeof *values * n);
    for (size_t i = 0; i < histogram_n; i++) {
        histogram_times[i] = w->histogram_times[histogram_low + i];
        NEED(histograms[i] = native_copy(ev->a, w->histograms[histogram_low + i]));
    }
    out->points[out->point_n++] =
        (struct promql_points){.labels = w->out->drop_name ? labels_without_metadata(ev->a, w->labels) : w->labels,
                               .n = n,
                               .histogram_n = histogram_n,
                               .times = times,
                               .values = values,
                               .histogram_times = histogram_times,
                               .histograms = histograms};
    return eval_hold(ev, n + histogram_n);
}

err range_points(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                 struct promql_answer *out) {
    struct points_visit *v = arena_new(ev->a, struct points_visit);
    NEED(v);
    v->out = out;
    v->w = (struct windowed){.ev = ev, .t = t, .range = e, .out = &v->row};
    return series_each(ev, t, e, (struct str){"", 0}, keep_points, v);
}
