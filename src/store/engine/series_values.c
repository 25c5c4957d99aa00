/* Values of points as samples, without a translation: for series that are known. */
#include "store/engine/series_apply_priv.h"

#include "base/hash.h"

/* How many buckets of a classic histogram have a bound below infinity, or how many quantiles a summary has. */
static uint32_t parts_of(const struct points *p, const struct points_histogram *h, bool stop_at_infinity) {
    const uint64_t *bounds = histogram_numbers(p, h, NUMBERS_BOUNDS);
    uint32_t n = MIN(h->n[NUMBERS_BOUNDS], h->n[NUMBERS_POSITIVE]);
    for (uint32_t i = 0; i < n && stop_at_infinity; i++)
        if (double_of_bits(bounds[i]) == __builtin_inf()) return i;
    return n;
}

static const struct points_histogram *histogram_at(const struct points *p, uint32_t point) {
    return &p->histograms[point_value(p, point)];
}

uint64_t point_shape(const struct applier *a, uint32_t point) {
    enum point_kind kind = point_kind(a->p, point);
    if (!point_is_compound(kind)) return SHAPE_NUMBER;
    const struct points_histogram *h = histogram_at(a->p, point);
    bool classic = kind == POINT_HISTOGRAM && !a->translation->custom_buckets;
    if (!classic && kind != POINT_SUMMARY) return SHAPE_NATIVE;
    bool has_sum = kind == POINT_SUMMARY || (h->flags & HISTOGRAM_HAS_SUM);
    return hash_bytes_seed(histogram_numbers(a->p, h, NUMBERS_BOUNDS), 8ull * parts_of(a->p, h, classic),
                           hash_keyed((uint64_t)kind, has_sum));
}

static void put_classic(struct applier *a, const struct points_histogram *h) {
    const uint64_t *counts = histogram_numbers(a->p, h, NUMBERS_POSITIVE);
    uint32_t n = parts_of(a->p, h, true);
    uint64_t total = 0;
    if (h->flags & HISTOGRAM_HAS_SUM) *vec_push(&a->values) = double_of_bits(h->sum);
    *vec_push(&a->values) = (double)h->count;
    for (uint32_t i = 0; i < n; i++) *vec_push(&a->values) = (double)(total += counts[i]);
    *vec_push(&a->values) = (double)h->count;
}

static void put_summary(struct applier *a, const struct points_histogram *h) {
    const uint64_t *values = histogram_numbers(a->p, h, NUMBERS_POSITIVE);
    *vec_push(&a->values) = double_of_bits(h->sum);
    *vec_push(&a->values) = (double)h->count;
    for (uint32_t i = 0; i < parts_of(a->p, h, false); i++) *vec_push(&a->values) = double_of_bits(values[i]);
}

bool point_values(struct applier *a, uint32_t point) {
    enum point_kind kind = point_kind(a->p, point);
    bool stale = (point_flags(a->p, point) & POINT_NO_RECORDED_VALUE) != 0;
    uint64_t bits = point_value(a->p, point);
    vec_clear(&a->values);
    switch (kind) {
    case POINT_EMPTY:
        if (!stale) return false;
        *vec_push(&a->values) = 0;
        break;
    case POINT_INT: *vec_push(&a->values) = (double)(int64_t)bits; break;
    case POINT_DOUBLE: *vec_push(&a->values) = double_of_bits(bits); break;
    case POINT_HISTOGRAM:
        if (a->translation->custom_buckets) return false;
        put_classic(a, histogram_at(a->p, point));
        break;
    case POINT_SUMMARY: put_summary(a, histogram_at(a->p, point)); break;
    case POINT_EXPONENTIAL:
    case POINT_NATIVE:
    case POINT_KINDS:
    default: return false;
    }
    for (size_t i = 0; i < a->values.n && stale; i++) a->values.v[i] = double_of_bits(STALE_BITS);
    return true;
}

bool point_ends_parts(struct applier *a, uint32_t point, uint32_t parts) {
    enum point_kind kind = point_kind(a->p, point);
    bool classic = kind == POINT_HISTOGRAM && !a->translation->custom_buckets;
    if (!(point_flags(a->p, point) & POINT_NO_RECORDED_VALUE) || (!classic && kind != POINT_SUMMARY)) return false;
    vec_clear(&a->values);
    for (uint32_t i = 0; i < parts; i++) *vec_push(&a->values) = double_of_bits(STALE_BITS);
    return true;
}

/* ---- native histograms ------------------------------------------------------------------------------------------- */

static void copy_buckets(const uint64_t *numbers, uint32_t n, bool is_float, union histogram_number *out) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (is_float)
            out[i].real = double_of_bits(numbers[i]);
        else
            out[i].integer = count += numbers[i]; /* deltas */
    }
}

bool native_histogram(const struct points_histogram *from, const uint64_t *numbers, struct arena *a,
                      struct histogram *out) {
    struct points view = {.numbers = numbers};
    uint32_t positive = from->n[NUMBERS_POSITIVE], negative = from->n[NUMBERS_NEGATIVE];
    uint32_t spans[2] = {from->n[NUMBERS_POSITIVE_SPANS], from->n[NUMBERS_NEGATIVE_SPANS]};
    union histogram_number *buckets = arena_array(a, union histogram_number, positive + negative + 1);
    struct histogram_span *span = arena_array(a, struct histogram_span, spans[0] + spans[1] + 1);
    double *bounds = arena_array(a, double, from->n[NUMBERS_BOUNDS] + 1);
    if (!buckets || !span || !bounds) return false;
    bool is_float = (from->flags & HISTOGRAM_IS_FLOAT) != 0;
    copy_buckets(histogram_numbers(&view, from, NUMBERS_POSITIVE), positive, is_float, buckets);
    copy_buckets(histogram_numbers(&view, from, NUMBERS_NEGATIVE), negative, is_float, buckets + positive);
    const uint64_t *packed = histogram_numbers(&view, from, NUMBERS_POSITIVE_SPANS); /* negative ones follow */
    for (uint32_t i = 0; i < spans[0] + spans[1]; i++)
        span[i] = (struct histogram_span){(int32_t)(packed[i] >> 32), (uint32_t)packed[i]};
    if (from->n[NUMBERS_BOUNDS])
        memcpy(bounds, histogram_numbers(&view, from, NUMBERS_BOUNDS), from->n[NUMBERS_BOUNDS] * sizeof *bounds);
    *out = (struct histogram){.is_float = is_float,
                              .reset_hint = (uint8_t)MIN(from->reset_hint, (uint32_t)RESET_HINTS),
                              .schema = from->scale,
                              .zero_threshold = double_of_bits(from->zero_threshold),
                              .sum = double_of_bits(from->sum),
                              .count.integer = from->count,
                              .zero_count.integer = from->zero_count,
                              .positive_spans = spans[0],
                              .negative_spans = spans[1],
                              .custom_bounds = from->n[NUMBERS_BOUNDS],
                              .buckets = positive + negative,
                              .spans = span,
                              .bounds = bounds,
                              .bucket = buckets};
    return true;
}
