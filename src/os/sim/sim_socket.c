/* There are no sockets in the simulation: nothing is ever ready. So code that may use some (db, for PostgreSQL) links, and never waits. */
#include "os/socket.h"

bool socket_ready_wait(int fd, bool to_write, int64_t until_ns) {
    (void)fd, (void)to_write, (void)until_ns;
    return false;
}
