/* The wire format of protobuf, number by number: what is read, where a refusal points, and that nothing passes the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "signal/testing.h"
#include "signal/wire_priv.h"

/* A reader over memory of exactly that size. */
static struct wire exactly(struct str bytes, char **out_memory) {
    *out_memory = mem_new(bytes.n ? bytes.n : 1);
    if (bytes.n) memcpy(*out_memory, bytes.p, bytes.n);
    return wire_of(str_span(*out_memory, bytes.n));
}

static void varints_are_read_to_64_bits(void **state) {
    (void)state;
    static const struct {
        struct str bytes;
        uint64_t v;
        size_t used; /* 0: refused */
    } cases[] = {
        {{"\x00", 1}, 0, 1},
        {{"\x7f", 1}, 127, 1},
        {{"\x80\x01", 2}, 128, 2},
        {{"\xff\x7f", 2}, 16383, 2},
        {{"\x80\x80\x01", 3}, 16384, 3},
        {{"\x80\x00", 2}, 0, 2}, /* longer than needed is allowed */
        {{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10}, 0, 10},
        {{"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 9}, INT64_MAX, 9},
        {{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}, UINT64_MAX, 10},
        {{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10}, 0, 0},
        {{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11}, 0, 0},
        {{"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 11}, 0, 0},
        {{"", 0}, 0, 0},
        {{"\x80", 1}, 0, 0},
        {{"\xff\xff\xff", 3}, 0, 0},
        {{"\x05zz", 3}, 5, 1},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_FREE char *memory = NULL;
        struct wire w = exactly(cases[i].bytes, &memory);
        const unsigned char *start = w.p;
        uint64_t v = 77;
        if (wire_varint(&w, &v) != (cases[i].used > 0)) fail_msg("case %zu", i);
        assert_int_equal(w.p - start, cases[i].used); /* where it was, if refused */
        assert_true(v == (cases[i].used ? cases[i].v : 77));
    }
}

/* What the naive writer puts is read back, whatever follows, and refused in every cut. */
static void what_is_written_is_read(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct chance c = {seed};
        uint32_t field = 1 + chance_below(&c, seed % 2 ? 15 : (1u << 29) - 1), tag;
        uint64_t v = chance_next(&c) >> chance_below(&c, 64), got;
        AUTO_BUF struct buf b;
        buf_init(&b, KIB);
        put_wire_varint(&b, field, v);
        put_wire_fixed64(&b, field, v);
        put_wire_fixed32(&b, field, (uint32_t)v);
        put_wire_bytes(&b, field, str_span(&v, seed % 9));
        AUTO_FREE char *memory = NULL;
        struct wire w = exactly(buf_str(&b), &memory), bytes = {0};
        uint32_t word;
        assert_true(wire_tag(&w, &tag) && tag == WIRE_TAG(field, WIRE_VARINT) && wire_varint(&w, &got) && got == v);
        assert_true(wire_tag(&w, &tag) && tag == WIRE_TAG(field, WIRE_FIXED64) && wire_fixed64(&w, &got) && got == v);
        assert_true(wire_tag(&w, &tag) && tag == WIRE_TAG(field, WIRE_FIXED32) && wire_fixed32(&w, &word) &&
                    word == (uint32_t)v);
        assert_true(wire_tag(&w, &tag) && tag == WIRE_TAG(field, WIRE_BYTES) && wire_bytes(&w, &bytes));
        assert_true(str_equal(wire_str(&bytes), str_span(&v, seed % 9)) && wire_left(&w) == 0);
    }
}

/* Skips fields one by one; true: all of them to the end. */
static bool skip_all(struct wire w, uint32_t *out_fields) {
    uint32_t tag;
    for (*out_fields = 0; w.p < w.end; ++*out_fields) {
        const unsigned char *before = w.p;
        if (!wire_tag(&w, &tag)) {
            assert_ptr_equal(w.p, before);
            return false;
        }
        if (!wire_skip(&w, tag)) return false;
        assert_true(w.p > before && w.p <= w.end);
    }
    return true;
}

static void every_cut_but_between_fields_is_refused(void **state) {
    (void)state;
    AUTO_BUF struct buf b;
    size_t ends[5] = {0};
    buf_init(&b, KIB);
    put_wire_varint(&b, 3, 300);
    ends[1] = b.n;
    put_wire_fixed64(&b, 200, 1);
    ends[2] = b.n;
    put_wire_bytes(&b, 5, STR("bytes"));
    ends[3] = b.n;
    put_wire_fixed32(&b, 1, 9);
    ends[4] = b.n;
    for (size_t n = 0; n <= b.n; n++) {
        AUTO_FREE char *memory = NULL;
        uint32_t fields, want = 0;
        bool between = false;
        for (uint32_t i = 0; i < 5; i++) between |= n == ends[i], want = n >= ends[i] ? i : want;
        assert_int_equal(skip_all(exactly(str_span(b.p, n), &memory), &fields), between);
        assert_int_equal(fields, want);
    }
}

static void tags_that_are_none_are_refused(void **state) {
    (void)state;
    static const struct str bad[] = {
        {"\x00", 1},
        {"\x07", 1},
        {"\x80", 1},
        {"", 0},
        {"\x80\x80\x80\x80\x10", 5}, /* 2^32 */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
        {"\x80\x00", 2}, /* field 0, written long */
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        AUTO_FREE char *memory = NULL;
        struct wire w = exactly(bad[i], &memory);
        const unsigned char *start = w.p;
        uint32_t tag = 77;
        assert_false(wire_tag(&w, &tag));
        assert_true(w.p == start && tag == 77);
    }
    for (uint32_t type = 0; type < 8; type++) { /* groups, and types that are none, cannot be skipped */
        AUTO_FREE char *memory = NULL;
        struct wire w = exactly(STR("\x00\x00\x00\x00\x00\x00\x00\x00"), &memory);
        bool known = type == WIRE_VARINT || type == WIRE_FIXED64 || type == WIRE_BYTES || type == WIRE_FIXED32;
        assert_int_equal(wire_skip(&w, WIRE_TAG(1, type)), known);
    }
}

static void a_length_never_passes_the_end(void **state) {
    (void)state;
    static const uint64_t lengths[] = {0,         1, 2, 3, 127, 128, UINT32_MAX, 1ull << 32, INT64_MAX, UINT64_MAX - 1,
                                       UINT64_MAX};
    for (size_t i = 0; i < LENGTH(lengths); i++)
        for (size_t room = 0; room < 4; room++) {
            AUTO_BUF struct buf b;
            AUTO_FREE char *memory = NULL;
            struct wire out = {0};
            buf_init(&b, KIB);
            for (uint64_t v = lengths[i];; v >>= 7) {
                buf_add_byte(&b, (char)(v > 127 ? v | 128 : v));
                if (v <= 127) break;
            }
            buf_add(&b, "xyz", room);
            struct wire w = exactly(buf_str(&b), &memory);
            const unsigned char *start = w.p;
            assert_int_equal(wire_bytes(&w, &out), lengths[i] <= room);
            if (lengths[i] > room)
                assert_ptr_equal(w.p, start);
            else
                assert_true(wire_left(&out) == lengths[i] && wire_left(&w) == room - lengths[i]);
        }
}

/* Any bytes: skipping ends, at the end or before it. */
static void any_bytes_are_skipped_or_refused(void **state) {
    (void)state;
    uint32_t whole = 0;
    for (uint64_t seed = 0; seed < 20000; seed++) {
        struct chance c = {seed};
        char bytes[24];
        AUTO_FREE char *memory = NULL;
        uint32_t fields, n = chance_below(&c, sizeof bytes);
        for (uint32_t i = 0; i < n; i++)
            bytes[i] = (char)(chance_below(&c, 3) ? chance_below(&c, 24) : chance_below(&c, 256));
        whole += skip_all(exactly(str_span(bytes, n), &memory), &fields);
        assert_true(fields <= n);
    }
    assert_true(whole > 500);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_are_read_to_64_bits),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(every_cut_but_between_fields_is_refused),
        cmocka_unit_test(tags_that_are_none_are_refused),
        cmocka_unit_test(a_length_never_passes_the_end),
        cmocka_unit_test(any_bytes_are_skipped_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
