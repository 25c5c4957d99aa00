/* TLS of the listeners of `clew serve`, out of --tls-cert, --tls-key, --tls-client-ca, --tls-client and --plain-text.
 *
 * A listener is called as its option: "listen", "otlp-http". A value FILE is for all of them, LISTENER=FILE for one. With a
 * certificate all speak TLS but those of --plain-text; without, all speak plain text, and then only loopback may be bound unless
 * --plain-text names the listener. Errors: ERR_INVALID naming the option. Owner: the caller (tls_free). Threads: main. */
#pragma once

#include "app/options.h"
#include "net/tls.h"

/* One more listener: a line here and its name in serve_tls.c. */
enum serve_listener {
    SERVE_LISTEN,
    SERVE_OTLP_HTTP,
    SERVE_OTLP_GRPC,
    SERVE_JAEGER,
    SERVE_PROMETHEUS,
    SERVE_OLLYSTACK,
    SERVE_LISTENERS
};
extern const char *const serve_listener_names[SERVE_LISTENERS]; /* of their options */

err serve_tls_check(const struct arguments *a); /* what is wrong by itself: unknown listeners, half a pair */
err serve_tls_open(const struct arguments *a, enum serve_listener l, struct tls **out); /* *out NULL: plain text */
/* Whether it may listen at its real address: by TLS, on loopback, or in plain text as asked. */
err serve_tls_allow(const struct arguments *a, enum serve_listener l, const struct tls *tls, const char *bound);
