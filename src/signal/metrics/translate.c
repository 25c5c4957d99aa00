/* The walk over a point's parts: which series it becomes, with which values. Labels are made in translate_labels.c. */
#include "signal/metrics/translate_priv.h"

const char *const translate_reason_texts[TRANSLATE_REASONS] = {
    [TRANSLATE_DELTA] = "a delta",
    [TRANSLATE_TEMPORALITY] = "a temporality that Prometheus has not",
    [TRANSLATE_SCALE] = "an exponential histogram of a scale under -4",
    [TRANSLATE_NO_SUM] = "a native histogram without a sum",
    [TRANSLATE_HISTOGRAM] = "a histogram that contradicts itself",
    [TRANSLATE_NO_VALUE] = "a point without a value",
    [TRANSLATE_NO_NAME] = "a metric without a name",
    [TRANSLATE_TOO_LARGE] = "labels or a batch over the limit",
    [TRANSLATE_BAD_VALUE] = "a delta of a counter that is negative or not a finite number",
};

const struct translation translation_default = {
    .names = NAMES_UNDERSCORE_SUFFIXES, .scope_labels = true, .target_info = true};

enum { LABELS_BYTES_MAX = 256 << 10, BATCH_SAMPLES_MAX = 1 << 23, BATCH_LABELS_MAX = 512 << 20 };
enum { SCALE_MIN = -4, SCALE_MAX = 8, SCHEMA_CUSTOM = -53, GAP_FILLED_MAX = 2 };

/* A point on its way. */
struct job {
    struct translator *t;
    const struct points *from;
    struct points_builder *to;
    uint32_t point;
    uint64_t time, start; /* ms */
    uint32_t flags;       /* of what is made */
    bool stale;
    const struct points_metric *metric;
    uint32_t exemplar, exemplar_end; /* those of the point */
};

static uint64_t to_ms(uint64_t ns) { return ns / 1000000; }

/* ---- emitting --------------------------------------------------------------------------------------------------------- */

static uint32_t emit_point(struct job *j, struct str suffix, struct str extra_name, struct str extra_value) {
    struct points_builder *to = j->to;
    uint32_t labels = translator_series_labels(j->t, to, suffix, extra_name, extra_value);
    points_builder_series(to, j->t->metadata, labels);
    uint32_t i = points_builder_point(to);
    to->time[i] = j->time;
    to->start[i] = j->start;
    to->flags[i] = j->flags;
    to->kind[i] = POINT_DOUBLE;
    return i;
}

static void emit(struct job *j, struct str suffix, struct str extra_name, struct str extra_value, double value) {
    uint32_t i = emit_point(j, suffix, extra_name, extra_value);
    j->to->value[i] = j->stale ? STALE_NAN : double_bits(value);
}

/* Exemplars of the point with a value in (above, up_to], to the last series. */
static void emit_exemplars(struct job *j, double above, double up_to) {
    for (uint32_t i = j->exemplar; i < j->exemplar_end; i++) {
        const struct points_exemplar *x = &j->from->exemplars[i];
        double v = x->kind == POINT_INT ? (double)(int64_t)x->value : bits_double(x->value);
        if (x->kind == POINT_EMPTY || !(v <= up_to) || v <= above) continue;
        struct points_exemplar made = {.time = to_ms(x->time),
                                       .value = double_bits(v),
                                       .span_id = x->span_id,
                                       .labels = translator_exemplar_labels(j->t, j->from, x, j->to),
                                       .series = (uint32_t)j->to->series.n - 1,
                                       .point = j->to->n - 1,
                                       .kind = POINT_DOUBLE};
        memcpy(made.trace_id, x->trace_id, 16);
        *vec_push(&j->to->exemplars) = made;
    }
}

/* A number as the label of a bucket: always as digits, never with an exponent. */
static struct str bound_text(struct job *j, double v) {
    buf_clear(&j->t->number);
    prom_put_decimal(v, &j->t->number);
    return buf_str(&j->t->number);
}

/* ---- kinds of points --------------------------------------------------------------------------------------------------- */

static bool translate_number(struct job *j, enum translate_reason *why) {
    enum point_kind kind = point_kind(j->from, j->point);
    uint64_t bits = point_value(j->from, j->point);
    *why = TRANSLATE_NO_VALUE;
    if (kind == POINT_EMPTY && !j->stale) return false;
    double v = kind == POINT_INT ? (double)(int64_t)bits : bits_double(bits);
    *why = TRANSLATE_BAD_VALUE;
    if ((j->flags & POINT_DELTA) && !j->stale && !translate_is_countable(v)) return false;
    emit(j, STR(""), STR(""), STR(""), v);
    if (kind == POINT_DOUBLE && !j->stale) j->to->value[j->to->n - 1] = bits; /* NaN payloads, too */
    if (j->metric->kind == METRIC_SUM && j->metric->monotonic) emit_exemplars(j, -__builtin_inf(), __builtin_inf());
    return true;
}

static void emit_sum_and_count(struct job *j, const struct points_histogram *h, bool has_sum) {
    if (has_sum) emit(j, STR("_sum"), STR(""), STR(""), bits_double(h->sum));
    emit(j, STR("_count"), STR(""), STR(""), (double)h->count);
}

static void translate_classic(struct job *j, const struct points_histogram *h) {
    const uint64_t *bounds = histogram_numbers(j->from, h, NUMBERS_BOUNDS);
    const uint64_t *counts = histogram_numbers(j->from, h, NUMBERS_POSITIVE);
    double below = -__builtin_inf();
    uint64_t total = 0;
    emit_sum_and_count(j, h, (h->flags & HISTOGRAM_HAS_SUM) != 0);
    for (uint32_t i = 0; i < h->n[NUMBERS_BOUNDS] && i < h->n[NUMBERS_POSITIVE]; i++) {
        double bound = bits_double(bounds[i]);
        total += counts[i];
        if (bound == __builtin_inf()) break;
        emit(j, STR("_bucket"), STR("le"), bound_text(j, bound), (double)total);
        emit_exemplars(j, below, bound);
        below = bound;
    }
    emit(j, STR("_bucket"), STR("le"), STR("+Inf"), (double)h->count);
    emit_exemplars(j, below, __builtin_inf());
}

/* Sparse buckets under way: what was added last, and where. */
struct sparse {
    struct points_lists *lists;
    int spans, deltas;
    int64_t next; /* index behind the last bucket */
    uint64_t last;
    bool any;
};

static void sparse_push(struct sparse *s, uint64_t count) {
    points_list_add(s->lists, s->deltas, count - s->last);
    s->lists->v[s->spans].v[s->lists->v[s->spans].n - 1]++; /* the length of its span */
    s->last = count;
    s->next++;
}

/* A bucket that counts something: short gaps are filled, as a span costs more than a zero. */
static void sparse_add(struct sparse *s, int64_t index, uint64_t count) {
    int64_t gap = index - s->next;
    if (count == 0) return;
    if (!s->any || gap > GAP_FILLED_MAX) {
        points_list_add(s->lists, s->spans, (uint64_t)(uint32_t)(s->any ? gap : index) << 32);
        s->next = index;
    }
    while (s->next < index) sparse_push(s, 0);
    s->any = true;
    sparse_push(s, count);
}

/* Dense buckets, each 2^down merged into one; OpenTelemetry counts buckets by their lower bound, Prometheus by the upper: + 1. */
static void sparse_buckets(struct points_lists *lists, int spans, int deltas, const uint64_t *counts, uint32_t n,
                           int64_t offset, int down, bool shifted) {
    struct sparse s = {.lists = lists, .spans = spans, .deltas = deltas};
    uint64_t merged = 0;
    for (uint32_t i = 0; i < n; i++) {
        int64_t index = (offset + i) >> down;
        merged += counts[i];
        if (i + 1 < n && (offset + i + 1) >> down == index) continue;
        sparse_add(&s, index + shifted, merged);
        merged = 0;
    }
}

static bool emit_native(struct job *j, struct points_histogram *h, enum translate_reason *why) {
    struct points_lists *lists = &j->t->lists;
    *why = TRANSLATE_NO_SUM;
    if (j->stale) {
        points_lists_clear(lists);
        *h = (struct points_histogram){.scale = h->scale, .sum = STALE_NAN};
    } else if (!(h->flags & HISTOGRAM_HAS_SUM))
        return false;
    *why = TRANSLATE_HISTOGRAM;
    if (points_native_fault(lists, h)) return false;
    h->flags = HISTOGRAM_HAS_SUM;
    uint32_t i = emit_point(j, STR(""), STR(""), STR(""));
    points_builder_histogram(j->to, i, POINT_NATIVE, h, lists);
    emit_exemplars(j, -__builtin_inf(), __builtin_inf());
    return true;
}

static bool translate_exponential(struct job *j, const struct points_histogram *h, enum translate_reason *why) {
    struct points_lists *lists = &j->t->lists;
    int down = h->scale > SCALE_MAX ? MIN(h->scale - SCALE_MAX, 62) : 0;
    const uint64_t *positive = histogram_numbers(j->from, h, NUMBERS_POSITIVE);
    const uint64_t *negative = histogram_numbers(j->from, h, NUMBERS_NEGATIVE);
    *why = TRANSLATE_SCALE;
    if (h->scale < SCALE_MIN) return false;
    points_lists_clear(lists);
    sparse_buckets(lists, NUMBERS_POSITIVE_SPANS, NUMBERS_POSITIVE, positive, h->n[NUMBERS_POSITIVE],
                   h->positive_offset, down, true);
    sparse_buckets(lists, NUMBERS_NEGATIVE_SPANS, NUMBERS_NEGATIVE, negative, h->n[NUMBERS_NEGATIVE],
                   h->negative_offset, down, true);
    struct points_histogram made = {.count = h->count,
                                    .sum = h->sum,
                                    .flags = h->flags & HISTOGRAM_HAS_SUM,
                                    .zero_count = h->zero_count,
                                    .zero_threshold = h->zero_threshold ? h->zero_threshold : double_bits(1e-128),
                                    .scale = MIN(h->scale, SCALE_MAX)};
    return emit_native(j, &made, why);
}

static bool translate_custom(struct job *j, const struct points_histogram *h, enum translate_reason *why) {
    struct points_lists *lists = &j->t->lists;
    const uint64_t *bounds = histogram_numbers(j->from, h, NUMBERS_BOUNDS);
    points_lists_clear(lists);
    for (uint32_t i = 0; i < h->n[NUMBERS_BOUNDS]; i++)
        if (bits_double(bounds[i]) != __builtin_inf()) points_list_add(lists, NUMBERS_BOUNDS, bounds[i]);
    sparse_buckets(lists, NUMBERS_POSITIVE_SPANS, NUMBERS_POSITIVE, histogram_numbers(j->from, h, NUMBERS_POSITIVE),
                   h->n[NUMBERS_POSITIVE], 0, 0, false);
    struct points_histogram made = {
        .count = h->count, .sum = h->sum, .flags = h->flags & HISTOGRAM_HAS_SUM, .scale = SCHEMA_CUSTOM};
    return emit_native(j, &made, why);
}

static void translate_summary(struct job *j, const struct points_histogram *h) {
    const uint64_t *quantiles = histogram_numbers(j->from, h, NUMBERS_BOUNDS);
    const uint64_t *values = histogram_numbers(j->from, h, NUMBERS_POSITIVE);
    emit_sum_and_count(j, h, true);
    for (uint32_t i = 0; i < h->n[NUMBERS_BOUNDS] && i < h->n[NUMBERS_POSITIVE]; i++)
        emit(j, STR(""), STR("quantile"), bound_text(j, bits_double(quantiles[i])), bits_double(values[i]));
}

/* ---- a point ------------------------------------------------------------------------------------------------------------- */

/* Whether series of Prometheus can say it; POINT_DELTA into the job's flags. */
static bool check_temporality(struct job *j, enum translate_reason *why) {
    const struct points_metric *m = j->metric;
    if (m->kind == METRIC_GAUGE || m->kind == METRIC_SUMMARY) return true;
    if (m->temporality == TEMPORALITY_CUMULATIVE) return true;
    bool delta = m->temporality == TEMPORALITY_DELTA && (m->kind != METRIC_SUM || m->monotonic);
    *why = delta ? TRANSLATE_DELTA : TRANSLATE_TEMPORALITY;
    if (!delta || !j->t->settings.deltas) return false;
    j->flags |= POINT_DELTA;
    return true;
}

/* Exemplars stand in order of their points. */
static void find_exemplars(struct job *j) {
    uint32_t low = 0, high = j->from->exemplar_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (j->from->exemplars[middle].point < j->point)
            low = middle + 1;
        else
            high = middle;
    }
    j->exemplar = j->exemplar_end = low;
    while (j->exemplar_end < j->from->exemplar_count && j->from->exemplars[j->exemplar_end].point == j->point)
        j->exemplar_end++;
}

/* Whether the series of a point are within the limits; each label takes some bytes more than its text. */
static bool is_small(const struct job *j, const struct points_histogram *h) {
    uint64_t series = 3 + (h ? h->n[NUMBERS_BOUNDS] : 0);
    uint64_t bytes = j->t->point.text.n + 16 * j->t->point.v.n + j->t->name.n + 64;
    return bytes <= LABELS_BYTES_MAX && j->to->n + series <= BATCH_SAMPLES_MAX &&
           j->to->strings.heap_size + series * bytes <= BATCH_LABELS_MAX;
}

bool translate_point(struct translator *t, const struct points *from, uint32_t i, struct points_builder *to,
                     enum translate_reason *out_why) {
    const struct points_series *s = &from->series[point_series(from, i)];
    struct job j = {.t = t,
                    .from = from,
                    .to = to,
                    .point = i,
                    .time = to_ms(point_time(from, i)),
                    .start = to_ms(point_start(from, i)),
                    .stale = (point_flags(from, i) & POINT_NO_RECORDED_VALUE) != 0,
                    .metric = &from->metrics[s->metric]};
    enum point_kind kind = point_kind(from, i);
    const struct points_histogram *h = point_is_compound(kind) ? &from->histograms[point_value(from, i)] : NULL;
    if (!check_temporality(&j, out_why)) return false;
    *out_why = TRANSLATE_NO_NAME;
    if (!translator_metric(t, from, s->metric, to)) return false;
    translator_point(t, points_labels_of(from, point_series(from, i)));
    *out_why = TRANSLATE_TOO_LARGE;
    if (!is_small(&j, h)) return false;
    find_exemplars(&j);
    switch (kind) {
    case POINT_EMPTY:
    case POINT_INT:
    case POINT_DOUBLE: return translate_number(&j, out_why);
    case POINT_HISTOGRAM:
        if (t->settings.custom_buckets) return translate_custom(&j, h, out_why);
        translate_classic(&j, h);
        return true;
    case POINT_EXPONENTIAL: return translate_exponential(&j, h, out_why);
    case POINT_SUMMARY: translate_summary(&j, h); return true;
    case POINT_NATIVE:
    case POINT_KINDS: break;
    }
    return false;
}

void translate_points(struct translator *t, const struct points *from, struct points_builder *to,
                      uint32_t dropped[TRANSLATE_REASONS]) {
    AUTO_FREE uint64_t *latest = mem_new_array(uint64_t, from->resource_count + 1);
    AUTO_FREE bool *seen = mem_new_array(bool, from->resource_count + 1);
    for (uint32_t i = 0; i < from->n; i++) {
        enum translate_reason why;
        uint32_t resource = from->metrics[from->series[point_series(from, i)].metric].resource;
        if (!translate_point(t, from, i, to, &why)) dropped[why]++;
        latest[resource] = MAX(latest[resource], point_time(from, i));
        seen[resource] = true;
    }
    for (uint32_t r = 0; r < from->resource_count && t->settings.target_info; r++)
        if (seen[r]) translate_target_info(t, from, r, latest[r], to);
    translator_forget(t); /* what it remembers is of this batch */
}
