/* Functions over range vectors: each computes all windows of one series. */
#pragma once

#include "query/promql/eval_priv.h"
#include "query/promql/number.h"

err range_rate(struct windowed *w);
err range_increase(struct windowed *w);
err range_delta(struct windowed *w);
err range_irate(struct windowed *w);
err range_idelta(struct windowed *w);
err range_deriv(struct windowed *w);
err range_predict_linear(struct windowed *w);
err range_smooth(struct windowed *w);
err range_sum(struct windowed *w);
err range_avg(struct windowed *w);
err range_count(struct windowed *w);
err range_min(struct windowed *w);
err range_max(struct windowed *w);
err range_ts_of_min(struct windowed *w);
err range_ts_of_max(struct windowed *w);
err range_ts_of_last(struct windowed *w);
err range_ts_of_first(struct windowed *w);
err range_first(struct windowed *w);
err range_last(struct windowed *w);
err range_present(struct windowed *w);
err range_stddev(struct windowed *w);
err range_stdvar(struct windowed *w);
err range_quantile(struct windowed *w);
err range_mad(struct windowed *w);
err range_changes(struct windowed *w);
err range_resets(struct windowed *w);

/* One window: its floats and its histograms. */
struct window {
    size_t i; /* the step */
    const double *values;
    const int64_t *times, *histogram_times;
    const struct native *const *histograms;
    size_t n, histogram_n;
};
static inline struct window window_at(const struct windowed *w, size_t i) {
    size_t low = w->windows->low[i], h = w->histogram_windows ? w->histogram_windows->low[i] : 0;
    return (struct window){.i = i,
                           .values = w->values + low,
                           .times = w->times + low,
                           .n = w->windows->high[i] - low,
                           .histograms = w->histograms + h,
                           .histogram_times = w->histogram_times + h,
                           .histogram_n = w->histogram_windows ? w->histogram_windows->high[i] - h : 0};
}
/* The same where all of its samples will be looked at. */
static inline err window_walk(const struct windowed *w, size_t i, struct window *out) {
    *out = window_at(w, i);
    return eval_touch(w->ev, 1 + out->n + HISTOGRAM_TOUCHES * (uint64_t)out->histogram_n);
}
static inline void put_float(struct windowed *w, size_t i, double v) {
    w->out->kinds[i] = PROMQL_FLOAT;
    w->out->values[i] = v;
}
err put_histogram(struct windowed *w, size_t i, const struct native *h);
static inline struct str windowed_name(const struct windowed *w) { return label_set_get(w->labels, METRIC_NAME); }

/* The histogram that rate() and its kin extrapolate; NULL in *out: there is none, and a note says why. */
err histogram_rise(struct windowed *w, const struct window *x, bool counter, struct native **out);
