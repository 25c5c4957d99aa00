/* The text format and OpenMetrics: what lines say, what is refused where, and the peer's own expositions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/text.h"
#include "signal/metrics/points_priv.h"
#include "signal/metrics/points_testing_priv.h"

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77000000};

static void put_labels(const struct points *p, uint32_t id, struct buf *out) {
    struct str rest = points_string(p, id), name, value;
    const char *separator = "{";
    while (points_label_next(&rest, &name, &value)) {
        buf_add_fmt(out, "%s%.*s=\"%.*s\"", separator, STR_ARG(name), STR_ARG(value));
        separator = ",";
    }
    buf_add_text(out, *separator == '{' ? "{}" : "}");
}

/* One line a sample: {labels} value time [start], metadata row as [type help unit], exemplars behind #. */
static void put_points(const struct points *p, struct buf *out) {
    uint32_t x = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        const struct points_metric *m = &p->metrics[p->series[point_series(p, i)].metric];
        put_labels(p, p->series[point_series(p, i)].labels, out);
        buf_add_byte(out, ' ');
        put_f64(out, bits_double(point_value(p, i)));
        buf_add_fmt(out, " %lld", (long long)point_time(p, i));
        if (point_start(p, i)) buf_add_fmt(out, " from %lld", (long long)point_start(p, i));
        if (m->name)
            buf_add_fmt(out, " [%u %.*s|%.*s]", m->kind, STR_ARG(points_string(p, m->description)),
                        STR_ARG(points_string(p, m->unit)));
        for (; x < p->exemplar_count && p->exemplars[x].point == i; x++) {
            buf_add_text(out, " # ");
            put_labels(p, p->exemplars[x].labels, out);
            buf_add_fmt(out, " %g %lld", bits_double(p->exemplars[x].value), (long long)p->exemplars[x].time);
        }
        buf_add_byte(out, '\n');
    }
}

typedef err (*decode_fn)(struct points_decoder *d, enum points_text_format format, struct str body,
                         const struct points_label *labels, uint32_t label_count, const struct otlp_limits *limits,
                         struct points_result *out);

static void expect_by(decode_fn decode, enum points_text_format format, const char *body,
                      const struct points_label *labels, uint32_t label_count, const char *want) {
    struct points_decoder *d = points_decoder_new();
    for (int again = 0; again < 2; again++) {
        struct points_result r = {0};
        AUTO_BUF struct buf text;
        size_t n = strlen(body);
        AUTO_FREE char *exact = mem_new(n + !n); /* exactly sized: ASan sees one byte too far */
        memcpy(exact, body, n);
        buf_init(&text, MIB);
        err e = decode(d, format, str_span(exact, n), labels, label_count, &all_times, &r);
        if (e) {
            assert_true(err_kind(e) == ERR_INVALID || err_kind(e) == ERR_LIMIT);
            buf_add_text(&text, err_text(e));
        } else if (r.blob) {
            struct points p;
            check_points_blob(r.blob);
            points_view(r.blob, &p);
            put_points(&p, &text);
        }
        err_free(e);
        assert_string_equal(text.n ? text.p : "", want);
        batch_unref(r.blob);
    }
    points_decoder_free(d);
}

static void expect_with(enum points_text_format format, const char *body, const struct points_label *labels,
                        uint32_t label_count, const char *want) {
    expect_by(points_decode_import, format, body, labels, label_count, want);
}

static void expect(enum points_text_format format, const char *body, const char *want) {
    expect_with(format, body, NULL, 0, want);
}

static void text(const char *body, const char *want) { expect(POINTS_TEXT, body, want); }
static void open_metrics(const char *body, const char *want) { expect(POINTS_OPENMETRICS, body, want); }

static void lines_of_the_text_format(void **state) {
    (void)state;
    text("", "");
    text("up 1\n", "{__name__=\"up\"} 1 77\n");
    text("up 1", "{__name__=\"up\"} 1 77\n");
    text("\n\n  up\t 1  \t1234 \n# a comment\n#\n", "{__name__=\"up\"} 1 1234\n");
    text("up 1 -5\r\n", "{__name__=\"up\"} 1 -5\n");
    text("m{} NaN\nm{ b = \"2\" , a=\"1\" , } +Inf\nm{a=\"\"}-inf\n",
         "{__name__=\"m\"} NaN 77\n{__name__=\"m\",a=\"1\",b=\"2\"} +Inf 77\n{__name__=\"m\"} -Inf 77\n");
    text("m{a=\"\\\\ \\\" \\n \\x \xc3\xa4\"} 1e3\n", "{__name__=\"m\",a=\"\\ \" \n \\x \xc3\xa4\"} 1000 77\n");
    text("{\"my.metric\",\"a.b\"=\"x\",c=\"y\"} 1\n{a=\"x\",\"my \\\"m\\\"\"} 2\n",
         "{__name__=\"my.metric\",a.b=\"x\",c=\"y\"} 1 77\n{__name__=\"my \"m\"\",a=\"x\"} 2 77\n");
    text("# HELP m Text with \\\\ and \\n\n# TYPE m counter\nm 1\nn 2\n# TYPE \"o.p\" gauge\n{\"o.p\"} 3\n# TYPE q "
         "untyped\nq 1\n",
         "{__name__=\"m\"} 1 77 [1 Text with \\ and \n|]\n{__name__=\"n\"} 2 77\n{__name__=\"o.p\"} 3 77 [2 "
         "|]\n{__name__=\"q\"} 1 77 [0 |]\n");
    text("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"2.50\"} 1\nh_bucket{le=\"Inf\"} 2\nh_sum 3\nh_count "
         "2\nh_other 1\n# TYPE s summary\ns{quantile=\"1\"} 3\n",
         "{__name__=\"h_bucket\",le=\"1.0\"} 1 77 [3 |]\n{__name__=\"h_bucket\",le=\"2.5\"} 1 77 [3 "
         "|]\n{__name__=\"h_bucket\",le=\"+Inf\"} 2 77 [3 |]\n"
         "{__name__=\"h_sum\"} 3 77 [3 |]\n{__name__=\"h_count\"} 2 77 [3 |]\n{__name__=\"h_other\"} 1 "
         "77\n{__name__=\"s\",quantile=\"1.0\"} 3 77 [5 |]\n");
}

static void labels_of_an_import_win_over_those_of_the_text(void **state) {
    (void)state;
    const struct points_label labels[] = {{STR("job"), STR("batch")}, {STR("a"), STR("")}, {STR("z.y"), STR("\"q\"")}};
    expect_with(POINTS_TEXT, "up 1\nup{job=\"other\",a=\"1\",b=\"2\"} 2\n{\"m.n\",job=\"x\"} 3\n", labels, 3,
                "{__name__=\"up\",job=\"batch\",z.y=\"\"q\"\"} 1 77\n"
                "{__name__=\"up\",b=\"2\",job=\"batch\",z.y=\"\"q\"\"} 2 77\n"
                "{__name__=\"m.n\",job=\"batch\",z.y=\"\"q\"\"} 3 77\n");
    /* exemplars keep their own */
    expect_with(POINTS_OPENMETRICS, "# TYPE c counter\nc_total{job=\"x\"} 1 1.5 # {job=\"x\"} 2 1.25\n# EOF\n", labels,
                1, "{__name__=\"c_total\",job=\"batch\"} 1 1500 [1 |] # {job=\"x\"} 2 1250\n");
    const struct points_label twice[] = {{STR("b"), STR("1")}, {STR("b"), STR("2")}};
    expect_with(POINTS_TEXT, "up 1\n", twice, 2, "line 1, column 1: a label name twice");
}

static void labels_of_the_text_win_where_they_are_honored(void **state) {
    (void)state;
    const struct points_label labels[] = {{STR("instance"), STR("i")}, {STR("job"), STR("batch")}};
    expect_by(points_decode_honoring, POINTS_TEXT,
              "up 1\nup{job=\"own\"} 2\nup{instance=\"\",a=\"1\"} 3\nup 4 5\n", labels, 2,
              "{__name__=\"up\",instance=\"i\",job=\"batch\"} 1 77\n"
              "{__name__=\"up\",instance=\"i\",job=\"own\"} 2 77\n"
              "{__name__=\"up\",a=\"1\",job=\"batch\"} 3 77\n" /* one that is said to be empty keeps the given one away */
              "{__name__=\"up\",instance=\"i\",job=\"batch\"} 4 5\n");
}

static void errors_of_the_text_format_have_a_place(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"up\n", "line 1, column 3: expected a number"},
        {"ok 1\nup x\n", "line 2, column 4: expected a number"},
        {"up 0x1\n", "line 1, column 4: expected a number"},
        {"up 1 2.5\n", "line 1, column 6: expected a time in whole milliseconds"},
        {"up 1 2 3\n", "line 1, column 8: expected the end of the line"},
        {"up 1 # {} 1\n", "line 1, column 6: expected the end of the line"},
        {"1up 1\n", "line 1, column 1: expected the name of a metric"},
        {"\xc3\xa4 1\n", "line 1, column 1: expected the name of a metric"},
        {"up{a} 1\n", "line 1, column 5: expected ="},
        {"up{a=b} 1\n", "line 1, column 6: expected a quote"},
        {"up{a=\"b} 1\n", "line 1, column 11: expected a quote that ends the text"},
        {"up{a=\"b\\", "line 1, column 9: expected a quote that ends the text"},
        {"up{a=\"b\" c=\"d\"} 1\n", "line 1, column 10: expected , or }"},
        {"up{a=\"b\"", "line 1, column 9: expected , or }"},
        {"up{a:b=\"c\"} 1\n", "line 1, column 5: expected ="},
        {"up{,} 1\n", "line 1, column 4: expected the name of a label"},
        {"up{a=\"b\",a=\"c\"} 1\n", "line 1, column 1: a label name twice"},
        {"up{__name__=\"x\"} 1\n", "line 1, column 1: a label name twice"},
        {"up{a=\"\xff\"} 1\n", "line 1, column 1: a label value that is not UTF-8"},
        {"{a=\"b\"} 1\n", "line 1, column 8: expected the name of a metric"},
        {"{\"\"} 1\n", "line 1, column 4: expected the name of a metric"},
        {"{\"a\",\"b\"} 1\n", "line 1, column 9: expected ="},
        {"# TYPE m nonsense\n", "line 1, column 10: expected a type: counter, gauge, histogram, gaugehistogram, "
                                "summary, info, stateset, unknown"},
        {"# TYPE m\n", "line 1, column 9: expected a type: counter, gauge, histogram, gaugehistogram, summary, info, "
                       "stateset, unknown"},
        {"# HELP m \xff\n", "line 1, column 10: a help text that is not UTF-8"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) text(cases[i][0], cases[i][1]);
}

static void lines_of_openmetrics(void **state) {
    (void)state;
    open_metrics("# EOF\n", "");
    open_metrics("# EOF", "");
    open_metrics(
        "# TYPE r_seconds counter\n# UNIT r_seconds seconds\n# HELP r_seconds Says "
        "\\\"so\\\"\nr_seconds_total{a=\"b\"} 5 12.5 # {trace_id=\"x\"} 0.5 11.25\n# EOF\n",
        "{__name__=\"r_seconds_total\",a=\"b\"} 5 12500 [1 Says \"so\"|seconds] # {trace_id=\"x\"} 0.5 11250\n");
    open_metrics(
        "# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {} 0.3\nh_bucket{le=\"+Inf\"} 2\nh_count 2\nh_sum 3\n# EOF\n",
        "{__name__=\"h_bucket\",le=\"1.0\"} 1 77 [3 |] # {} 0.3 0\n{__name__=\"h_bucket\",le=\"+Inf\"} 2 77 [3 "
        "|]\n{__name__=\"h_count\"} 2 77 [3 |]\n{__name__=\"h_sum\"} 3 77 [3 |]\n");
    open_metrics("# TYPE gh gaugehistogram\ngh_bucket{le=\"1\"} 1\ngh_gcount 1\ngh_gsum -1\n# TYPE i "
                 "info\ni_info{v=\"1\"} 1\n# TYPE st stateset\nst{st=\"on\"} 1\nst{st=\"off\"} 0\n# EOF\n",
                 "{__name__=\"gh_bucket\",le=\"1.0\"} 1 77 [4 |]\n{__name__=\"gh_gcount\"} 1 77 [4 "
                 "|]\n{__name__=\"gh_gsum\"} -1 77 [4 |]\n"
                 "{__name__=\"i_info\",v=\"1\"} 1 77 [6 |]\n{__name__=\"st\",st=\"on\"} 1 77 [7 "
                 "|]\n{__name__=\"st\",st=\"off\"} 0 77 [7 |]\n");
    open_metrics("{\"my.metric\",\"a.b\"=\"x\"} 1\n# EOF\n", "{__name__=\"my.metric\",a.b=\"x\"} 1 77\n");
}

static void created_samples_are_starts(void **state) {
    (void)state;
    open_metrics(
        "# TYPE c counter\nc_total{a=\"1\"} 5\nc_created{a=\"1\"} 1.5\nc_total{a=\"2\"} 6\nc_created{a=\"3\"} "
        "9\nc_total{a=\"3\"} 7\n# EOF\n",
        "{__name__=\"c_total\",a=\"1\"} 5 77 from 1500 [1 |]\n{__name__=\"c_created\",a=\"1\"} 1.5 77 from 1500 [1 |]\n"
        "{__name__=\"c_total\",a=\"2\"} 6 77 [1 |]\n{__name__=\"c_created\",a=\"3\"} 9 77 from 9000 [1 "
        "|]\n{__name__=\"c_total\",a=\"3\"} 7 77 from 9000 [1 |]\n");
    open_metrics("# TYPE h histogram\nh_bucket{a=\"1\",le=\"1\"} 5\nh_bucket{a=\"1\",le=\"+Inf\"} "
                 "5\nh_created{a=\"1\"} 2\n# EOF\n",
                 "{__name__=\"h_bucket\",a=\"1\",le=\"1.0\"} 5 77 from 2000 [3 "
                 "|]\n{__name__=\"h_bucket\",a=\"1\",le=\"+Inf\"} 5 77 from 2000 [3 |]\n"
                 "{__name__=\"h_created\",a=\"1\"} 2 77 from 2000 [3 |]\n");
}

static void errors_of_openmetrics_have_a_place(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "line 1, column 1: expected # EOF"},
        {"up 1\n", "line 2, column 1: expected # EOF"},
        {"up 1\n\n# EOF\n", "line 2, column 1: expected no empty line"},
        {"# EOF\n\n", "line 2, column 1: expected nothing behind # EOF"},
        {"# EOF\nup 1\n", "line 2, column 1: expected nothing behind # EOF"},
        {" up 1\n# EOF\n", "line 1, column 1: expected the name of a metric"},
        {"up  1\n# EOF\n", "line 1, column 4: expected a number"},
        {"up\t1\n# EOF\n", "line 1, column 3: expected a blank"},
        {"up 1 \n# EOF\n", "line 1, column 6: expected a number"},
        {"up 1 NaN\n# EOF\n", "line 1, column 6: expected a time in seconds"},
        {"up 1 1e300\n# EOF\n", "line 1, column 6: expected a time in seconds"},
        {"up 1 1 #{} 1\n# EOF\n", "line 1, column 9: expected a blank"},
        {"up 1 1 # 1\n# EOF\n", "line 1, column 10: expected the labels of an exemplar"},
        {"up 1 1 # {} 1 1 1\n# EOF\n", "line 1, column 16: expected the end of the line"},
        {"up 1 1 # {a=\"1\",a=\"2\"} 1\n# EOF\n", "line 1, column 8: a label name twice"},
        {"# nonsense\n# EOF\n", "line 1, column 3: expected # TYPE, # HELP, # UNIT or # EOF"},
        {"# TYPE m untyped\n# EOF\n", "line 1, column 10: expected a type: counter, gauge, histogram, gaugehistogram, "
                                      "summary, info, stateset, unknown"},
        {"# UNIT m seconds\n# EOF\n", "line 1, column 10: expected a unit with which the name of the metric ends"},
        {"up 1\r\n# EOF\n", "line 1, column 5: expected a blank"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) open_metrics(cases[i][0], cases[i][1]);
}

/* A body whose every prefix is read: no crash, and an error of one sentence. */
static void prefixes_are_harmless(void **state) {
    (void)state;
    static const char body[] =
        "# TYPE r_seconds counter\n# UNIT r_seconds seconds\nr_seconds_total{a=\"b\\\"c\",\"d.e\"=\"f\"} 5 12.5 # "
        "{trace_id=\"x\"} 0.5 11.25\n"
        "{\"my.metric\",a=\"b\"} 1\n# EOF\n";
    struct points_decoder *d = points_decoder_new();
    for (int format = 0; format < 2; format++)
        for (size_t n = 0; n < sizeof body; n++) {
            struct points_result r = {0};
            AUTO_FREE char *cut = mem_new(n + !n);
            memcpy(cut, body, n);
            err e = points_decode_text(d, (enum points_text_format)format, str_span(cut, n), &all_times, &r);
            if (!e && r.blob) check_points_blob(r.blob);
            batch_unref(r.blob);
            err_free(e);
        }
    points_decoder_free(d);
}

/* ---- the peer's expositions, where they lie --------------------------------------------------------------------------------- */

static bool read_shared(const char *name, struct buf *out) {
    char path[600], block[4096];
    const char *root = getenv("CLEW_ROOT");
    snprintf(path, sizeof path, "%s/../shared/data/textparse/model/textparse/testdata/%s", root ? root : ".", name);
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    for (size_t n; (n = fread(block, 1, sizeof block, f)) > 0;) buf_add(out, block, n);
    fclose(f);
    return true;
}

static void the_peers_expositions_are_read_whole(void **state) {
    (void)state;
    static const struct {
        const char *file;
        enum points_text_format format;
        uint32_t samples, metadata, exemplars;
    } files[] = {{"alltypes.237mfs.prom.txt", POINTS_TEXT, 1858, 237, 0},
                 {"alltypes.237mfs.nometa.prom.txt", POINTS_TEXT, 1858, 0, 0},
                 {"alltypes.5mfs.om.txt", POINTS_OPENMETRICS, 0, 0, 0},
                 {"1histogram.om.txt", POINTS_OPENMETRICS, 0, 0, 0}};
    struct points_decoder *d = points_decoder_new();
    for (size_t i = 0; i < LENGTH(files); i++) {
        AUTO_BUF struct buf body;
        struct points_result r;
        struct points p;
        buf_init(&body, 16 * MIB);
        if (!read_shared(files[i].file, &body)) {
            points_decoder_free(d);
            skip();
        }
        err e = points_decode_text(d, files[i].format, buf_str(&body), &all_times, &r);
        if (e) fail_msg("%s: %s", files[i].file, err_text(e));
        check_points_blob(r.blob);
        points_view(r.blob, &p);
        /* every line that is no comment is a sample, every family that is named a row of metadata */
        uint32_t samples = 0, exemplars = 0;
        struct str rest = buf_str(&body), line;
        while (rest.n) {
            if (!str_cut(rest, '\n', &line, &rest)) break;
            samples += line.n && line.p[0] != '#';
            exemplars += line.n && line.p[0] != '#' && str_contains(line, STR(" # {"));
        }
        assert_int_equal(r.samples, samples);
        assert_int_equal(r.exemplars, exemplars);
        if (files[i].samples) assert_int_equal(p.metric_count - 1, files[i].metadata);
        batch_unref(r.blob);
    }
    points_decoder_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_the_text_format),
        cmocka_unit_test(labels_of_an_import_win_over_those_of_the_text),
        cmocka_unit_test(labels_of_the_text_win_where_they_are_honored),
        cmocka_unit_test(errors_of_the_text_format_have_a_place),
        cmocka_unit_test(lines_of_openmetrics),
        cmocka_unit_test(created_samples_are_starts),
        cmocka_unit_test(errors_of_openmetrics_have_a_place),
        cmocka_unit_test(prefixes_are_harmless),
        cmocka_unit_test(the_peers_expositions_are_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
