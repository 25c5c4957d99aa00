/* Trace search: the best traces by a key of their matching spans, without ever holding more than a few times the page.
 *
 *   scan ─▶ (key, trace id) of each matching row ─▶ best (top k, distinct traces) ─▶ whole traces ─▶ summaries
 *
 * A trace's key is the greatest of its matching rows. Rows at or above the cursor are not looked at, so a trace of an
 * earlier page may come up again by a lesser row: the whole trace, which a summary needs anyway, then shows its true key,
 * and it is passed over.
 */
#include "query/query_priv.h"

#include "base/hash.h"

#include <stdlib.h>

struct candidate {
    int64_t key;
    unsigned char id[16];
};

/* Greatest key first; equal keys by id. */
static int compare(const struct candidate *a, const struct candidate *b) {
    if (a->key != b->key) return a->key > b->key ? -1 : 1;
    return memcmp(a->id, b->id, sizeof a->id);
}
static int compare_any(const void *a, const void *b) { return compare(a, b); }

/* The best `want` distinct traces so far, and up to three times as many waiting to be sorted in. */
struct best {
    size_t want, n, capacity;
    struct candidate *v;
    uint32_t *slots; /* of compact */
    size_t slot_mask;
    bool has_ceiling, has_floor;
    struct candidate ceiling, floor; /* only what comes after the ceiling and before the floor is taken */
};

static err best_init(struct best *b, size_t want, const struct candidate *ceiling, struct arena *a) {
    *b = (struct best){.want = want, .capacity = MAX(4 * want, (size_t)256)};
    size_t slots = 1024;
    while (slots < 2 * b->capacity) slots *= 2;
    b->slot_mask = slots - 1;
    b->v = arena_array(a, struct candidate, b->capacity);
    b->slots = arena_array(a, uint32_t, slots);
    if (ceiling) {
        b->has_ceiling = true;
        b->ceiling = *ceiling;
    }
    return b->v && b->slots ? NULL : arena_err(a);
}

/* Sorts, keeps the first of each trace, cuts to the wanted ones. */
static void best_compact(struct best *b) {
    qsort(b->v, b->n, sizeof *b->v, compare_any);
    memset(b->slots, 0, (b->slot_mask + 1) * sizeof *b->slots);
    size_t kept = 0;
    for (size_t i = 0; i < b->n && kept < b->want; i++) {
        size_t at = hash_fast(b->v[i].id, 16) & b->slot_mask;
        while (b->slots[at] && memcmp(b->v[b->slots[at] - 1].id, b->v[i].id, 16) != 0) at = (at + 1) & b->slot_mask;
        if (b->slots[at]) continue;
        b->v[kept] = b->v[i];
        b->slots[at] = (uint32_t)++kept;
    }
    b->n = kept;
    if (kept < b->want) return;
    b->has_floor = true;
    b->floor = b->v[kept - 1];
}

static void best_add(struct best *b, int64_t key, const unsigned char *id) {
    if (b->has_floor && key < b->floor.key) return;
    if (b->has_ceiling && key > b->ceiling.key) return;
    struct candidate c = {.key = key};
    memcpy(c.id, id, sizeof c.id);
    if (b->has_floor && compare(&c, &b->floor) >= 0) return;
    if (b->has_ceiling && compare(&c, &b->ceiling) <= 0) return;
    if (b->n > 0 && memcmp(b->v[b->n - 1].id, id, 16) == 0) { /* rows of one trace stand together */
        b->v[b->n - 1].key = MAX(b->v[b->n - 1].key, key);
        return;
    }
    b->v[b->n++] = c;
    if (b->n == b->capacity) best_compact(b);
}

/* ---- scan ------------------------------------------------------------------------------------------------------- */

struct search {
    struct query *q;
    const struct query_traces *r;
    struct matcher matcher;
    struct best best;
    int64_t newest_seen; /* start of any matching row */
};

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct search *s = context;
    (void)out_error;
    const struct vector *ids = &rows->chunk->columns[0], *times = &rows->chunk->columns[1];
    const struct vector *keys = s->r->order == QUERY_LONGEST ? &rows->chunk->columns[2] : times;
    for (uint32_t k = rows->n; k-- > 0;) { /* the last rows are the newest: the floor rises at once */
        uint32_t i = picked_at(rows, k);
        int64_t time = time_of(times->u64[i]);
        s->newest_seen = MAX(s->newest_seen, time);
        int64_t key = s->r->order == QUERY_LONGEST ? (int64_t)keys->u64[i] : time;
        best_add(&s->best, key, ids->id16 + 16 * (size_t)i);
    }
    if (s->r->order == QUERY_LONGEST) return SCAN_GO_ON;
    if (s->best.n >= s->best.want) best_compact(&s->best);
    return s->best.has_floor && s->best.floor.key > rows->chunk->rest_time_max ? SCAN_STOP : SCAN_GO_ON;
}

static err find_candidates(struct search *s, size_t want, const struct candidate *ceiling, struct arena *scratch) {
    static const struct column_ref columns[] = {FIELD_COLUMN(FIELD_TRACE_ID), FIELD_COLUMN(FIELD_TIME),
                                                FIELD_COLUMN(FIELD_DURATION)};
    arena_clear(scratch);
    TRY(best_init(&s->best, want, ceiling, scratch));
    struct matcher m = s->matcher;
    if (ceiling && s->r->order == QUERY_NEWEST) m.time_max = MIN(m.time_max, ceiling->key);
    TRY(query_scan(s->q, &m, columns, s->r->order == QUERY_LONGEST ? 3 : 2, on_rows, s));
    best_compact(&s->best);
    return NULL;
}

/* Fills the summary of a candidate; *out_fits: false if the trace was on an earlier page, by a greater row. */
static err summarize(struct search *s, const struct candidate *c, struct arena *scratch,
                     struct query_trace_summary *out, bool *out_fits) {
    struct batch b;
    struct batch_blob *blob;
    bool cut;
    *out_fits = false;
    err e = trace_load(s->q, c->id, &b, &blob, &cut);
    if (e && err_kind(e) == ERR_LIMIT) { /* one huge trace must not take the others' place */
        err_free(e);
        s->q->left_out = true;
        return NULL;
    }
    TRY(e);
    if (!blob) return NULL; /* its rows stand in a bad block, which is counted */
    arena_clear(scratch);
    e = trace_summarize(s->q, &b, &s->matcher, scratch, out);
    batch_unref(blob);
    TRY(e);
    int64_t key = s->r->order == QUERY_LONGEST ? out->matched_duration : out->matched_time;
    *out_fits = cut || out->matched == 0 || key <= c->key;
    if (cut || out->matched == 0) { /* not all of it was looked at */
        out->matched_time = s->r->order == QUERY_LONGEST ? out->matched_time : c->key;
        out->matched_duration = s->r->order == QUERY_LONGEST ? c->key : out->matched_duration;
    }
    return NULL;
}

/* One page: looks for candidates below `at` until the page is full or there are none. *at is the last one given. */
static err fill_page(struct search *s, struct candidate *at, bool has_at, struct query_trace_summary *traces,
                     size_t *out_n, bool *out_more) {
    AUTO_ARENA struct arena candidates, scratch;
    arena_init(&candidates, s->q->options.memory_max_bytes);
    arena_init(&scratch, s->q->options.memory_max_bytes);
    struct candidate below = *at;
    *out_more = false;
    while (*out_n < s->r->limit) {
        size_t want = s->r->limit - *out_n + 1;
        TRY(find_candidates(s, want, has_at ? &below : NULL, &candidates));
        for (size_t i = 0; i < s->best.n; i++) {
            if (*out_n == s->r->limit) {
                *out_more = true;
                return NULL;
            }
            bool fits;
            below = s->best.v[i];
            has_at = true;
            TRY(summarize(s, &below, &scratch, &traces[*out_n], &fits));
            if (!fits) continue;
            *at = below;
            ++*out_n;
        }
        if (s->best.n < want) return NULL;
    }
    *out_more = true; /* full, and the last look found as many as it wanted: maybe more */
    return NULL;
}

err query_traces(struct query *q, const struct query_traces *r, struct query_traces_answer *out) {
    struct search s = {.q = q, .r = r, .newest_seen = INT64_MIN};
    struct query_filter filter = r->filter;
    struct candidate at = {0};
    struct cursor cursor = {0};
    uint32_t question = cursor_question(SIGNAL_SPANS, r->order, &r->filter);
    assert(r->order != QUERY_OLDEST && r->limit >= 1 && r->limit <= QUERY_TRACES_MAX);
    if (r->cursor.n) {
        TRY(cursor_read(r->cursor, question, &cursor));
        filter.time_min = cursor.time_min;
        filter.time_max = cursor.time_max;
        at.key = cursor.key;
        memcpy(at.id, cursor.id, 16);
    }
    TRY(matcher_make(q, SIGNAL_SPANS, &filter, &s.matcher));
    struct query_trace_summary *traces = arena_array(&q->arena, struct query_trace_summary, r->limit);
    if (!traces) return arena_err(&q->arena);
    struct query_traces_answer made = {.traces = traces};
    bool more;
    TRY(fill_page(&s, &at, r->cursor.n > 0, traces, &made.n, &more));
    if (more && made.n > 0) {
        /* What arrives later with a newer start is another question's: it must not move a trace off a later page. */
        int64_t time_max = r->cursor.n ? filter.time_max : MIN(filter.time_max, s.newest_seen);
        cursor = (struct cursor){question, filter.time_min, time_max, at.key, 0, {0}};
        memcpy(cursor.id, at.id, 16);
        cursor_write(&cursor, made.next_cursor);
    }
    *out = made;
    return NULL;
}
