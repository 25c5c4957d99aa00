#include <stdlib.h>

#include "base/hash.h"
#include "query/promql/eval_priv.h"
#include "query/promql/number.h"

int promql_labels_compare(struct labels x, struct labels y) {
    for (uint32_t i = 0; i < x.n && i < y.n; i++) {
        int order = str_compare(x.v[i].name, y.v[i].name);
        if (!order) order = str_compare(x.v[i].value, y.v[i].value);
        if (order) return order;
    }
    return x.n < y.n ? -1 : x.n > y.n;
}

void promql_labels_print(struct labels labels, struct buf *out) {
    struct str name = label_set_get(labels, METRIC_NAME);
    bool bare = is_metric_name(name), first = true;
    if (bare) buf_add_str(out, name);
    if (bare && labels.n == 1) return;
    buf_add_byte(out, '{');
    for (uint32_t i = 0; i < labels.n; i++) {
        if (bare && str_equal(labels.v[i].name, METRIC_NAME)) continue;
        if (!first) buf_add_text(out, ", ");
        first = false;
        if (is_label_name(labels.v[i].name))
            buf_add_str(out, labels.v[i].name);
        else
            put_go_quoted(out, labels.v[i].name);
        buf_add_byte(out, '=');
        put_go_quoted(out, labels.v[i].value);
    }
    buf_add_byte(out, '}');
}

struct labels labels_set(struct arena *a, struct labels labels, struct str name, struct str value) {
    struct label *v = arena_alloc(a, sizeof *v * (labels.n + 1));
    uint32_t n = 0, i = 0;
    if (!v) return (struct labels){0};
    while (i < labels.n && str_compare(labels.v[i].name, name) < 0) v[n++] = labels.v[i++];
    if (i < labels.n && str_equal(labels.v[i].name, name)) i++;
    if (value.n) v[n++] = (struct label){name, value};
    while (i < labels.n) v[n++] = labels.v[i++];
    return (struct labels){v, n};
}

static bool is_metadata(struct str name) {
    return str_equal(name, METRIC_NAME) || str_equal(name, STR("__type__")) || str_equal(name, STR("__unit__"));
}

struct labels labels_without_metadata(struct arena *a, struct labels labels) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < labels.n; i++) n += is_metadata(labels.v[i].name);
    if (n == 0) return labels;
    if (n == 1 && is_metadata(labels.v[0].name)) return (struct labels){labels.v + 1, labels.n - 1}; /* the usual */
    struct label *v = arena_alloc(a, sizeof *v * (labels.n + 1));
    if (!v) return (struct labels){0};
    n = 0;
    for (uint32_t i = 0; i < labels.n; i++)
        if (!is_metadata(labels.v[i].name)) v[n++] = labels.v[i];
    return (struct labels){v, n};
}

uint64_t labels_hash(struct labels labels) {
    uint64_t h = labels.n;
    for (uint32_t i = 0; i < labels.n; i++) {
        h = hash_mix(h, hash_fast(labels.v[i].name.p, labels.v[i].name.n));
        h = hash_mix(h, hash_fast(labels.v[i].value.p, labels.v[i].value.n));
    }
    return h;
}

bool labels_equal(struct labels x, struct labels y) {
    if (x.n != y.n) return false;
    for (uint32_t i = 0; i < x.n; i++)
        if (!str_equal(x.v[i].value, y.v[i].value) || !str_equal(x.v[i].name, y.v[i].name)) return false;
    return true;
}

static int order_of_names(const void *x, const void *y) {
    return str_compare(*(const struct str *)x, *(const struct str *)y);
}

bool names_sort(struct arena *a, const struct names *in, struct names *out) {
    out->n = in->n;
    out->v = arena_alloc(a, sizeof *out->v * MAX(in->n, 1));
    if (!out->v) return false;
    if (in->n) memcpy(out->v, in->v, sizeof *out->v * in->n);
    qsort(out->v, out->n, sizeof *out->v, order_of_names);
    return true;
}

void labels_project(struct labels labels, const struct names *names, bool without,
                    struct label out[PROJECTED_LABELS_MAX], uint32_t *out_n) {
    uint32_t n = 0, k = 0;
    for (uint32_t i = 0; i < labels.n && n < PROJECTED_LABELS_MAX; i++) {
        int order = 1;
        while (k < names->n && (order = str_compare(names->v[k], labels.v[i].name)) < 0) k++;
        bool listed = k < names->n && order == 0;
        if (listed == without || (without && str_equal(labels.v[i].name, METRIC_NAME))) continue;
        out[n++] = labels.v[i];
    }
    *out_n = n;
}

/* ---- numbers for label sets -------------------------------------------------------------------------------------- */

static bool index_grow(struct arena *a, struct label_index *x) {
    uint32_t capacity = x->capacity ? x->capacity * 2 : 64;
    struct labels *sets = arena_alloc(a, sizeof *sets * capacity);
    uint64_t *hashes = arena_alloc(a, sizeof *hashes * capacity);
    uint32_t *slots = arena_zero(a, sizeof *slots * capacity * 2);
    if (!sets || !hashes || !slots) return false;
    for (uint32_t i = 0; i < x->n; i++) {
        sets[i] = x->sets[i];
        hashes[i] = x->hashes[i];
        uint32_t slot = (uint32_t)hashes[i] & (capacity * 2 - 1);
        while (slots[slot]) slot = (slot + 1) & (capacity * 2 - 1);
        slots[slot] = i + 1;
    }
    *x = (struct label_index){
        .sets = sets, .hashes = hashes, .slots = slots, .n = x->n, .capacity = capacity, .mask = capacity * 2 - 1};
    return true;
}

uint32_t label_index_add(struct arena *a, struct label_index *x, struct labels labels) {
    uint64_t hash = labels_hash(labels);
    if (x->n == x->capacity && !index_grow(a, x)) return UINT32_MAX;
    uint32_t slot = (uint32_t)hash & x->mask;
    for (; x->slots[slot]; slot = (slot + 1) & x->mask) {
        uint32_t i = x->slots[slot] - 1;
        if (x->hashes[i] == hash && labels_equal(x->sets[i], labels)) return i;
    }
    struct label *v = arena_alloc(a, sizeof *v * MAX(labels.n, 1));
    if (!v) return UINT32_MAX;
    if (labels.n) memcpy(v, labels.v, sizeof *v * labels.n);
    x->sets[x->n] = (struct labels){v, labels.n};
    x->hashes[x->n] = hash;
    x->slots[slot] = ++x->n;
    return x->n - 1;
}
