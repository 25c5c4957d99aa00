/* Calls that a thread puts off to a better moment: between hold_begin and hold_end of one thread, hold_call keeps its calls, and hold_end
 * makes them in order. Outside of such a pair it calls at once.
 *
 * The log thread answers a commit's senders one after the other. A loop that is woken by the first answer takes the processor for it, and again for
 * the next; held back, it is woken once for all.
 *
 * Limits: HOLD_MAX calls; what comes then is called at once. Pairs may nest. Threads: each has its own.
 */
#pragma once

enum { HOLD_MAX = 64 };

void hold_begin(void);
void hold_end(void);
void hold_call(void (*fn)(void *argument), void *argument);
