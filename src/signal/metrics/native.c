/* Native histograms: whether one holds together. The rules are those by which Prometheus takes one (model/histogram, Validate). */
#include "signal/metrics/points_priv.h"

enum { SCHEMA_MIN = -4, SCHEMA_MAX = 8, SCHEMA_CUSTOM = -53 };

/* The buckets that the spans promise are there, one by one. */
static const char *spans_fault(const struct points_lists *l, int spans, int buckets) {
    uint64_t promised = 0;
    for (size_t i = 0; i < l->v[spans].n; i++) {
        int32_t offset = (int32_t)(l->v[spans].v[i] >> 32);
        if (i && offset < 0) return "a span begins before the one before it ends";
        promised += (uint32_t)l->v[spans].v[i];
    }
    return promised == l->v[buckets].n ? NULL : "the spans have not as many buckets as there are";
}

/* Adds up the buckets of one side; NULL, or what is wrong with them. */
static const char *integer_sum(const struct points_lists *l, int list, uint64_t *sum) {
    int64_t count = 0;
    for (size_t i = 0; i < l->v[list].n; i++) {
        if (__builtin_add_overflow(count, (int64_t)l->v[list].v[i], &count) || count < 0)
            return "a bucket counts less than nothing";
        if (__builtin_add_overflow(*sum, (uint64_t)count, sum)) return "the buckets count more than 2^64";
    }
    return NULL;
}

static const char *floats_fault(const struct points_lists *l, int list) {
    for (size_t i = 0; i < l->v[list].n; i++)
        if (bits_double(l->v[list].v[i]) < 0) return "a bucket counts less than nothing";
    return NULL;
}

static const char *custom_fault(const struct points_lists *l, const struct points_histogram *h) {
    size_t bounds = l->v[NUMBERS_BOUNDS].n;
    uint64_t end = 0;
    if (h->zero_count << 1 || h->zero_threshold << 1 || l->v[NUMBERS_NEGATIVE].n || l->v[NUMBERS_NEGATIVE_SPANS].n)
        return "custom buckets have no zero bucket and no negative ones";
    if (!points_bounds_rise(l->v[NUMBERS_BOUNDS].v, (uint32_t)bounds) ||
        (bounds && bits_double(l->v[NUMBERS_BOUNDS].v[bounds - 1]) == __builtin_inf()))
        return "the custom bounds do not rise";
    for (size_t i = 0; i < l->v[NUMBERS_POSITIVE_SPANS].n; i++) {
        uint64_t span = l->v[NUMBERS_POSITIVE_SPANS].v[i];
        if (span >> 63) return "a span begins before the first custom bucket";
        end += (span >> 32) + (uint32_t)span;
    }
    return end <= bounds + 1 ? NULL : "a span ends behind the last custom bucket";
}

/* The first and last index of the spans are numbers of 32 bits. */
static bool indexes_fit(const struct points_lists *l, int spans) {
    int64_t at = 0;
    for (size_t i = 0; i < l->v[spans].n; i++) {
        at += (int32_t)(l->v[spans].v[i] >> 32) + (int64_t)(uint32_t)l->v[spans].v[i];
        if (at > INT32_MAX || at < INT32_MIN) return false;
    }
    return true;
}

#define FIRST(fault)                                                                                                   \
    do {                                                                                                               \
        const char *fault_ = (fault);                                                                                  \
        if (fault_) return fault_;                                                                                     \
    } while (0)

static const char *counts_fault(const struct points_lists *l, const struct points_histogram *h) {
    double sum = bits_double(h->sum);
    uint64_t total = 0;
    if (h->flags & HISTOGRAM_IS_FLOAT) {
        FIRST(floats_fault(l, NUMBERS_POSITIVE));
        FIRST(floats_fault(l, NUMBERS_NEGATIVE));
        if (bits_double(h->count) < 0 || bits_double(h->zero_count) < 0) return "a count is less than nothing";
        return NULL; /* how they add up depends on rounding */
    }
    FIRST(integer_sum(l, NUMBERS_POSITIVE, &total));
    FIRST(integer_sum(l, NUMBERS_NEGATIVE, &total));
    if (__builtin_add_overflow(total, h->zero_count, &total)) return "the buckets count more than 2^64";
    if (sum == sum ? total != h->count : total > h->count) return "the buckets do not add up to the count";
    return NULL;
}

const char *points_native_fault(const struct points_lists *l, const struct points_histogram *h) {
    if (l->too_many) return "over 65,536 buckets";
    if (h->scale == SCHEMA_CUSTOM)
        FIRST(custom_fault(l, h));
    else if (h->scale < SCHEMA_MIN || h->scale > SCHEMA_MAX)
        return "its schema is not one of -4 to 8, or -53";
    else if (l->v[NUMBERS_BOUNDS].n)
        return "custom bounds in a schema that has none";
    FIRST(spans_fault(l, NUMBERS_POSITIVE_SPANS, NUMBERS_POSITIVE));
    FIRST(spans_fault(l, NUMBERS_NEGATIVE_SPANS, NUMBERS_NEGATIVE));
    if (!indexes_fit(l, NUMBERS_POSITIVE_SPANS) || !indexes_fit(l, NUMBERS_NEGATIVE_SPANS))
        return "the index of a bucket is over 2^31";
    return counts_fault(l, h);
}

bool points_bounds_rise(const uint64_t *bounds, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        double v = bits_double(bounds[i]);
        if (v != v || (i && !(v > bits_double(bounds[i - 1])))) return false;
    }
    return true;
}
