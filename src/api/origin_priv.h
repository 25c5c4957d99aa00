/* Which names and pages may ask: Host and Origin, as browsers send them (p NULL: not sent). Threads: pure. */
#pragma once

#include "base/base.h"

/* `own`: names that this server is reached by, with commas between; any port of theirs is meant. */

/* Without tokens: Host must be a loopback name or one of `own` (a name of a stranger may resolve to 127.0.0.1), Origin absent or ours. */
bool origin_is_allowed(struct str host, struct str origin, struct str own);
/* The origin is the host that was asked, or one of `own`: a proxy may have asked by another name. */
bool origin_is_ours(struct str origin, struct str host, struct str own);
/* It stands in a list with commas between, exactly. */
bool origin_is_listed(struct str origin, struct str list);
