/* Under simulation there is one thread: nobody else could ever wake it. Others who wait meanwhile are tasks (sim_task.c). */
#include <stdio.h>
#include <stdlib.h>

#include "os/clock.h"
#include "os/sim/sim.h"
#include "os/sim/task_priv.h"
#include "os/thread.h"

err thread_start(struct thread **out, const char *name, int nice, void (*fn)(void *context), void *context) {
    (void)out, (void)nice, (void)fn, (void)context;
    return err_new(ERR_UNAVAILABLE, "starting thread %s: the simulation has one thread", name);
}

void thread_join(struct thread *t) {
    if (t) abort();
}

void flag_wait(struct signal_flag *f, struct lock *l) {
    (void)f, (void)l;
    fprintf(stderr, "os/sim: flag_wait with one thread would wait for ever\n");
    abort();
}

bool flag_wait_until(struct signal_flag *f, struct lock *l, int64_t monotonic_ns) {
    (void)f;
    int64_t left = monotonic_ns - clock_monotonic_ns();
    if (sim_tasks())
        sim_task_wait(l, monotonic_ns);
    else if (left > 0)
        sim_clock_advance(left);
    return false;
}
