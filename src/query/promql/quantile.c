/* histogram_quantile and histogram_fraction, of classic buckets and of native histograms. */
#include <math.h>
#include <stdlib.h>

#include "query/promql/number.h"
#include "query/promql/whole_priv.h"

/* ---- classic buckets --------------------------------------------------------------------------------------------- */

struct bucket {
    double upper, count; /* cumulative */
};

/* One bucket per bound, of buckets in order; 0: there is none up to +Inf. */
static size_t prepare_buckets(struct bucket *b, size_t n) {
    if (!isinf(b[n - 1].upper) || b[n - 1].upper < 0) return 0;
    size_t last = 0;
    for (size_t i = 1; i < n; i++) {
        if (b[i].upper == b[last].upper)
            b[last].count += b[i].count;
        else
            b[++last] = b[i];
    }
    return last + 1;
}

/* Differences that are but errors of sums of floats are taken out, then what still falls is lifted; true if any was. */
static bool force_monotonic(struct bucket *b, size_t n) {
    bool forced = false;
    double before = b[0].count, most = b[0].count;
    for (size_t i = 1; i < n; i++) {
        double delta = fabs(b[i].count - before);
        if (delta == 0) continue;
        if (delta / b[i].count <= 1e-12)
            b[i].count = before;
        else
            before = b[i].count;
    }
    for (size_t i = 1; i < n; i++) {
        if (b[i].count > most)
            most = b[i].count;
        else if (b[i].count < most)
            b[i].count = most, forced = true;
    }
    return forced;
}

static double bucket_quantile(double q, struct bucket *b, size_t n, bool *out_forced) {
    *out_forced = false;
    if (isnan(q)) return NAN;
    if (q < 0 || q > 1) return q < 0 ? -INFINITY : INFINITY;
    n = prepare_buckets(b, n);
    if (n == 0) return NAN;
    bool forced = force_monotonic(b, n);
    if (n < 2 || b[n - 1].count == 0) return NAN;
    *out_forced = forced;
    double rank = q * b[n - 1].count;
    size_t i = 0;
    while (i < n - 1 && !(b[i].count >= rank)) i++;
    if (i == n - 1) return b[n - 2].upper;
    if (i == 0 && b[0].upper <= 0) return b[0].upper;
    double start = 0, count = b[i].count;
    if (i > 0) {
        start = b[i - 1].upper;
        count -= b[i - 1].count;
        rank -= b[i - 1].count;
    }
    return start + (b[i].upper - start) * (rank / count);
}

static double bucket_rank(const struct bucket *b, size_t n, double v) {
    double rank = 0, lower = -INFINITY;
    for (size_t i = 0; i < n; lower = b[i].upper, rank = b[i].count, i++) {
        if (lower >= v) return rank;
        if (b[i].upper <= v) continue;
        double from = i == 0 && b[i].upper > 0 ? 0 : lower;
        return rank + (b[i].count - rank) * (v - from) / (b[i].upper - from);
    }
    return b[n - 1].count;
}

static double bucket_fraction(double low, double high, struct bucket *b, size_t n) {
    n = prepare_buckets(b, n);
    if (n == 0 || b[n - 1].count == 0 || isnan(low) || isnan(high)) return NAN;
    if (low >= high) return 0;
    double total = b[n - 1].count;
    return (fmin(bucket_rank(b, n, high), total) - fmin(bucket_rank(b, n, low), total)) / total;
}

/* ---- native histograms ------------------------------------------------------------------------------------------- */

static bool side_is_empty(const struct native_side *s) {
    for (uint32_t i = 0; i < s->n; i++)
        if (s->count[i] != 0) return false;
    return true;
}

/* Around zero: nothing is below 0 if there are only positive buckets, nothing above if there are only negative ones. */
static void narrow_zero(const struct native *h, struct native_bucket *b) {
    bool positive = !side_is_empty(&h->positive), negative = !side_is_empty(&h->negative);
    if (positive && !negative) b->lower = 0;
    if (negative && !positive) b->upper = 0;
}

static double bucket_total(const struct native *h) {
    double total = 0;
    struct native_walk w = native_walk(h, false);
    for (struct native_bucket b; native_next(&w, &b);) total += b.count;
    return total;
}

static double native_interpolate(const struct native *h, const struct native_bucket *b, double fraction) {
    if (native_is_custom(h) || (b->lower <= 0 && b->upper >= 0)) return b->lower + (b->upper - b->lower) * fraction;
    double lower = log2(fabs(b->lower)), upper = log2(fabs(b->upper));
    if (b->lower > 0) return exp2(lower + (upper - lower) * fraction);
    return -exp2(upper + (lower - upper) * (1 - fraction));
}

enum nan_note { NAN_NONE, NAN_RESULT, NAN_SKEWED };

static double native_quantile(double q, const struct native *h, enum nan_note *out_note) {
    *out_note = NAN_NONE;
    if (q < 0 || q > 1) return q < 0 ? -INFINITY : INFINITY;
    if (h->count == 0 || isnan(q)) return NAN;
    bool forward = isnan(h->sum) || q < 0.5;
    double rank = (forward ? q : 1 - q) * h->count, count = 0;
    struct native_bucket b = {0};
    struct native_walk w = native_walk(h, !forward);
    while (native_next(&w, &b)) {
        count += b.count;
        if (count >= rank) break;
    }
    if (native_is_custom(h)) {
        if (isinf(b.lower)) {
            if (b.upper <= 0) return b.upper;
            b.lower = 0;
        } else if (isinf(b.upper)) {
            return b.lower;
        }
    } else if (b.lower < 0 && b.upper > 0) {
        narrow_zero(h, &b);
    }
    count = fmin(count, h->count);
    if (count < rank) {
        if (!isnan(h->sum)) return b.upper;
        *out_note = NAN_RESULT;
        return NAN;
    }
    rank = forward ? rank - (count - b.count) : count - rank;
    if (isnan(h->sum) && bucket_total(h) < h->count) *out_note = NAN_SKEWED;
    return native_interpolate(h, &b, rank / b.count);
}

static double native_rank(const struct native *h, double v, double total) {
    double rank = 0;
    struct native_walk w = native_walk(h, false);
    for (struct native_bucket b; native_next(&w, &b); rank += b.count) {
        bool zero = b.lower <= 0 && b.upper >= 0;
        if (zero) narrow_zero(h, &b);
        if (b.lower >= v) return rank;
        if (b.upper <= v) continue;
        if (zero || native_is_custom(h)) return rank + b.count * (v - b.lower) / (b.upper - b.lower);
        double lower = log2(fabs(b.lower)), upper = log2(fabs(b.upper)), at = log2(fabs(v));
        return rank + b.count * (v > 0 ? (at - lower) / (upper - lower) : 1 - (at - upper) / (lower - upper));
    }
    return total;
}

static double native_fraction(double low, double high, const struct native *h, enum nan_note *out_note) {
    *out_note = NAN_NONE;
    if (h->count == 0 || isnan(low) || isnan(high)) return NAN;
    double total = isnan(h->sum) ? bucket_total(h) : h->count;
    if (total < h->count) *out_note = NAN_SKEWED;
    if (low >= high) return 0;
    return (fmin(native_rank(h, high, total), total) - fmin(native_rank(h, low, total), total)) / h->count;
}

/* ---- over a table ------------------------------------------------------------------------------------------------ */

struct bucket_row {
    double upper;
    uint32_t row;
};

static int order_of_buckets(const void *x, const void *y) {
    double a = ((const struct bucket_row *)x)->upper, b = ((const struct bucket_row *)y)->upper;
    return a < b ? -1 : a > b;
}

/* The rows of one histogram: its classic buckets, each with its own bound, and the row of native ones. */
struct histogram_group {
    struct labels labels; /* without le */
    bool drop_name;
    uint32_t bucket_n, native;  /* native: row + 1 */
    struct bucket_row *buckets; /* by bound */
};

struct question {
    struct evaluator *ev;
    const struct timeline *t;
    const struct promql_node *vector, *first;
    const double *q, *low, *high; /* quantile, or both ends of a fraction */
    struct table in;
    double *bounds; /* of each row */
};

static bool parse_bound(struct str s, double *out) {
    double sign = 1;
    if (s.n && (s.p[0] == '-' || s.p[0] == '+')) {
        sign = s.p[0] == '-' ? -1 : 1;
        s = (struct str){s.p + 1, s.n - 1};
    }
    while (s.n > 1 && s.p[0] == '0' && s.p[1] >= '0' && s.p[1] <= '9') s = (struct str){s.p + 1, s.n - 1};
    if (!parse_promql_number(s, out)) return false;
    *out *= sign;
    return true;
}

static bool any_of_kind(const struct row *row, uint8_t kind, size_t steps) {
    return memchr(row->kinds, kind, steps) != NULL;
}

/* ids, natives: of each row the group whose bucket it is, and the group whose native histograms it has; UINT32_MAX: none. */
static err fill_groups(struct question *x, struct histogram_group *groups, uint32_t n, const uint32_t *ids,
                       const uint32_t *natives) {
    struct evaluator *ev = x->ev;
    for (size_t r = 0; r < x->in.n; r++)
        if (ids[r] != UINT32_MAX) groups[ids[r]].bucket_n++;
    for (uint32_t g = 0; g < n; g++) {
        NEED(groups[g].buckets = arena_alloc(ev->a, sizeof *groups[g].buckets * MAX(groups[g].bucket_n, 1)));
        groups[g].bucket_n = 0;
    }
    for (size_t r = 0; r < x->in.n; r++) {
        struct histogram_group *g = ids[r] != UINT32_MAX ? &groups[ids[r]] : NULL,
                               *native = natives[r] != UINT32_MAX ? &groups[natives[r]] : NULL;
        if (g) g->buckets[g->bucket_n++] = (struct bucket_row){x->bounds[r], (uint32_t)r};
        if (g) g->drop_name |= x->in.rows[r].drop_name;
        if (native) native->native = (uint32_t)r + 1;
        if (native) native->drop_name |= x->in.rows[r].drop_name;
    }
    for (uint32_t g = 0; g < n; g++)
        qsort(groups[g].buckets, groups[g].bucket_n, sizeof *groups[g].buckets, order_of_buckets);
    return NULL;
}

static err group_rows(struct question *x, struct histogram_group **out, uint32_t *out_n) {
    struct evaluator *ev = x->ev;
    struct label_index index = {0};
    const struct str le = STR("le");
    uint32_t *ids = arena_alloc(ev->a, sizeof *ids * 2 * MAX(x->in.n, 1)), *natives = ids ? ids + x->in.n : NULL;
    NEED(ids);
    for (size_t r = 0; r < x->in.n; r++) {
        struct row *row = &x->in.rows[r];
        struct str text = label_set_get(row->labels, le);
        ids[r] = natives[r] = UINT32_MAX;
        TRY(eval_touch(ev, ROW_TOUCHES + x->t->n));
        if (any_of_kind(row, PROMQL_HISTOGRAM, x->t->n)) natives[r] = label_index_add(ev->a, &index, row->labels);
        if (!any_of_kind(row, PROMQL_FLOAT, x->t->n)) continue;
        if (!parse_bound(text, &x->bounds[r])) {
            AUTO_BUF struct buf b;
            buf_init(&b, 4 * KIB);
            buf_add_text(&b, "bucket label \"le\" is missing or has a malformed value of ");
            put_go_quoted(&b, text);
            note_maybe_name(ev, NOTE_WARNING, x->vector, row_name(row), b.p);
            continue;
        }
        ids[r] = label_index_add(ev->a, &index, labels_set(ev->a, row->labels, le, (struct str){"", 0}));
    }
    *out_n = index.n;
    NEED(*out = arena_zero(ev->a, sizeof **out * MAX(index.n, 1)));
    for (uint32_t g = 0; g < index.n; g++) (*out)[g].labels = index.sets[g];
    return fill_groups(x, *out, index.n, ids, natives);
}

static void answer_native(struct question *x, const struct native *h, struct row *row, size_t i, struct str name) {
    static const char *const texts[2][3] = {
        {NULL, "input to histogram_quantile has NaN observations, result is NaN",
         "input to histogram_quantile has NaN observations, result is skewed higher"},
        {NULL, NULL, "input to histogram_fraction has NaN observations, which are excluded from all fractions"}};
    enum nan_note nan;
    row->kinds[i] = PROMQL_FLOAT;
    row->values[i] = x->q ? native_quantile(x->q[i], h, &nan) : native_fraction(x->low[i], x->high[i], h, &nan);
    if (nan) note_maybe_name(x->ev, NOTE_INFO, x->first, name, texts[!x->q][nan]);
}

static void answer_buckets(struct question *x, struct bucket *b, size_t n, struct row *row, size_t i, struct str name) {
    bool forced = false;
    row->kinds[i] = PROMQL_FLOAT;
    row->values[i] = x->q ? bucket_quantile(x->q[i], b, n, &forced) : bucket_fraction(x->low[i], x->high[i], b, n);
    if (forced)
        note_maybe_name(x->ev, NOTE_INFO, x->vector, name,
                        "input to histogram_quantile needed to be fixed for monotonicity (see "
                        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)");
}

static err answer_group(struct question *x, const struct histogram_group *g, struct bucket *scratch,
                        struct table *out) {
    struct row row = {0};
    TRY(row_prepare(x->ev, &row, x->t->n));
    row.labels = g->labels;
    row.drop_name = g->drop_name;
    struct str name = row_name(&row);
    const struct row *native = g->native ? &x->in.rows[g->native - 1] : NULL;
    for (size_t i = 0; i < x->t->n; i++) {
        size_t n = 0;
        TRY(eval_touch(x->ev, (native ? HISTOGRAM_TOUCHES : 1) + g->bucket_n));
        for (uint32_t k = 0; k < g->bucket_n; k++) {
            const struct row *bucket = &x->in.rows[g->buckets[k].row];
            if (bucket->kinds[i] == PROMQL_FLOAT)
                scratch[n++] = (struct bucket){g->buckets[k].upper, bucket->values[i]};
        }
        bool is_native = native && native->kinds[i] == PROMQL_HISTOGRAM;
        if (is_native && n)
            note_maybe_name(x->ev, NOTE_WARNING, x->vector, name,
                            "vector contains a mix of classic and native histograms");
        else if (is_native)
            answer_native(x, native->histograms[i], &row, i, name);
        else if (n)
            answer_buckets(x, scratch, n, &row, i, x->ev->options->delayed_name_removal ? name : (struct str){"", 0});
    }
    if (row_is_empty(&row, x->t->n)) return NULL;
    TRY(row_drop_name(x->ev, &row));
    return table_push(x->ev, out, &row);
}

static err answer(struct question *x, struct table *out) {
    struct histogram_group *groups = NULL;
    uint32_t n = 0, most = 1;
    struct evaluator *ev = x->ev;
    TRY(eval(ev, x->t, x->vector, &x->in));
    NEED(x->bounds = arena_alloc(ev->a, sizeof *x->bounds * MAX(x->in.n, 1)));
    TRY(group_rows(x, &groups, &n));
    for (uint32_t g = 0; g < n; g++) most = MAX(most, groups[g].bucket_n);
    struct bucket *scratch = arena_alloc(ev->a, sizeof *scratch * most);
    NEED(scratch);
    for (uint32_t g = 0; g < n; g++) {
        TRY(eval_check(ev));
        TRY(answer_group(x, &groups[g], scratch, out));
    }
    TRY(eval_hold(ev, out->n * x->t->n));
    return ev->options->delayed_name_removal ? NULL : table_merge(ev, out, x->t->n);
}

err whole_histogram_quantile(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                             struct table *out) {
    double *q;
    TRY(eval_scalar(ev, t, e->args[0], &q));
    struct question x = {.ev = ev, .t = t, .vector = e->args[1], .first = e->args[0], .q = q};
    for (size_t i = 0; i < t->n; i++) note_bad_quantile(ev, e->args[0], q[i]);
    return answer(&x, out);
}

err whole_histogram_fraction(struct evaluator *ev, const struct timeline *t, const struct promql_node *e,
                             struct table *out) {
    double *low, *high;
    TRY(eval_scalar(ev, t, e->args[0], &low));
    TRY(eval_scalar(ev, t, e->args[1], &high));
    struct question x = {.ev = ev, .t = t, .vector = e->args[2], .first = e->args[0], .low = low, .high = high};
    return answer(&x, out);
}
