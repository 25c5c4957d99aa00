#include "os/loop.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/vec.h"
#include "os/clock.h"
#include "os/hold.h"
#include "os/thread.h"

/* Invariants:
 * 1. A watch that was ended is never called again, and its memory stays until the round is over: events of the same
 *    round may still point at it.
 * 2. heap.v[0] is unused, so that heap_index 0 can mean "not set"; heap.v[i]->heap_index == i.
 * 3. `wake_sent` is set while a byte for the wake descriptor is under way, so that a burst of posts costs one write.
 * 4. The byte is written without `lock`: the loop's thread, which it wakes, wants that first. `waking` counts who is about to write. */
enum { EVENTS_PER_ROUND = 256, POSTED_MAX = 65536 };

struct loop_watch {
    struct loop *loop;
    struct loop_watch *next, *before; /* of the loop's watches, or (next only) of its ended ones */
    int fd, events;
    bool ended;
    loop_ready_fn fn;
    void *context;
};

struct posted {
    loop_call_fn fn;
    void *context;
};
typedef VEC(struct posted) posted_calls;

struct loop {
    int epoll_fd, wake_fd;
    struct loop_watch *watches, *ended;
    VEC(struct loop_timer *) heap;
    posted_calls running; /* the loop thread's, swapped with `posted` */
    atomic_bool stop;
    atomic_uint waking; /* (4) */
    struct lock lock;   /* over the rest */
    posted_calls posted;
    bool closed, wake_sent;
};

/* ---- making and ending ------------------------------------------------------------------------------------------ */

err loop_new(struct loop **out) {
    struct loop *l = mem_new_of(struct loop);
    lock_init(&l->lock);
    *vec_push(&l->heap) = NULL;
    l->wake_fd = -1;
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll_fd >= 0) l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}; /* NULL: the wake descriptor */
    if (l->wake_fd < 0 || epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &event) != 0) {
        err e = err_errno(errno, "making an event loop");
        loop_free(l);
        return e;
    }
    *out = l;
    return NULL;
}

static void watches_free(struct loop_watch **first) {
    for (struct loop_watch *w = *first, *next; w; w = next) {
        next = w->next;
        mem_free(w);
    }
    *first = NULL;
}

void loop_free(struct loop *l) {
    if (!l) return;
    while (atomic_load(&l->waking)) sched_yield(); /* (4): a write away */
    watches_free(&l->watches);
    watches_free(&l->ended);
    for (size_t i = 1; i < l->heap.n; i++) l->heap.v[i]->heap_index = 0;
    vec_done(&l->heap);
    vec_done(&l->running);
    vec_done(&l->posted);
    if (l->epoll_fd >= 0) close(l->epoll_fd);
    if (l->wake_fd >= 0) close(l->wake_fd);
    lock_done(&l->lock);
    mem_free(l);
}

/* ---- watches ---------------------------------------------------------------------------------------------------- */

/* A descriptor that is watched for nothing leaves epoll altogether: it would report hang-ups for ever. */
static int watch_control(struct loop_watch *w, int events) {
    struct epoll_event event = {.data.ptr = w};
    if (events & LOOP_READ) event.events |= EPOLLIN;
    if (events & LOOP_WRITE) event.events |= EPOLLOUT;
    if (events & LOOP_END) event.events |= EPOLLRDHUP;
    int action = !events ? EPOLL_CTL_DEL : w->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (!events && !w->events) return 0;
    w->events = events;
    return epoll_ctl(w->loop->epoll_fd, action, w->fd, &event);
}

err loop_watch(struct loop *l, int fd, int events, loop_ready_fn fn, void *context, struct loop_watch **out) {
    struct loop_watch *w = mem_new_of(struct loop_watch);
    *w = (struct loop_watch){.loop = l, .fd = fd, .fn = fn, .context = context};
    if (watch_control(w, events) != 0) {
        err e = err_errno(errno, "watching a descriptor");
        mem_free(w);
        return e;
    }
    w->next = l->watches;
    if (w->next) w->next->before = w;
    l->watches = w;
    *out = w;
    return NULL;
}

void loop_watch_set(struct loop_watch *w, int events) {
    if (w->ended || events == w->events) return;
    if (watch_control(w, events) != 0) abort(); /* the descriptor was closed before its watch ended */
}

void loop_watch_end(struct loop_watch *w) {
    if (!w || w->ended) return;
    struct loop *l = w->loop;
    watch_control(w, 0);
    if (w->before)
        w->before->next = w->next;
    else
        l->watches = w->next;
    if (w->next) w->next->before = w->before;
    w->ended = true;
    w->next = l->ended;
    l->ended = w;
}

/* ---- timers: a binary heap by due time --------------------------------------------------------------------------- */

static void heap_place(struct loop *l, size_t i, struct loop_timer *t) {
    l->heap.v[i] = t;
    t->heap_index = i;
}

static void heap_up(struct loop *l, size_t i, struct loop_timer *t) {
    for (; i > 1 && l->heap.v[i / 2]->due_ns > t->due_ns; i /= 2) heap_place(l, i, l->heap.v[i / 2]);
    heap_place(l, i, t);
}

static void heap_down(struct loop *l, size_t i, struct loop_timer *t) {
    for (size_t child; (child = 2 * i) < l->heap.n; i = child) {
        if (child + 1 < l->heap.n && l->heap.v[child + 1]->due_ns < l->heap.v[child]->due_ns) child++;
        if (l->heap.v[child]->due_ns >= t->due_ns) break;
        heap_place(l, i, l->heap.v[child]);
    }
    heap_place(l, i, t);
}

void loop_timer_clear(struct loop *l, struct loop_timer *t) {
    size_t i = t->heap_index;
    if (i == 0) return;
    struct loop_timer *last = l->heap.v[--l->heap.n];
    t->heap_index = 0;
    if (last == t) return;
    if (last->due_ns < t->due_ns)
        heap_up(l, i, last);
    else
        heap_down(l, i, last);
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t monotonic_due_ns) {
    loop_timer_clear(l, t);
    t->due_ns = monotonic_due_ns;
    (void)vec_push(&l->heap);
    heap_up(l, l->heap.n - 1, t);
}

/* A timer that sets itself again for a time that has passed waits for the next round, so that sockets get their turn. */
static void timers_run(struct loop *l) {
    int64_t now = clock_monotonic_ns();
    for (size_t left = l->heap.n - 1; left > 0 && l->heap.n > 1 && l->heap.v[1]->due_ns <= now; left--) {
        struct loop_timer *t = l->heap.v[1];
        loop_timer_clear(l, t);
        t->fn(t->context);
    }
}

/* ---- posted calls ----------------------------------------------------------------------------------------------- */

static void wake(struct loop *l) {
    uint64_t one = 1;
    while (write(l->wake_fd, &one, sizeof one) < 0 && errno == EINTR) {}
}

bool loop_post_quietly(struct loop *l, loop_call_fn fn, void *context, bool *out_wake) {
    lock_take(&l->lock);
    bool open = !l->closed;
    *out_wake = open && !l->wake_sent;
    if (open) {
        if (l->posted.n >= POSTED_MAX) abort();
        *vec_push(&l->posted) = (struct posted){fn, context};
        l->wake_sent = true;
        if (*out_wake) atomic_fetch_add(&l->waking, 1);
    }
    lock_give(&l->lock);
    return open;
}

static void wake_posted(void *loop) {
    struct loop *l = loop;
    wake(l);
    atomic_fetch_sub(&l->waking, 1); /* after this it may be freed */
}

void loop_wake(struct loop *l) { hold_call(wake_posted, l); }

bool loop_post(struct loop *l, loop_call_fn fn, void *context) {
    bool needs_wake, open = loop_post_quietly(l, fn, context, &needs_wake);
    if (needs_wake) loop_wake(l);
    return open;
}

void loop_stop(struct loop *l) {
    lock_take(&l->lock);
    atomic_store(&l->stop, true);
    wake(l);
    lock_give(&l->lock);
}

/* Runs what was posted so far; `close` refuses further posts in the same breath. */
static void posted_run(struct loop *l, bool close_posts) {
    uint64_t ignored;
    lock_take(&l->lock);
    while (read(l->wake_fd, &ignored, sizeof ignored) < 0 && errno == EINTR) {}
    l->wake_sent = false;
    l->closed = close_posts;
    posted_calls calls = l->posted;
    l->posted = l->running;
    l->running = calls;
    lock_give(&l->lock);
    for (size_t i = 0; i < l->running.n; i++) l->running.v[i].fn(l->running.v[i].context);
    vec_clear(&l->running);
}

/* ---- the round -------------------------------------------------------------------------------------------------- */

static int round_timeout_ms(const struct loop *l) {
    if (l->heap.n <= 1) return -1;
    int64_t left = l->heap.v[1]->due_ns - clock_monotonic_ns();
    if (left <= 0) return 0;
    return (int)MIN((left + 999999) / 1000000, 3600 * 1000);
}

static void ready_run(struct loop *l, const struct epoll_event *events, int n) {
    bool woken = false;
    for (int i = 0; i < n; i++) {
        struct loop_watch *w = events[i].data.ptr;
        woken |= w == NULL;
        if (!w || w->ended) continue;
        int ready = 0;
        if (events[i].events & EPOLLIN) ready |= LOOP_READ;
        if (events[i].events & EPOLLOUT) ready |= LOOP_WRITE;
        if (events[i].events & EPOLLRDHUP) ready |= LOOP_END;
        if (events[i].events & (EPOLLHUP | EPOLLERR)) ready |= LOOP_HANGUP;
        ready &= w->events | LOOP_HANGUP; /* an earlier callback of this round may have changed what is wanted */
        if (ready && w->events) w->fn(w->context, ready);
    }
    if (woken) posted_run(l, false);
}

void loop_run(struct loop *l) {
    struct epoll_event events[EVENTS_PER_ROUND];
    posted_run(l, false);
    while (!atomic_load(&l->stop)) {
        int n = epoll_wait(l->epoll_fd, events, EVENTS_PER_ROUND, round_timeout_ms(l));
        if (n < 0 && errno != EINTR) abort();
        ready_run(l, events, MAX(n, 0));
        timers_run(l);
        watches_free(&l->ended);
    }
    posted_run(l, true);
    watches_free(&l->ended);
    atomic_store(&l->stop, false);
}
