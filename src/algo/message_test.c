/* What differs from one time to the next goes from a message, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#include "algo/message.h"

static void becomes(const char *message, const char *expected) {
    struct buf out;
    buf_init(&out, 1 << 20);
    message_normalise(str_of(message), &out);
    assert_string_equal(out.p ? out.p : "", expected);
    struct buf again; /* once more changes nothing */
    buf_init(&again, 1 << 20);
    message_normalise(buf_str(&out), &again);
    assert_string_equal(again.p ? again.p : "", expected);
    buf_done(&out);
    buf_done(&again);
}

static void what_differs_is_replaced(void **state) {
    (void)state;
    becomes("", "");
    becomes("card declined", "card declined");
    becomes("user 4711 not found", "user <*> not found");
    becomes("user_4711 not found, v2 neither", "user_4711 not found, v2 neither");
    becomes("order 0191d8a2-7c3e-7f00-8d3a-0123456789ab failed", "order <*> failed");
    becomes("ORDER 0191D8A2-7C3E-7F00-8D3A-0123456789AB failed", "ORDER <*> failed");
    becomes("trace 0123456789abcdef0123456789abcdef", "trace <*>");
    becomes("deadbeef is short", "deadbeef is short");
    becomes("connect 10.0.0.7:5432 refused", "connect <*>:<*> refused");
    becomes("version 1.2.3 is old", "version <*>.<*>.<*> is old");
    becomes("mail to ann.lee+x@shop.example.com bounced", "mail to <*> bounced");
    becomes("mail to ann@shop.de.", "mail to <*>.");
    becomes("no mail: ann@shop", "no mail: ann@shop");
    becomes("no mail: @shop.de", "no mail: @shop.de");
    becomes("at 2026-11-27T10:11:12Z", "at <*>");
    becomes("at 2026-11-27T10:11:12Zulu", "at <*>-<*>-27T10:<*>:12Zulu");
    becomes("at 2026-11-27 10:11:12.5 it failed", "at <*> it failed");
    becomes("at 2026-11-27T10:11:12+02:00", "at <*>");
    becomes("at 2026-11-27 10:11:12,123456789-0700: late", "at <*>: late");
    becomes("  1 2 3 items  ", "<*> items");
    becomes("1,2", "<*>,<*>");
    becomes("4711", "<*>");
    becomes("-5 degrees", "-<*> degrees");
    becomes("\xff\xfe 12 \xc3\xa4", "\xff\xfe <*> \xc3\xa4");
    becomes("id=0123456789abcdef01234567, n=5", "id=<*>, n=<*>");
    becomes("1.2.3.4.5", "<*>.<*>");
    becomes("256.1.1.1", "<*>");
    becomes("1234.1.1.1", "<*>.<*>.<*>.<*>");
}

static void the_maximum_of_the_buffer_holds(void **state) {
    (void)state;
    struct buf out;
    buf_init(&out, 10);
    message_normalise(STR("a message that is too long for it 5"), &out);
    assert_true(out.full && out.n <= 10);
    buf_done(&out);
}

/* A megabyte of what each kind begins with, in a time that only what is linear takes. */
static void long_messages_take_no_longer_than_they_should(void **state) {
    (void)state;
    static const char *const units[] = {"a.", "a-",      "1.",        "a@a.", "0123456789abcdef",
                                        "1 ", "a@b.cc ", "00000000-", "@",    "a.a@a"};
    for (size_t u = 0; u < LENGTH(units); u++) {
        struct buf text, out;
        buf_init(&text, 2 << 20);
        buf_init(&out, 4 << 20);
        while (text.n < 1 << 20) buf_add_text(&text, units[u]);
        clock_t began = clock();
        message_normalise(buf_str(&text), &out);
        assert_true((clock() - began) / CLOCKS_PER_SEC < 5);
        buf_done(&text);
        buf_done(&out);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_differs_is_replaced),
        cmocka_unit_test(the_maximum_of_the_buffer_holds),
        cmocka_unit_test(long_messages_take_no_longer_than_they_should),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
