/* TCP sockets, non-blocking unless the name ends in _wait. Addresses are "host:port", "[v6]:port" or ":port"; only
 * numeric hosts and "localhost" are understood here (names need DNS, which blocks). Port 0 picks a free one. */
#pragma once

#include "base/base.h"

err socket_address_check(const char *address); /* ERR_INVALID unless socket_listen understands it */
err socket_listen(const char *address, int *out_fd, char out_bound[64]); /* out_bound: the real address with its port */
err socket_accept(int listen_fd, int *out_fd, char out_peer[64]);        /* *out_fd -1: none waiting */
/* Connects, waiting at most timeout_ns; the descriptor is non-blocking. ERR_UNAVAILABLE if nobody answers. */
err socket_connect_wait(const char *address, int64_t timeout_ns, int *out_fd);
/* Waits until there is something to read (or room to write), or until the monotonic time. False: the time came first. */
bool socket_ready_wait(int fd, bool to_write, int64_t until_ns);
err socket_read(int fd, void *bytes, size_t n, size_t *out_n, bool *out_end); /* *out_n 0 and !end: would block */
struct socket_piece {
    const void *p;
    size_t n;
};
err socket_write(int fd, const struct socket_piece *pieces, size_t count, size_t *out_n); /* may write less */
void socket_shutdown_write(int fd);
void socket_close(int fd);
bool socket_address_is_loopback(const char *bound);
