/* Words of a text, against an evaluation that cuts texts into words the plain way; the parts it is made of; limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "store/match/words_heap_priv.h"
#include "store/match/words_priv.h"

/* ---- parsing ------------------------------------------------------------------------------------------------------ */

/* Terms as text: w(get) p(re) "a b" */
static void say_terms(const struct words *w, struct buf *out) {
    for (uint32_t i = 0; i < w->n; i++) {
        const struct word_term *t = &w->terms[i];
        static const char *const before[] = {"w(", "p(", "\""}, *const after[] = {")", ")", "\""};
        if (i) buf_add_byte(out, ' ');
        buf_add_text(out, before[t->kind]);
        buf_add_str(out, t->text);
        buf_add_text(out, after[t->kind]);
    }
}

static void searches_become_terms(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"get", "w(get)"},
        {"GET", "w(get)"},
        {"re*", "p(re)"},
        {"re *", "w(re)"},
        {"*re", "w(re)"},
        {"a*b*", "p(a) p(b)"},
        {"a**", "p(a)"},
        {"GET /a-b", "w(get) w(a) w(b)"},
        {"\"A b\"", "\"a b\""},
        {"\"a\"*", "\"a\""},
        {"x\"y\"z", "w(x) \"y\" w(z)"},
        {"\"\"\"a\"", "\"a\""},
        {"\" \"", "\" \""},
        {"a_1 b-2", "w(a_1) w(b) w(2)"},
        {"caf\xc3\x89*", "p(caf\xc3\x89)"}, /* only ASCII letters fold */
        {"a\tb\nc", "w(a) w(b) w(c)"},
        {"a a A", "w(a) w(a) w(a)"},
        {"\\\"a\\\"", "\"a\\\""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_ARENA struct arena a;
        AUTO_BUF struct buf said;
        struct words *w = NULL;
        arena_init(&a, 64 * KIB);
        buf_init(&said, KIB);
        err e = words_parse(&a, str_of(cases[i][0]), &w);
        if (e) fail_msg("%s: %s", cases[i][0], err_text(e));
        say_terms(w, &said);
        assert_string_equal(said.p, cases[i][1]);
        assert_int_equal(words_count(w), w->n);
    }
}

static void digits_are_known_of_each_term(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    struct words *w = NULL;
    arena_init(&a, 64 * KIB);
    assert_null(words_parse(&a, STR("a1 b \"c 2\" \"d\" 3* \xd9\xa3"), &w));
    static const bool digits[] = {true, false, true, false, true, false}; /* Arabic digits are letters here */
    for (uint32_t i = 0; i < w->n; i++) assert_int_equal(w->terms[i].has_digit, digits[i]);
}

static void a_search_has_32_terms(void **state) {
    (void)state;
    for (int n = 31; n <= 33; n++) {
        AUTO_ARENA struct arena a;
        AUTO_BUF struct buf text;
        struct words *w = NULL;
        arena_init(&a, 64 * KIB);
        buf_init(&text, KIB);
        for (int i = 0; i < n; i++) buf_add_fmt(&text, "w%d ", i);
        err e = words_parse(&a, buf_str(&text), &w);
        assert_int_equal(e != NULL, n > 32);
        if (!e && n == 32) assert_true(words_find(w, buf_str(&text)) == UINT32_MAX);
        err_free(e);
    }
}

static void a_full_arena_is_a_limit_and_no_half_search(void **state) {
    (void)state;
    for (size_t limit = 0; limit < 4096; limit += 256) {
        AUTO_ARENA struct arena a;
        struct words *w = NULL;
        arena_init(&a, limit);
        err e = words_parse(&a, STR("some words"), &w);
        if (e)
            assert_int_equal(err_kind(e), ERR_LIMIT);
        else
            assert_int_equal(words_find(w, STR("words, some")), 3);
        assert_true(e || limit);
        err_free(e);
    }
}

/* ---- finding, the plain way --------------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c; }
static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

static bool begins_with(const char *text, size_t n, struct str folded) {
    if (n < folded.n) return false;
    for (size_t i = 0; i < folded.n; i++)
        if (lower(text[i]) != folded.p[i]) return false;
    return true;
}

/* At every place of the text: does the term begin here, and does it end where it must? */
static bool plain_find(const struct word_term *t, struct str text) {
    for (size_t i = 0; i < text.n; i++) {
        if (!begins_with(text.p + i, text.n - i, t->text)) continue;
        size_t end = i + t->text.n;
        bool starts = i == 0 || !is_word(text.p[i - 1]), ends = end == text.n || !is_word(text.p[end]);
        if (t->kind == WORD_PHRASE || (starts && (t->kind == WORD_PREFIX || ends))) return true;
    }
    return false;
}

static void random_text(uint64_t *seed, char *out, size_t n, const char *letters, size_t letter_count) {
    for (size_t i = 0; i < n; i++) out[i] = letters[(*seed = hash_u64(*seed + 7)) % letter_count];
}

static void words_are_found_as_the_plain_way_finds_them(void **state) {
    (void)state;
    static const char letters[] = "aAbB1 -_\xc3\xa9[{@`"; /* bytes that differ from letters by the case bit, too */
    static const char search_letters[] = "aAbB1 *\"_\xc3";
    uint32_t hits = 0;
    for (uint64_t round = 0; round < 8000; round++) {
        AUTO_ARENA struct arena a;
        struct words *w = NULL;
        char search[16], text[48];
        uint64_t seed = round;
        size_t n = round % sizeof text;
        arena_init(&a, 64 * KIB);
        random_text(&seed, search, 1 + round % 15, search_letters, sizeof search_letters - 1);
        random_text(&seed, text, n, letters, sizeof letters - 1);
        err e = words_parse(&a, str_span(search, 1 + round % 15), &w);
        uint32_t found = e ? 0 : words_find(w, str_span(text, n));
        for (uint32_t t = 0; !e && t < w->n; t++) {
            bool want = plain_find(&w->terms[t], str_span(text, n));
            if ((found >> t & 1) != want) fail_msg("round %d, term %u: should be %d", (int)round, t, want);
            hits += want;
        }
        err_free(e);
    }
    assert_true(hits > 1000);
}

/* The finder for phrases that nearly fit everywhere gives every place the plain search gives. */
static void the_linear_finder_finds_every_place(void **state) {
    (void)state;
    for (uint64_t round = 0; round < 4000; round++) {
        char phrase[12], text[64];
        uint64_t seed = round;
        size_t n = 1 + round % sizeof phrase, size = round % sizeof text, at = 0;
        struct word_finder f;
        random_text(&seed, phrase, n, "ab", 2);
        random_text(&seed, text, size, "abAB", 4);
        word_finder_init(&f, str_span(phrase, n));
        for (size_t i = 0; i < size; i++) {
            if (!begins_with(text + i, size - i, str_span(phrase, n))) continue;
            at = word_finder_next(&f, str_span(text, size), at);
            assert_int_equal(at, i);
            at++;
        }
        if (at <= size) assert_int_equal(word_finder_next(&f, str_span(text, size), at), size);
    }
}

/* 16 places at a time, over the borders of strings, up to the last byte: as each string by itself. */
static void a_heap_of_strings_is_searched_as_each_of_them(void **state) {
    (void)state;
    static const char *const searches[] = {"a",    "ab",      "a*",   "\"ab\"",           "\"b\" a",
                                           "aab*", "\"a b\"", "1 a1", "\xc3\xa9 \"\xa9\""};
    for (uint64_t round = 0; round < 1500; round++) {
        AUTO_ARENA struct arena a;
        struct words *w = NULL;
        uint64_t seed = round;
        uint32_t end[40], found[40] = {0}, n = 1 + (uint32_t)(round % 40), size = 0;
        for (uint32_t i = 0; i < n; i++)
            end[i] = size += (uint32_t)((seed = hash_u64(seed + i)) % (round % 3 ? 6 : 40));
        char *heap = mem_new(size + 1);
        random_text(&seed, heap, size, "abAB 1\xc3\xa9", 8);
        char *exact = mem_new(size ? size : 1);
        memcpy(exact, heap, size);
        arena_init(&a, 64 * KIB);
        assert_null(words_parse(&a, str_of(searches[round % LENGTH(searches)]), &w));
        uint32_t any = words_find_all(w, exact, end, n, found), want_any = 0;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t start = i ? end[i - 1] : 0, want = 0;
            for (uint32_t t = 0; t < w->n; t++)
                want |= (uint32_t)plain_find(&w->terms[t], str_span(exact + start, end[i] - start)) << t;
            if (found[i] != want) fail_msg("round %d, string %u: %x, not %x", (int)round, i, found[i], want);
            want_any |= want;
        }
        assert_int_equal(any, want_any);
        mem_free(heap);
        mem_free(exact);
    }
}

static void a_term_alone_is_found_as_among_others(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    struct words *w = NULL;
    static const char heap[] = "GET /caf\xc3\xa9 a1get cafe get";
    static const uint32_t end[] = {4, 9, 9, 20, 24};
    arena_init(&a, 64 * KIB);
    assert_null(words_parse(&a, STR("get caf* \"caf\" cafe"), &w));
    uint32_t all[5] = {0};
    words_find_all(w, heap, end, LENGTH(end), all);
    for (uint32_t t = 0; t < w->n; t++) {
        uint32_t found[5] = {0};
        words_find_term(&w->terms[t], 1u << t, heap, end, LENGTH(end), found);
        for (size_t i = 0; i < LENGTH(end); i++) assert_int_equal(found[i], all[i] & 1u << t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(searches_become_terms),
        cmocka_unit_test(digits_are_known_of_each_term),
        cmocka_unit_test(a_search_has_32_terms),
        cmocka_unit_test(a_full_arena_is_a_limit_and_no_half_search),
        cmocka_unit_test(words_are_found_as_the_plain_way_finds_them),
        cmocka_unit_test(the_linear_finder_finds_every_place),
        cmocka_unit_test(a_heap_of_strings_is_searched_as_each_of_them),
        cmocka_unit_test(a_term_alone_is_found_as_among_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
