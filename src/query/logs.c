/* Log queries. Rows are ordered by (time, observed time, content hash): an order that is of the rows alone, so a cursor
 * stays exact while rows move from memory to parts.
 *
 *   scan ─▶ rows with the cursor's times ──────────▶ hashed, those already given dropped ─┐
 *      └──▶ the first k others, with all ties of the last ─▶ ties of the last hashed ─────┴▶ page ─▶ whole rows
 *
 * Hashing needs whole rows, so only ties at the two ends of a page are hashed. Within a page, rows of one time stand as
 * they arrived.
 */
#include "query/query_priv.h"

#include "base/vec.h"
#include "signal/batch_build.h"

#include <stdlib.h>

enum { FETCH_ROWS = 2048 };

struct log_row {
    int64_t time, observed;
    uint64_t hash; /* 0 until it was needed */
    struct row_place place;
};
typedef VEC(struct log_row) log_rows;

struct log_search {
    struct query *q;
    bool oldest; /* first */
    size_t want;
    bool has_cursor;
    struct log_row cursor; /* time, observed, hash of the last row given */
    uint64_t given;        /* how many rows equal to it were given */
    log_rows best, ties;   /* ties: rows with the cursor's times */
    size_t compact_at;
    bool has_floor;
    struct log_row floor;
    uint64_t charged;
};

static int compare_times(const struct log_search *s, const struct log_row *a, const struct log_row *b) {
    int order =
        a->time != b->time ? (a->time < b->time ? -1 : 1) : (a->observed > b->observed) - (a->observed < b->observed);
    return s->oldest ? order : -order;
}

static int compare_places(const struct row_place *a, const struct row_place *b) {
    if (a->source != b->source) return a->source < b->source ? -1 : 1;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* qsort_r's orders: by times, by hash, for showing. */
static int order_times(const void *a, const void *b, void *s) { return compare_times(s, a, b); }
static int order_hashes(const void *x, const void *y, void *s) {
    const struct log_row *a = x, *b = y;
    (void)s;
    if (a->hash != b->hash) return a->hash < b->hash ? -1 : 1;
    return compare_places(&a->place, &b->place);
}
static int order_shown(const void *x, const void *y, void *search) {
    const struct log_search *s = search;
    const struct log_row *a = x, *b = y;
    int order = compare_times(s, a, b);
    if (order) return order;
    order = compare_places(&a->place, &b->place);
    return s->oldest ? order : -order;
}

static void sort_rows(struct log_search *s, struct log_row *v, size_t n,
                      int (*order)(const void *, const void *, void *)) {
    if (n > 1) qsort_r(v, n, sizeof *v, order, s);
}

/* Keeps the wanted rows, and all that tie with the last of them. */
static void compact(struct log_search *s) {
    if (s->best.n >= s->want) {
        sort_rows(s, s->best.v, s->best.n, order_times);
        size_t kept = s->want;
        while (kept < s->best.n && compare_times(s, &s->best.v[kept], &s->best.v[s->want - 1]) == 0) kept++;
        s->best.n = kept;
        s->has_floor = true;
        s->floor = s->best.v[s->want - 1];
    }
    s->compact_at = MAX(4 * s->want, 2 * s->best.n) + 256;
}

static void add_row(struct log_search *s, const struct log_row *row) {
    if (s->has_floor && compare_times(s, row, &s->floor) > 0) return;
    if (s->has_cursor) {
        int order = compare_times(s, row, &s->cursor);
        if (order < 0) return;
        if (order == 0) {
            *vec_push(&s->ties) = *row;
            return;
        }
    }
    *vec_push(&s->best) = *row;
    if (s->best.n >= s->compact_at) compact(s);
}

static err charge_rows(struct log_search *s) {
    uint64_t bytes = (s->best.capacity + s->ties.capacity) * sizeof(struct log_row);
    if (bytes <= s->charged) return NULL;
    uint64_t more = bytes - s->charged;
    s->charged = bytes;
    return query_charge(s->q, more);
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct log_search *s = context;
    const struct chunk *chunk = rows->chunk;
    const struct vector *times = &chunk->columns[0], *observed = &chunk->columns[1];
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, s->oldest ? k : rows->n - 1 - k); /* best first: the floor tightens at once */
        int64_t time = time_of(times->u64[i]);
        if (s->has_floor && (s->oldest ? time > s->floor.time : time < s->floor.time)) continue;
        struct log_row row = {.time = time,
                              .observed = time_of(observed->u64[i]),
                              .place = {chunk->source, chunk->group, chunk->rows[i]}};
        add_row(s, &row);
    }
    *out_error = charge_rows(s);
    if (s->best.n >= s->want) compact(s);
    return !s->oldest && s->has_floor && s->floor.time > chunk->rest_time_max ? SCAN_STOP : SCAN_GO_ON;
}

/* ---- whole rows ------------------------------------------------------------------------------------------------- */

static int by_place(const void *x, const void *y) {
    const struct log_row *a = x, *b = y;
    return compare_places(&a->place, &b->place);
}

/* Fetches rows v[0..n) in order of v. Rows of bad blocks are missing: *out_n of them came. */
static err fetch(struct log_search *s, const struct log_row *v, size_t n, struct batch_builder *builder) {
    struct snapshot *sn;
    struct row_place places[FETCH_ROWS];
    TRY(query_snapshot(s->q, SIGNAL_LOGS, &sn));
    for (size_t at = 0; at < n; at += FETCH_ROWS) {
        size_t part = MIN(n - at, (size_t)FETCH_ROWS);
        for (size_t i = 0; i < part; i++) places[i] = v[at + i].place;
        TRY(query_check(s->q));
        TRY(snapshot_fetch(sn, places, part, builder, &s->q->stats));
        TRY(query_check_builder(s->q, builder));
    }
    return NULL;
}

/* Sets the hashes of rows of equal times and sorts by them. A row that cannot be fetched keeps hash 0. */
static err hash_rows(struct log_search *s, struct log_row *v, size_t n) {
    struct batch_builder builder;
    err e = NULL;
    qsort(v, n, sizeof *v, by_place); /* ascending is fastest to fetch */
    batch_builder_init(&builder, SIGNAL_LOGS);
    for (size_t at = 0; at < n && !e; at += FETCH_ROWS) {
        size_t part = MIN(n - at, (size_t)FETCH_ROWS);
        e = fetch(s, v + at, part, &builder);
        if (!e && builder.sets[SET_ROWS].n == part) {
            struct batch b;
            struct batch_blob *blob = batch_builder_finish(&builder);
            batch_view(blob, &b);
            for (size_t i = 0; i < part; i++) v[at + i].hash = batch_row_hash(&b, (uint32_t)i);
            batch_unref(blob);
        }
        batch_builder_clear(&builder);
    }
    batch_builder_done(&builder);
    if (!e) sort_rows(s, v, n, order_hashes);
    return e;
}

/* ---- the page --------------------------------------------------------------------------------------------------- */

/* Of the rows with the cursor's times, those that were not given yet. */
static err drop_given(struct log_search *s) {
    if (s->ties.n == 0) return NULL;
    TRY(hash_rows(s, s->ties.v, s->ties.n));
    size_t skip = 0;
    uint64_t equal = 0;
    while (skip < s->ties.n && s->ties.v[skip].hash < s->cursor.hash) skip++;
    while (skip < s->ties.n && equal < s->given && s->ties.v[skip].hash == s->cursor.hash) {
        skip++;
        equal++;
    }
    s->ties.n -= skip;
    memmove(s->ties.v, s->ties.v + skip, s->ties.n * sizeof *s->ties.v);
    return NULL;
}

/* Joins ties and best in order; hashes and sorts the run of equal times that the page's end cuts. */
static err order_rows(struct log_search *s, size_t limit, log_rows *out) {
    TRY(drop_given(s));
    sort_rows(s, s->best.v, s->best.n, order_times);
    vec_reserve(out, s->ties.n + s->best.n + 1);
    if (s->ties.n) memcpy(out->v, s->ties.v, s->ties.n * sizeof *out->v);
    if (s->best.n) memcpy(out->v + s->ties.n, s->best.v, s->best.n * sizeof *out->v);
    out->n = s->ties.n + s->best.n;
    if (out->n <= limit || limit <= s->ties.n) return NULL;
    size_t from = limit - 1, to = limit;
    while (from > s->ties.n && compare_times(s, &out->v[from - 1], &out->v[limit - 1]) == 0) from--;
    while (to < out->n && compare_times(s, &out->v[to], &out->v[limit - 1]) == 0) to++;
    return hash_rows(s, out->v + from, to - from);
}

static void next_cursor(const struct log_search *s, const struct log_row *v, size_t n, struct cursor *out) {
    const struct log_row *last = &v[n - 1];
    uint64_t given = 0;
    for (size_t i = n; i-- > 0 && compare_times(s, &v[i], last) == 0 && v[i].hash == last->hash;) given++;
    if (s->has_cursor && compare_times(s, last, &s->cursor) == 0 && last->hash == s->cursor.hash) given += s->given;
    out->key = last->time;
    out->second = last->observed;
    memcpy(out->id, &last->hash, 8);
    memcpy(out->id + 8, &given, 8);
}

/* Fetches the page's rows, ascending by place since that is fastest, and lists them as they are shown. */
static err fetch_page(struct log_search *s, struct log_row *v, size_t n, struct query_logs_answer *out) {
    uint32_t *rows = arena_array(&s->q->arena, uint32_t, n + 1);
    if (!rows) return arena_err(&s->q->arena);
    struct batch_builder builder;
    batch_builder_init(&builder, SIGNAL_LOGS);
    qsort(v, n, sizeof *v, by_place);
    err e = fetch(s, v, n, &builder);
    for (size_t i = 0; i < n; i++) v[i].hash = i; /* from now on: the row of the batch */
    sort_rows(s, v, n, order_shown);
    if (!e && builder.sets[SET_ROWS].n != n) { /* a bad block: who is missing is told by no one, so ask in order */
        batch_builder_clear(&builder);
        e = fetch(s, v, n, &builder);
        for (size_t i = 0; i < n; i++) v[i].hash = i;
    }
    if (!e) {
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, &out->batch);
        out->n = MIN(n, (size_t)out->batch.rows);
        for (size_t i = 0; i < n; i++) rows[i] = (uint32_t)v[i].hash;
        out->rows = rows;
        e = query_hold_blob(s->q, blob);
    }
    batch_builder_done(&builder);
    return e;
}

static err answer(struct log_search *s, const struct query_logs *r, struct cursor *cursor, log_rows *rows,
                  struct query_logs_answer *out) {
    TRY(order_rows(s, r->limit, rows));
    size_t n = MIN(rows->n, r->limit);
    if (rows->n > r->limit) {
        next_cursor(s, rows->v, n, cursor);
        cursor_write(cursor, out->next_cursor);
    }
    return fetch_page(s, rows->v, n, out);
}

static err search_logs(struct log_search *s, const struct query_logs *r, log_rows *rows,
                       struct query_logs_answer *out) {
    static const struct column_ref columns[] = {FIELD_COLUMN(FIELD_TIME), FIELD_COLUMN(FIELD_OBSERVED)};
    struct matcher m;
    struct query_filter filter = r->filter;
    struct cursor cursor = {.question = cursor_question(SIGNAL_LOGS, r->order, &r->filter)};
    if (r->cursor.n) {
        TRY(cursor_read(r->cursor, cursor.question, &cursor));
        filter.time_min = cursor.time_min;
        filter.time_max = cursor.time_max;
        s->has_cursor = true;
        s->cursor.time = cursor.key;
        s->cursor.observed = cursor.second;
        memcpy(&s->cursor.hash, cursor.id, 8);
        memcpy(&s->given, cursor.id + 8, 8);
    }
    cursor.time_min = filter.time_min;
    cursor.time_max = filter.time_max;
    TRY(matcher_make(s->q, SIGNAL_LOGS, &filter, &m));
    if (s->has_cursor && s->oldest) m.time_min = MAX(m.time_min, s->cursor.time);
    if (s->has_cursor && !s->oldest) m.time_max = MIN(m.time_max, s->cursor.time);
    compact(s);
    TRY(query_scan(s->q, &m, columns, LENGTH(columns), on_rows, s));
    compact(s);
    return answer(s, r, &cursor, rows, out);
}

err query_logs(struct query *q, const struct query_logs *r, struct query_logs_answer *out) {
    struct log_search s = {.q = q, .oldest = r->order == QUERY_OLDEST, .want = r->limit + 1};
    log_rows rows = {0};
    struct query_logs_answer made = {0};
    assert(r->order != QUERY_LONGEST && r->limit >= 1 && r->limit <= QUERY_LOGS_MAX);
    err e = search_logs(&s, r, &rows, &made);
    vec_done(&s.best);
    vec_done(&s.ties);
    vec_done(&rows);
    if (!e) *out = made;
    return e;
}

/* ---- counts ----------------------------------------------------------------------------------------------------- */

static enum scan_next on_count(void *context, const struct picked *rows, err *out_error) {
    (void)out_error;
    *(uint64_t *)context += rows->n;
    return SCAN_GO_ON;
}

err query_log_count(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct matcher m;
    uint64_t n = 0;
    TRY(matcher_make(q, SIGNAL_LOGS, f, &m));
    TRY(query_scan(q, &m, NULL, 0, on_count, &n));
    *out = n;
    return NULL;
}

const char *const severity_class_names[SEVERITY_CLASSES] = {"unset", "trace", "debug", "info",
                                                            "warn",  "error", "fatal"};

int severity_class(uint32_t severity_number) {
    return severity_number < 1 || severity_number > 24 ? SEVERITY_UNSET : (int)(severity_number - 1) / 4 + 1;
}

struct log_histogram {
    struct bucketing bucketing;
    struct query_log_bucket *buckets;
    uint64_t total;
};

static enum scan_next on_histogram(void *context, const struct picked *rows, err *out_error) {
    struct log_histogram *h = context;
    const struct vector *times = &rows->chunk->columns[0], *severities = &rows->chunk->columns[1];
    (void)out_error;
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k);
        size_t bucket = bucketing_index(&h->bucketing, time_of(times->u64[i]));
        if (bucket < h->bucketing.n) h->buckets[bucket].counts[severity_class((uint32_t)severities->u64[i])]++;
    }
    h->total += rows->n;
    return SCAN_GO_ON;
}

err query_log_histogram(struct query *q, const struct query_filter *f, int64_t step,
                        struct query_log_histogram_answer *out) {
    static const struct column_ref columns[] = {FIELD_COLUMN(FIELD_TIME), FIELD_COLUMN(FIELD_SEVERITY)};
    struct matcher m;
    struct log_histogram h = {0};
    TRY(bucketing_make(f->time_min, f->time_max, step, &h.bucketing));
    TRY(matcher_make(q, SIGNAL_LOGS, f, &m));
    h.buckets = arena_array(&q->arena, struct query_log_bucket, h.bucketing.n);
    if (!h.buckets) return arena_err(&q->arena);
    for (size_t i = 0; i < h.bucketing.n; i++) h.buckets[i].start = h.bucketing.first + (int64_t)i * h.bucketing.step;
    TRY(query_scan(q, &m, columns, LENGTH(columns), on_histogram, &h));
    *out = (struct query_log_histogram_answer){h.total, h.bucketing.step, h.buckets, h.bucketing.n};
    return NULL;
}
