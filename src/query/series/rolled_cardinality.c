/* How many series are counted from rollups, by metric, label and pair. */
#include <stdlib.h>

#include "base/map.h"
#include "base/vec.h"
#include "query/query_priv.h"
#include "query/series/rolled_priv.h"

/* Counts by text; of pairs a text is the name, a zero byte and the value. */
struct tallied {
    struct strings texts;
    VEC(struct series_count) v;
};

static struct series_count *tallied_at(struct tallied *t, struct str text) {
    uint32_t i;
    if (!strings_find(&t->texts, text, &i)) i = strings_intern(&t->texts, text);
    if (i == t->v.n) *vec_push(&t->v) = (struct series_count){0};
    return &t->v.v[i];
}

struct counting {
    struct tallied metrics, labels, pairs;
};

static void count_labels(struct counting *c, struct labels l) {
    AUTO_BUF struct buf pair;
    buf_init(&pair, 64 * KIB);
    for (uint32_t i = 0; i < l.n; i++) {
        bool is_name = str_equal(l.v[i].name, METRIC_NAME);
        uint32_t known = c->pairs.texts.n;
        buf_clear(&pair);
        buf_add_str(&pair, l.v[i].name);
        buf_add_byte(&pair, 0);
        buf_add_str(&pair, l.v[i].value);
        tallied_at(&c->pairs, buf_str(&pair))->series++;
        struct series_count *label = tallied_at(&c->labels, l.v[i].name);
        label->series++;
        label->values += c->pairs.texts.n > known;
        if (is_name) tallied_at(&c->metrics, l.v[i].value)->series++;
    }
}

static int by_series(const void *x, const void *y) {
    const struct series_count *a = x, *b = y;
    if (a->series != b->series) return a->series > b->series ? -1 : 1;
    int order = str_compare(a->name, b->name);
    return order ? order : str_compare(a->value, b->value);
}

static err list(struct tallied *t, bool pairs, uint32_t most, struct arena *a, struct series_count **out,
                uint32_t *out_n) {
    for (uint32_t i = 0; i < t->v.n; i++) {
        struct str text = arena_copy(a, strings_get(&t->texts, i)), rest = {0};
        if (!text.p) return arena_err(a);
        if (pairs) str_cut(text, 0, &text, &rest);
        t->v.v[i].name = text;
        t->v.v[i].value = rest;
    }
    if (t->v.n) qsort(t->v.v, t->v.n, sizeof *t->v.v, by_series);
    uint32_t n = MIN((uint32_t)t->v.n, most);
    *out = arena_array(a, struct series_count, n + 1);
    if (!*out) return arena_err(a);
    if (n) memcpy(*out, t->v.v, n * sizeof **out);
    *out_n = n;
    return NULL;
}

static err read_counts(struct counting *c, const struct rolled *v, uint32_t n, struct arena *a,
                       struct series_cardinality *out) {
    for (uint32_t i = 0; i < rolled_count(v); i++) count_labels(c, rolled_labels(v, i));
    out->series = rolled_count(v);
    out->labels = c->labels.v.n;
    out->pairs = c->pairs.v.n;
    TRY(list(&c->metrics, false, n, a, &out->by_metric, &out->metric_count));
    TRY(list(&c->labels, false, n, a, &out->by_label, &out->label_count));
    return list(&c->pairs, true, n, a, &out->by_pair, &out->pair_count);
}

static void tallied_done(struct tallied *t) {
    strings_done(&t->texts);
    vec_done(&t->v);
}

err series_cardinality(struct series_source *s, const struct series_request *r, uint32_t n, struct arena *a,
                       struct series_cardinality *out) {
    struct rolled *v = NULL;
    struct counting c = {0};
    TRY(series_snapshot_cardinality(s->snapshot, r, n, a, &s->stats, out));
    if (out->series || !r->matcher_count) return NULL;
    TRY(rolled_find(s, r, (struct series_wish){SERIES_LABELS, 0}, a, &v));
    if (!v) return NULL;
    strings_init(&c.metrics.texts);
    strings_init(&c.labels.texts);
    strings_init(&c.pairs.texts);
    err e = read_counts(&c, v, n, a, out);
    tallied_done(&c.metrics);
    tallied_done(&c.labels);
    tallied_done(&c.pairs);
    return e;
}
