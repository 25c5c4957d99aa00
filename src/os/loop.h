/* The event loop: sockets, timers and wake-ups of one `io` thread (epoll, level-triggered).
 *
 *        other threads ── loop_post ──▶ ┌────────────┐ ◀── readiness ── sockets
 *                                       │ loop_run   │ ◀── time ─────── timers
 *                                       └────────────┘  calls back, one at a time
 *
 * Owner: the thread that calls loop_run; only loop_post, its two steps and loop_stop may be called from elsewhere.
 * Limits: timers in a heap, as many as connections; posted calls at most 65,536 (more aborts: who posts is bounded).
 */
#pragma once

#include "base/base.h"

struct loop;
struct loop_watch; /* one descriptor */

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4, LOOP_END = 8 };
typedef void (*loop_ready_fn)(void *context, int events);
typedef void (*loop_call_fn)(void *context);

err loop_new(struct loop **out);
void loop_free(struct loop *l);
void loop_run(struct loop *l);  /* until loop_stop; what was posted before its end runs before it returns; may run again */
void loop_stop(struct loop *l); /* from any thread */
bool loop_post(struct loop *l, loop_call_fn fn, void *context); /* from any thread: runs fn on the loop's; false after its end */
/* The same in two steps, for who holds a lock that the loop's thread will want: if *out_wake, loop_wake follows once the lock is given.
 * Until then loop_free waits. */
bool loop_post_quietly(struct loop *l, loop_call_fn fn, void *context, bool *out_wake);
void loop_wake(struct loop *l);

/* Watches a descriptor for `events`; change with loop_watch_set, end with loop_watch_end (which does not close it: end first,
 * then close). A watch may be ended inside any callback, its own included. Hang-ups (the connection is dead both ways, not
 * half-closed) are reported unasked; watched for 0 nothing is, for LOOP_HANGUP nothing else. LOOP_END: the peer sends no more,
 * though what it sent may not have been read; reported again and again, so stop watching once told. Read to the end before
 * believing a hang-up: bytes may still wait. */
err loop_watch(struct loop *l, int fd, int events, loop_ready_fn fn, void *context, struct loop_watch **out);
void loop_watch_set(struct loop_watch *w, int events);
void loop_watch_end(struct loop_watch *w);

/* Timers live in the caller's memory. */
struct loop_timer {
    int64_t due_ns; /* monotonic */
    loop_call_fn fn;
    void *context;
    size_t heap_index; /* 0: not set */
};
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t monotonic_due_ns); /* sets again if set */
void loop_timer_clear(struct loop *l, struct loop_timer *t);
