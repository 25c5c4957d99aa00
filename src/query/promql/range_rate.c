/* rate, increase, delta: what a window's samples rose by, stretched to the window's ends. */
#include <math.h>

#include "query/promql/range_priv.h"

/* Of each step, from the times alone: seconds from the window's start to the first sample and from the last to its end, as far as
 * they are trusted; seconds between both samples; and what the rise is multiplied with, were it not for the zero limit. */
struct extrapolation {
    double *to_start, *to_end, *sampled, *factor;
    uint32_t *first, *last; /* the window's ends; 0 where it has fewer than two samples */
    double ratio_max;       /* of to_start to sampled */
    uint32_t first_of_all;  /* the first sample of any window */
    uint8_t *kinds;         /* float where a window has two samples */
};

static double range_seconds(const struct windowed *w) { return (double)w->range->range_ms / 1000; }

/* A sample that is further from the end than 1.1 mean distances says that the series begins or ends inside of the window: then
 * half a distance is taken. */
static void stretch(const struct windowed *w, size_t i, int64_t first, int64_t last, size_t n, double *to_start,
                    double *to_end, double *sampled) {
    int64_t end = w->ends[i], start = end - w->range->range_ms;
    *to_start = (double)(first - start) / 1000;
    *to_end = (double)(end - last) / 1000;
    *sampled = (double)(last - first) / 1000;
    double mean = *sampled / (double)(n - 1), threshold = mean * 1.1;
    if (*to_start >= threshold) *to_start = mean / 2;
    if (*to_end >= threshold) *to_end = mean / 2;
}

static double factor_of(double to_start, double to_end, double sampled, double per) {
    double factor = (sampled + to_start + to_end) / sampled;
    return per != 0 ? factor / per : factor;
}

/* A counter did not begin under zero: where its line meets zero, the series starts. */
static double zero_limit(double to_start, double sampled, double first, double rise) {
    if (!(rise > 0) || !(first >= 0)) return to_start;
    double to_zero = sampled * (first / rise);
    return to_zero < to_start ? to_zero : to_start;
}

static double rise_of(const double *v, size_t n, bool counter) {
    double rise = v[n - 1] - v[0];
    for (size_t k = 1; counter && k < n; k++)
        if (v[k] < v[k - 1]) rise += v[k - 1];
    return rise;
}

static err plan_extrapolation(struct windowed *w, double per) {
    struct evaluator *ev = w->ev;
    size_t steps = w->t->n;
    struct extrapolation *x = w->windows->extrapolation;
    if (!x) {
        double *all = arena_alloc(ev->a, sizeof *all * 4 * steps);
        NEED(x = arena_new(ev->a, struct extrapolation));
        NEED(all);
        *x = (struct extrapolation){
            .to_start = all, .to_end = all + steps, .sampled = all + 2 * steps, .factor = all + 3 * steps};
        NEED(x->first = arena_alloc(ev->a, sizeof *x->first * 2 * steps));
        x->last = x->first + steps;
        NEED(x->kinds = arena_alloc(ev->a, steps));
    }
    x->ratio_max = 0;
    x->first_of_all = (uint32_t)(w->n - 1);
    for (size_t i = 0; i < steps; i++) {
        size_t low = w->windows->low[i], high = w->windows->high[i];
        x->to_start[i] = x->to_end[i] = x->sampled[i] = x->factor[i] = 0;
        x->first[i] = x->last[i] = 0;
        x->kinds[i] = high < low + 2 ? PROMQL_ABSENT : PROMQL_FLOAT;
        if (high < low + 2) continue;
        x->first[i] = (uint32_t)low;
        x->last[i] = (uint32_t)high - 1;
        stretch(w, i, w->times[low], w->times[high - 1], high - low, &x->to_start[i], &x->to_end[i], &x->sampled[i]);
        x->factor[i] = factor_of(x->to_start[i], x->to_end[i], x->sampled[i], per);
        x->ratio_max = fmax(x->ratio_max, x->to_start[i] / x->sampled[i]);
        x->first_of_all = MIN(x->first_of_all, x->first[i]);
    }
    w->windows->extrapolation = x;
    w->windows->extrapolated = true;
    return NULL;
}

/* A NaN counts as one: nothing is known of what comes before and after it. */
static bool any_reset(const double *v, size_t n) {
    int any = 0;
    for (size_t k = 1; k < n; k++) any |= !(v[k] >= v[k - 1]);
    return any;
}

/* Whether the zero limit may change any window of a series that only rises: its least first value against its largest rise. */
static bool may_be_limited(const struct windowed *w, const struct extrapolation *x) {
    double least = w->values[x->first_of_all], rise = w->values[w->n - 1] - least;
    return !(least > x->ratio_max * rise * 1.001);
}

/* Of a series that no reset interrupts: first and last sample decide. */
static void rate_without_resets(struct windowed *w, const struct extrapolation *x, bool counter, double per) {
    const double *restrict v = w->values, *restrict factor = x->factor;
    const uint32_t *restrict first = x->first, *restrict last = x->last;
    double *restrict out = w->out->values;
    size_t steps = w->t->n;
    for (size_t i = 0; i < steps; i++) out[i] = (v[last[i]] - v[first[i]]) * factor[i];
    if (!counter || !may_be_limited(w, x)) return;
    for (size_t i = 0; i < steps; i++) {
        double start = v[first[i]], rise = v[last[i]] - start;
        /* The comparison keeps the division out of most windows; what it lets through is decided exactly. */
        if (!(start * x->sampled[i] < x->to_start[i] * rise * 1.001)) continue;
        out[i] =
            rise * factor_of(zero_limit(x->to_start[i], x->sampled[i], start, rise), x->to_end[i], x->sampled[i], per);
    }
}

/* All windows of a series of floats; what its timestamps decide is there already if a series before had the same. */
static err rate_planned(struct windowed *w, bool counter, double per) {
    if (!w->windows->extrapolated) TRY(plan_extrapolation(w, per));
    const struct extrapolation *x = w->windows->extrapolation;
    const uint32_t *low = w->windows->low, *high = w->windows->high;
    memcpy(w->out->kinds, x->kinds, w->t->n);
    if (!counter || w->without_resets || !any_reset(w->values, w->n))
        return rate_without_resets(w, x, counter, per), NULL;
    for (size_t i = 0; i < w->t->n; i++) {
        size_t n = high[i] - low[i];
        if (n < 2) continue;
        TRY(eval_touch(w->ev, n));
        double first = w->values[low[i]], rise = rise_of(w->values + low[i], n, true);
        double to_start = zero_limit(x->to_start[i], x->sampled[i], first, rise);
        put_float(w, i, rise * factor_of(to_start, x->to_end[i], x->sampled[i], per));
    }
    return NULL;
}

/* Prometheus 3.5 sets no zero limit to histograms. */
static err rate_histograms(struct windowed *w, const struct window *x, bool counter, double per) {
    struct native *rise;
    TRY(histogram_rise(w, x, counter, &rise));
    if (!rise) return NULL;
    double to_start, to_end, sampled;
    stretch(w, x->i, x->histogram_times[0], x->histogram_times[x->histogram_n - 1], x->histogram_n, &to_start, &to_end,
            &sampled);
    native_multiply(rise, factor_of(to_start, to_end, sampled, per));
    return put_histogram(w, x->i, rise);
}

static err rate_each(struct windowed *w, bool counter, double per) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        if (x.n && x.histogram_n) {
            note_mixed_kinds(w->ev, w->range, windowed_name(w));
        } else if (x.histogram_n > 1) {
            TRY(rate_histograms(w, &x, counter, per));
        } else if (x.n > 1) {
            double to_start, to_end, sampled, rise = rise_of(x.values, x.n, counter);
            stretch(w, i, x.times[0], x.times[x.n - 1], x.n, &to_start, &to_end, &sampled);
            if (counter) to_start = zero_limit(to_start, sampled, x.values[0], rise);
            put_float(w, i, rise * factor_of(to_start, to_end, sampled, per));
        }
    }
    return NULL;
}

/* Names that end otherwise may be gauges, of which a rate says nothing. */
static void note_no_counter(struct windowed *w) {
    static const char *const endings[] = {"_total", "_sum", "_count", "_bucket"};
    struct str name = windowed_name(w);
    if (!name.n || !memchr(w->out->kinds, PROMQL_FLOAT, w->t->n)) return;
    if (w->ev->options->type_and_unit_labels) {
        struct str type = label_set_get(w->labels, STR("__type__"));
        if (str_equal(type, STR("counter")) || str_equal(type, STR("histogram"))) return;
        note(w->ev, NOTE_INFO, w->range,
             "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got \"" STR_FMT
             "\": \"" STR_FMT "\"",
             STR_ARG(type), STR_ARG(name));
        return;
    }
    for (size_t i = 0; i < LENGTH(endings); i++)
        if (str_ends_with(name, str_of(endings[i]))) return;
    note_name(w->ev, NOTE_INFO, w->range, name,
              "metric might not be a counter, name does not end in _total/_sum/_count/_bucket:");
}

static err rate_of(struct windowed *w, bool counter, bool per_second) {
    double per = per_second ? range_seconds(w) : 0;
    if (!w->histogram_windows)
        TRY(rate_planned(w, counter, per));
    else
        TRY(rate_each(w, counter, per));
    if (counter) note_no_counter(w);
    return NULL;
}

err range_rate(struct windowed *w) { return rate_of(w, true, true); }
err range_increase(struct windowed *w) { return rate_of(w, true, false); }
err range_delta(struct windowed *w) { return rate_of(w, false, false); }

/* ---- the last two samples ---------------------------------------------------------------------------------------- */

struct last_two {
    int64_t times[2];
    double values[2];
    const struct native *histograms[2]; /* NULL: a float */
    int n;
};

static void last_add(struct last_two *l, int64_t t, double v, const struct native *h) {
    int at = l->n < 2 ? l->n : 1;
    if (l->n == 2) {
        if (t < l->times[0]) return;
        if (t < l->times[1]) {
            at = 0;
        } else {
            l->times[0] = l->times[1], l->values[0] = l->values[1], l->histograms[0] = l->histograms[1];
        }
    } else if (l->n == 1 && t < l->times[0]) {
        l->times[1] = l->times[0], l->values[1] = l->values[0], l->histograms[1] = l->histograms[0];
        at = 0;
    }
    l->times[at] = t, l->values[at] = v, l->histograms[at] = h;
    if (l->n < 2) l->n++;
}

static err instant_histograms(struct windowed *w, size_t i, const struct last_two *l, bool rate, double seconds) {
    struct evaluator *ev = w->ev;
    struct native *h = native_copy(ev->a, l->histograms[1]);
    NEED(h);
    bool first_gauge = l->histograms[0]->reset == NATIVE_GAUGE, second_gauge = l->histograms[1]->reset == NATIVE_GAUGE;
    if (rate && (first_gauge || second_gauge))
        note_name(ev, NOTE_WARNING, w->range, windowed_name(w), "this native histogram metric is not a counter:");
    if (!rate && (!first_gauge || !second_gauge))
        note_name(ev, NOTE_WARNING, w->range, windowed_name(w), "this native histogram metric is not a gauge:");
    if (!rate || !native_was_reset(ev->a, l->histograms[1], l->histograms[0])) {
        enum native_added added = native_add(ev->a, h, l->histograms[0], -1);
        if (added == NATIVE_NO_MEMORY) return eval_no_memory(ev);
        if (added != NATIVE_ADDED) return note_mixed_histograms(ev, w->range, windowed_name(w), added), NULL;
    }
    h->reset = NATIVE_GAUGE;
    native_compact(h);
    if (rate) native_divide(h, seconds);
    return put_histogram(w, i, h);
}

static err instant_of(struct windowed *w, bool rate) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        struct last_two l = {.n = 0};
        for (size_t k = x.n > 2 ? x.n - 2 : 0; k < x.n; k++) last_add(&l, x.times[k], x.values[k], NULL);
        for (size_t k = x.histogram_n > 2 ? x.histogram_n - 2 : 0; k < x.histogram_n; k++)
            last_add(&l, x.histogram_times[k], 0, x.histograms[k]);
        if (l.n < 2 || l.times[0] == l.times[1]) continue;
        double seconds = (double)(l.times[1] - l.times[0]) / 1000;
        if (!l.histograms[0] != !l.histograms[1]) {
            note_mixed_kinds(w->ev, w->range, windowed_name(w));
        } else if (l.histograms[0]) {
            TRY(instant_histograms(w, i, &l, rate, seconds));
        } else {
            double v = rate && l.values[1] < l.values[0] ? l.values[1] : l.values[1] - l.values[0];
            put_float(w, i, rate ? v / seconds : v);
        }
    }
    return NULL;
}

err range_irate(struct windowed *w) { return instant_of(w, true); }
err range_idelta(struct windowed *w) { return instant_of(w, false); }

/* ---- lines through the samples ----------------------------------------------------------------------------------- */

/* Least squares; x in seconds from `origin`. */
static void regression(const struct window *x, int64_t origin, double *slope, double *intercept) {
    double sum_x = 0, sum_y = 0, sum_xy = 0, sum_xx = 0, cx = 0, cy = 0, cxy = 0, cxx = 0;
    bool constant = true;
    for (size_t k = 0; k < x->n; k++) {
        double at = (double)(x->times[k] - origin) / 1000, y = x->values[k];
        constant &= k == 0 || y == x->values[0];
        kahan_add(at, &sum_x, &cx);
        kahan_add(y, &sum_y, &cy);
        kahan_add(at * y, &sum_xy, &cxy);
        kahan_add(at * at, &sum_xx, &cxx);
    }
    if (constant) {
        *slope = isinf(x->values[0]) ? NAN : 0;
        *intercept = isinf(x->values[0]) ? NAN : x->values[0];
        return;
    }
    double n = (double)x->n;
    sum_x += cx, sum_y += cy, sum_xy += cxy, sum_xx += cxx;
    *slope = (sum_xy - sum_x * sum_y / n) / (sum_xx - sum_x * sum_x / n);
    *intercept = sum_y / n - *slope * sum_x / n;
}

/* Whether there are two floats; histograms beside any are told. */
static bool has_two(struct windowed *w, const struct window *x) {
    if (x->n && x->histogram_n) note_histograms_left_out(w->ev, w->range, windowed_name(w));
    return x->n >= 2;
}

err range_deriv(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        double slope, intercept;
        if (!has_two(w, &x)) continue;
        regression(&x, x.times[0], &slope, &intercept);
        put_float(w, i, slope);
    }
    return NULL;
}

err range_predict_linear(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        double slope, intercept;
        if (!has_two(w, &x)) continue;
        regression(&x, step_time(w->t, i), &slope, &intercept);
        put_float(w, i, slope * w->parameters[0][i] + intercept);
    }
    return NULL;
}

/* Double exponential smoothing (Holt's linear trend). */
err range_smooth(struct windowed *w) {
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        double smoothing = w->parameters[0][i], trend = w->parameters[1][i];
        if (smoothing <= 0 || smoothing >= 1)
            return err_new(ERR_INVALID, "invalid smoothing factor. Expected: 0 < sf < 1, got: %f", smoothing);
        if (trend <= 0 || trend >= 1)
            return err_new(ERR_INVALID, "invalid trend factor. Expected: 0 < tf < 1, got: %f", trend);
        if (!has_two(w, &x)) continue;
        double before = 0, level = x.values[0], slope = x.values[1] - x.values[0];
        for (size_t k = 1; k < x.n; k++) {
            if (k > 1) slope = trend * (level - before) + (1 - trend) * slope;
            double next = smoothing * x.values[k] + (1 - smoothing) * (level + slope);
            before = level;
            level = next;
        }
        put_float(w, i, level);
    }
    return NULL;
}
