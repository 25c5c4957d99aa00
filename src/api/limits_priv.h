/* What each tenant may take, and took: rates of sending, questions at once; figures for /metrics.
 *
 *   bucket: fills by its rate, holds one second of it; something passes while it is not empty and may leave it in debt,
 *           so that a body larger than a second's bytes passes, too, and the debt is waited for
 *
 * Document (--limits FILE): {"default": {"requests_per_second": 100, "bytes_per_second": 1048576, "queries": 8},
 *                            "tenants": {"shop": {"queries": 16}}}
 * 0 is no limit; what a tenant does not say is the default's; what that does not say: rates without limit, 64 queries.
 *
 * Limits: TENANTS_MAX tenants are remembered; beyond, the one that was idle longest and has no question under way starts anew.
 * Threads: any. Times: wall, ns; a clock that steps back stops filling until it has caught up to a second.
 */
#pragma once

#include "ingest/ingest.h"

struct limits;

enum limit { LIMIT_REQUESTS, LIMIT_BYTES, LIMIT_QUERIES, LIMITS };
extern const char *const limit_names[LIMITS]; /* as in the document */
enum { LIMIT_TENANTS_MAX = 1024, LIMIT_QUERIES_DEFAULT = 64 };

/* json p NULL: the defaults alone. ERR_INVALID names the place. */
err limits_new(struct str json, struct limits **out);
void limits_free(struct limits *l); /* takes NULL */

/* Each is NULL or ERR_BUSY that says which limit; *out_retry_s: when to try again. A begun query must be ended. */
err limits_take_ingest(struct limits *l, struct str tenant, size_t bytes, int64_t now, uint32_t *out_retry_s)
    __attribute__((warn_unused_result));
err limits_begin_query(struct limits *l, struct str tenant, int64_t now, uint32_t *out_retry_s)
    __attribute__((warn_unused_result));
void limits_end_query(struct limits *l, struct str tenant);
void limits_count_rows(struct limits *l, struct str tenant, enum ingest_kind kind, uint64_t taken, uint64_t rejected);

struct tenant_counts {
    char tenant[64];
    uint64_t ingest_requests, ingest_bytes, rows[INGEST_KINDS], rejected_rows[INGEST_KINDS], queries, refused[LIMITS];
    uint64_t queries_running;
};
/* Copies of all, or of the one named (p NULL: all), at most LIMIT_TENANTS_MAX to `out`; returns how many. */
size_t limits_get_counts(struct limits *l, struct str tenant, struct tenant_counts *out);
