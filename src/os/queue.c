/* Locks and the bounded queue: the same in the real os and in os/sim, which differ in how flag_wait waits. */
#include <stdlib.h>

#include "os/thread.h"

/* A failing lock call is a mistake in our code (destroyed, not held, taken twice): no caller could go on. */
static void must(int failed) {
    if (failed) abort();
}

void lock_init(struct lock *l) { must(pthread_mutex_init(&l->m, NULL)); }
void lock_done(struct lock *l) { must(pthread_mutex_destroy(&l->m)); }
void lock_take(struct lock *l) { must(pthread_mutex_lock(&l->m)); }
void lock_give(struct lock *l) { must(pthread_mutex_unlock(&l->m)); }
void flag_init(struct signal_flag *f) { must(pthread_cond_init(&f->c, NULL)); }
void flag_done(struct signal_flag *f) { must(pthread_cond_destroy(&f->c)); }
void flag_wake_one(struct signal_flag *f) { must(pthread_cond_signal(&f->c)); }
void flag_wake_all(struct signal_flag *f) { must(pthread_cond_broadcast(&f->c)); }

struct queue {
    struct lock lock;
    struct signal_flag filled;
    size_t capacity, first, count; /* items at first, first + 1, … modulo capacity */
    size_t waiting;                /* threads in queue_pop_wait: without one a push need not wake */
    bool closed;
    void **items;
};

struct queue *queue_new(size_t capacity) {
    assert(capacity > 0);
    struct queue *q = mem_new_of(struct queue);
    lock_init(&q->lock);
    flag_init(&q->filled);
    q->capacity = capacity;
    q->items = mem_new_array(void *, capacity);
    return q;
}

void queue_free(struct queue *q) {
    if (!q) return;
    assert(q->count == 0);
    lock_done(&q->lock);
    flag_done(&q->filled);
    mem_free(q->items);
    mem_free(q);
}

bool queue_push(struct queue *q, void *item) {
    assert(item);
    lock_take(&q->lock);
    bool fits = !q->closed && q->count < q->capacity;
    bool wake = fits && q->waiting > 0;
    if (fits) q->items[(q->first + q->count++) % q->capacity] = item;
    lock_give(&q->lock);
    if (wake) flag_wake_one(&q->filled);
    return fits;
}

static void *queue_take_first(struct queue *q) {
    if (q->count == 0) return NULL;
    void *item = q->items[q->first];
    q->first = (q->first + 1) % q->capacity;
    q->count--;
    return item;
}

void *queue_pop_wait(struct queue *q) {
    lock_take(&q->lock);
    q->waiting++;
    while (q->count == 0 && !q->closed) flag_wait(&q->filled, &q->lock);
    q->waiting--;
    void *item = queue_take_first(q);
    lock_give(&q->lock);
    return item;
}

void *queue_pop(struct queue *q) {
    lock_take(&q->lock);
    void *item = queue_take_first(q);
    lock_give(&q->lock);
    return item;
}

void queue_close(struct queue *q) {
    lock_take(&q->lock);
    q->closed = true;
    lock_give(&q->lock);
    flag_wake_all(&q->filled);
}

size_t queue_count(struct queue *q) {
    lock_take(&q->lock);
    size_t count = q->count;
    lock_give(&q->lock);
    return count;
}
