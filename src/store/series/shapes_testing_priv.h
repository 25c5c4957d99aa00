/* Series as they occur, for tests and benches: one function makes n values and times of a class from a seed. Header only. */
#pragma once

#include <math.h>

#include "base/hash.h"
#include "store/series/values_priv.h"

struct dice {
    uint64_t seed;
};
static inline uint64_t dice_u64(struct dice *d) { return d->seed = hash_u64(d->seed + 0x9e3779b97f4a7c15u); }
static inline uint32_t dice_below(struct dice *d, uint32_t n) { return (uint32_t)(dice_u64(d) % n); }
static inline double dice_unit(struct dice *d) { return (double)(dice_u64(d) >> 11) * 0x1p-53; }
static inline double dice_normal(struct dice *d) { /* near enough: twelve uniform ones */
    double sum = -6;
    for (int i = 0; i < 12; i++) sum += dice_unit(d);
    return sum;
}

enum shape {
    SHAPE_OTLP_COUNTER, /* the load law: grows by random integers */
    SHAPE_OTLP_WALK,
    SHAPE_OTLP_RATIO,
    SHAPE_OTLP_CONSTANT,
    SHAPE_COUNTER, /* node-exporter-like, as in the sketch */
    SHAPE_CPU_SECONDS,
    SHAPE_BYTE_COUNTER,
    SHAPE_GAUGE_2,
    SHAPE_PAGES,
    SHAPE_SPARSE,
    SHAPE_CONSTANT,
    SHAPE_NOISE,
    SHAPE_FLOAT_SUM,
    SHAPE_FEW,
    SHAPE_RESETS,
    SHAPE_STALE, /* a gauge with stale markers and NaN */
    SHAPE_ANY_BITS,
    SHAPE_EDGES, /* −0, infinities, NaN payloads, subnormals, powers near 2^51 and 2^53 */
    SHAPES_ALL
};
static const char *const shape_names[SHAPES_ALL] = {"otlp counter",  "otlp walk",         "otlp ratio",
                                                    "otlp constant", "counter",           "cpu seconds",
                                                    "byte counter",  "gauge, 2 decimals", "multiples of 4096",
                                                    "sparse bucket", "constant",          "noise",
                                                    "float sum",     "few values",        "resets",
                                                    "stale",         "any bits",          "edges"};

static const uint64_t edge_bits[] = {0,
                                     UINT64_C(1) << 63,
                                     UINT64_C(0x7ff0000000000000),
                                     UINT64_C(0xfff0000000000000),
                                     STALE_BITS,
                                     UINT64_C(0x7ff8000000000001),
                                     UINT64_C(0xfff8000000001234),
                                     1,
                                     UINT64_C(0x000fffffffffffff),
                                     UINT64_C(0x8000000000000001),
                                     UINT64_C(0x4320000000000000) /* 2^51 */,
                                     UINT64_C(0x431fffffffffffff),
                                     UINT64_C(0x4340000000000000) /* 2^53 */,
                                     UINT64_C(0xc3200000000fffff),
                                     UINT64_C(0x7fefffffffffffff),
                                     UINT64_C(0x3fb999999999999a) /* 0.1 */,
                                     UINT64_C(0x3ff0000000000001),
                                     UINT64_C(0x44b52d02c7e14af6) /* 1e23 */};

static inline double shape_step(enum shape s, struct dice *d, double before, uint32_t i) {
    switch (s) {
    case SHAPE_OTLP_COUNTER: return before + dice_below(d, 100);
    case SHAPE_OTLP_WALK: return before + (double)dice_below(d, 21) - 10;
    case SHAPE_OTLP_RATIO: return (double)dice_below(d, 100) / 100;
    case SHAPE_OTLP_CONSTANT: return i == 0 ? 42 : dice_below(d, 100) == 0 ? 40 + dice_below(d, 5) : before;
    case SHAPE_COUNTER: return before + dice_below(d, 8);
    case SHAPE_CPU_SECONDS: return (double)(int64_t)(before * 100 + 0.5 + (double)dice_below(d, 1500)) / 100;
    case SHAPE_BYTE_COUNTER: return before + (double)(dice_u64(d) % 8000000);
    case SHAPE_GAUGE_2: return (double)(int64_t)(before * 100 + 200 * dice_normal(d)) / 100;
    case SHAPE_PAGES: return before + 4096 * (double)(int64_t)(300 * dice_normal(d));
    case SHAPE_SPARSE: return before + (dice_below(d, 12) == 0 ? 1 + dice_below(d, 3) : 0);
    case SHAPE_CONSTANT: return 17179869184;
    case SHAPE_NOISE: return 0.5 + dice_normal(d) / 20;
    case SHAPE_FLOAT_SUM: return before + dice_unit(d);
    case SHAPE_FEW: return (const double[]){0.25, 0.5, 1e-7, -3, 1.0 / 3, 99.9}[dice_below(d, 6)];
    case SHAPE_RESETS: return dice_below(d, 150) == 0 ? 0 : before + dice_below(d, 1000);
    case SHAPE_STALE:
        return dice_below(d, 9) == 0 ? double_of_bits(edge_bits[4 + dice_below(d, 3)]) : dice_below(d, 50);
    case SHAPE_ANY_BITS: return double_of_bits(dice_u64(d));
    case SHAPE_EDGES: return double_of_bits(edge_bits[dice_below(d, LENGTH(edge_bits))]);
    case SHAPES_ALL:
    default: return 0;
    }
}

static inline void shape_fill(enum shape s, uint64_t seed, double *v, uint32_t n) {
    struct dice d = {seed * 977 + s};
    double now = s == SHAPE_BYTE_COUNTER ? 8e11 : s == SHAPE_PAGES ? 4096e6 : s == SHAPE_OTLP_WALK ? 500 : 1000;
    for (uint32_t i = 0; i < n; i++) {
        double next = shape_step(s, &d, now, i);
        v[i] = next;
        if (next == next) now = next;
    }
}

/* Times every 15 s; jitter_ms > 0 moves each by up to so much. */
static inline void shape_times(uint64_t seed, uint32_t jitter_ms, int64_t *out_ns, uint32_t n) {
    struct dice d = {seed};
    for (uint32_t i = 0; i < n; i++)
        out_ns[i] =
            (INT64_C(1790000000000) + i * INT64_C(15000) + (jitter_ms ? dice_below(&d, 2 * jitter_ms + 1) : 0)) *
            1000000;
}

static inline bool same_doubles(const double *a, const double *b, uint32_t n) {
    return n == 0 || memcmp(a, b, n * sizeof *a) == 0;
}
