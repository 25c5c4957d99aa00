/* One budget of bytes that memory tables, caches, queries and merges draw from (DESIGN.md §4, 9): over it the taker is
 * refused before memory grows. Threads: any, lock-free. Owner: app; the others hold a pointer. */
#pragma once

#include <stdatomic.h>

#include "base/base.h"

struct budget {
    uint64_t limit_bytes;
    _Atomic uint64_t used_bytes, peak_bytes;
    _Atomic uint64_t refused; /* how often */
};

static inline void budget_init(struct budget *b, uint64_t limit_bytes) {
    *b = (struct budget){.limit_bytes = limit_bytes};
}
bool budget_take(struct budget *b, uint64_t bytes); /* false: over the limit, nothing taken */
void budget_take_always(struct budget *b,
                        uint64_t bytes); /* for memory that must be had (replay); may pass the limit */
void budget_give(struct budget *b, uint64_t bytes);
static inline uint64_t budget_used(const struct budget *b) { return atomic_load(&b->used_bytes); }
err budget_err(const struct budget *b, const char *what); /* ERR_BUSY "over memory.limit of N MiB: <what>" */
