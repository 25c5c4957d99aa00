/* Which series of the head the points of a hash become, so that only what is new is translated. */
#include "store/engine/series_table_priv.h"

enum { SLOTS_FIRST = 64 };

/* How many fit: a quarter of the slots stays empty. */
static uint32_t room_of(uint32_t slots) { return slots / 4 * 3; }

void known_init(struct known_series *k) {
    *k = (struct known_series){.slots = mem_new_array(uint64_t, SLOTS_FIRST),
                               .v = mem_new_array(struct known, room_of(SLOTS_FIRST)),
                               .mask = SLOTS_FIRST - 1};
}

/* ---- bases of deltas ------------------------------------------------------------------------------------------------- */

static uint64_t base_bytes(const struct delta_base *b) {
    return sizeof *b + (b->last.histogram ? sizeof *b->last.histogram + histogram_bytes(b->last.histogram) : 0);
}

static void free_bases(struct known_series *k, struct known *one) {
    for (uint32_t i = 0; one->bases && i < one->count; i++) {
        k->bases_bytes -= base_bytes(&one->bases[i]);
        mem_free((void *)(uintptr_t)one->bases[i].last.histogram);
    }
    mem_free(one->bases);
    one->bases = NULL;
}

void known_set_bases(struct known_series *k, struct known *one, uint32_t count, bool delta) {
    free_bases(k, one);
    if (!delta) return;
    one->bases = mem_new_array(struct delta_base, count);
    k->bases_bytes += count * sizeof *one->bases;
}

void known_set_base(struct known_series *k, struct known *one, uint32_t i, const struct head_last *last) {
    struct delta_base *b = &one->bases[i];
    k->bases_bytes -= base_bytes(b);
    mem_free((void *)(uintptr_t)b->last.histogram);
    *b = (struct delta_base){true, true, *last};
    if (last->histogram) b->last.histogram = histogram_on_heap(last->histogram);
    k->bases_bytes += base_bytes(b);
}

/* ---- the map --------------------------------------------------------------------------------------------------------- */

void known_done(struct known_series *k, struct budget *budget) {
    for (uint32_t i = 0; i < k->n; i++) free_bases(k, &k->v[i]);
    if (budget) budget_give(budget, k->charged_bytes);
    mem_free(k->slots);
    mem_free(k->v);
    vec_done(&k->ids);
    *k = (struct known_series){0};
}

static uint64_t tag_of(struct hash128 hash) { return hash.high & ~(uint64_t)UINT32_MAX; }

struct known *known_find(const struct known_series *k, struct hash128 hash) {
    for (uint32_t at = (uint32_t)hash.low & k->mask; k->slots[at]; at = (at + 1) & k->mask) {
        if ((k->slots[at] & ~(uint64_t)UINT32_MAX) != tag_of(hash)) continue;
        struct known *one = &k->v[(uint32_t)k->slots[at] - 1];
        if (hash128_equal(one->hash, hash)) return one;
    }
    return NULL;
}

static uint64_t map_bytes(uint64_t slots) { return slots * sizeof(uint64_t) + slots / 4 * 3 * sizeof(struct known); }

/* An empty map is not counted. */
void known_charge(struct known_series *k, struct budget *budget) {
    uint64_t slots = k->mask + 1ull;
    uint64_t bytes = (slots > SLOTS_FIRST ? map_bytes(slots) : 0) + k->ids.capacity * sizeof *k->ids.v + k->bases_bytes;
    if (!budget || bytes == k->charged_bytes) return;
    if (bytes > k->charged_bytes) budget_take_always(budget, bytes - k->charged_bytes);
    if (bytes < k->charged_bytes) budget_give(budget, k->charged_bytes - bytes);
    k->charged_bytes = bytes;
}

static void put_slot(struct known_series *k, uint32_t i) {
    struct hash128 hash = k->v[i].hash;
    uint32_t at = (uint32_t)hash.low & k->mask;
    while (k->slots[at]) at = (at + 1) & k->mask;
    k->slots[at] = tag_of(hash) | (i + 1);
}

static void insert(struct known_series *k, const struct known *one) {
    k->v[k->n] = *one;
    put_slot(k, k->n++);
}

static void resize(struct known_series *k, uint32_t slots) {
    mem_free(k->slots);
    k->slots = mem_new_array(uint64_t, slots);
    k->mask = slots - 1;
    k->v = mem_grow(k->v, room_of(slots) * sizeof *k->v);
    for (uint32_t i = 0; i < k->n; i++) put_slot(k, i);
}

static bool is_full(const struct known_series *k) { return k->n >= room_of(k->mask + 1); }

/* Room for twice as many, with what is kept for heads left free; else the map is emptied. */
static void make_room(struct known_series *k, struct budget *budget) {
    uint64_t more = map_bytes((k->mask + 1ull) * 2); /* both are there while one is copied into the other */
    uint64_t slack = budget ? budget->limit_bytes / 8 : 0;
    if (budget && !budget_take(budget, more + slack)) {
        known_turn(k, NULL, k->epoch, budget);
        return;
    }
    resize(k, (k->mask + 1) * 2);
    if (budget) budget_give(budget, more + slack);
}

struct known *known_put(struct known_series *k, struct hash128 hash, struct budget *budget) {
    struct known *there = known_find(k, hash);
    if (there) return there;
    if (is_full(k)) make_room(k, budget);
    struct known one = {.hash = hash, .count = 1};
    insert(k, &one);
    known_charge(k, budget);
    return &k->v[k->n - 1];
}

/* ---- a new head ------------------------------------------------------------------------------------------------------ */

static void keep_base(struct known_series *k, struct head *old, struct known *one, uint32_t i) {
    struct head_last last;
    uint32_t id = k->ids.v[one->first + i];
    if (id == NO_SERIES || !series_head_last(old, id, &last)) return; /* what was known before is as true as it was */
    known_set_base(k, one, i, &last);
}

/* Those of deltas that went on are kept for one more head. */
void known_turn(struct known_series *k, struct head *old, uint64_t epoch, struct budget *budget) {
    struct known_series kept;
    known_init(&kept);
    for (uint32_t i = 0; i < k->n; i++) {
        struct known *one = &k->v[i];
        if (!old || !one->bases || !one->resolved) {
            free_bases(k, one);
            continue;
        }
        for (uint32_t j = 0; j < one->count; j++) keep_base(k, old, one, j);
        one->resolved = false;
        if (is_full(&kept)) resize(&kept, (kept.mask + 1) * 2);
        insert(&kept, one);
    }
    mem_free(k->slots);
    mem_free(k->v);
    vec_done(&k->ids);
    kept.epoch = epoch;
    kept.changes = k->changes + 1;
    kept.bases_bytes = k->bases_bytes;
    kept.charged_bytes = k->charged_bytes;
    *k = kept;
    known_charge(k, budget);
}

/* ---- the head before --------------------------------------------------------------------------------------------------- */

uint64_t met_before_bytes(const struct met_before *m) { return m->slots ? (m->mask + 1) * sizeof *m->slots : 0; }

void met_before_done(struct met_before *m, struct budget *budget) {
    if (budget) budget_give(budget, met_before_bytes(m));
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
