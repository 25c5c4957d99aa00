/* Redaction: what each rule does, in order, to every kind of value; that nothing gets by; errors with a line. */
#include "ingest/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/budget.h"
#include "base/json.h"
#include "os/file.h"
#include "os/process.h"
#include "signal/testing.h"
#include "store/store.h"

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};
static const unsigned char secret[REDACT_SECRET_BYTES] = "the secret of this test";

static struct redact_rules *rules_of(const char *yaml) {
    struct redact_rules *rules = NULL;
    err e = redact_rules_parse(str_of(yaml), "r.yaml", &rules);
    if (e) fail_msg("%s", err_text(e));
    return rules;
}

static struct redactor *redactor_of(const struct redact_rules *rules) {
    struct redactor *r = NULL;
    assert_null(redactor_new(rules, secret, &r));
    return r;
}

static struct batch_blob *decode(enum signal signal, const char *json, struct batch *out) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_result r = {0};
    err e = otlp_decode_json(d, signal, str_of(json), &all_times, &r);
    if (e) fail_msg("%s: %s", err_text(e), json);
    otlp_decoder_free(d);
    batch_view(r.blob, out);
    return r.blob;
}

static void put_json(const struct batch *b, struct buf *out) {
    struct json_writer w;
    buf_clear(out);
    json_writer_init(&w, out);
    otlp_write_json(b, &w);
}

/* JSON in, by the rules, JSON out. */
static void redacted(enum signal signal, const char *yaml, const char *json, struct redact_counts *counts,
                     struct buf *out) {
    struct redact_rules *rules = rules_of(yaml);
    struct redactor *r = redactor_of(rules);
    struct batch before, after;
    struct batch_blob *one = decode(signal, json, &before), *two = redactor_apply(r, &before, counts);
    if (two) batch_view(two, &after);
    put_json(two ? &after : &before, out);
    if (two && strstr(json, "SECRET"))
        assert_null(memmem(batch_bytes(two).p, batch_bytes(two).n, "SECRET", 6)); /* this is what the log would hold */
    batch_unref(one);
    batch_unref(two);
    redactor_free(r);
    redact_rules_free(rules);
}

#define LOG(members)                                                                                                   \
    "{\"resourceLogs\":[{\"resource\":{},\"scopeLogs\":[{\"scope\":{},\"logRecords\":[{\"timeUnixNano\":\"5\"" members \
    "}]}]}]}"
#define TEXT(text) "{\"stringValue\":\"" text "\"}"
#define ATTRIBUTE(key, value) ",\"attributes\":[{\"key\":\"" key "\",\"value\":" value "}]"

static void rules_do_what_they_say(void **state) {
    (void)state;
    static const char mask_password[] = "redact: [{do: mask, key: '*PASSWORD*'}]";
    static const char card[] = "redact:\n- do: mask\n  match: '\\d{4}'\n";
    const struct {
        const char *rules, *in, *out;
    } cases[] = {
        {mask_password, ATTRIBUTE("user.password", TEXT("SECRET")), ATTRIBUTE("user.password", TEXT("[redacted]"))},
        {mask_password, ATTRIBUTE("user.password", "{\"intValue\":\"5\"}"),
         ATTRIBUTE("user.password", TEXT("[redacted]"))},
        {mask_password, ATTRIBUTE("user.name", TEXT("x")), ATTRIBUTE("user.name", TEXT("x"))},
        {mask_password,
         ",\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"password\",\"value\":" TEXT(
             "SECRET") "},{\"key\":\"a\",\"value\":{}}]}}",
         ",\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"password\",\"value\":" TEXT(
             "[redacted]") "},{\"key\":\"a\",\"value\":{}}]}}"},
        {"redact: [{do: drop, key: 'a?c'}]", ATTRIBUTE("abc", TEXT("SECRET")), ""},
        {"redact: [{do: drop, key: 'p'}]",
         ATTRIBUTE("m", "{\"kvlistValue\":{\"values\":[{\"key\":\"p\",\"value\":" TEXT("SECRET") "}]}}"),
         ATTRIBUTE("m", "{\"kvlistValue\":{\"values\":[]}}")},
        {card, ",\"body\":" TEXT("a 1234 b 56789 c"), ",\"body\":" TEXT("a [redacted] b [redacted]9 c")},
        {card, ",\"body\":" TEXT("none"), ",\"body\":" TEXT("none")},
        {card, ATTRIBUTE("a", "{\"intValue\":\"12345\"}"), ATTRIBUTE("a", "{\"intValue\":\"12345\"}")},
        {card, ATTRIBUTE("a", "{\"arrayValue\":{\"values\":[" TEXT("1234") ",{\"intValue\":\"1\"}]}}"),
         ATTRIBUTE("a", "{\"arrayValue\":{\"values\":[" TEXT("[redacted]") ",{\"intValue\":\"1\"}]}}")},
        {card, ",\"eventName\":\"n 1234\"", ",\"eventName\":\"n [redacted]\""},
        {"redact: [{do: mask, match: '\\d{4}', in: [log]}]", ",\"body\":" TEXT("1234") ATTRIBUTE("a", TEXT("1234")),
         ",\"body\":" TEXT("1234") ATTRIBUTE("a", TEXT("[redacted]"))},
        {"redact: [{do: mask, match: 'pass=(\\S+)', in: body}]", ",\"body\":" TEXT("pass=SECRET ok"),
         ",\"body\":" TEXT("pass=[redacted] ok")},
        {"redact: [{do: mask, match: 'x', key: b}]", ATTRIBUTE("a", TEXT("x")), ATTRIBUTE("a", TEXT("x"))},
        {"redact: [{do: mask, match: 'x', key: A}]", ATTRIBUTE("a", TEXT("x")), ATTRIBUTE("a", TEXT("[redacted]"))},
        {"redact: [{do: drop, match: SECRET}]", ",\"body\":" TEXT("a SECRET"), ""},
        {"redact: [{do: hash, key: id}]", ATTRIBUTE("id", TEXT("SECRET")),
         ATTRIBUTE("id", TEXT("hash:740a3d21ebe86edda6095ad52d54db19"))},
        /* In order: each sees what is left, and a whole value is done. */
        {"redact: [{do: mask, match: a}, {do: mask, match: 'd\\]b'}]", ",\"body\":" TEXT("ab"),
         ",\"body\":" TEXT("[redacte[redacted]")},
        {"redact: [{do: mask, key: k}, {do: drop, match: redacted}]", ATTRIBUTE("k", TEXT("x")),
         ATTRIBUTE("k", TEXT("[redacted]"))},
        {"redact: []", ",\"body\":" TEXT("x"), ",\"body\":" TEXT("x")},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        AUTO_BUF struct buf in, want, got;
        struct redact_counts counts = {0};
        buf_init(&in, MIB);
        buf_init(&want, MIB);
        buf_init(&got, MIB);
        buf_add_fmt(&in, LOG("%s"), cases[i].in);
        buf_add_fmt(&want, LOG("%s"), cases[i].out);
        redacted(SIGNAL_LOGS, cases[i].rules, in.p, &counts, &got);
        if (strcmp(got.p, want.p) != 0) fail_msg("%s\n%s\nbecame %s\n", cases[i].rules, cases[i].in, got.p);
        assert_int_equal(counts.gave_up, 0);
    }
}

static void every_place_is_reached(void **state) {
    (void)state;
    static const char span[] = "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"a\",\"value\":{"
                               "\"stringValue\":\"SECRET\"}}]},\"scopeSpans\":[{"
                               "\"scope\":{\"name\":\"s\",\"attributes\":[{\"key\":\"a\",\"value\":{\"stringValue\":"
                               "\"SECRET\"}}]},\"spans\":[{"
                               "\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\","
                               "\"name\":\"SECRET\",\"attributes\":[{\"key\":"
                               "\"a\",\"value\":{\"stringValue\":\"SECRET\"}}],\"events\":[{\"name\":\"SECRET\","
                               "\"attributes\":[{\"key\":\"a\",\"value\":{"
                               "\"stringValue\":\"SECRET\"}}]}],\"links\":[{\"attributes\":[{\"key\":\"a\",\"value\":{"
                               "\"stringValue\":\"SECRET\"}}]}],"
                               "\"status\":{\"message\":\"SECRET\"}}]}]}]}";
    AUTO_BUF struct buf got;
    struct redact_counts counts = {0};
    buf_init(&got, MIB);
    redacted(SIGNAL_SPANS, "redact: [{do: mask, match: SECRET}]", span, &counts, &got);
    assert_null(strstr(got.p, "SECRET"));
    assert_int_equal(counts.changed[0], 8);
    for (int p = 0; p < PLACES; p++) { /* and each by its name alone */
        char rules[128];
        if (p == PLACE_LOG || p == PLACE_POINT || p == PLACE_BODY) continue;
        counts = (struct redact_counts){0};
        snprintf(rules, sizeof rules, "redact: [{do: mask, match: SECRET, in: [%s]}, {do: mask, match: SECRET}]",
                 rewrite_place_names[p]);
        redacted(SIGNAL_SPANS, rules, span, &counts, &got);
        assert_int_equal(counts.changed[0], p == PLACE_NAME ? 2 : 1);
        assert_int_equal(counts.changed[1], p == PLACE_NAME ? 6 : 7);
    }
}

/* A pattern that its engine gives up on must not let the text through. */
static void over_its_limits_a_text_is_masked_whole(void **state) {
    (void)state;
    AUTO_BUF struct buf in, got;
    struct redact_counts counts = {0};
    buf_init(&in, MIB);
    buf_init(&got, MIB);
    buf_add_text(&in, LOG(",\"body\":{\"stringValue\":\"SECRET"));
    in.n -= strlen("}]}]}]}");
    for (int i = 0; i < 60; i++) buf_add_byte(&in, 'a');
    buf_add_text(&in, "!\"}}]}]}]}");
    redacted(SIGNAL_LOGS, "redact: [{do: drop, match: '(a{1,90}){1,90}$'}]", in.p, &counts, &got);
    assert_non_null(strstr(got.p, "\"body\":{\"stringValue\":\"[redacted]\"}"));
    assert_int_equal(counts.gave_up, 1);
    assert_int_equal(counts.changed[0], 1);
}

static void hashes_join_and_depend_on_the_secret(void **state) {
    (void)state;
    AUTO_BUF struct buf one, two;
    struct redact_counts counts = {0};
    buf_init(&one, MIB);
    buf_init(&two, MIB);
    redacted(SIGNAL_LOGS, "redact: [{do: hash, key: id}]", LOG(ATTRIBUTE("id", "{\"intValue\":\"42\"}")), &counts,
             &one);
    redacted(SIGNAL_LOGS, "redact: [{do: hash, match: '\\d+'}]", LOG(ATTRIBUTE("id", TEXT("42"))), &counts, &two);
    assert_string_equal(one.p, two.p);
    struct redact_rules *rules = rules_of("redact: [{do: hash, key: id}]");
    static const unsigned char other[REDACT_SECRET_BYTES] = "another";
    struct redactor *r;
    struct batch before, after;
    assert_null(redactor_new(rules, other, &r));
    struct batch_blob *blob = decode(SIGNAL_LOGS, LOG(ATTRIBUTE("id", TEXT("42"))), &before),
                      *changed = redactor_apply(r, &before, &counts);
    batch_view(changed, &after);
    put_json(&after, &two);
    assert_string_not_equal(one.p, two.p);
    batch_unref(blob);
    batch_unref(changed);
    redactor_free(r);
    redact_rules_free(rules);
}

static void wrong_rules_are_refused_with_their_line(void **state) {
    (void)state;
    const struct {
        const char *yaml, *text;
    } cases[] = {
        {"", "r.yaml:1: expected \"redact:\""},
        {"- a", "r.yaml:1: expected \"redact:\""},
        {"redact: x", "r.yaml:1: expected \"redact:\""},
        {"other: []", "r.yaml:1: expected redact, and nothing beside it"},
        {"redact:\n- do: mask\n  key: a\n- text", "r.yaml:4: expected a rule"},
        {"redact:\n- do: mask", "r.yaml:2: the rule has neither key nor match"},
        {"redact:\n- key: a", "r.yaml:2: the rule has no do"},
        {"redact:\n- do: erase\n  key: a", "r.yaml:2: do: expected drop, mask or hash"},
        {"redact:\n- do: mask\n  key: ''", "r.yaml:3: expected text"},
        {"redact:\n- do: mask\n  kye: a", "r.yaml:3: expected name, do, key, match or in"},
        {"redact:\n- do: mask\n  key: a\n  in: [span,\n    spam]", "r.yaml:5: in: expected a list of resource"},
        {"redact:\n- do: mask\n  key: a\n\n  match: '(?=x)'", "r.yaml:5: match: regular expression"},
        {"redact:\n- do: mask\n  match: 'a*'", "r.yaml:3: match: the pattern matches the empty text"},
        {"redact:\n- do: mask\n  key: [a", "r.yaml:"},
        {"redact:\n- do: mask\n  do: drop\n  key: a", "r.yaml:"},
        {"redact: [*a]", "r.yaml:"},
        {"redact:\n% {\n", "r.yaml:2: a directive of YAML is not taken"},
        {"redact:\n- do: \xff\n", "r.yaml:2: not UTF-8 text"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++) {
        struct redact_rules *rules = NULL;
        err e = redact_rules_parse(str_of(cases[i].yaml), "r.yaml", &rules);
        if (!e) fail_msg("taken: %s", cases[i].yaml);
        if (!strstr(err_text(e), cases[i].text)) fail_msg("\"%s\" is not in \"%s\"", cases[i].text, err_text(e));
        assert_null(rules);
        err_free(e);
    }
}

static void rules_have_names(void **state) {
    (void)state;
    struct redact_rules *rules =
        rules_of("# cards\nredact:\n- {do: mask, key: a}\n- name: second\n  do: drop\n  key: b\n");
    assert_int_equal(redact_rules_count(rules), 2);
    assert_string_equal(redact_rule_name(rules, 0), "rule at line 3");
    assert_string_equal(redact_rule_name(rules, 1), "second");
    redact_rules_free(rules);
}

static void the_secret_is_made_once_and_kept(void **state) {
    (void)state;
    unsigned char one[REDACT_SECRET_BYTES] = {0}, two[REDACT_SECRET_BYTES] = {0};
    char dir[128], path[160];
    struct file *f;
    snprintf(dir, sizeof dir, "/tmp/clew-redact-%d", process_id());
    snprintf(path, sizeof path, "%s/redact.key", dir);
    assert_null(path_make_dir(dir));
    assert_null(redact_secret_open(dir, one));
    assert_null(redact_secret_open(dir, two));
    assert_memory_equal(one, two, sizeof one);
    assert_null(file_open(path, FILE_WRITE, &f));
    assert_null(file_resize(f, 5));
    file_close(f);
    err e = redact_secret_open(dir, two);
    assert_int_equal(err_kind(e), ERR_CORRUPT);
    err_free(e);
    assert_null(path_remove(path));
    assert_null(path_remove_dir(dir));
}

/* ---- on the way in ------------------------------------------------------------------------------------------------ */

static void on_done(void *context, err e, const struct ingest_outcome *outcome) {
    *(uint64_t *)context += e ? 1000 : outcome->taken;
    err_free(e);
}

static void ingest_applies_and_counts_them(void **state) {
    (void)state;
    struct store_options options;
    struct budget budget;
    struct redact_rules *rules = rules_of("redact: [{do: mask, match: SECRET}]");
    struct ingest_stats stats;
    uint64_t taken = 0;
    budget_init(&budget, 64 * MIB);
    store_options_default(&options);
    struct store *store = store_model_open(&options);
    struct ingest *in = ingest_new(&(struct ingest_options){.store = store, .budget = &budget, .redact = rules});
    for (int i = 0; i < 3; i++) {
        struct str body =
            STR("{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":\"a SECRET\"}}]}]}]}");
        struct ingest_request request = {STR("default"), INGEST_LOGS, INGEST_OTLP_JSON, STR(""), body};
        assert_false(ingest_body_if_small(in, &request, on_done, &taken)); /* patterns may take long */
        ingest_body(in, &request, on_done, &taken);
    }
    assert_int_equal(taken, 3);
    ingest_get_stats(in, &stats);
    assert_int_equal(stats.redacted.changed[0], 3);
    assert_int_equal(budget_used(&budget), 0);
    ingest_free(in);
    err_free(store_close(store));
    redact_rules_free(rules);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_do_what_they_say),
        cmocka_unit_test(every_place_is_reached),
        cmocka_unit_test(over_its_limits_a_text_is_masked_whole),
        cmocka_unit_test(hashes_join_and_depend_on_the_secret),
        cmocka_unit_test(wrong_rules_are_refused_with_their_line),
        cmocka_unit_test(rules_have_names),
        cmocka_unit_test(the_secret_is_made_once_and_kept),
        cmocka_unit_test(ingest_applies_and_counts_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
