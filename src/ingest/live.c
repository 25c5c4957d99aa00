#include "ingest/live.h"

#include "os/thread.h"

enum { QUEUE_MAX = 256, BYTES_MAX = 8 << 20 };

struct live_reader {
    struct live *live;
    struct live_reader *next;
    char *tenant;
    enum signal signal;
    size_t bytes_max, bytes;
    void (*wake)(void *context);
    void *context;
    struct batch_blob *queue[QUEUE_MAX];
    size_t head, n; /* a ring */
    uint64_t lost;  /* rows, since the last batch that was taken */
};

struct live {
    struct lock lock; /* of everything */
    struct budget *budget;
    size_t readers_max;
    atomic_size_t count; /* of readers: without any, publishing costs one look */
    struct live_reader *readers;
    uint64_t lost_rows;
};

struct live *live_new(size_t readers_max, struct budget *budget) {
    struct live *l = mem_new_of(struct live);
    l->readers_max = readers_max;
    l->budget = budget;
    lock_init(&l->lock);
    return l;
}

void live_free(struct live *l) {
    if (!l) return;
    assert(!l->readers);
    lock_done(&l->lock);
    mem_free(l);
}

static bool follows(const struct live_reader *r, struct str tenant, enum signal signal) {
    return r->signal == signal && str_equal(str_of(r->tenant), tenant);
}

bool live_is_followed(struct live *l, struct str tenant, enum signal signal) {
    if (!l || atomic_load_explicit(&l->count, memory_order_relaxed) == 0) return false;
    bool found = false;
    lock_take(&l->lock);
    for (struct live_reader *r = l->readers; r && !found; r = r->next) found = follows(r, tenant, signal);
    lock_give(&l->lock);
    return found;
}

/* ---- queues: under the lock ------------------------------------------------------------------------------------- */

static bool has_room(struct live_reader *r, size_t bytes) {
    if (r->n == QUEUE_MAX || bytes > r->bytes_max - MIN(r->bytes, r->bytes_max)) return false;
    return !r->live->budget || budget_take(r->live->budget, bytes);
}

static void push(struct live_reader *r, struct batch_blob *blob, uint32_t rows) {
    size_t bytes = batch_bytes(blob).n;
    if (!has_room(r, bytes)) {
        r->lost += rows;
        r->live->lost_rows += rows;
        return;
    }
    r->queue[(r->head + r->n++) % QUEUE_MAX] = batch_ref(blob);
    r->bytes += bytes;
    if (r->n == 1) r->wake(r->context);
}

static struct batch_blob *pop(struct live_reader *r) {
    if (r->n == 0) return NULL;
    struct batch_blob *blob = r->queue[r->head];
    size_t bytes = batch_bytes(blob).n;
    r->head = (r->head + 1) % QUEUE_MAX;
    r->n--;
    r->bytes -= bytes;
    if (r->live->budget) budget_give(r->live->budget, bytes);
    return blob;
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

void live_publish(struct live *l, struct str tenant, enum signal signal, struct batch_blob *blob) {
    struct batch b;
    batch_view(blob, &b);
    lock_take(&l->lock);
    for (struct live_reader *r = l->readers; r; r = r->next)
        if (follows(r, tenant, signal)) push(r, blob, b.rows);
    lock_give(&l->lock);
}

err live_open(struct live *l, const struct live_options *options, struct live_reader **out) {
    struct live_reader *r = mem_new_of(struct live_reader);
    r->live = l;
    r->tenant = str_dup(options->tenant);
    r->signal = options->signal;
    r->bytes_max = options->bytes_max ? options->bytes_max : BYTES_MAX;
    r->wake = options->wake;
    r->context = options->context;
    lock_take(&l->lock);
    bool room = atomic_load(&l->count) < l->readers_max;
    if (room) {
        r->next = l->readers;
        l->readers = r;
        atomic_fetch_add(&l->count, 1);
    }
    lock_give(&l->lock);
    if (room) {
        *out = r;
        return NULL;
    }
    mem_free(r->tenant);
    mem_free(r);
    return err_new(ERR_BUSY, "%zu readers follow already; try again later", l->readers_max);
}

struct batch_blob *live_take(struct live_reader *r, uint64_t *out_lost) {
    lock_take(&r->live->lock);
    struct batch_blob *blob = pop(r);
    *out_lost = r->lost;
    r->lost = 0;
    lock_give(&r->live->lock);
    return blob;
}

void live_close(struct live_reader *r) {
    struct live *l = r->live;
    lock_take(&l->lock);
    struct live_reader **at = &l->readers;
    while (*at != r) at = &(*at)->next;
    *at = r->next;
    atomic_fetch_sub(&l->count, 1);
    for (struct batch_blob *blob; (blob = pop(r));) batch_unref(blob);
    lock_give(&l->lock);
    mem_free(r->tenant);
    mem_free(r);
}

void live_get_stats(struct live *l, struct live_stats *out) {
    lock_take(&l->lock);
    *out = (struct live_stats){.readers = atomic_load(&l->count), .lost_rows = l->lost_rows};
    lock_give(&l->lock);
}
