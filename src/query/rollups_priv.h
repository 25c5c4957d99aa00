/* Rows of rollups in a query's memory, and what many of them are together. */
#pragma once

#include "query/query_priv.h"
#include "query/rollups.h"

/* A request as this query asks: deadline, cancellation, minutes that the range touches. Views, step, filters and wishes are the caller's. */
struct rollup_request query_rollup_request(const struct query *q, int64_t time_min, int64_t time_max);
err query_rollups(struct query *q, const struct rollup_request *r, struct rollup_rows *out);
/* The whole minutes of a range, both ends included; the minute that begins with its last nanosecond is none of them. */
void query_whole_minutes(int64_t *time_min, int64_t *time_max);
/* Long enough to be answered by whole minutes. */
bool query_is_rolled(int64_t time_min, int64_t time_max);
/* All that the filter asks for is in keys, and its range is long enough. Then: the spans that fulfil it, by key and step. */
bool query_rollups_can_tell(const struct query_filter *f);
err query_rollups_of_spans(struct query *q, const struct query_filter *f, int64_t step, struct rollup_rows *out);
bool query_is_folded(const struct rollup_key *key); /* counted under `_other` */

struct rolled_sum {
    uint64_t calls, errors, sum_ns, max_ns;
    int64_t last_ns;
    uint64_t buckets[ROLLUP_BUCKETS];
};
/* *sum is made at first use; its memory is the query's. */
err rolled_sum_add(struct query *q, struct rolled_sum **sum, const struct rollup_row *row);
struct query_span_stats rolled_sum_read(const struct rolled_sum *sum); /* takes NULL */
