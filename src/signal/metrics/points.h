/* The batch of metric points: everything that one OTLP metrics request, remote write or exposition said, in one contiguous blob
 * that is also the log record. What `batch.h` is for spans and logs; why it is another shape: docs/decisions/2026-11-27-points.md.
 *
 *   resources ◀── metrics ◀── series ◀── points        metrics also point to scopes; a series is (metric, labels)
 *                                ▲         │ value of a point of a compound kind: index of
 *                                │         ▼
 *                            exemplars  histograms ──▶ numbers      bucket counts, bounds, spans, side by side
 *
 *   labels: one string, the wire's own bytes. OTLP: KeyValue messages, each in field 7, as number points have them.
 *           Prometheus: Label messages {1 name, 2 value}, each in field 1, sorted by name.
 *
 * Attributes are not taken apart: a series that is known by the hash of these bytes costs no parsing, and whoever meets it first
 * does that once. Order, duplicates and types of attributes go out as they came in.
 *
 * Invariants, held by points_open for bytes from outside and by the builder's users otherwise:
 *  1. Every index is in range; labels, attributes and metadata are well formed and nest at most 64 deep: readers need no error path.
 *  2. Points of a series lie together: series of points never fall. Neither do those of exemplars, nor their points.
 *  3. The i-th point of a compound kind owns histograms[i], which owns the next n[0] + … + n[4] numbers: nothing is shared, so a blob
 *     cannot mean more than it has bytes for.
 *  4. Series rows may repeat a series; equal hashes mean the same series, different ones mean nothing.
 *  5. A decoder that keeps labels (points_decoder_share) leaves those of series out of the bytes: points_labels_of has them, points_whole makes
 *     a blob that says all by itself. Other makers' blobs do.
 *
 * Units: times of POINTS_OTLP are ns since 1970 as sent (uint64 kept bit for bit), of POINTS_PROMETHEUS ms, signed. 0 as a start:
 * not known. Values are the bits of a double, or an int64 (POINT_INT). NaN payloads are kept.
 *
 * Limits: 2^24 rows of each set, 2^27 numbers, strings below 4 GiB together, a blob below 2 GiB.
 * Owner and threads: blobs are counted and immutable (batch_ref, batch_unref, batch_bytes of signal/batch.h).
 * Source: opentelemetry-proto 1.11 (metrics.proto); prometheus prompb (remote.proto, types.proto, write/v2/types.proto).
 */
#pragma once

#include "base/hash.h"
#include "signal/batch.h"

enum points_origin { POINTS_OTLP, POINTS_PROMETHEUS, POINTS_ORIGINS };

/* Numbers are on disk, as are all structs below. */
enum point_kind {
    POINT_EMPTY,       /* no value was sent */
    POINT_INT,         /* int64 */
    POINT_DOUBLE,      /* bits of a double */
    POINT_HISTOGRAM,   /* explicit bounds */
    POINT_EXPONENTIAL, /* OTLP's exponential histogram: dense buckets */
    POINT_SUMMARY,     /* quantiles */
    POINT_NATIVE,      /* Prometheus' native histogram: spans */
    POINT_KINDS
};
static inline bool point_is_compound(enum point_kind k) { return k >= POINT_HISTOGRAM; }

enum metric_kind {
    METRIC_NONE,
    METRIC_GAUGE,
    METRIC_SUM,
    METRIC_HISTOGRAM,
    METRIC_EXPONENTIAL,
    METRIC_SUMMARY,
    METRIC_KINDS
};
/* Of Prometheus, as remote write numbers them; unknown numbers are kept. */
enum metric_type {
    METRIC_TYPE_UNKNOWN,
    METRIC_TYPE_COUNTER,
    METRIC_TYPE_GAUGE,
    METRIC_TYPE_HISTOGRAM,
    METRIC_TYPE_GAUGEHISTOGRAM,
    METRIC_TYPE_SUMMARY,
    METRIC_TYPE_INFO,
    METRIC_TYPE_STATESET,
    METRIC_TYPES
};
enum { TEMPORALITY_UNSPECIFIED, TEMPORALITY_DELTA, TEMPORALITY_CUMULATIVE };
enum { POINT_NO_RECORDED_VALUE = 1 }; /* bit of a point's flags */
#define STALE_NAN 0x7ff0000000000002u /* the value that says: this series has ended */

struct points_resource {
    uint32_t attributes, schema_url; /* string ids */
    uint32_t dropped_attributes;
};
struct points_scope {
    uint32_t name, version, attributes, schema_url;
    uint32_t dropped_attributes;
};
/* A metric of OTLP; of Prometheus what is known about a name or (name 0) about the series that point here. In a Prometheus batch row 0
 * is empty: nothing is known. */
struct points_metric {
    uint32_t name, description, unit, metadata; /* string ids; metadata: as labels */
    uint32_t resource, scope;                   /* of OTLP; else 0 */
    uint32_t kind;                              /* enum metric_kind; of Prometheus a number of enum metric_type */
    uint32_t temporality, monotonic;            /* as sent */
};
struct points_series {
    uint32_t metric, labels;
};

enum { NUMBERS_POSITIVE, NUMBERS_NEGATIVE, NUMBERS_BOUNDS, NUMBERS_POSITIVE_SPANS, NUMBERS_NEGATIVE_SPANS, NUMBERS };
enum {
    HISTOGRAM_HAS_SUM = 1,
    HISTOGRAM_HAS_MIN = 2,
    HISTOGRAM_HAS_MAX = 4,
    HISTOGRAM_HAS_POSITIVE = 8, /* the Buckets message was there, if an empty one */
    HISTOGRAM_HAS_NEGATIVE = 16,
    HISTOGRAM_IS_FLOAT = 32, /* native: counts are bits of doubles, buckets absolute */
    HISTOGRAM_FLAGS = 63,
};
/*            n[POSITIVE]                 n[NEGATIVE]   n[BOUNDS]           n[…_SPANS]
 * histogram   bucket counts               –             explicit bounds     –
 * exponential counts from positive_offset counts        –                   –
 * native      deltas (int64) or doubles   the same      custom values       offset << 32 | length
 * summary     values of quantiles         –             quantiles           –        */
struct points_histogram {
    uint64_t count;          /* uint64; native float: bits */
    uint64_t sum, min, max;  /* bits of doubles */
    uint64_t zero_count;     /* as count */
    uint64_t zero_threshold; /* bits */
    int32_t scale;           /* native: schema */
    int32_t positive_offset, negative_offset;
    uint32_t flags;
    uint32_t reset_hint; /* native: 0 unknown, 1 yes, 2 no, 3 gauge */
    uint32_t first;      /* number */
    uint32_t n[NUMBERS];
    uint32_t reserved;
};
static_assert(sizeof(struct points_histogram) == 96, "on disk");

enum { NO_POINT = UINT32_MAX };
struct points_exemplar {
    uint64_t time, value;
    uint64_t span_id; /* raw bytes, 0: none */
    unsigned char trace_id[16];
    uint32_t labels, series;
    uint32_t point; /* NO_POINT: of the series, as remote write has it */
    uint32_t kind;  /* POINT_EMPTY, POINT_INT, POINT_DOUBLE */
};
static_assert(sizeof(struct points_exemplar) == 56, "on disk");

enum points_column {
    COLUMN_SERIES, /* u32 */
    COLUMN_TIME,   /* u64 */
    COLUMN_START,  /* u64 */
    COLUMN_VALUE,  /* u64 */
    COLUMN_FLAGS,  /* u32 */
    COLUMN_KIND,   /* u8, enum point_kind */
    COLUMNS
};

struct points {
    struct batch_blob *blob; /* what the pointers point into; not counted here */
    enum points_origin origin;
    uint32_t n; /* points */
    uint32_t resource_count, scope_count, metric_count, series_count;
    uint32_t histogram_count, number_count, exemplar_count, string_count;
    struct batch_column columns[COLUMNS];
    const struct points_resource *resources;
    const struct points_scope *scopes;
    const struct points_metric *metrics;
    const struct points_series *series;
    const struct points_histogram *histograms;
    const uint64_t *numbers;
    const struct points_exemplar *exemplars;
    const uint32_t *string_end;
    const char *heap;
    const struct hash128 *hashes; /* one a series row: who it is. Of this process only: not in the blob's bytes */
    const struct str *const *
        kept; /* one a series row: its labels, if they are not in the blob's bytes (5); NULL: all are. Of this process only */
    size_t kept_bytes;          /* of these, each once */
    int64_t time_min, time_max; /* of the points; INT64_MAX, INT64_MIN if there are none */
};

static inline uint32_t point_series(const struct points *p, uint32_t i) {
    return ((const uint32_t *)p->columns[COLUMN_SERIES].p)[i & p->columns[COLUMN_SERIES].mask];
}
static inline uint64_t points_u64(const struct points *p, enum points_column c, uint32_t i) {
    return ((const uint64_t *)p->columns[c].p)[i & p->columns[c].mask];
}
static inline uint64_t point_time(const struct points *p, uint32_t i) { return points_u64(p, COLUMN_TIME, i); }
static inline uint64_t point_start(const struct points *p, uint32_t i) { return points_u64(p, COLUMN_START, i); }
static inline uint64_t point_value(const struct points *p, uint32_t i) { return points_u64(p, COLUMN_VALUE, i); }
static inline uint32_t point_flags(const struct points *p, uint32_t i) {
    return ((const uint32_t *)p->columns[COLUMN_FLAGS].p)[i & p->columns[COLUMN_FLAGS].mask];
}
static inline enum point_kind point_kind(const struct points *p, uint32_t i) {
    return (enum point_kind)((const uint8_t *)p->columns[COLUMN_KIND].p)[i & p->columns[COLUMN_KIND].mask];
}
static inline struct str points_string(const struct points *p, uint32_t id) {
    uint32_t start = id ? p->string_end[id - 1] : 0;
    return (struct str){p->heap + start, p->string_end[id] - start};
}
/* The labels of a series row, wherever they are. */
static inline struct str points_labels_of(const struct points *p, uint32_t row) {
    const struct str *kept = p->kept ? p->kept[row] : NULL;
    return kept ? *kept : points_string(p, p->series[row].labels);
}
/* One of the five lists of numbers of a histogram. */
static inline const uint64_t *histogram_numbers(const struct points *p, const struct points_histogram *h, int list) {
    uint32_t at = h->first;
    for (int i = 0; i < list; i++) at += h->n[i];
    return p->numbers + at;
}

/* The next label: takes it off *rest, false at the end. The value of an attribute of OTLP is an AnyValue message, which
 * value_message_text reads (signal/otlp.h); of a Prometheus label its text. */
bool points_label_next(struct str *rest, struct str *out_name, struct str *out_value);
/* Whose a point of OTLP is, for people: metric "queue.length" of service "shop", instance "a"; long names are cut. */
void points_put_metric(struct buf *out, struct str name, struct str resource_attributes);
/* Copies bytes from outside (a log record) into a blob, checks them whole (ERR_CORRUPT names what is wrong) and finds who the
 * series are. */
err points_open(struct str bytes, struct batch_blob **out);
/* Fills the view of a blob that points_open or points_builder_finish made; cheap (no allocation). */
void points_view(struct batch_blob *blob, struct points *out);
/* A blob whose bytes say all that p does, the caller's reference: p's own, if they do already. The hashes are those of p. */
struct batch_blob *points_whole(const struct points *p);
/* True if both say the same, point by point: everything but the order of strings and how often a series or metric stands. */
bool points_equal(const struct points *a, const struct points *b);
