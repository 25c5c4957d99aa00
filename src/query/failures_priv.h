/* Failed spans that explain each other: which row began a failure, and which only passed it on.
 *
 *   rows of a trace:   web ✗ ─▶ order ✗ ─▶ pay ✗        pay is an origin; web and order are passed through, both to pay's group
 *                          └─▶ cache ✗                  cache is another; web goes to pay, which is deeper
 *
 *   gate ✗ 402 ─▶ pay (unset) ─▶ charge ✗ declined       gate is passed through, to charge: it says nothing but the status that it got
 *
 * A caller that is apart (spans between did not fail) is passed through only if it called no failed span itself and says nothing more than what began below:
 * no message or a short one that repeats its status code, and no error but such a code; or the same message. A client's timeout over a call that went well stays its own.
 *
 * Invariants: every row is of one origin, its own or another's. Rows of one trace and span id are one. Rings of parents are origins, all of them.
 */
#pragma once

#include "query/failures.h"

enum { FAILURE_NONE = UINT32_MAX, FAILURE_STATUS = 2 };

struct failed_row {
    unsigned char trace_id[16];
    uint64_t span_id, parent_id;
    int64_t time;
    uint32_t group; /* FAILURE_NONE: too many groups */
    struct row_place place;
};
/* callers[i]: the nearest failed row above row i where the spans between fulfil the filter and did not fail, else FAILURE_NONE. One scan of ids, if a trace may have
 * such a pair. Of more than QUERY_FAILURES_BETWEEN spans in between the rest is not looked at: *out_unseen failed spans may have a caller beyond. */
err failures_between(struct query *q, const struct query_filter *f, const struct failed_row *rows, uint32_t n,
                     uint32_t *callers, uint64_t *out_unseen);
/* origins[i]: before, as callers[i] above; then the row that began what row i says. `said`: by a row's group. Memory beyond the answer's is charged and given
 * back. */
err failures_fold(struct query *q, const struct query_failure *said, const struct failed_row *rows, uint32_t n,
                  uint32_t *origins);
