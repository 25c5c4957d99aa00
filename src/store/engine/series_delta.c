/* Deltas: added to the newest sample of their series, so that what is kept counts up. */
#include "store/engine/series_apply_priv.h"

/* A sample older than this is not added to: the series begins anew, as a restarted process does. */
static const int64_t base_age_ns = (int64_t)3600 * 1000000000;

/* The newest sample in older sources than the head, looked up once; the sources stay open for others of the record. */
static void look_up(struct applier *a, struct known *k, uint32_t i, int64_t time_ns) {
    uint32_t series = a->series->known.ids.v[k->first + i];
    struct labels l;
    struct head_last last;
    k->bases[i].looked = true;
    if (!series_head_labels(a->series->head, series, &a->scratch, &l)) return;
    int64_t since = time_ns < INT64_MIN + base_age_ns ? INT64_MIN : time_ns - base_age_ns;
    if (!a->before) a->before = engine_series_before(a->engine, a->table);
    if (!series_before_find(a->before, l, since, &last)) return;
    known_set_base(&a->series->known, k, i, &last);
    mem_free((void *)(uintptr_t)last.histogram);
}

/* The sample that a delta at that time is added to; false: none. *out_late: there is one that is not older. */
static bool find_base(struct applier *a, struct known *k, uint32_t i, int64_t time_ns, struct head_last *out,
                      bool *out_late) {
    uint32_t series = a->series->known.ids.v[k->first + i];
    *out_late = false;
    apply_flush(a);
    if (!series_head_last(a->series->head, series, out)) {
        if (!k->bases[i].looked) look_up(a, k, i, time_ns);
        if (!k->bases[i].there) return false;
        *out = k->bases[i].last;
    }
    *out_late = out->time_ns >= time_ns;
    return !*out_late && (uint64_t)time_ns - (uint64_t)out->time_ns <= (uint64_t)base_age_ns;
}

static void refuse_late(struct applier *a, uint32_t point, uint32_t series, const struct head_last *last,
                        int64_t time_ns) {
    bool same = last->time_ns == time_ns;
    apply_refuse_series(a, point, same ? REFUSED_CONFLICT : REFUSED_TOO_LATE, series,
                        same ? "a delta at the time of the last one" : "a delta that is older than the last one");
}

void apply_delta(struct applier *a, uint32_t point, struct known *k, uint32_t i, int64_t time_ns, int64_t start_ns,
                 double value) {
    uint32_t series = a->series->known.ids.v[k->first + i];
    struct head_last last;
    bool late;
    bool add = find_base(a, k, i, time_ns, &last, &late) && !last.histogram && last.value == last.value;
    if (late) {
        refuse_late(a, point, series, &last, time_ns);
        return;
    }
    if (add && !value_is_stale(value)) {
        value += last.value;
        start_ns = last.start_ns;
    }
    apply_sample(a, point, series, time_ns, value, start_ns);
    apply_flush(a);
}

void apply_delta_histogram(struct applier *a, uint32_t point, struct known *k, uint32_t i, int64_t time_ns,
                           int64_t start_ns, const struct histogram *h) {
    uint32_t series = a->series->known.ids.v[k->first + i];
    struct head_last last;
    struct histogram sum;
    bool late;
    bool add = find_base(a, k, i, time_ns, &last, &late) && last.histogram && !histogram_is_stale(last.histogram);
    if (late) {
        refuse_late(a, point, series, &last, time_ns);
        return;
    }
    if (add && !histogram_is_stale(h) && histogram_add(last.histogram, h, &a->scratch, &sum)) {
        h = &sum;
        start_ns = last.start_ns;
    }
    apply_histogram(a, point, series, time_ns, h, start_ns);
}
