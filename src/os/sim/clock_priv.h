/* Between sim.c and sim_clock.c. */
#pragma once

#include <stdint.h>

void sim_clock_reset(uint64_t seed); /* the clock to its start, the program's random numbers to the seed */
