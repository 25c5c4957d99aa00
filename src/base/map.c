#include "base/map.h"

#include "base/hash.h"
#include "base/vec.h"

void strings_init(struct strings *s) { *s = (struct strings){0}; }

void strings_done(struct strings *s) {
    mem_free(s->heap);
    mem_free(s->end);
    mem_free(s->slots);
    *s = (struct strings){0};
}

void strings_clear(struct strings *s) {
    s->n = s->hashed = 0;
    s->heap_size = 0;
    if (s->slots) memset(s->slots, 0, ((size_t)s->slot_mask + 1) * sizeof *s->slots);
}

uint32_t strings_append(struct strings *s, struct str text) {
    if (s->n == s->capacity) {
        size_t capacity = s->capacity;
        s->end = vec_grow_(s->end, &capacity, (size_t)s->n + 1, sizeof *s->end);
        s->capacity = (uint32_t)capacity;
    }
    if (s->heap_size + text.n >= s->heap_capacity) /* also for the first, empty text: the heap is never NULL */
        s->heap = vec_grow_(s->heap, &s->heap_capacity, s->heap_size + text.n, 1);
    if (text.n) memcpy(s->heap + s->heap_size, text.p, text.n);
    s->heap_size += text.n;
    assert(s->heap_size <= UINT32_MAX);
    s->end[s->n] = (uint32_t)s->heap_size;
    return s->n++;
}

static void grow_slots(struct strings *s) {
    uint32_t old_count = s->slots ? s->slot_mask + 1 : 0, count = old_count ? old_count * 2 : 64;
    uint64_t *old = s->slots;
    s->slots = mem_new_array(uint64_t, count);
    s->slot_mask = count - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        if (!old[i]) continue;
        /* The stored half of the hash picks the new place, so nothing is hashed again. */
        uint32_t at = (uint32_t)(old[i] >> 32) & s->slot_mask;
        while (s->slots[at]) at = (at + 1) & s->slot_mask;
        s->slots[at] = old[i];
    }
    mem_free(old);
}

uint32_t strings_intern(struct strings *s, struct str text) {
    if (!s->slots || s->hashed >= (s->slot_mask + 1) / 2) grow_slots(s);
    uint64_t high = hash_fast(text.p, text.n) >> 32;
    uint32_t at = (uint32_t)high & s->slot_mask;
    for (; s->slots[at]; at = (at + 1) & s->slot_mask) {
        uint32_t id = (uint32_t)s->slots[at] - 1;
        if (s->slots[at] >> 32 == high && str_equal(strings_get(s, id), text)) return id;
    }
    uint32_t id = strings_append(s, text);
    s->slots[at] = high << 32 | (id + 1);
    s->hashed++;
    return id;
}

bool strings_find(const struct strings *s, struct str text, uint32_t *out_id) {
    if (!s->slots) return false;
    uint64_t high = hash_fast(text.p, text.n) >> 32;
    for (uint32_t at = (uint32_t)high & s->slot_mask; s->slots[at]; at = (at + 1) & s->slot_mask) {
        uint32_t id = (uint32_t)s->slots[at] - 1;
        if (s->slots[at] >> 32 == high && str_equal(strings_get(s, id), text)) {
            *out_id = id;
            return true;
        }
    }
    return false;
}
