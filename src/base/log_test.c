/* The log: what a line looks like, what it may not do, how many there are. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/log.h"

static int64_t test_now_ns;
static int64_t test_clock(void) { return test_now_ns; }

static int pipe_ends[2];
static char lines[65536];

static void start(enum log_level least, enum log_format format, bool clock) {
    assert_int_equal(pipe(pipe_ends), 0);
    test_now_ns = 1795568523000000000;
    log_setup(least, format, pipe_ends[1]);
    log_set_clock(clock ? test_clock : NULL);
}

/* Everything logged since start. */
static const char *stop(void) {
    close(pipe_ends[1]);
    size_t n = 0;
    for (ssize_t got; (got = read(pipe_ends[0], lines + n, sizeof lines - 1 - n)) > 0;) n += (size_t)got;
    lines[n] = 0;
    close(pipe_ends[0]);
    log_setup(LOG_INFO, LOG_LOGFMT, 2);
    log_set_clock(NULL);
    return lines;
}

static void logfmt_has_typed_fields(void **state) {
    (void)state;
    start(LOG_INFO, LOG_LOGFMT, true);
    err e = err_new(ERR_IO, "disk \"a\" failed");
    log_warn("segment kept", F_STR("path", STR("/d/1.log")), F_U64("bytes", 12), F_I64("delta", -3),
             F_F64("ratio", 0.5), F_DURATION("took", 1250000), F_TEXT("empty", ""), F_ERR(e));
    log_info("ready");
    err_free(e);
    assert_string_equal(stop(),
                        "time=2026-11-25T01:02:03Z level=warn msg=\"segment kept\" path=/d/1.log bytes=12 delta=-3 "
                        "ratio=0.5 took=1.25ms empty=\"\" error=\"disk \\\"a\\\" failed\"\n"
                        "time=2026-11-25T01:02:03Z level=info msg=ready\n");
}

static void json_lines_are_json(void **state) {
    (void)state;
    start(LOG_INFO, LOG_JSON, true);
    log_error("a \"quoted\" message", F_TEXT("text", "x\ny"), F_DURATION("took", 1250000), F_F64("ratio", NAN));
    assert_string_equal(stop(),
                        "{\"time\":\"2026-11-25T01:02:03Z\",\"level\":\"error\",\"msg\":\"a \\\"quoted\\\" message\","
                        "\"text\":\"x\\ny\",\"took_ns\":1250000,\"ratio\":\"NaN\"}\n");
}

static void without_a_clock_lines_have_no_time(void **state) {
    (void)state;
    start(LOG_INFO, LOG_LOGFMT, false);
    log_info("ready");
    assert_string_equal(stop(), "level=info msg=ready\n");
}

static void what_is_below_the_level_is_not_written(void **state) {
    (void)state;
    start(LOG_WARN, LOG_LOGFMT, false);
    log_debug("one");
    log_info("two");
    log_warn("three");
    assert_string_equal(stop(), "level=warn msg=three\n");
}

static void a_value_cannot_forge_a_line(void **state) {
    (void)state;
    start(LOG_INFO, LOG_LOGFMT, false);
    log_info("m", F_TEXT("v", "a\nlevel=error msg=forged\x1b[31m\r"), F_STR("z", STR("x\0y\xff")), F_TEXT("e", "a=b"));
    assert_string_equal(stop(),
                        "level=info msg=m v=\"a\\nlevel=error msg=forged\\x1b[31m\\x0d\" z=\"x\\x00y\xef\xbf\xbd\" "
                        "e=\"a=b\"\n");
}

static size_t count_lines(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static void long_values_are_cut_and_a_line_is_bounded(void **state) {
    (void)state;
    static char longer[10000];
    memset(longer, 'x', sizeof longer - 1);
    for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        start(LOG_INFO, (enum log_format)format, false);
        log_info("m", F_TEXT("a", longer), F_TEXT("b", longer), F_TEXT("c", longer), F_TEXT("d", longer),
                 F_TEXT("e", longer), F_U64("last", 7));
        const char *line = stop();
        assert_true(strlen(line) <= 4096 && count_lines(line) == 1);
        assert_non_null(strstr(line, "xxx…"));
        assert_non_null(strstr(line, "last"));
        if (format != LOG_JSON) continue;
        struct json_reader r;
        json_reader_init(&r, str_of(line), 2);
        assert_true(json_skip(&r) && json_next(&r) == JSON_END);
        json_reader_done(&r);
    }
}

static void log_at_one_site(void) { log_info("again"); }

static void a_site_writes_ten_lines_a_second(void **state) {
    (void)state;
    start(LOG_INFO, LOG_LOGFMT, true);
    for (int i = 0; i < 25; i++) log_at_one_site();
    for (int i = 0; i < 3; i++) log_info("another site");
    assert_int_equal(count_lines(stop()), 13);
    start(LOG_INFO, LOG_LOGFMT, true);
    test_now_ns += 1000000000;
    log_at_one_site();
    log_at_one_site();
    assert_string_equal(stop(), "time=2026-11-25T01:02:04Z level=info msg=again suppressed=15\n"
                                "time=2026-11-25T01:02:04Z level=info msg=again\n");
}

static void a_clock_that_goes_back_does_not_silence_a_site(void **state) {
    (void)state;
    start(LOG_INFO, LOG_LOGFMT, true);
    for (int i = 0; i < 12; i++) {
        test_now_ns -= 1;
        log_info("back");
    }
    assert_int_equal(count_lines(stop()), 12);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logfmt_has_typed_fields),
        cmocka_unit_test(json_lines_are_json),
        cmocka_unit_test(without_a_clock_lines_have_no_time),
        cmocka_unit_test(what_is_below_the_level_is_not_written),
        cmocka_unit_test(a_value_cannot_forge_a_line),
        cmocka_unit_test(long_values_are_cut_and_a_line_is_bounded),
        cmocka_unit_test(a_site_writes_ten_lines_a_second),
        cmocka_unit_test(a_clock_that_goes_back_does_not_silence_a_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
