/* Columns of free text: log bodies, URLs, messages, ids. A text is split into a skeleton (its words without digits and all
 * punctuation, which repeat) and slots (its tokens with digits, which vary): "took 35 ms" → skeleton "took ␀ ms" + slot 35.
 *
 *   part:   skeleton dictionary (bytes of all distinct skeletons, words answered from it alone)
 *   group:  list of part skeleton ids │ rows per skeleton │ packed local ids │ one column a slot (decimal, hex, string) │ fallback
 *
 * Each slot picks the smallest of: decimal numbers with width, hex of fixed width, codes of few strings, zstd bytes. Texts whose
 * skeleton is rare in the group, and groups where the split does not pay, go to a zstd stream (level 1).
 * What comes out is what went in, byte for byte, any bytes.
 *
 * Limits: a text ≤ 16 MiB; 4,096 skeletons a group; 64 slots a skeleton, tokens of 128 bytes, skeletons of 4 KiB (beyond: the
 * fallback). The fallback is cut into pages of 64 KiB that unpack alone.
 * Errors: *_open checks headers and sizes, ERR_CORRUPT; columns and pages are opened at first touch: a bad one reads as
 * empty text, and text_block_err says so afterwards (the functions that return err return it).
 * Threads: an encoder belongs to one thread; so does a block (it opens its columns as they are needed, in its arena).
 */
#pragma once

#include "base/map.h"

struct arena;
struct words;

/* ---- writing ---------------------------------------------------------------------------------------------------- */

struct text_encoder; /* of one column of one part: holds the part's skeletons */
struct text_encoder *
text_encoder_new(struct strings *skeletons); /* skeletons: the part's, shared by its text columns */
void text_encoder_free(struct text_encoder *t);
/* One group's column: n texts → block. */
void text_encode(struct text_encoder *t, const struct str *texts, uint32_t n, struct buf *out);
/* Rewrites a block for another part: its skeleton id x becomes map[x]. The rest is copied. */
err text_block_remap(struct str block, const uint32_t *map, uint32_t map_count, struct buf *out);

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* The part's skeletons, in id order; the caller keeps end[] and heap alive. */
struct text_skeletons {
    uint32_t n;
    const uint32_t *end;
    const char *heap;
};

struct text_block; /* opened in an arena */
err text_block_open(struct arena *a, const struct text_skeletons *skeletons, struct str block, uint32_t n,
                    struct text_block **out);
/* The ids of the part's skeletons that this block uses, and how many rows each has; returns how many ids there are. */
uint32_t text_block_skeletons(const struct text_block *t, const uint32_t **out_part_ids,
                              const uint32_t **out_row_counts);
/* Rows that no skeleton describes. */
uint32_t text_block_fallback_rows(const struct text_block *t);
/* Row i's text, appended. Any order; nothing is appended where text_block_err is set. */
void text_get(struct text_block *t, uint32_t row, struct buf *out);
/* What went wrong so far: ERR_CORRUPT, ERR_LIMIT (the arena is full), or NULL. The caller's. */
err text_block_err(const struct text_block *t);
/* All texts, into arena memory: out[i] for rows[i] (rows NULL: rows 0..n-1). ERR_LIMIT when the arena is full. */
err text_get_many(struct text_block *t, const uint32_t *rows, uint32_t n, struct str *out);

/* What a skeleton alone says about each term of a words predicate; computed once a part and predicate. */
struct text_match {
    uint32_t n;            /* skeletons */
    const uint32_t *found; /* per skeleton: bit t = term t is surely in every text of it */
    const uint32_t *maybe; /* per skeleton: bit t = a slot of a text of it may hold term t */
};
err text_match_make(struct arena *a, const struct text_skeletons *s, const struct words *w, struct text_match *out);
/* found[row] |= bits of the terms that row's text has: exact, for all n rows. A page of the fallback whose rows all have all
 * bits already is not unpacked, so that several columns may be asked one after the other. */
err text_find_words(struct text_block *t, const struct text_match *m, const struct words *w, uint32_t *found);
/* How many rows have every term, if counters alone tell (no slot or fallback row can decide); false if they do not. */
bool text_count_words(const struct text_block *t, const struct text_match *m, const struct words *w,
                      uint32_t *out_rows);
