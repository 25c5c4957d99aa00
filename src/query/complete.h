/* What completes a condition while it is typed: names of attributes, and the values of one. The second door of query.
 *
 * Names come from the store's columns of shapes: every name there is, without a look at values. Values are counted in the newest rows of
 * the range, as many as a fraction of a second is enough for: a `sampled` answer says so.
 *
 * Owner and threads: as query.h. Errors: ERR_INVALID, and those of every question.
 */
#pragma once

#include "query/query.h"

enum {
    QUERY_ATTRIBUTE_BYTES = 512,        /* longer names are left out */
    QUERY_ATTRIBUTES_SEEN_MAX = 50000,  /* distinct ones looked at */
    QUERY_VALUE_BYTES = 256,            /* longer values are left out */
    QUERY_VALUES_SEEN_MAX = 20000,      /* distinct ones counted */
    QUERY_VALUES_ROWS = 200000,         /* rows looked at, up to the end of a row group … */
    QUERY_VALUES_NS = 150 * 1000 * 1000 /* … or for so long */
};
struct query_attribute {
    enum target
        target; /* TARGET_ATTRIBUTE, _RESOURCE, _SCOPE or _EVENT; TARGET_FIELD: correlation_id, the id that came with the row */
    struct str key;
    uint8_t types; /* bit of each enum value_type */
    uint64_t
        values; /* of row groups that overlap the range; of resources and scopes: how many of them; of correlation_id: of the newest group with one */
    bool begins; /* with the prefix; else a part of it behind a dot or an underscore does */
};
/* Names of attributes, without a look at rows, and correlation_id where rows of the range have one, whatever attribute it stood in. Those that begin so
 * first, then by how often. */
struct query_attributes {
    enum signal signal;
    int64_t time_min, time_max;
    struct str prefix; /* without case; after resource. span. log. scope. event.: only of that */
    size_t limit;
};
struct query_attributes_answer {
    const struct query_attribute *attributes;
    size_t n, found; /* given, of how many */
    bool cut;        /* more than QUERY_ATTRIBUTES_SEEN_MAX */
};
err query_attributes(struct query *q, const struct query_attributes *r, struct query_attributes_answer *out);

struct query_value {
    struct str text;
    uint64_t rows;
};
/* The most frequent values of one attribute, or of a field of text, in the newest rows that fulfil the filter. */
struct query_values {
    enum signal signal;
    struct query_filter filter;
    struct column_ref column;
    struct str prefix; /* without case */
    size_t limit;
};
struct query_values_answer {
    const struct query_value *values; /* most rows first */
    size_t n;
    uint64_t rows; /* that were looked at */
    bool sampled;  /* the newest alone: there are more */
    bool cut;      /* longer than QUERY_VALUE_BYTES, or more than QUERY_VALUES_SEEN_MAX: left out */
};
err query_values(struct query *q, const struct query_values *r, struct query_values_answer *out);
