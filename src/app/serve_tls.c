#include "app/serve_tls.h"

#include "os/socket.h"

const char *const serve_listener_names[SERVE_LISTENERS] = {
    [SERVE_LISTEN] = "listen", [SERVE_OTLP_HTTP] = "otlp-http",   [SERVE_OTLP_GRPC] = "otlp-grpc",
    [SERVE_JAEGER] = "jaeger", [SERVE_PROMETHEUS] = "prometheus", [SERVE_OLLYSTACK] = "ollystack",
};

/* SERVE_LISTENERS if it is none. */
static int listener_of(struct str name) {
    int l = 0;
    while (l < SERVE_LISTENERS && !str_equal(name, str_of(serve_listener_names[l]))) l++;
    return l;
}

/* The file for a listener: its own, else that for all; "" if there is none. Values borrow from argv: they are terminated. */
static struct str file_for(const struct arguments *a, enum option o, enum serve_listener l) {
    struct str all = STR(""), name, file;
    for (int i = a->given[o] - 1; i >= 0; i--) {
        int of = str_cut(a->values[o][i], '=', &name, &file) ? listener_of(name) : SERVE_LISTENERS;
        if (of == (int)l) return file;
        if (of == SERVE_LISTENERS && !all.n) all = a->values[o][i];
    }
    return all;
}

/* --plain-text takes names, "all", and several of them with commas, since the environment has one value for an option. */
static bool is_plain(const struct arguments *a, enum serve_listener l) {
    for (int i = 0; i < a->given[OPTION_PLAIN_TEXT]; i++) {
        struct str rest = a->values[OPTION_PLAIN_TEXT][i], name;
        while (rest.n) {
            str_cut(rest, ',', &name, &rest);
            if (str_equal(name, STR("all")) || listener_of(name) == (int)l) return true;
        }
    }
    return false;
}

static err check_name(struct str name) {
    if (str_equal(name, STR("all")) || listener_of(name) < SERVE_LISTENERS) return NULL;
    AUTO_BUF struct buf known;
    buf_init(&known, 256);
    for (int l = 0; l < SERVE_LISTENERS; l++) buf_add_fmt(&known, "%s, ", serve_listener_names[l]);
    return err_new(ERR_INVALID, "--plain-text: %sor all, not \"" STR_FMT "\"", known.p, STR_ARG(name));
}

err serve_tls_check(const struct arguments *a) {
    for (int i = 0; i < a->given[OPTION_PLAIN_TEXT]; i++) {
        struct str rest = a->values[OPTION_PLAIN_TEXT][i], name;
        do {
            str_cut(rest, ',', &name, &rest);
            TRY(check_name(name));
        } while (rest.n);
    }
    struct str client = argument_text(a, OPTION_TLS_CLIENT);
    if (!str_equal(client, STR("require")) && !str_equal(client, STR("request")))
        return err_new(ERR_INVALID, "--tls-client: require or request, not \"" STR_FMT "\"", STR_ARG(client));
    for (enum serve_listener l = 0; l < SERVE_LISTENERS; l++) {
        bool certificate = file_for(a, OPTION_TLS_CERT, l).n > 0;
        bool key = file_for(a, OPTION_TLS_KEY, l).n > 0;
        if (certificate != key)
            return err_new(ERR_INVALID, "--tls-%s: needs --tls-%s beside it", certificate ? "cert" : "key",
                           certificate ? "key" : "cert");
        if (!certificate && file_for(a, OPTION_TLS_CLIENT_CA, l).n)
            return err_new(ERR_INVALID, "--tls-client-ca: needs --tls-cert and --tls-key beside it");
    }
    return NULL;
}

err serve_tls_open(const struct arguments *a, enum serve_listener l, struct tls **out) {
    struct str certificate = file_for(a, OPTION_TLS_CERT, l);
    struct str authorities = file_for(a, OPTION_TLS_CLIENT_CA, l);
    *out = NULL;
    if (!certificate.n || is_plain(a, l)) return NULL;
    const struct tls_options options = {
        .certificate_file = certificate.p,
        .key_file = file_for(a, OPTION_TLS_KEY, l).p,
        .client_ca_file = authorities.n ? authorities.p : NULL,
        .client_required = str_equal(argument_text(a, OPTION_TLS_CLIENT), STR("require")),
        .protocols = TLS_PROTOCOLS,
    };
    return err_wrap(tls_new(&options, out), "TLS of --%s", serve_listener_names[l]);
}

err serve_tls_allow(const struct arguments *a, enum serve_listener l, const struct tls *tls, const char *bound) {
    if (tls || socket_address_is_loopback(bound) || is_plain(a, l)) return NULL;
    return err_new(ERR_INVALID,
                   "--%s: %s can be reached from other machines, and in plain text they would send it for all to read: "
                   "give --tls-cert and --tls-key; or, if a proxy before it encrypts, say --plain-text %s",
                   serve_listener_names[l], bound, serve_listener_names[l]);
}
