#include "query/trace_values.h"

#include "base/map.h"
#include "query/query_priv.h"

enum { COLUMN_TRACE, COLUMN_TIME, COLUMN_VALUE, COLUMNS };

struct values {
    struct query *q;
    struct strings ids; /* number i: the i-th trace */
    int64_t *first;     /* start of the span that a value is of */
    struct str *out;
};

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct values *v = context;
    const struct vector *c = rows->chunk->columns;
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k), at;
        int64_t start = time_of(c[COLUMN_TIME].u64[i]);
        if (c[COLUMN_VALUE].codes[i] == CODE_ABSENT) continue;
        if (!strings_find(&v->ids, str_span(c[COLUMN_TRACE].id16 + 16 * (size_t)i, 16), &at)) continue;
        if (v->out[at].p && v->first[at] <= start) continue;
        v->out[at] = query_keep(v->q, vector_text(&c[COLUMN_VALUE], i));
        v->first[at] = start;
        if (!v->out[at].p && (*out_error = query_settle(v->q))) return SCAN_STOP;
    }
    return (*out_error = query_settle(v->q)) ? SCAN_STOP : SCAN_GO_ON;
}

err query_trace_values(struct query *q, const struct query_filter *f, struct column_ref column,
                       const unsigned char *ids, size_t n, struct str *out) {
    const struct column_ref columns[COLUMNS] = {[COLUMN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),
                                                [COLUMN_TIME] = FIELD_COLUMN(FIELD_TIME),
                                                [COLUMN_VALUE] = column};
    struct matcher m;
    struct values v = {.q = q, .out = out};
    if (n > QUERY_VALUES_TRACES_MAX)
        return err_new(ERR_LIMIT, "more than %d traces are asked for", QUERY_VALUES_TRACES_MAX);
    TRY(matcher_make(q, SIGNAL_SPANS, f, &m));
    v.first = arena_array(&q->arena, int64_t, n + 1);
    if (!v.first) return arena_err(&q->arena);
    memset(out, 0, n * sizeof *out);
    strings_init(&v.ids);
    for (size_t i = 0; i < n; i++) strings_intern(&v.ids, str_span(ids + 16 * i, 16));
    err e = v.ids.n == n ? query_scan(q, &m, columns, COLUMNS, on_rows, &v)
                         : err_new(ERR_INVALID, "a trace is asked for twice");
    strings_done(&v.ids);
    return e;
}
