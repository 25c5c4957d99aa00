#include "signal/metrics/labels_kept_priv.h"

#include "signal/batch_priv.h"

void kept_labels_init(struct kept_labels *k) {
    *k = (struct kept_labels){0};
    k->index_memory = mem_new((LABEL_LINES + 1) * sizeof *k->index); /* comes from the system as it is touched */
    k->index = (struct label_line *)(((uintptr_t)k->index_memory + 63) & ~(uintptr_t)63);
}

void kept_labels_clear(struct kept_labels *k) {
    bool any = false;
    for (uint32_t i = 0; i < LABEL_PAGES; i++) {
        any |= k->pages[i] != NULL;
        label_page_unref(k->pages[i]);
        k->pages[i] = NULL;
    }
    k->page = 0;
    if (any) memset(k->index, 0, LABEL_LINES * sizeof *k->index);
}

void kept_labels_done(struct kept_labels *k) {
    for (uint32_t i = 0; i < LABEL_PAGES; i++) label_page_unref(k->pages[i]);
    mem_free(k->index_memory);
}

/* ---- pages ---------------------------------------------------------------------------------------------------------- */

void label_page_unref(struct label_page *page) {
    if (!page || atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) > 1) return;
    if (page->budget) budget_give(page->budget, sizeof *page);
    mem_free(page->memory);
}

void points_pages_free(struct points_pages *p) {
    for (uint32_t i = 0; p && i < p->n; i++) label_page_unref(p->v[i]);
    mem_free(p);
}

/* Entry 0 is nobody's. */
static struct label_page *page_new(struct budget *budget, bool first) {
    if (budget && !budget_take(budget, sizeof(struct label_page))) return NULL;
    void *memory = mem_grow(NULL, sizeof(struct label_page) + 63);
    struct label_page *page = (struct label_page *)(((uintptr_t)memory + 63) & ~(uintptr_t)63);
    memset(page, 0, offsetof(struct label_page, bytes));
    page->memory = memory;
    atomic_init(&page->refs, 1);
    page->budget = budget;
    page->n = first;
    return page;
}

/* ---- the index ------------------------------------------------------------------------------------------------------- */

static uint32_t *ways_of(struct kept_labels *k, struct hash128 hash) { return k->index[hash.low % LABEL_LINES].ways; }

static uint32_t way_of(struct hash128 hash, uint32_t entry) { return (uint32_t)(hash.high >> 48) << 16 | entry; }
static_assert(LABEL_CACHE <= 1 << 16, "an entry is 16 bits of a way");

static void replace_way(uint32_t *ways, uint32_t old, uint32_t new_one, uint32_t else_at) {
    uint32_t i = 0;
    while (i < LABEL_WAYS && ways[i] != old) i++;
    if (i == LABEL_WAYS) i = else_at;
    if (i < LABEL_WAYS) ways[i] = new_one;
}

uint32_t kept_labels_find(struct kept_labels *k, uint8_t kind, struct hash128 hash, struct str came) {
    const uint32_t *ways = ways_of(k, hash);
    for (int i = 0; i < LABEL_WAYS; i++) {
        if (!ways[i] || ways[i] >> 16 != hash.high >> 48) continue;
        uint32_t at = ways[i] & (LABEL_CACHE - 1);
        struct known_labels *e = kept_labels_at(k, at);
        if (e->kind == kind && hash128_equal(e->hash, hash) && str_equal((struct str){e->came, e->came_n}, came))
            return at;
    }
    return 0;
}

/* ---- adding ---------------------------------------------------------------------------------------------------------- */

static void drop_page(struct kept_labels *k, uint32_t at) {
    struct label_page *page = k->pages[at];
    for (uint32_t i = 0; page && i < page->n; i++) {
        struct hash128 hash = page->labels[i].hash;
        if (page->labels[i].kind) replace_way(ways_of(k, hash), way_of(hash, at * PAGE_ENTRIES + i), 0, LABEL_WAYS);
    }
    label_page_unref(page);
    k->pages[at] = NULL;
}

static uint32_t pages_max(const struct budget *budget) {
    uint64_t n = budget ? budget->limit_bytes / LABEL_SHARE / PAGE_BYTES : LABEL_PAGES;
    return n < 1 ? 1 : n < LABEL_PAGES ? (uint32_t)n : LABEL_PAGES;
}

static bool page_has_room(const struct label_page *page, size_t bytes) {
    return page && page->n < PAGE_ENTRIES && sizeof page->bytes - page->used >= bytes;
}

/* A page with so much room: the oldest goes. Of more labels than there is room for, each would so be gone when it comes again: then one in
 * two is kept, by chance, and as many as there is room for are found. */
static struct label_page *page_for(struct kept_labels *k, size_t bytes, struct budget *budget) {
    uint32_t max = pages_max(budget), next = (k->page + 1) % max;
    struct label_page *page = k->pages[k->page];
    bool full = k->pages[next] != NULL;
    if (full && hash_u64(k->chance++) % 2) return NULL;
    if (page_has_room(page, bytes)) return page;
    if (!page) next = k->page;
    page = page_new(budget, next == 0);
    if (!page) return NULL;
    drop_page(k, next);
    k->page = next;
    return k->pages[next] = page;
}

static const char *put(struct label_page *page, struct str text) {
    char *at = page->bytes + page->used;
    if (text.n) memcpy(at, text.p, text.n);
    page->used += (uint32_t)text.n;
    return at;
}

uint32_t kept_labels_add(struct kept_labels *k, uint8_t kind, struct hash128 hash, struct str came, struct str kept,
                         struct budget *budget) {
    bool same = came.p == kept.p && came.n == kept.n;
    if (came.n > KEPT_BYTES_MAX || kept.n > KEPT_BYTES_MAX) return 0;
    struct label_page *page = page_for(k, came.n + kept.n, budget);
    if (!page) return 0;
    uint32_t at = k->page * PAGE_ENTRIES + page->n;
    struct known_labels *e = &page->labels[page->n];
    *e = (struct known_labels){.hash = hash, .came_n = (uint32_t)came.n, .kind = kind, .slot = (uint8_t)page->n++};
    e->came = put(page, came);
    e->kept = (struct str){same ? e->came : put(page, kept), kept.n};
    replace_way(ways_of(k, hash), 0, way_of(hash, at), k->chance++ % LABEL_WAYS);
    return at;
}
