#include "base/arena.h"

#include "base/budget.h"

struct arena_block {
    struct arena_block *older;
    size_t size; /* with this header */
};

enum { ARENA_BLOCK_MIN = 4096, ARENA_ALIGN = 16 };
#define ARENA_BLOCK_MAX MIB
#define HEADER ((sizeof(struct arena_block) + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN)

void arena_init(struct arena *a, size_t limit_bytes) { *a = (struct arena){.limit_bytes = limit_bytes}; }

static void free_blocks(struct arena *a, struct arena_block *until) {
    while (a->blocks != until) {
        struct arena_block *b = a->blocks;
        a->blocks = b->older;
        a->used_bytes -= b->size;
        if (a->budget) budget_give(a->budget, b->size);
        mem_free(b);
    }
}

void arena_done(struct arena *a) {
    free_blocks(a, NULL);
    *a = (struct arena){.limit_bytes = a->limit_bytes, .budget = a->budget};
}

void arena_clear(struct arena *a) {
    struct arena_block *first = a->blocks;
    while (first && first->older) first = first->older;
    free_blocks(a, first);
    a->full = a->refused = false;
    a->next = first ? (char *)first + HEADER : NULL;
    a->end = first ? (char *)first + first->size : NULL;
}

static bool add_block(struct arena *a, size_t n) {
    size_t size = a->blocks ? MIN(a->blocks->size * 2, ARENA_BLOCK_MAX) : (size_t)ARENA_BLOCK_MIN;
    size = MAX(size, n + HEADER);
    if (size > a->limit_bytes - a->used_bytes) size = n + HEADER; /* near the limit: only what is needed */
    if (n > SIZE_MAX / 2 || size > a->limit_bytes - a->used_bytes) {
        a->full = true;
        return false;
    }
    if (a->budget && !budget_take(a->budget, size)) {
        a->full = a->refused = true;
        return false;
    }
    struct arena_block *b = mem_grow(NULL, size);
    *b = (struct arena_block){a->blocks, size};
    a->blocks = b;
    a->used_bytes += size;
    a->next = (char *)b + HEADER;
    a->end = (char *)b + size;
    return true;
}

void *arena_alloc(struct arena *a, size_t n) {
    n = n > SIZE_MAX / 2 ? SIZE_MAX : (MAX(n, (size_t)1) + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    if (n > (size_t)(a->end - a->next) && !add_block(a, n)) return NULL;
    void *p = a->next;
    a->next += n;
    return p;
}

void *arena_zero(struct arena *a, size_t n) {
    void *p = arena_alloc(a, n);
    if (p) memset(p, 0, n);
    return p;
}

struct str arena_copy(struct arena *a, struct str s) {
    char *p = arena_alloc(a, s.n + 1);
    if (!p) return (struct str){0};
    if (s.n) memcpy(p, s.p, s.n);
    p[s.n] = 0;
    return (struct str){p, s.n};
}

err arena_err(const struct arena *a) {
    if (a->refused) return budget_err(a->budget, "a query");
    return a->full ? err_new(ERR_LIMIT, "over the memory limit of %zu bytes for one request", a->limit_bytes) : NULL;
}
