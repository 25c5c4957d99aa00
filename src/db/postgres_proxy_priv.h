/* For tests: a proxy on loopback between clew and a PostgreSQL, that loses what the test says. One thread; connections one after another or
 * at once, up to 16. */
#pragma once

#include <stdatomic.h>

enum proxy_mood {
    PROXY_PASS,
    PROXY_CUT_BEFORE_COMMIT, /* COMMIT never arrives: both ends are closed */
    PROXY_CUT_AFTER_COMMIT,  /* COMMIT arrives, its answer does not */
    PROXY_HANG               /* takes everything, passes nothing */
};
extern _Atomic(enum proxy_mood) proxy_mood; /* a cut sets it to PROXY_PASS */

int proxy_start(int to_port); /* the port it listens on */
void proxy_stop(void);
