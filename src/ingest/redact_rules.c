/* The rules' file, checked member by member so that errors have a line. */
#include <stdio.h>

#include "base/yaml.h"
#include "ingest/redact_priv.h"
#include "os/file.h"
#include "store/match/regex.h"

enum { FILE_BYTES_MAX = 1 << 20, TREE_BYTES_MAX = 64 << 20 };

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

/* ---- members of a rule -------------------------------------------------------------------------------------------- */

static err take_text(const struct yaml *y, char **out) {
    struct str text = y->text;
    if (y->kind != YAML_SCALAR || !text.n || memchr(text.p, 0, text.n))
        return yaml_err(y, "expected text that is not empty");
    *out = str_dup(text);
    return NULL;
}

static err take_action(const struct yaml *y, enum redact_action *out) {
    static const struct str names[] = {STR("drop"), STR("mask"), STR("hash")};
    for (size_t i = 0; i < LENGTH(names); i++)
        if (str_equal(y->text, names[i])) {
            *out = (enum redact_action)i;
            return NULL;
        }
    return yaml_err(y, "do: expected drop, mask or hash");
}

static err take_place(const struct yaml *y, uint32_t *places) {
    for (int i = 0; i < PLACES; i++)
        if (str_equal(y->text, str_of(rewrite_place_names[i]))) {
            *places |= 1u << i;
            return NULL;
        }
    return yaml_err(y, "in: expected a list of resource, scope, span, event, link, log, point, body, name or status");
}

static err take_places(const struct yaml *y, uint32_t *places) {
    if (y->kind != YAML_LIST) return take_place(y, places);
    for (uint32_t i = 0; i < y->n; i++) TRY(take_place(y->items[i], places));
    return *places ? NULL : yaml_err(y, "in: expected at least one place");
}

/* Compiled here only to be judged; each redactor compiles its own. */
static err check_pattern(const struct yaml *y, const char *pattern) {
    struct regex *regex;
    struct str part;
    size_t end;
    err e = regex_compile(str_of(pattern), &regex);
    if (e) return err_wrap(e, "%s:%d: match", y->file, y->line);
    bool matches_nothing = regex_search(regex, STR(""), 0, &part, &end) == REGEX_FOUND;
    regex_free(regex);
    return matches_nothing ? yaml_err(y, "match: the pattern matches the empty text") : NULL;
}

static err take_member(struct redact_rule *rule, const struct yaml *key, const struct yaml *value) {
    if (str_equal(key->text, STR("name"))) return take_text(value, &rule->name);
    if (str_equal(key->text, STR("do"))) return take_action(value, &rule->action);
    if (str_equal(key->text, STR("key"))) return take_text(value, &rule->key);
    if (str_equal(key->text, STR("in"))) return take_places(value, &rule->places);
    if (!str_equal(key->text, STR("match"))) return yaml_err(key, "expected name, do, key, match or in");
    TRY(take_text(value, &rule->pattern));
    return check_pattern(value, rule->pattern);
}

static err take_rule(struct redact_rules *rules, const struct yaml *y) {
    if (rules->n == REDACT_RULES_MAX) return yaml_err(y, "more than 64 rules");
    if (y->kind != YAML_MAP) return yaml_err(y, "expected a rule: a map with do, and key or match");
    struct redact_rule *rule = &rules->v[rules->n++];
    *rule = (struct redact_rule){.line = y->line};
    for (uint32_t i = 0; i < y->n; i++) TRY(take_member(rule, y->keys[i], y->items[i]));
    if (!yaml_get(y, "do")) return yaml_err(y, "the rule has no do: drop, mask or hash");
    if (!rule->key && !rule->pattern) return yaml_err(y, "the rule has neither key nor match");
    if (!rule->places) rule->places = (1u << PLACES) - 1;
    if (rule->name) return NULL;
    char name[64];
    snprintf(name, sizeof name, "rule at line %d", rule->line);
    rule->name = str_dup(str_of(name));
    return NULL;
}

static err take_rules(struct redact_rules *rules, const struct yaml *root) {
    const struct yaml *list = yaml_get(root, "redact");
    for (uint32_t i = 0; root->kind == YAML_MAP && i < root->n; i++)
        if (!str_equal(root->keys[i]->text, STR("redact")))
            return yaml_err(root->keys[i], "expected redact, and nothing beside it");
    if (!list || list->kind != YAML_LIST) return yaml_err(root, "expected \"redact:\" and a list of rules");
    for (uint32_t i = 0; i < list->n; i++) TRY(take_rule(rules, list->items[i]));
    return NULL;
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

err redact_rules_parse(struct str text, const char *name, struct redact_rules **out) {
    AUTO_ARENA struct arena a;
    struct yaml *root;
    arena_init(&a, TREE_BYTES_MAX);
    TRY(yaml_read(text, name, &a, &root));
    struct redact_rules *rules = mem_new_of(struct redact_rules);
    err e = take_rules(rules, root);
    if (e)
        redact_rules_free(rules);
    else
        *out = rules;
    return e;
}

err redact_rules_read(const char *path, struct redact_rules **out) {
    AUTO_BUF struct buf text = {0};
    TRY(file_read_all(path, FILE_BYTES_MAX, &text));
    return redact_rules_parse(buf_str(&text), path, out);
}
