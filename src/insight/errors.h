/* The error inbox: failed spans as the few mistakes that they are.
 *
 *   query_failures (service, operation, error, message) ─ message_normalise ─▶ groups by fingerprint ─▶ trend, samples
 *
 * A fingerprint is 16 hexadecimal digits: the first 8 bytes of SHA-256 over  error | pattern | namespace/service | operation,  where the pattern is the
 * message without what differs each time (algo/message.h). It is the same in every environment, range and release of clew: links hold.
 * A mistake is counted where it began: callers that failed because of it are listed with it, not beside it (query/failures.h).
 * Exceptions are in events, which no scan reads: the newest sample of the first ERROR_EXCEPTIONS_MAX groups is looked at whole, so a group can be named
 * though its spans have no status message. They are not part of the fingerprint.
 * Trend, by the halves of the range and its last sixth: new (first seen in the last sixth), increasing and decreasing (twice, or half, of before), else steady;
 * of fewer than five failures steady, unless new.
 * Limits: those of query/failures.h; a pattern 512 bytes; ERROR_CALLERS_MAX callers of a group.
 * Owner: the arena of the query. Threads: any, one a query. Errors: as query.h.
 */
#pragma once

#include "base/arena.h"
#include "query/failures.h"

enum error_trend { ERROR_STEADY, ERROR_NEW, ERROR_INCREASING, ERROR_DECREASING, ERROR_TRENDS };
extern const char *const error_trend_names[ERROR_TRENDS];
enum { ERROR_FINGERPRINT_DIGITS = 16, ERROR_GROUPS_MAX = 1000, ERROR_CALLERS_MAX = 10, ERROR_EXCEPTIONS_MAX = 100 };

/* An operation whose failed spans passed a group's failures on. */
struct error_caller {
    struct str service, operation;
    uint64_t count;
};

struct error_group {
    char fingerprint[ERROR_FINGERPRINT_DIGITS + 1];
    struct str pattern;      /* "" where spans say nothing */
    uint32_t variants;       /* different messages, environments and kinds in it */
    uint32_t environments;   /* how many it was seen in; the rest is of the one with most */
    struct query_failure of; /* summed up; message and environment of the most frequent, samples of all */
    enum error_trend trend;
    const struct error_caller *callers; /* most passages first */
    uint32_t caller_n;
    uint64_t callers_found;                       /* of which ERROR_CALLERS_MAX are given */
    struct str exception_type, exception_message; /* of the newest sample; "" where it has none */
};
struct error_groups {
    struct error_group *groups; /* most failures first */
    size_t n;
    uint64_t found;          /* groups there are, of which the first `limit` are given */
    uint64_t total, other;   /* failed spans; of these in no group */
    uint64_t passed_through; /* of these that passed another's failure on */
    uint64_t unfolded;       /* failed spans of which it was not asked whether they do */
    int64_t time_min, time_max;
};

err errors_make(struct arena *a, const struct query_failures_answer *in, size_t limit, struct error_groups *out);
/* f->status is not looked at. fingerprint: that one alone, if it is there; n 0: all. */
err errors_read(struct query *q, const struct query_filter *f, struct str fingerprint, size_t limit,
                struct error_groups *out);
