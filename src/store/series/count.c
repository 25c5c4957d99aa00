/* Who takes the room: series, samples and bytes by metric, label and pair. */
#include <stdlib.h>

#include "base/map.h"
#include "base/vec.h"
#include "store/series/count_priv.h"

enum { COUNTED_BYTES = 160, KEY_BYTES_MAX = LABEL_NAME_BYTES_MAX + LABEL_VALUE_BYTES_MAX + 1 };

/* Counts by text, in the order in which the texts came. */
struct tally {
    struct strings keys;
    VEC(struct series_tally_row) rows;
};

struct counting {
    struct tally metrics, labels, pairs;
    uint64_t *seen; /* hashes of the series that were counted; 0: empty */
    uint64_t mask, series, samples, file_bytes;
    uint64_t bytes_max;
    struct buf key;
};

/* ---- distinct series ------------------------------------------------------------------------------------------------- */

static bool insert(struct counting *c, uint64_t hash) {
    uint64_t at = hash >> 1 & c->mask;
    while (c->seen[at] && c->seen[at] != hash) at = (at + 1) & c->mask;
    if (c->seen[at]) return false;
    c->seen[at] = hash;
    return true;
}

/* 64 bits under a secret: two series that share them by chance are one in the counts. */
static bool is_new(struct counting *c, struct labels l) {
    struct label_set_hash h = label_set_hash(l);
    uint64_t hash = (h.a ^ h.b) | 1;
    if (c->series >= c->mask / 4 * 3) {
        uint64_t *old = c->seen, old_n = c->mask + 1;
        c->seen = mem_new_array(uint64_t, old_n * 2);
        c->mask = old_n * 2 - 1;
        for (uint64_t i = 0; i < old_n; i++)
            if (old[i]) insert(c, old[i]);
        mem_free(old);
    }
    bool fresh = insert(c, hash);
    c->series += fresh;
    return fresh;
}

/* ---- tallies --------------------------------------------------------------------------------------------------------- */

/* *out_new: the text was not met before. */
static struct series_tally_row *row_of(struct tally *t, struct str key, bool *out_new) {
    uint32_t id = strings_intern(&t->keys, key);
    *out_new = id == t->rows.n;
    if (*out_new) *vec_push(&t->rows) = (struct series_tally_row){.id = id};
    return &t->rows.v[id];
}

static void add_to(struct series_tally_row *row, bool fresh, uint64_t samples, uint64_t bytes) {
    row->series += fresh;
    row->samples += samples;
    row->bytes += bytes;
}

static void add_series(struct counting *c, struct labels l, uint64_t samples, uint64_t bytes) {
    bool fresh = is_new(c, l), new_key;
    c->samples += samples;
    c->file_bytes += bytes;
    add_to(row_of(&c->metrics, label_set_get(l, METRIC_NAME), &new_key), fresh, samples, bytes);
    for (uint32_t i = 0; i < l.n; i++) {
        bool new_pair;
        buf_clear(&c->key);
        buf_add_str(&c->key, l.v[i].name);
        buf_add_byte(&c->key, 0);
        buf_add_str(&c->key, l.v[i].value);
        struct series_tally_row *pair = row_of(&c->pairs, buf_str(&c->key), &new_pair);
        pair->name_n = (uint32_t)l.v[i].name.n;
        add_to(pair, fresh, samples, bytes);
        struct series_tally_row *label = row_of(&c->labels, l.v[i].name, &new_key);
        add_to(label, fresh, samples, bytes);
        label->values += new_pair;
    }
}

static err check_memory(const struct counting *c) {
    uint64_t bytes = (c->mask + 1) * 8;
    const struct tally *all[] = {&c->metrics, &c->labels, &c->pairs};
    for (size_t i = 0; i < LENGTH(all); i++) bytes += all[i]->keys.heap_size + all[i]->rows.n * COUNTED_BYTES;
    if (bytes <= c->bytes_max) return NULL;
    return err_new(ERR_LIMIT, "counting takes over %llu MiB: ask for fewer series or a shorter range",
                   (unsigned long long)(c->bytes_max / MIB));
}

/* ---- sources --------------------------------------------------------------------------------------------------------- */

/* Matched and looked at one source after the other, so that memory is that of one. */
static err count_one(struct counting *c, const struct series_source *source, const struct label_matcher *m,
                     uint32_t matchers, int64_t time_min, int64_t time_max, struct series_stats *stats) {
    AUTO_ARENA struct arena a;
    struct selection *s;
    arena_init(&a, c->bytes_max);
    TRY(series_select(source, 1, m, matchers, time_min, time_max, &a, stats, &s));
    const struct series_info *info = source->part ? series_part_info(source->part) : NULL;
    struct series_reader *r = info ? series_reader_new(source->part, stats) : NULL;
    err e = NULL;
    for (uint32_t i = 0; i < selection_count(s) && !e; i++) {
        uint64_t samples = 0;
        if (r) e = series_reader_count(r, selection_place(s, i), time_min, time_max, &samples);
        uint64_t bytes =
            info && info->samples ? (uint64_t)((double)info->bytes * (double)samples / (double)info->samples) : 0;
        if (!e) add_series(c, selection_labels(s, i), samples, bytes);
        if (!e && i % 1024 == 0) e = check_memory(c);
    }
    series_reader_free(r);
    selection_free(s);
    return e ? e : check_memory(c);
}

/* ---- the answer ------------------------------------------------------------------------------------------------------ */

static int compare_rows(const void *a, const void *b) {
    const struct series_tally_row *x = a, *y = b;
    if (x->series != y->series) return x->series < y->series ? 1 : -1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* The n largest; memory of the arena. */
static err largest(struct tally *t, uint32_t n, struct arena *a, struct series_tally *out) {
    if (t->rows.n) qsort(t->rows.v, t->rows.n, sizeof *t->rows.v, compare_rows);
    out->n = (uint32_t)MIN(t->rows.n, (size_t)n);
    out->v = arena_array(a, struct series_tally_row, out->n + 1);
    if (!out->v) return arena_err(a);
    for (uint32_t i = 0; i < out->n; i++) {
        struct str key = arena_copy(a, strings_get(&t->keys, t->rows.v[i].id));
        out->v[i] = t->rows.v[i];
        if (!key.p) return arena_err(a);
        uint32_t name = out->v[i].name_n;
        out->v[i].name = name ? (struct str){key.p, name} : key;
        if (name) out->v[i].value = (struct str){key.p + name + 1, key.n - name - 1};
    }
    return NULL;
}

static void tally_done(struct tally *t) {
    strings_done(&t->keys);
    vec_done(&t->rows);
}

static err count_all(struct counting *c, const struct series_source *sources, uint32_t source_count,
                     const struct label_matcher *m, uint32_t matchers, int64_t time_min, int64_t time_max, uint32_t n,
                     struct arena *a, struct series_stats *stats, struct series_counts *out) {
    for (uint32_t i = 0; i < source_count; i++)
        TRY(series_stats_skip(stats, count_one(c, &sources[i], m, matchers, time_min, time_max, stats)));
    *out = (struct series_counts){.series = c->series,
                                  .labels = c->labels.rows.n,
                                  .pairs = c->pairs.rows.n,
                                  .samples = c->samples,
                                  .file_bytes = c->file_bytes};
    TRY(largest(&c->metrics, n, a, &out->by_metric));
    TRY(largest(&c->labels, n, a, &out->by_label));
    return largest(&c->pairs, n, a, &out->by_pair);
}

err series_count(const struct series_source *sources, uint32_t source_count, const struct label_matcher *m,
                 uint32_t matchers, int64_t time_min, int64_t time_max, uint32_t n, struct arena *a,
                 struct series_stats *stats, struct series_counts *out) {
    struct counting c = {.seen = mem_new_array(uint64_t, 1024), .mask = 1023, .bytes_max = a->limit_bytes};
    strings_init(&c.metrics.keys);
    strings_init(&c.labels.keys);
    strings_init(&c.pairs.keys);
    buf_init(&c.key, KEY_BYTES_MAX);
    err e = count_all(&c, sources, source_count, m, matchers, time_min, time_max, n, a, stats, out);
    tally_done(&c.metrics);
    tally_done(&c.labels);
    tally_done(&c.pairs);
    mem_free(c.seen);
    buf_done(&c.key);
    return e;
}
