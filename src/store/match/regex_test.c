/* Regular expressions from outside: RE2's syntax and no more, whatever is wrapped around it; what matches; limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/hash.h"
#include "os/clock.h"
#include "store/match/regex.h"

static struct regex *compiled(const char *pattern) {
    struct regex *r = NULL;
    err e = regex_compile(str_of(pattern), &r);
    if (e) fail_msg("%s: %s", pattern, err_text(e));
    return r;
}

static void refused(struct str pattern, enum err_kind kind) {
    struct regex *r = NULL;
    err e = regex_compile(pattern, &r);
    if (!e) fail_msg("'" STR_FMT "' was taken", STR_ARG(pattern));
    assert_int_equal(err_kind(e), kind);
    assert_null(r);
    err_free(e);
}

static void patterns_find_what_they_say(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool found;
    } cases[] = {
        {"", "", true},
        {"", "x", true},
        {"^$", "", true},
        {"^$", "x", false},
        {"^$", "\n", false}, /* $ is the end of the text alone */
        {"a$", "a\n", false},
        {"(?m)a$", "a\nb", true},
        {"a.c", "a\nc", false},
        {"(?s)a.c", "a\nc", true},
        {"(?i)straSSe", "STRASSE", true},
        {"(?i:A)b", "ab", true},
        {"(?i:A)b", "aB", false},
        {"(?i-s:a)", "A", true},
        {"(?U)a+", "aa", true},
        {"\\bGET\\b", "a GET b", true},
        {"\\bGET\\b", "GETS", false},
        {"\\AGET", "GET", true},
        {"GET\\z", "xGET", true},
        {"\\d{3}", "a123", true},
        {"^\\d{3}$", "1234", false},
        {"\\D\\W\\S", "a-b", true},
        {"[[:digit:]]+", "x9", true},
        {"[^[:digit:]]", "12", false},
        {"[]a]", "]", true},
        {"[^]a]", "]", false},
        {"[\\]]", "]", true},
        {"[a\\-z]", "-", true},
        {"[[:alpha:]]{2}[0-9]", "ab1", true},
        {"a{,2}", "a{,2}", true}, /* no repeat: these letters */
        {"x*?y+?z?", "xy", true},
        {"\\Qa.b\\E", "a.b", true},
        {"\\Qa.b\\E", "axb", false},
        {"\\Qa.b", "xa.b", true},
        {"\\Q\\E", "x", true},
        {"\\Q(?=\\E", "(?=", true},
        {"[\\Qa]\\E]x", "]x", true},
        {"\\Q[\\E(a)", "[a", true},
        {"\\x41\\t", "A\t", true},
        {"caf\xc3\xa9", "un caf\xc3\xa9", true},
        {"^....$", "caf\xc3\xa9", false}, /* bytes, not letters */
        {"\xff", "a\xff", true},
        {"(a|b)*c", "ababc", true},
        {"(?P<name>a)(?<other>b)", "ab", true},
        {"^\\p{L}+$", "ab", true}, /* a brace, and no possessive repeat */
        {"^\\x{61}+$", "aa", true},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct regex *r = compiled(cases[i].pattern);
        if (regex_found(r, str_of(cases[i].text)) != cases[i].found)
            fail_msg("'%s' in '%s' should be %d", cases[i].pattern, cases[i].text, cases[i].found);
        assert_false(regex_gave_up(r));
        regex_free(r);
    }
}

static const char *const forbidden[] = {
    "(?=a)",
    "(?!a)",
    "(?<=a)b",
    "(?<!a)b",
    "(?>a)",
    "(a)\\1",
    "(?P<n>a)(?P=n)",
    "(?P<n>a)(?P>n)",
    "(?R)",
    "(?0)",
    "(?1)",
    "(?+1)",
    "(?&n)",
    "(?(1)a)",
    "(?|a|b)",
    "(?#note)",
    "(?C)",
    "(?C1)",
    "(?'n'a)",
    "(*ACCEPT)",
    "(*UTF)",
    "(*FAIL)",
    "(*LIMIT_MATCH=9)",
    "a++",
    "a*+",
    "a?+",
    "a{2}+",
    "\\Ka",
    "\\Ga",
    "\\R",
    "\\X",
    "\\C",
    "\\h",
    "\\N",
    "\\g1",
    "\\g{-1}",
    "\\k<n>",
    "(?x)a",
    "(?J)a",
    "(?^)a",
    "(?*a)",
    "(?<*a)",
    "(*pla:a)",
    "(*atomic:a)",
    "(?<",
    "(?P",
    "(?",
    "(?i",
};

static void what_pcre2_has_and_re2_has_not_is_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(forbidden); i++) refused(str_of(forbidden[i]), ERR_INVALID);
}

/* The class before it is closed, so that it is no member of one. */
static void what_follows_a_closed_class_is_looked_at(void **state) {
    (void)state;
    static const char *const closed[] = {"[[:a]",      "[[:alpha]",  "[[:]",        "\\Q[\\E",  "\\Q[",
                                         "[\\Q]\\E]",  "[[]",        "[[:digit:]]", "[\\\\]",   "[^]]",
                                         "[]]",        "[\\Q\\\\E]", "[a\\Qb\\E]",  "[[:a:]b]", "[[:alpha:]]",
                                         "[\\Q[:\\E]", "[[:\\]x]"};
    for (size_t i = 0; i < LENGTH(closed); i++) {
        char pattern[64];
        snprintf(pattern, sizeof pattern, "%s%s(?=b)]", closed[i], strcmp(closed[i], "\\Q[") == 0 ? "\\E" : "");
        refused(str_of(pattern), ERR_INVALID);
    }
}

static void broken_patterns_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "(a",  "a)",       "[a",   "[z-a]",         "*a",      "+",          "?",
        "a**", "a{3,2}",   "\\",   "(?P<>a)",       "(?<1>a)", "[[:nope:]]", "\\x{110000000}",
        "(?i", "a{70000}", "\\pQ", "(?<n>a)(?<n>b)"};
    for (size_t i = 0; i < LENGTH(bad); i++) refused(str_of(bad[i]), ERR_INVALID);
}

/* Any bytes: an error or an expression, and matching it ends. */
static void any_bytes_are_no_harm(void **state) {
    (void)state;
    static const char letters[] = "ab()[]{}*+?|\\^$.:-<>=!PQE1,0\xff i";
    uint32_t taken = 0;
    for (uint64_t seed = 0; seed < 6000; seed++) {
        char pattern[24];
        size_t n = hash_u64(seed) % sizeof pattern;
        struct regex *r = NULL;
        for (size_t i = 0; i < n; i++) pattern[i] = letters[hash_u64(seed * 100 + i) % (sizeof letters - 1)];
        err e = regex_compile(str_span(pattern, n), &r);
        if (e) assert_int_equal(err_kind(e), ERR_INVALID);
        taken += e == NULL;
        if (r) (void)regex_found(r, STR("ab(a)[b]1,0 ab ab\xff"));
        err_free(e);
        regex_free(r);
    }
    assert_true(taken > 300);
}

static void patterns_have_a_limit(void **state) {
    (void)state;
    char longer[4097];
    struct regex *r = NULL;
    memset(longer, 'a', sizeof longer);
    refused(str_span(longer, sizeof longer), ERR_LIMIT);
    assert_null(regex_compile(str_span(longer, sizeof longer - 1), &r));
    assert_true(regex_found(r, str_span(longer, sizeof longer)));
    assert_false(regex_found(r, str_span(longer, sizeof longer - 2)));
    regex_free(r);
    memset(longer, '(', sizeof longer - 1);
    refused(str_span(longer, sizeof longer - 1), ERR_INVALID);
    regex_free(NULL);
}

/* A zero byte is a byte like any other, in the pattern and in the text. */
static void a_zero_byte_is_no_end(void **state) {
    (void)state;
    struct regex *r = NULL;
    assert_null(regex_compile(STR("a\0b"), &r));
    assert_true(regex_found(r, STR("xa\0b")));
    assert_false(regex_found(r, STR("ab")));
    regex_free(r);
    assert_null(regex_compile(STR("b$"), &r));
    assert_true(regex_found(r, STR("a\0b")));
    regex_free(r);
}

/* Steps are bounded for texts of any length, and a text that was given up is counted as none. */
static void costly_matches_give_up_at_any_length(void **state) {
    (void)state;
    static const char *const costly[] = {"^(a+)+$", "(a|a)*b", "(a*)*c", "(.*)(.*)(.*)(.*)x", "(a|aa)+$"};
    static const size_t sizes[] = {30, 200, 2000, 2049, 20000};
    for (size_t i = 0; i < LENGTH(costly); i++)
        for (size_t s = 0; s < LENGTH(sizes); s++) {
            AUTO_FREE char *text = mem_new(sizes[s]);
            struct regex *r = compiled(costly[i]);
            memset(text, 'a', sizes[s]);
            text[sizes[s] - 1] = '!';
            assert_false(regex_found(r, str_span(text, sizes[s])));
            regex_free(r);
        }
}

/* 5,000 bytes, on which backtracking needs a large stack or does not end: what takes linear time is told. */
static void what_is_linear_does_not_give_up(void **state) {
    static const struct {
        const char *pattern;
        char last;
        bool found;
    } cases[] = {{"(a|aa)+b", 'b', true},
                 {"(a|aa)+b", 'c', false},
                 {"(a+)+", 'a', true},
                 {"(a+)+", 'b', false},
                 {"(a*)*c", 'd', false},
                 {"(?:a|a)*\\Qb", 'b', true},
                 {"(a|aa)+|b", 'b', false},
                 {"(.*)(.*)(.*)(.*)x", 'y', false},
                 {"([ab]+|[[:alpha:]]{2,}|\\x61+|\\x{61}+|\\pL+|\\p{Ll}+|\\w+|é+)+", '!', false},
                 {"(?:\\w+\\s?)+", '!', false}};
    AUTO_FREE char *text = mem_new(5001);
    struct str groups[4];
    (void)state;
    memset(text, 'a', 5001);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct regex *r;
        assert_null(regex_compile_whole(str_of(cases[i].pattern), &r));
        text[5000] = cases[i].last;
        int64_t begun = clock_monotonic_ns();
        if (regex_found(r, str_span(text, 5001)) != cases[i].found || regex_gave_up(r))
            fail_msg("%s", cases[i].pattern);
        assert_int_equal(regex_groups(r, str_span(text, 5001), groups, 4) > 0, cases[i].found);
        assert_false(regex_gave_up(r));
        if (cases[i].found) assert_int_equal(groups[0].n, 5001);
        assert_true(clock_monotonic_ns() - begun < 5000000000);
        regex_free(r);
    }
}

/* (a|a)* before it makes backtracking try 2^30 ways, so that the linear way decides; the model tries each rest of the text without it. */
static void both_ways_say_the_same(void **state) {
    static const char *const pieces[] = {"a",    "b",     "(",       ")",          "|",        "*",   "+",
                                         "?",    "{2,}",  "{1,3}",   "[ab]",       "[^a]",     ".",   "\\w",
                                         "\\pL", "\\x61", "\\p{Lu}", "\xc3\xa9",   "\\Qa+\\E", "(?:", "+?",
                                         "(?i:", "\\S",   "[a\\]]",  "[[:alpha:]]"};
    static const char *const texts[] = {"", "b", "ab", "aab!", "\xc3\xa9", "a\xc3\xa9+", "aB.", "a+b", "]", "bbbb"};
    enum { BEFORE = 30 };
    uint32_t linear = 0;
    (void)state;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        char pattern[160] = "", text[64];
        size_t used = 0;
        struct regex *plain = NULL, *costly = NULL;
        for (uint64_t i = 0, n = 1 + hash_u64(seed) % 6; i < n; i++)
            used += (size_t)snprintf(pattern + used, sizeof pattern - used, "%s",
                                     pieces[hash_u64(seed * 31 + i + 7) % LENGTH(pieces)]);
        err e = regex_compile_whole(str_of(pattern), &plain);
        err_free(e);
        if (e) continue;
        char more[200];
        snprintf(more, sizeof more, "(?:a|a)*(?:%s)", pattern);
        assert_null(regex_compile_whole(str_of(more), &costly));
        size_t t = hash_u64(seed + 1) % LENGTH(texts);
        memset(text, 'a', BEFORE);
        memcpy(text + BEFORE, texts[t], strlen(texts[t]) + 1);
        bool want = false;
        for (size_t k = 0; k <= strspn(text, "a") && !want; k++) want = regex_found(plain, str_of(text + k));
        if (regex_found(costly, str_of(text)) != want) fail_msg("%s on %s: not %d", more, text, want);
        assert_false(regex_gave_up(costly));
        linear += !want;
        regex_free(plain);
        regex_free(costly);
    }
    assert_true(linear > 100);
}

/* As RE2 has it: what is no ASCII space, digit or word character is \\S, \\D and \\W. */
static void what_is_beyond_ascii_is_no_ascii_class(void **state) {
    static const char *const patterns[] = {"\\S", "\\D", "\\W", "\\S+", "[\\S]", "(?:\\W|x)", "[^\\s]"};
    static const char *const texts[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
    (void)state;
    for (size_t i = 0; i < LENGTH(patterns); i++)
        for (size_t t = 0; t < LENGTH(texts); t++) {
            struct regex *r;
            assert_null(regex_compile_whole(str_of(patterns[i]), &r));
            if (!regex_found(r, str_of(texts[t]))) fail_msg("%s on %s", patterns[i], texts[t]);
            regex_free(r);
        }
    struct regex *r;
    assert_null(regex_compile_whole(STR("\\Q\\S\\E\\x{e9}\\S"), &r));
    assert_true(regex_found(r, STR("\\S\xc3\xa9\xc3\xa9")));
    regex_free(r);
}

static void who_gave_up_says_so_of_the_last_match(void **state) {
    struct regex *r;
    (void)state;
    assert_null(regex_compile_whole(STR("(a{0,90}){0,90}[bd]"), &r));
    assert_false(regex_found(r, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac")));
    assert_true(regex_last_gave_up(r) && regex_gave_up(r));
    assert_true(regex_found(r, STR("ab")));
    assert_true(!regex_last_gave_up(r) && regex_gave_up(r));
    regex_free(r);
}

static void groups_are_told_by_number_and_name(void **state) {
    (void)state;
    struct str groups[8];
    struct regex *r = compiled("^(a+)(?P<two>b)?(?:c)(d|(e))$");
    assert_int_equal(regex_groups(r, STR("aacd"), groups, 8), 4);
    assert_true(str_equal(groups[0], STR("aacd")));
    assert_true(str_equal(groups[1], STR("aa")));
    assert_true(str_equal(groups[2], STR("")));
    assert_true(str_equal(groups[3], STR("d")));
    assert_int_equal(regex_groups(r, STR("abce"), groups, 8), 5);
    assert_true(str_equal(groups[2], STR("b")) && str_equal(groups[4], STR("e")));
    assert_int_equal(regex_groups(r, STR("abce"), groups, 2), 2);
    assert_int_equal(regex_groups(r, STR("x"), groups, 8), 0);
    assert_int_equal(regex_group_number(r, STR("two")), 2);
    assert_true(regex_group_number(r, STR("three")) < 0);
    regex_free(r);
}

/* An expression of hundreds of hosts is taken; what PCRE2 would need too much for is refused, and soon. */
static void whole_expressions_may_be_long(void **state) {
    (void)state;
    struct buf b;
    struct regex *r = NULL;
    buf_init(&b, MIB);
    for (int i = 0; i < 300; i++) buf_add_fmt(&b, "%s10.0.%d.%d", i ? "|" : "", i / 100, i % 100);
    buf_add_text(&b, "|longer-name-of-a-host.example.com");
    for (int i = 0; i < 100; i++) buf_add_text(&b, "|longer-name-of-a-host.example.com");
    assert_true(b.n > 4096);
    assert_null(regex_compile_whole(buf_str(&b), &r));
    assert_true(regex_found(r, STR("10.0.2.99")));
    assert_false(regex_found(r, STR("10.0.2.199")));
    regex_free(r);
    refused(buf_str(&b), ERR_LIMIT); /* not where rows are filtered */
    static const char *const pieces[] = {"(a|b)*", "(((((a{1,9}){1,9}){1,9}){1,9})?)", "[a-z]{0,99}", "(?:x?y?)+|",
                                         "\\pL{1,50}"};
    for (size_t i = 0; i < LENGTH(pieces); i++) {
        int64_t begun = clock_monotonic_ns();
        buf_clear(&b);
        while (b.n + strlen(pieces[i]) <= 65536) buf_add_text(&b, pieces[i]);
        err e = regex_compile_whole(buf_str(&b), &r);
        if (!e) {
            regex_found(r, STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"));
            regex_free(r);
        }
        err_free(e);
        int64_t ms = (clock_monotonic_ns() - begun) / 1000000;
        if (ms > 5000) fail_msg("%s: %lld ms", pieces[i], (long long)ms);
    }
    while (b.n <= 65536) buf_add_byte(&b, 'a');
    err e = regex_compile_whole(buf_str(&b), &r);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    buf_done(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_find_what_they_say),
        cmocka_unit_test(what_pcre2_has_and_re2_has_not_is_refused),
        cmocka_unit_test(what_follows_a_closed_class_is_looked_at),
        cmocka_unit_test(broken_patterns_are_refused),
        cmocka_unit_test(any_bytes_are_no_harm),
        cmocka_unit_test(patterns_have_a_limit),
        cmocka_unit_test(a_zero_byte_is_no_end),
        cmocka_unit_test(costly_matches_give_up_at_any_length),
        cmocka_unit_test(what_is_linear_does_not_give_up),
        cmocka_unit_test(both_ways_say_the_same),
        cmocka_unit_test(what_is_beyond_ascii_is_no_ascii_class),
        cmocka_unit_test(who_gave_up_says_so_of_the_last_match),
        cmocka_unit_test(groups_are_told_by_number_and_name),
        cmocka_unit_test(whole_expressions_may_be_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
