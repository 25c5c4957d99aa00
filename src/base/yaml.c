#include "base/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "base/text.h"
#include "base/yaml_priv.h"

/* An anchor lies in a list sorted by name: a table by hash would be slow for names that someone chose so. */
struct anchor {
    struct str name;
    struct yaml *what;
    uint32_t nodes;
    size_t bytes;
    int height;
    bool open; /* what it names is being read */
};

struct reading {
    struct builder b;
    yaml_parser_t parser;
    yaml_event_t event; /* the one at hand */
    VEC(struct anchor) anchors;
    int deepest; /* of what is being read */
};

static int line_here(const struct reading *r) { return (int)r->event.start_mark.line + 1; }

/* ---- the text ------------------------------------------------------------------------------------------------------ */

/* What ends a line for libyaml, and the mark that may begin a text. */
static bool begins_line(struct str text, size_t at) {
    static const struct str ends[] = {STR("\n"), STR("\r"), STR("\xc2\x85"), STR("\xe2\x80\xa8"), STR("\xe2\x80\xa9")};
    struct str before = {text.p, at};
    bool begins = at == 0 || (at == 3 && str_equal(before, STR("\xef\xbb\xbf")));
    for (size_t i = 0; i < LENGTH(ends) && !begins; i++) begins = str_ends_with(before, ends[i]);
    return begins;
}

static int line_at(struct str text, size_t at) {
    int line = 1;
    for (size_t i = 0; i < at && i < text.n; i++) line += text.p[i] == '\n';
    return line;
}

/* Directives (%TAG …) are compared each with each by libyaml, and no one needs them here. */
static err check_text(const struct builder *b, struct str text) {
    struct str line, rest = text;
    if (text.n > YAML_BYTES_MAX) return err_new(ERR_LIMIT, "%s: over %d MiB", b->file, YAML_BYTES_MAX >> 20);
    for (int n = 1; rest.n; n++) {
        str_cut(rest, '\n', &line, &rest);
        if (!utf8_is_valid(line) || memchr(line.p, 0, line.n)) return builder_at_line(b, n, "not UTF-8 text");
    }
    for (const char *p = text.p; text.n && (p = memchr(p, '%', text.n - (size_t)(p - text.p))); p++)
        if (begins_line(text, (size_t)(p - text.p)))
            return builder_at_line(b, line_at(text, (size_t)(p - text.p)), "a directive of YAML is not taken");
    return NULL;
}

/* ---- anchors --------------------------------------------------------------------------------------------------------- */

/* Where the name is, or would be. */
static size_t find_anchor(const struct reading *r, struct str name, bool *out_is) {
    size_t low = 0, high = r->anchors.n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_compare(r->anchors.v[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_is = low < r->anchors.n && str_equal(r->anchors.v[low].name, name);
    return low;
}

static err open_anchor(struct reading *r, struct str name, struct yaml *what) {
    bool is;
    size_t at = find_anchor(r, name, &is);
    if (!is) {
        if (r->anchors.n >= YAML_ANCHORS_MAX) return builder_at_line(&r->b, what->line, "too many anchors");
        vec_push(&r->anchors);
        memmove(&r->anchors.v[at + 1], &r->anchors.v[at], (r->anchors.n - 1 - at) * sizeof *r->anchors.v);
    }
    r->anchors.v[at] = (struct anchor){
        .name = name, .what = what, .nodes = r->b.nodes - 1, .bytes = r->b.bytes, .height = -1, .open = true};
    return NULL;
}

/* One of the same name inside of it is the later one, and stays. */
static void close_anchor(struct reading *r, struct str name, const struct yaml *what, int depth) {
    bool is;
    struct anchor *x = &r->anchors.v[find_anchor(r, name, &is)];
    if (!is || x->what != what) return;
    x->nodes = r->b.nodes - x->nodes;
    x->bytes = r->b.bytes - x->bytes;
    x->height = r->deepest - depth;
    x->open = false;
}

/* It is the tree itself, not a copy; but it counts as one, since who reads the tree sees it again. */
static err take_alias(struct reading *r, int depth, struct yaml **out) {
    bool is;
    size_t at = find_anchor(r, str_of((const char *)r->event.data.alias.anchor), &is);
    if (!is) return builder_at_line(&r->b, line_here(r), "an alias of nothing");
    const struct anchor *x = &r->anchors.v[at];
    if (x->open) return builder_at_line(&r->b, line_here(r), "an alias of what it stands in");
    if (depth + x->height > YAML_DEPTH_MAX) return builder_at_line(&r->b, line_here(r), "nested too deep");
    TRY(builder_count(&r->b, line_here(r), x->nodes, x->bytes));
    r->deepest = MAX(r->deepest, depth + x->height);
    *out = x->what;
    return NULL;
}

/* ---- nodes --------------------------------------------------------------------------------------------------------- */

static err not_yaml(const struct reading *r) {
    const yaml_parser_t *p = &r->parser;
    bool has_mark = p->error == YAML_SCANNER_ERROR || p->error == YAML_PARSER_ERROR;
    size_t line = has_mark ? p->problem_mark.line : p->mark.line;
    return err_new(ERR_INVALID, "%s:%zu: not YAML: %s", r->b.file, line + 1, p->problem ? p->problem : "no memory");
}

static err next(struct reading *r) {
    yaml_event_delete(&r->event);
    return yaml_parser_parse(&r->parser, &r->event) ? NULL : not_yaml(r);
}

static err take_node(struct reading *r, int depth, struct yaml **out);

static err take_list(struct reading *r, int depth, struct yaml *y) {
    size_t from = r->b.open.n;
    for (;;) {
        struct yaml *item;
        TRY(next(r));
        if (r->event.type == YAML_SEQUENCE_END_EVENT) return builder_list(&r->b, y, from);
        TRY(take_node(r, depth + 1, &item));
        *vec_push(&r->b.open) = item;
    }
}

static bool is_merge(const struct yaml *key) { return !key->quoted && str_equal(key->text, STR("<<")); }

static err merge(struct reading *r, const struct yaml *y, const struct yaml *from) {
    uint32_t n = from->kind == YAML_LIST ? from->n : 1;
    for (uint32_t i = 0; i < n; i++) {
        const struct yaml *map = from->kind == YAML_LIST ? from->items[i] : from;
        if (map->kind != YAML_MAP) return builder_at_line(&r->b, y->line, "<<: expected a map, or a list of maps");
        for (uint32_t k = 0; k < map->n; k++) {
            *vec_push(&r->b.open) = map->keys[k];
            *vec_push(&r->b.open) = map->items[k];
        }
    }
    return NULL;
}

static err take_map(struct reading *r, int depth, struct yaml *y) {
    size_t from = r->b.open.n;
    const struct yaml *merged = NULL;
    for (;;) {
        struct yaml *key, *item;
        TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) break;
        TRY(take_node(r, depth + 1, &key));
        if (key->kind != YAML_SCALAR) return builder_at_line(&r->b, key->line, "a key is text");
        TRY(next(r));
        TRY(take_node(r, depth + 1, &item));
        if (is_merge(key)) {
            if (merged) return builder_at_line(&r->b, key->line, "not YAML: duplicate key");
            merged = item;
            continue;
        }
        *vec_push(&r->b.open) = key;
        *vec_push(&r->b.open) = item;
    }
    uint32_t own = (uint32_t)(r->b.open.n - from) / 2;
    if (merged) TRY(merge(r, y, merged));
    return builder_map(&r->b, y, from, own, false);
}

static const char *anchor_here(const struct reading *r) {
    const yaml_event_t *e = &r->event;
    const yaml_char_t *name = e->type == YAML_MAPPING_START_EVENT    ? e->data.mapping_start.anchor
                              : e->type == YAML_SEQUENCE_START_EVENT ? e->data.sequence_start.anchor
                                                                     : e->data.scalar.anchor;
    return (const char *)name;
}

static err take_content(struct reading *r, int depth, struct yaml *y) {
    if (y->kind == YAML_MAP) return take_map(r, depth, y);
    if (y->kind == YAML_LIST) return take_list(r, depth, y);
    yaml_scalar_style_t style = r->event.data.scalar.style;
    y->quoted = style != YAML_PLAIN_SCALAR_STYLE;
    y->line +=
        style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE; /* its first, not that of the | */
    return builder_scalar(&r->b, y, str_span(r->event.data.scalar.value, r->event.data.scalar.length));
}

/* The event at hand begins it. */
static err take_node(struct reading *r, int depth, struct yaml **out) {
    if (r->event.type == YAML_ALIAS_EVENT) return take_alias(r, depth, out);
    enum yaml_kind kind = r->event.type == YAML_MAPPING_START_EVENT    ? YAML_MAP
                          : r->event.type == YAML_SEQUENCE_START_EVENT ? YAML_LIST
                                                                       : YAML_SCALAR;
    struct yaml *y = builder_node(&r->b, kind, line_here(r), depth);
    if (!y) return builder_fault(&r->b, line_here(r), depth);
    struct str anchor = {0};
    int outside = r->deepest;
    if (anchor_here(r)) {
        anchor = arena_copy(r->b.a, str_of(anchor_here(r)));
        TRY(arena_err(r->b.a));
        TRY(open_anchor(r, anchor, y));
    }
    r->deepest = depth;
    TRY(take_content(r, depth, y));
    if (anchor.p) close_anchor(r, anchor, y, depth);
    r->deepest = MAX(r->deepest, outside);
    *out = y;
    return NULL;
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static bool is_nothing(const yaml_event_t *e) {
    return e->type == YAML_SCALAR_EVENT && e->data.scalar.length == 0 && !e->data.scalar.anchor &&
           !e->data.scalar.tag && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

/* Of the first document; the others are not looked at. */
static err take_document(struct reading *r, struct yaml **out) {
    TRY(next(r)); /* the stream */
    TRY(next(r)); /* a document, or the end */
    bool none = r->event.type == YAML_STREAM_END_EVENT;
    if (!none) TRY(next(r));
    if (none || is_nothing(&r->event)) {
        struct yaml *y = builder_node(&r->b, YAML_MAP, 1, 0);
        if (!y) return builder_fault(&r->b, 1, 0);
        *out = y;
        return none ? NULL : next(r);
    }
    struct yaml *y;
    TRY(take_node(r, 0, &y));
    TRY(next(r));
    *out = y;
    return NULL;
}

err yaml_read(struct str text, const char *file, struct arena *a, struct yaml **out) {
    struct reading r = {0};
    TRY(builder_init(&r.b, file, a));
    err e = check_text(&r.b, text);
    if (e) return e;
    if (!yaml_parser_initialize(&r.parser)) return err_new(ERR_LIMIT, "%s: no memory", file);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    e = take_document(&r, out);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    vec_done(&r.anchors);
    builder_done(&r.b);
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
