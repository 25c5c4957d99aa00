/* Which series of the head match. The matcher with the fewest series says who may; the others are asked of these by their pairs. */
#include "store/series/head_parts_priv.h"

#include <stdlib.h>

/* A matcher against the head: the pairs of its name that match, as bits by the pair's place among them. */
struct asked {
    const struct matcher *m;
    uint32_t name;                    /* id + 1; 0: no series has it */
    uint32_t values, *pairs, matched; /* the pairs that match (positive form), ascending by id */
    uint64_t series;                  /* of those pairs, together */
    struct ids {
        const struct ids_block *block;
        uint32_t n;
    } * lists;
};

/* Under the lock: the name's values and how many series each has. */
static err list_pairs(struct head *h, struct asked *q, struct arena *a) {
    uint32_t id;
    q->values = 0;
    q->name = strings_find(&h->name_ids, q->m->name, &id) ? id + 1 : 0;
    if (!q->name) return NULL;
    struct head_name n = h->names.v[id];
    bool one = q->m->kind == MATCHER_LITERALS;
    uint32_t most = one ? q->m->literal_count : n.values;
    q->pairs = arena_array(a, uint32_t, most + 1);
    q->lists = arena_array(a, struct ids, most + 1);
    if (!q->pairs || !q->lists) return arena_err(a);
    for (uint32_t i = 0; one && i < most; i++) {
        uint32_t pair = head_find_pair(h, id, q->m->literals[i]);
        if (pair) q->pairs[q->values++] = pair - 1;
    }
    uint32_t at = n.first;
    for (uint32_t i = 0; !one && i < n.values; i++, at = pair_at(h, at)->next) q->pairs[q->values++] = at;
    for (uint32_t i = 0; i < q->values; i++)
        q->lists[i] = (struct ids){pair_at(h, q->pairs[i])->first, pair_at(h, q->pairs[i])->count};
    return NULL;
}

/* Without the lock: which of them match. Texts never move. */
static void match_values(struct head *h, struct asked *q) {
    q->matched = 0;
    q->series = 0;
    for (uint32_t i = 0; i < q->values; i++) {
        if (!matcher_matches_positive(q->m, pair_at(h, q->pairs[i])->value)) continue;
        q->pairs[q->matched] = q->pairs[i];
        q->lists[q->matched++] = q->lists[i];
        q->series += q->lists[i].n;
    }
}

static int compare_ids(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static bool has_matched(const struct asked *q, uint32_t pair) {
    if (q->matched == 1) return q->pairs[0] == pair;
    return bsearch(&pair, q->pairs, q->matched, sizeof pair, compare_ids) != NULL;
}

/* The name of a pair never changes once it is counted. */
static bool series_matches(struct head *h, const struct head_series *s, const struct asked *q) {
    const struct matcher *m = q->m;
    for (uint32_t i = 0; q->name && i < s->pair_count; i++)
        if (pair_at(h, s->pairs[i])->name == q->name - 1) return has_matched(q, s->pairs[i]) != m->is_negative;
    return m->matches_empty;
}

/* The union of the series of the matching pairs: each series has one pair a name, so lists share none. */
static uint32_t gather(const struct asked *q, uint32_t *out) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < q->matched; i++) {
        uint32_t left = q->lists[i].n;
        for (const struct ids_block *b = q->lists[i].block; left; b = b->next) {
            uint32_t take_n = MIN(left, b->capacity);
            memcpy(out + n, b->ids, take_n * sizeof *out);
            n += take_n;
            left -= take_n;
            if (!left) break;
        }
    }
    if (q->matched > 1) qsort(out, n, sizeof *out, compare_ids);
    return n;
}

static err prepare(struct head *h, const struct matcher *m, uint32_t n, struct asked *asked, uint32_t *out_series,
                   struct arena *a) {
    err e = NULL;
    lock_take(&h->lock);
    *out_series = h->series_count;
    for (uint32_t i = 0; i < n && !e; i++) {
        asked[i].m = &m[i];
        e = list_pairs(h, &asked[i], a);
    }
    lock_give(&h->lock);
    for (uint32_t i = 0; i < n && !e; i++) match_values(h, &asked[i]);
    return e;
}

err head_select(struct head *h, const struct matcher *m, uint32_t matchers, struct arena *a, uint32_t **out_ids,
                uint32_t *out_n) {
    struct asked asked[MATCHERS_MAX] = {{0}};
    if (matchers > MATCHERS_MAX) return err_new(ERR_LIMIT, "%u matchers, at most %d", matchers, MATCHERS_MAX);
    uint32_t all, best = UINT32_MAX, n = 0;
    TRY(prepare(h, m, matchers, asked, &all, a));
    for (uint32_t i = 0; i < matchers; i++)
        if (!m[i].matches_empty && !m[i].is_negative && (best == UINT32_MAX || asked[i].series < asked[best].series))
            best = i;
    uint32_t candidates = best == UINT32_MAX ? all : (uint32_t)asked[best].series;
    uint32_t *ids = arena_array(a, uint32_t, candidates + 1);
    if (!ids) return arena_err(a);
    if (best == UINT32_MAX)
        for (uint32_t i = 0; i < all; i++) ids[i] = i;
    else
        candidates = gather(&asked[best], ids);
    for (uint32_t i = 0; i < matchers; i++) /* from here on pairs are looked up, and lists are done with */
        if (asked[i].matched > 1) qsort(asked[i].pairs, asked[i].matched, sizeof(uint32_t), compare_ids);
    for (uint32_t i = 0; i < candidates; i++) {
        bool good = ids[i] < all;
        for (uint32_t k = 0; k < matchers && good; k++)
            good = k == best || series_matches(h, series_at(h, ids[i]), &asked[k]);
        if (good) ids[n++] = ids[i];
    }
    *out_ids = ids;
    *out_n = n;
    return matchers_err(m, matchers);
}
