/* Building a batch of points (points.h): rows are appended to its sets, each pointing back to rows that exist, then
 * points_builder_finish makes the blob. Whoever builds holds invariants 1 to 3.
 *
 * Limits: those of points.h. Owner: a builder is its maker's. Threads: it belongs to one. */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "signal/metrics/points.h"

struct label_page;

struct points_builder {
    enum points_origin origin;
    uint32_t n, capacity; /* points */
    uint32_t *series_of;
    uint64_t *time, *start, *value;
    uint32_t *flags;
    uint8_t *kind;
    VEC(struct points_resource) resources;
    VEC(struct points_scope) scopes;
    VEC(struct points_metric) metrics;
    VEC(struct points_series) series;
    VEC(struct hash128) hashes; /* of the first series rows; points_builder_finish finds the others */
    VEC(const struct str *)
    kept; /* one a series row, or none at all: labels that a decoder keeps, NULL for those in `strings` */
    VEC(struct label_page *) pages; /* that those lie in, counted */
    size_t kept_bytes;
    VEC(struct points_histogram) histograms;
    VEC(uint64_t) numbers;
    VEC(struct points_exemplar) exemplars;
    struct strings strings; /* strings_intern and strings_append give ids */
};

void points_builder_init(struct points_builder *b, enum points_origin origin);
void points_builder_done(struct points_builder *b);
void points_builder_clear(struct points_builder *b, enum points_origin origin); /* empties, keeps memory */
size_t points_builder_bytes(const struct points_builder *b);                    /* about what the blob will take */

void points_builder_grow(struct points_builder *b); /* room for more points */
/* Appends one point of the last series row, all zero, and returns its index. */
static inline uint32_t points_builder_point(struct points_builder *b) {
    if (__builtin_expect(b->n == b->capacity, 0)) points_builder_grow(b);
    uint32_t i = b->n++;
    b->series_of[i] = (uint32_t)b->series.n - 1;
    b->time[i] = b->start[i] = b->value[i] = 0;
    b->flags[i] = 0;
    b->kind[i] = POINT_EMPTY;
    return i;
}
static inline uint32_t points_builder_series(struct points_builder *b, uint32_t metric, uint32_t labels) {
    *vec_push(&b->series) = (struct points_series){metric, labels};
    return (uint32_t)b->series.n - 1;
}
/* Appends one label {name, value} in the bytes of a Prometheus label set. */
void points_put_label(struct buf *out, struct str name, struct str value);

/* Takes back what came after the mark; strings stay. */
struct points_mark {
    uint32_t n;
    size_t resources, scopes, metrics, series, hashes, histograms, numbers, exemplars;
};
struct points_mark points_builder_mark(const struct points_builder *b);
void points_builder_rewind(struct points_builder *b, struct points_mark mark);

/* Makes the blob (one reference, the caller's) and leaves the builder empty. */
struct batch_blob *points_builder_finish(struct points_builder *b);
