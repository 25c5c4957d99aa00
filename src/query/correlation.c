/* An id to rows, traces, and all rows of these. Places are collected first, from columns of ids alone, and whole rows fetched once, in the order
 * in which they lie: traces that share a row group cost one look at it. */
#include "query/correlation.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "query/query_priv.h"
#include "signal/batch_build.h"

enum { NONE = UINT32_MAX, FETCH_ROWS = 512 };

typedef VEC(struct row_place) places;

struct correlating {
    struct query *q;
    const struct query_correlation *r;
    size_t traces_max, rows_max;
    struct strings traces; /* ids of 16 bytes */
    places places[SIGNALS];
    bool places_cut[SIGNALS], traces_cut;
    enum signal signal; /* of the scan that runs */
    bool admits, keeps; /* it finds traces; it finds rows */
};

/* ---- places ------------------------------------------------------------------------------------------------------- */

static void admit_trace(struct correlating *c, const unsigned char id[16]) {
    static const unsigned char zero[16];
    struct str text = str_span(id, 16);
    uint32_t known;
    if (memcmp(id, zero, 16) == 0 || strings_find(&c->traces, text, &known)) return;
    if (c->traces.n == c->traces_max)
        c->traces_cut = true;
    else
        strings_intern(&c->traces, text);
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct correlating *c = context;
    places *found = &c->places[c->signal];
    (void)out_error;
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k);
        if (c->admits) admit_trace(c, rows->chunk->columns[0].id16 + 16 * (size_t)i);
        if (!c->keeps) continue;
        if (found->n < 2 * c->rows_max) /* rows that carry the id are found again by their trace */
            *vec_push(found) = (struct row_place){rows->chunk->source, rows->chunk->group, rows->chunk->rows[i]};
        else
            c->places_cut[c->signal] = true;
    }
    bool full = (!c->admits || c->traces_cut) && (!c->keeps || c->places_cut[c->signal]);
    return full ? SCAN_STOP : SCAN_GO_ON;
}

static err scan(struct correlating *c, enum signal signal, const struct query_filter *f, bool admits, bool keeps) {
    static const struct column_ref columns[] = {FIELD_COLUMN(FIELD_TRACE_ID)};
    struct matcher m;
    c->signal = signal;
    c->admits = admits;
    c->keeps = keeps;
    TRY(matcher_make(c->q, signal, f, &m));
    TRY(query_scan(c->q, &m, columns, LENGTH(columns), on_rows, c));
    return query_settle(c->q);
}

static err scan_where(struct correlating *c, struct column_ref column, enum operator op, struct str text, bool keeps) {
    struct query_filter f;
    query_filter_init(&f);
    f.time_min = c->r->time_min;
    f.time_max = c->r->time_max;
    f.where_count = 1;
    TRY(predicate_make(&c->q->arena, column, op, text, &f.where[0]));
    for (int s = 0; s < SIGNALS; s++) TRY(scan(c, (enum signal)s, &f, true, keeps));
    return NULL;
}

/* PREFIX-0123456789abcdef → the digits. */
static bool is_derived(const struct query_correlation *r, struct str *out) {
    size_t n = r->prefix.n;
    if (!n || r->id.n != n + 17 || !str_starts_with(r->id, r->prefix) || r->id.p[n] != '-') return false;
    *out = (struct str){r->id.p + n + 1, 16};
    for (size_t i = 0; i < 16; i++) {
        char digit = out->p[i];
        if (!(digit >= '0' && digit <= '9') && !(digit >= 'a' && digit <= 'f')) return false;
    }
    return true;
}

static err find_rows(struct correlating *c) {
    struct str end;
    TRY(scan_where(c, COLUMN_FIELD(FIELD_CORRELATION), OP_EQUAL, c->r->id, true));
    if (is_derived(c->r, &end)) TRY(scan_where(c, COLUMN_FIELD(FIELD_TRACE_ID), OP_ENDS, end, false));
    for (uint32_t i = 0; i < c->traces.n; i++) {
        struct query_filter f;
        query_filter_init(&f);
        f.trace_id = (const unsigned char *)strings_get(&c->traces, i).p;
        for (int s = 0; s < SIGNALS; s++)
            if (!c->places_cut[s]) TRY(scan(c, (enum signal)s, &f, false, true));
    }
    return NULL;
}

/* ---- whole rows --------------------------------------------------------------------------------------------------- */

static int by_place(const void *x, const void *y) {
    const struct row_place *a = x, *b = y;
    if (a->source != b->source) return a->source < b->source ? -1 : 1;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    return (a->row > b->row) - (a->row < b->row);
}

/* Each once, in order; no more than are wanted. */
static void settle_places(struct correlating *c, enum signal signal) {
    places *p = &c->places[signal];
    size_t n = 0;
    if (p->n) qsort(p->v, p->n, sizeof *p->v, by_place);
    for (size_t i = 0; i < p->n; i++)
        if (n == 0 || by_place(&p->v[n - 1], &p->v[i]) != 0) p->v[n++] = p->v[i];
    c->places_cut[signal] |= n > c->rows_max;
    p->n = MIN(n, c->rows_max);
}

static err fetch(struct correlating *c, enum signal signal, struct batch *out) {
    struct snapshot *sn;
    struct batch_builder builder;
    const places *p = &c->places[signal];
    err e = NULL;
    settle_places(c, signal);
    TRY(query_snapshot(c->q, signal, &sn));
    batch_builder_init(&builder, signal);
    for (size_t i = 0; i < p->n && !e; i += FETCH_ROWS) {
        e = query_check(c->q);
        if (!e) e = snapshot_fetch(sn, p->v + i, MIN(p->n - i, (size_t)FETCH_ROWS), &builder, &c->q->stats);
        if (!e) e = query_check_builder(c->q, &builder);
    }
    if (!e) {
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, out);
        e = query_hold_blob(c->q, blob);
    }
    batch_builder_done(&builder);
    return e;
}

/* ---- rows in order ------------------------------------------------------------------------------------------------ */

static uint64_t span_id_of(const struct batch *b, uint32_t row) { return batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row); }
static int64_t time_of_row(const struct batch *b, uint32_t row) {
    return time_of(batch_u64(b, SET_ROWS, FIELD_TIME, row));
}
static int compare_traces(const struct batch *b, uint32_t x, uint32_t y) {
    return memcmp(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, x), batch_id16(b, SET_ROWS, FIELD_TRACE_ID, y), 16);
}

static int by_time(const void *x, const void *y, void *batch) {
    const struct batch *b = batch;
    uint32_t m = ((const struct query_correlated_row *)x)->row, n = ((const struct query_correlated_row *)y)->row;
    int64_t s = time_of_row(b, m), t = time_of_row(b, n);
    if (s != t) return s < t ? -1 : 1;
    int order = compare_traces(b, m, n);
    if (order) return order;
    uint64_t i = span_id_of(b, m), j = span_id_of(b, n);
    return i != j ? (i < j ? -1 : 1) : m < n ? -1 : m > n;
}

static bool same_span(const struct batch *b, uint32_t x, uint32_t y) {
    return time_of_row(b, x) == time_of_row(b, y) && span_id_of(b, x) == span_id_of(b, y) && !compare_traces(b, x, y);
}

static err order_rows(struct correlating *c, struct batch *b, bool unique, struct query_correlated_row **out,
                      size_t *out_n) {
    struct query_correlated_row *rows = arena_array(&c->q->arena, struct query_correlated_row, b->rows + 1);
    size_t n = 0;
    if (!rows) return arena_err(&c->q->arena);
    for (uint32_t i = 0; i < b->rows; i++) rows[i].row = i;
    qsort_r(rows, b->rows, sizeof *rows, by_time, b);
    for (uint32_t i = 0; i < b->rows; i++) {
        if (unique && n && same_span(b, rows[n - 1].row, rows[i].row)) continue; /* (11) */
        rows[n] = rows[i];
        if (!strings_find(&c->traces, str_span(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, rows[i].row), 16),
                          &rows[n].trace))
            rows[n].trace = NONE;
        n++;
    }
    *out = rows;
    *out_n = n;
    return NULL;
}

/* ---- the id of a row ---------------------------------------------------------------------------------------------- */

struct resolving {
    struct correlating *c;
    const struct batch *spans, *logs;
    struct query_correlated_row *span_rows, *log_rows;
    size_t span_count, log_count;
    uint32_t *slots; /* (trace, span id) → index of span_rows + 1 */
    size_t mask;
    uint32_t *seen;       /* per span: the walk that came by, + 1 */
    struct str *earliest; /* per trace */
    int64_t *earliest_time;
};

static struct str own_id(const struct batch *b, uint32_t row) {
    return batch_text(b, SET_ROWS, FIELD_CORRELATION, row);
}

static size_t slot_of(const struct resolving *r, uint32_t trace, uint64_t span) {
    return hash_keyed(trace, span) & r->mask;
}

static uint32_t find_span(const struct resolving *r, uint32_t trace, uint64_t span) {
    if (!span || trace == NONE) return NONE;
    for (size_t at = slot_of(r, trace, span); r->slots[at]; at = (at + 1) & r->mask) {
        const struct query_correlated_row *row = &r->span_rows[r->slots[at] - 1];
        if (row->trace == trace && span_id_of(r->spans, row->row) == span) return r->slots[at] - 1;
    }
    return NONE;
}

/* The earliest of an id counts; rows are by time. */
static void index_spans(struct resolving *r) {
    for (uint32_t i = 0; i < r->span_count; i++) {
        uint64_t span = span_id_of(r->spans, r->span_rows[i].row);
        uint32_t trace = r->span_rows[i].trace;
        if (trace == NONE || find_span(r, trace, span) != NONE) continue;
        size_t at = slot_of(r, trace, span);
        while (r->slots[at]) at = (at + 1) & r->mask;
        r->slots[at] = i + 1;
    }
}

static void take_own(struct resolving *r, const struct batch *b, struct query_correlated_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct str id = own_id(b, rows[i].row);
        int64_t time = time_of_row(b, rows[i].row);
        if (!id.n) continue;
        rows[i].id = id;
        rows[i].from = QUERY_ID_OWN;
        if (rows[i].trace == NONE || (r->earliest[rows[i].trace].n && r->earliest_time[rows[i].trace] <= time))
            continue;
        r->earliest[rows[i].trace] = id;
        r->earliest_time[rows[i].trace] = time;
    }
}

static uint32_t parent_of(const struct resolving *r, uint32_t i) {
    return find_span(r, r->span_rows[i].trace, batch_u64(r->spans, SET_ROWS, FIELD_PARENT_ID, r->span_rows[i].row));
}

/* Up to the nearest span with an id, and down again, so that nobody walks there twice. Rings end where they were entered. */
static void take_ancestor(struct resolving *r, uint32_t i) {
    uint32_t at = i;
    while (at != NONE && !r->span_rows[at].id.n && !r->seen[at]) {
        r->seen[at] = i + 1;
        at = parent_of(r, at);
    }
    if (at == NONE || !r->span_rows[at].id.n) return;
    struct str id = r->span_rows[at].id;
    for (uint32_t down = i; down != at; down = parent_of(r, down)) {
        r->span_rows[down].id = id;
        r->span_rows[down].from = QUERY_ID_ANCESTOR;
    }
}

static void take_derived(struct resolving *r, struct query_correlated_row *row) {
    struct query *q = r->c->q;
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    if (!r->c->r->prefix.n || row->trace == NONE) return;
    buf_add_str(&text, r->c->r->prefix);
    buf_add_byte(&text, '-');
    put_hex(&text, strings_get(&r->c->traces, row->trace).p + 8, 8);
    row->id = query_keep(q, buf_str(&text));
    row->from = QUERY_ID_DERIVED;
    r->earliest[row->trace] = row->id; /* made once a trace */
    r->earliest_time[row->trace] = INT64_MAX;
}

static void take_trace(struct resolving *r, struct query_correlated_row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (rows[i].id.n || rows[i].trace == NONE) continue;
        if (!r->earliest[rows[i].trace].n) {
            take_derived(r, &rows[i]);
            continue;
        }
        rows[i].id = r->earliest[rows[i].trace];
        rows[i].from = r->earliest_time[rows[i].trace] == INT64_MAX ? QUERY_ID_DERIVED : QUERY_ID_TRACE;
    }
}

static err resolve(struct resolving *r) {
    struct arena *a = &r->c->q->arena;
    uint32_t traces = r->c->traces.n;
    r->mask = 16;
    while (r->mask < 2 * r->span_count) r->mask *= 2;
    r->slots = arena_zero(a, r->mask * sizeof *r->slots);
    r->seen = arena_zero(a, (r->span_count + 1) * sizeof *r->seen);
    r->earliest = arena_zero(a, (traces + 1) * sizeof *r->earliest);
    r->earliest_time = arena_zero(a, (traces + 1) * sizeof *r->earliest_time);
    if (!r->slots || !r->seen || !r->earliest || !r->earliest_time) return arena_err(a);
    r->mask--;
    index_spans(r);
    take_own(r, r->spans, r->span_rows, r->span_count);
    take_own(r, r->logs, r->log_rows, r->log_count);
    for (uint32_t i = 0; i < r->span_count; i++)
        if (!r->span_rows[i].id.n) take_ancestor(r, i);
    for (size_t i = 0; i < r->log_count; i++) {
        struct query_correlated_row *row = &r->log_rows[i];
        uint32_t span = row->id.n ? NONE : find_span(r, row->trace, span_id_of(r->logs, row->row));
        if (span == NONE || !r->span_rows[span].id.n) continue;
        row->id = r->span_rows[span].id;
        row->from = QUERY_ID_ANCESTOR;
    }
    take_trace(r, r->span_rows, r->span_count);
    take_trace(r, r->log_rows, r->log_count);
    return query_settle(r->c->q);
}

/* ---- traces ------------------------------------------------------------------------------------------------------- */

static int64_t end_of_row(const struct batch *b, uint32_t row) {
    int64_t start = time_of_row(b, row), end;
    int64_t duration = b->signal == SIGNAL_SPANS ? (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, row) : 0;
    if (duration < 0) return start;
    return __builtin_add_overflow(start, duration, &end) ? INT64_MAX : end;
}

static void count_rows(const struct correlating *c, const struct batch *b, const struct query_correlated_row *rows,
                       size_t n, struct query_correlated_trace *traces) {
    for (size_t i = 0; i < n; i++) {
        if (rows[i].trace == NONE) continue;
        struct query_correlated_trace *t = &traces[rows[i].trace];
        bool span = b->signal == SIGNAL_SPANS;
        t->spans += span;
        t->logs += !span;
        t->errors += span && batch_u32(b, SET_ROWS, FIELD_STATUS, rows[i].row) == 2;
        t->carrying += rows[i].from == QUERY_ID_OWN && str_equal(rows[i].id, c->r->id);
        t->start = MIN(t->start, time_of_row(b, rows[i].row));
        t->end = MAX(t->end, end_of_row(b, rows[i].row));
    }
}

static int by_start(const void *x, const void *y, void *traces) {
    const struct query_correlated_trace *a = (const struct query_correlated_trace *)traces + *(const uint32_t *)x,
                                        *b = (const struct query_correlated_trace *)traces + *(const uint32_t *)y;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return memcmp(a->trace_id, b->trace_id, 16);
}

/* Rows say which trace of the answer they are of: that is in order of start. */
static err list_traces(struct resolving *r, struct query_correlation_answer *out) {
    struct arena *a = &r->c->q->arena;
    uint32_t n = r->c->traces.n;
    struct query_correlated_trace *found = arena_array(a, struct query_correlated_trace, n + 1),
                                  *sorted = arena_array(a, struct query_correlated_trace, n + 1);
    uint32_t *order = arena_array(a, uint32_t, n + 1), *place = arena_array(a, uint32_t, n + 1);
    if (!found || !sorted || !order || !place) return arena_err(a);
    for (uint32_t i = 0; i < n; i++) {
        found[i] = (struct query_correlated_trace){.start = INT64_MAX, .end = INT64_MIN};
        memcpy(found[i].trace_id, strings_get(&r->c->traces, i).p, 16);
        order[i] = i;
    }
    count_rows(r->c, r->spans, r->span_rows, r->span_count, found);
    count_rows(r->c, r->logs, r->log_rows, r->log_count, found);
    qsort_r(order, n, sizeof *order, by_start, found);
    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = found[order[i]];
        place[order[i]] = i;
    }
    for (size_t i = 0; i < r->span_count; i++)
        if (r->span_rows[i].trace != NONE) r->span_rows[i].trace = place[r->span_rows[i].trace];
    for (size_t i = 0; i < r->log_count; i++)
        if (r->log_rows[i].trace != NONE) r->log_rows[i].trace = place[r->log_rows[i].trace];
    out->traces = sorted;
    out->trace_count = n;
    return NULL;
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

static err correlate(struct correlating *c, struct query_correlation_answer *out) {
    struct query_correlation_answer made = {0};
    struct resolving r = {.c = c};
    TRY(find_rows(c));
    TRY(fetch(c, SIGNAL_SPANS, &made.spans));
    TRY(fetch(c, SIGNAL_LOGS, &made.logs));
    r.spans = &made.spans;
    r.logs = &made.logs;
    TRY(order_rows(c, &made.spans, true, &r.span_rows, &r.span_count));
    TRY(order_rows(c, &made.logs, false, &r.log_rows, &r.log_count));
    TRY(resolve(&r));
    TRY(list_traces(&r, &made));
    made.span_rows = r.span_rows;
    made.span_count = r.span_count;
    made.log_rows = r.log_rows;
    made.log_count = r.log_count;
    made.traces_cut = c->traces_cut;
    made.spans_cut = c->places_cut[SIGNAL_SPANS];
    made.logs_cut = c->places_cut[SIGNAL_LOGS];
    *out = made;
    return query_settle(c->q);
}

err query_correlation(struct query *q, const struct query_correlation *r, struct query_correlation_answer *out) {
    struct correlating c = {.q = q, .r = r};
    size_t traces = r->traces_max ? r->traces_max : QUERY_CORRELATED_TRACES_MAX;
    size_t rows = r->rows_max ? r->rows_max : QUERY_CORRELATED_ROWS_MAX;
    if (!r->id.n) return err_new(ERR_INVALID, "the id is empty");
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    c.traces_max = MIN(traces, (size_t)QUERY_CORRELATED_TRACES_MAX);
    c.rows_max = MIN(rows, (size_t)QUERY_CORRELATED_ROWS_MAX);
    strings_init(&c.traces);
    err e = correlate(&c, out);
    strings_done(&c.traces);
    for (int s = 0; s < SIGNALS; s++) vec_done(&c.places[s]);
    return e;
}
