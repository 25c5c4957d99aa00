/* TLS of listeners (OpenSSL 3): a certificate with its key, and the rules, read from files and read again when those change.
 *
 *   files ── tls_new ──▶ tls ── http_server_listen_tls ──▶ sessions of connections (tls_priv.h), each with what was in force then
 *     └──── changed: the server looks every 5 s ──▶ new handshakes get the new pair, old connections go on; a broken new pair is
 *           refused with a log line and the old one stays
 *
 * Rules: TLS 1.2 with ECDHE and AEAD suites alone, or 1.3 (Mozilla's "intermediate", v5.7, without finite-field DHE); X25519, P-256,
 * P-384; the server's order. No compression, no renegotiation, no early data. No session tickets and no session cache: connections
 * here live long, so resumption saves little; without it there is no ticket key to rotate or lose, and a client's certificate is
 * verified for each connection against the authorities in force now.
 * ALPN: what `protocols` lists, the server's order; a client that offers only others is refused (RFC 7301 §3.2), one that offers
 * nothing is served. Clients' certificates: verified against client_ca_file (usage, dates, chain up to 4; no revocation lists).
 * Limits: files 1 MiB; a client's chain 32 KiB. Not here: SNI (one certificate a listener), OCSP stapling.
 * Errors: ERR_INVALID naming the file. A key file that others may read is used, with a warning (Kubernetes mounts them so).
 * Owner: who made it, until its servers are freed. Threads: the loop's; identities: any.
 */
#pragma once

#include "base/base.h"

/* What this server speaks, the most wanted first: a list as tls_options takes it. */
#define TLS_PROTOCOLS "h2 http/1.1"

struct tls_options {
    const char *certificate_file; /* PEM: the server's, then its chain */
    const char *key_file;         /* PEM, without passphrase */
    const char *client_ca_file;   /* PEM; NULL: clients are not asked for a certificate */
    bool client_required;         /* else a client may come without, but not with a bad one */
    const char *protocols;        /* for ALPN, as "h2 http/1.1": separated by blanks; at most 255 bytes */
};

struct tls;
err tls_new(const struct tls_options *o, struct tls **out);
void tls_free(struct tls *t);
/* Looks at the files and takes what changed; warns daily, once fewer than 14 days of the certificate are left. */
void tls_refresh(struct tls *t);
int64_t tls_expires_s(const struct tls *t); /* of the certificate in use: unix time */
