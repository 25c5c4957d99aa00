/* Who may ask while there are no tokens. Only loopback is bound then, but a browser on this machine carries the pages of strangers:
 * they post across origins without being asked first, and a name of theirs may resolve to 127.0.0.1 (rebinding). So the name asked for
 * must be a loopback name, or one that the operator listed, and a page must be of the same origin. Programs send no Origin. */
#include "api/origin_priv.h"

/* "name:port" or "[address]:port" → what is before the port. */
static struct str host_name(struct str host) {
    size_t n = host.n;
    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9') n--;
    return n > 0 && host.p[n - 1] == ':' ? (struct str){host.p, n - 1} : host;
}

static bool is_loopback_name(struct str name) {
    if (str_equal_nocase(name, STR("localhost")) || str_equal(name, STR("[::1]"))) return true;
    if (!str_starts_with(name, STR("127."))) return false;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] != '.' && (name.p[i] < '0' || name.p[i] > '9')) return false;
    return true;
}

static bool is_own_name(struct str name, struct str own) {
    struct str one;
    for (bool more = own.n > 0 && name.n > 0; more;) {
        more = str_cut(own, ',', &one, &own);
        if (str_equal_nocase(one, name)) return true;
    }
    return false;
}

bool origin_is_ours(struct str origin, struct str host, struct str own) {
    static const struct str schemes[] = {STR("http://"), STR("https://")};
    for (size_t i = 0; i < LENGTH(schemes); i++) {
        if (!str_starts_with(origin, schemes[i])) continue;
        struct str page = {origin.p + schemes[i].n, origin.n - schemes[i].n};
        if (str_equal_nocase(page, host) || is_own_name(host_name(page), own)) return true;
    }
    return false;
}

bool origin_is_allowed(struct str host, struct str origin, struct str own) {
    if (host.p && !is_loopback_name(host_name(host)) && !is_own_name(host_name(host), own)) return false;
    return !origin.p || origin_is_ours(origin, host, own);
}

bool origin_is_listed(struct str origin, struct str list) {
    struct str one;
    for (bool more = list.n > 0 && origin.n > 0; more;) {
        more = str_cut(list, ',', &one, &list);
        if (str_equal(str_trim(one), origin)) return true;
    }
    return false;
}
