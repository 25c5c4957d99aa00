/* The rules' file: YAML by libfyaml, checked member by member so that errors have a line. */
#include <libfyaml.h>

#include "base/text.h"
#include "ingest/redact_priv.h"
#include "os/file.h"
#include "store/match/regex.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static const char no_list[] = "expected \"redact:\" and a list of rules";

struct reading {
    const char *file;
    struct redact_rules *rules;
};

void redact_rules_free(struct redact_rules *rules) {
    for (size_t i = 0; rules && i < rules->n; i++) {
        mem_free(rules->v[i].name);
        mem_free(rules->v[i].key);
        mem_free(rules->v[i].pattern);
    }
    mem_free(rules);
}

size_t redact_rules_count(const struct redact_rules *rules) { return rules->n; }
const char *redact_rule_name(const struct redact_rules *rules, size_t i) { return rules->v[i].name; }

/* ---- nodes -------------------------------------------------------------------------------------------------------- */

/* From 1; 0: unknown. A list or map has the line of its first scalar. */
static int line_of(struct fy_node *n) {
    while (n && !fy_node_is_scalar(n)) {
        void *at = NULL;
        struct fy_node_pair *pair = fy_node_is_mapping(n) ? fy_node_mapping_iterate(n, &at) : NULL;
        n = pair ? fy_node_pair_key(pair) : fy_node_is_sequence(n) ? fy_node_sequence_iterate(n, &at) : NULL;
    }
    const struct fy_mark *mark = n ? fy_token_start_mark(fy_node_get_scalar_token(n)) : NULL;
    return mark ? mark->line + 1 : 0;
}

static err at_line(const struct reading *r, int line, const char *what) {
    return err_new(ERR_INVALID, "%s:%d: %s", r->file, line, what);
}

/* The text of a scalar; p NULL if it is none. */
static struct str scalar(struct fy_node *n) {
    size_t size = 0;
    if (!n || !fy_node_is_scalar(n) || fy_node_is_alias(n)) return (struct str){NULL, 0};
    const char *p = fy_node_get_scalar(n, &size);
    return (struct str){p ? p : "", size};
}

/* ---- members of a rule -------------------------------------------------------------------------------------------- */

static err take_text(struct reading *r, struct fy_node *n, char **out) {
    struct str text = scalar(n);
    if (!text.n || memchr(text.p, 0, text.n)) return at_line(r, line_of(n), "expected text that is not empty");
    *out = str_dup(text);
    return NULL;
}

static err take_action(struct reading *r, struct fy_node *n, enum redact_action *out) {
    static const struct str names[] = {STR("drop"), STR("mask"), STR("hash")};
    struct str text = scalar(n);
    for (size_t i = 0; i < LENGTH(names); i++)
        if (str_equal(text, names[i])) {
            *out = (enum redact_action)i;
            return NULL;
        }
    return at_line(r, line_of(n), "do: expected drop, mask or hash");
}

static err take_place(struct reading *r, struct fy_node *n, uint32_t *places) {
    struct str text = scalar(n);
    for (int i = 0; i < PLACES; i++)
        if (str_equal(text, str_of(rewrite_place_names[i]))) {
            *places |= 1u << i;
            return NULL;
        }
    return at_line(r, line_of(n),
                   "in: expected a list of resource, scope, span, event, link, log, point, body, name or status");
}

static err take_places(struct reading *r, struct fy_node *n, uint32_t *places) {
    void *at = NULL;
    if (!fy_node_is_sequence(n)) return take_place(r, n, places);
    for (struct fy_node *item; (item = fy_node_sequence_iterate(n, &at));) TRY(take_place(r, item, places));
    return *places ? NULL : at_line(r, line_of(n), "in: expected at least one place");
}

/* Compiled here only to be judged; each redactor compiles its own. */
static err check_pattern(const struct reading *r, int line, const char *pattern) {
    struct regex *regex;
    struct str part;
    size_t end;
    err e = regex_compile(str_of(pattern), &regex);
    if (e) return err_wrap(e, "%s:%d: match", r->file, line);
    bool matches_nothing = regex_search(regex, STR(""), 0, &part, &end) == REGEX_FOUND;
    regex_free(regex);
    return matches_nothing ? at_line(r, line, "match: the pattern matches the empty text") : NULL;
}

static err take_member(struct reading *r, struct redact_rule *rule, struct fy_node *key, struct fy_node *value) {
    struct str name = scalar(key);
    if (str_equal(name, STR("name"))) return take_text(r, value, &rule->name);
    if (str_equal(name, STR("do"))) return take_action(r, value, &rule->action);
    if (str_equal(name, STR("key"))) return take_text(r, value, &rule->key);
    if (str_equal(name, STR("in"))) return take_places(r, value, &rule->places);
    if (!str_equal(name, STR("match"))) return at_line(r, line_of(key), "expected name, do, key, match or in");
    TRY(take_text(r, value, &rule->pattern));
    return check_pattern(r, line_of(value), rule->pattern);
}

static err take_rule(struct reading *r, struct fy_node *n) {
    if (r->rules->n == REDACT_RULES_MAX) return at_line(r, line_of(n), "more than 64 rules");
    if (!fy_node_is_mapping(n)) return at_line(r, line_of(n), "expected a rule: a map with do, and key or match");
    struct redact_rule *rule = &r->rules->v[r->rules->n++];
    *rule = (struct redact_rule){.line = line_of(n)};
    void *at = NULL;
    bool has_action = false;
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(n, &at));) {
        has_action |= str_equal(scalar(fy_node_pair_key(pair)), STR("do"));
        TRY(take_member(r, rule, fy_node_pair_key(pair), fy_node_pair_value(pair)));
    }
    if (!has_action) return at_line(r, rule->line, "the rule has no do: drop, mask or hash");
    if (!rule->key && !rule->pattern) return at_line(r, rule->line, "the rule has neither key nor match");
    if (!rule->places) rule->places = (1u << PLACES) - 1;
    if (rule->name) return NULL;
    char name[64];
    struct buf text;
    buf_init(&text, sizeof name);
    buf_add_fmt(&text, "rule at line %d", rule->line);
    rule->name = str_dup(buf_str(&text));
    buf_done(&text);
    return NULL;
}

static err take_rules(struct reading *r, struct fy_node *root) {
    struct fy_node *list = NULL;
    void *at = NULL;
    for (struct fy_node_pair *pair; root && fy_node_is_mapping(root) && (pair = fy_node_mapping_iterate(root, &at));) {
        if (!str_equal(scalar(fy_node_pair_key(pair)), STR("redact")))
            return at_line(r, line_of(fy_node_pair_key(pair)), "expected redact, and nothing beside it");
        list = fy_node_pair_value(pair);
    }
    if (!list || !fy_node_is_sequence(list)) return at_line(r, 1, no_list);
    at = NULL;
    for (struct fy_node *rule; (rule = fy_node_sequence_iterate(list, &at));) TRY(take_rule(r, rule));
    return NULL;
}

/* Errors are collected, not printed. */
static void print_nothing(struct fy_diag *diag, void *user, const char *text, size_t n) {
    (void)diag, (void)user, (void)text, (void)n;
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

static err yaml_error(const struct reading *r, struct fy_diag *diag) {
    void *at = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);
    if (!e) return at_line(r, 1, no_list); /* an empty file is no document */
    return err_new(ERR_INVALID, "%s:%d: not YAML: %s", r->file, e->line, e->msg ? e->msg : "");
}

/* What libfyaml 0.7.12 was seen to loop on: bytes that are not UTF-8, in directives (%YAML …), which no one needs here. */
static err check_text(const struct reading *r, struct str text) {
    struct str line;
    for (int n = 1; text.n; n++) {
        str_cut(text, '\n', &line, &text);
        if (!utf8_is_valid(line) || memchr(line.p, 0, line.n)) return at_line(r, n, "not UTF-8 text");
        if ((line.n && line.p[0] == '%') || str_contains(line, STR("\r%")))
            return at_line(r, n, "a directive of YAML is not taken");
    }
    return NULL;
}

err redact_rules_parse(struct str text, const char *name, struct redact_rules **out) {
    struct reading r = {.file = name};
    TRY(check_text(&r, text));
    r.rules = mem_new_of(struct redact_rules);
    struct fy_diag_cfg silent;
    fy_diag_cfg_default(&silent);
    silent.fp = NULL;
    silent.output_fn = print_nothing;
    struct fy_diag *diag = fy_diag_create(&silent);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg options = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE, .diag = diag};
    struct fy_document *document = fy_document_build_from_string(&options, text.n ? text.p : "", text.n);
    err e = document ? take_rules(&r, fy_document_root(document)) : yaml_error(&r, diag);
    fy_document_destroy(document);
    fy_diag_destroy(diag);
    if (e) {
        redact_rules_free(r.rules);
        return e;
    }
    *out = r.rules;
    return NULL;
}

err redact_rules_read(const char *path, struct redact_rules **out) {
    AUTO_BUF struct buf text = {0};
    TRY(file_read_all(path, FILE_BYTES_MAX, &text));
    return redact_rules_parse(buf_str(&text), path, out);
}
