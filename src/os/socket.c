#include "os/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "os/clock.h"

enum { BACKLOG = 4096, WRITE_PIECES_MAX = 64, ADDRESS_TEXT = 64 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static socklen_t address_size(const union address *a) {
    return a->any.sa_family == AF_INET6 ? sizeof a->v6 : sizeof a->v4;
}

/* ---- addresses as text ------------------------------------------------------------------------------------------ */

static bool parse_port(struct str text, uint16_t *out) {
    unsigned v = 0;
    if (text.n == 0 || text.n > 5) return false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9') return false;
        v = v * 10 + (unsigned)(text.p[i] - '0');
    }
    *out = (uint16_t)v;
    return v <= UINT16_MAX;
}

/* "host:port" in its two halves, without the brackets of IPv6; false if it is not one. */
static bool split_address(const char *text, char host[INET6_ADDRSTRLEN], bool *out_is_v6, struct str *out_port) {
    const char *colon = strrchr(text, ':');
    if (!colon) return false;
    struct str h = str_span(text, (size_t)(colon - text));
    *out_is_v6 = h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']';
    if (*out_is_v6) h = str_span(h.p + 1, h.n - 2);
    if (h.n >= INET6_ADDRSTRLEN || (!*out_is_v6 && str_find(h, ':') >= 0)) return false;
    memcpy(host, h.p, h.n);
    host[h.n] = 0;
    *out_port = str_of(colon + 1);
    return true;
}

static err parse_address(const char *text, union address *out) {
    char host[INET6_ADDRSTRLEN];
    bool is_v6;
    struct str port;
    uint16_t number;
    if (!split_address(text, host, &is_v6, &port))
        return err_new(ERR_INVALID, "address \"%.100s\": want host:port, [v6]:port or :port", text);
    if (!parse_port(port, &number)) return err_new(ERR_INVALID, "address \"%.100s\": the port is not 0 to 65535", text);
    *out = (union address){0};
    if (is_v6 || host[0] == 0) { /* no host: every address of both families */
        out->v6.sin6_family = AF_INET6;
        out->v6.sin6_port = htons(number);
        if (!is_v6 || inet_pton(AF_INET6, host, &out->v6.sin6_addr) == 1) return NULL;
    } else {
        out->v4.sin_family = AF_INET;
        out->v4.sin_port = htons(number);
        if (inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host, &out->v4.sin_addr) == 1)
            return NULL;
    }
    return err_new(ERR_INVALID, "address \"%.100s\": the host is neither a number nor localhost", text);
}

err socket_address_check(const char *address) {
    union address a;
    return parse_address(address, &a);
}

static void format_address(const union address *a, char out[ADDRESS_TEXT]) {
    char host[INET6_ADDRSTRLEN] = "?";
    if (a->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->v4.sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "%s:%u", host, ntohs(a->v4.sin_port));
    } else if (IN6_IS_ADDR_V4MAPPED(&a->v6.sin6_addr)) {
        inet_ntop(AF_INET, a->v6.sin6_addr.s6_addr + 12, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "%s:%u", host, ntohs(a->v6.sin6_port));
    } else {
        inet_ntop(AF_INET6, &a->v6.sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT, "[%s]:%u", host, ntohs(a->v6.sin6_port));
    }
}

bool socket_address_is_loopback(const char *bound) {
    union address a;
    err e = parse_address(bound, &a);
    if (e) {
        err_free(e);
        return false;
    }
    if (a.any.sa_family == AF_INET) return ntohl(a.v4.sin_addr.s_addr) >> 24 == 127;
    if (IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr)) return a.v6.sin6_addr.s6_addr[12] == 127;
    return IN6_IS_ADDR_LOOPBACK(&a.v6.sin6_addr);
}

/* ---- listening, connecting -------------------------------------------------------------------------------------- */

static void set_option(int fd, int level, int name, int value) { setsockopt(fd, level, name, &value, sizeof value); }

static int new_socket(const union address *a) {
    return socket(a->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Both families by one socket, or IPv4 alone where the kernel has no IPv6. */
static int new_listener(union address *a, bool any_host) {
    int fd = new_socket(a);
    if (fd < 0 && errno == EAFNOSUPPORT && any_host) {
        in_port_t port = a->v6.sin6_port;
        *a = (union address){.v4 = {.sin_family = AF_INET, .sin_port = port}};
        fd = new_socket(a);
    }
    if (fd < 0) return fd;
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1); /* a restart must not wait for old connections to fade */
    if (a->any.sa_family == AF_INET6) set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, !any_host);
    return fd;
}

static err listen_err(int errno_value, const char *address) {
    err e = err_errno(errno_value, "listening on %s", address);
    if (errno_value == EADDRINUSE) return err_as(e, ERR_CONFLICT);
    if (errno_value == EACCES) return err_as(e, ERR_DENIED);
    return e;
}

err socket_listen(const char *address, int *out_fd, char out_bound[64]) {
    union address a;
    TRY(parse_address(address, &a));
    int fd = new_listener(&a, address[0] == ':');
    socklen_t size = sizeof a;
    if (fd < 0 || bind(fd, &a.any, address_size(&a)) != 0 || listen(fd, BACKLOG) != 0 ||
        getsockname(fd, &a.any, &size) != 0) {
        err e = listen_err(errno, address);
        socket_close(fd);
        return e;
    }
    format_address(&a, out_bound);
    *out_fd = fd;
    return NULL;
}

/* The connection in question is gone or the network hiccuped; the next one may be fine. */
static bool accept_is_transient(int errno_value) {
    return errno_value == EINTR || errno_value == ECONNABORTED || errno_value == EPROTO || errno_value == ENETDOWN ||
           errno_value == EHOSTUNREACH || errno_value == ENETUNREACH || errno_value == ETIMEDOUT;
}

err socket_accept(int listen_fd, int *out_fd, char out_peer[64]) {
    union address a = {0};
    int fd;
    do {
        socklen_t size = sizeof a;
        fd = accept4(listen_fd, &a.any, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && accept_is_transient(errno));
    if (fd < 0 && errno != EAGAIN) return err_as(err_errno(errno, "accepting a connection"), ERR_UNAVAILABLE);
    *out_fd = fd;
    if (fd < 0) return NULL;
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    format_address(&a, out_peer);
    return NULL;
}

err socket_connect_wait(const char *address, int64_t timeout_ns, int *out_fd) {
    union address a;
    TRY(parse_address(address, &a));
    int fd = new_socket(&a), failed = 0;
    if (fd < 0) return err_errno(errno, "connecting to %s", address);
    set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    if (connect(fd, &a.any, address_size(&a)) != 0) failed = errno;
    if (failed == EINPROGRESS || failed == EINTR) {
        socklen_t size = sizeof failed;
        int ready = poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, (int)MIN(timeout_ns / 1000000, 3600 * 1000));
        if (ready == 1)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &failed, &size);
        else
            failed = ETIMEDOUT;
    }
    if (failed) {
        socket_close(fd);
        return err_as(err_errno(failed, "connecting to %s", address), ERR_UNAVAILABLE);
    }
    *out_fd = fd;
    return NULL;
}

bool socket_ready_wait(int fd, bool to_write, int64_t until_ns) {
    for (;;) {
        int64_t left_ms = (until_ns - clock_monotonic_ns() + 999999) / 1000000;
        if (left_ms <= 0) return false;
        struct pollfd p = {.fd = fd, .events = to_write ? POLLOUT : POLLIN};
        if (poll(&p, 1, (int)MIN(left_ms, 3600 * 1000)) == 1) return true;
    }
}

/* ---- bytes ------------------------------------------------------------------------------------------------------ */

err socket_read(int fd, void *bytes, size_t n, size_t *out_n, bool *out_end) {
    ssize_t got;
    do got = recv(fd, bytes, n, 0);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno != EAGAIN) return err_errno(errno, "reading from a socket");
    *out_n = got > 0 ? (size_t)got : 0;
    *out_end = got == 0 && n > 0;
    return NULL;
}

err socket_write(int fd, const struct socket_piece *pieces, size_t count, size_t *out_n) {
    struct iovec iov[WRITE_PIECES_MAX];
    size_t used = MIN(count, (size_t)WRITE_PIECES_MAX);
    for (size_t i = 0; i < used; i++) iov[i] = (struct iovec){(void *)(uintptr_t)pieces[i].p, pieces[i].n};
    struct msghdr message = {.msg_iov = iov, .msg_iovlen = used};
    ssize_t sent;
    do sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) return err_errno(errno, "writing to a socket");
    *out_n = sent > 0 ? (size_t)sent : 0;
    return NULL;
}

void socket_shutdown_write(int fd) { shutdown(fd, SHUT_WR); }

void socket_close(int fd) {
    if (fd >= 0) close(fd);
}
