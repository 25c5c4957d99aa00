/* What one attribute is in each of some traces: the value, as text, of the earliest span that has it and fulfils a filter.
 *
 * One scan, newest rows first or last alike. Equal starts: whichever is met first. Memory, deadline, errors: as query.h.
 * Limits: QUERY_VALUES_TRACES_MAX traces.
 */
#pragma once

#include "query/query.h"

enum { QUERY_VALUES_TRACES_MAX = 100000 };

/* ids: n × 16 bytes, distinct. out[i]: p NULL where no span of the trace has it. Texts are the query's. */
err query_trace_values(struct query *q, const struct query_filter *f, struct column_ref column,
                       const unsigned char *ids, size_t n, struct str *out);
