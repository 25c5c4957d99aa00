/* Dictionaries from bytes to dense numbers: the n-th distinct string gets number n. Open addressing on 32-bit numbers with
 * 32 bits of hash beside them; bytes are always compared, a hash is never trusted.
 *
 *   strings   ids 0 .. n-1  → {offset, size} in one heap
 *
 * Limits: 2^31 strings, 4 GiB of bytes; whoever interns what the outside chooses bounds both first.
 * Owner: the caller; strings_done frees. Threads: one at a time; reading without adding may be shared.
 */
#pragma once

#include "base/base.h"

struct strings {
    char *heap;
    size_t heap_size, heap_capacity;
    uint32_t *end; /* end[i]: where string i ends in the heap; it starts at end[i-1] or 0 */
    uint32_t n, capacity;
    uint64_t *slots; /* hash high 32 bits | id + 1; 0 empty */
    uint32_t slot_mask;
    uint32_t hashed; /* how many ids are in slots: strings_append does not hash */
};

void strings_init(struct strings *s);
void strings_done(struct strings *s);
void strings_clear(struct strings *s);                       /* empties, keeps memory */
uint32_t strings_intern(struct strings *s, struct str text); /* the id of text, new or known */
uint32_t strings_append(struct strings *s, struct str text); /* a new id without looking whether text is known */
bool strings_find(const struct strings *s, struct str text, uint32_t *out_id);
static inline struct str strings_get(const struct strings *s, uint32_t id) {
    uint32_t start = id ? s->end[id - 1] : 0;
    return (struct str){s->heap + start, s->end[id] - start};
}
