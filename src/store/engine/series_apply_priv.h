/* A record of points on its way into the head: what series_apply.c, series_values.c and series_delta.c share. The log thread's. */
#pragma once

#include "store/engine/series_table_priv.h"

enum { APPLY_SAMPLES = 1024, NO_RECORD_POINT = UINT32_MAX };

struct pending_samples {
    uint32_t n, capacity;
    uint32_t *series;
    uint32_t *points; /* of the record, NO_RECORD_POINT: of none */
    int64_t *times_ns, *starts_ns;
    double *values;
    uint8_t *verdicts;
};

struct applier {
    const struct translation *translation;
    struct translator *translator;
    struct points_builder made; /* what was translated */
    struct arena scratch;       /* of one point */
    VEC(double) values;
    VEC(struct label) labels;
    VEC(uint32_t) ids;
    struct pending_samples pending;

    /* the record under way */
    struct engine *engine;
    struct table *table;
    struct series_table *series;
    struct budget *budget;
    struct series_before *before; /* made when the first delta asks */
    const struct points *p;
    const uint32_t *said;  /* numbers of its series rows; NULL: they have none */
    const uint32_t *found; /* where numbers of its series rows go; NULL: nobody looked */
    uint64_t known_changes;
    struct points_outcome *out;
    int64_t arrived_ns, time_min, time_max;
    bool counts_new;                   /* there is a limit on new series, and it is known what is new */
    uint32_t series_begin, series_end; /* ids of the series that the record made */
    uint32_t series_max;               /* so many it may make */
    uint32_t refused;                  /* the last point that was refused, + 1 */
    uint32_t exemplar;                 /* the next */
};

/* Counts a point as refused, once; the first of all gets its text into the message. */
void apply_refuse(struct applier *a, uint32_t point, enum series_refusal why, struct labels l, const char *text);
/* The same with labels that the head has. */
void apply_refuse_series(struct applier *a, uint32_t point, enum series_refusal why, uint32_t series, const char *text);
void apply_grow(struct applier *a);
/* A sample into the head, soon; apply_flush: now. */
static inline void apply_sample(struct applier *a, uint32_t point, uint32_t series, int64_t time_ns, double value,
                                int64_t start_ns) {
    struct pending_samples *p = &a->pending;
    if (__builtin_expect(p->n == p->capacity, 0)) apply_grow(a);
    p->series[p->n] = series;
    p->points[p->n] = point;
    p->times_ns[p->n] = time_ns;
    p->starts_ns[p->n] = start_ns;
    p->values[p->n++] = value;
}
void apply_flush(struct applier *a);
void apply_histogram(struct applier *a, uint32_t point, uint32_t series, int64_t time_ns, const struct histogram *h,
                     int64_t start_ns);
/* False: the verdict is a refusal, which it tells. */
bool apply_verdict(struct applier *a, uint32_t point, uint32_t series, uint8_t verdict);
/* Milliseconds as nanoseconds; false: out of the range that the table takes. */
bool apply_time(const struct applier *a, int64_t ms, int64_t *out_ns);

/* series_values.c: values without a translation. */
enum {
    SHAPE_NUMBER = 1,
    SHAPE_NATIVE
}; /* 0: of Prometheus, which has numbers and native histograms; others are hashes */
/* What tells apart points of one hash that become other series: bounds, quantiles, whether there is a sum. */
uint64_t point_shape(const struct applier *a, uint32_t point);
/* The values of a point in the order in which translate_point makes them; false: it must be translated each time. */
bool point_values(struct applier *a, uint32_t point);
/* A histogram or summary without a recorded value, which need not say its bounds or sum: `parts` markers are the values, one for each series
 * that the point before it had. */
bool point_ends_parts(struct applier *a, uint32_t point, uint32_t parts);
/* Native histograms of points as histograms; memory of the arena. */
bool native_histogram(const struct points_histogram *from, const uint64_t *numbers, struct arena *a,
                      struct histogram *out);

/* series_delta.c: the i-th series of a known one gets a delta. */
void apply_delta(struct applier *a, uint32_t point, struct known *k, uint32_t i, int64_t time_ns, int64_t start_ns,
                 double value);
void apply_delta_histogram(struct applier *a, uint32_t point, struct known *k, uint32_t i, int64_t time_ns,
                           int64_t start_ns, const struct histogram *h);
