/* Telling the service manager that started this process how it goes: sd_notify's protocol, one datagram a message to the socket that
 * NOTIFY_SOCKET names, an absolute path or, after '@', an abstract name.
 *
 * Without the variable nothing is sent and every call succeeds. It, WATCHDOG_USEC and WATCHDOG_PID are taken out of the environment:
 * a child must not speak in our name.
 * Owner: the caller's memory, notify_open to notify_close; zeroed, it is one that sends nothing. Threads: notify_open in main before
 * there are others; sending from any. Limits: a message of 512 bytes, longer is cut; a manager that does not read holds a sender for
 * 5 s, then ERR_IO. Source: sd_notify(3), sd_watchdog_enabled(3) of systemd 252.
 */
#pragma once

#include "base/base.h"

enum { NOTIFY_ADDRESS_MAX = 112 };

struct notify {
    bool on;
    int fd;
    int64_t watchdog_ns; /* the manager ends a process that is silent for so long; 0: it does not watch */
    unsigned address_size;
    _Alignas(8) char address[NOTIFY_ADDRESS_MAX]; /* a struct sockaddr_un */
};

err notify_open(struct notify *out); /* ERR_INVALID: the variable names no such socket; then nothing is sent */
void notify_close(struct notify *n);
err notify_send(const struct notify *n, const char *assignment); /* "READY=1"; several with '\n' between */
err notify_status(const struct notify *n,
                  const char *text); /* STATUS=text, one line: control characters become blanks */
