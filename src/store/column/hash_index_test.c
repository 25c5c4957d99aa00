/* The index from hashes to row groups: never misses, seldom finds too much, and bad bytes do no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/hash.h"
#include "store/column/hash_index_priv.h"

static struct hash_index_entry entry_of(uint32_t i, uint32_t groups, uint64_t seed) {
    return (struct hash_index_entry){hash_u64(seed << 32 | i), (uint32_t)(hash_u64(i + 5) % groups)};
}

static bool finds(const struct hash_index *x, uint64_t hash, uint32_t group) {
    uint32_t groups[64], n = hash_index_find(x, hash, groups, LENGTH(groups));
    bool found = false;
    for (uint32_t i = 0; i < MIN(n, LENGTH(groups)); i++) {
        found |= groups[i] == group;
        if (i) assert_true(groups[i] > groups[i - 1]);
    }
    return found;
}

static void assert_index(uint32_t n, uint32_t groups) {
    struct hash_index_entry *entries = mem_new_array(struct hash_index_entry, n + 1);
    for (uint32_t i = 0; i < n; i++) entries[i] = entry_of(i, groups, n);
    struct buf b;
    buf_init(&b, 64 * MIB);
    hash_index_encode(entries, n, &b);
    AUTO_FREE char *bytes = mem_grow(NULL, b.n);
    memcpy(bytes, b.p, b.n);
    struct hash_index x;
    err e = hash_index_open(str_span(bytes, b.n), &x);
    assert_null(e);
    for (uint32_t i = 0; i < n; i++) assert_true(finds(&x, entries[i].hash, entries[i].group));
    uint32_t wrong = 0, out[4];
    for (uint32_t i = 0; i < 20000; i++) wrong += hash_index_find(&x, hash_u64(~(uint64_t)i), out, LENGTH(out));
    assert_true(wrong <= 20000 * 3 / 100);
    if (n > 1000) assert_true(b.n * 8 <= (uint64_t)n * (9 + 32 - (uint32_t)__builtin_clz(groups - 1)));
    mem_free(entries);
    buf_done(&b);
}

static void every_key_is_found(void **state) {
    (void)state;
    static const uint32_t sizes[] = {0, 1, 2, 3, 10, 255, 256, 257, 1000, 3000, 50000};
    for (size_t s = 0; s < LENGTH(sizes); s++) assert_index(sizes[s], s % 2 ? 62 : 7);
}

static void one_key_in_many_groups_gives_each_once(void **state) {
    (void)state;
    struct hash_index_entry entries[200];
    for (uint32_t i = 0; i < LENGTH(entries); i++) entries[i] = (struct hash_index_entry){0xabcdef0123456789u, i % 100};
    struct buf b;
    buf_init(&b, MIB);
    hash_index_encode(entries, LENGTH(entries), &b);
    struct hash_index x;
    err e = hash_index_open(buf_str(&b), &x);
    assert_null(e);
    uint32_t groups[100];
    assert_int_equal(hash_index_find(&x, 0xabcdef0123456789u, groups, 10), 100);
    assert_int_equal(hash_index_find(&x, 0xabcdef0123456789u, groups, 100), 100);
    for (uint32_t i = 0; i < 100; i++) assert_int_equal(groups[i], i);
    assert_int_equal(hash_index_find(&x, 0x123u, groups, 100), 0);
    buf_done(&b);
}

static void bad_bytes_do_no_harm(void **state) {
    (void)state;
    struct hash_index_entry entries[300];
    for (uint32_t i = 0; i < LENGTH(entries); i++) entries[i] = entry_of(i, 9, 1);
    struct buf b;
    buf_init(&b, MIB);
    hash_index_encode(entries, LENGTH(entries), &b);
    AUTO_FREE char *bytes = mem_grow(NULL, b.n);
    memcpy(bytes, b.p, b.n);
    struct hash_index x;
    uint32_t out[4];
    for (size_t n = 0; n < b.n; n++) {
        err e = hash_index_open((struct str){b.p, n}, &x);
        assert_non_null(e);
        err_free(e);
    }
    for (size_t at = 0; at < b.n; at++)
        for (int flip = 1; flip < 256; flip = flip * 2 + 1) {
            bytes[at] = (char)(b.p[at] ^ flip);
            err e = hash_index_open(str_span(bytes, b.n), &x);
            for (uint64_t i = 0; !e && i < 64; i++) hash_index_find(&x, hash_u64(i), out, LENGTH(out));
            err_free(e);
            bytes[at] = b.p[at];
        }
    buf_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_found),
        cmocka_unit_test(one_key_in_many_groups_gives_each_once),
        cmocka_unit_test(bad_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
