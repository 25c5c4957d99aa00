/* What the parts of the evaluator share: timelines, rows, tables, windows.
 *
 *   eval(node, timeline) ─▶ table: one row a series, an array over the timeline's steps each, with presence
 *   eval_each(node, timeline, sink) ─▶ the same rows, one at a time in memory that is used again: what an aggregation folds
 *   series_each(range vector, timeline, visit) ─▶ a series' samples and, for each step, which of them are in the window
 *
 * Invariants: (1) a row's cell is absent, a float or a histogram, never two; (2) histograms in rows are never changed, who changes
 * one copies it first; (3) no two rows of a table that a node hands up have the same labels, once their names are dropped that
 * wait for it; (4) windows are left-open: (t - range, t]; (5) everything lives in the run's arena until its end.
 */
#pragma once

#include "query/promql/functions_priv.h"

struct timeline {
    int64_t start, step;
    size_t n;
};
static inline int64_t step_time(const struct timeline *t, size_t i) { return t->start + (int64_t)i * t->step; }

struct row {
    struct labels labels;
    bool drop_name; /* the name goes at the end of the query */
    bool taken;     /* by the sink: the producer takes new memory */
    uint8_t *kinds;
    double *values;
    const struct native **histograms;
};

struct table {
    struct row *rows;
    size_t n, capacity;
    double *scalar; /* of scalars */
    struct str text;
};

enum note_kind { NOTE_WARNING, NOTE_INFO };
enum { NOTES_MAX = 256, NOTE_BYTES_MAX = 1024 };

struct evaluator {
    struct arena *a;
    struct promql_source *source;
    const struct promql_options *options;
    struct str text;
    int64_t lookback;
    uint64_t held, samples, samples_max, touched; /* touched: since the last check */
    uint64_t *counts;                             /* of each step of the question; NULL: nobody asked */
    size_t count_n;
    uint32_t uncounted; /* subqueries around: what they read is counted as their points */
    struct str warnings[NOTES_MAX], infos[NOTES_MAX];
    size_t warning_n, info_n;
    struct {
        const struct promql_node *at;
        const char *text;
        struct str name;
    } last_note; /* that had a name */
};

/* ---- memory and limits ------------------------------------------------------------------------------------------- */

err eval_no_memory(struct evaluator *ev);
#define NEED(pointer)                                                                                                  \
    do {                                                                                                               \
        if (!(pointer)) return eval_no_memory(ev);                                                                     \
    } while (0)
err eval_check(struct evaluator *ev);
err eval_check_work(struct evaluator *ev);
/* For loops over cells: the work of `n` samples (windows overlap, so it may be far more than were read) is about to be done; checks once in
 * a while. */
enum { TOUCHED_BETWEEN_CHECKS = 1 << 16, HISTOGRAM_TOUCHES = 64, ROW_TOUCHES = 64 };
static inline err eval_touch(struct evaluator *ev, uint64_t n) {
    ev->touched += n;
    if (ev->touched < TOUCHED_BETWEEN_CHECKS) return NULL;
    return eval_check_work(ev);
}
/* A stable order, with checks. */
err eval_sort(struct evaluator *ev, void *items, size_t n, size_t size, int (*order)(const void *, const void *));
err eval_hold(struct evaluator *ev, uint64_t cells);   /* counts cells that stay */
err eval_seen(struct evaluator *ev, uint64_t samples); /* counts samples that were read */

/* ---- annotations ------------------------------------------------------------------------------------------------- */

/* "PromQL warning: …" with the place of `at` behind it; each text once. */
void note(struct evaluator *ev, enum note_kind kind, const struct promql_node *at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same with ` "name"` or ` for metric name "name"` behind the text. */
void note_name(struct evaluator *ev, enum note_kind kind, const struct promql_node *at, struct str name,
               const char *text);
void note_maybe_name(struct evaluator *ev, enum note_kind kind, const struct promql_node *at, struct str name,
                     const char *text);

/* Unless q is in [0, 1]. */
void note_bad_quantile(struct evaluator *ev, const struct promql_node *at, double q);
/* What goes with two histograms that cannot be added, and with a window that has floats and histograms. */
void note_mixed_histograms(struct evaluator *ev, const struct promql_node *at, struct str name, enum native_added why);
void note_mixed_kinds(struct evaluator *ev, const struct promql_node *at, struct str name);
void note_histograms_left_out(struct evaluator *ev, const struct promql_node *at, struct str name);

/* ---- labels ------------------------------------------------------------------------------------------------------ */

enum { PROJECTED_LABELS_MAX = 1024 };

/* Labels with name = value; an empty value takes the label away. v NULL: no memory. */
struct labels labels_set(struct arena *a, struct labels labels, struct str name, struct str value);
struct labels labels_without_metadata(struct arena *a, struct labels labels);
uint64_t labels_hash(struct labels labels);
bool labels_equal(struct labels x, struct labels y);
/* The labels of these names, or without them (and without the metric name); of names sorted by names_sort. */
void labels_project(struct labels labels, const struct names *names, bool without,
                    struct label out[PROJECTED_LABELS_MAX], uint32_t *out_n);
bool names_sort(struct arena *a, const struct names *in, struct names *out);

/* Label sets with numbers 0, 1, 2 … in the order they came. */
struct label_index {
    struct labels *sets;
    uint64_t *hashes;
    uint32_t *slots, n, capacity, mask;
};
/* The number of a set; new ones are copied (the array, not the texts). UINT32_MAX: no memory. */
uint32_t label_index_add(struct arena *a, struct label_index *x, struct labels labels);

/* ---- rows and tables --------------------------------------------------------------------------------------------- */

err row_prepare(struct evaluator *ev, struct row *row, size_t steps); /* memory, all cells absent */
err row_histograms(struct evaluator *ev, struct row *row, size_t steps);
bool row_is_empty(const struct row *row, size_t steps);
bool row_is_floats(const struct row *row, size_t steps); /* at every step */
err row_drop_name(struct evaluator *ev, struct row *row);
struct str row_name(const struct row *row);
err table_push(struct evaluator *ev, struct table *t, const struct row *row);
/* Rows with the same labels become one; two present cells at one step are an error. */
err table_merge(struct evaluator *ev, struct table *t, size_t steps);

/* Rows 0 … n-1 by their groups, in order: those of group g are rows[starts[g]] … rows[starts[g + 1]). */
err rows_by_group(struct evaluator *ev, const uint32_t *ids, size_t n, uint32_t groups, uint32_t **out_rows,
                  uint32_t **out_starts);

struct sink {
    err (*give)(struct sink *s, struct row *row);
};

/* ---- evaluation -------------------------------------------------------------------------------------------------- */

err eval(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);
err eval_each(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct sink *sink);
err eval_scalar(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, double **out);
struct str eval_string(const struct promql_node *e);
const struct promql_node *strip_parens(const struct promql_node *e);
err eval_aggregate(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);
err eval_binary(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);
err aggregate_choose(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);
err aggregate_count_values(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                           struct table *out);
err aggregate_quantile(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out);

/* ---- windows ----------------------------------------------------------------------------------------------------- */

/* Of each step: the samples [low, high) are in its window. */
struct windows {
    uint32_t *low, *high;
    struct extrapolation *extrapolation; /* what rate() needs of the times alone; memory that is used again */
    bool extrapolated;
};

struct windowed {
    struct evaluator *ev;
    const struct timeline *t;
    const struct promql_node *call, *range; /* range: a MATRIX or SUBQUERY node */
    struct labels labels;
    const int64_t *ends; /* of the window of each step */
    const int64_t *times, *histogram_times;
    const double *values;
    const struct native *const *histograms;
    size_t n, histogram_n;
    struct windows *windows, *histogram_windows; /* the second NULL: there are no histograms */
    double *parameters[2];                       /* over steps: of the scalar arguments */
    struct row *out;
    bool without_resets;
};

int64_t at_time(const struct evaluator *ev, const struct promql_node *e, int64_t step_ms);

typedef err (*windowed_fn)(struct windowed *w, void *context);
/* Visits each series of a range vector that has a sample in any window. */
err series_each(struct evaluator *ev, const struct timeline *t, const struct promql_node *range, struct str function,
                windowed_fn visit, void *context);
/* An instant selector's rows; with `times` the cells hold the time of the sample in seconds instead of its value. */
err selector_each(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, bool times,
                  struct sink *sink);
/* A range vector as the answer of an instant query. */
err range_points(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                 struct promql_answer *out);
err select_series(struct evaluator *ev, const struct promql_node *vector, struct promql_selection selection,
                  struct promql_set *set);

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

/* One step of Neumaier's compensated sum. */
static inline void kahan_add(double v, double *sum, double *c) {
    double t = *sum + v;
    if (__builtin_isinf(t))
        *c = 0;
    else if (__builtin_fabs(*sum) >= __builtin_fabs(v))
        *c += (*sum - t) + v;
    else
        *c += (v - t) + *sum;
    *sum = t;
}
/* Of n values, which it moves; NaN is less than all. Takes time linear in n. */
double quantile_of(double q, double *values, size_t n);
double apply_scalar_op(enum binary_op op, double x, double y);
