/* Where the nodes of a directed graph are drawn: layers from left to right, callers before whom they call, few crossings.
 *
 *   edges ─ rings opened ─▶ layers (none taller than the graph is wide) ─ order within layers ─▶ heights
 *           (x: the layer)                                                (y: near the neighbours)
 *
 *      0        1         2
 *    ┌──┐     ┌──┐      ┌──┐
 *    │ a ├──▶ │ b ├───▶ │ d │         an edge over more than one layer bends where it passes the layers between, so that it
 *    └─┬┘     └──┘      └──┘          goes around the nodes there
 *      └───────•──────────▲
 *
 * Units: x in layers (0, 1, 2 …), y in nodes: two nodes of a layer are at least 1 apart, a bend and a node at least LAYOUT_BEND_GAP.
 * Components lie one below the other, the largest first; nodes without an edge in rows below all others.
 * Stable: the answer depends on the numbers of the nodes and on which edges there are, not on the order or number of edges: a caller that numbers its
 * nodes by name draws the same map of the same services every time. Loops (from = to) and repeated edges take no room.
 * Limits: LAYOUT_NODES_MAX, LAYOUT_EDGES_MAX; beyond LAYOUT_BENDS_MAX bends edges go straight. Time: about linear; 300 nodes and 900 edges take some 10 ms at most.
 * Owner: the arena. Errors: ERR_LIMIT (nodes, edges, the arena's bytes). Threads: any.
 * Source: K. Sugiyama, S. Tagawa, M. Toda, "Methods for Visual Understanding of Hierarchical System Structures", 1981 (layers, barycentres); W. Barth, M. Jünger,
 * P. Mutzel, "Simple and Efficient Bilayer Cross Counting", 2004; heights by isotonic regression (pool adjacent violators, M. Ayer et al., 1955).
 */
#pragma once

#include "base/arena.h"

enum { LAYOUT_NODES_MAX = 10000, LAYOUT_EDGES_MAX = 100000, LAYOUT_BENDS_MAX = 40000 };
#define LAYOUT_BEND_GAP 0.5f

struct layout_edge {
    uint32_t from, to; /* numbers of nodes */
};
struct layout_point {
    float x, y;
};
struct layout {
    const struct layout_point *nodes; /* one a node */
    const struct layout_point
        *bends; /* edge e bends, from its `from` to its `to`, at bends[e ? bend_end[e - 1] : 0 .. bend_end[e]) */
    const uint32_t *bend_end;
    float width, height; /* the largest x and y */
    uint64_t crossings;  /* of edges, as they are drawn */
};

err layout_layered(struct arena *a, uint32_t nodes, const struct layout_edge *edges, size_t edge_count,
                   struct layout *out);

/* Of a graph that is too large to be read: the nodes nearest to `focus`, along edges in either direction, nearest first and of one distance those
 * with the smallest number; at most `max`, focus included. `is_end`, one flag a node, NULL: none: whence no way goes on, but from focus. *out_kept: one flag a node; *out_distance: steps from focus, UINT32_MAX: not kept. */
err layout_neighbourhood(struct arena *a, uint32_t nodes, const struct layout_edge *edges, size_t edge_count,
                         const bool *is_end, uint32_t focus, uint32_t steps_max, uint32_t max, const bool **out_kept,
                         const uint32_t **out_distance);
