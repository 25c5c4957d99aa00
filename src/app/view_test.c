/* The views hold for any answer: whatever a server sends, each line has its width, no control character reaches the terminal, and
 * nothing is read that is not there. What they look like for good answers is in golden_test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "app/load_random.h"
#include "app/view.h"
#include "base/text.h"

enum { HEAD_LINES = 3 };
static const struct colors plain = {"", "", "", "", "", "", ""};

static void add_head(struct buf *b, const char *start, long long duration_ns, int spans, const char *more) {
    buf_add_fmt(b,
                "{\"trace_id\":\"0af7651916cd43dd8448eb211c80319c\",\"start\":\"%s\",\"duration_ns\":%lld,"
                "\"span_count\":%d%s,\"spans\":[",
                start, duration_ns, spans, more);
}

static void add_span(struct buf *b, long long depth, const char *service, const char *name, const char *start,
                     long long duration_ns) {
    buf_add_fmt(b, "%s{\"depth\":%lld,\"service\":\"%s\",\"name\":\"%s\",\"start\":\"%s\",\"duration_ns\":%lld}",
                b->p[b->n - 1] == '}' ? "," : "", depth, service, name, start, duration_ns);
}

/* No control character but the ends of lines, and UTF-8 throughout. */
static void check_printable(const struct buf *out) {
    for (size_t i = 0; i < out->n; i++) {
        unsigned char c = (unsigned char)out->p[i];
        if ((c < ' ' && c != '\n') || c == 0x7f) fail_msg("byte %02x at %zu of: %s", c, i, out->p);
    }
    assert_true(utf8_is_valid(buf_str(out)));
    assert_null(out->n ? strstr(out->p, "\xc2\x9b") : NULL);
}

/* Draws an answer and checks that every line of a span has that width; returns how many there are. */
static int draw(const struct buf *answer, int columns, struct buf *out) {
    struct str rest, line;
    int lines = 0;
    buf_clear(out);
    err e = view_trace(buf_str(answer), columns, &plain, out);
    if (e) fail_msg("%s", err_text(e));
    check_printable(out);
    rest = buf_str(out);
    while (rest.n) {
        str_cut(rest, '\n', &line, &rest);
        if (lines++ < HEAD_LINES) continue;
        if (view_columns_of(line) != columns)
            fail_msg("%d columns, not %d: " STR_FMT, view_columns_of(line), columns, STR_ARG(line));
    }
    return lines - HEAD_LINES;
}

#define T0 "2026-11-25T01:02:03Z"

static void lines_have_their_width_whatever_stands_in_them(void **state) {
    (void)state;
    static const char *const texts[] = {
        "",
        "a",
        "a name that is longer than any label could be in a terminal, and longer than that, so that it must be cut",
        "\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2"
        "\xe5\xad\x97\xe6\xbc\xa2\xe5\xad\x97",                                       /* wide */
        "\xf0\x9f\x9a\x80 rocket \xf0\x9f\x98\x80 \xf0\x9f\xa7\xa0 \xf0\x9f\xa9\xb9", /* emoji */
        "e\xcc\x81"
        "e\xcc\x81 combining",
        "\xef\xbc\xa1\xef\xbc\xa2 full width, \xef\xbf\xa1",
        "\xed\x95\x9c\xea\xb8\x80 \xe3\x81\x82\xe3\x81\x84",
        "tab\\tline\\nreturn\\rescape\\u001b[31m bell\\u0007 nul\\u0000 del\\u007f",
        "c1 \\u0085\\u009b bidi \\u202e\\u2066 joiner \\u200d",
        "quote \\\" backslash \\\\ slash \\/",
    };
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, MIB);
    buf_init(&out, MIB);
    for (size_t i = 0; i < LENGTH(texts); i++) {
        for (int depth = 0; depth < 70; depth += 23) {
            for (int columns = VIEW_COLUMNS_MIN; columns <= VIEW_COLUMNS_MAX; columns += 35) {
                buf_clear(&answer);
                add_head(&answer, T0, 1000, 2, "");
                add_span(&answer, depth, texts[i], texts[i], T0, 500);
                add_span(&answer, 0, texts[LENGTH(texts) - 1 - i], texts[i], T0, 0);
                buf_add_text(&answer, "]}");
                assert_int_equal(draw(&answer, columns, &out), 2);
            }
        }
    }
}

/* A width out of range is the nearest in it. */
static void widths_have_ends(void **state) {
    (void)state;
    static const int widths[][2] = {{-1, VIEW_COLUMNS_MIN},
                                    {0, VIEW_COLUMNS_MIN},
                                    {59, VIEW_COLUMNS_MIN},
                                    {201, VIEW_COLUMNS_MAX},
                                    {INT32_MAX, VIEW_COLUMNS_MAX}};
    for (size_t i = 0; i < LENGTH(widths); i++) {
        AUTO_BUF struct buf answer, out, same;
        buf_init(&answer, MIB);
        buf_init(&out, MIB);
        buf_init(&same, MIB);
        add_head(&answer, T0, 1000, 1, "");
        add_span(&answer, 0, "s", "n", T0, 500);
        buf_add_text(&answer, "]}");
        assert_null(view_trace(buf_str(&answer), widths[i][0], &plain, &out));
        assert_null(view_trace(buf_str(&answer), widths[i][1], &plain, &same));
        assert_true(str_equal(buf_str(&out), buf_str(&same)));
    }
}

/* Clocks that disagree, durations of nothing and of centuries, starts before the trace's and after its end. */
static void times_may_be_anything(void **state) {
    (void)state;
    static const char *const starts[] = {T0,
                                         "1677-09-21T00:12:43.145224192Z",
                                         "2262-04-11T23:47:16.854775807Z",
                                         "2026-11-25T01:02:02.999999999Z",
                                         "9999-12-31T23:59:59Z",
                                         "0"};
    static const char *const span_starts[] = {
        "", "soon", "2026-11-25T01:02:03.000000500Z", "-1", "0001-01-01T00:00:00Z", "1"};
    static const long long durations[] = {0, 1, -1, 1000000, INT64_MAX, INT64_MIN};
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, MIB);
    buf_init(&out, MIB);
    for (size_t i = 0; i < LENGTH(starts); i++) {
        for (size_t k = 0; k < LENGTH(durations); k++) {
            buf_clear(&answer);
            add_head(&answer, starts[i], durations[k], 1, "");
            for (size_t m = 0; m < LENGTH(starts); m++) {
                add_span(&answer, 0, "s", "n", starts[m], durations[(m + k) % LENGTH(durations)]);
                add_span(&answer, 1, "s", "n", span_starts[m], durations[(m + k + 1) % LENGTH(durations)]);
            }
            buf_add_text(&answer, "]}");
            assert_int_equal(draw(&answer, 100, &out), 2 * LENGTH(starts));
        }
    }
}

/* Depths as no tree has them: orphans below nothing, jumps, negative, beyond what is drawn. */
static void depths_may_be_anything(void **state) {
    (void)state;
    struct load_random x;
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, MIB);
    buf_init(&out, 4 * MIB);
    load_random_seed(&x, 7);
    for (int round = 0; round < 200; round++) {
        static const long long odd[] = {-1, INT64_MIN, INT64_MAX, 1000000, 64, 65, 63};
        int spans = 1 + (int)load_random_below(&x, 40);
        buf_clear(&answer);
        add_head(&answer, T0, 1000000, spans, ",\"missing_parents\":[\"00f067aa0ba902b7\"]");
        for (int i = 0; i < spans; i++) {
            bool jump = load_random_below(&x, 8) == 0;
            add_span(&answer, jump ? odd[load_random_below(&x, LENGTH(odd))] : (long long)load_random_below(&x, 12),
                     "s", "n", T0, (long long)load_random_below(&x, 1000000));
        }
        buf_add_text(&answer, "]}");
        assert_int_equal(draw(&answer, 60 + (int)load_random_below(&x, 140), &out), spans);
        assert_non_null(strstr(out.p, ", 1 parent is missing"));
    }
}

/* The rails of a tree, exactly: a rail goes on while siblings follow. */
static void rails_follow_the_tree(void **state) {
    (void)state;
    static const struct {
        int depths[8];
        const char *labels[8];
    } cases[] = {
        {{0, 1, 2, 1, -1}, {"  s n", "  ├ s n", "  │ └ s n", "  └ s n"}},
        {{0, 0, -1}, {"  s n", "  s n"}},
        {{0, 1, 0, 1, -1}, {"  s n", "  └ s n", "  s n", "  └ s n"}},
        {{0, 1, 2, 3, 2, 1, -1}, {"  s n", "  ├ s n", "  │ ├ s n", "  │ │ └ s n", "  │ └ s n", "  └ s n"}},
        {{0, 1, 2, -1}, {"  s n", "  └ s n", "    └ s n"}},
    };
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, MIB);
    buf_init(&out, MIB);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        int spans = 0;
        buf_clear(&answer);
        add_head(&answer, T0, 1000, 1, "");
        for (; cases[i].depths[spans] >= 0; spans++) add_span(&answer, cases[i].depths[spans], "s", "n", T0, 10);
        buf_add_text(&answer, "]}");
        assert_int_equal(draw(&answer, 100, &out), spans);
        struct str rest = buf_str(&out), line;
        for (int k = -HEAD_LINES; k < spans; k++) {
            str_cut(rest, '\n', &line, &rest);
            if (k >= 0 && !str_starts_with(line, str_of(cases[i].labels[k])))
                fail_msg("case %zu, line %d: " STR_FMT, i, k, STR_ARG(line));
        }
    }
}

static void ten_thousand_spans_are_drawn(void **state) {
    (void)state;
    AUTO_BUF struct buf answer, out;
    buf_init(&answer, 16 * MIB);
    buf_init(&out, 64 * MIB);
    add_head(&answer, T0, 10000, 10000, "");
    for (int i = 0; i < 10000; i++) add_span(&answer, i % 100, "service", "operation", T0, i);
    buf_add_text(&answer, "]}");
    assert_int_equal(draw(&answer, 120, &out), 10000);
}

/* Bars stand where their times say, and have at least one column. */
static void bars_stand_where_times_say(void **state) {
    (void)state;
    static const struct {
        int start_us, duration_us, from, to; /* of 100 in the bar's columns */
    } cases[] = {{0, 1000, 0, 100},  {0, 500, 0, 50},   {500, 500, 50, 100},
                 {250, 500, 25, 75}, {999, 1, 99, 100}, {0, 0, 0, 3}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf answer, out;
        char start[40];
        buf_init(&answer, MIB);
        buf_init(&out, MIB);
        add_head(&answer, T0, 1000000, 1, "");
        snprintf(start, sizeof start, "2026-11-25T01:02:03.%06dZ", cases[i].start_us);
        add_span(&answer, 0, "s", "n", start, (long long)cases[i].duration_us * 1000);
        buf_add_text(&answer, "]}");
        draw(&answer, 200, &out);
        const char *left = strstr(out.p, "▕"), *right = strstr(out.p, "▏");
        assert_true(left && right && left < right);
        struct str bar = {left + 3, (size_t)(right - left) - 3};
        int columns = view_columns_of(bar), from = 0, filled = 0;
        while (from < columns && bar.p[from] == ' ') from++;
        for (size_t k = 0; k + 2 < bar.n; k++)
            filled += memcmp(bar.p + k, "█", 3) == 0 || memcmp(bar.p + k, "▌", 3) == 0;
        assert_true(filled >= 1);
        assert_in_range(from, cases[i].from * columns / 100 - 1 + (cases[i].from == 0),
                        cases[i].from * columns / 100 + 1);
        assert_in_range(from + filled, cases[i].to * columns / 100 - 1, cases[i].to * columns / 100 + 1);
    }
}

/* An answer of which any part is missing, cut or of another type is drawn or refused: never a crash. */
static void answers_may_be_broken_anywhere(void **state) {
    (void)state;
    AUTO_BUF struct buf answer, out, notes;
    buf_init(&answer, MIB);
    buf_init(&out, 16 * MIB);
    buf_init(&notes, MIB);
    add_head(&answer, T0, 1000, 2,
             ",\"root\":{\"service\":\"s\",\"operation\":\"o\"},\"logs\":[{\"time\":\"" T0
             "\",\"body\":{\"k\":[1,null]},"
             "\"severity\":\"warn\"}],\"traces\":[{\"trace_id\":\"1\",\"start\":\"" T0 "\"}]");
    add_span(&answer, 0, "s", "n", T0, 500);
    buf_add_text(&answer,
                 "],\"by\":\"k\",\"value_count\":3,\"groups\":[{\"value\":\"v\",\"span_count\":2,\"error_count\":1,"
                 "\"duration\":{\"p50_ns\":1,\"p95_ns\":22}}],\"other\":{\"count\":1},\"without\":null");
    buf_add_text(&answer, ",\"partial\":true,\"partial_reason\":\"r\",\"next_cursor\":\"c\"}");
    static const char replacements[] = "\"{}[]:,0nt \\\x1b\x80";
    for (size_t i = 0; i < answer.n; i++) {
        for (size_t k = 0; k <= sizeof replacements; k++) {
            AUTO_FREE char *copy = str_dup(buf_str(&answer));
            struct str text = {copy, k == sizeof replacements ? i : answer.n};
            if (k < sizeof replacements) copy[i] = replacements[k];
            buf_clear(&out);
            err_free(view_trace(text, 80, &plain, &out));
            err_free(view_traces(text, &plain, &out, &notes));
            err_free(view_logs(text, &plain, &out, &notes));
            err_free(view_attributes(text, &plain, &out, &notes));
            err_free(view_values(text, &plain, &out, &notes));
            err_free(view_groups(text, &plain, &out, &notes));
            err_free(view_cardinality(text, &plain, &out, &notes));
            err_free(view_correlations(text, &plain, &out, &notes));
            err_free(view_correlation(text, &plain, &out, &notes));
            err_free(view_propagation(text, &plain, &out, &notes));
            if (k % 4 == 0) check_printable(&out);
            buf_clear(&notes);
        }
    }
}

static void storage_is_drawn_whatever_stands_in_it(void **state) {
    (void)state;
    static const char answer[] =
        "{\"signals\":[{\"signal\":\"spans\",\"bytes\":2048,\"rows\":10,\"parts\":1,\"memory\":{\"rows\":7},"
        "\"columns\":[{\"name\":\"http.route\",\"kind\":\"attribute\",\"set\":\"rows\",\"type\":\"string\",\"bytes\":"
        "1024,"
        "\"values\":10,\"sampled_values\":10,\"distinct_values\":3},"
        "{\"name\":\"\\u001b[2J\\n\\u202eevil\",\"kind\":\"attribute\",\"set\":\"events\",\"bytes\":-5},"
        "{\"name\":\"ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ\",\"kind\":\"dictionary\",\"bytes\":99999999}],"
        "\"columns_left_out\":{\"count\":2,\"bytes\":4},\"services\":[{\"service\":\"web\",\"rows\":10,\"bytes\":2048}]"
        "},"
        "{\"signal\":5},7],\"partial\":true,\"partial_reason\":\"\\u001bpart 7\"}";
    AUTO_BUF struct buf out, notes;
    buf_init(&out, MIB);
    buf_init(&notes, MIB);
    assert_null(view_storage(str_of(answer), &plain, &out, &notes));
    check_printable(&out);
    check_printable(&notes);
    assert_true(str_contains(buf_str(&out), STR("spans  2.0 KiB in 1 part, 10 rows of 204.8 B; in memory 7 rows\n")));
    assert_true(str_contains(buf_str(&out), STR("http.route (string)")));
    assert_true(str_contains(buf_str(&out), STR("50.0 % ██████████           10 values; of 10 about 3 differ\n")));
    assert_true(str_contains(buf_str(&out), STR("and 2 more (--limit)")));
    assert_true(str_contains(buf_str(&out), STR("web  ")));
    assert_true(str_contains(buf_str(&notes), STR("part 7")));
    buf_clear(&out);
    err e = view_storage(STR("{\"signals\":["), &plain, &out, &notes);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
}

static void cardinality_is_drawn_whatever_stands_in_it(void **state) {
    (void)state;
    static const char answer[] =
        "{\"series\":40,\"samples\":1200,\"bytes\":4096,\"memory_bytes\":512,\"metrics_found\":2,\"labels_found\":3,"
        "\"pairs_found\":9,\"metrics\":[{\"name\":\"hits_total\",\"series\":30,\"samples\":1000,\"bytes\":3072},"
        "{\"name\":\"\\u001b[2J\\n\\u202eevil\",\"series\":-5},7],"
        "\"labels\":[{\"name\":\"job\",\"values\":4,\"series\":40,\"samples\":1200,\"bytes\":4096}],"
        "\"pairs\":[{\"name\":\"job\",\"value\":\"ÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜÄÖÜ\","
        "\"series\":99}],"
        "\"partial\":true,\"partial_reason\":\"\\u001bfile 7\"}";
    AUTO_BUF struct buf out, notes;
    buf_init(&out, MIB);
    buf_init(&notes, MIB);
    assert_null(view_cardinality(str_of(answer), &plain, &out, &notes));
    check_printable(&out);
    check_printable(&notes);
    assert_true(
        str_contains(buf_str(&out), STR("40 series of 2 metrics, 9 pairs of 3 labels; 1,200 samples in 4.0 KiB")));
    assert_true(str_contains(buf_str(&out), STR("  by metric\n  hits_total   ")));
    assert_true(str_contains(buf_str(&out), STR(" 75.0 % ████████████         3.0 KiB 1,000 samples\n")));
    assert_true(str_contains(buf_str(&out), STR("1,200 samples, 4 values\n")));
    assert_true(str_contains(buf_str(&out), STR("… ")));
    assert_true(str_contains(buf_str(&notes), STR("file 7")));
    buf_clear(&out);
    assert_null(view_cardinality(STR("{}"), &plain, &out, &notes));
    assert_true(str_contains(buf_str(&out), STR("0 series of 0 metrics")));
    err e = view_cardinality(STR("{\"metrics\":["), &plain, &out, &notes);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
}

static void requests_are_drawn_whatever_stands_in_them(void **state) {
    (void)state;
    static const char one[] =
        "\"correlation_id\":\"\\u001b[2Jorder-7\",\"first_seen\":\"2026-01-02T03:04:04Z\",\"duration_ns\":450000000,"
        "\"trace_count\":2,\"span_count\":6,\"log_count\":1,\"error_count\":2,\"root_service\":\"gateway\","
        "\"root_operation\":\"POST /orders\"";
    AUTO_BUF struct buf answer, out, notes;
    buf_init(&answer, MIB);
    buf_init(&out, MIB);
    buf_init(&notes, MIB);
    buf_add_fmt(&answer,
                "{\"correlations\":[{%s},7,{\"duration_ns\":-5}],\"partial\":true,\"partial_reason\":\"\\u001bold\"}",
                one);
    assert_null(view_correlations(buf_str(&answer), &plain, &out, &notes));
    check_printable(&out);
    assert_true(str_contains(buf_str(&out),
                             STR("order-7     450ms  2 traces  6 spans  1 log  gateway POST /orders  2 errors\n")));
    assert_true(str_contains(buf_str(&notes), STR("old")));
    buf_clear(&answer);
    buf_clear(&out);
    buf_add_fmt(&answer,
                "{%s,\"timeline\":[{\"time\":\"2026-01-02T03:04:04.015Z\",\"type\":\"span\",\"service\":\"order\","
                "\"description\":\"\\u202ecreate\",\"duration_ns\":70000000,\"is_error\":true},"
                "{\"time\":\"1066\",\"type\":\"log\",\"description\":\"declined\\n\"},5],\"items_left_out\":3}",
                one);
    assert_null(view_correlation(buf_str(&answer), &plain, &out, &notes));
    check_printable(&out);
    assert_true(str_contains(buf_str(&out), STR("      15ms  order           span ")));
    assert_true(str_contains(buf_str(&out), STR("log  declined")));
    assert_true(str_contains(buf_str(&notes), STR("3 more (--limit)")));
    err e = view_correlation(STR("{\"timeline\":["), &plain, &out, &notes);
    assert_int_equal(err_kind(e), ERR_INVALID);
    err_free(e);
}

static void lost_context_is_drawn_with_its_advice(void **state) {
    (void)state;
    static const char answer[] =
        "{\"findings\":[{\"kind\":\"lost_trace\",\"certainty\":\"likely\",\"caller\":\"front\",\"service\":"
        "\"b\\u001back\","
        "\"count\":4,\"of_count\":5,\"samples\":[{\"trace_id\":\"aa\"}],\"advice\":[{\"service\":\"front\","
        "\"language\":"
        "\"go\",\"title\":\"Send "
        "it\",\"snippet\":\"one\\ntwo\\n\"}]},{\"kind\":\"log_without_trace\",\"caller\":null},7]}";
    AUTO_BUF struct buf out, notes;
    buf_init(&out, MIB);
    buf_init(&notes, MIB);
    assert_null(view_propagation(str_of(answer), &plain, &out, &notes));
    check_printable(&out);
    assert_true(str_contains(buf_str(&out), STR("likely  lost_trace  front → b")));
    assert_true(str_contains(buf_str(&out), STR("4 of 5  trace aa\n    front go: Send it\n      one\n      two\n")));
}

static void columns_of_text_are_those_of_a_terminal(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int columns;
    } cases[] = {{"", 0},
                 {"abc", 3},
                 {"grün", 4},
                 {"漢字", 4},
                 {"한글", 4},
                 {"e\xcc\x81", 1},
                 {"🚀", 2},
                 {"😀", 2},
                 {"🧠", 2},
                 {"\xf0\x9f\xa9\xb9", 2},
                 {"Ａ", 2},
                 {"￡", 2},
                 {"€", 1},
                 {"│", 1},
                 {"a\xe2\x80\x8b"
                  "b",
                  2}};
    for (size_t i = 0; i < LENGTH(cases); i++)
        if (view_columns_of(str_of(cases[i].text)) != cases[i].columns)
            fail_msg("%s: %d columns, not %d", cases[i].text, view_columns_of(str_of(cases[i].text)), cases[i].columns);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_their_width_whatever_stands_in_them),
        cmocka_unit_test(widths_have_ends),
        cmocka_unit_test(times_may_be_anything),
        cmocka_unit_test(depths_may_be_anything),
        cmocka_unit_test(rails_follow_the_tree),
        cmocka_unit_test(ten_thousand_spans_are_drawn),
        cmocka_unit_test(bars_stand_where_times_say),
        cmocka_unit_test(answers_may_be_broken_anywhere),
        cmocka_unit_test(storage_is_drawn_whatever_stands_in_it),
        cmocka_unit_test(cardinality_is_drawn_whatever_stands_in_it),
        cmocka_unit_test(requests_are_drawn_whatever_stands_in_them),
        cmocka_unit_test(lost_context_is_drawn_with_its_advice),
        cmocka_unit_test(columns_of_text_are_those_of_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
