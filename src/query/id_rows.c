#include "query/id_rows.h"

#include "base/hash.h"
#include "query/query_priv.h"

enum { NONE = UINT32_MAX, KIND_SERVER = 2, KIND_PRODUCER = 4, KIND_CONSUMER = 5 };

struct resolving {
    struct query_id_row *rows;
    size_t n;
    const struct str *texts;
    uint32_t *slots; /* (trace, span id) → row + 1 */
    size_t mask;
    uint32_t *parents;  /* of rows: 0 not looked up yet, 1 there is none, else the row + 2 */
    bool *seen;         /* a walk came by */
    uint32_t *earliest; /* per trace: the row with an id of its own, + 1 */
};

/* Where the span stands, or would. */
static size_t slot_of(const struct resolving *r, uint32_t trace, uint64_t span) {
    size_t at = hash_keyed(trace, span) & r->mask;
    for (; r->slots[at]; at = (at + 1) & r->mask) {
        const struct query_id_row *row = &r->rows[r->slots[at] - 1];
        if (row->trace == trace && row->span_id == span) break;
    }
    return at;
}

static uint32_t find_span(const struct resolving *r, uint32_t trace, uint64_t span) {
    if (!span || trace == QUERY_NO_TRACE) return NONE;
    uint32_t found = r->slots[slot_of(r, trace, span)];
    return found ? found - 1 : NONE;
}

static void index_spans(struct resolving *r) {
    for (uint32_t i = 0; i < r->n; i++) {
        const struct query_id_row *row = &r->rows[i];
        if (row->signal != SIGNAL_SPANS || row->trace == QUERY_NO_TRACE) continue;
        size_t at = slot_of(r, row->trace, row->span_id);
        if (!r->slots[at] || row->time < r->rows[r->slots[at] - 1].time) r->slots[at] = i + 1;
    }
}

static bool is_earlier(const struct resolving *r, const struct query_id_row *a, const struct query_id_row *b) {
    if (a->time != b->time) return a->time < b->time;
    if (a->signal != b->signal) return a->signal < b->signal;
    return a->id != b->id && str_compare(r->texts[a->id], r->texts[b->id]) < 0;
}

static void take_own(struct resolving *r) {
    for (uint32_t i = 0; i < r->n; i++) {
        struct query_id_row *row = &r->rows[i];
        row->from = row->id == QUERY_NO_ID ? QUERY_ID_NONE : QUERY_ID_OWN;
        if (!row->from || row->trace == QUERY_NO_TRACE) continue;
        uint32_t *earliest = &r->earliest[row->trace];
        if (!*earliest || is_earlier(r, row, &r->rows[*earliest - 1])) *earliest = i + 1;
    }
}

static uint32_t parent_of(const struct resolving *r, uint32_t i) {
    if (!r->parents[i]) r->parents[i] = find_span(r, r->rows[i].trace, r->rows[i].parent_id) + 2;
    return r->parents[i] - 2;
}

/* Up to the nearest span with an id, and down again, so that nobody walks there twice. */
static void take_ancestor(struct resolving *r, uint32_t i) {
    uint32_t at = i;
    while (at != NONE && r->rows[at].id == QUERY_NO_ID && !r->seen[at]) {
        r->seen[at] = true;
        at = parent_of(r, at);
    }
    if (at == NONE || r->rows[at].id == QUERY_NO_ID) return;
    uint32_t id = r->rows[at].id;
    for (uint32_t down = i; down != at; down = parent_of(r, down)) {
        r->rows[down].id = id;
        r->rows[down].from = QUERY_ID_ANCESTOR;
    }
}

static void take_others(struct resolving *r) {
    for (uint32_t i = 0; i < r->n; i++)
        if (r->rows[i].signal == SIGNAL_SPANS && r->rows[i].id == QUERY_NO_ID) take_ancestor(r, i);
    for (uint32_t i = 0; i < r->n; i++) {
        struct query_id_row *row = &r->rows[i];
        if (row->id != QUERY_NO_ID || row->trace == QUERY_NO_TRACE) continue;
        uint32_t span = row->signal == SIGNAL_LOGS ? find_span(r, row->trace, row->span_id) : NONE;
        if (span == NONE || r->rows[span].from == QUERY_ID_NONE || r->rows[span].from == QUERY_ID_TRACE) continue;
        row->id = r->rows[span].id;
        row->from = QUERY_ID_ANCESTOR;
    }
    for (uint32_t i = 0; i < r->n; i++) {
        struct query_id_row *row = &r->rows[i];
        if (row->id != QUERY_NO_ID || row->trace == QUERY_NO_TRACE || !r->earliest[row->trace]) continue;
        row->id = r->rows[r->earliest[row->trace] - 1].id;
        row->from = QUERY_ID_TRACE;
    }
}

static int64_t end_of(const struct query_id_row *row) {
    int64_t end;
    return __builtin_add_overflow(row->time, row->duration, &end) ? INT64_MAX : end;
}

/* Times and ends are 0 or more. */
static bool is_within(const struct query_id_row *served, const struct query_id_row *caller) {
    return caller->time - served->time < QUERY_CLOCK_LEAST_NS && end_of(served) - end_of(caller) < QUERY_CLOCK_LEAST_NS;
}

static void find_apart(const struct resolving *r, bool *apart) {
    for (uint32_t i = 0; i < r->n; i++) {
        const struct query_id_row *row = &r->rows[i];
        if (row->signal != SIGNAL_SPANS || row->kind != KIND_SERVER || row->trace == QUERY_NO_TRACE ||
            apart[row->trace])
            continue;
        uint32_t parent = parent_of(r, i);
        const struct query_id_row *caller = parent == NONE ? row : &r->rows[parent];
        apart[row->trace] = caller->service != row->service && caller->kind != KIND_PRODUCER &&
                            caller->kind != KIND_CONSUMER && !is_within(row, caller);
    }
}

err query_id_rows_resolve(struct query *q, struct query_id_row *rows, size_t n, uint32_t traces,
                          const struct str *texts, bool *apart) {
    struct arena *a = &q->arena;
    struct resolving r = {.rows = rows, .n = n, .texts = texts, .mask = 16};
    while (r.mask < 2 * n) r.mask *= 2;
    r.slots = arena_zero(a, r.mask * sizeof *r.slots);
    r.parents = arena_zero(a, (n + 1) * sizeof *r.parents);
    r.seen = arena_zero(a, (n + 1) * sizeof *r.seen);
    r.earliest = arena_zero(a, ((size_t)traces + 1) * sizeof *r.earliest);
    if (!r.slots || !r.parents || !r.seen || !r.earliest) return arena_err(a);
    r.mask--;
    index_spans(&r);
    take_own(&r);
    take_others(&r);
    if (apart) find_apart(&r, apart);
    return query_settle(q);
}
