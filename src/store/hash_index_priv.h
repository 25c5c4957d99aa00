/* From a 64-bit hash to the row groups that may hold its key: sorted hash prefixes with a group number each.
 *
 *   prefix bits = ceil(log2 n) + 6 → about 1.6 % false groups a lookup; prefixes in delta frames of 128 with the first of each
 *   frame kept whole (binary search), group numbers packed at their width. About 1 + log2(groups) / 8 bytes an entry.
 *
 * Threads: pure. Errors: open checks all against the size given, ERR_CORRUPT.
 */
#pragma once

#include "base/base.h"

struct hash_index_entry { uint64_t hash; uint32_t group; };
/* Sorts and deduplicates the entries in place. */
void hash_index_encode(struct hash_index_entry *entries, uint32_t n, struct buf *out);

struct hash_index {
    uint32_t n, frames;
    uint8_t prefix_bits, group_bits;
    const unsigned char *firsts, *widths, *offsets, *packed, *groups;
};
err hash_index_open(struct str bytes, struct hash_index *out);
/* Groups that may hold the key, ascending, distinct, at most `max` (returns how many there are in all). */
uint32_t hash_index_find(const struct hash_index *x, uint64_t hash, uint32_t *out_groups, uint32_t max);
