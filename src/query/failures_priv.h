/* Failed spans that explain each other: which row began a failure, and which only passed it on.
 *
 *   rows of a trace:   web ✗ ─▶ order ✗ ─▶ pay ✗        pay is an origin; web and order are passed through, both to pay's group
 *                          └─▶ cache ✗                  cache is another; web goes to pay, which is deeper
 *
 * Invariants: every row is of one origin, its own or another's. Rows of one trace and span id are one. Rings of parents are origins, all of them.
 */
#pragma once

#include "query/failures.h"

enum { FAILURE_NONE = UINT32_MAX };

struct failed_row {
    unsigned char trace_id[16];
    uint64_t span_id, parent_id;
    int64_t time;
    uint32_t group; /* FAILURE_NONE: too many groups */
    struct row_place place;
};
/* origins[i]: the row that began what row i says. Memory beyond the answer's is charged and given back. */
err failures_fold(struct query *q, const struct failed_row *rows, uint32_t n, uint32_t *origins);
