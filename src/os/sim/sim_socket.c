/* There is no network in the simulation: nobody answers, and nothing is ever ready. So code that may use one links, and never waits. */
#include "os/socket.h"

static err no_network(void) { return err_new(ERR_UNAVAILABLE, "the simulation has no network"); }

err socket_address_check(const char *address) {
    (void)address;
    return NULL;
}

err socket_connect_wait(const char *address, int64_t timeout_ns, int *out_fd) {
    (void)address, (void)timeout_ns, (void)out_fd;
    return no_network();
}

bool socket_ready_wait(int fd, bool to_write, int64_t until_ns) {
    (void)fd, (void)to_write, (void)until_ns;
    return false;
}

err socket_read(int fd, void *bytes, size_t n, size_t *out_n, bool *out_end) {
    (void)fd, (void)bytes, (void)n, (void)out_n, (void)out_end;
    return no_network();
}

err socket_write(int fd, const struct socket_piece *pieces, size_t count, size_t *out_n) {
    (void)fd, (void)pieces, (void)count, (void)out_n;
    return no_network();
}

void socket_close(int fd) { (void)fd; }
