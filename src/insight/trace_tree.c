#include "insight/trace_tree.h"

#include "base/map.h"

static int64_t clamp_time(uint64_t wire) { return wire > INT64_MAX ? INT64_MAX : (int64_t)wire; }

struct namer {
    struct trace_tree *t;
    struct strings services, calls;
    struct buf key;
};

/* Services come from one text each of the query, so most are found by their address. */
static uint32_t name_service(struct namer *n, struct str service) {
    uint32_t known = n->services.n, at = strings_intern(&n->services, service);
    if (at == known) n->t->services[at] = service;
    return at;
}

static uint32_t name_call(struct namer *n, uint32_t service, struct str operation) {
    buf_clear(&n->key);
    buf_add(&n->key, &service, sizeof service);
    buf_add_str(&n->key, operation);
    uint32_t known = n->calls.n, at = strings_intern(&n->calls, buf_str(&n->key));
    if (at == known) n->t->calls[at] = (struct tree_call){service, operation};
    return at;
}

/* The parent of a row is the last one above it. */
static void read_spans(struct namer *n, const struct query_trace_answer *q, uint32_t *above) {
    const struct batch *b = &q->batch;
    for (uint32_t i = 0; i < n->t->n; i++) {
        const struct query_span *s = &q->spans[i];
        int64_t start = clamp_time(batch_u64(b, SET_ROWS, FIELD_TIME, s->row));
        int64_t duration = (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, s->row);
        uint32_t service = name_service(n, s->service);
        above[s->depth] = i;
        n->t->spans[i] = (struct tree_span){.id = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, s->row),
                                            .parent = s->depth ? above[s->depth - 1] : TREE_NONE,
                                            .depth = s->depth,
                                            .service = service,
                                            .call = name_call(n, service, batch_text(b, SET_ROWS, FIELD_NAME, s->row)),
                                            .kind = batch_u32(b, SET_ROWS, FIELD_KIND, s->row),
                                            .failed = batch_u32(b, SET_ROWS, FIELD_STATUS, s->row) == 2,
                                            .stored_start = start,
                                            .start = start,
                                            .duration = duration < 0 ? 0 : MIN(duration, INT64_MAX - start)};
    }
    n->t->service_count = n->services.n;
    n->t->call_count = n->calls.n;
}

static uint32_t find_root(const struct trace_tree *t, const struct query_trace_answer *q) {
    for (uint32_t i = 0; i < t->n; i++)
        if (t->spans[i].parent == TREE_NONE && !q->spans[i].parent_missing) return i;
    return 0;
}

err trace_tree_make(struct arena *a, const struct query_trace_answer *q, struct trace_tree *out) {
    struct trace_tree t = {.n = (uint32_t)q->n};
    struct namer n = {.t = &t};
    uint32_t *above = arena_array(a, uint32_t, q->n + 1);
    assert(q->n > 0);
    t.spans = arena_array(a, struct tree_span, q->n);
    t.services = arena_array(a, struct str, q->n);
    t.calls = arena_array(a, struct tree_call, q->n);
    if (!above || !t.spans || !t.services || !t.calls) return arena_err(a);
    strings_init(&n.services);
    strings_init(&n.calls);
    buf_init(&n.key, SIZE_MAX / 2); /* of texts that are in memory */
    read_spans(&n, q, above);
    strings_done(&n.services);
    strings_done(&n.calls);
    buf_done(&n.key);
    t.root = find_root(&t, q);
    TRY(trace_tree_correct(a, &t));
    *out = t;
    return NULL;
}
