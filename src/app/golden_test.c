/* What people see in a terminal, byte for byte: help and views. UPDATE=1 writes the files anew: the change is then seen in review. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "app/view.h"

static const struct colors plain = {"", "", "", "", "", "", ""},
                           colored = {"<0>", "<bold>", "<dim>", "<red>", "<yellow>", "<green>", "<cyan>"};

static void check_file(const char *name, const struct buf *text) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.txt", GOLDEN_DIR, name);
    if (getenv("UPDATE")) {
        FILE *f = fopen(path, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(text->p, 1, text->n, f), text->n);
        fclose(f);
    }
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is missing: run with UPDATE=1", path);
    AUTO_FREE char *want = mem_new(text->n + 2);
    size_t n = fread(want, 1, text->n + 1, f);
    fclose(f);
    if (!str_equal((struct str){want, n}, buf_str(text))) fail_msg("%s differs:\n%s", path, text->p);
}

static void help_is_what_it_was(void **state) {
    (void)state;
    AUTO_BUF struct buf out;
    buf_init(&out, MIB);
    arguments_help(NULL, &out);
    for (size_t i = 0; i < command_count; i++) {
        buf_add_text(&out, "\n");
        arguments_help(&commands[i], &out);
    }
    check_file("help", &out);
}

/* One span as the API answers it, times in µs after a fixed second. */
static void add_span(struct buf *b, int depth, const char *service, const char *name, int start_us, int64_t duration_ns,
                     const char *status) {
    buf_add_fmt(b,
                "%s{\"depth\":%d,\"service\":\"%s\",\"name\":\"%s\",\"start\":\"2026-11-25T01:02:03.%06dZ\",\"duration_"
                "ns\":%lld%s%s}",
                b->p && b->p[b->n - 1] == '}' ? "," : "", depth, service, name, start_us, (long long)duration_ns,
                *status ? ",\"status\":" : "", status);
}

static void begin_trace(struct buf *b, int64_t duration_ns, int spans, int errors, const char *more) {
    buf_add_fmt(
        b,
        "{\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"root\":{\"service\":\"web\",\"operation\":\"GET "
        "/checkout\"},"
        "\"start\":\"2026-11-25T01:02:03Z\",\"duration_ns\":%lld,\"span_count\":%d,\"error_count\":%d%s,\"spans\":[",
        (long long)duration_ns, spans, errors, more);
}

static void draw(const struct buf *answer, int columns, const struct colors *c, struct buf *out) {
    buf_add_fmt(out, "--- %d columns\n", columns);
    assert_null(view_trace(buf_str(answer), columns, c, out));
}

static void waterfalls_are_what_they_were(void **state) {
    (void)state;
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, MIB);
    buf_init(&out, MIB);
    begin_trace(&answer, 10000000, 7, 1,
                ",\"missing_parents\":[\"00f067aa0ba902b7\"],\"partial\":true,\"partial_reason\":\"a\\u001bblock\"");
    add_span(&answer, 0, "web", "GET /checkout", 0, 10000000, "");
    add_span(&answer, 1, "web", "cart.Get", 1000, 2000000, "");
    add_span(&answer, 2, "cart",
             "cart.Get, a name that is much longer than any label could ever be shown in a terminal", 1500, 1000000,
             "");
    add_span(&answer, 1, "pay\\u0007ment", "charge", 4000, 5000000,
             "{\"code\":\"error\",\"message\":\"card refused: the bank did not answer\"}");
    add_span(&answer, 2, "bank", "grün 中", 5000, 400, "");
    add_span(&answer, 2, "bank", "zero", 9000, 0, "{\"code\":\"ok\"}");
    add_span(&answer, 1, "email", "after the root's end", 9900, 30000000, "");
    buf_add_text(&answer, "]}");
    draw(&answer, 80, &plain, &out);
    draw(&answer, 120, &plain, &out);
    draw(&answer, 60, &colored, &out);
    check_file("waterfall", &out);
}

static void clocks_that_are_apart_are_told_of(void **state) {
    (void)state;
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, MIB);
    buf_init(&out, MIB);
    begin_trace(
        &answer, 510000000, 3, 0,
        ",\"clocks\":[{\"service\":\"pay\",\"ahead_ns\":500000000},{\"service\":\"mail\",\"ahead_ns\":-123000000}]");
    add_span(&answer, 0, "web", "GET /checkout", 0, 10000000, "");
    add_span(&answer, 1, "pay", "charge", 504000, 5000000, "{\"code\":\"ok\"},\"skew_ns\":500000000");
    add_span(&answer, 1, "web", "late", 9000, 1000000, "");
    buf_add_text(&answer, "]}");
    draw(&answer, 80, &plain, &out);
    check_file("waterfall_clocks", &out);
}

static void an_analysis_is_what_it_was(void **state) {
    (void)state;
    AUTO_BUF struct buf out;
    buf_init(&out, MIB);
#define PLACE(service, operation) "\"service\":\"" service "\",\"operation\":\"" operation "\""
    static const char
        answer[] = "{\"summary\":\"Failed: 15 "
                   "spans.\",\"truncated\":true,\"critical_path\":{\"duration_ns\":900000000,\"step_count\":"
                   "4,\"steps\":[{" PLACE("web", "GET /") ",\"self_time_ns\":424000000},{" PLACE("pay", "POST\\u0007") ",\"self_time_ns\":36000000},{" PLACE(
                       "web",
                       "x") ",\"self_time_ns\":10}]},"
                            "\"root_cause\":{\"chain\":[{" PLACE(
                                "pay",
                                "POST") ",\"status\":\"error\",\"error_type\":\"Timeout\",\"message\":"
                                        "\"no answer\"},{" PLACE(
                                            "web",
                                            "GET /") ",\"status\":\"unset\",\"error_type\":\"\",\"message\":\"\"}]},"
                                                     "\"slow\":{\"spans\":[{" PLACE(
                                                         "pay",
                                                         "POST") ",\"duration_ns\":360000000,\"usual_p95_ns\":42000000,"
                                                                 "\"usual_count\":600}]},"
                                                                 "\"repeats\":{\"calls\":[{\"count\":12,\"first\":"
                                                                 "{" PLACE("web", "SELECT") "},\"parent\":{" PLACE(
                                                                     "web",
                                                                     "GET /") "}}]},"
                                                                              "\"gaps\":{\"stretches\":[{" PLACE(
                                                                                  "web",
                                                                                  "GET /") ",\"duration_ns\":372000000}"
                                                                                           "]},"
                                                                                           "\"clocks\":[{\"service\":"
                                                                                           "\"pay\",\"ahead_ns\":-"
                                                                                           "7200000000000}]}";
    assert_null(view_analysis((struct str){answer, sizeof answer - 1}, &plain, &out));
    buf_add_text(&out, "---\n");
    assert_null(view_analysis(STR("{\"summary\":\"Without errors.\",\"root_cause\":null}"), &colored, &out));
    check_file("analysis", &out);
}

static void odd_traces_are_drawn_too(void **state) {
    (void)state;
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, MIB);
    buf_init(&out, MIB);
    begin_trace(&answer, 0, 1, 0, "");
    add_span(&answer, 0, "web", "alone and instant", 0, 0, "");
    buf_add_text(&answer, "]}");
    draw(&answer, 10, &plain, &out); /* narrower than drawn at all */
    buf_clear(&answer);
    begin_trace(&answer, 1000000, 40, 0, ",\"truncated\":true");
    for (int i = 0; i < 40; i++) add_span(&answer, i, "deep", "down", i * 10, 1000000 - i * 20000, "");
    add_span(&answer, 1, "back", "up", 900, -5, "");
    buf_add_text(&answer, "]}");
    draw(&answer, 80, &plain, &out);
    check_file("waterfall_odd", &out);
}

/* Every line of a waterfall of 5,000 spans ends in the same column. */
static void a_large_trace_is_aligned(void **state) {
    (void)state;
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, 4 * MIB);
    buf_init(&out, 16 * MIB);
    begin_trace(&answer, 1000000000, 5000, 0, "");
    for (int i = 0; i < 5000; i++) add_span(&answer, i % 7, "service", "operation", i * 100, (int64_t)i * 1000 + 1, "");
    buf_add_text(&answer, "]}");
    assert_null(view_trace(buf_str(&answer), 100, &plain, &out));
    struct str rest = buf_str(&out), line;
    int lines = 0;
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        if (lines++ >= 3) assert_int_equal(view_columns_of(line), 100);
    }
    assert_int_equal(lines, 5003);
}

static void lists_are_what_they_were(void **state) {
    (void)state;
    AUTO_BUF struct buf out;
    buf_init(&out, MIB);
    assert_null(view_traces(
        STR("{\"traces\":[{\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"start\":\"2026-11-25T01:02:03."
            "004005006Z\","
            "\"duration_ns\":830000,\"span_count\":1,\"error_count\":1,\"root\":{\"service\":\"web\",\"operation\":"
            "\"GET /\"}},"
            "{\"trace_id\":\"1af7651916cd43dd8448eb211c80319c\",\"start\":\"2026-11-25T01:02:03Z\",\"duration_ns\":"
            "12300000,"
            "\"span_count\":12,\"error_count\":0,\"matched_duration_ns\":12000000,\"root\":{\"service\":\"we\\u001bb\","
            "\"operation\":\"POST /\"}}],"
            "\"next_cursor\":\"0abc\",\"partial\":true,\"partial_reason\":\"1 block is damaged\"}"),
        &plain, &out, &out));
    assert_null(view_traces(STR("{\"traces\":[]}"), &plain, &out, &out));
    assert_null(view_attributes(STR("{\"attributes\":[{\"place\":\"span\",\"key\":\"http.status_code\",\"types\":["
                                    "\"string\",\"int\"],\"count\":"
                                    "840},{\"place\":\"resource\",\"key\":\"a\\u001bb\",\"types\":[\"string\"],"
                                    "\"count\":4}],\"partial\":false}"),
                                &plain, &out, &out));
    assert_null(view_values(STR("{\"values\":[{\"value\":\"500\",\"count\":12},{\"value\":\"\",\"count\":1}],"
                                "\"row_count\":200000,\"sampled\":true}"),
                            &plain, &out, &out));
    assert_null(view_logs(
        STR("{\"logs\":[{\"time\":\"2026-11-25T01:02:03.004005006Z\",\"severity\":\"error\",\"service\":\"web\","
            "\"body\":\"line\\nbreak\",\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\"},"
            "{\"time\":\"2026-11-25T01:02:03Z\",\"severity\":\"info\",\"service\":\"a-service-with-a-long-name\","
            "\"body\":{\"k\":[1,true,null]}}]}"),
        &colored, &out, &out));
    check_file("lists", &out);
    buf_clear(&out);
    assert_null(view_groups(
        STR("{\"by\":\"http.route\",\"value_count\":1048576,\"value_count_is_least\":true,\"groups\":[{\"value\":\"/"
            "cart\","
            "\"span_count\":1200,\"error_count\":30,\"duration\":{\"p50_ns\":12000,\"p95_ns\":1300000000}},"
            "{\"value\":\"a\\u001bb\",\"span_count\":7,\"error_count\":0,\"duration\":{\"p50_ns\":1,\"p95_ns\":2}}],"
            "\"other\":{\"span_count\":3,\"error_count\":3,\"duration\":{\"p50_ns\":1,\"p95_ns\":2}},"
            "\"without\":{\"span_count\":9,\"error_count\":0,\"duration\":{\"p50_ns\":1,\"p95_ns\":2}}}"),
        &colored, &out, &out));
    assert_null(view_groups(STR("{\"by\":\"severity\",\"value_count\":1,\"groups\":[{\"value\":\"info\",\"count\":5,"
                                "\"error_count\":0}],\"other\":null,\"without\":null,\"partial\":true,"
                                "\"partial_reason\":\"1 block is damaged\"}"),
                            &plain, &out, &out));
    assert_null(view_groups(STR("{\"by\":\"x\",\"value_count\":0,\"groups\":[],\"other\":null,\"without\":null}"),
                            &plain, &out, &out));
    check_file("groups", &out);
}

static void promql_is_what_it_was(void **state) {
    (void)state;
    AUTO_BUF struct buf out, answer;
    buf_init(&out, MIB);
    buf_init(&answer, MIB);
    struct view_chart none = {.columns = 80, .series_max = 10}, chart = {true, false, 1000, 4600, 60, 2}, dots = chart;
    dots.braille = true;
    assert_null(view_promql(
        STR("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[{\"metric\":{\"__name__\":\"up\","
            "\"job\":\"a\\u001bb\"},\"value\":[1000,\"1\"]},{\"metric\":{},\"value\":[1000.5,\"-1.5e-07\"]},{"
            "\"metric\":{"
            "\"a\":\"b\"},\"histogram\":[1000,{\"count\":\"3\",\"sum\":\"4.5\"}]}]},\"warnings\":[\"w\"],\"infos\":["
            "\"i\"]}"),
        &none, &colored, &out, &out));
    assert_null(
        view_promql(STR("{\"data\":{\"resultType\":\"scalar\",\"result\":[0,\"NaN\"]}}"), &none, &plain, &out, &out));
    assert_null(view_promql(STR("{\"data\":{\"resultType\":\"vector\",\"result\":[]}}"), &none, &plain, &out, &out));
    buf_add_text(&answer,
                 "{\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"__name__\":\"load\"},\"values\":[");
    for (int i = 0; i < 60; i++)
        buf_add_fmt(&answer, i == 30 ? "%s[%d,\"NaN\"]" : "%s[%d,\"%d\"]", i ? "," : "", 1000 + 60 * i,
                    (i * 7 % 40) * (i % 3));
    buf_add_text(&answer, "]},{\"metric\":{\"a\":\"b\"},\"values\":[[1000,\"5\"],[4600,\"5\"]]},{\"metric\":{\"a\":"
                          "\"c\"},\"values\":[[1000,\"1\"]]}]}}");
    assert_null(view_promql(buf_str(&answer), &chart, &plain, &out, &out));
    assert_null(view_promql(buf_str(&answer), &dots, &plain, &out, &out));
    assert_null(view_promql(buf_str(&answer), &none, &plain, &out, &out));
    view_promql_caret(STR("sum(\nrate(\tüx[5m)"), STR("invalid parameter \"query\": 2:13: parse error: x"), &out);
    view_promql_caret(STR("a"), STR("no place"), &out);
    view_promql_caret(STR("a"), STR("9:9: parse error: beyond"), &out);
    check_file("promql", &out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_is_what_it_was),
        cmocka_unit_test(waterfalls_are_what_they_were),
        cmocka_unit_test(clocks_that_are_apart_are_told_of),
        cmocka_unit_test(an_analysis_is_what_it_was),
        cmocka_unit_test(odd_traces_are_drawn_too),
        cmocka_unit_test(a_large_trace_is_aligned),
        cmocka_unit_test(lists_are_what_they_were),
        cmocka_unit_test(promql_is_what_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
