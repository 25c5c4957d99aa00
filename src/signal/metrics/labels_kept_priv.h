/* Labels that a decoder keeps from one request to the next, so that series that come again cost neither looking into nor copying.
 *
 *   pages    [0] [1] [2] …     entries in the order in which labels were met first, which is that in which they will come again: whoever
 *             │   │            asks goes through memory from one line, and one page, to the next. `ahead` of an entry says what followed it
 *             ▼   ▼
 *            entries, bytes    labels as they came and, if that is something else, as they are kept
 *   index    lines of LABEL_WAYS: high bits of the hash | entry; 0: nothing. For an order that was another
 *
 * Invariants
 *  1. Labels are known if their bytes are those of an entry: no hash is believed. What an entry has was checked once, in whichever request.
 *  2. Hash and texts of an entry do not change while its page lives. Pages are counted: a batch has those of its series (points.h), so that
 *     nothing it speaks of is forgotten before it is done with, whatever the decoder forgets. What else is in an entry is the decoder's own.
 *
 * Limits: LABEL_PAGES pages of 32 KiB, fewer where memory.limit is small (LABEL_SHARE of it); labels of at most KEPT_BYTES_MAX. Pages are
 * taken from the budget of the request that made them and given back when nobody has them.
 * Threads: pages are let go of by any; all else is the decoder's.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "base/budget.h"
#include "signal/metrics/points.h"

enum {
    LABEL_PAGES = 256,
    PAGE_ENTRIES = 128,
    PAGE_BYTES = 32 << 10, /* with the entries, but for what brings them to a multiple of 64 */
    LABEL_CACHE = LABEL_PAGES * PAGE_ENTRIES,
    LABEL_WAYS = 16,
    LABEL_LINES = 2 * LABEL_CACHE / LABEL_WAYS,
    LABEL_SHARE = 64,
    KEPT_BYTES_MAX = 2048,
};

struct known_labels {
    struct hash128 hash;
    struct str kept; /* sorted, of Prometheus */
    const char *came;
    uint32_t came_n;
    uint32_t ahead;      /* the entry that was asked for LABELS_AHEAD later the last time */
    uint64_t generation; /* the request that has them already */
    uint32_t id;         /* their string in it, if they are not beside the batch */
    uint8_t kind;        /* enum labels_kind + 1; 0: empty */
    uint8_t slot;        /* which of its page it is */
};
static_assert(sizeof(struct known_labels) == 64, "none lies across two lines");

struct label_page {
    _Atomic uint32_t refs;
    uint32_t n, used;    /* entries, bytes */
    uint64_t generation; /* of the request that has it already */
    struct budget *budget;
    void *memory; /* within which it lies at a multiple of 64 */
    _Alignas(64) struct known_labels labels[PAGE_ENTRIES];
    char bytes[PAGE_BYTES - 64 - PAGE_ENTRIES * sizeof(struct known_labels)];
};
static_assert(sizeof(struct label_page) == PAGE_BYTES, "one piece");

struct label_line {
    uint32_t ways[LABEL_WAYS];
};

struct kept_labels {
    struct label_page *pages[LABEL_PAGES];
    struct label_line *index; /* at a multiple of 64 within index_memory */
    void *index_memory;
    uint32_t page, chance;      /* the one that is filled; counts labels that there was no room for */
    struct known_labels nobody; /* entry 0, and those of pages that are not there */
};

void kept_labels_init(struct kept_labels *k);
void kept_labels_done(struct kept_labels *k);
/* Lets go of all pages. */
void kept_labels_clear(struct kept_labels *k);

static inline struct known_labels *kept_labels_at(struct kept_labels *k, uint32_t entry) {
    struct label_page *page = k->pages[entry / PAGE_ENTRIES];
    return __builtin_expect(page != NULL, 1) ? &page->labels[entry % PAGE_ENTRIES] : &k->nobody;
}
/* The entry of these bytes; 0: there is none. */
uint32_t kept_labels_find(struct kept_labels *k, uint8_t kind, struct hash128 hash, struct str came);
/* A new one; 0: it is not kept. `kept` may be `came`. */
uint32_t kept_labels_add(struct kept_labels *k, uint8_t kind, struct hash128 hash, struct str came, struct str kept,
                         struct budget *budget);
void label_page_unref(struct label_page *page); /* takes NULL */
static inline struct label_page *label_page_of(struct known_labels *e) {
    return (struct label_page *)(void *)((char *)(e - e->slot) - offsetof(struct label_page, labels));
}

/* What a blob has of pages. */
struct points_pages {
    uint32_t n;
    size_t bytes; /* of labels of its series that are there, once each */
    struct label_page *v[];
};
