/* Words of many strings at once: their common heap is searched for each term's bytes, 16 places at a time, and what surrounds a
 * hit decides. Strings without a hit are never looked at.
 *
 * Threads: pure. Equal, bit by bit, to words_find of each string.
 */
#pragma once

#include "store/match/words_priv.h"

/* String i is heap[end[i - 1] .. end[i]). found[i] |= bits of the terms it has. Returns the terms that any string has. */
void words_find_term(const struct word_term *t, uint32_t bit, const char *heap, const uint32_t *end, uint32_t count,
                     uint32_t *found); /* one term alone: sets `bit` */
uint32_t words_find_all(const struct words *w, const char *heap, const uint32_t *end, uint32_t count, uint32_t *found);
