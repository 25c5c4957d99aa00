/* Threads, locks and bounded queues. In os/sim a thread is never started: thread_start returns ERR_UNAVAILABLE, and
 * code under simulation is pumped by the test instead (store/store.h, `manual`). Locks work in both.
 *
 * A queue holds at most its capacity of pointers; a full one refuses: whoever pushes decides (429, or wait).
 */
#pragma once

#include <pthread.h>

#include "base/base.h"

struct thread;
/* Starts fn(context); name at most 15 bytes; nice 0..19 is that thread's own. */
err thread_start(struct thread **out, const char *name, int nice, void (*fn)(void *context), void *context);
void thread_join(struct thread *t); /* waits for its end and frees; takes NULL */

/* Mutex and condition; zero-initialised objects are ready. */
struct lock {
    pthread_mutex_t m;
};
struct signal_flag {
    pthread_cond_t c;
};
void lock_init(struct lock *l);
void lock_done(struct lock *l);
void lock_take(struct lock *l);
void lock_give(struct lock *l);
void flag_init(struct signal_flag *f); /* monotonic clock */
void flag_done(struct signal_flag *f);
void flag_wake_one(struct signal_flag *f);
void flag_wake_all(struct signal_flag *f);
void flag_wait(struct signal_flag *f, struct lock *l);                             /* l held */
bool flag_wait_until(struct signal_flag *f, struct lock *l, int64_t monotonic_ns); /* false: the time came first */

struct queue;
struct queue *queue_new(size_t capacity);
void queue_free(struct queue *q);             /* must be empty */
bool queue_push(struct queue *q, void *item); /* false: full or closed; never blocks */
void *queue_pop_wait(struct queue *q);        /* NULL: closed and empty */
void *queue_pop(struct queue *q);             /* NULL: empty now */
void queue_close(struct queue *q);            /* wakes all poppers */
size_t queue_count(struct queue *q);
