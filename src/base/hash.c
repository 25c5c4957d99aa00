#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *p, size_t n) { return XXH3_64bits(p, n); }
uint64_t hash_bytes_seed(const void *p, size_t n, uint64_t seed) { return XXH3_64bits_withSeed(p, n, seed); }

struct hash128 hash_wide(const void *p, size_t n) {
    XXH128_hash_t h = XXH3_128bits_withSeed(p, n, hash_secret[0]);
    return (struct hash128){h.low64, h.high64};
}

uint64_t hash_secret[2] = {0x2d358dccaa6c78a5u, 0x8bb84b93962eacc9u};

void hash_seed(uint64_t a, uint64_t b) {
    hash_secret[0] ^= a;
    hash_secret[1] ^= b;
}
