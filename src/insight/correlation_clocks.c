/* The clocks of a request's services, trace by trace, by the rule of trace_tree.h: what its rows' times are less. */
#include "base/hash.h"
#include "insight/correlation.h"
#include "insight/trace_tree.h"

enum { NONE = UINT32_MAX };

struct mender {
    struct arena *a;
    const struct query_correlation_answer *in;
    uint32_t *order, *end; /* rows trace by trace, in their order; of traces: where each ends */
    uint32_t *slots;       /* (trace, span id) → row + 1 */
    size_t mask;
    uint32_t *first_child, *next; /* rows: spans */
    uint32_t *place;              /* rows: of the tree; NONE: not there yet */
    uint32_t *stack;
    uint32_t *number, *names; /* texts → services of the tree, and back */
    struct trace_tree tree;
    int64_t *skew;
    struct correlation_clock *clocks;
    uint32_t clock_count;
    uint64_t clocks_left_out;
    bool any;
};

static err make_room(struct mender *m) {
    const struct query_correlation_answer *in = m->in;
    size_t spans = in->span_count + 1, rows = in->span_count + in->log_count + 1;
    m->mask = 16;
    while (m->mask < 2 * spans) m->mask *= 2;
    m->slots = arena_zero(m->a, m->mask * sizeof *m->slots);
    m->mask--;
    m->order = arena_array(m->a, uint32_t, rows);
    m->end = arena_zero(m->a, (in->trace_count + 1) * sizeof *m->end);
    m->first_child = arena_array(m->a, uint32_t, spans);
    m->next = arena_array(m->a, uint32_t, spans);
    m->place = arena_array(m->a, uint32_t, spans);
    m->stack = arena_array(m->a, uint32_t, spans);
    m->number = arena_array(m->a, uint32_t, (size_t)in->text_count + 1);
    m->names = arena_array(m->a, uint32_t, spans);
    m->tree.spans = arena_array(m->a, struct tree_span, spans);
    m->skew = arena_zero(m->a, rows * sizeof *m->skew);
    m->clocks = arena_array(m->a, struct correlation_clock, CORRELATION_CLOCKS_MAX);
    if (!m->slots || !m->order || !m->end || !m->first_child || !m->next || !m->place || !m->stack || !m->number ||
        !m->names || !m->tree.spans || !m->skew || !m->clocks)
        return arena_err(m->a);
    for (size_t i = 0; i < in->text_count; i++) m->number[i] = NONE;
    return NULL;
}

static void order_by_trace(struct mender *m) {
    const struct query_correlation_answer *in = m->in;
    uint32_t all = (uint32_t)(in->span_count + in->log_count), from = 0;
    for (uint32_t i = 0; i < all; i++)
        if (in->rows[i].trace != QUERY_NO_TRACE) m->end[in->rows[i].trace]++;
    for (size_t t = 0; t < in->trace_count; t++) {
        uint32_t n = m->end[t];
        m->end[t] = from; /* where it begins, until it is filled */
        from += n;
    }
    for (uint32_t i = 0; i < all; i++)
        if (in->rows[i].trace != QUERY_NO_TRACE) m->order[m->end[in->rows[i].trace]++] = i;
}

static uint32_t *slot_of(struct mender *m, uint32_t trace, uint64_t span) {
    size_t at = hash_keyed(trace, span) & m->mask;
    for (; m->slots[at]; at = (at + 1) & m->mask) {
        const struct query_id_row *row = &m->in->rows[m->slots[at] - 1];
        if (row->trace == trace && row->span_id == span) break;
    }
    return &m->slots[at];
}

static uint32_t parent_of(struct mender *m, uint32_t i) {
    const struct query_id_row *row = &m->in->rows[i];
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
    const struct query_id_row *row = &m->in->rows[i];
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
            if (root == NONE && !m->in->rows[v[k]].parent_id) root = m->tree.n;
            put_from(m, v[k]);
        }
    for (uint32_t k = 0; k < n; k++)
        if (m->place[v[k]] == NONE) put_from(m, v[k]);
    m->tree.root = root == NONE ? 0 : root;
}

/* ---- what it comes to -------------------------------------------------------------------------------------------- */

static void note_clocks(struct mender *m, uint32_t trace) {
    for (uint32_t i = 0; i < m->tree.service_count; i++) {
        const struct tree_clock *c = &m->tree.clocks[i];
        if (!c->ahead_ns) continue;
        if (m->clock_count == CORRELATION_CLOCKS_MAX)
            m->clocks_left_out++;
        else
            m->clocks[m->clock_count++] =
                (struct correlation_clock){trace, m->in->texts[m->names[i]], c->ahead_ns, c->calls, c->against};
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
    while (n < all && v[n] < m->in->span_count) n++; /* log records come after them */
    if (n < 2) return NULL;
    make_tree(m, v, n);
    TRY(trace_tree_correct(m->a, &m->tree));
    if (m->tree.is_corrected) {
        m->any = true;
        note_clocks(m, trace);
        for (uint32_t k = 0; k < n; k++) {
            const struct tree_span *s = &m->tree.spans[m->place[v[k]]];
            m->skew[v[k]] = s->stored_start - s->start;
        }
        for (uint32_t k = n; k < all; k++) m->skew[v[k]] = skew_of_log(m, &m->in->rows[v[k]]);
    }
    for (uint32_t i = 0; i < m->tree.service_count; i++) m->number[m->names[i]] = NONE;
    return NULL;
}

/* The traces with the first start and the last end of their rows by right times. */
static const struct query_correlated_trace *mend_ends(struct mender *m) {
    const struct query_correlation_answer *in = m->in;
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
    struct mender m = {.a = a, .in = &d->rows};
    d->traces = d->rows.traces;
    TRY(make_room(&m));
    order_by_trace(&m);
    for (uint32_t i = 0; i < d->rows.span_count; i++) { /* by time: the earlier of an id counts */
        uint32_t *slot = d->rows.rows[i].trace == QUERY_NO_TRACE
                             ? NULL
                             : slot_of(&m, d->rows.rows[i].trace, d->rows.rows[i].span_id);
        if (slot && !*slot) *slot = i + 1;
    }
    for (uint32_t t = 0; t < d->rows.trace_count; t++) TRY(mend_trace(&m, t));
    if (!m.any) return NULL;
    d->traces = mend_ends(&m);
    if (!d->traces) return arena_err(a);
    d->skew = m.skew;
    d->clocks = m.clocks;
    d->clock_count = m.clock_count;
    d->clocks_left_out = m.clocks_left_out;
    return NULL;
}
