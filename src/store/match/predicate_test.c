/* What matches, by the words of store/scan.h: one line a case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "os/clock.h"
#include "signal/batch_build.h"
#include "store/match/regex.h"
#include "store/scan.h"
#include "store/match/words_heap_priv.h"
#include "store/match/words_priv.h"

/* ---- words ------------------------------------------------------------------------------------------------------ */

static uint32_t find(const char *terms, const char *text) {
    AUTO_ARENA struct arena a;
    struct words *w = NULL;
    arena_init(&a, 64 * KIB);
    err e = words_parse(&a, str_of(terms), &w);
    assert_null(e);
    return words_find(w, str_of(text));
}

static void words_are_found_by_their_rules(void **state) {
    (void)state;
    const struct { const char *terms, *text; uint32_t found; } cases[] = {
        {"error", "an Error occurred", 1},        {"error", "errors", 0},
        {"err*", "errors", 1},                    {"err*", "ERR", 1},
        {"err*", "terror", 0},                    {"GET /a-b", "get: a, b", 7},
        {"GET /a-b", "get a_b", 1},               {"\"a-b\"", "xA-Bx", 1},
        {"\"a-b\" x", "a-b", 1},                  {"12*", "x 123 y", 1},
        {"caf\xc3\xa9", "un caf\xc3\xa9 noir", 1}, {"caf", "caf\xc3\xa9", 0},
        {"a", "", 0},                             {"a b", "b a", 3},
        {"\"\" a", "a", 1},                       {"user_1", "(user_1)", 1},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        if (find(cases[i].terms, cases[i].text) != cases[i].found) fail_msg("%s in %s", cases[i].terms, cases[i].text);
    }
}

static void bad_searches_are_refused(void **state) {
    (void)state;
    const char *cases[] = {"", "  -/ ", "\"open", "\"\""};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_ARENA struct arena a;
        struct words *w = NULL;
        arena_init(&a, 64 * KIB);
        err e = words_parse(&a, str_of(cases[i]), &w);
        assert_non_null(e);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
    AUTO_ARENA struct arena a;
    struct words *w = NULL;
    arena_init(&a, 64 * KIB);
    err e = words_parse(&a, STR("a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3 4 5 6 7"), &w);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
}

/* ---- regular expressions ---------------------------------------------------------------------------------------- */

static void only_the_syntax_of_re2_is_taken(void **state) {
    (void)state;
    const char *good[] = {"a.*b", "^x(?:y|z)+$", "(?i)abc", "[[:alpha:]]+[^]x]", "(?P<n>a)", "(?<n>a)", "\\d{2,3}?", "[(?=]", "a{1000}", "a{2,1000}", "a{,1001}", "[{1001}]", "\\{1001}", "a{x1001}", ""};
    const char *bad[] = {"(a)\\1", "(?=a)", "(?!a)", "(?<=a)b", "(?>a)", "a++", "(*ACCEPT)", "(?R)", "\\Ka", "(a", "[a", "a{2}+", "a{1001}", "a{1001,}", "a{1,1001}", "(a{99999999999})", "\\"};
    for (size_t i = 0; i < LENGTH(good); i++) {
        struct regex *r = NULL;
        err e = regex_compile(str_of(good[i]), &r);
        if (e) fail_msg("%s: %s", good[i], err_text(e));
        regex_free(r);
    }
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct regex *r = NULL;
        err e = regex_compile(str_of(bad[i]), &r);
        if (!e) fail_msg("%s was taken", bad[i]);
        assert_int_equal(err_kind(e), ERR_INVALID);
        err_free(e);
    }
}

static void a_costly_match_gives_up(void **state) {
    (void)state;
    struct regex *r = NULL;
    char text[64];
    memset(text, 'a', sizeof text);
    assert_null(regex_compile(STR("^(a{0,90}){0,90}$"), &r)); /* too many states for linear time, too */
    text[sizeof text - 1] = 'b';
    assert_false(regex_found(r, str_span(text, sizeof text)));
    assert_true(regex_gave_up(r));
    regex_free(r);
}

/* PCRE2's own limit starts again at every byte: without ours this would take minutes. */
static void a_long_text_costs_bounded_steps(void **state) {
    (void)state;
    struct regex *r = NULL;
    size_t n = 1 << 20;
    AUTO_FREE char *text = mem_new(n);
    memset(text, 'a', n);
    assert_null(regex_compile(STR("[^z]*z+y"), &r));
    regex_set_deadline(r, clock_monotonic_ns() + 20000000);
    assert_false(regex_found(r, str_span(text, n)));
    assert_false(regex_found(r, STR("zy"))); /* late: nothing is looked at any more */
    assert_false(regex_gave_up(r));
    regex_set_deadline(r, 0);
    regex_free(r);
    assert_null(regex_compile(STR("a+b"), &r));
    memcpy(text + n - 4, "aabc", 4);
    assert_true(regex_found(r, str_span(text + n - 4096, 4096)));
    regex_free(r);
}

/* Each place of the text fits the phrase for 2,000 bytes. */
static void a_phrase_that_nearly_fits_everywhere_is_linear(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    struct words *w = NULL;
    size_t n = 1 << 20;
    char terms[4003];
    AUTO_FREE char *text = mem_new(n);
    arena_init(&a, 64 * KIB);
    memset(terms, 'a', sizeof terms);
    terms[0] = terms[4001] = '"';
    terms[4002] = 0;
    terms[2000] = 'b';
    assert_null(words_parse(&a, str_of(terms), &w));
    memset(text, 'A', n);
    uint32_t end[2] = {(uint32_t)n / 2, (uint32_t)n}, found[2] = {0, 0};
    assert_int_equal(words_find(w, str_span(text, n)), 0);
    assert_int_equal(words_find_all(w, text, end, 2, found), 0);
    text[n - 2500] = 'B';
    assert_int_equal(words_find(w, str_span(text, n)), 1);
    assert_int_equal(words_find_all(w, text, end, 2, found), 1);
    assert_true(found[0] == 0 && found[1] == 1);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static void put_attributes(struct batch_builder *b, enum set s, uint32_t row, uint32_t n, const uint32_t *keys,
                           const uint64_t *values) {
    uint32_t first = (uint32_t)b->slots.n;
    for (uint32_t i = 0; i < n; i++) *vec_push(&b->slots) = values[i];
    batch_builder_attributes(b, s, row, keys, n, first);
}

static uint64_t bits_of(double v) {
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits;
}

/* One span: name "GET /cart", duration 1500, attributes code=503 (int), code="503x", ratio=0.5, ok=true, both=1, both="one";
 * resource service.name=shop, host=web-1; scope lib 2.0; an event exception{type=IOError}. */
static struct batch_blob *make_span(void) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_SPANS);
#define S(text) strings_intern(&b.strings, STR(text))
#define K(name, type) batch_builder_key(&b, STR(name), VALUE_##type)
    uint32_t resource = batch_builder_row(&b, SET_RESOURCES), scope = batch_builder_row(&b, SET_SCOPES);
    put_attributes(&b, SET_RESOURCES, resource, 2, (uint32_t[]){K("service.name", STRING), K("host", STRING)},
                   (uint64_t[]){S("shop"), S("web-1")});
    batch_builder_set_u32(&b, SET_SCOPES, FIELD_NAME, scope, S("lib"));
    batch_builder_set_u32(&b, SET_SCOPES, FIELD_VERSION, scope, S("2.0"));
    put_attributes(&b, SET_SCOPES, scope, 0, NULL, NULL);
    uint32_t row = batch_builder_row(&b, SET_ROWS), event = batch_builder_row(&b, SET_EVENTS);
    batch_builder_set_id16(&b, SET_ROWS, FIELD_TRACE_ID, row, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10");
    batch_builder_set_u64(&b, SET_ROWS, FIELD_SPAN_ID, row, 0x0807060504030201u);
    batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, 1000);
    batch_builder_set_u64(&b, SET_ROWS, FIELD_DURATION, row, 1500);
    batch_builder_set_u32(&b, SET_ROWS, FIELD_NAME, row, S("GET /cart"));
    batch_builder_set_u32(&b, SET_ROWS, FIELD_KIND, row, 2);
    batch_builder_set_u32(&b, SET_ROWS, FIELD_EVENT_END, row, 1);
    put_attributes(&b, SET_ROWS, row, 7,
                   (uint32_t[]){K("code", INT), K("code", STRING), K("ratio", DOUBLE), K("ok", BOOL), K("both", INT),
                                K("both", STRING), K("user", STRING)},
                   (uint64_t[]){503, S("503x"), bits_of(0.5), 1, 1, S("one"), S("user-7 Alice")});
    batch_builder_set_u32(&b, SET_EVENTS, FIELD_NAME, event, S("exception"));
    put_attributes(&b, SET_EVENTS, event, 1, (uint32_t[]){K("type", STRING)}, (uint64_t[]){S("IOError")});
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

struct match_case { enum target target; enum field field; const char *key; enum operator op; const char *text; bool matches; };

static void check(const struct batch *b, const struct match_case *c) {
    AUTO_ARENA struct arena a;
    struct predicate p;
    arena_init(&a, 64 * KIB);
    struct column_ref column = {c->target, c->field, str_of(c->key)};
    err e = predicate_make(&a, column, c->op, str_of(c->text), &p);
    assert_null(e);
    if (predicate_matches_row(&p, b, 0) != c->matches)
        fail_msg("target %d key \"%s\" field %d op %d \"%s\" should be %d", c->target, c->key, c->field, c->op, c->text, c->matches);
    predicate_done(&p);
}

static void rows_match_by_the_rules(void **state) {
    (void)state;
    struct batch_blob *blob = make_span();
    struct batch b;
    batch_view(blob, &b);
#define F(f, op, text, m) {TARGET_FIELD, FIELD_##f, "", OP_##op, text, m}
#define A(key, op, text, m) {TARGET_ATTRIBUTE, 0, key, OP_##op, text, m}
#define T(t, key, op, text, m) {TARGET_##t, 0, key, OP_##op, text, m}
    const struct match_case cases[] = {
        F(NAME, EQUAL, "GET /cart", true), F(NAME, EQUAL, "get /cart", false), F(NAME, MATCH, "c.rt$", true),
        F(NAME, NOT_MATCH, "c.rt$", false), F(NAME, EXISTS, "", true), F(STATUS_MESSAGE, EXISTS, "", false),
        F(STATUS_MESSAGE, ABSENT, "", true), F(DURATION, GREATER, "1499", true), F(DURATION, GREATER, "1500", false),
        F(DURATION, LESS_EQUAL, "1500", true), F(DURATION, LESS, "1500.5", true), F(KIND, EQUAL, "2", true),
        F(KIND, NOT_EQUAL, "3", true), F(TRACE_ID, EQUAL, "0102030405060708090a0b0c0d0e0f10", true),
        F(SPAN_ID, MATCH, "^0102", true), F(PARENT_ID, EXISTS, "", false), F(PARENT_ID, NOT_EQUAL, "00", true),
        F(SEVERITY, EQUAL, "0", false), /* not a field of spans */
        A("code", EQUAL, "503", true), A("code", EQUAL, "503x", true), A("code", EQUAL, "503.0", true),
        A("code", EQUAL, "50", false), A("code", NOT_EQUAL, "503", false), A("code", NOT_EQUAL, "504", true),
        A("code", GREATER_EQUAL, "500", true), A("code", GREATER, "503", false), A("code", LESS, "a", true),
        A("ratio", EQUAL, "0.50", true), A("ratio", LESS, "1", true), A("ok", EQUAL, "true", true),
        A("ok", EQUAL, "1", false), A("ok", GREATER, "0", false), A("ok", NOT_EQUAL, "false", true),
        A("ok", MATCH, "^tr", true), A("both", EQUAL, "one", true), A("both", EQUAL, "1", true),
        A("none", EQUAL, "", false), A("none", NOT_EQUAL, "x", true), A("none", NOT_MATCH, "x", true),
        A("none", ABSENT, "", true), A("none", EXISTS, "", false), A("code", ABSENT, "", false),
        A("service.name", EQUAL, "shop", false), T(ANY, "service.name", EQUAL, "shop", true),
        T(ANY, "code", EQUAL, "503", true), T(RESOURCE, "host", MATCH, "web-[0-9]+", true),
        T(RESOURCE, "code", EXISTS, "", false), T(SCOPE, "name", EQUAL, "lib", true), T(SCOPE, "version", GREATER, "1", false),
        T(SCOPE, "version", EQUAL, "2.0", true), T(EVENT, "name", EQUAL, "exception", true),
        T(EVENT, "type", EQUAL, "IOError", true), T(EVENT, "type", NOT_EQUAL, "IOError", false),
        T(EVENT, "none", EXISTS, "", false), T(TEXT, "", WORDS, "cart alice", true), T(TEXT, "", WORDS, "cart bob", false),
        T(TEXT, "", WORDS, "ioerror exception", true), T(TEXT, "", WORDS, "\"user-7 a\"", true),
        T(TEXT, "", WORDS, "shop", false), /* the resource is not the row's text */
    };
    for (size_t i = 0; i < LENGTH(cases); i++) check(&b, &cases[i]);
    batch_unref(blob);
}

static void predicates_have_limits(void **state) {
    (void)state;
    AUTO_ARENA struct arena a;
    struct predicate p;
    char longer[5000];
    memset(longer, 'x', sizeof longer);
    arena_init(&a, 64 * KIB);
    struct column_ref column = {TARGET_ATTRIBUTE, 0, STR("k")};
    err e = predicate_make(&a, column, OP_EQUAL, str_span(longer, sizeof longer), &p);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    e = predicate_make(&a, column, OP_WORDS, STR("x"), &p);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_found_by_their_rules), cmocka_unit_test(bad_searches_are_refused),
        cmocka_unit_test(only_the_syntax_of_re2_is_taken), cmocka_unit_test(a_costly_match_gives_up),
        cmocka_unit_test(a_long_text_costs_bounded_steps),
        cmocka_unit_test(a_phrase_that_nearly_fits_everywhere_is_linear),
        cmocka_unit_test(rows_match_by_the_rules),         cmocka_unit_test(predicates_have_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
