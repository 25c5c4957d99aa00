/* Text columns: what went in comes out, whole, row by row and after a remap; bad bytes do no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "store/column/text_fixtures_priv.h"
#include "store/column/text_format_priv.h"
#include "store/column/text_priv.h"

static struct text_skeletons skeletons_of(const struct strings *s) {
    return (struct text_skeletons){s->n, s->end, s->heap};
}

static char *exact_copy(const struct buf *b) {
    char *copy = mem_grow(NULL, b->n);
    memcpy(copy, b->p, b->n);
    return copy;
}

static struct text_block *open_block(struct arena *a, const struct text_skeletons *s, struct str bytes, uint32_t n) {
    struct text_block *t;
    err e = text_block_open(a, s, bytes, n, &t);
    assert_string_equal(err_text(e), "");
    return t;
}

static void assert_text(struct str got, struct str expected) {
    assert_int_equal(got.n, expected.n);
    if (got.n) assert_memory_equal(got.p, expected.p, got.n);
}

static void assert_all_rows(struct arena *a, const struct text_skeletons *s, struct str bytes, const struct str *texts,
                            uint32_t n) {
    struct str *out = mem_new_array(struct str, n + 1);
    err e = text_get_many(open_block(a, s, bytes, n), NULL, n, out);
    assert_string_equal(err_text(e), "");
    for (uint32_t i = 0; i < n; i++) assert_text(out[i], texts[i]);
    mem_free(out);
}

/* Single rows, few rows, many ascending rows, rows in any order. */
static void assert_some_rows(struct arena *a, const struct text_skeletons *s, struct str bytes, const struct str *texts,
                             uint32_t n, uint64_t seed) {
    struct text_block *t = open_block(a, s, bytes, n);
    struct buf b;
    buf_init(&b, 64 * MIB);
    for (int i = 0; n && i < 40; i++) {
        uint32_t row = (uint32_t)(chance(&seed) % n);
        buf_clear(&b);
        text_get(t, row, &b);
        assert_text(buf_str(&b), texts[row]);
    }
    buf_done(&b);
    uint32_t *rows = mem_new_array(uint32_t, n + 1);
    struct str *out = mem_new_array(struct str, n + 1);
    for (uint32_t round = 0; round < 3; round++) {
        uint32_t count = 0;
        for (uint32_t i = 0; i < n; i++)
            if (chance(&seed) % (round ? 2 : 50) == 0) rows[count++] = round == 2 ? n - 1 - i : i;
        err e = text_get_many(t, rows, count, out);
        assert_string_equal(err_text(e), "");
        for (uint32_t i = 0; i < count; i++) assert_text(out[i], texts[rows[i]]);
    }
    assert_null(text_block_err(t));
    mem_free(rows);
    mem_free(out);
}

static void assert_texts_come_back(struct text_encoder *t, const struct strings *part, const struct str *texts,
                                   uint32_t n) {
    struct arena a;
    arena_init(&a, 256 * MIB);
    struct buf b;
    buf_init(&b, 64 * MIB);
    text_encode(t, texts, n, &b);
    AUTO_FREE char *bytes = exact_copy(&b);
    struct text_skeletons s = skeletons_of(part);
    assert_all_rows(&a, &s, str_span(bytes, b.n), texts, n);
    assert_some_rows(&a, &s, str_span(bytes, b.n), texts, n, n + 7);
    buf_done(&b);
    arena_done(&a);
}

static void texts_of_every_kind_and_size_come_back(void **state) {
    (void)state;
    static const uint32_t sizes[] = {0, 1, 3, 4, 5, 50, 127, 128, 129, 700, 3000};
    for (int kind = 0; kind < TEXTS_KINDS; kind++) {
        struct strings part; /* shared by the groups, as in a part */
        strings_init(&part);
        struct text_encoder *t = text_encoder_new(&part);
        for (size_t s = 0; s < LENGTH(sizes); s++)
            for (uint64_t seed = 1; seed <= 3; seed++) {
                struct strings heap;
                struct str *texts = texts_make((enum texts)kind, seed * 77 + s, sizes[s], &heap);
                assert_texts_come_back(t, &part, texts, sizes[s]);
                mem_free(texts);
                strings_done(&heap);
            }
        text_encoder_free(t);
        strings_done(&part);
    }
}

static void kinds_mixed_in_one_group_come_back(void **state) {
    (void)state;
    enum { N = 6000 };
    static struct str texts[N];
    static char room[N][640];
    struct strings part;
    strings_init(&part);
    struct text_encoder *t = text_encoder_new(&part);
    uint64_t seed = 3;
    for (uint32_t i = 0; i < N; i++) texts[i] = text_make((enum texts)(chance(&seed) % TEXTS_KINDS), &seed, room[i]);
    assert_texts_come_back(t, &part, texts, N);
    text_encoder_free(t);
    strings_done(&part);
}

/* Around every limit: slots, tokens, skeletons, pages. */
static void texts_at_the_limits_come_back(void **state) {
    (void)state;
    enum { N = 64, SIZE = 150000 };
    char *room = mem_new((size_t)N * SIZE);
    struct str texts[N];
    for (uint32_t i = 0; i < N; i++) {
        char *p = room + (size_t)i * SIZE;
        size_t n = 0, kind = i % 8;
        if (kind < 3) /* 63, 64, 65 slots */
            for (size_t s = 0; s < 63 + kind; s++) n += (size_t)snprintf(p + n, SIZE - n, "s%u,", (unsigned)(i * s));
        else if (kind < 6) /* tokens of 127, 128, 129 bytes */
            for (n = 0; n < 124 + kind; n++) p[n] = (char)('0' + (n + i) % 10);
        else if (kind == 6) /* skeletons around 4 KiB */
            for (n = 0; n < 4090 + i / 8; n++) p[n] = '.';
        else /* more than a page */
            for (n = 0; n < 60000 + i * 1000; n++) p[n] = (char)(n * 7919 >> 7);
        texts[i] = str_span(p, n);
    }
    struct strings part;
    strings_init(&part);
    struct text_encoder *t = text_encoder_new(&part);
    assert_texts_come_back(t, &part, texts, N);
    text_encoder_free(t);
    strings_done(&part);
    mem_free(room);
}

static void a_split_takes_whole_words_with_digits(void **state) {
    (void)state;
    static struct text_split s;
    assert_true(text_split(STR("took 35ms, user_7 at 10.0.0.255: caf\xc3\xa9 9\xc3\xa9"), &s));
    static const char expected[] = "took \0, \0 at \0.\0.\0.\0: caf\xc3\xa9 \0";
    assert_text(str_span(s.skeleton, s.skeleton_size), str_span(expected, sizeof expected - 1));
    static const char *const tokens[] = {"35ms", "user_7", "10", "0", "0", "255", "9\xc3\xa9"};
    assert_int_equal(s.tokens, LENGTH(tokens));
    for (size_t i = 0; i < LENGTH(tokens); i++) assert_text(s.token[i], str_of(tokens[i]));
    assert_false(text_split(str_span("a\0b", 3), &s));
    assert_true(text_split(STR(""), &s) && s.skeleton_size == 0 && s.tokens == 0);
    assert_true(text_split(STR("0123456789abcdef0123456789abcdef"), &s) && s.skeleton_size == 1 && s.tokens == 1);
}

/* ---- slot columns ----------------------------------------------------------------------------------------------- */

static size_t assert_column(const char *const *tokens, uint32_t n, enum slot_kind kind) {
    struct str *s = mem_new_array(struct str, n);
    for (uint32_t i = 0; i < n; i++) s[i] = str_of(tokens[i]);
    struct slot_encoder *e = slot_encoder_new();
    struct buf b;
    buf_init(&b, MIB);
    slot_encode(e, s, n, &b);
    struct arena a;
    arena_init(&a, MIB);
    struct slot c;
    err failed = slot_open(&a, buf_str(&b), n, &c);
    assert_null(failed);
    if (kind != SLOT_KINDS) assert_int_equal(c.kind, kind);
    assert_int_equal(c.bytes, b.n);
    char out[SLOT_TOKEN_BYTES_MAX];
    for (uint32_t i = 0; i < n; i++) {
        uint32_t size = slot_get(&c, i, out);
        assert_true(size <= c.longest);
        assert_text(str_span(out, size), s[i]);
    }
    size_t bytes = b.n;
    arena_done(&a);
    buf_done(&b);
    slot_encoder_free(e);
    mem_free(s);
    return bytes;
}
#define COLUMN(kind, ...)                                                                                              \
    assert_column((const char *const[]){__VA_ARGS__}, LENGTH(((const char *const[]){__VA_ARGS__})), kind)

static void a_slot_takes_the_form_that_fits(void **state) {
    (void)state;
    assert_true(COLUMN(SLOT_NUMBER, "7", "7", "7", "7") <= 3);
    assert_true(COLUMN(SLOT_NUMBER, "1", "20", "300") <= 8);
    COLUMN(SLOT_NUMBER, "01", "20", "33");               /* fixed width */
    COLUMN(SLOT_NUMBER, "1", "002", "33");               /* a column of widths */
    COLUMN(SLOT_NUMBER, "user_1", "user_20", "user_03"); /* a prefix */
    COLUMN(SLOT_NUMBER, "1ms", "25ms");                  /* a suffix */
    COLUMN(SLOT_NUMBER, "9999999999999999999", "1");     /* 19 digits */
    COLUMN(SLOT_NUMBER, "ab12", "00ff", "1234");         /* hex */
    COLUMN(SLOT_NUMBER, "AB12", "0", "123456789ABCDEF0");
    COLUMN(SLOT_NUMBER, "0x1f", "0xdeadbeef");
    COLUMN(SLOT_HEX, "0123456789abcdef0123456789abcdef", "ffffffffffffffffffffffffffffffff");
    COLUMN(SLOT_HEX, "ID_0123456789ABCDEF0", "ID_00000000000000000");
    COLUMN(SLOT_HEX, "18446744073709551616", "99999999999999999999"); /* 20 digits */
    COLUMN(SLOT_STRINGS, "aB1", "Ab1");                               /* mixed case */
    COLUMN(SLOT_STRINGS, "a1b", "zz9");
    COLUMN(SLOT_STRINGS, "0123456789abcdef0", "1");
    COLUMN(SLOT_DICTIONARY, "i386x", "amd64_v2", "i386x", "amd64_v2", "i386x", "amd64_v2", "i386x", "i386x", "i386x",
           "i386x", "i386x", "amd64_v2", "i386x", "amd64_v2", "i386x", "amd64_v2", "i386x", "i386x", "i386x", "i386x");
}

/* Every byte at every place of tokens of every width, among tokens of digits, hex digits and others. */
static void every_byte_in_a_slot_comes_back(void **state) {
    (void)state;
    static const char *const others[] = {"12345678901234567890", "1f2e3d4c5b6a79880a1b", "A1B2C3D4E5F60718293A",
                                         "user_00001m"};
    for (size_t o = 0; o < LENGTH(others); o++)
        for (size_t width = 1; width <= strlen(others[o]); width += 1 + width / 4)
            for (int byte = 1; byte < 256; byte++) {
                char a[32] = {0}, b[32] = {0}, c[32] = {0};
                memcpy(a, others[o], width);
                memcpy(b, a, width);
                memcpy(c, a, width);
                b[width - 1] = (char)byte;
                c[width / 2] = (char)byte;
                assert_column((const char *const[]){a, b, a, c}, 4, SLOT_KINDS);
                assert_column((const char *const[]){c, a}, 2, SLOT_KINDS);
            }
}

/* ---- merges and bad bytes --------------------------------------------------------------------------------------- */

static void a_remapped_block_reads_the_same(void **state) {
    (void)state;
    enum { N = 500 };
    struct strings part, other, heap;
    strings_init(&part);
    strings_init(&other);
    struct text_encoder *t = text_encoder_new(&part);
    struct str *texts = texts_make(TEXTS_BODIES, 1, N, &heap);
    struct buf b, moved;
    buf_init(&b, MIB);
    buf_init(&moved, MIB);
    text_encode(t, texts, N, &b);
    assert_true(part.n == 5);
    for (uint32_t i = 0; i < 300; i++) { /* ids of more bits */
        char name[16];
        snprintf(name, sizeof name, "other %c%c", (int)('a' + i % 26), (int)('a' + i / 26));
        strings_intern(&other, str_of(name));
    }
    uint32_t map[5];
    for (uint32_t i = 0; i < part.n; i++) map[i] = strings_intern(&other, strings_get(&part, i));
    err e = text_block_remap(buf_str(&b), map, part.n, &moved);
    assert_null(e);
    struct arena a;
    arena_init(&a, 16 * MIB);
    struct text_skeletons s = skeletons_of(&other);
    assert_all_rows(&a, &s, buf_str(&moved), texts, N);
    const uint32_t *ids, *rows;
    uint32_t n = text_block_skeletons(open_block(&a, &s, buf_str(&moved), N), &ids, &rows), sum = 0;
    for (uint32_t i = 0; i < n; i++) sum += rows[i], assert_true(ids[i] >= 300);
    assert_int_equal(sum, N);
    e = text_block_remap(buf_str(&b), map, 4, &moved);
    assert_int_equal(err_kind(e), ERR_CORRUPT);
    err_free(e);
    arena_done(&a);
    buf_done(&b);
    buf_done(&moved);
    mem_free(texts);
    strings_done(&heap);
    text_encoder_free(t);
    strings_done(&part);
    strings_done(&other);
}

/* Reads all that can be read; true if nothing complained. */
static bool read_everything(const struct text_skeletons *s, struct str bytes, uint32_t n, struct str *out) {
    struct arena a;
    arena_init(&a, 4 * MIB);
    struct text_block *t;
    err e = text_block_open(&a, s, bytes, n, &t);
    if (!e) {
        struct buf b;
        buf_init(&b, MIB);
        text_get(t, n / 2, &b);
        buf_done(&b);
        e = text_get_many(t, NULL, n, out);
    }
    bool good = e == NULL;
    err_free(e);
    arena_done(&a);
    return good;
}

static void assert_bad_bytes_do_no_harm(enum texts kind, uint64_t seed) {
    enum { N = 200 };
    struct strings part, heap;
    strings_init(&part);
    struct text_encoder *t = text_encoder_new(&part);
    struct str *texts = texts_make(kind, seed, N, &heap), out[N];
    struct buf b;
    buf_init(&b, MIB);
    text_encode(t, texts, N, &b);
    struct text_skeletons s = skeletons_of(&part);
    AUTO_FREE char *bytes = exact_copy(&b);
    assert_true(read_everything(&s, str_span(bytes, b.n), N, out));
    for (size_t n = 0; n < b.n; n += 1 + n / 16) read_everything(&s, str_span(bytes, n), N, out);
    for (size_t i = 0; i < 1500; i++) {
        size_t at = chance(&seed) % (i % 2 ? b.n : MIN(b.n, (size_t)120));
        bytes[at] = (char)(b.p[at] ^ (1 + chance(&seed) % 255));
        read_everything(&s, str_span(bytes, b.n), N, out);
        bytes[at] = b.p[at];
    }
    struct text_skeletons none = {0};
    if (part.n) assert_false(read_everything(&none, str_span(bytes, b.n), N, out));
    mem_free(texts);
    strings_done(&heap);
    buf_done(&b);
    text_encoder_free(t);
    strings_done(&part);
}

static void bad_bytes_do_no_harm(void **state) {
    (void)state;
    for (int kind = 0; kind < TEXTS_KINDS; kind++) assert_bad_bytes_do_no_harm((enum texts)kind, 11);
}

static void a_full_arena_is_a_limit(void **state) {
    (void)state;
    enum { N = 3000 };
    struct strings part, heap;
    strings_init(&part);
    struct text_encoder *t = text_encoder_new(&part);
    struct str *texts = texts_make(TEXTS_BODIES, 1, N, &heap), *out = mem_new_array(struct str, N);
    struct buf b;
    buf_init(&b, MIB);
    text_encode(t, texts, N, &b);
    struct text_skeletons s = skeletons_of(&part);
    for (size_t limit = 0; limit < 400 * KIB; limit = limit * 5 / 4 + 512) {
        struct arena a;
        arena_init(&a, limit);
        struct text_block *block;
        err e = text_block_open(&a, &s, buf_str(&b), N, &block);
        if (!e) e = text_get_many(block, NULL, N, out);
        if (limit < 200 * KIB) assert_non_null(e);
        if (e) assert_int_equal(err_kind(e), ERR_LIMIT);
        err_free(e);
        arena_done(&a);
    }
    buf_done(&b);
    mem_free(texts);
    mem_free(out);
    strings_done(&heap);
    text_encoder_free(t);
    strings_done(&part);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_split_takes_whole_words_with_digits),
        cmocka_unit_test(a_slot_takes_the_form_that_fits),
        cmocka_unit_test(every_byte_in_a_slot_comes_back),
        cmocka_unit_test(texts_of_every_kind_and_size_come_back),
        cmocka_unit_test(kinds_mixed_in_one_group_come_back),
        cmocka_unit_test(texts_at_the_limits_come_back),
        cmocka_unit_test(a_remapped_block_reads_the_same),
        cmocka_unit_test(bad_bytes_do_no_harm),
        cmocka_unit_test(a_full_arena_is_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
