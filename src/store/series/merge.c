/* One file out of heads and files: a merge of sources that each give their series by labels. */
#include <stdlib.h>

#include "base/vec.h"
#include "store/series/head_parts_priv.h"
#include "store/series/select_priv.h"

enum { LABELS_BYTES_MAX = 64 << 20, EXEMPLARS_BYTES_MAX = 256 << 20, HISTOGRAMS_BYTES_MAX = 256 << 20 };

/* ---- a head in order of labels -------------------------------------------------------------------------------------------- */

/* Numbers of pairs in order of (name, value), so that series compare by numbers. */
struct order {
    struct head *h;
    struct str *names;
    uint32_t *rank;
};

static int compare_pairs(const void *a, const void *b, void *context) {
    const struct order *o = context;
    const struct pair *x = pair_at(o->h, *(const uint32_t *)a), *y = pair_at(o->h, *(const uint32_t *)b);
    int c = x->name == y->name ? 0 : str_compare(o->names[x->name], o->names[y->name]);
    return c ? c : str_compare(x->value, y->value);
}

static bool is_metric(const struct order *o, uint32_t pair) {
    return str_equal(o->names[pair_at(o->h, pair)->name], METRIC_NAME);
}

/* Each series as the ranks of its pairs, the metric's first: 0 where it has none. */
static uint32_t *ranks_of(const struct order *o, uint32_t n, uint32_t *starts) {
    size_t all = 0, at = 0;
    for (uint32_t i = 0; i < n; i++) all += series_at(o->h, i)->pair_count + 1u;
    uint32_t *ranks = mem_new_array(uint32_t, all + 1);
    for (uint32_t i = 0; i < n; i++) {
        const struct head_series *s = series_at(o->h, i);
        starts[i] = (uint32_t)at;
        size_t metric = at++;
        for (uint32_t k = 0; k < s->pair_count; k++) {
            if (is_metric(o, s->pairs[k]))
                ranks[metric] = o->rank[s->pairs[k]] + 1;
            else
                ranks[at++] = o->rank[s->pairs[k]];
        }
    }
    starts[n] = (uint32_t)at;
    return ranks;
}

struct keys {
    const uint32_t *ranks, *starts;
};

static int compare_series(const void *a, const void *b, void *context) {
    const struct keys *k = context;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    uint32_t nx = k->starts[x + 1] - k->starts[x], ny = k->starts[y + 1] - k->starts[y];
    const uint32_t *rx = k->ranks + k->starts[x], *ry = k->ranks + k->starts[y];
    for (uint32_t i = 0; i < MIN(nx, ny); i++)
        if (rx[i] != ry[i]) return rx[i] < ry[i] ? -1 : 1;
    return nx < ny ? -1 : nx > ny;
}

uint32_t *series_head_sorted(struct head *h, uint32_t *out_n) {
    struct order o = {.h = h};
    lock_take(&h->lock);
    uint32_t n = h->series_count, pairs = h->pair_count;
    o.names = mem_new_array(struct str, h->names.n + 1);
    for (size_t i = 0; i < h->names.n; i++) o.names[i] = h->names.v[i].name;
    lock_give(&h->lock);
    uint32_t *sorted = mem_new_array(uint32_t, MAX(n, pairs) + 1), *starts = mem_new_array(uint32_t, n + 1);
    o.rank = mem_new_array(uint32_t, pairs + 1);
    for (uint32_t i = 0; i < pairs; i++) sorted[i] = i;
    qsort_r(sorted, pairs, sizeof *sorted, compare_pairs, &o);
    for (uint32_t i = 0; i < pairs; i++) o.rank[sorted[i]] = i;
    struct keys k = {ranks_of(&o, n, starts), starts};
    for (uint32_t i = 0; i < n; i++) sorted[i] = i;
    qsort_r(sorted, n, sizeof *sorted, compare_series, &k);
    mem_free((void *)k.ranks);
    mem_free(starts);
    mem_free(o.rank);
    mem_free(o.names);
    *out_n = n;
    return sorted;
}

/* ---- sources --------------------------------------------------------------------------------------------------------------- */

struct feed {
    const struct series_source *source;
    struct head *head;
    struct series_reader *reader;
    uint32_t *ids, at, n; /* ids: of a head */
    struct arena arena;
    struct labels labels;
};

struct merge {
    struct feed *feeds;
    uint32_t count;
    int64_t time_min, time_max;
    struct series_stats stats;
    struct series_writer *w;
    struct samples samples, more, scratch, rest; /* rest: of the piece before, not yet a chunk */
};

static uint32_t id_of(const struct feed *f) { return f->ids ? f->ids[f->at] : f->at; }

/* Labels of the series that the feed is at. */
static err feed_look(struct feed *f) {
    arena_clear(&f->arena);
    if (f->at == f->n) return NULL;
    if (f->reader) return series_reader_labels(f->reader, id_of(f), &f->arena, &f->labels);
    return series_head_labels(f->head, id_of(f), &f->arena, &f->labels) ? NULL : arena_err(&f->arena);
}

static err feed_open(struct merge *m, struct feed *f, const struct series_source *source) {
    arena_init(&f->arena, LABELS_BYTES_MAX);
    f->source = source;
    f->head = source->head;
    if (f->head) {
        f->ids = series_head_sorted(f->head, &f->n);
    } else {
        f->reader = series_reader_new(source->part, &m->stats);
        f->n = (uint32_t)series_part_info(source->part)->series;
    }
    return feed_look(f);
}

static void merge_done(struct merge *m) {
    for (uint32_t i = 0; i < m->count; i++) {
        series_reader_free(m->feeds[i].reader);
        mem_free(m->feeds[i].ids);
        arena_done(&m->feeds[i].arena);
    }
    mem_free(m->feeds);
    samples_done(&m->samples);
    samples_done(&m->more);
    samples_done(&m->scratch);
    samples_done(&m->rest);
    series_writer_free(m->w);
}

/* The feed whose series is least, the first of equals; NULL: all are at their end. */
static struct feed *least(struct merge *m) {
    struct feed *best = NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        struct feed *f = &m->feeds[i];
        if (f->at < f->n && (!best || label_set_compare(f->labels, best->labels) < 0)) best = f;
    }
    return best;
}

static bool is_of(const struct series_delete *d, const struct feed *f) {
    return label_matchers_match(d->matchers, d->matcher_count, f->labels);
}

static err read_feed(struct feed *f, int64_t from, int64_t end, struct samples *out) {
    TRY(f->reader ? series_reader_read(f->reader, id_of(f), from, end, out)
                  : series_head_read(f->head, id_of(f), from, end, out));
    for (uint32_t d = 0; d < f->source->delete_count; d++)
        if (is_of(&f->source->deletes[d], f))
            samples_drop(out, f->source->deletes[d].time_min, f->source->deletes[d].time_max);
    return NULL;
}

static err find_exemplars(const struct merge *m, struct feed *f, struct arena *a, struct exemplar **out,
                          uint32_t *out_n) {
    return f->reader ? series_reader_exemplars(f->reader, id_of(f), m->time_min, m->time_max, a, out, out_n)
                     : series_head_exemplars(f->head, id_of(f), m->time_min, m->time_max, a, out, out_n);
}

/* Those of one series that are too many to be held at once are left out, so that its samples are not. */
static err put_exemplars(struct merge *m, struct feed *f) {
    AUTO_ARENA struct arena a;
    struct exemplar *found = NULL;
    uint32_t n = 0;
    arena_init(&a, EXEMPLARS_BYTES_MAX);
    err e = find_exemplars(m, f, &a, &found, &n);
    if (e && err_kind(e) == ERR_LIMIT) {
        err_free(e);
        series_writer_leave_out(m->w);
        return NULL;
    }
    TRY(e);
    for (uint32_t i = 0; i < n; i++) {
        bool gone = false;
        const struct series_delete *d = f->source->deletes;
        for (uint32_t k = 0; k < f->source->delete_count && !gone; k++)
            gone = found[i].time_ns >= d[k].time_min && found[i].time_ns <= d[k].time_max && is_of(&d[k], f);
        if (!gone) TRY(series_writer_add_exemplar(m->w, &found[i]));
    }
    return NULL;
}

/* ---- a series, piece by piece: of what it has, little is in memory at a time ---------------------------------------------------- */

static err too_large(void) { return err_new(ERR_LIMIT, "a piece of a series does not fit into memory"); }

static bool is_at(const struct feed *f, struct labels l) { return f->at < f->n && label_set_equal(f->labels, l); }

/* Where the piece ends that begins at `from`, for all feeds. */
static err find_end(struct merge *m, struct feed *first, int64_t from, int64_t *out) {
    *out = m->time_max;
    for (struct feed *f = first; f < m->feeds + m->count; f++) {
        if (!is_at(f, first->labels)) continue;
        if (f->reader)
            TRY(series_reader_piece(f->reader, id_of(f), from, *out, out));
        else
            *out = series_head_piece(f->head, id_of(f), from, *out);
    }
    return NULL;
}

/* Samples of all feeds that are at the series, merged. */
static err read_piece(struct merge *m, struct feed *first, int64_t from, int64_t end) {
    samples_clear(&m->samples);
    TRY(read_feed(first, from, end, &m->samples));
    for (struct feed *f = first + 1; f < m->feeds + m->count; f++) {
        if (!is_at(f, first->labels)) continue;
        samples_clear(&m->more);
        TRY(read_feed(f, from, end, &m->more));
        if (!samples_merge(&m->samples, &m->more, &m->scratch)) return too_large();
    }
    return m->stats.bad_pages ? err_new(ERR_CORRUPT, "%s", m->stats.bad_text) : NULL;
}

/* What the piece before left goes first. */
static err join_rest(struct merge *m) {
    if (m->rest.n == 0) return NULL;
    if (!samples_add_rows(&m->rest, &m->samples, 0, m->samples.n)) return too_large();
    struct samples swap = m->samples;
    m->samples = m->rest;
    m->rest = swap;
    return NULL;
}

static err write_piece(struct merge *m, struct feed *first, bool last, bool *begun) {
    uint32_t taken;
    TRY(join_rest(m));
    if (m->samples.n && !*begun) TRY(series_writer_begin(m->w, first->labels));
    *begun |= m->samples.n > 0;
    TRY(series_writer_put(m->w, &m->samples, last, &taken));
    samples_clear(&m->rest);
    return samples_add_rows(&m->rest, &m->samples, taken, m->samples.n - taken) ? NULL : too_large();
}

/* One series out of all feeds that are at it. */
static err merge_series(struct merge *m, struct feed *first) {
    bool begun = false;
    int64_t from = m->time_min, end;
    for (bool last = false; !last;) {
        TRY(find_end(m, first, from, &end));
        last = end == m->time_max;
        TRY(read_piece(m, first, from, end));
        TRY(write_piece(m, first, last, &begun));
        if (!last) from = end + 1;
    }
    if (begun) series_writer_end(m->w);
    for (struct feed *f = m->feeds + m->count; f-- > first;) { /* the first last: the others compare with its labels */
        if (!is_at(f, first->labels)) continue;
        if (begun) TRY(put_exemplars(m, f));
        f->at++;
        TRY(feed_look(f));
    }
    return NULL;
}

static err merge_all(struct merge *m, const struct series_source *sources, struct series_info *out) {
    for (uint32_t i = 0; i < m->count; i++) TRY(feed_open(m, &m->feeds[i], &sources[i]));
    for (struct feed *f; (f = least(m));) TRY(merge_series(m, f));
    for (uint32_t i = 0; i < m->count; i++)
        for (uint32_t d = 0; d < sources[i].delete_count; d++)
            TRY(label_matchers_err(sources[i].deletes[d].matchers, sources[i].deletes[d].matcher_count));
    return series_writer_finish(m->w, out);
}

err series_write(const char *path, uint64_t id, const struct series_source *sources, uint32_t source_count,
                 int64_t time_min, int64_t time_max, struct series_info *out) {
    struct merge m = {.count = source_count, .time_min = time_min, .time_max = time_max};
    TRY(series_writer_new(path, id, &m.w));
    m.feeds = mem_new_array(struct feed, source_count + 1);
    samples_init(&m.samples, HISTOGRAMS_BYTES_MAX);
    samples_init(&m.more, HISTOGRAMS_BYTES_MAX);
    samples_init(&m.scratch, HISTOGRAMS_BYTES_MAX);
    samples_init(&m.rest, HISTOGRAMS_BYTES_MAX);
    err e = merge_all(&m, sources, out);
    merge_done(&m);
    return err_wrap(e, "merging into %s", path);
}
