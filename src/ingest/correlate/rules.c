/* The file of rules, checked member by member so that errors have a line. */
#include "base/yaml.h"
#include "ingest/correlate/correlate_priv.h"
#include "os/file.h"

enum { FILE_BYTES_MAX = 1 << 20, TREE_BYTES_MAX = 16 << 20, PREFIX_BYTES_MAX = 64 };

const char *const correlate_source_names[CORRELATE_SOURCES] = {"resource",   "attribute", "baggage",
                                                               "tracestate", "body",      "header"};

static void names_clear(struct correlate_names *names) {
    for (uint32_t i = 0; i < names->n; i++) mem_free((char *)(uintptr_t)names->v[i].p);
    names->n = 0;
}

static void names_add(struct correlate_names *names, struct str name) {
    names->v[names->n++] = (struct str){str_dup(name), name.n};
}

static void names_default(struct correlate_names *names, const char *const *texts) {
    for (; *texts; texts++) names_add(names, str_of(*texts));
}

struct correlate_rules *correlate_rules_new(void) {
    static const char *const attributes[] = {"correlation_id", "correlation.id", "correlationId", NULL};
    static const char *const baggage_keys[] = {"correlation_id", NULL};
    static const char *const body_keys[] = {"correlation_id", "correlationId", "request_id", "requestId", NULL};
    static const char *const headers[] = {"x-correlation-id", "x-request-id", "correlation-id", "request-id", NULL};
    struct correlate_rules *r = mem_new_of(struct correlate_rules);
    r->enabled = true;
    r->derive = true;
    r->prefix = str_dup(STR("clew"));
    names_default(&r->attributes, attributes);
    names_default(&r->baggage_keys, baggage_keys);
    names_default(&r->body_keys, body_keys);
    names_default(&r->headers, headers);
    return r;
}

void correlate_rules_free(struct correlate_rules *r) {
    if (!r) return;
    names_clear(&r->attributes);
    names_clear(&r->baggage_keys);
    names_clear(&r->body_keys);
    names_clear(&r->headers);
    mem_free(r->prefix);
    mem_free(r);
}

const char *correlate_prefix(const struct correlate_rules *rules) { return rules->prefix; }
bool correlate_derives(const struct correlate_rules *rules) { return rules->derive; }

/* ---- members ------------------------------------------------------------------------------------------------------ */

static err take_name(struct correlate_names *names, const struct yaml *y) {
    if (y->kind != YAML_SCALAR || !y->text.n || y->text.n > CORRELATE_NAME_BYTES_MAX)
        return yaml_err(y, "expected a name of 1 to %d bytes", CORRELATE_NAME_BYTES_MAX);
    if (names->n == CORRELATE_NAMES_MAX) return yaml_err(y, "more than %d names", CORRELATE_NAMES_MAX);
    if (correlate_find_name(names, y->text) < names->n) return yaml_err(y, "the name stands here twice");
    names_add(names, y->text);
    return NULL;
}

/* A list in place of the default one; empty: nothing is looked for there. */
static err take_names(struct correlate_names *names, const struct yaml *y) {
    names_clear(names);
    if (y->kind == YAML_SCALAR && !yaml_is_null(y)) return take_name(names, y);
    if (y->kind == YAML_MAP) return yaml_err(y, "expected a list of names");
    for (uint32_t i = 0; y->kind == YAML_LIST && i < y->n; i++) TRY(take_name(names, y->items[i]));
    return NULL;
}

/* What may stand in a header and in a URL as it is. */
static err take_prefix(char **prefix, const struct yaml *y) {
    struct str text = y->text;
    bool good = y->kind == YAML_SCALAR && text.n > 0 && text.n <= PREFIX_BYTES_MAX;
    for (size_t i = 0; good && i < text.n; i++) {
        char c = text.p[i], low = (char)(c | 0x20);
        good = (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
    }
    if (!good) return yaml_err(y, "prefix: expected 1 to %d letters, digits, -, _ or .", PREFIX_BYTES_MAX);
    mem_free(*prefix);
    *prefix = str_dup(text);
    return NULL;
}

static err take_member(struct correlate_rules *r, const struct yaml *key, const struct yaml *value) {
    struct {
        const char *name;
        struct correlate_names *names;
        bool *flag;
    } members[] = {
        {"attributes", &r->attributes, NULL}, {"baggage_keys", &r->baggage_keys, NULL},
        {"body_keys", &r->body_keys, NULL},   {"headers", &r->headers, NULL},
        {"enabled", NULL, &r->enabled},       {"body_nested", NULL, &r->body_nested},
        {"numbers", NULL, &r->numbers},       {"derive", NULL, &r->derive},
    };
    for (size_t i = 0; i < LENGTH(members); i++) {
        if (!str_equal(key->text, str_of(members[i].name))) continue;
        err e = members[i].names ? take_names(members[i].names, value) : yaml_bool(value, members[i].flag);
        return e;
    }
    if (str_equal(key->text, STR("prefix"))) return take_prefix(&r->prefix, value);
    return yaml_err(
        key, "expected enabled, attributes, baggage_keys, body_keys, body_nested, headers, numbers, prefix or derive");
}

static err take_map(struct correlate_rules *r, const struct yaml *map) {
    for (uint32_t i = 0; i < map->n; i++) TRY(take_member(r, map->keys[i], map->items[i]));
    return NULL;
}

static err take_all(struct correlate_rules *r, const struct yaml *root) {
    const struct yaml *map = yaml_get(root, "correlation");
    for (uint32_t i = 0; root->kind == YAML_MAP && i < root->n; i++)
        if (!str_equal(root->keys[i]->text, STR("correlation")))
            return yaml_err(root->keys[i], "expected correlation, and nothing beside it");
    if (!map || map->kind != YAML_MAP) return yaml_err(root, "expected \"correlation:\" and what it is made of");
    return take_map(r, map);
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

err correlate_rules_parse(struct str text, const char *name, struct correlate_rules **out) {
    AUTO_ARENA struct arena a;
    struct yaml *root;
    arena_init(&a, TREE_BYTES_MAX);
    TRY(yaml_read(text, name, &a, &root));
    struct correlate_rules *rules = correlate_rules_new();
    err e = take_all(rules, root);
    if (e)
        correlate_rules_free(rules);
    else
        *out = rules;
    return e;
}

err correlate_rules_of(const struct yaml *map, struct correlate_rules **out) {
    if (map->kind != YAML_MAP) return yaml_err(map, "expected what correlation is made of, or {}");
    struct correlate_rules *rules = correlate_rules_new();
    err e = take_map(rules, map);
    if (e)
        correlate_rules_free(rules);
    else
        *out = rules;
    return e;
}

err correlate_rules_read(const char *path, struct correlate_rules **out) {
    AUTO_BUF struct buf text = {0};
    TRY(file_read_all(path, FILE_BYTES_MAX, &text));
    return correlate_rules_parse(buf_str(&text), path, out);
}
