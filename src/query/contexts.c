#include "query/contexts.h"

#include "base/map.h"
#include "base/vec.h"
#include "query/query_priv.h"

enum { KIND_CLIENT = 3, KIND_PRODUCER = 4, CHARGED_PER_TEXT = 64, TEXT_BYTES_MAX = 1024, ROWS_FIRST = 4096 };

enum {
    COLUMN_TRACE,
    COLUMN_SPAN,
    COLUMN_TIME,
    COLUMN_SERVICE,
    COLUMN_ID,
    LOG_COLUMNS,
    COLUMN_PARENT = LOG_COLUMNS,
    COLUMN_DURATION,
    COLUMN_KIND,
    COLUMN_DATABASE,
    COLUMN_OLD_DATABASE,
    COLUMN_PEERS, /* in the order in which they count */
    COLUMN_ADDRESS,
    COLUMN_OLD_ADDRESS,
    COLUMN_DESTINATION,
    COLUMN_OLD_DESTINATION,
    SPAN_COLUMNS
};
#define ATTRIBUTE_COLUMN(k)                                                                                            \
    { .target = TARGET_ATTRIBUTE, .key = STR(k) }
static const struct column_ref columns[SPAN_COLUMNS] = {
    [COLUMN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),
    [COLUMN_SPAN] = FIELD_COLUMN(FIELD_SPAN_ID),
    [COLUMN_TIME] = FIELD_COLUMN(FIELD_TIME),
    [COLUMN_SERVICE] = RESOURCE_COLUMN("service.name"),
    [COLUMN_ID] = FIELD_COLUMN(FIELD_CORRELATION),
    [COLUMN_PARENT] = FIELD_COLUMN(FIELD_PARENT_ID),
    [COLUMN_DURATION] = FIELD_COLUMN(FIELD_DURATION),
    [COLUMN_KIND] = FIELD_COLUMN(FIELD_KIND),
    [COLUMN_DATABASE] = ATTRIBUTE_COLUMN("db.system.name"),
    [COLUMN_OLD_DATABASE] = ATTRIBUTE_COLUMN("db.system"),
    [COLUMN_PEERS] = ATTRIBUTE_COLUMN("peer.service"),
    [COLUMN_ADDRESS] = ATTRIBUTE_COLUMN("server.address"),
    [COLUMN_OLD_ADDRESS] = ATTRIBUTE_COLUMN("net.peer.name"),
    [COLUMN_DESTINATION] = ATTRIBUTE_COLUMN("messaging.destination.name"),
    [COLUMN_OLD_DESTINATION] = ATTRIBUTE_COLUMN("messaging.destination"),
};

struct reader {
    struct query *q;
    const struct query_contexts *r;
    struct strings texts, traces, ids;
    struct query_context_row *rows;
    size_t n, capacity, first; /* first: of this signal */
    uint32_t rows_max;
    enum signal signal;
    int64_t whole_from; /* what is older may have been left out */
    bool cut;
};

static err number(struct reader *r, struct strings *of, uint32_t most, struct str text, uint32_t *out) {
    *out = QUERY_NO_CONTEXT;
    if (text.n > TEXT_BYTES_MAX || strings_find(of, text, out)) return NULL;
    if (of->n == most) {
        r->cut = true;
        return NULL;
    }
    TRY(query_charge(r->q, text.n + CHARGED_PER_TEXT));
    *out = strings_intern(of, text);
    return NULL;
}

static struct str peer_of(const struct vector *c, uint32_t i, uint8_t kind) {
    if (kind != KIND_CLIENT && kind != KIND_PRODUCER) return STR("");
    if (vector_text(&c[COLUMN_DATABASE], i).n || vector_text(&c[COLUMN_OLD_DATABASE], i).n) return STR("");
    for (int k = COLUMN_PEERS; k < SPAN_COLUMNS; k++)
        if (vector_text(&c[k], i).n) return vector_text(&c[k], i);
    return STR("");
}

static err fill(struct reader *r, const struct vector *c, uint32_t i, struct query_context_row *row) {
    static const unsigned char zero[16];
    const unsigned char *trace = c[COLUMN_TRACE].id16 + 16 * (size_t)i;
    struct str id = vector_text(&c[COLUMN_ID], i), service = vector_text(&c[COLUMN_SERVICE], i);
    *row = (struct query_context_row){.time = time_of(c[COLUMN_TIME].u64[i]),
                                      .span_id = c[COLUMN_SPAN].u64[i],
                                      .trace = QUERY_NO_CONTEXT,
                                      .id = QUERY_NO_CONTEXT,
                                      .peer = QUERY_NO_CONTEXT,
                                      .signal = (uint8_t)r->signal};
    row->is_judged = row->time >= r->r->time_min;
    if (memcmp(trace, zero, sizeof zero) != 0)
        TRY(number(r, &r->traces, UINT32_MAX / 2, (struct str){(const char *)trace, 16}, &row->trace));
    TRY(number(r, &r->texts, QUERY_CONTEXTS_TEXTS_MAX, service_or_unknown(service), &row->service));
    if (id.n) TRY(number(r, &r->ids, 2 * QUERY_CONTEXTS_ROWS_MAX, id, &row->id));
    if (r->signal == SIGNAL_LOGS) return NULL;
    int64_t duration = (int64_t)c[COLUMN_DURATION].u64[i];
    row->duration = MAX(duration, 0);
    row->parent_id = c[COLUMN_PARENT].u64[i];
    row->kind = (uint8_t)MIN(c[COLUMN_KIND].u64[i], (uint64_t)UINT8_MAX);
    struct str peer = peer_of(c, i, row->kind);
    return peer.n ? number(r, &r->texts, QUERY_CONTEXTS_TEXTS_MAX, peer, &row->peer) : NULL;
}

static err grow(struct reader *r) {
    if (r->n < r->capacity) return NULL;
    size_t more = MIN(MAX(2 * r->capacity, (size_t)ROWS_FIRST), 2 * (size_t)r->rows_max);
    struct query_context_row *rows = arena_alloc(&r->q->arena, more * sizeof *rows);
    if (!rows) return arena_err(&r->q->arena);
    if (r->n) memcpy(rows, r->rows, r->n * sizeof *rows);
    r->rows = rows;
    r->capacity = more;
    return NULL;
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct reader *r = context;
    const struct vector *c = rows->chunk->columns;
    for (uint32_t k = rows->n; k-- > 0;) { /* the newest first */
        if (r->n - r->first == r->rows_max) {
            r->cut = true;
            r->whole_from = MAX(r->whole_from, rows->chunk->rest_time_max);
            r->whole_from = MAX(r->whole_from, time_of(c[COLUMN_TIME].u64[picked_at(rows, k)]));
            return SCAN_STOP;
        }
        struct query_context_row row;
        if ((*out_error = fill(r, c, picked_at(rows, k), &row))) return SCAN_STOP;
        if (row.service == QUERY_NO_CONTEXT) continue; /* too many texts: `cut` says so */
        if ((*out_error = grow(r))) return SCAN_STOP;
        r->rows[r->n++] = row;
    }
    return SCAN_GO_ON;
}

static err read_rows(struct reader *r, enum signal signal) {
    struct query_filter f;
    struct matcher m;
    query_filter_init(&f);
    f.time_min = r->r->time_min;
    f.time_max = r->r->time_max;
    f.environment = r->r->environment;
    if (signal == SIGNAL_SPANS && __builtin_sub_overflow(f.time_min, QUERY_CONTEXTS_MARGIN_NS, &f.time_min))
        f.time_min = INT64_MIN;
    r->signal = signal;
    r->first = r->n;
    TRY(matcher_make(r->q, signal, &f, &m));
    return query_scan(r->q, &m, columns, signal == SIGNAL_SPANS ? SPAN_COLUMNS : LOG_COLUMNS, on_rows, r);
}

static err read_both(struct reader *r, struct query_contexts_answer *out) {
    struct arena *a = &r->q->arena;
    TRY(read_rows(r, SIGNAL_SPANS));
    size_t span_count = r->n;
    int64_t cut_at = r->whole_from; /* where parents may be missing nothing is judged */
    if (r->cut && __builtin_add_overflow(cut_at, QUERY_CONTEXTS_MARGIN_NS / 10, &cut_at)) cut_at = INT64_MAX;
    for (size_t i = 0; i < span_count; i++) r->rows[i].is_judged &= r->rows[i].time >= cut_at;
    TRY(read_rows(r, SIGNAL_LOGS));
    struct str *texts = arena_array(a, struct str, r->texts.n + 1);
    unsigned char(*traces)[16] = arena_alloc(a, ((size_t)r->traces.n + 1) * sizeof *traces);
    if (!texts || !traces) return arena_err(a);
    for (uint32_t i = 0; i < r->texts.n; i++) texts[i] = query_keep(r->q, strings_get(&r->texts, i));
    for (uint32_t i = 0; i < r->traces.n; i++) memcpy(traces[i], strings_get(&r->traces, i).p, sizeof *traces);
    *out = (struct query_contexts_answer){.rows = r->rows,
                                          .n = r->n,
                                          .span_count = span_count,
                                          .texts = texts,
                                          .text_count = r->texts.n,
                                          .traces = (const unsigned char(*)[16])traces,
                                          .trace_count = r->traces.n,
                                          .time_min = MAX(r->r->time_min, cut_at),
                                          .time_max = r->r->time_max,
                                          .now_ns = r->r->now_ns,
                                          .cut = r->cut};
    return query_settle(r->q);
}

err query_contexts(struct query *q, const struct query_contexts *r, struct query_contexts_answer *out) {
    struct reader reader = {.q = q, .r = r, .whole_from = INT64_MIN};
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    reader.rows_max = r->rows_max ? MIN(r->rows_max, (uint32_t)QUERY_CONTEXTS_ROWS_MAX) : QUERY_CONTEXTS_ROWS_MAX;
    strings_init(&reader.texts);
    strings_init(&reader.traces);
    strings_init(&reader.ids);
    err e = read_both(&reader, out);
    strings_done(&reader.texts);
    strings_done(&reader.traces);
    strings_done(&reader.ids);
    return e;
}
