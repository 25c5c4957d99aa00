#include "insight/analysis.h"

#include "base/text.h"
#include "insight/analysis_priv.h"

#include <stdlib.h>

/* Durations may be of any size: sums stop at the greatest. */
static void add_ns(int64_t *sum, int64_t more) {
    if (__builtin_add_overflow(*sum, more, sum)) *sum = INT64_MAX;
}

/* ---- children --------------------------------------------------------------------------------------------------- */

static int by_parent_and_start(const void *x, const void *y) {
    const struct kin *a = x, *b = y;
    if (a->parent != b->parent) return a->parent < b->parent ? -1 : 1;
    if (a->start != b->start) return a->start < b->start ? -1 : 1;
    return (a->span > b->span) - (a->span < b->span);
}

err family_make(struct arena *a, const struct trace_tree *t, struct family *out) {
    struct family f = {.kin = arena_array(a, struct kin, t->n + 1), .first = arena_array(a, uint32_t, t->n + 1)};
    if (!f.kin || !f.first) return arena_err(a);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct tree_span *s = &t->spans[i];
        if (s->parent == TREE_NONE) continue;
        f.kin[f.n++] = (struct kin){s->parent, i, s->start, s->start + s->duration};
        f.first[s->parent + 1]++; /* first[t->n] is the end of all */
    }
    if (f.n) qsort(f.kin, f.n, sizeof *f.kin, by_parent_and_start);
    for (uint32_t i = 0; i < t->n; i++) f.first[i + 1] += f.first[i];
    *out = f;
    return NULL;
}

/* What of [from, to) no child covers; `gap` is told of each stretch. Children are by start. */
typedef void (*gap_fn)(void *context, uint32_t span, int64_t from, int64_t to);
static int64_t uncovered(const struct family *f, const struct trace_tree *t, uint32_t i, gap_fn gap, void *context) {
    int64_t from = t->spans[i].start, end = from + t->spans[i].duration, free = 0;
    for (uint32_t k = f->first[i]; k < f->first[i + 1]; k++) {
        int64_t child = MIN(f->kin[k].start, end);
        if (child > from) {
            free += child - from;
            if (gap) gap(context, i, from, child);
        }
        from = MAX(from, MIN(f->kin[k].end, end));
    }
    if (end > from && gap) gap(context, i, from, end);
    return free + (end - from);
}

/* ---- the critical path ------------------------------------------------------------------------------------------ */

struct window {
    uint32_t span;
    int64_t from, to;
};

static int last_end_first(const void *x, const void *y) {
    const struct kin *a = x, *b = y;
    if (a->end != b->end) return a->end > b->end ? -1 : 1;
    return (a->start > b->start) - (a->start < b->start);
}

/* Children that are waited for within the window go to `out`; what is left is the span's own. Their order in the family is lost. */
static int64_t split(struct kin *children, uint32_t n, const struct window *w, struct window *out, uint32_t *out_n) {
    int64_t cursor = w->to, own = w->to - w->from;
    for (uint32_t k = 0; k < n; k++) children[k].end = MIN(children[k].end, w->to);
    if (n > 1) qsort(children, n, sizeof *children, last_end_first);
    for (uint32_t k = 0; k < n; k++) {
        int64_t start = MAX(children[k].start, w->from), end = children[k].end;
        if (end > cursor || start >= end) continue;
        out[(*out_n)++] = (struct window){children[k].span, start, end};
        own -= end - start;
        cursor = start;
    }
    return own;
}

static int most_self_first(const void *x, const void *y) {
    const struct analysis_step *a = x, *b = y;
    if (a->self_ns != b->self_ns) return a->self_ns > b->self_ns ? -1 : 1;
    return (a->span > b->span) - (a->span < b->span);
}

/* Each span is waited for once at most: the stack holds no more than there are. Steps of all, by self time; NULL: no memory. */
static struct analysis_step *walk_path(struct arena *a, const struct trace_tree *t, const struct family *f,
                                       uint64_t *out_n) {
    struct window *stack = arena_array(a, struct window, t->n + 1);
    struct analysis_step *steps = arena_array(a, struct analysis_step, t->n + 1);
    struct kin *children = arena_array(a, struct kin, f->n + 1); /* a copy: split sorts and cuts */
    uint32_t depth = 0;
    uint64_t n = 0;
    if (!stack || !steps || !children) return NULL;
    if (f->n) memcpy(children, f->kin, f->n * sizeof *children);
    const struct tree_span *root = &t->spans[t->root];
    stack[depth++] = (struct window){t->root, root->start, root->start + root->duration};
    while (depth > 0) {
        struct window w = stack[--depth];
        uint32_t first = f->first[w.span];
        int64_t own = split(children + first, f->first[w.span + 1] - first, &w, stack, &depth);
        if (own > 0) steps[n++] = (struct analysis_step){w.span, own};
    }
    if (n) qsort(steps, n, sizeof *steps, most_self_first);
    *out_n = n;
    return steps;
}

static int by_span(const void *x, const void *y) {
    const struct analysis_step *a = x, *b = y;
    return (a->span > b->span) - (a->span < b->span);
}

/* Of those that are listed; by place in the tree, which is that of the waterfall. */
static err find_path(struct arena *a, const struct trace_tree *t, const struct family *f, int64_t *path_ns,
                     struct analysis *out) {
    struct analysis_step *steps = walk_path(a, t, f, &out->path_found);
    if (!steps) return arena_err(a);
    for (size_t i = 0; i < out->path_found; i++) path_ns[t->spans[steps[i].span].service] += steps[i].self_ns;
    out->path_n = MIN(out->path_found, (uint64_t)ANALYSIS_PATH_MAX);
    if (out->path_n) qsort(steps, out->path_n, sizeof *steps, by_span);
    out->path = steps;
    return NULL;
}

/* ---- services --------------------------------------------------------------------------------------------------- */

static int by_service_and_start(const void *x, const void *y) {
    const struct kin *a = x, *b = y; /* parent: the service */
    return by_parent_and_start(a, b);
}

static int most_own_first(const void *x, const void *y) {
    const struct analysis_service *a = x, *b = y;
    if (a->self_ns != b->self_ns) return a->self_ns > b->self_ns ? -1 : 1;
    return (a->service > b->service) - (a->service < b->service);
}

/* While at least one span of a service ran: its spans by start, as one where they touch. */
static err add_totals(struct arena *a, const struct trace_tree *t, struct analysis_service *v) {
    struct kin *spans = arena_array(a, struct kin, t->n + 1);
    if (!spans) return arena_err(a);
    for (uint32_t i = 0; i < t->n; i++)
        spans[i] = (struct kin){t->spans[i].service, i, t->spans[i].start, t->spans[i].start + t->spans[i].duration};
    qsort(spans, t->n, sizeof *spans, by_service_and_start);
    int64_t until = 0;
    for (uint32_t i = 0; i < t->n; i++) {
        if (i == 0 || spans[i].parent != spans[i - 1].parent) until = spans[i].start;
        int64_t from = MAX(spans[i].start, until);
        if (spans[i].end > from) v[spans[i].parent].total_ns += spans[i].end - from;
        until = MAX(until, spans[i].end);
    }
    return NULL;
}

static err sum_services(struct arena *a, const struct trace_tree *t, const struct family *f, const int64_t *path_ns,
                        struct analysis *out) {
    struct analysis_service *v = arena_array(a, struct analysis_service, t->service_count + 1);
    if (!v) return arena_err(a);
    for (uint32_t i = 0; i < t->n; i++) {
        struct analysis_service *s = &v[t->spans[i].service];
        s->spans++;
        s->errors += t->spans[i].failed;
        out->errors += t->spans[i].failed;
        add_ns(&s->self_ns, uncovered(f, t, i, NULL, NULL));
    }
    TRY(add_totals(a, t, v));
    for (uint32_t i = 0; i < t->service_count; i++) {
        v[i].service = i;
        v[i].path_ns = path_ns[i];
    }
    qsort(v, t->service_count, sizeof *v, most_own_first);
    out->services = v;
    out->service_n = MIN(t->service_count, (uint32_t)ANALYSIS_SERVICES_MAX);
    return NULL;
}

/* ---- failures --------------------------------------------------------------------------------------------------- */

static bool is_better_cause(const struct trace_tree *t, const uint32_t *above, uint32_t i, uint32_t best) {
    if (best == TREE_NONE) return true;
    const struct tree_span *a = &t->spans[i], *b = &t->spans[best];
    if (above[i] != above[best]) return above[i] > above[best];
    if (a->depth != b->depth) return a->depth > b->depth;
    return a->start + a->duration < b->start + b->duration;
}

static err find_cause(struct arena *a, const struct trace_tree *t, struct analysis *out) {
    uint32_t *above = arena_array(a, uint32_t, t->n + 1), *chain = arena_array(a, uint32_t, ANALYSIS_CHAIN_MAX);
    bool *failed_below = arena_array(a, bool, t->n + 1);
    out->cause = TREE_NONE;
    if (!above || !chain || !failed_below) return arena_err(a);
    for (uint32_t i = t->n; i-- > 0;) { /* children come after their parents */
        uint32_t parent = t->spans[i].parent;
        if (parent != TREE_NONE && (t->spans[i].failed || failed_below[i])) failed_below[parent] = true;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        uint32_t parent = t->spans[i].parent;
        if (parent != TREE_NONE) above[i] = above[parent] + t->spans[parent].failed;
        if (!t->spans[i].failed || failed_below[i]) continue;
        out->origins++;
        if (is_better_cause(t, above, i, out->cause)) out->cause = i;
    }
    for (uint32_t i = out->cause; i != TREE_NONE; i = t->spans[i].parent) {
        out->chain_cut = out->chain_n == ANALYSIS_CHAIN_MAX;
        if (out->chain_cut) break;
        chain[out->chain_n++] = i;
    }
    out->chain = chain;
    return NULL;
}

/* ---- slower than usual ------------------------------------------------------------------------------------------ */

static int64_t excess(const struct trace_tree *t, const struct analysis_slow *s) {
    return t->spans[s->span].duration - s->usual.p95_ns;
}

static err find_slow(struct arena *a, const struct trace_tree *t, const struct analysis_usual *usual,
                     struct analysis *out) {
    struct analysis_slow *v = arena_array(a, struct analysis_slow, ANALYSIS_LIST_MAX + 1);
    if (!v) return arena_err(a);
    out->slow = v;
    for (uint32_t i = 0; usual && i < t->n; i++) {
        struct analysis_slow s = {i, usual[t->spans[i].call]};
        if (s.usual.spans < ANALYSIS_USUAL_LEAST) continue;
        out->compared++;
        if (excess(t, &s) <= 0) continue;
        out->slow_found++;
        size_t at = out->slow_n;
        for (; at > 0 && excess(t, &v[at - 1]) < excess(t, &s); at--) v[at] = v[at - 1];
        v[at] = s;
        out->slow_n = MIN(out->slow_n + 1, (size_t)ANALYSIS_LIST_MAX);
    }
    return NULL;
}

/* ---- again and again -------------------------------------------------------------------------------------------- */

struct called {
    uint32_t parent, call, span;
};

static int by_parent_and_call(const void *x, const void *y) {
    const struct called *a = x, *b = y;
    if (a->parent != b->parent) return a->parent < b->parent ? -1 : 1;
    if (a->call != b->call) return a->call < b->call ? -1 : 1;
    return (a->span > b->span) - (a->span < b->span);
}

static err find_repeats(struct arena *a, const struct trace_tree *t, struct analysis *out) {
    struct called *calls = arena_array(a, struct called, t->n + 1);
    struct analysis_repeat *v = arena_array(a, struct analysis_repeat, ANALYSIS_LIST_MAX + 1);
    uint32_t n = 0;
    if (!calls || !v) return arena_err(a);
    out->repeats = v;
    for (uint32_t i = 0; i < t->n; i++)
        if (t->spans[i].parent != TREE_NONE) calls[n++] = (struct called){t->spans[i].parent, t->spans[i].call, i};
    if (n) qsort(calls, n, sizeof *calls, by_parent_and_call);
    for (uint32_t i = 0, end; i < n; i = end) {
        struct analysis_repeat r = {.parent = calls[i].parent, .call = calls[i].call, .first = calls[i].span};
        for (end = i; end < n && calls[end].parent == r.parent && calls[end].call == r.call; end++)
            add_ns(&r.total_ns, t->spans[calls[end].span].duration);
        r.count = end - i;
        if (r.count < ANALYSIS_REPEATS_LEAST) continue;
        out->repeat_found++;
        size_t at = out->repeat_n;
        for (; at > 0 && v[at - 1].count < r.count; at--) v[at] = v[at - 1];
        v[at] = r;
        out->repeat_n = MIN(out->repeat_n + 1, (size_t)ANALYSIS_LIST_MAX);
    }
    return NULL;
}

/* ---- gaps ------------------------------------------------------------------------------------------------------- */

struct gaps {
    struct analysis_gap *v;
    int64_t least;
    struct analysis *out;
};

static void on_gap(void *context, uint32_t span, int64_t from, int64_t to) {
    struct gaps *g = context;
    struct analysis_gap gap = {span, from, to - from};
    if (gap.duration < g->least) return;
    g->out->gap_found++;
    size_t at = g->out->gap_n;
    for (; at > 0 && g->v[at - 1].duration < gap.duration; at--) g->v[at] = g->v[at - 1];
    g->v[at] = gap;
    g->out->gap_n = MIN(g->out->gap_n + 1, (size_t)ANALYSIS_LIST_MAX);
}

static err find_gaps(struct arena *a, const struct trace_tree *t, const struct family *f, struct analysis *out) {
    struct gaps g = {.v = arena_array(a, struct analysis_gap, ANALYSIS_LIST_MAX + 1),
                     .least = MAX(out->duration / 10, ANALYSIS_GAP_LEAST_NS),
                     .out = out};
    if (!g.v) return arena_err(a);
    for (uint32_t i = 0; i < t->n; i++)
        if (f->first[i] < f->first[i + 1]) uncovered(f, t, i, on_gap, &g);
    out->gaps = g.v;
    return NULL;
}

/* ---- all together ----------------------------------------------------------------------------------------------- */

static void measure(const struct trace_tree *t, struct analysis *out) {
    int64_t end = INT64_MIN;
    out->start = INT64_MAX;
    for (uint32_t i = 0; i < t->n; i++) {
        out->start = MIN(out->start, t->spans[i].start);
        end = MAX(end, t->spans[i].start + t->spans[i].duration);
    }
    out->duration = end - out->start;
}

err analysis_make(struct arena *a, const struct trace_tree *t, const struct analysis_usual *usual,
                  struct analysis *out) {
    struct analysis made = {0};
    struct family f;
    int64_t *path_ns = arena_array(a, int64_t, t->service_count + 1);
    if (!path_ns) return arena_err(a);
    measure(t, &made);
    TRY(family_make(a, t, &f));
    TRY(find_path(a, t, &f, path_ns, &made));
    TRY(sum_services(a, t, &f, path_ns, &made));
    TRY(find_cause(a, t, &made));
    TRY(find_slow(a, t, usual, &made));
    TRY(find_repeats(a, t, &made));
    TRY(find_gaps(a, t, &f, &made));
    TRY(analysis_say(a, t, &made));
    *out = made;
    return NULL;
}
