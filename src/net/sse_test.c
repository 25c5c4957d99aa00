#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/sse.h"

enum { MAX = 1000 };

static void on_event(void *context, const struct sse_event *e) {
    buf_add_fmt(context, "[" STR_FMT "|" STR_FMT "|" STR_FMT "]", STR_ARG(e->type), STR_ARG(e->data), STR_ARG(e->id));
}

/* Whole, and byte by byte. */
static void expect(struct str stream, const char *events) {
    for (size_t piece = 1; piece <= stream.n; piece = piece == 1 ? MAX : stream.n + 1) {
        AUTO_BUF struct buf out;
        struct sse_reader r;
        buf_init(&out, MIB);
        sse_init(&r, MAX, on_event, &out);
        for (size_t at = 0; at < stream.n; at += piece)
            assert_null(sse_read(&r, (struct str){stream.p + at, MIN(piece, stream.n - at)}));
        buf_add_byte(&out, 0);
        assert_string_equal(out.p, events);
        sse_done(&r);
    }
}

/* The examples of WHATWG HTML 9.2.6, and what its grammar leaves open. */
static void streams_are_read_as_browsers_do(void **state) {
    (void)state;
    expect(STR("data: YHOO\ndata: +2\ndata: 10\n\n"), "[message|YHOO\n+2\n10|]");
    expect(STR(": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"),
           "[message|first event|1][message|second event|][message| third event|]");
    expect(STR("data\n\ndata\ndata\n\ndata:"), "[message||][message|\n|]");
    expect(STR("data:test\n\ndata: test\n\n"), "[message|test|][message|test|]");
    expect(STR("event: add\ndata: 1\n\nevent: none\n\ndata: 2\r\n\r\nevent: x\rdata: 3\r\r"),
           "[add|1|][message|2|][x|3|]");
    expect(STR("\xef\xbb\xbf"
               "data: a\n\n\xef\xbb\xbf"
               "data: b\n\n"),
           "[message|a|]");
    expect(STR("id: a\0b\ndata: x\n\n"), "[message|x|]");
    expect(STR("id: 7\n\ndata: x\n\n"), "[message|x|7]");
    expect(STR("Data: x\nnothing: y\nevent:z\ndata: a: b\n\n"), "[z|a: b|]");
    expect(STR("data: never ended\n"), "");
}

static void the_wait_is_told(void **state) {
    (void)state;
    AUTO_BUF struct buf out;
    struct sse_reader r;
    buf_init(&out, MIB);
    sse_init(&r, MAX, on_event, &out);
    assert_null(sse_read(&r, STR("retry: soon\n\nretry: -1\n\nretry: 99999999999999999999\n\n")));
    assert_int_equal(r.retry_ms, -1);
    assert_null(sse_read(&r, STR("retry: 2000\n\n")));
    assert_int_equal(r.retry_ms, 2000);
    sse_done(&r);
}

static void lines_and_events_have_a_longest(void **state) {
    (void)state;
    static char text[3 * MAX];
    memset(text, 'x', sizeof text);
    for (int way = 0; way < 2; way++) {
        AUTO_BUF struct buf out;
        struct sse_reader r;
        err e = NULL;
        buf_init(&out, MIB);
        sse_init(&r, MAX, on_event, &out);
        if (way == 0) e = sse_read(&r, (struct str){text, MAX + 1});
        for (int i = 0; way == 1 && !e && i < 3; i++) {
            assert_null(sse_read(&r, STR("data:")));
            e = sse_read(&r, (struct str){text, MAX / 2});
            if (!e) e = sse_read(&r, STR("\n"));
        }
        assert_non_null(e);
        assert_int_equal(err_kind(e), ERR_LIMIT);
        err_free(e);
        sse_done(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_are_read_as_browsers_do),
        cmocka_unit_test(the_wait_is_told),
        cmocka_unit_test(lines_and_events_have_a_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
