/* Points → ExportMetricsServiceRequest bytes, in the order that protobuf libraries write: fields by number, scalars only where not
 * zero, optional ones where they were sent. */
#include "signal/metrics/points_decode.h"

#include "signal/metrics/points_priv.h"
#include "signal/wire_write_priv.h"

struct encoder {
    const struct points *p;
    struct buf *out;
    uint32_t exemplar; /* the next one */
};

static void put_name(struct buf *out, uint32_t field, const struct points *p, uint32_t id) {
    put_bytes(out, field, points_string(p, id));
}

/* A list of attributes under the field that this message has for them. */
static void put_labels(struct encoder *e, uint32_t field, struct str labels) {
    struct wire w = wire_of(labels), item;
    if (field == OTLP_LABEL_TAG >> 3) {
        buf_add_str(e->out, labels);
        return;
    }
    while (w.p < w.end && w.p++ && wire_bytes(&w, &item)) put_bytes_always(e->out, field, wire_str(&item));
}

/* ---- points ------------------------------------------------------------------------------------------------------- */

static void put_exemplar(struct encoder *e, uint32_t field, const struct points_exemplar *x) {
    static const unsigned char zero[16];
    size_t start = open_message(e->out, field);
    put_fixed64(e->out, 2, x->time);
    if (x->kind == POINT_DOUBLE) put_fixed64_always(e->out, 3, x->value);
    if (x->span_id) put_bytes(e->out, 4, str_span(&x->span_id, 8));
    if (memcmp(x->trace_id, zero, 16) != 0) put_bytes(e->out, 5, str_span(x->trace_id, 16));
    if (x->kind == POINT_INT) put_fixed64_always(e->out, 6, x->value);
    put_labels(e, 7, points_string(e->p, x->labels));
    close_message(e->out, start);
}

static void put_exemplars(struct encoder *e, uint32_t field, uint32_t point) {
    while (e->exemplar < e->p->exemplar_count && e->p->exemplars[e->exemplar].point < point) e->exemplar++;
    for (; e->exemplar < e->p->exemplar_count && e->p->exemplars[e->exemplar].point == point; e->exemplar++)
        put_exemplar(e, field, &e->p->exemplars[e->exemplar]);
}

static void put_number_point(struct encoder *e, uint32_t i) {
    enum point_kind kind = point_kind(e->p, i);
    put_fixed64(e->out, 2, point_start(e->p, i));
    put_fixed64(e->out, 3, point_time(e->p, i));
    if (kind == POINT_DOUBLE) put_fixed64_always(e->out, 4, point_value(e->p, i));
    put_exemplars(e, 5, i);
    if (kind == POINT_INT) put_fixed64_always(e->out, 6, point_value(e->p, i));
    put_labels(e, 7, points_labels_of(e->p, point_series(e->p, i)));
    put_number(e->out, 8, point_flags(e->p, i));
}

static void put_fixed_list(struct encoder *e, uint32_t field, const struct points_histogram *h, int list) {
    if (h->n[list]) put_bytes_always(e->out, field, str_span(histogram_numbers(e->p, h, list), 8 * (size_t)h->n[list]));
}

static void put_optional(struct encoder *e, uint32_t field, const struct points_histogram *h, uint32_t flag,
                         uint64_t v) {
    if (h->flags & flag) put_fixed64_always(e->out, field, v);
}

static void put_times(struct encoder *e, uint32_t i, const struct points_histogram *h) {
    put_fixed64(e->out, 2, point_start(e->p, i));
    put_fixed64(e->out, 3, point_time(e->p, i));
    put_fixed64(e->out, 4, h->count);
}

static void put_histogram_point(struct encoder *e, uint32_t i) {
    const struct points_histogram *h = &e->p->histograms[point_value(e->p, i)];
    put_times(e, i, h);
    put_optional(e, 5, h, HISTOGRAM_HAS_SUM, h->sum);
    put_fixed_list(e, 6, h, NUMBERS_POSITIVE);
    put_fixed_list(e, 7, h, NUMBERS_BOUNDS);
    put_exemplars(e, 8, i);
    put_labels(e, 9, points_labels_of(e->p, point_series(e->p, i)));
    put_number(e->out, 10, point_flags(e->p, i));
    put_optional(e, 11, h, HISTOGRAM_HAS_MIN, h->min);
    put_optional(e, 12, h, HISTOGRAM_HAS_MAX, h->max);
}

static uint64_t zigzag(int32_t v) { return (uint32_t)v << 1 ^ (uint32_t)(v >> 31); }

static void put_buckets(struct encoder *e, uint32_t field, const struct points_histogram *h, bool negative) {
    int list = negative ? NUMBERS_NEGATIVE : NUMBERS_POSITIVE;
    const uint64_t *counts = histogram_numbers(e->p, h, list);
    if (!(h->flags & (negative ? HISTOGRAM_HAS_NEGATIVE : HISTOGRAM_HAS_POSITIVE))) return;
    size_t start = open_message(e->out, field);
    put_number(e->out, 1, zigzag(negative ? h->negative_offset : h->positive_offset));
    if (h->n[list]) {
        size_t packed = open_message(e->out, 2);
        for (uint32_t i = 0; i < h->n[list]; i++) put_varint(e->out, counts[i]);
        close_message(e->out, packed);
    }
    close_message(e->out, start);
}

static void put_exponential_point(struct encoder *e, uint32_t i) {
    const struct points_histogram *h = &e->p->histograms[point_value(e->p, i)];
    put_labels(e, 1, points_labels_of(e->p, point_series(e->p, i)));
    put_times(e, i, h);
    put_optional(e, 5, h, HISTOGRAM_HAS_SUM, h->sum);
    put_number(e->out, 6, zigzag(h->scale));
    put_fixed64(e->out, 7, h->zero_count);
    put_buckets(e, 8, h, false);
    put_buckets(e, 9, h, true);
    put_number(e->out, 10, point_flags(e->p, i));
    put_exemplars(e, 11, i);
    put_optional(e, 12, h, HISTOGRAM_HAS_MIN, h->min);
    put_optional(e, 13, h, HISTOGRAM_HAS_MAX, h->max);
    put_fixed64(e->out, 14, h->zero_threshold);
}

static void put_summary_point(struct encoder *e, uint32_t i) {
    const struct points_histogram *h = &e->p->histograms[point_value(e->p, i)];
    const uint64_t *quantiles = histogram_numbers(e->p, h, NUMBERS_BOUNDS);
    const uint64_t *values = histogram_numbers(e->p, h, NUMBERS_POSITIVE);
    put_times(e, i, h);
    put_fixed64(e->out, 5, h->sum);
    for (uint32_t q = 0; q < h->n[NUMBERS_BOUNDS] && q < h->n[NUMBERS_POSITIVE]; q++) {
        size_t start = open_message(e->out, 6);
        put_fixed64(e->out, 1, quantiles[q]);
        put_fixed64(e->out, 2, values[q]);
        close_message(e->out, start);
    }
    put_labels(e, 7, points_labels_of(e->p, point_series(e->p, i)));
    put_number(e->out, 8, point_flags(e->p, i));
}

/* ---- groups: each takes the points from i on that are its own, and returns the first that is not ------------------- */

static uint32_t put_metric(struct encoder *e, uint32_t i) {
    static const struct {
        uint32_t field;
        void (*put)(struct encoder *, uint32_t);
    } kinds[METRIC_KINDS] = {[METRIC_GAUGE] = {5, put_number_point},
                             [METRIC_SUM] = {7, put_number_point},
                             [METRIC_HISTOGRAM] = {9, put_histogram_point},
                             [METRIC_EXPONENTIAL] = {10, put_exponential_point},
                             [METRIC_SUMMARY] = {11, put_summary_point}};
    const struct points_metric *m = point_metric(e->p, i);
    size_t metric = open_message(e->out, 2);
    put_name(e->out, 1, e->p, m->name);
    put_name(e->out, 2, e->p, m->description);
    put_name(e->out, 3, e->p, m->unit);
    size_t data = open_message(e->out, kinds[m->kind].field);
    for (; i < e->p->n && point_metric(e->p, i) == m; i++) {
        size_t point = open_message(e->out, 1);
        kinds[m->kind].put(e, i);
        close_message(e->out, point);
    }
    put_number(e->out, 2, (uint64_t)(int64_t)(int32_t)m->temporality);
    put_number(e->out, 3, m->monotonic);
    close_message(e->out, data);
    put_labels(e, 12, points_string(e->p, m->metadata));
    close_message(e->out, metric);
    return i;
}

static uint32_t put_scope_group(struct encoder *e, uint32_t i) {
    uint32_t resource = point_metric(e->p, i)->resource, scope = point_metric(e->p, i)->scope;
    const struct points_scope *s = &e->p->scopes[scope];
    size_t group = open_message(e->out, 2), before = e->out->n, message = open_message(e->out, 1);
    put_name(e->out, 1, e->p, s->name);
    put_name(e->out, 2, e->p, s->version);
    put_labels(e, 3, points_string(e->p, s->attributes));
    put_number(e->out, 4, s->dropped_attributes);
    close_message_if_any(e->out, message, before);
    while (i < e->p->n && point_metric(e->p, i)->resource == resource && point_metric(e->p, i)->scope == scope)
        i = put_metric(e, i);
    put_name(e->out, 3, e->p, s->schema_url);
    close_message(e->out, group);
    return i;
}

void points_encode_otlp(const struct points *p, struct buf *out) {
    struct encoder e = {p, out, 0};
    for (uint32_t i = 0; i < p->n;) {
        uint32_t resource = point_metric(p, i)->resource;
        const struct points_resource *r = &p->resources[resource];
        size_t group = open_message(out, 1), before = out->n, message = open_message(out, 1);
        put_labels(&e, 1, points_string(p, r->attributes));
        put_number(out, 2, r->dropped_attributes);
        close_message_if_any(out, message, before);
        while (i < p->n && point_metric(p, i)->resource == resource) i = put_scope_group(&e, i);
        put_name(out, 3, p, r->schema_url);
        close_message(out, group);
    }
}
