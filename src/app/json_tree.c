#include "app/json_tree.h"

#include "base/text.h"

enum { DEPTH_MAX = 100 };

static const struct json_node nothing = {.type = JSON_NULL};

static err add_node(struct arena *a, struct json_reader *r, enum json_token t, struct str key, struct json_node **out) {
    struct json_node *node = arena_new(a, struct json_node);
    if (!node) return arena_err(a);
    node->type = t;
    node->key = arena_copy(a, key);
    if (t == JSON_STRING || t == JSON_NUMBER) node->text = arena_copy(a, r->value);
    *out = node;
    return arena_err(a);
}

err json_tree_read(struct arena *a, struct str text, const struct json_node **out) {
    struct json_reader r;
    struct json_node *last[DEPTH_MAX + 1] = {NULL}, *open[DEPTH_MAX + 1] = {NULL}, *root = NULL;
    struct str key = {0};
    int depth = 0;
    err e = NULL;
    json_reader_init(&r, text, DEPTH_MAX);
    for (enum json_token t; !e && (t = json_next(&r)) != JSON_END;) {
        if (t == JSON_ERROR) {
            e = json_reader_err(&r);
        } else if (t == JSON_OBJECT_END || t == JSON_ARRAY_END) {
            depth--;
        } else if (t == JSON_KEY) {
            key = arena_copy(a, r.value);
        } else {
            struct json_node *node = NULL;
            e = add_node(a, &r, t, key, &node);
            if (e) break;
            key = (struct str){0};
            if (!root) root = node;
            if (last[depth])
                last[depth]->next = node;
            else if (depth)
                open[depth]->first = node;
            last[depth] = node;
            if (t == JSON_OBJECT || t == JSON_ARRAY) open[++depth] = node, last[depth] = NULL;
        }
    }
    json_reader_done(&r);
    if (e) return err_wrap(e, "the server's answer");
    *out = root ? root : &nothing;
    return NULL;
}

const struct json_node *json_tree_get(const struct json_node *object, const char *key) {
    for (const struct json_node *n = object->first; n; n = n->next)
        if (str_equal(n->key, str_of(key))) return n;
    return &nothing;
}

struct str json_tree_text(const struct json_node *object, const char *key) {
    struct str text = json_tree_get(object, key)->text;
    return text.p ? text : STR("");
}

int64_t json_tree_number(const struct json_node *object, const char *key) {
    int64_t v = 0;
    err_free(parse_i64(json_tree_text(object, key), &v));
    return v;
}
