#include "algo/layout.h"

#include <math.h>
#include <stdlib.h>

enum {
    ORDER_SWEEPS = 16,
    HEIGHT_SWEEPS = 12,
    LAYER_NODES_MIN = 8, /* a layer of so many nodes is never split */
    NONE = UINT32_MAX,
};

/* A node, or where an edge passes a layer. */
struct vertex {
    uint32_t layer, at; /* at: its place within the layer */
    float y;
    bool is_bend;
};

struct link {
    uint32_t from, to; /* as drawn: from's layer is before to's */
    bool turned;       /* drawn against its direction, to open a ring */
    uint32_t bends;    /* first of its bends, NONE: none; then one a layer between */
};

/* Neighbours of each vertex: of[start[v] .. start[v + 1]). */
struct neighbours {
    uint32_t *start, *of;
};

struct graph {
    struct arena *a;
    uint32_t nodes, vertices, links, layers;
    struct link *link; /* distinct, by from and to as they were given */
    struct vertex *vertex;
    uint32_t *component; /* of each node, numbered by size; NONE: it has no edge */
    uint32_t components;
    struct neighbours before, after; /* of vertices: one layer back, one on */
};

/* ---- distinct links ------------------------------------------------------------------------------------------- */

struct given {
    uint32_t from, to, number;
};

static int compare_given(const void *pa, const void *pb) {
    const struct given *a = pa, *b = pb;
    if (a->from != b->from) return a->from < b->from ? -1 : 1;
    if (a->to != b->to) return a->to < b->to ? -1 : 1;
    return a->number < b->number ? -1 : 1;
}

/* link_of: one an edge, NONE for a loop. */
static err make_links(struct graph *g, const struct layout_edge *edges, size_t n, uint32_t **link_of) {
    struct given *given = arena_array(g->a, struct given, n + 1);
    g->link = arena_array(g->a, struct link, n + 1);
    *link_of = arena_array(g->a, uint32_t, n + 1);
    if (!given || !g->link || !*link_of) return arena_err(g->a);
    for (size_t i = 0; i < n; i++) given[i] = (struct given){edges[i].from, edges[i].to, (uint32_t)i};
    qsort(given, n, sizeof *given, compare_given);
    for (size_t i = 0; i < n; i++) {
        struct given *e = &given[i];
        (*link_of)[e->number] = NONE;
        if (e->from == e->to) continue;
        struct link *last = g->links ? &g->link[g->links - 1] : NULL;
        if (!last || last->from != e->from || last->to != e->to)
            g->link[g->links++] = (struct link){e->from, e->to, false, NONE};
        (*link_of)[e->number] = g->links - 1;
    }
    return NULL;
}

/* Fills one direction: of vertices `count`, from pairs (at[i], other[i]). */
struct pair {
    uint32_t at, other;
};

static err neighbours_make(struct arena *a, uint32_t count, const struct pair *pairs, size_t n,
                           struct neighbours *out) {
    out->start = arena_array(a, uint32_t, count + 2);
    out->of = arena_array(a, uint32_t, n + 1);
    if (!out->start || !out->of) return arena_err(a);
    for (size_t i = 0; i < n; i++) out->start[pairs[i].at + 2]++;
    for (uint32_t v = 0; v < count; v++) out->start[v + 2] += out->start[v + 1];
    for (size_t i = 0; i < n; i++) out->of[out->start[pairs[i].at + 1]++] = pairs[i].other;
    return NULL;
}

/* ---- rings ------------------------------------------------------------------------------------------------------ */

struct step {
    uint32_t node, next; /* next: the first of its links that was not followed */
};

/* Follows links from `root` depth first; a link back to a node on the way is turned. `first`: of each node, its first link. */
static void walk(struct graph *g, const uint32_t *first, unsigned char *seen, struct step *stack, uint32_t root) {
    enum { NEW, ON_THE_WAY, DONE };
    size_t depth = 0;
    if (seen[root] != NEW) return;
    seen[root] = ON_THE_WAY;
    stack[depth++] = (struct step){root, first[root]};
    while (depth) {
        struct step *top = &stack[depth - 1];
        if (top->next == first[top->node + 1]) {
            seen[top->node] = DONE;
            depth--;
            continue;
        }
        struct link *l = &g->link[top->next++];
        if (seen[l->to] == ON_THE_WAY) l->turned = true;
        if (seen[l->to] != NEW) continue;
        seen[l->to] = ON_THE_WAY;
        stack[depth++] = (struct step){l->to, first[l->to]};
    }
}

static err open_rings(struct graph *g) {
    uint32_t *first = arena_array(g->a, uint32_t, g->nodes + 1), *callers = arena_array(g->a, uint32_t, g->nodes + 1);
    unsigned char *seen = arena_zero(g->a, g->nodes + 1);
    struct step *stack = arena_array(g->a, struct step, g->nodes + 1);
    if (!first || !callers || !seen || !stack) return arena_err(g->a);
    uint32_t l = 0;
    for (uint32_t v = 0; v <= g->nodes; v++) {
        while (l < g->links && g->link[l].from < v) l++;
        first[v] = l;
    }
    for (uint32_t i = 0; i < g->links; i++) callers[g->link[i].to]++;
    for (uint32_t v = 0; v < g->nodes; v++) /* who is called by nobody begins */
        if (!callers[v]) walk(g, first, seen, stack, v);
    for (uint32_t v = 0; v < g->nodes; v++) walk(g, first, seen, stack, v);
    for (uint32_t i = 0; i < g->links; i++)
        if (g->link[i].turned) g->link[i] = (struct link){g->link[i].to, g->link[i].from, true, NONE};
    return NULL;
}

/* ---- components ------------------------------------------------------------------------------------------------- */

static uint32_t root_of(uint32_t *up, uint32_t v) {
    while (up[v] != v) v = up[v] = up[up[v]];
    return v;
}

struct sized {
    uint32_t root, size;
};

static int compare_sized(const void *pa, const void *pb) { /* the largest first, then the smallest number */
    const struct sized *a = pa, *b = pb;
    if (a->size != b->size) return a->size > b->size ? -1 : 1;
    return a->root < b->root ? -1 : a->root > b->root;
}

static err find_components(struct graph *g) {
    uint32_t *up = arena_array(g->a, uint32_t, g->nodes + 1), *rank = arena_array(g->a, uint32_t, g->nodes + 1);
    struct sized *sized = arena_array(g->a, struct sized, g->nodes + 1);
    g->component = arena_array(g->a, uint32_t, g->nodes + 1);
    if (!up || !rank || !sized || !g->component) return arena_err(g->a);
    for (uint32_t v = 0; v < g->nodes; v++) {
        up[v] = v;
        sized[v] = (struct sized){v, 0};
    }
    for (uint32_t i = 0; i < g->links; i++) {
        uint32_t a = root_of(up, g->link[i].from), b = root_of(up, g->link[i].to);
        up[MAX(a, b)] = MIN(a, b);
    }
    for (uint32_t v = 0; v < g->nodes; v++) sized[root_of(up, v)].size++;
    qsort(sized, g->nodes, sizeof *sized, compare_sized);
    for (uint32_t i = 0; i < g->nodes && sized[i].size > 1; i++) rank[sized[i].root] = g->components++;
    for (uint32_t v = 0; v < g->nodes; v++) g->component[v] = NONE;
    for (uint32_t i = 0; i < g->links; i++) {
        g->component[g->link[i].from] = rank[root_of(up, g->link[i].from)];
        g->component[g->link[i].to] = rank[root_of(up, g->link[i].to)];
    }
    return NULL;
}

/* ---- layers ----------------------------------------------------------------------------------------------------- */

struct layering {
    struct neighbours callers, called; /* of nodes, by links */
    uint32_t *queue;                   /* nodes that have links: by component, callers before whom they call */
    uint32_t queued;
    uint32_t *count; /* nodes of each layer, of one component at a time */
    uint32_t tallest;
};

static err link_neighbours(struct graph *g, struct layering *l) {
    struct pair *pairs = arena_array(g->a, struct pair, g->links + 1);
    if (!pairs) return arena_err(g->a);
    for (uint32_t i = 0; i < g->links; i++) pairs[i] = (struct pair){g->link[i].from, g->link[i].to};
    TRY(neighbours_make(g->a, g->nodes, pairs, g->links, &l->called));
    for (uint32_t i = 0; i < g->links; i++) pairs[i] = (struct pair){g->link[i].to, g->link[i].from};
    return neighbours_make(g->a, g->nodes, pairs, g->links, &l->callers);
}

static uint32_t degree(const struct neighbours *n, uint32_t v) { return n->start[v + 1] - n->start[v]; }

/* Who waits for nobody goes first. */
static err queue_nodes(struct graph *g, struct layering *l) {
    uint32_t *waits = arena_array(g->a, uint32_t, g->nodes + 1), *found = arena_array(g->a, uint32_t, g->nodes + 1);
    uint32_t *start = arena_array(g->a, uint32_t, g->components + 2);
    l->queue = arena_array(g->a, uint32_t, g->nodes + 1);
    if (!waits || !found || !start || !l->queue) return arena_err(g->a);
    for (uint32_t v = 0; v < g->nodes; v++) {
        waits[v] = degree(&l->callers, v);
        if (g->component[v] == NONE) continue;
        start[g->component[v] + 1]++;
        if (!waits[v]) found[l->queued++] = v;
    }
    for (uint32_t done = 0; done < l->queued; done++)
        for (uint32_t v = found[done], i = l->called.start[v]; i < l->called.start[v + 1]; i++)
            if (!--waits[l->called.of[i]]) found[l->queued++] = l->called.of[i];
    for (uint32_t c = 0; c < g->components; c++) start[c + 1] += start[c];
    for (uint32_t i = 0; i < l->queued; i++) l->queue[start[g->component[found[i]]]++] = found[i];
    return NULL;
}

/* A node stands behind all its callers; a layer that is full sends it on. */
static void place_node(struct graph *g, struct layering *l, uint32_t v) {
    uint32_t layer = 0;
    for (uint32_t i = l->callers.start[v]; i < l->callers.start[v + 1]; i++)
        layer = MAX(layer, g->vertex[l->callers.of[i]].layer + 1);
    while (l->count[layer] >= l->tallest) layer++;
    l->count[layer]++;
    g->vertex[v].layer = layer;
}

/* Who is called by nobody moves up to whom it calls. */
static void pull_node(struct graph *g, struct layering *l, uint32_t v) {
    uint32_t nearest = NONE, at = g->vertex[v].layer;
    if (degree(&l->callers, v)) return;
    for (uint32_t i = l->called.start[v]; i < l->called.start[v + 1]; i++)
        nearest = MIN(nearest, g->vertex[l->called.of[i]].layer);
    if (nearest == NONE || nearest - 1 <= at || l->count[nearest - 1] >= l->tallest) return;
    l->count[at]--;
    l->count[nearest - 1]++;
    g->vertex[v].layer = nearest - 1;
}

static void place_component(struct graph *g, struct layering *l, const uint32_t *nodes, uint32_t n) {
    uint32_t least = NONE;
    l->tallest = (uint32_t)MAX(LAYER_NODES_MIN, (int)ceil(1.7 * sqrt(n)));
    memset(l->count, 0, (n + 1) * sizeof *l->count);
    for (uint32_t i = 0; i < n; i++) place_node(g, l, nodes[i]);
    for (uint32_t i = 0; i < n; i++) pull_node(g, l, nodes[i]);
    for (uint32_t i = 0; i < n; i++) least = MIN(least, g->vertex[nodes[i]].layer);
    for (uint32_t i = 0; i < n; i++) {
        g->vertex[nodes[i]].layer -= least;
        g->layers = MAX(g->layers, g->vertex[nodes[i]].layer + 1);
    }
}

static err make_layers(struct graph *g) {
    struct layering l = {0};
    TRY(link_neighbours(g, &l));
    TRY(queue_nodes(g, &l));
    l.count = arena_array(g->a, uint32_t, g->nodes + 2);
    if (!l.count) return arena_err(g->a);
    for (uint32_t i = 0, end = 0; i < l.queued; i = end) {
        while (end < l.queued && g->component[l.queue[end]] == g->component[l.queue[i]]) end++;
        place_component(g, &l, l.queue + i, end - i);
    }
    return NULL;
}

/* ---- bends ------------------------------------------------------------------------------------------------------ */

static err add_bends(struct graph *g) {
    struct pair *on = arena_array(g->a, struct pair, (size_t)g->links + LAYOUT_BENDS_MAX + 1);
    struct pair *back = arena_array(g->a, struct pair, (size_t)g->links + LAYOUT_BENDS_MAX + 1);
    if (!on || !back) return arena_err(g->a);
    size_t n = 0;
    for (uint32_t i = 0; i < g->links; i++) {
        struct link *l = &g->link[i];
        uint32_t from = g->vertex[l->from].layer, between = g->vertex[l->to].layer - from - 1, last = l->from;
        if (between > LAYOUT_BENDS_MAX - (g->vertices - g->nodes)) continue;
        if (between) l->bends = g->vertices;
        for (uint32_t k = 1; k <= between; k++) {
            uint32_t v = g->vertices++;
            g->vertex[v] = (struct vertex){.layer = from + k, .is_bend = true};
            on[n++] = (struct pair){last, v};
            last = v;
        }
        on[n++] = (struct pair){last, l->to};
    }
    for (size_t i = 0; i < n; i++) back[i] = (struct pair){on[i].other, on[i].at};
    TRY(neighbours_make(g->a, g->vertices, on, n, &g->after));
    return neighbours_make(g->a, g->vertices, back, n, &g->before);
}

/* ---- order within layers ---------------------------------------------------------------------------------------- */

/* Vertices of one component, layer after layer. */
struct order {
    uint32_t *v;     /* vertices, by layer and place */
    uint32_t *start; /* of each layer; layers + 1 */
    uint32_t n, layers;
};

struct keyed {
    float key;
    uint32_t at, v;
};

static int compare_keyed(const void *pa, const void *pb) {
    const struct keyed *a = pa, *b = pb;
    if (a->key != b->key) return a->key < b->key ? -1 : 1;
    return a->at < b->at ? -1 : 1;
}

struct sorting {
    struct keyed *keys;
    uint32_t *tree, *best, *ends;
};

/* Each vertex of a layer goes to the mean place of its neighbours; who has none stays. */
static void order_layer(struct graph *g, struct order *o, struct sorting *s, uint32_t layer,
                        const struct neighbours *by) {
    uint32_t first = o->start[layer], n = o->start[layer + 1] - first;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t v = o->v[first + i], count = by->start[v + 1] - by->start[v];
        double sum = 0;
        for (uint32_t k = by->start[v]; k < by->start[v + 1]; k++) sum += g->vertex[by->of[k]].at;
        s->keys[i] = (struct keyed){count ? (float)(sum / count) : (float)i, i, v};
    }
    qsort(s->keys, n, sizeof *s->keys, compare_keyed);
    for (uint32_t i = 0; i < n; i++) {
        o->v[first + i] = s->keys[i].v;
        g->vertex[s->keys[i].v].at = i;
    }
}

static int compare_u32(const void *pa, const void *pb) {
    uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
    return a < b ? -1 : a > b;
}

/* Crossings between a layer and the next: pairs of edges whose ends are in opposite order, by a tree of counts. */
static uint64_t crossings_after(const struct graph *g, const struct order *o, struct sorting *s, uint32_t layer) {
    uint32_t width = o->start[layer + 2] - o->start[layer + 1], seen = 0;
    uint64_t crossings = 0;
    memset(s->tree, 0, (width + 1) * sizeof *s->tree);
    for (uint32_t i = o->start[layer]; i < o->start[layer + 1]; i++) {
        uint32_t v = o->v[i], n = 0;
        for (uint32_t k = g->after.start[v]; k < g->after.start[v + 1]; k++)
            s->ends[n++] = g->vertex[g->after.of[k]].at;
        qsort(s->ends, n, sizeof *s->ends, compare_u32);
        for (uint32_t k = 0; k < n; k++) { /* those before it that end beyond; edges of one vertex do not cross */
            uint32_t up_to = 0;
            for (uint32_t t = s->ends[k] + 1; t; t &= t - 1) up_to += s->tree[t];
            crossings += seen - up_to;
        }
        for (uint32_t k = 0; k < n; k++, seen++)
            for (uint32_t t = s->ends[k] + 1; t <= width; t += t & -t) s->tree[t]++;
    }
    return crossings;
}

static uint64_t all_crossings(const struct graph *g, const struct order *o, struct sorting *s) {
    uint64_t crossings = 0;
    for (uint32_t l = 0; l + 1 < o->layers; l++) crossings += crossings_after(g, o, s, l);
    return crossings;
}

static uint64_t order_vertices(struct graph *g, struct order *o, struct sorting *s) {
    uint64_t fewest = UINT64_MAX;
    for (int sweep = 0; sweep < ORDER_SWEEPS && fewest; sweep++) {
        if (sweep % 2 == 0)
            for (uint32_t l = 1; l < o->layers; l++) order_layer(g, o, s, l, &g->before);
        else
            for (uint32_t l = o->layers - 1; l-- > 0;) order_layer(g, o, s, l, &g->after);
        uint64_t crossings = all_crossings(g, o, s);
        if (crossings >= fewest) continue;
        fewest = crossings;
        memcpy(s->best, o->v, o->n * sizeof *o->v);
    }
    memcpy(o->v, s->best, o->n * sizeof *o->v);
    for (uint32_t l = 0; l < o->layers; l++)
        for (uint32_t i = o->start[l]; i < o->start[l + 1]; i++) g->vertex[o->v[i]].at = i - o->start[l];
    return fewest;
}

/* ---- heights ---------------------------------------------------------------------------------------------------- */

/* A run of vertices that touch each other. */
struct block {
    double sum, weight;
    uint32_t n;
};

static float gap(const struct vertex *a, const struct vertex *b) {
    return a->is_bend || b->is_bend ? LAYOUT_BEND_GAP : 1;
}

/* Heights of one layer: each as near as can be to the mean of its neighbours, by squares, in order and apart. Isotonic regression of what they
 * wish less the room that those before them take. */
static void level_layer(struct graph *g, const struct order *o, struct block *blocks, uint32_t layer,
                        const struct neighbours *by, const struct neighbours *and_by) {
    uint32_t first = o->start[layer], end = o->start[layer + 1], n = 0;
    float room = 0;
    for (uint32_t i = first; i < end; i++) {
        uint32_t v = o->v[i];
        double sum = 0, count = 0;
        for (const struct neighbours *side = by; side; side = side == by ? and_by : NULL)
            for (uint32_t k = side->start[v]; k < side->start[v + 1]; k++, count++) sum += g->vertex[side->of[k]].y;
        double weight = count ? (g->vertex[v].is_bend ? 4 : 1) : 0.1;
        if (i > first) room += gap(&g->vertex[o->v[i - 1]], &g->vertex[v]);
        double wish = (count ? sum / count : g->vertex[v].y) - room;
        blocks[n++] = (struct block){wish * weight, weight, 1};
        while (n > 1 && blocks[n - 2].sum * blocks[n - 1].weight >= blocks[n - 1].sum * blocks[n - 2].weight) {
            blocks[n - 2].sum += blocks[n - 1].sum;
            blocks[n - 2].weight += blocks[n - 1].weight;
            blocks[n - 2].n += blocks[n - 1].n;
            n--;
        }
    }
    room = 0;
    for (uint32_t b = 0, i = first; b < n; b++)
        for (uint32_t k = 0; k < blocks[b].n; k++, i++) {
            if (i > first) room += gap(&g->vertex[o->v[i - 1]], &g->vertex[o->v[i]]);
            g->vertex[o->v[i]].y = (float)(blocks[b].sum / blocks[b].weight) + room;
        }
}

/* Moves the component to `top`; returns where it ends. */
static float level_vertices(struct graph *g, const struct order *o, struct block *blocks, float top) {
    for (uint32_t l = 0; l < o->layers; l++) {
        float y = 0;
        for (uint32_t i = o->start[l]; i < o->start[l + 1]; i++) {
            if (i > o->start[l]) y += gap(&g->vertex[o->v[i - 1]], &g->vertex[o->v[i]]);
            g->vertex[o->v[i]].y = y;
        }
    }
    for (int sweep = 0; sweep < HEIGHT_SWEEPS; sweep++) {
        bool last = sweep >= HEIGHT_SWEEPS - 2;
        if (sweep % 2 == 0)
            for (uint32_t l = 1; l < o->layers; l++) level_layer(g, o, blocks, l, &g->before, last ? &g->after : NULL);
        else
            for (uint32_t l = o->layers - 1; l-- > 0;)
                level_layer(g, o, blocks, l, &g->after, last ? &g->before : NULL);
    }
    float least = INFINITY, most = -INFINITY;
    for (uint32_t i = 0; i < o->n; i++) {
        least = fminf(least, g->vertex[o->v[i]].y);
        most = fmaxf(most, g->vertex[o->v[i]].y);
    }
    for (uint32_t i = 0; i < o->n; i++) g->vertex[o->v[i]].y += top - least;
    return top + most - least;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

/* Components of all vertices: a bend's is that of its link. */
static uint32_t *components_of_vertices(struct graph *g) {
    uint32_t *of = arena_array(g->a, uint32_t, g->vertices + 1);
    if (!of) return NULL;
    memcpy(of, g->component, g->nodes * sizeof *of);
    for (uint32_t i = 0; i < g->links; i++) {
        const struct link *l = &g->link[i];
        if (l->bends == NONE) continue;
        uint32_t between = g->vertex[l->to].layer - g->vertex[l->from].layer - 1;
        for (uint32_t k = 0; k < between; k++) of[l->bends + k] = g->component[l->from];
    }
    return of;
}

struct ranked {
    uint32_t component, layer, v;
};

static int compare_ranked(const void *pa, const void *pb) {
    const struct ranked *a = pa, *b = pb;
    if (a->component != b->component) return a->component < b->component ? -1 : 1;
    if (a->layer != b->layer) return a->layer < b->layer ? -1 : 1;
    return a->v < b->v ? -1 : 1;
}

static err draw_components(struct graph *g, float *height, uint64_t *crossings) {
    uint32_t *of = components_of_vertices(g);
    struct ranked *all = arena_array(g->a, struct ranked, g->vertices + 1);
    struct order o = {.v = arena_array(g->a, uint32_t, g->vertices + 1),
                      .start = arena_array(g->a, uint32_t, g->layers + 2)};
    struct sorting s = {arena_array(g->a, struct keyed, g->vertices + 1), arena_array(g->a, uint32_t, g->vertices + 2),
                        arena_array(g->a, uint32_t, g->vertices + 1),
                        arena_array(g->a, uint32_t, g->vertices + g->links + 1)};
    struct block *blocks = arena_array(g->a, struct block, g->vertices + 1);
    if (!of || !all || !o.v || !o.start || !s.keys || !s.tree || !s.best || !s.ends || !blocks) return arena_err(g->a);
    for (uint32_t v = 0; v < g->vertices; v++) all[v] = (struct ranked){of[v], g->vertex[v].layer, v};
    qsort(all, g->vertices, sizeof *all, compare_ranked);
    float top = 0;
    for (uint32_t c = 0, i = 0; c < g->components; c++) {
        o.n = 0;
        o.layers = 0;
        for (; i < g->vertices && all[i].component == c; i++) {
            while (o.layers <= all[i].layer) o.start[o.layers++] = o.n;
            g->vertex[all[i].v].at = o.n - o.start[o.layers - 1];
            o.v[o.n++] = all[i].v;
        }
        o.start[o.layers] = o.n;
        *crossings += order_vertices(g, &o, &s);
        *height = level_vertices(g, &o, blocks, top);
        top = *height + 1;
    }
    return NULL;
}

static void draw_alone(struct graph *g, float *height) {
    uint32_t row = MAX(g->layers, (uint32_t)MAX(4, (int)ceil(sqrt(g->nodes / 4.0)))), n = 0;
    float top = g->components ? *height + 1 : 0;
    for (uint32_t v = 0; v < g->nodes; v++) {
        if (g->component[v] != NONE) continue;
        g->vertex[v].layer = n % row;
        g->vertex[v].y = top + (float)(n / row);
        *height = g->vertex[v].y;
        n++;
    }
}

static struct layout_point point_of(const struct vertex *v) { return (struct layout_point){(float)v->layer, v->y}; }

static err write_points(struct graph *g, const uint32_t *link_of, size_t edge_count, struct layout *out) {
    struct layout_point *nodes = arena_array(g->a, struct layout_point, g->nodes + 1);
    uint32_t *bend_end = arena_array(g->a, uint32_t, edge_count + 1);
    if (!nodes || !bend_end) return arena_err(g->a);
    for (uint32_t v = 0; v < g->nodes; v++) {
        nodes[v] = point_of(&g->vertex[v]);
        out->width = fmaxf(out->width, nodes[v].x);
    }
    uint64_t total = 0;
    for (size_t e = 0; e < edge_count; e++) {
        const struct link *l = link_of[e] == NONE ? NULL : &g->link[link_of[e]];
        if (l && l->bends != NONE) total += g->vertex[l->to].layer - g->vertex[l->from].layer - 1;
        bend_end[e] = (uint32_t)total; /* fits: the points of 100,000 equal edges of 10,000 layers are over any arena */
        if (total > UINT32_MAX) return err_new(ERR_LIMIT, "the edges of this graph have too many bends");
    }
    struct layout_point *bends = arena_array(g->a, struct layout_point, total + 1);
    if (!bends) return arena_err(g->a);
    for (size_t e = 0; e < edge_count; e++) {
        uint32_t start = e ? bend_end[e - 1] : 0, n = bend_end[e] - start;
        for (uint32_t k = 0; k < n; k++) {
            const struct link *l = &g->link[link_of[e]];
            bends[start + k] = point_of(&g->vertex[l->bends + (l->turned ? n - 1 - k : k)]);
        }
    }
    out->nodes = nodes;
    out->bend_end = bend_end;
    out->bends = bends;
    return NULL;
}

static err check(uint32_t nodes, const struct layout_edge *edges, size_t n) {
    if (nodes > LAYOUT_NODES_MAX)
        return err_new(ERR_LIMIT, "a graph of %u nodes: at most %d can be drawn", nodes, LAYOUT_NODES_MAX);
    if (n > LAYOUT_EDGES_MAX)
        return err_new(ERR_LIMIT, "a graph of %zu edges: at most %d can be drawn", n, LAYOUT_EDGES_MAX);
    for (size_t i = 0; i < n; i++) assert(edges[i].from < nodes && edges[i].to < nodes);
    return NULL;
}

err layout_layered(struct arena *a, uint32_t nodes, const struct layout_edge *edges, size_t edge_count,
                   struct layout *out) {
    struct graph g = {.a = a, .nodes = nodes, .vertices = nodes};
    struct layout made = {0};
    uint32_t *link_of;
    TRY(check(nodes, edges, edge_count));
    g.vertex = arena_array(a, struct vertex, (size_t)nodes + LAYOUT_BENDS_MAX + 1);
    if (!g.vertex) return arena_err(a);
    TRY(make_links(&g, edges, edge_count, &link_of));
    TRY(open_rings(&g));
    TRY(find_components(&g));
    TRY(make_layers(&g));
    TRY(add_bends(&g));
    TRY(draw_components(&g, &made.height, &made.crossings));
    draw_alone(&g, &made.height);
    TRY(write_points(&g, link_of, edge_count, &made));
    *out = made;
    return NULL;
}

err layout_neighbourhood(struct arena *a, uint32_t nodes, const struct layout_edge *edges, size_t edge_count,
                         const bool *is_end, uint32_t focus, uint32_t steps_max, uint32_t max, const bool **out_kept,
                         const uint32_t **out_distance) {
    struct neighbours near;
    TRY(check(nodes, edges, edge_count));
    assert(focus < nodes);
    struct pair *pairs = arena_array(a, struct pair, 2 * edge_count + 1);
    uint32_t *distance = arena_array(a, uint32_t, nodes), *ring = arena_array(a, uint32_t, nodes),
             *next = arena_array(a, uint32_t, nodes);
    bool *kept = arena_zero(a, nodes);
    if (!pairs || !distance || !ring || !next || !kept) return arena_err(a);
    for (size_t i = 0; i < edge_count; i++) {
        pairs[2 * i] = (struct pair){edges[i].from, edges[i].to};
        pairs[2 * i + 1] = (struct pair){edges[i].to, edges[i].from};
    }
    TRY(neighbours_make(a, nodes, pairs, 2 * edge_count, &near));
    for (uint32_t v = 0; v < nodes; v++) distance[v] = NONE;
    distance[focus] = 0;
    kept[focus] = true;
    uint32_t left = max ? max - 1 : 0, n = 1;
    ring[0] = focus;
    for (uint32_t step = 1; step <= steps_max && n && left; step++) {
        uint32_t found = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (is_end && is_end[ring[i]] && ring[i] != focus) continue;
            for (uint32_t k = near.start[ring[i]]; k < near.start[ring[i] + 1]; k++) {
                uint32_t v = near.of[k];
                if (distance[v] != NONE) continue;
                distance[v] = step;
                next[found++] = v;
            }
        }
        qsort(next, found, sizeof *next, compare_u32);
        for (uint32_t i = left; i < found; i++) distance[next[i]] = NONE;
        n = MIN(found, left);
        left -= n;
        for (uint32_t i = 0; i < n; i++) kept[next[i]] = true;
        memcpy(ring, next, n * sizeof *ring);
    }
    *out_kept = kept;
    *out_distance = distance;
    return NULL;
}
