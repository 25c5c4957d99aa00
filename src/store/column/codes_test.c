/* Bits, cursors and codes: values at their edges, every truncation, wrong counts and widths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "store/column/codes_priv.h"
#include "store/column/ints_priv.h"

static void corrupt(err e) {
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_CORRUPT);
    err_free(e);
}

/* Of exactly n bytes, so that the sanitizer sees one too far. */
static char *exactly(const void *p, size_t n) {
    char *copy = mem_grow(NULL, n ? n : 1);
    if (n) memcpy(copy, p, n);
    return copy;
}

/* ---- bits --------------------------------------------------------------------------------------------------------- */

static void widths_are_those_of_the_highest_bit(void **state) {
    (void)state;
    assert_int_equal(bits_width(0), 0);
    for (unsigned w = 1; w <= 64; w++) {
        assert_int_equal(bits_width(1ull << (w - 1)), w);
        assert_int_equal(bits_width(bits_mask(w)), w);
        assert_int_equal(bytes_of(bits_mask(w)), (w + 7) / 8);
    }
    assert_true(bits_mask(0) == 0 && bits_mask(64) == UINT64_MAX);
    assert_true(bits_bytes(0, 64) == 0 && bits_bytes(3, 0) == 0 && bits_bytes(3, 3) == 2 &&
                bits_bytes(UINT32_MAX, 64) == 8ull * UINT32_MAX);
}

static void zigzag_is_undone(void **state) {
    (void)state;
    static const uint64_t edges[] = {0, 1, 2, UINT64_MAX, INT64_MAX, 1ull << 63, (1ull << 63) + 1};
    for (size_t i = 0; i < LENGTH(edges); i++) assert_true(unzigzag(zigzag(edges[i])) == edges[i]);
    for (uint64_t i = 0; i < 1000; i++) assert_true(unzigzag(zigzag(hash_u64(i))) == hash_u64(i));
    assert_true(zigzag(0) == 0 && zigzag((uint64_t)-1) == 1 && zigzag(1) == 2 && zigzag((uint64_t)-2) == 3);
}

/* What is packed at a width comes out at each place, the last included, without a byte read behind the end. */
static void every_width_is_read_to_the_last_byte(void **state) {
    (void)state;
    enum { N = 67 };
    for (unsigned width = 0; width <= 64; width++) {
        uint64_t v[N];
        unsigned char out[N * 8 + 8];
        for (uint32_t i = 0; i < N; i++) v[i] = hash_u64(i * 65 + width) & bits_mask(width);
        v[0] = bits_mask(width), v[N - 1] = bits_mask(width);
        bits_pack(v, N, width, out);
        size_t n = bits_bytes(N, width);
        AUTO_FREE char *packed = exactly(out, n);
        const unsigned char *p = (const unsigned char *)packed;
        for (uint32_t i = 0; i < N; i++) assert_true(bits_get(p, p + n, (uint64_t)i * width, width) == v[i]);
    }
}

static void narrow_values_pack_as_wide_ones(void **state) {
    (void)state;
    enum { N = 41 };
    for (unsigned width = 0; width <= 32; width++) {
        uint64_t wide[N];
        uint32_t narrow[N];
        unsigned char a[N * 8 + 8] = {0}, b[N * 8 + 8] = {0};
        for (uint32_t i = 0; i < N; i++) wide[i] = narrow[i] = (uint32_t)(hash_u64(i + width * 77) & bits_mask(width));
        bits_pack(wide, N, width, a);
        bits_pack32(narrow, N, width, b);
        assert_memory_equal(a, b, bits_bytes(N, width));
    }
}

/* ---- cursor ------------------------------------------------------------------------------------------------------- */

static void varints_are_read_back_or_refused(void **state) {
    (void)state;
    static const uint32_t edges[] = {0, 1, 127, 128, 16383, 16384, 2097151, 2097152, 268435455, 268435456, UINT32_MAX};
    for (size_t i = 0; i < LENGTH(edges); i++) {
        AUTO_BUF struct buf b;
        buf_init(&b, 16);
        put_varint(&b, edges[i]);
        for (size_t n = 0; n <= b.n; n++) {
            AUTO_FREE char *cut = exactly(b.p, n);
            struct cursor c = cursor_of(str_span(cut, n));
            assert_int_equal(cursor_varint(&c), n == b.n ? edges[i] : 0);
            assert_int_equal(c.bad, n < b.n);
        }
    }
    static const struct str bad[] = {
        {"\xff\xff\xff\xff\x7f", 5}, {"\x80\x80\x80\x80\x10", 5}, {"\x80\x80\x80\x80\x80\x00", 6}};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct cursor c = cursor_of(bad[i]);
        assert_int_equal(cursor_varint(&c), 0);
        assert_true(c.bad);
    }
}

static void a_bad_cursor_stays_bad(void **state) {
    (void)state;
    struct cursor c = cursor_of(STR("\x05\x06\x07"));
    assert_int_equal(cursor_byte(&c, 5), 5);
    assert_int_equal(cursor_byte(&c, 5), 0); /* 6 is over the most */
    assert_true(c.bad);
    assert_int_equal(cursor_byte(&c, 255), 0);
    assert_int_equal(cursor_varint(&c), 0);
    assert_ptr_equal(cursor_skip(&c, 0), c.end);
    c = cursor_of(STR("abc"));
    assert_ptr_not_equal(cursor_skip(&c, 3), c.end + 1);
    assert_int_equal(cursor_rest(&c).n, 0);
    assert_false(c.bad);
    assert_ptr_equal(cursor_skip(&c, UINT64_MAX), c.end);
    assert_true(c.bad);
}

/* ---- codes -------------------------------------------------------------------------------------------------------- */

static const uint32_t counts[] = {0, 1, 2, 7, 8, 9, 63, 64, 65, 127, 128, 129};

enum law { SAME, ALTERNATING, RISING, ONE_HIGH, MOST, LAWS };
static uint32_t code_of(enum law law, uint32_t i) {
    switch (law) {
    case SAME: return 5;
    case ALTERNATING: return i & 1 ? UINT32_MAX : 0;
    case RISING: return i;
    case ONE_HIGH: return i == 3 ? 1u << 31 : 0;
    case MOST: return UINT32_MAX;
    case LAWS: break;
    }
    return 0;
}

static void assert_codes(const uint32_t *v, uint32_t n) {
    AUTO_BUF struct buf b;
    struct codes c;
    buf_init(&b, MIB);
    codes_encode(v, n, &b);
    for (size_t cut = 0; cut < b.n; cut++) { /* one width byte, then exactly the bits */
        AUTO_FREE char *bytes = exactly(b.p, cut);
        corrupt(codes_open(str_span(bytes, cut), n, &c));
    }
    AUTO_FREE char *bytes = exactly(b.p, b.n);
    uint32_t out[200], most = 0;
    assert_null(codes_open(str_span(bytes, b.n), n, &c));
    assert_int_equal(c.bytes, b.n);
    codes_decode(&c, 0, n, out);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(out[i], v[i]);
        assert_int_equal(codes_get(&c, i), v[i]);
        most = MAX(most, v[i]);
        codes_decode(&c, i, n - i, out);
        for (uint32_t k = i; k < n; k++) assert_int_equal(out[k - i], v[k]);
        codes_decode(&c, 0, n, out);
    }
    assert_int_equal(codes_are_below(&c, most), n == 0); /* nothing is below anything */
    if (most < UINT32_MAX) assert_true(codes_are_below(&c, most + 1));
    if (n == 0) assert_true(codes_are_below(&c, 0));
}

static void codes_at_their_edges_come_back(void **state) {
    (void)state;
    for (int law = 0; law < LAWS; law++)
        for (size_t s = 0; s < LENGTH(counts); s++) {
            uint32_t v[200];
            for (uint32_t i = 0; i < counts[s]; i++) v[i] = code_of((enum law)law, i);
            assert_codes(v, counts[s]);
        }
}

static void codes_of_a_wrong_count_are_refused(void **state) {
    (void)state;
    AUTO_BUF struct buf b;
    struct codes c;
    uint32_t v[64];
    buf_init(&b, MIB);
    for (uint32_t i = 0; i < 64; i++) v[i] = i;
    codes_encode(v, 64, &b); /* 6 bits each: 48 bytes and the width */
    assert_int_equal(b.n, 49);
    corrupt(codes_open(buf_str(&b), 65, &c));
    corrupt(codes_open(buf_str(&b), UINT32_MAX, &c));
    assert_null(codes_open(buf_str(&b), 63, &c)); /* more bytes than needed belong to what follows */
    assert_int_equal(c.bytes, 1 + (63 * 6 + 7) / 8);
    for (int width = 33; width < 256; width++) {
        b.p[0] = (char)width;
        corrupt(codes_open(buf_str(&b), 1, &c));
    }
    b.p[0] = 0;
    assert_null(codes_open(buf_str(&b), UINT32_MAX, &c)); /* of no width: all 0 */
    assert_int_equal(codes_get(&c, UINT32_MAX - 1), 0);
}

/* Any wanted set, of any width up to 16: select, its plain twin, count and a loop agree. */
static void selections_agree(void **state) {
    (void)state;
    for (unsigned width = 0; width <= 16; width++)
        for (size_t s = 0; s < LENGTH(counts); s++) {
            uint32_t v[200], rows[200 + 8], plain[200 + 8], n = counts[s], want = 0;
            AUTO_BUF struct buf b;
            struct codes c;
            buf_init(&b, MIB);
            for (uint32_t i = 0; i < n; i++) v[i] = (uint32_t)(hash_u64(i + width) & bits_mask(width));
            if (n) v[n - 1] = (uint32_t)bits_mask(width);
            codes_encode(v, n, &b);
            AUTO_FREE char *bytes = exactly(b.p, b.n);
            assert_null(codes_open(str_span(bytes, b.n), n, &c));
            size_t words = codes_wanted_words(&c);
            uint64_t *wanted = mem_new_array(uint64_t, words);
            for (size_t i = 0; i < words; i++) wanted[i] = hash_u64(i + s);
            uint32_t found = codes_select(&c, wanted, rows);
            for (uint32_t i = 0; i < n; i++)
                if (wanted[v[i] / 64] >> v[i] % 64 & 1) assert_int_equal(rows[want++], i);
            assert_int_equal(found, want);
            assert_int_equal(codes_count(&c, wanted), want);
            assert_int_equal(codes_select_plain(&c, wanted, plain), want);
            if (want) assert_memory_equal(rows, plain, want * sizeof *rows);
            memset(wanted, 0, words * sizeof *wanted);
            assert_int_equal(codes_select(&c, wanted, rows) + codes_count(&c, wanted), 0);
            for (uint32_t k = 0; k < MIN(n, 5u); k++) { /* one code alone */
                uint32_t code = v[hash_u64(k + s) % n], only;
                memset(wanted, 0, words * sizeof *wanted);
                wanted[code / 64] |= UINT64_C(1) << code % 64;
                assert_true(codes_only_wanted(wanted, words, &only) && only == code);
                found = codes_select(&c, wanted, rows);
                want = 0;
                for (uint32_t i = 0; i < n; i++)
                    if (v[i] == code) assert_int_equal(rows[want++], i);
                assert_true(found == want && codes_count(&c, wanted) == want);
            }
            memset(wanted, 0xff, words * sizeof *wanted);
            assert_true(codes_select(&c, wanted, rows) == n && codes_count(&c, wanted) == n);
            mem_free(wanted);
        }
}

/* ---- ints --------------------------------------------------------------------------------------------------------- */

enum ints_law { I_ZERO, I_MOST, I_TOP_BIT, I_EXTREMES, I_STEP_TOP, I_DOWN, I_SAW, I_BITS, I_LATE, I_PAIRS, INTS_LAWS };
static uint64_t int_of(enum ints_law law, uint32_t i) {
    switch (law) {
    case I_ZERO: return 0;
    case I_MOST: return UINT64_MAX;
    case I_TOP_BIT: return 1ull << 63;
    case I_EXTREMES: return (uint64_t[]){0, UINT64_MAX, INT64_MAX, 1ull << 63}[i % 4];
    case I_STEP_TOP: return i * (1ull << 63) + i; /* steps that overflow */
    case I_DOWN: return UINT64_MAX - (uint64_t)i * 1000003;
    case I_SAW: return i % 2 ? INT64_MAX - i : (1ull << 63) + i;
    case I_BITS: return 1ull << i % 64;
    case I_LATE: return i < 128 ? 7 : hash_u64(i);
    case I_PAIRS: return hash_u64(i / 2);
    case INTS_LAWS: break;
    }
    return 0;
}

static void assert_ints(const uint64_t *v, uint32_t n) {
    AUTO_BUF struct buf b;
    struct ints c;
    buf_init(&b, MIB);
    ints_encode(v, n, &b);
    for (size_t cut = 0; cut < b.n; cut++) {
        AUTO_FREE char *bytes = exactly(b.p, cut);
        corrupt(ints_open(str_span(bytes, cut), n, &c));
    }
    AUTO_FREE char *bytes = exactly(b.p, b.n);
    uint64_t out[300];
    uint32_t rows[300];
    assert_null(ints_open(str_span(bytes, b.n), n, &c));
    assert_int_equal(c.bytes, b.n);
    for (uint32_t first = 0; first < n; first += 1 + n / 9) {
        ints_decode(&c, first, n - first, out);
        assert_memory_equal(out, v + first, (n - first) * sizeof *v);
    }
    for (uint32_t i = 0; i < n; i++) {
        int64_t low, high;
        uint32_t found = ints_find(&c, v[i], rows), want = 0;
        assert_true(ints_get(&c, i) == v[i]);
        for (uint32_t k = 0; k < n; k++) want += v[k] == v[i];
        assert_int_equal(found, want);
        if (ints_frame_range(&c, i / FRAME_ROWS, &low, &high))
            assert_true(low <= (int64_t)v[i] && (int64_t)v[i] <= high);
    }
    assert_int_equal(ints_find(&c, 0x123456789abcdefu, rows), 0);
}

static void ints_at_their_edges_come_back(void **state) {
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 3, 63, 64, 65, 127, 128, 129, 255, 256, 257};
    for (int law = 0; law < INTS_LAWS; law++)
        for (size_t s = 0; s < LENGTH(sizes); s++) {
            uint64_t v[300];
            for (uint32_t i = 0; i < sizes[s]; i++) v[i] = int_of((enum ints_law)law, i);
            assert_ints(v, sizes[s]);
        }
}

/* Opened with a count that is not theirs: refused, or read without a step outside; what counts says is one to be refused. */
static void ints_of_a_wrong_count_do_no_harm(void **state) {
    (void)state;
    static const uint32_t asked[] = {0, 1, 127, 129, 199, 201, 256, 1000, 1 << 20, UINT32_MAX};
    for (int law = 0; law < INTS_LAWS; law++) {
        AUTO_BUF struct buf b;
        struct ints c;
        uint64_t v[200], out[1000];
        buf_init(&b, MIB);
        for (uint32_t i = 0; i < 200; i++) v[i] = int_of((enum ints_law)law, i);
        ints_encode(v, 200, &b);
        AUTO_FREE char *bytes = exactly(b.p, b.n);
        for (size_t i = 0; i < LENGTH(asked); i++) {
            err e = ints_open(str_span(bytes, b.n), asked[i], &c);
            if (e) assert_int_equal(err_kind(e), ERR_CORRUPT);
            if (!e && asked[i]) ints_decode(&c, 0, MIN(asked[i], (uint32_t)LENGTH(out)), out);
            if (!e && asked[i]) (void)ints_get(&c, asked[i] - 1);
            err_free(e);
        }
    }
}

/* Every byte of small columns of every kind set to every value. */
static void any_byte_of_ints_may_be_anything(void **state) {
    (void)state;
    uint32_t opened = 0, refused = 0;
    for (int law = 0; law < INTS_LAWS; law++) {
        AUTO_BUF struct buf b;
        uint64_t v[130], out[130];
        uint32_t rows[130];
        buf_init(&b, MIB);
        for (uint32_t i = 0; i < 130; i++) v[i] = int_of((enum ints_law)law, i);
        ints_encode(v, 130, &b);
        AUTO_FREE char *bytes = exactly(b.p, b.n);
        for (size_t at = 0; at < MIN(b.n, (size_t)48); at++) {
            for (int value = 0; value < 256; value++) {
                struct ints c;
                int64_t low, high;
                bytes[at] = (char)value;
                err e = ints_open(str_span(bytes, b.n), 130, &c);
                if (!e) ints_decode(&c, 0, 130, out);
                if (!e) (void)(ints_get(&c, 129) + ints_find(&c, 5, rows)), ints_frame_range(&c, 1, &low, &high);
                for (uint32_t i = 0; !e && i < 130; i += 43) assert_true(ints_get(&c, i) == out[i]);
                *(e ? &refused : &opened) += 1;
                err_free(e);
            }
            bytes[at] = b.p[at];
        }
    }
    assert_true(opened > 1000 && refused > 1000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(widths_are_those_of_the_highest_bit),
        cmocka_unit_test(zigzag_is_undone),
        cmocka_unit_test(every_width_is_read_to_the_last_byte),
        cmocka_unit_test(narrow_values_pack_as_wide_ones),
        cmocka_unit_test(varints_are_read_back_or_refused),
        cmocka_unit_test(a_bad_cursor_stays_bad),
        cmocka_unit_test(codes_at_their_edges_come_back),
        cmocka_unit_test(codes_of_a_wrong_count_are_refused),
        cmocka_unit_test(selections_agree),
        cmocka_unit_test(ints_at_their_edges_come_back),
        cmocka_unit_test(ints_of_a_wrong_count_do_no_harm),
        cmocka_unit_test(any_byte_of_ints_may_be_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
