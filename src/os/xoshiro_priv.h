/* xoshiro256** 1.0: 256 bits of state, 64 bits a step, for everything that need not be secret.
 * Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47(4), 2021. */
#pragma once

#include "base/base.h"

struct xoshiro {
    uint64_t s[4]; /* not all zero: from there the sequence never leaves zero */
};

static inline bool xoshiro_is_unseeded(const struct xoshiro *x) { return (x->s[0] | x->s[1] | x->s[2] | x->s[3]) == 0; }

static inline uint64_t xoshiro_next(struct xoshiro *x) {
    uint64_t *s = x->s;
    uint64_t times5 = s[1] * 5;
    uint64_t result = (times5 << 7 | times5 >> 57) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

/* Spreads one number over the state (splitmix64, as the authors advise). */
static inline void xoshiro_seed(struct xoshiro *x, uint64_t seed) {
    for (size_t i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        x->s[i] = z ^ z >> 31;
    }
}
