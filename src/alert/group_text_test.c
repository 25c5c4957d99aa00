/* Groups as YAML, JSON and YAML again: rules stay what they were. */
#include "alert/group_text.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "alert/rules.h"
#include "base/json.h"

static void check_ok(err e, const char *text) {
    if (e) fail_msg("%s: %.2000s", err_text(e), text);
}

struct groups {
    char *json[8];
    size_t n;
};

static err keep(void *context, struct str name, struct str json) {
    struct groups *g = context;
    (void)name;
    assert_in_range(g->n, 0, 7);
    g->json[g->n++] = str_dup(json);
    return NULL;
}

static void read(const char *text, struct arena *a, struct rule_file *out) {
    AUTO_BUF struct buf problems;
    buf_init(&problems, MIB);
    check_ok(rules_read(str_of(text), "f", a, out, &problems), text);
    if (problems.n) fail_msg("%s%s", problems.p, text);
}

static void assert_same_labels(struct labels x, struct labels y) { assert_int_equal(promql_labels_compare(x, y), 0); }

static void assert_same(const struct rule_file *x, const struct rule_file *y) {
    assert_int_equal(x->n, y->n);
    for (size_t g = 0; g < x->n; g++) {
        const struct rule_group *a = &x->groups[g], *b = &y->groups[g];
        assert_true(str_equal(a->name, b->name));
        assert_int_equal(a->interval_ns, b->interval_ns);
        assert_int_equal(a->query_offset_ns, b->query_offset_ns);
        assert_int_equal(a->limit, b->limit);
        assert_int_equal(a->n, b->n);
        for (size_t i = 0; i < a->n; i++) {
            assert_true(str_equal(a->rules[i].name, b->rules[i].name));
            assert_true(str_equal(a->rules[i].text, b->rules[i].text));
            assert_int_equal(a->rules[i].for_ns, b->rules[i].for_ns);
            assert_int_equal(a->rules[i].keep_firing_ns, b->rules[i].keep_firing_ns);
            assert_same_labels(a->rules[i].labels, b->rules[i].labels);
            assert_same_labels(a->rules[i].annotations, b->rules[i].annotations);
        }
    }
}

static void there_and_back(const char *text) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf yaml;
    struct groups groups = {.n = 0};
    struct rule_file before, after;
    arena_init(&a, 512 * MIB);
    buf_init(&yaml, 16 * MIB);
    read(text, &a, &before);
    check_ok(rule_groups_json(str_of(text), &a, keep, &groups), text);
    buf_add_text(&yaml, groups.n ? "groups:\n" : "groups: []\n");
    for (size_t i = 0; i < groups.n; i++) check_ok(rule_group_yaml(str_of(groups.json[i]), &a, &yaml), groups.json[i]);
    read(yaml.p, &a, &after);
    assert_same(&before, &after);
    for (size_t i = 0; i < groups.n; i++) {
        struct json_reader r;
        json_reader_init(&r, str_of(groups.json[i]), 16);
        assert_true(json_skip(&r));
        json_reader_done(&r);
        mem_free(groups.json[i]);
    }
}

static void rules_stay_what_they_were(void **state) {
    (void)state;
    there_and_back("");
    there_and_back("groups:\n");
    there_and_back("groups: [null, {name: a, rules: [~, {record: r, expr: x}, null]}]");
    there_and_back(
        "groups: [{name: a}, {name: 'b: c', interval: 1h30m, limit: 7, query_offset: 0, labels: {x: y}, rules: []}]");
    there_and_back("groups:\n- name: a\n  rules:\n  - record: r\n    expr: |\n      sum by (a) (\n\n        x\n      "
                   ")\n    labels: {a: '1', b: 1, "
                   "c: 0x1, d: yes, e: 'null', f: ~, g: '', h: ' x ', i: \"a\\tb\\\\\", j: '#no', k: 'a #b', l: 'x: "
                   "y', m: '- z', n: '1e3', o: 5m}\n");
    there_and_back("groups:\n- &g\n  name: a\n  rules: &r\n  - {alert: A, expr: 'up{a=~\"x|y\"} == 0 # c', for: 5m, "
                   "keep_firing_for: 1w, annotations: "
                   "{summary: \"two\\nlines\", d: \"ends\\n\", e: \"\\nbegins\", f: \" blank\\nline\", g: \"ä\\nö\", "
                   "h: \"two\\n\\n\"}}\n- name: b\n  rules: *r\n");
}

/* Texts of labels of any kind: what breaks YAML most. */
static void any_text_stays(void **state) {
    static const char alphabet[] = "ab :#-?&*!|>'\"%@`{}[],\n\t\\~0.5_/";
    uint64_t seed = 7;
    (void)state;
    for (int i = 0; i < 3000; i++) {
        AUTO_BUF struct buf text;
        struct json_writer w;
        char value[12];
        size_t n = 0;
        for (size_t k = 0; k < 1 + (size_t)i % 11; k++) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            value[n++] = alphabet[(seed >> 33) % (sizeof alphabet - 1)];
        }
        buf_init(&text, MIB);
        json_writer_init(&w, &text);
        buf_add_text(
            &text, "{\"groups\":[{\"name\":\"g\",\"rules\":[{\"alert\":\"A\",\"expr\":\"up\",\"annotations\":{\"a\":");
        json_str(&w, (struct str){value, n});
        buf_add_text(&text, "}}]}]}");
        if (str_contains((struct str){value, n}, STR("{{"))) continue; /* a template */
        there_and_back(text.p);
    }
}

static void what_is_no_group(void **state) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf out;
    (void)state;
    arena_init(&a, 16 * MIB);
    buf_init(&out, MIB);
    static const char *const bad[] = {"", "[]", "1", "{", "{\"a\":", "\"x\""};
    for (size_t i = 0; i < LENGTH(bad); i++) {
        err e = rule_group_yaml(str_of(bad[i]), &a, &out);
        assert_non_null(e);
        err_free(e);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_stay_what_they_were),
        cmocka_unit_test(any_text_stays),
        cmocka_unit_test(what_is_no_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
