/* One connection's TLS between its socket and its machine: bytes of the socket in, plain bytes out, and back. It never blocks and
 * never asks for a write again: what the socket does not take now waits here, as it would in the kernel.
 *
 *      HANDSHAKE ──▶ OPEN ──▶ (tls_finish: close_notify sent) ──▶ freed
 *          └──▶ PLAIN_TEXT: the client speaks HTTP without TLS; nothing was answered yet
 *
 * Invariants:
 * 1. tls_write takes nothing while bytes are unsent, so at most one record, or a handshake's flight, waits.
 * 2. A turn reads at most what tls_turn allows, and from a socket that was read empty no more: no call that only meets EAGAIN.
 * 3. After a turn in which reading ended by itself, only a part of a record is left inside OpenSSL; if the machine stopped it, whole
 *    ones may be: tls_has_input says so, since the loop cannot.
 *
 * Memory: an idle session holds no buffers (SSL_MODE_RELEASE_BUFFERS); README has the figure. Unsent bytes: at most 64 KiB, else the
 * session breaks (a client that asks and never reads). Owner: its connection. Threads: the loop's.
 */
#pragma once

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "net/tls.h"
#include "os/socket.h"

/* Who a verified client certificate says its holder is. Counted, immutable. */
struct tls_identity {
    _Atomic uint32_t references;
    struct str subject, names; /* as net.h gives them */
    char text[];
};
struct tls_identity *tls_identity_new(X509 *certificate); /* NULL for NULL */
struct tls_identity *tls_identity_ref(struct tls_identity *i);
void tls_identity_unref(struct tls_identity *i); /* takes NULL */

/* "subject CN=a,O=b; names DNS:a; issuer CN=c; valid 2026-01-01 to 2027-01-01", for people; what does not fit is left out. */
void tls_describe(struct buf *out, X509 *certificate);

struct tls_session;
struct tls_session *tls_session_new(struct tls *t, int fd); /* NULL: no memory */
void tls_session_free(struct tls_session *s);               /* says close_notify, if it still can; takes NULL */

enum tls_state { TLS_HANDSHAKE, TLS_OPEN, TLS_PLAIN_TEXT };
void tls_turn(struct tls_session *s, bool may_read, size_t bytes_max); /* before all that follows, once an event */
bool tls_is_open(const struct tls_session *s);
err tls_handshake(struct tls_session *s, enum tls_state *out); /* an error: broken; its alert is on its way */
/* As socket_read; an end without close_notify is an error. */
err tls_read(struct tls_session *s, void *bytes, size_t n, size_t *out_n, bool *out_end);
err tls_write(struct tls_session *s, const struct socket_piece *pieces, size_t count, size_t *out_n);
err tls_flush(struct tls_session *s);
bool tls_has_unsent(const struct tls_session *s);
bool tls_has_input(const struct tls_session *s); /* inside, or in the socket by this turn's knowledge */
void tls_finish(struct tls_session *s);          /* close_notify: nothing is written afterwards */
struct tls_identity *tls_session_identity(const struct tls_session *s); /* a new reference; NULL: no certificate */
struct str tls_session_protocol(const struct tls_session *s);           /* by ALPN; empty: none */

/* tls.c, for sessions. */
SSL_CTX *tls_context(const struct tls *t); /* in force now */
const BIO_METHOD *tls_bio_method(struct tls *t);
BIO_METHOD *tls_bio_method_new(void);
err tls_error(enum err_kind kind); /* OpenSSL's oldest complaint of this thread, which is cleared */
