/* Relabelling: one line a case, as Prometheus' own tests have them; properties over random rules. */
#include "ingest/scrape/relabel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/text.h"
#include "base/yaml.h"
#include "os/clock.h"

static err read_rules(const char *yaml, struct arena *a, struct relabel *out) {
    struct yaml *root;
    err e = yaml_read(str_of(yaml), "rules.yml", a, &root);
    if (e) fail_msg("%s: %s", yaml, err_text(e));
    return relabel_read(root, out);
}

/* "a=foo,b=bar" */
static void put_labels(const char *text, struct relabel_set *s) {
    struct str rest = str_of(text), pair, name, value;
    while (rest.n) {
        str_cut(rest, ',', &pair, &rest);
        str_cut(pair, '=', &name, &value);
        label_put(s, name, value);
        if (pair.p + pair.n == rest.p + rest.n) break;
    }
}

static void check(const char *labels, const char *rules, const char *want) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf got;
    struct relabel r;
    struct relabel_set s;
    arena_init(&a, 16 * MIB);
    buf_init(&got, MIB);
    err e = read_rules(rules, &a, &r);
    if (e) fail_msg("%s: %s", rules, err_text(e));
    relabel_set_init(&s, &a);
    put_labels(labels, &s);
    bool kept = relabel_apply(&r, &s);
    for (size_t i = 0; i < s.list.n; i++)
        buf_add_fmt(&got, "%s" STR_FMT "=" STR_FMT, i ? "," : "", STR_ARG(s.list.v[i].name),
                    STR_ARG(s.list.v[i].value));
    if (!kept) buf_clear(&got), buf_add_text(&got, "dropped");
    if (strcmp(got.p ? got.p : "", want) != 0) fail_msg("%s %s: %s, not %s", labels, rules, got.p ? got.p : "", want);
    relabel_set_done(&s);
    relabel_done(&r);
}

static void replaces(void **state) {
    (void)state;
    check("a=foo,b=bar,c=baz", "[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch${1}'}]",
          "a=foo,b=bar,c=baz,d=choo-choo");
    check("a=foo,b=bar,c=baz",
          "[{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'},"
          "{source_labels: [c, a], regex: '(b).*b(.*)ba(.*)', target_label: d, replacement: '$1$2$2$3'}]",
          "a=boobam,b=bar,c=baz,d=boooom");
    check("a=foo", "[{source_labels: [a], regex: '.*o.*', action: drop},{source_labels: [a], target_label: d}]",
          "dropped");
    check("a=foo,b=bar", "[{source_labels: [a], regex: 'f|o', target_label: d}]", "a=foo,b=bar"); /* anchored */
    check("a=foo", "[{source_labels: [a], target_label: b, regex: 'x', replacement: 'y'}]", "a=foo");
    check("a=foo", "[{source_labels: [z], target_label: b, replacement: 'y'}]",
          "a=foo,b=y"); /* a label that is not there is "" */
    check("a=foo,b=bar", "[{target_label: b, replacement: ''}]", "a=foo");
    check("a=foo,b=bar", "[{source_labels: [z], target_label: b}]", "a=foo"); /* what comes to nothing goes */
    check("a=boo",
          "[{source_labels: [a], regex: '(?P<first>.)(?P<rest>.*)', target_label: '${rest}', replacement: '$first'}]",
          "a=boo,oo=b");
    check("a=foo", "[{source_labels: [a], regex: '(.)(.)(.)', target_label: d, replacement: '$3$2$1$4$$1$x$'}]",
          "a=foo,d=oof$1$");
    check("a=foo", "[{source_labels: [a], regex: '(.)(.)(.)', target_label: d, replacement: '$1x${1}x${01}${-'}]",
          "a=foo,d=fx${-");
    check("a=foo", "[{source_labels: [a], regex: 'f(x)?oo', target_label: d, replacement: 'is $1.'}]", "a=foo,d=is .");
    check("a=x;y", "[{source_labels: [a, b], separator: '', target_label: d, regex: '(.*);(.*)', replacement: '$2'}]",
          "a=x;y,d=y");
    check("a=one", "[{source_labels: [a], target_label: a, replacement: 'two'},{source_labels: [a], target_label: b}]",
          "a=two,b=two");
}

static void keeps_and_drops(void **state) {
    (void)state;
    check("a=foo", "[{source_labels: [a], regex: no-match, action: drop}]", "a=foo");
    check("a=foo", "[{source_labels: [a], regex: 'f|o', action: drop}]", "a=foo");
    check("a=foo", "[{source_labels: [a], regex: no-match, action: keep}]", "dropped");
    check("a=foo", "[{source_labels: [a], regex: 'f.*', action: keep}]", "a=foo");
    check("a=foo", "[{source_labels: [a], regex: '', action: drop}]", "a=foo");
    check("a=foo", "[{source_labels: [b], regex: '', action: drop}]", "dropped");
    check("p=80,c=80", "[{source_labels: [p], target_label: c, action: keepequal}]", "c=80,p=80");
    check("p=80,c=81", "[{source_labels: [p], target_label: c, action: keepequal}]", "dropped");
    check("p=80,c=80", "[{source_labels: [p], target_label: c, action: dropequal}]", "dropped");
    check("p=80,c=81", "[{source_labels: [p], target_label: c, action: dropequal}]", "c=81,p=80");
    check("", "[{source_labels: [p], target_label: c, action: keepequal}]", "");
}

static void names_and_cases(void **state) {
    (void)state;
    check("a=foo,b1=bar,b2=baz", "[{regex: '(b.*)', replacement: 'bar_${1}', action: labelmap}]",
          "a=foo,b1=bar,b2=baz,bar_b1=bar,bar_b2=baz");
    check("__meta_my_a=1,__meta_my_b=2", "[{regex: '__meta_(my.*)', action: labelmap}]",
          "__meta_my_a=1,__meta_my_b=2,my_a=1,my_b=2");
    check("a=1,a1=2,b=3", "[{regex: 'a.?', action: labeldrop}]", "b=3");
    check("a=1,a1=2,b=3", "[{regex: 'a.?', action: labelkeep}]", "a=1,a1=2");
    check("a=FoO Ä",
          "[{source_labels: [a], target_label: l, action: lowercase},{source_labels: [a], target_label: u, action: "
          "uppercase}]",
          "a=FoO Ä,l=foo ä,u=FOO Ä");
    check("a=ß", "[{source_labels: [a], target_label: u, action: uppercase}]", "a=ß,u=ß");
}

/* The figures are Prometheus' own (relabel_test.go). */
static void hashes(void **state) {
    (void)state;
    check("a=foo,b=bar,c=baz", "[{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}]",
          "a=foo,b=bar,c=baz,d=976");
    check("a=foo\nbar", "[{source_labels: [a], target_label: b, action: hashmod, modulus: 1000}]", "a=foo\nbar,b=734");
}

static void refuse(const char *rules, const char *want) {
    AUTO_ARENA struct arena a;
    struct relabel r;
    arena_init(&a, 16 * MIB);
    err e = read_rules(rules, &a, &r);
    if (!e) fail_msg("%s: taken", rules);
    if (!strstr(err_text(e), want)) fail_msg("%s: %s, not %s", rules, err_text(e), want);
    err_free(e);
    relabel_done(&r);
}

static void wrong_rules_are_named(void **state) {
    (void)state;
    refuse("[{action: replaces}]", "rules.yml:1: unknown relabel action \"replaces\"");
    refuse("[{source_labels: [a]}]", "requires 'target_label'");
    refuse("[{action: hashmod, target_label: a}]", "non-zero modulus");
    refuse("[{action: hashmod, modulus: 3}]", "requires 'target_label'");
    refuse("[{action: lowercase, source_labels: [a]}]", "requires 'target_label'");
    refuse("[{action: lowercase, source_labels: [a], target_label: b, replacement: x}]",
           "'replacement' can not be set");
    refuse("[{action: keepequal, source_labels: [a], target_label: b, regex: x}]", "no other fields");
    refuse("[{action: dropequal, source_labels: [a], target_label: b, separator: x}]", "no other fields");
    refuse("[{action: labeldrop, source_labels: [a], regex: x}]", "requires only 'regex'");
    refuse("[{action: labelkeep, target_label: a, regex: x}]", "requires only 'regex'");
    refuse("[{target_label: a, regex: '('}]", "rules.yml:1: regular expression");
    refuse("[{target_label: a, regex: '(?=x)'}]", "look-around");
    refuse("\n- target_label: a\n  colour: red", "rules.yml:3: unknown key \"colour\"");
    refuse("{a: b}", "expected a list");
    refuse("[x]", "a map");
}

/* Whatever the rules: names stay sorted and distinct, no value is empty, and the same labels come to the same. */
static void sets_stay_sets(void **state) {
    static const char *const rules[] = {
        "[{action: labelmap, regex: '(.)(.*)', replacement: '$2$1'}]",
        "[{action: labelmap, regex: '.*', replacement: same}]",
        "[{action: labeldrop, regex: '[a-f].*'},{source_labels: [g, h], target_label: '$1'}]",
        "[{source_labels: [a, b, c], target_label: z, replacement: '$1$1'},{action: labelkeep, regex: '[a-z]'}]"};
    (void)state;
    for (int i = 0; i < 2000; i++) {
        AUTO_ARENA struct arena a;
        struct relabel r;
        struct relabel_set s;
        arena_init(&a, 16 * MIB);
        assert_null(read_rules(rules[i % (int)LENGTH(rules)], &a, &r));
        relabel_set_init(&s, &a);
        for (uint64_t k = 0, n = random_u64() % 20; k < n; k++) {
            char *text = arena_alloc(&a, 4);
            uint64_t x = random_u64();
            for (int c = 0; c < 4; c++) text[c] = (char)('a' + (x >> 8 * c) % 8);
            label_put(&s, (struct str){text, 1 + x % 3}, (struct str){text + 1, x >> 60 & 3});
        }
        relabel_apply(&r, &s);
        for (size_t k = 0; k < s.list.n; k++) {
            assert_true(s.list.v[k].value.n > 0);
            if (k) assert_true(str_compare(s.list.v[k - 1].name, s.list.v[k].name) < 0);
        }
        relabel_set_done(&s);
        relabel_done(&r);
    }
}

static void growth_is_bounded(void **state) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf rules;
    struct relabel r;
    struct relabel_set s;
    (void)state;
    arena_init(&a, 64 * MIB);
    buf_init(&rules, MIB);
    buf_add_text(&rules, "[");
    for (int i = 0; i < 64; i++) buf_add_text(&rules, "{source_labels: [a, a], separator: '', target_label: a},");
    buf_add_text(&rules, "]");
    assert_null(read_rules(rules.p, &a, &r));
    relabel_set_init(&s, &a);
    label_put(&s, STR("a"), STR("x"));
    assert_true(relabel_apply(&r, &s)); /* 2^64 bytes, were it to go on */
    assert_true(s.full);
    assert_true(label_get(&s, STR("a")).n <= RELABEL_VALUE_BYTES_MAX);
    relabel_set_done(&s);
    relabel_done(&r);
}

/* l: 5,000 times a and a b. */
static bool with_long_label(const char *rules, struct str *out_z, err *out_e) {
    AUTO_ARENA struct arena a;
    struct relabel r;
    struct relabel_set s;
    arena_init(&a, 16 * MIB);
    char *text = arena_alloc(&a, 5001);
    assert_null(read_rules(rules, &a, &r));
    relabel_set_init(&s, &a);
    memset(text, 'a', 5000);
    text[5000] = 'b';
    label_put(&s, STR("l"), str_span(text, 5001));
    bool kept = relabel_apply(&r, &s);
    *out_z = label_get(&s, STR("z")).n ? STR("hit") : STR("");
    *out_e = relabel_err(&s);
    relabel_set_done(&s);
    relabel_done(&r);
    return kept;
}

static void long_values_are_matched_or_told(void **state) {
    struct str z;
    err e;
    (void)state;
    assert_true(with_long_label("[{source_labels: [l], regex: '(a|aa)+b', action: keep}]", &z, &e));
    assert_null(e);
    assert_false(with_long_label("[{source_labels: [l], regex: '(a|aa)+b', action: drop}]", &z, &e));
    assert_null(e);
    assert_true(
        with_long_label("[{source_labels: [l], regex: '(a|aa)+b', target_label: z, replacement: hit}]", &z, &e));
    assert_null(e);
    assert_true(str_equal(z, STR("hit")));
    static const char *const over[] = {"action: keep", "action: drop", "target_label: z, replacement: hit"};
    for (size_t i = 0; i < LENGTH(over); i++) {
        char rules[256];
        snprintf(rules, sizeof rules, "[{source_labels: [l], regex: '(a{0,90}){0,90}[cd]', %s},{action: drop}]", over[i]);
        assert_true(with_long_label(rules, &z, &e)); /* neither kept nor dropped: nobody knows */
        assert_int_equal(err_kind(e), ERR_LIMIT);
        assert_non_null(strstr(err_text(e), "takes too long"));
        err_free(e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(replaces),
                                       cmocka_unit_test(keeps_and_drops),
                                       cmocka_unit_test(names_and_cases),
                                       cmocka_unit_test(hashes),
                                       cmocka_unit_test(wrong_rules_are_named),
                                       cmocka_unit_test(sets_stay_sets),
                                       cmocka_unit_test(growth_is_bounded),
                                       cmocka_unit_test(long_values_are_matched_or_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
