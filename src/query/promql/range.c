/* What a window's samples are together: sums, extremes, quantiles, changes. */
#include "query/promql/range_priv.h"

#include <math.h>
#include <stdlib.h>

err put_histogram(struct windowed *w, size_t i, const struct native *h) {
    TRY(row_histograms(w->ev, w->out, w->t->n));
    w->out->kinds[i] = PROMQL_HISTOGRAM;
    w->out->histograms[i] = h;
    return NULL;
}

static void note_mixed(const struct windowed *w, enum native_added why) {
    note_mixed_histograms(w->ev, w->range, windowed_name(w), why);
}

/* ---- histograms -------------------------------------------------------------------------------------------------- */

static err rise_add(struct windowed *w, struct native *rise, const struct native *h, double sign, bool *out_fits) {
    enum native_added added = native_add(w->ev->a, rise, h, sign);
    if (added == NATIVE_NO_MEMORY) return eval_no_memory(w->ev);
    *out_fits = added == NATIVE_ADDED;
    if (!*out_fits) note_mixed(w, added);
    return NULL;
}

/* The coarsest schema of a counter's samples, or false: some have custom buckets and some have not. */
static bool common_schema(struct windowed *w, const struct window *x, const struct native *first, bool counter,
                          int32_t *schema) {
    const struct native *last = x->histograms[x->histogram_n - 1];
    bool custom = native_is_custom(first);
    *schema = MIN(first->schema, last->schema);
    bool mixed = native_is_custom(last) != custom;
    for (size_t k = 1; k + 1 < x->histogram_n && counter; k++) {
        const struct native *h = x->histograms[k];
        *schema = MIN(*schema, h->schema);
        mixed |= native_is_custom(h) != custom;
    }
    if (mixed) note_mixed(w, NATIVE_MIXED_SCHEMAS);
    return !mixed;
}

static void note_kind_of_metric(struct windowed *w, const struct window *x, bool counter) {
    bool any_gauge = false, ends_gauge = x->histograms[0]->reset == NATIVE_GAUGE &&
                                         x->histograms[x->histogram_n - 1]->reset == NATIVE_GAUGE;
    for (size_t k = 0; k < x->histogram_n; k++) any_gauge |= x->histograms[k]->reset == NATIVE_GAUGE;
    if (counter && any_gauge)
        note_name(w->ev, NOTE_WARNING, w->range, windowed_name(w), "this native histogram metric is not a counter:");
    if (!counter && !ends_gauge)
        note_name(w->ev, NOTE_WARNING, w->range, windowed_name(w), "this native histogram metric is not a gauge:");
}

err histogram_rise(struct windowed *w, const struct window *x, bool counter, struct native **out) {
    struct evaluator *ev = w->ev;
    const struct native *before = x->histograms[0], *last = x->histograms[x->histogram_n - 1];
    struct native none = {
        .schema = x->histograms[1]->schema, .custom = x->histograms[1]->custom, .custom_n = x->histograms[1]->custom_n};
    int32_t schema;
    bool fits = false;
    *out = NULL;
    /* A sample that a reset follows counts for nothing, whatever its buckets are. */
    if (counter && native_was_reset(ev->a, x->histograms[1], before)) before = &none;
    if (counter) note_kind_of_metric(w, x, true);
    if (!common_schema(w, x, before, counter, &schema)) return NULL;
    struct native *rise = native_copy(ev->a, last);
    if (!rise || !native_reduce(ev->a, rise, schema)) return eval_no_memory(ev);
    TRY(rise_add(w, rise, before, -1, &fits));
    for (size_t k = 1; fits && counter && k < x->histogram_n; k++) {
        if (native_was_reset(ev->a, x->histograms[k], before)) TRY(rise_add(w, rise, before, 1, &fits));
        before = x->histograms[k];
    }
    if (!fits) return NULL;
    if (!counter) note_kind_of_metric(w, x, false);
    rise->reset = NATIVE_GAUGE;
    native_compact(rise);
    *out = rise;
    return NULL;
}

/* The sum or the mean of a window of histograms. */
static err total_of_histograms(struct windowed *w, const struct window *x, bool mean) {
    struct evaluator *ev = w->ev;
    struct native *total = native_copy(ev->a, x->histograms[0]);
    NEED(total);
    for (size_t k = 1; k < x->histogram_n; k++) {
        enum native_added added = native_add(ev->a, total, x->histograms[k], 1);
        if (added == NATIVE_NO_MEMORY) return eval_no_memory(ev);
        if (added != NATIVE_ADDED) return note_mixed(w, added), NULL;
    }
    if (mean) native_divide(total, (double)x->histogram_n);
    native_compact(total);
    return put_histogram(w, x->i, total);
}

/* ---- sums -------------------------------------------------------------------------------------------------------- */

static double sum_of(const struct window *x) {
    double sum = 0, c = 0;
    for (size_t k = 0; k < x->n; k++) kahan_add(x->values[k], &sum, &c);
    return isinf(sum) ? sum : sum + c;
}

/* The mean of the sum, unless the sum overflows: then the mean moves from value to value. */
static double mean_of(const struct window *x) {
    double sum = x->values[0], c = 0, mean = 0;
    bool moving = false;
    for (size_t k = 1; k < x->n; k++) {
        double n = (double)(k + 1);
        if (!moving) {
            double next = sum, next_c = c;
            kahan_add(x->values[k], &next, &next_c);
            if (!isinf(next)) {
                sum = next, c = next_c;
                continue;
            }
            moving = true;
            mean = sum / (n - 1);
            c /= n - 1;
        }
        double q = (n - 1) / n;
        mean *= q, c *= q;
        kahan_add(x->values[k] / n, &mean, &c);
    }
    return moving ? mean + c : sum / (double)x->n + c / (double)x->n;
}

static err total(struct windowed *w, bool mean) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        if (x.n && x.histogram_n)
            note_mixed_kinds(w->ev, w->range, windowed_name(w));
        else if (x.histogram_n)
            TRY(total_of_histograms(w, &x, mean));
        else if (x.n)
            put_float(w, i, mean ? mean_of(&x) : sum_of(&x));
    }
    return NULL;
}

err range_sum(struct windowed *w) { return total(w, false); }
err range_avg(struct windowed *w) { return total(w, true); }

err range_count(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        if (x.n + x.histogram_n) put_float(w, i, (double)(x.n + x.histogram_n));
    }
    return NULL;
}

err range_present(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        if (x.n + x.histogram_n) put_float(w, i, 1);
    }
    return NULL;
}

/* ---- functions of the floats alone ------------------------------------------------------------------------------- */

typedef double (*floats_fn)(struct windowed *w, const struct window *x);

static err each_floats(struct windowed *w, floats_fn fn) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        if (!x.n) continue;
        if (x.histogram_n) note_histograms_left_out(w->ev, w->range, windowed_name(w));
        put_float(w, i, fn(w, &x));
    }
    return NULL;
}

static size_t index_of_extreme(const struct window *x, double sign, bool last_of_equals) {
    size_t best = 0;
    for (size_t k = 0; k < x->n; k++) {
        double v = sign * x->values[k], top = sign * x->values[best];
        if (v > top || (last_of_equals && v == top) || isnan(top)) best = k;
    }
    return best;
}

static double max_of(struct windowed *w, const struct window *x) {
    return (void)w, x->values[index_of_extreme(x, 1, false)];
}
static double min_of(struct windowed *w, const struct window *x) {
    return (void)w, x->values[index_of_extreme(x, -1, false)];
}
static double time_of_max(struct windowed *w, const struct window *x) {
    return (void)w, (double)x->times[index_of_extreme(x, 1, true)] / 1000;
}
static double time_of_min(struct windowed *w, const struct window *x) {
    return (void)w, (double)x->times[index_of_extreme(x, -1, true)] / 1000;
}

static double variance_of(struct windowed *w, const struct window *x) {
    (void)w;
    double n = 0, mean = 0, c_mean = 0, aux = 0, c_aux = 0;
    for (size_t k = 0; k < x->n; k++) {
        n++;
        double delta = x->values[k] - (mean + c_mean);
        kahan_add(delta / n, &mean, &c_mean);
        kahan_add(delta * (x->values[k] - (mean + c_mean)), &aux, &c_aux);
    }
    return (aux + c_aux) / n;
}

static double deviation_of(struct windowed *w, const struct window *x) { return sqrt(variance_of(w, x)); }

err range_max(struct windowed *w) { return each_floats(w, max_of); }
err range_min(struct windowed *w) { return each_floats(w, min_of); }
err range_ts_of_max(struct windowed *w) { return each_floats(w, time_of_max); }
err range_ts_of_min(struct windowed *w) { return each_floats(w, time_of_min); }
err range_stdvar(struct windowed *w) { return each_floats(w, variance_of); }
err range_stddev(struct windowed *w) { return each_floats(w, deviation_of); }

/* ---- quantiles --------------------------------------------------------------------------------------------------- */

static void swap_values(double *v, size_t i, size_t k) {
    double kept = v[i];
    v[i] = v[k];
    v[k] = kept;
}

/* NaNs to the front; how many. */
static size_t nans_first(double *v, size_t n) {
    size_t nans = 0;
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i])) swap_values(v, i, nans++);
    return nans;
}

/* Brings the k-th least of v[0 … n) to its place, with none greater before it and none less behind it. Hoare's selection; the pivot is
 * drawn, so that no order of the values is a bad one. */
static void select_value(double *v, size_t n, size_t k) {
    uint64_t chance = n;
    size_t from = 0, end = n;
    while (end - from > 1) {
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        double pivot = v[from + (size_t)((chance >> 33) % (end - from))];
        size_t less = from, greater = end;
        for (size_t i = from; i < greater;) {
            if (v[i] < pivot)
                swap_values(v, i++, less++);
            else if (v[i] > pivot)
                swap_values(v, i, --greater);
            else
                i++;
        }
        if (k >= less && k < greater) return; /* all of them equal the pivot */
        if (k < less)
            end = less;
        else
            from = greater;
    }
}

/* What follows v[selected] in the order, once select_value has put it there. */
static double least_behind(const double *v, size_t n, size_t selected) {
    double least = v[selected + 1];
    for (size_t i = selected + 2; i < n; i++) least = v[i] < least ? v[i] : least;
    return least;
}

double quantile_of(double q, double *values, size_t n) {
    if (n == 0 || isnan(q)) return NAN;
    if (q < 0) return -INFINITY;
    if (q > 1) return INFINITY;
    double rank = q * (double)(n - 1), weight = rank - floor(rank);
    size_t low = (size_t)fmax(0, floor(rank)), high = MIN(n - 1, low + 1), nans = nans_first(values, n);
    if (low >= nans) select_value(values + nans, n - nans, low - nans);
    double x = values[low], y = high == low ? x : high < nans ? values[high] : 0;
    if (high > low && high >= nans) {
        if (low < nans) select_value(values + nans, n - nans, 0);
        y = low < nans ? values[nans] : least_behind(values, n, low);
    }
    return x * (1 - weight) + y * weight;
}

/* What qsort may turn over: as large as the largest window. */
static err scratch_for(struct windowed *w, double **out) {
    struct evaluator *ev = w->ev;
    size_t most = 1;
    for (size_t i = 0; i < w->t->n; i++) most = MAX(most, (size_t)(w->windows->high[i] - w->windows->low[i]));
    NEED(*out = arena_alloc(ev->a, sizeof **out * most));
    return NULL;
}

err range_quantile(struct windowed *w) {
    double *scratch;
    TRY(scratch_for(w, &scratch));
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        double q = w->parameters[0][i];
        if (!x.n) continue;
        note_bad_quantile(w->ev, w->call->args[0], q);
        if (x.histogram_n) note_histograms_left_out(w->ev, w->range, windowed_name(w));
        memcpy(scratch, x.values, sizeof *scratch * x.n);
        put_float(w, i, quantile_of(q, scratch, x.n));
    }
    return NULL;
}

/* The median distance from the median. */
err range_mad(struct windowed *w) {
    double *scratch;
    TRY(scratch_for(w, &scratch));
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        if (!x.n) continue;
        if (x.histogram_n) note_histograms_left_out(w->ev, w->range, windowed_name(w));
        memcpy(scratch, x.values, sizeof *scratch * x.n);
        double median = quantile_of(0.5, scratch, x.n);
        for (size_t k = 0; k < x.n; k++) scratch[k] = fabs(x.values[k] - median);
        put_float(w, i, quantile_of(0.5, scratch, x.n));
    }
    return NULL;
}

/* ---- one sample, and from one to the next ------------------------------------------------------------------------ */

static err put_one(struct windowed *w, const struct window *x, size_t f, size_t h, bool is_float) {
    if (is_float) return put_float(w, x->i, x->values[f]), NULL;
    struct native *copy = native_copy(w->ev->a, x->histograms[h]);
    return copy ? put_histogram(w, x->i, copy) : eval_no_memory(w->ev);
}

err range_last(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        if (!x.n && !x.histogram_n) continue;
        bool is_float = x.n && (!x.histogram_n || x.histogram_times[x.histogram_n - 1] < x.times[x.n - 1]);
        TRY(put_one(w, &x, x.n - 1, x.histogram_n - 1, is_float));
    }
    return NULL;
}

err range_first(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        if (!x.n && !x.histogram_n) continue;
        TRY(put_one(w, &x, 0, 0, x.n && (!x.histogram_n || x.times[0] < x.histogram_times[0])));
    }
    return NULL;
}

err range_ts_of_last(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        int64_t f = x.n ? x.times[x.n - 1] : INT64_MIN,
                h = x.histogram_n ? x.histogram_times[x.histogram_n - 1] : INT64_MIN;
        if (x.n || x.histogram_n) put_float(w, i, (double)MAX(f, h) / 1000);
    }
    return NULL;
}

err range_ts_of_first(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        int64_t f = x.n ? x.times[0] : INT64_MAX, h = x.histogram_n ? x.histogram_times[0] : INT64_MAX;
        if (x.n || x.histogram_n) put_float(w, i, (double)MIN(f, h) / 1000);
    }
    return NULL;
}

typedef bool (*differs_fn)(struct windowed *w, double before, double now, const struct native *h_before,
                           const struct native *h_now);

static err count_steps(struct windowed *w, differs_fn differs) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        const struct native *before = NULL;
        double value = 0, n = 0;
        if (!x.n && !x.histogram_n) continue;
        for (size_t f = 0, h = 0; f < x.n || h < x.histogram_n;) {
            bool first = f + h == 0, is_float = h == x.histogram_n || (f < x.n && x.times[f] < x.histogram_times[h]);
            double v = is_float ? x.values[f++] : 0;
            const struct native *now = is_float ? NULL : x.histograms[h++];
            if (!first && (!before != !now || differs(w, value, v, before, now))) n++;
            value = v;
            before = now;
        }
        put_float(w, i, n);
    }
    return NULL;
}

static bool is_change(struct windowed *w, double before, double now, const struct native *h_before,
                      const struct native *h_now) {
    (void)w;
    return h_now ? !native_equal(h_now, h_before) : now != before && !(isnan(now) && isnan(before));
}

static bool is_reset(struct windowed *w, double before, double now, const struct native *h_before,
                     const struct native *h_now) {
    return h_now ? native_was_reset(w->ev->a, h_now, h_before) : now < before;
}

err range_changes(struct windowed *w) { return count_steps(w, is_change); }
err range_resets(struct windowed *w) { return count_steps(w, is_reset); }
