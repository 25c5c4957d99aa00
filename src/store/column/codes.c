#include "store/column/codes_priv.h"

#include "store/column/ints_priv.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define BITS_AVX2 1
#define AVX2 __attribute__((target("avx2")))
static inline bool has_avx2(void) { return __builtin_cpu_supports("avx2"); }
#else
#define BITS_AVX2 0
#endif

/* ---- packing ---------------------------------------------------------------------------------------------------- */

struct packer {
    unsigned char *out;
    uint64_t word;
    unsigned used; /* bits of word, < 64 */
};

static inline void packer_put(struct packer *p, uint64_t v, unsigned width) {
    p->word |= v << p->used;
    p->used += width;
    if (p->used >= 64) {
        memcpy(p->out, &p->word, 8);
        p->out += 8;
        p->used -= 64;
        p->word = p->used ? v >> (width - p->used) : 0;
    }
}

static inline void packer_end(struct packer *p) { memcpy(p->out, &p->word, 8); }

void bits_pack(const uint64_t *v, uint32_t n, unsigned width, unsigned char *out) {
    struct packer p = {out, 0, 0};
    if (width == 0) return;
    for (uint32_t i = 0; i < n; i++) packer_put(&p, v[i], width);
    packer_end(&p);
}

void bits_pack_field(const uint64_t *v, uint32_t n, unsigned shift, unsigned width, unsigned char *out) {
    struct packer p = {out, 0, 0};
    uint64_t mask = bits_mask(width);
    if (width == 0) return;
    for (uint32_t i = 0; i < n; i++) packer_put(&p, v[i] >> shift & mask, width);
    packer_end(&p);
}

void bits_pack32(const uint32_t *v, uint32_t n, unsigned width, unsigned char *out) {
    struct packer p = {out, 0, 0};
    if (width == 0) return;
    for (uint32_t i = 0; i < n; i++) packer_put(&p, v[i], width);
    packer_end(&p);
}

/* ---- unpacking -------------------------------------------------------------------------------------------------- */

/* Where the eight values of a round start. */
struct eight {
    uint8_t byte[8], shift[8];
};

static struct eight eight_of(unsigned width) {
    struct eight e;
    for (unsigned j = 0; j < 8; j++) {
        e.byte[j] = (uint8_t)(j * width / 8);
        e.shift[j] = (uint8_t)(j * width % 8);
    }
    return e;
}

static void unpack_wide(const unsigned char *p, uint32_t n, unsigned width, uint64_t base, uint64_t *out) {
    uint64_t mask = bits_mask(width);
    if (width == 64) {
        for (uint32_t i = 0; i < n; i++) out[i] = base + load_u64(p + (size_t)i * 8);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        const unsigned char *at = p + ((uint64_t)i * width >> 3);
        unsigned shift = i * width & 7;
        uint64_t v = load_u64(at) >> shift;
        if (shift) v |= (uint64_t)at[8] << (64 - shift);
        out[i] = base + (v & mask);
    }
}

/* A window of 64 bits from a byte boundary holds a value of up to 57 bits wherever it starts. */
enum { WINDOW64_MAX = 57, WINDOW32_MAX = 25 };

void bits_unpack_plain(const unsigned char *p, uint32_t n, unsigned width, uint64_t base, uint64_t *out) {
    if (width > WINDOW64_MAX) {
        unpack_wide(p, n, width, base, out);
        return;
    }
    struct eight e = eight_of(width);
    uint64_t mask = bits_mask(width);
    for (uint32_t i = 0; i < n; i += 8, p += width)
        for (unsigned j = 0; j < 8; j++) out[i + j] = base + (load_u64(p + e.byte[j]) >> e.shift[j] & mask);
}

void bits_unpack32_plain(const unsigned char *p, uint32_t n, unsigned width, uint32_t *out) {
    struct eight e = eight_of(width);
    uint64_t mask = bits_mask(width);
    for (uint32_t i = 0; i < n; i += 8, p += width)
        for (unsigned j = 0; j < 8; j++) out[i + j] = (uint32_t)(load_u64(p + e.byte[j]) >> e.shift[j] & mask);
}

#if BITS_AVX2
/* Values a..a+3 of a round: a and a+1 come from 16 bytes at byte[a], a+2 and a+3 from 16 bytes at byte[a+2]. */
struct quad {
    __m256i shuffle, shift;
    unsigned low, high;
};

AVX2 static inline struct quad quad_of(const struct eight *e, unsigned a) {
    const __m256i count = _mm256_set1_epi64x(0x0706050403020100);
    const int64_t ones = 0x0101010101010101;
    int64_t second = ones * (e->byte[a + 1] - e->byte[a]), fourth = ones * (e->byte[a + 3] - e->byte[a + 2]);
    return (struct quad){_mm256_add_epi8(count, _mm256_set_epi64x(fourth, 0, second, 0)),
                         _mm256_set_epi64x(e->shift[a + 3], e->shift[a + 2], e->shift[a + 1], e->shift[a]), e->byte[a],
                         e->byte[a + 2]};
}

AVX2 static inline __m256i quad_load(const unsigned char *p, const struct quad *q, __m256i mask) {
    __m128i low = _mm_loadu_si128((const __m128i *)(p + q->low)),
            high = _mm_loadu_si128((const __m128i *)(p + q->high));
    __m256i windows = _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), q->shuffle);
    return _mm256_and_si256(_mm256_srlv_epi64(windows, q->shift), mask);
}

AVX2 static void unpack_avx2(const unsigned char *p, uint32_t n, unsigned width, uint64_t base, uint64_t *out) {
    struct eight e = eight_of(width);
    struct quad a = quad_of(&e, 0), b = quad_of(&e, 4);
    __m256i mask = _mm256_set1_epi64x((int64_t)bits_mask(width)), bases = _mm256_set1_epi64x((int64_t)base);
    for (uint32_t i = 0; i < n; i += 8, p += width) {
        _mm256_storeu_si256((__m256i *)(out + i), _mm256_add_epi64(quad_load(p, &a, mask), bases));
        _mm256_storeu_si256((__m256i *)(out + i + 4), _mm256_add_epi64(quad_load(p, &b, mask), bases));
    }
}

/* The same for windows of 32 bits: values 0..3 lie within 16 bytes of byte[0], 4..7 of byte[4]. */
struct octet {
    __m256i shuffle, shift, mask;
    unsigned high;
};

AVX2 static inline struct octet octet_of(unsigned width) {
    struct eight e = eight_of(width);
    uint32_t shuffle[8], shift[8];
    for (unsigned j = 0; j < 8; j++) {
        shuffle[j] = 0x03020100u + 0x01010101u * (uint32_t)(e.byte[j] - e.byte[j & 4]);
        shift[j] = e.shift[j];
    }
    return (struct octet){_mm256_loadu_si256((const __m256i *)shuffle), _mm256_loadu_si256((const __m256i *)shift),
                          _mm256_set1_epi32((int32_t)bits_mask(width)), e.byte[4]};
}

AVX2 static inline __m256i octet_load(const unsigned char *p, const struct octet *o) {
    __m128i low = _mm_loadu_si128((const __m128i *)p), high = _mm_loadu_si128((const __m128i *)(p + o->high));
    __m256i windows = _mm256_shuffle_epi8(_mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1), o->shuffle);
    return _mm256_and_si256(_mm256_srlv_epi32(windows, o->shift), o->mask);
}

AVX2 static void unpack32_avx2(const unsigned char *p, uint32_t n, unsigned width, uint32_t *out) {
    struct octet o = octet_of(width);
    for (uint32_t i = 0; i < n; i += 8, p += width) _mm256_storeu_si256((__m256i *)(out + i), octet_load(p, &o));
}
#endif

void bits_unpack(const unsigned char *p, uint32_t n, unsigned width, uint64_t base, uint64_t *out) {
#if BITS_AVX2
    if (width <= WINDOW64_MAX && has_avx2()) {
        unpack_avx2(p, n, width, base, out);
        return;
    }
#endif
    bits_unpack_plain(p, n, width, base, out);
}

void bits_unpack32(const unsigned char *p, uint32_t n, unsigned width, uint32_t *out) {
#if BITS_AVX2
    if (width <= WINDOW32_MAX && has_avx2()) {
        unpack32_avx2(p, n, width, out);
        return;
    }
#endif
    bits_unpack32_plain(p, n, width, out);
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

void codes_encode(const uint32_t *v, uint32_t n, struct buf *out) {
    uint32_t any = 0;
    for (uint32_t i = 0; i < n; i++) any |= v[i];
    unsigned width = bits_width(any);
    size_t bytes = (size_t)bits_bytes(n, width);
    if (!buf_reserve(out, 1 + bytes + 8)) return;
    buf_add_byte(out, (char)width);
    bits_pack32(v, n, width, (unsigned char *)out->p + out->n);
    out->n += bytes;
    out->p[out->n] = 0;
}

err codes_open(struct str bytes, uint32_t n, struct codes *out) {
    if (bytes.n < 1) return err_new(ERR_CORRUPT, "codes: no header");
    uint8_t width = (uint8_t)bytes.p[0];
    if (width > 32) return err_new(ERR_CORRUPT, "codes: width %u", width);
    uint64_t size = 1 + bits_bytes(n, width);
    if (size > bytes.n || size > UINT32_MAX)
        return err_new(ERR_CORRUPT, "codes: %zu bytes where %llu must be", bytes.n, (unsigned long long)size);
    *out = (struct codes){n, width, (const unsigned char *)bytes.p + 1, (uint32_t)size};
    return NULL;
}

static const unsigned char *codes_end(const struct codes *c) { return c->packed + c->bytes - 1; }

uint32_t codes_get(const struct codes *c, uint32_t i) {
    return (uint32_t)bits_get(c->packed, codes_end(c), (uint64_t)i * c->width, c->width);
}

enum { CHUNK = 256 };

/* At most CHUNK codes from a multiple of 8 on; out has room for CHUNK. */
static void decode_chunk(const struct codes *c, uint32_t first, uint32_t count, uint32_t *out) {
    const unsigned char *p = c->packed + (uint64_t)first / 8 * c->width;
    unsigned char near_end[CHUNK * 4 + BITS_SLACK];
    size_t need = (size_t)(count + 7) / 8 * c->width + BITS_SLACK, have = (size_t)(codes_end(c) - p);
    if (need > have) {
        size_t bytes = MIN(have, (size_t)bits_bytes(count, c->width));
        memcpy(near_end, p, bytes);
        memset(near_end + bytes, 0, need - bytes);
        p = near_end;
    }
    bits_unpack32(p, count, c->width, out);
}

void codes_decode(const struct codes *c, uint32_t first, uint32_t count, uint32_t *out) {
    uint32_t chunk[CHUNK];
    if (c->width == 0) {
        memset(out, 0, (size_t)count * 4);
        return;
    }
    while (count > 0) {
        uint32_t skip = first & 7, n = MIN(count, CHUNK - skip);
        decode_chunk(c, first - skip, n + skip, chunk);
        memcpy(out, chunk + skip, (size_t)n * 4);
        first += n, out += n, count -= n;
    }
}

__attribute__((always_inline)) static inline uint32_t highest_loop(const uint32_t *v, uint32_t n) {
    uint32_t most = 0;
    for (uint32_t i = 0; i < n; i++) most = MAX(most, v[i]);
    return most;
}

#if BITS_AVX2
AVX2 static uint32_t highest_avx2(const uint32_t *v, uint32_t n) { return highest_loop(v, n); }
#endif

static uint32_t highest(const uint32_t *v, uint32_t n) {
#if BITS_AVX2
    if (has_avx2()) return highest_avx2(v, n);
#endif
    return highest_loop(v, n);
}

bool codes_are_below(const struct codes *c, uint32_t limit) {
    uint32_t chunk[CHUNK], most = 0;
    if (c->n == 0 || bits_mask(c->width) < limit) return true;
    for (uint32_t at = 0; at < c->n; at += CHUNK) {
        uint32_t n = MIN(c->n - at, CHUNK);
        decode_chunk(c, at, n, chunk);
        most = MAX(most, highest(chunk, n));
    }
    return most < limit;
}

/* ---- selection -------------------------------------------------------------------------------------------------- */

/* Appends the rows of a chunk that are wanted, or only counts them (rows NULL). */
static uint32_t select_chunk(const uint32_t *chunk, uint32_t n, uint32_t first, const uint64_t *wanted,
                             uint32_t *rows) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (rows) rows[found] = first + i;
        found += wanted[chunk[i] >> 6] >> (chunk[i] & 63) & 1;
    }
    return found;
}

#if BITS_AVX2
/* Up to 256 codes: their wanted bits are eight 32-bit words of one register. */
AVX2 static uint32_t select_chunk_avx2(const uint32_t *chunk, uint32_t n, uint32_t first, __m256i words,
                                       uint32_t *rows) {
    uint32_t found = 0;
    const __m256i low = _mm256_set1_epi32(31);
    for (uint32_t i = 0; i < n; i += 8) {
        __m256i c = _mm256_loadu_si256((const __m256i *)(chunk + i));
        __m256i word = _mm256_permutevar8x32_epi32(words, _mm256_srli_epi32(c, 5));
        __m256i bit = _mm256_sllv_epi32(word, _mm256_sub_epi32(low, _mm256_and_si256(c, low)));
        uint32_t mask = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(bit));
        if (n - i < 8) mask &= (1u << (n - i)) - 1;
        if (!rows) found += (uint32_t)__builtin_popcount(mask);
        for (; rows && mask; mask &= mask - 1) rows[found++] = first + i + (uint32_t)__builtin_ctz(mask);
    }
    return found;
}

AVX2 static uint32_t select_avx2(const struct codes *c, const uint64_t *wanted, uint32_t *rows) {
    uint64_t table[4] = {0};
    memcpy(table, wanted, (bits_mask(c->width) / 64 + 1) * 8);
    __m256i words = _mm256_loadu_si256((const __m256i *)table);
    uint32_t chunk[CHUNK], found = 0;
    for (uint32_t at = 0; at < c->n; at += CHUNK) {
        uint32_t n = MIN(c->n - at, CHUNK);
        decode_chunk(c, at, n, chunk);
        found += select_chunk_avx2(chunk, n, at, words, rows ? rows + found : NULL);
    }
    return found;
}

AVX2 static uint32_t find_chunk_avx2(const uint32_t *chunk, uint32_t n, uint32_t first, uint32_t code, uint32_t *rows) {
    const __m256i wanted = _mm256_set1_epi32((int32_t)code);
    uint32_t found = 0;
    for (uint32_t i = 0; i < n; i += 8) {
        __m256i equal = _mm256_cmpeq_epi32(_mm256_loadu_si256((const __m256i *)(chunk + i)), wanted);
        uint32_t mask = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(equal));
        if (n - i < 8) mask &= (1u << (n - i)) - 1;
        if (!rows) found += (uint32_t)__builtin_popcount(mask);
        for (; rows && mask; mask &= mask - 1) rows[found++] = first + i + (uint32_t)__builtin_ctz(mask);
    }
    return found;
}

/* One code of many, as of an id. */
static uint32_t find_avx2(const struct codes *c, uint32_t code, uint32_t *rows) {
    uint32_t chunk[CHUNK] = {0}, found = 0;
    for (uint32_t at = 0; at < c->n; at += CHUNK) {
        uint32_t n = MIN(c->n - at, CHUNK);
        decode_chunk(c, at, n, chunk);
        found += find_chunk_avx2(chunk, n, at, code, rows ? rows + found : NULL);
    }
    return found;
}
#endif

bool codes_only_wanted(const uint64_t *wanted, size_t words, uint32_t *out) {
    size_t at = words;
    for (size_t w = 0; w < words; w++) {
        if (!wanted[w]) continue;
        if (at < words) return false;
        at = w;
    }
    if (at == words || wanted[at] & (wanted[at] - 1)) return false;
    *out = (uint32_t)at * 64 + (uint32_t)__builtin_ctzll(wanted[at]);
    return true;
}

static uint32_t select_all(const struct codes *c, const uint64_t *wanted, uint32_t *rows) {
    if (c->width == 0) {
        if (!(wanted[0] & 1)) return 0;
        for (uint32_t i = 0; rows && i < c->n; i++) rows[i] = i;
        return c->n;
    }
#if BITS_AVX2
    uint32_t only;
    if (c->width <= 8 && has_avx2()) return select_avx2(c, wanted, rows);
    if (codes_only_wanted(wanted, codes_wanted_words(c), &only) && has_avx2()) return find_avx2(c, only, rows);
#endif
    return codes_select_plain(c, wanted, rows);
}

uint32_t codes_select_plain(const struct codes *c, const uint64_t *wanted, uint32_t *rows) {
    uint32_t chunk[CHUNK] = {0}, found = 0;
    for (uint32_t at = 0; at < c->n; at += CHUNK) {
        uint32_t n = MIN(c->n - at, CHUNK);
        decode_chunk(c, at, n, chunk);
        found += select_chunk(chunk, n, at, wanted, rows ? rows + found : NULL);
    }
    return found;
}

uint32_t codes_select(const struct codes *c, const uint64_t *wanted, uint32_t *out) {
    return select_all(c, wanted, out);
}
uint32_t codes_count(const struct codes *c, const uint64_t *wanted) { return select_all(c, wanted, NULL); }
