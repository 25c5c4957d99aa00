#include "os/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/text.h"

enum { MESSAGE_BYTES_MAX = 512, SEND_SECONDS_MAX = 5 };
static_assert(sizeof(struct sockaddr_un) <= NOTIFY_ADDRESS_MAX, "room for the address");

/* An abstract name begins with a zero byte and ends where its length says. */
static err read_address(const char *name, struct notify *out) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    bool abstract = *name == '@';
    if ((!abstract && *name != '/') || n < 2 || n >= sizeof a.sun_path)
        return err_new(ERR_INVALID, "NOTIFY_SOCKET is no absolute path and no @name of at most %zu bytes",
                       sizeof a.sun_path - 1);
    memcpy(a.sun_path, name, n);
    if (abstract) a.sun_path[0] = 0;
    memcpy(out->address, &a, sizeof a);
    out->address_size = (unsigned)(offsetof(struct sockaddr_un, sun_path) + n + !abstract);
    return NULL;
}

/* 0 unless it is for this process. */
static int64_t read_watchdog_ns(const char *usec, const char *pid) {
    uint64_t n = 0, who = (uint64_t)getpid();
    err e = usec ? parse_u64(str_of(usec), &n) : NULL;
    if (!e && pid) e = parse_u64(str_of(pid), &who);
    bool ours = !e && who == (uint64_t)getpid() && n <= INT64_MAX / 1000;
    err_free(e);
    return ours ? (int64_t)n * 1000 : 0;
}

static err open_socket(struct notify *n) {
    struct timeval wait = {.tv_sec = SEND_SECONDS_MAX};
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (n->fd < 0) return err_errno(errno, "making a socket to notify the service manager");
    setsockopt(n->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    n->on = true;
    return NULL;
}

err notify_open(struct notify *out) {
    const char *name = getenv("NOTIFY_SOCKET");
    struct notify n = {.watchdog_ns = read_watchdog_ns(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"))};
    *out = (struct notify){0};
    err e = name ? read_address(name, &n) : NULL;
    if (!e && name) e = open_socket(&n);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    if (!e && name) *out = n;
    return e;
}

void notify_close(struct notify *n) {
    if (n->on) close(n->fd);
    *n = (struct notify){0};
}

err notify_send(const struct notify *n, const char *assignment) {
    ssize_t sent;
    if (!n->on) return NULL;
    do
        sent = sendto(n->fd, assignment, MIN(strlen(assignment), (size_t)MESSAGE_BYTES_MAX), MSG_NOSIGNAL,
                      (const struct sockaddr *)n->address, n->address_size);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? err_errno(errno, "notifying the service manager") : NULL;
}

err notify_status(const struct notify *n, const char *text) {
    char line[MESSAGE_BYTES_MAX + 1];
    snprintf(line, sizeof line, "STATUS=%s", text);
    for (char *p = line; *p; p++)
        if ((unsigned char)*p < ' ') *p = ' ';
    return notify_send(n, line);
}
