/* The file of `clew collect --config`: what it says, what it does not say, and what is wrong by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "ingest/forward/config.h"

static void defaults_need_no_file(void **state) {
    (void)state;
    struct forward_config c, d;
    forward_config_default(&d);
    assert_null(forward_config_parse(STR(""), "c.yml", &c));
    assert_int_equal(c.edit_count, 0);
    assert_int_equal(c.batch_items, d.batch_items);
    assert_int_equal(c.batch_delay_ns, 200000000);
    assert_false(c.sampling.on);
    assert_null(c.correlate);
    forward_config_done(&c);
}

/* Here ids are derived only if that is said; for queries it is the default. */
static void correlation_is_on_where_it_is_there(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool on, derive;
    } cases[] = {{"correlation: {}\n", true, false},
                 {"correlation: {derive: true}\n", true, true},
                 {"correlation: {enabled: false, derive: true}\n", false, true},
                 {"correlation:\n", false, false}};
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct forward_config c;
        assert_null(forward_config_parse(str_of(cases[i].text), "c.yml", &c));
        assert_int_equal(c.correlate != NULL, cases[i].on);
        assert_int_equal(c.derive, cases[i].derive);
        forward_config_done(&c);
    }
}

static void everything_is_read(void **state) {
    (void)state;
    struct forward_config c;
    assert_null(forward_config_parse(STR("resource:\n"
                                         "  - {action: insert, key: a, value: x}\n"
                                         "  - {action: upsert, key: b, value: 7}\n"
                                         "  - {action: upsert, key: c, value: \"7\"}\n"
                                         "  - {action: upsert, key: d, value: true}\n"
                                         "  - {action: delete, key: e}\n"
                                         "batch: {items: 10, bytes: 1MiB, delay: 1s}\n"
                                         "tail_sampling: {wait: 5s, traces_max: 7, memory: 2MiB, keep_errors: false,\n"
                                         "  keep_slower_than: 250ms, rate: 0.5, services: {checkout: 1, health: 0}}\n"),
                                     "c.yml", &c));
    assert_int_equal(c.edit_count, 5);
    assert_int_equal(c.edits[0].action, OTLP_INSERT);
    assert_true(str_equal(c.edits[0].value, STR("\x0a\x01x")));
    assert_true(str_equal(c.edits[1].value, STR("\x18\x07")));
    assert_true(str_equal(c.edits[2].value, STR("\x0a\x01"
                                                "7")));
    assert_true(str_equal(c.edits[3].value, STR("\x10\x01")));
    assert_true(c.edits[4].action == OTLP_DELETE && str_equal(c.edits[4].key, STR("e")));
    assert_int_equal(c.batch_items, 10);
    assert_int_equal(c.batch_bytes, MIB);
    assert_int_equal(c.batch_delay_ns, 1000000000);
    assert_true(c.sampling.on && !c.sampling.keep_errors && c.sampling.rate == 0.5);
    assert_int_equal(c.sampling.wait_ns, 5000000000);
    assert_int_equal(c.sampling.slow_ns, 250000000);
    assert_int_equal(c.sampling.traces_max, 7);
    assert_int_equal(c.sampling.service_count, 2);
    assert_true(str_equal(c.sampling.services[0].name, STR("checkout")) && c.sampling.services[0].rate == 1);
    forward_config_done(&c);
}

static void mistakes_are_named_with_their_line(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {
        {"batsh: 1\n", "c.yml:1: "},
        {"batch:\n  items: 0\n", "c.yml:2: a number from 1 to 1048576"},
        {"batch:\n  bytes: 1GiB\n", "c.yml:2: a size from 1024 to"},
        {"batch:\n  delay: never\n", "c.yml:2: "},
        {"resource: x\n", "c.yml:1: `resource` is a list"},
        {"resource:\n  - {action: move, key: a}\n", "c.yml:2: `action` is insert, upsert or delete"},
        {"resource:\n  - {action: upsert, key: a}\n", "`value` is missing"},
        {"resource:\n  - {action: delete, key: a, value: 1}\n", "delete takes no `value`"},
        {"resource:\n  - {action: delete}\n", "`key` names a resource attribute"},
        {"resource:\n  - 7\n", "c.yml:2: "},
        {"tail_sampling: {rate: 1.5}\n", "a share from 0 to 1"},
        {"tail_sampling: {rate: nan}\n", "a share from 0 to 1"},
        {"tail_sampling: {services: [a]}\n", "`services` is a map"},
        {"tail_sampling: {traces_max: 99999999}\n", "a number from 1 to 10000000"},
        {"correlation: x\n", "c.yml:1: expected what correlation is made of"},
        {"correlation:\n  heders: [x]\n", "c.yml:2: expected enabled, attributes"},
        {"a: [\n", "c.yml:"},
    };
    for (size_t i = 0; i < LENGTH(bad); i++) {
        struct forward_config c;
        err e = forward_config_parse(str_of(bad[i].text), "c.yml", &c);
        assert_non_null(e);
        if (!strstr(err_text(e), bad[i].says)) fail_msg("%s: %s", bad[i].text, err_text(e));
        err_free(e);
        forward_config_done(&c);
    }
}

static void lists_have_an_end(void **state) {
    (void)state;
    struct forward_config c;
    AUTO_BUF struct buf text;
    buf_init(&text, MIB);
    buf_add_text(&text, "resource:\n");
    for (int i = 0; i <= FORWARD_EDITS_MAX; i++) buf_add_fmt(&text, "  - {action: delete, key: k%d}\n", i);
    err e = forward_config_parse(buf_str(&text), "c.yml", &c);
    assert_non_null(strstr(err_text(e), "more than 64 edits"));
    err_free(e);
    forward_config_done(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_need_no_file), cmocka_unit_test(correlation_is_on_where_it_is_there),
        cmocka_unit_test(everything_is_read),    cmocka_unit_test(mistakes_are_named_with_their_line),
        cmocka_unit_test(lists_have_an_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
