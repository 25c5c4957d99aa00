/* Log queries. Rows are ordered by (time, observed time, content hash): an order that is of the rows alone, so a cursor
 * stays exact while rows move from memory to parts.
 *
 *   scan ─▶ rows with the cursor's times ──────────▶ hashed, those already given dropped ─┐
 *      └──▶ the first k others, with all ties of the last ─▶ ties of the last hashed ─────┴▶ page ─▶ whole rows
 *
 * Hashing needs whole rows, so only ties at the two ends of a page are hashed; of many ties only those that the page can show.
 * For that the upper half of a hash is the row's sign, made of columns that a scan sees: one scan of that time chooses the page's
 * worth of least signs. So what is held and fetched is in proportion to the page, and to how many rows of one time share a sign.
 * Within a page, rows of one time stand as they arrived.
 */
#include "query/query_priv.h"

#include "base/hash.h"
#include "base/vec.h"
#include "signal/batch_build.h"

#include <stdlib.h>

enum { FETCH_ROWS = 2048, TIES_HELD_MAX = 4096 };

struct log_row {
    int64_t time, observed;
    uint64_t hash; /* 0 until it was needed; sign, then 32 bits of the whole row's hash */
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
    log_rows best;         /* rows that come after the cursor's times */
    log_rows ties;         /* rows with the cursor's times */
    bool ties_many;        /* there are more than TIES_HELD_MAX: none is held */
    size_t compact_at;
    bool has_floor;
    struct log_row floor; /* rows that come after its times are not wanted */
    bool floor_many;      /* more than TIES_HELD_MAX rows have its times: none is held */
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

/* [*from, *to) of sorted v: the run of rows whose times are those of v[at]. */
static void run_of_ties(const struct log_search *s, const log_rows *rows, size_t at, size_t *from, size_t *to) {
    for (*from = at; *from > 0 && compare_times(s, &rows->v[*from - 1], &rows->v[at]) == 0;) --*from;
    for (*to = at + 1; *to < rows->n && compare_times(s, &rows->v[*to], &rows->v[at]) == 0;) ++*to;
}

/* Keeps the wanted rows, and those that tie with the last of them unless they are many. */
static void compact(struct log_search *s) {
    if (s->best.n >= s->want) {
        size_t from, to;
        sort_rows(s, s->best.v, s->best.n, order_times);
        run_of_ties(s, &s->best, s->want - 1, &from, &to);
        s->has_floor = true;
        s->floor = s->best.v[s->want - 1];
        s->floor_many = to - from > TIES_HELD_MAX;
        s->best.n = s->floor_many ? from : to;
    }
    s->compact_at = MAX(4 * s->want, 2 * s->best.n) + 256;
}

static void add_tie(struct log_search *s, const struct log_row *row) {
    if (s->ties_many) return;
    *vec_push(&s->ties) = *row;
    s->ties_many = s->ties.n > TIES_HELD_MAX;
    if (s->ties_many) vec_clear(&s->ties);
}

static void add_row(struct log_search *s, const struct log_row *row) {
    if (s->has_floor) {
        int order = compare_times(s, row, &s->floor);
        if (order > 0 || (order == 0 && s->floor_many)) return;
    }
    if (s->has_cursor) {
        int order = compare_times(s, row, &s->cursor);
        if (order == 0) add_tie(s, row);
        if (order <= 0) return;
    }
    *vec_push(&s->best) = *row;
    if (s->best.n >= s->compact_at) compact(s);
}

static err charge_rows(struct log_search *s, size_t others) {
    uint64_t bytes = (s->best.capacity + s->ties.capacity + others) * sizeof(struct log_row);
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
    *out_error = charge_rows(s, 0);
    if (s->best.n >= s->want) compact(s);
    if (!s->has_floor) return SCAN_GO_ON;
    bool enough = s->oldest ? s->floor.time < chunk->rest_time_min : s->floor.time > chunk->rest_time_max;
    return enough ? SCAN_STOP : SCAN_GO_ON;
}

/* ---- signs: what of many ties a page can show -------------------------------------------------------------------- */

enum { SIGN_OBSERVED, SIGN_TRACE, SIGN_SPAN, SIGN_SEVERITY, SIGN_BODY_TYPE, SIGN_BODY, SIGN_COLUMNS };

/* Of columns that stand alike in memory and in parts; a body that is no text has its whole row's hash alone. */
static uint64_t sign_of(const unsigned char *trace_id, uint64_t span_id, uint64_t severity, uint64_t body_type,
                        struct str body) {
    uint64_t h = hash_bytes_seed(trace_id, 16, hash_mix(span_id, severity ^ 0x9e3779b97f4a7c15u));
    if (body_type == VALUE_STRING && body.n) h = hash_bytes_seed(body.p, body.n, h);
    return h >> 32;
}

static uint64_t hash_of(const struct batch *b, uint32_t row) {
    uint64_t sign = sign_of(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row),
                            batch_u32(b, SET_ROWS, FIELD_SEVERITY, row), batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row),
                            batch_text(b, SET_ROWS, FIELD_BODY, row));
    return sign << 32 | (uint32_t)batch_row_hash(b, row);
}

/* The rows of one time that have the sign of the cursor, and `want` more, and all that share the last sign. */
struct choice {
    struct log_search *s;
    const struct log_row *times;
    bool after_cursor;           /* rows of sign_min are had besides those wanted */
    uint64_t sign_min, sign_max; /* of rows that are looked at */
    size_t want, filter_at;
    VEC(uint32_t) least; /* a heap of the `want` least signs, the greatest on top */
    log_rows chosen;     /* in order of the scan; hash: the sign << 32 */
};

static void least_sift_down(struct choice *c) {
    uint32_t *v = c->least.v;
    for (size_t i = 0, child; (child = 2 * i + 1) < c->least.n; i = child) {
        if (child + 1 < c->least.n && v[child + 1] > v[child]) child++;
        if (v[child] <= v[i]) return;
        uint32_t swap = v[i];
        v[i] = v[child];
        v[child] = swap;
    }
}

static void least_add(struct choice *c, uint32_t sign) {
    if (c->least.n == c->want) {
        if (sign >= c->least.v[0]) return;
        c->least.v[0] = sign;
        least_sift_down(c);
    } else {
        *vec_push(&c->least) = sign;
        uint32_t *v = c->least.v;
        for (size_t i = c->least.n - 1, up; i > 0 && v[up = (i - 1) / 2] < v[i]; i = up) {
            uint32_t swap = v[i];
            v[i] = v[up];
            v[up] = swap;
        }
    }
    if (c->least.n == c->want) c->sign_max = c->least.v[0];
}

static void choice_add(struct choice *c, uint64_t sign, struct row_place place) {
    if (sign < c->sign_min || sign > c->sign_max) return;
    if (!c->after_cursor || sign > c->sign_min) least_add(c, (uint32_t)sign);
    if (sign > c->sign_max) return;
    *vec_push(&c->chosen) = (struct log_row){c->times->time, c->times->observed, sign << 32, place};
}

/* Drops what was chosen before lesser signs came. */
static void choice_filter(struct choice *c) {
    size_t kept = 0;
    for (size_t i = 0; i < c->chosen.n; i++)
        if (c->chosen.v[i].hash >> 32 <= c->sign_max) c->chosen.v[kept++] = c->chosen.v[i];
    c->chosen.n = kept;
    c->filter_at = 2 * kept + TIES_HELD_MAX;
}

static enum scan_next on_signs(void *context, const struct picked *rows, err *out_error) {
    struct choice *c = context;
    const struct chunk *chunk = rows->chunk;
    const struct vector *v = chunk->columns;
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k);
        if (time_of(v[SIGN_OBSERVED].u64[i]) != c->times->observed) continue;
        uint64_t sign = sign_of(v[SIGN_TRACE].id16 + 16 * (size_t)i, v[SIGN_SPAN].u64[i], v[SIGN_SEVERITY].u64[i],
                                v[SIGN_BODY_TYPE].u64[i], vector_text(&v[SIGN_BODY], i));
        choice_add(c, sign, (struct row_place){chunk->source, chunk->group, chunk->rows[i]});
    }
    if (c->chosen.n >= c->filter_at) choice_filter(c);
    *out_error = charge_rows(c->s, c->chosen.capacity);
    return SCAN_GO_ON;
}

static err choose(struct choice *c, const struct matcher *all) {
    static const struct column_ref columns[SIGN_COLUMNS] = {
        [SIGN_OBSERVED] = FIELD_COLUMN(FIELD_OBSERVED),   [SIGN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),
        [SIGN_SPAN] = FIELD_COLUMN(FIELD_SPAN_ID),        [SIGN_SEVERITY] = FIELD_COLUMN(FIELD_SEVERITY),
        [SIGN_BODY_TYPE] = FIELD_COLUMN(FIELD_BODY_TYPE), [SIGN_BODY] = FIELD_COLUMN(FIELD_BODY),
    };
    struct matcher m = *all;
    m.time_min = MAX(m.time_min, c->times->time);
    m.time_max = MIN(m.time_max, c->times->time);
    choice_filter(c);
    TRY(query_scan(c->s->q, &m, columns, SIGN_COLUMNS, on_signs, c));
    choice_filter(c);
    return NULL;
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

/* Sets the hashes of at most FETCH_ROWS rows; if one cannot be fetched they keep what they have. */
static err hash_some(struct log_search *s, struct log_row *v, size_t n, struct batch_builder *builder) {
    err e = fetch(s, v, n, builder);
    if (!e && builder->sets[SET_ROWS].n == n) {
        struct batch b;
        struct batch_blob *blob = batch_builder_finish(builder);
        batch_view(blob, &b);
        for (size_t i = 0; i < n; i++) v[i].hash = hash_of(&b, (uint32_t)i);
        batch_unref(blob);
    }
    batch_builder_clear(builder);
    return e;
}

/* Hashes rows of equal times and sorts by hash. */
static err hash_rows(struct log_search *s, struct log_row *v, size_t n) {
    struct batch_builder builder;
    err e = NULL;
    qsort(v, n, sizeof *v, by_place); /* ascending is fastest to fetch */
    batch_builder_init(&builder, SIGNAL_LOGS);
    for (size_t at = 0; at < n && !e; at += FETCH_ROWS)
        e = hash_some(s, v + at, MIN(n - at, (size_t)FETCH_ROWS), &builder);
    batch_builder_done(&builder);
    if (!e) sort_rows(s, v, n, order_hashes);
    return e;
}

/* The same of however many, of which only the `want` least hashes from `least` on are kept. */
static err hash_least(struct log_search *s, log_rows *rows, size_t want, uint64_t least) {
    struct batch_builder builder;
    err e = NULL;
    size_t kept = 0;
    uint64_t most = UINT64_MAX;
    batch_builder_init(&builder, SIGNAL_LOGS);
    for (size_t at = 0; at < rows->n && !e; at += FETCH_ROWS) {
        size_t end = MIN(rows->n, at + FETCH_ROWS);
        e = hash_some(s, rows->v + at, end - at, &builder);
        for (size_t i = at; i < end; i++)
            if (rows->v[i].hash >= least && rows->v[i].hash <= most) rows->v[kept++] = rows->v[i];
        if (kept < 2 * want + FETCH_ROWS) continue;
        sort_rows(s, rows->v, kept, order_hashes);
        kept = want;
        most = rows->v[want - 1].hash;
    }
    batch_builder_done(&builder);
    sort_rows(s, rows->v, kept, order_hashes);
    rows->n = MIN(kept, want);
    return e;
}

/* Of more rows with these times than are held: the first `want` by hash, after the cursor those from its own hash on. */
static err choose_ties(struct log_search *s, const struct matcher *m, const struct log_row *times, size_t want,
                       log_rows *out) {
    struct choice c = {.s = s, .times = times, .want = want, .sign_max = UINT32_MAX};
    uint64_t least = 0;
    if (times == &s->cursor) {
        c.after_cursor = true;
        least = s->cursor.hash;
        c.sign_min = least >> 32;
        want += (size_t)MIN(s->given, (uint64_t)SIZE_MAX / 4);
    }
    err e = choose(&c, m);
    if (!e) e = hash_least(s, &c.chosen, MIN(want, c.chosen.n), least);
    for (size_t i = 0; i < c.chosen.n && !e; i++) *vec_push(out) = c.chosen.v[i];
    vec_done(&c.chosen);
    vec_done(&c.least);
    return e;
}

/* ---- the page --------------------------------------------------------------------------------------------------- */

/* Of the rows with the cursor's times, those that were not given yet. */
static err drop_given(struct log_search *s) {
    if (s->ties.n == 0) return NULL;
    if (!s->ties_many) TRY(hash_rows(s, s->ties.v, s->ties.n));
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
static err order_rows(struct log_search *s, const struct matcher *m, size_t limit, log_rows *out) {
    if (s->ties_many) TRY(choose_ties(s, m, &s->cursor, s->want, &s->ties));
    TRY(drop_given(s));
    sort_rows(s, s->best.v, s->best.n, order_times);
    vec_reserve(out, s->ties.n + s->best.n + 1);
    if (s->ties.n) memcpy(out->v, s->ties.v, s->ties.n * sizeof *out->v);
    if (s->best.n) memcpy(out->v + s->ties.n, s->best.v, s->best.n * sizeof *out->v);
    size_t held = out->n = s->ties.n + s->best.n;
    if (s->floor_many && out->n < s->want) TRY(choose_ties(s, m, &s->floor, s->want - out->n, out));
    TRY(charge_rows(s, out->capacity));
    if (out->n <= limit || limit <= s->ties.n) return NULL;
    size_t from, to;
    run_of_ties(s, out, limit - 1, &from, &to);
    if (from >= held) return NULL; /* chosen by hash already */
    from = MAX(from, s->ties.n);   /* so were, or dropped from, those */
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

static err answer(struct log_search *s, const struct query_logs *r, const struct matcher *m, struct cursor *cursor,
                  log_rows *rows, struct query_logs_answer *out) {
    TRY(order_rows(s, m, r->limit, rows));
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
    m.oldest_first = s->oldest;
    if (s->has_cursor && s->oldest) m.time_min = MAX(m.time_min, s->cursor.time);
    if (s->has_cursor && !s->oldest) m.time_max = MIN(m.time_max, s->cursor.time);
    compact(s);
    TRY(query_scan(s->q, &m, columns, LENGTH(columns), on_rows, s));
    compact(s);
    return answer(s, r, &m, &cursor, rows, out);
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
