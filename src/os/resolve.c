#include "os/resolve.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>
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

/* ---- records ---------------------------------------------------------------------------------------------------- */

enum { MESSAGE_MAX = 65535 };
static const struct {
    ns_type type;
    size_t before; /* bytes of the record before the name */
} kinds[] = {[RESOLVE_SRV] = {ns_t_srv, 6}, [RESOLVE_MX] = {ns_t_mx, 2}, [RESOLVE_NS] = {ns_t_ns, 0}};

static err read_record(ns_msg *m, const ns_rr *r, enum resolve_kind kind, resolve_fn fn, void *context) {
    char name[RESOLVE_NAME_MAX + 1];
    const unsigned char *data = ns_rr_rdata(*r);
    size_t before = kinds[kind].before, n = ns_rr_rdlen(*r);
    int used = n > before ? ns_name_uncompress(ns_msg_base(*m), data + n, data + before, name, RESOLVE_NAME_MAX) : -1;
    if (used < 0 || (size_t)used + before != n) return err_new(ERR_UNAVAILABLE, "a record is damaged");
    size_t length = strlen(name);
    if (!length || name[length - 1] != '.') memcpy(name + length, ".", 2);
    unsigned port = kind == RESOLVE_SRV ? (unsigned)data[4] << 8 | data[5] : 0;
    fn(context, name, (uint16_t)port);
    return NULL;
}

err resolve_records_read(struct str message, enum resolve_kind kind, resolve_fn fn, void *context) {
    ns_msg m;
    size_t found = 0;
    if (message.n > MESSAGE_MAX || ns_initparse((const unsigned char *)message.p, (int)message.n, &m))
        return err_new(ERR_UNAVAILABLE, "the answer is damaged");
    for (int i = 0; i < ns_msg_count(m, ns_s_an); i++) {
        ns_rr r;
        if (ns_parserr(&m, ns_s_an, i, &r)) return err_new(ERR_UNAVAILABLE, "the answer is damaged");
        if (ns_rr_type(r) != kinds[kind].type || ns_rr_class(r) != ns_c_in) continue; /* a CNAME on the way */
        TRY(read_record(&m, &r, kind, fn, context));
        found++;
    }
    return found ? NULL : err_new(ERR_NOT_FOUND, "no such records");
}

err resolve_records_wait(const char *name, enum resolve_kind kind, resolve_fn fn, void *context) {
    struct __res_state state = {0};
    AUTO_FREE char *answer = mem_new_array(char, MESSAGE_MAX);
    if (res_ninit(&state)) return err_new(ERR_UNAVAILABLE, "%s: resolv.conf cannot be read", name);
    int n = res_nsearch(&state, name, ns_c_in, (int)kinds[kind].type, (unsigned char *)answer, MESSAGE_MAX);
    int why = state.res_h_errno;
    res_nclose(&state);
    if (n < 0 && (why == HOST_NOT_FOUND || why == NO_DATA))
        return err_new(ERR_NOT_FOUND, "%s: %s", name, hstrerror(why));
    if (n < 0) return err_new(ERR_UNAVAILABLE, "%s: %s", name, hstrerror(why));
    return err_wrap(resolve_records_read((struct str){answer, (size_t)MIN(n, MESSAGE_MAX)}, kind, fn, context), "%s",
                    name);
}
