/* What the service manager (systemd, by os/notify.h) hears while clew serves: that it is ready, that it is alive, that it ends.
 *
 *     opening ─▶ READY=1 ─▶ WATCHDOG=1, WATCHDOG=1, … ─▶ STOPPING=1
 *                             └ only while the io loop and the store's log thread have both shown that they go round
 *
 * Alive: each was asked at the tick before and has answered since. One that hangs is silent, so that the manager ends and restarts
 * clew after WatchdogSec; a single sync that takes as long counts as hanging too. A full disk is not: it is told as STATUS.
 * Threads: ticks on one thread (watch); begin before it, ready and end on main. Errors are logged: a manager that cannot be told
 * is no reason not to serve.
 */
#pragma once

#include <stdatomic.h>

#include "os/notify.h"

struct loop;
struct store;

struct supervise {
    struct notify notify;
    struct loop *loop;
    struct store *store;
    atomic_bool loop_asked; /* and has not answered */
    int64_t due_ns, tick_ns;
    bool silent;    /* that is logged */
    char told[256]; /* the last STATUS */
};

void supervise_open(struct supervise *s); /* before any thread: takes the variables out of the environment */
void supervise_begin(struct supervise *s, struct loop *loop, struct store *store);
void supervise_ready(struct supervise *s);
void supervise_tick(struct supervise *s); /* every tick_ns or sooner */
void supervise_stopping(struct supervise *s);
void supervise_close(struct supervise *s);
