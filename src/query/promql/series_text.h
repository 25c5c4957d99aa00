/* Series as Prometheus' tests write them: name{a="b"} 1 2+1x5 _ _x3 stale {{schema:0 count:3 buckets:[1 2]}}+{{…}}x2
 *
 * Limits: SERIES_TEXT_VALUES_MAX values a series, 64 labels. Owner: all is the arena's. Errors: ERR_INVALID says what is wrong; ERR_LIMIT.
 * Source: Prometheus 3.5, documentation of unit testing for rules.
 */
#pragma once

#include "query/promql/promql.h"

enum { SERIES_TEXT_VALUES_MAX = 10000000 };

struct series_value {
    bool omitted;
    double number;                  /* a marker of staleness has the bits PROMQL_STALE */
    const struct native *histogram; /* else NULL */
};
struct series_text {
    struct labels labels;
    struct series_value *values;
    size_t n;
};

err series_text_parse(struct arena *a, struct str text, struct series_text *out);
/* The labels alone: name{a="b"}. */
err series_labels_parse(struct arena *a, struct str text, struct labels *out);
/* The values alone. */
err series_values_parse(struct arena *a, struct str text, struct series_text *out);
