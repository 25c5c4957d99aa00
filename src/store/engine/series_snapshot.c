/* Reading the series table: files and heads as one, older first. */
#include <stdlib.h>

#include "store/engine/store_engine_priv.h"
#include "store/series/count_priv.h"

struct engine_series_snapshot {
    struct series_snapshot base;
    int64_t time_floor; /* older samples are past their retention */
    struct part_set *parts;
    VEC(struct sealed_head) heads; /* oldest first; their days are not set */
    struct delete_set *deletes;
    char tenant[TENANT_BYTES];
    struct metric_texts *texts; /* NULL: an unknown tenant */
};

/* ---- making and freeing ---------------------------------------------------------------------------------------------- */

static const struct series_snapshot_functions engine_series_functions;

static void hold_head(struct engine_series_snapshot *sn, struct head *h, uint64_t first, uint64_t last) {
    *vec_push(&sn->heads) = (struct sealed_head){.head = series_head_ref(h), .first = first, .last = last};
}

/* lock held */
static void hold_table(struct engine_series_snapshot *sn, const struct table *t, bool with_head) {
    const struct series_table *st = t->series;
    memcpy(sn->tenant, t->tenant, sizeof sn->tenant);
    sn->parts = part_set_ref(t->parts);
    sn->texts = st->texts;
    for (size_t i = 0; i < st->sealed.n; i++)
        hold_head(sn, st->sealed.v[i].head, st->sealed.v[i].first, st->sealed.v[i].last);
    if (with_head) hold_head(sn, st->head, st->first, MAX(st->last, st->first));
}

static int by_age(const void *a, const void *b) {
    const struct part_entry *x = *(const struct part_entry *const *)a, *y = *(const struct part_entry *const *)b;
    return x->age < y->age ? -1 : x->age > y->age;
}

static void snapshot_init(struct engine_series_snapshot *sn, struct engine *s, struct table *t, bool with_head) {
    *sn = (struct engine_series_snapshot){.base.f = &engine_series_functions, .time_floor = INT64_MIN};
    sn->deletes = delete_set_ref(s->deletes);
    if (t)
        hold_table(sn, t, with_head);
    else
        sn->parts = part_set_empty();
}

static void snapshot_done(struct engine_series_snapshot *sn) {
    for (size_t i = 0; i < sn->heads.n; i++) series_head_unref(sn->heads.v[i].head);
    vec_done(&sn->heads);
    part_set_unref(sn->parts);
    delete_set_unref(sn->deletes);
}

err engine_series_snapshot(struct store *store, struct str tenant, struct series_snapshot **out) {
    struct engine *s = (struct engine *)store;
    struct engine_series_snapshot *sn = mem_new_of(struct engine_series_snapshot);
    int64_t newest;
    lock_take(&s->lock);
    struct table *t = engine_table(s, tenant, TABLE_SERIES, false);
    snapshot_init(sn, s, t, true);
    lock_give(&s->lock);
    retention_limits(s->o.retention_ns, s->o.wall_ns(), &sn->time_floor, &newest);
    *out = &sn->base;
    return NULL;
}

static void snapshot_free_all(struct series_snapshot *snapshot) {
    struct engine_series_snapshot *sn = (struct engine_series_snapshot *)snapshot;
    snapshot_done(sn);
    mem_free(sn);
}

/* ---- sources --------------------------------------------------------------------------------------------------------- */

struct sources {
    struct series_source *v;
    uint32_t n;
    struct compiled_deletes deletes;
};

static void sources_done(struct sources *s) { compiled_deletes_done(&s->deletes); }

static err add_part(struct sources *s, const struct part_entry *p, struct arena *a) {
    struct series_source *one = &s->v[s->n++];
    *one = (struct series_source){.part = p->series};
    return compiled_deletes_of(&s->deletes, p->deletes_applied, 0, a, one);
}

static err add_head(struct sources *s, const struct sealed_head *h, struct arena *a) {
    struct series_source *one = &s->v[s->n++];
    *one = (struct series_source){.head = h->head};
    return h->last ? compiled_deletes_of(&s->deletes, 0, h->last, a, one) : NULL;
}

static void count_missing(const struct part_entry *p, struct series_stats *stats) {
    err e = err_new(ERR_CORRUPT, "file %llu of series cannot be opened", (unsigned long long)p->id);
    err_free(series_stats_skip(stats, e));
}

/* Files in the order of their age, as where two have a sample at one time the older wins. */
static err add_parts(struct sources *s, const struct engine_series_snapshot *sn, int64_t time_min, int64_t time_max,
                     struct arena *a, struct series_stats *stats) {
    const struct part_entry **order = arena_array(a, const struct part_entry *, sn->parts->n + 1);
    size_t n = 0;
    if (!order) return arena_err(a);
    for (size_t i = 0; i < sn->parts->n; i++) {
        const struct part_entry *p = &sn->parts->v[i];
        if (p->time_min > time_max || p->time_max < time_min) continue;
        if (p->series)
            order[n++] = p;
        else
            count_missing(p, stats);
    }
    qsort(order, n, sizeof(const struct part_entry *), by_age);
    for (size_t i = 0; i < n; i++) TRY(add_part(s, order[i], a));
    return NULL;
}

/* What overlaps the range; memory of the arena. sources_done after use, also on an error. */
static err sources_make(struct sources *s, const struct engine_series_snapshot *sn, int64_t time_min, int64_t time_max,
                        struct arena *a, struct series_stats *stats) {
    *s = (struct sources){.v = arena_array(a, struct series_source, sn->parts->n + sn->heads.n + 1)};
    if (!s->v) return arena_err(a);
    TRY(compile_deletes(sn->deletes, sn->tenant, a, &s->deletes));
    TRY(add_parts(s, sn, time_min, time_max, a, stats));
    for (size_t i = 0; i < sn->heads.n; i++) TRY(add_head(s, &sn->heads.v[i], a));
    return NULL;
}

/* ---- questions ------------------------------------------------------------------------------------------------------- */

static int64_t floor_of(const struct engine_series_snapshot *sn, const struct series_request *r) {
    return MAX(r->time_min, sn->time_floor);
}

static err snapshot_select(struct series_snapshot *snapshot, const struct series_request *r, struct arena *a,
                           struct series_stats *stats, struct selection **out) {
    struct engine_series_snapshot *sn = (struct engine_series_snapshot *)snapshot;
    struct sources s;
    err e = sources_make(&s, sn, floor_of(sn, r), r->time_max, a, stats);
    struct select_bounds bounds = {r->limit, r->check, r->check_context};
    if (!e)
        e = series_select_bounded(s.v, s.n, r->matchers, r->matcher_count, floor_of(sn, r), r->time_max, &bounds, a,
                                  stats, out);
    sources_done(&s);
    return e;
}

static err snapshot_texts(struct series_snapshot *snapshot, struct str name, const struct series_request *r,
                          struct arena *a, struct series_stats *stats, struct str **out, uint32_t *out_n) {
    struct engine_series_snapshot *sn = (struct engine_series_snapshot *)snapshot;
    struct sources s;
    err e = sources_make(&s, sn, floor_of(sn, r), r->time_max, a, stats);
    if (!e)
        e = series_label_texts(s.v, s.n, name, r->matchers, r->matcher_count, floor_of(sn, r), r->time_max, a, stats,
                               out, out_n);
    sources_done(&s);
    return e;
}

static err snapshot_metadata(struct series_snapshot *snapshot, struct str name, struct arena *a,
                             struct series_metadata **out, uint32_t *out_n) {
    struct engine_series_snapshot *sn = (struct engine_series_snapshot *)snapshot;
    *out_n = 0;
    *out = NULL;
    return sn->texts ? metric_texts_list(sn->texts, name, a, out, out_n) : NULL;
}

static struct series_count *counts_of(const struct series_tally *t, struct arena *a) {
    struct series_count *v = arena_array(a, struct series_count, t->n + 1);
    for (uint32_t i = 0; v && i < t->n; i++)
        v[i] = (struct series_count){t->v[i].name,   t->v[i].value,   t->v[i].series,
                                     t->v[i].values, t->v[i].samples, t->v[i].bytes};
    return v;
}

/* Of heads as a whole, and of files that overlap the range. */
static void count_memory(const struct engine_series_snapshot *sn, const struct sources *s,
                         struct series_cardinality *out) {
    for (size_t i = 0; i < sn->heads.n; i++) {
        struct head_stats h;
        series_head_get_stats(sn->heads.v[i].head, &h);
        out->memory_bytes += h.bytes;
        out->samples += h.samples + h.histograms;
        out->time_min = MIN(out->time_min, h.time_min);
        out->time_max = MAX(out->time_max, h.time_max);
    }
    for (uint32_t i = 0; i < s->n; i++) {
        if (!s->v[i].part) continue;
        const struct series_info *info = series_part_info(s->v[i].part);
        out->time_min = MIN(out->time_min, info->time_min);
        out->time_max = MAX(out->time_max, info->time_max);
    }
}

static err count_sources(const struct engine_series_snapshot *sn, const struct sources *s,
                         const struct series_request *r, uint32_t n, struct arena *a, struct series_stats *stats,
                         struct series_cardinality *out) {
    struct series_counts c;
    TRY(series_count(s->v, s->n, r->matchers, r->matcher_count, floor_of(sn, r), r->time_max, n, a, stats, &c));
    *out = (struct series_cardinality){.series = c.series,
                                       .labels = c.labels,
                                       .pairs = c.pairs,
                                       .samples = c.samples,
                                       .file_bytes = c.file_bytes,
                                       .time_min = INT64_MAX,
                                       .time_max = INT64_MIN,
                                       .by_metric = counts_of(&c.by_metric, a),
                                       .by_label = counts_of(&c.by_label, a),
                                       .by_pair = counts_of(&c.by_pair, a),
                                       .metric_count = c.by_metric.n,
                                       .label_count = c.by_label.n,
                                       .pair_count = c.by_pair.n};
    count_memory(sn, s, out);
    return arena_err(a);
}

static err snapshot_cardinality(struct series_snapshot *snapshot, const struct series_request *r, uint32_t n,
                                struct arena *a, struct series_stats *stats, struct series_cardinality *out) {
    struct engine_series_snapshot *sn = (struct engine_series_snapshot *)snapshot;
    struct sources s;
    err e = sources_make(&s, sn, floor_of(sn, r), r->time_max, a, stats);
    if (!e) e = count_sources(sn, &s, r, n, a, stats, out);
    sources_done(&s);
    return e;
}

static const struct series_snapshot_functions engine_series_functions = {
    .free = snapshot_free_all,
    .select = snapshot_select,
    .texts = snapshot_texts,
    .metadata = snapshot_metadata,
    .cardinality = snapshot_cardinality,
};

/* ---- what deltas are added to ------------------------------------------------------------------------------------------ */

struct series_before {
    struct engine_series_snapshot sn;
    struct sources sources;
    struct series_reader **readers; /* of sources that are files, made as they are needed */
    struct series_stats stats;
    struct arena memory;
    struct samples found;
    bool usable;
};

struct series_before *engine_series_before(struct engine *s, struct table *t) {
    struct series_before *b = mem_new_of(struct series_before);
    arena_init(&b->memory, 64 * MIB);
    samples_init(&b->found, 64 * MIB);
    lock_take(&s->lock);
    snapshot_init(&b->sn, s, t, false);
    lock_give(&s->lock);
    err e = sources_make(&b->sources, &b->sn, INT64_MIN, INT64_MAX, &b->memory, &b->stats);
    b->usable = !e;
    err_free(e);
    b->readers = mem_new_array(struct series_reader *, b->sources.n + 1);
    return b;
}

void series_before_free(struct series_before *b) {
    if (!b) return;
    for (uint32_t i = 0; i < b->sources.n; i++) series_reader_free(b->readers[i]);
    mem_free(b->readers);
    sources_done(&b->sources);
    snapshot_done(&b->sn);
    samples_done(&b->found);
    arena_done(&b->memory);
    mem_free(b);
}

static int64_t newest_of(const struct series_source *s) {
    struct head_stats stats;
    if (s->part) return series_part_info(s->part)->time_max;
    series_head_get_stats(s->head, &stats);
    return stats.time_max;
}

static void drop_deleted(const struct series_source *s, struct labels l, struct samples *found) {
    for (uint32_t i = 0; i < s->delete_count && found->n; i++)
        if (label_matchers_match(s->deletes[i].matchers, s->deletes[i].matcher_count, l))
            samples_drop(found, s->deletes[i].time_min, s->deletes[i].time_max);
}

/* Samples of one source since then, as deletes leave them; none where the series is not there. */
static err read_source(struct series_before *b, uint32_t i, struct labels l, int64_t since) {
    const struct series_source *s = &b->sources.v[i];
    uint32_t at = 0;
    bool there = false;
    samples_clear(&b->found);
    if (s->head) {
        there = series_head_find(s->head, l, &at);
        if (there) TRY(series_head_read(s->head, at, since, INT64_MAX, &b->found));
    } else {
        if (!b->readers[i]) b->readers[i] = series_reader_new(s->part, &b->stats);
        TRY(series_reader_find(b->readers[i], l, &at, &there));
        if (there) TRY(series_reader_read(b->readers[i], at, since, INT64_MAX, &b->found));
    }
    drop_deleted(s, l, &b->found);
    return NULL;
}

bool series_before_find(struct series_before *b, struct labels l, int64_t since, struct head_last *out) {
    bool there = false;
    *out = (struct head_last){.time_ns = since};
    for (uint32_t i = b->usable ? b->sources.n : 0; i-- > 0;) { /* of two at one time the older source's */
        if (newest_of(&b->sources.v[i]) < out->time_ns) continue;
        err e = read_source(b, i, l, out->time_ns);
        uint32_t n = e ? 0 : b->found.n;
        err_free(e); /* a damaged file: as if it were not there */
        if (n == 0) continue;
        const struct histogram *h = samples_histogram(&b->found, n - 1);
        mem_free((void *)(uintptr_t)out->histogram);
        *out = (struct head_last){b->found.times_ns[n - 1], samples_start(&b->found, n - 1),
                                  h ? 0 : b->found.values[n - 1], h ? histogram_on_heap(h) : NULL};
        there = true;
    }
    return there;
}
