/* Time and chance: the only clocks and the only random numbers of clew. os/sim gives both from a seed.
 * Wall time: nanoseconds since 1970 UTC, as int64_t (to the year 2262). Monotonic: nanoseconds from any origin.
 * Threads: all functions may be called from any. */
#pragma once

#include "base/base.h"

int64_t clock_wall_ns(void);
int64_t clock_monotonic_ns(void);
int64_t clock_process_cpu_ns(void); /* user and system time of this process */
int64_t clock_thread_cpu_ns(void);
void random_bytes(void *out, size_t n); /* from the system; aborts if it gives none */
uint64_t
random_u64(void); /* xoshiro256** per thread, seeded from the system: for ids of load, jitter; not for secrets */
