#include "query/query_priv.h"
#include "query/series/series.h"

static const int64_t ms_ns = 1000000;
enum { HISTOGRAM_BYTES_MAX = 64 << 20 };

/* A selection under way: one series is decoded at a time, into memory that the next one takes again. */
struct series_set {
    struct series_source *s;
    struct selection *selection;
    struct selection_reader *reader;
    struct samples samples;
    struct arena histograms;
    uint64_t charged_bytes;
    /* times in ms: of the vector with this id, as long as the next one has it too */
    uint64_t times_id;
    bool shares_ms; /* some of them fall into one ms */
    int64_t *times, *histogram_times;
    double *values;
    const struct native **natives;
    size_t capacity, n, histogram_capacity;
    const double *bounds; /* the newest that were met; the query's memory */
    uint32_t bound_n;
};

int64_t series_range_min_ns(int64_t min_ms) {
    return min_ms <= INT64_MIN / ms_ns ? INT64_MIN : min_ms >= INT64_MAX / ms_ns ? INT64_MAX : min_ms * ms_ns;
}

int64_t series_range_max_ns(int64_t max_ms) {
    return max_ms < INT64_MIN / ms_ns    ? INT64_MIN
           : max_ms >= INT64_MAX / ms_ns ? INT64_MAX
                                         : max_ms * ms_ns + ms_ns - 1;
}

int64_t series_floor_ms(int64_t ns) { return ns / ms_ns - (ns % ms_ns < 0); }

/* ---- samples ----------------------------------------------------------------------------------------------------- */

/* What one series takes is charged as it grows: the largest so far. */
static err charge(struct series_set *x) {
    uint64_t bytes = (uint64_t)x->samples.capacity * 24 + x->samples.arena.used_bytes + x->histograms.used_bytes +
                     x->capacity * 16 + x->histogram_capacity * 16;
    if (bytes <= x->charged_bytes) return NULL;
    uint64_t more = bytes - x->charged_bytes;
    x->charged_bytes = bytes;
    return query_charge(x->s->q, more);
}

static void reserve(struct series_set *x, size_t n) {
    if (n <= x->capacity) return;
    x->capacity = n + n / 2;
    x->times = mem_grow(x->times, x->capacity * sizeof *x->times);
    x->values = mem_grow(x->values, x->capacity * sizeof *x->values);
}

static void reserve_histograms(struct series_set *x, size_t n) {
    if (n <= x->histogram_capacity) return;
    x->histogram_capacity = n + n / 2;
    x->histogram_times = mem_grow(x->histogram_times, x->histogram_capacity * sizeof *x->histogram_times);
    x->natives = mem_grow(x->natives, x->histogram_capacity * sizeof(*x->natives));
}

/* Times of a vector of floats, once for all series that share it. */
static void convert_times(struct series_set *x) {
    const struct samples *v = &x->samples;
    uint64_t id = samples_times_id(&x->samples);
    if (id == x->times_id && x->n == v->n) return;
    reserve(x, v->n);
    x->shares_ms = false;
    for (uint32_t i = 0; i < v->n; i++) x->times[i] = series_floor_ms(v->times_ns[i]);
    for (uint32_t i = 1; i < v->n; i++) x->shares_ms |= x->times[i] == x->times[i - 1];
    x->times_id = id;
    x->n = v->n;
}

/* The usual series: floats, at most one a ms: the decoded values are what is handed out. */
static bool read_plain(struct series_set *x, struct promql_samples *out) {
    const struct samples *v = &x->samples;
    if (v->histograms) return false;
    convert_times(x);
    if (x->shares_ms) return false;
    out->times = x->times;
    out->values = v->values;
    out->n = v->n;
    out->times_id = x->times_id;
    return true;
}

/* Bounds of custom buckets outlive the sample that brought them. NULL and none: NULL. */
static const double *keep_bounds(struct series_set *x, const struct histogram *h) {
    size_t bytes = h->custom_bounds * sizeof *h->bounds;
    if (h->custom_bounds != x->bound_n || (bytes && memcmp(h->bounds, x->bounds, bytes) != 0)) {
        double *copy = arena_alloc(&x->s->q->arena, MAX(bytes, sizeof *copy));
        if (!copy) return NULL;
        if (bytes) memcpy(copy, h->bounds, bytes);
        x->bounds = copy;
        x->bound_n = h->custom_bounds;
    }
    return x->bounds;
}

static err take_histogram(struct series_set *x, const struct histogram *h, const struct native **out) {
    const double *bounds = keep_bounds(x, h);
    if (h->custom_bounds && !bounds) return arena_err(&x->s->q->arena);
    *out = series_native(&x->histograms, h, bounds);
    return *out ? NULL : arena_err(&x->histograms);
}

/* Floats and histograms apart, the last of each ms. */
static err read_mixed(struct series_set *x, struct promql_samples *out) {
    const struct samples *v = &x->samples;
    x->times_id = 0; /* the array is used for something else */
    reserve(x, v->n);
    if (v->histograms) reserve_histograms(x, v->n);
    for (uint32_t i = 0; i < v->n; i++) {
        int64_t at = series_floor_ms(v->times_ns[i]);
        const struct histogram *h = samples_histogram(v, i);
        if (h) {
            bool again = out->histogram_n && x->histogram_times[out->histogram_n - 1] == at;
            if (!again) x->histogram_times[out->histogram_n++] = at;
            TRY(take_histogram(x, h, &x->natives[out->histogram_n - 1]));
        } else {
            bool again = out->n && x->times[out->n - 1] == at;
            if (!again) x->times[out->n++] = at;
            x->values[out->n - 1] = v->values[i];
        }
    }
    out->times = x->times;
    out->values = x->values;
    out->histogram_times = x->histogram_times;
    out->histograms = x->natives;
    return NULL;
}

static err read_series(struct promql_set *set, size_t i, struct promql_samples *out) {
    static const int64_t no_times[1];
    static const double no_values[1];
    struct series_set *x = set->state;
    arena_clear(&x->histograms);
    TRY(selection_read(x->reader, (uint32_t)i, &x->samples));
    *out = (struct promql_samples){.without_stale = !x->samples.may_nan,
                                   .without_resets = !x->samples.may_fall && !x->samples.may_nan};
    if (!read_plain(x, out)) TRY(read_mixed(x, out));
    if (!out->times) out->times = no_times;
    if (!out->values) out->values = no_values;
    if (!out->histogram_times) out->histogram_times = no_times;
    return charge(x);
}

/* ---- selections -------------------------------------------------------------------------------------------------- */

static void end_set(struct promql_set *set) {
    struct series_set *x = set->state;
    selection_reader_free(x->reader);
    samples_done(&x->samples);
    arena_done(&x->histograms);
    mem_free(x->times);
    mem_free(x->values);
    mem_free(x->histogram_times);
    mem_free(x->natives);
    selection_free(x->selection);
}

static err make_set(struct series_source *s, struct selection *found, struct arena *a, struct promql_set *out) {
    uint32_t n = selection_count(found);
    struct labels *series = arena_alloc(a, sizeof *series * MAX(n, 1u));
    struct series_set *x = arena_new(a, struct series_set);
    if (!series || !x) return arena_err(a);
    for (uint32_t i = 0; i < n; i++) series[i] = selection_labels(found, i);
    x->s = s;
    x->selection = found;
    samples_init(&x->samples, HISTOGRAM_BYTES_MAX);
    arena_init(&x->histograms, HISTOGRAM_BYTES_MAX);
    x->reader = selection_reader_new(found, &s->stats);
    *out = (struct promql_set){.series = series, .n = n, .read = read_series, .done = end_set, .state = x};
    return NULL;
}

static err too_much(err e, const struct query *q) {
    if (!e || err_kind(e) != ERR_LIMIT) return e;
    return err_wrap(
        e,
        "the labels of the series that a selector takes need more than the %zu MiB that a query may use: add matchers",
        q->options.memory_max_bytes / MIB);
}

static err select_set(struct promql_source *source, const struct promql_selection *selection, struct arena *a,
                      struct promql_set *out) {
    struct series_source *s = (struct series_source *)source;
    struct selection *found = NULL;
    if (selection->matcher_n > MATCHERS_MAX)
        return err_new(ERR_INVALID, "a selector with %zu matchers, at most %d", selection->matcher_n, MATCHERS_MAX);
    uint32_t matchers = (uint32_t)selection->matcher_n;
    struct series_request r = {.matchers = selection->matchers,
                               .matcher_count = matchers,
                               .time_min = series_range_min_ns(selection->min_ms),
                               .time_max = series_range_max_ns(selection->max_ms)};
    label_matchers_set_deadline(selection->matchers, matchers, s->q->deadline_ns);
    err e = too_much(series_snapshot_select(s->snapshot, &r, a, &s->stats, &found), s->q);
    if (!e) e = query_check(s->q); /* an expression that the deadline ended has matched nothing */
    if (!e) e = label_matchers_err(selection->matchers, matchers);
    if (!e && selection_count(found) > SERIES_SELECTED_MAX)
        e = err_new(ERR_LIMIT, "a selector takes %u series, at most %d: add matchers", selection_count(found),
                    SERIES_SELECTED_MAX);
    if (!e) e = make_set(s, found, a, out);
    if (e) selection_free(found);
    return e;
}

/* ---- the source -------------------------------------------------------------------------------------------------- */

err series_source_open(struct query *q, struct series_source *out) {
    *out = (struct series_source){.source = {select_set}, .q = q};
    return store_series_snapshot(q->options.store, q->options.tenant, &out->snapshot);
}

void series_source_close(struct series_source *s) {
    series_snapshot_free(s->snapshot);
    s->snapshot = NULL;
}

err series_source_check(void *source) {
    const struct series_source *s = source;
    TRY(query_check(s->q));
    return query_settle(s->q);
}

struct str series_source_warning(struct series_source *s) {
    if (!s->stats.bad_pages) return (struct str){"", 0};
    struct buf text;
    buf_init(&text, KIB);
    buf_add_fmt(&text, "the answer is partial: %llu pages of series are damaged and were left out (%s)",
                (unsigned long long)s->stats.bad_pages, s->stats.bad_text);
    struct str kept = query_keep(s->q, buf_str(&text));
    buf_done(&text);
    return kept;
}
