/* Failed spans by what they say: the same service, operation, kind, error and status message are one. The ground of the error inbox
 * (insight/errors.h), which puts messages together that differ in numbers and ids alone.
 *
 * The error is the attribute error.type, else the first of http.response.status_code, http.status_code, rpc.grpc.status_code that is there.
 * Limits: QUERY_FAILURES_MAX groups: rows of those met later are counted in `other`; QUERY_FAILURE_SAMPLES newest spans of each; QUERY_FAILURE_BUCKETS equal parts of the range.
 * Spans that were sent twice count twice. Memory, deadline, errors: as query.h.
 */
#pragma once

#include "query/query.h"

enum { QUERY_FAILURES_MAX = 10000, QUERY_FAILURE_SAMPLES = 5, QUERY_FAILURE_BUCKETS = 24 };

struct query_failure_sample {
    unsigned char trace_id[16];
    uint64_t span_id; /* bytes in memory order */
    int64_t time;
};
struct query_failure {
    struct str service, space, environment, operation, error, message;
    uint32_t kind;
    uint64_t count;
    int64_t first, last;
    struct query_failure_sample samples[QUERY_FAILURE_SAMPLES]; /* newest first, of different traces */
    uint32_t sample_count;
    uint64_t buckets[QUERY_FAILURE_BUCKETS];
};
struct query_failures_answer {
    struct query_failure *failures; /* as they were met */
    size_t n;
    uint64_t total, other;      /* failed spans; of these in no group */
    int64_t time_min, time_max; /* what buckets cover: the range of the filter */
};
/* f->status is not looked at. */
err query_failures(struct query *q, const struct query_filter *f, struct query_failures_answer *out);
