/* Which names and pages may ask: Host and Origin, as browsers send them (p NULL: not sent). Threads: pure. */
#pragma once

#include "base/base.h"

/* Without tokens: Host must be a loopback name (a name of a stranger may resolve to 127.0.0.1), Origin absent or the same. */
bool origin_is_allowed(struct str host, struct str origin);
/* The origin is the host that was asked. */
bool origin_is_of(struct str origin, struct str host);
/* It stands in a list with commas between, exactly. */
bool origin_is_listed(struct str origin, struct str list);
