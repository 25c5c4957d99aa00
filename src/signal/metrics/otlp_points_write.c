/* Points → OTLP/JSON (specification 1.11, "JSON Protobuf Encoding"): lowerCamelCase, ids as hex, 64-bit numbers as strings, enumerations as
 * numbers, members that are zero left out. A NaN is "NaN", whatever its bits. */
#include "base/json.h"
#include "signal/metrics/points_decode.h"
#include "signal/metrics/points_priv.h"

struct writer {
    struct json_writer *w;
    const struct points *p;
    uint32_t exemplar; /* the next one */
};

static void write_text(struct writer *x, const char *key, uint32_t id) {
    struct str text = points_string(x->p, id);
    if (!text.n) return;
    json_key(x->w, str_of(key));
    json_str(x->w, text);
}

static void write_number(struct writer *x, const char *key, int64_t v) {
    if (!v) return;
    json_key(x->w, str_of(key));
    json_i64(x->w, v);
}

static void write_u64(struct writer *x, const char *key, uint64_t v) {
    if (!v) return;
    json_key(x->w, str_of(key));
    json_u64_text(x->w, v);
}

static void write_double(struct writer *x, const char *key, uint64_t bits) {
    json_key(x->w, str_of(key));
    json_f64(x->w, bits_double(bits));
}

static void write_optional(struct writer *x, const char *key, const struct points_histogram *h, uint32_t flag,
                           uint64_t bits) {
    if (h->flags & flag) write_double(x, key, bits);
}

static void write_value(struct writer *x, enum point_kind kind, uint64_t value) {
    AUTO_BUF struct buf text;
    buf_init(&text, 32);
    if (kind == POINT_DOUBLE) write_double(x, "asDouble", value);
    if (kind != POINT_INT) return;
    buf_add_fmt(&text, "%lld", (long long)value);
    json_member(x->w, "asInt", str, buf_str(&text));
}

static void write_labels(struct writer *x, const char *member, struct str labels) {
    struct str rest = labels, key, value;
    if (!rest.n) return;
    json_key(x->w, str_of(member));
    json_array(x->w);
    while (points_label_next(&rest, &key, &value)) {
        json_object(x->w);
        json_member(x->w, "key", str, key);
        json_key(x->w, STR("value"));
        any_write_json(x->w, wire_of(value));
        json_object_end(x->w);
    }
    json_array_end(x->w);
}

/* ---- points ------------------------------------------------------------------------------------------------------------- */

static void write_exemplar(struct writer *x, const struct points_exemplar *e) {
    static const unsigned char zero[16];
    json_object(x->w);
    write_labels(x, "filteredAttributes", points_string(x->p, e->labels));
    write_u64(x, "timeUnixNano", e->time);
    write_value(x, (enum point_kind)e->kind, e->value);
    if (e->span_id) json_member(x->w, "spanId", hex, &e->span_id, 8);
    if (memcmp(e->trace_id, zero, 16) != 0) json_member(x->w, "traceId", hex, e->trace_id, 16);
    json_object_end(x->w);
}

static void write_exemplars(struct writer *x, uint32_t point) {
    const struct points *p = x->p;
    while (x->exemplar < p->exemplar_count && p->exemplars[x->exemplar].point < point) x->exemplar++;
    if (x->exemplar == p->exemplar_count || p->exemplars[x->exemplar].point != point) return;
    json_key(x->w, STR("exemplars"));
    json_array(x->w);
    for (; x->exemplar < p->exemplar_count && p->exemplars[x->exemplar].point == point; x->exemplar++)
        write_exemplar(x, &p->exemplars[x->exemplar]);
    json_array_end(x->w);
}

static void write_counts(struct writer *x, const struct points_histogram *h, int list) {
    if (!h->n[list]) return;
    json_key(x->w, STR("bucketCounts"));
    json_array(x->w);
    for (uint32_t i = 0; i < h->n[list]; i++) json_u64_text(x->w, histogram_numbers(x->p, h, list)[i]);
    json_array_end(x->w);
}

static void write_bounds(struct writer *x, const struct points_histogram *h) {
    if (!h->n[NUMBERS_BOUNDS]) return;
    json_key(x->w, STR("explicitBounds"));
    json_array(x->w);
    for (uint32_t i = 0; i < h->n[NUMBERS_BOUNDS]; i++)
        json_f64(x->w, bits_double(histogram_numbers(x->p, h, NUMBERS_BOUNDS)[i]));
    json_array_end(x->w);
}

static void write_buckets(struct writer *x, const char *member, const struct points_histogram *h, bool negative) {
    if (!(h->flags & (negative ? HISTOGRAM_HAS_NEGATIVE : HISTOGRAM_HAS_POSITIVE))) return;
    json_key(x->w, str_of(member));
    json_object(x->w);
    write_number(x, "offset", negative ? h->negative_offset : h->positive_offset);
    write_counts(x, h, negative ? NUMBERS_NEGATIVE : NUMBERS_POSITIVE);
    json_object_end(x->w);
}

static void write_quantiles(struct writer *x, const struct points_histogram *h) {
    uint32_t n = MIN(h->n[NUMBERS_BOUNDS], h->n[NUMBERS_POSITIVE]);
    if (!n) return;
    json_key(x->w, STR("quantileValues"));
    json_array(x->w);
    for (uint32_t i = 0; i < n; i++) {
        json_object(x->w);
        write_double(x, "quantile", histogram_numbers(x->p, h, NUMBERS_BOUNDS)[i]);
        write_double(x, "value", histogram_numbers(x->p, h, NUMBERS_POSITIVE)[i]);
        json_object_end(x->w);
    }
    json_array_end(x->w);
}

static void write_compound(struct writer *x, enum point_kind kind, const struct points_histogram *h) {
    write_u64(x, "count", h->count);
    if (kind == POINT_SUMMARY) {
        if (h->sum) write_double(x, "sum", h->sum);
        write_quantiles(x, h);
        return;
    }
    write_optional(x, "sum", h, HISTOGRAM_HAS_SUM, h->sum);
    if (kind == POINT_HISTOGRAM) {
        write_counts(x, h, NUMBERS_POSITIVE);
        write_bounds(x, h);
    } else {
        write_number(x, "scale", h->scale);
        write_u64(x, "zeroCount", h->zero_count);
        write_buckets(x, "positive", h, false);
        write_buckets(x, "negative", h, true);
        if (h->zero_threshold) write_double(x, "zeroThreshold", h->zero_threshold);
    }
    write_optional(x, "min", h, HISTOGRAM_HAS_MIN, h->min);
    write_optional(x, "max", h, HISTOGRAM_HAS_MAX, h->max);
}

static void write_point(struct writer *x, uint32_t i) {
    const struct points *p = x->p;
    enum point_kind kind = point_kind(p, i);
    json_object(x->w);
    write_labels(x, "attributes", points_labels_of(p, point_series(p, i)));
    write_u64(x, "startTimeUnixNano", point_start(p, i));
    write_u64(x, "timeUnixNano", point_time(p, i));
    if (point_is_compound(kind))
        write_compound(x, kind, &p->histograms[point_value(p, i)]);
    else
        write_value(x, kind, point_value(p, i));
    write_exemplars(x, i);
    write_number(x, "flags", point_flags(p, i));
    json_object_end(x->w);
}

/* ---- groups: each takes the points from i on that are its own, and returns the first that is not ------------------------ */

static uint32_t write_metric(struct writer *x, uint32_t i) {
    static const char *const kinds[METRIC_KINDS] = {"", "gauge", "sum", "histogram", "exponentialHistogram", "summary"};
    const struct points_metric *m = point_metric(x->p, i);
    json_object(x->w);
    write_text(x, "name", m->name);
    write_text(x, "description", m->description);
    write_text(x, "unit", m->unit);
    json_key(x->w, str_of(kinds[m->kind]));
    json_object(x->w);
    write_number(x, "aggregationTemporality", (int32_t)m->temporality);
    if (m->monotonic) json_member(x->w, "isMonotonic", bool, true);
    json_key(x->w, STR("dataPoints"));
    json_array(x->w);
    for (; i < x->p->n && point_metric(x->p, i) == m; i++) write_point(x, i);
    json_array_end(x->w);
    json_object_end(x->w);
    write_labels(x, "metadata", points_string(x->p, m->metadata));
    json_object_end(x->w);
    return i;
}

static uint32_t write_scope_group(struct writer *x, uint32_t i) {
    uint32_t resource = point_metric(x->p, i)->resource, scope = point_metric(x->p, i)->scope;
    const struct points_scope *s = &x->p->scopes[scope];
    json_object(x->w);
    json_key(x->w, STR("scope"));
    json_object(x->w);
    write_text(x, "name", s->name);
    write_text(x, "version", s->version);
    write_labels(x, "attributes", points_string(x->p, s->attributes));
    write_number(x, "droppedAttributesCount", s->dropped_attributes);
    json_object_end(x->w);
    json_key(x->w, STR("metrics"));
    json_array(x->w);
    while (i < x->p->n && point_metric(x->p, i)->resource == resource && point_metric(x->p, i)->scope == scope)
        i = write_metric(x, i);
    json_array_end(x->w);
    write_text(x, "schemaUrl", s->schema_url);
    json_object_end(x->w);
    return i;
}

static uint32_t write_resource_group(struct writer *x, uint32_t i) {
    uint32_t resource = point_metric(x->p, i)->resource;
    const struct points_resource *r = &x->p->resources[resource];
    json_object(x->w);
    json_key(x->w, STR("resource"));
    json_object(x->w);
    write_labels(x, "attributes", points_string(x->p, r->attributes));
    write_number(x, "droppedAttributesCount", r->dropped_attributes);
    json_object_end(x->w);
    json_key(x->w, STR("scopeMetrics"));
    json_array(x->w);
    while (i < x->p->n && point_metric(x->p, i)->resource == resource) i = write_scope_group(x, i);
    json_array_end(x->w);
    write_text(x, "schemaUrl", r->schema_url);
    json_object_end(x->w);
    return i;
}

void points_write_otlp_json(const struct points *p, struct json_writer *out) {
    struct writer x = {out, p, 0};
    json_object(out);
    json_key(out, STR("resourceMetrics"));
    json_array(out);
    for (uint32_t i = 0; i < p->n;) i = write_resource_group(&x, i);
    json_array_end(out);
    json_object_end(out);
}
