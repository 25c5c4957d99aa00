/* Compressed bodies: what fits comes out, what does not is refused at the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <libdeflate.h>
#include <zstd.h>

#include "net/inflate.h"

static void expect(struct str encoding, struct str body, size_t max, struct str want) {
    struct str out;
    void *owned = NULL;
    err e = inflate_body(encoding, body, max, &out, &owned);
    assert_null(e);
    assert_true(str_equal(out, want));
    mem_free(owned);
}

static void refuse(struct str encoding, struct str body, size_t max, enum err_kind kind, const char *text) {
    struct str out = {0};
    void *owned = NULL;
    err e = inflate_body(encoding, body, max, &out, &owned);
    assert_non_null(e);
    assert_int_equal(err_kind(e), kind);
    if (!strstr(err_text(e), text)) fail_msg("\"%s\" is not in \"%s\"", text, err_text(e));
    assert_null(out.p);
    assert_null(owned);
    err_free(e);
}

/* n bytes that compress well, but not to nothing. */
static void fill(struct buf *b, size_t n) {
    buf_init(b, 64 * MIB);
    for (size_t i = 0; b->n < n; i++) buf_add_fmt(b, "%zu,", i * i % 10007);
    b->n = n;
}

static void gzip_of(struct str s, struct buf *out) {
    buf_init(out, 80 * MIB);
    err e = deflate_gzip(s, out);
    assert_null(e);
}

static void identity_gives_the_input_back(void **state) {
    (void)state;
    expect(STR(""), STR("abc"), 3, STR("abc"));
    expect(STR(" Identity "), STR("abc"), 3, STR("abc"));
    refuse(STR(""), STR("abc"), 2, ERR_LIMIT, "over 2 bytes");
}

static void unknown_encodings_are_named(void **state) {
    (void)state;
    refuse(STR("br"), STR("abc"), 9, ERR_INVALID, "\"br\"");
    refuse(STR("gzip, gzip"), STR("abc"), 9, ERR_INVALID, "\"gzip, gzip\"");
}

static void what_was_packed_comes_out(void **state) {
    (void)state;
    for (size_t n = 0; n < 3000000; n = n * 7 + 1) {
        AUTO_BUF struct buf plain, packed;
        fill(&plain, n);
        gzip_of(buf_str(&plain), &packed);
        expect(STR("GZip"), buf_str(&packed), n, buf_str(&plain)); /* the limit exactly */
        expect(STR("x-gzip"), buf_str(&packed), 64 * MIB, buf_str(&plain));
        if (n) refuse(STR("gzip"), buf_str(&packed), n - 1, ERR_LIMIT, "when decompressed");
    }
}

static void zlib_is_called_deflate(void **state) {
    (void)state;
    AUTO_BUF struct buf plain;
    fill(&plain, 100000);
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    AUTO_FREE char *packed = mem_new(200000);
    size_t n = libdeflate_zlib_compress(c, plain.p, plain.n, packed, 200000);
    libdeflate_free_compressor(c);
    expect(STR("deflate"), (struct str){packed, n}, 100000, buf_str(&plain));
    refuse(STR("deflate"), (struct str){packed, n}, 99999, ERR_LIMIT, "over 99999 bytes");
    packed[n] = 'x';
    refuse(STR("deflate"), (struct str){packed, n + 1}, 100000, ERR_INVALID, "bytes follow");
    refuse(STR("gzip"), (struct str){packed, n}, 100000, ERR_INVALID, "damaged");
}

static void members_are_joined(void **state) {
    (void)state;
    AUTO_BUF struct buf plain, one, all, want;
    fill(&plain, 5000);
    gzip_of(buf_str(&plain), &one);
    buf_init(&all, MIB);
    buf_init(&want, MIB);
    for (int i = 0; i < 20; i++) {
        buf_add_str(&all, buf_str(&one));
        buf_add_str(&want, buf_str(&plain));
    }
    expect(STR("gzip"), buf_str(&all), 100000, buf_str(&want));
    refuse(STR("gzip"), buf_str(&all), 99999, ERR_LIMIT, "over 99999");
    buf_add_byte(&all, 0);
    refuse(STR("gzip"), buf_str(&all), 200000, ERR_INVALID, "damaged");
}

/* ISIZE, gzip's last four bytes, is a hint and no promise: lies cost nothing but time. */
static void a_lying_size_is_not_believed(void **state) {
    (void)state;
    static const uint32_t lies[] = {0, 1, 5000, UINT32_MAX};
    AUTO_BUF struct buf plain, packed;
    fill(&plain, 50000);
    gzip_of(buf_str(&plain), &packed);
    for (size_t i = 0; i < LENGTH(lies); i++) {
        memcpy(packed.p + packed.n - 4, &lies[i], 4);
        refuse(STR("gzip"), buf_str(&packed), 64 * MIB, ERR_INVALID, "damaged");
        refuse(STR("gzip"), buf_str(&packed), 49999, ERR_LIMIT, "over 49999");
    }
}

static void a_bomb_is_refused_at_the_limit(void **state) {
    (void)state;
    AUTO_BUF struct buf once, twice;
    AUTO_FREE char *zeros = mem_new(64 * MIB);
    gzip_of((struct str){zeros, 64 * MIB}, &once); /* 64 KiB that become 64 MiB */
    assert_true(once.n < 100000);
    refuse(STR("gzip"), buf_str(&once), MIB, ERR_LIMIT, "over 1048576 bytes");
    gzip_of(buf_str(&once), &twice);
    refuse(STR("gzip"), buf_str(&twice), 1000, ERR_LIMIT, "over 1000 bytes");
}

static void damage_is_refused(void **state) {
    (void)state;
    AUTO_BUF struct buf plain, packed;
    fill(&plain, 2000);
    gzip_of(buf_str(&plain), &packed);
    refuse(STR("gzip"), STR(""), 100, ERR_INVALID, "cut short");
    for (size_t n = 0; n < packed.n; n++) {
        AUTO_FREE char *cut = mem_grow(NULL, n); /* so that ASan sees a byte too far */
        memcpy(cut, packed.p, n);
        refuse(STR("gzip"), (struct str){cut, n}, 100000, ERR_INVALID, "cut short");
    }
    for (size_t i = 10; i < packed.n; i++) { /* the checksum sees every flipped bit */
        packed.p[i] ^= 1;
        struct str out;
        void *owned;
        err e = inflate_body(STR("gzip"), buf_str(&packed), 100000, &out, &owned);
        assert_non_null(e);
        err_free(e);
        packed.p[i] ^= 1;
    }
}

/* ---- zstd --------------------------------------------------------------------------------------------------------- */

/* By the streaming interface, since that alone makes frames without the content's size, of large windows and with checksums. */
static void zstd_of(struct str s, int window_log, bool with_size, struct buf *out) {
    ZSTD_CCtx *c = ZSTD_createCCtx();
    buf_init(out, 80 * MIB);
    assert_true(buf_reserve(out, ZSTD_compressBound(s.n) + 64));
    ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, with_size);
    if (window_log) ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, window_log);
    if (with_size) ZSTD_CCtx_setPledgedSrcSize(c, s.n);
    ZSTD_inBuffer in = {s.p, s.n, 0};
    ZSTD_outBuffer to = {out->p, out->capacity, 0};
    if (!with_size) ZSTD_compressStream2(c, &to, &in, ZSTD_e_flush);
    while (ZSTD_compressStream2(c, &to, &in, ZSTD_e_end) != 0) {}
    out->n = to.pos;
    ZSTD_freeCCtx(c);
}

static void zstd_comes_out(void **state) {
    (void)state;
    for (size_t n = 0; n < 3000000; n = n * 7 + 1) {
        for (int with_size = 0; with_size < 2; with_size++) {
            AUTO_BUF struct buf plain, packed;
            fill(&plain, n);
            zstd_of(buf_str(&plain), 0, with_size, &packed);
            expect(STR("ZStd"), buf_str(&packed), n, buf_str(&plain)); /* the limit exactly */
            expect(STR("zstd"), buf_str(&packed), 64 * MIB, buf_str(&plain));
            if (n) refuse(STR("zstd"), buf_str(&packed), n - 1, ERR_LIMIT, "when decompressed");
            assert_true(inflate_claim(STR("zstd"), buf_str(&packed), 64 * MIB) <= 64 * MIB);
        }
    }
}

static void zstd_frames_are_joined_and_skippable_ones_passed(void **state) {
    (void)state;
    AUTO_BUF struct buf plain, one, all, want;
    fill(&plain, 5000);
    zstd_of(buf_str(&plain), 0, true, &one);
    buf_init(&all, MIB);
    buf_init(&want, MIB);
    for (int i = 0; i < 20; i++) {
        buf_add(&all, "\x5e\x2a\x4d\x18\x03\0\0\0abc", 11);
        buf_add_str(&all, buf_str(&one));
        buf_add_str(&want, buf_str(&plain));
    }
    expect(STR("zstd"), buf_str(&all), 100000, buf_str(&want));
    refuse(STR("zstd"), buf_str(&all), 99999, ERR_LIMIT, "over 99999");
    buf_add(&all, "\x50\x2a\x4d\x18\xff\xff\xff\xff", 8);
    refuse(STR("zstd"), buf_str(&all), 200000, ERR_INVALID, "damaged");
    expect(STR("zstd"), str_span("\x50\x2a\x4d\x18\0\0\0\0", 8), 10, STR(""));
}

static void zstd_bombs_and_windows_have_a_limit(void **state) {
    (void)state;
    AUTO_BUF struct buf bomb, wide, allowed;
    AUTO_FREE char *zeros = mem_new(64 * MIB);
    zstd_of((struct str){zeros, 64 * MIB}, 0, true, &bomb); /* 2 KiB that become 64 MiB */
    assert_true(bomb.n < 10000);
    refuse(STR("zstd"), buf_str(&bomb), MIB, ERR_LIMIT, "over 1048576 bytes");
    assert_int_equal(inflate_claim(STR("zstd"), buf_str(&bomb), 128 * MIB), 64 * MIB);
    zstd_of((struct str){zeros, 20 * MIB}, 24, false, &wide);
    refuse(STR("zstd"), buf_str(&wide), 64 * MIB, ERR_INVALID, "a window of over 8 MiB");
    zstd_of((struct str){zeros, 20 * MIB}, 23, false, &allowed);
    expect(STR("zstd"), buf_str(&allowed), 64 * MIB, (struct str){zeros, 20 * MIB});
    /* A size that is claimed and not there costs nothing but the claim, which its bytes could make. */
    assert_int_equal(inflate_claim(STR("zstd"), str_span("\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff", 9), 64 * MIB),
                     9 * 32 * KIB);
}

static void zstd_damage_is_refused(void **state) {
    (void)state;
    AUTO_BUF struct buf plain, packed;
    fill(&plain, 2000);
    zstd_of(buf_str(&plain), 0, true, &packed);
    refuse(STR("zstd"), STR(""), 100, ERR_INVALID, "cut short");
    refuse(STR("zstd"), str_span("\x27\xb5\x2f\xfd\0\0\0\0\0\0\0\0", 12), 100, ERR_INVALID,
           "damaged"); /* version 0.7 */
    refuse(STR("zstd"), str_span("\x28\xb5\x2f\xfd\x21\x07\x00\x01\0\0", 10), 100, ERR_INVALID,
           "damaged"); /* a dictionary */
    for (size_t n = 0; n < packed.n; n++) {
        AUTO_FREE char *cut = mem_grow(NULL, n); /* so that ASan sees a byte too far */
        memcpy(cut, packed.p, n);
        refuse(STR("zstd"), (struct str){cut, n}, 100000, ERR_INVALID, "cut short");
    }
    for (size_t i = 0; i < packed.n; i++) {
        packed.p[i] ^= 1;
        struct str out;
        void *owned = NULL;
        err e = inflate_body(STR("zstd"), buf_str(&packed), 100000, &out, &owned);
        if (!e && !str_equal(out, buf_str(&plain))) fail_msg("byte %zu flipped, and not seen", i);
        if (!e) mem_free(owned); /* bits that mean nothing */
        err_free(e);
        packed.p[i] ^= 1;
    }
}

static void packing_keeps_what_the_buffer_had_and_its_maximum(void **state) {
    (void)state;
    AUTO_BUF struct buf b;
    buf_init(&b, 1000);
    buf_add_text(&b, "ab");
    assert_null(deflate_gzip(STR("hello"), &b));
    expect(STR("gzip"), (struct str){b.p + 2, b.n - 2}, 5, STR("hello"));
    AUTO_FREE char *much = mem_new(100000);
    err e = deflate_gzip((struct str){much, 100000}, &b);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_gives_the_input_back),
        cmocka_unit_test(unknown_encodings_are_named),
        cmocka_unit_test(what_was_packed_comes_out),
        cmocka_unit_test(zlib_is_called_deflate),
        cmocka_unit_test(members_are_joined),
        cmocka_unit_test(a_lying_size_is_not_believed),
        cmocka_unit_test(a_bomb_is_refused_at_the_limit),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(zstd_comes_out),
        cmocka_unit_test(zstd_frames_are_joined_and_skippable_ones_passed),
        cmocka_unit_test(zstd_bombs_and_windows_have_a_limit),
        cmocka_unit_test(zstd_damage_is_refused),
        cmocka_unit_test(packing_keeps_what_the_buffer_had_and_its_maximum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
