#include "os/thread.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

struct thread {
    pthread_t id;
    char name[16];
    int nice;
    void (*fn)(void *context);
    void *context;
};

static void *thread_main(void *pointer) {
    struct thread *t = pointer;
    pthread_setname_np(pthread_self(), t->name);
    if (t->nice > 0)
        setpriority(PRIO_PROCESS, 0, t->nice); /* 0 is the calling thread on Linux; a refusal costs only fairness */
    t->fn(t->context);
    return NULL;
}

err thread_start(struct thread **out, const char *name, int nice, void (*fn)(void *context), void *context) {
    struct thread *t = mem_new_of(struct thread);
    size_t n = strlen(name);
    assert(n < sizeof t->name);
    memcpy(t->name, name, n);
    t->nice = nice;
    t->fn = fn;
    t->context = context;
    int failed = pthread_create(&t->id, NULL, thread_main, t);
    if (failed) {
        mem_free(t);
        return err_as(err_errno(failed, "starting thread %s", name), ERR_UNAVAILABLE);
    }
    *out = t;
    return NULL;
}

void thread_join(struct thread *t) {
    if (!t) return;
    pthread_join(t->id, NULL);
    mem_free(t);
}

void flag_wait(struct signal_flag *f, struct lock *l) { pthread_cond_wait(&f->c, &l->m); }

/* clockwait names the clock per call, so that zero-initialised flags need no attribute. */
bool flag_wait_until(struct signal_flag *f, struct lock *l, int64_t monotonic_ns) {
    int64_t at = MAX(monotonic_ns, 0);
    struct timespec due = {(time_t)(at / 1000000000), (long)(at % 1000000000)};
    return pthread_cond_clockwait(&f->c, &l->m, CLOCK_MONOTONIC, &due) != ETIMEDOUT;
}
