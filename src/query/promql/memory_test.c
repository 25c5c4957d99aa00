#include "query/promql/memory_test_priv.h"

#include <stdlib.h>

struct memory_set {
    struct memory *m;
    struct memory_series **series;
    int64_t min_ms, max_ms;
};

static err memory_read(struct promql_set *set, size_t i, struct promql_samples *out) {
    struct memory_set *x = set->state;
    const struct memory_series *s = x->series[i];
    if (++x->m->reads == x->m->fail_at) return err_new(ERR_IO, "reading series %zu: the disk says no", i);
    size_t low = 0, high = s->times.n, h_low = 0, h_high = s->histogram_times.n;
    while (low < high && s->times.v[low] < x->min_ms) low++;
    while (high > low && s->times.v[high - 1] > x->max_ms) high--;
    while (h_low < h_high && s->histogram_times.v[h_low] < x->min_ms) h_low++;
    while (h_high > h_low && s->histogram_times.v[h_high - 1] > x->max_ms) h_high--;
    static const int64_t no_times[1];
    static const double no_values[1];
    *out = (struct promql_samples){.times = high > low ? s->times.v + low : no_times,
                                   .values = high > low ? s->values.v + low : no_values,
                                   .n = high - low,
                                   .times_id = s->times_id,
                                   .without_stale = s->without_stale,
                                   .without_resets = s->without_resets,
                                   .histogram_times = h_high > h_low ? s->histogram_times.v + h_low : no_times,
                                   .histograms = s->histograms.v ? s->histograms.v + h_low : NULL,
                                   .histogram_n = h_high - h_low};
    return NULL;
}

static bool selects(const struct promql_selection *q, struct labels labels) {
    for (size_t i = 0; i < q->matcher_n; i++)
        if (!label_matcher_matches(&q->matchers[i], label_set_get(labels, q->matchers[i].name))) return false;
    return true;
}

static err memory_select(struct promql_source *source, const struct promql_selection *q, struct arena *a,
                         struct promql_set *out) {
    struct memory *m = (struct memory *)source;
    struct memory_set *x = arena_new(a, struct memory_set);
    struct labels *labels = arena_alloc(a, sizeof *labels * MAX(m->series.n, 1));
    if (!x || !labels) return arena_err(a);
    *x = (struct memory_set){.m = m, .min_ms = q->min_ms, .max_ms = q->max_ms};
    x->series = arena_alloc(a, sizeof(*x->series) * MAX(m->series.n, 1));
    if (!x->series) return arena_err(a);
    size_t n = 0;
    for (size_t i = 0; i < m->series.n; i++) {
        if (!selects(q, m->series.v[i].labels)) continue;
        x->series[n] = &m->series.v[i];
        labels[n++] = m->series.v[i].labels;
    }
    *out = (struct promql_set){.series = labels,
                               .n = n,
                               .read = memory_read,
                               .state = x,
                               .warnings = &m->warning,
                               .warning_n = m->warning.n > 0};
    return NULL;
}

void memory_init(struct memory *m) {
    *m = (struct memory){.source = {memory_select}};
    arena_init(&m->a, 1024 * MIB);
}

void memory_done(struct memory *m) {
    for (size_t i = 0; i < m->series.n; i++) {
        vec_done(&m->series.v[i].times);
        vec_done(&m->series.v[i].values);
        vec_done(&m->series.v[i].histogram_times);
        vec_done(&m->series.v[i].histograms);
    }
    vec_done(&m->series);
    arena_done(&m->a);
}

static int order_of_labels(const void *x, const void *y) {
    return str_compare(((const struct label *)x)->name, ((const struct label *)y)->name);
}

struct memory_series *memory_series(struct memory *m, const struct label *labels, size_t n) {
    struct label *v = arena_array(&m->a, struct label, n + 1);
    uint32_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (labels[i].value.n)
            v[kept++] = (struct label){arena_copy(&m->a, labels[i].name), arena_copy(&m->a, labels[i].value)};
    qsort(v, kept, sizeof *v, order_of_labels);
    struct labels sorted = {v, kept};
    for (size_t i = 0; i < m->series.n; i++)
        if (promql_labels_compare(m->series.v[i].labels, sorted) == 0) return &m->series.v[i];
    struct memory_series *s = vec_push(&m->series);
    *s = (struct memory_series){.labels = sorted};
    return s;
}

void memory_add(struct memory_series *s, int64_t time_ms, double value) {
    if (s->times.n && s->times.v[s->times.n - 1] == time_ms) {
        s->values.v[s->values.n - 1] = value;
        return;
    }
    *vec_push(&s->times) = time_ms;
    *vec_push(&s->values) = value;
}

void memory_add_histogram(struct memory_series *s, int64_t time_ms, const struct native *h) {
    *vec_push(&s->histogram_times) = time_ms;
    *vec_push(&s->histograms) = h;
}

void memory_seal(struct memory *m) {
    for (size_t i = 0; i < m->series.n; i++) {
        struct memory_series *s = &m->series.v[i];
        s->times_id = i + 1;
        s->without_stale = s->without_resets = true;
        for (size_t k = 0; k < s->values.n; k++) {
            s->without_stale &= !promql_is_stale(s->values.v[k]);
            s->without_resets &= k == 0 || s->values.v[k] >= s->values.v[k - 1];
        }
        for (size_t k = i; k-- > 0 && i - k < 32;) {
            const struct memory_series *other = &m->series.v[k];
            if (other->times.n != s->times.n ||
                (s->times.n && memcmp(other->times.v, s->times.v, sizeof(int64_t) * s->times.n) != 0))
                continue;
            s->times_id = other->times_id;
            break;
        }
    }
}
