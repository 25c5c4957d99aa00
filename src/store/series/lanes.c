#include "store/series/lanes_priv.h"

typedef uint32_t lanes __attribute__((vector_size(16)));

#define INLINE static inline __attribute__((always_inline))

INLINE lanes load(const unsigned char *p) {
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Vector i of 32 at a width that is known when this is compiled: shifts become constants. */
INLINE void vector(const unsigned char *p, unsigned width, unsigned i, uint32_t *out) {
    unsigned bit = i * width, word = bit / 32, shift = bit % 32;
    lanes v = load(p + 16 * word) >> shift;
    if (shift + width > 32) v |= load(p + 16 * (word + 1)) << (32 - shift);
    v &= (uint32_t)((UINT64_C(1) << width) - 1);
    memcpy(out + 4 * i, &v, sizeof v);
}

#define VECTORS4(i)                                                                                                    \
    vector(p, width, i, out), vector(p, width, i + 1, out), vector(p, width, i + 2, out), vector(p, width, i + 3, out)

/* 32 vectors fill exactly `width` words of each lane. */
INLINE void vectors32(const unsigned char *p, unsigned width, uint32_t *out) {
    VECTORS4(0), VECTORS4(4), VECTORS4(8), VECTORS4(12), VECTORS4(16), VECTORS4(20), VECTORS4(24), VECTORS4(28);
}

#define AT(width)                                                                                                      \
    static void unpack_##width(const unsigned char *p, uint32_t *out) {                                                \
        vectors32(p, width, out);                                                                                      \
        vectors32(p + 16 * width, width, out + 128);                                                                   \
    }
AT(1)
AT(2)
AT(3)
AT(4)
AT(5)
AT(6)
AT(7)
AT(8) AT(9) AT(10) AT(11) AT(12) AT(13) AT(14) AT(15) AT(16) AT(17) AT(18) AT(19) AT(20) AT(21) AT(22) AT(23) AT(24)
    AT(25) AT(26) AT(27) AT(28) AT(29) AT(30) AT(31) AT(32)

        static void (*const unpackers[33])(const unsigned char *, uint32_t *) = {
            NULL,      unpack_1,  unpack_2,  unpack_3,  unpack_4,  unpack_5,  unpack_6,  unpack_7,  unpack_8,
            unpack_9,  unpack_10, unpack_11, unpack_12, unpack_13, unpack_14, unpack_15, unpack_16, unpack_17,
            unpack_18, unpack_19, unpack_20, unpack_21, unpack_22, unpack_23, unpack_24, unpack_25, unpack_26,
            unpack_27, unpack_28, unpack_29, unpack_30, unpack_31, unpack_32,
};

void lanes_unpack(const unsigned char *p, uint32_t n, unsigned width, uint32_t *out) {
    unsigned char whole[LANES_MAX * 4];
    if (width == 0) {
        memset(out, 0, LANES_MAX * sizeof *out);
        return;
    }
    if (n < LANES_MAX) { /* the last frame: unpackers read a whole one */
        uint32_t bytes = lanes_bytes(n, width);
        memcpy(whole, p, bytes);
        memset(whole + bytes, 0, lanes_bytes(LANES_MAX, width) - bytes);
        p = whole;
    }
    unpackers[width](p, out);
}

void lanes_pack(const uint32_t *v, uint32_t n, unsigned width, unsigned char *out) {
    uint32_t vectors = (n + 3) / 4;
    unsigned filled = 0;
    lanes word = {0};
    if (width == 0) return;
    for (uint32_t i = 0; i < vectors; i++) {
        lanes x = {0};
        memcpy(&x, v + 4 * i, MIN((size_t)(n - 4 * i), (size_t)4) * sizeof *v);
        word |= x << filled;
        filled += width;
        if (filled < 32) continue;
        memcpy(out, &word, sizeof word);
        out += sizeof word;
        filled -= 32;
        word = filled ? x >> (width - filled) : (lanes){0};
    }
    if (filled) memcpy(out, &word, sizeof word);
}

void lanes_sum(uint32_t *v, uint32_t n) {
    lanes before = {0}, zero = {0};
    for (uint32_t i = 0; i < n; i += 4) {
        lanes x;
        memcpy(&x, v + i, sizeof x);
        x += __builtin_shufflevector(x, zero, 4, 0, 1, 2);
        x += __builtin_shufflevector(x, zero, 4, 5, 0, 1);
        x += before;
        before = __builtin_shufflevector(x, x, 3, 3, 3, 3);
        memcpy(v + i, &x, sizeof x);
    }
}
