/* An id to rows, traces, and all rows of these. Places are collected first, from columns of ids alone, and whole rows fetched once, in the order
 * in which they lie: traces that share a row group cost one look at it. */
#include "query/correlation.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/text.h"
#include "base/vec.h"
#include "query/query_priv.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"

enum { FETCH_ROWS = 512, DERIVED_DIGITS = 16 };

typedef VEC(struct row_place) places;

struct correlating {
    struct query *q;
    const struct query_correlation *r;
    struct column_ref column; /* where ids are */
    struct str end;           /* the digits of the derived form; p NULL: it is none */
    bool by_trace;            /* the id is that of a trace: */
    unsigned char trace_id[16];
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

/* What a row that leads to its trace fulfils, beside its id. */
static void init_filter(const struct correlating *c, struct query_filter *f) {
    query_filter_init(f);
    f->time_min = c->r->time_min;
    f->time_max = c->r->time_max;
    f->environment = c->r->environment;
}

static err scan_where(struct correlating *c, struct column_ref column, enum operator op, struct str text, bool keeps) {
    struct query_filter f;
    init_filter(c, &f);
    f.where_count = 1;
    TRY(predicate_make(&c->q->arena, column, op, text, &f.where[0]));
    for (int s = 0; s < SIGNALS; s++) TRY(scan(c, (enum signal)s, &f, true, keeps));
    return NULL;
}

static bool are_digits(struct str text) {
    for (size_t i = 0; i < text.n; i++)
        if (!(text.p[i] >= '0' && text.p[i] <= '9') && !(text.p[i] >= 'a' && text.p[i] <= 'f')) return false;
    return true;
}

/* PREFIX-0123456789abcdef, or the 32 digits of a trace id. */
static void read_forms(struct correlating *c) {
    const struct query_correlation *r = c->r;
    size_t n = r->prefix.n;
    if (r->attribute.n) return;
    if (n && r->id.n == n + 1 + DERIVED_DIGITS && str_starts_with(r->id, r->prefix) && r->id.p[n] == '-') {
        struct str end = {r->id.p + n + 1, DERIVED_DIGITS};
        if (are_digits(end)) c->end = end;
    }
    err e = parse_hex(r->id, c->trace_id, sizeof c->trace_id);
    c->by_trace = !e;
    err_free(e);
}

static err find_by_trace(struct correlating *c) {
    struct query_filter f;
    init_filter(c, &f);
    f.trace_id = c->trace_id;
    for (int s = 0; s < SIGNALS; s++) TRY(scan(c, (enum signal)s, &f, true, false));
    return NULL;
}

static err find_rows(struct correlating *c) {
    TRY(scan_where(c, c->column, OP_EQUAL, c->r->id, true));
    if (c->end.p) TRY(scan_where(c, COLUMN_FIELD(FIELD_TRACE_ID), OP_ENDS, c->end, false));
    if (c->by_trace) TRY(find_by_trace(c));
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
            rows[n].trace = QUERY_NO_TRACE;
        n++;
    }
    *out = rows;
    *out_n = n;
    return NULL;
}

/* ---- the id of a row ---------------------------------------------------------------------------------------------- */

struct resolving {
    struct correlating *c;
    const struct batch *batches[SIGNALS];
    struct query_correlated_row *rows[SIGNALS];
    size_t n[SIGNALS];
    struct query_id_row *id_rows; /* spans, then logs */
    struct strings ids, texts;    /* numbers of texts; their bytes are elsewhere: */
    VEC(struct str) id_texts;
    VEC(struct str) text_texts;
};

static struct str attribute_text(struct query *q, const struct batch *b, enum set set, uint32_t row, struct str key) {
    enum value_type type;
    uint64_t value;
    if (!batch_find_attribute(b, set, row, key, &type, &value)) return STR("");
    if (type == VALUE_STRING) return batch_string(b, (uint32_t)value);
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * KIB);
    value_write_text(b, type, value, &text);
    return query_keep(q, buf_str(&text));
}

static struct str scope_text(struct query *q, const struct batch *b, uint32_t scope, struct str key) {
    if (str_equal(key, STR("name"))) return batch_text(b, SET_SCOPES, FIELD_NAME, scope);
    if (str_equal(key, STR("version"))) return batch_text(b, SET_SCOPES, FIELD_VERSION, scope);
    return attribute_text(q, b, SET_SCOPES, scope, key);
}

static struct str own_id(const struct resolving *r, const struct batch *b, uint32_t row) {
    const struct column_ref *column = &r->c->column;
    struct query *q = r->c->q;
    struct str text = STR("");
    switch (column->target) {
    case TARGET_FIELD: return batch_text(b, SET_ROWS, FIELD_CORRELATION, row);
    case TARGET_SCOPE: return scope_text(q, b, batch_u32(b, SET_ROWS, FIELD_SCOPE, row), column->key);
    case TARGET_ATTRIBUTE:
    case TARGET_ANY:
        text = attribute_text(q, b, SET_ROWS, row, column->key);
        if (text.n || column->target == TARGET_ATTRIBUTE) return text;
        break;
    case TARGET_RESOURCE:
    case TARGET_EVENT:
    case TARGET_TEXT: break;
    }
    return attribute_text(q, b, SET_RESOURCES, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), column->key);
}

static uint32_t id_number(struct resolving *r, struct str id) {
    if (!id.n || id.n > QUERY_ID_BYTES_MAX) return QUERY_NO_ID;
    uint32_t known = r->ids.n, number = strings_intern(&r->ids, id);
    if (number == known) *vec_push(&r->id_texts) = id;
    return number;
}

static uint32_t text_number(struct resolving *r, struct str text) {
    uint32_t known = r->texts.n, number = strings_intern(&r->texts, text);
    if (number == known) *vec_push(&r->text_texts) = text;
    return number;
}

static int64_t duration_of_row(const struct batch *b, uint32_t row) {
    int64_t duration = b->signal == SIGNAL_SPANS ? (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, row) : 0;
    return MAX(duration, 0);
}

static void fill_row(struct resolving *r, const struct batch *b, const struct query_correlated_row *from,
                     struct query_id_row *to) {
    uint32_t row = from->row;
    bool span = b->signal == SIGNAL_SPANS;
    *to = (struct query_id_row){.time = time_of_row(b, row),
                                .duration = duration_of_row(b, row),
                                .span_id = span_id_of(b, row),
                                .trace = from->trace,
                                .id = id_number(r, own_id(r, b, row)),
                                .service = text_number(r, query_row_service(b, row, &r->c->q->arena)),
                                .signal = (uint8_t)b->signal};
    if (!span) return;
    to->parent_id = batch_u64(b, SET_ROWS, FIELD_PARENT_ID, row);
    to->operation = text_number(r, batch_text(b, SET_ROWS, FIELD_NAME, row));
    to->kind = (uint8_t)MIN(batch_u32(b, SET_ROWS, FIELD_KIND, row), (uint32_t)UINT8_MAX);
    to->failed = batch_u32(b, SET_ROWS, FIELD_STATUS, row) == 2;
}

struct str query_derived_id(struct query *q, struct str prefix, const unsigned char trace_id[16]) {
    AUTO_BUF struct buf text;
    buf_init(&text, KIB);
    if (!prefix.n) return STR("");
    buf_add_str(&text, prefix);
    buf_add_byte(&text, '-');
    put_hex(&text, trace_id + 8, 8);
    return query_keep(q, buf_str(&text));
}

/* Made once a trace. */
static void derive(struct resolving *r, uint32_t *derived, struct query_id_row *row) {
    if (row->id != QUERY_NO_ID || row->trace == QUERY_NO_TRACE || r->c->r->attribute.n) return;
    if (!derived[row->trace]) {
        const unsigned char *trace = (const unsigned char *)strings_get(&r->c->traces, row->trace).p;
        uint32_t id = id_number(r, query_derived_id(r->c->q, r->c->r->prefix, trace));
        if (id == QUERY_NO_ID) return;
        derived[row->trace] = id + 1;
    }
    row->id = derived[row->trace] - 1;
    row->from = QUERY_ID_DERIVED;
}

static bool is_mine(const struct correlating *c, const struct query_correlated_row *row) {
    if (str_equal(row->id, c->r->id)) return true;
    if (row->trace == QUERY_NO_TRACE) return false;
    const unsigned char *trace = (const unsigned char *)strings_get(&c->traces, row->trace).p;
    unsigned char end[DERIVED_DIGITS / 2];
    if (c->by_trace && memcmp(trace, c->trace_id, sizeof c->trace_id) == 0) return true;
    if (!c->end.p) return false;
    err e = parse_hex(c->end, end, sizeof end);
    bool ends_so = !e && memcmp(trace + 8, end, sizeof end) == 0;
    err_free(e);
    return ends_so;
}

static err resolve(struct resolving *r) {
    struct arena *a = &r->c->q->arena;
    size_t all = r->n[SIGNAL_SPANS] + r->n[SIGNAL_LOGS], at = 0;
    uint32_t *derived = arena_array(a, uint32_t, r->c->traces.n + 1);
    r->id_rows = arena_array(a, struct query_id_row, all + 1);
    if (!r->id_rows || !derived) return arena_err(a);
    for (int s = 0; s < SIGNALS; s++)
        for (size_t i = 0; i < r->n[s]; i++) fill_row(r, r->batches[s], &r->rows[s][i], &r->id_rows[at++]);
    TRY(query_settle(r->c->q));
    TRY(query_id_rows_resolve(r->c->q, r->id_rows, all, r->c->traces.n, r->id_texts.v, NULL));
    at = 0;
    for (int s = 0; s < SIGNALS; s++)
        for (size_t i = 0; i < r->n[s]; i++) {
            struct query_id_row *from = &r->id_rows[at++];
            struct query_correlated_row *to = &r->rows[s][i];
            derive(r, derived, from);
            to->from = (enum query_id_from)from->from;
            to->id = from->id == QUERY_NO_ID ? STR("") : r->id_texts.v[from->id];
            to->mine = is_mine(r->c, to);
        }
    return query_settle(r->c->q);
}

/* Traces whose rows with the id are all over the limit: without them nothing else of theirs belongs here. */
static err drop_strangers(struct resolving *r) {
    size_t kept = 0, at = 0;
    bool *is_known = arena_array(&r->c->q->arena, bool, (size_t)r->c->traces.n + 1);
    if (!is_known) return arena_err(&r->c->q->arena);
    for (int s = 0; s < SIGNALS; s++)
        for (size_t i = 0; i < r->n[s]; i++)
            if (r->rows[s][i].trace != QUERY_NO_TRACE) is_known[r->rows[s][i].trace] |= r->rows[s][i].mine;
    for (int s = 0; s < SIGNALS; s++) {
        size_t n = 0;
        for (size_t i = 0; i < r->n[s]; i++, at++) {
            struct query_correlated_row row = r->rows[s][i];
            if (row.trace != QUERY_NO_TRACE && !is_known[row.trace]) continue;
            r->rows[s][n++] = row;
            r->id_rows[kept++] = r->id_rows[at];
        }
        r->n[s] = n;
    }
    return NULL;
}

/* ---- traces ------------------------------------------------------------------------------------------------------- */

static int64_t end_of_row(const struct batch *b, uint32_t row) {
    int64_t start = time_of_row(b, row), end;
    return __builtin_add_overflow(start, duration_of_row(b, row), &end) ? INT64_MAX : end;
}

static void count_rows(const struct correlating *c, const struct batch *b, const struct query_correlated_row *rows,
                       size_t n, struct query_correlated_trace *traces) {
    for (size_t i = 0; i < n; i++) {
        if (rows[i].trace == QUERY_NO_TRACE) continue;
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
    bool a_is_empty = a->spans + a->logs == 0, b_is_empty = b->spans + b->logs == 0;
    if (a_is_empty != b_is_empty) return a_is_empty ? 1 : -1;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return memcmp(a->trace_id, b->trace_id, 16);
}

/* Traces without rows, which come last, are none. Rows say which trace of the answer they are of: that is in order of start. */
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
    for (int s = 0; s < SIGNALS; s++) count_rows(r->c, r->batches[s], r->rows[s], r->n[s], found);
    qsort_r(order, n, sizeof *order, by_start, found);
    for (uint32_t i = 0; i < n; i++) {
        sorted[i] = found[order[i]];
        place[order[i]] = i;
    }
    size_t at = 0;
    for (int s = 0; s < SIGNALS; s++)
        for (size_t i = 0; i < r->n[s]; i++, at++) {
            struct query_correlated_row *row = &r->rows[s][i];
            if (row->trace != QUERY_NO_TRACE) row->trace = place[row->trace];
            r->id_rows[at].trace = row->trace;
        }
    while (n && sorted[n - 1].spans + sorted[n - 1].logs == 0) n--;
    out->traces = sorted;
    out->trace_count = n;
    return NULL;
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

static err answer(struct resolving *r, struct query_correlation_answer *out) {
    struct query_correlation_answer made = {0};
    struct correlating *c = r->c;
    TRY(find_rows(c));
    TRY(fetch(c, SIGNAL_SPANS, &made.spans));
    TRY(fetch(c, SIGNAL_LOGS, &made.logs));
    r->batches[SIGNAL_SPANS] = &made.spans;
    r->batches[SIGNAL_LOGS] = &made.logs;
    TRY(order_rows(c, &made.spans, true, &r->rows[SIGNAL_SPANS], &r->n[SIGNAL_SPANS]));
    TRY(order_rows(c, &made.logs, false, &r->rows[SIGNAL_LOGS], &r->n[SIGNAL_LOGS]));
    TRY(resolve(r));
    TRY(drop_strangers(r));
    TRY(list_traces(r, &made));
    struct str *texts = arena_array(&c->q->arena, struct str, r->text_texts.n + 1);
    if (!texts) return arena_err(&c->q->arena);
    if (r->text_texts.n) memcpy(texts, r->text_texts.v, r->text_texts.n * sizeof *texts);
    made.texts = texts;
    made.text_count = (uint32_t)r->text_texts.n;
    made.rows = r->id_rows;
    made.span_rows = r->rows[SIGNAL_SPANS];
    made.span_count = r->n[SIGNAL_SPANS];
    made.log_rows = r->rows[SIGNAL_LOGS];
    made.log_count = r->n[SIGNAL_LOGS];
    made.traces_cut = c->traces_cut;
    made.spans_cut = c->places_cut[SIGNAL_SPANS];
    made.logs_cut = c->places_cut[SIGNAL_LOGS];
    *out = made;
    return query_settle(c->q);
}

static err correlate(struct correlating *c, struct query_correlation_answer *out) {
    struct resolving r = {.c = c};
    strings_init(&r.ids);
    strings_init(&r.texts);
    err e = answer(&r, out);
    strings_done(&r.ids);
    strings_done(&r.texts);
    vec_done(&r.id_texts);
    vec_done(&r.text_texts);
    return e;
}

err query_id_column(struct query *q, struct str attribute, struct column_ref *out) {
    *out = COLUMN_FIELD(FIELD_CORRELATION);
    if (!attribute.n) return NULL;
    TRY_WRAP(where_parse_key(&q->arena, attribute, out), "attribute=" STR_FMT, STR_ARG(attribute));
    if (out->target == TARGET_EVENT || (out->target == TARGET_FIELD && out->field != FIELD_CORRELATION))
        return err_new(ERR_INVALID,
                       "attribute=" STR_FMT ": an id is an attribute of spans, logs, their resource or scope",
                       STR_ARG(attribute));
    return NULL;
}

err query_correlation(struct query *q, const struct query_correlation *r, struct query_correlation_answer *out) {
    struct correlating c = {.q = q, .r = r};
    size_t traces = r->traces_max ? r->traces_max : QUERY_CORRELATED_TRACES_MAX;
    size_t rows = r->rows_max ? r->rows_max : QUERY_CORRELATED_ROWS_MAX;
    if (!r->id.n) return err_new(ERR_INVALID, "the id is empty");
    if (r->id.n > QUERY_ID_BYTES_MAX)
        return err_new(ERR_INVALID, "the id is longer than %d bytes, as no id is", QUERY_ID_BYTES_MAX);
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    TRY(query_id_column(q, r->attribute, &c.column));
    c.traces_max = MIN(traces, (size_t)QUERY_CORRELATED_TRACES_MAX);
    c.rows_max = MIN(rows, (size_t)QUERY_CORRELATED_ROWS_MAX);
    read_forms(&c);
    strings_init(&c.traces);
    err e = correlate(&c, out);
    strings_done(&c.traces);
    for (int s = 0; s < SIGNALS; s++) vec_done(&c.places[s]);
    return e;
}
