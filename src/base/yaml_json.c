/* JSON as a tree of base/yaml.h: strictly one value. */
#include "base/json.h"
#include "base/yaml_priv.h"

struct reading {
    struct builder b;
    struct json_reader r;
    size_t seen; /* up to where lines are counted */
    int line;
};

static int line_here(struct reading *x) {
    for (; x->seen < x->r.token && x->seen < x->r.text.n; x->seen++) x->line += x->r.text.p[x->seen] == '\n';
    return x->line;
}

static err not_json(struct reading *x) {
    err e = json_reader_err(&x->r);
    x->r.token = x->r.at;
    return err_wrap(e ? e : err_new(ERR_INVALID, "nothing where a value is due"), "%s:%d: not JSON", x->b.file,
                    line_here(x));
}

static err take_value(struct reading *x, enum json_token t, int depth, struct yaml **out);

static err take_array(struct reading *x, int depth, struct yaml *y) {
    size_t from = x->b.open.n;
    enum json_token t;
    while ((t = json_next(&x->r)) != JSON_ARRAY_END) {
        struct yaml *item;
        TRY(take_value(x, t, depth + 1, &item));
        *vec_push(&x->b.open) = item;
    }
    return builder_list(&x->b, y, from);
}

static err take_object(struct reading *x, int depth, struct yaml *y) {
    size_t from = x->b.open.n;
    enum json_token t;
    while ((t = json_next(&x->r)) != JSON_OBJECT_END) {
        struct yaml *key, *item;
        TRY(take_value(x, t, depth + 1, &key));
        TRY(take_value(x, json_next(&x->r), depth + 1, &item));
        *vec_push(&x->b.open) = key;
        *vec_push(&x->b.open) = item;
    }
    return builder_map(&x->b, y, from, (uint32_t)(x->b.open.n - from) / 2, true);
}

static struct str text_of(const struct reading *x, enum json_token t) {
    bool has_value = t == JSON_KEY || t == JSON_STRING || t == JSON_NUMBER;
    return has_value ? x->r.value : t == JSON_TRUE ? STR("true") : t == JSON_FALSE ? STR("false") : STR("null");
}

static err take_value(struct reading *x, enum json_token t, int depth, struct yaml **out) {
    if (t == JSON_ERROR || t == JSON_END) return not_json(x);
    enum yaml_kind kind = t == JSON_OBJECT ? YAML_MAP : t == JSON_ARRAY ? YAML_LIST : YAML_SCALAR;
    struct yaml *y = builder_node(&x->b, kind, line_here(x), depth);
    if (!y) return builder_fault(&x->b, line_here(x), depth);
    *out = y;
    if (kind == YAML_MAP) return take_object(x, depth, y);
    if (kind == YAML_LIST) return take_array(x, depth, y);
    y->quoted = t == JSON_KEY || t == JSON_STRING;
    return builder_scalar(&x->b, y, text_of(x, t));
}

err yaml_read_json(struct str text, const char *file, struct arena *a, struct yaml **out) {
    struct reading x = {.line = 1};
    struct yaml *root = NULL;
    TRY(builder_init(&x.b, file, a));
    if (text.n > YAML_BYTES_MAX) return err_new(ERR_LIMIT, "%s: over %d MiB", file, YAML_BYTES_MAX >> 20);
    json_reader_init(&x.r, text, YAML_DEPTH_MAX + 2);
    err e = take_value(&x, json_next(&x.r), 0, &root);
    if (!e && json_next(&x.r) != JSON_END) e = not_json(&x);
    if (!e) *out = root;
    json_reader_done(&x.r);
    builder_done(&x.b);
    return e;
}
