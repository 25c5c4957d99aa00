/* Hashes. hash_bytes is XXH3-64 (seed 0) and may be written to disk; hash_fast may change between builds and must not.
 * crc is not offered: every checksum of ours is XXH3-64. */
#pragma once

#include "base/base.h"

uint64_t hash_bytes(const void *p, size_t n);                     /* XXH3-64, the checksum of every block on disk */
uint64_t hash_bytes_seed(const void *p, size_t n, uint64_t seed); /* XXH3-64 with a seed */

static inline uint64_t hash_mix(uint64_t a, uint64_t b) {
    __uint128_t m = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}
static inline uint64_t hash_u64(uint64_t v) { return hash_mix(v, 0x8ebc6af09c88c6e3u); }

/* What hash_fast and hash_keyed are keyed with. Who does not know it cannot make texts that all hash alike and turn a table into a list: app
 * calls hash_seed with random numbers before threads start. Without that call (tests) hashes are the same in every run. */
extern uint64_t hash_secret[2];
void hash_seed(uint64_t a, uint64_t b);

/* In memory only, keyed as hash_fast is: numbers that the outside chooses. */
static inline uint64_t hash_keyed(uint64_t a, uint64_t b) { return hash_mix(a ^ hash_secret[0], b ^ hash_secret[1]); }

/* In memory only: short strings in a few cycles. */
static inline uint64_t hash_fast(const void *p, size_t n) {
    const unsigned char *b = (const unsigned char *)p;
    uint64_t x = 0, y = 0;
    if (n > 16) return hash_bytes_seed(p, n, hash_secret[0]);
    if (n >= 8) {
        memcpy(&x, b, 8);
        memcpy(&y, b + n - 8, 8);
    } else if (n >= 4) {
        uint32_t low, high;
        memcpy(&low, b, 4);
        memcpy(&high, b + n - 4, 4);
        x = low;
        y = high;
    } else if (n > 0) {
        x = (uint64_t)b[0] | (uint64_t)b[n / 2] << 8 | (uint64_t)b[n - 1] << 16;
    }
    return hash_mix(x ^ n * 0xa0761d6478bd642fu ^ hash_secret[0], y ^ hash_secret[1]);
}

/* 128 bits, keyed as hash_fast is, in memory only: two texts that somebody chose have different ones. */
struct hash128 {
    uint64_t low, high;
};
struct hash128 hash_wide(const void *p, size_t n);
static inline bool hash128_equal(struct hash128 a, struct hash128 b) { return a.low == b.low && a.high == b.high; }
