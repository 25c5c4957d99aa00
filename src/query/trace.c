/* One trace as a tree: parents before children, depth, self time, what is missing. */
#include "query/query_priv.h"

#include "base/hash.h"

enum { NONE = UINT32_MAX };

/* Working arrays, one element a unique span, in order of start. */
struct tree {
    const struct batch *b;
    uint32_t n;
    const uint32_t *rows;
    uint32_t *parent, *first_child, *next_sibling, *children;
    uint32_t *slots; /* span id → index + 1, the earliest of an id */
    size_t slot_mask;
    struct query_span *out; /* in order of visit */
    uint32_t out_n;
    uint32_t *out_at; /* index → place in out, NONE before */
    uint32_t *stack;
};

static uint64_t span_id(const struct tree *t, uint32_t i) {
    return batch_u64(t->b, SET_ROWS, FIELD_SPAN_ID, t->rows[i]);
}
static uint64_t parent_id(const struct tree *t, uint32_t i) {
    return batch_u64(t->b, SET_ROWS, FIELD_PARENT_ID, t->rows[i]);
}
static int64_t start_of(const struct tree *t, uint32_t i) {
    return time_of(batch_u64(t->b, SET_ROWS, FIELD_TIME, t->rows[i]));
}
static int64_t duration_of(const struct tree *t, uint32_t i) {
    int64_t d = (int64_t)batch_u64(t->b, SET_ROWS, FIELD_DURATION, t->rows[i]);
    return d < 0 ? 0 : MIN(d, INT64_MAX - start_of(t, i));
}

static uint32_t find_span(const struct tree *t, uint64_t id) {
    for (size_t at = hash_keyed(id, 0) & t->slot_mask;; at = (at + 1) & t->slot_mask) {
        if (!t->slots[at]) return NONE;
        if (span_id(t, t->slots[at] - 1) == id) return t->slots[at] - 1;
    }
}

static void index_spans(struct tree *t) {
    for (uint32_t i = 0; i < t->n; i++) {
        uint64_t id = span_id(t, i);
        size_t at = hash_keyed(id, 0) & t->slot_mask;
        while (t->slots[at] && span_id(t, t->slots[at] - 1) != id) at = (at + 1) & t->slot_mask;
        if (!t->slots[at]) t->slots[at] = i + 1;
    }
}

static void link_spans(struct tree *t) {
    for (uint32_t i = t->n; i-- > 0;) { /* from the last, so that lists of children are by start */
        uint32_t parent = parent_id(t, i) ? find_span(t, parent_id(t, i)) : NONE;
        if (parent == i) parent = NONE;
        t->parent[i] = parent;
        if (parent == NONE) continue;
        t->next_sibling[i] = t->first_child[parent];
        t->first_child[parent] = i;
        t->children[parent]++;
    }
}

/* Cuts a ring open: `i` is no longer its parent's child. */
static void unlink_span(struct tree *t, uint32_t i) {
    uint32_t *at = &t->first_child[t->parent[i]];
    while (*at != i) at = &t->next_sibling[*at];
    *at = t->next_sibling[i];
    t->children[t->parent[i]]--;
    t->next_sibling[i] = NONE;
}

/* Visits what hangs below `root`, depth first. The stack holds at most one span a level. */
static void visit(struct tree *t, uint32_t root) {
    uint32_t depth = 0, i = root;
    for (;;) {
        t->out_at[i] = t->out_n;
        t->out[t->out_n++] = (struct query_span){.row = t->rows[i],
                                                 .depth = depth,
                                                 .children = t->children[i],
                                                 .parent_missing = t->parent[i] == NONE && parent_id(t, i) &&
                                                                   parent_id(t, i) != span_id(t, i)};
        t->stack[depth] = i;
        uint32_t next = t->first_child[i];
        if (next != NONE) {
            depth++;
            i = next;
            continue;
        }
        while (depth > 0) {
            next = t->next_sibling[t->stack[depth]];
            if (next != NONE) break;
            depth--;
        }
        if (depth == 0) return;
        i = next;
    }
}

/* What of [start, end) no child covers; children are by start. */
static int64_t self_time(const struct tree *t, uint32_t i) {
    int64_t from = start_of(t, i), end = from + duration_of(t, i), self = 0;
    for (uint32_t c = t->first_child[i]; c != NONE; c = t->next_sibling[c]) {
        int64_t child_start = MIN(start_of(t, c), end), child_end = MIN(start_of(t, c) + duration_of(t, c), end);
        if (child_start > from) self += child_start - from;
        from = MAX(from, child_end);
    }
    return self + (end - from);
}

static uint32_t *filled(struct arena *a, uint32_t n, uint32_t value) {
    uint32_t *p = arena_alloc(a, (size_t)(n + 1) * sizeof *p);
    for (uint32_t i = 0; p && i < n; i++) p[i] = value;
    return p;
}

static err tree_make(struct query *q, struct tree *t, struct arena *scratch) {
    t->slot_mask = 16;
    while (t->slot_mask < (size_t)t->n * 2) t->slot_mask *= 2;
    t->slots = arena_array(scratch, uint32_t, t->slot_mask);
    t->slot_mask--;
    t->parent = filled(scratch, t->n, NONE);
    t->first_child = filled(scratch, t->n, NONE);
    t->next_sibling = filled(scratch, t->n, NONE);
    t->children = filled(scratch, t->n, 0);
    t->out_at = filled(scratch, t->n, NONE);
    t->stack = filled(scratch, t->n, 0);
    t->out = arena_array(&q->arena, struct query_span, t->n);
    TRY(arena_err(scratch));
    TRY(query_settle(q));
    index_spans(t);
    link_spans(t);
    for (uint32_t i = 0; i < t->n; i++)
        if (t->parent[i] == NONE) visit(t, i);
    for (uint32_t i = 0; i < t->n; i++) { /* rings have no root: enter each at its earliest span */
        if (t->out_at[i] != NONE) continue;
        unlink_span(t, i);
        visit(t, i);
    }
    return query_check(q);
}

static err finish(struct query *q, struct tree *t, struct arena *scratch, struct query_trace_answer *out) {
    uint32_t resources = t->b->set_rows[SET_RESOURCES];
    struct str *services = arena_array(scratch, struct str, resources + 1);
    uint64_t *missing = arena_array(&q->arena, uint64_t, t->n);
    if (!services) return arena_err(scratch);
    if (!missing) return arena_err(&q->arena);
    for (uint32_t i = 0; i < t->n; i++) {
        struct query_span *span = &t->out[t->out_at[i]];
        uint32_t resource = batch_u32(t->b, SET_ROWS, FIELD_RESOURCE, t->rows[i]);
        if (!services[resource].p) services[resource] = query_keep(q, query_resource_service(t->b, resource, scratch));
        span->service = services[resource];
        span->self_time = self_time(t, i);
        if (!span->parent_missing) continue;
        uint64_t parent = parent_id(t, i);
        size_t k = 0;
        while (k < out->missing_count && missing[k] != parent) k++;
        if (k == out->missing_count && k < QUERY_MISSING_MAX) missing[out->missing_count++] = parent;
    }
    out->missing = missing;
    out->spans = t->out;
    out->n = t->n;
    return query_settle(q);
}

static err answer(struct query *q, struct arena *scratch, struct query_trace_answer *out) {
    struct tree t = {.b = &out->batch};
    uint32_t *rows;
    TRY(trace_unique_rows(q, &out->batch, scratch, &rows, &t.n));
    t.rows = rows;
    out->duplicates = MIN(out->batch.rows, (uint32_t)QUERY_SPANS_MAX) - t.n;
    TRY(tree_make(q, &t, scratch));
    TRY(finish(q, &t, scratch, out));
    return trace_summarize(q, &out->batch, NULL, scratch, &out->summary);
}

static err trace_of(struct query *q, const unsigned char id[16], __typeof__(trace_load) *load,
                    struct query_trace_answer *out) {
    struct query_trace_answer made = {0};
    struct batch_blob *blob;
    TRY(load(q, id, &made.batch, &blob, &made.cut));
    if (!blob) return err_new(ERR_NOT_FOUND, "no span of this trace is stored");
    TRY(query_hold_blob(q, blob));
    AUTO_ARENA struct arena scratch;
    arena_init(&scratch, q->options.memory_max_bytes);
    TRY(answer(q, &scratch, &made));
    *out = made;
    return NULL;
}

err query_trace(struct query *q, const unsigned char id[16], struct query_trace_answer *out) {
    return trace_of(q, id, trace_load, out);
}

err query_trace_bare(struct query *q, const unsigned char id[16], struct query_trace_answer *out) {
    return trace_of(q, id, trace_load_bare, out);
}
