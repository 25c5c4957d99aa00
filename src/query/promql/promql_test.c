#include "query/promql/promql.h"

#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "query/promql/eval_priv.h"
#include "query/promql/memory_test_priv.h"
#include "query/promql/number.h"

static const struct promql_syntax all = {true, true};

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void expressions_print_as_prometheus_prints_them(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"sum(a)by(job)", "sum by (job) (a)"},
        {"SUM by (job) (a)", "sum by (job) (a)"},
        {"topk(5,a)", "topk(5, a)"},
        {"sum without() (a)", "sum without () (a)"},
        {"a+on(x)group_left(y)b", "a + on (x) group_left (y) b"},
        {"a and ignoring() b", "a and b"},
        {"a ==bool b", "a == bool b"},
        {"-a^2", "-a ^ 2"},
        {"- 1", "-1"},
        {"2^-1", "2 ^ -1"},
        {"inf", "+Inf"},
        {"Inf ^ 2", "Inf ^ 2"},
        {"0x1F", "31"},
        {"1_000", "1000"},
        {".5", "0.5"},
        {"1e3", "1000"},
        {"1e-10", "1e-10"},
        {"5m", "5m"},
        {"90m", "1h30m"},
        {"a[300]", "a[5m]"},
        {"a[5m:]", "a[5m:]"},
        {"a[5m:30s] offset -1w @ 3", "a[5m:30s] @ 3.000 offset -1w"},
        {"a @ start() offset 5m", "a @ start() offset 5m"},
        {"a[26m+4m]", "a[30m]"},
        {"{\"foo.bar\",a!~\"x\"}", "{__name__=\"foo.bar\",a!~\"x\"}"},
        {"foo{a='b', \"c.d\"=`e\"`}", "foo{a=\"b\",\"c.d\"=\"e\\\"\"}"},
        {"foo{}", "foo"},
        {"label_replace(a,'b','$1','c','(.*)')", "label_replace(a, \"b\", \"$1\", \"c\", \"(.*)\")"},
        {"sum # a comment\n(a)", "sum(a)"},
        {"sum + avg", "sum + avg"},
        {"(a)", "(a)"},
        {"\"x\\n\"", "\"x\\n\""},
        {"rate(a[5m])or b unless c", "rate(a[5m]) or b unless c"},
        {"sum by (\"a.b\", c) (x)", "sum by (\"a.b\", c) (x)"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct arena a;
        AUTO_BUF struct buf b;
        const struct promql_node *e, *again;
        buf_init(&b, 4096);
        arena_init(&a, MIB);
        err failed = promql_parse(&a, str_of(cases[i][0]), all, &e, NULL);
        if (failed) fail_msg("%s: %s", cases[i][0], err_text(failed));
        promql_print(e, &b);
        assert_string_equal(b.p, cases[i][1]);
        assert_null(promql_parse(&a, buf_str(&b), all, &again, NULL));
        assert_true(promql_equal(e, again));
        arena_done(&a);
    }
}

static const char *const mistakes[][2] = {
    {"", "1:1: parse error: no expression found in input"},
    {"1 +", "1:4: parse error: unexpected end of input"},
    {"sum(", "1:5: parse error: unclosed left parenthesis"},
    {"1)", "1:3: parse error: unexpected right parenthesis ')'"},
    {"sum(a))", "1:8: parse error: unexpected right parenthesis ')'"},
    {"a b", "1:3: parse error: unexpected identifier \"b\""},
    {"{}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {"{a=~\".*\"}", "1:1: parse error: vector selector must contain at least one non-empty matcher"},
    {"a{b=~\"(\"}",
     "1:3: parse error: error parsing regexp: label b: regular expression: missing closing parenthesis at byte 1"},
    {"a{b=~\"x)(y\"}", "1:3: parse error: error parsing regexp: label b: regular expression: unmatched closing "
                       "parenthesis at byte 1"},
    {"a{b=~\"(?=x)\"}",
     "1:3: parse error: error parsing regexp: label b: regular expression: the group at byte 0 is not "
     "supported (no look-around)"},
    {"a{b", "1:4: parse error: unexpected end of input inside braces"},
    {"a{b=1}", "1:5: parse error: unexpected number \"1\" in label matching, expected string"},
    {"a{1=\"x\"}", "1:3: parse error: unexpected number \"1\" in label matching, expected identifier or \"}\""},
    {"a{b=\"x\" c}", "1:9: parse error: unexpected identifier \"c\" in label matching, expected \",\" or \"}\""},
    {"a{__name__=~\"req.*\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"req.*\""},
    {"a{__name__!=\"\",__name__!~\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"\""},
    {"sum(a{c=\"d\", b=~\"x{1001}\"})",
     "1:14: parse error: error parsing regexp: label b: regular expression: a repeat of over 1000 at byte 1"},
    {"a{__name__=\"b\"}", "1:1: parse error: metric name must not be set twice: \"a\" or \"b\""},
    {"rate(a)", "1:6: parse error: expected type range vector in call to function \"rate\", got instant vector"},
    {"rate(a[5m], 1)", "1:1: parse error: expected 1 argument(s) in call to \"rate\", got 2"},
    {"round()", "1:1: parse error: expected at least 1 argument(s) in call to \"round\", got 0"},
    {"round(a, 1, 2)", "1:1: parse error: expected at most 2 argument(s) in call to \"round\", got 3"},
    {"foo(a)", "1:1: parse error: unknown function with name \"foo\""},
    {"1 > 2", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
    {"a @ NaN", "1:5: parse error: timestamp out of bounds for @ modifier: NaN"},
    {"a @ -Inf", "1:6: parse error: timestamp out of bounds for @ modifier: -Inf"},
    {"1 == 1", "1:3: parse error: comparisons between scalars must use BOOL modifier"},
    {"(1)\n  <= (2)", "2:3: parse error: comparisons between scalars must use BOOL modifier"},
    {"a + bool b", "1:3: parse error: bool modifier can only be used on comparison operators"},
    {"a and 1", "1:1: parse error: set operator \"and\" not allowed in binary scalar expression"},
    {"a + on(x) 1", "1:1: parse error: vector matching only allowed between instant vectors"},
    {"a and on(x) group_left b", "1:1: parse error: no grouping allowed for \"and\" operation"},
    {"a + on(x) group_left(x) b", "1:3: parse error: label \"x\" must not occur in ON and GROUP clause at once"},
    {"\"a\" + 1", "1:1: parse error: binary expression must contain only scalar and instant vector types"},
    {"-\"a\"", "1:1: parse error: unary expression only allowed on expressions of type scalar or instant vector, "
               "got \"string\""},
    {"1[5m]", "1:2: parse error: ranges only allowed for vector selectors"},
    {"a offset 5m[1m]", "1:12: parse error: no offset modifiers allowed before range"},
    {"a[0s]", "1:3: parse error: duration must be greater than 0"},
    {"a[5m", "1:5: parse error: unclosed left bracket"},
    {"a[5q]", "1:3: parse error: bad number or duration syntax"},
    {"1 offset 5m", "1:1: parse error: offset modifier must be preceded by an instant vector selector or range "
                    "vector selector or a subquery"},
    {"a offset 5m offset 5m", "1:1: parse error: offset may not be set multiple times"},
    {"sum(a, b)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 1, got 2"},
    {"topk(a)", "1:1: parse error: wrong number of arguments for aggregate expression provided, expected 2, got 1"},
    {"topk(a, b)", "1:6: parse error: expected type scalar in aggregation parameter, got instant vector"},
    {"\"abc", "1:1: parse error: unterminated quoted string"},
    {"a\n + ~", "2:4: parse error: unexpected character"},
    {"sum by (1) (a)", "1:9: parse error: unexpected number \"1\" in grouping opts, expected label"},
    {"(a[5m])[1m:]", "1:1: parse error: subquery is only allowed on instant vector, got matrix instead"},
};

static void mistakes_are_told_with_their_place(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(mistakes); i++) {
        struct arena a;
        const struct promql_node *e;
        arena_init(&a, MIB);
        err failed = promql_parse(&a, str_of(mistakes[i][0]), all, &e, NULL);
        if (!failed) fail_msg("%s: taken", mistakes[i][0]);
        assert_int_equal(err_kind(failed), ERR_INVALID);
        assert_string_equal(err_text(failed), mistakes[i][1]);
        err_free(failed);
        arena_done(&a);
    }
}

static void what_is_behind_flags_is_refused_without_them(void **state) {
    (void)state;
    static const char *const cases[] = {"limitk(1, a)", "mad_over_time(a[5m])", "a[5m+1m]", "a offset (5m)",
                                        "sort_by_label(a, \"b\")"};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct arena a;
        const struct promql_node *e;
        arena_init(&a, MIB);
        err failed = promql_parse(&a, str_of(cases[i]), (struct promql_syntax){0}, &e, NULL);
        if (!failed) fail_msg("%s: taken", cases[i]);
        err_free(failed);
        assert_null(promql_parse(&a, str_of(cases[i]), all, &e, NULL));
        arena_done(&a);
    }
}

static void deep_and_long_expressions_end(void **state) {
    (void)state;
    static const char *const shapes[][3] = {{"(", "a", ")"},    {"-", "a", ""},    {"sum(", "a", ")"},
                                            {"", "a", " + a"},  {"1 ^ ", "1", ""}, {"", "a", "[5m:]"},
                                            {"a{b=\"c", "", ""}};
    for (size_t i = 0; i < LENGTH(shapes); i++) {
        struct arena a;
        AUTO_BUF struct buf b;
        const struct promql_node *e;
        buf_init(&b, MIB);
        arena_init(&a, 16 * MIB);
        for (int k = 0; k < 5000; k++) buf_add_text(&b, shapes[i][0]);
        buf_add_text(&b, shapes[i][1]);
        for (int k = 0; k < 5000; k++) buf_add_text(&b, shapes[i][2]);
        err failed = promql_parse(&a, buf_str(&b), all, &e, NULL);
        assert_non_null(failed);
        err_free(failed);
        arena_done(&a);
    }
}

static void a_long_query_breaks_into_lines(void **state) {
    (void)state;
    struct arena a;
    AUTO_BUF struct buf b;
    const struct promql_node *e;
    buf_init(&b, 4096);
    arena_init(&a, MIB);
    struct str text = STR("sum by (job) (rate(http_requests_total{code=~\"5..\", environment=\"production\"}[5m])) / "
                          "sum by (job) (rate(http_requests_total[5m]))");
    assert_null(promql_parse(&a, text, all, &e, NULL));
    promql_print_pretty(e, &b);
    assert_string_equal(b.p,
                        "  sum by (job) (rate(http_requests_total{code=~\"5..\",environment=\"production\"}[5m]))\n/\n"
                        "  sum by (job) (rate(http_requests_total[5m]))");
    arena_done(&a);
}

static void a_tree_is_json(void **state) {
    (void)state;
    struct arena a;
    AUTO_BUF struct buf b;
    struct json_writer w;
    const struct promql_node *e;
    buf_init(&b, 4096);
    arena_init(&a, MIB);
    json_writer_init(&w, &b);
    assert_null(promql_parse(&a, STR("rate(a{b=\"c\"}[5m]) > bool 2"), all, &e, NULL));
    assert_null(promql_print_tree(e, &w));
    assert_string_equal(
        b.p,
        "{\"type\":\"binaryExpr\",\"op\":\">\",\"lhs\":{\"type\":\"call\",\"func\":{\"name\":\"rate\",\"argTypes\":["
        "\"matrix\"],"
        "\"variadic\":0,\"returnType\":\"vector\"},\"args\":[{\"type\":\"matrixSelector\",\"name\":\"a\",\"range\":"
        "300000,"
        "\"matchers\":[{\"name\":\"b\",\"type\":\"=\",\"value\":\"c\"},{\"name\":\"__name__\",\"type\":\"=\",\"value\":"
        "\"a\"}],"
        "\"offset\":0,\"timestamp\":null,\"startOrEnd\":null}]},\"rhs\":{\"type\":\"numberLiteral\",\"val\":\"2\"},"
        "\"matching\":null,\"bool\":true}");
    arena_done(&a);
}

/* ---- numbers ----------------------------------------------------------------------------------------------------- */

static void numbers_look_as_go_prints_them(void **state) {
    (void)state;
    static const struct {
        double v;
        const char *sample, *plain, *general;
    } cases[] = {
        {0, "0", "0", "0"},
        {-0.0, "-0", "-0", "-0"},
        {1, "1", "1", "1"},
        {0.1, "0.1", "0.1", "0.1"},
        {1.0 / 3, "0.3333333333333333", "0.3333333333333333", "0.3333333333333333"},
        {1e-6, "0.000001", "0.000001", "1e-06"},
        {1e-7, "1e-07", "0.0000001", "1e-07"},
        {1.5e-10, "1.5e-10", "0.00000000015", "1.5e-10"},
        {1e20, "100000000000000000000", "100000000000000000000", "1e+20"},
        {999999, "999999", "999999", "999999"},
        {1e6, "1000000", "1000000", "1e+06"},
        {1e21, "1e+21", "1000000000000000000000", "1e+21"},
        {123456789.125, "123456789.125", "123456789.125", "1.23456789125e+08"},
        {-2.5, "-2.5", "-2.5", "-2.5"},
        {INFINITY, "+Inf", "+Inf", "+Inf"},
        {-INFINITY, "-Inf", "-Inf", "-Inf"},
        {NAN, "NaN", "NaN", "NaN"},
        {5e-324, "5e-324", NULL, "5e-324"},
        {0x1.fffffffffffffp1023, "1.7976931348623157e+308", NULL, "1.7976931348623157e+308"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf b;
        buf_init(&b, 1024);
        put_sample_value(&b, cases[i].v);
        assert_string_equal(b.p, cases[i].sample);
        buf_clear(&b);
        put_go_plain(&b, cases[i].v);
        if (cases[i].plain) assert_string_equal(b.p, cases[i].plain);
        buf_clear(&b);
        put_go_general(&b, cases[i].v);
        assert_string_equal(b.p, cases[i].general);
    }
}

static void numbers_and_durations_are_read(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_number;
        double v;
    } numbers[] = {{"1", true, 1},    {"0x1f", true, 31},  {"0b101", true, 5},      {"0755", true, 493},
                   {"089", true, 89}, {"1_0", true, 10},   {"1__0", false, 0},      {"5.", true, 5},
                   {".5", true, 0.5}, {"1e3", true, 1000}, {"Inf", true, INFINITY}, {"e", false, 0},
                   {"1x", false, 0},  {"", false, 0}};
    for (size_t i = 0; i < LENGTH(numbers); i++) {
        double v = 0;
        assert_int_equal(parse_promql_number(str_of(numbers[i].text), &v), numbers[i].is_number);
        if (numbers[i].is_number) assert_true(v == numbers[i].v);
    }
    static const struct {
        const char *text;
        bool is_duration;
        int64_t ms;
    } durations[] = {{"5m", true, 300000},
                     {"1h30m", true, 5400000},
                     {"1d12h", true, 129600000},
                     {"250ms", true, 250},
                     {"1s1ms", true, 1001},
                     {"1m1h", false, 0},
                     {"1m1m", false, 0},
                     {"m", false, 0},
                     {"5", false, 0},
                     {"300000y", false, 0},
                     {"", false, 0}};
    for (size_t i = 0; i < LENGTH(durations); i++) {
        int64_t ms = 0;
        if (parse_promql_duration(str_of(durations[i].text), &ms) != durations[i].is_duration)
            fail_msg("%s", durations[i].text);
        assert_int_equal(ms, durations[i].ms);
    }
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

static void fill(struct memory *m) {
    memory_init(m);
    for (int i = 0; i < 40; i++) {
        char job[3] = {(char)('a' + i % 7), (char)('a' + i / 7), 0};
        struct label labels[] = {
            {STR("__name__"), STR("x_total")}, {STR("job"), str_of(job)}, {STR("le"), i % 2 ? STR("1") : STR("+Inf")}};
        struct memory_series *s = memory_series(m, labels, 3);
        for (int k = 0; k < 60; k++) memory_add(s, k * 15000, k * i);
        struct native *h = arena_new(&m->a, struct native);
        h->count = 3;
        if (i % 9 == 0) memory_add_histogram(s, 900001, h);
    }
    memory_seal(m);
}

static const char *const questions[] = {
    "sum by (job) (rate(x_total[5m]))",
    "x_total / on (job, le) x_total",
    "topk(3, x_total) or x_total > 5",
    "histogram_quantile(0.9, rate(x_total[5m]))",
    "label_replace(x_total, \"a\", \"$1\", \"job\", \"(.).\")",
    "max_over_time(rate(x_total[1m])[5m:30s])",
    "count_values(\"v\", x_total)",
    "quantile by (job) (0.5, x_total)",
    "absent(x_total{job=\"zz\"})",
    "avg(x_total) + stddev(x_total) + scalar(x_total) + time()",
    "info(x_total)",
    "sort(x_total) unless x_total @ 30",
};

static err run(struct memory *m, struct arena *a, const char *text, struct promql_options o) {
    const struct promql_node *e;
    struct promql_answer answer;
    TRY(promql_parse(a, str_of(text), all, &e, NULL));
    o.start_ms = 300000, o.end_ms = 900000, o.step_ms = 30000;
    return promql_run(a, &m->source, e, str_of(text), &o, &answer);
}

/* As Prometheus counts them: what each step looks at, not what is read for all of them together. */
static void samples_are_counted_by_step(void **state) {
    static const struct {
        const char *text;
        uint64_t first, total; /* of 21 steps of 30 s; 40 series with a sample each 15 s */
    } cases[] = {{"x_total{job=\"aa\"}", 1, 21},
                 {"x_total{job=\"aa\"} + x_total{job=\"aa\"}", 2, 42},
                 {"sum(x_total)", 40, 840},
                 {"1", 0, 0},
                 {"rate(x_total{job=\"ba\"}[1m])", 4, 83}, /* the last is at 885 s */
                 {"x_total{job=\"aa\"} @ 300", 1, 21},
                 {"max_over_time(x_total{job=\"ba\"}[1m:30s])", 2, 42}};
    struct memory m;
    (void)state;
    fill(&m);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct arena a;
        const struct promql_node *e;
        struct promql_answer out, parts[2];
        struct promql_options o = {.start_ms = 300000, .end_ms = 900000, .step_ms = 30000, .count_samples = true};
        uint64_t total = 0;
        arena_init(&a, 64 * MIB);
        assert_null(promql_parse(&a, str_of(cases[i].text), all, &e, NULL));
        assert_null(promql_run(&a, &m.source, e, str_of(cases[i].text), &o, &out));
        for (size_t k = 0; k < out.step_n; k++) total += out.step_samples[k];
        if (out.step_samples[0] != cases[i].first || total != cases[i].total)
            fail_msg("%s: %llu, %llu", cases[i].text, (unsigned long long)out.step_samples[0],
                     (unsigned long long)total);
        for (size_t k = 0; k < 2; k++) {
            o.slice_first = k * 10, o.slice_n = k ? 11 : 10;
            assert_null(promql_run(&a, &m.source, e, str_of(cases[i].text), &o, &parts[k]));
        }
        struct promql_answer joined;
        assert_null(promql_join(&a, parts, 2, &joined));
        assert_memory_equal(joined.step_samples, out.step_samples, 21 * sizeof *out.step_samples);
        o.count_samples = false;
        assert_null(promql_run(&a, &m.source, e, str_of(cases[i].text), &o, &out));
        assert_null(out.step_samples);
        arena_done(&a);
    }
    memory_done(&m);
}

struct countdown {
    int left;
};

static err check(void *context) {
    struct countdown *c = context;
    return c->left-- > 0 ? NULL : err_new(ERR_CANCELLED, "the query was cancelled");
}

/* Every kind of question ends at every place where it may: by its asker, by the source, by memory. */
static void questions_end_when_they_must(void **state) {
    (void)state;
    for (size_t q = 0; q < LENGTH(questions); q++) {
        struct memory m;
        fill(&m);
        bool done = false;
        for (int n = 0; !done; n += 1 + n / 8) {
            struct arena a;
            struct countdown c = {n};
            arena_init(&a, 64 * MIB);
            err e = run(&m, &a, questions[q], (struct promql_options){.check = check, .context = &c});
            if (e) assert_int_equal(err_kind(e), ERR_CANCELLED);
            done = !e;
            err_free(e);
            arena_done(&a);
        }
        for (m.fail_at = 1, done = false; !done; m.fail_at += 1 + m.fail_at / 4) {
            struct arena a;
            m.reads = 0;
            arena_init(&a, 64 * MIB);
            err e = run(&m, &a, questions[q], (struct promql_options){0});
            if (e) assert_int_equal(err_kind(e), ERR_IO);
            done = !e;
            err_free(e);
            arena_done(&a);
        }
        m.fail_at = 0;
        done = false;
        for (size_t bytes = 8 * KIB; !done; bytes += bytes / 3) {
            struct arena a;
            arena_init(&a, bytes);
            err e = run(&m, &a, questions[q], (struct promql_options){0});
            if (e) assert_int_equal(err_kind(e), ERR_LIMIT);
            done = !e;
            err_free(e);
            arena_done(&a);
        }
        memory_done(&m);
    }
}

/* One series whose windows overlap: each of 5,000 steps looks at up to 2,000 of its samples, ten million together. */
static void one_series_is_ended_inside(void **state) {
    (void)state;
    static const char *const functions[] = {
        "avg_over_time(x[2000s])",
        "changes(x[2000s])",
        "deriv(x[2000s])",
        "double_exponential_smoothing(x[2000s], 0.5, 0.5)",
        "mad_over_time(x[2000s])",
        "max_over_time(x[2000s])",
        "min_over_time(x[2000s])",
        "predict_linear(x[2000s], 60)",
        "quantile_over_time(0.5, x[2000s])",
        "rate(x[2000s])",
        "resets(x[2000s])",
        "stddev_over_time(x[2000s])",
        "stdvar_over_time(x[2000s])",
        "sum_over_time(x[2000s])",
        "sum(sum_over_time(vector(1)[2000s:1s]))",
        "ts_of_max_over_time(x[2000s])",
    };
    struct memory m;
    const struct label name = {STR("__name__"), STR("x")};
    memory_init(&m);
    struct memory_series *s = memory_series(&m, &name, 1);
    for (int k = 0; k < 5000; k++) memory_add(s, k * 1000, k % 1999); /* it resets now and then */
    memory_seal(&m);
    for (size_t i = 0; i < LENGTH(functions); i++) {
        const struct promql_node *e;
        struct promql_answer answer;
        struct countdown c = {40};
        struct arena a;
        arena_init(&a, 64 * MIB);
        assert_null(promql_parse(&a, str_of(functions[i]), all, &e, NULL));
        struct promql_options o = {.end_ms = 4999000, .step_ms = 1000, .check = check, .context = &c};
        err failed = promql_run(&a, &m.source, e, str_of(functions[i]), &o, &answer);
        if (!failed || err_kind(failed) != ERR_CANCELLED)
            fail_msg("%s: %s", functions[i], failed ? err_text(failed) : "it ran to its end");
        err_free(failed);
        arena_done(&a);
    }
    memory_done(&m);
}

static void many_series(struct memory *m, int n) {
    memory_init(m);
    for (int i = 0; i < n; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i * 7919 % n);
        struct label labels[] = {{STR("__name__"), STR("x_total")}, {STR("i"), str_of(number)}, {STR("le"), STR("1")}};
        memory_add(memory_series(m, labels, 3), 900, i % 10);
    }
    memory_seal(m);
}

/* What is done to many rows, once they are read, ends as well: of 5,000 that a selector gives one by one. */
static void many_rows_are_ended_between(void **state) {
    (void)state;
    static const char *const questions_of_rows[] = {
        "topk(5000, x_total)",
        "sort(x_total)",
        "sort_by_label(x_total, \"i\")",
        "quantile(0.5, x_total)",
        "x_total + on (i) x_total",
        "x_total and on (i) x_total",
        "count_values(\"v\", x_total)",
        "label_join(x_total, \"j\", \"-\", \"i\", \"le\")",
        "label_replace(x_total, \"j\", \"$1\", \"i\", \"(.).*\")",
        "histogram_quantile(0.5, x_total)",
        "abs(x_total)",
        "clamp(x_total, 1, 2)",
        "-x_total",
        "sum by (i) (x_total + 1)",
    };
    struct memory m;
    many_series(&m, 5000);
    for (size_t i = 0; i < LENGTH(questions_of_rows); i++) {
        const struct promql_node *e;
        struct promql_answer answer;
        struct countdown all_of_it = {INT_MAX}, c;
        int selectors = strstr(questions_of_rows[i], "on (i)") ? 2 : 1;
        for (int round = 0; round < 2; round++) {
            struct arena a;
            arena_init(&a, 64 * MIB);
            c = round ? (struct countdown){selectors * 5000 + 4 + selectors} : all_of_it;
            assert_null(promql_parse(&a, str_of(questions_of_rows[i]), all, &e, NULL));
            struct promql_options o = {.start_ms = 1000, .end_ms = 1000, .check = check, .context = &c};
            err failed = promql_run(&a, &m.source, e, str_of(questions_of_rows[i]), &o, &answer);
            if (round == (failed == NULL))
                fail_msg("%s: %s", questions_of_rows[i], failed ? err_text(failed) : "it ran to its end");
            err_free(failed);
            arena_done(&a);
        }
    }
    memory_done(&m);
}

static void many_rows_are_sorted(void **state) {
    (void)state;
    struct memory m;
    struct arena a;
    const struct promql_node *e;
    struct promql_answer answer;
    many_series(&m, 5000);
    arena_init(&a, 64 * MIB);
    struct str text = STR("sort_by_label(x_total, \"i\")");
    assert_null(promql_parse(&a, text, all, &e, NULL));
    assert_null(
        promql_run(&a, &m.source, e, text, &(struct promql_options){.start_ms = 1000, .end_ms = 1000}, &answer));
    assert_int_equal(answer.row_n, 5000);
    for (int i = 0; i < 5000; i++) {
        char number[16];
        snprintf(number, sizeof number, "%d", i);
        assert_true(str_equal(label_set_get(answer.rows[i].labels, STR("i")), str_of(number)));
    }
    arena_done(&a);
    memory_done(&m);
}

static int order_of_doubles(const void *x, const void *y) {
    double a = *(const double *)x, b = *(const double *)y;
    if (isnan(a) || isnan(b)) return isnan(b) - isnan(a);
    return a < b ? -1 : a > b;
}

/* The same by sorting. */
static void quantiles_are_those_of_the_order(void **state) {
    (void)state;
    uint64_t chance = 1;
    for (int round = 0; round < 20000; round++) {
        double v[24], sorted[24];
        chance = chance * 6364136223846793005u + 1442695040888963407u;
        size_t n = 1 + (chance >> 40) % 24;
        for (size_t i = 0; i < n; i++) {
            chance = chance * 6364136223846793005u + 1442695040888963407u;
            int kind = (int)(chance >> 33) % 12;
            sorted[i] = v[i] = kind == 0 ? NAN : kind == 1 ? INFINITY : kind == 2 ? -INFINITY : (double)(chance >> 61);
        }
        double q = (double)(round % 11) / 10, rank = q * (double)(n - 1), weight = rank - floor(rank);
        qsort(sorted, n, sizeof *sorted, order_of_doubles);
        size_t low = (size_t)rank, high = low + 1 < n ? low + 1 : n - 1;
        double expected = sorted[low] * (1 - weight) + sorted[high] * weight, got = quantile_of(q, v, n);
        if (!(got == expected || (isnan(got) && isnan(expected))))
            fail_msg("round %d: %g, not %g", round, got, expected);
    }
}

static void samples_are_limited(void **state) {
    (void)state;
    static const char *const cases[] = {"x_total", "rate(x_total[5m])", "sum(max_over_time(x_total[1y:1ms]))",
                                        "max_over_time(max_over_time(x_total[1h:1s])[1d:1s])",
                                        "x_total or x_total * 2"};
    struct memory m;
    fill(&m);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct arena a;
        arena_init(&a, 256 * MIB);
        err e = run(&m, &a, cases[i], (struct promql_options){.samples_max = 500});
        assert_non_null(e);
        assert_int_equal(err_kind(e), ERR_LIMIT);
        err_free(e);
        arena_done(&a);
    }
    memory_done(&m);
}

static void ranges_are_bounded(void **state) {
    (void)state;
    static const struct {
        int64_t start, end, step;
        enum err_kind kind;
    } cases[] = {{-4000000000000000000, 4000000000000000000, 1, ERR_LIMIT},
                 {INT64_MIN, 0, 1, ERR_INVALID},
                 {0, INT64_MAX, 1, ERR_INVALID},
                 {10, 0, 1, ERR_INVALID},
                 {0, 10, -1, ERR_INVALID},
                 {0, 31536000000, 1, ERR_LIMIT}};
    struct memory m;
    fill(&m);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct arena a;
        struct promql_answer answer;
        const struct promql_node *e;
        arena_init(&a, 16 * MIB);
        assert_null(promql_parse(&a, STR("sum(x_total @ 4000000000000 offset 5y)"), all, &e, NULL));
        err failed = promql_run(
            &a, &m.source, e, STR(""),
            &(struct promql_options){.start_ms = cases[i].start, .end_ms = cases[i].end, .step_ms = cases[i].step},
            &answer);
        assert_non_null(failed);
        assert_int_equal(err_kind(failed), cases[i].kind);
        err_free(failed);
        arena_done(&a);
    }
    memory_done(&m);
}

static void labels_can_be_swapped(void **state) {
    (void)state;
    struct arena a;
    struct promql_answer answer;
    const struct promql_node *e;
    struct memory m;
    fill(&m);
    arena_init(&a, 16 * MIB);
    struct str text = STR("label_replace(x_total{job=\"ab\"}, \"dst\", \"${1}-$2-$$\", \"job\", \"(a)(?P<two>.)\")");
    assert_null(promql_parse(&a, text, all, &e, NULL));
    assert_null(
        promql_run(&a, &m.source, e, text, &(struct promql_options){.start_ms = 1000, .end_ms = 1000}, &answer));
    assert_int_equal(answer.row_n, 1);
    assert_true(str_equal(label_set_get(answer.rows[0].labels, STR("dst")), STR("a-b-$")));
    arena_done(&a);
    memory_done(&m);
}

/* What a question answers at 1 s, as text: one line a row, in the order of the answer. */
static void answers(struct memory *m, const char *text, const char *expected) {
    struct arena a;
    struct promql_answer answer;
    const struct promql_node *e;
    AUTO_BUF struct buf b;
    buf_init(&b, 64 * KIB);
    arena_init(&a, 16 * MIB);
    assert_null(promql_parse(&a, str_of(text), all, &e, NULL));
    err failed = promql_run(&a, &m->source, e, str_of(text), &(struct promql_options){.start_ms = 1000, .end_ms = 1000},
                            &answer);
    if (failed) buf_add_text(&b, err_text(failed));
    for (size_t r = 0; !failed && r < answer.row_n; r++) {
        if (r) buf_add_byte(&b, '\n');
        promql_labels_print(answer.rows[r].labels, &b);
        buf_add_byte(&b, ' ');
        put_sample_value(&b, answer.rows[r].values[0]);
    }
    for (size_t i = 0; !failed && i < answer.info_n; i++) buf_add_fmt(&b, "\n" STR_FMT, STR_ARG(answer.infos[i]));
    for (size_t i = 0; !failed && i < answer.warning_n; i++) buf_add_fmt(&b, "\n" STR_FMT, STR_ARG(answer.warnings[i]));
    if (strcmp(b.p ? b.p : "", expected) != 0) fail_msg("%s: %s", text, b.p);
    err_free(failed);
    arena_done(&a);
}

static void info_adds_labels_of_the_same_target(void **state) {
    (void)state;
    struct memory m;
    memory_init(&m);
    static const struct label rows[][5] = {
        {{STR("__name__"), STR("up")},
         {STR("job"), STR("a")},
         {STR("instance"), STR("1")},
         {STR("zone"), STR("z")},
         {STR("x"), STR("")}},
        {{STR("__name__"), STR("up")},
         {STR("job"), STR("a")},
         {STR("instance"), STR("2")},
         {STR("x"), STR("")},
         {STR("x"), STR("")}},
        {{STR("__name__"), STR("target_info")},
         {STR("job"), STR("a")},
         {STR("instance"), STR("1")},
         {STR("version"), STR("7")},
         {STR("zone"), STR("other")}},
        {{STR("__name__"), STR("build_info")},
         {STR("job"), STR("a")},
         {STR("instance"), STR("2")},
         {STR("branch"), STR("main")},
         {STR("x"), STR("")}},
    };
    for (size_t i = 0; i < LENGTH(rows); i++) memory_add(memory_series(&m, rows[i], 5), 500, 1);
    memory_seal(&m);
    answers(&m, "info(up)",
            "up{instance=\"1\", job=\"a\", version=\"7\", zone=\"z\"} 1\nup{instance=\"2\", job=\"a\"} 1");
    answers(&m, "info(up, {version=~\".+\"})", "up{instance=\"1\", job=\"a\", version=\"7\", zone=\"z\"} 1");
    answers(&m, "info(up, {__name__=\"build_info\"})",
            "up{instance=\"1\", job=\"a\", zone=\"z\"} 1\nup{branch=\"main\", instance=\"2\", job=\"a\"} 1");
    answers(&m, "info(up, {__name__=~\".+_info\", branch=\"main\"})",
            "up{branch=\"main\", instance=\"2\", job=\"a\"} 1");
    memory_done(&m);
}

static void dates_are_those_of_the_calendar(void **state) {
    (void)state;
    struct memory m;
    memory_init(&m);
    static const char *const cases[][2] = {
        {"year(vector(951782400))", "{} 2000"},
        {"month(vector(951782400))", "{} 2"},
        {"day_of_month(vector(951782400))", "{} 29"},
        {"days_in_month(vector(951782400))", "{} 29"},
        {"day_of_year(vector(951782400))", "{} 60"},
        {"day_of_week(vector(951782400))", "{} 2"},
        {"hour(vector(-1))", "{} 23"},
        {"minute(vector(-1))", "{} 59"},
        {"year(vector(-1))", "{} 1969"},
        {"day_of_week(vector(-1))", "{} 3"},
        {"year(vector(-2208988800))", "{} 1900"},
        {"days_in_month(vector(-2206310400))", "{} 28"},
        {"hour(vector(-Inf)) < bool 24", "{} 1"},
        {"year(vector(NaN)) < bool 0", "{} 1"},
        {"minute(vector(1e300)) < bool 60", "{} 1"},
        {"hour()", "{} 0"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) answers(&m, cases[i][0], cases[i][1]);
    memory_done(&m);
}

static void annotations_say_where(void **state) {
    (void)state;
    struct memory m;
    memory_init(&m);
    for (int i = 0; i < 4; i++) {
        struct label labels[] = {{STR("__name__"), i < 2 ? STR("x") : STR("h_bucket")},
                                 {STR("le"), i % 2 ? STR("abc") : STR("+Inf")}};
        memory_add(memory_series(&m, labels, 2), 300, 1);
        memory_add(memory_series(&m, labels, 2), 900, 2);
    }
    memory_seal(&m);
    answers(&m, "sum(\n  rate(x[1s]))",
            "{} 3.333333333333333\nPromQL info: metric might not be a counter, name does not end in "
            "_total/_sum/_count/_bucket: \"x\" (2:8)");
    answers(&m, "quantile(2, h_bucket)",
            "{} +Inf\nPromQL warning: quantile value should be between 0 and 1, got 2 (1:10)");
    answers(&m, "histogram_quantile(0.5, h_bucket)",
            "{} NaN\nPromQL warning: bucket label \"le\" is missing or has a malformed value of \"abc\" for metric "
            "name \"h_bucket\" (1:25)");
    answers(
        &m, "x * on() h_bucket",
        "found duplicate series for the match group {} on the right hand-side of the operation: [h_bucket{le=\"abc\"}, "
        "h_bucket{le=\"+Inf\"}];many-to-many matching not allowed: matching labels must be unique on one side");
    m.warning = STR("part 3 cannot be read");
    answers(&m, "sum(x) + sum(x)", "{} 8\npart 3 cannot be read");
    answers(&m, "-{le=\"abc\"}", "vector cannot contain metrics with the same labelset");
    memory_done(&m);
}

/* Of many that match one, as many as the comparison leaves may be one: what is filtered out does not count. */
static void filters_match_what_they_leave(void **state) {
    (void)state;
    struct memory m;
    static const struct label rows[][3] = {
        {{STR("__name__"), STR("m")}, {STR("i"), STR("1")}, {STR("j"), STR("x")}},
        {{STR("__name__"), STR("m")}, {STR("i"), STR("1")}, {STR("j"), STR("y")}},
        {{STR("__name__"), STR("m")}, {STR("i"), STR("1")}, {STR("j"), STR("z")}},
    };
    memory_init(&m);
    for (int i = 0; i < 3; i++) memory_add(memory_series(&m, rows[i], 3), 900, 1 + i);
    memory_seal(&m);
    answers(&m, "m > on (i) m{j=\"y\"}", "{i=\"1\"} 3");
    answers(&m, "m > on (i) m{j=\"z\"}", "");
    answers(&m, "m > on (i) m{j=\"x\"}",
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
    answers(&m, "m > bool on (i) m{j=\"z\"}",
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)");
    answers(&m, "m == on (i) group_left (j) m{j=\"y\"}", "m{i=\"1\", j=\"y\"} 2");
    answers(&m, "m >= on (i) group_left (j) m{j=\"y\"}",
            "multiple matches for labels: grouping labels must ensure unique matches");
    memory_done(&m);
}

static void put_addresses(struct buf *b, const char *dot, int n) {
    for (int i = 0; i < n; i++) buf_add_fmt(b, "%s10%s%d%s%d%s1", i ? "|" : "", dot, i / 200, dot, i % 200, dot);
}

/* What dashboards send for "all of these": hundreds of addresses, with and without escapes, in brackets or not. */
static void long_expressions_are_taken(void **state) {
    (void)state;
    static const struct {
        const char *before, *dot, *after;
        int n;
    } cases[] = {{"", ".", "", 300},          {"", "\\\\.", "", 300},     {"(", "\\\\.", ")", 2500},
                 {"(?:", "\\\\.", ")", 2500}, {"", "\\\\.", "|b.*", 300}, {"", "-", "", 4000}};
    struct memory m;
    memory_init(&m);
    const struct label labels[] = {{STR("__name__"), STR("up")}, {STR("h"), STR("10.1.99.1")}};
    memory_add(memory_series(&m, labels, 2), 900, 7);
    const struct label other[] = {{STR("__name__"), STR("up")}, {STR("h"), STR("10-1-99-1")}};
    memory_add(memory_series(&m, other, 2), 900, 8);
    memory_seal(&m);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf b;
        buf_init(&b, MIB);
        buf_add_fmt(&b, "sum(up{h=~\"%s", cases[i].before);
        put_addresses(&b, cases[i].dot, cases[i].n);
        buf_add_fmt(&b, "%s\"})", cases[i].after);
        answers(&m, b.p, i == 0 ? "{} 15" : i + 1 < LENGTH(cases) ? "{} 7" : "{} 8");
    }
    memory_done(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(expressions_print_as_prometheus_prints_them),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(what_is_behind_flags_is_refused_without_them),
        cmocka_unit_test(deep_and_long_expressions_end),
        cmocka_unit_test(a_long_query_breaks_into_lines),
        cmocka_unit_test(a_tree_is_json),
        cmocka_unit_test(numbers_look_as_go_prints_them),
        cmocka_unit_test(numbers_and_durations_are_read),
        cmocka_unit_test(questions_end_when_they_must),
        cmocka_unit_test(one_series_is_ended_inside),
        cmocka_unit_test(many_rows_are_ended_between),
        cmocka_unit_test(many_rows_are_sorted),
        cmocka_unit_test(quantiles_are_those_of_the_order),
        cmocka_unit_test(samples_are_limited),
        cmocka_unit_test(samples_are_counted_by_step),
        cmocka_unit_test(ranges_are_bounded),
        cmocka_unit_test(labels_can_be_swapped),
        cmocka_unit_test(info_adds_labels_of_the_same_target),
        cmocka_unit_test(dates_are_those_of_the_calendar),
        cmocka_unit_test(annotations_say_where),
        cmocka_unit_test(filters_match_what_they_leave),
        cmocka_unit_test(long_expressions_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
