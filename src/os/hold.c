#include "os/hold.h"

#include <assert.h>

static _Thread_local struct {
    int depth, n;
    struct {
        void (*fn)(void *argument);
        void *argument;
    } calls[HOLD_MAX];
} held;

void hold_begin(void) { held.depth++; }

void hold_end(void) {
    assert(held.depth > 0);
    if (--held.depth > 0) return;
    for (int i = 0; i < held.n; i++) held.calls[i].fn(held.calls[i].argument);
    held.n = 0;
}

void hold_call(void (*fn)(void *argument), void *argument) {
    if (held.depth == 0 || held.n == HOLD_MAX) {
        fn(argument);
        return;
    }
    held.calls[held.n].fn = fn;
    held.calls[held.n++].argument = argument;
}
