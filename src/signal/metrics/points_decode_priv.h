/* The decoder's memory, and what the encodings share: faults, labels by hash, texts, numbers of histograms.
 *
 *   kept     labels by the bytes as they came (labels_kept_priv.h). A string id of one holds in the request of its generation only
 *   texts    as of signal/decode_priv.h: an id is believed only if its bytes agree
 */
#pragma once

#include "signal/fault_priv.h"
#include "signal/metrics/labels_kept_priv.h"
#include "signal/metrics/points_decode.h"
#include "signal/metrics/points_priv.h"

enum {
    LABELS_AHEAD = 4,
    NAME_CACHE = 2048,
    LOOSE_LABELS = 256,
    OTLP_LABELS_MAX = 16384, /* of one point */
    NAMED_LABELS_MAX = 1024, /* of one Prometheus series */
    REQUEST_POINTS_MAX = 1 << 20,
    REQUEST_NUMBERS_MAX = 1 << 24,
    POINT_TAKEN = -1,
};
#define POINTS_BODY_MAX (512 * MIB)
/* References of remote write 2.0 may say a text again and again: of one series, and of a request beside its own size. */
#define SERIES_LABELS_MAX MIB
#define REQUEST_TEXT_MIN (16 * MIB)
enum { TEXT_PER_BODY_BYTE = 32 };

/* What is asked of a list of labels. */
enum labels_kind {
    LABELS_ATTRIBUTES, /* OTLP: KeyValue, of a resource, a scope, a metric, an exemplar */
    LABELS_POINT,      /* the same of a point */
    LABELS_SERIES,     /* Prometheus: Label, with a name of the metric */
    LABELS_EXEMPLAR,   /* Prometheus */
};

struct known_name {
    uint32_t hash, id;
};

/* Labels of the request that are not kept: of those that are said again and again one string is enough. */
struct loose_labels {
    struct hash128 hash;
    uint64_t generation;
    uint32_t id;
    uint8_t kind;
};

struct points_decoder {
    struct points_builder b;
    const struct otlp_limits *limits;
    struct str body;            /* of the request under way */
    int64_t time_min, time_max; /* of `limits`, in the unit of the batch */
    struct fault fault;
    uint64_t drawn_bytes;             /* of limits->budget */
    uint64_t generation;              /* requests so far: more than 32 bits count */
    struct points_result result;      /* under way */
    size_t text_max;                  /* of all strings of the request */
    struct buf scratch;               /* labels that do not lie side by side, or are put in order */
    struct points_lists lists;        /* of the histogram at hand */
    VEC(struct str) symbols;          /* of a remote write 2.0 request */
    const struct points_label *given; /* labels that every sample of a text gets */
    uint32_t given_n;
    bool given_yields;                   /* to labels of the sample itself */
    bool shares;                         /* labels of series stay out of the blob */
    uint64_t last_time, last_time_bytes; /* of remote write: the last time that was read, and what it was read from */
    size_t last_time_size;
    uint32_t asked[LABELS_AHEAD], asked_n; /* entries that were asked for last, a ring */
    struct hash128 no_labels;              /* hash of an empty list */
    struct kept_labels kept;
    struct known_name names[NAME_CACHE];
    struct loose_labels loose[LOOSE_LABELS];
};

/* ---- faults ------------------------------------------------------------------------------------------------------- */

/* Remembers the first fault; false, so that the compiler sees what follows from it. */
bool points_fault(struct points_decoder *d, const unsigned char *at, enum err_kind kind, const char *what)
    __attribute__((cold));
#define points_malformed(d, w) points_fault((d), (w).p, ERR_INVALID, "not a valid protobuf message")
/* Counts n points as refused; `what` is for the sentence if they are the first. */
void points_refuse(struct points_decoder *d, enum points_reason reason, uint32_t n, const char *what)
    __attribute__((cold));
/* The same of one point of OTLP, whose metric and attributes of the resource the sentence names. */
void points_refuse_of(struct points_decoder *d, const struct points_metric *m, struct str resource,
                      enum points_reason reason, const char *what) __attribute__((cold));
/* Before columns or numbers double: draws from the budget what they and the blob of them may take; false if over it. */
bool points_draw(struct points_decoder *d) __attribute__((cold));

/* One request from its first byte to its blob. */
typedef bool (*points_request)(struct points_decoder *d, struct str body);
bool points_run(struct points_decoder *d, enum points_origin origin, points_request request, struct str body,
                const struct otlp_limits *limits, struct points_result *out);

/* ---- rows --------------------------------------------------------------------------------------------------------- */

bool points_full(struct points_decoder *d, const unsigned char *at, size_t n) __attribute__((cold));
/* Whether a request may have one more of a set; a fault if not. */
#define points_room(d, vec, at) (__builtin_expect((vec).n < (vec).capacity, 1) || points_full((d), (at), (vec).n))

/* POINT_TAKEN, or why a point of that time is refused. */
static inline int points_time_reason(const struct points_decoder *d, int64_t t) {
    if (__builtin_expect(t >= d->time_min && t <= d->time_max, 1)) return POINT_TAKEN;
    return t < d->time_min ? POINTS_TOO_OLD : POINTS_TOO_NEW;
}

/* The labels of a series: a string of the batch, or (id 0) kept beside it. */
struct series_labels {
    struct hash128 hash;
    const struct str *kept;
    uint32_t id;
};

/* Appends a series row and its first point. */
static inline bool points_add(struct points_decoder *d, const unsigned char *at, uint32_t metric,
                              const struct series_labels *labels, struct hash128 hash) {
    struct points_builder *b = &d->b;
    if (!points_room(d, b->series, at)) return false;
    points_builder_series(b, metric, labels->id);
    *vec_push(&b->hashes) = hash;
    if (d->shares) *vec_push(&b->kept) = labels->kept;
    return true;
}
/* Takes the last series row back. */
static inline void points_take_back(struct points_decoder *d) {
    d->b.series.n--;
    d->b.hashes.n--;
    d->b.kept.n -= d->shares;
}

/* One more point of the last series; its index. */
static inline bool points_add_point(struct points_decoder *d, const unsigned char *at, uint32_t *out) {
    if (__builtin_expect(d->b.n == d->b.capacity, 0) && !points_full(d, at, d->b.n)) return false;
    *out = points_builder_point(&d->b);
    return true;
}

/* ---- labels and texts --------------------------------------------------------------------------------------------- */

/* A list of labels under way: a run of the body's bytes, or (more than one run, or in another field) a copy in d->scratch. */
struct labels_in {
    struct str bytes;
    uint32_t n;
    struct known_labels *entry; /* theirs, if it was found already */
};

/* Reads the labels that lie side by side under `tag`, at which w->p stands; `kept` is the tag they are kept under. */
bool points_labels_run_slow(struct points_decoder *d, struct labels_in *in, unsigned char tag, unsigned char kept,
                            struct wire *w);
HOT_INLINE bool points_labels_run(struct points_decoder *d, struct labels_in *in, unsigned char tag, unsigned char kept,
                                  struct wire *w) {
    if (__builtin_expect(tag != kept || in->n, 0)) return points_labels_run_slow(d, in, tag, kept, w);
    const unsigned char *start = w->p;
    struct wire label;
    do {
        w->p++;
        if (!wire_bytes(w, &label)) return points_malformed(d, *w);
        in->n++;
    } while (w->p < w->end && *w->p == tag);
    in->bytes = str_span(start, (size_t)(w->p - start));
    return true;
}

/* Senders say their series in one order: what followed the last time is looked at first, and memory brings it while those before it are
 * parsed. points_labels_pass says that it was this entry, or another one. */
static inline struct known_labels *points_labels_next(struct points_decoder *d) {
    return kept_labels_at(&d->kept, kept_labels_at(&d->kept, d->asked[d->asked_n % LABELS_AHEAD])->ahead);
}
static inline void points_labels_foresee(const struct known_labels *e) {
    uintptr_t came = (uintptr_t)e->came; /* of nobody it is NULL */
    for (uintptr_t i = 0; i < 3; i++) __builtin_prefetch((const void *)(came + 64 * i));
}
static inline void points_labels_pass(struct points_decoder *d) {
    uint32_t *asked = &d->asked[d->asked_n++ % LABELS_AHEAD];
    *asked = kept_labels_at(&d->kept, *asked)->ahead;
    __builtin_prefetch(&kept_labels_at(&d->kept, *asked)->ahead, 1);
    points_labels_foresee(points_labels_next(d));
}
/* Whether the bytes at w->p are labels that come next, and all of that run. */
HOT_INLINE struct known_labels *points_labels_expected(struct points_decoder *d, enum labels_kind kind,
                                                       unsigned char tag, const struct wire *w) {
    struct known_labels *e = points_labels_next(d);
    size_t n = e->came_n;
    if (e->kind != kind + 1 || !n || n > wire_left(w) || memcmp(w->p, e->came, n) != 0) return NULL;
    return n < wire_left(w) && w->p[n] == tag ? NULL : e;
}
static inline bool labels_are(const struct known_labels *e, enum labels_kind kind, struct str came) {
    return e->kind == kind + 1 && str_equal((struct str){e->came, e->came_n}, came);
}

/* A list of labels as a string of the request, and the hash of its bytes. It is checked, and put in order, if it was not met lately. False on a
 * fault; *out_bad: a rule that it breaks. */
bool points_labels(struct points_decoder *d, enum labels_kind kind, struct str bytes, struct hash128 *out_hash,
                   uint32_t *out_id, const char **out_bad);
/* The same of a series, whose labels may be kept beside the batch. */
bool points_labels_unexpected(struct points_decoder *d, enum labels_kind kind, struct str bytes,
                              struct series_labels *out, const char **out_bad);
/* Labels that are met for the first time in a request: false on a fault. */
bool points_labels_again(struct points_decoder *d, struct known_labels *e);
bool points_labels_share(struct points_decoder *d, struct known_labels *e);
/* The same of those that came next. */
HOT_INLINE bool points_labels_kept(struct points_decoder *d, struct known_labels *e, struct series_labels *out) {
    bool first = e->generation != d->generation;
    points_labels_pass(d);
    if (first && !(d->shares ? points_labels_share(d, e) : points_labels_again(d, e))) return false;
    *out = d->shares ? (struct series_labels){e->hash, &e->kept, 0} : (struct series_labels){e->hash, NULL, e->id};
    return true;
}
HOT_INLINE bool points_series_labels(struct points_decoder *d, enum labels_kind kind, struct str bytes,
                                     struct series_labels *out, const char **out_bad) {
    struct known_labels *e = points_labels_next(d);
    *out_bad = NULL;
    if (!bytes.n && kind == LABELS_POINT) { /* nobody keeps nothing, and whoever is next still is */
        *out = (struct series_labels){.hash = d->no_labels};
        return true;
    }
    return labels_are(e, kind, bytes) ? points_labels_kept(d, e, out)
                                      : points_labels_unexpected(d, kind, bytes, out, out_bad);
}

/* Appends a label to d->scratch, as remote write 1.0 sends it. */
bool points_scratch_label(struct points_decoder *d, struct str name, struct str value);
/* The string id of a name, a unit, a description. */
uint32_t points_text(struct points_decoder *d, struct wire text);

/* ---- numbers of the histogram at hand ------------------------------------------------------------------------------ */

/* A field of 8-byte values, or of varints (zigzag: sint64), packed or one by one; w->p stands behind its tag. */
bool points_list_fixed(struct points_decoder *d, int list, uint32_t tag, struct wire *w);
bool points_list_varint(struct points_decoder *d, int list, bool zigzag, uint32_t tag, struct wire *w);
/* Appends the histogram with its lists; it is the value of point `point`. */
bool points_add_histogram(struct points_decoder *d, const unsigned char *at, uint32_t point, enum point_kind kind,
                          struct points_histogram *h);

/* A histogram of no recorded value has no counts: as many zeros as its bounds want. */
void points_fill_unrecorded(struct points_decoder *d, enum point_kind kind, uint32_t flags);

static inline int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }
/* What is wrong with the lists of an OTLP histogram, or NULL. */
const char *points_histogram_fault(const struct points_decoder *d, enum point_kind kind,
                                   const struct points_histogram *h);
