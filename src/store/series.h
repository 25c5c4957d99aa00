/* The series half of the door: metric points in, series out.
 *
 *   points ─▶ log (the one of store.h) ─▶ translated, deltas added up ─▶ head ─flush─▶ file of series ─merge─▶ … ─▶ gone
 *                                                      └──────── series_snapshot: select, read, texts, counts ──────┘
 *
 * What a sample is called and which samples are taken is settled in the log's order, after the record is durable, so that a replay
 * comes to the same. A batch of POINTS_OTLP is translated there (signal/metrics/translate.h) with store_options.translation; a delta point is
 * added to the newest sample of its series, at most an hour older, which is looked for in the store where the process does not know it.
 * Times are kept as whole milliseconds, as Prometheus means them.
 *
 * Invariants: those of store.h. What outcome calls taken is durable and visible; a sample that was acknowledged never changes; the same
 * sample again is taken as said already. A delete concerns what was visible when it was asked for.
 * Limits: store_options.series (a tenant): series, labels, new series in a span of time, the window for late samples.
 * Units: times int64 ns. Owner: snapshots are freed by the caller, after selections and readers made from them. Threads: any.
 * Errors: as store.h; ERR_INVALID for matchers; ERR_LIMIT of arenas.
 */
#pragma once

#include "signal/metrics/translate.h"
#include "store/series/selection.h"
#include "store/store.h"

/* How a batch fared. Points: those of the batch; samples: the floats they became (a classic histogram is many), native histograms apart. */
enum series_refusal {
    REFUSED_TOO_LATE,   /* older than the window of late samples */
    REFUSED_CONFLICT,   /* another value is there at this time */
    REFUSED_OVER_LIMIT, /* series, labels, churn: `message` names the metric and the label with most series */
    REFUSED_LABELS,     /* no name, empty or repeated names, no UTF-8, too long */
    REFUSED_HISTOGRAM,
    REFUSED_TIME,        /* older than retention, or too far in the future */
    REFUSED_TRANSLATION, /* by_translation has the reasons */
    SERIES_REFUSALS
};
extern const char *const series_refusal_texts[SERIES_REFUSALS];
struct points_outcome {
    uint64_t points, rejected;               /* of the batch; rejected ones are those of which not all was taken */
    uint64_t samples, histograms, exemplars; /* taken, repeated ones included */
    uint64_t rejected_by[SERIES_REFUSALS];
    uint32_t by_translation[TRANSLATE_REASONS];
    char message[512]; /* of the first refusals; empty: nothing to say */
};
/* From the log thread (or within store_pump). e NULL: the record is durable and what was taken is visible; else nothing is kept, the outcome is
 * NULL and e is the callee's. The outcome lives until it returns. */
typedef void (*store_points_fn)(void *context, err e, const struct points_outcome *outcome);
/* As store_append, for a blob of points_open or points_builder_finish. ERR_LIMIT also: one that can never have memory enough. */
err store_append_points(struct store *s, struct str tenant, struct batch_blob *blob, store_points_fn done,
                        void *context) __attribute__((warn_unused_result));

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct series_snapshot;
/* What is visible now of a tenant's series; an unknown tenant is an empty one. Samples appended later to series that it has may show. */
err store_series_snapshot(struct store *s, struct str tenant, struct series_snapshot **out);
void series_snapshot_free(struct series_snapshot *sn); /* takes NULL */

/* What is asked for: series that match all, with samples in [time_min, time_max]. No matchers: all of them. */
struct series_request {
    const struct label_matcher *matchers;
    uint32_t matcher_count;
    int64_t time_min, time_max;
    uint32_t limit;              /* of a selection: enough series, whichever; 0: all */
    err (*check)(void *context); /* of a selection: asked now and then, its error ends it; may be NULL */
    void *check_context;
};
/* The series that match, distinct, in no order. Labels live as long as the arena and the snapshot. `stats` is added to. */
err series_snapshot_select(struct series_snapshot *sn, const struct series_request *r, struct arena *a,
                           struct series_stats *stats, struct selection **out);
/* Names of labels (name.p NULL), or values of a name, ascending, distinct; of series that match, if there are matchers. */
err series_snapshot_texts(struct series_snapshot *sn, struct str name, const struct series_request *r, struct arena *a,
                          struct series_stats *stats, struct str **out, uint32_t *out_n);

/* What is said about a metric by its name: the newest of each distinct saying. */
struct series_metadata {
    struct str name, help, unit;
    enum metric_type type;
};
/* By name, ascending; of one name if name.p is not NULL. */
err series_snapshot_metadata(struct series_snapshot *sn, struct str name, struct arena *a, struct series_metadata **out,
                             uint32_t *out_n);

/* Where the series are: the `n` largest of each, by series, falling. Bytes: of files, shared out by samples; memory is not in it. */
struct series_count {
    struct str name, value; /* metrics: name; labels: name; pairs: both */
    uint64_t series, values, samples, bytes;
};
struct series_cardinality {
    uint64_t series, labels, pairs, samples, file_bytes, memory_bytes;
    int64_t time_min, time_max; /* min > max: no samples */
    struct series_count *by_metric, *by_label, *by_pair;
    uint32_t metric_count, label_count, pair_count;
};
err series_snapshot_cardinality(struct series_snapshot *sn, const struct series_request *r, uint32_t n, struct arena *a,
                                struct series_stats *stats, struct series_cardinality *out);

/* ---- deletes ---------------------------------------------------------------------------------------------------- */

/* Samples of the series that match, in the range, are gone: as store_delete. Matchers are kept as text in the manifest. */
err store_delete_series(struct store *s, struct str tenant, const struct series_request *r, uint64_t *out_id);
