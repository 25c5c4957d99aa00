/* Files of the simulated disk: bytes, sectors, what a sync covers and what a power cut leaves. Laws 1, 2, 5, 7 of sim.h. */
#include <stdlib.h>

#include "os/sim/disk_priv.h"

/* ---- nodes ------------------------------------------------------------------------------------------------------ */

struct node *node_new(bool is_dir) {
    struct node *n = mem_new_of(struct node);
    n->is_dir = is_dir;
    n->refs = 1;
    n->next = sim_disk.nodes;
    if (n->next) n->next->before = n;
    sim_disk.nodes = n;
    return n;
}

static void images_free(struct image **first) {
    for (struct image *i = *first, *next; i; i = next) {
        next = i->next;
        mem_free(i);
    }
    *first = NULL;
}

static void sector_forget(struct sector *s) {
    images_free(&s->durable);
    images_free(&s->between);
    s->between_count = 0;
    s->flags &= SECTOR_WRITTEN;
}

static void block_unref(struct block *b) {
    if (b && --b->refs == 0) mem_free(b);
}

static void table_drop(table *t) {
    for (size_t i = 0; i < t->n; i++) {
        mem_free(t->v[i].name);
        node_unref(t->v[i].node);
    }
    vec_done(t);
}

static void node_free(struct node *n) {
    if (n->before)
        n->before->next = n->next;
    else
        sim_disk.nodes = n->next;
    if (n->next) n->next->before = n->before;
    for (size_t i = 0; i < n->sector_count; i++) sector_forget(&n->sectors[i]);
    mem_free(n->sectors);
    block_unref(n->block);
    vec_done(&n->dirty);
    table_drop(&n->live);
    table_drop(&n->durable);
    mem_free(n);
}

void node_ref(struct node *n) { n->refs++; }

void node_unref(struct node *n) {
    if (--n->refs == 0) node_free(n);
}

void node_live_ref(struct node *n) {
    node_ref(n);
    if (n->live_refs++ == 0) sim_disk.used_sectors += n->written_sectors;
}

void node_live_unref(struct node *n) {
    if (--n->live_refs == 0) sim_disk.used_sectors -= n->written_sectors;
    node_unref(n);
}

/* ---- space ------------------------------------------------------------------------------------------------------ */

static uint64_t free_sectors(void) {
    uint64_t limit = sim_disk.limit_bytes / SECTOR_BYTES;
    if (sim_disk.limit_bytes == 0) return UINT64_MAX;
    return limit > sim_disk.used_sectors ? limit - sim_disk.used_sectors : 0;
}

bool disk_is_full(void) { return free_sectors() == 0; }

static void set_written(struct node *n, struct sector *s, bool written) {
    if (written == !!(s->flags & SECTOR_WRITTEN)) return;
    s->flags ^= SECTOR_WRITTEN;
    n->written_sectors += written ? 1 : (size_t)-1;
    if (n->live_refs > 0) sim_disk.used_sectors += written ? 1 : UINT64_MAX;
}

bool node_fits(uint64_t offset, uint64_t n) { return n <= FILE_BYTES_MAX && offset <= FILE_BYTES_MAX - n; }

static void grow(struct node *n, uint64_t size) {
    size_t old = n->sector_count, want = (size + SECTOR_BYTES - 1) / SECTOR_BYTES;
    if (want <= old) return;
    size_t count = MAX(want, old + old / 2 + 2), capacity = count * SECTOR_BYTES;
    if (n->block && n->block->refs == 1) {
        n->block = mem_grow(n->block, sizeof *n->block + capacity);
    } else {
        struct block *fresh = mem_grow(NULL, sizeof *fresh + capacity);
        fresh->refs = 1;
        if (old) memcpy(fresh->bytes, n->block->bytes, old * SECTOR_BYTES);
        block_unref(n->block);
        n->block = fresh;
    }
    n->block->capacity = capacity;
    n->sectors = mem_grow(n->sectors, count * sizeof n->sectors[0]);
    memset(n->block->bytes + old * SECTOR_BYTES, 0, capacity - old * SECTOR_BYTES);
    memset(n->sectors + old, 0, (count - old) * sizeof n->sectors[0]);
    n->sector_count = count;
}

/* Makes the block ours alone before its bytes change, so that maps stay as they were. */
static void own(struct node *n) {
    if (!n->block || n->block->refs == 1) return;
    size_t size = sizeof *n->block + n->block->capacity;
    struct block *copy = mem_grow(NULL, size);
    memcpy(copy, n->block, size);
    copy->refs = 1;
    block_unref(n->block);
    n->block = copy;
}

/* ---- changing bytes --------------------------------------------------------------------------------------------- */

static char *sector_bytes(struct node *n, size_t i) { return n->block->bytes + i * SECTOR_BYTES; }

static bool is_zero(const char *bytes) {
    static const char zeros[SECTOR_BYTES];
    return memcmp(bytes, zeros, SECTOR_BYTES) == 0;
}

static struct image *image_of(const char *bytes) {
    struct image *image = mem_grow(NULL, sizeof *image);
    image->next = NULL;
    memcpy(image->bytes, bytes, SECTOR_BYTES);
    return image;
}

static void remember_between(struct sector *s, const char *bytes) {
    if (s->between_count < BETWEEN_MAX) {
        struct image *image = image_of(bytes);
        image->next = s->between;
        s->between = image;
        s->between_count++;
        return;
    }
    struct image *victim = s->between;
    for (uint64_t skip = dice_below(BETWEEN_MAX); skip > 0; skip--) victim = victim->next;
    memcpy(victim->bytes, bytes, SECTOR_BYTES);
}

/* To be called before the bytes of a sector change. */
static void touch(struct node *n, size_t i) {
    struct sector *s = &n->sectors[i];
    const char *bytes = sector_bytes(n, i);
    if (s->flags & SECTOR_DIRTY) {
        remember_between(s, bytes);
        return;
    }
    if (!(s->flags & SECTOR_DROPPED) && (s->flags & SECTOR_WRITTEN) && !is_zero(bytes)) s->durable = image_of(bytes);
    s->flags = (uint8_t)((s->flags & ~SECTOR_DROPPED) | SECTOR_DIRTY);
    *vec_push(&n->dirty) = i;
}

static void set_size(struct node *n, uint64_t size) {
    n->size = size;
    n->size_least = MIN(n->size_least, size);
    n->size_most = MAX(n->size_most, size);
}

size_t node_write(struct node *n, const char *bytes, size_t size, uint64_t offset) {
    size_t done = 0;
    if (size == 0) return 0;
    own(n);
    grow(n, offset + size);
    while (done < size) {
        size_t i = (offset + done) / SECTOR_BYTES, at = (offset + done) % SECTOR_BYTES;
        size_t step = MIN(size - done, SECTOR_BYTES - at);
        if (!(n->sectors[i].flags & SECTOR_WRITTEN) && disk_is_full()) break;
        touch(n, i);
        set_written(n, &n->sectors[i], true);
        memcpy(sector_bytes(n, i) + at, bytes + done, step);
        done += step;
    }
    if (done > 0) set_size(n, MAX(n->size, offset + done));
    return done;
}

/* Zeroes from `size` on, also past a sector's middle, so that growing again shows zeros. */
static void cut_off(struct node *n, uint64_t size) {
    size_t first = size / SECTOR_BYTES, at = size % SECTOR_BYTES;
    for (size_t i = first; i < n->sector_count && i * SECTOR_BYTES < n->size; i++, at = 0) {
        if (!(n->sectors[i].flags & SECTOR_WRITTEN)) continue;
        touch(n, i);
        memset(sector_bytes(n, i) + at, 0, SECTOR_BYTES - at);
        if (at == 0) set_written(n, &n->sectors[i], false);
    }
}

void node_resize(struct node *n, uint64_t size) {
    own(n);
    grow(n, size);
    if (size < n->size) cut_off(n, size);
    set_size(n, size);
}

bool node_allocate(struct node *n, uint64_t size) {
    size_t count = (size + SECTOR_BYTES - 1) / SECTOR_BYTES, missing = 0;
    own(n);
    grow(n, size);
    for (size_t i = 0; i < count; i++) missing += !(n->sectors[i].flags & SECTOR_WRITTEN);
    if (missing > free_sectors()) return false;
    for (size_t i = 0; i < count; i++) set_written(n, &n->sectors[i], true);
    set_size(n, MAX(n->size, size));
    return true;
}

/* ---- syncing ---------------------------------------------------------------------------------------------------- */

static void sizes_settle(struct node *n) { n->durable_size = n->size_least = n->size_most = n->size; }

void node_sync(struct node *n) {
    for (size_t i = 0; i < n->dirty.n; i++) sector_forget(&n->sectors[n->dirty.v[i]]);
    vec_clear(&n->dirty);
    sizes_settle(n);
}

/* The sector never reaches the platter; half of the time the cache forgets it at once. */
static void drop(struct node *n, size_t i, bool evict) {
    struct sector *s = &n->sectors[i];
    images_free(&s->between);
    s->between_count = 0;
    s->flags = (uint8_t)((s->flags & ~SECTOR_DIRTY) | SECTOR_DROPPED);
    if (!evict) return;
    if (s->durable)
        memcpy(sector_bytes(n, i), s->durable->bytes, SECTOR_BYTES);
    else
        memset(sector_bytes(n, i), 0, SECTOR_BYTES);
    sector_forget(s);
}

/* Bytes past the size must be zero, also after old bytes came back. */
static void zero_past_size(struct node *n) {
    size_t end = n->sector_count * SECTOR_BYTES;
    if (n->block && n->size < end) memset(n->block->bytes + n->size, 0, end - n->size);
}

void node_sync_failed(struct node *n) {
    own(n);
    uint64_t percent_written = dice_below(3) == 0 ? 0 : dice_below(101);
    for (size_t k = 0; k < n->dirty.n; k++) {
        size_t i = n->dirty.v[k];
        if (dice_below(100) < percent_written)
            sector_forget(&n->sectors[i]);
        else
            drop(n, i, dice_coin());
    }
    vec_clear(&n->dirty);
    zero_past_size(n);
    if (dice_coin()) sizes_settle(n);
}

/* ---- power cuts ------------------------------------------------------------------------------------------------- */

static uint64_t surviving_size(const struct node *n, enum fate fate) {
    if (fate == FATE_LOSE) return n->durable_size;
    if (fate == FATE_KEEP) return n->size;
    uint64_t between = n->size_least + dice_below(n->size_most - n->size_least + 1);
    switch (dice_below(4)) {
    case 0: return n->durable_size;
    case 1: return n->size;
    case 2: return between;
    default: return MAX(between / SECTOR_BYTES * SECTOR_BYTES, n->size_least);
    }
}

static void sector_restore(struct node *n, size_t i, const struct image *image) {
    if (image)
        memcpy(sector_bytes(n, i), image->bytes, SECTOR_BYTES);
    else
        memset(sector_bytes(n, i), 0, SECTOR_BYTES);
}

static void sector_garbage(struct node *n, size_t i) {
    for (size_t at = 0; at < SECTOR_BYTES; at += 8) {
        uint64_t word = xoshiro_next(&sim_disk.dice);
        memcpy(sector_bytes(n, i) + at, &word, 8);
    }
}

static void sector_lose(struct node *n, size_t i, enum fate fate, uint64_t percent_kept) {
    struct sector *s = &n->sectors[i];
    bool dropped = s->flags & SECTOR_DROPPED;
    if (!dropped && (fate == FATE_KEEP || (fate == FATE_MIX && dice_below(100) < percent_kept))) return;
    if (dropped || fate == FATE_LOSE) {
        sector_restore(n, i, s->durable);
    } else if (s->between_count > 0 && dice_coin()) {
        const struct image *image = s->between;
        for (uint64_t skip = dice_below(s->between_count); skip > 0; skip--) image = image->next;
        sector_restore(n, i, image);
    } else if (i * SECTOR_BYTES >= n->durable_size && dice_below(8) == 0) {
        sector_garbage(n, i);
    } else {
        sector_restore(n, i, s->durable);
    }
}

void node_lose(struct node *n, enum fate fate) {
    uint64_t percent_kept = dice_below(101);
    own(n);
    uint64_t size = surviving_size(n, fate);
    for (size_t i = 0; i < n->sector_count; i++) {
        struct sector *s = &n->sectors[i];
        if (s->flags & (SECTOR_DIRTY | SECTOR_DROPPED)) {
            sector_lose(n, i, fate, percent_kept);
            sector_forget(s);
            if (!is_zero(sector_bytes(n, i))) set_written(n, s, true);
        }
        if (i * SECTOR_BYTES >= size) set_written(n, s, false);
    }
    vec_clear(&n->dirty);
    n->size = size;
    zero_past_size(n);
    sizes_settle(n);
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

void node_flip(struct node *n, uint64_t offset, unsigned bit) { n->block->bytes[offset] ^= (char)(1u << bit); }

struct str node_map(struct node *n) {
    if (n->size == 0) return (struct str){NULL, 0};
    n->block->refs++;
    return str_span(n->block->bytes, n->size);
}

void node_unmap(struct str map) {
    if (map.p) block_unref((struct block *)(uintptr_t)(map.p - offsetof(struct block, bytes)));
}
