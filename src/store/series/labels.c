#include "store/series/labels.h"

#include "base/hash.h"
#include "base/text.h"
#include "store/column/codes_priv.h"

struct str label_set_get(struct labels l, struct str name) {
    for (uint32_t i = 0; i < l.n; i++)
        if (str_equal(l.v[i].name, name)) return l.v[i].value;
    return (struct str){0};
}

static bool is_metric_name(const struct label *p) { return str_equal(p->name, METRIC_NAME); }

int label_set_compare(struct labels a, struct labels b) {
    int c = str_compare(label_set_get(a, METRIC_NAME), label_set_get(b, METRIC_NAME));
    uint32_t i = 0, k = 0;
    while (c == 0) {
        i += i < a.n && is_metric_name(&a.v[i]);
        k += k < b.n && is_metric_name(&b.v[k]);
        if (i == a.n || k == b.n) return (i < a.n) - (k < b.n);
        c = str_compare(a.v[i].name, b.v[k].name);
        if (c == 0) c = str_compare(a.v[i].value, b.v[k].value);
        i++, k++;
    }
    return c;
}

bool label_set_equal(struct labels a, struct labels b) {
    if (a.n != b.n) return false;
    for (uint32_t i = 0; i < a.n; i++)
        if (!str_equal(a.v[i].name, b.v[i].name) || !str_equal(a.v[i].value, b.v[i].value)) return false;
    return true;
}

err label_set_check(struct labels l, uint32_t pairs_max) {
    if (l.n > MIN(pairs_max, (uint32_t)LABELS_MAX))
        return err_new(ERR_LIMIT, "a series with %u labels, at most %u", l.n, MIN(pairs_max, (uint32_t)LABELS_MAX));
    if (l.n == 0) return err_new(ERR_INVALID, "a series without labels");
    for (uint32_t i = 0; i < l.n; i++) {
        const struct label *p = &l.v[i];
        int shown = (int)MIN(p->name.n, 64u);
        if (p->name.n == 0) return err_new(ERR_INVALID, "a label without a name");
        if (!utf8_is_valid(p->name)) return err_new(ERR_INVALID, "the name of label %u is not UTF-8", i);
        if (p->name.n > LABEL_NAME_BYTES_MAX)
            return err_new(ERR_LIMIT, "label %.*s…: a name of %zu bytes, at most %d", shown, p->name.p, p->name.n,
                           LABEL_NAME_BYTES_MAX);
        if (p->value.n == 0) return err_new(ERR_INVALID, "label %.*s: no value", shown, p->name.p);
        if (p->value.n > LABEL_VALUE_BYTES_MAX)
            return err_new(ERR_LIMIT, "label %.*s: a value of %zu bytes, at most %d", shown, p->name.p, p->value.n,
                           LABEL_VALUE_BYTES_MAX);
        if (!utf8_is_valid(p->value))
            return err_new(ERR_INVALID, "label %.*s: its value is not UTF-8", shown, p->name.p);
        if (i && str_compare(l.v[i - 1].name, p->name) >= 0)
            return err_new(ERR_INVALID, "label %.*s: names are not distinct and ascending", shown, p->name.p);
    }
    return NULL;
}

static void put_cut(struct buf *out, struct str text) {
    enum { TEXT_SHOWN_MAX = 80 };
    put_terminal(out, (struct str){text.p, MIN(text.n, (size_t)TEXT_SHOWN_MAX)});
    if (text.n > TEXT_SHOWN_MAX) buf_add_text(out, "…");
}

void put_label_set(struct buf *out, struct labels l) {
    enum { SHOWN_MAX = 300 };
    size_t start = out->n;
    bool first = true;
    put_cut(out, label_set_get(l, METRIC_NAME));
    buf_add_text(out, "{");
    for (uint32_t i = 0; i < l.n; i++) {
        if (is_metric_name(&l.v[i])) continue;
        if (out->n - start > SHOWN_MAX) {
            buf_add_text(out, ", …");
            break;
        }
        if (!first) buf_add_text(out, ", ");
        first = false;
        put_cut(out, l.v[i].name);
        buf_add_text(out, "=\"");
        put_cut(out, l.v[i].value);
        buf_add_text(out, "\"");
    }
    buf_add_text(out, "}");
}

/* Pieces that are hashed together: few calls for many short texts. */
struct gathered {
    struct label_set_hash hash;
    size_t n;
    char bytes[1024];
};

static void hash_piece(struct gathered *g, const void *p, size_t n) {
    g->hash.a = hash_bytes_seed(p, n, g->hash.a);
    g->hash.b = hash_bytes_seed(p, n, g->hash.b);
}

static void gather(struct gathered *g, const void *p, size_t n) {
    if (n > sizeof g->bytes - g->n) {
        hash_piece(g, g->bytes, g->n);
        g->n = 0;
    }
    if (n > sizeof g->bytes) {
        hash_piece(g, p, n);
        return;
    }
    memcpy(g->bytes + g->n, p, n);
    g->n += n;
}

/* Both sizes go in, so that no two sets give the same bytes. */
struct label_set_hash label_set_hash(struct labels l) {
    struct gathered g;
    g.hash = (struct label_set_hash){hash_secret[0] + l.n, hash_secret[1] ^ l.n};
    g.n = 0;
    for (uint32_t i = 0; i < l.n; i++) {
        uint32_t sizes[2] = {(uint32_t)l.v[i].name.n, (uint32_t)l.v[i].value.n};
        gather(&g, sizes, sizeof sizes);
        gather(&g, l.v[i].name.p, l.v[i].name.n);
        gather(&g, l.v[i].value.p, l.v[i].value.n);
    }
    hash_piece(&g, g.bytes, g.n);
    return g.hash;
}

void label_set_write(struct labels l, struct buf *out) {
    for (uint32_t i = 0; i < l.n; i++) {
        put_varint(out, (uint32_t)l.v[i].name.n);
        put_varint(out, (uint32_t)l.v[i].value.n);
        buf_add_str(out, l.v[i].name);
        buf_add_str(out, l.v[i].value);
    }
}

bool label_set_read(struct str bytes, struct arena *a, struct labels *out) {
    struct cursor c = cursor_of(bytes);
    struct label found[LABELS_MAX];
    uint32_t n = 0;
    while (c.at < c.end && !c.bad && n < LABELS_MAX) {
        uint32_t name = cursor_varint(&c), value = cursor_varint(&c);
        found[n].name = str_span(cursor_skip(&c, name), name);
        found[n++].value = str_span(cursor_skip(&c, value), value);
    }
    struct label *v = c.bad || c.at < c.end ? NULL : arena_alloc(a, (n + 1) * sizeof *v);
    if (!v) return false;
    memcpy(v, found, n * sizeof *v);
    *out = (struct labels){v, n};
    return true;
}
