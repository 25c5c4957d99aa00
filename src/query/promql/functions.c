#include <math.h>
#include <stdlib.h>

#include "query/promql/range_priv.h"
#include "query/promql/whole_priv.h"

/* ---- from value to value ----------------------------------------------------------------------------------------- */

static double to_degrees(double v) { return v * 180 / M_PI; }
static double to_radians(double v) { return v * M_PI / 180; }
static double sign_of(double v) { return v < 0 ? -1 : v > 0 ? 1 : v; }

static double native_count(const struct native *h) { return h->count; }
static double native_sum(const struct native *h) { return h->sum; }
static double native_average(const struct native *h) { return h->sum / h->count; }

/* Each bucket counts at its middle: arithmetic for custom buckets, geometric for exponential ones, 0 for the zero bucket. */
static double native_variance(const struct native *h) {
    double mean = h->sum / h->count, variance = 0, c = 0;
    struct native_walk w = native_walk(h, false);
    for (struct native_bucket b; native_next(&w, &b);) {
        double middle = native_is_custom(h)            ? (b.upper + b.lower) / 2
                        : b.lower <= 0 && b.upper >= 0 ? 0
                                                       : sqrt(b.upper * b.lower);
        if (!native_is_custom(h) && b.upper < 0) middle = -middle;
        kahan_add(b.count * (middle - mean) * (middle - mean), &variance, &c);
    }
    return (variance + c) / h->count;
}
static double native_deviation(const struct native *h) { return sqrt(native_variance(h)); }

/* ---- dates, in UTC ----------------------------------------------------------------------------------------------- */

struct date {
    int64_t year, day_of_year; /* from 1 */
    int month, day;
};

static int64_t floor_divide(int64_t v, int64_t by) { return v / by - (v % by < 0); }

static bool is_leap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

static int days_of_month(int64_t year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days since 1970 in the proleptic Gregorian calendar: 400 years are 146,097 days. */
static struct date date_of(int64_t seconds) {
    int64_t days = floor_divide(seconds, 86400), eras = floor_divide(days, 146097), rest = days - eras * 146097;
    struct date d = {.year = 1970 + eras * 400};
    while (rest >= 365 + is_leap(d.year)) rest -= 365 + is_leap(d.year++);
    d.day_of_year = rest + 1;
    for (d.month = 1; rest >= days_of_month(d.year, d.month); d.month++) rest -= days_of_month(d.year, d.month);
    d.day = (int)rest + 1;
    return d;
}

static double date_year(int64_t s) { return (double)date_of(s).year; }
static double date_month(int64_t s) { return date_of(s).month; }
static double date_day(int64_t s) { return date_of(s).day; }
static double date_day_of_year(int64_t s) { return (double)date_of(s).day_of_year; }
static double date_day_of_week(int64_t s) {
    int64_t days = floor_divide(s, 86400);
    return (double)(days + 4 - floor_divide(days + 4, 7) * 7); /* 1970 began on a Thursday */
}
static double date_days_in_month(int64_t s) {
    struct date d = date_of(s);
    return days_of_month(d.year, d.month);
}
static int64_t seconds_within(int64_t s, int64_t unit) { return s % unit + (s % unit < 0 ? unit : 0); }
static double date_hour(int64_t s) { return (double)(seconds_within(s, 86400) / 3600); }
static double date_minute(int64_t s) { return (double)(seconds_within(s, 3600) / 60); }

/* ---- scalars and vectors ----------------------------------------------------------------------------------------- */

static err scalar_alloc(struct evaluator *ev, const struct timeline *t, struct table *out) {
    NEED(out->scalar = arena_alloc(ev->a, sizeof *out->scalar * MAX(t->n, 1)));
    return NULL;
}

static err whole_time(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    (void)e;
    TRY(scalar_alloc(ev, t, out));
    for (size_t i = 0; i < t->n; i++) out->scalar[i] = (double)step_time(t, i) / 1000;
    return NULL;
}

static err whole_pi(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    (void)e;
    TRY(scalar_alloc(ev, t, out));
    for (size_t i = 0; i < t->n; i++) out->scalar[i] = M_PI;
    return NULL;
}

/* NaN unless there is exactly one float. */
static err whole_scalar(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                        struct table *out) {
    struct table in;
    TRY(eval(ev, t, e->args[0], &in));
    TRY(scalar_alloc(ev, t, out));
    for (size_t i = 0; i < t->n; i++) {
        size_t found = 0;
        out->scalar[i] = NAN;
        for (size_t r = 0; r < in.n && found < 2; r++) {
            if (in.rows[r].kinds[i] != PROMQL_FLOAT) continue;
            out->scalar[i] = found++ ? NAN : in.rows[r].values[i];
        }
    }
    return NULL;
}

static err whole_vector(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                        struct table *out) {
    struct row row = {0};
    double *values;
    TRY(eval_scalar(ev, t, e->args[0], &values));
    TRY(row_prepare(ev, &row, t->n));
    memset(row.kinds, PROMQL_FLOAT, t->n);
    memcpy(row.values, values, sizeof *values * t->n);
    return table_push(ev, out, &row);
}

/* The time of the sample itself where there is one, else the step's. */
static err whole_timestamp(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                           struct table *out) {
    const struct promql_node *inner = strip_parens(e->args[0]);
    if (inner->kind == NODE_VECTOR) {
        struct keep_sink sink = keep_sink(ev, out, t->n);
        TRY(selector_each(ev, t, inner, true, &sink.sink));
    } else {
        TRY(eval(ev, t, inner, out));
        for (size_t r = 0; r < out->n; r++) {
            TRY(eval_touch(ev, t->n));
            for (size_t i = 0; i < t->n; i++) {
                if (out->rows[r].kinds[i] == PROMQL_ABSENT) continue;
                out->rows[r].kinds[i] = PROMQL_FLOAT;
                out->rows[r].values[i] = (double)step_time(t, i) / 1000;
            }
        }
    }
    for (size_t r = 0; r < out->n; r++) TRY(row_drop_name(ev, &out->rows[r]));
    return ev->options->delayed_name_removal ? NULL : table_merge(ev, out, t->n);
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

typedef double (*limit_fn)(double v, double low, double high);
static double limit(double v, double low, double high) {
    if (isnan(v) || isnan(low) || isnan(high)) return NAN;
    return fmax(low, fmin(high, v));
}
static double round_to(double v, double nearest, double unused) {
    (void)unused;
    double inverse = 1 / nearest;
    return floor(v * inverse + 0.5) / inverse;
}

/* The floats of the first argument with two scalars; a cell where high < low is absent. */
static err with_scalars(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, const double *low,
                        const double *high, limit_fn fn, struct table *out) {
    size_t n = 0;
    TRY(eval(ev, t, e->args[0], out));
    for (size_t r = 0; r < out->n; r++) {
        struct row row = out->rows[r];
        TRY(eval_touch(ev, ROW_TOUCHES + t->n));
        for (size_t i = 0; i < t->n; i++) {
            double x = low ? low[i] : -INFINITY, y = high ? high[i] : INFINITY;
            if (row.kinds[i] != PROMQL_FLOAT || (fn == limit && y < x))
                row.kinds[i] = PROMQL_ABSENT;
            else
                row.values[i] = fn(row.values[i], x, y);
        }
        if (row_is_empty(&row, t->n)) continue;
        TRY(row_drop_name(ev, &row));
        out->rows[n++] = row;
    }
    out->n = n;
    return ev->options->delayed_name_removal ? NULL : table_merge(ev, out, t->n);
}

static err whole_clamp(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    double *low = NULL, *high = NULL;
    bool both = e->arg_n == 3, max = strcmp(e->function->name, "clamp_max") == 0;
    if (!max) TRY(eval_scalar(ev, t, e->args[1], &low));
    if (max || both) TRY(eval_scalar(ev, t, e->args[both ? 2 : 1], &high));
    return with_scalars(ev, t, e, low, high, limit, out);
}

static err whole_round(struct evaluator *ev, const struct timeline *t, const struct promql_node *e, struct table *out) {
    double *nearest = NULL;
    if (e->arg_n > 1) {
        TRY(eval_scalar(ev, t, e->args[1], &nearest));
    } else {
        NEED(nearest = arena_alloc(ev->a, sizeof *nearest * MAX(t->n, 1)));
        for (size_t i = 0; i < t->n; i++) nearest[i] = 1;
    }
    return with_scalars(ev, t, e, nearest, NULL, round_to, out);
}

/* ---- absence ----------------------------------------------------------------------------------------------------- */

/* What a selector says for sure about the series it did not find. */
static err absent_labels(struct evaluator *ev, const struct promql_node *e, struct labels *out) {
    if (e->kind == NODE_MATRIX) e = e->args[0];
    *out = (struct labels){0};
    if (e->kind != NODE_VECTOR) return NULL;
    for (uint32_t i = 0; i < e->matcher_n; i++) {
        const struct promql_matcher *m = &e->matchers[i];
        bool sure = m->op == MATCHER_EQUAL, before = false;
        if (str_equal(m->name, METRIC_NAME)) continue;
        for (uint32_t k = 0; k < i; k++)
            before |= str_equal(e->matchers[k].name, m->name) && e->matchers[k].op == MATCHER_EQUAL;
        *out = labels_set(ev->a, *out, m->name, sure && !before ? m->value : (struct str){"", 0});
        NEED(out->v);
    }
    return NULL;
}

static err absent_row(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                      const uint8_t *present, struct table *out) {
    struct row row = {0};
    TRY(row_prepare(ev, &row, t->n));
    TRY(absent_labels(ev, strip_parens(e->args[0]), &row.labels));
    for (size_t i = 0; i < t->n; i++) {
        row.kinds[i] = present[i] ? PROMQL_ABSENT : PROMQL_FLOAT;
        row.values[i] = 1;
    }
    return row_is_empty(&row, t->n) ? NULL : table_push(ev, out, &row);
}

struct presence_sink {
    struct sink sink;
    uint8_t *present;
    size_t steps;
};

static err presence_take(struct sink *s, struct row *row) {
    struct presence_sink *sink = (struct presence_sink *)s;
    for (size_t i = 0; i < sink->steps; i++) sink->present[i] |= row->kinds[i];
    return NULL;
}

static err whole_absent(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                        struct table *out) {
    struct presence_sink sink = {.sink = {presence_take}, .steps = t->n};
    NEED(sink.present = arena_zero(ev->a, MAX(t->n, 1)));
    TRY(eval_each(ev, t, e->args[0], &sink.sink));
    return absent_row(ev, t, e, sink.present, out);
}

struct presence_visit {
    struct windowed w;
    struct row row;
    uint8_t *present;
};

static err presence_visit(struct windowed *w, void *context) {
    struct presence_visit *v = context;
    for (size_t i = 0; i < w->t->n; i++) {
        struct window x;
        TRY(window_walk(w, i, &x));
        v->present[i] |= x.n || x.histogram_n;
    }
    return NULL;
}

static err whole_absent_over_time(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                                  struct table *out) {
    struct presence_visit v = {.w = {.ev = ev, .t = t, .call = e, .range = strip_parens(e->args[0])}};
    v.w.out = &v.row;
    NEED(v.present = arena_zero(ev->a, MAX(t->n, 1)));
    TRY(series_each(ev, t, v.w.range, STR("absent_over_time"), presence_visit, &v));
    return absent_row(ev, t, e, v.present, out);
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

#define RANGE(fn) .gives = PROMQL_VECTOR, .range = (fn)
#define MATH(fn) .takes = "v", .gives = PROMQL_VECTOR, .math = (fn)
#define DATE(fn) .takes = "?v", .gives = PROMQL_VECTOR, .date = (fn), .step_bound = true
#define NATIVE(fn) .takes = "v", .gives = PROMQL_VECTOR, .native = (fn)
#define WHOLE(fn) .gives = PROMQL_VECTOR, .whole = (fn)

const struct function_row function_rows[] = {
    {"abs", MATH(fabs)},
    {"absent", "v", WHOLE(whole_absent)},
    {"absent_over_time", "m", WHOLE(whole_absent_over_time)},
    {"acos", MATH(acos)},
    {"acosh", MATH(acosh)},
    {"asin", MATH(asin)},
    {"asinh", MATH(asinh)},
    {"atan", MATH(atan)},
    {"atanh", MATH(atanh)},
    {"avg_over_time", "m", RANGE(range_avg)},
    {"ceil", MATH(ceil)},
    {"changes", "m", RANGE(range_changes)},
    {"clamp", "vss", WHOLE(whole_clamp)},
    {"clamp_max", "vs", WHOLE(whole_clamp)},
    {"clamp_min", "vs", WHOLE(whole_clamp)},
    {"cos", MATH(cos)},
    {"cosh", MATH(cosh)},
    {"count_over_time", "m", RANGE(range_count)},
    {"day_of_month", DATE(date_day)},
    {"day_of_week", DATE(date_day_of_week)},
    {"day_of_year", DATE(date_day_of_year)},
    {"days_in_month", DATE(date_days_in_month)},
    {"deg", MATH(to_degrees)},
    {"delta", "m", RANGE(range_delta)},
    {"deriv", "m", RANGE(range_deriv)},
    {"double_exponential_smoothing", "mss", RANGE(range_smooth), .experimental = true},
    {"exp", MATH(exp)},
    {"first_over_time", "m", RANGE(range_first), .experimental = true, .keeps_name = true},
    {"floor", MATH(floor)},
    {"histogram_avg", NATIVE(native_average)},
    {"histogram_count", NATIVE(native_count)},
    {"histogram_fraction", "ssv", WHOLE(whole_histogram_fraction)},
    {"histogram_quantile", "sv", WHOLE(whole_histogram_quantile)},
    {"histogram_stddev", NATIVE(native_deviation)},
    {"histogram_stdvar", NATIVE(native_variance)},
    {"histogram_sum", NATIVE(native_sum)},
    {"hour", DATE(date_hour)},
    {"idelta", "m", RANGE(range_idelta)},
    {"increase", "m", RANGE(range_increase)},
    {"info", "v?v", WHOLE(whole_info), .experimental = true},
    {"irate", "m", RANGE(range_irate)},
    {"label_join", "vtt*t", WHOLE(whole_label_join)},
    {"label_replace", "vtttt", WHOLE(whole_label_replace)},
    {"last_over_time", "m", RANGE(range_last), .keeps_name = true},
    {"ln", MATH(log)},
    {"log10", MATH(log10)},
    {"log2", MATH(log2)},
    {"mad_over_time", "m", RANGE(range_mad), .experimental = true},
    {"max_over_time", "m", RANGE(range_max)},
    {"min_over_time", "m", RANGE(range_min)},
    {"minute", DATE(date_minute)},
    {"month", DATE(date_month)},
    {"pi", "", PROMQL_SCALAR, .whole = whole_pi},
    {"predict_linear", "ms", RANGE(range_predict_linear), .step_bound = true},
    {"present_over_time", "m", RANGE(range_present)},
    {"quantile_over_time", "sm", RANGE(range_quantile)},
    {"rad", MATH(to_radians)},
    {"rate", "m", RANGE(range_rate)},
    {"resets", "m", RANGE(range_resets)},
    {"round", "v?s", WHOLE(whole_round)},
    {"scalar", "v", PROMQL_SCALAR, .whole = whole_scalar},
    {"sgn", MATH(sign_of)},
    {"sin", MATH(sin)},
    {"sinh", MATH(sinh)},
    {"sort", "v", WHOLE(whole_sort)},
    {"sort_by_label", "v*t", WHOLE(whole_sort_by_label), .experimental = true},
    {"sort_by_label_desc", "v*t", WHOLE(whole_sort_by_label), .experimental = true},
    {"sort_desc", "v", WHOLE(whole_sort)},
    {"sqrt", MATH(sqrt)},
    {"stddev_over_time", "m", RANGE(range_stddev)},
    {"stdvar_over_time", "m", RANGE(range_stdvar)},
    {"sum_over_time", "m", RANGE(range_sum)},
    {"tan", MATH(tan)},
    {"tanh", MATH(tanh)},
    {"time", "", PROMQL_SCALAR, .whole = whole_time, .step_bound = true},
    {"timestamp", "v", WHOLE(whole_timestamp), .step_bound = true},
    {"ts_of_first_over_time", "m", RANGE(range_ts_of_first), .experimental = true},
    {"ts_of_last_over_time", "m", RANGE(range_ts_of_last), .experimental = true},
    {"ts_of_max_over_time", "m", RANGE(range_ts_of_max), .experimental = true},
    {"ts_of_min_over_time", "m", RANGE(range_ts_of_min), .experimental = true},
    {"vector", "s", WHOLE(whole_vector)},
    {"year", DATE(date_year)},
};
const size_t function_row_n = LENGTH(function_rows);

const struct function_row *function_find(struct str name) {
    for (size_t i = 0; i < function_row_n; i++)
        if (str_equal(name, str_of(function_rows[i].name))) return &function_rows[i];
    return NULL;
}
