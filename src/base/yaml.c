#include "base/yaml.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

struct reading {
    const char *file;
    struct str source;
    struct arena *a;
    uint32_t nodes;
};

static err at_line(const struct reading *r, int line, const char *what) {
    return err_new(ERR_INVALID, "%s:%d: %s", r->file, line, what);
}

/* ---- the text ------------------------------------------------------------------------------------------------------ */

enum { BRACKETS_OPEN_MAX = 1 << 16 };

/* libfyaml takes 340 to 540 bytes a token, and a text of 16 MiB may be as many tokens: what cannot be a tree within the limits, or is very unlikely to be
 * one (brackets and commas of texts count, too), is refused before it sees it. */
static err check_size(const struct reading *r, struct str text) {
    uint32_t values = 0, open = 0;
    int line = 1;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        line += c == '\n';
        values += c == ',' || c == '[' || c == '{' || c == '\n';
        if (c == '[' || c == '{')
            open++;
        else if ((c == ']' || c == '}') && open)
            open--;
        if (values > YAML_NODES_MAX) return at_line(r, line, "too many values");
        if (open > BRACKETS_OPEN_MAX) return at_line(r, line, "nested too deep");
    }
    return NULL;
}

/* What libfyaml 0.7.12 was seen to loop on: bytes that are not UTF-8, in directives (%YAML …), which no one needs here. */
static err check_text(const struct reading *r, struct str text) {
    struct str line;
    if (text.n > YAML_BYTES_MAX) return err_new(ERR_LIMIT, "%s: over %d MiB", r->file, YAML_BYTES_MAX >> 20);
    for (int n = 1; text.n; n++) {
        str_cut(text, '\n', &line, &text);
        if (!utf8_is_valid(line) || memchr(line.p, 0, line.n)) return at_line(r, n, "not UTF-8 text");
        if ((line.n && line.p[0] == '%') || str_contains(line, STR("\r%")))
            return at_line(r, n, "a directive of YAML is not taken");
    }
    return NULL;
}

/* ---- nodes --------------------------------------------------------------------------------------------------------- */

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

static err take_node(struct reading *r, struct fy_node *n, int line, int depth, struct yaml **out);

/* libfyaml 0.7.12 loses memory, 32 times what it reads, for a text in single quotes with more than a few '' in a line: such a text is taken from
 * the source. p NULL: it is none. */
static struct str quoted_line(const struct reading *r, struct fy_node *n) {
    if (!n || fy_node_get_style(n) != FYNS_SINGLE_QUOTED) return (struct str){0};
    struct fy_token *token = fy_node_get_scalar_token(n);
    const struct fy_mark *start = token ? fy_token_start_mark(token) : NULL,
                         *end = token ? fy_token_end_mark(token) : NULL;
    if (!start || !end || start->input_pos > end->input_pos || end->input_pos > r->source.n) return (struct str){0};
    struct str text = str_span(r->source.p + start->input_pos, end->input_pos - start->input_pos);
    bool one_line = !memchr(text.p, '\n', text.n) && !memchr(text.p, '\r', text.n);
    return one_line ? text : (struct str){0};
}

static err unquote(struct reading *r, struct str quoted, struct str *out) {
    char *to = arena_alloc(r->a, quoted.n + 1);
    size_t n = 0;
    if (!to) return arena_err(r->a);
    for (size_t i = 0; i < quoted.n; i++) {
        to[n++] = quoted.p[i];
        i += quoted.p[i] == '\'';
    }
    to[n] = 0;
    *out = (struct str){to, n};
    return NULL;
}

static err take_scalar(struct reading *r, struct fy_node *n, struct yaml *y) {
    size_t size = 0;
    struct str quoted = quoted_line(r, n);
    if (quoted.p) {
        y->quoted = true;
        return unquote(r, quoted, &y->text);
    }
    const char *p = n ? fy_node_get_scalar(n, &size) : NULL;
    y->text = arena_copy(r->a, (struct str){p ? p : "", p ? size : 0});
    y->quoted = n && fy_node_get_style(n) != FYNS_PLAIN;
    return arena_err(r->a);
}

static err take_list(struct reading *r, struct fy_node *n, int depth, struct yaml *y) {
    void *at = NULL;
    y->kind = YAML_LIST;
    y->items = arena_array(r->a, struct yaml *, fy_node_sequence_item_count(n) + 1);
    TRY(arena_err(r->a));
    for (struct fy_node *item; (item = fy_node_sequence_iterate(n, &at));)
        TRY(take_node(r, item, y->line, depth + 1, &y->items[y->n++]));
    return NULL;
}

static bool is_merge(const struct yaml *key) { return !key->quoted && str_equal(key->text, STR("<<")); }

/* Members that are in y already, count. */
static err merge_map(struct reading *r, struct yaml *y, const struct yaml *from) {
    if (from->kind != YAML_MAP) return at_line(r, y->line, "<<: expected a map, or a list of maps");
    struct yaml **keys = arena_array(r->a, struct yaml *, y->n + from->n + 1);
    struct yaml **items = arena_array(r->a, struct yaml *, y->n + from->n + 1);
    TRY(arena_err(r->a));
    memcpy(keys, y->keys, y->n * sizeof *keys);
    memcpy(items, y->items, y->n * sizeof *items);
    uint32_t own = y->n;
    for (uint32_t i = 0; i < from->n; i++) {
        bool there = false;
        for (uint32_t k = 0; k < own && !there; k++) there = str_equal(keys[k]->text, from->keys[i]->text);
        if (there) continue;
        keys[y->n] = from->keys[i];
        items[y->n++] = from->items[i];
    }
    y->keys = keys;
    y->items = items;
    return NULL;
}

static err merge(struct reading *r, struct yaml *y, const struct yaml *from) {
    if (from->kind != YAML_LIST) return merge_map(r, y, from);
    for (uint32_t i = 0; i < from->n; i++) TRY(merge_map(r, y, from->items[i]));
    return NULL;
}

static err take_map(struct reading *r, struct fy_node *n, int depth, struct yaml *y) {
    void *at = NULL;
    size_t room = (size_t)fy_node_mapping_item_count(n) + 1;
    const struct yaml *merged = NULL;
    y->kind = YAML_MAP;
    y->keys = arena_array(r->a, struct yaml *, room);
    y->items = arena_array(r->a, struct yaml *, room);
    TRY(arena_err(r->a));
    for (struct fy_node_pair *pair; (pair = fy_node_mapping_iterate(n, &at));) {
        struct yaml *key, *item;
        TRY(take_node(r, fy_node_pair_key(pair), y->line, depth + 1, &key));
        if (key->kind != YAML_SCALAR) return at_line(r, key->line, "a key is text");
        TRY(take_node(r, fy_node_pair_value(pair), key->line, depth + 1, &item));
        if (is_merge(key)) {
            merged = item;
            continue;
        }
        y->keys[y->n] = key;
        y->items[y->n++] = item;
    }
    return merged ? merge(r, y, merged) : NULL;
}

/* `line`: where it is if it does not say. */
static err take_node(struct reading *r, struct fy_node *n, int line, int depth, struct yaml **out) {
    int own = n ? line_of(n) : 0;
    if (n && fy_node_is_alias(n)) {
        n = fy_node_resolve_alias(n);
        if (!n) return at_line(r, own ? own : line, "an alias of nothing");
    }
    if (depth > YAML_DEPTH_MAX) return at_line(r, own ? own : line, "nested too deep");
    if (r->nodes++ >= YAML_NODES_MAX) return at_line(r, own ? own : line, "too many values, those of aliases included");
    struct yaml *y = arena_new(r->a, struct yaml);
    TRY(arena_err(r->a));
    *y = (struct yaml){.line = own ? own : line, .file = r->file};
    *out = y;
    if (n && fy_node_is_mapping(n)) return take_map(r, n, depth, y);
    if (n && fy_node_is_sequence(n)) return take_list(r, n, depth, y);
    return take_scalar(r, n, y);
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static err not_yaml(const struct reading *r, struct fy_diag *diag) {
    void *at = NULL;
    struct fy_diag_error *e = fy_diag_errors_iterate(diag, &at);
    return e ? err_new(ERR_INVALID, "%s:%d: not YAML: %s", r->file, e->line, e->msg ? e->msg : "") : NULL;
}

static bool is_nothing(struct fy_node *root) {
    return !root || (fy_node_is_scalar(root) && !fy_node_is_alias(root) &&
                     fy_node_get_style(root) != FYNS_SINGLE_QUOTED && fy_node_get_scalar(root, &(size_t){0}) == NULL);
}

static err take_root(struct reading *r, struct fy_node *root, struct yaml **out) {
    if (!is_nothing(root)) return take_node(r, root, 1, 0, out);
    *out = arena_new(r->a, struct yaml);
    TRY(arena_err(r->a));
    **out = (struct yaml){.kind = YAML_MAP, .line = 1, .file = r->file};
    return NULL;
}

/* Errors are collected, not printed. */
static void print_nothing(struct fy_diag *diag, void *user, const char *text, size_t n) {
    (void)diag, (void)user, (void)text, (void)n;
}

err yaml_read(struct str text, const char *file, struct arena *a, struct yaml **out) {
    struct reading r = {.file = file, .source = text, .a = a};
    struct fy_diag_cfg silent;
    TRY(check_text(&r, text));
    TRY(check_size(&r, text));
    r.file = arena_copy(a, str_of(file)).p;
    TRY(arena_err(a));
    fy_diag_cfg_default(&silent);
    silent.fp = NULL;
    silent.output_fn = print_nothing;
    struct fy_diag *diag = fy_diag_create(&silent);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg options = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE, .diag = diag};
    struct fy_document *document = fy_document_build_from_string(&options, text.n ? text.p : "", text.n);
    err e = document ? NULL : not_yaml(&r, diag);
    if (!e) e = take_root(&r, document ? fy_document_root(document) : NULL, out);
    fy_document_destroy(document);
    fy_diag_destroy(diag);
    return e;
}

/* ---- asking --------------------------------------------------------------------------------------------------------- */

struct yaml *yaml_get(const struct yaml *y, const char *key) {
    for (uint32_t i = 0; y && y->kind == YAML_MAP && i < y->n; i++)
        if (str_equal(y->keys[i]->text, str_of(key))) return y->items[i];
    return NULL;
}

bool yaml_is_null(const struct yaml *y) {
    static const struct str names[] = {STR(""), STR("~"), STR("null"), STR("Null"), STR("NULL")};
    if (!y) return true;
    if (y->kind != YAML_SCALAR || y->quoted) return false;
    for (size_t i = 0; i < LENGTH(names); i++)
        if (str_equal(y->text, names[i])) return true;
    return false;
}

err yaml_err(const struct yaml *at, const char *format, ...) {
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    return err_new(ERR_INVALID, "%s:%d: %s", at->file, at->line, text);
}

err yaml_text(const struct yaml *y, struct str *out) {
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_SCALAR) return yaml_err(y, "expected text, not a %s", y->kind == YAML_LIST ? "list" : "map");
    *out = y->text;
    return NULL;
}

err yaml_bool(const struct yaml *y, bool *out) {
    struct str text = {0};
    TRY(yaml_text(y, &text));
    if (yaml_is_null(y)) return NULL;
    bool yes = str_equal(text, STR("true"));
    if (y->quoted || (!yes && !str_equal(text, STR("false")))) return yaml_err(y, "expected true or false");
    *out = yes;
    return NULL;
}

err yaml_u64(const struct yaml *y, uint64_t *out) {
    struct str text = {0};
    TRY(yaml_text(y, &text));
    if (yaml_is_null(y)) return NULL;
    err e = parse_u64(text, out);
    return e ? err_wrap(e, "%s:%d", y->file, y->line) : NULL;
}

err yaml_duration(const struct yaml *y, int64_t *out_ns) {
    struct str text = {0};
    TRY(yaml_text(y, &text));
    if (yaml_is_null(y)) return NULL;
    err e = parse_duration(text, out_ns);
    return e ? err_wrap(e, "%s:%d", y->file, y->line) : NULL;
}

err yaml_only(const struct yaml *y, const char *const *names) {
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "expected a map");
    for (uint32_t i = 0; i < y->n; i++) {
        bool known = false;
        for (size_t k = 0; names[k] && !known; k++) known = str_equal(y->keys[i]->text, str_of(names[k]));
        if (!known)
            return yaml_err(y->keys[i], "unknown key \"%.*s\"", (int)MIN(y->keys[i]->text.n, (size_t)80),
                            y->keys[i]->text.p);
    }
    return NULL;
}
