/* Whatever a text says, it is read, or refused, in time that grows with its bytes: a table of what made a reader slow, each at three sizes.
 * Not absolute: eight times the bytes may take sixteen times the CPU, and a little for what is too short to measure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "base/text.h"
#include "base/yaml.h"

enum { SMALL = 16 * KIB, TIMES = 8, TRIES = 2, SLACK_US = 50000 };

/* `unit` is repeated until the text has its size; %d in it is a running number, %s blanks that grow. */
struct hostile {
    const char *name, *before, *unit, *after;
};

static const struct hostile texts[] = {
    {"spaces before ]", "a: [{b: c}", " ", "]"},
    {"tabs before ]", "a: [{b: c}", "\t", "]"},
    {"lines before ]", "a: [{b: c}", "\n ", "]"},
    {"lines and blanks before ]", "a: [{b: c}", "\n  ", "]"},
    {"spaces before }", "a: {b: {}", " ", "}"},
    {"spaces behind", "groups: []", " ", ""},
    {"tabs behind", "groups: []", "\t", ""},
    {"lines behind", "groups: []", "\n", ""},
    {"carriage returns", "a: b", "\r", "c: d"},
    {"other ends of lines", "a: b", "\xc2\x85", ""},
    {"one long comment", "#", "#", "\na: b"},
    {"comments", "a: b\n", "# x\n", ""},
    {"comments behind blanks", "a: b\n", "    #\n", ""},
    {"comments in brackets", "a: [\n", " #\n", "]"},
    {"a long scalar", "a: ", "x", ""},
    {"a scalar of words", "a: ", "x ", ""},
    {"blanks inside a scalar", "a: x", " ", "y"},
    {"a scalar of many lines", "a: x", "\n y", ""},
    {"quotes", "a: \"", "x", "\""},
    {"blanks in quotes", "a: \"", " ", "\""},
    {"lines in quotes", "a: \"", "\n ", "\""},
    {"escapes", "a: \"", "\\n", "\""},
    {"lines that go on", "a: \"", "\\\n", "\""},
    {"quotes that never end", "a: \"", "x", ""},
    {"single quotes", "a: '", "''", "'"},
    {"lines in single quotes", "a: '", "x\n ", "'"},
    {"a block", "a: |\n", "  x\n", ""},
    {"a block of empty lines", "a: |\n", "\n", "  x\n"},
    {"a block of blanks", "a: |\n  ", " ", "\n"},
    {"a folded block", "a: >\n", "  x\n", ""},
    {"[ deep", "", "[", ""},
    {"{ deep", "", "{", ""},
    {"{a: deep", "", "{a: ", ""},
    {"- deep", "", "- ", ""},
    {"? deep", "", "? ", ""},
    {": deep", "", ": ", ""},
    {"stairs", "", "%sa:\n", ""},
    {"a list", "", "- x\n", ""},
    {"a list in brackets", "[", "x,", "]"},
    {"a list of lines in brackets", "[\n", " x,\n", " ]"},
    {"commas", "[", ",", "]"},
    {"maps in brackets", "[", "{a: b},", "]"},
    {"empty lists", "[", "[[],[]],", "]"},
    {"keys without values", "", "? a%d\n", ""},
    {"distinct keys", "", "k%d: v\n", ""},
    {"distinct keys in brackets", "{", "k%d: v,", "}"},
    {"keys in quotes", "{", "\"k%d\":\"v\",", "}"},
    {"keys of one beginning", "{", "an_unusually_long_beginning_of_a_key_%d: v,", "}"},
    {"keys merged", "a: &a {x: y}\nb:\n  <<: *a\n", "  k%d: v\n", ""},
    {"maps merged", "a: &a {x: y}\nb:\n  <<: [", "*a,", "]\n"},
    {"distinct maps merged", "b:\n  <<: [", "{k%d: v},", "]\n"},
    {"anchors", "[", "&a x,", "]"},
    {"distinct anchors", "", "- &k%d v\n", ""},
    {"aliases", "[&a x,", "*a,", "]"},
    {"aliases of a long text", "[&a xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx,", "*a,", "]"},
    {"aliases of nothing", "", "*", "a"},
    {"a chain of aliases", "a0: &a0 x\n", "a: &a%d [*a0]\n", ""},
    {"a long anchor", "&", "a", " x"},
    {"tags", "[", "!!str x,", "]"},
    {"a long tag", "!", "a", " x"},
    {"documents", "", "---\n", ""},
    {"ends of documents", "", "...\n", ""},
    {"directives", "", "%%TAG !a%d! x\n", "--- x"},
    {"directives behind other ends of lines", "#", "\xc2\x85%%TAG !a%d! x", "\n--- x"},
    {"a long key", "", "k", ": v"},
    {"a long key in quotes", "\"", "k", "\": v"},
    {"byte order marks", "", "\xef\xbb\xbf", ""},
    {"colons", "[", ":", "]"},
    {"dots", "", ".", ""},
    {"dashes", "", "-", ""},
};

static void make_text(const struct hostile *h, size_t size, struct buf *out) {
    buf_init(out, 2 * size + 4 * KIB);
    buf_add_text(out, h->before);
    for (unsigned i = 0; out->n < size && !out->full; i++)
        for (const char *p = h->unit; *p; p++) {
            if (*p != '%')
                buf_add_byte(out, *p);
            else if (*++p == 'd')
                buf_add_fmt(out, "%u", i);
            else if (*p == 's')
                buf_add_fmt(out, "%*s", (int)i, "");
            else
                buf_add_byte(out, *p);
        }
    buf_add_text(out, h->after);
}

typedef err read_function(struct str text, const char *file, struct arena *a, struct yaml **out);

/* The least of several tries, in µs of CPU. */
static long measure(const struct hostile *h, read_function *read, size_t size) {
    AUTO_BUF struct buf text;
    long least = 0;
    make_text(h, size, &text);
    for (int i = 0; i < TRIES; i++) {
        struct arena a;
        struct yaml *y;
        arena_init(&a, 512 * MIB);
        clock_t start = clock();
        err_free(read(buf_str(&text), "f.yml", &a, &y));
        long took = (long)((clock() - start) * 1000000 / CLOCKS_PER_SEC);
        arena_done(&a);
        least = i ? MIN(least, took) : took;
    }
    return least;
}

static void grows_with_its_bytes(const struct hostile *h, read_function *read) {
    long before = measure(h, read, SMALL);
    for (size_t size = SMALL * TIMES; size <= SMALL * TIMES * TIMES; size *= TIMES) {
        long now = measure(h, read, size);
        if (now > 2 * TIMES * before + SLACK_US)
            fail_msg("%s: %ld us for %zu bytes, %ld us for an eighth of it", h->name, now, size, before);
        before = now;
    }
}

static void yaml_is_read_in_time(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(texts); i++) grows_with_its_bytes(&texts[i], yaml_read);
}

static void json_is_read_in_time(void **state) {
    static const struct hostile jsons[] = {
        {"spaces before ]", "[{}", " ", "]"},
        {"lines before ]", "[{}", "\n", "]"},
        {"spaces behind", "[]", " ", ""},
        {"a long text", "\"", "x", "\""},
        {"escapes", "\"", "\\n", "\""},
        {"never ends", "\"", "x", ""},
        {"[ deep", "", "[", ""},
        {"{ deep", "", "{\"a\":", ""},
        {"a list", "[0", ",0", "]"},
        {"distinct keys", "{\"a\":0", ",\"k%d\":0", "}"},
        {"one key", "{\"a\":0", ",\"a\":0", "}"},
        {"lines between", "[0", "\n,0", "]"},
        {"empty texts", "[\"\"", ",\"\"", "]"},
        {"a long number", "", "1", ""},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(jsons); i++) grows_with_its_bytes(&jsons[i], yaml_read_json);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_is_read_in_time),
        cmocka_unit_test(json_is_read_in_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
