/* One series decoded, as PromQL takes it: what a set hands out.
 *
 * Memory is used again by the next series. Times in ms are made once for series that share them (times_id).
 * Owner: decoded_init … decoded_done. Threads: one at a time. */
#pragma once

#include "query/series/series.h"

struct decoded {
    struct samples samples;
    struct arena histograms;
    struct promql_samples out;
    uint64_t times_id; /* whose times are in `times` */
    bool shares_ms;    /* some of them fall into one ms */
    int64_t *times, *histogram_times;
    double *values;
    const struct native **natives;
    size_t capacity, n, histogram_capacity;
};

/* Bounds of custom buckets outlive the sample that brought them: copies of histograms share them until the end of the query. */
struct kept_bounds {
    struct kept_bounds *next; /* of the source */
    struct arena arena;
    const double *newest;
    uint32_t n;
};

void decoded_init(struct decoded *d);
void decoded_done(struct decoded *d);
err decoded_read(struct decoded *d, struct series_found *found, uint32_t series, struct kept_bounds *bounds);
uint64_t decoded_bytes(const struct decoded *d); /* what it holds */
