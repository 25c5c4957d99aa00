/* Rates, errors and durations of spans by service and operation, and those of services over time.
 *
 *   filter ─┬─ rollups can tell ─▶ rows by key ─▶ sums of those with most spans │ the rest as one
 *           └─ they cannot ──────▶ query_breakdown, exactly
 *
 * What is counted are spans, not traces: a call that passes three services is three, one at each.
 * What rollups tell: rollups.h (whole minutes, quantiles right to 4.4 %). Minutes that are not flushed yet are in them.
 * Limits: QUERY_GROUPS_MAX rows of an aggregate, QUERY_SERVICES_MAX services of a series, 1,000 buckets.
 * Memory, deadline, errors: as query.h; ERR_INVALID of a step that is no whole minutes.
 */
#pragma once

#include "query/breakdown.h"
#include "query/rollups.h"

struct query_aggregate {
    struct query_filter filter;
    bool by_service, by_operation; /* one of them at least */
    size_t limit;                  /* 1 .. QUERY_GROUPS_MAX */
    bool rollups;                  /* read them where they can tell … */
    bool only_rollups;             /* … and else, or where they have nothing, answer with no rows */
};
struct query_aggregate_row {
    struct str service, operation; /* p NULL: not grouped by */
    struct query_span_stats stats;
};
struct query_aggregate_answer {
    const struct query_aggregate_row *rows; /* most spans first */
    size_t n;
    uint64_t found;                       /* rows that there are */
    bool found_cut;                       /* at least that many (breakdown.h) */
    struct query_span_stats total, other; /* of all; of the rows that are not given */
    bool rolled;
    uint64_t folded;            /* rolled: spans counted under `_other` */
    int64_t time_min, time_max; /* what was looked at: rolled, whole minutes */
};
err query_aggregate(struct query *q, const struct query_aggregate *r, struct query_aggregate_answer *out);

struct query_service_series {
    int64_t time_min, time_max;
    int64_t step;                    /* of a bucket, whole minutes; 0: chosen for about 60 buckets */
    struct str environment, service; /* p NULL: all */
    size_t limit;                    /* services wanted, at most QUERY_SERVICES_MAX */
};
struct query_service_line {
    struct str service;
    struct query_span_stats stats;          /* of all the range */
    const struct query_span_stats *buckets; /* bucket_count; spans 0: none in it */
};
struct query_service_series_answer {
    const struct query_service_line *services; /* most spans first; of all namespaces and environments together */
    size_t n;
    uint64_t found, folded; /* services that there are; spans counted under `_other` */
    int64_t step, first;    /* width of a bucket; start of bucket 0, which may be before time_min */
    size_t bucket_count;
    int64_t time_min, time_max; /* whole minutes */
};
/* From rollups alone, whatever the range. */
err query_service_series(struct query *q, const struct query_service_series *r,
                         struct query_service_series_answer *out);
