/* Series in the simplest way there is: label sets and samples in arrays. Translation and the sum of native histograms are those of signal and of
 * series/; what is taken, when, and what a question finds is decided here, by looking at everything. */
#include "store/series_model_priv.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/vec.h"
#include "os/thread.h"
#include "store/series/select_priv.h"

enum { TEXT_BYTES_MAX = 1 << 20, SAYINGS_MAX = 8 };
static const int64_t base_age_ns = (int64_t)3600 * 1000000000;

struct model_sample {
    int64_t time_ns, start_ns;
    double value;
    struct histogram *histogram;
};

struct model_exemplar {
    int64_t time_ns;
    double value;
    struct str bytes; /* of its labels */
};

struct model_series {
    char *tenant;
    struct str bytes; /* label_set_write */
    uint64_t hash;    /* of bytes */
    struct arena memory;
    struct labels labels;
    VEC(struct model_sample) samples;
    VEC(struct model_exemplar) exemplars;
};

struct model_text {
    char *tenant, *name, *help, *unit;
    enum metric_type type;
};

typedef VEC(struct model_series *) series_list;

struct series_model {
    const struct translation *translation;
    int64_t late_window_ns, retention_ns;
    uint32_t labels_max;
    series_list series;
    VEC(struct model_text) texts;
};

struct series_model *series_model_new(const struct store_options *o) {
    struct series_model *m = mem_new_of(struct series_model);
    struct series_options so = o->series;
    series_options_fill(&so, 0);
    m->translation = so.translation;
    m->late_window_ns = MAX(so.late_window_ns, 0);
    m->labels_max = so.labels_max;
    m->retention_ns = o->retention_ns;
    return m;
}

static void series_free(struct model_series *s) {
    for (size_t i = 0; i < s->samples.n; i++) mem_free(s->samples.v[i].histogram);
    for (size_t i = 0; i < s->exemplars.n; i++) mem_free((char *)(uintptr_t)s->exemplars.v[i].bytes.p);
    vec_done(&s->samples);
    vec_done(&s->exemplars);
    arena_done(&s->memory);
    mem_free(s->tenant);
    mem_free((char *)(uintptr_t)s->bytes.p);
    mem_free(s);
}

static void list_free(series_list *list) {
    for (size_t i = 0; i < list->n; i++) series_free(list->v[i]);
    vec_done(list);
}

void series_model_free(struct series_model *m) {
    list_free(&m->series);
    for (size_t i = 0; i < m->texts.n; i++) {
        char *all[] = {m->texts.v[i].tenant, m->texts.v[i].name, m->texts.v[i].help, m->texts.v[i].unit};
        for (size_t k = 0; k < LENGTH(all); k++) mem_free(all[k]);
    }
    vec_done(&m->texts);
    mem_free(m);
}

static struct model_series *series_new(struct str tenant, struct str bytes) {
    struct model_series *s = mem_new_of(struct model_series);
    s->tenant = str_dup(tenant);
    s->bytes = (struct str){str_dup(bytes), bytes.n};
    s->hash = hash_bytes(bytes.p, bytes.n);
    arena_init(&s->memory, 16 * MIB);
    assert(label_set_read(s->bytes, &s->memory, &s->labels));
    return s;
}

static struct model_series *find(struct series_model *m, struct str tenant, struct labels l, bool make) {
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, 16 * MIB);
    label_set_write(l, &bytes);
    uint64_t hash = hash_bytes(bytes.p, bytes.n);
    for (size_t i = 0; i < m->series.n; i++) {
        struct model_series *s = m->series.v[i];
        if (s->hash == hash && str_equal(s->bytes, buf_str(&bytes)) && str_equal(str_of(s->tenant), tenant)) return s;
    }
    if (!make) return NULL;
    struct model_series *s = series_new(tenant, buf_str(&bytes));
    *vec_push(&m->series) = s;
    return s;
}

static const struct model_sample *newest(const struct model_series *s) {
    const struct model_sample *best = NULL;
    for (size_t i = 0; i < s->samples.n; i++)
        if (!best || s->samples.v[i].time_ns > best->time_ns) best = &s->samples.v[i];
    return best;
}

static const struct model_sample *sample_at(const struct model_series *s, int64_t time_ns) {
    for (size_t i = 0; i < s->samples.n; i++)
        if (s->samples.v[i].time_ns == time_ns) return &s->samples.v[i];
    return NULL;
}

/* ---- appending ---------------------------------------------------------------------------------------------------- */

struct judged {
    struct series_model *m;
    struct str tenant;
    struct points_outcome *out;
    int64_t time_min, time_max;
    bool refused; /* of the point under way */
};

static void refuse(struct judged *j, enum series_refusal why) {
    if (!j->refused) j->out->rejected_by[why]++;
    j->refused = true;
}

static void keep(struct judged *j, struct model_series *s, const struct model_sample *x) {
    const struct model_sample *last = newest(s), *there = sample_at(s, x->time_ns);
    bool same = there && !there->histogram == !x->histogram &&
                (x->histogram ? histogram_equal(there->histogram, x->histogram)
                              : bits_of_double(there->value) == bits_of_double(x->value));
    if (there && !same) {
        refuse(j, REFUSED_CONFLICT);
        return;
    }
    if (!there && last && last->time_ns > x->time_ns && last->time_ns - x->time_ns > j->m->late_window_ns) {
        refuse(j, REFUSED_TOO_LATE);
        return;
    }
    j->out->samples += !x->histogram;
    j->out->histograms += x->histogram != NULL;
    if (there) return;
    *vec_push(&s->samples) = *x;
    if (x->histogram) s->samples.v[s->samples.n - 1].histogram = histogram_on_heap(x->histogram);
}

/* False: it is not newer than what is there. */
static bool add_up(const struct model_series *s, struct model_sample *x, struct arena *a) {
    const struct model_sample *last = newest(s);
    struct histogram sum;
    if (!last) return true;
    if (last->time_ns >= x->time_ns) return false;
    if (x->time_ns - last->time_ns > base_age_ns || !last->histogram != !x->histogram) return true;
    if (x->histogram) {
        if (histogram_is_stale(last->histogram) || histogram_is_stale(x->histogram) ||
            !histogram_add(last->histogram, x->histogram, a, &sum))
            return true;
        *x->histogram = sum;
    } else {
        if (last->value != last->value || value_is_stale(x->value)) return true;
        x->value += last->value;
    }
    x->start_ns = last->start_ns;
    return true;
}

static struct labels labels_of(struct str bytes, struct label out[LABELS_MAX + 1]) {
    uint32_t n = 0;
    while (n <= LABELS_MAX && points_label_next(&bytes, &out[n].name, &out[n].value)) n++;
    return (struct labels){out, n};
}

static void integer_counts(const uint64_t *deltas, uint32_t n, union histogram_number *out) {
    for (uint32_t i = 0; i < n; i++) out[i].integer = (i ? out[i - 1].integer : 0) + deltas[i];
}

/* A native histogram of a batch; memory of the arena. */
static struct histogram *histogram_of(const struct points *p, const struct points_histogram *h, struct arena *a) {
    struct histogram *out = arena_new(a, struct histogram);
    uint32_t positive = h->n[NUMBERS_POSITIVE], negative = h->n[NUMBERS_NEGATIVE];
    union histogram_number *counts = arena_array(a, union histogram_number, positive + negative + 1);
    out->is_float = (h->flags & HISTOGRAM_IS_FLOAT) != 0;
    if (out->is_float) {
        memcpy(counts, histogram_numbers(p, h, NUMBERS_POSITIVE), positive * sizeof *counts);
        memcpy(counts + positive, histogram_numbers(p, h, NUMBERS_NEGATIVE), negative * sizeof *counts);
    } else {
        integer_counts(histogram_numbers(p, h, NUMBERS_POSITIVE), positive, counts);
        integer_counts(histogram_numbers(p, h, NUMBERS_NEGATIVE), negative, counts + positive);
    }
    out->positive_spans = h->n[NUMBERS_POSITIVE_SPANS];
    out->negative_spans = h->n[NUMBERS_NEGATIVE_SPANS];
    struct histogram_span *spans = arena_array(a, struct histogram_span, out->positive_spans + out->negative_spans + 1);
    for (uint32_t i = 0; i < out->positive_spans + out->negative_spans; i++) {
        uint64_t packed = histogram_numbers(p, h, NUMBERS_POSITIVE_SPANS)[i];
        spans[i] = (struct histogram_span){(int32_t)(packed >> 32), (uint32_t)packed};
    }
    out->bucket = counts;
    out->buckets = positive + negative;
    out->spans = spans;
    out->custom_bounds = h->n[NUMBERS_BOUNDS];
    out->bounds = (const double *)(const void *)histogram_numbers(p, h, NUMBERS_BOUNDS);
    out->schema = h->scale;
    out->reset_hint = (uint8_t)h->reset_hint;
    out->count.integer = h->count;
    out->zero_count.integer = h->zero_count;
    out->sum = double_of_bits(h->sum);
    out->zero_threshold = double_of_bits(h->zero_threshold);
    return out;
}

static bool to_ns(uint64_t ms, int64_t *out) { return !__builtin_mul_overflow((int64_t)ms, 1000000, out); }

/* Point i of a batch of POINTS_PROMETHEUS. */
static void append_point(struct judged *j, const struct points *p, uint32_t i) {
    struct label pairs[LABELS_MAX + 1];
    struct labels l = labels_of(points_labels_of(p, point_series(p, i)), pairs);
    struct model_sample x = {0};
    AUTO_ARENA struct arena a;
    arena_init(&a, 64 * MIB);
    err bad = label_set_check(l, j->m->labels_max);
    enum point_kind kind = point_kind(p, i);
    if (kind == POINT_NATIVE) x.histogram = histogram_of(p, &p->histograms[point_value(p, i)], &a);
    if (kind == POINT_DOUBLE) x.value = double_of_bits(point_value(p, i));
    if (kind == POINT_INT) x.value = (double)(int64_t)point_value(p, i);
    err lie = x.histogram ? histogram_check(x.histogram) : NULL;
    if (!to_ns(point_start(p, i), &x.start_ns)) x.start_ns = 0;
    if (!to_ns(point_time(p, i), &x.time_ns) || x.time_ns < j->time_min || x.time_ns > j->time_max)
        refuse(j, REFUSED_TIME);
    else if (!label_set_get(l, METRIC_NAME).n || bad)
        refuse(j, bad && err_kind(bad) == ERR_LIMIT ? REFUSED_OVER_LIMIT : REFUSED_LABELS);
    else if (lie)
        refuse(j, REFUSED_HISTOGRAM);
    else {
        struct model_series *s = find(j->m, j->tenant, l, true);
        if ((point_flags(p, i) & POINT_DELTA) && !add_up(s, &x, &a))
            refuse(j, sample_at(s, x.time_ns) ? REFUSED_CONFLICT : REFUSED_TOO_LATE);
        else
            keep(j, s, &x);
    }
    err_free(bad);
    err_free(lie);
}

static void append_exemplars(struct judged *j, const struct points *p) {
    for (uint32_t i = 0; i < p->exemplar_count; i++) {
        const struct points_exemplar *e = &p->exemplars[i];
        struct label pairs[LABELS_MAX + 1], own[LABELS_MAX + 1];
        struct model_series *s =
            find(j->m, j->tenant, labels_of(points_labels_of(p, e->series), pairs), false);
        struct labels l = labels_of(points_string(p, e->labels), own);
        AUTO_BUF struct buf b;
        int64_t time;
        buf_init(&b, MIB);
        if (!s || !s->samples.n || !to_ns(e->time, &time)) continue;
        label_set_write(l, &b);
        bool known = false;
        for (size_t k = 0; k < s->exemplars.n; k++)
            known |= s->exemplars.v[k].time_ns == time && str_equal(s->exemplars.v[k].bytes, buf_str(&b)) &&
                     bits_of_double(s->exemplars.v[k].value) == e->value;
        j->out->exemplars++;
        if (known) continue;
        *vec_push(&s->exemplars) = (struct model_exemplar){time, double_of_bits(e->value), {str_dup(buf_str(&b)), b.n}};
    }
}

static void append_texts(struct judged *j, const struct points *p) {
    for (uint32_t i = 1; i < p->metric_count; i++) {
        const struct points_metric *m = &p->metrics[i];
        if (!m->name) continue;
        *vec_push(&j->m->texts) = (struct model_text){str_dup(j->tenant), str_dup(points_string(p, m->name)),
                                                      str_dup(points_string(p, m->description)),
                                                      str_dup(points_string(p, m->unit)), (enum metric_type)m->kind};
    }
}

/* What was translated of one point, or what came as it is, with its exemplars. */
static void append_view(struct judged *j, const struct points *p, bool counts) {
    for (uint32_t i = 0; i < p->n; i++) {
        if (counts) j->refused = false;
        append_point(j, p, i);
        if (counts) j->out->rejected += j->refused;
    }
    if (counts || !j->refused) append_exemplars(j, p);
    append_texts(j, p);
}

static void append_made(struct judged *j, struct points_builder *made) {
    struct points view;
    struct batch_blob *blob = points_builder_finish(made);
    points_view(blob, &view);
    append_view(j, &view, false);
    batch_unref(blob);
}

static void append_otlp(struct judged *j, const struct points *p) {
    struct translator *t = translator_new(j->m->translation);
    struct points_builder made;
    points_builder_init(&made, POINTS_PROMETHEUS);
    AUTO_FREE uint64_t *latest = mem_new_array(uint64_t, p->resource_count + 1);
    AUTO_FREE bool *seen = mem_new_array(bool, p->resource_count + 1);
    for (uint32_t i = 0; i < p->n; i++) {
        enum translate_reason why;
        uint32_t resource = p->metrics[p->series[point_series(p, i)].metric].resource;
        seen[resource] = true;
        latest[resource] = MAX(latest[resource], point_time(p, i));
        j->refused = false;
        translator_forget(t);
        if (translate_point(t, p, i, &made, &why)) {
            append_made(j, &made);
        } else {
            j->out->by_translation[why]++;
            refuse(j, REFUSED_TRANSLATION);
        }
        j->out->rejected += j->refused;
    }
    struct points_outcome outcome = *j->out;
    for (uint32_t r = 0; r < p->resource_count && j->m->translation->target_info; r++) {
        if (!seen[r]) continue;
        translator_forget(t);
        translate_target_info(t, p, r, latest[r], &made);
        append_made(j, &made);
    }
    *j->out = outcome; /* nobody sent those */
    points_builder_done(&made);
    translator_free(t);
}

void series_model_append(struct series_model *m, struct str tenant, struct batch_blob *blob, int64_t now_ns,
                         struct points_outcome *out) {
    struct judged j = {.m = m, .tenant = tenant, .out = out};
    struct points p;
    points_view(blob, &p);
    *out = (struct points_outcome){.points = p.n};
    retention_limits(m->retention_ns, now_ns, &j.time_min, &j.time_max);
    if (p.origin == POINTS_OTLP)
        append_otlp(&j, &p);
    else
        append_view(&j, &p, true);
}

/* ---- deleting ------------------------------------------------------------------------------------------------------ */

void series_model_delete(struct series_model *m, struct str tenant, const struct series_request *r) {
    for (size_t i = 0; i < m->series.n; i++) {
        struct model_series *s = m->series.v[i];
        size_t kept = 0, exemplars = 0;
        if (!str_equal(str_of(s->tenant), tenant) || !label_matchers_match(r->matchers, r->matcher_count, s->labels))
            continue;
        for (size_t k = 0; k < s->samples.n; k++) {
            struct model_sample x = s->samples.v[k];
            bool gone = x.time_ns >= r->time_min && x.time_ns <= r->time_max;
            if (gone)
                mem_free(x.histogram);
            else
                s->samples.v[kept++] = x;
        }
        s->samples.n = kept;
        for (size_t k = 0; k < s->exemplars.n; k++) {
            struct model_exemplar x = s->exemplars.v[k];
            bool gone = x.time_ns >= r->time_min && x.time_ns <= r->time_max;
            if (gone)
                mem_free((char *)(uintptr_t)x.bytes.p);
            else
                s->exemplars.v[exemplars++] = x;
        }
        s->exemplars.n = exemplars;
    }
}

/* ---- reading ------------------------------------------------------------------------------------------------------- */

struct model_view {
    struct series_snapshot base;
    series_list series; /* copies */
    VEC(struct model_text) texts;
    struct lock lock;                  /* slices of a question select at once */
    VEC(struct series_source *) given; /* what selections read; under lock */
};

static int by_time(const void *a, const void *b) {
    const struct model_sample *x = a, *y = b;
    return x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
}

static const struct series_snapshot_functions model_view_functions;

struct series_snapshot *series_model_snapshot(struct series_model *m, struct str tenant, int64_t time_floor) {
    struct model_view *v = mem_new_of(struct model_view);
    v->base.f = &model_view_functions;
    lock_init(&v->lock);
    for (size_t i = 0; i < m->series.n; i++) {
        const struct model_series *from = m->series.v[i];
        if (!str_equal(str_of(from->tenant), tenant)) continue;
        struct model_series *s = series_new(tenant, from->bytes);
        bool ascend = true;
        for (size_t k = 0; k < from->samples.n; k++) {
            struct model_sample x = from->samples.v[k];
            ascend &= k == 0 || from->samples.v[k - 1].time_ns <= x.time_ns;
            if (x.time_ns < time_floor) continue;
            if (x.histogram) x.histogram = histogram_on_heap(x.histogram);
            *vec_push(&s->samples) = x;
        }
        if (!ascend && s->samples.n) qsort(s->samples.v, s->samples.n, sizeof *s->samples.v, by_time);
        for (size_t k = 0; k < from->exemplars.n; k++) {
            struct model_exemplar x = from->exemplars.v[k];
            if (x.time_ns < time_floor) continue;
            x.bytes.p = str_dup(x.bytes);
            *vec_push(&s->exemplars) = x;
        }
        *vec_push(&v->series) = s;
    }
    for (size_t i = 0; i < m->texts.n; i++)
        if (str_equal(str_of(m->texts.v[i].tenant), tenant)) *vec_push(&v->texts) = m->texts.v[i];
    return &v->base;
}

static void view_free(struct series_snapshot *sn) {
    struct model_view *v = (struct model_view *)sn;
    list_free(&v->series);
    for (size_t i = 0; i < v->given.n; i++) {
        series_head_unref(v->given.v[i]->head);
        mem_free(v->given.v[i]);
    }
    vec_done(&v->given);
    vec_done(&v->texts);
    lock_done(&v->lock);
    mem_free(v);
}

static bool has_samples(const struct model_series *s, const struct series_request *r) {
    for (size_t i = 0; i < s->samples.n; i++)
        if (s->samples.v[i].time_ns >= r->time_min && s->samples.v[i].time_ns <= r->time_max) return true;
    return false;
}

static err give_series(struct head *h, const struct model_series *s) {
    uint32_t id;
    uint8_t verdict;
    TRY(series_head_add(h, s->labels, 0, 0, &id));
    for (size_t i = 0; i < s->samples.n; i++) {
        const struct model_sample *x = &s->samples.v[i];
        if (x->histogram)
            TRY(series_head_append_histogram(h, id, x->time_ns, x->histogram, x->start_ns, &verdict));
        else
            TRY(series_head_append(h, &id, &x->time_ns, &x->value, &x->start_ns, 1, &verdict));
        assert(verdict == SAMPLE_TAKEN);
    }
    for (size_t i = 0; i < s->exemplars.n; i++) {
        AUTO_ARENA struct arena a;
        arena_init(&a, MIB);
        struct exemplar e = {.series = id, .time_ns = s->exemplars.v[i].time_ns, .value = s->exemplars.v[i].value};
        assert(label_set_read(s->exemplars.v[i].bytes, &a, &e.labels));
        err_free(series_head_append_exemplar(h, &e));
    }
    return NULL;
}

/* What matches goes into a head of its own, whose selection takes all there is. */
static err view_select(struct series_snapshot *sn, const struct series_request *r, struct arena *a,
                       struct series_stats *stats, struct selection **out) {
    struct model_view *v = (struct model_view *)sn;
    struct head_options o = {.series_max = HEAD_SERIES_MAX, .labels_max = LABELS_MAX};
    struct series_source *source = mem_new_of(struct series_source);
    *source = (struct series_source){.head = series_head_new(&o)};
    lock_take(&v->lock);
    *vec_push(&v->given) = source;
    lock_give(&v->lock);
    for (size_t i = 0; i < v->series.n; i++)
        if (has_samples(v->series.v[i], r) &&
            label_matchers_match(r->matchers, r->matcher_count, v->series.v[i]->labels))
            TRY(give_series(source->head, v->series.v[i]));
    struct select_bounds bounds = {r->limit, r->check, r->check_context};
    return series_select_bounded(source, 1, NULL, 0, r->time_min, r->time_max, &bounds, a, stats, out);
}

static int by_text(const void *a, const void *b) { return str_compare(*(const struct str *)a, *(const struct str *)b); }

static err view_texts(struct series_snapshot *sn, struct str name, const struct series_request *r, struct arena *a,
                      struct series_stats *stats, struct str **out, uint32_t *out_n) {
    struct model_view *v = (struct model_view *)sn;
    VEC(struct str) all = {0};
    (void)stats;
    for (size_t i = 0; i < v->series.n; i++) {
        const struct model_series *s = v->series.v[i];
        if (!has_samples(s, r) || !label_matchers_match(r->matchers, r->matcher_count, s->labels)) continue;
        for (uint32_t k = 0; k < s->labels.n; k++) {
            if (!name.p) *vec_push(&all) = s->labels.v[k].name;
            if (name.p && str_equal(s->labels.v[k].name, name)) *vec_push(&all) = s->labels.v[k].value;
        }
    }
    if (all.n) qsort(all.v, all.n, sizeof *all.v, by_text);
    *out = arena_array(a, struct str, all.n + 1);
    *out_n = 0;
    for (size_t i = 0; i < all.n && *out; i++)
        if (i == 0 || !str_equal(all.v[i], all.v[i - 1])) (*out)[(*out_n)++] = arena_copy(a, all.v[i]);
    vec_done(&all);
    return arena_err(a);
}

static bool same_text(const struct model_text *x, const struct model_text *y) {
    return x->type == y->type && strcmp(x->name, y->name) == 0 && strcmp(x->help, y->help) == 0 &&
           strcmp(x->unit, y->unit) == 0;
}

static int by_name(const void *a, const void *b) {
    return str_compare(((const struct series_metadata *)a)->name, ((const struct series_metadata *)b)->name);
}

static err view_metadata(struct series_snapshot *sn, struct str name, struct arena *a, struct series_metadata **out,
                         uint32_t *out_n) {
    struct model_view *v = (struct model_view *)sn;
    *out = arena_array(a, struct series_metadata, v->texts.n + 1);
    *out_n = 0;
    for (size_t i = v->texts.n; i-- > 0 && *out;) {
        const struct model_text *t = &v->texts.v[i];
        uint32_t newer = 0, before = 0;
        for (size_t k = i + 1; k < v->texts.n; k++) newer += same_text(&v->texts.v[k], t);
        for (uint32_t k = 0; k < *out_n; k++) before += str_equal((*out)[k].name, str_of(t->name));
        if (newer || before == SAYINGS_MAX || (name.p && !str_equal(name, str_of(t->name)))) continue;
        (*out)[(*out_n)++] = (struct series_metadata){arena_copy(a, str_of(t->name)), arena_copy(a, str_of(t->help)),
                                                      arena_copy(a, str_of(t->unit)), t->type};
    }
    if (*out_n) qsort(*out, *out_n, sizeof **out, by_name); /* glibc's is stable as long as it has memory */
    return arena_err(a);
}

/* ---- counting ------------------------------------------------------------------------------------------------------ */

typedef VEC(struct series_count) count_list;

static struct series_count *count_of(count_list *list, struct str name, struct str value) {
    for (size_t i = 0; i < list->n; i++)
        if (str_equal(list->v[i].name, name) && str_equal(list->v[i].value, value)) return &list->v[i];
    *vec_push(list) = (struct series_count){.name = name, .value = value};
    return &list->v[list->n - 1];
}

static int by_series(const void *a, const void *b) {
    const struct series_count *x = a, *y = b;
    if (x->series != y->series) return x->series < y->series ? 1 : -1;
    int c = str_compare(x->name, y->name);
    return c ? c : str_compare(x->value, y->value);
}

static struct series_count *top(count_list *list, uint32_t n, struct arena *a, uint32_t *out_n) {
    if (list->n) qsort(list->v, list->n, sizeof *list->v, by_series);
    *out_n = (uint32_t)MIN(list->n, (size_t)n);
    struct series_count *v = arena_array(a, struct series_count, *out_n + 1);
    if (v && *out_n) memcpy(v, list->v, *out_n * sizeof *v);
    vec_done(list);
    return v;
}

static err view_cardinality(struct series_snapshot *sn, const struct series_request *r, uint32_t n, struct arena *a,
                            struct series_stats *stats, struct series_cardinality *out) {
    struct model_view *v = (struct model_view *)sn;
    count_list metrics = {0}, labels = {0}, pairs = {0};
    (void)stats;
    *out = (struct series_cardinality){.time_min = INT64_MAX, .time_max = INT64_MIN};
    for (size_t i = 0; i < v->series.n; i++) {
        const struct model_series *s = v->series.v[i];
        if (!has_samples(s, r) || !label_matchers_match(r->matchers, r->matcher_count, s->labels)) continue;
        out->series++;
        out->samples += s->samples.n;
        out->time_min = MIN(out->time_min, s->samples.v[0].time_ns);
        out->time_max = MAX(out->time_max, s->samples.v[s->samples.n - 1].time_ns);
        count_of(&metrics, label_set_get(s->labels, METRIC_NAME), (struct str){0})->series++;
        for (uint32_t k = 0; k < s->labels.n; k++) {
            bool first = count_of(&pairs, s->labels.v[k].name, s->labels.v[k].value)->series++ == 0;
            struct series_count *label = count_of(&labels, s->labels.v[k].name, (struct str){0});
            label->series++;
            label->values += first;
        }
    }
    out->labels = labels.n;
    out->pairs = pairs.n;
    out->by_metric = top(&metrics, n, a, &out->metric_count);
    out->by_label = top(&labels, n, a, &out->label_count);
    out->by_pair = top(&pairs, n, a, &out->pair_count);
    return arena_err(a);
}

static const struct series_snapshot_functions model_view_functions = {
    .free = view_free,
    .select = view_select,
    .texts = view_texts,
    .metadata = view_metadata,
    .cardinality = view_cardinality,
};
