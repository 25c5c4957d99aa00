/* Who is at work becomes known to the catalog: after 5 s, then rarer until it is every minute, the services and environments of the last ten minutes, by tenant, from resources alone.
 *
 * Only what this process has not told within the hour is told, in one transaction a tenant and kind: a quiet clew writes nothing.
 * Limits: SEEN_TENANTS_MAX tenants; a name that the catalog does not take (control characters, over 200 bytes) is left out; what is over its
 * limits is counted in one line of the log. Owner: the caller; what the options name outlives it. Threads: one of its own, which waits for db. */
#pragma once

#include "base/base.h"

struct store;
struct catalog;
struct budget;

enum { SEEN_TENANTS_MAX = 1000 };

struct serve_seen;
err serve_seen_start(struct store *store, struct catalog *catalog, struct budget *budget, const char *dir,
                     struct serve_seen **out);
void serve_seen_stop(struct serve_seen *s); /* takes NULL */
