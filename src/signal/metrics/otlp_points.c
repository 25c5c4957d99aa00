/* ExportMetricsServiceRequest → points. A group's head (resource, scope, metric) is read before what is in it, wherever in the bytes
 * it stands: these levels are looked through twice, points once. A point that has exemplars is looked through a second time for them, when
 * it is known to stay.
 *
 * Fields may come in any order and repeatedly: the last scalar wins, attributes, buckets and messages accumulate; of several kinds of
 * data the last one counts, as protobuf has it. */
#include "signal/metrics/known_run_priv.h"

struct group {
    uint32_t resource, scope;
    struct hash128 resource_hash, scope_hash;
};

struct metric_in {
    uint32_t metric; /* row */
    struct hash128 hash;
    uint32_t kind;
};

/* The labels under way as a string, with their hash. */
static bool finish_labels(struct points_decoder *d, const struct labels_in *in, struct hash128 *hash, uint32_t *id) {
    const char *bad;
    return points_labels(d, LABELS_ATTRIBUTES, in->bytes, hash, id, &bad);
}

/* ---- points ------------------------------------------------------------------------------------------------------- */

/* What points of all kinds have. */
struct point_in {
    uint64_t start, time, value;
    uint32_t flags;
    enum point_kind kind;
    bool has_exemplars;
    struct labels_in labels;
};

static bool read_flags(struct wire *w, uint32_t *out) {
    uint64_t v;
    if (!wire_varint(w, &v)) return false;
    *out = (uint32_t)v;
    return true;
}

static void refuse(struct points_decoder *d, const struct metric_in *m, int reason, const char *what) {
    const struct points_metric *row = &d->b.metrics.v[m->metric];
    struct str resource = strings_get(&d->b.strings, d->b.resources.v[row->resource].attributes);
    points_refuse_of(d, row, resource, (enum points_reason)reason, what);
}

/* Whether the point is within the limits; it is counted if not. */
static bool is_welcome(struct points_decoder *d, const struct metric_in *m, const struct point_in *in) {
    int64_t t = in->time > INT64_MAX ? INT64_MAX : (int64_t)in->time;
    int reason = points_time_reason(d, t);
    if (in->labels.n > OTLP_LABELS_MAX) reason = POINTS_TOO_MANY;
    if (__builtin_expect(reason == POINT_TAKEN, 1)) return true;
    refuse(d, m, reason, NULL);
    return false;
}

/* The point's series row and the point itself. */
static bool add_point(struct points_decoder *d, const struct metric_in *m, const struct point_in *in,
                      const unsigned char *at, uint32_t *out) {
    struct series_labels labels;
    const char *bad;
    uint32_t i;
    if (!(in->labels.entry ? points_labels_kept(d, in->labels.entry, &labels)
                           : points_series_labels(d, LABELS_POINT, in->labels.bytes, &labels, &bad)))
        return false;
    if (!points_add(d, at, m->metric, &labels, points_hash_series(m->hash, labels.hash)) ||
        !points_add_point(d, at, &i))
        return false;
    d->b.time[i] = in->time;
    d->b.start[i] = in->start;
    d->b.value[i] = in->value;
    d->b.flags[i] = in->flags;
    d->b.kind[i] = (uint8_t)in->kind;
    *out = i;
    return true;
}

static bool read_value(struct wire *w, enum point_kind kind, uint64_t *value, enum point_kind *out_kind) {
    *out_kind = kind;
    return wire_fixed64(w, value);
}

static bool decode_exemplar(struct points_decoder *d, struct wire w, uint32_t point) {
    struct points_exemplar e = {.series = d->b.series_of[point], .point = point};
    struct wire span = {0}, trace = {0};
    struct labels_in labels = {0};
    struct hash128 hash;
    enum point_kind kind = POINT_EMPTY;
    const unsigned char *at = w.p;
    while (w.p < w.end) {
        uint32_t tag;
        bool ok;
        if (*w.p == OTLP_LABEL_TAG) {
            if (!points_labels_run(d, &labels, OTLP_LABEL_TAG, OTLP_LABEL_TAG, &w)) return false;
            continue;
        }
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        switch (tag) {
        case WIRE_TAG(2, WIRE_FIXED64): ok = wire_fixed64(&w, &e.time); break;
        case WIRE_TAG(3, WIRE_FIXED64): ok = read_value(&w, POINT_DOUBLE, &e.value, &kind); break;
        case WIRE_TAG(4, WIRE_BYTES): ok = wire_bytes(&w, &span); break;
        case WIRE_TAG(5, WIRE_BYTES): ok = wire_bytes(&w, &trace); break;
        case WIRE_TAG(6, WIRE_FIXED64): ok = read_value(&w, POINT_INT, &e.value, &kind); break;
        default: ok = wire_skip(&w, tag);
        }
        if (!ok) return points_malformed(d, w);
    }
    bool ids = (wire_left(&span) == 8 || wire_left(&span) == 0) && (wire_left(&trace) == 16 || wire_left(&trace) == 0);
    if (!ids || labels.n > OTLP_LABELS_MAX) {
        d->result.exemplars_rejected++;
        return true;
    }
    if (wire_left(&span)) memcpy(&e.span_id, span.p, 8);
    if (wire_left(&trace)) memcpy(e.trace_id, trace.p, 16);
    e.kind = kind;
    if (!finish_labels(d, &labels, &hash, &e.labels) || !points_room(d, d->b.exemplars, at)) return false;
    *vec_push(&d->b.exemplars) = e;
    return true;
}

/* The second look at a point that has exemplars; its fields are known to be well formed. */
static bool decode_exemplars(struct points_decoder *d, struct wire w, uint32_t field, uint32_t point) {
    uint32_t tag;
    while (w.p < w.end && wire_tag(&w, &tag)) {
        struct wire exemplar;
        if (tag == WIRE_TAG(field, WIRE_BYTES)) {
            if (!wire_bytes(&w, &exemplar) || !decode_exemplar(d, exemplar, point)) return points_malformed(d, w);
        } else if (!wire_skip(&w, tag))
            return points_malformed(d, w);
    }
    return true;
}

/* Attributes that come next are passed over whole. */
HOT_INLINE bool number_labels(struct points_decoder *d, struct labels_in *in, struct wire *w) {
    struct known_labels *e = in->n ? NULL : points_labels_expected(d, LABELS_POINT, OTLP_LABEL_TAG, w);
    if (!e) return points_labels_run(d, in, OTLP_LABEL_TAG, OTLP_LABEL_TAG, w);
    *in = (struct labels_in){str_span(w->p, e->came_n), 1, e};
    w->p += e->came_n;
    return true;
}

/* Fields of a NumberDataPoint, all of them with tags of one byte. */
HOT_INLINE bool number_field(struct points_decoder *d, struct point_in *in, struct wire *w) {
    struct wire skipped;
    uint32_t tag;
    switch (*w->p) {
    case OTLP_LABEL_TAG: return number_labels(d, &in->labels, w);
    case WIRE_TAG(2, WIRE_FIXED64): w->p++; return wire_fixed64(w, &in->start);
    case WIRE_TAG(3, WIRE_FIXED64): w->p++; return wire_fixed64(w, &in->time);
    case WIRE_TAG(4, WIRE_FIXED64): w->p++; return read_value(w, POINT_DOUBLE, &in->value, &in->kind);
    case WIRE_TAG(5, WIRE_BYTES):
        w->p++;
        in->has_exemplars = true;
        return wire_bytes(w, &skipped);
    case WIRE_TAG(6, WIRE_FIXED64): w->p++; return read_value(w, POINT_INT, &in->value, &in->kind);
    case WIRE_TAG(8, WIRE_VARINT): w->p++; return read_flags(w, &in->flags);
    default: return wire_tag(w, &tag) && wire_skip(w, tag);
    }
}

static bool decode_number(struct points_decoder *d, const struct metric_in *m, struct wire message) {
    struct point_in in = {.kind = POINT_EMPTY};
    struct wire w = message;
    uint32_t point;
    while (w.p < w.end)
        if (!number_field(d, &in, &w)) return points_malformed(d, w);
    if (!is_welcome(d, m, &in)) return true;
    if (!add_point(d, m, &in, message.p, &point)) return false;
    return !__builtin_expect(in.has_exemplars, 0) || decode_exemplars(d, message, 5, point);
}

enum { FIXED_FIELD = 9, PLAIN_HEAD = 3 + 3 * FIXED_FIELD }; /* tag, size, start, time, value */

/* What a point without anything unusual begins with: up to three fields in the order of every sender. Where it is its attributes' turn; NULL:
 * something else. */
HOT_INLINE const unsigned char *read_plain_head(const unsigned char *p, struct known_point *out) {
    out->start = 0;
    if (*p == WIRE_TAG(2, WIRE_FIXED64)) {
        memcpy(&out->start, p + 1, sizeof out->start);
        p += FIXED_FIELD;
    }
    if (*p != WIRE_TAG(3, WIRE_FIXED64)) return NULL;
    memcpy(&out->time, p + 1, sizeof out->time);
    p += FIXED_FIELD;
    if (*p != WIRE_TAG(4, WIRE_FIXED64) && *p != WIRE_TAG(6, WIRE_FIXED64)) return NULL;
    out->kind = *p == WIRE_TAG(4, WIRE_FIXED64) ? POINT_DOUBLE : POINT_INT;
    memcpy(&out->value, p + 1, sizeof out->value);
    return p + FIXED_FIELD;
}

/* As many number points as have nothing but times, a value, and the attributes that were expected or none; what is unusual about one is left to
 * decode_number. *w stands behind the last. */
static void decode_known_numbers(struct points_decoder *d, const struct metric_in *m, struct wire *w) {
    struct known_run r;
    struct known_point point;
    const unsigned char *p = w->p, *end = w->end, *body_end = (const unsigned char *)d->body.p + d->body.n;
    known_run_begin(d, &r);
    while (r.room > 0 && body_end - p >= PLAIN_HEAD && p < end && p[0] == WIRE_TAG(1, WIRE_BYTES)) {
        const struct known_labels *e = r.next;
        const unsigned char *at = p + 2;
        size_t size = p[1];
        if (size >= 0x80) {
            if (*at >= 0x80) break;
            size = (size & 0x7f) | (size_t)*at++ << 7;
        }
        const unsigned char *labels = read_plain_head(at, &point);
        if (!labels || at > end || size > (size_t)(end - at) || size < (size_t)(labels - at) ||
            points_time_reason(d, point.time > INT64_MAX ? INT64_MAX : (int64_t)point.time) != POINT_TAKEN)
            break;
        size_t n = size - (size_t)(labels - at);
        if (n == 0) {
            known_run_row(&r, m->metric, NULL, 0, points_hash_series(m->hash, d->no_labels), &point);
        } else {
            if (e->kind != LABELS_POINT + 1 || n != e->came_n || memcmp(labels, e->came, n) != 0 ||
                !known_run_takes(d, &r))
                break;
            known_run_add(d, &r, m->metric, points_hash_series(m->hash, e->hash), &point);
        }
        p = at + size;
    }
    known_run_end(d, &r);
    w->p = p;
}

static bool read_optional(struct wire *w, struct points_histogram *h, uint32_t flag, uint64_t *out) {
    h->flags |= flag;
    return wire_fixed64(w, out);
}

static bool histogram_field(struct points_decoder *d, struct point_in *in, struct points_histogram *h, struct wire *w) {
    struct wire skipped;
    uint32_t tag;
    if (*w->p == WIRE_TAG(9, WIRE_BYTES))
        return points_labels_run(d, &in->labels, WIRE_TAG(9, WIRE_BYTES), OTLP_LABEL_TAG, w);
    if (!wire_tag(w, &tag)) return false;
    switch (tag) {
    case WIRE_TAG(2, WIRE_FIXED64): return wire_fixed64(w, &in->start);
    case WIRE_TAG(3, WIRE_FIXED64): return wire_fixed64(w, &in->time);
    case WIRE_TAG(4, WIRE_FIXED64): return wire_fixed64(w, &h->count);
    case WIRE_TAG(5, WIRE_FIXED64): return read_optional(w, h, HISTOGRAM_HAS_SUM, &h->sum);
    case WIRE_TAG(6, WIRE_FIXED64):
    case WIRE_TAG(6, WIRE_BYTES): return points_list_fixed(d, NUMBERS_POSITIVE, tag, w);
    case WIRE_TAG(7, WIRE_FIXED64):
    case WIRE_TAG(7, WIRE_BYTES): return points_list_fixed(d, NUMBERS_BOUNDS, tag, w);
    case WIRE_TAG(8, WIRE_BYTES): in->has_exemplars = true; return wire_bytes(w, &skipped);
    case WIRE_TAG(10, WIRE_VARINT): return read_flags(w, &in->flags);
    case WIRE_TAG(11, WIRE_FIXED64): return read_optional(w, h, HISTOGRAM_HAS_MIN, &h->min);
    case WIRE_TAG(12, WIRE_FIXED64): return read_optional(w, h, HISTOGRAM_HAS_MAX, &h->max);
    default: return wire_skip(w, tag);
    }
}

static bool read_signed(struct wire *w, int32_t *out) {
    uint64_t v;
    if (!wire_varint(w, &v)) return false;
    *out = (int32_t)unzigzag(v & UINT32_MAX);
    return true;
}

static bool read_buckets(struct points_decoder *d, struct points_histogram *h, bool negative, struct wire *outer) {
    int32_t *offset = negative ? &h->negative_offset : &h->positive_offset;
    struct wire w;
    uint32_t tag;
    h->flags |= negative ? HISTOGRAM_HAS_NEGATIVE : HISTOGRAM_HAS_POSITIVE;
    if (!wire_bytes(outer, &w)) return false;
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag == WIRE_TAG(1, WIRE_VARINT))
            ok = read_signed(&w, offset);
        else if (tag == WIRE_TAG(2, WIRE_VARINT) || tag == WIRE_TAG(2, WIRE_BYTES))
            ok = points_list_varint(d, negative ? NUMBERS_NEGATIVE : NUMBERS_POSITIVE, false, tag, &w);
        else
            ok = wire_skip(&w, tag);
        if (!ok) return points_malformed(d, w);
    }
    return true;
}

static bool exponential_field(struct points_decoder *d, struct point_in *in, struct points_histogram *h,
                              struct wire *w) {
    struct wire skipped;
    uint32_t tag;
    if (*w->p == WIRE_TAG(1, WIRE_BYTES))
        return points_labels_run(d, &in->labels, WIRE_TAG(1, WIRE_BYTES), OTLP_LABEL_TAG, w);
    if (!wire_tag(w, &tag)) return false;
    switch (tag) {
    case WIRE_TAG(2, WIRE_FIXED64): return wire_fixed64(w, &in->start);
    case WIRE_TAG(3, WIRE_FIXED64): return wire_fixed64(w, &in->time);
    case WIRE_TAG(4, WIRE_FIXED64): return wire_fixed64(w, &h->count);
    case WIRE_TAG(5, WIRE_FIXED64): return read_optional(w, h, HISTOGRAM_HAS_SUM, &h->sum);
    case WIRE_TAG(6, WIRE_VARINT): return read_signed(w, &h->scale);
    case WIRE_TAG(7, WIRE_FIXED64): return wire_fixed64(w, &h->zero_count);
    case WIRE_TAG(8, WIRE_BYTES): return read_buckets(d, h, false, w);
    case WIRE_TAG(9, WIRE_BYTES): return read_buckets(d, h, true, w);
    case WIRE_TAG(10, WIRE_VARINT): return read_flags(w, &in->flags);
    case WIRE_TAG(11, WIRE_BYTES): in->has_exemplars = true; return wire_bytes(w, &skipped);
    case WIRE_TAG(12, WIRE_FIXED64): return read_optional(w, h, HISTOGRAM_HAS_MIN, &h->min);
    case WIRE_TAG(13, WIRE_FIXED64): return read_optional(w, h, HISTOGRAM_HAS_MAX, &h->max);
    case WIRE_TAG(14, WIRE_FIXED64): return wire_fixed64(w, &h->zero_threshold);
    default: return wire_skip(w, tag);
    }
}

/* A ValueAtQuantile; what is not sent is 0. */
static bool read_quantile(struct points_decoder *d, struct wire *outer) {
    struct wire w;
    uint64_t quantile = 0, value = 0;
    uint32_t tag;
    if (!wire_bytes(outer, &w)) return false;
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag == WIRE_TAG(1, WIRE_FIXED64))
            ok = wire_fixed64(&w, &quantile);
        else if (tag == WIRE_TAG(2, WIRE_FIXED64))
            ok = wire_fixed64(&w, &value);
        else
            ok = wire_skip(&w, tag);
        if (!ok) return points_malformed(d, w);
    }
    points_list_add(&d->lists, NUMBERS_BOUNDS, quantile);
    points_list_add(&d->lists, NUMBERS_POSITIVE, value);
    return true;
}

static bool summary_field(struct points_decoder *d, struct point_in *in, struct points_histogram *h, struct wire *w) {
    uint32_t tag;
    if (*w->p == OTLP_LABEL_TAG) return points_labels_run(d, &in->labels, OTLP_LABEL_TAG, OTLP_LABEL_TAG, w);
    if (!wire_tag(w, &tag)) return false;
    switch (tag) {
    case WIRE_TAG(2, WIRE_FIXED64): return wire_fixed64(w, &in->start);
    case WIRE_TAG(3, WIRE_FIXED64): return wire_fixed64(w, &in->time);
    case WIRE_TAG(4, WIRE_FIXED64): return wire_fixed64(w, &h->count);
    case WIRE_TAG(5, WIRE_FIXED64): return wire_fixed64(w, &h->sum);
    case WIRE_TAG(6, WIRE_BYTES): return read_quantile(d, w);
    case WIRE_TAG(8, WIRE_VARINT): return read_flags(w, &in->flags);
    default: return wire_skip(w, tag);
    }
}

const char *points_histogram_fault(const struct points_decoder *d, enum point_kind kind,
                                   const struct points_histogram *h) {
    size_t counts = d->lists.v[NUMBERS_POSITIVE].n, bounds = d->lists.v[NUMBERS_BOUNDS].n;
    if (d->lists.too_many) return "over 65,536 buckets";
    if (kind == POINT_HISTOGRAM && (counts || bounds) && counts != bounds + 1)
        return "the buckets are not one more than the bounds";
    if (kind == POINT_HISTOGRAM && !points_bounds_rise(d->lists.v[NUMBERS_BOUNDS].v, (uint32_t)bounds))
        return "the bounds do not rise";
    if (kind == POINT_EXPONENTIAL && (h->positive_offset > INT32_MAX - (int32_t)counts ||
                                      h->negative_offset > INT32_MAX - (int32_t)d->lists.v[NUMBERS_NEGATIVE].n))
        return "the index of a bucket is over 2^31";
    return NULL;
}

void points_fill_unrecorded(struct points_decoder *d, enum point_kind kind, uint32_t flags) {
    size_t bounds = d->lists.v[NUMBERS_BOUNDS].n;
    if (kind != POINT_HISTOGRAM || !(flags & POINT_NO_RECORDED_VALUE) || d->lists.v[NUMBERS_POSITIVE].n) return;
    for (size_t i = 0; bounds && i <= bounds; i++) points_list_add(&d->lists, NUMBERS_POSITIVE, 0);
}

static bool decode_compound(struct points_decoder *d, const struct metric_in *m, struct wire message) {
    static const struct {
        enum point_kind kind;
        uint32_t exemplars; /* field */
        bool (*field)(struct points_decoder *, struct point_in *, struct points_histogram *, struct wire *);
    } kinds[METRIC_KINDS] = {[METRIC_HISTOGRAM] = {POINT_HISTOGRAM, 8, histogram_field},
                             [METRIC_EXPONENTIAL] = {POINT_EXPONENTIAL, 11, exponential_field},
                             [METRIC_SUMMARY] = {POINT_SUMMARY, 0, summary_field}};
    struct point_in in = {.kind = kinds[m->kind].kind};
    struct points_histogram h = {0};
    struct wire w = message;
    uint32_t point;
    points_lists_clear(&d->lists);
    while (w.p < w.end)
        if (!kinds[m->kind].field(d, &in, &h, &w)) return points_malformed(d, w);
    points_fill_unrecorded(d, in.kind, in.flags);
    const char *what = points_histogram_fault(d, in.kind, &h);
    if (what) refuse(d, m, POINTS_BAD_HISTOGRAM, what);
    if (what || !is_welcome(d, m, &in)) return true;
    if (!add_point(d, m, &in, message.p, &point) || !points_add_histogram(d, message.p, point, in.kind, &h))
        return false;
    return !in.has_exemplars || decode_exemplars(d, message, kinds[m->kind].exemplars, point);
}

/* ---- metrics ------------------------------------------------------------------------------------------------------ */

/* Of each kind the field of Metric that holds its data. */
static const uint8_t data_fields[METRIC_KINDS] = {
    [METRIC_GAUGE] = 5, [METRIC_SUM] = 7, [METRIC_HISTOGRAM] = 9, [METRIC_EXPONENTIAL] = 10, [METRIC_SUMMARY] = 11};

static uint32_t kind_of_field(uint32_t tag) {
    for (uint32_t kind = METRIC_GAUGE; kind < METRIC_KINDS; kind++)
        if (tag == WIRE_TAG(data_fields[kind], WIRE_BYTES)) return kind;
    return METRIC_NONE;
}

static bool read_name(struct points_decoder *d, struct wire *w, uint32_t *out) {
    struct wire text;
    if (!wire_bytes(w, &text)) return false;
    *out = points_text(d, text);
    return !d->fault.what;
}

/* Short points that lie side by side, as nearly all do. */
static void pass_points(struct wire *w) {
    while (wire_left(w) >= 2 && *w->p == WIRE_TAG(1, WIRE_BYTES) && w->p[1] < 0x80 && w->p[1] + 2u <= wire_left(w))
        w->p += 2 + w->p[1];
}

/* What a Sum or a histogram says beside its points. */
static bool decode_data_head(struct points_decoder *d, struct wire w, struct points_metric *m) {
    uint32_t tag;
    uint64_t v;
    pass_points(&w);
    while (w.p < w.end) {
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        bool scalar = tag == WIRE_TAG(2, WIRE_VARINT) || tag == WIRE_TAG(3, WIRE_VARINT);
        if (!(scalar ? wire_varint(&w, &v) : wire_skip(&w, tag))) return points_malformed(d, w);
        if (tag == WIRE_TAG(2, WIRE_VARINT) && m->kind != METRIC_GAUGE && m->kind != METRIC_SUMMARY)
            m->temporality = (uint32_t)v;
        if (tag == WIRE_TAG(3, WIRE_VARINT) && m->kind == METRIC_SUM) m->monotonic = v != 0;
    }
    return true;
}

static bool decode_metric_head(struct points_decoder *d, struct wire w, struct points_metric *m) {
    const unsigned char metadata_tag = WIRE_TAG(12, WIRE_BYTES);
    struct labels_in metadata = {0};
    struct hash128 hash;
    uint32_t tag;
    while (w.p < w.end) {
        bool ok;
        struct wire data = {0};
        if (*w.p == metadata_tag) {
            if (!points_labels_run(d, &metadata, metadata_tag, OTLP_LABEL_TAG, &w)) return false;
            continue;
        }
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        uint32_t kind = kind_of_field(tag);
        switch (tag) {
        case WIRE_TAG(1, WIRE_BYTES): ok = read_name(d, &w, &m->name); break;
        case WIRE_TAG(2, WIRE_BYTES): ok = read_name(d, &w, &m->description); break;
        case WIRE_TAG(3, WIRE_BYTES): ok = read_name(d, &w, &m->unit); break;
        default: ok = kind ? wire_bytes(&w, &data) : wire_skip(&w, tag);
        }
        if (!ok) return points_malformed(d, w);
        if (!kind) continue;
        if (kind != m->kind) m->temporality = m->monotonic = 0;
        m->kind = kind;
        if (!decode_data_head(d, data, m)) return false;
    }
    if (metadata.n > OTLP_LABELS_MAX) return points_fault(d, w.p, ERR_LIMIT, "over 16,384 attributes of metadata");
    return finish_labels(d, &metadata, &hash, &m->metadata);
}

static bool decode_data(struct points_decoder *d, const struct metric_in *m, struct wire w) {
    bool number = m->kind == METRIC_GAUGE || m->kind == METRIC_SUM;
    for (;;) {
        struct wire point;
        uint32_t tag;
        if (number) decode_known_numbers(d, m, &w);
        if (w.p >= w.end) break;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag != WIRE_TAG(1, WIRE_BYTES)) {
            if (!wire_skip(&w, tag)) return points_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &point)) return points_malformed(d, w);
        if (!(number ? decode_number(d, m, point) : decode_compound(d, m, point))) return false;
    }
    return true;
}

static bool decode_metric(struct points_decoder *d, const struct group *g, struct wire message) {
    struct points_metric row = {.resource = g->resource, .scope = g->scope};
    struct points_mark mark = points_builder_mark(&d->b);
    struct wire w = message;
    if (!decode_metric_head(d, message, &row)) return false;
    if (row.kind == METRIC_NONE) return true;
    if (!points_room(d, d->b.metrics, message.p)) return false;
    struct metric_in m = {.metric = (uint32_t)d->b.metrics.n, .kind = row.kind};
    m.hash = points_hash_metric(g->scope_hash, strings_get(&d->b.strings, row.name),
                                strings_get(&d->b.strings, row.unit), &row);
    *vec_push(&d->b.metrics) = row;
    while (w.p < w.end) {
        struct wire data = {0};
        uint32_t tag;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (kind_of_field(tag) != row.kind) {
            if (!wire_skip(&w, tag)) return points_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &data)) return points_malformed(d, w);
        if (!decode_data(d, &m, data)) return false;
    }
    if (d->b.n == mark.n) points_builder_rewind(&d->b, mark);
    return true;
}

/* ---- groups ------------------------------------------------------------------------------------------------------- */

/* A Resource or InstrumentationScope message: attributes onto what earlier ones of the group gave. */
static bool decode_shared(struct points_decoder *d, struct labels_in *labels, struct points_scope *s, bool scope,
                          struct wire *outer) {
    unsigned char attributes = scope ? WIRE_TAG(3, WIRE_BYTES) : WIRE_TAG(1, WIRE_BYTES);
    uint32_t dropped = scope ? WIRE_TAG(4, WIRE_VARINT) : WIRE_TAG(2, WIRE_VARINT), tag;
    struct wire w;
    if (!wire_bytes(outer, &w)) return false;
    while (w.p < w.end) {
        bool ok;
        if (*w.p == attributes) {
            if (!points_labels_run(d, labels, attributes, OTLP_LABEL_TAG, &w)) return false;
            continue;
        }
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag == dropped)
            ok = read_flags(&w, &s->dropped_attributes);
        else if (scope && tag == WIRE_TAG(1, WIRE_BYTES))
            ok = read_name(d, &w, &s->name);
        else if (scope && tag == WIRE_TAG(2, WIRE_BYTES))
            ok = read_name(d, &w, &s->version);
        else
            ok = wire_skip(&w, tag);
        if (!ok) return points_malformed(d, w);
    }
    return true;
}

/* The first look through a ResourceMetrics or ScopeMetrics: both have the resource or scope in field 1, what is in it in 2, the schema
 * URL in 3. */
static bool decode_group_head(struct points_decoder *d, bool scope, struct wire w, struct points_scope *out,
                              struct hash128 *out_hash) {
    struct labels_in labels = {0};
    uint32_t tag;
    *out = (struct points_scope){0};
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag == WIRE_TAG(1, WIRE_BYTES))
            ok = decode_shared(d, &labels, out, scope, &w);
        else if (tag == WIRE_TAG(3, WIRE_BYTES))
            ok = read_name(d, &w, &out->schema_url);
        else
            ok = wire_skip(&w, tag);
        if (!ok) return points_malformed(d, w);
    }
    if (labels.n > OTLP_LABELS_MAX)
        return points_fault(d, w.p, ERR_LIMIT, "over 16,384 attributes of a resource or scope");
    return finish_labels(d, &labels, out_hash, &out->attributes);
}

static bool decode_scope_group(struct points_decoder *d, struct group g, struct wire w) {
    struct points_mark mark = points_builder_mark(&d->b);
    struct points_scope s;
    struct hash128 attributes;
    uint32_t tag;
    if (!decode_group_head(d, true, w, &s, &attributes) || !points_room(d, d->b.scopes, w.p)) return false;
    struct strings *strings = &d->b.strings;
    g.scope_hash = points_hash_scope(g.resource_hash, strings_get(strings, s.name), strings_get(strings, s.version),
                                     strings_get(strings, s.attributes), strings_get(strings, s.schema_url));
    g.scope = (uint32_t)d->b.scopes.n;
    *vec_push(&d->b.scopes) = s;
    while (w.p < w.end) {
        struct wire metric;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag != WIRE_TAG(2, WIRE_BYTES)) {
            if (!wire_skip(&w, tag)) return points_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &metric)) return points_malformed(d, w);
        if (!decode_metric(d, &g, metric)) return false;
    }
    if (d->b.n == mark.n) points_builder_rewind(&d->b, mark);
    return true;
}

static bool decode_resource_group(struct points_decoder *d, struct wire w) {
    struct points_mark mark = points_builder_mark(&d->b);
    struct points_scope r;
    struct group g = {0};
    uint32_t tag;
    if (!decode_group_head(d, false, w, &r, &g.resource_hash) || !points_room(d, d->b.resources, w.p)) return false;
    g.resource = (uint32_t)d->b.resources.n;
    *vec_push(&d->b.resources) = (struct points_resource){r.attributes, r.schema_url, r.dropped_attributes};
    while (w.p < w.end) {
        struct wire scope;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag != WIRE_TAG(2, WIRE_BYTES)) {
            if (!wire_skip(&w, tag)) return points_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &scope)) return points_malformed(d, w);
        if (!decode_scope_group(d, g, scope)) return false;
    }
    if (d->b.n == mark.n) points_builder_rewind(&d->b, mark);
    return true;
}

static bool decode_request(struct points_decoder *d, struct str body) {
    struct wire w = wire_of(body);
    uint32_t tag;
    while (w.p < w.end) {
        struct wire group;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag == WIRE_TAG(1, WIRE_BYTES)) {
            if (!wire_bytes(&w, &group)) return points_malformed(d, w);
            if (!decode_resource_group(d, group)) return false;
        } else if (!wire_skip(&w, tag))
            return points_malformed(d, w);
    }
    return true;
}

err points_decode_otlp(struct points_decoder *d, struct str body, const struct otlp_limits *limits,
                       struct points_result *out) {
    return points_run(d, POINTS_OTLP, decode_request, body, limits, out) ? NULL : fault_err(&d->fault, body);
}
