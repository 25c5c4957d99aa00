#include "store/column/hash_index_priv.h"

#include "store/column/codes_priv.h"

enum { LOW_BITS = 6, DIRECTORY_STEP = 256, RADIX_BITS_MAX = 13 };

/* What stands at the start of the block. */
struct header {
    uint32_t n;
    uint8_t bucket_bits, low_bits, group_bits, zero;
};
static_assert(sizeof(struct header) == 8, "on disk");

static uint64_t unary_bytes(uint64_t n, unsigned bucket_bits) {
    return (n + (UINT64_C(1) << bucket_bits) + 63) / 64 * 8;
}
static uint64_t directory_bytes(unsigned bucket_bits) {
    return (((UINT64_C(1) << bucket_bits) - 1) / DIRECTORY_STEP + 1) * 4;
}

/* log2 n, rounded: between 0.7 and 1.4 entries a bucket. */
static unsigned bucket_bits_for(uint32_t n) {
    unsigned bits = n ? (unsigned)bits_width(n) - 1 : 0;
    return (uint64_t)n * n > (UINT64_C(2) << 2 * bits) ? bits + 1 : bits;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* Orders the keys by `width` of their bits from `shift` on; equal ones stay as they are. */
static void radix_pass(const uint64_t *from, uint64_t *to, uint32_t n, unsigned shift, unsigned width) {
    uint32_t start[1 << RADIX_BITS_MAX], sum = 0, mask = (1u << width) - 1;
    memset(start, 0, ((size_t)mask + 1) * sizeof *start);
    for (uint32_t i = 0; i < n; i++) start[from[i] >> shift & mask]++;
    for (uint32_t b = 0; b <= mask; b++) {
        uint32_t count = start[b];
        start[b] = sum;
        sum += count;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t key = from[i];
        to[start[key >> shift & mask]++] = key;
    }
}

/* Sorts the keys by the bits from `sorted` up to `bits` (by those below they are in order) and drops duplicates; returns how many are left, in keys. */
static uint32_t sort_keys(uint64_t **keys, uint32_t n, unsigned sorted, unsigned bits) {
    uint64_t *other = mem_grow(NULL, (size_t)n * 8 + 8);
    unsigned passes = (bits - sorted + RADIX_BITS_MAX - 1) / RADIX_BITS_MAX;
    unsigned width = passes ? (bits - sorted + passes - 1) / passes : 0;
    for (unsigned shift = sorted; shift < bits; shift += width) {
        radix_pass(*keys, other, n, shift, width);
        uint64_t *swap = other;
        other = *keys;
        *keys = swap;
    }
    mem_free(other);
    uint64_t *v = *keys;
    uint32_t kept = n > 0;
    for (uint32_t i = 1; i < n; i++) {
        v[kept] = v[i];
        kept += v[i] != v[kept - 1];
    }
    return kept;
}

/* Entry i of bucket b is bit i + b; bucket b starts at the number of entries before it, and b. */
static void put_unary(const uint64_t *keys, const struct header *h, unsigned char *directory, unsigned char *unary) {
    uint64_t buckets = UINT64_C(1) << h->bucket_bits, next = 0;
    unsigned shift = h->low_bits + h->group_bits;
    uint32_t n = h->n;
    for (uint32_t i = 0; i <= n; i++) {
        uint64_t bucket = i < n ? keys[i] >> shift : buckets - 1, bit = i + bucket;
        for (; next <= bucket; next += DIRECTORY_STEP) {
            uint32_t at = i + (uint32_t)next;
            memcpy(directory + next / DIRECTORY_STEP * 4, &at, 4);
        }
        if (i < n) unary[bit >> 3] |= (unsigned char)(1u << (bit & 7));
    }
}

/* Packs a field of each key and adds it to out. */
static void put_field(const uint64_t *keys, uint32_t n, unsigned shift, unsigned width, struct buf *out) {
    if (!buf_reserve(out, bits_bytes(n, width) + 8)) return;
    bits_pack_field(keys, n, shift, width, (unsigned char *)out->p + out->n);
    out->n += bits_bytes(n, width);
    out->p[out->n] = 0;
}

void hash_index_encode(const struct hash_index_entry *entries, uint32_t n, struct buf *out) {
    uint32_t groups = 0, before = 0;
    bool ordered = true; /* by group: the sort keeps that */
    for (uint32_t i = 0; i < n; i++) {
        groups |= entries[i].group;
        ordered &= before <= entries[i].group;
        before = entries[i].group;
    }
    struct header h = {0, (uint8_t)bucket_bits_for(n), LOW_BITS, bits_width(groups), 0};
    assert(h.group_bits <= 26);
    unsigned prefix_bits = h.bucket_bits + h.low_bits;
    uint64_t *keys = mem_grow(NULL, (size_t)n * 8 + 8);
    for (uint32_t i = 0; i < n; i++) keys[i] = entries[i].hash >> (64 - prefix_bits) << h.group_bits | entries[i].group;
    h.n = sort_keys(&keys, n, ordered ? h.group_bits : 0, prefix_bits + h.group_bits);
    buf_add(out, &h, sizeof h);
    size_t directory = directory_bytes(h.bucket_bits), unary = unary_bytes(h.n, h.bucket_bits);
    if (buf_reserve(out, directory + unary)) {
        unsigned char *p = (unsigned char *)out->p + out->n;
        memset(p, 0, directory + unary + 1);
        put_unary(keys, &h, p, p + directory);
        out->n += directory + unary;
    }
    put_field(keys, h.n, h.group_bits, h.low_bits, out);
    put_field(keys, h.n, 0, h.group_bits, out);
    mem_free(keys);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

err hash_index_open(struct str bytes, struct hash_index *out) {
    struct header h;
    if (bytes.n < sizeof h) return err_new(ERR_CORRUPT, "hash index: %zu bytes", bytes.n);
    memcpy(&h, bytes.p, sizeof h);
    if (h.bucket_bits > 32 || h.low_bits > LOW_BITS || h.low_bits == 0 || h.group_bits > 26)
        return err_new(ERR_CORRUPT, "hash index: widths %u, %u, %u", h.bucket_bits, h.low_bits, h.group_bits);
    uint64_t directory = directory_bytes(h.bucket_bits), unary = unary_bytes(h.n, h.bucket_bits);
    uint64_t lows = bits_bytes(h.n, h.low_bits), numbers = bits_bytes(h.n, h.group_bits);
    if (sizeof h + directory + unary + lows + numbers != bytes.n)
        return err_new(ERR_CORRUPT, "hash index: %zu bytes do not hold %u entries", bytes.n, h.n);
    const unsigned char *p = (const unsigned char *)bytes.p + sizeof h;
    *out = (struct hash_index){.n = h.n,
                               .bucket_bits = h.bucket_bits,
                               .low_bits = h.low_bits,
                               .group_bits = h.group_bits,
                               .directory = p,
                               .unary = p + directory,
                               .unary_end = p + directory + unary,
                               .lows = p + directory + unary,
                               .group_numbers = p + directory + unary + lows,
                               .end = p + directory + unary + lows + numbers};
    return NULL;
}

/* The bit position behind `zeros` more zeros from `bit` on, or the end of the bits. */
static uint64_t skip_zeros(const struct hash_index *x, uint64_t bit, uint32_t zeros) {
    uint64_t bits = (uint64_t)(x->unary_end - x->unary) * 8;
    while (zeros > 0 && bit < bits) {
        uint64_t word = ~load_u64(x->unary + bit / 64 * 8) >> bit % 64; /* zeros of the rest of this word, as ones */
        uint32_t here = (uint32_t)__builtin_popcountll(word);
        if (here < zeros) {
            zeros -= here;
            bit = (bit / 64 + 1) * 64;
            continue;
        }
        for (; zeros > 1; zeros--) word &= word - 1;
        return bit + (uint32_t)__builtin_ctzll(word) + 1;
    }
    return MIN(bit, bits);
}

static bool bit_is_set(const struct hash_index *x, uint64_t bit) {
    return bit / 8 < (uint64_t)(x->unary_end - x->unary) && (x->unary[bit / 8] >> bit % 8 & 1);
}

uint32_t hash_index_find(const struct hash_index *x, uint64_t hash, uint32_t *out_groups, uint32_t max) {
    if (x->n == 0) return 0;
    uint64_t prefix = hash >> (64 - x->bucket_bits - x->low_bits), bucket = prefix >> x->low_bits;
    uint64_t low = prefix & bits_mask(x->low_bits), bit = 0;
    memcpy(&bit, x->directory + bucket / DIRECTORY_STEP * 4, 4);
    bit = skip_zeros(x, bit, bucket % DIRECTORY_STEP);
    uint32_t found = 0, last = UINT32_MAX;
    for (; bit >= bucket && bit - bucket < x->n && bit_is_set(x, bit); bit++) {
        uint64_t i = bit - bucket;
        if (bits_get(x->lows, x->group_numbers, i * x->low_bits, x->low_bits) != low) continue;
        uint32_t group = (uint32_t)bits_get(x->group_numbers, x->end, i * x->group_bits, x->group_bits);
        if (group == last) continue;
        if (found < max) out_groups[found] = group;
        found++;
        last = group;
    }
    return found;
}
