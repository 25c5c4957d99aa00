/* How far the clocks of a trace's services are apart (trace_tree.h says by which rule). */
#include "insight/trace_tree.h"

#include <stdlib.h>

enum { KIND_SERVER = 2, KIND_PRODUCER = 4, KIND_CONSUMER = 5, ROUNDS_MAX = 8 };

/* What one call allows: by how much the clock of `b` may be ahead of that of `a`, which is the lower number. */
struct bound {
    uint32_t a, b, order; /* order: of the first such call in the trace */
    bool is_loose;        /* its server worked longer than its caller */
    int64_t low, high;
};

/* Two services and what their calls come to. */
struct tie {
    uint32_t a, b, order, calls, against;
    int64_t ahead; /* b of a */
};

static bool tells(const struct tree_span *parent, const struct tree_span *s) {
    return s->kind == KIND_SERVER && parent->service != s->service && parent->kind != KIND_PRODUCER &&
           parent->kind != KIND_CONSUMER;
}

static struct bound bound_of(const struct tree_span *parent, const struct tree_span *s, uint32_t order) {
    int64_t lead = s->stored_start - parent->stored_start; /* both are 0 or more */
    struct bound b = {.a = parent->service,
                      .b = s->service,
                      .order = order,
                      .is_loose = s->duration > parent->duration,
                      .low = lead + s->duration - parent->duration,
                      .high = lead};
    if (b.is_loose) b.low = lead - parent->duration; /* it begins while its caller is there */
    if (b.a < b.b) return b;
    return (struct bound){b.b, b.a, order, b.is_loose, -b.high, -b.low};
}

static int by_pair(const void *x, const void *y) {
    const struct bound *a = x, *b = y;
    if (a->a != b->a) return a->a < b->a ? -1 : 1;
    if (a->b != b->b) return a->b < b->b ? -1 : 1;
    if (a->is_loose != b->is_loose) return a->is_loose ? 1 : -1;
    if (a->low != b->low) return a->low < b->low ? -1 : 1;
    return (a->order > b->order) - (a->order < b->order);
}

static int by_number(const void *x, const void *y) {
    int64_t a = *(const int64_t *)x, b = *(const int64_t *)y;
    return (a > b) - (a < b);
}

static int64_t distance(int64_t low, int64_t high) { return low > 0 ? low : high < 0 ? -high : 0; }

/* Bounds are by `low`. The stretch that most of them allow; of several the one nearest to 0. `highs` has room for n. */
static uint32_t most_allowed(const struct bound *v, uint32_t n, int64_t *highs, int64_t *low, int64_t *high) {
    uint32_t open = 0, closed = 0, best = 0;
    for (uint32_t i = 0; i < n; i++) highs[i] = v[i].high;
    qsort(highs, n, sizeof *highs, by_number);
    for (open = 0; open < n;) {
        int64_t from = v[open].low;
        while (open < n && v[open].low == from) open++;
        while (highs[closed] < from) closed++;
        uint32_t count = open - closed;
        if (count < best || (count == best && distance(from, highs[closed]) >= distance(*low, *high))) continue;
        best = count;
        *low = from;
        *high = highs[closed];
    }
    return best;
}

static struct tie tie_of(const struct bound *v, uint32_t n, int64_t *highs) {
    uint32_t used = 0;
    int64_t low = 0, high = 0;
    struct tie t = {.a = v[0].a, .b = v[0].b, .order = UINT32_MAX};
    while (used < n && !v[used].is_loose) used++;
    bool loose = used == 0;
    if (loose) used = n;
    t.calls = most_allowed(v, used, highs, &low, &high);
    t.against = used - t.calls;
    for (uint32_t i = 0; i < n; i++) t.order = MIN(t.order, v[i].order);
    if (distance(low, high) < SKEW_LEAST_NS) return t;
    t.ahead = !loose ? low + (high - low) / 2 : low > 0 ? low : high;
    return t;
}

static int by_order(const void *x, const void *y) {
    const struct tie *a = x, *b = y;
    return (a->order > b->order) - (a->order < b->order);
}

/* Ties are by their first call, and parents come before children: one round does but for parts that hang together otherwise. */
static void spread(struct trace_tree *t, const struct tie *ties, uint32_t n) {
    bool more = true;
    t->clocks[t->spans[t->root].service].is_known = true;
    for (int round = 0; more && round < ROUNDS_MAX; round++) {
        more = false;
        for (uint32_t i = 0; i < n; i++) {
            struct tree_clock *a = &t->clocks[ties[i].a], *b = &t->clocks[ties[i].b];
            if (a->is_known == b->is_known) continue;
            struct tree_clock *known = a->is_known ? a : b, *other = a->is_known ? b : a;
            int64_t ahead = a->is_known ? ties[i].ahead : -ties[i].ahead;
            *other = (struct tree_clock){.is_known = true, .calls = ties[i].calls, .against = ties[i].against};
            if (__builtin_add_overflow(known->ahead_ns, ahead, &other->ahead_ns)) other->ahead_ns = 0;
            more = true;
        }
    }
}

static void move_spans(struct trace_tree *t) {
    t->is_corrected = false;
    for (uint32_t i = 0; i < t->n; i++) {
        struct tree_span *s = &t->spans[i];
        int64_t ahead = t->clocks[s->service].ahead_ns;
        t->is_corrected = t->is_corrected || ahead;
        if (__builtin_sub_overflow(s->stored_start, ahead, &s->start)) s->start = s->stored_start;
        s->start = MIN(MAX(s->start, 0), INT64_MAX - s->duration);
    }
}

err trace_tree_correct(struct arena *a, struct trace_tree *t) {
    uint32_t n = 0, ties = 0;
    struct bound *bounds = arena_array(a, struct bound, t->n + 1);
    struct tie *v = arena_array(a, struct tie, t->n + 1);
    int64_t *highs = arena_array(a, int64_t, t->n + 1);
    t->clocks = arena_array(a, struct tree_clock, t->service_count + 1);
    if (!bounds || !v || !highs || !t->clocks) return arena_err(a);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct tree_span *s = &t->spans[i];
        if (s->parent != TREE_NONE && tells(&t->spans[s->parent], s))
            bounds[n++] = bound_of(&t->spans[s->parent], s, i);
    }
    if (n) qsort(bounds, n, sizeof *bounds, by_pair);
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && bounds[end].a == bounds[i].a && bounds[end].b == bounds[i].b;) end++;
        v[ties++] = tie_of(bounds + i, end - i, highs);
    }
    if (ties) qsort(v, ties, sizeof *v, by_order);
    spread(t, v, ties);
    move_spans(t);
    return NULL;
}
