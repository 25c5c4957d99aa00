/* Blocks of snappy's format against libsnappy: what it packs, and blocks that are written element by element, good and damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <snappy-c.h>

#include "signal/metrics/snappy.h"
#include "signal/testing.h"

/* Both say the same of a block: its content, or that it is none. */
static void check_block(struct str block) {
    AUTO_BUF struct buf mine;
    size_t size = 0;
    buf_init(&mine, 16 * MIB);
    bool whole = snappy_uncompressed_length(block.p, block.n, &size) == SNAPPY_OK && size <= 8 * MIB;
    AUTO_FREE char *theirs = mem_new(whole ? size + 1 : 1);
    if (whole) whole = snappy_uncompress(block.p, block.n, theirs, &size) == SNAPPY_OK;
    buf_add_text(&mine, "before");
    err e = snappy_block_read(block, &mine);
    if (whole != !e) fail_msg("libsnappy says %d: %s", whole, e ? err_text(e) : "taken");
    if (whole && (mine.n != size + 6 || memcmp(mine.p + 6, theirs, size) != 0)) fail_msg("another content");
    if (e) assert_int_equal(mine.n, 6);
    assert_memory_equal(mine.p, "before", 6);
    err_free(e);
}

/* An exact copy on the heap, so that a byte read behind its end is found. */
static void check_exact(const void *p, size_t n) {
    AUTO_FREE char *copy = mem_grow(NULL, n ? n : 1);
    if (n) memcpy(copy, p, n);
    check_block((struct str){copy, n});
}

/* Text of few words, as labels are, runs, and noise. */
static void put_some(struct chance *c, struct buf *out) {
    static const char *const words[] = {"__name__", "instance", "shop-7d9f8b6c5d-00", "job", "a", "namespace", ""};
    switch (chance_below(c, 4)) {
    case 0:
        for (uint32_t n = chance_below(c, 80); n > 0; n--) buf_add_byte(out, (char)chance_below(c, 256));
        break;
    case 1:
        for (uint32_t n = chance_below(c, 300), b = chance_below(c, 256); n > 0; n--) buf_add_byte(out, (char)b);
        break;
    default: buf_add_text(out, words[chance_below(c, LENGTH(words))]);
    }
}

static void what_libsnappy_packs_is_unpacked(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        struct chance c = {seed};
        AUTO_BUF struct buf plain, block;
        buf_init(&plain, MIB);
        buf_init(&block, 2 * MIB);
        for (uint32_t n = chance_below(&c, seed % 10 ? 60 : 4000); n > 0; n--) put_some(&c, &plain);
        snappy_block_write(buf_str(&plain), &block);
        check_exact(block.p, block.n);
        for (uint32_t i = 0; i < 20 && block.n; i++) { /* damaged in one place, or cut */
            uint32_t at = chance_below(&c, (uint32_t)block.n);
            char was = block.p[at];
            block.p[at] = (char)chance_below(&c, 256);
            check_exact(block.p, block.n);
            block.p[at] = was;
            check_exact(block.p, at);
        }
    }
}

static void put_size(struct buf *b, size_t n) {
    for (; n >= 0x80; n >>= 7) buf_add_byte(b, (char)(n | 0x80));
    buf_add_byte(b, (char)n);
}

/* A literal whose length takes `more` bytes behind the tag. */
static size_t put_literal(struct chance *c, struct buf *out, uint32_t n, uint32_t more) {
    buf_add_byte(out, (char)(more ? (59 + more) << 2 : (n - 1) << 2));
    for (uint32_t i = 0; i < more; i++) buf_add_byte(out, (char)((n - 1) >> 8 * i));
    for (uint32_t i = 0; i < n; i++) buf_add_byte(out, (char)chance_below(c, 256));
    return n;
}

static size_t put_copy(struct chance *c, struct buf *out, uint32_t kind, size_t there) {
    uint32_t offset =
        chance_below(c, 8) ? 1 + chance_below(c, (uint32_t)MIN(there + 1, (size_t)80)) : chance_below(c, 70000);
    uint32_t n = kind == 1 ? 4 + chance_below(c, 8) : 1 + chance_below(c, 64);
    if (kind == 1) {
        offset &= 2047;
        buf_add_byte(out, (char)(1 | (n - 4) << 2 | offset >> 8 << 5));
        buf_add_byte(out, (char)offset);
        return n;
    }
    buf_add_byte(out, (char)(kind | (n - 1) << 2));
    for (uint32_t i = 0; i < (kind == 2 ? 2 : 4); i++) buf_add_byte(out, (char)(offset >> 8 * i));
    return n;
}

/* Elements of every kind, near each other and far: most blocks are good, some state another length, some copy from before the beginning. */
static void elements_of_every_kind_are_read(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        struct chance c = {seed};
        AUTO_BUF struct buf elements, block;
        buf_init(&elements, MIB);
        buf_init(&block, MIB);
        size_t n = put_literal(&c, &elements, 1 + chance_below(&c, 60), 0);
        for (uint32_t i = chance_below(&c, 40); i > 0; i--) {
            uint32_t kind = chance_below(&c, 5);
            n += kind == 0   ? put_literal(&c, &elements, 1 + chance_below(&c, 60), 0)
                 : kind == 4 ? put_literal(&c, &elements, 1 + chance_below(&c, 255), 1 + chance_below(&c, 4))
                             : put_copy(&c, &elements, kind, n);
        }
        put_size(&block, chance_below(&c, 20) ? n : n + chance_below(&c, 3) - 1);
        buf_add_str(&block, buf_str(&elements));
        check_exact(block.p, block.n);
        if (seed % 10 == 0)
            for (size_t cut = 0; cut < block.n; cut++) check_exact(block.p, cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_libsnappy_packs_is_unpacked),
        cmocka_unit_test(elements_of_every_kind_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
