/* Text blocks: numbers and ids at their edges, and blocks that lie: cut at every length, of another count, of another part's
 * skeletons, remapped where they must not be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "store/column/text_fixtures_priv.h"
#include "store/column/text_priv.h"
#include "store/match/words_priv.h"

struct made {
    struct strings part, heap;
    struct str *texts;
    uint32_t n;
    struct buf block;
};

static void encode(struct made *m) {
    strings_init(&m->part);
    buf_init(&m->block, 64 * MIB);
    struct text_encoder *t = text_encoder_new(&m->part);
    text_encode(t, m->texts, m->n, &m->block);
    text_encoder_free(t);
}

static void make_kind(struct made *m, enum texts kind, uint32_t n) {
    *m = (struct made){.n = n};
    m->texts = texts_make(kind, 5, n, &m->heap);
    encode(m);
}

static void made_done(struct made *m) {
    strings_done(&m->part);
    strings_done(&m->heap);
    mem_free(m->texts);
    buf_done(&m->block);
}

static struct text_skeletons skeletons_of(const struct strings *s) {
    return (struct text_skeletons){s->n, s->end, s->heap};
}

/* Whatever opens is read whole, row by row and for words; returns how it ended. */
static err read_all(struct str bytes, uint32_t n, const struct strings *part, struct str *out) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf one;
    struct text_block *t;
    struct words *w;
    struct text_match match;
    struct text_skeletons s = skeletons_of(part);
    uint32_t rows;
    arena_init(&a, 16 * MIB);
    buf_init(&one, 16 * MIB);
    TRY(text_block_open(&a, &s, bytes, n, &t));
    AUTO_FREE uint32_t *found = mem_new_array(uint32_t, n + 1);
    err e = text_get_many(t, NULL, n, out);
    if (n) text_get(t, n - 1, &one);
    err_free(words_parse(&a, STR("get user* 7 \"e 5\""), &w));
    err words = text_match_make(&a, &s, w, &match);
    if (!words) words = text_find_words(t, &match, w, found);
    if (!words) (void)text_count_words(t, &match, w, &rows);
    err_free(words);
    return e;
}

static bool refused(struct str bytes, uint32_t n, const struct strings *part, struct str *out) {
    AUTO_FREE char *exact = mem_grow(NULL, bytes.n ? bytes.n : 1);
    if (bytes.n) memcpy(exact, bytes.p, bytes.n);
    err e = read_all(str_span(exact, bytes.n), n, part, out);
    if (e) assert_true(err_kind(e) == ERR_CORRUPT || err_kind(e) == ERR_LIMIT);
    err_free(e);
    return e != NULL;
}

/* ---- values at their edges ---------------------------------------------------------------------------------------- */

/* Two tokens share the slot of one skeleton, each pair in either order. */
static void tokens_at_their_edges_come_back(void **state) {
    (void)state;
    static const char *const tokens[] = {"0",
                                         "00",
                                         "1",
                                         "01",
                                         "9",
                                         "10",
                                         "000000000000000000001",
                                         "18446744073709551615",
                                         "18446744073709551616",
                                         "99999999999999999999",
                                         "4294967295",
                                         "4294967296",
                                         "a0",
                                         "A0",
                                         "aA0",
                                         "0a",
                                         "0x0",
                                         "deadbeef0",
                                         "DEADBEEF0",
                                         "DeadBeef0",
                                         "ffffffffffffffff",
                                         "FFFFFFFFFFFFFFFF",
                                         "10000000000000000f",
                                         "1e5",
                                         "1E5",
                                         "-1",
                                         "+1",
                                         "1.0",
                                         "1,000",
                                         "0b1",
                                         "g1",
                                         "_1",
                                         "1_",
                                         "\xc3\xa9"
                                         "1",
                                         "1\xff",
                                         "\x01"
                                         "1",
                                         "1\n",
                                         "\t2",
                                         "",
                                         " ",
                                         "x"};
    for (size_t a = 0; a < LENGTH(tokens); a++)
        for (size_t b = 0; b < LENGTH(tokens); b++) {
            char room[8][64];
            struct str texts[8], out[8];
            struct made m = {.texts = texts, .n = LENGTH(texts)};
            AUTO_ARENA struct arena arena;
            struct text_block *t;
            for (size_t i = 0; i < LENGTH(texts); i++) {
                int n = snprintf(room[i], sizeof room[i], "took %s ms", tokens[i % 3 ? a : b]);
                texts[i] = str_span(room[i], (size_t)n);
            }
            encode(&m);
            struct text_skeletons s = skeletons_of(&m.part);
            arena_init(&arena, MIB);
            assert_null(text_block_open(&arena, &s, buf_str(&m.block), m.n, &t));
            assert_null(text_get_many(t, NULL, m.n, out));
            for (size_t i = 0; i < LENGTH(texts); i++)
                if (!str_equal(out[i], texts[i])) fail_msg("'%s' beside '%s'", tokens[a], tokens[b]);
            strings_done(&m.part);
            buf_done(&m.block);
        }
}

static void rows_without_bytes_come_back(void **state) {
    (void)state;
    static const uint32_t counts[] = {0, 1, 63, 64, 65, 500};
    for (size_t c = 0; c < LENGTH(counts); c++) {
        struct str texts[500] = {{0}}, out[500];
        struct made m = {.texts = texts, .n = counts[c]};
        for (uint32_t i = 0; i < m.n; i++) texts[i] = STR("");
        encode(&m);
        assert_false(refused(buf_str(&m.block), m.n, &m.part, out));
        strings_done(&m.part);
        buf_done(&m.block);
    }
}

/* ---- blocks that lie ---------------------------------------------------------------------------------------------- */

static void no_cut_block_is_read(void **state) {
    (void)state;
    for (int kind = 0; kind < TEXTS_KINDS; kind++) {
        struct made m;
        struct str out[300];
        make_kind(&m, (enum texts)kind, 120);
        uint32_t taken = 0;
        for (size_t n = 0; n < m.block.n; n++) taken += !refused(str_span(m.block.p, n), m.n, &m.part, out);
        if (taken) fail_msg("kind %d: %u cuts were read", kind, taken);
        assert_false(refused(buf_str(&m.block), m.n, &m.part, out));
        made_done(&m);
    }
}

static void a_block_of_another_count_does_no_harm(void **state) {
    (void)state;
    static const uint32_t counts[] = {0, 1, 119, 121, 128, 240, 299};
    for (int kind = 0; kind < TEXTS_KINDS; kind++) {
        struct made m;
        struct str out[300];
        make_kind(&m, (enum texts)kind, 120);
        for (size_t c = 0; c < LENGTH(counts); c++) (void)refused(buf_str(&m.block), counts[c], &m.part, out);
        made_done(&m);
    }
}

/* With fewer skeletons than it uses a block is refused; with others it reads other texts, and no byte outside. */
static void a_block_with_another_parts_skeletons_does_no_harm(void **state) {
    (void)state;
    struct strings none;
    strings_init(&none);
    for (int kind = 0; kind < TEXTS_KINDS; kind++) {
        struct made m, other;
        struct str out[300];
        make_kind(&m, (enum texts)kind, 200);
        make_kind(&other, (enum texts)((kind + 1) % TEXTS_KINDS), 200);
        if (m.part.n) assert_true(refused(buf_str(&m.block), m.n, &none, out));
        (void)refused(buf_str(&m.block), m.n, &other.part, out);
        (void)refused(buf_str(&other.block), m.n, &m.part, out);
        made_done(&m);
        made_done(&other);
    }
}

static void a_remap_refuses_what_it_cannot_map(void **state) {
    (void)state;
    for (int kind = 0; kind < TEXTS_KINDS; kind++) {
        struct made m;
        AUTO_BUF struct buf out;
        buf_init(&out, 64 * MIB);
        make_kind(&m, (enum texts)kind, 150);
        AUTO_FREE uint32_t *map = mem_new_array(uint32_t, m.part.n + 1);
        for (uint32_t i = 0; i < m.part.n; i++) map[i] = m.part.n - 1 - i;
        for (uint32_t n = 0; n < MIN(m.part.n, 40u);
             n++) { /* skeletons are numbered as they come: the last one is used */
            err e = text_block_remap(buf_str(&m.block), map, n, &out);
            assert_true(e && err_kind(e) == ERR_CORRUPT);
            err_free(e);
        }
        assert_null(text_block_remap(buf_str(&m.block), map, m.part.n, &out));
        made_done(&m);
    }
}

/* A remap of any cut or changed block ends, with an error or a block that can be read without harm. */
static void a_remap_of_damaged_bytes_does_no_harm(void **state) {
    (void)state;
    for (int kind = 0; kind < TEXTS_KINDS; kind++) {
        struct made m;
        struct str out[300];
        make_kind(&m, (enum texts)kind, 40);
        AUTO_FREE uint32_t *map = mem_new_array(uint32_t, m.part.n + 1);
        for (uint32_t i = 0; i < m.part.n; i++) map[i] = i;
        AUTO_FREE char *bytes = mem_grow(NULL, m.block.n);
        memcpy(bytes, m.block.p, m.block.n);
        for (size_t at = 0; at < MIN(m.block.n, (size_t)250); at++)
            for (int flip = 1; flip < 256; flip = flip * 4 + 1) {
                AUTO_BUF struct buf mapped;
                buf_init(&mapped, MIB);
                bytes[at] = (char)(m.block.p[at] ^ flip);
                err e = text_block_remap(str_span(bytes, m.block.n), map, m.part.n, &mapped);
                if (!e) (void)refused(buf_str(&mapped), m.n, &m.part, out);
                err_free(e);
                bytes[at] = m.block.p[at];
            }
        for (size_t n = 0; n < MIN(m.block.n, (size_t)400); n++) {
            AUTO_BUF struct buf mapped;
            AUTO_FREE char *cut = mem_grow(NULL, n ? n : 1);
            memcpy(cut, m.block.p, n);
            buf_init(&mapped, MIB);
            err_free(text_block_remap(str_span(cut, n), map, m.part.n, &mapped));
        }
        made_done(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_at_their_edges_come_back),
        cmocka_unit_test(rows_without_bytes_come_back),
        cmocka_unit_test(no_cut_block_is_read),
        cmocka_unit_test(a_block_of_another_count_does_no_harm),
        cmocka_unit_test(a_block_with_another_parts_skeletons_does_no_harm),
        cmocka_unit_test(a_remap_refuses_what_it_cannot_map),
        cmocka_unit_test(a_remap_of_damaged_bytes_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
