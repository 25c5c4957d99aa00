#include "query/query_priv.h"
#include "query/series/decoded_priv.h"
#include "query/series/parallel_priv.h"

static const int64_t ms_ns = 1000000;
enum { BOUNDS_BYTES_MAX = 16 << 20 };

/* A selection under way: one series is decoded at a time. (On a second thread ahead of the evaluation it took 1.5 times the CPU for no less
 * time: decoding is a fifth of a query, and its numbers had to cross to the other core.) */
struct series_set {
    struct series_source *s;
    struct series_found *found;
    struct kept_bounds *bounds;
    struct decoded decoded;
    uint64_t charged_bytes;
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
    uint64_t bytes = decoded_bytes(&x->decoded);
    if (bytes <= x->charged_bytes) return NULL;
    uint64_t more = bytes - x->charged_bytes;
    x->charged_bytes = bytes;
    return query_charge(x->s->q, more);
}

static err read_series(struct promql_set *set, size_t i, struct promql_samples *out) {
    struct series_set *x = set->state;
    TRY(decoded_read(&x->decoded, x->found, (uint32_t)i, x->bounds));
    *out = x->decoded.out;
    return charge(x);
}

/* ---- selections -------------------------------------------------------------------------------------------------- */

static void end_set(struct promql_set *set) {
    struct series_set *x = set->state;
    decoded_done(&x->decoded);
    series_found_free(x->found);
}

static struct kept_bounds *add_bounds(struct series_source *s) {
    struct kept_bounds *k = mem_new_of(struct kept_bounds);
    arena_init(&k->arena, BOUNDS_BYTES_MAX);
    k->next = s->bounds;
    s->bounds = k;
    return k;
}

static err make_set(struct series_source *s, struct series_found *found, struct arena *a, struct promql_set *out) {
    uint32_t n = series_found_count(found);
    struct labels *series = arena_alloc(a, sizeof *series * MAX(n, 1u));
    struct series_set *x = arena_new(a, struct series_set);
    if (!series || !x) return arena_err(a);
    for (uint32_t i = 0; i < n; i++) series[i] = series_found_labels(found, i);
    x->s = s;
    x->found = found;
    x->bounds = add_bounds(s);
    decoded_init(&x->decoded);
    *out = (struct promql_set){.series = series, .n = n, .read = read_series, .done = end_set, .state = x};
    return NULL;
}

static err too_much(err e, const struct query *q) {
    if (!e || !q->arena.full || q->arena.refused) return e;
    return err_wrap(
        e,
        "the labels of the series that a selector takes need more than the %zu MiB that a query may use: add matchers",
        q->options.memory_max_bytes / MIB);
}

static err select_set(struct promql_source *source, const struct promql_selection *selection, struct arena *a,
                      struct promql_set *out) {
    struct series_source *s = (struct series_source *)source;
    struct series_found *found = NULL;
    if (selection->matcher_n > MATCHERS_MAX)
        return err_new(ERR_INVALID, "a selector with %zu matchers, at most %d", selection->matcher_n, MATCHERS_MAX);
    uint32_t matchers = (uint32_t)selection->matcher_n;
    struct series_request r = {.matchers = selection->matchers,
                               .matcher_count = matchers,
                               .time_min = series_range_min_ns(selection->min_ms),
                               .time_max = series_range_max_ns(selection->max_ms),
                               .limit = SERIES_SELECTED_MAX + 1,
                               .check = series_source_check,
                               .check_context = s};
    label_matchers_set_deadline(selection->matchers, matchers, s->q->deadline_ns);
    err e = too_much(series_find(s, &r, (struct series_wish){SERIES_SAMPLES, selection->range_ms}, a, &found), s->q);
    if (!e) e = query_check(s->q); /* an expression that the deadline ended has matched nothing */
    if (!e) e = label_matchers_err(selection->matchers, matchers);
    if (!e && series_found_count(found) > SERIES_SELECTED_MAX)
        e = err_new(ERR_LIMIT, "a selector takes more than %d series: add matchers", SERIES_SELECTED_MAX);
    if (!e) e = make_set(s, found, a, out);
    if (e) series_found_free(found);
    return e;
}

/* ---- the source -------------------------------------------------------------------------------------------------- */

err series_source_open(struct query *q, struct series_source *out) {
    *out = (struct series_source){.source = {select_set}, .q = q};
    return store_series_snapshot(q->options.store, q->options.tenant, &out->snapshot);
}

void series_source_close(struct series_source *s) {
    series_slices_free(s->slices);
    s->slices = NULL;
    while (s->bounds) {
        struct kept_bounds *k = s->bounds;
        s->bounds = k->next;
        arena_done(&k->arena);
        mem_free(k);
    }
    series_snapshot_free(s->snapshot);
    s->snapshot = NULL;
}

err series_source_check(void *source) {
    const struct series_source *s = source;
    TRY(query_check(s->q));
    return query_settle(s->q);
}

err series_source_step(void *source) {
    struct series_source *s = source;
    return s->checks++ % 16 == 0 ? series_source_check(s) : query_settle(s->q);
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
