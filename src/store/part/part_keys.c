/* Names of attributes without a look at their values: of each group, or batch, the column of shapes says which keys its rows have. */
#include "store/part/part_read_priv.h"

struct key_tally {
    key_fn fn;
    void *context;
    enum scan_next next;
};

static void tell(struct key_tally *t, enum set set, struct str name, uint32_t type, uint64_t values) {
    if (t->next == SCAN_GO_ON && values)
        t->next = t->fn(t->context, &(struct key_seen){set, name, (enum value_type)type, values});
}

/* ---- a batch ------------------------------------------------------------------------------------------------------ */

static err tally_set(const struct batch *b, enum set set, struct arena *a, struct key_tally *t) {
    uint64_t *rows = ARENA_ZERO(a, uint64_t, b->shape_count), *values = ARENA_ZERO(a, uint64_t, b->key_count);
    for (uint32_t row = 0; row < b->set_rows[set]; row++) rows[batch_u32(b, set, FIELD_SHAPE, row)]++;
    for (uint32_t shape = 0; shape < b->shape_count; shape++)
        for (uint32_t k = shape ? b->shape_end[shape - 1] : 0; rows[shape] && k < b->shape_end[shape]; k++)
            values[b->shape_keys[k]] += rows[shape];
    for (uint32_t key = 0; key < b->key_count; key++)
        tell(t, set, batch_string(b, b->keys[key].name), b->keys[key].type, values[key]);
    return NULL;
}

static err tally_batch(const struct batch *b, struct arena *a, struct key_tally *t) {
    static const enum set sets[] = {SET_ROWS, SET_EVENTS, SET_RESOURCES, SET_SCOPES};
    for (size_t i = 0; i < LENGTH(sets); i++)
        if (b->set_rows[sets[i]]) TRY(tally_set(b, sets[i], a, t));
    return NULL;
}

err batch_keys(const struct batch *b, struct arena *a, key_fn fn, void *context, enum scan_next *out_next) {
    struct key_tally t = {fn, context, SCAN_GO_ON};
    err e = tally_batch(b, a, &t);
    *out_next = t.next;
    return e;
}

/* ---- a part ------------------------------------------------------------------------------------------------------- */

/* The directory would be faster, but has no block of a key whose values are all zero or empty. */
static err count_shapes(struct group_reader *r, enum set set, uint64_t *values) {
    struct key_counts counts;
    TRY(group_open_shapes(r, set));
    TRY(group_count_keys(r, set, &counts));
    for (uint32_t i = 0; i < counts.count; i++) values[counts.keys[i]] += counts.values[counts.keys[i]];
    return NULL;
}

static err count_group(struct part *p, uint32_t group, enum set set, struct arena *a, uint64_t *values,
                       struct scan_stats *stats) {
    struct group_reader r;
    bool bad;
    group_reader_init(&r, p, group, a, stats);
    return r.g->set_rows[set] ? group_reader_end(&r, count_shapes(&r, set, values), &bad) : NULL;
}

static err tally_part(struct part *p, const struct scan_request *r, struct arena *a, struct key_tally *t,
                      struct scan_stats *stats) {
    static const enum set sets[] = {SET_ROWS, SET_EVENTS};
    for (size_t s = 0; s < LENGTH(sets); s++) {
        AUTO_FREE uint64_t *values = mem_new_array(uint64_t, p->key_count + 1);
        for (uint32_t g = 0; g < p->info.groups; g++) {
            if (p->groups[g].time_min > r->time_max || p->groups[g].time_max < r->time_min) continue;
            TRY(scan_stopped(r));
            arena_clear(a);
            TRY(count_group(p, g, sets[s], a, values, stats));
        }
        for (uint32_t key = 0; key < p->key_count; key++)
            tell(t, sets[s], part_string(&p->strings, p->keys[key].name), p->keys[key].type, values[key]);
    }
    arena_clear(a);
    return tally_batch(&p->entities, a, t);
}

err part_keys(struct part *p, const struct scan_request *r, struct arena *a, key_fn fn, void *context,
              enum scan_next *out_next, struct scan_stats *stats) {
    struct key_tally t = {fn, context, SCAN_GO_ON};
    err e = tally_part(p, r, a, &t, stats);
    *out_next = t.next;
    return e;
}
