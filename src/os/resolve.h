/* Names to addresses, by the system's resolver (its hosts file, then DNS). Blocks for as long as that takes: seconds, where no server answers.
 * Threads: any. */
#pragma once

#include "base/base.h"

enum { RESOLVE_TEXT_MAX = 64 };
/* Calls fn with each distinct address as text ("10.0.0.7", "fe80::1"). ERR_NOT_FOUND: no such name, or none of that family; ERR_UNAVAILABLE: no answer. */
err resolve_host_wait(const char *name, bool v6, void (*fn)(void *context, const char *address), void *context);
