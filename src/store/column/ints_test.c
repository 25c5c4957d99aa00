/* Numbers and codes: what was encoded comes back, whole and row by row, and bad bytes are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "store/column/codes_priv.h"
#include "store/column/ints_priv.h"

enum { ROWS_MAX = 20000 };

static uint64_t chance(uint64_t *seed) { return *seed = hash_u64(*seed + 0x9e37); }

/* ---- shapes of columns ------------------------------------------------------------------------------------------ */

enum shape { SAME, ANY_BITS, SORTED_TIMES, SMALL, NEGATIVE, FEW, SAWTOOTH, EXTREMES, ONE_OUTLIER, MANY_FEW, SHAPES };

static uint64_t value_of(enum shape shape, uint64_t *seed, uint64_t before, uint32_t row) {
    uint64_t r = chance(seed);
    switch (shape) {
    case SAME: return 0xfedcba9876543210u;
    case ANY_BITS: return r;
    case SORTED_TIMES: return (row ? before : 1790000000000000000u) + r % 4000000;
    case SMALL: return r % 1000;
    case NEGATIVE: return 0 - r % 100000;
    case FEW: return (uint64_t[]){200, 404, 503, 0 - 1ull, 200, 200, 200, 200}[r % 8];
    case SAWTOOTH: return row % 300 * 1000 + r % 3;
    case EXTREMES: return (uint64_t[]){0, INT64_MAX, (uint64_t)INT64_MIN, UINT64_MAX}[r % 4] + r / 7 % 2;
    case ONE_OUTLIER: return row == 77 ? 1ull << 60 : 5 + r % 2;
    case MANY_FEW: return r % 250 * 1000003;
    case SHAPES:
    default: return 0;
    }
}

static void fill(enum shape shape, uint64_t seed, uint64_t *v, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) v[i] = value_of(shape, &seed, i ? v[i - 1] : 0, i);
}

/* A copy on the heap of exactly its size, so that the sanitizer sees one byte too far. */
static char *exact_copy(const struct buf *b) {
    char *copy = mem_grow(NULL, b->n);
    memcpy(copy, b->p, b->n);
    return copy;
}

static void assert_ints_round_trip(const uint64_t *v, uint32_t n, uint64_t seed) {
    struct buf b;
    buf_init(&b, 16 * MIB);
    ints_encode(v, n, &b);
    assert_true(!b.full && b.n > 0);
    AUTO_FREE char *bytes = exact_copy(&b);
    struct ints c;
    err e = ints_open(str_span(bytes, b.n), n, &c);
    assert_null(e);
    assert_int_equal(c.bytes, b.n);
    uint64_t *out = mem_new_array(uint64_t, n);
    ints_decode(&c, 0, n, out);
    assert_memory_equal(out, v, (size_t)n * 8);
    for (int i = 0; n && i < 50; i++) {
        uint32_t first = (uint32_t)(chance(&seed) % n), count = (uint32_t)(chance(&seed) % (n - first + 1));
        assert_true(ints_get(&c, first) == v[first]);
        ints_decode(&c, first, count, out);
        if (count) assert_memory_equal(out, v + first, (size_t)count * 8);
    }
    uint32_t *rows = mem_new_array(uint32_t, n), expected = 0;
    for (uint32_t round = 0; n && round < 5; round++, expected = 0) {
        uint64_t wanted = round ? v[chance(&seed) % n] : chance(&seed);
        uint32_t found = ints_find(&c, wanted, rows);
        for (uint32_t i = 0; i < n; i++)
            if (v[i] == wanted) assert_int_equal(rows[expected++], i);
        assert_int_equal(found, expected);
    }
    mem_free(rows);
    for (uint32_t i = 0; i < n; i++) {
        int64_t low, high;
        if (ints_frame_range(&c, i / FRAME_ROWS, &low, &high))
            assert_true(low <= (int64_t)v[i] && (int64_t)v[i] <= high);
    }
    uint64_t most = 0, limit = 0;
    for (uint32_t i = 0; i < n; i++) most = MAX(most, v[i]);
    for (uint32_t round = 0; round < 6; round++) {
        limit = round < 3 ? most - 1 + round : n && round < 5 ? v[chance(&seed) % n] : chance(&seed);
        assert_int_equal(ints_are_below(&c, limit), n == 0 || most < limit);
    }
    mem_free(out);
    buf_done(&b);
}

static void every_shape_and_size_comes_back(void **state) {
    (void)state;
    static uint64_t v[ROWS_MAX];
    static const uint32_t sizes[] = {0, 1, 2, 3, 7, 8, 9, 100, 127, 128, 129, 255, 256, 257, 1000, 16384, ROWS_MAX};
    for (int shape = 0; shape < SHAPES; shape++)
        for (size_t s = 0; s < LENGTH(sizes); s++)
            for (uint64_t seed = 1; seed <= (sizes[s] > 1000 ? 1 : 4); seed++) {
                fill((enum shape)shape, seed * 31 + s, v, sizes[s]);
                assert_ints_round_trip(v, sizes[s], seed);
            }
}

static void every_width_comes_back(void **state) {
    (void)state;
    static uint64_t v[400];
    for (unsigned width = 0; width <= 64; width++)
        for (int delta = 0; delta < 2; delta++) {
            uint64_t seed = width, sum = 0;
            for (uint32_t i = 0; i < LENGTH(v); i++) {
                uint64_t r = (chance(&seed) << 1 | 1) & bits_mask(width);
                v[i] = delta ? sum += r : r;
            }
            assert_ints_round_trip(v, LENGTH(v), width);
        }
}

static size_t encoded_bytes(enum shape shape, uint32_t n, enum ints_kind kind) {
    static uint64_t v[ROWS_MAX];
    fill(shape, 5, v, n);
    struct buf b;
    buf_init(&b, 16 * MIB);
    ints_encode(v, n, &b);
    struct ints c;
    err e = ints_open(buf_str(&b), n, &c);
    assert_null(e);
    assert_int_equal(c.kind, kind);
    size_t bytes = b.n;
    buf_done(&b);
    return bytes;
}

static void the_smallest_kind_is_taken(void **state) {
    (void)state;
    assert_true(encoded_bytes(SAME, 16384, INTS_CONSTANT) <= 9);
    assert_true(encoded_bytes(SMALL, 1, INTS_CONSTANT) <= 3);
    assert_true(encoded_bytes(SMALL, 4, INTS_FRAMES) <= 10);
    assert_true(encoded_bytes(FEW, 16384, INTS_DICTIONARY) <= 16384 / 4 + 16);
    assert_true(encoded_bytes(MANY_FEW, 16384, INTS_DICTIONARY) <= 16384 + 1100);
    assert_true(encoded_bytes(SMALL, 16384, INTS_FRAMES) <= 16384 * 5 / 4 + 300);
    assert_true(encoded_bytes(SORTED_TIMES, 16384, INTS_DELTA) <= 16384 * 11 / 4 + 2200);
    assert_true(encoded_bytes(ANY_BITS, 16384, INTS_FRAMES) <= 16384 * 8 + 1300);
    assert_true(encoded_bytes(ONE_OUTLIER, 16384, INTS_FRAMES) <= 16384 / 8 + 128 * 8 + 1200);
}

static void fast_and_plain_unpacking_agree(void **state) {
    (void)state;
    enum { N = 136 };
    unsigned char packed[N * 8 + BITS_SLACK];
    uint64_t seed = 9, a[N], b[N];
    uint32_t c[N], d[N];
    for (size_t i = 0; i < sizeof packed; i++) packed[i] = (unsigned char)chance(&seed);
    for (unsigned width = 0; width <= 64; width++) {
        bits_unpack(packed, N, width, 77, a);
        bits_unpack_plain(packed, N, width, 77, b);
        assert_memory_equal(a, b, sizeof a);
        for (uint32_t i = 0; i < N; i++)
            assert_true(a[i] == 77 + bits_get(packed, packed + sizeof packed, (uint64_t)i * width, width));
        if (width > 32) continue;
        bits_unpack32(packed, N, width, c);
        bits_unpack32_plain(packed, N, width, d);
        assert_memory_equal(c, d, sizeof c);
        for (uint32_t i = 0; i < N; i++) assert_int_equal(c[i], (uint32_t)(a[i] - 77));
    }
}

/* ---- codes ------------------------------------------------------------------------------------------------------ */

static void assert_selection(const struct codes *c, const uint32_t *v, uint32_t n, uint64_t seed) {
    if (c->width > 16) return;
    size_t words = codes_wanted_words(c);
    uint64_t *wanted = mem_new_array(uint64_t, words);
    uint32_t *rows = mem_new_array(uint32_t, n + 1), *plain = mem_new_array(uint32_t, n + 1), expected = 0;
    for (size_t i = 0; i < words; i++) wanted[i] = chance(&seed) & chance(&seed);
    uint32_t found = codes_select(c, wanted, rows);
    for (uint32_t i = 0; i < n; i++)
        if (wanted[v[i] / 64] >> v[i] % 64 & 1) assert_int_equal(rows[expected++], i);
    assert_int_equal(found, expected);
    assert_int_equal(codes_count(c, wanted), expected);
    assert_int_equal(codes_select_plain(c, wanted, plain), expected);
    assert_memory_equal(rows, plain, (size_t)expected * 4);
    mem_free(wanted);
    mem_free(rows);
    mem_free(plain);
}

static void assert_codes_round_trip(unsigned width, uint32_t n, uint64_t seed) {
    static uint32_t v[ROWS_MAX], out[ROWS_MAX];
    uint32_t most = 0;
    for (uint32_t i = 0; i < n; i++) {
        v[i] = (uint32_t)(chance(&seed) & bits_mask(width));
        most = MAX(most, v[i]);
    }
    struct buf b;
    buf_init(&b, 16 * MIB);
    codes_encode(v, n, &b);
    AUTO_FREE char *bytes = exact_copy(&b);
    struct codes c;
    err e = codes_open(str_span(bytes, b.n), n, &c);
    assert_null(e);
    assert_int_equal(c.bytes, b.n);
    codes_decode(&c, 0, n, out);
    assert_memory_equal(out, v, (size_t)n * 4);
    for (int i = 0; n && i < 30; i++) {
        uint32_t first = (uint32_t)(chance(&seed) % n), count = (uint32_t)(chance(&seed) % (n - first + 1));
        assert_int_equal(codes_get(&c, first), v[first]);
        codes_decode(&c, first, count, out);
        if (count) assert_memory_equal(out, v + first, (size_t)count * 4);
    }
    assert_true(n == 0 || most == UINT32_MAX || codes_are_below(&c, most + 1));
    assert_true(n == 0 || most == 0 || !codes_are_below(&c, most));
    assert_selection(&c, v, n, seed);
    buf_done(&b);
}

static void codes_of_every_width_come_back(void **state) {
    (void)state;
    static const uint32_t sizes[] = {0, 1, 5, 8, 127, 128, 129, 255, 256, 257, 1000};
    for (unsigned width = 0; width <= 32; width++)
        for (size_t s = 0; s < LENGTH(sizes); s++) assert_codes_round_trip(width, sizes[s], width * 100 + s);
    assert_codes_round_trip(3, 16384, 1);
    assert_codes_round_trip(13, ROWS_MAX, 2);
}

/* ---- bad bytes -------------------------------------------------------------------------------------------------- */

/* Every truncation is refused; every flipped byte is refused or read without harm. */
static void bad_bytes_do_no_harm(void **state) {
    (void)state;
    static uint64_t v[700], out[700];
    for (int shape = 0; shape < SHAPES; shape++) {
        fill((enum shape)shape, 3, v, LENGTH(v));
        struct buf b;
        buf_init(&b, MIB);
        ints_encode(v, LENGTH(v), &b);
        struct ints c;
        for (size_t n = 0; n < b.n; n++) {
            err e = ints_open((struct str){b.p, n}, LENGTH(v), &c);
            assert_non_null(e);
            assert_int_equal(err_kind(e), ERR_CORRUPT);
            err_free(e);
        }
        AUTO_FREE char *bytes = exact_copy(&b);
        for (size_t at = 0; at < MIN(b.n, (size_t)300); at++)
            for (int flip = 1; flip < 256; flip = flip * 3 + 1) {
                bytes[at] = (char)(b.p[at] ^ flip);
                err e = ints_open(str_span(bytes, b.n), LENGTH(v), &c);
                if (!e) ints_decode(&c, 0, LENGTH(v), out);
                if (!e) (void)ints_get(&c, 650);
                err_free(e);
                bytes[at] = b.p[at];
            }
        buf_done(&b);
    }
    struct codes c;
    err e = codes_open(STR("\x21zzzzz"), 1, &c);
    assert_non_null(e);
    err_free(e);
    e = codes_open(STR("\x08zzz"), 4, &c);
    assert_non_null(e);
    err_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_shape_and_size_comes_back), cmocka_unit_test(every_width_comes_back),
        cmocka_unit_test(the_smallest_kind_is_taken),      cmocka_unit_test(fast_and_plain_unpacking_agree),
        cmocka_unit_test(codes_of_every_width_come_back),  cmocka_unit_test(bad_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
