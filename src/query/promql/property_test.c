/* Random expressions over random series: the evaluator, which works on whole rows, against one that takes one step at a time with
 * textbook loops, an instant query over a range's steps, and text that is printed and parsed again. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "query/promql/functions_priv.h"
#include "query/promql/memory_test_priv.h"

static uint64_t random_state;
static uint32_t chance(uint32_t n) {
    random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 33) % n;
}
#define ONE_OF(list) list[chance(LENGTH(list))]

/* ---- random expressions ------------------------------------------------------------------------------------------ */

static void put_vector(struct buf *b, int depth);

static void put_selector(struct buf *b) {
    static const char *const names[] = {
        "a", "b", "c_total", "{__name__=~\"a|b\"}", "a{job=\"x\"}", "b{job!=\"y\"}", "c_total{zone=~\"[pq]\"}", "none"};
    buf_add_text(b, ONE_OF(names));
}

static void put_shift(struct buf *b) {
    static const char *const shifts[] = {" offset 37s", " offset -45s", " @ 200", " @ end()", " @ start() offset 10s"};
    if (chance(6) == 0) buf_add_text(b, ONE_OF(shifts));
}

static void put_range(struct buf *b, int depth) {
    static const char *const ranges[] = {"[1m]", "[90s]", "[5m]", "[17s]"}, *const subqueries[] = {"[2m:30s]", "[5m:]",
                                                                                                   "[100s:7s]"};
    if (depth > 1 && chance(4) == 0) {
        buf_add_byte(b, '(');
        put_vector(b, depth - 2);
        buf_add_byte(b, ')');
        buf_add_text(b, ONE_OF(subqueries));
    } else {
        put_selector(b);
        buf_add_text(b, ONE_OF(ranges));
    }
    put_shift(b);
}

static void put_scalar(struct buf *b, int depth) {
    static const char *const numbers[] = {"0", "1", "2.5", "-3", "NaN", "Inf", "time()", "0.5", "1e3"};
    if (depth > 0 && chance(3) == 0) {
        buf_add_text(b, "scalar(");
        put_vector(b, depth - 1);
        buf_add_byte(b, ')');
    } else {
        buf_add_text(b, ONE_OF(numbers));
    }
}

static void put_call(struct buf *b, int depth) {
    static const char *const over[] = {"rate",
                                       "increase",
                                       "delta",
                                       "irate",
                                       "idelta",
                                       "sum_over_time",
                                       "avg_over_time",
                                       "min_over_time",
                                       "max_over_time",
                                       "count_over_time",
                                       "last_over_time",
                                       "changes",
                                       "resets",
                                       "stddev_over_time",
                                       "present_over_time",
                                       "deriv"};
    static const char *const of[] = {"abs", "ceil", "floor", "sgn", "timestamp", "sqrt", "round"};
    if (chance(2)) {
        buf_add_fmt(b, "%s(", ONE_OF(over));
        put_range(b, depth);
    } else if (chance(4) == 0) {
        buf_add_text(b, "absent(");
        put_vector(b, depth - 1);
    } else {
        buf_add_fmt(b, "%s(", ONE_OF(of));
        put_vector(b, depth - 1);
    }
    buf_add_byte(b, ')');
}

static void put_aggregate(struct buf *b, int depth) {
    static const char *const ops[] = {"sum",    "avg",    "min",  "max",     "count",   "group",
                                      "stddev", "stdvar", "topk", "bottomk", "quantile"};
    static const char *const groupings[] = {
        "", " by (job)", " by (job, zone)", " without (zone)", " without ()", " by (__name__)"};
    const char *op = ONE_OF(ops);
    bool parameter = strcmp(op, "topk") == 0 || strcmp(op, "bottomk") == 0 || strcmp(op, "quantile") == 0;
    buf_add_fmt(b, "%s%s(", op, ONE_OF(groupings));
    static const char *const keeps[] = {"2, ", "1, ", "0, ", "5, ", "64, ", "65, ", "(time() % 7 - 1), ", "-1, "};
    if (parameter) buf_add_text(b, strcmp(op, "quantile") == 0 ? "0.3, " : ONE_OF(keeps));
    put_vector(b, depth - 1);
    buf_add_byte(b, ')');
}

static void put_binary(struct buf *b, int depth) {
    static const char *const ops[] = {"+", "-",  "*", "/",  "%",       "^",      "atan2", "==", "!=",
                                      "<", "<=", ">", ">=", "== bool", "< bool", "and",   "or", "unless"};
    static const char *const matchings[] = {"",
                                            "",
                                            " on (job)",
                                            " on (job, zone)",
                                            " ignoring (zone)",
                                            " on (job) group_left",
                                            " on (zone, job) group_right",
                                            " on (job) group_left (zone)"};
    const char *op = ONE_OF(ops);
    bool set = strcmp(op, "and") == 0 || strcmp(op, "or") == 0 || strcmp(op, "unless") == 0;
    buf_add_byte(b, '(');
    uint32_t shape = set ? 0 : chance(4);
    if (shape == 1)
        put_scalar(b, depth - 1);
    else
        put_vector(b, depth - 1);
    const char *matching = shape == 0 || shape == 3 ? ONE_OF(matchings) : "";
    if (set && strstr(matching, "group")) matching = " on (job)";
    buf_add_fmt(b, ") %s%s (", op, matching);
    if (shape == 2)
        put_scalar(b, depth - 1);
    else
        put_vector(b, depth - 1);
    buf_add_byte(b, ')');
}

static void put_vector(struct buf *b, int depth) {
    uint32_t kind = depth <= 0 ? 0 : chance(8);
    if (kind <= 1)
        put_selector(b), put_shift(b);
    else if (kind <= 3)
        put_call(b, depth);
    else if (kind <= 5)
        put_aggregate(b, depth);
    else if (kind == 6)
        put_binary(b, depth);
    else
        buf_add_text(b, "-("), put_vector(b, depth - 1), buf_add_byte(b, ')');
}

/* ---- random series ----------------------------------------------------------------------------------------------- */

static void random_world(struct memory *m) {
    static const char *const names[] = {"a", "b", "c_total"}, *const jobs[] = {"x", "y", "z"},
                             *const zones[] = {"p", "q", ""};
    memory_init(m);
    for (int i = 0; i < 14; i++) {
        struct label labels[] = {{STR("__name__"), str_of(ONE_OF(names))},
                                 {STR("job"), str_of(ONE_OF(jobs))},
                                 {STR("zone"), str_of(ONE_OF(zones))}};
        struct memory_series *s = memory_series(m, labels, 3);
        if (s->times.n) continue;
        int64_t step = chance(3) ? 15000 : 10000, jitter = chance(3) == 0;
        double at = chance(10);
        for (int64_t t = -300000; t < 600000; t += step) {
            double stale, v = at += chance(4);
            uint64_t bits = PROMQL_STALE;
            memcpy(&stale, &bits, sizeof stale);
            if (chance(25) == 0) at = 0;
            if (chance(40) == 0) v = chance(2) ? NAN : INFINITY;
            if (chance(30) == 0) t += 60000;
            memory_add(s, t + (jitter ? chance(4000) : 0), chance(30) == 0 ? stale : v);
        }
    }
    memory_seal(m);
}

/* ---- one step at a time ------------------------------------------------------------------------------------------ */

struct sample {
    struct labels labels;
    double v;
};
struct instant {
    bool is_scalar;
    double scalar;
    VEC(struct sample) v;
};
struct naive {
    struct arena *a;
    struct memory *m;
    int64_t start, end;
    bool failed; /* more than one series where one may be */
};

static struct instant naive_eval(struct naive *n, const struct promql_node *e, int64_t t);

static int64_t naive_at(const struct naive *n, const struct promql_node *e, int64_t t) {
    return (e->at == AT_TIME ? e->at_ms : e->at == AT_START ? n->start : e->at == AT_END ? n->end : t) - e->offset_ms;
}

static struct labels keep_labels(struct naive *n, struct labels from, const struct names *names, bool keep,
                                 bool name_too) {
    struct label *v = arena_array(n->a, struct label, from.n + 1);
    uint32_t count = 0;
    for (uint32_t i = 0; i < from.n; i++) {
        bool listed = false;
        for (uint32_t k = 0; k < names->n; k++) listed |= str_equal(names->v[k], from.v[i].name);
        bool is_name = str_equal(from.v[i].name, STR("__name__"));
        if (listed == keep && !(is_name && name_too)) v[count++] = from.v[i];
    }
    return (struct labels){v, count};
}

static struct labels nameless(struct naive *n, struct labels from) {
    return keep_labels(n, from, &(struct names){0}, false, true);
}

static bool naive_selects(struct naive *n, const struct promql_node *e, struct labels labels) {
    bool yes = true;
    for (uint32_t i = 0; i < e->matcher_n; i++) {
        struct label_matcher *m;
        assert_null(promql_matchers_make(n->a, &e->matchers[i], 1, &m));
        yes &= label_matcher_matches(m, label_set_get(labels, e->matchers[i].name));
        label_matcher_done(m);
    }
    return yes;
}

static struct instant naive_selector(struct naive *n, const struct promql_node *e, int64_t t, bool times) {
    struct instant out = {.is_scalar = false};
    int64_t at = naive_at(n, e, t);
    for (size_t i = 0; i < n->m->series.n; i++) {
        const struct memory_series *s = &n->m->series.v[i];
        size_t last = s->times.n;
        while (last > 0 && s->times.v[last - 1] > at) last--;
        if (!naive_selects(n, e, s->labels) || last == 0 || s->times.v[last - 1] <= at - 300000 ||
            promql_is_stale(s->values.v[last - 1]))
            continue;
        *vec_push(&out.v) =
            (struct sample){s->labels, times ? (double)s->times.v[last - 1] / 1000 : s->values.v[last - 1]};
    }
    return out;
}

struct points {
    struct labels labels;
    VEC(int64_t) times;
    VEC(double) values;
};
struct naive_range {
    VEC(struct points) v;
};

static void range_add(struct naive_range *r, struct labels labels, int64_t t, double v) {
    size_t i = 0;
    while (i < r->v.n && promql_labels_compare(r->v.v[i].labels, labels) != 0) i++;
    if (i == r->v.n) *vec_push(&r->v) = (struct points){.labels = labels};
    *vec_push(&r->v.v[i].times) = t;
    *vec_push(&r->v.v[i].values) = v;
}

static struct naive_range naive_window(struct naive *n, const struct promql_node *e, int64_t t) {
    struct naive_range out = {.v = {0}};
    int64_t end = naive_at(n, e, t), start = end - e->range_ms;
    if (e->kind == NODE_MATRIX) {
        for (size_t i = 0; i < n->m->series.n; i++) {
            const struct memory_series *s = &n->m->series.v[i];
            if (!naive_selects(n, e->args[0], s->labels)) continue;
            for (size_t k = 0; k < s->times.n; k++)
                if (s->times.v[k] > start && s->times.v[k] <= end && !promql_is_stale(s->values.v[k]))
                    range_add(&out, s->labels, s->times.v[k], s->values.v[k]);
        }
        return out;
    }
    int64_t step = e->step_ms ? e->step_ms : 60000, at = (int64_t)floor((double)start / (double)step) * step;
    for (; at <= end; at += step) {
        if (at <= start) continue;
        struct instant in = naive_eval(n, e->args[0], at);
        for (size_t i = 0; i < in.v.n; i++) range_add(&out, in.v.v[i].labels, at, in.v.v[i].v);
        vec_done(&in.v);
    }
    return out;
}

static double naive_rate(const struct points *p, int64_t start, int64_t end, bool counter, bool per_second) {
    size_t n = p->times.n;
    double rise = p->values.v[n - 1] - p->values.v[0];
    for (size_t i = 1; counter && i < n; i++)
        if (p->values.v[i] < p->values.v[i - 1]) rise += p->values.v[i - 1];
    double first = (double)(p->times.v[0] - start) / 1000, last = (double)(end - p->times.v[n - 1]) / 1000;
    double sampled = (double)(p->times.v[n - 1] - p->times.v[0]) / 1000, mean = sampled / (double)(n - 1);
    if (first >= mean * 1.1) first = mean / 2;
    if (last >= mean * 1.1) last = mean / 2;
    if (counter && rise > 0 && p->values.v[0] >= 0) {
        double zero = sampled * (p->values.v[0] / rise);
        if (zero < first) first = zero;
    }
    double out = rise * ((sampled + first + last) / sampled);
    return per_second ? out / ((double)(end - start) / 1000) : out;
}

static bool naive_over(const char *f, const struct points *p, int64_t start, int64_t end, double *out) {
    size_t n = p->times.n;
    const double *v = p->values.v;
    double sum = 0, low = v[0], high = v[0], changes = 0, resets = 0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
        if (v[i] < low || isnan(low)) low = v[i];
        if (v[i] > high || isnan(high)) high = v[i];
        changes += i && v[i] != v[i - 1] && !(isnan(v[i]) && isnan(v[i - 1]));
        resets += i && v[i] < v[i - 1];
    }
    double mean = sum / (double)n, square = 0, xy = 0, xx = 0, x_mean = 0;
    bool constant = true;
    for (size_t i = 0; i < n; i++)
        square += (v[i] - mean) * (v[i] - mean), x_mean += (double)(p->times.v[i] - p->times.v[0]) / 1000 / (double)n,
            constant &= v[i] == v[0];
    for (size_t i = 0; i < n; i++) {
        double x = (double)(p->times.v[i] - p->times.v[0]) / 1000 - x_mean;
        xy += x * (v[i] - mean), xx += x * x;
    }
    bool two = n > 1;
    double span = two ? (double)(p->times.v[n - 1] - p->times.v[n - 2]) / 1000 : 0,
           step = two ? v[n - 1] - v[n - 2] : 0;
    if (strcmp(f, "rate") == 0) return two && (*out = naive_rate(p, start, end, true, true), true);
    if (strcmp(f, "increase") == 0) return two && (*out = naive_rate(p, start, end, true, false), true);
    if (strcmp(f, "delta") == 0) return two && (*out = naive_rate(p, start, end, false, false), true);
    if (strcmp(f, "irate") == 0) return two && (*out = (step < 0 ? v[n - 1] : step) / span, true);
    if (strcmp(f, "idelta") == 0) return two && (*out = step, true);
    if (strcmp(f, "deriv") == 0) return two && (*out = constant ? (isinf(v[0]) ? NAN : 0) : xy / xx, true);
    *out = strcmp(f, "sum_over_time") == 0      ? sum
           : strcmp(f, "avg_over_time") == 0    ? mean
           : strcmp(f, "min_over_time") == 0    ? low
           : strcmp(f, "max_over_time") == 0    ? high
           : strcmp(f, "count_over_time") == 0  ? (double)n
           : strcmp(f, "last_over_time") == 0   ? v[n - 1]
           : strcmp(f, "changes") == 0          ? changes
           : strcmp(f, "resets") == 0           ? resets
           : strcmp(f, "stddev_over_time") == 0 ? sqrt(square / (double)n)
                                                : 1;
    return true;
}

static struct instant naive_range_call(struct naive *n, const struct promql_node *e, int64_t t) {
    struct instant out = {.is_scalar = false};
    const struct promql_node *range = e->args[0];
    struct naive_range in = naive_window(n, range, t);
    int64_t end = naive_at(n, range, t);
    for (size_t i = 0; i < in.v.n; i++) {
        double v = 0;
        if (naive_over(e->function->name, &in.v.v[i], end - range->range_ms, end, &v))
            *vec_push(&out.v) =
                (struct sample){e->function->keeps_name ? in.v.v[i].labels : nameless(n, in.v.v[i].labels), v};
        vec_done(&in.v.v[i].times);
        vec_done(&in.v.v[i].values);
    }
    vec_done(&in.v);
    return out;
}

static struct labels naive_absent_labels(struct naive *n, const struct promql_node *e) {
    struct label *v = arena_array(n->a, struct label, 4);
    uint32_t count = 0;
    for (uint32_t i = 0; e->kind == NODE_VECTOR && i < e->matcher_n; i++)
        if (e->matchers[i].op == MATCHER_EQUAL && !str_equal(e->matchers[i].name, STR("__name__")))
            v[count++] = (struct label){e->matchers[i].name, e->matchers[i].value};
    return (struct labels){v, count};
}

static const struct promql_node *bare(const struct promql_node *e) {
    while (e->kind == NODE_PAREN) e = e->args[0];
    return e;
}

static struct instant naive_call(struct naive *n, const struct promql_node *e, int64_t t) {
    struct instant out = {.is_scalar = false};
    const char *f = e->function->name;
    if (strcmp(f, "time") == 0) return (struct instant){.is_scalar = true, .scalar = (double)t / 1000};
    if (e->function->range) return naive_range_call(n, e, t);
    bool stamp = strcmp(f, "timestamp") == 0, own = stamp && bare(e->args[0])->kind == NODE_VECTOR;
    struct instant in = own ? naive_selector(n, bare(e->args[0]), t, true) : naive_eval(n, e->args[0], t);
    if (strcmp(f, "scalar") == 0) {
        out = (struct instant){.is_scalar = true, .scalar = in.v.n == 1 ? in.v.v[0].v : NAN};
    } else if (strcmp(f, "absent") == 0) {
        if (!in.v.n) *vec_push(&out.v) = (struct sample){naive_absent_labels(n, bare(e->args[0])), 1};
    } else {
        for (size_t i = 0; i < in.v.n; i++) {
            double v = in.v.v[i].v;
            v = own ? v : stamp ? (double)t / 1000 : e->function->math ? e->function->math(v) : floor(v + 0.5);
            *vec_push(&out.v) = (struct sample){nameless(n, in.v.v[i].labels), v};
        }
    }
    vec_done(&in.v);
    return out;
}

static int order_of_numbers(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    if (isnan(a) || isnan(b)) return isnan(b) - isnan(a);
    return a < b ? -1 : a > b;
}

static double naive_fold(enum aggregation op, double *v, size_t n) {
    double sum = 0, low = v[0], high = v[0], mean, square = 0;
    for (size_t i = 0; i < n; i++) {
        sum += v[i];
        if (v[i] < low || isnan(low)) low = v[i];
        if (v[i] > high || isnan(high)) high = v[i];
    }
    mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) square += (v[i] - mean) * (v[i] - mean);
    if (op == AGG_SUM) return sum;
    if (op == AGG_AVG) return mean;
    if (op == AGG_COUNT) return (double)n;
    if (op == AGG_MIN) return low;
    if (op == AGG_MAX) return high;
    if (op == AGG_GROUP) return 1;
    if (op == AGG_STDVAR) return square / (double)n;
    if (op == AGG_STDDEV) return sqrt(square / (double)n);
    qsort(v, n, sizeof *v, order_of_numbers);
    double rank = 0.3 * (double)(n - 1), weight = rank - floor(rank);
    size_t at = (size_t)rank;
    return v[at] * (1 - weight) + v[MIN(at + 1, n - 1)] * weight;
}

/* Whether fewer than k others are better; of equals those whose labels come first. */
static bool naive_is_chosen(const struct instant *in, const struct labels *groups, size_t i, double sign, double k) {
    size_t better = 0;
    for (size_t o = 0; o < in->v.n; o++) {
        double x = in->v.v[o].v, y = in->v.v[i].v;
        if (o == i || promql_labels_compare(groups[o], groups[i]) != 0) continue;
        bool equal = x == y || (isnan(x) && isnan(y));
        better += equal ? promql_labels_compare(in->v.v[o].labels, in->v.v[i].labels) < 0
                        : isnan(y) || (!isnan(x) && sign * x > sign * y);
    }
    return k >= 1 && (double)better < trunc(k);
}

static struct instant naive_aggregate(struct naive *n, const struct promql_node *e, int64_t t) {
    struct instant out = {.is_scalar = false}, in = naive_eval(n, e->args[0], t);
    struct labels *groups = arena_array(n->a, struct labels, in.v.n + 1);
    double *values = arena_array(n->a, double, in.v.n + 1);
    bool picks = e->aggregation == AGG_TOPK || e->aggregation == AGG_BOTTOMK;
    double kept = picks ? naive_eval(n, e->args[1], t).scalar : 0;
    for (size_t i = 0; i < in.v.n; i++)
        groups[i] = keep_labels(n, in.v.v[i].labels, &e->labels, !e->without, e->without);
    for (size_t i = 0; i < in.v.n; i++) {
        bool first = true;
        size_t count = 0;
        for (size_t k = 0; k < in.v.n; k++) {
            if (promql_labels_compare(groups[k], groups[i]) != 0) continue;
            first &= k >= i;
            values[count++] = in.v.v[k].v;
        }
        if (picks) {
            if (naive_is_chosen(&in, groups, i, e->aggregation == AGG_TOPK ? 1 : -1, kept))
                *vec_push(&out.v) = in.v.v[i];
        } else if (first) {
            *vec_push(&out.v) = (struct sample){groups[i], naive_fold(e->aggregation, values, count)};
        }
    }
    vec_done(&in.v);
    return out;
}

static double naive_op(enum binary_op op, double x, double y) {
    if (op == OP_ADD) return x + y;
    if (op == OP_SUB) return x - y;
    if (op == OP_MUL) return x * y;
    if (op == OP_DIV) return x / y;
    if (op == OP_MOD) return fmod(x, y);
    if (op == OP_POW) return pow(x, y);
    if (op == OP_ATAN2) return atan2(x, y);
    if (op == OP_EQUAL) return x == y;
    if (op == OP_NOT_EQUAL) return x != y;
    if (op == OP_LESS) return x < y;
    if (op == OP_LESS_EQUAL) return x <= y;
    return op == OP_GREATER ? x > y : x >= y;
}

static bool naive_matches(struct naive *n, const struct promql_node *e, struct labels x, struct labels y) {
    return promql_labels_compare(keep_labels(n, x, &e->labels, e->on, !e->on),
                                 keep_labels(n, y, &e->labels, e->on, !e->on)) == 0;
}

static struct labels naive_result(struct naive *n, const struct promql_node *e, struct labels many, struct labels one,
                                  bool drops) {
    struct labels out = drops ? nameless(n, many) : many;
    if (e->cardinality == ONE_TO_ONE) return keep_labels(n, out, &e->labels, e->on, false);
    for (uint32_t i = 0; i < e->include.n; i++) {
        struct labels without = keep_labels(n, out, &(struct names){&e->include.v[i], 1}, false, false);
        struct label *v = arena_array(n->a, struct label, without.n + 1);
        struct str value = label_set_get(one, e->include.v[i]);
        uint32_t count = 0, k = 0;
        while (k < without.n && str_compare(without.v[k].name, e->include.v[i]) < 0) v[count++] = without.v[k++];
        if (value.n) v[count++] = (struct label){e->include.v[i], value};
        while (k < without.n) v[count++] = without.v[k++];
        out = (struct labels){v, count};
    }
    return out;
}

static void naive_set(struct naive *n, const struct promql_node *e, const struct instant *x, const struct instant *y,
                      struct instant *out) {
    for (size_t i = 0; i < x->v.n; i++) {
        bool found = false;
        for (size_t k = 0; k < y->v.n; k++) found |= naive_matches(n, e, x->v.v[i].labels, y->v.v[k].labels);
        if (e->op == OP_OR || found == (e->op == OP_AND)) *vec_push(&out->v) = x->v.v[i];
    }
    for (size_t k = 0; e->op == OP_OR && k < y->v.n; k++) {
        bool found = false;
        for (size_t i = 0; i < x->v.n; i++) found |= naive_matches(n, e, x->v.v[i].labels, y->v.v[k].labels);
        if (!found) *vec_push(&out->v) = y->v.v[k];
    }
}

/* Each of the many with its one. */
static void naive_vectors(struct naive *n, const struct promql_node *e, const struct instant *x,
                          const struct instant *y, struct instant *out) {
    bool swapped = e->cardinality == ONE_TO_MANY, comparison = op_rows[e->op].comparison;
    const struct instant *many = swapped ? y : x, *one = swapped ? x : y;
    struct instant matched = {.is_scalar = false};
    for (size_t k = 0; k < one->v.n; k++)
        for (size_t i = 0; i < k && many->v.n; i++)
            n->failed |= naive_matches(n, e, one->v.v[i].labels, one->v.v[k].labels);
    for (size_t i = 0; i < many->v.n; i++)
        for (size_t k = 0; k < one->v.n; k++) {
            if (!naive_matches(n, e, many->v.v[i].labels, one->v.v[k].labels)) continue;
            double a = swapped ? one->v.v[k].v : many->v.v[i].v, b = swapped ? many->v.v[i].v : one->v.v[k].v,
                   v = naive_op(e->op, a, b);
            struct labels labels =
                naive_result(n, e, many->v.v[i].labels, one->v.v[k].labels, !comparison || e->bool_modifier);
            for (size_t m = 0; m < matched.v.n; m++)
                n->failed |= promql_labels_compare(matched.v.v[m].labels, labels) == 0;
            for (size_t m = 0; m < i && e->cardinality == ONE_TO_ONE; m++)
                n->failed |= naive_matches(n, e, many->v.v[m].labels, many->v.v[i].labels);
            *vec_push(&matched.v) = (struct sample){labels, 0};
            if (comparison && !e->bool_modifier && v == 0) continue;
            *vec_push(&out->v) = (struct sample){labels, comparison && !e->bool_modifier ? a : v};
        }
    vec_done(&matched.v);
}

static struct instant naive_binary(struct naive *n, const struct promql_node *e, int64_t t) {
    struct instant out = {.is_scalar = false}, x = naive_eval(n, e->args[0], t), y = naive_eval(n, e->args[1], t);
    bool comparison = op_rows[e->op].comparison;
    if (x.is_scalar && y.is_scalar) {
        out = (struct instant){.is_scalar = true, .scalar = naive_op(e->op, x.scalar, y.scalar)};
    } else if (x.is_scalar || y.is_scalar) {
        const struct instant *vector = x.is_scalar ? &y : &x;
        for (size_t i = 0; i < vector->v.n; i++) {
            double element = vector->v.v[i].v,
                   v = naive_op(e->op, x.is_scalar ? x.scalar : element, y.is_scalar ? y.scalar : element);
            if (comparison && !e->bool_modifier && v == 0) continue;
            bool keeps = comparison && !e->bool_modifier;
            *vec_push(&out.v) = (struct sample){keeps ? vector->v.v[i].labels : nameless(n, vector->v.v[i].labels),
                                                keeps ? element : v};
        }
    } else if (op_rows[e->op].set) {
        naive_set(n, e, &x, &y, &out);
    } else {
        naive_vectors(n, e, &x, &y, &out);
    }
    vec_done(&x.v);
    vec_done(&y.v);
    return out;
}

static struct instant naive_eval(struct naive *n, const struct promql_node *e, int64_t t) {
    struct instant out = {.is_scalar = false};
    e = bare(e);
    if (e->kind == NODE_NUMBER)
        out = (struct instant){.is_scalar = true, .scalar = e->number};
    else if (e->kind == NODE_VECTOR)
        out = naive_selector(n, e, t, false);
    else if (e->kind == NODE_CALL)
        out = naive_call(n, e, t);
    else if (e->kind == NODE_AGGREGATE)
        out = naive_aggregate(n, e, t);
    else if (e->kind == NODE_BINARY)
        out = naive_binary(n, e, t);
    else if (e->kind == NODE_UNARY) {
        out = naive_eval(n, e->args[0], t);
        out.scalar = -out.scalar;
        for (size_t i = 0; i < out.v.n; i++)
            out.v.v[i] = (struct sample){nameless(n, out.v.v[i].labels), -out.v.v[i].v};
    }
    for (size_t i = 0; i < out.v.n; i++)
        for (size_t k = 0; k < i; k++) n->failed |= promql_labels_compare(out.v.v[i].labels, out.v.v[k].labels) == 0;
    return out;
}

/* ---- both -------------------------------------------------------------------------------------------------------- */

enum { STEPS = 7 };

static bool close_enough(double x, double y) {
    if (isnan(x) || isnan(y)) return isnan(x) && isnan(y);
    if (x == y) return true;
    return fabs(x - y) <= 1e-9 * fmax(1e-3, fmax(fabs(x), fabs(y)));
}

static void compare(const struct promql_answer *a, size_t step, const struct instant *want, const char *text) {
    size_t found = 0;
    if (want->is_scalar) {
        assert_int_equal(a->row_n, 1);
        if (!close_enough(a->rows[0].values[step], want->scalar))
            fail_msg("%s at %zu: %.17g, expected %.17g", text, step, a->rows[0].values[step], want->scalar);
        return;
    }
    for (size_t r = 0; r < a->row_n; r++) {
        const struct promql_row *row = &a->rows[r];
        if (row->kinds[step] == PROMQL_ABSENT) continue;
        const struct sample *same = NULL;
        for (size_t i = 0; i < want->v.n; i++)
            if (promql_labels_compare(want->v.v[i].labels, row->labels) == 0) same = &want->v.v[i];
        AUTO_BUF struct buf b;
        buf_init(&b, 4096);
        promql_labels_print(row->labels, &b);
        if (!same) fail_msg("%s at %zu: unexpected %s", text, step, b.p);
        if (same && !close_enough(row->values[step], same->v))
            fail_msg("%s at %zu: %s %.17g, expected %.17g", text, step, b.p, row->values[step], same->v);
        found++;
    }
    if (found != want->v.n) fail_msg("%s at %zu: %zu series, expected %zu", text, step, found, want->v.n);
}

/* An expression that fails at one step fails as a whole; what the naive one calls a failure the other must too. */
static bool check_expression(struct memory *m, struct str text, size_t *failures) {
    struct arena a;
    struct promql_answer answer;
    const struct promql_node *e;
    struct promql_options o = {.start_ms = 100003, .end_ms = 100003 + (STEPS - 1) * 41000, .step_ms = 41000};
    arena_init(&a, 512 * MIB);
    err failed = promql_parse(&a, text, (struct promql_syntax){0}, &e, NULL);
    if (failed) { /* the grammar makes no difference between types of matching */
        err_free(failed);
        arena_done(&a);
        return false;
    }
    failed = promql_run(&a, &m->source, e, text, &o, &answer);
    struct naive n = {.a = &a, .m = m, .start = o.start_ms, .end = o.end_ms};
    struct instant want[STEPS];
    for (size_t i = 0; i < STEPS; i++) want[i] = naive_eval(&n, e, o.start_ms + (int64_t)i * o.step_ms);
    if (failed && !n.failed) fail_msg(STR_FMT ": %s", STR_ARG(text), err_text(failed));
    for (size_t i = 0; i < STEPS && !failed && !n.failed; i++) {
        struct promql_answer instant;
        struct promql_options one = {.start_ms = o.start_ms + (int64_t)i * o.step_ms};
        one.end_ms = one.start_ms;
        compare(&answer, i, &want[i], text.p);
        if (strstr(text.p, "start()") || strstr(text.p, "end()")) continue;
        assert_null(promql_run(&a, &m->source, e, text, &one, &instant));
        compare(&instant, 0, &want[i], text.p);
    }
    *failures += n.failed;
    for (size_t i = 0; i < STEPS; i++) vec_done(&want[i].v);
    err_free(failed);
    arena_done(&a);
    return true;
}

static void rows_say_what_steps_say(void **state) {
    (void)state;
    size_t asked = 0, failures = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct memory m;
        random_state = seed * 0x9e3779b97f4a7c15u;
        random_world(&m);
        for (int i = 0; i < 50; i++) {
            AUTO_BUF struct buf b;
            buf_init(&b, 64 * KIB);
            put_vector(&b, 3);
            asked += check_expression(&m, buf_str(&b), &failures);
        }
        memory_done(&m);
    }
    printf("%zu expressions, %zu of them with an error\n", asked, failures);
    assert_true(asked > 2000 && failures * 3 < asked);
}

static void printed_text_parses_to_an_equal_tree(void **state) {
    (void)state;
    random_state = 42;
    for (int i = 0; i < 5000; i++) {
        struct arena a;
        const struct promql_node *e, *again;
        AUTO_BUF struct buf b, printed;
        buf_init(&b, 64 * KIB);
        buf_init(&printed, 64 * KIB);
        arena_init(&a, 4 * MIB);
        put_vector(&b, 5);
        err failed = promql_parse(&a, buf_str(&b), (struct promql_syntax){0}, &e, NULL);
        for (int pretty = 0; pretty < 2 && !failed; pretty++) {
            buf_clear(&printed);
            (pretty ? promql_print_pretty : promql_print)(e, &printed);
            failed = promql_parse(&a, buf_str(&printed), (struct promql_syntax){0}, &again, NULL);
            if (failed) fail_msg("%s: %s", printed.p, err_text(failed));
            if (!failed && !promql_equal(e, again)) fail_msg("%s is not %s", b.p, printed.p);
        }
        err_free(failed);
        arena_done(&a);
    }
}

/* ---- slices ------------------------------------------------------------------------------------------------------ */

enum { SLICED_STEPS = 23 };

/* Some series get histograms, in place of floats for a while, or beside them. */
static void add_histograms(struct memory *m) {
    static const char *const names[] = {"a", "b", "c_total"};
    for (size_t i = 0; i < LENGTH(names); i++) {
        struct label labels[] = {{STR("__name__"), str_of(names[i])}, {STR("job"), STR("x")}, {STR("zone"), STR("h")}};
        struct memory_series *s = memory_series(m, labels, 3);
        double count = 0;
        for (int64_t t = -200000; t < 1000000; t += 15000 + (int64_t)chance(3) * 10000) {
            struct native *h = arena_new(&m->a, struct native);
            count = chance(20) ? count + chance(5) : 1;
            *h =
                (struct native){.schema = chance(3) ? 0 : 1, .count = count, .sum = count * 2, .zero_threshold = 0.001};
            h->zero_count = count;
            if (chance(3))
                memory_add_histogram(s, t, h);
            else
                memory_add(s, t, count);
        }
    }
    memory_seal(m);
}

static bool same_bits(double x, double y) { return (isnan(x) && isnan(y)) || memcmp(&x, &y, sizeof x) == 0; }

static bool same_histogram(const struct native *x, const struct native *y) {
    AUTO_BUF struct buf a;
    AUTO_BUF struct buf b;
    buf_init(&a, 64 * KIB);
    buf_init(&b, 64 * KIB);
    native_print(x, &a);
    native_print(y, &b);
    return str_equal(buf_str(&a), buf_str(&b)) && x->reset == y->reset;
}

static void check_same_notes(const struct str *x, size_t n, const struct str *y, size_t m, const char *text) {
    size_t found = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < m; k++) found += str_equal(x[i], y[k]);
    if (n != m || found != n) fail_msg("%s: %zu and %zu annotations, %zu of them equal", text, n, m, found);
}

static void check_same_answer(const struct promql_answer *x, const struct promql_answer *y, const char *text) {
    if (x->row_n != y->row_n || x->step_n != y->step_n || x->start_ms != y->start_ms || x->type != y->type)
        fail_msg("%s: %zu rows of %zu steps, not %zu of %zu", text, x->row_n, x->step_n, y->row_n, y->step_n);
    for (size_t r = 0; r < x->row_n; r++) {
        const struct promql_row *p = &x->rows[r], *q = &y->rows[r];
        if (promql_labels_compare(p->labels, q->labels) != 0) fail_msg("%s: row %zu is another", text, r);
        for (size_t i = 0; i < x->step_n; i++) {
            bool same = p->kinds[i] == q->kinds[i];
            if (same && p->kinds[i] == PROMQL_FLOAT) same = same_bits(p->values[i], q->values[i]);
            if (same && p->kinds[i] == PROMQL_HISTOGRAM) same = same_histogram(p->histograms[i], q->histograms[i]);
            if (!same) fail_msg("%s: row %zu step %zu: %.17g, not %.17g", text, r, i, p->values[i], q->values[i]);
        }
    }
    check_same_notes(x->warnings, x->warning_n, y->warnings, y->warning_n, text);
    check_same_notes(x->infos, x->info_n, y->infos, y->info_n, text);
}

/* Cuts the steps anywhere, two at least in each. */
static err run_slices(struct arena *a, struct memory *m, const struct promql_node *e, struct str text,
                      const struct promql_options *o, struct promql_answer *out) {
    struct promql_answer slices[PROMQL_SLICES_MAX];
    size_t n = 0;
    for (size_t first = 0, steps; first < SLICED_STEPS; first += steps) {
        struct promql_options one = *o;
        steps = 2 + chance(9);
        if (first + steps + 2 > SLICED_STEPS) steps = SLICED_STEPS - first;
        one.slice_first = first;
        one.slice_n = steps;
        TRY(promql_run(a, &m->source, e, text, &one, &slices[n++]));
    }
    return promql_join(a, slices, n, out);
}

/* 0: not an expression, or not one for slices; 1: answered; 2: an error in the whole and in a slice. */
static int check_slices(struct memory *m, struct str text) {
    AUTO_ARENA struct arena a;
    struct promql_answer whole, joined;
    const struct promql_node *e;
    struct promql_options o = {.start_ms = 3, .end_ms = 3 + (SLICED_STEPS - 1) * 31000 + 7, .step_ms = 31000};
    arena_init(&a, 512 * MIB);
    err failed = promql_parse(&a, text, (struct promql_syntax){.experimental_functions = true}, &e, NULL);
    bool asked = !failed && promql_is_sliceable(e);
    err_free(failed);
    if (!asked) return 0;
    failed = promql_run(&a, &m->source, e, text, &o, &whole);
    err failed_sliced = run_slices(&a, m, e, text, &o, &joined);
    if (!failed != !failed_sliced)
        fail_msg(STR_FMT ": %s, in slices %s", STR_ARG(text), err_text(failed), err_text(failed_sliced));
    asked = !failed;
    if (asked) check_same_answer(&joined, &whole, text.p);
    err_free(failed);
    err_free(failed_sliced);
    return asked ? 1 : 2;
}

static void slices_say_what_the_whole_says(void **state) {
    static const char *const around[][2] = {{"", ""},
                                            {"", ""},
                                            {"count_values(\"v\", ", ")"},
                                            {"label_replace(", ", \"zone\", \"w\", \"job\", \"x|y\")"},
                                            {"label_join(", ", \"zone\", \"-\", \"job\")"},
                                            {"sort_desc(", ")"},
                                            {"scalar(", ") + time()"},
                                            {"histogram_quantile(0.4, ", ")"},
                                            {"histogram_avg(", ")"},
                                            {"clamp(", ", time() / 100, 9)"},
                                            {"limit_ratio(0.5, ", ")"},
                                            {"stddev by (job) (", ")"},
                                            {"sum without (job) (", ")"}};
    int counts[3] = {0};
    (void)state;
    for (uint64_t seed = 1; seed <= (getenv("CLEW_LONG") ? 1000 : 60); seed++) {
        struct memory m;
        random_state = seed * 0x9e3779b97f4a7c15u + 5;
        random_world(&m);
        if (seed % 2) add_histograms(&m);
        for (int i = 0; i < 60; i++) {
            AUTO_BUF struct buf b;
            buf_init(&b, 64 * KIB);
            uint32_t kind = chance(LENGTH(around));
            buf_add_text(&b, around[kind][0]);
            put_vector(&b, 3);
            buf_add_text(&b, around[kind][1]);
            counts[check_slices(&m, buf_str(&b))]++;
        }
        memory_done(&m);
    }
    print_message("%d expressions in slices, %d of them with an error\n", counts[1] + counts[2], counts[2]);
    assert_true(counts[1] > 1500 && counts[2] > 20);
}

static void steps_that_depend_are_not_sliced(void **state) {
    static const struct {
        const char *text;
        bool sliceable;
    } cases[] = {{"sum(rate(a[5m]))", true},
                 {"topk(3, a)", true},
                 {"topk((3), a)", true},
                 {"topk(scalar(b), a)", false},
                 {"limitk(2, a)", false},
                 {"limit_ratio(0.5, a)", true},
                 {"1 + sum(limitk(2, a))", false},
                 {"max_over_time(a[5m:1m])", false},
                 {"-abs(rate(a[5m:]))", false},
                 {"info(a)", false},
                 {"a @ end() / a @ start()", true},
                 {"quantile(scalar(b), a)", true}};
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_ARENA struct arena a;
        const struct promql_node *e;
        arena_init(&a, MIB);
        assert_null(promql_parse(&a, str_of(cases[i].text), (struct promql_syntax){true, true}, &e, NULL));
        if (promql_is_sliceable(e) != cases[i].sliceable) fail_msg("%s", cases[i].text);
        if (promql_is_folded(e) != (i == 0 || i == 11)) fail_msg("%s", cases[i].text); /* sum, quantile */
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_say_what_steps_say), cmocka_unit_test(printed_text_parses_to_an_equal_tree),
        cmocka_unit_test(slices_say_what_the_whole_says), cmocka_unit_test(steps_that_depend_are_not_sliced)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
