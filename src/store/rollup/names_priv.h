/* Which names of a tenant are counted by themselves: the first so many there were, until restart. Then `_other`.
 * Threads: any. */
#pragma once

#include "base/map.h"
#include "base/vec.h"
#include "os/thread.h"
#include "store/rollup.h"

enum {
    ROLLUP_OPERATIONS_MAX = 1000,
    ROLLUP_EDGES_MAX = 10000,
    ROLLUP_SERVICES_MAX = 10000,
    ROLLUP_ALL_OPERATIONS_MAX = 200000
};

struct rollup_names {
    struct lock lock;
    struct strings services, operations, edges;
    VEC(uint32_t) operation_counts; /* of a service */
    struct buf scratch;
};
void rollup_names_init(struct rollup_names *n);
void rollup_names_done(struct rollup_names *n);
/* Puts `_other` in place of names that are too many. */
void rollup_names_admit(struct rollup_names *n, struct rollup_key *key);
