#include "store/series/select_priv.h"

#include <stdlib.h>

#include "base/budget.h"
#include "base/vec.h"

enum { ADDED_BETWEEN_CHECKS = 1024, TEXTS_BETWEEN_SORTS = 1 << 16 };

/* Where a series is in one source. */
struct place {
    uint32_t source, id, next; /* next: of the same series in a later source, + 1 */
    uint32_t gone, gone_n;     /* ranges that deletes took */
};

struct gone {
    int64_t time_min, time_max;
};

struct chosen {
    struct labels labels;
    struct label_set_hash hash;
    uint32_t first, last; /* places + 1 */
};

struct selection {
    const struct series_source *sources;
    uint32_t source_count;
    int64_t time_min, time_max;
    size_t histogram_bytes_max;
    const struct select_bounds *bounds; /* while it is made */
    struct budget *budget;              /* NULL: none */
    uint64_t charged_bytes;
    VEC(struct chosen) series;
    VEC(struct place) places;
    VEC(struct gone) gone;
    uint32_t *slots, slot_mask;
};

struct selection_reader {
    const struct selection *s;
    struct series_stats *stats;
    struct series_reader **readers; /* of sources that are parts, made as they are needed */
    struct samples more, scratch;
};

static void grow_slots(struct selection *s) {
    uint32_t old = s->slots ? s->slot_mask + 1 : 0, n = old ? old * 2 : 1024;
    if (s->series.n < old - old / 4) return;
    mem_free(s->slots);
    s->slots = mem_new_array(uint32_t, n);
    s->slot_mask = n - 1;
    for (uint32_t i = 0; i < s->series.n; i++) {
        uint32_t at = (uint32_t)s->series.v[i].hash.a & s->slot_mask;
        while (s->slots[at]) at = (at + 1) & s->slot_mask;
        s->slots[at] = i + 1;
    }
}

/* What the deletes take of a series that has samples in [min, max] at most; false: nothing is left. */
static bool find_gone(struct selection *s, uint32_t source, struct labels l, int64_t time_min, int64_t time_max) {
    const struct series_source *from = &s->sources[source];
    for (uint32_t i = 0; i < from->delete_count; i++) {
        const struct series_delete *d = &from->deletes[i];
        if (d->time_min > time_max || d->time_max < time_min || !label_matchers_match(d->matchers, d->matcher_count, l))
            continue;
        if (d->time_min <= time_min && d->time_max >= time_max) return false;
        *vec_push(&s->gone) = (struct gone){d->time_min, d->time_max};
    }
    return true;
}

/* A series of a source that has samples in [min, max] at most. */
static void add(struct selection *s, struct labels l, uint32_t source, uint32_t id, int64_t time_min,
                int64_t time_max) {
    uint32_t gone = (uint32_t)s->gone.n;
    if (!find_gone(s, source, l, MAX(time_min, s->time_min), MIN(time_max, s->time_max))) {
        s->gone.n = gone;
        return;
    }
    struct label_set_hash hash = label_set_hash(l);
    grow_slots(s);
    uint32_t at = (uint32_t)hash.a & s->slot_mask;
    while (s->slots[at] &&
           (s->series.v[s->slots[at] - 1].hash.a != hash.a || s->series.v[s->slots[at] - 1].hash.b != hash.b))
        at = (at + 1) & s->slot_mask;
    *vec_push(&s->places) = (struct place){source, id, 0, gone, (uint32_t)s->gone.n - gone};
    uint32_t place = (uint32_t)s->places.n;
    if (!s->slots[at]) {
        *vec_push(&s->series) = (struct chosen){l, hash, place, place};
        s->slots[at] = (uint32_t)s->series.n;
        return;
    }
    struct chosen *c = &s->series.v[s->slots[at] - 1];
    s->places.v[c->last - 1].next = place;
    c->last = place;
}

static bool is_enough(const struct selection *s) { return s->bounds->limit && s->series.n >= s->bounds->limit; }

/* Takes what it keeps from the budget. (What vectors have beyond it was never written to, so it is no memory yet.) */
static err settle(struct selection *s) {
    uint64_t bytes = (s->series.n + ADDED_BETWEEN_CHECKS) * sizeof *s->series.v +
                     (s->places.n + ADDED_BETWEEN_CHECKS) * sizeof *s->places.v + s->gone.n * sizeof *s->gone.v +
                     (s->slots ? s->slot_mask + 1 : 0) * sizeof *s->slots;
    if (!s->budget || bytes <= s->charged_bytes) return NULL;
    if (!budget_take(s->budget, bytes - s->charged_bytes)) return budget_err(s->budget, "a query");
    s->charged_bytes = bytes;
    return NULL;
}

/* Before the i-th of a list is added. */
static err check(struct selection *s, uint32_t i) {
    if (i % ADDED_BETWEEN_CHECKS != 0) return NULL;
    TRY(settle(s));
    return s->bounds->check ? s->bounds->check(s->bounds->context) : NULL;
}

static err select_in_head(struct selection *s, uint32_t source, const struct label_matcher *m, uint32_t matchers,
                          struct arena *a) {
    struct head *h = s->sources[source].head;
    uint32_t *ids, n;
    TRY(series_head_select(h, m, matchers, a, &ids, &n));
    for (uint32_t i = 0; i < n && !is_enough(s); i++) {
        int64_t first, last;
        struct labels l;
        TRY(check(s, i));
        if (!series_head_range(h, ids[i], &first, &last) || first > s->time_max || last < s->time_min) continue;
        if (!series_head_labels(h, ids[i], a, &l)) return arena_err(a);
        add(s, l, source, ids[i], first, last);
    }
    return NULL;
}

/* Of a damaged page nothing is known: who reads it is told. */
static bool may_overlap(const struct selection *s, struct series_reader *r, uint32_t row) {
    bool overlaps = true;
    err e = series_reader_overlaps(r, row, s->time_min, s->time_max, &overlaps);
    bool known = !e;
    err_free(e);
    return overlaps || !known;
}

static err select_in_part(struct selection *s, uint32_t source, const struct label_matcher *m, uint32_t matchers,
                          struct arena *a, struct series_reader *r) {
    const struct series_info *info = series_part_info(s->sources[source].part);
    uint32_t *rows, n;
    if (info->time_min > s->time_max || info->time_max < s->time_min) return NULL;
    bool whole = info->time_min >= s->time_min && info->time_max <= s->time_max;
    TRY(series_reader_select(r, m, matchers, a, &rows, &n));
    for (uint32_t i = 0; i < n && !is_enough(s); i++) {
        struct labels l;
        TRY(check(s, i));
        if (!whole && !may_overlap(s, r, rows[i])) continue;
        TRY(series_reader_labels(r, rows[i], a, &l));
        add(s, l, source, rows[i], info->time_min, info->time_max);
    }
    return NULL;
}

static err select_in(struct selection *s, uint32_t source, const struct label_matcher *m, uint32_t matchers,
                     struct arena *a, struct series_stats *stats) {
    if (s->sources[source].head) return select_in_head(s, source, m, matchers, a);
    struct series_reader *r = series_reader_new(s->sources[source].part, stats);
    series_reader_keep_texts(r, a);
    err e = select_in_part(s, source, m, matchers, a, r);
    series_reader_free(r);
    return e;
}

err series_select_bounded(const struct series_source *sources, uint32_t source_count, const struct label_matcher *m,
                          uint32_t matchers, int64_t time_min, int64_t time_max, const struct select_bounds *bounds,
                          struct arena *a, struct series_stats *stats, struct selection **out) {
    if (source_count > SOURCES_MAX)
        return err_new(ERR_LIMIT, "%u sources of series, at most %d", source_count, SOURCES_MAX);
    struct selection *s = mem_new_of(struct selection);
    s->sources = sources;
    s->source_count = source_count;
    s->time_min = time_min;
    s->time_max = time_max;
    s->histogram_bytes_max = a->limit_bytes;
    s->bounds = bounds;
    s->budget = a->budget;
    err e = NULL;
    for (uint32_t i = 0; i < source_count && !e && !is_enough(s); i++)
        e = series_stats_skip(stats, select_in(s, i, m, matchers, a, stats));
    for (uint32_t i = 0; i < source_count && !e; i++)
        for (uint32_t d = 0; d < sources[i].delete_count && !e; d++)
            e = label_matchers_err(sources[i].deletes[d].matchers, sources[i].deletes[d].matcher_count);
    if (!e) e = settle(s);
    s->bounds = NULL;
    if (e) {
        selection_free(s);
        return e;
    }
    *out = s;
    return NULL;
}

err series_select(const struct series_source *sources, uint32_t source_count, const struct label_matcher *m,
                  uint32_t matchers, int64_t time_min, int64_t time_max, struct arena *a, struct series_stats *stats,
                  struct selection **out) {
    static const struct select_bounds none = {0};
    return series_select_bounded(sources, source_count, m, matchers, time_min, time_max, &none, a, stats, out);
}

void selection_free(struct selection *s) {
    if (!s) return;
    if (s->budget) budget_give(s->budget, s->charged_bytes);
    vec_done(&s->series);
    vec_done(&s->places);
    vec_done(&s->gone);
    mem_free(s->slots);
    mem_free(s);
}

struct selection_reader *selection_reader_new(const struct selection *s, struct series_stats *stats) {
    struct selection_reader *r = mem_new_of(struct selection_reader);
    r->s = s;
    r->stats = stats;
    r->readers = mem_new_array(struct series_reader *, s->source_count + 1);
    samples_init(&r->more, s->histogram_bytes_max);
    samples_init(&r->scratch, s->histogram_bytes_max);
    return r;
}

void selection_reader_free(struct selection_reader *r) {
    if (!r) return;
    for (uint32_t i = 0; i < r->s->source_count; i++) series_reader_free(r->readers[i]);
    mem_free(r->readers);
    samples_done(&r->more);
    samples_done(&r->scratch);
    mem_free(r);
}

uint32_t selection_count(const struct selection *s) { return (uint32_t)s->series.n; }
struct labels selection_labels(const struct selection *s, uint32_t i) {
    return s->series.v[i].labels;
}

uint32_t selection_place(const struct selection *s, uint32_t i) { return s->places.v[s->series.v[i].first - 1].id; }

/* The reader of a source; NULL where it is a head. */
static struct series_reader *reader_of(struct selection_reader *r, uint32_t source) {
    struct series_part *p = r->s->sources[source].part;
    if (p && !r->readers[source]) r->readers[source] = series_reader_new(p, r->stats);
    return r->readers[source];
}

static err read_place(struct selection_reader *r, const struct place *p, struct samples *out) {
    const struct selection *s = r->s;
    struct series_reader *part = reader_of(r, p->source);
    TRY(part ? series_reader_read(part, p->id, s->time_min, s->time_max, out)
             : series_head_read(s->sources[p->source].head, p->id, s->time_min, s->time_max, out));
    for (uint32_t i = p->gone; i < p->gone + p->gone_n; i++)
        samples_drop(out, s->gone.v[i].time_min, s->gone.v[i].time_max);
    return NULL;
}

err selection_read(struct selection_reader *r, uint32_t i, struct samples *out) {
    const struct selection *s = r->s;
    const struct chosen *c = &s->series.v[i];
    samples_clear(out);
    TRY(read_place(r, &s->places.v[c->first - 1], out));
    for (uint32_t at = s->places.v[c->first - 1].next; at; at = s->places.v[at - 1].next) {
        samples_clear(&r->more);
        TRY(read_place(r, &s->places.v[at - 1], &r->more));
        if (!samples_merge(out, &r->more, &r->scratch)) return arena_err(&out->arena);
    }
    return NULL;
}

/* So that equal ones, which two sources may have, stand side by side. */
static int compare_exemplars(const void *a, const void *b) {
    const struct exemplar *x = a, *y = b;
    uint64_t v = bits_of_double(x->value), w = bits_of_double(y->value);
    if (x->time_ns != y->time_ns) return x->time_ns < y->time_ns ? -1 : 1;
    return v != w ? (v < w ? -1 : 1) : label_set_compare(x->labels, y->labels);
}

static bool same_exemplar(const struct exemplar *x, const struct exemplar *y) {
    return x->time_ns == y->time_ns && bits_of_double(x->value) == bits_of_double(y->value) &&
           label_set_equal(x->labels, y->labels);
}

static bool is_gone(const struct selection *s, const struct place *p, int64_t time_ns) {
    for (uint32_t i = p->gone; i < p->gone + p->gone_n; i++)
        if (time_ns >= s->gone.v[i].time_min && time_ns <= s->gone.v[i].time_max) return true;
    return false;
}

err selection_exemplars(struct selection_reader *r, uint32_t i, struct arena *a, struct exemplar **out,
                        uint32_t *out_n) {
    const struct selection *s = r->s;
    VEC(struct exemplar) all = {0};
    err e = NULL;
    for (uint32_t at = s->series.v[i].first; at && !e; at = s->places.v[at - 1].next) {
        const struct place *p = &s->places.v[at - 1];
        struct series_reader *part = reader_of(r, p->source);
        struct exemplar *found = NULL;
        uint32_t n = 0;
        e = part ? series_reader_exemplars(part, p->id, s->time_min, s->time_max, a, &found, &n)
                 : series_head_exemplars(s->sources[p->source].head, p->id, s->time_min, s->time_max, a, &found, &n);
        for (uint32_t k = 0; k < n && !e; k++)
            if (!is_gone(s, p, found[k].time_ns)) *vec_push(&all) = found[k];
    }
    struct exemplar *list = e ? NULL : arena_array(a, struct exemplar, all.n + 1);
    uint32_t n = 0;
    if (all.n) qsort(all.v, all.n, sizeof *all.v, compare_exemplars);
    for (size_t k = 0; k < all.n && list; k++)
        if (n == 0 || !same_exemplar(&list[n - 1], &all.v[k])) list[n++] = all.v[k];
    if (!e && !list) e = arena_err(a);
    *out = list;
    *out_n = n;
    vec_done(&all);
    return e;
}

/* ---- names and values -------------------------------------------------------------------------------------------------- */

typedef VEC(struct str) texts;

static int compare_texts(const void *a, const void *b) {
    return str_compare(*(const struct str *)a, *(const struct str *)b);
}

static err list_source(const struct series_source *source, struct str name, int64_t time_min, int64_t time_max,
                       struct arena *a, struct series_stats *stats, texts *out) {
    struct str *found = NULL;
    uint32_t n = 0;
    err e;
    if (source->head) {
        struct head_stats hs;
        series_head_get_stats(source->head, &hs);
        if (hs.time_min > time_max || hs.time_max < time_min) return NULL;
        e = name.p ? series_head_label_values(source->head, name, a, &found, &n)
                   : series_head_label_names(source->head, a, &found, &n);
    } else {
        const struct series_info *info = series_part_info(source->part);
        if (info->time_min > time_max || info->time_max < time_min) return NULL;
        struct series_reader *r = series_reader_new(source->part, stats);
        e = name.p ? series_reader_label_values(r, name, a, &found, &n) : series_reader_label_names(r, a, &found, &n);
        series_reader_free(r);
    }
    for (uint32_t i = 0; i < n && !e; i++) *vec_push(out) = found[i];
    return e;
}

static void make_unique(texts *t) {
    size_t n = 0;
    if (t->n) qsort(t->v, t->n, sizeof *t->v, compare_texts);
    for (size_t i = 0; i < t->n; i++)
        if (i == 0 || !str_equal(t->v[i], t->v[n - 1])) t->v[n++] = t->v[i];
    t->n = n;
}

/* What is said again and again is dropped on the way. */
static void list_selected(const struct selection *s, struct str name, texts *out) {
    size_t most = TEXTS_BETWEEN_SORTS;
    for (uint32_t i = 0; i < s->series.n; i++) {
        if (out->n >= most) {
            make_unique(out);
            most = MAX(out->n * 2, (size_t)TEXTS_BETWEEN_SORTS);
        }
        struct labels l = s->series.v[i].labels;
        for (uint32_t k = 0; k < l.n; k++) {
            if (!name.p) *vec_push(out) = l.v[k].name;
            if (name.p && str_equal(l.v[k].name, name)) *vec_push(out) = l.v[k].value;
        }
    }
}

err series_label_texts(const struct series_source *sources, uint32_t source_count, struct str name,
                       const struct label_matcher *m, uint32_t matchers, int64_t time_min, int64_t time_max,
                       struct arena *a, struct series_stats *stats, struct str **out, uint32_t *out_n) {
    texts all = {0};
    struct selection *s = NULL;
    err e = NULL;
    bool select = matchers > 0;
    for (uint32_t i = 0; i < source_count; i++) select |= sources[i].delete_count > 0;
    if (select) {
        e = series_select(sources, source_count, m, matchers, time_min, time_max, a, stats, &s);
        if (!e) list_selected(s, name, &all);
        selection_free(s);
    }
    for (uint32_t i = 0; i < source_count && !select && !e; i++)
        e = list_source(&sources[i], name, time_min, time_max, a, stats, &all);
    make_unique(&all);
    struct str *list = e ? NULL : arena_array(a, struct str, all.n + 1);
    if (list && all.n) memcpy(list, all.v, all.n * sizeof *list);
    if (!e && !list) e = arena_err(a);
    *out = list;
    *out_n = e ? 0 : (uint32_t)all.n;
    vec_done(&all);
    return e;
}
