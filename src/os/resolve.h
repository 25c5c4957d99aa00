/* Names to addresses, by the system's resolver (its hosts file, then DNS), and records of DNS (the search list of resolv.conf, the file itself
 * and its servers). Blocks for as long as that takes: seconds, where no server answers. Sources: RFC 1035, RFC 2782.
 * Threads: any. */
#pragma once

#include "base/base.h"

enum {
    RESOLVE_TEXT_MAX = 64,
    RESOLVE_NAME_MAX = 1025, /* of a name as text, with \. and \123 for what is no letter of a host, and the zero behind it */
};
/* Calls fn with each distinct address as text ("10.0.0.7", "fe80::1"). ERR_NOT_FOUND: no such name, or none of that family; ERR_UNAVAILABLE: no answer. */
err resolve_host_wait(const char *name, bool v6, void (*fn)(void *context, const char *address), void *context);

enum resolve_kind { RESOLVE_SRV, RESOLVE_MX, RESOLVE_NS };
/* `target` ends with a dot; port: of SRV, else 0. */
typedef void (*resolve_fn)(void *context, const char *target, uint16_t port);
/* Calls fn with each record of that kind, in the order of the answer. ERR_NOT_FOUND: no such name, or no such record; ERR_UNAVAILABLE: no answer,
 * or one that is damaged, of which fn may have seen a part. */
err resolve_records_wait(const char *name, enum resolve_kind kind, resolve_fn fn, void *context);
/* The same of an answer that is here: a message of DNS, at most 64 KiB of it. */
err resolve_records_read(struct str message, enum resolve_kind kind, resolve_fn fn, void *context);
