/* Memory of one request, query or job, freed at once, with a limit on its bytes.
 *
 * Blocks double from 4 KiB to 1 MiB; larger pieces get a block of their own. A piece is aligned to 16 bytes and its
 * content is undefined unless the name says zero.
 *
 * With a budget (set after arena_init, while the arena is empty) each block is taken from it before it is had, and given back with it.
 *
 * Owner: the scope that called arena_init. Threads: one at a time. Errors: over the limit, arena_alloc returns NULL and
 * `full` stays set; who takes sizes from outside checks, and returns arena_err ("over the memory limit of N bytes", or ERR_BUSY where the
 * budget refused).
 */
#pragma once

#include "base/base.h"

struct arena_block;
struct budget;

struct arena {
    struct arena_block *blocks;
    char *next, *end;
    size_t used_bytes, limit_bytes; /* used: of all blocks, not only of the pieces handed out */
    struct budget *budget;          /* NULL: none */
    bool full, refused;             /* refused: full because of the budget */
};

void arena_init(struct arena *a, size_t limit_bytes);
void arena_done(struct arena *a);
void arena_clear(struct arena *a);                    /* frees all but the first block */
void *arena_alloc(struct arena *a, size_t n);         /* NULL over the limit */
void *arena_zero(struct arena *a, size_t n);          /* the same, zeroed */
struct str arena_copy(struct arena *a, struct str s); /* p = NULL over the limit; terminated by a zero not counted */
err arena_err(const struct arena *a);                 /* the `limit` error, or the budget's, if full, else NULL */
#define arena_new(a, type) ((type *)arena_zero((a), sizeof(type)))
#define arena_array(a, type, count) ((type *)arena_zero((a), sizeof(type) * (size_t)(count)))
#define AUTO_ARENA __attribute__((cleanup(arena_done)))
