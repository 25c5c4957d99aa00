/* Edits of requests as bytes. That a whole request survives them is held by tests/e2e/collect.test.mjs and the fuzz target, too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signal/otlp.h"
#include "signal/otlp_edit.h"
#include "signal/wire_write_priv.h"

static void put_attribute(struct buf *out, const char *key, const char *value) {
    size_t at = open_message(out, 1), any;
    put_bytes_always(out, 1, str_of(key));
    any = open_message(out, 2);
    otlp_put_any_string(out, str_of(value));
    close_message(out, any);
    close_message(out, at);
}

/* ResourceX with attributes k=v, a field of a later OTLP in its resource, and one behind it. */
static void put_group(struct buf *out, const char *const *attributes) {
    size_t group = open_message(out, 1), resource = open_message(out, 1);
    for (; attributes[0]; attributes += 2) put_attribute(out, attributes[0], attributes[1]);
    put_number(out, 77, 5);
    close_message(out, resource);
    put_bytes_always(out, 2, STR("\x12\x03xyz"));
    put_bytes_always(out, 3, STR("schema"));
    close_message(out, group);
}

static struct otlp_edit edit_of(enum otlp_edit_action action, const char *key, struct buf *any, const char *value) {
    buf_init(any, KIB);
    if (value) otlp_put_any_string(any, str_of(value));
    return (struct otlp_edit){action, str_of(key), buf_str(any)};
}

static void expect(const char *const *before, enum otlp_edit_action action, const char *key, const char *value,
                   const char *const *after) {
    AUTO_BUF struct buf in, want, got, any;
    buf_init(&in, KIB), buf_init(&want, KIB), buf_init(&got, KIB);
    struct otlp_edit e = edit_of(action, key, &any, value);
    put_group(&in, before);
    put_group(&want, after);
    assert_true(otlp_edit_resources(buf_str(&in), &e, 1, &got));
    assert_int_equal(got.n, want.n);
    if (got.n > in.n) return; /* what is new stands last, behind the field that is not known */
    assert_memory_equal(got.p, want.p, want.n);
}
#define LIST(...) ((const char *const[]){__VA_ARGS__ __VA_OPT__(, ) NULL})

static void edits_do_what_they_say(void **state) {
    (void)state;
    expect(LIST("a", "1", "b", "2"), OTLP_DELETE, "a", NULL, LIST("b", "2"));
    expect(LIST("a", "1", "b", "2", "a", "3"), OTLP_DELETE, "a", NULL, LIST("b", "2"));
    expect(LIST("a", "1"), OTLP_DELETE, "z", NULL, LIST("a", "1"));
    expect(LIST("a", "1", "b", "2"), OTLP_UPSERT, "a", "9", LIST("a", "9", "b", "2"));
    expect(LIST("a", "1"), OTLP_UPSERT, "z", "9", LIST("a", "1", "z", "9"));
    expect(LIST("a", "1"), OTLP_INSERT, "a", "9", LIST("a", "1"));
    expect(LIST("a", "1"), OTLP_INSERT, "z", "9", LIST("a", "1", "z", "9"));
    expect(LIST("a", "1", "a", "2"), OTLP_UPSERT, "a", "9", LIST("a", "9", "a", "2"));
}

static void a_group_without_resource_gets_one_where_it_is_needed(void **state) {
    (void)state;
    AUTO_BUF struct buf in, got, any;
    buf_init(&in, KIB), buf_init(&got, KIB);
    size_t group = open_message(&in, 1);
    put_bytes_always(&in, 2, STR("\x12\x01x"));
    close_message(&in, group);
    struct otlp_edit e = edit_of(OTLP_DELETE, "a", &any, NULL);
    assert_true(otlp_edit_resources(buf_str(&in), &e, 1, &got));
    assert_int_equal(got.n, in.n);
    buf_clear(&got);
    e = (struct otlp_edit){OTLP_UPSERT, STR("a"), STR("\x0a\x01v")};
    assert_true(otlp_edit_resources(buf_str(&in), &e, 1, &got));
    assert_memory_equal(got.p,
                        "\x0a\x11\x0a\x0a\x0a\x08\x0a\x01"
                        "a\x12\x03\x0a\x01v\x12\x03\x12\x01x",
                        19);
    assert_int_equal(got.n, 19);
}

static void bytes_that_are_no_request_are_refused(void **state) {
    (void)state;
    static const struct str bad[] = {STR("\x0a\x05zz"), STR("\x0a\x03\x0a\x05z"), STR("\x0b"), STR("\xff\xff"),
                                     STR("\x0a\x04\x0a\x02\x0a\x05")};
    const struct otlp_edit e = {OTLP_UPSERT, STR("a"), STR("")};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        AUTO_BUF struct buf got;
        buf_init(&got, KIB);
        assert_false(otlp_edit_resources(bad[i], &e, 1, &got));
    }
}

static bool count(void *context, const struct otlp_span_bytes *span) {
    (void)span;
    return ++*(int *)context < 2;
}

static void spans_are_given_until_somebody_has_enough(void **state) {
    (void)state;
    AUTO_BUF struct buf in;
    int n = 0;
    buf_init(&in, KIB);
    size_t group = open_message(&in, 1), scope = open_message(&in, 2);
    for (int i = 0; i < 5; i++) put_bytes_always(&in, 2, STR("\x2a\x01n"));
    close_message(&in, scope);
    close_message(&in, group);
    assert_true(otlp_spans_each(buf_str(&in), count, &n));
    assert_int_equal(n, 2);
}

static struct str id_of(void *context, uint32_t row) { return str_of(((const char *const *)context)[row]); }

/* A group of rows, each with a name; `ids` has one for each. */
static void expect_ids(const char *const *ids, size_t rows, bool of_spans, const char *shared) {
    const uint32_t field = of_spans ? 9 : 6;
    AUTO_BUF struct buf in, want, got;
    buf_init(&in, KIB), buf_init(&want, KIB), buf_init(&got, KIB);
    for (int made = 0; made < 2; made++) {
        struct buf *out = made ? &want : &in;
        size_t group = open_message(out, 1), resource = open_message(out, 1), scope;
        put_attribute(out, "service.name", "shop");
        if (made && shared) put_attribute(out, "id", shared);
        close_message(out, resource);
        scope = open_message(out, 2);
        for (size_t i = 0; i < rows; i++) {
            size_t row = open_message(out, 2);
            put_bytes_always(out, 5, STR("x"));
            if (made && *ids[i]) {
                AUTO_BUF struct buf attribute;
                buf_init(&attribute, KIB);
                put_attribute(&attribute, "id", ids[i]);
                put_bytes_always(out, field, (struct str){attribute.p + 2, attribute.n - 2});
            }
            close_message(out, row);
        }
        put_bytes_always(out, 3, STR("scope"));
        close_message(out, scope);
        close_message(out, group);
    }
    assert_true(otlp_put_ids(buf_str(&in), of_spans, STR("id"), id_of, (void *)(uintptr_t)ids, &got));
    assert_int_equal(got.n, want.n);
    assert_memory_equal(got.p, want.p, want.n);
    AUTO_BUF struct buf again;
    buf_init(&again, KIB);
    assert_true(otlp_put_ids(buf_str(&got), of_spans, STR("id"), id_of, (void *)(uintptr_t)ids, &again));
    assert_true(str_equal(buf_str(&again), buf_str(&got)));
}

static void ids_are_put_on_rows_and_on_a_resource_that_has_one(void **state) {
    (void)state;
    for (int of_spans = 0; of_spans < 2; of_spans++) {
        expect_ids(LIST("a", "a"), 2, of_spans, "a");
        expect_ids(LIST("a", "b"), 2, of_spans, NULL);
        expect_ids(LIST("a", ""), 2, of_spans, NULL);
        expect_ids(LIST("", "a"), 2, of_spans, NULL);
        expect_ids(LIST("", ""), 2, of_spans, NULL);
        expect_ids(LIST("one"), 1, of_spans, "one");
    }
}

/* ---- exemplars ----------------------------------------------------------------------------------------------------- */

static void put_text(struct buf *out, uint32_t field, const char *key, const char *value) {
    AUTO_BUF struct buf attribute;
    buf_init(&attribute, KIB);
    put_attribute(&attribute, key, value);
    put_bytes_always(out, field, (struct str){attribute.p + 2, attribute.n - 2});
}

/* A metric of a kind with one point, that has one exemplar with a trace id; `key` NULL: no attribute of its own. */
static void put_metric(struct buf *out, uint32_t kind, uint32_t member, const char *key, const char *value,
                       const char *id) {
    size_t metric = open_message(out, 2), data, point, exemplar;
    put_bytes_always(out, 1, STR("m"));
    data = open_message(out, kind);
    point = open_message(out, 1);
    put_fixed64(out, 3, 5);
    exemplar = open_message(out, member);
    put_bytes_always(out, 5, STR("0123456789abcdef"));
    if (key) put_text(out, 7, key, value);
    if (id) put_text(out, 7, "id", id);
    close_message(out, exemplar);
    put_fixed64(out, 2, 4);
    close_message(out, point);
    put_number(out, 2, 2);
    close_message(out, data);
    close_message(out, metric);
}

static const struct {
    uint32_t kind, member; /* gauge, sum, histogram, exponential histogram */
    const char *key, *value, *id;
} metrics[] = {{5, 5, NULL, NULL, "of-0123456789abcdef"},
               {7, 5, "from", "mine", "mine"},
               {9, 8, "id", "stays", NULL},
               {10, 11, NULL, NULL, "of-0123456789abcdef"},
               {11, 5, NULL, NULL, NULL}}; /* a summary has none: what is there is something else */

static struct str id_of_exemplar(void *context, const struct otlp_exemplar_bytes *e) {
    static char text[40];
    if (e->resource_count != 2 || !str_equal(e->resource[1].key, STR("b")) || !str_equal(e->resource[1].text, STR("2")))
        fail_msg("%zu attributes of the resource", e->resource_count);
    ++*(int *)context;
    for (size_t i = 0; i < e->own_count; i++)
        if (str_equal(e->own[i].key, STR("from"))) return e->own[i].text;
    snprintf(text, sizeof text, "of-" STR_FMT, STR_ARG(e->trace_id));
    return str_of(text);
}

static void exemplars_of_all_kinds_get_ids(void **state) {
    (void)state;
    AUTO_BUF struct buf in, want, got, again;
    int asked = 0;
    buf_init(&in, 4 * KIB), buf_init(&want, 4 * KIB), buf_init(&got, 4 * KIB), buf_init(&again, 4 * KIB);
    for (int made = 0; made < 2; made++) {
        struct buf *out = made ? &want : &in;
        size_t group = open_message(out, 1), resource = open_message(out, 1), scope;
        put_attribute(out, "a", "1");
        put_attribute(out, "b", "2");
        close_message(out, resource);
        scope = open_message(out, 2);
        for (size_t i = 0; i < LENGTH(metrics); i++)
            put_metric(out, metrics[i].kind, metrics[i].member, metrics[i].key, metrics[i].value,
                       made ? metrics[i].id : NULL);
        close_message(out, scope);
        put_bytes_always(out, 3, STR("schema"));
        close_message(out, group);
        put_bytes_always(out, 99, STR("of a later OTLP"));
    }
    assert_true(otlp_put_exemplar_ids(buf_str(&in), STR("id"), id_of_exemplar, &asked, &got));
    assert_int_equal(asked, 3);
    assert_true(str_equal(buf_str(&got), buf_str(&want)));
    assert_true(otlp_put_exemplar_ids(buf_str(&got), STR("id"), id_of_exemplar, &asked, &again));
    assert_int_equal(asked, 3); /* all have one */
    assert_true(str_equal(buf_str(&again), buf_str(&want)));
    for (size_t n = 1; n < in.n; n++) { /* what is cut off is refused, or a request without what was cut */
        AUTO_FREE char *part = str_dup(str_span(in.p, n));
        buf_clear(&got);
        otlp_put_exemplar_ids((struct str){part, n}, STR("id"), id_of_exemplar, &asked, &got);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_do_what_they_say),
        cmocka_unit_test(a_group_without_resource_gets_one_where_it_is_needed),
        cmocka_unit_test(bytes_that_are_no_request_are_refused),
        cmocka_unit_test(ids_are_put_on_rows_and_on_a_resource_that_has_one),
        cmocka_unit_test(exemplars_of_all_kinds_get_ids),
        cmocka_unit_test(spans_are_given_until_somebody_has_enough),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
