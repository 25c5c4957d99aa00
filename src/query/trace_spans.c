/* Some spans of one trace, without its tree: those that a filter takes, or one by its id. */
#include "query/query_priv.h"

#include "signal/batch_build.h"

#include <stdlib.h>

/* ---- those that a filter takes ---------------------------------------------------------------------------------- */

static enum scan_next on_ids(void *context, const struct picked *rows, err *out_error) {
    struct query_span_ids *found = context;
    (void)out_error;
    for (uint32_t k = 0; k < rows->n; k++) {
        if (found->n == QUERY_SPANS_MAX) {
            found->cut = true;
            return SCAN_STOP;
        }
        found->ids[found->n++] = rows->chunk->columns[0].u64[picked_at(rows, k)];
    }
    return SCAN_GO_ON;
}

static int by_id(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

err query_trace_find(struct query *q, const struct query_filter *f, struct query_span_ids *out) {
    static const struct column_ref columns[] = {FIELD_COLUMN(FIELD_SPAN_ID)};
    struct matcher m;
    struct query_span_ids found = {.ids = arena_array(&q->arena, uint64_t, QUERY_SPANS_MAX)};
    if (!found.ids) return arena_err(&q->arena);
    assert(f->trace_id);
    TRY(matcher_make(q, SIGNAL_SPANS, f, &m));
    TRY(query_scan(q, &m, columns, LENGTH(columns), on_ids, &found));
    qsort(found.ids, found.n, sizeof *found.ids, by_id);
    size_t n = 0;
    for (size_t i = 0; i < found.n; i++)
        if (i == 0 || found.ids[i] != found.ids[i - 1]) found.ids[n++] = found.ids[i];
    found.n = n;
    *out = found;
    return NULL;
}

/* ---- one -------------------------------------------------------------------------------------------------------- */

enum { SPANS_AT_ONCE = 4 };

struct places {
    struct row_place v[QUERY_SAME_ID_MAX];
    size_t n;
    bool cut;
};

static enum scan_next on_places(void *context, const struct picked *rows, err *out_error) {
    struct places *p = context;
    (void)out_error;
    for (uint32_t k = 0; k < rows->n; k++) {
        if (p->n == LENGTH(p->v)) {
            p->cut = true;
            return SCAN_STOP;
        }
        p->v[p->n++] =
            (struct row_place){rows->chunk->source, rows->chunk->group, rows->chunk->rows[picked_at(rows, k)]};
    }
    return SCAN_GO_ON;
}

/* The rows at the places as a batch that the query holds; *out unchanged if none can be read. */
static err fetch_places(struct query *q, const struct places *p, struct batch *out) {
    struct snapshot *sn;
    struct batch_builder builder;
    TRY(query_snapshot(q, SIGNAL_SPANS, &sn));
    batch_builder_init(&builder, SIGNAL_SPANS);
    err e = NULL;
    for (size_t i = 0; !e && i < p->n; i += SPANS_AT_ONCE) { /* each may be of any size */
        e = snapshot_fetch(sn, p->v + i, MIN(p->n - i, (size_t)SPANS_AT_ONCE), &builder, &q->stats);
        if (!e) e = query_check_builder(q, &builder);
    }
    if (!e && builder.sets[SET_ROWS].n > 0) {
        struct batch_blob *blob = batch_builder_finish(&builder);
        batch_view(blob, out);
        e = query_hold_blob(q, blob);
    }
    batch_builder_done(&builder);
    return e;
}

err query_trace_span(struct query *q, const unsigned char trace_id[16], const unsigned char span_id[8],
                     struct query_spans *out) {
    static const struct column_ref columns[] = {FIELD_COLUMN(FIELD_TIME)};
    struct query_filter f;
    struct matcher m;
    struct places places = {0};
    struct query_spans made = {0};
    uint32_t *rows;
    query_filter_init(&f);
    f.trace_id = trace_id;
    f.span_id = span_id;
    TRY(matcher_make(q, SIGNAL_SPANS, &f, &m));
    TRY(query_scan(q, &m, columns, LENGTH(columns), on_places, &places));
    TRY(fetch_places(q, &places, &made.batch));
    if (made.batch.rows == 0) return err_new(ERR_NOT_FOUND, "no such span is stored");
    TRY(trace_unique_rows(q, &made.batch, &q->arena, &rows, &made.n));
    made.rows = rows;
    made.cut = places.cut;
    *out = made;
    return query_settle(q);
}
