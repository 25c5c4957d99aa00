/* Templates: a table of text and what it becomes; mistakes; what would loop or explode. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <math.h>

#include "alert/template.h"

static const struct label own[] = {{STR("instance"), STR("web-1.shop.example:9100")}, {STR("job"), STR("node")}};
static const struct label outer[] = {{STR("region"), STR("eu")}};

static err answer(void *context, struct str text, struct arena *a, struct template_sample **out, size_t *out_n) {
    static const struct label first[] = {{STR("__value__"), STR("raw")}, {STR("host"), STR("b")}};
    static const struct label second[] = {{STR("host"), STR("a")}};
    (void)context;
    *out = arena_array(a, struct template_sample, 2);
    (*out)[0] = (struct template_sample){{first, 2}, 11};
    (*out)[1] = (struct template_sample){{second, 1}, 21.5};
    *out_n = str_equal(text, STR("none")) ? 0 : 2;
    return str_equal(text, STR("(")) ? err_new(ERR_INVALID, "parse error") : NULL;
}

static double number = 0.25;

/* *out: the text, or the error. */
static bool expand(const char *text, struct buf *out) {
    struct arena a;
    struct template *t;
    struct template_data data = {.labels = {own, 2},
                                 .external_labels = {outer, 1},
                                 .external_url = STR("http://clew.example:8080/watch"),
                                 .value = number,
                                 .query = answer};
    arena_init(&a, 64 * MIB);
    err e = template_parse(&a, STR("t"), str_of(text), &t);
    if (!e) e = template_run(t, &data, &a, out);
    if (e) buf_clear(out), buf_add_text(out, err_text(e));
    buf_add_text(out, "");
    bool good = e == NULL;
    err_free(e);
    arena_done(&a);
    return good;
}

struct row {
    const char *text, *becomes;
};

static void check(const struct row *rows, size_t n, bool good) {
    for (size_t i = 0; i < n; i++) {
        AUTO_BUF struct buf out;
        buf_init(&out, MIB);
        bool went = expand(rows[i].text, &out);
        const char *found = out.p ? out.p : "";
        bool same = good ? strcmp(found, rows[i].becomes) == 0 : strstr(found, rows[i].becomes) != NULL;
        if (went != good || !same) fail_msg("%s\n  is   %s\n  not  %s", rows[i].text, found, rows[i].becomes);
    }
}

static void texts(void **state) {
    static const struct row rows[] = {
        {"", ""},
        {"plain } text", "plain } text"},
        {"{{ $labels.job }} at {{ $value }}", "node at 0.25"},
        {"{{ .Labels.job }}{{ .Value }}{{ .ExternalLabels.region }}{{ .ExternalURL }}",
         "node0.25euhttp://clew.example:8080/watch"},
        {"{{ $externalLabels.region }} {{ $externalURL }} {{ externalURL }} {{ pathPrefix }}",
         "eu http://clew.example:8080/watch http://clew.example:8080/watch /watch"},
        {"[{{ $labels.absent }}]", "[]"},
        {"{{ $ }}",
         "{map[instance:web-1.shop.example:9100 job:node] map[region:eu] http://clew.example:8080/watch 0.25}"},
        {"{{ query \"x\" | first }}", "{map[__value__:raw host:b] 11}"},
        {"a {{- 1 -}} b", "a1b"},
        {"a {{ 1 -}} \n b", "a 1b"},
        {"x{{/* nothing */}}y {{- /* trimmed */ -}} z", "xyz"},
        {"{{ \"a\\tb\\\"\\u00e9\\x41\" }}{{ `raw\\n` }}", "a\tb\"\u00e9Araw\\n"},
        {"{{ 1 }} {{ -2 }} {{ 1.5 }} {{ 1e3 }} {{ 0x10 }} {{ 1e6 }} {{ 'a' }} {{ true }}",
         "1 -2 1.5 1000 16 1e+06 97 true"},
        {"{{ $x := 1 }}{{ $x }}{{ $x = 2 }}{{ $x }}", "12"},
        {"{{ if true }}{{ $x := 5 }}{{ $x }}{{ end }}", "5"},
        {"{{ if $labels.job }}yes{{ else }}no{{ end }}", "yes"},
        {"{{ if $labels.none }}yes{{ else }}no{{ end }}", "no"},
        {"{{ if eq $labels.job \"a\" }}a{{ else if eq $labels.job \"node\" }}n{{ else }}o{{ end }}", "n"},
        {"{{ if false }}a{{ else if false }}b{{ else if false }}c{{ else }}d{{ end }}!", "d!"},
        {"{{ with $labels.job }}<{{ . }}>{{ end }}", "<node>"},
        {"{{ with $labels.none }}a{{ else with $labels.job }}{{ . }}{{ else }}c{{ end }}", "node"},
        {"{{ with $labels.none }}{{ . }}{{ else }}{{ .Value }}{{ end }}", "0.25"},
        {"{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "instance=web-1.shop.example:9100;job=node;"},
        {"{{ range query \"x\" }}{{ .Labels.host }}:{{ .Value }} {{ end }}", "b:11 a:21.5 "},
        {"{{ range $i, $s := query \"x\" }}{{ $i }}{{ $s.Labels.host }}{{ end }}", "0b1a"},
        {"{{ range query \"none\" }}x{{ else }}nothing{{ end }}", "nothing"},
        {"{{ range query \"x\" }}{{ break }}{{ end }}.{{ range query \"x\" }}{{ if eq .Value 11.0 }}{{ continue }}{{ "
         "end }}{{ .Value }}{{ end }}",
         ".21.5"},
        {"{{ range 3 }}{{ . }}{{ end }}", "012"},
        {"{{ query \"x\" | first | value }} {{ query \"x\" | first | label \"host\" }} {{ query \"x\" | first | "
         "strvalue }}",
         "11 b raw"},
        {"{{ range query \"x\" | sortByLabel \"host\" }}{{ .Labels.host }}{{ end }}", "ab"},
        {"{{ len (query \"x\") }} {{ len \"abc\" }} {{ len $labels }} {{ (index (query \"x\") 1).Value }} {{ index "
         "$labels \"job\" }}",
         "2 3 2 21.5 node"},
        {"{{ define \"b\" }}<{{ .arg0 }}|{{ .arg1 }}>{{ end }}{{ template \"b\" (args 1 \"z\") }}", "<1|z>"},
        {"{{ and 1 0 2 }} {{ or 0 \"\" 3 }} {{ not true }} {{ or 1 (first (query \"none\")) }}", "0 3 false 1"},
        {"{{ eq 1 2 3 1 }} {{ ne \"a\" \"b\" }} {{ lt 1 2 }} {{ le 2.5 2.5 }} {{ gt \"b\" \"a\" }} {{ ge 1 2 }}",
         "true true true true true false"},
        {"{{ print 1 2 \"a\" 3 }}{{ println \"x\" 1 }}", "1 2a3x 1\n"},
    };
    (void)state;
    check(rows, LENGTH(rows), true);
}

static void numbers_for_people(void **state) {
    static const struct row rows[] = {
        {"{{ humanize 0.0 }} {{ humanize 1234567.0 }} {{ humanize 0.12 }} {{ humanize -999 }} {{ humanize 1e30 }}",
         "0 1.235M 120m -999 1e+06Y"},
        {"{{ humanize \"12345\" }} {{ humanize \"NaN\" }} {{ humanize \"+Inf\" }}", "12.35k NaN +Inf"},
        {"{{ humanize1024 0 }} {{ humanize1024 1048576.0 }} {{ humanize1024 0.5 }} {{ humanize1024 1500 }}",
         "0 1Mi 0.5 1.465ki"},
        {"{{ humanizeDuration 0 }} {{ humanizeDuration 1 }} {{ humanizeDuration 60 }} {{ humanizeDuration 3600 }} {{ "
         "humanizeDuration 86400 }}",
         "0s 1s 1m 0s 1h 0m 0s 1d 0h 0m 0s"},
        {"{{ humanizeDuration 90061 }} {{ humanizeDuration -61 }} {{ humanizeDuration 899.99 }} {{ humanizeDuration "
         "1.2345678 }}",
         "1d 1h 1m 1s -1m 1s 14m 59s 1.235s"},
        {"{{ humanizeDuration 0.1 }} {{ humanizeDuration .0001 }} {{ humanizeDuration 0.12345e-6 }}",
         "100ms 100us 123.5ns"},
        {"{{ humanizePercentage 0.1234567 }} {{ humanizePercentage -1.234567 }} {{ humanizePercentage \"1\" }}",
         "12.35% -123.5% 100%"},
        {"{{ humanizeTimestamp 1435065584.128 }} {{ 0 | humanizeTimestamp }}",
         "2015-06-23 13:19:44.128 +0000 UTC 1970-01-01 00:00:00 +0000 UTC"},
        {"{{ (1435065584.5 | toTime) }}", "2015-06-23 13:19:44.5 +0000 UTC"},
        {"{{ parseDuration \"1h30m\" }} {{ parseDuration \"250ms\" }}", "5400 0.25"},
        {"{{ printf \"%d|%5d|%-5d|%05d|%x\" 42 42 42 42 255 }}", "42|   42|42   |00042|ff"},
        {"{{ printf \"%.2f|%8.3f|%e|%g|%v\" $value 1.5 1500000.0 1500000.0 1.5 }}",
         "0.25|   1.500|1.500000e+06|1.5e+06|1.5"},
        {"{{ printf \"%s|%10s|%-4s|%.2s|%q|%t|%%\" \"abc\" \"abc\" \"a\" \"abc\" \"a\\\"b\" true }}",
         "abc|       abc|a   |ab|\"a\\\"b\"|true|%"},
        {"{{ printf \"%d\" 1.5 }} {{ printf \"%s %s\" \"a\" }} {{ printf \"a\" 1 }}",
         "%!d(float64=1.5) a %!s(MISSING) a%!(EXTRA int=1)"},
    };
    (void)state;
    check(rows, LENGTH(rows), true);
}

static void texts_for_people(void **state) {
    static const struct row rows[] = {
        {"{{ \"hello big world\" | title }} {{ toUpper \"aB\" }} {{ toLower \"aB\" }} {{ safeHtml \"<b>\" }}",
         "Hello Big World AB ab <b>"},
        {"{{ match \"a.b\" \"xaabx\" }} {{ match \"^b\" \"ab\" }}", "true false"},
        {"{{ reReplaceAll \"(a)(b)?\" \"<$1${2}>\" \"abcab\" }} {{ reReplaceAll \"^a\" \"x\" \"aaa\" }} {{ "
         "reReplaceAll \"\" \"-\" \"ab\" }}",
         "<ab>c<ab> xaa -a-b-"},
        {"{{ reReplaceAll \"(?P<host>[^:]+):.*\" \"$host\" $labels.instance }} {{ reReplaceAll \"a\" \"$$1\" \"a\" }}",
         "web-1.shop.example $1"},
        {"{{ graphLink \"up{a=\\\"b\\\"} > 1\" }}", "/graph?g0.expr=up%7Ba%3D%22b%22%7D+%3E+1&g0.tab=0"},
        {"{{ tableLink \"up\" }}", "/graph?g0.expr=up&g0.tab=1"},
        {"{{ stripPort $labels.instance }} {{ stripPort \"[::1]:80\" }} {{ stripPort \"host\" }}",
         "web-1.shop.example ::1 host"},
        {"{{ stripDomain $labels.instance }} {{ stripDomain \"10.0.0.1:80\" }} {{ stripDomain \"a.b\" }}",
         "web-1:9100 10.0.0.1:80 a"},
        {"{{ urlquery \"a b&c\" }}", "a+b%26c"},
    };
    (void)state;
    check(rows, LENGTH(rows), true);
}

static void mistakes(void **state) {
    static const struct row rows[] = {
        {"{{ $x }}", "template: t:1: undefined variable \"$x\""},
        {"a\n{{ nope 1 }}", "template: t:2: function \"nope\" not defined"},
        {"{{ 1", "unclosed action"},
        {"{{ if true }}x", "unexpected EOF"},
        {"{{ end }}", "unexpected {{end}}"},
        {"{{ else }}", "unexpected {{else}}"},
        {"{{ }}", "missing value for command"},
        {"{{ if }}x{{ end }}", "missing value for if"},
        {"{{ 1 | }}", "missing value for command"},
        {"{{ \"a }}", "unterminated quoted string"},
        {"{{/* a }}", "unclosed comment"},
        {"{{ break }}", "{{break}} outside {{range}}"},
        {"{{ (1 }}", "unexpected"},
        {"{{ 1 ? 2 }}", "unrecognized character in action"},
        {"{{ .Foo }}", "template: t:1:115: executing \"t\" at <.Foo>: can't evaluate field Foo in type"},
        {"{{ $value.x }}", "can't evaluate field x in type float64"},
        {"{{ humanize \"x\" }}", "executing \"t\" at <humanize \"x\">: error calling humanize: strconv.ParseFloat: "
                                 "parsing \"x\": invalid syntax"},
        {"{{ first (query \"none\") }}", "error calling first: first() called on vector with no elements"},
        {"{{ query \"(\" }}", "error calling query: parse error"},
        {"{{ query 5 }}", "wrong type for value; expected string; got int"},
        {"{{ humanize }}", "wrong number of args for humanize: want 1 got 0"},
        {"{{ nil }}", "nil is not a command"},
        {"{{ eq 1 1.5 }}",
         "t:1:115: executing \"t\" at <eq 1 1.5>: error calling eq: incompatible types for comparison"},
        {"{{ index (query \"x\") 5 }}", "index out of range: 5"},
        {"{{ range $value }}x{{ end }}", "range can't iterate over 0.25"},
        {"{{ template \"none\" }}", "template \"none\" not defined"},
        {"{{ match \"(\" \"a\" }}", "error calling match"},
        {"{{ parseDuration \"x\" }}", "not a valid duration string"},
        {"{{ humanizeTimestamp 1e20 }}",
         "1e+20 cannot be represented as a nanoseconds timestamp since it overflows int64"},
    };
    (void)state;
    check(rows, LENGTH(rows), false);
}

static void bounds(void **state) {
    static const struct row rows[] = {
        {"{{ define \"a\" }}{{ template \"a\" }}{{ end }}{{ template \"a\" }}", "depth"},
        {"{{ range 100000000 }}{{ end }}", "over 100000 steps"},
        {"{{ range 1000 }}{{ range 1000 }}x{{ end }}{{ end }}", "over"},
        {"{{ define \"a\" }}{{ template \"b\" }}{{ template \"b\" }}{{ end }}{{ define \"b\" }}{{ range 50000 "
         "}}0123456789{{ end }}{{ end }}{{ template \"a\" }}",
         "over 65536 bytes of text"},
        {"{{ range 20 }}{{ query \"x\" | len }}{{ end }}", "over 16 queries"},
        {"{{ $x := \"0123456789012345678901234567890123456789\" }}{{ range 64 }}{{ $x = print $x $x }}{{ end }}",
         "over 65536 bytes of text"},
    };
    AUTO_BUF struct buf deep, out;
    (void)state;
    check(rows, LENGTH(rows), false);
    buf_init(&deep, MIB);
    buf_init(&out, MIB);
    for (int i = 0; i < 5000; i++) buf_add_text(&deep, "{{if 1}}");
    assert_false(expand(deep.p, &out));
    assert_non_null(strstr(out.p, "nested more than 64 deep"));
    buf_clear(&deep);
    buf_clear(&out);
    buf_add_text(&deep, "{{");
    for (int i = 0; i < 5000; i++) buf_add_text(&deep, "(");
    assert_false(expand(deep.p, &out));
    buf_clear(&deep);
    buf_clear(&out);
    for (int i = 0; i < 70000; i++) buf_add_text(&deep, "x");
    assert_false(expand(deep.p, &out));
}

static void errors_become_text(void **state) {
    struct arena a;
    struct template *t;
    struct template_data data = {0};
    AUTO_BUF struct buf out;
    (void)state;
    arena_init(&a, MIB);
    buf_init(&out, MIB);
    assert_null(template_parse(&a, STR("__alert_A"), STR("so {{ $labels.a.b }}"), &t));
    buf_add_text(&out, "before ");
    assert_false(template_expand(t, &data, &a, &out));
    assert_string_equal(
        out.p, "before <error expanding template: error executing template __alert_A: template: __alert_A:1:125: "
               "executing \"__alert_A\" at <$labels.a.b>: can't evaluate field b in type string>");
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),
        cmocka_unit_test(numbers_for_people),
        cmocka_unit_test(texts_for_people),
        cmocka_unit_test(mistakes),
        cmocka_unit_test(bounds),
        cmocka_unit_test(errors_become_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
