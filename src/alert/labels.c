/* Label sets that live longer than a question, and numbers for them. */
#include "alert/alert_priv.h"

struct labels labels_keep(struct labels l) {
    size_t bytes = l.n * sizeof *l.v;
    for (uint32_t i = 0; i < l.n; i++) bytes += l.v[i].name.n + l.v[i].value.n;
    struct label *v = mem_new(MAX(bytes, (size_t)1));
    char *text = (char *)(v + l.n);
    for (uint32_t i = 0; i < l.n; i++) {
        struct str parts[2] = {l.v[i].name, l.v[i].value};
        for (int k = 0; k < 2; k++) {
            if (parts[k].n) memcpy(text, parts[k].p, parts[k].n);
            parts[k].p = text;
            text += parts[k].n;
        }
        v[i] = (struct label){parts[0], parts[1]};
    }
    return (struct labels){v, l.n};
}

void labels_drop(struct labels l) { mem_free((void *)(uintptr_t)l.v); }

struct labels labels_with(struct arena *a, struct labels base, const struct label *set, uint32_t set_n) {
    struct label *v = arena_alloc(a, sizeof *v * (base.n + set_n + 1));
    uint32_t n = 0, i = 0, k = 0;
    if (!v) return (struct labels){0};
    while (i < base.n || k < set_n) {
        int order = i == base.n ? 1 : k == set_n ? -1 : str_compare(base.v[i].name, set[k].name);
        struct label l = order < 0 ? base.v[i] : set[k];
        bool is_name = order < 0 && str_equal(l.name, METRIC_NAME);
        i += order <= 0;
        k += order >= 0;
        if (l.value.n && !is_name) v[n++] = l;
    }
    return (struct labels){v, n};
}

err set_index_init(struct set_index *x, struct arena *a, size_t n_max) {
    uint32_t size = 16;
    while (size < 2 * n_max) size *= 2;
    *x = (struct set_index){.mask = size - 1};
    x->hashes = arena_alloc(a, sizeof *x->hashes * (n_max + 1));
    x->slots = arena_zero(a, sizeof *x->slots * size);
    return x->hashes && x->slots ? NULL : arena_err(a);
}

static bool same(struct label_set_hash a, struct label_set_hash b) { return a.a == b.a && a.b == b.b; }

uint32_t set_index_add(struct set_index *x, struct label_set_hash h, bool *out_new) {
    uint32_t at = (uint32_t)h.a & x->mask;
    for (; x->slots[at]; at = (at + 1) & x->mask) {
        if (!same(x->hashes[x->slots[at] - 1], h)) continue;
        *out_new = false;
        return x->slots[at] - 1;
    }
    *out_new = true;
    x->hashes[x->n] = h;
    x->slots[at] = ++x->n;
    return x->n - 1;
}

bool set_index_find(const struct set_index *x, struct label_set_hash h, uint32_t *out) {
    for (uint32_t at = (uint32_t)h.a & x->mask; x->slots[at]; at = (at + 1) & x->mask) {
        if (!same(x->hashes[x->slots[at] - 1], h)) continue;
        *out = x->slots[at] - 1;
        return true;
    }
    return false;
}

void series_set_free(struct series_set *s) {
    if (!s) return;
    arena_done(&s->a);
    mem_free(s);
}
