/* The clocks of a request's services, trace by trace, by the rule of trace_tree.h: what its rows' times are less. */
#include <stdlib.h>

#include "base/hash.h"
#include "insight/correlation.h"
#include "insight/trace_tree.h"

enum { NONE = UINT32_MAX };

static_assert(QUERY_CLOCK_LEAST_NS <= SKEW_LEAST_NS, "a trace that is passed over needs no mending");

/* Rows of traces: in the order of each trace its spans by time, then its log records. */
struct mender {
    struct arena *a;
    struct arena scratch; /* of one trace */
    const struct query_id_row *rows;
    const struct str *texts;
    size_t n, traces, text_count;
    uint32_t *order, *end; /* rows trace by trace; of traces: where each ends */
    uint32_t *slots;       /* (trace, span id) → row + 1 */
    size_t mask;
    uint32_t *first_child, *next; /* rows: spans */
    uint32_t *place;              /* rows: of the tree; NONE: not there yet */
    uint32_t *stack;
    uint32_t *number, *names; /* texts → services of the tree, and back */
    struct trace_tree tree;
    int64_t *skew;
    struct correlation_clock *clocks; /* NULL: not asked for */
    uint32_t clock_count;
    uint64_t clocks_left_out;
    bool any;
};

static err make_room(struct mender *m) {
    size_t rows = m->n + 1;
    m->mask = 16;
    while (m->mask < 2 * rows) m->mask *= 2;
    m->slots = arena_zero(m->a, m->mask * sizeof *m->slots);
    m->mask--;
    m->order = arena_array(m->a, uint32_t, rows);
    m->end = arena_zero(m->a, (m->traces + 1) * sizeof *m->end);
    m->first_child = arena_array(m->a, uint32_t, rows);
    m->next = arena_array(m->a, uint32_t, rows);
    m->place = arena_array(m->a, uint32_t, rows);
    m->stack = arena_array(m->a, uint32_t, rows);
    m->number = arena_array(m->a, uint32_t, m->text_count + 2); /* `_other`, too */
    m->names = arena_array(m->a, uint32_t, rows);
    m->tree.spans = arena_array(m->a, struct tree_span, rows);
    m->skew = arena_zero(m->a, rows * sizeof *m->skew);
    if (!m->slots || !m->order || !m->end || !m->first_child || !m->next || !m->place || !m->stack || !m->number ||
        !m->names || !m->tree.spans || !m->skew)
        return arena_err(m->a);
    for (size_t i = 0; i < m->text_count + 2; i++) m->number[i] = NONE;
    return NULL;
}

static void order_by_trace(struct mender *m) {
    uint32_t all = (uint32_t)m->n, from = 0;
    for (uint32_t i = 0; i < all; i++)
        if (m->rows[i].trace != QUERY_NO_TRACE) m->end[m->rows[i].trace]++;
    for (size_t t = 0; t < m->traces; t++) {
        uint32_t n = m->end[t];
        m->end[t] = from; /* where it begins, until it is filled */
        from += n;
    }
    for (uint32_t i = 0; i < all; i++)
        if (m->rows[i].trace != QUERY_NO_TRACE) m->order[m->end[m->rows[i].trace]++] = i;
}

static uint32_t *slot_of(struct mender *m, uint32_t trace, uint64_t span) {
    size_t at = hash_keyed(trace, span) & m->mask;
    for (; m->slots[at]; at = (at + 1) & m->mask) {
        const struct query_id_row *row = &m->rows[m->slots[at] - 1];
        if (row->trace == trace && row->span_id == span) break;
    }
    return &m->slots[at];
}

static uint32_t parent_of(struct mender *m, uint32_t i) {
    const struct query_id_row *row = &m->rows[i];
    uint32_t found = row->parent_id ? *slot_of(m, row->trace, row->parent_id) : 0;
    return found && found - 1 != i ? found - 1 : NONE;
}

/* ---- the tree of a trace: `v` are its n spans by time ------------------------------------------------------------ */

static uint32_t service_of(struct mender *m, uint32_t text) {
    if (m->number[text] == NONE) {
        m->names[m->tree.service_count] = text;
        m->number[text] = m->tree.service_count++;
    }
    return m->number[text];
}

static void put_span(struct mender *m, uint32_t i, uint32_t parent) {
    const struct query_id_row *row = &m->rows[i];
    int64_t start = MAX(row->time, 0);
    m->place[i] = m->tree.n;
    m->tree.spans[m->tree.n++] = (struct tree_span){.id = row->span_id,
                                                    .parent = parent,
                                                    .service = service_of(m, row->service),
                                                    .kind = row->kind,
                                                    .failed = row->failed,
                                                    .stored_start = start,
                                                    .start = start,
                                                    .duration = MIN(row->duration, INT64_MAX - start)};
}

/* A span and what is below it, parents before children and those by time. A ring of parents ends where it was entered. */
static void put_from(struct mender *m, uint32_t root) {
    uint32_t n = 0;
    put_span(m, root, TREE_NONE);
    m->stack[n++] = root;
    while (n) {
        uint32_t above = m->stack[n - 1], child = m->first_child[above];
        if (child == NONE) {
            n--;
            continue;
        }
        m->first_child[above] = m->next[child];
        if (m->place[child] != NONE) continue;
        put_span(m, child, m->place[above]);
        m->stack[n++] = child;
    }
}

static void make_tree(struct mender *m, const uint32_t *v, uint32_t n) {
    uint32_t root = NONE;
    m->tree = (struct trace_tree){.spans = m->tree.spans};
    for (uint32_t k = 0; k < n; k++) m->first_child[v[k]] = m->place[v[k]] = NONE;
    for (uint32_t k = n; k-- > 0;) {
        uint32_t parent = parent_of(m, v[k]);
        if (parent == NONE) continue;
        m->next[v[k]] = m->first_child[parent];
        m->first_child[parent] = v[k];
    }
    for (uint32_t k = 0; k < n; k++)
        if (parent_of(m, v[k]) == NONE) {
            if (root == NONE && !m->rows[v[k]].parent_id) root = m->tree.n;
            put_from(m, v[k]);
        }
    for (uint32_t k = 0; k < n; k++)
        if (m->place[v[k]] == NONE) put_from(m, v[k]);
    m->tree.root = root == NONE ? 0 : root;
}

/* ---- what it comes to -------------------------------------------------------------------------------------------- */

static void note_clocks(struct mender *m, uint32_t trace) {
    if (!m->clocks) return;
    for (uint32_t i = 0; i < m->tree.service_count; i++) {
        const struct tree_clock *c = &m->tree.clocks[i];
        if (!c->ahead_ns) continue;
        if (m->clock_count == CORRELATION_CLOCKS_MAX)
            m->clocks_left_out++;
        else
            m->clocks[m->clock_count++] =
                (struct correlation_clock){trace, m->texts[m->names[i]], c->ahead_ns, c->calls, c->against};
    }
}

/* Of a row that has no place in the tree: a log record. */
static int64_t skew_of_log(const struct mender *m, const struct query_id_row *row) {
    int64_t right;
    uint32_t service = m->number[row->service];
    if (service == NONE || row->time < 0 ||
        __builtin_sub_overflow(row->time, m->tree.clocks[service].ahead_ns, &right) || right < 0)
        return 0;
    return m->tree.clocks[service].ahead_ns;
}

static err mend_trace(struct mender *m, uint32_t trace) {
    uint32_t from = trace ? m->end[trace - 1] : 0, n = 0, all = m->end[trace] - from;
    const uint32_t *v = m->order + from;
    while (n < all && m->rows[v[n]].signal == SIGNAL_SPANS) n++;
    if (n < 2) return NULL;
    make_tree(m, v, n);
    arena_clear(&m->scratch);
    TRY(trace_tree_correct(&m->scratch, &m->tree));
    if (m->tree.is_corrected) {
        m->any = true;
        note_clocks(m, trace);
        for (uint32_t k = 0; k < n; k++) {
            const struct tree_span *s = &m->tree.spans[m->place[v[k]]];
            m->skew[v[k]] = s->stored_start - s->start;
        }
        for (uint32_t k = n; k < all; k++) m->skew[v[k]] = skew_of_log(m, &m->rows[v[k]]);
    }
    for (uint32_t i = 0; i < m->tree.service_count; i++) m->number[m->names[i]] = NONE;
    return NULL;
}

/* Spans of an id: the earlier counts. */
static void index_spans(struct mender *m) {
    for (uint32_t k = 0; k < (m->traces ? m->end[m->traces - 1] : 0); k++) {
        const struct query_id_row *row = &m->rows[m->order[k]];
        uint32_t *slot = row->signal == SIGNAL_SPANS ? slot_of(m, row->trace, row->span_id) : NULL;
        if (slot && !*slot) *slot = m->order[k] + 1;
    }
}

static err mend(struct mender *m) {
    err e = NULL;
    arena_init(&m->scratch, m->a->limit_bytes);
    index_spans(m);
    for (uint32_t t = 0; t < m->traces && !e; t++) e = mend_trace(m, t);
    arena_done(&m->scratch);
    return e;
}

/* ---- of one request ---------------------------------------------------------------------------------------------- */

/* The traces with the first start and the last end of their rows by right times. */
static const struct query_correlated_trace *mend_ends(struct mender *m, const struct query_correlation_answer *in) {
    struct query_correlated_trace *traces = arena_array(m->a, struct query_correlated_trace, in->trace_count + 1);
    if (!traces) return NULL;
    for (size_t t = 0; t < in->trace_count; t++) {
        traces[t] = in->traces[t];
        for (uint32_t k = t ? m->end[t - 1] : 0, first = k; k < m->end[t]; k++) {
            const struct query_id_row *row = &in->rows[m->order[k]];
            int64_t start = row->time - m->skew[m->order[k]], end;
            if (__builtin_add_overflow(start, row->duration, &end)) end = INT64_MAX;
            traces[t].start = k == first ? start : MIN(traces[t].start, start);
            traces[t].end = k == first ? end : MAX(traces[t].end, end);
        }
    }
    return traces;
}

err correlation_correct(struct arena *a, struct correlation_details *d) {
    const struct query_correlation_answer *in = &d->rows;
    struct mender m = {.a = a,
                       .rows = in->rows, /* spans by time, then log records */
                       .n = in->span_count + in->log_count,
                       .traces = in->trace_count,
                       .texts = in->texts,
                       .text_count = in->text_count};
    d->traces = in->traces;
    m.clocks = arena_array(a, struct correlation_clock, CORRELATION_CLOCKS_MAX);
    if (!m.clocks) return arena_err(a);
    TRY(make_room(&m));
    order_by_trace(&m);
    TRY(mend(&m));
    if (!m.any) return NULL;
    d->traces = mend_ends(&m, in);
    if (!d->traces) return arena_err(a);
    d->skew = m.skew;
    d->clocks = m.clocks;
    d->clock_count = m.clock_count;
    d->clocks_left_out = m.clocks_left_out;
    return NULL;
}

/* ---- of a list --------------------------------------------------------------------------------------------------- */

static int by_time(const void *x, const void *y, void *of) {
    uint32_t i = *(const uint32_t *)x, k = *(const uint32_t *)y;
    const struct query_id_row *a = (const struct query_id_row *)of + i, *b = (const struct query_id_row *)of + k;
    if (a->signal != b->signal) return a->signal < b->signal ? -1 : 1;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return (i > k) - (i < k);
}

/* Which traces there is room for, in m->traces and m->n of their rows: of those that are apart the newest, whose numbers are the least. Of each 1 + its
 * number among them; 0: none of them. NULL: the arena is full. */
static uint32_t *choose(struct mender *m, const struct query_correlations_answer *in, uint32_t rows_max) {
    uint32_t *rows = arena_array(m->a, uint32_t, (size_t)in->trace_count + 1);
    if (!rows) return NULL;
    for (size_t i = 0; i < in->n_all; i++)
        if (in->rows[i].trace != QUERY_NO_TRACE) rows[in->rows[i].trace]++;
    for (uint32_t t = 0; t < in->trace_count; t++) {
        bool fits = in->apart[t] && rows[t] <= rows_max - m->n;
        m->n += fits ? rows[t] : 0;
        rows[t] = fits ? (uint32_t)++m->traces : 0;
    }
    return rows;
}

err correlations_correct(struct arena *a, struct query_correlations_answer *in, uint32_t rows_max) {
    struct mender m = {.a = a, .texts = in->texts, .text_count = in->text_count};
    const uint32_t *chosen = choose(&m, in, rows_max);
    struct query_id_row *rows = arena_alloc(a, (m.n + 1) * sizeof *rows);
    uint32_t *from = arena_array(a, uint32_t, m.n + 1);
    size_t n = 0;
    if (!chosen || !rows || !from) return arena_err(a);
    for (uint32_t i = 0; i < in->n_all; i++) {
        const struct query_id_row *row = &in->rows[i];
        if (row->trace == QUERY_NO_TRACE || !chosen[row->trace]) continue;
        from[n] = i;
        rows[n] = *row;
        rows[n++].trace = chosen[row->trace] - 1;
    }
    m.rows = rows;
    TRY(make_room(&m));
    order_by_trace(&m);
    for (uint32_t t = 0; t < m.traces; t++) {
        uint32_t first = t ? m.end[t - 1] : 0;
        qsort_r(m.order + first, m.end[t] - first, sizeof *m.order, by_time, rows);
    }
    TRY(mend(&m));
    for (size_t i = 0; i < n; i++) in->rows[from[i]].time -= m.skew[i];
    for (uint32_t t = 0; t < in->trace_count; t++) in->apart[t] = in->apart[t] && !chosen[t];
    return NULL;
}
