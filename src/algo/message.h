/* A message without what differs from one time to the next, so that the same mistake is one, whoever met it and when.
 *
 *   "user 4711 (10.0.0.7) not found after 2026-11-27 10:11:12"  →  "user <*> (<*>) not found after <*>"
 *
 * Replaced by <*>, where they stand as words of their own (no letter, digit or _ beside them), in this order of preference at one place:
 * UUIDs; runs of 24 and more hexadecimal digits; IPv4 addresses; e-mail addresses; dates with a time ("2026-11-27T10:11:12.5Z", "2026-11-27 10:11:12"); whole
 * numbers. Runs of "<*>" with nothing but blanks between them become one; blanks at both ends go.
 * Bytes that are no UTF-8 stay as they are. Time: linear.
 * Threads: any. Source: the rules of shared/reference/ollystack-api.md, 2.4.
 */
#pragma once

#include "base/base.h"

/* Appends to `out`; its maximum says how much is kept of a long one (`full`: the rest is left out). */
void message_normalise(struct str message, struct buf *out);
