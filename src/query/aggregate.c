#include "query/aggregate.h"

#include "query/rollups_priv.h"

#include <stdlib.h>

/* Rows of rollups that count as one: neighbours once they are sorted. */
struct run {
    size_t first, n;
    uint64_t calls;
};
struct runs {
    struct run *v; /* most calls first */
    size_t n;
    uint64_t folded;
};

static const int by_both[] = {ROLLUP_SERVICE, ROLLUP_OPERATION, -1};
static const int by_service[] = {ROLLUP_SERVICE, -1};
static const int by_operation[] = {ROLLUP_OPERATION, -1};

static int compare_texts(const struct rollup_key *a, const struct rollup_key *b, const int *texts) {
    int order = 0;
    for (; *texts >= 0 && !order; texts++) order = str_compare(a->texts[*texts], b->texts[*texts]);
    return order;
}

static int in_order(const struct rollup_row *a, const struct rollup_row *b, const int *texts) {
    int order = compare_texts(a->key, b->key, texts);
    return order ? order : (a->time_ns > b->time_ns) - (a->time_ns < b->time_ns);
}
static int order_both(const void *a, const void *b) { return in_order(a, b, by_both); }
static int order_service(const void *a, const void *b) { return in_order(a, b, by_service); }
static int order_operation(const void *a, const void *b) { return in_order(a, b, by_operation); }

static int most_calls(const void *x, const void *y) {
    const struct run *a = x, *b = y;
    if (a->calls != b->calls) return a->calls > b->calls ? -1 : 1;
    return (a->first > b->first) - (a->first < b->first); /* by text: so the rows are sorted */
}

static err runs_make(struct query *q, struct rollup_rows *rows, const int *texts, struct runs *out) {
    *out = (struct runs){.v = arena_array(&q->arena, struct run, rows->n + 1)};
    if (!out->v) return arena_err(&q->arena);
    if (rows->n)
        qsort(rows->v, rows->n, sizeof *rows->v,
              texts == by_both      ? order_both
              : texts == by_service ? order_service
                                    : order_operation);
    for (size_t i = 0; i < rows->n; i++) {
        const struct rollup_row *row = &rows->v[i];
        if (query_is_folded(row->key)) out->folded += row->calls;
        if (i == 0 || compare_texts(row->key, rows->v[i - 1].key, texts) != 0) out->v[out->n++].first = i;
        out->v[out->n - 1].n++;
        out->v[out->n - 1].calls += row->calls;
    }
    if (out->n) qsort(out->v, out->n, sizeof *out->v, most_calls);
    return query_settle(q);
}

static err sum_run(struct query *q, const struct rollup_rows *rows, const struct run *run, struct rolled_sum **sum) {
    for (size_t i = 0; i < run->n; i++) TRY(rolled_sum_add(q, sum, &rows->v[run->first + i]));
    return query_check(q);
}

/* One sum that is used again and again: what is left of it are figures. */
static void sum_clear(struct rolled_sum *sum) {
    if (sum) memset(sum, 0, sizeof *sum);
}

/* ---- by service and operation ----------------------------------------------------------------------------------- */

static err read_runs(struct query *q, const struct rollup_rows *rows, const struct runs *runs, const int *texts,
                     size_t limit, struct query_aggregate_answer *out) {
    struct rolled_sum *sum = NULL, *total = NULL;
    struct query_aggregate_row *v = arena_array(&q->arena, struct query_aggregate_row, MIN(runs->n, limit) + 1);
    if (!v) return arena_err(&q->arena);
    for (size_t i = 0; i < runs->n; i++) {
        if (i <= limit) sum_clear(sum);
        TRY(sum_run(q, rows, &runs->v[i], &sum));
        TRY(sum_run(q, rows, &runs->v[i], &total));
        if (i >= limit) continue;
        const struct rollup_key *key = rows->v[runs->v[i].first].key;
        v[out->n++] = (struct query_aggregate_row){
            .service = texts == by_operation ? (struct str){NULL, 0} : key->texts[ROLLUP_SERVICE],
            .operation = texts == by_service ? (struct str){NULL, 0} : key->texts[ROLLUP_OPERATION],
            .stats = rolled_sum_read(sum)};
    }
    out->rows = v;
    out->found = runs->n;
    out->total = rolled_sum_read(total);
    if (runs->n > limit) out->other = rolled_sum_read(sum);
    return query_settle(q);
}

static err aggregate_rolled(struct query *q, const struct query_aggregate *r, struct query_aggregate_answer *out) {
    struct rollup_rows rows;
    struct runs runs;
    const int *texts = !r->by_operation ? by_service : r->by_service ? by_both : by_operation;
    TRY(query_rollups_of_spans(q, &r->filter, 0, &rows));
    if (!rows.n) return NULL;
    TRY(runs_make(q, &rows, texts, &runs));
    TRY(read_runs(q, &rows, &runs, texts, r->limit, out));
    out->rolled = true;
    out->folded = runs.folded;
    query_whole_minutes(&out->time_min, &out->time_max);
    return NULL;
}

static err aggregate_counted(struct query *q, const struct query_aggregate *r, struct query_aggregate_answer *out) {
    struct query_breakdown b = {.signal = SIGNAL_SPANS, .filter = r->filter, .top = r->limit};
    struct query_breakdown_answer found;
    if (r->by_service) TRY(query_by_parse(q, SIGNAL_SPANS, STR("service"), &b.by[b.by_count++]));
    if (r->by_operation) TRY(query_by_parse(q, SIGNAL_SPANS, STR("operation"), &b.by[b.by_count++]));
    TRY(query_breakdown(q, &b, &found));
    struct query_aggregate_row *v = arena_array(&q->arena, struct query_aggregate_row, found.n + 1);
    if (!v) return arena_err(&q->arena);
    for (size_t i = 0; i < found.n; i++) {
        const struct query_group *g = &found.groups[i];
        v[i].stats = g->stats;
        if (r->by_service) v[i].service = g->values[0].text;
        if (r->by_operation) v[i].operation = g->values[r->by_service].text;
    }
    out->rows = v;
    out->n = found.n;
    out->found = found.values;
    out->found_cut = found.values_cut;
    out->total = found.total;
    out->other = found.other.stats;
    return NULL;
}

err query_aggregate(struct query *q, const struct query_aggregate *r, struct query_aggregate_answer *out) {
    struct query_aggregate_answer made = {.time_min = r->filter.time_min, .time_max = r->filter.time_max};
    assert((r->by_service || r->by_operation) && r->limit > 0 && r->limit <= QUERY_GROUPS_MAX);
    if (r->filter.time_min > r->filter.time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    if (r->rollups && query_rollups_can_tell(&r->filter)) TRY(aggregate_rolled(q, r, &made));
    if (!made.rolled && !r->only_rollups) TRY(aggregate_counted(q, r, &made));
    *out = made;
    return NULL;
}

/* ---- over time -------------------------------------------------------------------------------------------------- */

static size_t bucket_of(const struct bucketing *b, const struct rollup_row *row) {
    return MIN(bucketing_index(b, MAX(row->time_ns, b->first)), b->n - 1);
}

/* Rows of a run are by time: those of a bucket follow each other. */
static err read_line(struct query *q, const struct bucketing *b, const struct rollup_rows *rows, const struct run *run,
                     struct rolled_sum **sum, struct query_service_line *out) {
    struct query_span_stats *buckets = arena_array(&q->arena, struct query_span_stats, b->n);
    if (!buckets) return arena_err(&q->arena);
    for (size_t i = 0; i < run->n;) {
        size_t bucket = bucket_of(b, &rows->v[run->first + i]);
        sum_clear(*sum);
        for (; i < run->n && bucket_of(b, &rows->v[run->first + i]) == bucket; i++)
            TRY(rolled_sum_add(q, sum, &rows->v[run->first + i]));
        buckets[bucket] = rolled_sum_read(*sum);
    }
    sum_clear(*sum);
    TRY(sum_run(q, rows, run, sum));
    *out = (struct query_service_line){rows->v[run->first].key->texts[ROLLUP_SERVICE], rolled_sum_read(*sum), buckets};
    return query_settle(q);
}

static err read_lines(struct query *q, const struct bucketing *b, struct rollup_rows *rows, size_t limit,
                      struct query_service_series_answer *out) {
    struct runs runs;
    struct rolled_sum *sum = NULL;
    TRY(runs_make(q, rows, by_service, &runs));
    struct query_service_line *v = arena_array(&q->arena, struct query_service_line, MIN(runs.n, limit) + 1);
    if (!v) return arena_err(&q->arena);
    for (; out->n < MIN(runs.n, limit); out->n++) TRY(read_line(q, b, rows, &runs.v[out->n], &sum, &v[out->n]));
    out->services = v;
    out->found = runs.n;
    out->folded = runs.folded;
    return NULL;
}

static err choose_buckets(int64_t time_min, int64_t time_max, int64_t step, struct bucketing *out) {
    if (step % rollup_minute_ns) return err_new(ERR_INVALID, "step is not a number of whole minutes");
    TRY(bucketing_make(time_min, time_max, step, out));
    return out->step % rollup_minute_ns ? bucketing_make(time_min, time_max, rollup_minute_ns, out) : NULL;
}

err query_service_series(struct query *q, const struct query_service_series *r,
                         struct query_service_series_answer *out) {
    struct rollup_request ask = query_rollup_request(q, r->time_min, r->time_max);
    struct query_service_series_answer made = {.time_min = ask.time_min, .time_max = ask.time_max};
    struct rollup_rows rows;
    struct bucketing b;
    assert(r->limit <= QUERY_SERVICES_MAX);
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    TRY(choose_buckets(ask.time_min, ask.time_max, r->step, &b));
    ask.views[ROLLUP_SPANS] = true;
    ask.step_ns = b.step;
    ask.environment = r->environment;
    ask.service = r->service;
    ask.buckets = ask.exemplars = ask.by_service = true;
    TRY(query_rollups(q, &ask, &rows));
    TRY(read_lines(q, &b, &rows, r->limit, &made));
    made.step = b.step;
    made.first = b.first;
    made.bucket_count = b.n;
    *out = made;
    return NULL;
}
