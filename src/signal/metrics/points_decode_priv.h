/* The decoder's memory, and what the encodings share: faults, labels by hash, texts, numbers of histograms.
 *
 *   labels   hash of the bytes as they came → string id. Entries lie in the order in which labels were met first, which is that in which
 *            they will come again: whoever asks goes through memory from one line, and one page, to the next. The index finds
 *            them where the order was another. An entry that is found was checked once, in whichever request; its id holds in the
 *            request of its generation only. Entry 0 is of labels that are not remembered
 *   index    lines of LABEL_WAYS: high bits of the hash | entry; 0: nothing
 *   texts    as of signal/decode_priv.h: an id is believed only if its bytes agree
 */
#pragma once

#include "signal/fault_priv.h"
#include "signal/metrics/points_decode.h"
#include "signal/metrics/points_priv.h"

enum {
    LABEL_CACHE = 32768, /* 1 MiB, a quarter more with the index, touched as series come */
    LABEL_WAYS = 16,
    LABEL_LINES = 2 * LABEL_CACHE / LABEL_WAYS,
    LABELS_AHEAD = 4,
    NAME_CACHE = 2048,
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
    LABELS_ATTRIBUTES, /* OTLP: KeyValue */
    LABELS_SERIES,     /* Prometheus: Label, with a name of the metric */
    LABELS_EXEMPLAR,   /* Prometheus */
};

struct known_labels {
    struct hash128 hash;
    uint32_t generation, id;
    uint32_t ahead; /* the entry that was asked for LABELS_AHEAD later the last time */
    uint8_t kind;   /* enum labels_kind + 1; 0: empty */
    bool plain;     /* kept as they came: sorted already */
};
struct known_line {
    uint32_t ways[LABEL_WAYS];
};
struct known_table {
    struct known_labels labels[LABEL_CACHE];
    struct known_line index[LABEL_LINES];
};
static_assert(sizeof(struct known_labels) == 32 && sizeof(struct known_line) == 64, "none lies across two lines");

struct known_name {
    uint32_t hash, id;
};

struct points_decoder {
    struct points_builder b;
    const struct otlp_limits *limits;
    int64_t time_min, time_max; /* of `limits`, in the unit of the batch */
    struct fault fault;
    uint64_t drawn_bytes; /* of limits->budget */
    uint32_t generation;
    struct points_result result;      /* under way */
    size_t text_max;                  /* of all strings of the request */
    struct buf scratch;               /* labels that do not lie side by side, or are put in order */
    struct points_lists lists;        /* of the histogram at hand */
    VEC(struct str) symbols;          /* of a remote write 2.0 request */
    const struct points_label *given; /* labels that every sample of a text gets */
    uint32_t given_n;
    bool given_yields; /* to labels of the sample itself */
    uint32_t asked[LABELS_AHEAD], asked_n; /* entries that were asked for last, a ring */
    struct known_table *known;             /* at a multiple of 64 within known_memory */
    void *known_memory;
    uint32_t known_n, known_next; /* entries that were in use ever; when that is all, the one that is taken next */
    struct known_name names[NAME_CACHE];
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

/* Appends a series row and its first point. */
static inline bool points_add(struct points_decoder *d, const unsigned char *at, uint32_t metric, uint32_t labels,
                              struct hash128 hash) {
    struct points_builder *b = &d->b;
    if (!points_room(d, b->series, at)) return false;
    points_builder_series(b, metric, labels);
    *vec_push(&b->hashes) = hash;
    return true;
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

/* The entry of labels, which are checked and put in order if they were not met lately. NULL: a fault, or *out_bad, a rule that they break. */
struct known_labels *points_labels_entry(struct points_decoder *d, enum labels_kind kind, struct hash128 hash,
                                         struct str bytes, const char **out_bad);
/* Appends labels that were met in an earlier request. False on a fault. */
bool points_labels_again(struct points_decoder *d, struct known_labels *entry, struct str bytes);

static inline bool labels_are(const struct known_labels *entry, enum labels_kind kind, struct hash128 hash) {
    return hash128_equal(entry->hash, hash) && entry->kind == kind + 1;
}
/* The string id of a list of labels, and its hash. Senders say their series in one order: what followed the last time is looked at
 * first, and memory brings it while those before it are parsed. */
HOT_INLINE bool points_labels(struct points_decoder *d, enum labels_kind kind, struct str bytes,
                              struct hash128 *out_hash, uint32_t *out_id, const char **out_bad) {
    struct hash128 hash = hash_wide(bytes.p, bytes.n);
    struct known_labels *labels = d->known->labels;
    uint32_t *asked = &d->asked[d->asked_n++ % LABELS_AHEAD], *ahead = &labels[*asked].ahead;
    struct known_labels *entry = &labels[*ahead];
    *out_hash = hash;
    *out_bad = NULL;
    *out_id = 0;
    if (!labels_are(entry, kind, hash)) {
        entry = points_labels_entry(d, kind, hash, bytes, out_bad);
        if (!entry) return !d->fault.what;
        *ahead = (uint32_t)(entry - labels);
    }
    *asked = *ahead;
    __builtin_prefetch(&labels[entry->ahead], 1);
    if (entry->generation != d->generation && !points_labels_again(d, entry, bytes)) return false;
    *out_id = entry->id;
    return true;
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
