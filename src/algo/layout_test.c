/* Maps of graphs: callers left of whom they call, nodes apart, the same map of the same graph, and its crossings counted by looking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include <math.h>

#include "algo/layout.h"
#include "base/hash.h"

enum { ARENA_BYTES = 64 << 20, EDGES_MAX = 4000 };

struct drawing {
    uint32_t nodes;
    size_t edges;
    struct layout_edge edge[EDGES_MAX];
    struct arena a;
    struct layout l;
};

static uint32_t below(uint64_t *seed, uint32_t n) {
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*seed >> 33) % n);
}

static void draw(struct drawing *d) {
    arena_init(&d->a, ARENA_BYTES);
    assert_null(layout_layered(&d->a, d->nodes, d->edge, d->edges, &d->l));
}

static void add(struct drawing *d, uint32_t from, uint32_t to) {
    assert_true(d->edges < EDGES_MAX);
    d->edge[d->edges++] = (struct layout_edge){from, to};
}

static size_t bends_of(const struct drawing *d, size_t e) { return d->l.bend_end[e] - (e ? d->l.bend_end[e - 1] : 0); }

/* Point k of an edge: its from, its bends, its to. */
static struct layout_point point(const struct drawing *d, size_t e, size_t k) {
    size_t n = bends_of(d, e);
    if (k == 0) return d->l.nodes[d->edge[e].from];
    if (k == n + 1) return d->l.nodes[d->edge[e].to];
    return d->l.bends[(e ? d->l.bend_end[e - 1] : 0) + k - 1];
}

/* What holds of every drawing. `rings`: some edges may lead back. */
static void check(const struct drawing *d, bool rings) {
    for (uint32_t v = 0; v < d->nodes; v++) {
        struct layout_point p = d->l.nodes[v];
        assert_true(isfinite(p.y) && p.x == floorf(p.x));
        assert_true(p.x >= 0 && p.x <= d->l.width && p.y >= -1e-3f && p.y <= d->l.height + 1e-3f);
        for (uint32_t w = 0; w < v; w++) assert_true(p.x != d->l.nodes[w].x || fabsf(p.y - d->l.nodes[w].y) > 0.99f);
    }
    for (size_t e = 0; e < d->edges; e++) {
        size_t n = bends_of(d, e);
        if (d->edge[e].from == d->edge[e].to) {
            assert_int_equal(n, 0);
            continue;
        }
        float way = point(d, e, n + 1).x - point(d, e, 0).x;
        assert_true(rings ? way != 0 : way > 0);
        for (size_t k = 0; k <= n; k++) assert_true(point(d, e, k + 1).x - point(d, e, k).x == (way > 0 ? 1 : -1));
    }
}

struct piece {
    struct layout_point a, b; /* a.x + 1 = b.x */
};

/* Crossings between neighbouring layers, each pair of pieces looked at. Equal edges are one. */
static uint64_t crossings_seen(const struct drawing *d) {
    struct piece *p = calloc(200000, sizeof *p);
    size_t n = 0;
    uint64_t crossings = 0;
    for (size_t e = 0; e < d->edges; e++) {
        bool repeated = d->edge[e].from == d->edge[e].to;
        for (size_t f = 0; f < e; f++)
            repeated = repeated || (d->edge[e].from == d->edge[f].from && d->edge[e].to == d->edge[f].to);
        for (size_t k = 0; k <= bends_of(d, e) && !repeated; k++) {
            struct layout_point a = point(d, e, k), b = point(d, e, k + 1);
            p[n++] = a.x < b.x ? (struct piece){a, b} : (struct piece){b, a};
        }
    }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (p[i].a.x == p[j].a.x && (p[i].a.y - p[j].a.y) * (p[i].b.y - p[j].b.y) < -1e-6f) crossings++;
    free(p);
    return crossings;
}

static void end(struct drawing *d) {
    arena_done(&d->a);
    free(d);
}

static struct drawing *blank(uint32_t nodes) {
    struct drawing *d = calloc(1, sizeof *d);
    d->nodes = nodes;
    return d;
}

/* ---- small graphs that one can see ------------------------------------------------------------------------------- */

static void a_chain_is_a_line(void **state) {
    (void)state;
    struct drawing *d = blank(5);
    for (uint32_t v = 0; v < 4; v++) add(d, v, v + 1);
    draw(d);
    for (uint32_t v = 0; v < 5; v++) {
        assert_true(d->l.nodes[v].x == (float)v);
        assert_true(fabsf(d->l.nodes[v].y) < 1e-4f);
    }
    assert_int_equal(d->l.crossings, 0);
    end(d);
}

static void an_edge_goes_around_what_lies_between(void **state) {
    (void)state;
    struct drawing *d = blank(3);
    add(d, 0, 1);
    add(d, 1, 2);
    add(d, 0, 2);
    draw(d);
    check(d, false);
    assert_int_equal(bends_of(d, 2), 1);
    assert_true(fabsf(point(d, 2, 1).y - d->l.nodes[1].y) >= LAYOUT_BEND_GAP - 1e-3f);
    end(d);
}

static void a_tree_has_no_crossings(void **state) {
    (void)state;
    struct drawing *d = blank(63);
    for (uint32_t v = 1; v < 63; v++) add(d, (v - 1) / 2, v);
    draw(d);
    check(d, false);
    assert_int_equal(d->l.crossings, 0);
    end(d);
}

static void a_ring_is_opened_once(void **state) {
    (void)state;
    struct drawing *d = blank(6);
    for (uint32_t v = 0; v < 6; v++) add(d, v, (v + 1) % 6);
    draw(d);
    check(d, true);
    int back = 0;
    for (size_t e = 0; e < 6; e++) back += d->l.nodes[d->edge[e].from].x > d->l.nodes[d->edge[e].to].x;
    assert_int_equal(back, 1);
    end(d);
}

static void two_that_call_each_other_are_drawn(void **state) {
    (void)state;
    struct drawing *d = blank(2);
    add(d, 1, 0);
    add(d, 0, 1);
    add(d, 0, 0);
    draw(d);
    check(d, true);
    assert_true(d->l.nodes[0].x == 0 && d->l.nodes[1].x == 1);
    end(d);
}

static void who_calls_alone_stands_beside_whom_it_calls(void **state) {
    (void)state;
    struct drawing *d = blank(6);
    for (uint32_t v = 0; v < 4; v++) add(d, v, v + 1);
    add(d, 5, 4);
    draw(d);
    assert_true(d->l.nodes[5].x == 3);
    end(d);
}

static void who_has_no_edge_lies_below(void **state) {
    (void)state;
    struct drawing *d = blank(7);
    add(d, 2, 5);
    add(d, 5, 5);
    draw(d);
    check(d, false);
    for (uint32_t v = 0; v < 7; v++)
        if (v != 2 && v != 5) assert_true(d->l.nodes[v].y > d->l.nodes[2].y);
    end(d);
}

static void nothing_is_drawn_of_nothing(void **state) {
    (void)state;
    struct drawing *d = blank(0);
    draw(d);
    assert_true(d->l.width == 0 && d->l.height == 0);
    end(d);
}

/* ---- random graphs ---------------------------------------------------------------------------------------------- */

static struct drawing *random_graph(uint64_t seed, bool rings) {
    struct drawing *d = blank(1 + below(&seed, 70));
    uint32_t n = below(&seed, 2 * d->nodes + 1);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t a = below(&seed, d->nodes), b = below(&seed, d->nodes);
        if (rings)
            add(d, a, b);
        else if (a != b)
            add(d, MIN(a, b), MAX(a, b));
    }
    return d;
}

static void random_graphs_are_drawn_by_the_rules(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct drawing *d = random_graph(seed, seed % 2);
        draw(d);
        check(d, seed % 2);
        assert_int_equal(d->l.crossings, crossings_seen(d));
        end(d);
    }
}

static void the_order_of_edges_does_not_matter(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct drawing *d = random_graph(seed, true), *other = random_graph(seed, true);
        uint64_t chance = seed;
        for (size_t i = other->edges; i > 1; i--) {
            size_t j = below(&chance, (uint32_t)i);
            struct layout_edge e = other->edge[j];
            other->edge[j] = other->edge[i - 1];
            other->edge[i - 1] = e;
        }
        if (other->edges) add(other, other->edge[0].from, other->edge[0].to);
        draw(d);
        draw(other);
        for (uint32_t v = 0; v < d->nodes; v++) {
            assert_true(d->l.nodes[v].x == other->l.nodes[v].x);
            assert_true(d->l.nodes[v].y == other->l.nodes[v].y);
        }
        end(d);
        end(other);
    }
}

/* Services as they are: 6 tiers, each calls a few of the next two. */
static struct drawing *services(uint32_t nodes) {
    struct drawing *d = blank(nodes);
    uint64_t seed = 7;
    for (uint32_t v = nodes / 6; v < nodes; v++)
        for (uint32_t k = 0; k < 1 + v % 3; k++) {
            uint32_t tier = v * 6 / nodes, from = tier > 1 && below(&seed, 4) == 0 ? tier - 2 : tier - 1;
            add(d, from * nodes / 6 + below(&seed, nodes / 6), v);
        }
    return d;
}

/* Crossings of the same layers and bends, each in an order of chance. */
static uint64_t crossings_in_any_order(struct drawing *d) {
    struct layout real = d->l;
    size_t bends = d->edges ? real.bend_end[d->edges - 1] : 0;
    struct layout_point *nodes = calloc(d->nodes, sizeof *nodes), *bend = calloc(bends + 1, sizeof *bend);
    uint64_t seed = 11;
    for (uint32_t v = 0; v < d->nodes; v++)
        nodes[v] = (struct layout_point){real.nodes[v].x, (float)below(&seed, 1u << 24)};
    for (size_t i = 0; i < bends; i++) bend[i] = (struct layout_point){real.bends[i].x, (float)below(&seed, 1u << 24)};
    d->l.nodes = nodes;
    d->l.bends = bend;
    uint64_t crossings = crossings_seen(d);
    d->l = real;
    free(nodes);
    free(bend);
    return crossings;
}

static void three_hundred_services_fit(void **state) {
    (void)state;
    struct drawing *d = services(300);
    draw(d);
    check(d, false);
    print_message("300 services, %zu edges: %.0f layers, %.1f nodes high, %lu crossings\n", d->edges,
                  (double)d->l.width + 1, (double)d->l.height + 1, (unsigned long)d->l.crossings);
    assert_true(d->l.height < 120 && d->l.width < 30);
    uint64_t any = crossings_in_any_order(d);
    print_message("in any order: %lu\n", (unsigned long)any);
    assert_true(d->l.crossings < any / 3);
    end(d);
}

static void layers_are_not_taller_than_they_may(void **state) {
    (void)state;
    struct drawing *d = blank(1000);
    uint32_t at[1000] = {0};
    for (uint32_t v = 1; v < 1000; v++) add(d, 0, v);
    draw(d);
    for (uint32_t v = 0; v < 1000; v++) at[(uint32_t)d->l.nodes[v].x]++;
    for (uint32_t l = 0; l < 1000; l++) assert_true(at[l] <= 54); /* 1.7 √1000 */
    end(d);
}

/* ---- limits ----------------------------------------------------------------------------------------------------- */

static void too_large_a_graph_is_refused(void **state) {
    (void)state;
    struct arena a;
    struct layout l;
    static struct layout_edge edges[LAYOUT_EDGES_MAX + 1];
    arena_init(&a, ARENA_BYTES);
    err e = layout_layered(&a, LAYOUT_NODES_MAX + 1, NULL, 0, &l);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    e = layout_layered(&a, 1, edges, LAYOUT_EDGES_MAX + 1, &l);
    assert_int_equal(err_kind(e), ERR_LIMIT);
    err_free(e);
    arena_done(&a);
}

static void the_largest_graphs_are_drawn(void **state) {
    (void)state;
    struct layout_edge *edges = calloc(LAYOUT_EDGES_MAX, sizeof *edges);
    uint64_t seed = 3;
    for (int kind = 0; kind < 3; kind++) { /* a chain; a chain with an edge over all of it from everywhere; anything */
        struct arena a;
        struct layout l;
        size_t n = 0;
        arena_init(&a, ARENA_BYTES);
        for (uint32_t v = 0; v + 1 < LAYOUT_NODES_MAX && kind < 2; v++) edges[n++] = (struct layout_edge){v, v + 1};
        for (uint32_t v = 0; v + 1 < LAYOUT_NODES_MAX && kind == 1; v++)
            edges[n++] = (struct layout_edge){v, LAYOUT_NODES_MAX - 1};
        while (kind == 2 && n < LAYOUT_EDGES_MAX)
            edges[n++] = (struct layout_edge){below(&seed, LAYOUT_NODES_MAX), below(&seed, LAYOUT_NODES_MAX)};
        assert_null(layout_layered(&a, LAYOUT_NODES_MAX, edges, n, &l));
        assert_true(isfinite(l.height));
        arena_done(&a);
    }
    free(edges);
}

static void a_small_arena_ends_it_anywhere(void **state) {
    (void)state;
    struct drawing *d = services(60);
    struct arena a;
    struct layout l;
    size_t refused = 0;
    for (size_t bytes = 1 << 10; bytes <= 8 << 20; bytes += bytes / 8) {
        arena_init(&a, bytes);
        err e = layout_layered(&a, d->nodes, d->edge, d->edges, &l);
        assert_true(!e || err_kind(e) == ERR_LIMIT);
        refused += e != NULL;
        err_free(e);
        arena_done(&a);
    }
    assert_true(refused > 3);
    draw(d);
    end(d);
}

/* ---- neighbourhoods --------------------------------------------------------------------------------------------- */

static void a_neighbourhood_is_the_nearest(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct drawing *d = random_graph(seed, true);
        const bool *kept;
        const uint32_t *distance;
        uint32_t true_distance[70], chance = (uint32_t)seed, focus = chance % d->nodes, steps = chance % 5,
                                    max = 1 + chance % 20, n = 0;
        arena_init(&d->a, ARENA_BYTES);
        assert_null(
            layout_neighbourhood(&d->a, d->nodes, d->edge, d->edges, NULL, focus, steps, max, &kept, &distance));
        for (uint32_t v = 0; v < d->nodes; v++) true_distance[v] = v == focus ? 0 : 1000;
        for (uint32_t round = 0; round < d->nodes; round++)
            for (size_t e = 0; e < d->edges; e++) {
                uint32_t *p = &true_distance[d->edge[e].from], *q = &true_distance[d->edge[e].to];
                *p = MIN(*p, *q + 1);
                *q = MIN(*q, *p + 1);
            }
        for (uint32_t v = 0; v < d->nodes; v++) n += kept[v];
        assert_true(n <= max && kept[focus]);
        for (uint32_t v = 0; v < d->nodes; v++) {
            uint32_t nearer = 0; /* than v, or as near with a smaller number */
            for (uint32_t w = 0; w < d->nodes; w++)
                nearer += true_distance[w] < true_distance[v] || (true_distance[w] == true_distance[v] && w < v);
            assert_int_equal(kept[v], true_distance[v] <= steps && nearer < max);
            assert_int_equal(distance[v], kept[v] ? true_distance[v] : UINT32_MAX);
        }
        end(d);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_is_a_line),
        cmocka_unit_test(an_edge_goes_around_what_lies_between),
        cmocka_unit_test(a_tree_has_no_crossings),
        cmocka_unit_test(a_ring_is_opened_once),
        cmocka_unit_test(two_that_call_each_other_are_drawn),
        cmocka_unit_test(who_calls_alone_stands_beside_whom_it_calls),
        cmocka_unit_test(who_has_no_edge_lies_below),
        cmocka_unit_test(nothing_is_drawn_of_nothing),
        cmocka_unit_test(random_graphs_are_drawn_by_the_rules),
        cmocka_unit_test(the_order_of_edges_does_not_matter),
        cmocka_unit_test(three_hundred_services_fit),
        cmocka_unit_test(layers_are_not_taller_than_they_may),
        cmocka_unit_test(too_large_a_graph_is_refused),
        cmocka_unit_test(the_largest_graphs_are_drawn),
        cmocka_unit_test(a_small_arena_ends_it_anywhere),
        cmocka_unit_test(a_neighbourhood_is_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
