/* Words in text columns: what skeletons, slots and pages say equals what reading every text says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "store/column/text_fixtures_priv.h"
#include "store/column/text_format_priv.h"
#include "store/column/text_priv.h"

/* A column and its texts. */
struct fixture {
    struct strings part, heap;
    struct str *texts;
    uint32_t n;
    struct buf block;
    struct text_encoder *encoder;
};

static void fixture_make(struct fixture *f, enum texts kind, uint64_t seed, uint32_t n) {
    *f = (struct fixture){.n = n};
    strings_init(&f->part);
    buf_init(&f->block, 64 * MIB);
    f->encoder = text_encoder_new(&f->part);
    f->texts = texts_make(kind, seed, n, &f->heap);
    text_encode(f->encoder, f->texts, n, &f->block);
}

static void fixture_done(struct fixture *f) {
    text_encoder_free(f->encoder);
    buf_done(&f->block);
    mem_free(f->texts);
    strings_done(&f->heap);
    strings_done(&f->part);
}

static uint32_t all_terms(const struct words *w) { return (uint32_t)((UINT64_C(1) << words_count(w)) - 1); }

/* Asks the block and every text; returns how many rows have all terms. */
static uint32_t assert_same_words(const struct fixture *f, struct str query) {
    struct arena a;
    arena_init(&a, 64 * MIB);
    struct words *w;
    err e = words_parse(&a, query, &w);
    assert_string_equal(err_text(e), "");
    struct text_skeletons s = {f->part.n, f->part.end, f->part.heap};
    struct text_block *t;
    struct text_match m;
    e = text_block_open(&a, &s, buf_str(&f->block), f->n, &t);
    assert_null(e);
    e = text_match_make(&a, &s, w, &m);
    assert_null(e);
    uint32_t *found = mem_new_array(uint32_t, f->n + 1), rows = 0, counted;
    e = text_find_words(t, &m, w, found);
    assert_null(e);
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t expected = words_find(w, f->texts[i]);
        if (found[i] != expected)
            fail_msg("query %.*s: row %u \"%.*s\": found %x, expected %x", STR_ARG(query), i, STR_ARG(f->texts[i]),
                     found[i], expected);
        rows += expected == all_terms(w);
    }
    if (text_count_words(t, &m, w, &counted)) assert_int_equal(counted, rows);
    mem_free(found);
    arena_done(&a);
    return rows;
}

/* A term cut out of a text: a word, the beginning of one, or any bytes as a phrase, in another case. */
static struct str make_term(uint64_t *seed, struct str text, char *out) {
    size_t n = 0;
    uint64_t kind = chance(seed) % 4;
    if (text.n == 0) return STR("nothing");
    size_t from = chance(seed) % text.n, to = from + 1 + chance(seed) % MIN(text.n - from, (size_t)100);
    if (kind == 3) out[n++] = '"';
    for (size_t i = from; i < to; i++) {
        char c = text.p[i];
        if (c == '"') break;
        if (c >= 'a' && c <= 'z' && chance(seed) % 8 == 0) c = (char)(c - 32);
        out[n++] = c;
    }
    if (kind == 3) out[n++] = '"';
    if (kind == 2) out[n++] = '*';
    return str_span(out, n);
}

static bool is_query(struct str s) {
    struct arena a;
    struct words *w;
    arena_init(&a, MIB);
    err e = words_parse(&a, s, &w);
    err_free(e);
    arena_done(&a);
    return e == NULL;
}

static uint32_t assert_words_of_kind(enum texts kind, uint64_t seed, uint32_t n, int queries) {
    struct fixture f;
    char query[1000];
    uint32_t hits = 0;
    fixture_make(&f, kind, seed, n);
    for (int i = 0; i < queries; i++) {
        size_t size = 0;
        for (uint64_t terms = 1 + chance(&seed) % 3; terms > 0; terms--) {
            char term[300];
            struct str t = make_term(&seed, f.texts[chance(&seed) % n], term);
            size += (size_t)snprintf(query + size, sizeof query - size, " ");
            memcpy(query + size, t.p, t.n);
            size += t.n;
        }
        struct str q = str_span(query, size);
        if (is_query(q)) hits += assert_same_words(&f, q);
    }
    fixture_done(&f);
    return hits;
}

static void random_queries_find_the_same_rows(void **state) {
    (void)state;
    for (int kind = 0; kind < TEXTS_KINDS; kind++)
        for (uint64_t seed = 1; seed <= 6; seed++) {
            uint32_t n = seed < 4 ? 300 : seed < 6 ? 60 : 2500;
            assert_true(assert_words_of_kind((enum texts)kind, seed * 13, n, 120) > 0);
        }
}

static const char *const chosen_queries[] = {
    "get",
    "GET",
    "user",
    "user*",
    "user_7",
    "USER_7",
    "user_*",
    "us*",
    "u*",
    "1",
    "01",
    "0*",
    "007",
    "7",
    "42",
    "4*",
    "e5",
    "dead8eef",
    "deadbeef",
    "dead8*",
    "18446744073709551615",
    "99999999999999999999",
    "9999999999*",
    "0x1f",
    "0x*",
    "x",
    "_",
    "_*",
    "\"user_7 42\"",
    "\"7\"",
    "\"_7\"",
    "\"r_7-\"",
    "\" 0\"",
    "\"g\"",
    "\"GET user\"",
    "\"et u\"",
    "timeout user_7",
    "timeout* -a1",
    "caf*",
    "\xc3\xa9t\xc3\xa9",
    "\"\xc3\xa9t\"",
    "id",
    "trace",
    "seq 000123",
    "took",
    "\"took 1\"",
    "\"ms\"",
    "\"1ms\"",
    "blk*",
    "ip",
    "v1",
    "v*",
    "pod",
    "abc1 pod",
    "k*",
    "\"-b1\"",
    "odd",
    "\"a phrase that is quite long and longer than sixty-four bytes, which the bit machine cannot hold, so: "
    "maybe\""};

static void chosen_queries_find_the_same_rows(void **state) {
    (void)state;
    static const enum texts kinds[] = {TEXTS_WORDS, TEXTS_IDS, TEXTS_FEW, TEXTS_BYTES};
    for (size_t k = 0; k < LENGTH(kinds); k++) {
        struct fixture f;
        fixture_make(&f, kinds[k], 5, 1500);
        for (size_t q = 0; q < LENGTH(chosen_queries); q++) assert_same_words(&f, str_of(chosen_queries[q]));
        fixture_done(&f);
    }
}

static void a_zero_byte_in_a_phrase_is_no_slot(void **state) {
    (void)state;
    struct fixture f;
    fixture_make(&f, TEXTS_TARGETS, 1, 200);
    assert_int_equal(assert_same_words(&f, str_span("\"orders/\0/items\"", 16)), 0);
    assert_int_equal(assert_same_words(&f, str_span("\"\0\"", 3)), 0);
    fixture_done(&f);
}

static void common_words_are_counted_without_rows(void **state) {
    (void)state;
    struct fixture f;
    fixture_make(&f, TEXTS_BODIES, 1, 1000);
    struct arena a;
    arena_init(&a, MIB);
    struct words *w;
    struct text_match m;
    struct text_block *t;
    struct text_skeletons s = {f.part.n, f.part.end, f.part.heap};
    uint32_t rows = 0;
    err e = words_parse(&a, STR("request \", stock\" warehouse"), &w);
    assert_null(e);
    e = text_match_make(&a, &s, w, &m);
    assert_null(e);
    e = text_block_open(&a, &s, buf_str(&f.block), f.n, &t);
    assert_null(e);
    assert_true(text_count_words(t, &m, w, &rows) && rows > 100);
    assert_int_equal(assert_same_words(&f, STR("request \", stock\" warehouse")), rows);
    arena_done(&a);
    fixture_done(&f);
}

/* Every place of a short needle around the borders of the 16 bytes that are compared at a time. */
static void terms_are_found_wherever_they_stand(void **state) {
    (void)state;
    struct arena a;
    arena_init(&a, MIB);
    static const char *const terms[] = {"a", "bc", "needle", "a*", "\"b\"", "\"aNd a longer Phrase of some bytes\""};
    for (size_t q = 0; q < LENGTH(terms); q++) {
        struct words *w;
        err e = words_parse(&a, str_of(terms[q]), &w);
        assert_null(e);
        struct str needle = str_trim(str_of(terms[q]));
        char text[200];
        for (size_t before = 0; before < 70; before++)
            for (size_t after = 0; after < 20; after++) {
                memset(text, '.', sizeof text);
                if (before % 3) text[before - 1] = 'z'; /* not at the start of a word */
                memcpy(text + before, needle.p, needle.n);
                uint32_t end[2] = {(uint32_t)(before + needle.n), (uint32_t)(before + needle.n + after)},
                         found[2] = {0};
                texts_find_words(w, 1, text, end, 2, found);
                assert_int_equal(found[0], words_find(w, str_span(text, end[0])));
                assert_int_equal(found[1], words_find(w, str_span(text + end[0], after)));
            }
    }
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_found_wherever_they_stand),   cmocka_unit_test(a_zero_byte_in_a_phrase_is_no_slot),
        cmocka_unit_test(common_words_are_counted_without_rows), cmocka_unit_test(chosen_queries_find_the_same_rows),
        cmocka_unit_test(random_queries_find_the_same_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
