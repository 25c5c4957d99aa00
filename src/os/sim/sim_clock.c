#include "os/clock.h"
#include "os/sim/clock_priv.h"
#include "os/sim/sim.h"
#include "os/xoshiro_priv.h"

static const int64_t START_WALL_NS = INT64_C(1767225600) * 1000000000; /* 2026-01-01 */
static const int64_t START_MONOTONIC_NS = 1000000000;

static int64_t monotonic_ns, wall_ahead_ns; /* wall = monotonic + ahead */
static struct xoshiro numbers; /* apart from the disk's dice: a program that draws more leaves the disk alone */

void sim_clock_reset(uint64_t seed) {
    monotonic_ns = START_MONOTONIC_NS;
    wall_ahead_ns = START_WALL_NS - START_MONOTONIC_NS;
    xoshiro_seed(&numbers, ~seed);
}

void sim_clock_advance(int64_t ns) {
    assert(ns >= 0);
    monotonic_ns += ns;
}

void sim_clock_set_wall(int64_t wall_ns) { wall_ahead_ns = wall_ns - monotonic_ns; }

int64_t clock_wall_ns(void) { return monotonic_ns + wall_ahead_ns; }
int64_t clock_monotonic_ns(void) { return monotonic_ns; }
int64_t clock_process_cpu_ns(void) { return monotonic_ns; }
int64_t clock_thread_cpu_ns(void) { return monotonic_ns; }
uint64_t random_u64(void) { return xoshiro_next(&numbers); }

void random_bytes(void *out, size_t n) {
    for (size_t done = 0; done < n;) {
        uint64_t word = random_u64();
        size_t step = MIN(n - done, sizeof word);
        memcpy((char *)out + done, &word, step);
        done += step;
    }
}
