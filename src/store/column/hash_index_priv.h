/* From a 64-bit hash to the row groups that may hold its key: a sorted set of hash prefixes with a group number each.
 *
 *   prefix = the hash's high bits = bucket (about log2 n bits) + 6 low bits
 *
 *   n, widths │ directory: where each 256th bucket starts │ buckets in unary: 1 an entry, 0 behind each bucket │ low bits │ groups
 *
 * About (8 + log2 groups) / 8 bytes an entry, and 1.6 % (1.1 to 2.2) false groups a lookup: of all lookups, not per group.
 *
 * Invariants: entries stand in order of (prefix, group), each pair once; entry number = bit position − bucket number.
 * Limits: 2^26 groups. Threads: pure. Errors: open checks all sizes, ERR_CORRUPT; a lookup in wrong bits finds wrong groups
 * and nothing worse: callers compare them with the number of groups they have.
 * Source: Elias, "Efficient storage and retrieval by content and address of static files" (1974); Fano (1971).
 */
#pragma once

#include "base/base.h"

struct hash_index_entry {
    uint64_t hash;
    uint32_t group;
};
/* Any order, duplicates allowed; the entries are left as they are. */
void hash_index_encode(const struct hash_index_entry *entries, uint32_t n, struct buf *out);

struct hash_index {
    uint32_t n; /* entries */
    uint8_t bucket_bits, low_bits, group_bits;
    const unsigned char *directory, *unary, *unary_end, *lows, *group_numbers, *end;
};
err hash_index_open(struct str bytes, struct hash_index *out);
/* Groups that may hold the key, ascending, distinct, at most `max` (returns how many there are in all). */
uint32_t hash_index_find(const struct hash_index *x, uint64_t hash, uint32_t *out_groups, uint32_t max);
