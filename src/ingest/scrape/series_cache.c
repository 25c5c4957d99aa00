#include "base/hash.h"
#include "ingest/scrape/scrape_priv.h"

enum { SLOTS_MIN = 64, KEEP_MIN = 256 };

void series_cache_done(struct series_cache *c, struct budget *budget) {
    if (budget && c->drawn_bytes) budget_give(budget, c->drawn_bytes);
    vec_done(&c->known);
    vec_done(&c->rows);
    buf_done(&c->texts);
    mem_free(c->known_slots);
    mem_free(c->row_slots);
    *c = (struct series_cache){.scrape = c->scrape};
}

uint64_t series_cache_bytes(const struct series_cache *c) {
    return c->known.capacity * sizeof *c->known.v + c->rows.capacity * sizeof *c->rows.v + c->texts.capacity +
           ((uint64_t)c->known_mask + c->row_mask + 2) * sizeof(uint32_t);
}

/* ---- slots: open addressing, at most two thirds full ------------------------------------------------------------------ */

static void known_slot_put(struct series_cache *c, uint32_t i) {
    uint32_t at = (uint32_t)c->known.v[i].said.low & c->known_mask;
    while (c->known_slots[at]) at = (at + 1) & c->known_mask;
    c->known_slots[at] = i + 1;
}

static void row_slot_put(struct series_cache *c, uint32_t i) {
    uint32_t at = (uint32_t)c->rows.v[i].id.low & c->row_mask;
    while (c->row_slots[at]) at = (at + 1) & c->row_mask;
    c->row_slots[at] = i + 1;
}

static void slots_make(uint32_t **slots, uint32_t *mask, size_t n) {
    uint32_t size = SLOTS_MIN;
    while (size < n + n / 2 + 2) size *= 2;
    mem_free(*slots);
    *slots = mem_new_array(uint32_t, size);
    *mask = size - 1;
}

static void known_slots_make(struct series_cache *c, size_t n) {
    slots_make(&c->known_slots, &c->known_mask, n);
    for (uint32_t i = 0; i < c->known.n; i++) known_slot_put(c, i);
}

static void row_slots_make(struct series_cache *c, size_t n) {
    slots_make(&c->row_slots, &c->row_mask, n);
    for (uint32_t i = 0; i < c->rows.n; i++) row_slot_put(c, i);
}

/* ---- a scrape ----------------------------------------------------------------------------------------------------------- */

void series_cache_begin(struct series_cache *c) {
    c->scrape = MAX(c->scrape, 1u) + 1; /* from 2: rows begin as of scrape 0, which is before no scrape */
    c->known_before = c->known.n;
    c->rows_before = c->rows.n;
    c->texts_before = c->texts.n;
}

/* ---- finding and adding ------------------------------------------------------------------------------------------------ */

void series_cache_forget(struct series_cache *c) {
    vec_clear(&c->known);
    if (c->known_slots) known_slots_make(c, 0);
}

struct known_series *series_cache_find(struct series_cache *c, struct hash128 said) {
    if (!c->known_slots) return NULL;
    for (uint32_t at = (uint32_t)said.low & c->known_mask; c->known_slots[at]; at = (at + 1) & c->known_mask) {
        struct known_series *k = &c->known.v[c->known_slots[at] - 1];
        if (hash128_equal(k->said, said)) return k;
    }
    return NULL;
}

struct known_series *series_cache_add(struct series_cache *c, struct hash128 said, uint32_t row) {
    *vec_push(&c->known) = (struct known_series){.said = said, .row = row};
    if (!c->known_slots || c->known.n + c->known.n / 2 > c->known_mask)
        known_slots_make(c, 2 * c->known.n);
    else
        known_slot_put(c, (uint32_t)c->known.n - 1);
    return &c->known.v[c->known.n - 1];
}

uint32_t series_cache_row(struct series_cache *c, struct str labels) {
    struct hash128 id = hash_wide(labels.p, labels.n);
    if (!c->texts.max) buf_init(&c->texts, CACHE_TEXT_BYTES_MAX);
    for (uint32_t at = (uint32_t)id.low & c->row_mask; c->row_slots && c->row_slots[at]; at = (at + 1) & c->row_mask)
        if (hash128_equal(c->rows.v[c->row_slots[at] - 1].id, id)) return c->row_slots[at] - 1;
    size_t text = c->texts.n;
    buf_add_str(&c->texts, labels);
    if (c->texts.full) return ROW_DROPPED; /* 1 GiB of labels of one target */
    *vec_push(&c->rows) = (struct series_row){.id = id, .text = (uint32_t)text, .text_n = (uint32_t)labels.n};
    if (!c->row_slots || c->rows.n + c->rows.n / 2 > c->row_mask)
        row_slots_make(c, 2 * c->rows.n);
    else
        row_slot_put(c, (uint32_t)c->rows.n - 1);
    return (uint32_t)c->rows.n - 1;
}

struct str series_cache_labels(const struct series_cache *c, uint32_t row) {
    return (struct str){c->texts.p + c->rows.v[row].text, c->rows.v[row].text_n};
}

/* ---- after a scrape ------------------------------------------------------------------------------------------------------ */

/* Keeps what this scrape said, and the rows that belong to it. */
static void compact(struct series_cache *c) {
    uint32_t *moved = mem_new_array(uint32_t, c->rows.n + 1); /* + 1; 0: gone */
    struct buf texts;
    uint32_t rows = 0, known = 0;
    buf_init(&texts, CACHE_TEXT_BYTES_MAX);
    for (uint32_t i = 0; i < c->rows.n; i++) {
        struct series_row r = c->rows.v[i];
        if (r.seen != c->scrape && r.tracked != c->scrape) continue;
        struct str text = series_cache_labels(c, i);
        r.text = (uint32_t)texts.n;
        buf_add_str(&texts, text);
        c->rows.v[rows] = r;
        moved[i] = ++rows;
    }
    for (uint32_t i = 0; i < c->known.n; i++) {
        struct known_series k = c->known.v[i];
        if (k.seen != c->scrape || (k.row != ROW_DROPPED && !moved[k.row])) continue;
        if (k.row != ROW_DROPPED) k.row = moved[k.row] - 1;
        c->known.v[known++] = k;
    }
    mem_free(moved);
    buf_done(&c->texts);
    c->texts = texts;
    c->rows.n = rows;
    c->known.n = known;
    known_slots_make(c, known);
    row_slots_make(c, rows);
}

static void take_back(struct series_cache *c) {
    if (c->known.n == c->known_before && c->rows.n == c->rows_before) return;
    c->known.n = c->known_before;
    c->rows.n = c->rows_before;
    c->texts.n = c->texts_before;
    c->texts.full = false;
    known_slots_make(c, c->known.n);
    row_slots_make(c, c->rows.n);
}

bool series_cache_settle(struct series_cache *c, struct budget *budget, bool failed) {
    uint32_t stale = 0;
    if (failed) take_back(c);
    for (uint32_t i = 0; i < c->known.n; i++) stale += c->known.v[i].seen != c->scrape;
    uint32_t old = 0;
    for (uint32_t i = 0; i < c->rows.n; i++) old += c->rows.v[i].seen != c->scrape;
    if (!failed && (stale > c->known.n / 2 + KEEP_MIN || old > c->rows.n / 2 + KEEP_MIN)) compact(c);
    uint64_t held = series_cache_bytes(c);
    if (!budget) return true;
    if (held > c->drawn_bytes && !budget_take(budget, held - c->drawn_bytes)) {
        series_cache_done(c, budget);
        return false;
    }
    if (held < c->drawn_bytes) budget_give(budget, c->drawn_bytes - held);
    c->drawn_bytes = held;
    return true;
}
