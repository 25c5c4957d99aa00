#include "store/series/head_parts_priv.h"

#include <stdlib.h>

void series_head_options_default(struct head_options *out) {
    *out = (struct head_options){.late_window_ns = INT64_C(1800) * 1000000000,
                                 .series_max = 2000000,
                                 .labels_max = 64,
                                 .churn_ns = INT64_C(600) * 1000000000};
}

struct head *series_head_new(const struct head_options *options) {
    struct head *h = mem_new_of(struct head);
    atomic_init(&h->refs, 1);
    h->options = *options;
    h->options.series_max = h->series_allowed = MIN(options->series_max, (uint32_t)HEAD_SERIES_MAX - 1);
    h->looked_ns = INT64_MIN;
    h->now_ns = h->began_ns = INT64_MIN;
    lock_init(&h->lock);
    arena_init(&h->memory, SIZE_MAX);
    strings_init(&h->name_ids);
    buf_init(&h->scratch, 4 * MIB);
    h->churn_start_ns = INT64_MIN;
    h->stats.time_min = INT64_MAX;
    h->stats.time_max = INT64_MIN;
    return h;
}

struct head *series_head_ref(struct head *h) {
    atomic_fetch_add_explicit(&h->refs, 1, memory_order_relaxed);
    return h;
}

void series_head_extra_free(struct head_extra *x) {
    if (!x) return;
    vec_done(&x->starts);
    vec_done(&x->chunks);
    mem_free(x->late);
    for (uint32_t i = 0; i < x->open_count; i++) mem_free(x->open[i].h);
    mem_free(x->last_histogram);
    mem_free(x);
}

static void free_set(struct row_set *s) {
    for (uint32_t i = 0; i < HEAD_ROWS; i++) mem_free(s->row[i].v);
    mem_free(s->stripes);
    mem_free(s);
}

void series_head_unref(struct head *h) {
    if (!h || atomic_fetch_sub_explicit(&h->refs, 1, memory_order_acq_rel) != 1) return;
    for (uint32_t i = 0; i < h->series_count; i++) series_head_extra_free(series_at(h, i)->extra);
    for (uint32_t i = 0; i < h->set_count; i++) free_set(h->sets[i]);
    mem_free(h->sets);
    mem_free(h->set_slots);
    mem_free(h->series_slots);
    mem_free(h->pair_slots);
    strings_done(&h->name_ids);
    vec_done(&h->names);
    vec_done(&h->exemplars);
    buf_done(&h->scratch);
    arena_done(&h->memory);
    if (h->options.budget) budget_give(h->options.budget, h->charged_bytes);
    lock_done(&h->lock);
    mem_free(h);
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static uint64_t bytes_now(const struct head *h) { return h->bytes + h->memory.used_bytes; }

err series_head_charge(struct head *h, uint64_t more, const char *what) {
    if (more > (uint64_t)(h->memory.end - h->memory.next)) /* the arena's next blocks, each twice the one before */
        more += MIN(h->memory.used_bytes + more + ARENA_FIRST_BYTES, (uint64_t)MIB);
    uint64_t need = bytes_now(h) + more;
    if (!h->options.budget || need <= h->charged_bytes) return NULL;
    uint64_t step = MAX(need - h->charged_bytes, MIN(need / 4, (uint64_t)CHARGE_STEP));
    if (h->options.always) {
        budget_take_always(h->options.budget, step);
    } else if (!budget_take(h->options.budget, step)) {
        step = need - h->charged_bytes;
        if (!budget_take(h->options.budget, step)) return budget_err(h->options.budget, what);
    }
    h->charged_bytes += step;
    return NULL;
}

void *series_head_alloc(struct head *h, size_t n) { return arena_zero(&h->memory, n); }

void *series_head_grow(struct head *h, void *old, size_t old_n, size_t n) {
    char *p = mem_grow(old, n);
    if (n > old_n) memset(p + old_n, 0, n - old_n);
    h->bytes += n - old_n;
    return p;
}

void series_head_count_free(struct head *h, size_t n) { h->bytes -= n; }

struct head_extra *series_head_extra_of(struct head *h, struct head_series *s) {
    if (!s->extra) {
        s->extra = mem_new_of(struct head_extra);
        h->bytes += sizeof *s->extra;
    }
    return s->extra;
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

void series_head_get_stats(struct head *h, struct head_stats *out) {
    lock_take(&h->lock);
    *out = h->stats;
    out->series = h->series_count;
    out->pairs = h->pair_count;
    out->names = (uint32_t)h->names.n;
    out->row_sets = h->set_count;
    out->bytes = bytes_now(h);
    out->charged_bytes = h->charged_bytes;
    lock_give(&h->lock);
}

const char *series_head_verdict_text(enum head_verdict v) {
    switch (v) {
    case SAMPLE_TAKEN:
    case SAMPLE_TAKEN_LATE: return "taken";
    case SAMPLE_REPEATED: return "the same sample is there already";
    case SAMPLE_CONFLICT: return "duplicate sample: another value is there at this time";
    case SAMPLE_TOO_LATE: return "out of order: older than the window for late samples";
    case SAMPLE_LATE_FULL: return "out of order: too many late samples of this series";
    case VERDICTS:
    default: return "unknown";
    }
}

/* ---- who takes the room ----------------------------------------------------------------------------------------- */

static int compare_counts(const void *a, const void *b) {
    const struct head_count *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count ? 1 : -1) : str_compare(x->name, y->name);
}

/* Keeps the n greatest of what is offered in an array with room for 2 × n. */
static void offer(struct head_count *top, uint32_t *count, uint32_t n, struct head_count c) {
    top[(*count)++] = c;
    if (*count < 2 * n) return;
    qsort(top, *count, sizeof *top, compare_counts);
    *count = n;
}

static uint32_t finish(struct head_count *top, uint32_t count, uint32_t n) {
    qsort(top, count, sizeof *top, compare_counts);
    return MIN(count, n);
}

/* Lock held. */
static err count_all(struct head *h, uint32_t n, struct arena *a, struct head_cardinality *out) {
    struct head_cardinality c = {.metrics = arena_array(a, struct head_count, 2 * n),
                                 .labels = arena_array(a, struct head_count, 2 * n),
                                 .pairs = arena_array(a, struct head_count, 2 * n)};
    if (!c.metrics || !c.labels || !c.pairs) return arena_err(a);
    for (size_t i = 0; i < h->names.n; i++)
        offer(c.labels, &c.label_count, n,
              (struct head_count){.name = h->names.v[i].name, .count = h->names.v[i].values});
    for (uint32_t i = 0; i < h->pair_count; i++) {
        const struct pair *p = pair_at(h, i);
        struct str name = h->names.v[p->name].name;
        offer(c.pairs, &c.pair_count, n, (struct head_count){name, p->value, p->count});
        if (str_equal(name, METRIC_NAME))
            offer(c.metrics, &c.metric_count, n, (struct head_count){.name = p->value, .count = p->count});
    }
    c.metric_count = finish(c.metrics, c.metric_count, n);
    c.label_count = finish(c.labels, c.label_count, n);
    c.pair_count = finish(c.pairs, c.pair_count, n);
    *out = c;
    return NULL;
}

err series_head_cardinality(struct head *h, uint32_t n, struct arena *a, struct head_cardinality *out) {
    lock_take(&h->lock);
    err e = count_all(h, MAX(n, 1u), a, out);
    lock_give(&h->lock);
    return e;
}
