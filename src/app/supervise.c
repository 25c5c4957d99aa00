#include "app/supervise.h"

#include <stdio.h>

#include "base/log.h"
#include "os/clock.h"
#include "os/loop.h"
#include "store/store.h"

#define TICK_NS ((int64_t)500 * 1000000)

static void drop(err e) {
    if (e) log_warn("the service manager is not told", F_ERR(e));
    err_free(e);
}

void supervise_open(struct supervise *s) {
    drop(notify_open(&s->notify));
    s->tick_ns = s->notify.watchdog_ns ? MIN(TICK_NS, MAX(s->notify.watchdog_ns / 8, 1000000)) : TICK_NS;
    drop(notify_status(&s->notify, "opening the data directory"));
}

void supervise_begin(struct supervise *s, struct loop *loop, struct store *store) {
    s->loop = loop;
    s->store = store;
}

void supervise_ready(struct supervise *s) { drop(notify_send(&s->notify, "READY=1")); }

/* ---- alive ------------------------------------------------------------------------------------------------------ */

static void answer(void *context) { atomic_store(&((struct supervise *)context)->loop_asked, false); }

static bool loop_pulse(struct supervise *s) {
    bool alive = !atomic_exchange(&s->loop_asked, true);
    if (alive) loop_post(s->loop, answer, s);
    return alive;
}

static void tell_alive(struct supervise *s) {
    int64_t now = clock_monotonic_ns();
    bool loop = loop_pulse(s), store = store_pulse(s->store); /* both are asked, whatever one says */
    if (now < s->due_ns) return;
    if (loop && store) {
        drop(notify_send(&s->notify, "WATCHDOG=1"));
        s->due_ns =
            now + s->notify.watchdog_ns / 2 - s->tick_ns; /* the tick that comes then is the last before the half */
    } else if (!s->silent) {
        log_error("the watchdog is not told that clew is alive", F_TEXT("hangs", loop ? "store" : "io loop"));
    }
    s->silent = !(loop && store);
}

static void tell_health(struct supervise *s) {
    char text[sizeof s->told];
    err why = store_health(s->store);
    snprintf(text, sizeof text, "%s%s", why ? "not taking writes: " : "taking in telemetry, answering questions",
             err_text(why));
    err_free(why);
    if (strcmp(text, s->told) == 0) return;
    memcpy(s->told, text, sizeof text);
    drop(notify_status(&s->notify, text));
}

void supervise_tick(struct supervise *s) {
    if (!s->notify.on) return;
    if (s->notify.watchdog_ns) tell_alive(s);
    tell_health(s);
}

/* ---- ending ----------------------------------------------------------------------------------------------------- */

void supervise_stopping(struct supervise *s) {
    drop(notify_send(&s->notify, "STOPPING=1\nSTATUS=ending: open requests, then what is in memory goes to disk"));
}

void supervise_close(struct supervise *s) { notify_close(&s->notify); }
