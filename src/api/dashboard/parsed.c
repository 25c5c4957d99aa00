#include "api/dashboard/parsed_priv.h"

#include <math.h>

#include "base/text.h"

static const struct parsed nothing = {.type = JSON_NULL};

static err add_value(struct arena *a, const struct json_reader *r, enum json_token t, struct str key,
                     struct parsed **out) {
    struct parsed *v = arena_new(a, struct parsed);
    if (!v) return arena_err(a);
    v->type = t;
    v->at = (uint32_t)r->token;
    v->key = key;
    if (t == JSON_STRING || t == JSON_NUMBER) v->text = arena_copy(a, r->value);
    *out = v;
    return arena_err(a);
}

static err read_values(struct arena *a, struct json_reader *r, struct parsed **out) {
    struct parsed *last[PARSED_DEPTH + 2] = {NULL}, *open[PARSED_DEPTH + 2] = {NULL};
    struct str key = {0};
    int depth = 0;
    for (enum json_token t; (t = json_next(r)) != JSON_END;) {
        struct parsed *v = NULL;
        if (t == JSON_ERROR) return json_reader_err(r);
        if (t == JSON_OBJECT_END || t == JSON_ARRAY_END) {
            depth--;
            continue;
        }
        if (t == JSON_KEY) {
            key = arena_copy(a, r->value);
            continue;
        }
        TRY(add_value(a, r, t, key, &v));
        key = (struct str){0};
        if (last[depth])
            last[depth]->next = v;
        else if (depth)
            open[depth]->first = v;
        else
            *out = v;
        last[depth] = v;
        if (t == JSON_OBJECT || t == JSON_ARRAY) open[++depth] = v, last[depth] = NULL;
    }
    return NULL;
}

err parsed_read(struct arena *a, struct str text, const struct parsed **out) {
    struct json_reader r;
    struct parsed *root = NULL;
    json_reader_init(&r, text, PARSED_DEPTH);
    err e = read_values(a, &r, &root);
    json_reader_done(&r);
    if (!e) *out = root;
    return e;
}

const struct parsed *parsed_get(const struct parsed *object, const char *key) {
    if (object->type == JSON_OBJECT)
        for (const struct parsed *v = object->first; v; v = v->next)
            if (str_equal(v->key, str_of(key))) return v;
    return &nothing;
}

bool parsed_has(const struct parsed *object, const char *key) { return parsed_get(object, key)->type != JSON_NULL; }

struct str parsed_text(const struct parsed *object, const char *key) {
    const struct parsed *v = parsed_get(object, key);
    return v->type == JSON_STRING ? v->text : STR("");
}

bool parsed_true(const struct parsed *object, const char *key) { return parsed_get(object, key)->type == JSON_TRUE; }

bool parsed_number(const struct parsed *value, double *out) {
    double v;
    if (value->type != JSON_NUMBER && value->type != JSON_STRING) return false;
    err e = parse_f64(str_trim(value->text), &v);
    bool good = !e && isfinite(v);
    err_free(e);
    if (good) *out = v;
    return good;
}

size_t parsed_count(const struct parsed *list) {
    size_t n = 0;
    for (const struct parsed *v = list->first; v; v = v->next) n++;
    return n;
}
