/* Which series of the head the points of a hash become, so that only what is new is translated. */
#include "store/engine/series_table_priv.h"

enum { SLOTS_FIRST = 64 };

void known_init(struct known_series *k) {
    *k = (struct known_series){.slots = mem_new_array(struct known, SLOTS_FIRST), .mask = SLOTS_FIRST - 1};
}

/* ---- what deltas are added to ----------------------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct histogram *h) { return h ? sizeof *h + histogram_bytes(h) + 1 : 0; }

static void drop_histogram(struct known_series *k, struct delta_base *base) {
    k->base_bytes -= bytes_of(base->last.histogram);
    mem_free((void *)(uintptr_t)base->last.histogram);
    base->last.histogram = NULL;
}

void known_bases(struct known_series *k, struct known *one, uint32_t count) {
    for (uint32_t i = 0; one->bases && i < one->count; i++) drop_histogram(k, &one->bases[i]);
    if (one->bases) k->base_bytes -= one->count * sizeof *one->bases;
    mem_free(one->bases);
    one->bases = count ? mem_new_array(struct delta_base, count) : NULL;
    k->base_bytes += count * sizeof *one->bases;
}

void known_base_keep(struct known_series *k, struct delta_base *base, const struct head_last *last) {
    drop_histogram(k, base);
    *base = (struct delta_base){true, true, *last};
    k->base_bytes += bytes_of(last->histogram);
}

/* ---- the map ----------------------------------------------------------------------------------------------------------- */

void known_done(struct known_series *k, struct budget *budget) {
    for (uint32_t i = 0; k->slots && i <= k->mask; i++) known_bases(k, &k->slots[i], 0);
    if (budget) budget_give(budget, k->charged_bytes);
    mem_free(k->slots);
    vec_done(&k->ids);
    *k = (struct known_series){0};
}

struct known *known_find(const struct known_series *k, struct hash128 hash) {
    for (uint32_t at = (uint32_t)hash.low & k->mask; k->slots[at].count; at = (at + 1) & k->mask)
        if (hash128_equal(k->slots[at].hash, hash)) return &k->slots[at];
    return NULL;
}

void known_charge(struct known_series *k, struct budget *budget) {
    uint64_t bytes = (k->mask + 1ull) * sizeof *k->slots + k->ids.capacity * sizeof *k->ids.v + k->base_bytes;
    if (!budget || bytes == k->charged_bytes) return;
    if (bytes > k->charged_bytes) budget_take_always(budget, bytes - k->charged_bytes);
    if (bytes < k->charged_bytes) budget_give(budget, k->charged_bytes - bytes);
    k->charged_bytes = bytes;
}

static void insert(struct known_series *k, const struct known *one) {
    uint32_t at = (uint32_t)one->hash.low & k->mask;
    while (k->slots[at].count) at = (at + 1) & k->mask;
    k->slots[at] = *one;
    k->n++;
}

static void resize(struct known_series *k, uint32_t slots) {
    struct known *old = k->slots;
    uint32_t old_n = k->mask + 1;
    k->slots = mem_new_array(struct known, slots);
    k->mask = slots - 1;
    k->n = 0;
    for (uint32_t i = 0; i < old_n; i++)
        if (old[i].count) insert(k, &old[i]);
    mem_free(old);
}

struct known *known_put(struct known_series *k, struct hash128 hash, struct budget *budget) {
    struct known *there = known_find(k, hash);
    if (there) return there;
    if (k->n >= (k->mask + 1) / 4 * 3) resize(k, (k->mask + 1) * 2);
    known_charge(k, budget);
    struct known one = {.hash = hash, .count = 1};
    insert(k, &one);
    return known_find(k, hash);
}

/* ---- a new head ------------------------------------------------------------------------------------------------------ */

static void keep_base(struct known_series *k, struct head *old, uint32_t id, struct delta_base *out) {
    struct head_last last;
    if (id == NO_SERIES || !series_head_last(old, id, &last)) return; /* what was known before is as true as it was */
    if (last.histogram) last.histogram = histogram_on_heap(last.histogram);
    known_base_keep(k, out, &last);
}

/* Those of deltas that went on are kept for one more head. */
void known_turn(struct known_series *k, struct head *old, uint64_t epoch, struct budget *budget) {
    struct known_series kept;
    known_init(&kept);
    for (uint32_t i = 0; i <= k->mask; i++) {
        struct known *one = &k->slots[i];
        if (!one->count) continue;
        if (!old || !one->bases || !one->resolved) {
            known_bases(k, one, 0);
            continue;
        }
        for (uint32_t j = 0; j < one->count; j++) keep_base(k, old, k->ids.v[one->first + j], &one->bases[j]);
        one->resolved = false;
        if (kept.n >= (kept.mask + 1) / 4 * 3) resize(&kept, (kept.mask + 1) * 2);
        insert(&kept, one);
    }
    mem_free(k->slots);
    vec_done(&k->ids);
    kept.epoch = epoch;
    kept.base_bytes = k->base_bytes;
    kept.charged_bytes = k->charged_bytes;
    *k = kept;
    known_charge(k, budget);
}

/* ---- the head before --------------------------------------------------------------------------------------------------- */

void met_before_done(struct met_before *m, struct budget *budget) {
    if (budget && m->slots) budget_give(budget, (m->mask + 1) * sizeof *m->slots);
    mem_free(m->slots);
    *m = (struct met_before){0};
}

void met_before_set(struct met_before *m, struct head *old, struct budget *budget) {
    uint32_t n;
    uint64_t *hashes = series_head_hashes(old, &n), slots = SLOTS_FIRST;
    while (slots / 4 * 3 < n) slots *= 2;
    met_before_done(m, budget);
    *m = (struct met_before){mem_new_array(uint64_t, slots), slots - 1, true};
    if (budget) budget_take_always(budget, slots * sizeof *m->slots);
    for (uint32_t i = 0; i < n; i++) {
        uint64_t at = hashes[i] & m->mask;
        while (m->slots[at]) at = (at + 1) & m->mask;
        m->slots[at] = hashes[i] ? hashes[i] : 1;
    }
    mem_free(hashes);
}

bool met_before_has(const struct met_before *m, uint64_t hash) {
    if (!m->slots) return false;
    for (uint64_t at = hash & m->mask; m->slots[at]; at = (at + 1) & m->mask)
        if (m->slots[at] == hash) return true;
    return false;
}
