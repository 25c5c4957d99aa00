/* Who calls whom: spans joined with their parents over one range. Two scans: the first notes the service of every span, the
 * second looks up the parent of every span. */
#include "query/edges.h"
#include "query/query_priv.h"

#include "base/arena.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"
#include "signal/batch_build.h"

#include <stdlib.h>

#define COUNTED ((uint64_t)1 << 63) /* in a slot: the span's call was counted */
enum { SPANS_MAX = 4000000, EDGES_MAX = 10000, SERVICES_MAX = 10000 };

/* Span → number of its service, by 64 bits of hash of trace and span id: one in 2 million full maps takes a stranger for a parent. */
struct span_map {
    struct {
        uint64_t key;     /* 0: free */
        uint64_t service; /* and COUNTED */
    } * slots;
    size_t n, capacity;
};

struct edge {
    uint32_t parent, child;
    uint64_t calls, errors;
};

struct edges {
    struct query *q;
    struct span_map spans;
    struct strings services, pairs; /* a pair is two service numbers as bytes: its number is that of its edge */
    VEC(struct edge) edges;
    bool cut;
};

static uint64_t span_key(const unsigned char *trace, uint64_t span) {
    unsigned char bytes[24];
    memcpy(bytes, trace, 16);
    memcpy(bytes + 16, &span, 8);
    return hash_fast(bytes, sizeof bytes) | 1;
}

static size_t span_slot(const struct span_map *m, uint64_t key) {
    size_t at = key & (m->capacity - 1);
    while (m->slots[at].key && m->slots[at].key != key) at = (at + 1) & (m->capacity - 1);
    return at;
}

/* Room for one more: what it will take is charged before it is taken. */
static err span_map_grow(struct query *q, struct span_map *m) {
    if (m->n * 2 < m->capacity) return NULL;
    struct span_map bigger = {.n = m->n, .capacity = m->capacity ? m->capacity * 2 : 1024};
    TRY(query_charge(q, (bigger.capacity - m->capacity) * sizeof *m->slots));
    bigger.slots = mem_grow(NULL, bigger.capacity * sizeof *m->slots);
    memset(bigger.slots, 0, bigger.capacity * sizeof *m->slots);
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slots[i].key) bigger.slots[span_slot(&bigger, m->slots[i].key)] = m->slots[i];
    mem_free(m->slots);
    *m = bigger;
    return NULL;
}

/* The number of a service; SERVICES_MAX is all that came later. */
static uint32_t service_number(struct edges *e, struct str name) {
    uint32_t found;
    if (strings_find(&e->services, name, &found)) return found;
    return e->services.n < SERVICES_MAX ? strings_intern(&e->services, name) : SERVICES_MAX;
}

enum { COLUMN_TRACE, COLUMN_SPAN, COLUMN_SERVICE, COLUMN_PARENT, COLUMN_STATUS, COLUMNS };
static const struct column_ref edge_columns[COLUMNS] = {
    [COLUMN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),      [COLUMN_SPAN] = FIELD_COLUMN(FIELD_SPAN_ID),
    [COLUMN_SERVICE] = RESOURCE_COLUMN("service.name"), [COLUMN_PARENT] = FIELD_COLUMN(FIELD_PARENT_ID),
    [COLUMN_STATUS] = FIELD_COLUMN(FIELD_STATUS),
};

static uint32_t service_of(struct edges *e, const struct vector *c, uint32_t i) {
    return service_number(e, service_or_unknown(vector_text(&c[COLUMN_SERVICE], i)));
}

static enum scan_next on_parents(void *context, const struct picked *rows, err *out_error) {
    struct edges *e = context;
    const struct vector *c = rows->chunk->columns;
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k);
        if (e->spans.n == SPANS_MAX) {
            e->cut = true;
            return SCAN_STOP;
        }
        if ((*out_error = span_map_grow(e->q, &e->spans))) return SCAN_STOP;
        uint64_t key = span_key(c[COLUMN_TRACE].id16 + 16 * (size_t)i, c[COLUMN_SPAN].u64[i]);
        size_t at = span_slot(&e->spans, key);
        e->spans.n += e->spans.slots[at].key == 0;
        e->spans.slots[at].key = key;
        e->spans.slots[at].service = service_of(e, c, i);
    }
    return SCAN_GO_ON;
}

static void count_call(struct edges *e, uint32_t parent, uint32_t child, bool failed) {
    uint32_t pair[2] = {parent, child}, number;
    struct str text = {(const char *)pair, sizeof pair};
    if (!strings_find(&e->pairs, text, &number)) {
        if (e->pairs.n == EDGES_MAX) {
            e->cut = true;
            return;
        }
        number = strings_intern(&e->pairs, text);
        *vec_push(&e->edges) = (struct edge){.parent = parent, .child = child};
    }
    e->edges.v[number].calls++;
    e->edges.v[number].errors += failed;
}

static enum scan_next on_children(void *context, const struct picked *rows, err *out_error) {
    struct edges *e = context;
    const struct vector *c = rows->chunk->columns;
    (void)out_error;
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k);
        uint64_t parent = c[COLUMN_PARENT].u64[i];
        if (parent == 0) continue;
        const unsigned char *trace = c[COLUMN_TRACE].id16 + 16 * (size_t)i;
        size_t at = span_slot(&e->spans, span_key(trace, parent));
        if (e->spans.slots[at].key == 0) continue; /* it did not arrive, or is outside the range */
        size_t own = span_slot(&e->spans, span_key(trace, c[COLUMN_SPAN].u64[i]));
        if (e->spans.slots[own].service & COUNTED) continue; /* sent again */
        e->spans.slots[own].service |= COUNTED;
        uint32_t child = service_of(e, c, i), caller = (uint32_t)e->spans.slots[at].service;
        if (child != caller) count_call(e, caller, child, c[COLUMN_STATUS].u64[i] == 2);
    }
    return SCAN_GO_ON;
}

static int by_calls(const void *x, const void *y) {
    const struct query_edge *a = x, *b = y;
    if (a->calls != b->calls) return a->calls > b->calls ? -1 : 1;
    int order = str_compare(a->parent, b->parent);
    return order ? order : str_compare(a->child, b->child);
}

static struct str service_name(struct edges *e, uint32_t number) {
    return number == SERVICES_MAX ? STR("_other") : query_keep(e->q, strings_get(&e->services, number));
}

static err edges_read(struct edges *e, struct query_edges_answer *out) {
    struct query_edge *all = arena_array(&e->q->arena, struct query_edge, e->edges.n + 1);
    if (!all) return arena_err(&e->q->arena);
    for (size_t i = 0; i < e->edges.n; i++) {
        const struct edge *edge = &e->edges.v[i];
        all[i] =
            (struct query_edge){service_name(e, edge->parent), service_name(e, edge->child), edge->calls, edge->errors};
    }
    TRY(query_settle(e->q));
    qsort(all, e->edges.n, sizeof *all, by_calls);
    *out = (struct query_edges_answer){.edges = all, .n = e->edges.n, .cut = e->cut};
    return NULL;
}

err query_edges(struct query *q, const struct query_filter *f, struct query_edges_answer *out) {
    struct matcher m;
    struct edges e = {.q = q};
    TRY(matcher_make(q, SIGNAL_SPANS, f, &m));
    strings_init(&e.services);
    strings_init(&e.pairs);
    *out = (struct query_edges_answer){0};
    err failed = span_map_grow(q, &e.spans);
    if (!failed) failed = query_scan(q, &m, edge_columns, COLUMN_PARENT, on_parents, &e);
    if (!failed) failed = query_scan(q, &m, edge_columns, COLUMNS, on_children, &e);
    if (!failed) failed = edges_read(&e, out);
    strings_done(&e.services);
    strings_done(&e.pairs);
    vec_done(&e.edges);
    mem_free(e.spans.slots);
    return failed;
}
