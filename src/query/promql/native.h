/* Native histograms as PromQL computes with them: buckets whose bounds follow from a schema, counts as doubles.
 *
 *   schema -4 … 8   bucket i holds (2^((i-1)/2^schema), 2^(i/2^schema)]; the negative side mirrors it
 *   schema -53      custom buckets: bucket i holds (custom[i-1], custom[i]], from -Inf and up to +Inf at the ends
 *   zero bucket     [-zero_threshold, zero_threshold]
 *
 * Invariants: (1) indices of a side ascend strictly; (2) a bucket that is not listed holds 0, and a listed 0 means the same;
 * (3) with custom buckets the negative side and the zero bucket are empty; (4) custom bounds ascend strictly.
 *
 * Owner: an arena; nothing here is freed by itself. What takes an arena answers NULL or false when it is full.
 * Source: Prometheus 3.5, native histogram specification.
 */
#pragma once

#include "base/arena.h"

enum { NATIVE_CUSTOM_SCHEMA = -53, NATIVE_SCHEMA_MIN = -4, NATIVE_SCHEMA_MAX = 8, NATIVE_BUCKETS_MAX = 65536 };

enum native_reset { NATIVE_RESET_UNKNOWN, NATIVE_RESET, NATIVE_NOT_RESET, NATIVE_GAUGE };

struct native_side {
    uint32_t n, capacity; /* capacity 0: the arrays belong to someone else */
    int32_t *index;
    double *count;
};

struct native {
    int32_t schema;
    enum native_reset reset; /* what the sender said about a counter reset before this sample */
    double zero_threshold, zero_count, count, sum;
    struct native_side positive, negative;
    const double *custom;
    uint32_t custom_n;
};

struct native_bucket {
    double lower, upper, count;
    int rule; /* which ends belong to it: 0 (lower, upper], 1 [lower, upper), 3 both */
};

static inline bool native_is_custom(const struct native *h) { return h->schema == NATIVE_CUSTOM_SCHEMA; }

/* NULL when what a sample says is possible, else what is wrong with it: "the buckets do not ascend". */
const char *native_fault(const struct native *h);
struct native *native_copy(struct arena *a, const struct native *h);

enum native_added {
    NATIVE_ADDED,
    NATIVE_MIXED_SCHEMAS, /* exponential with custom buckets */
    NATIVE_MIXED_BOUNDS,  /* custom buckets with other bounds */
    NATIVE_NO_MEMORY
};
/* h += sign × other; h gets the coarser schema and the wider zero bucket of the two. `h` is the caller's own copy. */
enum native_added native_add(struct arena *a, struct native *h, const struct native *other, double sign);
void native_multiply(struct native *h, double factor);
void native_divide(struct native *h, double divisor);
void native_compact(struct native *h);                                 /* leaves out buckets that hold 0 */
bool native_reduce(struct arena *a, struct native *h, int32_t schema); /* to a coarser schema; false: no memory */
bool native_equal(const struct native *x, const struct native *y);
/* Whether a counter was reset between two samples; `a` is scratch. */
bool native_was_reset(struct arena *a, const struct native *now, const struct native *before);

/* Bucket k of all buckets from the lowest value to the highest, empty ones left out; false: no more. Start with
 * native_walk(&w, h, reverse). */
struct native_walk {
    const struct native *h;
    size_t at;
    bool reverse;
};
static inline struct native_walk native_walk(const struct native *h, bool reverse) {
    return (struct native_walk){.h = h, .reverse = reverse};
}
bool native_next(struct native_walk *w, struct native_bucket *out);

/* As Prometheus writes one as text: {count:3, sum:4.5, (1,2]:3}. */
void native_print(const struct native *h, struct buf *out);
