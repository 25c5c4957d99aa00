/* Which series of the head match. The matcher with the fewest series says who may; the others are asked of these by their pairs. */
#include "store/series/head_parts_priv.h"

#include <stdlib.h>

/* A matcher against the head: the pairs of its name that match, as bits by the pair's place among them. */
struct asked {
    const struct label_matcher *m;
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
        uint32_t pair = series_head_find_pair(h, id, q->m->literals[i]);
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
        if (!label_matcher_matches_positive(q->m, pair_at(h, q->pairs[i])->value)) continue;
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
    const struct label_matcher *m = q->m;
    for (uint32_t i = 0; q->name && i < s->pair_count; i++)
        if (pair_at(h, s->pairs[i])->name == q->name - 1) return has_matched(q, s->pairs[i]) != m->is_negative;
    return m->matches_empty;
}

static uint32_t *put_list(const struct ids *list, uint32_t *out) {
    uint32_t left = list->n;
    for (const struct ids_block *b = list->block; left; b = b->next) {
        uint32_t n = MIN(left, b->capacity);
        memcpy(out, b->ids, n * sizeof *out);
        out += n;
        left -= n;
        if (!left) break; /* `next` may be being written */
    }
    return out;
}

/* Sorts ids below `all`: many by a bit each. */
static void sort_ids(uint32_t *ids, uint32_t n, uint32_t all) {
    uint32_t words = all / 64 + 1, at = 0;
    if (n < words / 8) {
        qsort(ids, n, sizeof *ids, compare_ids);
        return;
    }
    uint64_t *bits = mem_new_array(uint64_t, words);
    for (uint32_t i = 0; i < n; i++) bits[ids[i] / 64] |= UINT64_C(1) << ids[i] % 64;
    for (uint32_t w = 0; w < words; w++)
        for (uint64_t rest = bits[w]; rest; rest &= rest - 1) ids[at++] = w * 64 + (uint32_t)__builtin_ctzll(rest);
    mem_free(bits);
}

/* The union of the series of the matching pairs that are below `all`: each series has one pair a name, so lists share none. */
static uint32_t gather(const struct asked *q, uint32_t all, uint32_t *out) {
    uint32_t *end = out, n = 0;
    for (uint32_t i = 0; i < q->matched; i++) end = put_list(&q->lists[i], end);
    for (uint32_t *p = out; p < end; p++)
        if (*p < all) out[n++] = *p;
    if (q->matched > 1) sort_ids(out, n, all);
    return n;
}

static err prepare(struct head *h, const struct label_matcher *m, uint32_t n, struct asked *asked, uint32_t *out_series,
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

err series_head_select(struct head *h, const struct label_matcher *m, uint32_t matchers, struct arena *a,
                       uint32_t **out_ids, uint32_t *out_n) {
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
        candidates = gather(&asked[best], all, ids);
    for (uint32_t i = 0; i < matchers; i++) /* from here on pairs are looked up, and lists are done with */
        if (asked[i].matched > 1) qsort(asked[i].pairs, asked[i].matched, sizeof(uint32_t), compare_ids);
    for (uint32_t i = 0; i < candidates; i++) {
        bool good = true;
        for (uint32_t k = 0; k < matchers && good; k++)
            good = k == best || series_matches(h, series_at(h, ids[i]), &asked[k]);
        if (good) ids[n++] = ids[i];
    }
    *out_ids = ids;
    *out_n = n;
    return label_matchers_err(m, matchers);
}
