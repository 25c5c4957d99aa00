/* Any bytes as YAML and as JSON: read or refused; a tree that is read keeps what the door promises. */
#include <stdlib.h>

#include "base/text.h"
#include "base/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t check_tree(const struct yaml *y, int depth) {
    uint32_t nodes = 1;
    if (!y || depth > YAML_DEPTH_MAX || y->line < 1 || !y->file) abort();
    if (y->kind == YAML_SCALAR) {
        if (y->n || y->text.p[y->text.n] || !utf8_is_valid(y->text)) abort();
        return 1;
    }
    for (uint32_t i = 0; i < y->n; i++) {
        if (y->kind == YAML_MAP && y->keys[i]->kind != YAML_SCALAR) abort();
        nodes += check_tree(y->items[i], depth + 1);
    }
    if (nodes > YAML_NODES_MAX) abort();
    return nodes;
}

static void read_one(err (*read)(struct str, const char *, struct arena *, struct yaml **), struct str text) {
    AUTO_ARENA struct arena a;
    struct yaml *y = NULL;
    arena_init(&a, 64 * MIB);
    err e = read(text, "f", &a, &y);
    if (!e) check_tree(y, 0);
    if (!e && y->kind == YAML_MAP && y->n && !yaml_get(y, y->keys[0]->text.p) &&
        !memchr(y->keys[0]->text.p, 0, y->keys[0]->text.n))
        abort();
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_span(data, size);
    read_one(yaml_read, text);
    read_one(yaml_read_json, text);
    return 0;
}
