/* Rows by the values of one field or attribute, or of up to four: the largest groups, exactly, and the rest in two sums. And the range before a range.
 *
 *   user.id            u1 ▇▇▇▇▇  u2 ▇▇▇        │ other: all values that are not listed │ without: rows that have none
 *   user.id, status    u1 ok ▇▇▇▇  (none) ok ▇  │ other                                 │ a row without a value is of the group "none"
 *
 * Invariants: a listed group has all of its rows, whenever its value was first met; groups, other and without are together the rows
 * that fulfil the filter, each once. Limits: 1,000 groups, chosen of the first 2^20 values; four keys; two scans of one snapshot.
 * Memory, deadline and errors are the query's, as in query.h.
 */
#pragma once

#include "query/query.h"

enum { QUERY_GROUPS_MAX = 1000, QUERY_BY_COLUMNS = 2, QUERY_KEYS_MAX = 4, QUERY_GROUP_SAMPLES = 5 };

/* What rows are grouped by: the first of the columns that a row has. */
struct query_by {
    struct column_ref columns[QUERY_BY_COLUMNS];
    size_t column_count;
    bool is_number;       /* a number field: groups have `number`; of a severity its class */
    bool empty_is_absent; /* an empty text counts as none */
    struct str absent;    /* the value of rows that have none; p NULL: they are counted apart */
};
/* A field by its name (spans: service environment operation status kind; logs: service environment severity body event_name), or
 * else the key of an attribute as conditions write it. */
err query_by_parse(struct query *q, enum signal signal, struct str key, struct query_by *out);

struct query_breakdown {
    enum signal signal; /* spans or logs */
    struct query_filter filter;
    struct query_by by[QUERY_KEYS_MAX];
    size_t by_count;  /* 1: rows without a value are counted apart, unless … */
    bool with_absent; /* … they are a group like any other, as they are of several keys */
    bool samples;     /* of spans: trace ids of a group, as they are met */
    size_t top;       /* groups wanted, at most QUERY_GROUPS_MAX */
    bool trend;       /* count by bucket too */
    int64_t step;     /* of a bucket; 0: chosen for about 60 buckets */
};
struct query_group_value {
    struct str text;
    uint64_t number; /* of a number field */
    bool absent;
};
struct query_group {
    struct query_group_value values[QUERY_KEYS_MAX]; /* by_count */
    struct query_span_stats stats; /* of logs only `spans`, their number, and `errors`, those of error and fatal */
    const uint64_t *bucket_rows, *bucket_errors; /* bucket_count of each; NULL: no row, or no trend */
    const unsigned char (*samples)[16];          /* distinct trace ids */
    uint32_t sample_count;
};
struct query_breakdown_answer {
    const struct query_group *groups; /* most rows first; each has all of its rows */
    size_t n;
    struct query_group other, without; /* rows of all other values; rows that have none */
    struct query_span_stats total;     /* of all rows */
    uint64_t values;                   /* distinct ones; at least so many if values_cut */
    bool values_cut; /* more than 2^20: those met later were not counted, and one of them may belong to the largest */
    int64_t step;
    size_t bucket_count;
};
err query_breakdown(struct query *q, const struct query_breakdown *r, struct query_breakdown_answer *out);

/* Moves a range to the period before it: back by its length, made up to whole steps so that buckets stand one below another; it
 * ends before the range begins. False, and unchanged, if it would begin before 1970. */
bool query_range_before(int64_t *time_min, int64_t *time_max, int64_t step, int64_t *out_back);
