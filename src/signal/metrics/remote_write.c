/* prometheus.WriteRequest and io.prometheus.write.v2.Request → points. A series is looked through for its labels (and metadata) first,
 * wherever in its bytes they stand, then for samples. The two versions differ in what labels are made of (2.0: references into a table of
 * symbols, of which the bytes of 1.0 are made), in where metadata stands, and in start times. */
#include "signal/metrics/known_run_priv.h"

enum { SYMBOLS_MAX = 1 << 20 };

/* A series under way. */
struct series_in {
    int version;
    struct str labels;
    uint32_t points; /* how many samples and histograms it has */
    uint32_t metric;
    uint64_t start; /* created_timestamp, ms */
};

/* ---- labels of 2.0 -------------------------------------------------------------------------------------------------- */

/* Labels out of references; *out_bad: they are none. */
static bool resolve_refs(struct points_decoder *d, struct wire refs, struct str *out, const char **out_bad) {
    uint64_t pair[2];
    int n = 0;
    buf_clear(&d->scratch);
    while (refs.p < refs.end) {
        if (!wire_varint(&refs, &pair[n])) return points_malformed(d, refs);
        if (pair[n] >= d->symbols.n) *out_bad = "a reference to a symbol that is not there";
        n ^= 1;
        if (n == 0 && !*out_bad && !points_scratch_label(d, d->symbols.v[pair[0]], d->symbols.v[pair[1]])) return false;
    }
    if (n && !*out_bad) *out_bad = "a label name without a value";
    *out = buf_str(&d->scratch);
    return true;
}

/* ---- samples, histograms, exemplars ---------------------------------------------------------------------------------- */

HOT_INLINE bool keep_point(struct points_decoder *d, const unsigned char *at, int64_t time, uint64_t start,
                           uint32_t *out) {
    int reason = points_time_reason(d, time);
    *out = NO_POINT;
    if (__builtin_expect(reason != POINT_TAKEN, 0)) {
        points_refuse(d, (enum points_reason)reason, 1, NULL);
        return true;
    }
    if (!points_add_point(d, at, out)) return false;
    d->b.time[*out] = (uint64_t)time;
    d->b.start[*out] = start;
    d->b.kind[*out] = POINT_DOUBLE;
    return true;
}

HOT_INLINE bool decode_sample(struct points_decoder *d, const struct series_in *s, struct wire w) {
    uint64_t value = 0, time = 0, start = s->start;
    uint32_t tag, point;
    const unsigned char *at = w.p;
    if (wire_left(&w) > 10 && w.p[0] == WIRE_TAG(1, WIRE_FIXED64) && w.p[9] == WIRE_TAG(2, WIRE_VARINT)) {
        memcpy(&value, w.p + 1, sizeof value); /* as every sender writes it */
        w.p += 10;
        if (!wire_varint(&w, &time)) return points_malformed(d, w);
    }
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        switch (tag) {
        case WIRE_TAG(1, WIRE_FIXED64): ok = wire_fixed64(&w, &value); break;
        case WIRE_TAG(2, WIRE_VARINT): ok = wire_varint(&w, &time); break;
        case WIRE_TAG(3, WIRE_VARINT): ok = wire_varint(&w, s->version == 2 ? &start : &(uint64_t){0}); break;
        default: ok = wire_skip(&w, tag);
        }
        if (!ok) return points_malformed(d, w);
    }
    if (!keep_point(d, at, (int64_t)time, start, &point)) return false;
    if (point != NO_POINT) d->b.value[point] = value;
    return true;
}

static bool read_span(struct points_decoder *d, int list, struct wire *outer) {
    struct wire w;
    uint64_t offset = 0, length = 0;
    uint32_t tag;
    if (!wire_bytes(outer, &w)) return false;
    while (w.p < w.end) {
        bool ok;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag == WIRE_TAG(1, WIRE_VARINT))
            ok = wire_varint(&w, &offset);
        else if (tag == WIRE_TAG(2, WIRE_VARINT))
            ok = wire_varint(&w, &length);
        else
            ok = wire_skip(&w, tag);
        if (!ok) return points_malformed(d, w);
    }
    points_list_add(&d->lists, list, (uint64_t)(uint32_t)unzigzag(offset & UINT32_MAX) << 32 | (uint32_t)length);
    return true;
}

/* A native histogram under way: which forms its numbers had. */
struct native_in {
    struct points_histogram h;
    uint64_t time, start;
    bool integers, floats; /* counts or buckets of that form were there */
};

static bool read_count(struct wire *w, struct native_in *in, bool is_float, uint64_t *out) {
    in->integers |= !is_float;
    in->floats |= is_float;
    return is_float ? wire_fixed64(w, out) : wire_varint(w, out);
}

static bool read_deltas(struct points_decoder *d, struct native_in *in, int list, uint32_t tag, struct wire *w) {
    in->integers = true;
    return points_list_varint(d, list, true, tag, w);
}

static bool read_floats(struct points_decoder *d, struct native_in *in, int list, uint32_t tag, struct wire *w) {
    in->floats = true;
    return points_list_fixed(d, list, tag, w);
}

static bool native_field(struct points_decoder *d, struct native_in *in, uint32_t tag, struct wire *w) {
    uint64_t v = 0;
    struct points_histogram *h = &in->h;
    switch (tag) {
    case WIRE_TAG(1, WIRE_VARINT): return read_count(w, in, false, &h->count);
    case WIRE_TAG(2, WIRE_FIXED64): return read_count(w, in, true, &h->count);
    case WIRE_TAG(3, WIRE_FIXED64): return wire_fixed64(w, &h->sum);
    case WIRE_TAG(4, WIRE_VARINT):
        if (!wire_varint(w, &v)) return false;
        h->scale = (int32_t)unzigzag(v & UINT32_MAX);
        return true;
    case WIRE_TAG(5, WIRE_FIXED64): return wire_fixed64(w, &h->zero_threshold);
    case WIRE_TAG(6, WIRE_VARINT): return read_count(w, in, false, &h->zero_count);
    case WIRE_TAG(7, WIRE_FIXED64): return read_count(w, in, true, &h->zero_count);
    case WIRE_TAG(8, WIRE_BYTES): return read_span(d, NUMBERS_NEGATIVE_SPANS, w);
    case WIRE_TAG(9, WIRE_VARINT):
    case WIRE_TAG(9, WIRE_BYTES): return read_deltas(d, in, NUMBERS_NEGATIVE, tag, w);
    case WIRE_TAG(10, WIRE_FIXED64):
    case WIRE_TAG(10, WIRE_BYTES): return read_floats(d, in, NUMBERS_NEGATIVE, tag, w);
    case WIRE_TAG(11, WIRE_BYTES): return read_span(d, NUMBERS_POSITIVE_SPANS, w);
    case WIRE_TAG(12, WIRE_VARINT):
    case WIRE_TAG(12, WIRE_BYTES): return read_deltas(d, in, NUMBERS_POSITIVE, tag, w);
    case WIRE_TAG(13, WIRE_FIXED64):
    case WIRE_TAG(13, WIRE_BYTES): return read_floats(d, in, NUMBERS_POSITIVE, tag, w);
    case WIRE_TAG(14, WIRE_VARINT):
        if (!wire_varint(w, &v)) return false;
        h->reset_hint = (uint32_t)v;
        return true;
    case WIRE_TAG(15, WIRE_VARINT): return wire_varint(w, &in->time);
    case WIRE_TAG(16, WIRE_FIXED64):
    case WIRE_TAG(16, WIRE_BYTES): return points_list_fixed(d, NUMBERS_BOUNDS, tag, w);
    case WIRE_TAG(17, WIRE_VARINT): return wire_varint(w, &in->start);
    default: return wire_skip(w, tag);
    }
}

static bool decode_native(struct points_decoder *d, const struct series_in *s, struct wire w) {
    struct native_in in = {.start = s->start};
    const unsigned char *at = w.p;
    uint32_t tag, point;
    points_lists_clear(&d->lists);
    while (w.p < w.end)
        if (!wire_tag(&w, &tag) || !native_field(d, &in, tag, &w)) return points_malformed(d, w);
    if (in.floats) in.h.flags |= HISTOGRAM_IS_FLOAT;
    in.h.flags |= HISTOGRAM_HAS_SUM;
    const char *what =
        in.integers && in.floats ? "integer and float counts in one" : points_native_fault(&d->lists, &in.h);
    if (what) {
        points_refuse(d, POINTS_BAD_HISTOGRAM, 1, what);
        return true;
    }
    if (!keep_point(d, at, (int64_t)in.time, in.start, &point)) return false;
    return point == NO_POINT || points_add_histogram(d, at, point, POINT_NATIVE, &in.h);
}

static bool decode_exemplar(struct points_decoder *d, const struct series_in *s, struct wire w) {
    struct points_exemplar e = {.series = (uint32_t)d->b.series.n - 1, .point = NO_POINT, .kind = POINT_DOUBLE};
    struct labels_in labels = {0};
    struct wire refs = {0};
    const unsigned char *at = w.p;
    const char *bad = NULL;
    struct hash128 hash;
    while (w.p < w.end) {
        uint32_t tag;
        bool ok;
        if (*w.p == NAMED_LABEL_TAG && s->version == 1) {
            if (!points_labels_run(d, &labels, NAMED_LABEL_TAG, NAMED_LABEL_TAG, &w)) return false;
            continue;
        }
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        switch (tag) {
        case WIRE_TAG(1, WIRE_BYTES): ok = wire_bytes(&w, &refs); break;
        case WIRE_TAG(2, WIRE_FIXED64): ok = wire_fixed64(&w, &e.value); break;
        case WIRE_TAG(3, WIRE_VARINT): ok = wire_varint(&w, &e.time); break;
        default: ok = wire_skip(&w, tag);
        }
        if (!ok) return points_malformed(d, w);
    }
    if (s->version == 2 && !resolve_refs(d, refs, &labels.bytes, &bad)) return false;
    if (!bad && !points_labels(d, LABELS_EXEMPLAR, labels.bytes, &hash, &e.labels, &bad)) return false;
    if (bad) {
        d->result.exemplars_rejected++;
        return true;
    }
    if (!points_room(d, d->b.exemplars, at)) return false;
    *vec_push(&d->b.exemplars) = e;
    return true;
}

/* ---- series ------------------------------------------------------------------------------------------------------- */

/* A text of 1.0, or a symbol of 2.0, as a string id. */
static bool read_text(struct points_decoder *d, int version, uint32_t tag, struct wire *w, uint32_t *out) {
    struct wire text;
    uint64_t ref;
    if ((tag & 7) == WIRE_BYTES && version == 1) {
        if (!wire_bytes(w, &text)) return false;
    } else if ((tag & 7) == WIRE_VARINT && version == 2) {
        if (!wire_varint(w, &ref)) return false;
        if (ref >= d->symbols.n) return points_fault(d, w->p, ERR_INVALID, "a reference to a symbol that is not there");
        text = wire_of(d->symbols.v[ref]);
    } else
        return wire_skip(w, tag);
    *out = points_text(d, text);
    return !d->fault.what;
}

/* MetricMetadata {1 type, 2 name, 4 help, 5 unit}, or of 2.0 Metadata {1 type, 3 help, 4 unit}. */
static bool decode_metadata(struct points_decoder *d, int version, struct wire w, struct points_metric *out) {
    while (w.p < w.end) {
        uint64_t type;
        uint32_t tag;
        bool ok;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        uint32_t field = tag >> 3;
        if (tag == WIRE_TAG(1, WIRE_VARINT)) {
            ok = wire_varint(&w, &type);
            if (ok) out->kind = (uint32_t)type;
        } else if (field == 2 && version == 1)
            ok = read_text(d, version, tag, &w, &out->name);
        else if (field == (version == 1 ? 4 : 3))
            ok = read_text(d, version, tag, &w, &out->description);
        else if (field == (version == 1 ? 5 : 4))
            ok = read_text(d, version, tag, &w, &out->unit);
        else
            ok = wire_skip(&w, tag);
        if (!ok) return points_malformed(d, w);
    }
    return true;
}

/* The row of metadata, if it says anything: the last one if that says the same. */
static bool keep_metadata(struct points_decoder *d, const unsigned char *at, const struct points_metric *m,
                          uint32_t *out) {
    struct points_builder *b = &d->b;
    static const struct points_metric none;
    if (memcmp(m, &none, sizeof none) == 0) {
        *out = 0;
    } else if (memcmp(m, &b->metrics.v[b->metrics.n - 1], sizeof *m) == 0) {
        *out = (uint32_t)b->metrics.n - 1;
    } else {
        if (!points_room(d, b->metrics, at)) return false;
        *out = (uint32_t)b->metrics.n;
        *vec_push(&b->metrics) = *m;
    }
    return true;
}

/* The first look: labels, metadata, how many points. *out_rest: where it has something else than labels. */
static bool decode_series_head(struct points_decoder *d, struct series_in *s, struct wire w, struct wire *out_rest,
                               const char **out_bad) {
    struct labels_in labels = {0};
    struct points_metric metadata = {0};
    struct wire refs = {0}, skipped;
    const unsigned char *at = w.p;
    *out_rest = (struct wire){w.end, w.end};
    while (w.p < w.end) {
        uint32_t tag;
        bool ok;
        if (*w.p == NAMED_LABEL_TAG && s->version == 1) {
            if (!points_labels_run(d, &labels, NAMED_LABEL_TAG, NAMED_LABEL_TAG, &w)) return false;
            continue;
        }
        if (out_rest->p == w.end && *w.p != NAMED_LABEL_TAG) out_rest->p = w.p;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        switch (tag) {
        case WIRE_TAG(1, WIRE_BYTES): ok = wire_bytes(&w, &refs); break;
        case WIRE_TAG(2, WIRE_BYTES):
        case WIRE_TAG(3, WIRE_BYTES):
        case WIRE_TAG(4, WIRE_BYTES): /* 1.0: 4 are histograms, 2.0: 3 */
            ok = wire_bytes(&w, &skipped);
            s->points += tag >> 3 == 2 || tag >> 3 == (s->version == 1 ? 4 : 3);
            break;
        case WIRE_TAG(5, WIRE_BYTES):
            ok = wire_bytes(&w, &skipped) && (s->version == 1 || decode_metadata(d, 2, skipped, &metadata));
            break;
        case WIRE_TAG(6, WIRE_VARINT): ok = wire_varint(&w, s->version == 2 ? &s->start : &(uint64_t){0}); break;
        default: ok = wire_skip(&w, tag);
        }
        if (!ok) return points_malformed(d, w);
    }
    s->labels = labels.bytes;
    if (s->version == 1) return true;
    return keep_metadata(d, at, &metadata, &s->metric) && resolve_refs(d, refs, &s->labels, out_bad);
}

static bool decode_any(struct points_decoder *d, int version, struct wire message) {
    struct series_in s = {.version = version};
    struct points_builder *b = &d->b;
    struct wire w;
    struct series_labels labels;
    uint32_t points = b->n, tag;
    size_t exemplars = b->exemplars.n;
    const char *bad = NULL;
    if (!decode_series_head(d, &s, message, &w, &bad)) return false;
    if (!bad && !points_series_labels(d, LABELS_SERIES, s.labels, &labels, &bad)) return false;
    if (__builtin_expect(bad != NULL, 0)) {
        points_refuse(d, POINTS_BAD_LABELS, MAX(s.points, 1u), bad);
        return true;
    }
    if (!points_add(d, message.p, s.metric, &labels, points_hash_named(labels.hash))) return false;
    while (w.p < w.end) {
        struct wire item;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        uint32_t field = tag >> 3;
        if ((tag & 7) != WIRE_BYTES || field < 2 || field > 4) {
            if (!wire_skip(&w, tag)) return points_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &item)) return points_malformed(d, w);
        bool ok = field == 2                       ? decode_sample(d, &s, item)
                  : (field == 3) == (version == 1) ? decode_exemplar(d, &s, item)
                                                   : decode_native(d, &s, item);
        if (!ok) return false;
    }
    if (b->n == points && b->exemplars.n == exemplars) points_take_back(d);
    return true;
}

/* The sample of a series: value and time, in the form that every sender writes, and nothing else up to `end`. */
HOT_INLINE bool read_plain_sample(struct points_decoder *d, const unsigned char *p, const unsigned char *end,
                                  uint64_t *value, uint64_t *time) {
    enum { HEAD = 12, WORD = 8 }; /* tag, size, tag, value, tag; bytes that are read at once, beyond `end`, too */
    if (p[0] != WIRE_TAG(2, WIRE_BYTES) || p[2] != WIRE_TAG(1, WIRE_FIXED64) || p[11] != WIRE_TAG(2, WIRE_VARINT))
        return false;
    size_t n = (size_t)(end - p) - HEAD;
    uint64_t word;
    if (p[1] != n + HEAD - 2 || n == 0 || n > WORD) return false;
    memcpy(value, p + 3, sizeof *value);
    memcpy(&word, p + HEAD, WORD);
    word <<= 8 * (WORD - n); /* bytes of others go */
    *time = d->last_time;
    bool same = n == d->last_time_size && word == d->last_time_bytes; /* as most samples of a request are */
    if (__builtin_expect(same, 1)) return true;
    struct wire w = {p + HEAD, end};
    if (!wire_varint(&w, time) || w.p != end) return false;
    d->last_time_size = n;
    d->last_time_bytes = word;
    d->last_time = *time;
    return true;
}

/* As many series as come in the order of the last time, with a sample each; what is unusual about one is left to decode_any. *w stands behind
 * the last. */
static void decode_known(struct points_decoder *d, struct wire *w) {
    enum { SAMPLE_MAX = 32 };
    struct known_run r;
    struct known_point point = {.kind = POINT_DOUBLE};
    const unsigned char *p = w->p, *end = w->end;
    known_run_begin(d, &r);
    while (r.room > 0) {
        const struct known_labels *e = r.next;
        size_t n = e->came_n;
        if (e->kind != LABELS_SERIES + 1 || (size_t)(end - p) < n + SAMPLE_MAX || p[0] != WIRE_TAG(1, WIRE_BYTES))
            break;
        size_t size = p[1];
        const unsigned char *in = p + 2;
        if (size >= 0x80) {
            if (*in >= 0x80) break;
            size = (size & 0x7f) | (size_t)*in++ << 7;
        }
        if (size < n + 13 || size > n + 20 || memcmp(in, e->came, n) != 0 ||
            !read_plain_sample(d, in + n, in + size, &point.value, &point.time) ||
            points_time_reason(d, (int64_t)point.time) != POINT_TAKEN || !known_run_takes(d, &r))
            break;
        known_run_add(d, &r, 0, points_hash_named(e->hash), &point);
        p = in + size;
    }
    known_run_end(d, &r);
    w->p = p;
}

/* ---- requests ----------------------------------------------------------------------------------------------------- */

static bool decode_request_1(struct points_decoder *d, struct str body) {
    struct wire w = wire_of(body);
    uint32_t tag, row;
    decode_known(d, &w);
    while (w.p < w.end) {
        struct wire item;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag == WIRE_TAG(1, WIRE_BYTES)) {
            if (!wire_bytes(&w, &item)) return points_malformed(d, w);
            if (!decode_any(d, 1, item)) return false;
            decode_known(d, &w);
        } else if (tag == WIRE_TAG(3, WIRE_BYTES)) {
            struct points_metric metadata = {0};
            if (!wire_bytes(&w, &item) || !decode_metadata(d, 1, item, &metadata)) return points_malformed(d, w);
            if (!keep_metadata(d, item.p, &metadata, &row)) return false;
        } else if (tag >> 3 == 4 ||
                   tag >> 3 == 5) /* symbols and series, which 1.0 would skip: nothing is lost in silence */
            return points_fault(d, w.p, ERR_INVALID,
                                "a message of remote write 2.0, not 1.0: its Content-Type says "
                                "proto=io.prometheus.write.v2.Request");
        else if (!wire_skip(&w, tag))
            return points_malformed(d, w);
    }
    return true;
}

static bool decode_symbols(struct points_decoder *d, struct wire w) {
    uint32_t tag;
    vec_clear(&d->symbols);
    while (w.p < w.end) {
        struct wire symbol;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag != WIRE_TAG(4, WIRE_BYTES)) {
            if (!wire_skip(&w, tag)) return points_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &symbol)) return points_malformed(d, w);
        if (d->symbols.n == SYMBOLS_MAX) return points_fault(d, w.p, ERR_LIMIT, "over 2^20 symbols in one request");
        *vec_push(&d->symbols) = wire_str(&symbol);
    }
    return true;
}

static bool decode_request_2(struct points_decoder *d, struct str body) {
    struct wire w = wire_of(body);
    uint32_t tag;
    if (!decode_symbols(d, w)) return false;
    while (w.p < w.end) {
        struct wire item;
        if (!wire_tag(&w, &tag)) return points_malformed(d, w);
        if (tag != WIRE_TAG(5, WIRE_BYTES)) {
            if (tag >> 3 < 4) return points_fault(d, w.p, ERR_INVALID, "a message of remote write 1.0, not 2.0");
            if (!wire_skip(&w, tag)) return points_malformed(d, w);
            continue;
        }
        if (!wire_bytes(&w, &item)) return points_malformed(d, w);
        if (!d->symbols.n || d->symbols.v[0].n)
            return points_fault(d, item.p, ERR_INVALID, "the first symbol is not the empty text");
        if (!decode_any(d, 2, item)) return false;
    }
    return true;
}

err points_decode_write(struct points_decoder *d, int version, struct str body, const struct otlp_limits *limits,
                        struct points_result *out) {
    points_request request = version == 2 ? decode_request_2 : decode_request_1;
    return points_run(d, POINTS_PROMETHEUS, request, body, limits, out) ? NULL : fault_err(&d->fault, body);
}
