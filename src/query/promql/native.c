#include "query/promql/native.h"

#include <math.h>

#include "query/promql/number.h"

/* ---- bounds ------------------------------------------------------------------------------------------------------ */

/* 2^(within / 2^schema), as Prometheus' table has it (model/histogram, exponentialBounds), which is a last digit off the best double in many
 * places: bound after bound multiplied by a root of two of Go's own, those of coarser schemas taken over. */
static double bound_fraction(uint32_t within, int32_t schema) {
    static const double roots[] = {1,
                                   0x1.6a09e667f3bccp+0,
                                   0x1.306fe0a31b715p+0,
                                   0x1.172b83c7d517bp+0,
                                   0x1.0b5586cf9890fp+0,
                                   0x1.059b0d3158574p+0,
                                   0x1.02c9a3e778061p+0,
                                   0x1.0163da9fb3335p+0,
                                   0x1.00b1afa5abcbfp+0};
    double bound = 1;
    assert(schema < (int32_t)LENGTH(roots));
    for (int32_t s = 1; s <= schema; s++)
        if (within >> (schema - s) & 1) bound *= roots[s];
    return bound;
}

/* The upper bound of bucket `index` on the positive side. */
static double exponential_bound(int32_t index, int32_t schema) {
    if (schema < 0) {
        int64_t exponent = (int64_t)index * (1 << -schema);
        if (exponent == 1024) return 0x1.fffffffffffffp1023; /* the last bucket ends where doubles end */
        return ldexp(1.0, (int)MAX(MIN(exponent, 2000), -2000));
    }
    int32_t within = index & ((1 << schema) - 1), exponent = index >> schema;
    if (within == 0 && exponent == 1024) return 0x1.fffffffffffffp1023;
    return ldexp(bound_fraction((uint32_t)within, schema), exponent);
}

static double bound_of(const struct native *h, int32_t index) {
    if (!native_is_custom(h)) return exponential_bound(index, h->schema);
    if (index < 0) return -INFINITY;
    return (uint32_t)index < h->custom_n ? h->custom[index] : INFINITY;
}

/* ---- whole histograms -------------------------------------------------------------------------------------------- */

static const char *side_fault(const struct native_side *s) {
    if (s->n > NATIVE_BUCKETS_MAX) return "it has more than 65,536 buckets";
    for (uint32_t i = 1; i < s->n; i++)
        if (s->index[i] <= s->index[i - 1]) return "its buckets do not ascend";
    return NULL;
}

const char *native_fault(const struct native *h) {
    const char *fault = side_fault(&h->positive);
    if (!fault) fault = side_fault(&h->negative);
    if (fault) return fault;
    if (native_is_custom(h)) {
        for (uint32_t i = 0; i < h->custom_n; i++)
            if (!isfinite(h->custom[i]) || (i && h->custom[i] <= h->custom[i - 1]))
                return "its custom bounds do not ascend";
        if (h->negative.n || h->zero_count != 0) return "custom buckets have no negative side and no zero bucket";
        uint32_t n = h->positive.n;
        if (n && (h->positive.index[0] < 0 || h->positive.index[n - 1] > (int64_t)h->custom_n))
            return "a bucket is outside of its custom bounds";
        return NULL;
    }
    if (h->schema < NATIVE_SCHEMA_MIN || h->schema > NATIVE_SCHEMA_MAX) return "its schema is not known";
    if (!(h->zero_threshold >= 0)) return "its zero threshold is negative";
    return h->custom_n ? "it has custom bounds and an exponential schema" : NULL;
}

static bool side_reserve(struct arena *a, struct native_side *s, uint32_t capacity) {
    if (capacity <= s->capacity) return true;
    int32_t *index = arena_alloc(a, sizeof *index * capacity);
    double *count = arena_alloc(a, sizeof *count * capacity);
    if (!index || !count) return false;
    if (s->n) {
        memcpy(index, s->index, sizeof *index * s->n);
        memcpy(count, s->count, sizeof *count * s->n);
    }
    *s = (struct native_side){.n = s->n, .capacity = capacity, .index = index, .count = count};
    return true;
}

struct native *native_copy(struct arena *a, const struct native *h) {
    struct native *copy = arena_alloc(a, sizeof *copy);
    if (!copy) return NULL;
    *copy = *h;
    copy->positive.capacity = copy->negative.capacity = 0;
    bool good = side_reserve(a, &copy->positive, h->positive.n) && side_reserve(a, &copy->negative, h->negative.n);
    return good ? copy : NULL;
}

static void side_scale(struct native_side *s, double factor) {
    for (uint32_t i = 0; i < s->n; i++) s->count[i] *= factor;
}

void native_multiply(struct native *h, double factor) {
    h->zero_count *= factor;
    h->count *= factor;
    h->sum *= factor;
    side_scale(&h->positive, factor);
    side_scale(&h->negative, factor);
}

/* Divided by 0 a histogram loses its buckets: each would hold +Inf or NaN. */
void native_divide(struct native *h, double divisor) {
    h->zero_count /= divisor;
    h->count /= divisor;
    h->sum /= divisor;
    if (divisor == 0) {
        h->positive.n = h->negative.n = 0;
        return;
    }
    for (uint32_t i = 0; i < h->positive.n; i++) h->positive.count[i] /= divisor;
    for (uint32_t i = 0; i < h->negative.n; i++) h->negative.count[i] /= divisor;
}

static void side_compact(struct native_side *s) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->count[i] == 0) continue;
        s->index[n] = s->index[i];
        s->count[n++] = s->count[i];
    }
    s->n = n;
}

void native_compact(struct native *h) {
    side_compact(&h->positive);
    side_compact(&h->negative);
}

/* ---- schemas and zero buckets ------------------------------------------------------------------------------------ */

static int32_t index_at_schema(int32_t index, int32_t from, int32_t to) { return ((index - 1) >> (from - to)) + 1; }

static bool side_reduce(struct arena *a, struct native_side *s, int32_t from, int32_t to) {
    if (s->n && !s->capacity && !side_reserve(a, s, s->n)) return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        int32_t index = index_at_schema(s->index[i], from, to);
        if (n && s->index[n - 1] == index) {
            s->count[n - 1] += s->count[i];
            continue;
        }
        s->index[n] = index;
        s->count[n++] = s->count[i];
    }
    s->n = n;
    return true;
}

bool native_reduce(struct arena *a, struct native *h, int32_t schema) {
    if (native_is_custom(h) || h->schema <= schema) return true;
    int32_t from = h->schema;
    h->schema = schema;
    return side_reduce(a, &h->positive, from, schema) && side_reduce(a, &h->negative, from, schema);
}

/* Counts the buckets of one side that begin below *threshold; moves *threshold to the end of a bucket that it cuts. */
static double side_below(const struct native *h, const struct native_side *s, double *threshold) {
    double count = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (bound_of(h, s->index[i] - 1) >= *threshold) break;
        count += s->count[i];
        double upper = bound_of(h, s->index[i]);
        if (upper <= *threshold) continue;
        if (s->count[i] != 0) *threshold = upper;
        break;
    }
    return count;
}

/* What the zero bucket would hold were it as wide as *threshold, which grows if it cuts a populated bucket. */
static double zero_count_for(const struct native *h, double *threshold) {
    if (*threshold == h->zero_threshold) return h->zero_count;
    for (;;) {
        double count = h->zero_count + side_below(h, &h->positive, threshold), before = *threshold;
        count += side_below(h, &h->negative, threshold);
        if (*threshold == before) return count;
    }
}

static void side_cut_below(const struct native *h, struct native_side *s) {
    uint32_t n = 0;
    while (n < s->n && bound_of(h, s->index[n] - 1) < h->zero_threshold) n++;
    if (n == 0) return;
    memmove(s->index, s->index + n, sizeof *s->index * (s->n - n));
    memmove(s->count, s->count + n, sizeof *s->count * (s->n - n));
    s->n -= n;
}

/* Gives h a zero bucket that is as wide as other's, or wider; what other's then holds. */
static double reconcile_zero(struct native *h, const struct native *other) {
    double count = other->zero_count, threshold = other->zero_threshold;
    while (threshold != h->zero_threshold) {
        if (h->zero_threshold > threshold) {
            threshold = h->zero_threshold;
            count = zero_count_for(other, &threshold);
        }
        if (threshold > h->zero_threshold) {
            double wanted = threshold;
            h->zero_count = zero_count_for(h, &wanted);
            h->zero_threshold = wanted;
            side_cut_below(h, &h->positive);
            side_cut_below(h, &h->negative);
        }
    }
    return count;
}

/* ---- adding ------------------------------------------------------------------------------------------------------ */

/* Adds what fits the buckets that are there; false at the first that does not, *out_i says which. */
static bool side_add_in_place(struct native_side *s, const struct native_side *other, double sign, uint32_t *out_i) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < other->n; i++) {
        while (k < s->n && s->index[k] < other->index[i]) k++;
        *out_i = i;
        if (k == s->n || s->index[k] != other->index[i]) return false;
        s->count[k] += sign * other->count[i];
    }
    return true;
}

static bool side_add(struct arena *a, struct native_side *s, const struct native_side *other, double sign) {
    uint32_t i = 0;
    if (side_add_in_place(s, other, sign, &i)) return true;
    /* From the end: both ascend, so a merge in place overwrites nothing that is still needed. */
    uint32_t missing = 0, k = 0;
    for (uint32_t j = i; j < other->n; j++) {
        while (k < s->n && s->index[k] < other->index[j]) k++;
        missing += k == s->n || s->index[k] != other->index[j];
    }
    uint32_t n = s->n + missing;
    if (n > s->capacity && !side_reserve(a, s, n + n / 2)) return false;
    int64_t x = (int64_t)s->n - 1, y = (int64_t)other->n - 1;
    for (int64_t to = (int64_t)n - 1; to >= 0; to--) {
        if (y < i) break;
        if (x >= 0 && s->index[x] >= other->index[y]) {
            bool same = s->index[x] == other->index[y];
            s->index[to] = s->index[x];
            s->count[to] = s->count[x] + (same ? sign * other->count[y] : 0);
            x--;
            y -= same;
        } else {
            s->index[to] = other->index[y];
            s->count[to] = sign * other->count[y--];
        }
    }
    s->n = n;
    return true;
}

static struct native_side side_from(const struct native *h, const struct native_side *s, double threshold) {
    uint32_t i = 0;
    while (i < s->n && threshold > 0 && bound_of(h, s->index[i] - 1) < threshold) i++;
    return (struct native_side){.n = s->n - i, .index = s->index + i, .count = s->count + i};
}

/* A view of h without the buckets that begin below `threshold`. */
static struct native without_zero(const struct native *h, double threshold) {
    struct native view = *h;
    view.positive = side_from(h, &h->positive, threshold);
    view.negative = side_from(h, &h->negative, threshold);
    return view;
}

static bool same_custom(const struct native *x, const struct native *y) {
    return x->custom_n == y->custom_n &&
           (x->custom_n == 0 || memcmp(x->custom, y->custom, sizeof *x->custom * x->custom_n) == 0);
}

/* Gauges stay gauges; what is said to be a reset and what is said to be none are together unknown. */
static enum native_reset reset_of_both(enum native_reset x, enum native_reset y) {
    if (x == y) return x;
    return x == NATIVE_GAUGE || y == NATIVE_GAUGE ? NATIVE_GAUGE : NATIVE_RESET_UNKNOWN;
}

enum native_added native_add(struct arena *a, struct native *h, const struct native *other, double sign) {
    if (native_is_custom(h) != native_is_custom(other)) return NATIVE_MIXED_SCHEMAS;
    if (native_is_custom(h) && !same_custom(h, other)) return NATIVE_MIXED_BOUNDS;
    h->reset = reset_of_both(h->reset, other->reset);
    if (!native_is_custom(h)) h->zero_count += sign * reconcile_zero(h, other);
    h->count += sign * other->count;
    h->sum += sign * other->sum;
    /* What lies in the zero bucket is taken out before buckets become coarser: a coarse one may reach out of it. */
    struct native above = without_zero(other, native_is_custom(h) ? 0 : h->zero_threshold);
    if (!native_reduce(a, &above, h->schema) || !native_reduce(a, h, other->schema)) return NATIVE_NO_MEMORY;
    bool good = side_add(a, &h->positive, &above.positive, sign) && side_add(a, &h->negative, &above.negative, sign);
    return good ? NATIVE_ADDED : NATIVE_NO_MEMORY;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool side_equal(const struct native_side *x, const struct native_side *y) {
    uint32_t i = 0, k = 0;
    for (;;) {
        while (i < x->n && x->count[i] == 0) i++;
        while (k < y->n && y->count[k] == 0) k++;
        if (i == x->n || k == y->n) return i == x->n && k == y->n;
        if (x->index[i] != y->index[k] || memcmp(&x->count[i], &y->count[k], sizeof x->count[i]) != 0) return false;
        i++;
        k++;
    }
}

static bool same_bits(double x, double y) { return memcmp(&x, &y, sizeof x) == 0; }

bool native_equal(const struct native *x, const struct native *y) {
    return x->schema == y->schema && same_bits(x->zero_threshold, y->zero_threshold) && same_custom(x, y) &&
           same_bits(x->zero_count, y->zero_count) && same_bits(x->count, y->count) && same_bits(x->sum, y->sum) &&
           side_equal(&x->positive, &y->positive) && side_equal(&x->negative, &y->negative);
}

/* Whether some bucket of `before`, at the schema of `now`, holds more than the same bucket of `now`. */
static bool side_fell(const struct native_side *now, const struct native_side *before) {
    uint32_t k = 0;
    for (uint32_t i = 0; i < before->n; i++) {
        while (k < now->n && now->index[k] < before->index[i]) k++;
        double count = k < now->n && now->index[k] == before->index[i] ? now->count[k] : 0;
        if (count < before->count[i]) return true;
    }
    return false;
}

bool native_was_reset(struct arena *a, const struct native *now, const struct native *before) {
    if (now->reset == NATIVE_RESET) return true;
    if (now->reset == NATIVE_NOT_RESET) return false;
    if (now->count < before->count || native_is_custom(now) != native_is_custom(before)) return true;
    if (native_is_custom(now) && !same_custom(now, before)) return true;
    if (now->schema > before->schema || now->zero_threshold < before->zero_threshold) return true;
    double threshold = now->zero_threshold;
    double zero_before = zero_count_for(before, &threshold);
    if (threshold != now->zero_threshold || now->zero_count < zero_before) return true;
    struct native above = without_zero(before, native_is_custom(now) ? 0 : threshold);
    if (!native_reduce(a, &above, now->schema)) return true;
    return side_fell(&now->positive, &above.positive) || side_fell(&now->negative, &above.negative);
}

/* ---- walking ----------------------------------------------------------------------------------------------------- */

static struct native_bucket bucket_at(const struct native *h, size_t k) {
    if (k < h->negative.n) {
        size_t i = h->negative.n - 1 - k;
        return (struct native_bucket){.lower = -bound_of(h, h->negative.index[i]),
                                      .upper = -bound_of(h, h->negative.index[i] - 1),
                                      .count = h->negative.count[i],
                                      .rule = 1};
    }
    k -= h->negative.n;
    if (k == 0)
        return (struct native_bucket){
            .lower = -h->zero_threshold, .upper = h->zero_threshold, .count = h->zero_count, .rule = 3};
    return (struct native_bucket){.lower = bound_of(h, h->positive.index[k - 1] - 1),
                                  .upper = bound_of(h, h->positive.index[k - 1]),
                                  .count = h->positive.count[k - 1]};
}

bool native_next(struct native_walk *w, struct native_bucket *out) {
    size_t n = (size_t)w->h->negative.n + 1 + w->h->positive.n;
    while (w->at < n) {
        size_t k = w->reverse ? n - 1 - w->at : w->at;
        w->at++;
        *out = bucket_at(w->h, k);
        if (out->count != 0) return true;
    }
    return false;
}

void native_print(const struct native *h, struct buf *out) {
    static const char open[] = "([", close[] = "])";
    buf_add_text(out, "{count:");
    put_go_general(out, h->count);
    buf_add_text(out, ", sum:");
    put_go_general(out, h->sum);
    struct native_walk w = native_walk(h, false);
    for (struct native_bucket b; native_next(&w, &b);) {
        buf_add_fmt(out, ", %c", b.rule == 3 ? '[' : open[b.rule]);
        put_go_general(out, b.lower);
        buf_add_byte(out, ',');
        put_go_general(out, b.upper);
        buf_add_fmt(out, "%c:", b.rule == 3 ? ']' : close[b.rule]);
        put_go_general(out, b.count);
    }
    buf_add_byte(out, '}');
}
