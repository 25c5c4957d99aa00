/* Failed spans by what they say: the same service, operation, kind, error and status message are one. The ground of the error inbox
 * (insight/errors.h), which puts messages together that differ in numbers and ids alone.
 *
 * A failure that passes through its callers is counted once: a failed span that called another failed span is not one of its group, but a passage of the
 * deepest one's below it. Spans in between that did not fail (a server's, at a status 4xx) do not break the chain if the caller called no failed span itself
 * and says nothing more than a status code. Only spans that fulfil the filter and are in its range are looked at: with a service alone its own passages of others' failures
 * are what it says itself.
 *
 * The error is the attribute error.type, else the first of http.response.status_code, http.status_code, rpc.grpc.status_code that is there.
 * Limits: QUERY_FAILURES_MAX groups: rows of those met later are counted in `other`; QUERY_FAILURE_SAMPLES newest spans of each; QUERY_FAILURE_BUCKETS equal parts of the range;
 * QUERY_FAILURES_FOLDED failed spans, newest first: those met later are groups' own (`unfolded`); QUERY_FAILURES_BETWEEN spans in between.
 * Spans that were sent twice count twice. Memory, deadline, errors: as query.h.
 */
#pragma once

#include "query/query.h"

enum { QUERY_FAILURES_FOLDED = 1 << 20, QUERY_FAILURES_BETWEEN = 1 << 20 };
enum { QUERY_FAILURES_MAX = 10000, QUERY_FAILURE_SAMPLES = 5, QUERY_FAILURE_BUCKETS = 24 };

struct query_failure_sample {
    unsigned char trace_id[16];
    uint64_t span_id; /* bytes in memory order */
    int64_t time;
    struct row_place place; /* in the query's snapshot */
};
/* Passages of a group's failures through another's spans. */
struct query_failure_caller {
    uint32_t failure; /* index */
    uint64_t count;
};
struct query_failure {
    struct str service, space, environment, operation, error, message;
    uint32_t kind;
    uint64_t count;                             /* that began there; 0: all of its spans passed on others' */
    uint64_t passed_through;                    /* failed spans that passed these on */
    const struct query_failure_caller *callers; /* through which; most first */
    uint32_t caller_count;
    int64_t first, last;
    struct query_failure_sample samples[QUERY_FAILURE_SAMPLES]; /* newest first, of different traces */
    uint32_t sample_count;
    uint64_t buckets[QUERY_FAILURE_BUCKETS];
};
struct query_failures_answer {
    struct query_failure *failures; /* as they were met */
    size_t n;
    uint64_t total, other; /* failed spans: count and passed_through of all groups, and those in no group */
    uint64_t
        unfolded; /* failed spans that came after QUERY_FAILURES_FOLDED, or whose caller may be beyond QUERY_FAILURES_BETWEEN */
    int64_t time_min, time_max; /* what buckets cover: the range of the filter */
};
/* f->status is not looked at. */
err query_failures(struct query *q, const struct query_filter *f, struct query_failures_answer *out);
/* The whole span of a sample, of the same query; false if it cannot be read any more. */
err query_failure_span(struct query *q, const struct query_failure_sample *sample, struct batch *out, bool *out_found);
