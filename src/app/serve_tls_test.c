/* Which listener speaks TLS with what, out of the options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "app/serve_tls.h"

static struct arguments parse(const char *const *words) {
    char *argv[14] = {(char[]){"clew"}, (char[]){"serve"}};
    struct arguments a;
    int argc = 2;
    for (; *words; words++) argv[argc++] = (char *)(uintptr_t)*words; /* literals, which are only read */
    assert_null(arguments_parse(argc, argv, &a));
    return a;
}
#define SERVE(...) parse((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

/* want NULL: no error. */
static void check(err e, const char *want) {
    if (!want) {
        assert_null(e);
        return;
    }
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_INVALID);
    if (!strstr(err_text(e), want)) fail_msg("\"%s\" does not say \"%s\"", err_text(e), want);
    err_free(e);
}

static void mistakes_are_found_before_files_are_opened(void **state) {
    (void)state;
    const struct {
        struct arguments a;
        const char *want;
    } cases[] = {
        {SERVE(), NULL},
        {SERVE("--plain-text", "listen,otlp-http"), NULL},
        {SERVE("--plain-text", "all"), NULL},
        {SERVE("--plain-text", "listen,otlp"),
         "--plain-text: listen, otlp-http, otlp-grpc, jaeger, prometheus, ollystack, or all, not \"otlp\""},
        {SERVE("--plain-text", ""), "not \"\""},
        {SERVE("--tls-cert", "c", "--tls-key", "k"), NULL},
        {SERVE("--tls-cert", "listen=c", "--tls-key", "listen=k"), NULL},
        {SERVE("--tls-cert", "c"), "--tls-cert: needs --tls-key beside it"},
        {SERVE("--tls-key", "otlp-http=k"), "--tls-key: needs --tls-cert beside it"},
        {SERVE("--tls-cert", "listen=c", "--tls-key", "otlp-http=k"), "needs"},
        {SERVE("--tls-client-ca", "ca"), "--tls-client-ca: needs --tls-cert"},
        {SERVE("--tls-client", "maybe"), "--tls-client: require or request, not \"maybe\""},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) check(serve_tls_check(&cases[i].a), cases[i].want);
}

static void a_listeners_own_file_wins(void **state) {
    (void)state;
    struct tls *tls;
    struct arguments a = SERVE("--tls-cert", "/none/all", "--tls-key", "/none/key", "--tls-cert", "listen=/none/own",
                               "--tls-cert", "x=y");
    check(serve_tls_open(&a, SERVE_LISTEN, &tls), "TLS of --listen: looking at /none/own");
    check(serve_tls_open(&a, SERVE_OTLP_HTTP, &tls),
          "TLS of --otlp-http: looking at x=y"); /* no listener: a file's name */
    a = SERVE("--tls-cert", "/none/all", "--tls-key", "/none/key", "--plain-text", "otlp-http");
    check(serve_tls_open(&a, SERVE_LISTEN, &tls), "looking at /none/all");
    check(serve_tls_open(&a, SERVE_OTLP_HTTP, &tls), NULL);
    assert_null(tls);
}

static void plain_text_leaves_loopback_only_when_told(void **state) {
    (void)state;
    struct arguments none = SERVE(), one = SERVE("--plain-text", "listen"), all = SERVE("--plain-text", "all");
    check(serve_tls_allow(&none, SERVE_LISTEN, NULL, "127.0.0.1:8080"), NULL);
    check(serve_tls_allow(&none, SERVE_LISTEN, NULL, "[::1]:8080"), NULL);
    check(serve_tls_allow(&none, SERVE_LISTEN, NULL, "0.0.0.0:8080"), "say --plain-text listen");
    check(serve_tls_allow(&none, SERVE_OTLP_HTTP, NULL, "[::]:4318"), "--otlp-http: [::]:4318 can be reached");
    check(serve_tls_allow(&one, SERVE_LISTEN, NULL, "10.0.0.7:8080"), NULL);
    check(serve_tls_allow(&one, SERVE_OTLP_HTTP, NULL, "10.0.0.7:4318"), "give --tls-cert and --tls-key");
    check(serve_tls_allow(&all, SERVE_OTLP_HTTP, NULL, "10.0.0.7:4318"), NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mistakes_are_found_before_files_are_opened),
        cmocka_unit_test(a_listeners_own_file_wins),
        cmocka_unit_test(plain_text_leaves_loopback_only_when_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
