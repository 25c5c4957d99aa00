/* The bytes of a blob of points (docs/formats/points.md) and who a series is, for this room alone.
 *
 *   header │ section table │ section │ section │ …      sections in order of their ids, each at a multiple of 8
 */
#pragma once

#include "signal/any_priv.h"
#include "signal/metrics/points_build.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "blobs are little-endian and used in place");

#define POINTS_MAGIC "CLWP"
enum {
    POINTS_VERSION = 1,
    POINTS_FEATURE_BRIEF = 1,  /* required-feature bits: numbers may stand for labels of series rows (points_brief.h) */
    POINTS_FEATURE_PACKED = 2, /* sections are packed (points_pack.c) */
    POINTS_FEATURES = POINTS_FEATURE_BRIEF | POINTS_FEATURE_PACKED,
    POINTS_ROWS_MAX = 1 << 24,
    POINTS_NUMBERS_MAX = 1 << 27,
};
/* The fields of label lists. OTLP: where number points, summaries and exemplars have theirs, so that those bytes are one already. */
enum { OTLP_LABEL_TAG = WIRE_TAG(7, WIRE_BYTES), NAMED_LABEL_TAG = WIRE_TAG(1, WIRE_BYTES) };
#define POINTS_BYTES_MAX ((size_t)INT32_MAX)

enum points_section {
    POINTS_STRING_END,
    POINTS_HEAP,
    POINTS_RESOURCES,
    POINTS_SCOPES,
    POINTS_METRICS,
    POINTS_SERIES,
    POINTS_HISTOGRAMS,
    POINTS_NUMBERS,
    POINTS_EXEMPLARS,
    POINTS_COLUMN, /* + enum points_column */
    POINTS_SECTIONS = POINTS_COLUMN + COLUMNS
};

struct points_header {
    char magic[4];
    uint16_t version;
    uint8_t origin;
    uint8_t reserved;
    uint32_t features;
    uint32_t size_bytes; /* of everything */
    uint32_t points;
    uint32_t section_count;
    int64_t time_min, time_max;
};
static_assert(sizeof(struct points_header) == 40, "on disk");

struct points_section_row {
    uint32_t id;           /* enum points_section */
    uint32_t offset;       /* from the start of the blob */
    uint32_t size_bytes;   /* without the padding after it */
    uint32_t element_size; /* a column with one element is a constant */
};
static_assert(sizeof(struct points_section_row) == 16, "on disk");

extern const uint8_t points_element_sizes[POINTS_SECTIONS];

/* The bytes of a section; none: it is absent. */
struct points_bytes {
    const void *p;
    size_t n;
};
/* Appends header and sections, as docs/formats/points.md has them. */
void points_put_sections(const struct points_header *from, const struct points_bytes *sections, uint32_t features,
                         struct buf *out);
/* The same packed, for the log; false: nothing was put, as that takes more. */
bool points_pack(const struct points_header *from, const struct points_bytes *sections, uint32_t features,
                 struct buf *out);
bool points_are_packed(struct str bytes);
/* Appends what packed bytes were packed from, which is not checked further; ERR_CORRUPT. */
err points_unpack(struct str bytes, struct buf *out);

void points_view_bytes(const unsigned char *bytes, struct points *out);
/* Whether header, sections and strings of aligned bytes can be followed. `features`: those that may be there. */
err points_check_frame(struct str bytes, uint32_t features);
/* A blob with room behind its bytes for the hashes of its series and, if `kept`, for where their labels are. */
struct batch_blob *points_blob_new(size_t size_bytes, size_t series, bool kept);
struct hash128 *points_blob_hashes(struct batch_blob *blob);
const struct str **points_blob_kept(struct batch_blob *blob, size_t series);

/* The metric that point i is of. */
static inline const struct points_metric *point_metric(const struct points *p, uint32_t i) {
    return &p->metrics[p->series[point_series(p, i)].metric];
}

/* ---- who a series is: the resource seeds the scope, both the metric, the metric the labels ----------------------- */

struct hash128 points_hash_scope(struct hash128 resource, struct str name, struct str version, struct str attributes,
                                 struct str schema_url);
struct hash128 points_hash_metric(struct hash128 scope, struct str name, struct str unit,
                                  const struct points_metric *m);
/* Both are keyed already, and nobody outside knows them: mixing is enough, and each half of the sum depends on all of both. */
static inline struct hash128 points_hash_series(struct hash128 metric, struct hash128 labels) {
    return (struct hash128){hash_keyed(metric.low, labels.high) + labels.low,
                            hash_keyed(labels.low, metric.high) + labels.high};
}
/* Of Prometheus labels, which name the metric, too. No label set is 32 bytes that nobody outside can know. */
static inline struct hash128 points_hash_named(struct hash128 labels) { return labels; }
/* The hash of every series row of a view. */
void points_hash_all(const struct points *p, struct hash128 *out);

/* The faults of a list of KeyValue (field 7) or Label (field 1) messages and nothing else. */
enum any_fault points_check_labels(enum points_origin origin, struct str labels, struct any_check *c);

/* ---- numbers of a histogram under way ------------------------------------------------------------------------------ */

enum { BUCKETS_MAX = 65536 };
struct points_lists {
    VEC(uint64_t) v[NUMBERS];
    bool too_many; /* over BUCKETS_MAX in one of them: the rest is left out */
};
void points_lists_clear(struct points_lists *l);
void points_lists_done(struct points_lists *l);
static inline void points_list_add(struct points_lists *l, int list, uint64_t v) {
    if (__builtin_expect(l->v[list].n >= BUCKETS_MAX, 0))
        l->too_many = true;
    else
        *vec_push(&l->v[list]) = v;
}
/* Appends the histogram with its lists; it is the value of point `point`. */
void points_builder_histogram(struct points_builder *b, uint32_t point, enum point_kind kind,
                              struct points_histogram *h, const struct points_lists *l);
/* What is wrong with a native histogram, or NULL (Prometheus' own rules, model/histogram). */
const char *points_native_fault(const struct points_lists *l, const struct points_histogram *h);
/* Bounds strictly rise and are numbers. */
bool points_bounds_rise(const uint64_t *bounds, uint32_t n);

static inline uint64_t double_bits(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}
static inline double bits_double(uint64_t bits) {
    double v;
    memcpy(&v, &bits, sizeof v);
    return v;
}
