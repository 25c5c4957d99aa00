/* A durable record of points becomes samples in the head. Series that are known by their hash go straight from point to sample. */
#include "store/engine/series_apply_priv.h"

#include <stdio.h>

#include "base/hash.h"
#include "signal/metrics/points_brief.h"
#include "store/engine/store_engine_priv.h"

enum { SCRATCH_BYTES = 64 << 20, MADE_BYTES_KEPT = 1 << 20, AHEAD = 16 };

const char *const series_refusal_texts[SERIES_REFUSALS] = {
    [REFUSED_TOO_LATE] = "older than the window of late samples",
    [REFUSED_CONFLICT] = "another value is there at this time",
    [REFUSED_OVER_LIMIT] = "over a limit of the tenant",
    [REFUSED_LABELS] = "labels that are not allowed",
    [REFUSED_HISTOGRAM] = "a histogram that contradicts itself",
    [REFUSED_TIME] = "older than retention, or too far in the future",
    [REFUSED_TRANSLATION] = "no series of Prometheus can say it",
};

struct applier *applier_new(const struct store_options *o) {
    struct applier *a = mem_new_of(struct applier);
    a->translation = o->series.translation;
    a->translator = translator_new(a->translation);
    a->budget = o->budget;
    points_builder_init(&a->made, POINTS_PROMETHEUS);
    arena_init(&a->scratch, SCRATCH_BYTES);
    return a;
}

void applier_free(struct applier *a) {
    if (!a) return;
    struct pending_samples *p = &a->pending;
    translator_free(a->translator);
    points_builder_done(&a->made);
    arena_done(&a->scratch);
    vec_done(&a->values);
    vec_done(&a->labels);
    vec_done(&a->ids);
    mem_free(p->series);
    mem_free(p->points);
    mem_free(p->times_ns);
    mem_free(p->starts_ns);
    mem_free(p->values);
    mem_free(p->verdicts);
    mem_free(a);
}

/* ---- refusals ---------------------------------------------------------------------------------------------------- */

/* Whose the point is and, if it says more than the reason that is counted, the text. */
static void put_message(struct applier *a, uint32_t point, struct labels l, const char *text) {
    AUTO_BUF struct buf b;
    buf_init(&b, 4 * KIB);
    if (a->out->message[0]) return;
    if (l.n) {
        put_label_set(&b, l);
    } else if (a->p->origin == POINTS_OTLP) {
        const struct points_metric *m = &a->p->metrics[a->p->series[point_series(a->p, point)].metric];
        struct str resource = points_string(a->p, a->p->resources[m->resource].attributes);
        points_put_metric(&b, points_string(a->p, m->name), resource);
    }
    if (text && b.n) buf_add_text(&b, ": ");
    if (text) buf_add_text(&b, text);
    size_t n = MIN(b.n, sizeof a->out->message - 1);
    while (n < b.n && n > 0 && ((unsigned char)b.p[n] & 0xc0) == 0x80) n--; /* not within a character */
    memcpy(a->out->message, b.p, n);
    a->out->message[n] = 0;
}

void apply_refuse(struct applier *a, uint32_t point, enum series_refusal why, struct labels l, const char *text) {
    if (point == NO_RECORD_POINT || a->refused == point + 1) return;
    a->refused = point + 1;
    a->out->rejected++;
    a->out->rejected_by[why]++;
    put_message(a, point, l, text);
}

void apply_refuse_series(struct applier *a, uint32_t point, enum series_refusal why, uint32_t series,
                         const char *text) {
    struct labels l = {0};
    if (!a->out->message[0] && !series_head_labels(a->series->head, series, &a->scratch, &l)) l.n = 0;
    apply_refuse(a, point, why, l, text);
}

bool apply_verdict(struct applier *a, uint32_t point, uint32_t series, uint8_t verdict) {
    enum head_verdict v = (enum head_verdict)verdict;
    if (v <= SAMPLE_REPEATED) return true;
    apply_refuse_series(a, point, v == SAMPLE_CONFLICT ? REFUSED_CONFLICT : REFUSED_TOO_LATE, series,
                        series_head_verdict_text(v));
    return false;
}

bool apply_time(const struct applier *a, int64_t ms, int64_t *out_ns) {
    static const int64_t ms_max = INT64_MAX / 1000000;
    if (ms > ms_max || ms < -ms_max) return false;
    *out_ns = ms * 1000000;
    return *out_ns >= a->time_min && *out_ns <= a->time_max;
}

/* ---- samples ------------------------------------------------------------------------------------------------------ */

void apply_grow(struct applier *a) {
    struct pending_samples *p = &a->pending;
    p->capacity = MAX(2 * p->capacity, 2u * APPLY_SAMPLES);
    p->series = mem_grow(p->series, p->capacity * sizeof *p->series);
    p->points = mem_grow(p->points, p->capacity * sizeof *p->points);
    p->times_ns = mem_grow(p->times_ns, p->capacity * sizeof *p->times_ns);
    p->starts_ns = mem_grow(p->starts_ns, p->capacity * sizeof *p->starts_ns);
    p->values = mem_grow(p->values, p->capacity * sizeof *p->values);
    p->verdicts = mem_grow(p->verdicts, p->capacity * sizeof *p->verdicts);
}

/* Called between points, so that the samples of one are judged together. */
void apply_flush(struct applier *a) {
    struct pending_samples *p = &a->pending;
    uint32_t n = p->n;
    if (n == 0) return;
    err e = series_head_append(a->series->head, p->series, p->times_ns, p->values, p->starts_ns, n, p->verdicts);
    assert(!e); /* the head takes its memory always */
    err_free(e);
    for (uint32_t i = 0; i < n; i++) {
        bool taken = p->verdicts[i] <= SAMPLE_REPEATED || apply_verdict(a, p->points[i], p->series[i], p->verdicts[i]);
        a->out->samples += taken && p->points[i] != NO_RECORD_POINT;
    }
    p->n = 0;
}

void apply_histogram(struct applier *a, uint32_t point, uint32_t series, int64_t time_ns, const struct histogram *h,
                     int64_t start_ns) {
    uint8_t verdict;
    apply_flush(a);
    err e = series_head_append_histogram(a->series->head, series, time_ns, h, start_ns, &verdict);
    if (e)
        apply_refuse_series(a, point, REFUSED_HISTOGRAM, series, err_text(e));
    else if (apply_verdict(a, point, series, verdict))
        a->out->histograms++;
    err_free(e);
}

static void apply_exemplar(struct applier *a, uint32_t series, const struct points_exemplar *x, struct str labels) {
    struct exemplar e = {.series = series, .value = double_of_bits(x->value)};
    if (x->kind == POINT_INT) e.value = (double)(int64_t)x->value;
    int64_t first, last;
    if (x->kind == POINT_EMPTY || series == NO_SERIES || !apply_time(a, (int64_t)x->time, &e.time_ns)) return;
    if (!series_head_range(a->series->head, series, &first, &last)) return; /* a file has none without samples */
    struct str name, value;
    vec_clear(&a->labels);
    while (a->labels.n < LABELS_MAX && points_label_next(&labels, &name, &value))
        *vec_push(&a->labels) = (struct label){name, value};
    e.labels = (struct labels){a->labels.v, (uint32_t)a->labels.n};
    err x_err = series_head_append_exemplar(a->series->head, &e);
    a->out->exemplars += !x_err; /* one with bad labels is left out, its sample is not */
    err_free(x_err);
}

/* ---- series ------------------------------------------------------------------------------------------------------- */

static struct labels read_labels(struct applier *a, struct str bytes) {
    struct str name, value;
    vec_clear(&a->labels);
    while (a->labels.n <= LABELS_MAX && points_label_next(&bytes, &name, &value))
        *vec_push(&a->labels) = (struct label){name, value};
    return (struct labels){a->labels.v, (uint32_t)a->labels.n};
}

/* One record is applied at a time and all others wait: so it makes so many series at most. */
static err add_series(struct applier *a, struct labels l, uint64_t set, uint32_t *out_id) {
    struct head *h = a->series->head;
    if (a->series_end - a->series_begin >= a->series_max) {
        if (series_head_find(h, l, out_id)) return NULL;
        return err_new(ERR_LIMIT, "over %u new series in one request: send smaller ones", a->series_max);
    }
    bool counts = a->counts_new && !met_before_has(&a->series->met, label_set_hash(l).a);
    TRY(series_head_add(h, l, set, counts ? a->arrived_ns : INT64_MIN, out_id));
    a->series_end = MAX(a->series_end, *out_id + 1);
    return NULL;
}

/* The series of these labels in the head; false: refused. */
static bool find_series(struct applier *a, uint32_t point, struct labels l, uint64_t set, uint32_t *out_id) {
    if (label_set_get(l, METRIC_NAME).n == 0) {
        apply_refuse(a, point, REFUSED_LABELS, l, "a series without a name");
        return false;
    }
    err e = add_series(a, l, set, out_id);
    if (e) apply_refuse(a, point, err_kind(e) == ERR_LIMIT ? REFUSED_OVER_LIMIT : REFUSED_LABELS, l, err_text(e));
    bool found = !e;
    err_free(e);
    return found;
}

static uint32_t said_number(const struct applier *a, uint32_t row) { return a->said ? a->said[row] : POINTS_IN_FULL; }

/* What others may refer to: not what was replayed, as it may not be durable. */
static uint32_t number_to_keep(const struct applier *a, uint32_t row) {
    return a->engine->replaying ? POINTS_IN_FULL : said_number(a, row);
}

/* The ids in a->ids are those of the points of a hash from now on. */
static struct known *keep_known(struct applier *a, struct hash128 hash, uint64_t shape, bool delta, uint32_t said) {
    struct known_series *map = &a->series->known;
    struct known *k = known_put(map, hash, a->budget);
    map->changes += k->resolved;
    uint32_t count = (uint32_t)a->ids.n;
    bool same = k->bases && k->shape == shape && k->count == count;
    if (!same) known_set_bases(map, k, count, delta);
    if (!k->resolved || count > k->room) {
        k->first = (uint32_t)map->ids.n;
        k->room = count;
        for (uint32_t i = 0; i < count; i++) *vec_push(&map->ids) = NO_SERIES;
    }
    memcpy(map->ids.v + k->first, a->ids.v, count * sizeof *a->ids.v);
    k->count = count;
    k->shape = shape;
    k->said = said;
    k->resolved = true;
    known_charge(map, a->budget);
    return k;
}

static struct known *find_known(struct applier *a, struct hash128 hash) {
    struct known *k = known_find(&a->series->known, hash);
    return k && k->resolved ? k : NULL;
}

/* Where numbers of a series row go, as it was found for the log; NO_SERIES: it must be looked up. */
static inline uint32_t found_id(const struct applier *a, uint32_t row) {
    return a->found && a->known_changes == a->series->known.changes ? a->found[row] : NO_SERIES;
}

/* ---- points of Prometheus ------------------------------------------------------------------------------------------- */

static uint64_t target_key(struct labels l) {
    struct str job = label_set_get(l, STR("job")), instance = label_set_get(l, STR("instance"));
    return hash_keyed(hash_fast(job.p, job.n), hash_fast(instance.p, instance.n));
}

/* The series of a row; false: refused. */
static bool prometheus_series(struct applier *a, uint32_t point, uint32_t row, uint32_t *out_id) {
    *out_id = found_id(a, row);
    if (*out_id != NO_SERIES) return true;
    struct known *k = find_known(a, a->p->hashes[row]);
    if (k) {
        *out_id = a->series->known.ids.v[k->first];
        return true;
    }
    struct labels l = read_labels(a, points_labels_of(a->p, row));
    if (!find_series(a, point, l, target_key(l), out_id)) return false;
    vec_clear(&a->ids);
    *vec_push(&a->ids) = *out_id;
    keep_known(a, a->p->hashes[row], 0, false, number_to_keep(a, row));
    return true;
}

static void prometheus_value(struct applier *a, uint32_t i, uint32_t id, int64_t time, int64_t start) {
    enum point_kind kind = point_kind(a->p, i);
    if (kind == POINT_NATIVE) {
        const struct points_histogram *from = &a->p->histograms[point_value(a->p, i)];
        struct histogram h;
        if (native_histogram(from, a->p->numbers, &a->scratch, &h)) apply_histogram(a, i, id, time, &h, start);
        return;
    }
    if (kind > POINT_DOUBLE || kind == POINT_EMPTY) {
        apply_refuse_series(a, i, REFUSED_TRANSLATION, id, NULL);
        a->out->by_translation[TRANSLATE_NO_VALUE]++;
        return;
    }
    point_values(a, i);
    apply_sample(a, i, id, time, a->values.v[0], start);
}

static void apply_prometheus(struct applier *a, uint32_t i) {
    int64_t time, start;
    uint32_t id;
    if (!apply_time(a, (int64_t)point_time(a->p, i), &time)) {
        apply_refuse(a, i, REFUSED_TIME, read_labels(a, points_labels_of(a->p, point_series(a->p, i))), NULL);
        return;
    }
    if (!prometheus_series(a, i, point_series(a->p, i), &id)) return;
    if (__builtin_mul_overflow((int64_t)point_start(a->p, i), 1000000, &start)) start = 0;
    if (point_kind(a->p, i) == POINT_DOUBLE) {
        apply_sample(a, i, id, time, double_of_bits(point_value(a->p, i)), start);
        return;
    }
    prometheus_value(a, i, id, time, start);
}

static void prometheus_exemplars(struct applier *a) {
    for (uint32_t i = 0; i < a->p->exemplar_count; i++) {
        const struct points_exemplar *x = &a->p->exemplars[i];
        bool lost = said_number(a, x->series) == POINTS_LOST;
        struct known *k = lost ? NULL : find_known(a, a->p->hashes[x->series]);
        if (k) apply_exemplar(a, a->series->known.ids.v[k->first], x, points_string(a->p, x->labels));
    }
}

/* The name of what a series is part of: that of its metric, without what parts of histograms and summaries have behind it. */
static struct str family_of(struct str name, uint32_t type) {
    static const struct str endings[] = {STR("_bucket"), STR("_sum"), STR("_count")};
    bool parts = type == METRIC_TYPE_HISTOGRAM || type == METRIC_TYPE_GAUGEHISTOGRAM || type == METRIC_TYPE_SUMMARY;
    for (size_t i = 0; i < LENGTH(endings) && parts; i++)
        if (str_ends_with(name, endings[i])) return (struct str){name.p, name.n - endings[i].n};
    return name;
}

static void keep_text(struct applier *a, struct str name, struct str help, struct str unit, uint32_t type) {
    struct series_metadata m = {name, help, unit, type < METRIC_TYPES ? (enum metric_type)type : METRIC_TYPE_UNKNOWN};
    if (name.n && name.n <= LABEL_NAME_BYTES_MAX) metric_texts_add(a->series->texts, &m);
}

static void prometheus_texts(struct applier *a) {
    const struct points *p = a->p;
    for (uint32_t i = 1; i < p->metric_count; i++) {
        const struct points_metric *m = &p->metrics[i];
        if (m->name)
            keep_text(a, points_string(p, m->name), points_string(p, m->description), points_string(p, m->unit),
                      m->kind);
    }
    for (uint32_t i = 0, last = 0; i < p->series_count; i++) {
        const struct points_metric *m = &p->metrics[p->series[i].metric];
        if (m->name || p->series[i].metric == 0 || p->series[i].metric == last) continue;
        last = p->series[i].metric;
        struct str name = label_set_get(read_labels(a, points_labels_of(p, i)), METRIC_NAME);
        keep_text(a, family_of(name, m->kind), points_string(p, m->description), points_string(p, m->unit), m->kind);
    }
}

/* ---- points of OpenTelemetry -------------------------------------------------------------------------------------- */

static int64_t ns_of_ms(uint64_t ms) { return ms > INT64_MAX / 1000000 ? 0 : (int64_t)ms * 1000000; }

static uint64_t resource_key(const struct points *p, uint32_t resource) {
    struct str attributes = points_string(p, p->resources[resource].attributes);
    return hash_fast(attributes.p, attributes.n);
}

static bool has_exemplars(struct applier *a, uint32_t point) {
    const struct points *p = a->p;
    while (a->exemplar < p->exemplar_count && p->exemplars[a->exemplar].point < point) a->exemplar++;
    return a->exemplar < p->exemplar_count && p->exemplars[a->exemplar].point == point;
}

/* Translated texts are dropped when they are many; what the translator remembers of them as well. */
static void clear_made(struct applier *a, bool always) {
    if (!always && a->made.strings.heap_size < MADE_BYTES_KEPT) return;
    translator_forget(a->translator);
    points_builder_clear(&a->made, POINTS_PROMETHEUS);
}

/* The ids of what was translated, points [first, end) of `made`, into a->ids; false: refused, or there is nothing. */
static bool register_made(struct applier *a, uint32_t point, uint32_t first, uint64_t set) {
    vec_clear(&a->ids);
    for (uint32_t j = first; j < a->made.n; j++) {
        uint32_t id;
        struct str labels = strings_get(&a->made.strings, a->made.series.v[a->made.series_of[j]].labels);
        if (!find_series(a, point, read_labels(a, labels), set, &id)) {
            series_head_leave(a->series->head, a->ids.v, (uint32_t)a->ids.n);
            return false;
        }
        *vec_push(&a->ids) = id;
    }
    return a->ids.n > 0;
}

static void made_texts(struct applier *a, size_t first) {
    for (size_t i = first; i < a->made.metrics.n; i++) {
        const struct points_metric *m = &a->made.metrics.v[i];
        keep_text(a, strings_get(&a->made.strings, m->name), strings_get(&a->made.strings, m->description),
                  strings_get(&a->made.strings, m->unit), m->kind);
    }
}

static void made_values(struct applier *a, uint32_t point, struct known *k, uint32_t first, int64_t time,
                        int64_t start) {
    for (uint32_t j = first; j < a->made.n; j++) {
        uint32_t id = a->series->known.ids.v[k->first + j - first];
        bool delta = (a->made.flags[j] & POINT_DELTA) && k->bases;
        double value = double_of_bits(a->made.value[j]);
        struct histogram h;
        if (a->made.kind[j] != POINT_NATIVE) {
            if (delta)
                apply_delta(a, point, k, j - first, time, start, value);
            else
                apply_sample(a, point, id, time, value, start);
        } else if (native_histogram(&a->made.histograms.v[a->made.value[j]], a->made.numbers.v, &a->scratch, &h)) {
            if (delta)
                apply_delta_histogram(a, point, k, j - first, time, start, &h);
            else
                apply_histogram(a, point, id, time, &h, start);
        }
    }
}

static void translate_and_apply(struct applier *a, uint32_t i, struct known *k, int64_t time, int64_t start) {
    struct points_mark mark = points_builder_mark(&a->made);
    enum translate_reason why;
    uint32_t row = point_series(a->p, i), resource = a->p->metrics[a->p->series[row].metric].resource;
    uint64_t shape = point_shape(a, i);
    if (!translate_point(a->translator, a->p, i, &a->made, &why)) {
        a->out->by_translation[why]++;
        apply_refuse(a, i, REFUSED_TRANSLATION, (struct labels){0}, NULL);
        return;
    }
    if (!k || k->shape != shape || k->count != a->made.n - mark.n) {
        bool found = register_made(a, i, mark.n, resource_key(a->p, resource));
        bool delta = found && (a->made.flags[mark.n] & POINT_DELTA);
        k = found ? keep_known(a, a->p->hashes[row], shape, delta, number_to_keep(a, row)) : NULL;
    }
    made_texts(a, mark.metrics);
    if (k) {
        made_values(a, i, k, mark.n, time, start);
        if (a->made.exemplars.n > mark.exemplars) apply_flush(a); /* is the point taken? */
        for (size_t x = mark.exemplars; x < a->made.exemplars.n && a->refused != i + 1; x++) {
            const struct points_exemplar *e = &a->made.exemplars.v[x];
            uint32_t id = a->series->known.ids.v[k->first + (e->series - (uint32_t)mark.series)];
            apply_exemplar(a, id, e, strings_get(&a->made.strings, e->labels));
        }
    }
    mark.metrics = a->made.metrics.n; /* the translator knows the last by its number */
    points_builder_rewind(&a->made, mark);
    clear_made(a, false);
}

static void apply_known(struct applier *a, uint32_t i, struct known *k, int64_t time, int64_t start) {
    const uint32_t *ids = a->series->known.ids.v + k->first;
    for (uint32_t j = 0; j < k->count; j++) {
        if (k->bases)
            apply_delta(a, i, k, j, time, start, a->values.v[j]);
        else
            apply_sample(a, i, ids[j], time, a->values.v[j], start);
    }
}

/* Nothing is to be seen to but its value. */
static bool is_plain_number(struct applier *a, uint32_t i) {
    enum point_kind kind = point_kind(a->p, i);
    return (kind == POINT_DOUBLE || kind == POINT_INT) && point_flags(a->p, i) == 0 && !has_exemplars(a, i);
}

static double number_of(const struct points *p, uint32_t i) {
    uint64_t bits = point_value(p, i);
    return point_kind(p, i) == POINT_INT ? (double)(int64_t)bits : double_of_bits(bits);
}

/* Of a counter; a part of a histogram may be what it is. */
static bool is_bad_delta(const struct applier *a, uint32_t i) {
    bool stale = (point_flags(a->p, i) & POINT_NO_RECORDED_VALUE) != 0;
    return a->values.n == 1 && !stale && !translate_is_countable(a->values.v[0]);
}

static void apply_otlp(struct applier *a, uint32_t i) {
    uint64_t ms = point_time(a->p, i) / 1000000;
    int64_t time, start = ns_of_ms(point_start(a->p, i) / 1000000);
    if (!apply_time(a, (int64_t)ms, &time)) {
        apply_refuse(a, i, REFUSED_TIME, (struct labels){0}, NULL);
        return;
    }
    uint32_t row = point_series(a->p, i), id = found_id(a, row);
    if (id != NO_SERIES && is_plain_number(a, i)) {
        apply_sample(a, i, id, time, number_of(a->p, i), start);
        return;
    }
    struct known *k = find_known(a, a->p->hashes[row]);
    bool straight =
        k && !has_exemplars(a, i) && k->shape == point_shape(a, i) && point_values(a, i) && a->values.n == k->count;
    straight = (k && point_ends_parts(a, i, k->count)) || (straight && !(k->bases && is_bad_delta(a, i)));
    if (straight)
        apply_known(a, i, k, time, start);
    else
        translate_and_apply(a, i, k, time, start);
}

/* ---- target_info ---------------------------------------------------------------------------------------------------- */

static struct hash128 target_info_hash(const struct points *p, uint32_t resource) {
    struct str attributes = points_string(p, p->resources[resource].attributes);
    struct hash128 of[2] = {hash_wide(attributes.p, attributes.n), {UINT64_MAX, UINT64_MAX}};
    return hash_wide(of, sizeof of);
}

/* The series of a resource's target_info, or NO_SERIES. */
static uint32_t target_info_series(struct applier *a, uint32_t resource, uint64_t time) {
    struct hash128 hash = target_info_hash(a->p, resource);
    struct known *k = find_known(a, hash);
    if (k) return a->series->known.ids.v[k->first];
    struct points_mark mark = points_builder_mark(&a->made);
    translate_target_info(a->translator, a->p, resource, time, &a->made);
    made_texts(a, mark.metrics);
    uint32_t id = NO_SERIES;
    if (a->made.n > mark.n && register_made(a, NO_RECORD_POINT, mark.n, resource_key(a->p, resource))) id = a->ids.v[0];
    vec_clear(&a->ids);
    *vec_push(&a->ids) = id;
    keep_known(a, hash, 0, false, POINTS_IN_FULL);
    clear_made(a, true);
    return id;
}

/* Of each resource once, at the time of its last point that may be taken. */
static void apply_target_info(struct applier *a) {
    const struct points *p = a->p;
    AUTO_FREE uint64_t *latest = mem_new_array(uint64_t, p->resource_count + 1);
    uint32_t before = UINT32_MAX; /* of most points resource and time are those of the one before */
    uint64_t time_before = 0;
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t resource = p->metrics[p->series[point_series(p, i)].metric].resource;
        uint64_t at = point_time(p, i);
        int64_t time;
        if (resource == before && at == time_before) continue;
        before = resource;
        time_before = at;
        if (apply_time(a, (int64_t)(at / 1000000), &time)) latest[resource] = MAX(latest[resource], at + 1);
    }
    for (uint32_t r = 0; r < p->resource_count; r++) {
        int64_t time;
        if (!latest[r] || !apply_time(a, (int64_t)((latest[r] - 1) / 1000000), &time)) continue;
        uint32_t id = target_info_series(a, r, latest[r] - 1);
        if (id != NO_SERIES) apply_sample(a, NO_RECORD_POINT, id, time, 1, 0);
        if (a->pending.n >= APPLY_SAMPLES) apply_flush(a);
    }
}

/* ---- a record ------------------------------------------------------------------------------------------------------- */

static uint64_t beside_bytes(const struct series_table *t) {
    return t->known.charged_bytes + met_before_bytes(&t->met);
}

/* The head may be another one than last time. */
static void turn_known(struct applier *a) {
    struct series_table *t = a->series;
    lock_take(&a->engine->lock);
    struct head *previous = take(&t->previous);
    uint64_t epoch = t->epoch;
    bool forget = t->forget_bases;
    t->forget_bases = false;
    lock_give(&a->engine->lock);
    if (epoch != t->known.epoch || forget) {
        known_turn(&t->known, forget ? NULL : previous, epoch, a->budget);
        if (t->options.new_series_max && previous) met_before_set(&t->met, previous, a->budget);
    }
    series_head_unref(previous);
    lock_take(&a->engine->lock);
    t->beside = beside_bytes(t);
    lock_give(&a->engine->lock);
}

/* Who is new is not counted until it is known again who was there. */
static void forget(struct applier *a) {
    struct series_table *t = a->series;
    known_turn(&t->known, NULL, t->known.epoch, a->budget);
    if (t->met.whole) {
        met_before_done(&t->met, a->budget);
        t->inherited = true;
        t->blind_ns = a->engine->o.wall_ns();
    }
    lock_take(&a->engine->lock);
    t->beside = beside_bytes(t);
    lock_give(&a->engine->lock);
}

bool engine_turn_heads(struct engine *s) {
    struct applier *a = s->applier;
    lock_take(&s->lock);
    size_t n = s->turn_heads || s->forget_known ? s->tables.n : 0;
    bool forgets = s->forget_known;
    s->turn_heads = s->forget_known = false;
    lock_give(&s->lock);
    for (size_t i = 0; i < n; i++) {
        lock_take(&s->lock);
        struct series_table *t = s->tables.v[i]->series;
        bool sealed = t && t->previous;
        lock_give(&s->lock);
        a->engine = s;
        a->series = t;
        if (sealed) turn_known(a);
        if (t && forgets) forget(a);
    }
    return n > 0;
}

/* What a time of the record is, as it was found last: most points have that of the one before. */
struct record_times {
    bool there;
    uint64_t time, start;      /* as the record has them */
    int64_t time_ns, start_ns; /* of a time that the table takes */
};

static bool look_at_times(const struct applier *a, uint64_t time, uint64_t start, struct record_times *out) {
    bool otlp = a->p->origin == POINTS_OTLP;
    out->there = false;
    if (!apply_time(a, otlp ? (int64_t)(time / 1000000) : (int64_t)time, &out->time_ns)) return false;
    if (otlp)
        out->start_ns = ns_of_ms(start / 1000000);
    else if (__builtin_mul_overflow((int64_t)start, 1000000, &out->start_ns))
        out->start_ns = 0;
    out->time = time;
    out->start = start;
    return out->there = true;
}

/* Points from i on that are numbers of known series and nothing else, as apply_prometheus and apply_otlp have them; the first that is something
 * else, or does not find room. The columns are in variables that no store can change. */
static uint32_t apply_plain(struct applier *a, uint32_t i, struct record_times *t) {
    const struct points *p = a->p;
    struct pending_samples *to = &a->pending;
    const uint32_t *series_of = p->columns[COLUMN_SERIES].p, *flags = p->columns[COLUMN_FLAGS].p, *found = a->found;
    const uint64_t *times = p->columns[COLUMN_TIME].p, *starts = p->columns[COLUMN_START].p;
    const uint64_t *values = p->columns[COLUMN_VALUE].p;
    const uint8_t *kinds = p->columns[COLUMN_KIND].p;
    uint32_t masks[COLUMNS], n = p->n, at = to->n;
    bool integers = p->origin == POINTS_OTLP;
    struct record_times last = *t;
    if (to->capacity < APPLY_SAMPLES) apply_grow(a);
    uint32_t *out_series = to->series, *out_points = to->points;
    int64_t *out_times = to->times_ns, *out_starts = to->starts_ns;
    double *out_values = to->values;
    for (int c = 0; c < COLUMNS; c++) masks[c] = p->columns[c].mask;
    for (; i < n && at < APPLY_SAMPLES; i++, at++) {
        uint32_t id = found[series_of[i & masks[COLUMN_SERIES]]];
        uint8_t kind = kinds[i & masks[COLUMN_KIND]];
        uint64_t time = times[i & masks[COLUMN_TIME]], start = starts[i & masks[COLUMN_START]];
        uint64_t bits = values[i & masks[COLUMN_VALUE]];
        if (id == NO_SERIES || flags[i & masks[COLUMN_FLAGS]] ||
            (kind != POINT_DOUBLE && !(integers && kind == POINT_INT)))
            break;
        if (!(last.there && last.time == time && last.start == start) && !look_at_times(a, time, start, &last)) break;
        out_series[at] = id;
        out_points[at] = i;
        out_times[at] = last.time_ns;
        out_starts[at] = last.start_ns;
        out_values[at] = kind == POINT_INT ? (double)(int64_t)bits : double_of_bits(bits);
    }
    to->n = at;
    *t = last;
    return i;
}

static void apply_point(struct applier *a, uint32_t i) {
    if (!a->found && i + AHEAD < a->p->n)
        known_prefetch(&a->series->known, a->p->hashes[point_series(a->p, i + AHEAD)]);
    if (said_number(a, point_series(a->p, i)) == POINTS_LOST)
        apply_refuse(a, i, REFUSED_LABELS, (struct labels){0}, "the log does not say its labels");
    else if (a->p->origin == POINTS_OTLP)
        apply_otlp(a, i);
    else
        apply_prometheus(a, i);
    if (a->scratch.blocks) arena_clear(&a->scratch);
}

static void apply_record(struct applier *a) {
    bool otlp = a->p->origin == POINTS_OTLP, plain = a->found && !(otlp && a->p->exemplar_count);
    struct record_times times = {0};
    for (uint32_t i = 0; i < a->p->n;) {
        bool known = plain && a->known_changes == a->series->known.changes; /* where the numbers of all rows go */
        uint32_t from = i;
        if (known) i = apply_plain(a, i, &times);
        if (i == from) apply_point(a, i++);
        if (a->pending.n >= APPLY_SAMPLES) apply_flush(a);
    }
    if (otlp && a->translation->target_info) apply_target_info(a);
    apply_flush(a);
    if (!otlp) {
        prometheus_exemplars(a);
        prometheus_texts(a);
    }
    arena_clear(&a->scratch);
    clear_made(a, true);
    series_before_free(a->before);
    a->before = NULL;
    known_charge(&a->series->known, a->budget);
}

void engine_apply_points(struct engine *s, struct memory_batch *m) {
    struct applier *a = s->applier;
    m->outcome = mem_new_of(struct points_outcome);
    m->outcome->points = m->points.n;
    a->engine = s;
    a->table = m->table;
    a->series = m->table->series;
    a->p = &m->points;
    a->said = m->said;
    a->found = m->ids;
    a->known_changes = m->known_changes;
    a->out = m->outcome;
    a->arrived_ns = m->arrived_ns;
    a->refused = a->exemplar = 0;
    retention_limits(s->o.retention_ns, m->arrived_ns, &a->time_min, &a->time_max);
    engine_await_delete(s, a->series);
    turn_known(a);
    /* At first everything is new to this process: what it replays, and who goes on sending. */
    a->counts_new = a->series->options.new_series_max && !s->replaying &&
                    (a->series->met.whole || !a->series->inherited ||
                     m->arrived_ns - a->series->blind_ns >= a->series->options.churn_ns);
    series_head_now(a->series->head, m->arrived_ns);
    series_head_get_stats(a->series->head, &m->head);
    a->series_begin = a->series_end = m->head.series;
    a->series_max = s->replaying ? UINT32_MAX : s->o.series.request_series_max; /* what was taken is taken again */
    apply_record(a);
    series_head_get_stats(a->series->head, &m->head);
    m->beside = beside_bytes(a->series);
}
