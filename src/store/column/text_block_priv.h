/* An opened text block: what text_read.c and text_words.c share. Parts are opened as they are needed, in the arena. */
#pragma once

#include "store/column/text_format_priv.h"
#include "store/column/text_priv.h"

struct text_block {
    struct arena *arena;
    const struct text_skeletons *skeletons;
    uint32_t n, kept, fallback_rows, columns;
    uint32_t *part_ids, *rows_of; /* kept each */
    struct codes locals;          /* per row: skeleton of the block, or `kept`: the fallback */
    struct ints slots, column_sizes;
    struct str column_bytes;
    bool separated; /* texts of the fallback end with `separator`; else `lengths` says their sizes */
    char separator;
    struct ints lengths, page_sizes, page_raw, page_rows;
    struct str page_bytes;

    bool rows_ready, pages_ready;
    uint16_t *local_of;     /* per row */
    uint32_t *first_column; /* kept + 1 */
    uint32_t *column_start; /* columns + 1, in column_bytes */
    struct slot **column;   /* NULL: not yet opened */
    uint32_t pages;
    uint32_t *page_start, *page_first; /* pages + 1: in page_bytes; fallback rows */
    /* The page unpacked last. */
    uint32_t page, page_capacity, page_rows_capacity;
    char *page_heap;
    uint32_t *page_end;

    bool corrupt; /* else, on a failure, the arena is full */
    const char *failure;
};

/* Each returns false, having set the failure, if it cannot be had. */
bool block_rows_ready(struct text_block *t);
bool block_pages_ready(struct text_block *t);
struct slot *block_slot(struct text_block *t, uint32_t local, uint32_t slot);
/* Unpacks a page of the fallback to page_heap, page_end[0 .. its rows). */
bool block_load_page(struct text_block *t, uint32_t page);
bool block_fail(struct text_block *t, bool corrupt, const char *what); /* false */
/* Row number `at` of a skeleton, appended. */
bool block_put_row(struct text_block *t, uint32_t local, uint32_t at, struct buf *out);
static inline struct str block_skeleton(const struct text_block *t, uint32_t local) {
    uint32_t id = t->part_ids[local], start = id ? t->skeletons->end[id - 1] : 0;
    return (struct str){t->skeletons->heap + start, t->skeletons->end[id] - start};
}
