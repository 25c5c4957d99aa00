/* Several at once on a clock that stands still: each task has a stack of its own, one runs until it waits, then the one whose wait ends first.
 *
 *   runs ── flag_wait_until ─▶ waits (until, turn) ── the least of all ─▶ the clock goes there, runs
 *                                                     ended ─▶ its stack is kept for the next one
 *
 * The program that called sim_task_start first is a task like the others. AddressSanitizer is told of each change of stacks. */
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include "os/clock.h"
#include "os/sim/sim.h"
#include "os/sim/task_priv.h"

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif
#ifdef WITH_ASAN
#include <sanitizer/asan_interface.h>
#endif

enum { STACK_BYTES = 1 << 20 };

struct task {
    ucontext_t context;
    void *stack; /* NULL: the program's own, or none yet */
    void *fake;  /* of AddressSanitizer */
    const void *bottom;
    size_t bytes;
    void (*fn)(void *context);
    void *fn_context;
    int64_t until_ns;
    uint64_t turn;
    bool waits;
};
static struct task tasks[1 + SIM_TASKS_MAX], *running = tasks; /* the first: the program */
static size_t used = 1, alive; /* places that were ever taken; tasks that have not ended */
static uint64_t turns;

static void enter(struct task *from, bool from_ends) {
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(from_ends ? NULL : &from->fake, running->bottom, running->bytes);
    if (from_ends)
        setcontext(&running->context);
    else
        swapcontext(&from->context, &running->context);
    __sanitizer_finish_switch_fiber(from->fake, NULL, NULL);
#else
    if (from_ends)
        setcontext(&running->context);
    else
        swapcontext(&from->context, &running->context);
#endif
}

/* To the one whose wait ends first. */
static void switch_from(struct task *from, bool from_ends) {
    struct task *next = NULL;
    for (struct task *t = tasks; t < tasks + used; t++)
        if (t->waits &&
            (!next || t->until_ns < next->until_ns || (t->until_ns == next->until_ns && t->turn < next->turn)))
            next = t;
    int64_t left = next->until_ns - clock_monotonic_ns();
    if (left > 0) sim_clock_advance(left);
    next->waits = false;
    if (next == from) return;
    running = next;
    enter(from, from_ends);
}

static void begin(void) {
    struct task *t = running;
#ifdef WITH_ASAN
    const void *bottom;
    size_t bytes;
    __sanitizer_finish_switch_fiber(NULL, &bottom, &bytes);
    if (!tasks->bottom)
        tasks->bottom = bottom, tasks->bytes = bytes; /* the program's is first known to whom it went to */
#endif
    t->fn(t->fn_context);
    t->fn = NULL;
    alive--;
    switch_from(t, true);
    abort();
}

static struct task *place(void) {
    for (size_t i = 1; i < used; i++)
        if (!tasks[i].fn) return &tasks[i];
    if (used == LENGTH(tasks)) abort();
    struct task *t = &tasks[used++];
    t->stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (t->stack == MAP_FAILED) abort();
    return t;
}

static void make_context(ucontext_t *out, void *stack) {
    getcontext(out);
    out->uc_stack.ss_sp = stack;
    out->uc_stack.ss_size = STACK_BYTES;
    makecontext(out, begin, 0);
}

void sim_task_start(void (*fn)(void *context), void *context) {
    struct task *t = place();
    void *stack = t->stack;
#ifdef WITH_ASAN
    __asan_unpoison_memory_region(stack, STACK_BYTES); /* of frames that were left and never returned */
#endif
    *t = (struct task){.stack = stack,
                       .bottom = stack,
                       .bytes = STACK_BYTES,
                       .fn = fn,
                       .fn_context = context,
                       .until_ns = clock_monotonic_ns(),
                       .turn = turns++,
                       .waits = true};
    make_context(&t->context, stack);
    alive++;
}

size_t sim_tasks(void) { return alive; }

void sim_task_wait(struct lock *l, int64_t until_ns) {
    running->until_ns = MAX(until_ns, clock_monotonic_ns());
    running->turn = turns++;
    running->waits = true;
    lock_give(l);
    switch_from(running, false);
    lock_take(l);
}
