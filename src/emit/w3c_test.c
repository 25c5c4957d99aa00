#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "emit/w3c.h"

#define GOOD "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

static void parents(void **state) {
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {GOOD, true},
        {" " GOOD "\t", true},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", true},
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more.to.come", true},
        {"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true},
        {GOOD "-more", false}, /* of version 00 there is no more */
        {"01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more", false},
        {"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        {"00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-00F067AA0BA902B7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", false},
        {"00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0", false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01", false},
        {"", false},
    };
    (void)state;
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct trace_context c = {.flags = 77};
        char out[TRACEPARENT_BYTES + 1];
        if (traceparent_read(str_of(cases[i].text), &c) != cases[i].good) fail_msg("%s", cases[i].text);
        if (!cases[i].good) assert_int_equal(c.flags, 77);
        if (!cases[i].good) continue;
        assert_int_equal(c.trace_id[0], 0x4b);
        assert_int_equal(c.span_id[7], 0xb7);
        traceparent_write(&c, out);
        assert_memory_equal(out + 2, str_trim(str_of(cases[i].text)).p + 2, TRACEPARENT_BYTES - 2);
    }
}

static void states(void **state) {
    static const struct {
        const char *text, *want; /* NULL: none */
    } cases[] = {
        {"", "clew=1"},
        {"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "clew=1,rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"},
        {" a=b , ,\tc=d", "clew=1,a=b,c=d"},
        {"a=b,clew=old,c=d", "clew=1,a=b,c=d"},
        {"fw529a3039@dt=x y", "clew=1,fw529a3039@dt=x y"},
        {"a=b,a=c", NULL},
        {"A=b", NULL},
        {"a=", NULL},
        {"a", NULL},
        {"a=b=c", NULL},
        {"_a=b", NULL},
        {"a=b\x01", NULL},
        {"=b", NULL},
    };
    struct tracestate s;
    AUTO_BUF struct buf out;
    (void)state;
    buf_init(&out, 64 * KIB);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        bool good = tracestate_read(str_of(cases[i].text), &s);
        if (good != (cases[i].want != NULL)) fail_msg("%s", cases[i].text);
        if (!good) assert_int_equal(s.n, 0);
        if (!good) continue;
        buf_clear(&out);
        assert_true(tracestate_write(&s, STR("clew"), STR("1"), &out));
        if (!str_equal(buf_str(&out), str_of(cases[i].want))) fail_msg("%s: %.*s", cases[i].text, (int)out.n, out.p);
    }
    assert_false(tracestate_write(&s, STR("Clew"), STR("1"), &out));
    assert_false(tracestate_write(&s, STR("clew"), STR("1,2"), &out));
}

static void states_have_an_end(void **state) {
    struct tracestate s;
    AUTO_BUF struct buf text, out;
    (void)state;
    buf_init(&text, 64 * KIB);
    buf_init(&out, 64 * KIB);
    for (int i = 0; i < 32; i++) buf_add_fmt(&text, "%sk%d=v", i ? "," : "", i);
    assert_true(tracestate_read(buf_str(&text), &s));
    assert_true(tracestate_write(&s, STR("clew"), STR("1"), &out));
    assert_true(tracestate_read(buf_str(&out), &s));
    assert_int_equal(s.n, 32); /* the last one has fallen off */
    assert_true(str_equal(s.v[31].key, STR("k30")));
    buf_add_text(&text, ",k32=v");
    assert_false(tracestate_read(buf_str(&text), &s));
    buf_clear(&text);
    buf_add_text(&text, "a=");
    for (int i = 0; i < 256; i++) buf_add_byte(&text, 'x');
    assert_true(tracestate_read(buf_str(&text), &s));
    buf_clear(&out);
    AUTO_FREE char *value = str_dup(str_span(text.p + 2, 256));
    assert_true(tracestate_write(&s, STR("clew"), str_of(value), &out)); /* both would be over 512 */
    assert_true(tracestate_read(buf_str(&out), &s));
    assert_int_equal(s.n, 1);
    buf_add_byte(&text, 'x');
    assert_false(tracestate_read(buf_str(&text), &s));
}

static void bags(void **state) {
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"userId=alice,serverNode=DF%2028", "userId=alice,serverNode=DF%2028"},
        {" a = b ; x=1 ; y , c=", "a=b;x=1 ; y,c="},
        {"a=%C3%A4%41", "a=%C3%A4A"},
        {"a=%zz%4", "a=%25zz%254"},
        {"a=%ff", "a=%EF%BF%BD"}, /* no UTF-8 */
        {"=b,a b=c,a\x01=b,good=1", "good=1"},
        {"a=b\"c,d=e f,g=h", "g=h"},
        {"a=b,a=c", "a=b,a=c"},
        {"noequals", ""},
    };
    static struct baggage b;
    struct arena a;
    AUTO_BUF struct buf out;
    (void)state;
    arena_init(&a, MIB);
    buf_init(&out, 64 * KIB);
    for (size_t i = 0; i < LENGTH(cases); i++) {
        buf_clear(&out);
        baggage_read(str_of(cases[i].text), &a, &b);
        baggage_write(&b, &out);
        if (!str_equal(out.n ? buf_str(&out) : STR(""), str_of(cases[i].want)))
            fail_msg("%s: %.*s", cases[i].text, (int)out.n, out.p);
    }
    buf_clear(&out);
    for (int i = 0; i < 100; i++) buf_add_fmt(&out, "%sk%d=v", i ? "," : "", i);
    baggage_read(buf_str(&out), &a, &b);
    assert_int_equal(b.n, BAGGAGE_MAX);
    b.v[0].key = STR("not good");
    b.v[1].properties = STR("x,evil=1\r\nHost: x");
    buf_clear(&out);
    baggage_write(&b, &out);
    assert_true(str_starts_with(buf_str(&out), STR("k1=v,k2=v,")));
    while (out.n <= BAGGAGE_BYTES_MAX) buf_add_byte(&out, 'x');
    baggage_read(buf_str(&out), &a, &b);
    assert_int_equal(b.n, 0);
    arena_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(parents), cmocka_unit_test(states),
                                       cmocka_unit_test(states_have_an_end), cmocka_unit_test(bags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
