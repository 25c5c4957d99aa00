#include "os/resolve.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

err resolve_host_wait(const char *name, bool v6, void (*fn)(void *context, const char *address), void *context) {
    struct addrinfo hints = {.ai_family = v6 ? AF_INET6 : AF_INET, .ai_socktype = SOCK_STREAM}, *list = NULL;
    char text[RESOLVE_TEXT_MAX];
    int code = getaddrinfo(name, NULL, &hints, &list);
    if (code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY)
        return err_new(ERR_NOT_FOUND, "%s: %s", name, gai_strerror(code));
    if (code) return err_new(ERR_UNAVAILABLE, "%s: %s", name, gai_strerror(code));
    for (const struct addrinfo *a = list; a; a = a->ai_next)
        if (!getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof text, NULL, 0, NI_NUMERICHOST)) fn(context, text);
    freeaddrinfo(list);
    return NULL;
}
