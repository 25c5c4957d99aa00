/* The load generator's chance: xoshiro256** from one 64-bit seed (splitmix64 fills the state), so that a seed makes a request
 * again. Source: Blackman & Vigna, "Scrambled linear pseudorandom number generators" (2021). */
#pragma once

#include <math.h>

#include "base/base.h"

struct load_random {
    uint64_t s[4];
};

static inline uint64_t load_random_next(struct load_random *x) {
    uint64_t *s = x->s, r = s[1] * 5, t = s[1] << 17;
    r = (r << 7 | r >> 57) * 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return r;
}
static inline void load_random_seed(struct load_random *x, uint64_t seed) {
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15u;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        x->s[i] = z ^ z >> 31;
    }
}
static inline uint64_t load_random_below(struct load_random *x, uint64_t n) {
    return (uint64_t)(((__uint128_t)load_random_next(x) * n) >> 64);
}
static inline double load_random_unit(struct load_random *x) { /* (0, 1] */
    return (double)((load_random_next(x) >> 11) + 1) * 0x1p-53;
}
static inline double load_random_normal(struct load_random *x) { /* Box & Muller (1958) */
    return sqrt(-2 * log(load_random_unit(x))) * cos(6.283185307179586 * load_random_unit(x));
}
static inline void load_random_bytes(struct load_random *x, void *out, size_t n) {
    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = load_random_next(x);
        memcpy((char *)out + i, &v, MIN(n - i, (size_t)8));
    }
}
