/* Failed spans that are apart: the nearest failed span above each, where those between did not fail. */
#include "query/failures_priv.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"
#include "query/query_priv.h"

enum { SKETCH_BITS = 1 << 20 };
enum { NOT_WALKED = UINT32_MAX - 1, TRACE_BYTES = 64 /* about what one costs in `traces` */ };
enum { COLUMN_TRACE, COLUMN_SPAN, COLUMN_PARENT, COLUMN_STATUS, COLUMNS };
static const struct column_ref columns[COLUMNS] = {[COLUMN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),
                                                   [COLUMN_SPAN] = FIELD_COLUMN(FIELD_SPAN_ID),
                                                   [COLUMN_PARENT] = FIELD_COLUMN(FIELD_PARENT_ID),
                                                   [COLUMN_STATUS] = FIELD_COLUMN(FIELD_STATUS)};

/* A span of a trace: a failed row, or one that did not fail. */
struct node {
    uint64_t span_id, parent_id;
    uint32_t trace;
    uint32_t nearest; /* the failed row that it or the nearest above it is; NOT_WALKED; FAILURE_NONE */
};
struct family {
    uint32_t bottom, top; /* a row that called no failed span, + 1; one whose caller is no failed span, + 1 */
    bool is_split;        /* more than one failed span, so that there may be one above another */
};
struct between {
    struct query *q;
    const struct failed_row *rows;
    uint32_t n;
    struct strings traces;
    VEC(struct family) families; /* of each trace */
    VEC(struct node) nodes;      /* a row each, then the others */
    uint64_t *sketch; /* a bit of each trace that is_split: most spans are of none, and cost no more than this */
    uint32_t *slots;  /* trace and span id → node + 1 */
    size_t mask;
    uint64_t charged;
    bool is_cut;
};

static err charge(struct between *b, uint64_t bytes) {
    b->charged += bytes;
    return query_charge(b->q, bytes);
}

static uint32_t find_node(const struct between *b, uint32_t trace, uint64_t span_id, size_t *out_slot) {
    size_t at = hash_keyed(span_id, trace) & b->mask;
    for (; b->slots[at]; at = (at + 1) & b->mask) {
        const struct node *other = &b->nodes.v[b->slots[at] - 1];
        if (other->span_id == span_id && other->trace == trace) break;
    }
    if (out_slot) *out_slot = at;
    return b->slots[at] ? b->slots[at] - 1 : FAILURE_NONE;
}

/* Of nodes that share an id the first stands for all: a failed one before others. */
static err index_nodes(struct between *b) {
    size_t size = 64;
    while (size < b->nodes.n * 2) size *= 2;
    mem_free(b->slots);
    b->slots = NULL;
    TRY(charge(b, size * sizeof *b->slots));
    b->slots = mem_new_array(uint32_t, size);
    b->mask = size - 1;
    for (uint32_t i = 0; i < b->nodes.n; i++) {
        size_t at;
        if (find_node(b, b->nodes.v[i].trace, b->nodes.v[i].span_id, &at) == FAILURE_NONE) b->slots[at] = i + 1;
    }
    return NULL;
}

static err take_rows(struct between *b) {
    TRY(charge(b, (uint64_t)b->n * (sizeof *b->nodes.v + sizeof *b->families.v + TRACE_BYTES)));
    vec_reserve(&b->nodes, b->n);
    for (uint32_t i = 0; i < b->n; i++) {
        const struct failed_row *r = &b->rows[i];
        uint32_t trace = strings_intern(&b->traces, str_span(r->trace_id, 16));
        if (trace == b->families.n) *vec_push(&b->families) = (struct family){0};
        *vec_push(&b->nodes) = (struct node){r->span_id, r->parent_id, trace, i};
    }
    return index_nodes(b);
}

/* True of a row whose caller is there, or should be, and is no failed span. */
static bool is_open(const struct between *b, uint32_t i) {
    const struct node *r = &b->nodes.v[i];
    return r->parent_id && find_node(b, r->trace, r->parent_id, NULL) == FAILURE_NONE;
}

/* Which traces may have a failed span far above another; false: none, and no other span need be looked at. */
static bool choose_traces(struct between *b, bool *called_failed) {
    bool any = false;
    for (uint32_t i = 0; i < b->n; i++) {
        uint32_t parent = find_node(b, b->nodes.v[i].trace, b->nodes.v[i].parent_id, NULL);
        if (parent != FAILURE_NONE) called_failed[parent] = true;
    }
    for (uint32_t i = 0; i < b->n; i++) {
        struct family *f = &b->families.v[b->nodes.v[i].trace];
        bool is_bottom = !called_failed[i], is_top = is_open(b, i);
        f->is_split = f->is_split || (is_bottom && f->top) || (is_top && f->bottom);
        if (is_bottom) f->bottom = i + 1;
        if (is_top) f->top = i + 1;
        any = any || f->is_split;
    }
    return any;
}

static bool sketch_bit(struct between *b, const void *trace_id, bool add) {
    uint64_t id[2];
    memcpy(id, trace_id, sizeof id);
    uint64_t at = hash_keyed(id[0], id[1]) & (SKETCH_BITS - 1), bit = (uint64_t)1 << at % 64;
    if (add) b->sketch[at / 64] |= bit;
    return b->sketch[at / 64] & bit;
}

static err draw_sketch(struct between *b) {
    TRY(charge(b, SKETCH_BITS / 8));
    b->sketch = mem_new_array(uint64_t, SKETCH_BITS / 64);
    for (uint32_t i = 0; i < b->n; i++)
        if (b->families.v[b->nodes.v[i].trace].is_split) sketch_bit(b, b->rows[i].trace_id, true);
    return NULL;
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct between *b = context;
    const struct vector *c = rows->chunk->columns;
    for (uint32_t k = 0; k < rows->n; k++) {
        uint32_t i = picked_at(rows, k), trace;
        if (c[COLUMN_STATUS].u64[i] == FAILURE_STATUS || !c[COLUMN_PARENT].u64[i]) continue;
        if (!sketch_bit(b, c[COLUMN_TRACE].id16 + 16 * (size_t)i, false)) continue;
        if (!strings_find(&b->traces, str_span(c[COLUMN_TRACE].id16 + 16 * (size_t)i, 16), &trace)) continue;
        if (!b->families.v[trace].is_split) continue;
        b->is_cut = b->nodes.n - b->n == QUERY_FAILURES_BETWEEN;
        if (b->is_cut) return SCAN_STOP;
        if (b->nodes.n == b->nodes.capacity && (*out_error = charge(b, (b->nodes.n / 2 + 64) * sizeof(struct node))))
            return SCAN_STOP;
        *vec_push(&b->nodes) = (struct node){c[COLUMN_SPAN].u64[i], c[COLUMN_PARENT].u64[i], trace, NOT_WALKED};
    }
    return SCAN_GO_ON;
}

/* Up to a failed span, and down again, so that nobody walks there twice. A ring ends where it was entered. */
static uint32_t walk(struct between *b, uint32_t trace, uint64_t parent_id) {
    uint32_t first = find_node(b, trace, parent_id, NULL), at = first, found = FAILURE_NONE;
    while (at != FAILURE_NONE && b->nodes.v[at].nearest == NOT_WALKED) {
        b->nodes.v[at].nearest = FAILURE_NONE;
        at = find_node(b, trace, b->nodes.v[at].parent_id, NULL);
    }
    if (at != FAILURE_NONE) found = b->nodes.v[at].nearest;
    for (uint32_t down = first; found != FAILURE_NONE && down != at;) {
        b->nodes.v[down].nearest = found;
        down = find_node(b, trace, b->nodes.v[down].parent_id, NULL);
    }
    return found;
}

static err find_callers(struct between *b, const struct query_filter *f, uint32_t *callers, uint64_t *out_unseen) {
    struct query_filter any = *f;
    struct matcher m;
    any.status = -1;
    TRY(draw_sketch(b));
    TRY(matcher_make(b->q, SIGNAL_SPANS, &any, &m));
    TRY(query_scan(b->q, &m, columns, COLUMNS, on_rows, b));
    TRY(index_nodes(b));
    for (uint32_t i = 0; i < b->n; i++) {
        const struct node *r = &b->nodes.v[i];
        if (!r->parent_id || !b->families.v[r->trace].is_split) continue;
        uint32_t found = walk(b, r->trace, r->parent_id);
        if (found == FAILURE_NONE)
            *out_unseen += b->is_cut;
        else if (b->rows[found].span_id != r->parent_id && b->rows[found].span_id != r->span_id)
            callers[i] = found;
    }
    return query_check(b->q);
}

static err find_all(struct between *b, const struct query_filter *f, uint32_t *callers, uint64_t *out_unseen) {
    if (b->n < 2) return NULL;
    TRY(take_rows(b));
    TRY(charge(b, b->n));
    bool *called_failed = mem_new_array(bool, b->n);
    bool any = choose_traces(b, called_failed);
    mem_free(called_failed);
    return any ? find_callers(b, f, callers, out_unseen) : NULL;
}

err failures_between(struct query *q, const struct query_filter *f, const struct failed_row *rows, uint32_t n,
                     uint32_t *callers, uint64_t *out_unseen) {
    struct between b = {.q = q, .rows = rows, .n = n};
    uint64_t unseen = 0;
    strings_init(&b.traces);
    for (uint32_t i = 0; i < n; i++) callers[i] = FAILURE_NONE;
    err e = find_all(&b, f, callers, &unseen);
    strings_done(&b.traces);
    vec_done(&b.families);
    vec_done(&b.nodes);
    mem_free(b.sketch);
    mem_free(b.slots);
    query_discharge(q, b.charged);
    if (!e) *out_unseen = unseen;
    return e;
}
