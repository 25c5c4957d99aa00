/* What it means that two batches of points say the same. */
#include "signal/metrics/points.h"

struct pair {
    const struct points *a, *b;
};

static bool texts_equal(const struct pair *p, uint32_t a, uint32_t b) {
    return str_equal(points_string(p->a, a), points_string(p->b, b));
}

static bool resources_equal(const struct pair *p, uint32_t a, uint32_t b) {
    const struct points_resource *x = &p->a->resources[a], *y = &p->b->resources[b];
    return texts_equal(p, x->attributes, y->attributes) && texts_equal(p, x->schema_url, y->schema_url) &&
           x->dropped_attributes == y->dropped_attributes;
}

static bool scopes_equal(const struct pair *p, uint32_t a, uint32_t b) {
    const struct points_scope *x = &p->a->scopes[a], *y = &p->b->scopes[b];
    return texts_equal(p, x->name, y->name) && texts_equal(p, x->version, y->version) &&
           texts_equal(p, x->attributes, y->attributes) && texts_equal(p, x->schema_url, y->schema_url) &&
           x->dropped_attributes == y->dropped_attributes;
}

static bool metrics_equal(const struct pair *p, uint32_t a, uint32_t b) {
    const struct points_metric *x = &p->a->metrics[a], *y = &p->b->metrics[b];
    if (!texts_equal(p, x->name, y->name) || !texts_equal(p, x->description, y->description) ||
        !texts_equal(p, x->unit, y->unit) || !texts_equal(p, x->metadata, y->metadata) || x->kind != y->kind ||
        x->temporality != y->temporality || x->monotonic != y->monotonic)
        return false;
    return p->a->origin == POINTS_PROMETHEUS ||
           (resources_equal(p, x->resource, y->resource) && scopes_equal(p, x->scope, y->scope));
}

static bool series_equal(const struct pair *p, uint32_t a, uint32_t b) {
    const struct points_series *x = &p->a->series[a], *y = &p->b->series[b];
    return str_equal(points_labels_of(p->a, a), points_labels_of(p->b, b)) && metrics_equal(p, x->metric, y->metric);
}

static bool histograms_equal(const struct pair *p, uint64_t a, uint64_t b) {
    struct points_histogram x = p->a->histograms[a], y = p->b->histograms[b];
    size_t n = 0;
    for (int l = 0; l < NUMBERS; l++) n += x.n[l];
    const uint64_t *numbers_x = p->a->numbers + x.first, *numbers_y = p->b->numbers + y.first;
    x.first = y.first = 0;
    return memcmp(&x, &y, sizeof x) == 0 && (n == 0 || memcmp(numbers_x, numbers_y, 8 * n) == 0);
}

static bool exemplars_equal(const struct pair *p, uint32_t i) {
    struct points_exemplar x = p->a->exemplars[i], y = p->b->exemplars[i];
    if (!texts_equal(p, x.labels, y.labels) || !series_equal(p, x.series, y.series)) return false;
    x.labels = y.labels = x.series = y.series = 0;
    return memcmp(&x, &y, sizeof x) == 0;
}

bool points_equal(const struct points *a, const struct points *b) {
    struct pair p = {a, b};
    if (a->origin != b->origin || a->n != b->n || a->exemplar_count != b->exemplar_count) return false;
    for (uint32_t i = 0; i < a->n; i++) {
        if (point_time(a, i) != point_time(b, i) || point_start(a, i) != point_start(b, i) ||
            point_flags(a, i) != point_flags(b, i) || point_kind(a, i) != point_kind(b, i) ||
            !series_equal(&p, point_series(a, i), point_series(b, i)))
            return false;
        if (point_is_compound(point_kind(a, i)) ? !histograms_equal(&p, point_value(a, i), point_value(b, i))
                                                : point_value(a, i) != point_value(b, i))
            return false;
    }
    for (uint32_t i = 0; i < a->exemplar_count; i++)
        if (!exemplars_equal(&p, i)) return false;
    if (a->origin == POINTS_OTLP) return true; /* metrics stand only where points are */
    if (a->metric_count != b->metric_count) return false;
    for (uint32_t i = 0; i < a->metric_count; i++)
        if (!metrics_equal(&p, i, i)) return false;
    return true;
}
