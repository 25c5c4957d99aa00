/* Nodes of a tree, counted; lists and maps out of what lies open. */
#include "base/yaml_priv.h"

#include <stdlib.h>

err builder_init(struct builder *b, const char *file, struct arena *a) {
    *b = (struct builder){.file = arena_copy(a, str_of(file)).p, .a = a};
    return arena_err(a);
}

void builder_done(struct builder *b) { vec_done(&b->open); }

err builder_at_line(const struct builder *b, int line, const char *what) {
    return err_new(ERR_INVALID, "%s:%d: %s", b->file, line, what);
}

err builder_count(struct builder *b, int line, uint32_t nodes, size_t bytes) {
    if (nodes > YAML_NODES_MAX - b->nodes)
        return builder_at_line(b, line, "too many values, those of aliases included");
    if (bytes > YAML_BYTES_MAX - b->bytes) return builder_at_line(b, line, "too much text, that of aliases included");
    b->nodes += nodes;
    b->bytes += bytes;
    return NULL;
}

struct yaml *builder_node(struct builder *b, enum yaml_kind kind, int line, int depth) {
    if (depth > YAML_DEPTH_MAX || b->nodes >= YAML_NODES_MAX) return NULL;
    struct yaml *y = arena_new(b->a, struct yaml);
    if (!y) return NULL;
    b->nodes++;
    *y = (struct yaml){.kind = kind, .line = line, .file = b->file};
    return y;
}

err builder_fault(const struct builder *b, int line, int depth) {
    TRY(arena_err(b->a));
    return builder_at_line(b, line,
                           depth > YAML_DEPTH_MAX ? "nested too deep" : "too many values, those of aliases included");
}

err builder_scalar(struct builder *b, struct yaml *y, struct str text) {
    TRY(builder_count(b, y->line, 0, text.n));
    y->text = arena_copy(b->a, text);
    return arena_err(b->a);
}

err builder_list(struct builder *b, struct yaml *y, size_t from) {
    uint32_t n = (uint32_t)(b->open.n - from);
    y->items = arena_array(b->a, struct yaml *, (size_t)n + 1);
    TRY(arena_err(b->a));
    if (n) memcpy(y->items, b->open.v + from, n * sizeof *y->items);
    y->n = n;
    b->open.n = from;
    return NULL;
}

/* ---- maps ------------------------------------------------------------------------------------------------------------- */

struct member {
    struct str key;
    uint32_t at;
};

static int by_key(const void *x, const void *y) {
    const struct member *a = x, *b = y;
    int order = str_compare(a->key, b->key);
    return order ? order : a->at < b->at ? -1 : a->at > b->at;
}

/* Sorted, not hashed: no choice of keys makes it slow. Members that do not count lose their item. Returns the first of the first `own` that stood before, else
 * `own`; with `last`, what stood before goes. */
static uint32_t drop_repeated(struct yaml **pairs, uint32_t n, uint32_t own, bool last) {
    uint32_t repeated = own;
    struct member *members = mem_new_array(struct member, n);
    for (uint32_t i = 0; i < n; i++) members[i] = (struct member){pairs[2 * (size_t)i]->text, i};
    qsort(members, n, sizeof *members, by_key);
    for (uint32_t i = 1; i < n; i++) {
        if (!str_equal(members[i - 1].key, members[i].key)) continue;
        if (!last) repeated = MIN(repeated, members[i].at);
        pairs[2 * (size_t)members[last ? i - 1 : i].at + 1] = NULL;
    }
    mem_free(members);
    return repeated;
}

err builder_map(struct builder *b, struct yaml *y, size_t from, uint32_t own, bool last) {
    struct yaml **pairs = b->open.v + from;
    uint32_t n = (uint32_t)(b->open.n - from) / 2;
    y->keys = arena_array(b->a, struct yaml *, (size_t)n + 1);
    y->items = arena_array(b->a, struct yaml *, (size_t)n + 1);
    TRY(arena_err(b->a));
    uint32_t repeated = n > 1 ? drop_repeated(pairs, n, own, last) : own;
    if (repeated < own) return builder_at_line(b, pairs[2 * (size_t)repeated]->line, "not YAML: duplicate key");
    for (uint32_t i = 0; i < n; i++) {
        if (!pairs[2 * (size_t)i + 1]) continue;
        y->keys[y->n] = pairs[2 * (size_t)i];
        y->items[y->n++] = pairs[2 * (size_t)i + 1];
    }
    b->open.n = from;
    return NULL;
}
