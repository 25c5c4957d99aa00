#include "app/serve_tls.h"

#include "os/socket.h"

static const char *const listeners[] = {"listen", "otlp-http"};

/* The file for a listener: its own, else that for all; "" if there is none. Values borrow from argv: they are terminated. */
static struct str file_for(const struct arguments *a, enum option o, const char *listener) {
    struct str all = STR(""), name, file;
    for (int i = a->given[o] - 1; i >= 0; i--) {
        bool named = false, cut = str_cut(a->values[o][i], '=', &name, &file);
        for (size_t k = 0; cut && k < LENGTH(listeners); k++) named |= str_equal(name, str_of(listeners[k]));
        if (named && str_equal(name, str_of(listener))) return file;
        if (!named && !all.n) all = a->values[o][i];
    }
    return all;
}

/* --plain-text takes names, "all", and several of them with commas, since the environment has one value for an option. */
static bool is_plain(const struct arguments *a, const char *listener) {
    for (int i = 0; i < a->given[OPTION_PLAIN_TEXT]; i++) {
        struct str rest = a->values[OPTION_PLAIN_TEXT][i], name;
        while (rest.n) {
            str_cut(rest, ',', &name, &rest);
            if (str_equal(name, STR("all")) || str_equal(name, str_of(listener))) return true;
        }
    }
    return false;
}

static err check_name(struct str name) {
    if (str_equal(name, STR("all"))) return NULL;
    for (size_t k = 0; k < LENGTH(listeners); k++)
        if (str_equal(name, str_of(listeners[k]))) return NULL;
    return err_new(ERR_INVALID, "--plain-text: listen, otlp-http or all, not \"" STR_FMT "\"", STR_ARG(name));
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
    for (size_t k = 0; k < LENGTH(listeners); k++) {
        bool certificate = file_for(a, OPTION_TLS_CERT, listeners[k]).n > 0;
        bool key = file_for(a, OPTION_TLS_KEY, listeners[k]).n > 0;
        if (certificate != key)
            return err_new(ERR_INVALID, "--tls-%s: needs --tls-%s beside it", certificate ? "cert" : "key",
                           certificate ? "key" : "cert");
        if (!certificate && file_for(a, OPTION_TLS_CLIENT_CA, listeners[k]).n)
            return err_new(ERR_INVALID, "--tls-client-ca: needs --tls-cert and --tls-key beside it");
    }
    return NULL;
}

err serve_tls_open(const struct arguments *a, const char *listener, struct tls **out) {
    struct str certificate = file_for(a, OPTION_TLS_CERT, listener);
    struct str authorities = file_for(a, OPTION_TLS_CLIENT_CA, listener);
    *out = NULL;
    if (!certificate.n || is_plain(a, listener)) return NULL;
    const struct tls_options options = {
        .certificate_file = certificate.p,
        .key_file = file_for(a, OPTION_TLS_KEY, listener).p,
        .client_ca_file = authorities.n ? authorities.p : NULL,
        .client_required = str_equal(argument_text(a, OPTION_TLS_CLIENT), STR("require")),
        .protocols = TLS_PROTOCOLS,
    };
    return err_wrap(tls_new(&options, out), "TLS of --%s", listener);
}

err serve_tls_allow(const struct arguments *a, const char *listener, const struct tls *tls, const char *bound) {
    if (tls || socket_address_is_loopback(bound) || is_plain(a, listener)) return NULL;
    return err_new(ERR_INVALID,
                   "--%s: %s can be reached from other machines, and in plain text they would send it for all to read: "
                   "give --tls-cert and --tls-key; or, if a proxy before it encrypts, say --plain-text %s",
                   listener, bound, listener);
}
