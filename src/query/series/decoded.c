#include "query/series/decoded_priv.h"

enum { HISTOGRAM_BYTES_MAX = 64 << 20 };

void decoded_init(struct decoded *d) {
    *d = (struct decoded){0};
    samples_init(&d->samples, HISTOGRAM_BYTES_MAX);
    arena_init(&d->histograms, HISTOGRAM_BYTES_MAX);
}

void decoded_done(struct decoded *d) {
    samples_done(&d->samples);
    arena_done(&d->histograms);
    mem_free(d->times);
    mem_free(d->values);
    mem_free(d->histogram_times);
    mem_free(d->natives);
}

uint64_t decoded_bytes(const struct decoded *d) {
    return (uint64_t)d->samples.capacity * 24 + d->samples.arena.used_bytes + d->histograms.used_bytes +
           d->capacity * 16 + d->histogram_capacity * 16;
}

static void reserve(struct decoded *d, size_t n) {
    if (n <= d->capacity) return;
    d->capacity = n + n / 2;
    d->times = mem_grow(d->times, d->capacity * sizeof *d->times);
    d->values = mem_grow(d->values, d->capacity * sizeof *d->values);
}

static void reserve_histograms(struct decoded *d, size_t n) {
    if (n <= d->histogram_capacity) return;
    d->histogram_capacity = n + n / 2;
    d->histogram_times = mem_grow(d->histogram_times, d->histogram_capacity * sizeof *d->histogram_times);
    d->natives = mem_grow(d->natives, d->histogram_capacity * sizeof(*d->natives));
}

/* Times of a vector of floats, once for all series that share it. */
static void convert_times(struct decoded *d) {
    const struct samples *v = &d->samples;
    uint64_t id = samples_times_id(&d->samples);
    if (id == d->times_id && d->n == v->n) return;
    reserve(d, v->n);
    d->shares_ms = false;
    for (uint32_t i = 0; i < v->n; i++) d->times[i] = series_floor_ms(v->times_ns[i]);
    for (uint32_t i = 1; i < v->n; i++) d->shares_ms |= d->times[i] == d->times[i - 1];
    d->times_id = id;
    d->n = v->n;
}

/* The usual series: floats, at most one a ms: the decoded values are what is handed out. */
static bool take_plain(struct decoded *d) {
    const struct samples *v = &d->samples;
    if (v->histograms) return false;
    convert_times(d);
    if (d->shares_ms) return false;
    d->out.times = d->times;
    d->out.values = v->values;
    d->out.n = v->n;
    d->out.times_id = d->times_id;
    return true;
}

static err keep(struct kept_bounds *k, const struct histogram *h) {
    size_t bytes = h->custom_bounds * sizeof *h->bounds;
    if (h->custom_bounds == k->n && (!bytes || memcmp(h->bounds, k->newest, bytes) == 0)) return NULL;
    double *copy = arena_alloc(&k->arena, MAX(bytes, sizeof *copy));
    if (!copy) return arena_err(&k->arena);
    if (bytes) memcpy(copy, h->bounds, bytes);
    k->newest = copy;
    k->n = h->custom_bounds;
    return NULL;
}

static err take_histogram(struct decoded *d, const struct histogram *h, struct kept_bounds *k,
                          const struct native **out) {
    TRY(keep(k, h));
    *out = series_native(&d->histograms, h, k->newest);
    return *out ? NULL : arena_err(&d->histograms);
}

/* Floats and histograms apart, the last of each ms. */
static err take_mixed(struct decoded *d, struct kept_bounds *k) {
    const struct samples *v = &d->samples;
    struct promql_samples *out = &d->out;
    d->times_id = 0; /* the array is used for something else */
    reserve(d, v->n);
    if (v->histograms) reserve_histograms(d, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        int64_t at = series_floor_ms(v->times_ns[i]);
        const struct histogram *h = samples_histogram(v, i);
        if (h) {
            bool again = out->histogram_n && d->histogram_times[out->histogram_n - 1] == at;
            if (!again) d->histogram_times[out->histogram_n++] = at;
            TRY(take_histogram(d, h, k, &d->natives[out->histogram_n - 1]));
        } else {
            bool again = out->n && d->times[out->n - 1] == at;
            if (!again) d->times[out->n++] = at;
            d->values[out->n - 1] = v->values[i];
        }
    }
    out->times = d->times;
    out->values = d->values;
    out->histogram_times = d->histogram_times;
    out->histograms = d->natives;
    return NULL;
}

err decoded_read(struct decoded *d, struct series_found *found, uint32_t series, struct kept_bounds *bounds) {
    static const int64_t no_times[1];
    static const double no_values[1];
    struct promql_samples *out = &d->out;
    arena_clear(&d->histograms);
    TRY(series_found_read(found, series, &d->samples));
    *out = (struct promql_samples){.without_stale = !d->samples.may_nan,
                                   .without_resets = !d->samples.may_fall && !d->samples.may_nan};
    if (!take_plain(d)) TRY(take_mixed(d, bounds));
    if (!out->times) out->times = no_times;
    if (!out->values) out->values = no_values;
    if (!out->histogram_times) out->histogram_times = no_times;
    return NULL;
}
