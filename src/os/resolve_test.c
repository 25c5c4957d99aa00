/* Answers of DNS, byte by byte as RFC 1035 and RFC 2782 have them; what asks a real server is in tests/e2e/scrape.test.mjs. */
#include "os/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct message {
    unsigned char bytes[1024];
    size_t n;
};
static void put(struct message *m, const void *bytes, size_t n) {
    assert_true(m->n + n <= sizeof m->bytes);
    memcpy(m->bytes + m->n, bytes, n);
    m->n += n;
}
#define PUT(m, literal) put((m), literal, sizeof(literal) - 1)
/* An answer to a question for _web._tcp.example, whose name is at byte 12 and "example" at byte 22. */
static struct message begin(unsigned char type, unsigned char answers) {
    struct message m = {.n = 0};
    PUT(&m, "\x12\x34\x81\x80\0\1\0");
    put(&m, &answers, 1);
    PUT(&m, "\0\0\0\0\4_web\4_tcp\7example\0\0");
    put(&m, &type, 1);
    PUT(&m, "\0\1");
    return m;
}

struct seen {
    struct buf text;
};
static void see(void *context, const char *target, uint16_t port) {
    struct seen *s = context;
    buf_add_fmt(&s->text, "%s %u\n", target, port);
}

static void check(const struct message *m, enum resolve_kind kind, const char *records, enum err_kind fails) {
    struct seen s;
    buf_init(&s.text, MIB);
    err e = resolve_records_read((struct str){(const char *)m->bytes, m->n}, kind, see, &s);
    assert_int_equal(e != NULL, fails != 0);
    if (e) assert_int_equal(err_kind(e), fails);
    err_free(e);
    buf_add_byte(&s.text, 0);
    assert_string_equal(s.text.p, records);
    buf_done(&s.text);
}

#define SRV_A "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0a\0\1\0\2\x24\x6e\1a\xc0\x16" /* a.example, port 9326 */
#define SRV_B "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x09\0\1\0\2\0\x50\1b\0"         /* b, port 80 */
#define CNAME "\xc0\x0c\0\x05\0\1\0\0\0\x3c\0\2\xc0\x16"

static void services_have_names_and_ports(void **state) {
    (void)state;
    struct message m = begin(33, 3);
    PUT(&m, CNAME);
    PUT(&m, SRV_A);
    PUT(&m, SRV_B);
    check(&m, RESOLVE_SRV, "a.example. 9326\nb. 80\n", 0);
    check(&m, RESOLVE_MX, "", ERR_NOT_FOUND);
}

static void mail_and_name_servers_have_names(void **state) {
    (void)state;
    struct message m = begin(15, 1), n = begin(2, 1), none = begin(2, 0);
    PUT(&m, "\xc0\x0c\0\x0f\0\1\0\0\0\x3c\0\x06\0\x0a\1m\xc0\x16");
    check(&m, RESOLVE_MX, "m.example. 0\n", 0);
    PUT(&n, "\xc0\x0c\0\2\0\1\0\0\0\x3c\0\x05\2ns\xc0\x16");
    check(&n, RESOLVE_NS, "ns.example. 0\n", 0);
    check(&none, RESOLVE_NS, "", ERR_NOT_FOUND);
}

static void odd_letters_are_escaped(void **state) {
    (void)state;
    struct message m = begin(33, 1);
    PUT(&m, "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0f\0\1\0\2\0\x50\7\"'.<\n\xff;\0");
    check(&m, RESOLVE_SRV, "\\\"'\\.<\\010\\255\\;. 80\n", 0);
}

static void damage_is_no_answer(void **state) {
    (void)state;
    struct message m = begin(33, 2), loop = begin(33, 1), extra = begin(33, 1);
    PUT(&m, SRV_A);
    PUT(&m, SRV_B);
    for (size_t n = m.n; n-- > 0;) {
        struct seen s;
        AUTO_FREE unsigned char *exact = mem_new_array(unsigned char, n + 1); /* where a read behind the end is seen */
        memcpy(exact, m.bytes, n);
        buf_init(&s.text, MIB);
        err e = resolve_records_read((struct str){(const char *)exact, n}, RESOLVE_SRV, see, &s);
        assert_non_null(e);
        assert_int_equal(err_kind(e), ERR_UNAVAILABLE);
        err_free(e);
        buf_done(&s.text);
    }
    PUT(&loop, "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x08\0\1\0\2\0\x50\xc0\x37"); /* a name that points at itself */
    check(&loop, RESOLVE_SRV, "", ERR_UNAVAILABLE);
    PUT(&extra, "\xc0\x0c\0\x21\0\1\0\0\0\x3c\0\x0c\0\1\0\2\0\x50\1b\0xyz");
    check(&extra, RESOLVE_SRV, "", ERR_UNAVAILABLE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services_have_names_and_ports),
        cmocka_unit_test(mail_and_name_servers_have_names),
        cmocka_unit_test(odd_letters_are_escaped),
        cmocka_unit_test(damage_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
